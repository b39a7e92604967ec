/* SPDX-License-Identifier: Apache-2.0 */
/* histogram.h — chunks of native histograms: integer (2) and float (3), and both with start times (5, 6).
 *
 *   struct histogram_chunk *c = histogram_chunk_new(CHUNK_HISTOGRAM), *next;
 *   switch (histogram_chunk_append(c, NULL, 0, t, &sample, &next)) { case HISTOGRAM_NEXT: c is full, go on with next; …
 * } Str data = histogram_chunk_data(c);             borrowed until the next append
 *
 *   e = histogram_decode(&chunk, mint, maxt, &arena, t, h, &n);          floats, whatever the encoding
 *
 * All histograms of a chunk have one layout, written once. A sample with new buckets has the chunk written anew; one
 * that lacks buckets which were empty so far gets them; a counter reset, another schema or zero bucket need a new
 * chunk, whose header says why. Threads: one owner. Format: docs/format/chunk.md.  Upstream:
 * tsdb/chunkenc/{histogram,float_histogram,histogram_meta,st}*.go. To the byte. */
#ifndef STORAGE_CHUNK_HISTOGRAM_H
#define STORAGE_CHUNK_HISTOGRAM_H

#include "model/histogram.h"
#include "storage/storage.h"

enum histogram_fit {
        HISTOGRAM_APPENDED,
        HISTOGRAM_RECODED, /* appended, and all bytes are new ones */
        HISTOGRAM_NEXT,    /* not appended here: the sample begins *ret_next */
};
enum { HISTOGRAM_HEADER_BYTES = 3, HISTOGRAM_SAMPLES_MAX = 65535, HISTOGRAM_ST_SAMPLES_MAX = 16383 };

/* Spans and buckets agree: what appending relies on, and records of a log need not have. */
bool histogram_sample_is_sound(struct histogram_sample s);

struct histogram_chunk;
struct histogram_chunk *histogram_chunk_new(enum chunk_encoding encoding);
void histogram_chunk_free(struct histogram_chunk *c); /* NULL is fine */
/* The sample's kind is the encoding's; it passed histogram_check or is a staleness marker (its sum). start_ms is
 * written by the encodings that have it. prev: the chunk before, when this one is empty: decides the header; NULL, or
 * of another encoding: not known. */
enum histogram_fit histogram_chunk_append(struct histogram_chunk *c, const struct histogram_chunk *prev,
                                          TimeMs start_ms, TimeMs t, struct histogram_sample s,
                                          struct histogram_chunk **ret_next) MUST_CHECK;
enum chunk_encoding histogram_chunk_encoding(const struct histogram_chunk *c);
unsigned histogram_chunk_samples(const struct histogram_chunk *c);
TimeMs histogram_chunk_last_ms(const struct histogram_chunk *c);
Str histogram_chunk_data(const struct histogram_chunk *c);
size_t histogram_chunk_memory(const struct histogram_chunk *c); /* bytes of heap */
/* Is the newest sample just this one? */
bool histogram_chunk_ends_with(const struct histogram_chunk *c, struct histogram_sample s);
bool histogram_chunk_is_stale(const struct histogram_chunk *c); /* the newest sample is a staleness marker */

/* Samples in [mint_ms, maxt_ms], in arrays with room for chunk_samples(); histograms are the arena's, spans and bounds
 * shared between them. Reset hints as upstream's iterator gives them. ERROR_CORRUPT: damage; ERROR_LIMIT: past the
 * arena's budget. */
struct error *histogram_decode(const struct chunk *c, TimeMs mint_ms, TimeMs maxt_ms, struct arena *a, TimeMs *t,
                               TimeMs *starts, const struct histogram **h, size_t *ret_n) MUST_CHECK;
/* As stored: integers stay integers. starts may be NULL (in both). */
struct error *histogram_decode_raw(const struct chunk *c, TimeMs mint_ms, TimeMs maxt_ms, struct arena *a, TimeMs *t,
                                   TimeMs *starts, struct histogram_sample *s, size_t *ret_n) MUST_CHECK;
static inline bool chunk_encoding_is_histogram(enum chunk_encoding e)
{
        return e == CHUNK_HISTOGRAM || e == CHUNK_FLOAT_HISTOGRAM || e == CHUNK_HISTOGRAM_ST ||
               e == CHUNK_FLOAT_HISTOGRAM_ST;
}
static inline bool chunk_encoding_is_int(enum chunk_encoding e)
{
        return e == CHUNK_HISTOGRAM || e == CHUNK_HISTOGRAM_ST;
}
static inline bool chunk_encoding_has_start(enum chunk_encoding e)
{
        return e == CHUNK_HISTOGRAM_ST || e == CHUNK_FLOAT_HISTOGRAM_ST;
}

#endif
