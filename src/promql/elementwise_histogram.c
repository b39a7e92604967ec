/* SPDX-License-Identifier: Apache-2.0 */
/* Element-wise work on rows that have native histograms, and the one binary operation that all binary operators use.
 * Upstream: vectorElemBinop, VectorscalarBinop in promql/engine.go, simpleHistogramFunc in promql/functions.go */
#include <math.h>

#include "promql/eval.h"
#include "promql/quantile.h"

static struct error *scaled(struct arena *a, Histogram h, double factor, bool divide, struct binop_result *r)
{
        struct histogram *c;
        struct error *e = histogram_dup(a, h, &c);
        if (e)
                return e;
        if (divide)
                histogram_div(c, factor);
        else
                histogram_mul(c, factor);
        r->h = c;
        r->keep = true;
        return histogram_compact(a, c, 0);
}

static struct error *trimmed(struct arena *a, Histogram h, double x, bool is_upper, struct binop_result *r)
{
        struct histogram *c;
        struct error *e = histogram_dup(a, h, &c);
        if (!e)
                e = histogram_trim(a, c, x, is_upper);
        r->h = c;
        r->keep = true;
        return e;
}

static struct error *added(struct arena *a, Histogram l, Histogram rh, bool subtract, struct binop_result *r)
{
        struct histogram *c;
        struct histogram_notes notes = {0};
        struct error *e = histogram_dup(a, l, &c);
        if (!e)
                e = subtract ? histogram_sub(a, c, rh, &notes) : histogram_add(a, c, rh, &notes);
        if (e == &error_histograms_incompatible) {
                r->fault = BINOP_LAYOUT;
                return NULL;
        }
        if (!e)
                e = histogram_compact(a, c, 0);
        if (e)
                return e;
        if (subtract)
                c->reset = COUNTER_RESET_GAUGE;
        r->h = c;
        r->keep = true;
        r->reconciled = notes.bounds_reconciled;
        if (notes.reset_collision)
                r->fault = BINOP_COLLISION;
        return NULL;
}

struct error *binary_histogram(struct arena *a, enum binary_op op, double l, Histogram lh, double r, Histogram rh,
                               struct binop_result *ret)
{
        *ret = (struct binop_result){.fault = BINOP_FINE};
        if (!lh && op == OP_MUL)
                return scaled(a, rh, l, false, ret);
        if (!rh && (op == OP_MUL || op == OP_DIV))
                return scaled(a, lh, r, op == OP_DIV, ret);
        if (!rh && (op == OP_TRIM_UPPER || op == OP_TRIM_LOWER))
                return trimmed(a, lh, r, op == OP_TRIM_UPPER, ret);
        if (lh && rh && (op == OP_ADD || op == OP_SUB))
                return added(a, lh, rh, op == OP_SUB, ret);
        if (lh && rh && (op == OP_EQ || op == OP_NE)) {
                ret->h = lh;
                ret->keep = histogram_eq(lh, rh) == (op == OP_EQ);
                return NULL;
        }
        ret->fault = BINOP_TYPES;
        return NULL;
}

static double histogram_value(enum function_id f, Histogram h)
{
        switch (f) {
        case FUNC_HISTOGRAM_COUNT:
                return h->count;
        case FUNC_HISTOGRAM_SUM:
                return h->sum;
        case FUNC_HISTOGRAM_AVG:
                return h->sum / h->count;
        case FUNC_HISTOGRAM_STDVAR:
                return histogram_variance(h);
        case FUNC_HISTOGRAM_STDDEV:
                return sqrt(histogram_variance(h));
        default:
                bug("function %d of a histogram", (int)f);
        }
}

enum { MET_FLOATS = 1, MET_HISTOGRAMS = 2 };

static struct error *with_scalar(const struct row_op *op, struct worker *w, size_t i, double *v, Histogram *h,
                                 uint32_t *notes)
{
        struct binop_result r;
        double c = op->c1[i];
        struct error *e = op->swap ? binary_histogram(w->out, op->op, c, NULL, 0, h[i], &r)
                                   : binary_histogram(w->out, op->op, 0, h[i], c, NULL, &r);
        if (e)
                return e;
        if (r.fault == BINOP_TYPES)
                *notes |= MET_HISTOGRAMS;
        bool keep = r.fault == BINOP_FINE && r.keep;
        v[i] = keep ? 0 : absent();
        h[i] = keep ? r.h : NULL;
        return NULL;
}

static struct error *negated(struct worker *w, Histogram *h)
{
        struct histogram *c;
        struct error *e = histogram_dup(w->out, *h, &c);
        if (e)
                return e;
        histogram_mul(c, -1);
        *h = c;
        return NULL;
}

struct error *elementwise_mixed(const struct row_op *op, struct worker *w, double *v, Histogram *h, size_t n,
                                uint32_t *ret_notes)
{
        struct error *e = NULL;
        bool is_time = op->func == FUNC_TIMESTAMP && !op->is_minus && !op->is_binary;
        for (size_t i = 0; i < n && is_time; i++)
                h[i] = NULL;
        bool only_floats = true;
        for (size_t i = 0; i < n; i++)
                only_floats = only_floats && (!h[i] || is_absent(v[i]));
        if (only_floats) {
                for (size_t i = 0; i < n; i++)
                        if (op->only_histograms && !is_absent(v[i]))
                                *ret_notes |= MET_FLOATS;
                op->apply(op, v, n);
                memset(h, 0, n * sizeof *h);
                return NULL;
        }
        /* The floats alone, then the histograms. */
        double *floats = scratch_get(w, n);
        for (size_t i = 0; i < n; i++) {
                if (is_absent(v[i]))
                        h[i] = NULL;
                floats[i] = h[i] ? absent() : v[i];
                if (op->only_histograms && !is_absent(floats[i]))
                        *ret_notes |= MET_FLOATS;
        }
        op->apply(op, floats, n);
        for (size_t i = 0; i < n && !e; i++) {
                if (!h[i]) {
                        v[i] = floats[i];
                } else if (op->is_histogram_func) {
                        v[i] = histogram_value(op->func, h[i]);
                        h[i] = NULL;
                } else if (op->is_minus) {
                        e = negated(w, &h[i]);
                } else if (op->is_binary) {
                        e = with_scalar(op, w, i, v, h, ret_notes);
                } else { /* no function of floats takes it */
                        v[i] = absent();
                        h[i] = NULL;
                }
        }
        return e;
}
