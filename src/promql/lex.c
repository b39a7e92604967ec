/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/lex.h"

#include "codec/quote.h"

enum { RUNE_EOF = -1, RUNE_ERROR = 0xfffd };

static const struct keyword {
        Str word;
        enum token_type type;
} keywords[] = {
        {STR_INIT("and"), TOK_AND},
        {STR_INIT("or"), TOK_OR},
        {STR_INIT("unless"), TOK_UNLESS},
        {STR_INIT("atan2"), TOK_ATAN2},
        {STR_INIT("sum"), TOK_SUM},
        {STR_INIT("avg"), TOK_AVG},
        {STR_INIT("count"), TOK_COUNT},
        {STR_INIT("min"), TOK_MIN},
        {STR_INIT("max"), TOK_MAX},
        {STR_INIT("group"), TOK_GROUP},
        {STR_INIT("stddev"), TOK_STDDEV},
        {STR_INIT("stdvar"), TOK_STDVAR},
        {STR_INIT("topk"), TOK_TOPK},
        {STR_INIT("bottomk"), TOK_BOTTOMK},
        {STR_INIT("count_values"), TOK_COUNT_VALUES},
        {STR_INIT("quantile"), TOK_QUANTILE},
        {STR_INIT("limitk"), TOK_LIMITK},
        {STR_INIT("limit_ratio"), TOK_LIMIT_RATIO},
        {STR_INIT("offset"), TOK_OFFSET},
        {STR_INIT("smoothed"), TOK_SMOOTHED},
        {STR_INIT("anchored"), TOK_ANCHORED},
        {STR_INIT("by"), TOK_BY},
        {STR_INIT("without"), TOK_WITHOUT},
        {STR_INIT("on"), TOK_ON},
        {STR_INIT("ignoring"), TOK_IGNORING},
        {STR_INIT("group_left"), TOK_GROUP_LEFT},
        {STR_INIT("group_right"), TOK_GROUP_RIGHT},
        {STR_INIT("fill"), TOK_FILL},
        {STR_INIT("fill_left"), TOK_FILL_LEFT},
        {STR_INIT("fill_right"), TOK_FILL_RIGHT},
        {STR_INIT("bool"), TOK_BOOL},
        {STR_INIT("start"), TOK_START},
        {STR_INIT("end"), TOK_END},
        {STR_INIT("step"), TOK_STEP},
        {STR_INIT("range"), TOK_RANGE},
        {STR_INIT("max_of"), TOK_MAX_OF},
        {STR_INIT("min_of"), TOK_MIN_OF},
        {STR_INIT("inf"), TOK_NUMBER},
        {STR_INIT("nan"), TOK_NUMBER},
};

static bool is_space(int32_t r)
{
        return r == ' ' || r == '\t' || r == '\n' || r == '\r';
}

static bool is_digit(int32_t r)
{
        return r >= '0' && r <= '9';
}

static bool is_alpha(int32_t r)
{
        return r == '_' || (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z');
}

static bool is_alnum(int32_t r)
{
        return is_alpha(r) || is_digit(r);
}

static bool starts_duration_word(int32_t r)
{
        return r == 's' || r == 'S' || r == 'r' || r == 'R' || r == 'm' || r == 'M';
}

static int32_t next(struct lexer *l)
{
        if ((size_t)l->pos >= l->in.n) {
                l->width = 0;
                return RUNE_EOF;
        }
        unsigned char c = (unsigned char)l->in.p[l->pos];
        uint32_t rune = c;
        size_t n = 1;
        if (c >= 0x80) {
                n = utf8_decode(str_skip(l->in, (size_t)l->pos), &rune);
                if (n == 0) {
                        n = 1;
                        rune = RUNE_ERROR;
                }
        }
        l->width = (int)n;
        l->pos += l->width;
        return (int32_t)rune;
}

/* Once after each next(). */
static void backup(struct lexer *l)
{
        l->pos -= l->width;
}

static int32_t peek(struct lexer *l)
{
        int32_t r = next(l);
        backup(l);
        return r;
}

static Str pending(const struct lexer *l)
{
        return str_sub(l->in, (size_t)l->start, (size_t)l->pos);
}

static void emit(struct lexer *l, enum token_type t)
{
        *l->out = (struct token){.type = t, .pos = l->start, .text = pending(l)};
        l->start = l->pos;
        l->scanned = true;
}

static enum lex_state emit_then(struct lexer *l, enum token_type t, enum lex_state state)
{
        emit(l, t);
        return state;
}

static bool accept(struct lexer *l, const char *set)
{
        int32_t r = next(l);
        if (r > 0 && r < 0x80 && strchr(set, (char)r))
                return true;
        backup(l);
        return false;
}

static bool is_next(struct lexer *l, const char *set)
{
        int32_t r = peek(l);
        return r > 0 && r < 0x80 && strchr(set, (char)r) != NULL;
}

static size_t encode_rune(int32_t r, char ret[4])
{
        if (r < 0 || r > 0x10ffff || (r >= 0xd800 && r < 0xe000))
                r = RUNE_ERROR;
        if (r < 0x80) {
                ret[0] = (char)r;
                return 1;
        }
        if (r < 0x800) {
                ret[0] = (char)(0xc0 | (r >> 6));
                ret[1] = (char)(0x80 | (r & 0x3f));
                return 2;
        }
        if (r < 0x10000) {
                ret[0] = (char)(0xe0 | (r >> 12));
                ret[1] = (char)(0x80 | ((r >> 6) & 0x3f));
                ret[2] = (char)(0x80 | (r & 0x3f));
                return 3;
        }
        ret[0] = (char)(0xf0 | (r >> 18));
        ret[1] = (char)(0x80 | ((r >> 12) & 0x3f));
        ret[2] = (char)(0x80 | ((r >> 6) & 0x3f));
        ret[3] = (char)(0x80 | (r & 0x3f));
        return 4;
}

/* A rune between single quotes, as Go's %q. */
static void put_quoted_rune(struct buf *b, int32_t r)
{
        if (r == '\'' || r == '"') {
                buf_puts(b, r == '"' ? "'\"'" : "'\\''");
                return;
        }
        char utf8[4];
        size_t at = b->n;
        buf_put_go_quoted(b, (Str){utf8, encode_rune(r, utf8)});
        if (!buf_is_over(b))
                b->p[at] = b->p[b->n - 1] = '\'';
}

/* As Go's %#U: U+0063 'c', without the character if it does not print. */
static void put_code_point(struct buf *b, int32_t r)
{
        buf_printf(b, "U+%04X", (unsigned)r);
        char utf8[4];
        Str plain = {utf8, encode_rune(r, utf8)};
        struct buf quoted = BUF_INIT(32);
        buf_put_go_quoted(&quoted, plain);
        if (quoted.n == plain.n + 2 || r == '"' || r == '\\') {
                buf_puts(b, " '");
                buf_put(b, plain);
                buf_putc(b, '\'');
        }
        buf_done(&quoted);
}

static enum lex_state fail_with(struct lexer *l, const char *before, void (*put)(struct buf *b, int32_t r), int32_t r,
                                const char *after)
{
        struct buf b = BUF_INIT(sizeof l->message);
        buf_puts(&b, before);
        if (put)
                put(&b, r);
        buf_puts(&b, after);
        memcpy(l->message, b.p, b.n);
        *l->out = (struct token){.type = TOK_ERROR, .pos = l->start, .text = {l->message, b.n}};
        buf_done(&b);
        l->scanned = true;
        return LEX_END;
}

static enum lex_state fail(struct lexer *l, const char *message)
{
        return fail_with(l, message, NULL, 0, "");
}

static enum lex_state fail_rune(struct lexer *l, const char *before, int32_t r)
{
        return fail_with(l, before, put_quoted_rune, r, "");
}

/* The text scanned so far, quoted, after the message. */
static enum lex_state fail_pending(struct lexer *l, const char *before)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT); /* bounded by the input */
        buf_puts(&b, before);
        buf_put_go_quoted(&b, pending(l));
        char *text = arena_try_alloc(l->arena, b.n);
        *l->out = (struct token){.type = TOK_ERROR, .pos = l->start, .text = STR("bad number syntax")};
        if (text) {
                memcpy(text, b.p, b.n);
                l->out->text = (Str){text, b.n};
        }
        buf_done(&b);
        l->scanned = true;
        return LEX_END;
}

static void skip_spaces(struct lexer *l)
{
        while (is_space(peek(l)))
                next(l);
        l->start = l->pos;
}

static enum lex_state lex_line_comment(struct lexer *l)
{
        l->pos++;
        int32_t r = next(l);
        while (r != '\r' && r != '\n' && r != RUNE_EOF)
                r = next(l);
        backup(l);
        return emit_then(l, TOK_COMMENT, LEX_STATEMENTS);
}

static unsigned digit_value(int32_t r)
{
        if (r >= '0' && r <= '9')
                return (unsigned)(r - '0');
        if (r >= 'a' && r <= 'f')
                return (unsigned)(r - 'a') + 10;
        if (r >= 'A' && r <= 'F')
                return (unsigned)(r - 'A') + 10;
        return 16;
}

/* After the backslash. False: it failed. */
static bool lex_escape(struct lexer *l, int32_t quote)
{
        int n;
        uint32_t base = 16, max = 0x10ffff;
        int32_t ch = next(l);
        switch (ch) {
        case 'a':
        case 'b':
        case 'f':
        case 'n':
        case 'r':
        case 't':
        case 'v':
        case '\\':
                return true;
        case '0':
        case '1':
        case '2':
        case '3':
        case '4':
        case '5':
        case '6':
        case '7':
                n = 3;
                base = 8;
                max = 255;
                break;
        case 'x':
                n = 2;
                max = 255;
                ch = next(l);
                break;
        case 'u':
                n = 4;
                ch = next(l);
                break;
        case 'U':
                n = 8;
                ch = next(l);
                break;
        case RUNE_EOF:
                fail(l, "escape sequence not terminated");
                return false;
        default:
                if (ch == quote)
                        return true;
                fail_with(l, "unknown escape sequence ", put_code_point, ch, "");
                return false;
        }
        uint32_t x = 0;
        while (n > 0) {
                unsigned d = digit_value(ch);
                if (d >= base) {
                        if (ch == RUNE_EOF)
                                fail(l, "escape sequence not terminated");
                        else
                                fail_with(l, "illegal character ", put_code_point, ch, " in escape sequence");
                        return false;
                }
                x = x * base + d;
                if (--n > 0)
                        ch = next(l);
        }
        if (x > max || (x >= 0xd800 && x < 0xe000)) {
                fail(l, "escape sequence is an invalid Unicode code point");
                return false;
        }
        return true;
}

/* After the opening quote. */
static enum lex_state lex_string(struct lexer *l, int32_t quote)
{
        for (;;) {
                int32_t r = next(l);
                if (r == quote)
                        return emit_then(l, TOK_STRING, LEX_STATEMENTS);
                if (r == '\\') {
                        if (!lex_escape(l, quote))
                                return LEX_END;
                } else if (r == RUNE_ERROR) {
                        return fail(l, "invalid UTF-8 rune");
                } else if (r == RUNE_EOF || r == '\n') {
                        return fail(l, "unterminated quoted string");
                }
        }
}

static enum lex_state lex_raw_string(struct lexer *l)
{
        for (;;) {
                int32_t r = next(l);
                if (r == '`')
                        return emit_then(l, TOK_STRING, LEX_STATEMENTS);
                if (r == RUNE_ERROR)
                        return fail(l, "invalid UTF-8 rune");
                if (r == RUNE_EOF)
                        return fail(l, "unterminated raw string");
        }
}

/* Takes what looks like a number; whether it is one, the parser sees. */
static bool scan_number(struct lexer *l)
{
        int initial = l->pos;
        const char *digits = "0123456789", *all = "0123456789._eE";
        bool hex = false;
        if (!l->series && accept(l, "0") && accept(l, "xX")) { /* 2x3 is a repetition in series lines */
                accept(l, "_");
                digits = "0123456789abcdefABCDEF";
                all = "0123456789abcdefABCDEF._";
                hex = true;
        }
        accept(l, ".");
        accept(l, digits);
        bool dot = false, exponent = false;
        while (is_next(l, all)) {
                if (is_next(l, ".") && dot) {
                        accept(l, ".");
                        return false;
                }
                if (is_next(l, "eE") && exponent) {
                        accept(l, "eE");
                        return false;
                }
                if (accept(l, ".")) {
                        dot = true;
                        if (accept(l, "_.") || hex)
                                return false;
                        continue;
                }
                /* Hexadecimal digits e and E count as exponents here too: 0x1e+2 is one token upstream. */
                if (accept(l, "eE")) {
                        exponent = true;
                        accept(l, "+-");
                        if (accept(l, "._eE") || peek(l) == RUNE_EOF)
                                return false;
                        continue;
                }
                if (accept(l, "_")) {
                        if (accept(l, "._eE") || peek(l) == RUNE_EOF)
                                return false;
                        continue;
                }
                while (accept(l, digits))
                        ;
        }
        if (l->pos == initial)
                return false;
        int32_t r = peek(l);
        return (l->series && r == 'x') || !is_alnum(r);
}

static bool accept_remaining_duration(struct lexer *l)
{
        if (!accept(l, "smhdwy"))
                return false;
        accept(l, "s"); /* ms; hs and the like are refused when the duration is parsed */
        while (accept(l, "0123456789")) {
                while (accept(l, "0123456789"))
                        ;
                if (!accept(l, "smhdw"))
                        return false;
                accept(l, "s");
        }
        return !is_alnum(next(l));
}

static enum lex_state lex_number_or_duration(struct lexer *l)
{
        if (scan_number(l))
                return emit_then(l, TOK_NUMBER, LEX_STATEMENTS);
        if (accept_remaining_duration(l)) {
                backup(l);
                return emit_then(l, TOK_DURATION, LEX_STATEMENTS);
        }
        return fail_pending(l, "bad number or duration syntax: ");
}

static const struct keyword *keyword_find(Str word)
{
        for (size_t i = 0; i < ARRAY_LEN(keywords); i++)
                if (keywords[i].word.n == word.n && str_eq_nocase(keywords[i].word, word))
                        return &keywords[i];
        return NULL;
}

/* Takes letters; true if they are a word of duration expressions, which is emitted. */
static bool scan_duration_word(struct lexer *l)
{
        while (is_alpha(next(l)))
                ;
        backup(l);
        const struct keyword *k = keyword_find(pending(l));
        if (!k || (k->type != TOK_STEP && k->type != TOK_RANGE && k->type != TOK_MAX_OF && k->type != TOK_MIN_OF))
                return false;
        emit(l, k->type);
        return true;
}

static bool is_followed_by_left_paren(const struct lexer *l)
{
        size_t i = (size_t)l->pos;
        while (i < l->in.n && is_space((unsigned char)l->in.p[i]))
                i++;
        return i < l->in.n && l->in.p[i] == '(';
}

static enum lex_state lex_keyword_or_identifier(struct lexer *l)
{
        int32_t r;
        do
                r = next(l);
        while (is_alnum(r) || r == ':');
        backup(l);
        Str word = pending(l);
        const struct keyword *k = keyword_find(word);
        /* fill is a word of its own only before a parenthesis, so that metrics may be called so. */
        if (k && (k->type == TOK_FILL || k->type == TOK_FILL_LEFT || k->type == TOK_FILL_RIGHT) &&
            !is_followed_by_left_paren(l))
                k = NULL;
        if (k)
                emit(l, k->type);
        else
                emit(l, str_find(word, ':') < 0 ? TOK_IDENTIFIER : TOK_METRIC_IDENTIFIER);
        return l->series && peek(l) != '{' ? LEX_VALUES : LEX_STATEMENTS;
}

static enum lex_state lex_braces(struct lexer *l)
{
        if (peek(l) == '#')
                return lex_line_comment(l);
        int32_t r = next(l);
        switch (r) {
        case RUNE_EOF:
                return fail(l, "unexpected end of input inside braces");
        case ',':
                return emit_then(l, TOK_COMMA, LEX_BRACES);
        case '"':
        case '\'':
                return lex_string(l, r);
        case '`':
                return lex_raw_string(l);
        case '=':
                if (next(l) == '~')
                        return emit_then(l, TOK_EQL_REGEX, LEX_BRACES);
                backup(l);
                return emit_then(l, TOK_EQL, LEX_BRACES);
        case '!':
                r = next(l);
                if (r == '~')
                        return emit_then(l, TOK_NEQ_REGEX, LEX_BRACES);
                if (r == '=')
                        return emit_then(l, TOK_NEQ, LEX_BRACES);
                return fail_rune(l, "unexpected character after '!' inside braces: ", r);
        case '{':
                return fail_rune(l, "unexpected left brace ", r);
        case '}':
                emit(l, TOK_RIGHT_BRACE);
                l->brace_open = false;
                return l->series ? LEX_VALUES : LEX_STATEMENTS;
        default:
                break;
        }
        if (is_space(r)) {
                skip_spaces(l);
                return LEX_STATEMENTS;
        }
        if (is_alpha(r)) {
                while (is_alnum(next(l)))
                        ;
                backup(l);
                return emit_then(l, TOK_IDENTIFIER, LEX_STATEMENTS);
        }
        return fail_rune(l, "unexpected character inside braces: ", r);
}

/* Directly after a left bracket and until its first number; then lex_statements goes on. */
static enum lex_state lex_duration_expr(struct lexer *l)
{
        int32_t r = next(l);
        switch (r) {
        case RUNE_EOF:
                return fail(l, "unexpected end of input in duration expression");
        case ']':
                emit(l, TOK_RIGHT_BRACKET);
                l->bracket_open = l->got_colon = false;
                return LEX_STATEMENTS;
        case ':':
                emit(l, TOK_COLON);
                if (!l->got_duration)
                        return fail(l, "unexpected colon before duration in duration expression");
                if (l->got_colon)
                        return fail(l, "unexpected repeated colon in duration expression");
                l->got_colon = true;
                return LEX_DURATION_EXPR;
        case '(':
                emit(l, TOK_LEFT_PAREN);
                l->paren_depth++;
                return LEX_DURATION_EXPR;
        case ')':
                emit(l, TOK_RIGHT_PAREN);
                if (--l->paren_depth < 0)
                        return fail_rune(l, "unexpected right parenthesis ", r);
                return LEX_DURATION_EXPR;
        case '+':
                return emit_then(l, TOK_ADD, LEX_DURATION_EXPR);
        case '-':
                return emit_then(l, TOK_SUB, LEX_DURATION_EXPR);
        case '*':
                return emit_then(l, TOK_MUL, LEX_DURATION_EXPR);
        case '/':
                return emit_then(l, TOK_DIV, LEX_DURATION_EXPR);
        case '%':
                return emit_then(l, TOK_MOD, LEX_DURATION_EXPR);
        case '^':
                return emit_then(l, TOK_POW, LEX_DURATION_EXPR);
        case ',':
                return emit_then(l, TOK_COMMA, LEX_DURATION_EXPR);
        default:
                break;
        }
        if (is_space(r)) {
                skip_spaces(l);
                return LEX_DURATION_EXPR;
        }
        if (starts_duration_word(r) && scan_duration_word(l))
                return LEX_DURATION_EXPR;
        if (is_digit(r) || (r == '.' && is_digit(peek(l)))) {
                backup(l);
                l->got_duration = true;
                return lex_number_or_duration(l);
        }
        return fail_rune(l, "unexpected character in duration expression: ", r);
}

static enum lex_state lex_word(struct lexer *l, int32_t r)
{
        if (!l->bracket_open) {
                backup(l);
                return lex_keyword_or_identifier(l);
        }
        if (r == ':') {
                if (l->got_colon)
                        return fail_rune(l, "unexpected colon ", r);
                emit(l, TOK_COLON);
                l->got_colon = true;
                return LEX_STATEMENTS;
        }
        if (starts_duration_word(r) && scan_duration_word(l))
                return LEX_STATEMENTS;
        return fail_with(l, "unexpected character: ", put_quoted_rune, r, ", expected ':'");
}

static enum lex_state lex_statements(struct lexer *l)
{
        if (l->brace_open)
                return lex_braces(l);
        if (peek(l) == '#')
                return lex_line_comment(l);
        int32_t r = next(l), t;
        switch (r) {
        case RUNE_EOF:
                if (l->paren_depth != 0)
                        return fail(l, "unclosed left parenthesis");
                if (l->bracket_open)
                        return fail(l, "unclosed left bracket");
                return emit_then(l, TOK_EOF, LEX_END);
        case ',':
                return emit_then(l, TOK_COMMA, LEX_STATEMENTS);
        case '*':
                return emit_then(l, TOK_MUL, LEX_STATEMENTS);
        case '/':
                return emit_then(l, TOK_DIV, LEX_STATEMENTS);
        case '%':
                return emit_then(l, TOK_MOD, LEX_STATEMENTS);
        case '+':
                return emit_then(l, TOK_ADD, LEX_STATEMENTS);
        case '-':
                return emit_then(l, TOK_SUB, LEX_STATEMENTS);
        case '^':
                return emit_then(l, TOK_POW, LEX_STATEMENTS);
        case '=':
                t = peek(l);
                if (t == '~')
                        return fail_rune(l, "unexpected character after '=': ", t);
                return emit_then(l, accept(l, "=") ? TOK_EQLC : TOK_EQL, LEX_STATEMENTS);
        case '!':
                t = next(l);
                if (t != '=')
                        return fail_rune(l, "unexpected character after '!': ", t);
                return emit_then(l, TOK_NEQ, LEX_STATEMENTS);
        case '<':
                return emit_then(l,
                                 accept(l, "=")   ? TOK_LTE
                                 : accept(l, "/") ? TOK_TRIM_UPPER
                                                  : TOK_LSS,
                                 LEX_STATEMENTS);
        case '>':
                return emit_then(l,
                                 accept(l, "=")   ? TOK_GTE
                                 : accept(l, "/") ? TOK_TRIM_LOWER
                                                  : TOK_GTR,
                                 LEX_STATEMENTS);
        case '"':
        case '\'':
                return lex_string(l, r);
        case '`':
                return lex_raw_string(l);
        case '(':
                emit(l, TOK_LEFT_PAREN);
                l->paren_depth++;
                return LEX_STATEMENTS;
        case ')':
                emit(l, TOK_RIGHT_PAREN);
                if (--l->paren_depth < 0)
                        return fail_rune(l, "unexpected right parenthesis ", r);
                return LEX_STATEMENTS;
        case '{':
                emit(l, TOK_LEFT_BRACE);
                l->brace_open = true;
                return LEX_BRACES;
        case '[':
                if (l->bracket_open)
                        return fail_rune(l, "unexpected left bracket ", r);
                l->got_colon = false;
                emit(l, TOK_LEFT_BRACKET);
                skip_spaces(l);
                l->bracket_open = true;
                return LEX_DURATION_EXPR;
        case ']':
                if (!l->bracket_open)
                        return fail_rune(l, "unexpected right bracket ", r);
                emit(l, TOK_RIGHT_BRACKET);
                l->bracket_open = false;
                return LEX_STATEMENTS;
        case '@':
                return emit_then(l, TOK_AT, LEX_STATEMENTS);
        default:
                break;
        }
        if (is_space(r)) {
                skip_spaces(l);
                return LEX_STATEMENTS;
        }
        if (is_digit(r) || (r == '.' && is_digit(peek(l)))) {
                backup(l);
                return lex_number_or_duration(l);
        }
        if (is_alpha(r) || r == ':')
                return lex_word(l, r);
        return fail_rune(l, "unexpected character: ", r);
}

/* The values of a series line. */
static enum lex_state lex_values(struct lexer *l)
{
        int32_t r = next(l);
        switch (r) {
        case RUNE_EOF:
                return LEX_STATEMENTS;
        case '{':
                if (peek(l) != '{')
                        break;
                for (int32_t prev = 0;; prev = r) {
                        r = next(l);
                        if (r == RUNE_EOF)
                                return fail(l, "unexpected end of input inside a histogram");
                        if (r == '}' && prev == '}')
                                return emit_then(l, TOK_HISTOGRAM, LEX_VALUES);
                }
        case '+':
                return emit_then(l, TOK_ADD, LEX_VALUES);
        case '-':
                return emit_then(l, TOK_SUB, LEX_VALUES);
        case 'x':
                return emit_then(l, TOK_TIMES, LEX_VALUES);
        case '_':
                return emit_then(l, TOK_BLANK, LEX_VALUES);
        default:
                break;
        }
        if (is_space(r)) {
                emit(l, TOK_SPACE);
                skip_spaces(l);
                return LEX_VALUES;
        }
        if (is_digit(r) || (r == '.' && is_digit(peek(l)))) {
                backup(l);
                if (!scan_number(l))
                        return fail_pending(l, "bad number syntax: ");
                return emit_then(l, TOK_NUMBER, LEX_VALUES);
        }
        if (is_alpha(r)) {
                backup(l);
                return lex_keyword_or_identifier(l);
        }
        return fail_rune(l, "unexpected character in series sequence: ", r);
}

void lexer_init(struct lexer *l, Str text, struct arena *a, enum lex_mode mode)
{
        *l = (struct lexer){.in = text, .arena = a, .series = mode == LEX_SERIES_LINE};
}

void lexer_next(struct lexer *l, struct token *ret)
{
        l->scanned = false;
        l->out = ret;
        while (!l->scanned) {
                switch (l->state) {
                case LEX_STATEMENTS:
                        l->state = lex_statements(l);
                        break;
                case LEX_DURATION_EXPR:
                        l->state = lex_duration_expr(l);
                        break;
                case LEX_BRACES:
                        l->state = lex_braces(l);
                        break;
                case LEX_VALUES:
                        l->state = lex_values(l);
                        break;
                case LEX_END:
                        emit(l, TOK_EOF);
                        break;
                }
        }
        l->last_pos = ret->pos;
}

void token_describe(struct buf *b, const struct token *t)
{
        switch (t->type) {
        case TOK_EOF:
                buf_puts(b, "end of input");
                return;
        case TOK_ERROR:
                buf_puts(b, "error ");
                buf_put(b, t->text);
                return;
        case TOK_COMMENT:
                buf_puts(b, "comment ");
                break;
        case TOK_IDENTIFIER:
        case TOK_METRIC_IDENTIFIER:
                buf_puts(b, t->type == TOK_IDENTIFIER ? "identifier " : "metric identifier ");
                buf_put_go_quoted(b, t->text);
                return;
        case TOK_STRING:
                buf_puts(b, "string ");
                break;
        case TOK_NUMBER:
                buf_puts(b, "number ");
                break;
        case TOK_DURATION:
                buf_puts(b, "duration ");
                break;
        default:
                break;
        }
        if (token_is_keyword(t->type)) {
                buf_printf(b, "<" STR_FMT ">", STR_ARG(t->text));
        } else if (token_is_operator(t->type)) {
                buf_printf(b, "<op:" STR_FMT ">", STR_ARG(t->text));
        } else if (token_is_aggregate(t->type)) {
                buf_printf(b, "<aggr:" STR_FMT ">", STR_ARG(t->text));
        } else if (t->text.n > 10) {
                size_t n = 0;
                for (int runes = 0; runes < 10 && n < t->text.n; runes++) {
                        uint32_t rune;
                        n += MAX(utf8_decode(str_skip(t->text, n), &rune), (size_t)1);
                }
                buf_put_go_quoted(b, str_sub(t->text, 0, n));
                buf_puts(b, "...");
        } else {
                buf_put_go_quoted(b, t->text);
        }
}

/* Upstream keeps the end of the last closing token in one place and looks back like this when the parser had to read
 * one token ahead to see that an aggregation was over. A comment in between hides the parenthesis, there as here.
 * Upstream: lex.go findPrevRightParen */
int lexer_prev_right_paren(const struct lexer *l, int fallback)
{
        if (fallback <= 0 || (size_t)fallback > l->in.n || l->last_pos <= 0 || (size_t)l->last_pos >= l->in.n ||
            l->in.p[l->last_pos] != ')')
                return fallback;
        for (int i = l->last_pos - 1; i > 0; i--) {
                if (l->in.p[i] == ')')
                        return i + 1;
                if (!is_space((unsigned char)l->in.p[i]))
                        return fallback;
        }
        return fallback;
}
