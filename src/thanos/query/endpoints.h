/* SPDX-License-Identifier: Apache-2.0 */
/* endpoints.h — which gRPC servers the querier knows, and what each said of itself.
 *
 *   e = endpoints_new(&(struct endpoints_opts){.client = cl, .addresses = v, .n_addresses = n}, &es);
 *   e = endpoints_start(es);                             a thread that looks every 5 s
 *   struct endpoint_list *l = endpoints_get(es);         what was known after the last round: never changes
 *   for (size_t i = 0; i < l->n; i++) use(&l->v[i]);
 *   endpoint_list_unref(l);  endpoints_free(es);
 *
 * A round asks all addresses at once by thanos.info.Info/Info. A new one that fails is not listed, unless it is strict;
 * one that answered before stays listed with its last error, is not asked by queries meanwhile, and goes after
 * unhealthy_ms. DNS names are resolved again every resolve_ms; a failure keeps the addresses that were known, no such
 * name means none. Threads: any, except where it says otherwise. Lists, and their channels, may outlive their round but
 * not the grpc_client. Upstream: pkg/query/endpointset.go, pkg/discovery/dns. Where that is
 * not implemented the old Store/Info is asked. */
#ifndef THANOS_QUERY_ENDPOINTS_H
#define THANOS_QUERY_ENDPOINTS_H

#include "base/clock.h"
#include "io/grpc/client.h"
#include "model/labels.h"

struct endpoint_tsdb { /* one of the databases behind a store */
        Labels labels;
        TimeMs mint_ms, maxt_ms;
};
struct endpoint {
        Str address;    /* as it was resolved: host:port */
        Str type;       /* "sidecar", "store", "query", "rule", "receive", … as it says; empty: it never answered */
        Str last_error; /* of the last round; empty: it answered */
        bool strict;
        bool is_usable; /* queries go there: the last round went well, or it is strict */
        bool has_store, has_rules, has_targets, has_metadata, has_exemplars, has_query;
        bool supports_without_replica_labels;
        TimeMs mint_ms, maxt_ms; /* of the store; both inclusive */
        TimeMs last_check_ms;
        TimeMs exemplars_mint_ms, exemplars_maxt_ms;
        const Labels *label_sets; /* external labels */
        size_t n_label_sets;
        const struct endpoint_tsdb *tsdbs;
        size_t n_tsdbs;
        struct grpc_channel *channel;
};
struct endpoint_list {
        const struct endpoint *v; /* in the order of the addresses */
        size_t n;
};
void endpoint_list_unref(struct endpoint_list *l); /* NULL is fine */

struct endpoint_address {
        Str address; /* host:port, dns+host:port, dnssrv+_service._proto.name, dnssrvnoa+… */
        bool strict; /* always listed, always asked; not for DNS */
};
struct endpoints_opts {
        struct grpc_client *client;               /* borrowed */
        const struct grpc_channel_opts *channel;  /* NULL: defaults. Its tls must live as long as the endpoints */
        const struct endpoint_address *addresses; /* copied */
        size_t n_addresses;
        int64_t update_ms, info_timeout_ms;     /* 0: 5 s */
        int64_t resolve_ms, resolve_timeout_ms; /* 0: 30 s, 5 s */
        int64_t unhealthy_ms;                   /* 0: 5 min */
        const char *const *files; /* patterns of file_sd files with more addresses; copied */
        size_t n_files;
        int64_t files_ms;          /* read again at least so often; 0: 5 min. Else when they changed, which each round looks at */
        const struct clock *clock; /* NULL: the system's */
};
struct endpoints;
/* ERROR_INVALID: an address is empty, given twice, without port, or strict and a DNS name. */
struct error *endpoints_new(const struct endpoints_opts *o, struct endpoints **ret) MUST_CHECK;
void endpoints_free(struct endpoints *es); /* stops the thread; NULL is fine */
struct error *endpoints_start(struct endpoints *es) MUST_CHECK;
void endpoints_update(struct endpoints *es);               /* one round, now; returns when it is done */
/* Owned: endpoint_list_unref. After endpoints_start it waits for the first round, which takes no longer than its time-outs: a querier
 * that has just started does not answer as if there were no stores. */
struct endpoint_list *endpoints_get(struct endpoints *es);
uint64_t endpoints_dns_lookups(const struct endpoints *es);
uint64_t endpoints_dns_failures(const struct endpoints *es);

#endif
