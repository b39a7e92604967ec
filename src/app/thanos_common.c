/* SPDX-License-Identifier: Apache-2.0 */
#include "app/thanos_common.h"

#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "base/vec.h"
#include "config/objstore_conf.h"
#include "model/duration.h"
#include "thanos/block/fetcher.h"

enum { CONTENT_MAX_BYTES = 16 << 20, METRICS_MAX_BYTES = 64 << 20 };

/* --- flags --- */

static ptrdiff_t has_flag(const struct flags *f, const char *name)
{
        for (size_t i = 0; i < f->spec->n; i++)
                if (strcmp(f->spec->table[i].name, name) == 0)
                        return (ptrdiff_t)i;
        return -1;
}

struct error *thanos_refuse(const struct flags *f, const char *name)
{
        ptrdiff_t i = has_flag(f, name);
        if (i < 0 || !f->v[i].set || (f->spec->table[i].type == FLAG_STRING && *flags_str(f, name) == '\0'))
                return NULL;
        return error_new(ERROR_UNSUPPORTED, "--%s is not supported yet", name);
}

/* --http.config: operators may give an empty file, which asks for nothing. */
static struct error *http_config_check(const struct flags *f)
{
        if (has_flag(f, "http.config") < 0 || !*flags_str(f, "http.config"))
                return NULL;
        char *text;
        size_t n;
        struct error *e = file_read(flags_str(f, "http.config"), CONTENT_MAX_BYTES, &text, &n);
        if (e)
                return e;
        Str left = str_trim((Str){text, n});
        if (left.n && !str_eq(left, STR("{}")))
                e = error_new(ERROR_UNSUPPORTED,
                              "%s: TLS and authentication of the HTTP side (--http.config) are not supported yet",
                              flags_str(f, "http.config"));
        free(text);
        return e;
}

bool thanos_common_check(const struct flags *f)
{
        static const char *const refused[] = {"tracing.config", "tracing.config-file", "request.logging-config",
                                              "request.logging-config-file"};
        log_set_level(str_from(flags_str(f, "log.level")));
        log_set_format(str_from(flags_str(f, "log.format")));
        struct error *e = http_config_check(f);
        for (size_t i = 0; !e && i < ARRAY_LEN(refused); i++)
                e = thanos_refuse(f, refused[i]);
        if (!e)
                return true;
        log_error("", "start", KV_E(e));
        error_free(e);
        return false;
}

struct error *thanos_content(const struct flags *f, const char *name, bool required, struct buf *ret)
{
        char file_flag[128];
        snprintf(file_flag, sizeof file_flag, "%s-file", name);
        const char *path = flags_str(f, file_flag), *text = flags_str(f, name);
        if (*path && *text)
                return error_new(ERROR_INVALID, "both %s and %s flags set.", file_flag, name);
        size_t before = ret->n;
        struct error *e = NULL;
        if (*path) {
                char *content;
                size_t n;
                e = file_read(path, CONTENT_MAX_BYTES, &content, &n);
                if (e)
                        return error_wrap(e, "loading YAML file %s for %s", path, file_flag);
                e = objstore_conf_expand((Str){content, n}, ret);
                free(content);
        } else if (*text) {
                e = objstore_conf_expand(str_from(text), ret);
        }
        if (!e && required && ret->n == before)
                e = error_new(ERROR_INVALID,
                              "flag %s or %s is required for running this command and content cannot be empty.",
                              file_flag, name);
        return e;
}

struct error *thanos_time_parse(Str s, struct time_bound *ret)
{
        int64_t ms;
        if (time_parse_rfc3339(s, &ms)) {
                *ret = (struct time_bound){ms, false};
                return NULL;
        }
        bool is_negative = s.n && s.p[0] == '-';
        struct error *e = duration_parse(is_negative ? str_skip(s, 1) : s, &ms);
        if (e) {
                error_free(e);
                return error_new(ERROR_INVALID, "failed to parse time or duration: \"" STR_FMT "\"", STR_ARG(s));
        }
        *ret = (struct time_bound){is_negative ? -ms : ms, true};
        return NULL;
}

/* --- HTTP --- */

struct thanos_http {
        const struct flags *f;
        struct metric_registry *metrics;
        struct http_server *server;
        struct metric *healthy, *ready, *resident, *cpu;
        bool is_ready; /* atomic */
        struct thanos_http_names names; /* of: NULL, no metrics of requests */
        struct metric_family *requests, *durations, *request_sizes, *answer_sizes;
        struct mutex mu; /* guards tenants */
        VEC(char *) tenants;
};

/* Clients say who they are: what they make up must not fill the memory. */
static Str tenant_label(struct thanos_http *h, Str tenant)
{
        enum { TENANTS_MAX = 200 };
        if (!tenant.n)
                return str_from(h->names.default_tenant);
        bool known = false;
        mutex_lock(&h->mu);
        for (size_t i = 0; i < h->tenants.n && !known; i++)
                known = str_eq(str_from(h->tenants.p[i]), tenant);
        if (!known && h->tenants.n < TENANTS_MAX) {
                vec_push(&h->tenants, str_dup(tenant));
                known = true;
        }
        mutex_unlock(&h->mu);
        return known ? tenant : STR("other");
}

static void answered(void *ctx, const char *route, const struct http_request *r, int status, uint64_t body_bytes,
                     int64_t ns)
{
        struct thanos_http *h = ctx;
        Str name = h->names.of ? h->names.of(route) : STR("");
        if (!name.n)
                return;
        char code[8], method[16];
        snprintf(code, sizeof code, "%d", status);
        size_t n = MIN(r->method_text.n, sizeof method);
        for (size_t i = 0; i < n; i++)
                method[i] = (char)(r->method_text.p[i] | 0x20);
        Str labels[] = {str_from(code), name, {method, n},
                        tenant_label(h, http_request_header(r, str_from(h->names.tenant_header)))};
        uint64_t request = r->method_text.n + r->target.n + r->host.n + r->body.n;
        for (size_t i = 0; i < r->n_headers; i++)
                request += r->headers[i].name.n + r->headers[i].value.n;
        metric_add(metric_with(h->requests, labels), 1);
        metric_observe(metric_with(h->durations, labels), (double)ns / 1e9);
        metric_observe(metric_with(h->request_sizes, labels), (double)request);
        metric_observe(metric_with(h->answer_sizes, labels), (double)body_bytes);
}

void thanos_http_set_names(struct thanos_http *h, const struct thanos_http_names *names)
{
        static const double seconds[] = {0.001, 0.01, 0.1, 0.3, 0.6, 1, 3, 6, 9, 20, 30, 60, 90, 120, 240, 360, 720},
                            sizes[] = {64, 256, 1024, 4096, 16384, 65536, 262144, 1 << 20, 4 << 20, 16 << 20, 64 << 20};
        const char *const labels[] = {"code", "handler", "method", "tenant", NULL};
        h->requests = metric_family(h->metrics, METRIC_FAMILY_COUNTER, "http_requests_total",
                                    "Tracks the number of HTTP requests.", labels);
        h->durations = metric_family(h->metrics, METRIC_FAMILY_HISTOGRAM, "http_request_duration_seconds",
                                     "Tracks the latencies for HTTP requests.", labels);
        metric_family_set_buckets(h->durations, seconds, ARRAY_LEN(seconds));
        h->request_sizes = metric_family(h->metrics, METRIC_FAMILY_HISTOGRAM, "http_request_size_bytes",
                                         "Tracks the size of HTTP requests.", labels);
        metric_family_set_buckets(h->request_sizes, sizes, ARRAY_LEN(sizes));
        h->answer_sizes = metric_family(h->metrics, METRIC_FAMILY_HISTOGRAM, "http_response_size_bytes",
                                        "Tracks the size of HTTP responses.", labels);
        metric_family_set_buckets(h->answer_sizes, sizes, ARRAY_LEN(sizes));
        h->names = *names;
}

static void on_healthy(struct http_request *r, UNUSED void *ctx)
{
        http_reply(r, 200, "text/plain; charset=utf-8", STR("OK"));
}

static void on_ready(struct http_request *r, void *ctx)
{
        if (thanos_http_is_ready(ctx))
                http_reply(r, 200, "text/plain; charset=utf-8", STR("OK"));
        else
                http_reply(r, 503, "text/plain; charset=utf-8", STR("NOT OK"));
}

static void on_metrics(struct http_request *r, void *ctx)
{
        struct thanos_http *h = ctx;
        struct buf b = BUF_INIT(METRICS_MAX_BYTES);
        metric_write_text(h->metrics, &b);
        http_reply(r, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&b));
        buf_done(&b);
}

static void process_fill(void *ctx)
{
        struct thanos_http *h = ctx;
        struct rusage u;
        if (getrusage(RUSAGE_SELF, &u) == 0)
                metric_set(h->cpu, (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
                                           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
        char *text;
        size_t n;
        struct error *e = file_read("/proc/self/statm", 4096, &text, &n);
        if (!e) {
                unsigned long long total, resident;
                if (sscanf(text, "%llu %llu", &total, &resident) == 2)
                        metric_set(h->resident, (double)resident * (double)sysconf(_SC_PAGESIZE));
                free(text);
        }
        error_ignore(e, "the metric keeps its last value");
}

struct error *thanos_http_new(const struct flags *f, const char *component, struct metric_registry *r,
                              struct thanos_http **ret)
{
        struct thanos_http *h = mem_new(struct thanos_http);
        h->f = f;
        h->metrics = r;
        mutex_init(&h->mu);
        struct metric_family *status =
                metric_family(r, METRIC_FAMILY_GAUGE, "thanos_status",
                              "Represents status (0 indicates failure, 1 indicates success) of the component.",
                              (const char *[]){"check", "component", NULL});
        h->healthy = metric_with(status, (Str[]){STR("healthy"), str_from(component)});
        h->ready = metric_with(status, (Str[]){STR("ready"), str_from(component)});
        h->resident = metric_gauge(r, "process_resident_memory_bytes", "Resident memory size in bytes.");
        h->cpu = metric_counter(r, "process_cpu_seconds_total", "Total user and system CPU time spent in seconds.");
        metric_set(metric_with(metric_family(r, METRIC_FAMILY_GAUGE, "thanos_build_info",
                                             "A metric with a constant '1' value labeled by version of the program.",
                                             (const char *[]){"version", NULL}),
                               (Str[]){STR(COEUS_VERSION)}),
                   1);
        metric_collect(r, process_fill, h);
        struct http_server_opts o = {.name = "http", .done = answered, .ctx = h};
        struct error *e = http_server_new(&o, &h->server);
        if (e) {
                thanos_http_free(h);
                return e;
        }
        http_server_handle(h->server, "/-/healthy", HTTP_GET | HTTP_HEAD, HTTP_INLINE, on_healthy, h);
        http_server_handle(h->server, "/-/ready", HTTP_GET | HTTP_HEAD, HTTP_INLINE, on_ready, h);
        http_server_handle(h->server, "/metrics", HTTP_GET | HTTP_HEAD, 0, on_metrics, h);
        *ret = h;
        return NULL;
}

struct http_server *thanos_http_server(struct thanos_http *h)
{
        return h->server;
}

struct error *thanos_http_start(struct thanos_http *h)
{
        struct error *e = http_server_listen(h->server, flags_str(h->f, "http-address"));
        if (!e)
                e = http_server_start(h->server);
        if (e)
                return error_wrap(e, "listen HTTP on address %s", flags_str(h->f, "http-address"));
        metric_set(h->healthy, 1);
        log_info("", "listening for requests and metrics", KV_S("service", "http/server"),
                 KV_S("address", flags_str(h->f, "http-address")), KV_I("port", http_server_port(h->server, 0)));
        return NULL;
}

void thanos_http_ready(struct thanos_http *h, bool is_ready)
{
        __atomic_store_n(&h->is_ready, is_ready, __ATOMIC_SEQ_CST);
        metric_set(h->ready, is_ready);
        log_info("", "changing probe status", KV_S("status", is_ready ? "ready" : "not-ready"));
}

bool thanos_http_is_ready(const struct thanos_http *h)
{
        return __atomic_load_n(&h->is_ready, __ATOMIC_SEQ_CST);
}

void thanos_http_stop(struct thanos_http *h)
{
        metric_set(h->healthy, 0);
        http_server_stop(h->server, flags_int(h->f, "http-grace-period"));
}

void thanos_http_free(struct thanos_http *h)
{
        if (!h)
                return;
        http_server_free(h->server);
        metric_collect_remove(h->metrics, process_fill, h);
        for (size_t i = 0; i < h->tenants.n; i++)
                free(h->tenants.p[i]);
        vec_done(&h->tenants);
        mutex_done(&h->mu);
        free(h);
}

/* --- gRPC --- */

struct thanos_grpc {
        const struct flags *f;
        struct grpc_server *server;
        struct metric_family *started, *handled, *seconds, *received, *sent;
};

struct method {
        Str service, name, type;
};

/* "/thanos.Store/Series"; of our methods those that stream are known by name. */
static bool method_of(const char *path, struct method *ret)
{
        Str p = str_from(path);
        if (p.n < 2 || !str_cut(str_skip(p, 1), '/', &ret->service, &ret->name))
                return false;
        static const char *const streams[] = {"Series",    "Rules", "Targets",   "MetricMetadata",
                                              "Exemplars", "Query", "QueryRange"};
        ret->type = STR("unary");
        for (size_t i = 0; i < ARRAY_LEN(streams); i++)
                if (str_eq(ret->name, str_from(streams[i])))
                        ret->type = STR("server_stream");
        return true;
}

static void call_started(void *ctx, const char *path)
{
        struct thanos_grpc *g = ctx;
        struct method m;
        if (method_of(path, &m))
                metric_add(metric_with(g->started, (Str[]){m.name, m.service, m.type}), 1);
}

static void call_done(void *ctx, const char *path, int code, uint64_t received, uint64_t sent, int64_t ns)
{
        struct thanos_grpc *g = ctx;
        struct method m;
        if (!method_of(path, &m))
                return;
        metric_add(metric_with(g->handled, (Str[]){str_from(grpc_code_text(code)), m.name, m.service, m.type}), 1);
        metric_observe(metric_with(g->seconds, (Str[]){m.name, m.service, m.type}), (double)ns / 1e9);
        metric_add(metric_with(g->received, (Str[]){m.name, m.service, m.type}), (double)received);
        metric_add(metric_with(g->sent, (Str[]){m.name, m.service, m.type}), (double)sent);
}

void thanos_grpc_methods(struct thanos_grpc *g, const char *const *paths)
{
        for (; *paths; paths++) {
                struct method m;
                if (!method_of(*paths, &m))
                        continue;
                Str labels[] = {m.name, m.service, m.type};
                metric_with(g->started, labels);
                metric_with(g->seconds, labels);
                metric_with(g->received, labels);
                metric_with(g->sent, labels);
                for (int code = 0; code < GRPC_N_CODES; code++)
                        metric_with(g->handled, (Str[]){str_from(grpc_code_text(code)), m.name, m.service, m.type});
        }
}

/* --- gRPC client --- */

struct client_metrics {
        struct metric_family *started, *handled, *seconds, *received, *sent;
};

static void client_started(void *ctx, const char *path)
{
        struct client_metrics *c = ctx;
        struct method m;
        if (!method_of(path, &m))
                return;
        metric_add(metric_with(c->started, (Str[]){m.name, m.service, m.type}), 1);
        metric_add(metric_with(c->sent, (Str[]){m.name, m.service, m.type}), 1);
}

static void client_done(void *ctx, const char *path, int code, uint64_t received, int64_t ns)
{
        struct client_metrics *c = ctx;
        struct method m;
        if (!method_of(path, &m))
                return;
        metric_add(metric_with(c->handled, (Str[]){str_from(grpc_code_text(code)), m.name, m.service, m.type}), 1);
        metric_observe(metric_with(c->seconds, (Str[]){m.name, m.service, m.type}), (double)ns / 1e9);
        metric_add(metric_with(c->received, (Str[]){m.name, m.service, m.type}), (double)received);
}

static const double latency_buckets[] = {0.001, 0.01, 0.1, 0.3, 0.6, 1, 3, 6, 9, 20, 30, 60, 90, 120, 240, 360, 720};

void thanos_grpc_client_metrics(struct grpc_client *cl, struct metric_registry *r, struct arena *a)
{
        const char *const labels[] = {"grpc_method", "grpc_service", "grpc_type", NULL};
        struct client_metrics *c = arena_new(a, struct client_metrics);
        c->started = metric_family(r, METRIC_FAMILY_COUNTER, "grpc_client_started_total",
                                   "Total number of RPCs started on the client.", labels);
        c->handled = metric_family(r, METRIC_FAMILY_COUNTER, "grpc_client_handled_total",
                                   "Total number of RPCs completed by the client, regardless of success or failure.",
                                   (const char *[]){"grpc_code", "grpc_method", "grpc_service", "grpc_type", NULL});
        c->seconds = metric_family(r, METRIC_FAMILY_HISTOGRAM, "grpc_client_handling_seconds",
                                   "Histogram of response latency (seconds) of the gRPC until it is finished by the "
                                   "application.",
                                   labels);
        metric_family_set_buckets(c->seconds, latency_buckets, ARRAY_LEN(latency_buckets));
        c->received = metric_family(r, METRIC_FAMILY_COUNTER, "grpc_client_msg_received_total",
                                    "Total number of RPC stream messages received by the client.", labels);
        c->sent = metric_family(r, METRIC_FAMILY_COUNTER, "grpc_client_msg_sent_total",
                                "Total number of gRPC stream messages sent by the client.", labels);
        grpc_client_set_watch(cl, &(struct grpc_client_watch){client_started, client_done, c});
}

struct error *thanos_grpc_new(const struct flags *f, struct metric_registry *r, struct thanos_grpc **ret)
{
        static const double buckets[] = {0.001, 0.01, 0.1, 0.3, 0.6, 1, 3, 6, 9, 20, 30, 60, 90, 120};
        const char *cert = flags_str(f, "grpc-server-tls-cert"), *key = flags_str(f, "grpc-server-tls-key"),
                   *ca = flags_str(f, "grpc-server-tls-client-ca");
        if (!*cert && !*key && *ca)
                return error_new(ERROR_INVALID,
                                 "when a client CA is used a server key and certificate must also be provided");
        if (!*cert != !*key)
                return error_new(ERROR_INVALID, "both server key and certificate must be provided");
        struct thanos_grpc *g = mem_new(struct thanos_grpc);
        g->f = f;
        g->started = metric_family(r, METRIC_FAMILY_COUNTER, "grpc_server_started_total",
                                   "Total number of RPCs started on the server.",
                                   (const char *[]){"grpc_method", "grpc_service", "grpc_type", NULL});
        g->handled = metric_family(r, METRIC_FAMILY_COUNTER, "grpc_server_handled_total",
                                   "Total number of RPCs completed on the server, regardless of success or failure.",
                                   (const char *[]){"grpc_code", "grpc_method", "grpc_service", "grpc_type", NULL});
        g->seconds = metric_family(r, METRIC_FAMILY_HISTOGRAM, "grpc_server_handling_seconds",
                                   "Histogram of response latency (seconds) of gRPC that had been application-level "
                                   "handled by the server.",
                                   (const char *[]){"grpc_method", "grpc_service", "grpc_type", NULL});
        metric_family_set_buckets(g->seconds, buckets, ARRAY_LEN(buckets));
        const char *const labels[] = {"grpc_method", "grpc_service", "grpc_type", NULL};
        g->received = metric_family(r, METRIC_FAMILY_COUNTER, "grpc_server_msg_received_total",
                                    "Total number of RPC stream messages received on the server.", labels);
        g->sent = metric_family(r, METRIC_FAMILY_COUNTER, "grpc_server_msg_sent_total",
                                "Total number of gRPC stream messages sent by the server.", labels);
        struct http_tls_opts tls = {.cert_file = cert,
                                    .key_file = key,
                                    .client_ca_file = *ca ? ca : NULL,
                                    .client_required = *ca != '\0',
                                    .min_version = 0x0304};
        struct grpc_server_opts o = {.name = "grpc",
                                     .age_max_ms = flags_int(f, "grpc-server-max-connection-age") / 1000000,
                                     .recv_bytes_max = 64 << 20,
                                     .tls = *cert ? &tls : NULL,
                                     .started = call_started,
                                     .done = call_done,
                                     .ctx = g};
        struct error *e = grpc_server_new(&o, &g->server);
        if (e) {
                thanos_grpc_free(g);
                return error_wrap(e, "setup gRPC server");
        }
        *ret = g;
        return NULL;
}

struct grpc_server *thanos_grpc_server(struct thanos_grpc *g)
{
        return g->server;
}

struct error *thanos_grpc_start(struct thanos_grpc *g)
{
        const char *address = flags_str(g->f, "grpc-address");
        struct error *e = grpc_server_listen(g->server, address);
        if (!e)
                e = grpc_server_start(g->server);
        if (e)
                return error_wrap(e, "listen gRPC on address %s", address);
        grpc_server_set_serving(g->server, true);
        log_info("", "listening for serving gRPC", KV_S("service", "gRPC/server"), KV_S("address", address),
                 KV_I("port", grpc_server_port(g->server)));
        return NULL;
}

void thanos_grpc_stop(struct thanos_grpc *g)
{
        grpc_server_set_serving(g->server, false);
        grpc_server_stop(g->server, flags_int(g->f, "grpc-grace-period"));
}

void thanos_grpc_free(struct thanos_grpc *g)
{
        if (!g)
                return;
        grpc_server_free(g->server);
        free(g);
}
