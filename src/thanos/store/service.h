/* SPDX-License-Identifier: Apache-2.0 */
/* service.h — a bucket store behind gRPC: thanos.Store and thanos.info.Info.
 *
 *   struct store_service *v = store_service_new(store);
 *   store_service_register(v, server);              before grpc_server_start
 *   store_service_set_ready(v, true);               Info answers from then on
 *
 * Series, LabelNames, LabelValues, Info of both services. Without a network: store_service_series and its like take a
 * request's bytes and give the answer's to a sink; a failure has gRPC's code. Threads: any. Upstream: thanos
 * pkg/store/bucket.go, pkg/info/info.go */
#ifndef THANOS_STORE_SERVICE_H
#define THANOS_STORE_SERVICE_H

#include "io/grpc/server.h"
#include "thanos/store/bucket_store.h"

struct store_service;
struct store_service *store_service_new(struct bucket_store *s); /* borrowed */
void store_service_free(struct store_service *v);                /* NULL is fine */
void store_service_register(struct store_service *v, struct grpc_server *server);
void store_service_set_ready(struct store_service *v, bool is_ready);

/* *ret_code is set with an error only. */
struct error *store_service_series(struct bucket_store *s, Str request, const struct bucket_call *c, struct arena *a,
                                   struct store_sink *sink, int *ret_code) MUST_CHECK;
struct error *store_service_label_names(struct bucket_store *s, Str request, const struct bucket_call *c,
                                        struct arena *a, struct buf *ret, int *ret_code) MUST_CHECK;
struct error *store_service_label_values(struct bucket_store *s, Str request, const struct bucket_call *c,
                                         struct arena *a, struct buf *ret, int *ret_code) MUST_CHECK;
void store_service_info(struct bucket_store *s, struct arena *a, struct buf *ret);
void store_service_old_info(struct bucket_store *s, struct arena *a,
                            struct buf *ret); /* thanos.Store/Info, for queriers up to 0.36 */

#endif
