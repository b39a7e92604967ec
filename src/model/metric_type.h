/* SPDX-License-Identifier: Apache-2.0 */
/* metric_type.h — the types of metric families, and what a target says of a family.  Any thread. */
#ifndef MODEL_METRIC_TYPE_H
#define MODEL_METRIC_TYPE_H

#include "base/str.h"

enum metric_type {
        METRIC_UNKNOWN, METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM, METRIC_GAUGE_HISTOGRAM, METRIC_SUMMARY, METRIC_INFO, METRIC_STATESET,
};
const char *metric_type_name(enum metric_type t);       /* "unknown", "counter", "gaugehistogram", … */

struct metric_metadata {
        enum metric_type type;
        Str help, unit;
};

#endif
