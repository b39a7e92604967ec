/* SPDX-License-Identifier: Apache-2.0 */
/* index.h — which series there are: label pairs as numbers, the series of each pair, and matchers over them.
 *
 * A pair (name, value) is stored once and has a number; a series is an ascending-by-name list of such numbers. The
 * series of a pair are slots: an ascending array while they are few, a roaring bitmap when they are many. Threads: none
 * of its own: the head's index lock is held, for writing where the index is not const. */
#ifndef TSDB_HEAD_INDEX_H
#define TSDB_HEAD_INDEX_H

#include <roaring/roaring.h>

#include "model/labels.h"
#include "model/matcher.h"
#include "tsdb/head/slab.h"

enum { POSTINGS_FEW_MAX = 64 };
struct pair {
        const char *value; /* slab */
        uint32_t n_value;
        uint32_t name; /* of names; free pairs: the next free one */
        uint32_t hash;
        uint32_t n;   /* series; 0: a free pair */
        uint32_t cap; /* of few; 0: many */
        uint32_t at;  /* place in its name's list */
        union {
                uint32_t *few; /* slab */
                roaring_bitmap_t *many;
        };
};
struct name {
        char *p; /* heap: there are not many names, and they stay */
        uint32_t n;
        VEC(uint32_t) pairs;
};
typedef VEC(uint32_t) SlotVec;

struct index {
        struct slab *slab;
        VEC(struct pair) pairs;
        uint32_t free_pair; /* number + 1; 0: none */
        uint32_t *table;    /* pair number + 1, open addressing by hash */
        uint32_t table_cap, n_pairs;
        VEC(struct name) names;
        uint32_t *name_table; /* name number + 1, open addressing by the name's hash */
        uint32_t name_table_cap;
        roaring_bitmap_t *all;
        uint64_t symbol_bytes, name_values;
        /* What gc took out of use while readers may still look at it: the caller frees it later. */
        void (*retire)(void *ctx, void *p, size_t n);
        void *retire_ctx;
};
void pairs_init(struct index *ix, struct slab *slab);
void pairs_done(struct index *ix);
/* Numbers of the pairs of ls; false: not all of them are there, so no series has them all. out has room for ls.n. */
bool pairs_find(const struct index *ix, Labels ls, uint32_t *out);
/* The same, made where they are missing: then the series is new, and pairs_add must follow. Labels that stand at the
 * same place in `like` are not looked up; its pairs are `like_pairs`. Returns whether any was made. */
bool pairs_make(struct index *ix, Labels ls, Labels like, const uint32_t *like_pairs, uint32_t *out);
void pairs_add(struct index *ix, uint32_t slot, const uint32_t *pairs, size_t n);
void pairs_remove(struct index *ix, uint32_t slot, const uint32_t *pairs, size_t n);
static inline Str pair_name(const struct index *ix, uint32_t pair)
{
        const struct name *n = &ix->names.p[ix->pairs.p[pair].name];
        return (Str){n->p, n->n};
}
static inline Str pair_value(const struct index *ix, uint32_t pair)
{
        return (Str){ix->pairs.p[pair].value, ix->pairs.p[pair].n_value};
}
/* Slots of series that match all of m: the caller's bitmap. series_pairs gives the pairs of a slot. */
struct index_series_pairs {
        const uint32_t *(*get)(void *ctx, uint32_t slot, size_t *ret_n);
        void *ctx;
};
roaring_bitmap_t *pairs_match(const struct index *ix, const struct index_series_pairs *sp,
                              const struct matcher *const *m, size_t n);
/* NULL: no such name. */
const struct name *pairs_name(const struct index *ix, Str name);
uint64_t pairs_heap_bytes(const struct index *ix); /* what is not in the slab */

#endif
