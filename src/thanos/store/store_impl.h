/* SPDX-License-Identifier: Apache-2.0 */
/* store_impl.h — the bucket store from inside: blocks, ranged reads, streams of one block. For the files of this
 * folder. */
#ifndef THANOS_STORE_STORE_IMPL_H
#define THANOS_STORE_STORE_IMPL_H

#include "base/pool.h"
#include "base/thread.h"
#include "thanos/block/index_header.h"
#include "thanos/store/bucket_store.h"
#include "thanos/store/page_cache.h"

struct store_metrics {
        struct metric *loads, *load_failures, *drops, *loaded, *last_loaded, *load_seconds;
        struct metric *blocks_queried, *result_series, *dropped_series, *dropped_chunks, *dropped_bytes;
        struct metric *touched[3], *fetched[3], *touched_bytes[3], *fetched_bytes[3]; /* postings, series, chunks */
        struct metric *all_seconds, *gate_seconds, *gate_max, *gate_now;
};
enum { DATA_POSTINGS, DATA_SERIES, DATA_CHUNKS };

/* A block that lies in the bucket. Lives as long as its references: sets that read it outlive its removal. */
struct store_block {
        int refs; /* atomic */
        struct bucket_store *store;
        struct thanos_meta *meta;
        uint64_t cache_id; /* in the page cache */
        char *header_path; /* NULL: in header_bytes */
        char *index_name;
        char **chunk_names; /* one for each segment */
        size_t n_chunk_names;
        uint32_t chunk_guess; /* bytes of a chunk whose size nothing tells */
        struct mutex mu;      /* guards: */
        struct buf header_bytes;
        struct index_header *header; /* NULL: not open */
        int header_users;
        int64_t header_used_ms; /* monotonic */
};
struct error *store_block_new(struct bucket_store *s, struct thanos_meta *m, const struct bucket_call *c,
                              struct store_block **ret) MUST_CHECK;
struct store_block *store_block_ref(struct store_block *b);
void store_block_unref(struct store_block *b); /* NULL is fine */
/* Opens it, builds or rebuilds it when need be. Strings from it are valid until put. */
struct error *store_block_header(struct store_block *b, const struct bucket_call *c,
                                 const struct index_header **ret) MUST_CHECK;
void store_block_header_put(struct store_block *b);
void store_block_close_idle(struct store_block *b, int64_t before_ms);
void store_block_remove_files(struct store_block *b);

struct bucket_store {
        struct bucket_store_opts o;
        struct storage storage;
        struct page_cache *pages;
        struct pool *io;
        struct store_metrics m;
        uint64_t next_cache_id;
        uint64_t chunk_bytes; /* atomic: in use by all selects */
        bool has_cleaned;     /* the data directory, once */

        struct mutex gate_mu; /* guards: */
        struct cond gate_cond;
        int gate_used;

        struct rwlock lock;               /* guards: */
        VEC(struct store_block *) blocks; /* ascending by ULID */
};

/* The labels that all series of the block have besides their own. */
static inline Labels store_block_external(const struct store_block *b)
{
        return b->store->o.is_bare ? (Labels){NULL, 0} : b->meta->labels;
}

/* --- limits of one request, counted over its blocks --- */

struct store_limits {
        struct bucket_store *store;
        uint64_t series, chunks, bytes; /* atomic */
};
struct error *store_limit_series(struct store_limits *l, uint64_t n) MUST_CHECK;
struct error *store_limit_chunks(struct store_limits *l, uint64_t n) MUST_CHECK;
struct error *store_limit_bytes(struct store_limits *l, uint64_t n, const char *while_what) MUST_CHECK;

/* --- ranges --- */

struct range {
        uint64_t at, end;
};
/* Sorts, and joins what is not further apart than gap while a part stays within max bytes. Gives the number of parts.
 */
size_t ranges_join(struct range *r, size_t n, uint64_t gap, uint64_t max);

/* --- pages of one index, for one reader --- */

struct page_slot {
        uint64_t number;
        struct page *page;
};
struct index_pages {
        struct store_block *block;
        const struct bucket_call *call;
        VEC(struct page_slot) slots; /* ascending; references */
        size_t last;                 /* where the last look-up ended */
        uint64_t fetched_bytes;
};
void index_pages_clear(struct index_pages *p);
void index_pages_done(struct index_pages *p);
/* Brings all pages that the ranges touch, in few reads. The array is changed. */
struct error *index_pages_fetch(struct index_pages *p, struct range *r, size_t n, enum page_kind what) MUST_CHECK;
/* n bytes at a place: in their page, or put together in the arena. Pages that are missing are read. ERROR_CORRUPT past
 * the end of the object. */
struct error *index_pages_bytes(struct index_pages *p, uint64_t at, uint64_t n, enum page_kind what,
                                struct arena *arena, Str *ret) MUST_CHECK;
/* What of the page of `at` is there from at on: at least one byte. */
struct error *index_pages_view(struct index_pages *p, uint64_t at, enum page_kind what, Str *ret) MUST_CHECK;

/* --- which series match --- */

struct store_postings {
        uint32_t *refs; /* as in the index, ascending */
        size_t n;
        const struct matcher **rest; /* to be asked of the labels */
        size_t n_rest;
};
struct error *store_postings_find(struct store_block *b, const struct index_header *h, struct index_pages *pages,
                                  const struct matcher *const *m, size_t n_m, struct store_limits *limits,
                                  struct arena *arena, struct store_postings *ret) MUST_CHECK;

/* --- the series of one block, in the order of their full labels --- */

struct stream_chunk {
        TimeMs mint_ms, maxt_ms;
        uint64_t ref;
        uint32_t bytes; /* no more than this, as far as the index tells; 0: unknown */
};
struct stream_series {
        Labels labels;
        const struct stream_chunk *chunks;
        size_t n_chunks;
};
struct block_stream;
/* n_streams: that are open beside each other. matchers: without those on external labels. Valid as long as the stream: what the request points to. */
struct error *block_stream_new(struct store_block *b, const struct store_request *r, const struct matcher *const *m,
                               size_t n_m, const struct bucket_call *c, struct store_limits *limits,
                               uint64_t window_bytes, size_t n_streams, struct block_stream **ret) MUST_CHECK;
void block_stream_free(struct block_stream *s); /* NULL is fine */
/* Valid until the next call. */
struct error *block_stream_next(struct block_stream *s, struct store_series *ret, bool *ret_more) MUST_CHECK;

/* --- chunks --- */

struct chunk_window; /* bytes of the chunks of some series */
/* Reads chunks of series[0 … n). Gives for each its chunks, in order, in the window's memory. */
struct error *chunk_window_read(struct store_block *b, const struct stream_series *series, size_t n,
                                unsigned aggregates, const struct bucket_call *c, struct store_limits *limits,
                                struct arena *arena, struct store_chunk **ret_chunks,
                                struct chunk_window **ret) MUST_CHECK;
void chunk_window_free(struct chunk_window *w); /* NULL is fine */

struct error *store_over_budget(const struct arena *a) MUST_CHECK;
struct error *store_call_check(const struct bucket_call *c) MUST_CHECK; /* NULL while it may go on */
/* The matchers that the external labels do not answer; false: they say no. */
bool store_matchers_without(Labels external, const struct matcher *const *m, size_t n, const struct matcher **ret,
                            size_t *ret_n);
/* waits: for a turn at the gate. Who opens several sets at once must not: they could wait for each other. */
struct error *store_select(struct bucket_store *s, const struct store_request *r, const struct bucket_call *c,
                           bool waits, struct store_set **ret) MUST_CHECK;
/* Overlapping blocks by resolution, references; ascending by set of labels, then time. */
typedef VEC(struct store_block *) StoreBlockVec;
void bucket_store_choose(struct bucket_store *s, const struct store_request *r, StoreBlockVec *ret);

#endif
