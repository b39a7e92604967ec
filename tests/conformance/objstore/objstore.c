/* SPDX-License-Identifier: Apache-2.0 */
/* objstore.c — the suite of src/objstore over the bucket that the file $COEUS_OBJSTORE_CONFIG describes (as Thanos'
 * --objstore.config-file has it). tests/interop/test_s3.py runs it against a real S3 server. $COEUS_OBJSTORE_EXPECT:
 * instead, a listing must fail and its error must have that text. */
#include <stdlib.h>

#include "base/file.h"
#include "base/test.h"
#include "config/objstore_conf.h"
#include "objstore/suite.h"

static struct bucket *configured(void)
{
        const char *path = getenv("COEUS_OBJSTORE_CONFIG");
        if (!path)
                test_skip("COEUS_OBJSTORE_CONFIG names no bucket: tests/interop/test_s3.py does");
        char *text;
        size_t n;
        struct bucket *b = NULL;
        CHECK_OK(file_read(path, 1 << 20, &text, &n));
        struct error *e = objstore_conf_open((Str){text, n}, NULL, &b);
        free(text);
        CHECK_OK(e);
        return b;
}

static void only_without_expectation(void)
{
        if (getenv("COEUS_OBJSTORE_EXPECT"))
                test_skip("only the refusal is looked at");
}

TEST(objstore, does_what_buckets_do)
{
        only_without_expectation();
        struct bucket *b = configured();
        bucket_suite_run(b);
        bucket_suite_threads(b);
        bucket_free(b);
}

/* Three parts of 5 MiB, the last one short; slices are of 16 MiB. */
TEST(objstore, takes_large_objects)
{
        only_without_expectation();
        struct bucket *b = configured();
        bucket_suite_large(b, (20 << 20) + 12345, 5 << 20);
        bucket_free(b);
}

static struct error *count(void *arg, const struct bucket_entry *entry)
{
        (void)entry;
        ++*(int *)arg;
        return NULL;
}

static struct error *delete_each(void *arg, const struct bucket_entry *entry)
{
        return bucket_delete(arg, NULL, entry->name);
}

/* More than a page of 1000. */
TEST(objstore, lists_more_than_a_page)
{
        only_without_expectation();
        struct bucket *b = configured();
        int n = 0;
        for (int i = 0; i < 1100; i++) {
                struct buf name = BUF_INIT(100);
                buf_printf(&name, "many/%04d/x", i);
                CHECK_OK(bucket_upload(b, NULL, buf_str(&name), STR("1")));
                buf_done(&name);
        }
        CHECK_OK(bucket_iter(b, NULL, STR("many"), 0, count, &n));
        CHECK_I64(n, 1100);
        n = 0;
        CHECK_OK(bucket_iter(b, NULL, STR(""), BUCKET_RECURSIVE, count, &n));
        CHECK_I64(n, 1100);
        CHECK_OK(bucket_iter(b, NULL, STR(""), BUCKET_RECURSIVE, delete_each, b));
        bucket_free(b);
}

TEST(objstore, is_refused_with_the_expected_text)
{
        const char *want = getenv("COEUS_OBJSTORE_EXPECT");
        if (!want)
                test_skip("no refusal is expected");
        struct bucket *b = configured();
        int n = 0;
        struct error *e = bucket_iter(b, NULL, STR(""), 0, count, &n);
        CHECK_MSG(e && strstr(error_str(e), want), "got %s, want %s", error_str(e), want);
        error_free(e);
        e = bucket_upload(b, NULL, STR("a"), STR("x"));
        CHECK_MSG(e, "upload was taken");
        error_free(e);
        bucket_free(b);
}
