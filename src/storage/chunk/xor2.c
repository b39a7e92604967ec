/* SPDX-License-Identifier: Apache-2.0 */
/* Appending XOR2 chunks. Decoding is in xor_decode.c. */
#include "storage/chunk/xor2.h"

#include "storage/chunk/bits.h"

enum { HEADER_BYTES = 3, START_CHANGE_MAX = 0x7f };

struct xor2_chunk {
        struct bits_out out;
        TimeMs t, start;
        uint64_t v_bits;        /* newest value that is no staleness marker */
        uint64_t t_delta;
        uint64_t diff;          /* time before − start, of the newest sample */
        uint16_t n;
        uint8_t leading, trailing;
        uint8_t change_on;      /* sample from which start times are written; 0: none yet */
};

struct xor2_chunk *xor2_chunk_new(void)
{
        struct xor2_chunk *c = mem_new(struct xor2_chunk);
        c->leading = 0xff;
        for (int i = 0; i < HEADER_BYTES; i++)
                bits_write(&c->out, 0, 8);
        return c;
}

void xor2_chunk_free(struct xor2_chunk *c)
{
        if (c)
                free(c->out.p);
        free(c);
}

static void put_uvarint(struct bits_out *o, uint64_t x)
{
        for (; x >= 0x80; x >>= 7)
                bits_write(o, (x & 0x7f) | 0x80, 8);
        bits_write(o, x, 8);
}

static void put_varint(struct bits_out *o, int64_t x)
{
        put_uvarint(o, ((uint64_t)x << 1) ^ (uint64_t)(x >> 63));
}

/* The bits that differ, which are some; the prefixes say "in the last window" and "in a new one". */
static void put_window(struct xor2_chunk *c, uint64_t x, unsigned prefix_bits, unsigned same, unsigned other)
{
        unsigned lead = (unsigned)__builtin_clzll(x), trail = (unsigned)__builtin_ctzll(x);
        if (lead > 31)
                lead = 31;      /* five bits */
        if (c->leading != 0xff && lead >= c->leading && trail >= c->trailing) {
                bits_write(&c->out, same, prefix_bits == 3 ? 2 : prefix_bits);
                bits_write(&c->out, x >> c->trailing, 64u - c->leading - c->trailing);
                return;
        }
        c->leading = (uint8_t)lead;
        c->trailing = (uint8_t)trail;
        unsigned n = 64 - lead - trail;
        bits_write(&c->out, other, prefix_bits);
        bits_write(&c->out, lead, 5);
        bits_write(&c->out, n, 6);      /* 64 becomes 0: zero bits never occur */
        bits_write(&c->out, x >> trail, n);
}

static void put_value(struct xor2_chunk *c, uint64_t v)
{
        if (v == STALE_NAN_BITS)
                bits_write(&c->out, 7, 3);
        else if (v == c->v_bits)
                bits_write(&c->out, 0, 1);
        else
                put_window(c, v ^ c->v_bits, 3, 2, 6);
}

static void put_joint(struct xor2_chunk *c, int64_t dod, uint64_t v)
{
        struct bits_out *o = &c->out;
        if (dod == 0) {
                if (v == STALE_NAN_BITS) {
                        bits_write(o, 0x1f, 5);
                } else if (v == c->v_bits) {
                        bits_write(o, 0, 1);
                } else {
                        bits_write(o, 2, 2);
                        put_window(c, v ^ c->v_bits, 1, 0, 1);
                }
                return;
        }
        if (dod >= -(1 << 12) && dod < 1 << 12) {
                bits_write(o, 6, 3);
                bits_write(o, (uint64_t)dod, 13);
        } else if (dod >= -(1 << 19) && dod < 1 << 19) {
                bits_write(o, 14, 4);
                bits_write(o, (uint64_t)dod, 20);
        } else {
                bits_write(o, 30, 5);
                bits_write(o, (uint64_t)dod, 64);
        }
        put_value(c, v);
}

static void put_start(struct xor2_chunk *c, TimeMs start)
{
        uint64_t diff = (uint64_t)c->t - (uint64_t)start;
        if (c->change_on) {
                bits_write_int(&c->out, (int64_t)(diff - c->diff));
        } else if (start != c->start || c->n == START_CHANGE_MAX) {
                c->change_on = (uint8_t)c->n;
                c->out.p[2] |= c->change_on;
                bits_write_int(&c->out, (int64_t)diff);
        }
        c->diff = diff;
}

void xor2_append(struct xor2_chunk *c, TimeMs start, TimeMs t, double v)
{
        uint64_t v_bits, t_delta = 0;
        memcpy(&v_bits, &v, sizeof v_bits);
        if (c->n == 0) {
                put_varint(&c->out, t);
                bits_write(&c->out, v_bits, 64);
                if (start != 0) {
                        put_varint(&c->out, (int64_t)((uint64_t)t - (uint64_t)start));
                        c->out.p[2] = 0x80;
                }
        } else {
                t_delta = (uint64_t)t - (uint64_t)c->t;
                if (c->n == 1) {
                        put_uvarint(&c->out, t_delta);
                        put_value(c, v_bits);
                } else {
                        put_joint(c, (int64_t)(t_delta - c->t_delta), v_bits);
                }
                put_start(c, start);
        }
        c->start = start;
        c->t = t;
        c->t_delta = t_delta;
        if (v_bits != STALE_NAN_BITS)
                c->v_bits = v_bits;
        c->n++;
        c->out.p[0] = (uint8_t)(c->n >> 8);
        c->out.p[1] = (uint8_t)c->n;
}

Str xor2_data(const struct xor2_chunk *c)
{
        return (Str){(const char *)c->out.p, (c->out.n_bits + 7) / 8};
}

unsigned xor2_samples(const struct xor2_chunk *c)
{
        return c->n;
}

TimeMs xor2_last_ms(const struct xor2_chunk *c)
{
        return c->t;
}

size_t xor2_memory(const struct xor2_chunk *c)
{
        return sizeof *c + c->out.cap;
}

bool xor2_has_starts(Str data)
{
        return data.n >= HEADER_BYTES && data.p[2] != 0;
}
