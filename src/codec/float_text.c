/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/float_text.h"

#include <math.h>
#include <stdlib.h>

#include "codec/float_shim.h"

/* Digits of a shortest decimal: 0.d1d2…dn * 10^point. */
struct digits {
        char d[24];
        int n;
        int point;
};

static struct digits digits_of(double v)
{
        struct digits g = {.n = 0, .point = 0};
        if (v == 0)
                return g;
        uint64_t all;
        int exponent;
        float_shim_shortest(v, &all, &exponent);
        char rev[24];
        for (; all; all /= 10)
                rev[g.n++] = (char)('0' + all % 10);
        for (int i = 0; i < g.n; i++)
                g.d[i] = rev[g.n - 1 - i];
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
        if (g->point <= 0)
                *p++ = '0';
        for (int i = 0; i < g->point; i++)
                *p++ = i < g->n ? g->d[i] : '0';
        if (g->n > g->point) {
                *p++ = '.';
                for (int i = g->point; i < g->n; i++)
                        *p++ = i < 0 ? '0' : g->d[i];
        }
        return p;
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
        struct digits g = digits_of(v);
        int exp = g.point - 1;
        bool e = fmt == 'e' || (fmt == 'g' && g.n && (exp < -4 || exp >= 21));
        if (fmt == 'g' && g.n)
                e = exp < -4 || exp >= (g.n > 6 && g.n >= g.point ? g.n : 6);
        if (fmt == 'g')                         /* Go: with shortest digits the threshold is 21 only in %v, 6 never less than that here */
                e = g.n && (exp < -4 || exp >= 6) && !(exp < 21 && exp >= 0 && false);
        p = e ? print_e(p, &g) : print_f(p, &g);
        return (size_t)(p - ret);
}
