/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_test.c — the proxy over stores that are gRPC servers in this process. */
#include "thanos/query/proxy.h"

#include <stdatomic.h>
#include <stdio.h>

#include "base/test.h"
#include "base/thread.h"
#include "io/grpc/server.h"
#include "storage/decode.h"
#include "thanos/storeapi/messages.h"

/* --- stores --- */

struct run { /* n samples from t on, step apart: v, v + dv, … */
        TimeMs t, step;
        int n;
        double v, dv;
};
enum column { RAW, COUNT, SUM, MIN_, MAX_, COUNTER, COLUMNS };
struct fake_chunk {
        struct run columns[COLUMNS]; /* n == 0: not there */
        bool ends_twice;             /* the counter's last sample comes again, with the value 1 */
};
struct fake_series {
        const char *labels; /* a=1,b=2 */
        struct fake_chunk chunks[4];
};
enum mode { FINE, HANGS, FAILS_AT_ONCE, FAILS_LATER, HANGS_LATER, NO_PROTOBUF, BAD_CHUNK, WARNS, BATCHES, FLOODS };
enum { FLOOD_SERIES = 3000, FLOOD_BYTES = 20000 };

struct fake {
        struct grpc_server *server;
        char address[32];
        const char *external; /* labels; NULL: none */
        TimeMs mint_ms, maxt_ms;
        bool without_replica_labels;
        _Atomic int mode; /* enum mode */
        const struct fake_series *series;
        size_t n_series;
        const Str *texts; /* of names and values */
        size_t n_texts;
        _Atomic int asked;
        _Atomic size_t sent;
        struct mutex mu; /* guards request, what */
        struct buf request;
        char what[32];
};

static Labels labels_of(struct arena *a, const char *text)
{
        LabelVec v = VEC_INIT;
        Str rest = str_from(text), field, name, value;
        while (str_next(&rest, ',', &field))
                if (str_cut(field, '=', &name, &value))
                        vec_push(&v, (Label){name, value});
        Labels l = labels_dup(a, (Labels){v.p, v.n});
        vec_done(&v);
        return l;
}

static struct pb_label_set set_of(struct arena *a, const char *text)
{
        Labels l = labels_of(a, text);
        struct pb_label_set s = {.labels = {arena_array(a, struct pb_label, l.n + 1), l.n}};
        for (size_t i = 0; i < l.n; i++)
                s.labels.v[i] = (struct pb_label){l.v[i].name, l.v[i].value};
        return s;
}

static struct pb_chunk *chunk_of(struct arena *a, struct run r, bool twice)
{
        if (!r.n)
                return NULL;
        struct samples s = SAMPLES_INIT;
        for (int i = 0; i < r.n; i++)
                samples_push(&s, r.t + i * r.step, r.v + i * r.dv);
        if (twice)
                samples_push(&s, s.t[s.n - 1], 1);
        struct chunk *c;
        size_t n;
        CHECK_OK(samples_encode(s.t, s.v, s.n, a, &c, &n));
        CHECK_U64(n, 1);
        samples_done(&s);
        struct pb_chunk *p = arena_new(a, struct pb_chunk);
        p->data = c->data;
        return p;
}

static struct pb_series series_of(struct arena *a, const struct fake_series *x, enum mode mode)
{
        struct pb_series s = {.chunks = {arena_array(a, struct pb_aggr_chunk, ARRAY_LEN(x->chunks)), 0}};
        struct pb_label_set set = set_of(a, x->labels);
        s.labels.v = set.labels.v;
        s.labels.n = set.labels.n;
        for (size_t i = 0; i < ARRAY_LEN(x->chunks); i++) {
                const struct fake_chunk *c = &x->chunks[i];
                const struct run *r = NULL;
                for (int k = 0; k < COLUMNS && !r; k++)
                        if (c->columns[k].n)
                                r = &c->columns[k];
                if (!r)
                        continue;
                struct pb_aggr_chunk *to = &s.chunks.v[s.chunks.n++];
                *to = (struct pb_aggr_chunk){.min_time = r->t,
                                             .max_time = r->t + (r->n - 1) * r->step,
                                             .raw = chunk_of(a, c->columns[RAW], false),
                                             .count = chunk_of(a, c->columns[COUNT], false),
                                             .sum = chunk_of(a, c->columns[SUM], false),
                                             .min = chunk_of(a, c->columns[MIN_], false),
                                             .max = chunk_of(a, c->columns[MAX_], false),
                                             .counter = chunk_of(a, c->columns[COUNTER], c->ends_twice)};
                if (mode == BAD_CHUNK && to->raw)
                        to->raw->type = 9;
        }
        return s;
}

static void keep_request(struct fake *f, struct grpc_stream *st, const char *what)
{
        Str m;
        struct error *e = grpc_recv_only(st, &m);
        if (e) {
                error_free(e);
                return;
        }
        mutex_lock(&f->mu);
        buf_clear(&f->request);
        buf_put(&f->request, m);
        snprintf(f->what, sizeof f->what, "%s", what);
        mutex_unlock(&f->mu);
        atomic_fetch_add(&f->asked, 1);
}

static void hang(struct grpc_stream *st)
{
        struct mutex mu = MUTEX_INIT;
        struct cond c;
        cond_init(&c);
        mutex_lock(&mu);
        while (!grpc_is_gone(st))
                cond_wait_ms(&c, &mu, 5);
        mutex_unlock(&mu);
        cond_done(&c);
}

static struct error *send_message(struct grpc_stream *st, const struct pb_message *type, const void *m)
{
        struct buf b = BUF_INIT(16 << 20);
        pb_encode(type, m, &b);
        struct error *e = grpc_send(st, buf_str(&b));
        buf_done(&b);
        return e;
}

static void info(struct grpc_stream *st, void *ctx)
{
        struct fake *f = ctx;
        struct arena a;
        arena_init(&a, 1 << 20);
        struct pb_label_set set = f->external ? set_of(&a, f->external) : (struct pb_label_set){0};
        struct pb_store_info store = {.min_time = f->mint_ms,
                                      .max_time = f->maxt_ms,
                                      .supports_without_replica_labels = f->without_replica_labels};
        struct pb_info_response r = {
                .label_sets = {&set, f->external ? 1 : 0}, .component_type = STR("store"), .store = &store};
        grpc_fail_error(st, send_message(st, &pb_info_response, &r));
        arena_done(&a);
}

static struct error *flood(struct fake *f, struct grpc_stream *st, struct arena *a)
{
        char *bytes = arena_zalloc(a, FLOOD_BYTES);
        memset(bytes, 'x', FLOOD_BYTES);
        struct error *e = NULL;
        for (int i = 0; i < FLOOD_SERIES && !e; i++) {
                char name[16];
                snprintf(name, sizeof name, "%06d", i);
                struct pb_label l[] = {{STR("a"), str_from(name)}, {STR("b"), {bytes, FLOOD_BYTES}}};
                struct pb_series s = {.labels = {l, 2}};
                e = send_message(st, &pb_series_response, &(struct pb_series_response){.series = &s});
                atomic_fetch_add(&f->sent, FLOOD_BYTES);
        }
        return e;
}

static void series(struct grpc_stream *st, void *ctx)
{
        struct fake *f = ctx;
        keep_request(f, st, "series");
        struct arena a;
        arena_init(&a, 16 << 20);
        struct error *e = NULL;
        if (f->mode == HANGS)
                hang(st);
        if (f->mode == FAILS_AT_ONCE)
                grpc_fail(st, GRPC_UNAVAILABLE, "disk on fire");
        if (f->mode == FLOODS)
                e = flood(f, st, &a);
        if (f->mode == WARNS)
                e = send_message(st, &pb_series_response,
                                 &(struct pb_series_response){.warning = STR("half of me is missing")});
        if (f->mode == BATCHES) {
                struct pb_series_batch b = {.series = {arena_array(&a, struct pb_series, f->n_series), f->n_series}};
                for (size_t i = 0; i < f->n_series; i++)
                        b.series.v[i] = series_of(&a, &f->series[i], f->mode);
                e = send_message(st, &pb_series_response, &(struct pb_series_response){.batch = &b});
        }
        for (size_t i = 0; i < f->n_series && !e && f->mode != BATCHES && f->mode != HANGS && f->mode != FAILS_AT_ONCE;
             i++) {
                struct pb_series s = series_of(&a, &f->series[i], f->mode);
                e = send_message(st, &pb_series_response, &(struct pb_series_response){.series = &s});
        }
        if (f->mode == NO_PROTOBUF && !e)
                e = grpc_send(st, STR("\x0a\xff\xff\xff\x7f garbage"));
        if (f->mode == HANGS_LATER)
                hang(st);
        if (f->mode == FAILS_LATER)
                grpc_fail(st, GRPC_ABORTED, "lost my bucket");
        grpc_fail_error(st, e);
        arena_done(&a);
}

static void names(struct grpc_stream *st, void *ctx)
{
        struct fake *f = ctx;
        keep_request(f, st, "names");
        struct pb_label_names_response r = {.names = {(Str *)(uintptr_t)f->texts, f->n_texts}};
        if (f->mode == HANGS)
                hang(st);
        else if (f->mode == FAILS_AT_ONCE)
                grpc_fail(st, GRPC_UNAVAILABLE, "disk on fire");
        else
                grpc_fail_error(st, send_message(st, &pb_label_names_response, &r));
}

static void values(struct grpc_stream *st, void *ctx)
{
        struct fake *f = ctx;
        keep_request(f, st, "values");
        struct pb_label_values_response r = {.values = {(Str *)(uintptr_t)f->texts, f->n_texts}};
        grpc_fail_error(st, send_message(st, &pb_label_values_response, &r));
}

/* --- a querier over them --- */

enum { FAKES_MAX = 4 };
struct fixture {
        struct grpc_client *cl;
        struct endpoints *es;
        struct fake *fakes[FAKES_MAX];
        size_t n;
        struct proxy proxy;
        struct arena arena;
        struct querier *q;
};

static void fixture_open(struct fixture *x, struct fake *const *fakes, size_t n)
{
        *x = (struct fixture){.n = n};
        struct endpoint_address v[FAKES_MAX];
        CHECK_OK(grpc_client_new("test", &x->cl));
        for (size_t i = 0; i < n; i++) {
                struct fake *f = x->fakes[i] = fakes[i];
                mutex_init(&f->mu);
                buf_init(&f->request, 1 << 20);
                if (!f->maxt_ms)
                        f->maxt_ms = TIME_MS_MAX;
                CHECK_OK(grpc_server_new(&(struct grpc_server_opts){.name = "fake", .loops = 1, .workers_max = 4},
                                         &f->server));
                grpc_server_handle(f->server, "/thanos.info.Info/Info", info, f);
                grpc_server_handle(f->server, "/thanos.Store/Series", series, f);
                grpc_server_handle(f->server, "/thanos.Store/LabelNames", names, f);
                grpc_server_handle(f->server, "/thanos.Store/LabelValues", values, f);
                CHECK_OK(grpc_server_listen(f->server, "127.0.0.1:0"));
                CHECK_OK(grpc_server_start(f->server));
                snprintf(f->address, sizeof f->address, "127.0.0.1:%d", grpc_server_port(f->server));
                v[i] = (struct endpoint_address){str_from(f->address), false};
        }
        CHECK_OK(endpoints_new(&(struct endpoints_opts){.client = x->cl, .addresses = v, .n_addresses = n}, &x->es));
        endpoints_update(x->es);
        struct endpoint_list *l = endpoints_get(x->es);
        CHECK_U64(l->n, n);
        endpoint_list_unref(l);
}

static void query_open(struct fixture *x, struct proxy_opts o, TimeMs mint_ms, TimeMs maxt_ms)
{
        o.endpoints = x->es;
        arena_init(&x->arena, 256 << 20);
        CHECK_OK(storage_querier(proxy_init(&x->proxy, &o), mint_ms, maxt_ms, &x->arena, &x->q));
}

static void query_close(struct fixture *x)
{
        querier_close(x->q);
        arena_done(&x->arena);
}

static void fixture_close(struct fixture *x)
{
        endpoints_free(x->es);
        grpc_client_free(x->cl);
        for (size_t i = 0; i < x->n; i++) {
                grpc_server_stop(x->fakes[i]->server, 0);
                grpc_server_free(x->fakes[i]->server);
                buf_done(&x->fakes[i]->request);
                mutex_done(&x->fakes[i]->mu);
        }
}

static struct error *select_all(struct fixture *x, const char *func, struct matcher *m, struct buf *out)
{
        struct select_hints h = {
                .start_ms = 0, .end_ms = 1000000, .func = str_from(func), .sorted = true, .step_ms = 7, .range_ms = 9};
        const struct matcher *ms[] = {m};
        struct series_set *set;
        struct samples s = SAMPLES_INIT;
        struct error *e = querier_select(x->q, &h, ms, m ? 1 : 0, &set);
        for (bool more = true; !e;) {
                struct series one;
                e = series_set_next(set, &one, &more);
                if (e || !more)
                        break;
                labels_print(out, one.labels);
                e = series_decode(&one, TIME_MS_MIN, TIME_MS_MAX, &s);
                for (size_t i = 0; i < s.n; i++)
                        buf_printf(out, " %lld:%g", (long long)s.t[i], s.v[i]);
                buf_puts(out, "\n");
        }
        samples_done(&s);
        return e;
}

/* What a query gives, and its warnings with @0 for the first store's name. */
static void query_case(struct fixture *x, struct proxy_opts o, const char *func, const char *want,
                       const char *want_warnings)
{
        struct buf out = BUF_INIT(1 << 20), w = BUF_INIT(1 << 20), expected = BUF_INIT(1 << 20);
        query_open(x, o, 0, 1000000);
        CHECK_OK(select_all(x, func, NULL, &out));
        CHECK_STR(buf_str(&out), want);
        StrVec v = VEC_INIT;
        querier_warnings(x->q, &v);
        for (size_t i = 0; i < v.n; i++)
                buf_printf(&w, STR_FMT "\n", STR_ARG(v.p[i]));
        for (const char *p = want_warnings; *p; p++) {
                if (*p == '@' && p[1] >= '0' && p[1] <= '9') {
                        const struct fake *f = x->fakes[*++p - '0'];
                        buf_printf(&expected, "Addr: %s LabelSets:  MinTime: %lld MaxTime: %lld", f->address,
                                   (long long)f->mint_ms, (long long)f->maxt_ms);
                } else {
                        buf_putc(&expected, *p);
                }
        }
        CHECK_STRS(buf_str(&w), buf_str(&expected));
        vec_done(&v);
        query_close(x);
        buf_done(&out);
        buf_done(&w);
        buf_done(&expected);
}

#define RAW_RUN(...)                                                                                                   \
        {                                                                                                              \
                .columns = { [RAW] = {__VA_ARGS__} }                                                                   \
        }
static const Str replica[] = {STR_INIT("replica")};
static const struct proxy_opts plain = {.partial_response = true},
                               dedup = {.partial_response = true, .replica_labels = replica, .n_replica_labels = 1};

TEST(proxy, merges_the_streams_of_stores)
{
        static const struct fake_series a[] = {
                {"a=1", {RAW_RUN(10, 10, 3, 1, 1)}},
                {"a=2", {RAW_RUN(10, 10, 2, 5, 0), RAW_RUN(30, 10, 2, 6, 0)}},
                {"a=4", {RAW_RUN(10, 10, 1, 4, 0)}},
        };
        static const struct fake_series b[] = {
                {"a=2", {RAW_RUN(30, 10, 2, 6, 0), RAW_RUN(50, 10, 1, 7, 0)}}, /* one chunk is the other store's too */
                {"a=3", {RAW_RUN(10, 10, 1, 3, 0)}},
                {"a=3,b=1", {RAW_RUN(10, 10, 1, 31, 0)}},
        };
        const char *want = "{a=\"1\"} 10:1 20:2 30:3\n{a=\"2\"} 10:5 20:5 30:6 40:6 50:7\n{a=\"3\"} 10:3\n{a=\"3\", "
                           "b=\"1\"} 10:31\n{a=\"4\"} 10:4\n";
        struct fake f = {.series = a, .n_series = 3}, g = {.series = b, .n_series = 3}, none = {0};
        struct fixture x;
        fixture_open(&x, (struct fake *[]){&f, &g, &none}, 3);
        query_case(&x, plain, "", want, "");
        f.mode = BATCHES;
        query_case(&x, plain, "", want, "");
        fixture_close(&x);
}

TEST(proxy, asks_what_the_function_wants)
{
        struct fake f = {.without_replica_labels = true}, g = {0};
        struct fixture x;
        fixture_open(&x, (struct fake *[]){&f, &g}, 2);
        struct proxy_opts o = dedup;
        o.max_resolution_ms = 300000;
        query_case(&x, o, "rate", "", "");
        struct arena a;
        struct pb_series_request r = {0};
        arena_init(&a, 1 << 20);
        CHECK_OK(pb_decode(&pb_series_request, buf_str(&f.request), &a, &r));
        CHECK_I64(r.min_time, 0);
        CHECK_I64(r.max_time, 1000000);
        CHECK_I64(r.max_resolution_window, 300000);
        CHECK_U64(r.aggregates.n, 1);
        CHECK_I64(r.aggregates.v[0], PB_AGGR_COUNTER);
        CHECK_STR(r.query_hints->func->name, "rate");
        CHECK_I64(r.query_hints->range->millis, 9);
        CHECK_I64(r.step, 7);
        CHECK_U64(r.without_replica_labels.n, 1);
        CHECK_STR(r.without_replica_labels.v[0], "replica");
        CHECK(!r.partial_response_disabled && !r.skip_chunks);
        r = (struct pb_series_request){0};
        CHECK_OK(pb_decode(&pb_series_request, buf_str(&g.request), &a, &r));
        CHECK_U64(r.without_replica_labels.n, 0); /* it could not */
        query_case(&x, o, "avg_over_time", "", "");
        r = (struct pb_series_request){0};
        CHECK_OK(pb_decode(&pb_series_request, buf_str(&f.request), &a, &r));
        CHECK_U64(r.aggregates.n, 2);
        CHECK_I64(r.aggregates.v[0], PB_AGGR_COUNT);
        CHECK_I64(r.aggregates.v[1], PB_AGGR_SUM);
        arena_done(&a);
        fixture_close(&x);
}

/* Two replicas 1 s apart, a minute a sample; the first has a gap of three. */
static const struct fake_series replica_a[] = {
        {"a=1,replica=a", {RAW_RUN(60000, 60000, 3, 1, 1), RAW_RUN(420000, 60000, 2, 7, 1)}},
        {"a=2,replica=a", {RAW_RUN(60000, 60000, 1, 2, 0)}},
};
static const struct fake_series replica_b[] = {
        {"a=1,replica=b", {RAW_RUN(61000, 60000, 8, 1, 1)}},
        {"a=3,replica=b", {RAW_RUN(60000, 60000, 1, 3, 0)}},
};

TEST(proxy, folds_replicas)
{
        struct fake f = {.series = replica_a, .n_series = 2, .without_replica_labels = true};
        struct fake g = {.series = replica_b, .n_series = 2, .without_replica_labels = true};
        struct fixture x;
        fixture_open(&x, (struct fake *[]){&f, &g}, 2);
        /* By the penalty the minute after the gap began is lost; when the first is there again it has lost its turn. */
        query_case(&x, dedup, "",
                   "{a=\"1\"} 60000:1 120000:2 180000:3 301000:5 361000:6 421000:7 481000:8\n{a=\"2\"} "
                   "60000:2\n{a=\"3\"} 60000:3\n",
                   "");
        fixture_close(&x);
}

/* Counters: the second replica is lower where it takes over; that of a=2 resets all the time. */
static const struct fake_series counter_a[] = {
        {"a=1,replica=a", {RAW_RUN(60000, 60000, 3, 100, 10)}},
        {"a=2,replica=a", {RAW_RUN(60000, 60000, 3, 100, 10)}},
};
static const struct fake_series counter_b[] = {
        {"a=1,replica=b", {RAW_RUN(61000, 60000, 7, 50, 10)}},
        {"a=2,replica=b", {RAW_RUN(61000, 60000, 6, 50, -10)}},
};

TEST(proxy, sees_no_reset_where_replicas_of_a_counter_change)
{
        struct fake f = {.series = counter_a, .n_series = 2, .without_replica_labels = true};
        struct fake g = {.series = counter_b, .n_series = 2, .without_replica_labels = true};
        struct fixture x;
        fixture_open(&x, (struct fake *[]){&f, &g}, 2);
        query_case(&x, dedup, "rate",
                   "{a=\"1\"} 60000:100 120000:110 180000:120 301000:120 361000:130 421000:140\n"
                   "{a=\"2\"} 60000:100 120000:110 180000:120 301000:150 361000:150\n",
                   "");
        query_case(&x, dedup, "",
                   "{a=\"1\"} 60000:100 120000:110 180000:120 301000:90 361000:100 421000:110\n"
                   "{a=\"2\"} 60000:100 120000:110 180000:120 301000:10 361000:0\n",
                   "");
        fixture_close(&x);
}

TEST(proxy, sorts_what_a_store_could_not)
{
        /* Sorted with the label, not without. */
        static const struct fake_series s[] = {
                {"a=1,replica=a,z=9", {RAW_RUN(10, 10, 2, 1, 0)}},
                {"a=1,replica=b,z=1", {RAW_RUN(10, 10, 2, 2, 0)}},
                {"a=1,replica=b,z=9", {RAW_RUN(10, 10, 2, 1, 0)}},
        };
        struct fake f = {.series = s, .n_series = 3};
        struct fixture x;
        fixture_open(&x, (struct fake *[]){&f}, 1);
        query_case(&x, dedup, "", "{a=\"1\", z=\"1\"} 10:2 20:2\n{a=\"1\", z=\"9\"} 10:1 20:1\n", "");
        /* Without deduplication all labels stay. */
        query_case(&x, plain, "",
                   "{a=\"1\", replica=\"a\", z=\"9\"} 10:1 20:1\n{a=\"1\", replica=\"b\", z=\"1\"} 10:2 20:2\n"
                   "{a=\"1\", replica=\"b\", z=\"9\"} 10:1 20:1\n",
                   "");
        /* What came before a failure is given. */
        f.mode = FAILS_LATER;
        query_case(&x, dedup, "", "{a=\"1\", z=\"1\"} 10:2 20:2\n{a=\"1\", z=\"9\"} 10:1 20:1\n",
                   "receive series from @0: rpc error: code = Aborted desc = lost my bucket\n");
        /* A store that says it can and does not is found out. */
        f.mode = FINE;
        f.without_replica_labels = true;
        endpoints_update(x.es);
        query_case(&x, dedup, "", "{a=\"1\", z=\"9\"} 10:1 20:1\n", "receive series from @0: series are not sorted\n");
        fixture_close(&x);
}

static const struct fake_series good[] = {{"a=1", {RAW_RUN(10, 10, 1, 1, 0)}}, {"a=3", {RAW_RUN(10, 10, 1, 3, 0)}}};
static const struct fake_series bad[] = {{"a=2", {RAW_RUN(10, 10, 1, 2, 0)}}};
static const char good_text[] = "{a=\"1\"} 10:1\n{a=\"3\"} 10:3\n",
                  both_text[] = "{a=\"1\"} 10:1\n{a=\"2\"} 10:2\n{a=\"3\"} 10:3\n";

static void loss_case(enum mode mode, const char *want, const char *warnings, const char *error)
{
        struct fake f = {.series = bad, .n_series = 1, .mode = mode}, g = {.series = good, .n_series = 2};
        struct fixture x;
        fixture_open(&x, (struct fake *[]){&f, &g}, 2);
        struct proxy_opts o = {.partial_response = true,
                               .response_timeout_ms = mode == HANGS || mode == HANGS_LATER ? 500 : 20000};
        query_case(&x, o, "", want, warnings);
        /* Whoever wants all gets nothing. */
        o.partial_response = false;
        query_open(&x, o, 0, 1000000);
        struct buf out = BUF_INIT(10000);
        struct error *e = select_all(&x, "", NULL, &out);
        CHECK(e);
        CHECK_MSG(str_contains(str_from(error_str(e)), str_from(error)), "%s", error_str(e));
        error_free(e);
        buf_done(&out);
        query_close(&x);
        fixture_close(&x);
}

TEST(proxy, a_lost_store_costs_its_data_and_a_warning)
{
        loss_case(FAILS_AT_ONCE, good_text,
                  "receive series from @0: rpc error: code = Unavailable desc = disk on fire\n", "disk on fire");
        loss_case(FAILS_LATER, both_text, "receive series from @0: rpc error: code = Aborted desc = lost my bucket\n",
                  "lost my bucket");
        loss_case(WARNS, both_text, "half of me is missing\n", "half of me is missing");
}

TEST(proxy, a_hanging_store_costs_its_data_and_a_warning)
{
        loss_case(HANGS, good_text, "failed to receive any data in 0.5s from @0\n", "failed to receive any data");
        loss_case(HANGS_LATER, both_text, "failed to receive any data in 0.5s from @0\n", "failed to receive any data");
}

TEST(proxy, a_store_of_garbage_costs_its_data_and_a_warning)
{
        loss_case(BAD_CHUNK, "{a=\"1\"} 10:1\n{a=\"2\"}\n{a=\"3\"} 10:3\n", "chunk from @0: chunk of unknown type 9\n",
                  "unknown type 9");
        struct fake f = {.series = bad, .n_series = 1, .mode = NO_PROTOBUF}, g = {.series = good, .n_series = 2};
        struct fixture x;
        fixture_open(&x, (struct fake *[]){&f, &g}, 2);
        query_open(&x, plain, 0, 1000000);
        struct buf out = BUF_INIT(10000);
        CHECK_OK(select_all(&x, "", NULL, &out));
        CHECK_STR(buf_str(&out), both_text);
        StrVec v = VEC_INIT;
        querier_warnings(x.q, &v);
        CHECK_U64(v.n, 1);
        CHECK_MSG(str_contains(v.p[0], str_from(f.address)) && str_contains(v.p[0], STR("decode series")), STR_FMT,
                  STR_ARG(v.p[0]));
        vec_done(&v);
        buf_done(&out);
        query_close(&x);
        fixture_close(&x);
}

static void ask_case(struct fixture *x, struct proxy_opts o, const char *name, const char *value, bool f, bool g,
                     bool h)
{
        struct matcher *m;
        struct buf out = BUF_INIT(10000);
        int before[FAKES_MAX];
        for (size_t i = 0; i < x->n; i++)
                before[i] = atomic_load(&x->fakes[i]->asked);
        CHECK_OK(matcher_new(MATCH_EQ, str_from(name), str_from(value), &m));
        query_open(x, o, 0, 1000000);
        CHECK_OK(select_all(x, "", m, &out));
        query_close(x);
        matcher_free(m);
        buf_done(&out);
        bool want[] = {f, g, h};
        for (size_t i = 0; i < x->n; i++)
                CHECK_I64(atomic_load(&x->fakes[i]->asked) - before[i], want[i]);
}

TEST(proxy, asks_only_stores_that_may_have_it)
{
        struct fake f = {.external = "cluster=eu,replica=a"}, g = {.external = "cluster=us"}, h = {.mint_ms = 1000001};
        struct fixture x;
        fixture_open(&x, (struct fake *[]){&f, &g, &h}, 3); /* h begins when the query ends */
        ask_case(&x, plain, "cluster", "eu", true, false, false);
        ask_case(&x, plain, "cluster", "us", false, true, false);
        ask_case(&x, plain, "cluster", "as", false, false, false);
        ask_case(&x, plain, "job", "eu", true, true, false);
        struct matcher *m;
        CHECK_OK(matcher_new(MATCH_EQ, STR("__address__"), str_from(g.address), &m));
        struct proxy_match match = {(const struct matcher *const *)&m, 1};
        struct proxy_opts o = {.store_match = &match, .n_store_match = 1, .partial_response = true};
        ask_case(&x, o, "job", "eu", false, true, false);
        matcher_free(m);
        fixture_close(&x);
}

TEST(proxy, reads_downsampled_chunks_as_the_function_wants)
{
        static const struct fake_series s[] = {
                {"a=1",
                 {{.columns = {[COUNT] = {10, 10, 3, 5, 0},
                               [SUM] = {10, 10, 3, 10, 5},
                               [MIN_] = {10, 10, 3, 1, 0},
                               [MAX_] = {10, 10, 3, 9, 1},
                               [COUNTER] = {10, 10, 3, 100, 10}},
                   .ends_twice = true},
                  {.columns = {[COUNT] = {40, 10, 2, 5, 0},
                               [SUM] = {40, 10, 2, 30, 0},
                               [MIN_] = {40, 10, 2, 2, 0},
                               [MAX_] = {40, 10, 2, 8, 0},
                               [COUNTER] = {40, 10, 2, 3, 10}}},
                  RAW_RUN(60, 10, 2, 14, 0)}},
        };
        struct fake f = {.series = s, .n_series = 1};
        struct fixture x;
        fixture_open(&x, (struct fake *[]){&f}, 1);
        struct proxy_opts o = plain;
        o.max_resolution_ms = 300000;
        query_case(&x, o, "", "{a=\"1\"} 10:2 20:3 30:4 40:6 50:6 60:14 70:14\n", "");
        query_case(&x, o, "count_over_time", "{a=\"1\"} 10:5 20:5 30:5 40:5 50:5 60:14 70:14\n", "");
        query_case(&x, o, "sum_over_time", "{a=\"1\"} 10:10 20:15 30:20 40:30 50:30 60:14 70:14\n", "");
        query_case(&x, o, "min_over_time", "{a=\"1\"} 10:1 20:1 30:1 40:2 50:2 60:14 70:14\n", "");
        query_case(&x, o, "max", "{a=\"1\"} 10:9 20:10 30:11 40:8 50:8 60:14 70:14\n", "");
        /* The true last value of the first chunk was 1: from there to 3 is no reset. 13 to 14 neither. */
        query_case(&x, o, "rate", "{a=\"1\"} 10:100 20:110 30:120 40:122 50:132 60:133 70:133\n", "");
        fixture_close(&x);
}

TEST(proxy, joins_label_names_and_values)
{
        static const Str one[] = {STR_INIT("a"), STR_INIT("c"), STR_INIT("replica")},
                         two[] = {STR_INIT("b"), STR_INIT("c")};
        struct fake f = {.texts = one, .n_texts = 3}, g = {.texts = two, .n_texts = 2}, h = {.mode = FAILS_AT_ONCE};
        struct fixture x;
        fixture_open(&x, (struct fake *[]){&f, &g, &h}, 3);
        query_open(&x, dedup, 5, 1000);
        StrVec v = VEC_INIT, w = VEC_INIT;
        CHECK_OK(querier_label_names(x.q, NULL, 0, 0, &v));
        CHECK_U64(v.n, 3);
        CHECK_STR(v.p[0], "a");
        CHECK_STR(v.p[1], "b");
        CHECK_STR(v.p[2], "c");
        querier_warnings(x.q, &w);
        CHECK_U64(w.n, 1);
        CHECK(str_has_prefix(w.p[0], STR("fetch label names from Addr: ")) &&
              str_contains(w.p[0], str_from(h.address)));
        vec_clear(&v);
        CHECK_OK(querier_label_values(x.q, STR("l"), NULL, 0, 3, &v));
        CHECK_U64(v.n, 3); /* of a, b, c, replica: here it is a value */
        CHECK_STR(v.p[2], "c");
        vec_clear(&v);
        CHECK_OK(querier_label_values(x.q, STR("replica"), NULL, 0, 0, &v));
        CHECK_U64(v.n, 0);
        query_close(&x);
        struct arena a;
        struct pb_label_values_request r = {0};
        arena_init(&a, 1 << 20);
        CHECK_OK(pb_decode(&pb_label_values_request, buf_str(&f.request), &a, &r));
        CHECK_STR(r.label, "l");
        CHECK_I64(r.start, 5);
        CHECK_I64(r.end, 1000);
        arena_done(&a);

        struct proxy_opts o = dedup;
        o.partial_response = false;
        query_open(&x, o, 5, 1000);
        struct error *e = querier_label_names(x.q, NULL, 0, 0, &v);
        CHECK(e && str_contains(str_from(error_str(e)), STR("disk on fire")));
        error_free(e);
        query_close(&x);
        vec_done(&v);
        vec_done(&w);
        fixture_close(&x);
}

TEST(proxy, a_fast_store_waits_for_the_reader)
{
        struct fake f = {.mode = FLOODS};
        struct fixture x;
        fixture_open(&x, (struct fake *[]){&f}, 1);
        query_open(&x, plain, 0, 1000000);
        struct select_hints h = {.start_ms = 0, .end_ms = 1000000, .labels_only = true};
        struct series_set *set;
        CHECK_OK(querier_select(x.q, &h, NULL, 0, &set));
        size_t taken = 0, ahead = 0;
        for (;;) {
                struct series s;
                bool more;
                CHECK_OK(series_set_next(set, &s, &more));
                if (!more)
                        break;
                taken += FLOOD_BYTES;
                size_t sent = atomic_load(&f.sent);
                ahead = MAX(ahead, sent > taken ? sent - taken : 0);
        }
        CHECK_U64(taken, (size_t)FLOOD_SERIES * FLOOD_BYTES);
        CHECK_MSG(ahead < 8 << 20, "%zu bytes ahead", ahead); /* of 60 MB */
        query_close(&x);
        fixture_close(&x);
}

TEST(proxy, ends_when_it_is_cancelled)
{
        struct fake f = {.mode = HANGS};
        struct fixture x;
        fixture_open(&x, (struct fake *[]){&f}, 1);
        bool cancel = true;
        struct proxy_opts o = plain;
        o.cancel = &cancel;
        query_open(&x, o, 0, 1000000);
        struct buf out = BUF_INIT(100);
        CHECK_ERROR(select_all(&x, "", NULL, &out), "context canceled");
        query_close(&x);
        fixture_close(&x);
}
