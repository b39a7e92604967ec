/* SPDX-License-Identifier: Apache-2.0 */
/* The operators </ and >/: what lies below or above a value. Count and sum are estimated from what is left, if anything
 * went. */
#include <math.h>

#include "model/histogram_layout.h"

/* Where the observations between two ends are thought to be. */
static double middle_of(double lower, double upper, bool positive, bool linear)
{
        if (isinf(lower)) {
                if (isinf(upper))
                        return 0;
                return upper > 0 ? upper / 2 : upper;
        }
        if (isinf(upper))
                return lower;
        if (linear)
                return (lower + upper) / 2;
        double mean = sqrt(fabs(lower * upper));
        return positive ? mean : -mean;
}

static double finite_or_zero(double x)
{
        return isinf(x) ? 0 : x;
}

/* What is kept of a bucket that x cuts, and where that is. */
struct kept {
        double count, at;
};

/* An endless bucket says nothing of how its observations lie: all or nothing, except that one from -Inf to a positive
 * bound is taken to begin at 0. */
static struct kept keep_of_endless(const struct histogram_bucket *b, double x, bool is_upper)
{
        if (b->lower == -INFINITY) {
                if (is_upper) {
                        if (x >= b->upper)
                                return (struct kept){b->count, 0};
                        if (x > 0 && b->upper > 0 && b->upper != INFINITY)
                                return (struct kept){b->count * x / b->upper, x / 2};
                        if (b->upper <= 0)
                                return (struct kept){b->count, x};
                        return (struct kept){0, finite_or_zero(b->upper)};
                }
                if (x <= b->lower)
                        return (struct kept){b->count, 0};
                if (x >= 0 && b->upper > x && b->upper != INFINITY)
                        return (struct kept){b->count * (1 - x / b->upper), (x + b->upper) / 2};
                return (struct kept){0, finite_or_zero(b->upper)};
        }
        if (!is_upper && x >= b->lower)
                return (struct kept){b->count, x};
        return (struct kept){0, finite_or_zero(b->lower)};
}

static struct kept keep_of(const struct histogram_bucket *b, double x, bool is_upper, bool positive, bool linear)
{
        if (b->lower == -INFINITY || b->upper == INFINITY)
                return keep_of_endless(b, x, is_upper);
        double below = x <= b->lower ? 0 : x >= b->upper ? b->count : b->count * bucket_fraction_below(b, x, linear);
        if (is_upper)
                return (struct kept){below, middle_of(b->lower, x, positive, linear)};
        return (struct kept){b->count - below, middle_of(x, b->upper, positive, linear)};
}

static struct kept keep_of_zero(const struct histogram *h, double x, bool has_negative, bool has_positive,
                                bool is_upper)
{
        double lower = has_positive && !has_negative ? 0 : -h->zero_threshold,
               upper = has_negative && !has_positive ? 0 : h->zero_threshold;
        if (is_upper) {
                if (x <= lower)
                        return (struct kept){0, 0};
                if (x >= upper)
                        return (struct kept){h->zero_count, (lower + upper) / 2};
                return (struct kept){h->zero_count * ((x - lower) / (upper - lower)), (lower + x) / 2};
        }
        if (x <= lower)
                return (struct kept){h->zero_count, (lower + upper) / 2};
        if (x >= upper)
                return (struct kept){0, 0};
        return (struct kept){h->zero_count * ((upper - x) / (upper - lower)), (x + upper) / 2};
}

struct totals {
        double count, sum;
        bool changed;
};

/* True when the side has populated buckets. */
static bool trim_side(struct histogram *h, bool positive, double x, bool is_upper, struct totals *t)
{
        bool linear = histogram_is_custom(h), has = false;
        struct buckets *side = positive ? &h->pos : &h->neg;
        struct bucket_iter it;
        struct histogram_bucket b;
        bucket_iter_init(&it, h, positive ? BUCKETS_POSITIVE : BUCKETS_NEGATIVE);
        for (uint32_t i = 0; bucket_iter_next(&it, &b); i++) {
                if (b.count == 0)
                        continue;
                has = true;
                bool whole = is_upper ? b.upper <= x : b.lower >= x, part = is_upper ? b.lower < x : b.upper > x;
                if (whole) {
                        t->count += b.count;
                        t->sum += middle_of(b.lower, b.upper, positive, linear) * b.count;
                } else if (part) {
                        struct kept k = keep_of(&b, x, is_upper, positive, linear);
                        t->count += k.count;
                        t->sum += k.at * k.count;
                        t->changed |= side->counts[i] != k.count;
                        side->counts[i] = k.count;
                } else {
                        side->counts[i] = 0;
                        t->changed = true;
                }
        }
        return has;
}

struct error *histogram_trim(struct arena *a, struct histogram *h, double x, bool is_upper)
{
        struct totals t = {0};
        bool has_positive = trim_side(h, true, x, is_upper, &t), has_negative = trim_side(h, false, x, is_upper, &t);
        if (h->zero_count > 0) {
                struct kept k = keep_of_zero(h, x, has_negative, has_positive, is_upper);
                t.changed |= h->zero_count != k.count;
                h->zero_count = k.count;
                t.sum += k.at * k.count;
                t.count += k.count;
        }
        if (!t.changed)
                return NULL;
        h->count = t.count;
        h->sum = t.sum;
        return histogram_compact(a, h, 0);
}
