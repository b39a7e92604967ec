/* SPDX-License-Identifier: Apache-2.0 */
#include "model/duration.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/test.h"
#include "codec/float_text.h"
#include "codec/json.h"

static void duration_case(Str in, int64_t want_ms, const char *printed)
{
        int64_t ms;
        CHECK_OK(duration_parse(in, &ms));
        CHECK_I64(ms, want_ms);
        struct buf b = BUF_INIT(1 << 10);
        buf_put_duration(&b, ms);
        CHECK_STR(buf_str(&b), printed);
        buf_done(&b);
}

TEST(duration, reads_and_prints)
{
        duration_case(STR("0"), 0, "0s");
        duration_case(STR("0s"), 0, "0s");
        duration_case(STR("324ms"), 324, "324ms");
        duration_case(STR("90s"), 90000, "1m30s");
        duration_case(STR("4d1h"), (4 * 24 + 1) * 3600000LL, "4d1h");
        duration_case(STR("14d"), 14 * 86400000LL, "2w");
        duration_case(STR("15d"), 15 * 86400000LL, "15d");
        duration_case(STR("365d"), 365 * 86400000LL, "1y");
        duration_case(STR("1y2w"), (365 + 14) * 86400000LL, "379d");
        duration_case(STR("10y"), 3650 * 86400000LL, "10y");
        duration_case(STR("1y1w1d1h1m1s1ms"), (373 * 86400 + 3661) * 1000LL + 1, "373d1h1m1s1ms");
        struct buf b = BUF_INIT(1 << 10);
        buf_put_duration(&b, -90500);
        CHECK_STR(buf_str(&b), "-1m30s500ms");
        buf_done(&b);
}

static void refuse_case(Str in, const char *want)
{
        int64_t ms = 7;
        CHECK_ERROR(duration_parse(in, &ms), want);
        CHECK_I64(ms, 7);
}

TEST(duration_parse, tells_upstreams_errors)
{
        refuse_case(STR(""), "empty duration string");
        refuse_case(STR("1"), "not a valid duration string: \"1\"");
        refuse_case(STR("1y1m1d"), "not a valid duration string: \"1y1m1d\"");
        refuse_case(STR("5m5m"), "not a valid duration string: \"5m5m\"");
        refuse_case(STR("-1w"), "not a valid duration string: \"-1w\"");
        refuse_case(STR("1.5d"), "unknown unit \".\" in duration \"1.5d\"");
        refuse_case(STR("5x"), "unknown unit \"x\" in duration \"5x\"");
        refuse_case(STR("d"), "not a valid duration string: \"d\"");
        refuse_case(STR("294y"), "duration out of range");
        refuse_case(STR("9223372036854775807ms"), "duration out of range");
        refuse_case(STR("200y10400w"), "duration out of range");
        refuse_case(STR("99999999999999999999999s"), "not a valid duration string: \"99999999999999999999999s\"");
}

TEST(duration, agrees_with_the_recordings)
{
        char *path = conformance_path("formats/numbers.json"), *text;
        struct arena a;
        const struct json *root;
        size_t n, n_ok = 0, n_bad = 0;
        arena_init(&a, 64 << 20);
        CHECK_OK(file_read(path, 16 << 20, &text, &n));
        CHECK_OK(json_parse((Str){text, n}, &a, &root));
        JSON_EACH(c, json_get(root, STR("durations")))
        {
                Str in = json_str(json_get(&c->value, STR("duration"))),
                    seconds = json_str(json_get(&c->value, STR("as_number")));
                Str range = json_str(json_get(&c->value, STR("range"))),
                    error = STR("invalid parameter \"query\": 1:1: parse error: ");
                double plain;
                if (in.p[0] == '-' || (float_parse(in, &plain, NULL) && !str_eq(in, STR("0"))))
                        continue; /* PromQL's minus, and numbers for durations */
                int64_t ms;
                struct error *e = duration_parse(in, &ms);
                if (e) {
                        CHECK_STRS(str_from(error_str(e)), str_trim_prefix(seconds, error));
                        error_free(e);
                        n_bad++;
                        continue;
                }
                double v;
                CHECK(float_parse(seconds, &v, NULL));
                CHECK_F64((double)ms / 1000, v);
                struct buf b = BUF_INIT(1 << 10);
                buf_put_duration(&b, ms);
                if (ms > 0)
                        CHECK_STRS(buf_str(&b), str_trim_suffix(str_trim_prefix(range, STR("foo[")), STR("]")));
                buf_done(&b);
                n_ok++;
        }
        CHECK(n_ok > 15 && n_bad > 5);
        size_t n_times = 0;
        JSON_EACH(c, json_get(root, STR("times")))
        {
                Str in = json_str(json_get(&c->value, STR("time")));
                if (in.n == 0)
                        continue;
                int64_t ms;
                const struct json *result =
                        json_at(json_get(json_get(json_get(&c->value, STR("reply")), STR("data")), STR("result")), 0);
                CHECK_MSG(time_parse(in, &ms) == (result != NULL), STR_FMT, STR_ARG(in));
                if (!result)
                        continue;
                CHECK_F64((double)ms / 1000, json_f64(json_at(json_get(result, STR("value")), 0)));
                n_times++;
        }
        CHECK_U64(n_times, 17);
        free(text);
        free(path);
        arena_done(&a);
}

static void go_case(int64_t ns, const char *want)
{
        struct buf b = BUF_INIT(1 << 10);
        buf_put_go_duration(&b, ns);
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
}

TEST(go_duration, prints_as_go_does)
{
        go_case(0, "0s");
        go_case(1, "1ns");
        go_case(1100, "1.1µs");
        go_case(2200000, "2.2ms");
        go_case(3300000000, "3.3s");
        go_case(90000000000, "1m30s");
        go_case(3600000000000, "1h0m0s");
        go_case(245000000000, "4m5s");
        go_case(245001000000, "4m5.001s");
        go_case(18367001000000, "5h6m7.001s");
        go_case(480000000001, "8m0.000000001s");
        go_case(-1500000000, "-1.5s");
        go_case(INT64_MAX, "2562047h47m16.854775807s");
        go_case(INT64_MIN, "-2562047h47m16.854775808s");
}

static void size_case(Str in, uint64_t want, const char *printed)
{
        uint64_t bytes;
        CHECK_OK(size_parse(in, &bytes));
        CHECK_U64(bytes, want);
        struct buf b = BUF_INIT(1 << 10);
        buf_put_size(&b, bytes);
        CHECK_STR(buf_str(&b), printed);
        buf_done(&b);
}

TEST(size, reads_powers_of_two)
{
        size_case(STR("0"), 0, "0B");
        size_case(STR("0B"), 0, "0B");
        size_case(STR("512MB"), 512 << 20, "512MiB");
        size_case(STR("1KB"), 1024, "1KiB");
        size_case(STR("1.5MiB"), 1572864, "1MiB512KiB");
        size_case(STR("1MB1KB25B"), 1049625, "1MiB1KiB25B");
        size_case(STR("3EB"), UINT64_C(3) << 60, "3EiB");
        uint64_t bytes;
        CHECK_ERROR(size_parse(STR("1kB"), &bytes), "units: unknown unit kB in 1kB");
        CHECK_ERROR(size_parse(STR("10"), &bytes), "units: unknown unit  in 10");
        CHECK_ERROR(size_parse(STR(""), &bytes), "units: invalid ");
        CHECK_ERROR(size_parse(STR("x"), &bytes), "units: invalid x");
        CHECK_ERROR(size_parse(STR("100EB"), &bytes), "units: overflow parsing unit");
        CHECK_ERROR(size_parse(STR("-1B"), &bytes), "units: negative size -1B");
}

static void time_case(Str in, int64_t want_ms, const char *printed)
{
        int64_t ms;
        CHECK(time_parse_rfc3339(in, &ms));
        CHECK_I64(ms, want_ms);
        struct buf b = BUF_INIT(1 << 10);
        buf_put_rfc3339(&b, ms);
        CHECK_STR(buf_str(&b), printed);
        buf_done(&b);
}

TEST(rfc3339, reads_and_prints)
{
        time_case(STR("1970-01-01T00:00:00Z"), 0, "1970-01-01T00:00:00Z");
        time_case(STR("2023-11-14T22:13:20.5Z"), 1700000000500, "2023-11-14T22:13:20.5Z");
        time_case(STR("2023-11-14T22:13:20.1239+01:00"), 1699996400123, "2023-11-14T21:13:20.123Z");
        time_case(STR("2024-02-29T00:00:00-00:30"), 1709166600000, "2024-02-29T00:30:00Z");
        time_case(STR("1969-12-31T23:59:59.999Z"), -1, "1969-12-31T23:59:59.999Z");
        time_case(STR("0001-01-01T00:00:00Z"), -62135596800000, "0001-01-01T00:00:00Z");
        time_case(STR("9999-12-31T23:59:59Z"), 253402300799000, "9999-12-31T23:59:59Z");
        int64_t ms;
        static const char *const bad[] = {"",
                                          "2023-11-14",
                                          "2023-02-29T00:00:00Z",
                                          "2023-11-14T24:00:00Z",
                                          "2023-11-14T22:13:20",
                                          "2023-11-14t22:13:20Z",
                                          "2023-11-14T22:13:20.Z",
                                          "2023-11-14T22:13:20Zx",
                                          "2023-13-14T22:13:20Z",
                                          "2023-11-14T22:13:20+1:00"};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++)
                CHECK_MSG(!time_parse_rfc3339(str_from(bad[i]), &ms), "%s", bad[i]);
}
