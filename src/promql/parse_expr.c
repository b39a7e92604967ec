/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions but for selectors and durations: operators by precedence, calls, aggregations, modifiers of binary
 * operators. */
#include "codec/quote.h"
#include "model/duration.h"
#include "promql/parser.h"

enum { PREC_NONE, PREC_OR, PREC_AND, PREC_COMPARE, PREC_ADD, PREC_MUL, PREC_POW };
static const struct {
        int prec;
        enum binary_op op;
} binary_ops[TOK_N] = {
        [TOK_OR] = {PREC_OR, OP_OR},
        [TOK_AND] = {PREC_AND, OP_AND},
        [TOK_UNLESS] = {PREC_AND, OP_UNLESS},
        [TOK_EQLC] = {PREC_COMPARE, OP_EQ},
        [TOK_NEQ] = {PREC_COMPARE, OP_NE},
        [TOK_LSS] = {PREC_COMPARE, OP_LT},
        [TOK_LTE] = {PREC_COMPARE, OP_LE},
        [TOK_GTR] = {PREC_COMPARE, OP_GT},
        [TOK_GTE] = {PREC_COMPARE, OP_GE},
        [TOK_TRIM_UPPER] = {PREC_COMPARE, OP_TRIM_UPPER},
        [TOK_TRIM_LOWER] = {PREC_COMPARE, OP_TRIM_LOWER},
        [TOK_ADD] = {PREC_ADD, OP_ADD},
        [TOK_SUB] = {PREC_ADD, OP_SUB},
        [TOK_MUL] = {PREC_MUL, OP_MUL},
        [TOK_DIV] = {PREC_MUL, OP_DIV},
        [TOK_MOD] = {PREC_MUL, OP_MOD},
        [TOK_ATAN2] = {PREC_MUL, OP_ATAN2},
        [TOK_POW] = {PREC_POW, OP_POW},
};

static struct expr *parse_binary(struct parser *p, int min_prec);

bool parser_is_metric_identifier(enum token_type t)
{
        switch (t) {
        case TOK_IDENTIFIER:
        case TOK_METRIC_IDENTIFIER:
        case TOK_BY:
        case TOK_WITHOUT:
        case TOK_FILL:
        case TOK_FILL_LEFT:
        case TOK_FILL_RIGHT:
        case TOK_AND:
        case TOK_OR:
        case TOK_UNLESS:
        case TOK_OFFSET:
        case TOK_ANCHORED:
        case TOK_SMOOTHED:
        case TOK_START:
        case TOK_END:
        case TOK_STEP:
        case TOK_RANGE:
        case TOK_MIN_OF:
        case TOK_MAX_OF:
                return true;
        default:
                return token_is_aggregate(t);
        }
}

bool parser_starts_expr(enum token_type t)
{
        switch (t) {
        case TOK_NUMBER:
        case TOK_DURATION:
        case TOK_STRING:
        case TOK_LEFT_PAREN:
        case TOK_LEFT_BRACE:
        case TOK_ADD:
        case TOK_SUB:
                return true;
        default:
                return parser_is_metric_identifier(t);
        }
}

/* Words that are a label's name where one may stand. */
static bool is_label(enum token_type t)
{
        switch (t) {
        case TOK_BOOL:
        case TOK_ON:
        case TOK_IGNORING:
        case TOK_GROUP_LEFT:
        case TOK_GROUP_RIGHT:
        case TOK_ATAN2:
                return true;
        case TOK_WITHOUT: /* upstream's list forgets this one */
                return false;
        default:
                return parser_is_metric_identifier(t);
        }
}

typedef VEC(Str) NameVec;
static bool grouping_label(struct parser *p, NameVec *ret)
{
        enum token_type type = parser_peek(p);
        if (type != TOK_STRING && !is_label(type)) {
                parser_unexpected_in(p, "grouping opts", "label");
                return false;
        }
        struct token t = parser_take(p);
        Str name = t.text;
        if (type == TOK_STRING) {
                if (!parser_unquote(p, t.text, &name))
                        return false;
                if (!label_name_is_valid_utf8(name)) {
                        struct buf b = BUF_INIT(BUF_NO_LIMIT);
                        buf_put_go_quoted(&b, name);
                        parser_fail(p, t.pos, "invalid label name for grouping: %s", buf_cstr(&b));
                        buf_done(&b);
                        return false;
                }
        } else {
                char *copy = parser_alloc(p, name.n);
                if (!copy)
                        return false;
                memcpy(copy, name.p, name.n);
                name.p = copy;
        }
        vec_push(ret, name);
        return true;
}

static bool grouping_list(struct parser *p, NameVec *ret)
{
        if (parser_peek(p) == TOK_RIGHT_PAREN) {
                parser_skip(p);
                return true;
        }
        for (;;) {
                if (!grouping_label(p, ret))
                        return false;
                enum token_type t = parser_peek(p);
                if (t == TOK_COMMA) {
                        parser_skip(p);
                        if (parser_peek(p) != TOK_RIGHT_PAREN)
                                continue;
                } else if (t != TOK_RIGHT_PAREN) {
                        parser_unexpected_in(p, "grouping opts", "\",\" or \")\"");
                        return false;
                }
                parser_skip(p);
                return true;
        }
}

bool parser_grouping_labels(struct parser *p, const Str **ret, size_t *ret_n)
{
        if (parser_peek(p) != TOK_LEFT_PAREN) {
                parser_unexpected_in(p, "grouping opts", "\"(\"");
                return false;
        }
        parser_skip(p);
        NameVec names = VEC_INIT;
        bool ok = grouping_list(p, &names);
        if (ok && names.n > 0) {
                Str *copy = parser_alloc(p, names.n * sizeof *copy);
                ok = copy != NULL;
                if (ok) {
                        memcpy(copy, names.p, names.n * sizeof *copy);
                        *ret = copy;
                        *ret_n = names.n;
                }
        }
        vec_done(&names);
        return ok;
}

/* Modifiers between a binary operator and its right side. */
struct bin_modifier {
        struct vector_matching *matching;
        bool return_bool;
};

static bool fill_value(struct parser *p, const double **ret)
{
        if (!parser_expect(p, TOK_LEFT_PAREN, NULL))
                return false;
        bool negative = false;
        enum token_type t = parser_peek(p);
        if (t == TOK_ADD || t == TOK_SUB) {
                negative = t == TOK_SUB;
                parser_skip(p);
                t = parser_peek(p);
        }
        if (!token_is_number(t)) {
                parser_unexpected(p);
                return false;
        }
        struct expr *x = parser_number_literal(p);
        double *v = x ? parser_alloc(p, sizeof *v) : NULL;
        if (!v || !parser_expect(p, TOK_RIGHT_PAREN, NULL))
                return false;
        *v = negative ? -x->number.v : x->number.v;
        *ret = v;
        return true;
}

static bool fill_modifiers(struct parser *p, struct vector_matching *m)
{
        enum token_type t = parser_peek(p);
        if (t == TOK_FILL) {
                parser_skip(p);
                if (!fill_value(p, &m->fill_left))
                        return false;
                m->fill_right = m->fill_left;
                return true;
        }
        if (t != TOK_FILL_LEFT && t != TOK_FILL_RIGHT)
                return true;
        parser_skip(p);
        if (!fill_value(p, t == TOK_FILL_LEFT ? &m->fill_left : &m->fill_right))
                return false;
        enum token_type other = t == TOK_FILL_LEFT ? TOK_FILL_RIGHT : TOK_FILL_LEFT;
        if (parser_peek(p) != other)
                return true;
        parser_skip(p);
        return fill_value(p, other == TOK_FILL_LEFT ? &m->fill_left : &m->fill_right);
}

static bool group_modifiers(struct parser *p, struct vector_matching *m)
{
        enum token_type t = parser_peek(p);
        if (t != TOK_ON && t != TOK_IGNORING)
                return true;
        parser_skip(p);
        m->on = t == TOK_ON;
        if (!parser_grouping_labels(p, &m->labels, &m->n_labels))
                return false;
        t = parser_peek(p);
        if (t != TOK_GROUP_LEFT && t != TOK_GROUP_RIGHT)
                return true;
        parser_skip(p);
        m->card = t == TOK_GROUP_LEFT ? CARD_MANY_TO_ONE : CARD_ONE_TO_MANY;
        t = parser_peek(p);
        if (t != TOK_LEFT_PAREN && parser_starts_expr(t))
                return true;
        return parser_grouping_labels(p, &m->include, &m->n_include);
}

static bool bin_modifier(struct parser *p, struct bin_modifier *ret)
{
        *ret = (struct bin_modifier){.matching = parser_alloc(p, sizeof *ret->matching)};
        if (!ret->matching)
                return false;
        if (parser_peek(p) == TOK_BOOL) {
                parser_skip(p);
                ret->return_bool = true;
        }
        return group_modifiers(p, ret->matching) && fill_modifiers(p, ret->matching);
}

static struct expr *new_binary(struct parser *p, enum binary_op op, const struct bin_modifier *mod, struct expr *lhs,
                               struct expr *rhs)
{
        enum value_type type = lhs->value == VALUE_SCALAR && rhs->value == VALUE_SCALAR ? VALUE_SCALAR : VALUE_VECTOR;
        struct expr *x = parser_node(p, EXPR_BINARY, type, (struct pos_range){lhs->pos.start, rhs->pos.end});
        if (!x)
                return NULL;
        x->binary.op = op;
        x->binary.lhs = lhs;
        x->binary.rhs = rhs;
        x->binary.matching = mod->matching;
        x->binary.return_bool = mod->return_bool;
        if (!p->opts->fill_modifiers && (mod->matching->fill_left || mod->matching->fill_right)) {
                parser_fail(p, x->pos.start, "binop fill modifiers are experimental and not enabled");
                return NULL;
        }
        parser_adopt(x, lhs);
        parser_adopt(x, rhs);
        return x;
}

typedef VEC(const struct expr *) ExprVec;
static bool call_args(struct parser *p, ExprVec *ret)
{
        if (!parser_expect(p, TOK_LEFT_PAREN, NULL))
                return false;
        if (parser_peek(p) == TOK_RIGHT_PAREN) {
                parser_skip(p);
                return true;
        }
        for (;;) {
                struct expr *x = parser_expr(p);
                if (!x)
                        return false;
                vec_push(ret, x);
                if (parser_peek(p) != TOK_COMMA)
                        return parser_expect(p, TOK_RIGHT_PAREN, NULL);
                struct token comma = parser_take(p);
                enum token_type t = parser_peek(p);
                if (!parser_starts_expr(t)) {
                        parser_fail(p, comma.pos, "trailing commas not allowed in function call args");
                        return false;
                }
        }
}

static struct expr *new_call(struct parser *p, const struct token *name, const ExprVec *args)
{
        const struct promql_function *f = function_find(name->text);
        if (!f) {
                parser_fail(p, name->pos, "unknown function with name \"" STR_FMT "\"", STR_ARG(name->text));
                return NULL;
        }
        if (f->experimental && !p->opts->experimental_functions) {
                parser_fail(p, name->pos, "function \"%s\" is not enabled", f->name);
                return NULL;
        }
        struct expr *x = parser_node(p, EXPR_CALL, f->returns, (struct pos_range){name->pos, p->last_closing});
        const struct expr **copy = x ? parser_alloc(p, args->n * sizeof *copy) : NULL;
        if (!copy)
                return NULL;
        for (size_t i = 0; i < args->n; i++) {
                copy[i] = args->p[i];
                parser_adopt(x, copy[i]);
        }
        x->call.func = f;
        x->call.args = copy;
        x->call.n_args = args->n;
        return x;
}

static struct expr *parse_call(struct parser *p, const struct token *name)
{
        ExprVec args = VEC_INIT;
        struct expr *x = call_args(p, &args) ? new_call(p, name, &args) : NULL;
        vec_done(&args);
        return x;
}

static bool aggregate_modifier(struct parser *p, struct expr *x)
{
        x->aggregate.without = parser_take(p).type == TOK_WITHOUT;
        return parser_grouping_labels(p, &x->aggregate.labels, &x->aggregate.n_labels);
}

static bool aggregate_has_param(enum aggregate_op op)
{
        return op == AGG_TOPK || op == AGG_BOTTOMK || op == AGG_COUNT_VALUES || op == AGG_QUANTILE ||
               op == AGG_LIMITK || op == AGG_LIMIT_RATIO;
}

static struct expr *finish_aggregate(struct parser *p, struct expr *x, const ExprVec *args)
{
        if (args->n == 0) {
                parser_fail(p, x->pos.start, "no arguments for aggregate expression provided");
                return NULL;
        }
        enum aggregate_op op = x->aggregate.op;
        size_t want = 1;
        if (aggregate_has_param(op)) {
                if (!p->opts->experimental_functions && (op == AGG_LIMITK || op == AGG_LIMIT_RATIO)) {
                        parser_fail(p, x->pos.start,
                                    "%s() is experimental and must be enabled with "
                                    "--enable-feature=promql-experimental-functions",
                                    aggregate_op_text(op));
                        return NULL;
                }
                want = 2;
                x->aggregate.param = args->p[0];
        }
        if (args->n != want) {
                parser_fail(p, x->pos.start,
                            "wrong number of arguments for aggregate expression provided, expected %zu, got %zu", want,
                            args->n);
                return NULL;
        }
        x->aggregate.child = args->p[want - 1];
        parser_adopt(x, x->aggregate.child);
        parser_adopt(x, x->aggregate.param);
        return x;
}

static struct expr *aggregate_body(struct parser *p, struct expr *x, ExprVec *args)
{
        enum token_type t = parser_peek(p);
        bool is_before = t == TOK_BY || t == TOK_WITHOUT;
        if (is_before && !aggregate_modifier(p, x))
                return NULL;
        if (!call_args(p, args))
                return NULL;
        bool is_overread = false;
        if (!is_before) {
                t = parser_peek(p);
                if (t == TOK_ERROR)
                        return NULL;
                is_overread = t != TOK_BY && t != TOK_WITHOUT;
                if (!is_overread && !aggregate_modifier(p, x))
                        return NULL;
        }
        x->pos.end = is_overread ? lexer_prev_right_paren(&p->lex, p->last_closing) : p->last_closing;
        return finish_aggregate(p, x, args);
}

static struct expr *parse_aggregate(struct parser *p, const struct token *op)
{
        struct parse_context outer = p->context;
        p->context = (struct parse_context){.in = "aggregation"};
        struct expr *x = parser_node(p, EXPR_AGGREGATE, VALUE_VECTOR, token_range(op));
        if (x) {
                ExprVec args = VEC_INIT;
                x->aggregate.op = (enum aggregate_op)(op->type - TOK_SUM);
                x = aggregate_body(p, x, &args);
                vec_done(&args);
        }
        p->context = outer;
        return x;
}

struct expr *parser_number_literal(struct parser *p)
{
        struct token t = parser_take(p);
        struct expr *x = parser_node(p, EXPR_NUMBER, VALUE_SCALAR, token_range(&t));
        if (!x)
                return NULL;
        if (t.type == TOK_NUMBER) {
                x->number.v = parser_number(p, t.text, t.pos);
                return p->err ? NULL : x;
        }
        int64_t ms = 0;
        struct error *e = duration_parse(t.text, &ms);
        if (e) {
                parser_fail_error(p, t.pos, e);
                return NULL;
        }
        /* As Go's Duration.Seconds() rounds. */
        x->number.v = (double)(ms / 1000) + (double)(ms % 1000 * 1000000) / 1e9;
        x->number.is_duration = true;
        return x;
}

static struct expr *parse_string(struct parser *p)
{
        struct token t = parser_take(p);
        struct expr *x = parser_node(p, EXPR_STRING, VALUE_STRING, token_range(&t));
        return x && parser_unquote(p, t.text, &x->string.s) ? x : NULL;
}

static struct expr *parse_paren(struct parser *p)
{
        struct token open = parser_take(p), close;
        struct expr *child = parser_expr(p);
        if (!child || !parser_expect(p, TOK_RIGHT_PAREN, &close))
                return NULL;
        struct expr *x = parser_node(p, EXPR_PAREN, child->value, (struct pos_range){open.pos, close.pos + 1});
        if (!x)
                return NULL;
        parser_adopt(x, child);
        x->paren.child = child;
        return x;
}

static struct expr *parse_primary(struct parser *p)
{
        enum token_type t = parser_peek(p);
        switch (t) {
        case TOK_ERROR:
                return NULL;
        case TOK_NUMBER:
        case TOK_DURATION:
                return parser_number_literal(p);
        case TOK_STRING:
                return parse_string(p);
        case TOK_LEFT_PAREN:
                return parse_paren(p);
        case TOK_LEFT_BRACE:
                return parser_selector(p, NULL);
        default:
                break;
        }
        if (!parser_is_metric_identifier(t)) {
                parser_unexpected(p);
                return NULL;
        }
        struct token word = parser_take(p);
        enum token_type next = parser_peek(p);
        if (token_is_aggregate(t)) {
                if (next == TOK_LEFT_PAREN || next == TOK_BY || next == TOK_WITHOUT)
                        return parse_aggregate(p, &word);
        } else if (next == TOK_LEFT_PAREN && (t == TOK_IDENTIFIER || (t >= TOK_START && t <= TOK_MAX_OF))) {
                return parse_call(p, &word);
        }
        return parser_selector(p, &word);
}

static struct expr *set_extended(struct parser *p, struct expr *x, enum selector_modifier mod)
{
        const char *name = mod == SELECTOR_ANCHORED ? "anchored" : "smoothed";
        if (!p->opts->extended_range_selectors) {
                parser_fail(p, x->pos.start, "%s modifier is experimental and not enabled", name);
                return NULL;
        }
        if (x->type == EXPR_SUBQUERY) {
                parser_fail(p, x->pos.start, "%s modifier is not supported for subqueries", name);
                return NULL;
        }
        if (x->type != EXPR_SELECTOR && x->type != EXPR_MATRIX) {
                parser_fail(p, x->pos.start, "%s modifier not implemented", name);
                return NULL;
        }
        struct expr *vs = x->type == EXPR_MATRIX ? (struct expr *)x->matrix.selector : x;
        if (vs->selector.modifier != SELECTOR_PLAIN && vs->selector.modifier != mod) {
                parser_fail(p, x->pos.start, "anchored and smoothed modifiers cannot be used together");
                return NULL;
        }
        vs->selector.modifier = mod;
        return x;
}

static struct time_modifiers *at_modifiers(struct parser *p, struct expr *x)
{
        struct time_modifiers *m = expr_time_modifiers(x);
        if (!m)
                parser_fail(p, x->pos.start,
                            "@ modifier must be preceded by an instant vector selector or range vector selector or a "
                            "subquery");
        else if (m->has_at || m->at != AT_NONE)
                parser_fail(p, x->pos.start, "@ <timestamp> may not be set multiple times");
        return p->err ? NULL : m;
}

static struct expr *set_at_time(struct parser *p, struct expr *x, double ts)
{
        if (!(ts > -0x1p63 && ts < 0x1p63)) {
                if (ts != ts)
                        parser_fail(p, x->pos.start, "timestamp out of bounds for @ modifier: NaN");
                else if (__builtin_isinf(ts))
                        parser_fail(p, x->pos.start, "timestamp out of bounds for @ modifier: %cInf",
                                    ts > 0 ? '+' : '-');
                else
                        parser_fail(p, x->pos.start, "timestamp out of bounds for @ modifier: %f", ts);
                return NULL;
        }
        struct time_modifiers *m = at_modifiers(p, x);
        if (!m)
                return NULL;
        m->has_at = true;
        m->at_ms = go_int64(__builtin_round(ts * 1000));
        x->pos.end = p->last_closing;
        return x;
}

static struct expr *at_argument(struct parser *p, struct expr *x)
{
        enum token_type t = parser_peek(p);
        if (t == TOK_START || t == TOK_END) {
                parser_skip(p);
                if (!parser_expect(p, TOK_LEFT_PAREN, NULL) || !parser_expect(p, TOK_RIGHT_PAREN, NULL))
                        return NULL;
                struct time_modifiers *m = at_modifiers(p, x);
                if (!m)
                        return NULL;
                m->at = t == TOK_START ? AT_START : AT_END;
                x->pos.end = p->last_closing;
                return x;
        }
        bool negative = t == TOK_SUB;
        if (t == TOK_ADD || t == TOK_SUB) {
                parser_skip(p);
                t = parser_peek(p);
        }
        if (!token_is_number(t)) {
                parser_unexpected(p);
                return NULL;
        }
        struct expr *number = parser_number_literal(p);
        return number ? set_at_time(p, x, negative ? -number->number.v : number->number.v) : NULL;
}

static struct expr *parse_at(struct parser *p, struct expr *x)
{
        struct parse_context outer = p->context;
        p->context = (struct parse_context){.in = "@", .expected = "timestamp"};
        parser_skip(p);
        x = at_argument(p, x);
        p->context = outer;
        return x;
}

/* Modifiers bind tighter than any operator. */
static struct expr *parse_postfix(struct parser *p)
{
        struct expr *x = parse_primary(p);
        while (x) {
                switch (parser_peek(p)) {
                case TOK_ERROR:
                        return NULL;
                case TOK_OFFSET:
                        x = parser_offset(p, x);
                        break;
                case TOK_AT:
                        x = parse_at(p, x);
                        break;
                case TOK_LEFT_BRACKET:
                        x = parser_range_or_subquery(p, x);
                        break;
                case TOK_ANCHORED:
                        parser_skip(p);
                        x = set_extended(p, x, SELECTOR_ANCHORED);
                        break;
                case TOK_SMOOTHED:
                        parser_skip(p);
                        x = set_extended(p, x, SELECTOR_SMOOTHED);
                        break;
                default:
                        return x;
                }
        }
        return NULL;
}

/* A sign binds as multiplication does: -a^b is -(a^b). */
static struct expr *parse_signed(struct parser *p)
{
        enum token_type t = parser_peek(p);
        if (t != TOK_ADD && t != TOK_SUB)
                return parse_postfix(p);
        struct token sign = parser_take(p);
        struct expr *child = parse_binary(p, PREC_POW);
        if (!child)
                return NULL;
        if (child->type == EXPR_NUMBER) {
                child->number.v = t == TOK_SUB ? -child->number.v : child->number.v;
                child->pos.start = sign.pos;
                return child;
        }
        struct expr *x = parser_node(p, EXPR_UNARY, child->value, (struct pos_range){sign.pos, child->pos.end});
        if (!x)
                return NULL;
        parser_adopt(x, child);
        x->unary.negative = t == TOK_SUB;
        x->unary.child = child;
        return x;
}

static struct expr *parse_binary(struct parser *p, int min_prec)
{
        if (!parser_enter(p))
                return NULL;
        struct expr *lhs = parse_signed(p);
        while (lhs) {
                enum token_type t = parser_peek(p);
                int prec = binary_ops[t].prec;
                if (t == TOK_ERROR)
                        lhs = NULL;
                if (prec == PREC_NONE || prec < min_prec)
                        break;
                parser_skip(p);
                struct bin_modifier mod;
                struct expr *rhs = bin_modifier(p, &mod) ? parse_binary(p, t == TOK_POW ? prec : prec + 1) : NULL;
                lhs = rhs ? new_binary(p, binary_ops[t].op, &mod, lhs, rhs) : NULL;
        }
        parser_leave(p);
        return lhs;
}

struct expr *parser_expr(struct parser *p)
{
        return parse_binary(p, PREC_OR);
}
