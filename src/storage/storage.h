/* SPDX-License-Identifier: Apache-2.0 */
/* storage.h — the waist: what everything that gives series implements and everything that wants series consumes.
 *
 *   struct querier *q;
 *   e = storage_querier(st, mint, maxt, &arena, &q);
 *   struct series_set *set = NULL;
 *   e = querier_select(q, &hints, matchers, n, &set);
 *   for (;;) { struct series s; bool more; e = series_set_next(set, &s, &more); if (e || !more) break; ... }
 *   querier_close(q);
 *
 * A series is labels plus encoded chunks, so that consumers decode in batches, on any core, or pass chunks on without decoding.
 * Lifetimes: labels, chunks and bytes that a querier gave stay valid until it is closed; they live in the arena of storage_querier(), in maps
 * that the querier holds, or both. So all series of a select may be gathered first and decoded in parallel.
 * Memory: implementations take what data sizes from the arena by try_ calls and answer ERROR_LIMIT past its budget. */
#ifndef STORAGE_STORAGE_H
#define STORAGE_STORAGE_H

#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/float_bits.h"
#include "base/vec.h"
#include "model/histogram.h"
#include "model/labels.h"
#include "model/matcher.h"

typedef uint64_t SeriesRef;             /* of one storage, for the life of the process; 0: none */
typedef VEC(Str) StrVec;
/* Sorts the strings from `from` on, each of them once. */
void strs_sort_unique(StrVec *v, size_t from);

/* Values are the bytes on disk.  Upstream: tsdb/chunkenc/chunk.go. */
enum chunk_encoding {
        CHUNK_NONE = 0,
        CHUNK_XOR = 1,
        CHUNK_HISTOGRAM = 2,
        CHUNK_FLOAT_HISTOGRAM = 3,
        CHUNK_XOR2 = 4,
        CHUNK_HISTOGRAM_ST = 5,
        CHUNK_FLOAT_HISTOGRAM_ST = 6,
};

struct chunk {
        TimeMs mint_ms, maxt_ms;        /* of its first and last sample, both inclusive */
        enum chunk_encoding encoding;
        Str data;                       /* without length, encoding byte and checksum */
        uint64_t ref;                   /* of its source, for error messages and store API; 0: none */
};

struct interval {
        TimeMs mint_ms, maxt_ms;        /* both inclusive */
};

/* Samples that are more than their chunks: replicas that are to be made one, say. Floats only. */
struct series_fold {
        size_t samples_max;
        /* t and v have room for samples_max. What comes ascends strictly. Any thread. */
        struct error *(*decode)(const struct series_fold *f, TimeMs mint_ms, TimeMs maxt_ms, TimeMs *t, double *v, size_t *ret_n);
};

struct series {
        Labels labels;
        const struct chunk *chunks;     /* ascending by mint_ms; may overlap: storage/decode.h merges, the first of equal timestamps wins */
        size_t n_chunks;
        const struct interval *deleted; /* ascending, disjoint; samples inside do not exist */
        size_t n_deleted;
        const struct series_fold *fold; /* not NULL: there are no chunks, and nothing is deleted */
};

struct select_hints {
        TimeMs start_ms, end_ms;        /* inclusive; samples outside may be given too, consumers cut */
        int64_t step_ms;                /* 0: unknown */
        int64_t range_ms;               /* of a range selector, else 0 */
        Str func;                       /* function or aggregation around the selector */
        bool labels_only;               /* no chunks wanted: /series, labels; series without samples in range may be given */
        bool sorted;                    /* order by labels_cmp is needed */
        size_t limit;                   /* series; 0: none. More may be given. */
};

struct series_set {
        const struct series_set_ops *ops;
};
struct series_set_ops {
        struct error *(*next)(struct series_set *s, struct series *ret, bool *ret_more);
};
static inline struct error *series_set_next(struct series_set *s, struct series *ret, bool *ret_more)
{
        return s->ops->next(s, ret, ret_more);
}

struct querier {
        const struct querier_ops *ops;
};
struct querier_ops {
        /* The set lives in the querier's arena and needs no closing; several sets of one querier may be open, in one thread. */
        struct error *(*select)(struct querier *q, const struct select_hints *h, const struct matcher *const *m, size_t n_m, struct series_set **ret);
        /* Sorted, unique; limit 0: none. Strings as long as the querier. A problem that costs data of one source only becomes a warning. */
        struct error *(*label_names)(struct querier *q, const struct matcher *const *m, size_t n_m, size_t limit, StrVec *ret);
        struct error *(*label_values)(struct querier *q, Str name, const struct matcher *const *m, size_t n_m, size_t limit, StrVec *ret);
        /* Texts of warnings so far (partial data), borrowed. May be NULL: never any. */
        void (*warnings)(struct querier *q, StrVec *ret);
        void (*close)(struct querier *q);
};
struct error *querier_select(struct querier *q, const struct select_hints *h, const struct matcher *const *m, size_t n_m, struct series_set **ret) MUST_CHECK;
struct error *querier_label_names(struct querier *q, const struct matcher *const *m, size_t n_m, size_t limit, StrVec *ret) MUST_CHECK;
struct error *querier_label_values(struct querier *q, Str name, const struct matcher *const *m, size_t n_m, size_t limit, StrVec *ret) MUST_CHECK;
void querier_warnings(struct querier *q, StrVec *ret);
void querier_close(struct querier *q);                  /* NULL is fine */

/* Why a sample was refused: sentinels, compared by address. Texts as upstream's storage errors. */
extern struct error error_out_of_order_sample;          /* older than the series' newest */
extern struct error error_duplicate_sample;             /* same timestamp, other value */
extern struct error error_out_of_bounds;                /* outside what the head may take */
extern struct error error_too_old_sample;               /* beyond the out-of-order window */

/* A pointer from a series to something that happened, a trace mostly. See storage/exemplars.h. */
struct exemplar {
        Labels labels;
        double value;
        TimeMs t;
        bool has_t;                             /* the timestamp is the exemplar's own, not that of the scrape */
};
extern struct error error_out_of_order_exemplar;        /* older than the newest of the series */
extern struct error error_duplicate_exemplar;
extern struct error error_exemplar_labels;              /* too long */
extern struct error error_exemplars_disabled;

/* One batch of samples of one writer; used by one thread. Nothing is seen by queries before commit. */
struct appender {
        const struct appender_ops *ops;
        bool discard_out_of_order;      /* refuse as out of order what would be taken within a window: staleness markers of scrapes. Set by the user */
};
struct appender_ops {
        /* ref from an earlier call makes labels unnecessary (they may be empty then); ref 0 or one that is gone needs labels, and is answered
         * with ERROR_NOT_FOUND if they are empty. labels are copied when the series is new. A refused sample is a sentinel and costs nothing else. */
        struct error *(*append)(struct appender *a, SeriesRef ref, Labels labels, TimeMs t, double v, SeriesRef *ret_ref);
        /* The same for a native histogram, integer or float, which is copied; ERROR_INVALID with upstream's text where it contradicts itself. A staleness
         * marker is one whose sum is. NULL: this storage has none. */
        struct error *(*append_histogram)(struct appender *a, SeriesRef ref, Labels labels, TimeMs t, struct histogram_sample s, SeriesRef *ret_ref);
        /* When counting began, of the samples that are appended from here on (0: not known). NULL: this storage keeps none. */
        void (*set_start)(struct appender *a, TimeMs start_ms);
        /* An exemplar of a series that is there. It is copied; a duplicate, or a storage that keeps none, is NULL. Refused: a sentinel; an unknown
         * series: ERROR_NOT_FOUND. NULL: this storage has none. */
        struct error *(*append_exemplar)(struct appender *a, SeriesRef ref, Labels labels, const struct exemplar *x);
        /* Both free the appender. When commit returns NULL the samples are in the WAL by write(2) and visible. */
        struct error *(*commit)(struct appender *a);
        void (*rollback)(struct appender *a);
};
static inline struct error *appender_append(struct appender *a, SeriesRef ref, Labels labels, TimeMs t, double v, SeriesRef *ret_ref)
{
        return a->ops->append(a, ref, labels, t, v, ret_ref);
}
static inline void appender_set_start(struct appender *a, TimeMs start_ms)
{
        if (a->ops->set_start)
                a->ops->set_start(a, start_ms);
}
struct error *appender_append_histogram(struct appender *a, SeriesRef ref, Labels labels, TimeMs t, struct histogram_sample s, SeriesRef *ret_ref) MUST_CHECK;
struct error *appender_append_exemplar(struct appender *a, SeriesRef ref, Labels labels, const struct exemplar *x) MUST_CHECK;
struct error *appender_commit(struct appender *take_a) MUST_CHECK;
void appender_rollback(struct appender *take_a);

struct storage {
        const struct storage_ops *ops;
};
struct storage_ops {
        /* Samples in [mint_ms, maxt_ms]. The arena outlives the querier and pays for what it gives. */
        struct error *(*querier)(struct storage *s, TimeMs mint_ms, TimeMs maxt_ms, struct arena *arena, struct querier **ret);
        struct error *(*appender)(struct storage *s, struct appender **ret);    /* NULL: read only */
};
struct error *storage_querier(struct storage *s, TimeMs mint_ms, TimeMs maxt_ms, struct arena *arena, struct querier **ret) MUST_CHECK;
struct error *storage_appender(struct storage *s, struct appender **ret) MUST_CHECK;

/* The sample value that ends a series: a NaN with these very bits (compare bits, not values).  Upstream: model/value/value.go */
#define STALE_NAN_BITS UINT64_C(0x7ff0000000000002)
#define NORMAL_NAN_BITS UINT64_C(0x7ff8000000000001)
static inline bool is_stale_nan(double v)
{
        return float_bits(v) == STALE_NAN_BITS;
}

#endif
