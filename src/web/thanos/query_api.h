/* SPDX-License-Identifier: Apache-2.0 */
/* query_api.h — what Thanos' querier serves over HTTP, below the prefix: the Prometheus API over all stores, /api/v1/stores, status, pages.
 *
 *   struct query_api *a;
 *   query_api_new(&opts, &a);  …server starts…  server stops;  query_api_free(a);
 *
 * Everything in the options outlives it. Threads: handlers run on the server's workers.
 * Upstream: pkg/api/query/v1.go, pkg/api/api.go, pkg/ui/query.go */
#ifndef WEB_THANOS_QUERY_API_H
#define WEB_THANOS_QUERY_API_H

#include "io/http/server.h"
#include "thanos/query/core.h"
#include "web/web.h"

struct query_api_opts {
        struct http_server *server;
        const struct query_core *core;
        const char *route_prefix; /* "" or "/x" */
        bool sends_cors;
        bool partial_response, rules_partial_response, targets_partial_response, metadata_partial_response,
                exemplars_partial_response;
        bool auto_downsampling;
        int64_t default_step_ms;
        int64_t metadata_range_ms; /* of labels and series without a range; 0: all of time */
        bool default_engine_is_thanos;
        const char *tenant_header, *default_tenant, *tenant_label;
        bool enforces_tenancy;
        Labels selector_labels; /* borrowed */
        const char *version, *revision, *branch, *build_user, *build_date;
        const struct web_flag *flags;
        size_t n_flags;
        struct metric_registry *metrics;
};
struct query_api;
struct error *query_api_new(const struct query_api_opts *o, struct query_api **ret) MUST_CHECK;
void query_api_free(struct query_api *a); /* NULL is fine */
/* The name that metrics give to a route of the API: "query_range"; "" for what is none. */
Str query_api_handler_name(const char *route);

#endif
