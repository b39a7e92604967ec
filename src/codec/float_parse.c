/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/float_bits.h"
#include "codec/float_shim.h"
#include "codec/float_text.h"

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static char lower(char c)
{
        return (char)(c | 0x20);
}

/* inf, infinity, nan in any case; a sign only before the infinities. */
static bool parse_special(Str s, double *ret)
{
        if (str_eq_nocase(s, STR("nan"))) {
                /* The bits of the NaN that Go makes, because they get stored. */
                uint64_t bits = UINT64_C(0x7ff8000000000001);
                memcpy(ret, &bits, sizeof bits);
                return true;
        }
        bool negative = s.n && s.p[0] == '-';
        if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
                s = str_skip(s, 1);
        if (!str_eq_nocase(s, STR("inf")) && !str_eq_nocase(s, STR("infinity")))
                return false;
        *ret = negative ? -INFINITY : INFINITY;
        return true;
}

/* Digits, a point and an exponent, nothing else: fast_float would also read its own words for infinity. */
static bool parse_decimal(Str s, double *ret)
{
        if (s.n && s.p[0] == '+') {
                s = str_skip(s, 1);
                if (s.n && s.p[0] == '-')
                        return false;
        }
        size_t first = s.n && s.p[0] == '-';
        if (first >= s.n || (!is_digit(s.p[first]) && s.p[first] != '.'))
                return false;
        return float_shim_parse(s.p, s.n, ret);
}

/* mantissa * 2^exponent, rounded half to even; `sticky`: more bits follow below the mantissa. */
static double scale(uint64_t mantissa, int64_t exponent, bool sticky)
{
        if (mantissa == 0)
                return 0;
        int zeros = __builtin_clzll(mantissa);
        mantissa <<= zeros;
        exponent += 63 - zeros; /* of the top bit */
        if (exponent > 1023)
                return INFINITY;
        int64_t drop = exponent < -1022 ? 11 + (-1022 - exponent) : 11;
        if (drop > 64)
                return 0;
        uint64_t keep = drop == 64 ? 0 : mantissa >> drop;
        uint64_t rest = mantissa << (64 - drop);
        if (rest > UINT64_C(1) << 63 || (rest == UINT64_C(1) << 63 && (sticky || (keep & 1))))
                keep++;
        /* The bits add up: rounding that carries out of the mantissa makes the next exponent, a subnormal the first
         * normal. */
        uint64_t bits = exponent < -1022 ? keep : keep + ((uint64_t)(exponent + 1022) << 52);
        return float_of_bits(bits);
}

/* After 0x: hex digits with a point, then the exponent that Go demands. No underscores are left. */
static bool parse_hex(Str s, bool negative, double *ret)
{
        uint64_t mantissa = 0;
        bool sticky = false, point = false, digits = false;
        int64_t exponent = 0;
        size_t i = 0;
        for (; i < s.n; i++) {
                char c = s.p[i];
                if (c == '.' && !point) {
                        point = true;
                        continue;
                }
                unsigned d;
                if (is_digit(c))
                        d = (unsigned)(c - '0');
                else if (lower(c) >= 'a' && lower(c) <= 'f')
                        d = (unsigned)(lower(c) - 'a' + 10);
                else
                        break;
                digits = true;
                if (mantissa >> 60 == 0) {
                        mantissa = mantissa << 4 | d;
                        exponent -= point ? 4 : 0;
                } else {
                        sticky = sticky || d != 0;
                        exponent += point ? 0 : 4;
                }
        }
        if (!digits || i >= s.n || lower(s.p[i]) != 'p')
                return false;
        i++;
        bool minus = i < s.n && s.p[i] == '-';
        if (i < s.n && (s.p[i] == '-' || s.p[i] == '+'))
                i++;
        if (i >= s.n)
                return false;
        int64_t e = 0;
        for (; i < s.n; i++) {
                if (!is_digit(s.p[i]))
                        return false;
                if (e < 10000)
                        e = e * 10 + (s.p[i] - '0');
        }
        double v = scale(mantissa, exponent + (minus ? -e : e), sticky);
        *ret = negative ? -v : v;
        return true;
}

/* Go's rule: an underscore stands between two digits, or between a base prefix and a digit. */
static bool underscores_are_fine(Str s)
{
        if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
                s = str_skip(s, 1);
        bool hex = false, after_digit = false, after_underscore = false;
        size_t i = 0;
        if (s.n >= 2 && s.p[0] == '0' && (lower(s.p[1]) == 'b' || lower(s.p[1]) == 'o' || lower(s.p[1]) == 'x')) {
                hex = lower(s.p[1]) == 'x';
                after_digit = true;
                i = 2;
        }
        for (; i < s.n; i++) {
                char c = s.p[i];
                bool digit = is_digit(c) || (hex && lower(c) >= 'a' && lower(c) <= 'f');
                if (c == '_' ? !after_digit : after_underscore && !digit)
                        return false;
                after_underscore = c == '_';
                after_digit = digit;
        }
        return !after_underscore;
}

static bool parse_number(Str s, double *ret)
{
        bool negative = s.n && s.p[0] == '-';
        Str rest = s.n && (negative || s.p[0] == '+') ? str_skip(s, 1) : s;
        if (rest.n > 2 && rest.p[0] == '0' && lower(rest.p[1]) == 'x')
                return parse_hex(str_skip(rest, 2), negative, ret);
        return parse_decimal(s, ret);
}

bool float_parse(Str s, double *ret, bool *ret_range)
{
        double v;
        bool range = false;
        if (!parse_special(s, &v)) {
                if (str_find(s, '_') >= 0) {
                        if (!underscores_are_fine(s))
                                return false;
                        struct buf plain = BUF_INIT(s.n);
                        for (size_t i = 0; i < s.n; i++)
                                if (s.p[i] != '_')
                                        buf_putc(&plain, s.p[i]);
                        bool ok = parse_number(buf_str(&plain), &v);
                        buf_done(&plain);
                        if (!ok)
                                return false;
                } else if (!parse_number(s, &v)) {
                        return false;
                }
                range = isinf(v);
        }
        *ret = v;
        if (ret_range)
                *ret_range = range;
        return true;
}

bool float_parse_fast(Str s, double *ret)
{
        static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                        1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
        const char *p = s.p, *end = s.p + s.n;
        bool negative = p < end && *p == '-';
        p += negative;
        /* Up to 15 digits: mantissa and power are exact, so that one division rounds correctly. */
        if (LIKELY(end - p <= 16 && p < end)) {
                uint64_t m = 0;
                const char *digits = p;
                for (; p < end && is_digit(*p); p++)
                        m = m * 10 + (uint64_t)(*p - '0');
                ptrdiff_t n = p - digits, fraction = 0;
                if (p < end && *p == '.') {
                        const char *from = ++p;
                        for (; p < end && is_digit(*p); p++)
                                m = m * 10 + (uint64_t)(*p - '0');
                        fraction = p - from;
                }
                n += fraction;
                if (LIKELY(p == end && n > 0 && n <= 15)) {
                        double v = (double)m;
                        if (fraction)
                                v /= powers[fraction];
                        *ret = negative ? -v : v;
                        return true;
                }
        }
        double v;
        if (parse_special(s, &v)) {
                *ret = v;
                return true;
        }
        if (!parse_decimal(s, &v) || isinf(v))
                return false;
        *ret = v;
        return true;
}
