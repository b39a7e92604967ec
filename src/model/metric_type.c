/* SPDX-License-Identifier: Apache-2.0 */
#include "model/metric_type.h"

const char *metric_type_name(enum metric_type t)
{
        static const char *const names[] = {
                [METRIC_UNKNOWN] = "unknown", [METRIC_COUNTER] = "counter",
                [METRIC_GAUGE] = "gauge",     [METRIC_HISTOGRAM] = "histogram",
                [METRIC_SUMMARY] = "summary", [METRIC_GAUGE_HISTOGRAM] = "gaugehistogram",
                [METRIC_INFO] = "info",       [METRIC_STATESET] = "stateset",
        };
        return (size_t)t < ARRAY_LEN(names) ? names[t] : "unknown";
}
