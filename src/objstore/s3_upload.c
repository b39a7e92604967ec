/* SPDX-License-Identifier: Apache-2.0 */
/* s3_upload.c — uploads: one PUT, or parts.
 *
 * Bytes in memory (mapped files) of more than a part go by WORKERS threads; a stream is read into one buffer of a part
 * and goes part by part, so that its length need not be known. What fails is aborted, so that no parts stay behind and
 * cost money; the object appears by the last request only. */
#include <stdio.h>

#include "base/thread.h"
#include "base/vec.h"
#include "objstore/s3_impl.h"
#include "objstore/xml.h"

enum { WORKERS = 4, PARTS_MAX = 10000, ABORT_MS = 10000 };

static void add_headers(const struct s3 *s, struct s3_request *r)
{
        bool has_type = false;
        for (size_t i = 0; i < s->o.n_metadata; i++) {
                has_type = has_type || str_eq_nocase(s->o.metadata[i].name, STR("Content-Type"));
                s3_header(r, s->o.metadata[i].name, s->o.metadata[i].value);
        }
        if (!has_type)
                s3_header(r, STR("Content-Type"), STR("application/octet-stream"));
}

static struct error *put_whole(struct s3 *s, const struct bucket_call *c, Str name, Str body, bool is_map)
{
        struct s3_request r = {.method = "PUT", .key = name, .body = body, .body_is_map = is_map};
        struct http_response resp = {0};
        add_headers(s, &r);
        struct error *e = s3_send(s, c, &r, &resp);
        if (!e)
                http_response_done(&resp);
        return e;
}

/* --- parts --- */

struct upload {
        struct s3 *s;
        const struct bucket_call *c;
        Str name;
        char id[1100];
        uint64_t size_bytes;
        VEC(char *) etags; /* of the parts, in order; owned */
        /* of uploads by several threads */
        Str memory;
        bool is_map; /* of a file */
        size_t part_bytes;
        struct mutex mu; /* guards what follows */
        size_t next;
        struct error *e;
};

static struct error *id_check(const struct s3_request *r, const struct http_response *resp)
{
        struct upload *u = (struct upload *)(uintptr_t)r->arg;
        struct arena a;
        Str id;
        arena_init(&a, 1 << 20);
        struct error *e =
                xml_child(buf_str(&resp->body), &a, STR("InitiateMultipartUploadResult"), STR("UploadId"), &id);
        if (!e && (id.n == 0 || id.n >= sizeof u->id || str_find(id, 0) >= 0))
                e = error_new(ERROR_CORRUPT, "answer without UploadId");
        if (!e)
                snprintf(u->id, sizeof u->id, STR_FMT, STR_ARG(id));
        arena_done(&a);
        return e;
}

static struct error *parts_begin(struct upload *u)
{
        struct s3_request r = {.method = "POST", .key = u->name, .check = id_check, .arg = u};
        struct http_response resp = {0};
        s3_param(&r, STR("uploads"), STR(""));
        add_headers(u->s, &r);
        struct error *e = s3_send(u->s, u->c, &r, &resp);
        if (e)
                return error_wrap(e, "begin the multipart upload");
        http_response_done(&resp);
        return NULL;
}

static struct error *etag_check(const struct s3_request *r, const struct http_response *resp)
{
        Str etag = s3_answer_header(resp, STR("ETag"));
        (void)r;
        return etag.n && etag.n < 256 ? NULL : error_new(ERROR_CORRUPT, "answer without ETag");
}

static struct error *part_put(struct upload *u, const struct bucket_call *c, size_t i, Str body, char **ret_etag)
{
        char number[24];
        struct s3_request r = {.method = "PUT", .key = u->name, .body = body, .body_is_map = u->is_map, .check = etag_check};
        struct http_response resp = {0};
        snprintf(number, sizeof number, "%zu", i + 1);
        s3_param(&r, STR("partNumber"), str_from(number));
        s3_param(&r, STR("uploadId"), str_from(u->id));
        struct error *e = s3_send(u->s, c, &r, &resp);
        if (e)
                return error_wrap(e, "part %zu", i + 1);
        *ret_etag = str_dup(s3_answer_header(&resp, STR("ETag")));
        http_response_done(&resp);
        return NULL;
}

/* Success may carry an error in its body: the store answers 200 before it has put the parts together. */
static struct error *complete_check(const struct s3_request *r, const struct http_response *resp)
{
        struct arena a;
        Str etag;
        struct s3_error x;
        s3_error_parse(buf_str(&resp->body), &x);
        if (x.code[0])
                return error_new(s3_status_is_transient(200, x.code) ? ERROR_IO : ERROR_INVALID, "%s: %s", x.code,
                                 x.message);
        (void)r;
        arena_init(&a, 1 << 20);
        struct error *e = xml_child(buf_str(&resp->body), &a, STR("CompleteMultipartUploadResult"), STR("ETag"), &etag);
        arena_done(&a);
        return e;
}

static void put_escaped(struct buf *b, const char *s)
{
        for (; *s; s++) {
                if (*s == '&' || *s == '<' || *s == '>' || *s == '"')
                        buf_printf(b, "&#%d;", *s);
                else
                        buf_putc(b, *s);
        }
}

static struct error *parts_complete(struct upload *u)
{
        struct buf body = BUF_INIT(16 << 20);
        buf_puts(&body, "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
        for (size_t i = 0; i < u->etags.n; i++) {
                buf_printf(&body, "<Part><PartNumber>%zu</PartNumber><ETag>", i + 1);
                put_escaped(&body, u->etags.p[i]);
                buf_puts(&body, "</ETag></Part>");
        }
        buf_puts(&body, "</CompleteMultipartUpload>");
        struct s3_request r = {.method = "POST", .key = u->name, .body = buf_str(&body), .check = complete_check};
        struct http_response resp = {0};
        s3_param(&r, STR("uploadId"), str_from(u->id));
        s3_header(&r, STR("Content-Type"), STR("application/xml"));
        struct error *e = s3_send(u->s, u->c, &r, &resp);
        buf_done(&body);
        if (!e) {
                http_response_done(&resp);
                return NULL;
        }
        /* A try whose answer was lost may have done it; the next one (also one that libcurl makes by itself, when a
         * kept connection turns out to be dead) is told that there is no such upload. */
        struct bucket_attributes a;
        if (strstr(error_str(e), "NoSuchUpload")) {
                struct error *asked = s3_attributes(&u->s->b, u->c, u->name, &a);
                bool is_there = !asked && a.size_bytes == u->size_bytes;
                error_free(asked);
                if (is_there) {
                        error_free(e);
                        return NULL;
                }
        }
        return error_wrap(e, "complete the multipart upload");
}

/* Also when the caller gave up: with a time of its own. */
static void parts_abort(struct upload *u)
{
        struct bucket_call own = {.deadline_ms = time_mono_ms() + ABORT_MS};
        struct s3_request r = {.method = "DELETE", .key = u->name};
        struct http_response resp = {0};
        s3_param(&r, STR("uploadId"), str_from(u->id));
        struct error *e = s3_send(u->s, &own, &r, &resp);
        if (!e)
                http_response_done(&resp);
        error_ignore(e,
                     "the upload failed for a reason that is told; a lifecycle rule of the bucket removes the parts");
}

static struct error *parts_end(struct upload *u, struct error *take_e)
{
        if (!take_e)
                take_e = parts_complete(u);
        if (take_e)
                parts_abort(u);
        for (size_t i = 0; i < u->etags.n; i++)
                free(u->etags.p[i]);
        vec_done(&u->etags);
        return take_e;
}

/* --- from memory --- */

static void upload_worker(void *arg)
{
        struct upload *u = arg;
        for (;;) {
                mutex_lock(&u->mu);
                size_t i = u->next++;
                bool stop = i >= u->etags.n || u->e;
                mutex_unlock(&u->mu);
                if (stop)
                        return;
                size_t from = i * u->part_bytes;
                char *etag = NULL;
                struct error *e =
                        part_put(u, u->c, i, str_sub(u->memory, from, MIN(from + u->part_bytes, u->memory.n)), &etag);
                mutex_lock(&u->mu);
                u->etags.p[i] = etag;
                if (u->e)
                        error_free(e);
                else
                        u->e = e;
                mutex_unlock(&u->mu);
        }
}

static struct error *upload_memory(struct s3 *s, const struct bucket_call *c, Str name, Str body, bool is_map)
{
        size_t part = (size_t)s->o.part_size_bytes;
        if (body.n <= part || s->o.disable_multipart)
                return put_whole(s, c, name, body, is_map);
        if ((body.n + part - 1) / part > PARTS_MAX)
                part = body.n / PARTS_MAX + 1;
        struct upload u = {.s = s, .c = c, .name = name, .size_bytes = body.n, .memory = body, .is_map = is_map, .part_bytes = part};
        struct error *e = parts_begin(&u);
        if (e)
                return e;
        for (size_t i = 0; i < (body.n + part - 1) / part; i++)
                vec_push(&u.etags, NULL);
        mutex_init(&u.mu);
        struct thread threads[WORKERS - 1] = {0};
        for (size_t i = 0; i < ARRAY_LEN(threads) && i + 1 < u.etags.n; i++)
                error_ignore(thread_start(&threads[i], "s3-part", upload_worker, &u), "this thread does it all, then");
        upload_worker(&u);
        for (size_t i = 0; i < ARRAY_LEN(threads); i++)
                thread_join(&threads[i]);
        mutex_done(&u.mu);
        return parts_end(&u, u.e);
}

/* --- from a stream --- */

/* Reads until the buffer is full or the stream ends. */
static struct error *fill(struct bucket_source *src, const struct bucket_call *c, char *p, size_t n, size_t *ret_n)
{
        size_t at = 0, got = 1;
        struct error *e = NULL;
        while (at < n && got && !e) {
                got = 0;
                e = src->read(src, p + at, n - at, &got);
                at += e ? 0 : got;
                if (!e)
                        e = bucket_call_check(c);
        }
        *ret_n = at;
        return e;
}

static struct error *upload_stream(struct s3 *s, const struct bucket_call *c, Str name, struct bucket_source *src)
{
        size_t part = (size_t)s->o.part_size_bytes, n = 0;
        if (s->o.disable_multipart)
                return error_new(ERROR_UNSUPPORTED, "object size must be provided with disable multipart upload");
        char *p = mem_try_alloc(part); /* pages that are not reached cost nothing */
        if (!p)
                return error_new(ERROR_LIMIT, "no memory for a part of %zu bytes", part);
        struct upload u = {.s = s, .c = c, .name = name};
        struct error *e = fill(src, c, p, part, &n);
        if (e || n < part) {
                if (!e)
                        e = put_whole(s, c, name, (Str){p, n}, false);
                free(p);
                return e;
        }
        e = parts_begin(&u);
        if (e) {
                free(p);
                return e;
        }
        while (n && !e) {
                char *etag = NULL;
                e = u.etags.n == PARTS_MAX ? error_new(ERROR_LIMIT, "more than %d parts of %zu bytes", PARTS_MAX, part)
                                           : part_put(&u, c, u.etags.n, (Str){p, n}, &etag);
                if (e)
                        break;
                vec_push(&u.etags, etag);
                u.size_bytes += n;
                if (n < part)
                        break;
                e = fill(src, c, p, part, &n);
        }
        free(p);
        return parts_end(&u, e);
}

struct error *s3_upload(struct bucket *b, const struct bucket_call *c, Str name, struct bucket_body body)
{
        struct s3 *s = CONTAINER_OF(b, struct s3, b);
        return body.stream ? upload_stream(s, c, name, body.stream) : upload_memory(s, c, name, body.memory, body.path != NULL);
}
