/* SPDX-License-Identifier: Apache-2.0 */
/* promqltest.h — runs files of the PromQL test language: load, eval, clear. Part of the test program, not of the
 * product.
 *
 *   struct promqltest_report r = {0};
 *   promqltest_run(text, &r);          r.n_evals, r.failures
 *   promqltest_report_done(&r);
 *
 * Each instant eval runs in all the forms of upstream's runner: as written, with every selector pinned by @ at other
 * times, and each of these as a range query. Evals that need what the engine calls unsupported are skipped and
 * counted; the rest of their file runs. Language:
 * tests/conformance/promql/README.md. Upstream: promql/promqltest/test.go */
#ifndef PROMQL_PROMQLTEST_H
#define PROMQL_PROMQLTEST_H

#include "base/error.h"
#include "base/vec.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "promql/parse.h"

enum promqltest_skip { SKIP_NONE, SKIP_UNSUPPORTED, SKIP_N };
struct promqltest_report {
        size_t n_evals; /* run */
        size_t n_skipped[SKIP_N];
        VEC(char *) failures; /* "line 12: …" */
};
void promqltest_run(Str text, struct promqltest_report *r);
void promqltest_report_done(struct promqltest_report *r);

/* The rest is between the files of the runner. */
enum expect_kind { EXPECT_ORDERED, EXPECT_FAIL, EXPECT_WARN, EXPECT_NO_WARN, EXPECT_INFO, EXPECT_NO_INFO };
struct expectation {
        enum expect_kind kind;
        Str message;      /* to be equal to; p NULL: see re */
        struct regex *re; /* to be found; NULL too: anything */
};
struct expected_series {
        Labels labels;
        const struct promql_series_value *values;
        size_t n;
};
struct test_eval {
        int line;
        Str text;
        bool is_range;
        TimeMs start_ms, end_ms; /* of the points of a matrix; also of the range query */
        int64_t step_ms;
        VEC(struct expectation) expectations;
        VEC(struct expected_series) series;
        bool has_scalar, has_string, has_range_vector, any_warn, any_info;
        double scalar;
        Str string;
        enum promqltest_skip skip;
};
struct test_lines {
        Str rest;
        int line;  /* of the line given last, from 1 */
        Str ahead; /* put back */
        bool has_ahead;
};
/* Trimmed; comments are empty. False: end of file. */
bool test_lines_next(struct test_lines *l, Str *ret);
void test_lines_back(struct test_lines *l, Str line);

/* After the line "eval…", which is given. Everything is in the arena but the regexes: test_eval_done. */
struct error *test_eval_read(struct test_lines *l, Str head, struct arena *a, struct test_eval *ret) MUST_CHECK;
void test_eval_done(struct test_eval *ev);
bool expectation_matches(const struct expectation *x, Str text);
/* The metric in front of values, which may not be parsed themselves. */
struct error *test_metric_of(Str line, struct arena *a, Labels *ret, bool *ret_is_start_times) MUST_CHECK;
/* Start times of a series: one a position, relative to the sample there; START_OMITTED: none. */
#define START_OMITTED INT64_MIN
struct start_times {
        Labels labels;
        int64_t *offsets_ms; /* arena */
        size_t n;
};
struct error *test_start_times_read(Str line, struct arena *a, struct start_times *ret) MUST_CHECK;
/* Native histograms with custom buckets out of the classic ones of the lines: load_with_nhcb. */
typedef VEC(struct promql_series_line) LineVec;
struct error *test_convert_classic(const struct promql_series_line *const *lines, size_t n, struct arena *a,
                                   LineVec *ret) MUST_CHECK;
bool test_almost_equal(double a, double b);
bool test_histograms_equal(const struct histogram *want, const struct histogram *got, bool with_hint);

#endif
