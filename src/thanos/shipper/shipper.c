/* SPDX-License-Identifier: Apache-2.0 */
#include "thanos/shipper/shipper.h"

#include <sys/stat.h>

#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "thanos/shipper/shipper_impl.h"

enum { LABELS_MAX_BYTES = 4 << 20 };

struct shipper {
        char *dir, *list_path, *source;
        struct bucket *bucket;
        Labels (*labels)(void *ctx, struct arena *a);
        bool (*is_held)(void *ctx, Ulid id);
        void *ctx;
        bool upload_compacted, allow_out_of_order, skip_corrupted, with_hashes;
        bool is_clean; /* leftovers of the process before us are gone */
        bool is_written; /* the file has what the list has */
        struct mutex mu; /* guards the list; only a round changes it, and reads it without the lock */
        int64_t seen_ns; /* when the directory changed, as of the last round's begin */
        UlidVec list;    /* of what was uploaded, in the order of the blocks */
        struct metric *syncs, *sync_failures, *uploads, *upload_failures, *corrupted, *compacted_done;
};

struct error *shipper_new(const struct shipper_opts *o, struct shipper **ret)
{
        bool with_hashes = o->hash_func && *o->hash_func;
        if (with_hashes && !str_eq(str_from(o->hash_func), STR("SHA256")))
                return error_new(ERROR_INVALID, "hash function %s is not supported", o->hash_func);
        struct shipper *s = mem_new(struct shipper);
        struct metric_registry *r = o->metrics;
        s->dir = str_dup(str_from(o->dir));
        s->list_path = path_join(o->dir, o->meta_file_name && *o->meta_file_name ? o->meta_file_name : SHIPPER_META_FILE);
        s->source = str_dup(str_from(o->source));
        s->bucket = o->bucket;
        s->labels = o->labels;
        s->is_held = o->is_held;
        s->ctx = o->ctx;
        s->upload_compacted = o->upload_compacted;
        s->allow_out_of_order = o->allow_out_of_order;
        s->skip_corrupted = o->skip_corrupted;
        s->with_hashes = with_hashes;
        mutex_init(&s->mu);
        s->syncs = metric_counter(r, "thanos_shipper_dir_syncs_total", "Total number of dir syncs");
        s->sync_failures =
                metric_counter(r, "thanos_shipper_dir_sync_failures_total", "Total number of failed dir syncs");
        s->uploads = metric_counter(r, "thanos_shipper_uploads_total", "Total number of uploaded blocks");
        s->upload_failures =
                metric_counter(r, "thanos_shipper_upload_failures_total", "Total number of block upload failures");
        s->corrupted = metric_counter(r, "thanos_shipper_corrupted_blocks_total", "Total number of corrupted blocks");
        s->compacted_done =
                metric_gauge(r, "thanos_shipper_upload_compacted_done",
                             "If 1 it means shipper uploaded all compacted blocks from the filesystem.");
        error_ignore(shipper_list_read(s->list_path, &s->list), "the first round reads it again, and tells");
        *ret = s;
        return NULL;
}

void shipper_free(struct shipper *s)
{
        if (!s)
                return;
        vec_done(&s->list);
        mutex_done(&s->mu);
        free(s->dir);
        free(s->list_path);
        free(s->source);
        free(s);
}

/* --- local blocks --- */

typedef VEC(struct thanos_meta *) MetaVec;

static void metas_done(MetaVec *v)
{
        for (size_t i = 0; i < v->n; i++)
                thanos_meta_unref(v->p[i]);
        vec_done(v);
}

static int meta_cmp(const void *a, const void *b)
{
        const struct block_meta *x = &(*(struct thanos_meta *const *)a)->block,
                                *y = &(*(struct thanos_meta *const *)b)->block;
        if (x->mint_ms != y->mint_ms)
                return x->mint_ms < y->mint_ms ? -1 : 1;
        return ulid_cmp(x->ulid, y->ulid);
}

static bool is_dir(const char *path)
{
        struct stat st;
        return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* By min time. *failed: how many could not be read, if those are passed over. */
static struct error *metas_read(const struct shipper *s, MetaVec *ret, size_t *failed)
{
        PathVec names = VEC_INIT;
        struct error *e = dir_list(s->dir, &names);
        if (e)
                e = error_wrap(e, "read dir");
        *failed = 0;
        for (size_t i = 0; !e && i < names.n; i++) {
                Ulid id;
                struct thanos_meta *m;
                if (!ulid_parse(str_from(names.p[i]), &id))
                        continue;
                char *dir = path_join(s->dir, names.p[i]);
                if (is_dir(dir) && (e = thanos_meta_read(dir, &m))) {
                        e = error_wrap(e, "read metadata for block %s", dir);
                        if (!is_dir(dir)) { /* deleted meanwhile */
                                error_free(e);
                                e = NULL;
                        } else if (s->skip_corrupted) {
                                log_error("", "read metadata for block", KV_E(e), KV_S("block", dir));
                                error_free(e);
                                e = NULL;
                                ++*failed;
                        }
                } else if (is_dir(dir)) {
                        vec_push(ret, m);
                }
                free(dir);
        }
        path_vec_done(&names);
        if (!e && ret->n)
                qsort(ret->p, ret->n, sizeof *ret->p, meta_cmp);
        return e;
}

struct error *shipper_oldest_ms(struct shipper *s, TimeMs *ret)
{
        MetaVec metas = VEC_INIT;
        size_t failed;
        struct error *e = metas_read(s, &metas, &failed);
        if (!e)
                *ret = metas.n ? metas.p[0]->block.mint_ms : 0;
        metas_done(&metas);
        return e;
}

static int64_t changed_ns(const struct shipper *s)
{
        struct stat st;
        return stat(s->dir, &st) ? 0 : (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
}

bool shipper_is_due(struct shipper *s)
{
        mutex_lock(&s->mu);
        int64_t seen = s->seen_ns;
        mutex_unlock(&s->mu);
        return changed_ns(s) != seen;
}

/* --- the list --- */

static bool list_has(const UlidVec *v, Ulid id)
{
        for (size_t i = 0; i < v->n; i++)
                if (ulid_cmp(v->p[i], id) == 0)
                        return true;
        return false;
}

bool shipper_has_uploaded(struct shipper *s, Ulid id)
{
        mutex_lock(&s->mu);
        bool has = list_has(&s->list, id);
        mutex_unlock(&s->mu);
        return has;
}

/* The file counts, as users edit and delete it. */
static void list_load(struct shipper *s)
{
        UlidVec list = VEC_INIT;
        struct error *e = shipper_list_read(s->list_path, &list);
        s->is_written = !e;
        if (error_is(e, ERROR_NOT_FOUND))
                log_info("", "no meta file found, creating empty meta data to write later");
        else if (e)
                log_error("", "failed to read meta file, creating empty meta data to write later", KV_E(e));
        error_free(e);
        mutex_lock(&s->mu);
        UlidVec old = s->list;
        s->list = list;
        mutex_unlock(&s->mu);
        vec_done(&old);
}

/* Takes `list` as the list, and brings it to disk where that has another. */
static void list_store(struct shipper *s, UlidVec *take_list)
{
        bool is_same = s->list.n == take_list->n &&
                       (take_list->n == 0 || memcmp(s->list.p, take_list->p, take_list->n * sizeof *take_list->p) == 0);
        mutex_lock(&s->mu);
        UlidVec old = s->list;
        s->list = *take_list;
        mutex_unlock(&s->mu);
        vec_done(&old);
        if (is_same && s->is_written)
                return;
        struct error *e = shipper_list_write(s->list_path, &s->list);
        s->is_written = !e;
        if (e)
                log_warn("", "updating meta file failed", KV_E(e));
        error_free(e);
}

/* --- a round --- */

struct round {
        struct shipper *s;
        struct bucket_call call;
        struct shipper_remote remote;
        UlidVec list; /* the new one: of blocks that are still here */
        size_t uploaded, failed;
};

static struct error *in_bucket(struct round *r, const struct thanos_meta *m, bool *ret)
{
        char id[ULID_TEXT_BYTES + 1];
        ulid_print(m->block.ulid, id);
        char *name = path_join(id, BLOCK_META_FILE);
        struct error *e = bucket_exists(r->s->bucket, &r->call, str_from(name), ret);
        free(name);
        return e ? error_wrap(e, "check exists") : NULL;
}

static struct error *ship(struct round *r, const struct thanos_meta *m)
{
        struct shipper *s = r->s;
        char id[ULID_TEXT_BYTES + 1];
        ulid_print(m->block.ulid, id);
        log_info("", "upload new block", KV_S("id", id));
        struct shipper_block b = {.dir = s->dir,
                                  .meta = m,
                                  .labels = r->remote.labels,
                                  .source = s->source,
                                  .with_hashes = s->with_hashes};
        struct error *e = shipper_upload(s->bucket, &r->call, &b);
        if (!e) {
                shipper_remote_add(&r->remote, &m->block);
                metric_add(s->uploads, 1);
                r->uploaded++;
                return NULL;
        }
        if (!error_is(e, ERROR_CANCELLED))
                metric_add(s->upload_failures, 1);
        if (!s->allow_out_of_order || error_is(e, ERROR_CANCELLED))
                return error_wrap(e, "upload %s", id);
        log_error("", "shipping failed", KV_S("block", id), KV_E(e));
        error_free(e);
        r->failed++;
        return NULL;
}

/* One block of the directory. */
static struct error *visit(struct round *r, const struct thanos_meta *m)
{
        struct shipper *s = r->s;
        bool is_there = list_has(&s->list, m->block.ulid) && (!s->is_held || s->is_held(s->ctx, m->block.ulid));
        struct error *e = NULL;
        if (!is_there) {
                if (m->block.stats.samples == 0 || (m->block.level > 1 && !s->upload_compacted))
                        return NULL;
                if ((e = in_bucket(r, m, &is_there)))
                        return e;
        }
        if (is_there) {
                vec_push(&r->list, m->block.ulid);
                return NULL;
        }
        if (m->block.level > 1 && !s->allow_out_of_order &&
            (e = shipper_remote_check(&r->remote, &r->call, &m->block)))
                return error_wrap(
                        e, "Found overlap or error during sync, cannot upload compacted block, details");
        size_t before = r->uploaded;
        e = ship(r, m);
        if (r->uploaded > before)
                vec_push(&r->list, m->block.ulid);
        return e;
}

/* After a round that broke off: blocks that it did not come to are in the list still. */
static void list_keep(struct round *r, const MetaVec *metas, size_t from)
{
        for (size_t i = from; i < metas->n; i++)
                if (list_has(&r->s->list, metas->p[i]->block.ulid) && !list_has(&r->list, metas->p[i]->block.ulid))
                        vec_push(&r->list, metas->p[i]->block.ulid);
}

static struct error *round_run(struct round *r, size_t *corrupted)
{
        struct shipper *s = r->s;
        MetaVec metas = VEC_INIT;
        struct error *e = NULL;
        if (!s->is_clean) {
                e = shipper_clean(s->dir);
                if (e)
                        return error_wrap(e, "clean upload directory");
                s->is_clean = true;
        }
        list_load(s);
        e = metas_read(s, &metas, corrupted);
        if (!e) {
                size_t i = 0;
                for (; !e && i < metas.n; i++)
                        e = visit(r, metas.p[i]);
                list_keep(r, &metas, i);
                list_store(s, &r->list);
        }
        metas_done(&metas);
        return e;
}

struct error *shipper_sync(struct shipper *s, const bool *cancel, size_t *ret_n_uploaded)
{
        struct round r = {.s = s, .call = {.cancel = cancel}, .list = VEC_INIT};
        struct arena a;
        size_t corrupted = 0;
        int64_t seen = changed_ns(s);
        mutex_lock(&s->mu);
        s->seen_ns = seen;
        mutex_unlock(&s->mu);
        arena_init(&a, LABELS_MAX_BYTES);
        r.remote = (struct shipper_remote){.bucket = s->bucket, .labels = s->labels(s->ctx, &a)};
        struct error *e = round_run(&r, &corrupted);
        metric_add(e ? s->sync_failures : s->syncs, 1);
        metric_add(s->corrupted, (double)corrupted);
        if (!e && (r.failed || corrupted))
                e = error_new(ERROR_IO, "failed to sync %zu/%zu blocks", r.failed, corrupted);
        if (!e)
                metric_set(s->compacted_done, s->upload_compacted);
        if (ret_n_uploaded)
                *ret_n_uploaded = r.uploaded;
        shipper_remote_done(&r.remote);
        arena_done(&a);
        return e;
}
