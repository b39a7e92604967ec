/* SPDX-License-Identifier: Apache-2.0 */
/* ooo.h — samples that came out of order: what a series has of them, beside its chunks.
 *
 *   ooo_insert_locked(h, slot, t, v, x)             into the series' newest batch; one that is full becomes a chunk first
 *   e = ooo_log_locked(h, &batch)                   what was inserted since, as records of the out-of-order log
 *
 * Samples wait sorted and not encoded, at most `cap_max` a series; then they become chunks, which go to the head's chunk
 * files as others do, with a bit that says what they are. Chunks are numbered over all series, so that a compaction takes
 * those up to a number, and cutting them off later leaves what came in the meantime.
 *
 * Few series have such samples: they are in a table of their own, and a slot has a bit (OPEN_HAS_OOO).
 * Threads: mu for changes, and the series' stripe too; reading needs the stripe. The table has a lock of its own, a leaf.
 * Upstream: tsdb/ooo_head.go, ooo_head_read.go. */
#ifndef TSDB_HEAD_OOO_H
#define TSDB_HEAD_OOO_H

#include "base/thread.h"
#include "storage/storage.h"
#include "tsdb/head/mapper.h"
#include "tsdb/wal/record_histogram.h"
#include "tsdb/wal/wal.h"

struct head;
enum { OOO_CAP_MAX = 32 }; /* samples of a series that are not in a chunk; upstream: DefaultOutOfOrderCapMax */

struct ooo_chunk {
        const uint8_t *p; /* slab while is_memory, else in a map */
        TimeMs mint_ms, maxt_ms;
        uint64_t number; /* ascending in a series */
        uint64_t ref;    /* of the chunk files; 0: not there yet */
        uint32_t n_bytes : 27, is_memory : 1, encoding : 4;
};
struct ooo_series {
        uint32_t slot;
        uint32_t group; /* of the log, in which it had a sample last */
        VEC(struct ooo_chunk) chunks;
        TimeMs *t; /* ascending */
        double *v;
        struct histogram_sample *h; /* NULL: floats only; else both members NULL is a float */
        struct arena *arena;        /* of h */
        uint16_t n, cap;
        bool is_begun; /* the newest batch; it may be empty when all its samples were refused */
};

/* A sample, or with number_to > 0 the end of a batch: the chunks (number_from, number_to] hold what came before. */
struct ooo_item {
        uint32_t slot, group;
        TimeMs t;
        double v;
        struct histogram_sample h; /* borrowed: of the appender */
        uint64_t number_from, number_to;
        bool is_mark;
};

struct ooo {
        struct mutex mu; /* guards the table; a leaf */
        struct ooo_series **table; /* open addressing by slot */
        size_t cap, n;
        /* guarded by the head's mu: */
        uint64_t number; /* of the newest chunk */
        uint64_t gone;   /* chunks up to this are in blocks */
        uint32_t group;
        VEC(struct ooo_item) items; /* since the last ooo_log_locked */
        struct wal *wal;            /* NULL: was never needed */
        char *dir;
        struct wal_batch batch;
        struct buf rec;
        RecordHistogramVec histograms;
        /* atomic: */
        TimeMs min_ms, max_ms; /* of all such samples; MAX and MIN: none */
        int64_t window_ms;     /* 0: such samples are refused */
};

void ooo_init(struct ooo *o, const char *dir, enum wal_compression compression);
void ooo_done(struct head *h);
struct ooo_series *ooo_get(struct head *h, uint32_t slot); /* NULL: it has none */

/* mu held. x with both members NULL: a float. False: there is one with this time. */
bool ooo_insert_locked(struct head *h, uint32_t slot, TimeMs t, double v, struct histogram_sample x);
/* Full chunks were flushed before, so that marks name what is there. */
struct error *ooo_log_locked(struct head *h) MUST_CHECK;
void ooo_forget_items_locked(struct head *h); /* replay: they are in the log already */
/* The batch becomes chunks, in memory. */
void ooo_cut_locked(struct head *h, uint32_t slot, struct ooo_series *o);
/* A chunk of the files, read at the start. */
void ooo_attach(struct head *h, uint32_t slot, const struct chunk *c);
/* A mark, at the start: the batch is in that chunk. 0: a batch begins, what came before is in blocks. */
void ooo_mark(struct head *h, uint32_t slot, uint64_t chunk_ref);
/* mu and stripe held: forgets chunks up to gone. True: something is left. Else the series is in the table no more. */
bool ooo_truncate_locked(struct head *h, uint32_t slot);
void ooo_range(const struct ooo_series *o, TimeMs *min_ms, TimeMs *max_ms); /* widens */

/* Stripe held. Chunks that touch the range, copies in the arena where they lie in memory; ascending by mint. upto: numbers of
 * chunks to give, and no newer samples; 0: all. Room for ooo_chunks_max(). */
size_t ooo_chunks_max(const struct ooo_series *o);
struct error *ooo_chunks_copy(const struct ooo_series *o, TimeMs mint_ms, TimeMs maxt_ms, uint64_t upto, uint64_t ref,
                              struct arena *arena, struct chunk *out, size_t *ret_n) MUST_CHECK;
uint64_t ooo_bytes(struct head *h); /* memory outside of the slab */

#endif
