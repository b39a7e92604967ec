/* SPDX-License-Identifier: Apache-2.0 */
/* db.h — the data directory: head, blocks, their life from one to the other. Implements storage.h over both.
 *
 *   struct db_opts o = DB_OPTS_INIT;  o.dir = "data";
 *   e = db_open(&o, &db);                           replays; may take a while: db_replay_status() from another thread needs db_new() first
 *   db_storage(db)
 *   e = db_close(db);
 *
 * A thread of its own compacts the head and blocks, drops what retention says and looks for new blocks each minute. Its errors are logged and tried
 * again. Threads: any, but open/close.  Upstream: tsdb/db.go. */
#ifndef TSDB_DB_DB_H
#define TSDB_DB_DB_H

#include "tsdb/block/block.h"
#include "tsdb/head/head.h"

struct db;
struct db_opts {
        const char *dir;
        int64_t min_block_ms, max_block_ms;     /* 2 h; 0: min_block_ms .. min(31 d, retention / 10) */
        int64_t retention_ms;                   /* 0: none */
        uint64_t retention_bytes;               /* 0: none */
        double retention_percent;               /* of the file system; overrides retention_bytes; 0: none */
        int samples_per_chunk;                  /* 120 */
        enum wal_compression wal_compression;
        uint32_t wal_segment_bytes;             /* 0: 128 MiB */
        uint64_t chunk_segment_bytes;           /* 0: 512 MiB */
        int64_t reload_ms;                      /* 60000 */
        int64_t max_exemplars;                  /* 0: none are kept. db_set_max_exemplars */
        int64_t out_of_order_window_ms;         /* samples this far behind the head's newest are taken; 0: none. db_set_out_of_order_window */
        bool no_lockfile;
        bool snapshot_on_close;                 /* the head's series and open chunks, for a quick start */
        bool no_compact;                        /* no thread: tests call db_compact() */
        bool allow_overlapping_compaction;      /* true */
        /* NULL, or: false keeps a block from being merged and from being dropped for its age, as one that is still to be uploaded. Called
         * with the lock of compactions held; must not call the db. */
        bool (*may_go)(void *ctx, const struct block_meta *m);
        void *may_go_ctx;
        const struct disk *disk;                /* NULL: disk_system */
        const struct clock *clock;              /* NULL: clock_system */
        const bool *cancel;                     /* NULL, or: db_start ends with ERROR_CANCELLED. Looked at before the head is read, not yet while it is */
};
#define DB_OPTS_INIT                                                                                                                   \
        {.min_block_ms = 7200000, .wal_compression = WAL_SNAPPY, .reload_ms = 60000, .allow_overlapping_compaction = true}

/* An unopened database: db_replay_status works on it from any thread while db_start runs. */
struct db *db_new(const struct db_opts *opts);
struct error *db_start(struct db *db) MUST_CHECK;
struct error *db_open(const struct db_opts *opts, struct db **ret) MUST_CHECK;  /* both */
struct error *db_close(struct db *take_db) MUST_CHECK;          /* NULL is fine; no compaction is forced */

struct storage *db_storage(struct db *db);
struct head *db_head(struct db *db);
/* The first time from which samples are complete: of the oldest block or the head. TIME_MS_MAX: no data. */
TimeMs db_start_ms(struct db *db);
const char *db_dir(const struct db *db);
int64_t db_min_block_ms(const struct db *db);
int64_t db_max_block_ms(const struct db *db);

struct db_replay_status {
        enum { DB_REPLAY_WAITING, DB_REPLAY_RUNNING, DB_REPLAY_DONE } state;
        int min, max, current;                  /* segments */
};
void db_replay_status(const struct db *db, struct db_replay_status *ret);

typedef VEC(struct block *) BlockVec;
void db_blocks(struct db *db, BlockVec *ret);                   /* referenced; ascending by mint */
void db_blocks_done(BlockVec *v);

/* One round of what the thread does: head blocks, block merges. */
struct error *db_compact(struct db *db) MUST_CHECK;
/* Looks at the directory: new, vanished, obsolete blocks; then retention. */
struct error *db_reload(struct db *db) MUST_CHECK;
struct error *db_delete(struct db *db, TimeMs mint_ms, TimeMs maxt_ms, const struct matcher *const *m, size_t n_m) MUST_CHECK;
struct error *db_clean_tombstones(struct db *db) MUST_CHECK;
/* Blocks as hard links, and the head as a block unless it shall not be, below dir/snapshots/<name>; the name is <UTC time>-<hex>. */
struct error *db_snapshot(struct db *db, bool with_head, char **ret_name) MUST_CHECK;
/* Retention as a reloaded configuration says; opts as in db_opts. */
void db_set_retention(struct db *db, int64_t retention_ms, uint64_t retention_bytes, double retention_percent);
void db_set_max_exemplars(struct db *db, int64_t max);
struct error *db_set_out_of_order_window(struct db *db, int64_t window_ms) MUST_CHECK;

struct db_stats {
        uint64_t compactions, compactions_triggered, compactions_skipped, compactions_failed, reloads, reloads_failed;
        uint64_t time_retentions, size_retentions, tombstone_cleanups_failed;
        uint64_t blocks_loaded, block_bytes, symbol_bytes;
        int64_t retention_ms;
        uint64_t retention_bytes;
        int clean_start;                        /* 1 yes, 0 a lock was left, -1 no lock wanted */
        double replay_seconds, compaction_seconds, tombstone_cleanup_seconds;
        TimeMs lowest_ms;
        struct head_stats head;
        struct head_open_info open;
};
void db_get_stats(struct db *db, struct db_stats *ret);

#endif
