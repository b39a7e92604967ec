/* SPDX-License-Identifier: Apache-2.0 */
/* The head's snapshot: written at a stop, read at a start, thrown away when it is no good. */
#include "tsdb/head/snapshot.h"

#include <errno.h>
#include <stdio.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/rand.h"
#include "base/test.h"
#include "storage/decode.h"
#include "tsdb/head/head.h"
#include "tsdb/wal/ahead.h"

enum { HOUR = 3600 * 1000, SERIES = 300 };

static char *fresh_dir(const char *name)
{
        char *d = path_join(test_dir(), name);
        CHECK_OK(dir_remove_all(d));
        CHECK_OK(dir_make_all(d));
        return d;
}

static struct head_opts opts_of(const char *dir)
{
        return (struct head_opts){.dir = dir,
                                  .chunk_range_ms = 2 * HOUR,
                                  .wal_compression = WAL_SNAPPY,
                                  .wal_segment_bytes = 10 << 20,
                                  .min_valid_ms = TIME_MS_MIN,
                                  .snapshot_on_close = true};
}

static struct head *open_at(const char *dir, struct head_open_info *info)
{
        struct head *h;
        struct head_opts o = opts_of(dir);
        CHECK_OK(head_open(&o, &h, info));
        return h;
}

/* Every third series is a histogram, some come late, one has no sample after a while; values follow from i and k. */
static void scrapes(struct head *h, int from, int to)
{
        SeriesRef *refs = mem_zalloc(SERIES * sizeof *refs);
        struct span span = {.offset = 0, .length = 1};
        for (int k = from; k < to; k++) {
                struct appender *a;
                CHECK_OK(storage_appender(head_storage(h), &a));
                for (int i = 0; i < SERIES; i++) {
                        char text[16];
                        snprintf(text, sizeof text, "%d", i);
                        Label l[3] = {{STR("__name__"), i % 3 ? STR("m") : STR("h")}, {STR("job"), STR("x")}, {STR("n"), str_from(text)}};
                        Labels ls = refs[i] ? (Labels){0} : (Labels){l, 3};
                        TimeMs t = k * 15000 + i % 7;
                        if ((i % 50 == 1 && k < 30) || (i == 2 && k > 10))
                                continue;
                        if (i % 3) {
                                double v = i % 5 ? k * 1.25 + i : (double)i;
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
}

/* A sum over all samples, whatever their chunks. */
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
                struct mixed s;
                bool more;
                CHECK_OK(series_set_next(set, &x, &more));
                if (!more)
                        break;
                sum = sum * 31 + labels_hash(x.labels);
                CHECK_OK(series_decode_mixed(&x, TIME_MS_MIN, TIME_MS_MAX, &a, &s));
                for (size_t i = 0; i < s.n; i++) {
                        sum = sum * 31 + (uint64_t)s.t[i];
                        sum = sum * 31 + float_bits(s.v[i]);
                        if (s.h && s.h[i])
                                sum = sum * 31 + float_bits(s.h[i]->count);
                }
        }
        querier_close(q);
        matcher_free(m);
        arena_done(&a);
        return sum;
}

/* Of a head that got the same and never stopped. */
static uint64_t digest_of_scrapes(int to)
{
        char *dir = fresh_dir("snapshot-want");
        struct head *h = open_at(dir, NULL);
        scrapes(h, 0, to);
        uint64_t sum = digest(h);
        CHECK_OK(head_close(h));
        free(dir);
        return sum;
}

static char *snapshot_dir(const char *dir)
{
        struct snapshot s;
        CHECK_OK(snapshot_find(dir, &s));
        char *out = s.dir ? mem_strdup(s.dir) : NULL;
        snapshot_done(&s);
        return out;
}

static void copy_dir(const char *from, const char *to)
{
        PathVec names = VEC_INIT;
        CHECK_OK(dir_make_all(to));
        CHECK_OK(dir_list(from, &names));
        for (size_t i = 0; i < names.n; i++) {
                char *a = path_join(from, names.p[i]), *b = path_join(to, names.p[i]), *text;
                size_t n;
                CHECK_OK(file_read(a, 1 << 28, &text, &n));
                CHECK_OK(file_replace(b, (Str){text, n}));
                free(text);
                free(a);
                free(b);
        }
        path_vec_done(&names);
}

TEST(snapshot, a_start_from_it_has_all_and_goes_on)
{
        static const int stops[] = {1, 20, 45, 130, 131, 300};
        char *dir = fresh_dir("snapshot-on");
        struct head_open_info info;
        int at = 0;
        for (size_t i = 0; i < ARRAY_LEN(stops); i++) {
                struct head *h = open_at(dir, &info);
                CHECK_U64(info.snapshot_errors + info.unknown_refs, 0);
                CHECK_U64(info.snapshot_series, i == 0 ? 0 : at <= 30 ? SERIES - SERIES / 50 : SERIES);
                scrapes(h, at, stops[i]);
                at = stops[i];
                CHECK_U64(digest(h), digest_of_scrapes(at));
                CHECK_OK(head_close(h));
                PathVec names = VEC_INIT; /* the old ones are gone */
                CHECK_OK(dir_list(dir, &names));
                size_t n = 0;
                for (size_t k = 0; k < names.n; k++)
                        n += str_has_prefix(str_from(names.p[k]), STR("chunk_snapshot."));
                CHECK_U64(n, 1);
                path_vec_done(&names);
        }
        /* Killed, without a new one: what the log has behind the old one is put on it. */
        struct head_opts o = opts_of(dir);
        o.snapshot_on_close = false;
        struct head *h;
        CHECK_OK(head_open(&o, &h, &info));
        scrapes(h, at, at + 50);
        CHECK_OK(head_close(h));
        for (int threads = 1; threads <= 3; threads += 2) {
                o.replay_threads = threads;
                CHECK_OK(head_open(&o, &h, &info));
                CHECK_U64(info.snapshot_series, SERIES);
                CHECK_U64(digest(h), digest_of_scrapes(at + 50));
                CHECK_OK(head_close(h));
        }
        free(dir);
}

/* Deletions, and references: a series that comes after the start does not take that of one that went before it. */
TEST(snapshot, keeps_deletions_and_never_uses_a_reference_twice)
{
        char *dir = fresh_dir("snapshot-refs");
        struct matcher *m;
        struct head *h = open_at(dir, NULL);
        scrapes(h, 0, 10);
        CHECK_OK(matcher_new(MATCH_EQ, STR("n"), STR("4"), &m));
        CHECK_OK(head_delete(h, 0, 5 * 15000, (const struct matcher *const *)&m, 1));
        matcher_free(m);
        uint64_t want = digest(h);
        CHECK(want != digest_of_scrapes(10));
        CHECK_OK(head_close(h));
        struct snapshot before, after;
        CHECK_OK(snapshot_find(dir, &before));
        h = open_at(dir, NULL);
        CHECK_U64(digest(h), want);
        CHECK_OK(head_close(h));
        CHECK_OK(snapshot_find(dir, &after));
        CHECK(before.is_ours && after.is_ours);
        CHECK_U64(before.next_ref, SERIES - SERIES / 50 + 1);
        CHECK_U64(after.next_ref, before.next_ref);
        CHECK(after.segment > before.segment);
        snapshot_done(&before);
        snapshot_done(&after);
        free(dir);
}

TEST(snapshot, a_damaged_one_goes_and_the_log_has_all)
{
        char *master = fresh_dir("snapshot-master"), *dir = path_join(test_dir(), "snapshot-damaged");
        struct head *h = open_at(master, NULL);
        scrapes(h, 0, 40);
        CHECK_OK(head_close(h));
        uint64_t want = digest_of_scrapes(40);
        static const char *const parts[] = {"wal", "chunks_head"};
        struct rand r = {3};
        for (int round = 0; round < 24; round++) {
                CHECK_OK(dir_remove_all(dir));
                for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
                        char *from = path_join(master, parts[i]), *to = path_join(dir, parts[i]);
                        copy_dir(from, to);
                        free(from);
                        free(to);
                }
                char *from = snapshot_dir(master), *to = path_join(dir, path_base(str_from(from)).p);
                copy_dir(from, to);
                char *file = path_join(to, round % 4 == 3 ? "coeus" : "00000000"), *bytes;
                size_t n;
                CHECK_OK(file_read(file, 1 << 28, &bytes, &n));
                size_t at = (size_t)rand_below(&r, n);
                bool is_cut = round % 2;
                if (is_cut)
                        n = at;
                else
                        bytes[at] ^= (char)(1 << rand_below(&r, 3)); /* the upper bits of a page's first byte mean nothing */
                CHECK_OK(file_replace(file, (Str){bytes, n}));
                struct head_open_info info;
                h = open_at(dir, &info);
                /* Cut between two records it is whole, and short: then all that it lacks must be found missing elsewhere. */
                CHECK_U64(digest(h), want);
                CHECK_MSG(info.snapshot_errors == 1, "round %d: damage at %zu of %s was not seen", round, at, file);
                char *left = snapshot_dir(dir);
                CHECK(left == NULL);
                CHECK_OK(head_close(h));
                h = open_at(dir, &info);
                CHECK_U64(info.snapshot_errors, 0);
                CHECK_U64(digest(h), want);
                CHECK_OK(head_close(h));
                free(bytes);
                free(file);
                free(from);
                free(to);
        }
        free(master);
        free(dir);
}

static void remove_sub(const char *dir, const char *sub)
{
        char *path = path_join(dir, sub);
        CHECK_OK(dir_remove_all(path));
        free(path);
}

TEST(snapshot, one_that_fits_no_more_is_not_used)
{
        uint64_t want = digest_of_scrapes(200);
        for (int what = 0; what < 2; what++) {
                char *dir = fresh_dir("snapshot-outdated");
                struct head_open_info info;
                struct head *h = open_at(dir, NULL);
                scrapes(h, 0, 200);
                CHECK_OK(head_close(h));
                remove_sub(dir, what ? "wal" : "chunks_head");
                h = open_at(dir, &info);
                CHECK_U64(info.snapshot_series, 0);
                char *left = snapshot_dir(dir);
                CHECK(left == NULL);
                if (what)
                        CHECK(head_is_empty(h));
                else
                        CHECK_U64(digest(h), want);
                CHECK_OK(head_close(h));
                free(dir);
        }
}

/* Someone who does not look at snapshots ran in between, and cut chunks at other places. */
TEST(snapshot, what_chunk_files_have_of_its_chunks_is_not_taken_twice_nor_is_the_rest_lost)
{
        char *dir = fresh_dir("snapshot-between"), *aside = path_join(test_dir(), "snapshot-aside");
        struct head *h = open_at(dir, NULL);
        scrapes(h, 0, 100);
        CHECK_OK(head_close(h));
        char *at = snapshot_dir(dir);
        CHECK_OK(dir_remove_all(aside));
        copy_dir(at, aside);
        CHECK_OK(dir_remove_all(at));
        struct head_opts o = opts_of(dir);
        struct head_open_info info;
        o.snapshot_on_close = false;
        o.samples_per_chunk = 30;
        CHECK_OK(head_open(&o, &h, &info));
        CHECK_OK(head_close(h));
        copy_dir(aside, at);
        h = open_at(dir, &info);
        CHECK_U64(info.snapshot_errors, 0);
        CHECK_U64(info.snapshot_series, SERIES);
        CHECK_U64(digest(h), digest_of_scrapes(100));
        scrapes(h, 100, 110);
        CHECK_U64(digest(h), digest_of_scrapes(110));
        CHECK_OK(head_close(h));
        free(at);
        free(aside);
        free(dir);
}

/* ---- a disk that stops in the middle ---- */

struct dead_disk {
        struct disk d;
        uint64_t room; /* bytes to be written before it is full */
        bool no_rename;
};

static ssize_t dead_pwrite(const struct disk *d, int fd, const void *p, size_t n, uint64_t at)
{
        struct dead_disk *f = CONTAINER_OF(d, struct dead_disk, d);
        if (f->room == 0) {
                errno = ENOSPC;
                return -1;
        }
        n = MIN(n, (size_t)f->room);
        f->room -= n;
        return disk_system.pwrite(&disk_system, fd, p, n, at);
}

static int dead_rename(const struct disk *d, const char *from, const char *to)
{
        struct dead_disk *f = CONTAINER_OF(d, struct dead_disk, d);
        if (!f->no_rename)
                return disk_system.rename(&disk_system, from, to);
        errno = EIO;
        return -1;
}

TEST(snapshot, a_failed_write_is_told_and_leaves_the_one_before)
{
        uint64_t want = digest_of_scrapes(12);
        for (int round = 0; round < 6; round++) {
                char *dir = fresh_dir("snapshot-full");
                struct dead_disk f = {.d = disk_system, .room = UINT64_MAX};
                f.d.pwrite = dead_pwrite;
                f.d.rename = dead_rename;
                struct head_opts o = opts_of(dir);
                struct head *h = open_at(dir, NULL);
                scrapes(h, 0, 10);
                CHECK_OK(head_close(h));
                char *first = snapshot_dir(dir);
                o.disk = &f.d;
                CHECK_OK(head_open(&o, &h, NULL));
                scrapes(h, 10, 12);
                f.no_rename = round == 0;
                f.room = round == 0 ? UINT64_MAX : (uint64_t)round * round * 1500;
                struct error *e = head_close(h);
                CHECK(e != NULL);
                CHECK(strstr(error_str(e), "chunk snapshot"));
                error_free(e);
                char *left = snapshot_dir(dir);
                CHECK(left && strcmp(left, first) == 0);
                struct head_open_info info;
                h = open_at(dir, &info);
                CHECK_U64(info.snapshot_series, SERIES - SERIES / 50);
                CHECK_U64(digest(h), want);
                CHECK_OK(head_close(h));
                free(first);
                free(left);
                free(dir);
        }
}

/* ---- bytes ---- */

TEST(snapshot, records_are_as_the_format_says)
{
        char *dir = fresh_dir("snapshot-bytes");
        struct head *h = open_at(dir, NULL);
        struct appender *a;
        SeriesRef ref = 0;
        Label l[2] = {{STR("__name__"), STR("up")}, {STR("x"), STR("y")}};
        CHECK_OK(storage_appender(head_storage(h), &a));
        CHECK_OK(appender_append(a, 0, (Labels){l, 2}, 0x1122, 1.5, &ref));
        CHECK_OK(appender_commit(a));
        CHECK_OK(head_close(h));
        char *at = snapshot_dir(dir);
        struct wal_ahead *log;
        struct wal_record rec;
        CHECK_OK(wal_ahead_open(at, 0, WAL_ALL_SEGMENTS, 0, &log));
        CHECK_OK(wal_ahead_next(log, &rec));
        static const char want[] = "\1\0\0\0\0\0\0\0\1\2\x08__name__\2up\1x\1y"
                                   "\0\0\0\0\0\0\0\0"                         /* chunk range */
                                   "\1\0\0\0\0\0\0\x11\x22\0\0\0\0\0\0\x11\x22" /* times */
                                   "\1\x0c\0\1\xc4\x44\x3f\xf8\0\0\0\0\0\0"      /* XOR: one sample */
                                   "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
                                   "\0\0\0\0\0\0\0\0\0\0\0\0"
                                   "\x3f\xf8\0\0\0\0\0\0";
        CHECK_STRS(rec.bytes, ((Str){want, sizeof want - 1}));
        CHECK_OK(wal_ahead_next(log, &rec));
        CHECK_STRS(rec.bytes, ((Str){"\2\1\1", 3}));
        CHECK_OK(wal_ahead_next(log, &rec));
        CHECK(!rec.is_there);
        wal_ahead_close(log);
        /* Cut anywhere it is damage, not a crash. */
        for (size_t n = 0; n < sizeof want - 1; n++) {
                LabelVec labels = VEC_INIT;
                struct snapshot_series s;
                struct error *e = snapshot_parse_series((Str){want, n}, &labels, &s);
                CHECK(error_is(e, ERROR_CORRUPT));
                error_free(e);
                vec_done(&labels);
        }
        free(at);
        free(dir);
}

TEST(snapshot, exemplars_are_in_it)
{
        char *dir = fresh_dir("snapshot-exemplars");
        struct head_opts o = opts_of(dir);
        struct head_open_info info;
        struct head *h;
        SeriesRef ref = 0;
        Label name = {STR("__name__"), STR("a")};
        o.max_exemplars = 20000;
        for (int round = 0; round < 3; round++) {
                CHECK_OK(head_open(&o, &h, &info));
                CHECK_U64(info.snapshot_series, round ? 1 : 0);
                struct exemplar_stats st;
                exemplars_get_stats(head_exemplars(h), &st);
                CHECK_U64(st.stored, (uint64_t)(round * 6000)); /* more than fit one record */
                struct appender *a;
                CHECK_OK(storage_appender(head_storage(h), &a));
                ref = 0;
                for (int i = 0; i < 6000; i++) {
                        TimeMs t = HOUR + round * 6000 + i;
                        Label id = {STR("id"), i % 2 ? STR("odd") : STR("even")};
                        struct exemplar x = {.labels = {&id, 1}, .value = i, .t = t, .has_t = true};
                        CHECK_OK(appender_append(a, ref, (Labels){&name, 1}, t, i, &ref));
                        CHECK_OK(appender_append_exemplar(a, ref, (Labels){NULL, 0}, &x));
                }
                CHECK_OK(appender_commit(a));
                CHECK_OK(head_close(h));
        }
        CHECK_OK(head_open(&o, &h, &info));
        struct arena arena;
        ExemplarSeriesVec found = VEC_INIT;
        struct exemplar_selector all = {NULL, 0};
        arena_init(&arena, 64 << 20);
        CHECK_OK(exemplars_select(head_exemplars(h), TIME_MS_MIN, TIME_MS_MAX, &all, 1, &arena, &found));
        CHECK_U64(found.n, 1);
        CHECK_U64(found.p[0].n, 18000);
        CHECK_STR(found.p[0].labels.v[0].value, "a");
        for (size_t i = 0; i < 18000; i++) {
                const struct exemplar *x = &found.p[0].v[i];
                CHECK_I64(x->t, HOUR + (TimeMs)i);
                CHECK_F64(x->value, (double)(i % 6000));
                CHECK_STR(x->labels.v[0].value, i % 2 ? "odd" : "even");
        }
        vec_done(&found);
        arena_done(&arena);
        CHECK_OK(head_close(h));
        free(dir);
}
