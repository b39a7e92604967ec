/* SPDX-License-Identifier: Apache-2.0 */
/* quantile.h — quantiles of values and of classic histograms.  Pure.  Upstream: promql/quantile.go */
#ifndef PROMQL_QUANTILE_H
#define PROMQL_QUANTILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/histogram.h"

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
/* Of native histograms; *notes: see enum histogram_note in eval.h. */
double histogram_quantile(double q, const struct histogram *h, uint32_t *notes);
double histogram_fraction(double lower, double upper, const struct histogram *h, uint32_t *notes);
double histogram_variance(const struct histogram *h);
void buckets_sort(struct classic_bucket *b, size_t n);

#endif
