/* SPDX-License-Identifier: Apache-2.0 */
/* Vectors series by series: all rows in batches on all workers, given on in the order of the series; what is counted and told
 * of them. */
#include <math.h>

#include "base/map.h"
#include "codec/quote.h"
#include "promql/rows_impl.h"

enum {
        BATCH_ROWS = 512,
        GRAIN_ROWS = 8, /* what a worker takes at a time */
};

struct batch_ctx {
        struct rows *r;
        size_t n;
};

static void compute_grain(void *ctx, size_t item, int worker)
{
        struct batch_ctx *b = ctx;
        size_t from = item * GRAIN_ROWS, to = MIN(from + (size_t)GRAIN_ROWS, b->n);
        if (exec_is_over(b->r->q))
                return;
        for (size_t k = from; k < to; k++)
                row_compute(b->r, b->r->batch_first + k, &b->r->q->workers[worker]);
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
                w->total_per_step = w->read_per_step = w->no_floats_per_step = NULL;
                if ((!s->total_per_step && !r->step_seen) || r->leaf == LEAF_MAT)
                        continue;
                w->total_per_step = exec_alloc(q, 3 * r->steps->n, sizeof(uint64_t), &e);
                if (!w->total_per_step)
                        return e;
                memset(w->total_per_step, 0, 3 * r->steps->n * sizeof(uint64_t));
                w->read_per_step = w->total_per_step + r->steps->n;
                w->no_floats_per_step = w->read_per_step + r->steps->n;
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
                                r->step_seen[k] = r->step_seen[k] || w->total_per_step[k] > w->no_floats_per_step[k];
                        if (!s->total_per_step)
                                continue;
                        s->total_per_step[k] += w->total_per_step[k];
                        if (r->leaf != LEAF_SUBQUERY)
                                s->read_per_step[k] += w->read_per_step[k];
                }
                w->total_per_step = w->read_per_step = NULL;
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
                if (op->only_histograms && (r->op_notes >> (2 * i) & 1))
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
                if (!e)
                        e = exec_poll(q, "expression evaluation"); /* rows may have been left out */
                for (size_t k = 0; k < n && !e; k++) {
                        e = account_row(q, r, &r->infos[k]);
                        r->total_seen += r->leaf == LEAF_MAT ? 0 : r->infos[k].total;
                        if (r->infos[k].notes)
                                note_histograms(q, r->infos[k].notes,
                                                labels_get(input_labels(r, first + k), STR(METRIC_NAME)), range_pos(r));
                        if (r->infos[k].overlaps)
                                note_overlaps(q, r->infos[k].overlaps, labels_get(input_labels(r, first + k), STR(METRIC_NAME)),
                                              range_pos(r));
                        r->op_notes |= r->infos[k].op_notes;
                        size_t out = r->n_ops              ? column_samples(r->columns[k], r->histograms[k], n_steps)
                                     : r->leaf == LEAF_MAT ? 1
                                                           : r->infos[k].n_out;
                        n_out += out;
                        r->has_samples[first + k] = r->leaf == LEAF_MAT || r->infos[k].n_out > 0;
                        r->has_floats[first + k] = r->has_samples[first + k] && r->infos[k].has_floats;
                        r->n_with_samples += r->has_samples[first + k];
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
