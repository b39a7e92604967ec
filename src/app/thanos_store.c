/* SPDX-License-Identifier: Apache-2.0 */
/* thanos_store.c — thanos store: a bucket's blocks as a StoreAPI. HTTP and its probes at once; the first view of the
 * bucket in a thread of its own; then gRPC, and ready.  Upstream: cmd/thanos/store.go */
#include <stdio.h>

#include "app/group.h"
#include "app/thanos_blocks.h"
#include "app/thanos_common.h"
#include "base/arena.h"
#include "base/log.h"
#include "base/thread.h"
#include "codec/yaml.h"
#include "config/objstore_conf.h"
#include "config/relabel_conf.h"
#include "model/duration.h"
#include "thanos/store/service.h"
#include "web/pages.h"

enum { SYNC_RETRY_MS = 10000, SYNC_GIVE_UP_MS = 30000, SAMPLES_OF_A_CHUNK = 120, IDLE_CHECKS = 10 };

static const struct flag rows[] = {
        THANOS_FLAGS_ALL,
        THANOS_FLAGS_HTTP,
        THANOS_FLAGS_GRPC_SERVER,
        THANOS_FLAGS_LIMITS,
        {"data-dir", "Folder of index-headers and metas; what is missing there comes from the bucket again.",
         FLAG_STRING, "./data"},
        {"cache-index-header", "Keep index-headers in the folder; else in memory.", FLAG_BOOL, "true"},
        {"index-cache-size", "Memory for pages of indexes.", FLAG_BYTES, "250MB"},
        {"index-cache.config-file", "File with the configuration of the index cache.", FLAG_STRING, ""},
        {"index-cache.config", "The configuration itself: type IN-MEMORY with max_size.", FLAG_STRING, ""},
        {"store.caching-bucket.config-file", "Caching buckets are not supported.", FLAG_STRING, "",
         .bits = FLAG_HIDDEN},
        {"store.caching-bucket.config", "Caching buckets are not supported.", FLAG_STRING, "", .bits = FLAG_HIDDEN},
        {"chunk-pool-size", "Most memory for chunks of all requests together.", FLAG_BYTES, "2GB"},
        {"store.grpc.touched-series-limit", "Deprecated: --store.limits.request-series.", FLAG_INT, "0"},
        {"store.grpc.series-sample-limit", "Deprecated: --store.limits.request-samples.", FLAG_INT, "0"},
        {"store.grpc.downloaded-bytes-limit",
         "Most bytes that one call may take from the bucket or its caches; 0: no limit.", FLAG_BYTES, "0"},
        {"store.grpc.series-max-concurrency", "Most Series calls at once; others wait.", FLAG_INT, "20"},
        THANOS_FLAGS_OBJSTORE,
        {"sync-block-duration", "How often it looks for new and gone blocks.", FLAG_GO_DURATION, "15m"},
        {"block-discovery-strategy", "concurrent: a look at each block; recursive: one listing of all objects.",
         FLAG_STRING, "concurrent"},
        {"block-sync-concurrency", "Blocks that are loaded at once.", FLAG_INT, "20"},
        {"block-meta-fetch-concurrency", "Metas that are read at once.", FLAG_INT, "32"},
        {"debug.series-batch-size", "Series of a block that are read at once.", FLAG_INT, "10000", .bits = FLAG_HIDDEN},
        {"debug.estimated-max-series-size", "Accepted for compatibility: entries are read by pages.", FLAG_INT, "65536",
         .bits = FLAG_HIDDEN},
        {"debug.estimated-max-chunk-size", "Accepted for compatibility: the index tells where the next chunk begins.",
         FLAG_INT, "16000", .bits = FLAG_HIDDEN},
        {"min-time", "Nothing before this is served: RFC3339, or a distance from now as -1d.", FLAG_STRING,
         "0000-01-01T00:00:00Z"},
        {"max-time", "Nothing after this is served.", FLAG_STRING, "9999-12-31T23:59:59Z"},
        {"debug.advertise-compatibility-label", "Tell the label set @thanos_compatibility_store_type too.", FLAG_BOOL,
         "true", .bits = FLAG_HIDDEN},
        {"selector.relabel-config-file", "File with relabelling rules that choose blocks by their labels.", FLAG_STRING,
         ""},
        {"selector.relabel-config", "The rules themselves: keep, drop and hashmod.", FLAG_STRING, ""},
        {"store.index-header-posting-offsets-in-mem-sampling", "Accepted for compatibility: each 32nd is kept.",
         FLAG_INT, "32", .bits = FLAG_HIDDEN},
        {"consistency-delay", "Blocks younger than this are left out.", FLAG_DURATION, "0s"},
        {"ignore-deletion-marks-delay", "Blocks that are marked for deletion are served for so long.", FLAG_DURATION,
         "24h"},
        {"store.enable-index-header-lazy-reader", "Map index-headers when a query needs them.", FLAG_BOOL, "false"},
        {"store.index-header-lazy-reader-idle-timeout", "And let them go when none did for so long.", FLAG_GO_DURATION,
         "5m", .bits = FLAG_HIDDEN},
        {"store.enable-lazy-expanded-postings",
         "Accepted for compatibility: large lists are always left to the labels where that reads less.", FLAG_BOOL,
         "false"},
        {"store.index-header-lazy-download-strategy",
         "eager: index-headers are built when a block is loaded; lazy: by the first query, with the lazy reader.",
         FLAG_ENUM, "eager", .choices = "eager,lazy"},
        {"web.disable", "Neither the page of blocks nor its API.", FLAG_BOOL, "false"},
        {"web.external-prefix", "Prefix of links of the block viewer.", FLAG_STRING, ""},
        {"web.prefix-header", "Header with the prefix of links of the block viewer.", FLAG_STRING, ""},
        {"web.disable-cors", "No CORS headers.", FLAG_BOOL, "false"},
        {"bucket-web-label", "Label that groups blocks in the block viewer.", FLAG_STRING, ""},
        THANOS_FLAGS_REQUEST_LOG,
};

struct store_role {
        struct flags f;
        struct group group;
        struct metric_registry *metrics;
        struct bucket *bucket;
        struct relabel_conf relabel;
        struct meta_fetcher *fetcher;
        struct bucket_store *store;
        struct store_service *service;
        struct thanos_http *http;
        struct blocks_api *blocks; /* NULL: --web.disable */
        struct web_pages *pages;   /* NULL, too */
        struct thanos_grpc *grpc;
        bool grpc_is_up; /* of the syncer, read after it ended */
        struct thread syncer;
        bool cancel; /* atomic */
        struct mutex mu;
        struct cond wake; /* with mu, when cancel changed */
};

/* --- building --- */

/* type: IN-MEMORY, config: {max_size, max_item_size}; the sizes as the original's. */
static struct error *index_cache_parse(Str text, uint64_t *bytes)
{
        struct arena a;
        arena_init(&a, 16 << 20);
        struct yaml *root = NULL;
        struct error *e = yaml_parse(text, &a, &root);
        if (!e && root) {
                const struct yaml *type = yaml_get(root, STR("type")),
                                  *size = yaml_get(yaml_get(root, STR("config")), STR("max_size"));
                if (!type || type->type != YAML_SCALAR || !str_eq_nocase(type->text, STR("IN-MEMORY")))
                        e = error_new(ERROR_UNSUPPORTED, "index cache with type " STR_FMT " is not supported",
                                      STR_ARG(type ? type->text : STR("\"\"")));
                else if (size && size->type == YAML_SCALAR && (e = size_parse(size->text, bytes)))
                        e = error_wrap(e, "max_size");
        }
        arena_done(&a);
        return e ? error_wrap(e, "create index cache") : NULL;
}

static struct error *bucket_make(struct store_role *r)
{
        struct buf text = BUF_INIT(16 << 20);
        struct error *e = thanos_content(&r->f, "objstore.config", true, &text);
        if (!e)
                e = objstore_conf_open(buf_str(&text), r->metrics, &r->bucket);
        buf_clear(&text);
        if (!e)
                e = thanos_content(&r->f, "selector.relabel-config", false, &text);
        if (!e)
                e = relabel_conf_parse(buf_str(&text), RELABEL_CONF_SELECTOR, &r->relabel);
        buf_done(&text);
        return e;
}

static struct error *fetcher_make(struct store_role *r, struct time_bound min, struct time_bound max)
{
        const struct flags *f = &r->f;
        const char *strategy = flags_str(f, "block-discovery-strategy");
        if (strcmp(strategy, "concurrent") != 0 && strcmp(strategy, "recursive") != 0)
                return error_new(ERROR_INVALID, "unknown sync strategy %s", strategy);
        metric_set(metric_gauge(r->metrics, "thanos_consistency_delay_seconds",
                                "Configured consistency delay in seconds."),
                   (double)flags_int(f, "consistency-delay") / 1000);
        struct block_filter *filters[] = {
                block_filter_time(min, max),
                block_filter_relabel(r->relabel.rules, r->relabel.n),
                block_filter_consistency(flags_int(f, "consistency-delay")),
                block_filter_deletion_mark(flags_int(f, "ignore-deletion-marks-delay")),
                block_filter_duplicates(),
                NULL,
        };
        struct meta_fetcher_opts o = {.bucket = r->bucket,
                                      .cache_dir =
                                              flags_bool(f, "cache-index-header") ? flags_str(f, "data-dir") : NULL,
                                      .concurrency = (int)flags_int(f, "block-meta-fetch-concurrency"),
                                      .is_recursive = strcmp(strategy, "recursive") == 0,
                                      .metrics = r->metrics,
                                      .take_filters = filters};
        return meta_fetcher_new(&o, &r->fetcher);
}

static uint64_t limit_of(const struct flags *f, const char *name, const char *old)
{
        int64_t n = flags_int(f, name);
        if (n <= 0)
                n = flags_int(f, old);
        return n > 0 ? (uint64_t)n : 0;
}

static struct error *store_make(struct store_role *r, struct time_bound min, struct time_bound max)
{
        const struct flags *f = &r->f;
        struct buf text = BUF_INIT(16 << 20);
        uint64_t cache = (uint64_t)flags_int(f, "index-cache-size");
        struct error *e = thanos_content(f, "index-cache.config", false, &text);
        if (!e && text.n)
                e = index_cache_parse(buf_str(&text), &cache);
        buf_done(&text);
        if (e)
                return e;
        if (flags_int(f, "store.grpc.series-max-concurrency") < 0)
                return error_new(ERROR_INVALID, "max concurrency value cannot be lower than 0 (got %lld)",
                                 (long long)flags_int(f, "store.grpc.series-max-concurrency"));
        struct bucket_store_opts o = {.bucket = r->bucket,
                                      .fetcher = r->fetcher,
                                      .data_dir =
                                              flags_bool(f, "cache-index-header") ? flags_str(f, "data-dir") : NULL};
        o.index_cache_bytes = cache ? cache : 1;
        o.chunk_pool_bytes = (uint64_t)flags_int(f, "chunk-pool-size");
        o.series_max = limit_of(f, "store.limits.request-series", "store.grpc.touched-series-limit");
        uint64_t samples = limit_of(f, "store.limits.request-samples", "store.grpc.series-sample-limit");
        o.chunks_max = samples / SAMPLES_OF_A_CHUNK;
        o.bytes_max = (uint64_t)flags_int(f, "store.grpc.downloaded-bytes-limit");
        o.selects_max = (int)MIN(flags_int(f, "store.grpc.series-max-concurrency"), (int64_t)10000);
        o.sync_threads = (int)MIN(flags_int(f, "block-sync-concurrency"), (int64_t)256);
        o.series_batch = (size_t)MAX(flags_int(f, "debug.series-batch-size"), (int64_t)1);
        o.is_lazy_header = flags_bool(f, "store.enable-index-header-lazy-reader");
        o.is_lazy_download = strcmp(flags_str(f, "store.index-header-lazy-download-strategy"), "lazy") == 0;
        o.header_idle_ms = flags_int(f, "store.index-header-lazy-reader-idle-timeout") / 1000000;
        o.has_bounds = true;
        o.min = min;
        o.max = max;
        o.adds_compatibility_label = flags_bool(f, "debug.advertise-compatibility-label");
        o.metrics = r->metrics;
        return bucket_store_new(&o, &r->store);
}

static struct error *build(struct store_role *r)
{
        static const char *const refused[] = {"store.caching-bucket.config", "store.caching-bucket.config-file"};
        struct error *e = NULL;
        for (size_t i = 0; !e && i < ARRAY_LEN(refused); i++)
                e = thanos_refuse(&r->f, refused[i]);
        struct time_bound min, max;
        const char *min_text = flags_str(&r->f, "min-time"), *max_text = flags_str(&r->f, "max-time");
        if (!e)
                e = thanos_time_parse(str_from(min_text), &min);
        if (!e)
                e = thanos_time_parse(str_from(max_text), &max);
        if (!e && time_bound_at(min, time_now_ms()) > time_bound_at(max, time_now_ms()))
                e = error_new(ERROR_INVALID, "invalid argument: --min-time '%s' can't be greater than --max-time '%s'",
                              min_text, max_text);
        if (!e)
                e = thanos_http_new(&r->f, "store", r->metrics, &r->http);
        if (!e)
                e = bucket_make(r);
        if (!e)
                e = fetcher_make(r, min, max);
        if (!e)
                e = store_make(r, min, max);
        if (!e)
                e = thanos_grpc_new(&r->f, r->metrics, &r->grpc);
        if (!e) {
                r->service = store_service_new(r->store);
                store_service_register(r->service, thanos_grpc_server(r->grpc));
                if (!flags_bool(&r->f, "web.disable")) {
                        r->pages = web_pages_new(thanos_http_server(r->http), &(struct web_pages_opts){.role = "thanos-store", .title = "coeus", .version = COEUS_VERSION,
                                                                                                      .has_blocks = true});
                        r->blocks = blocks_api_new(thanos_http_server(r->http), r->store,
                                                   flags_str(&r->f, "bucket-web-label"),
                                                   !flags_bool(&r->f, "web.disable-cors"));
                }
        }
        return e;
}

static void destroy(struct store_role *r)
{
        thanos_grpc_free(r->grpc);
        store_service_free(r->service);
        thanos_http_free(r->http);
        blocks_api_free(r->blocks);
        web_pages_free(r->pages);
        bucket_store_free(r->store);
        meta_fetcher_free(r->fetcher);
        relabel_conf_done(&r->relabel);
        bucket_free(r->bucket);
        metric_registry_free(r->metrics);
}

/* --- running --- */

/* False: it is to stop. */
static bool wait_ms(struct store_role *r, int64_t ms)
{
        int64_t until = time_mono_ms() + ms;
        mutex_lock(&r->mu);
        while (!__atomic_load_n(&r->cancel, __ATOMIC_SEQ_CST) && time_mono_ms() < until)
                cond_wait_ms(&r->wake, &r->mu, until - time_mono_ms());
        mutex_unlock(&r->mu);
        return !__atomic_load_n(&r->cancel, __ATOMIC_SEQ_CST);
}

static struct error *sync_once(struct store_role *r)
{
        struct bucket_call c = {.cancel = &r->cancel};
        struct error *e = bucket_store_sync(r->store, &c);
        if (r->blocks)
                blocks_api_refreshed(r->blocks, e);
        return e;
}

static struct error *first_sync(struct store_role *r)
{
        int64_t begin = time_mono_ms();
        log_info("", "initializing bucket store");
        for (;;) {
                struct error *e = sync_once(r);
                if (!e) {
                        log_info("", "bucket store ready", KV_MS("init_duration", time_mono_ms() - begin));
                        return NULL;
                }
                if (time_mono_ms() - begin + SYNC_RETRY_MS > SYNC_GIVE_UP_MS || !wait_ms(r, SYNC_RETRY_MS))
                        return error_wrap(e, "bucket store initial sync: sync block");
                log_error("", "function failed. Retrying in next tick", KV_E(e));
                error_free(e);
        }
}

static void sync_run(void *arg)
{
        struct store_role *r = arg;
        struct error *e = first_sync(r);
        if (!e)
                e = thanos_grpc_start(r->grpc);
        if (e) {
                if (!__atomic_load_n(&r->cancel, __ATOMIC_SEQ_CST)) {
                        log_error("", "running command failed", KV_E(e));
                        group_fail(&r->group, 1);
                }
                error_free(e);
                return;
        }
        r->grpc_is_up = true;
        store_service_set_ready(r->service, true);
        thanos_http_ready(r->http, true);
        int64_t every = MAX(flags_int(&r->f, "sync-block-duration") / 1000000, (int64_t)100),
                idle = flags_int(&r->f, "store.index-header-lazy-reader-idle-timeout") / 1000000 / IDLE_CHECKS;
        int64_t next = time_mono_ms() + every;
        for (;;) {
                int64_t left = MAX(next - time_mono_ms(), (int64_t)0);
                bool looks_idle = idle > 0 && idle < left;
                if (!wait_ms(r, looks_idle ? idle : left))
                        return;
                bucket_store_close_idle(r->store);
                if (time_mono_ms() < next)
                        continue;
                e = sync_once(r);
                if (e && !__atomic_load_n(&r->cancel, __ATOMIC_SEQ_CST))
                        log_warn("", "syncing blocks failed", KV_E(e));
                error_free(e);
                next = time_mono_ms() + every;
        }
}

static struct error *http_start(void *ctx)
{
        struct store_role *r = ctx;
        return thanos_http_start(r->http);
}

static void http_stop(void *ctx)
{
        struct store_role *r = ctx;
        thanos_http_stop(r->http);
}

static struct error *sync_start(void *ctx)
{
        struct store_role *r = ctx;
        return thread_start(&r->syncer, "store-sync", sync_run, r);
}

static void sync_stop(void *ctx)
{
        struct store_role *r = ctx;
        thanos_http_ready(r->http, false);
        store_service_set_ready(r->service, false);
        mutex_lock(&r->mu);
        __atomic_store_n(&r->cancel, true, __ATOMIC_SEQ_CST);
        cond_broadcast(&r->wake);
        mutex_unlock(&r->mu);
        thread_join(&r->syncer);
        if (r->grpc_is_up)
                thanos_grpc_stop(r->grpc);
}

int thanos_store_run(int argc, char **argv)
{
        const struct flag_spec spec = {.name = "thanos",
                                       .what = "Store: the blocks of a bucket as a StoreAPI.",
                                       .version = "thanos, coeus " COEUS_VERSION,
                                       .table = rows,
                                       .n = ARRAY_LEN(rows)};
        struct store_role r = {.mu = MUTEX_INIT};
        int code = 1;
        flags_init(&r.f, &spec);
        if (!flags_parse(&r.f, argc, argv, &code)) {
                flags_done(&r.f);
                return code;
        }
        cond_init(&r.wake);
        struct error *e = NULL;
        code = 1;
        if (thanos_common_check(&r.f)) {
                r.metrics = metric_registry_new();
                e = group_init(&r.group, NULL, &r);
                if (!e)
                        e = build(&r);
                if (!e) {
                        group_add(&r.group, "http", http_start, http_stop, &r);
                        group_add(&r.group, "store", sync_start, sync_stop, &r);
                        code = group_run(&r.group);
                        log_info("", "exiting");
                } else {
                        log_error("", "preparing store command failed", KV_E(e));
                        error_free(e);
                }
                group_done(&r.group);
                destroy(&r);
        }
        cond_done(&r.wake);
        flags_done(&r.f);
        return code;
}
