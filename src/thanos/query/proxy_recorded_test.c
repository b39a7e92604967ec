/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_recorded_test.c — the proxy over a store that answers with frames recorded from the originals' servers. */
#include <stdio.h>

#include "base/file.h"
#include "base/test.h"
#include "codec/json.h"
#include "io/grpc/server.h"
#include "storage/decode.h"
#include "thanos/query/proxy.h"
#include "thanos/storeapi/messages.h"

struct replay {
        const struct json *responses; /* of one recorded call */
        bool able;                    /* says that it leaves replica labels out */
};

static Str recorded(Str file, struct arena *a)
{
        Str rel = arena_printf(a, "grpc/" STR_FMT, STR_ARG(file));
        char *path = conformance_path(rel.p), *text;
        size_t n;
        CHECK_OK(file_read(path, 16 << 20, &text, &n));
        Str s = arena_str(a, (Str){text, n});
        free(text);
        free(path);
        return s;
}

static void info(struct grpc_stream *st, void *ctx)
{
        const struct replay *r = ctx;
        struct pb_store_info store = {.max_time = TIME_MS_MAX, .supports_without_replica_labels = r->able};
        struct pb_info_response m = {.component_type = STR("store"), .store = &store};
        struct buf b = BUF_INIT(10000);
        pb_encode(&pb_info_response, &m, &b);
        grpc_fail_error(st, grpc_send(st, buf_str(&b)));
        buf_done(&b);
}

static void series(struct grpc_stream *st, void *ctx)
{
        const struct replay *r = ctx;
        struct arena a;
        arena_init(&a, 64 << 20);
        struct error *e = NULL;
        for (size_t i = 0; i < r->responses->n && !e; i++)
                e = grpc_send(st, recorded(json_str(json_get(json_at(r->responses, i), STR("file"))), &a));
        grpc_fail_error(st, e);
        arena_done(&a);
}

/* Labels and samples as lines; how many warnings there were. */
static void replay(const struct json *call, bool dedup, bool able, const char *func, struct buf *out,
                   size_t *ret_series, size_t *ret_samples, size_t *ret_warnings)
{
        static const Str labels[] = {STR_INIT("replica")};
        struct replay r = {json_get(call, STR("responses")), able};
        struct grpc_server *server;
        struct grpc_client *cl;
        struct endpoints *es;
        char address[32];
        CHECK_OK(grpc_server_new(&(struct grpc_server_opts){.name = "replay", .loops = 1, .workers_max = 2}, &server));
        grpc_server_handle(server, "/thanos.info.Info/Info", info, &r);
        grpc_server_handle(server, "/thanos.Store/Series", series, &r);
        CHECK_OK(grpc_server_listen(server, "127.0.0.1:0"));
        CHECK_OK(grpc_server_start(server));
        snprintf(address, sizeof address, "127.0.0.1:%d", grpc_server_port(server));
        CHECK_OK(grpc_client_new("replay", &cl));
        struct endpoint_address v = {str_from(address), false};
        CHECK_OK(endpoints_new(&(struct endpoints_opts){.client = cl, .addresses = &v, .n_addresses = 1}, &es));
        endpoints_update(es);

        struct proxy p;
        struct arena arena;
        struct querier *q;
        struct series_set *set;
        struct samples s = SAMPLES_INIT;
        struct proxy_opts o = {
                .endpoints = es, .replica_labels = labels, .n_replica_labels = dedup, .partial_response = true};
        struct select_hints h = {.start_ms = 0, .end_ms = TIME_MS_MAX, .func = str_from(func)};
        arena_init(&arena, 64 << 20);
        CHECK_OK(storage_querier(proxy_init(&p, &o), 0, TIME_MS_MAX, &arena, &q));
        CHECK_OK(querier_select(q, &h, NULL, 0, &set));
        *ret_series = *ret_samples = 0;
        for (;;) {
                struct series x;
                bool more;
                CHECK_OK(series_set_next(set, &x, &more));
                if (!more)
                        break;
                ++*ret_series;
                labels_print(out, x.labels);
                if (series_has_histograms(&x, TIME_MS_MIN, TIME_MS_MAX)) {
                        struct mixed m;
                        CHECK_OK(series_decode_mixed(&x, TIME_MS_MIN, TIME_MS_MAX, &arena, &m));
                        *ret_samples += m.n;
                } else {
                        CHECK_OK(series_decode(&x, TIME_MS_MIN, TIME_MS_MAX, &s));
                        *ret_samples += s.n;
                        for (size_t i = 0; i < s.n; i++)
                                buf_printf(out, " %lld:%.17g", (long long)s.t[i], s.v[i]);
                }
                buf_puts(out, "\n");
        }
        StrVec w = VEC_INIT;
        querier_warnings(q, &w);
        *ret_warnings = w.n;
        vec_done(&w);
        querier_close(q);
        samples_done(&s);
        arena_done(&arena);
        endpoints_free(es);
        grpc_client_free(cl);
        grpc_server_stop(server, 0);
        grpc_server_free(server);
}

static const struct json *find(const struct json *all, Str server, const char *name)
{
        JSON_EACH(x, all)
        if (str_eq(json_str(json_get(&x->value, STR("server"))), server) &&
            str_eq(json_str(json_get(&x->value, STR("name"))), str_from(name)))
                return &x->value;
        return NULL;
}

/* Series, warnings and chunks that were recorded. */
static void count(const struct json *call, size_t *ret_series, size_t *ret_warnings, size_t *ret_chunks)
{
        struct arena a;
        arena_init(&a, 64 << 20);
        *ret_series = *ret_warnings = *ret_chunks = 0;
        const struct json *responses = json_get(call, STR("responses"));
        for (size_t i = 0; i < responses->n; i++) {
                struct pb_series_response r = {0};
                CHECK_OK(pb_decode(&pb_series_response,
                                   recorded(json_str(json_get(json_at(responses, i), STR("file"))), &a), &a, &r));
                *ret_warnings += r.warning.p != NULL;
                *ret_series += r.series != NULL;
                *ret_chunks += r.series ? r.series->chunks.n : 0;
                for (size_t k = 0; r.batch && k < r.batch->series.n; k++) {
                        ++*ret_series;
                        *ret_chunks += r.batch->series.v[k].chunks.n;
                }
        }
        arena_done(&a);
}

TEST(proxy_recorded, takes_every_answer_of_the_originals)
{
        conformance_need("grpc");
        struct arena a;
        const struct json *all;
        arena_init(&a, 64 << 20);
        CHECK_OK(json_parse(recorded(STR("index.json"), &a), &a, &all));
        int calls = 0, folded = 0;
        JSON_EACH(x, all)
        {
                const struct json *call = &x->value;
                if (!str_eq(json_str(json_get(call, STR("method"))), STR("/thanos.Store/Series")) ||
                    !str_eq(json_str(json_get(call, STR("status"))), STR("OK")))
                        continue;
                struct buf b = BUF_INIT(64 << 20), c = BUF_INIT(64 << 20);
                size_t n, warnings, chunks, got, samples, got_warnings;
                count(call, &n, &warnings, &chunks);
                Str name = json_str(json_get(call, STR("name")));
                replay(call, false, true, "", &b, &got, &samples, &got_warnings);
                CHECK_MSG(got == n, STR_FMT ": %zu series of %zu", STR_ARG(name), got, n);
                CHECK_MSG(got_warnings == warnings || str_contains(name, STR("downsampled")),
                          STR_FMT ": %zu warnings of %zu", STR_ARG(name), got_warnings, warnings);
                CHECK_MSG((samples >= chunks) || str_contains(name, STR("downsampled")),
                          STR_FMT ": %zu samples of %zu chunks", STR_ARG(name), samples, chunks);
                calls++;

                /* What a store leaves out and what we leave out and sort is the same. */
                const struct json *without =
                        find(all, json_str(json_get(call, STR("server"))), "series_without_replica");
                if (str_eq(name, STR("series_plain")) && without) {
                        size_t n1, n2;
                        buf_clear(&b);
                        replay(call, true, false, "", &b, &n1, &samples, &got_warnings);
                        CHECK_U64(got_warnings, 0);
                        CHECK(samples > 0);
                        replay(without, true, true, "", &c, &n2, &samples, &got_warnings);
                        CHECK_STRS(buf_str(&b), buf_str(&c));
                        folded++;
                }
                buf_done(&b);
                buf_done(&c);
        }
        CHECK(calls > 20);
        CHECK(folded >= 3);
        arena_done(&a);
}

TEST(proxy_recorded, reads_recorded_downsampled_chunks)
{
        conformance_need("grpc");
        struct arena a;
        const struct json *all;
        arena_init(&a, 64 << 20);
        CHECK_OK(json_parse(recorded(STR("index.json"), &a), &a, &all));
        static const struct {
                const char *name, *func;
        } cases[] = {{"series_downsampled_5m", ""},
                     {"series_downsampled_5m", "min_over_time"},
                     {"series_downsampled_1h", "rate"},
                     {"series_downsampled_1h", "count"},
                     {"series_downsampled_1h", "sum_over_time"},
                     {"series_downsampled_5m_counter", "rate"},
                     {"series_downsampled_1h_max", "max"}};
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                const struct json *call = find(all, STR("store-0.36"), cases[i].name);
                CHECK(call);
                struct buf b = BUF_INIT(16 << 20);
                size_t n, warnings, chunks, got, samples, got_warnings;
                count(call, &n, &warnings, &chunks);
                replay(call, true, false, cases[i].func, &b, &got, &samples, &got_warnings);
                CHECK_MSG(got_warnings == 0 && got == n / 2 && samples >= got,
                          "%s %s: %zu series of %zu, %zu samples, %zu warnings", cases[i].name, cases[i].func, got, n,
                          samples, got_warnings);
                buf_done(&b);
        }
        arena_done(&a);
}
