/* SPDX-License-Identifier: Apache-2.0 */
/* merge.h — many sources as one: series sets joined by labels, queriers and storages over their parts.
 *
 *   struct querier *parts[] = {head_q, block_q};
 *   e = merge_querier_new(&arena, parts, 2, &q);    takes the parts, also when it fails; querier_close(q) closes them
 *
 * Where two parts have the same series its chunk lists are joined, ascending by first time; the earlier part's samples win where timestamps
 * are equal and chunks begin together. Deletions of one part never hide samples of another: then the chunks concerned are encoded anew.
 * Threads: as the parts. */
#ifndef STORAGE_MERGE_H
#define STORAGE_MERGE_H

#include "storage/storage.h"

/* The sets must be sorted by labels_cmp; the array is copied. n = 1 gives the set itself. What next() gives lives as long as the arena; or, with a
 * scratch arena, until the next call, which clears it: bounded memory, and the inputs need not keep theirs longer either. */
struct error *merge_series_sets(struct arena *arena, struct arena *scratch, struct series_set *const *sets, size_t n, struct series_set **ret) MUST_CHECK;

/* One querier over n (0 is fine: it is empty). A part that fails fails the whole: parts whose loss is bearable turn it into a warning themselves. */
struct error *merge_querier_new(struct arena *arena, struct querier *const *take_parts, size_t n, struct querier **ret) MUST_CHECK;

/* A read-only storage over parts that outlive it; free() it with merge_storage_free. */
struct storage *merge_storage_new(struct storage *const *parts, size_t n);
void merge_storage_free(struct storage *s);             /* NULL is fine */

/* A set over series in memory, for tests and small answers: sorted by labels if it shall be merged. Borrowed. */
struct series_set *series_set_of(struct arena *arena, const struct series *s, size_t n);

#endif
