/* SPDX-License-Identifier: Apache-2.0 */
/* proxy.h — the series of many stores as one storage: what PromQL of the querier reads.
 *
 *   struct proxy p;
 *   struct storage *st = proxy_init(&p, &(struct proxy_opts){.endpoints = es, .replica_labels = v, .n_replica_labels =
 * n, .partial_response = true}); e = storage_querier(st, mint, maxt, &arena, &q);     for one query, with its options
 *
 * A select asks the stores whose time range and external labels fit, all at once, and merges their sorted streams as
 * they are read: what a store sent and nobody took stays in the window of its call, so memory is one frame and one
 * window a store, plus what is given. A store that cannot leave replica labels out is gathered and sorted first, within
 * the arena's budget. Chunks of a series that came twice are dropped, chunks that do not overlap are passed on as they
 * are; with replica labels the rest is folded by thanos/query/dedup.h and encoded anew. Downsampled chunks are decoded
 * to what the function around the selector needs. A store that fails, hangs or sends garbage costs what it had not
 * sent, and a warning with its address; without partial_response it fails the query.
 * One that endpoints.h holds for failing is not asked: with partial_response a warning says so, where upstream is silent. Series with native histograms of
 * several replicas: the first chunk of those that overlap is taken, without folding. Threads: a proxy and its queriers
 * belong to one.  Upstream: pkg/store/proxy.go, pkg/query/{querier,iter}.go. */
#ifndef THANOS_QUERY_PROXY_H
#define THANOS_QUERY_PROXY_H

#include "model/relabel.h"
#include "storage/storage.h"
#include "thanos/query/endpoints.h"

struct proxy_match { /* storeMatch[]: on the label __address__ */
        const struct matcher *const *v;
        size_t n;
};
struct proxy_shard { /* series whose hash of these labels falls to index, of total */
        int64_t index, total;
        bool by; /* labels are those that count; else all others */
        const Str *labels;
        size_t n_labels;
};
struct query_metrics;
struct query_sums;
struct proxy_opts {
        struct endpoints *endpoints;
        const Str *replica_labels; /* empty: no deduplication, all labels are kept */
        size_t n_replica_labels;
        int64_t max_resolution_ms; /* max_source_resolution; 0: raw data only */
        bool partial_response;
        int64_t response_timeout_ms;           /* a store that sends nothing for so long is given up; 0: none */
        int64_t timeout_ms;                    /* of each call; 0: none */
        const bool *cancel;                    /* set by another thread, atomically; NULL: none */
        const struct proxy_match *store_match; /* one of them must fit; none: all stores */
        size_t n_store_match;
        const struct grpc_pair *metadata; /* to the stores: the tenant */
        size_t n_metadata;
        const struct proxy_shard *shard; /* NULL: all series */
        const struct relabel_rule *selector; /* only stores with a label set that these keep are asked, and only for those sets */
        size_t n_selector;
        struct query_metrics *metrics;   /* NULL: none */
        struct query_sums *sums;         /* counts what was given; NULL: nobody asks */
};
struct proxy {
        struct storage base;
        struct proxy_opts o;
};
/* What the options point to is borrowed until the last querier is closed. */
struct storage *proxy_init(struct proxy *p, const struct proxy_opts *o);

#endif
