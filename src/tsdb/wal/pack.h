/* SPDX-License-Identifier: Apache-2.0 */
/* pack.h — compression of single records, and the constants of the log's pages.
 *
 * Threads: pure. Format: docs/format/wal.md. */
#ifndef TSDB_WAL_PACK_H
#define TSDB_WAL_PACK_H

#include "base/buf.h"
#include "base/error.h"

enum wal_compression { WAL_NONE, WAL_SNAPPY, WAL_ZSTD };
enum {
        WAL_PAGE_BYTES = 32 * 1024,
        WAL_FRAGMENT_HEADER_BYTES = 7,
        WAL_FRAGMENT_TYPE_MASK = 7,
        WAL_FLAG_SNAPPY = 8,
        WAL_FLAG_ZSTD = 16,
        WAL_RECORD_MAX_BYTES = 1 << 30, /* a longer one is damage */
};
enum wal_fragment { WAL_PAGE_END, WAL_FULL, WAL_FIRST, WAL_MIDDLE, WAL_LAST };

/* Appends the record to out, compressed if that makes it shorter; *ret_flag is what its fragments carry. */
struct error *wal_pack(enum wal_compression how, Str rec, struct buf *out, uint8_t *ret_flag) MUST_CHECK;
/* Into out (cleared first), or rec itself when there is no flag. */
struct error *wal_unpack(uint8_t flags, Str rec, struct buf *out, Str *ret) MUST_CHECK;
/* Behind what is in out, which is as it was on errors. */
struct error *wal_unpack_to(uint8_t flags, Str rec, struct buf *out) MUST_CHECK;

#endif
