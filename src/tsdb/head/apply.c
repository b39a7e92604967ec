/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/head/apply.h"

#include <stdlib.h>

enum {
        THREADS_FROM = 1 << 16, /* samples; fewer are not worth a thread */
        FLUSH_AFTER = 1 << 19,  /* samples, and some of each series: full chunks wait in memory until then */
        FLUSH_AFTER_EACH = 8,
        GIVEN_MAX = 4,    /* batches that wait for a lane */
        HISTOGRAM_AS = 8, /* samples, in these counts */
        HISTOGRAMS_MAX = APPLY_SAMPLES / HISTOGRAM_AS,
        HISTOGRAM_BYTES_MAX = 1 << 30,
};

static struct apply_batch *batch_new(void)
{
        struct apply_batch *b = mem_alloc(sizeof *b);
        b->n = 0;
        b->histograms.p = NULL;
        b->histograms.n = b->histograms.cap = 0;
        arena_init(&b->arena, HISTOGRAM_BYTES_MAX);
        return b;
}

static void batches_free(struct apply_batch *b)
{
        for (struct apply_batch *next; b; b = next) {
                next = b->next;
                vec_done(&b->histograms);
                arena_done(&b->arena);
                free(b);
        }
}

static void lane_init(struct apply_lane *lane, struct apply *a)
{
        *lane = (struct apply_lane){.of = a, .last = &lane->first, .min_ms = TIME_MS_MAX, .max_ms = TIME_MS_MIN};
        slab_local_init(&lane->slab, &a->h->slab);
        lane->writer = (struct series_writer){
                .slab = &lane->slab, .full = &lane->full, .chunks_created = &lane->chunks_created};
        cond_init(&lane->work);
}

void apply_init(struct apply *a, struct head *h, int threads)
{
        *a = (struct apply){.h = h, .n_lanes = threads > 1 ? (size_t)MIN(threads, APPLY_LANES_MAX) : 1};
        mutex_init(&a->mu);
        cond_init(&a->idle);
        a->lanes = mem_alloc(a->n_lanes * sizeof *a->lanes);
        for (size_t i = 0; i < a->n_lanes; i++)
                lane_init(&a->lanes[i], a);
}

/* What lanes have is the head's again. */
static void lanes_merge(struct apply *a)
{
        for (size_t i = 0; i < a->n_lanes; i++) {
                struct apply_lane *lane = &a->lanes[i];
                for (size_t k = 0; k < lane->full.n; k++)
                        vec_push(&a->h->memory_chunks, lane->full.p[k]);
                vec_clear(&lane->full);
                a->h->stats.chunks_created += lane->chunks_created;
                lane->chunks_created = 0;
        }
}

void apply_done(struct apply *a)
{
        mutex_lock(&a->mu);
        a->stop = true;
        for (size_t i = 0; i < a->n_lanes; i++)
                cond_broadcast(&a->lanes[i].work);
        mutex_unlock(&a->mu);
        for (size_t i = 0; i < a->n_lanes; i++)
                thread_join(&a->lanes[i].thread);
        lanes_merge(a);
        for (size_t i = 0; i < a->n_lanes; i++) {
                struct apply_lane *lane = &a->lanes[i];
                batches_free(lane->first);
                slab_local_done(&lane->slab);
                vec_done(&lane->full);
                cond_done(&lane->work);
        }
        for (size_t i = 0; i < a->pages.n; i++) {
                if (a->pages.p[i].filling)
                        a->pages.p[i].filling->next = NULL;
                batches_free(a->pages.p[i].filling);
        }
        if (!a->h->memory_chunks.n)
                vec_done(&a->h->memory_chunks);
        vec_done(&a->pages);
        batches_free(a->free);
        free(a->lanes);
        mutex_done(&a->mu);
        cond_done(&a->idle);
        *a = (struct apply){.lanes = NULL};
}

/* ---- putting in ---- */

static inline void note(struct apply_lane *lane, TimeMs t)
{
        lane->min_ms = MIN(lane->min_ms, t);
        lane->max_ms = MAX(lane->max_ms, t);
}

static void put_histograms(struct apply_lane *lane, struct apply_batch *b, size_t *at, size_t upto)
{
        struct head *h = lane->of->h;
        for (; *at < b->histograms.n && b->histograms.p[*at].before <= upto; ++*at) {
                const struct apply_histogram *x = &b->histograms.p[*at];
                uint32_t slot = b->page * APPLY_PAGE_SLOTS + x->slot;
                if (series_append_histogram_by(&lane->writer, h, slot, series_at(h, slot), x->t, x->h, 0))
                        note(lane, x->t);
        }
}

static void batch_apply(struct apply_lane *lane, struct apply_batch *b)
{
        struct head *h = lane->of->h;
        uint32_t first = b->page * APPLY_PAGE_SLOTS;
        struct series_slot *page = series_at(h, first);
        size_t k = 0;
        for (uint32_t i = 0; i < b->n; i++) {
                if (UNLIKELY(k < b->histograms.n))
                        put_histograms(lane, b, &k, i);
                if (LIKELY(i + 8 < b->n)) {
                        const struct series_slot *coming = &page[b->slots[i + 8]];
                        if (coming->open && !(coming->open_flags & OPEN_HISTOGRAM)) {
                                __builtin_prefetch(coming->open, 1);
                                __builtin_prefetch(coming->open + coming->app.n_bits / 8, 1);
                        }
                }
                uint32_t slot = b->slots[i];
                if (series_append_by(&lane->writer, h, first + slot, &page[slot], b->t[i], b->v[i], 0))
                        note(lane, b->t[i]);
        }
        put_histograms(lane, b, &k, b->n);
        b->n = 0;
        vec_clear(&b->histograms);
        arena_clear(&b->arena);
}

static void lane_run(void *arg)
{
        struct apply_lane *lane = arg;
        struct apply *a = lane->of;
        mutex_lock(&a->mu);
        for (;;) {
                while (!a->stop && !lane->first)
                        cond_wait(&lane->work, &a->mu);
                if (a->stop)
                        break;
                struct apply_batch *b = lane->first;
                lane->first = b->next;
                if (!lane->first)
                        lane->last = &lane->first;
                mutex_unlock(&a->mu);
                batch_apply(lane, b);
                mutex_lock(&a->mu);
                b->next = a->free;
                a->free = b;
                a->n_given--;
                cond_signal(&a->idle);
        }
        mutex_unlock(&a->mu);
}

/* ---- giving ---- */

/* A machine that refuses threads reads its log without them. */
static void start_threads(struct apply *a)
{
        a->has_threads = true;
        for (size_t i = 0; i < a->n_lanes; i++)
                error_ignore(thread_start(&a->lanes[i].thread, "wal-apply", lane_run, &a->lanes[i]), "done by the owner");
}

static void give(struct apply *a, struct apply_batch *b)
{
        struct apply_lane *lane = &a->lanes[b->page % a->n_lanes];
        a->pages.p[b->page].filling = NULL;
        a->total += b->n + b->histograms.n * HISTOGRAM_AS;
        if (!lane->thread.started) {
                batch_apply(lane, b);
                mutex_lock(&a->mu);
                b->next = a->free;
                a->free = b;
                mutex_unlock(&a->mu);
                if (a->n_lanes > 1 && !a->has_threads && a->total > THREADS_FROM)
                        start_threads(a);
                return;
        }
        b->next = NULL;
        mutex_lock(&a->mu);
        while (a->n_given >= GIVEN_MAX * a->n_lanes)
                cond_wait(&a->idle, &a->mu);
        a->n_given++;
        *lane->last = b;
        lane->last = &b->next;
        cond_signal(&lane->work);
        mutex_unlock(&a->mu);
}

void apply_series(struct apply *a, uint32_t slot)
{
        uint32_t page = slot / APPLY_PAGE_SLOTS;
        const struct series_slot *s = series_at(a->h, slot);
        TimeMs from_ms = (s->n_full || s->open) && s->last_t < TIME_MS_MAX ? s->last_t + 1 : TIME_MS_MIN;
        while (a->pages.n <= page)
                vec_push(&a->pages, (struct apply_page){.from_ms = TIME_MS_MIN});
        struct apply_page *of = &a->pages.p[page];
        of->from_ms = of->has_series ? MIN(of->from_ms, from_ms) : from_ms;
        of->has_series = true;
}

struct apply_batch *apply_open(struct apply *a, uint32_t page)
{
        if (a->pages.p[page].filling)
                give(a, a->pages.p[page].filling);
        mutex_lock(&a->mu);
        struct apply_batch *b = a->free;
        if (b)
                a->free = b->next;
        mutex_unlock(&a->mu);
        if (!b)
                b = batch_new();
        b->page = page;
        a->pages.p[page].filling = b;
        return b;
}

struct error *apply_histogram(struct apply *a, uint32_t slot, TimeMs t, struct histogram_sample x)
{
        uint32_t page = slot / APPLY_PAGE_SLOTS;
        struct apply_batch *b = a->pages.p[page].filling;
        if (t < a->pages.p[page].from_ms)
                return NULL;
        if (!b || b->histograms.n == HISTOGRAMS_MAX)
                b = apply_open(a, page);
        struct apply_histogram w = {.slot = (uint16_t)(slot % APPLY_PAGE_SLOTS), .t = t, .before = b->n};
        struct error *e = histogram_sample_dup(&b->arena, x, &w.h);
        if (!e)
                vec_push(&b->histograms, w);
        return e;
}

struct by_slot {
        struct memory_chunk chunk;
        size_t i;
};

static int by_slot(const void *a, const void *b)
{
        const struct by_slot *x = a, *y = b;
        if (x->chunk.slot != y->chunk.slot)
                return x->chunk.slot < y->chunk.slot ? -1 : 1;
        return (x->i > y->i) - (x->i < y->i);
}

/* The order in the file must not tell how many lanes there were. */
static void sort_chunks(MemoryChunkVec *v)
{
        if (v->n < 2)
                return;
        struct by_slot *all = mem_alloc(v->n * sizeof *all);
        for (size_t i = 0; i < v->n; i++)
                all[i] = (struct by_slot){v->p[i], i};
        qsort(all, v->n, sizeof *all, by_slot);
        for (size_t i = 0; i < v->n; i++)
                v->p[i] = all[i].chunk;
        free(all);
}

struct error *apply_wait(struct apply *a)
{
        for (size_t i = 0; i < a->pages.n; i++)
                if (a->pages.p[i].filling)
                        give(a, a->pages.p[i].filling);
        mutex_lock(&a->mu);
        while (a->n_given)
                cond_wait(&a->idle, &a->mu);
        mutex_unlock(&a->mu);
        lanes_merge(a);
        a->since_flush = 0;
        sort_chunks(&a->h->memory_chunks);
        return head_flush_chunks_locked(a->h);
}

struct error *apply_tidy(struct apply *a, size_t n)
{
        a->since_flush += n; /* counted by records: then it does not tell the number of lanes */
        return a->since_flush < FLUSH_AFTER + FLUSH_AFTER_EACH * load_relaxed(&a->h->n_series) ? NULL : apply_wait(a);
}

void apply_times(const struct apply *a, TimeMs *ret_min_ms, TimeMs *ret_max_ms)
{
        *ret_min_ms = TIME_MS_MAX;
        *ret_max_ms = TIME_MS_MIN;
        for (size_t i = 0; i < a->n_lanes; i++) {
                *ret_min_ms = MIN(*ret_min_ms, a->lanes[i].min_ms);
                *ret_max_ms = MAX(*ret_max_ms, a->lanes[i].max_ms);
        }
}
