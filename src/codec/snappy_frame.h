/* SPDX-License-Identifier: Apache-2.0 */
/* snappy_frame.h — snappy's framing format over whole buffers: the message compression of Thanos' gRPC and its cached
 * postings.
 *
 *   snappy_frame_compress(message, &out);
 *   e = snappy_frame_uncompress(in, &out);          out's own limit is the bomb guard: more is ERROR_LIMIT
 *
 * Results are appended to out. Garbage is ERROR_CORRUPT. No bytes make no stream, and an empty stream holds no bytes.
 * Threads: pure. Format: google/snappy framing_format.txt. */
#ifndef CODEC_SNAPPY_FRAME_H
#define CODEC_SNAPPY_FRAME_H

#include "base/buf.h"
#include "base/error.h"

void snappy_frame_compress(Str in, struct buf *out); /* out has no limit */
struct error *snappy_frame_uncompress(Str in, struct buf *out) MUST_CHECK;

#endif
