/* SPDX-License-Identifier: Apache-2.0 */
/* reader.h — reads a log, or part of it, record by record.
 *
 *   struct wal_reader *r;
 *   e = wal_reader_open(dir, first, last, &r);              segments in [first, last] that are there
 *   for (;;) { Str rec; bool more; e = wal_reader_next(r, &rec, &more); if (e || !more) break; … }
 *   wal_reader_close(r);
 *
 * Damage is ERROR_CORRUPT; then wal_reader_segment() and wal_reader_offset() say where the last whole record ends: what
 * wal_repair() wants. Threads: one owner.  Upstream: tsdb/wlog/reader.go. */
#ifndef TSDB_WAL_READER_H
#define TSDB_WAL_READER_H

#include <limits.h>

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

struct wal_reader;
#define WAL_ALL_SEGMENTS INT_MAX
struct error *wal_reader_open(const char *dir, int first, int last, struct wal_reader **ret) MUST_CHECK;
/* Over bytes of one segment in memory, borrowed: for tests and fuzzing. */
struct wal_reader *wal_reader_new_bytes(Str segment);
void wal_reader_close(struct wal_reader *r); /* NULL is fine */
/* The record is valid until the next call. */
struct error *wal_reader_next(struct wal_reader *r, Str *ret, bool *ret_more) MUST_CHECK;
/* The same, but the record goes behind what is in `to`; its bytes are copied once at most. */
struct error *wal_reader_append(struct wal_reader *r, struct buf *to, bool *ret_more) MUST_CHECK;
/* Before the first record: what stands in the segment up to offset is passed over. A segment that is not there, or is
 * shorter, has nothing to pass over: it is read from its end. */
struct error *wal_reader_skip(struct wal_reader *r, int segment, uint64_t offset) MUST_CHECK;
int wal_reader_segment(const struct wal_reader *r);     /* of the last record, or of the damage; -1: none yet */
uint64_t wal_reader_offset(const struct wal_reader *r); /* end of the last whole record in that segment */

#endif
