/* SPDX-License-Identifier: Apache-2.0 */
#include "objstore/suite.h"

#include <stdio.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/rand.h"
#include "base/test.h"
#include "base/thread.h"

static struct error *list_each(void *arg, const struct bucket_entry *entry)
{
        struct buf *b = arg;
        buf_put(b, entry->name);
        CHECK_I64(entry->is_dir, entry->name.p[entry->name.n - 1] == '/');
        if (!entry->is_dir) {
                buf_printf(b, "=%llu", (unsigned long long)entry->size_bytes);
                CHECK(entry->modified_ms > 1000000000000);
        }
        buf_putc(b, ' ');
        return NULL;
}

static void list_case(struct bucket *b, const char *dir, unsigned flags, const char *want)
{
        struct buf got = BUF_INIT(1 << 20);
        CHECK_OK(bucket_iter(b, NULL, str_from(dir), flags, list_each, &got));
        CHECK_STR(buf_str(&got), want);
        buf_done(&got);
}

static void get_case(struct bucket *b, const char *name, uint64_t at, uint64_t n, const char *want)
{
        struct buf got = BUF_INIT(1 << 20);
        buf_putc(&got, '|'); /* what was there stays */
        CHECK_OK(bucket_get_range(b, NULL, str_from(name), at, n, &got));
        CHECK_STR(str_skip(buf_str(&got), 1), want);
        buf_done(&got);
}

static void exists_case(struct bucket *b, const char *name, bool want)
{
        bool got = !want;
        CHECK_OK(bucket_exists(b, NULL, str_from(name), &got));
        CHECK_MSG(got == want, "exists %s: %d", name, got);
}

/* The error is of that kind and names bucket and object. */
static void error_case(struct bucket *b, const char *name, enum error_kind kind, struct error *take_e)
{
        CHECK_MSG(take_e, "%s: no error", name);
        CHECK_MSG(error_is(take_e, kind), "kind %d: %s", error_get_kind(take_e), error_str(take_e));
        CHECK_MSG(strstr(error_str(take_e), bucket_name(b)) && strstr(error_str(take_e), name),
                  "names not both %s and %s: %s", bucket_name(b), name, error_str(take_e));
        error_free(take_e);
}

static void objects(struct bucket *b)
{
        list_case(b, "", 0, "");
        list_case(b, "", BUCKET_RECURSIVE, "");
        list_case(b, "nothing/here", 0, "");
        CHECK_OK(bucket_upload(b, NULL, STR("a/meta.json"), STR("hello")));
        CHECK_OK(bucket_upload(b, NULL, STR("a/chunks/000001"), STR("")));
        CHECK_OK(bucket_upload(b, NULL, STR("a-b"), STR("0123456789")));
        CHECK_OK(bucket_upload(b, NULL, STR("a.json"), STR("x")));
        CHECK_OK(bucket_upload(b, NULL, STR("z/y/x/w"), STR("deep")));
        list_case(b, "", 0, "a-b=10 a.json=1 a/ z/ ");
        list_case(b, "", BUCKET_RECURSIVE, "a-b=10 a.json=1 a/chunks/000001=0 a/meta.json=5 z/y/x/w=4 ");
        list_case(b, "a", 0, "a/chunks/ a/meta.json=5 ");
        list_case(b, "a/", 0, "a/chunks/ a/meta.json=5 ");
        list_case(b, "a/", BUCKET_RECURSIVE, "a/chunks/000001=0 a/meta.json=5 ");
        list_case(b, "z/y", 0, "z/y/x/ ");
        list_case(b, "a-b", 0, "");
        list_case(b, "a/meta", 0, "");
        get_case(b, "a/meta.json", 0, BUCKET_TO_END, "hello");
        get_case(b, "a/chunks/000001", 0, BUCKET_TO_END, "");
        get_case(b, "a-b", 0, 4, "0123");
        get_case(b, "a-b", 3, 1, "3");
        get_case(b, "a-b", 8, 100, "89");
        get_case(b, "a-b", 8, BUCKET_TO_END, "89");
        get_case(b, "a-b", 10, 1, "");
        get_case(b, "a-b", 1000, BUCKET_TO_END, "");
        get_case(b, "a-b", 2, 0, "");
        get_case(b, "a/chunks/000001", 0, 5, "");
        exists_case(b, "a/meta.json", true);
        exists_case(b, "a", false);
        exists_case(b, "a/meta", false);
        exists_case(b, "a/meta.json/x", false);
        struct bucket_attributes at;
        CHECK_OK(bucket_get_attributes(b, NULL, STR("a-b"), &at));
        CHECK_U64(at.size_bytes, 10);
        CHECK(at.modified_ms > time_now_ms() - 3600000 && at.modified_ms < time_now_ms() + 3600000);
        CHECK_OK(bucket_upload(b, NULL, STR("a-b"), STR("shorter")));
        get_case(b, "a-b", 0, BUCKET_TO_END, "shorter");
}

static void errors(struct bucket *b)
{
        struct buf got = BUF_INIT(4);
        struct bucket_attributes at;
        bool is;
        error_case(b, "a/nothing", ERROR_NOT_FOUND, bucket_get(b, NULL, STR("a/nothing"), &got));
        error_case(b, "a/nothing", ERROR_NOT_FOUND, bucket_get_range(b, NULL, STR("a/nothing"), 5, 10, &got));
        error_case(b, "a/nothing", ERROR_NOT_FOUND, bucket_get_attributes(b, NULL, STR("a/nothing"), &at));
        error_case(b, "a", ERROR_NOT_FOUND, bucket_get(b, NULL, STR("a"), &got));
        error_case(b, "a/meta.json", ERROR_LIMIT, bucket_get(b, NULL, STR("a/meta.json"), &got));
        CHECK_U64(got.n, 0);
        CHECK_OK(bucket_get_range(b, NULL, STR("a/meta.json"), 1, 4, &got));
        CHECK_STR(buf_str(&got), "ello");
        error_case(b, "", ERROR_INVALID, bucket_get(b, NULL, STR(""), &got));
        error_case(b, "/a", ERROR_INVALID, bucket_upload(b, NULL, STR("/a"), STR("x")));
        error_case(b, "a/", ERROR_INVALID, bucket_upload(b, NULL, STR("a/"), STR("x")));
        error_case(b, "a\\x00b", ERROR_INVALID, bucket_exists(b, NULL, STR("a\0b"), &is));
        bool cancel = true;
        struct bucket_call c = {.cancel = &cancel};
        error_case(b, "a/meta.json", ERROR_CANCELLED, bucket_get(b, &c, STR("a/meta.json"), &got));
        error_case(b, "a/new", ERROR_CANCELLED, bucket_upload(b, &c, STR("a/new"), STR("x")));
        c = (struct bucket_call){.deadline_ms = 1};
        error_case(b, "a/meta.json", ERROR_TIMEOUT, bucket_exists(b, &c, STR("a/meta.json"), &is));
        exists_case(b, "a/new", false);
        error_case(b, "a/new", ERROR_IO, bucket_upload_file(b, NULL, STR("a/new"), "/no-such-file"));
        buf_done(&got);
}

static struct error *stop_at_second(void *arg, const struct bucket_entry *entry)
{
        (void)entry;
        return ++*(int *)arg == 2 ? error_new(ERROR_LIMIT, "enough") : NULL;
}

struct failing_source {
        struct bucket_source s;
        int n;
};

static struct error *fail_later(struct bucket_source *s, char *p, size_t n, size_t *ret_n)
{
        struct failing_source *f = CONTAINER_OF(s, struct failing_source, s);
        if (f->n-- == 0)
                return error_new(ERROR_CORRUPT, "source broke");
        memset(p, 'x', MIN(n, (size_t)100));
        *ret_n = MIN(n, (size_t)100);
        return NULL;
}

static struct error *fail_sink(struct bucket_sink *s, Str piece)
{
        (void)s;
        (void)piece;
        return error_new(ERROR_LIMIT, "sink is full");
}

static struct error *delete_each(void *arg, const struct bucket_entry *entry)
{
        return bucket_delete(arg, NULL, entry->name);
}

static void callers(struct bucket *b)
{
        int n = 0;
        CHECK_ERROR(bucket_iter(b, NULL, STR(""), BUCKET_RECURSIVE, stop_at_second, &n), "enough");
        CHECK_I64(n, 2);
        struct failing_source f = {.s.read = fail_later, .n = 3};
        error_case(b, "a/broken", ERROR_CORRUPT, bucket_upload_stream(b, NULL, STR("a/broken"), &f.s));
        exists_case(b, "a/broken", false);
        CHECK_ERROR(bucket_read(b, NULL, STR("a/meta.json"), 0, BUCKET_TO_END, &(struct bucket_sink){fail_sink}),
                    "sink is full");
        char path[4096];
        snprintf(path, sizeof path, "%s/download", test_dir());
        CHECK_OK(bucket_download(b, NULL, STR("a/meta.json"), path));
        char *text;
        size_t text_n;
        CHECK_OK(file_read(path, 100, &text, &text_n));
        CHECK_STR(((Str){text, text_n}), "hello");
        free(text);
        struct error *e = bucket_download(b, NULL, STR("a/nothing"), path);
        CHECK(error_is(e, ERROR_NOT_FOUND));
        error_free(e);
        CHECK(file_exists(path));
}

/* Names that need escaping somewhere on the way. */
static void names(struct bucket *b)
{
        static const char *const odd[] = {
                "odd/a b",      "odd/a+b",       "odd/a%20b", "odd/a&b=c",  "odd/\xc3\xa4\xe2\x82\xac",
                "odd/a'b\"c",   "odd/a?b#c",     "odd/a;b,c", "odd/a<b>&d", "odd/a\\b|c^",
                "odd/~a$@!*()", "odd/a:b[1]{2}`"};
        for (size_t i = 0; i < ARRAY_LEN(odd); i++) {
                CHECK_OK(bucket_upload(b, NULL, str_from(odd[i]), str_from(odd[i])));
                get_case(b, odd[i], 0, BUCKET_TO_END, odd[i]);
                exists_case(b, odd[i], true);
        }
        struct buf want = BUF_INIT(4096), got = BUF_INIT(4096);
        Str sorted[ARRAY_LEN(odd)];
        for (size_t i = 0; i < ARRAY_LEN(odd); i++)
                sorted[i] = str_from(odd[i]);
        qsort(sorted, ARRAY_LEN(odd), sizeof *sorted, str_cmp_qsort);
        for (size_t i = 0; i < ARRAY_LEN(odd); i++)
                buf_printf(&want, STR_FMT "=%zu ", STR_ARG(sorted[i]), sorted[i].n);
        CHECK_OK(bucket_iter(b, NULL, STR("odd"), 0, list_each, &got));
        CHECK_STRS(buf_str(&got), buf_str(&want));
        CHECK_OK(bucket_iter(b, NULL, STR("odd/"), 0, delete_each, b));
        list_case(b, "odd", 0, "");
        buf_done(&got);
        buf_done(&want);
}

void bucket_suite_run(struct bucket *b)
{
        objects(b);
        errors(b);
        callers(b);
        names(b);
        CHECK_OK(bucket_delete(b, NULL, STR("a/nothing")));
        CHECK_OK(bucket_delete(b, NULL, STR("a")));
        CHECK_OK(bucket_delete(b, NULL, STR("z/y/x/w")));
        list_case(b, "", 0, "a-b=7 a.json=1 a/ ");
        exists_case(b, "z/y/x/w", false);
        CHECK_OK(bucket_iter(b, NULL, STR(""), BUCKET_RECURSIVE, delete_each, b));
        list_case(b, "", 0, "");
}

/* --- large ones --- */

struct slow_source {
        struct bucket_source s;
        Str rest;
        size_t step;
};

static struct error *read_some(struct bucket_source *s, char *p, size_t n, size_t *ret_n)
{
        struct slow_source *f = CONTAINER_OF(s, struct slow_source, s);
        n = MIN(n, f->step);
        n = MIN(n, f->rest.n);
        memcpy(p, f->rest.p, n);
        f->rest = str_skip(f->rest, n);
        f->step = f->step * 3 % 1000003 + 1;
        *ret_n = n;
        return NULL;
}

static void whole_case(struct bucket *b, const char *name, Str want)
{
        struct buf got = BUF_INIT(want.n);
        CHECK_OK(bucket_get(b, NULL, str_from(name), &got));
        CHECK_U64(got.n, want.n);
        CHECK_U64(hash_str(buf_str(&got)), hash_str(want));
        buf_done(&got);
        struct bucket_attributes at;
        CHECK_OK(bucket_get_attributes(b, NULL, str_from(name), &at));
        CHECK_U64(at.size_bytes, want.n);
}

void bucket_suite_large(struct bucket *b, size_t n, size_t seam)
{
        char *p = mem_alloc(n);
        struct rand r = {42};
        for (size_t i = 0; i + 8 <= n; i += 8) {
                uint64_t v = rand_u64(&r);
                memcpy(p + i, &v, 8);
        }
        memset(p + n / 8 * 8, 7, n % 8);
        Str all = {p, n};
        CHECK_OK(bucket_upload(b, NULL, STR("large/memory"), all));
        whole_case(b, "large/memory", all);
        char path[4096];
        snprintf(path, sizeof path, "%s/large", test_dir());
        CHECK_OK(bucket_download(b, NULL, STR("large/memory"), path));
        CHECK_OK(bucket_upload_file(b, NULL, STR("large/file"), path));
        whole_case(b, "large/file", all);
        struct slow_source s = {.s.read = read_some, .rest = all, .step = 12345};
        CHECK_OK(bucket_upload_stream(b, NULL, STR("large/stream"), &s.s));
        whole_case(b, "large/stream", all);
        const uint64_t at[] = {0, 1, seam - 1, seam, seam + 1, n - 1, n, n / 2};
        const uint64_t len[] = {1, 100, seam, seam + 1, n, BUCKET_TO_END};
        struct buf got = BUF_INIT(n);
        for (size_t i = 0; i < ARRAY_LEN(at); i++) {
                for (size_t k = 0; k < ARRAY_LEN(len); k++) {
                        uint64_t from = MIN(at[i], n), to = from + MIN(len[k], n - from);
                        buf_clear(&got);
                        CHECK_OK(bucket_get_range(b, NULL, STR("large/file"), at[i], len[k], &got));
                        CHECK_U64(got.n, to - from);
                        CHECK_U64(hash_str(buf_str(&got)), hash_bytes(p + from, to - from));
                }
        }
        buf_done(&got);
        CHECK_OK(bucket_iter(b, NULL, STR("large"), 0, delete_each, b));
        list_case(b, "", 0, "");
        free(p);
}

/* --- several threads --- */

/* cmocka's checks are for its own thread: the others leave their first error. */
struct worker {
        struct thread t;
        struct bucket *b;
        int id;
        struct error *e;
};

static struct error *count_each(void *arg, const struct bucket_entry *entry)
{
        (void)entry;
        ++*(int *)arg;
        return NULL;
}

static void work(void *arg)
{
        struct worker *w = arg;
        for (int i = 0; i < 20 && !w->e; i++) {
                char name[64], text[64];
                snprintf(name, sizeof name, "threads/%d/%d", w->id % 2, w->id);
                snprintf(text, sizeof text, "%d of %d", i, w->id);
                struct buf got = BUF_INIT(100);
                bool is;
                int n = 0;
                w->e = bucket_upload(w->b, NULL, str_from(name), str_from(text));
                if (!w->e)
                        w->e = bucket_get(w->b, NULL, str_from(name), &got);
                if (!w->e && !str_eq(buf_str(&got), str_from(text)))
                        w->e = error_new(ERROR_CORRUPT, "got " STR_FMT " for %s", STR_ARG(buf_str(&got)), text);
                if (!w->e)
                        w->e = bucket_iter(w->b, NULL, STR("threads"), BUCKET_RECURSIVE, count_each, &n);
                if (!w->e && n < 1)
                        w->e = error_new(ERROR_CORRUPT, "own object is not in the list");
                if (!w->e)
                        w->e = bucket_delete(w->b, NULL, str_from(name));
                if (!w->e)
                        w->e = bucket_exists(w->b, NULL, str_from(name), &is);
                if (!w->e && is)
                        w->e = error_new(ERROR_CORRUPT, "%s is there after its delete", name);
                buf_done(&got);
        }
}

void bucket_suite_threads(struct bucket *b)
{
        struct worker w[6] = {0};
        for (int i = 0; i < 6; i++) {
                w[i].b = b;
                w[i].id = i;
                CHECK_OK(thread_start(&w[i].t, "suite", work, &w[i]));
        }
        for (int i = 0; i < 6; i++)
                thread_join(&w[i].t);
        for (int i = 0; i < 6; i++)
                CHECK_OK(w[i].e);
        list_case(b, "", BUCKET_RECURSIVE, "");
}
