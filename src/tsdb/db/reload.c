/* SPDX-License-Identifier: Apache-2.0 */
/* The list of blocks against the directory: what is new, what was replaced, what retention drops.
 *
 * A block is deleted when a loaded one names it as parent, when it says so itself, or when retention says so. A damaged
 * block that nobody replaces stops everything: nothing is loaded, nothing deleted.  Upstream: tsdb/db.go, reloadBlocks.
 */
#include <inttypes.h>
#include <sys/statvfs.h>

#include "base/log.h"
#include "tsdb/db/state.h"

struct candidate {
        Ulid ulid;
        struct block *block; /* NULL: damaged */
        struct error *error;
        bool is_deletable;
};
typedef VEC(struct candidate) CandidateVec;

static void candidates_done(CandidateVec *v)
{
        for (size_t i = 0; i < v->n; i++) {
                block_unref(v->p[i].block);
                error_free(v->p[i].error);
        }
        vec_done(v);
}

static struct block *find_loaded(struct db *db, Ulid ulid)
{
        struct block *found = NULL;
        mutex_lock(&db->mu);
        for (size_t i = 0; i < db->blocks.n && !found; i++)
                if (ulid_cmp(block_get_meta(db->blocks.p[i])->ulid, ulid) == 0)
                        found = block_ref(db->blocks.p[i]);
        mutex_unlock(&db->mu);
        return found;
}

static void open_one(struct db *db, const char *name, CandidateVec *ret)
{
        char *dir = path_join(db->dir, name);
        struct block_meta meta;
        struct error *e = block_meta_read(dir, &meta);
        if (e) {
                log_error(DB_COMPONENT, "Failed to read meta.json for a block during reloadBlocks. Skipping",
                          KV_S("dir", dir), KV_E(e));
                error_free(e);
                free(dir);
                return;
        }
        struct candidate c = {.ulid = meta.ulid};
        c.block = find_loaded(db, meta.ulid);
        if (!c.block)
                c.error = block_open(dir, &c.block);
        vec_push(ret, c);
        block_meta_done(&meta);
        free(dir);
}

static struct error *open_all(struct db *db, CandidateVec *ret)
{
        PathVec names = VEC_INIT;
        struct error *e = block_list(db->dir, &names);
        for (size_t i = 0; !e && i < names.n; i++)
                open_one(db, names.p[i], ret);
        path_vec_done(&names);
        return e ? error_wrap(e, "find blocks") : NULL;
}

/* Newest first: retention drops from the other end. Damaged ones last. */
static int maxt_cmp(const void *a, const void *b)
{
        const struct candidate *x = a, *y = b;
        if (!x->block || !y->block)
                return (x->block == NULL) - (y->block == NULL);
        TimeMs s = block_get_meta(x->block)->maxt_ms, t = block_get_meta(y->block)->maxt_ms;
        return s != t ? (s < t) - (s > t) : ulid_cmp(x->ulid, y->ulid);
}

static void drop_from(CandidateVec *v, size_t n, size_t from)
{
        for (size_t i = from; i < n; i++)
                v->p[i].is_deletable = true;
}

static void count(struct db *db, uint64_t *counter)
{
        mutex_lock(&db->mu);
        ++*counter;
        mutex_unlock(&db->mu);
}

static void apply_time_retention(struct db *db, CandidateVec *v, size_t n, int64_t retention_ms)
{
        if (!retention_ms)
                return;
        for (size_t i = 1; i < n; i++) {
                if (block_get_meta(v->p[0].block)->maxt_ms - block_get_meta(v->p[i].block)->maxt_ms < retention_ms)
                        continue;
                /* From the oldest on, up to the first that must stay: what is kept has no hole. */
                size_t first = n;
                while (first > i && db_may_go(db, v->p[first - 1].block))
                        first--;
                drop_from(v, n, first);
                if (first < n)
                        count(db, &db->stats.time_retentions);
                return;
        }
}

static uint64_t size_limit(struct db *db, uint64_t bytes, double percent)
{
        if (!(percent > 0))
                return bytes;
        struct statvfs fs;
        if (statvfs(db->dir, &fs) < 0 || fs.f_blocks == 0) {
                log_warn(DB_COMPONENT,
                         "Unable to retrieve filesystem size of database directory, skip percentage limitation and "
                         "default to fixed size limitation",
                         KV_S("dir", db->dir));
                return bytes;
        }
        return (uint64_t)((double)fs.f_blocks * (double)fs.f_frsize * percent / 100);
}

static void apply_size_retention(struct db *db, CandidateVec *v, size_t n, uint64_t limit)
{
        if (!limit || !n)
                return;
        char *wal = path_join(db->dir, "wal"), *chunks = path_join(db->dir, "chunks_head"),
             *wbl = path_join(db->dir, "wbl");
        uint64_t sum = dir_size_bytes(wal) + dir_size_bytes(chunks) + dir_size_bytes(wbl);
        free(wal);
        free(chunks);
        free(wbl);
        for (size_t i = 0; i < n; i++) {
                sum += block_size_bytes(v->p[i].block);
                if (sum > limit) {
                        drop_from(v, n, i);
                        count(db, &db->stats.size_retentions);
                        return;
                }
        }
}

static struct candidate *find(CandidateVec *v, Ulid ulid)
{
        for (size_t i = 0; i < v->n; i++)
                if (ulid_cmp(v->p[i].ulid, ulid) == 0)
                        return &v->p[i];
        return NULL;
}

static void mark_deletable(struct db *db, CandidateVec *v)
{
        if (v->n)
                qsort(v->p, v->n, sizeof *v->p, maxt_cmp);
        size_t n = 0;
        while (n < v->n && v->p[n].block)
                n++;
        mutex_lock(&db->mu);
        int64_t retention_ms = db->retention_ms;
        uint64_t bytes = db->retention_bytes;
        double percent = db->retention_percent;
        mutex_unlock(&db->mu);
        apply_time_retention(db, v, n, retention_ms);
        apply_size_retention(db, v, n, size_limit(db, bytes, percent));
        for (size_t i = 0; i < n; i++) {
                const struct block_meta *m = block_get_meta(v->p[i].block);
                v->p[i].is_deletable |= m->deletable;
                for (size_t k = 0; k < m->parents.n; k++) {
                        struct candidate *parent = find(v, m->parents.p[k].ulid);
                        if (!parent)
                                continue;
                        if (parent->error)
                                log_warn(DB_COMPONENT,
                                         "Found corrupted block, but replaced by compacted one so it's safe to delete. "
                                         "This should not happen with atomic "
                                         "deletes.",
                                         KV_E(parent->error));
                        parent->is_deletable = true;
                }
        }
}

static struct error *damage(CandidateVec *v)
{
        struct error *all = NULL;
        for (size_t i = 0; i < v->n; i++) {
                if (!v->p[i].error || v->p[i].is_deletable)
                        continue;
                char name[ULID_TEXT_BYTES + 1];
                ulid_print(v->p[i].ulid, name);
                struct error *e = error_wrap(v->p[i].error, "corrupted block %s", name);
                v->p[i].error = NULL;
                all = error_join(all, e);
        }
        return all;
}

static int mint_cmp(const void *a, const void *b)
{
        const struct block_meta *x = block_get_meta(*(struct block *const *)a),
                                *y = block_get_meta(*(struct block *const *)b);
        if (x->mint_ms != y->mint_ms)
                return x->mint_ms < y->mint_ms ? -1 : 1;
        return ulid_cmp(x->ulid, y->ulid);
}

static void swap_in(struct db *db, const CandidateVec *v)
{
        BlockVec fresh = VEC_INIT;
        for (size_t i = 0; i < v->n; i++)
                if (v->p[i].block && !v->p[i].is_deletable)
                        vec_push(&fresh, block_ref(v->p[i].block));
        if (fresh.n)
                qsort(fresh.p, fresh.n, sizeof(struct block *), mint_cmp);
        mutex_lock(&db->mu);
        BlockVec old = db->blocks;
        db->blocks = fresh;
        mutex_unlock(&db->mu);
        db_blocks_done(&old);
        if (!db->opts.allow_overlapping_compaction)
                return;
        for (size_t i = 1; i < fresh.n; i++)
                if (block_get_meta(fresh.p[i])->mint_ms < block_get_meta(fresh.p[i - 1])->maxt_ms)
                        log_warn(DB_COMPONENT, "Overlapping blocks found during reloadBlocks",
                                 KV_S("block", path_base(str_from(block_get_dir(fresh.p[i]))).p));
}

static struct error *delete_marked(struct db *db, const CandidateVec *v)
{
        for (size_t i = 0; i < v->n; i++) {
                if (!v->p[i].is_deletable)
                        continue;
                char name[ULID_TEXT_BYTES + 1];
                ulid_print(v->p[i].ulid, name);
                char *dir = path_join(db->dir, name);
                struct error *e = file_exists(dir) ? block_remove_dir(dir) : NULL;
                free(dir);
                if (e)
                        return error_wrap(e, "delete obsolete block %s", name);
                log_info(DB_COMPONENT, "Deleting obsolete block", KV_S("block", name));
        }
        return NULL;
}

struct error *db_reload_locked(struct db *db)
{
        CandidateVec v = VEC_INIT;
        struct error *e = open_all(db, &v);
        if (!e) {
                mark_deletable(db, &v);
                e = damage(&v);
        }
        if (!e) {
                swap_in(db, &v);
                e = delete_marked(db, &v);
        }
        candidates_done(&v);
        mutex_lock(&db->mu);
        db->stats.reloads++;
        db->stats.reloads_failed += e != NULL;
        mutex_unlock(&db->mu);
        return e;
}
