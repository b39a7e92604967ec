/* SPDX-License-Identifier: Apache-2.0 */
/* refs.h — the log's series references and the slots that they stand for, while a log is read.
 *
 *   struct refs r = {0};  refs_set(&r, ref, slot);  refs_get(&r, ref);  refs_done(&r);
 *
 * References are handed out one after another, so a few neighbours share a page: some 5 bytes each, and a record of
 * neighbours looks into the table once a page. Threads: one owner. */
#ifndef TSDB_HEAD_REFS_H
#define TSDB_HEAD_REFS_H

#include <stdbool.h>

#include "base/vec.h"

enum { REFS_PAGE = 16 };
struct refs_page {
        uint32_t slots[REFS_PAGE]; /* + 1; 0: none */
};
struct refs {
        uint64_t *keys; /* open addressing: number of the page + 1; 0: free */
        uint32_t *places;
        size_t cap;
        VEC(struct refs_page) pages;
        uint64_t last_key; /* what was looked up last; 0: nothing */
        uint32_t last_place;
};
void refs_set(struct refs *r, uint64_t ref, uint32_t slot);
bool refs_page_find(struct refs *r, uint64_t key); /* makes it the last one */
void refs_done(struct refs *r);
/* UINT32_MAX: unknown. */
static inline uint32_t refs_get(struct refs *r, uint64_t ref)
{
        uint64_t key = ref / REFS_PAGE + 1;
        if (UNLIKELY(key != r->last_key) && !refs_page_find(r, key))
                return UINT32_MAX;
        return r->pages.p[r->last_place].slots[ref % REFS_PAGE] - 1;
}

#endif
