/* SPDX-License-Identifier: Apache-2.0 */
/* thanos_common.h — what the roles of thanos share: groups of flags, contents that come by flag or file, the HTTP side with its probes.
 *
 *   static const struct flag rows[] = {THANOS_FLAGS_ALL, THANOS_FLAGS_HTTP, THANOS_FLAGS_GRPC_SERVER, …};
 *   if (!thanos_common_check(&flags)) return 1;             log level and format are set; what is not supported is named
 *   e = thanos_content(&flags, "objstore.config", true, &text);
 *   e = thanos_http_new(&flags, "store", registry, &h);  …  thanos_http_start(h);  thanos_http_ready(h, true);  thanos_http_stop(h);  thanos_http_free(h);
 *
 * Upstream: cmd/thanos/config.go, pkg/extkingpin, pkg/prober, pkg/server/http */
#ifndef APP_THANOS_COMMON_H
#define APP_THANOS_COMMON_H

#include "app/flags.h"
#include "base/metric.h"
#include "io/grpc/client.h"
#include "io/grpc/server.h"
#include "io/http/server.h"

#define THANOS_FLAGS_ALL                                                                                                                                     \
        {"log.level", "Least important log messages that are written.", FLAG_ENUM, "info", .choices = "error,warn,info,debug"},                              \
        {"log.format", "Format of log messages.", FLAG_ENUM, "logfmt", .choices = "logfmt,json"},                                                            \
        {"tracing.config", "Tracing is not supported.", FLAG_STRING, ""}, {"tracing.config-file", "Tracing is not supported.", FLAG_STRING, ""},             \
        {"enable-auto-gomemlimit", "Accepted for compatibility: there is no garbage collector.", FLAG_BOOL, "false"},                                        \
        {"auto-gomemlimit.ratio", "Accepted for compatibility.", FLAG_FLOAT, "0.9"}, {"debug.name", "A name for log messages.", FLAG_STRING, "", .bits = FLAG_HIDDEN}
#define THANOS_FLAGS_HTTP                                                                                                                                    \
        {"http-address", "Where probes, metrics and pages are served.", FLAG_STRING, "0.0.0.0:10902"},                                                       \
        {"http-grace-period", "How long open requests get when it stops.", FLAG_DURATION, "2m"},                                                             \
        {"http.config", "File with TLS and authentication of the HTTP side. Only an empty one is supported.", FLAG_STRING, ""}
#define THANOS_FLAGS_GRPC_SERVER                                                                                                                             \
        {"grpc-address", "Where gRPC is served.", FLAG_STRING, "0.0.0.0:10901"},                                                                             \
        {"grpc-grace-period", "How long open calls get when it stops.", FLAG_DURATION, "2m"},                                                                \
        {"grpc-server-tls-cert", "Certificate of the gRPC server; empty: plain.", FLAG_STRING, ""},                                                          \
        {"grpc-server-tls-key", "Its key.", FLAG_STRING, ""},                                                                                                \
        {"grpc-server-tls-client-ca", "Who signed the certificates that clients must show; empty: none asked for.", FLAG_STRING, ""},                        \
        {"grpc-server-max-connection-age", "Connections older than this are told to come again.", FLAG_GO_DURATION, "60m"}
#define THANOS_FLAGS_OBJSTORE                                                                                                                                \
        {"objstore.config-file", "File with the configuration of the bucket.", FLAG_STRING, ""},                                                             \
        {"objstore.config", "The configuration itself, in YAML.", FLAG_STRING, ""}
#define THANOS_FLAGS_REQUEST_LOG                                                                                                                             \
        {"request.logging-config-file", "Logs of requests are not supported.", FLAG_STRING, ""},                                                             \
        {"request.logging-config", "Logs of requests are not supported.", FLAG_STRING, ""}
#define THANOS_FLAGS_LIMITS                                                                                                                                  \
        {"store.limits.request-series", "Most series of one Series call; 0: no limit.", FLAG_INT, "0"},                                                      \
        {"store.limits.request-samples", "Most samples of one Series call, 120 counted for each chunk; 0: no limit.", FLAG_INT, "0"}

/* Sets up logging. False: told on standard error, end with code 1. */
bool thanos_common_check(const struct flags *f);
/* --NAME or --NAME-file; both is an error, none is one if required. $(VARIABLE) is replaced. Appended to ret. */
struct error *thanos_content(const struct flags *f, const char *name, bool required, struct buf *ret) MUST_CHECK;
/* A flag that says "not supported" when it was given. */
struct error *thanos_refuse(const struct flags *f, const char *name) MUST_CHECK;

struct thanos_http;
struct error *thanos_http_new(const struct flags *f, const char *component, struct metric_registry *r, struct thanos_http **ret) MUST_CHECK;
struct http_server *thanos_http_server(struct thanos_http *h);          /* for further routes, before start */
/* From now on requests are counted: http_requests_total and its like. of: the handler's name of a route, empty: not counted. */
struct thanos_http_names {
        Str (*of)(const char *route);
        const char *tenant_header, *default_tenant;
};
void thanos_http_set_names(struct thanos_http *h, const struct thanos_http_names *names);               /* before start */
struct error *thanos_http_start(struct thanos_http *h) MUST_CHECK;
void thanos_http_ready(struct thanos_http *h, bool is_ready);           /* any thread */
bool thanos_http_is_ready(const struct thanos_http *h);
void thanos_http_stop(struct thanos_http *h);
void thanos_http_free(struct thanos_http *h);           /* NULL is fine */

/* A gRPC server by its flags, with metrics grpc_server_*. recv_bytes_max as grpc_server_opts. */
struct thanos_grpc;
struct error *thanos_grpc_new(const struct flags *f, struct metric_registry *r, struct thanos_grpc **ret) MUST_CHECK;
struct grpc_server *thanos_grpc_server(struct thanos_grpc *g);
/* Their metrics are there at once, as zeros. NULL-terminated. */
void thanos_grpc_methods(struct thanos_grpc *g, const char *const *paths);
struct error *thanos_grpc_start(struct thanos_grpc *g) MUST_CHECK;      /* listens, serves, health says so */
void thanos_grpc_stop(struct thanos_grpc *g);
void thanos_grpc_free(struct thanos_grpc *g);           /* NULL is fine */

/* grpc_client_* of all calls of a client, which the arena outlives. */
struct arena;
void thanos_grpc_client_metrics(struct grpc_client *cl, struct metric_registry *r, struct arena *a);

/* RFC3339, or a distance from now: -1d, 2h45m. */
struct time_bound;
struct error *thanos_time_parse(Str s, struct time_bound *ret) MUST_CHECK;

/* The sub-commands. */
int thanos_sidecar_run(int argc, char **argv);
int thanos_store_run(int argc, char **argv);
int thanos_query_run(int argc, char **argv);

#endif
