/* SPDX-License-Identifier: Apache-2.0 */
/* histograms_test.c — the protobuf format, and classic histograms that become native ones. Against upstream's own bodies:
 * collect/scrape/conformance_test.c. */
#include "base/test.h"
#include "codec/proto.h"
#include "model/expo/parse.h"

static void put_labels(struct buf *out, Labels ls)
{
        labels_print(out, ls);
}

/* One entry a line. */
static void dump(enum expo_format f, Str body, struct expo_histograms how, struct buf *out)
{
        struct expo_parser p;
        struct arena a;
        arena_init(&a, 1 << 20);
        CHECK_OK(expo_parser_init(&p, f, body));
        expo_parser_histograms(&p, how);
        for (;;) {
                struct expo_entry x;
                struct error *e = expo_next(&p, &x);
                if (e) {
                        buf_printf(out, "error: %s\n", error_str(e));
                        error_free(e);
                        break;
                }
                if (x.type == EXPO_END)
                        break;
                Labels ls = {NULL, 0};
                switch (x.type) {
                case EXPO_HELP:
                        buf_printf(out, "help " STR_FMT ": " STR_FMT, STR_ARG(x.family), STR_ARG(x.text));
                        break;
                case EXPO_TYPE:
                        buf_printf(out, "type " STR_FMT ": %s", STR_ARG(x.family), metric_type_name(x.metric_type));
                        break;
                case EXPO_UNIT:
                        buf_printf(out, "unit " STR_FMT ": " STR_FMT, STR_ARG(x.family), STR_ARG(x.text));
                        break;
                case EXPO_SERIES:
                        CHECK_OK(expo_labels(&p, &x, &a, &ls));
                        put_labels(out, ls);
                        buf_printf(out, " %g", x.value);
                        break;
                case EXPO_HISTOGRAM:
                        CHECK_OK(expo_labels(&p, &x, &a, &ls));
                        put_labels(out, ls);
                        buf_putc(out, ' ');
                        if (x.histogram.i) {
                                buf_put_int_histogram(out, x.histogram.i);
                                if (x.histogram.i->reset == COUNTER_RESET_GAUGE)
                                        buf_puts(out, " gauge");
                        } else {
                                buf_put_histogram(out, x.histogram.f);
                        }
                        break;
                case EXPO_COMMENT:
                case EXPO_END:
                        break;
                }
                if (x.has_t && ls.n)
                        buf_printf(out, " @%lld", (long long)x.t);
                if (x.start_t && ls.n)
                        buf_printf(out, " since %lld", (long long)x.start_t);
                for (size_t i = 0; i < x.n_exemplars; i++) {
                        buf_puts(out, " # ");
                        put_labels(out, x.exemplars[i].labels);
                        buf_printf(out, " %g %lld", x.exemplars[i].value, x.exemplars[i].has_t ? (long long)x.exemplars[i].t : -1LL);
                }
                if (x.has_exemplar)
                        buf_puts(out, " # text");
                buf_putc(out, '\n');
        }
        expo_parser_done(&p);
        arena_done(&a);
}

static void check(enum expo_format f, Str body, struct expo_histograms how, const char *want)
{
        struct buf got = BUF_INIT(1 << 20);
        dump(f, body, how, &got);
        CHECK_STR(buf_str(&got), want);
        buf_done(&got);
}

/* ---- protobuf ---- */

static void put_label(struct buf *b, const char *name, const char *value)
{
        size_t at = proto_begin(b, 1);
        proto_put_bytes(b, 1, str_from(name));
        proto_put_bytes(b, 2, str_from(value));
        proto_end(b, at);
}

static void put_time(struct buf *b, uint32_t field, uint64_t seconds)
{
        size_t at = proto_begin(b, field);
        proto_put_uint(b, 1, seconds);
        proto_put_uint(b, 2, 5000000);
        proto_end(b, at);
}

static void put_exemplar(struct buf *b, uint32_t field, double value, uint64_t seconds)
{
        size_t at = proto_begin(b, field);
        put_label(b, "id", "7");
        proto_put_f64(b, 2, value);
        if (seconds)
                put_time(b, 3, seconds);
        proto_end(b, at);
}

static void put_classic_bucket(struct buf *b, double upper, uint64_t count)
{
        size_t at = proto_begin(b, 3);
        proto_put_uint(b, 1, count);
        proto_put_f64(b, 2, upper);
        proto_end(b, at);
}

static void put_span(struct buf *b, uint32_t field, int64_t offset, uint64_t length)
{
        size_t at = proto_begin(b, field);
        proto_put_sint(b, 1, offset);
        proto_put_uint(b, 2, length);
        proto_end(b, at);
}

static void put_family(struct buf *body, const char *name, uint64_t type, const struct buf *metrics, const char *unit)
{
        struct buf f = BUF_INIT(1 << 20);
        proto_put_bytes(&f, 1, str_from(name));
        proto_put_bytes(&f, 2, STR("some help"));
        proto_put_uint(&f, 3, type);
        buf_put(&f, buf_str(metrics));
        proto_put_bytes(&f, 5, str_from(unit));
        buf_put_uvarint(body, f.n);
        buf_put(body, buf_str(&f));
        buf_done(&f);
}

/* A metric with a native histogram {1,2,3 …} and, if asked, classic buckets. */
static void put_histogram(struct buf *m, bool native, bool classic)
{
        size_t metric = proto_begin(m, 4);
        put_label(m, "z", "1");
        put_label(m, "a", "2");
        size_t h = proto_begin(m, 7);
        proto_put_uint(m, 1, 4);
        proto_put_f64(m, 2, 2.5);
        if (classic) {
                put_classic_bucket(m, 0.5, 1);
                put_classic_bucket(m, 1, 3);
        }
        if (native) {
                proto_put_sint(m, 5, 1);
                put_span(m, 12, 0, 2);
                put_span(m, 12, 1, 1);
                for (int i = 0; i < 3; i++) { /* not packed: as some clients send it */
                        static const uint64_t deltas[] = {2, 1, 4}; /* zigzag: 1, -1, 2 */
                        uint8_t key[] = {13 << 3};
                        buf_append(m, key, 1);
                        buf_put_uvarint(m, deltas[i]);
                }
                put_exemplar(m, 16, 0.25, 100);
                put_exemplar(m, 16, 0.5, 0);
        }
        put_time(m, 15, 50);
        proto_end(m, h);
        proto_put_uint(m, 6, 1234);
        proto_end(m, metric);
}

TEST(expo_protobuf, gives_the_entries_of_a_text)
{
        struct buf body = BUF_INIT(1 << 20), m = BUF_INIT(1 << 20);
        size_t metric = proto_begin(&m, 4), value = proto_begin(&m, 3);
        proto_put_f64(&m, 1, 7);
        put_exemplar(&m, 2, 1, 0);
        put_time(&m, 3, 9);
        proto_end(&m, value);
        proto_end(&m, metric);
        put_family(&body, "c_total", 0, &m, "apples");
        buf_clear(&m);
        put_family(&body, "nothing", 1, &m, "");
        metric = proto_begin(&m, 4);
        put_label(&m, "x", "");
        value = proto_begin(&m, 4);
        proto_put_uint(&m, 1, 3);
        proto_put_f64(&m, 2, 1.5);
        size_t q = proto_begin(&m, 3);
        proto_put_f64(&m, 1, 0.5);
        proto_put_f64(&m, 2, 0.25);
        proto_end(&m, q);
        proto_end(&m, value);
        proto_end(&m, metric);
        put_family(&body, "s", 2, &m, "");
        check(EXPO_PROTOBUF, buf_str(&body), (struct expo_histograms){0},
              "help c_total: some help\nunit c_total: apples\ntype c_total: counter\n"
              "{__name__=\"c_total\"} 7 since 9005 # {id=\"7\"} 1 -1\n"
              "help s: some help\ntype s: summary\n{__name__=\"s_count\", x=\"\"} 3\n{__name__=\"s_sum\", x=\"\"} 1.5\n"
              "{__name__=\"s\", quantile=\"0.5\", x=\"\"} 0.25\n");
        buf_done(&body);
        buf_done(&m);
}

TEST(expo_protobuf, native_histograms_and_classic_series_beside_them)
{
        struct buf body = BUF_INIT(1 << 20), m = BUF_INIT(1 << 20);
        put_histogram(&m, true, true);
        put_family(&body, "h", 4, &m, "");
#define HEAD "help h: some help\ntype h: histogram\n"
#define CLASSIC                                                                                       \
        "{__name__=\"h_count\", a=\"2\", z=\"1\"} 4 @1234 since 50005\n"                              \
        "{__name__=\"h_sum\", a=\"2\", z=\"1\"} 2.5 @1234 since 50005\n"                              \
        "{__name__=\"h_bucket\", a=\"2\", le=\"0.5\", z=\"1\"} 1 @1234 since 50005\n"                 \
        "{__name__=\"h_bucket\", a=\"2\", le=\"1.0\", z=\"1\"} 3 @1234 since 50005\n"                 \
        "{__name__=\"h_bucket\", a=\"2\", le=\"+Inf\", z=\"1\"} 4 @1234 since 50005\n"
#define CUSTOM "{__name__=\"h\", a=\"2\", z=\"1\"} {count:4, sum:2.5, [-Inf,0.5]:1, (0.5,1]:2, (1,+Inf]:1} @1234 since 50005"
        struct expo_histograms how = {0};
        struct buf got = BUF_INIT(1 << 20);
        dump(EXPO_PROTOBUF, buf_str(&body), how, &got);
        CHECK(str_has_prefix(buf_str(&got), STR(HEAD "{__name__=\"h\", a=\"2\", z=\"1\"} {count:4, sum:2.5,")));
        CHECK(str_has_suffix(buf_str(&got), STR(" @1234 since 50005 # {id=\"7\"} 0.25 100005\n")));
        how.keep_classic = true;
        struct buf both = BUF_INIT(1 << 20);
        buf_put(&both, buf_str(&got));
        buf_puts(&both, CLASSIC);
        check(EXPO_PROTOBUF, buf_str(&body), how, buf_cstr(&both));
        how.no_native = true;
        check(EXPO_PROTOBUF, buf_str(&body), how, HEAD CLASSIC);
        how.to_custom = true;
        check(EXPO_PROTOBUF, buf_str(&body), how, HEAD CLASSIC CUSTOM " # {id=\"7\"} 0.25 100005\n");
        how.keep_classic = false;
        check(EXPO_PROTOBUF, buf_str(&body), how, HEAD CUSTOM " # {id=\"7\"} 0.25 100005\n");
        buf_done(&got);
        buf_done(&both);
        buf_done(&body);
        buf_done(&m);
}

TEST(expo_protobuf, garbage_is_an_error)
{
        static const struct {
                Str body;
                const char *want;
        } cases[] = {
                {STR_INIT("\xff\xff\xff\xff\xff\xff"), "error: clientpb: invalid varint encountered\n"},
                {STR_INIT("\x05\x0a"), "error: clientpb: insufficient length of buffer, expected at least 6 bytes, got 2 bytes\n"},
                {STR_INIT("\x02\x0a\x05"), "error: unexpected EOF\n"},
                {STR_INIT("\x02\"\x00"), "error: invalid metric name: \n"},
                {STR_INIT("\x07\x0a\x01x\x18\x09\"\x00"), "error: unknown metric type for metric \"x\": 9\n"},
                {STR_INIT("\x08\x0a\x01x\x12\x01\xff\"\x00"), "error: invalid help for metric \"x\": \xff\n"},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++)
                check(EXPO_PROTOBUF, cases[i].body, (struct expo_histograms){0}, cases[i].want);
        check(EXPO_PROTOBUF, (Str){"", 0}, (struct expo_histograms){0}, "");

        struct buf body = BUF_INIT(1 << 20), m = BUF_INIT(1 << 20);
        size_t metric = proto_begin(&m, 4), h = proto_begin(&m, 7);
        put_span(&m, 9, 0, 4000000000);
        proto_end(&m, h);
        proto_end(&m, metric);
        put_family(&body, "h", 5, &m, "");
        check(EXPO_PROTOBUF, buf_str(&body), (struct expo_histograms){0},
              "help h: some help\ntype h: gaugehistogram\nerror: histogram \"h\": negative side: spans require 4000000000 buckets, have 0\n");
        buf_done(&body);
        buf_done(&m);
}

/* ---- classic ones of a text ---- */

static const char text[] = "# TYPE h histogram\n"
                           "h_bucket{x=\"1\",le=\"1\"} 2\nh_bucket{x=\"1\",le=\"+Inf\"} 5\nh_sum{x=\"1\"} 7\nh_count{x=\"1\"} 5\n"
                           "h_bucket{x=\"2\",le=\"1\"} 0.5\nh_sum{x=\"2\"} 7\nh_count{x=\"2\"} 0.75\n"
                           "h_bucket{x=\"3\",le=\"1\"} 9\nh_bucket{x=\"3\",le=\"2\"} 5\nh_count{x=\"3\"} 9\n"
                           "# TYPE g gauge\ng_count 3\n";
#define ONE "{__name__=\"h\", x=\"1\"} {count:5, sum:7, [-Inf,1]:2, (1,+Inf]:3}\n"
#define TWO "{__name__=\"h\", x=\"2\"} {count:0.75, sum:7, [-Inf,1]:0.5, (1,+Inf]:0.25}\n"

TEST(expo_nhcb, classic_histograms_become_one_entry)
{
        check(EXPO_TEXT, str_from(text), (struct expo_histograms){.to_custom = true},
              "type h: histogram\n" ONE TWO "type g: gauge\n{__name__=\"g_count\"} 3\n");
        check(EXPO_TEXT, str_from("# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_count 1\n"), (struct expo_histograms){.to_custom = true},
              "type h: histogram\n{__name__=\"h\"} {count:1, sum:0, [-Inf,1]:1}\n");
}

TEST(expo_nhcb, classic_series_are_kept_on_demand)
{
        check(EXPO_TEXT, str_from(text), (struct expo_histograms){.to_custom = true, .keep_classic = true},
              "type h: histogram\n"
              "{__name__=\"h_bucket\", le=\"1.0\", x=\"1\"} 2\n{__name__=\"h_bucket\", le=\"+Inf\", x=\"1\"} 5\n"
              "{__name__=\"h_sum\", x=\"1\"} 7\n{__name__=\"h_count\", x=\"1\"} 5\n" ONE
              "{__name__=\"h_bucket\", le=\"1.0\", x=\"2\"} 0.5\n{__name__=\"h_sum\", x=\"2\"} 7\n{__name__=\"h_count\", x=\"2\"} 0.75\n" TWO
              "{__name__=\"h_bucket\", le=\"1.0\", x=\"3\"} 9\n{__name__=\"h_bucket\", le=\"2.0\", x=\"3\"} 5\n{__name__=\"h_count\", x=\"3\"} 9\n"
              "type g: gauge\n{__name__=\"g_count\"} 3\n");
}

TEST(expo_nhcb, exemplars_with_a_time_go_with_it)
{
        check(EXPO_OPENMETRICS,
              str_from("# TYPE h histogram\nh_bucket{le=\"1.0\"} 1 # {id=\"7\"} 0.5 12\nh_bucket{le=\"+Inf\"} 2 # {id=\"8\"} 3\nh_count 2\nh_sum 3\n# EOF\n"),
              (struct expo_histograms){.to_custom = true},
              "type h: histogram\n{__name__=\"h\"} {count:2, sum:3, [-Inf,1]:1, (1,+Inf]:1} # {id=\"7\"} 0.5 12000\n");
}
