/* SPDX-License-Identifier: Apache-2.0 */
/* Exemplars of the head: with a commit, in the log, back after a start. */
#include "base/file.h"
#include "base/test.h"
#include "tsdb/head/head.h"

#define HOUR (3600 * (TimeMs)1000)

static struct head *open_at(const char *dir, int64_t max)
{
        struct head *h;
        struct head_opts o = {
                .dir = dir, .chunk_range_ms = 2 * HOUR, .wal_compression = WAL_SNAPPY, .min_valid_ms = TIME_MS_MIN, .max_exemplars = max};
        struct head_open_info info;
        CHECK_OK(head_open(&o, &h, &info));
        CHECK_U64(info.wal_corruptions + info.unknown_refs, 0);
        return h;
}

static void check(struct head *h, const char *want)
{
        struct arena a;
        struct buf b = BUF_INIT(1 << 16);
        ExemplarSeriesVec found = VEC_INIT;
        struct exemplar_selector all = {NULL, 0};
        arena_init(&a, 1 << 20);
        CHECK_OK(exemplars_select(head_exemplars(h), TIME_MS_MIN, TIME_MS_MAX, &all, 1, &a, &found));
        for (size_t i = 0; i < found.n; i++) {
                labels_print(&b, found.p[i].labels);
                for (size_t k = 0; k < found.p[i].n; k++) {
                        buf_printf(&b, " %lld:%g:", (long long)(found.p[i].v[k].t / HOUR), found.p[i].v[k].value);
                        labels_print(&b, found.p[i].v[k].labels);
                }
                buf_putc(&b, '\n');
        }
        CHECK_STR(buf_str(&b), want);
        vec_done(&found);
        buf_done(&b);
        arena_done(&a);
}

TEST(head_exemplars, come_with_the_commit_and_back_with_the_log)
{
        char *dir = path_join(test_dir(), "head-exemplars");
        CHECK_OK(dir_remove_all(dir));
        CHECK_OK(dir_make_all(dir));
        struct head *h = open_at(dir, 10);
        Label name = {STR("__name__"), STR("a")}, other = {STR("__name__"), STR("b")}, id[] = {{STR("empty"), STR("")}, {STR("id"), STR("1")}};
        struct exemplar x = {.labels = {id, 2}, .value = 0.5, .t = 10 * HOUR, .has_t = true};
        struct appender *a;
        SeriesRef ref = 0;
        CHECK_OK(storage_appender(head_storage(h), &a));
        struct error *e = appender_append_exemplar(a, 0, (Labels){&name, 1}, &x);
        CHECK(error_is(e, ERROR_NOT_FOUND));
        error_free(e);
        CHECK_OK(appender_append(a, 0, (Labels){&name, 1}, 10 * HOUR, 1, &ref));
        CHECK_OK(appender_append_exemplar(a, ref, (Labels){NULL, 0}, &x));
        check(h, "");
        CHECK_OK(appender_commit(a));
        static const char first[] = "{__name__=\"a\"} 10:0.5:{id=\"1\"}\n";
        check(h, first);
        /* Rolled back; a series that was made for it is logged with the first exemplar that is committed. */
        CHECK_OK(storage_appender(head_storage(h), &a));
        CHECK_OK(appender_append(a, 0, (Labels){&other, 1}, 10 * HOUR, 1, &ref));
        x.value = 1.5;
        CHECK_OK(appender_append_exemplar(a, ref, (Labels){NULL, 0}, &x));
        appender_rollback(a);
        check(h, first);
        CHECK_OK(storage_appender(head_storage(h), &a));
        CHECK_OK(appender_append_exemplar(a, 0, (Labels){&other, 1}, &x));
        x.t = 9 * HOUR;
        CHECK(appender_append_exemplar(a, 0, (Labels){&name, 1}, &x) == &error_out_of_order_exemplar);
        CHECK_OK(appender_commit(a));
        static const char both[] = "{__name__=\"a\"} 10:0.5:{id=\"1\"}\n{__name__=\"b\"} 10:1.5:{id=\"1\"}\n";
        check(h, both);
        CHECK_OK(head_close(h));
        h = open_at(dir, 10);
        check(h, both);
        CHECK_OK(head_close(h));
        h = open_at(dir, 1);
        check(h, "{__name__=\"b\"} 10:1.5:{id=\"1\"}\n");
        CHECK_OK(head_close(h));
        h = open_at(dir, 0);
        check(h, "");
        CHECK_OK(storage_appender(head_storage(h), &a));
        CHECK_OK(appender_append_exemplar(a, 0, (Labels){&name, 1}, &x)); /* not kept, not refused */
        CHECK_OK(appender_commit(a));
        CHECK_OK(head_close(h));
        free(dir);
}
