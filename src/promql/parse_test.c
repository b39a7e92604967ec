/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/parse.h"

#include "base/file.h"
#include "base/test.h"
#include "codec/json.h"

static const struct promql_parse_opts all_on = {
        .experimental_functions = true, .extended_range_selectors = true, .fill_modifiers = true};
static const struct promql_parse_opts all_off = {0};

enum { ARENA_BYTES = 256 << 20 };

static bool json_eq(const struct json *a, const struct json *b)
{
        if (a->type != b->type || a->n != b->n)
                return false;
        switch (a->type) {
        case JSON_NULL:
                return true;
        case JSON_BOOL:
                return a->boolean == b->boolean;
        case JSON_NUMBER:
                return json_f64(a) == json_f64(b);
        case JSON_STRING:
                return str_eq(a->text, b->text);
        case JSON_ARRAY:
                for (size_t i = 0; i < a->n; i++)
                        if (!json_eq(json_at(a, i), json_at(b, i)))
                                return false;
                return true;
        case JSON_OBJECT:
                JSON_EACH(m, a)
                {
                        const struct json *other = json_get(b, m->key);
                        if (!other || !json_eq(&m->value, other))
                                return false;
                }
                return true;
        }
        return false;
}

/* What is wrong with the reply, or "". */
static void compare_reply(const struct promql_parse_opts *opts, Str input, const struct json *want, struct arena *a,
                          struct buf *ret)
{
        struct promql_tree tree = PROMQL_TREE_INIT;
        struct error *e = promql_parse(opts, input, a, &tree);
        bool want_ok = json_bool(json_get(want, STR("ok")));
        Str want_error = str_trim_prefix(json_str(json_get(want, STR("error"))), STR("invalid parameter \"query\": "));
        if (want_ok != !e)
                buf_printf(ret, "got %s, want " STR_FMT, e ? error_str(e) : "a tree", STR_ARG(want_error));
        else if (e && !str_eq(str_from(error_str(e)), want_error))
                buf_printf(ret, "got error %s\n    want " STR_FMT, error_str(e), STR_ARG(want_error));
        if (!e && want_ok) {
                struct buf out = BUF_INIT(BUF_NO_LIMIT);
                promql_print_pretty(&out, tree.root);
                Str formatted = json_str(json_get(want, STR("formatted")));
                if (!str_eq(buf_str(&out), formatted))
                        buf_printf(ret, "formatted " STR_FMT "\n    want " STR_FMT, STR_ARG(buf_str(&out)),
                                   STR_ARG(formatted));
                buf_clear(&out);
                promql_print_ast_json(&out, tree.root);
                const struct json *ast = NULL;
                CHECK_OK(json_parse(buf_str(&out), a, &ast));
                if (!json_eq(ast, json_get(want, STR("ast"))))
                        buf_printf(ret, " ast " STR_FMT "\n    want " STR_FMT, STR_ARG(buf_str(&out)),
                                   STR_ARG(json_get(want, STR("ast"))->raw));
                buf_done(&out);
        }
        error_free(e);
        promql_tree_done(&tree);
}

static size_t run_expressions(const char *mode, const struct promql_parse_opts *opts)
{
        char *path = conformance_path("parser/expressions.json");
        char *text = NULL;
        size_t n = 0, failed = 0, cases = 0;
        CHECK_OK(file_read(path, 64 << 20, &text, &n));
        struct arena doc, a;
        arena_init(&doc, ARENA_BYTES);
        arena_init(&a, ARENA_BYTES);
        const struct json *root = NULL;
        CHECK_OK(json_parse((Str){text, n}, &doc, &root));
        JSON_EACH(c, root)
        {
                Str input = json_str(json_get(&c->value, STR("input")));
                const struct json *want = json_get(&c->value, str_from(mode));
                if (want->type == JSON_STRING) /* "same" */
                        want = json_get(&c->value, STR("all"));
                struct buf fault = BUF_INIT(BUF_NO_LIMIT);
                compare_reply(opts, input, want, &a, &fault);
                if (fault.n > 0) {
                        print_message("mode %s: %s\n  %.*s\n", mode, buf_cstr(&fault), (int)MIN(input.n, (size_t)200),
                                      input.p);
                        failed++;
                }
                buf_done(&fault);
                arena_clear(&a);
                cases++;
        }
        arena_done(&a);
        arena_done(&doc);
        free(text);
        free(path);
        CHECK(cases > 400);
        return failed;
}

TEST(promql_parse, agrees_with_the_original_on_every_recorded_expression_with_all_features)
{
        CHECK_U64(run_expressions("all", &all_on), 0);
}

TEST(promql_parse, agrees_with_the_original_on_every_recorded_expression_without_features)
{
        CHECK_U64(run_expressions("default", &all_off), 0);
}

static void error_case(const char *input, const char *text)
{
        struct arena a;
        arena_init(&a, ARENA_BYTES);
        struct promql_tree tree = PROMQL_TREE_INIT;
        CHECK_ERROR(promql_parse(&all_on, str_from(input), &a, &tree), text);
        arena_done(&a);
}

static void print_case(const char *input, const char *want)
{
        struct arena a;
        arena_init(&a, ARENA_BYTES);
        struct promql_tree tree = PROMQL_TREE_INIT;
        CHECK_OK(promql_parse(&all_on, str_from(input), &a, &tree));
        struct buf b = BUF_INIT(1 << 20);
        promql_print(&b, tree.root);
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
        promql_tree_done(&tree);
        arena_done(&a);
}

TEST(promql_parse, cuts_offsets_off_where_upstream_does)
{
        print_case("a offset 5m + 3", "a offset 5m + 3");
        print_case("a offset (5m) + 3", "a offset (5m) + 3");
        print_case("a offset -2 ^ 2", "a offset -2s ^ 2");
        print_case("a offset step() + b", "a offset step() + b");
        print_case("a offset - - 5m", "a offset 5m");
        error_case("a offset (5m) + b", "1:17: parse error: unexpected identifier \"b\" in offset, expected number, "
                                        "duration, step(), or range()");
}

TEST(promql_parse, binds_signs_as_multiplication_does)
{
        print_case("-a^b*c", "-a ^ b * c");
        print_case("2^-2", "2 ^ -2");
        print_case("- -2", "2");
        print_case("-(2)", "-(2)");
}

TEST(promql_parse, takes_words_of_the_language_as_metric_names)
{
        print_case("and and or", "and and or");
        print_case("sum + by + offset", "sum + by + offset");
        print_case("fill + fill(1) fill_left", "fill + fill (1) fill_left");
        print_case("SUM(x) BY (Bool)", "sum by (Bool) (x)");
}

TEST(promql_parse, tells_the_line_and_column_of_the_first_fault)
{
        error_case("sum(\n  a b)", "2:5: parse error: unexpected identifier \"b\" in aggregation");
        error_case("rate(a b)", "1:8: parse error: unexpected identifier \"b\"");
        error_case("a * on(x) group_left",
                   "1:21: parse error: unexpected end of input in grouping opts, expected \"(\"");
        error_case("\"\xff\"", "1:1: parse error: invalid UTF-8 rune");
        error_case("a{b=~\"(\"}", "1:3: parse error: error parsing regexp: missing closing ): `(`");
}

static void repeat_case(const char *head, const char *part, const char *tail, size_t n)
{
        struct buf b = BUF_INIT(16 << 20);
        for (size_t i = 0; i < n; i++)
                buf_puts(&b, head);
        buf_puts(&b, part);
        for (size_t i = 0; i < n; i++)
                buf_puts(&b, tail);
        struct arena a;
        arena_init(&a, ARENA_BYTES);
        struct promql_tree tree = PROMQL_TREE_INIT;
        struct error *e = promql_parse(&all_on, buf_str(&b), &a, &tree);
        CHECK_MSG(e != NULL, "%s…%s parsed %zu deep", head, tail, n);
        error_free(e);
        arena_done(&a);
        buf_done(&b);
}

TEST(promql_parse, refuses_what_is_nested_too_deeply)
{
        repeat_case("(", "a", ")", 100000);
        repeat_case("-", "a", "", 100000);
        repeat_case("", "a", "^a", 100000);
        repeat_case("", "a", "+a", 100000);
        repeat_case("sum(", "a", ")", 100000);
        repeat_case("abs(-(", "a", "))", 100000);
        repeat_case("", "a", "[1m:]", 100000);
        repeat_case("a[-", "1", "", 1);
        repeat_case("", "a offset (", "(", 100000);
        repeat_case("", "a offset 1", "^1", 100000);
        repeat_case("", "a offset -", "-", 100000);
}

static void match_case(const char *input, size_t n, const char *text)
{
        struct arena a;
        arena_init(&a, ARENA_BYTES);
        MatcherVec m = VEC_INIT;
        struct error *e = promql_parse_match(str_from(input), &a, &m);
        if (text)
                CHECK_ERROR(e, text);
        else
                CHECK_OK(e);
        CHECK_U64(m.n, n);
        matcher_vec_done(&m);
        arena_done(&a);
}

TEST(promql_parse_match, takes_one_selector_and_nothing_else)
{
        match_case("a", 1, NULL);
        match_case("a{b=\"c\",d!~\"e\"}", 3, NULL);
        match_case("{\"a.b\"}", 1, NULL);
        match_case("a + b", 0, "1:3: parse error: unexpected <op:+>");
        match_case("5", 0, "1:1: parse error: unexpected number \"5\"");
        match_case("", 0, "unknown position: parse error: unexpected end of input");
        match_case("{}", 0, "match[] must contain at least one non-empty matcher");
}
