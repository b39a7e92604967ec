/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/quote.h"

#include "base/test.h"
#include "codec/printable.h"

static void quotes(Str s, const char *want)
{
        struct buf b = BUF_INIT(1000);
        buf_put_go_quoted(&b, s);
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
}

TEST(buf_put_go_quoted, writes_what_strconv_quote_writes)
{
        quotes(STR(""), "\"\"");
        quotes(STR("plain text"), "\"plain text\"");
        quotes(STR("a\"b\\c"), "\"a\\\"b\\\\c\"");
        quotes(STR("\a\b\f\n\r\t\v"), "\"\\a\\b\\f\\n\\r\\t\\v\"");
        quotes(STR("\0\x01\x1f\x7f"), "\"\\x00\\x01\\x1f\\x7f\"");
        quotes(STR("h\xc3\xa9llo \xe4\xb8\x96 \xf0\x9f\x98\x80"), "\"h\xc3\xa9llo \xe4\xb8\x96 \xf0\x9f\x98\x80\"");
        quotes(STR("\xff\xc3\xe4\xb8"), "\"\\xff\\xc3\\xe4\\xb8\"");
        quotes(STR("\xc2\xa0\xc2\xad\xe2\x80\xa8\xef\xbb\xbf"), "\"\\u00a0\\u00ad\\u2028\\ufeff\"");
        quotes(STR("\xf3\xa0\x80\x81"), "\"\\U000e0001\"");
        quotes(STR("\xef\xbf\xbd"), "\"\xef\xbf\xbd\"");
}

TEST(utf8_decode, refuses_overlong_surrogates_and_cut_sequences)
{
        uint32_t r = 0;
        CHECK_U64(utf8_decode(STR("\xf4\x8f\xbf\xbf"), &r), 4);
        CHECK_U64(r, 0x10ffff);
        CHECK_U64(utf8_decode(STR("\xc0\x80"), &r), 0);
        CHECK_U64(utf8_decode(STR("\xe0\x80\x80"), &r), 0);
        CHECK_U64(utf8_decode(STR("\xf0\x80\x80\x80"), &r), 0);
        CHECK_U64(utf8_decode(STR("\xed\xa0\x80"), &r), 0);
        CHECK_U64(utf8_decode(STR("\xf4\x90\x80\x80"), &r), 0);
        CHECK_U64(utf8_decode(STR("\xe4\xb8"), &r), 0);
        CHECK_U64(utf8_decode(STR("\x80"), &r), 0);
        CHECK_U64(utf8_decode(STR(""), &r), 0);
        CHECK(utf8_is_valid(STR("0123456789 abc \xc3\xa9 0123456789")));
        CHECK(!utf8_is_valid(STR("0123456789 abc \xc3 0123456789")));
        CHECK(utf8_is_valid(STR("")));
}

TEST(rune_is_printable, counts_as_go_does)
{
        uint32_t n = 0;
        for (uint32_t r = 0; r <= 0x10ffff; r++)
                n += rune_is_printable(r);
        CHECK_U64(n, 148998);
        CHECK(rune_is_printable(' ') && !rune_is_printable(0xa0) && rune_is_printable(0x4e16) &&
              !rune_is_printable(0xe000));
        CHECK(!rune_is_printable(0x378) && rune_is_printable(0x1f600) && !rune_is_printable(0x110000));
}

static void encode_case(uint32_t rune, const char *want)
{
        char bytes[4];
        size_t n = utf8_encode(rune, bytes);
        CHECK_STR(((Str){bytes, n}), want);
}

TEST(utf8_encode, is_the_reverse_of_decoding)
{
        encode_case('a', "a");
        encode_case(0x7ff, "\xdf\xbf");
        encode_case(0x800, "\xe0\xa0\x80");
        encode_case(0xffff, "\xef\xbf\xbf");
        encode_case(0x10ffff, "\xf4\x8f\xbf\xbf");
        encode_case(0xd800, "\xef\xbf\xbd");
        for (uint32_t r = 1; r < 0x110000; r += 7) {
                char bytes[4];
                uint32_t back;
                size_t n = utf8_encode(r, bytes);
                if (r >= 0xd800 && r < 0xe000)
                        continue;
                CHECK(utf8_decode((Str){bytes, n}, &back) == n && back == r);
        }
}
