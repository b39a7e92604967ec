/* SPDX-License-Identifier: Apache-2.0 */
/* s3_request.c — one request until it is answered: signed anew for each try, sent on the bucket's loop, waited for by
 * the caller's thread.
 *
 *   s3_send → region known? → (slot) → try ─ good ──────────────────────→ answer
 *                                       ├─ another region → once more, at once
 *                                       ├─ transient ────→ wait with jitter, again
 *                                       └─ refusal ──────→ error
 */
#include <openssl/evp.h>
#include <stdio.h>

#include "base/log.h"
#include "codec/base64.h"
#include "io/loop.h"
#include "objstore/s3_impl.h"
#include "objstore/xml.h"

enum { POLL_MS = 20, REGION_CHANGES_MAX = 2, ANSWER_BYTES_MIN = 1 << 20 };

Str s3_answer_header(const struct http_response *r, Str name)
{
        for (size_t i = 0; i < r->n_headers; i++)
                if (str_eq_nocase(r->headers[i].name, name))
                        return r->headers[i].value;
        return STR("");
}

/* --- waiting --- */

/* Until *done, or the call is over. cancel is polled: it is a plain flag. */
static struct error *wait_locked(const struct bucket_call *c, struct cond *changed, struct mutex *mu, const bool *done)
{
        struct error *e = NULL;
        while (!*done && !(e = bucket_call_check(c))) {
                int64_t ms = c->cancel ? POLL_MS : INT64_MAX, left = c->deadline_ms - time_mono_ms() + 1;
                if (c->deadline_ms && left < ms)
                        ms = MAX(left, 1);
                if (ms == INT64_MAX)
                        cond_wait(changed, mu);
                else
                        cond_wait_ms(changed, mu, ms);
        }
        return e;
}

static struct error *slot_take(struct s3 *s, const struct bucket_call *c)
{
        struct error *e = NULL;
        mutex_lock(&s->mu);
        while (s->o.connections_max > 0 && s->active >= s->o.connections_max && !e) {
                cond_wait_ms(&s->changed, &s->mu, POLL_MS);
                e = bucket_call_check(c);
        }
        if (!e)
                s->active++;
        mutex_unlock(&s->mu);
        return e;
}

static void slot_give(struct s3 *s)
{
        mutex_lock(&s->mu);
        s->active--;
        cond_signal(&s->changed);
        mutex_unlock(&s->mu);
}

/* --- one exchange --- */

struct exchange {
        struct http_call call;
        struct s3 *s;
        struct http_client_request req;
        struct mutex mu;
        struct cond changed;
        bool done; /* under mu, with e */
        struct error *e;
};

static void exchange_done(struct http_call *call, struct error *take_e, struct http_response *resp)
{
        struct exchange *x = CONTAINER_OF(call, struct exchange, call);
        (void)resp;
        mutex_lock(&x->mu);
        x->e = take_e;
        x->done = true;
        cond_signal(&x->changed);
        mutex_unlock(&x->mu);
}

static void exchange_start(void *arg)
{
        struct exchange *x = arg;
        http_client_send(x->s->client, &x->s->http, &x->req, &x->call);
}

static void exchange_cancel(void *arg)
{
        struct exchange *x = arg;
        http_client_cancel(x->s->client, &x->call);
}

static struct error *exchange(struct s3 *s, const struct bucket_call *c, const struct http_client_request *req,
                              struct http_response *ret)
{
        struct exchange x = {.call.done = exchange_done, .s = s, .req = *req};
        mutex_init(&x.mu);
        cond_init(&x.changed);
        loop_post(s->loop, exchange_start, &x);
        mutex_lock(&x.mu);
        struct error *e = wait_locked(c, &x.changed, &x.mu, &x.done);
        mutex_unlock(&x.mu);
        if (e) {
                loop_call(s->loop, exchange_cancel, &x);
                error_free(x.e);
        } else {
                e = x.e;
        }
        if (e)
                http_response_done(&x.call.response);
        else
                *ret = x.call.response;
        cond_done(&x.changed);
        mutex_done(&x.mu);
        return e;
}

/* --- one try --- */

struct body_hash {
        char sha256[65], md5[32];
};

static void hash_body(const struct s3 *s, const struct s3_request *r, struct body_hash *ret)
{
        bool with_md5 = s->o.content_md5 == S3_MD5_ALWAYS || (s->o.content_md5 == S3_MD5_WHEN_ASKED && __atomic_load_n(&s->asks_md5, __ATOMIC_RELAXED));
        strcpy(ret->sha256, SIGV4_UNSIGNED);
        ret->md5[0] = 0;
        if (s->o.insecure || s->o.content_md5 == S3_MD5_WHEN_ASKED || !r->body.n)
                (r->body_is_map ? sha256_hex_of_map : sha256_hex)(r->body, ret->sha256);
        if (!r->body.n || !with_md5)
                return;
        uint8_t hash[16];
        if (!EVP_Digest(r->body.p, r->body.n, hash, NULL, EVP_md5(), NULL))
                return; /* a FIPS library has none: the header is not a must */
        struct buf b = BUF_INIT(sizeof ret->md5);
        buf_put_base64(&b, (Str){(const char *)hash, sizeof hash});
        memcpy(ret->md5, buf_cstr(&b), b.n + 1);
        buf_done(&b);
}

static void put_query(const struct s3_request *r, struct buf *b)
{
        for (size_t i = 0; i < r->n_params; i++) {
                if (i)
                        buf_putc(b, '&');
                sigv4_escape(b, r->params[i].name, false);
                buf_putc(b, '=');
                sigv4_escape(b, r->params[i].value, false);
        }
}

static struct error *try_once(struct s3 *s, const struct bucket_call *c, const struct s3_request *r,
                              const struct body_hash *hash, const char *region, struct http_response *ret)
{
        struct buf host = BUF_INIT(BUF_NO_LIMIT), path = BUF_INIT(BUF_NO_LIMIT), query = BUF_INIT(BUF_NO_LIMIT),
                   url = BUF_INIT(BUF_NO_LIMIT), authorization = BUF_INIT(BUF_NO_LIMIT);
        struct http_header h[S3_HEADERS_MAX + 8];
        size_t n = 0;
        char date[17];
        TimeMs now = time_now_ms();
        s3_put_target(s, region, r->key, &host, &path);
        put_query(r, &query);
        sigv4_date(now, date);
        h[n++] = (struct http_header){STR("Host"), buf_str(&host)};
        h[n++] = (struct http_header){STR("X-Amz-Content-Sha256"), str_from(hash->sha256)};
        h[n++] = (struct http_header){STR("X-Amz-Date"), str_from(date)};
        if (s->key.session_token)
                h[n++] = (struct http_header){STR("X-Amz-Security-Token"), str_from(s->key.session_token)};
        if (hash->md5[0])
                h[n++] = (struct http_header){STR("Content-MD5"), str_from(hash->md5)};
        for (size_t i = 0; i < r->n_headers; i++)
                h[n++] = r->headers[i];
        sigv4_sign(
                &(struct sigv4_key){str_from(s->key.access_key), str_from(s->key.secret_key), str_from(region)},
                &(struct sigv4_request){r->method, buf_str(&path), buf_str(&query), h, n, str_from(hash->sha256), now},
                &authorization);
        h[n++] = (struct http_header){STR("Authorization"), buf_str(&authorization)};
        h[n++] = (struct http_header){STR("User-Agent"), STR("coeus/" COEUS_VERSION)};
        if (strcmp(r->method, "PUT") == 0 && !r->body.n)
                h[n++] = (struct http_header){STR("Content-Length"), STR("0")}; /* libcurl leaves it out */
        buf_printf(&url, "%s://" STR_FMT STR_FMT, s->o.insecure ? "http" : "https", STR_ARG(buf_str(&host)),
                   STR_ARG(buf_str(&path)));
        if (query.n)
                buf_printf(&url, "?" STR_FMT, STR_ARG(buf_str(&query)));
        struct http_client_request req = {
                .url = buf_cstr(&url),
                .method = r->method,
                .headers = h,
                .n_headers = n,
                .body = r->body,
                .body_is_map = r->body_is_map,
                .stall_ms = s->o.response_header_timeout_ms,
                .body_bytes_max = MAX(r->answer_bytes_max, (size_t)ANSWER_BYTES_MIN),
        };
        int64_t begin = time_mono_ms();
        struct error *e = exchange(s, c, &req, ret);
        if (s->o.trace)
                log_debug("objstore", "s3 request", KV_S("method", r->method), KV_S("url", req.url),
                          KV_I("status", e ? 0 : ret->status), KV_MS("duration", time_mono_ms() - begin), KV_E(e));
        buf_done(&host);
        buf_done(&path);
        buf_done(&query);
        buf_done(&url);
        buf_done(&authorization);
        return e;
}

/* --- regions --- */

static void region_set(struct s3 *s, const char *region)
{
        mutex_lock(&s->mu);
        snprintf(s->region, sizeof s->region, "%s", region);
        mutex_unlock(&s->mu);
}

static void region_get(struct s3 *s, char ret[64])
{
        mutex_lock(&s->mu);
        memcpy(ret, s->region, 64);
        mutex_unlock(&s->mu);
}

static bool is_region(Str s)
{
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];
                if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
                        return false;
        }
        return s.n > 0 && s.n < 64;
}

/* The store says that the bucket lives elsewhere. */
static bool is_elsewhere(const struct http_response *resp, const struct s3_error *x, char region[64])
{
        char told[64];
        Str header = s3_answer_header(resp, STR("X-Amz-Bucket-Region"));
        snprintf(told, sizeof told, "%.*s", (int)MIN(header.n, sizeof told - 1), header.p ? header.p : "");
        if (!told[0])
                memcpy(told, x->region, sizeof told);
        bool is_about_it =
                resp->status == 301 || resp->status == 307 || (resp->status == 400 && header.n && !x->code[0]) ||
                strcmp(x->code, "AuthorizationHeaderMalformed") == 0 || strcmp(x->code, "InvalidRegion") == 0;
        if (!is_about_it || !is_region(str_from(told)) || strcmp(told, region) == 0)
                return false;
        memcpy(region, told, sizeof told);
        return true;
}

/* Only what a new try may mend: not certificates, not sizes. */
static bool is_transient_error(const struct error *e)
{
        bool kind = error_is(e, ERROR_IO) || error_is(e, ERROR_TIMEOUT) || error_is(e, ERROR_CORRUPT);
        return kind && !strstr(error_str(e), "x509:") && !strstr(error_str(e), "tls:") &&
               !strstr(error_str(e), "HTTP response to HTTPS");
}

/* Full jitter: between nothing and the doubled time of the last one. */
static struct error *backoff(struct s3 *s, const struct bucket_call *c, int tries)
{
        int64_t most = tries > 3 ? s->o.retry_ms * 5 : s->o.retry_ms << (tries - 1);
        mutex_lock(&s->mu);
        int64_t until = time_mono_ms() + (int64_t)rand_below(&s->jitter, (uint64_t)most + 1);
        mutex_unlock(&s->mu);
        struct mutex mu = MUTEX_INIT;
        struct cond never;
        struct error *e = NULL;
        cond_init(&never);
        mutex_lock(&mu);
        for (int64_t left; !e && (left = until - time_mono_ms()) > 0;) {
                cond_wait_ms(&never, &mu, MIN(left, POLL_MS));
                e = bucket_call_check(c);
        }
        mutex_unlock(&mu);
        cond_done(&never);
        mutex_done(&mu);
        return e;
}

/* "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters", "Missing required header for this request:
 * Content-MD5". */
static bool wants_md5(struct s3 *s, const struct s3_request *r, const struct http_response *resp, const struct s3_error *x)
{
        if (resp->status != 400 || !r->body.n || !strstr(x->message, "Content-MD5") || s->o.content_md5 != S3_MD5_WHEN_ASKED)
                return false;
        return !__atomic_exchange_n(&s->asks_md5, true, __ATOMIC_RELAXED);
}

/* NULL: good. *ret_moved: another try at once may do: the region changed, or the body needs another header. */
static struct error *judge(struct s3 *s, const struct s3_request *r, const struct http_response *resp, char region[64],
                           bool *ret_moved)
{
        if (resp->status / 100 == 2 || (resp->status == 416 && r->takes_416))
                return r->check ? r->check(r, resp) : NULL;
        struct s3_error x;
        s3_error_parse(buf_str(&resp->body), &x);
        *ret_moved = is_elsewhere(resp, &x, region) || wants_md5(s, r, resp, &x);
        return s3_error_of(r, resp, &x);
}

static struct error *send_in(struct s3 *s, const struct bucket_call *c, struct s3_request *r, char region[64],
                             struct http_response *ret)
{
        struct body_hash hash;
        int moves = 0;
        hash_body(s, r, &hash);
        r->tries = 0;
        for (;;) {
                struct http_response resp = {0};
                bool moved = false;
                r->tries++;
                struct error *e = try_once(s, c, r, &hash, region, &resp);
                bool again = is_transient_error(e);
                if (!e) {
                        e = judge(s, r, &resp, region, &moved);
                        again = is_transient_error(e);
                        if (!e) {
                                *ret = resp;
                                return NULL;
                        }
                        http_response_done(&resp);
                }
                if (moved && moves++ < REGION_CHANGES_MAX) {
                        region_set(s, region);
                        hash_body(s, r, &hash);
                        error_ignore(e, "the next try goes to the region it named, or has Content-MD5");
                        continue;
                }
                struct error *over = bucket_call_check(c);
                if (!over && again && r->tries < s->o.max_tries)
                        over = backoff(s, c, r->tries);
                else if (!over)
                        return r->tries > 1 ? error_wrap(e, "gave up after %d tries", r->tries) : e;
                if (over) { /* says why it ended, then what went wrong before */
                        if (error_get_kind(e) == error_get_kind(over)) {
                                error_free(over);
                                return e;
                        }
                        return error_join(over, error_wrap(e, "last try"));
                }
                error_ignore(e, "tried again");
        }
}

static struct error *location_check(const struct s3_request *r, const struct http_response *resp)
{
        struct arena a;
        Str unused;
        arena_init(&a, 1 << 20);
        struct error *e = xml_child(buf_str(&resp->body), &a, STR("LocationConstraint"), STR(""), &unused);
        (void)r;
        arena_done(&a);
        return e;
}

/* GET /?location, which every region answers when it is signed for us-east-1. */
static struct error *region_ask(struct s3 *s, const struct bucket_call *c, char region[64])
{
        struct s3_request r = {.method = "GET", .check = location_check};
        struct http_response resp = {0};
        s3_param(&r, STR("location"), STR(""));
        strcpy(region, "us-east-1");
        struct error *e = send_in(s, c, &r, region, &resp);
        if (error_is(e, ERROR_DENIED) ||
            error_is(e, ERROR_UNSUPPORTED)) { /* a key may not be allowed to ask: the request itself will tell */
                error_free(e);
                return NULL;
        }
        if (e)
                return error_wrap(e, "region of the bucket");
        struct arena a;
        struct xml x;
        struct xml_token t = {0};
        arena_init(&a, 1 << 20);
        xml_init(&x, buf_str(&resp.body), &a);
        while (!(e = xml_next(&x, &t)) && t.type == XML_OPEN) {}
        if (!e) {
                Str told = str_eq(t.text, STR("EU")) ? STR("eu-west-1") : t.text;
                if (is_region(told))
                        snprintf(region, 64, STR_FMT, STR_ARG(told));
        }
        arena_done(&a);
        http_response_done(&resp);
        return e;
}

struct error *s3_send(struct s3 *s, const struct bucket_call *c, struct s3_request *r, struct http_response *ret)
{
        char region[64];
        struct error *e = slot_take(s, c);
        if (e)
                return e;
        region_get(s, region);
        if (!region[0]) {
                e = region_ask(s, c, region);
                if (!e)
                        region_set(s, region);
        }
        if (!e)
                e = send_in(s, c, r, region, ret);
        slot_give(s);
        return e;
}
