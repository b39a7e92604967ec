/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/proto.h"

#include <math.h>

#include "base/test.h"

TEST(proto, writes_the_wire_format_and_reads_it_back)
{
        struct buf b = BUF_INIT(1 << 20);
        proto_put_uint(&b, 1, 150);
        proto_put_uint(&b, 2, 0);
        proto_put_sint(&b, 3, -2);
        proto_put_bytes(&b, 4, STR("testing"));
        proto_put_bytes(&b, 5, STR(""));
        proto_put_bytes_always(&b, 5, STR(""));
        proto_put_f64(&b, 6, 1);
        proto_put_f64(&b, 7, 0);
        proto_put_f64(&b, 7, -0.0);
        CHECK_STRS(buf_str(&b),
                   STR("\x08\x96\x01\x18\x03\x22\x07testing\x2a\x00\x31\0\0\0\0\0\0\xf0\x3f\x39\0\0\0\0\0\0\0\x80"));
        struct cursor c = cursor_of(buf_str(&b));
        struct proto_field f;
        CHECK(proto_next(&c, &f) && f.number == 1 && f.u == 150);
        CHECK(proto_next(&c, &f) && f.number == 3 && proto_sint(f.u) == -2);
        CHECK(proto_next(&c, &f) && f.number == 4);
        CHECK_STR(f.bytes, "testing");
        CHECK(proto_next(&c, &f) && f.number == 5 && f.bytes.n == 0);
        CHECK(proto_next(&c, &f) && f.number == 6 && f.wire == 1);
        CHECK_F64(proto_f64(f.u), 1);
        CHECK(proto_next(&c, &f) && f.number == 7);
        CHECK_F64(proto_f64(f.u), -0.0);
        CHECK(!proto_next(&c, &f) && !c.bad);
        buf_done(&b);
}

TEST(proto, lengths_of_nested_messages_are_filled_in)
{
        static const size_t sizes[] = {0, 1, 127, 128, 16383, 16384, 70000};
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
                struct buf b = BUF_INIT(1 << 20);
                size_t outer = proto_begin(&b, 1), inner = proto_begin(&b, 16);
                for (size_t k = 0; k < sizes[i]; k++)
                        buf_putc(&b, (char)k);
                proto_end(&b, inner);
                proto_put_uint(&b, 2, 7);
                proto_end(&b, outer);
                struct cursor c = cursor_of(buf_str(&b));
                struct proto_field f;
                CHECK(proto_next(&c, &f) && f.number == 1 && cursor_left(&c) == 0);
                c = cursor_of(f.bytes);
                CHECK(proto_next(&c, &f) && f.number == 16);
                CHECK_U64(f.bytes.n, sizes[i]);
                for (size_t k = 0; k < sizes[i]; k++)
                        CHECK(f.bytes.p[k] == (char)k);
                CHECK(proto_next(&c, &f) && f.number == 2 && f.u == 7);
                buf_done(&b);
        }
        struct buf tiny = BUF_INIT(131);
        size_t at = proto_begin(&tiny, 1);
        memset(buf_reserve(&tiny, 129), 0, 129);
        tiny.n += 129;
        proto_end(&tiny, at);
        CHECK(buf_is_over(&tiny));
        buf_done(&tiny);
}

TEST(proto, garbage_makes_the_cursor_bad)
{
        static const Str bad[] = {STR_INIT("\x08"),
                                  STR_INIT("\x08\x80"),
                                  STR_INIT("\x09"
                                           "1234567"),
                                  STR_INIT("\x0d"
                                           "123"),
                                  STR_INIT("\x0a\x02"
                                           "a"),
                                  STR_INIT("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"),
                                  STR_INIT("\x0b\x0c"),
                                  STR_INIT("\x0e"),
                                  STR_INIT("\x00\x01"),
                                  STR_INIT("\x80\x80\x80\x80\x80\x01\x01"),
                                  STR_INIT("\x80")};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                struct cursor c = cursor_of(bad[i]);
                struct proto_field f;
                CHECK_MSG(!proto_next(&c, &f) && c.bad && !proto_next(&c, &f), "row %zu", i);
        }
        struct cursor c = cursor_of(STR("\x0d\x01\x02\x03\x04"));
        struct proto_field f;
        CHECK(proto_next(&c, &f) && f.u == 0x04030201);
}
