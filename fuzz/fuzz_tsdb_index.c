/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_tsdb_index.c — an index of any bytes ends in an error or gives series; checksums are made right on the way, else
 * nothing gets past them. */
#include <stdlib.h>

#include "base/alloc.h"
#include "codec/crc32c.h"
#include "codec/varint.h"
#include "tsdb/index/index.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fix_section(uint8_t *p, size_t n, uint64_t at)
{
        if (at > n || n - at < 8 || get_be32(p + at) > n - at - 8)
                return;
        uint32_t len = get_be32(p + at);
        put_be32(p + at + 4 + len, crc32c(0, p + at + 4, len));
}

static void fix_tables(uint8_t *p, size_t n)
{
        if (n < INDEX_TOC_BYTES)
                return;
        uint8_t *toc = p + n - INDEX_TOC_BYTES;
        fix_section(p, n, get_be64(toc));
        fix_section(p, n, get_be64(toc + 40));
        put_be32(toc + 48, crc32c(0, toc, 48));
}

static void fix_series(const struct index_reader *ix, uint8_t *p, size_t n, uint64_t ref)
{
        uint64_t at = index_version(ix) == INDEX_V1 ? ref : ref * INDEX_SERIES_ALIGN;
        if (at < index_get_toc(ix)->series || at >= n)
                return;
        struct cursor c = {p + at, p + n, false};
        uint64_t len = take_uvarint(&c);
        size_t from = (size_t)(c.p - p);
        if (!c.bad && cursor_left(&c) >= 4 && len <= cursor_left(&c) - 4)
                put_be32(p + from + len, crc32c(0, p + from, len));
}

static void read_series(const struct index_reader *ix, uint8_t *p, size_t n, struct postings l)
{
        struct arena a;
        arena_init(&a, 1 << 20);
        struct index_near near;
        near.n = near.turn = 0;
        for (size_t i = 0; i < l.n && i < 64; i++) {
                Labels ls;
                struct index_chunk *c;
                size_t n_c;
                fix_series(ix, p, n, postings_at(l, i));
                error_ignore(index_series(ix, postings_at(l, i), &a, &near, &ls, &c, &n_c), "any bytes may be bad");
                arena_clear(&a);
        }
        arena_done(&a);
}

static void query(const struct index_reader *ix, enum matcher_type t, const char *name, const char *value)
{
        struct arena a;
        struct matcher *m;
        arena_init(&a, 4 << 20);
        struct error *e = matcher_new(t, str_from(name), str_from(value), &m);
        if (e)
                abort();
        struct index_selection sel;
        error_ignore(index_select(ix, (const struct matcher *const *)&m, 1, &a, &sel), "any bytes may be bad");
        matcher_free(m);
        arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        uint8_t *p = mem_alloc(size + 1);
        struct index_reader *ix;
        if (size)
                memcpy(p, data, size);
        fix_tables(p, size);
        struct error *e = index_of_bytes((Str){(const char *)p, size}, &ix);
        if (!e) {
                const struct index_toc *toc = index_get_toc(ix);
                bool is_apart = toc->symbols < toc->series &&
                                toc->symbols + 8 + get_be32(p + toc->symbols) <= toc->series &&
                                toc->postings_table <= size;
                for (size_t i = 0; i < index_name_count(ix); i++) {
                        struct index_values it = index_values_from(ix, i, STR("a"));
                        Str v;
                        while (index_values_next(&it, &v)) {
                                struct postings l;
                                /* A list may lie over the tables: what was read from them is not read again. */
                                if (is_apart && it.list >= toc->series && it.list < toc->postings_table)
                                        fix_section(p, toc->postings_table, it.list);
                                struct error *bad = index_postings_at(ix, it.list, &l);
                                if (!bad && is_apart)
                                        read_series(ix, p, toc->postings_table, l);
                                error_free(bad);
                        }
                }
                query(ix, MATCH_EQ, "a", "1");
                query(ix, MATCH_RE, "b", "1|2");
                query(ix, MATCH_NE, "a", "1");
                query(ix, MATCH_RE, "b", "[0-9]+");
        }
        error_free(e);
        index_close(e ? NULL : ix);
        free(p);
        return 0;
}
