/* SPDX-License-Identifier: Apache-2.0 */
/* Text and actions into tokens. White space inside an action is a token of its own, because "a .b" and "a.b" differ. */
#include "alert/template/node.h"
#include "codec/printable.h"
#include "codec/quote.h"

struct lexer {
        Str in;
        size_t start, pos;
        size_t counted;                 /* newlines before it are in line */
        int line;
        int parens;
        struct arena *a;
        TokenVec *out;
        bool done;
};
enum { RUNE_EOF = -1 };

static bool is_space(int32_t r)
{
        return r == ' ' || r == '\t' || r == '\r' || r == '\n';
}

/* Letters and digits. Beyond ASCII by the blocks of scripts, without the tables of Unicode. */
static bool is_alnum(int32_t r)
{
        if (r < 0x80)
                return r == '_' || (r >= '0' && r <= '9') || (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z');
        if (r < 0x100)
                return r == 0xaa || r == 0xb5 || r == 0xba || (r >= 0xc0 && r != 0xd7 && r != 0xf7);
        return (r <= 0x2c1) || (r >= 0x370 && r < 0x2000 && r != 0x37e && r != 0x387) || (r >= 0x2c00 && r < 0x2de0) || (r >= 0x3041 && r <= 0xd7ff) ||
               (r >= 0xf900 && r <= 0xfd3d) || (r >= 0xff21 && r <= 0xff3a) || (r >= 0xff41 && r <= 0xff5a) || (r >= 0x10000 && r <= 0x1efff) ||
               (r >= 0x20000 && r <= 0x323af);
}

static int32_t peek(const struct lexer *l, size_t *ret_n)
{
        uint32_t r;
        if (l->pos >= l->in.n) {
                *ret_n = 0;
                return RUNE_EOF;
        }
        size_t n = utf8_decode(str_skip(l->in, l->pos), &r);
        *ret_n = n ? n : 1;
        return n ? (int32_t)r : 0xfffd;
}

static int32_t next(struct lexer *l)
{
        size_t n;
        int32_t r = peek(l, &n);
        l->pos += n;
        return r;
}

static Str rest(const struct lexer *l)
{
        return str_skip(l->in, l->pos);
}

static int line_of(struct lexer *l, size_t pos)
{
        for (; l->counted < pos; l->counted++)
                l->line += l->in.p[l->counted] == '\n';
        return l->line;
}

static void emit(struct lexer *l, enum token_type type)
{
        vec_push(l->out, (struct token){type, l->start, str_sub(l->in, l->start, l->pos), line_of(l, l->start)});
        l->start = l->pos;
}

static void PRINTF_LIKE(2, 3) fail(struct lexer *l, const char *fmt, ...)
{
        struct buf b = BUF_INIT(1 << 16);
        va_list ap;
        va_start(ap, fmt);
        buf_vprintf(&b, fmt, ap);
        va_end(ap);
        vec_push(l->out, (struct token){TOKEN_ERROR, l->start, arena_str(l->a, buf_str(&b)), line_of(l, l->start)});
        buf_done(&b);
        l->done = true;
}

/* Go's %#U. */
static void fail_rune(struct lexer *l, const char *what, int32_t r)
{
        char utf8[5] = {0};
        if (r == RUNE_EOF) {
                fail(l, "%s U+FFFFFFFFFFFFFFFF", what);
                return;
        }
        utf8_encode((uint32_t)r, utf8);
        if (rune_is_printable((uint32_t)r))
                fail(l, "%s U+%04X '%s'", what, (unsigned)r, utf8);
        else
                fail(l, "%s U+%04X", what, (unsigned)r);
}

static bool has_left_marker(Str s)
{
        return s.n >= 2 && s.p[0] == '-' && is_space((unsigned char)s.p[1]);
}

static bool at_right_delim(const struct lexer *l, bool *ret_trim)
{
        Str s = rest(l);
        *ret_trim = s.n >= 4 && is_space((unsigned char)s.p[0]) && s.p[1] == '-' && s.p[2] == '}' && s.p[3] == '}';
        return *ret_trim || str_has_prefix(s, STR("}}"));
}

static void skip_spaces(struct lexer *l)
{
        while (l->pos < l->in.n && is_space((unsigned char)l->in.p[l->pos]))
                l->pos++;
        l->start = l->pos;
}

static void lex_comment(struct lexer *l)
{
        l->start = l->pos;
        l->pos += 2;
        ptrdiff_t end = str_find_str(rest(l), STR("*/"));
        if (end < 0) {
                fail(l, "unclosed comment");
                return;
        }
        l->pos += (size_t)end + 2;
        bool trim;
        if (!at_right_delim(l, &trim)) {
                fail(l, "comment ends before closing delimiter");
                return;
        }
        l->pos += trim ? 4 : 2;
        l->start = l->pos;
        if (trim)
                skip_spaces(l);
}

static void lex_right_delim(struct lexer *l)
{
        bool trim;
        at_right_delim(l, &trim);
        if (trim) {
                l->pos += 2;
                l->start = l->pos;
        }
        l->pos += 2;
        emit(l, TOKEN_RIGHT_DELIM);
        if (trim)
                skip_spaces(l);
}

static bool at_terminator(const struct lexer *l)
{
        size_t n;
        int32_t r = peek(l, &n);
        if (is_space(r) || r == RUNE_EOF || r == '.' || r == ',' || r == '|' || r == ':' || r == ')' || r == '(')
                return true;
        return str_has_prefix(rest(l), STR("}}"));
}

static void skip_alnum(struct lexer *l)
{
        size_t n;
        while (is_alnum(peek(l, &n)))
                l->pos += n;
}

static bool bad_end(struct lexer *l)
{
        size_t n;
        if (at_terminator(l))
                return false;
        fail_rune(l, "bad character", peek(l, &n));
        return true;
}

static void lex_identifier(struct lexer *l)
{
        static const struct {
                const char *word;
                enum token_type type;
        } words[] = {{"block", TOKEN_BLOCK}, {"break", TOKEN_BREAK}, {"continue", TOKEN_CONTINUE}, {"define", TOKEN_DEFINE}, {"else", TOKEN_ELSE}, {"end", TOKEN_END},
                     {"if", TOKEN_IF}, {"nil", TOKEN_NIL}, {"range", TOKEN_RANGE}, {"template", TOKEN_TEMPLATE}, {"with", TOKEN_WITH}, {"true", TOKEN_BOOL}, {"false", TOKEN_BOOL}};
        skip_alnum(l);
        if (bad_end(l))
                return;
        Str word = str_sub(l->in, l->start, l->pos);
        for (size_t i = 0; i < ARRAY_LEN(words); i++) {
                if (str_eq(word, str_from(words[i].word))) {
                        emit(l, words[i].type);
                        return;
                }
        }
        emit(l, TOKEN_IDENTIFIER);
}

/* The . or $ is past. */
static void lex_field_or_variable(struct lexer *l, enum token_type type)
{
        if (at_terminator(l)) {
                emit(l, type == TOKEN_VARIABLE ? TOKEN_VARIABLE : TOKEN_DOT);
                return;
        }
        skip_alnum(l);
        if (!bad_end(l))
                emit(l, type);
}

static bool accept(struct lexer *l, const char *set)
{
        if (l->pos >= l->in.n || !l->in.p[l->pos] || !strchr(set, l->in.p[l->pos]))
                return false;
        l->pos++;
        return true;
}

static bool scan_number(struct lexer *l)
{
        const char *digits = "0123456789_";
        bool hex = false, decimal = true;
        size_t n;
        accept(l, "+-");
        if (accept(l, "0")) {
                if (accept(l, "xX")) {
                        digits = "0123456789abcdefABCDEF_";
                        hex = true;
                } else if (accept(l, "oO")) {
                        digits = "01234567_";
                        decimal = false;
                } else if (accept(l, "bB")) {
                        digits = "01_";
                        decimal = false;
                }
        }
        while (accept(l, digits)) {
        }
        if (accept(l, "."))
                while (accept(l, digits)) {
                }
        if (!hex && decimal && accept(l, "eE")) {
                accept(l, "+-");
                while (accept(l, "0123456789_")) {
                }
        }
        if (hex && accept(l, "pP")) {
                accept(l, "+-");
                while (accept(l, "0123456789_")) {
                }
        }
        accept(l, "i");
        if (is_alnum(peek(l, &n))) {
                l->pos += n;
                return false;
        }
        return true;
}

static void fail_number(struct lexer *l)
{
        struct buf b = BUF_INIT(1 << 16);
        buf_put_go_quoted(&b, str_sub(l->in, l->start, l->pos));
        fail(l, "bad number syntax: %s", buf_cstr(&b));
        buf_done(&b);
}

static void lex_number(struct lexer *l)
{
        if (!scan_number(l)) {
                fail_number(l);
                return;
        }
        size_t n;
        int32_t sign = peek(l, &n);
        if (sign == '+' || sign == '-') {
                if (!scan_number(l) || l->in.p[l->pos - 1] != 'i')
                        fail_number(l);
                else
                        emit(l, TOKEN_COMPLEX);
                return;
        }
        emit(l, TOKEN_NUMBER);
}

/* The opening quote is past. */
static void lex_quoted(struct lexer *l, char quote, enum token_type type, const char *unterminated)
{
        for (;;) {
                int32_t r = next(l);
                if (r == '\\' && quote != '`') {
                        r = next(l);
                        if (r != RUNE_EOF && r != '\n')
                                continue;
                }
                if (r == RUNE_EOF || (r == '\n' && quote != '`')) {
                        fail(l, "%s", unterminated);
                        return;
                }
                if (r == quote)
                        break;
        }
        emit(l, type);
}

static void lex_spaces(struct lexer *l)
{
        size_t from = l->pos;
        while (l->pos < l->in.n && is_space((unsigned char)l->in.p[l->pos]))
                l->pos++;
        /* The last space may belong to a trim marker. */
        if (str_has_prefix(rest(l), STR("-}}"))) {
                l->pos--;
                if (l->pos == from) {
                        lex_right_delim(l);
                        return;
                }
        }
        emit(l, TOKEN_SPACE);
}

/* One token inside an action; false: its end came. */
static bool lex_inside(struct lexer *l)
{
        bool trim;
        if (at_right_delim(l, &trim)) {
                if (l->parens) {
                        fail(l, "unclosed left paren");
                        return true;
                }
                lex_right_delim(l);
                return false;
        }
        int32_t r = next(l);
        if (r == RUNE_EOF) {
                fail(l, "unclosed action");
        } else if (is_space(r)) {
                l->pos--;
                size_t before = l->out->n;
                lex_spaces(l);
                return !(l->out->n > before && l->out->p[l->out->n - 1].type == TOKEN_RIGHT_DELIM);
        } else if (r == '=') {
                emit(l, TOKEN_ASSIGN);
        } else if (r == ':') {
                if (next(l) == '=')
                        emit(l, TOKEN_DECLARE);
                else
                        fail(l, "expected :=");
        } else if (r == '|') {
                emit(l, TOKEN_PIPE);
        } else if (r == '"') {
                lex_quoted(l, '"', TOKEN_STRING, "unterminated quoted string");
        } else if (r == '`') {
                lex_quoted(l, '`', TOKEN_RAW_STRING, "unterminated raw quoted string");
        } else if (r == '\'') {
                lex_quoted(l, '\'', TOKEN_CHAR_CONSTANT, "unterminated character constant");
        } else if (r == '$') {
                lex_field_or_variable(l, TOKEN_VARIABLE);
        } else if (r == '.' && l->pos < l->in.n && (l->in.p[l->pos] < '0' || l->in.p[l->pos] > '9')) {
                lex_field_or_variable(l, TOKEN_FIELD);
        } else if (r == '.' || r == '+' || r == '-' || (r >= '0' && r <= '9')) {
                l->pos--;
                lex_number(l);
        } else if (is_alnum(r)) {
                l->pos = l->start;
                lex_identifier(l);
        } else if (r == '(') {
                l->parens++;
                emit(l, TOKEN_LEFT_PAREN);
        } else if (r == ')') {
                if (--l->parens < 0)
                        fail(l, "unexpected right paren");
                else
                        emit(l, TOKEN_RIGHT_PAREN);
        } else if (r > ' ' && r < 0x7f) {
                emit(l, TOKEN_CHAR);
        } else {
                fail_rune(l, "unrecognized character in action:", r);
        }
        return true;
}

void tmpl_lex(Str text, struct arena *a, TokenVec *ret)
{
        struct lexer l = {.in = text, .line = 1, .a = a, .out = ret};
        while (!l.done) {
                ptrdiff_t at = str_find_str(rest(&l), STR("{{"));
                if (at < 0) {
                        l.pos = text.n;
                        if (l.pos > l.start)
                                emit(&l, TOKEN_TEXT);
                        vec_push(ret, (struct token){TOKEN_EOF, l.pos, STR("EOF"), line_of(&l, l.pos)});
                        return;
                }
                size_t delim = l.pos + (size_t)at, end = delim;
                bool trim = has_left_marker(str_skip(text, delim + 2));
                while (trim && end > l.start && is_space((unsigned char)text.p[end - 1]))
                        end--;
                l.pos = end;
                if (end > l.start)
                        emit(&l, TOKEN_TEXT);
                l.start = delim;
                l.pos = delim + 2;
                if (str_has_prefix(str_skip(text, l.pos + (trim ? 2 : 0) > text.n ? text.n : l.pos + (trim ? 2 : 0)), STR("/*"))) {
                        l.pos += trim ? 2 : 0;
                        lex_comment(&l);
                        continue;
                }
                emit(&l, TOKEN_LEFT_DELIM);
                l.pos += trim ? 2 : 0;
                l.start = l.pos;
                l.parens = 0;
                while (!l.done && lex_inside(&l)) {
                }
        }
}
