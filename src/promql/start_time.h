/* SPDX-License-Identifier: Apache-2.0 */
/* start_time.h — what start times of samples say about a window; inside of the evaluation. 0: not known.
 * Upstream: promql/functions.go */
#ifndef PROMQL_START_TIME_H
#define PROMQL_START_TIME_H

#include "promql/eval.h"

bool start_is_reset(TimeMs prev_start, TimeMs prev_t, TimeMs start, TimeMs t);
bool start_overlaps(TimeMs prev_start, TimeMs prev_t, TimeMs start);     /* counting began before the sample before was taken: faulty data */
/* The first sample of a window began inside of it: it began at zero. */
bool start_is_inside(TimeMs start, TimeMs from, TimeMs first);
/* What an increase since the first sample's start is multiplied by. */
double start_factor(const struct window *w, double per_s);
/* rate, increase, irate, resets of floats; w has its start times. */
double start_window(const struct range_call *c, struct worker *wk, const struct window *w, struct row_info *info);
static inline bool start_times_matter(enum function_id f)
{
        return f == FUNC_RATE || f == FUNC_INCREASE || f == FUNC_IRATE || f == FUNC_RESETS;
}

#endif
