/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/merge.h"

#include "storage/decode.h"

static struct error *over_budget(const struct arena *a)
{
        return error_new(ERROR_LIMIT, "memory limit of %zu bytes reached while selecting series", a->limit_bytes);
}

/* A set over an array. */
struct array_set {
        struct series_set base;
        const struct series *s;
        size_t n, i;
};

static struct error *array_set_next(struct series_set *base, struct series *ret, bool *ret_more)
{
        struct array_set *a = CONTAINER_OF(base, struct array_set, base);
        *ret_more = a->i < a->n;
        if (*ret_more)
                *ret = a->s[a->i++];
        return NULL;
}

struct series_set *series_set_of(struct arena *arena, const struct series *s, size_t n)
{
        static const struct series_set_ops ops = {.next = array_set_next};
        struct array_set *a = arena_new(arena, struct array_set);
        *a = (struct array_set){.base.ops = &ops, .s = s, .n = n};
        return &a->base;
}

/* k-way merge. heap holds the indexes of sets whose head is loaded, least labels (then least index) on top; pending those to be advanced first. */
struct merge_set {
        struct series_set base;
        struct arena *arena;            /* for what we give */
        struct arena *scratch;          /* NULL, or for one series' worth: cleared by next() */
        struct series_set **sets;
        struct series *heads;
        uint32_t *heap, *pending;
        size_t n_heap, n_pending;
};

static bool head_less(const struct merge_set *m, uint32_t a, uint32_t b)
{
        int c = labels_cmp(m->heads[a].labels, m->heads[b].labels);
        return c < 0 || (c == 0 && a < b);
}

static void heap_push(struct merge_set *m, uint32_t x)
{
        size_t i = m->n_heap++;
        for (; i > 0; i = (i - 1) / 2) {
                size_t up = (i - 1) / 2;
                if (!head_less(m, x, m->heap[up]))
                        break;
                m->heap[i] = m->heap[up];
        }
        m->heap[i] = x;
}

static uint32_t heap_pop(struct merge_set *m)
{
        uint32_t top = m->heap[0], x = m->heap[--m->n_heap];
        size_t i = 0;
        for (;;) {
                size_t kid = 2 * i + 1;
                if (kid >= m->n_heap)
                        break;
                if (kid + 1 < m->n_heap && head_less(m, m->heap[kid + 1], m->heap[kid]))
                        kid++;
                if (!head_less(m, m->heap[kid], x))
                        break;
                m->heap[i] = m->heap[kid];
                i = kid;
        }
        m->heap[i] = x;
        return top;
}

static bool chunk_same(const struct chunk *a, const struct chunk *b)
{
        return a->mint_ms == b->mint_ms && a->maxt_ms == b->maxt_ms && a->encoding == b->encoding && str_eq(a->data, b->data);
}

/* Chunks of one source whose deletions must not reach other sources: wholly deleted ones go, touched ones are encoded anew. */
static struct error *apply_deleted(struct arena *arena, const struct series *s, struct chunk *to, size_t room, size_t *ret_n)
{
        struct error *e = NULL;
        struct samples buf = SAMPLES_INIT;
        size_t n = 0;
        for (size_t i = 0; i < s->n_chunks; i++) {
                const struct chunk *c = &s->chunks[i];
                if (intervals_cover(s->deleted, s->n_deleted, c->mint_ms, c->maxt_ms))
                        continue;
                if (!intervals_touch(s->deleted, s->n_deleted, c->mint_ms, c->maxt_ms)) {
                        to[n++] = *c;
                        continue;
                }
                struct series one = {.chunks = c, .n_chunks = 1, .deleted = s->deleted, .n_deleted = s->n_deleted};
                /* One chunk stays one where it can, so that `to` has room: longer ones are cut at 120 samples. */
                struct chunk *made;
                size_t n_made;
                e = series_encode_anew(&one, TIME_MS_MIN, TIME_MS_MAX, &buf, arena, &made, &n_made);
                if (e)
                        goto out;
                if (n + n_made + (s->n_chunks - i - 1) > room) {
                        e = error_new(ERROR_LIMIT, "too many samples in one chunk with deletions");
                        goto out;
                }
                for (size_t k = 0; k < n_made; k++)
                        to[n++] = made[k];
        }
        *ret_n = n;
out:
        samples_done(&buf);
        return e;
}

static size_t room_for(const struct series *s)
{
        size_t n = s->n_chunks;
        if (s->n_deleted)
                n += series_samples_max(s, TIME_MS_MIN, TIME_MS_MAX) / 120;
        return n;
}

/* Do deletions of part i cover time in which another part has chunks? */
static bool deletions_reach_others(const struct merge_set *m, const uint32_t *parts, size_t n, size_t i)
{
        const struct series *s = &m->heads[parts[i]];
        for (size_t k = 0; k < n; k++) {
                const struct series *o = &m->heads[parts[k]];
                for (size_t j = 0; k != i && j < o->n_chunks; j++)
                        if (intervals_touch(s->deleted, s->n_deleted, o->chunks[j].mint_ms, o->chunks[j].maxt_ms))
                                return true;
        }
        return false;
}

static int interval_cmp(const void *a, const void *b)
{
        const struct interval *x = a, *y = b;
        return (x->mint_ms > y->mint_ms) - (x->mint_ms < y->mint_ms);
}

static struct error *join(struct merge_set *m, const uint32_t *parts, size_t n, struct series *ret)
{
        struct arena *arena = m->scratch ? m->scratch : m->arena;
        size_t room = 0, n_deleted = 0;
        for (size_t i = 0; i < n; i++) { /* chunks are what can be joined */
                struct series *s = &m->heads[parts[i]];
                struct samples buf = SAMPLES_INIT;
                struct chunk *made = NULL;
                struct error *e = s->fold ? series_encode_anew(s, TIME_MS_MIN, TIME_MS_MAX, &buf, arena, &made, &s->n_chunks) : NULL;
                samples_done(&buf);
                if (e)
                        return e;
                if (s->fold)
                        *s = (struct series){.labels = s->labels, .chunks = made, .n_chunks = s->n_chunks};
        }
        for (size_t i = 0; i < n; i++) {
                room += room_for(&m->heads[parts[i]]);
                n_deleted += m->heads[parts[i]].n_deleted;
        }
        struct chunk *chunks = arena_try_alloc(arena, arena_array_bytes(room ? room : 1, sizeof *chunks));
        struct interval *deleted = n_deleted ? arena_try_alloc(arena, n_deleted * sizeof *deleted) : NULL;
        if (!chunks || (n_deleted && !deleted))
                return over_budget(arena);

        size_t n_chunks = 0, n_d = 0;
        for (size_t i = 0; i < n; i++) {
                const struct series *s = &m->heads[parts[i]];
                if (s->n_deleted && deletions_reach_others(m, parts, n, i)) {
                        size_t got = 0;
                        struct error *e = apply_deleted(arena, s, chunks + n_chunks, room_for(s), &got);
                        if (e)
                                return e;
                        n_chunks += got;
                        continue;
                }
                if (s->n_chunks)
                        memcpy(chunks + n_chunks, s->chunks, s->n_chunks * sizeof *chunks);
                n_chunks += s->n_chunks;
                for (size_t k = 0; k < s->n_deleted; k++)
                        deleted[n_d++] = s->deleted[k];
        }
        /* Mostly in order already; insertion keeps equal ones in the order of their parts. */
        size_t to = 0;
        for (size_t i = 0; i < n_chunks; i++) {
                struct chunk c = chunks[i];
                size_t k = to;
                while (k > 0 && chunks[k - 1].mint_ms > c.mint_ms)
                        k--;
                bool is_double = false;
                for (size_t j = k; j > 0 && chunks[j - 1].mint_ms == c.mint_ms && !is_double; j--)
                        is_double = chunk_same(&chunks[j - 1], &c);
                if (is_double)
                        continue;
                memmove(chunks + k + 1, chunks + k, (to - k) * sizeof *chunks);
                chunks[k] = c;
                to++;
        }
        n_chunks = to;
        if (n_d > 1) {
                qsort(deleted, n_d, sizeof *deleted, interval_cmp);
                size_t w = 0;
                for (size_t i = 1; i < n_d; i++) {
                        if (deleted[i].mint_ms <= deleted[w].maxt_ms)
                                deleted[w].maxt_ms = MAX(deleted[w].maxt_ms, deleted[i].maxt_ms);
                        else
                                deleted[++w] = deleted[i];
                }
                n_d = w + 1;
        }
        *ret = (struct series){.labels = m->heads[parts[0]].labels, .chunks = chunks, .n_chunks = n_chunks, .deleted = deleted, .n_deleted = n_d};
        return NULL;
}

static struct error *merge_set_next(struct series_set *base, struct series *ret, bool *ret_more)
{
        struct merge_set *m = CONTAINER_OF(base, struct merge_set, base);
        if (m->scratch)
                arena_clear(m->scratch);
        size_t n = m->n_pending;
        m->n_pending = 0;
        for (size_t i = 0; i < n; i++) {
                uint32_t k = m->pending[i];
                bool more = false;
                struct error *e = series_set_next(m->sets[k], &m->heads[k], &more);
                if (e)
                        return e;
                if (more)
                        heap_push(m, k);
        }
        *ret_more = m->n_heap > 0;
        if (!*ret_more)
                return NULL;
        do
                m->pending[m->n_pending++] = heap_pop(m);
        while (m->n_heap > 0 && labels_eq(m->heads[m->heap[0]].labels, m->heads[m->pending[0]].labels));
        if (m->n_pending == 1) {
                *ret = m->heads[m->pending[0]];
                return NULL;
        }
        return join(m, m->pending, m->n_pending, ret);
}

struct error *merge_series_sets(struct arena *arena, struct arena *scratch, struct series_set *const *sets, size_t n, struct series_set **ret)
{
        static const struct series_set_ops ops = {.next = merge_set_next};
        if (n == 1) {
                *ret = sets[0];
                return NULL;
        }
        if (n == 0) {
                *ret = series_set_of(arena, NULL, 0);
                return NULL;
        }
        struct merge_set *m = arena_new(arena, struct merge_set);
        *m = (struct merge_set){.base.ops = &ops, .arena = arena, .scratch = scratch};
        m->sets = arena_array(arena, struct series_set *, n);
        memcpy(m->sets, sets, n * sizeof *sets);
        m->heads = arena_array(arena, struct series, n);
        m->heap = arena_array(arena, uint32_t, n);
        m->pending = arena_array(arena, uint32_t, n);
        for (size_t i = 0; i < n; i++)
                m->pending[m->n_pending++] = (uint32_t)i;
        *ret = &m->base;
        return NULL;
}

struct merge_querier {
        struct querier base;
        struct arena *arena;
        struct querier **parts;
        size_t n;
};

static struct error *mq_select(struct querier *base, const struct select_hints *h, const struct matcher *const *m, size_t n_m, struct series_set **ret)
{
        struct merge_querier *q = CONTAINER_OF(base, struct merge_querier, base);
        struct select_hints hints = *h;
        if (q->n > 1)
                hints.sorted = true;
        struct series_set **sets = arena_array(q->arena, struct series_set *, q->n + 1);
        for (size_t i = 0; i < q->n; i++) {
                struct error *e = querier_select(q->parts[i], &hints, m, n_m, &sets[i]);
                if (e)
                        return e;
        }
        return merge_series_sets(q->arena, /* scratch= */ NULL, sets, q->n, ret);
}

static void sort_unique(StrVec *v, size_t from, size_t limit)
{
        strs_sort_unique(v, from);
        if (limit && v->n - from > limit)
                v->n = from + limit;
}

static struct error *mq_label_names(struct querier *base, const struct matcher *const *m, size_t n_m, size_t limit, StrVec *ret)
{
        struct merge_querier *q = CONTAINER_OF(base, struct merge_querier, base);
        size_t from = ret->n;
        for (size_t i = 0; i < q->n; i++) {
                struct error *e = querier_label_names(q->parts[i], m, n_m, limit, ret);
                if (e) {
                        ret->n = from;
                        return e;
                }
        }
        sort_unique(ret, from, limit);
        return NULL;
}

static struct error *mq_label_values(struct querier *base, Str name, const struct matcher *const *m, size_t n_m, size_t limit, StrVec *ret)
{
        struct merge_querier *q = CONTAINER_OF(base, struct merge_querier, base);
        size_t from = ret->n;
        for (size_t i = 0; i < q->n; i++) {
                struct error *e = querier_label_values(q->parts[i], name, m, n_m, limit, ret);
                if (e) {
                        ret->n = from;
                        return e;
                }
        }
        sort_unique(ret, from, limit);
        return NULL;
}

static void mq_warnings(struct querier *base, StrVec *ret)
{
        struct merge_querier *q = CONTAINER_OF(base, struct merge_querier, base);
        for (size_t i = 0; i < q->n; i++)
                querier_warnings(q->parts[i], ret);
}

static void mq_close(struct querier *base)
{
        struct merge_querier *q = CONTAINER_OF(base, struct merge_querier, base);
        for (size_t i = 0; i < q->n; i++)
                querier_close(q->parts[i]);
}

struct error *merge_querier_new(struct arena *arena, struct querier *const *take_parts, size_t n, struct querier **ret)
{
        static const struct querier_ops ops = {
                .select = mq_select, .label_names = mq_label_names, .label_values = mq_label_values, .warnings = mq_warnings, .close = mq_close};
        struct merge_querier *q = arena_try_alloc(arena, sizeof *q + n * sizeof(struct querier *));
        if (!q) {
                for (size_t i = 0; i < n; i++)
                        querier_close(take_parts[i]);
                return over_budget(arena);
        }
        *q = (struct merge_querier){.base.ops = &ops, .arena = arena, .parts = (struct querier **)(q + 1), .n = n};
        if (n)
                memcpy(q->parts, take_parts, n * sizeof *take_parts);
        *ret = &q->base;
        return NULL;
}

struct merge_storage {
        struct storage base;
        size_t n;
        struct storage *parts[];
};

static struct error *ms_querier(struct storage *base, TimeMs mint_ms, TimeMs maxt_ms, struct arena *arena, struct querier **ret)
{
        struct merge_storage *s = CONTAINER_OF(base, struct merge_storage, base);
        struct querier **parts = arena_array(arena, struct querier *, s->n + 1);
        for (size_t i = 0; i < s->n; i++) {
                struct error *e = storage_querier(s->parts[i], mint_ms, maxt_ms, arena, &parts[i]);
                if (e) {
                        while (i > 0)
                                querier_close(parts[--i]);
                        return e;
                }
        }
        return merge_querier_new(arena, parts, s->n, ret);
}

struct storage *merge_storage_new(struct storage *const *parts, size_t n)
{
        static const struct storage_ops ops = {.querier = ms_querier};
        struct merge_storage *s = mem_alloc(sizeof *s + n * sizeof *parts);
        s->base.ops = &ops;
        s->n = n;
        if (n)
                memcpy(s->parts, parts, n * sizeof *parts);
        return &s->base;
}

void merge_storage_free(struct storage *s)
{
        if (s)
                free(CONTAINER_OF(s, struct merge_storage, base));
}
