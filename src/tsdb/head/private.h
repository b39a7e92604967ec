/* SPDX-License-Identifier: Apache-2.0 */
/* private.h — the inside of the head.
 *
 * Writers (commit, gc, delete, stats of the mapper) hold h->mu; commits are applied under it one after another.
 * Appending to a known series takes no lock at all. A series' chunks are read and changed under its stripe: 64
 * neighbouring slots share one, so that a scrape, whose series are neighbours, locks rarely.
 *
 * Invariants
 *  1. Slots' memory is never given back; a reader may look at any slot at any time. gen tells whether it is the series
 * that was meant.
 *  2. A slot whose pending count is not 0 is not removed; SERIES_DEAD in the count says that it was.
 *  3. What a querier may point to (values of pairs, maps of chunk files) is retired, and freed when all queriers of
 * that time are closed.
 *  4. A series' record is in the log before its first sample: whichever commit comes first writes it.
 * Lock order: mu, index, stripe, then the leaves retired_mu, slab, the table of ooo.h and the logs'. */
#ifndef TSDB_HEAD_PRIVATE_H
#define TSDB_HEAD_PRIVATE_H

#include "base/list.h"
#include "base/thread.h"
#include "storage/chunk/histogram.h"
#include "storage/chunk/xor.h"
#include "tsdb/block/tombstones.h"
#include "tsdb/head/head.h"
#include "tsdb/head/index.h"
#include "tsdb/head/mapper.h"
#include "tsdb/head/ooo.h"
#include "tsdb/head/slab.h"

enum {
        HEAD_PAGE_SLOTS = 1024,
        HEAD_PAGES_MAX = 1 << 17, /* 134 M series */
        HEAD_STRIPES = 256,
        HEAD_STRIPE_SHIFT = 6,
        HEAD_ISOLATED = 4,           /* newest samples of a series whose commits are known */
        CHUNK_BYTES_MAX = 1024 - 19, /* before an append; upstream: chunkenc.MaxBytesPerXORChunkBeforeAppend */
};
#define SERIES_DEAD UINT32_C(0x80000000)

struct full_chunk {       /* of a series, ascending */
        const uint8_t *p; /* slab while is_memory, else in a map */
        TimeMs mint_ms;
        uint32_t span_ms; /* to its last sample */
        uint32_t n_bytes : 27, is_memory : 1, encoding : 4;
};
enum {
        SERIES_LOGGED = 1,
        SERIES_SEEN = 2, /* while a commit looks for series that it has twice */
};
enum {
        OPEN_HISTOGRAM =
                1, /* the open chunk is a struct histogram_chunk on the heap, and app holds its newest time only */
        OPEN_HAS_END = 2, /* its end was computed from its size */
        OPEN_HAS_OOO = 4, /* not of the open chunk: the series has out-of-order samples, see ooo.h */
};
struct series_slot {
        uint64_t wal_ref;
        uint32_t gen;     /* atomic */
        uint32_t pending; /* atomic: appenders that have samples for it, and SERIES_DEAD */
        TimeMs last_t;    /* atomic; TIME_MS_MIN: no sample */
        uint64_t last_v;  /* atomic; bits */
        /* guarded by mu for writing and the stripe for both: */
        struct xor_appender app;
        uint8_t *open; /* slab (or a struct histogram_chunk, see open_flags); NULL: no open chunk */
        TimeMs open_mint_ms, next_at_ms;
        struct full_chunk *full; /* slab */
        uint16_t n_full, cap_full, cap_open;
        uint8_t flags, newest; /* newest: of commits */
        uint32_t commits[HEAD_ISOLATED];
        /* guarded by the index lock: */
        uint32_t *pairs; /* slab */
        uint32_t hash;
        uint16_t n_pairs;
        uint8_t open_flags; /* guarded as open is; here because there is room */
};

struct retired {
        void *p;
        size_t n;
        bool is_map;
        uint64_t querier; /* freed when no querier up to this number is open */
};
struct memory_chunk { /* a full chunk that is not in a file yet */
        uint32_t slot, gen;
        const uint8_t *p;
        bool is_out_of_order; /* of ooo.h */
};
struct wal_expiry {
        uint64_t ref;
        TimeMs keep_until_ms;
};
typedef VEC(struct memory_chunk) MemoryChunkVec;
/* What a thread that changes series brings along: where blocks come from and full chunks are told. */
struct series_writer {
        struct slab_local *slab; /* NULL: the head's slab itself */
        MemoryChunkVec *full;
        uint64_t *chunks_created;
};
struct head_appender;
struct head {
        struct storage base;
        struct head_opts opts;
        char *dir, *wal_dir;
        const struct disk *disk;
        int samples_per_chunk;
        struct slab slab;
        struct series_slot *pages[HEAD_PAGES_MAX]; /* atomic */
        struct mutex stripes[HEAD_STRIPES];

        TimeMs min_ms, max_ms, min_valid_ms; /* atomic */
        uint32_t applied;                    /* atomic: number of the newest finished commit */
        uint64_t appenders;                  /* atomic: open ones */
        uint64_t n_series;                   /* atomic */
        uint64_t series_created;             /* atomic */

        struct mutex truncate_mu; /* one truncation at a time; before mu */
        struct mutex mu;          /* guards all below; see above */
        struct wal *wal;
        struct mapper *mapper;
        MemoryChunkVec memory_chunks;
        struct series_writer writer; /* of who holds mu */
        uint64_t next_wal_ref;
        struct tombstones tombstones; /* by slot */
        VEC(struct wal_expiry) expiries;
        TimeMs wal_truncated_ms;
        struct head_stats stats;
        struct buf series_rec;
        struct wal_batch series_batch;
        struct ooo ooo; /* but for what it says itself */
        struct exemplars *exemplars; /* has its own lock, a leaf */

        struct rwlock index_lock; /* guards all below */
        struct index index;
        uint32_t *table; /* slot + 1 by the hash of its pairs, four bits of which are on top */
        uint64_t n_made; /* series, ever */
        uint32_t table_cap, n_slots;
        SlotVec free_slots;

        struct mutex retired_mu; /* guards all below */
        VEC(struct retired) retired;
        struct list queriers; /* by number, oldest first */
        uint64_t next_querier;
        uint64_t out_of_order, out_of_bounds, duplicates, too_old; /* atomic */

        struct mutex spare_mu; /* guards all below */
        VEC(struct head_appender *) spare;
};

static inline struct series_slot *series_at(const struct head *h, uint32_t slot)
{
        /* A slot number reaches another thread through a lock or a reference, so the page was there before. */
        struct series_slot *page = __atomic_load_n(&h->pages[slot / HEAD_PAGE_SLOTS], __ATOMIC_ACQUIRE);
        return &page[slot % HEAD_PAGE_SLOTS];
}
static inline struct mutex *stripe_of(struct head *h, uint32_t slot)
{
        return &h->stripes[(slot >> HEAD_STRIPE_SHIFT) % HEAD_STRIPES];
}
/* Single words that are read without a lock: they carry no other data with them. */
#define load_relaxed(p)     __atomic_load_n((p), __ATOMIC_RELAXED)
#define store_relaxed(p, v) __atomic_store_n((p), (v), __ATOMIC_RELAXED)
#define add_relaxed(p, v)   __atomic_fetch_add((p), (v), __ATOMIC_RELAXED)

static inline SeriesRef ref_of(uint32_t slot, uint32_t gen)
{
        return (uint64_t)gen << 32 | (slot + 1);
}

struct head_querier {
        struct querier base;
        struct list link; /* in h->queriers, oldest first */
        uint64_t number;
        struct head *h;
        struct arena *arena;
        TimeMs mint_ms, maxt_ms;
        uint32_t commit; /* the newest that it shows */
        bool no_in_order, no_out_of_order;
        uint64_t ooo_upto; /* numbers of out-of-order chunks; 0: all */
};

/* series.c */
uint32_t series_find(const struct head *h, Labels ls); /* index lock held; UINT32_MAX: none */
/* mu need not be held. Pinned when pin. */
uint32_t series_get_or_make(struct head *h, Labels ls, uint64_t wal_ref, bool pin, bool *ret_made);
/* The same while the index lock is held for writing. `like` and its pairs: see pairs_make. pairs has room for ls.n. */
uint32_t series_get_or_make_locked(struct head *h, struct series_writer *w, Labels ls, Labels like,
                                   const uint32_t *like_pairs, uint32_t *pairs, uint64_t wal_ref, bool *ret_made);
bool series_pin(struct head *h, uint32_t slot, uint32_t gen); /* false: it is gone */
void series_unpin(struct head *h, uint32_t slot);
void series_remove_locked(struct head *h, uint32_t slot); /* mu and index lock (writing) held; it is dead already */
Labels series_labels(const struct head *h, const struct series_slot *s,
                     struct arena *a); /* index lock held; NULL v: over budget */
/* mu and stripe held. False: not newer than the newest. */
bool series_append_by(struct series_writer *w, struct head *h, uint32_t slot, struct series_slot *s, TimeMs t,
                      double v, uint32_t commit);
/* The same for a histogram. */
bool series_append_histogram_by(struct series_writer *w, struct head *h, uint32_t slot, struct series_slot *s, TimeMs t,
                                struct histogram_sample x, uint32_t commit);
/* A float staleness marker of a series whose newest sample is a histogram is one of that kind. */
bool series_append_stale_by(struct series_writer *w, struct head *h, uint32_t slot, struct series_slot *s, TimeMs t,
                            double v, uint32_t commit);
static inline bool series_append_locked(struct head *h, uint32_t slot, struct series_slot *s, TimeMs t, double v,
                                        uint32_t commit)
{
        return series_append_by(&h->writer, h, slot, s, t, v, commit);
}
static inline bool series_append_histogram_locked(struct head *h, uint32_t slot, struct series_slot *s, TimeMs t,
                                                  struct histogram_sample x, uint32_t commit)
{
        return series_append_histogram_by(&h->writer, h, slot, s, t, x, commit);
}
static inline bool series_append_stale_locked(struct head *h, uint32_t slot, struct series_slot *s, TimeMs t, double v,
                                              uint32_t commit)
{
        return series_append_stale_by(&h->writer, h, slot, s, t, v, commit);
}
static inline void *writer_alloc(const struct series_writer *w, struct head *h, size_t n)
{
        return w->slab ? slab_local_alloc(w->slab, n) : slab_alloc(&h->slab, n);
}
static inline void writer_free(const struct series_writer *w, struct head *h, void *p, size_t n)
{
        if (w->slab)
                slab_local_free(w->slab, p, n);
        else
                slab_free(&h->slab, p, n);
}
/* A copy of the open one, full. */
void series_chunk_keep(struct series_writer *w, struct head *h, uint32_t slot, struct series_slot *s);
void series_chunk_finish(struct series_writer *w, struct head *h, uint32_t slot, struct series_slot *s);
static inline struct histogram_chunk *series_histogram(const struct series_slot *s) /* NULL: the open chunk is none */
{
        return s->open && (s->open_flags & OPEN_HISTOGRAM) ? (struct histogram_chunk *)(void *)s->open : NULL;
}
static inline enum chunk_encoding series_open_encoding(const struct series_slot *s)
{
        const struct histogram_chunk *k = series_histogram(s);
        return k ? histogram_chunk_encoding(k) : CHUNK_XOR;
}
static inline Str series_open_data(const struct series_slot *s)
{
        const struct histogram_chunk *k = series_histogram(s);
        return k ? histogram_chunk_data(k) : (Str){(const char *)s->open, xor_bytes(&s->app)};
}
/* An XOR chunk that someone wrote, to be continued; it is not looked into before series_chunk_continue. mu held. */
void series_chunk_restore(struct series_writer *w, struct head *h, struct series_slot *s, const struct chunk *c,
                      uint64_t last_v);
struct error *series_chunk_continue(struct head *h, struct series_slot *s) MUST_CHECK; /* ERROR_CORRUPT: damaged */
TimeMs series_range_end(TimeMs t, int64_t width);
TimeMs series_chunk_end_time(TimeMs start, TimeMs cur, TimeMs max, double ratio_to_full);
/* The newest sample is in: what queriers and appenders look at. */
static inline void series_note_locked(struct series_slot *s, TimeMs t, uint64_t v_bits, uint32_t commit)
{
        store_relaxed(&s->last_t, t);
        store_relaxed(&s->last_v, v_bits);
        s->newest = (uint8_t)((s->newest + 1) % HEAD_ISOLATED);
        s->commits[s->newest] = commit;
}
#define LAST_UNKNOWN_BITS (STALE_NAN_BITS ^ 1) /* of last_v: a NaN that nobody appends; a histogram, or not known */
void series_full_push(struct series_writer *w, struct head *h, struct series_slot *s, struct full_chunk c);
void series_drop_open(struct series_writer *w, struct head *h, struct series_slot *s);
static inline void series_drop_open_locked(struct head *h, struct series_slot *s)
{
        series_drop_open(&h->writer, h, s);
}
struct error *head_flush_chunks_locked(struct head *h); /* mu held: full chunks go to the file */
void head_widen(struct head *h, TimeMs mint_ms, TimeMs maxt_ms);
void head_retire(struct head *h, void *p, size_t n, bool is_map);
void head_free_retired(struct head *h);

/* append.c, read.c, replay.c */
struct error *head_appender_new(struct storage *st, struct appender **ret);
void head_appender_free(struct head_appender *a);
struct error *head_querier_new(struct storage *st, TimeMs mint_ms, TimeMs maxt_ms, struct arena *arena,
                               struct querier **ret);
roaring_bitmap_t *head_match(struct head *h, const struct matcher *const *m, size_t n); /* index lock held */
/* *ret_again: a snapshot was no good and this head must go; it was removed, and a new head may try. */
struct error *head_replay(struct head *h, struct head_open_info *info, bool *ret_again) MUST_CHECK;
/* ooo_replay.c: the out-of-order log, after the other one and the chunk files. slot_of: UINT32_MAX is none, and tells
 * that the reference must not be given to another series. */
struct error *head_replay_ooo(struct head *h, struct head_open_info *info, uint32_t (*slot_of)(void *ctx, uint64_t ref),
                              void *ctx) MUST_CHECK;
void head_gc_locked(struct head *h, TimeMs mint_ms); /* mu held */

#endif
