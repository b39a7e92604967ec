/* SPDX-License-Identifier: Apache-2.0 */
/* compact.h — which blocks to merge, and merging them.
 *
 *   e = compact_plan(ranges_ms, n_ranges, metas, n, &picked);      indexes into metas; none: nothing to do
 *   e = compact_blocks(data_dir, blocks, n, &opts, &new_ulid, &written);
 *   n_ranges = compact_ranges(2 h, max, ranges);                   2h, 6h, 18h, …
 *
 * Threads: pure, or one compaction at a time per directory.  Upstream: tsdb/compact.go. */
#ifndef TSDB_COMPACT_COMPACT_H
#define TSDB_COMPACT_COMPACT_H

#include "tsdb/block/block.h"

enum { COMPACT_RANGES_MAX = 10, COMPACT_STEP = 3 };

/* Fills ret with min_ms, min_ms * 3, … not above max_ms (but always min_ms); returns how many. */
size_t compact_ranges(int64_t min_ms, int64_t max_ms, int64_t ret[COMPACT_RANGES_MAX]);

typedef VEC(size_t) IndexVec;
/* The next merge to do: overlapping blocks first, then full ranges, then single blocks with more than 5 % tombstones; never the newest block
 * but for overlaps. Blocks whose merge failed are passed over (upstream tries overlaps again). Appends indexes into metas, in order of mint; nothing when there is nothing to do. */
void compact_plan(const int64_t *ranges_ms, size_t n_ranges, const struct block_meta *const *metas, size_t n, bool allow_overlap, IndexVec *ret);

/* Merges blocks (in order of mint) into a new one below dir. *ret_written is false when nothing was left: then the sources were marked deletable.
 * When it fails the sources are marked as failed, but not after ERROR_CANCELLED. Sources stay: the new block names them as parents. */
struct error *compact_blocks(const char *dir, struct block *const *blocks, size_t n, const struct block_write_opts *opts, Ulid *ret_ulid,
                             bool *ret_written) MUST_CHECK;
/* Rewrites one block without its deleted samples, as a new level 1 block with it as parent (clean_tombstones). Same results as compact_blocks. */
struct error *compact_tombstones(const char *dir, struct block *b, const struct block_write_opts *opts, Ulid *ret_ulid, bool *ret_written) MUST_CHECK;

#endif
