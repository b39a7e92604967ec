/* SPDX-License-Identifier: Apache-2.0 */
/* histogram_quantile, histogram_quantiles and histogram_fraction of classic histograms: rows are gathered by their
 * labels without le once; then each group goes through the steps, groups in parallel.  Upstream: funcHistogramQuantile,
 * resetHistograms in promql/functions.go, engine.go */
#include <math.h>

#include "base/map.h"
#include "codec/float_text.h"
#include "codec/quote.h"
#include "promql/eval.h"
#include "promql/quantile.h"

struct bucket_row {
        double upper;
        double *v;
};
struct classic_histogram {
        Labels labels;              /* without le */
        struct bucket_row *buckets; /* ascending */
        size_t n;
        bool drop_name;
        struct forced_monotonicity *forced; /* one a step at most: NULL none; see compute */
        Histogram *native;                  /* it is a native one: one a step, else NULL */
        uint32_t notes;                     /* of the native one */
};
struct histograms {
        struct exec *q;
        const struct steps *st;
        struct classic_histogram *p;
        size_t n, n_native; /* native ones first */
        bool fraction;
        size_t n_q;
        double *const *qs;         /* quantiles, or lower and upper: one a step */
        double *out;               /* n_q columns of each histogram */
        struct classic_fix *fixes; /* n_q a step and histogram, or NULL */
};

static bool has_sample(const double *v, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (!is_absent(v[i]))
                        return true;
        return false;
}

static void warn_bad_bucket(struct exec *q, const struct node *arg, Labels ls, Str le)
{
        struct buf b = BUF_INIT(1 << 20);
        buf_put_go_quoted(&b, le);
        Str name = q->delayed_name_removal ? labels_get(ls, STR(METRIC_NAME)) : (Str){0};
        if (name.n) {
                buf_puts(&b, " for metric name ");
                buf_put_go_quoted(&b, name);
        }
        annotations_add(&q->notes, ANNOTATION_WARNING, arg->x->pos,
                        "PromQL warning: bucket label \"le\" is missing or has a malformed value of " STR_FMT,
                        STR_ARG(buf_str(&b)));
        buf_done(&b);
}

static Labels without_le(struct exec *q, Labels ls)
{
        Label *v = arena_array(q->arena, Label, ls.n);
        size_t n = 0;
        for (size_t i = 0; i < ls.n; i++)
                if (!str_eq(ls.v[i].name, STR("le")))
                        v[n++] = ls.v[i];
        return (Labels){v, n};
}

/* Takes the native histograms out of the input, which floats are left of. */
static struct error *gather_native(struct histograms *h, struct mat *in)
{
        struct error *e = NULL;
        h->p = exec_alloc(h->q, 2 * in->n, sizeof *h->p, &e);
        for (size_t i = 0; !e && i < in->n; i++) {
                struct row *r = &in->rows[i];
                bool any = false;
                for (size_t s = 0; r->h && s < h->st->n; s++) {
                        if (is_absent(r->v[s]))
                                r->h[s] = NULL;
                        if (!r->h[s])
                                continue;
                        any = true;
                        r->v[s] = absent();
                }
                if (any)
                        h->p[h->n++] = (struct classic_histogram){
                                .labels = r->labels, .drop_name = r->drop_name, .native = r->h};
        }
        h->n_native = h->n;
        return e;
}

/* Where a native and a classic histogram are the same there is neither. */
static void drop_conflicts(struct histograms *h, const struct node *arg)
{
        if (h->n_native == 0 || h->n == h->n_native)
                return;
        struct map natives = MAP_INIT;
        struct buf key = BUF_INIT(BUF_NO_LIMIT);
        for (size_t i = 0; i < h->n_native; i++) {
                buf_clear(&key);
                labels_key(&key, h->p[i].labels);
                map_set(&natives, arena_str(h->q->arena, buf_str(&key)), &h->p[i]);
        }
        for (size_t i = h->n_native; i < h->n; i++) {
                struct classic_histogram *c = &h->p[i], *n;
                buf_clear(&key);
                labels_key(&key, c->labels);
                n = map_get(&natives, buf_str(&key));
                for (size_t s = 0; n && s < h->st->n; s++) {
                        bool any = false;
                        for (size_t k = 0; n->native[s] && k < c->n; k++)
                                any = any || !is_absent(c->buckets[k].v[s]);
                        if (!any)
                                continue;
                        note_histograms(h->q, NOTE_MIXED_CLASSIC,
                                        h->q->delayed_name_removal ? labels_get(n->labels, STR(METRIC_NAME)) : (Str){0},
                                        arg->x->pos);
                        n->native[s] = NULL;
                        for (size_t k = 0; k < c->n; k++)
                                c->buckets[k].v[s] = absent();
                }
        }
        buf_done(&key);
        map_done(&natives);
}

static struct error *gather(struct histograms *h, const struct mat *in, const struct node *arg)
{
        struct exec *q = h->q;
        struct error *e = NULL;
        size_t *group = exec_alloc(q, in->n, sizeof *group, &e);
        double *upper = e ? NULL : exec_alloc(q, in->n, sizeof *upper, &e);
        struct bucket_row *rows = e ? NULL : exec_alloc(q, in->n, sizeof *rows, &e);
        if (e)
                return e;
        struct map seen = MAP_INIT;
        struct buf key = BUF_INIT(BUF_NO_LIMIT);
        for (size_t i = 0; i < in->n && !e; i++) {
                e = exec_poll_row(q, i);
                Labels ls = in->rows[i].labels;
                Str le = labels_get(ls, STR("le"));
                bool out_of_range;
                group[i] = SIZE_MAX;
                if (!has_sample(in->rows[i].v, h->st->n))
                        continue;
                if (!float_parse(le, &upper[i], &out_of_range) || out_of_range) {
                        warn_bad_bucket(q, arg, ls, le);
                        continue;
                }
                Labels rest = without_le(q, ls);
                buf_clear(&key);
                labels_key(&key, rest);
                size_t at = (size_t)(uintptr_t)map_get(&seen, buf_str(&key));
                if (!at) {
                        h->p[h->n] = (struct classic_histogram){.labels = rest};
                        at = ++h->n;
                        map_set(&seen, arena_str(q->arena, buf_str(&key)), (void *)(uintptr_t)at);
                }
                group[i] = at - 1;
                h->p[at - 1].n++;
                h->p[at - 1].drop_name |= in->rows[i].drop_name;
        }
        map_done(&seen);
        buf_done(&key);
        if (e)
                return e;
        for (size_t g = h->n_native; g < h->n; g++) {
                h->p[g].buckets = rows;
                rows += h->p[g].n;
                h->p[g].n = 0;
        }
        for (size_t i = 0; i < in->n; i++) {
                if (group[i] == SIZE_MAX)
                        continue;
                struct classic_histogram *g = &h->p[group[i]];
                size_t k = g->n++;
                for (; k > 0 && g->buckets[k - 1].upper > upper[i]; k--)
                        g->buckets[k] = g->buckets[k - 1];
                g->buckets[k] = (struct bucket_row){upper[i], in->rows[i].v};
        }
        return NULL;
}

static void compute_native(struct histograms *h, size_t item)
{
        struct classic_histogram *g = &h->p[item];
        size_t n_steps = h->st->n, n_out = h->fraction ? 1 : h->n_q;
        for (size_t k = 0; k < n_out; k++) {
                for (size_t s = 0; s < n_steps; s++) {
                        size_t at = (item * n_out + k) * n_steps + s;
                        Histogram x = g->native[s];
                        h->out[at] = !x            ? absent()
                                     : h->fraction ? histogram_fraction(h->qs[0][s], h->qs[1][s], x, &g->notes)
                                                   : histogram_quantile(h->qs[k][s], x, &g->notes);
                        h->fixes[at] = (struct classic_fix){0};
                }
        }
}

static void compute(void *ctx, size_t item, int worker)
{
        struct histograms *h = ctx;
        const struct classic_histogram *g = &h->p[item];
        size_t n_steps = h->st->n, n_out = h->fraction ? 1 : h->n_q;
        if (g->native) {
                compute_native(h, item);
                return;
        }
        struct classic_bucket *b = (struct classic_bucket *)scratch_get(&h->q->workers[worker], g->n * 2);
        for (size_t k = 0; k < n_out; k++) {
                double *out = h->out + (item * n_out + k) * n_steps;
                for (size_t s = 0; s < n_steps; s++) {
                        size_t n = 0;
                        for (size_t i = 0; i < g->n; i++)
                                if (!is_absent(g->buckets[i].v[s]))
                                        b[n++] = (struct classic_bucket){g->buckets[i].upper, g->buckets[i].v[s]};
                        struct classic_fix fix = {0};
                        out[s] = n == 0        ? absent()
                                 : h->fraction ? bucket_fraction(h->qs[0][s], h->qs[1][s], b, n)
                                               : bucket_quantile(h->qs[k][s], b, n, &fix);
                        h->fixes[(item * n_out + k) * n_steps + s] = fix;
                }
        }
}

static bool fixed_before(const struct histograms *h, size_t g, size_t k, size_t s, size_t n_out)
{
        for (size_t i = 0; i < k; i++)
                if (h->fixes[(g * n_out + i) * h->st->n + s].forced)
                        return true;
        return false;
}

/* In upstream's order: steps, then quantiles, then histograms; a histogram is mended for all quantiles by the first.
 * The number of samples is the true one: upstream's doubles with every step of a range query. */
static void note_fixes(struct histograms *h, const struct node *arg)
{
        size_t n_out = h->fraction ? 1 : h->n_q;
        for (size_t s = 0; s < h->st->n; s++) {
                for (size_t k = 0; k < n_out; k++) {
                        for (size_t g = 0; g < h->n; g++) {
                                const struct classic_fix *f = &h->fixes[(g * n_out + k) * h->st->n + s];
                                if (!f->forced || fixed_before(h, g, k, s, n_out))
                                        continue;
                                TimeMs t = step_time(h->st, s);
                                Str name = h->q->delayed_name_removal ? labels_get(h->p[g].labels, STR(METRIC_NAME))
                                                                      : (Str){0};
                                annotations_add_forced(&h->q->notes, arg->x->pos, name,
                                                       &(struct forced_monotonicity){t, t, f->min_bucket, f->max_bucket,
                                                                                     f->max_diff, 0});
                        }
                }
        }
}

/* Go's fmt of a quantile as a label of OpenMetrics: always with a point or an exponent. */
static Str quantile_text(struct exec *q, double v)
{
        if (v == 1)
                return STR("1.0");
        if (v == 0)
                return STR("0.0");
        if (v == -1)
                return STR("-1.0");
        if (isnan(v))
                return STR("NaN");
        if (isinf(v))
                return v > 0 ? STR("+Inf") : STR("-Inf");
        char text[FLOAT_TEXT_MAX_BYTES + 2];
        size_t n = float_print(v, 'g', text);
        if (!memchr(text, '.', n) && !memchr(text, 'e', n)) {
                text[n++] = '.';
                text[n++] = '0';
        }
        return arena_str(q->arena, (Str){text, n});
}

/* histogram_quantiles: a row for every different quantile of a histogram, as its label. */
static struct error *label_rows(struct histograms *h, const struct node *n, struct mat *m)
{
        struct exec *q = h->q;
        struct error *e = NULL;
        size_t n_steps = h->st->n, total = h->n * h->n_q;
        /* A quantile may change from step to step: then its label changes too. */
        VEC(struct row) rows = VEC_INIT;
        for (size_t r = 0; r < total && !e; r++) {
                const struct classic_histogram *g = &h->p[r / h->n_q];
                const double *qs = h->qs[r % h->n_q];
                double *v = h->out + r * n_steps;
                for (size_t from = 0; from < n_steps && !e;) {
                        size_t to = from + 1;
                        while (to < n_steps && (qs[to] == qs[from] || (isnan(qs[to]) && isnan(qs[from]))))
                                to++;
                        struct labels_builder b;
                        labels_builder_init(&b);
                        labels_builder_reset(&b, g->labels);
                        labels_builder_set(&b, n->args[1]->x->string.s, quantile_text(q, qs[from]));
                        Labels ls = labels_builder_labels(&b, q->arena);
                        labels_builder_done(&b);
                        double *column = v;
                        if (from > 0 || to < n_steps) {
                                column = column_new(q, 1, n_steps, &e);
                                if (e)
                                        break;
                                mat_own(q, m, column);
                                for (size_t s = 0; s < n_steps; s++)
                                        column[s] = s >= from && s < to ? v[s] : absent();
                        }
                        vec_push(&rows, (struct row){.labels = ls, .v = column, .drop_name = q->delayed_name_removal});
                        from = to;
                }
        }
        if (!e)
                m->rows = exec_alloc(q, rows.n, sizeof *m->rows, &e);
        if (!e && rows.n)
                memcpy(m->rows, rows.p, rows.n * sizeof *m->rows);
        m->n = e ? 0 : rows.n;
        vec_done(&rows);
        return e;
}

static void check_quantile(struct exec *q, const struct steps *st, const double *v, const struct node *arg)
{
        for (size_t s = 0; s < st->n; s++)
                if (isnan(v[s]) || v[s] < 0 || v[s] > 1)
                        note_quantile(q, v[s], arg->x->pos);
}

static struct error *compute_all(struct histograms *h, struct node *n, struct node *arg, struct mat *in,
                                 struct mat *ret)
{
        struct exec *q = h->q;
        struct error *e = gather_native(h, in);
        if (!e)
                e = gather(h, in, arg);
        if (!e)
                drop_conflicts(h, arg);
        size_t n_out = h->fraction ? 1 : h->n_q;
        struct mat m = {0};
        if (!e)
                h->out = column_new(q, h->n * n_out, h->st->n, &e);
        if (e)
                return e;
        mat_own(q, &m, h->out);
        _Static_assert(sizeof(struct classic_fix) % sizeof(double) == 0, "kept in a block of doubles");
        h->fixes = (struct classic_fix *)column_new(q, h->n * n_out * (sizeof(struct classic_fix) / sizeof(double)),
                                                    h->st->n, &e);
        if (!e) {
                pool_each(q->pool, h->n, compute, h);
                note_fixes(h, arg);
                for (size_t i = 0; i < h->n_native; i++)
                        note_histograms(q, h->p[i].notes,
                                        q->delayed_name_removal ? labels_get(h->p[i].labels, STR(METRIC_NAME))
                                                                : (Str){0},
                                        arg->x->pos);
                column_free(q, (double *)h->fixes);
                for (size_t i = 0; i < h->n && !q->delayed_name_removal; i++)
                        h->p[i].labels = labels_drop_metadata(q, h->p[i].labels);
                if (n->x->call.func->id == FUNC_HISTOGRAM_QUANTILES)
                        e = label_rows(h, n, &m);
                else
                        m.rows = exec_alloc(q, h->n, sizeof *m.rows, &e);
        }
        if (!e && n->x->call.func->id != FUNC_HISTOGRAM_QUANTILES) {
                for (size_t i = 0; i < h->n; i++)
                        m.rows[i] = (struct row){.labels = h->p[i].labels,
                                                 .v = h->out + i * h->st->n,
                                                 .drop_name = q->delayed_name_removal};
                m.n = h->n;
        }
        if (!e && !q->delayed_name_removal)
                e = mat_merge(q, &m, h->st->n);
        if (!e)
                mat_drop_empty(&m, h->st->n);
        if (e)
                mat_done(q, &m);
        else
                *ret = m;
        return e;
}

struct error *eval_histogram_func(struct exec *q, const struct steps *st, struct node *n, struct mat *ret)
{
        size_t before = q->current;
        enum function_id f = n->x->call.func->id;
        size_t at = f == FUNC_HISTOGRAM_QUANTILE ? 1 : f == FUNC_HISTOGRAM_FRACTION ? 2 : 0;
        size_t first = f == FUNC_HISTOGRAM_QUANTILES ? 2 : 0, n_q = f == FUNC_HISTOGRAM_QUANTILES ? n->n_args - 2 : at;
        double *qs[16] = {NULL};
        struct mat in = {0};
        struct error *e = n_q > ARRAY_LEN(qs) ? eval_error("too many quantiles") : NULL;
        if (!e && f == FUNC_HISTOGRAM_QUANTILES)
                e = eval_mat(q, st, n->args[at], &in);
        for (size_t i = 0; i < n_q && !e; i++)
                e = eval_scalar(q, st, n->args[first + i], &qs[i]);
        if (!e && f != FUNC_HISTOGRAM_QUANTILES)
                e = eval_mat(q, st, n->args[at], &in);
        if (!e) {
                for (size_t i = 0; i < n_q && f != FUNC_HISTOGRAM_FRACTION; i++)
                        check_quantile(q, st, qs[i], n->args[first + i]);
                struct histograms h = {
                        .q = q, .st = st, .fraction = f == FUNC_HISTOGRAM_FRACTION, .n_q = n_q, .qs = qs};
                e = compute_all(&h, n, n->args[at], &in, ret);
        }
        size_t n_in = in.n;
        mat_done(q, &in);
        for (size_t i = 0; i < ARRAY_LEN(qs); i++)
                column_free(q, qs[i]);
        size_t total = 0;
        for (size_t i = 0; !e && i < ret->n; i++)
                total += column_samples(ret->rows[i].v, ret->rows[i].h, st->n);
        return e ? e : account_step_eval(q, before, total, n_in + n_q);
}
