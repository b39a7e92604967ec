/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of an instant vector that look at more than one value: absent, sort, vector, and dates of the evaluation
 * time. Upstream: promql/functions.go */
#include <math.h>
#include <stdlib.h>

#include "promql/eval.h"

/* One row. */
static struct error *one_row(struct exec *q, const struct steps *st, Labels labels, double **ret_v, struct mat *ret)
{
        struct error *e = NULL;
        double *v = column_new(q, 1, st->n, &e);
        if (e)
                return e;
        struct mat m = {.rows = arena_new(q->arena, struct row), .n = 1};
        m.rows[0] = (struct row){.labels = labels, .v = v};
        mat_own(q, &m, v);
        *ret = m;
        *ret_v = v;
        return NULL;
}

static struct error *eval_vector_func(struct exec *q, const struct steps *st, struct node *n, struct mat *ret)
{
        size_t before = q->current;
        double *c, *v;
        struct error *e = eval_scalar(q, st, n->args[0], &c);
        if (e)
                return e;
        e = one_row(q, st, (Labels){0}, &v, ret);
        if (!e)
                memcpy(v, c, st->n * sizeof *v);
        column_free(q, c);
        return e ? e : account_step_eval(q, before, st->n, 1);
}

static struct error *eval_date_now(struct exec *q, const struct steps *st, struct node *n, struct mat *ret)
{
        double *v;
        struct error *e = one_row(q, st, (Labels){0}, &v, ret);
        for (size_t i = 0; !e && i < st->n; i++)
                v[i] = date_part(n->x->call.func->id, (double)(step_time(st, i) / 1000));
        return e ? e : samples_charge(q, st->n);
}

static bool matches_only_set(const struct expr *x, Str name)
{
        for (size_t i = 0; i < x->selector.n_matchers; i++)
                if (str_eq(x->selector.matchers[i]->name, name) && !matcher_matches_empty(x->selector.matchers[i]))
                        return true;
        return false;
}

/* Upstream's storage moves these matchers behind the others, and the labels of absent() depend on the order. */
static bool is_subtracting(const struct expr *x, const struct matcher *m)
{
        return !matches_only_set(x, m->name) ||
               ((m->type == MATCH_NE || m->type == MATCH_NRE) && matcher_matches_empty(m));
}

/* Of the equality matchers; a name that is matched again after its equality is left out. */
static Labels absent_labels(struct exec *q, const struct node *arg)
{
        if (arg->type == EXPR_MATRIX)
                arg = arg->a;
        if (arg->type != EXPR_SELECTOR)
                return (Labels){0};
        const struct expr *x = arg->x;
        struct labels_builder b;
        labels_builder_init(&b);
        VEC(Str) has = VEC_INIT;
        for (size_t i = 0; i < 2 * x->selector.n_matchers; i++) {
                const struct matcher *m = x->selector.matchers[i % x->selector.n_matchers];
                if (str_eq(m->name, STR(METRIC_NAME)) || is_subtracting(x, m) != (i >= x->selector.n_matchers))
                        continue;
                bool seen = false;
                for (size_t k = 0; k < has.n; k++)
                        seen |= str_eq(has.p[k], m->name);
                if (m->type == MATCH_EQ && !seen) {
                        labels_builder_set(&b, m->name, m->value);
                        vec_push(&has, m->name);
                } else {
                        labels_builder_del(&b, m->name);
                }
        }
        Labels ls = labels_builder_labels(&b, q->arena);
        labels_builder_done(&b);
        vec_done(&has);
        return labels_dup(q->arena, ls);
}

struct presence {
        double *v; /* 1: nothing there yet */
        size_t n_steps;
        size_t last; /* rows with a sample at the last step */
};

static struct error *take_away(void *ctx, const struct row_batch *b)
{
        struct presence *p = ctx;
        for (size_t i = 0; i < b->n; i++) {
                for (size_t s = 0; s < p->n_steps; s++)
                        if (!is_absent(b->v[i][s]))
                                p->v[s] = absent();
                p->last += !is_absent(b->v[i][p->n_steps - 1]);
        }
        return NULL;
}

/* absent(v) and absent_over_time(m): 1 where no row has a sample. */
static struct error *eval_absent(struct exec *q, const struct steps *st, struct node *n, struct mat *ret)
{
        size_t before = q->current;
        struct presence p = {.n_steps = st->n};
        struct error *e = one_row(q, st, absent_labels(q, n->args[0]), &p.v, ret);
        if (e)
                return e;
        for (size_t i = 0; i < st->n; i++)
                p.v[i] = 1;
        struct rows *r;
        e = n->x->call.func->id == FUNC_ABSENT ? rows_open(q, st, n->args[0], &r) : rows_open_range(q, st, n, &r);
        if (e)
                return e;
        e = rows_run(q, r, take_away, &p);
        rows_close(q, r);
        mat_drop_empty(ret, st->n);
        if (e || n->x->call.func->id == FUNC_ABSENT_OVER_TIME)
                return e;
        return account_step_eval(q, before, ret->n ? column_count(p.v, st->n) : 0, p.last);
}

struct error *eval_call(struct exec *q, const struct steps *st, struct node *n, struct mat *ret)
{
        const struct promql_function *f = n->x->call.func;
        switch (f->id) {
        case FUNC_VECTOR:
                return eval_vector_func(q, st, n, ret);
        case FUNC_ABSENT:
        case FUNC_ABSENT_OVER_TIME:
                return eval_absent(q, st, n, ret);
        case FUNC_SORT:
        case FUNC_SORT_DESC:
        case FUNC_SORT_BY_LABEL:
        case FUNC_SORT_BY_LABEL_DESC:
                return eval_sort(q, st, n, ret);
        case FUNC_INFO:
                return eval_info(q, st, n, ret);
        case FUNC_LABEL_REPLACE:
                return eval_label_replace(q, st, n, ret);
        case FUNC_LABEL_JOIN:
                return eval_label_join(q, st, n, ret);
        case FUNC_HISTOGRAM_QUANTILE:
        case FUNC_HISTOGRAM_QUANTILES:
        case FUNC_HISTOGRAM_FRACTION:
                return eval_histogram_func(q, st, n, ret);
        case FUNC_DAY_OF_MONTH:
        case FUNC_DAY_OF_WEEK:
        case FUNC_DAY_OF_YEAR:
        case FUNC_DAYS_IN_MONTH:
        case FUNC_HOUR:
        case FUNC_MINUTE:
        case FUNC_MONTH:
        case FUNC_YEAR:
                return eval_date_now(q, st, n, ret);
        default:
                return error_new(ERROR_UNSUPPORTED, "function %s() is not supported yet", f->name);
        }
}
