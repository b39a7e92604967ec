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
/* Ends the call: other, unless the error's kind has a code of its own. NULL is fine. */
void service_fail(struct grpc_stream *st, struct error *take_e, int other);

/* service_query.c, service_fan.c: handlers */
void service_query(struct grpc_stream *st, void *ctx);
void service_query_range(struct grpc_stream *st, void *ctx);
void service_rules(struct grpc_stream *st, void *ctx);
void service_targets(struct grpc_stream *st, void *ctx);
void service_metadata(struct grpc_stream *st, void *ctx);
void service_exemplars(struct grpc_stream *st, void *ctx);

#endif
