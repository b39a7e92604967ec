/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors series by series: a leaf (a selector, a function of a range, or rows that are there already) and element-wise
 * work on top. */
#include <math.h>

#include "codec/quote.h"
#include "promql/eval.h"

enum {
        OPS_MAX = 8,
        BATCH_ROWS = 512,
        GRAIN_ROWS = 8, /* what a worker takes at a time */
};
enum leaf { LEAF_SELECTOR, LEAF_TIMESTAMP, LEAF_RANGE, LEAF_SUBQUERY, LEAF_MAT };

struct rows {
        enum leaf leaf;
        struct exec *q;
        const struct steps *steps;
        const struct node *node; /* of the leaf */
        const struct selection *sel;
        TimeMs mint, maxt; /* to decode */
        struct range_call call;
        double *p1, *p2;
        struct mat mat; /* LEAF_MAT, LEAF_SUBQUERY */
        struct steps sub;
        size_t n;
        Labels *labels;
        bool *drop_name;
        bool stats_only; /* of its selector */
        bool check_same; /* names were dropped that differed */
        struct row_op ops[OPS_MAX];
        size_t n_ops;
        size_t before;          /* samples held when it was opened */
        struct row_info *infos; /* of a batch */
        double **columns;       /* of all rows; those of the batch at its start */
        Histogram **histograms; /* the same, NULL where a row has none */
        size_t batch_first;
        size_t n_with_samples;
        bool *has_samples, *has_floats; /* after rows_run */
        size_t n_with_floats;           /* rows without a histogram column */
        uint32_t op_notes;              /* of all rows */
        bool *step_seen;                /* quantile_over_time: steps at which any row has a window with samples */
        uint64_t total_seen;
        Histogram **row_h; /* rows_eval: the columns of all rows */
};

bool is_row_node(const struct node *n)
{
        if (n->type == EXPR_SELECTOR)
                return n->x->selector.modifier != SELECTOR_SMOOTHED;
        if (n->type == EXPR_CALL) {
                enum function_id f = n->x->call.func->id;
                if (f != FUNC_ABSENT_OVER_TIME && is_range_func(f))
                        return true;
                if (f == FUNC_TIMESTAMP && n->args[0]->type == EXPR_SELECTOR && !n->args[0]->once)
                        return true;
        }
        return elementwise_child((struct node *)n) != NULL;
}

struct error *selection_load(struct exec *q, struct selection *s)
{
        if (s->loaded)
                return NULL;
        VEC(struct series) found = VEC_INIT;
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
        struct series *copy = exec_alloc(q, found.n, sizeof *copy, &e);
        if (!copy)
                goto out;
        if (found.n)
                memcpy(copy, found.p, found.n * sizeof *copy);
        s->series = copy;
        s->n = found.n;
        s->loaded = true;
out:
        vec_done(&found);
        return e;
}

struct error *series_samples(struct exec *q, const struct series *s, TimeMs mint, TimeMs maxt, struct samples *out)
{
        (void)q;
        return series_decode(s, mint, maxt, out);
}

void mixed_drop_markers(struct mixed *s)
{
        size_t w = 0;
        for (size_t i = 0; i < s->n; i++) {
                if (is_stale_nan(s->v[i]))
                        continue;
                s->t[w] = s->t[i];
                s->v[w] = s->v[i];
                if (s->h)
                        s->h[w] = s->h[i];
                w++;
        }
        s->n = w;
}

static void drop_markers(struct samples *s)
{
        size_t i = 0;
        while (i < s->n && !is_stale_nan(s->v[i]))
                i++;
        size_t w = i;
        for (; i < s->n; i++) {
                if (is_stale_nan(s->v[i]))
                        continue;
                s->t[w] = s->t[i];
                s->v[w++] = s->v[i];
        }
        s->n = w;
}

/* The newest sample of (ref - lookback, ref]; a marker there hides the series, and is ABSENT already. */
static void selector_row(const struct rows *r, struct worker *w, const struct samples *s, double *out,
                         struct row_info *info)
{
        const struct steps *st = r->steps;
        bool times = r->leaf == LEAF_TIMESTAMP;
        int64_t lookback = r->q->lookback_ms;
        size_t k = 0;
        for (size_t i = 0; i < st->n; i++) {
                TimeMs ref = (r->node->has_at ? r->node->at_ms : step_time(st, i)) - r->node->offset_ms;
                while (k < s->n && s->t[k] <= ref)
                        k++;
                bool in = k && s->t[k - 1] > ref - lookback && !is_stale_nan(s->v[k - 1]);
                out[i] = !in ? absent() : times ? (double)s->t[k - 1] / 1000 : s->v[k - 1];
                info->n_out += in;
                if (w->total_per_step) {
                        w->total_per_step[i] += in;
                        w->read_per_step[i] += in;
                }
        }
        info->total = info->read = info->n_out;
}

/* The same for a series with histograms, which are counted by their size. */
static void selector_row_mixed(const struct rows *r, struct worker *w, const struct mixed *s, double *out, Histogram *h,
                               struct row_info *info)
{
        const struct steps *st = r->steps;
        bool times = r->leaf == LEAF_TIMESTAMP;
        size_t k = 0;
        for (size_t i = 0; i < st->n; i++) {
                TimeMs ref = (r->node->has_at ? r->node->at_ms : step_time(st, i)) - r->node->offset_ms;
                while (k < s->n && s->t[k] <= ref)
                        k++;
                bool in = k && s->t[k - 1] > ref - r->q->lookback_ms && !is_stale_nan(s->v[k - 1]);
                Histogram found = in ? s->h[k - 1] : NULL;
                out[i] = !in ? absent() : times ? (double)s->t[k - 1] / 1000 : found ? 0 : s->v[k - 1];
                h[i] = times ? NULL : found;
                size_t n = found ? histogram_samples(found) : in;
                info->n_out += n;
                info->has_floats |= in && !h[i];
                if (w->total_per_step) {
                        w->total_per_step[i] += n;
                        w->read_per_step[i] += n;
                }
        }
        info->total = info->read = info->n_out;
}

/* A subquery may have left out the samples that the hints are about.  Upstream: evalSubquery */
static struct error *forget_hint(struct arena *a, Histogram *h)
{
        if (!*h || ((*h)->reset != COUNTER_RESET_YES && (*h)->reset != COUNTER_RESET_NO))
                return NULL;
        struct histogram *copy = arena_try_alloc(a, sizeof *copy);
        if (!copy)
                return error_new(ERROR_LIMIT, "query needs more than the %zu bytes of memory that one query may use",
                                 a->limit_bytes);
        *copy = **h;
        copy->reset = COUNTER_RESET_UNKNOWN;
        *h = copy;
        return NULL;
}

static struct error *column_mixed(const struct steps *st, const struct row *row, struct arena *a, struct mixed *ret)
{
        struct mixed m = {.t = arena_try_alloc(a, arena_array_bytes(st->n + 1, sizeof *m.t)),
                          .v = arena_try_alloc(a, arena_array_bytes(st->n + 1, sizeof *m.v))};
        struct error *e = histogram_column(a, st->n, &m.h);
        if (!e && (!m.t || !m.v))
                e = error_new(ERROR_LIMIT, "query needs more than the %zu bytes of memory that one query may use",
                              a->limit_bytes);
        for (size_t i = 0; !e && i < st->n; i++) {
                if (is_absent(row->v[i]))
                        continue;
                m.t[m.n] = step_time(st, i);
                m.v[m.n] = row->v[i];
                m.h[m.n] = row->h[i];
                e = forget_hint(a, &m.h[m.n++]);
        }
        *ret = m;
        return e;
}

/* A row whose series, or subquery's row, has histograms. */
__attribute__((noinline)) static struct error *compute_mixed(struct rows *r, size_t i, struct worker *w, double *out,
                                                             struct row_info *info)
{
        struct mixed s = {0};
        Histogram **h = &r->histograms[i - r->batch_first];
        struct error *e = histogram_column(w->out, r->steps->n, h);
        if (e)
                return e;
        arena_clear(&w->decoded);
        if (r->leaf == LEAF_SUBQUERY)
                e = column_mixed(&r->sub, &r->mat.rows[i], &w->decoded, &s);
        else
                e = series_decode_mixed(&r->sel->series[i], r->mint - r->stats_only, r->maxt,
                                        r->leaf == LEAF_RANGE || r->stats_only ? &w->decoded : w->out, &s);
        if (!e && r->stats_only)
                e = mixed_stats_only(r->leaf == LEAF_RANGE ? &w->decoded : w->out, &s);
        if (e)
                return e;
        if (!s.h) { /* none of them in range after all */
                Histogram *none;
                e = histogram_column(&w->decoded, s.n, &none);
                if (e)
                        return e;
                s.h = none;
        }
        if (r->leaf == LEAF_SELECTOR || r->leaf == LEAF_TIMESTAMP) {
                selector_row_mixed(r, w, &s, out, *h, info);
                return NULL;
        }
        mixed_drop_markers(&s);
        return range_row_mixed(&r->call, w, &s, out, *h, info);
}

static void samples_of_column(const struct steps *st, const double *v, struct samples *out)
{
        samples_clear(out);
        samples_reserve(out, st->n);
        for (size_t i = 0; i < st->n; i++)
                if (!is_absent(v[i]))
                        samples_push(out, step_time(st, i), v[i]);
}

static void compute_row(struct rows *r, size_t i, struct worker *w)
{
        size_t k = i - r->batch_first;
        double *out = r->columns[k];
        struct row_info *info = &r->infos[k];
        *info = (struct row_info){0};
        info->has_floats = true;
        bool is_mixed = r->leaf == LEAF_SUBQUERY && r->mat.rows[i].h;
        struct error *e = NULL;
        if (r->leaf != LEAF_MAT)
                r->histograms[k] = NULL;
        if (r->leaf != LEAF_MAT && r->leaf != LEAF_SUBQUERY) {
                /* Tried as floats first: looking through the chunks of all series before is felt. */
                e = series_samples(r->q, &r->sel->series[i], r->mint, r->maxt, &w->raw);
                if (UNLIKELY(e != NULL) && error_is(e, ERROR_UNSUPPORTED) &&
                    series_has_histograms(&r->sel->series[i], r->mint, r->maxt)) {
                        error_free(e);
                        e = NULL;
                        is_mixed = true;
                }
        }
        if (is_mixed) {
                info->has_floats = false;
                e = compute_mixed(r, i, w, out, info);
                info->read = r->leaf == LEAF_SUBQUERY ? 0 : info->read;
        } else if (e) {
                /* told below */
        } else if (r->leaf == LEAF_SUBQUERY) {
                samples_of_column(&r->sub, r->mat.rows[i].v, &w->window);
                range_row(&r->call, w, &w->window, out, info);
                info->read = 0; /* counted by the subquery */
        } else if (r->leaf == LEAF_RANGE) {
                drop_markers(&w->raw);
                range_row(&r->call, w, &w->raw, out, info);
        } else if (r->leaf != LEAF_MAT) {
                selector_row(r, w, &w->raw, out, info);
        }
        if (e) {
                worker_fail(w, i, e);
                return;
        }
        for (size_t o = 0; o < r->n_ops; o++) {
                if (!r->histograms[k]) {
                        r->ops[o].apply(&r->ops[o], out, r->steps->n);
                        continue;
                }
                uint32_t notes = 0;
                e = elementwise_mixed(&r->ops[o], w, out, r->histograms[k], r->steps->n, &notes);
                info->op_notes |= notes << (2 * o);
                if (e) {
                        worker_fail(w, i, e);
                        return;
                }
        }
}

struct batch_ctx {
        struct rows *r;
        size_t n;
};

static void compute_grain(void *ctx, size_t item, int worker)
{
        struct batch_ctx *b = ctx;
        size_t from = item * GRAIN_ROWS, to = MIN(from + (size_t)GRAIN_ROWS, b->n);
        for (size_t k = from; k < to; k++)
                compute_row(b->r, b->r->batch_first + k, &b->r->q->workers[worker]);
}

/* What upstream would have held while it did this row. */
static struct error *account_row(struct exec *q, const struct rows *r, const struct row_info *info)
{
        if (r->leaf == LEAF_MAT)
                return NULL;
        struct sample_stats *s = r->steps->stats;
        s->total += info->total;
        s->read += info->read;
        if (r->leaf == LEAF_SELECTOR || r->leaf == LEAF_TIMESTAMP)
                return samples_charge(q, info->n_out);
        size_t held = q->current;
        struct error *e = samples_charge(q, info->win_max);
        q->current = held;
        if (!e)
                e = samples_charge(q, info->n_out);
        samples_peak(q, info->win_last);
        return e;
}

static struct error *per_step_stats_begin(struct exec *q, struct rows *r)
{
        const struct sample_stats *s = r->steps->stats;
        struct error *e = NULL;
        bool is_range = r->leaf == LEAF_RANGE || r->leaf == LEAF_SUBQUERY;
        if (is_range && r->call.func == FUNC_QUANTILE_OVER_TIME) {
                r->step_seen = exec_alloc(q, r->steps->n, sizeof *r->step_seen, &e);
                if (!r->step_seen)
                        return e;
                memset(r->step_seen, 0, r->steps->n * sizeof *r->step_seen);
        }
        for (int i = 0; i < q->n_workers; i++) {
                struct worker *w = &q->workers[i];
                w->total_per_step = w->read_per_step = NULL;
                if ((!s->total_per_step && !r->step_seen) || r->leaf == LEAF_MAT)
                        continue;
                w->total_per_step = exec_alloc(q, 2 * r->steps->n, sizeof(uint64_t), &e);
                if (!w->total_per_step)
                        return e;
                memset(w->total_per_step, 0, 2 * r->steps->n * sizeof(uint64_t));
                w->read_per_step = w->total_per_step + r->steps->n;
        }
        return NULL;
}

static void per_step_stats_end(struct exec *q, const struct rows *r)
{
        struct sample_stats *s = r->steps->stats;
        for (int i = 0; i < q->n_workers; i++) {
                struct worker *w = &q->workers[i];
                for (size_t k = 0; w->total_per_step && k < r->steps->n; k++) {
                        if (r->step_seen)
                                r->step_seen[k] = r->step_seen[k] || w->total_per_step[k] > 0;
                        if (!s->total_per_step)
                                continue;
                        s->total_per_step[k] += w->total_per_step[k];
                        if (r->leaf != LEAF_SUBQUERY)
                                s->read_per_step[k] += w->read_per_step[k];
                }
                w->total_per_step = w->read_per_step = NULL;
        }
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

static bool same_metadata(Labels a, Labels b)
{
        for (size_t i = 0, k = 0;;) {
                const Label *x = next_metadata(a, &i), *y = next_metadata(b, &k);
                if (!x || !y)
                        return x == y;
                if (!str_eq(x->name, y->name) || !str_eq(x->value, y->value))
                        return false;
        }
}

static bool has_counter_suffix(Str name)
{
        return str_has_suffix(name, STR("_total")) || str_has_suffix(name, STR("_sum")) ||
               str_has_suffix(name, STR("_count")) || str_has_suffix(name, STR("_bucket"));
}

static Labels input_labels(const struct rows *r, size_t i)
{
        return r->leaf == LEAF_SUBQUERY ? r->mat.rows[i].labels : r->sel->series[i].labels;
}

static void note_no_counter(struct exec *q, Labels ls, struct pos_range pos)
{
        Str name = labels_get(ls, STR(METRIC_NAME)), type = labels_get(ls, STR("__type__"));
        struct buf b = BUF_INIT(1 << 20);
        if (q->type_and_unit_labels) {
                if (str_eq(type, STR("counter")) || str_eq(type, STR("histogram")))
                        return;
                buf_puts(&b, "__type__ label is not set to \"counter\" or \"histogram\", got ");
                buf_put_go_quoted(&b, type);
        } else {
                if (has_counter_suffix(name))
                        return;
                buf_puts(&b, "name does not end in _total/_sum/_count/_bucket");
        }
        buf_puts(&b, ": ");
        buf_put_go_quoted(&b, name);
        annotations_add(&q->notes, ANNOTATION_INFO, pos, "PromQL info: metric might not be a counter, " STR_FMT,
                        STR_ARG(buf_str(&b)));
        buf_done(&b);
}

static void note_counters(struct exec *q, const struct rows *r, struct pos_range pos)
{
        Labels last = {0};
        for (size_t i = 0; i < r->n; i++) {
                Labels ls = input_labels(r, i);
                if (!r->has_floats[i] || (last.n && same_metadata(last, ls)))
                        continue;
                last = ls;
                if (labels_has(ls, STR(METRIC_NAME)))
                        note_no_counter(q, ls, pos);
        }
}

/* Upstream puts a range vector without a place in the place of a subquery before it calls the function. */
static struct pos_range range_pos(const struct rows *r)
{
        return r->node->args[0]->type == EXPR_SUBQUERY ? (struct pos_range){0} : r->node->args[0]->x->pos;
}

static struct error *range_checks(struct exec *q, const struct rows *r)
{
        enum function_id f = r->call.func;
        struct pos_range pos = range_pos(r);
        if (f == FUNC_RATE || f == FUNC_INCREASE)
                note_counters(q, r, pos);
        if (f == FUNC_QUANTILE_OVER_TIME) {
                for (size_t k = 0; k < r->steps->n; k++) {
                        double v = r->p1[k];
                        if (!r->step_seen[k])
                                continue;
                        if (isnan(v) || v < 0 || v > 1)
                                note_quantile(q, v, pos);
                }
        }
        if (f == FUNC_DOUBLE_EXPONENTIAL_SMOOTHING && r->total_seen) {
                for (size_t k = 0; k < r->steps->n; k++) {
                        if (r->p1[k] <= 0 || r->p1[k] >= 1)
                                return eval_error("invalid smoothing factor. Expected: 0 < sf < 1, got: %f", r->p1[k]);
                        if (r->p2[k] <= 0 || r->p2[k] >= 1)
                                return eval_error("invalid trend factor. Expected: 0 < tf < 1, got: %f", r->p2[k]);
                }
        }
        return NULL;
}

/* No two rows that have samples may have one label set. */
static struct error *check_same_labelset(const struct rows *r)
{
        struct map seen = MAP_INIT;
        struct arena keys;
        arena_init(&keys, SIZE_MAX / 2);
        struct buf key = BUF_INIT(BUF_NO_LIMIT);
        struct error *e = NULL;
        for (size_t i = 0; i < r->n && !e; i++) {
                if (!r->has_samples[i])
                        continue;
                buf_clear(&key);
                labels_key(&key, r->labels[i]);
                if (map_get(&seen, buf_str(&key)))
                        e = error_same_labelset();
                else
                        map_set(&seen, arena_str(&keys, buf_str(&key)), r->labels);
        }
        buf_done(&key);
        map_done(&seen);
        arena_done(&keys);
        return e;
}

static struct error *finish(struct exec *q, struct rows *r, size_t n_out)
{
        struct error *e = NULL;
        if (r->leaf == LEAF_RANGE || r->leaf == LEAF_SUBQUERY)
                e = range_checks(q, r);
        if (!e && r->check_same && !q->delayed_name_removal)
                e = check_same_labelset(r);
        if (e)
                return e;
        if (r->leaf == LEAF_SUBQUERY) {
                size_t sub = mat_samples(&r->mat, r->sub.n);
                q->current -= MIN(sub, q->current);
        }
        if (r->leaf == LEAF_TIMESTAMP)
                samples_peak(q, r->n_with_samples);
        for (size_t i = 0; i < r->n_ops && !e; i++) {
                const struct row_op *op = &r->ops[i];
                if (!op->is_minus) /* upstream changes those in place */
                        e = account_step_eval(q, r->before, n_out,
                                              r->n_with_samples + (op->c1 != NULL) + (op->c2 != NULL));
                if (op->only_histograms && (r->n_with_floats || (r->op_notes >> (2 * i) & 1)))
                        note_binop_types(q, op->op, false, false, op->pos);
                if (r->op_notes >> (2 * i) & 2)
                        note_binop_types(q, op->op, !op->swap, op->swap, op->pos);
        }
        return e;
}

/* into: where the columns go, or NULL: a buffer that the next batch uses again. */
static struct error *run(struct exec *q, struct rows *r, double *into,
                         struct error *(*sink)(void *ctx, const struct row_batch *b), void *ctx)
{
        struct error *e = NULL;
        size_t n_steps = r->steps->n, n_out = 0;
        size_t batch = MIN(r->n ? r->n : 1, (size_t)BATCH_ROWS);
        double *buffer = NULL;
        r->infos = exec_alloc(q, batch, sizeof *r->infos, &e);
        if (e)
                return e;
        memset(r->infos, 0, batch * sizeof *r->infos);
        r->columns = exec_alloc(q, r->n, sizeof *r->columns, &e);
        if (e)
                return e;
        r->histograms = exec_alloc(q, r->n, sizeof *r->histograms, &e);
        if (e)
                return e;
        r->has_samples = exec_alloc(q, r->n, sizeof *r->has_samples, &e);
        if (e)
                return e;
        r->has_floats = exec_alloc(q, r->n, sizeof *r->has_floats, &e);
        if (e)
                return e;
        if (!into && r->leaf != LEAF_MAT) {
                buffer = column_new(q, batch, n_steps, &e);
                if (!buffer)
                        return e;
        }
        e = per_step_stats_begin(q, r);
        for (int i = 0; i < q->n_workers; i++)
                q->workers[i].out = sink ? &q->workers[i].batch : &q->workers[i].keep;
        for (size_t first = 0; first < r->n && !e; first += batch) {
                size_t n = MIN(batch, r->n - first);
                e = exec_poll(q, "expression evaluation");
                if (e)
                        break;
                r->batch_first = first;
                for (size_t k = 0; r->leaf == LEAF_MAT && k < n; k++)
                        r->histograms[k] = r->mat.rows[first + k].h;
                for (size_t k = 0; k < n; k++)
                        r->columns[k] = r->leaf == LEAF_MAT ? r->mat.rows[first + k].v
                                        : into              ? into + (first + k) * n_steps
                                                            : buffer + k * n_steps;
                struct batch_ctx b = {r, n};
                if (r->leaf != LEAF_MAT || r->n_ops)
                        pool_each(n > GRAIN_ROWS ? q->pool : NULL, (n + GRAIN_ROWS - 1) / GRAIN_ROWS, compute_grain,
                                  &b);
                e = workers_error(q);
                for (size_t k = 0; k < n && !e; k++) {
                        e = account_row(q, r, &r->infos[k]);
                        r->total_seen += r->leaf == LEAF_MAT ? 0 : r->infos[k].total;
                        if (r->infos[k].notes)
                                note_histograms(q, r->infos[k].notes,
                                                labels_get(input_labels(r, first + k), STR(METRIC_NAME)), range_pos(r));
                        r->op_notes |= r->infos[k].op_notes;
                        size_t out = r->n_ops              ? column_samples(r->columns[k], r->histograms[k], n_steps)
                                     : r->leaf == LEAF_MAT ? 1
                                                           : r->infos[k].n_out;
                        n_out += out;
                        r->has_samples[first + k] = r->leaf == LEAF_MAT ? out > 0 : r->infos[k].n_out > 0;
                        r->has_floats[first + k] = r->has_samples[first + k] && r->infos[k].has_floats;
                        r->n_with_samples += r->has_samples[first + k];
                        r->n_with_floats += r->has_samples[first + k] && !r->histograms[k];
                        if (r->row_h)
                                r->row_h[first + k] = r->histograms[k];
                }
                if (!e && sink)
                        e = sink(ctx, &(struct row_batch){.first = first, .n = n, .v = r->columns, .h = r->histograms});
                for (int i = 0; i < q->n_workers; i++)
                        if (q->workers[i].batch.used_bytes)
                                arena_clear(&q->workers[i].batch);
        }
        per_step_stats_end(q, r);
        column_free(q, buffer);
        return e ? e : finish(q, r, n_out);
}

struct error *rows_run(struct exec *q, struct rows *r, struct error *(*sink)(void *ctx, const struct row_batch *b),
                       void *ctx)
{
        return run(q, r, NULL, sink, ctx);
}

struct error *rows_eval(struct exec *q, struct rows *r, struct mat *ret)
{
        struct error *e = NULL;
        struct mat m = {0};
        double *block = NULL;
        if (r->leaf != LEAF_MAT) {
                block = column_new(q, r->n, r->steps->n, &e);
                if (!block)
                        return e;
        }
        r->row_h = exec_alloc(q, r->n, sizeof *r->row_h, &e);
        if (!e)
                e = run(q, r, block, NULL, NULL);
        if (!e)
                m.rows = exec_alloc(q, r->n, sizeof *m.rows, &e);
        if (e) {
                column_free(q, block);
                return e;
        }
        for (size_t i = 0; i < r->n; i++)
                m.rows[i] = (struct row){.labels = r->labels[i],
                                         .v = block ? block + i * r->steps->n : r->mat.rows[i].v,
                                         .h = r->row_h[i],
                                         .drop_name = r->drop_name && r->drop_name[i]};
        m.n = r->n;
        if (block) {
                mat_own(q, &m, block);
        } else {
                m.blocks = r->mat.blocks;
                m.n_blocks = r->mat.n_blocks;
                r->mat.n_blocks = 0;
        }
        mat_drop_empty(&m, r->steps->n);
        *ret = m;
        return NULL;
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
        r->before = before;
        r->p1 = params[0];
        r->p2 = params[1];
        r->call = (struct range_call){.func = n->x->call.func->id,
                                      .range_ms = m->range_ms,
                                      .modifier = mod,
                                      .lookback_ms = q->lookback_ms,
                                      .steps = st,
                                      .offset_ms = s->offset_ms,
                                      .has_at = s->has_at,
                                      .at_ms = s->at_ms,
                                      .p1 = params[0],
                                      .p2 = params[1]};
        if (m->type == EXPR_MATRIX) {
                int64_t more = mod == SELECTOR_PLAIN ? 0 : q->lookback_ms;
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
        if (st->n == 0 || (n->once && st->n > 1) || !is_row_node(n)) {
                struct mat m;
                e = eval_mat(q, st, n, &m);
                return e ? e : open_mat(q, st, n, &m, ret);
        }
        if (n->type == EXPR_SELECTOR)
                return open_selector(q, st, n, LEAF_SELECTOR, ret);
        if (n->type == EXPR_CALL && is_range_func(n->x->call.func->id))
                return rows_open_range(q, st, n, ret);
        struct node *child = elementwise_child(n);
        if (!child) { /* timestamp(selector) */
                e = open_selector(q, st, n->args[0], LEAF_TIMESTAMP, ret);
                if (e)
                        return e;
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
        if (r->n_ops == OPS_MAX) {
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
