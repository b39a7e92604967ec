/* SPDX-License-Identifier: Apache-2.0 */
/* Selectors: name{label="value", …}. */
#include "promql/parser.h"

static struct matcher *add_matcher(struct parser *p, enum matcher_type type, Str name, Str value, int pos)
{
        struct matcher *m = NULL;
        struct error *e = matcher_new(type, name, value, &m);
        if (e) {
                parser_fail_error(p, pos, e);
                return NULL;
        }
        vec_push(p->matchers, m);
        return m;
}

static bool matcher_type_of(enum token_type t, enum matcher_type *ret)
{
        switch (t) {
        case TOK_EQL:
                *ret = MATCH_EQ;
                return true;
        case TOK_NEQ:
                *ret = MATCH_NE;
                return true;
        case TOK_EQL_REGEX:
                *ret = MATCH_RE;
                return true;
        case TOK_NEQ_REGEX:
                *ret = MATCH_NRE;
                return true;
        default:
                return false;
        }
}

static bool label_matcher(struct parser *p)
{
        enum token_type t = parser_peek(p);
        if (t != TOK_IDENTIFIER && t != TOK_STRING) {
                parser_unexpected_in(p, "label matching", "identifier or \"}\"");
                return false;
        }
        struct token label = parser_take(p);
        Str name = label.text, value;
        if (t == TOK_STRING && !parser_unquote(p, label.text, &name))
                return false;
        enum matcher_type type;
        if (!matcher_type_of(parser_peek(p), &type)) {
                if (t == TOK_STRING && !p->err) /* a metric name; what follows is looked at by the list */
                        return add_matcher(p, MATCH_EQ, STR(METRIC_NAME), name, label.pos) != NULL;
                parser_unexpected_in(p, "label matching", "label matching operator");
                return false;
        }
        parser_skip(p);
        if (parser_peek(p) != TOK_STRING) {
                parser_unexpected_in(p, "label matching", "string");
                return false;
        }
        return parser_unquote(p, parser_take(p).text, &value) && add_matcher(p, type, name, value, label.pos);
}

/* After the left brace. */
static bool label_matchers(struct parser *p)
{
        if (parser_peek(p) == TOK_RIGHT_BRACE)
                return true;
        for (;;) {
                if (!label_matcher(p))
                        return false;
                enum token_type t = parser_peek(p);
                if (t == TOK_RIGHT_BRACE)
                        return true;
                if (t != TOK_COMMA) {
                        parser_unexpected_in(p, "label matching", "\",\" or \"}\"");
                        return false;
                }
                parser_skip(p);
                if (parser_peek(p) == TOK_RIGHT_BRACE)
                        return true;
        }
}

struct expr *parser_selector(struct parser *p, const struct token *name)
{
        size_t first = p->matchers->n;
        struct pos_range pos = {0, 0};
        enum token_type t = parser_peek(p);
        if (t == TOK_ERROR)
                return NULL;
        if (t == TOK_LEFT_BRACE) {
                pos.start = parser_take(p).pos;
                if (!label_matchers(p))
                        return NULL;
                pos.end = parser_take(p).pos + 1;
        }
        Str copy = {NULL, 0};
        if (name) {
                pos.start = name->pos;
                if (t != TOK_LEFT_BRACE)
                        pos.end = token_range(name).end;
                char *text = parser_alloc(p, name->text.n);
                if (!text)
                        return NULL;
                memcpy(text, name->text.p, name->text.n);
                copy = (Str){text, name->text.n};
                if (!add_matcher(p, MATCH_EQ, STR(METRIC_NAME), copy, name->pos))
                        return NULL;
        }
        struct expr *x = parser_node(p, EXPR_SELECTOR, VALUE_VECTOR, pos);
        size_t n = p->matchers->n - first;
        const struct matcher **list = x ? parser_alloc(p, n * sizeof *list) : NULL;
        if (!list)
                return NULL;
        for (size_t i = 0; i < n; i++)
                list[i] = p->matchers->p[first + i];
        x->selector.name = copy;
        x->selector.matchers = list;
        x->selector.n_matchers = n;
        return x;
}

struct expr *parser_whole_selector(struct parser *p)
{
        enum token_type t = parser_peek(p);
        if (t == TOK_LEFT_BRACE)
                return parser_selector(p, NULL);
        if (!parser_is_metric_identifier(t)) {
                parser_unexpected(p);
                return NULL;
        }
        struct token name = parser_take(p);
        return parser_selector(p, &name);
}
