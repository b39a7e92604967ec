/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/engine.h"

#include "base/test.h"
#include "codec/float_text.h"
#include "storage/memory.h"

/* One value of a line: 3, 0+60x10 (0, 60, … 600), _, stale. */
static void load_values(struct storage *st, Labels ls, Str text, int64_t step_ms, TimeMs *t)
{
        Str base = text, inc = {0}, times = {0};
        ptrdiff_t x = str_find(text, 'x');
        if (x > 0) {
                ptrdiff_t sign = x - 1;
                while (sign > 0 && text.p[sign] != '+' && text.p[sign] != '-')
                        sign--;
                base = str_sub(text, 0, (size_t)sign);
                inc = str_sub(text, (size_t)sign + (text.p[sign] == '+'), (size_t)x);
                times = str_skip(text, (size_t)x + 1);
        }
        double v = 0, d = 0;
        uint64_t n = 0;
        bool range;
        if (str_eq(text, STR("stale"))) {
                uint64_t bits = STALE_NAN_BITS;
                memcpy(&v, &bits, sizeof v);
        } else if (!str_eq(text, STR("_"))) {
                CHECK(float_parse(base, &v, &range));
        }
        if (inc.n)
                CHECK(float_parse(inc, &d, &range) && str_to_u64(times, &n));
        for (uint64_t i = 0; i <= n; i++, *t += step_ms, v += d)
                if (!str_eq(text, STR("_")))
                        CHECK_OK(memory_storage_add(st, ls, *t, v));
}

/* A storage from lines of "metric{labels} v v v …" at 0, step, 2 step, … */
static struct storage *load(int64_t step_ms, const char *const *lines)
{
        struct storage *st = memory_storage_new();
        for (; *lines; lines++) {
                Str name, values, word;
                CHECK(str_cut(str_from(*lines), ' ', &name, &values));
                struct arena a;
                arena_init(&a, 1 << 20);
                MatcherVec m = VEC_INIT;
                CHECK_OK(promql_parse_selector(name, &a, &m));
                LabelVec ls = VEC_INIT;
                for (size_t i = 0; i < m.n; i++)
                        vec_push(&ls, (Label){m.p[i]->name, m.p[i]->value});
                labels_sort(ls.p, ls.n);
                TimeMs t = 0;
                while (str_next(&values, ' ', &word))
                        load_values(st, (Labels){ls.p, ls.n}, word, step_ms, &t);
                vec_done(&ls);
                matcher_vec_done(&m);
                arena_done(&a);
        }
        return st;
}

static void print_result(struct buf *b, const struct query_result *r)
{
        if (r->type == VALUE_SCALAR) {
                buf_put_sample_value(b, r->scalar);
                buf_puts(b, "\n");
        } else if (r->type == VALUE_STRING) {
                buf_put(b, r->string);
                buf_puts(b, "\n");
        }
        for (size_t i = 0; i < r->n_series; i++) {
                labels_print(b, r->series[i].labels);
                for (size_t k = 0; k < r->series[i].n; k++) {
                        buf_putc(b, ' ');
                        buf_put_sample_value(b, r->series[i].v[k]);
                        if (r->type == VALUE_MATRIX)
                                buf_printf(b, "@%lld", (long long)r->series[i].t[k] / 1000);
                }
                buf_puts(b, "\n");
        }
        for (size_t i = 0; i < r->n_warnings; i++)
                buf_printf(b, STR_FMT "\n", STR_ARG(r->warnings[i]));
        for (size_t i = 0; i < r->n_infos; i++)
                buf_printf(b, STR_FMT "\n", STR_ARG(r->infos[i]));
}

static const struct engine_opts all_on = {.parse = {true, true, true}};

static void check_query(struct storage *st, const char *text, int64_t start_s, int64_t end_s, int64_t step_s,
                        const char *want)
{
        struct engine *en = engine_new(&all_on);
        struct query_opts q = {
                .text = str_from(text), .start_ms = start_s * 1000, .end_ms = end_s * 1000, .step_ms = step_s * 1000};
        struct query_result r = {0};
        struct error *e = step_s ? engine_range(en, st, &q, &r) : engine_instant(en, st, &q, &r);
        struct buf b = BUF_INIT(1 << 20);
        if (e)
                buf_printf(&b, "error: %s\n", error_str(e));
        else
                print_result(&b, &r);
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
        error_free(e);
        query_result_done(&r);
        engine_free(en);
}

TEST(engine, evaluates_selectors_rates_and_sums)
{
        struct storage *st = load(60000, (const char *const[]){"a_total{job=\"x\",i=\"0\"} 0+60x10",
                                                               "a_total{job=\"x\",i=\"1\"} 0+120x10",
                                                               "a_total{job=\"y\",i=\"0\"} 5 10 3 8 20 30",
                                                               "b{job=\"x\"} 1 2 3 4 _ _ _ _ _ _ _ 12", NULL});
        check_query(st, "a_total", 60, 0, 0,
                    "{__name__=\"a_total\", i=\"0\", job=\"x\"} 60\n{__name__=\"a_total\", i=\"0\", job=\"y\"} "
                    "10\n{__name__=\"a_total\", i=\"1\", job=\"x\"} 120\n");
        check_query(st, "b", 0, 720, 120, "{__name__=\"b\", job=\"x\"} 1@0 3@120 4@240 4@360 12@720\n");
        check_query(st, "rate(a_total[2m])", 300, 0, 0,
                    "{i=\"0\", job=\"x\"} 1\n{i=\"0\", job=\"y\"} 0.16666666666666666\n{i=\"1\", job=\"x\"} 2\n");
        check_query(st, "sum by (job) (rate(a_total[3m]))", 180, 300, 60,
                    "{job=\"x\"} 3@180 3@240 3@300\n{job=\"y\"} 0.06666666666666667@180 0.11111111111111112@240 "
                    "0.16666666666666666@300\n");
        check_query(st, "sum(a_total) / on() count(a_total)", 120, 0, 0, "{} 121\n");
        check_query(st, "a_total * 2 > 300", 180, 0, 0, "{i=\"0\", job=\"x\"} 360\n{i=\"1\", job=\"x\"} 720\n");
        check_query(st, "rate(b[5m])", 180, 0, 0,
                    "{job=\"x\"} 0.011666666666666667\nPromQL info: metric might not be a counter, name does not end "
                    "in _total/_sum/_count/_bucket: \"b\" (1:6)\n");
        check_query(st, "1 + 2", 0, 0, 0, "3\n");
        check_query(st, "a_total + a_total{job=\"x\"}", 0, 0, 0, "{i=\"0\", job=\"x\"} 0\n{i=\"1\", job=\"x\"} 0\n");
        check_query(st, "a_total + on(job) a_total", 0, 0, 0,
                    "error: found duplicate series for the match group {job=\"x\"} on the right hand-side of the "
                    "operation: "
                    "[{__name__=\"a_total\", i=\"0\", job=\"x\"}, {__name__=\"a_total\", i=\"1\", "
                    "job=\"x\"}];many-to-many matching not allowed: matching labels must be unique on one side\n");
        memory_storage_free(st);
}
