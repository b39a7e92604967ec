/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/varint.h"

void buf_put_uvarint(struct buf *b, uint64_t v)
{
        uint8_t bytes[VARINT_MAX_BYTES];
        buf_append(b, bytes, (size_t)(put_uvarint(bytes, v) - bytes));
}

void buf_put_varint(struct buf *b, int64_t v)
{
        buf_put_uvarint(b, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}

void buf_put_be32(struct buf *b, uint32_t v)
{
        uint8_t bytes[4];
        put_be32(bytes, v);
        buf_append(b, bytes, sizeof bytes);
}

void buf_put_be64(struct buf *b, uint64_t v)
{
        uint8_t bytes[8];
        put_be64(bytes, v);
        buf_append(b, bytes, sizeof bytes);
}

static void cursor_spoil(struct cursor *c)
{
        c->bad = true;
        c->p = c->end;
}

/* The tenth byte may only be 1: more does not fit 64 bits. */
uint64_t take_uvarint_slow(struct cursor *c)
{
        uint64_t v = 0;
        const uint8_t *p = c->p;
        for (unsigned shift = 0; p < c->end && shift < 70; shift += 7) {
                uint8_t byte = *p++;
                if (shift == 63 && byte > 1)
                        break;
                v |= (uint64_t)(byte & 0x7f) << shift;
                if (byte < 0x80) {
                        c->p = p;
                        return v;
                }
        }
        cursor_spoil(c);
        return 0;
}

uint8_t take_u8(struct cursor *c)
{
        if (c->p >= c->end) {
                cursor_spoil(c);
                return 0;
        }
        return *c->p++;
}

uint16_t take_be16(struct cursor *c)
{
        if (cursor_left(c) < 2) {
                cursor_spoil(c);
                return 0;
        }
        uint16_t v = get_be16(c->p);
        c->p += 2;
        return v;
}

uint32_t take_be32(struct cursor *c)
{
        if (cursor_left(c) < 4) {
                cursor_spoil(c);
                return 0;
        }
        uint32_t v = get_be32(c->p);
        c->p += 4;
        return v;
}

uint64_t take_be64(struct cursor *c)
{
        if (cursor_left(c) < 8) {
                cursor_spoil(c);
                return 0;
        }
        uint64_t v = get_be64(c->p);
        c->p += 8;
        return v;
}

Str take_str(struct cursor *c, uint64_t n)
{
        if (n > cursor_left(c)) {
                cursor_spoil(c);
                return (Str){NULL, 0};
        }
        Str s = {(const char *)c->p, (size_t)n};
        c->p += n;
        return s;
}

Str take_uvarint_str(struct cursor *c)
{
        return take_str(c, take_uvarint(c));
}
