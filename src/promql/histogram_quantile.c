/* SPDX-License-Identifier: Apache-2.0 */
/* Quantiles, fractions and the variance of native histograms.  Upstream: HistogramQuantile, HistogramFraction in
 * promql/quantile.go, histogramVariance in promql/functions.go */
#include <math.h>

#include "promql/eval.h"
#include "base/go_math.h"
#include "promql/kahan.h"
#include "promql/quantile.h"

/* The zero bucket of a histogram with observations of one sign only reaches no further than zero on the other side. */
static void narrow_zero(const struct histogram *h, struct histogram_bucket *b)
{
        if (h->neg.n == 0 && h->pos.n > 0)
                b->lower = 0;
        else if (h->pos.n == 0 && h->neg.n > 0)
                b->upper = 0;
}

double histogram_quantile(double q, const struct histogram *h, uint32_t *notes)
{
        if (q < 0)
                return -INFINITY;
        if (q > 1)
                return INFINITY;
        if (h->count == 0 || isnan(q))
                return go_nan();
        /* NaN observations are in the count and in no bucket: then from below only. */
        bool up = isnan(h->sum) || q < 0.5;
        double rank = (up ? q : 1 - q) * h->count, count = 0;
        struct bucket_iter it;
        struct histogram_bucket b = {0}, next;
        bucket_iter_init(&it, h, up ? BUCKETS_ALL : BUCKETS_ALL_DOWN);
        while (bucket_iter_next(&it, &b)) {
                if (b.count == 0)
                        continue;
                count += b.count;
                if (count >= rank)
                        break;
        }
        if (histogram_is_custom(h)) {
                if (isinf(b.lower) && b.lower < 0) {
                        if (b.upper <= 0)
                                return b.upper;
                        b.lower = 0;
                } else if (isinf(b.upper) && b.upper > 0) {
                        return b.lower;
                }
        } else if (b.lower < 0 && b.upper > 0) {
                narrow_zero(h, &b);
        }
        if (count > h->count)
                count = h->count;
        if (count < rank) {
                if (!isnan(h->sum))
                        return b.upper;
                *notes |= NOTE_QUANTILE_NAN;
                return go_nan();
        }
        rank = up ? rank - (count - b.count) : count - rank;
        if (isnan(h->sum)) {
                while (bucket_iter_next(&it, &next)) {
                        count += next.count;
                        b = next; /* upstream goes on with the last bucket it looks at */
                }
                if (count < h->count)
                        *notes |= NOTE_QUANTILE_SKEWED;
        }
        double fraction = rank / b.count;
        if (histogram_is_custom(h) || (b.lower <= 0 && b.upper >= 0))
                return b.lower + (b.upper - b.lower) * fraction;
        double lower = go_log2(fabs(b.lower)), upper = go_log2(fabs(b.upper));
        if (b.lower > 0)
                return go_exp2(lower + (upper - lower) * fraction);
        return -go_exp2(upper + (lower - upper) * (1 - fraction));
}

double histogram_fraction(double lower, double upper, const struct histogram *h, uint32_t *notes)
{
        if (h->count == 0 || isnan(lower) || isnan(upper))
                return go_nan();
        if (lower >= upper)
                return 0;
        double count = 0, rank = 0, ranks[2] = {0, 0};
        const double ends[2] = {lower, upper};
        bool set[2] = {false, false};
        struct bucket_iter it;
        struct histogram_bucket b;
        bucket_iter_init(&it, h, BUCKETS_ALL);
        while (bucket_iter_next(&it, &b)) {
                count += b.count;
                bool is_zero = b.lower <= 0 && b.upper >= 0;
                if (is_zero)
                        narrow_zero(h, &b);
                for (int i = 0; i < 2; i++) {
                        if (!set[i] && b.lower >= ends[i]) {
                                ranks[i] = rank;
                                set[i] = true;
                        }
                }
                for (int i = 0; i < 2; i++) {
                        if (set[i] || !(b.lower < ends[i] && b.upper > ends[i]))
                                continue;
                        bool linear = histogram_is_custom(h) || is_zero;
                        if (linear && isinf(b.lower))
                                ranks[i] = b.count;
                        else
                                ranks[i] = rank + b.count * bucket_fraction_below(&b, ends[i], linear);
                        set[i] = true;
                }
                if (set[0] && set[1])
                        break;
                rank += b.count;
        }
        if (isnan(h->sum)) {
                while (bucket_iter_next(&it, &b))
                        count += b.count;
                if (count < h->count)
                        *notes |= NOTE_FRACTION_NAN;
        } else {
                count = h->count;
        }
        for (int i = 0; i < 2; i++)
                if (!set[i] || ranks[i] > count)
                        ranks[i] = count;
        return (ranks[1] - ranks[0]) / h->count;
}

double histogram_variance(const struct histogram *h)
{
        double mean = h->sum / h->count, variance = 0, c = 0;
        struct bucket_iter it;
        struct histogram_bucket b;
        bucket_iter_init(&it, h, BUCKETS_ALL);
        while (bucket_iter_next(&it, &b)) {
                if (b.count == 0)
                        continue;
                double v = 0;
                if (histogram_is_custom(h)) {
                        v = (b.upper + b.lower) / 2;
                } else if (!(b.lower <= 0 && b.upper >= 0)) {
                        v = sqrt(b.upper * b.lower);
                        if (b.upper < 0)
                                v = -v;
                }
                double delta = v - mean;
                kahan_inc(b.count * delta * delta, &variance, &c);
        }
        return (variance + c) / h->count;
}
