/* SPDX-License-Identifier: Apache-2.0 */
/* histogram_private.h — what writing and reading of histogram chunks share. */
#ifndef STORAGE_CHUNK_HISTOGRAM_PRIVATE_H
#define STORAGE_CHUNK_HISTOGRAM_PRIVATE_H

#include "base/float_bits.h"
#include "storage/chunk/bits.h"
#include "storage/chunk/histogram.h"

enum { RESET_UNKNOWN = 0x00, RESET_NO = 0x40, RESET_YES = 0x80, RESET_GAUGE = 0xc0, RESET_MASK = 0xc0 };

/* Start times. known: of the first sample; change_on: samples before the first change, 0: none yet. */
struct start_state {
        TimeMs start;
        uint64_t diff;
        uint8_t change_on;
        bool known;
};
enum { START_CHANGE_MAX = 0x7f };

/* One number of a sample and how the next is told from it: integers by delta of delta, floats by XOR. */
struct field {
        uint64_t v; /* integer, or bits of the double */
        union {
                uint64_t delta;
                struct {
                        uint8_t leading, trailing;
                };
        };
};

/* Reads samples in order. All memory is the arena's. */
struct histogram_decoder {
        struct bits_in in;
        enum chunk_encoding encoding;
        bool is_int;
        uint8_t reset;  /* of the header */
        unsigned n, at; /* samples in all, read */
        int32_t schema;
        double zero_threshold;
        const struct span *pos_spans, *neg_spans;
        uint32_t n_pos_spans, n_neg_spans, n_pos, n_neg;
        const double *bounds;
        uint32_t n_bounds;
        uint64_t t, t_delta;
        struct field count, zero, sum;
        struct field *fields; /* positive buckets, then negative ones */
        struct start_state start;
};
struct error *histogram_decoder_init(struct histogram_decoder *d, enum chunk_encoding encoding, Str data,
                                     struct arena *a) MUST_CHECK;
/* The next sample into d; *ret_more false: there is none. */
struct error *histogram_decoder_next(struct histogram_decoder *d, struct arena *a, bool *ret_more) MUST_CHECK;

#endif
