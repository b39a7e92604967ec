/* SPDX-License-Identifier: Apache-2.0 */
/* parse_openmetrics.c — the grammar of OpenMetrics 1.0.  Upstream: model/textparse/openmetricsparse.go */
#include <math.h>
#include <stdio.h>

#include "codec/quote.h"
#include "model/expo/grammar.h"

static struct error *no_eof(void)
{
        return error_new(ERROR_INVALID, "data does not end with # EOF");
}

static struct error *check_unit(Str name, Str unit)
{
        if (unit.n == 0 || (str_has_suffix(name, unit) && name.n > unit.n && name.p[name.n - unit.n - 1] == '_'))
                return NULL;
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        buf_puts(&b, "unit ");
        buf_put_go_quoted(&b, unit);
        buf_puts(&b, " not a suffix of metric ");
        buf_put_go_quoted(&b, name);
        struct error *e = error_new(ERROR_INVALID, "%s", buf_cstr(&b));
        buf_done(&b);
        return e;
}

static struct error *parse_meta(struct expo_parser *p, struct lexer *l, enum lex_token kind, struct expo_entry *x)
{
        const char *word = lex_token_name(kind);
        enum lex_token t = lex_openmetrics(l);
        if (t != TOKEN_METRIC_NAME) {
                char expected[40];
                snprintf(expected, sizeof expected, "expected metric name after %s", word);
                return lex_error(l, expected, t);
        }
        Str name = lex_bytes(l);
        if (name.p[0] == '"')
                name = str_sub(name, 1, name.n - 1);
        if (lex_openmetrics(l) != TOKEN_TEXT)
                return error_new(ERROR_INVALID, "expected text in %s", word);
        Str text = lex_bytes(l); /* with the blank before and the line break behind it */
        text = str_sub(text, 1, text.n - 1);
        x->family = name;
        x->text = text;
        x->metric_type = METRIC_UNKNOWN;
        if (kind == TOKEN_UNIT) {
                x->type = EXPO_UNIT;
                return check_unit(name, text);
        }
        if (kind == TOKEN_HELP) {
                x->type = EXPO_HELP;
                if (!utf8_is_valid(text))
                        return lex_error_quoted("help text ", text, " is not a valid utf8 string");
                x->text = grammar_help_text(p, text);
                return NULL;
        }
        x->type = EXPO_TYPE;
        x->text = (Str){NULL, 0};
        if (!metric_type_parse(text, EXPO_OPENMETRICS, &x->metric_type))
                return lex_error_quoted("invalid metric type ", text, "");
        p->metric_type = x->metric_type;
        return NULL;
}

/* After {. A quoted string without a value is the metric's name (exemplars have none). */
static struct error *parse_labels(struct lexer *l, bool exemplar, bool *named)
{
        enum lex_token t = lex_openmetrics(l);
        for (;;) {
                if (t == TOKEN_BRACE_CLOSE)
                        return NULL;
                if (t != TOKEN_LABEL_NAME && t != TOKEN_QUOTED)
                        return lex_error(l, "expected label name", t);
                bool quoted = t == TOKEN_QUOTED;
                t = lex_openmetrics(l);
                if (quoted && (t == TOKEN_COMMA || t == TOKEN_BRACE_CLOSE)) {
                        if (exemplar)
                                return lex_error(l, "expected label name", t);
                        if (*named)
                                return lex_error_here(l, error_new(ERROR_INVALID, "metric name already set"));
                        *named = true;
                        if (t == TOKEN_BRACE_CLOSE)
                                return NULL;
                        t = lex_openmetrics(l);
                        continue;
                }
                if (t != TOKEN_EQUAL)
                        return lex_error(l, "expected equal", t);
                t = lex_openmetrics(l);
                if (t != TOKEN_LABEL_VALUE)
                        return lex_error(l, "expected label value", t);
                if (!utf8_is_valid(lex_bytes(l)))
                        return lex_error_quoted("invalid UTF-8 label value: ", lex_bytes(l), "");
                t = lex_openmetrics(l);
                if (t == TOKEN_COMMA)
                        t = lex_openmetrics(l);
                else if (t != TOKEN_BRACE_CLOSE)
                        return lex_error(l, "expected comma or brace close", t);
        }
}

static struct error *parse_value(struct lexer *l, enum lex_token t, const char *expected, double *ret)
{
        if (t != TOKEN_VALUE)
                return lex_error(l, expected, t);
        struct error *e = lex_parse_float(str_skip(lex_bytes(l), 1), ret);
        return e ? lex_error_here(l, e) : NULL;
}

static struct error *parse_timestamp(struct lexer *l, const char *what, int64_t *ret_ms)
{
        double seconds;
        struct error *e = lex_parse_float(str_skip(lex_bytes(l), 1), &seconds);
        if (e)
                return lex_error_here(l, e);
        if (isnan(seconds) || isinf(seconds))
                return error_new(ERROR_INVALID, "invalid %s %s", what,
                                 isnan(seconds) ? "NaN"
                                 : seconds > 0  ? "+Inf"
                                                : "-Inf");
        *ret_ms = lex_float_to_ms(seconds);
        return NULL;
}

/* After ` # {`. */
static struct error *parse_exemplar(struct lexer *l, struct expo_entry *x)
{
        size_t start = l->i - 1;
        bool named = false;
        struct error *e = parse_labels(l, /* exemplar= */ true, &named);
        if (e)
                return e;
        x->has_exemplar = true;
        x->exemplar = (Str){l->p + start, l->i - start};
        x->exemplar_has_t = false;
        e = parse_value(l, lex_openmetrics(l), "expected value after exemplar labels", &x->exemplar_value);
        if (e)
                return e;
        enum lex_token t = lex_openmetrics(l);
        if (t == TOKEN_EOF)
                return no_eof();
        if (t == TOKEN_LINEBREAK)
                return NULL;
        if (t != TOKEN_TIMESTAMP)
                return lex_error(l, "expected timestamp or comment", t);
        x->exemplar_has_t = true;
        e = parse_timestamp(l, "exemplar timestamp", &x->exemplar_t);
        if (e)
                return e;
        t = lex_openmetrics(l);
        return t == TOKEN_LINEBREAK ? NULL : lex_error(l, "expected next entry after exemplar timestamp", t);
}

static struct error *parse_end(struct lexer *l, enum lex_token t, struct expo_entry *x)
{
        struct error *e = parse_value(l, t, "expected value after metric", &x->value);
        if (e)
                return e;
        t = lex_openmetrics(l);
        if (t == TOKEN_EOF)
                return no_eof();
        if (t == TOKEN_COMMENT)
                return parse_exemplar(l, x);
        if (t != TOKEN_TIMESTAMP) /* any other token is refused where the next entry begins, as upstream does */
                return NULL;
        x->has_t = true;
        e = parse_timestamp(l, "timestamp", &x->t);
        if (e)
                return e;
        t = lex_openmetrics(l);
        if (t == TOKEN_LINEBREAK)
                return NULL;
        return t == TOKEN_COMMENT ? parse_exemplar(l, x) : lex_error(l, "expected next entry after timestamp", t);
}

static struct error *parse_series(struct lexer *l, enum lex_token t, struct expo_entry *x)
{
        bool named = t == TOKEN_METRIC_NAME;
        size_t end = l->i;
        if (named)
                t = lex_openmetrics(l);
        if (t == TOKEN_BRACE_OPEN) {
                struct error *e = parse_labels(l, /* exemplar= */ false, &named);
                if (e)
                        return e;
                end = l->i;
                t = lex_openmetrics(l);
        }
        x->type = EXPO_SERIES;
        x->series = (Str){l->p + l->line, end - l->line};
        x->has_t = x->has_exemplar = false;
        if (!named)
                return lex_error_here(l, error_new(ERROR_INVALID, "metric name not set"));
        return parse_end(l, t, x);
}

bool grammar_openmetrics_end(struct expo_parser *p, size_t after_series, struct expo_entry *x)
{
        struct lexer l = grammar_lexer(p);
        l.i = after_series;
        l.state = LEX_VALUE;
        struct expo_entry y = {.type = EXPO_SERIES, .series = {p->start + p->at, after_series - p->at}};
        struct error *e = parse_end(&l, lex_openmetrics(&l), &y);
        if (e || l.state != LEX_INIT) {
                error_ignore(e, "the grammar will say so again");
                return false;
        }
        *x = y;
        grammar_take_position(p, &l);
        return true;
}

struct error *grammar_openmetrics(struct expo_parser *p, struct expo_entry *x)
{
        struct lexer l = grammar_lexer(p);
        enum lex_token t = lex_openmetrics(&l);
        struct error *e = NULL;
        switch (t) {
        case TOKEN_EOF_WORD:
                x->type = EXPO_END;
                if (lex_openmetrics(&l) != TOKEN_EOF)
                        e = error_new(ERROR_INVALID, "unexpected data after # EOF");
                break;
        case TOKEN_EOF:
                e = no_eof();
                break;
        case TOKEN_HELP:
        case TOKEN_TYPE:
        case TOKEN_UNIT:
                e = parse_meta(p, &l, t, x);
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
