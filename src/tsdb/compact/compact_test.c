/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/compact/compact.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/test.h"
#include "codec/json.h"
#include "storage/decode.h"
#include "storage/memory.h"
#include "storage/merge.h"
#include "tsdb/compact/plan.h"
#include "tsdb/index/index.h"

TEST(compact_ranges, grow_by_three)
{
        int64_t r[COMPACT_RANGES_MAX];
        CHECK_U64(compact_ranges(2, 100, r), 4);
        CHECK_I64(r[0], 2);
        CHECK_I64(r[3], 54);
        CHECK_U64(compact_ranges(7200000, 1, r), 1);
        CHECK_U64(compact_ranges(1, INT64_MAX, r), COMPACT_RANGES_MAX);
        CHECK_U64(compact_ranges(INT64_MAX / 2, INT64_MAX, r), 1);
}

/* Blocks as "mint-maxt", f failed, o stale; t<n>/<m>: n tombstones of m series. Plans over 20, 60, 180, 540 (or as
 * said). */
static void check_plan(const char *blocks, const char *want)
{
        struct block_meta m[32];
        const struct block_meta *p[32];
        size_t n = 0;
        Str rest = str_from(blocks), word;
        while (str_next(&rest, ' ', &word)) {
                char text[64], *at = text;
                snprintf(text, sizeof text, STR_FMT, STR_ARG(word));
                m[n] = (struct block_meta){0};
                m[n].mint_ms = strtoll(at, &at, 10);
                m[n].maxt_ms = strtoll(at + 1, &at, 10);
                for (; *at; at++) {
                        if (*at == 'f')
                                m[n].failed = true;
                        if (*at == 'o')
                                m[n].hints = BLOCK_HINT_STALE_SERIES;
                        if (*at == 't')
                                sscanf(at, "t%" SCNu64 "/%" SCNu64, &m[n].stats.tombstones, &m[n].stats.series);
                }
                p[n] = &m[n];
                n++;
        }
        static const int64_t ranges[] = {20, 60, 180, 540, 1620};
        IndexVec got = VEC_INIT;
        compact_plan(ranges, ARRAY_LEN(ranges), p, n, true, &got);
        struct buf b = BUF_INIT(1024);
        for (size_t i = 0; i < got.n; i++)
                buf_printf(&b, "%s%" PRId64 "-%" PRId64, i ? " " : "", p[got.p[i]]->mint_ms, p[got.p[i]]->maxt_ms);
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
        vec_done(&got);
}

TEST(compact_plan, full_ranges)
{
        check_plan("", "");
        check_plan("0-20", "");
        check_plan("0-20 20-40 40-60", ""); /* the newest one is left alone */
        check_plan("0-20 20-40 40-60 60-80", "0-20 20-40 40-60");
        check_plan("60-80 40-60 20-40 0-20", "0-20 20-40 40-60"); /* in any order */
        check_plan("0-20 20-40 60-80 80-100", "0-20 20-40");      /* a gap that nothing will fill */
        check_plan("0-60 60-80 80-100 100-120 120-140", "60-80 80-100 100-120");
        check_plan("0-60 60-120 120-180 180-200 200-220", "0-60 60-120 120-180");
        check_plan("-60--40 -40--20 -20-0 0-20", "-60--40 -40--20 -20-0");
}

TEST(compact_plan, overlaps_come_first)
{
        check_plan("0-20 19-40", "0-20 19-40");
        check_plan("0-20 10-40 30-50 60-80", "0-20 10-40 30-50");
        check_plan("0-20 20-40 40-60 60-80 70-100", "60-80 70-100");
        check_plan("0-100 10-20 30-40 100-120", "0-100 10-20 30-40");
        check_plan("0-360 340-560 360-420 420-540", "0-360 340-560 360-420 420-540");
}

TEST(compact_plan, tombstones)
{
        check_plan("0-540t10/10 540-560", "0-540");
        check_plan("0-540t1/100 540-560", "");
        check_plan("0-540t6/100 540-560", "0-540");
        check_plan("0-20t6/100 20-40", "");       /* too small */
        check_plan("0-20t100/100 20-40", "0-20"); /* all of it */
        check_plan("0-540t10/10", "");            /* the newest */
}

TEST(compact_plan, failed_blocks_and_classes)
{
        check_plan("0-20 20-40f 40-60 60-80", "");
        check_plan("0-20 10-40f 100-120", "");                          /* others go on */
        check_plan("0-20 10-40f 100-120 110-120", "100-120 110-120");
        check_plan("0-540t10/10f 540-560", "");
        check_plan("0-20o 10-40 40-60", ""); /* classes are not merged with each other */
        check_plan("0-20o 10-40o 40-60", "0-20 10-40");
}

TEST(compact_plan, splits_as_upstreams_table)
{
        char *path = conformance_path("tsdb_tables/planner.json"), *text;
        size_t n_text;
        struct arena a;
        const struct json *root;
        arena_init(&a, SIZE_MAX);
        CHECK_OK(file_read(path, 1 << 24, &text, &n_text));
        CHECK_OK(json_parse((Str){text, n_text}, &a, &root));
        int seen = 0;
        JSON_EACH(c, json_get(root, STR("TestSplitByRange")))
        {
                const struct json *ranges = json_get(&c->value, STR("ranges")),
                                  *want = json_get(&c->value, STR("output"));
                struct block_meta *m = arena_array(&a, struct block_meta, ranges->n);
                const struct block_meta **p = arena_array(&a, const struct block_meta *, ranges->n);
                size_t *order = arena_array(&a, size_t, ranges->n);
                for (size_t i = 0; i < ranges->n; i++) {
                        m[i] = (struct block_meta){.mint_ms = json_i64(json_at(json_at(ranges, i), 0)),
                                                   .maxt_ms = json_i64(json_at(json_at(ranges, i), 1))};
                        p[i] = &m[i];
                        order[i] = i;
                }
                CompactPartVec parts = VEC_INIT;
                compact_split(p, order, ranges->n, json_i64(json_get(&c->value, STR("trange"))), &parts);
                CHECK_U64(parts.n, want->n);
                for (size_t i = 0; i < parts.n; i++) {
                        const struct json *group = json_at(want, i);
                        CHECK_U64(parts.p[i].to - parts.p[i].from, group->n);
                        for (size_t k = 0; k < group->n; k++) {
                                CHECK_I64(m[parts.p[i].from + k].mint_ms, json_i64(json_at(json_at(group, k), 0)));
                                CHECK_I64(m[parts.p[i].from + k].maxt_ms, json_i64(json_at(json_at(group, k), 1)));
                        }
                }
                vec_done(&parts);
                seen++;
        }
        CHECK(seen >= 9);
        seen = 0;
        JSON_EACH(c, json_get(root, STR("TestRangeWithFailedCompactionWontGetSelected")))
        {
                const struct json *metas = json_get(&c->value, STR("metas"));
                struct block_meta *m = arena_array(&a, struct block_meta, metas->n);
                const struct block_meta **p = arena_array(&a, const struct block_meta *, metas->n);
                for (size_t i = 0; i < metas->n; i++) {
                        const struct json *j = json_get(json_at(metas, i), STR("meta"));
                        m[i] = (struct block_meta){.mint_ms = json_i64(json_get(j, STR("MinTime"))),
                                                   .maxt_ms = json_i64(json_get(j, STR("MaxTime"))),
                                                   .failed = i == 1};
                        p[i] = &m[i];
                }
                static const int64_t ranges[] = {20, 60, 240, 720, 2160};
                IndexVec got = VEC_INIT;
                compact_plan(ranges, ARRAY_LEN(ranges), p, metas->n, true, &got);
                CHECK_U64(got.n, 0);
                vec_done(&got);
                seen++;
        }
        CHECK_I64(seen, 3);
        arena_done(&a);
        free(text);
        free(path);
}

/* n_series series, one sample each 10 ms in [from, to), of value + time; then a block of it. */
static struct block *make_block(const char *dir, int first_series, int n_series, TimeMs from, TimeMs to, double value)
{
        struct storage *st = memory_storage_new();
        for (int i = first_series; i < first_series + n_series; i++) {
                char text[16];
                snprintf(text, sizeof text, "%05d", i);
                Label l[] = {{STR("__name__"), STR("m")}, {STR("i"), str_from(text)}};
                for (TimeMs t = from; t < to; t += 10)
                        CHECK_OK(memory_storage_add(st, (Labels){l, 2}, t, value + (double)t));
        }
        struct arena arena;
        arena_init(&arena, SIZE_MAX);
        struct querier *q;
        struct series_set *set;
        CHECK_OK(storage_querier(st, TIME_MS_MIN, TIME_MS_MAX, &arena, &q));
        CHECK_OK(querier_select(q, &(struct select_hints){.sorted = true}, NULL, 0, &set));
        struct block_meta meta = {.ulid = ulid_new(1700000000000), .mint_ms = from, .maxt_ms = to, .level = 1};
        vec_push(&meta.sources, meta.ulid);
        CHECK_OK(block_write(dir, &meta, NULL, set));
        char name[ULID_TEXT_BYTES + 1];
        ulid_print(meta.ulid, name);
        char *path = path_join(dir, name);
        struct block *b;
        CHECK_OK(block_open(path, &b));
        free(path);
        block_meta_done(&meta);
        querier_close(q);
        arena_done(&arena);
        memory_storage_free(st);
        return b;
}

static struct block *open_ulid(const char *dir, Ulid u)
{
        char name[ULID_TEXT_BYTES + 1];
        ulid_print(u, name);
        char *path = path_join(dir, name);
        struct block *b;
        CHECK_OK(block_open(path, &b));
        free(path);
        return b;
}

/* Samples of b: how many, and the sum of their values. */
static void sum_up(struct block *b, uint64_t *ret_n, double *ret_sum)
{
        struct arena arena, scratch;
        arena_init(&arena, SIZE_MAX);
        arena_init(&scratch, SIZE_MAX);
        struct series_set *set;
        struct samples out = SAMPLES_INIT;
        *ret_n = 0;
        *ret_sum = 0;
        CHECK_OK(block_scan(b, &arena, &scratch, &set));
        for (;;) {
                struct series s;
                bool more;
                CHECK_OK(series_set_next(set, &s, &more));
                if (!more)
                        break;
                CHECK_OK(series_decode(&s, TIME_MS_MIN, TIME_MS_MAX, &out));
                *ret_n += out.n;
                for (size_t i = 0; i < out.n; i++)
                        *ret_sum += out.v[i];
        }
        samples_done(&out);
        arena_done(&arena);
        arena_done(&scratch);
}

TEST(compact, joins_neighbours_without_touching_their_chunks)
{
        const char *dir = test_dir();
        struct block *b[3];
        uint64_t n, want_n = 0, bytes = 0;
        double sum, want_sum = 0;
        for (int i = 0; i < 3; i++) {
                b[i] = make_block(dir, i * 10, 50, i * 5000, (i + 1) * 5000, i);
                sum_up(b[i], &n, &sum);
                want_n += n;
                want_sum += sum;
                bytes += block_get_meta(b[i])->stats.chunks;
        }
        Ulid u;
        bool written;
        CHECK_OK(compact_blocks(dir, b, 3, NULL, &u, &written));
        CHECK(written);
        struct block *c = open_ulid(dir, u);
        sum_up(c, &n, &sum);
        CHECK_U64(n, want_n);
        CHECK_F64(sum, want_sum);
        const struct block_meta *m = block_get_meta(c);
        CHECK_U64(m->stats.samples, want_n);
        CHECK_U64(m->stats.series, 70);
        CHECK_U64(m->stats.chunks, bytes);
        CHECK_I64(m->level, 2);
        CHECK_U64(m->sources.n, 3);
        CHECK_U64(m->parents.n, 3);
        CHECK_I64(m->mint_ms, 0);
        CHECK_I64(m->maxt_ms, 15000);
        block_unref(c);
        for (int i = 0; i < 3; i++)
                block_unref(b[i]);
}

TEST(compact, merges_overlaps)
{
        const char *dir = test_dir();
        struct block *b[2] = {make_block(dir, 0, 10, 0, 5000, 0), make_block(dir, 0, 10, 2500, 7500, 0)};
        Ulid u;
        bool written;
        CHECK_OK(compact_blocks(dir, b, 2, NULL, &u, &written));
        struct block *c = open_ulid(dir, u);
        uint64_t n;
        double sum, want = 0;
        sum_up(c, &n, &sum);
        CHECK_U64(n, 10 * 750);
        for (TimeMs t = 0; t < 7500; t += 10)
                want += 10 * (double)t;
        CHECK_F64(sum, want);
        block_unref(c);
        block_unref(b[0]);
        block_unref(b[1]);
}

TEST(compact, drops_deleted_samples_and_marks_empty_sources)
{
        const char *dir = test_dir();
        struct block *b = make_block(dir, 0, 10, 0, 5000, 0);
        struct matcher *m;
        CHECK_OK(matcher_new(MATCH_RE, STR("i"), STR("0000[0-4]"), &m));
        CHECK_OK(block_delete(b, 1000, 1999, (const struct matcher *const *)&m, 1));
        Ulid u;
        bool written;
        CHECK_OK(compact_tombstones(dir, b, NULL, &u, &written));
        CHECK(written);
        struct block *c = open_ulid(dir, u);
        CHECK_U64(block_get_meta(c)->stats.samples, 10 * 500 - 5 * 100);
        CHECK_I64(block_get_meta(c)->level, 1);
        CHECK_U64(block_get_meta(c)->parents.n, 1);
        block_unref(c);
        matcher_free(m);
        CHECK_OK(matcher_new(MATCH_RE, STR("i"), STR(".+"), &m));
        CHECK_OK(block_delete(b, 0, 5000, (const struct matcher *const *)&m, 1));
        CHECK_OK(compact_blocks(dir, &b, 1, NULL, &u, &written));
        CHECK(!written);
        struct block_meta meta;
        CHECK_OK(block_meta_read(block_get_dir(b), &meta));
        CHECK(meta.deletable);
        block_meta_done(&meta);
        block_unref(b);
        matcher_free(m);
}

TEST(compact, damage_marks_the_sources_but_cancelling_and_a_failing_disk_do_not)
{
        const char *dir = test_dir();
        struct block *b[2] = {make_block(dir, 0, 10, 0, 5000, 0), make_block(dir, 0, 10, 5000, 7500, 0)};
        Ulid u;
        bool written, cancel = true;
        struct block_meta meta;
        CHECK_ERROR(compact_blocks(dir, b, 2, &(struct block_write_opts){.cancel = &cancel}, &u, &written),
                    "cancelled");
        CHECK_OK(block_meta_read(block_get_dir(b[0]), &meta));
        CHECK(!meta.failed);
        block_meta_done(&meta);
        char *file = path_join(dir, "file");
        CHECK_OK(file_replace(file, STR("no folder")));
        struct error *io = compact_blocks(file, b, 2, NULL, &u, &written);
        CHECK(error_is(io, ERROR_IO));
        error_free(io);
        CHECK(unlink(file) == 0);
        free(file);
        CHECK_OK(block_meta_read(block_get_dir(b[0]), &meta));
        CHECK(!meta.failed);
        block_meta_done(&meta);
        /* A flipped byte in a chunk. */
        char *chunks = path_join(block_get_dir(b[1]), "chunks/000001"), *p;
        size_t n;
        CHECK_OK(file_read(chunks, 1 << 24, &p, &n));
        p[200] ^= 1;
        block_unref(b[1]);
        CHECK_OK(file_replace(chunks, (Str){p, n}));
        char *at = str_dup(str_sub(str_from(chunks), 0, strlen(chunks) - strlen("/chunks/000001")));
        CHECK_OK(block_open(at, &b[1]));
        struct error *e = compact_blocks(dir, b, 2, NULL, &u, &written);
        CHECK(error_is(e, ERROR_CORRUPT));
        CHECK(str_contains(str_from(error_str(e)), STR("chunks/000001: chunk at")));
        error_free(e);
        for (int i = 0; i < 2; i++) {
                CHECK_OK(block_meta_read(block_get_dir(b[i]), &meta));
                CHECK(meta.failed);
                block_meta_done(&meta);
        }
        PathVec names = VEC_INIT;
        CHECK_OK(dir_list(dir, &names));
        CHECK_U64(names.n, 2);
        path_vec_done(&names);
        free(at);
        free(p);
        free(chunks);
        block_unref(b[0]);
        block_unref(b[1]);
}

/* Blocks of the original that overlap, with native histograms: those are copied where they stand alone. */
TEST(compact, rewrites_blocks_of_the_original)
{
        char *root = conformance_path("tsdb/clean/data");
        PathVec names = VEC_INIT;
        CHECK_OK(block_list(root, &names));
        for (size_t i = 0; i < names.n; i++) {
                char *path = path_join(root, names.p[i]);
                const char *dir = test_dir(), *again_dir = test_dir();
                struct block *b, *copy;
                CHECK_OK(block_open(path, &b));
                CHECK_OK(block_snapshot(b, dir));
                block_unref(b);
                free(path);
                path = path_join(dir, names.p[i]);
                CHECK_OK(block_open(path, &b));
                Ulid u;
                bool written;
                struct error *e = compact_blocks(again_dir, &b, 1, NULL, &u, &written);
                if (block_tombstones(b) && error_is(e, ERROR_UNSUPPORTED)) {
                        error_ignore(e, "a deletion that cuts a histogram chunk cannot be carried out yet");
                } else {
                        CHECK_OK(e);
                        copy = open_ulid(again_dir, u);
                        if (!block_tombstones(b)) {
                                CHECK_U64(block_get_meta(copy)->stats.samples, block_get_meta(b)->stats.samples);
                                CHECK_U64(block_get_meta(copy)->stats.histogram_samples,
                                          block_get_meta(b)->stats.histogram_samples);
                                CHECK_U64(block_get_meta(copy)->stats.chunks, block_get_meta(b)->stats.chunks);
                                CHECK(index_bytes(block_get_index(copy)) <= index_bytes(block_get_index(b)));
                        }
                        block_unref(copy);
                }
                block_unref(b);
                free(path);
        }
        path_vec_done(&names);
        free(root);
}
