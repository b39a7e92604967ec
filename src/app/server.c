/* SPDX-License-Identifier: Apache-2.0 */
/* server.c — order of starting: configuration is judged, the listener opens (503 until ready), the data directory is opened in a thread of its
 * own so that signals are heard meanwhile, the configuration is applied, scraping begins, then it is ready. Stopping is written out in
 * server_stop(). */
#include "app/server.h"

#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "app/external_url.h"
#include "app/group.h"
#include "app/metrics.h"
#include "base/file.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/pool.h"
#include "base/thread.h"
#include "config/config.h"
#include "model/duration.h"

enum { EXEMPLARS_DEFAULT = 100000 }; /* upstream: DefaultExemplarsConfig */

struct server {
        const struct server_opts *o;
        struct group group;
        struct metric_registry *metrics;
        struct process_metrics *own_metrics;
        struct pool *pool;
        struct regex *cors;
        char *external_url, *route_prefix;
        struct web_flag *flags;
        size_t n_flags;

        struct db *db;
        struct up_bucket *bucket;       /* NULL: none */
        struct engine *engine;
        struct scrape_manager *scrape;
        struct discovery_manager *discovery;
        struct server_alerting *alerting;
        struct web *web;

        struct thread opener;
        bool cancel_open;               /* read by the replay */
        _Atomic bool db_is_open;

        struct mutex reload_mu;         /* one reload at a time; first in the lock order */
        struct mutex mu;                /* guards all below; a leaf */
        struct config *config;          /* in force */
        bool reload_ok;
        TimeMs reload_ms;
        struct config_retention retention;
};

/* ---- configuration ---- */

static struct error *config_get(struct server *s, struct config **ret)
{
        const struct server_opts *o = s->o;
        struct config_opts opts = {.extra_scrape_metrics = o->extra_scrape_metrics};
        struct error *e;
        if (o->config_file) {
                e = config_load(o->config_file, &opts, ret);
        } else {
                struct buf text = BUF_INIT(1 << 16);
                o->config_text(o->ctx, s->web ? web_port(s->web, 0) : 0, &text);
                e = config_parse(buf_str(&text), ".", &opts, ret);
                buf_done(&text);
        }
        if (e)
                return e;
        if (o->exemplars && config_max_exemplars(*ret) < 0)
                config_set_max_exemplars(*ret, EXEMPLARS_DEFAULT);
        struct config_retention r = config_retention(*ret);
        if (r.time_ms == 0 && r.size_bytes == 0 && r.percentage == 0)
                config_set_retention(*ret, (struct config_retention){o->db.retention_ms, o->db.retention_bytes, o->db.retention_percent});
        return NULL;
}

static void retention_tell(struct server *s, struct config_retention r)
{
        if (memcmp(&r, &s->retention, sizeof r) == 0)
                return;
        struct buf time = BUF_INIT(64), size = BUF_INIT(64);
        buf_put_duration(&time, r.time_ms);
        buf_put_size(&size, r.size_bytes);
        log_info("", "TSDB retention updated", KV_S("duration", buf_cstr(&time)), KV_S("size", buf_cstr(&size)), KV_F("percentage", r.percentage));
        buf_done(&time);
        buf_done(&size);
        s->retention = r;
}

/* Each part takes the new configuration even if another one failed to. */
static bool config_apply(struct server *s, struct config *c)
{
        size_t n;
        const struct scrape_conf *scrapes = config_scrapes(c, &n);
        struct config_retention r = config_retention(c);
        db_set_retention(s->db, r.time_ms, r.size_bytes, r.percentage);
        if (s->o->exemplars)
                db_set_max_exemplars(s->db, config_max_exemplars(c));
        struct error *ooo_e = db_set_out_of_order_window(s->db, config_out_of_order_window_ms(c));
        if (ooo_e)
                log_error("", "Failed to apply configuration", KV_E(ooo_e));
        engine_set_subquery_step(s->engine, config_evaluation_interval_ms(c));
        struct error *log_e = engine_set_query_log(s->engine, config_query_log_file(c));
        if (log_e)
                log_error("", "Failed to apply configuration", KV_E(log_e));
        struct scrape_manager_conf conf;
        config_scrape_conf(c, &conf);
        struct error *scrape_e = scrape_manager_apply(s->scrape, &conf);
        if (scrape_e)
                log_error("", "Failed to apply configuration", KV_E(scrape_e));
        struct discovery_set *sets = mem_alloc((n + 1) * sizeof *sets);
        for (size_t i = 0; i < n; i++)
                sets[i] = (struct discovery_set){scrapes[i].job_name, &scrapes[i].discovery};
        discovery_manager_apply(s->discovery, sets, n);
        free(sets);
        struct error *rules_e = server_alerting_apply(s->alerting, c);
        if (rules_e)
                log_error("", "Failed to apply configuration", KV_E(rules_e));
        mutex_lock(&s->mu);
        struct config *old = s->config;
        s->config = config_ref(c);
        retention_tell(s, r);
        mutex_unlock(&s->mu);
        config_unref(old);
        bool ok = !log_e && !scrape_e && !ooo_e && !rules_e;
        error_free(ooo_e);
        error_free(log_e);
        error_free(scrape_e);
        error_free(rules_e);
        return ok;
}

static struct error *reload_locked(struct server *s)
{
        const char *file = s->o->config_file ? s->o->config_file : "";
        int64_t begin = time_mono_ns();
        log_info("", "Loading configuration file", KV_S("filename", file));
        struct config *c;
        struct error *e = config_get(s, &c);
        if (e)
                return error_wrap(e, "couldn't load configuration (--config.file=\"%s\")", file);
        bool ok = config_apply(s, c);
        config_unref(c);
        if (!ok)
                return error_new(ERROR_INVALID, "one or more errors occurred while applying the new configuration (--config.file=\"%s\")", file);
        log_info("", "Completed loading of configuration file", KV_S("filename", file), KV_MS("totalDuration", (time_mono_ns() - begin) / 1000000));
        return NULL;
}

static struct error *server_reload(void *app)
{
        struct server *s = app;
        if (!atomic_load(&s->db_is_open))
                return error_new(ERROR_UNAVAILABLE, "the storage is not open yet");
        mutex_lock(&s->reload_mu);
        struct error *e = reload_locked(s);
        mutex_lock(&s->mu);
        s->reload_ok = !e;
        if (!e)
                s->reload_ms = time_now_ms();
        process_metrics_reload(s->own_metrics, !e, s->reload_ms);
        mutex_unlock(&s->mu);
        mutex_unlock(&s->reload_mu);
        return e;
}

static void reload_on_signal(void *ctx)
{
        struct error *e = server_reload(ctx);
        if (e)
                log_error("", "Error reloading config", KV_E(e));
        error_free(e);
}

/* ---- what the web asks ---- */

static char *config_yaml(void *app)
{
        struct server *s = app;
        struct buf b = BUF_INIT(256 << 20);
        mutex_lock(&s->mu);
        if (s->config)
                config_print(&b, s->config);
        mutex_unlock(&s->mu);
        return buf_take(&b);
}

static char *pool_yaml(void *app, Str pool)
{
        struct server *s = app;
        struct buf b = BUF_INIT(64 << 20);
        mutex_lock(&s->mu);
        bool found = s->config && config_print_job(&b, s->config, pool);
        mutex_unlock(&s->mu);
        char *out = found ? buf_take(&b) : NULL;
        buf_done(&b);
        return out;
}

static Labels external_labels(void *app, struct arena *a)
{
        struct server *s = app;
        mutex_lock(&s->mu);
        Labels ls = s->config ? labels_dup(a, config_external_labels(s->config)) : (Labels){NULL, 0};
        mutex_unlock(&s->mu);
        return ls;
}

static bool reload_state(void *app, TimeMs *ret_last_ms)
{
        struct server *s = app;
        mutex_lock(&s->mu);
        *ret_last_ms = s->reload_ms;
        bool ok = s->reload_ok;
        mutex_unlock(&s->mu);
        return ok;
}

static char *retention_text(void *app)
{
        struct server *s = app;
        struct buf b = BUF_INIT(256);
        mutex_lock(&s->mu);
        struct config_retention r = s->retention;
        mutex_unlock(&s->mu);
        if (r.time_ms)
                buf_put_duration(&b, r.time_ms);
        if (r.size_bytes) {
                buf_puts(&b, b.n ? " or " : "");
                buf_put_size(&b, r.size_bytes);
        }
        if (r.percentage != 0)
                buf_printf(&b, "%s%g%%", b.n ? " or " : "", r.percentage);
        return buf_take(&b);
}

static void quit(void *app)
{
        struct server *s = app;
        log_warn("", "Received termination request via web service, exiting gracefully...");
        group_stop(&s->group);
}

/* ---- starting ---- */

static void update_targets(void *ctx, const struct target_set *sets, size_t n)
{
        struct server *s = ctx;
        scrape_manager_update(s->scrape, sets, n);
}

/* The opener: everything that needs the open data directory. */
static struct error *storage_open(struct server *s)
{
        const struct server_opts *o = s->o;
        log_info("", "Starting TSDB ...");
        struct error *e = db_start(s->db);
        if (e)
                return error_wrap(e, "opening storage failed");
        log_info("", "TSDB started");
        e = s->bucket ? up_bucket_start(s->bucket) : NULL;
        if (e)
                return e;
        struct scrape_opts so = scrape_opts_defaults;
        so.storage = db_storage(s->db);
        so.metrics = s->metrics;
        so.version = COEUS_VERSION;
        so.discovery_reload_interval_ms = o->discovery_reload_ms;
        so.timestamp_tolerance_ms = o->timestamp_tolerance_ms;
        so.adjust_timestamps = o->adjust_timestamps;
        e = scrape_manager_new(&so, &s->scrape);
        if (e)
                return e;
        struct discovery_opts d = {.name = "scrape", .metrics = s->metrics, .update_interval_ms = o->discovery_reload_ms, .update = update_targets, .ctx = s};
        e = discovery_manager_new(&d, &s->discovery);
        if (e)
                return e;
        web_set_scrape(s->web, s->scrape);
        atomic_store(&s->db_is_open, true);
        e = server_reload(s);
        if (!e)
                server_alerting_start(s->alerting);
        return e;
}

static void open_thread(void *arg)
{
        struct server *s = arg;
        struct error *e = storage_open(s);
        if (e) {
                if (!__atomic_load_n(&s->cancel_open, __ATOMIC_SEQ_CST))
                        log_error("", "Fatal error", KV_E(e));
                error_free(e);
                group_fail(&s->group, 1);
                return;
        }
        if (s->o->ready)
                s->o->ready(s->o->ctx, web_port(s->web, 0));
        web_set_ready(s->web, true);
        log_info("", "Server is ready to receive web requests.");
}

static struct error *server_start(void *ctx)
{
        struct server *s = ctx;
        struct error *e = web_start(s->web);
        if (e)
                return e;
        return thread_start(&s->opener, "open", open_thread, s);
}

/* No new work, then no new data, then the data is closed. */
static void server_stop(void *ctx)
{
        struct server *s = ctx;
        web_set_stopping(s->web);
        __atomic_store_n(&s->cancel_open, true, __ATOMIC_SEQ_CST);
        thread_join(&s->opener);
        mutex_lock(&s->reload_mu);              /* a reload by request is over, and no other begins */
        atomic_store(&s->db_is_open, false);
        mutex_unlock(&s->reload_mu);
        log_info("", "Stopping scrape discovery manager...");
        discovery_manager_free(s->discovery);
        s->discovery = NULL;
        server_alerting_stop(s->alerting);
        log_info("", "Stopping scrape manager...");
        if (s->scrape)
                scrape_manager_stop(s->scrape);
        log_info("", "Stopping web handler...");
        web_stop(s->web);
        log_info("", "Stopping storage...");
        if (s->bucket)
                up_bucket_stop(s->bucket);
        process_metrics_free(s->own_metrics);
        s->own_metrics = NULL;
        struct error *e = db_close(s->db);
        s->db = NULL;
        if (e)
                log_error("", "Error stopping storage", KV_E(e));
        error_free(e);
        server_alerting_drain(s->alerting);
        log_info("", "See you next time!");
}

static void flags_show(struct server *s)
{
        const struct flags *f = s->o->flags;
        s->flags = mem_zalloc((f->spec->n + 1) * sizeof *s->flags);
        for (size_t i = 0; i < f->spec->n; i++) {
                struct buf b = BUF_INIT(1 << 20);
                const char *name = f->spec->table[i].name;
                if (strcmp(name, "storage.tsdb.max-block-duration") == 0)
                        buf_put_duration(&b, db_max_block_ms(s->db));
                else if (strcmp(name, "storage.tsdb.retention.time") == 0)
                        buf_put_duration(&b, s->retention.time_ms);
                else if (strcmp(name, "web.route-prefix") == 0)
                        buf_puts(&b, s->route_prefix);
                else
                        flags_put_value(f, i, &b);
                s->flags[s->n_flags++] = (struct web_flag){name, buf_take(&b)};
        }
}

/* 0, or the exit code; what is wrong is in the log. */
static int server_build(struct server *s)
{
        const struct server_opts *o = s->o;
        struct config *first;
        struct error *e = config_get(s, &first);
        if (e) {
                struct buf msg = BUF_INIT(4096);
                buf_printf(&msg, "Error loading config (--config.file=%s)", o->config_file ? o->config_file : "");
                log_error("", buf_cstr(&msg), KV_S("file", o->config_file ? o->config_file : ""), KV_E(e));
                buf_done(&msg);
                error_free(e);
                return 2;
        }
        struct config_retention r = config_retention(first);
        int64_t window_ms = config_out_of_order_window_ms(first), max_exemplars = o->exemplars ? config_max_exemplars(first) : 0;
        e = server_alerting_check(first, &o->parse);
        bool legacy_names = config_has_legacy_names(first);
        config_unref(first);
        if (e) {
                struct buf msg = BUF_INIT(4096);
                buf_printf(&msg, "Error loading rule file patterns from config (--config.file=\"%s\")", o->config_file ? o->config_file : "");
                log_error("", buf_cstr(&msg), KV_S("file", o->config_file ? o->config_file : ""), KV_E(e));
                buf_done(&msg);
                error_free(e);
                return 2;
        }
        e = external_url_compute(o->external_url, o->listen_addresses[0], &s->external_url);
        if (e) {
                log_error("", "parse external URL", KV_S("url", o->external_url), KV_E(e));
                error_free(e);
                return 2;
        }
        s->route_prefix = route_prefix_of(o->route_prefix, s->external_url);
        e = regex_new(str_from(o->cors_origin), &s->cors);
        if (e) {
                fprintf(stderr, "could not compile CORS regex string %s: %s\n", o->cors_origin, error_str(e));
                error_free(e);
                return 2;
        }
        s->metrics = metric_registry_new();
        e = pool_new("query", MAX(cpu_count() - 1, 1), &s->pool);     /* who asks works too */
        if (e)
                goto out;
        e = dir_make_all(o->db.dir);
        if (e)
                goto out;
        struct db_opts db = o->db;
        db.retention_ms = r.time_ms;
        db.retention_bytes = r.size_bytes;
        db.retention_percent = r.percentage;
        db.out_of_order_window_ms = window_ms;
        db.max_exemplars = max_exemplars;
        db.cancel = &s->cancel_open;
        if (o->bucket) {
                o->bucket->data_dir = o->db.dir;
                o->bucket->metrics = s->metrics;
                e = up_bucket_new(o->bucket, &s->bucket);
                if (e)
                        goto out;
                db.may_go = up_bucket_has;
                db.may_go_ctx = s->bucket;
        }
        s->db = db_new(&db);
        s->retention = (struct config_retention){.time_ms = r.time_ms};
        s->own_metrics = process_metrics_new(s->metrics, s->db);
        process_metrics_reload(s->own_metrics, true, time_now_ms());
        s->reload_ok = true;
        struct engine_opts eo = {.parse = o->parse, .pool = s->pool, .timeout_ms = o->query_timeout_ms, .max_samples = o->query_max_samples,
                                 .max_concurrency = o->query_concurrency, .max_bytes = o->query_max_bytes,
                                 .max_total_bytes = o->query_max_total_bytes ? o->query_max_total_bytes : machine_memory_bytes() / 2, .lookback_ms = o->lookback_ms,
                                 .subquery_step_ms = 60000, .per_step_stats = o->per_step_stats, .delayed_name_removal = o->delayed_name_removal,
                                 .use_start_times = o->use_start_times,
                                 .active_log_dir = o->db.dir, .metrics = s->metrics};
        s->engine = engine_new(&eo);
        struct server_alerting_opts ao = {
                .rules = {.engine = s->engine, .storage = s->bucket ? up_bucket_storage(s->bucket, /* wants_all= */ false) : db_storage(s->db),
                          .results = db_storage(s->db), .external_url = s->external_url, .parse = o->parse, .metrics = s->metrics, .legacy_names = legacy_names},
                .flags = o->alerting};
        e = server_alerting_new(&ao, &s->alerting);
        if (e)
                goto out;
        flags_show(s);
        struct web_opts w = {
                .listen_addresses = o->listen_addresses, .n_listen = o->n_listen, .connections_max = o->connections_max, .read_timeout_ms = o->read_timeout_ms,
                .external_url = s->external_url, .route_prefix = s->route_prefix, .page_title = o->page_title, .user_assets = o->user_assets,
                .cors_origin = s->cors, .enable_lifecycle = o->enable_lifecycle, .enable_admin = o->enable_admin,
                .write_v1 = o->write_v1, .write_v2 = o->write_v2, .keeps_exemplars = o->exemplars,
                .version = COEUS_VERSION, .revision = "", .branch = "", .build_user = "", .build_date = "", .flags = s->flags, .n_flags = s->n_flags,
                .db = s->db, .engine = s->engine, .metrics = s->metrics, .lookback_ms = o->lookback_ms, .read_sample_limit = (uint64_t)o->read_sample_limit,
                .read_concurrency = o->read_concurrency, .read_frame_bytes = (size_t)o->read_frame_bytes, .host_metrics = o->host_metrics, .app = s,
                .config_yaml = config_yaml, .pool_yaml = pool_yaml, .external_labels = external_labels, .reload = server_reload, .quit = quit,
                .reload_state = reload_state, .retention_text = retention_text, .rules = server_alerting_rules(s->alerting),
                .notify = server_alerting_notify(s->alerting)};
        if (s->bucket) {
                w.storage = up_bucket_storage(s->bucket, /* wants_all= */ false);
                w.whole_storage = up_bucket_storage(s->bucket, /* wants_all= */ true);
                w.has_blocks = true;
        }
        e = web_new(&w, &s->web);
        if (!e && s->bucket)
                up_bucket_attach(s->bucket, s->db, web_server(s->web));
out:
        if (!e)
                return 0;
        log_error("", "Fatal error", KV_E(e));
        error_free(e);
        return 1;
}

static void server_done(struct server *s)
{
        web_free(s->web);
        server_alerting_free(s->alerting);
        up_bucket_free(s->bucket);
        discovery_manager_free(s->discovery);
        scrape_manager_free(s->scrape);
        engine_free(s->engine);
        process_metrics_free(s->own_metrics);
        error_ignore(db_close(s->db), "it was never opened here");
        pool_free(s->pool);
        metric_registry_free(s->metrics);
        config_unref(s->config);
        regex_free(s->cors);
        for (size_t i = 0; i < s->n_flags; i++)
                free(s->flags[i].value);
        free(s->flags);
        free(s->external_url);
        free(s->route_prefix);
        vec_done(&s->group.parts);              /* its descriptors stay: the thread that waits for a second signal reads them */
        mutex_done(&s->mu);
        mutex_done(&s->reload_mu);
}

int server_run(const struct server_opts *o)
{
        struct server s = {.o = o};
        mutex_init(&s.reload_mu);
        mutex_init(&s.mu);
        struct error *e = group_init(&s.group, reload_on_signal, &s);
        if (e) {
                log_error("", "Fatal error", KV_E(e));
                error_free(e);
                return 1;
        }
        int code = server_build(&s);
        if (code == 0) {
                log_info("", "Starting Prometheus Server", KV_S("mode", "server"), KV_S("version", "coeus " COEUS_VERSION));
                group_add(&s.group, "server", server_start, server_stop, &s);
                code = group_run(&s.group);
        }
        server_done(&s);
        group_done(&s.group);
        return code;
}
