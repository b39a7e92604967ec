/* SPDX-License-Identifier: Apache-2.0 */
/* rate, increase, delta, sum_over_time and avg_over_time over plain selectors: the most frequent loops on their own. Where samples are
 * evenly spaced, as scraped ones are, all windows but those at the ends look the same and are not looked for. Sums of integers are exact,
 * in any order, so that they come from running totals; others are taken window by window in upstream's order, four side by side. */
#include <math.h>

#include "promql/eval.h"
#include "promql/kahan.h"
#include "promql/lanes.h"

static int64_t floor_div(int64_t a, int64_t b)
{
        return a / b - (a % b < 0);
}

struct window_grid window_grid_of(const struct samples *s, const struct steps *st, int64_t offset_ms, int64_t range_ms)
{
        struct window_grid g = {0};
        int64_t every = s->every_ms;
        if (every <= 0 || st->n < 2 || st->interval % every != 0)
                return g;
        int64_t to = step_time(st, 0) - offset_ms - s->t[0], stride = st->interval / every;
        /* How many samples are at or before the ends of the first window, did the series go on for ever to both sides. */
        int64_t hi = floor_div(to, every) + 1, lo = floor_div(to - range_ms, every) + 1, n = (int64_t)s->n;
        int64_t first = lo >= 0 ? 0 : (-lo + stride - 1) / stride;
        int64_t end = n < hi ? 0 : (n - hi) / stride + 1;
        end = MIN(end, (int64_t)st->n);
        if (first >= end || hi <= lo)
                return g;
        return (struct window_grid){
                .first = (size_t)first, .end = (size_t)end, .lo = (size_t)(lo + first * stride), .stride = (size_t)stride, .n = (size_t)(hi - lo)};
}

/* The window of a step after the other. */
struct walk {
        const struct range_call *c;
        const struct samples *s;
        struct window_grid grid;
        size_t lo, hi, seen;
        TimeMs from, to;
};

static inline size_t walk_to(struct walk *w, size_t k, struct row_info *info)
{
        const TimeMs *t = w->s->t;
        w->to = step_time(w->c->steps, k) - w->c->offset_ms;
        w->from = w->to - w->c->range_ms;
        if (k >= w->grid.first && k < w->grid.end) {
                w->lo = w->grid.lo + (k - w->grid.first) * w->grid.stride;
                w->hi = w->lo + w->grid.n;
        } else {
                while (w->hi < w->s->n && t[w->hi] <= w->to)
                        w->hi++;
                while (w->lo < w->hi && t[w->lo] <= w->from - w->c->closed_ms)
                        w->lo++;
        }
        size_t n = w->hi - w->lo;
        info->total += n;
        info->win_max = MAX(info->win_max, n);
        info->win_last = n;
        info->read += w->hi - MAX(w->lo, w->seen);
        w->seen = w->hi;
        return n;
}

/* What extrapolation makes of where the samples of a window lie. Scraped series look the same at every step, so that it
 * is computed once. */
struct shape {
        int64_t before, behind, sampled_ms;
        size_t n;
        double to_start, to_end, sampled, factor;
};

static void shape_set(struct shape *p, double per_s)
{
        double between;
        p->to_start = (double)p->before / 1000;
        p->to_end = (double)p->behind / 1000;
        p->sampled = (double)p->sampled_ms / 1000;
        between = p->sampled / (double)(p->n - 1);
        if (p->to_start >= between * 1.1)
                p->to_start = between / 2;
        if (p->to_end >= between * 1.1)
                p->to_end = between / 2;
        p->factor = (p->sampled + p->to_start + p->to_end) / p->sampled / per_s;
}

static double shape_apply(const struct shape *p, double result, double first, bool is_counter, double per_s)
{
        if (!is_counter || !(result > 0 && first >= 0))
                return result * p->factor;
        /* Far from zero, which is most of the time, no division is needed to know that zero is before the window. */
        if (first * p->sampled > 2 * p->to_start * result)
                return result * p->factor;
        double to_zero = p->sampled * (first / result);
        if (!(to_zero < p->to_start))
                return result * p->factor;
        return result * ((p->sampled + to_zero + p->to_end) / p->sampled / per_s);
}

WITH_LANES static bool has_resets_lanes(const double *v, size_t n)
{
        Mask found = {0};
        size_t i = 1;
        for (; i + LANES <= n; i += LANES) {
                Lanes x, before;
                memcpy(&x, v + i, sizeof x);
                memcpy(&before, v + i - 1, sizeof before);
                found |= x < before;
        }
        for (; i < n; i++)
                found[0] |= v[i] < v[i - 1];
        return (found[0] | found[1] | found[2] | found[3]) != 0;
}

static bool has_resets(const double *v, size_t n)
{
        if (has_lanes())
                return has_resets_lanes(v, n);
        bool found = false;
        for (size_t i = 1; i < n; i++)
                found |= v[i] < v[i - 1];
        return found;
}

/* The steps that rate_grid() may take four at a time; *ret_near_zero as there. */
WITH_LANES static size_t rate_grid_lanes(const struct window_grid *g, const struct shape *p, const double *first, const double *last, double *out,
                                         unsigned *ret_near_zero)
{
        double most = 2 * p->to_start, sampled = p->sampled;
        size_t count = g->end - g->first, s = g->stride, k = 0;
        Mask near_zero = {0};
        for (; k + LANES <= count; k += LANES) {
                const double *f = first + k * s, *l = last + k * s;
                Lanes a = {f[0], f[s], f[2 * s], f[3 * s]}, b = {l[0], l[s], l[2 * s], l[3 * s]};
                Lanes r = b - a, x = r * p->factor;
                near_zero |= (r > 0) & (a >= 0) & ~(a * sampled > most * r);
                memcpy(out + k, &x, sizeof x);
        }
        *ret_near_zero = (near_zero[0] | near_zero[1] | near_zero[2] | near_zero[3]) != 0;
        return k;
}

/* The windows of the grid, all of one shape, without resets. */
static void rate_grid(const struct window_grid *g, const struct shape *p, const double *v, double *out, bool is_counter, double per_s)
{
        const double *first = v + g->lo, *last = first + g->n - 1;
        double factor = p->factor, sampled = p->sampled, most = 2 * p->to_start;
        size_t count = g->end - g->first, stride = g->stride;
        unsigned near_zero = 0;
        for (size_t k = has_lanes() ? rate_grid_lanes(g, p, first, last, out, &near_zero) : 0; k < count; k++) {
                double a = first[k * stride], r = last[k * stride] - a;
                out[k] = r * factor;
                near_zero |= (unsigned)(r > 0) & (unsigned)(a >= 0) & (unsigned)!(a * sampled > most * r); /* see shape_apply */
        }
        for (size_t k = 0; is_counter && near_zero && k < count; k++) {
                double a = first[k * stride];
                out[k] = shape_apply(p, last[k * stride] - a, a, true, per_s);
        }
}

static void plain_rate_row(const struct range_call *c, const struct samples *s, double *out, struct row_info *info)
{
        bool is_counter = c->func != FUNC_DELTA;
        double per_s = c->func == FUNC_RATE ? seconds_of(c->range_ms) : 1.0;
        const TimeMs *t = s->t;
        const double *v = s->v;
        bool resets = is_counter && has_resets(v, s->n);
        struct shape shape = {0};
        struct walk w = {.c = c, .s = s, .grid = window_grid_of(s, c->steps, c->offset_ms, c->range_ms + c->closed_ms)};
        size_t reset = 1; /* the first one in the window or behind it */
        for (size_t k = 0; k < c->steps->n; k++) {
                size_t n = walk_to(&w, k, info);
                if (n < 2) {
                        out[k] = absent();
                        continue;
                }
                double r = v[w.hi - 1] - v[w.lo];
                if (resets) {
                        for (reset = MAX(reset, w.lo + 1); reset < s->n && !(v[reset] < v[reset - 1]);)
                                reset++;
                        if (reset < w.hi)
                                r = add_resets(r, v + w.lo, n);
                }
                int64_t before = t[w.lo] - w.from, behind = w.to - t[w.hi - 1], sampled = t[w.hi - 1] - t[w.lo];
                if (before != shape.before || behind != shape.behind || sampled != shape.sampled_ms || n != shape.n) {
                        shape.before = before;
                        shape.behind = behind;
                        shape.sampled_ms = sampled;
                        shape.n = n;
                        shape_set(&shape, per_s);
                }
                if (!resets && k == w.grid.first && k < w.grid.end) {
                        size_t count = w.grid.end - k;
                        rate_grid(&w.grid, &shape, v, out + k, is_counter, per_s);
                        info->n_out += count;
                        info->total += (count - 1) * n;
                        info->read += (count - 1) * MIN(n, w.grid.stride);
                        k = w.grid.end - 1;
                        w.lo = w.grid.lo + (k - w.grid.first) * w.grid.stride;
                        w.seen = w.hi = w.lo + n;
                        continue;
                }
                out[k] = shape_apply(&shape, r, v[w.lo], is_counter, per_s);
                info->n_out++;
        }
}

/* ---- sums of four windows side by side ---- */

/* The compensated sums of four windows of n samples each; sums that are not finite have to be taken again one by one.
 */
WITH_LANES static void kahan_lanes(const double *const v[LANES], size_t from, size_t n, Lanes *sum, Lanes *c)
{
        Lanes s = *sum, comp = *c;
        for (size_t i = from; i < n; i++) {
                Lanes x = {v[0][i], v[1][i], v[2][i], v[3][i]};
                Lanes t = s + x;
                Mask first = lanes_abs(s) >= lanes_abs(x);
                Lanes big = lanes_pick(first, s, x), small = lanes_pick(first, x, s);
                comp += (big - t) + small;
                s = t;
        }
        *sum = s;
        *c = comp;
}

/* sum_over_time, avg_over_time of windows at steps k … k + 3. */
WITH_LANES static void sum_lanes(bool avg, const double *const v[LANES], size_t n, double *out)
{
        Lanes sum = {0}, c = {0};
        if (avg)
                sum = (Lanes){v[0][0], v[1][0], v[2][0], v[3][0]};
        kahan_lanes(v, avg ? 1 : 0, n, &sum, &c);
        double count = (double)n;
        for (size_t i = 0; i < LANES; i++) {
                if (!isfinite(sum[i]))
                        out[i] = avg ? avg_of(v[i], n) : sum_of(v[i], n);
                else
                        out[i] = avg ? sum[i] / count + c[i] / count : sum[i] + c[i];
        }
}

static void sum_each(bool avg, const double *const *v, size_t n, size_t count, double *out)
{
        for (size_t i = 0; i < count; i++)
                out[i] = avg ? avg_of(v[i], n) : sum_of(v[i], n);
}

/* Are all integers, so that no sum of up to all of them is rounded? Then compensation stays zero, and totals[i] becomes the sum of the first
 * i. */
static bool exact_totals(const double *v, size_t n, int64_t *totals)
{
        const double round = 0x1.8p52; /* adding it leaves no room for a fraction below 2^51 */
        double most = 0;
        unsigned other = 0;
        for (size_t i = 0; i < n; i++) {
                double a = fabs(v[i]);
                other |= (unsigned)!(a < 0x1p51) | (unsigned)((v[i] + round) - round != v[i]);
                most = a > most ? a : most;
        }
        if (other || most * (double)n >= 0x1p53)
                return false;
        totals[0] = 0;
        for (size_t i = 0; i < n; i++)
                totals[i + 1] = totals[i] + (int64_t)v[i];
        return true;
}

static void plain_sum_row(const struct range_call *c, struct worker *wk, const struct samples *s, double *out, struct row_info *info)
{
        bool avg = c->func == FUNC_AVG_OVER_TIME, lanes = has_lanes();
        size_t n_wait = 0, wait_n = 0, n_steps = c->steps->n;
        const double *wait[LANES];
        int64_t *totals = (int64_t *)scratch_get(wk, s->n + 1);
        bool exact = exact_totals(s->v, s->n, totals);
        struct walk w = {.c = c, .s = s, .grid = window_grid_of(s, c->steps, c->offset_ms, c->range_ms + c->closed_ms)};
        for (size_t k = 0; k < n_steps; k++) {
                size_t n = walk_to(&w, k, info);
                info->n_out += n > 0;
                if (n_wait && (n != wait_n || n_wait == LANES)) {
                        if (n_wait == LANES && lanes)
                                sum_lanes(avg, wait, wait_n, &out[k - LANES]);
                        else
                                sum_each(avg, wait, wait_n, n_wait, &out[k - n_wait]);
                        n_wait = 0;
                }
                if (n && exact) {
                        double sum = (double)(totals[w.hi] - totals[w.lo]);
                        out[k] = avg ? sum / (double)n : sum;
                } else if (n) {
                        wait[n_wait++] = s->v + w.lo;
                        wait_n = n;
                } else {
                        out[k] = absent();
                }
        }
        if (n_wait)
                sum_each(avg, wait, wait_n, n_wait, &out[n_steps - n_wait]);
}

bool range_row_plain(const struct range_call *c, struct worker *w, const struct samples *s, double *out, struct row_info *info)
{
        switch (c->func) {
        case FUNC_RATE:
        case FUNC_INCREASE:
        case FUNC_DELTA:
                plain_rate_row(c, s, out, info);
                return true;
        case FUNC_SUM_OVER_TIME:
        case FUNC_AVG_OVER_TIME:
                plain_sum_row(c, w, s, out, info);
                return true;
        default:
                return false;
        }
}
