/* SPDX-License-Identifier: Apache-2.0 */
/* record_histogram.h — the log's records of native histograms: types 7 to 10, and 12 and 13 with start times.
 *
 *   e = record_histograms(rec, &arena, &vec);                       any of them; histograms are the arena's
 *   if (record_histograms_put(&b, RECORD_HISTOGRAMS, v, n)) …       those of v that are of this type; false: none,
 * nothing was written
 *
 * Histograms of schemas that nobody knows are left out, reserved ones are reduced. Threads: pure.
 * Format: docs/format/wal.md.  Upstream: tsdb/record/record.go. */
#ifndef TSDB_WAL_RECORD_HISTOGRAM_H
#define TSDB_WAL_RECORD_HISTOGRAM_H

#include "model/histogram.h"
#include "tsdb/wal/record.h"

struct record_histogram {
        uint64_t ref;
        TimeMs t, start;
        struct histogram_sample h;
};
typedef VEC(struct record_histogram) RecordHistogramVec;

/* Damage is ERROR_CORRUPT, too much for the arena ERROR_LIMIT; what was read before stays appended. */
struct error *record_histograms(Str rec, struct arena *a, RecordHistogramVec *ret) MUST_CHECK;
/* 7 to 10. */
enum record_type record_histogram_type(struct histogram_sample h);
/* The histogram alone, as snapshots have it. */
void record_histogram_body_put(struct buf *b, struct histogram_sample h);
bool record_histograms_put(struct buf *b, enum record_type type, const struct record_histogram *v, size_t n);

#endif
