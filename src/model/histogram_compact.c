/* SPDX-License-Identifier: Apache-2.0 */
/* The canonical layout: a function of the populated buckets alone. Two of them share a span exactly if at most
 * max_empty empty ones lie between. */
#include "model/histogram_layout.h"

/* Empty buckets that have to be there between the populated ones at last and at index; SIZE_MAX: a new span starts. */
static size_t fill_of(int64_t last, int64_t index, size_t max_empty, bool is_first)
{
        int64_t gap = index - last - 1;
        return is_first || gap < 0 || (uint64_t)gap > max_empty ? SIZE_MAX : (size_t)gap;
}

struct plan {
        struct span_builder out;
        uint64_t n; /* buckets, fillers included */
};

static void plan_put(struct plan *p, int64_t index, size_t max_empty)
{
        size_t fill = fill_of(p->out.last, index, max_empty, p->out.n == 0);
        for (; fill != SIZE_MAX && fill; fill--)
                span_builder_put(&p->out, p->out.last + 1);
        span_builder_put(&p->out, index);
}

/* How many buckets and spans would it be? Fillers are counted without walking them: gaps come from input. */
static void plan_count(struct plan *p, int64_t index, size_t max_empty)
{
        size_t fill = fill_of(p->out.last, index, max_empty, p->out.n == 0);
        if (fill == SIZE_MAX)
                p->out.n++;
        else
                p->n += fill;
        p->n++;
        p->out.last = index;
}

struct error *buckets_compact(struct arena *a, struct buckets *b, double *comp, size_t max_empty)
{
        struct plan p = {0};
        bool same = true;
        struct layout_pos c = layout_of(b->spans, b->n_spans, b->n);
        while (layout_next(&c)) {
                uint32_t i = c.at - 1;
                if (b->counts[i] != 0 || (comp && comp[i] != 0))
                        plan_count(&p, c.index, max_empty);
                else
                        same = false;
        }
        if (same && p.out.n == b->n_spans && p.n == c.at)
                return NULL; /* counts beyond the spans stay too, as upstream has it */
        if (p.n > UINT32_MAX)
                return histogram_no_memory(a);
        struct span *spans = NULL;
        double *counts = b->counts, *fresh = NULL;
        /* Without fillers nothing moves to the right: in place. */
        bool in_place = p.n <= b->n && max_empty == 0;
        struct error *e = buckets_new(a, p.out.n, in_place ? 0 : (uint32_t)p.n, &spans, &fresh);
        if (e)
                return e;
        double *old_comp = comp, *new_comp = comp;
        if (!in_place) {
                if (comp)
                        return error_new(ERROR_INTERNAL, "compensated counts are compacted without fillers only");
                counts = fresh;
        }
        struct span_builder out = {.spans = spans};
        struct plan q = {.out = out};
        c = layout_of(b->spans, b->n_spans, b->n);
        while (layout_next(&c)) {
                uint32_t i = c.at - 1;
                if (!(b->counts[i] != 0 || (old_comp && old_comp[i] != 0)))
                        continue;
                uint32_t before = q.out.n_buckets;
                plan_put(&q, c.index, max_empty);
                for (uint32_t k = before; k + 1 < q.out.n_buckets; k++)
                        counts[k] = 0;
                counts[q.out.n_buckets - 1] = b->counts[i];
                if (new_comp)
                        new_comp[q.out.n_buckets - 1] = old_comp[i];
        }
        *b = (struct buckets){.spans = spans, .counts = counts, .n_spans = q.out.n, .n = q.out.n_buckets};
        return NULL;
}

struct error *histogram_compact(struct arena *a, struct histogram *h, size_t max_empty)
{
        struct error *e = buckets_compact(a, &h->pos, NULL, max_empty);
        return e ? e : buckets_compact(a, &h->neg, NULL, max_empty);
}

static struct error *compact_deltas(struct arena *a, struct int_buckets *b, size_t max_empty)
{
        struct plan p = {0};
        uint64_t v = 0;
        bool same = true;
        struct layout_pos c = layout_of(b->spans, b->n_spans, b->n);
        while (layout_next(&c)) {
                v += (uint64_t)b->deltas[c.at - 1];
                if (v)
                        plan_count(&p, c.index, max_empty);
                else
                        same = false;
        }
        if (same && p.out.n == b->n_spans && p.n == c.at)
                return NULL;
        if (p.n > UINT32_MAX)
                return histogram_no_memory(a);
        struct span *spans;
        double *memory;
        struct error *e = buckets_new(a, p.out.n, (uint32_t)p.n, &spans, &memory);
        if (e)
                return e;
        int64_t *deltas = (int64_t *)(void *)memory;
        struct plan q = {.out = {.spans = spans}};
        uint64_t written = 0;
        v = 0;
        c = layout_of(b->spans, b->n_spans, b->n);
        while (layout_next(&c)) {
                v += (uint64_t)b->deltas[c.at - 1];
                if (!v)
                        continue;
                uint32_t before = q.out.n_buckets;
                plan_put(&q, c.index, max_empty);
                for (uint32_t k = before; k + 1 < q.out.n_buckets; k++) {
                        deltas[k] = (int64_t)(0 - written);
                        written = 0;
                }
                deltas[q.out.n_buckets - 1] = (int64_t)(v - written);
                written = v;
        }
        *b = (struct int_buckets){.spans = spans, .deltas = deltas, .n_spans = q.out.n, .n = q.out.n_buckets};
        return NULL;
}

struct error *int_histogram_compact(struct arena *a, struct int_histogram *h, size_t max_empty)
{
        struct error *e = compact_deltas(a, &h->pos, max_empty);
        return e ? e : compact_deltas(a, &h->neg, max_empty);
}
