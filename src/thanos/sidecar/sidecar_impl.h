/* SPDX-License-Identifier: Apache-2.0 */
/* sidecar_impl.h — what the files of the sidecar share. */
#ifndef THANOS_SIDECAR_IMPL_H
#define THANOS_SIDECAR_IMPL_H

#include "base/thread.h"
#include "model/matcher.h"
#include "storage/storage.h"
#include "thanos/sidecar/sidecar.h"
#include "thanos/storeapi/messages.h"
#include "thanos/storeapi/series.h"

/* Of one series. */
enum { SIDECAR_LABELS_MAX = 10000, SIDECAR_LABELS_MAX_BYTES = 16 << 20 };

struct sidecar {
        struct prom *prom;
        struct time_bound min;
        uint64_t series_max, samples_max;
        struct metric *frames, *series_requested, *chunks_requested, *dropped_series, *dropped_chunks;
        bool is_ready;                  /* atomic */
        bool always_gathers;            /* atomic: Prometheus does not sort as we expect */
        struct mutex mu;                /* guards what follows */
        Labels external;
        StrVec names;                   /* of labels of its series, sorted */
        bool knows_names;
        struct arena *labels_arena, *names_arena;
        uint64_t config_hash;           /* of the configuration that external is from */
        bool has_oldest, takes_matchers;
        TimeMs oldest_ms;
};

/* --- state, copied for a call --- */

TimeMs sidecar_min_ms(struct sidecar *s);
bool sidecar_takes_matchers(struct sidecar *s); /* /api/v1/labels knows match[] */
/* Some series may have a label of one of these names. */
bool sidecar_may_have(struct sidecar *s, Labels named, const Str *more, size_t n_more);

/* --- requests --- */

struct call {
        struct sidecar *s;
        struct grpc_stream *st;
        struct prom_wait wait;
        struct arena *arena;            /* of small things */
        Labels external;
        int code;                       /* with an error */
};
/* Matchers without those that the external labels fulfil; *ret_fits is false when one of them does not. ERROR_INVALID: no such matcher. */
struct error *call_matchers(const struct call *c, const struct pb_label_matcher *v, size_t n, MatcherVec *ret, bool *ret_fits) MUST_CHECK;
void put_match(struct buf *query, const MatcherVec *m);                 /* "&match[]={…}"; nothing without matchers */
void put_time(struct buf *query, const char *name, int64_t ms);         /* "&start=1.5" */
/* base with the external labels, which win, without those of `without`. The array is in a, strings are borrowed. */
Labels labels_extend(struct arena *a, Labels base, Labels external, const Str *without, size_t n_without);
bool is_named(const Str *names, size_t n, Str name);
/* Zeroed structs, NULL where the arena is full: then no_room(). */
void *array_of(struct arena *a, size_t n, size_t size);
struct error *no_room(const struct arena *a) MUST_CHECK;
/* Objects of strings as sorted labels; strings are the tree's. The arena has room left for the same set with external labels, twice. */
struct error *labels_of_json(struct arena *a, const struct json *object, Labels *ret) MUST_CHECK;

/* --- the way of series out: order.c --- */

struct order;
struct order_opts {
        struct store_sink *sink;
        int64_t batch;
        uint64_t series_max, samples_max, limit;        /* 0: none. limit: what comes after is left out */
        Labels external;
        const Str *without;
        size_t n_without;
        struct store_shard shard;
        bool gathers;                                   /* order cannot be had on the way */
        struct metric *dropped_series, *dropped_chunks;
};
struct order *order_new(const struct order_opts *o);
void order_free(struct order *o);
/* labels as Prometheus gave them, sorted; chunks of series_put_chunk. *ret_full: the limit is reached, nothing more is wanted. */
struct error *order_add(struct order *o, Labels labels, Str chunks, size_t n_chunks, bool *ret_full) MUST_CHECK;
struct error *order_end(struct order *o) MUST_CHECK;
bool order_is_broken(const struct order *o);            /* a series came that should have come before one that was sent */
void order_counts(const struct order *o, uint64_t *ret_series, uint64_t *ret_chunks);   /* sent so far */

/* --- methods: each answers one request --- */

struct error *serve_series(struct call *c, Str request) MUST_CHECK;
/* One message of a remote read: a ChunkedReadResponse, or a ReadResponse with samples. */
struct error *sidecar_take_message(struct order *o, Str message, bool is_samples) MUST_CHECK;
/* For skip_chunks. */
struct error *serve_series_labels(struct call *c, const struct pb_series_request *q, const MatcherVec *m, struct order *o) MUST_CHECK;
struct error *serve_label_names(struct call *c, Str request) MUST_CHECK;
struct error *serve_label_values(struct call *c, Str request) MUST_CHECK;
struct error *serve_rules(struct call *c, Str request) MUST_CHECK;
struct error *serve_targets(struct call *c, Str request) MUST_CHECK;
struct error *serve_metadata(struct call *c, Str request) MUST_CHECK;
struct error *serve_exemplars(struct call *c, Str request) MUST_CHECK;
struct error *serve_info(struct call *c, Str request) MUST_CHECK;
struct error *serve_old_info(struct call *c, Str request) MUST_CHECK;
/* Encodes v as m and sends it. */
struct error *call_send(struct call *c, const struct pb_message *m, const void *v) MUST_CHECK;
/* Decodes the request; an error is gRPC's INTERNAL. */
struct error *call_decode(struct call *c, const struct pb_message *m, Str request, void *ret) MUST_CHECK;
/* A PB array of labels, in a. */
struct pb_label_set label_set_of(struct arena *a, Labels l);

#endif
