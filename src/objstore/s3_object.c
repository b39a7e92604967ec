/* SPDX-License-Identifier: Apache-2.0 */
/* s3_object.c — listing, reading, asking after and deleting objects. */
#include <stdio.h>

#include "objstore/s3_impl.h"
#include "objstore/s3_list.h"

enum { PAGE_BYTES_MAX = 16 << 20, PAGE_MEMORY_MAX = 128 << 20 };

/* --- listing --- */

struct page {
        bool v1;
        Str prefix;
        struct arena *arena;
        struct s3_list *list;
};

/* Parses, so that a torn page is asked for again. */
static struct error *page_check(const struct s3_request *r, const struct http_response *resp)
{
        const struct page *p = r->arg;
        arena_clear(p->arena);
        return s3_list_parse(buf_str(&resp->body), p->v1, p->prefix, p->arena, p->list);
}

static struct error *page_get(struct s3 *s, const struct bucket_call *c, const struct page *p, Str from, unsigned flags,
                              struct http_response *ret)
{
        struct s3_request r = {.method = "GET", .answer_bytes_max = PAGE_BYTES_MAX, .check = page_check, .arg = p};
        if (!p->v1 && from.n)
                s3_param(&r, STR("continuation-token"), from);
        if (!(flags & BUCKET_RECURSIVE))
                s3_param(&r, STR("delimiter"), STR("/"));
        s3_param(&r, STR("encoding-type"), STR("url"));
        if (!p->v1)
                s3_param(&r, STR("list-type"), STR("2"));
        if (p->v1 && from.n)
                s3_param(&r, STR("marker"), from);
        s3_param(&r, STR("max-keys"), STR("1000"));
        s3_param(&r, STR("prefix"), p->prefix);
        return s3_send(s, c, &r, ret);
}

static struct error *s3_iter(struct bucket *b, const struct bucket_call *c, Str dir, unsigned flags, bucket_each *each,
                             void *arg)
{
        struct s3 *s = CONTAINER_OF(b, struct s3, b);
        struct arena arena;
        struct s3_list list = {.is_truncated = true};
        struct page p = {s->o.list_v1, dir, &arena, &list};
        struct buf from = BUF_INIT(64 << 10);
        struct error *e = NULL;
        arena_init(&arena, PAGE_MEMORY_MAX);
        while (!e && list.is_truncated) {
                struct http_response resp = {0};
                e = page_get(s, c, &p, buf_str(&from), flags, &resp);
                if (e)
                        break;
                for (size_t i = 0; i < list.n && !e; i++) {
                        if (str_eq(list.v[i].name, dir)) /* a placeholder that some tools make for a directory */
                                continue;
                        e = bucket_call_check(c);
                        if (!e)
                                e = each(arg, &list.v[i]);
                }
                if (!e && list.is_truncated && str_eq(list.next, buf_str(&from)))
                        e = error_new(ERROR_CORRUPT, "broken list: it goes on where it was");
                buf_clear(&from);
                buf_put(&from, list.next);
                if (!e && buf_is_over(&from))
                        e = error_new(ERROR_CORRUPT, "broken list: a token of %zu bytes", list.next.n);
                http_response_done(&resp);
        }
        buf_done(&from);
        arena_done(&arena);
        return e;
}

/* --- reading --- */

struct slice {
        uint64_t at, n; /* asked for */
};

/* "bytes 0-9/100" */
static bool content_range(const struct http_response *resp, uint64_t *ret_from, uint64_t *ret_to, uint64_t *ret_total)
{
        Str v = s3_answer_header(resp, STR("Content-Range")), range, total, from, to;
        return str_has_prefix(v, STR("bytes ")) && str_cut(str_skip(v, 6), '/', &range, &total) &&
               str_cut(range, '-', &from, &to) && str_to_u64(str_trim(from), ret_from) &&
               str_to_u64(str_trim(to), ret_to) && str_to_u64(str_trim(total), ret_total);
}

static struct error *slice_check(const struct s3_request *r, const struct http_response *resp)
{
        const struct slice *x = r->arg;
        uint64_t from, to, total;
        if (resp->status == 416)
                return NULL;
        if (resp->status == 200)
                return x->at == 0 && resp->body.n <= x->n
                               ? NULL
                               : error_new(ERROR_UNSUPPORTED, "the store does not know ranges");
        if (resp->status != 206 || !content_range(resp, &from, &to, &total))
                return error_new(ERROR_CORRUPT, "answer to a range without Content-Range (HTTP status %d)",
                                 resp->status);
        if (from != x->at || to < from || to >= total || to - from + 1 != resp->body.n ||
            resp->body.n != MIN(x->n, total - from))
                return error_new(ERROR_CORRUPT, "asked for %llu bytes at %llu, got %zu bytes as %llu-%llu of %llu",
                                 (unsigned long long)x->n, (unsigned long long)x->at, resp->body.n,
                                 (unsigned long long)from, (unsigned long long)to, (unsigned long long)total);
        return NULL;
}

static struct error *slice_get(struct s3 *s, const struct bucket_call *c, Str name, const struct slice *x, Str etag,
                               struct http_response *ret)
{
        char range[64];
        snprintf(range, sizeof range, "bytes=%llu-%llu", (unsigned long long)x->at,
                 (unsigned long long)(x->at + x->n - 1));
        struct s3_request r = {.method = "GET",
                               .key = name,
                               .answer_bytes_max = (size_t)x->n,
                               .takes_416 = true,
                               .check = slice_check,
                               .arg = x};
        s3_header(&r, STR("Range"), str_from(range));
        if (etag.n)
                s3_header(&r, STR("If-Match"), etag);
        struct error *e = s3_send(s, c, &r, ret);
        return error_is(e, ERROR_UNAVAILABLE) && etag.n ? error_wrap(e, "the object changed while it was read") : e;
}

static struct error *s3_read(struct bucket *b, const struct bucket_call *c, Str name, uint64_t at, uint64_t n,
                             struct bucket_sink *sink)
{
        struct s3 *s = CONTAINER_OF(b, struct s3, b);
        struct bucket_attributes unused;
        if (n == 0 || at > INT64_MAX)
                return s3_attributes(b, c, name, &unused);
        struct buf etag = BUF_INIT(1024);
        struct error *e = NULL;
        while (n && !e) {
                struct slice x = {at, MIN(n, s->o.slice_bytes)};
                struct http_response resp = {0};
                e = slice_get(s, c, name, &x, buf_str(&etag), &resp);
                if (e)
                        break;
                uint64_t from, to, total = 0;
                bool is_last =
                        resp.status != 206 || !content_range(&resp, &from, &to, &total) || at + resp.body.n >= total;
                if (!etag.n)
                        buf_put(&etag, s3_answer_header(&resp, STR("ETag")));
                if (resp.status != 416 && resp.body.n)
                        e = sink->write(sink, buf_str(&resp.body));
                at += resp.body.n;
                n -= MIN(n, resp.body.n);
                http_response_done(&resp);
                if (is_last)
                        break;
        }
        buf_done(&etag);
        return e;
}

/* --- the rest --- */

struct error *s3_attributes(struct bucket *b, const struct bucket_call *c, Str name, struct bucket_attributes *ret)
{
        struct s3_request r = {.method = "HEAD", .key = name};
        struct http_response resp = {0};
        struct bucket_attributes a = {0};
        struct error *e = s3_send(CONTAINER_OF(b, struct s3, b), c, &r, &resp);
        if (e)
                return e;
        if (!str_to_u64(s3_answer_header(&resp, STR("Content-Length")), &a.size_bytes))
                e = error_new(ERROR_CORRUPT, "answer without Content-Length");
        else if (!s3_parse_http_date(s3_answer_header(&resp, STR("Last-Modified")), &a.modified_ms))
                e = error_new(ERROR_CORRUPT, "answer without Last-Modified");
        else
                *ret = a;
        http_response_done(&resp);
        return e;
}

static struct error *s3_delete(struct bucket *b, const struct bucket_call *c, Str name)
{
        struct s3_request r = {.method = "DELETE", .key = name};
        struct http_response resp = {0};
        struct error *e = s3_send(CONTAINER_OF(b, struct s3, b), c, &r, &resp);
        if (e && error_is(e, ERROR_NOT_FOUND)) {
                error_free(e);
                return NULL;
        }
        if (!e)
                http_response_done(&resp);
        return e;
}

/* --- life --- */

static void client_make(void *arg)
{
        struct s3 *s = arg;
        error_ignore(http_client_new(s->loop, &s->client), "client stays NULL, which is told");
}

static void client_end(void *arg)
{
        http_client_free(((struct s3 *)arg)->client);
}

static void s3_free(struct bucket *b)
{
        struct s3 *s = CONTAINER_OF(b, struct s3, b);
        if (s->loop)
                loop_call(s->loop, client_end, s);
        loop_free(s->loop);
        arena_done(&s->arena);
        mutex_done(&s->mu);
        cond_done(&s->changed);
        free(s);
}

static const struct bucket_ops s3_ops = {
        .provider = "S3",
        .free = s3_free,
        .iter = s3_iter,
        .read = s3_read,
        .attributes = s3_attributes,
        .upload = s3_upload,
        .delete = s3_delete,
};

static struct error *validate(const struct s3_opts *o)
{
        bool key = o->access_key && *o->access_key, secret = o->secret_key && *o->secret_key;
        if (!o->endpoint || !*o->endpoint)
                return error_new(ERROR_INVALID, "no s3 endpoint in config file");
        if (!key && secret)
                return error_new(ERROR_INVALID, "no s3 access_key specified while secret_key is present in config "
                                                "file; either both should be present in config or "
                                                "envvars/IAM should be used.");
        if (key && !secret)
                return error_new(ERROR_INVALID, "no s3 secret_key specified while access_key is present in config "
                                                "file; either both should be present in config or "
                                                "envvars/IAM should be used.");
        if (!o->bucket || !*o->bucket)
                return error_new(ERROR_INVALID, "no s3 bucket in config file");
        if (o->part_size_bytes && o->part_size_bytes < o->part_bytes_min)
                return error_new(ERROR_INVALID, "s3 part_size is %llu: S3 takes no parts below %llu bytes",
                                 (unsigned long long)o->part_size_bytes, (unsigned long long)o->part_bytes_min);
        if (o->tls.cert_file && *o->tls.cert_file && !(o->tls.key_file && *o->tls.key_file))
                return error_new(ERROR_INVALID, "client cert file \"%s\" specified without client key file",
                                 o->tls.cert_file);
        if (o->tls.key_file && *o->tls.key_file && !(o->tls.cert_file && *o->tls.cert_file))
                return error_new(ERROR_INVALID, "client key file \"%s\" specified without client cert file",
                                 o->tls.key_file);
        return NULL;
}

static const char *keep(struct arena *a, const char *text)
{
        return text && *text ? arena_strdup(a, text) : NULL;
}

static bool is_text(Str s)
{
        for (size_t i = 0; i < s.n; i++)
                if ((uint8_t)s.p[i] < ' ' || s.p[i] == 127)
                        return false;
        return true;
}

/* x-amz-meta- in front, unless the store knows the header itself. */
static struct error *keep_metadata(struct arena *a, struct s3_opts *o)
{
        static const Str own[] = {STR_INIT("x-amz-"),           STR_INIT("content-type"),
                                  STR_INIT("content-encoding"), STR_INIT("content-disposition"),
                                  STR_INIT("content-language"), STR_INIT("cache-control"),
                                  STR_INIT("expires")};
        if (o->n_metadata + 8 > S3_HEADERS_MAX)
                return error_new(ERROR_LIMIT, "s3 put_user_metadata has more than %d keys", S3_HEADERS_MAX - 8);
        struct http_header *h = arena_array(a, struct http_header, o->n_metadata + 1);
        for (size_t i = 0; i < o->n_metadata; i++) {
                Str name = o->metadata[i].name;
                bool is_own = false;
                for (size_t k = 0; k < ARRAY_LEN(own) && !is_own; k++)
                        is_own = k ? str_eq_nocase(name, own[k])
                                   : name.n >= own[0].n && str_eq_nocase(str_sub(name, 0, own[0].n), own[0]);
                if (!name.n || !is_text(name) || str_find(name, ':') >= 0 || str_find(name, ' ') >= 0 ||
                    !is_text(o->metadata[i].value))
                        return error_new(ERROR_INVALID, "s3 put_user_metadata: \"" STR_FMT "\" cannot be a header",
                                         STR_ARG(name));
                h[i].name = is_own ? arena_str(a, name) : arena_printf(a, "X-Amz-Meta-" STR_FMT, STR_ARG(name));
                h[i].value = arena_str(a, o->metadata[i].value);
        }
        o->metadata = h;
        return NULL;
}

static void fill_in(struct arena *a, struct s3_opts *o)
{
        o->bucket = keep(a, o->bucket);
        o->endpoint = keep(a, o->endpoint);
        o->region = keep(a, o->region);
        o->tls.ca_file = keep(a, o->tls.ca_file);
        o->tls.cert_file = keep(a, o->tls.cert_file);
        o->tls.key_file = keep(a, o->tls.key_file);
        o->tls.server_name = keep(a, o->tls.server_name);
        o->access_key = o->secret_key = o->session_token = NULL; /* s3_find_key kept them */
        o->part_size_bytes = o->part_size_bytes ? o->part_size_bytes : 64 << 20;
        o->max_tries = o->max_tries > 0 ? o->max_tries : 10;
        o->retry_ms = o->retry_ms ? o->retry_ms : 200;
        o->slice_bytes = o->slice_bytes ? o->slice_bytes : 16 << 20;
        o->response_header_timeout_ms = o->response_header_timeout_ms ? o->response_header_timeout_ms : 120000;
}

struct error *s3_bucket_new(const struct s3_opts *o, struct bucket **ret)
{
        struct s3_opts mine = *o;
        mine.part_bytes_min = o->part_bytes_min ? o->part_bytes_min : 5 << 20;
        struct error *e = validate(&mine);
        if (e)
                return e;
        struct s3 *s = mem_new(struct s3);
        arena_init(&s->arena, 1 << 20);
        mutex_init(&s->mu);
        cond_init(&s->changed);
        rand_system(&s->jitter.s, sizeof s->jitter.s);
        s->b = (struct bucket){&s3_ops, mem_strdup(mine.bucket)};
        e = s3_find_key(&mine, &s->arena, &s->key);
        fill_in(&s->arena, &mine);
        if (!e)
                e = keep_metadata(&s->arena, &mine);
        s->o = mine;
        /* S3 speaks HTTP/1.1; redirects would need another signature. */
        s->http = (struct http_client_conf){
                .tls = mine.tls, .no_follow_redirects = true, .no_http2 = true, .proxy_from_environment = true};
        if (!e)
                e = s3_find_endpoint(s);
        if (!e)
                e = loop_new("s3", &s->loop);
        if (!e) {
                loop_call(s->loop, client_make, s);
                if (!s->client)
                        e = error_new(ERROR_INTERNAL, "initialize s3 client: no HTTP client");
        }
        if (e)
                bucket_free(&s->b);
        else
                *ret = &s->b;
        return e;
}
