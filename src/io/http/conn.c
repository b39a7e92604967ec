/* SPDX-License-Identifier: Apache-2.0 */
/* conn.c — a connection of the server on its loop: bytes in and out, TLS, time-outs. What the bytes mean: conn_h1.c,
 * conn_h2.c. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/http/server_impl.h"
#include "io/tls_impl.h"

enum { READS_PER_EVENT = 8 }; /* then others have their turn */

static void conn_free_message(void *arg)
{
        struct conn *c = arg;
        struct http_server *s = c->sl->s;
        exchange_free(c->spare);
        buf_done(&c->in);
        buf_done(&c->out);
        free(c);
        server_conn_gone(s);
}

void conn_close(struct conn *c, bool timed_out)
{
        if (c->closed)
                return;
        c->closed = true;
        loop_timer_clear(c->sl->l, &c->timer);
        loop_fd_remove(c->sl->l, &c->f);
        if (c->ssl) {
                ERR_clear_error();
                if (c->handshaken && !timed_out)
                        SSL_shutdown(c->ssl);
                SSL_free(c->ssl);
                ERR_clear_error();
        }
        close(c->f.fd);
        struct exchange *x = c->ex;
        c->ex = NULL;
        if (x) {
                exchange_lose_conn(x, timed_out);
        }
        h2_close(c, timed_out);
        list_remove(&c->link);
        loop_post(c->sl->l, conn_free_message, c);
}

void conn_deadline(struct conn *c, int64_t after_ms)
{
        c->deadline_ns = time_mono_ns() + after_ms * 1000000;
        /* A timer that fires too early sets itself again: most deadlines move on before they are reached. */
        if (!c->timer.slot || c->timer.at_ns > c->deadline_ns)
                loop_timer_set_ns(c->sl->l, &c->timer, c->deadline_ns);
}

static bool is_busy(const struct conn *c)
{
        return c->proto == CONN_HTTP2 ? !h2_is_idle(c) : c->state == CONN_BUSY;
}

static void conn_timer(struct loop_timer *t)
{
        struct conn *c = CONTAINER_OF(t, struct conn, timer);
        if (time_mono_ns() < c->deadline_ns) {
                loop_timer_set_ns(c->sl->l, &c->timer, c->deadline_ns);
                return;
        }
        /* While a handler works and the client takes what there is, nobody is late. */
        if (is_busy(c) && !c->write_blocked && c->state != CONN_LINGER) {
                conn_deadline(c, c->sl->s->o.read_timeout_ms);
                return;
        }
        conn_close(c, true);
}

bool conn_wants_input(const struct conn *c)
{
        if (c->eof)
                return false;
        if (c->proto == CONN_HTTP2)
                return c->out.n - c->out_at < OUT_MARK_BYTES; /* answers to PING and SETTINGS must not pile up */
        return c->state != CONN_BUSY || c->in.n < SCRATCH_BYTES;
}

void conn_update(struct conn *c)
{
        if (c->closed)
                return;
        uint32_t want = (conn_wants_input(c) ? EPOLLIN : 0) | (c->write_blocked ? EPOLLOUT : 0);
        if (want != c->events) {
                c->events = want;
                loop_fd_change(c->sl->l, &c->f, want);
        }
}

static ssize_t conn_read(struct conn *c, void *p, size_t n)
{
        return tls_read(c->f.fd, c->ssl, p, n);
}

bool conn_flush(struct conn *c)
{
        bool was_blocked = c->write_blocked, moved = false;
        while (!c->closed && c->out_at < c->out.n) {
                ssize_t n = tls_write(c->f.fd, c->ssl, c->out.p + c->out_at, c->out.n - c->out_at);
                if (n < 0) {
                        conn_close(c, false);
                        return false;
                }
                if (n == 0) {
                        c->write_blocked = true;
                        if (!was_blocked || moved)
                                conn_deadline(c, c->sl->s->o.write_timeout_ms);
                        conn_update(c);
                        return false;
                }
                moved = true;
                c->out_at += (size_t)n;
        }
        if (c->closed)
                return false;
        buf_clear(&c->out);
        c->out_at = 0;
        if (c->write_blocked) {
                c->write_blocked = false;
                conn_deadline(c, c->sl->s->o.read_timeout_ms);
                conn_update(c);
        }
        return true;
}

static bool is_preface_so_far(Str in)
{
        size_t n = MIN(in.n, h2_preface.n);
        return memcmp(in.p, h2_preface.p, n) == 0;
}

static size_t understand(struct conn *c, Str in)
{
        if (c->proto == CONN_NEW) {
                if (is_preface_so_far(in)) {
                        if (in.n < h2_preface.n)
                                return 0;
                        struct error *e = h2_start(c);
                        if (e) {
                                error_ignore(e, "out of memory for one connection: it is dropped");
                                conn_close(c, false);
                                return 0;
                        }
                } else {
                        c->proto = CONN_HTTP1;
                }
        }
        return c->proto == CONN_HTTP2 ? h2_input(c, in) : h1_input(c, in);
}

static void conn_input(struct conn *c)
{
        if (c->in_input || c->closed || !c->in.n)
                return;
        c->in_input = true;
        size_t used = understand(c, buf_str(&c->in));
        c->in_input = false;
        if (!c->closed && c->in.n) /* lingering empties it */
                buf_drop_front(&c->in, used);
}

static void conn_received(struct conn *c, Str piece)
{
        if (c->in.n) {
                buf_put(&c->in, piece);
                conn_input(c);
                return;
        }
        c->in_input = true;
        size_t used = understand(c, piece);
        c->in_input = false;
        if (!c->closed && used < piece.n)
                buf_put(&c->in, str_skip(piece, used));
}

static void conn_readable(struct conn *c)
{
        for (int i = 0; !c->closed && conn_wants_input(c); i++) {
                /* TLS keeps decrypted bytes that epoll does not know of: read on until there are none. */
                if (i >= READS_PER_EVENT && !(c->ssl && SSL_has_pending(c->ssl)))
                        break;
                ssize_t n;
                struct exchange *x = c->ex;
                if (c->proto == CONN_HTTP1 && c->state == CONN_BODY && !c->is_chunked && !c->in.n && x) {
                        /* A body of known length is read where it will stay. */
                        size_t want = (size_t)MIN(c->body_left, (uint64_t)SCRATCH_BYTES * 4);
                        char *p = buf_reserve(&x->body, want);
                        n = p ? conn_read(c, p, want) : -1;
                        if (n > 0) {
                                x->body.n += (size_t)n;
                                c->body_left -= (uint64_t)n;
                                c->in_input = true;
                                h1_input(c, STR(""));
                                c->in_input = false;
                        }
                        if (n > 0 && (size_t)n == want)
                                continue;
                } else {
                        n = conn_read(c, c->sl->scratch, SCRATCH_BYTES);
                        if (n > 0)
                                conn_received(c, (Str){c->sl->scratch, (size_t)n});
                        if (n == SCRATCH_BYTES)
                                continue;
                }
                if (n < 0 && !c->closed) {
                        c->eof = true;
                        if (c->proto == CONN_HTTP1)
                                h1_eof(c);
                        else
                                conn_close(c, false);
                }
                if (n <= 0 || !c->ssl)
                        break;
        }
        conn_update(c);
}

void conn_resume(struct conn *c)
{
        if (c->in_input)
                return; /* the caller up the stack goes on */
        conn_input(c);
        if (!c->closed && c->ssl && SSL_has_pending(c->ssl))
                conn_readable(c);
        else
                conn_update(c);
}

static void handshake(struct conn *c)
{
        ERR_clear_error();
        int r = SSL_accept(c->ssl);
        if (r == 1) {
                c->handshaken = true;
                const unsigned char *proto = NULL;
                unsigned n = 0;
                SSL_get0_alpn_selected(c->ssl, &proto, &n);
                if (n == 2 && memcmp(proto, "h2", 2) == 0) {
                        struct error *e = h2_start(c);
                        if (e) {
                                error_ignore(e, "out of memory for one connection: it is dropped");
                                conn_close(c, false);
                                return;
                        }
                }
                c->write_blocked = false;
                conn_update(c);
                conn_readable(c);
                return;
        }
        int why = SSL_get_error(c->ssl, r);
        c->write_blocked = why == SSL_ERROR_WANT_WRITE;
        if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
                conn_close(c, false);
        conn_update(c);
}

static void conn_ready(struct loop_fd *f, uint32_t events)
{
        struct conn *c = CONTAINER_OF(f, struct conn, f);
        if (c->ssl && !c->handshaken) {
                handshake(c);
                return;
        }
        if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP) && c->write_blocked) {
                if (c->proto == CONN_HTTP2)
                        h2_flush(c);
                else if (c->state == CONN_LINGER && conn_flush(c))
                        h1_linger(c);
                else if (c->state != CONN_LINGER)
                        h1_pump(c);
        }
        if (c->closed)
                return;
        if (events & (EPOLLERR | EPOLLHUP) && !conn_wants_input(c)) {
                conn_close(c, false);
                return;
        }
        if (events & (EPOLLIN | EPOLLERR | EPOLLHUP))
                conn_readable(c);
}

void conn_start(struct server_loop *sl, int fd, const char *peer)
{
        struct conn *c = mem_new(struct conn);
        c->sl = sl;
        c->f = (struct loop_fd){.fd = fd, .ready = conn_ready};
        c->timer.fire = conn_timer;
        c->state = CONN_HEAD;
        snprintf(c->peer, sizeof c->peer, "%s", peer);
        buf_init(&c->in, BUF_NO_LIMIT); /* bounded by conn_wants_input and the limits of heads */
        buf_init(&c->out, BUF_NO_LIMIT);
        list_init(&c->link);
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        struct error *e = sl->s->tls ? tls_server_ssl(sl->s->tls, fd, &c->ssl) : NULL;
        c->events = EPOLLIN;
        if (!e)
                e = loop_fd_add(sl->l, &c->f, EPOLLIN);
        if (e) {
                error_ignore(
                        e, "a certificate that cannot be read now, or no memory: the client sees a closed connection");
                SSL_free(c->ssl);
                close(fd);
                buf_done(&c->in);
                free(c);
                server_conn_gone(sl->s);
                return;
        }
        list_push_back(&sl->conns, &c->link);
        conn_deadline(c, sl->s->o.read_timeout_ms);
        if (atomic_load(&sl->s->stopping))
                conn_close(c, false);
}

/* --- from the handlers --- */

void exchange_pump(struct exchange *x)
{
        struct conn *c = x->conn;
        if (!c)
                return;
        if (c->proto == CONN_HTTP2)
                h2_pump(x);
        else
                h1_pump(c);
}

void exchange_pump_message(void *arg)
{
        struct exchange *x = arg;
        mutex_lock(&x->mu);
        x->posted = false;
        mutex_unlock(&x->mu);
        exchange_pump(x);
}

void exchange_done_message(void *arg)
{
        struct exchange *x = arg;
        x->handler_done = true;
        if (!x->conn)
                exchange_free(x);
        else
                exchange_pump(x);
}
