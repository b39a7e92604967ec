/* SPDX-License-Identifier: Apache-2.0 */
/* Buckets in any direction. */
#include <math.h>

#include "base/go_math.h"
#include "model/histogram.h"

enum { STAGE_FIRST, STAGE_ZERO, STAGE_LAST, STAGE_END };

static void side_up(struct bucket_iter *it, bool negative)
{
        it->b = negative ? &it->h->neg : &it->h->pos;
        it->negative = negative;
        it->down = false;
        it->span = it->in_span = it->at = 0;
        it->index = it->b->n_spans ? it->b->spans[0].offset : 0;
}

static void side_down(struct bucket_iter *it, bool negative)
{
        const struct buckets *b = negative ? &it->h->neg : &it->h->pos;
        it->b = b;
        it->negative = negative;
        it->down = true;
        it->span = b->n_spans;
        it->at = b->n;
        it->in_span = b->n_spans ? b->spans[b->n_spans - 1].length : 0;
        it->index = 0;
        for (uint32_t i = 0; i < b->n_spans; i++)
                it->index += (int64_t)b->spans[i].offset + b->spans[i].length;
}

void bucket_iter_init(struct bucket_iter *it, const struct histogram *h, enum bucket_order order)
{
        *it = (struct bucket_iter){.h = h, .order = (uint8_t)order};
        switch (order) {
        case BUCKETS_POSITIVE:
                side_up(it, false);
                break;
        case BUCKETS_NEGATIVE:
                side_up(it, true);
                break;
        case BUCKETS_POSITIVE_DOWN:
                side_down(it, false);
                break;
        case BUCKETS_NEGATIVE_UP:
                side_down(it, true);
                break;
        case BUCKETS_ALL:
                side_down(it, true);
                break;
        case BUCKETS_ALL_DOWN:
                side_down(it, false);
                break;
        }
}

/* The next (index, count) of the side. */
static bool side_next(struct bucket_iter *it, int64_t *ret_index, double *ret_count)
{
        const struct buckets *b = it->b;
        if (!it->down) {
                while (it->span < b->n_spans && it->in_span >= b->spans[it->span].length) {
                        it->in_span = 0;
                        if (++it->span < b->n_spans)
                                it->index += b->spans[it->span].offset;
                }
                if (it->span >= b->n_spans || it->at >= b->n)
                        return false;
                *ret_index = it->index++;
                *ret_count = b->counts[it->at++];
                it->in_span++;
                return true;
        }
        if (it->at == 0 || it->span == 0)
                return false;
        while (it->in_span == 0) {
                it->index -= b->spans[it->span - 1].offset;
                if (--it->span == 0)
                        return false;
                it->in_span = b->spans[it->span - 1].length;
        }
        *ret_index = --it->index;
        *ret_count = b->counts[--it->at];
        it->in_span--;
        return true;
}

static bool side_bucket(struct bucket_iter *it, struct histogram_bucket *r)
{
        int64_t i;
        if (!side_next(it, &i, &r->count))
                return false;
        r->index = (int32_t)i;
        double outer = histogram_bound(it->h, i), inner = histogram_bound(it->h, i - 1);
        r->upper = it->negative ? -inner : outer;
        r->lower = it->negative ? -outer : inner;
        if (histogram_is_custom(it->h)) {
                r->lower_inclusive = i == 0;
                r->upper_inclusive = true;
        } else {
                r->lower_inclusive = r->lower < 0;
                r->upper_inclusive = r->upper > 0;
        }
        return true;
}

struct histogram_bucket histogram_zero_bucket(const struct histogram *h)
{
        return (struct histogram_bucket){.lower = -h->zero_threshold,
                               .upper = h->zero_threshold,
                               .count = h->zero_count,
                               .lower_inclusive = true,
                               .upper_inclusive = true};
}

/* A neighbour that reaches into the zero bucket ends where that begins. */
static void cut_at_zero(const struct histogram *h, struct histogram_bucket *b)
{
        if (b->upper < 0 && b->upper > -h->zero_threshold)
                b->upper = -h->zero_threshold;
        else if (b->lower > 0 && b->lower < h->zero_threshold)
                b->lower = h->zero_threshold;
}

bool bucket_iter_next(struct bucket_iter *it, struct histogram_bucket *ret)
{
        if (it->order != BUCKETS_ALL && it->order != BUCKETS_ALL_DOWN)
                return side_bucket(it, ret);
        if (it->stage == STAGE_FIRST) {
                if (side_bucket(it, ret)) {
                        cut_at_zero(it->h, ret);
                        return true;
                }
                it->stage = STAGE_ZERO;
        }
        if (it->stage == STAGE_ZERO) {
                it->stage = STAGE_LAST;
                side_up(it, it->order == BUCKETS_ALL_DOWN);
                if (it->h->zero_count > 0) {
                        *ret = histogram_zero_bucket(it->h);
                        return true;
                }
        }
        if (it->stage == STAGE_LAST) {
                if (side_bucket(it, ret)) {
                        cut_at_zero(it->h, ret);
                        return true;
                }
                it->stage = STAGE_END;
        }
        return false;
}

double bucket_fraction_below(const struct histogram_bucket *b, double v, bool linear)
{
        if (linear)
                return (v - b->lower) / (b->upper - b->lower);
        double lower = go_log2(fabs(b->lower)), upper = go_log2(fabs(b->upper)), x = go_log2(fabs(v));
        if (v > 0)
                return (x - lower) / (upper - lower);
        return 1 - (x - upper) / (lower - upper);
}

void cumulative_iter_init(struct cumulative_iter *c, const struct histogram *h)
{
        *c = (struct cumulative_iter){0};
        bucket_iter_init(&c->it, h, BUCKETS_POSITIVE);
        c->has_next = bucket_iter_next(&c->it, &c->next);
        c->index = c->next.index;
}

bool cumulative_iter_next(struct cumulative_iter *c, struct histogram_bucket *ret)
{
        const struct histogram *h = c->it.h;
        struct histogram_bucket b = {.lower = -INFINITY, .lower_inclusive = true, .upper_inclusive = true};
        if (!c->started) {
                c->started = true;
                if (h->zero_count != 0) {
                        c->total = h->zero_count;
                        b.upper = h->zero_threshold;
                        b.index = (int32_t)(0 - 1);
                        b.count = c->total;
                        *ret = b;
                        return true;
                }
        }
        if (!c->has_next)
                return false;
        b.index = (int32_t)c->index;
        b.upper = histogram_bound(h, c->index);
        if (c->index++ >= c->next.index) {
                c->total += c->next.count;
                c->has_next = bucket_iter_next(&c->it, &c->next);
        }
        b.count = c->total;
        *ret = b;
        return true;
}
