/* SPDX-License-Identifier: Apache-2.0 */
/* record.h — what the log's records say: encoding of series, float samples and tombstones, decoding of these and of
 * what checkpoints must sift.
 *
 *   record_series_begin(&b);  record_series_add(&b, ref, labels); …
 *   struct samples_encoder e = record_samples_begin(&b, ref0, t0);  record_samples_add(&e, &b, ref, t, v); …
 *   e = record_samples(rec, &vec);                          types 2 and 11
 *
 * Decoders borrow from the record and never read outside it. Threads: pure.
 * Format: docs/format/wal.md.  Upstream: tsdb/record/record.go. */
#ifndef TSDB_WAL_RECORD_H
#define TSDB_WAL_RECORD_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/vec.h"
#include "model/labels.h"

enum record_type {
        RECORD_SERIES = 1,
        RECORD_SAMPLES = 2,
        RECORD_TOMBSTONES = 3,
        RECORD_EXEMPLARS = 4,
        RECORD_MMAP_MARKERS = 5,
        RECORD_METADATA = 6,
        RECORD_HISTOGRAMS = 7,
        RECORD_FLOAT_HISTOGRAMS = 8,
        RECORD_CUSTOM_HISTOGRAMS = 9,
        RECORD_CUSTOM_FLOAT_HISTOGRAMS = 10,
        RECORD_SAMPLES_V2 = 11,
        RECORD_HISTOGRAMS_V2 = 12,
        RECORD_FLOAT_HISTOGRAMS_V2 = 13,
        RECORD_UNKNOWN = 255,
};
enum record_type record_type(Str rec);
const char *record_type_name(enum record_type t); /* "series", "samples", … */
static inline bool record_is_histogram(enum record_type t)
{
        return (t >= RECORD_HISTOGRAMS && t <= RECORD_CUSTOM_FLOAT_HISTOGRAMS) || t == RECORD_HISTOGRAMS_V2 ||
               t == RECORD_FLOAT_HISTOGRAMS_V2;
}

struct record_sample {
        uint64_t ref;
        TimeMs t;
        double v;
};
typedef VEC(struct record_sample) RecordSampleVec;
struct record_tombstone {
        uint64_t ref;
        TimeMs mint_ms, maxt_ms;
};
typedef VEC(struct record_tombstone) RecordTombstoneVec;
struct record_exemplar {
        uint64_t ref;
        TimeMs t;
        double v;
        Str labels; /* encoded: count, then pairs */
};
typedef VEC(struct record_exemplar) RecordExemplarVec;
struct record_metadata {
        uint64_t ref;
        uint8_t type;
        Str unit, help;
        Str raw; /* its bytes in the record */
};
typedef VEC(struct record_metadata) RecordMetadataVec;
struct record_marker { /* of the out-of-order log: what it had of this series so far is in the chunk */
        uint64_t ref, chunk_ref; /* of the head chunk files: number << 32 | offset; 0: a first chunk began */
};
typedef VEC(struct record_marker) RecordMarkerVec;

/* Encoding. All append to b. */
void record_series_begin(struct buf *b);
void record_series_add(struct buf *b, uint64_t ref, Labels ls);
void record_tombstones_begin(struct buf *b);
void record_tombstones_add(struct buf *b, struct record_tombstone t);
void record_exemplars(struct buf *b, const struct record_exemplar *e, size_t n);
void record_markers(struct buf *b, const struct record_marker *m, size_t n);

/* As exemplars have them: count, then pairs. */
void record_labels_put(struct buf *b, Labels ls);
struct samples_encoder {
        uint64_t ref;
        TimeMs t;
};
struct samples_encoder record_samples_begin(struct buf *b, uint64_t first_ref, TimeMs first_t);
enum { RECORD_SAMPLE_MAX_BYTES = 28 };
/* p has room for RECORD_SAMPLE_MAX_BYTES; returns the end. */
uint8_t *record_sample_put(const struct samples_encoder *e, uint8_t *p, uint64_t ref, TimeMs t, double v);
static inline void record_samples_add(const struct samples_encoder *e, struct buf *b, uint64_t ref, TimeMs t, double v)
{
        uint8_t *p = (uint8_t *)buf_reserve(b, RECORD_SAMPLE_MAX_BYTES);
        if (p)
                b->n += (size_t)(record_sample_put(e, p, ref, t, v) - p);
}

/* Decoding. Results are appended; damage is ERROR_CORRUPT. */
struct record_series_iter {
        Str rest;
        LabelVec labels; /* of the current series; strings borrowed from the record */
        uint64_t ref;
        size_t from; /* where the current one begins, in bytes from the end of the record */
};
void record_series_iter_init(struct record_series_iter *it);
void record_series_iter_done(struct record_series_iter *it);
struct error *record_series_open(struct record_series_iter *it, Str rec) MUST_CHECK;
/* Labels come out as they were written; they may break the invariants of Labels. */
struct error *record_series_next(struct record_series_iter *it, bool *ret_more) MUST_CHECK;
struct error *record_samples(Str rec, RecordSampleVec *ret) MUST_CHECK; /* 2, 11: start times are dropped */
struct error *record_tombstones(Str rec, RecordTombstoneVec *ret) MUST_CHECK;
/* The labels of an exemplar, borrowed; v NULL: past the arena's budget. */
Labels record_exemplar_labels(Str labels, struct arena *a);
struct error *record_exemplars_decode(Str rec, RecordExemplarVec *ret) MUST_CHECK;
struct error *record_exemplars_body(Str body, RecordExemplarVec *ret) MUST_CHECK; /* without the type, as in snapshots */
struct error *record_metadata(Str rec, RecordMetadataVec *ret) MUST_CHECK;
struct error *record_markers_decode(Str rec, RecordMarkerVec *ret) MUST_CHECK;

#endif
