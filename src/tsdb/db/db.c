/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/db/db.h"

#include "base/log.h"
#include "tsdb/db/state.h"
#include "tsdb/head/snapshot.h"

struct db *db_new(const struct db_opts *opts)
{
        struct db *db = mem_new(struct db);
        db->storage.ops = &db_storage_ops;
        db->opts = *opts;
        if (!db->opts.clock)
                db->opts.clock = &clock_system;
        if (!db->opts.reload_ms)
                db->opts.reload_ms = 60000;
        if (!db->opts.min_block_ms)
                db->opts.min_block_ms = 7200000;
        if (!db->opts.max_block_ms) {
                int64_t most = (int64_t)31 * 24 * 3600 * 1000;
                if (opts->retention_ms && opts->retention_ms / 10 < most)
                        most = opts->retention_ms / 10;
                db->opts.max_block_ms = most;
        }
        db->opts.max_block_ms = MAX(db->opts.max_block_ms, db->opts.min_block_ms);
        db->n_ranges = compact_ranges(db->opts.min_block_ms, db->opts.max_block_ms, db->ranges);
        db->dir = mem_strdup(opts->dir);
        db->opts.dir = db->dir;
        char *full = realpath(opts->dir, NULL);
        db->lock_path = path_join(full ? full : opts->dir, "lock");
        free(full);
        db->lock_fd = -1;
        db->retention_ms = opts->retention_ms;
        db->retention_bytes = opts->retention_bytes;
        db->retention_percent = opts->retention_percent;
        mutex_init(&db->compaction);
        mutex_init(&db->mu);
        cond_init(&db->changed);
        list_init(&db->queriers);
        return db;
}

static void db_free(struct db *db)
{
        db_blocks_done(&db->blocks);
        mutex_done(&db->compaction);
        mutex_done(&db->mu);
        cond_done(&db->changed);
        free(db->dir);
        free(db->lock_path);
        free(db);
}

bool db_is_stopping(struct db *db)
{
        return __atomic_load_n(&db->stop, __ATOMIC_SEQ_CST);
}

/* What a crash left unfinished, here and in wal/. */
static struct error *remove_unfinished(const char *dir)
{
        PathVec names = VEC_INIT;
        struct error *e = file_exists(dir) ? dir_list(dir, &names) : NULL;
        for (size_t i = 0; !e && i < names.n; i++) {
                Str name = str_from(names.p[i]);
                bool is_checkpoint = str_has_prefix(name, STR("checkpoint.")) && str_has_suffix(name, STR(".tmp"));
                if (!block_is_tmp_dir(name) && !is_checkpoint && !snapshot_is_temp(name))
                        continue;
                char *path = path_join(dir, names.p[i]);
                log_info(DB_COMPONENT, "Found and deleting tmp dir", KV_S("dir", path));
                e = dir_remove_all(path);
                free(path);
        }
        path_vec_done(&names);
        return e ? error_wrap(e, "remove tmp dirs") : NULL;
}

static struct error *repair_versions(const char *dir)
{
        PathVec names = VEC_INIT;
        struct error *e = block_list(dir, &names);
        for (size_t i = 0; !e && i < names.n; i++) {
                char *path = path_join(dir, names.p[i]);
                bool repaired = false;
                struct error *f = block_repair_version(path, &repaired);
                if (f)
                        log_error(DB_COMPONENT, "failed to read meta.json for a block during repair process; skipping",
                                  KV_S("dir", path), KV_E(f));
                if (repaired)
                        log_info(DB_COMPONENT, "Fixing broken block", KV_S("dir", path));
                error_free(f);
                free(path);
        }
        path_vec_done(&names);
        return e ? error_wrap(e, "repair bad index version") : NULL;
}

static void set_replay(void *ctx, int min, int max, int current)
{
        struct db *db = ctx;
        mutex_lock(&db->mu);
        db->replay.state = DB_REPLAY_RUNNING;
        db->replay.min = min;
        db->replay.max = max;
        db->replay.current = current;
        mutex_unlock(&db->mu);
}

TimeMs db_in_order_end(struct db *db)
{
        TimeMs end = TIME_MS_MIN;
        mutex_lock(&db->mu);
        for (size_t i = 0; i < db->blocks.n; i++) {
                const struct block_meta *m = block_get_meta(db->blocks.p[i]);
                if (!m->hints)
                        end = MAX(end, m->maxt_ms);
        }
        mutex_unlock(&db->mu);
        return end;
}

static int64_t out_of_order_window(struct db *db)
{
        mutex_lock(&db->mu);
        int64_t ms = db->opts.out_of_order_window_ms;
        mutex_unlock(&db->mu);
        return ms;
}

struct error *db_set_out_of_order_window(struct db *db, int64_t window_ms)
{
        mutex_lock(&db->mu);
        db->opts.out_of_order_window_ms = window_ms;
        mutex_unlock(&db->mu);
        struct head *head = db_head(db);
        return head ? head_set_out_of_order_window(head, window_ms) : NULL;
}

void db_set_max_exemplars(struct db *db, int64_t max)
{
        mutex_lock(&db->mu);
        db->opts.max_exemplars = max;
        struct head *head = db->head;
        mutex_unlock(&db->mu);
        if (head)
                head_set_max_exemplars(head, max);
}

static struct error *start_head(struct db *db)
{
        mutex_lock(&db->mu);
        int64_t max_exemplars = db->opts.max_exemplars;
        mutex_unlock(&db->mu);
        struct head_opts o = {
                .dir = db->dir,
                .chunk_range_ms = db->opts.min_block_ms,
                .samples_per_chunk = db->opts.samples_per_chunk,
                .wal_compression = db->opts.wal_compression,
                .wal_segment_bytes = db->opts.wal_segment_bytes,
                .disk = db->opts.disk,
                .min_valid_ms = db_in_order_end(db),
                .out_of_order_window_ms = out_of_order_window(db),
                .max_exemplars = max_exemplars,
                .progress = set_replay,
                .progress_ctx = db,
                .cancel = db->opts.cancel,
                .snapshot_on_close = db->opts.snapshot_on_close,
        };
        int64_t began = time_mono_ns();
        struct head *head;
        struct head_open_info info;
        struct error *e = head_open(&o, &head, &info);
        if (e)
                return e;
        mutex_lock(&db->mu);
        __atomic_store_n(&db->head, head, __ATOMIC_SEQ_CST);
        db->stats.open = info;
        db->stats.replay_seconds = (double)(time_mono_ns() - began) / 1e9;
        db->replay.state = DB_REPLAY_DONE;
        /* They may have been set while the head was read. */
        int64_t window_ms = db->opts.out_of_order_window_ms;
        max_exemplars = db->opts.max_exemplars;
        mutex_unlock(&db->mu);
        head_set_max_exemplars(head, max_exemplars);
        return window_ms != o.out_of_order_window_ms ? head_set_out_of_order_window(head, window_ms) : NULL;
}

struct error *db_start(struct db *db)
{
        char *wal = path_join(db->dir, "wal");
        struct error *e = dir_make_all(db->dir);
        if (!e)
                e = db_lock_dir(db);
        if (!e)
                e = remove_unfinished(db->dir);
        if (!e)
                e = remove_unfinished(wal);
        if (!e)
                e = repair_versions(db->dir);
        free(wal);
        if (e)
                return e;
        mutex_lock(&db->compaction);
        e = db_reload_locked(db);
        mutex_unlock(&db->compaction);
        if (e)
                return error_wrap(e, "reloadBlocks");
        if (db->opts.cancel && __atomic_load_n(db->opts.cancel, __ATOMIC_SEQ_CST))
                return error_new(ERROR_CANCELLED, "cancelled");
        e = start_head(db);
        if (!e && !db->opts.no_compact)
                e = thread_start(&db->thread, "tsdb-compact", db_thread, db);
        return e;
}

struct error *db_open(const struct db_opts *opts, struct db **ret)
{
        struct db *db = db_new(opts);
        struct error *e = db_start(db);
        if (e) {
                struct error *f = db_close(db);
                return error_join(e, f);
        }
        *ret = db;
        return NULL;
}

struct error *db_close(struct db *take_db)
{
        struct db *db = take_db;
        if (!db)
                return NULL;
        mutex_lock(&db->mu);
        __atomic_store_n(&db->stop, true, __ATOMIC_SEQ_CST);
        cond_broadcast(&db->changed);
        mutex_unlock(&db->mu);
        thread_join(&db->thread);
        struct error *e = head_close(db->head);
        e = error_join(e, db_unlock_dir(db));
        db_free(db);
        return e;
}

struct storage *db_storage(struct db *db)
{
        return &db->storage;
}

struct head *db_head(struct db *db)
{
        return __atomic_load_n(&db->head, __ATOMIC_SEQ_CST);
}

const char *db_dir(const struct db *db)
{
        return db->dir;
}

int64_t db_min_block_ms(const struct db *db)
{
        return db->opts.min_block_ms;
}

int64_t db_max_block_ms(const struct db *db)
{
        return db->opts.max_block_ms;
}

TimeMs db_start_ms(struct db *db)
{
        struct head *head = db_head(db);
        TimeMs t = head ? head_min_ms(head) : TIME_MS_MAX;
        mutex_lock(&db->mu);
        if (db->blocks.n)
                t = block_get_meta(db->blocks.p[0])->mint_ms;
        mutex_unlock(&db->mu);
        return t;
}

void db_replay_status(const struct db *db, struct db_replay_status *ret)
{
        struct db *own = (struct db *)db;
        mutex_lock(&own->mu);
        *ret = db->replay;
        mutex_unlock(&own->mu);
}

void db_blocks(struct db *db, BlockVec *ret)
{
        mutex_lock(&db->mu);
        for (size_t i = 0; i < db->blocks.n; i++)
                vec_push(ret, block_ref(db->blocks.p[i]));
        mutex_unlock(&db->mu);
}

void db_blocks_done(BlockVec *v)
{
        for (size_t i = 0; i < v->n; i++)
                block_unref(v->p[i]);
        vec_done(v);
}

void db_set_retention(struct db *db, int64_t retention_ms, uint64_t retention_bytes, double retention_percent)
{
        mutex_lock(&db->mu);
        db->retention_ms = retention_ms;
        db->retention_bytes = retention_bytes;
        db->retention_percent = retention_percent;
        mutex_unlock(&db->mu);
}

void db_get_stats(struct db *db, struct db_stats *ret)
{
        mutex_lock(&db->mu);
        struct db_stats s = db->stats;
        s.retention_ms = db->retention_ms;
        s.retention_bytes = db->retention_bytes;
        s.blocks_loaded = db->blocks.n;
        for (size_t i = 0; i < db->blocks.n; i++) {
                s.block_bytes += block_size_bytes(db->blocks.p[i]);
                s.symbol_bytes += block_symbol_bytes(db->blocks.p[i]);
        }
        mutex_unlock(&db->mu);
        struct head *head = db_head(db);
        s.lowest_ms = db_start_ms(db);
        if (head)
                head_get_stats(head, &s.head);
        *ret = s;
}
