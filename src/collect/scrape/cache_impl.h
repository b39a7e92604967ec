/* SPDX-License-Identifier: Apache-2.0 */
/* cache_impl.h — private to cache.c and append.c: what is remembered of a target's series.
 *
 * Terms: an iteration is one append; a text is the bytes of a line before its value; a series is alive if its text was
 * seen since the last iteration that succeeded (inclusive).
 *
 * (1) A text is known by its length and 64 bits of hash, whose seed is the cache's secret: the texts themselves would be
 * a third of the memory of a series.
 * (2) ref is the storage's reference, or 0 for a text that relabelling drops.
 * (3) next chains the entries in the order of their texts in the body: a guess, never more. It is what makes the usual
 * scrape one hash a line. (4) tracked == iter: has a sample in this iteration that counts for staleness; tracked ==
 * iter - 1: had one in the last. was: tracked went from iter - 1 to iter in this iteration. (5) Dead entries stay until
 * they are many; a text of theirs that comes back is resolved anew, as if it were not there. */
#ifndef COLLECT_SCRAPE_CACHE_IMPL_H
#define COLLECT_SCRAPE_CACHE_IMPL_H

#include "base/hash.h"
#include "collect/scrape/cache.h"

enum { SERIES_NONE = UINT32_MAX };

struct scrape_series {
        SeriesRef ref;
        uint64_t hash;
        uint32_t key_n : 31;
        uint32_t was : 1;
        uint32_t seen;
        uint32_t tracked;
        uint32_t next;
};

struct scrape_cache {
        VEC(struct scrape_series) v;
        uint32_t *slots, cap; /* by hash: position in v + 1 */
        uint64_t seed;
        uint32_t head;        /* first in the chain */
        uint32_t iter;
        uint32_t flushed;       /* last iteration that succeeded */
        uint32_t n_seen;        /* entries with seen == iter */
        uint32_t n_prev, n_was; /* entries with tracked == iter - 1 at the start; of them tracked again */
        uint32_t n_tracked;     /* entries with tracked == iter */
        size_t success_count;   /* entries and families after the last success */
        SeriesRef reports[REPORT_COUNT];
        struct metadata metadata;
};

static inline bool series_is_alive(const struct scrape_cache *c, const struct scrape_series *s)
{
        return s->seen >= c->flushed;
}
static inline uint64_t cache_hash(const struct scrape_cache *c, Str key)
{
        return hash_seeded(key.p, key.n, c->seed);
}
/* Alive or dead; SERIES_NONE: not there. */
uint32_t cache_find(const struct scrape_cache *c, Str key, uint64_t hash);
/* SERIES_NONE when the cache is full, or the text absurdly long: such series are resolved at each scrape. */
uint32_t cache_add(struct scrape_cache *c, Str key, uint64_t hash);
void cache_compact(struct scrape_cache *c); /* drops the dead */
void cache_trim(struct scrape_cache *c);    /* gives back room to grow: for a target that has settled */

static inline void cache_see(struct scrape_cache *c, struct scrape_series *s)
{
        c->n_seen += s->seen != c->iter;
        s->seen = c->iter;
}
static inline void cache_track(struct scrape_cache *c, struct scrape_series *s)
{
        if (s->tracked == c->iter)
                return;
        s->was = s->tracked == c->iter - 1;
        c->n_was += s->was;
        s->tracked = c->iter;
        c->n_tracked++;
}

/* Labels of a text as the series gets them; *ret_n == 0: dropped. In the scratch arena. */
struct expo_parser;
struct expo_entry;
struct error *scrape_resolve(const struct scrape_how *how, const struct expo_parser *p, const struct expo_entry *x,
                             Labels *ret, bool *ret_over_limit) MUST_CHECK;
Labels scrape_report_labels(const struct scrape_how *how, enum scrape_report r);

#endif
