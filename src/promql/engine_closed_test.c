/* SPDX-License-Identifier: Apache-2.0 */
/* Windows with their left end (Prometheus 2, Thanos 0.36) and without (Prometheus 3). */
#include "base/test.h"
#include "promql/engine.h"
#include "storage/memory.h"

/* A sample each 30 s from 0 to 10 min, value k. */
static struct storage *series(void)
{
        struct storage *st = memory_storage_new();
        const Label ls[] = {{STR("__name__"), STR("m")}};
        for (int k = 0; k <= 20; k++)
                CHECK_OK(memory_storage_add(st, (Labels){ls, 1}, (TimeMs)k * 30000, k));
        return st;
}

static void value_is(struct storage *st, bool closed, bool per_step, const char *text, TimeMs at, double want)
{
        struct engine *en = engine_new(&(struct engine_opts){.closed_ranges = closed, .per_step_stats = per_step});
        struct query_opts q = {.text = str_from(text), .start_ms = at, .end_ms = at, .step_ms = 1000};
        for (int range = 0; range < 2; range++) {
                struct query_result r;
                CHECK_OK(range ? engine_range(en, st, &q, &r) : engine_instant(en, st, &q, &r));
                double got = r.n_series == 1 ? r.series[0].v[0] : -1;
                CHECK_MSG(got == want, "%s, closed %d, range %d: %g, want %g", text, closed, range, got, want);
                query_result_done(&r);
        }
        engine_free(en);
}

TEST(engine, ranges_have_their_left_end_when_they_are_closed)
{
        static const struct {
                const char *text;
                double open, closed;
        } cases[] = {
                {"count_over_time(m[5m])", 10, 11},
                {"sum_over_time(m[5m])", 155, 165},
                {"avg_over_time(m[5m])", 15.5, 15},
                {"first_over_time(m[5m])", 11, 10},
                {"min_over_time(m[5m] offset 1m)", 9, 8},
                {"count_over_time(m[5m] @ 480)", 10, 11},
                {"changes(m[1m])", 1, 2},
                {"delta(m[1m])", 2, 2},
                {"count_over_time(m[5m:30s])", 10, 11},
                {"count_over_time(sum_over_time(m[1m])[2m:1m])", 2, 3},
                {"sum(count_over_time(m[5m]))", 10, 11},
        };
        struct storage *st = series();
        for (size_t i = 0; i < ARRAY_LEN(cases); i++)
                for (int per_step = 0; per_step < 2; per_step++) {
                        value_is(st, false, per_step, cases[i].text, 600000, cases[i].open);
                        value_is(st, true, per_step, cases[i].text, 600000, cases[i].closed);
                }
        memory_storage_free(st);
}

TEST(engine, the_lookback_has_its_end_when_ranges_are_closed)
{
        struct storage *st = series();
        for (int closed = 0; closed < 2; closed++) {
                struct engine *en = engine_new(&(struct engine_opts){.closed_ranges = closed});
                struct query_result r;
                struct query_opts q = {.text = STR("m"), .start_ms = 900000};
                CHECK_OK(engine_instant(en, st, &q, &r));
                CHECK(r.n_series == (size_t)closed);
                query_result_done(&r);
                q = (struct query_opts){.text = STR("m"), .start_ms = 720000, .lookback_ms = 120000};
                CHECK_OK(engine_instant(en, st, &q, &r));
                CHECK(r.n_series == (size_t)closed);
                query_result_done(&r);
                engine_free(en);
        }
        memory_storage_free(st);
}

TEST(engine, a_matrix_of_an_instant_query_has_its_left_end_when_ranges_are_closed)
{
        struct storage *st = series();
        for (int closed = 0; closed < 2; closed++) {
                struct engine *en = engine_new(&(struct engine_opts){.closed_ranges = closed});
                struct query_result r;
                struct query_opts q = {.text = STR("m[1m]"), .start_ms = 600000};
                CHECK_OK(engine_instant(en, st, &q, &r));
                CHECK(r.n_series == 1 && r.series[0].n == 2 + (size_t)closed);
                query_result_done(&r);
                engine_free(en);
        }
        memory_storage_free(st);
}
