/* SPDX-License-Identifier: Apache-2.0 */
/* service.h — the querier behind gRPC, so that queriers can stand behind queriers: thanos.Store, thanos.info.Info.
 *
 *   struct query_service *s = query_service_new(&(struct query_service_opts){.core = core});
 *   query_service_register(s, grpc_server);         before it starts
 *   query_service_free(s);                          after it stopped
 *
 * Series passes chunks on as the stores sent them, merged and without those that came twice. Threads: any.
 * Upstream: pkg/store/proxy.go, pkg/info/info.go, pkg/api/query/grpc.go */
#ifndef THANOS_QUERY_SERVICE_H
#define THANOS_QUERY_SERVICE_H

#include "io/grpc/server.h"
#include "thanos/query/core.h"

struct query_service_opts {
        const struct query_core *core;
        Labels selector_labels; /* --selector-label: told in Info, asked of matchers; borrowed */
        uint64_t series_max, samples_max; /* of a Series call, 120 samples counted for each chunk; 0: none */
        struct metric_registry *metrics;  /* NULL: none */
        bool partial_response;            /* of what the fan-out of rules, targets, … does without a strategy */
};
struct query_service;
struct query_service *query_service_new(const struct query_service_opts *o);
void query_service_free(struct query_service *s); /* NULL is fine */
void query_service_register(struct query_service *s, struct grpc_server *server);
const char *const *query_service_methods(void); /* their paths, NULL-terminated */

#endif
