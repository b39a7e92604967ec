/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/index/index.h"

#include <stdio.h>

#include "base/file.h"
#include "base/test.h"
#include "codec/varint.h"

enum { N = 1000 };

/* Series {a="<i / 10>", b="<i>"[, c="x"]}, c for each third, in label order (numbers have four digits), two chunks
 * each. */
static char *write_index(const char *dir)
{
        char *path = path_join(dir, "index");
        struct index_writer *w;
        CHECK_OK(index_writer_new(NULL, path, &w));
        for (int i = 0; i < N; i++) {
                char a[16], b[16];
                snprintf(a, sizeof a, "%04d", i / 10);
                snprintf(b, sizeof b, "%04d", i);
                Label l[] = {{STR("a"), str_from(a)}, {STR("b"), str_from(b)}, {STR("c"), STR("x")}};
                struct index_chunk c[] = {{-10 + i, 5 + i, 8 + (uint64_t)i * 100},
                                          {6 + i, INT64_C(1) << 40, 50 + (uint64_t)i * 100}};
                CHECK_OK(index_writer_add(w, (Labels){l, i % 3 ? 2 : 3}, c, 2));
        }
        CHECK_OK(index_writer_finish(w, NULL));
        index_writer_free(w);
        return path;
}

static void check_series_at(struct index_reader *ix, uint32_t ref, int i)
{
        struct arena arena;
        arena_init(&arena, 1 << 20);
        Labels ls;
        struct index_chunk *c;
        size_t n;
        char b[16];
        snprintf(b, sizeof b, "%04d", i);
        CHECK_OK(index_series(ix, ref, &arena, NULL, &ls, &c, &n));
        CHECK_U64(ls.n, i % 3 ? 2 : 3);
        CHECK_STR(labels_get(ls, STR("b")), b);
        CHECK_U64(n, 2);
        CHECK_I64(c[0].mint_ms, -10 + i);
        CHECK_I64(c[0].maxt_ms, 5 + i);
        CHECK_I64(c[1].mint_ms, 6 + i);
        CHECK_I64(c[1].maxt_ms, INT64_C(1) << 40);
        CHECK_U64(c[1].ref, 50 + (uint64_t)i * 100);
        arena_done(&arena);
}

TEST(index, finds_each_value_and_none_that_is_not_there)
{
        char *path = write_index(test_dir());
        struct index_reader *ix;
        CHECK_OK(index_open(path, &ix));
        CHECK_I64(index_version(ix), 2);
        CHECK_U64(index_name_count(ix), 3);
        CHECK_STR(index_name_at(ix, 1), "b");
        CHECK_I64(index_find_name(ix, STR("bb")), -1);
        CHECK_U64(index_value_count(ix, 1), N);
        struct postings l;
        for (int i = 0; i < N; i++) {
                char b[16];
                snprintf(b, sizeof b, "%04d", i);
                CHECK_OK(index_postings(ix, STR("b"), str_from(b), &l));
                CHECK_U64(l.n, 1);
                check_series_at(ix, postings_at(l, 0), i);
                b[3] = 'x';
                CHECK_OK(index_postings(ix, STR("b"), str_from(b), &l));
                CHECK_U64(l.n, 0);
        }
        static const char *const absent[] = {"", "/", "9999", "x"};
        for (size_t i = 0; i < ARRAY_LEN(absent); i++) {
                CHECK_OK(index_postings(ix, STR("b"), str_from(absent[i]), &l));
                CHECK_U64(l.n, 0);
        }
        CHECK_OK(index_postings(ix, STR("a"), STR("0042"), &l));
        CHECK_U64(l.n, 10);
        CHECK_OK(index_all_postings(ix, &l));
        CHECK_U64(l.n, N);
        for (size_t i = 1; i < l.n; i++)
                CHECK(postings_at(l, i - 1) < postings_at(l, i));
        index_close(ix);
        free(path);
}

static void check_from(struct index_reader *ix, const char *from, uint64_t want_n, const char *want_first)
{
        struct index_values it = index_values_from(ix, 1, str_from(from));
        Str v, first = STR("none");
        uint64_t n = 0;
        while (index_values_next(&it, &v))
                if (n++ == 0)
                        first = v;
        CHECK_U64(n, want_n);
        CHECK_STR(first, want_first);
        CHECK(!it.bad);
}

TEST(index, values_from_anywhere)
{
        char *path = write_index(test_dir());
        struct index_reader *ix;
        CHECK_OK(index_open(path, &ix));
        check_from(ix, "", N, "0000");
        check_from(ix, "0", N, "0000");
        check_from(ix, "0032", 968, "0032");
        check_from(ix, "0031x", 968, "0032");
        check_from(ix, "0033", 967, "0033");
        check_from(ix, "05", 500, "0500");
        check_from(ix, "0999", 1, "0999");
        check_from(ix, "1", 0, "none");
        index_close(ix);
        free(path);
}

TEST(index, symbols_are_sorted_and_bounded)
{
        char *path = write_index(test_dir());
        struct index_reader *ix;
        CHECK_OK(index_open(path, &ix));
        CHECK_U64(index_symbol_count(ix), N + 3 + 1); /* values of a are among those of b */
        Str last = {0}, s;
        for (uint32_t i = 0; i < index_symbol_count(ix); i++) {
                CHECK_OK(index_symbol(ix, i, &s));
                CHECK(str_cmp(last, s) < 0);
                last = s;
        }
        CHECK_ERROR(index_symbol(ix, index_symbol_count(ix), &s), "symbol table: no symbol 1004 of 1004");
        struct arena arena;
        arena_init(&arena, 1 << 20);
        Labels ls;
        CHECK_ERROR(index_series(ix, 1, &arena, NULL, &ls, NULL, NULL), "series: reference 1 lies outside the section");
        CHECK_ERROR(index_series(ix, UINT64_MAX / 16, &arena, NULL, &ls, NULL, NULL), "");
        arena_done(&arena);
        index_close(ix);
        free(path);
}

TEST(index, stays_within_the_arena)
{
        char *path = write_index(test_dir());
        struct index_reader *ix;
        CHECK_OK(index_open(path, &ix));
        struct arena arena;
        struct matcher *m;
        struct index_selection sel;
        arena_init(&arena, 100);
        CHECK_OK(matcher_new(MATCH_RE, STR("b"), STR(".*1.*"), &m));
        struct error *e = index_select(ix, (const struct matcher *const *)&m, 1, &arena, &sel);
        CHECK(error_is(e, ERROR_LIMIT));
        error_free(e);
        matcher_free(m);
        arena_done(&arena);
        index_close(ix);
        free(path);
}

TEST(index, versions)
{
        char *path = write_index(test_dir()), *p;
        size_t n;
        struct index_reader *ix;
        CHECK_OK(file_read(path, 1 << 24, &p, &n));
        p[4] = 3;
        CHECK_OK(index_of_bytes((Str){p, n}, &ix));
        index_close(ix);
        p[4] = 4;
        CHECK_ERROR(index_of_bytes((Str){p, n}, &ix), "index header: unknown index file version 4");
        p[0] = 0;
        CHECK_ERROR(index_of_bytes((Str){p, n}, &ix), "index header: invalid magic number aad700");
        CHECK_ERROR(index_of_bytes((Str){p, 30}, &ix), "index header: 30 bytes are too few for an index");
        free(p);
        free(path);
}

TEST(index, an_empty_one_is_an_index_too)
{
        char *path = path_join(test_dir(), "index");
        struct index_writer *w;
        struct index_reader *ix;
        struct postings l;
        CHECK_OK(index_writer_new(NULL, path, &w));
        CHECK_OK(index_writer_finish(w, NULL));
        index_writer_free(w);
        CHECK_OK(index_open(path, &ix));
        CHECK_U64(index_name_count(ix), 0);
        CHECK_OK(index_all_postings(ix, &l));
        CHECK_U64(l.n, 0);
        index_close(ix);
        free(path);
}
