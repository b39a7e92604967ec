/* SPDX-License-Identifier: Apache-2.0 */
#include "collect/scrape/cache_impl.h"

#include "base/rand.h"

enum { SCRATCH_BYTES_MAX = 256 << 20 };

void scrape_scratch_init(struct scrape_scratch *s)
{
        arena_init(&s->arena, SCRATCH_BYTES_MAX);
        labels_builder_init(&s->builder);
}

void scrape_scratch_done(struct scrape_scratch *s)
{
        arena_done(&s->arena);
        labels_builder_done(&s->builder);
}

struct scrape_cache *scrape_cache_new(struct metadata_pool *p)
{
        struct scrape_cache *c = mem_new(struct scrape_cache);
        rand_system(&c->seed, sizeof c->seed);
        c->head = SERIES_NONE;
        c->iter = 2;    /* so that tracked == 0 is neither this iteration nor the last */
        c->flushed = 1; /* and seen == 0 is dead */
        metadata_init(&c->metadata, p);
        return c;
}

void scrape_cache_free(struct scrape_cache *c)
{
        if (!c)
                return;
        metadata_done(&c->metadata);
        vec_done(&c->v);
        free(c->slots);
        free(c);
}

struct metadata *scrape_cache_metadata(struct scrape_cache *c)
{
        return &c->metadata;
}

uint32_t cache_find(const struct scrape_cache *c, Str key, uint64_t hash)
{
        if (c->cap == 0)
                return SERIES_NONE;
        for (uint32_t i = (uint32_t)hash & (c->cap - 1); c->slots[i]; i = (i + 1) & (c->cap - 1)) {
                const struct scrape_series *s = &c->v.p[c->slots[i] - 1];
                if (s->hash == hash && s->key_n == key.n)
                        return c->slots[i] - 1;
        }
        return SERIES_NONE;
}

static void slot_place(struct scrape_cache *c, uint64_t hash, uint32_t value)
{
        uint32_t i = (uint32_t)hash & (c->cap - 1);
        while (c->slots[i])
                i = (i + 1) & (c->cap - 1);
        c->slots[i] = value;
}

static void slots_rebuild(struct scrape_cache *c)
{
        uint32_t cap = 16;
        while (cap / 4 * 3 < c->v.n + 1)
                cap *= 2;
        free(c->slots);
        c->slots = mem_zalloc(cap * sizeof(uint32_t));
        c->cap = cap;
        for (size_t i = 0; i < c->v.n; i++)
                slot_place(c, c->v.p[i].hash, (uint32_t)i + 1);
}

uint32_t cache_add(struct scrape_cache *c, Str key, uint64_t hash)
{
        if (key.n > INT32_MAX || c->v.n >= SERIES_NONE / 2)
                return SERIES_NONE;
        uint32_t i = (uint32_t)c->v.n;
        vec_push(&c->v, ((struct scrape_series){
                                .key_n = (uint32_t)key.n & INT32_MAX,
                                .hash = hash,
                                .next = SERIES_NONE,
                        }));
        if (c->v.n > c->cap / 4 * 3)
                slots_rebuild(c);
        else
                slot_place(c, hash, i + 1);
        return i;
}

/* Entries are laid out anew in the order of the chain, which is the order in which the next body will ask for them. */
void cache_compact(struct scrape_cache *c)
{
        size_t n = 0;
        for (size_t i = 0; i < c->v.n; i++)
                n += series_is_alive(c, &c->v.p[i]);
        struct scrape_series *v = mem_realloc_array(NULL, n ? n : 1, sizeof *v);

        size_t at = 0;
        uint32_t in_chain = c->head;
        /* The chain is a guess and may loop or miss some: an entry is taken once (its key_n is cleared), the rest
         * follows in order of arrival. */
        for (size_t steps = 0; in_chain != SERIES_NONE && steps < c->v.n; steps++) {
                struct scrape_series *s = &c->v.p[in_chain];
                if (series_is_alive(c, s) && s->key_n > 0) {
                        v[at++] = *s;
                        s->key_n = 0;
                }
                in_chain = s->next;
        }
        for (size_t i = 0; i < c->v.n; i++) {
                struct scrape_series *s = &c->v.p[i];
                if (series_is_alive(c, s) && s->key_n > 0)
                        v[at++] = *s;
        }
        for (size_t i = 0; i < at; i++)
                v[i].next = i + 1 < at ? (uint32_t)i + 1 : SERIES_NONE;
        free(c->v.p);
        c->v.p = v;
        c->v.n = at;
        c->v.cap = n ? n : 1;
        c->head = at ? 0 : SERIES_NONE;
        slots_rebuild(c);
}

void cache_trim(struct scrape_cache *c)
{
        if (c->v.n == 0 || c->v.cap - c->v.n < c->v.n / 8 + 8)
                return;
        c->v.p = mem_realloc_array(c->v.p, c->v.n, sizeof c->v.p[0]);
        c->v.cap = c->v.n;
}
