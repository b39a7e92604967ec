/* SPDX-License-Identifier: Apache-2.0 */
/* exchange.c — what a handler sees of a request, and how its answer gets to the loop.
 *
 * Written bytes are collected in stage. The first time they are handed over decides the form: all there already: a
 * length; else chunked (HTTP/1.1), until the connection ends (1.0) or DATA frames (2). */
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "codec/compress.h"
#include "io/http/form.h"
#include "io/http/server_impl.h"

enum { DEADLINE_GRACE_MS = 2000 };

static struct exchange *exchange_of(const struct http_request *r)
{
        return r->exchange;
}

struct exchange *exchange_new(struct conn *c)
{
        struct exchange *x = c->spare;
        if (x) {
                c->spare = NULL;
        } else {
                x = mem_new(struct exchange);
                arena_init(&x->arena, ARENA_BYTES_MAX);
                mutex_init(&x->mu);
                cond_init(&x->room);
                cond_init(&x->came);
                buf_init(&x->inbox, BUF_NO_LIMIT);
                buf_init(&x->stage, BUF_NO_LIMIT);
                buf_init(&x->pending, BUF_NO_LIMIT);
                buf_init(&x->h2_taken, BUF_NO_LIMIT);
                buf_init(&x->body, c->sl->s->o.body_bytes_max);
                list_init(&x->link);
                list_init(&x->queued);
        }
        x->sl = c->sl;
        x->conn = c;
        x->req.exchange = x;
        x->req.arena = &x->arena;
        x->req.peer = str_from(c->peer);
        x->req.tls = c->ssl != NULL;
        x->start_ns = time_mono_ns();
        return x;
}

static void keep_or_free(struct buf *b)
{
        if (b->cap > KEEP_BUFFER_BYTES)
                buf_done(b);
        else
                buf_clear(b);
}

/* Back to the state exchange_new found, for the next request of the connection. */
static void exchange_clear(struct exchange *x)
{
        deflater_free(x->deflater);
        memset(x, 0, offsetof(struct exchange, link));
        keep_or_free(&x->inbox);
        vec_clear(&x->trailers);
        keep_or_free(&x->stage);
        keep_or_free(&x->pending);
        keep_or_free(&x->h2_taken);
        keep_or_free(&x->body);
        vec_clear(&x->answer_headers);
        arena_clear(&x->arena);
}

void exchange_free(struct exchange *x)
{
        if (!x)
                return;
        if (x->deadline.slot)
                loop_timer_clear(x->sl->l, &x->deadline);
        if (x->conn && !x->conn->closed && !x->conn->spare && x->arena.used_bytes <= KEEP_BUFFER_BYTES) {
                struct conn *c = x->conn;
                exchange_clear(x);
                c->spare = x;
                return;
        }
        deflater_free(x->deflater);
        buf_done(&x->stage);
        buf_done(&x->pending);
        buf_done(&x->h2_taken);
        buf_done(&x->body);
        buf_done(&x->inbox);
        vec_done(&x->answer_headers);
        vec_done(&x->trailers);
        cond_done(&x->came);
        arena_done(&x->arena);
        cond_done(&x->room);
        mutex_done(&x->mu);
        free(x);
}

void exchange_cancel(struct exchange *x)
{
        __atomic_store_n(&x->cancel, true, __ATOMIC_SEQ_CST);
}

void exchange_lose_conn(struct exchange *x, bool timed_out)
{
        exchange_cancel(x);
        mutex_lock(&x->mu);
        x->closed = true;
        x->timed_out |= timed_out;
        cond_broadcast(&x->room);
        cond_broadcast(&x->came);
        mutex_unlock(&x->mu);
        x->conn = NULL;
        if (x->handler_done || !x->dispatched)
                exchange_free(x);
}

bool exchange_is_closed(struct exchange *x)
{
        mutex_lock(&x->mu);
        bool is = x->closed;
        mutex_unlock(&x->mu);
        return is;
}

bool http_request_gone(const struct http_request *r)
{
        return __atomic_load_n(&exchange_of(r)->cancel, __ATOMIC_SEQ_CST);
}

const bool *http_request_cancel_flag(const struct http_request *r)
{
        return &exchange_of(r)->cancel;
}

Str http_request_header(const struct http_request *r, Str name)
{
        for (size_t i = 0; i < r->n_headers; i++)
                if (str_eq_nocase(r->headers[i].name, name))
                        return r->headers[i].value;
        return STR("");
}

struct error *http_request_form(const struct http_request *r, struct http_form *ret)
{
        struct http_form f = {0};
        struct error *e = NULL;
        if (r->method & (HTTP_POST | HTTP_PUT | HTTP_PATCH)) {
                Str type = http_request_header(r, STR("Content-Type")), rest;
                str_cut(type, ';', &type, &rest);
                if (str_eq_nocase(str_trim(type), STR("application/x-www-form-urlencoded"))) {
                        if (r->body.n > 10 << 20)
                                return error_new(ERROR_INVALID, "http: POST too large");
                        e = form_parse(r->body, r->arena, &f);
                }
        }
        struct error *of_query = form_parse(r->raw_query, r->arena, &f);
        *ret = f;
        if (e || of_query) {
                if (e)
                        error_free(of_query);
                return e ? e : of_query;
        }
        return NULL;
}

Str http_form_get(const struct http_form *f, Str name)
{
        for (size_t i = 0; i < f->n; i++)
                if (str_eq(f->v[i].name, name))
                        return f->v[i].value;
        return STR("");
}

bool http_form_has(const struct http_form *f, Str name)
{
        for (size_t i = 0; i < f->n; i++)
                if (str_eq(f->v[i].name, name))
                        return true;
        return false;
}

/* --- the answer --- */

static bool has_header(const struct exchange *x, Str name)
{
        for (size_t i = 0; i < x->answer_headers.n; i++)
                if (str_eq_nocase(x->answer_headers.p[i].name, name))
                        return true;
        return false;
}

/* Nothing from a request may start a new line of the answer. */
static Str without_breaks(struct arena *a, Str value)
{
        Str copy = arena_str(a, value);
        for (size_t i = 0; i < copy.n; i++)
                if (copy.p[i] == '\r' || copy.p[i] == '\n' || copy.p[i] == 0)
                        ((char *)copy.p)[i] = ' ';
        return copy;
}

void http_set_header(struct http_request *r, const char *name, Str value)
{
        struct exchange *x = exchange_of(r);
        Str n = str_from(name);
        Str v = without_breaks(&x->arena, value);
        for (size_t i = 0; i < x->answer_headers.n; i++)
                if (str_eq_nocase(x->answer_headers.p[i].name, n)) {
                        x->answer_headers.p[i].value = v;
                        return;
                }
        vec_push(&x->answer_headers, (struct http_header){arena_str(&x->arena, n), v});
}

/* Sun, 06 Nov 1994 08:49:37 GMT */
Str exchange_date(char buf[32])
{
        static const char days[][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
        static const char months[][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        time_t now = (time_t)(time_now_ms() / 1000);
        struct tm t;
        gmtime_r(&now, &t);
        int n = snprintf(buf, 32, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[t.tm_wday], t.tm_mday, months[t.tm_mon],
                         t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
        return (Str){buf, (size_t)n};
}

static bool is_worth_compressing(Str type)
{
        static const Str not[] = {STR_INIT("image/"), STR_INIT("font/"), STR_INIT("video/"),
                                  STR_INIT("application/gzip"), STR_INIT("application/zip")};
        if (str_has_prefix(type, STR("image/svg")))
                return true;
        for (size_t i = 0; i < ARRAY_LEN(not); i++)
                if (str_has_prefix(type, not[i]))
                        return false;
        return true;
}

/* The first of gzip and deflate that the client names, as upstream's CompressionHandler chooses: no weights. */
static enum answer_encoding choose_encoding(struct exchange *x)
{
        if ((x->route && x->route->flags & HTTP_NO_COMPRESSION) || has_header(x, STR("Content-Encoding")))
                return ENCODING_NONE;
        if (x->route && !has_header(x, STR("Vary"))) /* a handler that sets it names Accept-Encoding too */
                http_set_header(&x->req, "Vary", STR("Accept-Encoding"));
        if (!x->route || x->no_body || !is_worth_compressing(x->content_type))
                return ENCODING_NONE;
        Str list = http_request_header(&x->req, STR("Accept-Encoding")), one;
        while (str_next(&list, ',', &one)) {
                one = str_trim(one);
                if (str_eq(one, STR("gzip")))
                        return ENCODING_GZIP;
                if (str_eq(one, STR("deflate")))
                        return ENCODING_DEFLATE;
        }
        return ENCODING_NONE;
}

static void put_header(struct buf *b, Str name, Str value)
{
        buf_put(b, name);
        buf_append(b, ": ", 2);
        buf_put(b, value);
        buf_append(b, "\r\n", 2);
}

/* HTTP/1. length < 0: not known. */
static void put_head(struct exchange *x, struct buf *b, int64_t length)
{
        char date[32];
        buf_append(b, "HTTP/1.1 ", 9);
        buf_put_i64(b, x->status);
        buf_putc(b, ' ');
        buf_puts(b, http_status_text(x->status));
        buf_append(b, "\r\n", 2);
        for (size_t i = 0; i < x->answer_headers.n; i++)
                put_header(b, x->answer_headers.p[i].name, x->answer_headers.p[i].value);
        if (!has_header(x, STR("Date")))
                put_header(b, STR("Date"), exchange_date(date));
        bool bodiless = x->status == 204 || x->status == 304 || x->status < 200;
        if (bodiless) {
                /* neither length nor coding */
        } else if (length >= 0) {
                buf_append(b, "Content-Length: ", 16);
                buf_put_i64(b, length);
                buf_append(b, "\r\n", 2);
        } else if (x->req.version >= 11) {
                buf_puts(b, "Transfer-Encoding: chunked\r\n");
                x->is_chunked = !x->no_body;
        } else {
                x->keep_alive = false;
        }
        if (atomic_load(&x->sl->s->stopping))
                x->keep_alive = false;
        if (!x->keep_alive)
                buf_puts(b, "Connection: close\r\n");
        else if (x->req.version == 10)
                buf_puts(b, "Connection: keep-alive\r\n");
        buf_append(b, "\r\n", 2);
}

static struct error *closed_error_locked(const struct exchange *x)
{
        if (x->timed_out)
                return error_new(ERROR_TIMEOUT, "i/o timeout");
        return error_new(ERROR_CANCELLED, "client closed the connection");
}

static void wait_for_room_locked(struct exchange *x)
{
        while (!x->is_inline && x->pending.n > OUT_MARK_BYTES && !x->closed)
                if (!cond_wait_ms(&x->room, &x->mu, x->sl->s->o.write_timeout_ms)) {
                        /* The connection moves, or its own timer would have closed it: an HTTP/2 window that stays
                         * shut. */
                        x->closed = x->timed_out = x->aborted = true;
                }
}

static void tell_loop_locked(struct exchange *x)
{
        if (x->posted || x->is_inline)
                return;
        x->posted = true;
        loop_post(x->sl->l, exchange_pump_message, x);
}

/* Hands bytes of the body over, as the client gets them. tell: wake the loop for them (else the caller does). */
static struct error *hand_over(struct exchange *x, Str bytes, bool tell)
{
        while (bytes.n) {
                Str piece = str_sub(bytes, 0, MIN(bytes.n, (size_t)PIECE_BYTES));
                bool last = piece.n == bytes.n;
                mutex_lock(&x->mu);
                wait_for_room_locked(x);
                if (x->closed) {
                        struct error *e = closed_error_locked(x);
                        mutex_unlock(&x->mu);
                        return e;
                }
                if (x->is_chunked)
                        buf_printf(&x->pending, "%zx\r\n", piece.n);
                buf_put(&x->pending, piece);
                if (x->is_chunked)
                        buf_append(&x->pending, "\r\n", 2);
                if (!last || tell)
                        tell_loop_locked(x);
                mutex_unlock(&x->mu);
                bytes = str_skip(bytes, piece.n);
        }
        return NULL;
}

/* Makes the head when it was not made, and hands over body, compressed if so decided. final: nothing follows. */
static struct error *answer_bytes(struct exchange *x, Str body, bool final)
{
        struct buf packed = BUF_INIT(BUF_NO_LIMIT);
        if (!x->head_made) {
                x->no_body = x->req.method == HTTP_HEAD || x->status == 204 || x->status == 304 || x->status < 200;
                if (x->content_type.n && !has_header(x, STR("Content-Type")))
                        vec_push(&x->answer_headers, (struct http_header){STR("Content-Type"), x->content_type});
                x->encoding = choose_encoding(x);
                if (final && body.n < COMPRESS_FROM_BYTES && !(x->route && x->route->flags & HTTP_COMPRESS_SMALL))
                        x->encoding = ENCODING_NONE;
                if (x->encoding)
                        vec_push(&x->answer_headers,
                                 (struct http_header){STR("Content-Encoding"),
                                                      x->encoding == ENCODING_GZIP ? STR("gzip") : STR("deflate")});
                if (x->encoding && !final)
                        x->deflater = deflater_new(x->encoding == ENCODING_GZIP ? DEFLATER_GZIP : DEFLATER_ZLIB);
        }
        if (x->deflater) {
                deflater_add(x->deflater, body, &packed);
                if (final)
                        deflater_end(x->deflater, &packed);
                body = buf_str(&packed);
        } else if (x->encoding) {
                (x->encoding == ENCODING_GZIP ? gzip_compress : deflate_compress)(body, &packed);
                body = buf_str(&packed);
        }
        if (!x->head_made) {
                x->head_made = true;
                mutex_lock(&x->mu);
                x->has_length = final;
                x->length = body.n;
                if (x->req.version < 20)
                        put_head(x, &x->pending, final ? (int64_t)body.n : -1);
                x->head_ready = true;
                if (!final)
                        tell_loop_locked(x);
                mutex_unlock(&x->mu);
        }
        struct error *e = NULL;
        if (!x->no_body) {
                x->answer_bytes += body.n;
                e = hand_over(x, body, /* tell= */ !final);
                if (!e && final && x->is_chunked) {
                        mutex_lock(&x->mu);
                        buf_append(&x->pending, "0\r\n\r\n", 5);
                        mutex_unlock(&x->mu);
                }
        }
        buf_done(&packed);
        return e;
}

struct error *http_send(struct http_request *r, Str piece)
{
        struct exchange *x = exchange_of(r);
        if (!x->begun || x->ended || x->stage.n)
                bug("http_send outside of an answer, or after http_write");
        return answer_bytes(x, piece, false);
}

/* --- streaming --- */

/* Told in portions: each telling wakes the loop. Less than a window less nghttp2's own half, so that it never stands.
 */
enum { TELL_READ_BYTES = 256 << 10 };

struct error *http_read(struct http_request *r, struct buf *to)
{
        struct exchange *x = exchange_of(r);
        struct error *e = NULL;
        if (!x->is_streaming) {
                buf_put(to, r->body);
                r->body = STR("");
                return NULL;
        }
        mutex_lock(&x->mu);
        while (!x->inbox.n && !x->inbox_ended && !x->closed)
                if (!cond_wait_ms(&x->came, &x->mu, x->sl->s->o.read_timeout_ms)) {
                        e = error_new(ERROR_TIMEOUT, "i/o timeout");
                        goto out;
                }
        if (x->closed) {
                e = closed_error_locked(x);
                goto out;
        }
        size_t n = x->inbox.n;
        if (!to->n && to->limit == BUF_NO_LIMIT) {
                struct buf taken = x->inbox;
                x->inbox = *to;
                *to = taken;
        } else {
                buf_put(to, buf_str(&x->inbox));
                buf_clear(&x->inbox);
        }
        x->inbox_read_bytes += n;
        if (x->inbox_read_bytes >= TELL_READ_BYTES && !x->inbox_ended)
                tell_loop_locked(x);
out:
        mutex_unlock(&x->mu);
        return e;
}

void http_set_trailer(struct http_request *r, const char *name, Str value)
{
        struct exchange *x = exchange_of(r);
        vec_push(&x->trailers,
                 (struct http_header){arena_str(&x->arena, str_from(name)), without_breaks(&x->arena, value)});
}

static void deadline_fire(struct loop_timer *t)
{
        struct exchange *x = CONTAINER_OF(t, struct exchange, deadline);
        if (!x->conn)
                return;
        if (x->deadline_passed) { /* the handler had its time to say so */
                h2_reset(x);
                return;
        }
        x->deadline_passed = true;
        exchange_cancel(x);
        buf_clear(&x->h2_taken);
        x->h2_at = 0;
        mutex_lock(&x->mu);
        x->closed = x->timed_out = true;
        buf_clear(&x->pending);
        cond_broadcast(&x->room);
        cond_broadcast(&x->came);
        mutex_unlock(&x->mu);
        loop_timer_set(x->sl->l, t, DEADLINE_GRACE_MS);
}

static void deadline_message(void *arg)
{
        struct exchange *x = arg;
        if (!x->conn || x->deadline.slot)
                return;
        x->deadline.fire = deadline_fire;
        loop_timer_set(x->sl->l, &x->deadline, x->deadline_ms);
}

void http_set_deadline(struct http_request *r, int64_t after_ms)
{
        struct exchange *x = exchange_of(r);
        if (!x->is_streaming || x->deadline_ms)
                return;
        x->deadline_ms = MAX(after_ms, (int64_t)1);
        loop_post(x->sl->l, deadline_message, x); /* before the message that the handler is done */
}

void http_begin(struct http_request *r, int status, const char *content_type)
{
        struct exchange *x = exchange_of(r);
        if (x->begun)
                bug("http_begin twice for %.*s", STR_ARG(r->target));
        x->begun = true;
        x->status = status;
        x->content_type = content_type ? without_breaks(&x->arena, str_from(content_type)) : STR("");
}

struct error *http_write(struct http_request *r, Str piece)
{
        struct exchange *x = exchange_of(r);
        if (!x->begun || x->ended)
                bug("http_write outside of an answer");
        if (x->stage.n + piece.n < STAGE_BYTES) {
                buf_put(&x->stage, piece);
                return NULL;
        }
        struct error *e = NULL;
        if (x->stage.n) {
                e = answer_bytes(x, buf_str(&x->stage), false);
                buf_clear(&x->stage);
        }
        if (!e && piece.n < STAGE_BYTES)
                buf_put(&x->stage, piece);
        else if (!e)
                e = answer_bytes(x, piece, false);
        return e;
}

struct error *http_flush(struct http_request *r)
{
        struct exchange *x = exchange_of(r);
        struct error *e = answer_bytes(x, buf_str(&x->stage), false);
        buf_clear(&x->stage);
        if (e || !x->deflater)
                return e;
        struct buf packed = BUF_INIT(BUF_NO_LIMIT);
        deflater_flush(x->deflater, &packed);
        e = hand_over(x, buf_str(&packed), true);
        buf_done(&packed);
        return e;
}

void http_end(struct http_request *r)
{
        struct exchange *x = exchange_of(r);
        if (x->ended)
                return;
        x->ended = true;
        error_ignore(answer_bytes(x, buf_str(&x->stage), true), "the client left: nobody to tell");
        buf_clear(&x->stage);
}

void http_reply(struct http_request *r, int status, const char *content_type, Str body)
{
        http_begin(r, status, content_type);
        struct exchange *x = exchange_of(r);
        x->ended = true;
        error_ignore(answer_bytes(x, body, true), "the client left: nobody to tell");
}

void http_replyf(struct http_request *r, int status, const char *content_type, const char *fmt, ...)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        va_list ap;
        va_start(ap, fmt);
        buf_vprintf(&b, fmt, ap);
        va_end(ap);
        http_reply(r, status, content_type, buf_str(&b));
        buf_done(&b);
}

void http_abort(struct http_request *r)
{
        struct exchange *x = exchange_of(r);
        x->begun = x->ended = true;
        mutex_lock(&x->mu);
        x->aborted = true;
        mutex_unlock(&x->mu);
}

void exchange_finish_answer(struct exchange *x)
{
        if (!x->begun)
                http_reply(&x->req, 500, "text/plain; charset=utf-8", STR("Internal Server Error\n"));
        http_end(&x->req);
        mutex_lock(&x->mu);
        x->complete = true;
        mutex_unlock(&x->mu);
}

void exchange_done_metrics(struct exchange *x)
{
        const struct http_server *s = x->sl->s;
        if (s->o.done && !(x->route && x->route->flags & HTTP_NO_METRICS))
                s->o.done(s->o.ctx, x->route ? x->route->path : "", &x->req, x->status, x->answer_bytes,
                          time_mono_ns() - x->start_ns);
}

void exchange_run(struct exchange *x, http_handler *h, void *ctx)
{
        h(&x->req, ctx);
        exchange_finish_answer(x);
        exchange_done_metrics(x);
}
