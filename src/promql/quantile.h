/* SPDX-License-Identifier: Apache-2.0 */
/* quantile.h — quantiles of values and of classic histograms.  Pure.  Upstream: promql/quantile.go */
#ifndef PROMQL_QUANTILE_H
#define PROMQL_QUANTILE_H

#include <stdbool.h>
#include <stddef.h>

/* Sorts v (NaN first). q out of [0, 1]: infinities; NaN: NaN. */
double quantile_of(double q, double *v, size_t n);

struct classic_bucket {
        double upper, count;
};
struct classic_fix {                    /* when counts had to be made monotonic */
        bool forced;
        double min_bucket, max_bucket, max_diff;
};
/* n > 0; the buckets are sorted by upper and changed. */
double bucket_quantile(double q, struct classic_bucket *b, size_t n, struct classic_fix *ret_fix);
double bucket_fraction(double lower, double upper, struct classic_bucket *b, size_t n);
void buckets_sort(struct classic_bucket *b, size_t n);

#endif
