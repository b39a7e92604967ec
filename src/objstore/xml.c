/* SPDX-License-Identifier: Apache-2.0 */
#include "objstore/xml.h"

#include "codec/quote.h"

static struct error *broken(const struct xml *x, const char *what)
{
        return error_new(ERROR_CORRUPT, "broken XML at byte %zu: %s", x->whole.n - x->rest.n, what);
}

void xml_init(struct xml *x, Str text, struct arena *a)
{
        *x = (struct xml){.rest = text, .whole = text, .arena = a};
        if (str_has_prefix(x->rest, STR("\xef\xbb\xbf")))
                x->rest = str_skip(x->rest, 3);
}

/* name without & and ;. Zero: unknown. */
static uint32_t entity(Str name)
{
        static const struct {
                Str name;
                char c;
        } known[] = {{STR_INIT("amp"), '&'},
                     {STR_INIT("lt"), '<'},
                     {STR_INIT("gt"), '>'},
                     {STR_INIT("quot"), '"'},
                     {STR_INIT("apos"), '\''}};
        for (size_t i = 0; i < ARRAY_LEN(known); i++)
                if (str_eq(name, known[i].name))
                        return (uint32_t)known[i].c;
        if (name.n < 2 || name.n > 9 || name.p[0] != '#')
                return 0;
        bool hex = name.p[1] == 'x';
        uint32_t v = 0;
        for (size_t i = hex ? 2 : 1; i < name.n; i++) {
                char c = name.p[i];
                uint32_t d = c >= '0' && c <= '9'          ? (uint32_t)(c - '0')
                             : hex && c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                             : hex && c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                           : 99;
                if (d > 15)
                        return 0;
                v = v * (hex ? 16 : 10) + d;
                if (v > 0x10ffff)
                        return 0;
        }
        return v >= 0xd800 && v < 0xe000 ? 0 : v;
}

static struct error *decode(struct xml *x, Str raw, Str *ret)
{
        if (str_find(raw, '&') < 0) {
                *ret = raw;
                return NULL;
        }
        char *p = arena_try_alloc(x->arena, raw.n + 1);
        size_t n = 0;
        if (!p)
                return error_new(ERROR_LIMIT, "XML is too large");
        while (raw.n) {
                if (raw.p[0] != '&') {
                        p[n++] = raw.p[0];
                        raw = str_skip(raw, 1);
                        continue;
                }
                ptrdiff_t end = str_find(raw, ';');
                uint32_t c = end > 0 ? entity(str_sub(raw, 1, (size_t)end)) : 0;
                if (!c)
                        return broken(x, "unknown entity");
                n += utf8_encode(c, p + n); /* never longer than what stood there */
                raw = str_skip(raw, (size_t)end + 1);
        }
        *ret = (Str){p, n};
        return NULL;
}

/* Past the next `end`; false when there is none. */
static bool skip_past(struct xml *x, Str end)
{
        ptrdiff_t at = str_find_str(x->rest, end);
        if (at < 0)
                return false;
        x->rest = str_skip(x->rest, (size_t)at + end.n);
        return true;
}

static bool is_name_char(char c)
{
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
               c == '.' || c == ':' || (c & 0x80);
}

static Str take_name(struct xml *x)
{
        size_t n = 0;
        while (n < x->rest.n && is_name_char(x->rest.p[n]))
                n++;
        Str name = str_sub(x->rest, 0, n), prefix, local;
        x->rest = str_skip(x->rest, n);
        return str_cut(name, ':', &prefix, &local) ? local : name;
}

/* rest stands behind "<". */
static struct error *open_tag(struct xml *x, struct xml_token *ret)
{
        Str name = take_name(x);
        if (!name.n)
                return broken(x, "no name after <");
        if (x->depth == 0 && x->is_root_done)
                return broken(x, "a second root");
        if (x->depth == XML_DEPTH_MAX)
                return error_new(ERROR_LIMIT, "XML is nested deeper than %d", XML_DEPTH_MAX);
        char quote = 0, last = 0;
        size_t i = 0;
        for (; i < x->rest.n; i++) {
                char c = x->rest.p[i];
                if (quote ? c == quote : c == '"' || c == '\'')
                        quote = quote ? 0 : c;
                else if (!quote && c == '>')
                        break;
                else if (!quote && c == '<')
                        return broken(x, "< inside a tag");
                last = c;
        }
        if (i == x->rest.n)
                return broken(x, "a tag without end");
        x->rest = str_skip(x->rest, i + 1);
        x->is_self_closed = last == '/';
        x->stack[x->depth++] = name;
        *ret = (struct xml_token){XML_OPEN, name, STR(""), x->depth};
        return NULL;
}

static struct error *close_tag(struct xml *x, Str text, struct xml_token *ret)
{
        Str name = take_name(x);
        while (x->rest.n &&
               (x->rest.p[0] == ' ' || x->rest.p[0] == '\n' || x->rest.p[0] == '\t' || x->rest.p[0] == '\r'))
                x->rest = str_skip(x->rest, 1);
        if (!x->rest.n || x->rest.p[0] != '>')
                return broken(x, "a closing tag without >");
        if (x->depth == 0 || !str_eq(x->stack[x->depth - 1], name))
                return broken(x, "a closing tag that matches none");
        x->rest = str_skip(x->rest, 1);
        *ret = (struct xml_token){XML_CLOSE, name, text, x->depth};
        if (--x->depth == 0)
                x->is_root_done = true;
        return NULL;
}

/* Joins the pieces that comments and CDATA leave. */
static struct error *append(struct xml *x, Str *text, Str piece)
{
        if (!text->n || !piece.n) {
                *text = text->n ? *text : piece;
                return NULL;
        }
        char *p = arena_try_alloc(x->arena, text->n + piece.n);
        if (!p)
                return error_new(ERROR_LIMIT, "XML is too large");
        memcpy(p, text->p, text->n);
        memcpy(p + text->n, piece.p, piece.n);
        *text = (Str){p, text->n + piece.n};
        return NULL;
}

struct error *xml_next(struct xml *x, struct xml_token *ret)
{
        if (x->is_self_closed) {
                x->is_self_closed = false;
                *ret = (struct xml_token){XML_CLOSE, x->stack[x->depth - 1], STR(""), x->depth};
                if (--x->depth == 0)
                        x->is_root_done = true;
                return NULL;
        }
        Str text = STR("");
        for (;;) {
                ptrdiff_t lt = str_find(x->rest, '<');
                Str raw = lt < 0 ? x->rest : str_sub(x->rest, 0, (size_t)lt), piece;
                if (x->depth == 0 && str_trim(raw).n)
                        return broken(x, "text outside of the root");
                struct error *e = decode(x, raw, &piece);
                if (!e)
                        e = append(x, &text, piece);
                if (e)
                        return e;
                if (lt < 0) {
                        x->rest = str_skip(x->rest, x->rest.n);
                        if (x->depth || !x->is_root_done)
                                return broken(x, "it ends too early");
                        *ret = (struct xml_token){.type = XML_END};
                        return NULL;
                }
                x->rest = str_skip(x->rest, (size_t)lt + 1);
                if (str_has_prefix(x->rest, STR("?"))) {
                        if (!skip_past(x, STR("?>")))
                                return broken(x, "an instruction without end");
                } else if (str_has_prefix(x->rest, STR("!--"))) {
                        x->rest = str_skip(x->rest, 3);
                        if (!skip_past(x, STR("-->")))
                                return broken(x, "a comment without end");
                } else if (str_has_prefix(x->rest, STR("![CDATA[")) && x->depth) {
                        Str from = str_skip(x->rest, 8);
                        if (!skip_past(x, STR("]]>")))
                                return broken(x, "a CDATA section without end");
                        e = append(x, &text, (Str){from.p, from.n - x->rest.n - 3});
                        if (e)
                                return e;
                } else if (str_has_prefix(x->rest, STR("!"))) {
                        return broken(x, "a DOCTYPE is not taken");
                } else if (str_has_prefix(x->rest, STR("/"))) {
                        x->rest = str_skip(x->rest, 1);
                        return close_tag(x, text, ret);
                } else {
                        return open_tag(x, ret);
                }
        }
}

struct error *xml_child(Str text, struct arena *a, Str root, Str child, Str *ret)
{
        struct xml x;
        struct xml_token t;
        struct error *e;
        Str found = STR("");
        bool is_found = false;
        xml_init(&x, text, a);
        while (!(e = xml_next(&x, &t)) && t.type != XML_END) {
                if (t.depth == 1 && !str_eq(t.name, root))
                        return error_new(ERROR_CORRUPT, "broken XML: the root is %.*s, not " STR_FMT,
                                         (int)MIN(t.name.n, (size_t)40), t.name.p, STR_ARG(root));
                if (t.depth == 2 && t.type == XML_CLOSE && str_eq(t.name, child) && !is_found) {
                        found = t.text;
                        is_found = true;
                }
        }
        if (!e)
                *ret = found;
        return e;
}
