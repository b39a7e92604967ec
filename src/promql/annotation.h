/* SPDX-License-Identifier: Apache-2.0 */
/* annotation.h — warnings and infos that a query collects beside its result, with upstream's texts.
 *
 *   annotations_add(&notes, ANNOTATION_INFO, pos, "PromQL info: …");
 *   annotations_finish(&notes, query, arena, &warnings, &n_warnings, &infos, &n_infos);
 *
 * One of each text (without position): the last position wins, as upstream. Sorted by text. One owner.  Upstream: util/annotations */
#ifndef PROMQL_ANNOTATION_H
#define PROMQL_ANNOTATION_H

#include "base/arena.h"
#include "base/map.h"
#include "promql/ast.h"

enum annotation_kind { ANNOTATION_WARNING, ANNOTATION_INFO };
struct annotations {
        struct arena *arena;
        struct map by_text;             /* struct annotation */
};
void annotations_init(struct annotations *a, struct arena *arena);
void annotations_done(struct annotations *a);
void annotations_add(struct annotations *a, enum annotation_kind kind, struct pos_range pos, const char *fmt, ...) PRINTF_LIKE(4, 5);
/* Texts that tell how often it happened, if more than once. */
void annotations_add_counted(struct annotations *a, enum annotation_kind kind, struct pos_range pos, size_t times, Str text);
/* Of the storage: no position is printed. */
void annotations_add_plain(struct annotations *a, Str text);
/* histogram_quantile had to force a classic histogram to be monotonic: details of all of one text are merged. */
struct forced_monotonicity {
        TimeMs min_t, max_t;
        double min_bucket, max_bucket, max_diff;
        uint64_t count;                 /* as upstream counts: one less than the samples */
};
void annotations_add_forced(struct annotations *a, struct pos_range pos, Str metric_name, const struct forced_monotonicity *f);
void annotations_finish(struct annotations *a, Str query, const Str **ret_warnings, size_t *ret_n_warnings, const Str **ret_infos, size_t *ret_n_infos);

#endif
