/* SPDX-License-Identifier: Apache-2.0 */
/* exemplars.h — the newest exemplars of all series, in memory, in a ring of fixed size.
 *
 *   struct exemplars *x = exemplars_new(100000, window_ms);
 *   e = exemplars_add(x, series_labels, &exemplar);         the oldest one added goes when the ring is full
 *   e = exemplars_select(x, mint, maxt, selectors, n, &arena, &found);
 *
 * Labels are copied. Of a series they are kept ascending by time; one that is older than the newest is taken within a window. An exemplar
 * without a timestamp of its own counts as the same as the newest one whatever the time. Threads: any.  Upstream: tsdb/exemplar.go. */
#ifndef STORAGE_EXEMPLARS_H
#define STORAGE_EXEMPLARS_H

#include "storage/storage.h"

struct exemplars;
enum { EXEMPLAR_RUNES_MAX = 128, EXEMPLARS_MAX = 1 << 30 };

/* max 0: the storage is off, nothing is taken. */
struct exemplars *exemplars_new(int64_t max, int64_t window_ms);
void exemplars_free(struct exemplars *x);               /* NULL is fine */
bool exemplars_is_on(struct exemplars *x);

/* NULL: it would be taken. Else a sentinel: error_duplicate_exemplar (to be ignored), error_out_of_order_exemplar, error_exemplar_labels,
 * error_exemplars_disabled. Nothing is counted. */
struct error *exemplars_check(struct exemplars *x, Labels series, const struct exemplar *e) MUST_CHECK;
/* The same, and takes it. Duplicates are NULL. */
struct error *exemplars_add(struct exemplars *x, Labels series, const struct exemplar *e) MUST_CHECK;

void exemplars_resize(struct exemplars *x, int64_t max);                /* a smaller ring keeps the newest */
void exemplars_set_window(struct exemplars *x, int64_t window_ms);

struct exemplar_selector {
        const struct matcher *const *m;
        size_t n;
};
struct exemplar_series {
        Labels labels;
        const struct exemplar *v;       /* ascending by time */
        size_t n;
};
typedef VEC(struct exemplar_series) ExemplarSeriesVec;
/* Of series that one of the selectors matches, in the order of labels; all but the vector is the arena's. ERROR_LIMIT past its budget. */
struct error *exemplars_select(struct exemplars *x, TimeMs mint_ms, TimeMs maxt_ms, const struct exemplar_selector *s, size_t n_s,
                               struct arena *arena, ExemplarSeriesVec *ret) MUST_CHECK;
/* All, in the order in which they were added: for snapshots. fn must not call back. An error ends it. */
struct error *exemplars_each(struct exemplars *x, struct error *(*fn)(void *ctx, Labels series, const struct exemplar *e), void *ctx) MUST_CHECK;

struct exemplar_stats {
        uint64_t max, stored, series, appended, out_of_order;
        TimeMs oldest_ms;               /* of the oldest one added; 0: none */
};
void exemplars_get_stats(struct exemplars *x, struct exemplar_stats *ret);

#endif
