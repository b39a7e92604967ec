/* SPDX-License-Identifier: Apache-2.0 */
/* Writers, readers, gc and deaths at once; and what is there after the process died at each single write. */
#include <errno.h>
#include <stdio.h>

#include "base/file.h"
#include "base/log.h"
#include "base/test.h"
#include "base/thread.h"
#include "storage/decode.h"
#include "tsdb/head/head.h"

enum { SERIES = 40, STEP_MS = 15000, RANGE_MS = 600 * 1000 };

static char *fresh_dir(const char *name)
{
        char *d = path_join(test_dir(), name);
        CHECK_OK(dir_remove_all(d));
        CHECK_OK(dir_make_all(d));
        return d;
}

static struct error *scrape(struct head *h, int writer, int k, SeriesRef *refs)
{
        struct appender *a;
        struct error *e = storage_appender(head_storage(h), &a);
        for (int i = 0; !e && i < SERIES; i++) {
                char n[32];
                snprintf(n, sizeof n, "%d-%d", writer, i);
                Label l[] = {{STR("__name__"), STR("m")}, {STR("n"), str_from(n)}};
                e = appender_append(a, refs[i], (Labels){l, 2}, (TimeMs)k * STEP_MS, k, &refs[i]);
        }
        if (e) {
                appender_rollback(a);
                return e;
        }
        return appender_commit(a);
}

/* Checks that every series holds k for the time of k, without holes from its first to its last unless they may be;
 * returns the newest k that all of them have. */
static int check_all(struct head *h, bool holes, int *ret_series)
{
        struct arena a;
        struct querier *q;
        struct series_set *set;
        struct matcher *m;
        struct samples s = SAMPLES_INIT;
        struct select_hints hints = {.sorted = true};
        arena_init(&a, 1 << 28);
        CHECK_OK(matcher_new(MATCH_EQ, STR("__name__"), STR("m"), &m));
        CHECK_OK(storage_querier(head_storage(h), TIME_MS_MIN, TIME_MS_MAX, &a, &q));
        CHECK_OK(querier_select(q, &hints, (const struct matcher *const *)&m, 1, &set));
        int all = INT32_MAX, n = 0;
        for (;;) {
                struct series x;
                bool more;
                CHECK_OK(series_set_next(set, &x, &more));
                if (!more)
                        break;
                CHECK_STR(labels_get(x.labels, STR("__name__")), "m");
                CHECK_OK(series_decode(&x, TIME_MS_MIN, TIME_MS_MAX, &s));
                for (size_t i = 0; i < s.n; i++) {
                        CHECK_I64(s.t[i], (int64_t)s.v[i] * STEP_MS);
                        CHECK(i == 0 || holes || s.t[i] == s.t[i - 1] + STEP_MS);
                }
                if (s.n == 0)
                        continue;
                all = (int)MIN((double)all, s.v[s.n - 1]);
                n++;
        }
        *ret_series = n;
        querier_close(q);
        matcher_free(m);
        samples_done(&s);
        arena_done(&a);
        return n ? all : 0;
}

struct job {
        struct head *h;
        int writer;
        int *done; /* atomic: writers that ended */
        int last;
};
enum { WRITERS = 2, SCRAPES = 400 };

static void write_all(void *arg)
{
        struct job *j = arg;
        SeriesRef refs[SERIES] = {0};
        for (int k = 1; k <= SCRAPES; k++) {
                struct error *e = scrape(j->h, j->writer, k, refs);
                /* The other writer may be so far ahead that this is too old now. */
                if (e != &error_out_of_bounds)
                        CHECK_OK(e);
                else
                        k = (int)(head_max_ms(j->h) / STEP_MS);
                j->last = k;
        }
        __atomic_fetch_add(j->done, 1, __ATOMIC_SEQ_CST);
}

static void read_all(void *arg)
{
        struct job *j = arg;
        while (__atomic_load_n(j->done, __ATOMIC_SEQ_CST) < WRITERS) {
                int n;
                struct head_stats st;
                check_all(j->h, true, &n);
                head_get_stats(j->h, &st);
        }
}

static void truncate_all(void *arg)
{
        struct job *j = arg;
        while (__atomic_load_n(j->done, __ATOMIC_SEQ_CST) < WRITERS)
                if (!head_is_empty(j->h) && head_is_compactable(j->h))
                        CHECK_OK(head_truncate(j->h, head_min_ms(j->h) + RANGE_MS / 2));
}

TEST(head, writers_readers_and_truncation_at_once)
{
        char *dir = fresh_dir("head-threads");
        struct head_opts o = {
                .dir = dir, .chunk_range_ms = RANGE_MS, .wal_segment_bytes = 64 * 1024, .min_valid_ms = TIME_MS_MIN};
        struct head *h;
        CHECK_OK(head_open(&o, &h, NULL));
        int done = 0;
        struct job jobs[WRITERS + 2];
        struct thread threads[WRITERS + 2];
        for (int i = 0; i < WRITERS + 2; i++) {
                jobs[i] = (struct job){.h = h, .writer = i, .done = &done};
                CHECK_OK(thread_start(&threads[i], "test",
                                      i < WRITERS    ? write_all
                                      : i == WRITERS ? read_all
                                                     : truncate_all,
                                      &jobs[i]));
        }
        for (int i = 0; i < WRITERS + 2; i++)
                thread_join(&threads[i]);
        int n, all = check_all(h, true, &n);
        CHECK(n > 0 && all > 0);
        /* As the database opens it: what was cut off is in blocks. The log may still hold series of a writer that ended long before the other. */
        o.min_valid_ms = head_min_ms(h);
        CHECK_OK(head_close(h));
        CHECK_OK(head_open(&o, &h, NULL));
        int n2, all2 = check_all(h, true, &n2);
        CHECK_I64(n2, n);
        CHECK_I64(all2, all);
        CHECK_OK(head_close(h));
        free(dir);
}

/* ---- dying at each write ---- */

struct dying_disk {
        struct disk d;
        int left; /* calls until it dies; then the last write is cut in the middle and nothing works any more */
};

static bool dies(const struct disk *d, bool *ret_last)
{
        struct dying_disk *x = CONTAINER_OF(d, struct dying_disk, d);
        *ret_last = x->left == 1;
        if (x->left > 0)
                x->left--;
        errno = EIO;
        return x->left == 0;
}

static int dying_open(const struct disk *d, const char *path, int flags)
{
        bool last;
        return dies(d, &last) ? -1 : disk_system.open(&disk_system, path, flags);
}

static ssize_t dying_pwrite(const struct disk *d, int fd, const void *p, size_t n, uint64_t at)
{
        bool last;
        if (!dies(d, &last))
                return disk_system.pwrite(&disk_system, fd, p, n, at);
        if (last && n > 1)
                CHECK(disk_system.pwrite(&disk_system, fd, p, n / 2, at) > 0);
        errno = EIO;
        return -1;
}

static int dying_fsync(const struct disk *d, int fd)
{
        bool last;
        return dies(d, &last) ? -1 : 0;
}

static int dying_ftruncate(const struct disk *d, int fd, uint64_t size)
{
        bool last;
        return dies(d, &last) ? -1 : disk_system.ftruncate(&disk_system, fd, size);
}

static int dying_rename(const struct disk *d, const char *from, const char *to)
{
        bool last;
        return dies(d, &last) ? -1 : disk_system.rename(&disk_system, from, to);
}

static int dying_unlink(const struct disk *d, const char *path)
{
        bool last;
        return dies(d, &last) ? -1 : disk_system.unlink(&disk_system, path);
}

TEST(head, what_was_acknowledged_is_there_after_dying_at_any_write)
{
        bool survived = false;
        log_set_level(STR("error")); /* each death would tell of its repair */
        for (int at = 1; !survived && at < 3000; at += at < 40 ? 1 : 7) {
                char *dir = fresh_dir("head-dying");
                struct dying_disk disk = {.d = {.open = dying_open,
                                                .pwrite = dying_pwrite,
                                                .fsync = dying_fsync,
                                                .ftruncate = dying_ftruncate,
                                                .rename = dying_rename,
                                                .unlink = dying_unlink},
                                          .left = at};
                struct head_opts o = {.dir = dir,
                                      .chunk_range_ms = RANGE_MS,
                                      .wal_segment_bytes = 32 * 1024,
                                      .min_valid_ms = TIME_MS_MIN,
                                      .disk = &disk.d};
                struct head *h = NULL;
                struct error *e = head_open(&o, &h, NULL);
                int acknowledged = 0;
                if (!e) {
                        SeriesRef refs[SERIES] = {0};
                        for (int k = 1; !e && k <= 150; k++) {
                                e = scrape(h, 0, k, refs);
                                if (!e)
                                        acknowledged = k;
                                if (!e && k % 50 == 0)
                                        e = head_truncate(h, (TimeMs)(k - 30) * STEP_MS);
                        }
                        survived = !e && disk.left > 0;
                        error_free(e);
                        error_free(head_close(h));
                } else {
                        error_free(e);
                }
                o.disk = NULL;
                CHECK_OK(head_open(&o, &h, NULL));
                int n, all = check_all(h, false, &n);
                if (acknowledged) {
                        CHECK_I64(n, SERIES);
                        CHECK_MSG(all >= acknowledged, "died at call %d: acknowledged up to %d, there up to %d", at,
                                  acknowledged, all);
                }
                CHECK_OK(head_close(h));
                free(dir);
        }
        log_set_level(STR("info"));
        CHECK(survived);
}
