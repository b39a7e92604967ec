/* SPDX-License-Identifier: Apache-2.0 */
/* What both kinds can do. */
#include "model/histogram_layout.h"

static bool copy(struct arena *a, const void *from, size_t n, size_t size, void *ret_p)
{
        void *p = NULL;
        if (n) {
                p = arena_try_alloc(a, arena_array_bytes(n, size));
                if (!p)
                        return false;
                memcpy(p, from, n * size);
        }
        memcpy(ret_p, &p, sizeof p);
        return true;
}

struct error *histogram_sample_dup(struct arena *a, struct histogram_sample s, struct histogram_sample *ret)
{
        bool ok;
        if (s.i) {
                struct int_histogram *h = arena_try_alloc(a, sizeof *h);
                if (!h)
                        return histogram_no_memory(a);
                *h = *s.i;
                ok = copy(a, s.i->pos.spans, h->pos.n_spans, sizeof *h->pos.spans, &h->pos.spans) &&
                     copy(a, s.i->neg.spans, h->neg.n_spans, sizeof *h->neg.spans, &h->neg.spans) &&
                     copy(a, s.i->pos.deltas, h->pos.n, sizeof *h->pos.deltas, &h->pos.deltas) &&
                     copy(a, s.i->neg.deltas, h->neg.n, sizeof *h->neg.deltas, &h->neg.deltas) &&
                     copy(a, s.i->bounds, h->n_bounds, sizeof *h->bounds, &h->bounds);
                *ret = (struct histogram_sample){.i = h};
        } else {
                struct histogram *h = arena_try_alloc(a, sizeof *h);
                if (!h)
                        return histogram_no_memory(a);
                *h = *s.f;
                ok = copy(a, s.f->pos.spans, h->pos.n_spans, sizeof *h->pos.spans, &h->pos.spans) &&
                     copy(a, s.f->neg.spans, h->neg.n_spans, sizeof *h->neg.spans, &h->neg.spans) &&
                     copy(a, s.f->pos.counts, h->pos.n, sizeof *h->pos.counts, &h->pos.counts) &&
                     copy(a, s.f->neg.counts, h->neg.n, sizeof *h->neg.counts, &h->neg.counts) &&
                     copy(a, s.f->bounds, h->n_bounds, sizeof *h->bounds, &h->bounds);
                *ret = (struct histogram_sample){.f = h};
        }
        return ok ? NULL : histogram_no_memory(a);
}

static bool deltas_eq(const struct int_buckets *a, const struct int_buckets *b)
{
        if (a->n != b->n || (a->n && memcmp(a->deltas, b->deltas, a->n * sizeof *a->deltas) != 0))
                return false;
        struct layout_pos x = layout_of(a->spans, a->n_spans, a->n), y = layout_of(b->spans, b->n_spans, b->n);
        for (;;) {
                bool more = layout_next(&x);
                if (more != layout_next(&y))
                        return false;
                if (!more)
                        return true;
                if (x.index != y.index)
                        return false;
        }
}

bool histogram_sample_eq(struct histogram_sample a, struct histogram_sample b)
{
        if (!a.i != !b.i || !a.f != !b.f)
                return false;
        if (!a.i)
                return !a.f || histogram_eq(a.f, b.f);
        return a.i->schema == b.i->schema && a.i->count == b.i->count &&
               memcmp(&a.i->sum, &b.i->sum, sizeof a.i->sum) == 0 &&
               (a.i->schema != HISTOGRAM_SCHEMA_CUSTOM ||
                histogram_bounds_eq(a.i->bounds, a.i->n_bounds, b.i->bounds, b.i->n_bounds)) &&
               a.i->zero_threshold == b.i->zero_threshold && a.i->zero_count == b.i->zero_count &&
               deltas_eq(&a.i->neg, &b.i->neg) && deltas_eq(&a.i->pos, &b.i->pos);
}

struct error *histogram_sample_check(struct histogram_sample s)
{
        return s.i ? int_histogram_check(s.i) : histogram_check(s.f);
}

struct error *histogram_sample_reduce_reserved(struct arena *a, struct histogram_sample *s)
{
        int32_t schema = s->i ? s->i->schema : s->f->schema;
        if (schema <= HISTOGRAM_SCHEMA_MAX || schema > HISTOGRAM_SCHEMA_MAX_RESERVED)
                return NULL;
        struct histogram_sample c;
        struct error *e = histogram_sample_dup(a, *s, &c);
        if (e)
                return e;
        e = c.i ? int_histogram_reduce(a, (struct int_histogram *)(uintptr_t)c.i, HISTOGRAM_SCHEMA_MAX)
                : histogram_reduce(a, (struct histogram *)(uintptr_t)c.f, HISTOGRAM_SCHEMA_MAX);
        if (!e)
                *s = c;
        return e;
}
