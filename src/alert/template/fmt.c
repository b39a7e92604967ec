/* SPDX-License-Identifier: Apache-2.0 */
/* Go's package fmt for the values of templates: verbs, flags, width, precision, argument indexes, and its complaints (%!d(string=a)). */
#include <ctype.h>
#include <math.h>
#include <stdio.h>

#include "alert/template/value.h"
#include "codec/float_text.h"
#include "codec/quote.h"

struct verb {
        char c;
        bool plus, minus, sharp, space, zero, plus_v, sharp_v;
        bool has_width, has_prec;
        int width, prec;
};
enum { WIDTH_MAX = 1000000, DEPTH_MAX = 100 };

static void put_value(struct buf *b, TVal v, struct verb f, int depth);

/* ---- padding ---- */

static size_t rune_count(Str s)
{
        size_t n = 0;
        uint32_t r;
        while (s.n) {
                size_t len = utf8_decode(s, &r);
                s = str_skip(s, len ? len : 1);
                n++;
        }
        return n;
}

static void put_times(struct buf *b, char c, size_t n)
{
        while (n-- > 0 && !buf_is_over(b))
                buf_putc(b, c);
}

static void put_padded(struct buf *b, Str s, struct verb f)
{
        size_t n = f.has_width ? rune_count(s) : 0, pad = f.has_width && (size_t)f.width > n ? (size_t)f.width - n : 0;
        if (!f.minus)
                put_times(b, f.zero ? '0' : ' ', pad);
        buf_put(b, s);
        if (f.minus)
                put_times(b, ' ', pad);
}

/* sign and digits: zeros go between them. */
static void put_number(struct buf *b, Str sign, Str digits, struct verb f)
{
        size_t n = sign.n + digits.n, pad = f.has_width && (size_t)f.width > n ? (size_t)f.width - n : 0;
        if (f.zero && !f.minus) {
                buf_put(b, sign);
                put_times(b, '0', pad);
                buf_put(b, digits);
                return;
        }
        if (!f.minus)
                put_times(b, ' ', pad);
        buf_put(b, sign);
        buf_put(b, digits);
        if (f.minus)
                put_times(b, ' ', pad);
}

/* ---- complaints ---- */

static void bad_verb(struct buf *b, TVal v, struct verb f, int depth)
{
        buf_printf(b, "%%!%c(", f.c);
        if (v.type) {
                buf_puts(b, v.type->name);
                buf_putc(b, '=');
                put_value(b, v, (struct verb){.c = 'v'}, depth);
        } else {
                buf_puts(b, "<nil>");
        }
        buf_putc(b, ')');
}

/* ---- integers ---- */

static void put_integer(struct buf *b, TVal v, struct verb f, int depth)
{
        bool is_signed = v.type->kind == TKIND_INT, negative = is_signed && v.i < 0;
        uint64_t u = negative ? 0 - v.u : v.u;
        unsigned base = 10;
        const char *prefix = "", *digits = "0123456789abcdef";
        char utf8[4], tmp[80], sign[8];
        size_t at = sizeof tmp, n_sign = 0;
        switch (f.c) {
        case 'v':
                if (f.sharp_v && !is_signed) {
                        base = 16;
                        prefix = "0x";
                }
                break;
        case 'd':
                break;
        case 'b':
                base = 2;
                prefix = f.sharp ? "0b" : "";
                break;
        case 'o':
        case 'O':
                base = 8;
                prefix = f.c == 'O' ? "0o" : f.sharp ? "0" : "";
                break;
        case 'X':
                digits = "0123456789ABCDEF";
                base = 16;
                prefix = f.sharp ? "0X" : "";
                break;
        case 'x':
                base = 16;
                prefix = f.sharp ? "0x" : "";
                break;
        case 'c':
                put_padded(b, (Str){utf8, utf8_encode(v.u > 0x10ffff ? 0xfffd : (uint32_t)v.u, utf8)}, f);
                return;
        case 'q': {
                struct buf q = BUF_INIT(64);
                size_t n = utf8_encode(v.u > 0x10ffff ? 0xfffd : (uint32_t)v.u, utf8);
                if (n == 1 && utf8[0] == '\'') {
                        buf_puts(&q, "'\\''");
                } else if (n == 1 && utf8[0] == '"') {
                        buf_puts(&q, "'\"'");
                } else {
                        buf_put_go_quoted(&q, (Str){utf8, n});
                        q.p[0] = q.p[q.n - 1] = '\'';
                }
                put_padded(b, buf_str(&q), f);
                buf_done(&q);
                return;
        }
        case 'U': {
                struct buf q = BUF_INIT(64);
                buf_printf(&q, "U+%04llX", (unsigned long long)v.u);
                put_padded(b, buf_str(&q), f);
                buf_done(&q);
                return;
        }
        default:
                bad_verb(b, v, f, depth);
                return;
        }
        if (f.has_prec)
                f.zero = false;
        if (!(f.has_prec && f.prec == 0 && u == 0)) {
                do {
                        tmp[--at] = digits[u % base];
                        u /= base;
                } while (u);
        }
        if (negative || f.plus || f.space)
                sign[n_sign++] = negative ? '-' : f.plus ? '+' : ' ';
        for (const char *p = prefix; *p; p++)
                sign[n_sign++] = *p;
        Str body = {tmp + at, sizeof tmp - at};
        if (f.has_prec && (size_t)f.prec > body.n) {
                struct buf q = BUF_INIT(WIDTH_MAX + 100);
                put_times(&q, '0', (size_t)f.prec - body.n);
                buf_put(&q, body);
                put_number(b, (Str){sign, n_sign}, buf_str(&q), f);
                buf_done(&q);
                return;
        }
        put_number(b, (Str){sign, n_sign}, body, f);
}

/* ---- floats ---- */

static void put_float(struct buf *b, TVal v, struct verb f, int depth)
{
        char shortest[FLOAT_TEXT_MAX_BYTES];
        struct buf t = BUF_INIT(WIDTH_MAX + 1000);
        bool special = !isfinite(v.f);
        char c = f.c == 'v' ? 'g' : f.c == 'F' ? 'f' : f.c;
        if (!strchr("eEfgG", c)) {
                if (c == 'b' || c == 'x' || c == 'X')
                        buf_printf(b, "%%!%c(float64=not supported)", f.c);
                else
                        bad_verb(b, v, f, depth);
                return;
        }
        if (special) {
                buf_puts(&t, isnan(v.f) ? "NaN" : "Inf");
                f.zero = false;
        } else if (f.has_prec || c == 'e' || c == 'E' || c == 'f') {
                char fmt[16];
                snprintf(fmt, sizeof fmt, "%%%s.*%c", f.sharp ? "#" : "", c);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
                buf_printf(&t, fmt, f.has_prec ? f.prec : 6, fabs(v.f));
#pragma GCC diagnostic pop
        } else {
                size_t n = float_print(fabs(v.f), 'g', shortest);
                buf_append(&t, shortest, n);
                for (size_t i = 0; c == 'G' && i < t.n; i++)
                        t.p[i] = (char)toupper((unsigned char)t.p[i]);
        }
        bool negative = signbit(v.f) && !isnan(v.f), plus = f.plus || (isinf(v.f) && !negative && !f.space);
        Str sign = negative ? STR("-") : plus ? STR("+") : f.space ? STR(" ") : STR("");
        put_number(b, sign, buf_str(&t), f);
        buf_done(&t);
}

/* ---- strings ---- */

static void put_hex(struct buf *b, Str s, struct verb f)
{
        const char *digits = f.c == 'x' ? "0123456789abcdef" : "0123456789ABCDEF";
        struct buf t = BUF_INIT(64 << 20);
        if (f.has_prec && (size_t)f.prec < s.n)
                s.n = (size_t)f.prec;
        for (size_t i = 0; i < s.n; i++) {
                if (i && f.space)
                        buf_putc(&t, ' ');
                if (f.sharp && (f.space || i == 0)) {
                        buf_putc(&t, '0');
                        buf_putc(&t, f.c);
                }
                buf_putc(&t, digits[(unsigned char)s.p[i] >> 4]);
                buf_putc(&t, digits[s.p[i] & 15]);
        }
        put_padded(b, buf_str(&t), f);
        buf_done(&t);
}

static Str cut_runes(Str s, struct verb f)
{
        uint32_t r;
        size_t n = 0;
        if (!f.has_prec)
                return s;
        for (int i = 0; i < f.prec && n < s.n; i++) {
                size_t len = utf8_decode(str_skip(s, n), &r);
                n += len ? len : 1;
        }
        return str_sub(s, 0, n);
}

static void put_string(struct buf *b, Str s, TVal v, struct verb f, int depth)
{
        struct buf t = BUF_INIT(64 << 20);
        switch (f.c) {
        case 'v':
                if (!f.sharp_v) {
                        put_padded(b, cut_runes(s, f), f);
                        return;
                }
                buf_put_go_quoted(&t, s);
                put_padded(b, buf_str(&t), f);
                break;
        case 's':
                put_padded(b, cut_runes(s, f), f);
                break;
        case 'q':
                s = cut_runes(s, f);
                if (f.sharp && str_find(s, '`') < 0 && str_find(s, '\n') < 0 && utf8_is_valid(s)) {
                        buf_putc(&t, '`');
                        buf_put(&t, s);
                        buf_putc(&t, '`');
                } else {
                        buf_put_go_quoted(&t, s);
                }
                put_padded(b, buf_str(&t), f);
                break;
        case 'x':
        case 'X':
                put_hex(b, s, f);
                break;
        default:
                bad_verb(b, v, f, depth);
        }
        buf_done(&t);
}

/* ---- composites ---- */

static void put_list(struct buf *b, TVal v, struct verb f, int depth)
{
        if (f.sharp_v)
                buf_printf(b, "%s{", v.type->name);
        else
                buf_putc(b, '[');
        for (size_t i = 0; i < v.list->n && !buf_is_over(b); i++) {
                buf_puts(b, i == 0 ? "" : f.sharp_v ? ", " : " ");
                put_value(b, v.list->v[i], f, depth + 1);
        }
        buf_putc(b, f.sharp_v ? '}' : ']');
}

static void put_map(struct buf *b, TVal v, struct verb f, int depth)
{
        buf_puts(b, f.sharp_v ? v.type->name : "map");
        buf_putc(b, f.sharp_v ? '{' : '[');
        for (size_t i = 0; i < v.map->n && !buf_is_over(b); i++) {
                buf_puts(b, i == 0 ? "" : f.sharp_v ? ", " : " ");
                put_value(b, tval_str(v.map->v[i].key), f, depth + 1);
                buf_putc(b, ':');
                put_value(b, v.map->v[i].value, f, depth + 1);
        }
        buf_putc(b, f.sharp_v ? '}' : ']');
}

static void put_struct(struct buf *b, TVal v, struct verb f, int depth)
{
        if (f.sharp_v)
                buf_puts(b, v.type->name);
        buf_putc(b, '{');
        for (const struct tfield *d = v.type->fields; d && d->name; d++) {
                buf_puts(b, d == v.type->fields ? "" : f.sharp_v ? ", " : " ");
                if (f.plus_v || f.sharp_v)
                        buf_printf(b, "%s:", d->name);
                put_value(b, d->get(v.p), f, depth + 1);
        }
        buf_putc(b, '}');
}

static void put_value(struct buf *b, TVal v, struct verb f, int depth)
{
        if (buf_is_over(b) || depth > DEPTH_MAX)
                return;
        if (!v.type) {
                if (f.c == 'T' || f.c == 'v')
                        put_padded(b, STR("<nil>"), f);
                else
                        bad_verb(b, v, f, depth);
                return;
        }
        if (f.c == 'T') {
                put_string(b, str_from(v.type->name), v, (struct verb){.c = 's', .has_width = f.has_width, .width = f.width, .minus = f.minus}, depth);
                return;
        }
        const struct ttype *base = v.type->kind == TKIND_PTR ? v.type->elem : v.type;
        if (base->string && !f.sharp_v && strchr("vsxXq", f.c)) {
                if (tval_is_nil_ptr(v)) {
                        put_padded(b, STR("<nil>"), f);
                        return;
                }
                struct buf t = BUF_INIT(64 << 20);
                base->string(tval_deref(v), &t);
                put_string(b, buf_str(&t), v, f, depth);
                buf_done(&t);
                return;
        }
        switch (v.type->kind) {
        case TKIND_BOOL:
                if (f.c == 't' || f.c == 'v')
                        put_padded(b, v.b ? STR("true") : STR("false"), f);
                else
                        bad_verb(b, v, f, depth);
                return;
        case TKIND_INT:
        case TKIND_UINT:
                put_integer(b, v, f, depth);
                return;
        case TKIND_FLOAT:
                put_float(b, v, f, depth);
                return;
        case TKIND_STRING:
                put_string(b, v.s, v, f, depth);
                return;
        case TKIND_LIST:
                put_list(b, v, f, depth);
                return;
        case TKIND_MAP:
                put_map(b, v, f, depth);
                return;
        case TKIND_STRUCT:
                put_struct(b, v, f, depth);
                return;
        case TKIND_PTR:
                if (!v.p) {
                        put_padded(b, STR("<nil>"), f);
                } else if (depth == 0 && (base->kind == TKIND_STRUCT || base->kind == TKIND_LIST || base->kind == TKIND_MAP)) {
                        buf_putc(b, '&');
                        put_value(b, tval_deref(v), f, depth + 1);
                } else {
                        buf_printf(b, "%p", v.p);
                }
                return;
        default:
                return;
        }
}

/* ---- Print ---- */

void tval_print(struct buf *b, TVal v)
{
        if (!v.type)
                buf_puts(b, "<no value>");
        else
                put_value(b, v, (struct verb){.c = 'v'}, 0);
}

void tval_sprint(struct buf *b, const TVal *v, size_t n)
{
        bool was_string = false;
        for (size_t i = 0; i < n; i++) {
                bool is_string = tval_kind(v[i]) == TKIND_STRING;
                if (i && !is_string && !was_string)
                        buf_putc(b, ' ');
                put_value(b, v[i], (struct verb){.c = 'v'}, 0);
                was_string = is_string;
        }
}

void tval_sprintln(struct buf *b, const TVal *v, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                buf_puts(b, i ? " " : "");
                put_value(b, v[i], (struct verb){.c = 'v'}, 0);
        }
        buf_putc(b, '\n');
}

/* ---- Printf ---- */

struct args {
        const TVal *v;
        size_t n, at;
        bool reordered, good_index;
};

/* [3] in front of a verb, width or precision. */
static size_t arg_index(struct args *a, Str format, size_t i, bool *ret_found)
{
        *ret_found = false;
        if (i >= format.n || format.p[i] != '[')
                return i;
        a->reordered = true;
        for (size_t k = i + 1; k < format.n; k++) {
                if (format.p[k] != ']')
                        continue;
                int64_t n;
                if (str_to_i64(str_sub(format, i + 1, k), &n) && n >= 1 && (uint64_t)n <= a->n) {
                        a->at = (size_t)n - 1;
                        *ret_found = true;
                } else {
                        a->good_index = false;
                }
                return k + 1;
        }
        a->good_index = false;
        return i + 1;
}

static size_t parse_number(Str s, size_t i, int *ret, bool *ret_found)
{
        int64_t n = 0;
        *ret_found = false;
        while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9') {
                n = n * 10 + (s.p[i++] - '0');
                *ret_found = true;
                if (n > WIDTH_MAX) {
                        *ret_found = false;
                        n = 0;
                        while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
                                i++;
                        break;
                }
        }
        *ret = (int)n;
        return i;
}

static bool int_from_arg(struct args *a, int *ret)
{
        if (a->at >= a->n)
                return false;
        TVal v = a->v[a->at++];
        if ((tval_kind(v) != TKIND_INT && tval_kind(v) != TKIND_UINT) || v.i > WIDTH_MAX || v.i < -WIDTH_MAX)
                return false;
        *ret = (int)v.i;
        return true;
}

static size_t put_verb(struct buf *b, Str s, size_t i, struct args *a)
{
        struct verb f = {0};
        bool after_index = false;
        a->good_index = true;
        for (; i < s.n; i++) {
                if (s.p[i] == '+')
                        f.plus = true;
                else if (s.p[i] == '-')
                        f.minus = true;
                else if (s.p[i] == '#')
                        f.sharp = true;
                else if (s.p[i] == ' ')
                        f.space = true;
                else if (s.p[i] == '0')
                        f.zero = true;
                else
                        break;
        }
        i = arg_index(a, s, i, &after_index);
        if (i < s.n && s.p[i] == '*') {
                i++;
                f.has_width = int_from_arg(a, &f.width);
                if (!f.has_width)
                        buf_puts(b, "%!(BADWIDTH)");
                if (f.width < 0) {
                        f.width = -f.width;
                        f.minus = true;
                        f.zero = false;
                }
                after_index = false;
        } else {
                i = parse_number(s, i, &f.width, &f.has_width);
                if (after_index && f.has_width)
                        a->good_index = false;
        }
        if (i + 1 <= s.n && i < s.n && s.p[i] == '.') {
                i++;
                if (after_index)
                        a->good_index = false;
                i = arg_index(a, s, i, &after_index);
                if (i < s.n && s.p[i] == '*') {
                        i++;
                        f.has_prec = int_from_arg(a, &f.prec);
                        if (f.prec < 0) {
                                f.prec = 0;
                                f.has_prec = false;
                        }
                        if (!f.has_prec)
                                buf_puts(b, "%!(BADPREC)");
                        after_index = false;
                } else {
                        i = parse_number(s, i, &f.prec, &f.has_prec);
                        f.has_prec = true;
                }
        }
        if (!after_index)
                i = arg_index(a, s, i, &after_index);
        if (i >= s.n) {
                buf_puts(b, "%!(NOVERB)");
                return i;
        }
        uint32_t r;
        size_t len = utf8_decode(str_skip(s, i), &r);
        Str verb = str_sub(s, i, i + (len ? len : 1));
        f.c = s.p[i];
        i += verb.n;
        if (f.c == '%') {
                buf_putc(b, '%');
        } else if (!a->good_index) {
                buf_printf(b, "%%!" STR_FMT "(BADINDEX)", STR_ARG(verb));
        } else if (a->at >= a->n) {
                buf_printf(b, "%%!" STR_FMT "(MISSING)", STR_ARG(verb));
        } else {
                if (f.c == 'v') {
                        f.sharp_v = f.sharp;
                        f.sharp = false;
                        f.plus_v = f.plus;
                        f.plus = false;
                }
                put_value(b, a->v[a->at++], f, 0);
        }
        return i;
}

void tval_sprintf(struct buf *b, Str s, const TVal *v, size_t n)
{
        struct args a = {.v = v, .n = n};
        for (size_t i = 0; i < s.n && !buf_is_over(b);) {
                size_t from = i;
                while (i < s.n && s.p[i] != '%')
                        i++;
                buf_put(b, str_sub(s, from, i));
                if (i < s.n)
                        i = put_verb(b, s, i + 1, &a);
        }
        if (!a.reordered && a.at < n) {
                buf_puts(b, "%!(EXTRA ");
                for (size_t k = a.at; k < n; k++) {
                        buf_puts(b, k > a.at ? ", " : "");
                        if (v[k].type)
                                buf_printf(b, "%s=", v[k].type->name);
                        put_value(b, v[k], (struct verb){.c = 'v'}, 0);
                }
                buf_putc(b, ')');
        }
}
