/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/proto.h"

#include "base/float_bits.h"

static uint64_t little_endian(const char *p, size_t n)
{
        uint64_t v = 0;
        memcpy(&v, p, n);
        return v;
}

bool proto_next(struct cursor *c, struct proto_field *ret)
{
        if (c->bad || cursor_left(c) == 0)
                return false;
        uint64_t key = take_uvarint(c);
        struct proto_field f = {.number = (uint32_t)(key >> 3), .wire = key & 7};
        switch (f.wire) {
        case 0:
                f.u = take_uvarint(c);
                break;
        case 1:
        case 5: {
                size_t width = f.wire == 1 ? 8 : 4;
                Str s = take_str(c, width);
                f.u = s.n ? little_endian(s.p, width) : 0;
                break;
        }
        case 2:
                f.bytes = take_uvarint_str(c);
                break;
        default: /* groups left the language long ago */
                c->bad = true;
        }
        if (f.number == 0 || key >> 32)
                c->bad = true;
        if (c->bad) {
                c->p = c->end;
                return false;
        }
        *ret = f;
        return true;
}

double proto_f64(uint64_t u)
{
        return float_of_bits(u);
}

void proto_put_uint(struct buf *b, uint32_t field, uint64_t v)
{
        if (v == 0)
                return;
        uint8_t bytes[2 * VARINT_MAX_BYTES], *p = put_uvarint(put_uvarint(bytes, (uint64_t)field << 3), v);
        buf_append(b, bytes, (size_t)(p - bytes));
}

void proto_put_sint(struct buf *b, uint32_t field, int64_t v)
{
        proto_put_uint(b, field, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

void proto_put_f64(struct buf *b, uint32_t field, double v)
{
        uint64_t bits = float_bits(v);
        if (bits == 0)
                return;
        uint8_t bytes[VARINT_MAX_BYTES + 8], *p = put_uvarint(bytes, (uint64_t)field << 3 | 1);
        memcpy(p, &bits, sizeof bits);
        buf_append(b, bytes, (size_t)(p - bytes) + sizeof bits);
}

void proto_put_bytes_always(struct buf *b, uint32_t field, Str s)
{
        uint8_t bytes[2 * VARINT_MAX_BYTES], *p = put_uvarint(put_uvarint(bytes, (uint64_t)field << 3 | 2), s.n);
        buf_append(b, bytes, (size_t)(p - bytes));
        buf_put(b, s);
}

void proto_put_bytes(struct buf *b, uint32_t field, Str s)
{
        if (s.n > 0)
                proto_put_bytes_always(b, field, s);
}

/* One byte stands for the length, as most messages are short; longer ones are moved at their end. */
size_t proto_begin(struct buf *b, uint32_t field)
{
        buf_put_uvarint(b, (uint64_t)field << 3 | 2);
        buf_putc(b, 0);
        return b->n;
}

void proto_end(struct buf *b, size_t at)
{
        if (buf_is_over(b))
                return;
        uint8_t bytes[VARINT_MAX_BYTES];
        size_t n = b->n - at, width = (size_t)(put_uvarint(bytes, n) - bytes);
        if (width > 1) {
                if (!buf_reserve(b, width - 1))
                        return;
                memmove(b->p + at + width - 1, b->p + at, n);
                b->n += width - 1;
        }
        memcpy(b->p + at - 1, bytes, width);
}
