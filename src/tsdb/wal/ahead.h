/* SPDX-License-Identifier: Apache-2.0 */
/* ahead.h — reads a log as reader.h does, but a thread of its own reads, checks and unpacks ahead of who uses the
 * records; a short log is read without one.
 *
 *   struct wal_ahead *a;
 *   e = wal_ahead_open(dir, first, last, offset, &a);
 *   for (;;) { struct wal_record r; e = wal_ahead_next(a, &r); if (e || !r.is_there) break; … }
 *   wal_ahead_close(a);                                     at any time
 *
 * A quarter of a megabyte is read ahead, or a few records when they are larger. Damage comes after all records before it, in
 * the way that wal_reader_next tells it. Threads: one owner. */
#ifndef TSDB_WAL_AHEAD_H
#define TSDB_WAL_AHEAD_H

#include "tsdb/wal/reader.h"

struct wal_ahead;
struct wal_record {
        Str bytes; /* valid until the next call */
        bool is_there;
        bool has_last; /* the bytes of the record before are there still */
        /* Of the record; of the damage and the last whole record before it; or of the end of the log. -1: no segment. */
        int segment;
        uint64_t offset; /* behind the record */
};
/* Of the segment `first` only what is behind offset is read. */
struct error *wal_ahead_open(const char *dir, int first, int last, uint64_t offset, struct wal_ahead **ret) MUST_CHECK;
void wal_ahead_close(struct wal_ahead *a); /* NULL is fine */
/* *ret is filled in on errors too. */
struct error *wal_ahead_next(struct wal_ahead *a, struct wal_record *ret) MUST_CHECK;

#endif
