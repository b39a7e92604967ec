/* SPDX-License-Identifier: Apache-2.0 */
/* state.h — a database from inside: for the files of this folder.
 *
 * Lock order: compaction, then mu. Whoever changes blocks, on disk or in the list, holds compaction; mu is held for moments only. */
#ifndef TSDB_DB_STATE_H
#define TSDB_DB_STATE_H

#include "base/list.h"
#include "base/thread.h"
#include "tsdb/compact/compact.h"
#include "tsdb/db/db.h"

#define DB_COMPONENT "tsdb"

struct db {
        struct storage storage;
        struct db_opts opts;
        char *dir, *lock_path;
        int lock_fd;                    /* -1: not held */
        struct head *head;              /* NULL until it is open; db_head() reads it */
        int64_t ranges[COMPACT_RANGES_MAX];
        size_t n_ranges;
        struct thread thread;
        _Atomic bool wake;              /* a round of compaction is due */

        struct mutex compaction;        /* held during compactions, deletions, reloads, snapshots */
        struct mutex mu;                /* guards all below */
        struct cond changed;            /* stop was set, a querier was closed, or the head became compactable */
        bool stop;                      /* also read without mu, atomically, by block_write */
        BlockVec blocks;                /* ascending by mint */
        struct list queriers;           /* struct db_querier */
        uint64_t querier_seq;
        int64_t retention_ms;
        uint64_t retention_bytes;
        double retention_percent;
        struct db_replay_status replay;
        struct db_stats stats;          /* counters; the rest is filled in by db_get_stats */
};

bool db_is_stopping(struct db *db);
static inline bool db_may_go(const struct db *db, const struct block *b)
{
        return !db->opts.may_go || db->opts.may_go(db->opts.may_go_ctx, block_get_meta(b));
}
void db_wake_if_compactable(struct db *db, struct head *head);  /* any thread, often: cheap when there is nothing to do */
struct error *db_lock_dir(struct db *db) MUST_CHECK;
struct error *db_unlock_dir(struct db *db) MUST_CHECK;
/* compaction is held. */
struct error *db_reload_locked(struct db *db) MUST_CHECK;
/* Waits until queriers that began before now and reach below t are closed. False: the database stops. */
bool db_wait_queriers(struct db *db, TimeMs t);
/* End of the newest block made of whole heads: older samples are not taken from the log. TIME_MS_MIN: there is none. */
TimeMs db_in_order_end(struct db *db);
void db_thread(void *db);
extern const struct storage_ops db_storage_ops;

#endif
