/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_store.h — the blocks of a bucket, read where they lie: indexes and chunks by ranges, never whole.
 *
 *   struct bucket_store *s;  e = bucket_store_new(&opts, &s);
 *   e = bucket_store_sync(s, &call);                now and then: new blocks come, gone ones go
 *   struct store_set *set;  e = bucket_store_select(s, &request, &call, &set);
 *   for (;;) { struct store_series x; bool more; e = store_set_next(set, &x, &more); if (e || !more) break; send(x); }
 *   store_set_free(set);
 *
 *   struct storage *st = bucket_store_storage(s);   the same as a waist: raw data, external labels merged
 *
 * Series come sorted by their full labels: external ones in, replica labels out. Blocks with the same series give one,
 * its chunks joined, identical ones once. Blocks are chosen for each set of external labels: the coarsest resolution
 * that is allowed, holes filled by finer ones. Memory: pages of indexes within index_cache_bytes for all; a select
 * holds the postings of its matchers and, of each block, one batch of series and one window of chunks. Chunk bytes of
 * all selects stay within chunk_pool_bytes. Threads: any; sync: one at a time. Format: docs/format/. Upstream: thanos
 * pkg/store/bucket.go */
#ifndef THANOS_STORE_BUCKET_STORE_H
#define THANOS_STORE_BUCKET_STORE_H

#include "base/metric.h"
#include "storage/storage.h"
#include "thanos/block/fetcher.h"
#include "thanos/storeapi/series.h"

struct bucket_store_opts {
        struct bucket *bucket;                      /* borrowed */
        struct meta_fetcher *fetcher;               /* borrowed */
        const char *data_dir;                       /* index-headers; NULL: kept in memory */
        uint64_t index_cache_bytes;                 /* 0: 250 MiB */
        uint64_t chunk_pool_bytes;                  /* 0: 2 GiB */
        uint64_t series_max, chunks_max, bytes_max; /* of one request; 0: no limit */
        int selects_max;                            /* at once, others wait; 0: 20 */
        int sync_threads;                           /* 0: 20 */
        int io_threads;                             /* ranged reads of all selects, beside them; 0: by the provider */
        size_t series_batch;                        /* of one block, at most; 0: 10000 */
        size_t series_all, series_least;            /* of all blocks of a select together, but of each so many; 0: by the provider */
        uint64_t chunk_window_bytes;                /* of all blocks of a select; 0: by the provider */
        uint64_t gap_bytes;                         /* ranges closer than this are read as one; 0: by the provider */
        bool is_lazy_header;                        /* headers are opened by the first query, and closed when idle */
        bool is_lazy_download;                      /* and built by it */
        int64_t header_idle_ms;                     /* 0: 5 min */
        bool has_bounds;                 /* of what is served: */
        struct time_bound min, max;
        bool adds_compatibility_label;
        bool is_bare; /* series are as they lie in the blocks: external labels are neither added nor asked by matchers */
        struct metric_registry *metrics; /* NULL: none */
};
struct bucket_store;
struct error *bucket_store_new(const struct bucket_store_opts *o, struct bucket_store **ret) MUST_CHECK;
void bucket_store_free(struct bucket_store *s); /* when no set is open; NULL is fine */
/* One block that cannot be loaded is told in the log and tried again next time. An error: the view of the bucket is not
 * complete; what is new was taken all the same, nothing was dropped. */
struct error *bucket_store_sync(struct bucket_store *s, const struct bucket_call *c) MUST_CHECK;
void bucket_store_close_idle(struct bucket_store *s); /* with lazy headers: call each half minute or so */

/* --- what is there --- */

struct store_tsdb {
        Labels labels;
        TimeMs mint_ms, maxt_ms;
};
struct store_info {
        TimeMs mint_ms, maxt_ms;  /* without blocks: TIME_MS_MAX, TIME_MS_MIN */
        const Labels *label_sets; /* sorted; the compatibility label last */
        size_t n_label_sets;
        const struct store_tsdb *tsdbs; /* blocks of a label set that touch, joined */
        size_t n_tsdbs;
};
void bucket_store_info(struct bucket_store *s, struct arena *arena, struct store_info *ret);
/* The metas of all loaded blocks, ascending by ULID; references of the caller. */
void bucket_store_metas(struct bucket_store *s, ThanosMetaVec *ret);

/* --- series --- */

struct store_request {
        TimeMs mint_ms, maxt_ms; /* both inclusive */
        const struct matcher *const *matchers;
        size_t n_matchers;
        int64_t max_resolution_ms;
        unsigned aggregates; /* bits by enum store_aggregate; of downsampled blocks */
        bool skip_chunks;
        const Str *without; /* replica labels: they are taken out */
        size_t n_without;
        struct store_shard shard;
        const struct matcher *const *block_matchers; /* of external labels and __block_id */
        size_t n_block_matchers;
        size_t limit;              /* series; 0: none */
        bool all_without_matchers; /* when external labels answer all matchers: everything; else nothing, as the
                                      original has it */
};
struct store_series {
        Labels labels;
        const struct store_chunk *chunks;
        size_t n_chunks;
};
struct store_set;
/* What the request points to is borrowed until the set is freed. Errors: ERROR_LIMIT with the original's texts
 * ("exceeded series limit: …"), else what the bucket had, with the block in front. */
struct error *bucket_store_select(struct bucket_store *s, const struct store_request *r, const struct bucket_call *c,
                                  struct store_set **ret) MUST_CHECK;
struct error *store_set_next(struct store_set *set, struct store_series *ret,
                             bool *ret_more) MUST_CHECK;                  /* valid until the next call */
const Ulid *store_set_blocks(const struct store_set *set, size_t *ret_n); /* that are asked: borrowed from the set */
void store_set_free(struct store_set *set);                               /* NULL is fine */

/* --- labels: sorted, unique; strings in the arena. blocks gets the ULIDs that were asked; NULL: not wanted --- */

typedef VEC(Ulid) UlidVec;
/* Of the request: times, matchers, without, block_matchers, limit. */
struct error *bucket_store_label_names(struct bucket_store *s, const struct store_request *r,
                                       const struct bucket_call *c, struct arena *arena, StrVec *ret,
                                       UlidVec *blocks) MUST_CHECK;
struct error *bucket_store_label_values(struct bucket_store *s, Str name, const struct store_request *r,
                                        const struct bucket_call *c, struct arena *arena, StrVec *ret,
                                        UlidVec *blocks) MUST_CHECK;

/* Raw blocks as a storage, read only; borrowed, as long as the store. */
struct storage *bucket_store_storage(struct bucket_store *s);

#endif
