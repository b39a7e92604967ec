/* SPDX-License-Identifier: Apache-2.0 */
/* conn_h1.c — HTTP/1.x on a connection of the server.
 *
 *   HEAD --a whole head--> BODY --all of it--> BUSY --answer sent--> HEAD (keep-alive), or LINGER
 *     |                     |
 *     +------ a fault ------+--> LINGER: the answer is out, what still comes is thrown away for a moment, so that the
 * client gets to read the answer before a reset reaches it; then the connection is closed
 *
 * Requests that come while one is BUSY wait in conn.in, up to SCRATCH_BYTES; then the socket is not read. */
#include <sys/socket.h>

#include "base/clock.h"
#include "io/http/form.h"
#include "io/http/server_impl.h"

void h1_linger(struct conn *c)
{
        c->state = CONN_LINGER;
        buf_clear(&c->in);
        if (c->write_blocked) /* conn_ready comes back here */
                return;
        if (c->ssl)
                SSL_shutdown(c->ssl);
        if (c->eof || shutdown(c->f.fd, SHUT_WR)) {
                conn_close(c, false);
                return;
        }
        conn_deadline(c, LINGER_MS);
        conn_update(c);
}

/* An answer to what is no request. */
static void refuse(struct conn *c, struct parse1_fault f)
{
        struct exchange *x = c->ex;
        c->ex = NULL;
        exchange_free(x);
        char text[160];
        int n = snprintf(text, sizeof text, "%d %s%s%s", f.status, http_status_text(f.status), f.why ? ": " : "",
                         f.why ? f.why : "");
        buf_printf(&c->out,
                   "HTTP/1.1 %d %s\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\nConnection: "
                   "close\r\n\r\n%s",
                   f.status, http_status_text(f.status), n, text);
        conn_flush(c);
        if (!c->closed)
                h1_linger(c);
}

/* The answer is complete and sent. */
static void answered(struct conn *c)
{
        struct exchange *x = c->ex;
        bool more = x->keep_alive && !c->close_after && !c->eof && !x->aborted && !atomic_load(&c->sl->s->stopping);
        bool cut = x->aborted;
        c->ex = NULL;
        c->state = CONN_HEAD;
        c->head_seen = 0;
        c->begun = false;
        exchange_free(x);
        if (cut) {
                conn_close(c, false);
        } else if (!more) {
                h1_linger(c);
        } else {
                conn_deadline(c, c->sl->s->o.read_timeout_ms);
                conn_resume(c);
        }
}

void h1_pump(struct conn *c)
{
        while (!c->closed) {
                struct exchange *x = c->ex;
                if (!conn_flush(c) || !x)
                        return;
                mutex_lock(&x->mu);
                if (x->pending.n) {
                        struct buf taken = x->pending;
                        x->pending = c->out;
                        c->out = taken;
                        cond_signal(&x->room);
                }
                bool finished = x->handler_done;
                bool cut = x->aborted && x->handler_done;
                mutex_unlock(&x->mu);
                if (c->out.n && !cut)
                        continue;
                if (finished)
                        answered(c);
                return;
        }
}

void h1_eof(struct conn *c)
{
        /* A client that shut down its sending side still gets its answer, but long work may stop: as Go's server takes
         * it. */
        if (c->state == CONN_BUSY && c->ex)
                exchange_cancel(c->ex);
        else
                conn_close(c, false);
}

/* The request is whole. */
static void run(struct conn *c)
{
        struct exchange *x = c->ex;
        c->state = CONN_BUSY;
        x->req.body = buf_str(&x->body);
        if (server_dispatch(x)) {
                x->handler_done = true;
                h1_pump(c);
        }
}

static void begin(struct conn *c, Str bytes)
{
        struct exchange *x = c->ex = exchange_new(c);
        struct parse1_head h;
        struct parse1_fault f = parse1_head(arena_str(&x->arena, bytes), &x->arena, &h);
        Str path = {0};
        if (!f.status && h.target.p[0] != '*') {
                struct error *e = url_unescape(h.raw_path, URL_PATH, &x->arena, &path);
                if (e) {
                        error_ignore(e, "told by status");
                        f = (struct parse1_fault){400, NULL};
                }
        } else if (!f.status) {
                path = STR("*");
        }
        if (f.status) {
                refuse(c, f);
                return;
        }
        x->req.method = h.method;
        x->req.method_text = h.method_text;
        x->req.target = h.target;
        x->req.path = path;
        x->req.raw_query = h.raw_query;
        x->req.headers = h.headers;
        x->req.n_headers = h.n_headers;
        x->req.host = h.host;
        x->req.version = h.version;
        x->keep_alive = h.keep_alive;
        bool has_body = h.chunked || h.length > 0;
        c->is_chunked = h.chunked;
        c->chunked = (struct parse1_chunked){0};
        c->body_left = h.length;
        c->close_after = false;
        if (h.length > c->sl->s->o.body_bytes_max) {
                refuse(c, (struct parse1_fault){413, NULL});
                return;
        }
        if (has_body)
                x->keep_alive = false; /* of an answer that comes before the body was read */
        if (server_begin(x)) {
                c->close_after = has_body;
                c->state = CONN_BUSY;
                x->handler_done = true;
                h1_pump(c);
                return;
        }
        x->keep_alive = h.keep_alive;
        if (!has_body) {
                run(c);
                return;
        }
        c->state = CONN_BODY;
        if (h.expect_continue) {
                buf_puts(&c->out, "HTTP/1.1 100 Continue\r\n\r\n");
                conn_flush(c);
        }
}

static size_t take_head(struct conn *c, Str in)
{
        size_t skipped = 0;
        if (!c->head_seen)
                while (in.n >= 2 && in.p[0] == '\r' && in.p[1] == '\n') { /* RFC 9112 2.2: behind a body */
                        in = str_skip(in, 2);
                        skipped += 2;
                }
        if (in.n == 1 && in.p[0] == '\r')
                return skipped;
        if (!c->begun && in.n) {
                c->begun = true;
                conn_deadline(c, c->sl->s->o.read_timeout_ms);
        }
        size_t limit = c->sl->s->o.header_bytes_max;
        size_t n = parse1_head_bytes(in, &c->head_seen);
        if (n > limit || (!n && in.n > limit)) {
                refuse(c, (struct parse1_fault){431, NULL});
                return 0;
        }
        if (!n)
                return skipped;
        c->head_seen = 0;
        begin(c, str_sub(in, 0, n));
        return skipped + n;
}

static size_t take_body(struct conn *c, Str in)
{
        struct exchange *x = c->ex;
        size_t used;
        if (c->is_chunked) {
                used = parse1_chunked_add(&c->chunked, in, &x->body);
                if (c->chunked.status) {
                        refuse(c,
                               (struct parse1_fault){c->chunked.status,
                                                     c->chunked.status == 400 ? "malformed chunked encoding" : NULL});
                        return used;
                }
                if (c->chunked.state == PARSE1_BODY_END)
                        run(c);
                return used;
        }
        used = (size_t)MIN((uint64_t)in.n, c->body_left);
        buf_append(&x->body, in.p, used);
        c->body_left -= used;
        if (!c->body_left)
                run(c);
        return used;
}

size_t h1_input(struct conn *c, Str in)
{
        size_t used = 0;
        for (;;) {
                if (c->closed)
                        return used;
                if (c->state == CONN_LINGER)
                        return in.n;
                if (c->state == CONN_BUSY)
                        return used;
                enum conn_state before = c->state;
                size_t n = before == CONN_HEAD ? take_head(c, str_skip(in, used)) : take_body(c, str_skip(in, used));
                used += n;
                if (c->state == CONN_LINGER)
                        return in.n;
                if (c->state == before && (n == 0 || used == in.n))
                        return used;
        }
}
