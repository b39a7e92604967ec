/* SPDX-License-Identifier: Apache-2.0 */
/* service_query.c — thanos.Query: queries over gRPC. Seconds everywhere, as the messages have them. */
#include "thanos/query/service_impl.h"

struct eval {
        struct query_service *s;
        struct grpc_stream *st;
        struct query_wish wish;
        struct query_opts q;
        struct query_view view;
        struct grpc_pair tenant;
        VEC(MatcherVec) matchers;
        int64_t batch;
        struct proxy_shard shard;
};

static int64_t times(int64_t seconds, int64_t factor)
{
        int64_t out;
        return __builtin_mul_overflow(seconds, factor, &out) ? (seconds < 0 ? INT64_MIN / 2 : INT64_MAX / 2) : out;
}

static struct error *store_match(struct eval *x, const struct pb_store_matchers *v, size_t n)
{
        struct proxy_match *to = arena_array(grpc_arena(x->st), struct proxy_match, n + 1);
        for (size_t i = 0; i < n; i++) {
                MatcherVec m = VEC_INIT;
                struct error *e = service_matchers(v[i].label_matchers.v, v[i].label_matchers.n, &m);
                vec_push(&x->matchers, m);
                if (e)
                        return e;
                to[i] = (struct proxy_match){(const struct matcher *const *)m.p, m.n};
        }
        x->wish.store_match = to;
        x->wish.n_store_match = n;
        return NULL;
}

/* max_resolution_seconds reaches the stores as if it were milliseconds and the lookback as seconds: so does 0.36, and so it is
 * recorded. */
static void resolution(struct eval *x, int64_t seconds, int64_t lookback_s)
{
        const struct query_core *c = x->s->o.core;
        if (seconds == 0)
                seconds = c->instant_resolution_ms / 1000;
        struct query_wish in_ms = {.max_resolution_ms = times(seconds, 1000),
                                   .lookback_ms = lookback_s > 0 ? times(lookback_s, 1000) : 0};
        x->wish.lookback_ms = query_lookback_ms(c, &in_ms);
        x->wish.max_resolution_ms = seconds;
}

static struct error *common(struct eval *x, const struct pb_shard_info *shard, int32_t engine, int64_t timeout_s)
{
        if (engine < PB_ENGINE_DEFAULT || engine > PB_ENGINE_THANOS)
                return error_new(ERROR_INVALID, "invalid engine parameter");
        int64_t left = grpc_time_left_ms(x->st);
        x->wish.timeout_ms = timeout_s > 0 ? times(timeout_s, 1000) : 0;
        if (left != INT64_MAX && (x->wish.timeout_ms == 0 || left < x->wish.timeout_ms))
                x->wish.timeout_ms = MAX(left, (int64_t)1);
        x->tenant = service_tenant(x->st);
        x->wish.metadata = &x->tenant;
        x->wish.n_metadata = 1;
        if (shard && shard->total_shards > 1) {
                x->shard = (struct proxy_shard){shard->shard_index, shard->total_shards, shard->by, shard->labels.v,
                                                shard->labels.n};
                x->wish.shard = &x->shard;
        }
        x->q.cancel = grpc_cancel_flag(x->st);
        return NULL;
}

/* --- answers --- */

static void put_buckets(struct arena *a, const struct buckets *b, struct pb_prom_histogram *to, bool negative)
{
        struct pb_bucket_span *spans = arena_array(a, struct pb_bucket_span, b->n_spans + 1u);
        for (uint32_t i = 0; i < b->n_spans; i++)
                spans[i] = (struct pb_bucket_span){b->spans[i].offset, b->spans[i].length};
        if (negative) {
                to->negative_spans.v = spans;
                to->negative_spans.n = b->n_spans;
                to->negative_counts.v = b->counts;
                to->negative_counts.n = b->n;
        } else {
                to->positive_spans.v = spans;
                to->positive_spans.n = b->n_spans;
                to->positive_counts.v = b->counts;
                to->positive_counts.n = b->n;
        }
}

static struct pb_prom_histogram put_histogram(struct arena *a, const struct histogram *h, TimeMs t)
{
        double *count = arena_new(a, double), *zero = arena_new(a, double);
        *count = h->count;
        *zero = h->zero_count;
        struct pb_prom_histogram to = {.count_float = count,
                                       .sum = h->sum,
                                       .schema = h->schema,
                                       .zero_threshold = h->zero_threshold,
                                       .zero_count_float = zero,
                                       .reset_hint = (int32_t)h->reset,
                                       .timestamp = t,
                                       .custom_values = {(double *)(uintptr_t)h->bounds, h->n_bounds}};
        put_buckets(a, &h->neg, &to, true);
        put_buckets(a, &h->pos, &to, false);
        return to;
}

static struct error *send_warnings(struct eval *x, const struct query_result *r)
{
        struct buf b = BUF_INIT(16 << 20);
        for (size_t i = 0; i < r->n_warnings + r->n_infos; i++) {
                buf_puts(&b, i ? ", " : "");
                buf_put(&b, i < r->n_warnings ? r->warnings[i] : r->infos[i - r->n_warnings]);
        }
        struct pb_query_response m = {.warnings = buf_str(&b)};
        struct error *e = b.n ? service_send(x->st, &pb_query_response, &m) : NULL;
        buf_done(&b);
        return e;
}

/* The series of an answer; with response_batch_size several in a message. */
struct out {
        struct eval *x;
        struct arena arena; /* of the series that wait */
        VEC(struct pb_time_series) waiting;
};

static struct error *out_flush(struct out *o)
{
        if (!o->waiting.n)
                return NULL;
        struct pb_time_series_batch batch = {.series = {o->waiting.p, o->waiting.n}};
        struct pb_query_response m = {0};
        if (o->x->batch > 1)
                m.timeseries_batch = &batch;
        else
                m.timeseries = &o->waiting.p[0];
        struct error *e = service_send(o->x->st, &pb_query_response, &m);
        vec_clear(&o->waiting);
        arena_clear(&o->arena);
        return e;
}

static struct error *out_add(struct out *o, const struct pb_time_series *s)
{
        vec_push(&o->waiting, *s);
        return (int64_t)o->waiting.n >= o->x->batch ? out_flush(o) : NULL;
}

static struct error *put_series(struct out *o, const struct result_series *s)
{
        struct arena *a = &o->arena;
        struct pb_time_series to = {0};
        struct pb_label *l = arena_array(a, struct pb_label, s->labels.n + 1);
        for (size_t i = 0; i < s->labels.n; i++)
                l[i] = (struct pb_label){s->labels.v[i].name, s->labels.v[i].value};
        to.labels.v = l;
        to.labels.n = s->labels.n;
        struct pb_sample *v = arena_array(a, struct pb_sample, s->n + 1);
        for (size_t i = 0; i < s->n; i++)
                v[i] = (struct pb_sample){s->v[i], s->t[i]};
        to.samples.v = v;
        to.samples.n = s->n;
        struct pb_prom_histogram *h = arena_array(a, struct pb_prom_histogram, s->n_h + 1);
        for (size_t i = 0; i < s->n_h; i++)
                h[i] = put_histogram(a, s->h[i], s->h_t[i]);
        to.histograms.v = h;
        to.histograms.n = s->n_h;
        return out_add(o, &to);
}

static struct error *send_result(struct eval *x, const struct query_result *r)
{
        struct out o = {.x = x};
        struct error *e = NULL;
        arena_init(&o.arena, SIZE_MAX);
        if (r->type == VALUE_SCALAR) {
                struct pb_sample v = {r->scalar, r->scalar_t};
                e = out_add(&o, &(struct pb_time_series){.samples = {&v, 1}});
                if (!e)
                        e = out_flush(&o);
        } else if (r->type != VALUE_STRING) {
                for (size_t i = 0; i < r->n_series && !e; i++)
                        e = put_series(&o, &r->series[i]);
        }
        if (!e)
                e = out_flush(&o);
        vec_done(&o.waiting);
        arena_done(&o.arena);
        struct pb_query_stats_short stats = {0};
        struct pb_query_response m = {.stats = &stats};
        return e ? e : service_send(x->st, &pb_query_response, &m);
}

static void run(struct eval *x, bool instant, struct error *take_e)
{
        struct query_result r = {.type = VALUE_NONE};
        if (take_e) {
                service_fail(x->st, take_e, GRPC_INVALID_ARGUMENT);
        } else {
                struct error *e = query_run(x->s->o.core, &x->view, &x->wish, &x->q, instant, &r);
                if (e) { /* what cannot be parsed is no Status there, and so UNKNOWN */
                        service_fail(x->st, e, error_is(e, ERROR_INVALID) ? GRPC_UNKNOWN : GRPC_ABORTED);
                } else {
                        e = send_warnings(x, &r);
                        if (!e)
                                e = send_result(x, &r);
                        service_fail(x->st, e, GRPC_INTERNAL);
                }
        }
        query_result_done(&r);
        for (size_t i = 0; i < x->matchers.n; i++)
                matcher_vec_done(&x->matchers.p[i]);
        vec_done(&x->matchers);
}

void service_query(struct grpc_stream *st, void *ctx)
{
        struct pb_query_request r = {0};
        struct eval x = {.s = ctx, .st = st};
        if (!service_recv(st, &pb_query_request, &r))
                return;
        x.batch = r.response_batch_size;
        x.wish.dedup = r.enable_dedup;
        x.wish.partial_response = r.enable_partial_response;
        x.wish.replica_labels = r.replica_labels.v;
        x.wish.n_replica_labels = r.replica_labels.n;
        x.q.text = r.query;
        x.q.start_ms = x.q.end_ms = r.time_seconds ? times(r.time_seconds, 1000) : time_now_ms();
        resolution(&x, r.max_resolution_seconds, r.lookback_delta_seconds);
        struct error *e = common(&x, r.shard_info, r.engine, r.timeout_seconds);
        if (!e)
                e = store_match(&x, r.store_matchers.v, r.store_matchers.n);
        run(&x, true, e);
}

void service_query_range(struct grpc_stream *st, void *ctx)
{
        struct pb_query_range_request r = {0};
        struct eval x = {.s = ctx, .st = st};
        if (!service_recv(st, &pb_query_range_request, &r))
                return;
        x.batch = r.response_batch_size;
        x.wish.dedup = r.enable_dedup;
        x.wish.partial_response = r.enable_partial_response;
        x.wish.replica_labels = r.replica_labels.v;
        x.wish.n_replica_labels = r.replica_labels.n;
        x.q.text = r.query;
        x.q.start_ms = times(r.start_time_seconds, 1000);
        x.q.end_ms = times(r.end_time_seconds, 1000);
        x.q.step_ms = times(r.interval_seconds, 1000);
        resolution(&x, r.max_resolution_seconds, r.lookback_delta_seconds);
        struct error *e = common(&x, r.shard_info, r.engine, r.timeout_seconds);
        if (!e && x.q.step_ms <= 0)
                e = error_new(ERROR_INVALID, "zero or negative query resolution step widths are not accepted. Try a positive integer");
        if (!e)
                e = store_match(&x, r.store_matchers.v, r.store_matchers.n);
        run(&x, false, e);
}
