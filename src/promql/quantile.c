/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/quantile.h"

#include <math.h>
#include <stdlib.h>

static double nan_value(void)
{
        return __builtin_nan("1");
}

static int cmp_values(const void *a, const void *b)
{
        double x = *(const double *)a, y = *(const double *)b;
        if (isnan(x) || isnan(y))
                return isnan(y) - isnan(x);
        return (x > y) - (x < y);
}

static void sort_values(double *v, size_t n)
{
        if (n > 64) {
                qsort(v, n, sizeof *v, cmp_values);
                return;
        }
        for (size_t i = 1; i < n; i++) {
                double x = v[i];
                size_t k = i;
                for (; k > 0 && cmp_values(&v[k - 1], &x) > 0; k--)
                        v[k] = v[k - 1];
                v[k] = x;
        }
}

double quantile_of(double q, double *v, size_t count)
{
        if (count == 0 || isnan(q))
                return nan_value();
        if (q < 0)
                return -INFINITY;
        if (q > 1)
                return INFINITY;
        sort_values(v, count);
        double n = (double)count, rank = q * (n - 1);
        double lower = fmax(0, floor(rank)), upper = fmin(n - 1, lower + 1), weight = rank - floor(rank);
        double low = v[(size_t)lower] * (1 - weight), high = v[(size_t)upper] * weight;
        return low + high;
}

void buckets_sort(struct classic_bucket *b, size_t n)
{
        for (size_t i = 1; i < n; i++) {
                struct classic_bucket x = b[i];
                size_t k = i;
                for (; k > 0 && b[k - 1].upper > x.upper; k--)
                        b[k] = b[k - 1];
                b[k] = x;
        }
}

/* Buckets of one bound become one. Sorted input; returns the new number. */
static size_t coalesce(struct classic_bucket *b, size_t n)
{
        size_t w = 0;
        for (size_t i = 1; i < n; i++) {
                if (b[i].upper == b[w].upper)
                        b[w].count += b[i].count;
                else
                        b[++w] = b[i];
        }
        return w + 1;
}

/* util/almost.Equal */
static bool almost_equal(double a, double b, double epsilon)
{
        if (isnan(a) && isnan(b))
                return true;
        if (a == b)
                return true;
        const double min_normal = 0x1p-1022;
        double diff = fabs(a - b), sum = fabs(a) + fabs(b);
        if (a == 0 || b == 0 || sum < min_normal)
                return diff < epsilon * min_normal;
        return diff / fmin(sum, 0x1.fffffffffffffp1023) < epsilon;
}

static void make_monotonic(struct classic_bucket *b, size_t n, struct classic_fix *f)
{
        *f = (struct classic_fix){.min_bucket = INFINITY, .max_bucket = -INFINITY};
        double prev = b[0].count;
        for (size_t i = 1; i < n; i++) {
                double cur = b[i].count;
                if (cur == prev)
                        continue;
                if (almost_equal(prev, cur, 1e-12)) {
                        b[i].count = prev;
                        continue;
                }
                if (!(cur < prev)) {
                        prev = cur;
                        continue;
                }
                b[i].count = prev;
                f->forced = true;
                if (b[i].upper < f->min_bucket)
                        f->min_bucket = b[i].upper;
                if (b[i].upper > f->max_bucket)
                        f->max_bucket = b[i].upper;
                if (prev - cur > f->max_diff)
                        f->max_diff = prev - cur;
        }
}

double bucket_quantile(double q, struct classic_bucket *b, size_t n, struct classic_fix *ret_fix)
{
        *ret_fix = (struct classic_fix){0};
        if (isnan(q))
                return nan_value();
        if (q < 0)
                return -INFINITY;
        if (q > 1)
                return INFINITY;
        buckets_sort(b, n);
        if (!(isinf(b[n - 1].upper) && b[n - 1].upper > 0))
                return nan_value();
        n = coalesce(b, n);
        make_monotonic(b, n, ret_fix);
        if (n < 2 || b[n - 1].count == 0)
                return nan_value();
        double rank = q * b[n - 1].count;
        size_t lo = 0, hi = n - 1; /* first with count >= rank, else the last */
        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                if (b[mid].count >= rank)
                        hi = mid;
                else
                        lo = mid + 1;
        }
        if (lo == n - 1)
                return b[n - 2].upper;
        if (lo == 0 && b[0].upper <= 0)
                return b[0].upper;
        double start = 0, end = b[lo].upper, count = b[lo].count;
        if (lo > 0) {
                start = b[lo - 1].upper;
                count -= b[lo - 1].count;
                rank -= b[lo - 1].count;
        }
        return start + (end - start) * (rank / count);
}

static double rank_at(double v, double lower, double upper, double below, double count)
{
        if (isinf(lower) && lower < 0)
                return count;
        return below + (count - below) * (v - lower) / (upper - lower);
}

double bucket_fraction(double lower, double upper, struct classic_bucket *b, size_t n)
{
        buckets_sort(b, n);
        if (!(isinf(b[n - 1].upper) && b[n - 1].upper > 0))
                return nan_value();
        n = coalesce(b, n);
        double count = b[n - 1].count;
        if (count == 0 || isnan(lower) || isnan(upper))
                return nan_value();
        if (lower >= upper)
                return 0;
        double rank = 0, lower_rank = 0, upper_rank = 0;
        bool lower_set = false, upper_set = false;
        double from = b[0].upper <= 0 ? -INFINITY : 0;
        for (size_t i = 0; i < n; i++) {
                if (i > 0)
                        from = b[i - 1].upper;
                double to = b[i].upper;
                if (!lower_set && from >= lower) {
                        lower_rank = rank;
                        lower_set = true;
                }
                if (!upper_set && from >= upper) {
                        upper_rank = rank;
                        upper_set = true;
                }
                if (lower_set && upper_set)
                        break;
                if (!lower_set && from < lower && to > lower) {
                        lower_rank = rank_at(lower, from, to, rank, b[i].count);
                        lower_set = true;
                }
                if (!upper_set && from < upper && to > upper) {
                        upper_rank = rank_at(upper, from, to, rank, b[i].count);
                        upper_set = true;
                }
                if (lower_set && upper_set)
                        break;
                rank = b[i].count;
        }
        if (!lower_set || lower_rank > count)
                lower_rank = count;
        if (!upper_set || upper_rank > count)
                upper_rank = count;
        return (upper_rank - lower_rank) / count;
}
