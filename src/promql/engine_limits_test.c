/* SPDX-License-Identifier: Apache-2.0 */
/* What ends a query early, the queue with its file, the query log, and that workers change nothing. */
#include <stdio.h>

#include "base/file.h"
#include "base/test.h"
#include "base/thread.h"
#include "codec/json.h"
#include "promql/engine.h"
#include "storage/memory.h"
#include "storage/merge.h"

/* n series of m{i="…"} with a sample every 15 s. */
static struct storage *many(size_t n, size_t samples)
{
        struct storage *st = memory_storage_new();
        for (size_t i = 0; i < n; i++) {
                char value[32];
                snprintf(value, sizeof value, "%04zu", i);
                const Label ls[] = {{STR("__name__"), STR("m_total")}, {STR("i"), str_from(value)}};
                for (size_t k = 0; k < samples; k++)
                        CHECK_OK(memory_storage_add(st, (Labels){ls, 2}, (TimeMs)k * 15000,
                                                    (double)(k * (i + 1)) * 0.1 + (double)(i * i % 7)));
        }
        return st;
}

static struct error *run_range(struct engine *en, struct storage *st, const char *text, const bool *cancel)
{
        struct query_opts q = {
                .text = str_from(text), .start_ms = 0, .end_ms = 3600000, .step_ms = 15000, .cancel = cancel};
        struct query_result r;
        struct error *e = engine_range(en, st, &q, &r);
        if (!e)
                query_result_done(&r);
        return e;
}

TEST(engine, stops_at_its_sample_limit)
{
        struct storage *st = many(10, 100);
        struct engine *en = engine_new(&(struct engine_opts){.max_samples = 1000});
        const char *text = "query processing would load too many samples into memory in query execution";
        CHECK_ERROR(run_range(en, st, "m_total", NULL), text);
        CHECK_ERROR(run_range(en, st, "sum(m_total)", NULL), text);
        CHECK_ERROR(run_range(en, st, "sum(rate(m_total[5m]))", NULL), text);
        CHECK_OK(run_range(en, st, "m_total{i=\"0001\"}", NULL));
        engine_free(en);
        memory_storage_free(st);
}

TEST(engine, stops_when_it_is_cancelled_or_out_of_time)
{
        struct storage *st = many(3, 10);
        struct engine *en = engine_new(&(struct engine_opts){.timeout_ms = 10000});
        const bool yes = true;
        CHECK_ERROR(run_range(en, st, "m_total", &yes), "query was canceled in query execution");
        struct query_opts q = {.text = STR("count_over_time(vector(1)[1000h:1ms])"), .timeout_ms = 1};
        struct query_result r;
        struct error *e = engine_instant(en, st, &q, &r);
        CHECK(error_is(e, ERROR_TIMEOUT) || error_is(e, ERROR_LIMIT));
        error_free(e);
        engine_free(en);
        memory_storage_free(st);
}

TEST(engine, stops_at_its_memory_limit)
{
        struct storage *st = many(50, 240);
        struct engine *en = engine_new(&(struct engine_opts){.max_bytes = 64 << 10});
        static const char *const queries[] = {"m_total",
                                              "sum(rate(m_total[5m]))",
                                              "m_total + m_total",
                                              "sum by (i) (m_total)",
                                              "max_over_time(m_total[50m:1s])",
                                              "count_values(\"v\", m_total)",
                                              "vector(1) or m_total",
                                              "label_replace(m_total, \"x\", \"$1\", \"i\", \"(.*)\")"};
        for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
                struct error *e = run_range(en, st, queries[i], NULL);
                CHECK_MSG(error_is(e, ERROR_LIMIT), "%s: %s", queries[i], error_str(e));
                error_free(e);
        }
        /* So many steps that a column of them could not be had. */
        struct query_opts q = {.text = STR("1"), .start_ms = 0, .end_ms = INT64_C(1) << 60, .step_ms = 1};
        struct query_result r;
        struct error *e = engine_range(en, st, &q, &r);
        CHECK(error_is(e, ERROR_LIMIT));
        error_free(e);
        engine_free(en);
        memory_storage_free(st);
}

TEST(engine, refuses_what_no_range_query_can_give)
{
        struct storage *st = many(1, 3);
        struct engine *en = engine_new(&(struct engine_opts){0});
        CHECK_ERROR(run_range(en, st, "m_total[5m]", NULL),
                    "invalid expression type \"range vector\" for range query, must be Scalar or instant Vector");
        CHECK_ERROR(run_range(en, st, "\"s\"", NULL),
                    "invalid expression type \"string\" for range query, must be Scalar or instant Vector");
        struct error *e = run_range(en, st, "m_total[", NULL);
        CHECK(error_is(e, ERROR_INVALID));
        error_free(e);
        engine_free(en);
        memory_storage_free(st);
}

static void print_all(struct buf *b, struct engine *en, struct storage *st, const char *text)
{
        struct query_opts q = {.text = str_from(text), .start_ms = 60000, .end_ms = 3600000, .step_ms = 15000};
        struct query_result r;
        CHECK_OK(engine_range(en, st, &q, &r));
        for (size_t i = 0; i < r.n_series; i++) {
                labels_print(b, r.series[i].labels);
                for (size_t k = 0; k < r.series[i].n; k++)
                        buf_printf(b, " %a@%lld", r.series[i].v[k], (long long)r.series[i].t[k]);
                buf_putc(b, '\n');
        }
        buf_printf(b, "%llu %llu %llu\n", (unsigned long long)r.stats.total_samples,
                   (unsigned long long)r.stats.samples_read, (unsigned long long)r.stats.peak_samples);
        query_result_done(&r);
}

TEST(engine, gives_the_same_bits_with_any_number_of_workers)
{
        struct storage *st = many(700, 241);
        struct pool *pool;
        CHECK_OK(pool_new("query", 3, &pool));
        struct engine *one = engine_new(&(struct engine_opts){0}),
                      *four = engine_new(&(struct engine_opts){.pool = pool});
        struct engine *stats = engine_new(&(struct engine_opts){.pool = pool, .per_step_stats = true});
        static const char *const queries[] = {"sum(rate(m_total[5m]))",
                                              "avg(m_total)",
                                              "stddev(increase(m_total[2m]))",
                                              "quantile(0.3, m_total)",
                                              "topk(3, m_total)",
                                              "sum(avg_over_time(m_total[10m]))",
                                              "max_over_time(sum(rate(m_total[5m]))[10m:1m])",
                                              "sum(m_total * 3 > 5)",
                                              "m_total / on(i) m_total"};
        for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
                struct buf a = BUF_INIT(BUF_NO_LIMIT), b = BUF_INIT(BUF_NO_LIMIT), c = BUF_INIT(BUF_NO_LIMIT);
                print_all(&a, one, st, queries[i]);
                print_all(&b, four, st, queries[i]);
                print_all(&c, stats, st, queries[i]);
                CHECK_MSG(str_eq(buf_str(&a), buf_str(&b)), "%s: other bits with workers", queries[i]);
                CHECK_MSG(str_eq(buf_str(&a), buf_str(&c)), "%s: other bits with statistics of the steps", queries[i]);
                buf_done(&a);
                buf_done(&b);
                buf_done(&c);
        }
        engine_free(one);
        engine_free(four);
        engine_free(stats);
        pool_free(pool);
        memory_storage_free(st);
}

/* A storage with one histogram chunk. */
struct one_storage {
        struct storage base;
        struct series series;
};
struct one_querier {
        struct querier base;
        struct one_storage *st;
        struct arena *arena;
};

static struct error *one_select(struct querier *base, const struct select_hints *h, const struct matcher *const *m,
                                size_t n_m, struct series_set **ret)
{
        struct one_querier *q = CONTAINER_OF(base, struct one_querier, base);
        *ret = series_set_of(q->arena, &q->st->series, 1);
        return NULL;
}

static void one_close(struct querier *q)
{
}

static struct error *one_open(struct storage *s, TimeMs mint_ms, TimeMs maxt_ms, struct arena *arena,
                              struct querier **ret)
{
        static const struct querier_ops ops = {.select = one_select, .close = one_close};
        struct one_querier *q = arena_new(arena, struct one_querier);
        *q = (struct one_querier){.base.ops = &ops, .st = CONTAINER_OF(s, struct one_storage, base), .arena = arena};
        *ret = &q->base;
        return NULL;
}

TEST(engine, tells_of_a_damaged_native_histogram)
{
        static const struct storage_ops ops = {.querier = one_open};
        static const Label labels[] = {{STR_INIT("__name__"), STR_INIT("latency_seconds")}};
        const struct chunk c = {.mint_ms = 0, .maxt_ms = 1000, .encoding = CHUNK_HISTOGRAM, .data = STR("\0\1\0\0")};
        struct one_storage st = {.base.ops = &ops, .series = {.labels = {labels, 1}, .chunks = &c, .n_chunks = 1}};
        struct engine *en = engine_new(&(struct engine_opts){0});
        struct query_result r;
        struct error *e = engine_instant(en, &st.base,
                                         &(struct query_opts){.text = STR("latency_seconds"), .start_ms = 1000}, &r);
        CHECK(error_is(e, ERROR_CORRUPT));
        error_free(e);
        engine_free(en);
}

TEST(engine, keeps_running_queries_in_a_file)
{
        struct storage *st = many(2, 3);
        const char *dir = test_dir();
        char *path = path_join(dir, "queries.active"), *text;
        size_t n;
        struct engine *en = engine_new(&(struct engine_opts){.active_log_dir = dir, .max_concurrency = 3});
        CHECK_OK(run_range(en, st, "m_total", NULL));
        CHECK_OK(file_read(path, 1 << 20, &text, &n));
        CHECK_U64(n, 3001);
        CHECK(text[0] == '[' && text[1] == '\0'); /* the query is over */
        free(text);
        engine_free(en);
        free(path);
        memory_storage_free(st);
}

TEST(engine, logs_queries_as_json_lines)
{
        struct storage *st = many(2, 3);
        char *path = path_join(test_dir(), "query.log"), *text;
        size_t n;
        struct engine *en = engine_new(&(struct engine_opts){0});
        CHECK_OK(engine_set_query_log(en, path));
        struct query_opts q = {.text = STR("sum(m_total)"),
                               .start_ms = 30000,
                               .origin_json = STR("\"httpRequest\":{\"clientIP\":\"127.0.0.1\"}")};
        struct query_result r;
        CHECK_OK(engine_instant(en, st, &q, &r));
        query_result_done(&r);
        CHECK_OK(engine_set_query_log(en, NULL));
        CHECK_OK(run_range(en, st, "m_total", NULL)); /* not logged */
        CHECK_OK(file_read(path, 1 << 20, &text, &n));
        struct arena a;
        arena_init(&a, 1 << 20);
        const struct json *j;
        CHECK_OK(json_parse(str_trim((Str){text, n}), &a, &j));
        const struct json *params = json_get(j, STR("params"));
        CHECK_STR(json_str(json_get(j, STR("msg"))), "promql query logged");
        CHECK_STR(json_str(json_get(params, STR("query"))), "sum(m_total)");
        CHECK_STR(json_str(json_get(params, STR("start"))), "1970-01-01T00:00:30.000Z");
        CHECK_I64(json_i64(json_get(params, STR("step"))), 0);
        CHECK_STR(json_str(json_get(json_get(j, STR("httpRequest")), STR("clientIP"))), "127.0.0.1");
        CHECK_I64(json_i64(json_get(json_get(json_get(j, STR("stats")), STR("samples")), STR("totalQueryableSamples"))),
                  2);
        arena_done(&a);
        free(text);
        free(path);
        engine_free(en);
        memory_storage_free(st);
}

struct waiting {
        struct engine *en;
        struct storage *st;
        bool cancel;
        struct error *e;
};

static void wait_in_queue(void *arg)
{
        struct waiting *w = arg;
        struct query_opts q = {.text = STR("count_over_time(vector(1)[1000h:1s])"), .cancel = &w->cancel};
        struct query_result r;
        w->e = engine_instant(w->en, w->st, &q, &r);
        if (!w->e)
                query_result_done(&r);
}

TEST(engine, runs_more_queries_than_places_one_after_the_other)
{
        struct storage *st = many(1, 3);
        struct engine *en = engine_new(&(struct engine_opts){.max_concurrency = 1});
        struct waiting w[4];
        struct thread t[4] = {{0}};
        for (size_t i = 0; i < ARRAY_LEN(w); i++) {
                w[i] = (struct waiting){.en = en, .st = st};
                CHECK_OK(thread_start(&t[i], "query-test", wait_in_queue, &w[i]));
        }
        for (size_t i = 0; i < ARRAY_LEN(w); i++) {
                thread_join(&t[i]);
                CHECK_OK(w[i].e);
        }
        engine_free(en);
        memory_storage_free(st);
}
