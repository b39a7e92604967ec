/* SPDX-License-Identifier: Apache-2.0 */
/* Types of expressions, after they have been parsed without error.  Upstream: parse.go checkAST */
#include "codec/quote.h"
#include "promql/parser.h"

static bool check(struct parser *p, struct expr *x);

/* Children are constant for everybody else; the parser made them and may finish them. */
static struct expr *mutable(const struct expr *x)
{
        return (struct expr *)x;
}

static bool expect_type(struct parser *p, const struct expr *x, enum value_type want, const char *where)
{
        if (!check(p, mutable(x)))
                return false;
        if (x->value == want)
                return true;
        parser_fail(p, x->pos.start, "expected type %s in %s, got %s", value_type_name(want), where,
                    value_type_name(x->value));
        return false;
}

static bool check_aggregate(struct parser *p, const struct expr *x)
{
        if (!expect_type(p, x->aggregate.child, VALUE_VECTOR, "aggregation expression"))
                return false;
        if (!x->aggregate.param)
                return true;
        enum value_type want = x->aggregate.op == AGG_COUNT_VALUES ? VALUE_STRING : VALUE_SCALAR;
        return expect_type(p, x->aggregate.param, want, "aggregation parameter");
}

static int operator_pos(const struct parser *p, const struct expr *x)
{
        Str in = p->lex.in;
        int i = x->binary.lhs->pos.end;
        while ((size_t)i < in.n && (in.p[i] == ' ' || in.p[i] == '\t' || in.p[i] == '\n' || in.p[i] == '\r'))
                i++;
        return i;
}

static bool check_matching_labels(struct parser *p, const struct expr *x, const struct vector_matching *m)
{
        for (size_t i = 0; m->on && i < m->n_labels; i++) {
                for (size_t j = 0; j < m->n_include; j++) {
                        if (!str_eq(m->labels[i], m->include[j]))
                                continue;
                        struct buf b = BUF_INIT(BUF_NO_LIMIT);
                        buf_put_go_quoted(&b, m->labels[i]);
                        parser_fail(p, operator_pos(p, x), "label %s must not occur in ON and GROUP clause at once",
                                    buf_cstr(&b));
                        buf_done(&b);
                        return false;
                }
        }
        return true;
}

static const char *set_operator_fault(const struct vector_matching *m)
{
        if (m->card != CARD_MANY_TO_MANY)
                return "set operations must always be many-to-many";
        if (m->fill_left || m->fill_right)
                return "filling in missing series not allowed for set operators";
        return NULL;
}

static bool check_matching(struct parser *p, struct expr *x, const struct vector_matching *m)
{
        enum value_type lt = x->binary.lhs->value, rt = x->binary.rhs->value;
        enum binary_op op = x->binary.op;
        if (lt != VALUE_VECTOR || rt != VALUE_VECTOR) {
                if (m->n_labels > 0)
                        parser_fail(p, x->pos.start, "vector matching only allowed between instant vectors");
                else if (m->fill_left || m->fill_right)
                        parser_fail(p, x->pos.start, "filling in missing series only allowed between instant vectors");
                else if (op_is_set(op))
                        parser_fail(p, x->pos.start, "set operator \"%s\" not allowed in binary scalar expression",
                                    binary_op_text(op));
                x->binary.matching = NULL;
        } else if (op_is_set(op)) {
                if (m->card == CARD_ONE_TO_MANY || m->card == CARD_MANY_TO_ONE)
                        parser_fail(p, x->pos.start, "no grouping allowed for \"%s\" operation", binary_op_text(op));
                else if (set_operator_fault(m))
                        parser_fail(p, x->pos.start, "%s", set_operator_fault(m));
        }
        return !p->err;
}

static bool check_operator(struct parser *p, struct expr *x)
{
        if (!check(p, mutable(x->binary.rhs)))
                return false;
        enum value_type lt = x->binary.lhs->value, rt = x->binary.rhs->value;
        bool is_comparison = op_is_comparison(x->binary.op);
        if (x->binary.return_bool && !is_comparison)
                parser_fail(p, operator_pos(p, x), "bool modifier can only be used on comparison operators");
        else if (is_comparison && !x->binary.return_bool && lt == VALUE_SCALAR && rt == VALUE_SCALAR)
                parser_fail(p, operator_pos(p, x), "comparisons between scalars must use BOOL modifier");
        struct vector_matching *m = (struct vector_matching *)x->binary.matching;
        if (op_is_set(x->binary.op) && m->card == CARD_ONE_TO_ONE)
                m->card = CARD_MANY_TO_MANY;
        if (p->err || !check_matching_labels(p, x, m))
                return false;
        const struct expr *bad = lt != VALUE_SCALAR && lt != VALUE_VECTOR   ? x->binary.lhs
                                 : rt != VALUE_SCALAR && rt != VALUE_VECTOR ? x->binary.rhs
                                                                            : NULL;
        if (bad) {
                parser_fail(p, bad->pos.start, "binary expression must contain only scalar and instant vector types");
                return false;
        }
        return check_matching(p, x, m);
}

/* Chains of operators lean to the left and may be long: down without recursion, then up. */
static bool check_binary(struct parser *p, struct expr *x)
{
        VEC(struct expr *) chain = VEC_INIT;
        for (; x->type == EXPR_BINARY; x = mutable(x->binary.lhs))
                vec_push(&chain, x);
        bool ok = check(p, x);
        while (ok && chain.n > 0)
                ok = check_operator(p, vec_pop(&chain));
        vec_done(&chain);
        return ok;
}

static bool check_arg_count(struct parser *p, const struct expr *x)
{
        const struct promql_function *f = x->call.func;
        size_t n = x->call.n_args, least = (size_t)MAX(f->n_args - 1, 0);
        if (f->variadic == 0) {
                if (n != (size_t)f->n_args)
                        parser_fail(p, x->pos.start, "expected %d argument(s) in call to \"%s\", got %zu", f->n_args,
                                    f->name, n);
        } else if (n < least) {
                parser_fail(p, x->pos.start, "expected at least %zu argument(s) in call to \"%s\", got %zu", least,
                            f->name, n);
        } else if (f->variadic > 0 && n > least + (size_t)f->variadic) {
                parser_fail(p, x->pos.start, "expected at most %zu argument(s) in call to \"%s\", got %zu",
                            least + (size_t)f->variadic, f->name, n);
        }
        return !p->err;
}

/* The second argument of info() selects labels, not series, so that it may be empty. */
static bool check_info_selector(struct parser *p, const struct expr *call, const struct expr *x)
{
        if (x->value != VALUE_VECTOR)
                parser_fail(p, call->pos.start, "expected type %s in call to function \"info\", got %s",
                            value_type_name(VALUE_VECTOR), value_type_name(x->value));
        else if (x->type != EXPR_SELECTOR)
                parser_fail(p, x->pos.start, "expected label selectors only");
        else if (x->selector.name.n > 0)
                parser_fail(p, x->pos.start, "expected label selectors only, got vector selector instead");
        return !p->err;
}

static bool check_call(struct parser *p, const struct expr *x)
{
        const struct promql_function *f = x->call.func;
        if (!check_arg_count(p, x))
                return false;
        for (size_t i = 0; i < x->call.n_args; i++) {
                const struct expr *arg = x->call.args[i];
                bool is_info_selector = f->id == FUNC_INFO && i == 1;
                if (f->id == FUNC_INFO && i == 0 && x->call.n_args > 1 && !check_info_selector(p, x, x->call.args[1]))
                        return false;
                enum value_type want = f->args[MIN(i, (size_t)f->n_args - 1)];
                if (!is_info_selector && !check(p, mutable(arg)))
                        return false;
                if (arg->value != want) {
                        parser_fail(p, arg->pos.start, "expected type %s in call to function \"%s\", got %s",
                                    value_type_name(want), f->name, value_type_name(arg->value));
                        return false;
                }
        }
        return true;
}

/* a[1m:][1m:]… may be long, and is wrong from the second on: no recursion over it either. */
static bool check_subquery(struct parser *p, const struct expr *x)
{
        const struct expr *inner = x;
        while (inner->subquery.child->type == EXPR_SUBQUERY)
                inner = inner->subquery.child;
        const struct expr *child = inner->subquery.child;
        if (!check(p, mutable(child)))
                return false;
        if (child->value == VALUE_VECTOR && inner == x)
                return true;
        parser_fail(p, x->pos.start, "subquery is only allowed on instant vector, got %s instead",
                    value_type_text(child->value == VALUE_VECTOR ? VALUE_MATRIX : child->value));
        return false;
}

static bool check_selector(struct parser *p, const struct expr *x)
{
        size_t n = x->selector.n_matchers;
        if (x->selector.name.n == 0) {
                for (size_t i = 0; i < n; i++)
                        if (!matcher_matches_empty(x->selector.matchers[i]))
                                return true;
                parser_fail(p, x->pos.start, "vector selector must contain at least one non-empty matcher");
                return false;
        }
        /* The last one was made of the name. */
        for (size_t i = 0; i + 1 < n; i++) {
                const struct matcher *m = x->selector.matchers[i];
                if (!str_eq(m->name, STR(METRIC_NAME)))
                        continue;
                struct buf b = BUF_INIT(BUF_NO_LIMIT);
                buf_put_go_quoted(&b, x->selector.name);
                buf_puts(&b, " or ");
                buf_put_go_quoted(&b, m->value);
                parser_fail(p, x->pos.start, "metric name must not be set twice: %s", buf_cstr(&b));
                buf_done(&b);
                return false;
        }
        return true;
}

static bool check(struct parser *p, struct expr *x)
{
        const struct expr *child;
        switch (x->type) {
        case EXPR_AGGREGATE:
                return check_aggregate(p, x);
        case EXPR_BINARY:
                return check_binary(p, x);
        case EXPR_CALL:
                return check_call(p, x);
        case EXPR_PAREN:
                return check(p, mutable(x->paren.child));
        case EXPR_UNARY:
                child = x->unary.child;
                if (!check(p, mutable(child)))
                        return false;
                if (child->value == VALUE_SCALAR || child->value == VALUE_VECTOR)
                        return true;
                parser_fail(p, x->pos.start,
                            "unary expression only allowed on expressions of type scalar or instant vector, got "
                            "\"%s\"",
                            value_type_name(child->value));
                return false;
        case EXPR_SUBQUERY:
                return check_subquery(p, x);
        case EXPR_MATRIX:
                return check(p, mutable(x->matrix.selector));
        case EXPR_SELECTOR:
                return check_selector(p, x);
        case EXPR_NUMBER:
        case EXPR_STRING:
        case EXPR_DURATION:
                break;
        }
        return true;
}

void parser_check(struct parser *p, struct expr *x)
{
        if (!check(p, x) && !p->err)
                bug("a check failed without an error");
}
