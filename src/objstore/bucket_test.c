/* SPDX-License-Identifier: Apache-2.0 */
#include "objstore/bucket.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"
#include "objstore/suite.h"

static struct bucket *filesystem(const char *sub)
{
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", test_dir(), sub);
        struct bucket *b;
        CHECK_OK(filesystem_bucket_new(path, &b));
        return b;
}

static void suite(struct bucket *take_b)
{
        bucket_suite_run(take_b);
        bucket_suite_threads(take_b);
        bucket_suite_large(take_b, 3 << 20, 256 << 10);
        bucket_free(take_b);
}

TEST(memory_bucket, does_what_buckets_do)
{
        suite(memory_bucket_new());
}

TEST(filesystem_bucket, does_what_buckets_do)
{
        suite(filesystem("bucket"));
}

TEST(prefix_bucket, does_what_buckets_do)
{
        suite(prefix_bucket_new(memory_bucket_new(), STR("/tenant/a/")));
        suite(prefix_bucket_new(filesystem("prefixed"), STR("tenant")));
}

TEST(metrics_bucket, does_what_buckets_do)
{
        struct metric_registry *r = metric_registry_new();
        suite(metrics_bucket_new(prefix_bucket_new(memory_bucket_new(), STR("x")), r));
        metric_registry_free(r);
}

TEST(prefix_bucket, puts_its_prefix_in_front_of_every_name)
{
        struct bucket *inner = memory_bucket_new();
        CHECK(prefix_bucket_new(inner, STR("//")) == inner);
        struct bucket *b = prefix_bucket_new(inner, STR("/t/"));
        CHECK_OK(bucket_upload(b, NULL, STR("a"), STR("x")));
        CHECK_OK(bucket_upload(inner, NULL, STR("ta"), STR("y")));
        bool is;
        CHECK_OK(bucket_exists(inner, NULL, STR("t/a"), &is));
        CHECK(is);
        struct buf out = BUF_INIT(100);
        CHECK_ERROR(bucket_get(b, NULL, STR("b"), &out), "bucket \"inmem\": get \"t/b\": object not found");
        bucket_free(b);
}

TEST(filesystem_bucket, never_leaves_its_directory)
{
        struct bucket *b = filesystem("inside");
        struct buf out = BUF_INIT(100);
        static const char *const bad[] = {"../x", "a/../../x",        "a/..", "..", ".", "a//b", "a/./b",
                                          "./a",  "a/.coeus-upload-1"};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                Str name = str_from(bad[i]);
                struct error *e = bucket_upload(b, NULL, name, STR("x"));
                CHECK_MSG(error_is(e, ERROR_INVALID), "upload %s: %s", bad[i], error_str(e));
                error_free(e);
                e = bucket_get(b, NULL, name, &out);
                CHECK_MSG(error_is(e, ERROR_INVALID), "get %s: %s", bad[i], error_str(e));
                error_free(e);
                e = bucket_delete(b, NULL, name);
                CHECK_MSG(error_is(e, ERROR_INVALID), "delete %s: %s", bad[i], error_str(e));
                error_free(e);
        }
        bucket_free(b);
}

static struct error *append_name(void *arg, const struct bucket_entry *entry)
{
        buf_put(arg, entry->name);
        buf_putc(arg, ' ');
        return NULL;
}

TEST(filesystem_bucket, hides_empty_directories_and_removes_those_it_empties)
{
        struct bucket *b = filesystem("pruned");
        char path[4096];
        snprintf(path, sizeof path, "%s/empty/more", bucket_name(b) + 4);
        CHECK_OK(dir_make_all(path));
        CHECK_OK(bucket_upload(b, NULL, STR("x/y/z"), STR("1")));
        CHECK_OK(bucket_upload(b, NULL, STR("x/a"), STR("1")));
        snprintf(path, sizeof path, "%s/x/.coeus-upload-left", bucket_name(b) + 4);
        CHECK_OK(file_replace(path, STR("half")));
        struct buf got = BUF_INIT(1000);
        CHECK_OK(bucket_iter(b, NULL, STR(""), BUCKET_RECURSIVE, append_name, &got));
        CHECK_STR(buf_str(&got), "x/a x/y/z ");
        CHECK_OK(bucket_delete(b, NULL, STR("x/y/z")));
        snprintf(path, sizeof path, "%s/x/y", bucket_name(b) + 4);
        CHECK(access(path, F_OK) != 0);
        CHECK_OK(bucket_delete(b, NULL, STR("x/a")));
        buf_clear(&got);
        CHECK_OK(bucket_iter(b, NULL, STR("x"), 0, append_name, &got));
        CHECK_STR(buf_str(&got), "");
        buf_done(&got);
        bucket_free(b);
}

TEST(filesystem_bucket, is_named_by_its_absolute_directory)
{
        struct bucket *b;
        CHECK_OK(filesystem_bucket_new("/tmp//x/./y/", &b));
        CHECK_STR(str_from(bucket_name(b)), "fs: /tmp/x/y");
        CHECK_STR(str_from(bucket_provider(b)), "FILESYSTEM");
        bucket_free(b);
        CHECK_ERROR(filesystem_bucket_new("", &b), "missing directory for filesystem bucket");
}

static void text_case(struct metric_registry *r, const char *line)
{
        struct buf text = BUF_INIT(1 << 20);
        metric_write_text(r, &text);
        CHECK_MSG(str_contains(buf_str(&text), str_from(line)), "no %s in\n%s", line, buf_cstr(&text));
        buf_done(&text);
}

TEST(metrics_bucket, counts_operations_failures_and_bytes)
{
        struct metric_registry *r = metric_registry_new();
        struct bucket *b = metrics_bucket_new(memory_bucket_new(), r);
        text_case(r, "thanos_objstore_bucket_operation_failures_total{bucket=\"inmem\",operation=\"delete\"} 0\n");
        CHECK_OK(bucket_upload(b, NULL, STR("a"), STR("hello")));
        struct buf out = BUF_INIT(100);
        CHECK_OK(bucket_get(b, NULL, STR("a"), &out));
        CHECK_OK(bucket_get_range(b, NULL, STR("a"), 1, 2, &out));
        struct bucket_call fine = {.not_found_is_expected = true};
        CHECK_ERROR(bucket_get(b, &fine, STR("b"), &out), "");
        CHECK_ERROR(bucket_get(b, NULL, STR("b"), &out), "");
        bool cancel = true;
        struct bucket_call gone = {.cancel = &cancel};
        CHECK_ERROR(bucket_get(b, &gone, STR("a"), &out), "");
        text_case(r, "thanos_objstore_bucket_operations_total{bucket=\"inmem\",operation=\"get\"} 3\n");
        text_case(r, "thanos_objstore_bucket_operation_failures_total{bucket=\"inmem\",operation=\"get\"} 1\n");
        text_case(r, "thanos_objstore_bucket_operation_fetched_bytes_total{bucket=\"inmem\",operation=\"get\"} 5\n");
        text_case(r,
                  "thanos_objstore_bucket_operation_fetched_bytes_total{bucket=\"inmem\",operation=\"get_range\"} 2\n");
        text_case(r, "thanos_objstore_bucket_operation_duration_seconds_count{bucket=\"inmem\",operation=\"get\"} 1\n");
        text_case(r, "thanos_objstore_bucket_operation_transferred_bytes_bucket{bucket=\"inmem\",operation=\"upload\","
                     "le=\"32768\"} 1\n");
        text_case(r, "thanos_objstore_bucket_last_successful_upload_time{bucket=\"inmem\"} 1");
        buf_done(&out);
        bucket_free(b);
        metric_registry_free(r);
}

TEST(filesystem_bucket, links_a_final_file_and_copies_others)
{
        char *dir = path_join(test_dir(), "bucket"), *file = path_join(test_dir(), "file"), *object = path_join(dir, "d/o");
        struct bucket *b;
        struct buf got = BUF_INIT(1 << 20);
        struct stat own, theirs;
        CHECK_OK(filesystem_bucket_new(dir, &b));
        CHECK_OK(file_replace(file, STR("content")));
        CHECK(stat(file, &own) == 0);
        for (int i = 0; i < 2; i++) { /* also over itself */
                CHECK_OK(bucket_upload_final_file(b, NULL, STR("d/o"), file));
                CHECK(stat(object, &theirs) == 0);
                CHECK(theirs.st_ino == own.st_ino && theirs.st_nlink == 2);
        }
        CHECK_OK(bucket_upload_file(b, NULL, STR("d/o"), file));
        CHECK(stat(object, &theirs) == 0);
        CHECK(theirs.st_ino != own.st_ino && theirs.st_nlink == 1);
        CHECK_OK(bucket_get(b, NULL, STR("d/o"), &got));
        CHECK_STR(buf_str(&got), "content");
        PathVec names = VEC_INIT;
        char *d = path_join(dir, "d");
        CHECK_OK(dir_list(d, &names));
        CHECK_U64(names.n, 1);
        path_vec_done(&names);
        CHECK_OK(bucket_upload_final_file(b, NULL, STR("d/o"), file));
        CHECK_OK(bucket_delete(b, NULL, STR("d/o")));
        CHECK(file_exists(file));
        buf_done(&got);
        bucket_free(b);
        free(d);
        free(dir);
        free(file);
        free(object);
}
