/* SPDX-License-Identifier: Apache-2.0 */
/* label_replace and label_join: new label sets, the same columns; sort and its kin: the same rows in another order. */
#include <math.h>
#include <stdlib.h>

#include "codec/regex.h"
#include "promql/eval.h"
#include "promql/natural.h"

enum { POLL_BYTES = 1 << 16, VALUE_MAX_BYTES = 16 << 20 };   /* of a label's value: looked at the clock after, refused */

static Str text_arg(const struct node *n, size_t i)
{
        return n->args[i]->x->string.s;
}

static void set_label(struct exec *q, struct row *row, Str name, Str value, struct labels_builder *b)
{
        labels_builder_reset(b, row->labels);
        labels_builder_set(b, name, arena_str(q->arena, value));
        row->labels = labels_builder_labels(b, q->arena);
        if (str_eq(name, STR(METRIC_NAME)))
                row->drop_name = false;
}

struct error *eval_label_replace(struct exec *q, const struct steps *st, struct node *n, struct mat *ret)
{
        Str dst = text_arg(n, 1), template = text_arg(n, 2), src = text_arg(n, 3), pattern = text_arg(n, 4);
        struct regex *re = NULL;
        struct error *e = regex_new(pattern, &re);
        if (e) {
                error_free(e);
                return eval_error("invalid regular expression in label_replace(): " STR_FMT, STR_ARG(pattern));
        }
        if (!label_name_is_valid_utf8(dst)) {
                regex_free(re);
                return eval_error("invalid destination label name in label_replace(): " STR_FMT, STR_ARG(dst));
        }
        struct mat m;
        e = eval_mat(q, st, n->args[0], &m);
        if (!e) {
                struct labels_builder b;
                labels_builder_init(&b);
                struct buf value = BUF_INIT(VALUE_MAX_BYTES);
                for (size_t i = 0; i < m.n && !e; i++) {
                        buf_clear(&value);
                        if (regex_expand(re, labels_get(m.rows[i].labels, src), template, &value))
                                set_label(q, &m.rows[i], dst, buf_str(&value), &b);
                        if (i % 4096 == 0 || value.n > POLL_BYTES || buf_is_over(&value))
                                e = buf_is_over(&value)
                                            ? eval_error("label_replace() makes a label value that is too long")
                                            : exec_poll(q, "expression evaluation");
                }
                buf_done(&value);
                labels_builder_done(&b);
        }
        regex_free(re);
        if (!e)
                e = mat_merge(q, &m, st->n);
        if (!e)
                *ret = m;
        return e;
}

struct error *eval_label_join(struct exec *q, const struct steps *st, struct node *n, struct mat *ret)
{
        Str dst = text_arg(n, 1), sep = text_arg(n, 2);
        for (size_t i = 3; i < n->n_args; i++)
                if (!label_name_is_valid_utf8(text_arg(n, i)))
                        return eval_error("invalid source label name in label_join(): " STR_FMT,
                                          STR_ARG(text_arg(n, i)));
        if (!label_name_is_valid_utf8(dst))
                return eval_error("invalid destination label name in label_join(): " STR_FMT, STR_ARG(dst));
        struct mat m;
        struct error *e = eval_mat(q, st, n->args[0], &m);
        if (e)
                return e;
        struct labels_builder b;
        labels_builder_init(&b);
        struct buf value = BUF_INIT(VALUE_MAX_BYTES);
        for (size_t i = 0; i < m.n && !e; i++) {
                buf_clear(&value);
                for (size_t k = 3; k < n->n_args; k++) {
                        if (k > 3)
                                buf_put(&value, sep);
                        buf_put(&value, labels_get(m.rows[i].labels, text_arg(n, k)));
                }
                set_label(q, &m.rows[i], dst, buf_str(&value), &b);
                if (i % 4096 == 0 || value.n > POLL_BYTES || buf_is_over(&value))
                        e = buf_is_over(&value) ? eval_error("label_join() makes a label value that is too long")
                                                : exec_poll(q, "expression evaluation");
        }
        buf_done(&value);
        labels_builder_done(&b);
        if (!e)
                e = mat_merge(q, &m, st->n);
        if (!e)
                *ret = m;
        return e;
}

struct sorting {
        enum function_id f;
        const struct node *n;
};

/* NaN goes last whichever way; among themselves they change places, as upstream's comparison has it. */
static int cmp_value(double a, double b, bool descending)
{
        if (isnan(a) || isnan(b))
                return isnan(a) && !isnan(b) ? 1 : -1;
        int c = (a > b) - (a < b);
        return descending ? -c : c;
}

static int cmp_rows(const void *pa, const void *pb, void *ctx)
{
        const struct row *a = pa, *b = pb;
        const struct sorting *s = ctx;
        if (s->f == FUNC_SORT || s->f == FUNC_SORT_DESC)
                return cmp_value(a->v[0], b->v[0], s->f == FUNC_SORT_DESC);
        int sign = s->f == FUNC_SORT_BY_LABEL ? 1 : -1;
        for (size_t i = 1; i < s->n->n_args; i++) {
                Str name = text_arg(s->n, i), x = labels_get(a->labels, name), y = labels_get(b->labels, name);
                if (!str_eq(x, y))
                        return natural_less(x, y) ? -sign : sign;
        }
        return sign * labels_cmp(a->labels, b->labels);
}

/* Stable, so that equal values stay in the order they came in. A row moves to the front only if it is less: the natural
 * order says of "" and any other text that neither comes first, and upstream leaves such rows where they are. */
static void sort_rows(struct row *rows, size_t n, struct row *tmp, struct sorting *s)
{
        if (n < 2)
                return;
        size_t mid = n / 2;
        sort_rows(rows, mid, tmp, s);
        sort_rows(rows + mid, n - mid, tmp, s);
        for (size_t i = 0, j = mid, w = 0; w < n; w++)
                tmp[w] = j >= n || (i < mid && cmp_rows(&rows[j], &rows[i], s) >= 0) ? rows[i++] : rows[j++];
        memcpy(rows, tmp, n * sizeof *rows);
}

/* Sorting by value is of floats only. */
static void drop_histograms(struct mat *m, size_t n_steps)
{
        for (size_t i = 0; i < m->n; i++)
                for (size_t s = 0; m->rows[i].h && s < n_steps; s++)
                        if (m->rows[i].h[s])
                                m->rows[i].v[s] = absent();
        mat_drop_empty(m, n_steps);
}

struct error *eval_sort(struct exec *q, const struct steps *st, struct node *n, struct mat *ret)
{
        size_t before = q->current;
        struct mat m;
        struct error *e = eval_mat(q, st, n->args[0], &m);
        if (e)
                return e;
        size_t n_in = m.n;
        if (n->x->call.func->id == FUNC_SORT || n->x->call.func->id == FUNC_SORT_DESC)
                drop_histograms(&m, st->n);
        if (st->start != st->end) {
                annotations_add(&q->notes, ANNOTATION_WARNING, n->x->pos,
                                "PromQL warning: sort is ineffective for range queries since results are always "
                                "ordered by labels");
        } else {
                struct row *tmp = exec_alloc(q, m.n, sizeof *tmp, &e);
                if (e)
                        return e;
                sort_rows(m.rows, m.n, tmp, &(struct sorting){n->x->call.func->id, n});
        }
        *ret = m;
        return account_step_eval(q, before, mat_samples(&m, st->n), n_in);
}
