/* SPDX-License-Identifier: Apache-2.0 */
/* thanos_query.c — thanos query: PromQL over many stores, for people over HTTP and for other queriers over gRPC.
 * Upstream: cmd/thanos/query.go */
#include <stdio.h>

#include "app/group.h"
#include "app/thanos_common.h"
#include "app/thanos_query_flags.h"
#include "base/arena.h"
#include "base/log.h"
#include "base/machine.h"
#include "base/pool.h"
#include "base/thread.h"
#include "codec/float_text.h"
#include "config/relabel_conf.h"
#include "promql/engine.h"
#include "thanos/query/service.h"
#include "web/pages.h"
#include "web/thanos/query_api.h"

enum { LOOKBACK_MS = 300000 }; /* of the engine, unless told otherwise */

struct query_role {
        struct flags f;
        struct group group;
        struct metric_registry *metrics;
        struct arena arena; /* of the configuration */
        struct relabel_conf selector;
        struct grpc_client *client;
        struct tls_client_opts tls;
        struct grpc_channel_opts channel;
        struct endpoints *endpoints;
        struct query_metrics *query_metrics;
        struct pool *pool;
        struct engine *engine;
        struct query_core core;
        struct query_service *service;
        struct query_api *api;
        struct web_pages *pages;
        struct web_flag *shown;
        size_t n_shown;
        struct thanos_http *http;
        struct thanos_grpc *grpc;
};

/* --- building --- */

/* TLS of all endpoints, or none. Empty texts are flags that were not given. */
static void client_make(struct query_role *r)
{
        const struct flags *f = &r->f;
        const char *cert = flags_str(f, "grpc-client-tls-cert"), *key = flags_str(f, "grpc-client-tls-key"),
                   *ca = flags_str(f, "grpc-client-tls-ca"), *name = flags_str(f, "grpc-client-server-name");
        r->tls = (struct tls_client_opts){.ca_file = *ca ? ca : NULL,
                                          .cert_file = *cert ? cert : NULL,
                                          .key_file = *key ? key : NULL,
                                          .server_name = *name ? name : NULL,
                                          .insecure_skip_verify = flags_bool(f, "grpc-client-tls-skip-verify")};
        if (flags_bool(f, "grpc-client-tls-secure"))
                r->channel.tls = &r->tls;
        if (strcmp(flags_str(f, "grpc-compression"), "snappy") == 0)
                r->channel.compression = GRPC_SNAPPY;
}

static bool is_known(const struct endpoint_address *v, size_t n, Str address)
{
        for (size_t i = 0; i < n; i++)
                if (str_eq(v[i].address, address))
                        return true;
        return false;
}

static struct error *addresses_make(struct query_role *r, struct endpoint_address **ret, size_t *ret_n)
{
        static const struct {
                const char *flag;
                bool strict;
        } lists[] = {{"store-strict", true}, {"endpoint-strict", true}, {"endpoint", false}, {"store", false},
                     {"endpoint-group-strict", true}, {"endpoint-group", false},
                     {"rule", false},        {"target", false},         {"metadata", false}, {"exemplar", false}};
        size_t n = 0, n_all = 0;
        for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
                size_t one;
                flags_list(&r->f, lists[i].flag, &one);
                n_all += one;
        }
        struct endpoint_address *v = arena_array(&r->arena, struct endpoint_address, n_all + 1);
        for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
                size_t one, begin = n;
                const char *const *list = flags_list(&r->f, lists[i].flag, &one);
                for (size_t k = 0; k < one; k++) {
                        Str address = str_from(list[k]);
                        if (is_known(v + begin, n - begin, address))
                                return error_new(ERROR_INVALID, "Address %s is duplicated for --%s flag.", list[k],
                                                 lists[i].flag);
                        if (is_known(v, n, address))
                                log_warn("", "Duplicate store address is provided", KV_S("addr", list[k]));
                        else
                                v[n++] = (struct endpoint_address){address, lists[i].strict};
                }
        }
        *ret = v;
        *ret_n = n;
        return NULL;
}

static struct error *endpoints_make(struct query_role *r)
{
        const struct flags *f = &r->f;
        struct endpoint_address *v = NULL;
        size_t n = 0;
        struct error *e = addresses_make(r, &v, &n);
        if (!e)
                e = grpc_client_new("grpc-client", &r->client);
        if (e)
                return e;
        client_make(r);
        struct endpoints_opts o = {.client = r->client,
                                   .channel = &r->channel,
                                   .addresses = v,
                                   .n_addresses = n,
                                   /* As upstream since 0.37: a round as often as it may take, here at least each 5 s. */
                                   .update_ms = MIN(flags_int(f, "endpoint.info-timeout"), (int64_t)5000),
                                   .info_timeout_ms = flags_int(f, "endpoint.info-timeout"),
                                   .resolve_ms = flags_int(f, "store.sd-dns-interval"),
                                   .unhealthy_ms = flags_int(f, "store.unhealthy-timeout"),
                                   .files_ms = flags_int(f, "store.sd-interval")};
        o.files = flags_list(f, "store.sd-files", &o.n_files);
        return endpoints_new(&o, &r->endpoints);
}

/* The flag's numbers, or those of upstream. */
static struct error *bounds(struct query_role *r, const char *flag, const double *fallback, size_t n_fallback, const double **ret,
                            size_t *ret_n)
{
        size_t n;
        const char *const *list = flags_list(&r->f, flag, &n);
        *ret = fallback;
        *ret_n = n_fallback;
        if (!n)
                return NULL;
        double *v = arena_array(&r->arena, double, n);
        for (size_t i = 0; i < n; i++) {
                bool range;
                if (!float_parse(str_from(list[i]), &v[i], &range) || (i && !(v[i] > v[i - 1])))
                        return error_new(ERROR_INVALID, "--%s: %s is no number above the one before", flag, list[i]);
        }
        *ret = v;
        *ret_n = n;
        return NULL;
}

static struct error *metrics_make(struct query_role *r)
{
        static const double seconds[] = {0.1, 0.25, 0.75, 1.25, 1.75, 2.5, 3, 5, 10},
                            samples[] = {100, 1000, 10000, 100000, 1000000}, series[] = {10, 100, 1000, 10000, 100000};
        struct query_metrics_opts o = {.metrics = r->metrics,
                                       .endpoints = r->endpoints,
                                       .queries_max = (int)MIN(flags_int(&r->f, "query.max-concurrent"), (int64_t)10000)};
        size_t n;
        const char *const *list = flags_list(&r->f, "query.conn-metric.label", &n);
        o.shows_external_labels = o.shows_store_type = n == 0;
        for (size_t i = 0; i < n; i++) {
                if (strcmp(list[i], "external_labels") == 0)
                        o.shows_external_labels = true;
                else if (strcmp(list[i], "store_type") == 0)
                        o.shows_store_type = true;
                else if (strcmp(list[i], "ip_port") == 0)
                        o.shows_ip_port = true;
                else
                        return error_new(ERROR_INVALID,
                                         "--query.conn-metric.label: enum value must be one of external_labels,store_type,ip_port, got '%s'",
                                         list[i]);
        }
        struct error *e = bounds(r, "query.telemetry.request-duration-seconds-quantiles", seconds, ARRAY_LEN(seconds),
                                 &o.seconds, &o.n_seconds);
        if (!e)
                e = bounds(r, "query.telemetry.request-samples-quantiles", samples, ARRAY_LEN(samples), &o.samples,
                           &o.n_samples);
        if (!e)
                e = bounds(r, "query.telemetry.request-series-seconds-quantiles", series, ARRAY_LEN(series), &o.series,
                           &o.n_series);
        if (e)
                return e;
        r->query_metrics = query_metrics_new(&o);
        thanos_grpc_client_metrics(r->client, r->metrics, &r->arena);
        thanos_http_set_names(r->http, &(struct thanos_http_names){.of = query_api_handler_name,
                                                                   .tenant_header = flags_str(&r->f, "query.tenant-header"),
                                                                   .default_tenant = flags_str(&r->f, "query.default-tenant-id")});
        return NULL;
}

static struct error *core_make(struct query_role *r)
{
        const struct flags *f = &r->f;
        if (flags_int(f, "query.max-concurrent") <= 0)
                return error_new(ERROR_INVALID, "--query.max-concurrent must be positive");
        struct error *e = pool_new("query", MAX(cpu_count() - 1, 1), &r->pool);
        if (e)
                return e;
        const char *active = flags_str(f, "query.active-query-path");
        size_t total = (size_t)flags_int(f, "query.max-total-memory");
        struct engine_opts eo = {.pool = r->pool,
                                 .timeout_ms = flags_int(f, "query.timeout"),
                                 .max_samples = INT32_MAX,
                                 .max_concurrency = (int)MIN(flags_int(f, "query.max-concurrent"), (int64_t)10000),
                                 .max_bytes = (size_t)flags_int(f, "query.max-memory"),
                                 .max_total_bytes = total ? total : machine_memory_bytes() / 2,
                                 .subquery_step_ms = flags_int(f, "query.default-evaluation-interval"),
                                 .closed_ranges = flags_bool(f, "query.closed-ranges"),
                                 .active_log_dir = *active ? active : NULL,
                                 .metrics = r->metrics};
        r->engine = engine_new(&eo);
        struct buf text = BUF_INIT(16 << 20);
        e = thanos_content(f, "selector.relabel-config", false, &text);
        if (!e)
                e = relabel_conf_parse(buf_str(&text), RELABEL_CONF_SELECTOR, &r->selector);
        buf_done(&text);
        if (e)
                return error_wrap(e, "error while parsing tsdb selector configuration");
        size_t n;
        const char *const *list = flags_list(f, "query.replica-label", &n);
        Str *labels = arena_array(&r->arena, Str, n + 1);
        for (size_t i = 0; i < n; i++)
                labels[i] = str_from(list[i]);
        r->core = (struct query_core){.endpoints = r->endpoints,
                                      .metrics = r->query_metrics,
                                      .selector = r->selector.rules,
                                      .n_selector = r->selector.n,
                                      .engine = r->engine,
                                      .replica_labels = labels,
                                      .n_replica_labels = n,
                                      .timeout_ms = flags_int(f, "query.timeout"),
                                      .response_timeout_ms = flags_int(f, "store.response-timeout"),
                                      .lookback_ms = flags_int(f, "query.lookback-delta") / 1000000,
                                      .has_dynamic_lookback = flags_bool(f, "query.dynamic-lookback-delta"),
                                      .instant_resolution_ms =
                                              flags_int(f, "query.instant.default.max_source_resolution")};
        return NULL;
}

/* As /api/v1/status/flags shows them. */
static void flags_show(struct query_role *r)
{
        const struct flag_spec *spec = r->f.spec;
        r->shown = mem_zalloc((spec->n + 1) * sizeof *r->shown);
        for (size_t i = 0; i < spec->n; i++) {
                struct buf b = BUF_INIT(1 << 20);
                if (spec->table[i].type == FLAG_STRINGS) {
                        size_t n;
                        const char *const *v = flags_list(&r->f, spec->table[i].name, &n);
                        for (size_t k = 0; k < n; k++)
                                buf_printf(&b, k ? "\n%s" : "%s", v[k]);
                } else {
                        flags_put_value(&r->f, i, &b);
                }
                r->shown[r->n_shown++] = (struct web_flag){spec->table[i].name, buf_take(&b)};
        }
}

/* Without a final slash; "" for none. */
static const char *prefix_of(struct query_role *r)
{
        const char *p = flags_str(&r->f, "web.route-prefix");
        if (!*p)
                p = flags_str(&r->f, "web.external-prefix");
        Str s = str_from(p);
        while (s.n && s.p[s.n - 1] == '/')
                s.n--;
        while (s.n && s.p[0] == '/')
                s = str_skip(s, 1);
        return s.n ? arena_printf(&r->arena, "/" STR_FMT, STR_ARG(s)).p : "";
}

static struct error *api_make(struct query_role *r, Labels selector_labels)
{
        const struct flags *f = &r->f;
        flags_show(r);
        struct query_api_opts o = {
                .server = thanos_http_server(r->http),
                .core = &r->core,
                .route_prefix = prefix_of(r),
                .sends_cors = !flags_bool(f, "web.disable-cors"),
                .partial_response = flags_bool(f, "query.partial-response"),
                .rules_partial_response = flags_bool(f, "rule.partial-response"),
                .targets_partial_response = flags_bool(f, "target.partial-response"),
                .metadata_partial_response = flags_bool(f, "metric-metadata.partial-response"),
                .exemplars_partial_response = flags_bool(f, "exemplar.partial-response"),
                .auto_downsampling = flags_bool(f, "query.auto-downsampling"),
                .default_step_ms = flags_int(f, "query.default-step"),
                .metadata_range_ms = flags_int(f, "query.metadata.default-time-range"),
                .default_engine_is_thanos = strcmp(flags_str(f, "query.promql-engine"), "thanos") == 0,
                .tenant_header = flags_str(f, "query.tenant-header"),
                .default_tenant = flags_str(f, "query.default-tenant-id"),
                .tenant_label = flags_str(f, "query.tenant-label-name"),
                .enforces_tenancy = flags_bool(f, "query.enforce-tenancy"),
                .selector_labels = selector_labels,
                .version = COEUS_VERSION,
                .revision = "",
                .branch = "",
                .build_user = "",
                .build_date = "",
                .flags = r->shown,
                .n_flags = r->n_shown,
                .metrics = r->metrics,
        };
        r->pages = web_pages_new(o.server, &(struct web_pages_opts){.role = "thanos-query", .route_prefix = o.route_prefix, .title = "coeus",
                                                                    .version = COEUS_VERSION, .lookback_ms = r->core.lookback_ms ? r->core.lookback_ms : LOOKBACK_MS,
                                                                    .has_partial_response = true, .refuses_partial_response = !o.partial_response});
        return query_api_new(&o, &r->api);
}

/* name="value" each. */
static struct error *selector_labels(struct query_role *r, Labels *ret)
{
        size_t n;
        const char *const *list = flags_list(&r->f, "selector-label", &n);
        Label *v = arena_array(&r->arena, Label, n + 1);
        for (size_t i = 0; i < n; i++) {
                Str name, value;
                if (!str_cut(str_from(list[i]), '=', &name, &value))
                        return error_new(ERROR_INVALID, "parse federation labels: unrecognized label \"%s\"", list[i]);
                if (!label_name_is_valid_utf8(name))
                        return error_new(ERROR_INVALID,
                                         "parse federation labels: unsupported format for label %s", list[i]);
                if (value.n < 2 || value.p[0] != '"' || value.p[value.n - 1] != '"')
                        return error_new(ERROR_INVALID,
                                         "parse federation labels: unquote label value: invalid syntax: %s", list[i]);
                v[i] = (Label){name, str_sub(value, 1, value.n - 1)};
        }
        labels_sort(v, n);
        *ret = (Labels){v, n};
        return NULL;
}

static struct error *build(struct query_role *r)
{
        struct query_service_opts so = {.core = &r->core,
                                        .series_max = (uint64_t)MAX(flags_int(&r->f, "store.limits.request-series"), (int64_t)0),
                                        .samples_max = (uint64_t)MAX(flags_int(&r->f, "store.limits.request-samples"), (int64_t)0),
                                        .metrics = r->metrics,
                                        .partial_response = true};
        struct error *e = query_flags_check(&r->f);
        if (!e)
                e = selector_labels(r, &so.selector_labels);
        if (!e)
                e = thanos_http_new(&r->f, "query", r->metrics, &r->http);
        if (!e)
                e = endpoints_make(r);
        if (!e)
                e = metrics_make(r);
        if (!e)
                e = core_make(r);
        if (!e)
                e = api_make(r, so.selector_labels);
        if (!e)
                e = thanos_grpc_new(&r->f, r->metrics, &r->grpc);
        if (e)
                return e;
        r->service = query_service_new(&so);
        query_service_register(r->service, thanos_grpc_server(r->grpc));
        thanos_grpc_methods(r->grpc, query_service_methods());
        return NULL;
}

static void destroy(struct query_role *r)
{
        thanos_grpc_free(r->grpc);
        query_service_free(r->service);
        thanos_http_free(r->http);
        query_api_free(r->api);
        web_pages_free(r->pages);
        engine_free(r->engine);
        pool_free(r->pool);
        query_metrics_free(r->query_metrics);
        endpoints_free(r->endpoints);
        grpc_client_free(r->client);
        for (size_t i = 0; i < r->n_shown; i++)
                free(r->shown[i].value);
        free(r->shown);
        metric_registry_free(r->metrics);
        relabel_conf_done(&r->selector);
        arena_done(&r->arena);
}

/* --- running --- */

static struct error *http_start(void *ctx)
{
        struct query_role *r = ctx;
        return thanos_http_start(r->http);
}

static void http_stop(void *ctx)
{
        struct query_role *r = ctx;
        thanos_http_stop(r->http);
}

static struct error *endpoints_begin(void *ctx)
{
        struct query_role *r = ctx;
        return endpoints_start(r->endpoints);
}

static struct error *grpc_start(void *ctx)
{
        struct query_role *r = ctx;
        struct error *e = thanos_grpc_start(r->grpc);
        if (!e)
                thanos_http_ready(r->http, true);
        return e;
}

static void grpc_stop(void *ctx)
{
        struct query_role *r = ctx;
        thanos_http_ready(r->http, false);
        thanos_grpc_stop(r->grpc);
}

int thanos_query_run(int argc, char **argv)
{
        const struct flag_spec spec = {.name = "thanos",
                                       .what = "Query: PromQL over the series of many stores.",
                                       .version = "thanos, coeus " COEUS_VERSION,
                                       .table = query_flag_rows,
                                       .n = query_flag_n};
        struct query_role r = {0};
        int code = 1;
        flags_init(&r.f, &spec);
        if (!flags_parse(&r.f, argc, argv, &code)) {
                flags_done(&r.f);
                return code;
        }
        code = 1;
        if (thanos_common_check(&r.f)) {
                arena_init(&r.arena, 16 << 20);
                r.metrics = metric_registry_new();
                struct error *e = group_init(&r.group, NULL, &r);
                if (!e)
                        e = build(&r);
                if (!e) {
                        group_add(&r.group, "endpoints", endpoints_begin, NULL, &r); /* first: queries wait for its first round */
                        group_add(&r.group, "http", http_start, http_stop, &r);
                        group_add(&r.group, "grpc", grpc_start, grpc_stop, &r);
                        code = group_run(&r.group);
                        log_info("", "exiting");
                } else {
                        log_error("", "preparing query command failed", KV_E(e));
                        error_free(e);
                }
                group_done(&r.group);
                destroy(&r);
        }
        flags_done(&r.f);
        return code;
}
