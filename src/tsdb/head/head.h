/* SPDX-License-Identifier: Apache-2.0 */
/* head.h — the newest samples, in memory, behind the write-ahead log. Implements storage.h.
 *
 *   e = head_open(&opts, &h, &info);                replays chunks_head/, the checkpoint, the log and the out-of-order log
 *   head_storage(h)                                 appenders and queriers
 *   e = head_truncate(h, mint);                     what is before mint is in blocks now
 *   e = head_close(h);
 *
 * A commit is in the log before it is seen. Commits are applied one after another and numbered; a querier shows those
 * that were finished when it was opened (of the newest four samples of a series: see head_read.c for the bound).
 * Samples that come out of order are taken within a window if there is one, are in a log of their own (wbl/) when a commit
 * returns, and are seen at once.
 * Threads: any, but open/close. Format: docs/format/{wal,head_chunks}.md.  Upstream: tsdb/head*.go. */
#ifndef TSDB_HEAD_HEAD_H
#define TSDB_HEAD_HEAD_H

#include "storage/exemplars.h"
#include "storage/storage.h"
#include "tsdb/wal/wal.h"

struct head;
struct head_opts {
        const char *dir;        /* the data directory: wal/ and chunks_head/ lie in it */
        int64_t chunk_range_ms; /* of the smallest block: 2 h */
        int samples_per_chunk;  /* 0: 120 */
        int64_t max_exemplars; /* 0: none are kept */
        enum wal_compression wal_compression;
        uint32_t wal_segment_bytes; /* 0: 128 MiB */
        const struct disk *disk;    /* NULL: disk_system */
        TimeMs min_valid_ms;        /* samples before are in blocks; TIME_MS_MIN: no blocks */
        int64_t out_of_order_window_ms; /* how far behind the head's newest sample one may be; 0: all must be in order */
        void (*progress)(void *ctx, int min, int max, int current); /* while the log is read; NULL: none */
        void *progress_ctx;
        bool snapshot_on_close; /* the series with their open chunks, so that the next start reads less: snapshot.h */
        int replay_threads; /* that put samples into series while the log is read; 0: one a processor */
        const bool *cancel; /* read atomically while the log is read: true ends it with ERROR_CANCELLED; NULL: never */
};
struct head_open_info {
        uint64_t wal_corruptions, mmap_corruptions;
        uint64_t snapshot_errors; /* 1: the snapshot was no good, and is gone; all came from the log */
        uint64_t snapshot_series; /* that came from it */
        uint64_t unknown_refs;      /* samples whose series the log does not hold */
        uint64_t wbl_corruptions, unknown_ooo_refs; /* of the out-of-order log */
        double snapshot_seconds, chunks_seconds, wal_seconds;
};

struct error *head_open(const struct head_opts *opts, struct head **ret, struct head_open_info *ret_info) MUST_CHECK;
struct error *head_close(struct head *take_h) MUST_CHECK; /* NULL is fine */
struct storage *head_storage(struct head *h);
struct exemplars *head_exemplars(struct head *h); /* borrowed; its size and window are the head's business */
void head_set_max_exemplars(struct head *h, int64_t max);

bool head_is_empty(const struct head *h); /* no sample ever, or none left */
TimeMs head_min_ms(const struct head *h); /* TIME_MS_MAX when empty */
TimeMs head_max_ms(const struct head *h); /* TIME_MS_MIN when empty */
int64_t head_chunk_range_ms(const struct head *h);
bool head_is_compactable(const struct head *h); /* spans more than 1.5 ranges */
/* Raises the floor for appends: no sample before mint_ms gets in any more, not even from appenders that are open. */
void head_fence(struct head *h, TimeMs mint_ms);
/* Forgets samples before mint_ms, series without samples, their log segments and chunk files. */
struct error *head_truncate(struct head *h, TimeMs mint_ms) MUST_CHECK;
/* Hides the samples in the range (inclusive) of matching series; written to the log. */
struct error *head_delete(struct head *h, TimeMs mint_ms, TimeMs maxt_ms, const struct matcher *const *m,
                          size_t n_m) MUST_CHECK;

/* ---- samples that came out of order (ooo.h) ---- */

/* What a reloaded configuration says. The log for them is made when it is needed first. */
struct error *head_set_out_of_order_window(struct head *h, int64_t window_ms) MUST_CHECK;
struct head_ooo_part {
        TimeMs mint_ms, maxt_ms; /* of its samples, inclusive; MAX, MIN: there are none */
        uint64_t upto;           /* number of its newest chunk */
        int wal_segment;         /* of the out-of-order log: the first that is not in it */
};
/* All out-of-order samples so far, as chunks, so that they can be written to blocks; what comes later is another part. */
struct error *head_ooo_begin(struct head *h, struct head_ooo_part *ret) MUST_CHECK;
/* They are in blocks now. */
struct error *head_ooo_truncate(struct head *h, const struct head_ooo_part *part) MUST_CHECK;
TimeMs head_ooo_min_ms(const struct head *h); /* TIME_MS_MAX: none */
TimeMs head_ooo_max_ms(const struct head *h); /* TIME_MS_MIN: none */

enum head_which { HEAD_ALL, HEAD_IN_ORDER, HEAD_OUT_OF_ORDER };
/* As storage_querier(); of the out-of-order samples those of a part, or all (NULL). */
struct error *head_querier(struct head *h, enum head_which which, const struct head_ooo_part *part, TimeMs mint_ms, TimeMs maxt_ms,
                           struct arena *arena, struct querier **ret) MUST_CHECK;

struct head_stats {
        uint64_t series, series_created, series_removed, chunks, chunks_created, chunks_removed, samples_appended;
        uint64_t out_of_order, out_of_bounds, duplicates, too_old, ooo_appended;
        uint64_t label_pairs, symbol_bytes, active_appenders, truncations, truncations_failed, gcs, mmap_corruptions,
                wal_corruptions;
        uint64_t checkpoint_creations, checkpoint_creations_failed, checkpoint_deletions, checkpoint_deletions_failed;
        double gc_seconds, wal_truncate_seconds;
        uint64_t wal_truncations;
        TimeMs min_ms, max_ms;
        uint64_t low_watermark, high_watermark; /* numbers of commits */
        uint64_t wal_bytes, wbl_bytes, chunks_head_bytes; /* on disk */
        TimeMs ooo_min_ms, ooo_max_ms;
        struct exemplar_stats exemplars;
        uint64_t wbl_corruptions;
        int wal_segment;
        struct wal_stats wal;
};
void head_get_stats(struct head *h, struct head_stats *ret);

/* Top lists of /api/v1/status/tsdb: descending by value, strings in the arena. */
struct head_top {
        Str name;
        uint64_t value;
};
typedef VEC(struct head_top) HeadTopVec;
struct head_cardinality {
        HeadTopVec series_by_metric, values_by_label, bytes_by_label, series_by_pair;
};
void head_cardinality(struct head *h, size_t limit, struct arena *arena, struct head_cardinality *ret);
void head_cardinality_done(struct head_cardinality *c);
uint64_t head_label_pairs(struct head *h);

/* Test and bench: anonymous bytes by our own count. */
uint64_t head_memory_bytes(struct head *h);

#endif
