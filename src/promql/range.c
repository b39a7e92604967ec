/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of a range vector over one series: the window slides over the columns in one pass. Windows are left-open,
 * (ref - range, ref]. Every sum is taken in upstream's order over each window, so that results are equal to the bit.
 * Upstream: promql/functions.go */
#include <math.h>

#include "promql/eval.h"
#include "promql/kahan.h"
#include "promql/quantile.h"

enum { POLL_SAMPLES = 1 << 17 };

bool is_range_func(enum function_id f)
{
        switch (f) {
        case FUNC_RATE:
        case FUNC_INCREASE:
        case FUNC_DELTA:
        case FUNC_IRATE:
        case FUNC_IDELTA:
        case FUNC_RESETS:
        case FUNC_CHANGES:
        case FUNC_SUM_OVER_TIME:
        case FUNC_AVG_OVER_TIME:
        case FUNC_MIN_OVER_TIME:
        case FUNC_MAX_OVER_TIME:
        case FUNC_COUNT_OVER_TIME:
        case FUNC_LAST_OVER_TIME:
        case FUNC_FIRST_OVER_TIME:
        case FUNC_PRESENT_OVER_TIME:
        case FUNC_ABSENT_OVER_TIME:
        case FUNC_QUANTILE_OVER_TIME:
        case FUNC_STDDEV_OVER_TIME:
        case FUNC_STDVAR_OVER_TIME:
        case FUNC_MAD_OVER_TIME:
        case FUNC_TS_OF_FIRST_OVER_TIME:
        case FUNC_TS_OF_LAST_OVER_TIME:
        case FUNC_TS_OF_MAX_OVER_TIME:
        case FUNC_TS_OF_MIN_OVER_TIME:
        case FUNC_DERIV:
        case FUNC_PREDICT_LINEAR:
        case FUNC_DOUBLE_EXPONENTIAL_SMOOTHING:
                return true;
        default:
                return false;
        }
}

/* sum of what the counter lost by resets inside the window, added to result in order */
double add_resets(double result, const double *v, size_t n)
{
        for (size_t i = 1; i < n; i++)
                if (v[i] < v[i - 1])
                        result += v[i - 1];
        return result;
}

double range_extrapolate(const struct window *w, double result, bool is_counter, double per_s)
{
        TimeMs first = w->t[0], last = w->t[w->n - 1];
        double to_start = (double)(first - w->from) / 1000;
        double to_end = (double)(w->to - last) / 1000;
        double sampled = (double)(last - first) / 1000;
        double between = sampled / (double)(w->n - 1);
        double threshold = between * 1.1;
        if (to_start >= threshold)
                to_start = between / 2;
        if (is_counter) {
                double to_zero = to_start;
                if (result > 0 && w->v[0] >= 0)
                        to_zero = sampled * (w->v[0] / result);
                if (to_zero < to_start)
                        to_start = to_zero;
        }
        if (to_end >= threshold)
                to_end = between / 2;
        double factor = 1.0;
        if (sampled != 0)
                factor = (sampled + to_start + to_end) / sampled;
        factor /= per_s;
        return result * factor;
}

/* Go's Duration.Seconds. */
double seconds_of(int64_t ms)
{
        return (double)(ms / 1000) + (double)(ms % 1000 * 1000000) / 1e9;
}

static double interpolate(const struct window *w, size_t i, TimeMs t, bool is_counter)
{
        double y1 = w->v[i], y2 = w->v[i + 1];
        if (is_counter && y2 < y1)
                y1 = 0;
        return y1 + (y2 - y1) * (double)(t - w->t[i]) / (double)(w->t[i + 1] - w->t[i]);
}

/* First i in [0, n) with t[i] > x, or n. */
size_t first_after(const TimeMs *t, size_t n, TimeMs x)
{
        size_t lo = 0;
        while (lo < n) {
                size_t mid = lo + (n - lo) / 2;
                if (t[mid] > x)
                        n = mid;
                else
                        lo = mid + 1;
        }
        return lo;
}

/* anchored, smoothed: the window reaches lookback further; no extrapolation. */
static double extended_rate(const struct range_call *c, const struct window *w, bool is_counter, bool is_rate)
{
        bool smoothed = c->modifier == SELECTOR_SMOOTHED;
        size_t last = w->n - 1;
        size_t first = first_after(w->t, last, w->from);
        first = first ? first - 1 : 0;
        if (smoothed)
                last = first_after(w->t, last, w->to - 1);
        if (w->t[last] <= w->from || (smoothed && w->t[first] > w->to))
                return absent();
        double left = smoothed && w->t[first] < w->from ? interpolate(w, first, w->from, is_counter) : w->v[first];
        double right =
                smoothed && last > 0 && w->t[last] > w->to ? interpolate(w, last - 1, w->to, is_counter) : w->v[last];
        double result = right - left;
        if (is_counter) {
                size_t from = first + (w->t[first] <= w->from), to = last + (w->t[last] < w->to);
                double correction = 0, prev = left;
                for (size_t i = from; i < to; i++) {
                        if (w->v[i] < prev)
                                correction += prev;
                        prev = w->v[i];
                }
                if (right < prev)
                        correction += prev;
                result += correction;
        }
        return is_rate ? result / seconds_of(c->range_ms) : result;
}

static double instant_value(const struct window *w, bool is_rate)
{
        if (w->n < 2)
                return absent();
        double last = w->v[w->n - 1], prev = w->v[w->n - 2];
        int64_t ms = w->t[w->n - 1] - w->t[w->n - 2];
        double r = !is_rate || !(last < prev) ? last - prev : last;
        return is_rate ? r / ((double)ms / 1000) : r;
}

double sum_of(const double *v, size_t n)
{
        double sum = 0, c = 0;
        for (size_t i = 0; i < n; i++)
                kahan_inc(v[i], &sum, &c);
        return isinf(sum) ? sum : sum + c;
}

double avg_of(const double *v, size_t n)
{
        double sum = v[0], count = 1, mean = 0, c = 0;
        bool incremental = false;
        for (size_t i = 1; i < n; i++) {
                count = (double)(i + 1);
                if (!incremental) {
                        double new_sum = sum, new_c = c;
                        kahan_inc(v[i], &new_sum, &new_c);
                        if (!isinf(new_sum)) {
                                sum = new_sum;
                                c = new_c;
                                continue;
                        }
                        incremental = true;
                        mean = sum / (count - 1);
                        c /= count - 1;
                }
                double q = (count - 1) / count;
                mean *= q;
                c *= q;
                kahan_inc(v[i] / count, &mean, &c);
        }
        return incremental ? mean + c : sum / count + c / count;
}

static double variance_of(const double *v, size_t n)
{
        double count = 0, mean = 0, c_mean = 0, aux = 0, c_aux = 0;
        for (size_t i = 0; i < n; i++) {
                count++;
                double delta = v[i] - (mean + c_mean);
                kahan_inc(delta / count, &mean, &c_mean);
                kahan_inc(delta * (v[i] - (mean + c_mean)), &aux, &c_aux);
        }
        return (aux + c_aux) / count;
}

static void linear_regression(const struct window *w, TimeMs intercept_t, double *ret_slope, double *ret_intercept)
{
        double n = 0, sx = 0, cx = 0, sy = 0, cy = 0, sxy = 0, cxy = 0, sx2 = 0, cx2 = 0, first = w->v[0];
        bool constant = true;
        for (size_t i = 0; i < w->n; i++) {
                double y = w->v[i];
                if (constant && i > 0 && y != first)
                        constant = false;
                n += 1;
                double x = (double)(w->t[i] - intercept_t) / 1e3;
                kahan_inc(x, &sx, &cx);
                kahan_inc(y, &sy, &cy);
                kahan_inc(x * y, &sxy, &cxy);
                kahan_inc(x * x, &sx2, &cx2);
        }
        if (constant) {
                *ret_slope = isinf(first) ? go_nan() : 0;
                *ret_intercept = isinf(first) ? go_nan() : first;
                return;
        }
        sx += cx;
        sy += cy;
        sxy += cxy;
        sx2 += cx2;
        double cov = sxy - sx * sy / n, var = sx2 - sx * sx / n;
        *ret_slope = cov / var;
        *ret_intercept = sy / n - *ret_slope * sx / n;
}

static double smoothing(const struct window *w, double sf, double tf)
{
        if (w->n < 2)
                return absent();
        double s0 = 0, s1 = w->v[0], b = w->v[1] - w->v[0];
        for (size_t i = 1; i < w->n; i++) {
                double x = sf * w->v[i];
                if (i > 1) {
                        double trend = tf * (s1 - s0);
                        double rest = (1 - tf) * b;
                        b = trend + rest;
                }
                double y = (1 - sf) * (s1 + b);
                s0 = s1;
                s1 = x + y;
        }
        return s1;
}

static double mad_of(struct worker *w, const double *v, size_t n)
{
        double *copy = scratch_get(w, n);
        for (size_t i = 0; i < n; i++) {
                if (isnan(v[i]))
                        return go_nan();
                copy[i] = v[i];
        }
        double median = quantile_of(0.5, copy, n);
        for (size_t i = 0; i < n; i++)
                copy[i] = fabs(copy[i] - median);
        return quantile_of(0.5, copy, n);
}

/* Where an anchored window begins: at the last sample at or before its start. n: nothing after the start. */
static size_t anchor(const struct range_call *c, const struct window *w)
{
        if (c->modifier != SELECTOR_ANCHORED)
                return 0;
        size_t after = first_after(w->t, w->n, w->from);
        return after == w->n ? w->n : after ? after - 1 : 0;
}

static double count_changes(const struct range_call *c, const struct window *w)
{
        size_t first = anchor(c, w), k = 0;
        if (first == w->n)
                return absent();
        for (size_t i = first + 1; i < w->n; i++) {
                double prev = w->v[i - 1], cur = w->v[i];
                k += c->func == FUNC_RESETS ? cur < prev : cur != prev && !(isnan(cur) && isnan(prev));
        }
        return (double)k;
}

static double extreme(const struct window *w, enum function_id f)
{
        double best = w->v[0];
        TimeMs at = w->t[0];
        for (size_t i = 0; i < w->n; i++) {
                double v = w->v[i];
                bool better = f == FUNC_MAX_OVER_TIME         ? v > best
                              : f == FUNC_MIN_OVER_TIME       ? v < best
                              : f == FUNC_TS_OF_MAX_OVER_TIME ? v >= best
                                                              : v <= best;
                if (better || isnan(best)) {
                        best = v;
                        at = w->t[i];
                }
        }
        return f == FUNC_MAX_OVER_TIME || f == FUNC_MIN_OVER_TIME ? best : (double)at / 1000;
}

static double call_one(const struct range_call *c, struct worker *wk, const struct window *w)
{
        switch (c->func) {
        case FUNC_RATE:
        case FUNC_INCREASE:
        case FUNC_DELTA: {
                bool is_counter = c->func != FUNC_DELTA, is_rate = c->func == FUNC_RATE;
                if (c->modifier != SELECTOR_PLAIN)
                        return extended_rate(c, w, is_counter, is_rate);
                if (w->n < 2)
                        return absent();
                double r = w->v[w->n - 1] - w->v[0];
                if (is_counter)
                        r = add_resets(r, w->v, w->n);
                return range_extrapolate(w, r, is_counter, is_rate ? seconds_of(c->range_ms) : 1.0);
        }
        case FUNC_IRATE:
                return instant_value(w, true);
        case FUNC_IDELTA:
                return instant_value(w, false);
        case FUNC_RESETS:
        case FUNC_CHANGES:
                return count_changes(c, w);
        case FUNC_SUM_OVER_TIME:
                return sum_of(w->v, w->n);
        case FUNC_AVG_OVER_TIME:
                return avg_of(w->v, w->n);
        case FUNC_COUNT_OVER_TIME:
                return (double)w->n;
        case FUNC_LAST_OVER_TIME:
                return w->v[w->n - 1];
        case FUNC_FIRST_OVER_TIME:
                return w->v[0];
        case FUNC_PRESENT_OVER_TIME:
        case FUNC_ABSENT_OVER_TIME:
                return 1;
        case FUNC_STDVAR_OVER_TIME:
                return variance_of(w->v, w->n);
        case FUNC_STDDEV_OVER_TIME:
                return sqrt(variance_of(w->v, w->n));
        case FUNC_MAD_OVER_TIME:
                return mad_of(wk, w->v, w->n);
        case FUNC_MIN_OVER_TIME:
        case FUNC_MAX_OVER_TIME:
        case FUNC_TS_OF_MIN_OVER_TIME:
        case FUNC_TS_OF_MAX_OVER_TIME:
                return extreme(w, c->func);
        case FUNC_TS_OF_FIRST_OVER_TIME:
                return (double)w->t[0] / 1000;
        case FUNC_TS_OF_LAST_OVER_TIME:
                return (double)w->t[w->n - 1] / 1000;
        case FUNC_QUANTILE_OVER_TIME: {
                double *copy = scratch_get(wk, w->n);
                memcpy(copy, w->v, w->n * sizeof *copy);
                return quantile_of(c->p1[w->step], copy, w->n);
        }
        case FUNC_DERIV:
        case FUNC_PREDICT_LINEAR: {
                if (w->n < 2)
                        return absent();
                double slope, intercept;
                linear_regression(w, c->func == FUNC_DERIV ? w->t[0] : w->eval_t, &slope, &intercept);
                if (c->func == FUNC_DERIV)
                        return slope;
                double rise = slope * c->p1[w->step];
                return rise + intercept;
        }
        case FUNC_DOUBLE_EXPONENTIAL_SMOOTHING:
                return smoothing(w, c->p1[w->step], c->p2[w->step]);
        default:
                bug("function %d of a range", (int)c->func);
        }
}

double range_window(const struct range_call *c, struct worker *wk, const struct window *w)
{
        return call_one(c, wk, w);
}

void range_row(const struct range_call *c, struct worker *wk, const struct samples *s, double *out,
               struct row_info *info)
{
        bool plain = c->modifier == SELECTOR_PLAIN;
        bool per_step = wk->total_per_step != NULL;
        if (plain && !c->has_at && !per_step && range_row_plain(c, wk, s, out, info))
                return;
        int64_t before = plain ? c->closed_ms : c->lookback_ms, behind = c->modifier == SELECTOR_SMOOTHED ? c->lookback_ms : 0;
        size_t lo = 0, hi = 0, seen = 0, work = 0;
        for (size_t k = 0; k < c->steps->n; k++) {
                TimeMs at = c->has_at ? c->at_ms : step_time(c->steps, k);
                struct window w = {.to = at - c->offset_ms, .eval_t = step_time(c->steps, k), .step = k};
                w.from = w.to - c->range_ms;
                if (w.from - before < w.to + behind) {
                        while (hi < s->n && s->t[hi] <= w.to + behind)
                                hi++;
                        while (lo < hi && s->t[lo] <= w.from - before)
                                lo++;
                }
                w.n = hi - lo;
                w.t = s->t + lo;
                w.v = s->v + lo;
                size_t fresh = hi - MAX(lo, seen);
                seen = hi;
                info->total += w.n;
                info->read += fresh;
                info->win_max = MAX(info->win_max, w.n);
                info->win_last = w.n;
                if (per_step) {
                        wk->total_per_step[k] += w.n;
                        wk->read_per_step[k] += fresh;
                }
                work += w.n;
                if (UNLIKELY(work > POLL_SAMPLES)) {
                        if (wk->q && exec_is_over(wk->q))
                                return; /* the column is not looked at */
                        work = 0;
                }
                out[k] = w.n ? call_one(c, wk, &w) : absent();
                info->n_out += !is_absent(out[k]);
        }
}
