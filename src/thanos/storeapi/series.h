/* SPDX-License-Identifier: Apache-2.0 */
/* series.h — what every server of thanos.Store/Series shares: the frames of the answer, and shards.
 *
 *   struct series_frames f;
 *   series_frames_init(&f, &sink, request.response_batch_size);
 *   buf_clear(&chunks);  series_put_chunk(&chunks, &chunk);  …
 *   e = series_frames_add(&f, labels, buf_str(&chunks));  …  e = series_frames_flush(&f);  series_frames_done(&f);
 *
 * Each byte of a chunk is written twice: into chunks, and into the frame. Threads: one owner.
 * Format: thanos pkg/store/storepb/{rpc,types}.proto. */
#ifndef THANOS_STOREAPI_SERIES_H
#define THANOS_STOREAPI_SERIES_H

#include "base/buf.h"
#include "base/error.h"
#include "model/labels.h"
#include "storage/storage.h"

/* Takes each message of an answer; an error ends the call and is returned as it is. */
struct store_sink {
        struct error *(*send)(struct store_sink *s, Str message);
};

enum store_aggregate { AGGREGATE_COUNT, AGGREGATE_SUM, AGGREGATE_MIN, AGGREGATE_MAX, AGGREGATE_COUNTER, AGGREGATE_N };
struct store_chunk {
        TimeMs mint_ms, maxt_ms;
        enum chunk_encoding encoding; /* of raw; CHUNK_NONE: a downsampled chunk */
        Str raw;
        Str aggregates[AGGREGATE_N]; /* XOR each; p NULL: not asked for */
};
/* Appends one chunk as it stands in a Series message, with the hashes of its data. */
void series_put_chunk(struct buf *b, const struct store_chunk *c);

struct series_frames {
        struct store_sink *sink;
        struct buf frame;
        int64_t batch; /* series in a frame; below 2: a frame each */
        int64_t n;     /* in the frame that waits */
};
void series_frames_init(struct series_frames *f, struct store_sink *sink, int64_t batch);
void series_frames_done(struct series_frames *f);
/* chunks: of series_put_chunk; empty: labels only. ERROR_LIMIT: a series too large to be sent. */
struct error *series_frames_add(struct series_frames *f, Labels labels, Str chunks) MUST_CHECK;
struct error *series_frames_flush(struct series_frames *f) MUST_CHECK;

struct store_shard {
        int64_t index, total; /* total below 2: off */
        bool by;              /* hash the named labels, or all others */
        const Str *labels;
        size_t n_labels;
};
/* scratch is cleared and used. */
bool store_shard_has(const struct store_shard *sh, Labels l, struct buf *scratch);

#endif
