/* SPDX-License-Identifier: Apache-2.0 */
#include "io/http/form.h"

#include "codec/quote.h"

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static struct error *escape_error(Str at)
{
        struct buf b = BUF_INIT(64);
        buf_put_go_quoted(&b, str_sub(at, 0, MIN(at.n, (size_t)3)));
        struct error *e = error_new(ERROR_INVALID, "invalid URL escape %s", buf_cstr(&b));
        buf_done(&b);
        return e;
}

struct error *url_unescape(Str s, enum url_part part, struct arena *a, Str *ret)
{
        size_t n_escapes = 0;
        bool plus = false;
        for (size_t i = 0; i < s.n; i++) {
                if (s.p[i] == '%') {
                        if (s.n - i < 3 || hex_digit(s.p[i + 1]) < 0 || hex_digit(s.p[i + 2]) < 0)
                                return escape_error(str_skip(s, i));
                        n_escapes++;
                        i += 2;
                } else if (s.p[i] == '+' && part == URL_QUERY) {
                        plus = true;
                }
        }
        if (!n_escapes && !plus) {
                *ret = s;
                return NULL;
        }
        char *out = arena_try_alloc(a, s.n - 2 * n_escapes + 1);
        if (!out)
                return error_new(ERROR_LIMIT, "request too large");
        size_t n = 0;
        for (size_t i = 0; i < s.n; i++) {
                if (s.p[i] == '%') {
                        out[n++] = (char)(hex_digit(s.p[i + 1]) << 4 | hex_digit(s.p[i + 2]));
                        i += 2;
                } else {
                        out[n++] = s.p[i] == '+' && part == URL_QUERY ? ' ' : s.p[i];
                }
        }
        out[n] = 0;
        *ret = (Str){out, n};
        return NULL;
}

struct error *form_parse(Str query, struct arena *a, struct http_form *form)
{
        size_t parts = 1;
        for (size_t i = 0; i < query.n; i++)
                parts += query.p[i] == '&';
        if (parts > FORM_PARAMS_MAX)
                return error_new(ERROR_INVALID, "number of URL query parameters exceeded limit");
        struct http_param *v = arena_try_alloc(a, (form->n + parts) * sizeof *v);
        if (!v)
                return error_new(ERROR_LIMIT, "request too large");
        if (form->n)
                memcpy(v, form->v, form->n * sizeof *v);
        form->v = v;
        struct error *first = NULL;
        Str part;
        while (str_next(&query, '&', &part)) {
                struct error *e = NULL;
                struct http_param p = {part, STR("")};
                if (str_find(part, ';') >= 0) { /* this one replaces a fault found before */
                        error_free(first);
                        first = error_new(ERROR_INVALID, "invalid semicolon separator in query");
                        continue;
                }
                if (!part.n)
                        continue;
                str_cut(part, '=', &p.name, &p.value);
                e = url_unescape(p.name, URL_QUERY, a, &p.name);
                if (!e)
                        e = url_unescape(p.value, URL_QUERY, a, &p.value);
                if (!e)
                        form->v[form->n++] = p;
                else if (!first)
                        first = e;
                else
                        error_free(e);
        }
        return first;
}

void url_escape(Str s, enum url_part part, struct buf *out)
{
        static const char hex[] = "0123456789ABCDEF";
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];
                bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                             (c && strchr(part == URL_QUERY ? "-_.~" : "-_.~$&+=:@", c));
                if (plain)
                        buf_putc(out, c);
                else if (c == ' ' && part == URL_QUERY)
                        buf_putc(out, '+');
                else {
                        buf_putc(out, '%');
                        buf_putc(out, hex[(unsigned char)c >> 4]);
                        buf_putc(out, hex[(unsigned char)c & 15]);
                }
        }
}
