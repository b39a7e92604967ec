/* SPDX-License-Identifier: Apache-2.0 */
/* kahan.h — compensated sums over columns; the single step is model/kahan.h.  Upstream: util/kahansum */
#ifndef PROMQL_KAHAN_H
#define PROMQL_KAHAN_H

#include "model/kahan.h"

double sum_of(const double *v, size_t n);
double avg_of(const double *v, size_t n);   /* n > 0 */

#endif
