/* SPDX-License-Identifier: Apache-2.0 */
/* index_header.h — what of a block's index is kept beside us while the block lies in a bucket: symbols, and which list
 * of postings is where.
 *
 *   e = index_header_build(bucket, &call, id, path, NULL);          from ranged reads; the file appears when it is
 * complete e = index_header_open(path, &h); ix = index_header_index(h);                                     see
 * tsdb/index/index.h: symbols, names, values and places of lists index_header_close(h);
 *
 * The file is mapped. Memory of its own: that of the index reader (a place of four bytes for each 8 symbols and 32
 * values). Threads: any. Format: docs/format/index-header.md.  Upstream: thanos pkg/block/indexheader/binary_reader.go
 */
#ifndef THANOS_BLOCK_INDEX_HEADER_H
#define THANOS_BLOCK_INDEX_HEADER_H

#include "base/ulid.h"
#include "objstore/bucket.h"
#include "tsdb/index/index.h"

#define INDEX_HEADER_FILE  "index-header"
#define INDEX_HEADER_MAGIC 0xBAAAD792u
enum { INDEX_HEADER_VERSION = 1, INDEX_HEADER_HEAD_BYTES = 14, INDEX_HEADER_TOC_BYTES = 20 };
#define INDEX_HEADER_MAX_BYTES (UINT64_C(64) << 30)

/* path NULL: into ret. Directories above path are made. ERROR_CORRUPT: the object is no index, or shorter than it says.
 */
struct error *index_header_build(struct bucket *b, const struct bucket_call *c, Ulid id, const char *path,
                                 struct buf *ret) MUST_CHECK;

struct index_header;
struct error *index_header_open(const char *path, struct index_header **ret) MUST_CHECK;
struct error *index_header_of_bytes(Str bytes, struct index_header **ret) MUST_CHECK; /* borrowed */
void index_header_close(struct index_header *h);                                      /* NULL is fine */

const struct index_reader *index_header_index(const struct index_header *h);
uint64_t index_header_bytes(const struct index_header *h);
uint64_t index_header_series_at(const struct index_header *h,
                                uint64_t *ret_end); /* the section of series in the index */
/* The bytes of a list in the index, length field and checksum included; place and it: see index_list_after(). False:
 * the table makes no sense. */
bool index_header_list_range(const struct index_header *h, uint64_t place, const struct index_values *it,
                             uint64_t *ret_bytes);

#endif
