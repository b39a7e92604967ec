/* SPDX-License-Identifier: Apache-2.0 */
/* Queriers. Labels are taken under the index lock when a select begins; chunks are copied series by series as the set
 * is read: maps of chunk files are pointed to, the open chunk (and what is not in a file yet) is copied under the
 * stripe.
 *
 * Isolation: commits are applied one after another, and a series knows the commits of its newest HEAD_ISOLATED samples.
 * Those that are younger than the querier are left out. A series that got more than that many samples since the querier
 * was opened shows some of them: the bound of head.h. */
#include "base/log.h"
#include "tsdb/head/private.h"

struct found {
        uint32_t slot, gen;
        Labels labels;
};
struct head_set {
        struct series_set base;
        struct head_querier *q;
        struct found *found;
        size_t n, i;
        bool labels_only;
};

static struct error *over_budget(const struct arena *a)
{
        return error_new(ERROR_LIMIT, "memory limit of %zu bytes reached while selecting series", a->limit_bytes);
}

static const uint32_t *pairs_of(void *ctx, uint32_t slot, size_t *ret_n)
{
        const struct series_slot *s = series_at(ctx, slot);
        *ret_n = s->n_pairs;
        return s->pairs;
}

roaring_bitmap_t *head_match(struct head *h, const struct matcher *const *m, size_t n)
{
        struct index_series_pairs sp = {.get = pairs_of, .ctx = h};
        return pairs_match(&h->index, &sp, m, n);
}

static int by_labels(const void *a, const void *b)
{
        return labels_cmp(((const struct found *)a)->labels, ((const struct found *)b)->labels);
}

/* How many of the newest samples the querier must not show. */
static unsigned hidden_locked(const struct series_slot *s, uint32_t commit)
{
        unsigned n = 0;
        while (n < HEAD_ISOLATED && (int32_t)(s->commits[(s->newest + HEAD_ISOLATED - n) % HEAD_ISOLATED] - commit) > 0)
                n++;
        return n;
}

/* Cuts the newest `hidden` samples off a chunk whose bytes are the arena's. False: nothing is left. */
static bool cut_hidden(struct chunk *c, char *bytes, unsigned *hidden)
{
        size_t n = chunk_samples(c->encoding, c->data);
        if (n <= *hidden) {
                *hidden -= (unsigned)n;
                return false;
        }
        n -= *hidden;
        *hidden = 0;
        bytes[0] = (char)(n >> 8);
        bytes[1] = (char)n;
        TimeMs *t = mem_alloc(n * sizeof *t);
        void *v = mem_alloc(n * MAX(sizeof(double), sizeof(struct histogram *)));
        size_t got;
        struct arena scratch;
        arena_init(&scratch, BUF_NO_LIMIT);
        struct error *e = chunk_encoding_is_histogram(c->encoding)
                                  ? histogram_decode(c, TIME_MS_MIN, TIME_MS_MAX, &scratch, t, NULL, v, &got)
                                  : chunk_decode(c, TIME_MS_MAX, t, v, &got);
        error_ignore(e, "a damaged chunk is told when it is read");
        if (got)
                c->maxt_ms = t[got - 1];
        arena_done(&scratch);
        free(t);
        free(v);
        return true;
}

static struct error *copy_bytes(struct arena *a, struct chunk *c, char **ret)
{
        char *p = arena_try_alloc(a, c->data.n ? c->data.n : 1);
        if (!p)
                return over_budget(a);
        memcpy(p, c->data.p, c->data.n);
        c->data.p = p;
        *ret = p;
        return NULL;
}

/* Chunks in the querier's range, newest first in here: the hidden samples are the newest. */
static struct error *chunks_copy_locked(struct head_querier *q, uint32_t slot, const struct series_slot *s,
                                        struct chunk *out, size_t *ret_n)
{
        unsigned hidden = hidden_locked(s, q->commit);
        size_t n_all = (size_t)s->n_full + (s->open != NULL), n = n_all;
        for (size_t i = n_all; i-- > 0;) {
                struct chunk c;
                bool must_copy = hidden > 0;
                if (i == s->n_full) {
                        must_copy = true;
                        c = (struct chunk){.mint_ms = s->open_mint_ms,
                                           .maxt_ms = s->app.t,
                                           .encoding = series_open_encoding(s),
                                           .data = series_open_data(s)};
                } else {
                        const struct full_chunk *f = &s->full[i];
                        must_copy |= f->is_memory;
                        c = (struct chunk){.mint_ms = f->mint_ms,
                                           .maxt_ms = f->mint_ms + f->span_ms,
                                           .encoding = (enum chunk_encoding)f->encoding,
                                           .data = {(const char *)f->p, f->n_bytes}};
                }
                c.ref = ref_of(slot, s->gen) << 16 | i;
                if (!hidden && (c.mint_ms > q->maxt_ms || c.maxt_ms < q->mint_ms))
                        continue;
                if (must_copy) {
                        char *bytes = NULL;
                        struct error *e = copy_bytes(q->arena, &c, &bytes);
                        if (e)
                                return e;
                        if (hidden && !cut_hidden(&c, bytes, &hidden))
                                continue;
                }
                if (c.mint_ms <= q->maxt_ms && c.maxt_ms >= q->mint_ms)
                        out[--n] = c;
        }
        if (n < n_all)
                memmove(out, out + n, (n_all - n) * sizeof *out);
        *ret_n = n_all - n;
        return NULL;
}

/* In-order chunks, then those of out-of-order samples, together ascending by mint: of equal ones the former are first. */
static struct error *chunks_of_locked(struct head_querier *q, uint32_t slot, const struct series_slot *s, struct series *ret)
{
        const struct ooo_series *o = s->open_flags & OPEN_HAS_OOO && !q->no_out_of_order ? ooo_get(q->h, slot) : NULL;
        size_t room = s->n_full + 1u + (o ? ooo_chunks_max(o) : 0), n = 0, n_late = 0;
        struct chunk *chunks = arena_try_alloc(q->arena, room * sizeof *chunks);
        struct error *e = chunks ? NULL : over_budget(q->arena);
        if (!e && !q->no_in_order)
                e = chunks_copy_locked(q, slot, s, chunks, &n);
        if (!e && o)
                e = ooo_chunks_copy(o, q->mint_ms, q->maxt_ms, q->ooo_upto, ref_of(slot, s->gen) << 16 | 0x8000, q->arena, chunks + n,
                                    &n_late);
        if (e)
                return e;
        for (size_t i = n; n && i < n + n_late; i++) {
                struct chunk c = chunks[i];
                size_t k = i;
                while (k > 0 && chunks[k - 1].mint_ms > c.mint_ms)
                        k--;
                memmove(chunks + k + 1, chunks + k, (i - k) * sizeof *chunks);
                chunks[k] = c;
        }
        ret->chunks = chunks;
        ret->n_chunks = n + n_late;
        return NULL;
}

static struct error *deleted_copy(struct head_querier *q, uint32_t slot, struct series *ret)
{
        struct head *h = q->h;
        struct error *e = NULL;
        size_t n;
        rwlock_read(&h->index_lock);
        const struct interval *d = tombstones_get(&h->tombstones, slot, &n);
        if (n) {
                struct interval *copy = arena_try_alloc(q->arena, arena_array_bytes(n, sizeof *copy));
                if (copy) {
                        memcpy(copy, d, n * sizeof *copy);
                        ret->deleted = copy;
                        ret->n_deleted = n;
                } else {
                        e = over_budget(q->arena);
                }
        }
        rwlock_unlock(&h->index_lock);
        return e;
}

static struct error *set_next(struct series_set *base, struct series *ret, bool *ret_more)
{
        struct head_set *set = CONTAINER_OF(base, struct head_set, base);
        struct head_querier *q = set->q;
        struct head *h = q->h;
        *ret_more = false;
        while (set->i < set->n) {
                const struct found *f = &set->found[set->i++];
                struct series out = {.labels = f->labels};
                if (set->labels_only) {
                        *ret = out;
                        *ret_more = true;
                        return NULL;
                }
                struct series_slot *s = series_at(h, f->slot);
                struct mutex *stripe = stripe_of(h, f->slot);
                struct error *e = NULL;
                mutex_lock(stripe);
                if (s->gen == f->gen && (s->n_full || s->open || s->open_flags & OPEN_HAS_OOO))
                        e = chunks_of_locked(q, f->slot, s, &out);
                mutex_unlock(stripe);
                if (!e && out.n_chunks)
                        e = deleted_copy(q, f->slot, &out);
                if (e)
                        return e;
                if (!out.n_chunks)
                        continue;
                *ret = out;
                *ret_more = true;
                return NULL;
        }
        return NULL;
}

static bool is_outside(const struct head_querier *q)
{
        const struct head *h = q->h;
        return (q->maxt_ms < load_relaxed(&h->min_ms) || q->mint_ms > load_relaxed(&h->max_ms)) &&
               (q->maxt_ms < head_ooo_min_ms(h) || q->mint_ms > head_ooo_max_ms(h));
}

static struct error *hq_select(struct querier *base, const struct select_hints *hints, const struct matcher *const *m,
                               size_t n_m, struct series_set **ret)
{
        static const struct series_set_ops ops = {.next = set_next};
        struct head_querier *q = CONTAINER_OF(base, struct head_querier, base);
        struct head *h = q->h;
        struct error *e = NULL;
        struct head_set *set = arena_try_alloc(q->arena, sizeof *set);
        if (!set)
                return over_budget(q->arena);
        *set = (struct head_set){.base.ops = &ops, .q = q, .labels_only = hints && hints->labels_only};
        if (is_outside(q))
                goto out;
        rwlock_read(&h->index_lock);
        roaring_bitmap_t *match = head_match(h, m, n_m);
        uint64_t n = roaring_bitmap_get_cardinality(match);
        set->found = arena_try_alloc(q->arena, arena_array_bytes(n ? n : 1, sizeof *set->found));
        if (!set->found)
                e = over_budget(q->arena);
        roaring_uint32_iterator_t it;
        for (roaring_init_iterator(match, &it); !e && it.has_value; roaring_advance_uint32_iterator(&it)) {
                const struct series_slot *s = series_at(h, it.current_value);
                struct found f = {.slot = it.current_value,
                                  .gen = load_relaxed(&s->gen),
                                  .labels = series_labels(h, s, q->arena)};
                if (!f.labels.v)
                        e = over_budget(q->arena);
                set->found[set->n++] = f;
        }
        roaring_bitmap_free(match);
        rwlock_unlock(&h->index_lock);
        if (e)
                return e;
        if (set->n > 1 && hints && hints->sorted)
                qsort(set->found, set->n, sizeof *set->found, by_labels);
out:
        *ret = &set->base;
        return NULL;
}

/* ---- labels ---- */

static int str_by_value(const void *a, const void *b)
{
        return str_cmp(*(const Str *)a, *(const Str *)b);
}

static void sort_from(StrVec *v, size_t start, size_t limit)
{
        size_t n = v->n - start;
        if (n > 1)
                qsort(v->p + start, n, sizeof *v->p, str_by_value);
        size_t w = start;
        for (size_t i = start; i < v->n; i++)
                if (w == start || !str_eq(v->p[w - 1], v->p[i]))
                        v->p[w++] = v->p[i];
        v->n = limit && w - start > limit ? start + limit : w;
}

static struct error *hq_label_names(struct querier *base, const struct matcher *const *m, size_t n_m, size_t limit,
                                    StrVec *ret)
{
        struct head_querier *q = CONTAINER_OF(base, struct head_querier, base);
        struct head *h = q->h;
        if (is_outside(q))
                return NULL;
        size_t start = ret->n;
        rwlock_read(&h->index_lock);
        roaring_bitmap_t *match = n_m ? head_match(h, m, n_m) : NULL;
        bool *seen = mem_zalloc(h->index.names.n + 1);
        roaring_uint32_iterator_t it;
        if (match)
                for (roaring_init_iterator(match, &it); it.has_value; roaring_advance_uint32_iterator(&it)) {
                        const struct series_slot *s = series_at(h, it.current_value);
                        for (size_t k = 0; k < s->n_pairs; k++)
                                seen[h->index.pairs.p[s->pairs[k]].name] = true;
                }
        for (size_t i = 0; i < h->index.names.n; i++) {
                const struct name *n = &h->index.names.p[i];
                if (match ? seen[i] : n->pairs.n > 0)
                        vec_push(ret, (Str){n->p, n->n});
        }
        free(seen);
        if (match)
                roaring_bitmap_free(match);
        rwlock_unlock(&h->index_lock);
        sort_from(ret, start, limit);
        return NULL;
}

static struct error *hq_label_values(struct querier *base, Str name, const struct matcher *const *m, size_t n_m,
                                     size_t limit, StrVec *ret)
{
        struct head_querier *q = CONTAINER_OF(base, struct head_querier, base);
        struct head *h = q->h;
        if (is_outside(q))
                return NULL;
        size_t start = ret->n;
        rwlock_read(&h->index_lock);
        const struct name *of = pairs_name(&h->index, name);
        roaring_bitmap_t *match = n_m && of ? head_match(h, m, n_m) : NULL;
        for (size_t i = 0; of && i < of->pairs.n; i++) {
                const struct pair *p = &h->index.pairs.p[of->pairs.p[i]];
                bool is = !match || (!p->cap && roaring_bitmap_intersect(match, p->many));
                for (uint32_t k = 0; !is && p->cap && k < p->n; k++)
                        is = roaring_bitmap_contains(match, p->few[k]);
                if (is)
                        vec_push(ret, (Str){p->value, p->n_value});
        }
        if (match)
                roaring_bitmap_free(match);
        rwlock_unlock(&h->index_lock);
        sort_from(ret, start, limit);
        return NULL;
}

static void hq_close(struct querier *base)
{
        struct head_querier *q = CONTAINER_OF(base, struct head_querier, base);
        struct head *h = q->h;
        mutex_lock(&h->retired_mu);
        list_remove(&q->link);
        bool any = h->retired.n > 0;
        mutex_unlock(&h->retired_mu);
        if (any)
                head_free_retired(h);
}

struct error *head_querier_new(struct storage *st, TimeMs mint_ms, TimeMs maxt_ms, struct arena *arena,
                               struct querier **ret)
{
        return head_querier(CONTAINER_OF(st, struct head, base), HEAD_ALL, NULL, mint_ms, maxt_ms, arena, ret);
}

struct error *head_querier(struct head *h, enum head_which which, const struct head_ooo_part *part, TimeMs mint_ms, TimeMs maxt_ms,
                           struct arena *arena, struct querier **ret)
{
        static const struct querier_ops ops = {
                .select = hq_select, .label_names = hq_label_names, .label_values = hq_label_values, .close = hq_close};
        struct head_querier *q = arena_try_alloc(arena, sizeof *q);
        if (!q)
                return over_budget(arena);
        *q = (struct head_querier){.base.ops = &ops,
                                   .h = h,
                                   .arena = arena,
                                   .mint_ms = mint_ms,
                                   .maxt_ms = maxt_ms,
                                   .no_in_order = which == HEAD_OUT_OF_ORDER,
                                   .no_out_of_order = which == HEAD_IN_ORDER,
                                   .ooo_upto = part ? part->upto : 0};
        mutex_lock(&h->retired_mu);
        q->number = h->next_querier++;
        list_push_back(&h->queriers, &q->link);
        mutex_unlock(&h->retired_mu);
        /* What was applied before is seen whole. */
        q->commit = __atomic_load_n(&h->applied, __ATOMIC_ACQUIRE);
        *ret = &q->base;
        return NULL;
}
