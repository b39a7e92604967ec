/* SPDX-License-Identifier: Apache-2.0 */
/* From the parsed tree to nodes of one query: start(), end(), range(), step() become numbers, duration expressions and
 * @ become times, parentheses go, and what is the same at every step is marked.  Upstream: PreprocessExpr in
 * promql/engine.go, promql/durations.go */
#include <math.h>

#include "promql/eval.h"
#include "base/go_math.h"

/* Times stay far from the ends of int64, so that sums of a few of them cannot overflow. */
#define TIME_BOUND (INT64_C(1) << 61)

static int64_t bounded(int64_t t)
{
        return t > TIME_BOUND ? TIME_BOUND : t < -TIME_BOUND ? -TIME_BOUND : t;
}

/* Go's Duration.Seconds. */
static double go_seconds(int64_t ms)
{
        return (double)(ms / 1000) + (double)(ms % 1000 * 1000000) / 1e9;
}

static double go_min(double a, double b)
{
        if (isinf(a) && a < 0)
                return a;
        if (isinf(b) && b < 0)
                return b;
        if (isnan(a) || isnan(b))
                return go_nan();
        if (a == 0 && a == b)
                return signbit(a) ? a : b;
        return a < b ? a : b;
}

static struct error *duration_value(const struct exec *q, const struct expr *x, double *ret)
{
        if (x->type == EXPR_NUMBER) {
                *ret = x->number.v;
                return NULL;
        }
        if (x->type == EXPR_PAREN)
                return duration_value(q, x->paren.child, ret);
        if (x->type != EXPR_DURATION)
                return error_new(ERROR_INVALID, "unexpected duration expression type");
        double l = 0, r = 0;
        struct error *e = x->binary.lhs ? duration_value(q, x->binary.lhs, &l) : NULL;
        if (!e && x->binary.rhs)
                e = duration_value(q, x->binary.rhs, &r);
        if (e)
                return e;
        switch (x->binary.op) {
        case OP_STEP:
                *ret = go_seconds(q->step_ms);
                return NULL;
        case OP_RANGE:
                *ret = go_seconds(q->end - q->start);
                return NULL;
        case OP_MIN_OF:
                *ret = go_min(l, r);
                return NULL;
        case OP_MAX_OF:
                *ret = -go_min(-l, -r);
                return NULL;
        case OP_ADD:
                *ret = x->binary.lhs ? l + r : r;
                return NULL;
        case OP_SUB:
                *ret = x->binary.lhs ? l - r : -r;
                return NULL;
        case OP_MUL:
                *ret = l * r;
                return NULL;
        case OP_DIV:
                if (r == 0)
                        return error_new(ERROR_INVALID, "%d:%d: division by zero", x->pos.start, x->pos.end);
                *ret = l / r;
                return NULL;
        case OP_MOD:
                if (r == 0)
                        return error_new(ERROR_INVALID, "%d:%d: modulo by zero", x->pos.start, x->pos.end);
                *ret = fmod(l, r);
                return NULL;
        case OP_POW:
                *ret = go_pow(l, r);
                return NULL;
        default:
                return error_new(ERROR_INVALID, "unexpected duration expression operator \"%s\"",
                                 binary_op_text(x->binary.op));
        }
}

static struct error *resolve_duration(const struct exec *q, const struct expr *x, bool negative_ok, int64_t *ret_ms)
{
        if (!x)
                return NULL;
        double v;
        struct error *e = duration_value(q, x, &v);
        if (e)
                return e;
        if (isnan(v) || isinf(v))
                return error_new(ERROR_INVALID, "%d:%d: duration is NaN or infinite", x->pos.start, x->pos.end);
        if (v <= 0 && !negative_ok)
                return error_new(ERROR_INVALID, "%d:%d: duration must be greater than 0", x->pos.start, x->pos.end);
        if (v > 9223372036.854775807 || v < -9223372036.854775808)
                return error_new(ERROR_INVALID, "%d:%d: duration is out of range", x->pos.start, x->pos.end);
        *ret_ms = (int64_t)(v * 1000);
        return NULL;
}

/* The subqueries around a node, as upstream sums them. */
struct around {
        int64_t offset_ms, range_ms, step_ms;
        bool has_at;
        TimeMs at_ms;
        const char *func; /* nearest function or aggregation, "" behind a binary operator */
};

static bool selects_same(const struct selection *s, const struct expr *x, const struct select_hints *h)
{
        if (s->hints.start_ms != h->start_ms || s->hints.end_ms != h->end_ms ||
            s->x->selector.n_matchers != x->selector.n_matchers)
                return false;
        for (size_t i = 0; i < x->selector.n_matchers; i++) {
                const struct matcher *a = s->x->selector.matchers[i], *b = x->selector.matchers[i];
                if (a->type != b->type || !str_eq(a->name, b->name) || !str_eq(a->value, b->value))
                        return false;
        }
        return true;
}

static void add_selection(struct exec *q, struct node *n, const struct around *in, int64_t range_ms)
{
        TimeMs start = in->has_at ? in->at_ms : q->start, end = in->has_at ? in->at_ms : q->end;
        enum selector_modifier mod = n->x->selector.modifier;
        if (n->has_at) {
                start = end = n->at_ms;
        } else {
                start -= in->offset_ms + in->range_ms;
                end -= in->offset_ms;
        }
        if (range_ms == 0) {
                start -= q->lookback_ms - 1;
        } else {
                start -= range_ms - 1 + q->closed_ms;
                if (mod != SELECTOR_PLAIN)
                        start -= q->lookback_ms;
        }
        if (mod == SELECTOR_SMOOTHED)
                end += q->lookback_ms;
        struct select_hints h = {
                .start_ms = bounded(start - n->offset_ms),
                .end_ms = bounded(end - n->offset_ms),
                .step_ms = in->step_ms ? in->step_ms : q->step_ms,
                .range_ms = range_ms,
                .func = str_from(in->func),
        };
        q->mint = MIN(q->mint, h.start_ms);
        q->maxt = MAX(q->maxt, h.end_ms);
        for (struct selection *s = q->selections; s; s = s->next) {
                if (selects_same(s, n->x, &h)) {
                        n->sel = s;
                        return;
                }
        }
        struct selection *s = arena_new(q->arena, struct selection);
        *s = (struct selection){.x = n->x, .hints = h, .next = q->selections};
        q->selections = s;
        n->sel = s;
}

static struct error *resolve_time(const struct exec *q, struct node *n, const struct time_modifiers *t)
{
        n->offset_ms = t->original_offset_ms;
        n->has_at = t->has_at || t->at != AT_NONE;
        n->at_ms = bounded(t->at == AT_START ? q->start : t->at == AT_END ? q->end : t->at_ms);
        return resolve_duration(q, t->offset_expr, true, &n->offset_ms);
}

static struct error *build(struct exec *q, const struct expr *x, const struct around *in, int64_t range_ms,
                           struct node **ret, bool *ret_same, bool *ret_wrap);

static struct error *build_child(struct exec *q, const struct expr *x, const struct around *in, struct node **ret,
                                 bool *ret_same, bool *ret_wrap)
{
        return build(q, x, in, 0, ret, ret_same, ret_wrap);
}

static bool is_unsafe_with_at(enum function_id f)
{
        switch (f) {
        case FUNC_DAYS_IN_MONTH:
        case FUNC_DAY_OF_MONTH:
        case FUNC_DAY_OF_WEEK:
        case FUNC_DAY_OF_YEAR:
        case FUNC_END:
        case FUNC_HOUR:
        case FUNC_MINUTE:
        case FUNC_MONTH:
        case FUNC_YEAR:
        case FUNC_PREDICT_LINEAR:
        case FUNC_RANGE:
        case FUNC_START:
        case FUNC_STEP:
        case FUNC_TIME:
        case FUNC_TIMESTAMP:
                return true;
        default:
                return false;
        }
}

static struct error *build_call(struct exec *q, const struct expr *x, const struct around *in, struct node *n,
                                bool *ret_same, bool *ret_wrap)
{
        enum function_id f = x->call.func->id;
        double folded = 0;
        bool folds = true;
        switch (f) {
        case FUNC_START:
                folded = (double)q->start / 1000;
                break;
        case FUNC_END:
                folded = (double)q->end / 1000;
                break;
        case FUNC_RANGE:
                folded = go_seconds(q->end - q->start);
                break;
        case FUNC_STEP:
                folded = q->start == q->end ? 0 : go_seconds(q->step_ms);
                break;
        default:
                folds = false;
                break;
        }
        if (folds) {
                n->type = EXPR_NUMBER;
                n->number = folded;
                *ret_same = true;
                *ret_wrap = false;
                return NULL;
        }
        struct around inside = *in;
        inside.func = x->call.func->name;
        size_t n_args = x->call.n_args;
        n->args = arena_array(q->arena, struct node *, n_args);
        n->n_args = n_args;
        bool *wraps = arena_array(q->arena, bool, n_args);
        bool same = !is_unsafe_with_at(f), timestamp_safe = f == FUNC_TIMESTAMP;
        for (size_t i = 0; i < n_args; i++) {
                bool arg_same;
                struct error *e = build_child(q, x->call.args[i], &inside, &n->args[i], &arg_same, &wraps[i]);
                if (e)
                        return e;
                same &= arg_same;
                timestamp_safe &= arg_same && n->args[i]->type == EXPR_SELECTOR;
        }
        *ret_same = *ret_wrap = same || timestamp_safe;
        if (!*ret_same)
                for (size_t i = 0; i < n_args; i++)
                        n->args[i]->once = wraps[i];
        return NULL;
}

static struct error *build_subquery(struct exec *q, const struct expr *x, const struct around *in, struct node *n,
                                    bool *ret_same, bool *ret_wrap)
{
        n->range_ms = x->subquery.range_ms;
        n->step_ms = x->subquery.step_ms;
        struct error *e = resolve_time(q, n, &x->subquery.time);
        if (!e)
                e = resolve_duration(q, x->subquery.step_expr, false, &n->step_ms);
        if (!e)
                e = resolve_duration(q, x->subquery.range_expr, false, &n->range_ms);
        if (e)
                return e;
        if (n->step_ms <= 0)
                n->step_ms = q->subquery_step_ms;
        struct around inside = *in;
        inside.step_ms = n->step_ms;
        inside.offset_ms += n->offset_ms;
        inside.range_ms += n->range_ms;
        if (n->has_at) {
                inside.offset_ms = n->offset_ms;
                inside.range_ms = n->range_ms;
                inside.has_at = true;
                inside.at_ms = n->at_ms;
        }
        bool same, wrap;
        e = build_child(q, x->subquery.child, &inside, &n->a, &same, &wrap);
        if (e)
                return e;
        n->a->once = same;
        *ret_same = n->has_at;
        *ret_wrap = false;
        return NULL;
}

/* same: the value does not depend on the step; wrap: and evaluating it once pays. */
static struct error *build(struct exec *q, const struct expr *x, const struct around *in, int64_t range_ms,
                           struct node **ret, bool *ret_same, bool *ret_wrap)
{
        while (x->type == EXPR_PAREN)
                x = x->paren.child;
        struct node *n = arena_new(q->arena, struct node);
        n->x = x;
        n->type = x->type;
        *ret = n;
        struct around inside = *in;
        struct error *e;
        switch (x->type) {
        case EXPR_NUMBER:
                n->number = x->number.v;
                *ret_same = true;
                *ret_wrap = false;
                return NULL;
        case EXPR_STRING:
                *ret_same = true;
                *ret_wrap = false;
                return NULL;
        case EXPR_SELECTOR:
                e = resolve_time(q, n, &x->selector.time);
                if (e)
                        return e;
                add_selection(q, n, in, range_ms);
                *ret_same = *ret_wrap = n->has_at;
                return NULL;
        case EXPR_MATRIX:
                n->range_ms = x->matrix.range_ms;
                e = resolve_duration(q, x->matrix.range_expr, false, &n->range_ms);
                if (!e)
                        e = build(q, x->matrix.selector, in, n->range_ms, &n->a, ret_same, ret_wrap);
                *ret_wrap = false;
                return e;
        case EXPR_SUBQUERY:
                return build_subquery(q, x, in, n, ret_same, ret_wrap);
        case EXPR_CALL:
                return build_call(q, x, in, n, ret_same, ret_wrap);
        case EXPR_UNARY:
                return build_child(q, x->unary.child, in, &n->a, ret_same, ret_wrap);
        case EXPR_AGGREGATE: {
                bool same, wrap;
                inside.func = aggregate_op_text(x->aggregate.op);
                if (x->aggregate.param) {
                        e = build_child(q, x->aggregate.param, &inside, &n->b, &same, &wrap);
                        if (e)
                                return e;
                }
                return build_child(q, x->aggregate.child, &inside, &n->a, ret_same, ret_wrap);
        }
        case EXPR_BINARY: {
                bool same[2], wrap[2];
                inside.func = "";
                e = build_child(q, x->binary.lhs, &inside, &n->a, &same[0], &wrap[0]);
                if (!e)
                        e = build_child(q, x->binary.rhs, &inside, &n->b, &same[1], &wrap[1]);
                if (e)
                        return e;
                *ret_same = *ret_wrap = same[0] && same[1];
                if (!*ret_same) {
                        n->a->once = wrap[0];
                        n->b->once = wrap[1];
                }
                return NULL;
        }
        case EXPR_PAREN:
        case EXPR_DURATION:
                break;
        }
        bug("unexpected node of type %d", (int)x->type);
}

struct error *node_build(struct exec *q, const struct expr *x, struct node **ret)
{
        struct around in = {.func = ""};
        bool same, wrap;
        q->mint = INT64_MAX;
        q->maxt = INT64_MIN;
        struct error *e = build(q, x, &in, 0, ret, &same, &wrap);
        if (!e) {
                (*ret)->once = wrap;
                mark_stats_only(*ret);
        }
        return e;
}
