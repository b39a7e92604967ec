/* SPDX-License-Identifier: Apache-2.0 */
/* Sums and differences. Layouts are merged bucket by bucket: in place as long as the other histogram has no bucket that
 * h lacks, which is the common case in sums over many series; else both go into a new layout. */
#include <math.h>

#include "model/histogram_layout.h"
#include "model/kahan.h"

/* One side of both: from is added to (or taken off) to. With compensation, comp belongs to to's counts and grows with
 * them. */
struct merge {
        struct buckets *to;
        double **comp; /* NULL: plain sums */
        const struct buckets *from;
        const double *from_comp; /* may be NULL */
        double threshold;        /* buckets of from that end at or below it are in the zero bucket */
        int32_t schema;
        bool negative;
};

static inline void take(const struct merge *m, uint32_t to, uint32_t from)
{
        double x = m->from->counts[from];
        if (!m->comp) {
                m->to->counts[to] += m->negative ? x * -1 : x;
                return;
        }
        double *sum = &m->to->counts[to], *comp = &(*m->comp)[to];
        kahan_inc(m->negative ? x * -1 : x, sum, comp);
        if (m->from_comp) {
                double y = m->negative ? m->from_comp[from] * -1 : m->from_comp[from];
                if (y != 0)
                        kahan_inc(y, sum, comp);
        }
}

/* On the first bucket of from that counts. */
static bool skip_inside_zero(const struct merge *m, struct layout_pos *f)
{
        bool ok = layout_next(f);
        if (schema_is_exponential(m->schema))
                while (ok && histogram_schema_bound(m->schema, f->index) <= m->threshold)
                        ok = layout_next(f);
        return ok;
}

static struct error *merge_anew(struct arena *a, const struct merge *m, struct layout_pos f, struct span_builder size)
{
        struct buckets *to = m->to;
        struct span *spans;
        double *counts, *comp = NULL;
        struct error *e = buckets_new(a, size.n, size.n_buckets, &spans, &counts);
        if (e)
                return e;
        if (m->comp) {
                comp = arena_try_alloc(a, arena_array_bytes(size.n_buckets + (size_t)1, sizeof *comp));
                if (!comp)
                        return histogram_no_memory(a);
        }
        struct buckets old = *to;
        const double *old_comp = m->comp ? *m->comp : NULL;
        struct merge n = *m;
        struct buckets fresh = {.spans = spans, .counts = counts};
        n.to = &fresh;
        if (m->comp)
                n.comp = &comp;
        struct span_builder out = {.spans = spans};
        struct layout_pos t = layout_of(old.spans, old.n_spans, old.n);
        layout_next(&t);
        while (t.ok || f.ok) {
                bool from_t = t.ok && (!f.ok || t.index <= f.index), from_f = f.ok && (!t.ok || f.index <= t.index);
                span_builder_put(&out, from_t ? t.index : f.index);
                uint32_t at = out.n_buckets - 1;
                if (from_t) {
                        counts[at] = old.counts[t.at - 1];
                        if (comp)
                                comp[at] = old_comp[t.at - 1];
                        if (from_f)
                                take(&n, at, f.at - 1);
                        layout_next(&t);
                } else {
                        double x = m->from->counts[f.at - 1];
                        counts[at] = m->negative ? x * -1 : x;
                        if (comp)
                                comp[at] = m->from_comp ? (m->negative ? m->from_comp[f.at - 1] * -1
                                                                       : m->from_comp[f.at - 1])
                                                        : 0;
                }
                if (from_f)
                        layout_next(&f);
        }
        *to = (struct buckets){.spans = spans, .counts = counts, .n_spans = out.n, .n = out.n_buckets};
        if (m->comp)
                *m->comp = comp;
        return NULL;
}

static struct error *merge_side(struct arena *a, const struct merge *m)
{
        struct layout_pos f = layout_of(m->from->spans, m->from->n_spans, m->from->n);
        if (!skip_inside_zero(m, &f))
                return NULL;
        struct layout_pos first = f, t = layout_of(m->to->spans, m->to->n_spans, m->to->n);
        struct span_builder size = {0};
        bool contained = true;
        layout_next(&t);
        while (t.ok || f.ok) {
                bool from_t = t.ok && (!f.ok || t.index <= f.index), from_f = f.ok && (!t.ok || f.index <= t.index);
                contained &= from_t;
                span_builder_put(&size, from_t ? t.index : f.index);
                if (from_t)
                        layout_next(&t);
                if (from_f)
                        layout_next(&f);
        }
        if (!contained)
                return merge_anew(a, m, first, size);
        t = layout_of(m->to->spans, m->to->n_spans, m->to->n);
        f = first;
        layout_next(&t);
        while (f.ok && t.ok) {
                if (t.index == f.index) {
                        take(m, t.at - 1, f.at - 1);
                        layout_next(&f);
                }
                layout_next(&t);
        }
        return NULL;
}

/* --- custom bounds that differ
 * ---------------------------------------------------------------------------------------------------- */

static struct error *common_bounds(struct arena *a, const struct histogram *h, const struct histogram *o, double **ret,
                                   uint32_t *ret_n)
{
        double *v = arena_try_alloc(a, arena_array_bytes(MIN(h->n_bounds, o->n_bounds) + (size_t)1, sizeof *v));
        if (!v)
                return histogram_no_memory(a);
        uint32_t n = 0;
        for (uint32_t i = 0, j = 0; i < h->n_bounds && j < o->n_bounds;) {
                if (h->bounds[i] == o->bounds[j]) {
                        v[n++] = h->bounds[i++];
                        j++;
                } else if (h->bounds[i] < o->bounds[j]) {
                        i++;
                } else {
                        j++;
                }
        }
        *ret = v;
        *ret_n = n;
        return NULL;
}

/* Counts go to the first common bound at or above their own, else to the +Inf bucket. */
static void map_onto(const struct histogram *h, const double *comp, bool negative, const double *bounds,
                     uint32_t n_bounds, double *sums, double *comps)
{
        struct layout_pos c = layout_of(h->pos.spans, h->pos.n_spans, h->pos.n);
        uint32_t at = 0;
        while (layout_next(&c)) {
                uint32_t target = n_bounds;
                if (c.index < 0)
                        continue;
                if (c.index < h->n_bounds) {
                        while (at < n_bounds && !(bounds[at] >= h->bounds[c.index]))
                                at++;
                        target = at;
                }
                double x = h->pos.counts[c.at - 1];
                kahan_inc(negative ? -x : x, &sums[target], &comps[target]);
                if (comp)
                        kahan_inc(comp[c.at - 1], &sums[target], &comps[target]);
        }
}

static struct error *add_custom_unlike(struct arena *a, struct histogram *h, double **comp,
                                       const struct histogram *other, bool negative)
{
        double *bounds;
        uint32_t n;
        struct error *e = common_bounds(a, h, other, &bounds, &n);
        if (e)
                return e;
        double *sums = arena_try_alloc(a, arena_array_bytes(n + (size_t)1, sizeof *sums)),
               *comps = arena_try_alloc(a, arena_array_bytes(n + (size_t)1, sizeof *comps));
        struct span *spans = arena_try_alloc(a, arena_array_bytes(n + (size_t)1, sizeof *spans));
        if (!sums || !comps || !spans)
                return histogram_no_memory(a);
        for (uint32_t i = 0; i <= n; i++)
                sums[i] = comps[i] = 0;
        map_onto(h, comp ? *comp : NULL, false, bounds, n, sums, comps);
        map_onto(other, NULL, negative, bounds, n, sums, comps);
        struct span_builder out = {.spans = spans};
        for (uint32_t i = 0; i <= n; i++) {
                if (sums[i] == 0 && comps[i] == 0)
                        continue;
                span_builder_put(&out, i);
                sums[out.n_buckets - 1] = sums[i];
                comps[out.n_buckets - 1] = comps[i];
        }
        h->pos = (struct buckets){.spans = spans, .counts = sums, .n_spans = out.n, .n = out.n_buckets};
        h->bounds = bounds;
        h->n_bounds = n;
        if (comp)
                *comp = comps;
        return NULL;
}

/* --- the whole
 * --------------------------------------------------------------------------------------------------------------------
 */

/* True: one says reset, the other none. */
static bool join_resets(struct histogram *h, const struct histogram *o)
{
        if (h->reset == o->reset || h->reset == COUNTER_RESET_GAUGE)
                return false;
        if (o->reset == COUNTER_RESET_GAUGE) {
                h->reset = COUNTER_RESET_GAUGE;
                return false;
        }
        bool collide = h->reset != COUNTER_RESET_UNKNOWN && o->reset != COUNTER_RESET_UNKNOWN;
        h->reset = COUNTER_RESET_UNKNOWN;
        return collide;
}

static struct error *compensation_new(struct arena *a, const struct histogram *h, struct histogram **ret)
{
        struct histogram *c = arena_try_alloc(a, sizeof *c);
        if (!c)
                return histogram_no_memory(a);
        *c = *h;
        c->count = c->sum = c->zero_count = 0;
        for (int i = 0; i < 2; i++) {
                struct buckets *b = i ? &c->neg : &c->pos;
                if (!b->n)
                        continue;
                b->counts = arena_try_alloc(a, arena_array_bytes(b->n, sizeof *b->counts));
                if (!b->counts)
                        return histogram_no_memory(a);
                memset(b->counts, 0, b->n * sizeof *b->counts);
        }
        *ret = c;
        return NULL;
}

/* c: NULL for plain sums. */
static struct error *combine(struct arena *a, struct histogram *h, struct histogram *c, const struct histogram *other,
                             bool negative, struct histogram_notes *ret)
{
        *ret = (struct histogram_notes){.reset_collision = join_resets(h, other)};
        struct error *e;
        if (!histogram_is_custom(h)) {
                double zero, zero_comp;
                e = histogram_reconcile_zero(a, h, c, other, &zero, &zero_comp);
                if (e)
                        return e;
                if (c) {
                        kahan_inc(zero, &h->zero_count, &c->zero_count);
                        kahan_inc(zero_comp, &h->zero_count, &c->zero_count);
                } else if (negative) {
                        h->zero_count -= zero;
                } else {
                        h->zero_count += zero;
                }
        }
        if (c) {
                kahan_inc(other->count, &h->count, &c->count);
                kahan_inc(other->sum, &h->sum, &c->sum);
        } else if (negative) {
                h->count -= other->count;
                h->sum -= other->sum;
        } else {
                h->count += other->count;
                h->sum += other->sum;
        }
        double *pos_comp = c ? c->pos.counts : NULL, *neg_comp = c ? c->neg.counts : NULL;
        if (histogram_is_custom(h) && !histogram_bounds_eq(h->bounds, h->n_bounds, other->bounds, other->n_bounds)) {
                ret->bounds_reconciled = true;
                e = add_custom_unlike(a, h, c ? &pos_comp : NULL, other, negative);
                if (e)
                        return e;
                goto follow;
        }
        struct buckets pos = other->pos, neg = other->neg;
        double *from_pos = NULL, *from_neg = NULL;
        if (!histogram_is_custom(h) && other->schema < h->schema) {
                int shift = schema_shift(h->schema, other->schema);
                e = buckets_reduce(a, &h->pos, pos_comp, shift, &h->pos, &pos_comp);
                if (!e)
                        e = buckets_reduce(a, &h->neg, neg_comp, shift, &h->neg, &neg_comp);
                if (e)
                        return e;
                h->schema = other->schema;
        } else if (!histogram_is_custom(h) && other->schema > h->schema) {
                int shift = schema_shift(other->schema, h->schema);
                double *none = NULL;
                if (c) {
                        size_t n = MAX(pos.n, neg.n) + (size_t)1;
                        none = arena_try_alloc(a, arena_array_bytes(n, sizeof *none));
                        if (!none)
                                return histogram_no_memory(a);
                        memset(none, 0, n * sizeof *none);
                }
                e = buckets_reduce(a, &other->pos, none, shift, &pos, &from_pos);
                if (!e)
                        e = buckets_reduce(a, &other->neg, none, shift, &neg, &from_neg);
                if (e)
                        return e;
        }
        e = merge_side(a, &(struct merge){.to = &h->pos,
                                          .comp = c ? &pos_comp : NULL,
                                          .from = &pos,
                                          .from_comp = from_pos,
                                          .threshold = h->zero_threshold,
                                          .schema = h->schema,
                                          .negative = negative});
        if (!e && !histogram_is_custom(h))
                e = merge_side(a, &(struct merge){.to = &h->neg,
                                                  .comp = c ? &neg_comp : NULL,
                                                  .from = &neg,
                                                  .from_comp = from_neg,
                                                  .threshold = h->zero_threshold,
                                                  .schema = h->schema,
                                                  .negative = negative});
        if (e)
                return e;
follow:
        if (c) { /* its layout is h's */
                c->schema = h->schema;
                c->zero_threshold = h->zero_threshold;
                c->pos = h->pos;
                c->neg = h->neg;
                c->pos.counts = pos_comp;
                c->neg.counts = neg_comp;
                c->bounds = h->bounds;
                c->n_bounds = h->n_bounds;
        }
        return NULL;
}

struct error *histogram_add(struct arena *a, struct histogram *h, const struct histogram *other,
                            struct histogram_notes *ret)
{
        if (histogram_is_custom(h) != histogram_is_custom(other))
                return &error_histograms_incompatible;
        return combine(a, h, NULL, other, /* negative= */ false, ret);
}

struct error *histogram_sub(struct arena *a, struct histogram *h, const struct histogram *other,
                            struct histogram_notes *ret)
{
        if (histogram_is_custom(h) != histogram_is_custom(other))
                return &error_histograms_incompatible;
        return combine(a, h, NULL, other, /* negative= */ true, ret);
}

struct error *histogram_kahan_add(struct arena *a, struct histogram *h, struct histogram **c,
                                  const struct histogram *other, struct histogram_notes *ret)
{
        if (histogram_is_custom(h) != histogram_is_custom(other))
                return &error_histograms_incompatible;
        if (!*c) {
                struct error *e = compensation_new(a, h, c);
                if (e)
                        return e;
        }
        return combine(a, h, *c, other, /* negative= */ false, ret);
}

void histogram_mul(struct histogram *h, double factor)
{
        h->zero_count *= factor;
        h->count *= factor;
        h->sum *= factor;
        for (uint32_t i = 0; i < h->pos.n; i++)
                h->pos.counts[i] *= factor;
        for (uint32_t i = 0; i < h->neg.n; i++)
                h->neg.counts[i] *= factor;
        if (factor < 0)
                h->reset = COUNTER_RESET_GAUGE;
}

void histogram_div(struct histogram *h, double divisor)
{
        h->zero_count /= divisor;
        h->count /= divisor;
        h->sum /= divisor;
        if (divisor == 0) {
                h->pos = h->neg = (struct buckets){0};
                return;
        }
        for (uint32_t i = 0; i < h->pos.n; i++)
                h->pos.counts[i] /= divisor;
        for (uint32_t i = 0; i < h->neg.n; i++)
                h->neg.counts[i] /= divisor;
        if (divisor < 0)
                h->reset = COUNTER_RESET_GAUGE;
}
