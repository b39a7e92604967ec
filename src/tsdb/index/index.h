/* SPDX-License-Identifier: Apache-2.0 */
/* index.h — reads the index of a block where it lies in memory: symbols, postings, label values, series.
 *
 *   e = index_open("dir/index", &ix);               checks header, tables and their checksums; later reads trust their bounds
 *   e = index_select(ix, matchers, n, &arena, &sel);        refs of the series that match, ascending: in label order
 *   e = index_series(ix, ref, &arena, NULL, &labels, &chunks, &n_chunks);
 *
 * Memory of its own: one place of four bytes for each 8 symbols and 32 label values. Strings and lists that it gives lie in the map. Version 1
 * has tables without order: there every place is kept, sorted.
 * Threads: any. Format: docs/format/index.md.  Upstream: tsdb/index/{index,postings}.go, tsdb/querier.go PostingsForMatchers. */
#ifndef TSDB_INDEX_INDEX_H
#define TSDB_INDEX_INDEX_H

#include "base/arena.h"
#include "model/labels.h"
#include "model/matcher.h"
#include "tsdb/index/format.h"
#include "tsdb/index/writer.h"

struct index_reader;
/* ERROR_CORRUPT names the section. */
struct error *index_open(const char *path, struct index_reader **ret) MUST_CHECK;
/* Over bytes in memory, borrowed: for tests and fuzzing. */
struct error *index_of_bytes(Str bytes, struct index_reader **ret) MUST_CHECK;
/* Over two of its sections only, borrowed, without length and checksum: symbols, names, values and places of lists can be asked; postings and series
 * lie elsewhere (index_values.list, index_series_of_bytes). */
struct index_parts {
        int version;
        Str symbols, table;             /* the postings offset table */
        uint64_t symbols_place;         /* of symbols.p in the index file: version 1 refers to places */
};
struct error *index_of_parts(const struct index_parts *parts, struct index_reader **ret) MUST_CHECK;
void index_close(struct index_reader *ix);              /* NULL is fine */

int index_version(const struct index_reader *ix);
const struct index_toc *index_get_toc(const struct index_reader *ix);
uint64_t index_bytes(const struct index_reader *ix);            /* of the file */
uint64_t index_symbol_bytes(const struct index_reader *ix);     /* memory of the symbol lookup */
uint32_t index_symbol_count(const struct index_reader *ix);
struct error *index_symbol(const struct index_reader *ix, uint32_t ref, Str *ret) MUST_CHECK;

/* Names of labels, sorted; the list of all series is not among them. */
size_t index_name_count(const struct index_reader *ix);
Str index_name_at(const struct index_reader *ix, size_t i);
ptrdiff_t index_find_name(const struct index_reader *ix, Str name);    /* -1: no series has it */

/* A list of refs as it lies in the file: n big-endian u32, ascending. */
struct postings {
        const uint8_t *p;
        size_t n;
};
static inline uint32_t postings_at(struct postings l, size_t i)
{
        uint32_t v;
        memcpy(&v, l.p + 4 * i, 4);
        return __builtin_bswap32(v);
}
struct error *index_postings(const struct index_reader *ix, Str name, Str value, struct postings *ret) MUST_CHECK;     /* n 0: none */
struct error *index_all_postings(const struct index_reader *ix, struct postings *ret) MUST_CHECK;

/* Values of a label in order:
 *   struct index_values it = index_values_from(ix, i_name, prefix);  Str v; while (index_values_next(&it, &v)) … it.list …
 * Starts at the first value not less than from. A table that is damaged behind its checksum ends early with it.bad. */
struct index_values {
        const struct index_reader *ix;
        size_t name;
        uint64_t at, end;               /* number of the value within the name */
        const uint8_t *next;            /* entry in the table; NULL: by number */
        uint64_t list;                  /* place of the postings of the value that was given */
        bool bad;
};
struct index_values index_values_from(const struct index_reader *ix, size_t i_name, Str from);
bool index_values_next(struct index_values *it, Str *ret);
size_t index_value_count(const struct index_reader *ix, size_t i_name);
struct error *index_postings_at(const struct index_reader *ix, uint64_t place, struct postings *ret) MUST_CHECK;

/* Place of the list of all series; false: there is none. */
bool index_all_place(const struct index_reader *ix, uint64_t *ret);
/* Where the next list begins, behind the one at place; UINT64_MAX: it is the last. it: as it stood when it gave place, makes it cheap; NULL: a walk
 * through the table. */
uint64_t index_list_after(const struct index_reader *ix, uint64_t place, const struct index_values *it);

/* Of one loop: the labels of the series before (what neighbours share is not looked up again), and room for chunks. Begin with n = turn = 0. */
enum { INDEX_NEAR_LABELS = 64, INDEX_NEAR_CHUNKS = 128 };
struct index_near {
        uint32_t name[INDEX_NEAR_LABELS], value[INDEX_NEAR_LABELS];
        Label labels[INDEX_NEAR_LABELS];
        size_t n;
        unsigned turn;                  /* whoever wants to keep the chunks over the next use adds one */
        struct index_chunk chunks[2][INDEX_NEAR_CHUNKS];
};
/* chunks may be NULL: not wanted. near may be NULL; with it chunks are valid until its next use of the same turn (mod 2). ERROR_CORRUPT, ERROR_LIMIT past the arena's budget. */
struct error *index_series(const struct index_reader *ix, uint64_t ref, struct arena *arena, struct index_near *near, Labels *ret_labels,
                           struct index_chunk **ret_chunks, size_t *ret_n) MUST_CHECK;

/* The same over the content of one entry (without length and checksum) that the caller has read and checked. */
struct error *index_series_of_bytes(const struct index_reader *ix, Str entry, struct arena *arena, struct index_near *near, Labels *ret_labels,
                                    struct index_chunk **ret_chunks, size_t *ret_n) MUST_CHECK;

/* Refs that match, and what is cheaper to ask of the labels of each: those matchers are left in rest. */
struct index_selection {
        const uint32_t *refs;
        size_t n;
        const struct matcher **rest;
        size_t n_rest;
};
struct error *index_select(const struct index_reader *ix, const struct matcher *const *m, size_t n_m, struct arena *arena,
                           struct index_selection *ret) MUST_CHECK;

#endif
