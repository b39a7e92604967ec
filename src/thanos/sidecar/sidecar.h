/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar.h — one Prometheus behind Thanos' gRPC: thanos.Store, info.Info, Rules, Targets, Metadata, Exemplars, with its external labels in all answers.
 *
 *   e = sidecar_new(&opts, &s);
 *   e = sidecar_load_version(s, &wait);  e = sidecar_load_labels(s, &wait);          at the start; the latter now and then again
 *   sidecar_register(s, server);  sidecar_set_ready(s, true);
 *
 * Series come by streamed remote read, and are passed on one by one: they come sorted without external labels, and go sorted with them (order.c says
 * when that can be done on the way, and when all must be gathered). Memory of a call: what Prometheus sends ahead (PROM_AHEAD_BYTES), a frame of it,
 * and a frame for the client; of a call that gathers, what it has to send, SIDECAR_SORT_MAX_BYTES at most.
 * Threads: any; the loads one at a time. Upstream: thanos cmd/thanos/sidecar.go, pkg/store/prometheus.go, pkg/{rules,targets,metadata,exemplars}/prometheus.go */
#ifndef THANOS_SIDECAR_SIDECAR_H
#define THANOS_SIDECAR_SIDECAR_H

#include "base/metric.h"
#include "io/grpc/server.h"
#include "thanos/block/fetcher.h"
#include "thanos/sidecar/prom.h"

#define SIDECAR_SORT_MAX_BYTES ((size_t)2 << 30)

struct sidecar_opts {
        const char *prometheus_url;
        const struct http_client_conf *http;    /* borrowed */
        struct time_bound min;                  /* nothing older is served */
        uint64_t series_max, samples_max;       /* of one Series call, 120 samples for each chunk; 0: no limit */
        struct metric_registry *metrics;
};
struct sidecar;
struct error *sidecar_new(const struct sidecar_opts *o, struct sidecar **ret) MUST_CHECK;
void sidecar_free(struct sidecar *s);           /* NULL is fine */
void sidecar_register(struct sidecar *s, struct grpc_server *server);   /* before its start */
void sidecar_set_ready(struct sidecar *s, bool is_ready);               /* until then Info says "Not ready" */

/* Whether its flags allow uploading: blocks must not be compacted before they are in the bucket. Warns in the log of what is only odd. */
struct sidecar_uploads {
        const char *tsdb_path, *list_name;      /* of the shipper */
        bool ignore_block_size;
};
struct error *sidecar_check_flags(struct sidecar *s, const struct sidecar_uploads *u, const struct prom_wait *w) MUST_CHECK;
struct error *sidecar_load_version(struct sidecar *s, const struct prom_wait *w) MUST_CHECK;
/* The external labels of its configuration, and the names of the labels that its series have. */
struct error *sidecar_load_labels(struct sidecar *s, const struct prom_wait *w) MUST_CHECK;
/* The external labels, in a; ctx is a struct sidecar: made for shipper_opts. */
Labels sidecar_labels(void *ctx, struct arena *a);
void sidecar_set_oldest(struct sidecar *s, TimeMs oldest_ms);           /* begin of the oldest local block: no less than this is advertised from now on */

#endif
