/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/index/reader.h"

#include <inttypes.h>

#include "codec/crc32c.h"
#include "codec/varint.h"

struct error *index_section(const struct index_reader *ix, const char *what, uint64_t at, Str *ret)
{
        if (at < INDEX_HEADER_BYTES || at > ix->n || ix->n - at < 8)
                return error_new(ERROR_CORRUPT, "%s: offset %" PRIu64 " lies outside the file of %zu bytes", what, at,
                                 ix->n);
        uint32_t n = get_be32(ix->p + at);
        if (ix->n - at - 8 < n)
                return error_new(ERROR_CORRUPT, "%s: %" PRIu32 " bytes at %" PRIu64 " reach past the end of the file",
                                 what, n, at);
        const uint8_t *p = ix->p + at + 4;
        if (crc32c(0, p, n) != get_be32(p + n))
                return error_new(ERROR_CORRUPT, "%s: invalid checksum", what);
        *ret = (Str){(const char *)p, n};
        return NULL;
}

static struct error *load_toc(struct index_reader *ix)
{
        if (ix->n < INDEX_HEADER_BYTES + INDEX_TOC_BYTES)
                return error_new(ERROR_CORRUPT, "index header: %zu bytes are too few for an index", ix->n);
        if (get_be32(ix->p) != INDEX_MAGIC)
                return error_new(ERROR_CORRUPT, "index header: invalid magic number %x", get_be32(ix->p));
        ix->version = ix->p[4];
        if (ix->version < INDEX_V1 || ix->version > INDEX_V3)
                return error_new(ERROR_CORRUPT, "index header: unknown index file version %d", ix->version);
        const uint8_t *p = ix->p + ix->n - INDEX_TOC_BYTES;
        if (crc32c(0, p, INDEX_TOC_BYTES - 4) != get_be32(p + INDEX_TOC_BYTES - 4))
                return error_new(ERROR_CORRUPT, "table of contents: invalid checksum");
        uint64_t *const to[] = {&ix->toc.symbols,       &ix->toc.series,
                                &ix->toc.label_indices, &ix->toc.label_indices_table,
                                &ix->toc.postings,      &ix->toc.postings_table};
        for (size_t i = 0; i < ARRAY_LEN(to); i++) {
                *to[i] = get_be64(p + 8 * i);
                if (*to[i] > ix->n)
                        return error_new(ERROR_CORRUPT, "table of contents: offset %" PRIu64 " lies outside the file",
                                         *to[i]);
        }
        /* The series end where the next section begins; sections that are empty may be missing in old files. */
        ix->series_end = ix->n - INDEX_TOC_BYTES;
        for (size_t i = 0; i < ARRAY_LEN(to); i++)
                if (*to[i] > ix->toc.series && *to[i] < ix->series_end)
                        ix->series_end = *to[i];
        if (ix->toc.series < INDEX_HEADER_BYTES || ix->toc.series > ix->series_end)
                return error_new(ERROR_CORRUPT, "table of contents: the series begin at %" PRIu64, ix->toc.series);
        return NULL;
}

/* s: the section without length and checksum. */
static struct error *set_symbols(struct index_reader *ix, Str s, uint64_t place)
{
        if (s.n < 4)
                return error_new(ERROR_CORRUPT, "symbol table: %zu bytes", s.n);
        ix->n_symbols = get_be32(s.p);
        ix->symbols = (const uint8_t *)s.p + 4;
        ix->symbols_end = (const uint8_t *)s.p + s.n;
        ix->symbols_place = place + 4;
        if (ix->n_symbols > s.n - 4)
                return error_new(ERROR_CORRUPT, "symbol table: %" PRIu32 " symbols do not fit %zu bytes", ix->n_symbols,
                                 s.n);
        uint32_t step = ix->version == INDEX_V1 ? 1 : SYMBOL_STEP;
        vec_reserve(&ix->symbol_places, (size_t)ix->n_symbols / step + 1);
        struct cursor c = {ix->symbols, ix->symbols_end, false};
        for (uint32_t i = 0; i < ix->n_symbols; i++) {
                if (i % step == 0)
                        ix->symbol_places.p[ix->symbol_places.n++] = (uint32_t)(c.p - ix->symbols);
                take_uvarint_str(&c);
                if (c.bad)
                        return error_new(ERROR_CORRUPT, "symbol table: symbol %" PRIu32 " of %" PRIu32 " is cut off", i,
                                         ix->n_symbols);
        }
        return NULL;
}

static struct error *load_symbols(struct index_reader *ix)
{
        Str s;
        struct error *e = index_section(ix, "symbol table", ix->toc.symbols, &s);
        return e ? e : set_symbols(ix, s, ix->toc.symbols + 4);
}

static struct error *load(struct index_reader *ix)
{
        struct error *e = load_toc(ix);
        if (!e)
                e = load_symbols(ix);
        if (!e)
                e = index_load_table(ix);
        return e;
}

struct error *index_of_bytes(Str bytes, struct index_reader **ret)
{
        struct index_reader *ix = mem_new(struct index_reader);
        ix->p = (const uint8_t *)bytes.p;
        ix->n = bytes.n;
        struct error *e = load(ix);
        if (e) {
                index_close(ix);
                return e;
        }
        *ret = ix;
        return NULL;
}

struct error *index_of_parts(const struct index_parts *parts, struct index_reader **ret)
{
        struct index_reader *ix = mem_new(struct index_reader);
        ix->version = parts->version;
        struct error *e = set_symbols(ix, parts->symbols, parts->symbols_place);
        if (!e)
                e = index_set_table(ix, parts->table);
        if (e) {
                index_close(ix);
                return e;
        }
        *ret = ix;
        return NULL;
}

struct error *index_open(const char *path, struct index_reader **ret)
{
        struct file_map map;
        struct error *e = file_map_open(path, &map);
        if (e)
                return e;
        e = index_of_bytes((Str){(const char *)map.p, map.n}, ret);
        if (e) {
                file_map_close(&map);
                return error_wrap(e, "%s", path);
        }
        (*ret)->map = map;
        return NULL;
}

void index_close(struct index_reader *ix)
{
        if (!ix)
                return;
        vec_done(&ix->symbol_places);
        vec_done(&ix->labels);
        vec_done(&ix->places);
        file_map_close(&ix->map);
        free(ix);
}

int index_version(const struct index_reader *ix)
{
        return ix->version;
}

const struct index_toc *index_get_toc(const struct index_reader *ix)
{
        return &ix->toc;
}

uint64_t index_bytes(const struct index_reader *ix)
{
        return ix->n;
}

uint64_t index_symbol_bytes(const struct index_reader *ix)
{
        return ix->symbol_places.n * sizeof *ix->symbol_places.p;
}

uint32_t index_symbol_count(const struct index_reader *ix)
{
        return ix->n_symbols;
}

/* Version 1 refers to symbols by their place in the file; only places where one begins count. */
static const uint8_t *symbol_v1(const struct index_reader *ix, uint32_t ref)
{
        if (ref < ix->symbols_place)
                return NULL;
        uint32_t place = (uint32_t)(ref - ix->symbols_place);
        size_t lo = 0, hi = ix->symbol_places.n;
        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                if (ix->symbol_places.p[mid] < place)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo < ix->symbol_places.n && ix->symbol_places.p[lo] == place ? ix->symbols + place : NULL;
}

struct error *index_symbol(const struct index_reader *ix, uint32_t ref, Str *ret)
{
        const uint8_t *p;
        if (ix->version == INDEX_V1) {
                p = symbol_v1(ix, ref);
                if (!p)
                        return error_new(ERROR_CORRUPT, "symbol table: no symbol at %" PRIu32, ref);
        } else {
                if (ref >= ix->n_symbols)
                        return error_new(ERROR_CORRUPT, "symbol table: no symbol %" PRIu32 " of %" PRIu32, ref,
                                         ix->n_symbols);
                p = ix->symbols + ix->symbol_places.p[ref / SYMBOL_STEP];
                for (uint32_t i = ref % SYMBOL_STEP; i > 0; i--) {
                        struct cursor c = {p, ix->symbols_end, false};
                        uint64_t n = take_uvarint(&c);
                        p = c.p + n; /* load_symbols saw that it fits */
                }
        }
        struct cursor c = {p, ix->symbols_end, false};
        *ret = take_uvarint_str(&c);
        return NULL;
}

static struct error *series_at(const struct index_reader *ix, uint64_t ref, struct cursor *ret)
{
        uint64_t at = ix->version == INDEX_V1 ? ref : ref * INDEX_SERIES_ALIGN;
        if (at < ix->toc.series || at >= ix->series_end)
                return error_new(ERROR_CORRUPT, "series: reference %" PRIu64 " lies outside the section", ref);
        struct cursor c = {ix->p + at, ix->p + ix->series_end, false};
        uint64_t n = take_uvarint(&c);
        if (c.bad || cursor_left(&c) < 4 || n > cursor_left(&c) - 4)
                return error_new(ERROR_CORRUPT, "series: the one at %" PRIu64 " is cut off", at);
        if (crc32c(0, c.p, n) != get_be32(c.p + n))
                return error_new(ERROR_CORRUPT, "series: invalid checksum at %" PRIu64, at);
        c.end = c.p + n;
        *ret = c;
        return NULL;
}

static struct error *over_budget(const struct arena *a)
{
        return error_new(ERROR_LIMIT, "memory limit of %zu bytes reached while selecting series", a->limit_bytes);
}

/* Most numbers of a series take two to four bytes. */
static inline uint64_t take_number(struct cursor *c)
{
        const uint8_t *p = c->p;
        if (LIKELY(cursor_left(c) >= 4)) {
                if (p[0] < 0x80) {
                        c->p += 1;
                        return p[0];
                }
                uint64_t v = (p[0] & 0x7fu) | (uint64_t)(p[1] & 0x7f) << 7;
                if (p[1] < 0x80) {
                        c->p += 2;
                        return v;
                }
                v |= (uint64_t)(p[2] & 0x7f) << 14;
                if (p[2] < 0x80) {
                        c->p += 3;
                        return v;
                }
                v |= (uint64_t)(p[3] & 0x7f) << 21;
                if (p[3] < 0x80) {
                        c->p += 4;
                        return v;
                }
        }
        return take_uvarint(c);
}

static inline int64_t take_signed(struct cursor *c)
{
        uint64_t u = take_number(c);
        return (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
}

static struct error *read_labels(const struct index_reader *ix, struct cursor *c, struct arena *arena,
                                 struct index_near *near, Labels *ret)
{
        uint64_t n = take_number(c);
        if (c->bad || n > cursor_left(c) / 2)
                return error_new(ERROR_CORRUPT, "series: more labels than bytes");
        Label *l = arena_try_alloc(arena, (n ? n : 1) * sizeof *l);
        if (!l)
                return over_budget(arena);
        for (size_t i = 0; i < n; i++) {
                uint64_t name = take_number(c), value = take_number(c);
                bool is_near = near && i < INDEX_NEAR_LABELS;
                if (is_near && i < near->n && near->name[i] == name && near->value[i] == value) {
                        l[i] = near->labels[i];
                        continue;
                }
                if (name > UINT32_MAX || value > UINT32_MAX)
                        return error_new(ERROR_CORRUPT, "series: symbol number out of range");
                struct error *e = index_symbol(ix, (uint32_t)name, &l[i].name);
                if (!e)
                        e = index_symbol(ix, (uint32_t)value, &l[i].value);
                if (e)
                        return error_wrap(e, "series");
                if (is_near) {
                        near->name[i] = (uint32_t)name;
                        near->value[i] = (uint32_t)value;
                        near->labels[i] = l[i];
                        near->n = MAX(near->n, i + 1);
                }
        }
        if (c->bad)
                return error_new(ERROR_CORRUPT, "series: labels are cut off");
        *ret = (Labels){l, n};
        return NULL;
}

static struct error *read_chunks(struct cursor *c, struct arena *arena, struct index_near *near,
                                 struct index_chunk **ret, size_t *ret_n)
{
        uint64_t n = take_number(c);
        if (c->bad || n > cursor_left(c) / 3)
                return error_new(ERROR_CORRUPT, "series: more chunks than bytes");
        struct index_chunk *k = near && n <= INDEX_NEAR_CHUNKS ? near->chunks[near->turn & 1]
                                                               : arena_try_alloc(arena, (n ? n : 1) * sizeof *k);
        if (!k)
                return over_budget(arena);
        for (size_t i = 0; i < n; i++) {
                if (i == 0) {
                        k[i].mint_ms = take_signed(c);
                        k[i].maxt_ms = (TimeMs)((uint64_t)k[i].mint_ms + take_number(c));
                        k[i].ref = take_number(c);
                } else {
                        k[i].mint_ms = (TimeMs)((uint64_t)k[i - 1].maxt_ms + take_number(c));
                        k[i].maxt_ms = (TimeMs)((uint64_t)k[i].mint_ms + take_number(c));
                        k[i].ref = k[i - 1].ref + (uint64_t)take_signed(c);
                }
                if (k[i].maxt_ms < k[i].mint_ms || (i && k[i].mint_ms < k[i - 1].mint_ms))
                        return error_new(ERROR_CORRUPT, "series: times of its chunks do not ascend");
        }
        if (c->bad)
                return error_new(ERROR_CORRUPT, "series: chunks are cut off");
        *ret = k;
        *ret_n = n;
        return NULL;
}

struct error *index_series(const struct index_reader *ix, uint64_t ref, struct arena *arena, struct index_near *near,
                           Labels *ret_labels, struct index_chunk **ret_chunks, size_t *ret_n)
{
        struct cursor c;
        struct error *e = series_at(ix, ref, &c);
        if (!e)
                e = read_labels(ix, &c, arena, near, ret_labels);
        if (!e && ret_chunks)
                e = read_chunks(&c, arena, near, ret_chunks, ret_n);
        return e;
}

struct error *index_series_of_bytes(const struct index_reader *ix, Str entry, struct arena *arena, struct index_near *near, Labels *ret_labels,
                                    struct index_chunk **ret_chunks, size_t *ret_n)
{
        struct cursor c = cursor_of(entry);
        struct error *e = read_labels(ix, &c, arena, near, ret_labels);
        if (!e && ret_chunks)
                e = read_chunks(&c, arena, near, ret_chunks, ret_n);
        return e;
}
