/* SPDX-License-Identifier: Apache-2.0 */
/* topk, bottomk, limitk, limit_ratio: some of the rows of a group, step by step; and count_values.
 * Upstream: aggregationK(), aggregationCountValues() in promql/engine.go */
#include <math.h>

#include "base/hash.h"
#include "base/map.h"
#include "codec/float_text.h"
#include "codec/quote.h"
#include "promql/eval.h"

struct item {
        double v;
        size_t row;
};
struct heap {
        struct item *p;
        size_t n;
        bool seen;
        bool reverse; /* bottomk: the largest on top */
};

/* NaN is less than anything, in both directions. */
static bool less(const struct heap *h, struct item a, struct item b)
{
        if (isnan(a.v))
                return true;
        return h->reverse ? a.v > b.v : a.v < b.v;
}

static void swap(struct heap *h, size_t i, size_t j)
{
        struct item t = h->p[i];
        h->p[i] = h->p[j];
        h->p[j] = t;
}

/* As Go's container/heap moves them, so that equal values come out in the same order. */
static void heap_up(struct heap *h, size_t j)
{
        while (j > 0) {
                size_t parent = (j - 1) / 2;
                if (!less(h, h->p[j], h->p[parent]))
                        break;
                swap(h, parent, j);
                j = parent;
        }
}

static void heap_down(struct heap *h, size_t i)
{
        for (;;) {
                size_t child = 2 * i + 1;
                if (child >= h->n)
                        break;
                if (child + 1 < h->n && less(h, h->p[child + 1], h->p[child]))
                        child++;
                if (!less(h, h->p[child], h->p[i]))
                        break;
                swap(h, i, child);
                i = child;
        }
}

static void heap_push(struct heap *h, struct item it)
{
        h->p[h->n++] = it;
        heap_up(h, h->n - 1);
}

/* Best first. Insertion for short lists, as Go sorts them; a stable merge for the others. */
static void heap_sort(struct heap *h, struct item *tmp)
{
        if (h->n <= 12) {
                for (size_t i = 1; i < h->n; i++)
                        for (size_t j = i; j > 0 && less(h, h->p[j - 1], h->p[j]); j--)
                                swap(h, j, j - 1);
                return;
        }
        for (size_t width = 1; width < h->n; width *= 2) {
                for (size_t lo = 0; lo < h->n; lo += 2 * width) {
                        size_t mid = MIN(lo + width, h->n), hi = MIN(lo + 2 * width, h->n), i = lo, j = mid, w = lo;
                        while (i < mid || j < hi) {
                                bool right = i >= mid || (j < hi && !isnan(h->p[j].v) && less(h, h->p[i], h->p[j]));
                                tmp[w++] = right ? h->p[j++] : h->p[i++];
                        }
                }
                memcpy(h->p, tmp, h->n * sizeof *tmp);
        }
}

struct selection_k {
        struct exec *q;
        bool ignored; /* topk, bottomk met a histogram */
        const struct steps *st;
        enum aggregate_op op;
        struct mat in;
        struct grouping g;
        struct agg_param p;
        struct heap *heaps;
        struct item *items, *tmp;
        size_t *offset;  /* of a group's heap in items */
        double *offsets; /* limit_ratio: where a row's hash falls in [0, 1] */
};

static Labels labels_of_mat(void *ctx, size_t i)
{
        return ((struct mat *)ctx)->rows[i].labels;
}

static struct error *check_param(const struct selection_k *k, const struct node *n, bool *ret_empty)
{
        const struct agg_param *p = &k->p;
        *ret_empty = false;
        if (k->op == AGG_LIMIT_RATIO) {
                if (p->max == 0 && p->min == 0) {
                        *ret_empty = true;
                        return NULL;
                }
                if (p->any_nan)
                        return eval_error("Ratio value is NaN");
                for (int side = 0; side < 2; side++) {
                        double v = side ? p->min : p->max, to = side ? -1 : 1;
                        if (side ? !(v < to) : !(v > to))
                                continue;
                        char text[FLOAT_TEXT_MAX_BYTES];
                        size_t len = float_print(v, 'g', text);
                        annotations_add(
                                &k->q->notes, ANNOTATION_WARNING, n->b->x->pos,
                                "PromQL warning: ratio value should be between -1 and 1, got %.*s, capping to %d",
                                (int)len, text, (int)to);
                }
                return NULL;
        }
        if (p->max < 1) {
                *ret_empty = true;
                return NULL;
        }
        if (p->any_nan)
                return eval_error("Parameter value is NaN");
        for (int side = 0; side < 2; side++) {
                double v = side ? p->max : p->min;
                if (side ? v < 9223372036854774784.0 : v > -9223372036854775808.0)
                        continue;
                char text[FLOAT_TEXT_MAX_BYTES];
                size_t len = float_print(v, 'g', text);
                return eval_error("Scalar value %.*s %s int64", (int)len, text, side ? "overflows" : "underflows");
        }
        return NULL;
}

/* The hash of upstream's packed label sets: each string with its length, one byte, or 255 and three. */
static double ratio_offset(struct buf *b, Labels ls)
{
        buf_clear(b);
        for (size_t i = 0; i < 2 * ls.n; i++) {
                Str s = i % 2 ? ls.v[i / 2].value : ls.v[i / 2].name;
                if (s.n < 255) {
                        buf_putc(b, (char)s.n);
                } else {
                        buf_putc(b, '\xff');
                        buf_putc(b, (char)s.n);
                        buf_putc(b, (char)(s.n >> 8));
                        buf_putc(b, (char)(s.n >> 16));
                }
                buf_put(b, s);
        }
        return (double)hash_str(buf_str(b)) / 18446744073709551615.0;
}

static bool in_ratio(double r, double offset)
{
        return (r >= 0 && offset < r) || (r < 0 && offset >= 1.0 + r);
}

/* Fills the heaps of one step. */
static void select_step(struct selection_k *k, size_t s)
{
        for (size_t g = 0; g < k->g.n; g++) {
                k->heaps[g].n = 0;
                k->heaps[g].seen = false;
        }
        double param = k->p.v[s];
        double r = param < -1 ? -1 : param > 1 ? 1 : param;
        size_t limit = 0;
        if (k->op != AGG_LIMIT_RATIO) {
                if (!(param >= 1))
                        return;
                limit = param >= (double)k->in.n ? k->in.n : (size_t)param;
        } else if (param == 0) {
                return;
        }
        for (size_t i = 0; i < k->in.n; i++) {
                double v = k->in.rows[i].v[s];
                if (is_absent(v))
                        continue;
                if (histogram_at(k->in.rows[i].h, s) && (k->op == AGG_TOPK || k->op == AGG_BOTTOMK)) {
                        k->ignored = true;
                        continue;
                }
                struct heap *h = &k->heaps[k->g.group_of[i]];
                struct item it = {v, i};
                if (k->op == AGG_LIMIT_RATIO) {
                        h->seen = true;
                        if (in_ratio(r, k->offsets[i]))
                                heap_push(h, it);
                        continue;
                }
                bool first = !h->seen;
                h->seen = true;
                if (k->op == AGG_LIMITK) {
                        if (h->n < limit) {
                                if (first)
                                        h->p[h->n++] = it;
                                else
                                        heap_push(h, it);
                        }
                        continue;
                }
                if (h->n < limit) {
                        heap_push(h, it);
                } else if ((k->op == AGG_TOPK ? h->p[0].v < v : h->p[0].v > v) || (isnan(h->p[0].v) && !isnan(v))) {
                        h->p[0] = it;
                        if (limit > 1)
                                heap_down(h, 0);
                }
        }
        if (k->op == AGG_TOPK || k->op == AGG_BOTTOMK)
                for (size_t g = 0; g < k->g.n; g++)
                        heap_sort(&k->heaps[g], k->tmp);
}

static struct error *alloc_heaps(struct selection_k *k)
{
        struct error *e = NULL;
        struct exec *q = k->q;
        k->heaps = exec_alloc(q, k->g.n, sizeof *k->heaps, &e);
        if (!e)
                k->items = exec_alloc(q, k->in.n, sizeof *k->items, &e);
        if (!e)
                k->tmp = exec_alloc(q, k->in.n, sizeof *k->tmp, &e);
        if (!e)
                k->offset = exec_alloc(q, k->g.n + 1, sizeof *k->offset, &e);
        if (!e && k->op == AGG_LIMIT_RATIO)
                k->offsets = exec_alloc(q, k->in.n, sizeof *k->offsets, &e);
        if (e)
                return e;
        memset(k->offset, 0, (k->g.n + 1) * sizeof *k->offset);
        for (size_t i = 0; i < k->in.n; i++)
                k->offset[k->g.group_of[i] + 1]++;
        for (size_t g = 0; g < k->g.n; g++) {
                k->offset[g + 1] += k->offset[g];
                k->heaps[g] = (struct heap){.p = k->items + k->offset[g], .reverse = k->op == AGG_BOTTOMK};
        }
        if (k->offsets) {
                struct buf b = BUF_INIT(BUF_NO_LIMIT);
                for (size_t i = 0; i < k->in.n; i++)
                        k->offsets[i] = ratio_offset(&b, k->in.rows[i].labels);
                buf_done(&b);
        }
        return NULL;
}

/* One step: the rows in the order of the heaps. */
static struct error *result_of_one_step(struct selection_k *k, struct mat *ret)
{
        struct error *e = NULL;
        struct mat m = {.rows = exec_alloc(k->q, k->in.n, sizeof *m.rows, &e)};
        if (e)
                return e;
        select_step(k, 0);
        for (size_t g = 0; g < k->g.n; g++)
                for (size_t i = 0; i < k->heaps[g].n; i++)
                        m.rows[m.n++] = k->in.rows[k->heaps[g].p[i].row];
        m.blocks = k->in.blocks;
        m.n_blocks = k->in.n_blocks;
        k->in.n_blocks = 0;
        *ret = m;
        return NULL;
}

/* Many steps: the input with only the chosen samples. */
static struct error *result_of_steps(struct selection_k *k, struct mat *ret)
{
        struct error *e = NULL;
        uint8_t *keep = exec_alloc(k->q, k->in.n, 1, &e);
        for (size_t s = 0; s < k->st->n && !e; s++) {
                if (s % 16 == 0)
                        e = exec_poll(k->q, "expression evaluation");
                memset(keep, 0, k->in.n);
                select_step(k, s);
                for (size_t g = 0; g < k->g.n; g++)
                        for (size_t i = 0; i < k->heaps[g].n; i++)
                                keep[k->heaps[g].p[i].row] = 1;
                for (size_t i = 0; i < k->in.n; i++)
                        if (!keep[i])
                                k->in.rows[i].v[s] = absent();
        }
        if (e)
                return e;
        *ret = k->in;
        k->in = (struct mat){0};
        mat_drop_empty(ret, k->st->n);
        return NULL;
}

struct error *eval_aggregate_k(struct exec *q, const struct steps *st, struct node *n, struct mat *ret)
{
        struct selection_k k = {.q = q, .st = st, .op = n->x->aggregate.op};
        struct error *e = agg_param_eval(q, st, n->b, &k.p);
        bool empty = false;
        if (!e)
                e = eval_mat(q, st, n->a, &k.in);
        if (!e)
                e = check_param(&k, n, &empty);
        if (!e && !empty)
                e = grouping_make(q, n->x, labels_of_mat, &k.in, k.in.n, false, &k.g);
        if (!e && !empty)
                e = alloc_heaps(&k);
        if (!e && empty)
                *ret = (struct mat){0};
        else if (!e)
                e = st->n == 1 ? result_of_one_step(&k, ret) : result_of_steps(&k, ret);
        if (!e && k.ignored)
                note_ignored(q, k.op == AGG_TOPK ? "topk" : "bottomk", n->x->pos);
        mat_done(q, &k.in);
        column_free(q, k.p.v);
        return e;
}

/* ---- count_values ---- */

struct counted {
        struct row *rows;
        size_t n, cap;
        struct map by_key; /* index + 1 */
        VEC(double *) blocks;
};

static struct error *count_one(struct exec *q, const struct steps *st, const struct expr *agg, Labels ls, size_t s,
                               struct counted *c, struct buf *key)
{
        struct error *e = NULL;
        buf_clear(key);
        labels_key(key, ls);
        size_t at = (size_t)(uintptr_t)map_get(&c->by_key, buf_str(key));
        (void)agg;
        if (!at) {
                if (c->n == c->cap) {
                        size_t cap = c->cap ? c->cap * 2 : 64;
                        struct row *rows = exec_alloc(q, cap, sizeof *rows, &e);
                        if (e)
                                return e;
                        if (c->n)
                                memcpy(rows, c->rows, c->n * sizeof *rows);
                        c->rows = rows;
                        c->cap = cap;
                }
                double *v = column_new(q, 1, st->n, &e);
                if (e)
                        return e;
                vec_push(&c->blocks, v);
                for (size_t i = 0; i < st->n; i++)
                        v[i] = absent();
                c->rows[c->n] = (struct row){.labels = labels_dup(q->arena, ls), .v = v};
                at = ++c->n;
                map_set(&c->by_key, arena_str(q->arena, buf_str(key)), (void *)(uintptr_t)at);
        }
        double *v = c->rows[at - 1].v;
        v[s] = is_absent(v[s]) ? 1 : v[s] + 1;
        return NULL;
}

static bool is_grouped(const struct expr *x, Str name, Str value_label)
{
        bool listed = false;
        for (size_t i = 0; i < x->aggregate.n_labels; i++)
                listed |= str_eq(x->aggregate.labels[i], name);
        if (x->aggregate.without)
                return !listed && !str_eq(name, STR(METRIC_NAME));
        return listed || str_eq(name, value_label);
}

struct error *eval_count_values(struct exec *q, const struct steps *st, struct node *n, struct mat *ret)
{
        size_t before = q->current;
        Str label = n->b->x->string.s;
        if (!label_name_is_valid_utf8(label)) {
                struct buf b = BUF_INIT(1 << 20);
                buf_put_go_quoted(&b, label);
                struct error *e = eval_error("invalid label name " STR_FMT, STR_ARG(buf_str(&b)));
                buf_done(&b);
                return e;
        }
        struct mat in;
        struct error *e = eval_mat(q, st, n->a, &in);
        if (e)
                return e;
        struct counted c = {.by_key = MAP_INIT, .blocks = VEC_INIT};
        struct buf key = BUF_INIT(BUF_NO_LIMIT), of_histogram = BUF_INIT(64 << 20);
        LabelVec ls = VEC_INIT;
        for (size_t s = 0; s < st->n && !e; s++) {
                e = exec_poll(q, "expression evaluation");
                for (size_t i = 0; i < in.n && !e; i++) {
                        double v = in.rows[i].v[s];
                        if (is_absent(v))
                                continue;
                        char text[FLOAT_TEXT_MAX_BYTES];
                        Str value = {text, float_print(v, 'f', text)};
                        Histogram h = histogram_at(in.rows[i].h, s);
                        if (h) {
                                buf_clear(&of_histogram);
                                buf_put_histogram(&of_histogram, h);
                                value = buf_str(&of_histogram);
                        }
                        Labels from = in.rows[i].labels;
                        vec_clear(&ls);
                        for (size_t k = 0; k < from.n; k++)
                                if (!str_eq(from.v[k].name, label) && is_grouped(n->x, from.v[k].name, label))
                                        vec_push(&ls, from.v[k]);
                        if (is_grouped(n->x, label, label))
                                vec_push(&ls, (Label){label, value});
                        labels_sort(ls.p, ls.n);
                        e = count_one(q, st, n->x, (Labels){ls.p, ls.n}, s, &c, &key);
                }
        }
        struct mat m = {.rows = c.rows, .n = c.n};
        m.blocks = e ? NULL : exec_alloc(q, c.blocks.n, sizeof *m.blocks, &e);
        if (!e) {
                if (c.blocks.n)
                        memcpy(m.blocks, c.blocks.p, c.blocks.n * sizeof *m.blocks);
                m.n_blocks = c.blocks.n;
                *ret = m;
        }
        vec_done(&ls);
        vec_done(&c.blocks);
        map_done(&c.by_key);
        buf_done(&key);
        buf_done(&of_histogram);
        size_t n_in = in.n, total = 0;
        mat_done(q, &in);
        for (size_t i = 0; !e && i < ret->n; i++)
                total += column_count(ret->rows[i].v, st->n);
        return e ? e : account_step_eval(q, before, total, n_in);
}
