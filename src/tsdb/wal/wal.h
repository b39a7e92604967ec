/* SPDX-License-Identifier: Apache-2.0 */
/* wal.h — the write-ahead log: records appended to numbered segments.
 *
 *   struct wal_batch b;  wal_batch_init(&b, WAL_SNAPPY);
 *   e = wal_batch_add(&b, record);          compresses; no lock is held
 *   e = wal_log(w, &b);                     one write(2) for all of the batch: then kill -9 cannot take it back
 *
 * A log that was closed or killed is continued in a new segment. Opening does not read: see reader.h and wal_repair().
 * When a write fails (full disk) the segment is cut back to the last whole batch, the error is returned, and later
 * batches may succeed. fsync happens when a segment is full, on wal_sync() and on close. A batch is in one segment
 * where it fits; records never cross segments. Threads: any. Format: docs/format/wal.md.  Upstream: tsdb/wlog/wlog.go.
 */
#ifndef TSDB_WAL_WAL_H
#define TSDB_WAL_WAL_H

#include "base/error.h"
#include "base/vec.h"
#include "tsdb/wal/disk.h"
#include "tsdb/wal/pack.h"

struct wal;
enum { WAL_SEGMENT_BYTES = 128 << 20 };
struct wal_opts {
        uint32_t segment_bytes;  /* 0: WAL_SEGMENT_BYTES; a multiple of the page size */
        const struct disk *disk; /* NULL: disk_system */
};
struct wal_stats {
        uint64_t page_flushes, completed_pages, truncations, truncations_failed, writes_failed, syncs;
        double sync_seconds;
};

/* Makes dir if needed and starts the segment behind the last one there. */
struct error *wal_open(const char *dir, const struct wal_opts *opts, struct wal **ret) MUST_CHECK;
/* Syncs and closes. The error says that bytes may not have reached the disk; w is freed all the same. NULL is fine. */
struct error *wal_close(struct wal *take_w) MUST_CHECK;

struct wal_batch_record {
        size_t n;
        uint8_t flag;
};
struct wal_batch {
        enum wal_compression compression;
        struct buf bytes;
        VEC(struct wal_batch_record) records;
};
void wal_batch_init(struct wal_batch *b, enum wal_compression c);
void wal_batch_done(struct wal_batch *b);
void wal_batch_clear(struct wal_batch *b);
struct error *wal_batch_add(struct wal_batch *b, Str rec) MUST_CHECK;
struct error *wal_log(struct wal *w, const struct wal_batch *b) MUST_CHECK;

struct error *wal_sync(struct wal *w) MUST_CHECK;
/* Ends the current segment (synced) and starts the next. */
struct error *wal_next_segment(struct wal *w, int *ret_index) MUST_CHECK;
int wal_segment_index(struct wal *w);       /* the one being written */
uint64_t wal_segment_offset(struct wal *w); /* bytes in it */
const char *wal_get_dir(const struct wal *w);
void wal_get_stats(struct wal *w, struct wal_stats *ret);
/* Removes segments below index. */
struct error *wal_truncate(struct wal *w, int index) MUST_CHECK;

/* Segment numbers in dir, ascending. A gap is ERROR_CORRUPT. A missing dir has none. */
typedef VEC(int) SegmentVec;
struct error *wal_segments(const char *dir, SegmentVec *ret) MUST_CHECK;
char *wal_segment_path(const char *dir, int index); /* heap */
/* Cuts the log after offset bytes of segment and removes all later segments. */
struct error *wal_repair(const struct disk *disk, const char *dir, int segment, uint64_t offset) MUST_CHECK;

#endif
