/* SPDX-License-Identifier: Apache-2.0 */
/* Native histograms: that workers change nothing, and what the sample limit makes of them. What queries give is checked
 * by the promqltest files. */
#include <stdio.h>

#include "base/test.h"
#include "model/histogram.h"
#include "promql/engine.h"
#include "storage/memory.h"

/* n series of h{i="…"}, a sample every 15 s, with resets, other schemas, and floats among them. */
static struct storage *many(size_t n, size_t samples)
{
        struct storage *st = memory_storage_new();
        for (size_t i = 0; i < n; i++) {
                char value[32];
                snprintf(value, sizeof value, "%04zu", i);
                const Label ls[] = {{STR("__name__"), STR("h")},
                                    {STR("g"), i % 3 ? STR("x") : STR("y")},
                                    {STR("i"), str_from(value)}};
                const struct span spans[] = {{(int32_t)(i % 5), 2}, {1, 1}};
                struct appender *a;
                SeriesRef ref = 0;
                CHECK_OK(storage_appender(st, &a));
                for (size_t k = 0; k < samples; k++) {
                        double x = (double)(k % 50 + 1) * 0.1;
                        double counts[] = {x, 2 * x, (double)(i + 1) * x};
                        struct histogram h = {.schema = (int32_t)(i % 3),
                                              .count = counts[0] + counts[1] + counts[2],
                                              .sum = x * 7.3,
                                              .pos = {spans, counts, 2, 3}};
                        if (i % 100 == 99 && k % 40 == 0)
                                CHECK_OK(appender_append(a, ref, (Labels){ls, 3}, (TimeMs)k * 15000, x, &ref));
                        else
                                CHECK_OK(appender_append_histogram(a, ref, (Labels){ls, 3}, (TimeMs)k * 15000,
                                                                   (struct histogram_sample){.f = &h}, &ref));
                }
                CHECK_OK(appender_commit(a));
        }
        return st;
}

static void put_bits(struct buf *b, const struct histogram *h)
{
        buf_printf(b, " {%d %d %a %a", (int)h->schema, (int)h->reset, h->count, h->sum);
        for (uint32_t i = 0; i < h->pos.n; i++)
                buf_printf(b, " %a", h->pos.counts[i]);
        buf_putc(b, '}');
}

static void print_all(struct buf *b, struct engine *en, struct storage *st, const char *text)
{
        struct query_opts q = {.text = str_from(text), .start_ms = 60000, .end_ms = 1800000, .step_ms = 15000};
        struct query_result r;
        CHECK_OK(engine_range(en, st, &q, &r));
        for (size_t i = 0; i < r.n_series; i++) {
                const struct result_series *s = &r.series[i];
                labels_print(b, s->labels);
                for (size_t k = 0; k < s->n; k++)
                        buf_printf(b, " %a@%lld", s->v[k], (long long)s->t[k]);
                for (size_t k = 0; k < s->n_h; k++) {
                        put_bits(b, s->h[k]);
                        buf_printf(b, "@%lld", (long long)s->h_t[k]);
                }
                buf_putc(b, '\n');
        }
        for (size_t i = 0; i < r.n_warnings; i++)
                buf_printf(b, STR_FMT "\n", STR_ARG(r.warnings[i]));
        for (size_t i = 0; i < r.n_infos; i++)
                buf_printf(b, STR_FMT "\n", STR_ARG(r.infos[i]));
        buf_printf(b, "%llu %llu %llu\n", (unsigned long long)r.stats.total_samples,
                   (unsigned long long)r.stats.samples_read, (unsigned long long)r.stats.peak_samples);
        query_result_done(&r);
}

TEST(engine_histograms, have_the_same_bits_with_any_number_of_workers)
{
        struct storage *st = many(600, 121);
        struct pool *pool;
        CHECK_OK(pool_new("query", 3, &pool));
        struct engine *one = engine_new(&(struct engine_opts){0}),
                      *four = engine_new(&(struct engine_opts){.pool = pool, .per_step_stats = true});
        static const char *const queries[] = {"sum by (g) (rate(h[5m]))",
                                              "avg(h)",
                                              "sum(h)",
                                              "histogram_quantile(0.9, sum(rate(h[5m])))",
                                              "histogram_count(increase(h[2m]))",
                                              "max(h)",
                                              "sum(h * 3)",
                                              "count(absent_over_time(h[1m]))",
                                              "sum_over_time(sum(rate(h[5m]))[5m:1m])",
                                              "h{i=~\"00..\"} - on(i) h"};
        for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
                struct buf a = BUF_INIT(BUF_NO_LIMIT), b = BUF_INIT(BUF_NO_LIMIT);
                print_all(&a, one, st, queries[i]);
                print_all(&b, four, st, queries[i]);
                CHECK_MSG(str_eq(buf_str(&a), buf_str(&b)), "%s: other bits with workers", queries[i]);
                buf_done(&a);
                buf_done(&b);
        }
        engine_free(one);
        engine_free(four);
        pool_free(pool);
        memory_storage_free(st);
}

/* Each counts as (168 + 2 spans of 8 + 3 counts of 8 + 8) / 16 = 13 samples. */
TEST(engine_histograms, count_by_their_size)
{
        struct storage *st = many(1, 50);
        struct engine *en = engine_new(&(struct engine_opts){.max_samples = 130});
        struct query_opts q = {.text = STR("h"), .start_ms = 0, .end_ms = 9 * 15000, .step_ms = 15000};
        struct query_result r;
        CHECK_OK(engine_range(en, st, &q, &r));
        CHECK_U64(r.stats.total_samples, 130);
        CHECK_U64(r.stats.peak_samples, 130);
        query_result_done(&r);
        q.end_ms += 15000;
        CHECK_ERROR(engine_range(en, st, &q, &r),
                    "query processing would load too many samples into memory in query execution");
        engine_free(en);
        memory_storage_free(st);
}

TEST(engine_histograms, end_at_the_memory_of_a_query)
{
        struct storage *st = many(50, 121);
        struct engine *en = engine_new(&(struct engine_opts){.max_bytes = 1 << 20});
        struct query_opts q = {.text = STR("h"), .start_ms = 0, .end_ms = 1800000, .step_ms = 15000};
        struct query_result r;
        struct error *e = engine_range(en, st, &q, &r);
        CHECK(error_is(e, ERROR_LIMIT));
        error_free(e);
        engine_free(en);
        memory_storage_free(st);
}
