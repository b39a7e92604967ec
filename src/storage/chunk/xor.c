/* SPDX-License-Identifier: Apache-2.0 */
/* Appending XOR chunks. Decoding is in xor_decode.c. */
#include "storage/chunk/xor.h"

/* Up to 256 bits, filled from the top of w[0]. */
struct bits {
        uint64_t w[4];
        unsigned i, used;       /* used bits of w[i]: 0 … 63 */
};

static inline void bits_put(struct bits *b, uint64_t x, unsigned n)
{
        unsigned room = 64 - b->used;
        if (n < 64)
                x &= (UINT64_C(1) << n) - 1;
        if (n < room) {
                b->w[b->i] |= x << (room - n);
                b->used += n;
                return;
        }
        b->w[b->i] |= x >> (n - room);
        b->i++;
        b->used = n - room;
        b->w[b->i] = b->used ? x << (64 - b->used) : 0;
}

static inline void bits_put_uvarint(struct bits *b, uint64_t x)
{
        while (x >= 0x80) {
                bits_put(b, (x & 0x7f) | 0x80, 8);
                x >>= 7;
        }
        bits_put(b, x, 8);
}

void xor_appender_init(struct xor_appender *a, uint8_t *buf)
{
        *a = (struct xor_appender){.n_bits = XOR_HEADER_BYTES * 8, .leading = 0xff};
        buf[0] = buf[1] = 0;
}

/* Does x fit the n bit form? The range is lopsided: the most negative pattern stands for a positive number.  Upstream: bitRange. */
static inline bool dod_fits(int64_t x, unsigned n)
{
        int64_t half = INT64_C(1) << (n - 1);
        return x >= -(half - 1) && x <= half;
}

static void put_dod(struct bits *b, int64_t dod)
{
        if (dod == 0) {
                bits_put(b, 0, 1);
        } else if (dod_fits(dod, 14)) {
                bits_put(b, 2, 2);
                bits_put(b, (uint64_t)dod, 14);
        } else if (dod_fits(dod, 17)) {
                bits_put(b, 6, 3);
                bits_put(b, (uint64_t)dod, 17);
        } else if (dod_fits(dod, 20)) {
                bits_put(b, 14, 4);
                bits_put(b, (uint64_t)dod, 20);
        } else {
                bits_put(b, 15, 4);
                bits_put(b, (uint64_t)dod, 64);
        }
}

static void put_xor(struct bits *b, uint64_t x, uint8_t *leading, uint8_t *trailing)
{
        if (x == 0) {
                bits_put(b, 0, 1);
                return;
        }
        unsigned lead = (unsigned)__builtin_clzll(x), trail = (unsigned)__builtin_ctzll(x);
        if (lead > 31)
                lead = 31;      /* five bits */
        if (*leading != 0xff && lead >= *leading && trail >= *trailing) {
                bits_put(b, 2, 2);
                bits_put(b, x >> *trailing, 64u - *leading - *trailing);
                return;
        }
        *leading = (uint8_t)lead;
        *trailing = (uint8_t)trail;
        unsigned n = 64 - lead - trail;
        bits_put(b, 3, 2);
        bits_put(b, lead, 5);
        bits_put(b, n, 6);      /* 64 becomes 0: zero bits never occur */
        bits_put(b, x >> trail, n);
}

bool xor_append(struct xor_appender *a, uint8_t *buf, size_t cap, TimeMs t, double v)
{
        struct bits b = {.used = a->n_bits & 7};
        size_t at = a->n_bits / 8;
        if (b.used)
                b.w[0] = (uint64_t)buf[at] << 56;
        uint64_t v_bits, t_delta = 0;
        memcpy(&v_bits, &v, sizeof v_bits);
        uint8_t leading = a->leading, trailing = a->trailing;

        if (a->n == 0) {
                bits_put_uvarint(&b, ((uint64_t)t << 1) ^ (uint64_t)(t >> 63));
                bits_put(&b, v_bits, 64);
        } else if (a->n == 1) {
                t_delta = (uint64_t)t - (uint64_t)a->t;
                bits_put_uvarint(&b, t_delta);
                put_xor(&b, v_bits ^ a->v_bits, &leading, &trailing);
        } else if (a->n < XOR_SAMPLES_MAX) {
                t_delta = (uint64_t)t - (uint64_t)a->t;
                put_dod(&b, (int64_t)(t_delta - a->t_delta));
                put_xor(&b, v_bits ^ a->v_bits, &leading, &trailing);
        } else {
                return false;
        }

        size_t n_bits = b.i * 64 + b.used, n_bytes = (n_bits + 7) / 8;
        if (at + n_bytes > cap)
                return false;
        for (unsigned i = 0; i <= b.i; i++)
                b.w[i] = __builtin_bswap64(b.w[i]);
        memcpy(buf + at, b.w, n_bytes);
        a->n_bits = (uint32_t)(at * 8 + n_bits);
        a->n++;
        buf[0] = (uint8_t)(a->n >> 8);
        buf[1] = (uint8_t)a->n;
        a->t = t;
        a->v_bits = v_bits;
        a->t_delta = t_delta;
        a->leading = leading;
        a->trailing = trailing;
        return true;
}

bool chunk_encoding_is_float(enum chunk_encoding encoding)
{
        return encoding == CHUNK_XOR || encoding == CHUNK_XOR2;
}

const char *chunk_encoding_name(enum chunk_encoding encoding)
{
        static const char *const names[] = {"none", "XOR", "histogram", "floathistogram", "XOR2", "histogram with start times",
                                            "floathistogram with start times"};
        return (unsigned)encoding < ARRAY_LEN(names) ? names[encoding] : "<unknown>";
}

size_t chunk_samples(enum chunk_encoding encoding, Str data)
{
        if (data.n < XOR_HEADER_BYTES)
                return 0;
        const uint8_t *p = (const uint8_t *)data.p;
        size_t n = (size_t)p[0] << 8 | p[1];
        if (encoding == CHUNK_HISTOGRAM_ST || encoding == CHUNK_FLOAT_HISTOGRAM_ST)
                n &= 0x3fff;    /* the counter reset is above */
        size_t most = (data.n - XOR_HEADER_BYTES) * 8;          /* no sample takes less than a bit */
        return n < most ? n : most;
}
