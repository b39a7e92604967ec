/* SPDX-License-Identifier: Apache-2.0 */
#include "web/web.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/log.h"
#include "web/serve.h"

char *web_path(const struct web *w, const char *path)
{
        struct buf b = BUF_INIT(1 << 16);
        if (strcmp(w->o.route_prefix, "/") != 0)
                buf_puts(&b, w->o.route_prefix);
        buf_puts(&b, path);
        return buf_take(&b);
}

struct storage *web_storage(struct web *w)
{
        return w->o.storage ? w->o.storage : db_storage(w->o.db);
}

struct storage *web_whole_storage(struct web *w)
{
        return w->o.whole_storage ? w->o.whole_storage : web_storage(w);
}

void web_cors(struct web *w, struct http_request *r)
{
        http_set_header(r, "Vary", STR("Accept-Encoding, Origin"));
        Str origin = http_request_header(r, STR("Origin"));
        if (origin.n == 0)
                return;
        http_set_header(r, "Access-Control-Allow-Headers", STR("Accept, Authorization, Content-Type, Origin"));
        http_set_header(r, "Access-Control-Allow-Methods", STR("GET, POST, OPTIONS"));
        http_set_header(r, "Access-Control-Expose-Headers", STR("Date"));
        if (regex_matches(w->o.cors_origin, origin))
                http_set_header(r, "Access-Control-Allow-Origin", origin);
}

/* What waits for the storage. Upstream wraps these handlers one by one (web.go, testReady). */
static bool needs_ready(const struct web *w, Str path)
{
        if (strcmp(w->o.route_prefix, "/") != 0)
                path = str_trim_prefix(path, str_from(w->o.route_prefix));
        if (str_eq(path, STR("/api/v1/status/walreplay")) || str_has_prefix(path, STR("/api/v1/notifications")))
                return false;
        return str_has_prefix(path, STR("/api/")) || str_eq(path, STR("/federate")) || str_has_prefix(path, STR("/consoles/")) || str_eq(path, STR("/-/ready"));
}

static bool is_api(const struct web *w, Str path)
{
        if (strcmp(w->o.route_prefix, "/") != 0)
                path = str_trim_prefix(path, str_from(w->o.route_prefix));
        return str_has_prefix(path, STR("/api/v1/"));
}

static bool path_is_clean(Str path)
{
        return path.n && path.p[0] == '/' && !str_contains(path, STR("//")) && !str_contains(path, STR("/./")) && !str_contains(path, STR("/../")) &&
               !str_has_suffix(path, STR("/.")) && !str_has_suffix(path, STR("/.."));
}

/* Without empty segments, "." and "..". An address with one slash too many, as in http://host:9090//api/v1/query, is a usual slip. */
static Str path_clean(struct arena *a, Str path)
{
        Str rest = path, one;
        char *out = arena_alloc(a, path.n + 2);
        size_t n = 0;
        while (str_next(&rest, '/', &one)) {
                if (one.n == 0 || str_eq(one, STR(".")))
                        continue;
                if (str_eq(one, STR(".."))) {
                        while (n && out[--n] != '/')
                                ;
                        continue;
                }
                out[n++] = '/';
                memcpy(out + n, one.p, one.n);
                n += one.n;
        }
        if (n == 0 || (path.n && path.p[path.n - 1] == '/'))
                out[n++] = '/';
        return (Str){out, n};
}

static bool gate(struct http_request *r, void *ctx)
{
        struct web *w = ctx;
        Str raw = r->target, query = STR("");
        str_cut(r->target, '?', &raw, &query);
        if (r->method != HTTP_OPTIONS && str_has_prefix(raw, STR("/")) && !path_is_clean(raw)) {
                Str to = arena_printf(r->arena, STR_FMT "%s" STR_FMT, STR_ARG(path_clean(r->arena, raw)), query.n ? "?" : "", STR_ARG(query));
                http_set_header(r, "Location", to);
                http_reply(r, 307, "text/plain; charset=utf-8", STR("Temporary Redirect\n"));
                return false;
        }
        if (r->method == HTTP_OPTIONS && is_api(w, r->path)) { /* of any path there */
                web_cors(w, r);
                http_reply(r, 204, NULL, STR(""));
                return false;
        }
        if (!needs_ready(w, r->path) || (atomic_load(&w->ready) && !atomic_load(&w->stopping)))
                return true;
        http_set_header(r, "X-Prometheus-Stopping", atomic_load(&w->stopping) ? STR("true") : STR("false"));
        http_reply(r, 503, "text/plain; charset=utf-8", STR("Service Unavailable"));
        return false;
}

static void done(void *ctx, const char *route, const struct http_request *r, int status, uint64_t body_bytes, int64_t ns)
{
        struct web *w = ctx;
        if (!*route)
                return;
        Str handler = str_from(route);
        if (strcmp(w->o.route_prefix, "/") != 0)
                handler = str_trim_prefix(handler, str_from(w->o.route_prefix));
        char code[8];
        snprintf(code, sizeof code, "%d", status);
        metric_add(metric_with(w->requests, (Str[]){str_from(code), handler}), 1);
        metric_observe(metric_with(w->durations, &handler), (double)ns / 1e9);
        metric_observe(metric_with(w->sizes, &handler), (double)body_bytes);
}

static void metrics_register(struct web *w)
{
        static const double durations[] = {.1, .2, .4, 1, 3, 8, 20, 60, 120}, sizes[] = {100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9};
        struct metric_registry *m = w->o.metrics;
        w->requests = metric_family(m, METRIC_FAMILY_COUNTER, "prometheus_http_requests_total", "Counter of HTTP requests.", (const char *[]){"code", "handler", NULL});
        w->durations = metric_family(m, METRIC_FAMILY_HISTOGRAM, "prometheus_http_request_duration_seconds", "Histogram of latencies for HTTP requests.",
                                     (const char *[]){"handler", NULL});
        metric_family_set_buckets(w->durations, durations, ARRAY_LEN(durations));
        w->sizes = metric_family(m, METRIC_FAMILY_HISTOGRAM, "prometheus_http_response_size_bytes", "Histogram of response size for HTTP requests.",
                                 (const char *[]){"handler", NULL});
        metric_family_set_buckets(w->sizes, sizes, ARRAY_LEN(sizes));
        w->federation_errors = metric_counter(m, "prometheus_web_federation_errors_total", "Total number of errors that occurred while sending federation responses.");
        w->federation_warnings =
                metric_counter(m, "prometheus_web_federation_warnings_total", "Total number of warnings that occurred while sending federation responses.");
        w->ready_gauge = metric_gauge(m, "prometheus_ready", "Whether Prometheus startup was fully completed and the server is ready for normal operation.");
        w->read_queries = metric_gauge(m, "prometheus_api_remote_read_queries", "The current number of remote read queries being executed or waiting.");
}

struct error *web_new(const struct web_opts *o, struct web **ret)
{
        struct web *w = mem_new(struct web);
        w->o = *o;
        w->start_ms = time_now_ms();
        arena_init(&w->arena, 1 << 20);
        mutex_init(&w->read_mu);
        cond_init(&w->read_cond);
        metrics_register(w);
        struct http_server_opts so = {.name = "web", .connections_max = o->connections_max, .read_timeout_ms = o->read_timeout_ms, .gate = gate, .done = done, .ctx = w};
        struct error *e = http_server_new(&so, &w->server);
        if (e) {
                web_free(w);
                return e;
        }
        probes_register(w);
        api_query_register(w);
        api_series_register(w);
        api_targets_register(w);
        api_status_register(w);
        api_rules_register(w);
        api_admin_register(w);
        api_features_register(w);
        federate_register(w);
        remote_read_register(w);
        remote_write_register(w);
        pages_register(w);
        *ret = w;
        return NULL;
}

struct error *web_start(struct web *w)
{
        for (size_t i = 0; i < w->o.n_listen; i++) {
                struct error *e = http_server_listen(w->server, w->o.listen_addresses[i]);
                if (e)
                        return e;
                log_info("web", "Start listening for connections", KV_S("address", w->o.listen_addresses[i]));
        }
        return http_server_start(w->server);
}

struct http_server *web_server(struct web *w)
{
        return w->server;
}

void web_set_scrape(struct web *w, struct scrape_manager *m)
{
        atomic_store(&w->scrape, m);
}

void web_set_ready(struct web *w, bool ready)
{
        metric_set(w->ready_gauge, ready);
        atomic_store(&w->ready, ready);
}

void web_set_stopping(struct web *w)
{
        atomic_store(&w->stopping, true);
}

int web_port(const struct web *w, size_t listener)
{
        return http_server_port(w->server, listener);
}

void web_stop(struct web *w)
{
        enum { GRACE_MS = 5000 };
        http_server_stop(w->server, GRACE_MS);
}

void web_free(struct web *w)
{
        if (!w)
                return;
        http_server_free(w->server);
        web_pages_free(w->pages);
        arena_done(&w->arena);
        cond_done(&w->read_cond);
        mutex_done(&w->read_mu);
        free(w);
}
