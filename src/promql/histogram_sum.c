/* SPDX-License-Identifier: Apache-2.0 */
/* Sums and averages of native histograms, with what rounding lost kept beside: sum(), avg(), sum_over_time(),
 * avg_over_time(). Upstream: aggregation in promql/engine.go, funcAvgOverTime in promql/functions.go */
#include <float.h>
#include <math.h>

#include "promql/eval.h"

static bool is_large(const struct buckets *b)
{
        for (uint32_t i = 0; i < b->n; i++)
                if (!(fabs(b->counts[i]) < DBL_MAX / 4))
                        return true;
        return false;
}

/* Only then a sum may become infinite, and what was there before must be kept. */
static bool may_overflow(Histogram h)
{
        return !(fabs(h->sum) < DBL_MAX / 4) || !(fabs(h->count) < DBL_MAX / 4) ||
               !(fabs(h->zero_count) < DBL_MAX / 4) || is_large(&h->pos) || is_large(&h->neg);
}

static struct error *add(struct arena *a, struct histogram *to, struct histogram **comp, Histogram h, uint32_t *notes)
{
        struct histogram_notes n = {0};
        struct error *e = histogram_kahan_add(a, to, comp, h, &n);
        if (!e && n.bounds_reconciled)
                *notes |= NOTE_BOUNDS_AGG;
        return e;
}

/* The direct sum of an average; *ret_overflow: it would be infinite, and is as it was. */
static struct error *add_unless_overflow(struct arena *a, struct histogram_sum *s, Histogram h, uint32_t *notes,
                                         bool *ret_overflow)
{
        *ret_overflow = false;
        if (!may_overflow(s->sum) && !may_overflow(h))
                return add(a, s->sum, &s->comp, h, notes);
        struct histogram *sum, *comp = NULL;
        struct error *e = histogram_dup(a, s->sum, &sum);
        if (!e && s->comp)
                e = histogram_dup(a, s->comp, &comp);
        if (!e)
                e = add(a, sum, &comp, h, notes);
        if (e)
                return e;
        *ret_overflow = histogram_has_overflow(sum);
        if (!*ret_overflow) {
                s->sum = sum;
                s->comp = comp;
        }
        return NULL;
}

struct error *histogram_sum_add(struct arena *a, struct histogram_sum *s, Histogram h, bool is_avg, uint32_t *notes)
{
        struct error *e;
        s->reset_seen |= h->reset == COUNTER_RESET_YES;
        s->no_reset_seen |= h->reset == COUNTER_RESET_NO;
        s->n++;
        if (!s->sum) {
                Histogram own;
                e = histogram_keep(a, h, &own);
                if (!e)
                        e = histogram_dup(a, own, &s->sum);
                return e;
        }
        if (!is_avg)
                return add(a, s->sum, &s->comp, h, notes);
        if (!s->incremental) {
                bool overflow;
                e = add_unless_overflow(a, s, h, notes, &overflow);
                if (e || !overflow)
                        return e;
                s->incremental = true;
                s->mean = s->sum;
                histogram_div(s->mean, s->n - 1);
                if (s->comp)
                        histogram_div(s->comp, s->n - 1);
        }
        double q = (s->n - 1) / s->n;
        if (s->comp)
                histogram_mul(s->comp, q);
        struct histogram *part;
        e = histogram_dup(a, h, &part);
        if (e)
                return e;
        histogram_div(part, s->n);
        histogram_mul(s->mean, q);
        return add(a, s->mean, &s->comp, part, notes);
}

struct error *histogram_sum_finish(struct arena *a, struct histogram_sum *s, bool is_avg, uint32_t *notes,
                                   struct histogram **ret)
{
        struct histogram *r = s->incremental ? s->mean : s->sum;
        if (is_avg && !s->incremental) {
                histogram_div(r, s->n);
                if (s->comp)
                        histogram_div(s->comp, s->n);
        }
        struct histogram_notes n = {0};
        struct error *e = s->comp ? histogram_add(a, r, s->comp, &n) : NULL;
        if (e)
                return e;
        if (s->reset_seen && s->no_reset_seen)
                *notes |= NOTE_COLLISION_AGG;
        *ret = r;
        return NULL;
}
