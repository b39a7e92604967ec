/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.h — native histograms: exponential buckets (schemas -4 … 8) or custom bounds (schema -53), and their
 * arithmetic.
 *
 *   struct histogram *sum;  struct histogram_notes notes;
 *   e = histogram_dup(&arena, h, &sum);
 *   e = histogram_add(&arena, sum, other, &notes);          sum is changed, other never
 *   histogram_compact(&arena, sum, 0);
 *   buf_put_histogram(&b, sum);                             {count:…, sum:…, (lo,hi]:n, …}
 *
 * Computing is done on struct histogram (floats, absolute counts). struct int_histogram is how clients send and chunks
 * store integer ones: counts are deltas from bucket to bucket. Ownership: memory is the arena's. Spans and bounds are
 * never written after they are made, so histograms share them freely; counts belong to one histogram, and operations
 * that change a histogram change its counts in place where the layout allows. What does not fit the arena's budget is
 * ERROR_LIMIT. A histogram whose spans and counts disagree (garbage from disk or network) is safe everywhere: what is
 * missing is not there. histogram_check tells. Threads: pure.  Upstream: model/histogram. All results are to the bit.
 */
#ifndef MODEL_HISTOGRAM_H
#define MODEL_HISTOGRAM_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum {
        HISTOGRAM_SCHEMA_MIN = -4,
        HISTOGRAM_SCHEMA_MAX = 8,
        HISTOGRAM_SCHEMA_MIN_RESERVED = -9,
        HISTOGRAM_SCHEMA_MAX_RESERVED = 52, /* 9 … 52 are read, and reduced to 8 */
        HISTOGRAM_SCHEMA_CUSTOM = -53,
};

enum counter_reset { /* the numbers are upstream's */
                     COUNTER_RESET_UNKNOWN = 0,
                     COUNTER_RESET_YES = 1, /* a reset lies just before this histogram */
                     COUNTER_RESET_NO = 2,
                     COUNTER_RESET_GAUGE = 3, /* a gauge histogram: resets mean nothing */
};

struct span {
        int32_t offset; /* of the first span: index of its first bucket; else the gap to the span before */
        uint32_t length;
};

struct buckets { /* of one sign, from zero outwards */
        const struct span *spans;
        double *counts;
        uint32_t n_spans, n;
};

struct histogram {
        enum counter_reset reset;
        int32_t schema;
        double zero_threshold, zero_count;
        double count, sum; /* a sum that is the staleness marker ends the series */
        struct buckets pos, neg;
        const double *bounds; /* custom schema: upper ends, ascending, without +Inf */
        uint32_t n_bounds;
};

struct int_buckets {
        const struct span *spans;
        int64_t *deltas; /* the first is absolute */
        uint32_t n_spans, n;
};

struct int_histogram {
        enum counter_reset reset;
        int32_t schema;
        double zero_threshold;
        uint64_t zero_count, count;
        double sum;
        struct int_buckets pos, neg;
        const double *bounds;
        uint32_t n_bounds;
};

/* One of both kinds. */
struct histogram_sample {
        const struct int_histogram *i;
        const struct histogram *f;      /* used when i is NULL */
};
static inline double histogram_sample_sum(struct histogram_sample s)
{
        return s.i ? s.i->sum : s.f->sum;
}
/* Copies all, spans and bounds too. */
struct error *histogram_sample_dup(struct arena *a, struct histogram_sample s, struct histogram_sample *ret) MUST_CHECK;
bool histogram_sample_eq(struct histogram_sample a, struct histogram_sample b);        /* kinds differ: no */
struct error *histogram_sample_check(struct histogram_sample s) MUST_CHECK;
/* To schema 8 if the schema is one of the reserved, finer ones. */
struct error *histogram_sample_reduce_reserved(struct arena *a, struct histogram_sample *s) MUST_CHECK;

static inline bool histogram_is_custom(const struct histogram *h)
{
        return h->schema == HISTOGRAM_SCHEMA_CUSTOM;
}
static inline bool schema_is_exponential(int32_t s)
{
        return s >= HISTOGRAM_SCHEMA_MIN && s <= HISTOGRAM_SCHEMA_MAX;
}
static inline bool schema_is_known(int32_t s) /* stored ones, the reserved included */
{
        return s == HISTOGRAM_SCHEMA_CUSTOM ||
               (s >= HISTOGRAM_SCHEMA_MIN_RESERVED && s <= HISTOGRAM_SCHEMA_MAX_RESERVED);
}
struct error *schema_unknown_error(int32_t schema) MUST_CHECK; /* ERROR_CORRUPT, upstream's text */

/* Upper end of the bucket of this index (positive side); the one before it ends where this one begins. */
double histogram_bound(const struct histogram *h, int64_t index);
double histogram_schema_bound(int32_t schema, int64_t index);
bool histogram_bounds_eq(const double *a, size_t n_a, const double *b, size_t n_b);

struct error *histogram_dup(struct arena *a, const struct histogram *h, struct histogram **ret) MUST_CHECK;
/* The same layout and the same bits; spans may differ in empty spans. The reset hint is not looked at. */
bool histogram_eq(const struct histogram *a, const struct histogram *b);
bool histogram_has_overflow(const struct histogram *h); /* something is infinite */
/* NULL, or ERROR_INVALID with upstream's text: what remote write, scrapes and the head refuse. */
struct error *histogram_check(const struct histogram *h) MUST_CHECK;
struct error *int_histogram_check(const struct int_histogram *h) MUST_CHECK;

/* --- arithmetic
 * -------------------------------------------------------------------------------------------------------------------
 */

struct histogram_notes {
        bool reset_collision;   /* one says reset, the other says none: the result says unknown */
        bool bounds_reconciled; /* custom bounds differed: the result has those common to both */
};
extern struct error error_histograms_incompatible; /* exponential and custom mixed; compare by address */

void histogram_mul(struct histogram *h, double factor);
void histogram_div(struct histogram *h, double divisor);
struct error *histogram_add(struct arena *a, struct histogram *h, const struct histogram *other,
                            struct histogram_notes *ret) MUST_CHECK;
struct error *histogram_sub(struct arena *a, struct histogram *h, const struct histogram *other,
                            struct histogram_notes *ret) MUST_CHECK;
/* As histogram_add with what rounding lost kept in *c, which follows h's layout; *c is NULL at first. The total is h +
 * *c. */
struct error *histogram_kahan_add(struct arena *a, struct histogram *h, struct histogram **c,
                                  const struct histogram *other, struct histogram_notes *ret) MUST_CHECK;
/* Keeps what lies below (is_upper) or above x; buckets that x cuts are interpolated; count and sum are estimated anew
 * if something went. */
struct error *histogram_trim(struct arena *a, struct histogram *h, double x, bool is_upper) MUST_CHECK;
/* Were observations lost from previous to h? Hints of h that say so (or not) are believed. */
bool histogram_is_reset(const struct histogram *h, const struct histogram *previous);

/* To a coarser schema. ERROR_INVALID with upstream's text when spans and counts disagree, or the schema is not coarser.
 */
struct error *histogram_reduce(struct arena *a, struct histogram *h, int32_t schema) MUST_CHECK;
struct error *int_histogram_reduce(struct arena *a, struct int_histogram *h, int32_t schema) MUST_CHECK;
/* No empty buckets, except runs of at most max_empty between others, which then are one span with them. */
struct error *histogram_compact(struct arena *a, struct histogram *h, size_t max_empty) MUST_CHECK;
struct error *int_histogram_compact(struct arena *a, struct int_histogram *h, size_t max_empty) MUST_CHECK;
/* Shares spans and bounds. */
struct error *int_histogram_to_float(struct arena *a, const struct int_histogram *h, struct histogram **ret) MUST_CHECK;

/* --- buckets
 * ----------------------------------------------------------------------------------------------------------------------
 */

struct histogram_bucket {
        double lower, upper, count;
        bool lower_inclusive, upper_inclusive;
        int32_t index;
};

enum bucket_order {
        BUCKETS_POSITIVE,      /* from zero up */
        BUCKETS_NEGATIVE,      /* from zero down */
        BUCKETS_POSITIVE_DOWN, /* from the highest to zero */
        BUCKETS_NEGATIVE_UP,   /* from the lowest to zero */
        BUCKETS_ALL, /* ascending, with the zero bucket if it is populated, whose threshold cuts its neighbours */
        BUCKETS_ALL_DOWN,
};
struct bucket_iter {
        const struct histogram *h;
        const struct buckets *b;
        uint32_t span, in_span, at; /* forward: next; backward: one past the next */
        int64_t index;
        bool down, negative;
        uint8_t order, stage;
};
void bucket_iter_init(struct bucket_iter *it, const struct histogram *h, enum bucket_order order);
bool bucket_iter_next(struct bucket_iter *it, struct histogram_bucket *ret);
struct histogram_bucket histogram_zero_bucket(const struct histogram *h);
/* How much of the bucket lies below v, which is inside it: on a straight line, or for exponential buckets on a
 * logarithmic scale. */
double bucket_fraction_below(const struct histogram_bucket *b, double v, bool linear);

/* Cumulative buckets of a histogram without negative ones, gaps between spans filled: zero bucket first if populated.
 */
struct cumulative_iter {
        struct bucket_iter it;
        struct histogram_bucket next;
        double total;
        int64_t index;
        bool has_next, started;
};
void cumulative_iter_init(struct cumulative_iter *c, const struct histogram *h);
bool cumulative_iter_next(struct cumulative_iter *c, struct histogram_bucket *ret);

/* --- text
 * -------------------------------------------------------------------------------------------------------------------------
 */

void buf_put_histogram(struct buf *b, const struct histogram *h);         /* {count:3, sum:2.5, [-1,-0.5):1, …} */
void buf_put_int_histogram(struct buf *b, const struct int_histogram *h); /* counts as integers */
void buf_put_histogram_json(
        struct buf *b, const struct histogram *h); /* {"count":"3","sum":"2.5","buckets":[[1,"-1","-0.5","1"],…]} */
/* {{schema:1 count:3 …}} as rule unit tests write it; all buckets of a sign in one span. */
struct error *buf_put_histogram_test(struct buf *b, const struct histogram *h, struct arena *scratch) MUST_CHECK;

#endif
