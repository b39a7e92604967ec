/* SPDX-License-Identifier: Apache-2.0 */
/* compress.h — snappy blocks, zstd, gzip and deflate over whole buffers, and inflating as pieces arrive.
 *
 *   e = snappy_uncompress(in, &out);                out's own limit is the bomb guard: more is ERROR_LIMIT
 *   struct inflater *z = inflater_new();  e = inflater_add(z, piece, &out);  …  e = inflater_end(z);  inflater_free(z);
 *
 * Results are appended to out. Garbage is ERROR_CORRUPT. Threads: pure; an inflater has one owner.
 * Formats: google/snappy format_description.txt, RFC 8878, RFC 1952, RFC 1950. gzip by ISA-L where it is there, else zlib. */
#ifndef CODEC_COMPRESS_H
#define CODEC_COMPRESS_H

#include "base/buf.h"
#include "base/error.h"

void snappy_compress_block(Str in, struct buf *out);
struct error *snappy_uncompress_block(Str in, struct buf *out) MUST_CHECK;
struct error *zstd_compress(Str in, int level, struct buf *out) MUST_CHECK;
struct error *zstd_uncompress(Str in, struct buf *out) MUST_CHECK;     /* one frame; a frame without content size is fine */
void gzip_compress(Str in, struct buf *out);                            /* one member, fast level */
void deflate_compress(Str in, struct buf *out);                         /* zlib wrapper, as HTTP's "deflate" */
struct error *gzip_uncompress(Str in, struct buf *out) MUST_CHECK;     /* all members */

struct inflater;                                                        /* gzip (all members), piece by piece */
struct inflater *inflater_new(void);
void inflater_reset(struct inflater *z);                                /* ready for another stream, keeps memory */
struct error *inflater_add(struct inflater *z, Str piece, struct buf *out) MUST_CHECK;
struct error *inflater_end(struct inflater *z) MUST_CHECK;             /* "unexpected EOF" when the stream is cut short */
void inflater_free(struct inflater *z);                                 /* NULL is fine */

#endif
