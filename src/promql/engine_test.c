/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/engine.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/test.h"
#include "codec/float_text.h"
#include "storage/memory.h"

/* A storage from lines of "metric{labels} v v v …" at 0, step, 2 step, … */
static struct storage *load(int64_t step_ms, const char *const *lines)
{
        struct storage *st = memory_storage_new();
        struct arena a;
        arena_init(&a, 64 << 20);
        for (; *lines; lines++) {
                struct promql_series_line l;
                CHECK_OK(promql_parse_series_line(str_from(*lines), &a, &l));
                for (size_t i = 0; i < l.n; i++)
                        if (!l.values[i].omitted)
                                CHECK_OK(memory_storage_add(st, l.labels, (TimeMs)i * step_ms, l.values[i].v));
        }
        arena_done(&a);
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

static int cmp_lines(const void *a, const void *b)
{
        return str_cmp(*(const Str *)a, *(const Str *)b);
}

/* The lines of an instant vector in the order of their text, as they were recorded. */
static void sort_lines(struct buf *b, size_t n)
{
        StrVec lines = VEC_INIT;
        Str rest = buf_str(b), line;
        while (str_next(&rest, '\n', &line))
                vec_push(&lines, line);
        if (n > 1)
                qsort(lines.p, n, sizeof *lines.p, cmp_lines);
        struct buf out = BUF_INIT(1 << 20);
        for (size_t i = 0; i < lines.n; i++) {
                buf_put(&out, lines.p[i]);
                buf_putc(&out, '\n');
        }
        buf_clear(b);
        buf_put(b, buf_str(&out));
        buf_done(&out);
        vec_done(&lines);
}

static void run_recorded(struct engine *en, struct storage *st, bool range, Str query, struct buf *ret)
{
        struct query_opts q = {
                .text = query, .start_ms = range ? 0 : 600000, .end_ms = 1200000, .step_ms = range ? 120000 : 0};
        struct query_result r = {0};
        struct error *e = range ? engine_range(en, st, &q, &r) : engine_instant(en, st, &q, &r);
        if (e)
                buf_printf(ret, "error: %s\n", error_str(e));
        else
                print_result(ret, &r);
        bool ordered = str_has_prefix(query, STR("sort")) || str_has_prefix(query, STR("topk")) ||
                       str_has_prefix(query, STR("bottomk"));
        if (!e && r.type == VALUE_VECTOR && !ordered)
                sort_lines(ret, r.n_series);
        error_free(e);
        query_result_done(&r);
}

TEST(engine, answers_as_recorded_from_the_original)
{
        char *text;
        size_t n, n_cases = 0;
        CHECK_OK(file_read(COEUS_SOURCE_DIR "/tests/conformance/engine.txt", 1 << 20, &text, &n));
        Str rest = {text, n}, line;
        VEC(const char *) loads = VEC_INIT;
        while (str_next(&rest, '\n', &line) && line.n)
                if (str_has_prefix(line, STR("load ")))
                        vec_push(&loads, str_dup(str_skip(line, 5)));
        vec_push(&loads, NULL);
        struct storage *st = load(60000, loads.p);
        struct engine *en = engine_new(&all_on);
        while (str_next(&rest, '\n', &line)) {
                Str kind, query;
                CHECK(str_cut(line, ' ', &kind, &query));
                Str want = rest;
                size_t end = 0;
                while (str_next(&rest, '\n', &line) && line.n)
                        end += line.n + 1;
                want = str_sub(want, 0, end);
                struct buf got = BUF_INIT(1 << 20);
                run_recorded(en, st, str_eq(kind, STR("range")), query, &got);
                CHECK_MSG(str_eq(buf_str(&got), want), STR_FMT " " STR_FMT "\ngot  " STR_FMT "want " STR_FMT,
                          STR_ARG(kind), STR_ARG(query), STR_ARG(buf_str(&got)), STR_ARG(want));
                buf_done(&got);
                n_cases++;
        }
        CHECK(n_cases > 100);
        for (size_t i = 0; i + 1 < loads.n; i++)
                free((char *)loads.p[i]);
        vec_done(&loads);
        engine_free(en);
        memory_storage_free(st);
        free(text);
}
