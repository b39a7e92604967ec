/* SPDX-License-Identifier: Apache-2.0 */
/* To a coarser schema: buckets whose index becomes the same are one. */
#include <inttypes.h>

#include "model/histogram_layout.h"
#include "model/kahan.h"

struct error *buckets_reduce(struct arena *a, const struct buckets *from, const double *comp, int shift,
                             struct buckets *ret, double **ret_comp)
{
        struct span_builder n = {0};
        struct layout_pos c = layout_of(from->spans, from->n_spans, from->n);
        while (layout_next(&c)) {
                int64_t index = bucket_index_reduced(c.index, shift);
                if (n.n == 0 || index != n.last)
                        span_builder_put(&n, index);
        }
        struct span *spans;
        double *counts, *comps = NULL;
        struct error *e = buckets_new(a, n.n, n.n_buckets, &spans, &counts);
        if (e)
                return e;
        if (comp) {
                comps = arena_try_alloc(a, arena_array_bytes(n.n_buckets + (size_t)1, sizeof *comps));
                if (!comps)
                        return histogram_no_memory(a);
        }
        struct span_builder out = {.spans = spans};
        c = layout_of(from->spans, from->n_spans, from->n);
        while (layout_next(&c)) {
                uint32_t i = c.at - 1;
                int64_t index = bucket_index_reduced(c.index, shift);
                if (out.n == 0 || index != out.last) {
                        span_builder_put(&out, index);
                        counts[out.n_buckets - 1] = from->counts[i];
                        if (comp)
                                comps[out.n_buckets - 1] = comp[i];
                } else if (comp) {
                        kahan_inc(from->counts[i], &counts[out.n_buckets - 1], &comps[out.n_buckets - 1]);
                        kahan_inc(comp[i], &counts[out.n_buckets - 1], &comps[out.n_buckets - 1]);
                } else {
                        counts[out.n_buckets - 1] += from->counts[i];
                }
        }
        *ret = (struct buckets){.spans = spans, .counts = counts, .n_spans = out.n, .n = out.n_buckets};
        if (ret_comp)
                *ret_comp = comps;
        return NULL;
}

static struct error *target_check(int32_t from, int32_t to)
{
        if (from == HISTOGRAM_SCHEMA_CUSTOM)
                return error_new(ERROR_INVALID, "cannot reduce resolution when there are custom buckets");
        if (to == HISTOGRAM_SCHEMA_CUSTOM)
                return error_new(ERROR_INVALID, "cannot reduce resolution to custom buckets schema");
        if (to >= from)
                return error_new(ERROR_INVALID, "cannot reduce resolution from schema %" PRId32 " to %" PRId32, from,
                                 to);
        return NULL;
}

/* Upstream finds too few counts before anything else, and names them in other words. */
static struct error *sides_check(const struct span *spans, uint32_t n_spans, uint32_t n)
{
        uint64_t need = 0;
        for (uint32_t i = 0; i < n_spans; i++) {
                if (i > 0 && spans[i].offset < 0)
                        break;
                need += spans[i].length;
                if (need > n)
                        return error_new(ERROR_INVALID,
                                         "have %" PRIu32 " buckets but spans need more: histogram spans specify "
                                                         "different number of buckets than provided",
                                         n);
        }
        return spans_check(spans, n_spans, n);
}

struct error *histogram_reduce(struct arena *a, struct histogram *h, int32_t schema)
{
        struct error *e = target_check(h->schema, schema);
        if (!e)
                e = sides_check(h->pos.spans, h->pos.n_spans, h->pos.n);
        if (!e)
                e = sides_check(h->neg.spans, h->neg.n_spans, h->neg.n);
        int shift = schema_shift(h->schema, schema);
        if (!e)
                e = buckets_reduce(a, &h->pos, NULL, shift, &h->pos, NULL);
        if (!e)
                e = buckets_reduce(a, &h->neg, NULL, shift, &h->neg, NULL);
        if (!e)
                h->schema = schema;
        return e;
}

static struct error *reduce_deltas(struct arena *a, struct int_buckets *b, int shift)
{
        struct span_builder n = {0};
        struct layout_pos c = layout_of(b->spans, b->n_spans, b->n);
        while (layout_next(&c)) {
                int64_t index = bucket_index_reduced(c.index, shift);
                if (n.n == 0 || index != n.last)
                        span_builder_put(&n, index);
        }
        struct span *spans;
        double *memory;
        struct error *e = buckets_new(a, n.n, n.n_buckets, &spans, &memory);
        if (e)
                return e;
        int64_t *deltas = (int64_t *)(void *)memory;
        struct span_builder out = {.spans = spans};
        uint64_t v = 0;
        c = layout_of(b->spans, b->n_spans, b->n);
        while (layout_next(&c)) {
                v += (uint64_t)b->deltas[c.at - 1];
                int64_t index = bucket_index_reduced(c.index, shift);
                if (out.n == 0 || index != out.last) {
                        span_builder_put(&out, index);
                        deltas[out.n_buckets - 1] = 0;
                }
                deltas[out.n_buckets - 1] = (int64_t)((uint64_t)deltas[out.n_buckets - 1] + v);
        }
        for (uint32_t i = out.n_buckets; i-- > 1;)
                deltas[i] = (int64_t)((uint64_t)deltas[i] - (uint64_t)deltas[i - 1]);
        *b = (struct int_buckets){.spans = spans, .deltas = deltas, .n_spans = out.n, .n = out.n_buckets};
        return NULL;
}

struct error *int_histogram_reduce(struct arena *a, struct int_histogram *h, int32_t schema)
{
        struct error *e = target_check(h->schema, schema);
        if (!e)
                e = sides_check(h->pos.spans, h->pos.n_spans, h->pos.n);
        if (!e)
                e = sides_check(h->neg.spans, h->neg.n_spans, h->neg.n);
        int shift = schema_shift(h->schema, schema);
        if (!e)
                e = reduce_deltas(a, &h->pos, shift);
        if (!e)
                e = reduce_deltas(a, &h->neg, shift);
        if (!e)
                h->schema = schema;
        return e;
}
