/* SPDX-License-Identifier: Apache-2.0 */
/* go-yaml chooses a style by what the text would be read as, then libyaml's emitter lays it out: here too, with a
 * document around the scalar that puts it at the same indentation and column. */
#include <yaml.h>

#include "base/buf.h"
#include "codec/base64.h"
#include "codec/float_text.h"
#include "codec/quote.h"
#include "codec/yaml.h"

enum { MAX_LEVELS = 40, MAX_KEY_BYTES = 100 };

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static size_t take_digits(Str *s, size_t min, size_t max, int *ret)
{
        size_t n = 0;
        for (*ret = 0; n < max && n < s->n && is_digit(s->p[n]); n++)
                *ret = *ret * 10 + (s->p[n] - '0');
        *s = str_skip(*s, n);
        return n >= min ? n : 0;
}

static bool take_char(Str *s, char c)
{
        if (s->n == 0 || s->p[0] != c)
                return false;
        *s = str_skip(*s, 1);
        return true;
}

static bool take_clock(Str *s)
{
        int h, m, sec;
        if (!take_digits(s, 1, 2, &h) || !take_char(s, ':') || !take_digits(s, 1, 2, &m) || !take_char(s, ':') ||
            !take_digits(s, 1, 2, &sec))
                return false;
        if (s->n > 1 && (s->p[0] == '.' || s->p[0] == ',') && is_digit(s->p[1])) {
                *s = str_skip(*s, 1);
                while (s->n > 0 && is_digit(s->p[0]))
                        *s = str_skip(*s, 1);
        }
        return h < 24 && m < 60 && sec < 60;
}

/* 2006-1-2, and with a time: T15:4:5Z, T15:4:5+01:00, or a space and no zone. */
static bool is_timestamp(Str s)
{
        static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
        int y, m, d, h;
        if (!take_digits(&s, 4, 4, &y) || !take_char(&s, '-') || !take_digits(&s, 1, 2, &m) || !take_char(&s, '-') ||
            !take_digits(&s, 1, 2, &d))
                return false;
        bool leap = y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
        if (m < 1 || m > 12 || d < 1 || d > days[m - 1] + (leap && m == 2))
                return false;
        if (s.n == 0)
                return true;
        if (take_char(&s, ' '))
                return take_clock(&s) && s.n == 0;
        if ((!take_char(&s, 'T') && !take_char(&s, 't')) || !take_clock(&s))
                return false;
        if (take_char(&s, 'Z'))
                return s.n == 0;
        return (take_char(&s, '+') || take_char(&s, '-')) && take_digits(&s, 2, 2, &h) && take_char(&s, ':') &&
               take_digits(&s, 2, 2, &m) && s.n == 0 && h <= 24 && m < 60;
}

static bool fits_int(Str digits, unsigned base, bool sign)
{
        uint64_t v = 0;
        if (digits.n == 0)
                return false;
        for (size_t i = 0; i < digits.n; i++) {
                char c = digits.p[i], l = (char)(c | 0x20);
                unsigned d = is_digit(c) ? (unsigned)(c - '0') : l >= 'a' && l <= 'z' ? (unsigned)(l - 'a') + 10 : 99;
                if (d >= base || __builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v))
                        return false;
        }
        return !sign || v <= UINT64_C(1) << 63;
}

/* Go's ParseInt or ParseUint with base 0, and YAML's decimal floats; underscores are gone. */
static bool is_number(Str s)
{
        bool sign = s.n && (s.p[0] == '+' || s.p[0] == '-');
        Str n = sign ? str_skip(s, 1) : s;
        if (n.n > 1 && n.p[0] == '0') {
                char kind = (char)(n.p[1] | 0x20);
                unsigned base = kind == 'x' ? 16 : kind == 'b' ? 2 : kind == 'o' ? 8 : 0;
                if (base ? fits_int(str_skip(n, 2), base, sign) : fits_int(str_skip(n, 1), 8, sign))
                        return true;
        } else if (fits_int(n, 10, sign)) {
                return true;
        }
        for (size_t i = 0; i < n.n; i++)
                if (!is_digit(n.p[i]) && !strchr(".eE+-", n.p[i]))
                        return false;
        double v;
        bool range;
        return float_parse(s, &v, &range) && !range;
}

/* 1:30:00 and the like, which other readers take for numbers in base 60. */
static bool is_base60(Str s)
{
        if (s.n && (s.p[0] == '+' || s.p[0] == '-'))
                s = str_skip(s, 1);
        if (s.n == 0 || !is_digit(s.p[0]))
                return false;
        while (s.n && (is_digit(s.p[0]) || s.p[0] == '_'))
                s = str_skip(s, 1);
        int groups = 0, v;
        for (; take_char(&s, ':'); groups++)
                if (!take_digits(&s, 1, 2, &v) || v > 59)
                        return false;
        if (take_char(&s, '.'))
                while (s.n && (is_digit(s.p[0]) || s.p[0] == '_'))
                        s = str_skip(s, 1);
        return groups > 0 && s.n == 0;
}

/* Would go-yaml read it, unquoted, as something else than this string? */
static bool means_something(Str s)
{
        struct yaml y = {.type = YAML_SCALAR, .text = s, .plain = true};
        bool flag;
        if (yaml_is_null(&y) || yaml_to_bool(&y, &flag))
                return true;
        char c = s.p[0];
        if (c == '.' || c == '+' || c == '-') {
                Str word = c == '.' ? s : str_skip(s, 1);
                if (str_eq(word, STR(".inf")) || str_eq(word, STR(".Inf")) || str_eq(word, STR(".INF")))
                        return true;
        }
        if (c == '.') {
                double v;
                bool range;
                return str_eq(s, STR(".nan")) || str_eq(s, STR(".NaN")) || str_eq(s, STR(".NAN")) ||
                       (float_parse(s, &v, &range) && !range);
        }
        if (!is_digit(c) && c != '+' && c != '-')
                return false;
        if (is_timestamp(s) || is_base60(s))
                return true;
        struct buf plain = BUF_INIT(s.n);
        for (size_t i = 0; i < s.n; i++)
                if (s.p[i] != '_')
                        buf_putc(&plain, s.p[i]);
        bool number = is_number(buf_str(&plain));
        buf_done(&plain);
        return number;
}

static int append(void *to, unsigned char *p, size_t n)
{
        buf_append(to, p, n);
        return 1;
}

static void emit(yaml_emitter_t *em, yaml_event_t *event, int made)
{
        if (!made || !yaml_emitter_emit(em, event))
                bug("yaml: %s", em->problem ? em->problem : "out of memory");
}

static void emit_scalar(yaml_emitter_t *em, Str s, const char *tag, yaml_scalar_style_t style)
{
        yaml_event_t e;
        emit(em, &e,
             yaml_scalar_event_initialize(&e, NULL, (const yaml_char_t *)tag, (const yaml_char_t *)(s.p ? s.p : ""),
                                          (int)s.n, !tag, !tag, style));
}

/* Where the scalar stands. */
struct place {
        size_t levels;    /* mappings around it, two columns each */
        size_t key_bytes; /* of the key in front of it; 0: an item of a sequence, or nothing */
        bool item;
};

static struct place place_of(const struct buf *b)
{
        Str all = buf_str(b);
        ptrdiff_t nl = str_rfind(all, '\n');
        Str line = str_skip(all, (size_t)(nl + 1));
        size_t indent = 0;
        while (indent < line.n &&
               (line.p[indent] == ' ' || (line.p[indent] == '-' && indent + 1 < line.n && line.p[indent + 1] == ' ')))
                indent++;
        struct place p = {.levels = MIN(indent / 2, (size_t)MAX_LEVELS)};
        if (indent < line.n) {
                size_t column = 0;
                for (size_t i = indent; i < line.n; i++)
                        column += (line.p[i] & 0xc0) != 0x80;
                p.key_bytes = column > 2 ? MIN(column - 2, (size_t)MAX_KEY_BYTES) : 1;
        } else if (p.levels > 0) {
                p.item = true;
                p.levels--;
        }
        return p;
}

/* The same number of levels, made of sequences so that nothing but "- " is written in front. */
static void emit_around(yaml_emitter_t *em, const struct place *p, Str s, const char *tag, yaml_scalar_style_t style)
{
        static const char key[] =
                "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk";
        yaml_event_t e;
        emit(em, &e, yaml_stream_start_event_initialize(&e, YAML_UTF8_ENCODING));
        emit(em, &e, yaml_document_start_event_initialize(&e, NULL, NULL, NULL, 1));
        size_t seqs = p->levels + p->item;
        for (size_t i = 0; i < seqs; i++)
                emit(em, &e, yaml_sequence_start_event_initialize(&e, NULL, NULL, 1, YAML_BLOCK_SEQUENCE_STYLE));
        if (p->key_bytes) {
                emit(em, &e, yaml_mapping_start_event_initialize(&e, NULL, NULL, 1, YAML_BLOCK_MAPPING_STYLE));
                emit_scalar(em, (Str){key, p->key_bytes}, NULL, YAML_PLAIN_SCALAR_STYLE);
        }
        emit_scalar(em, s, tag, style);
        if (p->key_bytes)
                emit(em, &e, yaml_mapping_end_event_initialize(&e));
        for (size_t i = 0; i < seqs; i++)
                emit(em, &e, yaml_sequence_end_event_initialize(&e));
        emit(em, &e, yaml_document_end_event_initialize(&e, 1));
        em->open_ended = 0;
        emit(em, &e, yaml_stream_end_event_initialize(&e));
}

void yaml_put_scalar(struct buf *b, Str s)
{
        struct buf coded = BUF_INIT(BUF_NO_LIMIT), out = BUF_INIT(BUF_NO_LIMIT);
        const char *tag = NULL;
        bool plain = true;
        if (s.n > 1 << 26) { /* libyaml counts in int */
                buf_reserve(b, SIZE_MAX);
                return;
        }
        if (!utf8_is_valid(s)) {
                struct buf line = BUF_INIT(BUF_NO_LIMIT);
                buf_put_base64(&line, s);
                for (size_t at = 0; at < line.n; at += 70) {
                        buf_append(&coded, line.p + at, MIN((size_t)70, line.n - at));
                        if (line.n >= 70)
                                buf_putc(&coded, '\n');
                }
                buf_done(&line);
                s = buf_str(&coded);
                tag = "tag:yaml.org,2002:binary";
        } else {
                plain = !means_something(s);
        }
        yaml_scalar_style_t style = str_find(s, '\n') >= 0 ? YAML_LITERAL_SCALAR_STYLE
                                    : plain                ? YAML_PLAIN_SCALAR_STYLE
                                                           : YAML_DOUBLE_QUOTED_SCALAR_STYLE;
        struct place at = place_of(b);
        yaml_emitter_t em;
        if (!yaml_emitter_initialize(&em))
                bug("yaml: out of memory");
        yaml_emitter_set_output(&em, append, &out);
        yaml_emitter_set_unicode(&em, 1);
        emit_around(&em, &at, s, tag, style);
        yaml_emitter_delete(&em);
        size_t skip = 2 * (at.levels + at.item) + (at.key_bytes ? at.key_bytes + 2 : 0);
        Str text = str_trim_suffix(str_skip(buf_str(&out), MIN(skip, out.n)), STR("\n"));
        buf_put(b, text);
        buf_done(&out);
        buf_done(&coded);
}
