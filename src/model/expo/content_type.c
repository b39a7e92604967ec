/* SPDX-License-Identifier: Apache-2.0 */
/* content_type.c — which format a Content-Type names.  Upstream: model/textparse/interface.go, and Go's
 * mime.ParseMediaType */
#include "codec/quote.h"
#include "model/expo/parse.h"

static bool is_token_byte(char c)
{
        return c > ' ' && c < 0x7f && !strchr("()<>@,;:\\\"/[]?=", c);
}

static Str take_token(Str *s)
{
        size_t n = 0;
        while (n < s->n && is_token_byte(s->p[n]))
                n++;
        Str t = str_sub(*s, 0, n);
        *s = str_skip(*s, n);
        return t;
}

static Str skip_space(Str s)
{
        while (s.n && (s.p[0] == ' ' || (s.p[0] >= '\t' && s.p[0] <= '\r')))
                s = str_skip(s, 1);
        return s;
}

/* A token or a quoted string; false when there is none. */
static bool take_value(Str *s, Str *ret)
{
        if (s->n == 0)
                return false;
        if (s->p[0] != '"') {
                *ret = take_token(s);
                return ret->n > 0;
        }
        for (size_t i = 1; i < s->n; i++) {
                if (s->p[i] == '"') {
                        *ret = str_sub(*s, 1, i);
                        *s = str_skip(*s, i + 1);
                        return true;
                }
                if (s->p[i] == '\\' && i + 1 < s->n)
                        i++;
                else if (s->p[i] == '\r' || s->p[i] == '\n')
                        return false;
        }
        return false;
}

/* `; name=value` */
static bool take_parameter(Str *s, Str *ret_name, Str *ret_value)
{
        Str rest = skip_space(*s);
        if (rest.n == 0 || rest.p[0] != ';')
                return false;
        rest = skip_space(str_skip(rest, 1));
        *ret_name = take_token(&rest);
        rest = skip_space(rest);
        if (ret_name->n == 0 || rest.n == 0 || rest.p[0] != '=')
                return false;
        rest = skip_space(str_skip(rest, 1));
        if (!take_value(&rest, ret_value))
                return false;
        *s = rest;
        return true;
}

/* NULL, or what is wrong with it. */
static const char *parse_media_type(Str s, Str *ret)
{
        ptrdiff_t semicolon = str_find(s, ';');
        Str base = str_trim(semicolon < 0 ? s : str_sub(s, 0, (size_t)semicolon)), rest = base;
        Str type = take_token(&rest);
        if (type.n == 0)
                return "mime: no media type";
        if (rest.n > 0) {
                if (rest.p[0] != '/')
                        return "mime: expected slash after first token";
                rest = str_skip(rest, 1);
                if (take_token(&rest).n == 0)
                        return "mime: expected token after slash";
                if (rest.n > 0)
                        return "mime: unexpected content after media subtype";
        }
        struct {
                Str name, value;
        } seen[16];
        size_t n_seen = 0;
        rest = semicolon < 0 ? (Str){NULL, 0} : str_skip(s, (size_t)semicolon);
        for (rest = skip_space(rest); rest.n > 0; rest = skip_space(rest)) {
                Str name, value;
                if (!take_parameter(&rest, &name, &value)) {
                        if (str_eq(str_trim(rest), STR(";")))
                                break;
                        return "mime: invalid media parameter";
                }
                for (size_t i = 0; i < n_seen; i++)
                        if (str_eq_nocase(seen[i].name, name) && !str_eq(seen[i].value, value))
                                return "mime: duplicate parameter name";
                if (n_seen < ARRAY_LEN(seen)) {
                        seen[n_seen].name = name;
                        seen[n_seen++].value = value;
                }
        }
        *ret = base;
        return NULL;
}

static struct error *problem(const char *before, Str content_type, const char *middle, Str fallback, const char *after)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        buf_puts(&b, before);
        if (content_type.p)
                buf_put_go_quoted(&b, content_type);
        if (fallback.n) {
                buf_puts(&b, middle);
                buf_put_go_quoted(&b, fallback);
        } else {
                buf_puts(&b, after);
        }
        struct error *e = error_new(ERROR_INVALID, "%s", buf_cstr(&b));
        buf_done(&b);
        return e;
}

static bool is_known(Str media_type)
{
        return str_eq_nocase(media_type, STR("text/plain")) ||
               str_eq_nocase(media_type, STR("application/openmetrics-text")) ||
               str_eq_nocase(media_type, STR("application/vnd.google.protobuf"));
}

struct error *expo_format_of(Str content_type, Str fallback, enum expo_format *ret, struct error **ret_warning)
{
        static const char no_fallback[] = " and no fallback_scrape_protocol specified for target",
                          use[] = ", using fallback_scrape_protocol ";
        Str media_type;
        struct error *e = NULL;
        const char *wrong = content_type.n ? parse_media_type(content_type, &media_type) : NULL;
        if (content_type.n == 0) {
                e = problem("non-compliant scrape target sending blank Content-Type", (Str){NULL, 0}, use, fallback,
                            no_fallback);
        } else if (wrong) {
                e = problem(fallback.n ? "could not parse received Content-Type " : "cannot parse Content-Type ",
                            content_type, use, fallback, " and no fallback_scrape_protocol for target");
                struct error *both = error_new(ERROR_INVALID, "%s\n%s", error_str(e), wrong);
                error_free(e);
                e = both;
        } else if (!is_known(media_type)) {
                e = problem("received unsupported Content-Type ", content_type, use, fallback, no_fallback);
        }
        if (e && fallback.n == 0)
                return e;
        if (e)
                media_type = fallback;
        if (str_eq_nocase(media_type, STR("text/plain"))) {
                *ret = EXPO_TEXT;
        } else if (str_eq_nocase(media_type, STR("application/openmetrics-text"))) {
                *ret = EXPO_OPENMETRICS;
        } else {
                *ret = EXPO_PROTOBUF;
        }
        *ret_warning = e;
        return NULL;
}
