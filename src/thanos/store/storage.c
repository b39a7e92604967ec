/* SPDX-License-Identifier: Apache-2.0 */
/* The bucket store as a storage: raw data only. What a set gives is copied into the querier's arena: chunks of a bucket
 * lie in windows that go. */
#include "thanos/store/store_impl.h"

struct store_querier {
        struct querier base;
        struct bucket_store *s;
        struct arena *arena;
        TimeMs mint_ms, maxt_ms;
        VEC(struct copy_set *) sets;
};
struct copy_set {
        struct series_set base;
        struct store_querier *q;
        struct store_set *set; /* NULL: all was given */
        const struct matcher **matchers;
        struct store_series ahead; /* labels, chunks: of the set, until its next call */
        bool has_ahead;
};

static struct error *try_str(struct arena *a, Str s, Str *ret)
{
        char *p = arena_try_alloc(a, s.n + 1);
        if (!p)
                return store_over_budget(a);
        if (s.n)
                memcpy(p, s.p, s.n);
        p[s.n] = '\0';
        *ret = (Str){p, s.n};
        return NULL;
}

static struct error *copy_labels(struct arena *a, Labels l, Labels *ret)
{
        size_t bytes = 0;
        for (size_t i = 0; i < l.n; i++)
                bytes += l.v[i].name.n + l.v[i].value.n;
        Label *to = arena_try_alloc(a, (l.n + 1) * sizeof *to + bytes);
        if (!to)
                return store_over_budget(a);
        char *p = (char *)(to + l.n + 1);
        for (size_t i = 0; i < l.n; i++) {
                memcpy(p, l.v[i].name.p, l.v[i].name.n);
                to[i].name = (Str){p, l.v[i].name.n};
                p += l.v[i].name.n;
                memcpy(p, l.v[i].value.p, l.v[i].value.n);
                to[i].value = (Str){p, l.v[i].value.n};
                p += l.v[i].value.n;
        }
        *ret = (Labels){to, l.n};
        return NULL;
}

typedef VEC(struct chunk) ChunkVec;

static struct error *copy_chunks(struct arena *a, const struct store_series *x, ChunkVec *to)
{
        for (size_t i = 0; i < x->n_chunks; i++) {
                struct chunk c = {.mint_ms = x->chunks[i].mint_ms,
                                  .maxt_ms = x->chunks[i].maxt_ms,
                                  .encoding = x->chunks[i].encoding};
                struct error *e = try_str(a, x->chunks[i].raw, &c.data);
                if (e)
                        return e;
                vec_push(to, c);
        }
        return NULL;
}

static int chunk_cmp(const void *a, const void *b)
{
        const struct chunk *x = a, *y = b;
        if (x->mint_ms != y->mint_ms)
                return x->mint_ms < y->mint_ms ? -1 : 1;
        return x->maxt_ms < y->maxt_ms ? -1 : x->maxt_ms > y->maxt_ms;
}

static struct error *copy_next(struct series_set *base, struct series *ret, bool *ret_more)
{
        struct copy_set *s = CONTAINER_OF(base, struct copy_set, base);
        struct arena *a = s->q->arena;
        struct error *e = NULL;
        *ret_more = false;
        if (s->set && !s->has_ahead)
                e = store_set_next(s->set, &s->ahead, &s->has_ahead);
        if (e || !s->has_ahead)
                return e;
        *ret = (struct series){0};
        ChunkVec chunks = VEC_INIT;
        e = copy_labels(a, s->ahead.labels, &ret->labels);
        /* One series may come in several pieces. */
        while (!e && s->has_ahead && labels_eq(ret->labels, s->ahead.labels)) {
                e = copy_chunks(a, &s->ahead, &chunks);
                s->has_ahead = false;
                if (!e)
                        e = store_set_next(s->set, &s->ahead, &s->has_ahead);
        }
        if (!e && chunks.n) {
                struct chunk *c = arena_try_alloc(a, chunks.n * sizeof *c);
                if (!c) {
                        e = store_over_budget(a);
                } else {
                        memcpy(c, chunks.p, chunks.n * sizeof *c);
                        qsort(c, chunks.n, sizeof *c, chunk_cmp);
                        ret->chunks = c;
                        ret->n_chunks = chunks.n;
                }
        }
        vec_done(&chunks);
        *ret_more = !e;
        if (!e && !s->has_ahead) {
                store_set_free(s->set);
                s->set = NULL;
        }
        return e;
}

static const struct series_set_ops copy_ops = {copy_next};

static struct error *q_select(struct querier *base, const struct select_hints *h, const struct matcher *const *m,
                              size_t n_m, struct series_set **ret)
{
        struct store_querier *q = CONTAINER_OF(base, struct store_querier, base);
        struct copy_set *s = arena_new(q->arena, struct copy_set);
        *s = (struct copy_set){.base = {&copy_ops}, .q = q};
        struct store_request r = {.mint_ms = q->mint_ms,
                                  .maxt_ms = q->maxt_ms,
                                  .matchers = m,
                                  .n_matchers = n_m,
                                  .all_without_matchers = true};
        if (h) {
                r.skip_chunks = h->labels_only;
                r.limit = h->limit;
        }
        struct error *e = store_select(q->s, &r, NULL, /* waits= */ false, &s->set);
        if (e)
                return e;
        vec_push(&q->sets, s);
        *ret = &s->base;
        return NULL;
}

static struct error *q_names(struct querier *base, const struct matcher *const *m, size_t n_m, size_t limit,
                             StrVec *ret)
{
        struct store_querier *q = CONTAINER_OF(base, struct store_querier, base);
        struct store_request r = {
                .mint_ms = q->mint_ms, .maxt_ms = q->maxt_ms, .matchers = m, .n_matchers = n_m, .limit = limit};
        return bucket_store_label_names(q->s, &r, NULL, q->arena, ret, NULL);
}

static struct error *q_values(struct querier *base, Str name, const struct matcher *const *m, size_t n_m, size_t limit,
                              StrVec *ret)
{
        struct store_querier *q = CONTAINER_OF(base, struct store_querier, base);
        struct store_request r = {
                .mint_ms = q->mint_ms, .maxt_ms = q->maxt_ms, .matchers = m, .n_matchers = n_m, .limit = limit};
        return bucket_store_label_values(q->s, name, &r, NULL, q->arena, ret, NULL);
}

static void q_close(struct querier *base)
{
        struct store_querier *q = CONTAINER_OF(base, struct store_querier, base);
        for (size_t i = 0; i < q->sets.n; i++)
                store_set_free(q->sets.p[i]->set);
        vec_done(&q->sets);
        free(q);
}

static const struct querier_ops querier_ops = {
        .select = q_select, .label_names = q_names, .label_values = q_values, .close = q_close};

static struct error *st_querier(struct storage *st, TimeMs mint_ms, TimeMs maxt_ms, struct arena *arena,
                                struct querier **ret)
{
        struct store_querier *q = mem_new(struct store_querier);
        q->base.ops = &querier_ops;
        q->s = CONTAINER_OF(st, struct bucket_store, storage);
        q->arena = arena;
        q->mint_ms = mint_ms;
        q->maxt_ms = maxt_ms;
        *ret = &q->base;
        return NULL;
}

static const struct storage_ops storage_ops = {.querier = st_querier};

struct storage *bucket_store_storage(struct bucket_store *s)
{
        s->storage.ops = &storage_ops;
        return &s->storage;
}
