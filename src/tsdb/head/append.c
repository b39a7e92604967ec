/* SPDX-License-Identifier: Apache-2.0 */
/* Appenders: samples wait in columns, and in the record that the log will get, written while the series is in the
 * cache anyway; commit gives one batch to the log, then applies the columns under the head's lock.
 * Upstream: tsdb/head_append.go. */
#include "base/float_bits.h"
#include "base/log.h"
#include "tsdb/head/private.h"
#include "tsdb/wal/record_histogram.h"

struct waiting_histogram {
        uint32_t slot;
        TimeMs t;
        struct histogram_sample h;
        size_t before; /* floats that came before it */
};
struct waiting_exemplar {
        uint32_t slot;
        struct exemplar x;
};
struct late_sample { /* found out of order when it was applied */
        uint32_t slot;
        TimeMs t;
        double v;
        struct histogram_sample h; /* both members NULL: a float */
};
struct head_appender {
        struct appender base;
        struct head *h;
        bool has_bound;
        TimeMs bound_ms;     /* no sample before it, in order */
        int64_t window_ms;   /* 0: none out of order either */
        TimeMs ooo_floor_ms; /* out of order, from here on */
        uint32_t *slots; /* columns, pinned */
        TimeMs *t;
        double *v;
        size_t n, cap;
        VEC(struct waiting_histogram) histograms; /* pinned */
        struct arena arena;                       /* the histograms, the exemplars */
        VEC(struct waiting_exemplar) exemplars;   /* pinned */
        struct buf exemplar_rec;
        RecordHistogramVec records;
        bool is_interleaved; /* a series is there twice: the log must keep the order */
        struct buf rec; /* the n floats */
        struct samples_encoder encoder;
        struct wal_batch batch;
        VEC(struct late_sample) late;
};
enum { SPARE_MAX = 16, SPARE_SAMPLES_MAX = 1 << 16 };

void head_appender_free(struct head_appender *a)
{
        free(a->slots);
        free(a->t);
        free(a->v);
        vec_done(&a->histograms);
        vec_done(&a->records);
        vec_done(&a->late);
        vec_done(&a->exemplars);
        buf_done(&a->exemplar_rec);
        arena_done(&a->arena);
        buf_done(&a->rec);
        wal_batch_done(&a->batch);
        free(a);
}

static void appender_end(struct head_appender *a)
{
        struct head *h = a->h;
        for (size_t i = 0; i < a->n; i++)
                series_unpin(h, a->slots[i]);
        a->n = 0;
        for (size_t i = 0; i < a->histograms.n; i++)
                series_unpin(h, a->histograms.p[i].slot);
        vec_clear(&a->histograms);
        for (size_t i = 0; i < a->exemplars.n; i++)
                series_unpin(h, a->exemplars.p[i].slot);
        vec_clear(&a->exemplars);
        vec_clear(&a->late);
        arena_clear(&a->arena);
        __atomic_fetch_sub(&h->appenders, 1, __ATOMIC_RELAXED);
        mutex_lock(&h->spare_mu);
        if (h->spare.n < SPARE_MAX && a->cap <= SPARE_SAMPLES_MAX) {
                vec_push(&h->spare, a);
                a = NULL;
        }
        mutex_unlock(&h->spare_mu);
        if (a)
                head_appender_free(a);
}

static void columns_grow(struct head_appender *a)
{
        a->cap = a->cap ? a->cap * 2 : 512;
        a->slots = mem_realloc_array(a->slots, a->cap, sizeof *a->slots);
        a->t = mem_realloc_array(a->t, a->cap, sizeof *a->t);
        a->v = mem_realloc_array(a->v, a->cap, sizeof *a->v);
}

static TimeMs time_before(TimeMs t, int64_t ms)
{
        return t < TIME_MS_MIN + ms ? TIME_MS_MIN : t - ms;
}

static void bounds_set(struct head_appender *a)
{
        const struct head *h = a->h;
        TimeMs max = load_relaxed(&h->max_ms);
        a->bound_ms = MAX(load_relaxed(&h->min_valid_ms), time_before(max, h->opts.chunk_range_ms / 2));
        a->ooo_floor_ms = time_before(max, a->window_ms);
        a->has_bound = true;
}

/* The first sample of an empty head says where its time begins. */
static void bound_init(struct head_appender *a, TimeMs t)
{
        struct head *h = a->h;
        TimeMs none = TIME_MS_MIN;
        __atomic_compare_exchange_n(&h->max_ms, &none, t, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
        none = TIME_MS_MAX;
        __atomic_compare_exchange_n(&h->min_ms, &none, t, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
        bounds_set(a);
}

static struct error *check_labels(Labels ls)
{
        if (ls.n == 0 || ls.n > UINT16_MAX)
                return error_new(ERROR_INVALID,
                                 ls.n ? "too many labels: invalid sample" : "empty labelset: invalid sample");
        for (size_t i = 0; i < ls.n; i++) {
                if (ls.v[i].value.n == 0)
                        return error_new(ERROR_INVALID, "label \"" STR_FMT "\" has no value: invalid sample",
                                         STR_ARG(ls.v[i].name));
                int c = i ? str_cmp(ls.v[i - 1].name, ls.v[i].name) : -1;
                if (c == 0)
                        return error_new(ERROR_INVALID, "label name \"" STR_FMT "\" is not unique: invalid sample",
                                         STR_ARG(ls.v[i].name));
                if (c > 0)
                        return error_new(ERROR_INVALID, "label names are not sorted: invalid sample");
        }
        return NULL;
}

static struct error *slot_by_labels(struct head *h, SeriesRef ref, Labels ls, uint32_t *ret)
{
        if (ls.n == 0 && ref)
                return error_new(ERROR_NOT_FOUND, "unknown series reference %llu", (unsigned long long)ref);
        struct error *e = check_labels(ls);
        if (e)
                return e;
        bool made;
        *ret = series_get_or_make(h, ls, 0, /* pin= */ true, &made);
        if (made)
                __atomic_fetch_add(&h->series_created, 1, __ATOMIC_RELAXED);
        return NULL;
}

/* Pinned. */
static struct error *slot_get(struct head *h, SeriesRef ref, Labels labels, uint32_t *ret)
{
        uint32_t slot = (uint32_t)ref - 1;
        if ((uint32_t)ref && slot / HEAD_PAGE_SLOTS < HEAD_PAGES_MAX &&
            __atomic_load_n(&h->pages[slot / HEAD_PAGE_SLOTS], __ATOMIC_ACQUIRE) &&
            series_pin(h, slot, (uint32_t)(ref >> 32))) {
                *ret = slot;
                return NULL;
        }
        return slot_by_labels(h, ref, labels, ret);
}

/* Not newer than what the series has, or before the bound: NULL if it may go to the out-of-order samples. same: it is the
 * newest sample once more.  Upstream: memSeries.appendable. */
static struct error *may_be_late(struct head_appender *a, TimeMs t, TimeMs last)
{
        struct head *h = a->h;
        if (t == last && t >= a->bound_ms) {
                add_relaxed(&h->duplicates, 1);
                return &error_duplicate_sample;
        }
        if (a->window_ms && t >= a->ooo_floor_ms && !a->base.discard_out_of_order)
                return NULL;
        if (a->window_ms && t < a->ooo_floor_ms) {
                add_relaxed(&h->too_old, 1);
                return &error_too_old_sample;
        }
        add_relaxed(&h->out_of_order, 1);
        return &error_out_of_order_sample;
}

static struct error *ha_append(struct appender *base, SeriesRef ref, Labels labels, TimeMs t, double v,
                               SeriesRef *ret_ref)
{
        struct head_appender *a = CONTAINER_OF(base, struct head_appender, base);
        struct head *h = a->h;
        if (UNLIKELY(!a->has_bound))
                bound_init(a, t);
        if (UNLIKELY(t < a->bound_ms && !a->window_ms)) {
                add_relaxed(&h->out_of_bounds, 1);
                return &error_out_of_bounds;
        }
        uint32_t slot = (uint32_t)ref - 1;
        bool known = (uint32_t)ref && slot / HEAD_PAGE_SLOTS < HEAD_PAGES_MAX &&
                     __atomic_load_n(&h->pages[slot / HEAD_PAGE_SLOTS], __ATOMIC_ACQUIRE) &&
                     series_pin(h, slot, (uint32_t)(ref >> 32));
        if (UNLIKELY(!known)) {
                struct error *e = slot_by_labels(h, ref, labels, &slot);
                if (e)
                        return e;
        }
        struct series_slot *s = series_at(h, slot);
        /* A scrape's series are neighbours. */
        __builtin_prefetch((const void *)((uintptr_t)s + 6 * sizeof *s), 1);
        __builtin_prefetch((const void *)((uintptr_t)s + 6 * sizeof *s + 64), 1);
        TimeMs last = load_relaxed(&s->last_t);
        if (UNLIKELY((t <= last && last != TIME_MS_MIN) || t < a->bound_ms)) {
                bool same = t == last && t >= a->bound_ms && float_bits(v) == load_relaxed(&s->last_v);
                struct error *e = same ? NULL : may_be_late(a, t, last);
                if (same)
                        *ret_ref = ref_of(slot, load_relaxed(&s->gen));
                if (same || e) {
                        series_unpin(h, slot);
                        return e;
                }
        }
        if (UNLIKELY(a->n == a->cap))
                columns_grow(a);
        if (UNLIKELY(a->n == 0)) {
                buf_clear(&a->rec);
                a->encoder = record_samples_begin(&a->rec, s->wal_ref, t);
        }
        char *end = LIKELY(a->rec.cap - a->rec.n >= RECORD_SAMPLE_MAX_BYTES)
                            ? a->rec.p + a->rec.n
                            : buf_reserve(&a->rec, RECORD_SAMPLE_MAX_BYTES);
        a->rec.n += (size_t)((char *)record_sample_put(&a->encoder, (uint8_t *)end, s->wal_ref, t, v) - end);
        a->slots[a->n] = slot;
        a->t[a->n] = t;
        a->v[a->n++] = v;
        *ret_ref = known ? ref : ref_of(slot, load_relaxed(&s->gen));
        return NULL;
}

static struct error *ha_append_histogram(struct appender *base, SeriesRef ref, Labels labels, TimeMs t,
                                         struct histogram_sample x, SeriesRef *ret_ref)
{
        struct head_appender *a = CONTAINER_OF(base, struct head_appender, base);
        struct head *h = a->h;
        if (UNLIKELY(!a->has_bound))
                bound_init(a, t);
        if (UNLIKELY(t < a->bound_ms && !a->window_ms)) {
                add_relaxed(&h->out_of_bounds, 1);
                return &error_out_of_bounds;
        }
        struct error *e = histogram_sample_check(x);
        if (e)
                return e;
        uint32_t slot;
        e = slot_get(h, ref, labels, &slot);
        if (e)
                return e;
        struct series_slot *s = series_at(h, slot);
        TimeMs last = load_relaxed(&s->last_t);
        if (UNLIKELY((t <= last && last != TIME_MS_MIN) || t < a->bound_ms)) {
                bool same = false;
                if (t == last && t >= a->bound_ms) {
                        mutex_lock(stripe_of(h, slot));
                        const struct histogram_chunk *k = series_histogram(s);
                        same = k && histogram_chunk_last_ms(k) == t && histogram_chunk_ends_with(k, x);
                        mutex_unlock(stripe_of(h, slot));
                }
                if (same)
                        *ret_ref = ref_of(slot, load_relaxed(&s->gen));
                e = same ? NULL : may_be_late(a, t, last);
                if (same || e) {
                        series_unpin(h, slot);
                        return e;
                }
        }
        struct waiting_histogram w = {.slot = slot, .t = t, .before = a->n};
        e = histogram_sample_dup(&a->arena, x, &w.h);
        if (e) {
                series_unpin(h, slot);
                return e;
        }
        vec_push(&a->histograms, w);
        *ret_ref = ref_of(slot, load_relaxed(&s->gen));
        return NULL;
}

static struct error *ha_append_exemplar(struct appender *base, SeriesRef ref, Labels labels, const struct exemplar *x)
{
        struct head_appender *a = CONTAINER_OF(base, struct head_appender, base);
        struct head *h = a->h;
        if (!exemplars_is_on(h->exemplars))
                return NULL;
        uint32_t slot = (uint32_t)ref - 1;
        bool known = (uint32_t)ref && slot / HEAD_PAGE_SLOTS < HEAD_PAGES_MAX &&
                     __atomic_load_n(&h->pages[slot / HEAD_PAGE_SLOTS], __ATOMIC_ACQUIRE) &&
                     series_pin(h, slot, (uint32_t)(ref >> 32));
        rwlock_read(&h->index_lock);
        if (!known && labels.n) {
                slot = series_find(h, labels);
                known = slot != UINT32_MAX && series_pin(h, slot, load_relaxed(&series_at(h, slot)->gen));
        }
        /* The strings stay: the series is pinned. */
        Labels own = known ? series_labels(h, series_at(h, slot), &a->arena) : (Labels){NULL, 0};
        rwlock_unlock(&h->index_lock);
        if (!known)
                return error_new(ERROR_NOT_FOUND, "unknown HeadSeriesRef when trying to add exemplar: %llu", (unsigned long long)ref);
        struct waiting_exemplar w = {.slot = slot, .x = *x};
        w.x.labels = labels_dup(&a->arena, x->labels);
        size_t n = 0;
        for (size_t i = 0; i < w.x.labels.n; i++)
                if (w.x.labels.v[i].value.n)
                        ((Label *)w.x.labels.v)[n++] = w.x.labels.v[i];
        w.x.labels.n = n;
        struct error *e = exemplars_check(h->exemplars, own, &w.x);
        if (e) {
                series_unpin(h, slot);
                return e == &error_duplicate_exemplar || e == &error_exemplars_disabled ? NULL : e;
        }
        vec_push(&a->exemplars, w);
        return NULL;
}

static void put_exemplars(struct head *h, struct head_appender *a)
{
        RecordExemplarVec v = VEC_INIT;
        struct buf labels = BUF_INIT(BUF_NO_LIMIT);
        VEC(size_t) ends = VEC_INIT;
        buf_clear(&a->exemplar_rec);
        for (size_t i = 0; i < a->exemplars.n; i++) {
                record_labels_put(&labels, a->exemplars.p[i].x.labels);
                vec_push(&ends, labels.n);
        }
        for (size_t i = 0; i < a->exemplars.n; i++) {
                const struct waiting_exemplar *w = &a->exemplars.p[i];
                size_t from = i ? ends.p[i - 1] : 0;
                vec_push(&v, (struct record_exemplar){.ref = series_at(h, w->slot)->wal_ref,
                                                      .t = w->x.t,
                                                      .v = w->x.value,
                                                      .labels = {labels.p + from, ends.p[i] - from}});
        }
        record_exemplars(&a->exemplar_rec, v.p, v.n);
        vec_done(&v);
        vec_done(&ends);
        buf_done(&labels);
}

/* Behind the samples, as whoever follows the log wants a series' samples first. */
static struct error *add_exemplars(struct head *h, struct head_appender *a, struct wal_batch *to)
{
        if (LIKELY(!a->exemplars.n))
                return NULL;
        put_exemplars(h, a);
        return wal_batch_add(to, buf_str(&a->exemplar_rec));
}

static void keep_exemplars(struct head *h, struct head_appender *a)
{
        for (size_t i = 0; i < a->exemplars.n; i++) {
                const struct waiting_exemplar *w = &a->exemplars.p[i];
                rwlock_read(&h->index_lock);
                Labels own = series_labels(h, series_at(h, w->slot), &a->arena);
                rwlock_unlock(&h->index_lock);
                error_ignore(exemplars_add(h->exemplars, own, &w->x), "another writer was first");
        }
}

/* Of the floats, then the histograms, then the exemplars. */
static uint32_t nth_slot(const struct head_appender *a, size_t i)
{
        if (LIKELY(i < a->n))
                return a->slots[i];
        i -= a->n;
        return i < a->histograms.n ? a->histograms.p[i].slot : a->exemplars.p[i - a->histograms.n].slot;
}

/* Records of the series that no commit has written yet; 0: there are none. */
static size_t put_new_series(struct head *h, const struct head_appender *a)
{
        struct buf *b = &h->series_rec;
        size_t n = 0;
        buf_clear(b);
        for (size_t i = 0; i < a->n + a->histograms.n + a->exemplars.n; i++) {
                struct series_slot *s = series_at(h, nth_slot(a, i));
                if (LIKELY(s->flags & SERIES_LOGGED))
                        continue;
                if (n++ == 0) {
                        record_series_begin(b);
                        rwlock_read(&h->index_lock);
                }
                Label ls[64], *v = s->n_pairs <= ARRAY_LEN(ls) ? ls : mem_alloc(s->n_pairs * sizeof *v);
                for (size_t k = 0; k < s->n_pairs; k++)
                        v[k] = (Label){pair_name(&h->index, s->pairs[k]), pair_value(&h->index, s->pairs[k])};
                record_series_add(b, s->wal_ref, (Labels){v, s->n_pairs});
                if (v != ls)
                        free(v);
                s->flags |= SERIES_LOGGED; /* not twice in this record; taken back if the log refuses it */
        }
        if (n)
                rwlock_unlock(&h->index_lock);
        return n;
}

/* The log refused. Some of these may be in it from before: writing them once more does no harm. */
static void forget_logged(struct head *h, const struct head_appender *a)
{
        for (size_t i = 0; i < a->n + a->histograms.n + a->exemplars.n; i++)
                series_at(h, nth_slot(a, i))->flags &= (uint8_t)~SERIES_LOGGED;
}

static struct error *log_locked(struct head *h, struct head_appender *a)
{
        if (!put_new_series(h, a))
                return wal_log(h->wal, &a->batch);
        wal_batch_clear(&h->series_batch);
        struct error *e = wal_batch_add(&h->series_batch, buf_str(&h->series_rec));
        if (!e && a->n)
                e = wal_batch_add(&h->series_batch, buf_str(&a->rec));
        if (!e)
                e = add_exemplars(h, a, &h->series_batch);
        if (!e)
                e = wal_log(h->wal, &h->series_batch);
        if (e) {
                forget_logged(h, a);
        }
        return e;
}

/* The chunks of the samples to come: applying waits for memory more than it computes. Only mu's holder moves them. */
static inline void prefetch_chunk(const struct head *h, uint32_t slot)
{
        const struct series_slot *s = series_at(h, slot);
        if (!s->open || (s->open_flags & OPEN_HISTOGRAM))
                return;
        __builtin_prefetch(s->open, 1);
        __builtin_prefetch(s->open + s->app.n_bits / 8, 1);
}

struct applied {
        TimeMs min, max;
        uint64_t appended, late;
};

/* A sample that is not in order any more; false: it is lost. */
static bool put_late(struct head_appender *a, uint32_t slot, TimeMs t, double v, struct histogram_sample x)
{
        if (!a->window_ms)
                return false;
        if (t < a->ooo_floor_ms) {
                add_relaxed(&a->h->too_old, 1);
                return true;
        }
        vec_push(&a->late, (struct late_sample){slot, t, v, x});
        return true;
}

/* A float marker of a series whose newest sample is a histogram, kept as one of its kind. */
static struct histogram_sample stale_like(struct head_appender *a, const struct series_slot *s, double v)
{
        struct int_histogram i = {.sum = v};
        struct histogram f = {.sum = v};
        struct histogram_sample x = {NULL, NULL}, ret = {NULL, NULL};
        if (chunk_encoding_is_int(series_open_encoding(s)))
                x.i = &i;
        else
                x.f = &f;
        error_ignore(histogram_sample_dup(&a->arena, x, &ret), "the arena has no limit");
        return ret;
}

static inline bool is_behind(const struct series_slot *s, TimeMs t)
{
        return t < load_relaxed(&s->last_t) && (s->open || s->n_full);
}

static void apply_histogram_locked(struct head_appender *a, const struct waiting_histogram *w, uint32_t commit,
                                   TimeMs floor_ms, struct applied *sum)
{
        struct head *h = a->h;
        double v = histogram_sample_sum(w->h);
        if (w->t < floor_ms) {
                sum->late += !put_late(a, w->slot, w->t, v, w->h);
                return;
        }
        struct mutex *stripe = stripe_of(h, w->slot);
        mutex_lock(stripe);
        bool behind = is_behind(series_at(h, w->slot), w->t);
        bool ok = !behind && series_append_histogram_locked(h, w->slot, series_at(h, w->slot), w->t, w->h, commit);
        mutex_unlock(stripe);
        if (behind)
                put_late(a, w->slot, w->t, v, w->h);
        if (!ok)
                return;
        sum->appended++;
        sum->min = MIN(sum->min, w->t);
        sum->max = MAX(sum->max, w->t);
}

/* Takes the pins of floats off as it goes, while the series are in the cache. */
static void apply_locked(struct head *h, struct head_appender *a)
{
        uint32_t commit = load_relaxed(&h->applied) + 1;
        TimeMs min = TIME_MS_MAX, max = TIME_MS_MIN, floor_ms = load_relaxed(&h->min_valid_ms);
        if (a->window_ms)
                floor_ms = MAX(floor_ms, a->bound_ms);
        uint64_t appended = 0, late = 0;
        struct applied sum = {.min = TIME_MS_MAX, .max = TIME_MS_MIN};
        struct mutex *held = NULL;
        size_t k = 0;
        for (size_t i = 0; i < a->n; i++) {
                TimeMs t = a->t[i];
                if (UNLIKELY(k < a->histograms.n)) {
                        if (held)
                                mutex_unlock(held);
                        held = NULL;
                        for (; k < a->histograms.n && a->histograms.p[k].before <= i; k++)
                                apply_histogram_locked(a, &a->histograms.p[k], commit, floor_ms, &sum);
                }
                if (i + 16 < a->n) {
                        const char *coming = (const char *)series_at(h, a->slots[i + 16]);
                        __builtin_prefetch(coming, 1);
                        __builtin_prefetch(coming + 64, 1);
                }
                if (i + 8 < a->n)
                        prefetch_chunk(h, a->slots[i + 8]);
                if (UNLIKELY(t < floor_ms)) {
                        late += !put_late(a, a->slots[i], t, a->v[i], (struct histogram_sample){NULL, NULL});
                        series_unpin(h, a->slots[i]);
                        continue;
                }
                struct mutex *stripe = stripe_of(h, a->slots[i]);
                if (stripe != held) {
                        if (held)
                                mutex_unlock(held);
                        mutex_lock(stripe);
                        held = stripe;
                }
                struct series_slot *s = series_at(h, a->slots[i]);
                if (UNLIKELY(is_behind(s, t))) {
                        bool stale = s->open_flags & OPEN_HISTOGRAM && is_stale_nan(a->v[i]);
                        put_late(a, a->slots[i], t, a->v[i],
                                 stale ? stale_like(a, s, a->v[i]) : (struct histogram_sample){NULL, NULL});
                        series_unpin(h, a->slots[i]);
                        continue;
                }
                bool ok = UNLIKELY(s->open_flags & OPEN_HISTOGRAM && is_stale_nan(a->v[i]))
                                  ? series_append_stale_locked(h, a->slots[i], s, t, a->v[i], commit)
                                  : series_append_locked(h, a->slots[i], s, t, a->v[i], commit);
                series_unpin(h, a->slots[i]);
                if (!ok)
                        continue;
                appended++;
                min = MIN(min, t);
                max = MAX(max, t);
        }
        if (held)
                mutex_unlock(held);
        a->n = 0;
        for (; k < a->histograms.n; k++)
                apply_histogram_locked(a, &a->histograms.p[k], commit, floor_ms, &sum);
        for (size_t i = 0; i < a->late.n; i++) {
                const struct late_sample *l = &a->late.p[i];
                if (!ooo_insert_locked(h, l->slot, l->t, l->v, l->h))
                        continue;
                h->stats.ooo_appended++;
                h->stats.samples_appended++;
        }
        appended += sum.appended;
        late += sum.late;
        min = MIN(min, sum.min);
        max = MAX(max, sum.max);
        if (appended)
                head_widen(h, min, max);
        add_relaxed(&h->out_of_bounds, late);
        h->stats.samples_appended += appended;
        __atomic_store_n(&h->applied, commit, __ATOMIC_RELEASE);
}

static void put_floats(const struct head *h, struct head_appender *a, size_t i, size_t end)
{
        struct samples_encoder enc = record_samples_begin(&a->rec, series_at(h, a->slots[i])->wal_ref, a->t[i]);
        uint8_t *p = (uint8_t *)buf_reserve(&a->rec, (end - i) * RECORD_SAMPLE_MAX_BYTES), *from = p;
        for (; i < end; i++)
                p = record_sample_put(&enc, p, series_at(h, a->slots[i])->wal_ref, a->t[i], a->v[i]);
        a->rec.n += (size_t)(p - from);
}

/* Floats, then histograms by type, as long as no series is there twice; else a record for each run of one type. */
static struct error *put_mixed(struct head *h, struct head_appender *a, struct wal_batch *to)
{
        static const enum record_type types[] = {RECORD_HISTOGRAMS, RECORD_CUSTOM_HISTOGRAMS, RECORD_FLOAT_HISTOGRAMS,
                                                 RECORD_CUSTOM_FLOAT_HISTOGRAMS};
        struct error *e = NULL;
        vec_clear(&a->records);
        for (size_t i = 0; i < a->histograms.n; i++) {
                const struct waiting_histogram *w = &a->histograms.p[i];
                vec_push(&a->records,
                         (struct record_histogram){.ref = series_at(h, w->slot)->wal_ref, .t = w->t, .h = w->h});
        }
        size_t floats = 0;
        for (size_t i = 0, end; !e && i < a->histograms.n; i = end) {
                enum record_type type = record_histogram_type(a->records.p[i].h);
                size_t upto = a->is_interleaved ? a->histograms.p[i].before : a->n;
                for (end = i + 1; end < a->histograms.n; end++)
                        if (a->is_interleaved &&
                            (a->histograms.p[end].before != upto || record_histogram_type(a->records.p[end].h) != type))
                                break;
                if (upto > floats) {
                        buf_clear(&a->rec);
                        put_floats(h, a, floats, upto);
                        floats = upto;
                        e = wal_batch_add(to, buf_str(&a->rec));
                }
                for (size_t k = 0; !e && k < ARRAY_LEN(types); k++) {
                        buf_clear(&a->rec);
                        if (record_histograms_put(&a->rec, types[k], a->records.p + i, end - i))
                                e = wal_batch_add(to, buf_str(&a->rec));
                }
        }
        if (!e && floats < a->n) {
                buf_clear(&a->rec);
                put_floats(h, a, floats, a->n);
                e = wal_batch_add(to, buf_str(&a->rec));
        }
        return e;
}

/* Is a series there twice? Only then does the order of samples of different kinds matter. */
static bool has_twice_locked(struct head *h, const struct head_appender *a)
{
        bool twice = false;
        for (int pass = 0; pass < 2; pass++) {
                for (size_t i = 0; i < a->n + a->histograms.n; i++) {
                        uint8_t *flags = &series_at(h, i < a->n ? a->slots[i] : a->histograms.p[i - a->n].slot)->flags;
                        if (pass == 0)
                                twice |= (*flags & SERIES_SEEN) != 0;
                        *flags = (uint8_t)(pass == 0 ? *flags | SERIES_SEEN : *flags & ~SERIES_SEEN);
                }
        }
        return twice;
}

static struct error *log_mixed_locked(struct head *h, struct head_appender *a)
{
        a->is_interleaved = has_twice_locked(h, a);
        wal_batch_clear(&h->series_batch);
        struct error *e = NULL;
        bool is_new = put_new_series(h, a);
        if (is_new)
                e = wal_batch_add(&h->series_batch, buf_str(&h->series_rec));
        if (!e)
                e = put_mixed(h, a, &h->series_batch);
        if (!e)
                e = add_exemplars(h, a, &h->series_batch);
        if (!e)
                e = wal_log(h->wal, &h->series_batch);
        if (e && is_new)
                forget_logged(h, a);
        return e;
}

static struct error *ha_commit(struct appender *base)
{
        struct head_appender *a = CONTAINER_OF(base, struct head_appender, base);
        struct head *h = a->h;
        struct error *e = NULL;
        if (a->n == 0 && a->histograms.n == 0 && a->exemplars.n == 0)
                goto out;
        wal_batch_clear(&a->batch);
        if (LIKELY(a->histograms.n == 0)) {
                if (LIKELY(a->n))
                        e = wal_batch_add(&a->batch, buf_str(&a->rec));
                if (!e)
                        e = add_exemplars(h, a, &a->batch);
                if (e)
                        goto out;
        }
        mutex_lock(&h->mu);
        e = a->histograms.n ? log_mixed_locked(h, a) : log_locked(h, a);
        if (!e) {
                keep_exemplars(h, a);
                apply_locked(h, a);
                struct error *why = head_flush_chunks_locked(h);
                if (why) /* they stay in memory, and in the log; the next commit tries again */
                        log_error("tsdb", "Writing full head chunks failed", KV_E(why));
                error_free(why);
                if (UNLIKELY(h->ooo.items.n)) /* after the chunks: its marks name them */
                        e = ooo_log_locked(h);
        }
        mutex_unlock(&h->mu);
out:
        appender_end(a);
        return e;
}

static void ha_rollback(struct appender *base)
{
        appender_end(CONTAINER_OF(base, struct head_appender, base));
}

struct error *head_appender_new(struct storage *st, struct appender **ret)
{
        static const struct appender_ops ops = {.append = ha_append,
                                                .append_histogram = ha_append_histogram,
                                                .append_exemplar = ha_append_exemplar,
                                                .commit = ha_commit,
                                                .rollback = ha_rollback};
        struct head *h = CONTAINER_OF(st, struct head, base);
        struct head_appender *a = NULL;
        mutex_lock(&h->spare_mu);
        if (h->spare.n)
                a = vec_pop(&h->spare);
        mutex_unlock(&h->spare_mu);
        if (!a) {
                a = mem_new(struct head_appender);
                buf_init(&a->rec, BUF_NO_LIMIT);
                buf_init(&a->exemplar_rec, BUF_NO_LIMIT);
                arena_init(&a->arena, BUF_NO_LIMIT); /* scrapes and requests have their limits */
                wal_batch_init(&a->batch, h->opts.wal_compression);
                a->base.ops = &ops;
                a->h = h;
        }
        a->has_bound = false;
        a->base.discard_out_of_order = false;
        a->window_ms = load_relaxed(&h->ooo.window_ms);
        if (load_relaxed(&h->min_ms) != TIME_MS_MAX && load_relaxed(&h->max_ms) != TIME_MS_MIN)
                bounds_set(a);
        __atomic_fetch_add(&h->appenders, 1, __ATOMIC_RELAXED);
        *ret = &a->base;
        return NULL;
}
