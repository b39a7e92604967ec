/* SPDX-License-Identifier: Apache-2.0 */
/* writer.h — writes an index (version 2) from series in label order.
 *
 *   struct index_writer *w;  e = index_writer_new(NULL, "dir/index", &w);
 *   e = index_writer_add(w, labels, metas, n);      for each series, ascending by labels_cmp
 *   e = index_writer_finish(w, NULL);               symbols, series, postings, tables; synced
 *   index_writer_free(w);
 *
 * Series are seen once: they wait in a file beside the index (path_tmp) until all symbols are known. Memory: distinct labels, and four bytes per
 * label of each series. Threads: one owner. Format: docs/format/index.md.  Upstream: tsdb/index/index.go. */
#ifndef TSDB_INDEX_WRITER_H
#define TSDB_INDEX_WRITER_H

#include "base/clock.h"
#include "model/labels.h"
#include "tsdb/wal/disk.h"

struct index_chunk {
        TimeMs mint_ms, maxt_ms;        /* inclusive */
        uint64_t ref;                   /* (file number - 1) << 32 | offset */
};

struct index_writer;
struct error *index_writer_new(const struct disk *disk, const char *path, struct index_writer **ret) MUST_CHECK;
void index_writer_free(struct index_writer *w);         /* NULL is fine; an unfinished file stays, the waiting file goes */
/* chunks ascend, do not overlap, their refs ascend. Wrong order is ERROR_INVALID. */
struct error *index_writer_add(struct index_writer *w, Labels labels, const struct index_chunk *chunks, size_t n) MUST_CHECK;
struct error *index_writer_finish(struct index_writer *w, const bool *cancel) MUST_CHECK;

#endif
