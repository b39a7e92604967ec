/* SPDX-License-Identifier: Apache-2.0 */
#include "model/expo/write.h"

#include <math.h>

#include "base/test.h"

TEST(expo_write, writes_what_federate_answers)
{
        struct buf b = BUF_INIT(1 << 16);
        expo_write_help(&b, STR("up"), STR("a\\b\n\"c\""));
        expo_write_type(&b, STR("up"), METRIC_GAUGE);
        expo_write_type(&b, STR("my.metric"), METRIC_UNKNOWN);
        expo_write_sample(&b, (Labels){(Label[]){{STR("__name__"), STR("up")}}, 1}, 1, false, 0);
        expo_write_sample(
                &b,
                (Labels){(Label[]){{STR("__name__"), STR("up")}, {STR("a"), STR("x\"\\\ny")}, {STR("b.c"), STR("")}},
                         3},
                1e6, true, -5);
        expo_write_sample(&b, (Labels){(Label[]){{STR("__name__"), STR("my.metric")}, {STR("a"), STR("b")}}, 2}, -0.0,
                          true, 1700000000000);
        expo_write_sample(&b, (Labels){(Label[]){{STR("__name__"), STR("my \"metric")}}, 1}, NAN, false, 0);
        expo_write_sample(&b, (Labels){(Label[]){{STR("a"), STR("b")}}, 1}, INFINITY, false, 0);
        CHECK_STR(buf_str(&b), "# HELP up a\\\\b\\n\"c\"\n"
                               "# TYPE up gauge\n"
                               "# TYPE \"my.metric\" untyped\n"
                               "up 1\n"
                               "up{a=\"x\\\"\\\\\\ny\",\"b.c\"=\"\"} 1e+06 -5\n"
                               "{\"my.metric\",a=\"b\"} 0 1700000000000\n"
                               "{\"my \\\"metric\"} NaN\n"
                               "{a=\"b\"} +Inf\n");
        buf_done(&b);
}
