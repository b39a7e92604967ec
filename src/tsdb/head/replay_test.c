/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the head back with several threads; and the pieces that this is made of. */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/rand.h"
#include "base/test.h"
#include "tsdb/head/head.h"
#include "tsdb/head/refs.h"
#include "tsdb/head/slab.h"

enum { HOUR = 3600 * 1000 };

TEST(refs, give_back_what_was_set_near_and_far)
{
        struct refs r = {.cap = 0};
        CHECK_U64(refs_get(&r, 1), UINT32_MAX);
        for (uint32_t i = 0; i < 5000; i++) {
                uint64_t ref = i % 2 ? UINT64_C(0x9e3779b97f4a7c15) * i : i;
                refs_set(&r, ref, i);
        }
        refs_set(&r, UINT64_MAX, 7);
        for (uint32_t i = 0; i < 5000; i++)
                CHECK_U64(refs_get(&r, i % 2 ? UINT64_C(0x9e3779b97f4a7c15) * i : i), i);
        CHECK_U64(refs_get(&r, UINT64_MAX), 7);
        CHECK_U64(refs_get(&r, 4999), UINT32_MAX); /* its neighbours are there */
        CHECK_U64(refs_get(&r, UINT64_C(1) << 40), UINT32_MAX);
        refs_set(&r, 4998, 1);
        CHECK_U64(refs_get(&r, 4998), 1);
        refs_done(&r);
}

TEST(slab, blocks_at_hand_are_distinct_and_go_back)
{
        enum { N = 3000 };
        struct slab s;
        struct slab_local a, b;
        slab_init(&s);
        slab_local_init(&a, &s);
        slab_local_init(&b, &s);
        uint8_t *p[N];
        size_t n[N];
        struct rand r = {1};
        for (int i = 0; i < N; i++) {
                n[i] = 8 + (size_t)rand_below(&r, i % 50 ? 400 : 3000);
                p[i] = slab_local_alloc(i % 3 ? &a : &b, n[i]);
                memset(p[i], i & 0xff, n[i]);
        }
        for (int i = 0; i < N; i++) {
                CHECK(p[i][0] == (i & 0xff) && p[i][n[i] - 1] == (i & 0xff));
                if (i % 5 == 0)
                        slab_free(&s, p[i], n[i]);
                else
                        slab_local_free(i % 2 ? &a : &b, p[i], n[i]);
        }
        slab_local_done(&a);
        slab_local_done(&b);
        CHECK_U64(slab_bytes(&s), 0);
        slab_done(&s);
}

static uint64_t anonymous_bytes(void)
{
        char *text;
        size_t n;
        CHECK_OK(file_read("/proc/self/status", 1 << 20, &text, &n));
        const char *at = strstr(text, "RssAnon:");
        CHECK(at != NULL);
        uint64_t kib = strtoull(at + 8, NULL, 10);
        free(text);
        return kib * 1024;
}

TEST(slab, what_is_free_goes_back_to_the_system)
{
        enum { N = 40000, BYTES = 800 };
        struct slab s;
        slab_init(&s);
        uint8_t **p = mem_alloc(N * sizeof *p);
        for (int round = 0; round < 2; round++) {
                for (int i = 0; i < N; i++) {
                        p[i] = slab_alloc(&s, BYTES);
                        memset(p[i], i & 0xff, BYTES);
                }
                uint64_t full = anonymous_bytes();
                for (int i = 0; i < N; i++)
                        if (i % 1000)
                                slab_free(&s, p[i], BYTES);
                uint64_t given = slab_trim(&s);
                CHECK(given > N / 10 * 7 * BYTES); /* a page holds 40, and one in 25 of them keeps one */
                CHECK_U64(slab_trim(&s), 0);
                CHECK(full - anonymous_bytes() > given / 2); /* the system counts roughly */
                for (int i = 0; i < N; i += 1000) {
                        CHECK(p[i][0] == (i & 0xff) && p[i][BYTES - 1] == (i & 0xff));
                        slab_free(&s, p[i], BYTES);
                }
        }
        CHECK_U64(slab_bytes(&s), 0);
        free(p);
        slab_done(&s);
}

/* ---- the same head, whatever number of threads ---- */

enum { SERIES = 2500, ROUNDS = 130 };

static Labels numbered(char *text, size_t n_text, Label *l, int i)
{
        snprintf(text, n_text, "%d", i);
        l[0] = (Label){STR("__name__"), i % 10 ? STR("m") : STR("h")};
        l[1] = (Label){STR("n"), str_from(text)};
        return (Labels){l, 2};
}

static struct head *open_with(const char *dir, int threads, struct head_open_info *info)
{
        struct head *h;
        struct head_opts o = {.dir = dir,
                              .chunk_range_ms = 2 * HOUR,
                              .wal_compression = WAL_SNAPPY,
                              .wal_segment_bytes = 10 << 20,
                              .min_valid_ms = TIME_MS_MIN,
                              .replay_threads = threads};
        CHECK_OK(head_open(&o, &h, info));
        return h;
}

/* Floats, histograms among them, series that come later, tombstones; several full chunks each. */
static void fill(struct head *h)
{
        SeriesRef *refs = mem_zalloc(SERIES * sizeof *refs);
        struct rand r = {7};
        struct span span = {.offset = 0, .length = 1};
        for (int k = 0; k < ROUNDS; k++) {
                struct appender *a;
                CHECK_OK(storage_appender(head_storage(h), &a));
                for (int i = 0; i < (k < 20 ? SERIES / 2 : SERIES); i++) {
                        char text[16];
                        Label l[2];
                        Labels ls = refs[i] ? (Labels){0} : numbered(text, sizeof text, l, i);
                        TimeMs t = k * 15000 + i % 7;
                        if (i % 10) {
                                double v = i % 3 ? rand_unit(&r) : (double)(k + i);
                                CHECK_OK(appender_append(a, refs[i], ls, t, v, &refs[i]));
                                continue;
                        }
                        int64_t bucket = k + 1;
                        struct int_histogram x = {.schema = 1,
                                                  .count = (uint64_t)bucket,
                                                  .sum = k,
                                                  .pos = {.spans = &span, .n_spans = 1, .deltas = &bucket, .n = 1}};
                        CHECK_OK(appender_append_histogram(a, refs[i], ls, t, (struct histogram_sample){.i = &x}, &refs[i]));
                }
                CHECK_OK(appender_commit(a));
        }
        free(refs);
        struct matcher *m;
        CHECK_OK(matcher_new(MATCH_RE, STR("n"), STR("1.*"), &m));
        CHECK_OK(head_delete(h, 30 * 15000, 35 * 15000, (const struct matcher *const *)&m, 1));
        matcher_free(m);
}

/* A sum over all chunks of all series: order, times, bytes. */
static uint64_t digest(struct head *h)
{
        struct arena a;
        struct querier *q;
        struct series_set *set;
        struct matcher *m;
        struct select_hints hints = {.start_ms = TIME_MS_MIN, .end_ms = TIME_MS_MAX, .sorted = true};
        uint64_t sum = 1;
        arena_init(&a, 1 << 30);
        CHECK_OK(matcher_new(MATCH_RE, STR("__name__"), STR(".+"), &m));
        CHECK_OK(storage_querier(head_storage(h), TIME_MS_MIN, TIME_MS_MAX, &a, &q));
        CHECK_OK(querier_select(q, &hints, (const struct matcher *const *)&m, 1, &set));
        for (;;) {
                struct series x;
                bool more;
                CHECK_OK(series_set_next(set, &x, &more));
                if (!more)
                        break;
                sum = sum * 31 + labels_hash(x.labels);
                for (size_t i = 0; i < x.n_chunks; i++) {
                        sum = sum * 31 + (uint64_t)x.chunks[i].mint_ms;
                        sum = sum * 31 + (uint64_t)x.chunks[i].maxt_ms;
                        sum = sum * 31 + hash_str(x.chunks[i].data);
                }
        }
        querier_close(q);
        matcher_free(m);
        arena_done(&a);
        return sum;
}

static uint64_t dir_digest(const char *dir, const char *sub)
{
        char *path = path_join(dir, sub);
        PathVec names = VEC_INIT;
        uint64_t sum = 1;
        CHECK_OK(dir_list(path, &names));
        for (size_t i = 0; i < names.n; i++) {
                char *file = path_join(path, names.p[i]), *p;
                size_t n;
                CHECK_OK(file_read(file, 1 << 30, &p, &n));
                sum = sum * 31 + hash_str((Str){p, n});
                free(p);
                free(file);
        }
        path_vec_done(&names);
        free(path);
        return sum;
}

TEST(head, is_the_same_after_replay_whatever_the_number_of_threads)
{
        char *dir = path_join(test_dir(), "replay-threads"), *chunks = path_join(dir, "chunks_head");
        CHECK_OK(dir_remove_all(dir));
        struct head *h = open_with(dir, 1, NULL);
        fill(h);
        uint64_t want = digest(h), want_files = 0;
        CHECK_OK(head_close(h));
        static const int threads[] = {1, 2, 3, 8, 64};
        for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
                struct head_open_info info;
                struct head_stats st;
                CHECK_OK(dir_remove_all(chunks)); /* then all comes from the log */
                h = open_with(dir, threads[i], &info);
                CHECK_U64(info.unknown_refs + info.wal_corruptions, 0);
                CHECK_U64(digest(h), want);
                head_get_stats(h, &st);
                CHECK_U64(st.series, SERIES);
                CHECK_I64(head_max_ms(h), (ROUNDS - 1) * 15000 + 6);
                CHECK_OK(head_close(h));
                uint64_t files = dir_digest(dir, "chunks_head");
                want_files = want_files ? want_files : files;
                CHECK_U64(files, want_files);
        }
        h = open_with(dir, 2, NULL); /* once more, with the chunk files */
        CHECK_U64(digest(h), want);
        CHECK_OK(head_close(h));
        CHECK_U64(dir_digest(dir, "chunks_head"), want_files);
        free(chunks);
        free(dir);
}

/* Damage far back, behind what threads are busy with: all before it is there. */
TEST(head, keeps_all_before_a_damaged_record_with_threads)
{
        char *dir = path_join(test_dir(), "replay-damage"), *wal = path_join(dir, "wal"), *bytes;
        size_t n;
        CHECK_OK(dir_remove_all(dir));
        struct head *h = open_with(dir, 1, NULL);
        fill(h);
        CHECK_OK(head_close(h));
        char *path = wal_segment_path(wal, 0), *chunks = path_join(dir, "chunks_head");
        CHECK_OK(file_read(path, 1 << 30, &bytes, &n));
        bytes[n / 4 * 3 + 1000] ^= 0x20;
        uint64_t first = 0;
        for (int threads = 1; threads <= 4; threads += 3) {
                struct head_open_info info;
                CHECK_OK(dir_remove_all(chunks));
                CHECK_OK(dir_remove_all(wal));
                CHECK_OK(dir_make_all(wal));
                CHECK_OK(file_replace(path, (Str){bytes, n}));
                h = open_with(dir, threads, &info);
                CHECK_U64(info.wal_corruptions, 1);
                CHECK(head_max_ms(h) > ROUNDS / 2 * 15000);
                uint64_t sum = digest(h);
                first = first ? first : sum;
                CHECK_U64(sum, first);
                CHECK_OK(head_close(h));
        }
        free(bytes);
        free(chunks);
        free(path);
        free(wal);
        free(dir);
}

static void cancel_at_once(void *ctx, UNUSED int min, UNUSED int max, UNUSED int current)
{
        __atomic_store_n((bool *)ctx, true, __ATOMIC_RELAXED);
}

TEST(head, cancelled_in_the_middle_of_the_log_ends_its_threads)
{
        char *dir = path_join(test_dir(), "replay-cancel");
        CHECK_OK(dir_remove_all(dir));
        struct head *h = open_with(dir, 1, NULL);
        fill(h);
        CHECK_OK(head_close(h));
        bool cancel = false;
        struct head_opts o = {.dir = dir,
                              .chunk_range_ms = 2 * HOUR,
                              .min_valid_ms = TIME_MS_MIN,
                              .replay_threads = 2,
                              .progress = cancel_at_once,
                              .progress_ctx = &cancel,
                              .cancel = &cancel};
        struct error *e = head_open(&o, &h, NULL);
        CHECK(error_is(e, ERROR_CANCELLED));
        error_free(e);
        free(dir);
}
