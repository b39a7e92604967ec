/* SPDX-License-Identifier: Apache-2.0 */
/* Functions of a range vector over one series that has native histograms, maybe beside floats. Each window is seen
 * three ways: all samples in order, the floats, the histograms. Nothing here is fast but for its arenas: what a row
 * computes on the way is dropped with it.  Upstream: histogramRate, extendedHistogramRate, instantValue, funcResets and
 * others in promql/functions.go */
#include <math.h>

#include "promql/start_time.h"

struct mixed_window {
        TimeMs from, to;
        const struct mixed *all; /* lo … hi */
        size_t lo, hi;
        struct window floats;
        const TimeMs *t; /* of histograms */
        const Histogram *h;
        const TimeMs *start; /* NULL: not looked at */
        size_t n;
};
struct outcome {
        double v; /* ABSENT: none, unless h */
        Histogram h;
};

static struct error *dup(struct arena *a, Histogram h, struct histogram **ret)
{
        return histogram_dup(a, h, ret);
}

/* *ret_ok false: they do not go together, and the note is made. */
static struct error *combine(struct arena *a, struct histogram *to, Histogram other, bool subtract, uint32_t *notes,
                             bool *ret_ok)
{
        struct histogram_notes n = {0};
        struct error *e = subtract ? histogram_sub(a, to, other, &n) : histogram_add(a, to, other, &n);
        *ret_ok = !e;
        if (e == &error_histograms_incompatible) {
                *notes |= NOTE_MIXED_SCHEMAS;
                return NULL;
        }
        if (!e && n.bounds_reconciled)
                *notes |= subtract ? NOTE_BOUNDS_SUB : NOTE_BOUNDS_ADD;
        return e;
}

/* Of histogram i of the window against the one before. */
static bool is_reset(const struct mixed_window *w, size_t i, Histogram prev)
{
        return (w->start && start_is_reset(w->start[i - 1], w->t[i - 1], w->start[i], w->t[i])) || histogram_is_reset(w->h[i], prev);
}

/* last - first, and what was lost by resets: *ret NULL: they do not go together. n > 1. */
static struct error *increase(struct arena *a, const struct mixed_window *w, bool is_counter, uint32_t *notes,
                              struct histogram **ret)
{
        const Histogram *h = w->h;
        size_t n = w->n;
        Histogram prev = h[0], last = h[n - 1];
        struct histogram nothing = {0};
        *ret = NULL;
        bool custom = histogram_is_custom(prev);
        if (is_counter && (prev->reset == COUNTER_RESET_GAUGE || last->reset == COUNTER_RESET_GAUGE))
                *notes |= NOTE_NOT_COUNTER;
        if (is_counter && is_reset(w, 1, prev)) { /* the first one's layout does not matter */
                nothing.schema = h[1]->schema;
                nothing.bounds = h[1]->bounds;
                nothing.n_bounds = h[1]->n_bounds;
                prev = &nothing;
                custom = histogram_is_custom(h[1]);
        }
        if (histogram_is_custom(last) != custom) {
                *notes |= NOTE_MIXED_SCHEMAS;
                return NULL;
        }
        int32_t schema = MIN(last->schema, prev->schema);
        for (size_t i = 1; i + 1 < n && is_counter; i++) {
                if (h[i]->reset == COUNTER_RESET_GAUGE)
                        *notes |= NOTE_NOT_COUNTER;
                schema = MIN(schema, h[i]->schema);
                if (histogram_is_custom(h[i]) != custom) {
                        *notes = NOTE_MIXED_SCHEMAS;
                        return NULL;
                }
        }
        struct histogram *r;
        bool ok = true;
        struct error *e = dup(a, last, &r);
        if (!e && schema != r->schema)
                e = histogram_reduce(a, r, schema);
        if (!e)
                e = combine(a, r, prev, true, notes, &ok);
        for (size_t i = 1; i < n && is_counter && ok && !e; i++) {
                if (is_reset(w, i, prev))
                        e = combine(a, r, prev, false, notes, &ok);
                prev = h[i];
        }
        if (e)
                return e;
        if (!ok) {
                *notes = NOTE_MIXED_SCHEMAS;
                return NULL;
        }
        if (!is_counter && (h[0]->reset != COUNTER_RESET_GAUGE || last->reset != COUNTER_RESET_GAUGE))
                *notes |= NOTE_NOT_GAUGE;
        r->reset = COUNTER_RESET_GAUGE;
        e = histogram_compact(a, r, 0);
        if (!e)
                *ret = r;
        return e;
}

static double extrapolation(const struct mixed_window *w, const struct histogram *r, bool is_counter, double per_s)
{
        TimeMs first = w->t[0], last = w->t[w->n - 1];
        double to_start = (double)(first - w->from) / 1000, to_end = (double)(w->to - last) / 1000;
        double sampled = (double)(last - first) / 1000, between = sampled / (double)(w->n - 1);
        double threshold = between * 1.1;
        if (to_start >= threshold)
                to_start = between / 2;
        if (is_counter && r->count > 0 && w->h[0]->count >= 0) {
                double to_zero = sampled * (w->h[0]->count / r->count);
                if (to_zero < to_start)
                        to_start = to_zero;
        }
        if (to_end >= threshold)
                to_end = between / 2;
        double factor = sampled != 0 ? (sampled + to_start + to_end) / sampled : 1;
        return factor / per_s;
}

struct error *histogram_interpolate(struct arena *a, TimeMs t1, Histogram h1, TimeMs t2, Histogram h2, TimeMs t,
                                    bool is_counter, uint32_t *notes, struct histogram **ret)
{
        struct histogram *r;
        bool ok = true;
        *ret = NULL;
        struct error *e = dup(a, t == t1 ? h1 : h2, &r);
        if (e)
                return e;
        if (t != t1 && t != t2) {
                double fraction = (double)(t - t1) / (double)(t2 - t1);
                bool from_zero = is_counter && histogram_is_reset(h2, h1);
                if (!from_zero)
                        e = combine(a, r, h1, true, notes, &ok);
                if (!e && ok)
                        histogram_mul(r, fraction);
                if (!e && ok && !from_zero)
                        e = combine(a, r, h1, false, notes, &ok);
        }
        if (!e && ok)
                *ret = r;
        return e;
}

/* What resets between the two ends lost, added to r. *ret_ok false: no result. */
static struct error *correct(struct arena *a, const struct mixed_window *w, size_t first, size_t last, Histogram left,
                             Histogram right, bool smoothed, struct histogram *r, uint32_t *notes, bool *ret_ok)
{
        size_t from = first + 1;
        Histogram prev = left;
        if (smoothed && w->t[first] < w->from && histogram_is_reset(w->h[first + 1], w->h[first])) {
                prev = w->h[first + 1]; /* the value at the left end has this one in it */
                from++;
        }
        *ret_ok = true;
        if (from > last)
                return NULL;
        struct histogram *lost = NULL;
        struct error *e = NULL;
        for (size_t i = from; i <= last && !e && *ret_ok; i++) {
                Histogram cur = i < last ? w->h[i] : right;
                if (histogram_is_reset(cur, prev))
                        e = lost ? combine(a, lost, prev, false, notes, ret_ok) : dup(a, prev, &lost);
                prev = cur;
        }
        if (!e && *ret_ok && lost)
                e = combine(a, r, lost, false, notes, ret_ok);
        return e;
}

/* anchored, smoothed. */
static struct error *extended(const struct range_call *c, struct arena *a, const struct mixed_window *w,
                              bool is_counter, bool is_rate, uint32_t *notes, struct outcome *out)
{
        bool smoothed = c->modifier == SELECTOR_SMOOTHED, ok;
        size_t last = w->n - 1, first = first_after(w->t, last, w->from);
        first = first ? first - 1 : 0;
        if (smoothed)
                last = first_after(w->t, last, w->to - 1);
        if (w->t[last] <= w->from || (smoothed && w->t[first] > w->to))
                return NULL;
        for (size_t i = first; i <= last; i++) {
                if (histogram_is_custom(w->h[i]) != histogram_is_custom(w->h[first])) {
                        *notes |= NOTE_MIXED_SCHEMAS;
                        return NULL;
                }
                if (is_counter && w->h[i]->reset == COUNTER_RESET_GAUGE)
                        *notes |= NOTE_NOT_COUNTER;
        }
        struct histogram *left, *right, *r;
        struct error *e = smoothed && w->t[first] < w->from
                                  ? histogram_interpolate(a, w->t[first], w->h[first], w->t[first + 1], w->h[first + 1],
                                                          w->from, is_counter, notes, &left)
                                  : dup(a, w->h[first], &left);
        if (e || !left)
                return e;
        e = smoothed && last > 0 && w->t[last] > w->to
                    ? histogram_interpolate(a, w->t[last - 1], w->h[last - 1], w->t[last], w->h[last], w->to,
                                            is_counter, notes, &right)
                    : dup(a, w->h[last], &right);
        if (e || !right)
                return e;
        if (!is_counter && (left->reset != COUNTER_RESET_GAUGE || right->reset != COUNTER_RESET_GAUGE))
                *notes |= NOTE_NOT_GAUGE;
        e = dup(a, right, &r);
        if (!e)
                e = combine(a, r, left, true, notes, &ok);
        if (!e && ok && is_counter)
                e = correct(a, w, first, last, left, right, smoothed, r, notes, &ok);
        if (e || !ok)
                return e;
        if (is_rate)
                histogram_div(r, seconds_of(c->range_ms));
        r->reset = COUNTER_RESET_GAUGE;
        out->h = r;
        return histogram_compact(a, r, 0);
}

/* The first of them began inside the window: at zero. r: the increase from it on, NULL if it is the only one. */
static struct error *rate_from_start(struct arena *a, const struct mixed_window *w, struct histogram *r, double per_s, uint32_t *notes,
                                     struct outcome *out)
{
        bool ok = true;
        struct error *e = r ? combine(a, r, w->h[0], false, notes, &ok) : dup(a, w->h[0], &r);
        if (e || !ok)
                return e;
        histogram_mul(r, start_factor(&(struct window){.t = w->t, .start = w->start, .n = w->n, .to = w->to}, per_s));
        out->h = r;
        return NULL;
}

static bool any_overlap(const struct mixed_window *w)
{
        bool any = false;
        for (size_t i = 1; w->start && i < w->n; i++)
                any |= start_overlaps(w->start[i - 1], w->t[i - 1], w->start[i]);
        return any;
}

static struct error *rate(const struct range_call *c, struct arena *a, const struct mixed_window *w, struct row_info *info,
                          struct outcome *out)
{
        uint32_t *notes = &info->notes;
        bool is_counter = c->func != FUNC_DELTA, is_rate = c->func == FUNC_RATE;
        if (w->floats.n > 0) {
                *notes |= NOTE_MIXED_FLOATS;
                return NULL;
        }
        if (c->modifier != SELECTOR_PLAIN)
                return extended(c, a, w, is_counter, is_rate, notes, out);
        bool inside = is_counter && w->start && start_is_inside(w->start[0], w->from, w->t[0]);
        if (w->n < 2 && !inside)
                return NULL;
        struct histogram *r = NULL;
        struct error *e = w->n < 2 ? NULL : increase(a, w, is_counter, notes, &r);
        if (e || (!r && w->n > 1))
                return e;
        info->overlaps += any_overlap(w);
        double per_s = is_rate ? seconds_of(c->range_ms) : 1;
        if (inside)
                return rate_from_start(a, w, r, per_s, notes, out);
        histogram_mul(r, extrapolation(w, r, is_counter, per_s));
        out->h = r;
        return NULL;
}

static bool is_start_reset(const struct mixed *s, size_t i)
{
        return s->start && start_is_reset(s->start[i - 1], s->t[i - 1], s->start[i], s->t[i]);
}

static struct error *instant(struct arena *a, const struct range_call *c, const struct mixed_window *w, uint32_t *notes,
                             struct outcome *out)
{
        bool is_rate = c->func == FUNC_IRATE;
        if (w->hi - w->lo < 2)
                return NULL;
        size_t i = w->hi - 2, k = w->hi - 1;
        double seconds = (double)(w->all->t[k] - w->all->t[i]) / 1000;
        Histogram prev = w->all->h[i], last = w->all->h[k];
        bool by_start = is_rate && is_start_reset(w->all, k);
        if (!prev && !last) {
                double x = w->all->v[i], y = w->all->v[k];
                double r = !is_rate || !(y < x || by_start) ? y - x : y;
                out->v = is_rate ? r / seconds : r;
                return NULL;
        }
        if (!prev || !last) {
                *notes |= NOTE_MIXED_FLOATS;
                return NULL;
        }
        bool both_gauge = prev->reset == COUNTER_RESET_GAUGE && last->reset == COUNTER_RESET_GAUGE;
        bool one_gauge = prev->reset == COUNTER_RESET_GAUGE || last->reset == COUNTER_RESET_GAUGE;
        if (is_rate && one_gauge)
                *notes |= NOTE_NOT_COUNTER;
        if (!is_rate && !both_gauge)
                *notes |= NOTE_NOT_GAUGE;
        struct histogram *r;
        bool ok = true;
        struct error *e = dup(a, last, &r);
        if (!e && (!is_rate || !(by_start || histogram_is_reset(last, prev))))
                e = combine(a, r, prev, true, notes, &ok);
        if (e || !ok)
                return e;
        r->reset = COUNTER_RESET_GAUGE;
        e = histogram_compact(a, r, 0);
        if (is_rate)
                histogram_div(r, seconds);
        out->h = r;
        return e;
}

static double changes(const struct range_call *c, const struct mixed_window *w)
{
        size_t first = w->lo, n = 0;
        const struct mixed *s = w->all;
        if (c->modifier == SELECTOR_ANCHORED) {
                size_t after = w->lo + first_after(s->t + w->lo, w->hi - w->lo, w->from);
                if (after == w->hi)
                        return absent();
                first = after > w->lo ? after - 1 : w->lo;
        }
        for (size_t i = first + 1; i < w->hi; i++) {
                Histogram prev = s->h[i - 1], cur = s->h[i];
                double x = s->v[i - 1], y = s->v[i];
                if (!prev != !cur)
                        n++;
                else if (!prev)
                        n += c->func == FUNC_RESETS ? y < x || is_start_reset(s, i) : y != x && !(isnan(x) && isnan(y));
                else
                        n += c->func == FUNC_RESETS ? is_start_reset(s, i) || histogram_is_reset(cur, prev) : !histogram_eq(cur, prev);
        }
        return (double)n;
}

static struct error *sum(struct arena *a, bool is_avg, const struct mixed_window *w, uint32_t *notes,
                         struct outcome *out)
{
        if (w->floats.n > 0) {
                *notes |= NOTE_MIXED_FLOATS;
                return NULL;
        }
        struct histogram_sum s = {0};
        struct histogram *r = NULL;
        struct error *e = NULL;
        for (size_t i = 0; i < w->n && !e; i++)
                e = histogram_sum_add(a, &s, w->h[i], is_avg, notes);
        if (!e)
                e = histogram_sum_finish(a, &s, is_avg, notes, &r);
        if (e == &error_histograms_incompatible) {
                *notes = NOTE_MIXED_SCHEMAS;
                return NULL;
        }
        out->h = r;
        return e;
}

/* The window has a histogram. */
static struct error *call_mixed(const struct range_call *c, struct worker *wk, const struct mixed_window *w,
                                struct row_info *info, struct outcome *out)
{
        uint32_t *notes = &info->notes;
        const struct mixed *s = w->all;
        size_t one = c->func == FUNC_FIRST_OVER_TIME || c->func == FUNC_TS_OF_FIRST_OVER_TIME ? w->lo : w->hi - 1;
        switch (c->func) {
        case FUNC_RATE:
        case FUNC_INCREASE:
        case FUNC_DELTA:
                return rate(c, &wk->decoded, w, info, out);
        case FUNC_IRATE:
        case FUNC_IDELTA:
                return instant(&wk->decoded, c, w, notes, out);
        case FUNC_RESETS:
        case FUNC_CHANGES:
                out->v = changes(c, w);
                return NULL;
        case FUNC_SUM_OVER_TIME:
        case FUNC_AVG_OVER_TIME:
                return sum(&wk->decoded, c->func == FUNC_AVG_OVER_TIME, w, notes, out);
        case FUNC_COUNT_OVER_TIME:
                out->v = (double)(w->hi - w->lo);
                return NULL;
        case FUNC_FIRST_OVER_TIME:
        case FUNC_LAST_OVER_TIME:
                if (s->h[one])
                        out->h = s->h[one];
                else
                        out->v = s->v[one];
                return NULL;
        case FUNC_TS_OF_FIRST_OVER_TIME:
        case FUNC_TS_OF_LAST_OVER_TIME:
                out->v = (double)s->t[one] / 1000;
                return NULL;
        case FUNC_PRESENT_OVER_TIME:
        case FUNC_ABSENT_OVER_TIME:
                out->v = 1;
                return NULL;
        default: /* of floats only */
                if (w->floats.n == 0)
                        return NULL;
                *notes |= NOTE_IGNORED_IN_RANGE;
                out->v = range_window(c, wk, &w->floats);
                return NULL;
        }
}

/* The series split by kind. */
struct split {
        TimeMs *ft, *ht;
        double *fv;
        Histogram *h;
        TimeMs *fstart, *hstart; /* NULL: no start times */
        size_t nf, nh;
};

static struct error *split(struct arena *a, const struct mixed *s, struct split *ret)
{
        size_t n = s->n ? s->n : 1;
        struct split p = {.ft = arena_try_alloc(a, arena_array_bytes(n, sizeof *p.ft)),
                          .ht = arena_try_alloc(a, arena_array_bytes(n, sizeof *p.ht)),
                          .fv = arena_try_alloc(a, arena_array_bytes(n, sizeof *p.fv)),
                          .h = arena_try_alloc(a, arena_array_bytes(n, sizeof(Histogram)))};
        if (s->start) {
                p.fstart = arena_try_alloc(a, arena_array_bytes(n, sizeof *p.fstart));
                p.hstart = arena_try_alloc(a, arena_array_bytes(n, sizeof *p.hstart));
        }
        if (!p.ft || !p.ht || !p.fv || !p.h || (s->start && (!p.fstart || !p.hstart)))
                return error_new(ERROR_LIMIT, "query needs more than the %zu bytes of memory that one query may use",
                                 a->limit_bytes);
        for (size_t i = 0; i < s->n; i++) {
                if (s->start)
                        *(s->h[i] ? &p.hstart[p.nh] : &p.fstart[p.nf]) = s->start[i];
                if (s->h[i]) {
                        p.ht[p.nh] = s->t[i];
                        p.h[p.nh++] = s->h[i];
                } else {
                        p.ft[p.nf] = s->t[i];
                        p.fv[p.nf++] = s->v[i];
                }
        }
        *ret = p;
        return NULL;
}

static void slide(const TimeMs *t, size_t n, TimeMs from, TimeMs to, size_t *lo, size_t *hi)
{
        while (*hi < n && t[*hi] <= to)
                ++*hi;
        while (*lo < *hi && t[*lo] <= from)
                ++*lo;
}

static size_t window_samples(const struct mixed_window *w, const size_t *sizes)
{
        size_t n = w->floats.n;
        for (size_t i = 0; i < w->n; i++)
                n += sizes[i];
        return n;
}

struct error *range_row_mixed(const struct range_call *c, struct worker *wk, const struct mixed *s, double *out,
                              Histogram *h, struct row_info *info)
{
        struct split p = {0};
        struct error *e = split(&wk->decoded, s, &p);
        if (e)
                return e;
        size_t *sizes = arena_try_alloc(&wk->decoded, arena_array_bytes(p.nh + 1, sizeof *sizes));
        if (!sizes)
                return error_new(ERROR_LIMIT, "query needs more than the %zu bytes of memory that one query may use",
                                 wk->decoded.limit_bytes);
        for (size_t i = 0; i < p.nh; i++)
                sizes[i] = histogram_samples(p.h[i]);
        int64_t before = c->modifier == SELECTOR_PLAIN ? c->closed_ms : c->lookback_ms;
        int64_t behind = c->modifier == SELECTOR_SMOOTHED ? c->lookback_ms : 0;
        size_t lo = 0, hi = 0, flo = 0, fhi = 0, hlo = 0, hhi = 0, fseen = 0, hseen = 0;
        for (size_t k = 0; k < c->steps->n && !e; k++) {
                TimeMs at = c->has_at ? c->at_ms : step_time(c->steps, k), to = at - c->offset_ms,
                       from = to - c->range_ms;
                if (from - before < to + behind) {
                        slide(s->t, s->n, from - before, to + behind, &lo, &hi);
                        slide(p.ft, p.nf, from - before, to + behind, &flo, &fhi);
                        slide(p.ht, p.nh, from - before, to + behind, &hlo, &hhi);
                }
                struct mixed_window w = {.from = from,
                                         .to = to,
                                         .all = s,
                                         .lo = lo,
                                         .hi = hi,
                                         .t = p.ht + hlo,
                                         .h = p.h + hlo,
                                         .start = p.hstart ? p.hstart + hlo : NULL,
                                         .n = hhi - hlo,
                                         .floats = {.t = p.ft + flo,
                                                    .v = p.fv + flo,
                                                    .start = p.fstart ? p.fstart + flo : NULL,
                                                    .n = fhi - flo,
                                                    .from = from,
                                                    .to = to,
                                                    .eval_t = step_time(c->steps, k),
                                                    .step = k}};
                size_t total = window_samples(&w, sizes + hlo), fresh = fhi - MAX(flo, fseen);
                for (size_t i = MAX(hlo, hseen); i < hhi; i++)
                        fresh += sizes[i];
                fseen = fhi;
                hseen = hhi;
                info->total += total;
                info->read += fresh;
                info->win_max = MAX(info->win_max, total);
                info->win_last = total;
                if (wk->total_per_step) {
                        wk->total_per_step[k] += total;
                        wk->read_per_step[k] += fresh;
                        wk->no_floats_per_step[k] += w.floats.n ? 0 : total;
                }
                struct outcome o = {.v = absent()};
                if (w.n > 0)
                        e = call_mixed(c, wk, &w, info, &o);
                else if (w.floats.n > 0)
                        o.v = s->start ? start_window(c, wk, &w.floats, info) : range_window(c, wk, &w.floats);
                if (!e && o.h)
                        e = histogram_keep(wk->out, o.h, &h[k]);
                out[k] = !e && o.h ? 0 : o.v;
                info->n_out += !e && o.h ? histogram_samples(o.h) : !is_absent(out[k]);
                info->has_floats |= !o.h && !is_absent(out[k]);
        }
        return e;
}
