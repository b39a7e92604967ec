/* SPDX-License-Identifier: Apache-2.0 */
/* Members are collected on one stack for the whole text and copied into the arena when their array or object closes: a
 * tree costs its size, once. Error texts are those of Go's scanner. */
#include "codec/json.h"

#include <stdio.h>

#include "base/vec.h"
#include "codec/float_text.h"
#include "codec/quote.h"

struct parser {
        const char *start, *p, *end;
        struct arena *a;
        VEC(struct json_member) stack;
        int depth;
        struct error *error;
};

static bool fail(struct parser *x, const char *where)
{
        if (x->error)
                return false;
        /* Go's scanner ends its input with a space, which breaks numbers, escapes and literals and nothing else. */
        bool breaks =
                str_has_prefix(str_from(where), STR("in ")) || str_has_prefix(str_from(where), STR("after decimal"));
        if (x->p >= x->end && !breaks) {
                x->error = error_new(ERROR_INVALID, "unexpected end of JSON input");
                return false;
        }
        unsigned char c = x->p < x->end ? (unsigned char)*x->p : ' ';
        struct buf b = BUF_INIT(64);
        if (c == '\'') {
                buf_puts(&b, "\\'");
        } else if (c == '"') {
                buf_putc(&b, '"');
        } else { /* a byte counts as the character of that number, as in Go */
                char text[2] = {(char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f))};
                struct buf quoted = BUF_INIT(64);
                buf_put_go_quoted(&quoted, c < 0x80 ? (Str){(const char *)&c, 1} : (Str){text, 2});
                buf_append(&b, quoted.p + 1, quoted.n - 2);
                buf_done(&quoted);
        }
        x->error = error_new(ERROR_INVALID, "invalid character '" STR_FMT "' %s", STR_ARG(buf_str(&b)), where);
        buf_done(&b);
        return false;
}

static void *take(struct parser *x, size_t n)
{
        void *p = arena_try_alloc(x->a, n);
        if (!p && !x->error)
                x->error = error_new(ERROR_LIMIT, "JSON text of %zu bytes needs more memory than it is granted",
                                     (size_t)(x->end - x->start));
        return p;
}

static void skip_space(struct parser *x)
{
        while (x->p < x->end && (*x->p == ' ' || *x->p == '\n' || *x->p == '\t' || *x->p == '\r'))
                x->p++;
}

/* Eight bytes at a time up to one that ends or changes the text: a quote, a backslash, a control, or beyond ASCII. */
static void skip_plain(struct parser *x)
{
        const uint64_t ones = UINT64_C(0x0101010101010101), high = UINT64_C(0x8080808080808080);
        while (x->end - x->p >= 8) {
                uint64_t v;
                memcpy(&v, x->p, 8);
                uint64_t quote = v ^ (ones * '"'), slash = v ^ (ones * '\\');
                if ((((quote - ones) & ~quote) | ((slash - ones) & ~slash) | (v - ones * 0x20) | v) & high)
                        break;
                x->p += 8;
        }
        while (x->p < x->end && (unsigned char)*x->p >= 0x20 && (unsigned char)*x->p < 0x80 && *x->p != '"' &&
               *x->p != '\\')
                x->p++;
}

static bool parse_hex4(struct parser *x, uint32_t *ret)
{
        uint32_t v = 0;
        for (int i = 0; i < 4; i++, x->p++) {
                char c = x->p < x->end ? *x->p : 0, l = (char)(c | 0x20);
                if (c >= '0' && c <= '9')
                        v = v << 4 | (uint32_t)(c - '0');
                else if (l >= 'a' && l <= 'f')
                        v = v << 4 | (uint32_t)(l - 'a' + 10);
                else
                        return fail(x, "in \\u hexadecimal character escape");
        }
        *ret = v;
        return true;
}

/* After the backslash; to == NULL only checks. */
static bool parse_escape(struct parser *x, char **to)
{
        if (x->p >= x->end)
                return fail(x, "in string escape code");
        static const char from[] = "\"\\/bfnrt", plain[] = "\"\\/\b\f\n\r\t";
        const char *at = memchr(from, *x->p, sizeof from - 1);
        if (at) {
                x->p++;
                *(*to)++ = plain[at - from];
                return true;
        }
        if (*x->p != 'u')
                return fail(x, "in string escape code");
        x->p++;
        uint32_t r, low;
        if (!parse_hex4(x, &r))
                return false;
        if (r >= 0xd800 && r < 0xdc00 && x->end - x->p >= 6 && x->p[0] == '\\' && x->p[1] == 'u') {
                const char *before = x->p;
                x->p += 2;
                if (!parse_hex4(x, &low))
                        return false;
                if (low >= 0xdc00 && low < 0xe000)
                        r = 0x10000 + ((r - 0xd800) << 10) + (low - 0xdc00);
                else
                        x->p = before;
        }
        if (r >= 0xd800 && r < 0xe000)
                r = 0xfffd;
        *to += utf8_encode(r, *to);
        return true;
}

/* Where the closing quote stands, without judging what is between: enough to size the copy. */
static size_t raw_length(const struct parser *x)
{
        const char *p = x->p;
        while (p < x->end && *p != '"')
                p += *p == '\\' ? 2 : 1;
        return (size_t)((p < x->end ? p : x->end) - x->p);
}

static bool parse_string(struct parser *x, Str *ret)
{
        const char *from = ++x->p;
        skip_plain(x);
        /* Beyond ASCII and whole: still borrowed. */
        while (x->p < x->end && (unsigned char)*x->p >= 0x80) {
                uint32_t r;
                size_t n = utf8_decode((Str){x->p, (size_t)(x->end - x->p)}, &r);
                if (n == 0)
                        break;
                x->p += n;
                skip_plain(x);
        }
        if (x->p < x->end && *x->p == '"') {
                *ret = (Str){from, (size_t)(x->p++ - from)};
                return true;
        }
        /* A bad byte grows to three; an escape never grows. */
        size_t plain = (size_t)(x->p - from);
        char *copy = take(x, plain + 3 * raw_length(x) + 4), *to = copy;
        if (!copy)
                return false;
        memcpy(to, from, plain);
        to += plain;
        while (x->p < x->end && *x->p != '"') {
                unsigned char c = (unsigned char)*x->p;
                if (c == '\\') {
                        x->p++;
                        if (!parse_escape(x, &to))
                                return false;
                } else if (c < 0x20) {
                        return fail(x, "in string literal");
                } else {
                        uint32_t r;
                        size_t n = utf8_decode((Str){x->p, (size_t)(x->end - x->p)}, &r);
                        if (n == 0) {
                                to += utf8_encode(0xfffd, to);
                                n = 1;
                        } else {
                                memcpy(to, x->p, n);
                                to += n;
                        }
                        x->p += n;
                }
        }
        if (x->p >= x->end)
                return fail(x, "");
        x->p++;
        *ret = (Str){copy, (size_t)(to - copy)};
        return true;
}

static bool is_digit(const struct parser *x)
{
        return x->p < x->end && *x->p >= '0' && *x->p <= '9';
}

static void skip_digits(struct parser *x)
{
        while (is_digit(x))
                x->p++;
}

static bool parse_number(struct parser *x)
{
        if (*x->p == '-') {
                x->p++;
                if (!is_digit(x))
                        return fail(x, "in numeric literal");
        }
        if (*x->p == '0')
                x->p++;
        else
                skip_digits(x);
        if (x->p < x->end && *x->p == '.') {
                x->p++;
                if (!is_digit(x))
                        return fail(x, "after decimal point in numeric literal");
                skip_digits(x);
        }
        if (x->p < x->end && (*x->p == 'e' || *x->p == 'E')) {
                x->p++;
                if (x->p < x->end && (*x->p == '+' || *x->p == '-'))
                        x->p++;
                if (!is_digit(x))
                        return fail(x, "in exponent of numeric literal");
                skip_digits(x);
        }
        return true;
}

static bool parse_word(struct parser *x, const char *word)
{
        for (const char *w = word; *w; w++, x->p++) {
                if (x->p < x->end && *x->p == *w)
                        continue;
                char where[48];
                snprintf(where, sizeof where, "in literal %s (expecting '%c')", word, *w);
                return fail(x, where);
        }
        return true;
}

static bool parse_value(struct parser *x, struct json *ret);

static bool parse_member(struct parser *x, bool object)
{
        struct json_member m = {0};
        if (object) {
                if (x->p >= x->end || *x->p != '"')
                        return fail(x, "looking for beginning of object key string");
                if (!parse_string(x, &m.key))
                        return false;
                skip_space(x);
                if (x->p >= x->end || *x->p != ':')
                        return fail(x, "after object key");
                x->p++;
        }
        if (!parse_value(x, &m.value))
                return false;
        vec_push(&x->stack, m);
        return true;
}

static bool parse_members(struct parser *x, bool object, struct json *ret)
{
        if (++x->depth > JSON_DEPTH_MAX) {
                x->error = error_new(ERROR_INVALID, "exceeded max depth");
                return false;
        }
        char close = object ? '}' : ']';
        size_t base = x->stack.n;
        x->p++;
        skip_space(x);
        if (x->p < x->end && *x->p == close) {
                x->p++;
        } else {
                for (;;) {
                        if (!parse_member(x, object))
                                return false;
                        skip_space(x);
                        if (x->p < x->end && *x->p == close) {
                                x->p++;
                                break;
                        }
                        if (x->p >= x->end || *x->p != ',')
                                return fail(x, object ? "after object key:value pair" : "after array element");
                        x->p++;
                        skip_space(x);
                }
        }
        x->depth--;
        ret->n = x->stack.n - base;
        if (ret->n == 0)
                return true;
        struct json_member *members = take(x, arena_array_bytes(ret->n, sizeof *members));
        if (!members)
                return false;
        memcpy(members, x->stack.p + base, ret->n * sizeof *members);
        x->stack.n = base;
        ret->members = members;
        return true;
}

static bool parse_value(struct parser *x, struct json *ret)
{
        skip_space(x);
        if (x->p >= x->end)
                return fail(x, "");
        const char *from = x->p;
        bool ok;
        struct json j = {.type = JSON_NULL};
        switch (*from) {
        case '{':
        case '[':
                j.type = *from == '{' ? JSON_OBJECT : JSON_ARRAY;
                ok = parse_members(x, *from == '{', &j);
                break;
        case '"':
                j.type = JSON_STRING;
                ok = parse_string(x, &j.text);
                break;
        case 't':
        case 'f':
                j.type = JSON_BOOL;
                j.boolean = *from == 't';
                ok = parse_word(x, j.boolean ? "true" : "false");
                break;
        case 'n':
                ok = parse_word(x, "null");
                break;
        default:
                if (*from != '-' && !is_digit(x))
                        return fail(x, "looking for beginning of value");
                j.type = JSON_NUMBER;
                ok = parse_number(x);
                j.text = (Str){from, (size_t)(x->p - from)};
        }
        j.raw = (Str){from, (size_t)(x->p - from)};
        *ret = j;
        return ok;
}

struct error *json_parse(Str text, struct arena *a, const struct json **ret)
{
        struct parser x = {.start = text.p, .p = text.p, .end = text.p + text.n, .a = a, .stack = VEC_INIT};
        struct json *root = take(&x, sizeof *root);
        if (root && parse_value(&x, root)) {
                skip_space(&x);
                if (x.p < x.end)
                        fail(&x, "after top-level value");
        }
        vec_done(&x.stack);
        if (x.error)
                return x.error;
        *ret = root;
        return NULL;
}

const struct json *json_get(const struct json *object, Str key)
{
        if (!object || object->type != JSON_OBJECT)
                return NULL;
        for (size_t i = object->n; i-- > 0;)
                if (str_eq(object->members[i].key, key))
                        return &object->members[i].value;
        return NULL;
}

const struct json *json_at(const struct json *array, size_t i)
{
        return array && array->type == JSON_ARRAY && i < array->n ? &array->members[i].value : NULL;
}

Str json_str(const struct json *j)
{
        return j && j->type == JSON_STRING ? j->text : (Str){NULL, 0};
}

double json_f64(const struct json *j)
{
        double v = 0;
        return j && j->type == JSON_NUMBER && float_parse(j->text, &v, NULL) ? v : 0;
}

int64_t json_i64(const struct json *j)
{
        int64_t v;
        if (!j || j->type != JSON_NUMBER)
                return 0;
        if (str_to_i64(j->text, &v))
                return v;
        double d = json_f64(j);
        return d >= -9223372036854775808.0 && d < 9223372036854775808.0 ? (int64_t)d : 0;
}

bool json_bool(const struct json *j)
{
        return j && j->type == JSON_BOOL && j->boolean;
}
