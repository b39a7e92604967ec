/* SPDX-License-Identifier: Apache-2.0 */
/* Ranges, subqueries and offsets: what stands between brackets and after "offset". */
#include "promql/parser.h"

enum { PREC_NONE, PREC_ADD, PREC_MUL, PREC_POW };
static const struct {
        int prec;
        enum binary_op op;
} duration_ops[TOK_N] = {
        [TOK_ADD] = {PREC_ADD, OP_ADD}, [TOK_SUB] = {PREC_ADD, OP_SUB}, [TOK_MUL] = {PREC_MUL, OP_MUL},
        [TOK_DIV] = {PREC_MUL, OP_DIV}, [TOK_MOD] = {PREC_MUL, OP_MOD}, [TOK_POW] = {PREC_POW, OP_POW},
};

static struct expr *parse_duration(struct parser *p, int min_prec);

static struct expr *new_duration(struct parser *p, enum binary_op op, struct expr *lhs, struct expr *rhs,
                                 struct pos_range pos)
{
        struct expr *x = parser_node(p, EXPR_DURATION, VALUE_SCALAR, pos);
        if (!x)
                return NULL;
        parser_adopt(x, lhs);
        parser_adopt(x, rhs);
        x->binary.op = op;
        x->binary.lhs = lhs;
        x->binary.rhs = rhs;
        return x;
}

/* Seconds that Go's time.Duration cannot hold. */
static bool is_out_of_range(double seconds)
{
        return seconds > 9223372036.854775808 || seconds < -9223372036.854775808;
}

static struct expr *check_range(struct parser *p, struct expr *number, int pos)
{
        if (!is_out_of_range(number->number.v))
                return number;
        parser_fail(p, pos, "duration out of range");
        return NULL;
}

/* Marks parentheses, so that printing gives them back. A bare number has no place for the mark and goes under a plus.
 */
static struct expr *wrap(struct parser *p, struct expr *x, struct pos_range pos)
{
        if (x->type != EXPR_DURATION) {
                x = new_duration(p, OP_ADD, NULL, x, (struct pos_range){pos.start, x->pos.end});
                if (!x)
                        return NULL;
        }
        x->binary.wrapped = true;
        return x;
}

static struct expr *apply_sign(struct parser *p, const struct token *sign, struct expr *x)
{
        if (x->type == EXPR_DURATION)
                return sign->type == TOK_ADD
                               ? x
                               : new_duration(p, OP_SUB, NULL, x, (struct pos_range){sign->pos, x->pos.end});
        if (sign->type == TOK_SUB)
                x->number.v = -x->number.v;
        x->pos.start = sign->pos;
        return check_range(p, x, sign->pos);
}

/* step() and range(): peeked is the word. */
static struct expr *parse_step_or_range(struct parser *p)
{
        struct token word = parser_take(p), close;
        if (!parser_expect(p, TOK_LEFT_PAREN, NULL) || !parser_expect(p, TOK_RIGHT_PAREN, &close))
                return NULL;
        return new_duration(p, word.type == TOK_STEP ? OP_STEP : OP_RANGE, NULL, NULL,
                            (struct pos_range){word.pos, close.pos + 1});
}

/* min_of(a, b) and max_of(a, b): peeked is the word. The position is that of the arguments, as upstream's. */
static struct expr *parse_min_or_max(struct parser *p)
{
        struct token word = parser_take(p);
        if (!parser_expect(p, TOK_LEFT_PAREN, NULL))
                return NULL;
        struct expr *lhs = parse_duration(p, PREC_ADD);
        if (!lhs || !parser_expect(p, TOK_COMMA, NULL))
                return NULL;
        struct expr *rhs = parse_duration(p, PREC_ADD);
        if (!rhs || !parser_expect(p, TOK_RIGHT_PAREN, NULL))
                return NULL;
        return new_duration(p, word.type == TOK_MIN_OF ? OP_MIN_OF : OP_MAX_OF, lhs, rhs,
                            (struct pos_range){lhs->pos.start, rhs->pos.end});
}

/* Between parentheses; ret_pos: with them. */
static struct expr *parse_inner(struct parser *p, struct pos_range *ret_pos)
{
        struct token open = parser_take(p), close;
        struct expr *x = parse_duration(p, PREC_ADD);
        if (!x || !parser_expect(p, TOK_RIGHT_PAREN, &close))
                return NULL;
        *ret_pos = (struct pos_range){open.pos, close.pos + 1};
        return x;
}

static struct expr *parse_duration_primary(struct parser *p)
{
        struct pos_range pos;
        struct token sign;
        struct expr *x;
        switch (parser_peek(p)) {
        case TOK_NUMBER:
        case TOK_DURATION:
                x = parser_number_literal(p);
                return x ? check_range(p, x, x->pos.start) : NULL;
        case TOK_ADD:
        case TOK_SUB:
                sign = parser_take(p);
                x = parse_duration(p, PREC_POW);
                return x ? apply_sign(p, &sign, x) : NULL;
        case TOK_STEP:
        case TOK_RANGE:
                return parse_step_or_range(p);
        case TOK_MIN_OF:
        case TOK_MAX_OF:
                return parse_min_or_max(p);
        case TOK_LEFT_PAREN:
                x = parse_inner(p, &pos);
                return x ? wrap(p, x, pos) : NULL;
        default:
                parser_unexpected(p);
                return NULL;
        }
}

static struct expr *combine(struct parser *p, const struct token *op, struct expr *lhs, struct expr *rhs)
{
        if ((op->type == TOK_DIV || op->type == TOK_MOD) && rhs->type == EXPR_NUMBER && rhs->number.v == 0) {
                parser_fail(p, op->pos, op->type == TOK_DIV ? "division by zero" : "modulo by zero");
                return NULL;
        }
        return new_duration(p, duration_ops[op->type].op, lhs, rhs, (struct pos_range){lhs->pos.start, rhs->pos.end});
}

static struct expr *parse_duration_rest(struct parser *p, struct expr *lhs, int min_prec)
{
        while (lhs) {
                enum token_type t = parser_peek(p);
                int prec = duration_ops[t].prec;
                if (t == TOK_ERROR)
                        return NULL;
                if (prec == PREC_NONE || prec < min_prec)
                        break;
                struct token op = parser_take(p);
                struct expr *rhs = parse_duration(p, t == TOK_POW ? prec : prec + 1);
                lhs = rhs ? combine(p, &op, lhs, rhs) : NULL;
        }
        return lhs;
}

static struct expr *parse_duration(struct parser *p, int min_prec)
{
        if (!parser_enter(p))
                return NULL;
        struct expr *x = parse_duration_rest(p, parse_duration_primary(p), min_prec);
        parser_leave(p);
        return x;
}

static int64_t seconds_to_ns(double seconds)
{
        return go_int64(__builtin_round(seconds * 1e9));
}

/* A range or step: number above 0, or expression. */
static struct expr *parse_positive(struct parser *p)
{
        struct expr *x = parse_duration(p, PREC_ADD);
        if (x && x->type == EXPR_NUMBER && x->number.v <= 0) {
                parser_fail(p, x->pos.start, "duration must be greater than 0");
                return NULL;
        }
        return x;
}

static void set_duration(struct expr *x, int64_t *ret_ms, const struct expr **ret_expr)
{
        if (x->type == EXPR_NUMBER)
                *ret_ms = seconds_to_ns(x->number.v) / 1000000;
        else
                *ret_expr = x;
}

static struct expr *new_matrix(struct parser *p, struct expr *selector, int bracket_pos, struct expr *range)
{
        const struct time_modifiers *m = selector->type == EXPR_SELECTOR ? &selector->selector.time : NULL;
        if (!m)
                parser_fail(p, bracket_pos, "ranges only allowed for vector selectors");
        else if (m->offset_sign || m->offset_expr)
                parser_fail(p, bracket_pos, "no offset modifiers allowed before range");
        else if (m->has_at || m->at != AT_NONE)
                parser_fail(p, bracket_pos, "no @ modifiers allowed before range");
        if (p->err)
                return NULL;
        struct expr *x =
                parser_node(p, EXPR_MATRIX, VALUE_MATRIX, (struct pos_range){selector->pos.start, p->last_closing});
        if (!x)
                return NULL;
        parser_adopt(x, selector);
        x->matrix.selector = selector;
        set_duration(range, &x->matrix.range_ms, &x->matrix.range_expr);
        return x;
}

static struct expr *new_subquery(struct parser *p, struct expr *child, struct expr *range, struct expr *step)
{
        struct token close = parser_take(p);
        struct expr *x =
                parser_node(p, EXPR_SUBQUERY, VALUE_MATRIX, (struct pos_range){child->pos.start, close.pos + 1});
        if (!x)
                return NULL;
        parser_adopt(x, child);
        x->subquery.child = child;
        set_duration(range, &x->subquery.range_ms, &x->subquery.range_expr);
        if (step)
                set_duration(step, &x->subquery.step_ms, &x->subquery.step_expr);
        return x;
}

static struct expr *brackets(struct parser *p, struct expr *x)
{
        struct token open = parser_take(p);
        struct expr *range = parse_positive(p);
        if (!range)
                return NULL;
        enum token_type t = parser_peek(p);
        if (t == TOK_RIGHT_BRACKET) {
                parser_skip(p);
                return new_matrix(p, x, open.pos, range);
        }
        if (t != TOK_COLON) {
                parser_unexpected_in(p, "subquery or range", "\":\" or \"]\"");
                return NULL;
        }
        parser_skip(p);
        struct expr *step = NULL;
        if (parser_peek(p) != TOK_RIGHT_BRACKET) {
                p->context = (struct parse_context){"subquery selector", "number, duration, step(), range(), or \"]\""};
                step = parse_positive(p);
                if (!step)
                        return NULL;
                if (parser_peek(p) != TOK_RIGHT_BRACKET) {
                        parser_unexpected_in(p, "subquery selector", "\"]\"");
                        return NULL;
                }
        }
        return new_subquery(p, x, range, step);
}

struct expr *parser_range_or_subquery(struct parser *p, struct expr *x)
{
        struct parse_context outer = p->context;
        p->context = (struct parse_context){"subquery or range selector", "number, duration, step(), or range()"};
        x = brackets(p, x);
        p->context = outer;
        return x;
}

/* An offset is one signed number or word, unless it begins with a parenthesis or two signs: then operators go on with
 * it. foo offset 5m + 3 adds to foo, foo offset (5m) + 3 to the offset. */
static struct expr *parse_signed_offset(struct parser *p)
{
        struct token sign = parser_take(p);
        struct pos_range pos;
        struct expr *x;
        switch (parser_peek(p)) {
        case TOK_NUMBER:
        case TOK_DURATION:
                x = parser_number_literal(p);
                return x ? apply_sign(p, &sign, x) : NULL;
        case TOK_STEP:
        case TOK_RANGE:
                x = parse_step_or_range(p);
                break;
        case TOK_MIN_OF:
        case TOK_MAX_OF:
                x = parse_min_or_max(p);
                break;
        case TOK_LEFT_PAREN:
                x = parse_inner(p, &pos);
                x = x ? wrap(p, x, x->pos) : NULL;
                return x ? apply_sign(p, &sign, x) : NULL;
        default:
                x = parse_duration(p, PREC_POW);
                return x ? parse_duration_rest(p, apply_sign(p, &sign, x), PREC_ADD) : NULL;
        }
        return x ? new_duration(p, sign.type == TOK_SUB ? OP_SUB : OP_ADD, NULL, x,
                                (struct pos_range){sign.pos, x->pos.end})
                 : NULL;
}

static struct expr *parse_offset_duration(struct parser *p)
{
        switch (parser_peek(p)) {
        case TOK_ADD:
        case TOK_SUB:
                return parse_signed_offset(p);
        case TOK_LEFT_PAREN:
                return parse_duration(p, PREC_ADD);
        default:
                return parse_duration_primary(p);
        }
}

static struct expr *set_offset(struct parser *p, struct expr *x, struct expr *offset)
{
        struct time_modifiers *m = expr_time_modifiers(x);
        if (!m)
                parser_fail(p, x->pos.start,
                            "offset modifier must be preceded by an instant vector selector or range vector selector "
                            "or a subquery");
        else if (m->offset_sign || m->offset_expr)
                parser_fail(p, x->pos.start, "offset may not be set multiple times");
        if (p->err)
                return NULL;
        if (offset->type == EXPR_NUMBER) {
                int64_t ns = seconds_to_ns(offset->number.v);
                m->original_offset_ms = ns / 1000000;
                m->offset_sign = (ns > 0) - (ns < 0);
        } else {
                m->offset_expr = offset;
        }
        x->pos.end = p->last_closing;
        return x;
}

struct expr *parser_offset(struct parser *p, struct expr *x)
{
        struct parse_context outer = p->context;
        p->context = (struct parse_context){"offset", "number, duration, step(), or range()"};
        parser_skip(p);
        struct expr *offset = parse_offset_duration(p);
        p->context = outer;
        return offset ? set_offset(p, x, offset) : NULL;
}
