/* SPDX-License-Identifier: Apache-2.0 */
/* bits.h — bit strings of the histogram chunks: a growing writer and a bounds-checked reader, and the numbers of
 * variable length in them.
 *
 *   struct bits_out o = {…};  bits_write(&o, x, 13);  bits_write_int(&o, -3);
 *   struct bits_in r = bits_in_of(data, 3);  int64_t x = bits_read_int(&r);  if (r.bad) …
 *
 * Past the end a reader gives zeros and remembers it (bad). Threads: one owner.  Upstream:
 * tsdb/chunkenc/{bstream,varbit}.go */
#ifndef STORAGE_CHUNK_BITS_H
#define STORAGE_CHUNK_BITS_H

#include "base/alloc.h"
#include "base/str.h"

struct bits_out {
        uint8_t *p; /* heap */
        size_t n_bits, cap;
};

static inline void bits_write(struct bits_out *o, uint64_t x, unsigned n)
{
        size_t at = o->n_bits >> 3;
        unsigned used = o->n_bits & 7;
        if (UNLIKELY(at + 10 > o->cap)) {
                o->cap = o->cap ? o->cap * 2 : 128;
                o->p = mem_realloc(o->p, o->cap);
        }
        if (n < 64)
                x &= (UINT64_C(1) << n) - 1;
        /* 72 bits from the byte on: what is there, then x, then zeros */
        unsigned __int128 w = (unsigned __int128)(used ? o->p[at] : 0) << 120;
        w |= (unsigned __int128)x << (128 - used - n);
        uint64_t hi = __builtin_bswap64((uint64_t)(w >> 64));
        memcpy(o->p + at, &hi, 8);
        o->p[at + 8] = (uint8_t)(w >> 56);
        o->n_bits += n;
}

/* Does x fit the n bit form? The range is lopsided: the most negative pattern stands for a positive number. */
static inline bool bits_int_fits(int64_t x, unsigned n)
{
        int64_t half = INT64_C(1) << (n - 1);
        return x >= 1 - half && x <= half;
}

static const uint8_t bits_sizes[] = {0, 3, 6, 9, 12, 18, 25, 56, 64}; /* by the number of ones in front */

static inline void bits_write_sized(struct bits_out *o, unsigned ones, uint64_t x)
{
        if (ones == 0) {
                bits_write(o, 0, 1);
                return;
        }
        unsigned prefix = ones < 8 ? ones + 1 : 8;
        bits_write(o, ones < 8 ? (UINT64_C(1) << prefix) - 2 : 0xff, prefix);
        bits_write(o, x, bits_sizes[ones]);
}

static inline void bits_write_int(struct bits_out *o, int64_t x)
{
        unsigned ones = 0;
        if (x != 0)
                for (ones = 1; ones < 8 && !bits_int_fits(x, bits_sizes[ones]); ones++)
                        ;
        bits_write_sized(o, ones, (uint64_t)x);
}

static inline void bits_write_uint(struct bits_out *o, uint64_t x)
{
        unsigned ones = 0;
        if (x != 0)
                for (ones = 1; ones < 8 && x >> bits_sizes[ones]; ones++)
                        ;
        bits_write_sized(o, ones, x);
}

/* A value as XOR with the one before; the window of meaningful bits is kept while it fits. leading 0xff: none yet. */
static inline void bits_write_xor(struct bits_out *o, uint64_t v, uint64_t before, uint8_t *leading, uint8_t *trailing)
{
        uint64_t x = v ^ before;
        if (x == 0) {
                bits_write(o, 0, 1);
                return;
        }
        unsigned lead = (unsigned)__builtin_clzll(x), trail = (unsigned)__builtin_ctzll(x);
        if (lead > 31)
                lead = 31; /* five bits */
        if (*leading != 0xff && lead >= *leading && trail >= *trailing) {
                bits_write(o, 2, 2);
                bits_write(o, x >> *trailing, 64u - *leading - *trailing);
                return;
        }
        *leading = (uint8_t)lead;
        *trailing = (uint8_t)trail;
        bits_write(o, 3, 2);
        bits_write(o, lead, 5);
        bits_write(o, 64 - lead - trail, 6); /* 64 becomes 0: zero bits never occur */
        bits_write(o, x >> trail, 64 - lead - trail);
}

struct bits_in {
        const uint8_t *p;
        size_t pos, end; /* in bits */
        bool bad;
};

static inline struct bits_in bits_in_of(Str data, size_t from_byte)
{
        return (struct bits_in){
                .p = (const uint8_t *)data.p, .pos = from_byte * 8, .end = data.n * 8, .bad = data.n < from_byte};
}

/* 64 bits from the position on, zeros past the end. */
static inline uint64_t bits_peek(const struct bits_in *r)
{
        size_t at = r->pos >> 3, n = (r->end >> 3) - at;
        unsigned used = r->pos & 7;
        uint8_t tail[9] = {0};
        const uint8_t *q = r->p + at;
        if (UNLIKELY(n < 9)) {
                memcpy(tail, q, n);
                q = tail;
        }
        uint64_t x;
        memcpy(&x, q, 8);
        x = __builtin_bswap64(x);
        return used ? x << used | (uint64_t)q[8] >> (8 - used) : x;
}

static inline uint64_t bits_read(struct bits_in *r, unsigned n)
{
        if (UNLIKELY(r->bad || n > r->end - r->pos)) {
                r->bad = true;
                return 0;
        }
        if (n == 0)
                return 0;
        uint64_t x = bits_peek(r) >> (64 - n);
        r->pos += n;
        return x;
}

static inline uint64_t bits_read_sized(struct bits_in *r, unsigned *ret_size)
{
        *ret_size = 0;
        if (UNLIKELY(r->bad || r->pos >= r->end)) {
                r->bad = true;
                return 0;
        }
        uint64_t w = bits_peek(r);
        if (!(w >> 63)) {
                r->pos++;
                return 0;
        }
        unsigned ones = (unsigned)__builtin_clzll(~w | (UINT64_C(1) << 55));
        *ret_size = bits_sizes[ones];
        bits_read(r, ones < 8 ? ones + 1 : 8);
        return bits_read(r, *ret_size);
}

static inline int64_t bits_read_int(struct bits_in *r)
{
        unsigned size;
        uint64_t x = bits_read_sized(r, &size);
        if (size && size < 64 && x > UINT64_C(1) << (size - 1))
                x -= UINT64_C(1) << size;
        return (int64_t)x;
}

static inline uint64_t bits_read_uint(struct bits_in *r)
{
        unsigned size;
        return bits_read_sized(r, &size);
}

static inline void bits_read_xor(struct bits_in *r, uint64_t *v, uint8_t *leading, uint8_t *trailing)
{
        if (!bits_read(r, 1))
                return;
        unsigned n;
        if (bits_read(r, 1)) {
                unsigned lead = (unsigned)bits_read(r, 5);
                n = (unsigned)bits_read(r, 6);
                if (n == 0)
                        n = 64;
                if (lead + n > 64) {
                        r->bad = true;
                        return;
                }
                *leading = (uint8_t)lead;
                *trailing = (uint8_t)(64 - lead - n);
        } else {
                n = 64u - *leading - *trailing;
        }
        *v ^= bits_read(r, n) << *trailing;
}

#endif
