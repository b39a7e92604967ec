/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/json.h"

#include <stdio.h>

#include "base/test.h"

/* What encoding/json of Go 1.26 says; NULL: it is fine. */
static const struct {
        const char *text, *error;
} verdicts[] = {
        /* clang-format off */
                {"{}", NULL},
                {"[]", NULL},
                {" [1, 2.5e+3 ,-0,\"x\"]", NULL},
                {"{\"a\":1,}", "invalid character '}' looking for beginning of object key string"},
                {"[1,]", "invalid character ']' looking for beginning of value"},
                {"[1 2]", "invalid character '2' after array element"},
                {"{\"a\" 1}", "invalid character '1' after object key"},
                {"{\"a\":1 \"b\":2}", "invalid character '\"' after object key:value pair"},
                {"{a:1}", "invalid character 'a' looking for beginning of object key string"},
                {"{", "unexpected end of JSON input"},
                {"[", "unexpected end of JSON input"},
                {"{\"a", "unexpected end of JSON input"},
                {"01", "invalid character '1' after top-level value"},
                {"-", "invalid character ' ' in numeric literal"},
                {"-x", "invalid character 'x' in numeric literal"},
                {"1.", "invalid character ' ' after decimal point in numeric literal"},
                {"1.x", "invalid character 'x' after decimal point in numeric literal"},
                {"1e", "invalid character ' ' in exponent of numeric literal"},
                {"1e+x", "invalid character 'x' in exponent of numeric literal"},
                {"tru", "invalid character ' ' in literal true (expecting 'e')"},
                {"trux", "invalid character 'x' in literal true (expecting 'e')"},
                {"nul!", "invalid character '!' in literal null (expecting 'l')"},
                {"false1", "invalid character '1' after top-level value"},
                {"\"a\\x\"", "invalid character 'x' in string escape code"},
                {"\"a\\u12g4\"", "invalid character 'g' in \\u hexadecimal character escape"},
                {"\"a\nb\"", "invalid character '\\n' in string literal"},
                {"\"tab\tx\"", "invalid character '\\t' in string literal"},
                {"1 2", "invalid character '2' after top-level value"},
                {"x", "invalid character 'x' looking for beginning of value"},
                {"'x'", "invalid character '\\'' looking for beginning of value"},
                {"]", "invalid character ']' looking for beginning of value"},
                {"\x01", "invalid character '\\x01' looking for beginning of value"},
                {"\xc3\xa9", "invalid character '\xc3\x83' looking for beginning of value"},
                {"[[[]]", "unexpected end of JSON input"},
                {"{\"a\":}", "invalid character '}' looking for beginning of value"},
                {"\"a\\", "invalid character ' ' in string escape code"},
                {"\"\\u12", "invalid character ' ' in \\u hexadecimal character escape"},
                {"{\"a\":1}}", "invalid character '}' after top-level value"},
                {"-01", "invalid character '1' after top-level value"},
                {".5", "invalid character '.' looking for beginning of value"},
                {"+1", "invalid character '+' looking for beginning of value"},
                {"NaN", "invalid character 'N' looking for beginning of value"},
                {"\"\\ud800\"", NULL},
                {"", "unexpected end of JSON input"},
        /* clang-format on */
};

TEST(json_parse, accepts_and_refuses_with_gos_texts)
{
        int wrong = 0;
        for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
                struct arena a;
                arena_init(&a, 1 << 20);
                const struct json *j;
                struct error *e = json_parse(str_from(verdicts[i].text), &a, &j);
                if (strcmp(error_str(e), verdicts[i].error ? verdicts[i].error : "") != 0) {
                        fprintf(stderr, "%s: got \"%s\", want \"%s\"\n", verdicts[i].text, error_str(e),
                                verdicts[i].error);
                        wrong++;
                }
                error_free(e);
                arena_done(&a);
        }
        CHECK_I64(wrong, 0);
}

static Str parsed_string(struct arena *a, const char *text)
{
        const struct json *j;
        CHECK_OK(json_parse(str_from(text), a, &j));
        CHECK(j->type == JSON_STRING);
        return json_str(j);
}

TEST(json_parse, strings_are_decoded_as_go_decodes_them)
{
        struct arena a;
        arena_init(&a, 1 << 20);
        CHECK_STR(parsed_string(&a, "\"plain and longer than eight\""), "plain and longer than eight");
        CHECK_STR(parsed_string(&a, "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""), "\"\\/\b\f\n\r\t");
        CHECK_STR(parsed_string(&a, "\"\\u00e9\\u4e16\\ud83d\\ude00\""), "\xc3\xa9\xe4\xb8\x96\xf0\x9f\x98\x80");
        CHECK_STR(parsed_string(&a, "\"h\xc3\xa9llo w\xc3\xb6rld, whole\""), "h\xc3\xa9llo w\xc3\xb6rld, whole");
        CHECK_STR(parsed_string(&a, "\"a\\ud800b\\udc00\\ud800\\u0041\""), "a\xef\xbf\xbd"
                                                                           "b\xef\xbf\xbd\xef\xbf\xbd"
                                                                           "A");
        CHECK_STR(parsed_string(&a, "\"a\xff\xc3z\""), "a\xef\xbf\xbd\xef\xbf\xbdz");
        CHECK_STRS(parsed_string(&a, "\"\\u0000\""), STR("\0"));
        CHECK_STR(parsed_string(&a, "\"\xff\xff\xff\xff\xff\\n\xff\xff\""),
                  "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\n\xef\xbf\xbd\xef\xbf\xbd");
        arena_done(&a);
}

TEST(json_parse, a_tree_is_read_by_getters_that_never_fail)
{
        struct arena a;
        arena_init(&a, 1 << 20);
        const struct json *j;
        CHECK_OK(json_parse(STR("{\"a\": [1, \"x\", {\"deep\": true}], \"n\": -2.5e1, \"big\": 9007199254740993, "
                                "\"a2\":null, \"n\": 3}"),
                            &a, &j));
        CHECK_U64(j->n, 5);
        CHECK_I64(json_i64(json_get(j, STR("n"))), 3);
        CHECK_I64(json_i64(json_get(j, STR("big"))), 9007199254740993);
        CHECK_F64(json_f64(&j->members[1].value), -25);
        CHECK_I64(json_i64(&j->members[1].value), -25);
        const struct json *list = json_get(j, STR("a"));
        CHECK_STR(list->raw, "[1, \"x\", {\"deep\": true}]");
        CHECK_STR(json_str(json_at(list, 1)), "x");
        CHECK(json_bool(json_get(json_at(list, 2), STR("deep"))));
        CHECK(!json_at(list, 3) && !json_get(list, STR("a")) && !json_get(NULL, STR("a")) && json_str(list).n == 0 &&
              json_i64(NULL) == 0);
        size_t n = 0;
        JSON_EACH(m, list)
        n++;
        CHECK_U64(n, 3);
        arena_done(&a);
}

TEST(json_parse, depth_and_memory_are_bounded)
{
        struct buf b = BUF_INIT(1 << 20);
        for (int i = 0; i < 100000; i++)
                buf_putc(&b, '[');
        struct arena a;
        arena_init(&a, 1 << 20);
        const struct json *j;
        CHECK_ERROR(json_parse(buf_str(&b), &a, &j), "exceeded max depth");
        buf_clear(&b);
        for (int i = 0; i < JSON_DEPTH_MAX; i++)
                buf_putc(&b, '[');
        for (int i = 0; i < JSON_DEPTH_MAX; i++)
                buf_putc(&b, ']');
        CHECK_OK(json_parse(buf_str(&b), &a, &j));
        buf_clear(&b);
        buf_putc(&b, '[');
        for (int i = 0; i < 100000; i++)
                buf_puts(&b, "0,");
        buf_puts(&b, "0]");
        struct error *e = json_parse(buf_str(&b), &a, &j);
        CHECK(error_is(e, ERROR_LIMIT));
        error_free(e);
        buf_done(&b);
        arena_done(&a);
}

static void writes(void (*put)(struct buf *, Str), Str s, const char *want)
{
        struct buf b = BUF_INIT(1000);
        put(&b, s);
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
}

TEST(json_put_str, escapes_as_encoding_json)
{
        writes(json_put_str, STR("a\"\\\n\r\t\b\f\x01\x7f/"), "\"a\\\"\\\\\\n\\r\\t\\b\\f\\u0001\x7f/\"");
        writes(json_put_str, STR("<&>"), "\"\\u003c\\u0026\\u003e\"");
        writes(json_put_str, STR("\xc3\xa9\xff\xe2\x80\xa8\xe2\x80\xa9"), "\"\xc3\xa9\\ufffd\\u2028\\u2029\"");
        writes(json_put_str, STR(""), "\"\"");
}

TEST(json_put_api_str, escapes_as_json_iterator)
{
        writes(json_put_api_str, STR("a\"\\\n\r\t\b\f\x01<"), "\"a\\\"\\\\\\n\\r\\t\\u0008\\u000c\\u0001\\u003c\"");
        writes(json_put_api_str, STR("\xff\xe2\x80\xa8"), "\"\\ufffd\\u2028\"");
        writes(json_put_label_str, STR("<&>\b\n\"\\\xff\xe2\x80\xa8\x7f"),
               "\"<&>\\u0008\\n\\\"\\\\\xff\xe2\x80\xa8\x7f\"");
}
