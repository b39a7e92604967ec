/* SPDX-License-Identifier: Apache-2.0 */
/* xor_private.h — a float chunk half decoded: what xor_decode.c (one after the other) and xor_lanes.c (many side by side) share. */
#ifndef STORAGE_CHUNK_XOR_PRIVATE_H
#define STORAGE_CHUNK_XOR_PRIVATE_H

#include "storage/chunk/xor.h"

struct xor_state {
        size_t pos;             /* in bits */
        size_t i, n;            /* samples done, wanted */
        uint64_t dt, v;
        TimeMs t;
        unsigned trailing, width;
        bool past;              /* a timestamp above maxt: all done */
        bool bad;
        bool is_even;           /* done, and all samples are dt apart, which is less than 2^40 */
};

/* Loops run on the chunk itself while this many bytes are left behind the position, then on a copy of the end with zeros behind it. */
enum { XOR_PAD_BYTES = 32, XOR_TAIL_BYTES = 96 };

/* xor_lanes.c: chunks that are wanted whole, decoded side by side; each like xor_decode() with no end. At an error *ret_failed is one that is
 * damaged, not always the first. */
enum { XOR_LANES_MAX = 12 };
struct xor_job {
        Str data;
        TimeMs *t;              /* room for chunk_samples() */
        double *v;
        struct xor_state s;     /* s.i: samples that came */
};
struct error *xor_decode_many(struct xor_job *j, size_t n, size_t *ret_failed) MUST_CHECK;
bool xor_has_lanes(void);

/* The first two samples. */
struct error *xor_begin(Str data, TimeMs maxt_ms, TimeMs *t, double *v, struct xor_state *s) MUST_CHECK;
/* The rest, from wherever it is. */
struct error *xor_finish(Str data, TimeMs maxt_ms, TimeMs *t, double *v, struct xor_state *s) MUST_CHECK;

#endif
