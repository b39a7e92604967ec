/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/varint.h"

#include "base/rand.h"
#include "base/test.h"

TEST(varint, round_trips_at_every_width)
{
        struct rand r = {.s = 1};
        for (int i = 0; i < 20000; i++) {
                uint64_t u = rand_u64(&r) >> rand_below(&r, 64);
                struct buf b = BUF_INIT(64);
                buf_put_uvarint(&b, u);
                buf_put_varint(&b, (int64_t)u);
                buf_put_varint(&b, -(int64_t)(u >> 1));
                struct cursor c = cursor_of(buf_str(&b));
                CHECK_U64(take_uvarint(&c), u);
                CHECK_I64(take_varint(&c), (int64_t)u);
                CHECK_I64(take_varint(&c), -(int64_t)(u >> 1));
                CHECK(!c.bad && cursor_left(&c) == 0);
                buf_done(&b);
        }
}

TEST(varint, bytes_are_gos)
{
        struct buf b = BUF_INIT(64);
        buf_put_uvarint(&b, 300);
        buf_put_varint(&b, -3);
        buf_put_be32(&b, 0x01020304);
        buf_put_be64(&b, UINT64_MAX - 1);
        CHECK_STRS(buf_str(&b), STR("\xac\x02\x05\x01\x02\x03\x04\xff\xff\xff\xff\xff\xff\xff\xfe"));
        buf_done(&b);
}

static bool is_bad_uvarint(Str s)
{
        struct cursor c = cursor_of(s);
        uint64_t v = take_uvarint(&c);
        return c.bad && v == 0 && c.p == c.end;
}

TEST(cursor, a_cut_or_overflowing_varint_spoils_it)
{
        CHECK(is_bad_uvarint(STR("")));
        CHECK(is_bad_uvarint(STR("\x80")));
        CHECK(is_bad_uvarint(STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02")));
        CHECK(is_bad_uvarint(STR("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01")));
        struct cursor c = cursor_of(STR("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
        CHECK_U64(take_uvarint(&c), UINT64_MAX);
        CHECK(!c.bad);
}

TEST(cursor, fixed_widths_and_strings_stop_at_the_end)
{
        struct cursor c = cursor_of(STR("\x01\x00\x02\x00\x00\x00\x03\x02hi"));
        CHECK_U64(take_u8(&c), 1);
        CHECK_U64(take_be16(&c), 2);
        CHECK_U64(take_be32(&c), 3);
        CHECK_STR(take_uvarint_str(&c), "hi");
        CHECK(!c.bad);
        CHECK_U64(take_u8(&c), 0);
        CHECK(c.bad);
        for (size_t n = 0; n < 8; n++) {
                c = cursor_of((Str){"1234567", n});
                CHECK_U64(take_be64(&c), 0);
                CHECK(c.bad);
        }
        c = cursor_of(STR("\x03hi"));
        CHECK_U64(take_uvarint_str(&c).n, 0);
        CHECK(c.bad);
        c = cursor_of(STR("hi"));
        CHECK_U64(take_str(&c, UINT64_MAX).n, 0);
        CHECK(c.bad);
}
