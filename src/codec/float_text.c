/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/float_text.h"

#include <math.h>
#include <stdlib.h>

#include "codec/float_shim.h"

/* Digits of a shortest decimal: 0.d1d2…dn * 10^point. */
struct digits {
        char d[48]; /* more than there are: copies of a fixed size may read past n */
        int n;
        int point;
};

static const char pairs[] =
        "0001020304050607080910111213141516171819202122232425262728293031323334353637383940414243444546474849"
        "5051525354555657585960616263646566676869707172737475767778798081828384858687888990919293949596979899";

static inline void print_8(char *p, uint32_t v)
{
        uint32_t a = v / 10000, b = v % 10000;
        memcpy(p, pairs + 2 * (a / 100), 2);
        memcpy(p + 2, pairs + 2 * (a % 100), 2);
        memcpy(p + 4, pairs + 2 * (b / 100), 2);
        memcpy(p + 6, pairs + 2 * (b % 100), 2);
}

/* The decimal digits of v, ending at `end`; returns where they begin. Eight at a time: those do not wait for each other. */
static char *print_backwards(char *end, uint64_t v)
{
        for (; v >= 100000000; v /= 100000000)
                print_8(end -= 8, (uint32_t)(v % 100000000));
        for (; v >= 100; v /= 100)
                memcpy(end -= 2, pairs + 2 * (v % 100), 2);
        if (v >= 10)
                return memcpy(end - 2, pairs + 2 * v, 2);
        *--end = (char)('0' + v);
        return end;
}

static struct digits digits_of(double v)
{
        struct digits g = {.n = 0, .point = 0};
        if (v == 0)
                return g;
        uint64_t all;
        int exponent;
        float_shim_shortest(v, &all, &exponent);
        char text[48], *end = text + 24, *from = print_backwards(end, all);
        g.n = (int)(end - from);
        memcpy(g.d, from, 24); /* at most 20 count */
        g.point = g.n + exponent;
        return g;
}

static char *print_e(char *p, const struct digits *g)
{
        *p++ = g->n ? g->d[0] : '0';
        if (g->n > 1) {
                *p++ = '.';
                memcpy(p, g->d + 1, (size_t)g->n - 1);
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

static char *print_f(char *p, const struct digits *g)
{
        if (LIKELY(g->point > 0 && g->point < g->n)) { /* all of it is overwritten or behind the end */
                memcpy(p, g->d, 24);
                p[g->point] = '.';
                memcpy(p + g->point + 1, g->d + g->point, 20);
                return p + g->n + 1;
        }
        int whole = g->point < g->n ? g->point : g->n; /* digits in front of the point */
        if (whole <= 0) {
                *p++ = '0';
                whole = 0;
        }
        memcpy(p, g->d, (size_t)whole);
        p += whole;
        if (g->point > g->n) {
                memset(p, '0', (size_t)(g->point - g->n));
                return p + (g->point - g->n);
        }
        if (g->n == whole)
                return p;
        *p++ = '.';
        if (g->point < 0) {
                memset(p, '0', (size_t)-g->point);
                p += -g->point;
        }
        memcpy(p, g->d + whole, (size_t)(g->n - whole));
        return p + (g->n - whole);
}

size_t float_print(double v, char fmt, char ret[FLOAT_TEXT_MAX_BYTES])
{
        if (isnan(v)) {
                memcpy(ret, "NaN", 3);
                return 3;
        }
        if (isinf(v)) {
                memcpy(ret, v > 0 ? "+Inf" : "-Inf", 4);
                return 4;
        }
        char *p = ret;
        if (signbit(v))
                *p++ = '-';
        double abs = fabs(v);
        if (fmt == 'f' && abs < 1e15 && abs == (double)(uint64_t)abs) {
                char text[48], *end = text + 24, *from = print_backwards(end, (uint64_t)abs);
                memcpy(p, from, 16);
                return (size_t)(p - ret) + (size_t)(end - from);
        }
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
