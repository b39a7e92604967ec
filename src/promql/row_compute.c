/* SPDX-License-Identifier: Apache-2.0 */
/* One row: the samples of its series are decoded, then a selector's steps or a function's windows are walked, then the
 * element-wise operations on top are applied. Any worker. */
#include "promql/lanes.h"
#include "promql/rows_impl.h"

struct error *series_samples(struct exec *q, const struct series *s, TimeMs mint, TimeMs maxt, struct samples *out)
{
        (void)q;
        return series_decode(s, mint, maxt, out);
}

void mixed_drop_markers(struct mixed *s)
{
        size_t w = 0;
        for (size_t i = 0; i < s->n; i++) {
                if (is_stale_nan(s->v[i]))
                        continue;
                s->t[w] = s->t[i];
                s->v[w] = s->v[i];
                if (s->h)
                        s->h[w] = s->h[i];
                if (s->start)
                        s->start[w] = s->start[i];
                w++;
        }
        s->n = w;
}

WITH_LANES static bool has_marker_lanes(const double *v, size_t n)
{
        Mask found = {0};
        size_t i = 0;
        for (; i + LANES <= n; i += LANES) {
                Mask x;
                memcpy(&x, v + i, sizeof x);
                found |= x == (int64_t)STALE_NAN_BITS;
        }
        for (; i < n; i++)
                found[0] |= is_stale_nan(v[i]);
        return (found[0] | found[1] | found[2] | found[3]) != 0;
}

static void drop_markers(struct samples *s)
{
        if (has_lanes() && !has_marker_lanes(s->v, s->n))
                return;
        size_t i = 0;
        while (i < s->n && !is_stale_nan(s->v[i]))
                i++;
        size_t w = i;
        for (; i < s->n; i++) {
                if (is_stale_nan(s->v[i]))
                        continue;
                s->t[w] = s->t[i];
                s->v[w++] = s->v[i];
        }
        if (w < s->n)
                s->every_ms = 0;
        s->n = w;
}

/* What timestamp() and start_timestamp() give; without the feature the latter gives nothing. */
static double time_of(const struct rows *r, TimeMs t, TimeMs start)
{
        if (r->start_times && !r->q->use_start_times)
                return absent();
        return (double)(r->start_times ? start : t) / 1000;
}

/* The newest sample of (ref - lookback, ref]; a marker there hides the series, and is ABSENT already. */
static void selector_row(const struct rows *r, struct worker *w, const struct samples *s, double *out,
                         struct row_info *info)
{
        const struct steps *st = r->steps;
        bool times = r->leaf == LEAF_TIMESTAMP;
        int64_t lookback = r->q->lookback_ms;
        size_t k = 0;
        struct window_grid grid = {0};
        if (!times && !r->node->has_at && !w->total_per_step && s->every_ms <= lookback)
                grid = window_grid_of(s, st, r->node->offset_ms, s->every_ms); /* one sample in each */
        for (size_t i = 0; i < st->n; i++) {
                if (i == grid.first && i < grid.end) {
                        const double *v = s->v + grid.lo;
                        size_t count = grid.end - grid.first, n = 0;
                        for (size_t j = 0; j < count; j++) {
                                out[i + j] = v[j * grid.stride]; /* a marker is ABSENT */
                                n += !is_absent(out[i + j]);
                        }
                        info->n_out += n;
                        i = grid.end - 1;
                        k = grid.lo + (count - 1) * grid.stride;
                        continue;
                }
                TimeMs ref = (r->node->has_at ? r->node->at_ms : step_time(st, i)) - r->node->offset_ms;
                while (k < s->n && s->t[k] <= ref)
                        k++;
                bool in = k && s->t[k - 1] > ref - lookback && !is_stale_nan(s->v[k - 1]);
                out[i] = !in ? absent() : times ? time_of(r, s->t[k - 1], 0) : s->v[k - 1];
                info->n_out += in;
                if (w->total_per_step) {
                        w->total_per_step[i] += in;
                        w->read_per_step[i] += in;
                }
        }
        info->total = info->read = info->n_out;
}

/* The same for a series with histograms, which are counted by their size. */
static void selector_row_mixed(const struct rows *r, struct worker *w, const struct mixed *s, double *out, Histogram *h,
                               struct row_info *info)
{
        const struct steps *st = r->steps;
        bool times = r->leaf == LEAF_TIMESTAMP;
        size_t k = 0;
        for (size_t i = 0; i < st->n; i++) {
                TimeMs ref = (r->node->has_at ? r->node->at_ms : step_time(st, i)) - r->node->offset_ms;
                while (k < s->n && s->t[k] <= ref)
                        k++;
                bool in = k && s->t[k - 1] > ref - r->q->lookback_ms && !is_stale_nan(s->v[k - 1]);
                Histogram found = in ? s->h[k - 1] : NULL;
                out[i] = !in     ? absent()
                         : times ? time_of(r, s->t[k - 1], s->start ? s->start[k - 1] : 0)
                         : found ? 0
                                 : s->v[k - 1];
                h[i] = times ? NULL : found;
                size_t n = found && !times ? histogram_samples(found) : in;
                info->n_out += n;
                info->has_floats |= in && !h[i];
                if (w->total_per_step) {
                        w->total_per_step[i] += n;
                        w->read_per_step[i] += n;
                }
        }
        info->total = info->read = info->n_out;
}

/* A subquery may have left out the samples that the hints are about.  Upstream: evalSubquery */
static struct error *forget_hint(struct arena *a, Histogram *h)
{
        if (!*h || ((*h)->reset != COUNTER_RESET_YES && (*h)->reset != COUNTER_RESET_NO))
                return NULL;
        struct histogram *copy = arena_try_alloc(a, sizeof *copy);
        if (!copy)
                return error_new(ERROR_LIMIT, "query needs more than the %zu bytes of memory that one query may use",
                                 a->limit_bytes);
        *copy = **h;
        copy->reset = COUNTER_RESET_UNKNOWN;
        *h = copy;
        return NULL;
}

static struct error *column_mixed(const struct steps *st, const struct row *row, struct arena *a, struct mixed *ret)
{
        struct mixed m = {.t = arena_try_alloc(a, arena_array_bytes(st->n + 1, sizeof *m.t)),
                          .v = arena_try_alloc(a, arena_array_bytes(st->n + 1, sizeof *m.v))};
        struct error *e = histogram_column(a, st->n, &m.h);
        if (!e && (!m.t || !m.v))
                e = error_new(ERROR_LIMIT, "query needs more than the %zu bytes of memory that one query may use",
                              a->limit_bytes);
        for (size_t i = 0; !e && i < st->n; i++) {
                if (is_absent(row->v[i]))
                        continue;
                m.t[m.n] = step_time(st, i);
                m.v[m.n] = row->v[i];
                m.h[m.n] = row->h[i];
                e = forget_hint(a, &m.h[m.n++]);
        }
        *ret = m;
        return e;
}

/* A row whose series, or subquery's row, has histograms. */
__attribute__((noinline)) static struct error *compute_mixed(struct rows *r, size_t i, struct worker *w, double *out,
                                                             struct row_info *info)
{
        struct mixed s = {0};
        Histogram **h = &r->histograms[i - r->batch_first];
        struct error *e = histogram_column(w->out, r->steps->n, h);
        if (e)
                return e;
        arena_clear(&w->decoded);
        if (r->leaf == LEAF_SUBQUERY)
                e = column_mixed(&r->sub, &r->mat.rows[i], &w->decoded, &s);
        else if (r->start_times)
                e = series_decode_starts(&r->sel->series[i], r->mint - r->stats_only, r->maxt, &w->decoded, &s);
        else
                e = series_decode_mixed(&r->sel->series[i], r->mint - r->stats_only, r->maxt,
                                        r->leaf == LEAF_RANGE || r->stats_only ? &w->decoded : w->out, &s);
        if (!e && r->stats_only)
                e = mixed_stats_only(r->leaf == LEAF_RANGE ? &w->decoded : w->out, &s);
        if (e)
                return e;
        if (!s.h) { /* none of them in range after all */
                Histogram *none;
                e = histogram_column(&w->decoded, s.n, &none);
                if (e)
                        return e;
                s.h = none;
        }
        if (r->leaf == LEAF_SELECTOR || r->leaf == LEAF_TIMESTAMP) {
                selector_row_mixed(r, w, &s, out, *h, info);
                return NULL;
        }
        mixed_drop_markers(&s);
        return range_row_mixed(&r->call, w, &s, out, *h, info);
}

static void samples_of_column(const struct steps *st, const double *v, struct samples *out)
{
        samples_clear(out);
        samples_reserve(out, st->n);
        for (size_t i = 0; i < st->n; i++)
                if (!is_absent(v[i]))
                        samples_push(out, step_time(st, i), v[i]);
        if (out->n == st->n && st->n > 1)
                out->every_ms = st->interval;
}

void row_compute(struct rows *r, size_t i, struct worker *w)
{
        size_t k = i - r->batch_first;
        double *out = r->columns[k];
        struct row_info *info = &r->infos[k];
        *info = (struct row_info){0};
        info->has_floats = true;
        bool is_mixed = r->leaf == LEAF_SUBQUERY && r->mat.rows[i].h;
        struct error *e = NULL;
        if (r->leaf != LEAF_MAT)
                r->histograms[k] = NULL;
        if (r->leaf != LEAF_MAT && r->leaf != LEAF_SUBQUERY) {
                /* Tried as floats first: looking through the chunks of all series before is felt. */
                e = series_samples(r->q, &r->sel->series[i], r->mint, r->maxt, &w->raw);
                if (!e && UNLIKELY(r->start_times) && r->q->use_start_times)
                        is_mixed = series_has_starts(&r->sel->series[i], r->mint, r->maxt);
                if (UNLIKELY(e != NULL) && error_is(e, ERROR_UNSUPPORTED) &&
                    series_has_histograms(&r->sel->series[i], r->mint, r->maxt)) {
                        error_free(e);
                        e = NULL;
                        is_mixed = true;
                }
        }
        if (is_mixed) {
                info->has_floats = false;
                e = compute_mixed(r, i, w, out, info);
                info->read = r->leaf == LEAF_SUBQUERY ? 0 : info->read;
        } else if (e) {
                /* told below */
        } else if (r->leaf == LEAF_SUBQUERY) {
                samples_of_column(&r->sub, r->mat.rows[i].v, &w->window);
                range_row(&r->call, w, &w->window, out, info);
                info->read = 0; /* counted by the subquery */
        } else if (r->leaf == LEAF_RANGE) {
                drop_markers(&w->raw);
                range_row(&r->call, w, &w->raw, out, info);
        } else if (r->leaf != LEAF_MAT) {
                selector_row(r, w, &w->raw, out, info);
        }
        if (e) {
                worker_fail(w, i, e);
                return;
        }
        for (size_t o = 0; o < r->n_ops; o++) {
                if (!r->histograms[k]) {
                        if (r->ops[o].only_histograms && column_count(out, r->steps->n))
                                info->op_notes |= UINT32_C(1) << (2 * o);
                        r->ops[o].apply(&r->ops[o], out, r->steps->n);
                        continue;
                }
                uint32_t notes = 0;
                e = elementwise_mixed(&r->ops[o], w, out, r->histograms[k], r->steps->n, &notes);
                info->op_notes |= notes << (2 * o);
                if (e) {
                        worker_fail(w, i, e);
                        return;
                }
        }
}
