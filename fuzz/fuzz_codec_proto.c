/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_codec_proto.c — fields stay within their message at every depth; what is written reads back. */
#include "codec/proto.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(Str s, int depth)
{
        struct cursor c = cursor_of(s);
        struct proto_field f;
        while (proto_next(&c, &f)) {
                if (f.wire == 2) {
                        if (f.bytes.n > s.n || (f.bytes.n && (f.bytes.p < s.p || f.bytes.p + f.bytes.n > s.p + s.n)))
                                bug("field %u lies outside its message", f.number);
                        if (depth < 10)
                                walk(f.bytes, depth + 1);
                }
                struct buf b = BUF_INIT(BUF_NO_LIMIT);
                size_t at = proto_begin(&b, f.number);
                proto_put_uint(&b, 1, f.u);
                proto_put_sint(&b, 2, (int64_t)f.u);
                proto_put_bytes(&b, 3, f.bytes);
                proto_end(&b, at);
                struct cursor own = cursor_of(buf_str(&b));
                struct proto_field outer, inner;
                if (!proto_next(&own, &outer) || outer.number != f.number || cursor_left(&own))
                        bug("own message is refused");
                own = cursor_of(outer.bytes);
                while (proto_next(&own, &inner))
                        if (inner.number == 1   ? inner.u != f.u
                            : inner.number == 2 ? proto_sint(inner.u) != (int64_t)f.u
                                                : !str_eq(inner.bytes, f.bytes))
                                bug("own field %u changed", inner.number);
                if (own.bad)
                        bug("own fields are refused");
                buf_done(&b);
        }
        if (c.bad && c.p != c.end)
                bug("a bad cursor stands at its end");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Str all = {(const char *)data, size};
        walk(size > 4096 ? (Str){all.p, 4096} : all, 0);
        struct cursor c = cursor_of(all);
        while (!c.bad && cursor_left(&c)) {
                take_varint(&c);
                take_be16(&c);
                take_uvarint_str(&c);
        }
        return 0;
}
