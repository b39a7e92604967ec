/* SPDX-License-Identifier: Apache-2.0 */
#include "base/go_math.h"

#include "base/float_bits.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LN2_HI 6.93147180369123816490e-01
#define LN2_LO 1.90821492927058770002e-10
#define LN2    0.693147180559945309417232121458176568

static double nan_value(void)
{
        return float_of_bits(UINT64_C(0x7ff8000000000001));
}

/* c[0] x^(n-1) + … + c[n-1], Horner's way. */
static double poly(double x, const double *c, size_t n)
{
        double r = c[0];
        for (size_t i = 1; i < n; i++)
                r = r * x + c[i];
        return r;
}
#define POLY(x, ...) poly((x), (const double[]){__VA_ARGS__}, sizeof((const double[]){__VA_ARGS__}) / sizeof(double))

/* ---- exp: Taylor series of x/16, squared four times; fused where the processor can, as Go's assembly does ---- */

enum { TAYLOR = 8 };
static const double taylor[TAYLOR] = {2.4801587301587301587e-5,
                                      1.9841269841269841270e-4,
                                      1.3888888888888888889e-3,
                                      8.3333333333333333333e-3,
                                      4.1666666666666666667e-2,
                                      1.6666666666666666667e-1,
                                      0.5,
                                      1.0};
#define LN2_UPPER 0.69314718055966295651160180568695068359375
#define LN2_LOWER 0.28235290563031577122588448175013436025525412068e-12

static double exp_plain(double x, double k)
{
        x -= LN2_UPPER * k;
        x -= LN2_LOWER * k;
        x *= 0.0625;
        x *= poly(x, taylor, TAYLOR);
        for (int i = 0; i < 4; i++)
                x *= x + 2.0;
        return x + 1.0;
}

#ifdef __x86_64__
__attribute__((target("fma"))) static double exp_fused(double x, double k)
{
        x = __builtin_fma(-LN2_UPPER, k, x);
        x = __builtin_fma(-LN2_LOWER, k, x);
        x *= 0.0625;
        double r = taylor[0];
        for (int i = 1; i < TAYLOR; i++)
                r = __builtin_fma(r, x, taylor[i]);
        x *= r;
        for (int i = 0; i < 3; i++)
                x *= x + 2.0;
        return __builtin_fma(x + 2.0, x, 1.0);
}

static double exp_reduced(double x, double k)
{
        return __builtin_cpu_supports("fma") ? exp_fused(x, k) : exp_plain(x, k);
}
#else
static double exp_reduced(double x, double k)
{
        return exp_plain(x, k);
}
#endif

double go_exp(double x)
{
        if (isnan(x) || (isinf(x) && x > 0))
                return x;
        if (x > 7.09782712893384e+02)
                return INFINITY;
        double scaled = 1.4426950408889634073599246810018920 * x;
        if (scaled < -2000)
                return 0;
        double k = nearbyint(scaled);
        int e = (int)k + 1023;
        double r = exp_reduced(x, k);
        if (e >= 2047)
                return INFINITY;
        if (e > 0)
                return r * float_of_bits((uint64_t)e << 52);
        if (e < -52)
                return 0;
        return r * float_of_bits((uint64_t)(e + 1022) << 52) * float_of_bits(UINT64_C(1) << 52);
}

/* ---- logarithms ---- */

double go_log(double x)
{
        if (isnan(x) || (isinf(x) && x > 0))
                return x;
        if (x == 0)
                return -INFINITY;
        if (x < 0)
                return nan_value();
        /* Denormal numbers are not normalised there either. */
        double m = float_of_bits((float_bits(x) & UINT64_C(0x000fffffffffffff)) | UINT64_C(0x3fe0000000000000));
        double k = (double)((int)(float_bits(x) >> 52) - 1022);
        if (!(7.07106781186547524401e-01 < m)) {
                k -= 1;
                m *= 2;
        }
        double f = m - 1, s = f / (2 + f), s2 = s * s, s4 = s2 * s2;
        double odd = s2 * POLY(s4, 1.479819860511658591e-01, 1.818357216161805012e-01, 2.857142874366239149e-01,
                               6.666666666666735130e-01);
        double even = s4 * POLY(s4, 1.531383769920937332e-01, 2.222219843214978396e-01, 3.999999999940941908e-01);
        double half_square = 0.5 * f * f;
        double tail = s * (half_square + (odd + even)) + k * LN2_LO;
        return k * LN2_HI - ((half_square - tail) - f);
}

double go_log10(double x)
{
        return go_log(x) * 0.43429448190325182765112891891660508229;
}

double go_log2(double x)
{
        int e;
        double m = frexp(x, &e);
        if (m == 0 || isnan(m) || isinf(m))
                e = 0;
        if (m == 0.5)
                return e - 1;
        return go_log(m) * 1.44269504088896340735992468100189214 + e;
}

double go_log1p(double x)
{
        if (x < -1 || isnan(x))
                return nan_value();
        if (x == -1)
                return -INFINITY;
        if (isinf(x))
                return x;
        double size = fabs(x), f = 0, c = 0;
        uint64_t mantissa = 0;
        int k = 1;
        if (size < 4.142135623730950488017e-01) {
                if (size < 0x1p-54)
                        return x;
                if (size < 0x1p-29)
                        return x - x * x * 0.5;
                if (x > -2.928932188134524755992e-01) {
                        k = 0;
                        f = x;
                        mantissa = 1;
                }
        }
        if (k != 0) {
                double u = size < 0x1p53 ? 1.0 + x : x;
                mantissa = float_bits(u);
                k = (int)((mantissa >> 52) - 1023);
                if (size < 0x1p53)
                        c = (k > 0 ? 1.0 - (u - x) : x - (u - 1.0)) / u;
                mantissa &= UINT64_C(0x000fffffffffffff);
                if (mantissa < UINT64_C(0x0006a09e667f3bcd)) {
                        u = float_of_bits(mantissa | UINT64_C(0x3ff0000000000000));
                } else {
                        k++;
                        u = float_of_bits(mantissa | UINT64_C(0x3fe0000000000000));
                        mantissa = (UINT64_C(0x0010000000000000) - mantissa) >> 2;
                }
                f = u - 1.0;
        }
        double half_square = 0.5 * f * f, r;
        if (mantissa == 0) {
                if (f == 0)
                        return k == 0 ? 0 : k * LN2_HI + (c + k * LN2_LO);
                r = half_square * (1.0 - 0.66666666666666666 * f);
                return k == 0 ? f - r : k * LN2_HI - ((r - (k * LN2_LO + c)) - f);
        }
        double s = f / (2.0 + f), z = s * s;
        r = z * POLY(z, 1.479819860511658591e-01, 1.531383769920937332e-01, 1.818357216161805012e-01,
                     2.222219843214978396e-01, 2.857142874366239149e-01, 3.999999999940941908e-01,
                     6.666666666666735130e-01);
        if (k == 0)
                return f - (half_square - s * (half_square + r));
        return k * LN2_HI - ((half_square - (s * (half_square + r) + (k * LN2_LO + c))) - f);
}

/* ---- pow: the fraction by exp and log, the integer by squaring, powers of two apart ---- */

static bool is_odd(double y)
{
        double whole;
        if (fabs(y) >= 0x1p53)
                return false;
        return modf(y, &whole) == 0 && ((int64_t)whole & 1);
}

static double pow_of_zero(double x, double y)
{
        bool minus = signbit(x) && is_odd(y);
        if (y < 0)
                return minus ? -INFINITY : INFINITY;
        return minus ? x : 0;
}

double go_pow(double x, double y)
{
        if (y == 0 || x == 1)
                return 1;
        if (y == 1)
                return x;
        if (isnan(x) || isnan(y))
                return nan_value();
        if (x == 0)
                return pow_of_zero(x, y);
        if (isinf(y))
                return x == -1 ? 1 : (fabs(x) < 1) == (y > 0) ? 0 : INFINITY;
        if (isinf(x))
                return x < 0 ? go_pow(1 / x, -y) : y < 0 ? 0 : INFINITY;
        if (y == 0.5)
                return sqrt(x);
        if (y == -0.5)
                return 1 / sqrt(x);
        double whole, fraction = modf(fabs(y), &whole);
        if (fraction != 0 && x < 0)
                return nan_value();
        if (whole >= 0x1p63)
                return x == -1 ? 1 : (fabs(x) < 1) == (y > 0) ? 0 : INFINITY;
        double a = 1;
        int64_t a_exp = 0;
        if (fraction != 0) {
                if (fraction > 0.5) {
                        fraction--;
                        whole++;
                }
                a = go_exp(fraction * go_log(x));
        }
        int e;
        double m = frexp(x, &e);
        int64_t m_exp = e;
        for (uint64_t i = (uint64_t)whole; i != 0; i >>= 1) {
                if (m_exp < -4096 || m_exp > 4096) { /* over or under, whatever follows */
                        a_exp += m_exp;
                        break;
                }
                if (i & 1) {
                        a *= m;
                        a_exp += m_exp;
                }
                m *= m;
                m_exp *= 2;
                if (m < .5) {
                        m += m;
                        m_exp--;
                }
        }
        if (y < 0) {
                a = 1 / a;
                a_exp = -a_exp;
        }
        return ldexp(a, a_exp > 100000 ? 100000 : a_exp < -100000 ? -100000 : (int)a_exp);
}

/* ---- trigonometry ---- */

/* x to an octant and the rest, for x of 2^29 and more: the digits of 4/pi that matter times the mantissa. */
static uint64_t reduce_large(double x, double *ret_z)
{
        static const uint64_t four_over_pi[] = {
                UINT64_C(0x0000000000000001), UINT64_C(0x45f306dc9c882a53), UINT64_C(0xf84eafa3ea69bb81),
                UINT64_C(0xb6c52b3278872083), UINT64_C(0xfca2c757bd778ac3), UINT64_C(0x6e48dc74849ba5c0),
                UINT64_C(0x0c925dd413a32439), UINT64_C(0xfc3bd63962534e7d), UINT64_C(0xd1046bea5d768909),
                UINT64_C(0xd338e04d68befc82), UINT64_C(0x7323ac7306a673e9), UINT64_C(0x3908bf177bf25076),
                UINT64_C(0x3ff12fffbc0b301f), UINT64_C(0xde5e2316b414da3e), UINT64_C(0xda6cfd9e4f96136e),
                UINT64_C(0x9e8c7ecd3cbfd45a), UINT64_C(0xea4f758fd7cbe2f6), UINT64_C(0x7a0e73ef14a525d4),
                UINT64_C(0xd7f6bf623f1aba10), UINT64_C(0xac06608df8f6d757)};
        uint64_t m = float_bits(x);
        int e = (int)(m >> 52 & 0x7ff) - 1023 - 52;
        m = (m & UINT64_C(0x000fffffffffffff)) | UINT64_C(1) << 52;
        unsigned word = (unsigned)(e + 61) / 64, shift = (unsigned)(e + 61) % 64;
        uint64_t d[3];
        for (unsigned i = 0; i < 3; i++)
                d[i] = four_over_pi[word + i] << shift | (shift ? four_over_pi[word + i + 1] >> (64 - shift) : 0);
        unsigned __int128 low = (unsigned __int128)d[1] * m + (uint64_t)(((unsigned __int128)d[2] * m) >> 64);
        uint64_t lo = (uint64_t)low, hi = d[0] * m + (uint64_t)(low >> 64);
        uint64_t octant = hi >> 61;
        hi = hi << 3 | lo >> 61;
        unsigned zeros = hi ? (unsigned)__builtin_clzll(hi) : 64;
        unsigned up = zeros + 1;
        hi = (up < 64 ? hi << up : 0) | (up == 0 ? 0 : up >= 64 ? lo : lo >> (64 - up));
        hi = hi >> 12 | (uint64_t)(1023 - up) << 52;
        double z = float_of_bits(hi);
        if (octant & 1) {
                octant = (octant + 1) & 7;
                z--;
        }
        *ret_z = z * (M_PI / 4);
        return octant;
}

/* x >= 0 to an even octant and the rest. */
static uint64_t reduce(double x, double *ret_z)
{
        if (x >= 0x1p29)
                return reduce_large(x, ret_z);
        uint64_t octant = (uint64_t)(x * 1.2732395447351626861510701069801148);
        double y = (double)octant;
        if (octant & 1) {
                octant++;
                y++;
        }
        *ret_z = ((x - y * 7.85398125648498535156e-1) - y * 3.77489470793079817668e-8) - y * 2.69515142907905952645e-15;
        return octant;
}

static double sine_part(double z)
{
        double zz = z * z;
        return z + z * zz *
                           POLY(zz, 1.58962301576546568060e-10, -2.50507477628578072866e-8, 2.75573136213857245213e-6,
                                -1.98412698295895385996e-4, 8.33333333332211858878e-3, -1.66666666666666307295e-1);
}

static double cosine_part(double z)
{
        double zz = z * z;
        return 1.0 - 0.5 * zz +
               zz * zz *
                       POLY(zz, -1.13585365213876817300e-11, 2.08757008419747316778e-9, -2.75573141792967388112e-7,
                            2.48015872888517045348e-5, -1.38888888888730564116e-3, 4.16666666666665929218e-2);
}

double go_sin(double x)
{
        if (x == 0 || isnan(x))
                return x;
        if (isinf(x))
                return nan_value();
        double z;
        uint64_t octant = reduce(fabs(x), &z) & 7;
        bool minus = (x < 0) != (octant > 3);
        octant &= 3;
        double y = octant == 1 || octant == 2 ? cosine_part(z) : sine_part(z);
        return minus ? -y : y;
}

double go_cos(double x)
{
        if (isnan(x) || isinf(x))
                return nan_value();
        double z;
        uint64_t octant = reduce(fabs(x), &z) & 7;
        bool minus = octant > 3;
        octant &= 3;
        if (octant > 1)
                minus = !minus;
        double y = octant == 1 || octant == 2 ? sine_part(z) : cosine_part(z);
        return minus ? -y : y;
}

double go_tan(double x)
{
        if (x == 0 || isnan(x))
                return x;
        if (isinf(x))
                return nan_value();
        double z;
        uint64_t octant = reduce(fabs(x), &z);
        double zz = z * z, y = z;
        if (zz > 1e-14) {
                double p = POLY(zz, -1.30936939181383777646e4, 1.15351664838587416140e6, -1.79565251976484877988e7);
                double q = POLY(zz, 1.0, 1.36812963470692954678e4, -1.32089234440210967447e6, 2.50083801823357915839e7,
                                -5.38695755929454629881e7);
                y = z + z * (zz * p / q);
        }
        if (octant & 2)
                y = -1 / y;
        return x < 0 ? -y : y;
}

/* |x| <= 0.66 */
static double atan_small(double x)
{
        double z = x * x;
        double p = POLY(z, -8.750608600031904122785e-01, -1.615753718733365076637e+01, -7.500855792314704667340e+01,
                        -1.228866684490136173410e+02, -6.485021904942025371773e+01);
        double q = POLY(z, 1.0, 2.485846490142306297962e+01, 1.650270098316988542046e+02, 4.328810604912902668951e+02,
                        4.853903996359136964868e+02, 1.945506571482613964425e+02);
        z = z * p / q;
        return x * z + x;
}

/* x >= 0 */
static double atan_positive(double x)
{
        const double rest = 6.123233995736765886130e-17; /* of pi/2 */
        if (x <= 0.66)
                return atan_small(x);
        if (x > 2.41421356237309504880)
                return M_PI / 2 - atan_small(1 / x) + rest;
        return M_PI / 4 + atan_small((x - 1) / (x + 1)) + 0.5 * rest;
}

double go_atan(double x)
{
        return x == 0 ? x : x > 0 ? atan_positive(x) : -atan_positive(-x);
}

double go_asin(double x)
{
        if (x == 0)
                return x;
        double a = fabs(x);
        if (a > 1)
                return nan_value();
        double c = sqrt(1 - a * a);
        double r = a > 0.7 ? M_PI / 2 - atan_positive(c / a) : atan_positive(a / c);
        return x < 0 ? -r : r;
}

double go_acos(double x)
{
        return M_PI / 2 - go_asin(x);
}

double go_atan2(double y, double x)
{
        if (isnan(y) || isnan(x))
                return nan_value();
        if (y == 0)
                return copysign(x >= 0 && !signbit(x) ? 0 : M_PI, y);
        if (x == 0)
                return copysign(M_PI / 2, y);
        if (isinf(x) && x > 0)
                return copysign(isinf(y) ? M_PI / 4 : 0, y);
        if (isinf(x))
                return copysign(isinf(y) ? 2.356194490192344928846982537459627 : M_PI, y);
        if (isinf(y))
                return copysign(M_PI / 2, y);
        double q = go_atan(y / x);
        if (x < 0)
                return q <= 0 ? q + M_PI : q - M_PI;
        return q;
}

/* ---- hyperbolic functions ---- */

double go_sinh(double x)
{
        double a = x < 0 ? -x : x, r;
        if (a > 21) {
                r = go_exp(a) * 0.5;
        } else if (a > 0.5) {
                double e = go_exp(a);
                r = (e - 1 / e) * 0.5;
        } else {
                double sq = a * a;
                r = POLY(sq, -0.2630563213397497062819489e+2, -0.2894211355989563807284660366e+4,
                         -0.8991272022039509355398013511e+5, -0.6307673640497716991184787251e+6) *
                    a;
                r = r / POLY(sq, 1.0, -0.173678953558233699533450911e+3, 0.1521517378790019070696485176e+5,
                             -0.6307673640497716991212077277e+6);
        }
        return x < 0 ? -r : r;
}

double go_cosh(double x)
{
        double e = go_exp(fabs(x));
        return fabs(x) > 21 ? e * 0.5 : (e + 1 / e) * 0.5;
}

double go_tanh(double x)
{
        double a = fabs(x);
        if (a > 0.5 * 8.8029691931113054295988e+01)
                return x < 0 ? -1 : 1;
        if (a >= 0.625) {
                double r = 1 - 2 / (go_exp(2 * a) + 1);
                return x < 0 ? -r : r;
        }
        if (x == 0)
                return x;
        double s = x * x;
        double p = POLY(s, -9.64399179425052238628e-1, -9.92877231001918586564e1, -1.61468768441708447952e3);
        double q = POLY(s, 1.0, 1.12811678491632931402e2, 2.23548839060100448583e3, 4.84406305325125486048e3);
        return x + x * s * p / q;
}

double go_asinh(double x)
{
        if (isnan(x) || isinf(x))
                return x;
        double a = x < 0 ? -x : x, r;
        if (a > 0x1p28)
                r = go_log(a) + 6.93147180559945286227e-01;
        else if (a > 2)
                r = go_log(2 * a + 1 / (sqrt(a * a + 1) + a));
        else if (a < 0x1p-28)
                r = a;
        else
                r = go_log1p(a + a * a / (1 + sqrt(1 + a * a)));
        return x < 0 ? -r : r;
}

double go_acosh(double x)
{
        if (x < 1 || isnan(x))
                return nan_value();
        if (x == 1)
                return 0;
        if (x >= 0x1p28)
                return go_log(x) + LN2;
        if (x > 2)
                return go_log(2 * x - 1 / (x + sqrt(x * x - 1)));
        double t = x - 1;
        return go_log1p(t + sqrt(2 * t + t * t));
}

double go_atanh(double x)
{
        if (x < -1 || x > 1 || isnan(x))
                return nan_value();
        if (fabs(x) == 1)
                return copysign(INFINITY, x);
        double a = x < 0 ? -x : x, r;
        if (a < 0x1p-28) {
                r = a;
        } else if (a < 0.5) {
                r = a + a;
                r = 0.5 * go_log1p(r + r * a / (1 - a));
        } else {
                r = 0.5 * go_log1p((a + a) / (1 - a));
        }
        return x < 0 ? -r : r;
}

/* 2^x: the exponent's part of the scale, e^r by the msun polynomial. */
double go_exp2(double x)
{
        if (isnan(x) || (isinf(x) && x > 0))
                return x;
        if (x > 1.0239999999999999e+03)
                return INFINITY;
        if (x < -1.0740e+03)
                return 0;
        int k = x > 0 ? (int)(x + 0.5) : x < 0 ? (int)(x - 0.5) : 0;
        double t = x - (double)k, hi = t * LN2_HI, lo = -t * LN2_LO;
        double r = hi - lo;
        t = r * r;
        double c = r - t * POLY(t, 4.13813679705723846039e-08, -1.65339022054652515390e-06, 6.61375632143793436117e-05, -2.77777777770155933842e-03,
                                1.66666666666666657415e-01);
        double y = 1 - ((lo - (r * c) / (2 - c)) - hi);
        return ldexp(y, k);
}
