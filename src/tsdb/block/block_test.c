/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/block/block.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "base/test.h"
#include "codec/json.h"
#include "storage/decode.h"
#include "storage/memory.h"
#include "storage/merge.h"
#include "tsdb/index/index.h"

enum { N_SERIES = 300, N_SAMPLES = 400 };

static struct storage *some_storage(int n_series, int n_samples)
{
        struct storage *st = memory_storage_new();
        for (int i = 0; i < n_series; i++) {
                char inst[32], mod[32];
                snprintf(inst, sizeof inst, "host-%03d", i);
                snprintf(mod, sizeof mod, "m%d", i % 7);
                Label l[] = {{STR("__name__"), i % 2 ? STR("odd") : STR("even")},
                             {STR("inst"), str_from(inst)},
                             {STR("mod"), str_from(mod)},
                             {STR("z"), STR("third")}};
                for (int k = 0; k < n_samples; k++)
                        CHECK_OK(memory_storage_add(st, (Labels){l, i % 3 ? 3 : 4}, 1000 + k * 15000, i + k));
        }
        return st;
}

static struct block_meta new_meta(TimeMs mint, TimeMs maxt)
{
        struct block_meta m = BLOCK_META_INIT;
        m.ulid = ulid_new(1700000000000);
        m.mint_ms = mint;
        m.maxt_ms = maxt;
        m.level = 1;
        vec_push(&m.sources, m.ulid);
        return m;
}

/* Writes what st has in [mint, maxt) and opens it. */
static struct block *write_block(const char *dir, struct storage *st, TimeMs mint, TimeMs maxt,
                                 const struct block_write_opts *opts)
{
        struct arena arena;
        arena_init(&arena, SIZE_MAX);
        struct querier *q;
        CHECK_OK(storage_querier(st, TIME_MS_MIN, TIME_MS_MAX, &arena, &q));
        struct matcher *all;
        CHECK_OK(matcher_new(MATCH_RE, STR("__name__"), STR(".+"), &all));
        struct series_set *set;
        CHECK_OK(querier_select(q, &(struct select_hints){.sorted = true}, (const struct matcher *const *)&all, 1,
                                &set));
        struct block_meta meta = new_meta(mint, maxt);
        CHECK_OK(block_write(dir, &meta, opts, set));
        char name[ULID_TEXT_BYTES + 1];
        ulid_print(meta.ulid, name);
        char *path = path_join(dir, name);
        struct block *b = NULL;
        if (meta.stats.samples)
                CHECK_OK(block_open(path, &b));
        free(path);
        block_meta_done(&meta);
        matcher_free(all);
        querier_close(q);
        arena_done(&arena);
        return b;
}

/* All samples of a storage for matchers, as text. */
static char *dump(struct storage *st, TimeMs mint, TimeMs maxt, const struct matcher *const *m, size_t n_m)
{
        struct arena arena;
        arena_init(&arena, SIZE_MAX);
        struct querier *q;
        CHECK_OK(storage_querier(st, mint, maxt, &arena, &q));
        struct series_set *set;
        CHECK_OK(querier_select(q, &(struct select_hints){.sorted = true}, m, n_m, &set));
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        struct samples s = SAMPLES_INIT;
        for (;;) {
                struct series one;
                bool more;
                CHECK_OK(series_set_next(set, &one, &more));
                if (!more)
                        break;
                CHECK_OK(series_decode(&one, mint, maxt, &s));
                if (!s.n)
                        continue;
                labels_print(&b, one.labels);
                for (size_t i = 0; i < s.n; i++)
                        buf_printf(&b, " %" PRId64 ":%g", s.t[i], s.v[i]);
                buf_putc(&b, '\n');
        }
        samples_done(&s);
        querier_close(q);
        arena_done(&arena);
        return buf_take(&b);
}

static void check_same(struct storage *a, struct storage *b, TimeMs mint, TimeMs maxt, const struct matcher *const *m,
                       size_t n_m)
{
        char *x = dump(a, mint, maxt, m, n_m), *y = dump(b, mint, maxt, m, n_m);
        CHECK_STR(str_from(x), y);
        free(x);
        free(y);
}

TEST(block, gives_back_what_was_written_for_any_matchers)
{
        struct storage *st = some_storage(N_SERIES, N_SAMPLES);
        struct block *b = write_block(test_dir(), st, 0, TIME_MS_MAX, NULL);
        CHECK_U64(block_get_meta(b)->stats.series, N_SERIES);
        CHECK_U64(block_get_meta(b)->stats.samples, N_SERIES * N_SAMPLES);
        static const struct {
                enum matcher_type t;
                const char *name, *value;
        } ms[] = {
                {MATCH_EQ, "__name__", "odd"},
                {MATCH_NE, "__name__", "odd"},
                {MATCH_RE, "inst", "host-.*5"},
                {MATCH_RE, "inst", "host-1.*"},
                {MATCH_RE, "mod", "m1|m3|nothing"},
                {MATCH_NRE, "mod", "m1|m2"},
                {MATCH_EQ, "z", ""},
                {MATCH_NE, "z", ""},
                {MATCH_RE, "z", ".*"},
                {MATCH_RE, "z", "third|"},
                {MATCH_NRE, "inst", "host-2.+"},
                {MATCH_EQ, "absent", ""},
                {MATCH_EQ, "absent", "x"},
                {MATCH_EQ, "inst", "host-999"},
                {MATCH_RE, "z", ".+"},
                {MATCH_NRE, "z", ".+"},
        };
        for (size_t i = 0; i < ARRAY_LEN(ms); i++) {
                for (size_t k = 0; k < ARRAY_LEN(ms); k++) {
                        struct matcher *m[3];
                        CHECK_OK(matcher_new(ms[i].t, str_from(ms[i].name), str_from(ms[i].value), &m[0]));
                        CHECK_OK(matcher_new(ms[k].t, str_from(ms[k].name), str_from(ms[k].value), &m[1]));
                        CHECK_OK(matcher_new(MATCH_NE, STR("__name__"), STR(""), &m[2]));
                        check_same(st, block_storage(b), 500000, 700000, (const struct matcher *const *)m, 3);
                        for (size_t j = 0; j < 3; j++)
                                matcher_free(m[j]);
                }
        }
        check_same(st, block_storage(b), TIME_MS_MIN, TIME_MS_MAX, NULL, 0);
        block_unref(b);
        memory_storage_free(st);
}

static char *join_strs(const StrVec *v)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        for (size_t i = 0; i < v->n; i++) {
                buf_put(&b, v->p[i]);
                buf_putc(&b, ' ');
        }
        return buf_take(&b);
}

static void check_values(struct block *b, const char *name, enum matcher_type t, const char *m_name,
                         const char *m_value, size_t limit, const char *want)
{
        struct arena arena;
        arena_init(&arena, SIZE_MAX);
        struct querier *q;
        StrVec got = VEC_INIT;
        struct matcher *m = NULL;
        CHECK_OK(block_querier(b, TIME_MS_MIN, TIME_MS_MAX, &arena, &q));
        if (m_name)
                CHECK_OK(matcher_new(t, str_from(m_name), str_from(m_value), &m));
        if (name)
                CHECK_OK(querier_label_values(q, str_from(name), (const struct matcher *const *)&m, m ? 1 : 0, limit,
                                              &got));
        else
                CHECK_OK(querier_label_names(q, (const struct matcher *const *)&m, m ? 1 : 0, limit, &got));
        char *s = join_strs(&got);
        CHECK_STR(str_from(s), want);
        free(s);
        vec_done(&got);
        matcher_free(m);
        querier_close(q);
        arena_done(&arena);
}

TEST(block, lists_names_and_values)
{
        struct storage *st = some_storage(N_SERIES, 3);
        struct block *b = write_block(test_dir(), st, 0, TIME_MS_MAX, NULL);
        check_values(b, "mod", 0, NULL, NULL, 0, "m0 m1 m2 m3 m4 m5 m6 ");
        check_values(b, "mod", 0, NULL, NULL, 2, "m0 m1 ");
        check_values(b, "mod", MATCH_RE, "inst", "host-00[013]", 0, "m0 m1 m3 ");
        check_values(b, "inst", MATCH_RE, "inst", "host-29[89]", 0, "host-298 host-299 ");
        check_values(b, "none", 0, NULL, NULL, 0, "");
        check_values(b, NULL, 0, NULL, NULL, 0, "__name__ inst mod z ");
        check_values(b, NULL, MATCH_EQ, "inst", "host-001", 0, "__name__ inst mod ");
        block_unref(b);
        memory_storage_free(st);
}

TEST(block, cuts_at_its_range_and_leaves_nothing_when_empty)
{
        struct storage *st = some_storage(5, N_SAMPLES);
        const char *dir = test_dir();
        CHECK(!write_block(dir, st, 100000000, 200000000, NULL));
        PathVec names = VEC_INIT;
        CHECK_OK(dir_list(dir, &names));
        CHECK_U64(names.n, 0);
        path_vec_done(&names);
        struct block *b = write_block(dir, st, 200000, 3000000, NULL);
        char *got = dump(block_storage(b), TIME_MS_MIN, TIME_MS_MAX, NULL, 0),
             *want = dump(st, 200000, 2999999, NULL, 0);
        CHECK_STR(str_from(got), want);
        free(got);
        free(want);
        block_unref(b);
        memory_storage_free(st);
}

TEST(block, splits_chunks_into_files)
{
        struct storage *st = some_storage(N_SERIES, N_SAMPLES);
        struct block *b =
                write_block(test_dir(), st, 0, TIME_MS_MAX, &(struct block_write_opts){.segment_bytes = 10000});
        char *chunks = path_join(block_get_dir(b), "chunks");
        PathVec names = VEC_INIT;
        CHECK_OK(dir_list(chunks, &names));
        CHECK(names.n > 5);
        for (size_t i = 0; i < names.n; i++) {
                char *p = path_join(chunks, names.p[i]);
                uint64_t n;
                CHECK_OK(file_size(p, &n));
                CHECK(n <= 10000);
                free(p);
        }
        path_vec_done(&names);
        free(chunks);
        check_same(st, block_storage(b), TIME_MS_MIN, TIME_MS_MAX, NULL, 0);
        CHECK_U64(block_size_bytes(b), dir_size_bytes(block_get_dir(b)));
        block_unref(b);
        memory_storage_free(st);
}

TEST(block, merges_overlapping_chunks_and_copies_the_others)
{
        struct arena arena;
        arena_init(&arena, SIZE_MAX);
        TimeMs t[4][100];
        double v[4][100];
        struct chunk chunks[4], *made;
        size_t n;
        for (int c = 0; c < 4; c++) {
                TimeMs from = (TimeMs[]){0, 100, 150, 1000}[c];
                for (int i = 0; i < 100; i++) {
                        t[c][i] = from + i;
                        v[c][i] = c;
                }
                CHECK_OK(samples_encode(t[c], v[c], 100, &arena, &made, &n));
                chunks[c] = made[0];
        }
        Label l = {STR("a"), STR("b")};
        struct series s = {.labels = {&l, 1}, .chunks = chunks, .n_chunks = 4};
        struct block_meta meta = new_meta(0, 5000);
        const char *dir = test_dir();
        CHECK_OK(block_write(dir, &meta, NULL, series_set_of(&arena, &s, 1)));
        CHECK_U64(meta.stats.samples, 350);
        CHECK_U64(meta.stats.chunks, 4); /* as it was, 120 + 30, as it was */
        char name[ULID_TEXT_BYTES + 1];
        ulid_print(meta.ulid, name);
        char *path = path_join(dir, name);
        struct block *b;
        CHECK_OK(block_open(path, &b));
        struct arena scratch;
        arena_init(&scratch, SIZE_MAX);
        struct series_set *set;
        struct series got;
        bool more;
        CHECK_OK(block_scan(b, &arena, &scratch, &set));
        CHECK_OK(series_set_next(set, &got, &more));
        CHECK(more);
        CHECK_U64(got.n_chunks, 4);
        CHECK_STRS(got.chunks[0].data, chunks[0].data);
        CHECK_STRS(got.chunks[3].data, chunks[3].data);
        struct samples out = SAMPLES_INIT;
        CHECK_OK(series_decode(&got, 145, 155, &out));
        CHECK_U64(out.n, 11);
        for (size_t i = 0; i < out.n; i++)
                CHECK_F64(out.v[i], 1); /* the first one wins */
        samples_done(&out);
        arena_done(&scratch);
        block_unref(b);
        free(path);
        block_meta_done(&meta);
        arena_done(&arena);
}

TEST(block, hides_what_was_deleted_and_rewrites_without_it)
{
        struct storage *st = some_storage(20, N_SAMPLES);
        struct block *b = write_block(test_dir(), st, 0, TIME_MS_MAX, NULL);
        struct matcher *m, *other;
        CHECK_OK(matcher_new(MATCH_EQ, STR("__name__"), STR("odd"), &m));
        CHECK_OK(matcher_new(MATCH_EQ, STR("__name__"), STR("even"), &other));
        const struct matcher *const *mm = (const struct matcher *const *)&m;
        struct arena arena;
        arena_init(&arena, SIZE_MAX);
        struct querier *before;
        CHECK_OK(block_querier(b, TIME_MS_MIN, TIME_MS_MAX, &arena, &before));
        CHECK_OK(block_delete(b, 1000, 1000 + 15000 * 199, mm, 1));
        CHECK_U64(block_tombstones(b), 10);
        CHECK_U64(block_get_meta(b)->stats.tombstones, 10);
        CHECK_OK(block_delete(b, 1000 + 15000 * 200, 1000 + 15000 * 209, mm, 1));
        CHECK_OK(block_delete(b, 0, 5, mm, 1));
        struct block *again;
        CHECK_OK(block_open(block_get_dir(b), &again));
        struct block *both[] = {b, again};
        for (int i = 0; i < 2; i++) {
                char *got = dump(block_storage(both[i]), TIME_MS_MIN, TIME_MS_MAX, mm, 1),
                     *want = dump(st, 1000 + 15000 * 210, TIME_MS_MAX, mm, 1);
                CHECK_STR(str_from(got), want);
                free(got);
                free(want);
                check_same(st, block_storage(both[i]), TIME_MS_MIN, TIME_MS_MAX, (const struct matcher *const *)&other,
                           1);
        }
        /* A querier from before sees what it saw. */
        struct series_set *set;
        struct series s;
        bool more;
        CHECK_OK(querier_select(before, NULL, mm, 1, &set));
        CHECK_OK(series_set_next(set, &s, &more));
        CHECK(more);
        CHECK_U64(s.n_deleted, 0);
        querier_close(before);

        struct block *clean = write_block(test_dir(), block_storage(again), 0, TIME_MS_MAX, NULL);
        CHECK_U64(block_get_meta(clean)->stats.samples, 10 * N_SAMPLES + 10 * (N_SAMPLES - 210));
        check_same(block_storage(b), block_storage(clean), TIME_MS_MIN, TIME_MS_MAX, NULL, 0);
        block_unref(clean);
        block_unref(again);
        block_unref(b);
        arena_done(&arena);
        matcher_free(m);
        matcher_free(other);
        memory_storage_free(st);
}

TEST(block, snapshot_links_all_files)
{
        struct storage *st = some_storage(5, 10);
        struct block *b = write_block(test_dir(), st, 0, TIME_MS_MAX, NULL);
        const char *into = test_dir();
        CHECK_OK(block_snapshot(b, into));
        PathVec names = VEC_INIT;
        CHECK_OK(block_list(into, &names));
        CHECK_U64(names.n, 1);
        char *dir = path_join(into, names.p[0]);
        struct block *copy;
        CHECK_OK(block_open(dir, &copy));
        CHECK_OK(block_remove_dir(block_get_dir(b)));
        CHECK(!file_exists(block_get_dir(b)));
        check_same(block_storage(b), block_storage(copy), TIME_MS_MIN, TIME_MS_MAX, NULL, 0);
        block_unref(copy);
        block_unref(b);
        free(dir);
        path_vec_done(&names);
        memory_storage_free(st);
}

TEST(block, names_of_unfinished_directories)
{
        CHECK(block_is_tmp_dir(STR("01BZJ9WJQPWHGNC2W4J9TA62KC.tmp-for-creation")));
        CHECK(block_is_tmp_dir(STR("01BZJ9WJQPWHGNC2W4J9TA62KC.tmp-for-deletion")));
        CHECK(block_is_tmp_dir(STR("01BZJ9WJQPWHGNC2W4J9TA62KC.tmp")));
        CHECK(!block_is_tmp_dir(STR("01BZJ9WJQPWHGNC2W4J9TA62KC")));
        CHECK(!block_is_tmp_dir(STR("wal.tmp")));
}

/* A disk that is full after so many bytes. */
struct small_disk {
        struct disk disk;
        int64_t left;
};
static ssize_t small_pwrite(const struct disk *d, int fd, const void *p, size_t n, uint64_t at)
{
        struct small_disk *s = (struct small_disk *)CONTAINER_OF(d, struct small_disk, disk);
        if (s->left <= 0) {
                errno = ENOSPC;
                return -1;
        }
        n = MIN(n, (size_t)s->left);
        s->left -= (int64_t)n;
        return pwrite(fd, p, n, (off_t)at);
}

TEST(block, a_full_disk_leaves_no_trace)
{
        struct storage *st = some_storage(50, N_SAMPLES);
        struct arena arena;
        arena_init(&arena, SIZE_MAX);
        const char *dir = test_dir();
        bool done = false;
        for (int64_t room = 0; !done; room += 7000) {
                CHECK(room < 10000000);
                struct small_disk d = {.disk = disk_system, .left = room};
                d.disk.pwrite = small_pwrite;
                struct querier *q;
                struct series_set *set;
                CHECK_OK(storage_querier(st, TIME_MS_MIN, TIME_MS_MAX, &arena, &q));
                CHECK_OK(querier_select(q, &(struct select_hints){.sorted = true}, NULL, 0, &set));
                struct block_meta meta = new_meta(0, TIME_MS_MAX);
                struct error *e = block_write(dir, &meta, &(struct block_write_opts){.disk = &d.disk}, set);
                PathVec names = VEC_INIT;
                CHECK_OK(dir_list(dir, &names));
                done = e == NULL;
                CHECK_U64(names.n, done ? 1 : 0);
                if (e) {
                        CHECK(str_contains(str_from(error_str(e)), STR("no space left on device")));
                        error_free(e);
                }
                path_vec_done(&names);
                block_meta_done(&meta);
                querier_close(q);
        }
        arena_done(&arena);
        memory_storage_free(st);
}

/* Reads all there is; errors are fine, crashes are not. */
static void read_all(const char *dir, bool *ret_failed)
{
        struct block *b;
        struct error *e = block_open(dir, &b);
        *ret_failed = e != NULL;
        if (e) {
                CHECK_MSG(str_contains(str_from(error_str(e)), str_from(dir)), "no file in %s", error_str(e));
                error_free(e);
                return;
        }
        struct arena arena, scratch;
        arena_init(&arena, SIZE_MAX);
        arena_init(&scratch, SIZE_MAX);
        struct series_set *set;
        struct samples out = SAMPLES_INIT;
        e = block_scan(b, &arena, &scratch, &set);
        for (bool more = true; !e && more;) {
                struct series s;
                e = series_set_next(set, &s, &more);
                if (!e && more)
                        e = series_decode(&s, TIME_MS_MIN, TIME_MS_MAX, &out);
        }
        *ret_failed |= e != NULL;
        error_free(e);
        struct index_reader *ix = block_get_index(b);
        for (size_t i = 0; i < index_name_count(ix); i++) {
                struct index_values it = index_values_from(ix, i, (Str){0});
                Str v;
                while (index_values_next(&it, &v)) {
                        struct postings l;
                        e = index_postings_at(ix, it.list, &l);
                        *ret_failed |= e != NULL;
                        error_free(e);
                }
        }
        struct querier *q;
        CHECK_OK(block_querier(b, TIME_MS_MIN, TIME_MS_MAX, &arena, &q));
        /* A select meets the same damage, and meets it again when asked again. */
        bool failed_before = *ret_failed;
        e = querier_select(q, NULL, NULL, 0, &set);
        for (bool more = true; !e && more;) {
                struct series s;
                e = series_set_next(set, &s, &more);
                if (e) {
                        CHECK(failed_before);
                        struct error *again = series_set_next(set, &s, &more);
                        error_free(again);
                }
        }
        error_free(e);
        struct matcher *m;
        StrVec v = VEC_INIT;
        CHECK_OK(matcher_new(MATCH_RE, STR("inst"), STR("host.*[1-5]"), &m));
        error_ignore(querier_label_values(q, STR("mod"), (const struct matcher *const *)&m, 1, 0, &v),
                     "damaged on purpose");
        matcher_free(m);
        vec_done(&v);
        querier_close(q);
        samples_done(&out);
        arena_done(&arena);
        arena_done(&scratch);
        block_unref(b);
}

static void damage(const char *dir, const char *file, size_t step)
{
        char *path = path_join(dir, file), *good;
        size_t n;
        CHECK_OK(file_read(path, 1 << 24, &good, &n));
        int unseen = 0;
        for (size_t i = 0; i < n; i += step) {
                good[i] ^= 0x21;
                CHECK_OK(file_replace(path, (Str){good, n}));
                good[i] ^= 0x21;
                bool failed;
                read_all(dir, &failed);
                unseen += !failed;
        }
        /* Zero bytes between sections and the sections that nobody reads are all that may change unseen. */
        CHECK_MSG((size_t)unseen * step <= n / 8, "%d of %zu flips in %s were not seen", unseen, n / step, file);
        for (size_t cut = 0; cut < n; cut += step) {
                CHECK_OK(file_replace(path, (Str){good, cut}));
                bool failed;
                read_all(dir, &failed);
                CHECK_MSG(failed, "%s cut to %zu bytes was read", file, cut);
        }
        CHECK_OK(file_replace(path, (Str){good, n}));
        free(good);
        free(path);
}

TEST(block, damage_is_an_error_that_names_the_file)
{
        struct storage *st = some_storage(12, 150);
        struct block *b = write_block(test_dir(), st, 0, TIME_MS_MAX, NULL);
        struct matcher *m;
        CHECK_OK(matcher_new(MATCH_EQ, STR("__name__"), STR("odd"), &m));
        CHECK_OK(block_delete(b, 50000, 100000, (const struct matcher *const *)&m, 1));
        matcher_free(m);
        damage(block_get_dir(b), "index", 3);
        damage(block_get_dir(b), "chunks/000001", 11);
        damage(block_get_dir(b), "tombstones", 1);
        block_unref(b);
        memory_storage_free(st);
}

TEST(block, refuses_series_out_of_order)
{
        struct arena arena;
        arena_init(&arena, SIZE_MAX);
        TimeMs t = 5;
        double v = 1;
        struct chunk *c;
        size_t n;
        CHECK_OK(samples_encode(&t, &v, 1, &arena, &c, &n));
        Label a = {STR("a"), STR("1")}, b = {STR("a"), STR("0")};
        struct series s[] = {{.labels = {&a, 1}, .chunks = c, .n_chunks = 1},
                             {.labels = {&b, 1}, .chunks = c, .n_chunks = 1}};
        struct block_meta meta = new_meta(0, 10);
        const char *dir = test_dir();
        CHECK_ERROR(block_write(dir, &meta, NULL, series_set_of(&arena, s, 2)),
                    "series {a=\"0\"}: series out of order: {a=\"0\"}");
        bool cancel = true;
        CHECK_ERROR(block_write(dir, &meta, &(struct block_write_opts){.cancel = &cancel}, series_set_of(&arena, s, 1)),
                    "cancelled");
        PathVec names = VEC_INIT;
        CHECK_OK(dir_list(dir, &names));
        CHECK_U64(names.n, 0);
        block_meta_done(&meta);
        arena_done(&arena);
}
