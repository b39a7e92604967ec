/* SPDX-License-Identifier: Apache-2.0 */
/* protobuf.h — private to expo/: a body of varint-delimited MetricFamily messages as entries.
 *
 * A classic histogram or a summary becomes the series that its text would have had; a native histogram is one entry. One
 * metric's messages are decoded at a time, into memory that the next one uses again.
 * Format: io/prometheus/client/metrics.proto.  Upstream: model/textparse/protobufparse.go */
#ifndef MODEL_EXPO_PROTOBUF_H
#define MODEL_EXPO_PROTOBUF_H

#include "model/expo/parse.h"

struct expo_proto *expo_proto_new(Str body); /* borrowed */
void expo_proto_histograms(struct expo_proto *p, struct expo_histograms h);
void expo_proto_free(struct expo_proto *p); /* NULL is fine */
struct error *expo_proto_next(struct expo_proto *p, struct expo_entry *x) MUST_CHECK;

#endif
