/* SPDX-License-Identifier: Apache-2.0 */
/* core.h — what every query of the querier shares, and one query's view of the stores. The HTTP API and the gRPC services use it.
 *
 *   struct query_view v;
 *   struct storage *st = query_view_init(&v, core, &(struct query_wish){.dedup = true, .partial_response = true}, cancel);
 *   e = engine_instant(core->engine, st, &(struct query_opts){…, .lookback_ms = query_lookback_ms(core, wish)}, &result);
 *
 * Threads: the core is constant once it serves; a view belongs to one.  Upstream: cmd/thanos/query.go, pkg/query/querier.go */
#ifndef THANOS_QUERY_CORE_H
#define THANOS_QUERY_CORE_H

#include "promql/engine.h"
#include "thanos/query/metrics.h"
#include "thanos/query/proxy.h"

struct query_core {
        struct endpoints *endpoints;
        struct engine *engine;
        const Str *replica_labels; /* --query.replica-label */
        size_t n_replica_labels;
        int64_t timeout_ms;          /* --query.timeout */
        int64_t response_timeout_ms; /* --store.response-timeout; 0: a store may take most of the query's time */
        int64_t lookback_ms;         /* 0: 5 min */
        bool has_dynamic_lookback;   /* coarse data reach further back */
        int64_t instant_resolution_ms;
        struct query_metrics *metrics; /* NULL: none */
        const struct relabel_rule *selector; /* --selector.relabel-config */
        size_t n_selector;
};
struct query_wish {
        bool dedup, partial_response;
        const Str *replica_labels; /* none: those of the core */
        size_t n_replica_labels;
        int64_t max_resolution_ms;
        int64_t timeout_ms;                    /* 0, or less than the core's */
        int64_t lookback_ms;                   /* 0: by the resolution */
        const struct proxy_match *store_match; /* storeMatch[] */
        size_t n_store_match;
        const struct grpc_pair *metadata; /* to the stores */
        size_t n_metadata;
        const struct proxy_shard *shard; /* NULL: all series */
};
struct query_view {
        struct proxy proxy;
        struct query_sums sums;
};
/* What the wish points to is borrowed until the last querier is closed. */
struct storage *query_view_init(struct query_view *v, const struct query_core *c, const struct query_wish *w,
                                const bool *cancel);
int64_t query_lookback_ms(const struct query_core *c, const struct query_wish *w);
/* A view, its query by the engine, and what metrics tell of it. lookback_ms and timeout_ms of q are set by the wish. */
struct error *query_run(const struct query_core *c, struct query_view *v, const struct query_wish *w, struct query_opts *q,
                        bool instant, struct query_result *ret) MUST_CHECK;

#endif
