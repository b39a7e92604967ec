/* SPDX-License-Identifier: Apache-2.0 */
#include "thanos/sidecar/prom.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/thread.h"
#include "io/grpc/status.h"
#include "io/http/client_url.h"

enum { POLL_MS = 100, ERROR_BODY_MAX_BYTES = 64 << 10, TYPE_MAX_BYTES = 200 };
#define TREE_MAX_BYTES ((size_t)2 << 30)

struct prom {
        char *base; /* without "/" at its end */
        struct http_client_conf conf; /* HTTP/1: a peer that can be held up */
        struct loop *loop;
        struct http_client *client;
};

static void client_make(void *arg)
{
        struct prom *p = arg;
        error_ignore(http_client_new(p->loop, &p->client), "client stays NULL, which is told");
}

static void client_unmake(void *arg)
{
        http_client_free(((struct prom *)arg)->client);
}

struct error *prom_new(const char *url, const struct http_client_conf *conf, struct prom **ret)
{
        struct client_url u;
        struct error *e = client_url_parse(str_from(url), &u);
        if (e)
                return error_wrap(e, "parse \"%s\"", url);
        struct prom *p = mem_new(struct prom);
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        ptrdiff_t query = str_find(u.rest, '?');
        Str path = query >= 0 ? str_sub(u.rest, 0, (size_t)query) : u.rest;
        while (path.n && path.p[path.n - 1] == '/')
                path.n--;
        buf_printf(&b, "%s://", u.https ? "https" : "http");
        if (u.user.n)
                buf_printf(&b, STR_FMT "@", STR_ARG(u.user));
        buf_put(&b, u.authority);
        buf_put(&b, path);
        p->base = buf_take(&b);
        p->conf = *conf;
        p->conf.no_http2 = true;
        e = loop_new("prometheus", &p->loop);
        if (!e) {
                loop_call(p->loop, client_make, p);
                if (!p->client)
                        e = error_new(ERROR_INTERNAL, "no HTTP client");
        }
        if (e)
                prom_free(p);
        else
                *ret = p;
        return e;
}

void prom_free(struct prom *p)
{
        if (!p)
                return;
        if (p->loop)
                loop_call(p->loop, client_unmake, p);
        loop_free(p->loop);
        free(p->base);
        free(p);
}

/* --- an exchange --- */

struct prom_stream {
        struct http_call call;
        struct prom *p;
        struct http_client_request req;
        char *url, *body;
        struct http_header *headers;
        struct prom_wait wait;
        bool is_open;
        struct buf have; /* of the reader; from at on it is unread */
        size_t at;
        struct mutex mu; /* guards what follows */
        struct cond changed;
        bool begun, done, paused;
        struct error *e;
        int status;
        char type[TYPE_MAX_BYTES];
        struct buf in;
};

static void take_head_locked(struct prom_stream *s, const struct http_response *r)
{
        if (s->begun)
                return;
        s->begun = true;
        s->status = r->status;
        snprintf(s->type, sizeof s->type, STR_FMT, STR_ARG(r->content_type));
}

static bool on_piece(struct http_call *c, Str piece)
{
        struct prom_stream *s = CONTAINER_OF(c, struct prom_stream, call);
        mutex_lock(&s->mu);
        take_head_locked(s, &c->response);
        buf_put(&s->in, piece);
        s->paused = c->pause = s->in.n >= PROM_AHEAD_BYTES;
        bool on = !buf_is_over(&s->in);
        cond_signal(&s->changed);
        mutex_unlock(&s->mu);
        return on;
}

static void on_done(struct http_call *c, struct error *take_e, struct http_response *r)
{
        struct prom_stream *s = CONTAINER_OF(c, struct prom_stream, call);
        mutex_lock(&s->mu);
        if (!take_e)
                take_head_locked(s, r);
        s->e = take_e;
        s->done = true;
        cond_signal(&s->changed);
        mutex_unlock(&s->mu);
}

static void exchange_start(void *arg)
{
        struct prom_stream *s = arg;
        http_client_send(s->p->client, &s->p->conf, &s->req, &s->call);
}

static void exchange_resume(void *arg)
{
        struct prom_stream *s = arg;
        http_client_resume(s->p->client, &s->call);
}

static void exchange_cancel(void *arg)
{
        struct prom_stream *s = arg;
        http_client_cancel(s->p->client, &s->call);
}

static struct error *wait_locked(struct prom_stream *s)
{
        int64_t left = POLL_MS;
        if (s->wait.cancel && __atomic_load_n(s->wait.cancel, __ATOMIC_SEQ_CST))
                return error_new(ERROR_CANCELLED, "context canceled");
        if (s->wait.deadline_ms) {
                left = MIN(s->wait.deadline_ms - time_mono_ms(), left);
                if (left <= 0)
                        return error_new(ERROR_TIMEOUT, "context deadline exceeded");
        }
        cond_wait_ms(&s->changed, &s->mu, left);
        return NULL;
}

/* Moves what arrived to the reader; waits for something if there is nothing. At the end nothing is moved. */
static struct error *refill(struct prom_stream *s)
{
        struct error *e = NULL;
        mutex_lock(&s->mu);
        while (!e && !s->in.n && !s->done)
                e = wait_locked(s);
        if (!e && !s->in.n && s->e) {
                e = s->e;
                s->e = error_dup(e);
        }
        if (!e) {
                buf_put(&s->have, buf_str(&s->in));
                buf_clear(&s->in);
                if (buf_is_over(&s->have))
                        e = error_new(ERROR_LIMIT, "an answer with a part of more than %zu bytes", s->have.limit);
        }
        bool resume = s->paused && !e;
        s->paused = s->paused && !resume;
        mutex_unlock(&s->mu);
        if (resume)
                loop_post(s->p->loop, exchange_resume, s);
        return e;
}

static bool is_at_end(struct prom_stream *s)
{
        mutex_lock(&s->mu);
        bool is = s->done && !s->e && !s->in.n;
        mutex_unlock(&s->mu);
        return is;
}

struct error *prom_stream_peek(struct prom_stream *s, size_t n, Str *ret)
{
        while (s->have.n - s->at < n && !is_at_end(s)) {
                if (s->at) {
                        buf_drop_front(&s->have, s->at);
                        s->at = 0;
                }
                struct error *e = refill(s);
                if (e)
                        return e;
        }
        *ret = str_skip(buf_str(&s->have), s->at);
        return NULL;
}

void prom_stream_skip(struct prom_stream *s, size_t n)
{
        s->at += n;
}

Str prom_stream_type(const struct prom_stream *s)
{
        return str_from(s->type);
}

void prom_stream_close(struct prom_stream *s)
{
        if (!s)
                return;
        if (s->is_open)
                loop_call(s->p->loop, exchange_cancel, s);
        http_response_done(&s->call.response);
        error_free(s->e);
        buf_done(&s->in);
        buf_done(&s->have);
        cond_done(&s->changed);
        mutex_done(&s->mu);
        free(s->url);
        free(s->body);
        free(s->headers);
        free(s);
}

/* Until the answer begins. */
static struct error *open_stream(struct prom *p, const char *method, const char *path, Str query, Str body, const struct http_header *headers,
                                 size_t n, const struct prom_wait *w, size_t have_max, struct prom_stream **ret)
{
        struct prom_stream *s = mem_new(struct prom_stream);
        struct buf url = BUF_INIT(BUF_NO_LIMIT);
        buf_printf(&url, "%s%s", p->base, path);
        if (query.n)
                buf_printf(&url, "?" STR_FMT, STR_ARG(query));
        s->p = p;
        s->url = buf_take(&url);
        s->body = str_dup(body);
        s->headers = mem_alloc((n + 1) * sizeof *s->headers);
        s->headers[0] = (struct http_header){STR("User-Agent"), STR("coeus/" COEUS_VERSION)};
        for (size_t i = 0; i < n; i++)
                s->headers[i + 1] = headers[i];
        s->wait = *w;
        mutex_init(&s->mu);
        cond_init(&s->changed);
        buf_init(&s->in, (size_t)PROM_AHEAD_BYTES + (16 << 20));
        buf_init(&s->have, have_max);
        s->call.done = on_done;
        s->call.piece = on_piece;
        s->req = (struct http_client_request){.url = s->url,
                                              .method = method,
                                              .headers = s->headers,
                                              .n_headers = n + 1,
                                              .body = {s->body, body.n}};
        s->is_open = true;
        loop_post(p->loop, exchange_start, s);
        struct error *e = NULL;
        mutex_lock(&s->mu);
        while (!e && !s->begun && !s->done)
                e = wait_locked(s);
        if (!e && s->done && s->e) {
                e = s->e;
                s->e = NULL;
        }
        mutex_unlock(&s->mu);
        if (e)
                prom_stream_close(s);
        else
                *ret = s;
        return e;
}

/* --- whole answers --- */

static struct error *read_all(struct prom_stream *s, struct buf *ret)
{
        for (;;) {
                Str piece;
                struct error *e = prom_stream_peek(s, 1, &piece);
                if (e || !piece.n)
                        return e;
                buf_put(ret, piece);
                prom_stream_skip(s, piece.n);
                if (buf_is_over(ret))
                        return error_new(ERROR_LIMIT, "an answer of more than %zu bytes", ret->limit);
        }
}

struct error *prom_fetch(struct prom *p, const char *path, Str query, const struct prom_wait *w, struct buf *ret, int *ret_status)
{
        struct prom_stream *s;
        struct error *e = open_stream(p, "GET", path, query, STR(""), NULL, 0, w, (size_t)PROM_AHEAD_BYTES + (32 << 20), &s);
        if (e)
                return e;
        *ret_status = s->status;
        e = read_all(s, ret);
        prom_stream_close(s);
        return e ? error_wrap(e, "read body") : NULL;
}

static int code_of_status(int status)
{
        switch (status) {
        case 400:
                return GRPC_INVALID_ARGUMENT;
        case 404:
                return GRPC_NOT_FOUND;
        case 503:
                return GRPC_UNAVAILABLE;
        default:
                return GRPC_INTERNAL;
        }
}

static int code_of_error(const struct error *e)
{
        if (error_is(e, ERROR_CANCELLED))
                return GRPC_CANCELLED;
        if (error_is(e, ERROR_TIMEOUT))
                return GRPC_DEADLINE_EXCEEDED;
        return error_is(e, ERROR_LIMIT) ? GRPC_RESOURCE_EXHAUSTED : GRPC_INTERNAL;
}

static struct error *judge(struct prom_answer *x, int status)
{
        const struct json *root = NULL;
        if (status / 100 != 2) {
                Str text = buf_str(&x->body);
                text.n = MIN(text.n, (size_t)ERROR_BODY_MAX_BYTES);
                return error_new(ERROR_UNAVAILABLE, "expected 2xx response, got %d. Body: " STR_FMT, status, STR_ARG(text));
        }
        if (status == 204)
                return NULL;
        struct error *e = json_parse(buf_str(&x->body), &x->arena, &root);
        if (e)
                return e;
        if (!str_eq(json_str(json_get(root, STR("status"))), STR("success")))
                return error_new(ERROR_UNAVAILABLE, STR_FMT, STR_ARG(json_str(json_get(root, STR("error")))));
        x->data = json_get(root, STR("data"));
        return NULL;
}

struct error *prom_get(struct prom *p, const char *path, Str query, const struct prom_wait *w, struct prom_answer *ret, int *ret_code)
{
        int status = 0;
        *ret = (struct prom_answer){.body = BUF_INIT(PROM_ANSWER_MAX_BYTES)};
        arena_init(&ret->arena, TREE_MAX_BYTES);
        struct error *e = prom_fetch(p, path, query, w, &ret->body, &status);
        if (e) {
                *ret_code = code_of_error(e);
                return error_wrap(e, "perform GET request against %s", path); /* the inner error has the URL, without its password */
        }
        e = judge(ret, status);
        if (e)
                *ret_code = error_is(e, ERROR_UNAVAILABLE) ? code_of_status(status) : code_of_error(e);
        return e;
}

void prom_answer_done(struct prom_answer *x)
{
        arena_done(&x->arena);
        buf_done(&x->body);
}

/* --- streams --- */

struct error *prom_post(struct prom *p, const char *path, Str body, const struct http_header *headers, size_t n, const struct prom_wait *w,
                        struct prom_stream **ret)
{
        struct prom_stream *s;
        struct error *e = open_stream(p, "POST", path, STR(""), body, headers, n, w, PROM_ANSWER_MAX_BYTES, &s);
        if (e)
                return error_wrap(e, "send request");
        if (s->status / 100 == 2) {
                *ret = s;
                return NULL;
        }
        struct buf text = BUF_INIT(ERROR_BODY_MAX_BYTES);
        error_ignore(read_all(s, &text), "what came of the body is told");
        const char *reason = http_status_text(s->status);
        e = error_new(ERROR_UNAVAILABLE, "request failed with code %d%s%s; msg " STR_FMT, s->status, reason ? " " : "", reason ? reason : "",
                      STR_ARG(buf_str(&text)));
        buf_done(&text);
        prom_stream_close(s);
        return e;
}
