/* SPDX-License-Identifier: Apache-2.0 */
/* apply.h — puts samples of the log into series while more of the log is read.
 *
 *   struct apply a;
 *   apply_init(&a, h, threads);
 *   apply_float(&a, slot, t, v);  e = apply_histogram(&a, slot, t, h);       in the order of the log
 *   e = apply_tidy(&a, n);                          after each record
 *   e = apply_wait(&a);                             now all of them are in, and full chunks are in their file
 *   apply_done(&a);                                 may drop what was not waited for
 *
 * Samples wait in a batch for each page of slots: when it is full, each series of the page has some, and page and chunks
 * are fetched into the cache once for all of them. A page belongs to a lane, a lane has a thread of its own: no series
 * is touched by two threads, and each sees its samples in their order. Nothing is locked for a sample. A batch takes some
 * 36 bytes a series. What comes out does not depend on the number of threads. Few samples are put in by the caller's
 * thread, and no other is started. Threads: one owner, which alone may change series between apply_wait and the next
 * sample. */
#ifndef TSDB_HEAD_APPLY_H
#define TSDB_HEAD_APPLY_H

#include "tsdb/head/private.h"

enum { APPLY_LANES_MAX = 8, APPLY_PAGE_SLOTS = HEAD_PAGE_SLOTS, APPLY_SAMPLES = 2 * APPLY_PAGE_SLOTS };
struct apply_histogram {
        uint16_t slot; /* of the page */
        TimeMs t;
        struct histogram_sample h;
        size_t before; /* floats of the batch that came before it */
};
struct apply_batch {
        struct apply_batch *next;
        uint32_t page;
        uint32_t n;
        uint16_t slots[APPLY_SAMPLES]; /* columns; of the page */
        TimeMs t[APPLY_SAMPLES];
        double v[APPLY_SAMPLES];
        VEC(struct apply_histogram) histograms;
        struct arena arena; /* of these */
};
struct apply_lane {
        struct apply *of;
        /* of who applies: */
        struct slab_local slab;
        struct series_writer writer;
        MemoryChunkVec full;
        uint64_t chunks_created;
        TimeMs min_ms, max_ms;
        struct thread thread;
        /* guarded by of->mu: */
        struct apply_batch *first, **last; /* given to it */
        bool is_busy;
        struct cond work;
};
struct apply_page {
        struct apply_batch *filling; /* NULL: nothing waits */
        TimeMs from_ms;              /* samples before are in chunk files, of all series of the page */
        bool has_series;
};
struct apply {
        struct head *h;
        size_t n_lanes;
        struct apply_lane *lanes;
        VEC(struct apply_page) pages;
        uint64_t since_flush, total; /* samples */
        bool has_threads;
        struct mutex mu;
        struct cond idle; /* a batch is done */
        /* guarded by mu: */
        struct apply_batch *free;
        size_t n_given; /* batches that lanes have */
        bool stop;
};
void apply_init(struct apply *a, struct head *h, int threads);
void apply_done(struct apply *a);
/* Before the first sample of a series that was just made. */
void apply_series(struct apply *a, uint32_t slot);
struct apply_batch *apply_open(struct apply *a, uint32_t page); /* a batch with room; gives a full one to its lane */
struct error *apply_histogram(struct apply *a, uint32_t slot, TimeMs t, struct histogram_sample x) MUST_CHECK;
struct error *apply_wait(struct apply *a) MUST_CHECK;
/* After each record, which had n samples: waits now and then, so that full chunks go to their file. */
struct error *apply_tidy(struct apply *a, size_t n) MUST_CHECK;
/* After a wait: what was put in; TIME_MS_MAX and TIME_MS_MIN when nothing was. */
void apply_times(const struct apply *a, TimeMs *ret_min_ms, TimeMs *ret_max_ms);

static inline void apply_float(struct apply *a, uint32_t slot, TimeMs t, double v)
{
        uint32_t page = slot / APPLY_PAGE_SLOTS;
        struct apply_page *of = &a->pages.p[page];
        struct apply_batch *b = of->filling;
        if (t < of->from_ms) /* most of a log that is long */
                return;
        if (UNLIKELY(!b || b->n == APPLY_SAMPLES))
                b = apply_open(a, page);
        b->slots[b->n] = (uint16_t)(slot % APPLY_PAGE_SLOTS);
        b->t[b->n] = t;
        b->v[b->n++] = v;
}

#endif
