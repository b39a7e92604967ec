/* SPDX-License-Identifier: Apache-2.0 */
/* From head to blocks, from blocks to larger ones; snapshots; deletions.  Upstream: tsdb/db.go, Compact. */
#include <stdatomic.h>

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "base/log.h"
#include "base/rand.h"
#include "tsdb/db/state.h"

static struct block_write_opts write_opts(struct db *db)
{
        return (struct block_write_opts){
                .segment_bytes = db->opts.chunk_segment_bytes, .cancel = &db->stop, .disk = db->opts.disk};
}

/* A block of what the head has in [mint_ms, maxt_ms), below dir. part: of its out-of-order samples. */
static struct error *write_head(struct db *db, const char *dir, enum head_which which, const struct head_ooo_part *part,
                                TimeMs mint_ms, TimeMs maxt_ms, Ulid *ret_ulid, bool *ret_written)
{
        struct arena arena;
        arena_init(&arena, SIZE_MAX);
        struct block_meta meta = {.ulid = ulid_new(time_now_ms()), .mint_ms = mint_ms, .maxt_ms = maxt_ms, .level = 1};
        vec_push(&meta.sources, meta.ulid);
        if (which == HEAD_OUT_OF_ORDER)
                meta.hints = BLOCK_HINT_OUT_OF_ORDER;
        struct block_write_opts opts = write_opts(db);
        struct querier *q = NULL;
        struct series_set *set;
        struct error *e = head_querier(db->head, which, part, mint_ms, maxt_ms - 1, &arena, &q);
        if (!e)
                e = querier_select(q,
                                   &(struct select_hints){.start_ms = mint_ms, .end_ms = maxt_ms - 1, .sorted = true},
                                   NULL, 0, &set);
        if (!e)
                e = block_write(dir, &meta, &opts, set);
        querier_close(q);
        arena_done(&arena);
        if (!e) {
                *ret_ulid = meta.ulid;
                *ret_written = meta.stats.samples > 0;
        }
        block_meta_done(&meta);
        return e;
}

/* The list takes in a new block; if that fails the block goes again: nobody shall find it later beside its sources' new
 * merge. */
static struct error *load_new(struct db *db, Ulid ulid, bool written)
{
        struct error *e = db_reload_locked(db);
        if (!e)
                return NULL;
        e = error_wrap(e, "reloadBlocks blocks");
        if (!written)
                return e;
        char name[ULID_TEXT_BYTES + 1];
        ulid_print(ulid, name);
        char *dir = path_join(db->dir, name);
        struct error *gone = dir_remove_all(dir);
        free(dir);
        return gone ? error_join(e, error_wrap(gone, "delete persisted block after failed db reloadBlocks:%s", name))
                    : e;
}

static void log_written(const char *what, Ulid ulid, TimeMs mint_ms, TimeMs maxt_ms, int64_t began_ms, size_t n)
{
        char name[ULID_TEXT_BYTES + 1];
        ulid_print(ulid, name);
        log_info(DB_COMPONENT, what, KV_I("count", n), KV_I("mint", mint_ms), KV_I("maxt", maxt_ms), KV_S("ulid", name),
                 KV_MS("duration", time_mono_ms() - began_ms));
}

static TimeMs range_end(TimeMs t, int64_t width)
{
        int64_t r = t % width;
        return t - (r < 0 ? r + width : r) + width;
}

static struct error *compact_head(struct db *db)
{
        TimeMs mint = head_min_ms(db->head), maxt = range_end(mint, head_chunk_range_ms(db->head));
        int64_t began = time_mono_ms();
        Ulid ulid;
        bool written = false;
        head_fence(db->head, maxt);
        struct error *e = write_head(db, db->dir, HEAD_IN_ORDER, NULL, mint, maxt, &ulid, &written);
        if (e)
                return error_wrap(e, "persist head block");
        mutex_lock(&db->mu);
        db->stats.compactions++;
        mutex_unlock(&db->mu);
        if (written)
                log_written("write block completed", ulid, mint, maxt, began, 1);
        e = load_new(db, ulid, written);
        if (e)
                return e;
        if (!db_wait_queriers(db, maxt))
                return error_new(ERROR_CANCELLED, "cancelled");
        e = head_truncate(db->head, maxt);
        return e ? error_wrap(e, "head truncate") : NULL;
}

static void remove_blocks(struct db *db, const Ulid *v, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                char name[ULID_TEXT_BYTES + 1];
                ulid_print(v[i], name);
                char *dir = path_join(db->dir, name);
                error_ignore(dir_remove_all(dir), "the error before it is the one to tell; overlapping blocks do no harm");
                free(dir);
        }
}

/* A block for each range that has out-of-order samples. They overlap others, which the merging of blocks will see to. */
static struct error *compact_out_of_order(struct db *db)
{
        struct head_ooo_part part;
        if (head_ooo_min_ms(db->head) == TIME_MS_MAX)
                return NULL;
        struct error *e = head_ooo_begin(db->head, &part);
        if (e)
                return error_wrap(e, "get ooo compaction head");
        if (part.mint_ms > part.maxt_ms)
                return NULL;
        log_info(DB_COMPONENT, "out-of-order compaction started");
        VEC(Ulid) made = VEC_INIT;
        int64_t began = time_mono_ms(), width = head_chunk_range_ms(db->head);
        TimeMs from = range_end(part.mint_ms, width) - width;
        for (TimeMs t = from; !e && t <= part.maxt_ms; t += width) {
                Ulid ulid;
                bool written = false;
                e = write_head(db, db->dir, HEAD_OUT_OF_ORDER, &part, t, t + width, &ulid, &written);
                if (!e && written)
                        vec_push(&made, ulid);
        }
        mutex_lock(&db->mu);
        db->stats.compactions += made.n;
        mutex_unlock(&db->mu);
        if (!e) {
                e = db_reload_locked(db);
                e = e ? error_wrap(e, "reloadBlocks blocks after failed compact ooo head") : NULL;
        }
        if (e)
                remove_blocks(db, made.p, made.n);
        size_t n = made.n;
        vec_done(&made);
        if (e)
                return e;
        log_info(DB_COMPONENT, n ? "out-of-order compaction completed" : "compact ooo head resulted in no blocks",
                 KV_I("blocks", n), KV_MS("duration", time_mono_ms() - began));
        if (!db_wait_queriers(db, TIME_MS_MAX))
                return error_new(ERROR_CANCELLED, "cancelled");
        e = head_ooo_truncate(db->head, &part);
        return e ? error_wrap(e, "truncate ooo wbl") : NULL;
}

/* Blocks of out-of-order samples that reach into the time that the head still has in order are not merged yet: the merged
 * block would look like one made of whole heads, and the next start would not take what the log has of its time. That is
 * a loss in the original. */
static void leave_ahead(struct db *db, BlockVec *v)
{
        TimeMs end = db_in_order_end(db);
        size_t n = 0;
        for (size_t i = 0; i < v->n; i++) {
                const struct block_meta *m = block_get_meta(v->p[i]);
                if (m->hints & BLOCK_HINT_OUT_OF_ORDER && m->maxt_ms > end)
                        block_unref(v->p[i]);
                else
                        v->p[n++] = v->p[i];
        }
        v->n = n;
}

/* *ret_more: something was merged, there may be more. */
static struct error *compact_some(struct db *db, bool *ret_more)
{
        BlockVec all = VEC_INIT, picked = VEC_INIT;
        db_blocks(db, &all);
        leave_ahead(db, &all);
        const struct block_meta **metas = mem_alloc((all.n + 1) * sizeof *metas);
        for (size_t i = 0; i < all.n; i++)
                metas[i] = block_get_meta(all.p[i]);
        IndexVec plan = VEC_INIT;
        compact_plan(db->ranges, db->n_ranges, metas, all.n, db->opts.allow_overlapping_compaction, &plan);
        for (size_t i = 0; i < plan.n; i++)
                vec_push(&picked, all.p[plan.p[i]]);
        for (size_t i = 0; i < picked.n; i++)
                if (!db_may_go(db, picked.p[i]))
                        vec_clear(&picked);
        *ret_more = picked.n > 0;
        struct error *e = NULL;
        if (picked.n) {
                struct block_write_opts opts = write_opts(db);
                int64_t began = time_mono_ms();
                Ulid ulid;
                bool written = false;
                e = compact_blocks(db->dir, picked.p, picked.n, &opts, &ulid, &written);
                mutex_lock(&db->mu);
                db->stats.compactions++;
                mutex_unlock(&db->mu);
                if (!e && written)
                        log_written("compact blocks", ulid, metas[plan.p[0]]->mint_ms,
                                    metas[plan.p[plan.n - 1]]->maxt_ms, began, picked.n);
                else if (!e)
                        log_info(DB_COMPONENT, "compact blocks resulted in empty block", KV_I("count", picked.n));
                if (!e)
                        e = load_new(db, ulid, written);
        }
        vec_done(&plan);
        vec_done(&picked);
        free(metas);
        db_blocks_done(&all);
        return e;
}

static struct error *compact_all(struct db *db)
{
        struct error *e = NULL;
        bool was_compacted = false;
        while (!db_is_stopping(db) && head_is_compactable(db->head)) {
                e = compact_head(db);
                if (e)
                        return error_wrap(e, "compact head");
                was_compacted = true;
        }
        if (was_compacted && !db_is_stopping(db)) {
                e = compact_out_of_order(db);
                if (e)
                        return error_wrap(e, "compact ooo head");
        }
        for (bool more = true; more && !db_is_stopping(db);) {
                if (head_is_compactable(db->head)) {
                        log_warn(DB_COMPONENT, "aborting block compactions to persist the head block");
                        return NULL;
                }
                e = compact_some(db, &more);
                if (e)
                        return e;
        }
        return NULL;
}

struct error *db_compact(struct db *db)
{
        mutex_lock(&db->compaction);
        int64_t began = time_mono_ns();
        struct error *e = compact_all(db);
        mutex_lock(&db->mu);
        db->stats.compaction_seconds += (double)(time_mono_ns() - began) / 1e9;
        db->stats.compactions_failed += e && !error_is(e, ERROR_CANCELLED);
        mutex_unlock(&db->mu);
        mutex_unlock(&db->compaction);
        if (error_is(e, ERROR_CANCELLED) && db_is_stopping(db)) {
                error_ignore(e, "the database stops: the next start goes on");
                e = NULL;
        }
        return e;
}

struct error *db_reload(struct db *db)
{
        mutex_lock(&db->compaction);
        struct error *e = db_reload_locked(db);
        mutex_unlock(&db->compaction);
        return e ? error_wrap(e, "reloadBlocks") : NULL;
}

struct error *db_delete(struct db *db, TimeMs mint_ms, TimeMs maxt_ms, const struct matcher *const *m, size_t n_m)
{
        struct error *e = NULL;
        BlockVec blocks = VEC_INIT;
        mutex_lock(&db->compaction);
        db_blocks(db, &blocks);
        for (size_t i = 0; !e && i < blocks.n; i++)
                if (block_overlaps(blocks.p[i], mint_ms, maxt_ms))
                        e = block_delete(blocks.p[i], mint_ms, maxt_ms, m, n_m);
        if (!e && MIN(head_min_ms(db->head), head_ooo_min_ms(db->head)) <= maxt_ms &&
            mint_ms <= MAX(head_max_ms(db->head), head_ooo_max_ms(db->head)))
                e = head_delete(db->head, mint_ms, maxt_ms, m, n_m);
        db_blocks_done(&blocks);
        mutex_unlock(&db->compaction);
        return e;
}

static struct error *clean_one(struct db *db, bool *ret_more)
{
        BlockVec blocks = VEC_INIT;
        struct error *e = NULL;
        *ret_more = false;
        db_blocks(db, &blocks);
        for (size_t i = 0; i < blocks.n && !*ret_more && !e; i++) {
                if (!block_tombstones(blocks.p[i]))
                        continue;
                struct block_write_opts opts = write_opts(db);
                Ulid ulid;
                bool written = false;
                *ret_more = true;
                e = compact_tombstones(db->dir, blocks.p[i], &opts, &ulid, &written);
                e = e ? error_wrap(e, "clean tombstones: %s", block_get_dir(blocks.p[i])) : load_new(db, ulid, written);
        }
        db_blocks_done(&blocks);
        return e;
}

struct error *db_clean_tombstones(struct db *db)
{
        mutex_lock(&db->compaction);
        int64_t began = time_mono_ns();
        struct error *e = NULL;
        for (bool more = true; more && !e;)
                e = clean_one(db, &more);
        mutex_lock(&db->mu);
        db->stats.tombstone_cleanup_seconds += (double)(time_mono_ns() - began) / 1e9;
        db->stats.tombstone_cleanups_failed += e != NULL;
        mutex_unlock(&db->mu);
        mutex_unlock(&db->compaction);
        return e;
}

static char *snapshot_name(const struct db *db)
{
        time_t s = (time_t)(clock_now_ms(db->opts.clock) / 1000);
        struct tm tm;
        char date[32];
        uint64_t r;
        gmtime_r(&s, &tm);
        strftime(date, sizeof date, "%Y%m%dT%H%M%SZ", &tm);
        rand_system(&r, sizeof r);
        struct buf b = BUF_INIT(128);
        buf_printf(&b, "%s-%" PRIx64, date, r >> 1);
        return buf_take(&b);
}

static struct error *snapshot_locked(struct db *db, bool with_head, const char *into)
{
        BlockVec blocks = VEC_INIT;
        struct error *e = dir_make_all(into);
        db_blocks(db, &blocks);
        for (size_t i = 0; !e && i < blocks.n; i++) {
                e = block_snapshot(blocks.p[i], into);
                if (e)
                        e = error_wrap(e, "error snapshotting block: %s", block_get_dir(blocks.p[i]));
        }
        db_blocks_done(&blocks);
        /* With what came out of order, which upstream leaves out. */
        TimeMs mint = MIN(head_min_ms(db->head), head_ooo_min_ms(db->head)),
               maxt = MAX(head_max_ms(db->head), head_ooo_max_ms(db->head));
        if (!e && with_head && mint <= maxt) {
                Ulid ulid;
                bool written;
                e = write_head(db, into, HEAD_ALL, NULL, mint, maxt + 1, &ulid, &written);
                if (e)
                        e = error_wrap(e, "snapshot head block");
        }
        return e;
}

struct error *db_snapshot(struct db *db, bool with_head, char **ret_name)
{
        char *name = snapshot_name(db), *all = path_join(db->dir, "snapshots"), *into = path_join(all, name);
        mutex_lock(&db->compaction);
        struct error *e = snapshot_locked(db, with_head, into);
        mutex_unlock(&db->compaction);
        free(all);
        free(into);
        if (e)
                free(name);
        else
                *ret_name = name;
        return e;
}

/* The original's appenders tell the database at commit; a new appender is as good a time, and costs two loads. Not again while a round is due. */
void db_wake_if_compactable(struct db *db, struct head *head)
{
        if (!head_is_compactable(head) || atomic_exchange(&db->wake, true))
                return;
        mutex_lock(&db->mu);
        cond_broadcast(&db->changed);
        mutex_unlock(&db->mu);
}

/* Sleeps, if may_wake only until the head became compactable; false when the database stops. */
static bool nap(struct db *db, int64_t ms, bool may_wake)
{
        int64_t until = time_mono_ms() + ms;
        mutex_lock(&db->mu);
        for (int64_t left = ms; !db->stop && left > 0 && !(may_wake && atomic_load(&db->wake)); left = until - time_mono_ms())
                cond_wait_ms(&db->changed, &db->mu, left);
        bool go_on = !db->stop;
        mutex_unlock(&db->mu);
        return go_on;
}

void db_thread(void *arg)
{
        enum { BACKOFF_MIN_MS = 1000, BACKOFF_MAX_MS = 60000 };
        struct db *db = arg;
        int64_t backoff_ms = 0;
        while (nap(db, backoff_ms, /* may_wake= */ false) && nap(db, db->opts.reload_ms, /* may_wake= */ true)) {
                struct error *e = db_reload(db);
                if (e)
                        log_error(DB_COMPONENT, "reloadBlocks", KV_E(e));
                error_free(e);
                mutex_lock(&db->mu);
                db->stats.compactions_triggered++;
                mutex_unlock(&db->mu);
                atomic_store(&db->wake, false);
                e = db_compact(db);
                if (e)
                        log_error(DB_COMPONENT, "compaction failed", KV_E(e));
                backoff_ms = !e ? 0 : MIN(MAX(backoff_ms * 2, (int64_t)BACKOFF_MIN_MS), (int64_t)BACKOFF_MAX_MS);
                error_free(e);
        }
}
