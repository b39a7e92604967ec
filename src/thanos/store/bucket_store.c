/* SPDX-License-Identifier: Apache-2.0 */
#include "thanos/store/bucket_store.h"

#include <inttypes.h>

#include "base/file.h"
#include "base/log.h"
#include "thanos/store/store_impl.h"

/* --- metrics --- */

static const double get_buckets[] = {0.001, 0.01, 0.1, 0.3, 0.6, 1, 3, 6, 9, 20, 30, 60, 90, 120};
static const double count_buckets[] = {1, 10, 100, 1000, 10000, 100000, 1000000};
static const double size_buckets[] = {1024, 32768, 1048576, 33554432, 1073741824};

static struct metric *histogram_of(struct metric_registry *r, const char *name, const char *help, const char *data,
                                   const double *b, size_t n)
{
        struct metric_family *f =
                metric_family(r, METRIC_FAMILY_HISTOGRAM, name, help, (const char *[]){"data_type", NULL});
        metric_family_set_buckets(f, b, n);
        return metric_with(f, (Str[]){str_from(data)});
}

static void metrics_init(struct store_metrics *m, struct metric_registry *r, int selects_max)
{
        static const char *const data[] = {"postings", "series", "chunks"};
        m->loads = metric_counter(r, "thanos_bucket_store_block_loads_total",
                                  "Total number of remote block loading attempts.");
        m->load_failures = metric_counter(r, "thanos_bucket_store_block_load_failures_total",
                                          "Total number of failed remote block loading attempts.");
        m->drops = metric_counter(r, "thanos_bucket_store_block_drops_total",
                                  "Total number of local blocks that were dropped.");
        metric_set(metric_counter(r, "thanos_bucket_store_block_drop_failures_total",
                                  "Total number of local blocks that failed to be dropped."),
                   0);
        m->loaded = metric_gauge(r, "thanos_bucket_store_blocks_loaded", "Number of currently loaded blocks.");
        m->last_loaded = metric_gauge(r, "thanos_bucket_store_blocks_last_loaded_timestamp_seconds",
                                      "Timestamp when last block got loaded.");
        m->load_seconds = metric_histogram(r, "thanos_bucket_store_block_load_duration_seconds",
                                           "The total time taken to load a block in seconds.",
                                           (const double[]){1, 10, 30, 60, 120}, 5);
        m->blocks_queried = metric_summary(r, "thanos_bucket_store_series_blocks_queried",
                                           "Number of blocks in a bucket store that were touched to satisfy a query.");
        m->result_series = metric_summary(r, "thanos_bucket_store_series_result_series",
                                          "Number of series observed in the final result of a query.");
        struct metric_family *f = metric_family(r, METRIC_FAMILY_COUNTER, "thanos_bucket_store_queries_dropped_total",
                                                "Number of queries that were dropped due to the limit.",
                                                (const char *[]){"reason", NULL});
        m->dropped_series = metric_with(f, (Str[]){STR("series")});
        m->dropped_chunks = metric_with(f, (Str[]){STR("chunks")});
        m->dropped_bytes = metric_with(f, (Str[]){STR("bytes")});
        for (int i = 0; i < 3; i++) {
                m->touched[i] = histogram_of(
                        r, "thanos_bucket_store_series_data_touched",
                        "Number of items of a data type touched to fulfill a single Store API series request.", data[i],
                        count_buckets, ARRAY_LEN(count_buckets));
                m->fetched_bytes[i] = histogram_of(r, "thanos_bucket_store_series_data_size_fetched_bytes",
                                                   "Total size of items of a data type fetched to fulfill a single "
                                                   "Store API series request in Bytes.",
                                                   data[i], size_buckets, ARRAY_LEN(size_buckets));
        }
        m->all_seconds =
                metric_histogram(r, "thanos_bucket_store_series_get_all_duration_seconds",
                                 "Time it takes until all per-block prepares and loads for a query are finished.",
                                 get_buckets, ARRAY_LEN(get_buckets));
        m->gate_seconds = metric_histogram(
                r, "thanos_bucket_store_series_gate_queries_duration_seconds",
                "How many seconds it took for queries to wait at the gate.",
                (const double[]){0.01, 0.1, 0.3, 0.6, 1, 3, 6, 9, 20, 30, 60, 90, 120, 240, 360, 720}, 16);
        m->gate_max =
                metric_gauge(r, "thanos_bucket_store_series_gate_queries_max", "Maximum number of concurrent queries.");
        m->gate_now = metric_gauge(r, "thanos_bucket_store_series_gate_queries_in_flight",
                                   "Number of queries that are currently in flight.");
        metric_set(m->gate_max, selects_max);
}

/* --- the object --- */

struct error *bucket_store_new(const struct bucket_store_opts *o, struct bucket_store **ret)
{
        struct bucket_store *s = mem_new(struct bucket_store);
        s->o = *o;
        if (!s->o.index_cache_bytes)
                s->o.index_cache_bytes = 250 << 20;
        if (!s->o.chunk_pool_bytes)
                s->o.chunk_pool_bytes = UINT64_C(2) << 30;
        if (s->o.selects_max <= 0)
                s->o.selects_max = 20;
        if (s->o.sync_threads <= 0)
                s->o.sync_threads = 20;
        if (!s->o.series_batch)
                s->o.series_batch = 10000;
        /* A request to a disk costs microseconds, to a remote store milliseconds: there fewer and larger reads are worth the memory. */
        bool is_remote = strcmp(bucket_provider(s->o.bucket), "S3") == 0;
        if (!s->o.series_all)
                s->o.series_all = is_remote ? 32768 : 4096;
        if (!s->o.series_least)
                s->o.series_least = is_remote ? 1000 : 256;
        if (!s->o.chunk_window_bytes)
                s->o.chunk_window_bytes = is_remote ? 8 << 20 : 2 << 20;
        if (!s->o.gap_bytes)
                s->o.gap_bytes = is_remote ? 512 << 10 : 32 << 10;
        if (s->o.io_threads <= 0)
                s->o.io_threads = is_remote ? 32 : 8;
        if (!s->o.header_idle_ms)
                s->o.header_idle_ms = 5 * 60000;
        if (!s->o.has_bounds) {
                s->o.min = (struct time_bound){TIME_MS_MIN, false};
                s->o.max = (struct time_bound){TIME_MS_MAX, false};
        }
        mutex_init(&s->gate_mu);
        cond_init(&s->gate_cond);
        rwlock_init(&s->lock);
        s->pages = page_cache_new(s->o.index_cache_bytes, o->metrics);
        if (o->metrics)
                metrics_init(&s->m, o->metrics, s->o.selects_max);
        s->o.data_dir = o->data_dir ? mem_strdup(o->data_dir) : NULL;
        struct error *e = o->data_dir ? dir_make_all(o->data_dir) : NULL;
        if (!e)
                e = pool_new("store-io", s->o.io_threads, &s->io);
        if (e) {
                bucket_store_free(s);
                return e;
        }
        *ret = s;
        return NULL;
}

void bucket_store_free(struct bucket_store *s)
{
        if (!s)
                return;
        for (size_t i = 0; i < s->blocks.n; i++)
                store_block_unref(s->blocks.p[i]);
        vec_done(&s->blocks);
        pool_free(s->io);
        page_cache_free(s->pages);
        rwlock_done(&s->lock);
        cond_done(&s->gate_cond);
        mutex_done(&s->gate_mu);
        free((char *)(uintptr_t)s->o.data_dir);
        free(s);
}

/* --- limits --- */

static struct error *limit(uint64_t *count, uint64_t max, uint64_t n, struct metric *dropped, const char *what,
                           const char *where)
{
        uint64_t now = __atomic_add_fetch(count, n, __ATOMIC_SEQ_CST);
        if (!max || now <= max)
                return NULL;
        if (dropped)
                metric_add(dropped, 1);
        return error_new(ERROR_LIMIT, "exceeded %s limit%s%s: limit %" PRIu64 " violated (got %" PRIu64 ")", what,
                         *where ? " while " : "", where, max, now);
}

struct error *store_limit_series(struct store_limits *l, uint64_t n)
{
        return limit(&l->series, l->store->o.series_max, n, l->store->m.dropped_series, "series", "");
}

struct error *store_limit_chunks(struct store_limits *l, uint64_t n)
{
        return limit(&l->chunks, l->store->o.chunks_max, n, l->store->m.dropped_chunks, "chunks", "");
}

struct error *store_limit_bytes(struct store_limits *l, uint64_t n, const char *while_what)
{
        return limit(&l->bytes, l->store->o.bytes_max, n, l->store->m.dropped_bytes, "bytes", while_what);
}

/* --- syncing --- */

struct sync {
        struct bucket_store *s;
        const struct bucket_call *c;
        struct thanos_meta **metas;
        struct store_block **blocks;
};

static void load_step(void *ctx, size_t i, UNUSED int worker)
{
        struct sync *y = ctx;
        char id[ULID_TEXT_BYTES + 1];
        ulid_print(y->metas[i]->block.ulid, id);
        int64_t begin = time_mono_ns();
        if (y->s->m.loads)
                metric_add(y->s->m.loads, 1);
        struct error *e = store_block_new(y->s, y->metas[i], y->c, &y->blocks[i]);
        double seconds = (double)(time_mono_ns() - begin) / 1e9;
        if (e) {
                if (y->s->m.load_failures)
                        metric_add(y->s->m.load_failures, 1);
                log_warn("bucket store", "loading block failed", KV_MS("elapsed", seconds * 1000), KV_S("id", id),
                         KV_E(e));
                error_free(e);
                return;
        }
        if (y->s->m.load_seconds)
                metric_observe(y->s->m.load_seconds, seconds);
        log_info("bucket store", "loaded new block", KV_MS("elapsed", seconds * 1000), KV_S("id", id));
}

static int block_cmp(const void *a, const void *b)
{
        return ulid_cmp((*(struct store_block *const *)a)->meta->block.ulid,
                        (*(struct store_block *const *)b)->meta->block.ulid);
}

static bool metas_have(const ThanosMetaVec *v, Ulid id)
{
        for (size_t lo = 0, hi = v->n; lo < hi;) {
                size_t mid = lo + (hi - lo) / 2;
                int c = ulid_cmp(v->p[mid]->block.ulid, id);
                if (c == 0)
                        return true;
                if (c < 0)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return false;
}

/* Only sync changes the list, so it may read it without the lock. */
static bool is_loaded(const struct bucket_store *s, Ulid id)
{
        for (size_t lo = 0, hi = s->blocks.n; lo < hi;) {
                size_t mid = lo + (hi - lo) / 2;
                int c = ulid_cmp(s->blocks.p[mid]->meta->block.ulid, id);
                if (c == 0)
                        return true;
                if (c < 0)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return false;
}

static void drop_gone(struct bucket_store *s, const ThanosMetaVec *metas)
{
        StoreBlockVec gone = VEC_INIT;
        rwlock_write(&s->lock);
        size_t to = 0;
        for (size_t i = 0; i < s->blocks.n; i++) {
                if (metas_have(metas, s->blocks.p[i]->meta->block.ulid))
                        s->blocks.p[to++] = s->blocks.p[i];
                else
                        vec_push(&gone, s->blocks.p[i]);
        }
        s->blocks.n = to;
        rwlock_unlock(&s->lock);
        for (size_t i = 0; i < gone.n; i++) {
                char id[ULID_TEXT_BYTES + 1];
                ulid_print(gone.p[i]->meta->block.ulid, id);
                store_block_remove_files(gone.p[i]);
                store_block_unref(gone.p[i]);
                if (s->m.drops)
                        metric_add(s->m.drops, 1);
                log_info("bucket store", "dropped outdated block", KV_S("block", id));
        }
        vec_done(&gone);
}

/* Directories of blocks that went while we did not run. */
static void clean_data_dir(struct bucket_store *s)
{
        PathVec names = VEC_INIT;
        error_ignore(dir_list(s->o.data_dir, &names), "nothing to clean then");
        for (size_t i = 0; i < names.n; i++) {
                Ulid id;
                if (!ulid_parse(str_from(names.p[i]), &id) || is_loaded(s, id))
                        continue;
                char *dir = path_join(s->o.data_dir, names.p[i]);
                error_ignore(dir_remove_all(dir), "it only takes space");
                free(dir);
        }
        path_vec_done(&names);
}

struct error *bucket_store_sync(struct bucket_store *s, const struct bucket_call *c)
{
        struct block_view v = BLOCK_VIEW_INIT;
        struct error *e = meta_fetcher_fetch(s->o.fetcher, c, &v);
        if (e)
                return e;
        struct sync y = {.s = s,
                         .c = c,
                         .metas = mem_zalloc((v.metas.n + 1) * sizeof *y.metas),
                         .blocks = mem_zalloc((v.metas.n + 1) * sizeof *y.blocks)};
        size_t n = 0;
        for (size_t i = 0; i < v.metas.n; i++)
                if (!is_loaded(s, v.metas.p[i]->block.ulid))
                        y.metas[n++] = v.metas.p[i];
        struct pool *pool = NULL;
        if (n > 1 && s->o.sync_threads > 1)
                e = pool_new("store-sync", (int)MIN((size_t)s->o.sync_threads, n), &pool);
        if (!e)
                pool_each(pool, n, load_step, &y);
        pool_free(pool);
        rwlock_write(&s->lock);
        size_t n_new = 0;
        for (size_t i = 0; i < n; i++) {
                if (y.blocks[i]) {
                        vec_push(&s->blocks, y.blocks[i]);
                        n_new++;
                }
        }
        if (n_new)
                qsort(s->blocks.p, s->blocks.n, sizeof *s->blocks.p, block_cmp);
        rwlock_unlock(&s->lock);
        if (!e && !v.incomplete)
                drop_gone(s, &v.metas);
        if (!e && !v.incomplete && s->o.data_dir && !s->has_cleaned) {
                clean_data_dir(s);
                s->has_cleaned = true;
        }
        if (s->m.loaded) {
                metric_set(s->m.loaded, (double)s->blocks.n);
                if (n_new)
                        metric_set(s->m.last_loaded, (double)time_now_ms() / 1000);
        }
        free(y.metas);
        free(y.blocks);
        if (!e && v.incomplete) {
                e = v.incomplete;
                v.incomplete = NULL;
        }
        block_view_done(&v);
        return e;
}

void bucket_store_close_idle(struct bucket_store *s)
{
        if (!s->o.is_lazy_header)
                return;
        int64_t before = time_mono_ms() - s->o.header_idle_ms;
        rwlock_read(&s->lock);
        for (size_t i = 0; i < s->blocks.n; i++)
                store_block_close_idle(s->blocks.p[i], before);
        rwlock_unlock(&s->lock);
}

/* --- what is there --- */

void bucket_store_metas(struct bucket_store *s, ThanosMetaVec *ret)
{
        rwlock_read(&s->lock);
        for (size_t i = 0; i < s->blocks.n; i++)
                vec_push(ret, thanos_meta_ref(s->blocks.p[i]->meta));
        rwlock_unlock(&s->lock);
}

static int set_cmp(const void *a, const void *b)
{
        const struct store_block *x = *(struct store_block *const *)a, *y = *(struct store_block *const *)b;
        int c = labels_cmp(x->meta->labels, y->meta->labels);
        if (c)
                return c;
        if (x->meta->block.mint_ms != y->meta->block.mint_ms)
                return x->meta->block.mint_ms < y->meta->block.mint_ms ? -1 : 1;
        if (x->meta->block.maxt_ms != y->meta->block.maxt_ms)
                return x->meta->block.maxt_ms < y->meta->block.maxt_ms ? -1 : 1;
        return ulid_cmp(x->meta->block.ulid, y->meta->block.ulid);
}

/* References to all blocks: by set of labels, then time. */
static void blocks_by_set(struct bucket_store *s, StoreBlockVec *ret)
{
        rwlock_read(&s->lock);
        for (size_t i = 0; i < s->blocks.n; i++)
                vec_push(ret, store_block_ref(s->blocks.p[i]));
        rwlock_unlock(&s->lock);
        if (ret->n)
                qsort(ret->p, ret->n, sizeof *ret->p, set_cmp);
}

static void blocks_unref(StoreBlockVec *v)
{
        for (size_t i = 0; i < v->n; i++)
                store_block_unref(v->p[i]);
        vec_done(v);
}

void bucket_store_info(struct bucket_store *s, struct arena *arena, struct store_info *ret)
{
        static const Label compatibility = {STR_INIT("@thanos_compatibility_store_type"), STR_INIT("store")};
        StoreBlockVec all = VEC_INIT;
        blocks_by_set(s, &all);
        Labels *sets = arena_array(arena, Labels, all.n + 1);
        struct store_tsdb *tsdbs = arena_array(arena, struct store_tsdb, all.n + 1);
        *ret = (struct store_info){.mint_ms = TIME_MS_MAX, .maxt_ms = TIME_MS_MIN, .label_sets = sets, .tsdbs = tsdbs};
        for (size_t i = 0; i < all.n; i++) {
                const struct thanos_meta *m = all.p[i]->meta;
                ret->mint_ms = MIN(ret->mint_ms, m->block.mint_ms);
                ret->maxt_ms = MAX(ret->maxt_ms, m->block.maxt_ms);
                bool is_new = i == 0 || labels_cmp(all.p[i - 1]->meta->labels, m->labels) != 0;
                if (is_new)
                        sets[ret->n_label_sets++] = labels_dup(arena, m->labels);
                struct store_tsdb *last = ret->n_tsdbs ? &tsdbs[ret->n_tsdbs - 1] : NULL;
                if (!is_new && m->block.mint_ms <= last->maxt_ms)
                        last->maxt_ms = MAX(last->maxt_ms, m->block.maxt_ms);
                else
                        tsdbs[ret->n_tsdbs++] =
                                (struct store_tsdb){sets[ret->n_label_sets - 1], m->block.mint_ms, m->block.maxt_ms};
        }
        if (s->o.adds_compatibility_label && ret->n_label_sets)
                sets[ret->n_label_sets++] = (Labels){&compatibility, 1};
        TimeMs now = time_now_ms();
        ret->mint_ms = MAX(ret->mint_ms, time_bound_at(s->o.min, now));
        ret->maxt_ms = MIN(ret->maxt_ms, time_bound_at(s->o.max, now));
        blocks_unref(&all);
}

/* --- choosing --- */

bool store_matchers_without(Labels external, const struct matcher *const *m, size_t n, const struct matcher **ret,
                            size_t *ret_n)
{
        size_t to = 0;
        for (size_t i = 0; i < n; i++) {
                Str v = labels_get(external, m[i]->name);
                if (v.n == 0)
                        ret[to++] = m[i];
                else if (!matcher_matches(m[i], v))
                        return false;
        }
        *ret_n = to;
        return true;
}

static bool block_is_wanted(const struct store_block *b, const struct store_request *r)
{
        for (size_t i = 0; i < r->n_block_matchers; i++) {
                char id[ULID_TEXT_BYTES + 1];
                ulid_print(b->meta->block.ulid, id);
                const struct matcher *m = r->block_matchers[i];
                Str v = str_eq(m->name, STR("__block_id")) ? str_from(id) : labels_get(b->meta->labels, m->name);
                if (!matcher_matches(m, v))
                        return false;
        }
        return true;
}

/* Blocks of one resolution that meet the range; before each and after the last, what is not covered by them from finer
 * ones. */
static void fill(struct store_block *const *set, size_t n, TimeMs mint, TimeMs maxt, int level,
                 const struct store_request *r, StoreBlockVec *ret)
{
        static const int64_t resolutions[] = {3600000, 300000, 0};
        if (mint > maxt)
                return;
        TimeMs start = mint;
        for (size_t i = 0; i < n; i++) {
                const struct block_meta *m = &set[i]->meta->block;
                if (set[i]->meta->resolution_ms != resolutions[level] || m->maxt_ms <= mint)
                        continue;
                if (m->mint_ms > maxt)
                        break;
                if (level < 2 && m->mint_ms > TIME_MS_MIN)
                        fill(set, n, start, m->mint_ms - 1, level + 1, r, ret);
                if (block_is_wanted(set[i], r))
                        vec_push(ret, store_block_ref(set[i]));
                start = m->maxt_ms;
        }
        if (level < 2)
                fill(set, n, start, maxt, level + 1, r, ret);
}

void bucket_store_choose(struct bucket_store *s, const struct store_request *r, StoreBlockVec *ret)
{
        StoreBlockVec all = VEC_INIT;
        blocks_by_set(s, &all);
        int level = r->max_resolution_ms >= 3600000 ? 0 : r->max_resolution_ms >= 300000 ? 1 : 2;
        const struct matcher **left = mem_alloc((r->n_matchers + 1) * sizeof *left);
        for (size_t i = 0, end; i < all.n; i = end) {
                size_t n_left;
                Labels set = all.p[i]->meta->labels;
                for (end = i + 1; end < all.n && labels_eq(all.p[end]->meta->labels, set);)
                        end++;
                if (store_matchers_without(store_block_external(all.p[i]), r->matchers, r->n_matchers, left, &n_left))
                        fill(all.p + i, end - i, r->mint_ms, r->maxt_ms, level, r, ret);
        }
        free(left);
        blocks_unref(&all);
        /* A coarse block that reaches over a hole brings the finer ones around it twice. */
        if (ret->n)
                qsort(ret->p, ret->n, sizeof *ret->p, set_cmp);
        size_t to = 0;
        for (size_t i = 0; i < ret->n; i++) {
                if (to && ret->p[to - 1] == ret->p[i])
                        store_block_unref(ret->p[i]);
                else
                        ret->p[to++] = ret->p[i];
        }
        ret->n = to;
}
