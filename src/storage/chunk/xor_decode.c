/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding float chunks into columns.
 *
 * XOR is the hot loop of every query, so it never reads single bits: each sample starts with one unaligned big-endian load of 64 bits at the bit
 * position, of which at least 57 are good, enough for all prefixes and mostly for the value too. Loads run past the position, so the loop works
 * on the chunk in place only while 32 bytes are left; the tail is copied into a zero padded buffer and goes through the same code, where a
 * position past the true end means a damaged chunk. Runs of samples with the same interval and value are runs of zero bits: counted by clz. */
#include "base/float_bits.h"
#include "storage/chunk/xor_private.h"
#include "storage/chunk/xor2.h"

static inline uint64_t load_be64(const uint8_t *p)
{
        uint64_t x;
        memcpy(&x, p, sizeof x);
        return __builtin_bswap64(x);
}

/* 64 bits at bit position pos, the last pos % 8 of them zero. */
static inline uint64_t peek(const uint8_t *p, size_t pos)
{
        return load_be64(p + (pos >> 3)) << (pos & 7);
}

/* n bits (1 … 64) at pos: reads nine bytes. */
static inline uint64_t take(const uint8_t *p, size_t pos, unsigned n)
{
        const uint8_t *q = p + (pos >> 3);
        unsigned sh = pos & 7;
        return ((load_be64(q) << sh) | ((uint64_t)q[8] >> (8 - sh))) >> (64 - n);
}

/* Decodes while pos <= last_pos; everything from last_pos on must be readable for 32 bytes. */
static inline __attribute__((always_inline)) void xor_loop(struct xor_state *s, const uint8_t *p, size_t last_pos, TimeMs maxt, TimeMs *rt, double *rv)
{
        size_t pos = s->pos, i = s->i;
        const size_t n = s->n;
        uint64_t dt = s->dt, v = s->v;
        TimeMs t = s->t;
        unsigned trailing = s->trailing, width = s->width;

        while (i < n && pos <= last_pos) {
                uint64_t w = peek(p, pos);
                if (!(w >> 62)) {
                        /* same interval, same value: count how many more of them follow */
                        size_t run = (size_t)__builtin_clzll(w | 0x80) / 2;
                        if (run > n - i)
                                run = n - i;
                        double d = float_of_bits(v);
                        size_t k = 0;
                        for (; k < run; k++) {
                                t = (TimeMs)((uint64_t)t + dt);
                                if (UNLIKELY(t > maxt))
                                        break;
                                rt[i + k] = t;
                                rv[i + k] = d;
                        }
                        i += k;
                        pos += 2 * k;
                        if (k < run) {
                                s->past = true;
                                break;
                        }
                        continue;
                }
                if (LIKELY(!(w >> 63))) {
                        pos += 1;
                        w <<= 1;
                } else {
                        unsigned prefix, size;
                        if (!(w >> 62 & 1)) {
                                prefix = 2;
                                size = 14;
                        } else if (!(w >> 61 & 1)) {
                                prefix = 3;
                                size = 17;
                        } else if (!(w >> 60 & 1)) {
                                prefix = 4;
                                size = 20;
                        } else {
                                prefix = 4;
                                size = 64;
                        }
                        uint64_t dod;
                        if (size == 64) {
                                dod = take(p, pos + 4, 64);
                        } else {
                                dod = w << prefix >> (64 - size);
                                if (dod > UINT64_C(1) << (size - 1))
                                        dod -= UINT64_C(1) << size;
                        }
                        dt += dod;
                        pos += prefix + size;
                        w = peek(p, pos);
                }
                t = (TimeMs)((uint64_t)t + dt);
                if (UNLIKELY(t > maxt)) {
                        s->past = true;
                        break;
                }
                if (!(w >> 63)) {
                        pos += 1;
                } else {
                        if (!(w >> 62 & 1)) {
                                w <<= 2;
                                pos += 2;
                        } else {
                                unsigned leading = (unsigned)(w >> 57) & 31;
                                width = (unsigned)(w >> 51) & 63;
                                if (width == 0)
                                        width = 64;
                                if (UNLIKELY(leading + width > 64)) {
                                        s->bad = true;
                                        break;
                                }
                                trailing = 64 - leading - width;
                                w <<= 13;
                                pos += 13;
                        }
                        /* of w at least 57 - 1 - 13 bits are still good */
                        uint64_t x = width <= 43 ? w >> (64 - width) : take(p, pos, width);
                        v ^= x << trailing;
                        pos += width;
                }
                rt[i] = t;
                memcpy(&rv[i], &v, sizeof v);
                i++;
        }
        s->pos = pos;
        s->i = i;
        s->dt = dt;
        s->v = v;
        s->t = t;
        s->trailing = trailing;
        s->width = width;
}

/* Bounds-checked reader for the head of a chunk and for XOR2. */
struct bit_reader {
        const uint8_t *p;
        size_t pos, end;        /* bits */
        bool bad;
};

static uint64_t read_bits(struct bit_reader *r, unsigned n)
{
        if (n > r->end - r->pos) {
                r->bad = true;
                r->pos = r->end;
                return 0;
        }
        size_t at = r->pos >> 3;
        uint64_t x;
        if (at + 9 <= r->end / 8) {
                x = n ? take(r->p, r->pos, n) : 0;
        } else {
                uint8_t tail[16] = {0};
                memcpy(tail, r->p + at, r->end / 8 - at);
                x = n ? take(tail, r->pos & 7, n) : 0;
        }
        r->pos += n;
        return x;
}

static uint64_t read_uvarint(struct bit_reader *r)
{
        uint64_t x = 0;
        for (unsigned sh = 0; sh < 64; sh += 7) {
                uint64_t b = read_bits(r, 8);
                if (sh == 63 && b > 1)
                        break;
                x |= (b & 0x7f) << sh;
                if (b < 0x80)
                        return x;
        }
        r->bad = true;
        return 0;
}

static int64_t read_varint(struct bit_reader *r)
{
        uint64_t x = read_uvarint(r);
        return (int64_t)(x >> 1) ^ -(int64_t)(x & 1);
}

static struct error *damaged(const char *name)
{
        return error_new(ERROR_CORRUPT, "damaged %s chunk", name);
}

/* Value of the second sample: as all later ones. */
static void read_xor(struct bit_reader *r, uint64_t *v, unsigned *trailing, unsigned *width)
{
        if (!read_bits(r, 1))
                return;
        if (read_bits(r, 1)) {
                unsigned leading = (unsigned)read_bits(r, 5);
                *width = (unsigned)read_bits(r, 6);
                if (*width == 0)
                        *width = 64;
                if (leading + *width > 64) {
                        r->bad = true;
                        return;
                }
                *trailing = 64 - leading - *width;
        }
        *v ^= read_bits(r, *width) << *trailing;
}

/* Up to nine bytes; NULL: more. */
static inline const uint8_t *short_uvarint(const uint8_t *p, uint64_t *ret)
{
        uint64_t x = 0;
        for (unsigned i = 0; i < 9; i++) {
                x |= (uint64_t)(p[i] & 0x7f) << (7 * i);
                if (p[i] < 0x80) {
                        *ret = x;
                        return p + i + 1;
                }
        }
        return NULL;
}

enum { QUICK_MIN_BYTES = 48 };  /* what quick_begin() may look at */

/* The first two samples of a chunk that is long enough, if they have the usual form; they are bytes up to the second value. */
static bool quick_begin(const uint8_t *p, TimeMs maxt_ms, TimeMs *t, double *v, struct xor_state *s)
{
        uint64_t first, dt;
        const uint8_t *b = short_uvarint(p + XOR_HEADER_BYTES, &first);
        if (!b)
                return false;
        uint64_t bits = load_be64(b);
        b = short_uvarint(b + 8, &dt);
        if (!b)
                return false;
        TimeMs t0 = (TimeMs)(first >> 1) ^ -(TimeMs)(first & 1), t1 = (TimeMs)((uint64_t)t0 + dt);
        if (t0 > maxt_ms || t1 > maxt_ms)
                return false;
        t[0] = t0;
        memcpy(&v[0], &bits, sizeof bits);
        size_t pos = (size_t)(b - p) * 8;
        uint64_t w = load_be64(b);
        if (w >> 63) {
                unsigned leading = (unsigned)(w >> 57) & 31, width = (unsigned)(w >> 51) & 63;
                width = width ? width : 64;
                if (!(w >> 62 & 1) || leading + width > 64)
                        return false;
                s->trailing = 64 - leading - width;
                s->width = width;
                bits ^= take(p, pos + 13, width) << s->trailing;
                pos += 13 + width;
        } else {
                pos++;
        }
        t[1] = s->t = t1;
        memcpy(&v[1], &bits, sizeof bits);
        s->v = bits;
        s->dt = dt;
        s->pos = pos;
        s->i = 2;
        return true;
}

struct error *xor_begin(Str data, TimeMs maxt_ms, TimeMs *t, double *v, struct xor_state *s)
{
        const uint8_t *p = (const uint8_t *)data.p;
        if (data.n < XOR_HEADER_BYTES)
                return damaged("XOR");
        *s = (struct xor_state){.n = (size_t)p[0] << 8 | p[1], .width = 64};
        if (s->n == 0)
                return NULL;
        if (s->n > chunk_samples(CHUNK_XOR, data))
                return damaged("XOR");
        if (LIKELY(data.n >= QUICK_MIN_BYTES && s->n > 1) && quick_begin(p, maxt_ms, t, v, s))
                return NULL;
        s->trailing = 0;
        s->width = 64;
        struct bit_reader r = {.p = p, .pos = 16, .end = data.n * 8};

        s->t = read_varint(&r);
        s->v = read_bits(&r, 64);
        if (r.bad)
                return damaged("XOR");
        if (s->t > maxt_ms) {
                s->past = true;
                return NULL;
        }
        t[0] = s->t;
        memcpy(&v[0], &s->v, sizeof s->v);
        s->i = 1;
        s->pos = r.pos;
        if (s->n == 1)
                return NULL;
        s->dt = read_uvarint(&r);
        s->t = (TimeMs)((uint64_t)s->t + s->dt);
        read_xor(&r, &s->v, &s->trailing, &s->width);
        if (r.bad)
                return damaged("XOR");
        if (s->t > maxt_ms) {
                s->past = true;
                return NULL;
        }
        t[1] = s->t;
        memcpy(&v[1], &s->v, sizeof s->v);
        s->i = 2;
        s->pos = r.pos;
        return NULL;
}

struct error *xor_finish(Str data, TimeMs maxt_ms, TimeMs *t, double *v, struct xor_state *s)
{
        const uint8_t *p = (const uint8_t *)data.p;
        if (s->bad)
                return damaged("XOR");
        if (s->i >= s->n || s->past)
                return NULL;
        if (s->pos / 8 + XOR_PAD_BYTES < data.n)
                xor_loop(s, p, (data.n - XOR_PAD_BYTES) * 8, maxt_ms, t, v);
        if (s->i < s->n && !s->past && !s->bad) {
                uint8_t tail[XOR_TAIL_BYTES] = {0};
                size_t from = s->pos / 8;
                memcpy(tail, p + from, data.n - from);          /* at most XOR_PAD_BYTES */
                s->pos -= from * 8;
                size_t end = (data.n - from) * 8;
                xor_loop(s, tail, end, maxt_ms, t, v);
                if (s->pos > end)
                        s->bad = true;
                s->pos += from * 8;
        }
        if (s->bad || (s->i < s->n && !s->past))
                return damaged("XOR");
        return NULL;
}

static struct error *xor_decode_state(Str data, TimeMs maxt_ms, TimeMs *t, double *v, struct xor_state *s)
{
        struct error *e = xor_begin(data, maxt_ms, t, v, s);
        return e ? e : xor_finish(data, maxt_ms, t, v, s);
}

struct error *xor_decode(Str data, TimeMs maxt_ms, TimeMs *t, double *v, size_t *ret_n)
{
        struct xor_state s = {0};
        struct error *e = xor_decode_state(data, maxt_ms, t, v, &s);
        *ret_n = s.i;
        return e;
}

struct error *xor_appender_open(struct xor_appender *a, Str data)
{
        struct error *e = NULL;
        size_t n = chunk_samples(CHUNK_XOR, data);
        TimeMs *t = mem_alloc((n + 1) * sizeof *t);
        double *v = mem_alloc((n + 1) * sizeof *v);
        struct xor_state s;
        e = xor_decode_state(data, TIME_MS_MAX, t, v, &s);
        if (e)
                goto out;
        *a = (struct xor_appender){.t = s.t, .v_bits = s.v, .t_delta = s.dt, .n = (uint16_t)s.n, .leading = 0xff};
        a->n_bits = (uint32_t)(s.n ? s.pos : XOR_HEADER_BYTES * 8);
        if (s.width < 64 || s.trailing) {
                a->leading = (uint8_t)(64 - s.width - s.trailing);
                a->trailing = (uint8_t)s.trailing;
        } else if (s.n > 1 && a->n_bits > 64) {
                /* A window of all 64 bits and "no window yet" decode alike; they differ for the encoder only when no value ever changed. */
                for (size_t i = 1; i < s.n; i++)
                        if (memcmp(&v[i], &v[0], sizeof v[0]) != 0) {
                                a->leading = a->trailing = 0;
                                break;
                        }
        }
out:
        free(t);
        free(v);
        return e;
}

/* XOR2: one prefix for time and value together, and optional start times, which are read past. */
static int64_t read_varbit(struct bit_reader *r)
{
        static const uint8_t sizes[] = {0, 3, 6, 9, 12, 18, 25, 56, 64};
        unsigned ones = 0;
        while (ones < 8 && read_bits(r, 1))
                ones++;
        unsigned n = sizes[ones];
        uint64_t x = read_bits(r, n);
        if (n > 0 && n < 64 && x > UINT64_C(1) << (n - 1))
                x -= UINT64_C(1) << n;
        return (int64_t)x;
}

struct xor2_window {
        uint64_t base;          /* newest value that is no staleness marker */
        unsigned trailing, width;
};

static void xor2_new_window(struct bit_reader *r, struct xor2_window *w)
{
        unsigned leading = (unsigned)read_bits(r, 5);
        w->width = (unsigned)read_bits(r, 6);
        if (w->width == 0)
                w->width = 64;
        if (leading + w->width > 64) {
                r->bad = true;
                w->width = 64;
                leading = 0;
        }
        w->trailing = 64 - leading - w->width;
        w->base ^= read_bits(r, w->width) << w->trailing;
}

static uint64_t xor2_value(struct bit_reader *r, struct xor2_window *w)
{
        if (!read_bits(r, 1))
                return w->base;
        if (!read_bits(r, 1)) {
                w->base ^= read_bits(r, w->width) << w->trailing;
                return w->base;
        }
        if (read_bits(r, 1))
                return STALE_NAN_BITS;
        xor2_new_window(r, w);
        return w->base;
}

static uint64_t xor2_dod(struct bit_reader *r, unsigned n)
{
        uint64_t x = read_bits(r, n);
        if (n < 64 && x >> (n - 1))
                x -= UINT64_C(1) << n;
        return x;
}

/* starts: NULL if nobody asks. */
static inline __attribute__((always_inline)) struct error *xor2_decode_any(Str data, TimeMs maxt_ms, TimeMs *rt, double *rv, TimeMs *starts, size_t *ret_n)
{
        const uint8_t *p = (const uint8_t *)data.p;
        *ret_n = 0;
        if (data.n < XOR_HEADER_BYTES + 1)
                return damaged("XOR2");
        size_t n = (size_t)p[0] << 8 | p[1], i;
        if (n > chunk_samples(CHUNK_XOR2, data))
                return damaged("XOR2");
        bool first_known = p[2] & 0x80;
        unsigned change_on = p[2] & 0x7f;       /* sample from which start times follow each sample; 0: none */
        struct bit_reader r = {.p = p, .pos = 24, .end = data.n * 8};
        struct xor2_window w = {.width = 64};
        uint64_t t = 0, dt = 0, v = 0, start = 0, diff = 0;

        for (i = 0; i < n; i++) {
                uint64_t t_before = t;
                if (i == 0) {
                        t = (uint64_t)read_varint(&r);
                        v = read_bits(&r, 64);
                        if (v != STALE_NAN_BITS)
                                w.base = v;
                        if (first_known)
                                start = t - (uint64_t)read_varint(&r);
                } else if (i == 1) {
                        dt = read_uvarint(&r);
                        t += dt;
                        v = xor2_value(&r, &w);
                } else {
                        unsigned ones = 0;
                        while (ones < 5 && read_bits(&r, 1))
                                ones++;
                        if (ones >= 2 && ones <= 4)
                                dt += xor2_dod(&r, ones == 2 ? 13 : ones == 3 ? 20 : 64);
                        t += dt;
                        if (ones == 0) {
                                v = w.base;
                        } else if (ones == 1) {
                                if (read_bits(&r, 1))
                                        xor2_new_window(&r, &w);
                                else
                                        w.base ^= read_bits(&r, w.width) << w.trailing;
                                v = w.base;
                        } else if (ones == 5) {
                                v = STALE_NAN_BITS;
                        } else {
                                v = xor2_value(&r, &w);
                        }
                }
                if (i >= 1 && change_on > 0 && i >= change_on) {
                        diff += (uint64_t)read_varbit(&r);
                        start = t_before - diff;
                }
                if (r.bad)
                        return damaged("XOR2");
                if ((TimeMs)t > maxt_ms)
                        break;
                rt[i] = (TimeMs)t;
                memcpy(&rv[i], &v, sizeof v);
                if (starts)
                        starts[i] = (TimeMs)start;
                *ret_n = i + 1;
        }
        return NULL;
}

struct error *xor2_decode(Str data, TimeMs maxt_ms, TimeMs *t, double *v, size_t *ret_n)
{
        return xor2_decode_any(data, maxt_ms, t, v, NULL, ret_n);
}

struct error *xor2_decode_starts(Str data, TimeMs maxt_ms, TimeMs *t, double *v, TimeMs *starts, size_t *ret_n)
{
        return xor2_decode_any(data, maxt_ms, t, v, starts, ret_n);
}

struct error *chunk_decode(const struct chunk *c, TimeMs maxt_ms, TimeMs *t, double *v, size_t *ret_n)
{
        *ret_n = 0;
        switch (c->encoding) {
        case CHUNK_XOR:
                return xor_decode(c->data, maxt_ms, t, v, ret_n);
        case CHUNK_XOR2:
                return xor2_decode(c->data, maxt_ms, t, v, ret_n);
        case CHUNK_HISTOGRAM:
        case CHUNK_FLOAT_HISTOGRAM:
        case CHUNK_HISTOGRAM_ST:
        case CHUNK_FLOAT_HISTOGRAM_ST:
                return error_new(ERROR_UNSUPPORTED, "native histograms are not supported yet: chunk of encoding %s", chunk_encoding_name(c->encoding));
        default:
                return error_new(ERROR_CORRUPT, "unknown chunk encoding %u", (unsigned)c->encoding);
        }
}
