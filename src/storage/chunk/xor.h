/* SPDX-License-Identifier: Apache-2.0 */
/* xor.h — float chunks: timestamps as delta of delta, values as XOR with the one before. XOR (1) is written and read, XOR2 (4) is read.
 *
 *   uint8_t buf[128];  struct xor_appender a;
 *   xor_appender_init(&a, buf);                     writes the 2 byte header
 *   if (!xor_append(&a, buf, sizeof buf, t, v))     does not fit: nothing changed; grow buf (same bytes in front) and call again
 *   Str data = {(char *)buf, xor_bytes(&a)};
 *
 * The appender never holds the buffer's address, so buffers may move and appenders may be copied. The last byte of a chunk is changed by
 * the next append, and so is the header: whoever reads a growing chunk copies it under the writer's lock.
 * Threads: one owner. Format: docs/format/chunk.md.  Upstream: tsdb/chunkenc/{xor,xor2}.go. */
#ifndef STORAGE_CHUNK_XOR_H
#define STORAGE_CHUNK_XOR_H

#include "storage/storage.h"

struct xor_appender {           /* 32 bytes: made to be embedded in a series */
        TimeMs t;               /* of the newest sample */
        uint64_t v_bits;        /* its value */
        uint64_t t_delta;
        uint32_t n_bits;        /* used bits of the buffer, header included */
        uint16_t n;             /* samples */
        uint8_t leading;        /* window of the newest XOR that set one; 0xff: none yet */
        uint8_t trailing;
};

enum {
        XOR_HEADER_BYTES = 2,
        XOR_SAMPLE_MAX_BYTES = 21,      /* an append never needs more room than this */
        XOR_SAMPLES_MAX = 65535,
};

/* Starts an empty chunk; buf has at least XOR_HEADER_BYTES. */
void xor_appender_init(struct xor_appender *a, uint8_t *buf);
/* Continues a chunk that someone wrote: decodes it once. ERROR_CORRUPT if it is damaged. */
struct error *xor_appender_open(struct xor_appender *a, Str data) MUST_CHECK;
/* False when the sample does not fit into cap bytes (or the chunk has XOR_SAMPLES_MAX); then neither a nor buf changed.
 * The order of timestamps is the caller's business. */
bool xor_append(struct xor_appender *a, uint8_t *buf, size_t cap, TimeMs t, double v) MUST_CHECK;

static inline size_t xor_bytes(const struct xor_appender *a)
{
        return (a->n_bits + 7) / 8;
}
static inline double xor_value(const struct xor_appender *a)    /* newest value */
{
        double v;
        memcpy(&v, &a->v_bits, sizeof v);
        return v;
}

/* Samples that the header promises (any encoding: all begin with a big-endian 16 bit count), bounded by what the bytes could hold. */
size_t chunk_samples(enum chunk_encoding encoding, Str data);
bool chunk_encoding_is_float(enum chunk_encoding encoding);     /* XOR, XOR2 */
const char *chunk_encoding_name(enum chunk_encoding encoding);  /* "XOR", "histogram", … "<unknown>" */

/* Decodes samples up to the first one after maxt_ms into t and v, which have room for chunk_samples(). *ret_n is the number given.
 * Garbage is ERROR_CORRUPT (samples before the damage are in t, v); it never reads outside data. */
struct error *xor_decode(Str data, TimeMs maxt_ms, TimeMs *t, double *v, size_t *ret_n) MUST_CHECK;
struct error *xor2_decode(Str data, TimeMs maxt_ms, TimeMs *t, double *v, size_t *ret_n) MUST_CHECK;
/* Either by encoding; histogram encodings are ERROR_UNSUPPORTED, others ERROR_CORRUPT. */
struct error *chunk_decode(const struct chunk *c, TimeMs maxt_ms, TimeMs *t, double *v, size_t *ret_n) MUST_CHECK;

#endif
