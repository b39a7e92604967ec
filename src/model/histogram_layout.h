/* SPDX-License-Identifier: Apache-2.0 */
/* histogram_layout.h — walking a layout bucket by bucket, and building one. Private to histogram_*.c and the histogram
 * chunks. */
#ifndef MODEL_HISTOGRAM_LAYOUT_H
#define MODEL_HISTOGRAM_LAYOUT_H

#include "model/histogram.h"

struct layout_pos {
        const struct span *spans;
        uint32_t n_spans, n;        /* n: counts there are */
        uint32_t span, in_span, at; /* at: of the bucket last given, plus one */
        int64_t index;              /* of the bucket last given */
        bool ok;
};

/* To the next bucket; false at the end of spans or counts. */
static inline bool layout_next(struct layout_pos *c)
{
        while (c->span < c->n_spans && c->in_span >= c->spans[c->span].length) {
                c->in_span = 0;
                if (++c->span < c->n_spans)
                        c->index += c->spans[c->span].offset;
        }
        if (c->span >= c->n_spans || c->at >= c->n)
                return c->ok = false;
        c->index++;
        c->in_span++;
        c->at++;
        return c->ok = true;
}

/* Before the first bucket. */
static inline struct layout_pos layout_of(const struct span *spans, uint32_t n_spans, uint32_t n)
{
        return (struct layout_pos){
                .spans = spans, .n_spans = n_spans, .n = n, .index = (n_spans ? (int64_t)spans[0].offset : 0) - 1};
}

/* Spans out of ascending indexes; without memory it counts. */
struct span_builder {
        struct span *spans;
        uint32_t n, n_buckets;
        int64_t last;
};
static inline void span_builder_put(struct span_builder *b, int64_t index)
{
        if (b->n && index == b->last + 1) {
                if (b->spans)
                        b->spans[b->n - 1].length++;
        } else {
                if (b->spans)
                        b->spans[b->n] = (struct span){(int32_t)(b->n ? index - b->last - 1 : index), 1};
                b->n++;
        }
        b->n_buckets++;
        b->last = index;
}

struct error *histogram_no_memory(const struct arena *a) MUST_CHECK;
/* Memory for a layout that a builder has counted. */
struct error *buckets_new(struct arena *a, uint32_t n_spans, uint32_t n, struct span **ret_spans,
                          double **ret_counts) MUST_CHECK;
/* {a->counts…} += or -= other, see histogram_add.c */
struct error *histogram_reconcile_zero(struct arena *a, struct histogram *h, struct histogram *c,
                                       const struct histogram *other, double *ret_zero_count,
                                       double *ret_zero_comp) MUST_CHECK;
double histogram_zero_count_for(const struct histogram *h, const struct histogram *c, double *threshold,
                                double *ret_comp);
/* Compacts counts and, beside them, comp (may be NULL). */
struct error *buckets_compact(struct arena *a, struct buckets *b, double *comp, size_t max_empty) MUST_CHECK;
/* Merged by shift; comp beside it (both NULL: none). The input is left alone. */
struct error *buckets_reduce(struct arena *a, const struct buckets *from, const double *comp, int shift,
                             struct buckets *ret, double **ret_comp) MUST_CHECK;
static inline int64_t bucket_index_reduced(int64_t index, int shift)
{
        return ((index - 1) >> shift) + 1;
}
struct error *spans_check(const struct span *spans, uint32_t n_spans, uint32_t n) MUST_CHECK;
static inline int schema_shift(int32_t from, int32_t to)
{
        int shift = from - to;
        return shift > 62 ? 62 : shift;
}

#endif
