/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms in a series: its open chunk then is a struct histogram_chunk, cut by its size.  Upstream:
 * tsdb/head_append.go, histogramsAppendPreprocessor. */
#include "tsdb/head/private.h"

enum { TARGET_BYTES = 1024, SAMPLES_MIN = 10 };

static void open_set(struct series_slot *s, struct histogram_chunk *k)
{
        s->open = (uint8_t *)(void *)k;
        s->cap_open = 0;
        s->open_flags |= OPEN_HISTOGRAM;
}

/* The open chunk goes to the full ones; it lives on for a while, as what a new one is compared with. */
static struct histogram_chunk *close_open(struct series_writer *w, struct head *h, uint32_t slot, struct series_slot *s)
{
        struct histogram_chunk *k = series_histogram(s);
        if (!k) {
                series_chunk_finish(w, h, slot, s);
                return NULL;
        }
        series_chunk_keep(w, h, slot, s);
        s->open_flags &= (uint8_t)~OPEN_HISTOGRAM;
        s->open = NULL;
        return k;
}

static void open_new(struct series_writer *w, struct head *h, struct series_slot *s, TimeMs t,
                     enum chunk_encoding encoding)
{
        open_set(s, histogram_chunk_new(encoding));
        s->open_mint_ms = t;
        s->next_at_ms = series_range_end(t, h->opts.chunk_range_ms);
        s->open_flags &= (uint8_t)~OPEN_HAS_END;
        ++*w->chunks_created;
}

/* Is it time for a new chunk? Sizes are looked at: a quarter of the target foretells when the chunk will be full. */
static bool is_full(struct head *h, struct series_slot *s, TimeMs t)
{
        const struct histogram_chunk *k = series_histogram(s);
        size_t n_bytes = histogram_chunk_data(k).n;
        TimeMs next_range = s->open_flags & OPEN_HAS_END ? series_range_end(s->open_mint_ms, h->opts.chunk_range_ms)
                                                         : s->next_at_ms;
        if (!(s->open_flags & OPEN_HAS_END) && n_bytes >= TARGET_BYTES / 4) {
                s->next_at_ms = series_chunk_end_time(s->open_mint_ms, s->app.t, s->next_at_ms,
                                                      (double)TARGET_BYTES / (double)n_bytes);
                s->open_flags |= OPEN_HAS_END;
        }
        if ((uint64_t)t - (uint64_t)s->open_mint_ms > UINT32_MAX)
                return true;
        return (t >= s->next_at_ms || n_bytes >= TARGET_BYTES * 2) &&
               (histogram_chunk_samples(k) >= SAMPLES_MIN || t >= next_range);
}

bool series_append_histogram_by(struct series_writer *w, struct head *h, uint32_t slot, struct series_slot *s, TimeMs t,
                                struct histogram_sample x, uint32_t commit)
{
        if (load_relaxed(&s->last_t) >= t && (s->open || s->n_full))
                return false;
        enum chunk_encoding encoding = x.i ? CHUNK_HISTOGRAM : CHUNK_FLOAT_HISTOGRAM;
        struct histogram_chunk *prev = NULL, *next = NULL;
        if (s->open && (series_open_encoding(s) != encoding || is_full(h, s, t)))
                prev = close_open(w, h, slot, s);
        if (!s->open)
                open_new(w, h, s, t, encoding);
        if (histogram_chunk_append(series_histogram(s), prev, 0, t, x, &next) == HISTOGRAM_NEXT) {
                histogram_chunk_free(close_open(w, h, slot, s));
                open_set(s, next);
                s->open_mint_ms = t;
                s->next_at_ms = series_range_end(t, h->opts.chunk_range_ms);
                ++*w->chunks_created;
        }
        histogram_chunk_free(prev);
        s->app.t = t;
        series_note_locked(s, t, LAST_UNKNOWN_BITS, commit);
        return true;
}

bool series_append_stale_by(struct series_writer *w, struct head *h, uint32_t slot, struct series_slot *s, TimeMs t,
                            double v, uint32_t commit)
{
        struct int_histogram i = {.sum = v};
        struct histogram f = {.sum = v};
        bool is_int = chunk_encoding_is_int(series_open_encoding(s));
        return series_append_histogram_by(
                w, h, slot, s, t, (struct histogram_sample){.i = is_int ? &i : NULL, .f = is_int ? NULL : &f}, commit);
}
