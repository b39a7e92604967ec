/* SPDX-License-Identifier: Apache-2.0 */
/* time.Time and time.Duration: their methods that templates call, and Time.Format with its layouts. Times are UTC, in int64 nanoseconds. */
#include <stdio.h>
#include <time.h>

#include "alert/template/tmpl.h"
#include "model/duration.h"

static const char *const months[] = {"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"};
static const char *const days[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

static void broken_down(int64_t ns, struct tm *ret, int64_t *ret_ns)
{
        int64_t s = ns / 1000000000;
        *ret_ns = ns % 1000000000;
        if (*ret_ns < 0) {
                *ret_ns += 1000000000;
                s--;
        }
        time_t t = (time_t)s;
        gmtime_r(&t, ret);
}

/* ---- Format ---- */

struct chunk {
        const char *text;
        enum { C_YEAR, C_YEAR2, C_MONTH, C_MON, C_MONTH2, C_MONTH1, C_DAY_NAME, C_DAY_SHORT, C_DAY2, C_DAY_PAD, C_DAY1, C_YDAY_PAD, C_YDAY, C_HOUR, C_HOUR12, C_HOUR12_2, C_MIN,
               C_MIN2, C_SEC, C_SEC2, C_PM, C_pm, C_ZONE, C_Z, C_OFFSET, C_OFFSET_COLON, C_OFFSET_SHORT, C_OFFSET_SEC, C_OFFSET_COLON_SEC } kind;
};
/* Longer ones before those that they begin with. */
static const struct chunk chunks[] = {
        {"January", C_MONTH}, {"Jan", C_MON}, {"Monday", C_DAY_NAME}, {"Mon", C_DAY_SHORT}, {"MST", C_ZONE}, {"2006", C_YEAR}, {"__2", C_YDAY_PAD}, {"_2", C_DAY_PAD},
        {"002", C_YDAY}, {"01", C_MONTH2}, {"02", C_DAY2}, {"03", C_HOUR12_2}, {"04", C_MIN2}, {"05", C_SEC2}, {"06", C_YEAR2}, {"15", C_HOUR}, {"1", C_MONTH1}, {"2", C_DAY1},
        {"3", C_HOUR12}, {"4", C_MIN}, {"5", C_SEC}, {"PM", C_PM}, {"pm", C_pm}, {"-07:00:00", C_OFFSET_COLON_SEC}, {"-070000", C_OFFSET_SEC}, {"-07:00", C_OFFSET_COLON},
        {"-0700", C_OFFSET}, {"-07", C_OFFSET_SHORT}, {"Z07:00:00", C_Z}, {"Z070000", C_Z}, {"Z07:00", C_Z}, {"Z0700", C_Z}, {"Z07", C_Z},
};

static const struct chunk *chunk_at(Str s)
{
        for (size_t i = 0; i < ARRAY_LEN(chunks); i++) {
                Str text = str_from(chunks[i].text);
                if (!str_has_prefix(s, text))
                        continue;
                /* "_2006" is an underscore and a year; "Jan" inside "January" was tried before, "Janet" is text. */
                if (chunks[i].kind == C_DAY_PAD && str_has_prefix(s, STR("_2006")))
                        return NULL;
                if ((chunks[i].kind == C_MON || chunks[i].kind == C_DAY_SHORT) && s.n > text.n && s.p[text.n] >= 'a' && s.p[text.n] <= 'z')
                        continue;
                return &chunks[i];
        }
        return NULL;
}

/* .000, .999, with a point or a comma, behind which no digit follows: its length or 0. */
static size_t fraction_at(Str s)
{
        if (s.n < 2 || (s.p[0] != '.' && s.p[0] != ',') || (s.p[1] != '0' && s.p[1] != '9'))
                return 0;
        size_t n = 1;
        while (n < s.n && s.p[n] == s.p[1])
                n++;
        return n < s.n && s.p[n] >= '0' && s.p[n] <= '9' ? 0 : n;
}

static void put_fraction(struct buf *b, Str layout, int64_t ns)
{
        char digits[16];
        size_t n = MIN(layout.n - 1, (size_t)9);
        snprintf(digits, sizeof digits, "%09lld", (long long)ns);
        if (layout.p[1] == '9') {
                while (n > 0 && digits[n - 1] == '0')
                        n--;
                if (n == 0)
                        return;
        }
        buf_putc(b, layout.p[0]);
        buf_append(b, digits, n);
}

static void put_chunk(struct buf *b, int kind, const struct tm *t)
{
        int hour12 = t->tm_hour % 12 ? t->tm_hour % 12 : 12;
        switch (kind) {
        case C_YEAR:
                buf_printf(b, "%04d", t->tm_year + 1900);
                break;
        case C_YEAR2:
                buf_printf(b, "%02d", (t->tm_year + 1900) % 100);
                break;
        case C_MONTH:
                buf_puts(b, months[t->tm_mon]);
                break;
        case C_MON:
                buf_append(b, months[t->tm_mon], 3);
                break;
        case C_MONTH2:
                buf_printf(b, "%02d", t->tm_mon + 1);
                break;
        case C_MONTH1:
                buf_printf(b, "%d", t->tm_mon + 1);
                break;
        case C_DAY_NAME:
                buf_puts(b, days[t->tm_wday]);
                break;
        case C_DAY_SHORT:
                buf_append(b, days[t->tm_wday], 3);
                break;
        case C_DAY2:
                buf_printf(b, "%02d", t->tm_mday);
                break;
        case C_DAY_PAD:
                buf_printf(b, "%2d", t->tm_mday);
                break;
        case C_DAY1:
                buf_printf(b, "%d", t->tm_mday);
                break;
        case C_YDAY_PAD:
                buf_printf(b, "%3d", t->tm_yday + 1);
                break;
        case C_YDAY:
                buf_printf(b, "%03d", t->tm_yday + 1);
                break;
        case C_HOUR:
                buf_printf(b, "%02d", t->tm_hour);
                break;
        case C_HOUR12:
                buf_printf(b, "%d", hour12);
                break;
        case C_HOUR12_2:
                buf_printf(b, "%02d", hour12);
                break;
        case C_MIN:
                buf_printf(b, "%d", t->tm_min);
                break;
        case C_MIN2:
                buf_printf(b, "%02d", t->tm_min);
                break;
        case C_SEC:
                buf_printf(b, "%d", t->tm_sec);
                break;
        case C_SEC2:
                buf_printf(b, "%02d", t->tm_sec);
                break;
        case C_PM:
                buf_puts(b, t->tm_hour >= 12 ? "PM" : "AM");
                break;
        case C_pm:
                buf_puts(b, t->tm_hour >= 12 ? "pm" : "am");
                break;
        case C_ZONE:
                buf_puts(b, "UTC");
                break;
        case C_Z:
                buf_puts(b, "Z");
                break;
        case C_OFFSET:
                buf_puts(b, "+0000");
                break;
        case C_OFFSET_COLON:
                buf_puts(b, "+00:00");
                break;
        case C_OFFSET_SHORT:
                buf_puts(b, "+00");
                break;
        case C_OFFSET_SEC:
                buf_puts(b, "+000000");
                break;
        case C_OFFSET_COLON_SEC:
                buf_puts(b, "+00:00:00");
                break;
        }
}

void gotime_format(struct buf *b, int64_t ns, Str layout)
{
        struct tm t;
        int64_t rest;
        broken_down(ns, &t, &rest);
        for (size_t i = 0; i < layout.n;) {
                Str s = str_skip(layout, i);
                size_t frac = fraction_at(s);
                const struct chunk *c = frac ? NULL : chunk_at(s);
                if (frac) {
                        put_fraction(b, str_sub(s, 0, frac), rest);
                        i += frac;
                } else if (c) {
                        put_chunk(b, c->kind, &t);
                        i += strlen(c->text);
                } else if (str_has_prefix(s, STR("_2006"))) {
                        buf_putc(b, '_');
                        i++;
                } else {
                        buf_putc(b, layout.p[i++]);
                }
        }
}

void gotime_string(struct buf *b, int64_t ns)
{
        gotime_format(b, ns, STR("2006-01-02 15:04:05.999999999 -0700 MST"));
}

/* ---- methods ---- */

static TVal time_value(struct texec *x, int64_t ns)
{
        int64_t *p = arena_new(texec_env(x)->arena, int64_t);
        *p = ns;
        return (TVal){.type = &ttype_time, .p = p};
}

static int64_t ns_of(TVal t)
{
        return *(const int64_t *)t.p;
}

static int64_t add_saturated(int64_t a, int64_t b)
{
        int64_t out;
        return __builtin_add_overflow(a, b, &out) ? (a < 0 ? INT64_MIN : INT64_MAX) : out;
}

static TVal kept(struct texec *x, struct buf *b)
{
        TVal v = tval_str(arena_str(texec_env(x)->arena, buf_str(b)));
        buf_done(b);
        return v;
}

static struct error *time_format(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        struct buf b = BUF_INIT(1 << 20);
        gotime_format(&b, ns_of(args[0]), args[1].s);
        *ret = kept(x, &b);
        return NULL;
}

static struct error *time_string(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        struct buf b = BUF_INIT(1 << 10);
        gotime_string(&b, ns_of(args[0]));
        *ret = kept(x, &b);
        return NULL;
}

static int64_t floor_div(int64_t a, int64_t b)
{
        return a / b - (a % b < 0);
}

static struct error *time_unix(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = (TVal){.type = &ttype_int64, .i = floor_div(ns_of(args[0]), 1000000000)};
        return NULL;
}

static struct error *time_unix_milli(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = (TVal){.type = &ttype_int64, .i = floor_div(ns_of(args[0]), 1000000)};
        return NULL;
}

static struct error *time_unix_micro(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = (TVal){.type = &ttype_int64, .i = floor_div(ns_of(args[0]), 1000)};
        return NULL;
}

static struct error *time_unix_nano(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = (TVal){.type = &ttype_int64, .i = ns_of(args[0])};
        return NULL;
}

static struct error *time_add(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = time_value(x, add_saturated(ns_of(args[0]), args[1].i));
        return NULL;
}

static struct error *time_sub(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        int64_t d;
        if (__builtin_sub_overflow(ns_of(args[0]), ns_of(args[1]), &d))
                d = ns_of(args[0]) < 0 ? INT64_MIN : INT64_MAX;
        *ret = (TVal){.type = &ttype_duration, .i = d};
        return NULL;
}

static struct error *time_add_date(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        struct tm t;
        int64_t rest;
        broken_down(ns_of(args[0]), &t, &rest);
        for (size_t i = 1; i < 4; i++) {
                if (args[i].i > 10000 * 366 || args[i].i < -10000 * 366)
                        return error_new(ERROR_INVALID, "date out of range");
        }
        t.tm_year += (int)args[1].i;
        t.tm_mon += (int)args[2].i;
        t.tm_mday += (int)args[3].i;
        int64_t s = timegm(&t), ns;
        if (__builtin_mul_overflow(s, 1000000000, &ns))
                return error_new(ERROR_INVALID, "date out of range");
        *ret = time_value(x, add_saturated(ns, rest));
        return NULL;
}

static struct error *time_same(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = args[0];
        return NULL;
}

static struct error *time_before(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = tval_bool(ns_of(args[0]) < ns_of(args[1]));
        return NULL;
}

static struct error *time_after(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = tval_bool(ns_of(args[0]) > ns_of(args[1]));
        return NULL;
}

static struct error *time_equal(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = tval_bool(ns_of(args[0]) == ns_of(args[1]));
        return NULL;
}

static struct error *time_is_zero(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = tval_bool(false);        /* the year 1 is no time of ours */
        return NULL;
}

static int64_t rounded(int64_t v, int64_t m, bool up_half)
{
        if (m <= 0)
                return v;
        int64_t r = v % m;
        if (!up_half)
                return v - r;
        if (r < 0)
                return -r + -r < m ? v - r : add_saturated(v, -(m + r));
        return r + r < m ? v - r : add_saturated(v, m - r);
}

/* Times count from the year 1, so that they are cut to other points than durations. */
static int64_t time_cut(int64_t ns, int64_t d, bool round)
{
        const __int128 base = (__int128)62135596800 * 1000000000;
        if (d <= 0)
                return ns;
        __int128 abs = base + ns, r = abs % d;
        if (round && r + r >= d)
                return add_saturated(ns, d - (int64_t)r);
        return add_saturated(ns, -(int64_t)r);
}

static struct error *time_truncate(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = time_value(x, time_cut(ns_of(args[0]), args[1].i, false));
        return NULL;
}

static struct error *time_round(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = time_value(x, time_cut(ns_of(args[0]), args[1].i, true));
        return NULL;
}

static void month_string(TVal v, struct buf *b)
{
        buf_puts(b, v.i >= 1 && v.i <= 12 ? months[v.i - 1] : "%!Month");
}
static void weekday_string(TVal v, struct buf *b)
{
        buf_puts(b, v.i >= 0 && v.i <= 6 ? days[v.i] : "%!Weekday");
}
static struct error *name_string(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        struct buf b = BUF_INIT(64);
        args[0].type->string(args[0], &b);
        *ret = kept(x, &b);
        return NULL;
}
static const struct tfunc name_methods[] = {{"String", name_string, 0, false, {NULL}}, {NULL, NULL, 0, false, {NULL}}};
static const struct ttype ttype_month = {.name = "time.Month", .kind = TKIND_INT, .string = month_string, .methods = name_methods};
static const struct ttype ttype_weekday = {.name = "time.Weekday", .kind = TKIND_INT, .string = weekday_string, .methods = name_methods};

#define TIME_PART(name, expr, rtype)                                                                            \
        static struct error *time_##name(struct texec *x, const TVal *args, size_t n, TVal *ret)                \
        {                                                                                                       \
                struct tm t;                                                                                    \
                int64_t rest;                                                                                   \
                broken_down(ns_of(args[0]), &t, &rest);                                                         \
                *ret = (TVal){.type = &(rtype), .i = (expr)};                                                   \
                return NULL;                                                                                    \
        }
TIME_PART(year, t.tm_year + 1900, ttype_int)
TIME_PART(month, t.tm_mon + 1, ttype_month)
TIME_PART(day, t.tm_mday, ttype_int)
TIME_PART(hour, t.tm_hour, ttype_int)
TIME_PART(minute, t.tm_min, ttype_int)
TIME_PART(second, t.tm_sec, ttype_int)
TIME_PART(nanosecond, rest, ttype_int)
TIME_PART(year_day, t.tm_yday + 1, ttype_int)
TIME_PART(weekday, t.tm_wday, ttype_weekday)

static const struct tfunc time_methods[] = {
        {"Format", time_format, 1, false, {&ttype_string}}, {"String", time_string, 0, false, {NULL}}, {"Unix", time_unix, 0, false, {NULL}},
        {"UnixMilli", time_unix_milli, 0, false, {NULL}}, {"UnixMicro", time_unix_micro, 0, false, {NULL}}, {"UnixNano", time_unix_nano, 0, false, {NULL}},
        {"Add", time_add, 1, false, {&ttype_duration}}, {"Sub", time_sub, 1, false, {&ttype_time}}, {"AddDate", time_add_date, 3, false, {&ttype_int, &ttype_int, &ttype_int}},
        {"UTC", time_same, 0, false, {NULL}}, {"Local", time_same, 0, false, {NULL}}, {"Before", time_before, 1, false, {&ttype_time}},
        {"After", time_after, 1, false, {&ttype_time}}, {"Equal", time_equal, 1, false, {&ttype_time}}, {"IsZero", time_is_zero, 0, false, {NULL}},
        {"Truncate", time_truncate, 1, false, {&ttype_duration}}, {"Round", time_round, 1, false, {&ttype_duration}}, {"Year", time_year, 0, false, {NULL}},
        {"Month", time_month, 0, false, {NULL}}, {"Day", time_day, 0, false, {NULL}}, {"Hour", time_hour, 0, false, {NULL}}, {"Minute", time_minute, 0, false, {NULL}},
        {"Second", time_second, 0, false, {NULL}}, {"Nanosecond", time_nanosecond, 0, false, {NULL}}, {"YearDay", time_year_day, 0, false, {NULL}},
        {"Weekday", time_weekday, 0, false, {NULL}}, {NULL, NULL, 0, false, {NULL}},
};

static void time_as_string(TVal v, struct buf *b)
{
        gotime_string(b, ns_of(v));
}
const struct ttype ttype_time = {.name = "time.Time", .kind = TKIND_STRUCT, .methods = time_methods, .string = time_as_string};
const struct ttype ttype_time_ptr = {.name = "*time.Time", .kind = TKIND_PTR, .elem = &ttype_time};

/* ---- durations ---- */

static void duration_as_string(TVal v, struct buf *b)
{
        buf_put_go_duration(b, v.i);
}

static struct error *duration_seconds(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = tval_float((double)(args[0].i / 1000000000) + (double)(args[0].i % 1000000000) / 1e9);
        return NULL;
}

static struct error *duration_minutes(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = tval_float((double)(args[0].i / 60000000000) + (double)(args[0].i % 60000000000) / 60e9);
        return NULL;
}

static struct error *duration_hours(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = tval_float((double)(args[0].i / 3600000000000) + (double)(args[0].i % 3600000000000) / 3600e9);
        return NULL;
}

static struct error *duration_milli(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = (TVal){.type = &ttype_int64, .i = args[0].i / 1000000};
        return NULL;
}

static struct error *duration_micro(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = (TVal){.type = &ttype_int64, .i = args[0].i / 1000};
        return NULL;
}

static struct error *duration_nano(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = (TVal){.type = &ttype_int64, .i = args[0].i};
        return NULL;
}

static struct error *duration_abs(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        int64_t i = args[0].i;
        *ret = (TVal){.type = &ttype_duration, .i = i == INT64_MIN ? INT64_MAX : i < 0 ? -i : i};
        return NULL;
}

static struct error *duration_truncate(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = (TVal){.type = &ttype_duration, .i = rounded(args[0].i, args[1].i, false)};
        return NULL;
}

static struct error *duration_round(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = (TVal){.type = &ttype_duration, .i = rounded(args[0].i, args[1].i, true)};
        return NULL;
}

static const struct tfunc duration_methods[] = {
        {"String", name_string, 0, false, {NULL}}, {"Seconds", duration_seconds, 0, false, {NULL}}, {"Minutes", duration_minutes, 0, false, {NULL}},
        {"Hours", duration_hours, 0, false, {NULL}}, {"Milliseconds", duration_milli, 0, false, {NULL}}, {"Microseconds", duration_micro, 0, false, {NULL}},
        {"Nanoseconds", duration_nano, 0, false, {NULL}}, {"Abs", duration_abs, 0, false, {NULL}}, {"Truncate", duration_truncate, 1, false, {&ttype_duration}},
        {"Round", duration_round, 1, false, {&ttype_duration}}, {NULL, NULL, 0, false, {NULL}},
};
const struct ttype ttype_duration = {.name = "time.Duration", .kind = TKIND_INT, .methods = duration_methods, .string = duration_as_string};
const struct ttype ttype_duration_ptr = {.name = "*time.Duration", .kind = TKIND_PTR, .elem = &ttype_duration};
