/* SPDX-License-Identifier: Apache-2.0 */
#include "model/expo/parse.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/test.h"
#include "codec/float_text.h"
#include "codec/json.h"

/* Everything the parser tells of a body, one entry a line, up to the end or the error. */
static void transcribe(enum expo_format f, Str body, bool exact_only, struct buf *out)
{
        struct expo_parser p;
        struct arena a;
        arena_init(&a, 64 << 20);
        CHECK_OK(expo_parser_init(&p, f, body));
        p.exact_only = exact_only;
        for (;;) {
                struct expo_entry x = {0};
                struct error *e = expo_next(&p, &x);
                if (e) {
                        buf_printf(out, "error %s\n", error_str(e));
                        error_free(e);
                        break;
                }
                if (x.type == EXPO_END)
                        break;
                Labels ls;
                switch (x.type) {
                case EXPO_SERIES:
                        CHECK_OK(expo_labels(&p, &x, &a, &ls));
                        buf_puts(out, "series ");
                        labels_print(out, ls);
                        buf_putc(out, ' ');
                        buf_put_float(out, x.value, 'g');
                        if (x.has_t)
                                buf_printf(out, " @%lld", (long long)x.t);
                        if (x.has_exemplar) {
                                CHECK_OK(expo_exemplar_labels(&x, &a, &ls));
                                buf_puts(out, " # ");
                                labels_print(out, ls);
                                buf_putc(out, ' ');
                                buf_put_float(out, x.exemplar_value, 'g');
                                if (x.exemplar_has_t)
                                        buf_printf(out, " @%lld", (long long)x.exemplar_t);
                        }
                        break;
                case EXPO_HELP:
                        buf_printf(out, "help " STR_FMT ": " STR_FMT, STR_ARG(x.family), STR_ARG(x.text));
                        break;
                case EXPO_TYPE:
                        buf_printf(out, "type " STR_FMT ": %s", STR_ARG(x.family), metric_type_name(x.metric_type));
                        break;
                case EXPO_UNIT:
                        buf_printf(out, "unit " STR_FMT ": " STR_FMT, STR_ARG(x.family), STR_ARG(x.text));
                        break;
                default:
                        buf_printf(out, "comment " STR_FMT, STR_ARG(x.text));
                }
                buf_putc(out, '\n');
        }
        expo_parser_done(&p);
        arena_done(&a);
}

static void parse_case(enum expo_format f, Str body, const char *want)
{
        for (int exact = 0; exact < 2; exact++) {
                struct buf got = BUF_INIT(64 << 20);
                transcribe(f, body, exact, &got);
                CHECK_STR(buf_str(&got), want);
                buf_done(&got);
        }
}

TEST(expo_text, reads_the_usual_lines)
{
        parse_case(EXPO_TEXT,
                   STR("# HELP go_gc Some \\n \\\\ \\\" help.\n"
                       "# TYPE go_gc summary\n"
                       "go_gc{quantile=\"0\"} 4.9351e-05\n"
                       "go_gc{quantile=\"0.25\",} 7.424100000000001e-05\n"
                       "go_gc{quantile=\"1\",a=\"b\"} 8.3835e-05 1700000000123\n"
                       "go_gc_count 99\n"
                       "\n"
                       "# HELP h help\n"
                       "# TYPE h histogram\n"
                       "h_bucket{le=\"1\"} 1e+06\n"
                       "h_bucket{le=\"1e3\"} -0\n"
                       "h_bucket{le=\"+Inf\"} +Inf\n"
                       "# a comment\n"
                       "#another\n"
                       "# TYPE x untyped\n"
                       "x{s=\"\\\\ \\\" \\n \\x \xc3\xa9\"} NaN\n"
                       "x:y_9 0x1\n"),
                   "help go_gc: Some \n \\ \\\" help.\n"
                   "type go_gc: summary\n"
                   "series {__name__=\"go_gc\", quantile=\"0.0\"} 4.9351e-05\n"
                   "series {__name__=\"go_gc\", quantile=\"0.25\"} 7.424100000000001e-05\n"
                   "series {__name__=\"go_gc\", a=\"b\", quantile=\"1.0\"} 8.3835e-05 @1700000000123\n"
                   "series {__name__=\"go_gc_count\"} 99\n"
                   "help h: help\n"
                   "type h: histogram\n"
                   "series {__name__=\"h_bucket\", le=\"1.0\"} 1e+06\n"
                   "series {__name__=\"h_bucket\", le=\"1000.0\"} -0\n"
                   "series {__name__=\"h_bucket\", le=\"+Inf\"} +Inf\n"
                   "comment # a comment\n"
                   "comment #another\n"
                   "type x: unknown\n"
                   "series {__name__=\"x\", s=\"\\\\ \\\" \\n \\\\x \xc3\xa9\"} NaN\n"
                   "error strconv.ParseFloat: parsing \"0x1\": invalid syntax while parsing: \"x:y_9 0x1\"\n");
}

TEST(expo_text, takes_what_the_grammar_allows_besides)
{
        parse_case(EXPO_TEXT, STR("a 1"), "series {__name__=\"a\"} 1\n");
        parse_case(EXPO_TEXT, STR("a 1 "), "series {__name__=\"a\"} 1\n");
        parse_case(EXPO_TEXT, STR("a 1 5"), "series {__name__=\"a\"} 1 @5\n");
        parse_case(EXPO_TEXT, STR("a\t 1 \t 5 \n"), "series {__name__=\"a\"} 1 @5\n");
        parse_case(EXPO_TEXT, STR("a {b = \"c\" , d=\"e\" f=\"g\"} 1\n"),
                   "series {__name__=\"a\", b=\"c\", d=\"e\", f=\"g\"} 1\n");
        parse_case(EXPO_TEXT, STR("a{b=\"c\"}1\n"), "series {__name__=\"a\", b=\"c\"} 1\n");
        parse_case(EXPO_TEXT, STR("a{} 1\n"), "series {__name__=\"a\"} 1\n");
        parse_case(EXPO_TEXT, STR("a{b=\"\"} 1\n"), "series {__name__=\"a\", b=\"\"} 1\n");
        parse_case(EXPO_TEXT, STR("{\"my.metric\",a=\"b\"} 1\n"), "series {__name__=\"my.metric\", a=\"b\"} 1\n");
        parse_case(EXPO_TEXT, STR("{a=\"b\",\"my.metric\",\"x.y\"=\"z\"} 1\n"),
                   "series {__name__=\"my.metric\", a=\"b\", \"x.y\"=\"z\"} 1\n");
        parse_case(EXPO_TEXT, STR("{\"q\\\"uote\"} 1\n"), "series {__name__=\"q\\\"uote\"} 1\n");
        parse_case(EXPO_TEXT, STR("# HELP \"my.metric\" text\n# TYPE \"my.metric\" gauge\n"),
                   "help my.metric: text\ntype my.metric: gauge\n");
        parse_case(EXPO_TEXT, STR("a{b=\"x\ny\"} 1\n"), "series {__name__=\"a\", b=\"x\\ny\"} 1\n");
        parse_case(EXPO_TEXT, STR("# HELP a\n# HELP b \n# HELP c  two\n"), "help a: \nhelp b: \nhelp c:  two\n");
        parse_case(EXPO_TEXT, STR(""), "");
        parse_case(EXPO_TEXT, STR("\n \t\n\n"), "");
        parse_case(EXPO_TEXT, STR("a +1\nb .5\nc 5.\nd -inf\ne 1E3\nf 1e5\n"),
                   "series {__name__=\"a\"} 1\nseries {__name__=\"b\"} 0.5\nseries {__name__=\"c\"} 5\nseries "
                   "{__name__=\"d\"} -Inf\n"
                   "series {__name__=\"e\"} 1000\nseries {__name__=\"f\"} 100000\n");
}

TEST(expo_text, refuses_the_rest)
{
        parse_case(EXPO_TEXT, STR("a 1\r\n"),
                   "error strconv.ParseFloat: parsing \"1\\r\": invalid syntax while parsing: \"a 1\\r\"\n");
        parse_case(EXPO_TEXT, STR("a 1 -5\n"),
                   "error expected timestamp or new record, got \"-\" (\"INVALID\") while parsing: \"a 1 -\"\n");
        parse_case(EXPO_TEXT, STR("a 1 99999999999999999999\n"),
                   "error strconv.ParseInt: parsing \"99999999999999999999\": value out of range "
                   "while parsing: \"a 1 99999999999999999999\"\n");
        parse_case(EXPO_TEXT, STR("a 1e999\n"),
                   "error strconv.ParseFloat: parsing \"1e999\": value out of range while parsing: \"a 1e999\"\n");
        parse_case(EXPO_TEXT, STR("{\"a\",\"b\"} 1\n"),
                   "error metric name already set while parsing: \"{\\\"a\\\",\\\"b\\\"}\"\n");
        parse_case(EXPO_TEXT, STR("# TYPE a info\n"), "error invalid metric type \"info\"\n");
        parse_case(EXPO_TEXT, STR("# HELP a \xff\n"), "error help text \"\\xff\" is not a valid utf8 string\n");
        parse_case(EXPO_TEXT, STR("\xc3\xa9 1\n"),
                   "error expected a valid start token, got \"\\xc3\" (\"INVALID\") while parsing: \"\\xc3\"\n");
}

TEST(expo_openmetrics, reads_the_usual_lines)
{
        parse_case(EXPO_OPENMETRICS,
                   STR("# HELP foo_seconds Some \\n \\\\ \\\" help.\n"
                       "# TYPE foo_seconds counter\n"
                       "# UNIT foo_seconds seconds\n"
                       "foo_seconds_total 17.0 1520879607.789 # {id=\"counter-test\"} 5\n"
                       "foo_seconds_total{a=\"b\"} 17 1.5 # {} 0.5 1520879607.789\n"
                       "foo_seconds_created 1520872607.123\n"
                       "# TYPE h histogram\n"
                       "h_bucket{le=\"1\"} 4 # {id=\"a b\\\"\",x=\"y\"} 9.8 2\n"
                       "# TYPE i info\n"
                       "{\"i.info\",a=\"b\"} 1\n"
                       "# TYPE s stateset\n"
                       "# TYPE g gaugehistogram\n"
                       "# EOF\n"),
                   "help foo_seconds: Some \n \\ \" help.\n"
                   "type foo_seconds: counter\n"
                   "unit foo_seconds: seconds\n"
                   "series {__name__=\"foo_seconds_total\"} 17 @1520879607789 # {id=\"counter-test\"} 5\n"
                   "series {__name__=\"foo_seconds_total\", a=\"b\"} 17 @1500 # {} 0.5 @1520879607789\n"
                   "series {__name__=\"foo_seconds_created\"} 1.520872607123e+09\n"
                   "type h: histogram\n"
                   "series {__name__=\"h_bucket\", le=\"1.0\"} 4 # {id=\"a b\\\\\\\"\", x=\"y\"} 9.8 "
                   "@2000\n"
                   "type i: info\n"
                   "series {__name__=\"i.info\", a=\"b\"} 1\n"
                   "type s: stateset\n"
                   "type g: gaugehistogram\n");
        parse_case(EXPO_OPENMETRICS, STR("# TYPE a gauge\n# EOF"), "type a: gauge\n");
        parse_case(EXPO_OPENMETRICS, STR("a 1 \n# EOF\n"),
                   "series {__name__=\"a\"} 1\nerror expected a valid start token, got \"\\n#\" (\"LINEBREAK\") while "
                   "parsing: \"\\n#\"\n");
}

TEST(expo_openmetrics, leaves_created_lines_out_when_asked)
{
        struct expo_parser p;
        CHECK_OK(expo_parser_init(&p, EXPO_OPENMETRICS,
                                  STR("# TYPE a counter\na_total 1\na_created 5\n{\"a_created\",x=\"y\"} 5\n"
                                      "# TYPE b gauge\nb_created 6\n# EOF\n")));
        p.skip_created = true;
        struct buf got = BUF_INIT(1 << 20);
        for (;;) {
                struct expo_entry x;
                CHECK_OK(expo_next(&p, &x));
                if (x.type == EXPO_END)
                        break;
                if (x.type == EXPO_SERIES)
                        buf_printf(&got, STR_FMT " ", STR_ARG(x.series));
        }
        CHECK_STR(buf_str(&got), "a_total b_created ");
        buf_done(&got);
        expo_parser_done(&p);
}

static void known_case(enum expo_format f, Str body, Str series, bool want)
{
        struct expo_parser p;
        CHECK_OK(expo_parser_init(&p, f, body));
        struct expo_entry x = {0};
        bool got = expo_next_known(&p, series, &x);
        CHECK_MSG(got == want, "series " STR_FMT " in " STR_FMT ": %d", STR_ARG(series), STR_ARG(body), got);
        if (!want)
                CHECK_U64(p.at, 0);
        expo_parser_done(&p);
}

TEST(expo_next_known, takes_a_line_only_if_all_of_it_is_fine)
{
        known_case(EXPO_TEXT, STR("a 1\n"), STR("a"), true);
        known_case(EXPO_TEXT, STR("a 1"), STR("a"), true);
        known_case(EXPO_TEXT, STR("a\t1\n"), STR("a"), true);
        known_case(EXPO_TEXT, STR("a 1 2\n"), STR("a"), true);
        known_case(EXPO_TEXT, STR("ab 1\n"), STR("a"), false);
        known_case(EXPO_TEXT, STR("a{} 1\n"), STR("a"), false);
        known_case(EXPO_TEXT, STR("a {} 1\n"), STR("a"), false);
        known_case(EXPO_TEXT, STR("a"), STR("a"), false);
        known_case(EXPO_TEXT, STR("a "), STR("a"), false);
        known_case(EXPO_TEXT, STR(""), STR("a"), false);
        known_case(EXPO_TEXT, STR("a x\n"), STR("a"), false);
        known_case(EXPO_TEXT, STR("a 1 2 3\n"), STR("a"), false);
        known_case(EXPO_TEXT, STR("a 1 # {} 1\n"), STR("a"), false);
        known_case(EXPO_TEXT, STR("a{b=\"c\"} 1.5 7\n"), STR("a{b=\"c\"}"), true);
        known_case(EXPO_OPENMETRICS, STR("a 1\n"), STR("a"), true);
        known_case(EXPO_OPENMETRICS, STR("a 1"), STR("a"), false);
        known_case(EXPO_OPENMETRICS, STR("a\t1\n"), STR("a"), false);
        known_case(EXPO_OPENMETRICS, STR("a 1 2.5 # {x=\"y\"} 3 4\n"), STR("a"), true);
        known_case(EXPO_OPENMETRICS, STR("a 1 # {x=y} 3 4\n"), STR("a"), false);
        known_case(EXPO_OPENMETRICS, STR("a 1 \n"), STR("a"), false);
        known_case(EXPO_OPENMETRICS, STR("a 1 NaN\n"), STR("a"), false);
}

/* Both ways through a body tell the same; then every sample is known and gives the same numbers again. */
static void corpus_case(enum expo_format f, Str body, size_t want_series)
{
        struct buf fast = BUF_INIT(64 << 20), exact = BUF_INIT(64 << 20);
        transcribe(f, body, /* exact_only= */ false, &fast);
        transcribe(f, body, /* exact_only= */ true, &exact);
        CHECK_STRS(buf_str(&fast), buf_str(&exact));
        CHECK(!str_contains(buf_str(&fast), STR("error ")));
        buf_done(&fast);
        buf_done(&exact);

        struct expo_parser p, known;
        CHECK_OK(expo_parser_init(&p, f, body));
        CHECK_OK(expo_parser_init(&known, f, body));
        size_t n_series = 0;
        for (;;) {
                struct expo_entry x, y;
                CHECK_OK(expo_next(&p, &x));
                if (x.type == EXPO_SERIES) {
                        n_series++;
                        CHECK(expo_next_known(&known, x.series, &y));
                        CHECK_F64(y.value, x.value);
                        CHECK(y.has_t == x.has_t && (!x.has_t || y.t == x.t) && y.has_exemplar == x.has_exemplar);
                } else {
                        CHECK_OK(expo_next(&known, &y));
                }
                CHECK(p.at == known.at && x.type == y.type);
                if (x.type == EXPO_END)
                        break;
        }
        CHECK_U64(n_series, want_series);
        expo_parser_done(&p);
        expo_parser_done(&known);
}

static void corpus_file(enum expo_format f, const char *name, size_t want_series)
{
        char *path = conformance_path(name), *text;
        struct buf body = BUF_INIT(64 << 20);
        size_t n;
        CHECK_OK(file_read(path, 64 << 20, &text, &n));
        buf_append(&body, text, n);
        corpus_case(f, buf_str(&body), want_series);
        buf_done(&body);
        free(text);
        free(path);
}

TEST(expo_text, reads_the_corpora_both_ways_alike)
{
        corpus_file(EXPO_TEXT, "textparse/alltypes.237mfs.prom.txt", 1857);
        corpus_file(EXPO_TEXT, "textparse/alltypes.237mfs.nometa.prom.txt", 1857);
}

TEST(expo_openmetrics, reads_the_corpora_both_ways_alike)
{
        corpus_file(EXPO_OPENMETRICS, "textparse/alltypes.5mfs.om.txt", 53);
        corpus_file(EXPO_OPENMETRICS, "textparse/1histogram.om.txt", 42);
}

/* The tables were written as JSON, where a byte that is no UTF-8 became U+FFFD: in all of them it was 0xff. */
static Str with_bad_bytes(struct arena *a, Str s)
{
        char *p = arena_alloc(a, s.n + 1);
        size_t n = 0;
        for (size_t i = 0; i < s.n; i++) {
                if (s.n - i >= 3 && memcmp(s.p + i, "\xef\xbf\xbd", 3) == 0) {
                        p[n++] = (char)0xff;
                        i += 2;
                } else {
                        p[n++] = s.p[i];
                }
        }
        return (Str){p, n};
}

static size_t table_case(const struct json *tables, const char *name, enum expo_format f, struct arena *a)
{
        const struct json *table = json_get(tables, str_from(name));
        JSON_EACH(c, table)
        {
                Str input = with_bad_bytes(a, json_str(json_get(&c->value, STR("input")))),
                    want = json_str(json_get(&c->value, STR("err")));
                for (int exact = 0; exact < 2; exact++) {
                        struct expo_parser p;
                        CHECK_OK(expo_parser_init(&p, f, input));
                        p.exact_only = exact;
                        struct error *e = NULL;
                        struct expo_entry x = {0};
                        do
                                e = expo_next(&p, &x);
                        while (!e && x.type != EXPO_END);
                        /* "EOF" is how the tables write a good end, or nothing. */
                        CHECK_STRS(e ? str_from(error_str(e)) : STR(""), str_eq(want, STR("EOF")) ? STR("") : want);
                        error_free(e);
                        expo_parser_done(&p);
                }
        }
        return table ? table->n : 0;
}

TEST(expo_parser, tells_upstreams_errors)
{
        char *path = conformance_path("textparse/tables.json"), *text;
        size_t n;
        struct arena a;
        const struct json *tables;
        arena_init(&a, 256 << 20);
        CHECK_OK(file_read(path, 64 << 20, &text, &n));
        CHECK_OK(json_parse((Str){text, n}, &a, &tables));
        CHECK_U64(table_case(tables, "TestOpenMetricsParseErrors", EXPO_OPENMETRICS, &a), 70);
        CHECK_U64(table_case(tables, "TestOMNullByteHandling", EXPO_OPENMETRICS, &a), 12);
        CHECK_U64(table_case(tables, "TestPromParseErrors", EXPO_TEXT, &a), 18);
        CHECK_U64(table_case(tables, "TestPromNullByteHandling", EXPO_TEXT, &a), 9);
        free(text);
        free(path);
        arena_done(&a);
}

static Str media_type_of(Str protocol)
{
        if (str_has_prefix(protocol, STR("PrometheusText")))
                return STR("text/plain");
        if (str_has_prefix(protocol, STR("OpenMetrics")))
                return STR("application/openmetrics-text");
        return str_eq(protocol, STR("PrometheusProto")) ? STR("application/vnd.google.protobuf") : (Str){NULL, 0};
}

TEST(expo_format_of, judges_content_types_as_upstream_does)
{
        char *path = conformance_path("textparse/tables.json"), *text;
        size_t n;
        struct arena a;
        const struct json *tables;
        arena_init(&a, 256 << 20);
        CHECK_OK(file_read(path, 64 << 20, &text, &n));
        CHECK_OK(json_parse((Str){text, n}, &a, &tables));
        size_t n_cases = 0;
        JSON_EACH(c, json_get(tables, STR("TestNewParser")))
        {
                Str content_type = json_str(json_get(&c->value, STR("contentType"))),
                    want = json_str(json_get(&c->value, STR("err")));
                Str fallback = media_type_of(json_str(json_get(&c->value, STR("fallbackScrapeProtocol"))));
                enum expo_format f;
                struct error *warning = NULL, *e = expo_format_of(content_type, fallback, &f, &warning);
                CHECK_MSG((e != NULL) == (want.n > 0 && fallback.n == 0), STR_FMT, STR_ARG(content_type));
                Str got = str_from(error_str(e ? e : warning));
                CHECK_MSG(want.n ? str_contains(got, want) : got.n == 0, "got " STR_FMT ", want " STR_FMT, STR_ARG(got),
                          STR_ARG(want));
                if (!e) {
                        Str type = warning ? fallback : content_type;
                        CHECK((f == EXPO_OPENMETRICS) == str_contains(type, STR("openmetrics")));
                        CHECK((f == EXPO_PROTOBUF) == str_contains(type, STR("protobuf")));
                }
                error_free(e);
                error_free(warning);
                n_cases++;
        }
        CHECK_U64(n_cases, 20);
        free(text);
        free(path);
        arena_done(&a);
}

static void le_case(const char *written, const char *want)
{
        struct expo_parser p;
        struct expo_entry x;
        struct arena a;
        Labels ls;
        char body[200];
        arena_init(&a, 1 << 20);
        snprintf(body, sizeof body, "# TYPE h histogram\nh_bucket{le=\"%s\"} 1\n", written);
        CHECK_OK(expo_parser_init(&p, EXPO_TEXT, str_from(body)));
        CHECK_OK(expo_next(&p, &x));
        CHECK_OK(expo_next(&p, &x));
        CHECK_OK(expo_labels(&p, &x, &a, &ls));
        CHECK_STR(labels_get(ls, STR("le")), want);
        expo_parser_done(&p);
        arena_done(&a);
}

TEST(expo_labels, writes_bounds_as_openmetrics_does)
{
        static const char *const normal[] = {
                "0.0",  "1.0", "0.005", "123456.0", "0.0001", "0.00011",         "99999.99",           "+Inf",
                "-Inf", "NaN", "1e+06", "-0.5",     "1e-05",  "0.1234567890123", "0.30000000000000004"};
        for (size_t i = 0; i < ARRAY_LEN(normal); i++)
                le_case(normal[i], normal[i]);
        le_case("1", "1.0");
        le_case("-0", "0.0");
        le_case("0.50", "0.5");
        le_case("00.5", "0.5");
        le_case(".5", "0.5");
        le_case("5.", "5.0");
        le_case("0.00001", "1e-05");
        le_case("0.00000", "0.0");
        le_case("1000000.0", "1e+06");
        le_case("1234567.5", "1.2345675e+06");
        le_case("inf", "+Inf");
        le_case("0x1p3", "8.0");
        le_case("1_0", "10.0");
        le_case("1e999", "1e999");
        le_case("word", "word");
        le_case("1..0", "1..0");
}
