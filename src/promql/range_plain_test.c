/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rand.h"
#include "base/test.h"
#include "promql/eval.h"
#include "promql/kahan.h"

enum { SAMPLES_MAX = 200, STEPS_MAX = 120 };

struct example {
        TimeMs t[SAMPLES_MAX];
        double v[SAMPLES_MAX];
        size_t n;
        int64_t every_ms;
        struct steps steps;
        int64_t range_ms, offset_ms;
};

/* Counters with resets, integers, fractions, numbers near zero, NaN and Inf now and then. */
static double next_value(struct rand *r, int kind, double before)
{
        switch (kind) {
        case 0:
                return rand_below(r, 30) == 0 ? 0 : before + (double)rand_below(r, 9);
        case 1:
                return before + rand_unit(r);
        case 2:
                return (double)((int64_t)rand_below(r, 2000) - 1000);
        case 3:
                return rand_unit(r) * 1e300 * (double)(1 + rand_below(r, 1000));
        case 4:
                return rand_below(r, 40) == 0 ? NAN : rand_unit(r) - 0.5;
        default:
                return rand_below(r, 2) ? -0.0 : 0.0;
        }
}

static struct example example_of(struct rand *r)
{
        struct example e = {.n = 1 + rand_below(r, SAMPLES_MAX), .every_ms = (int64_t[]){1000, 7000, 15000}[rand_below(r, 3)]};
        int kind = (int)rand_below(r, 6);
        TimeMs t0 = (TimeMs)rand_below(r, 100000) - 50000;
        double v = 0;
        for (size_t i = 0; i < e.n; i++) {
                e.t[i] = t0 + (int64_t)i * e.every_ms;
                e.v[i] = v = next_value(r, kind, v);
        }
        e.steps = (struct steps){.start = t0 + ((int64_t)rand_below(r, 4000) - 2000) * 500,
                                 .interval = rand_below(r, 3) ? e.every_ms * (int64_t)(1 + rand_below(r, 9)) : 1 + (int64_t)rand_below(r, 40000),
                                 .n = 1 + rand_below(r, STEPS_MAX)};
        e.range_ms = 1 + (int64_t)rand_below(r, (uint64_t)e.every_ms * 12);
        e.offset_ms = (int64_t)rand_below(r, 40000) - 20000;
        return e;
}

static void compare(struct example *x, enum function_id f, struct worker *w, int round)
{
        struct range_call c = {.func = f, .range_ms = x->range_ms, .steps = &x->steps, .offset_ms = x->offset_ms};
        struct samples even = {x->t, x->v, x->n, x->n, x->n > 1 ? x->every_ms : 0}, unknown = {x->t, x->v, x->n, x->n, 0};
        double got[STEPS_MAX], want[STEPS_MAX];
        struct row_info got_info = {0}, want_info = {0};
        range_row(&c, w, &even, got, &got_info);
        range_row(&c, w, &unknown, want, &want_info);
        for (size_t k = 0; k < x->steps.n; k++) {
                if (float_bits(got[k]) == float_bits(want[k]))
                        continue;
                print_message("round %d function %d step %zu of %zu: %a, not %a\n", round, (int)f, k, x->steps.n, got[k], want[k]);
                fail();
        }
        CHECK_I64((int64_t)got_info.total, (int64_t)want_info.total);
        CHECK_I64((int64_t)got_info.read, (int64_t)want_info.read);
        CHECK_I64((int64_t)got_info.n_out, (int64_t)want_info.n_out);
        CHECK_I64((int64_t)got_info.win_max, (int64_t)want_info.win_max);
        CHECK_I64((int64_t)got_info.win_last, (int64_t)want_info.win_last);
}

/* Windows one by one, with upstream's sums. */
static void compare_sums(struct example *x, enum function_id f, struct worker *w, int round)
{
        struct range_call c = {.func = f, .range_ms = x->range_ms, .steps = &x->steps, .offset_ms = x->offset_ms};
        struct samples s = {x->t, x->v, x->n, x->n, 0};
        double got[STEPS_MAX];
        struct row_info info = {0};
        range_row(&c, w, &s, got, &info);
        for (size_t k = 0; k < x->steps.n; k++) {
                TimeMs to = step_time(&x->steps, k) - x->offset_ms;
                size_t hi = first_after(x->t, x->n, to), lo = first_after(x->t, x->n, to - x->range_ms);
                double want = hi == lo ? absent() : f == FUNC_SUM_OVER_TIME ? sum_of(x->v + lo, hi - lo) : avg_of(x->v + lo, hi - lo);
                if (float_bits(got[k]) == float_bits(want) || (isnan(got[k]) && isnan(want) && hi > lo))
                        continue;
                print_message("round %d function %d step %zu: %a, not %a\n", round, (int)f, k, got[k], want);
                fail();
        }
}

TEST(range_plain, gives_the_same_bits_whether_it_knows_that_samples_are_even_or_not)
{
        struct rand r = {.s = 7};
        struct worker w = {0};
        for (int i = 0; i < 3000; i++) {
                struct example x = example_of(&r);
                compare(&x, FUNC_RATE, &w, i);
                compare(&x, FUNC_INCREASE, &w, i);
                compare(&x, FUNC_DELTA, &w, i);
                compare(&x, FUNC_SUM_OVER_TIME, &w, i);
                compare(&x, FUNC_AVG_OVER_TIME, &w, i);
        }
        free(w.scratch);
}

TEST(range_plain, gives_the_bits_of_sums_that_are_taken_window_by_window)
{
        struct rand r = {.s = 8};
        struct worker w = {0};
        for (int i = 0; i < 3000; i++) {
                struct example x = example_of(&r);
                compare_sums(&x, FUNC_SUM_OVER_TIME, &w, i);
                compare_sums(&x, FUNC_AVG_OVER_TIME, &w, i);
        }
        free(w.scratch);
}
