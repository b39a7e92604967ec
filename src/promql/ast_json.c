/* SPDX-License-Identifier: Apache-2.0 */
/* The tree as /api/v1/parse_query gives it: objects with their keys sorted.  Upstream: web/api/v1/translate_ast.go */
#include "codec/float_text.h"
#include "codec/json.h"
#include "promql/parse.h"

static void put(struct buf *b, const struct expr *x);
static void put_duration(struct buf *b, const struct expr *x);

/* Every object begins with a member, so the comma is missing only right after the brace. */
static void key(struct buf *b, const char *name)
{
        if (b->n > 0 && b->p[b->n - 1] != '{')
                buf_putc(b, ',');
        json_put_key(b, name);
}

static void put_bool(struct buf *b, const char *name, bool v)
{
        key(b, name);
        buf_puts(b, v ? "true" : "false");
}

static void put_text(struct buf *b, const char *name, const char *v)
{
        key(b, name);
        json_put_str(b, str_from(v));
}

static void put_i64(struct buf *b, const char *name, int64_t v)
{
        key(b, name);
        buf_put_i64(b, v);
}

static void put_expr(struct buf *b, const char *name, const struct expr *x)
{
        key(b, name);
        put(b, x);
}

static void put_duration_member(struct buf *b, const char *name, const struct expr *x)
{
        key(b, name);
        put_duration(b, x);
}

static void put_list(struct buf *b, const char *name, const Str *v, size_t n)
{
        key(b, name);
        buf_putc(b, '[');
        for (size_t i = 0; i < n; i++) {
                if (i > 0)
                        buf_putc(b, ',');
                json_put_str(b, v[i]);
        }
        buf_putc(b, ']');
}

static void put_number_text(struct buf *b, const char *name, double v)
{
        key(b, name);
        buf_putc(b, '"');
        buf_put_float(b, v, 'f');
        buf_putc(b, '"');
}

/* A number that JSON can hold; what it cannot is null. */
static void put_fill(struct buf *b, const char *name, const double *v)
{
        key(b, name);
        if (v && *v - *v == 0)
                buf_put_sample_value(b, *v);
        else
                buf_puts(b, "null");
}

static void put_matching(struct buf *b, const struct vector_matching *m)
{
        key(b, "matching");
        if (!m) {
                buf_puts(b, "null");
                return;
        }
        buf_putc(b, '{');
        put_text(b, "card", match_card_text(m->card));
        key(b, "fillValues");
        buf_putc(b, '{');
        put_fill(b, "lhs", m->fill_left);
        put_fill(b, "rhs", m->fill_right);
        buf_putc(b, '}');
        put_list(b, "include", m->include, m->n_include);
        put_list(b, "labels", m->labels, m->n_labels);
        put_bool(b, "on", m->on);
        buf_putc(b, '}');
}

static void put_function(struct buf *b, const struct promql_function *f)
{
        key(b, "func");
        buf_putc(b, '{');
        key(b, "argTypes");
        buf_putc(b, '[');
        for (int i = 0; i < f->n_args; i++) {
                if (i > 0)
                        buf_putc(b, ',');
                json_put_str(b, str_from(value_type_text(f->args[i])));
        }
        buf_putc(b, ']');
        put_text(b, "name", f->name);
        put_text(b, "returnType", value_type_text(f->returns));
        put_i64(b, "variadic", f->variadic);
        buf_putc(b, '}');
}

static void put_matchers(struct buf *b, const struct expr *selector)
{
        static const char *const types[] = {[MATCH_EQ] = "=", [MATCH_NE] = "!=", [MATCH_RE] = "=~", [MATCH_NRE] = "!~"};
        key(b, "matchers");
        buf_putc(b, '[');
        for (size_t i = 0; i < selector->selector.n_matchers; i++) {
                const struct matcher *m = selector->selector.matchers[i];
                if (i > 0)
                        buf_putc(b, ',');
                buf_putc(b, '{');
                key(b, "name");
                json_put_str(b, m->name);
                put_text(b, "type", types[m->type]);
                key(b, "value");
                json_put_str(b, m->value);
                buf_putc(b, '}');
        }
        buf_putc(b, ']');
}

static void put_offset(struct buf *b, const struct time_modifiers *m)
{
        put_i64(b, "offset", m->original_offset_ms);
        put_duration_member(b, "offsetExpr", m->offset_expr);
}

static void put_start_or_end(struct buf *b, const struct time_modifiers *m)
{
        key(b, "startOrEnd");
        buf_puts(b, m->at == AT_START ? "\"start\"" : m->at == AT_END ? "\"end\"" : "null");
}

static void put_timestamp(struct buf *b, const struct time_modifiers *m)
{
        key(b, "timestamp");
        if (m->has_at)
                buf_put_i64(b, m->at_ms);
        else
                buf_puts(b, "null");
}

/* selector, or matrix if it has a range. */
static void put_selector(struct buf *b, const struct expr *s, const struct expr *matrix)
{
        put_bool(b, "anchored", s->selector.modifier == SELECTOR_ANCHORED);
        put_matchers(b, s);
        key(b, "name");
        json_put_str(b, s->selector.name);
        put_offset(b, &s->selector.time);
        if (matrix) {
                put_i64(b, "range", matrix->matrix.range_ms);
                put_duration_member(b, "rangeExpr", matrix->matrix.range_expr);
        }
        put_bool(b, "smoothed", s->selector.modifier == SELECTOR_SMOOTHED);
        put_start_or_end(b, &s->selector.time);
        put_timestamp(b, &s->selector.time);
        put_text(b, "type", matrix ? "matrixSelector" : "vectorSelector");
}

static void put_subquery(struct buf *b, const struct expr *x)
{
        put_expr(b, "expr", x->subquery.child);
        put_offset(b, &x->subquery.time);
        put_i64(b, "range", x->subquery.range_ms);
        put_duration_member(b, "rangeExpr", x->subquery.range_expr);
        put_start_or_end(b, &x->subquery.time);
        put_i64(b, "step", x->subquery.step_ms);
        put_duration_member(b, "stepExpr", x->subquery.step_expr);
        put_timestamp(b, &x->subquery.time);
        put_text(b, "type", "subquery");
}

static void put_members(struct buf *b, const struct expr *x)
{
        switch (x->type) {
        case EXPR_AGGREGATE:
                put_expr(b, "expr", x->aggregate.child);
                put_list(b, "grouping", x->aggregate.labels, x->aggregate.n_labels);
                put_text(b, "op", aggregate_op_text(x->aggregate.op));
                put_expr(b, "param", x->aggregate.param);
                put_text(b, "type", "aggregation");
                put_bool(b, "without", x->aggregate.without);
                break;
        case EXPR_BINARY:
                put_bool(b, "bool", x->binary.return_bool);
                put_expr(b, "lhs", x->binary.lhs);
                put_matching(b, x->binary.matching);
                put_text(b, "op", binary_op_text(x->binary.op));
                put_expr(b, "rhs", x->binary.rhs);
                put_text(b, "type", "binaryExpr");
                break;
        case EXPR_CALL:
                key(b, "args");
                buf_putc(b, '[');
                for (size_t i = 0; i < x->call.n_args; i++) {
                        if (i > 0)
                                buf_putc(b, ',');
                        put(b, x->call.args[i]);
                }
                buf_putc(b, ']');
                put_function(b, x->call.func);
                put_text(b, "type", "call");
                break;
        case EXPR_MATRIX:
                put_selector(b, x->matrix.selector, x);
                break;
        case EXPR_SELECTOR:
                put_selector(b, x, NULL);
                break;
        case EXPR_SUBQUERY:
                put_subquery(b, x);
                break;
        case EXPR_NUMBER:
                put_text(b, "type", "numberLiteral");
                put_number_text(b, "val", x->number.v);
                break;
        case EXPR_STRING:
                put_text(b, "type", "stringLiteral");
                key(b, "val");
                json_put_str(b, x->string.s);
                break;
        case EXPR_PAREN:
                put_expr(b, "expr", x->paren.child);
                put_text(b, "type", "parenExpr");
                break;
        case EXPR_UNARY:
                put_expr(b, "expr", x->unary.child);
                put_text(b, "op", x->unary.negative ? "-" : "+");
                put_text(b, "type", "unaryExpr");
                break;
        case EXPR_DURATION:
                put_duration_member(b, "lhs", x->binary.lhs);
                put_text(b, "op", binary_op_text(x->binary.op));
                put_duration_member(b, "rhs", x->binary.rhs);
                put_text(b, "type", "durationExpr");
                put_bool(b, "wrapped", x->binary.wrapped);
                break;
        }
}

static void put(struct buf *b, const struct expr *x)
{
        if (buf_is_over(b))
                return;
        if (!x) {
                buf_puts(b, "null");
                return;
        }
        buf_putc(b, '{');
        put_members(b, x);
        buf_putc(b, '}');
}

/* Numbers inside durations say whether they were written as one. */
static void put_duration(struct buf *b, const struct expr *x)
{
        if (!x || x->type != EXPR_NUMBER) {
                put(b, x);
                return;
        }
        buf_putc(b, '{');
        put_bool(b, "duration", x->number.is_duration);
        put_text(b, "type", "numberLiteral");
        put_number_text(b, "val", x->number.v);
        buf_putc(b, '}');
}

void promql_print_ast_json(struct buf *b, const struct expr *x)
{
        put(b, x);
}
