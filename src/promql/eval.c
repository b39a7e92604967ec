/* SPDX-License-Identifier: Apache-2.0 */
/* Which way a node is evaluated; what is the same at every step; subqueries.  Upstream: evaluator.eval in
 * promql/engine.go */
#include <math.h>

#include "promql/eval.h"

static enum value_type type_of(const struct node *n)
{
        return n->type == EXPR_NUMBER ? VALUE_SCALAR : n->x->value;
}

static struct error *too_many_steps(struct exec *q, const struct steps *st)
{
        /* No vector of so many steps could be returned, and a column of them would be all memory. */
        if (st->n > q->max_bytes / sizeof(double))
                return eval_error(
                        "an evaluation over %zu steps needs more than the %zu bytes of memory that one query may use",
                        st->n, q->max_bytes);
        return NULL;
}

/* At the first step only, then repeated. */
static struct error *eval_once(struct exec *q, const struct steps *st, struct node *n, struct value *ret)
{
        struct sample_stats stats = {0};
        struct steps one = {.start = st->start, .end = st->start, .interval = st->interval, .n = 1, .stats = &stats};
        struct value v = {0};
        struct error *e = eval(q, &one, n, &v);
        if (e)
                return e;
        st->stats->total += stats.total * st->n;
        st->stats->read += stats.read;
        if (st->stats->total_per_step) {
                for (size_t i = 0; i < st->n; i++)
                        st->stats->total_per_step[i] += stats.total;
                st->stats->read_per_step[0] += stats.read;
        }
        *ret = (struct value){.type = v.type, .string = v.string};
        if (v.type == VALUE_SCALAR) {
                ret->scalar = column_new(q, 1, st->n, &e);
                for (size_t i = 0; !e && i < st->n; i++)
                        ret->scalar[i] = v.scalar[0];
                if (!e)
                        e = samples_charge(q, st->n - 1);
        } else if (v.type == VALUE_VECTOR) {
                double *block = column_new(q, v.mat.n, st->n, &e);
                if (!e) {
                        ret->mat = (struct mat){.rows = v.mat.rows, .n = v.mat.n};
                        mat_own(q, &ret->mat, block);
                }
                for (size_t k = 0; !e && k < v.mat.n; k++) {
                        double *column = block + k * st->n;
                        Histogram h = histogram_at(v.mat.rows[k].h, 0);
                        for (size_t i = 0; i < st->n; i++)
                                column[i] = v.mat.rows[k].v[0];
                        ret->mat.rows[k].v = column;
                        ret->mat.rows[k].h = NULL;
                        if (h)
                                e = histogram_column(&q->workers[0].keep, st->n, &ret->mat.rows[k].h);
                        for (size_t i = 0; h && !e && i < st->n; i++)
                                ret->mat.rows[k].h[i] = h;
                        if (!e)
                                e = samples_charge(q, (st->n - 1) * (h ? histogram_samples(h) : 1));
                }
                v.mat.rows = NULL;
        }
        value_done(q, &v);
        return e;
}

struct error *eval_subquery(struct exec *q, const struct steps *st, struct node *n, struct steps *ret_steps,
                            struct mat *ret)
{
        TimeMs first = n->has_at ? n->at_ms : st->start, last = n->has_at ? n->at_ms : step_time(st, st->n - 1);
        TimeMs from = first - n->offset_ms - n->range_ms;
        struct steps sub = {.interval = n->step_ms, .end = last - n->offset_ms};
        sub.start = n->step_ms * (from / n->step_ms);
        if (sub.start <= from - q->closed_ms)
                sub.start += n->step_ms;
        sub.n = sub.end < sub.start ? 0 : (size_t)((sub.end - sub.start) / sub.interval) + 1;
        struct error *e = too_many_steps(q, &sub);
        if (e)
                return e;
        struct sample_stats *stats = arena_new(q->arena, struct sample_stats);
        sub.stats = stats;
        bool gaps = st->n > 1 && st->interval > n->range_ms + q->closed_ms;
        if (gaps || (st->n > 1 && st->stats->total_per_step)) {
                stats->total_per_step = exec_alloc(q, 2 * sub.n, sizeof(uint64_t), &e);
                if (e)
                        return e;
                memset(stats->total_per_step, 0, 2 * sub.n * sizeof(uint64_t));
                stats->read_per_step = stats->total_per_step + sub.n;
        }
        e = eval_mat(q, &sub, n->a, ret);
        if (e)
                return e;
        /* What was read counts for the step of the outer evaluation whose window holds it. */
        for (size_t k = 0; stats->read_per_step && k < sub.n; k++) {
                TimeMs t = step_time(&sub, k) + n->offset_ms;
                size_t at = t > st->start ? (size_t)((t - st->start + st->interval - 1) / st->interval) : 0;
                at = MIN(at, st->n - 1);
                if (t <= step_time(st, at) - n->range_ms - q->closed_ms)
                        continue;
                st->stats->read += stats->read_per_step[k];
                if (st->stats->read_per_step)
                        st->stats->read_per_step[at] += stats->read_per_step[k];
        }
        if (!stats->read_per_step) {
                st->stats->read += stats->read;
                if (st->stats->read_per_step)
                        st->stats->read_per_step[0] += stats->read;
        }
        *ret_steps = sub;
        return NULL;
}

static struct error *eval_number(struct exec *q, const struct steps *st, double v, double **ret)
{
        struct error *e = NULL;
        double *c = column_new(q, 1, st->n, &e);
        if (e)
                return e;
        for (size_t i = 0; i < st->n; i++)
                c[i] = v;
        *ret = c;
        return samples_charge(q, st->n);
}

static struct error *eval_binary_scalars(struct exec *q, const struct steps *st, enum binary_op op, struct node *l,
                                         struct node *r, double **ret)
{
        size_t before = q->current;
        double *a = NULL, *b = NULL;
        struct error *e = eval_scalar(q, st, l, &a);
        if (!e)
                e = eval_scalar(q, st, r, &b);
        if (!e) {
                for (size_t i = 0; i < st->n; i++)
                        a[i] = scalar_binop(op, a[i], b[i]);
                e = account_step_eval(q, before, st->n, 2);
        }
        column_free(q, b);
        if (e)
                column_free(q, a);
        else
                *ret = a;
        return e;
}

/* scalar(v): the one value of a step, else NaN. */
static struct error *eval_scalar_func(struct exec *q, const struct steps *st, struct node *arg, double **ret)
{
        size_t before = q->current;
        struct mat m;
        struct error *e = eval_mat(q, st, arg, &m);
        if (e)
                return e;
        double *c = column_new(q, 1, st->n, &e);
        size_t last = 0;
        for (size_t s = 0; !e && s < st->n; s++) {
                size_t found = 0;
                c[s] = go_nan();
                for (size_t i = 0; i < m.n; i++) {
                        if (is_absent(m.rows[i].v[s]) || histogram_at(m.rows[i].h, s))
                                continue;
                        c[s] = found++ ? go_nan() : m.rows[i].v[s];
                }
                last = found;
        }
        mat_done(q, &m);
        *ret = c;
        return e ? e : account_step_eval(q, before, st->n, last);
}

static struct error *eval_scalar_node(struct exec *q, const struct steps *st, struct node *n, double **ret)
{
        struct error *e;
        switch (n->type) {
        case EXPR_NUMBER:
                return eval_number(q, st, n->number, ret);
        case EXPR_UNARY:
                e = eval_scalar(q, st, n->a, ret);
                for (size_t i = 0; !e && n->x->unary.negative && i < st->n; i++)
                        (*ret)[i] = -(*ret)[i];
                return e;
        case EXPR_BINARY:
                return eval_binary_scalars(q, st, n->x->binary.op, n->a, n->b, ret);
        case EXPR_CALL:
                break;
        default:
                bug("no scalar: node of type %d", (int)n->type);
        }
        switch (n->x->call.func->id) {
        case FUNC_PI:
                return eval_number(q, st, M_PI, ret);
        case FUNC_TIME:
                e = eval_number(q, st, 0, ret);
                for (size_t i = 0; !e && i < st->n; i++)
                        (*ret)[i] = (double)step_time(st, i) / 1000;
                return e;
        case FUNC_SCALAR:
                return eval_scalar_func(q, st, n->args[0], ret);
        case FUNC_MAX_OF:
                return eval_binary_scalars(q, st, OP_MAX_OF, n->args[0], n->args[1], ret);
        case FUNC_MIN_OF:
                return eval_binary_scalars(q, st, OP_MIN_OF, n->args[0], n->args[1], ret);
        default:
                return error_new(ERROR_UNSUPPORTED, "function %s() is not supported yet", n->x->call.func->name);
        }
}

static struct error *eval_vector_node(struct exec *q, const struct steps *st, struct node *n, struct mat *ret)
{
        if (is_row_node(n)) {
                struct rows *r;
                struct error *e = rows_open(q, st, n, &r);
                if (e)
                        return e;
                e = rows_eval(q, r, ret);
                rows_close(q, r);
                return e;
        }
        switch (n->type) {
        case EXPR_SELECTOR:
                return eval_smoothed(q, st, n, ret);
        case EXPR_AGGREGATE:
                return eval_aggregate(q, st, n, ret);
        case EXPR_BINARY:
                return eval_binary_vectors(q, st, n, ret);
        case EXPR_UNARY:
                return eval_mat(q, st, n->a, ret);
        case EXPR_CALL:
                return eval_call(q, st, n, ret);
        default:
                bug("no vector: node of type %d", (int)n->type);
        }
}

struct error *eval(struct exec *q, const struct steps *st, struct node *n, struct value *ret)
{
        struct error *e = exec_poll(q, "expression evaluation");
        if (!e)
                e = too_many_steps(q, st);
        if (e)
                return e;
        if (n->once && st->start != st->end)    /* also where the only step is not the end: a query of one time is other in sort() */
                return eval_once(q, st, n, ret);
        struct value v = {.type = type_of(n)};
        if (v.type == VALUE_STRING)
                v.string = n->x->string.s;
        else if (v.type == VALUE_SCALAR)
                e = eval_scalar_node(q, st, n, &v.scalar);
        else if (st->n > 0)
                e = eval_vector_node(q, st, n, &v.mat);
        if (!e)
                *ret = v;
        return e;
}

struct error *eval_mat(struct exec *q, const struct steps *st, struct node *n, struct mat *ret)
{
        struct value v;
        struct error *e = eval(q, st, n, &v);
        if (e)
                return e;
        if (v.type != VALUE_VECTOR)
                bug("a vector was expected, not %s", value_type_name(v.type));
        *ret = v.mat;
        return NULL;
}

struct error *eval_scalar(struct exec *q, const struct steps *st, struct node *n, double **ret)
{
        struct value v;
        struct error *e = eval(q, st, n, &v);
        if (e)
                return e;
        if (v.type != VALUE_SCALAR)
                bug("a scalar was expected, not %s", value_type_name(v.type));
        *ret = v.scalar;
        return NULL;
}
