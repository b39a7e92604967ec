/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/head/head.h"

#include <math.h>
#include <stdio.h>

#include "base/file.h"
#include "base/test.h"
#include "base/thread.h"
#include "storage/decode.h"
#include "tsdb/wal/reader.h"
#include "tsdb/wal/record.h"

enum { MINUTE = 60 * 1000, HOUR = 60 * MINUTE };
#define LABELS(...) ((Labels){(Label[]){__VA_ARGS__}, sizeof((Label[]){__VA_ARGS__}) / sizeof(Label)})
#define A LABELS({STR("__name__"), STR("a")})
#define B LABELS({STR("__name__"), STR("b")})

static char *fresh_dir(const char *name)
{
        char *d = path_join(test_dir(), name);
        CHECK_OK(dir_remove_all(d));
        CHECK_OK(dir_make_all(d));
        return d;
}

static struct head *open_at(const char *dir, int64_t window_ms)
{
        struct head *h;
        struct head_open_info info;
        struct head_opts o = {.dir = dir,
                              .chunk_range_ms = 2 * HOUR,
                              .wal_compression = WAL_SNAPPY,
                              .min_valid_ms = TIME_MS_MIN,
                              .out_of_order_window_ms = window_ms};
        CHECK_OK(head_open(&o, &h, &info));
        CHECK_U64(info.wal_corruptions + info.wbl_corruptions + info.mmap_corruptions + info.unknown_refs + info.unknown_ooo_refs, 0);
        return h;
}

static struct error *put(struct head *h, Labels ls, TimeMs t, double v)
{
        struct appender *a;
        SeriesRef ref;
        CHECK_OK(storage_appender(head_storage(h), &a));
        struct error *e = appender_append(a, 0, ls, t, v, &ref);
        CHECK_OK(appender_commit(a));
        return e;
}

/* " t:v" of the one series of this name, times in minutes; a histogram is its sum in brackets. */
static void dump(struct head *h, const char *name, enum head_which which, const struct head_ooo_part *part, struct buf *out)
{
        struct arena a;
        struct querier *q;
        struct series_set *set;
        struct matcher *m;
        struct select_hints hints = {.start_ms = TIME_MS_MIN, .end_ms = TIME_MS_MAX, .sorted = true};
        buf_clear(out);
        arena_init(&a, 1 << 30);
        CHECK_OK(matcher_new(MATCH_EQ, STR("__name__"), str_from(name), &m));
        CHECK_OK(head_querier(h, which, part, TIME_MS_MIN, TIME_MS_MAX, &a, &q));
        CHECK_OK(querier_select(q, &hints, (const struct matcher *const *)&m, 1, &set));
        for (;;) {
                struct series x;
                bool more;
                struct mixed s;
                CHECK_OK(series_set_next(set, &x, &more));
                if (!more)
                        break;
                for (size_t i = 1; i < x.n_chunks; i++)
                        CHECK(x.chunks[i - 1].mint_ms <= x.chunks[i].mint_ms);
                CHECK_OK(series_decode_mixed(&x, TIME_MS_MIN, TIME_MS_MAX, &a, &s));
                for (size_t i = 0; i < s.n; i++)
                        buf_printf(out, s.h && s.h[i] ? " %g:[%g]" : " %g:%g", (double)s.t[i] / MINUTE, s.v[i]);
        }
        querier_close(q);
        matcher_free(m);
        arena_done(&a);
}

static void check_dump(struct head *h, const char *name, const char *want)
{
        struct buf b = BUF_INIT(1 << 20);
        dump(h, name, HEAD_ALL, NULL, &b);
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
}

TEST(ooo, takes_and_refuses_as_the_original_does)
{
        char *dir = fresh_dir("ooo-rules");
        struct head *h = open_at(dir, 30 * MINUTE);
        CHECK_OK(put(h, A, 600 * MINUTE, 1));
        CHECK_OK(put(h, A, 570 * MINUTE, 2)); /* at the end of the window */
        CHECK(put(h, A, 570 * MINUTE - 1, 3) == &error_too_old_sample);
        CHECK_OK(put(h, A, 600 * MINUTE, 1)); /* the same again */
        CHECK(put(h, A, 600 * MINUTE, 4) == &error_duplicate_sample);
        CHECK_OK(put(h, A, 570 * MINUTE, 5)); /* not told, and not taken */
        CHECK_OK(put(h, B, 560 * MINUTE, 1)); /* a new series is in order from max - 1 h on */
        CHECK(put(h, B, 550 * MINUTE, 1) == &error_too_old_sample);
        CHECK(put(h, LABELS({STR("__name__"), STR("c")}), 530 * MINUTE, 1) == &error_too_old_sample);
        check_dump(h, "a", " 570:2 600:1");
        check_dump(h, "b", " 560:1");
        struct head_stats st;
        head_get_stats(h, &st);
        CHECK_U64(st.too_old, 3);
        CHECK_U64(st.ooo_appended, 1);
        CHECK_U64(st.duplicates, 1);
        CHECK_I64(st.ooo_min_ms, 570 * MINUTE);

        CHECK_OK(head_set_out_of_order_window(h, 3 * HOUR));
        CHECK_OK(put(h, LABELS({STR("__name__"), STR("c")}), 500 * MINUTE, 1)); /* out of order from the first on */
        check_dump(h, "c", " 500:1");
        CHECK_OK(head_set_out_of_order_window(h, 0));
        CHECK(put(h, A, 590 * MINUTE, 1) == &error_out_of_order_sample);
        CHECK(put(h, A, 500 * MINUTE, 1) == &error_out_of_bounds);
        CHECK_OK(head_close(h));
        h = open_at(dir, 0); /* what is in the log is there, whatever the window */
        check_dump(h, "a", " 570:2 600:1");
        check_dump(h, "c", " 500:1");
        CHECK_OK(head_close(h));
        free(dir);
}

TEST(ooo, one_commit_may_hold_both_kinds_and_a_mark_of_staleness_can_be_kept_out)
{
        char *dir = fresh_dir("ooo-commit");
        struct head *h = open_at(dir, HOUR);
        struct appender *a;
        SeriesRef ref = 0;
        CHECK_OK(storage_appender(head_storage(h), &a));
        static const int minutes[] = {600, 590, 610, 580, 590, 620, 585};
        for (size_t i = 0; i < ARRAY_LEN(minutes); i++)
                CHECK_OK(appender_append(a, 0, A, minutes[i] * MINUTE, (double)i, &ref));
        CHECK_OK(appender_commit(a));
        for (int round = 0; round < 2; round++) {
                check_dump(h, "a", " 580:3 585:6 590:1 600:0 610:2 620:5");
                CHECK_OK(head_close(h));
                h = open_at(dir, HOUR);
        }
        CHECK_OK(storage_appender(head_storage(h), &a));
        a->discard_out_of_order = true;
        CHECK(appender_append(a, 0, A, 610 * MINUTE + 1, 1, &ref) == &error_out_of_order_sample);
        a->discard_out_of_order = false;
        CHECK_OK(appender_append(a, 0, A, 610 * MINUTE + 1, 1, &ref));
        appender_rollback(a);
        CHECK_OK(head_close(h));
        free(dir);
}

/* Every second minute in order, then the others in between, from the newest to the oldest. */
static void fill(struct head *h, int n)
{
        for (int i = 0; i < n; i++)
                CHECK_OK(put(h, A, (TimeMs)(600 + 2 * i) * MINUTE, 2 * i));
        for (int i = n - 1; i >= 0; i--)
                CHECK_OK(put(h, A, (TimeMs)(601 + 2 * i) * MINUTE - 1000, 2 * i + 1));
}

static void check_filled(struct head *h, int n)
{
        struct buf got = BUF_INIT(1 << 20), want = BUF_INIT(1 << 20);
        dump(h, "a", HEAD_ALL, NULL, &got);
        for (int i = 0; i < n; i++) {
                buf_printf(&want, " %g:%d", (double)(600 + 2 * i), 2 * i);
                buf_printf(&want, " %g:%d", (double)((601 + 2 * i) * MINUTE - 1000) / MINUTE, 2 * i + 1);
        }
        CHECK_STRS(buf_str(&got), buf_str(&want));
        buf_done(&got);
        buf_done(&want);
}

TEST(ooo, full_batches_go_to_the_chunk_files_and_come_back)
{
        char *dir = fresh_dir("ooo-chunks");
        struct head *h = open_at(dir, 10 * HOUR);
        fill(h, 100);
        for (int round = 0; round < 3; round++) {
                check_filled(h, 100);
                struct head_stats st;
                head_get_stats(h, &st);
                CHECK_U64(st.chunks_created - st.chunks_removed, 3 + 1 + 2); /* three of 32, one of 3, two in order */
                CHECK_OK(head_close(h));
                h = open_at(dir, 10 * HOUR);
        }
        /* Without the chunk files the log has all of it. */
        CHECK_OK(head_close(h));
        char *chunks = path_join(dir, "chunks_head");
        CHECK_OK(dir_remove_all(chunks));
        h = open_at(dir, 10 * HOUR);
        check_filled(h, 100);
        CHECK_OK(head_close(h));
        free(chunks);
        free(dir);
}

TEST(ooo, the_log_says_where_a_batch_became_a_chunk)
{
        char *dir = fresh_dir("ooo-log");
        struct head *h = open_at(dir, 10 * HOUR);
        fill(h, 70);
        CHECK_OK(head_close(h));
        char *wbl = path_join(dir, "wbl");
        struct wal_reader *r;
        struct buf b = BUF_INIT(1 << 16);
        CHECK_OK(wal_reader_open(wbl, 0, WAL_ALL_SEGMENTS, &r));
        unsigned run = 0;
        for (;;) {
                Str rec;
                bool more;
                CHECK_OK(wal_reader_next(r, &rec, &more));
                if (!more)
                        break;
                if (record_type(rec) == RECORD_SAMPLES) {
                        run++;
                        continue;
                }
                RecordMarkerVec v = VEC_INIT;
                CHECK_OK(record_markers_decode(rec, &v));
                CHECK_U64(v.n, 1);
                buf_printf(&b, "%u %s ", run, v.p[0].chunk_ref ? "chunk" : "begin");
                run = 0;
                vec_done(&v);
        }
        buf_printf(&b, "%u", run);
        CHECK_STR(buf_str(&b), "0 begin 32 chunk 32 chunk 5");
        wal_reader_close(r);
        buf_done(&b);
        free(wbl);
        free(dir);
}

TEST(ooo, a_part_is_cut_off_and_what_came_later_stays)
{
        char *dir = fresh_dir("ooo-part");
        struct head *h = open_at(dir, 10 * HOUR);
        CHECK_OK(put(h, A, 700 * MINUTE, 1));
        CHECK_OK(put(h, A, 600 * MINUTE, 2));
        CHECK_OK(put(h, B, 601 * MINUTE, 3)); /* has nothing in order: older than 1 h */
        struct head_ooo_part part;
        CHECK_OK(head_ooo_begin(h, &part));
        CHECK_I64(part.mint_ms, 600 * MINUTE);
        CHECK_I64(part.maxt_ms, 601 * MINUTE);
        CHECK_OK(put(h, A, 610 * MINUTE, 4));
        struct buf b = BUF_INIT(4096);
        dump(h, "a", HEAD_OUT_OF_ORDER, &part, &b);
        CHECK_STR(buf_str(&b), " 600:2");
        dump(h, "a", HEAD_IN_ORDER, NULL, &b);
        CHECK_STR(buf_str(&b), " 700:1");
        check_dump(h, "a", " 600:2 610:4 700:1");
        check_dump(h, "b", " 601:3");
        CHECK_OK(head_ooo_truncate(h, &part));
        check_dump(h, "a", " 610:4 700:1");
        check_dump(h, "b", "");
        CHECK_I64(head_ooo_min_ms(h), 610 * MINUTE);
        struct head_stats st;
        head_get_stats(h, &st);
        CHECK_U64(st.series, 1);
        CHECK_OK(head_close(h));
        buf_done(&b);
        free(dir);
}

TEST(ooo, histograms_and_their_staleness_come_out_of_order_too)
{
        char *dir = fresh_dir("ooo-histograms");
        struct head *h = open_at(dir, 10 * HOUR);
        struct span spans[] = {{0, 1}};
        for (int i = 0; i < 40; i++) {
                int64_t deltas[] = {i + 1};
                double counts[] = {i + 1};
                struct int_histogram n = {.count = (uint64_t)i + 1, .sum = i, .pos = {.spans = spans, .n_spans = 1, .deltas = deltas, .n = 1}};
                struct histogram f = {.count = i + 1, .sum = i, .pos = {.spans = spans, .n_spans = 1, .counts = counts, .n = 1}};
                struct appender *a;
                SeriesRef ref;
                CHECK_OK(storage_appender(head_storage(h), &a));
                CHECK_OK(appender_append_histogram(a, 0, A, (i ? 600 - i : 700) * MINUTE,
                                                   i % 4 == 3 ? (struct histogram_sample){.f = &f} : (struct histogram_sample){.i = &n}, &ref));
                CHECK_OK(appender_commit(a));
        }
        uint64_t bits = STALE_NAN_BITS;
        double stale;
        memcpy(&stale, &bits, sizeof stale);
        CHECK_OK(put(h, A, 650 * MINUTE, stale)); /* becomes one of the kind of the newest sample */
        struct buf first = BUF_INIT(1 << 16), b = BUF_INIT(1 << 16);
        dump(h, "a", HEAD_ALL, NULL, &first);
        CHECK(str_has_prefix(buf_str(&first), STR(" 561:[39] 562:[38]")));
        CHECK_MSG(str_has_suffix(buf_str(&first), STR(" 599:[1] 650:[nan] 700:[0]")), "%s", buf_cstr(&first));
        for (int round = 0; round < 2; round++) {
                CHECK_OK(head_close(h));
                h = open_at(dir, 10 * HOUR);
                dump(h, "a", HEAD_ALL, NULL, &b);
                CHECK_STRS(buf_str(&b), buf_str(&first));
        }
        CHECK_OK(head_close(h));
        buf_done(&first);
        buf_done(&b);
        free(dir);
}

TEST(ooo, deletions_reach_what_came_out_of_order_and_last)
{
        char *dir = fresh_dir("ooo-delete");
        struct head *h = open_at(dir, 10 * HOUR);
        CHECK_OK(put(h, A, 700 * MINUTE, 1));
        for (int i = 0; i < 5; i++)
                CHECK_OK(put(h, A, (600 + i) * MINUTE, i));
        struct matcher *m;
        CHECK_OK(matcher_new(MATCH_EQ, STR("__name__"), STR("a"), &m));
        CHECK_OK(head_delete(h, 601 * MINUTE, 603 * MINUTE, (const struct matcher *const *)&m, 1));
        for (int round = 0; round < 2; round++) {
                check_dump(h, "a", " 600:0 604:4 700:1");
                CHECK_OK(head_close(h));
                h = open_at(dir, 10 * HOUR);
        }
        CHECK_OK(head_close(h));
        matcher_free(m);
        free(dir);
}

/* ---- all at once, for the thread sanitizer ---- */

enum { ROUNDS = 300, WRITERS = 2 };
struct crowd {
        struct head *h;
        int writer, *done; /* atomic */
};

static void write_both(void *arg)
{
        struct crowd *c = arg;
        char text[8];
        snprintf(text, sizeof text, "w%d", c->writer);
        Labels ls = LABELS({STR("__name__"), str_from(text)});
        for (int k = 0; k < ROUNDS; k++) {
                struct appender *a;
                SeriesRef ref = 0;
                CHECK_OK(storage_appender(head_storage(c->h), &a));
                CHECK_OK(appender_append(a, 0, ls, (600 + 2 * k) * MINUTE, 600 + 2 * k, &ref));
                CHECK_OK(appender_append(a, ref, ls, (599 + k) * MINUTE, 599 + k, &ref));
                CHECK_OK(appender_commit(a));
        }
        __atomic_fetch_add(c->done, 1, __ATOMIC_SEQ_CST);
}

static void read_both(void *arg)
{
        struct crowd *c = arg;
        while (__atomic_load_n(c->done, __ATOMIC_SEQ_CST) < WRITERS) {
                struct arena a;
                struct querier *q;
                struct series_set *set;
                struct samples s = SAMPLES_INIT;
                arena_init(&a, 1 << 28);
                CHECK_OK(storage_querier(head_storage(c->h), TIME_MS_MIN, TIME_MS_MAX, &a, &q));
                CHECK_OK(querier_select(q, &(struct select_hints){.sorted = true}, NULL, 0, &set));
                for (;;) {
                        struct series x;
                        bool more;
                        CHECK_OK(series_set_next(set, &x, &more));
                        if (!more)
                                break;
                        CHECK_OK(series_decode(&x, TIME_MS_MIN, TIME_MS_MAX, &s));
                        for (size_t i = 0; i < s.n; i++)
                                CHECK_F64(s.v[i], (double)s.t[i] / MINUTE);
                }
                querier_close(q);
                samples_done(&s);
                arena_done(&a);
        }
}

static void cut_off(void *arg)
{
        struct crowd *c = arg;
        while (__atomic_load_n(c->done, __ATOMIC_SEQ_CST) < WRITERS) {
                struct head_ooo_part part;
                struct head_stats st;
                CHECK_OK(head_ooo_begin(c->h, &part));
                CHECK_OK(head_ooo_truncate(c->h, &part));
                head_get_stats(c->h, &st);
        }
}

TEST(ooo, writers_readers_and_compaction_at_once)
{
        char *dir = fresh_dir("ooo-crowd");
        struct head *h = open_at(dir, 20 * HOUR);
        int done = 0;
        struct crowd c[WRITERS] = {{h, 0, &done}, {h, 1, &done}};
        struct thread t[WRITERS + 2] = {0};
        for (int i = 0; i < WRITERS; i++)
                CHECK_OK(thread_start(&t[i], "write", write_both, &c[i]));
        CHECK_OK(thread_start(&t[WRITERS], "read", read_both, &c[0]));
        CHECK_OK(thread_start(&t[WRITERS + 1], "cut", cut_off, &c[0]));
        for (size_t i = 0; i < ARRAY_LEN(t); i++)
                thread_join(&t[i]);
        struct head_stats st;
        head_get_stats(h, &st);
        /* A writer that is far behind the other one is out of order with all, and has some times twice. */
        CHECK(st.samples_appended > WRITERS * ROUNDS && st.samples_appended <= WRITERS * (2 * ROUNDS - 1));
        CHECK_OK(head_close(h));
        free(dir);
}
