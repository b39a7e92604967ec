/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/file.h"
#include "base/test.h"
#include "promql/promqltest.h"

/* The number of evals that could run. */
static size_t run_file(const char *path)
{
        char *text = NULL;
        size_t n = 0;
        CHECK_OK(file_read(path, 16 << 20, &text, &n));
        struct promqltest_report r = {0};
        promqltest_run((Str){text, n}, &r);
        free(text);
        const char *name = strrchr(path, '/') + 1;
        static const char *const reasons[SKIP_N] = {[SKIP_UNSUPPORTED] = "functions that are not there yet"};
        size_t skipped = 0;
        for (int i = SKIP_NONE; i < SKIP_N; i++)
                skipped += r.n_skipped[i];
        if (skipped > 0) {
                struct buf b = BUF_INIT(256);
                for (int i = SKIP_UNSUPPORTED; i < SKIP_N; i++)
                        if (r.n_skipped[i] > 0)
                                buf_printf(&b, "%s%zu need %s", b.n ? ", " : "", r.n_skipped[i], reasons[i]);
                print_message("SKIP %s: %zu of %zu evals: %s\n", name, skipped, r.n_evals + skipped, buf_cstr(&b));
                buf_done(&b);
        }
        for (size_t i = 0; i < r.failures.n; i++)
                print_message("%s: %.900s\n", name, r.failures.p[i]);
        size_t failed = r.failures.n, evals = r.n_evals;
        promqltest_report_done(&r);
        CHECK_U64(failed, 0);
        return evals;
}

static void run_conformance(const char *name)
{
        char sub[128];
        snprintf(sub, sizeof sub, "promqltest/%s.test", name);
        char *path = conformance_path(sub);
        size_t evals = run_file(path);
        free(path);
        if (evals == 0)
                test_skip("%s: no eval of it can run", sub);
}

#define CONFORMANCE(file)                                                                                              \
        TEST(promqltest, passes_the_originals_##file)                                                                  \
        {                                                                                                              \
                run_conformance(#file);                                                                                \
        }
CONFORMANCE(aggregators)
CONFORMANCE(at_modifier)
CONFORMANCE(duration_expression)
CONFORMANCE(extended_vectors)
CONFORMANCE(functions)
CONFORMANCE(histograms)
CONFORMANCE(info)
CONFORMANCE(literals)
CONFORMANCE(native_histograms)
CONFORMANCE(operators)
CONFORMANCE(staleness)
CONFORMANCE(start_timestamps)
CONFORMANCE(type_and_unit)

static void fails_case(const char *text, const char *part)
{
        struct promqltest_report r = {0};
        promqltest_run(str_from(text), &r);
        CHECK_U64(r.failures.n, 1);
        CHECK_MSG(strstr(r.failures.p[0], part), "got %s, want %s", r.failures.p[0], part);
        promqltest_report_done(&r);
}

/* A runner that finds nothing wrong proves nothing: so it is shown what is wrong. */
TEST(promqltest, notices_what_is_wrong)
{
        const char *data = "load 1m\n  a{b=\"c\"} 0+1x10\n\n";
        static const struct {
                const char *eval, *part;
        } cases[] = {
                {"eval instant at 5m a\n  a{b=\"c\"} 6\n", "is 5, want 6"},
                {"eval instant at 5m a\n", "unexpected series"},
                {"eval instant at 5m a\n  a{b=\"c\"} 5\n  a{b=\"d\"} 5\n", "missing"},
                {"eval instant at 5m 1\n  2\n", "got 1, want 2"},
                {"eval instant at 5m a\n  expect fail\n", "an error is expected"},
                {"eval instant at 5m a\n  expect warn\n  a{b=\"c\"} 5\n", "annotation missing"},
                {"eval range from 0 to 2m step 1m a\n  a{b=\"c\"} 0 1\n", "points too many"},
                {"eval range from 0 to 2m step 1m a\n  a{b=\"c\"} 0 1 2 3\n", "more values than steps"},
                {"eval range from 0 to 2m step 1m a\n  a{b=\"c\"} 0 _ 2\n", "point missing"},
                {"eval instant at 5m a b\n", "unexpected identifier"},
                {"evil\n", "unknown command"},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
                struct buf b = BUF_INIT(4096);
                buf_puts(&b, data);
                buf_puts(&b, cases[i].eval);
                fails_case(buf_cstr(&b), cases[i].part);
                buf_done(&b);
        }
}

/* Cases of our own, which run without ../shared. */
TEST(promqltest, passes_our_own_files)
{
        PathVec names = VEC_INIT;
        CHECK_OK(dir_list(COEUS_SOURCE_DIR "/tests/conformance/promql", &names));
        size_t files = 0;
        for (size_t i = 0; i < names.n; i++) {
                if (!str_has_suffix(str_from(names.p[i]), STR(".test")))
                        continue;
                char *path = path_join(COEUS_SOURCE_DIR "/tests/conformance/promql", names.p[i]);
                CHECK(run_file(path) > 0);
                free(path);
                files++;
        }
        path_vec_done(&names);
        CHECK(files > 0);
}
