/* SPDX-License-Identifier: Apache-2.0 */
/* parse_text.c — the grammar of the text format 0.0.4.  Upstream: model/textparse/promparse.go */
#include "codec/quote.h"
#include "model/expo/grammar.h"

static enum lex_token next_token(struct lexer *l)
{
        enum lex_token t;
        do
                t = lex_text(l);
        while (t == TOKEN_WHITESPACE);
        return t;
}

static struct error *parse_meta(struct expo_parser *p, struct lexer *l, enum lex_token kind, struct expo_entry *x)
{
        bool help = kind == TOKEN_HELP;
        enum lex_token t = next_token(l);
        if (t != TOKEN_METRIC_NAME)
                return lex_error(l, help ? "expected metric name after HELP" : "expected metric name after TYPE", t);
        Str name = lex_bytes(l);
        if (name.p[0] == '"')
                name = str_sub(name, 1, name.n - 1);
        t = next_token(l);
        if (t != TOKEN_TEXT)
                return error_new(ERROR_INVALID, "expected text in %s, got %s", lex_token_name(kind), lex_token_name(t));
        Str text = lex_bytes(l);
        text = text.n > 1 ? str_skip(text, 1) : (Str){text.p, 0};
        enum metric_type type = METRIC_UNKNOWN;
        if (help && !utf8_is_valid(text))
                return lex_error_quoted("help text ", text, " is not a valid utf8 string");
        if (!help && !metric_type_parse(text, EXPO_TEXT, &type))
                return lex_error_quoted("invalid metric type ", text, "");
        if (!help)
                p->metric_type = type;
        t = next_token(l);
        if (t != TOKEN_LINEBREAK)
                return lex_error(l, "linebreak expected after metadata", t);
        x->type = help ? EXPO_HELP : EXPO_TYPE;
        x->family = name;
        x->metric_type = type;
        x->text = help ? grammar_help_text(p, text) : (Str){NULL, 0};
        return NULL;
}

/* After {. A quoted string without a value is the metric's name. */
static struct error *parse_labels(struct lexer *l, bool *named)
{
        enum lex_token t = next_token(l);
        for (;;) {
                if (t == TOKEN_BRACE_CLOSE)
                        return NULL;
                if (t != TOKEN_LABEL_NAME && t != TOKEN_QUOTED)
                        return lex_error(l, "expected label name", t);
                bool quoted = t == TOKEN_QUOTED;
                t = next_token(l);
                if (quoted && (t == TOKEN_COMMA || t == TOKEN_BRACE_CLOSE)) {
                        if (*named)
                                return lex_error_here(l, error_new(ERROR_INVALID, "metric name already set"));
                        *named = true;
                        if (t == TOKEN_BRACE_CLOSE)
                                return NULL;
                        t = next_token(l);
                        continue;
                }
                if (t != TOKEN_EQUAL)
                        return lex_error(l, "expected equal", t);
                t = next_token(l);
                if (t != TOKEN_LABEL_VALUE)
                        return lex_error(l, "expected label value", t);
                if (!utf8_is_valid(lex_bytes(l)))
                        return lex_error_quoted("invalid UTF-8 label value: ", lex_bytes(l), "");
                t = next_token(l);
                if (t == TOKEN_COMMA)
                        t = next_token(l);
        }
}

static struct error *parse_end(struct lexer *l, enum lex_token t, struct expo_entry *x)
{
        if (t != TOKEN_VALUE)
                return lex_error(l, "expected value after metric", t);
        struct error *e = lex_parse_float(lex_bytes(l), &x->value);
        if (e)
                return lex_error_here(l, e);
        t = next_token(l);
        if (t == TOKEN_LINEBREAK)
                return NULL;
        if (t != TOKEN_TIMESTAMP)
                return lex_error(l, "expected timestamp or new record", t);
        Str digits = lex_bytes(l);
        int64_t ms;
        if (!str_to_i64(digits, &ms))
                return lex_error_here(l,
                                      lex_error_quoted("strconv.ParseInt: parsing ", digits, ": value out of range"));
        x->has_t = true;
        x->t = ms;
        t = next_token(l);
        return t == TOKEN_LINEBREAK ? NULL : lex_error(l, "expected next entry after timestamp", t);
}

static struct error *parse_series(struct lexer *l, enum lex_token t, struct expo_entry *x)
{
        bool named = t == TOKEN_METRIC_NAME;
        size_t end = l->i;
        if (named)
                t = next_token(l);
        if (t == TOKEN_BRACE_OPEN) {
                struct error *e = parse_labels(l, &named);
                if (e)
                        return e;
                end = l->i;
                t = next_token(l);
        }
        x->type = EXPO_SERIES;
        x->series = (Str){l->p + l->line, end - l->line};
        x->has_t = x->has_exemplar = false;
        if (!named)
                return lex_error_here(l, error_new(ERROR_INVALID, "metric name not set"));
        return parse_end(l, t, x);
}

struct error *grammar_text(struct expo_parser *p, struct expo_entry *x)
{
        struct lexer l = grammar_lexer(p);
        enum lex_token t;
        do { /* blank lines are fine */
                l.line = l.i;
                t = next_token(&l);
        } while (t == TOKEN_LINEBREAK);
        struct error *e = NULL;
        switch (t) {
        case TOKEN_EOF:
                x->type = EXPO_END;
                break;
        case TOKEN_HELP:
        case TOKEN_TYPE:
                e = parse_meta(p, &l, t, x);
                break;
        case TOKEN_COMMENT:
                x->type = EXPO_COMMENT;
                x->text = lex_bytes(&l);
                t = next_token(&l);
                if (t != TOKEN_LINEBREAK)
                        e = lex_error(&l, "linebreak expected after comment", t);
                break;
        case TOKEN_BRACE_OPEN:
        case TOKEN_METRIC_NAME:
                e = parse_series(&l, t, x);
                break;
        default:
                e = lex_error(&l, "expected a valid start token", t);
        }
        grammar_take_position(p, &l);
        return e;
}
