/* SPDX-License-Identifier: Apache-2.0 */
/* Selectors that give more than the newest sample: smoothed ones, which interpolate, and a range vector as the result
 * of an instant query. Upstream: smoothSeries, matrixSelector, extendFloats in promql/engine.go */
#include "promql/eval.h"

static size_t lower(const struct samples *s, size_t from, TimeMs t)
{
        while (from < s->n && s->t[from] < t)
                from++;
        return from;
}

static double between(const struct samples *s, size_t i, TimeMs t)
{
        double y1 = s->v[i - 1], y2 = s->v[i];
        return y1 + (y2 - y1) * (double)(t - s->t[i - 1]) / (double)(s->t[i] - s->t[i - 1]);
}

/* The same for a series with histograms; *ret_samples as the limit counts. */
static struct error *smooth_mixed(struct exec *q, const struct steps *st, const struct node *n, const struct mixed *s,
                                  double *out, Histogram *h, uint32_t *notes)
{
        struct arena *a = &q->workers[0].keep;
        size_t lo = 0, hi = 0;
        for (size_t k = 0; k < st->n; k++) {
                TimeMs t = (n->has_at ? n->at_ms : step_time(st, k)) - n->offset_ms;
                while (hi < s->n && s->t[hi] <= t + q->lookback_ms)
                        hi++;
                while (lo < hi && s->t[lo] <= t - q->lookback_ms)
                        lo++;
                out[k] = absent();
                size_t n_h = 0, i = lo;
                for (size_t j = lo; j < hi; j++) {
                        n_h += s->h[j] != NULL;
                        i += s->t[j] < t;
                }
                if (n_h > 0 && n_h < hi - lo) {
                        *notes |= NOTE_MIXED_FLOATS;
                        continue;
                }
                if (n_h == 0) {
                        struct samples floats = {s->t, s->v, hi, hi};
                        if (i < hi && s->t[i] == t)
                                out[k] = s->v[i];
                        else if (i > lo)
                                out[k] = i < hi ? between(&floats, i, t) : s->v[i - 1];
                        continue;
                }
                struct error *e = NULL;
                struct histogram *r = NULL;
                if (i < hi && s->t[i] == t) {
                        e = histogram_dup(a, s->h[i], &r);
                } else if (i > lo && i < hi) {
                        Histogram x = s->h[i - 1], y = s->h[i];
                        if (histogram_is_custom(x) != histogram_is_custom(y)) {
                                *notes |= NOTE_MIXED_SCHEMAS;
                                continue;
                        }
                        bool is_counter = x->reset != COUNTER_RESET_GAUGE || y->reset != COUNTER_RESET_GAUGE;
                        e = histogram_interpolate(a, s->t[i - 1], x, s->t[i], y, t, is_counter, notes, &r);
                } else if (i > lo) {
                        e = histogram_dup(a, s->h[i - 1], &r);
                        if (!e)
                                r->reset = COUNTER_RESET_UNKNOWN;
                }
                if (e)
                        return e;
                if (r) {
                        h[k] = r;
                        out[k] = 0;
                }
        }
        return NULL;
}

static struct error *smooth_series(struct exec *q, const struct steps *st, struct node *n, const struct series *s,
                                   TimeMs mint, TimeMs maxt, struct row *row)
{
        struct mixed m;
        uint32_t notes = 0;
        struct error *e = series_decode_mixed(s, mint, maxt, &q->workers[0].keep, &m);
        if (!e && !m.h) {
                Histogram *none;
                e = histogram_column(&q->workers[0].keep, m.n, &none);
                m.h = e ? NULL : none;
        }
        if (!e)
                e = histogram_column(&q->workers[0].keep, st->n, &row->h);
        if (e)
                return e;
        mixed_drop_markers(&m);
        e = smooth_mixed(q, st, n, &m, row->v, row->h, &notes);
        note_histograms(q, notes, labels_get(s->labels, STR(METRIC_NAME)), n->x->pos);
        return e;
}

static void drop_markers(struct samples *s)
{
        size_t w = 0;
        for (size_t i = 0; i < s->n; i++) {
                if (is_stale_nan(s->v[i]))
                        continue;
                s->t[w] = s->t[i];
                s->v[w++] = s->v[i];
        }
        s->n = w;
}

/* One row; returns the samples that upstream would have read. */
static void smooth_row(const struct exec *q, const struct steps *st, const struct node *n, const struct samples *s,
                       double *out)
{
        size_t i = 0, lo = 0, hi = 0;
        for (size_t k = 0; k < st->n; k++) {
                TimeMs t = (n->has_at ? n->at_ms : step_time(st, k)) - n->offset_ms;
                while (hi < s->n && s->t[hi] <= t + q->lookback_ms)
                        hi++;
                while (lo < hi && s->t[lo] <= t - q->lookback_ms)
                        lo++;
                i = lower(s, i, t);
                i = i < lo ? lo : i;
                if (i < hi && s->t[i] == t)
                        out[k] = s->v[i];
                else if (i > lo && i < hi)
                        out[k] = between(s, i, t);
                else
                        out[k] = i > lo ? s->v[i - 1] : absent();
        }
}

struct error *eval_smoothed(struct exec *q, const struct steps *st, struct node *n, struct mat *ret)
{
        struct error *e = selection_load(q, n->sel);
        if (e)
                return e;
        struct mat m = {.n = n->sel->n};
        m.rows = exec_alloc(q, m.n, sizeof *m.rows, &e);
        double *block = e ? NULL : column_new(q, m.n, st->n, &e);
        if (e)
                return e;
        mat_own(q, &m, block);
        TimeMs first = n->has_at ? n->at_ms : st->start, last = n->has_at ? n->at_ms : step_time(st, st->n - 1);
        struct samples *s = &q->workers[0].raw;
        for (size_t i = 0; i < m.n && !e; i++) {
                if (i % 64 == 0)
                        e = exec_poll(q, "expression evaluation");
                const struct series *one = &n->sel->series[i];
                TimeMs mint = first - n->offset_ms - q->lookback_ms + 1, maxt = last - n->offset_ms + q->lookback_ms;
                m.rows[i] = (struct row){.labels = one->labels, .v = block + i * st->n};
                if (!e && series_has_histograms(one, mint, maxt)) {
                        e = smooth_series(q, st, n, one, mint, maxt, &m.rows[i]);
                } else if (!e) {
                        e = series_samples(q, one, mint, maxt, s);
                        if (e)
                                break;
                        drop_markers(s);
                        smooth_row(q, st, n, s, m.rows[i].v);
                }
                if (!e)
                        e = samples_charge(q, column_samples(m.rows[i].v, m.rows[i].h, st->n));
        }
        if (e) {
                mat_done(q, &m);
                return e;
        }
        mat_drop_empty(&m, st->n);
        *ret = m;
        return NULL;
}

/* anchored, smoothed: only what is inside, and a value at each end. */
static size_t extend(struct samples *s, TimeMs from, TimeMs to, bool smoothed, TimeMs *t, double *v)
{
        if (s->n == 0)
                return 0;
        size_t last = s->n - 1, first = 0;
        while (first < last && s->t[first] <= from)
                first++;
        first = first ? first - 1 : 0;
        if (smoothed) {
                size_t i = 0;
                while (i < last && s->t[i] < to)
                        i++;
                last = i;
        }
        if (s->t[last] <= from)
                return 0;
        double left = smoothed && s->t[first] < from ? between(s, first + 1, from) : s->v[first];
        double right = smoothed && last > 0 && s->t[last] > to ? between(s, last, to) : s->v[last];
        size_t begin = first + (s->t[first] <= from), end = last + (s->t[last] < to), n = 0;
        t[n] = from;
        v[n++] = left;
        for (size_t i = begin; i < end; i++) {
                t[n] = s->t[i];
                v[n++] = s->v[i];
        }
        t[n] = to;
        v[n++] = right;
        return n;
}

/* A series with histograms, as they are. */
static struct error *matrix_mixed(struct exec *q, const struct steps *st, const struct series *s, TimeMs mint,
                                  TimeMs maxt, struct result_series *ret)
{
        struct worker *w = &q->workers[0];
        struct mixed m;
        struct error *e = series_decode_mixed(s, mint, maxt, &w->keep, &m);
        if (e)
                return e;
        mixed_drop_markers(&m);
        struct result_series r = {.labels = labels_dup(q->arena, s->labels)};
        TimeMs *t = exec_alloc(q, m.n, sizeof *t, &e), *h_t = e ? NULL : exec_alloc(q, m.n, sizeof *h_t, &e);
        double *v = e ? NULL : exec_alloc(q, m.n, sizeof *v, &e);
        const struct histogram **h = e ? NULL : exec_alloc(q, m.n, sizeof(Histogram), &e);
        size_t count = 0;
        for (size_t i = 0; i < m.n && !e; i++) {
                if (m.h && m.h[i]) {
                        h_t[r.n_h] = m.t[i];
                        count += histogram_samples(m.h[i]);
                        e = histogram_keep(q->arena, m.h[i], &h[r.n_h++]);
                } else {
                        t[r.n] = m.t[i];
                        v[r.n++] = m.v[i];
                        count++;
                }
        }
        if (e)
                return e;
        r.t = t;
        r.v = v;
        r.h_t = h_t;
        r.h = h;
        st->stats->total += count;
        st->stats->read += count;
        if (st->stats->total_per_step) {
                st->stats->total_per_step[0] += count;
                st->stats->read_per_step[0] += count;
        }
        *ret = r;
        return samples_charge(q, count);
}

struct error *eval_matrix(struct exec *q, const struct steps *st, struct node *n, struct result_series **ret,
                          size_t *ret_n)
{
        const struct node *s = n->a;
        struct error *e = selection_load(q, s->sel);
        if (e)
                return e;
        struct result_series *out = exec_alloc(q, s->sel->n, sizeof *out, &e);
        if (e)
                return e;
        enum selector_modifier mod = s->x->selector.modifier;
        TimeMs to = (s->has_at ? s->at_ms : st->start) - s->offset_ms, from = to - n->range_ms;
        TimeMs mint = mod == SELECTOR_PLAIN ? from + 1 - q->closed_ms : from - q->lookback_ms + 1,
               maxt = mod == SELECTOR_SMOOTHED ? to + q->lookback_ms : to;
        size_t n_out = 0;
        struct samples *raw = &q->workers[0].raw;
        for (size_t i = 0; i < s->sel->n && mint <= maxt; i++) {
                if (i % 64 == 0)
                        e = exec_poll(q, "expression evaluation");
                if (!e && series_has_histograms(&s->sel->series[i], mint, maxt)) {
                        if (mod != SELECTOR_PLAIN)
                                return eval_error("%s modifier is not supported with histograms",
                                                  mod == SELECTOR_SMOOTHED ? "smoothed" : "anchored");
                        e = matrix_mixed(q, st, &s->sel->series[i], mint, maxt, &out[n_out]);
                        n_out += !e && out[n_out].n + out[n_out].n_h > 0;
                        if (e)
                                return e;
                        continue;
                }
                if (!e)
                        e = series_samples(q, &s->sel->series[i], mint, maxt, raw);
                if (e)
                        return e;
                drop_markers(raw);
                size_t count = raw->n;
                TimeMs *t = exec_alloc(q, count + 2, sizeof *t, &e);
                double *v = e ? NULL : exec_alloc(q, count + 2, sizeof *v, &e);
                if (e)
                        return e;
                if (mod != SELECTOR_PLAIN) {
                        count = extend(raw, from, to, mod == SELECTOR_SMOOTHED, t, v);
                } else if (count) {
                        memcpy(t, raw->t, count * sizeof *t);
                        memcpy(v, raw->v, count * sizeof *v);
                }
                st->stats->total += count;
                st->stats->read += count;
                if (st->stats->total_per_step) {
                        st->stats->total_per_step[0] += count;
                        st->stats->read_per_step[0] += count;
                }
                e = samples_charge(q, raw->n);
                if (e)
                        return e;
                if (count)
                        out[n_out++] = (struct result_series){
                                .labels = labels_dup(q->arena, s->sel->series[i].labels), .t = t, .v = v, .n = count};
        }
        *ret = out;
        *ret_n = n_out;
        return NULL;
}
