/* SPDX-License-Identifier: Apache-2.0 */
/* meta.h — meta.json of a block: what it holds and what it came from.
 *
 *   struct block_meta m = BLOCK_META_INIT;
 *   e = block_meta_read(dir, &m);  ...  block_meta_done(&m);
 *
 * Keys that we do not know (thanos, …) are kept byte for byte and written again after ours. Format: docs/format/block.md.
 * Upstream: tsdb/block.go, BlockMeta. */
#ifndef TSDB_BLOCK_META_H
#define TSDB_BLOCK_META_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/ulid.h"
#include "base/vec.h"

struct block_stats {
        uint64_t samples, float_samples, histogram_samples, series, chunks, tombstones;
};
struct block_desc {
        Ulid ulid;
        TimeMs mint_ms, maxt_ms;
};
enum block_hint {               /* bits */
        BLOCK_HINT_OUT_OF_ORDER = 1,
        BLOCK_HINT_SELECTED_SERIES = 2,
        BLOCK_HINT_STALE_SERIES = 4,
};
struct block_meta {
        Ulid ulid;
        TimeMs mint_ms, maxt_ms;        /* maxt is exclusive */
        struct block_stats stats;
        int level;
        VEC(Ulid) sources;
        VEC(struct block_desc) parents;
        bool deletable, failed;
        unsigned hints;                 /* enum block_hint */
        VEC(char *) other_hints;        /* that we have no bit for, as JSON strings */
        char *extra;                    /* members that we do not know, as JSON text "\"k\": v,\n\t…", values byte for byte; NULL: none */
};
#define BLOCK_META_INIT {.level = 0}
#define BLOCK_META_FILE "meta.json"

void block_meta_done(struct block_meta *m);
void block_meta_copy(struct block_meta *to, const struct block_meta *from);    /* to is overwritten, not freed */
/* ERROR_NOT_FOUND without the file, ERROR_CORRUPT for bad JSON or another version. */
struct error *block_meta_read(const char *dir, struct block_meta *ret) MUST_CHECK;
/* Also version 2, which Prometheus 2.1 wrote by mistake: see block_repair_version. */
struct error *block_meta_read_any(const char *dir, struct block_meta *ret, int64_t *ret_version) MUST_CHECK;
struct error *block_meta_parse(Str json, struct block_meta *ret) MUST_CHECK;
struct error *block_meta_write(const char *dir, const struct block_meta *m) MUST_CHECK;
void block_meta_print(struct buf *b, const struct block_meta *m);              /* as Go's MarshalIndent(m, "", "\t"), no newline at the end */
/* What merging blocks gives: range over all, level one above the highest, sources united, parents, hints. stats are zero. */
void block_meta_merge(Ulid ulid, const struct block_meta *const *metas, size_t n, struct block_meta *ret);

#endif
