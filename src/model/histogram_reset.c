/* SPDX-License-Identifier: Apache-2.0 */
/* Counter resets between two histograms. */
#include <math.h>

#include "model/histogram_layout.h"

/* Buckets of one side as they were in a coarser schema, those at or below a threshold left out. */
struct merged {
        const struct buckets *b;
        struct layout_pos c;
        int32_t schema;
        int shift;
        double after;
        bool passed;
        int64_t index;
        double count;
        bool has_more; /* c stands on a bucket that is not part of what was given yet */
};

static struct merged merged_of(const struct histogram *h, bool negative, int32_t schema, double after)
{
        const struct buckets *b = negative ? &h->neg : &h->pos;
        struct merged m = {.b = b,
                           .c = layout_of(b->spans, b->n_spans, b->n),
                           .schema = schema,
                           .shift = schema_shift(h->schema, schema),
                           .after = after,
                           .passed = after == 0 || !schema_is_exponential(schema)};
        m.has_more = layout_next(&m.c);
        return m;
}

static bool merged_next(struct merged *m)
{
        for (;;) {
                if (!m->has_more)
                        return false;
                if (m->shift == 0) {
                        m->index = m->c.index;
                        m->count = m->b->counts[m->c.at - 1];
                        m->has_more = layout_next(&m->c);
                } else {
                        m->index = bucket_index_reduced(m->c.index, m->shift);
                        m->count = 0;
                        do {
                                m->count += m->b->counts[m->c.at - 1];
                                m->has_more = layout_next(&m->c);
                        } while (m->has_more && bucket_index_reduced(m->c.index, m->shift) == m->index);
                }
                if (m->passed || !(histogram_schema_bound(m->schema, m->index) <= m->after))
                        break;
        }
        m->passed = true;
        return true;
}

/* Has some bucket of p more than the same bucket of c? */
static bool lost(struct merged c, struct merged p)
{
        bool has_c = merged_next(&c);
        while (merged_next(&p)) {
                while (has_c && c.index < p.index)
                        has_c = merged_next(&c);
                if (!has_c || c.index > p.index) {
                        if (p.count != 0)
                                return true;
                } else if (c.count < p.count) {
                        return true;
                }
        }
        return false;
}

/* Takes the buckets that end at or below the bound. */
static double roll_up(struct bucket_iter *it, struct histogram_bucket *b, bool *has, double bound)
{
        double sum = 0;
        while (*has && b->upper <= bound) {
                sum += b->count;
                *has = bucket_iter_next(it, b);
        }
        return sum;
}

/* Custom bounds differ: compared are the ranges between bounds common to both. */
static bool lost_between_common_bounds(const struct histogram *h, const struct histogram *p)
{
        struct bucket_iter hi, pi;
        struct histogram_bucket hb = {0}, pb = {0};
        bucket_iter_init(&hi, h, BUCKETS_POSITIVE);
        bucket_iter_init(&pi, p, BUCKETS_POSITIVE);
        bool h_has = bucket_iter_next(&hi, &hb), p_has = bucket_iter_next(&pi, &pb);
        for (uint32_t i = 0, j = 0; i <= h->n_bounds && j <= p->n_bounds;) {
                double x = i < h->n_bounds ? h->bounds[i] : INFINITY, y = j < p->n_bounds ? p->bounds[j] : INFINITY;
                if (x == y) {
                        if (roll_up(&hi, &hb, &h_has, x) < roll_up(&pi, &pb, &p_has, x))
                                return true;
                        i++;
                        j++;
                } else if (x < y) {
                        i++;
                } else {
                        j++;
                }
        }
        return false;
}

bool histogram_is_reset(const struct histogram *h, const struct histogram *p)
{
        if (h->reset == COUNTER_RESET_YES)
                return true;
        if (h->reset == COUNTER_RESET_NO)
                return false;
        if (h->count < p->count)
                return true;
        if (histogram_is_custom(h)) {
                if (!histogram_is_custom(p))
                        return true;
                if (!histogram_bounds_eq(h->bounds, h->n_bounds, p->bounds, p->n_bounds))
                        return lost_between_common_bounds(h, p);
        }
        if (h->schema > p->schema || h->zero_threshold < p->zero_threshold)
                return true;
        double threshold = h->zero_threshold, comp;
        double zero = histogram_zero_count_for(p, NULL, &threshold, &comp);
        if (threshold != h->zero_threshold || h->zero_count < zero)
                return true;
        for (int negative = 0; negative < 2; negative++)
                if (lost(merged_of(h, negative, h->schema, h->zero_threshold),
                         merged_of(p, negative, h->schema, h->zero_threshold)))
                        return true;
        return false;
}
