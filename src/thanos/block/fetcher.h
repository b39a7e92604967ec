/* SPDX-License-Identifier: Apache-2.0 */
/* fetcher.h — which blocks are in a bucket: finds them, reads their meta.json, filters them.
 *
 *   struct meta_fetcher *f;  e = meta_fetcher_new(&opts, &f);
 *   struct block_view v = BLOCK_VIEW_INIT;
 *   e = meta_fetcher_fetch(f, &call, &v);            an error: nothing is known
 *   if (v.incomplete) …                              some could not be read: v has the others, nothing may be concluded
 * from what it lacks block_view_done(&v);
 *
 * Metas are kept in memory, and in cache_dir/meta-syncer/<ULID>/, until their block is gone. A block without meta.json,
 * or with one that is no JSON, is partial: being uploaded, or left over. Threads: one fetch at a time. Upstream: thanos
 * pkg/block/fetcher.go */
#ifndef THANOS_BLOCK_FETCHER_H
#define THANOS_BLOCK_FETCHER_H

#include "model/relabel.h"
#include "objstore/bucket.h"
#include "thanos/block/meta.h"

typedef VEC(struct thanos_meta *) ThanosMetaVec; /* ascending by ULID */

/* The states of a block that thanos_blocks_meta_synced{state} counts. */
enum block_state {
        BLOCK_CORRUPTED_META,
        BLOCK_NO_META,
        BLOCK_LOADED,
        BLOCK_TOO_FRESH,
        BLOCK_FAILED,
        BLOCK_LABEL_EXCLUDED,
        BLOCK_TIME_EXCLUDED,
        BLOCK_DUPLICATE,
        BLOCK_MARKED_FOR_DELETION,
        BLOCK_MARKED_FOR_NO_COMPACT,
        BLOCK_N_STATES,
};
/* An end of what is served: a time, or a distance from now that moves with it. */
struct time_bound {
        int64_t ms;
        bool is_relative;
};
static inline TimeMs time_bound_at(struct time_bound b, TimeMs now_ms)
{
        return b.is_relative ? now_ms + b.ms : b.ms;
}
struct block_filter_run {
        struct bucket *bucket;
        const struct bucket_call *call;
        TimeMs now_ms;
        int concurrency;
        size_t count[BLOCK_N_STATES];
};
struct block_filter {
        /* Takes metas out, unrefs them and counts why. */
        struct error *(*run)(struct block_filter *f, struct block_filter_run *r, ThanosMetaVec *metas);
        void (*free)(struct block_filter *f);
};
struct block_filter *block_filter_time(struct time_bound min, struct time_bound max); /* both inclusive */
struct block_filter *block_filter_relabel(const struct relabel_rule *rules,
                                          size_t n); /* borrowed; keeps what has labels after */
struct block_filter *block_filter_consistency(int64_t delay_ms);
struct block_filter *block_filter_deletion_mark(int64_t delay_ms);
struct block_filter *block_filter_duplicates(void);
/* Without a meta of the vector: unref, count, close the gap. For filters of other files. */
void block_filter_drop(struct block_filter_run *r, ThanosMetaVec *metas, const bool *drop, enum block_state why);

struct meta_fetcher_opts {
        struct bucket *bucket;              /* borrowed */
        const char *cache_dir;              /* NULL: metas are kept in memory only */
        int concurrency;                    /* 0: 32 */
        bool is_recursive;                  /* one listing of all objects instead of a look at each block */
        const struct clock *clock;          /* NULL: the system's */
        struct metric_registry *metrics;    /* NULL: none */
        struct block_filter **take_filters; /* run in order; NULL-terminated; the array is borrowed */
};
struct meta_fetcher;
struct error *meta_fetcher_new(const struct meta_fetcher_opts *o, struct meta_fetcher **ret) MUST_CHECK;
void meta_fetcher_free(struct meta_fetcher *f); /* NULL is fine */

struct block_partial {
        Ulid id;
        char *why; /* owned */
};
struct block_view {
        ThanosMetaVec metas; /* references */
        VEC(struct block_partial) partial;
        struct error *incomplete; /* "incomplete view: …"; NULL: all was read */
};
#define BLOCK_VIEW_INIT {VEC_INIT, VEC_INIT, NULL}
void block_view_done(struct block_view *v);
struct error *meta_fetcher_fetch(struct meta_fetcher *f, const struct bucket_call *c,
                                 struct block_view *ret) MUST_CHECK;

#endif
