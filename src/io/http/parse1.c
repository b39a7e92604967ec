/* SPDX-License-Identifier: Apache-2.0 */
#include "io/http/parse1.h"

enum { OVERHEAD_MAX = 16384 };

/* token characters of RFC 9110 5.6.2 */
static bool is_token_char(unsigned char c)
{
        static const bool is[256] = {
                ['!'] = true,         ['#'] = true,         ['$'] = true,         ['%'] = true, ['&'] = true,
                ['\''] = true,        ['*'] = true,         ['+'] = true,         ['-'] = true, ['.'] = true,
                ['^'] = true,         ['_'] = true,         ['`'] = true,         ['|'] = true, ['~'] = true,
                ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
        };
        return is[c];
}

static bool is_token(Str s)
{
        for (size_t i = 0; i < s.n; i++)
                if (!is_token_char((unsigned char)s.p[i]))
                        return false;
        return s.n > 0;
}

static bool is_field_value(Str s)
{
        for (size_t i = 0; i < s.n; i++) {
                unsigned char c = (unsigned char)s.p[i];
                if ((c < 0x20 && c != '\t') || c == 0x7f)
                        return false;
        }
        return true;
}

static Str trim_ows(Str s)
{
        while (s.n && (s.p[0] == ' ' || s.p[0] == '\t'))
                s = str_skip(s, 1);
        while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
                s.n--;
        return s;
}

enum http_method http_method_of(Str name)
{
        static const struct {
                Str name;
                enum http_method m;
        } table[] = {
                {STR_INIT("GET"), HTTP_GET},     {STR_INIT("POST"), HTTP_POST},     {STR_INIT("HEAD"), HTTP_HEAD},
                {STR_INIT("PUT"), HTTP_PUT},     {STR_INIT("DELETE"), HTTP_DELETE}, {STR_INIT("OPTIONS"), HTTP_OPTIONS},
                {STR_INIT("PATCH"), HTTP_PATCH},
        };
        for (size_t i = 0; i < ARRAY_LEN(table); i++)
                if (str_eq(name, table[i].name))
                        return table[i].m;
        return HTTP_OTHER;
}

size_t parse1_head_bytes(Str in, size_t *seen)
{
        size_t i = *seen;
        while (i < in.n) {
                const char *lf = memchr(in.p + i, '\n', in.n - i);
                if (!lf)
                        break;
                i = (size_t)(lf - in.p) + 1;
                /* An empty line behind bare LFs ends the head too: it is whole, and refused by parse1_head. */
                if (i >= 2 && (in.p[i - 2] == '\n' || (i >= 3 && in.p[i - 2] == '\r' && in.p[i - 3] == '\n')))
                        return i;
        }
        *seen = in.n;
        return 0;
}

static struct parse1_fault bad(const char *why)
{
        return (struct parse1_fault){400, why};
}

/* Takes one line off *rest, without its CRLF. */
static bool next_line(Str *rest, Str *ret)
{
        ptrdiff_t lf = str_find(*rest, '\n');
        if (lf < 1 || rest->p[lf - 1] != '\r')
                return false;
        *ret = str_sub(*rest, 0, (size_t)lf - 1);
        *rest = str_skip(*rest, (size_t)lf + 1);
        return true;
}

static struct parse1_fault parse_request_line(Str line, struct parse1_head *h)
{
        Str rest, version;
        if (!str_cut(line, ' ', &h->method_text, &rest) || !str_cut(rest, ' ', &h->target, &version))
                return bad("malformed HTTP request line");
        if (!is_token(h->method_text))
                return bad("invalid method");
        if (version.n != 8 || !str_has_prefix(version, STR("HTTP/")) || version.p[6] != '.')
                return bad("malformed HTTP version");
        if (str_eq(version, STR("HTTP/1.1")))
                h->version = 11;
        else if (str_eq(version, STR("HTTP/1.0")))
                h->version = 10;
        else
                return (struct parse1_fault){505, "unsupported protocol version"};
        h->method = http_method_of(h->method_text);
        for (size_t i = 0; i < h->target.n; i++) {
                unsigned char c = (unsigned char)h->target.p[i];
                if (c <= 0x20 || c == 0x7f)
                        return bad("invalid character in request target");
        }
        if (!h->target.n)
                return bad("malformed HTTP request line");
        Str path = h->target;
        if (path.p[0] != '/') {
                /* "http://host/path" as proxies are asked, or "*" of OPTIONS */
                ptrdiff_t at = str_find_str(path, STR("://"));
                if (at > 0) {
                        path = str_skip(path, (size_t)at + 3);
                        size_t i = 0;
                        while (i < path.n && path.p[i] != '/' && path.p[i] != '?')
                                i++;
                        path = str_skip(path, i);
                } else if (!(str_eq(path, STR("*")) && h->method == HTTP_OPTIONS)) {
                        return bad("invalid request target");
                }
        }
        Str query = STR("");
        str_cut(path, '?', &path, &query);
        h->raw_path = path.n ? path : STR("/");
        h->raw_query = query;
        return (struct parse1_fault){0};
}

static bool list_has(Str list, Str token)
{
        Str one;
        while (str_next(&list, ',', &one))
                if (str_eq_nocase(trim_ows(one), token))
                        return true;
        return false;
}

/* What the fields say about the connection and the body. */
static struct parse1_fault understand(struct parse1_head *h)
{
        size_t n_host = 0, n_length = 0, n_encoding = 0;
        bool close = false, keep = false;
        for (size_t i = 0; i < h->n_headers; i++) {
                Str name = h->headers[i].name, value = h->headers[i].value;
                switch (name.n) {
                case 4:
                        if (str_eq_nocase(name, STR("Host"))) {
                                n_host++;
                                h->host = value;
                        }
                        break;
                case 6:
                        if (str_eq_nocase(name, STR("Expect"))) {
                                if (!str_eq_nocase(value, STR("100-continue")))
                                        return (struct parse1_fault){417, NULL};
                                h->expect_continue = h->version >= 11;
                        }
                        break;
                case 10:
                        if (str_eq_nocase(name, STR("Connection"))) {
                                close = close || list_has(value, STR("close"));
                                keep = keep || list_has(value, STR("keep-alive"));
                        }
                        break;
                case 14:
                        if (str_eq_nocase(name, STR("Content-Length"))) {
                                n_length++;
                                if (value.n > 18 || !str_to_u64(value, &h->length))
                                        return bad("bad Content-Length");
                                h->has_length = true;
                        }
                        break;
                case 17:
                        if (str_eq_nocase(name, STR("Transfer-Encoding"))) {
                                n_encoding++;
                                if (!str_eq_nocase(value, STR("chunked")))
                                        return (struct parse1_fault){501, "unsupported transfer encoding"};
                                h->chunked = true;
                        }
                        break;
                }
        }
        if (n_host > 1)
                return bad("too many Host headers");
        if (h->version >= 11 && n_host == 0)
                return bad("missing required Host header");
        if (n_length > 1 || n_encoding > 1)
                return bad("repeated length of the body");
        if (h->chunked && (h->has_length || h->version < 11))
                return bad("ambiguous length of the body");
        h->keep_alive = !close && (h->version >= 11 || keep);
        return (struct parse1_fault){0};
}

struct parse1_fault parse1_head(Str bytes, struct arena *a, struct parse1_head *ret)
{
        struct parse1_head h = {0};
        Str line;
        if (!next_line(&bytes, &line))
                return bad("malformed HTTP request line");
        struct parse1_fault f = parse_request_line(line, &h);
        if (f.status)
                return f;
        size_t lines = 0;
        for (size_t i = 0; i < bytes.n; i++)
                lines += bytes.p[i] == '\n';
        if (lines > PARSE1_HEADERS_MAX + 1)
                return (struct parse1_fault){431, NULL};
        h.headers = arena_array(a, struct http_header, lines ? lines : 1);
        for (;;) {
                if (!next_line(&bytes, &line))
                        return bad("malformed header line");
                if (!line.n)
                        break;
                Str name, value;
                if (!str_cut(line, ':', &name, &value) || !is_token(name))
                        return bad("invalid header name");
                if (!is_field_value(value))
                        return bad("invalid header value");
                h.headers[h.n_headers++] = (struct http_header){name, trim_ows(value)};
        }
        if (bytes.n)
                return bad("malformed header line");
        f = understand(&h);
        if (!f.status)
                *ret = h;
        return f;
}

static int hex_digit(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t parse1_chunked_add(struct parse1_chunked *c, Str in, struct buf *body)
{
        size_t i = 0;
        while (i < in.n && c->state != PARSE1_BODY_END && !c->status) {
                char b = in.p[i];
                bool good = true;
                switch (c->state) {
                case PARSE1_SIZE: {
                        int digit = hex_digit(b);
                        if (digit >= 0) {
                                good = ++c->digits <= 16 && c->left >> 58 == 0;
                                c->left = c->left << 4 | (unsigned)digit;
                        } else if (!c->digits) {
                                good = false;
                        } else if (b == '\r') {
                                c->state = PARSE1_SIZE_LF;
                        } else {
                                good = b == ';' || b == ' ' || b == '\t';
                                c->state = PARSE1_EXTENSION;
                        }
                        i++;
                        break;
                }
                case PARSE1_EXTENSION:
                        if (b == '\r')
                                c->state = PARSE1_SIZE_LF;
                        else
                                good = ((unsigned char)b >= 0x20 || b == '\t') && ++c->overhead <= OVERHEAD_MAX;
                        i++;
                        break;
                case PARSE1_SIZE_LF:
                        good = b == '\n';
                        c->state = c->left ? PARSE1_DATA : PARSE1_TRAILER;
                        c->digits = 0;
                        i++;
                        break;
                case PARSE1_DATA: {
                        size_t n = in.n - i < c->left ? in.n - i : (size_t)c->left;
                        buf_append(body, in.p + i, n);
                        if (buf_is_over(body)) {
                                c->status = 413;
                                break;
                        }
                        i += n;
                        c->left -= n;
                        if (!c->left)
                                c->state = PARSE1_DATA_CR;
                        break;
                }
                case PARSE1_DATA_CR:
                        good = b == '\r';
                        c->state = PARSE1_DATA_LF;
                        i++;
                        break;
                case PARSE1_DATA_LF:
                        good = b == '\n';
                        c->state = PARSE1_SIZE;
                        i++;
                        break;
                case PARSE1_TRAILER: /* at the start of a line; trailers are read over */
                        good = b == '\r' || is_token_char((unsigned char)b);
                        c->state = b == '\r' ? PARSE1_END_LF : PARSE1_TRAILER_LINE;
                        i++;
                        break;
                case PARSE1_TRAILER_LINE:
                        if (b == '\r')
                                c->state = PARSE1_TRAILER_LF;
                        else
                                good = ((unsigned char)b >= 0x20 || b == '\t') && ++c->overhead <= OVERHEAD_MAX;
                        i++;
                        break;
                case PARSE1_TRAILER_LF:
                        good = b == '\n';
                        c->state = PARSE1_TRAILER;
                        i++;
                        break;
                case PARSE1_END_LF:
                        good = b == '\n';
                        c->state = PARSE1_BODY_END;
                        i++;
                        break;
                case PARSE1_BODY_END:
                        break;
                }
                if (!good)
                        c->status = 400;
        }
        return i;
}
