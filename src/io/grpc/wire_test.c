/* SPDX-License-Identifier: Apache-2.0 */
#include "io/grpc/wire.h"

#include "base/test.h"

static void roundtrip(enum grpc_encoding e, Str message)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        struct grpc_reader r;
        struct grpc_status bad = {0};
        Str got;
        grpc_reader_init(&r, 1 << 20);
        r.encoding = e;
        CHECK(grpc_frame(&b, e, message));
        for (size_t i = 0; i < b.n; i++) { /* byte by byte */
                CHECK_I64(grpc_reader_next(&r, &got, &bad), 0);
                grpc_reader_compact(&r);
                buf_putc(&r.in, b.p[i]);
        }
        CHECK_I64(grpc_reader_next(&r, &got, &bad), 1);
        CHECK_STRS(got, message);
        CHECK(!grpc_reader_has_rest(&r));
        grpc_reader_done(&r);
        buf_done(&b);
}

TEST(grpc_wire, frames_read_back_in_each_encoding)
{
        for (int e = 0; e < GRPC_N_ENCODINGS; e++) {
                roundtrip((enum grpc_encoding)e, STR(""));
                roundtrip((enum grpc_encoding)e, STR("x"));
                roundtrip((enum grpc_encoding)e,
                          STR("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
        }
}

TEST(grpc_wire, an_empty_message_is_never_compressed)
{
        struct buf b = BUF_INIT(100);
        CHECK(grpc_frame(&b, GRPC_SNAPPY, STR("")));
        CHECK_STRS(buf_str(&b), ((Str){"\0\0\0\0\0", 5}));
        buf_done(&b);
}

static void refused(Str bytes, enum grpc_encoding e, size_t max, int code, const char *text)
{
        struct grpc_reader r;
        struct grpc_status bad = {0};
        Str got;
        grpc_reader_init(&r, max);
        r.encoding = e;
        buf_put(&r.in, bytes);
        CHECK_I64(grpc_reader_next(&r, &got, &bad), -1);
        CHECK_I64(bad.code, code);
        if (text)
                CHECK_STR(str_from(bad.message), text);
        grpc_status_done(&bad);
        grpc_reader_done(&r);
}
#define BYTES(s) ((Str){(s), sizeof(s) - 1})

TEST(grpc_wire, refuses_what_is_no_frame)
{
        refused(BYTES("\x02\0\0\0\0"), GRPC_IDENTITY, 10, GRPC_INTERNAL, "grpc: received unexpected payload format 2");
        refused(BYTES("\x00\0\0\0\x0b"), GRPC_IDENTITY, 10, GRPC_RESOURCE_EXHAUSTED,
                "grpc: received message larger than max (11 vs. 10)");
        refused(BYTES("\x00\xff\xff\xff\xff"), GRPC_IDENTITY, 10, GRPC_RESOURCE_EXHAUSTED, NULL);
        refused(BYTES("\x01\0\0\0\x01z"), GRPC_IDENTITY, 10, GRPC_INTERNAL,
                "grpc: compressed flag set with identity or empty encoding");
        refused(BYTES("\x01\0\0\0\x01z"), GRPC_SNAPPY, 10, GRPC_INTERNAL, NULL);
        refused(BYTES("\x01\0\0\0\x01z"), GRPC_GZIP, 10, GRPC_INTERNAL, NULL);
}

static void bomb(enum grpc_encoding e)
{
        struct buf plain = BUF_INIT(BUF_NO_LIMIT), b = BUF_INIT(BUF_NO_LIMIT);
        while (plain.n < 100000)
                buf_puts(&plain, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
        CHECK(grpc_frame(&b, e, buf_str(&plain)));
        refused(buf_str(&b), e, 50000, GRPC_RESOURCE_EXHAUSTED,
                "grpc: received message after decompression larger than max 50000");
        buf_done(&plain);
        buf_done(&b);
}

TEST(grpc_wire, a_message_that_inflates_beyond_the_limit_is_refused)
{
        bomb(GRPC_SNAPPY);
        bomb(GRPC_GZIP);
}

static void timeout_case(const char *s, int64_t want)
{
        int64_t ms = -1;
        CHECK_MSG(grpc_timeout_parse(str_from(s), &ms) == (want >= 0), "%s", s);
        CHECK_I64(ms, want);
}

TEST(grpc_wire, timeouts)
{
        timeout_case("100m", 100);
        timeout_case("1n", 1);
        timeout_case("1500u", 2);
        timeout_case("5S", 5000);
        timeout_case("2M", 120000);
        timeout_case("1H", 3600000);
        timeout_case("0m", 0);
        timeout_case("99999999H", INT64_MAX / 1000000);
        timeout_case("123456789m", -1);
        timeout_case("m", -1);
        timeout_case("", -1);
        timeout_case("-1m", -1);
        timeout_case("5s", -1);
        char b[16];
        grpc_timeout_put(0, b);
        CHECK_STR(str_from(b), "1m");
        grpc_timeout_put(99999999, b);
        CHECK_STR(str_from(b), "99999999m");
        grpc_timeout_put(100000000, b);
        CHECK_STR(str_from(b), "100000S");
        grpc_timeout_put(INT64_MAX, b);
        CHECK_STR(str_from(b), "99999999S");
}

static void message_case(const char *plain, const char *escaped)
{
        struct buf b = BUF_INIT(1000);
        grpc_message_escape(&b, str_from(plain));
        CHECK_STR(buf_str(&b), escaped);
        buf_clear(&b);
        grpc_message_unescape(&b, str_from(escaped));
        CHECK_STR(buf_str(&b), plain);
        buf_done(&b);
}

TEST(grpc_wire, messages_are_percent_encoded)
{
        message_case("plain text: 1 + 1", "plain text: 1 + 1");
        message_case("é", "%C3%A9");
        message_case("100%\n", "100%25%0A");
        struct buf b = BUF_INIT(1000);
        grpc_message_unescape(&b, STR("%zz %4 %4"));
        CHECK_STR(buf_str(&b), "%zz %4 %4");
        buf_done(&b);
}
