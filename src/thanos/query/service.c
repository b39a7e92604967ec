/* SPDX-License-Identifier: Apache-2.0 */
/* service.c — thanos.Store and thanos.info.Info of the querier. */
#include "thanos/query/service.h"

#include "base/hash.h"
#include "codec/proto.h"
#include "codec/varint.h"
#include "thanos/query/service_impl.h"

enum { SAMPLES_OF_A_CHUNK = 120, STORE_TYPE_QUERY = 1 };

/* --- requests --- */

struct grpc_pair service_tenant(struct grpc_stream *st)
{
        Str t = grpc_metadata(st, STR("thanos-tenant"));
        return (struct grpc_pair){STR("thanos-tenant"), t.n ? t : STR("default-tenant")};
}

struct error *service_matchers(const struct pb_label_matcher *v, size_t n, MatcherVec *to)
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

bool service_recv(struct grpc_stream *st, const struct pb_message *m, void *ret)
{
        Str request;
        struct error *e = grpc_recv_only(st, &request);
        if (e) {
                error_ignore(e, "the status is set");
                return false;
        }
        /* The bytes may go with the next call on the stream, the strings of the message are in them. */
        char *copy = arena_alloc(grpc_arena(st), request.n + 1);
        if (request.n)
                memcpy(copy, request.p, request.n);
        e = pb_decode(m, (Str){copy, request.n}, grpc_arena(st), ret);
        if (e)
                grpc_fail(st, GRPC_INTERNAL, "grpc: error unmarshalling request: %s", error_str(e));
        error_free(e);
        return !e;
}

struct error *service_send(struct grpc_stream *st, const struct pb_message *m, const void *v)
{
        struct buf b = BUF_INIT(SERVICE_FRAME_BYTES_MAX);
        pb_encode(m, v, &b);
        struct error *e = buf_is_over(&b) ? error_new(ERROR_LIMIT, "an answer of more than %d bytes", SERVICE_FRAME_BYTES_MAX)
                                          : grpc_send(st, buf_str(&b));
        buf_done(&b);
        return e;
}

void service_fail(struct grpc_stream *st, struct error *take_e, int other)
{
        if (!take_e)
                return;
        int code = other;
        if (error_is(take_e, ERROR_LIMIT))
                code = GRPC_RESOURCE_EXHAUSTED;
        else if (error_is(take_e, ERROR_CANCELLED))
                code = GRPC_CANCELLED;
        grpc_fail(st, code, "%s", error_str(take_e));
        error_free(take_e);
}

/* --- a call's view of the stores --- */

struct call {
        struct query_service *s;
        struct grpc_stream *st;
        MatcherVec matchers;
        struct grpc_pair tenant;
        struct query_wish wish;
        struct query_view view;
        struct arena arena;
        struct querier *q;
};

/* Matchers on selector labels are answered here: false is that none of our series can match. */
static bool take_selector_labels(struct call *c)
{
        size_t kept = 0;
        bool fits = true;
        for (size_t i = 0; i < c->matchers.n; i++) {
                struct matcher *m = c->matchers.p[i];
                if (!labels_has(c->s->o.selector_labels, m->name)) {
                        c->matchers.p[kept++] = m;
                        continue;
                }
                fits = fits && matcher_matches(m, labels_get(c->s->o.selector_labels, m->name));
                matcher_free(m);
        }
        c->matchers.n = kept;
        return fits;
}

static void call_init(struct call *c, struct query_service *s, struct grpc_stream *st)
{
        *c = (struct call){.s = s, .st = st, .tenant = service_tenant(st)};
        arena_init(&c->arena, SERVICE_ARENA_BYTES_MAX);
        c->wish.metadata = &c->tenant;
        c->wish.n_metadata = 1;
        int64_t left = grpc_time_left_ms(st);
        c->wish.timeout_ms = left == INT64_MAX ? 0 : MAX(left, (int64_t)1);
}

static struct error *call_open(struct call *c, TimeMs mint, TimeMs maxt, const Str *without, size_t n_without)
{
        c->wish.dedup = n_without > 0;
        c->wish.replica_labels = without;
        c->wish.n_replica_labels = n_without;
        struct storage *st = query_view_init(&c->view, c->s->o.core, &c->wish, grpc_cancel_flag(c->st));
        return storage_querier(st, mint, maxt, &c->arena, &c->q);
}

static void call_done(struct call *c)
{
        querier_close(c->q);
        matcher_vec_done(&c->matchers);
        arena_done(&c->arena);
}

static const struct matcher *const *view(const MatcherVec *v)
{
        return (const struct matcher *const *)v->p;
}

/* --- Series --- */

static struct pb_chunk *put_chunk(const struct chunk *c, struct pb_chunk *to)
{
        if (c->encoding == CHUNK_NONE)
                return NULL;
        *to = (struct pb_chunk){.type = (int32_t)c->encoding - 1,
                                .data = c->data,
                                .hash = c->ref ? c->ref : hash_str(c->data)};
        return to;
}

struct out {
        struct call *c;
        int64_t batch;
        struct buf frame, one;
        struct arena scratch; /* of one series */
        int64_t n;
        uint64_t n_series, n_chunks;
        size_t n_warnings; /* of the querier, sent already */
};

static struct error *out_flush(struct out *o)
{
        if (!o->n)
                return NULL;
        struct buf whole = BUF_INIT(SERVICE_FRAME_BYTES_MAX);
        struct error *e = NULL;
        if (o->batch > 1) {
                buf_putc(&whole, 4 << 3 | 2);
                buf_put_uvarint(&whole, o->frame.n);
        }
        buf_put(&whole, buf_str(&o->frame));
        if (buf_is_over(&whole) || buf_is_over(&o->frame))
                e = error_new(ERROR_LIMIT, "a series of more than %d bytes", SERVICE_FRAME_BYTES_MAX);
        else
                e = grpc_send(o->c->st, buf_str(&whole));
        buf_done(&whole);
        buf_clear(&o->frame);
        o->n = 0;
        return e;
}

static struct error *put_series(struct out *o, Labels labels, const PartVec *parts)
{
        enum { FRAME_BYTES = 1 << 20 };
        struct arena *a = &o->scratch;
        arena_clear(a);
        struct pb_label *l = arena_array(a, struct pb_label, labels.n + 1);
        for (size_t i = 0; i < labels.n; i++)
                l[i] = (struct pb_label){labels.v[i].name, labels.v[i].value};
        struct pb_aggr_chunk *v = arena_array(a, struct pb_aggr_chunk, parts->n + 1);
        struct pb_chunk *c = arena_array(a, struct pb_chunk, parts->n * 6 + 1);
        for (size_t i = 0; i < parts->n; i++, c += 6) {
                const struct part *p = &parts->p[i];
                v[i] = (struct pb_aggr_chunk){.min_time = p->mint_ms, .max_time = p->maxt_ms};
                v[i].raw = put_chunk(&p->raw, &c[0]);
                v[i].count = put_chunk(&p->count, &c[1]);
                v[i].sum = put_chunk(&p->sum, &c[2]);
                v[i].min = put_chunk(&p->min, &c[3]);
                v[i].max = put_chunk(&p->max, &c[4]);
                v[i].counter = put_chunk(&p->counter, &c[5]);
        }
        struct pb_series s = {.labels = {l, labels.n}, .chunks = {v, parts->n}};
        buf_clear(&o->one);
        pb_encode(&pb_series, &s, &o->one);
        if (buf_is_over(&o->one))
                return error_new(ERROR_LIMIT, "a series of more than %d bytes", SERVICE_FRAME_BYTES_MAX);
        buf_putc(&o->frame, 1 << 3 | 2);
        buf_put_uvarint(&o->frame, o->one.n);
        buf_put(&o->frame, buf_str(&o->one));
        o->n++;
        return o->n >= o->batch || o->frame.n >= FRAME_BYTES ? out_flush(o) : NULL;
}

static struct error *put_warnings(struct out *o)
{
        StrVec w = VEC_INIT;
        struct error *e = NULL;
        querier_warnings(o->c->q, &w);
        for (; o->n_warnings < w.n && !e; o->n_warnings++) {
                struct pb_series_response r = {.warning = w.p[o->n_warnings]};
                e = service_send(o->c->st, &pb_series_response, &r);
        }
        vec_done(&w);
        return e;
}

static void count_dropped(struct query_service *s, const char *reason)
{
        if (s->dropped)
                metric_add(metric_with(s->dropped, (Str[]){str_from(reason)}), 1);
}

static struct error *check_limits(struct out *o, size_t chunks)
{
        const struct query_service_opts *l = &o->c->s->o;
        o->n_series++;
        o->n_chunks += chunks;
        if (l->series_max && o->n_series > l->series_max) {
                count_dropped(o->c->s, "series");
                return error_new(ERROR_LIMIT, "failed to process series: limit %llu violated (got %llu)",
                                 (unsigned long long)l->series_max, (unsigned long long)o->n_series);
        }
        if (l->samples_max && o->n_chunks * SAMPLES_OF_A_CHUNK > l->samples_max) {
                count_dropped(o->c->s, "samples");
                return error_new(ERROR_LIMIT, "failed to process samples: limit %llu violated (got %llu)",
                                 (unsigned long long)l->samples_max, (unsigned long long)o->n_chunks * SAMPLES_OF_A_CHUNK);
        }
        return NULL;
}

static struct error *send_series(struct call *c, struct pb_series_request *r)
{
        struct out o = {.c = c,
                        .batch = r->response_batch_size,
                        .frame = BUF_INIT(SERVICE_FRAME_BYTES_MAX),
                        .one = BUF_INIT(SERVICE_FRAME_BYTES_MAX)};
        struct proxy_set *set = NULL;
        int64_t limit = r->limit;
        arena_init(&o.scratch, SERVICE_ARENA_BYTES_MAX);
        struct error *e = proxy_open(CONTAINER_OF(c->q, struct proxy_querier, base), r, view(&c->matchers),
                                     c->matchers.n, &set);
        if (!e)
                proxy_set_forget_labels(set);
        for (bool more = true; !e;) {
                Labels labels;
                PartVec *parts;
                e = proxy_set_next(set, &labels, &parts, &more);
                if (e || !more || (limit > 0 && (int64_t)o.n_series >= limit))
                        break;
                parts_sort_and_thin(parts);
                e = check_limits(&o, parts->n);
                if (!e)
                        e = put_warnings(&o);
                if (!e)
                        e = put_series(&o, labels, parts);
        }
        if (!e)
                e = put_warnings(&o);
        if (!e)
                e = out_flush(&o);
        arena_done(&o.scratch);
        buf_done(&o.frame);
        buf_done(&o.one);
        return e;
}

static void on_series(struct grpc_stream *st, void *ctx)
{
        struct pb_series_request r = {0};
        struct call c;
        if (!service_recv(st, &pb_series_request, &r))
                return;
        r.hints = NULL; /* not for the stores, as upstream */
        call_init(&c, ctx, st);
        struct error *e = service_matchers(r.matchers.v, r.matchers.n, &c.matchers);
        bool fits = !e && take_selector_labels(&c);
        int other = GRPC_INVALID_ARGUMENT;
        if (fits && c.matchers.n == 0)
                e = error_new(ERROR_INVALID, "no matchers specified (excluding selector labels)");
        if (fits && !e) {
                other = GRPC_ABORTED;
                c.wish.partial_response =
                        !r.partial_response_disabled && r.partial_response_strategy == PB_STRATEGY_WARN;
                c.wish.max_resolution_ms = r.max_resolution_window;
                e = call_open(&c, r.min_time, r.max_time, r.without_replica_labels.v, r.without_replica_labels.n);
                if (!e)
                        e = send_series(&c, &r);
        }
        service_fail(st, e, other);
        call_done(&c);
}

/* --- labels --- */

static void send_strs(struct call *c, const StrVec *v)
{
        StrVec w = VEC_INIT;
        querier_warnings(c->q, &w);
        struct pb_label_names_response r = {.names = {v->p, v->n}, .warnings = {w.p, w.n}};
        service_fail(c->st, service_send(c->st, &pb_label_names_response, &r), GRPC_INTERNAL);
        vec_done(&w);
}

/* Names and values have the same answer: strings in field 1, warnings in field 2. */
static void on_label_names(struct grpc_stream *st, void *ctx)
{
        struct pb_label_names_request r = {0};
        struct call c;
        StrVec out = VEC_INIT;
        if (!service_recv(st, &pb_label_names_request, &r))
                return;
        call_init(&c, ctx, st);
        struct error *e = service_matchers(r.matchers.v, r.matchers.n, &c.matchers);
        bool fits = !e && take_selector_labels(&c);
        c.wish.partial_response = !r.partial_response_disabled;
        if (!e)
                e = call_open(&c, r.start, r.end, r.without_replica_labels.v, r.without_replica_labels.n);
        if (!e && fits)
                e = querier_label_names(c.q, view(&c.matchers), c.matchers.n, r.limit > 0 ? (size_t)r.limit : 0, &out);
        if (e)
                service_fail(st, e, error_is(e, ERROR_INVALID) ? GRPC_INVALID_ARGUMENT : GRPC_ABORTED);
        else
                send_strs(&c, &out);
        vec_done(&out);
        call_done(&c);
}

static void on_label_values(struct grpc_stream *st, void *ctx)
{
        struct pb_label_values_request r = {0};
        struct call c;
        StrVec out = VEC_INIT;
        if (!service_recv(st, &pb_label_values_request, &r))
                return;
        if (r.label.n == 0) {
                grpc_fail(st, GRPC_INVALID_ARGUMENT, "label name parameter cannot be empty");
                return;
        }
        call_init(&c, ctx, st);
        struct error *e = service_matchers(r.matchers.v, r.matchers.n, &c.matchers);
        bool fits = !e && take_selector_labels(&c);
        c.wish.partial_response = !r.partial_response_disabled;
        if (!e)
                e = call_open(&c, r.start, r.end, r.without_replica_labels.v, r.without_replica_labels.n);
        if (!e && fits)
                e = querier_label_values(c.q, r.label, view(&c.matchers), c.matchers.n,
                                         r.limit > 0 ? (size_t)r.limit : 0, &out);
        if (e)
                service_fail(st, e, error_is(e, ERROR_INVALID) ? GRPC_INVALID_ARGUMENT : GRPC_ABORTED);
        else
                send_strs(&c, &out);
        vec_done(&out);
        call_done(&c);
}

/* --- Info --- */

static struct pb_label_set label_set(struct arena *a, Labels l, Labels more)
{
        Label *v = arena_array(a, Label, l.n + more.n + 1);
        size_t n = 0;
        for (size_t i = 0; i < l.n; i++)
                if (!labels_has(more, l.v[i].name))
                        v[n++] = l.v[i];
        for (size_t i = 0; i < more.n; i++)
                v[n++] = more.v[i];
        labels_sort(v, n);
        struct pb_label *to = arena_array(a, struct pb_label, n + 1);
        for (size_t i = 0; i < n; i++)
                to[i] = (struct pb_label){v[i].name, v[i].value};
        return (struct pb_label_set){.labels = {to, n}};
}

static int label_set_cmp(const void *x, const void *y)
{
        const struct pb_label_set *a = x, *b = y;
        for (size_t i = 0; i < a->labels.n && i < b->labels.n; i++) {
                int c = str_cmp(a->labels.v[i].name, b->labels.v[i].name);
                c = c ? c : str_cmp(a->labels.v[i].value, b->labels.v[i].value);
                if (c)
                        return c;
        }
        return (a->labels.n > b->labels.n) - (a->labels.n < b->labels.n);
}

/* Of all stores, without those that are told twice. */
static void put_label_sets(const struct query_service *s, const struct endpoint_list *l, struct arena *a,
                           struct pb_label_set **ret, size_t *ret_n)
{
        size_t n = 0, kept = 0;
        for (size_t i = 0; i < l->n; i++)
                n += l->v[i].n_label_sets;
        struct pb_label_set *v = arena_array(a, struct pb_label_set, n + 1);
        n = 0;
        for (size_t i = 0; i < l->n; i++)
                for (size_t k = 0; l->v[i].has_store && l->v[i].is_usable && k < l->v[i].n_label_sets; k++)
                        v[n++] = label_set(a, l->v[i].label_sets[k], s->o.selector_labels);
        if (n == 0 && s->o.selector_labels.n)
                v[n++] = label_set(a, (Labels){0}, s->o.selector_labels);
        if (n > 1)
                qsort(v, n, sizeof *v, label_set_cmp);
        for (size_t i = 0; i < n; i++)
                if (!kept || label_set_cmp(&v[kept - 1], &v[i]) != 0)
                        v[kept++] = v[i];
        *ret = v;
        *ret_n = kept;
}

static void put_store(const struct endpoint_list *l, struct arena *a, struct pb_store_info *ret)
{
        size_t n = 0;
        bool any = false;
        *ret = (struct pb_store_info){.min_time = INT64_MAX,
                                      .max_time = INT64_MIN,
                                      .supports_sharding = true,
                                      .supports_without_replica_labels = true};
        for (size_t i = 0; i < l->n; i++)
                n += l->v[i].n_tsdbs;
        struct pb_tsdb_info *v = arena_array(a, struct pb_tsdb_info, n + 1);
        n = 0;
        for (size_t i = 0; i < l->n; i++) {
                const struct endpoint *ep = &l->v[i];
                if (!ep->has_store || !ep->is_usable)
                        continue;
                any = true;
                ret->min_time = MIN(ret->min_time, ep->mint_ms);
                ret->max_time = MAX(ret->max_time, ep->maxt_ms);
                for (size_t k = 0; k < ep->n_tsdbs; k++)
                        v[n++] = (struct pb_tsdb_info){label_set(a, ep->tsdbs[k].labels, (Labels){0}),
                                                       ep->tsdbs[k].mint_ms, ep->tsdbs[k].maxt_ms};
        }
        if (!any) {
                ret->min_time = INT64_MIN;
                ret->max_time = INT64_MAX;
        }
        ret->tsdb_infos.v = v;
        ret->tsdb_infos.n = n;
}

static void on_info(struct grpc_stream *st, void *ctx)
{
        struct query_service *s = ctx;
        struct pb_nothing request = {0}, here = {0};
        if (!service_recv(st, &pb_nothing, &request))
                return;
        struct endpoint_list *l = endpoints_get(s->o.core->endpoints);
        struct arena *a = grpc_arena(st);
        struct pb_store_info store;
        struct pb_exemplars_info exemplars = {.min_time = INT64_MIN, .max_time = INT64_MAX};
        struct pb_info_response r = {.component_type = STR("query"),
                                     .store = &store,
                                     .rules = &here,
                                     .metric_metadata = &here,
                                     .targets = &here,
                                     .exemplars = &exemplars,
                                     .query = &here};
        put_label_sets(s, l, a, &r.label_sets.v, &r.label_sets.n);
        put_store(l, a, &store);
        service_fail(st, service_send(st, &pb_info_response, &r), GRPC_INTERNAL);
        endpoint_list_unref(l);
}

/* thanos.Store/Info: what queriers up to 0.36 ask where the other is missing. */
static void on_old_info(struct grpc_stream *st, void *ctx)
{
        struct query_service *s = ctx;
        struct pb_nothing request = {0};
        if (!service_recv(st, &pb_nothing, &request))
                return;
        struct endpoint_list *l = endpoints_get(s->o.core->endpoints);
        struct buf b = BUF_INIT(SERVICE_FRAME_BYTES_MAX);
        struct pb_store_info store;
        struct pb_info_response sets = {0};
        put_label_sets(s, l, grpc_arena(st), &sets.label_sets.v, &sets.label_sets.n);
        put_store(l, grpc_arena(st), &store);
        proto_put_uint(&b, 2, (uint64_t)store.min_time);
        proto_put_uint(&b, 3, (uint64_t)store.max_time);
        proto_put_uint(&b, 4, STORE_TYPE_QUERY);
        for (size_t i = 0; i < sets.label_sets.n; i++) {
                size_t at = proto_begin(&b, 5);
                pb_encode(&pb_label_set, &sets.label_sets.v[i], &b);
                proto_end(&b, at);
        }
        service_fail(st, grpc_send(st, buf_str(&b)), GRPC_INTERNAL);
        buf_done(&b);
        endpoint_list_unref(l);
}

/* --- life --- */

struct query_service *query_service_new(const struct query_service_opts *o)
{
        struct query_service *s = mem_new(struct query_service);
        s->o = *o;
        if (o->metrics)
                s->dropped = metric_family(o->metrics, METRIC_FAMILY_COUNTER, "thanos_store_selects_dropped_total",
                                           "Number of select queries to the store that were dropped due to limits.",
                                           (const char *[]){"reason", NULL});
        return s;
}

void query_service_free(struct query_service *s)
{
        free(s);
}

static const struct {
        const char *path;
        grpc_handler *fn;
} methods[] = {
        {"/thanos.Store/Series", on_series},
        {"/thanos.Store/LabelNames", on_label_names},
        {"/thanos.Store/LabelValues", on_label_values},
        {"/thanos.Store/Info", on_old_info},
        {"/thanos.info.Info/Info", on_info},
        {"/thanos.Query/Query", service_query},
        {"/thanos.Query/QueryRange", service_query_range},
        {"/thanos.Rules/Rules", service_rules},
        {"/thanos.Targets/Targets", service_targets},
        {"/thanos.Metadata/MetricMetadata", service_metadata},
        {"/thanos.Exemplars/Exemplars", service_exemplars},
};

void query_service_register(struct query_service *s, struct grpc_server *server)
{
        for (size_t i = 0; i < ARRAY_LEN(methods); i++)
                grpc_server_handle(server, methods[i].path, methods[i].fn, s);
}

const char *const *query_service_methods(void)
{
        static const char *paths[ARRAY_LEN(methods) + 1];
        for (size_t i = 0; i < ARRAY_LEN(methods); i++)
                paths[i] = methods[i].path;
        return paths;
}
