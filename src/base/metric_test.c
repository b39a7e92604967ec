/* SPDX-License-Identifier: Apache-2.0 */
#include "base/metric.h"

#include <math.h>
#include <stdlib.h>

#include "base/test.h"
#include "base/thread.h"

static void text_case(struct metric_registry *r, const char *want)
{
        struct buf b = BUF_INIT(1 << 20);
        metric_write_text(r, &b);
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
}

TEST(metric, writes_families_by_name_and_metrics_by_label_values)
{
        struct metric_registry *r = metric_registry_new();
        metric_add(metric_counter(r, "b_total", "Second."), 3);
        struct metric_family *f = metric_family(r, METRIC_FAMILY_GAUGE, "a", "First\\ one,\nof \"two\".",
                                                (const char *[]){"z", "y", NULL});
        metric_set(metric_with(f, (Str[]){STR("1"), STR("b")}), -1.5);
        metric_set(metric_with(f, (Str[]){STR("2"), STR("a")}), 2);
        metric_set(metric_with(f, (Str[]){STR("0"), STR("b")}), 7);
        metric_set(metric_with(f, (Str[]){STR("q\"\\\n"), STR("")}), 0);
        metric_family(r, METRIC_FAMILY_COUNTER, "c_without_metrics", "None.", NULL);
        metric_set(metric_with(metric_family(r, METRIC_FAMILY_UNTYPED, "d", "", NULL), NULL), NAN);
        text_case(r, "# HELP a First\\\\ one,\\nof \"two\".\n"
                     "# TYPE a gauge\n"
                     "a{y=\"\",z=\"q\\\"\\\\\\n\"} 0\n"
                     "a{y=\"a\",z=\"2\"} 2\n"
                     "a{y=\"b\",z=\"0\"} 7\n"
                     "a{y=\"b\",z=\"1\"} -1.5\n"
                     "# HELP b_total Second.\n"
                     "# TYPE b_total counter\n"
                     "b_total 3\n"
                     "# HELP d \n"
                     "# TYPE d untyped\n"
                     "d NaN\n");
        metric_remove(f, (Str[]){STR("1"), STR("b")});
        metric_remove(f, (Str[]){STR("not"), STR("there")});
        metric_family_clear(metric_family(r, METRIC_FAMILY_COUNTER, "b_total", "", NULL));
        metric_set(metric_with(f, (Str[]){STR("2"), STR("a")}), 3);
        text_case(r, "# HELP a First\\\\ one,\\nof \"two\".\n"
                     "# TYPE a gauge\n"
                     "a{y=\"\",z=\"q\\\"\\\\\\n\"} 0\n"
                     "a{y=\"a\",z=\"2\"} 3\n"
                     "a{y=\"b\",z=\"0\"} 7\n"
                     "# HELP d \n"
                     "# TYPE d untyped\n"
                     "d NaN\n");
        metric_registry_free(r);
}

static void float_case(double v, const char *want)
{
        struct metric_registry *r = metric_registry_new();
        metric_set(metric_gauge(r, "x", "."), v);
        struct buf b = BUF_INIT(1 << 20);
        metric_write_text(r, &b);
        CHECK_STRS(str_trim_suffix(str_trim_prefix(buf_str(&b), STR("# HELP x .\n# TYPE x gauge\nx ")), STR("\n")),
                   str_from(want));
        buf_done(&b);
        metric_registry_free(r);
}

TEST(metric, prints_floats_as_go_does)
{
        float_case(0, "0");
        float_case(-0.0, "0"); /* expfmt's shortcut loses the sign */
        float_case(1, "1");
        float_case(-1, "-1");
        float_case(100000, "100000");
        float_case(123456, "123456");
        float_case(1e6, "1e+06");
        float_case(1234567, "1.234567e+06");
        float_case(1234567.5, "1.2345675e+06");
        float_case(12345.678, "12345.678");
        float_case(0.1, "0.1");
        float_case(1.0 / 3, "0.3333333333333333");
        float_case(0.0001, "0.0001");
        float_case(0.00001, "1e-05");
        float_case(0.00012, "0.00012");
        float_case(1e21, "1e+21");
        float_case(1e100, "1e+100");
        float_case(0.1 + 0.2, "0.30000000000000004");
        float_case(9007199254740993.0, "9.007199254740992e+15");
        float_case(1.7976931348623157e308, "1.7976931348623157e+308");
        float_case(5e-324, "5e-324");
        float_case(2.2250738585072014e-308, "2.2250738585072014e-308");
        float_case(INFINITY, "+Inf");
        float_case(-INFINITY, "-Inf");
        float_case(NAN, "NaN");
}

TEST(metric, writes_histograms_cumulatively)
{
        struct metric_registry *r = metric_registry_new();
        struct metric *m = metric_histogram(r, "h", "H.", (const double[]){0.005, 1, 1e6, INFINITY}, 4);
        metric_observe(m, 0.005);
        metric_observe(m, 0.5);
        metric_observe(m, 2);
        metric_observe(m, 1e7);
        metric_observe(m, NAN); /* is in no bucket but the last, as in client_golang */
        CHECK_F64(metric_get(m), 5);
        text_case(r, "# HELP h H.\n"
                     "# TYPE h histogram\n"
                     "h_bucket{le=\"0.005\"} 1\n"
                     "h_bucket{le=\"1\"} 2\n"
                     "h_bucket{le=\"1e+06\"} 3\n"
                     "h_bucket{le=\"+Inf\"} 5\n"
                     "h_sum NaN\n"
                     "h_count 5\n");
        metric_registry_free(r);
        r = metric_registry_new();
        struct metric_family *f = metric_family(r, METRIC_FAMILY_HISTOGRAM, "h", "H.", (const char *[]){"x", NULL});
        metric_observe(metric_with(f, (Str[]){STR("v")}), 3);
        text_case(r, "# HELP h H.\n"
                     "# TYPE h histogram\n"
                     "h_bucket{x=\"v\",le=\"0.005\"} 0\n"
                     "h_bucket{x=\"v\",le=\"0.01\"} 0\n"
                     "h_bucket{x=\"v\",le=\"0.025\"} 0\n"
                     "h_bucket{x=\"v\",le=\"0.05\"} 0\n"
                     "h_bucket{x=\"v\",le=\"0.1\"} 0\n"
                     "h_bucket{x=\"v\",le=\"0.25\"} 0\n"
                     "h_bucket{x=\"v\",le=\"0.5\"} 0\n"
                     "h_bucket{x=\"v\",le=\"1\"} 0\n"
                     "h_bucket{x=\"v\",le=\"2.5\"} 0\n"
                     "h_bucket{x=\"v\",le=\"5\"} 1\n"
                     "h_bucket{x=\"v\",le=\"10\"} 1\n"
                     "h_bucket{x=\"v\",le=\"+Inf\"} 1\n"
                     "h_sum{x=\"v\"} 3\n"
                     "h_count{x=\"v\"} 1\n");
        metric_registry_free(r);
}

TEST(metric, takes_quantiles_over_ten_minutes)
{
        struct metric_registry *r = metric_registry_new();
        struct clock_fake clock;
        clock_fake_init(&clock, 1000000);
        metric_registry_set_clock(r, &clock.clock);
        struct metric_family *f = metric_family(r, METRIC_FAMILY_SUMMARY, "s", "S.", NULL);
        metric_family_set_quantiles(f, (const double[]){0.5, 0.9, 0.99}, 3);
        struct metric *m = metric_with(f, NULL);
        text_case(r,
                  "# HELP s S.\n# TYPE s summary\n"
                  "s{quantile=\"0.5\"} NaN\ns{quantile=\"0.9\"} NaN\ns{quantile=\"0.99\"} NaN\ns_sum 0\ns_count 0\n");
        for (int i = 100; i > 0; i--)
                metric_observe(m, i);
        text_case(r,
                  "# HELP s S.\n# TYPE s summary\n"
                  "s{quantile=\"0.5\"} 50\ns{quantile=\"0.9\"} 90\ns{quantile=\"0.99\"} 99\ns_sum 5050\ns_count 100\n");
        clock.at_ms += 599999;
        metric_observe(m, 7);
        clock.at_ms += 1;
        text_case(r, "# HELP s S.\n# TYPE s summary\n"
                     "s{quantile=\"0.5\"} 7\ns{quantile=\"0.9\"} 7\ns{quantile=\"0.99\"} 7\ns_sum 5057\ns_count 101\n");
        metric_registry_free(r);
        r = metric_registry_new();
        metric_observe(metric_summary(r, "plain", "P."), 0.25);
        text_case(r, "# HELP plain P.\n# TYPE plain summary\nplain_sum 0.25\nplain_count 1\n");
        metric_registry_free(r);
}

static void add_many(void *m)
{
        for (int i = 0; i < 10000; i++)
                metric_add(m, i % 2 ? 1 : 0.5);
}

TEST(metric, loses_no_update_of_any_thread)
{
        struct metric_registry *r = metric_registry_new();
        struct metric *c = metric_counter(r, "c", ""), *g = metric_gauge(r, "g", "");
        CHECK(c == metric_counter(r, "c", "told twice"));
        struct thread t[4] = {0};
        for (int i = 0; i < 4; i++)
                CHECK_OK(thread_start(&t[i], "metric-test", add_many, i % 2 ? c : g));
        for (int i = 0; i < 4; i++)
                thread_join(&t[i]);
        CHECK_F64(metric_get(c), 15000);
        CHECK_F64(metric_get(g), 15000);
        metric_set(c, 4);
        CHECK_F64(metric_get(c), 4);
        metric_registry_free(r);
}

static void fill(void *ctx)
{
        struct metric_registry *r = ctx;
        metric_add(metric_gauge(r, "filled", "At each write."), 1);
}

TEST(metric, asks_collectors_at_each_write)
{
        struct metric_registry *r = metric_registry_new();
        metric_collect(r, fill, r);
        text_case(r, "# HELP filled At each write.\n# TYPE filled gauge\nfilled 1\n");
        text_case(r, "# HELP filled At each write.\n# TYPE filled gauge\nfilled 2\n");
        metric_collect_remove(r, fill, r);
        text_case(r, "# HELP filled At each write.\n# TYPE filled gauge\nfilled 2\n");
        metric_registry_free(r);
}
