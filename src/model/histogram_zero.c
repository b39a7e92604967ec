/* SPDX-License-Identifier: Apache-2.0 */
/* Zero buckets of different width: the wider wins, and swallows what populated buckets it touches. */
#include <math.h>

#include "model/histogram_layout.h"
#include "model/kahan.h"

/* The zero count as it would be with a larger threshold, which moves up to the end of a populated bucket that it cuts.
 * comp holds what rounding lost in h, or is NULL. */
double histogram_zero_count_for(const struct histogram *h, const struct histogram *c, double *threshold,
                                double *ret_comp)
{
        double comp = c ? c->zero_count : 0, t = *threshold, zero;
        if (t == h->zero_threshold) {
                *ret_comp = comp;
                return h->zero_count;
        }
        for (bool again = true; again;) {
                again = false;
                zero = h->zero_count;
                struct bucket_iter it;
                struct histogram_bucket b;
                bucket_iter_init(&it, h, BUCKETS_POSITIVE);
                for (uint32_t i = 0; bucket_iter_next(&it, &b) && !(b.lower >= t); i++) {
                        kahan_inc(b.count, &zero, &comp);
                        if (c && i < c->pos.n)
                                kahan_inc(c->pos.counts[i], &zero, &comp);
                        if (b.upper > t) {
                                if (b.count != 0)
                                        t = b.upper;
                                break;
                        }
                }
                bucket_iter_init(&it, h, BUCKETS_NEGATIVE);
                for (uint32_t i = 0; bucket_iter_next(&it, &b) && !(b.upper <= -t); i++) {
                        kahan_inc(b.count, &zero, &comp);
                        if (c && i < c->neg.n)
                                kahan_inc(c->neg.counts[i], &zero, &comp);
                        if (b.lower < -t) {
                                if (b.count != 0) { /* what the positive side gave is no longer right */
                                        t = -b.lower;
                                        again = true;
                                }
                                break;
                        }
                }
        }
        *threshold = t;
        *ret_comp = comp;
        return zero;
}

/* Buckets inside the zero bucket are counted there already. */
static struct error *drop_inside(struct arena *a, struct histogram *h, struct histogram *c)
{
        struct bucket_iter it;
        struct histogram_bucket b;
        bucket_iter_init(&it, h, BUCKETS_POSITIVE);
        for (uint32_t i = 0; bucket_iter_next(&it, &b) && !(b.lower >= h->zero_threshold); i++) {
                h->pos.counts[i] = 0;
                if (c && i < c->pos.n)
                        c->pos.counts[i] = 0;
        }
        bucket_iter_init(&it, h, BUCKETS_NEGATIVE);
        for (uint32_t i = 0; bucket_iter_next(&it, &b) && !(b.upper <= -h->zero_threshold); i++) {
                h->neg.counts[i] = 0;
                if (c && i < c->neg.n)
                        c->neg.counts[i] = 0;
        }
        struct error *e = buckets_compact(a, &h->pos, c ? c->pos.counts : NULL, 0);
        if (!e)
                e = buckets_compact(a, &h->neg, c ? c->neg.counts : NULL, 0);
        if (c) {
                c->pos.n = h->pos.n;
                c->neg.n = h->neg.n;
        }
        return e;
}

/* Widens h (and c beside it) until both have one threshold; what other's zero count is then comes back. */
struct error *histogram_reconcile_zero(struct arena *a, struct histogram *h, struct histogram *c,
                                       const struct histogram *other, double *ret_zero_count, double *ret_zero_comp)
{
        double zero = other->zero_count, comp = 0, t = other->zero_threshold;
        while (t != h->zero_threshold && !isnan(t) && !isnan(h->zero_threshold)) {
                if (h->zero_threshold > t) {
                        t = h->zero_threshold;
                        zero = histogram_zero_count_for(other, NULL, &t, &comp);
                }
                if (t > h->zero_threshold) {
                        double own = t, own_comp;
                        double count = histogram_zero_count_for(h, c, &own, &own_comp);
                        h->zero_count = count;
                        h->zero_threshold = own;
                        if (c)
                                c->zero_count = own_comp;
                        struct error *e = drop_inside(a, h, c);
                        if (e)
                                return e;
                }
        }
        *ret_zero_count = zero;
        *ret_zero_comp = comp;
        return NULL;
}
