/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h — what a querier tells of its stores and queries, under the original's names.
 *
 *   struct query_metrics *m = query_metrics_new(&(struct query_metrics_opts){.metrics = registry, .endpoints = es, …});
 *   query_metrics_begin(m);  …a query…  query_metrics_end(m, queue_s, &sums, seconds, tenant);
 *   query_metrics_free(m);                          before the endpoints go
 *
 * Threads: any.  Upstream: pkg/query/endpointset.go, pkg/gate, pkg/store/telemetry.go */
#ifndef THANOS_QUERY_METRICS_H
#define THANOS_QUERY_METRICS_H

#include <stdatomic.h>

#include "base/metric.h"
#include "thanos/query/endpoints.h"

struct query_sums { /* of one query: what the stores gave */
        uint64_t series, samples;
};
struct query_metrics_opts {
        struct metric_registry *metrics;
        struct endpoints *endpoints;
        int queries_max;
        bool shows_external_labels, shows_store_type, shows_ip_port; /* labels of thanos_store_nodes_grpc_connections */
        const double *seconds, *samples, *series;                    /* ascending bounds, borrowed */
        size_t n_seconds, n_samples, n_series;
};
struct query_metrics;
struct query_metrics *query_metrics_new(const struct query_metrics_opts *o);
void query_metrics_free(struct query_metrics *m); /* NULL is fine */
void query_metrics_begin(struct query_metrics *m); /* these two: NULL is fine */
void query_metrics_end(struct query_metrics *m, double queue_s, const struct query_sums *sums, double seconds, Str tenant);
void query_metrics_empty_frame(struct query_metrics *m);
void query_metrics_duplicated_address(struct query_metrics *m);

#endif
