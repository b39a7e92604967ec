/* SPDX-License-Identifier: Apache-2.0 */
#include "objstore/s3_fake.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/test.h"
#include "objstore/bucket_impl.h"
#include "objstore/sigv4.h"

#define ACCESS "AKFAKE"
#define SECRET "fake/secret+key"

static void wrong(struct s3_fake *f, struct error *take_e)
{
        mutex_lock(&f->mu);
        if (f->e)
                error_free(take_e);
        else
                f->e = take_e;
        mutex_unlock(&f->mu);
}

static void reply_error(struct http_request *r, int status, const char *code, const char *more)
{
        http_replyf(r, status, "application/xml",
                    "<?xml version=\"1.0\"?>\n<Error><Code>%s</Code><Message>Said &amp; done.</Message>%s</Error>",
                    code, more);
}

/* --- signatures --- */

static Str between(Str s, Str from, char to)
{
        ptrdiff_t at = str_find_str(s, from);
        Str rest = at < 0 ? STR("") : str_skip(s, (size_t)at + from.n), head, tail;
        return str_cut(rest, to, &head, &tail) ? head : rest;
}

/* False: answered. */
static bool check_signature(struct s3_fake *f, struct http_request *r)
{
        Str authorization = http_request_header(r, STR("Authorization")),
            names = between(authorization, STR("SignedHeaders="), ','), name;
        Str scope = between(authorization, STR("Credential="), ','), part, region = STR(""),
            hash = http_request_header(r, STR("X-Amz-Content-Sha256"));
        for (int i = 0; str_next(&scope, '/', &part); i++)
                region = i == 2 ? part : region;
        struct http_header h[32];
        size_t n = 0;
        while (n < 32 && str_next(&names, ';', &name))
                h[n++] = (struct http_header){name, http_request_header(r, name)};
        Str path = r->target, query = STR("");
        str_cut(r->target, '?', &path, &query);
        char date[17], own[65];
        TimeMs now = time_now_ms(), at = now + 5000;
        do { /* the second that the client signed */
                at -= 1000;
                sigv4_date(at, date);
        } while (!str_eq(str_from(date), http_request_header(r, STR("X-Amz-Date"))) && at > now - 20000);
        struct buf want = BUF_INIT(4096);
        sigv4_sign(&(struct sigv4_key){STR(ACCESS), STR(SECRET), region},
                   &(struct sigv4_request){r->method_text.n < 8 ? arena_str(r->arena, r->method_text).p : "", path,
                                           query, h, n, hash, at},
                   &want);
        bool good = str_eq(authorization, buf_str(&want));
        buf_done(&want);
        sha256_hex(r->body, own);
        if (good && !str_eq(hash, str_from(own)))
                wrong(f, error_new(ERROR_INVALID, "hash of the body is " STR_FMT, STR_ARG(hash)));
        if (!good) {
                reply_error(r, 403, "SignatureDoesNotMatch", "");
                return false;
        }
        mutex_lock(&f->mu);
        bool here = str_eq(region, str_from(f->region));
        char told[64];
        memcpy(told, f->region, sizeof told);
        mutex_unlock(&f->mu);
        if (here || str_eq(query, STR("location=")))
                return true;
        http_set_header(r, "X-Amz-Bucket-Region", str_from(told));
        http_reply(r, 301, "application/xml", STR("<Error><Code>PermanentRedirect</Code><Message>m</Message></Error>"));
        return false;
}

/* --- listing --- */

struct listing {
        struct s3_fake *f;
        struct buf out;
        Str after;
        int n;
        bool is_cut;
        char last[BUCKET_NAME_MAX + 1];
};

static void put_time(struct buf *b, const char *format, TimeMs at)
{
        char text[64];
        time_t t = (time_t)(at / 1000);
        struct tm tm;
        gmtime_r(&t, &tm);
        strftime(text, sizeof text, format, &tm);
        buf_puts(b, text);
}

static void set_last_modified(struct s3_fake *f, struct http_request *r, Str key)
{
        struct bucket_attributes a = {0};
        struct buf b = BUF_INIT(100);
        error_free(bucket_get_attributes(f->store, NULL, key, &a));
        put_time(&b, "%a, %d %b %Y %H:%M:%S GMT", a.modified_ms);
        http_set_header(r, "Last-Modified", buf_str(&b));
        buf_done(&b);
}

static void put_url(struct buf *b, Str s)
{
        sigv4_escape(b, s, true);
}

static struct error *list_one(void *arg, const struct bucket_entry *entry)
{
        struct listing *l = arg;
        if (l->after.n && str_cmp(entry->name, l->after) <= 0)
                return NULL;
        if (l->n == l->f->page_max) {
                l->is_cut = true;
                return NULL;
        }
        if (l->is_cut)
                return NULL;
        l->n++;
        snprintf(l->last, sizeof l->last, STR_FMT, STR_ARG(entry->name));
        buf_puts(&l->out, entry->is_dir ? "<CommonPrefixes><Prefix>" : "<Contents><Key>");
        put_url(&l->out, entry->name);
        if (entry->is_dir)
                buf_puts(&l->out, "</Prefix></CommonPrefixes>");
        else {
                buf_puts(&l->out, "</Key><LastModified>");
                put_time(&l->out, "%Y-%m-%dT%H:%M:%S.678Z", entry->modified_ms);
                buf_printf(&l->out, "</LastModified><Size>%llu</Size></Contents>",
                           (unsigned long long)entry->size_bytes);
        }
        return NULL;
}

static void serve_list(struct s3_fake *f, struct http_request *r, const struct http_form *form)
{
        bool v1 = !http_form_has(form, STR("list-type")), flat = !http_form_has(form, STR("delimiter"));
        struct listing l = {.f = f,
                            .out = BUF_INIT(64 << 20),
                            .after = http_form_get(form, v1 ? STR("marker") : STR("continuation-token"))};
        buf_puts(&l.out, "<?xml version=\"1.0\"?><ListBucketResult "
                         "xmlns=\"http://x/\"><Name>b</Name><EncodingType>url</EncodingType>");
        Str prefix = http_form_get(form, STR("prefix"));
        error_free(bucket_iter(f->store, NULL, prefix, flat ? BUCKET_RECURSIVE : 0, list_one, &l));
        buf_printf(&l.out, "<IsTruncated>%s</IsTruncated>", l.is_cut ? "true" : "false");
        if (l.is_cut && !v1) {
                struct buf next = BUF_INIT(4096);
                for (const char *p = l.last; *p; p++)
                        buf_printf(&next, "&#x%02x;", (unsigned)(uint8_t)*p);
                /* bytes as code points would not be UTF-8: only ASCII names are paged in tests with odd ones */
                buf_printf(&l.out, "<NextContinuationToken>%s</NextContinuationToken>", buf_cstr(&next));
                buf_done(&next);
        } else if (l.is_cut && !flat) {
                buf_puts(&l.out, "<NextMarker>");
                put_url(&l.out, str_from(l.last));
                buf_puts(&l.out, "</NextMarker>");
        }
        buf_puts(&l.out, "</ListBucketResult>");
        http_reply(r, 200, "application/xml", buf_str(&l.out));
        buf_done(&l.out);
}

/* --- objects --- */

static void etag_of(Str body, char ret[32])
{
        snprintf(ret, 32, "\"%016llx\"", (unsigned long long)hash_str(body));
}

static void serve_get(struct s3_fake *f, struct http_request *r, Str key, enum s3_fault fault)
{
        struct buf body = BUF_INIT(256 << 20);
        struct error *e = bucket_get(f->store, NULL, key, &body);
        char etag[32], range[128];
        if (e) {
                error_free(e);
                reply_error(r, 404, "NoSuchKey", "");
                buf_done(&body);
                return;
        }
        etag_of(buf_str(&body), etag);
        http_set_header(r, "ETag", str_from(etag));
        set_last_modified(f, r, key);
        Str match = http_request_header(r, STR("If-Match")), asked = http_request_header(r, STR("Range")), from_text,
            to_text;
        uint64_t from = 0, to = 0;
        if (match.n && !str_eq(match, str_from(etag))) {
                reply_error(r, 412, "PreconditionFailed", "");
        } else if (!asked.n) {
                http_reply(r, 200, "application/octet-stream", buf_str(&body));
        } else if (!str_cut(str_trim_prefix(asked, STR("bytes=")), '-', &from_text, &to_text) ||
                   !str_to_u64(from_text, &from) || !str_to_u64(to_text, &to) || to < from) {
                wrong(f, error_new(ERROR_INVALID, "range " STR_FMT, STR_ARG(asked)));
        } else if (from >= body.n) {
                reply_error(r, 416, "InvalidRange", "");
        } else {
                to = MIN(to + 1, body.n);
                snprintf(range, sizeof range, "bytes %llu-%llu/%zu",
                         (unsigned long long)(from + (fault == FAULT_WRONG_RANGE)), (unsigned long long)to - 1, body.n);
                http_set_header(r, "Content-Range", str_from(range));
                http_reply(r, 206, "application/octet-stream", str_sub(buf_str(&body), from, to));
        }
        buf_done(&body);
}

static void serve_head(struct s3_fake *f, struct http_request *r, Str key)
{
        struct buf body = BUF_INIT(256 << 20);
        struct error *e = bucket_get(f->store, NULL, key, &body);
        set_last_modified(f, r, key);
        http_reply(r, e ? 404 : 200, "application/octet-stream", e ? STR("") : buf_str(&body));
        error_free(e);
        buf_done(&body);
}

static int upload_find(struct s3_fake *f, const struct http_form *form, Str key)
{
        uint64_t id;
        if (!str_to_u64(str_trim_prefix(http_form_get(form, STR("uploadId")), STR("u&")), &id) || id >= 16 ||
            !f->uploads[id].is_open || !str_eq(str_from(f->uploads[id].key), key))
                return -1;
        return (int)id;
}

static void upload_clear(struct s3_fake *f, int id)
{
        f->uploads[id].is_open = false;
        for (int i = 0; i < 32; i++)
                buf_done(&f->uploads[id].parts[i]);
}

static void serve_upload(struct s3_fake *f, struct http_request *r, Str key, const struct http_form *form)
{
        mutex_lock(&f->mu);
        if (http_form_has(form, STR("uploads"))) {
                int id = 0;
                while (id < 15 && f->uploads[id].is_open)
                        id++;
                f->uploads[id].is_open = true;
                snprintf(f->uploads[id].key, sizeof f->uploads[id].key, STR_FMT, STR_ARG(key));
                mutex_unlock(&f->mu);
                http_replyf(
                        r, 200, "application/xml",
                        "<InitiateMultipartUploadResult><UploadId>u&amp;%d</UploadId></InitiateMultipartUploadResult>",
                        id);
                return;
        }
        int id = upload_find(f, form, key);
        uint64_t part = 0;
        if (id < 0) {
                mutex_unlock(&f->mu);
                reply_error(r, 404, "NoSuchUpload", "");
                return;
        }
        if (r->method == HTTP_PUT && str_to_u64(http_form_get(form, STR("partNumber")), &part) && part >= 1 &&
            part <= 32) {
                char etag[32];
                struct buf *b = &f->uploads[id].parts[part - 1];
                buf_done(b);
                buf_init(b, 64 << 20);
                buf_put(b, r->body);
                etag_of(r->body, etag);
                http_set_header(r, "ETag", str_from(etag));
                http_reply(r, 200, "", STR(""));
        } else if (r->method == HTTP_DELETE) {
                upload_clear(f, id);
                http_reply(r, 204, "", STR(""));
        } else if (r->method == HTTP_POST) {
                struct buf all = BUF_INIT(256 << 20);
                for (int i = 0; i < 32; i++)
                        buf_put(&all, buf_str(&f->uploads[id].parts[i]));
                error_free(bucket_upload(f->store, NULL, key, buf_str(&all)));
                buf_done(&all);
                upload_clear(f, id);
                http_reply(r, 200, "application/xml",
                           STR("\n  <CompleteMultipartUploadResult><ETag>x</ETag></CompleteMultipartUploadResult>"));
        }
        mutex_unlock(&f->mu);
}

static void serve(struct s3_fake *f, struct http_request *r, enum s3_fault fault)
{
        struct http_form form;
        struct error *e = http_request_form(r, &form);
        if (e) {
                wrong(f, e);
                return;
        }
        Str key = str_trim_prefix(r->path, STR("/test-bucket/"));
        char etag[32];
        if (key.n == r->path.n)
                reply_error(r, 404, "NoSuchBucket", "");
        else if (http_form_has(&form, STR("location")))
                http_replyf(r, 200, "application/xml",
                            "<LocationConstraint xmlns=\"http://x/\">%s</LocationConstraint>", f->region);
        else if (key.n == 0)
                serve_list(f, r, &form);
        else if (http_form_has(&form, STR("uploads")) || http_form_has(&form, STR("uploadId")))
                serve_upload(f, r, key, &form);
        else if (r->method == HTTP_GET)
                serve_get(f, r, key, fault);
        else if (r->method == HTTP_HEAD)
                serve_head(f, r, key);
        else if (r->method == HTTP_PUT) {
                error_free(bucket_upload(f->store, NULL, key, r->body));
                etag_of(r->body, etag);
                http_set_header(r, "ETag", str_from(etag));
                http_reply(r, 200, "", STR(""));
        } else {
                error_free(bucket_delete(f->store, NULL, key));
                http_reply(r, 204, "", STR(""));
        }
}

static void hang(struct s3_fake *f, struct http_request *r)
{
        for (bool released = false; !released && !http_request_gone(r);) {
                usleep(5000);
                mutex_lock(&f->mu);
                released = f->released;
                mutex_unlock(&f->mu);
        }
        http_abort(r);
}

static void handle(struct http_request *r, void *ctx)
{
        struct s3_fake *f = ctx;
        mutex_lock(&f->mu);
        f->requests++;
        snprintf(f->last, sizeof f->last, STR_FMT " " STR_FMT, STR_ARG(r->method_text), STR_ARG(r->target));
        enum s3_fault fault = f->at_fault < f->n_faults ? f->faults[f->at_fault++] : FAULT_NONE;
        if (f->repeats_faults && f->at_fault == f->n_faults)
                f->at_fault = 0;
        mutex_unlock(&f->mu);
        switch (fault) {
        case FAULT_500:
                reply_error(r, 500, "InternalError", "");
                return;
        case FAULT_503_SLOW_DOWN:
                reply_error(r, 503, "SlowDown", "");
                return;
        case FAULT_429_BARE:
                http_reply(r, 429, "", STR(""));
                return;
        case FAULT_DENIED:
                reply_error(r, 403, "AccessDenied", "");
                return;
        case FAULT_WANTS_MD5:
                if (!r->body.n || http_request_header(r, STR("Content-MD5")).n)
                        break;
                http_reply(r, 400, "application/xml",
                           STR("<Error><Code>InvalidRequest</Code><Message>Content-MD5 OR x-amz-checksum- HTTP header is required for "
                               "Put Object requests with Object Lock parameters</Message></Error>"));
                return;
        case FAULT_REDIRECT:
                http_set_header(r, "Location", STR("http://127.0.0.1:1/elsewhere"));
                http_reply(r, 307, "", STR(""));
                return;
        case FAULT_CUT:
                http_abort(r);
                return;
        case FAULT_TORN:
                http_set_header(r, "Content-Range", STR("bytes 0-999999/1000000"));
                http_begin(r, r->method == HTTP_GET ? 206 : 500, "application/xml");
                error_ignore(http_write(r, STR("<ListBucketResult><Contents><Key>a")), "the client may be gone");
                error_ignore(http_flush(r), "the client may be gone");
                http_abort(r);
                return;
        case FAULT_GARBAGE:
                http_reply(r, r->method == HTTP_GET ? 200 : 502, "text/html",
                           STR("<html><body>It works!<br></body></html>"));
                return;
        case FAULT_COMPLETE_ERROR:
                reply_error(r, 200, "InternalError", "");
                return;
        case FAULT_HANG:
                hang(f, r);
                return;
        default:
                break;
        }
        if (!check_signature(f, r))
                return;
        serve(f, r, fault);
        if (fault == FAULT_LOST_ANSWER)
                http_abort(r);
}

/* --- for tests --- */

void s3_fake_start(struct s3_fake *f)
{
        *f = (struct s3_fake){.store = memory_bucket_new(), .page_max = 1000, .region = "us-east-1"};
        mutex_init(&f->mu);
        CHECK_OK(http_server_new(&(struct http_server_opts){.name = "s3", .loops = 1, .body_bytes_max = 64 << 20},
                                 &f->server));
        http_server_fallback(f->server, handle, f);
        CHECK_OK(http_server_listen(f->server, "127.0.0.1:0"));
        CHECK_OK(http_server_start(f->server));
}

void s3_fake_stop(struct s3_fake *f)
{
        s3_fake_release(f);
        http_server_stop(f->server, 1000);
        http_server_free(f->server);
        bucket_free(f->store);
        for (int i = 0; i < 16; i++)
                upload_clear(f, i);
        struct error *e = f->e;
        mutex_done(&f->mu);
        CHECK_OK(e);
}

void s3_fake_script(struct s3_fake *f, bool repeats, size_t n, const enum s3_fault *faults)
{
        mutex_lock(&f->mu);
        memcpy(f->faults, faults, n * sizeof *faults);
        f->n_faults = n;
        f->at_fault = 0;
        f->repeats_faults = repeats;
        mutex_unlock(&f->mu);
}

void s3_fake_release(struct s3_fake *f)
{
        mutex_lock(&f->mu);
        f->released = true;
        mutex_unlock(&f->mu);
}

int s3_fake_requests(struct s3_fake *f)
{
        mutex_lock(&f->mu);
        int n = f->requests;
        f->requests = 0;
        mutex_unlock(&f->mu);
        return n;
}

int s3_fake_open_uploads(struct s3_fake *f)
{
        int n = 0;
        mutex_lock(&f->mu);
        for (int i = 0; i < 16; i++)
                n += f->uploads[i].is_open;
        mutex_unlock(&f->mu);
        return n;
}

struct s3_opts s3_fake_opts(struct s3_fake *f, char endpoint[64])
{
        snprintf(endpoint, 64, "127.0.0.1:%d", http_server_port(f->server, 0));
        return (struct s3_opts){.bucket = "test-bucket",
                                .endpoint = endpoint,
                                .region = "us-east-1",
                                .access_key = ACCESS,
                                .secret_key = SECRET,
                                .insecure = true,
                                .retry_ms = 1,
                                .part_bytes_min = 1,
                                .part_size_bytes = 300000,
                                .slice_bytes = 100000};
}
