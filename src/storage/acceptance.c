/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/acceptance.h"

#include <math.h>

#include "base/test.h"
#include "storage/decode.h"

#define T0          INT64_C(1000000000)
#define LABELS(...) ((Labels){(Label[]){__VA_ARGS__}, sizeof((Label[]){__VA_ARGS__}) / sizeof(Label)})
#define UP_A        LABELS({STR("__name__"), STR("up")}, {STR("instance"), STR("a")}, {STR("job"), STR("x")})
#define UP_B        LABELS({STR("__name__"), STR("up")}, {STR("instance"), STR("b")}, {STR("job"), STR("y")})
#define OTHER       LABELS({STR("__name__"), STR("other")}, {STR("code"), STR("200")})

static void append(struct storage *st, Labels ls, TimeMs t, double v)
{
        struct appender *a;
        SeriesRef ref;
        CHECK_OK(storage_appender(st, &a));
        CHECK_OK(appender_append(a, 0, ls, t, v, &ref));
        CHECK_OK(appender_commit(a));
}

static void print(struct storage *st, TimeMs mint, TimeMs maxt, enum matcher_type type, const char *name,
                  const char *value, struct buf *out)
{
        struct arena a;
        struct querier *q;
        struct series_set *set;
        struct matcher *m;
        struct samples s = SAMPLES_INIT;
        struct select_hints hints = {.start_ms = mint, .end_ms = maxt, .sorted = true};
        buf_clear(out);
        arena_init(&a, 1 << 28);
        CHECK_OK(matcher_new(type, str_from(name), str_from(value), &m));
        CHECK_OK(storage_querier(st, mint, maxt, &a, &q));
        CHECK_OK(querier_select(q, &hints, (const struct matcher *const *)&m, 1, &set));
        for (;;) {
                struct series x;
                bool more;
                CHECK_OK(series_set_next(set, &x, &more));
                if (!more)
                        break;
                CHECK_OK(series_decode(&x, mint, maxt, &s));
                labels_print(out, x.labels);
                for (size_t i = 0; i < s.n; i++)
                        buf_printf(out, " %lld:%g", (long long)(s.t[i] - T0), s.v[i]);
                buf_putc(out, '\n');
        }
        querier_close(q);
        matcher_free(m);
        samples_done(&s);
        arena_done(&a);
}

static void check_select(struct storage *st, TimeMs mint, TimeMs maxt, enum matcher_type type, const char *name,
                         const char *value, const char *want)
{
        struct buf b = BUF_INIT(1 << 20);
        print(st, mint, maxt, type, name, value, &b);
        CHECK_MSG(str_eq(buf_str(&b), str_from(want)), "%s (type %d) %s: got\n%s\nwant\n%s", name, type, value,
                  buf_cstr(&b), want);
        buf_done(&b);
}

static void fill(struct storage *st)
{
        append(st, UP_B, T0 + 1000, 1);
        append(st, UP_A, T0 + 1000, 2);
        append(st, OTHER, T0 + 2000, 3);
        append(st, UP_A, T0 + 2000, 4);
}

#define P_UP_A  "{__name__=\"up\", instance=\"a\", job=\"x\"}"
#define P_UP_B  "{__name__=\"up\", instance=\"b\", job=\"y\"}"
#define P_OTHER "{__name__=\"other\", code=\"200\"}"

static void matchers(struct storage *st)
{
        static const struct {
                enum matcher_type type;
                const char *name, *value, *want;
        } cases[] = {
                {MATCH_EQ, "__name__", "up", P_UP_A " 1000:2 2000:4\n" P_UP_B " 1000:1\n"},
                {MATCH_EQ, "instance", "b", P_UP_B " 1000:1\n"},
                {MATCH_EQ, "instance", "c", ""},
                {MATCH_EQ, "nosuch", "", P_OTHER " 2000:3\n" P_UP_A " 1000:2 2000:4\n" P_UP_B " 1000:1\n"},
                {MATCH_EQ, "instance", "", P_OTHER " 2000:3\n"},
                {MATCH_NE, "instance", "", P_UP_A " 1000:2 2000:4\n" P_UP_B " 1000:1\n"},
                {MATCH_NE, "instance", "a", P_OTHER " 2000:3\n" P_UP_B " 1000:1\n"},
                {MATCH_RE, "instance", "a|b", P_UP_A " 1000:2 2000:4\n" P_UP_B " 1000:1\n"},
                {MATCH_RE, "instance", "a?", P_OTHER " 2000:3\n" P_UP_A " 1000:2 2000:4\n"},
                {MATCH_RE, "__name__", "u.*", P_UP_A " 1000:2 2000:4\n" P_UP_B " 1000:1\n"},
                {MATCH_NRE, "instance", "a|c", P_OTHER " 2000:3\n" P_UP_B " 1000:1\n"},
                {MATCH_NRE, "__name__", ".*p", P_OTHER " 2000:3\n"},
                {MATCH_NRE, "instance", ".+", P_OTHER " 2000:3\n"},
                {MATCH_NRE, "nosuch", ".*", ""},
        };
        for (size_t i = 0; i < ARRAY_LEN(cases); i++)
                check_select(st, TIME_MS_MIN, TIME_MS_MAX, cases[i].type, cases[i].name, cases[i].value, cases[i].want);
        check_select(st, T0 + 2000, T0 + 2000, MATCH_EQ, "__name__", "up", P_UP_A " 2000:4\n");
        check_select(st, T0 + 2001, TIME_MS_MAX, MATCH_EQ, "__name__", "up", "");
        check_select(st, TIME_MS_MIN, T0 + 999, MATCH_EQ, "__name__", "up", "");
}

static void check_strings(const StrVec *got, const char *const *want, size_t n)
{
        CHECK_U64(got->n, n);
        for (size_t i = 0; i < n; i++)
                CHECK_STR(got->p[i], want[i]);
}

static void labels(struct storage *st)
{
        static const char *const names[] = {"__name__", "code", "instance", "job"}, *const instances[] = {"a", "b"},
                                 *const of_b[] = {"y"};
        struct arena a;
        struct querier *q;
        struct matcher *m;
        StrVec got = VEC_INIT;
        arena_init(&a, 1 << 20);
        CHECK_OK(matcher_new(MATCH_EQ, STR("instance"), STR("b"), &m));
        CHECK_OK(storage_querier(st, TIME_MS_MIN, TIME_MS_MAX, &a, &q));
        CHECK_OK(querier_label_names(q, NULL, 0, 0, &got));
        check_strings(&got, names, 4);
        vec_clear(&got);
        CHECK_OK(querier_label_names(q, NULL, 0, 2, &got));
        check_strings(&got, names, 2);
        vec_clear(&got);
        CHECK_OK(querier_label_values(q, STR("instance"), NULL, 0, 0, &got));
        check_strings(&got, instances, 2);
        vec_clear(&got);
        CHECK_OK(querier_label_values(q, STR("job"), (const struct matcher *const *)&m, 1, 0, &got));
        check_strings(&got, of_b, 1);
        vec_clear(&got);
        CHECK_OK(querier_label_values(q, STR("nosuch"), NULL, 0, 0, &got));
        CHECK_U64(got.n, 0);
        querier_close(q);
        matcher_free(m);
        vec_done(&got);
        arena_done(&a);
}

static void appends(struct storage *st)
{
        struct appender *a;
        SeriesRef ref = 0, again = 0;
        CHECK_OK(storage_appender(st, &a));
        CHECK(appender_append(a, 0, UP_A, T0 + 1999, 1, &ref) == &error_out_of_order_sample);
        CHECK(appender_append(a, 0, UP_A, T0 + 2000, 5, &ref) == &error_duplicate_sample);
        CHECK_OK(appender_append(a, 0, UP_A, T0 + 2000, 4, &ref));
        CHECK_OK(appender_append(a, ref, (Labels){NULL, 0}, T0 + 3000, 6, &again));
        CHECK_U64(again, ref);
        check_select(st, T0 + 3000, TIME_MS_MAX, MATCH_EQ, "instance", "a", "");
        appender_rollback(a);
        check_select(st, T0 + 3000, TIME_MS_MAX, MATCH_EQ, "instance", "a", "");
        CHECK_OK(storage_appender(st, &a));
        CHECK_OK(appender_append(a, ref, (Labels){NULL, 0}, T0 + 3000, 6, &again));
        CHECK_OK(appender_append(a, ref, (Labels){NULL, 0}, T0 + 4000, INFINITY, &again));
        CHECK_OK(appender_commit(a));
        check_select(st, T0 + 3000, TIME_MS_MAX, MATCH_EQ, "instance", "a", P_UP_A " 3000:6 4000:inf\n");
}

/* Values come back bit by bit, over many chunks. */
static void bits(struct storage *st)
{
        Labels ls = LABELS({STR("__name__"), STR("long")});
        uint64_t stale = STALE_NAN_BITS;
        enum { N = 1000 };
        SeriesRef ref = 0;
        for (int i = 0; i < N; i++) {
                struct appender *a;
                double v = i % 3 ? i * 0.1 : -i;
                if (i % 100 == 7)
                        memcpy(&v, &stale, 8);
                CHECK_OK(storage_appender(st, &a));
                CHECK_OK(appender_append(a, ref, ls, T0 + i * 1000, v, &ref));
                CHECK_OK(appender_commit(a));
        }
        struct arena a;
        struct querier *q;
        struct series_set *set;
        struct series x;
        struct matcher *m;
        struct samples s = SAMPLES_INIT;
        struct select_hints hints = {.sorted = true};
        bool more;
        arena_init(&a, 1 << 24);
        CHECK_OK(matcher_new(MATCH_EQ, STR("__name__"), STR("long"), &m));
        CHECK_OK(storage_querier(st, T0 + 10000, T0 + 900000, &a, &q));
        CHECK_OK(querier_select(q, &hints, (const struct matcher *const *)&m, 1, &set));
        CHECK_OK(series_set_next(set, &x, &more));
        CHECK(more);
        CHECK_OK(series_decode(&x, T0 + 10000, T0 + 900000, &s));
        CHECK_U64(s.n, 891);
        for (size_t k = 0; k < s.n; k++) {
                int i = (int)k + 10;
                double v = i % 3 ? i * 0.1 : -i;
                CHECK_I64(s.t[k], T0 + i * 1000);
                if (i % 100 == 7)
                        CHECK(is_stale_nan(s.v[k]));
                else
                        CHECK_F64(s.v[k], v);
        }
        querier_close(q);
        matcher_free(m);
        samples_done(&s);
        arena_done(&a);
}

void storage_acceptance(const struct storage_maker *m)
{
        struct storage *st = m->open(m->ctx);
        check_select(st, TIME_MS_MIN, TIME_MS_MAX, MATCH_RE, "__name__", ".*", "");
        fill(st);
        matchers(st);
        labels(st);
        appends(st);
        bits(st);
        m->close(m->ctx, st);
}
