/* SPDX-License-Identifier: Apache-2.0 */
/* thanos_sidecar.c — thanos sidecar: a Prometheus as a StoreAPI, and its blocks into a bucket. HTTP and its probes at once; a thread watches Prometheus:
 * its flags (with a bucket), version and external labels, then gRPC, and ready as long as it answers; another one ships.  Upstream: cmd/thanos/sidecar.go */
#include <stdio.h>
#include <sys/stat.h>

#include "app/group.h"
#include "app/thanos_common.h"
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "config/objstore_conf.h"
#include "config/thanos_http_conf.h"
#include "model/duration.h"
#include "thanos/shipper/shipper.h"
#include "thanos/sidecar/sidecar.h"

enum { RETRY_MS = 2000, LOOK_MS = 1000, HTTP_CONF_BYTES = 4 << 20 };

static const struct flag rows[] = {
        THANOS_FLAGS_ALL,
        THANOS_FLAGS_HTTP,
        THANOS_FLAGS_GRPC_SERVER,
        {"prometheus.url", "Where Prometheus answers, with the prefix of its API.", FLAG_STRING, "http://localhost:9090"},
        {"prometheus.ready_timeout", "How long the first external labels may take before uploads are given up.", FLAG_GO_DURATION, "10m"},
        {"prometheus.get_config_interval", "How often the external labels are asked for.", FLAG_GO_DURATION, "30s"},
        {"prometheus.get_config_timeout", "How long that may take.", FLAG_GO_DURATION, "5s"},
        {"prometheus.http-client-file", "File with TLS and authentication towards Prometheus.", FLAG_STRING, ""},
        {"prometheus.http-client", "The same in YAML.", FLAG_STRING, ""},
        {"tsdb.path", "Data directory of Prometheus.", FLAG_STRING, "./data"},
        {"reloader.config-file", "Reloading is not supported.", FLAG_STRING, ""},
        {"reloader.config-envsubst-file", "Reloading is not supported.", FLAG_STRING, ""},
        {"reloader.rule-dir", "Reloading is not supported.", FLAG_STRINGS},
        {"reloader.watch-interval", "Accepted for compatibility.", FLAG_GO_DURATION, "3m"},
        {"reloader.retry-interval", "Accepted for compatibility.", FLAG_GO_DURATION, "5s"},
        {"reloader.method", "Accepted for compatibility.", FLAG_ENUM, "http", .choices = "http,signal"},
        {"reloader.process-name", "Accepted for compatibility.", FLAG_STRING, "prometheus"},
        THANOS_FLAGS_REQUEST_LOG,
        THANOS_FLAGS_OBJSTORE,
        {"shipper.upload-compacted", "Upload compacted blocks too, unless they overlap what is there.", FLAG_BOOL, "false"},
        {"shipper.ignore-unequal-block-size", "Upload although Prometheus compacts blocks itself.", FLAG_BOOL, "false", .bits = FLAG_HIDDEN},
        {"shipper.allow-out-of-order-uploads", "Go on with the next block when one fails.", FLAG_BOOL, "false", .bits = FLAG_HIDDEN},
        {"shipper.skip-corrupted-blocks", "Go on past blocks that cannot be read.", FLAG_BOOL, "false", .bits = FLAG_HIDDEN},
        {"shipper.upload-concurrency", "Accepted for compatibility: large files go in parts, four at once.", FLAG_INT, "0"},
        {"shipper.meta-file-name", "File in the data directory that lists what was uploaded.", FLAG_STRING, SHIPPER_META_FILE},
        {"hash-func", "Hash of the files in meta.json: SHA256, or none.", FLAG_ENUM, "", .choices = ",SHA256"},
        THANOS_FLAGS_LIMITS,
        {"min-time", "Nothing before this is served: RFC3339, or a distance from now as -1d.", FLAG_STRING, "0000-01-01T00:00:00Z"},
};

struct sidecar_role {
        struct flags f;
        struct group group;
        struct metric_registry *metrics;
        struct arena conf_arena;
        struct http_client_conf http_conf;
        struct bucket *bucket;                  /* NULL: no uploads */
        struct sidecar *sidecar;
        struct shipper *shipper;
        struct thanos_http *http;
        struct thanos_grpc *grpc;
        struct metric *prometheus_up;
        bool grpc_is_up;                        /* of the watcher, read after it ended */
        struct thread watcher, shipping;
        bool cancel;                            /* atomic */
        struct mutex mu;                        /* guards has_labels */
        struct cond wake;                       /* cancel or has_labels changed */
        bool has_labels;
};

/* --- building --- */

static struct error *refused(struct sidecar_role *r)
{
        static const char *const names[] = {"reloader.config-file", "reloader.config-envsubst-file", "reloader.rule-dir"};
        struct error *e = NULL;
        for (size_t i = 0; !e && i < ARRAY_LEN(names); i++)
                e = thanos_refuse(&r->f, names[i]);
        return e;
}

static struct error *http_conf_make(struct sidecar_role *r)
{
        struct buf text = BUF_INIT(1 << 20);
        struct error *e = thanos_content(&r->f, "prometheus.http-client", false, &text);
        if (e)
                e = error_wrap(e, "getting http client config");
        else if ((e = thanos_http_conf_parse(buf_str(&text), &r->conf_arena, &r->http_conf)))
                e = error_wrap(e, "parsing http config YAML");
        buf_done(&text);
        return e;
}

static struct error *bucket_make(struct sidecar_role *r)
{
        struct buf text = BUF_INIT(16 << 20);
        struct error *e = thanos_content(&r->f, "objstore.config", false, &text);
        if (e)
                e = error_wrap(e, "getting object store config");
        else if (text.n)
                e = objstore_conf_open(buf_str(&text), r->metrics, &r->bucket);
        else
                log_info("", "no supported bucket was configured, uploads will be disabled");
        buf_done(&text);
        return e;
}

static struct error *sidecar_make(struct sidecar_role *r)
{
        const struct flags *f = &r->f;
        struct sidecar_opts o = {.prometheus_url = flags_str(f, "prometheus.url"), .http = &r->http_conf, .metrics = r->metrics};
        struct error *e = thanos_time_parse(str_from(flags_str(f, "min-time")), &o.min);
        if (e)
                return e;
        o.series_max = (uint64_t)MAX(flags_int(f, "store.limits.request-series"), (int64_t)0);
        o.samples_max = (uint64_t)MAX(flags_int(f, "store.limits.request-samples"), (int64_t)0);
        return sidecar_new(&o, &r->sidecar);
}

static struct error *shipper_make(struct sidecar_role *r)
{
        const struct flags *f = &r->f;
        struct shipper_opts o = {.dir = flags_str(f, "tsdb.path"),
                                 .bucket = r->bucket,
                                 .labels = sidecar_labels,
                                 .ctx = r->sidecar,
                                 .source = "sidecar",
                                 .hash_func = flags_str(f, "hash-func"),
                                 .meta_file_name = flags_str(f, "shipper.meta-file-name"),
                                 .upload_compacted = flags_bool(f, "shipper.upload-compacted"),
                                 .allow_out_of_order = flags_bool(f, "shipper.allow-out-of-order-uploads"),
                                 .skip_corrupted = flags_bool(f, "shipper.skip-corrupted-blocks"),
                                 .metrics = r->metrics};
        char *wal = path_join(o.dir, "wal");
        struct stat st;
        if (stat(wal, &st) || !S_ISDIR(st.st_mode))
                log_error("", "WAL dir is not accessible. Is this dir a TSDB directory? If yes it is shared with TSDB?", KV_S("dir", wal));
        free(wal);
        return shipper_new(&o, &r->shipper);
}

static struct error *build(struct sidecar_role *r)
{
        struct error *e = refused(r);
        if (!e)
                e = http_conf_make(r);
        if (!e)
                e = thanos_http_new(&r->f, "sidecar", r->metrics, &r->http);
        if (!e)
                e = bucket_make(r);
        if (!e)
                e = sidecar_make(r);
        if (!e)
                e = thanos_grpc_new(&r->f, r->metrics, &r->grpc);
        if (!e)
                sidecar_register(r->sidecar, thanos_grpc_server(r->grpc));
        if (!e && r->bucket)
                e = shipper_make(r);
        r->prometheus_up = metric_gauge(r->metrics, "thanos_sidecar_prometheus_up", "Boolean indicator whether the sidecar can reach its Prometheus peer.");
        return e;
}

static void destroy(struct sidecar_role *r)
{
        thanos_grpc_free(r->grpc);
        shipper_free(r->shipper);
        sidecar_free(r->sidecar);
        thanos_http_free(r->http);
        bucket_free(r->bucket);
        arena_done(&r->conf_arena);
        metric_registry_free(r->metrics);
}

/* --- running --- */

static bool is_cancelled(struct sidecar_role *r)
{
        return __atomic_load_n(&r->cancel, __ATOMIC_SEQ_CST);
}

/* False: it is to stop. */
static bool wait_ms(struct sidecar_role *r, int64_t ms)
{
        int64_t until = time_mono_ms() + ms;
        mutex_lock(&r->mu);
        while (!is_cancelled(r) && time_mono_ms() < until)
                cond_wait_ms(&r->wake, &r->mu, until - time_mono_ms());
        mutex_unlock(&r->mu);
        return !is_cancelled(r);
}

static void give_up(struct sidecar_role *r, struct error *take_e)
{
        if (!is_cancelled(r)) {
                log_error("", "running command failed", KV_E(take_e));
                group_fail(&r->group, 1);
        }
        error_free(take_e);
}

static int64_t flag_ms(const struct sidecar_role *r, const char *name)
{
        return MAX(flags_int(&r->f, name) / 1000000, (int64_t)1);
}

static struct prom_wait config_wait(struct sidecar_role *r)
{
        return (struct prom_wait){.cancel = &r->cancel, .deadline_ms = time_mono_ms() + flag_ms(r, "prometheus.get_config_timeout")};
}

static struct error *check_flags(struct sidecar_role *r)
{
        struct prom_wait w = config_wait(r);
        struct sidecar_uploads u = {.tsdb_path = flags_str(&r->f, "tsdb.path"),
                                    .list_name = flags_str(&r->f, "shipper.meta-file-name"),
                                    .ignore_block_size = flags_bool(&r->f, "shipper.ignore-unequal-block-size")};
        return sidecar_check_flags(r->sidecar, &u, &w);
}

static struct error *load_version(struct sidecar_role *r)
{
        struct prom_wait w = config_wait(r);
        return sidecar_load_version(r->sidecar, &w);
}

static struct error *load_labels(struct sidecar_role *r)
{
        struct prom_wait w = config_wait(r);
        return sidecar_load_labels(r->sidecar, &w);
}

/* Until it succeeds; false: it is to stop. */
static bool insist(struct sidecar_role *r, struct error *(*what)(struct sidecar_role *r), const char *failed, const char *succeeded)
{
        int64_t every = MIN(flag_ms(r, "prometheus.get_config_interval"), (int64_t)RETRY_MS);
        for (;;) {
                struct error *e = what(r);
                if (!e) {
                        log_info("", succeeded);
                        return true;
                }
                if (!is_cancelled(r))
                        log_warn("", failed, KV_E(e));
                error_free(e);
                if (!wait_ms(r, every))
                        return false;
        }
}

static bool has_labels(struct sidecar_role *r)
{
        struct arena a;
        arena_init(&a, 16 << 20);
        bool has = sidecar_labels(r->sidecar, &a).n > 0;
        arena_done(&a);
        return has;
}

static void set_ready(struct sidecar_role *r, bool is_ready)
{
        metric_set(r->prometheus_up, is_ready);
        if (is_ready == thanos_http_is_ready(r->http))
                return;
        sidecar_set_ready(r->sidecar, is_ready);
        grpc_server_set_serving(thanos_grpc_server(r->grpc), is_ready);
        thanos_http_ready(r->http, is_ready);
}

static struct error *become_ready(struct sidecar_role *r)
{
        if (!has_labels(r))
                return error_new(ERROR_INVALID, "no external labels configured on Prometheus server, uniquely identifying external labels must be configured; see "
                                                "https://thanos.io/tip/thanos/storage.md#external-labels for details.");
        struct error *e = thanos_grpc_start(r->grpc);
        if (e)
                return e;
        r->grpc_is_up = true;
        mutex_lock(&r->mu);
        r->has_labels = true;
        cond_broadcast(&r->wake);
        mutex_unlock(&r->mu);
        set_ready(r, true);
        return NULL;
}

static void watch_run(void *arg)
{
        struct sidecar_role *r = arg;
        if (r->bucket && !insist(r, check_flags, "failed to validate prometheus flags. Is Prometheus running? Retrying", "successfully validated prometheus flags"))
                return;
        if (!insist(r, load_version, "failed to fetch prometheus version. Is Prometheus running? Retrying", "successfully loaded prometheus version") ||
            !insist(r, load_labels, "failed to fetch initial external labels. Is Prometheus running? Retrying", "successfully loaded prometheus external labels"))
                return;
        struct error *e = become_ready(r);
        if (e) {
                give_up(r, e);
                return;
        }
        while (wait_ms(r, flag_ms(r, "prometheus.get_config_interval"))) {
                e = load_labels(r);
                if (is_cancelled(r)) {
                        error_free(e);
                        return;
                }
                if (e)
                        log_warn("", "heartbeat failed", KV_E(e));
                set_ready(r, !e);
                error_free(e);
        }
}

/* --- shipping --- */

static struct error *wait_for_labels(struct sidecar_role *r)
{
        int64_t timeout = flag_ms(r, "prometheus.ready_timeout"), until = time_mono_ms() + timeout;
        mutex_lock(&r->mu);
        while (!r->has_labels && !is_cancelled(r) && time_mono_ms() < until)
                cond_wait_ms(&r->wake, &r->mu, until - time_mono_ms());
        bool has = r->has_labels || is_cancelled(r);
        mutex_unlock(&r->mu);
        if (has)
                return NULL;
        struct buf b = BUF_INIT(64);
        buf_put_go_duration(&b, timeout * 1000000);
        struct error *e = error_new(ERROR_TIMEOUT,
                                    "aborting as no external labels found after waiting %s: not uploading as no external labels are configured yet - is Prometheus "
                                    "healthy/reachable?",
                                    buf_cstr(&b));
        buf_done(&b);
        return e;
}

static void ship(struct sidecar_role *r)
{
        size_t n = 0;
        struct error *e = shipper_sync(r->shipper, &r->cancel, &n);
        if (e && !is_cancelled(r))
                log_warn("", "uploading blocks failed", KV_E(e), KV_I("uploaded", n));
        error_free(e);
        TimeMs oldest;
        e = shipper_oldest_ms(r->shipper, &oldest);
        if (e)
                log_warn("", "reading timestamps failed", KV_E(e));
        else
                sidecar_set_oldest(r->sidecar, oldest);
        error_free(e);
}

static void ship_run(void *arg)
{
        struct sidecar_role *r = arg;
        struct error *e = wait_for_labels(r);
        if (e) {
                give_up(r, e);
                return;
        }
        while (!is_cancelled(r)) {
                int64_t next = time_mono_ms() + SHIPPER_EVERY_MS;
                ship(r);
                while (wait_ms(r, LOOK_MS) && time_mono_ms() < next && !shipper_is_due(r->shipper))
                        ;
        }
}

/* --- the group --- */

static struct error *http_start(void *ctx)
{
        struct sidecar_role *r = ctx;
        return thanos_http_start(r->http);
}

static void http_stop(void *ctx)
{
        struct sidecar_role *r = ctx;
        thanos_http_stop(r->http);
}

static void cancel(struct sidecar_role *r)
{
        mutex_lock(&r->mu);
        __atomic_store_n(&r->cancel, true, __ATOMIC_SEQ_CST);
        cond_broadcast(&r->wake);
        mutex_unlock(&r->mu);
}

static struct error *watch_start(void *ctx)
{
        struct sidecar_role *r = ctx;
        return thread_start(&r->watcher, "sidecar-watch", watch_run, r);
}

static void watch_stop(void *ctx)
{
        struct sidecar_role *r = ctx;
        cancel(r);
        thread_join(&r->watcher);
        set_ready(r, false);
        if (r->grpc_is_up)
                thanos_grpc_stop(r->grpc);
}

static struct error *ship_start(void *ctx)
{
        struct sidecar_role *r = ctx;
        return r->shipper ? thread_start(&r->shipping, "shipper", ship_run, r) : NULL;
}

static void ship_stop(void *ctx)
{
        struct sidecar_role *r = ctx;
        cancel(r);
        thread_join(&r->shipping);
}

int thanos_sidecar_run(int argc, char **argv)
{
        const struct flag_spec spec = {.name = "thanos",
                                       .what = "Sidecar: a Prometheus as a StoreAPI, its blocks into a bucket.",
                                       .version = "thanos, coeus " COEUS_VERSION,
                                       .table = rows,
                                       .n = ARRAY_LEN(rows)};
        struct sidecar_role r = {.mu = MUTEX_INIT};
        int code = 1;
        flags_init(&r.f, &spec);
        if (!flags_parse(&r.f, argc, argv, &code)) {
                flags_done(&r.f);
                return code;
        }
        cond_init(&r.wake);
        arena_init(&r.conf_arena, HTTP_CONF_BYTES);
        code = 1;
        if (thanos_common_check(&r.f)) {
                r.metrics = metric_registry_new();
                struct error *e = group_init(&r.group, NULL, &r);
                if (!e)
                        e = build(&r);
                if (!e) {
                        group_add(&r.group, "http", http_start, http_stop, &r);
                        group_add(&r.group, "sidecar", watch_start, watch_stop, &r);
                        group_add(&r.group, "shipper", ship_start, ship_stop, &r);
                        log_info("", "starting sidecar");
                        code = group_run(&r.group);
                        log_info("", "exiting");
                } else {
                        log_error("", "preparing sidecar command failed", KV_E(e));
                        error_free(e);
                }
                group_done(&r.group);
                destroy(&r);
        }
        cond_done(&r.wake);
        flags_done(&r.f);
        return code;
}
