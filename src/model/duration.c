/* SPDX-License-Identifier: Apache-2.0 */
#include "model/duration.h"

#include <math.h>

#include "codec/float_text.h"
#include "codec/quote.h"

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static struct error *not_valid(Str s)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        buf_put_go_quoted(&b, s);
        struct error *e = error_new(ERROR_INVALID, "not a valid duration string: %s", buf_cstr(&b));
        buf_done(&b);
        return e;
}

static struct error *unknown_unit(Str unit, Str s)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        buf_put(&b, STR("unknown unit "));
        buf_put_go_quoted(&b, unit);
        buf_put(&b, STR(" in duration "));
        buf_put_go_quoted(&b, s);
        struct error *e = error_new(ERROR_INVALID, "%s", buf_cstr(&b));
        buf_done(&b);
        return e;
}

static const struct unit {
        Str name;
        uint64_t ns;
} units[] = {
        {STR_INIT("y"), UINT64_C(365) * 24 * 3600 * 1000000000},
        {STR_INIT("w"), UINT64_C(7) * 24 * 3600 * 1000000000},
        {STR_INIT("d"), UINT64_C(24) * 3600 * 1000000000},
        {STR_INIT("h"), UINT64_C(3600) * 1000000000},
        {STR_INIT("m"), UINT64_C(60) * 1000000000},
        {STR_INIT("s"), UINT64_C(1000000000)},
        {STR_INIT("ms"), UINT64_C(1000000)},
};

struct error *duration_parse(Str s, int64_t *ret_ms)
{
        if (s.n == 0)
                return error_new(ERROR_INVALID, "empty duration string");
        if (str_eq(s, STR("0"))) {
                *ret_ms = 0;
                return NULL;
        }
        uint64_t ns = 0;
        size_t next_unit = 0; /* each further unit must be smaller */
        for (Str rest = s; rest.n > 0;) {
                size_t n = 0;
                while (n < rest.n && is_digit(rest.p[n]))
                        n++;
                uint64_t v;
                if (n == 0 || !str_to_u64(str_sub(rest, 0, n), &v))
                        return not_valid(s);
                rest = str_skip(rest, n);
                for (n = 0; n < rest.n && !is_digit(rest.p[n]);)
                        n++;
                if (n == 0)
                        return not_valid(s);
                Str name = str_sub(rest, 0, n);
                rest = str_skip(rest, n);
                size_t u = 0;
                while (u < ARRAY_LEN(units) && !str_eq(units[u].name, name))
                        u++;
                if (u == ARRAY_LEN(units))
                        return unknown_unit(name, s);
                if (u < next_unit)
                        return not_valid(s);
                next_unit = u + 1;
                if (v > (UINT64_C(1) << 63) / units[u].ns)
                        return error_new(ERROR_INVALID, "duration out of range");
                ns += v * units[u].ns;
                if (ns > INT64_MAX)
                        return error_new(ERROR_INVALID, "duration out of range");
        }
        *ret_ms = (int64_t)(ns / 1000000);
        return NULL;
}

void buf_put_duration(struct buf *b, int64_t ms)
{
        if (ms == 0) {
                buf_put(b, STR("0s"));
                return;
        }
        uint64_t left = ms < 0 ? -(uint64_t)ms : (uint64_t)ms;
        if (ms < 0)
                buf_putc(b, '-');
        for (size_t u = 0; u < ARRAY_LEN(units); u++) {
                uint64_t unit_ms = units[u].ns / 1000000;
                bool exact_only = u < 2; /* years and weeks: 90d reads better than 12w6d */
                if (left < unit_ms || (exact_only && left % unit_ms != 0))
                        continue;
                buf_put_u64(b, left / unit_ms);
                buf_put(b, units[u].name);
                left %= unit_ms;
        }
}

/* v / 10^digits without trailing zeros. */
static void put_fraction(struct buf *b, uint64_t v, int digits)
{
        uint64_t scale = 1;
        for (int i = 0; i < digits; i++)
                scale *= 10;
        buf_put_u64(b, v / scale);
        v %= scale;
        if (v == 0)
                return;
        buf_putc(b, '.');
        for (scale /= 10; v > 0; scale /= 10) {
                buf_putc(b, (char)('0' + v / scale));
                v %= scale;
        }
}

void buf_put_go_duration(struct buf *b, int64_t ns)
{
        uint64_t left = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;
        if (ns < 0)
                buf_putc(b, '-');
        if (left == 0) {
                buf_put(b, STR("0s"));
        } else if (left < 1000) {
                buf_put_u64(b, left);
                buf_put(b, STR("ns"));
        } else if (left < 1000000) {
                put_fraction(b, left, 3);
                buf_put(b, STR("µs"));
        } else if (left < 1000000000) {
                put_fraction(b, left, 6);
                buf_put(b, STR("ms"));
        } else {
                uint64_t minutes = left / UINT64_C(60000000000);
                if (minutes >= 60) {
                        buf_put_u64(b, minutes / 60);
                        buf_putc(b, 'h');
                }
                if (minutes > 0) {
                        buf_put_u64(b, minutes % 60);
                        buf_putc(b, 'm');
                }
                put_fraction(b, left % UINT64_C(60000000000), 9);
                buf_putc(b, 's');
        }
}

/* The leading digits of *s as an int64; false when they are too many. */
static bool leading_int(Str *s, int64_t *ret)
{
        int64_t x = 0;
        size_t i = 0;
        for (; i < s->n && is_digit(s->p[i]); i++) {
                if (x >= (INT64_MAX - 9) / 10)
                        return false;
                x = x * 10 + (s->p[i] - '0');
        }
        *s = str_skip(*s, i);
        *ret = x;
        return true;
}

static struct error *size_parse_suffixed(Str s, Str suffix, int64_t *ret)
{
        Str rest = s;
        bool negative = false;
        if (rest.n > 0 && (rest.p[0] == '-' || rest.p[0] == '+')) {
                negative = rest.p[0] == '-';
                rest = str_skip(rest, 1);
        }
        if (str_eq(rest, STR("0"))) {
                *ret = 0;
                return NULL;
        }
        double sum = 0;
        if (rest.n == 0)
                goto invalid;
        while (rest.n > 0) {
                size_t before = rest.n;
                int64_t whole, part = 0;
                if (!leading_int(&rest, &whole))
                        goto invalid;
                bool some = before != rest.n;
                double v = (double)whole;
                if (rest.n > 0 && rest.p[0] == '.') {
                        rest = str_skip(rest, 1);
                        before = rest.n;
                        if (!leading_int(&rest, &part))
                                goto invalid;
                        v += (double)part / pow(10, (double)(before - rest.n));
                        some |= before != rest.n;
                }
                if (!some)
                        goto invalid;
                size_t n = 0;
                while (n < rest.n && rest.p[n] != '.' && !is_digit(rest.p[n]))
                        n++;
                Str unit = str_sub(rest, 0, n);
                rest = str_skip(rest, n);
                static const char letters[] = "KMGTPE";
                const char *at;
                double scale;
                if (str_eq(unit, STR("B")))
                        scale = 1;
                else if (unit.n == 1 + suffix.n && unit.p[0] && (at = strchr(letters, unit.p[0])) &&
                         str_has_suffix(unit, suffix))
                        scale = ldexp(1, 10 * (int)(at - letters + 1));
                else
                        return error_new(ERROR_INVALID, "units: unknown unit " STR_FMT " in " STR_FMT, STR_ARG(unit),
                                         STR_ARG(s));
                sum += v * scale;
        }
        if (negative)
                sum = -sum;
        if (!(sum >= -0x1p63 && sum < 0x1p63))
                return error_new(ERROR_INVALID, "units: overflow parsing unit");
        *ret = (int64_t)sum;
        return NULL;
invalid:
        return error_new(ERROR_INVALID, "units: invalid " STR_FMT, STR_ARG(s));
}

struct error *size_parse(Str s, uint64_t *ret_bytes)
{
        int64_t v;
        struct error *e = size_parse_suffixed(s, STR("iB"), &v);
        if (e) {
                error_ignore(e, "the other spelling decides, and gives the text, as upstream");
                e = size_parse_suffixed(s, STR("B"), &v);
        }
        if (e)
                return e;
        if (v < 0)
                return error_new(ERROR_INVALID, "units: negative size " STR_FMT, STR_ARG(s));
        *ret_bytes = (uint64_t)v;
        return NULL;
}

void buf_put_size(struct buf *b, uint64_t bytes)
{
        static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
        if (bytes == 0)
                buf_put(b, STR("0B"));
        for (int i = 6; i >= 0; i--) {
                uint64_t v = bytes >> (10 * i) & 1023;
                if (v == 0)
                        continue;
                buf_put_u64(b, v);
                buf_puts(b, names[i]);
        }
}

/* Days since 1970-01-01 of a date of the proleptic Gregorian calendar. */
static int64_t days_of(int64_t year, int month, int day)
{
        year -= month <= 2;
        int64_t era = (year >= 0 ? year : year - 399) / 400;
        int64_t year_of_era = year - era * 400;
        int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
        return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719468;
}

/* n digits at s.p[*at]. */
static bool take_number(Str s, size_t *at, size_t n, int *ret)
{
        if (s.n - *at < n)
                return false;
        int v = 0;
        for (size_t i = 0; i < n; i++) {
                char c = s.p[*at + i];
                if (!is_digit(c))
                        return false;
                v = v * 10 + (c - '0');
        }
        *at += n;
        *ret = v;
        return true;
}

static bool take_char(Str s, size_t *at, char c)
{
        if (*at >= s.n || s.p[*at] != c)
                return false;
        ++*at;
        return true;
}

bool time_parse_rfc3339(Str s, int64_t *ret_ms)
{
        int year, month, day, hour, minute, second;
        size_t at = 0;
        if (!take_number(s, &at, 4, &year) || !take_char(s, &at, '-') || !take_number(s, &at, 2, &month) ||
            !take_char(s, &at, '-') || !take_number(s, &at, 2, &day) || !take_char(s, &at, 'T') ||
            !take_number(s, &at, 2, &hour) || !take_char(s, &at, ':') || !take_number(s, &at, 2, &minute) ||
            !take_char(s, &at, ':') || !take_number(s, &at, 2, &second))
                return false;
        static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        if (month < 1 || month > 12 || day < 1 || day > days[month - 1] + (month == 2 && leap) || hour > 23 ||
            minute > 59 || second > 59)
                return false;
        int ms = 0;
        if (at < s.n && (s.p[at] == '.' || s.p[at] == ',')) {
                size_t first = ++at;
                for (int unit = 100; at < s.n && is_digit(s.p[at]); at++, unit /= 10)
                        ms += (s.p[at] - '0') * unit;
                if (at == first)
                        return false;
        }
        int64_t offset_s = 0;
        if (!take_char(s, &at, 'Z')) {
                int h, m, sign;
                if (take_char(s, &at, '+'))
                        sign = 1;
                else if (take_char(s, &at, '-'))
                        sign = -1;
                else
                        return false;
                if (!take_number(s, &at, 2, &h) || !take_char(s, &at, ':') || !take_number(s, &at, 2, &m) || h > 24 ||
                    m > 60)
                        return false;
                offset_s = sign * (h * 3600 + m * 60);
        }
        if (at != s.n)
                return false;
        *ret_ms = ((days_of(year, month, day) * 24 + hour) * 3600 + minute * 60 + second - offset_s) * 1000 + ms;
        return true;
}

bool time_parse(Str s, int64_t *ret_ms)
{
        double t;
        bool range;
        if (!float_parse(s, &t, &range) || range)
                return time_parse_rfc3339(s, ret_ms);
        double whole, part = modf(t, &whole);
        if (isinf(t))
                part = NAN;
        part = round(part * 1000) / 1000;
        /* Conversions out of range give INT64_MIN and sums wrap, as upstream's do on amd64. */
        uint64_t seconds = whole >= -0x1p63 && whole < 0x1p63 ? (uint64_t)(int64_t)whole : (uint64_t)INT64_MIN;
        uint64_t ns = isnan(part) ? (uint64_t)INT64_MIN : (uint64_t)(int64_t)(part * 1e9);
        *ret_ms = (int64_t)(seconds * UINT64_C(1000000000) + ns) / 1000000;
        return true;
}

void buf_put_rfc3339(struct buf *b, int64_t ms)
{
        int64_t seconds = ms / 1000, milli = ms % 1000;
        if (milli < 0) {
                milli += 1000;
                seconds--;
        }
        int64_t day = seconds / 86400, left = seconds % 86400;
        if (left < 0) {
                left += 86400;
                day--;
        }
        day += 719468;
        int64_t era = (day >= 0 ? day : day - 146096) / 146097;
        int64_t day_of_era = day - era * 146097;
        int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
        int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        int64_t mp = (5 * day_of_year + 2) / 153;
        int64_t month = mp < 10 ? mp + 3 : mp - 9;
        int64_t year = year_of_era + era * 400 + (month <= 2);
        buf_printf(b, "%04lld-%02lld-%02lldT%02lld:%02lld:%02lld", (long long)year, (long long)month,
                   (long long)(day_of_year - (153 * mp + 2) / 5 + 1), (long long)(left / 3600),
                   (long long)(left / 60 % 60), (long long)(left % 60));
        if (milli) {
                buf_putc(b, '.');
                for (int64_t unit = 100; milli; unit /= 10) {
                        buf_putc(b, (char)('0' + milli / unit));
                        milli %= unit;
                }
        }
        buf_putc(b, 'Z');
}
