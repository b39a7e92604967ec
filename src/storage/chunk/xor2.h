/* SPDX-License-Identifier: Apache-2.0 */
/* xor2.h — float chunks with start times (4): one prefix for time and value together, and where a sample's start time begins to matter, that too.
 *
 *   struct xor2_chunk *c = xor2_chunk_new();
 *   xor2_append(c, start, t, v);            start 0: not known
 *   Str data = xor2_data(c);                borrowed until the next append
 *   e = xor2_decode_starts(data, maxt, t, v, start, &n);
 *
 * Threads: one owner. Format: docs/format/chunk.md.  Upstream: tsdb/chunkenc/xor2.go */
#ifndef STORAGE_CHUNK_XOR2_H
#define STORAGE_CHUNK_XOR2_H

#include "storage/storage.h"

struct xor2_chunk;
enum { XOR2_SAMPLES_MAX = 65535 };
struct xor2_chunk *xor2_chunk_new(void);
void xor2_chunk_free(struct xor2_chunk *c);             /* NULL is fine */
/* Times ascend; not more than XOR2_SAMPLES_MAX. */
void xor2_append(struct xor2_chunk *c, TimeMs start, TimeMs t, double v);
Str xor2_data(const struct xor2_chunk *c);
unsigned xor2_samples(const struct xor2_chunk *c);
TimeMs xor2_last_ms(const struct xor2_chunk *c);
size_t xor2_memory(const struct xor2_chunk *c);         /* bytes of heap */
/* As xor2_decode() of xor.h, with the start times, 0: none. */
struct error *xor2_decode_starts(Str data, TimeMs maxt_ms, TimeMs *t, double *v, TimeMs *starts, size_t *ret_n) MUST_CHECK;
bool xor2_has_starts(Str data);

#endif
