/* SPDX-License-Identifier: Apache-2.0 */
/* conn_h2.c — HTTP/2 on a connection of the server, by libnghttp2: each stream is an exchange.
 *
 * Frames are collected in conn.out and written once, when nghttp2 has no more or OUT_MARK_BYTES are there; a client
 * whose window is shut leaves its bytes in the exchange's pending, where the mark stops the handler. Guards: streams at
 * once, header bytes, bytes of unfinished bodies of a connection, and resets: who opens streams to reset them
 * (CVE-2023-44487) is sent away once his resets of a second outweigh his finished requests by h2_streams_max. nghttp2
 * bounds the queues of PING and SETTINGS itself.
 *
 * Windows are opened by hand. The connection's at once, so that a stream whose handler does not read stops no other; a
 * stream's at once for bodies that are read whole (their limit is the server's), for streaming ones when the handler
 * took the bytes: a window a stream is the most that waits. */
#include <nghttp2/nghttp2.h>
#include <stdio.h>

#include "base/clock.h"
#include "io/http/form.h"
#include "io/http/server_impl.h"

enum {
        STREAM_WINDOW_BYTES = 1 << 20,
        CONNECTION_WINDOW_BYTES = 4 << 20,
        BODIES_PER_CONNECTION = 4, /* of body_bytes_max */
        DISCARD_BYTES_MAX = 1 << 20,
};

const Str h2_preface = STR_INIT("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

struct h2 {
        nghttp2_session *session;
        struct list streams; /* exchange.link */
        bool in_session;     /* inside nghttp2: frames are sent afterwards */
        bool going_away;
        int resets;
        int64_t resets_since_ms;
        struct loop_timer age;
        struct conn *conn;
        size_t body_bytes; /* received for streams that are open */
};

static struct exchange *stream_exchange(nghttp2_session *s, int32_t id)
{
        return nghttp2_session_get_stream_user_data(s, id);
}

static int on_begin_headers(nghttp2_session *s, const nghttp2_frame *f, void *arg)
{
        struct conn *c = arg;
        if (f->hd.type != NGHTTP2_HEADERS || f->headers.cat != NGHTTP2_HCAT_REQUEST)
                return 0;
        struct exchange *x = exchange_new(c);
        x->stream_id = f->hd.stream_id;
        x->req.version = 20;
        x->keep_alive = true;
        list_push_back(&c->h2->streams, &x->link);
        nghttp2_session_set_stream_user_data(s, f->hd.stream_id, x);
        return 0;
}

static void add_header(struct exchange *x, Str name, Str value)
{
        size_t n = x->req.n_headers;
        if ((n & (n - 1)) == 0) { /* grows by doubling: the old array stays in the arena */
                struct http_header *v = arena_array(&x->arena, struct http_header, n ? n * 2 : 1);
                if (n)
                        memcpy(v, x->req.headers, n * sizeof *v);
                x->req.headers = v;
        }
        ((struct http_header *)x->req.headers)[n] = (struct http_header){name, value};
        x->req.n_headers = n + 1;
}

static int on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t n_name,
                     const uint8_t *value, size_t n_value, uint8_t flags, void *arg)
{
        struct conn *c = arg;
        (void)flags;
        struct exchange *x = stream_exchange(s, f->hd.stream_id);
        if (!x || f->headers.cat != NGHTTP2_HCAT_REQUEST)
                return 0; /* trailers are read over */
        x->head_bytes += n_name + n_value + 32;
        if (x->head_bytes > c->sl->s->o.header_bytes_max || x->req.n_headers >= PARSE1_HEADERS_MAX)
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
        Str k = arena_str(&x->arena, (Str){(const char *)name, n_name}),
            v = arena_str(&x->arena, (Str){(const char *)value, n_value});
        if (str_eq(k, STR(":method"))) {
                x->req.method_text = v;
                x->req.method = http_method_of(v);
        } else if (str_eq(k, STR(":path"))) {
                x->req.target = v;
        } else if (str_eq(k, STR(":authority"))) {
                x->req.host = v;
        } else if (k.n && k.p[0] != ':') {
                if (str_eq(k, STR("host")) && !x->req.host.n)
                        x->req.host = v;
                add_header(x, k, v);
        }
        return 0;
}

/* The answer is made, by this thread. */
static void answered_inline(struct exchange *x)
{
        x->handler_done = true;
        h2_pump(x);
}

static void refuse(struct exchange *x, int status)
{
        x->is_inline = true;
        x->refused = true;
        http_replyf(&x->req, status, "text/plain; charset=utf-8", "%d %s", status, http_status_text(status));
        exchange_finish_answer(x);
        answered_inline(x);
}

/* The head is whole. */
static void begin(struct exchange *x)
{
        Str path = x->req.target, query = STR("");
        str_cut(path, '?', &path, &query);
        x->req.raw_query = query;
        struct error *e = NULL;
        if (!path.n || (path.p[0] != '/' && !str_eq(path, STR("*"))))
                e = error_new(ERROR_INVALID, "path");
        if (!e)
                e = url_unescape(path, URL_PATH, &x->arena, &x->req.path);
        if (e) {
                error_ignore(e, "told by status");
                refuse(x, 400);
        } else if (server_begin(x)) {
                x->refused = true;
                answered_inline(x);
        } else if (x->route && x->route->flags & HTTP_STREAM) {
                x->is_streaming = true;
                if (server_dispatch(x))
                        answered_inline(x);
        }
}

static void run(struct exchange *x)
{
        x->request_ended = true;
        if (x->refused)
                return;
        if (x->is_streaming) {
                mutex_lock(&x->mu);
                x->inbox_ended = true;
                cond_broadcast(&x->came);
                mutex_unlock(&x->mu);
                return;
        }
        x->req.body = buf_str(&x->body);
        if (server_dispatch(x))
                answered_inline(x);
}

static void count_reset(struct h2 *h, int max)
{
        int64_t now_ms = time_mono_ms();
        if (now_ms - h->resets_since_ms >= 1000) {
                h->resets_since_ms = now_ms;
                h->resets = 0;
        }
        if (++h->resets > max)
                nghttp2_session_terminate_session(h->session, NGHTTP2_ENHANCE_YOUR_CALM);
}

/* The answer ended before the request did: the client need not send the rest. */
static int on_frame_send(nghttp2_session *s, const nghttp2_frame *f, void *arg)
{
        (void)arg;
        if ((f->hd.type != NGHTTP2_HEADERS && f->hd.type != NGHTTP2_DATA) || !(f->hd.flags & NGHTTP2_FLAG_END_STREAM))
                return 0;
        struct exchange *x = stream_exchange(s, f->hd.stream_id);
        if (x && x->is_streaming && !x->request_ended)
                nghttp2_submit_rst_stream(s, NGHTTP2_FLAG_NONE, f->hd.stream_id, NGHTTP2_NO_ERROR);
        return 0;
}

static int on_frame_recv(nghttp2_session *s, const nghttp2_frame *f, void *arg)
{
        struct conn *c = arg;
        struct exchange *x;
        switch (f->hd.type) {
        case NGHTTP2_HEADERS:
        case NGHTTP2_DATA:
                x = stream_exchange(s, f->hd.stream_id);
                if (!x)
                        return 0;
                if (f->hd.type == NGHTTP2_HEADERS && f->headers.cat == NGHTTP2_HCAT_REQUEST)
                        begin(x);
                if (f->hd.flags & NGHTTP2_FLAG_END_STREAM)
                        run(x);
                return 0;
        case NGHTTP2_RST_STREAM:
                count_reset(c->h2, c->sl->s->o.h2_streams_max);
                return 0;
        }
        return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *arg)
{
        struct conn *c = arg;
        (void)flags;
        struct exchange *x = stream_exchange(s, id);
        nghttp2_session_consume_connection(s, n);
        if (!x)
                return 0;
        if (x->is_streaming && !x->handler_done) {
                mutex_lock(&x->mu);
                buf_append(&x->inbox, p, n); /* the window bounds it */
                cond_signal(&x->came);
                mutex_unlock(&x->mu);
                return 0;
        }
        nghttp2_session_consume_stream(s, id, n);
        if (x->is_streaming)
                return 0;
        if (x->refused) { /* read over, but not for ever */
                x->head_bytes += n;
                if (x->head_bytes > DISCARD_BYTES_MAX)
                        nghttp2_submit_rst_stream(s, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR);
                return 0;
        }
        size_t before = x->body.n;
        buf_append(&x->body, p, n);
        c->h2->body_bytes += x->body.n - before;
        if (buf_is_over(&x->body))
                refuse(x, 413);
        else if (c->h2->body_bytes > c->sl->s->o.body_bytes_max * BODIES_PER_CONNECTION)
                refuse(x, 503);
        return 0;
}

static int on_stream_close(nghttp2_session *s, int32_t id, uint32_t code, void *arg)
{
        struct conn *c = arg;
        struct exchange *x = stream_exchange(s, id);
        if (!x)
                return 0;
        nghttp2_session_set_stream_user_data(s, id, NULL);
        list_remove(&x->link);
        c->h2->body_bytes -= x->body.n;
        if (code == NGHTTP2_NO_ERROR && c->h2->resets > 0)
                c->h2->resets--;
        if (x->handler_done || !x->dispatched)
                exchange_free(x);
        else
                exchange_lose_conn(x, false);
        return 0;
}

/* --- answers --- */

static nghttp2_nv pair(Str name, Str value)
{
        return (nghttp2_nv){(uint8_t *)name.p, (uint8_t *)(value.n ? value.p : ""), name.n, value.n, 0};
}

/* Their names are small letters. */
static int submit_trailers(struct exchange *x)
{
        size_t n = 0;
        nghttp2_nv *v = mem_realloc_array(NULL, x->trailers.n, sizeof *v);
        for (size_t i = 0; i < x->trailers.n; i++)
                v[n++] = pair(x->trailers.p[i].name, x->trailers.p[i].value);
        int rc = nghttp2_submit_trailer(x->conn->h2->session, x->stream_id, v, n);
        free(v);
        return rc;
}

static ssize_t read_body(nghttp2_session *s, int32_t id, uint8_t *to, size_t n, uint32_t *flags,
                         nghttp2_data_source *source, void *arg)
{
        struct exchange *x = source->ptr;
        (void)s;
        (void)id;
        (void)arg;
        if (x->h2_at == x->h2_taken.n) {
                buf_clear(&x->h2_taken);
                x->h2_at = 0;
                mutex_lock(&x->mu);
                struct buf taken = x->pending;
                x->pending = x->h2_taken;
                x->h2_taken = taken;
                cond_signal(&x->room);
                bool cut = x->aborted;
                mutex_unlock(&x->mu);
                if (cut && !x->h2_taken.n)
                        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        }
        size_t left = x->h2_taken.n - x->h2_at;
        if (!left && !x->handler_done) {
                x->h2_deferred = true;
                return NGHTTP2_ERR_DEFERRED;
        }
        size_t k = MIN(n, left);
        if (k)
                memcpy(to, x->h2_taken.p + x->h2_at, k);
        x->h2_at += k;
        if (k == left && x->handler_done) {
                /* pending is empty unless bytes were handed over after the swap above, before the handler ended */
                mutex_lock(&x->mu);
                bool more = x->pending.n > 0;
                mutex_unlock(&x->mu);
                if (!more)
                        *flags |= NGHTTP2_DATA_FLAG_EOF;
                if (!more && x->trailers.n && submit_trailers(x) == 0)
                        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        }
        return (ssize_t)k;
}

static bool is_of_connection(Str name)
{
        return str_eq_nocase(name, STR("connection")) || str_eq_nocase(name, STR("transfer-encoding")) ||
               str_eq_nocase(name, STR("keep-alive"));
}

/* Not from the arena: that is the handler's, who may still run. */
static int submit_head(struct exchange *x)
{
        char status[8], length[24], date[32];
        size_t n = 0, n_headers = x->answer_headers.n;
        struct buf names = BUF_INIT(BUF_NO_LIMIT);
        for (size_t i = 0; i < n_headers; i++)
                buf_put(&names, x->answer_headers.p[i].name);
        for (size_t i = 0; i < names.n; i++)
                if (names.p[i] >= 'A' && names.p[i] <= 'Z')
                        names.p[i] |= 0x20;
        nghttp2_nv *v = mem_realloc_array(NULL, n_headers + 3, sizeof *v);
        snprintf(status, sizeof status, "%d", x->status);
        v[n++] = pair(STR(":status"), str_from(status));
        size_t at = 0;
        for (size_t i = 0; i < n_headers; i++) {
                struct http_header h = x->answer_headers.p[i];
                if (!is_of_connection(h.name))
                        v[n++] = pair((Str){names.p + at, h.name.n}, h.value);
                at += h.name.n;
        }
        v[n++] = pair(STR("date"), exchange_date(date));
        if (x->has_length && !x->is_streaming && x->status >= 200 && x->status != 204 && x->status != 304) {
                snprintf(length, sizeof length, "%llu", (unsigned long long)x->length);
                v[n++] = pair(STR("content-length"), str_from(length));
        }
        nghttp2_data_provider body = {.source.ptr = x, .read_callback = read_body};
        bool none = x->no_body || (x->has_length && x->length == 0);
        int rc = nghttp2_submit_response(x->conn->h2->session, x->stream_id, v, n, none ? NULL : &body);
        free(v);
        buf_done(&names);
        return rc;
}

void h2_pump(struct exchange *x)
{
        struct conn *c = x->conn;
        nghttp2_session *s = c->h2->session;
        mutex_lock(&x->mu);
        bool ready = x->head_ready, cut = x->aborted;
        size_t read_bytes = x->inbox_read_bytes;
        x->inbox_read_bytes = 0;
        mutex_unlock(&x->mu);
        if (read_bytes)
                nghttp2_session_consume_stream(s, x->stream_id, read_bytes);
        if (cut && x->handler_done) {
                nghttp2_submit_rst_stream(s, NGHTTP2_FLAG_NONE, x->stream_id, NGHTTP2_INTERNAL_ERROR);
        } else if (ready && !x->h2_head_sent) {
                x->h2_head_sent = true;
                if (submit_head(x))
                        nghttp2_submit_rst_stream(s, NGHTTP2_FLAG_NONE, x->stream_id, NGHTTP2_INTERNAL_ERROR);
        } else if (x->h2_deferred) {
                x->h2_deferred = false;
                nghttp2_session_resume_data(s, x->stream_id);
        }
        if (!c->h2->in_session)
                h2_flush(c);
}

void h2_reset(struct exchange *x)
{
        struct conn *c = x->conn;
        nghttp2_submit_rst_stream(c->h2->session, NGHTTP2_FLAG_NONE, x->stream_id, NGHTTP2_CANCEL);
        if (!c->h2->in_session)
                h2_flush(c);
}

/* --- the connection --- */

static nghttp2_session_callbacks *callbacks(void)
{
        nghttp2_session_callbacks *cb;
        if (nghttp2_session_callbacks_new(&cb))
                bug("nghttp2: out of memory");
        nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
        nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
        nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
        nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
        nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_send);
        return cb;
}

static void too_old(struct loop_timer *t)
{
        h2_goaway(CONTAINER_OF(t, struct h2, age)->conn);
}

struct error *h2_start(struct conn *c)
{
        nghttp2_session_callbacks *cb = callbacks();
        struct h2 *h = mem_new(struct h2);
        list_init(&h->streams);
        nghttp2_option *options = NULL;
        int rc = nghttp2_option_new(&options);
        if (!rc) {
                nghttp2_option_set_no_auto_window_update(options, 1);
                rc = nghttp2_session_server_new2(&h->session, cb, c, options);
        }
        nghttp2_option_del(options);
        nghttp2_session_callbacks_del(cb);
        if (rc) {
                free(h);
                return error_new(ERROR_LIMIT, "http2: %s", nghttp2_strerror(rc));
        }
        c->h2 = h;
        c->proto = CONN_HTTP2;
        h->conn = c;
        h->age.fire = too_old;
        if (c->sl->s->o.h2_age_max_ms)
                loop_timer_set(c->sl->l, &h->age, c->sl->s->o.h2_age_max_ms);
        nghttp2_settings_entry settings[] = {
                {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, (uint32_t)c->sl->s->o.h2_streams_max},
                {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW_BYTES},
                {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)MIN(c->sl->s->o.header_bytes_max, (size_t)1 << 30)},
        };
        nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings));
        nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW_BYTES);
        return NULL;
}

size_t h2_input(struct conn *c, Str in)
{
        struct h2 *h = c->h2;
        conn_deadline(c, c->sl->s->o.read_timeout_ms);
        h->in_session = true;
        ssize_t n = nghttp2_session_mem_recv(h->session, (const uint8_t *)in.p, in.n);
        h->in_session = false;
        if (n < 0)
                nghttp2_session_terminate_session(h->session, n == NGHTTP2_ERR_FLOODED ? NGHTTP2_ENHANCE_YOUR_CALM
                                                                                       : NGHTTP2_PROTOCOL_ERROR);
        h2_flush(c);
        if (n < 0)
                conn_close(c, false);
        return in.n;
}

void h2_flush(struct conn *c)
{
        struct h2 *h = c->h2;
        while (!c->closed) {
                while (c->out.n - c->out_at < OUT_MARK_BYTES) {
                        const uint8_t *p;
                        h->in_session = true;
                        ssize_t n = nghttp2_session_mem_send(h->session, &p);
                        h->in_session = false;
                        if (n < 0) {
                                conn_close(c, false);
                                return;
                        }
                        if (n == 0)
                                break;
                        buf_append(&c->out, p, (size_t)n);
                }
                if (!c->out.n)
                        break;
                if (!conn_flush(c))
                        return;
        }
        if (c->closed)
                return;
        bool over = !nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session);
        if (over || (h->going_away && list_is_empty(&h->streams)))
                conn_close(c, false);
        else
                conn_update(c);
}

void h2_close(struct conn *c, bool timed_out)
{
        struct h2 *h = c->h2;
        if (!h)
                return;
        c->h2 = NULL;
        loop_timer_clear(c->sl->l, &h->age);
        LIST_EACH (it, &h->streams) {
                struct exchange *x = CONTAINER_OF(it, struct exchange, link);
                list_remove(&x->link);
                exchange_lose_conn(x, timed_out);
        }
        nghttp2_session_del(h->session);
        free(h);
}

void h2_cancel_all(struct conn *c)
{
        if (c->h2)
                LIST_EACH (it, &c->h2->streams)
                        exchange_cancel(CONTAINER_OF(it, struct exchange, link));
}

void h2_goaway(struct conn *c)
{
        struct h2 *h = c->h2;
        h->going_away = true;
        nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE, nghttp2_session_get_last_proc_stream_id(h->session),
                              NGHTTP2_NO_ERROR, NULL, 0);
        h2_flush(c);
}

/* No handler works: who sends nothing now is late. */
bool h2_is_idle(const struct conn *c)
{
        LIST_EACH (it, &c->h2->streams) {
                const struct exchange *x = CONTAINER_OF(it, struct exchange, link);
                if (x->dispatched && !x->handler_done)
                        return false;
        }
        return true;
}
