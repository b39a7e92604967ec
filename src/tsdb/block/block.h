/* SPDX-License-Identifier: Apache-2.0 */
/* block.h — an immutable directory of series over a time range: index, chunks, tombstones, meta.json.
 *
 *   struct block *b;
 *   e = block_open(dir, &b);
 *   e = block_querier(b, mint, maxt, &arena, &q);   the querier holds a reference: the block may be dropped, even deleted, while it runs
 *   block_unref(b);
 *
 * Threads: any; block_delete and the block_set_… functions: one at a time (the database's compaction lock).
 * Format: docs/format/block.md.  Upstream: tsdb/block.go, querier.go. */
#ifndef TSDB_BLOCK_BLOCK_H
#define TSDB_BLOCK_BLOCK_H

#include "base/file.h"
#include "storage/storage.h"
#include "tsdb/block/meta.h"
#include "tsdb/wal/disk.h"

struct block;

/* Maps all files and checks tables; ERROR_CORRUPT names file and section. */
struct error *block_open(const char *dir, struct block **ret) MUST_CHECK;
struct block *block_ref(struct block *b);
void block_unref(struct block *b);                      /* NULL is fine */

const struct block_meta *block_get_meta(const struct block *b);
const char *block_get_dir(const struct block *b);
uint64_t block_size_bytes(const struct block *b);       /* of all its files, at open */
uint64_t block_symbol_bytes(const struct block *b);     /* memory that symbol lookup takes */
uint64_t block_tombstones(struct block *b);             /* intervals */
struct index_reader *block_get_index(struct block *b);  /* see tsdb/index/index.h */

struct error *block_querier(struct block *b, TimeMs mint_ms, TimeMs maxt_ms, struct arena *arena, struct querier **ret) MUST_CHECK;
/* The block as a storage (read only); borrowed, as long as the block. */
struct storage *block_storage(struct block *b);
static inline bool block_overlaps(const struct block *b, TimeMs mint_ms, TimeMs maxt_ms)        /* inclusive range */
{
        const struct block_meta *m = block_get_meta(b);
        return m->mint_ms <= maxt_ms && mint_ms < m->maxt_ms;
}

/* All series in label order, each valid until the next call, which clears scratch: for compaction and copying. chunks lie in the block's maps. */
struct error *block_scan(struct block *b, struct arena *arena, struct arena *scratch, struct series_set **ret) MUST_CHECK;

/* Hides the samples in [mint_ms, maxt_ms] of matching series: written to the tombstones file and meta.json, visible at once to new queriers. */
struct error *block_delete(struct block *b, TimeMs mint_ms, TimeMs maxt_ms, const struct matcher *const *m, size_t n_m) MUST_CHECK;
struct error *block_set_compaction_failed(struct block *b) MUST_CHECK;
struct error *block_set_deletable(struct block *b) MUST_CHECK;
/* Hard links of all files below into/<ULID>. */
struct error *block_snapshot(const struct block *b, const char *into) MUST_CHECK;

struct block_write_opts {
        uint64_t segment_bytes;         /* 0: 512 MiB */
        const bool *cancel;             /* NULL, or: stop with ERROR_CANCELLED when it becomes true */
        const struct disk *disk;        /* NULL: disk_system. A seam for tests: chunk files, the index and the rename go through it */
};
/* Writes a new block below parent_dir from series in label order; samples outside [meta->mint_ms, meta->maxt_ms) and deleted ones are left
 * out, chunks that need no change are copied byte for byte, overlapping or cut ones are encoded anew (at most 120 samples).
 * meta gives ulid, range and compaction; its stats are filled in. Built as <ULID>.tmp-for-creation, synced, then renamed.
 * Without any sample no block appears and meta->stats.samples is 0. What next() of the set gives need only live until the next call. */
struct error *block_write(const char *parent_dir, struct block_meta *meta, const struct block_write_opts *opts, struct series_set *set) MUST_CHECK;

#define BLOCK_TMP_CREATION ".tmp-for-creation"
#define BLOCK_TMP_DELETION ".tmp-for-deletion"
#define BLOCK_TMP_LEGACY ".tmp"
bool block_is_tmp_dir(Str name);                        /* <ULID> and one of the suffixes: remove at start */
/* Renames the directory to …tmp-for-deletion, then removes it. Maps of open queriers stay valid. */
struct error *block_remove_dir(const char *dir) MUST_CHECK;
/* Names below dir that are ULIDs of directories, in order; append to ret. */
struct error *block_list(const char *dir, PathVec *ret) MUST_CHECK;
/* Old damage: an index that says version 1 though it is 2, with meta.json version 2 (Prometheus 2.1). Repairs it in place. */
struct error *block_repair_version(const char *dir, bool *ret_repaired) MUST_CHECK;

#endif
