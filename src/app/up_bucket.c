/* SPDX-License-Identifier: Apache-2.0 */
#include "app/up_bucket.h"

#include <stdlib.h>

#include "app/thanos_blocks.h"
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "config/objstore_conf.h"
#include "storage/join.h"
#include "thanos/block/delete.h"
#include "thanos/shipper/shipper.h"
#include "thanos/store/bucket_store.h"

enum { FIRST_VIEW_MS = 5000, INDEX_CACHE_BYTES = 32 << 20, CHUNK_POOL_BYTES = 512 << 20 };

struct own_filter {
        struct block_filter base;
        struct up_bucket *b;
};
struct up_bucket {
        struct up_bucket_opts o;
        char *cache_dir;
        struct bucket *bucket;
        struct meta_fetcher *fetcher;
        struct bucket_store *store;
        struct shipper *shipper, *first_shipper; /* first: blocks that were merged before there was a bucket go too */
        struct blocks_api *api;
        struct db *db;
        struct storage viewed;  /* the store, once the bucket was looked at */
        struct join soft, whole;
        struct thread thread;
        struct metric *view_time;
        bool cancel;            /* atomic */

        struct mutex mu;        /* guards: */
        struct cond changed;
        bool has_view, has_tried; /* of the bucket: it was read; a reading ended */
        bool merged_wait;       /* local merged blocks are still to be uploaded */
        char *problem;          /* of the last reading; NULL: none */
        UlidVec held;           /* sources of all blocks of the view, ascending */
};

/* --- whose blocks --- */

static struct error *own_run(struct block_filter *base, struct block_filter_run *r, ThanosMetaVec *metas)
{
        const struct own_filter *f = CONTAINER_OF(base, struct own_filter, base);
        bool *drop = mem_zalloc(metas->n + 1);
        for (size_t i = 0; i < metas->n; i++)
                drop[i] = metas->p[i]->resolution_ms != 0 || !labels_eq(metas->p[i]->labels, f->b->o.labels);
        block_filter_drop(r, metas, drop, BLOCK_LABEL_EXCLUDED);
        free(drop);
        return NULL;
}

static void own_free(struct block_filter *base)
{
        free(CONTAINER_OF(base, struct own_filter, base));
}

static struct block_filter *own_filter_new(struct up_bucket *b)
{
        struct own_filter *f = mem_new(struct own_filter);
        *f = (struct own_filter){{own_run, own_free}, b};
        return &f->base;
}

/* --- what the view has --- */

static int ulid_qsort(const void *a, const void *b)
{
        return ulid_cmp(*(const Ulid *)a, *(const Ulid *)b);
}

static bool held_has(const UlidVec *v, Ulid id)
{
        return v->n && bsearch(&id, v->p, v->n, sizeof id, ulid_qsort);
}

static bool has_locked(const struct up_bucket *b, const struct block_meta *m)
{
        if (m->stats.samples == 0)      /* is not uploaded */
                return true;
        for (size_t i = 0; i < m->sources.n; i++)
                if (!held_has(&b->held, m->sources.p[i]))
                        return false;
        return m->sources.n > 0;
}

/* While merged blocks wait for their upload nothing is merged: the shipper could not tell what of a larger one is there. */
bool up_bucket_has(void *ctx, const struct block_meta *m)
{
        struct up_bucket *b = ctx;
        mutex_lock(&b->mu);
        bool has = !b->merged_wait && has_locked(b, m);
        mutex_unlock(&b->mu);
        return has;
}

static void view_take(struct up_bucket *b, struct error *e)
{
        UlidVec held = VEC_INIT;
        ThanosMetaVec metas = VEC_INIT;
        bucket_store_metas(b->store, &metas);
        for (size_t i = 0; i < metas.n; i++) {
                const struct block_meta *m = &metas.p[i]->block;
                vec_push(&held, m->ulid);
                for (size_t k = 0; k < m->sources.n; k++)
                        vec_push(&held, m->sources.p[k]);
                thanos_meta_unref(metas.p[i]);
        }
        vec_done(&metas);
        if (held.n)
                qsort(held.p, held.n, sizeof *held.p, ulid_qsort);
        mutex_lock(&b->mu);
        UlidVec old = b->held;
        b->held = held;
        b->has_view |= !e;
        b->has_tried = true;
        free(b->problem);
        b->problem = e ? mem_strdup(error_str(e)) : NULL;
        cond_broadcast(&b->changed);
        mutex_unlock(&b->mu);
        vec_done(&old);
}

static bool view(struct up_bucket *b)
{
        struct bucket_call c = {.cancel = &b->cancel};
        struct error *e = bucket_store_sync(b->store, &c);
        view_take(b, e);
        if (b->api)
                blocks_api_refreshed(b->api, e);
        if (e && !__atomic_load_n(&b->cancel, __ATOMIC_SEQ_CST))
                log_warn("bucket", "reading the list of blocks failed; it is tried again", KV_E(e));
        else if (!e)
                metric_set(b->view_time, (double)time_now_ms() / 1000);
        error_free(e);
        return !e;
}

/* --- uploads --- */

static Labels labels_now(void *ctx, struct arena *a)
{
        return labels_dup(a, ((struct up_bucket *)ctx)->o.labels);
}

/* The list of what was uploaded may be of another bucket, or of this one before somebody emptied it: what only the list has would never go from here. */
static bool is_held(void *ctx, Ulid id)
{
        struct up_bucket *b = ctx;
        mutex_lock(&b->mu);
        bool is = held_has(&b->held, id);
        mutex_unlock(&b->mu);
        return is;
}

static bool merged_waits(struct up_bucket *b)
{
        BlockVec blocks = VEC_INIT;
        bool waits = false;
        db_blocks(b->db, &blocks);
        mutex_lock(&b->mu);
        for (size_t i = 0; i < blocks.n; i++)
                waits |= block_get_meta(blocks.p[i])->level > 1 && !has_locked(b, block_get_meta(blocks.p[i]));
        b->merged_wait = waits;
        mutex_unlock(&b->mu);
        db_blocks_done(&blocks);
        return waits;
}

static void ship(struct up_bucket *b)
{
        size_t n = 0;
        struct error *e = shipper_sync(merged_waits(b) ? b->first_shipper : b->shipper, &b->cancel, &n);
        if (e && !__atomic_load_n(&b->cancel, __ATOMIC_SEQ_CST))
                log_warn("bucket", "uploading blocks failed; it is tried again, and they stay here until then", KV_E(e));
        error_free(e);
        if (n && view(b))
                merged_waits(b);
}

/* What is still here locally stays in the bucket too: else it could never go from here. True: something was deleted. */
static bool delete_old(struct up_bucket *b)
{
        struct bucket_call c = {.cancel = &b->cancel};
        TimeMs bound = MIN(time_now_ms() - b->o.retention_ms, db_start_ms(b->db));
        ThanosMetaVec metas = VEC_INIT;
        struct error *e = NULL;
        bool some = false;
        if (b->o.retention_ms)
                bucket_store_metas(b->store, &metas);
        for (size_t i = 0; i < metas.n; i++) {
                const struct block_meta *m = &metas.p[i]->block;
                if (!e && m->maxt_ms <= bound) {
                        char id[ULID_TEXT_BYTES + 1];
                        ulid_print(m->ulid, id);
                        e = thanos_block_delete(b->bucket, &c, m->ulid);
                        if (!e)
                                log_info("bucket", "deleted a block that is older than the retention of the bucket", KV_S("block", id));
                        some |= !e;
                }
                thanos_meta_unref(metas.p[i]);
        }
        vec_done(&metas);
        if (e && !__atomic_load_n(&b->cancel, __ATOMIC_SEQ_CST))
                log_warn("bucket", "deleting old blocks failed; it is tried again", KV_E(e));
        error_free(e);
        return some;
}

static bool wait_ms(struct up_bucket *b, int64_t ms)
{
        int64_t until = time_mono_ms() + ms;
        mutex_lock(&b->mu);
        while (!__atomic_load_n(&b->cancel, __ATOMIC_SEQ_CST) && time_mono_ms() < until)
                cond_wait_ms(&b->changed, &b->mu, until - time_mono_ms());
        mutex_unlock(&b->mu);
        return !__atomic_load_n(&b->cancel, __ATOMIC_SEQ_CST);
}

static void run(void *arg)
{
        struct up_bucket *b = arg;
        int64_t next_view = 0;
        do {
                bool known = true;
                if (time_mono_ms() >= next_view) {
                        known = view(b);
                        if (known)
                                next_view = time_mono_ms() + b->o.view_every_ms;
                }
                if (known) {            /* else it is not known what is there */
                        ship(b);
                        if (delete_old(b))
                                next_view = 0;
                }
                bucket_store_close_idle(b->store);
        } while (wait_ms(b, b->o.ship_every_ms));
}

/* --- reading --- */

static struct error *viewed_querier(struct storage *base, TimeMs mint_ms, TimeMs maxt_ms, struct arena *arena, struct querier **ret)
{
        struct up_bucket *b = CONTAINER_OF(base, struct up_bucket, viewed);
        struct error *e = NULL;
        mutex_lock(&b->mu);
        if (!b->has_view)
                e = error_new(ERROR_UNAVAILABLE, "bucket \"%s\" was not read yet%s%s", bucket_name(b->bucket), b->problem ? ": " : "", b->problem ? b->problem : "");
        mutex_unlock(&b->mu);
        return e ? e : storage_querier(bucket_store_storage(b->store), mint_ms, maxt_ms, arena, ret);
}

static TimeMs local_start(void *ctx)
{
        return db_start_ms(((struct up_bucket *)ctx)->db);
}

struct storage *up_bucket_storage(struct up_bucket *b, bool wants_all)
{
        return wants_all ? &b->whole.base : &b->soft.base;
}

/* --- life --- */

static struct error *bucket_open(const struct up_bucket_opts *o, struct bucket **ret)
{
        if (o->objstore_config.n)
                return objstore_conf_open(o->objstore_config, o->metrics, ret);
        char *dir = path_join(o->data_dir, "bucket");
        struct error *e = filesystem_bucket_new(dir, ret);
        free(dir);
        if (!e)
                *ret = metrics_bucket_new(*ret, o->metrics);
        return e;
}

static struct error *shipper_make(struct up_bucket *b, bool with_merged, struct shipper **ret)
{
        struct shipper_opts o = {.dir = b->o.data_dir,
                                 .bucket = b->bucket,
                                 .labels = labels_now,
                                 .is_held = is_held,
                                 .ctx = b,
                                 .source = "sidecar",
                                 .upload_compacted = with_merged,
                                 .allow_out_of_order = with_merged,
                                 .metrics = b->o.metrics};
        return shipper_new(&o, ret);
}

struct error *up_bucket_new(const struct up_bucket_opts *o, struct up_bucket **ret)
{
        struct up_bucket *b = mem_new(struct up_bucket);
        b->o = *o;
        mutex_init(&b->mu);
        cond_init(&b->changed);
        b->cache_dir = path_join(o->data_dir, "bucket-cache");
        b->view_time = metric_gauge(o->metrics, "coeus_up_bucket_view_time_seconds", "When the list of the bucket's blocks was last read.");
        struct error *e = bucket_open(o, &b->bucket);
        if (!e) {
                struct block_filter *filters[] = {own_filter_new(b), block_filter_deletion_mark(0), block_filter_duplicates(), NULL};
                e = meta_fetcher_new(&(struct meta_fetcher_opts){.bucket = b->bucket, .cache_dir = b->cache_dir, .take_filters = filters}, &b->fetcher);
        }
        if (!e)
                e = bucket_store_new(&(struct bucket_store_opts){.bucket = b->bucket,
                                                                 .fetcher = b->fetcher,
                                                                 .data_dir = b->cache_dir,
                                                                 .index_cache_bytes = INDEX_CACHE_BYTES,
                                                                 .chunk_pool_bytes = CHUNK_POOL_BYTES,
                                                                 .io_threads = 4,
                                                                 .sync_threads = 2,
                                                                 .is_lazy_header = true,
                                                                 .is_bare = true},
                                     &b->store);
        if (!e)
                e = shipper_make(b, false, &b->shipper);
        if (!e)
                e = shipper_make(b, true, &b->first_shipper);
        if (e) {
                up_bucket_free(b);
                return e;
        }
        *ret = b;
        return NULL;
}

void up_bucket_free(struct up_bucket *b)
{
        if (!b)
                return;
        blocks_api_free(b->api);
        shipper_free(b->shipper);
        shipper_free(b->first_shipper);
        bucket_store_free(b->store);
        meta_fetcher_free(b->fetcher);
        bucket_free(b->bucket);
        vec_done(&b->held);
        free(b->problem);
        free(b->cache_dir);
        cond_done(&b->changed);
        mutex_done(&b->mu);
        free(b);
}

void up_bucket_attach(struct up_bucket *b, struct db *db, struct http_server *server)
{
        static const struct storage_ops ops = {.querier = viewed_querier};
        b->db = db;
        b->viewed.ops = &ops;
        struct join_opts o = {.recent = db_storage(db), .older = &b->viewed, .recent_start = local_start, .ctx = b};
        join_init(&b->soft, &o);
        o.wants_all = true;
        join_init(&b->whole, &o);
        b->api = blocks_api_new(server, b->store, "", /* sends_cors= */ false);
}

struct error *up_bucket_start(struct up_bucket *b)
{
        struct error *e = thread_start(&b->thread, "bucket", run, b);
        if (e)
                return e;
        int64_t until = time_mono_ms() + FIRST_VIEW_MS;
        mutex_lock(&b->mu);
        while (!b->has_tried && !__atomic_load_n(&b->cancel, __ATOMIC_SEQ_CST) && time_mono_ms() < until)
                cond_wait_ms(&b->changed, &b->mu, until - time_mono_ms());
        mutex_unlock(&b->mu);
        return NULL;
}

void up_bucket_stop(struct up_bucket *b)
{
        mutex_lock(&b->mu);
        __atomic_store_n(&b->cancel, true, __ATOMIC_SEQ_CST);
        cond_broadcast(&b->changed);
        mutex_unlock(&b->mu);
        thread_join(&b->thread);
}
