/* SPDX-License-Identifier: Apache-2.0 */
/* format.h — constants of the index file. Format: docs/format/index.md. */
#ifndef TSDB_INDEX_FORMAT_H
#define TSDB_INDEX_FORMAT_H

#include <stdint.h>

#define INDEX_MAGIC 0xBAAAD700u
enum {
        INDEX_V1 = 1,                   /* symbol references are places in the file, series references too */
        INDEX_V2 = 2,
        INDEX_V3 = 3,                   /* as 2 for a reader; nobody writes it yet */
        INDEX_HEADER_BYTES = 5,
        INDEX_SERIES_ALIGN = 16,
        INDEX_TOC_BYTES = 6 * 8 + 4,
};
struct index_toc {
        uint64_t symbols, series, label_indices, label_indices_table, postings, postings_table;
};

#endif
