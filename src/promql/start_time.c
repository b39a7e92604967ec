/* SPDX-License-Identifier: Apache-2.0 */
/* Start times of samples: a counter that began anew after the sample before was reset, whatever its value says; and where the first sample of a
 * window began inside of it, it began at zero, which is better than extrapolation.
 * Upstream: isStartTimestampReset, checkStartTimeOverlap and extrapolatedRate in promql/functions.go */
#include "promql/start_time.h"

bool start_is_reset(TimeMs prev_start, TimeMs prev_t, TimeMs start, TimeMs t)
{
        if (start == 0 || start >= t || start < prev_t)
                return false;
        if (start > prev_t)
                return true;
        /* At the sample before: of deltas each is a reset; of a sum whose start is not known the second sample says the same. */
        return prev_start <= prev_t && prev_start != 0 && prev_start != prev_t;
}

bool start_overlaps(TimeMs prev_start, TimeMs prev_t, TimeMs start)
{
        return start != 0 && start < prev_t && start != prev_start;
}

bool start_is_inside(TimeMs start, TimeMs from, TimeMs first)
{
        return start != 0 && start > from && start < first;
}

double start_factor(const struct window *w, double per_s)
{
        double sampled = (double)(w->t[w->n - 1] - w->start[0]) / 1000, to_end = (double)(w->to - w->t[w->n - 1]) / 1000;
        double between = w->n > 1 ? (double)(w->t[w->n - 1] - w->t[0]) / 1000 / (double)(w->n - 1) : 0;
        if (to_end >= between * 1.1)
                to_end = between / 2;
        double factor = sampled != 0 ? (sampled + 0 + to_end) / sampled : 1;
        return factor / per_s;
}

static double rate(const struct range_call *c, struct worker *wk, const struct window *w, struct row_info *info)
{
        double per_s = c->func == FUNC_RATE ? seconds_of(c->range_ms) : 1;
        bool inside = start_is_inside(w->start[0], w->from, w->t[0]), overlaps = false, resets = false;
        double r = w->v[w->n - 1] - w->v[0];
        for (size_t i = 1; i < w->n; i++) {
                overlaps |= start_overlaps(w->start[i - 1], w->t[i - 1], w->start[i]);
                bool by_start = start_is_reset(w->start[i - 1], w->t[i - 1], w->start[i], w->t[i]);
                resets |= by_start;
                if (w->v[i] < w->v[i - 1] || by_start)
                        r += w->v[i - 1];
        }
        info->overlaps += overlaps;
        if (inside)
                return (r + w->v[0]) * start_factor(w, per_s);
        if (!resets)
                return range_window(c, wk, w);
        return range_extrapolate(w, r, /* is_counter= */ true, per_s);
}

double start_window(const struct range_call *c, struct worker *wk, const struct window *w, struct row_info *info)
{
        size_t first = 0, n = 0;
        if (c->func == FUNC_RESETS) {
                if (c->modifier == SELECTOR_ANCHORED) {
                        size_t after = first_after(w->t, w->n, w->from);
                        if (after == w->n)
                                return absent();
                        first = after ? after - 1 : 0;
                }
                for (size_t i = first + 1; i < w->n; i++)
                        n += w->v[i] < w->v[i - 1] || start_is_reset(w->start[i - 1], w->t[i - 1], w->start[i], w->t[i]);
                return (double)n;
        }
        if (c->modifier != SELECTOR_PLAIN)
                return range_window(c, wk, w);
        if (c->func == FUNC_IRATE && w->n > 1) {
                size_t i = w->n - 1;
                if (start_is_reset(w->start[i - 1], w->t[i - 1], w->start[i], w->t[i]))
                        return w->v[i] / ((double)(w->t[i] - w->t[i - 1]) / 1000);
        }
        return c->func == FUNC_IRATE ? range_window(c, wk, w) : rate(c, wk, w, info);
}
