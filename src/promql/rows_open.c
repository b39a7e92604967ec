/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors series by series: which series are read, their labels, and the element-wise work on top. A leaf is a selector, a
 * function of a range, or rows that are there already. */
#include "promql/rows_impl.h"
#include "promql/start_time.h"

bool is_row_node(const struct node *n)
{
        if (n->type == EXPR_SELECTOR)
                return n->x->selector.modifier != SELECTOR_SMOOTHED;
        if (n->type == EXPR_CALL) {
                enum function_id f = n->x->call.func->id;
                if (f != FUNC_ABSENT_OVER_TIME && is_range_func(f))
                        return true;
                if ((f == FUNC_TIMESTAMP || f == FUNC_START_TIMESTAMP) && n->args[0]->type == EXPR_SELECTOR && !n->args[0]->once)
                        return true;
        }
        return elementwise_child((struct node *)n) != NULL;
}

struct error *selection_load(struct exec *q, struct selection *s)
{
        if (s->loaded)
                return NULL;
        VEC(struct series) found = VEC_INIT;
        size_t charged = 0;
        struct series_set *set = NULL;
        struct error *e =
                querier_select(q->querier, &s->hints, s->x->selector.matchers, s->x->selector.n_matchers, &set);
        while (!e) {
                struct series one;
                bool more;
                e = series_set_next(set, &one, &more);
                if (e || !more)
                        break;
                vec_push(&found, one);
                if (found.n % 1024 == 0) {
                        q->series_bytes += found.cap * sizeof one - charged;
                        charged = found.cap * sizeof one;
                        e = exec_poll(q, "expression evaluation");
                        if (e)
                                goto out;
                }
        }
        if (e) {
                if (error_is(e, ERROR_INVALID)) /* would pass for a parse error */
                        e = error_join(error_new(ERROR_CORRUPT, "%s", error_str(e)), e);
                e = error_wrap(e, "expanding series");
                goto out;
        }
        s->series = found.p;
        s->n = found.n;
        s->loaded = true;
        return NULL;
out:
        q->series_bytes -= charged;
        vec_done(&found);
        return e;
}
static bool is_metadata(Str name)
{
        return str_eq(name, STR("__name__")) || str_eq(name, STR("__type__")) || str_eq(name, STR("__unit__"));
}

/* Next label that name dropping takes, at or after *at; labels are sorted, so that the search ends soon. */
static const Label *next_metadata(Labels ls, size_t *at)
{
        for (; *at < ls.n && str_cmp(ls.v[*at].name, STR("__unit__")) <= 0; ++*at)
                if (is_metadata(ls.v[*at].name))
                        return &ls.v[(*at)++];
        return NULL;
}

static bool is_behind_metadata(Str name)
{
        return name.n && name.p[0] > '_';
}

/* Names of one block are one string, and what no longer starts with an underscore is behind all that is looked for. */
static bool surely_same_metadata(Labels a, Labels b)
{
        return a.n && b.n && a.v[0].name.p == b.v[0].name.p && a.v[0].value.p == b.v[0].value.p && a.v[0].value.n == b.v[0].value.n &&
               (a.n == 1 || is_behind_metadata(a.v[1].name)) && (b.n == 1 || is_behind_metadata(b.v[1].name));
}

bool same_metadata(Labels a, Labels b)
{
        if (surely_same_metadata(a, b))
                return true;
        for (size_t i = 0, k = 0;;) {
                const Label *x = next_metadata(a, &i), *y = next_metadata(b, &k);
                if (!x || !y)
                        return x == y;
                if (!str_eq(x->name, y->name) || !str_eq(x->value, y->value))
                        return false;
        }
}

static struct error *rows_new(struct exec *q, const struct steps *st, const struct node *n, enum leaf leaf,
                              size_t n_rows, struct rows **ret)
{
        struct error *e = NULL;
        struct rows *r = arena_new(q->arena, struct rows);
        *r = (struct rows){.leaf = leaf, .q = q, .steps = st, .node = n, .n = n_rows, .before = q->current};
        r->labels = exec_alloc(q, n_rows, sizeof *r->labels, &e);
        if (!e && q->delayed_name_removal) {
                r->drop_name = exec_alloc(q, n_rows, sizeof *r->drop_name, &e);
                if (!e)
                        memset(r->drop_name, 0, n_rows * sizeof *r->drop_name);
        }
        *ret = r;
        return e;
}

static struct error *open_mat(struct exec *q, const struct steps *st, struct node *n, struct mat *take,
                              struct rows **ret)
{
        struct error *e = rows_new(q, st, n, LEAF_MAT, take->n, ret);
        if (e) {
                mat_done(q, take);
                return e;
        }
        struct rows *r = *ret;
        r->mat = *take;
        for (size_t i = 0; i < r->n; i++) {
                r->labels[i] = take->rows[i].labels;
                if (r->drop_name)
                        r->drop_name[i] = take->rows[i].drop_name;
        }
        return NULL;
}

static struct error *open_selector(struct exec *q, const struct steps *st, struct node *n, enum leaf leaf,
                                   struct rows **ret)
{
        struct error *e = selection_load(q, n->sel);
        if (!e)
                e = rows_new(q, st, n, leaf, n->sel->n, ret);
        if (e)
                return e;
        struct rows *r = *ret;
        r->sel = n->sel;
        r->stats_only = n->stats_only;
        TimeMs first = n->has_at ? n->at_ms : st->start, last = n->has_at ? n->at_ms : step_time(st, st->n - 1);
        r->mint = first - n->offset_ms - q->lookback_ms + 1;
        r->maxt = last - n->offset_ms;
        for (size_t i = 0; i < r->n; i++)
                r->labels[i] = n->sel->series[i].labels;
        return NULL;
}

static bool names_differ(const struct rows *r)
{
        for (size_t i = 1; i < r->n; i++)
                if (!same_metadata(r->labels[i], r->labels[0]))
                        return true;
        return false;
}

static void drop_names(struct exec *q, struct rows *r)
{
        for (size_t i = 0; i < r->n; i++) {
                if (q->delayed_name_removal)
                        r->drop_name[i] = true;
                else
                        r->labels[i] = labels_drop_metadata(q, r->labels[i]);
        }
}

static struct error *check_modifier(enum selector_modifier mod, const struct promql_function *f)
{
        enum function_id id = f->id;
        bool smooth = id == FUNC_RATE || id == FUNC_INCREASE || id == FUNC_DELTA;
        if (mod == SELECTOR_ANCHORED && !smooth && id != FUNC_RESETS && id != FUNC_CHANGES)
                return eval_error(
                        "anchored modifier can only be used with: changes, delta, increase, rate, resets - not with %s",
                        f->name);
        if (mod == SELECTOR_SMOOTHED && !smooth)
                return eval_error("smoothed modifier can only be used with: delta, increase, rate - not with %s",
                                  f->name);
        return NULL;
}

struct error *rows_open_range(struct exec *q, const struct steps *st, struct node *n, struct rows **ret)
{
        size_t at = 0, n_scalars = 0;
        while (n->args[at]->type != EXPR_MATRIX && n->args[at]->type != EXPR_SUBQUERY)
                at++;
        struct node *m = n->args[at];
        struct error *e = NULL;
        struct mat sub = {0};
        struct steps sub_steps = {0};
        double *params[2] = {NULL, NULL};
        struct rows *r = NULL;
        size_t before = q->current;
        if (m->type == EXPR_SUBQUERY)
                e = eval_subquery(q, st, m, &sub_steps, &sub);
        for (size_t i = 0; i < n->n_args && !e; i++)
                if (i != at && n_scalars < 2)
                        e = eval_scalar(q, st, n->args[i], &params[n_scalars++]);
        enum selector_modifier mod = m->type == EXPR_MATRIX ? m->a->x->selector.modifier : SELECTOR_PLAIN;
        if (!e)
                e = check_modifier(mod, n->x->call.func);
        if (!e && m->type == EXPR_MATRIX)
                e = open_selector(q, st, m->a, LEAF_RANGE, &r);
        else if (!e)
                e = rows_new(q, st, n, LEAF_SUBQUERY, sub.n, &r);
        if (e) {
                mat_done(q, &sub);
                column_free(q, params[0]);
                column_free(q, params[1]);
                return e;
        }
        const struct node *s = m->type == EXPR_MATRIX ? m->a : m;
        r->node = n;
        r->start_times = q->use_start_times && r->leaf == LEAF_RANGE && start_times_matter(n->x->call.func->id);
        r->before = before;
        r->p1 = params[0];
        r->p2 = params[1];
        r->call = (struct range_call){.func = n->x->call.func->id,
                                      .range_ms = m->range_ms,
                                      .closed_ms = q->closed_ms,
                                      .modifier = mod,
                                      .lookback_ms = q->lookback_ms,
                                      .steps = st,
                                      .offset_ms = s->offset_ms,
                                      .has_at = s->has_at,
                                      .at_ms = s->at_ms,
                                      .p1 = params[0],
                                      .p2 = params[1]};
        if (m->type == EXPR_MATRIX) {
                int64_t more = mod == SELECTOR_PLAIN ? q->closed_ms : q->lookback_ms;
                TimeMs first = s->has_at ? s->at_ms : st->start;
                r->mint = first - s->offset_ms - m->range_ms - more + 1;
                if (mod == SELECTOR_SMOOTHED)
                        r->maxt += more;
        } else {
                r->mat = sub;
                r->sub = sub_steps;
                for (size_t i = 0; i < r->n; i++) {
                        r->labels[i] = sub.rows[i].labels;
                        if (r->drop_name)
                                r->drop_name[i] = sub.rows[i].drop_name;
                }
        }
        if (r->call.func != FUNC_LAST_OVER_TIME && r->call.func != FUNC_FIRST_OVER_TIME) {
                r->check_same = names_differ(r);
                drop_names(q, r);
        }
        *ret = r;
        return NULL;
}

static struct error *push_op(struct exec *q, const struct steps *st, struct node *n, struct rows **r)
{
        struct row_op op;
        struct error *e = elementwise_op(q, st, n, &op);
        if (e) {
                elementwise_done(q, &op);
                return e;
        }
        struct rows *c = *r;
        bool same_possible = op.drops_name && !q->delayed_name_removal && names_differ(c);
        c->ops[c->n_ops++] = op;
        if (!same_possible) {
                if (op.drops_name)
                        drop_names(q, c);
                return NULL;
        }
        /* Dropping the name may make two rows one: they have to be there as a whole. */
        struct mat m;
        c->check_same = false;
        drop_names(q, c);
        e = rows_eval(q, c, &m);
        if (!e)
                e = mat_merge(q, &m, st->n);
        if (e)
                return e;
        rows_close(q, c);
        return open_mat(q, st, n, &m, r);
}

struct error *rows_open(struct exec *q, const struct steps *st, struct node *n, struct rows **ret)
{
        struct error *e;
        if (st->n == 0 || (n->once && st->start != st->end) || !is_row_node(n)) {
                struct mat m;
                e = eval_mat(q, st, n, &m);
                return e ? e : open_mat(q, st, n, &m, ret);
        }
        if (n->type == EXPR_SELECTOR)
                return open_selector(q, st, n, LEAF_SELECTOR, ret);
        if (n->type == EXPR_CALL && is_range_func(n->x->call.func->id))
                return rows_open_range(q, st, n, ret);
        struct node *child = elementwise_child(n);
        if (!child) { /* timestamp(selector), start_timestamp(selector) */
                e = open_selector(q, st, n->args[0], LEAF_TIMESTAMP, ret);
                if (e)
                        return e;
                (*ret)->start_times = n->x->call.func->id == FUNC_START_TIMESTAMP;
                (*ret)->check_same = names_differ(*ret);
                if (!(*ret)->check_same) {
                        drop_names(q, *ret);
                        return NULL;
                }
                struct mat m;
                (*ret)->check_same = false;
                drop_names(q, *ret);
                e = rows_eval(q, *ret, &m);
                if (!e && !q->delayed_name_removal)
                        e = mat_merge(q, &m, st->n);
                return e ? e : open_mat(q, st, n, &m, ret);
        }
        struct rows *r;
        e = rows_open(q, st, child, &r);
        if (e)
                return e;
        if (r->n_ops == ROW_OPS_MAX) {
                struct mat m;
                e = rows_eval(q, r, &m);
                if (!e) {
                        rows_close(q, r);
                        e = open_mat(q, st, child, &m, &r);
                }
                if (e)
                        return e;
        }
        *ret = r;
        return push_op(q, st, n, ret);
}

void rows_close(struct exec *q, struct rows *r)
{
        for (size_t i = 0; i < r->n_ops; i++)
                elementwise_done(q, &r->ops[i]);
        r->n_ops = 0;
        column_free(q, r->p1);
        column_free(q, r->p2);
        r->p1 = r->p2 = NULL;
        mat_done(q, &r->mat);
}

size_t rows_n(const struct rows *r)
{
        return r->n;
}

Labels rows_labels(const struct rows *r, size_t i)
{
        return r->labels[i];
}

bool rows_drop_name(const struct rows *r, size_t i)
{
        return r->drop_name && r->drop_name[i];
}
