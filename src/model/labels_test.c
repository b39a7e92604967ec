/* SPDX-License-Identifier: Apache-2.0 */
#include "model/labels.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/test.h"
#include "codec/json.h"
#include "model/matcher.h"

static const struct json *tables_load(struct arena *a, char **ret_text)
{
        char *path = conformance_path("labels/labels.json");
        const struct json *tables;
        size_t n;
        CHECK_OK(file_read(path, 16 << 20, ret_text, &n));
        CHECK_OK(json_parse((Str){*ret_text, n}, a, &tables));
        free(path);
        return tables;
}

static Labels labels_of(const struct json *object, struct arena *a)
{
        Label *v = arena_array(a, Label, object ? object->n : 0);
        size_t n = 0;
        JSON_EACH(m, object)
        v[n++] = (Label){m->key, json_str(&m->value)};
        labels_sort(v, n);
        return (Labels){v, n};
}

static void print_case(Labels ls, const char *want)
{
        struct buf b = BUF_INIT(1 << 20);
        labels_print(&b, ls);
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
}

TEST(labels_print, quotes_as_go_does)
{
        print_case((Labels){NULL, 0}, "{}");
        print_case((Labels){(Label[]){{STR("t1"), STR("t1")}, {STR("t2"), STR("t2")}}, 2}, "{t1=\"t1\", t2=\"t2\"}");
        print_case((Labels){(Label[]){{STR("service.name"), STR("t1")}, {STR("whatever\\whatever"), STR("t2")}}, 2},
                   "{\"service.name\"=\"t1\", \"whatever\\\\whatever\"=\"t2\"}");
        print_case((Labels){(Label[]){{STR("9"), STR("a\n\"\\\xff")}, {STR("a:b"), STR("é")}}, 2},
                   "{\"9\"=\"a\\n\\\"\\\\\\xff\", \"a:b\"=\"é\"}");
}

TEST(labels_cmp, orders_as_upstreams_table)
{
        struct arena a;
        char *text;
        arena_init(&a, 64 << 20);
        const struct json *table = json_get(tables_load(&a, &text), STR("TestLabels_Compare"));
        Labels base = {(Label[]){{STR("aaa"), STR("111")}, {STR("bbb"), STR("222")}}, 2};
        size_t n = 0;
        JSON_EACH(c, table)
        {
                Labels other = labels_of(json_get(&c->value, STR("compared")), &a);
                int64_t want = json_i64(json_get(&c->value, STR("expected")));
                want = (want > 0) - (want < 0);
                int got = labels_cmp(base, other);
                CHECK_I64((got > 0) - (got < 0), want);
                got = labels_cmp(other, base);
                CHECK_I64((got > 0) - (got < 0), -want);
                CHECK(labels_eq(base, other) == (want == 0));
                n++;
        }
        CHECK_U64(n, 10);
        free(text);
        arena_done(&a);
}

TEST(labels_builder, leaves_out_empty_values)
{
        struct arena a;
        char *text;
        arena_init(&a, 64 << 20);
        const struct json *table = json_get(tables_load(&a, &text), STR("TestLabels_WithoutEmpty"));
        size_t n = 0;
        JSON_EACH(c, table)
        {
                struct labels_builder b;
                labels_builder_init(&b);
                labels_builder_reset(&b, labels_of(json_get(&c->value, STR("input")), &a));
                CHECK(labels_eq(labels_builder_labels(&b, &a), labels_of(json_get(&c->value, STR("expected")), &a)));
                labels_builder_done(&b);
                n++;
        }
        CHECK_U64(n, 6);
        free(text);
        arena_done(&a);
}

TEST(labels_builder, lets_the_last_set_win)
{
        struct arena a;
        arena_init(&a, 1 << 20);
        struct labels_builder b;
        labels_builder_init(&b);
        Labels base = {(Label[]){{STR("b"), STR("1")}, {STR("c"), STR("2")}, {STR("d"), STR("3")}}, 3};
        labels_builder_reset(&b, base);
        labels_builder_set(&b, STR("c"), STR("x"));
        labels_builder_set(&b, STR("c"), STR("y"));
        labels_builder_del(&b, STR("d"));
        labels_builder_set(&b, STR("a"), STR("z"));
        labels_builder_set(&b, STR("e"), STR("gone"));
        labels_builder_set(&b, STR("e"), STR(""));
        CHECK_STR(labels_builder_get(&b, STR("c")), "y");
        CHECK_STR(labels_builder_get(&b, STR("d")), "");
        CHECK_STR(labels_builder_get(&b, STR("b")), "1");
        print_case(labels_builder_labels(&b, &a), "{a=\"z\", b=\"1\", c=\"y\"}");
        labels_builder_set(&b, STR("d"), STR("back"));
        print_case(labels_builder_labels(&b, &a), "{a=\"z\", b=\"1\", c=\"y\", d=\"back\"}");
        labels_builder_reset(&b, base);
        CHECK(labels_eq(labels_builder_labels(&b, &a), base));
        labels_builder_done(&b);
        arena_done(&a);
}

TEST(labels_hash, is_upstreams_stable_hash)
{
        /* From model/labels/sharding_test.go. */
        CHECK_U64(labels_hash((Labels){NULL, 0}), 0xef46db3751d8e999);
        CHECK_U64(labels_hash((Labels){(Label[]){{STR("hello"), STR("world")}}, 1}), 0x347c8ee7a9e29708);
        CHECK_U64(labels_hash((Labels){(Label[]){{STR("__name__"), STR("metric")}, {STR("label"), STR("value")}}, 2}),
                  0xcbab40540f26097d);
        Label many[64];
        for (size_t i = 0; i < 64; i++)
                many[i] = (Label){STR("a name of twenty byt"), STR("value")};
        struct buf b = BUF_INIT(1 << 20);
        for (size_t i = 0; i < 64; i++)
                buf_puts(&b, "a name of twenty byt\xffvalue\xff");
        Label one = {{b.p, 20},
                     {b.p + 21, b.n - 22}}; /* the same bytes as one label, longer than the buffer on the stack */
        CHECK_U64(labels_hash((Labels){many, 64}), labels_hash((Labels){&one, 1}));
        buf_done(&b);
}

TEST(labels_dup, owns_all_of_it)
{
        struct arena a;
        arena_init(&a, 1 << 20);
        char name[] = "n", value[] = "v";
        Label l = {{name, 1}, {value, 1}};
        Labels copy = labels_dup(&a, (Labels){&l, 1});
        name[0] = value[0] = 'x';
        l = (Label){STR(""), STR("")};
        print_case(copy, "{n=\"v\"}");
        CHECK(labels_has(copy, STR("n")) && !labels_has(copy, STR("v")));
        CHECK_STR(labels_get(copy, STR("n")), "v");
        CHECK_STR(labels_get(copy, STR("m")), "");
        arena_done(&a);
}

TEST(labels_sort, sorts_few_and_many)
{
        for (size_t n = 0; n < 100; n += 9) {
                char names[100][2];
                Label v[100];
                for (size_t i = 0; i < n; i++) {
                        names[i][0] = (char)('0' + i * 37 % 10);
                        names[i][1] = (char)('0' + i * 53 % 7);
                        v[i] = (Label){{names[i], 2}, {NULL, 0}};
                }
                labels_sort(v, n);
                for (size_t i = 1; i < n; i++)
                        CHECK(str_cmp(v[i - 1].name, v[i].name) <= 0);
        }
}

TEST(label_name, is_judged_by_scheme)
{
        CHECK(label_name_is_legacy(STR("_a9Z")) && !label_name_is_legacy(STR("9a")) && !label_name_is_legacy(STR("")) &&
              !label_name_is_legacy(STR("a:b")));
        CHECK(metric_name_is_legacy(STR(":a:9")) && !metric_name_is_legacy(STR("a.b")) &&
              !metric_name_is_legacy(STR("")));
        CHECK(label_name_is_valid_utf8(STR("é ")) && !label_name_is_valid_utf8(STR("")) &&
              !label_name_is_valid_utf8(STR("\xff")));
}

static enum matcher_type type_of(Str s)
{
        return str_eq(s, STR("="))    ? MATCH_EQ
               : str_eq(s, STR("!=")) ? MATCH_NE
               : str_eq(s, STR("=~")) ? MATCH_RE
                                      : MATCH_NRE;
}

TEST(matcher, matches_as_upstreams_table)
{
        struct arena a;
        char *text;
        arena_init(&a, 64 << 20);
        const struct json *tables = tables_load(&a, &text);
        size_t n = 0;
        JSON_EACH(c, json_get(tables, STR("TestMatcher")))
        {
                const struct json *j = json_get(&c->value, STR("matcher"));
                struct matcher *m;
                CHECK_OK(matcher_new(type_of(json_str(json_get(j, STR("Type")))), json_str(json_get(j, STR("Name"))),
                                     json_str(json_get(j, STR("Value"))), &m));
                struct matcher *copy = matcher_dup(m);
                Str value = json_str(json_get(&c->value, STR("value")));
                bool want = json_bool(json_get(&c->value, STR("match")));
                CHECK(matcher_matches(m, value) == want);
                CHECK(matcher_matches(copy, value) == want);
                Labels ls = {(Label[]){{STR("test_label_name"), value}}, 1};
                CHECK(matchers_match((const struct matcher *const *)&m, 1, ls) == want);
                matcher_free(m);
                matcher_free(copy);
                n++;
        }
        CHECK_U64(n, 13);
        size_t n_sets = 0;
        JSON_EACH(c, json_get(tables, STR("TestFindSetMatches")))
        {
                /* A set is only for speed: one of the oddest patterns may be missed, but what is found is right. */
                Str pattern = json_str(json_get(&c->value, STR("pattern")));
                const struct json *sets = json_get(&c->value, STR("expMatches"));
                if (!json_bool(json_get(&c->value, STR("expCaseSensitive"))) || !sets || sets->type != JSON_ARRAY)
                        continue;
                struct matcher *m;
                const Str *got;
                size_t n_got;
                CHECK_OK(matcher_new(MATCH_RE, STR("a"), pattern, &m));
                if (!matcher_set_matches(m, &got, &n_got)) {
                        matcher_free(m);
                        continue;
                }
                n_sets++;
                CHECK_U64(n_got, sets->n);
                JSON_EACH(s, sets)
                {
                        bool found = false;
                        for (size_t i = 0; i < n_got; i++)
                                found |= str_eq(got[i], json_str(&s->value));
                        CHECK(found);
                }
                matcher_free(m);
        }
        CHECK(n_sets >= 17);
        CHECK(n_sets >= 17);
        free(text);
        arena_done(&a);
}

static void matcher_case(enum matcher_type t, Str name, Str value, const char *printed, const char *prefix,
                         bool matches_empty)
{
        struct matcher *m;
        CHECK_OK(matcher_new(t, name, value, &m));
        struct buf b = BUF_INIT(1 << 20);
        matcher_print(&b, m);
        CHECK_STR(buf_str(&b), printed);
        CHECK_STR(matcher_prefix(m), prefix);
        CHECK(matcher_matches_empty(m) == matches_empty);
        buf_done(&b);
        matcher_free(m);
}

TEST(matcher, prints_itself_and_knows_its_prefix)
{
        matcher_case(MATCH_EQ, STR("a"), STR("x\"y"), "a=\"x\\\"y\"", "x\"y", false);
        matcher_case(MATCH_NE, STR("a.b"), STR("x"), "\"a.b\"!=\"x\"", "", true);
        matcher_case(MATCH_RE, STR("a"), STR("abc.+"), "a=~\"abc.+\"", "abc", false);
        matcher_case(MATCH_NRE, STR("a"), STR("abc.+"), "a!~\"abc.+\"", "", true);
        matcher_case(MATCH_RE, STR("a"), STR(".*"), "a=~\".*\"", "", true);
        struct matcher *m;
        CHECK_ERROR(matcher_new(MATCH_RE, STR("a"), STR("("), &m), "");
}
