/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/memory.h"

#include "base/map.h"
#include "base/thread.h"
#include "storage/decode.h"
#include "storage/merge.h"

struct mem_series {
        Labels labels;
        struct samples samples;         /* of a histogram: its sum */
        struct histogram_sample *h;     /* as many; NULL: floats only; in the storage's arena */
        TimeMs *start;                  /* as many; NULL: no start times */
        size_t cap_h, cap_start;
};

struct memory {
        struct storage base;
        struct exemplars *exemplars;
        struct mutex mu;                /* guards all below */
        struct arena arena;             /* labels and keys */
        struct map by_key;              /* label bytes -> struct mem_series */
        VEC(struct mem_series *) series; /* ref - 1 */
        VEC(struct mem_series *) sorted; /* by labels; stale when shorter than series */
};

static const struct storage_ops memory_ops;
enum { EXEMPLARS = 1000 };

struct exemplars *memory_storage_exemplars(struct storage *s)
{
        return CONTAINER_OF(s, struct memory, base)->exemplars;
}

struct storage *memory_storage_new(void)
{
        struct memory *m = mem_new(struct memory);
        m->base.ops = &memory_ops;
        mutex_init(&m->mu);
        m->exemplars = exemplars_new(EXEMPLARS, 0);
        arena_init(&m->arena, SIZE_MAX / 2);
        return &m->base;
}

void memory_storage_free(struct storage *s)
{
        if (!s)
                return;
        struct memory *m = CONTAINER_OF(s, struct memory, base);
        for (size_t i = 0; i < m->series.n; i++) {
                samples_done(&m->series.p[i]->samples);
                free(m->series.p[i]->h);
                free(m->series.p[i]->start);
                free(m->series.p[i]);
        }
        vec_done(&m->series);
        vec_done(&m->sorted);
        map_done(&m->by_key);
        arena_done(&m->arena);
        mutex_done(&m->mu);
        exemplars_free(m->exemplars);
        free(m);
}

static void put_key(struct buf *b, Labels ls)
{
        for (size_t i = 0; i < ls.n; i++) {
                buf_put(b, ls.v[i].name);
                buf_putc(b, '\xff');
                buf_put(b, ls.v[i].value);
                buf_putc(b, '\xff');
        }
}

static struct mem_series *get_series_locked(struct memory *m, Labels ls, SeriesRef *ret_ref)
{
        struct buf key = BUF_INIT(BUF_NO_LIMIT);
        put_key(&key, ls);
        /* An empty label set has the empty key, which map takes as well as any other. */
        struct mem_series *s = map_get(&m->by_key, buf_str(&key));
        if (!s) {
                s = mem_new(struct mem_series);
                s->labels = labels_dup(&m->arena, ls);
                map_set(&m->by_key, arena_str(&m->arena, buf_str(&key)), s);
                vec_push(&m->series, s);
                *ret_ref = m->series.n;
        } else if (*ret_ref == 0) {
                for (size_t i = 0; i < m->series.n; i++)
                        if (m->series.p[i] == s)
                                *ret_ref = i + 1;
        }
        buf_done(&key);
        return s;
}

static struct error *judge(const struct mem_series *of, TimeMs t, double v, struct histogram_sample h, bool *ret_is_new)
{
        const struct samples *s = &of->samples;
        *ret_is_new = true;
        if (s->n == 0 || t > s->t[s->n - 1])
                return NULL;
        if (t < s->t[s->n - 1])
                return &error_out_of_order_sample;
        *ret_is_new = false;            /* bits, not ==: a staleness marker is a NaN */
        if (h.i || h.f || (of->h && (of->h[s->n - 1].i || of->h[s->n - 1].f)))
                return of->h && histogram_sample_eq(h, of->h[s->n - 1]) ? NULL : &error_duplicate_sample;
        return memcmp(&s->v[s->n - 1], &v, sizeof v) == 0 ? NULL : &error_duplicate_sample;
}

/* Room for one more beside n samples, the new ones zero. */
static void *column_grow(void *p, size_t n, size_t *cap, size_t size)
{
        if (n < *cap)
                return p;
        size_t more = MAX(n + 1, *cap * 2);
        p = mem_realloc_array(p, more, size);
        memset((char *)p + *cap * size, 0, (more - *cap) * size);
        *cap = more;
        return p;
}

static void push(struct mem_series *s, TimeMs start, TimeMs t, double v, struct histogram_sample h)
{
        size_t n = s->samples.n;
        if (s->h || h.i || h.f) {
                s->h = column_grow(s->h, n, &s->cap_h, sizeof *s->h);
                s->h[n] = h;
        }
        if (s->start || start) {
                s->start = column_grow(s->start, n, &s->cap_start, sizeof *s->start);
                s->start[n] = start;
        }
        samples_push(&s->samples, t, v);
}

struct error *memory_storage_add(struct storage *st, Labels labels, TimeMs t, double v)
{
        struct memory *m = CONTAINER_OF(st, struct memory, base);
        mutex_lock(&m->mu);
        SeriesRef ref = 1;              /* not asked for */
        struct mem_series *s = get_series_locked(m, labels, &ref);
        bool is_new;
        struct error *e = judge(s, t, v, (struct histogram_sample){0}, &is_new);
        if (!e && is_new)
                push(s, /* start= */ 0, t, v, (struct histogram_sample){0});
        mutex_unlock(&m->mu);
        return e;
}

size_t memory_storage_series(const struct storage *s)
{
        return CONTAINER_OF(s, struct memory, base)->series.n;
}

struct pending {
        struct mem_series *series;
        TimeMs start, t;
        double v;
        struct histogram_sample h;
};
struct pending_exemplar {
        struct mem_series *series;
        struct exemplar x;
};
struct mem_appender {
        struct appender base;
        struct memory *m;
        TimeMs start;                   /* of what comes next */
        VEC(struct pending) samples;
        VEC(struct pending_exemplar) exemplars;
        struct arena arena;             /* their labels */
};

static struct error *add(struct appender *base, SeriesRef ref, Labels labels, TimeMs t, double v, struct histogram_sample h, SeriesRef *ret_ref)
{
        struct mem_appender *a = CONTAINER_OF(base, struct mem_appender, base);
        struct memory *m = a->m;
        struct error *e = NULL;
        struct mem_series *s;
        mutex_lock(&m->mu);
        if (ref >= 1 && ref <= m->series.n) {
                s = m->series.p[ref - 1];
        } else if (labels.n == 0) {
                e = error_new(ERROR_NOT_FOUND, "unknown series reference %llu", (unsigned long long)ref);
                goto out;
        } else {
                ref = 0;
                s = get_series_locked(m, labels, &ref);
        }
        bool is_new;
        e = judge(s, t, v, h, &is_new);
        if (!e && (h.i || h.f))
                e = histogram_sample_dup(&m->arena, h, &h);
        if (e)
                goto out;
        vec_push(&a->samples, (struct pending){s, a->start, t, v, h});
        *ret_ref = ref;
out:
        mutex_unlock(&m->mu);
        return e;
}

static struct error *ma_append(struct appender *base, SeriesRef ref, Labels labels, TimeMs t, double v, SeriesRef *ret_ref)
{
        return add(base, ref, labels, t, v, (struct histogram_sample){0}, ret_ref);
}

static struct error *ma_append_histogram(struct appender *base, SeriesRef ref, Labels labels, TimeMs t, struct histogram_sample s, SeriesRef *ret_ref)
{
        struct error *e = histogram_sample_check(s);
        return e ? e : add(base, ref, labels, t, histogram_sample_sum(s), s, ret_ref);
}

static void ma_set_start(struct appender *base, TimeMs start)
{
        CONTAINER_OF(base, struct mem_appender, base)->start = start;
}

static struct error *ma_append_exemplar(struct appender *base, SeriesRef ref, Labels labels, const struct exemplar *x)
{
        struct mem_appender *a = CONTAINER_OF(base, struct mem_appender, base);
        struct memory *m = a->m;
        mutex_lock(&m->mu);
        struct mem_series *s = ref >= 1 && ref <= m->series.n ? m->series.p[ref - 1] : NULL;
        if (!s && labels.n)
                s = get_series_locked(m, labels, &ref);
        mutex_unlock(&m->mu);
        if (!s)
                return error_new(ERROR_NOT_FOUND, "unknown series reference %llu", (unsigned long long)ref);
        struct error *e = exemplars_check(m->exemplars, s->labels, x);
        if (e)
                return e == &error_duplicate_exemplar ? NULL : e;
        struct pending_exemplar p = {s, *x};
        p.x.labels = labels_dup(&a->arena, x->labels);
        vec_push(&a->exemplars, p);
        return NULL;
}

static void ma_free(struct mem_appender *a)
{
        vec_done(&a->samples);
        vec_done(&a->exemplars);
        arena_done(&a->arena);
        free(a);
}

static struct error *ma_commit(struct appender *base)
{
        struct mem_appender *a = CONTAINER_OF(base, struct mem_appender, base);
        mutex_lock(&a->m->mu);
        for (size_t i = 0; i < a->samples.n; i++) {
                const struct pending *p = &a->samples.p[i];
                bool is_new;
                /* Refused only now (two samples of one batch): dropped, as the head does. */
                if (judge(p->series, p->t, p->v, p->h, &is_new) == NULL && is_new)
                        push(p->series, p->start, p->t, p->v, p->h);
        }
        mutex_unlock(&a->m->mu);
        for (size_t i = 0; i < a->exemplars.n; i++)
                error_ignore(exemplars_add(a->m->exemplars, a->exemplars.p[i].series->labels, &a->exemplars.p[i].x), "another was first");
        ma_free(a);
        return NULL;
}

static void ma_rollback(struct appender *base)
{
        ma_free(CONTAINER_OF(base, struct mem_appender, base));
}

static struct error *memory_appender(struct storage *st, struct appender **ret)
{
        static const struct appender_ops ops = {
                .append = ma_append, .append_histogram = ma_append_histogram, .append_exemplar = ma_append_exemplar, .set_start = ma_set_start, .commit = ma_commit, .rollback = ma_rollback};
        struct mem_appender *a = mem_new(struct mem_appender);
        a->base.ops = &ops;
        a->m = CONTAINER_OF(st, struct memory, base);
        arena_init(&a->arena, SIZE_MAX);
        *ret = &a->base;
        return NULL;
}

struct mem_querier {
        struct querier base;
        struct memory *m;
        struct arena *arena;
        TimeMs mint_ms, maxt_ms;
};

static int series_cmp(const void *a, const void *b)
{
        return labels_cmp((*(struct mem_series *const *)a)->labels, (*(struct mem_series *const *)b)->labels);
}

static void sort_locked(struct memory *m)
{
        if (m->sorted.n == m->series.n)
                return;
        vec_clear(&m->sorted);
        for (size_t i = 0; i < m->series.n; i++)
                vec_push(&m->sorted, m->series.p[i]);
        qsort(m->sorted.p, m->sorted.n, sizeof *m->sorted.p, series_cmp);
}

static void range_of(const struct samples *s, TimeMs mint, TimeMs maxt, size_t *ret_from, size_t *ret_to)
{
        size_t from = 0, to = s->n;
        while (from < to && s->t[from] < mint)
                from++;
        while (to > from && s->t[to - 1] > maxt)
                to--;
        *ret_from = from;
        *ret_to = to;
}

static struct error *mem_select(struct querier *base, const struct select_hints *h, const struct matcher *const *ms, size_t n_m, struct series_set **ret)
{
        struct mem_querier *q = CONTAINER_OF(base, struct mem_querier, base);
        struct memory *m = q->m;
        struct error *e = NULL;
        VEC(struct series) found = VEC_INIT;
        mutex_lock(&m->mu);
        sort_locked(m);
        for (size_t i = 0; i < m->sorted.n; i++) {
                struct mem_series *s = m->sorted.p[i];
                size_t from, to;
                if (!matchers_match(ms, n_m, s->labels))
                        continue;
                range_of(&s->samples, q->mint_ms, q->maxt_ms, &from, &to);
                if (from == to)
                        continue;
                struct chunk *chunks = NULL;
                size_t n_chunks = 0;
                if (!h->labels_only) {
                        /* Histograms from the first on: what a chunk says of counter resets hangs on what was before. */
                        if (s->start && !s->h)
                                s->h = column_grow(s->h, s->samples.n, &s->cap_h, sizeof *s->h);
                        struct raw_samples raw = {.t = s->samples.t, .v = s->samples.v, .h = s->h, .start = s->start, .n = to};
                        e = s->h ? raw_samples_encode(&raw, q->arena, &chunks, &n_chunks)
                                 : samples_encode(raw.t + from, raw.v + from, to - from, q->arena, &chunks, &n_chunks);
                        if (e)
                                goto out;
                        while (n_chunks > 0 && chunks->maxt_ms < q->mint_ms) {
                                chunks++;
                                n_chunks--;
                        }
                }
                vec_push(&found, (struct series){.labels = labels_dup(q->arena, s->labels), .chunks = chunks, .n_chunks = n_chunks});
        }
        struct series *copy = arena_try_alloc(q->arena, arena_array_bytes(found.n ? found.n : 1, sizeof *copy));
        if (!copy) {
                e = error_new(ERROR_LIMIT, "memory limit of %zu bytes reached while selecting series", q->arena->limit_bytes);
                goto out;
        }
        if (found.n)
                memcpy(copy, found.p, found.n * sizeof *copy);
        *ret = series_set_of(q->arena, copy, found.n);
out:
        mutex_unlock(&m->mu);
        vec_done(&found);
        return e;
}

/* Names (name.n == 0) or values of one name, over series that match and have samples in range. */
static void collect(struct mem_querier *q, Str name, const struct matcher *const *ms, size_t n_m, size_t limit, StrVec *ret)
{
        struct memory *m = q->m;
        size_t start = ret->n;
        mutex_lock(&m->mu);
        for (size_t i = 0; i < m->series.n; i++) {
                struct mem_series *s = m->series.p[i];
                size_t from, to;
                if (!matchers_match(ms, n_m, s->labels))
                        continue;
                range_of(&s->samples, q->mint_ms, q->maxt_ms, &from, &to);
                if (from == to)
                        continue;
                for (size_t k = 0; k < s->labels.n; k++) {
                        if (name.n == 0)
                                vec_push(ret, arena_str(q->arena, s->labels.v[k].name));
                        else if (str_eq(s->labels.v[k].name, name))
                                vec_push(ret, arena_str(q->arena, s->labels.v[k].value));
                }
        }
        mutex_unlock(&m->mu);
        if (ret->n > start)
                qsort(ret->p + start, ret->n - start, sizeof *ret->p, str_cmp_qsort);
        size_t w = start;
        for (size_t i = start; i < ret->n; i++)
                if (w == start || !str_eq(ret->p[w - 1], ret->p[i]))
                        ret->p[w++] = ret->p[i];
        ret->n = limit && w - start > limit ? start + limit : w;
}

static struct error *mem_label_names(struct querier *base, const struct matcher *const *m, size_t n_m, size_t limit, StrVec *ret)
{
        collect(CONTAINER_OF(base, struct mem_querier, base), (Str){0}, m, n_m, limit, ret);
        return NULL;
}

static struct error *mem_label_values(struct querier *base, Str name, const struct matcher *const *m, size_t n_m, size_t limit, StrVec *ret)
{
        if (name.n)
                collect(CONTAINER_OF(base, struct mem_querier, base), name, m, n_m, limit, ret);
        return NULL;
}

static void mem_close(struct querier *base)
{
}

static struct error *memory_querier(struct storage *st, TimeMs mint_ms, TimeMs maxt_ms, struct arena *arena, struct querier **ret)
{
        static const struct querier_ops ops = {
                .select = mem_select, .label_names = mem_label_names, .label_values = mem_label_values, .close = mem_close};
        struct mem_querier *q = arena_new(arena, struct mem_querier);
        *q = (struct mem_querier){.base.ops = &ops, .m = CONTAINER_OF(st, struct memory, base), .arena = arena, .mint_ms = mint_ms, .maxt_ms = maxt_ms};
        *ret = &q->base;
        return NULL;
}

static const struct storage_ops memory_ops = {.querier = memory_querier, .appender = memory_appender};
