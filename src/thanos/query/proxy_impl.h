/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_impl.h — what the files of the proxy share. One thread. */
#ifndef THANOS_QUERY_PROXY_IMPL_H
#define THANOS_QUERY_PROXY_IMPL_H

#include "base/thread.h"
#include "storage/decode.h"
#include "thanos/query/proxy.h"
#include "thanos/storeapi/messages.h"

struct proxy_set;
struct proxy_querier {
        struct querier base;
        const struct proxy_opts *o;
        struct endpoint_list *list;
        struct arena *arena;
        TimeMs mint_ms, maxt_ms;
        StrVec warnings;
        struct mutex mu;     /* guards late, late_arena: of threads that decode */
        StrVec late;
        struct arena late_arena;
        Str *names; /* of list->v, as proxy_name_of made them */
        VEC(struct proxy_set *) sets;
};
/* Consumes the loss of a part: a warning, or the error again when the query wants all. */
struct error *proxy_lose(struct proxy_querier *q, struct error *take_e) MUST_CHECK;
/* The same from any thread, while series are decoded. */
struct error *proxy_lose_late(struct proxy_querier *q, struct error *take_e) MUST_CHECK;
struct error *proxy_over_budget(const struct arena *a) MUST_CHECK;
/* "Addr: … LabelSets: {…} MinTime: … MaxTime: …", as upstream says it. In the query's arena. */
Str proxy_name_of(struct proxy_querier *q, const struct endpoint *ep);
bool proxy_is_replica_label(const struct proxy_opts *o, Str name);

/* --- proxy_stream.c: the answer of one store --- */

struct piece {
        Labels labels; /* without replica labels */
        const struct pb_aggr_chunk *chunks;
        size_t n_chunks;
};
struct stream {
        struct proxy_querier *q;
        const struct endpoint *ep;
        struct grpc_call *call;
        struct arena frame;   /* of what the last frame was decoded to; sorted: of all frames */
        int64_t idle_since_ms; /* nothing was taken since: the call began, or the last frame was taken */
        bool sorts;
        const struct pb_series *series; /* of the last frame, from at on to be given */
        struct pb_series *one;
        size_t n_series, at;
        VEC(struct piece) gathered;
        size_t at_gathered;
        bool has_gathered;
        struct piece head;
};
/* The next piece is s->head, until the next call. An error is the store's, names it, and ends the stream. */
struct error *stream_next(struct stream *s, bool *ret_more) MUST_CHECK;
void stream_done(struct stream *s);
/* One message of the call. *ret_more is false at its end. */
struct error *proxy_recv(struct proxy_querier *q, const struct endpoint *ep, struct grpc_call *c, int64_t wait_ms,
                         Str *ret, bool *ret_more) MUST_CHECK;

/* --- proxy_chunks.c: the chunks of one series --- */

enum want { WANT_COUNT, WANT_SUM, WANT_MIN, WANT_MAX, WANT_COUNTER, WANT_AVERAGE };
enum want want_of(Str func);
struct part { /* one chunk of a store */
        TimeMs mint_ms, maxt_ms;
        struct chunk raw, count, sum, min, max, counter; /* encoding CHUNK_NONE: not there */
        const struct endpoint *ep;
};
typedef VEC(struct part) PartVec;
/* Bytes are copied to a, NULL: stay where they are. ERROR_INVALID: no such chunk can be. */
struct error *part_take(const struct pb_aggr_chunk *c, const struct endpoint *ep, struct arena *a,
                        struct part *ret) MUST_CHECK;
uint64_t part_samples(const struct part *p); /* as it says itself */
void parts_sort_and_thin(PartVec *v); /* chunks that came twice go */
bool part_is_raw(const struct part *p);
/* Chunks into as few chains as there are without overlap in one, of sorted parts; chain[i] is that of part i. Greedy, as upstream: where
 * one replica has a gap of a chunk, the other's next chunk may go on in its place. The number of chains. */
size_t parts_split(const PartVec *v, size_t *chain);

/* --- proxy_fold.c: what is given of the chunks --- */

/* parts is sorted and thinned here; what is kept is in the query's arena. Sets chunks, or fold, of *ret. */
struct error *proxy_assemble(struct proxy_querier *q, PartVec *parts, enum want want, Str func, struct series *ret) MUST_CHECK;

/* --- proxy_set.c: merging --- */

struct error *proxy_select(struct proxy_querier *q, const struct select_hints *h, const struct matcher *const *m,
                           size_t n_m, struct series_set **ret) MUST_CHECK;
void proxy_set_done(struct proxy_set *s);
/* The same without decoding: matchers, strategy and replica labels are filled in. */
struct error *proxy_open(struct proxy_querier *q, struct pb_series_request *r, const struct matcher *const *m,
                         size_t n_m, struct proxy_set **ret) MUST_CHECK;
/* The next series with all its chunks, unsorted, until the next call. */
struct error *proxy_set_next(struct proxy_set *s, Labels *ret, PartVec **ret_parts, bool *ret_more) MUST_CHECK;
void proxy_set_forget_labels(struct proxy_set *s); /* labels live until the next call too */

/* --- proxy.c --- */

/* Endpoints that would be wanted, had their last round gone well: without partial_response nothing, as upstream; with it
 * a warning each, where upstream is silent. */
struct error *proxy_tell_unusable(struct proxy_querier *q, TimeMs mint_ms, TimeMs maxt_ms,
                                  const struct matcher *const *m, size_t n_m) MUST_CHECK;
bool proxy_wants(const struct proxy_querier *q, const struct endpoint *ep, TimeMs mint_ms, TimeMs maxt_ms,
                 const struct matcher *const *m, size_t n_m);
/* With those that the selector adds. */
struct pb_label_matcher *proxy_matchers(const struct proxy_querier *q, TimeMs mint_ms, TimeMs maxt_ms, const struct matcher *const *m,
                                        size_t n_m, size_t *ret_n);
struct grpc_call_opts proxy_call_opts(const struct proxy_querier *q);

#endif
