/* SPDX-License-Identifier: Apache-2.0 */
#include "thanos/store/service.h"

#include "base/alloc.h"
#include "codec/proto.h"
#include "thanos/storeapi/messages.h"

enum { FRAME_BYTES_MAX = 512 << 20 };

/* --- requests --- */

static struct error *fail(struct error *take_e, int code, int *ret_code)
{
        *ret_code = code;
        return take_e;
}

static struct error *take_matchers(const struct pb_label_matcher *v, size_t n, MatcherVec *to)
{
        static const enum matcher_type types[] = {MATCH_EQ, MATCH_NE, MATCH_RE, MATCH_NRE};
        for (size_t i = 0; i < n; i++) {
                struct matcher *m;
                if (v[i].type < 0 || (size_t)v[i].type >= ARRAY_LEN(types))
                        return error_new(ERROR_INVALID, "unrecognized label matcher type \"%d\"", v[i].type);
                struct error *e = matcher_new(types[v[i].type], v[i].name, v[i].value, &m);
                if (e)
                        return e;
                vec_push(to, m);
        }
        return NULL;
}

static struct error *take_hints(const struct pb_any *hints, const char *what, struct arena *a, MatcherVec *to)
{
        if (!hints)
                return NULL;
        struct pb_request_hints h = {0};
        Str type = hints->type_url;
        ptrdiff_t slash = str_rfind(type, '/');
        if (slash >= 0)
                type = str_skip(type, (size_t)slash + 1);
        if (!str_has_prefix(type, STR("hintspb.")))
                return error_new(ERROR_INVALID,
                                 "unmarshal %s request hints: mismatched message type: got \"" STR_FMT "\"", what,
                                 STR_ARG(type));
        struct error *e = pb_decode(&pb_request_hints, hints->value, a, &h);
        if (e)
                return error_wrap(e, "unmarshal %s request hints", what);
        e = take_matchers(h.block_matchers.v, h.block_matchers.n, to);
        return e ? error_wrap(e, "translate request hints labels matchers") : NULL;
}

static const struct matcher *const *view(const MatcherVec *v)
{
        return (const struct matcher *const *)v->p;
}

static int code_of(const struct error *e, int other)
{
        if (error_is(e, ERROR_LIMIT))
                return GRPC_RESOURCE_EXHAUSTED;
        if (error_is(e, ERROR_CANCELLED))
                return GRPC_CANCELLED;
        return error_is(e, ERROR_TIMEOUT) ? GRPC_DEADLINE_EXCEEDED : other;
}

/* --- series --- */

static struct error *frames_add(struct series_frames *f, struct buf *chunks, const struct store_series *x)
{
        buf_clear(chunks);
        for (size_t i = 0; i < x->n_chunks; i++)
                series_put_chunk(chunks, &x->chunks[i]);
        if (buf_is_over(chunks))
                return error_new(ERROR_LIMIT, "a series of more than %d bytes", FRAME_BYTES_MAX);
        return series_frames_add(f, x->labels, buf_str(chunks));
}

struct error *store_service_series(struct bucket_store *s, Str request, const struct bucket_call *c, struct arena *a,
                                   struct store_sink *sink, int *ret_code)
{
        struct pb_series_request q = {0};
        MatcherVec matchers = VEC_INIT, block_matchers = VEC_INIT;
        struct store_set *set = NULL;
        struct series_frames f;
        struct buf chunks = BUF_INIT(FRAME_BYTES_MAX);
        series_frames_init(&f, sink, 0);
        struct error *e = pb_decode(&pb_series_request, request, a, &q);
        if (e) {
                e = fail(error_wrap(e, "grpc: error unmarshalling request"), GRPC_INTERNAL, ret_code);
                goto out;
        }
        e = take_matchers(q.matchers.v, q.matchers.n, &matchers);
        if (!e)
                e = take_hints(q.hints, "series", a, &block_matchers);
        if (e) {
                e = fail(e, GRPC_INVALID_ARGUMENT, ret_code);
                goto out;
        }
        struct store_request r = {
                .mint_ms = q.min_time, .maxt_ms = q.max_time, .matchers = view(&matchers), .n_matchers = matchers.n};
        r.max_resolution_ms = q.max_resolution_window;
        for (size_t i = 0; i < q.aggregates.n; i++)
                if (q.aggregates.v[i] >= PB_AGGR_COUNT && q.aggregates.v[i] <= PB_AGGR_COUNTER)
                        r.aggregates |= 1u << (q.aggregates.v[i] - PB_AGGR_COUNT);
        r.skip_chunks = q.skip_chunks;
        r.without = q.without_replica_labels.v;
        r.n_without = q.without_replica_labels.n;
        if (q.shard_info)
                r.shard = (struct store_shard){q.shard_info->shard_index, q.shard_info->total_shards, q.shard_info->by,
                                               q.shard_info->labels.v, q.shard_info->labels.n};
        r.block_matchers = view(&block_matchers);
        r.n_block_matchers = block_matchers.n;
        r.limit = q.limit > 0 ? (size_t)q.limit : 0;
        f.batch = q.response_batch_size;
        e = bucket_store_select(s, &r, c, &set);
        for (bool more = true; !e;) {
                struct store_series x;
                e = store_set_next(set, &x, &more);
                if (e || !more)
                        break;
                e = frames_add(&f, &chunks, &x);
        }
        if (!e)
                e = series_frames_flush(&f);
        if (e)
                *ret_code = code_of(e, GRPC_ABORTED);
out:
        store_set_free(set);
        matcher_vec_done(&matchers);
        matcher_vec_done(&block_matchers);
        series_frames_done(&f);
        buf_done(&chunks);
        return e;
}

/* --- labels --- */

static void put_block_hints(struct buf *b, uint32_t field, const char *type, const UlidVec *blocks)
{
        size_t any = proto_begin(b, field);
        proto_put_bytes(b, 1, str_from(type));
        if (blocks->n) {
                size_t value = proto_begin(b, 2);
                for (size_t i = 0; i < blocks->n; i++) {
                        char id[ULID_TEXT_BYTES + 1];
                        ulid_print(blocks->p[i], id);
                        size_t block = proto_begin(b, 1);
                        proto_put_bytes(b, 1, str_from(id));
                        proto_end(b, block);
                }
                proto_end(b, value);
        }
        proto_end(b, any);
}

struct labels_ask {
        MatcherVec matchers, block_matchers;
        StrVec out;
        UlidVec blocks;
        struct store_request r;
};

static struct error *labels_prepare(struct labels_ask *k, const char *what, const struct pb_label_matcher *m,
                                    size_t n_m, const struct pb_any *hints, const Str *without, size_t n_without,
                                    TimeMs mint, TimeMs maxt, int64_t limit, struct arena *a)
{
        struct error *e = take_matchers(m, n_m, &k->matchers);
        if (e)
                return error_wrap(e, "translate request labels matchers");
        e = take_hints(hints, what, a, &k->block_matchers);
        if (e)
                return e;
        k->r = (struct store_request){.mint_ms = mint,
                                      .maxt_ms = maxt,
                                      .matchers = view(&k->matchers),
                                      .n_matchers = k->matchers.n,
                                      .without = without,
                                      .n_without = n_without};
        k->r.block_matchers = view(&k->block_matchers);
        k->r.n_block_matchers = k->block_matchers.n;
        k->r.limit = limit > 0 ? (size_t)limit : 0;
        return NULL;
}

static struct error *labels_answer(struct labels_ask *k, const char *hint_type, struct buf *ret)
{
        for (size_t i = 0; i < k->out.n; i++)
                proto_put_bytes_always(ret, 1, k->out.p[i]);
        if (hint_type)
                put_block_hints(ret, 3, hint_type, &k->blocks);
        return buf_is_over(ret) ? error_new(ERROR_LIMIT, "an answer of more than %zu bytes", ret->limit) : NULL;
}

static void labels_done(struct labels_ask *k)
{
        matcher_vec_done(&k->matchers);
        matcher_vec_done(&k->block_matchers);
        vec_done(&k->out);
        vec_done(&k->blocks);
}

struct error *store_service_label_names(struct bucket_store *s, Str request, const struct bucket_call *c,
                                        struct arena *a, struct buf *ret, int *ret_code)
{
        struct pb_label_names_request q = {0};
        struct error *e = pb_decode(&pb_label_names_request, request, a, &q);
        if (e)
                return fail(error_wrap(e, "grpc: error unmarshalling request"), GRPC_INTERNAL, ret_code);
        struct labels_ask k = {0};
        e = labels_prepare(&k, "label names", q.matchers.v, q.matchers.n, q.hints, q.without_replica_labels.v,
                           q.without_replica_labels.n, q.start, q.end, q.limit, a);
        if (e) {
                *ret_code = GRPC_INVALID_ARGUMENT;
        } else {
                e = bucket_store_label_names(s, &k.r, c, a, &k.out, &k.blocks);
                if (!e)
                        e = labels_answer(&k, "type.googleapis.com/hintspb.LabelNamesResponseHints", ret);
                if (e)
                        *ret_code = code_of(e, GRPC_INTERNAL);
        }
        labels_done(&k);
        return e;
}

struct error *store_service_label_values(struct bucket_store *s, Str request, const struct bucket_call *c,
                                         struct arena *a, struct buf *ret, int *ret_code)
{
        struct pb_label_values_request q = {0};
        struct error *e = pb_decode(&pb_label_values_request, request, a, &q);
        if (e)
                return fail(error_wrap(e, "grpc: error unmarshalling request"), GRPC_INTERNAL, ret_code);
        for (size_t i = 0; i < q.without_replica_labels.n; i++)
                if (str_eq(q.without_replica_labels.v[i], q.label))
                        return NULL;
        struct labels_ask k = {0};
        e = labels_prepare(&k, "label values", q.matchers.v, q.matchers.n, q.hints, q.without_replica_labels.v,
                           q.without_replica_labels.n, q.start, q.end, q.limit, a);
        if (e) {
                *ret_code = GRPC_INVALID_ARGUMENT;
        } else {
                e = bucket_store_label_values(s, q.label, &k.r, c, a, &k.out, &k.blocks);
                if (!e)
                        e = labels_answer(&k, "type.googleapis.com/hintspb.LabelValuesResponseHints", ret);
                if (e)
                        *ret_code = code_of(e, GRPC_INTERNAL);
        }
        labels_done(&k);
        return e;
}

/* --- info --- */

static void put_labels(struct buf *b, Labels l)
{
        for (size_t i = 0; i < l.n; i++) {
                size_t at = proto_begin(b, 1);
                proto_put_bytes(b, 1, l.v[i].name);
                proto_put_bytes(b, 2, l.v[i].value);
                proto_end(b, at);
        }
}

static void put_label_sets(struct buf *b, uint32_t field, const struct store_info *info)
{
        for (size_t i = 0; i < info->n_label_sets; i++) {
                size_t at = proto_begin(b, field);
                put_labels(b, info->label_sets[i]);
                proto_end(b, at);
        }
}

void store_service_info(struct bucket_store *s, struct arena *a, struct buf *ret)
{
        struct store_info info;
        bucket_store_info(s, a, &info);
        put_label_sets(ret, 1, &info);
        proto_put_bytes(ret, 2, STR("store"));
        size_t store = proto_begin(ret, 3);
        proto_put_uint(ret, 1, (uint64_t)info.mint_ms);
        proto_put_uint(ret, 2, (uint64_t)info.maxt_ms);
        proto_put_uint(ret, 3, 1);
        proto_put_uint(ret, 5, 1);
        for (size_t i = 0; i < info.n_tsdbs; i++) {
                size_t tsdb = proto_begin(ret, 6);
                size_t labels = proto_begin(ret, 1);
                put_labels(ret, info.tsdbs[i].labels);
                proto_end(ret, labels);
                proto_put_uint(ret, 2, (uint64_t)info.tsdbs[i].mint_ms);
                proto_put_uint(ret, 3, (uint64_t)info.tsdbs[i].maxt_ms);
                proto_end(ret, tsdb);
        }
        proto_end(ret, store);
}

void store_service_old_info(struct bucket_store *s, struct arena *a, struct buf *ret)
{
        enum { STORE_TYPE_STORE = 4 };
        struct store_info info;
        bucket_store_info(s, a, &info);
        proto_put_uint(ret, 2, (uint64_t)info.mint_ms);
        proto_put_uint(ret, 3, (uint64_t)info.maxt_ms);
        proto_put_uint(ret, 4, STORE_TYPE_STORE);
        put_label_sets(ret, 5, &info);
}

/* --- gRPC --- */

struct store_service {
        struct bucket_store *s;
        bool is_ready; /* atomic */
};

struct store_service *store_service_new(struct bucket_store *s)
{
        struct store_service *v = mem_new(struct store_service);
        v->s = s;
        return v;
}

void store_service_free(struct store_service *v)
{
        free(v);
}

void store_service_set_ready(struct store_service *v, bool is_ready)
{
        __atomic_store_n(&v->is_ready, is_ready, __ATOMIC_SEQ_CST);
}

struct grpc_sink {
        struct store_sink base;
        struct grpc_stream *st;
};

static struct error *grpc_sink_send(struct store_sink *s, Str message)
{
        return grpc_send(CONTAINER_OF(s, struct grpc_sink, base)->st, message);
}

static struct bucket_call call_of(struct grpc_stream *st)
{
        int64_t left = grpc_time_left_ms(st);
        return (struct bucket_call){.cancel = grpc_cancel_flag(st),
                                    .deadline_ms = left == INT64_MAX ? 0 : time_mono_ms() + left};
}

static void finish(struct grpc_stream *st, struct error *take_e, int code)
{
        if (take_e)
                grpc_fail(st, code, "%s", error_str(take_e));
        error_free(take_e);
}

static void on_series(struct grpc_stream *st, void *ctx)
{
        struct store_service *v = ctx;
        struct grpc_sink sink = {{grpc_sink_send}, st};
        struct bucket_call c = call_of(st);
        Str request;
        int code = GRPC_UNKNOWN;
        struct error *e = grpc_recv_only(st, &request);
        if (!e)
                e = store_service_series(v->s, request, &c, grpc_arena(st), &sink.base, &code);
        finish(st, e, code);
}

typedef struct error *answer_fn(struct bucket_store *s, Str request, const struct bucket_call *c, struct arena *a,
                                struct buf *ret, int *ret_code);

static void on_unary(struct grpc_stream *st, struct store_service *v, answer_fn *answer)
{
        struct bucket_call c = call_of(st);
        struct buf b = BUF_INIT(FRAME_BYTES_MAX);
        Str request;
        int code = GRPC_UNKNOWN;
        struct error *e = grpc_recv_only(st, &request);
        if (!e)
                e = answer(v->s, request, &c, grpc_arena(st), &b, &code);
        if (!e)
                e = grpc_send(st, buf_str(&b));
        buf_done(&b);
        finish(st, e, code);
}

static void on_label_names(struct grpc_stream *st, void *ctx)
{
        on_unary(st, ctx, store_service_label_names);
}

static void on_label_values(struct grpc_stream *st, void *ctx)
{
        on_unary(st, ctx, store_service_label_values);
}

static struct error *answer_old_info(struct bucket_store *s, UNUSED Str request, UNUSED const struct bucket_call *c,
                                     struct arena *a, struct buf *ret, UNUSED int *ret_code)
{
        store_service_old_info(s, a, ret);
        return NULL;
}

static struct error *answer_info(struct bucket_store *s, UNUSED Str request, UNUSED const struct bucket_call *c,
                                 struct arena *a, struct buf *ret, UNUSED int *ret_code)
{
        store_service_info(s, a, ret);
        return NULL;
}

static void on_old_info(struct grpc_stream *st, void *ctx)
{
        on_unary(st, ctx, answer_old_info);
}

static void on_info(struct grpc_stream *st, void *ctx)
{
        struct store_service *v = ctx;
        if (__atomic_load_n(&v->is_ready, __ATOMIC_SEQ_CST))
                on_unary(st, v, answer_info);
        else
                grpc_fail(st, GRPC_UNKNOWN, "Not ready");
}

void store_service_register(struct store_service *v, struct grpc_server *server)
{
        grpc_server_handle(server, "/thanos.Store/Series", on_series, v);
        grpc_server_handle(server, "/thanos.Store/LabelNames", on_label_names, v);
        grpc_server_handle(server, "/thanos.Store/LabelValues", on_label_values, v);
        grpc_server_handle(server, "/thanos.Store/Info", on_old_info, v);
        grpc_server_handle(server, "/thanos.info.Info/Info", on_info, v);
}
