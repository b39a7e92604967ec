/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/block/open.h"

#include "base/map.h"
#include "storage/decode.h"

struct block_querier {
        struct querier base;
        struct block *block;
        struct stones *stones;
        TimeMs mint_ms, maxt_ms;
        struct arena *arena;
};

/* A series as the index has it. */
struct found {
        Labels labels;
        struct index_chunk *chunks;
        size_t n, wanted; /* chunks; wanted 0: there is none */
        const struct interval *deleted;
        size_t n_deleted;
        size_t at; /* of the list */
};

struct block_set {
        struct series_set base;
        struct block *block;
        const struct tombstones *stones;
        TimeMs mint_ms, maxt_ms;
        struct arena *arena;
        struct arena *scratch; /* NULL, or: what is given lives there until the next call */
        struct postings list;  /* p == NULL: refs */
        const uint32_t *refs;
        size_t n, at;
        const struct matcher **rest;
        size_t n_rest;
        bool labels_only;
        struct found ahead; /* found, not given yet; never with scratch */
        struct index_near near;
};

static struct error *over_budget(const struct arena *a)
{
        return error_new(ERROR_LIMIT, "memory limit of %zu bytes reached while selecting series", a->limit_bytes);
}

static struct error *in_block(const struct block *b, struct error *take_e)
{
        return take_e && error_is(take_e, ERROR_CORRUPT) ? error_wrap(take_e, "block %s", b->dir) : take_e;
}

static bool is_wanted(const struct block_set *s, const struct index_chunk *c, const struct interval *d, size_t n_d)
{
        return c->mint_ms <= s->maxt_ms && c->maxt_ms >= s->mint_ms && !intervals_cover(d, n_d, c->mint_ms, c->maxt_ms);
}

/* What the index says of the next series that has what was asked for. Where its chunks lie nothing is in the cache:
 * they are fetched ahead. */
static struct error *find_next(struct block_set *s, struct found *f)
{
        struct arena *arena = s->scratch ? s->scratch : s->arena;
        f->n = 0;
        while (s->at < s->n) {
                if (s->scratch)
                        arena_clear(s->scratch);
                f->at = s->at++;
                uint32_t ref = s->list.p ? postings_at(s->list, f->at) : s->refs[f->at];
                struct error *e = index_series(s->block->index, ref, arena, &s->near, &f->labels, &f->chunks, &f->n);
                if (e)
                        return error_wrap(e, "index");
                f->deleted = NULL;
                f->n_deleted = f->wanted = 0;
                if (s->n_rest && !matchers_match(s->rest, s->n_rest, f->labels))
                        continue;
                if (s->stones->series.n)
                        f->deleted = tombstones_get(s->stones, ref, &f->n_deleted);
                for (size_t i = 0; i < f->n; i++) {
                        if (!is_wanted(s, &f->chunks[i], f->deleted, f->n_deleted))
                                continue;
                        f->wanted++;
                        if (!s->labels_only)
                                chunk_files_prefetch(s->block->chunks, f->chunks[i].ref);
                }
                if (f->wanted) {
                        s->near.turn++; /* its chunks stay while the one after it is looked for */
                        return NULL;
                }
        }
        f->wanted = 0;
        return NULL;
}

static struct error *get_chunks(struct block_set *s, const struct found *f, struct series *ret)
{
        struct arena *arena = s->scratch ? s->scratch : s->arena;
        struct chunk *out = arena_try_alloc(arena, f->wanted * sizeof *out);
        if (!out)
                return over_budget(arena);
        size_t to = 0;
        for (size_t i = 0; i < f->n; i++) {
                const struct index_chunk *c = &f->chunks[i];
                if (!is_wanted(s, c, f->deleted, f->n_deleted))
                        continue;
                struct chunk *k = &out[to++];
                struct error *e = chunk_files_get(s->block->chunks, c->ref, k);
                if (e)
                        return e;
                k->mint_ms = c->mint_ms;
                k->maxt_ms = c->maxt_ms;
        }
        ret->chunks = out;
        ret->n_chunks = to;
        return NULL;
}

static struct error *block_set_next(struct series_set *base, struct series *ret, bool *ret_more)
{
        struct block_set *s = CONTAINER_OF(base, struct block_set, base);
        struct error *e = s->ahead.wanted ? NULL : find_next(s, &s->ahead);
        struct found f = s->ahead;
        s->ahead.wanted = 0;
        if (e)
                return in_block(s->block, e);
        *ret_more = f.wanted > 0;
        if (!f.wanted)
                return NULL;
        if (!s->scratch) {
                e = find_next(s, &s->ahead);
                if (e) {
                        error_ignore(e, "the next call meets it again");
                        s->at = s->ahead.at;
                        s->ahead.wanted = 0;
                }
        }
        *ret = (struct series){.labels = f.labels, .deleted = f.deleted, .n_deleted = f.n_deleted};
        return s->labels_only ? NULL : in_block(s->block, get_chunks(s, &f, ret));
}

static const struct series_set_ops block_set_ops = {.next = block_set_next};

static struct block_set *block_set_new(struct block *b, struct arena *arena)
{
        struct block_set *s = arena_try_alloc(arena, sizeof *s);
        if (s) {
                memset(s, 0, offsetof(struct block_set, near));
                s->near.n = s->near.turn = 0;
                s->base.ops = &block_set_ops;
                s->block = b;
                s->arena = arena;
                s->mint_ms = TIME_MS_MIN;
                s->maxt_ms = TIME_MS_MAX;
        }
        return s;
}

static struct error *select_series(struct querier *base, const struct select_hints *h, const struct matcher *const *m,
                                   size_t n_m, struct series_set **ret)
{
        struct block_querier *q = CONTAINER_OF(base, struct block_querier, base);
        struct block_set *s = block_set_new(q->block, q->arena);
        if (!s)
                return over_budget(q->arena);
        struct index_selection sel;
        struct error *e = index_select(q->block->index, m, n_m, q->arena, &sel);
        if (e)
                return in_block(q->block, error_wrap(e, "index"));
        s->stones = &q->stones->t;
        s->mint_ms = q->mint_ms;
        s->maxt_ms = q->maxt_ms;
        if (h && (h->start_ms || h->end_ms) && h->start_ms <= h->end_ms) {
                s->mint_ms = MAX(s->mint_ms, h->start_ms);
                s->maxt_ms = MIN(s->maxt_ms, h->end_ms);
        }
        s->labels_only = h && h->labels_only;
        s->refs = sel.refs;
        s->n = sel.n;
        s->rest = sel.rest;
        s->n_rest = sel.n_rest;
        *ret = &s->base;
        return NULL;
}

static void limit_to(StrVec *v, size_t limit)
{
        if (limit && v->n > limit)
                v->n = limit;
}

static void sort(StrVec *v)
{
        if (v->n)
                qsort(v->p, v->n, sizeof *v->p, str_cmp_qsort);
}

/* Calls fn with the labels of each series that matches. */
static struct error *each_labels(struct block_querier *q, const struct matcher *const *m, size_t n_m,
                                 void (*fn)(void *ctx, Labels ls), void *ctx)
{
        struct index_selection sel;
        struct arena scratch;
        struct error *e = index_select(q->block->index, m, n_m, q->arena, &sel);
        if (e)
                return e;
        arena_init(&scratch, (size_t)64 << 20);
        struct index_near near;
        near.n = near.turn = 0;
        for (size_t i = 0; !e && i < sel.n; i++) {
                Labels ls;
                arena_clear(&scratch);
                e = index_series(q->block->index, sel.refs[i], &scratch, &near, &ls, NULL, NULL);
                if (!e && matchers_match(sel.rest, sel.n_rest, ls))
                        fn(ctx, ls);
        }
        arena_done(&scratch);
        return e;
}

struct collect {
        struct map seen;
        Str name; /* whose values are collected; empty: names are */
        Str last;
        StrVec *to;
};

static void collect_one(struct collect *c, Str s)
{
        if (map_get(&c->seen, s))
                return;
        map_set(&c->seen, s, c);
        vec_push(c->to, s);
}

static void collect_names(void *ctx, Labels ls)
{
        for (size_t i = 0; i < ls.n; i++)
                collect_one(ctx, ls.v[i].name);
}

static void collect_values(void *ctx, Labels ls)
{
        struct collect *c = ctx;
        Str v = labels_get(ls, c->name);
        if (v.n && v.p != c->last.p)
                collect_one(c, v);
        c->last = v;
}

static struct error *label_names(struct querier *base, const struct matcher *const *m, size_t n_m, size_t limit,
                                 StrVec *ret)
{
        struct block_querier *q = CONTAINER_OF(base, struct block_querier, base);
        struct error *e = NULL;
        if (n_m) {
                struct collect c = {.to = ret};
                e = each_labels(q, m, n_m, collect_names, &c);
                map_done(&c.seen);
                sort(ret);
        } else {
                for (size_t i = 0; i < index_name_count(q->block->index); i++)
                        vec_push(ret, index_name_at(q->block->index, i));
        }
        limit_to(ret, limit);
        return in_block(q->block, e);
}

static struct error *label_values(struct querier *base, Str name, const struct matcher *const *m, size_t n_m,
                                  size_t limit, StrVec *ret)
{
        struct block_querier *q = CONTAINER_OF(base, struct block_querier, base);
        struct error *e = NULL;
        ptrdiff_t i = index_find_name(q->block->index, name);
        if (i < 0)
                return NULL;
        if (n_m) {
                struct collect c = {.name = name, .to = ret};
                e = each_labels(q, m, n_m, collect_values, &c);
                map_done(&c.seen);
                sort(ret);
        } else {
                struct index_values it = index_values_from(q->block->index, (size_t)i, (Str){0});
                Str v;
                while ((!limit || ret->n < limit) && index_values_next(&it, &v))
                        vec_push(ret, v);
        }
        limit_to(ret, limit);
        return in_block(q->block, e);
}

static void close_querier(struct querier *base)
{
        struct block_querier *q = CONTAINER_OF(base, struct block_querier, base);
        block_stones_unref(q->stones);
        block_unref(q->block);
}

struct error *block_querier(struct block *b, TimeMs mint_ms, TimeMs maxt_ms, struct arena *arena, struct querier **ret)
{
        static const struct querier_ops ops = {.select = select_series,
                                               .label_names = label_names,
                                               .label_values = label_values,
                                               .close = close_querier};
        struct block_querier *q = arena_try_alloc(arena, sizeof *q);
        if (!q)
                return over_budget(arena);
        *q = (struct block_querier){.base.ops = &ops,
                                    .block = block_ref(b),
                                    .stones = block_stones_ref(b),
                                    .mint_ms = mint_ms,
                                    .maxt_ms = maxt_ms,
                                    .arena = arena};
        *ret = &q->base;
        return NULL;
}

struct error *block_scan(struct block *b, struct arena *arena, struct arena *scratch, struct series_set **ret)
{
        struct block_set *s = block_set_new(b, arena);
        if (!s)
                return over_budget(arena);
        struct error *e = index_all_postings(b->index, &s->list);
        if (e)
                return in_block(b, error_wrap(e, "index"));
        s->n = s->list.n;
        s->scratch = scratch;
        s->stones = &b->stones->t; /* the caller keeps deletions away: both are the compaction lock's */
        *ret = &s->base;
        return NULL;
}
