/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/wal/wal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rand.h"
#include "base/test.h"
#include "tsdb/wal/ahead.h"
#include "tsdb/wal/checkpoint.h"
#include "tsdb/wal/reader.h"
#include "tsdb/wal/record.h"

static uint64_t hash_u64(uint64_t i)
{
        struct rand r = {i};
        return rand_u64(&r);
}

/* Record i of a test: length and bytes follow from i. */
static size_t put_record(struct buf *b, uint64_t i)
{
        size_t n = i % 7 == 0 ? 0 : i % 11 == 0 ? 70000 + i : (i * 37) % 3000;
        buf_clear(b);
        for (size_t k = 0; k < n; k++)
                buf_putc(b, (char)(hash_u64(i + k / 8) >> (k % 8)));
        return n;
}

static void log_range(struct wal *w, enum wal_compression c, uint64_t from, uint64_t to)
{
        struct wal_batch batch;
        struct buf rec = BUF_INIT(1 << 20);
        wal_batch_init(&batch, c);
        for (uint64_t i = from; i < to; i++) {
                put_record(&rec, i);
                CHECK_OK(wal_batch_add(&batch, buf_str(&rec)));
                if (i % 3 == 0 || i + 1 == to) {
                        CHECK_OK(wal_log(w, &batch));
                        wal_batch_clear(&batch);
                }
        }
        wal_batch_done(&batch);
        buf_done(&rec);
}

/* Reading ahead gives what the reader gave: as many records, the same damage at the same place. */
static void check_ahead(const char *dir, uint64_t n, const struct error *want, int segment, uint64_t offset)
{
        struct wal_ahead *a;
        struct buf rec = BUF_INIT(1 << 20);
        struct wal_record got;
        CHECK_OK(wal_ahead_open(dir, 0, WAL_ALL_SEGMENTS, 0, &a));
        for (uint64_t i = 0; i < n; i++) {
                CHECK_OK(wal_ahead_next(a, &got));
                CHECK(got.is_there);
                put_record(&rec, i);
                CHECK_STRS(got.bytes, buf_str(&rec));
        }
        struct error *e = wal_ahead_next(a, &got);
        CHECK(!got.is_there);
        CHECK_STR(str_from(e ? error_str(e) : ""), want ? error_str(want) : "");
        CHECK_I64(got.segment, segment);
        CHECK_U64(got.offset, offset);
        error_free(e);
        CHECK_OK(wal_ahead_next(a, &got));
        CHECK(!got.is_there);
        wal_ahead_close(a);
        buf_done(&rec);
}

/* Reads records 0, 1, … and returns how many there were; *ret_e is the damage, if any. */
static uint64_t read_log(const char *dir, struct error **ret_e, int *ret_segment, uint64_t *ret_offset)
{
        struct wal_reader *r;
        struct buf want = BUF_INIT(1 << 20);
        CHECK_OK(wal_reader_open(dir, 0, WAL_ALL_SEGMENTS, &r));
        uint64_t n = 0;
        for (;; n++) {
                Str rec;
                bool more;
                *ret_e = wal_reader_next(r, &rec, &more);
                if (*ret_e || !more)
                        break;
                put_record(&want, n);
                CHECK_STRS(rec, buf_str(&want));
        }
        if (ret_segment)
                *ret_segment = wal_reader_segment(r);
        if (ret_offset)
                *ret_offset = wal_reader_offset(r);
        check_ahead(dir, n, *ret_e, wal_reader_segment(r), wal_reader_offset(r));
        wal_reader_close(r);
        buf_done(&want);
        return n;
}

static uint64_t count_log(const char *dir)
{
        struct error *e;
        uint64_t n = read_log(dir, &e, NULL, NULL);
        CHECK_OK(e);
        return n;
}

static char *fresh_dir(const char *name)
{
        char *d = path_join(test_dir(), name);
        CHECK_OK(dir_remove_all(d));
        return d;
}

TEST(wal, reading_ahead_may_begin_inside_a_segment_and_end_at_any_record)
{
        char *dir = fresh_dir("ahead");
        struct wal *w;
        struct buf want = BUF_INIT(1 << 20);
        CHECK_OK(wal_open(dir, NULL, &w));
        log_range(w, WAL_SNAPPY, 0, 90);
        uint64_t offset = wal_segment_offset(w);
        log_range(w, WAL_SNAPPY, 90, 400);
        CHECK_OK(wal_close(w));
        for (uint64_t end = 90; end <= 400; end += 31) {
                struct wal_ahead *a;
                struct wal_record rec;
                CHECK_OK(wal_ahead_open(dir, 0, WAL_ALL_SEGMENTS, offset, &a));
                for (uint64_t i = 90; i < end; i++) {
                        CHECK_OK(wal_ahead_next(a, &rec));
                        put_record(&want, i);
                        CHECK_STRS(rec.bytes, buf_str(&want));
                }
                wal_ahead_close(a);
        }
        struct wal_ahead *a;
        struct wal_record rec;
        CHECK_OK(wal_ahead_open(dir, 0, WAL_ALL_SEGMENTS, UINT64_MAX, &a)); /* behind the end of the segment */
        CHECK_OK(wal_ahead_next(a, &rec));
        CHECK(!rec.is_there);
        wal_ahead_close(a);
        buf_done(&want);
        free(dir);
}

static const struct wal_opts small = {.segment_bytes = 4 * WAL_PAGE_BYTES};

TEST(wal, records_come_back_over_segments_and_reopening)
{
        for (enum wal_compression c = WAL_NONE; c <= WAL_ZSTD; c++) {
                char *dir = fresh_dir("roundtrip");
                struct wal *w;
                CHECK_OK(wal_open(dir, &small, &w));
                log_range(w, c, 0, 150);
                CHECK_OK(wal_close(w));
                CHECK_U64(count_log(dir), 150);
                CHECK_OK(wal_open(dir, &small, &w));
                int index = wal_segment_index(w);
                CHECK(index > 1);
                log_range(w, c, 150, 200);
                CHECK_OK(wal_close(w));
                CHECK_U64(count_log(dir), 200);
                free(dir);
        }
}

TEST(wal, what_was_logged_is_read_without_a_close)
{
        char *dir = fresh_dir("killed");
        struct wal *w;
        CHECK_OK(wal_open(dir, NULL, &w));
        log_range(w, WAL_SNAPPY, 0, 40);
        CHECK_U64(count_log(dir), 40);
        CHECK_OK(wal_close(w));
        free(dir);
}

TEST(wal, a_torn_tail_is_found_and_cut_at_the_last_whole_record)
{
        char *dir = fresh_dir("torn");
        struct wal *w;
        CHECK_OK(wal_open(dir, NULL, &w));
        log_range(w, WAL_NONE, 0, 30);
        uint64_t size = wal_segment_offset(w);
        char *path = wal_segment_path(dir, 0), *bytes;
        size_t n_bytes;
        CHECK_OK(file_read(path, 64 << 20, &bytes, &n_bytes));
        CHECK_U64(n_bytes, size);
        CHECK_OK(wal_close(w));
        for (size_t cut = 0; cut < n_bytes; cut += cut < 40000 ? 997 : 4999) {
                CHECK_OK(dir_remove_all(dir));
                CHECK_OK(dir_make_all(dir));
                CHECK_OK(file_replace(path, (Str){bytes, cut}));
                struct error *e;
                int segment;
                uint64_t offset;
                uint64_t n = read_log(dir, &e, &segment, &offset);
                if (e) {
                        CHECK(error_is(e, ERROR_CORRUPT));
                        error_free(e);
                        CHECK_OK(wal_repair(&disk_system, dir, segment, offset));
                        CHECK_U64(count_log(dir), n);
                } else {
                        CHECK(offset <= cut);
                }
                CHECK(n < 30);
        }
        free(bytes);
        free(path);
        free(dir);
}

TEST(wal, a_flipped_bit_ends_the_log_there_and_later_segments_go)
{
        char *dir = fresh_dir("flip");
        struct wal *w;
        CHECK_OK(wal_open(dir, &small, &w));
        log_range(w, WAL_SNAPPY, 0, 120);
        CHECK_OK(wal_close(w));
        char *path = wal_segment_path(dir, 1), *bytes;
        size_t n_bytes;
        CHECK_OK(file_read(path, 64 << 20, &bytes, &n_bytes));
        bytes[n_bytes / 2 + 1001] ^= 0x10;
        CHECK_OK(file_replace(path, (Str){bytes, n_bytes}));
        struct error *e;
        int segment;
        uint64_t offset, n = read_log(dir, &e, &segment, &offset);
        CHECK(error_is(e, ERROR_CORRUPT) && segment == 1 && n > 0 && n < 120);
        CHECK(str_contains(str_from(error_str(e)), STR("corruption in segment")) &&
              str_contains(str_from(error_str(e)), STR("/00000001 at ")));
        error_free(e);
        CHECK_OK(wal_repair(&disk_system, dir, segment, offset));
        CHECK_U64(count_log(dir), n);
        SegmentVec s = VEC_INIT;
        CHECK_OK(wal_segments(dir, &s));
        CHECK_U64(s.n, 2);
        vec_done(&s);
        CHECK_OK(wal_open(dir, &small, &w));
        CHECK_I64(wal_segment_index(w), 2);
        log_range(w, WAL_SNAPPY, n, n + 5);
        CHECK_OK(wal_close(w));
        CHECK_U64(count_log(dir), n + 5);
        free(bytes);
        free(path);
        free(dir);
}

TEST(wal, garbage_never_reads_out_of_bounds)
{
        uint8_t *page = mem_alloc(3 * WAL_PAGE_BYTES);
        for (uint64_t round = 0; round < 300; round++) {
                size_t n = (size_t)(hash_u64(round) % (3 * WAL_PAGE_BYTES));
                for (size_t i = 0; i < n; i++)
                        page[i] = (uint8_t)hash_u64(round * 1000003 + i);
                uint8_t *exact = mem_memdup(page, n);
                if (n > 3 && round % 2)
                        exact[0] = (uint8_t)(round % 32);
                struct wal_reader *r = wal_reader_new_bytes((Str){(char *)exact, n});
                for (;;) {
                        Str rec;
                        bool more;
                        struct error *e = wal_reader_next(r, &rec, &more);
                        error_free(e);
                        if (e || !more)
                                break;
                }
                wal_reader_close(r);
                free(exact);
        }
        free(page);
}

TEST(wal, a_gap_in_the_segments_is_an_error)
{
        char *dir = fresh_dir("gap");
        CHECK_OK(dir_make_all(dir));
        char *a = wal_segment_path(dir, 0), *b = wal_segment_path(dir, 2);
        CHECK_OK(file_replace(a, STR("")));
        CHECK_OK(file_replace(b, STR("")));
        SegmentVec s = VEC_INIT;
        struct error *e = wal_segments(dir, &s);
        CHECK(error_is(e, ERROR_CORRUPT));
        error_free(e);
        vec_done(&s);
        free(a);
        free(b);
        free(dir);
}

/* ---- a disk that fills ---- */

struct full_disk {
        struct disk d;
        uint64_t room;
        bool no_truncate;
};

static ssize_t full_pwrite(const struct disk *d, int fd, const void *p, size_t n, uint64_t at)
{
        struct full_disk *f = CONTAINER_OF(d, struct full_disk, d);
        if (f->room == 0) {
                errno = ENOSPC;
                return -1;
        }
        n = MIN(n, (size_t)f->room);
        f->room -= n;
        return disk_system.pwrite(&disk_system, fd, p, n, at);
}

static int full_ftruncate(const struct disk *d, int fd, uint64_t size)
{
        struct full_disk *f = CONTAINER_OF(d, struct full_disk, d);
        if (f->no_truncate) {
                errno = EIO;
                return -1;
        }
        return disk_system.ftruncate(&disk_system, fd, size);
}

TEST(wal, a_full_disk_costs_the_batch_and_nothing_else)
{
        for (int no_truncate = 0; no_truncate < 2; no_truncate++) {
                char *dir = fresh_dir("full");
                struct full_disk f = {.d = disk_system, .room = UINT64_MAX};
                f.d.pwrite = full_pwrite;
                f.d.ftruncate = full_ftruncate;
                struct wal_opts o = {.disk = &f.d};
                struct wal *w;
                CHECK_OK(wal_open(dir, &o, &w));
                log_range(w, WAL_NONE, 0, 10);
                uint64_t at = wal_segment_offset(w);
                f.room = 50;
                f.no_truncate = no_truncate;
                struct wal_batch batch;
                wal_batch_init(&batch, WAL_NONE);
                char junk[5000] = "x";
                CHECK_OK(wal_batch_add(&batch, (Str){junk, sizeof junk}));
                struct error *e = wal_log(w, &batch);
                CHECK(e && str_contains(str_from(error_str(e)), STR("no space left on device")));
                error_free(e);
                CHECK_U64(wal_segment_offset(w), at);
                struct wal_stats st;
                wal_get_stats(w, &st);
                CHECK_U64(st.writes_failed, 1);
                f.room = UINT64_MAX;
                f.no_truncate = false;
                log_range(w, WAL_NONE, 10, 20);
                CHECK_OK(wal_close(w));
                CHECK_U64(count_log(dir), 20);
                wal_batch_done(&batch);
                free(dir);
        }
}

/* ---- checkpoints ---- */

static bool keep_even(UNUSED void *ctx, uint64_t ref)
{
        return ref % 2 == 0;
}

TEST(checkpoint, keeps_live_series_and_new_samples_only)
{
        char *dir = fresh_dir("checkpoint");
        struct wal *w;
        struct buf b = BUF_INIT(1 << 20);
        CHECK_OK(wal_open(dir, NULL, &w));
        for (int segment = 0; segment < 3; segment++) {
                struct wal_batch batch;
                wal_batch_init(&batch, WAL_SNAPPY);
                buf_clear(&b);
                record_series_begin(&b);
                for (uint64_t r = 1; r <= 4; r++)
                        record_series_add(&b, (uint64_t)segment * 10 + r, (Labels){(Label[]){{STR("a"), STR("b")}}, 1});
                CHECK_OK(wal_batch_add(&batch, buf_str(&b)));
                buf_clear(&b);
                struct samples_encoder enc = record_samples_begin(&b, 1, 100 * segment);
                for (uint64_t r = 1; r <= 4; r++)
                        record_samples_add(&enc, &b, r, 100 * segment, 1);
                CHECK_OK(wal_batch_add(&batch, buf_str(&b)));
                buf_clear(&b);
                record_tombstones_begin(&b);
                record_tombstones_add(&b, (struct record_tombstone){2, 0, 100 * segment});
                record_tombstones_add(&b, (struct record_tombstone){3, 0, 1000});
                CHECK_OK(wal_batch_add(&batch, buf_str(&b)));
                CHECK_OK(wal_log(w, &batch));
                wal_batch_done(&batch);
                int index;
                CHECK_OK(wal_next_segment(w, &index));
                CHECK_I64(index, segment + 1);
        }
        struct checkpoint_opts o = {.keep = keep_even, .mint_ms = 100, .compression = WAL_SNAPPY};
        CHECK_OK(checkpoint_create(dir, 0, &o));
        CHECK_OK(checkpoint_create(dir, 1, &o));
        CHECK_OK(wal_truncate(w, 2));
        CHECK_OK(checkpoint_delete_below(dir, 1));
        char *cp;
        int index;
        CHECK_OK(checkpoint_last(dir, &cp, &index));
        CHECK_I64(index, 1);
        struct wal_reader *r;
        CHECK_OK(wal_reader_open(cp, 0, WAL_ALL_SEGMENTS, &r));
        size_t series = 0, samples = 0, tombstones = 0;
        for (;;) {
                Str rec;
                bool more;
                CHECK_OK(wal_reader_next(r, &rec, &more));
                if (!more)
                        break;
                RecordSampleVec v = VEC_INIT;
                RecordTombstoneVec t = VEC_INIT;
                struct record_series_iter it;
                switch (record_type(rec)) {
                case RECORD_SERIES:
                        record_series_iter_init(&it);
                        CHECK_OK(record_series_open(&it, rec));
                        for (;;) {
                                CHECK_OK(record_series_next(&it, &more));
                                if (!more)
                                        break;
                                CHECK(it.ref % 2 == 0);
                                series++;
                        }
                        record_series_iter_done(&it);
                        break;
                case RECORD_SAMPLES:
                        CHECK_OK(record_samples(rec, &v));
                        for (size_t i = 0; i < v.n; i++)
                                CHECK(v.p[i].t >= 100);
                        samples += v.n;
                        break;
                case RECORD_TOMBSTONES:
                        CHECK_OK(record_tombstones(rec, &t));
                        tombstones += t.n;
                        CHECK(t.n == 1 && t.p[0].ref == 2 && t.p[0].maxt_ms == 100);
                        break;
                default:
                        CHECK(false);
                }
                vec_done(&v);
                vec_done(&t);
        }
        wal_reader_close(r);
        CHECK_U64(series, 4);
        CHECK_U64(samples, 4);
        CHECK_U64(tombstones, 1);
        SegmentVec s = VEC_INIT;
        CHECK_OK(wal_segments(dir, &s));
        CHECK(s.n == 2 && s.p[0] == 2);
        vec_done(&s);
        CHECK_OK(wal_close(w));
        free(cp);
        free(dir);
        buf_done(&b);
}
