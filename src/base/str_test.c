/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"

static void cut_case(Str in, const char *head, const char *tail)
{
        Str h, t;
        CHECK(str_cut(in, '=', &h, &t));
        CHECK_STR(h, head);
        CHECK_STR(t, tail);
}
TEST(str_cut, splits_at_the_first_separator)
{
        cut_case(STR("a=b=c"), "a", "b=c");
        cut_case(STR("="), "", "");
        cut_case(STR("=b"), "", "b");
        cut_case(STR("a="), "a", "");
}

TEST(str_cut, leaves_the_outputs_alone_without_a_separator)
{
        Str h = STR("x"), t = STR("y");
        CHECK(!str_cut(STR("abc"), '=', &h, &t));
        CHECK(!str_cut(STR(""), '=', &h, &t));
        CHECK_STR(h, "x");
        CHECK_STR(t, "y");
}

static void fields_case(Str in, const char *joined)
{
        char got[64] = "";
        Str f;
        while (str_next(&in, ',', &f)) {
                strncat(got, "<", 2);
                strncat(got, f.p, f.n);
                strncat(got, ">", 2);
        }
        CHECK_STR(str_from(got), joined);
}
TEST(str_next, gives_every_field_and_empty_ones_between)
{
        fields_case(STR("a,,b"), "<a><><b>");
        fields_case(STR("a"), "<a>");
        fields_case(STR(""), "");
        fields_case(STR("a,b"), "<a><b>");
}

static void u64_case(Str in, bool ok, uint64_t want)
{
        uint64_t got = 0;
        CHECK_MSG(str_to_u64(in, &got) == ok, "str_to_u64(\"" STR_FMT "\")", STR_ARG(in));
        if (ok)
                CHECK_U64(got, want);
}
TEST(str_to_u64, takes_whole_decimal_numbers_only)
{
        u64_case(STR("0"), true, 0);
        u64_case(STR("18446744073709551615"), true, UINT64_MAX);
        u64_case(STR("18446744073709551616"), false, 0);
        u64_case(STR("99999999999999999999999"), false, 0);
        u64_case(STR(""), false, 0);
        u64_case(STR("-1"), false, 0);
        u64_case(STR("1 "), false, 0);
        u64_case(STR("0x1"), false, 0);
}

static void i64_case(Str in, bool ok, int64_t want)
{
        int64_t got = 0;
        CHECK_MSG(str_to_i64(in, &got) == ok, "str_to_i64(\"" STR_FMT "\")", STR_ARG(in));
        if (ok)
                CHECK_I64(got, want);
}
TEST(str_to_i64, reaches_both_ends_of_its_range)
{
        i64_case(STR("-9223372036854775808"), true, INT64_MIN);
        i64_case(STR("9223372036854775807"), true, INT64_MAX);
        i64_case(STR("9223372036854775808"), false, 0);
        i64_case(STR("-9223372036854775809"), false, 0);
        i64_case(STR("-0"), true, 0);
        i64_case(STR("-"), false, 0);
        i64_case(STR("--1"), false, 0);
}

TEST(str_find, says_where_or_minus_one)
{
        CHECK_I64(str_find(STR("abcb"), 'b'), 1);
        CHECK_I64(str_rfind(STR("abcb"), 'b'), 3);
        CHECK_I64(str_find(STR("abc"), 'x'), -1);
        CHECK_I64(str_rfind(STR(""), 'x'), -1);
        CHECK_I64(str_find_str(STR("aabaac"), STR("aac")), 3);
        CHECK_I64(str_find_str(STR("aab"), STR("aabb")), -1);
        CHECK_I64(str_find_str(STR("ab"), STR("")), 0);
        CHECK(str_contains(STR("a\0b"), STR("\0b")));
}

TEST(str_cmp, orders_bytewise_and_shorter_first)
{
        CHECK(str_cmp(STR("a"), STR("ab")) < 0);
        CHECK(str_cmp(STR("b"), STR("ab")) > 0);
        CHECK(str_cmp(STR("\xff"), STR("a")) > 0);
        CHECK(str_cmp(STR(""), (Str){NULL, 0}) == 0);
        CHECK(str_eq(STR(""), (Str){NULL, 0}));
}

TEST(str_trim, takes_white_space_at_both_ends)
{
        CHECK_STR(str_trim(STR(" \t\r\n a b \n")), "a b");
        CHECK_STR(str_trim(STR("  ")), "");
        CHECK_STR(str_trim_prefix(STR("abc"), STR("ab")), "c");
        CHECK_STR(str_trim_prefix(STR("abc"), STR("b")), "abc");
        CHECK_STR(str_trim_suffix(STR("a.yml"), STR(".yml")), "a");
}

TEST(str_eq_nocase, folds_ascii_letters_only)
{
        CHECK(str_eq_nocase(STR("Content-TYPE"), STR("content-type")));
        CHECK(!str_eq_nocase(STR("a["), STR("a{")));
        CHECK(!str_eq_nocase(STR("ab"), STR("abc")));
        CHECK(str_has_prefix(STR("abc"), STR("ab")) && !str_has_prefix(STR("a"), STR("ab")));
        CHECK(str_has_suffix(STR("abc"), STR("bc")) && !str_has_suffix(STR("c"), STR("bc")));
}
