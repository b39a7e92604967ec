/* SPDX-License-Identifier: Apache-2.0 */
/* write.h — samples in the text format 0.0.4, as /federate answers.
 *
 *   expo_write_type(&b, STR("up"), METRIC_GAUGE);
 *   expo_write_sample(&b, labels, 1, true, 1700000000000);         up{job="x"} 1 1700000000000
 *
 * Names that are not legacy ones are quoted: {"my.metric",a="b"}. Threads: pure.  Upstream: prometheus/common
 * expfmt/text_create.go */
#ifndef MODEL_EXPO_WRITE_H
#define MODEL_EXPO_WRITE_H

#include "base/buf.h"
#include "base/clock.h"
#include "model/labels.h"
#include "model/metric_type.h"

void expo_write_help(struct buf *b, Str name, Str help);           /* # HELP name help */
void expo_write_type(struct buf *b, Str name, enum metric_type t); /* # TYPE name untyped */
/* A line: the metric's name is the label __name__, the others in the order given. */
void expo_write_sample(struct buf *b, Labels ls, double v, bool has_t, TimeMs t);
/* Pieces of it. */
void expo_write_series(struct buf *b, Labels ls);
void expo_write_value(struct buf *b, double v); /* 1, 0.5, 1e+06, NaN, +Inf; -0 is 0 */

#endif
