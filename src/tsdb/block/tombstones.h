/* SPDX-License-Identifier: Apache-2.0 */
/* tombstones.h — deleted ranges of the series of a block, and their file.
 *
 *   e = tombstones_read("dir/tombstones", &t, &bytes);       a missing file has none
 *   d = tombstones_get(t, ref, &n);
 *   tombstones_add(&changed, ref, (struct interval){a, b});  on a copy of one's own
 *   e = tombstones_write(dir, &changed);
 *
 * Intervals of a series are ascending, disjoint and not adjacent. Threads: reading any. Format: docs/format/block.md.
 * Upstream: tsdb/tombstones. */
#ifndef TSDB_BLOCK_TOMBSTONES_H
#define TSDB_BLOCK_TOMBSTONES_H

#include "base/buf.h"
#include "storage/storage.h"

struct tombstone {
        uint64_t ref;
        VEC(struct interval) intervals;
};
struct tombstones {
        VEC(struct tombstone) series;   /* ascending by ref */
};
#define TOMBSTONES_INIT {VEC_INIT}
#define TOMBSTONES_FILE "tombstones"

void tombstones_done(struct tombstones *t);
void tombstones_copy(struct tombstones *to, const struct tombstones *from);             /* to is overwritten */
const struct interval *tombstones_get(const struct tombstones *t, uint64_t ref, size_t *ret_n);
void tombstones_add(struct tombstones *t, uint64_t ref, struct interval v);             /* joined with what it touches */
uint64_t tombstones_count(const struct tombstones *t);                                  /* intervals */

/* ERROR_CORRUPT names path and what is wrong. t is empty or untouched. */
struct error *tombstones_read(const char *path, struct tombstones *t, uint64_t *ret_bytes) MUST_CHECK;
struct error *tombstones_parse(Str file, struct tombstones *t) MUST_CHECK;
void tombstones_print(struct buf *b, const struct tombstones *t);
struct error *tombstones_write(const char *dir, const struct tombstones *t) MUST_CHECK;

#endif
