/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/float_text.h"

#include <math.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/rand.h"
#include "base/test.h"
#include "codec/crc32c.h"
#include "codec/json.h"

static void prints(double v, char fmt, const char *want)
{
        char text[FLOAT_TEXT_MAX_BYTES];
        CHECK_STR(((Str){text, float_print(v, fmt, text)}), want);
}

TEST(float_print, lays_out_f_e_and_g_as_strconv)
{
        prints(0, 'f', "0");
        prints(-0.0, 'f', "-0");
        prints(0, 'e', "0e+00");
        prints(0, 'g', "0");
        prints(1e21, 'f', "1000000000000000000000");
        prints(1e21, 'g', "1e+21");
        prints(1e6, 'g', "1e+06");
        prints(123456, 'g', "123456");
        prints(1234567, 'g', "1.234567e+06");
        prints(0.0001, 'g', "0.0001");
        prints(0.00001, 'g', "1e-05");
        prints(1e-7, 'e', "1e-07");
        prints(5e-324, 'e', "5e-324");
        prints(1.5, 'f', "1.5");
        prints(1.0 / 3, 'f', "0.3333333333333333");
        prints(123456789012345678.0, 'f', "123456789012345680");
        prints(-1.7976931348623157e308, 'e', "-1.7976931348623157e+308");
        prints(NAN, 'f', "NaN");
        prints(INFINITY, 'g', "+Inf");
        prints(-INFINITY, 'e', "-Inf");
}

/* The kinds: any bits, thousandths, and larger fractions. */
static double random_double(struct rand *r, int i)
{
        uint64_t u = rand_u64(r);
        double v;
        if (i % 4 == 2)
                return (double)((int64_t)(u % 2000000) - 1000000) / 1000;
        if (i % 4 == 3)
                return (double)(u >> 11) / (1 << 20);
        memcpy(&v, &u, sizeof v);
        return v;
}

TEST(float_print, gives_the_bytes_of_gos_strconv_for_100000_random_doubles)
{
        static const struct {
                char fmt;
                uint32_t crc; /* of the lines that Go 1.26 printed for the same numbers */
        } kinds[] = {{'e', 0x4eeeeb4c}, {'f', 0x53e87bc5}, {'g', 0x071108ba}};
        for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
                struct rand r = {.s = 42};
                uint32_t crc = 0;
                for (int i = 0; i < 100000; i++) {
                        char text[FLOAT_TEXT_MAX_BYTES + 1];
                        size_t n = float_print(random_double(&r, i), kinds[k].fmt, text);
                        text[n] = '\n';
                        crc = crc32c(crc, text, n + 1);
                }
                CHECK_U64(crc, kinds[k].crc);
        }
}

TEST(float_print, reads_back_by_both_readers_and_strtod)
{
        struct rand r = {.s = 7};
        for (int i = 0; i < 100000; i++) {
                char text[FLOAT_TEXT_MAX_BYTES + 1];
                double v = random_double(&r, i), slow, fast;
                if (!isfinite(v))
                        continue;
                size_t n = float_print(v, "efg"[i % 3], text);
                text[n] = 0;
                CHECK_MSG(float_parse((Str){text, n}, &slow, NULL) && float_parse_fast((Str){text, n}, &fast), "%s",
                          text);
                CHECK_F64(slow, v);
                CHECK_F64(fast, v);
                CHECK_F64(strtod(text, NULL), v);
        }
}

TEST(float_print, longest_text_fits)
{
        char text[FLOAT_TEXT_MAX_BYTES];
        CHECK_U64(float_print(-4.9406564584124654e-324, 'f', text), 3 + 324);
        CHECK_U64(float_print(-2.2250738585072014e-308, 'f', text), 3 + 307 + 17);
        CHECK_U64(float_print(-1.7976931348623157e308, 'f', text), 1 + 309);
}

static void parses(const char *text, uint64_t bits, bool range)
{
        double v = 1;
        bool out_of_range = !range;
        CHECK_MSG(float_parse(str_from(text), &v, &out_of_range), "%s", text);
        uint64_t got;
        memcpy(&got, &v, sizeof got);
        CHECK_MSG(got == bits && out_of_range == range, "%s: %016llx range %d", text, (unsigned long long)got,
                  out_of_range);
}

TEST(float_parse, takes_what_gos_parse_float_takes)
{
        parses("1_000", 0x408f400000000000, false);
        parses("0_1", 0x3ff0000000000000, false);
        parses("1e1_0", 0x4202a05f20000000, false);
        parses("1_000.5_0", 0x408f440000000000, false);
        parses("0x_1p4", 0x4030000000000000, false);
        parses("0x1p1_0", 0x4090000000000000, false);
        parses("0X1P+5", 0x4040000000000000, false);
        parses("0x1p-1074", 1, false);
        parses("0x1p-1075", 0, false);
        parses("0x1.8p-1075", 1, false);
        parses("0x1p-99999", 0, false);
        parses("0x1.fffffffffffff8p1023", 0x7ff0000000000000, true);
        parses("0x1.fffffffffffff7p1023", 0x7fefffffffffffff, false);
        parses("0x.8p1", 0x3ff0000000000000, false);
        parses("0x1.00000000000008p0", 0x3ff0000000000000, false);
        parses("0x1.000000000000080000000000001p0", 0x3ff0000000000001, false);
        parses("0x1.00000000000018p0", 0x3ff0000000000002, false);
        parses("0x0.00000000000000000000000000001p100", 0x3ef0000000000000, false);
        parses("0x1.fffffffffffffp-1023", 0x0010000000000000, false);
        parses("0x0p0", 0, false);
        parses("-0x0p5", 0x8000000000000000, false);
        parses("1e400", 0x7ff0000000000000, true);
        parses("-1e400", 0xfff0000000000000, true);
        parses("1e-400", 0, false);
        parses("1e99999999999999999999", 0x7ff0000000000000, true);
        parses("1.7976931348623159e308", 0x7ff0000000000000, true);
        parses("4.9e-324", 1, false);
        parses("2.4703282292062327208e-324", 0, false);
        parses("2.4703282292062328e-324", 1, false);
        parses(".5", 0x3fe0000000000000, false);
        parses("5.", 0x4014000000000000, false);
        parses("5.e1", 0x4049000000000000, false);
        parses("+5", 0x4014000000000000, false);
        parses("+inf", 0x7ff0000000000000, false);
        parses("-Infinity", 0xfff0000000000000, false);
        parses("nAn", 0x7ff8000000000001, false);
}

TEST(float_parse, refuses_what_go_refuses)
{
        static const char *const bad[] = {"",        "+",      "-",     ".",      "+-1", "1e",    "1e+",  "+nan",
                                          "-nan",    "infi",   "nan1",  "1_",     "_1",  "1__0",  "1e_1", "0b1",
                                          "0b_1",    "0x1_p4", "1_.5",  "1._5",   "0x1", "0x.p1", "0x",   "0x_",
                                          "0x__1p1", "0x1p",   "0x1p+", "0x1p1x", "1x",  " 1",    "1 ",   "1.2.3",
                                          "--1",     "++1",    "e5",    "_",      "._"};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                double v;
                CHECK_MSG(!float_parse(str_from(bad[i]), &v, NULL), "accepted %s", bad[i]);
        }
}

TEST(float_parse_fast, is_parse_float_without_hex_underscores_and_overflow)
{
        static const char *const good[] = {"0",
                                           "-0",
                                           "1",
                                           "-12",
                                           "123456789012345",
                                           "1234567890123456789",
                                           "0.1",
                                           "1.5e3",
                                           "-.5",
                                           "3.",
                                           "NaN",
                                           "+Inf",
                                           "-inf",
                                           "infinity",
                                           "+7",
                                           "1e-400",
                                           "0.000000000000001",
                                           "999999999999.999",
                                           "000000000000000000001"};
        for (size_t i = 0; i < ARRAY_LEN(good); i++) {
                double fast, slow;
                CHECK_MSG(float_parse_fast(str_from(good[i]), &fast) && float_parse(str_from(good[i]), &slow, NULL),
                          "%s", good[i]);
                CHECK_F64(fast, slow);
        }
        static const char *const bad[] = {"",   "-",   ".",    "-.",    "1_0", "0x1p4", "1e400",
                                          "1-", "--1", "+nan", "1.2.3", "in",  "1e5x",  "."};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                double v;
                CHECK_MSG(!float_parse_fast(str_from(bad[i]), &v), "accepted %s", bad[i]);
        }
}

TEST(buf_put_sample_value, changes_to_e_at_the_ends)
{
        static const struct {
                double v;
                const char *text;
        } rows[] = {{0, "0"},
                    {-0.0, "-0"},
                    {1e-6, "0.000001"},
                    {9.9e-7, "9.9e-07"},
                    {1e20, "100000000000000000000"},
                    {-1e21, "-1e+21"},
                    {NAN, "NaN"},
                    {INFINITY, "+Inf"},
                    {42, "42"}};
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
                struct buf b = BUF_INIT(100);
                buf_put_sample_value(&b, rows[i].v);
                CHECK_STR(buf_str(&b), rows[i].text);
                buf_done(&b);
        }
}

/* Recorded replies of Prometheus to number literals. */
TEST(float_text, numbers_recorded_from_prometheus)
{
        char *path = conformance_path("formats/numbers.json");
        char *json;
        size_t json_n;
        CHECK_OK(file_read(path, 1 << 20, &json, &json_n));
        free(path);
        struct arena a;
        arena_init(&a, 16 << 20);
        const struct json *root;
        CHECK_OK(json_parse((Str){json, json_n}, &a, &root));
        int n = 0;
        JSON_EACH(m, json_get(root, STR("floats")))
        {
                double v;
                char text[FLOAT_TEXT_MAX_BYTES];
                Str want = json_str(json_get(&m->value, STR("json_value"))),
                    expr = json_str(json_get(&m->value, STR("expr")));
                if (expr.n > 1 && expr.p[0] == '0' && expr.p[1] >= '0' && expr.p[1] <= '7')
                        continue; /* octal in PromQL */
                if (!float_parse(expr, &v, NULL) || want.n == 0)
                        continue; /* arithmetic, and literals that only PromQL knows */
                CHECK_STRS(((Str){text, float_print(v, 'f', text)}), want);
                n++;
        }
        CHECK_MSG(n >= 15, "only %d numbers", n);
        arena_done(&a);
        free(json);
}

TEST(float_print_points, prints_each_as_float_print_sample)
{
        struct rand r = {.s = 3};
        char prefix[FLOAT_RUN_MAX][FLOAT_PREFIX_BYTES] = {0};
        uint8_t len[FLOAT_RUN_MAX];
        static char got[FLOAT_RUN_BYTES];
        static const double odd[] = {0, -0.0, NAN, INFINITY, -INFINITY, 1e-6, 9.999e-7, 1e15, 1e17, 1e21, 9.9e20, 0.1, -5e-324, 123456789012345678.0};
        for (int round = 0; round < 20000; round++) {
                double v[FLOAT_RUN_MAX];
                size_t n = 1 + rand_below(&r, FLOAT_RUN_MAX);
                struct buf want = BUF_INIT(1 << 20);
                for (size_t i = 0; i < n; i++) {
                        v[i] = rand_below(&r, 10) == 0 ? odd[rand_below(&r, ARRAY_LEN(odd))] : random_double(&r, (int)rand_below(&r, 4));
                        len[i] = (uint8_t)(1 + rand_below(&r, FLOAT_PREFIX_BYTES));
                        memset(prefix[i], 'a' + (int)i, FLOAT_PREFIX_BYTES);
                        if (i)
                                buf_putc(&want, ',');
                        buf_append(&want, prefix[i], len[i]);
                        buf_put_sample_value(&want, v[i]);
                        buf_puts(&want, "\"]");
                }
                char *end = float_print_points(got, v, n, (const char(*)[FLOAT_PREFIX_BYTES])prefix, len);
                CHECK(end - got == (ptrdiff_t)want.n && memcmp(got, want.p, want.n) == 0);
                buf_done(&want);
        }
}
