/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/head/refs.h"

static size_t place_of(const struct refs *r, uint64_t key)
{
        size_t i = (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 24) & (r->cap - 1);
        while (r->keys[i] && r->keys[i] != key)
                i = (i + 1) & (r->cap - 1);
        return i;
}

static void grow(struct refs *r)
{
        uint64_t *keys = r->keys;
        uint32_t *places = r->places;
        size_t cap = r->cap;
        r->cap = cap ? cap * 2 : 256;
        r->keys = mem_zalloc(r->cap * sizeof *r->keys);
        r->places = mem_zalloc(r->cap * sizeof *r->places);
        for (size_t i = 0; i < cap; i++) {
                if (!keys[i])
                        continue;
                size_t k = place_of(r, keys[i]);
                r->keys[k] = keys[i];
                r->places[k] = places[i];
        }
        free(keys);
        free(places);
}

bool refs_page_find(struct refs *r, uint64_t key)
{
        if (!r->cap)
                return false;
        size_t i = place_of(r, key);
        if (!r->keys[i])
                return false;
        r->last_key = key;
        r->last_place = r->places[i];
        return true;
}

void refs_set(struct refs *r, uint64_t ref, uint32_t slot)
{
        uint64_t key = ref / REFS_PAGE + 1;
        if (key != r->last_key && !refs_page_find(r, key)) {
                if ((r->pages.n + 1) * 4 > r->cap * 3)
                        grow(r);
                size_t i = place_of(r, key);
                r->keys[i] = r->last_key = key;
                r->places[i] = r->last_place = (uint32_t)r->pages.n;
                vec_push(&r->pages, (struct refs_page){.slots = {0}});
        }
        r->pages.p[r->last_place].slots[ref % REFS_PAGE] = slot + 1;
}

void refs_done(struct refs *r)
{
        free(r->keys);
        free(r->places);
        vec_done(&r->pages);
        *r = (struct refs){.cap = 0};
}
