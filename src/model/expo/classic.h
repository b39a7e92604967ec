/* SPDX-License-Identifier: Apache-2.0 */
/* classic.h — a native histogram with custom buckets (NHCB) out of the series of a classic one.
 *
 *   struct classic_histogram c = {0};
 *   classic_histogram_bucket(&c, 0.5, 3);  classic_histogram_count(&c, 4);  classic_histogram_sum(&c, 2.25);
 *   e = classic_histogram_convert(&c, &arena, &sample);    integer counts where all of them are whole
 *   classic_histogram_clear(&c);  …  classic_histogram_done(&c);
 *
 * The first contradiction (counts that fall, a negative one) is kept and is what convert answers, with upstream's text.
 * Threads: one owner.  Upstream: util/convertnhcb. */
#ifndef MODEL_EXPO_CLASSIC_H
#define MODEL_EXPO_CLASSIC_H

#include "base/vec.h"
#include "model/histogram.h"

struct classic_bucket {
        double le, count; /* count: cumulative */
};
struct classic_histogram {
        VEC(struct classic_bucket) buckets; /* ascending */
        double count, sum;
        bool has_count;
        struct error *e;
};
void classic_histogram_bucket(struct classic_histogram *c, double le, double count); /* in any order; twice: the first */
void classic_histogram_count(struct classic_histogram *c, double count);
void classic_histogram_sum(struct classic_histogram *c, double sum);
/* Without a count it is that of the highest bucket; without a +Inf bucket that is the count. ERROR_INVALID, ERROR_LIMIT. */
struct error *classic_histogram_convert(struct classic_histogram *c, struct arena *a,
                                        struct histogram_sample *ret) MUST_CHECK;
void classic_histogram_clear(struct classic_histogram *c);
void classic_histogram_done(struct classic_histogram *c);

#endif
