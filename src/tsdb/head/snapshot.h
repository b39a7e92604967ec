/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot.h — the head's series with their open chunks, in a log of its own: chunk_snapshot.N.M says what the head was
 * when M bytes of segment N of the log had been written. A start from it reads only what was logged later.
 *
 *   e = snapshot_write(h);                          at a clean stop, when nobody else has h
 *   e = snapshot_find(dir, &s);  if (s.dir) …       the newest; its records by wal/ahead.h; snapshot_parse_series(…)
 *   snapshot_done(&s);
 *
 * It is never the only copy: the log is kept as without it. Beside the segments lies a file of ours, which upstream passes
 * over: which chunk files there were, which reference is next, and which others the log still needs. A snapshot that
 * upstream wrote has none. Threads: one owner. Format: docs/format/chunk_snapshot.md.
 * Upstream: tsdb/head_wal.go, ChunkSnapshot, loadChunkSnapshot. */
#ifndef TSDB_HEAD_SNAPSHOT_H
#define TSDB_HEAD_SNAPSHOT_H

#include "base/vec.h"
#include "storage/storage.h"

struct head;
enum snapshot_record { SNAPSHOT_SERIES = 1, SNAPSHOT_TOMBSTONES = 2, SNAPSHOT_EXEMPLARS = 3 };
struct snapshot_series {
        uint64_t ref;
        bool has_chunk;
        struct chunk chunk; /* data borrowed from the record; ref unused */
        uint64_t last_v;    /* bits; of XOR and XOR2 chunks */
};
/* Labels are appended to `labels`, as they stand, borrowed. Damage is ERROR_CORRUPT. */
struct error *snapshot_parse_series(Str rec, LabelVec *labels, struct snapshot_series *ret) MUST_CHECK;
struct snapshot_tombstone {
        uint64_t ref;
        struct interval range;
};
typedef VEC(struct snapshot_tombstone) SnapshotTombstoneVec;
struct error *snapshot_parse_tombstones(Str rec, SnapshotTombstoneVec *ret) MUST_CHECK;

struct snapshot_keep { /* a reference that the log has, of a series that has another one, or is gone */
        uint64_t ref;
        TimeMs until_ms;
};
struct snapshot {
        char *dir; /* heap; NULL: there is none */
        int segment;
        uint64_t offset;
        bool is_ours; /* then: */
        uint64_t next_ref;
        int chunk_file; /* the newest; 0: none */
        uint64_t chunk_file_bytes;
        VEC(struct snapshot_keep) keep;
};
/* An unreadable file of ours is ERROR_CORRUPT. */
struct error *snapshot_find(const char *dir, struct snapshot *ret) MUST_CHECK;
void snapshot_done(struct snapshot *s);
/* Removes those of segments up to segment; INT_MAX: all, and what is left of unfinished ones. */
struct error *snapshot_delete(const char *dir, int segment) MUST_CHECK;
struct error *snapshot_write(struct head *h) MUST_CHECK;
bool snapshot_is_temp(Str name); /* a directory that was being written */

#endif
