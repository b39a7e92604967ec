/* SPDX-License-Identifier: Apache-2.0 */
/* reader.h — the index reader from inside: for the files of this folder. */
#ifndef TSDB_INDEX_READER_H
#define TSDB_INDEX_READER_H

#include "base/file.h"
#include "tsdb/index/index.h"

enum { SYMBOL_STEP = 8, VALUE_STEP = 32 };

struct index_label {
        Str name;
        uint64_t n;                     /* values */
        size_t first;                   /* in places: of every VALUE_STEPth value (version 1: of every one) */
};
struct index_reader {
        const uint8_t *p;
        size_t n;
        struct file_map map;            /* empty when the bytes are borrowed */
        int version;
        struct index_toc toc;
        uint64_t series_end;

        const uint8_t *symbols, *symbols_end;           /* first string; its checksum */
        uint64_t symbols_place;         /* of the first string in the index file */
        uint32_t n_symbols;
        VEC(uint32_t) symbol_places;    /* from `symbols`, each SYMBOL_STEPth; version 1: sorted places in the file of all, in order of the table */

        const uint8_t *table, *table_end;               /* first entry of the postings offset table */
        VEC(struct index_label) labels; /* sorted by name */
        VEC(uint32_t) places;           /* of entries, from `table` */
        uint64_t all_place;             /* of the list of all series */
        bool has_all;
};

/* The content of a section without length and checksum, whose checksum is right. */
struct error *index_section(const struct index_reader *ix, const char *what, uint64_t at, Str *ret) MUST_CHECK;
struct error *index_load_table(struct index_reader *ix) MUST_CHECK;
struct error *index_set_table(struct index_reader *ix, Str s) MUST_CHECK;

#endif
