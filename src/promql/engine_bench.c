/* SPDX-License-Identifier: Apache-2.0 */
/* The queries of bench/query.py on the engine alone: 10,000 series (SERIES, ONLY=part of a title) of 6 h at 15 s as XOR
 * chunks in memory, step 60 s. Build: ninja bench/engine_bench; prints milliseconds, best of five, CPU of one thread
 * and wall clock with all cores. */
#include <stdio.h>

#include "base/clock.h"
#include "base/thread.h"
#include "promql/engine.h"
#include "storage/decode.h"
#include "storage/merge.h"

enum { STEP_S = 15, HOURS = 6, SAMPLES = HOURS * 3600 / STEP_S, ROUNDS = 5 };
#define END_S INT64_C(1767225600)

struct bench_storage {
        struct storage base;
        struct series *series;
        size_t n;
        struct arena arena;
};
struct bench_querier {
        struct querier base;
        struct bench_storage *st;
        struct arena *arena;
};

static struct error *bench_select(struct querier *base, const struct select_hints *h, const struct matcher *const *m,
                                  size_t n_m, struct series_set **ret)
{
        struct bench_querier *q = CONTAINER_OF(base, struct bench_querier, base);
        struct series *found = arena_array(q->arena, struct series, q->st->n);
        size_t n = 0;
        for (size_t i = 0; i < q->st->n; i++)
                if (matchers_match(m, n_m, q->st->series[i].labels))
                        found[n++] = q->st->series[i];
        *ret = series_set_of(q->arena, found, n);
        return NULL;
}

static void bench_close(struct querier *q)
{
}

static struct error *bench_open(struct storage *s, TimeMs mint_ms, TimeMs maxt_ms, struct arena *arena,
                                struct querier **ret)
{
        static const struct querier_ops ops = {.select = bench_select, .close = bench_close};
        struct bench_querier *q = arena_new(arena, struct bench_querier);
        *q = (struct bench_querier){
                .base.ops = &ops, .st = CONTAINER_OF(s, struct bench_storage, base), .arena = arena};
        *ret = &q->base;
        return NULL;
}

static int by_labels(const void *a, const void *b)
{
        return labels_cmp(((const struct series *)a)->labels, ((const struct series *)b)->labels);
}

/* As openmetrics() of bench/query.py makes them. */
static Labels labels_of(struct arena *a, size_t i)
{
        size_t kind = i % 10, pod = i / 10;
        static const char *const names[] = {"bench_requests_total", "bench_errors_total", "bench_bytes_total",
                                            "bench_memory_bytes", "bench_latency_seconds_bucket"};
        static const int name_of[] = {0, 0, 0, 1, 2, 3, 4, 4, 4, 4};
        static const char *const codes[] = {"200", "404", "500"}, *const les[] = {"0.1", "0.5", "1", "+Inf"};
        Label *v = arena_array(a, Label, 4);
        size_t n = 0;
        v[n++] = (Label){STR("__name__"), str_from(names[name_of[kind]])};
        v[n++] = (Label){STR("namespace"), arena_printf(a, "team-%02zu", pod % 20)};
        v[n++] = (Label){STR("pod"), arena_printf(a, "app-%04zu", pod)};
        if (kind < 3)
                v[n++] = (Label){STR("code"), str_from(codes[kind])};
        else if (kind < 5)
                v[n++] = (Label){STR("kind"), kind == 3 ? STR("error") : STR("byte")};
        else if (kind > 5)
                v[n++] = (Label){STR("le"), str_from(les[kind - 6])};
        labels_sort(v, n);
        return (Labels){v, n};
}

static void generate(struct bench_storage *st, size_t n)
{
        static const struct storage_ops ops = {.querier = bench_open};
        st->base.ops = &ops;
        arena_init(&st->arena, SIZE_MAX / 2);
        st->series = arena_array(&st->arena, struct series, n);
        st->n = n;
        static TimeMs t[SAMPLES];
        static double v[SAMPLES];
        for (size_t i = 0; i < n; i++) {
                size_t kind = i % 10, pod = i / 10;
                uint64_t step = kind < 3    ? 3 + pod % 17 + kind
                                : kind < 5  ? 1 + pod % 5 + 1000 * (kind - 3)
                                : kind == 5 ? 0
                                            : (kind - 5) * (1 + pod % 7);
                uint64_t value = 1000 * pod, state = 12345 + i;
                for (size_t k = 0; k < SAMPLES; k++) {
                        state = (state * 1103515245 + 12345) & 0x7fffffff;
                        if (step)
                                value += (step * (state >> 16)) % (2 * step + 1);
                        else
                                value = 200000000 + pod * 1000 + (state >> 8) % 1000000;
                        t[k] = (END_S - HOURS * 3600 + STEP_S * (int64_t)k) * 1000;
                        v[k] = (double)value;
                }
                struct chunk *c;
                size_t n_chunks;
                struct error *e = samples_encode(t, v, SAMPLES, &st->arena, &c, &n_chunks);
                if (e)
                        bug("%s", error_str(e));
                st->series[i] = (struct series){.labels = labels_of(&st->arena, i), .chunks = c, .n_chunks = n_chunks};
        }
        qsort(st->series, n, sizeof *st->series, by_labels);
}

static const struct {
        const char *title, *query;
} queries[] = {
        {"sum by", "sum by (namespace) (bench_memory_bytes)"},
        {"rate of one metric", "rate(bench_requests_total[5m])"},
        {"rate over a regex of names", "sum by (code) (rate({__name__=~\"bench_(requests|errors|bytes)_total\"}[5m]))"},
        {"quantile of rates",
         "histogram_quantile(0.99, sum by (le, namespace) (rate(bench_latency_seconds_bucket[5m])))"},
        {"max of avg_over_time", "max by (namespace) (avg_over_time(bench_memory_bytes[10m]))"},
        {"ratio with on()",
         "sum by (pod) (rate(bench_errors_total[5m])) / on(pod) sum by (pod) (rate(bench_requests_total[5m]))"},
        {"topk", "topk(5, sum by (pod) (rate(bench_requests_total[5m])))"},
        {"count over a regex selector", "count(bench_requests_total{pod=~\"app-.*[02468]\",code!=\"500\"})"},
        {"subquery of a rate", "max_over_time(sum by (namespace) (rate(bench_requests_total[5m]))[30m:1m])"},
        {"raw selection", "bench_memory_bytes"},
        {"all: sum by of rate", "sum by (namespace) (rate({pod=~\".+\"}[5m]))"},
};

static double best_ms(struct engine *en, struct storage *st, const char *text, int64_t (*now_ns)(void),
                      size_t *ret_series)
{
        int64_t best = INT64_MAX;
        for (int i = 0; i < ROUNDS; i++) {
                struct query_opts q = {.text = str_from(text),
                                       .start_ms = (END_S - HOURS * 3600 + 600) * 1000,
                                       .end_ms = (END_S - 60) * 1000,
                                       .step_ms = 60000};
                struct query_result r;
                int64_t t = now_ns();
                struct error *e = engine_range(en, st, &q, &r);
                if (e)
                        bug("%s: %s", text, error_str(e));
                best = MIN(best, now_ns() - t);
                *ret_series = r.n_series;
                query_result_done(&r);
        }
        return (double)best / 1e6;
}

int main(void)
{
        size_t n = getenv("SERIES") ? (size_t)atoll(getenv("SERIES")) : 10000;
        struct bench_storage st;
        generate(&st, n);
        struct pool *pool;
        struct error *e = pool_new("query", cpu_count() - 1, &pool);
        if (e)
                bug("%s", error_str(e));
        struct engine *one = engine_new(&(struct engine_opts){0}),
                      *all = engine_new(&(struct engine_opts){.pool = pool});
        printf("%-30s %8s %10s %8s\n", "ms", "1 CPU", "all cores", "series");
        const char *only = getenv("ONLY");
        for (size_t i = 0; i < ARRAY_LEN(queries); i++) {
                size_t series;
                if (only && !strstr(queries[i].title, only))
                        continue;
                double a = best_ms(one, &st.base, queries[i].query, time_thread_cpu_ns, &series),
                       b = best_ms(all, &st.base, queries[i].query, time_mono_ns, &series);
                printf("%-30s %8.2f %10.2f %8zu\n", queries[i].title, a, b, series);
        }
        engine_free(one);
        engine_free(all);
        pool_free(pool);
        arena_done(&st.arena);
        return 0;
}
