/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/regex.h"

#include <stdio.h>

#include "base/rand.h"
#include "base/test.h"
#include "codec/regex_shim.h"

/* What Go 1.26 says about each pattern, alone and within ^(?s:…)$; NULL: it is fine. */
static const struct {
        const char *pattern, *alone, *anchored;
} verdicts[] = {
        /* clang-format off */
                {"foo(", "missing closing ): `foo(`", "missing closing ): `^(?s:foo()$`"},
                {"foo)", "unexpected ): `foo)`", "unexpected ): `^(?s:foo))$`"},
                {"a)(b", "unexpected ): `a)(b`", NULL},
                {"[a", "missing closing ]: `[a`", "missing closing ]: `[a)$`"},
                {"[z-a]", "invalid character class range: `z-a`", "invalid character class range: `z-a`"},
                {"a**", "invalid nested repetition operator: `**`", "invalid nested repetition operator: `**`"},
                {"*", "missing argument to repetition operator: `*`", "missing argument to repetition operator: `*`"},
                {"(*)", "missing argument to repetition operator: `*`", "missing argument to repetition operator: `*`"},
                {"+a", "missing argument to repetition operator: `+`", "missing argument to repetition operator: `+`"},
                {"a{1001}", "invalid repeat count: `{1001}`", "invalid repeat count: `{1001}`"},
                {"(a{1000}){1000}", "invalid repeat count: `{1000}`", "invalid repeat count: `{1000}`"},
                {"\\", "trailing backslash at end of expression: ``", "missing closing ): `^(?s:\\)$`"},
                {"a\\", "trailing backslash at end of expression: ``", "missing closing ): `^(?s:a\\)$`"},
                {"\\C", "invalid escape sequence: `\\C`", "invalid escape sequence: `\\C`"},
                {"x\\Cy", "invalid escape sequence: `\\C`", "invalid escape sequence: `\\C`"},
                {"\\8", "invalid escape sequence: `\\8`", "invalid escape sequence: `\\8`"},
                {"\\pX", "invalid character class range: `\\pX`", "invalid character class range: `\\pX`"},
                {"(?i", "invalid or unsupported Perl syntax: `(?i`", "missing closing ): `^(?s:(?i)$`"},
                {"(?P<n", "invalid named capture: `(?P<n`", "invalid named capture: `(?P<n)$`"},
                {"(?P<1a>x)", NULL, NULL},
                {"(?<n", "invalid named capture: `(?<n`", "invalid named capture: `(?<n)$`"},
                {"(?<n-m>a)", "invalid named capture: `(?<n-m>`", "invalid named capture: `(?<n-m>`"},
                {"(?<>a)", "invalid named capture: `(?<>`", "invalid named capture: `(?<>`"},
                {"(?=a)", "invalid or unsupported Perl syntax: `(?=`", "invalid or unsupported Perl syntax: `(?=`"},
                {"(?<=a)", "invalid named capture: `(?<=a)`", "invalid named capture: `(?<=a))$`"},
                {"(?<!a)", "invalid named capture: `(?<!a)`", "invalid named capture: `(?<!a))$`"},
                {"(?!a)", "invalid or unsupported Perl syntax: `(?!`", "invalid or unsupported Perl syntax: `(?!`"},
                {"(?z)", "invalid or unsupported Perl syntax: `(?z`", "invalid or unsupported Perl syntax: `(?z`"},
                {"[[:foo:]]", "invalid character class range: `[:foo:]`", "invalid character class range: `[:foo:]`"},
                {"[a-\\d]", "invalid escape sequence: `\\d`", "invalid escape sequence: `\\d`"},
                {"\377", "invalid UTF-8: `\377`", "invalid UTF-8: `\377)$`"},
                {"a\377b", "invalid UTF-8: `\377b`", "invalid UTF-8: `\377b)$`"},
                {"(?i)(?s", "invalid or unsupported Perl syntax: `(?s`", "missing closing ): `^(?s:(?i)(?s)$`"},
                {"(?P=n)", "invalid or unsupported Perl syntax: `(?P`", "invalid or unsupported Perl syntax: `(?P`"},
                {"a{2,1}", "invalid repeat count: `{2,1}`", "invalid repeat count: `{2,1}`"},
                {"x{2}{3}", "invalid nested repetition operator: `{2}{3}`", "invalid nested repetition operator: `{2}{3}`"},
                {"a*?*", "invalid nested repetition operator: `*?*`", "invalid nested repetition operator: `*?*`"},
                {"(a|b", "missing closing ): `(a|b`", "missing closing ): `^(?s:(a|b)$`"},
                {"a|*", "missing argument to repetition operator: `*`", "missing argument to repetition operator: `*`"},
                {"[]a", "missing closing ]: `[]a`", "missing closing ]: `[]a)$`"},
                {"[^", "missing closing ]: `[^`", "missing closing ]: `[^)$`"},
                {"\\Q(", NULL, "missing closing ): `^(?s:\\Q()$`"},
                {"(?<n>[)])(", "missing closing ): `(?<n>[)])(`", "missing closing ): `^(?s:(?<n>[)])()$`"},
                {"|*", "missing argument to repetition operator: `*`", "missing argument to repetition operator: `*`"},
                {"(?P<n>a)(", "missing closing ): `(?P<n>a)(`", "missing closing ): `^(?s:(?P<n>a)()$`"},
                {"(((", "missing closing ): `(((`", "missing closing ): `^(?s:((()$`"},
                {"))", "unexpected ): `))`", "unexpected ): `^(?s:)))$`"},
                {"^*", NULL, NULL},
                {"$+", NULL, NULL},
                {"(|a)*", NULL, NULL},
                {"\\x{110000}", "invalid escape sequence: `\\x{110000`", "invalid escape sequence: `\\x{110000`"},
                {"\\_", NULL, NULL},
                {"\\-", NULL, NULL},
                {"[\\Q]", "invalid escape sequence: `\\Q`", "invalid escape sequence: `\\Q`"},
        /* clang-format on */
};

static int wrong_verdict(const char *pattern, struct error *e, struct regex *re, const char *want)
{
        char text[1200];
        snprintf(text, sizeof text, "%s%s", want ? "error parsing regexp: " : "", want ? want : "");
        bool wrong = strcmp(error_str(e), text) != 0;
        if (wrong)
                fprintf(stderr, "%s: got \"%s\", want \"%s\"\n", pattern, error_str(e), text);
        error_free(e);
        regex_free(re);
        return wrong;
}

TEST(regex_new, accepts_and_refuses_with_gos_texts)
{
        int wrong = 0;
        for (size_t i = 0; i < ARRAY_LEN(verdicts); i++) {
                struct regex *re = NULL;
                struct error *e = regex_new(str_from(verdicts[i].pattern), &re);
                wrong += wrong_verdict(verdicts[i].pattern, e, re, verdicts[i].alone);
                re = NULL;
                e = regex_new_anchored(str_from(verdicts[i].pattern), &re);
                wrong += wrong_verdict(verdicts[i].pattern, e, re, verdicts[i].anchored);
        }
        CHECK_I64(wrong, 0);
}

static bool is_match(const char *pattern, Str s)
{
        struct regex *re;
        CHECK_OK(regex_new(str_from(pattern), &re));
        bool ok = regex_matches(re, s);
        regex_free(re);
        return ok;
}

TEST(regex_matches, takes_the_whole_string_and_dots_take_newlines)
{
        CHECK(is_match("foo", STR("foo")) && !is_match("foo", STR("foobar")) && !is_match("foo", STR("")));
        CHECK(is_match("", STR("")) && !is_match("", STR("x")));
        CHECK(is_match(".*", STR("a\nb")) && is_match(".*", STR("")) && is_match(".+", STR("\n")) &&
              !is_match(".+", STR("")));
        CHECK(is_match("a.c", STR("a\nc")) && !is_match("(?-s:a.c)", STR("a\nc")));
        CHECK(is_match("api-.*", STR("api-")) && !is_match("api-.+", STR("api-")) && is_match("api-.+", STR("api-x")));
        CHECK(is_match(".*-a", STR("b-a")) && !is_match(".*-a", STR("b-a ")));
        CHECK(is_match(".*foo.*bar.*", STR("xfooybarz")) && !is_match(".*foo.*bar.*", STR("barfoo")));
        CHECK(is_match(".*foo.+foo", STR("foofoofoo")) && !is_match(".*foo.+foo", STR("foofoo")));
        CHECK(is_match("aba.*aba", STR("abaaba")) && !is_match("aba.*aba", STR("ababa")));
        CHECK(is_match("(api|web)-.*", STR("web-1")) && !is_match("(api|web)-.*", STR("db-1")));
        CHECK(is_match("^foo$", STR("foo")) && is_match("^a|b$", STR("a")) && is_match("^a|b$", STR("b")) &&
              is_match("^$", STR("")));
        CHECK(is_match("a\\.b", STR("a.b")) && !is_match("a\\.b", STR("axb")) && is_match("a\\$", STR("a$")));
        CHECK(is_match("(?i)Foo.*", STR("fOOx")) && is_match("[a-c]1", STR("b1")) && !is_match("[a-c]1", STR("d1")) &&
              is_match("[^a]", STR("b")));
        CHECK(is_match("a{2}", STR("aa")) && is_match("colou?r", STR("color")) && is_match("ab*", STR("abbb")) &&
              is_match("\\d+", STR("12")));
        CHECK(is_match("a.*|b.*|", STR("")) && is_match("x|a.*|b.*", STR("bx")) && !is_match("x|a.*|b.*", STR("cx")));
}

TEST(regex_matches, bad_bytes_count_as_one_character_each)
{
        CHECK(is_match("a.b", STR("a\xff"
                                  "b")) &&
              !is_match("a.b", STR("a\xff\xff"
                                   "b")) &&
              is_match("a..b", STR("a\xc3\xff"
                                   "b")));
        CHECK(is_match("[^x]", STR("\xff")) && is_match("\\D", STR("\xff")) && is_match(".*", STR("\xff")) &&
              is_match("a.+", STR("a\xff")));
        CHECK(is_match("\xef\xbf\xbd", STR("\xff")) && is_match(".", STR("\xc3\xa9")) &&
              !is_match(".", STR("\xc3\xa9 ")));
}

/* Random patterns of a small alphabet against RE2 itself: the shortcuts must not change any answer. */
TEST(regex_matches, shortcuts_agree_with_the_automaton_on_random_patterns)
{
        static const char *const pieces[] = {"a",   "b",         "ab",   ".*",     ".+",      ".",   "|", "(a|b)",
                                             "(",   ")",         "[ab]", "[^a]",   "b*",      "a?",  "^", "$",
                                             "\\.", "(?:ab|.*)", ".*?",  "(?s:.)", "(b.+|a)", "a{2}"};
        struct rand r = {.s = 11};
        int accepted = 0;
        for (int i = 0; i < 30000; i++) {
                char pattern[64] = "";
                for (uint64_t k = 1 + rand_below(&r, 6); k > 0; k--)
                        strcat(pattern, pieces[rand_below(&r, ARRAY_LEN(pieces))]);
                struct regex *re = NULL;
                struct error *e = regex_new(str_from(pattern), &re);
                const char *reason;
                char arg[64];
                size_t arg_n;
                struct regex_shim *shim = regex_shim_new(pattern, strlen(pattern), /* dot_nl= */ true, &reason, arg, sizeof arg, &arg_n);
                CHECK_MSG(!e == !!shim, "%s: %s", pattern, error_str(e));
                error_free(e);
                for (int k = 0; shim && k < 12; k++) {
                        char s[8];
                        size_t n = rand_below(&r, sizeof s);
                        for (size_t c = 0; c < n; c++)
                                s[c] = "ab.\n"[rand_below(&r, k < 8 ? 2 : 4)];
                        bool want = regex_shim_matches(shim, s, n);
                        CHECK_MSG(regex_matches(re, (Str){s, n}) == want, "%s on \"%.*s\": want %d", pattern, (int)n, s,
                                  want);
                        CHECK_MSG(!want || str_has_prefix((Str){s, n}, regex_prefix(re)), "%s: prefix", pattern);
                }
                accepted += shim != NULL;
                regex_shim_free(shim);
                regex_free(re);
        }
        CHECK(accepted > 5000);
}

static void sets(const char *pattern, const char *want)
{
        struct regex *re;
        CHECK_OK(regex_new(str_from(pattern), &re));
        const Str *set;
        size_t n;
        struct buf b = BUF_INIT(1 << 20);
        if (!regex_set_matches(re, &set, &n)) {
                buf_puts(&b, "none");
        } else {
                for (size_t i = 0; i < n; i++) {
                        if (i)
                                buf_putc(&b, ',');
                        buf_put(&b, set[i]);
                        CHECK(regex_matches(re, set[i]));
                }
        }
        CHECK_MSG(str_eq(buf_str(&b), str_from(want)), "%s: got %.*s, want %s", pattern, (int)b.n, b.p, want);
        buf_done(&b);
        regex_free(re);
}

/* The table of upstream's TestFindSetMatches, sorted; it finds none where case is folded or a bound is passed. */
TEST(regex_set_matches, lists_what_finitely_many_strings_match)
{
        sets("foo", "foo");
        sets("^foo", "foo");
        sets("^foo$", "foo");
        sets("foo|bar|zz", "bar,foo,zz");
        sets("foo|bar|baz", "bar,baz,foo");
        sets("foo|bar|baz|(zz)", "bar,baz,foo,zz");
        sets("bar|b|buzz", "b,bar,buzz");
        sets("^((bar|b|buzz))$", "b,bar,buzz");
        sets("^(bar|b|buzz)$", "b,bar,buzz");
        sets("^(?:prod|production)$", "prod,production");
        sets("(bar|b|b^uz$z)", "none");
        sets("^$|Running", "none");
        sets("fo\\.o|bar\\?|\\^baz", "^baz,bar?,fo.o");
        sets("[abc]d", "ad,bd,cd");
        sets("ABC|ABD|AEF|BCX|BCY", "ABC,ABD,AEF,BCX,BCY");
        sets("api_(v1|prom)_push", "api_prom_push,api_v1_push");
        sets("(api|rpc)_(v1|prom)_push", "api_prom_push,api_v1_push,rpc_prom_push,rpc_v1_push");
        sets("(api|rpc)_(v1|prom)_(push|query)", "api_prom_push,api_prom_query,api_v1_push,api_v1_query,rpc_prom_push,"
                                                 "rpc_prom_query,rpc_v1_push,rpc_v1_query");
        sets("[-1-2][a-c]", "-a,-b,-c,1a,1b,1c,2a,2b,2c");
        sets("[1^3]", "1,3,^");
        sets("(.+)/(foo|bar)", "none");
        sets("fo.o|bar?|^baz", "none");
        sets("(?i)foo", "none");
        sets("(?i)foo|bar|baz", "none");
        sets("(api|rpc)_(v1|prom)_((?i)push|query)", "none");
        sets("api_v1_(?i)push", "none");
        sets("api|(?i)rpc", "none");
        sets("rpc|(?i)(?-i)api", "none");
        sets("(?i)((?-i)api|(?-i)rpc)", "none");
        sets("(?i)rpc|(?-i)api", "none");
        sets("(api|rpc)_[^0-9]", "none");
        sets("[a-z][a-z]", "none");
        sets("b|a|b", "a,b");
        sets("", "");
        sets("a|", ",a");
        sets("foo.*", "none");
        sets("[ab][cd](e|f)", "ace,acf,ade,adf,bce,bcf,bde,bdf");
}

TEST(regex_set_matches, long_lists_are_hashed)
{
        struct buf b = BUF_INIT(1 << 20);
        for (int i = 0; i < 5000; i++)
                buf_printf(&b, "%snode-%d", i ? "|" : "", i);
        struct regex *re;
        CHECK_OK(regex_new(buf_str(&b), &re));
        const Str *set;
        size_t n;
        CHECK(regex_set_matches(re, &set, &n));
        CHECK_U64(n, 5000);
        CHECK(regex_matches(re, STR("node-4999")) && !regex_matches(re, STR("node-5000")) &&
              !regex_matches(re, STR("")));
        CHECK_STR(regex_prefix(re), "node-");
        regex_free(re);
        buf_done(&b);
}

TEST(regex_new, bounds_the_pattern)
{
        struct buf b = BUF_INIT(4 << 20);
        for (int i = 0; i < 1 << 21; i++)
                buf_putc(&b, 'a');
        struct regex *re;
        struct error *e = regex_new(buf_str(&b), &re);
        CHECK(error_is(e, ERROR_LIMIT));
        error_free(e);
        b.n = 1 << 20;
        memset(b.p, '(', b.n);
        CHECK_ERROR(regex_new(buf_str(&b), &re), "");
        buf_done(&b);
}

static void expands(const char *pattern, Str s, const char *template, const char *want)
{
        struct regex *re;
        CHECK_OK(regex_new(str_from(pattern), &re));
        struct buf b = BUF_INIT(1000);
        bool ok = regex_expand(re, s, str_from(template), &b);
        CHECK(ok == (want != NULL));
        CHECK_MSG(str_eq(buf_str(&b), str_from(want)), "%s: got %.*s", template, (int)b.n, b.p);
        buf_done(&b);
        regex_free(re);
}

TEST(regex_expand, follows_gos_expand)
{
        expands("(.*)", STR("all"), "$1", "all");
        expands("(.*)", STR("all"), "$0-${1}", "all-all");
        expands("a(b)(?P<n>c)?", STR("ab"), "$1-${n}-$2.", "b--.");
        expands("a(b)(?<n>c)?", STR("abc"), "$n,$1x,${1}x,$$1,$,$ x,${,${1,$-,$3", "c,,bx,$1,$,$ x,${,${1,$-,");
        expands("a", STR("a"), "lit", "lit");
        expands("a", STR("a"), "$0$1", "a");
        expands("a|b", STR("c"), "x", NULL);
        expands("(.)(.)",
                STR("\xff"
                    "b"),
                "$2$1", "b\xff");
        expands("(\\d+);(.*)", STR("12;x"), "$2:$01:$1", "x::12");
}

TEST(regex_match_groups, missing_parts_and_names)
{
        struct regex *re;
        CHECK_OK(regex_new(STR("(a)|(?P<second>b)"), &re));
        Str g[5];
        CHECK_I64(regex_groups(re), 2);
        CHECK_I64(regex_group_index(re, STR("second")), 2);
        CHECK_I64(regex_group_index(re, STR("third")), -1);
        CHECK(regex_match_groups(re, STR("b"), g, 5));
        CHECK_STR(g[0], "b");
        CHECK(g[1].p == NULL && g[3].p == NULL && g[4].p == NULL);
        CHECK_STR(g[2], "b");
        CHECK(!regex_match_groups(re, STR("c"), g, 5));
        regex_free(re);
}

static void replace_case(const char *pattern, const char *text, const char *template, const char *want)
{
        struct regex_search *re;
        struct buf b = BUF_INIT(1 << 16);
        CHECK_OK(regex_search_new(str_from(pattern), &re));
        regex_search_replace_all(re, str_from(text), str_from(template), &b);
        CHECK_STR(buf_str(&b), want);
        regex_search_free(re);
        buf_done(&b);
}

/* As Go's ReplaceAllString gives it. */
TEST(regex_search, replaces_all_matches_as_go_does)
{
        replace_case("a", "banana", "<$0>", "b<a>n<a>n<a>");
        replace_case("(?P<x>n)(a)", "banana", "${x}-$2-$$", "ban-a-$n-a-$");
        replace_case("a*", "baac", "x", "xbxcx");
        replace_case("", "abc", "-", "-a-b-c-");
        replace_case("^", "abc", "-", "-abc");
        replace_case("é*", "aéb", ".", ".a.b.");
        replace_case("x", "abc", "y", "abc");
        replace_case("a.b", "a\nb", "y", "a\nb");       /* '.' is no newline here */
        struct regex_search *re;
        CHECK_ERROR(regex_search_new(STR("a("), &re), "error parsing regexp: missing closing ): `a(`");
}
