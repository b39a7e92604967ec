/* SPDX-License-Identifier: Apache-2.0 */
/* series_histogram.h — a native histogram in the notation of series, {{…}}; private to the parser.  Memory: the
 * arena's. */
#ifndef PROMQL_SERIES_HISTOGRAM_H
#define PROMQL_SERIES_HISTOGRAM_H

#include "base/arena.h"
#include "model/histogram.h"

struct promql_series_histogram {
        struct histogram h;
        bool has_hint; /* the counter reset hint is written */
};
struct promql_series_histogram_fault {
        size_t at; /* in the text; 0: the whole of it */
        char text[128];
};
/* text: with its braces. False: a fault. */
bool promql_series_histogram_read(Str text, struct arena *a, struct promql_series_histogram *ret,
                                  struct promql_series_histogram_fault *ret_fault);

#endif
