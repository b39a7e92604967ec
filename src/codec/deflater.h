/* SPDX-License-Identifier: Apache-2.0 */
/* deflater.h — gzip and zlib streams made piece by piece: bodies of HTTP answers that are written as they are ready.
 *
 *   struct deflater *z = deflater_new(DEFLATER_GZIP);
 *   deflater_add(z, piece, &out);  …  deflater_end(z, &out);  deflater_free(z);
 *
 * What is ready is appended to out, which must have no limit. Threads: one owner.  Formats: RFC 1950, 1951, 1952. */
#ifndef CODEC_DEFLATER_H
#define CODEC_DEFLATER_H

#include "base/buf.h"

enum deflater_format { DEFLATER_GZIP, DEFLATER_ZLIB };
struct deflater;
struct deflater *deflater_new(enum deflater_format f);
void deflater_add(struct deflater *z, Str piece, struct buf *out);
void deflater_flush(struct deflater *z, struct buf *out); /* all bytes so far can be inflated from what is in out */
void deflater_end(struct deflater *z, struct buf *out);   /* the last call before _free */
void deflater_free(struct deflater *z);                   /* NULL is fine */

#endif
