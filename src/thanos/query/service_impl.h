/* SPDX-License-Identifier: Apache-2.0 */
/* service_impl.h — what the files of the querier's gRPC services share. */
#ifndef THANOS_QUERY_SERVICE_IMPL_H
#define THANOS_QUERY_SERVICE_IMPL_H

#include "thanos/query/proxy_impl.h"
#include "thanos/query/service.h"

enum { SERVICE_FRAME_BYTES_MAX = 512 << 20, SERVICE_ARENA_BYTES_MAX = 1 << 30 };
struct query_service {
        struct query_service_opts o;
        struct metric_family *dropped; /* thanos_store_selects_dropped_total; NULL: none */
};
/* The tenant that the caller was called by, for the stores. */
struct grpc_pair service_tenant(struct grpc_stream *st);
struct error *service_matchers(const struct pb_label_matcher *v, size_t n, MatcherVec *to) MUST_CHECK;
/* The call's bytes become a message in its arena. Otherwise the status was set: false. */
bool service_recv(struct grpc_stream *st, const struct pb_message *m, void *ret);
struct error *service_send(struct grpc_stream *st, const struct pb_message *m, const void *v) MUST_CHECK;
void service_query_register(struct query_service *s, struct grpc_server *server);
void service_fan_register(struct query_service *s, struct grpc_server *server);

#endif
