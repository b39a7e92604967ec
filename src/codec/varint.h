/* SPDX-License-Identifier: Apache-2.0 */
/* varint.h — Go's varints and fixed big-endian integers: writing, and a bounded cursor that remembers failure.
 *
 *   p = put_uvarint(p, n);                          p has room for VARINT_MAX_BYTES
 *   struct cursor c = cursor_of(bytes);
 *   uint64_t n = take_uvarint(&c);  Str s = take_str(&c, n);
 *   if (c.bad) return error_new(ERROR_CORRUPT, ...);        one check at the end: a bad cursor gives zeros and empty strings
 *
 * Threads: pure.  Upstream: encoding/binary of Go; tsdb/encoding. */
#ifndef CODEC_VARINT_H
#define CODEC_VARINT_H

#include "base/buf.h"
#include "base/str.h"

enum { VARINT_MAX_BYTES = 10 };

static inline uint8_t *put_uvarint(uint8_t *p, uint64_t v)
{
        while (v >= 0x80) {
                *p++ = (uint8_t)(v | 0x80);
                v >>= 7;
        }
        *p++ = (uint8_t)v;
        return p;
}
static inline uint8_t *put_varint(uint8_t *p, int64_t v)        /* zigzag */
{
        return put_uvarint(p, ((uint64_t)v << 1) ^ (uint64_t)(v >> 63));
}
static inline uint8_t *put_be32(uint8_t *p, uint32_t v)
{
        v = __builtin_bswap32(v);
        memcpy(p, &v, 4);
        return p + 4;
}
static inline uint8_t *put_be64(uint8_t *p, uint64_t v)
{
        v = __builtin_bswap64(v);
        memcpy(p, &v, 8);
        return p + 8;
}
static inline uint16_t get_be16(const void *p)
{
        uint16_t v;
        memcpy(&v, p, 2);
        return __builtin_bswap16(v);
}
static inline uint32_t get_be32(const void *p)
{
        uint32_t v;
        memcpy(&v, p, 4);
        return __builtin_bswap32(v);
}
static inline uint64_t get_be64(const void *p)
{
        uint64_t v;
        memcpy(&v, p, 8);
        return __builtin_bswap64(v);
}

void buf_put_uvarint(struct buf *b, uint64_t v);
void buf_put_varint(struct buf *b, int64_t v);
void buf_put_be32(struct buf *b, uint32_t v);
void buf_put_be64(struct buf *b, uint64_t v);

struct cursor {
        const uint8_t *p, *end;
        bool bad;                       /* something did not fit or overflowed; p stands at end then */
};
static inline struct cursor cursor_of(Str s)
{
        return (struct cursor){(const uint8_t *)s.p, (const uint8_t *)s.p + s.n, false};
}
static inline size_t cursor_left(const struct cursor *c)
{
        return (size_t)(c->end - c->p);
}
uint64_t take_uvarint_slow(struct cursor *c);
static inline uint64_t take_uvarint(struct cursor *c)
{
        if (LIKELY(c->p < c->end && *c->p < 0x80))
                return *c->p++;
        return take_uvarint_slow(c);
}
static inline int64_t take_varint(struct cursor *c)
{
        uint64_t u = take_uvarint(c);
        return (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
}
uint8_t take_u8(struct cursor *c);
uint16_t take_be16(struct cursor *c);
uint32_t take_be32(struct cursor *c);
uint64_t take_be64(struct cursor *c);
Str take_str(struct cursor *c, uint64_t n);     /* borrowed; empty and bad when fewer bytes are left */
Str take_uvarint_str(struct cursor *c);         /* length as uvarint, then the bytes */

#endif
