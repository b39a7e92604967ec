/* SPDX-License-Identifier: Apache-2.0 */
/* decode.h — a series' samples as two columns.
 *
 *   struct samples s = SAMPLES_INIT;
 *   e = series_decode(&series, mint, maxt, &s);     replaces what s held, keeps its memory: use one per worker
 *   for (size_t i = 0; i < s.n; i++) use(s.t[i], s.v[i]);
 *   samples_done(&s);
 *
 * Timestamps come out strictly ascending. Where chunks overlap, the sample of the earlier chunk of the list wins. Staleness markers are given as
 * they are. Any thread (one per struct samples). */
#ifndef STORAGE_DECODE_H
#define STORAGE_DECODE_H

#include "storage/chunk/histogram.h"
#include "storage/storage.h"

struct samples {
        TimeMs *t;
        double *v;
        size_t n, cap;
        int64_t every_ms;               /* > 0: they are that far apart, all of them; 0: not so, or not known */
        size_t skip;                    /* private: t and v are so far inside of their memory, and cap less by it */
};
#define SAMPLES_INIT {NULL, NULL, 0, 0, 0, 0}
void samples_done(struct samples *s);
void samples_reserve(struct samples *s, size_t more);
static inline void samples_clear(struct samples *s)
{
        s->n = 0;
        s->every_ms = 0;
        if (s->skip) {
                s->t -= s->skip;
                s->v -= s->skip;
                s->cap += s->skip;
                s->skip = 0;
        }
}
static inline void samples_push(struct samples *s, TimeMs t, double v)
{
        if (UNLIKELY(s->n == s->cap))
                samples_reserve(s, 1);
        s->t[s->n] = t;
        s->v[s->n++] = v;
}

/* All samples in [mint_ms, maxt_ms] (inclusive) that are not deleted. ERROR_CORRUPT: damaged chunk; ERROR_UNSUPPORTED: native histograms in range. */
struct error *series_decode(const struct series *s, TimeMs mint_ms, TimeMs maxt_ms, struct samples *out) MUST_CHECK;
/* No more than this many samples will come out of series_decode: to charge a budget before decoding. Reads chunk headers only. */
size_t series_samples_max(const struct series *s, TimeMs mint_ms, TimeMs maxt_ms);
/* The same into memory of the caller (an arena, say) with room for series_samples_max(); *ret_n is what came. */
struct error *series_decode_into(const struct series *s, TimeMs mint_ms, TimeMs maxt_ms, TimeMs *t, double *v, size_t *ret_n) MUST_CHECK;

/* XOR chunks of at most 120 samples from columns, the reverse of decoding; chunks and bytes in the arena. ERROR_LIMIT past its budget. */
struct error *samples_encode(const TimeMs *t, const double *v, size_t n, struct arena *arena, struct chunk **ret, size_t *ret_n) MUST_CHECK;

/* --- series that may hold native histograms --------------------------------------------------------------------------------------- */

/* By encodings of chunks in range: no bytes are looked at. A series without costs series_decode_mixed what series_decode costs. */
bool series_has_histograms(const struct series *s, TimeMs mint_ms, TimeMs maxt_ms);

struct mixed {
        TimeMs *t;
        double *v;                      /* of a histogram: its sum, so that staleness looks the same */
        const struct histogram **h;     /* NULL: floats only; else h[i] is NULL where v[i] is a float */
        TimeMs *start;                  /* when counting began, 0: not known; NULL but from series_decode_starts() */
        size_t n;
};
/* Memory is the arena's. Integer histograms come as floats. A reset hint that is not to be trusted (the sample before it came from another of the
 * chunks that overlap) is taken back. */
struct error *series_decode_mixed(const struct series *s, TimeMs mint_ms, TimeMs maxt_ms, struct arena *arena, struct mixed *ret) MUST_CHECK;

/* The same with start times. May any of these chunks have some? */
bool series_has_starts(const struct series *s, TimeMs mint_ms, TimeMs maxt_ms);
struct error *series_decode_starts(const struct series *s, TimeMs mint_ms, TimeMs maxt_ms, struct arena *arena, struct mixed *ret) MUST_CHECK;

struct raw_samples {
        TimeMs *t, *start;
        double *v;
        struct histogram_sample *h;     /* both members NULL: a float */
        size_t n;
};
/* As stored, to be written again: chunks of one kind each, of at most 120 samples. */
struct error *series_decode_raw(const struct series *s, TimeMs mint_ms, TimeMs maxt_ms, struct arena *arena, struct raw_samples *ret) MUST_CHECK;
struct error *raw_samples_encode(const struct raw_samples *s, struct arena *arena, struct chunk **ret, size_t *ret_n) MUST_CHECK;
/* One after the other, floats by the fast path. */
struct error *series_encode_anew(const struct series *s, TimeMs mint_ms, TimeMs maxt_ms, struct samples *scratch, struct arena *arena, struct chunk **ret,
                                 size_t *ret_n) MUST_CHECK;

/* Interval lists: ascending and disjoint. */
bool intervals_cover(const struct interval *d, size_t n, TimeMs mint_ms, TimeMs maxt_ms);      /* one of them holds all of the range */
bool intervals_touch(const struct interval *d, size_t n, TimeMs mint_ms, TimeMs maxt_ms);      /* some of the range is in one */

#endif
