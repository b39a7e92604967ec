/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/parser.h"

#include <limits.h>

#include "codec/float_text.h"
#include "codec/quote.h"

static struct error *error_at(Str text, int pos, enum error_kind kind, const char *message)
{
        if (text.n == 0)
                return error_new(kind, "unknown position: parse error: %s", message);
        int line = 1, line_start = 0;
        for (int i = 0; i < pos && (size_t)i < text.n; i++) {
                if (text.p[i] == '\n') {
                        line++;
                        line_start = i + 1;
                }
        }
        return error_new(kind, "%d:%d: parse error: %s", line, pos - line_start + 1, message);
}

void parser_fail_error(struct parser *p, int pos, struct error *take_e)
{
        if (!p->err)
                p->err = error_at(p->lex.in, pos, error_get_kind(take_e), error_str(take_e));
        error_free(take_e);
}

void parser_fail(struct parser *p, int pos, const char *fmt, ...)
{
        if (p->err)
                return;
        struct buf b = BUF_INIT(BUF_NO_LIMIT); /* bounded by the input */
        va_list ap;
        va_start(ap, fmt);
        buf_vprintf(&b, fmt, ap);
        va_end(ap);
        p->err = error_at(p->lex.in, pos, ERROR_INVALID, buf_cstr(&b));
        buf_done(&b);
}

void *parser_alloc(struct parser *p, size_t n)
{
        void *m = n <= SIZE_MAX / 2 ? arena_try_alloc(p->arena, MAX(n, (size_t)1)) : NULL;
        if (m)
                memset(m, 0, n);
        else if (!p->err)
                p->err = error_new(ERROR_LIMIT, "the expression is too large for the memory of a query");
        return m;
}

enum token_type parser_peek(struct parser *p)
{
        if (p->err)
                return TOK_ERROR;
        if (p->is_peeked)
                return p->tok.type;
        do
                lexer_next(&p->lex, &p->tok);
        while (p->tok.type == TOK_COMMENT);
        p->is_peeked = true;
        switch (p->tok.type) {
        case TOK_ERROR:
                parser_fail(p, p->lex.start, STR_FMT, STR_ARG(p->tok.text));
                break;
        case TOK_RIGHT_BRACE:
        case TOK_RIGHT_PAREN:
        case TOK_RIGHT_BRACKET:
        case TOK_DURATION:
        case TOK_NUMBER:
                p->last_closing = token_range(&p->tok).end;
                break;
        default:
                break;
        }
        return p->tok.type;
}

struct token parser_take(struct parser *p)
{
        parser_skip(p);
        return p->tok;
}

void parser_unexpected_in(struct parser *p, const char *in, const char *expected)
{
        if (p->err)
                return;
        struct buf b = BUF_INIT(BUF_NO_LIMIT); /* bounded by the input */
        buf_puts(&b, "unexpected ");
        token_describe(&b, &p->tok);
        if (in)
                buf_printf(&b, " in %s", in);
        if (expected)
                buf_printf(&b, ", expected %s", expected);
        parser_fail(p, p->tok.pos, "%s", buf_cstr(&b));
        buf_done(&b);
}

void parser_unexpected(struct parser *p)
{
        parser_unexpected_in(p, p->context.in, p->context.expected);
}

bool parser_expect(struct parser *p, enum token_type t, struct token *ret)
{
        if (parser_peek(p) != t) {
                parser_unexpected(p);
                return false;
        }
        struct token got = parser_take(p);
        if (ret)
                *ret = got;
        return true;
}

void parser_fail_too_deep(struct parser *p)
{
        parser_fail(p, p->tok.pos, "expression is nested more than %d levels deep", PROMQL_DEPTH_MAX);
}

bool parser_enter(struct parser *p)
{
        if (++p->depth <= PROMQL_DEPTH_MAX)
                return true;
        parser_fail_too_deep(p);
        p->depth--;
        return false;
}

struct expr *parser_node(struct parser *p, enum expr_type type, enum value_type value, struct pos_range pos)
{
        struct expr *x = parser_alloc(p, sizeof *x);
        if (!x)
                return NULL;
        x->type = type;
        x->value = value;
        x->depth = 1;
        x->pos = pos;
        return x;
}

void parser_adopt(struct expr *x, const struct expr *child)
{
        if (child)
                x->depth = MAX(x->depth, child->depth + 1);
}

int64_t go_int64(double v)
{
        return v >= -0x1p63 && v < 0x1p63 ? (int64_t)v : INT64_MIN;
}

/* Go's ParseInt(s, 0, 64) for digits without a sign: 0x 0o 0b 0 prefixes, and underscores between digits. False: not an
 * integer or too large. */
static bool parse_go_int(Str s, int64_t *ret)
{
        unsigned base = 10;
        size_t i = 0;
        bool sep_ok = false; /* an underscore may come now */
        if (s.n > 1 && s.p[0] == '0') {
                char c = (char)(s.p[1] | 0x20);
                if (s.n > 2 && (c == 'x' || c == 'o' || c == 'b')) {
                        base = c == 'x' ? 16 : c == 'o' ? 8 : 2;
                        i = 2;
                } else {
                        base = 8;
                        i = 1;
                }
                sep_ok = true;
        }
        if (i >= s.n)
                return false;
        uint64_t v = 0;
        for (; i < s.n; i++) {
                char c = s.p[i], lower = (char)(c | 0x20);
                unsigned d;
                if (c == '_') {
                        if (!sep_ok)
                                return false;
                        sep_ok = false;
                        continue;
                }
                if (c >= '0' && c <= '9')
                        d = (unsigned)(c - '0');
                else if (lower >= 'a' && lower <= 'f')
                        d = (unsigned)(lower - 'a') + 10;
                else
                        return false;
                if (d >= base || __builtin_mul_overflow(v, (uint64_t)base, &v) || __builtin_add_overflow(v, d, &v))
                        return false;
                sep_ok = true;
        }
        if (s.p[s.n - 1] == '_' || v > INT64_MAX)
                return false;
        *ret = (int64_t)v;
        return true;
}

double parser_number(struct parser *p, Str text, int pos)
{
        int64_t i;
        if (parse_go_int(text, &i))
                return (double)i;
        double v = 0;
        bool is_out_of_range = false;
        bool ok = float_parse(text, &v, &is_out_of_range);
        if (ok && !is_out_of_range)
                return v;
        struct buf b = BUF_INIT(BUF_NO_LIMIT); /* bounded by the input */
        buf_put_go_quoted(&b, text);
        parser_fail(p, pos, "error parsing number: strconv.ParseFloat: parsing %s: %s", buf_cstr(&b),
                    ok ? "value out of range" : "invalid syntax");
        buf_done(&b);
        return 0;
}

static unsigned hex_value(char c)
{
        return c <= '9' ? (unsigned)(c - '0') : (unsigned)((c | 0x20) - 'a') + 10;
}

/* The lexer has seen that the escapes are whole, except that \u and \U may be cut by the closing quote. */
static bool unescape(Str s, char *to, size_t *ret_n)
{
        static const char letters[] = "abfnrtv\\'\"", values[] = "\a\b\f\n\r\t\v\\'\"";
        size_t n = 0;
        for (size_t i = 0; i < s.n;) {
                if (s.p[i] != '\\') {
                        to[n++] = s.p[i++];
                        continue;
                }
                if (i + 1 >= s.n)
                        return false;
                char c = s.p[i + 1];
                i += 2;
                size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
                if (c >= '0' && c <= '7') {
                        if (i + 2 > s.n)
                                return false;
                        to[n++] = (char)(((c - '0') << 6) | ((s.p[i] - '0') << 3) | (s.p[i + 1] - '0'));
                        i += 2;
                } else if (digits) {
                        if (i + digits > s.n)
                                return false;
                        uint32_t v = 0;
                        for (size_t end = i + digits; i < end; i++)
                                v = v << 4 | hex_value(s.p[i]);
                        if (c == 'x')
                                to[n++] = (char)v;
                        else
                                n += utf8_encode(v, to + n);
                } else {
                        const char *at = strchr(letters, c);
                        if (!at || !c)
                                return false;
                        to[n++] = values[at - letters];
                }
        }
        *ret_n = n;
        return true;
}

bool parser_unquote(struct parser *p, Str quoted, Str *ret)
{
        Str s = str_sub(quoted, 1, quoted.n - 1);
        if (quoted.p[0] == '`' || str_find(s, '\\') < 0) {
                char *copy = parser_alloc(p, s.n);
                if (!copy)
                        return false;
                if (s.n)
                        memcpy(copy, s.p, s.n);
                *ret = (Str){copy, s.n};
                return true;
        }
        char *text = parser_alloc(p, s.n); /* every escape is at least as long as what it stands for */
        if (!text)
                return false;
        size_t n;
        if (!unescape(s, text, &n)) {
                struct buf b = BUF_INIT(BUF_NO_LIMIT);
                buf_put_go_quoted(&b, quoted);
                parser_fail(p, p->tok.pos, "error unquoting string %s: invalid syntax", buf_cstr(&b));
                buf_done(&b);
                return false;
        }
        *ret = (Str){text, n};
        return true;
}

struct time_modifiers *expr_time_modifiers(struct expr *x)
{
        switch (x->type) {
        case EXPR_SELECTOR:
                return &x->selector.time;
        case EXPR_MATRIX:
                return &((struct expr *)x->matrix.selector)->selector.time;
        case EXPR_SUBQUERY:
                return &x->subquery.time;
        default:
                return NULL;
        }
}

void parser_init(struct parser *p, const struct promql_parse_opts *opts, Str text, struct arena *a,
                 MatcherVec *matchers, enum lex_mode mode)
{
        *p = (struct parser){.opts = opts, .arena = a, .matchers = matchers};
        lexer_init(&p->lex, text, a, mode);
        if (text.n > INT_MAX / 2)
                p->err = error_new(ERROR_LIMIT, "the expression is too long: %zu bytes", text.n);
}

struct error *promql_parse(const struct promql_parse_opts *o, Str text, struct arena *a, struct promql_tree *ret)
{
        struct parser p;
        MatcherVec matchers = VEC_INIT;
        parser_init(&p, o, text, a, &matchers, LEX_EXPRESSION);
        struct expr *x = NULL;
        if (parser_peek(&p) == TOK_EOF)
                parser_fail(&p, 0, "no expression found in input");
        else
                x = parser_expr(&p);
        if (!p.err && parser_peek(&p) != TOK_EOF)
                parser_unexpected(&p);
        if (!p.err)
                parser_check(&p, x);
        if (!p.err && x->depth > PROMQL_DEPTH_MAX)
                parser_fail_too_deep(&p);
        if (p.err) {
                matcher_vec_done(&matchers);
                return p.err;
        }
        *ret = (struct promql_tree){.root = x, .matchers = {matchers.p, matchers.n, matchers.cap}};
        return NULL;
}

void promql_tree_done(struct promql_tree *t)
{
        matcher_vec_done(&t->matchers);
        t->root = NULL;
}

struct error *promql_parse_selector(Str text, struct arena *a, MatcherVec *ret)
{
        static const struct promql_parse_opts none = {0};
        struct parser p;
        MatcherVec matchers = VEC_INIT;
        parser_init(&p, &none, text, a, &matchers, LEX_EXPRESSION);
        parser_whole_selector(&p);
        if (!p.err && parser_peek(&p) != TOK_EOF)
                parser_unexpected(&p);
        if (p.err) {
                matcher_vec_done(&matchers);
                return p.err;
        }
        *ret = matchers;
        return NULL;
}

struct error *promql_parse_match(Str text, struct arena *a, MatcherVec *ret)
{
        MatcherVec matchers = VEC_INIT;
        struct error *e = promql_parse_selector(text, a, &matchers);
        if (e)
                return e;
        for (size_t i = 0; i < matchers.n; i++) {
                if (!matcher_matches_empty(matchers.p[i])) {
                        *ret = matchers;
                        return NULL;
                }
        }
        matcher_vec_done(&matchers);
        return error_new(ERROR_INVALID, "match[] must contain at least one non-empty matcher");
}
