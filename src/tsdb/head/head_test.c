/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/head/head.h"

#include <errno.h>
#include <stdio.h>

#include "base/file.h"
#include "base/test.h"
#include "base/thread.h"
#include "codec/json.h"
#include "storage/acceptance.h"
#include "storage/decode.h"

enum { HOUR = 3600 * 1000 };

static char *fresh_dir(const char *name)
{
        char *d = path_join(test_dir(), name);
        CHECK_OK(dir_remove_all(d));
        CHECK_OK(dir_make_all(d));
        return d;
}

static struct head *open_at(const char *dir, struct head_open_info *info)
{
        struct head *h;
        struct head_opts o = {
                .dir = dir, .chunk_range_ms = 2 * HOUR, .wal_compression = WAL_SNAPPY, .min_valid_ms = TIME_MS_MIN};
        CHECK_OK(head_open(&o, &h, info));
        return h;
}

#define LABELS(...) ((Labels){(Label[]){__VA_ARGS__}, sizeof((Label[]){__VA_ARGS__}) / sizeof(Label)})

static Labels numbered(char *text, size_t n_text, int i)
{
        static Label l[2];
        snprintf(text, n_text, "%d", i);
        l[0] = (Label){STR("__name__"), STR("m")};
        l[1] = (Label){STR("n"), str_from(text)};
        return (Labels){l, 2};
}

static void append_one(struct head *h, Labels ls, TimeMs t, double v)
{
        struct appender *a;
        SeriesRef ref;
        CHECK_OK(storage_appender(head_storage(h), &a));
        CHECK_OK(appender_append(a, 0, ls, t, v, &ref));
        CHECK_OK(appender_commit(a));
}

/* All series as text "labels t:v t:v …\n", sorted. */
static void dump(struct head *h, TimeMs mint, TimeMs maxt, enum matcher_type type, const char *name, const char *value,
                 struct buf *out)
{
        struct arena a;
        struct querier *q;
        struct series_set *set;
        struct matcher *m;
        struct samples s = SAMPLES_INIT;
        struct select_hints hints = {.start_ms = mint, .end_ms = maxt, .sorted = true};
        buf_clear(out);
        arena_init(&a, 1 << 30);
        CHECK_OK(matcher_new(type, str_from(name), str_from(value), &m));
        CHECK_OK(storage_querier(head_storage(h), mint, maxt, &a, &q));
        CHECK_OK(querier_select(q, &hints, (const struct matcher *const *)&m, 1, &set));
        for (;;) {
                struct series x;
                bool more;
                CHECK_OK(series_set_next(set, &x, &more));
                if (!more)
                        break;
                CHECK_OK(series_decode(&x, mint, maxt, &s));
                labels_print(out, x.labels);
                for (size_t i = 0; i < s.n; i++)
                        buf_printf(out, " %lld:%g", (long long)s.t[i], s.v[i]);
                buf_putc(out, '\n');
        }
        querier_close(q);
        matcher_free(m);
        samples_done(&s);
        arena_done(&a);
}

static void check_dump(struct head *h, enum matcher_type type, const char *name, const char *value, const char *want)
{
        struct buf b = BUF_INIT(1 << 20);
        dump(h, TIME_MS_MIN, TIME_MS_MAX, type, name, value, &b);
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
}

TEST(head, samples_are_there_after_commit_and_after_reopening)
{
        char *dir = fresh_dir("head-basic");
        struct head *h = open_at(dir, NULL);
        CHECK(head_is_empty(h));
        append_one(h, LABELS({STR("__name__"), STR("a")}), 1000, 1);
        append_one(h, LABELS({STR("__name__"), STR("a")}), 2000, 2);
        append_one(h, LABELS({STR("__name__"), STR("b")}, {STR("x"), STR("1")}), 2000, 3);
        for (int round = 0; round < 3; round++) {
                check_dump(h, MATCH_RE, "__name__", ".+",
                           "{__name__=\"a\"} 1000:1 2000:2\n{__name__=\"b\", x=\"1\"} 2000:3\n");
                check_dump(h, MATCH_EQ, "__name__", "a", "{__name__=\"a\"} 1000:1 2000:2\n");
                check_dump(h, MATCH_EQ, "x", "", "{__name__=\"a\"} 1000:1 2000:2\n");
                check_dump(h, MATCH_NE, "x", "", "{__name__=\"b\", x=\"1\"} 2000:3\n");
                check_dump(h, MATCH_NRE, "__name__", "a|c", "{__name__=\"b\", x=\"1\"} 2000:3\n");
                CHECK_I64(head_min_ms(h), 1000);
                CHECK_I64(head_max_ms(h), 2000);
                CHECK_OK(head_close(h));
                h = open_at(dir, NULL);
        }
        CHECK_OK(head_close(h));
        free(dir);
}

TEST(head, opening_ends_when_it_is_cancelled)
{
        char *dir = fresh_dir("head-cancel");
        struct head *h = open_at(dir, NULL);
        append_one(h, LABELS({STR("__name__"), STR("a")}), 1000, 1);
        CHECK_OK(head_close(h));
        bool cancel = true;
        struct head_opts o = {.dir = dir, .chunk_range_ms = 2 * HOUR, .wal_compression = WAL_SNAPPY, .min_valid_ms = TIME_MS_MIN, .cancel = &cancel};
        struct error *e = head_open(&o, &h, NULL);
        CHECK(error_is(e, ERROR_CANCELLED));
        error_free(e);
        h = open_at(dir, NULL);
        check_dump(h, MATCH_EQ, "__name__", "a", "{__name__=\"a\"} 1000:1\n");
        CHECK_OK(head_close(h));
        free(dir);
}

TEST(head, refuses_as_the_original_does)
{
        char *dir = fresh_dir("head-refuse");
        struct head *h = open_at(dir, NULL);
        Labels ls = LABELS({STR("__name__"), STR("a")});
        append_one(h, ls, 10 * HOUR, 1);
        struct appender *a;
        SeriesRef ref = 0;
        CHECK_OK(storage_appender(head_storage(h), &a));
        CHECK(appender_append(a, 0, ls, 9 * HOUR - 1, 1, &ref) == &error_out_of_bounds);
        CHECK(appender_append(a, 0, ls, 9 * HOUR, 1, &ref) == &error_out_of_order_sample);
        CHECK(appender_append(a, 0, ls, 10 * HOUR, 2, &ref) == &error_duplicate_sample);
        CHECK_OK(appender_append(a, 0, ls, 10 * HOUR, 1, &ref));
        CHECK(ref != 0);
        SeriesRef again = 0;
        CHECK_OK(appender_append(a, ref, (Labels){0}, 10 * HOUR + 1, 5, &again));
        CHECK_U64(again, ref);
        CHECK_ERROR(appender_append(a, 12345, (Labels){0}, 10 * HOUR + 1, 5, &again), "unknown series reference 12345");
        CHECK_ERROR(appender_append(a, 0, (Labels){0}, 10 * HOUR + 1, 5, &again), "empty labelset: invalid sample");
        appender_rollback(a);
        struct head_stats st;
        head_get_stats(h, &st);
        CHECK_U64(st.out_of_bounds, 1);
        CHECK_U64(st.out_of_order, 1);
        CHECK_U64(st.duplicates, 1);
        check_dump(h, MATCH_EQ, "__name__", "a", "{__name__=\"a\"} 36000000:1\n");
        CHECK_OK(head_close(h));
        free(dir);
}

/* n series, 1000 samples each, one commit a timestamp. */
static void fill(struct head *h, int n, int from, int to)
{
        SeriesRef *refs = mem_zalloc((size_t)n * sizeof *refs);
        char text[16];
        for (int k = from; k < to; k++) {
                struct appender *a;
                CHECK_OK(storage_appender(head_storage(h), &a));
                for (int i = 0; i < n; i++)
                        CHECK_OK(appender_append(a, refs[i], refs[i] ? (Labels){0} : numbered(text, sizeof text, i),
                                                 k * 15000, i + k * 0.5, &refs[i]));
                CHECK_OK(appender_commit(a));
        }
        free(refs);
}

static void check_filled(struct head *h, int n, int from, int to)
{
        struct arena a;
        struct querier *q;
        struct series_set *set;
        struct matcher *m;
        struct samples s = SAMPLES_INIT;
        struct select_hints hints = {.sorted = false};
        arena_init(&a, 1 << 30);
        CHECK_OK(matcher_new(MATCH_EQ, STR("__name__"), STR("m"), &m));
        CHECK_OK(storage_querier(head_storage(h), TIME_MS_MIN, TIME_MS_MAX, &a, &q));
        CHECK_OK(querier_select(q, &hints, (const struct matcher *const *)&m, 1, &set));
        int got = 0;
        for (;; got++) {
                struct series x;
                bool more;
                CHECK_OK(series_set_next(set, &x, &more));
                if (!more)
                        break;
                uint64_t i;
                CHECK(str_to_u64(labels_get(x.labels, STR("n")), &i));
                CHECK_OK(series_decode(&x, TIME_MS_MIN, TIME_MS_MAX, &s));
                CHECK_I64((int64_t)s.n, to - from);
                for (int k = from; k < to; k++) {
                        CHECK_I64(s.t[k - from], k * 15000);
                        CHECK_F64(s.v[k - from], (double)i + k * 0.5);
                }
        }
        CHECK_I64(got, n);
        querier_close(q);
        matcher_free(m);
        samples_done(&s);
        arena_done(&a);
}

TEST(head, full_chunks_leave_memory_and_come_back)
{
        char *dir = fresh_dir("head-chunks");
        struct head *h = open_at(dir, NULL);
        fill(h, 50, 1, 1001);
        check_filled(h, 50, 1, 1001);
        struct head_stats st;
        head_get_stats(h, &st);
        CHECK(st.chunks_head_bytes > 50 * 7 * 30);
        CHECK_U64(st.series, 50);
        CHECK_OK(head_close(h));
        h = open_at(dir, NULL);
        check_filled(h, 50, 1, 1001);
        head_get_stats(h, &st);
        CHECK_U64(st.series, 50);
        fill(h, 50, 1001, 1300);
        check_filled(h, 50, 1, 1300);
        CHECK_OK(head_close(h));
        free(dir);
}

TEST(head, truncation_forgets_samples_series_segments_and_files)
{
        char *dir = fresh_dir("head-truncate");
        struct head_opts o = {.dir = dir,
                              .chunk_range_ms = 2 * HOUR,
                              .wal_compression = WAL_SNAPPY,
                              .min_valid_ms = TIME_MS_MIN,
                              .wal_segment_bytes = 64 * 1024};
        struct head *h;
        CHECK_OK(head_open(&o, &h, NULL));
        append_one(h, LABELS({STR("__name__"), STR("gone")}), 15000, 1);
        fill(h, 100, 1, 1900); /* almost 8 h */
        CHECK(head_is_compactable(h));
        for (int hours = 2; hours <= 6; hours += 2) {
                CHECK_OK(head_truncate(h, hours * HOUR));
                check_filled(h, 100, hours * 240, 1900);
                check_dump(h, MATCH_EQ, "__name__", "gone", "");
                CHECK_I64(head_min_ms(h), hours * HOUR);
        }
        struct head_stats st;
        head_get_stats(h, &st);
        CHECK(st.checkpoint_creations > 0 && st.checkpoint_creations_failed == 0);
        CHECK_U64(st.series, 100);
        CHECK_U64(st.series_removed, 1);
        CHECK_OK(head_close(h));
        o.min_valid_ms = 6 * HOUR;
        CHECK_OK(head_open(&o, &h, NULL));
        check_filled(h, 100, 6 * 240, 1900);
        CHECK_OK(head_close(h));
        free(dir);
}

TEST(head, deletions_hide_and_survive)
{
        char *dir = fresh_dir("head-delete");
        struct head *h = open_at(dir, NULL);
        for (int i = 1; i <= 5; i++)
                append_one(h, LABELS({STR("__name__"), STR("a")}), i * 1000, i);
        struct matcher *m;
        CHECK_OK(matcher_new(MATCH_EQ, STR("__name__"), STR("a"), &m));
        CHECK_OK(head_delete(h, 2000, 3500, (const struct matcher *const *)&m, 1));
        check_dump(h, MATCH_EQ, "__name__", "a", "{__name__=\"a\"} 1000:1 4000:4 5000:5\n");
        CHECK_OK(head_delete(h, 5000, TIME_MS_MAX, (const struct matcher *const *)&m, 1));
        append_one(h, LABELS({STR("__name__"), STR("a")}), 6000, 6);
        for (int i = 0; i < 2; i++) {
                check_dump(h, MATCH_EQ, "__name__", "a", "{__name__=\"a\"} 1000:1 4000:4 6000:6\n");
                CHECK_OK(head_close(h));
                h = open_at(dir, NULL);
        }
        CHECK_OK(head_close(h));
        matcher_free(m);
        free(dir);
}

TEST(head, a_querier_shows_what_was_committed_before_it)
{
        char *dir = fresh_dir("head-isolation");
        struct head *h = open_at(dir, NULL);
        Labels ls = LABELS({STR("__name__"), STR("a")});
        append_one(h, ls, 1000, 1);
        struct arena a;
        struct querier *q;
        struct series_set *set;
        struct series x;
        bool more;
        struct samples s = SAMPLES_INIT;
        struct matcher *m;
        arena_init(&a, 1 << 20);
        CHECK_OK(matcher_new(MATCH_EQ, STR("__name__"), STR("a"), &m));
        CHECK_OK(storage_querier(head_storage(h), TIME_MS_MIN, TIME_MS_MAX, &a, &q));
        append_one(h, ls, 2000, 2);
        append_one(h, ls, 3000, 3);
        struct select_hints hints = {.sorted = true};
        CHECK_OK(querier_select(q, &hints, (const struct matcher *const *)&m, 1, &set));
        CHECK_OK(series_set_next(set, &x, &more));
        CHECK(more);
        CHECK_OK(series_decode(&x, TIME_MS_MIN, TIME_MS_MAX, &s));
        CHECK_U64(s.n, 1);
        CHECK_I64(x.chunks[0].maxt_ms, 1000);
        querier_close(q);
        check_dump(h, MATCH_EQ, "__name__", "a", "{__name__=\"a\"} 1000:1 2000:2 3000:3\n");
        matcher_free(m);
        samples_done(&s);
        arena_done(&a);
        CHECK_OK(head_close(h));
        free(dir);
}

static struct storage *open_empty(void *ctx)
{
        char *dir = fresh_dir("head-acceptance");
        struct head **h = ctx;
        *h = open_at(dir, NULL);
        free(dir);
        return head_storage(*h);
}

static void close_opened(void *ctx, UNUSED struct storage *s)
{
        CHECK_OK(head_close(*(struct head **)ctx));
}

TEST(head, does_what_every_storage_must_do)
{
        struct head *h = NULL;
        storage_acceptance(&(struct storage_maker){.open = open_empty, .close = close_opened, .ctx = &h});
}

/* ---- directories of the original ---- */

static void copy_dir(const char *from, const char *to)
{
        PathVec names = VEC_INIT;
        CHECK_OK(dir_make_all(to));
        CHECK_OK(dir_list(from, &names));
        for (size_t i = 0; i < names.n; i++) {
                char *a = path_join(from, names.p[i]), *b = path_join(to, names.p[i]), *text;
                size_t n;
                struct error *e = file_read(a, 1 << 30, &text, &n);
                if (e) {
                        error_free(e);
                        copy_dir(a, b);
                } else {
                        CHECK_OK(file_replace(b, (Str){text, n}));
                        free(text);
                }
                free(a);
                free(b);
        }
        path_vec_done(&names);
}

/* One series as text: floats, and histograms by their count. */
static void dump_mixed(struct head *h, struct buf *out)
{
        struct arena a;
        struct querier *q;
        struct series_set *set;
        struct select_hints hints = {.start_ms = TIME_MS_MIN, .end_ms = TIME_MS_MAX};
        arena_init(&a, 1 << 30);
        buf_clear(out);
        CHECK_OK(storage_querier(head_storage(h), TIME_MS_MIN, TIME_MS_MAX, &a, &q));
        CHECK_OK(querier_select(q, &hints, NULL, 0, &set));
        for (;;) {
                struct series x;
                struct mixed m;
                bool more;
                CHECK_OK(series_set_next(set, &x, &more));
                if (!more)
                        break;
                CHECK_OK(series_decode_mixed(&x, TIME_MS_MIN, TIME_MS_MAX, &a, &m));
                for (size_t i = 0; i < m.n; i++) {
                        bool is_h = m.h && m.h[i];
                        buf_printf(out, "%s%lld:", out->n ? " " : "", (long long)m.t[i]);
                        if (is_stale_nan(m.v[i]))
                                buf_puts(out, is_h ? "(stale)" : "stale");
                        else
                                buf_printf(out, is_h ? "(%g)" : "%g", is_h ? m.h[i]->count : m.v[i]);
                }
        }
        querier_close(q);
        arena_done(&a);
}

static void check_mixed(struct head *h, const char *want)
{
        struct buf b = BUF_INIT(1 << 20);
        dump_mixed(h, &b);
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
}

static struct int_histogram int_of(int64_t count)
{
        static const struct span one[] = {{0, 1}};
        static int64_t deltas[256];
        deltas[count & 255] = count;
        return (struct int_histogram){
                .schema = 1, .count = (uint64_t)count, .sum = 1, .pos = {one, &deltas[count & 255], 1, 1}};
}

TEST(head, histograms_and_floats_of_one_series_keep_their_order)
{
        char *dir = fresh_dir("head-histograms");
        struct head *h = open_at(dir, NULL);
        Labels ls = LABELS({STR("__name__"), STR("a")});
        struct appender *a;
        SeriesRef ref = 0;
        struct int_histogram i1 = int_of(1), i2 = int_of(2), i3 = int_of(3);
        struct histogram f = {.schema = HISTOGRAM_SCHEMA_CUSTOM, .count = 4.5, .sum = 1};
        uint64_t bits = STALE_NAN_BITS;
        double stale;
        memcpy(&stale, &bits, sizeof stale);
        CHECK_OK(storage_appender(head_storage(h), &a));
        CHECK_OK(appender_append_histogram(a, ref, ls, 1000, (struct histogram_sample){.i = &i1}, &ref));
        CHECK_OK(appender_append(a, ref, ls, 2000, 7, &ref));
        CHECK_OK(appender_append_histogram(a, ref, ls, 3000, (struct histogram_sample){.i = &i2}, &ref));
        CHECK_OK(appender_append_histogram(a, ref, ls, 4000, (struct histogram_sample){.f = &f}, &ref));
        CHECK_OK(appender_append_histogram(a, ref, ls, 5000, (struct histogram_sample){.i = &i3}, &ref));
        CHECK_OK(appender_commit(a));
        check_mixed(h, "1000:(1) 2000:7 3000:(2) 4000:(4.5) 5000:(3)");
        CHECK_OK(head_close(h));
        h = open_at(dir, NULL);
        check_mixed(h, "1000:(1) 2000:7 3000:(2) 4000:(4.5) 5000:(3)");
        CHECK_OK(storage_appender(head_storage(h), &a));
        ref = 0;
        CHECK_OK(appender_append_histogram(a, ref, ls, 5000, (struct histogram_sample){.i = &i3}, &ref));
        CHECK(appender_append_histogram(a, ref, ls, 5000, (struct histogram_sample){.i = &i2}, &ref) ==
              &error_duplicate_sample);
        CHECK(appender_append(a, ref, ls, 5000, 1, &ref) == &error_duplicate_sample);
        CHECK(appender_append_histogram(a, ref, ls, 4000, (struct histogram_sample){.i = &i3}, &ref) ==
              &error_out_of_order_sample);
        CHECK_OK(appender_append(a, ref, ls, 6000, stale, &ref));
        i3.count = 9;
        CHECK_ERROR(appender_append_histogram(a, ref, ls, 7000, (struct histogram_sample){.i = &i3}, &ref),
                    "3 observations found in buckets, but the Count field is 9: histogram's observation count should "
                    "equal the "
                    "number of observations found in the buckets (in absence of NaN)");
        CHECK_OK(appender_commit(a));
        check_mixed(h, "1000:(1) 2000:7 3000:(2) 4000:(4.5) 5000:(3) 6000:(stale)");
        CHECK_OK(head_close(h));
        free(dir);
}

TEST(head, histogram_chunks_are_cut_by_size_and_read_back_from_files)
{
        char *dir = fresh_dir("head-histograms-many");
        struct head *h = open_at(dir, NULL);
        Labels ls = LABELS({STR("__name__"), STR("a")});
        SeriesRef ref = 0;
        struct buf want = BUF_INIT(1 << 20), got = BUF_INIT(1 << 20);
        uint64_t seed = 1;
        int64_t count = 0;
        for (int i = 0; i < 400; i++) {
                struct appender *a;
                seed = seed * UINT64_C(6364136223846793005) + 1;
                count += (int64_t)(seed >> 34);
                struct int_histogram x = int_of(count);
                x.sum = (double)seed;
                CHECK_OK(storage_appender(head_storage(h), &a));
                CHECK_OK(appender_append_histogram(a, ref, ls, i * 15000, (struct histogram_sample){.i = &x}, &ref));
                CHECK_OK(appender_commit(a));
                buf_printf(&want, "%s%d:(%g)", i ? " " : "", i * 15000, (double)count);
        }
        struct head_stats stats;
        head_get_stats(h, &stats);
        CHECK(stats.chunks_created >= 4);
        for (int round = 0; round < 2; round++) {
                dump_mixed(h, &got);
                CHECK_STRS(buf_str(&got), buf_str(&want));
                CHECK_OK(head_close(h));
                h = open_at(dir, NULL);
        }
        CHECK_OK(head_truncate(h, 300 * 15000));
        dump_mixed(h, &got);
        CHECK(got.n > 0 && got.n < want.n);
        CHECK(str_has_suffix(buf_str(&want), buf_str(&got)));
        CHECK_OK(head_close(h));
        buf_done(&want);
        buf_done(&got);
        free(dir);
}

TEST(head, opens_what_the_original_left)
{
        static const char *const sets[] = {"tsdb/mmapped", "tsdb/mmapped_clean"};
        char *answers = conformance_path("tsdb/mmapped/holds.json"), *text;
        size_t n_text, compared = 0;
        CHECK_OK(file_read(answers, 1 << 28, &text, &n_text));
        struct arena a;
        arena_init(&a, 1 << 30);
        const struct json *root;
        CHECK_OK(json_parse((Str){text, n_text}, &a, &root));
        for (size_t k = 0; k < ARRAY_LEN(sets); k++) {
                char *base = conformance_path(sets[k]), *data = path_join(base, "data"),
                     *dir = fresh_dir("head-foreign");
                copy_dir(data, dir);
                struct head_open_info info;
                struct head *h = open_at(dir, &info);
                CHECK_U64(info.wal_corruptions + info.mmap_corruptions, 0);
                struct buf got = BUF_INIT(1 << 26), want = BUF_INIT(1 << 26);
                JSON_EACH(s, json_get(root, STR("matrix")))
                {
                        const struct json *values = json_get(&s->value, STR("values")),
                                          *metric = json_get(&s->value, STR("metric"));
                        Str name = json_str(json_get(metric, STR("__name__")));
                        if (!values || json_get(&s->value, STR("histograms")) ||
                            str_eq(json_str(json_get(metric, STR("job"))), STR("late")))
                                continue; /* db_test.c compares all; here a name is enough to find a series */
                        char *of = str_dup(name);
                        dump(h, TIME_MS_MIN, TIME_MS_MAX, MATCH_EQ, "__name__", of, &got);
                        free(of);
                        buf_clear(&want);
                        JSON_EACH(v, values)
                        buf_printf(&want, " %lld:%g", (long long)(json_f64(json_at(&v->value, 0)) * 1000 + 0.5),
                                   strtod(json_str(json_at(&v->value, 1)).p, NULL));
                        buf_putc(&want, ' ');
                        Str line = buf_str(&got), word;
                        str_cut(line, '\n', &line, &word);
                        size_t n = 0;
                        line = str_skip(line, (size_t)str_find(line, '}') + 2);
                        while (str_next(&line, ' ', &word)) {
                                char *needle = mem_alloc(word.n + 3);
                                snprintf(needle, word.n + 3, " " STR_FMT " ", STR_ARG(word));
                                CHECK_MSG(str_contains(buf_str(&want), str_from(needle)),
                                          "%s: " STR_FMT ": not in the answer:%s", sets[k], STR_ARG(name), needle);
                                free(needle);
                                n++;
                        }
                        CHECK_U64(n, values->n);
                        compared++;
                }
                buf_done(&got);
                buf_done(&want);
                CHECK_OK(head_close(h));
                free(base);
                free(data);
                free(dir);
        }
        CHECK(compared >= 4);
        arena_done(&a);
        free(text);
        free(answers);
}

/* The same log read by both: here chunks are the original's, taken from its files, there they are made by us. */
TEST(head, cuts_and_writes_chunks_as_the_original_does)
{
        conformance_need("tsdb");
        char *dirs[2] = {fresh_dir("head-cut-theirs"), fresh_dir("head-cut-ours")};
        char *base = conformance_path("tsdb/mmapped_clean/data"), *wal = path_join(base, "wal"),
             *to = path_join(dirs[1], "wal"), *wbl = path_join(base, "wbl"), *wbl_to = path_join(dirs[1], "wbl");
        CHECK_OK(dir_make_all(to));
        CHECK_OK(dir_make_all(wbl_to));
        copy_dir(base, dirs[0]);
        copy_dir(wal, to);
        copy_dir(wbl, wbl_to);
        struct head *h[2] = {open_at(dirs[0], NULL), open_at(dirs[1], NULL)};
        struct arena a;
        struct querier *q[2];
        struct series_set *set[2];
        struct select_hints hints = {.start_ms = TIME_MS_MIN, .end_ms = TIME_MS_MAX, .sorted = true};
        arena_init(&a, 1 << 30);
        for (int k = 0; k < 2; k++) {
                CHECK_OK(storage_querier(head_storage(h[k]), TIME_MS_MIN, TIME_MS_MAX, &a, &q[k]));
                CHECK_OK(querier_select(q[k], &hints, NULL, 0, &set[k]));
        }
        size_t n_histogram = 0, n_float = 0;
        for (;;) {
                struct series s[2];
                bool more[2];
                for (int k = 0; k < 2; k++)
                        CHECK_OK(series_set_next(set[k], &s[k], &more[k]));
                CHECK(more[0] == more[1]);
                if (!more[0])
                        break;
                CHECK(labels_eq(s[0].labels, s[1].labels));
                CHECK_U64(s[1].n_chunks, s[0].n_chunks);
                for (size_t i = 0; i < s[0].n_chunks; i++) {
                        const struct chunk *x = &s[0].chunks[i], *y = &s[1].chunks[i];
                        CHECK_I64(y->encoding, x->encoding);
                        CHECK_I64(y->mint_ms, x->mint_ms);
                        CHECK_I64(y->maxt_ms, x->maxt_ms);
                        size_t at = 0;
                        /* An open histogram chunk behind one from a file does not know whether there was a reset; one of samples
                         * out of order may come after it. */
                        size_t but = i + 2 >= s[0].n_chunks && chunk_encoding_is_histogram(x->encoding) ? 2 : SIZE_MAX;
                        while (at < x->data.n && at < y->data.n && (at == but || x->data.p[at] == y->data.p[at]))
                                at++;
                        CHECK_MSG(at == x->data.n && at == y->data.n,
                                  "chunk %zu of %zu, encoding %d, differs from byte %zu on", i, s[0].n_chunks,
                                  x->encoding, at);
                        if (i + 1 < s[0].n_chunks)
                                *(chunk_encoding_is_histogram(x->encoding) ? &n_histogram : &n_float) += 1;
                }
        }
        CHECK_MSG(n_histogram >= 7 && n_float >= 8, "%zu and %zu full chunks compared", n_histogram, n_float);
        for (int k = 0; k < 2; k++) {
                querier_close(q[k]);
                CHECK_OK(head_close(h[k]));
                free(dirs[k]);
        }
        arena_done(&a);
        free(base);
        free(wal);
        free(to);
        free(wbl);
        free(wbl_to);
}
