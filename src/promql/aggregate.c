/* SPDX-License-Identifier: Apache-2.0 */
/* sum, avg, min, max, count, group, stddev, stdvar, quantile: rows come in batches and are added to one column a group,
 * in the order of the rows at every step; workers share the steps, not the rows, so that sums do not depend on their
 * number. Upstream: aggregation() in promql/engine.go */
#include <math.h>

#include "promql/eval.h"
#include "promql/kahan.h"
#include "promql/lanes.h"
#include "promql/quantile.h"

/* Histograms of a group at a step. */
struct group_histograms {
        struct histogram_sum s;
        bool incompatible, float_first, float_before; /* before: a float came before they turned out incompatible */
};
/* Columns of all groups, group after group. */
struct groups {
        struct exec *q;
        const struct node *arg;
        struct group_histograms **histograms; /* of each group, one a step; NULL: none */
        uint32_t *notes;                      /* of each row of a batch */
        size_t cap_notes;
        bool ignored; /* an aggregation of floats met histograms */
        const struct steps *steps;
        enum aggregate_op op;
        struct grouping g;
        const struct rows *rows;
        double *v, *c, *count, *mean; /* ABSENT in v: nothing yet; in mean: avg still sums */
        size_t *first_row;            /* of each group: its first row with a sample, SIZE_MAX: none */
        bool *drop_name;
        const struct row_batch *batch;
        size_t n_slices;
};

static void add_sum_one(double *v, double *c, double x)
{
        if (is_absent(x))
                return;
        if (is_absent(*v)) {
                *v = x;
                *c = 0;
        } else {
                kahan_inc(x, v, c);
        }
}

/* Four steps side by side, each as add_sum_one(). */
WITH_LANES __attribute__((noinline)) static size_t add_sum_lanes(double *v, double *c, const double *x, size_t from, size_t to)
{
        size_t s = from;
        for (; s + LANES <= to; s += LANES) {
                Lanes inc, sum, comp;
                memcpy(&inc, x + s, sizeof inc);
                memcpy(&sum, v + s, sizeof sum);
                memcpy(&comp, c + s, sizeof comp);
                Lanes t = sum + inc;
                Mask skip = (Mask)inc == (int64_t)ABSENT_BITS, fresh = (Mask)sum == (int64_t)ABSENT_BITS;
                Mask first = lanes_abs(sum) >= lanes_abs(inc), infinite = lanes_abs(t) > DBL_MAX;
                Lanes big = lanes_pick(first, sum, inc), small = lanes_pick(first, inc, sum);
                Lanes more = lanes_pick(infinite | fresh, (Lanes){0}, comp + ((big - t) + small));
                t = lanes_pick(skip, sum, lanes_pick(fresh, inc, t));
                more = lanes_pick(skip, comp, more);
                memcpy(v + s, &t, sizeof t);
                memcpy(c + s, &more, sizeof more);
        }
        return s;
}

static void add_sum(double *v, double *c, const double *x, size_t from, size_t to)
{
        if (has_lanes())
                from = add_sum_lanes(v, c, x, from, to);
        for (size_t s = from; s < to; s++)
                add_sum_one(&v[s], &c[s], x[s]);
}

static void add_avg(struct groups *g, size_t at, const double *x, size_t from, size_t to)
{
        double *v = g->v + at, *c = g->c + at, *count = g->count + at, *mean = g->mean + at;
        for (size_t s = from; s < to; s++) {
                if (is_absent(x[s]))
                        continue;
                if (is_absent(v[s])) {
                        v[s] = x[s];
                        c[s] = 0;
                        count[s] = 1;
                        mean[s] = absent();
                        continue;
                }
                double n = ++count[s];
                if (is_absent(mean[s])) {
                        double sum = v[s], comp = c[s];
                        kahan_inc(x[s], &sum, &comp);
                        if (!isinf(sum)) {
                                v[s] = sum;
                                c[s] = comp;
                                continue;
                        }
                        mean[s] = v[s] / (n - 1);
                        c[s] /= n - 1;
                }
                double q = (n - 1) / n;
                mean[s] *= q;
                c[s] *= q;
                kahan_inc(x[s] / n, &mean[s], &c[s]);
        }
}

static void add_variance(struct groups *g, size_t at, const double *x, size_t from, size_t to)
{
        double *v = g->v + at, *count = g->count + at, *mean = g->mean + at;
        for (size_t s = from; s < to; s++) {
                if (is_absent(x[s]))
                        continue;
                if (is_absent(v[s])) {
                        v[s] = isnan(x[s]) || isinf(x[s]) ? go_nan() : 0;
                        count[s] = 1;
                        mean[s] = x[s];
                        continue;
                }
                count[s]++;
                double delta = x[s] - mean[s];
                mean[s] += delta / count[s];
                v[s] += delta * (x[s] - mean[s]);
        }
}

static void add_simple(enum aggregate_op op, double *v, const double *x, size_t from, size_t to)
{
        for (size_t s = from; s < to; s++) {
                if (is_absent(x[s]))
                        continue;
                if (is_absent(v[s]))
                        v[s] = op == AGG_COUNT || op == AGG_GROUP ? 1 : x[s];
                else if (op == AGG_COUNT)
                        v[s]++;
                else if (op == AGG_MAX ? v[s] < x[s] || isnan(v[s]) : op == AGG_MIN && (v[s] > x[s] || isnan(v[s])))
                        v[s] = x[s];
        }
}

static bool takes_histograms(enum aggregate_op op)
{
        return op == AGG_SUM || op == AGG_AVG || op == AGG_COUNT || op == AGG_GROUP;
}

/* Adds the histograms of row i of the batch; floats becomes its column without them. */
static void add_histograms(struct groups *g, size_t i, const double *x, double *floats, size_t from, size_t to,
                           struct worker *w)
{
        Histogram *h = g->batch->h[i];
        size_t n = g->steps->n, group = g->g.group_of[g->batch->first + i];
        bool sums = g->op == AGG_SUM || g->op == AGG_AVG;
        for (size_t s = from; s < to; s++) {
                struct group_histograms *gh = sums ? &g->histograms[group][s] : NULL;
                floats[s] = x[s];
                if (is_absent(x[s]))
                        continue;
                if (!h[s]) {
                        if (gh && gh->incompatible)
                                floats[s] = absent();
                        continue;
                }
                floats[s] = absent();
                if (!gh || gh->incompatible)
                        continue;
                if (!gh->s.sum && !is_absent(g->v[group * n + s])) {
                        gh->float_first = true; /* a mix, whatever comes */
                        continue;
                }
                uint32_t notes = 0;
                struct error *e = histogram_sum_add(&w->keep, &gh->s, h[s], g->op == AGG_AVG, &notes);
                if (e == &error_histograms_incompatible) {
                        gh->incompatible = true;
                        gh->float_before = !is_absent(g->v[group * n + s]);
                        notes |= NOTE_MIXED_SCHEMAS;
                } else if (e) {
                        worker_fail(w, g->batch->first + i, e);
                        return;
                }
                if (notes)
                        __atomic_fetch_or(&g->notes[i], notes, __ATOMIC_RELAXED); /* read after all slices */
        }
}

/* The column of a row with histograms, without them, which are added. Apart, for the sake of the loop that has none. */
__attribute__((noinline)) static const double *floats_of(struct groups *g, size_t i, size_t from, size_t to, int worker)
{
        double *floats = scratch_get(&g->q->workers[worker], g->steps->n);
        add_histograms(g, i, g->batch->v[i], floats, from, to, &g->q->workers[worker]);
        return floats;
}

static void add_slice(void *ctx, size_t item, int worker)
{
        struct groups *g = ctx;
        size_t n = g->steps->n, from = item * n / g->n_slices, to = (item + 1) * n / g->n_slices;
        for (size_t i = 0; i < g->batch->n; i++) {
                size_t at = g->g.group_of[g->batch->first + i] * n;
                const double *x = g->batch->v[i];
                if (UNLIKELY(g->batch->h[i] != NULL) && g->op != AGG_COUNT && g->op != AGG_GROUP)
                        x = floats_of(g, i, from, to, worker);
                switch (g->op) {
                case AGG_SUM:
                        add_sum(g->v + at, g->c + at, x, from, to);
                        break;
                case AGG_AVG:
                        add_avg(g, at, x, from, to);
                        break;
                case AGG_STDDEV:
                case AGG_STDVAR:
                        add_variance(g, at, x, from, to);
                        break;
                default:
                        add_simple(g->op, g->v + at, x, from, to);
                        break;
                }
        }
}

static bool has_sample(const double *v, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (!is_absent(v[i]))
                        return true;
        return false;
}

/* Room for the histograms of the groups that these rows are in. */
static struct error *prepare_histograms(struct groups *g, const struct row_batch *b)
{
        struct error *e = NULL;
        size_t n = g->steps->n;
        bool sums = g->op == AGG_SUM || g->op == AGG_AVG;
        for (size_t i = 0; i < b->n && !e; i++) {
                if (!b->h[i])
                        continue;
                for (size_t s = 0; s < n && !takes_histograms(g->op); s++)
                        g->ignored |= b->h[i][s] && !is_absent(b->v[i][s]);
                size_t group = g->g.group_of[b->first + i];
                if (!sums)
                        continue;
                if (!g->histograms) {
                        g->histograms = exec_alloc(g->q, g->g.n, sizeof(struct group_histograms *), &e);
                        if (e)
                                break;
                        memset(g->histograms, 0, g->g.n * sizeof(struct group_histograms *));
                }
                if (!g->histograms[group]) {
                        g->histograms[group] = exec_alloc(g->q, n, sizeof(struct group_histograms), &e);
                        if (!e)
                                memset(g->histograms[group], 0, n * sizeof(struct group_histograms));
                }
                if (!e && !g->notes) {
                        g->cap_notes = b->n;
                        g->notes = exec_alloc(g->q, b->n, sizeof *g->notes, &e);
                }
        }
        if (!e && g->notes)
                memset(g->notes, 0, MIN(g->cap_notes, b->n) * sizeof *g->notes);
        return e;
}

static struct error *add_batch(void *ctx, const struct row_batch *b)
{
        struct groups *g = ctx;
        size_t n = g->steps->n;
        struct error *e = prepare_histograms(g, b);
        if (e)
                return e;
        for (size_t i = 0; i < b->n; i++) {
                size_t group = g->g.group_of[b->first + i];
                bool drop = rows_drop_name(g->rows, b->first + i);
                if ((g->first_row[group] != SIZE_MAX && !drop) || !has_sample(b->v[i], n))
                        continue;
                g->first_row[group] = MIN(g->first_row[group], b->first + i);
                g->drop_name[group] |= drop;
        }
        g->batch = b;
        g->n_slices = n >= 128 && b->n * n >= 32768 ? MIN(n / 64, 4 * (size_t)g->q->n_workers) : 1;
        pool_each(g->n_slices > 1 ? g->q->pool : NULL, g->n_slices, add_slice, g);
        for (size_t i = 0; g->notes && i < b->n; i++)
                note_histograms(g->q, g->notes[i], labels_get(rows_labels(g->rows, b->first + i), STR(METRIC_NAME)),
                                g->arg->x->pos);
        return g->histograms ? workers_error(g->q) : NULL;
}

/* The histograms of a group, and no sample where there were floats too. */
static struct error *finish_histograms(struct groups *g, size_t group, Histogram **ret)
{
        size_t n = g->steps->n;
        double *v = g->v + group * n;
        struct arena *a = &g->q->workers[0].keep;
        uint32_t notes = 0;
        struct error *e = histogram_column(a, n, ret);
        for (size_t s = 0; s < n && !e; s++) {
                struct group_histograms *gh = &g->histograms[group][s];
                bool has_float = gh->incompatible ? gh->float_before : !is_absent(v[s]);
                if (!gh->s.sum && !gh->float_first)
                        continue;
                v[s] = absent();
                if (has_float)
                        notes |= NOTE_MIXED_AGG;
                if (has_float || gh->incompatible)
                        continue;
                struct histogram *h;
                e = histogram_sum_finish(a, &gh->s, g->op == AGG_AVG, &notes, &h);
                if (!e)
                        e = histogram_compact(a, h, 0);
                if (e)
                        break;
                (*ret)[s] = h;
                v[s] = 0;
        }
        note_histograms(g->q, notes, (Str){0}, g->arg->x->pos);
        return e;
}

static void finish(const struct groups *g, size_t at)
{
        double *v = g->v + at;
        for (size_t s = 0; s < g->steps->n; s++) {
                if (is_absent(v[s]))
                        continue;
                switch (g->op) {
                case AGG_SUM:
                        v[s] += g->c[at + s];
                        break;
                case AGG_AVG:
                        if (!is_absent(g->mean[at + s]))
                                v[s] = g->mean[at + s] + g->c[at + s];
                        else
                                v[s] = v[s] / g->count[at + s] + g->c[at + s] / g->count[at + s];
                        break;
                case AGG_STDVAR:
                        v[s] /= g->count[at + s];
                        break;
                case AGG_STDDEV:
                        v[s] = sqrt(v[s] / g->count[at + s]);
                        break;
                default:
                        break;
                }
        }
}

static int by_first_row(const void *a, const void *b, void *ctx)
{
        const struct groups *g = ctx;
        size_t x = g->first_row[*(const size_t *)a], y = g->first_row[*(const size_t *)b];
        return (x > y) - (x < y);
}

static struct error *groups_alloc(struct groups *g)
{
        struct error *e = NULL;
        size_t n = g->g.n, steps = g->steps->n;
        bool more = g->op == AGG_AVG || g->op == AGG_STDDEV || g->op == AGG_STDVAR;
        g->v = column_new(g->q, n, steps, &e);
        if (!e && (g->op == AGG_SUM || g->op == AGG_AVG))
                g->c = column_new(g->q, n, steps, &e);
        if (!e && more)
                g->count = column_new(g->q, n, steps, &e);
        if (!e && more)
                g->mean = column_new(g->q, n, steps, &e);
        if (!e)
                g->first_row = exec_alloc(g->q, n, sizeof *g->first_row, &e);
        if (!e)
                g->drop_name = exec_alloc(g->q, n, sizeof *g->drop_name, &e);
        if (e)
                return e;
        for (size_t i = 0; i < n * steps; i++)
                g->v[i] = absent();
        for (size_t i = 0; i < n; i++) {
                g->first_row[i] = SIZE_MAX;
                g->drop_name[i] = false;
        }
        return NULL;
}

static struct error *groups_result(struct groups *g, struct mat *ret)
{
        struct error *e = NULL;
        struct mat m = {0};
        size_t *order = exec_alloc(g->q, g->g.n, sizeof *order, &e);
        if (!e)
                m.rows = exec_alloc(g->q, g->g.n, sizeof *m.rows, &e);
        if (e)
                return e;
        for (size_t i = 0; i < g->g.n; i++)
                if (g->first_row[i] != SIZE_MAX)
                        order[m.n++] = i;
        if (m.n)
                qsort_r(order, m.n, sizeof *order, by_first_row, g);
        for (size_t i = 0; i < m.n; i++) {
                size_t at = order[i] * g->steps->n;
                Histogram *h = NULL;
                finish(g, at);
                if (g->histograms && g->histograms[order[i]])
                        e = finish_histograms(g, order[i], &h);
                if (e)
                        return e;
                m.rows[i] = (struct row){
                        .labels = g->g.labels[order[i]], .v = g->v + at, .h = h, .drop_name = g->drop_name[order[i]]};
        }
        if (g->ignored)
                note_ignored(g->q, aggregate_op_text(g->op), g->arg->x->pos);
        mat_drop_empty(&m, g->steps->n);
        mat_own(g->q, &m, g->v);
        g->v = NULL;
        *ret = m;
        return NULL;
}

static Labels labels_of_rows(void *ctx, size_t i)
{
        return rows_labels(ctx, i);
}

static Labels labels_of_mat(void *ctx, size_t i)
{
        return ((struct mat *)ctx)->rows[i].labels;
}

/* Leaves the floats. */
static bool hide_histograms(struct mat *m, size_t n_steps)
{
        bool any = false;
        for (size_t i = 0; i < m->n; i++) {
                struct row *r = &m->rows[i];
                for (size_t s = 0; r->h && s < n_steps; s++) {
                        if (!r->h[s] || is_absent(r->v[s]))
                                continue;
                        any = true;
                        r->v[s] = absent();
                }
                r->h = NULL;
        }
        return any;
}

/* All values of a group at a step, sorted: needs the whole input. */
static struct error *quantiles(struct exec *q, const struct steps *st, const struct expr *x, const struct agg_param *p,
                               struct mat *in, const struct node *arg, struct mat *ret)
{
        struct error *e = NULL;
        struct groups g = {.q = q, .steps = st, .op = AGG_QUANTILE, .arg = arg};
        g.ignored = hide_histograms(in, st->n);
        e = grouping_make(q, x, labels_of_mat, in, in->n, true, &g.g);
        if (!e)
                e = groups_alloc(&g);
        size_t *start = e ? NULL : exec_alloc(q, g.g.n + 2, sizeof *start, &e);
        size_t *member = e ? NULL : exec_alloc(q, in->n, sizeof *member, &e);
        double *copy = e ? NULL : column_new(q, 1, in->n, &e);
        if (e)
                return e;
        memset(start, 0, (g.g.n + 2) * sizeof *start);
        for (size_t i = 0; i < in->n; i++)
                start[g.g.group_of[i] + 2]++;
        for (size_t i = 2; i < g.g.n + 2; i++)
                start[i] += start[i - 1];
        for (size_t i = 0; i < in->n; i++) {
                member[start[g.g.group_of[i] + 1]++] = i;
                g.first_row[g.g.group_of[i]] = MIN(g.first_row[g.g.group_of[i]], i);
                g.drop_name[g.g.group_of[i]] |= in->rows[i].drop_name;
        }
        for (size_t k = 0; k < g.g.n && !e; k++) {
                e = exec_poll(q, "expression evaluation");
                for (size_t s = 0; s < st->n && !e; s++) {
                        size_t n = 0;
                        if ((start[k + 1] - start[k]) * (s % 64) > 4096)
                                e = exec_poll(q, "expression evaluation");
                        for (size_t i = start[k]; i < start[k + 1]; i++)
                                if (!is_absent(in->rows[member[i]].v[s]))
                                        copy[n++] = in->rows[member[i]].v[s];
                        if (n)
                                g.v[k * st->n + s] = quantile_of(p->v[s], copy, n);
                }
        }
        column_free(q, copy);
        return e ? e : groups_result(&g, ret);
}

struct error *agg_param_eval(struct exec *q, const struct steps *st, struct node *n, struct agg_param *ret)
{
        *ret = (struct agg_param){.min = DBL_MAX, .max = -DBL_MAX};
        if (!n)
                return NULL;
        struct error *e = eval_scalar(q, st, n, &ret->v);
        if (e)
                return e;
        ret->constant = n->type == EXPR_NUMBER;
        if (ret->constant)
                ret->min = ret->max = ret->v[0];
        for (size_t i = 0; i < st->n; i++) {
                double v = ret->v[i];
                bool nan = isnan(v) || isnan(ret->max); /* Go's Max and Min keep a NaN */
                ret->max = nan ? go_nan() : fmax(ret->max, v);
                ret->min = nan ? go_nan() : fmin(ret->min, v);
                ret->any_nan |= isnan(v);
        }
        return NULL;
}

static struct error *eval_quantile(struct exec *q, const struct steps *st, struct node *n, struct mat *ret)
{
        struct agg_param p;
        struct mat in = {0};
        struct error *e = agg_param_eval(q, st, n->b, &p);
        if (!e)
                e = eval_mat(q, st, n->a, &in);
        if (!e) {
                struct pos_range pos = n->b->x->pos;
                if (p.any_nan)
                        note_quantile(q, go_nan(), pos);
                if (p.max > 1)
                        note_quantile(q, p.max, pos);
                if (p.min < 0)
                        note_quantile(q, p.min, pos);
                e = quantiles(q, st, n->x, &p, &in, n->a, ret);
        }
        mat_done(q, &in);
        column_free(q, p.v);
        return e;
}

static struct error *eval_streaming(struct exec *q, const struct steps *st, struct node *n, struct mat *ret)
{
        struct rows *r;
        struct error *e = rows_open(q, st, n->a, &r);
        if (e)
                return e;
        struct groups g = {.q = q, .steps = st, .arg = n->a, .op = n->x->aggregate.op, .rows = r};
        e = grouping_make(q, n->x, labels_of_rows, r, rows_n(r), true, &g.g);
        if (!e)
                e = groups_alloc(&g);
        if (!e)
                e = rows_run(q, r, add_batch, &g);
        if (!e)
                e = groups_result(&g, ret);
        rows_close(q, r);
        column_free(q, g.v);
        column_free(q, g.c);
        column_free(q, g.count);
        column_free(q, g.mean);
        return e;
}

struct error *eval_aggregate(struct exec *q, const struct steps *st, struct node *n, struct mat *ret)
{
        size_t before = q->current;
        struct error *e;
        switch (n->x->aggregate.op) {
        case AGG_TOPK:
        case AGG_BOTTOMK:
        case AGG_LIMITK:
        case AGG_LIMIT_RATIO:
                e = eval_aggregate_k(q, st, n, ret);
                break;
        case AGG_COUNT_VALUES:
                e = eval_count_values(q, st, n, ret);
                break;
        case AGG_QUANTILE:
                e = eval_quantile(q, st, n, ret);
                break;
        default:
                e = eval_streaming(q, st, n, ret);
                break;
        }
        if (e)
                return e;
        q->current = before;
        return samples_charge(q, mat_samples(ret, st->n));
}
