/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/float_text.h"

#include <math.h>
#include <stdlib.h>

#include "codec/float_shim.h"

enum { DIGITS_MAX = 17 };

/* A shortest decimal: 0.d1d2…d17 * 10^point, of which n digits count and zeros follow. In registers, the first digit lowest: what
 * is stored in pieces and loaded at once would wait for the stores. */
struct digits {
        char first;
        uint64_t a, b; /* eight each */
        int n;         /* 0: the number is zero */
        int point;
};

static const uint64_t powers[] = {1,
                                  10,
                                  100,
                                  1000,
                                  10000,
                                  100000,
                                  1000000,
                                  10000000,
                                  100000000,
                                  1000000000,
                                  10000000000,
                                  100000000000,
                                  1000000000000,
                                  10000000000000,
                                  100000000000000,
                                  1000000000000000,
                                  10000000000000000,
                                  100000000000000000};

/* How many decimal digits v < 10^17 has; 0 has one. */
static inline int count_digits(uint64_t v)
{
        int guess = (64 - __builtin_clzll(v | 1)) * 1233 >> 12; /* log10(2) */
        return guess + (v >= powers[guess] || v == 0);
}

/* Text of eight digits, the first in the lowest byte: halves, then pairs, then digits are split side by side. */
static inline uint64_t text_8(uint32_t v)
{
        uint64_t x = v / 10000 | (uint64_t)(v % 10000) << 32;
        uint64_t high = (x * 5243 >> 19) & 0x0000007f0000007f;
        x = high | (x - high * 100) << 16;
        high = (x * 103 >> 10) & 0x000f000f000f000f;
        x = high | (x - high * 10) << 8;
        return x + 0x3030303030303030;
}

static inline void put_8(char *p, uint64_t text)
{
        if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
                text = __builtin_bswap64(text);
        memcpy(p, &text, 8);
}

/* all < 10^17 times 10^exponent */
static inline struct digits digits_make(uint64_t all, int exponent)
{
        struct digits g = {.n = count_digits(all)};
        g.point = g.n + exponent;
        all *= powers[DIGITS_MAX - g.n];
        g.first = (char)('0' + all / powers[16]);
        all %= powers[16];
        g.a = text_8((uint32_t)(all / powers[8]));
        g.b = text_8((uint32_t)(all % powers[8]));
        return g;
}

static inline struct digits digits_of(double v)
{
        if (v == 0)
                return (struct digits){.first = '0', .a = 0x3030303030303030, .b = 0x3030303030303030};
        uint64_t all;
        int exponent;
        float_shim_shortest(v, &all, &exponent);
        return digits_make(all, exponent);
}

/* All 17. */
static inline void put_digits(char *p, const struct digits *g)
{
        p[0] = g->first;
        put_8(p + 1, g->a);
        put_8(p + 9, g->b);
}

/* Eight digits with a point before number `at` (0 … 7): nine bytes. */
static inline void put_8_with_point(char *p, uint64_t text, int at)
{
        uint64_t low = (UINT64_C(1) << 8 * at) - 1;
        put_8(p, (text & low) | (uint64_t)'.' << 8 * at | (text & ~low) << 8);
        p[8] = (char)(text >> 56);
}

static char *print_e(char *p, const struct digits *g)
{
        char text[DIGITS_MAX];
        put_digits(text, g);
        *p++ = text[0];
        if (g->n > 1) {
                *p++ = '.';
                memcpy(p, text + 1, (size_t)g->n - 1);
                p += g->n - 1;
        }
        int exp = g->n ? g->point - 1 : 0;
        *p++ = 'e';
        *p++ = exp < 0 ? '-' : '+';
        exp = abs(exp);
        if (exp >= 100)
                *p++ = (char)('0' + exp / 100);
        *p++ = (char)('0' + exp / 10 % 10);
        *p++ = (char)('0' + exp % 10);
        return p;
}

/* Digits are put down by the eight, whatever counts: what is too much is overwritten or behind the end. */
static inline char *print_f(char *p, const struct digits *g)
{
        if (g->n == 0) {
                *p = '0';
                return p + 1;
        }
        if (g->point <= 0) {
                memcpy(p, "0.000000", 8);
                if (g->point < -6)
                        memset(p + 8, '0', (size_t)(-g->point - 6));
                put_digits(p + 2 - g->point, g);
                return p + 2 - g->point + g->n;
        }
        if (LIKELY(g->point < g->n)) {
                p[0] = g->first;
                if (g->point <= 8) {
                        put_8_with_point(p + 1, g->a, g->point - 1);
                        put_8(p + 10, g->b);
                } else {
                        put_8(p + 1, g->a);
                        put_8_with_point(p + 9, g->b, g->point - 9);
                }
                return p + g->n + 1;
        }
        put_digits(p, g);
        if (g->point > DIGITS_MAX)
                memset(p + DIGITS_MAX, '0', (size_t)(g->point - DIGITS_MAX));
        return p + g->point;
}

size_t float_print(double v, char fmt, char ret[FLOAT_TEXT_MAX_BYTES])
{
        char *p = ret;
        double abs = fabs(v);
        if (fmt == 'f' && abs < 1e15 && abs == (double)(int64_t)abs) {
                uint64_t whole = (uint64_t)abs;
                int n = count_digits(whole);
                *p = '-';
                p += signbit(v) != 0;
                if (whole < powers[8]) {
                        put_8(p, text_8((uint32_t)(whole * powers[8 - n])));
                } else {
                        whole *= powers[16 - n];
                        put_8(p, text_8((uint32_t)(whole / powers[8])));
                        put_8(p + 8, text_8((uint32_t)(whole % powers[8])));
                }
                return (size_t)(p - ret) + (size_t)n;
        }
        if (UNLIKELY(!isfinite(v))) {
                memcpy(ret, isnan(v) ? "NaN" : v > 0 ? "+Inf" : "-Inf", 4);
                return isnan(v) ? 3 : 4;
        }
        *p = '-';
        p += signbit(v) != 0;
        struct digits g = digits_of(v);
        bool e = fmt == 'e' || (fmt == 'g' && g.n && (g.point - 1 < -4 || g.point - 1 >= 6));
        p = e ? print_e(p, &g) : print_f(p, &g);
        return (size_t)(p - ret);
}

void buf_put_float(struct buf *b, double v, char fmt)
{
        char text[FLOAT_TEXT_MAX_BYTES];
        buf_append(b, text, float_print(v, fmt, text));
}

size_t float_print_sample(double v, char ret[FLOAT_TEXT_MAX_BYTES])
{
        double abs = fabs(v);
        bool e = abs != 0 && isfinite(v) && (abs < 1e-6 || abs >= 1e21);
        return float_print(v, e ? 'e' : 'f', ret);
}

void buf_put_sample_value(struct buf *b, double v)
{
        char text[FLOAT_TEXT_MAX_BYTES];
        buf_append(b, text, float_print_sample(v, text));
}

char *float_print_points(char *p, const double *v, size_t n, const char (*prefix)[FLOAT_PREFIX_BYTES], const uint8_t *len)
{
        uint64_t all[FLOAT_RUN_MAX];
        int exponent[FLOAT_RUN_MAX];
        bool is_odd[FLOAT_RUN_MAX];
        for (size_t i = 0; i < n; i++) {
                double abs = fabs(v[i]);
                is_odd[i] = false;
                if (abs < 1e15 && abs == (double)(int64_t)abs) {
                        all[i] = (uint64_t)abs;
                        exponent[i] = 0;
                } else if (abs >= 1e-6 && abs < 1e21) {
                        float_shim_shortest(abs, &all[i], &exponent[i]);
                } else {
                        is_odd[i] = true;
                        all[i] = 0;
                        exponent[i] = 0;
                }
        }
        struct digits g[FLOAT_RUN_MAX];
        for (size_t i = 0; i < n; i++)
                g[i] = digits_make(all[i], exponent[i]);
        for (size_t i = 0; i < n; i++) {
                *p = ',';
                p += i > 0;
                memcpy(p, prefix[i], FLOAT_PREFIX_BYTES);
                p += len[i];
                if (UNLIKELY(is_odd[i])) {
                        p += float_print_sample(v[i], p);
                } else {
                        *p = '-';
                        p += signbit(v[i]) != 0;
                        p = print_f(p, &g[i]);
                }
                memcpy(p, "\"]", 2);
                p += 2;
        }
        return p;
}
