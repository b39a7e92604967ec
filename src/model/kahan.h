/* SPDX-License-Identifier: Apache-2.0 */
/* kahan.h — one step of a compensated sum as upstream takes it (Neumaier's variant; no compensation once the sum is
 * infinite). Compiled without contraction to fused operations: -ffp-contract=off.  Upstream: util/kahansum */
#ifndef MODEL_KAHAN_H
#define MODEL_KAHAN_H

#include <float.h>
#include <math.h>

static inline void kahan_inc(double inc, double *sum, double *c)
{
        double t = *sum + inc;
        if (t > DBL_MAX || t < -DBL_MAX)
                *c = 0;
        else if (fabs(*sum) >= fabs(inc))
                *c += (*sum - t) + inc;
        else
                *c += (inc - t) + *sum;
        *sum = t;
}

#endif
