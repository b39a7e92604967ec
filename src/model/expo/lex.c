/* SPDX-License-Identifier: Apache-2.0 */
#include "model/expo/lex.h"

#include <math.h>

#include "base/buf.h"
#include "codec/float_text.h"
#include "codec/quote.h"

const char *lex_token_name(enum lex_token t)
{
        static const char *const names[] = {
                [TOKEN_INVALID] = "INVALID",     [TOKEN_EOF] = "EOF",
                [TOKEN_LINEBREAK] = "LINEBREAK", [TOKEN_WHITESPACE] = "WHITESPACE",
                [TOKEN_HELP] = "HELP",           [TOKEN_TYPE] = "TYPE",
                [TOKEN_UNIT] = "UNIT",           [TOKEN_EOF_WORD] = "EOFWORD",
                [TOKEN_TEXT] = "TEXT",           [TOKEN_COMMENT] = "COMMENT",
                [TOKEN_METRIC_NAME] = "MNAME",   [TOKEN_QUOTED] = "QSTRING",
                [TOKEN_BRACE_OPEN] = "BOPEN",    [TOKEN_BRACE_CLOSE] = "BCLOSE",
                [TOKEN_LABEL_NAME] = "LNAME",    [TOKEN_LABEL_VALUE] = "LVALUE",
                [TOKEN_COMMA] = "COMMA",         [TOKEN_EQUAL] = "EQUAL",
                [TOKEN_TIMESTAMP] = "TIMESTAMP", [TOKEN_VALUE] = "VALUE",
        };
        return names[t];
}

static char byte_at(const struct lexer *l, size_t i)
{
        return i < l->real_n ? l->p[i] : '\n';
}

/* The next byte; 0 at the end. Null bytes inside label values, help and comments are passed over. */
static char next(struct lexer *l)
{
        l->i++;
        bool skips = l->state == LEX_LABEL_VALUE || l->state == LEX_META2 || l->state == LEX_COMMENT;
        while (l->i < l->n && skips && byte_at(l, l->i) == 0)
                l->i++;
        return l->i < l->n ? byte_at(l, l->i) : 0;
}

static bool is_blank(char c)
{
        return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
        return c >= '0' && c <= '9';
}

static bool is_label_start(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_metric_start(char c)
{
        return is_label_start(c) || c == ':';
}

static enum lex_token name(struct lexer *l, bool colons, enum lex_state then, enum lex_token t)
{
        char c;
        do
                c = next(l);
        while (is_label_start(c) || is_digit(c) || (colons && c == ':'));
        l->state = then;
        return t;
}

static enum lex_token one(struct lexer *l, enum lex_state then, enum lex_token t)
{
        next(l);
        l->state = then;
        return t;
}

/* From the opening quote to behind the closing one. */
static enum lex_token quoted(struct lexer *l, bool newlines, enum lex_state then, enum lex_token t)
{
        for (;;) {
                char c = next(l);
                if (c == '"')
                        return one(l, then, t);
                if (c == '\\') {
                        c = next(l);
                        if (c == '\n' || c == 0)
                                return TOKEN_INVALID;
                        continue;
                }
                if (c == 0 || (c == '\n' && !newlines))
                        return TOKEN_INVALID;
        }
}

static enum lex_token blanks(struct lexer *l)
{
        while (is_blank(next(l)))
                ;
        return TOKEN_WHITESPACE;
}

/* The word, its first letter being the current byte; then the current byte is what follows. */
static bool word(struct lexer *l, const char *rest)
{
        for (; *rest; rest++)
                if (next(l) != *rest)
                        return false;
        return true;
}

static enum lex_token consume_comment(struct lexer *l)
{
        for (char c = l->i < l->n ? byte_at(l, l->i) : 0;; c = next(l)) {
                if (c == 0)
                        return TOKEN_EOF;
                if (c == '\n') {
                        l->state = LEX_INIT;
                        return TOKEN_COMMENT;
                }
        }
}

static enum lex_token text_comment(struct lexer *l, char c)
{
        bool help = c == 'H';
        if ((c != 'H' && c != 'T') || !word(l, help ? "ELP" : "YPE") || !is_blank(next(l)))
                return consume_comment(l);
        while (is_blank(next(l)))
                ;
        l->state = LEX_META1;
        return help ? TOKEN_HELP : TOKEN_TYPE;
}

static enum lex_token text_meta2(struct lexer *l, char c)
{
        if (is_blank(c)) {
                while (is_blank(c))
                        c = next(l);
                if (c == '\n' || c == 0)
                        return TOKEN_WHITESPACE;
        }
        while (c != '\n' && c != 0)
                c = next(l);
        l->state = LEX_INIT;
        return TOKEN_TEXT;
}

enum lex_token lex_text(struct lexer *l)
{
        if (l->i >= l->n)
                return TOKEN_EOF;
        char c = byte_at(l, l->i);
        l->start = l->i;
        switch (l->state) {
        case LEX_INIT:
                if (c == '#') {
                        c = next(l);
                        if (!is_blank(c))
                                return consume_comment(l);
                        while (is_blank(c))
                                c = next(l);
                        l->state = LEX_COMMENT;
                        return text_comment(l, c);
                }
                if (is_metric_start(c))
                        return name(l, /* colons= */ true, LEX_VALUE, TOKEN_METRIC_NAME);
                if (c == '\n')
                        return one(l, LEX_INIT, TOKEN_LINEBREAK);
                if (is_blank(c))
                        return blanks(l);
                if (c == 0)
                        return one(l, LEX_INIT, TOKEN_EOF);
                if (c == '{')
                        return one(l, LEX_LABELS, TOKEN_BRACE_OPEN);
                return TOKEN_INVALID;
        case LEX_COMMENT:
                return text_comment(l, c);
        case LEX_META1:
                if (c == '"')
                        return quoted(l, /* newlines= */ true, LEX_META2, TOKEN_METRIC_NAME);
                if (is_metric_start(c))
                        return name(l, /* colons= */ true, LEX_META2, TOKEN_METRIC_NAME);
                return is_blank(c) ? blanks(l) : TOKEN_INVALID;
        case LEX_META2:
                return text_meta2(l, c);
        case LEX_LABELS:
                if (c == '"')
                        return quoted(l, /* newlines= */ true, LEX_LABELS, TOKEN_QUOTED);
                if (c == ',')
                        return one(l, LEX_LABELS, TOKEN_COMMA);
                if (c == '=')
                        return one(l, LEX_LABEL_VALUE, TOKEN_EQUAL);
                if (is_blank(c))
                        return blanks(l);
                if (c == '}')
                        return one(l, LEX_VALUE, TOKEN_BRACE_CLOSE);
                return is_label_start(c) ? name(l, /* colons= */ false, LEX_LABELS, TOKEN_LABEL_NAME) : TOKEN_INVALID;
        case LEX_LABEL_VALUE:
                if (c == '"')
                        return quoted(l, /* newlines= */ true, LEX_LABELS, TOKEN_LABEL_VALUE);
                return is_blank(c) ? blanks(l) : TOKEN_INVALID;
        case LEX_VALUE:
                if (is_blank(c))
                        return blanks(l);
                if (c == '{')
                        return one(l, LEX_LABELS, TOKEN_BRACE_OPEN);
                if (c == '\n' || c == 0)
                        return TOKEN_INVALID;
                while (c != '\n' && c != 0 && c != '{' && !is_blank(c))
                        c = next(l);
                l->state = LEX_TIMESTAMP;
                return TOKEN_VALUE;
        case LEX_TIMESTAMP:
                if (c == '\n')
                        return one(l, LEX_INIT, TOKEN_LINEBREAK);
                if (is_blank(c))
                        return blanks(l);
                if (!is_digit(c))
                        return TOKEN_INVALID;
                while (is_digit(next(l)))
                        ;
                return TOKEN_TIMESTAMP;
        default:
                bug("text format: state %d", (int)l->state);
        }
}

static enum lex_token om_comment(struct lexer *l, char c)
{
        switch (c) {
        case 'E':
                if (!word(l, "OF"))
                        return TOKEN_INVALID;
                if (next(l) == '\n')
                        next(l);
                l->state = LEX_INIT;
                return TOKEN_EOF_WORD;
        case 'H':
                return word(l, "ELP ") ? one(l, LEX_META1, TOKEN_HELP) : TOKEN_INVALID;
        case 'T':
                return word(l, "YPE ") ? one(l, LEX_META1, TOKEN_TYPE) : TOKEN_INVALID;
        case 'U':
                return word(l, "NIT ") ? one(l, LEX_META1, TOKEN_UNIT) : TOKEN_INVALID;
        default:
                return TOKEN_INVALID;
        }
}

/* A blank, the current byte, and then at least one byte that is neither blank, line break nor null. */
static enum lex_token om_field(struct lexer *l, enum lex_state then, enum lex_token t)
{
        char c = next(l);
        if (c == ' ' || c == '\n' || c == 0)
                return TOKEN_INVALID;
        while (c != ' ' && c != '\n' && c != 0)
                c = next(l);
        l->state = then;
        return t;
}

static enum lex_token om_timestamp(struct lexer *l)
{
        char c = next(l);
        if (c == ' ' || c == '\n' || c == 0)
                return TOKEN_INVALID;
        if (c == '#') {
                c = next(l);
                if (c == ' ')
                        return next(l) == '{' ? one(l, LEX_EXEMPLAR, TOKEN_COMMENT) : TOKEN_INVALID;
        }
        while (c != ' ' && c != '\n' && c != 0)
                c = next(l);
        return TOKEN_TIMESTAMP;
}

static enum lex_token om_labels(struct lexer *l, char c, bool exemplar)
{
        enum lex_state same = exemplar ? LEX_EXEMPLAR : LEX_LABELS;
        if (c == '"')
                return quoted(l, /* newlines= */ !exemplar, same, TOKEN_QUOTED);
        if (c == ',')
                return one(l, same, TOKEN_COMMA);
        if (c == '=')
                return one(l, exemplar ? LEX_EXEMPLAR_VALUE : LEX_LABEL_VALUE, TOKEN_EQUAL);
        if (c == '}')
                return one(l, exemplar ? LEX_EXEMPLAR_VALUE : LEX_VALUE, TOKEN_BRACE_CLOSE);
        return is_label_start(c) ? name(l, /* colons= */ false, same, TOKEN_LABEL_NAME) : TOKEN_INVALID;
}

enum lex_token lex_openmetrics(struct lexer *l)
{
        if (l->i >= l->n)
                return TOKEN_EOF;
        char c = byte_at(l, l->i);
        l->start = l->i;
        switch (l->state) {
        case LEX_INIT:
                if (c == '#') {
                        if (next(l) != ' ')
                                return TOKEN_INVALID;
                        c = next(l);
                        l->state = LEX_COMMENT;
                        return om_comment(l, c);
                }
                if (is_metric_start(c))
                        return name(l, /* colons= */ true, LEX_VALUE, TOKEN_METRIC_NAME);
                return c == '{' ? one(l, LEX_LABELS, TOKEN_BRACE_OPEN) : TOKEN_INVALID;
        case LEX_COMMENT:
                return om_comment(l, c);
        case LEX_META1:
                if (c == '"')
                        return quoted(l, /* newlines= */ true, LEX_META2, TOKEN_METRIC_NAME);
                return is_metric_start(c) ? name(l, /* colons= */ true, LEX_META2, TOKEN_METRIC_NAME) : TOKEN_INVALID;
        case LEX_META2:
                if (c != ' ')
                        return TOKEN_INVALID;
                do
                        c = next(l);
                while (c != '\n' && c != 0);
                return c == '\n' ? one(l, LEX_INIT, TOKEN_TEXT) : TOKEN_INVALID;
        case LEX_LABELS:
        case LEX_EXEMPLAR:
                return om_labels(l, c, l->state == LEX_EXEMPLAR);
        case LEX_LABEL_VALUE:
                return c == '"' ? quoted(l, /* newlines= */ false, LEX_LABELS, TOKEN_LABEL_VALUE) : TOKEN_INVALID;
        case LEX_VALUE:
                if (c == '{')
                        return one(l, LEX_LABELS, TOKEN_BRACE_OPEN);
                return c == ' ' ? om_field(l, LEX_TIMESTAMP, TOKEN_VALUE) : TOKEN_INVALID;
        case LEX_TIMESTAMP:
                if (c == '\n')
                        return one(l, LEX_INIT, TOKEN_LINEBREAK);
                return c == ' ' ? om_timestamp(l) : TOKEN_INVALID;
        case LEX_EXEMPLAR_VALUE:
                if (c == '"')
                        return quoted(l, /* newlines= */ false, LEX_EXEMPLAR, TOKEN_LABEL_VALUE);
                return c == ' ' ? om_field(l, LEX_EXEMPLAR_TIMESTAMP, TOKEN_VALUE) : TOKEN_INVALID;
        case LEX_EXEMPLAR_TIMESTAMP:
                if (c == '\n')
                        return one(l, LEX_INIT, TOKEN_LINEBREAK);
                return c == ' ' ? om_field(l, LEX_EXEMPLAR_TIMESTAMP, TOKEN_TIMESTAMP) : TOKEN_INVALID;
        }
        bug("OpenMetrics: state %d", (int)l->state);
}

/* Bytes [from, to) quoted; to may be one past the body, where the text format's line break is. */
static void put_quoted(struct buf *b, const struct lexer *l, size_t from, size_t to)
{
        if (to <= l->real_n) {
                buf_put_go_quoted(b, (Str){l->p + from, to - from});
                return;
        }
        struct buf with = BUF_INIT(BUF_NO_LIMIT);
        if (from < l->real_n)
                buf_append(&with, l->p + from, l->real_n - from);
        buf_putc(&with, '\n');
        buf_put_go_quoted(b, buf_str(&with));
        buf_done(&with);
}

static struct error *take_error(struct buf *b)
{
        struct error *e = error_new(ERROR_INVALID, "%s", buf_cstr(b));
        buf_done(b);
        return e;
}

struct error *lex_error(const struct lexer *l, const char *expected, enum lex_token got)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        size_t end = MIN(l->n, l->i + 1);
        buf_puts(&b, expected);
        buf_puts(&b, ", got ");
        put_quoted(&b, l, MIN(l->start, end), end);
        buf_printf(&b, " (\"%s\") while parsing: ", lex_token_name(got));
        put_quoted(&b, l, l->line, end);
        return take_error(&b);
}

struct error *lex_error_here(const struct lexer *l, struct error *take_what)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        buf_puts(&b, error_str(take_what));
        buf_puts(&b, " while parsing: ");
        put_quoted(&b, l, l->line, MIN(l->n, l->i));
        error_free(take_what);
        return take_error(&b);
}

struct error *lex_error_quoted(const char *before, Str s, const char *after)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        buf_puts(&b, before);
        buf_put_go_quoted(&b, s);
        buf_puts(&b, after);
        return take_error(&b);
}

struct error *lex_parse_float(Str s, double *ret)
{
        for (size_t i = 0; i < s.n; i++)
                if (s.p[i] == 'p' || s.p[i] == 'P' || s.p[i] == '_')
                        return error_new(ERROR_INVALID, "unsupported character in float");
        double v;
        bool range = false;
        if (!float_parse(s, &v, &range))
                return lex_error_quoted("strconv.ParseFloat: parsing ", s, ": invalid syntax");
        if (range)
                return lex_error_quoted("strconv.ParseFloat: parsing ", s, ": value out of range");
        *ret = v;
        return NULL;
}

int64_t lex_float_to_ms(double seconds)
{
        double ms = seconds * 1000;
        return ms >= -0x1p63 && ms < 0x1p63 ? (int64_t)ms : INT64_MIN;
}
