/* SPDX-License-Identifier: Apache-2.0 */
#include "model/histogram.h"

#include <inttypes.h>
#include <math.h>

#include "codec/float_text.h"
#include "model/histogram_layout.h"

#define TEXT_RANGE "must be between %d and %d for exponential buckets, or %d for custom buckets, got schema %" PRId32

ERROR_SENTINEL(error_histograms_incompatible, ERROR_INVALID,
               "cannot apply this operation on histograms with a mix of exponential and custom bucket schemas");

struct error *histogram_no_memory(const struct arena *a)
{
        return error_new(ERROR_LIMIT, "memory limit of %zu bytes reached while working on histograms", a->limit_bytes);
}

struct error *schema_unknown_error(int32_t schema)
{
        return error_new(ERROR_CORRUPT, "histogram has an unknown schema, which " TEXT_RANGE,
                         HISTOGRAM_SCHEMA_MIN_RESERVED, HISTOGRAM_SCHEMA_MAX_RESERVED, HISTOGRAM_SCHEMA_CUSTOM, schema);
}

struct error *buckets_new(struct arena *a, uint32_t n_spans, uint32_t n, struct span **ret_spans, double **ret_counts)
{
        /* one byte more: no allocation of nothing */
        struct span *s = arena_try_alloc(a, arena_array_bytes(n_spans + (size_t)1, sizeof *s));
        double *c = arena_try_alloc(a, arena_array_bytes(n + (size_t)1, sizeof *c));
        if (!s || !c)
                return histogram_no_memory(a);
        *ret_spans = s;
        *ret_counts = c;
        return NULL;
}

static bool copy_counts(struct arena *a, struct buckets *b)
{
        if (!b->n)
                return true;
        double *c = arena_try_alloc(a, arena_array_bytes(b->n, sizeof *c));
        if (!c)
                return false;
        memcpy(c, b->counts, b->n * sizeof *c);
        b->counts = c;
        return true;
}

struct error *histogram_dup(struct arena *a, const struct histogram *h, struct histogram **ret)
{
        struct histogram *r = arena_try_alloc(a, sizeof *r);
        if (!r)
                return histogram_no_memory(a);
        *r = *h;
        if (!copy_counts(a, &r->pos) || !copy_counts(a, &r->neg))
                return histogram_no_memory(a);
        *ret = r;
        return NULL;
}

bool histogram_bounds_eq(const double *a, size_t n_a, const double *b, size_t n_b)
{
        if (n_a != n_b)
                return false;
        if (a == b)
                return true;
        for (size_t i = 0; i < n_a; i++)
                if (a[i] != b[i])
                        return false;
        return true;
}

static bool bits_eq(double a, double b)
{
        return memcmp(&a, &b, sizeof a) == 0;
}

static bool buckets_eq(const struct buckets *a, const struct buckets *b)
{
        if (a->n != b->n || (a->n && memcmp(a->counts, b->counts, a->n * sizeof *a->counts) != 0))
                return false;
        struct layout_pos x = layout_of(a->spans, a->n_spans, UINT32_MAX),
                          y = layout_of(b->spans, b->n_spans, UINT32_MAX);
        if (a->n_spans == b->n_spans &&
            (a->n_spans == 0 || memcmp(a->spans, b->spans, a->n_spans * sizeof *a->spans) == 0))
                return true;
        x.n = a->n;
        y.n = b->n;
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

bool histogram_eq(const struct histogram *a, const struct histogram *b)
{
        return a->schema == b->schema && bits_eq(a->count, b->count) && bits_eq(a->sum, b->sum) &&
               (!histogram_is_custom(a) || histogram_bounds_eq(a->bounds, a->n_bounds, b->bounds, b->n_bounds)) &&
               a->zero_threshold == b->zero_threshold && bits_eq(a->zero_count, b->zero_count) &&
               buckets_eq(&a->neg, &b->neg) && buckets_eq(&a->pos, &b->pos);
}

static bool has_inf(const double *v, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (isinf(v[i]))
                        return true;
        return false;
}

bool histogram_has_overflow(const struct histogram *h)
{
        return isinf(h->zero_count) || isinf(h->count) || isinf(h->sum) || has_inf(h->pos.counts, h->pos.n) ||
               has_inf(h->neg.counts, h->neg.n) || has_inf(h->bounds, h->n_bounds);
}

/* --- checks
 * -----------------------------------------------------------------------------------------------------------------------
 */

struct error *spans_check(const struct span *spans, uint32_t n_spans, uint32_t n)
{
        uint64_t total = 0;
        for (uint32_t i = 0; i < n_spans; i++) {
                if (i > 0 && spans[i].offset < 0)
                        return error_new(ERROR_INVALID,
                                         "span number %" PRIu32 " with offset %" PRId32
                                         ": histogram has a span whose offset is negative",
                                         i + 1, spans[i].offset);
                total += spans[i].length;
        }
        if (total != n)
                return error_new(ERROR_INVALID,
                                 "spans need %" PRIu64 " buckets, have %" PRIu32
                                 " buckets: histogram spans specify different number of buckets than provided",
                                 total, n);
        return NULL;
}

static struct error *custom_check(const double *bounds, uint32_t n_bounds, const struct span *spans, uint32_t n_spans,
                                  uint32_t n)
{
        double prev = -INFINITY;
        for (uint32_t i = 0; i < n_bounds; i++) {
                if (isnan(bounds[i]))
                        return error_new(ERROR_INVALID, "histogram custom bounds must not be NaN");
                if (i > 0 && bounds[i] <= prev)
                        return error_new(ERROR_INVALID,
                                         "previous bound is %f and current is %f: histogram custom bounds must be in "
                                         "strictly increasing order",
                                         prev, bounds[i]);
                prev = bounds[i];
        }
        if (prev == INFINITY)
                return error_new(
                        ERROR_INVALID,
                        "last +Inf bound must not be explicitly defined: histogram custom bounds must be finite");
        uint64_t total = 0;
        for (uint32_t i = 0; i < n_spans; i++) {
                if (spans[i].offset < 0)
                        return error_new(ERROR_INVALID,
                                         "span number %" PRIu32 " with offset %" PRId32
                                         ": histogram has a span whose offset is negative",
                                         i + 1, spans[i].offset);
                total += (uint64_t)spans[i].length + (uint32_t)spans[i].offset;
        }
        struct error *e = spans_check(spans, n_spans, n);
        if (e)
                return e;
        if ((uint64_t)n_bounds + 1 < total)
                return error_new(ERROR_INVALID,
                                 "only %" PRIu32
                                 " custom bounds defined which is insufficient to cover total span length of %" PRIu64
                                 ": histogram custom bounds are too few",
                                 n_bounds, total);
        return NULL;
}

static struct error *counts_check(const double *v, uint32_t n)
{
        for (uint32_t i = 0; i < n; i++)
                if (v[i] < 0) {
                        struct buf b = BUF_INIT(64);
                        buf_put_float(&b, v[i], 'g');
                        struct error *e = error_new(ERROR_INVALID,
                                                    "bucket number %" PRIu32 " has observation count of " STR_FMT
                                                    ": histogram has a bucket whose observation count is negative",
                                                    i + 1, STR_ARG(buf_str(&b)));
                        buf_done(&b);
                        return e;
                }
        return NULL;
}

static struct error *deltas_check(const int64_t *v, uint32_t n, uint64_t *total)
{
        uint64_t c = 0;
        for (uint32_t i = 0; i < n; i++) {
                c += (uint64_t)v[i];
                if ((int64_t)c < 0)
                        return error_new(ERROR_INVALID,
                                         "bucket number %" PRIu32 " has observation count of %" PRId64
                                         ": histogram has a bucket whose observation count is negative",
                                         i + 1, (int64_t)c);
                *total += c;
        }
        return NULL;
}

/* What both kinds have in common, by the fields that matter. */
struct shape {
        int32_t schema;
        bool has_zero_count;
        double zero_threshold;
        const struct span *pos, *neg;
        uint32_t n_pos_spans, n_pos, n_neg_spans, n_neg;
        const double *bounds;
        uint32_t n_bounds;
};

static struct error *shape_check(const struct shape *s)
{
        struct error *e;
        if (s->schema == HISTOGRAM_SCHEMA_CUSTOM) {
                e = custom_check(s->bounds, s->n_bounds, s->pos, s->n_pos_spans, s->n_pos);
                if (e)
                        return error_wrap(e, "custom buckets");
                if (s->has_zero_count)
                        return error_new(ERROR_INVALID, "custom buckets: must have zero count of 0");
                if (s->zero_threshold != 0)
                        return error_new(ERROR_INVALID, "custom buckets: must have zero threshold of 0");
                if (s->n_neg_spans)
                        return error_new(ERROR_INVALID, "custom buckets: must not have negative spans");
                if (s->n_neg)
                        return error_new(ERROR_INVALID, "custom buckets: must not have negative buckets");
                return NULL;
        }
        if (!schema_is_exponential(s->schema))
                return error_new(ERROR_INVALID, "histogram has an invalid schema, which " TEXT_RANGE,
                                 HISTOGRAM_SCHEMA_MIN, HISTOGRAM_SCHEMA_MAX, HISTOGRAM_SCHEMA_CUSTOM, s->schema);
        e = spans_check(s->pos, s->n_pos_spans, s->n_pos);
        if (e)
                return error_wrap(e, "positive side");
        e = spans_check(s->neg, s->n_neg_spans, s->n_neg);
        return e ? error_wrap(e, "negative side") : NULL;
}

struct error *histogram_check(const struct histogram *h)
{
        struct error *e = shape_check(&(struct shape){h->schema, h->zero_count != 0, h->zero_threshold, h->pos.spans,
                                                      h->neg.spans, h->pos.n_spans, h->pos.n, h->neg.n_spans, h->neg.n,
                                                      h->bounds, h->n_bounds});
        if (e)
                return e;
        if (!histogram_is_custom(h)) {
                e = counts_check(h->neg.counts, h->neg.n);
                if (e)
                        return error_wrap(e, "negative side");
                if (h->zero_count < 0) {
                        struct buf b = BUF_INIT(64);
                        buf_put_float(&b, h->zero_count, 'g');
                        e = error_new(ERROR_INVALID,
                                      "zero bucket has observation count of " STR_FMT
                                      ": histogram has a bucket whose observation count is negative",
                                      STR_ARG(buf_str(&b)));
                        buf_done(&b);
                        return e;
                }
                if (h->n_bounds)
                        return error_new(ERROR_INVALID,
                                         "histogram with exponential schema must not have custom bounds");
        }
        if (h->count < 0) {
                struct buf b = BUF_INIT(64);
                buf_put_float(&b, h->count, 'g');
                e = error_new(ERROR_INVALID,
                              "observation count is  " STR_FMT ": histogram's observation count is negative",
                              STR_ARG(buf_str(&b)));
                buf_done(&b);
                return e;
        }
        e = counts_check(h->pos.counts, h->pos.n);
        return e ? error_wrap(e, "positive side") : NULL;
}

struct error *int_histogram_check(const struct int_histogram *h)
{
        struct error *e = shape_check(&(struct shape){h->schema, h->zero_count != 0, h->zero_threshold, h->pos.spans,
                                                      h->neg.spans, h->pos.n_spans, h->pos.n, h->neg.n_spans, h->neg.n,
                                                      h->bounds, h->n_bounds});
        if (e)
                return e;
        uint64_t total = 0;
        if (h->schema != HISTOGRAM_SCHEMA_CUSTOM) {
                e = deltas_check(h->neg.deltas, h->neg.n, &total);
                if (e)
                        return error_wrap(e, "negative side");
                if (h->n_bounds)
                        return error_new(ERROR_INVALID,
                                         "histogram with exponential schema must not have custom bounds");
        }
        e = deltas_check(h->pos.deltas, h->pos.n, &total);
        if (e)
                return error_wrap(e, "positive side");
        total += h->zero_count;
        if (isnan(h->sum)) {
                if (total > h->count)
                        return error_new(ERROR_INVALID,
                                         "%" PRIu64 " observations found in buckets, but the Count field is %" PRIu64
                                         ": histogram's observation count should be at least the number of "
                                         "observations found in the buckets",
                                         total, h->count);
        } else if (total != h->count) {
                return error_new(ERROR_INVALID,
                                 "%" PRIu64 " observations found in buckets, but the Count field is %" PRIu64
                                 ": histogram's observation count should equal the number of observations found in the "
                                 "buckets (in absence of NaN)",
                                 total, h->count);
        }
        return NULL;
}

/* --- integers to floats
 * ----------------------------------------------------------------------------------------------------------- */

static bool to_float(struct arena *a, const struct int_buckets *from, struct buckets *to)
{
        *to = (struct buckets){.spans = from->spans, .n_spans = from->n_spans, .n = from->n};
        if (!from->n)
                return true;
        to->counts = arena_try_alloc(a, arena_array_bytes(from->n, sizeof *to->counts));
        if (!to->counts)
                return false;
        double c = 0;
        for (uint32_t i = 0; i < from->n; i++) {
                c += (double)from->deltas[i];
                to->counts[i] = c;
        }
        return true;
}

struct error *int_histogram_to_float(struct arena *a, const struct int_histogram *h, struct histogram **ret)
{
        struct histogram *r = arena_try_alloc(a, sizeof *r);
        if (!r)
                return histogram_no_memory(a);
        *r = (struct histogram){.reset = h->reset, .schema = h->schema, .count = (double)h->count, .sum = h->sum};
        if (h->schema == HISTOGRAM_SCHEMA_CUSTOM) {
                r->bounds = h->bounds;
                r->n_bounds = h->n_bounds;
        } else {
                r->zero_threshold = h->zero_threshold;
                r->zero_count = (double)h->zero_count;
                if (!to_float(a, &h->neg, &r->neg))
                        return histogram_no_memory(a);
        }
        if (!to_float(a, &h->pos, &r->pos))
                return histogram_no_memory(a);
        *ret = r;
        return NULL;
}
