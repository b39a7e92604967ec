/* SPDX-License-Identifier: Apache-2.0 */
/* client_conn.c — channels and their connections on the loop: resolving, connecting, TLS, bytes, keepalive, GOAWAY,
 * back-off.
 *
 * A connection is closed by conn_close() and its memory goes with a message, so that callers up the stack may look at
 * conn->closed. nghttp2's callbacks never close: what they note is looked at when nghttp2 returned. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/grpc/client_impl.h"
#include "io/net.h"
#include "io/tls_impl.h"

enum { OUT_MARK_BYTES = 256 << 10, READS_PER_EVENT = 16, CONNECTION_WINDOW_BYTES = 1 << 30 };

static void set_state(struct grpc_channel *ch, enum grpc_channel_state s)
{
        atomic_store(&ch->state, s);
}

static void conn_free_message(void *arg)
{
        struct grpc_conn *k = arg;
        buf_done(&k->out);
        free(k);
}

/* Its calls end with that text; the channel forgets it. */
static void conn_close(struct grpc_conn *k, const char *why)
{
        if (k->closed)
                return;
        struct grpc_channel *ch = k->ch;
        struct loop *l = ch->cl->l;
        k->closed = true;
        loop_timer_clear(l, &k->timer);
        if (k->phase == GRPC_CONN_RESOLVE)
                resolver_cancel(&k->ask);
        if (k->on_loop)
                loop_fd_remove(l, &k->f);
        if (k->ssl) {
                ERR_clear_error();
                if (k->phase == GRPC_CONN_OPEN)
                        SSL_shutdown(k->ssl);
                SSL_free(k->ssl);
                ERR_clear_error();
        }
        if (k->f.fd >= 0)
                close(k->f.fd);
        LIST_EACH (it, &k->calls)
                grpc_call_end(CONTAINER_OF(it, struct grpc_call, link), false, GRPC_UNAVAILABLE, "%s", why);
        nghttp2_session_del(k->session);
        k->session = NULL;
        list_remove(&k->link);
        if (ch->current == k) {
                ch->current = NULL;
                if (atomic_load(&ch->state) != GRPC_FAILED)
                        set_state(ch, GRPC_IDLE);
        }
        loop_post(l, conn_free_message, k);
}

/* --- failing to connect --- */

static void end_waiting(struct grpc_channel *ch)
{
        LIST_EACH (it, &ch->waiting)
                grpc_call_end(CONTAINER_OF(it, struct grpc_call, link), false, GRPC_UNAVAILABLE, "%s", ch->last_error);
}

static void connect_failed(struct grpc_conn *k, const char *why)
{
        struct grpc_channel *ch = k->ch;
        double ms = (double)ch->o.backoff_ms;
        for (int i = 0; i < ch->failures && ms < (double)ch->o.backoff_max_ms; i++)
                ms *= 1.6;
        ms = MIN(ms, (double)ch->o.backoff_max_ms) * (0.8 + 0.4 * rand_unit(&ch->cl->rand));
        ch->failures++;
        ch->retry_at_ns = time_mono_ns() + (int64_t)(ms * 1e6);
        free(ch->last_error);
        ch->last_error = mem_strdup(why);
        set_state(ch, GRPC_FAILED);
        conn_close(k, why);
        end_waiting(ch);
}

static void dial_failed(struct grpc_conn *k, const char *where, const char *why)
{
        struct buf b = BUF_INIT(1024);
        buf_printf(&b, "connection error: desc = \"transport: Error while dialing: dial tcp%s%s: %s\"",
                   where[0] ? " " : "", where, why);
        connect_failed(k, buf_cstr(&b));
        buf_done(&b);
}

/* --- an open connection --- */

static bool lost(struct grpc_conn *k, const char *why)
{
        /* Before its SETTINGS a connection proves nothing: the next attempt waits. */
        if (!k->greeted && k->ch->current == k) {
                struct buf b = BUF_INIT(1024);
                buf_printf(&b, "connection error: desc = \"error reading server preface: %s\"", why);
                connect_failed(k, buf_cstr(&b));
                buf_done(&b);
        } else {
                conn_close(k, why);
        }
        return false;
}

static void conn_update(struct grpc_conn *k)
{
        uint32_t want = EPOLLIN | (k->write_blocked ? EPOLLOUT : 0);
        if (want != k->events) {
                k->events = want;
                loop_fd_change(k->ch->cl->l, &k->f, want);
        }
}

/* True: all written, or as much as goes now; false: the connection is gone. */
static bool write_out(struct grpc_conn *k)
{
        while (k->out_at < k->out.n) {
                ssize_t n = tls_write(k->f.fd, k->ssl, k->out.p + k->out_at, k->out.n - k->out_at);
                if (n < 0)
                        return lost(k, "error writing to server: broken pipe");
                if (n == 0) {
                        k->write_blocked = true;
                        return true;
                }
                k->out_at += (size_t)n;
        }
        buf_clear(&k->out);
        k->out_at = 0;
        k->write_blocked = false;
        return true;
}

void grpc_conn_flush(struct grpc_conn *k)
{
        if (k->closed || k->in_session || k->phase != GRPC_CONN_OPEN)
                return;
        for (;;) {
                ssize_t n = 0;
                k->in_session = true;
                while (k->out.n - k->out_at < OUT_MARK_BYTES) {
                        const uint8_t *p;
                        n = nghttp2_session_mem_send(k->session, &p);
                        if (n <= 0)
                                break;
                        buf_append(&k->out, p, (size_t)n);
                }
                k->in_session = false;
                if (n < 0) {
                        lost(k, nghttp2_strerror((int)n));
                        return;
                }
                if (!k->out.n)
                        break;
                if (!write_out(k))
                        return;
                if (k->write_blocked)
                        break;
        }
        conn_update(k);
}

/* It takes no more calls. */
static void retire(struct grpc_conn *k)
{
        k->ch->current = NULL;
        list_push_back(&k->ch->draining, &k->link);
        set_state(k->ch, GRPC_IDLE);
}

static void after_input(struct grpc_conn *k)
{
        struct grpc_channel *ch = k->ch;
        if (k->greeted && ch->failures)
                ch->failures = 0;
        if (k->goaway && ch->current == k)
                retire(k);
        grpc_conn_flush(k);
        if (!k->closed && ((k->goaway && list_is_empty(&k->calls)) ||
                           (!nghttp2_session_want_read(k->session) && !nghttp2_session_want_write(k->session))))
                conn_close(k, "the server sent GOAWAY");
        if (!list_is_empty(&ch->waiting) && !ch->closing)
                grpc_channel_kick(ch);
}

static void conn_readable(struct grpc_conn *k)
{
        char *scratch = k->ch->cl->scratch;
        for (int i = 0; !k->closed; i++) {
                if (i >= READS_PER_EVENT && !(k->ssl && SSL_has_pending(k->ssl)))
                        break;
                ssize_t n = tls_read(k->f.fd, k->ssl, scratch, CLIENT_SCRATCH_BYTES);
                if (n < 0) {
                        lost(k, "error reading from server: EOF");
                        return;
                }
                if (n == 0)
                        break;
                k->heard = true;
                k->in_session = true;
                ssize_t used = nghttp2_session_mem_recv(k->session, (const uint8_t *)scratch, (size_t)n);
                k->in_session = false;
                if (used < 0) {
                        char why[128];
                        snprintf(why, sizeof why, "error reading from server: %s", nghttp2_strerror((int)used));
                        lost(k, why);
                        return;
                }
                after_input(k);
        }
}

/* --- keepalive: the timer runs while there are calls --- */

static void keepalive_fire(struct loop_timer *t)
{
        struct grpc_conn *k = CONTAINER_OF(t, struct grpc_conn, timer);
        struct grpc_channel *ch = k->ch;
        if (k->pinging && !k->heard) {
                lost(k, "keepalive ping failed to receive ACK within timeout");
                return;
        }
        bool heard = k->heard;
        k->heard = k->pinging = false;
        if (list_is_empty(&k->calls))
                return;
        if (heard) {
                loop_timer_set(ch->cl->l, &k->timer, ch->o.keepalive_ms);
                return;
        }
        k->pinging = true;
        nghttp2_submit_ping(k->session, NGHTTP2_FLAG_NONE, NULL);
        loop_timer_set(ch->cl->l, &k->timer, ch->o.keepalive_timeout_ms);
        grpc_conn_flush(k);
}

void grpc_conn_watch(struct grpc_conn *k)
{
        if (k->timer.slot || k->ch->o.keepalive_ms < 0)
                return;
        k->heard = k->pinging = false;
        loop_timer_set(k->ch->cl->l, &k->timer, k->ch->o.keepalive_ms);
}

/* --- connecting --- */

static void conn_opened(struct grpc_conn *k)
{
        struct grpc_channel *ch = k->ch;
        loop_timer_clear(ch->cl->l, &k->timer);
        k->timer.fire = keepalive_fire;
        nghttp2_session_callbacks *cb = grpc_call_callbacks();
        nghttp2_option *options = NULL;
        int rc = nghttp2_option_new(&options);
        if (!rc) {
                nghttp2_option_set_no_auto_window_update(options, 1);
                rc = nghttp2_session_client_new2(&k->session, cb, k, options);
        }
        nghttp2_option_del(options);
        nghttp2_session_callbacks_del(cb);
        if (rc) {
                connect_failed(k, nghttp2_strerror(rc));
                return;
        }
        k->phase = GRPC_CONN_OPEN;
        nghttp2_settings_entry settings[] = {
                {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, ch->o.window_bytes},
                {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, CLIENT_HEADER_BYTES_MAX},
        };
        nghttp2_submit_settings(k->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings));
        nghttp2_session_set_local_window_size(k->session, NGHTTP2_FLAG_NONE, 0, CONNECTION_WINDOW_BYTES);
        set_state(ch, GRPC_READY);
        k->write_blocked = false;
        grpc_channel_kick(ch);
        if (k->closed)
                return;
        grpc_conn_flush(k);
        if (!k->closed && k->ssl) /* TLS may hold bytes that epoll does not know of */
                conn_readable(k);
}

static void handshake(struct grpc_conn *k)
{
        ERR_clear_error();
        int r = SSL_connect(k->ssl);
        struct error *e = NULL;
        if (r == 1) {
                const unsigned char *proto = NULL;
                unsigned n = 0;
                SSL_get0_alpn_selected(k->ssl, &proto, &n);
                if (n == 2 && memcmp(proto, "h2", 2) == 0) {
                        conn_opened(k);
                        return;
                }
                e = error_new(ERROR_IO, "credentials: cannot check peer: missing selected ALPN property");
        } else {
                int why = SSL_get_error(k->ssl, r);
                if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
                        k->write_blocked = why == SSL_ERROR_WANT_WRITE;
                        conn_update(k);
                        return;
                }
                e = tls_client_error(k->ssl, r);
        }
        struct buf b = BUF_INIT(1024);
        buf_printf(&b, "connection error: desc = \"transport: authentication handshake failed: %s\"", error_str(e));
        connect_failed(k, buf_cstr(&b));
        buf_done(&b);
        error_free(e);
}

static void try_address(struct grpc_conn *k);

static void drop_socket(struct grpc_conn *k)
{
        if (k->on_loop)
                loop_fd_remove(k->ch->cl->l, &k->f);
        k->on_loop = false;
        if (k->f.fd >= 0)
                close(k->f.fd);
        k->f.fd = -1;
}

static void address_failed(struct grpc_conn *k, int why)
{
        drop_socket(k);
        if (++k->at_address < k->addresses.n) {
                try_address(k);
                return;
        }
        struct error *e = error_errno(why, "connect");
        dial_failed(k, k->peer, error_str(e));
        error_free(e);
}

static void connected(struct grpc_conn *k)
{
        int why = 0;
        socklen_t n = sizeof why;
        getsockopt(k->f.fd, SOL_SOCKET, SO_ERROR, &why, &n);
        if (why) {
                address_failed(k, why);
                return;
        }
        struct grpc_channel *ch = k->ch;
        if (!ch->tls) {
                conn_opened(k);
                return;
        }
        struct error *e = tls_client_ssl(ch->tls, k->f.fd, ch->host, &k->ssl);
        if (e) {
                connect_failed(k, error_str(e));
                error_free(e);
                return;
        }
        k->phase = GRPC_CONN_HANDSHAKE;
        handshake(k);
}

static void conn_ready(struct loop_fd *f, uint32_t events)
{
        struct grpc_conn *k = CONTAINER_OF(f, struct grpc_conn, f);
        if (k->phase == GRPC_CONN_CONNECT) {
                connected(k);
                return;
        }
        if (k->phase == GRPC_CONN_HANDSHAKE) {
                handshake(k);
                return;
        }
        if (events & (EPOLLOUT | EPOLLERR | EPOLLHUP) && k->write_blocked) {
                k->write_blocked = false;
                grpc_conn_flush(k);
        }
        if (!k->closed && events & (EPOLLIN | EPOLLERR | EPOLLHUP))
                conn_readable(k);
}

static void try_address(struct grpc_conn *k)
{
        struct sockaddr *sa = (struct sockaddr *)&k->addresses.v[k->at_address];
        socklen_t n = sa->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
        if (sa->sa_family == AF_INET6)
                ((struct sockaddr_in6 *)sa)->sin6_port = htons(k->ch->port);
        else
                ((struct sockaddr_in *)sa)->sin_port = htons(k->ch->port);
        net_address_text(sa, k->peer);
        k->phase = GRPC_CONN_CONNECT;
        k->f.ready = conn_ready;
        k->f.fd = socket(sa->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        if (k->f.fd < 0) {
                address_failed(k, errno);
                return;
        }
        int one = 1;
        setsockopt(k->f.fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (connect(k->f.fd, sa, n) && errno != EINPROGRESS) {
                address_failed(k, errno);
                return;
        }
        k->write_blocked = true;
        k->events = EPOLLIN | EPOLLOUT;
        struct error *e = loop_fd_add(k->ch->cl->l, &k->f, k->events);
        if (e) {
                connect_failed(k, error_str(e));
                error_free(e);
                return;
        }
        k->on_loop = true;
}

static void resolved(struct resolver_ask *a, struct error *take_e, const struct resolver_answer *r)
{
        struct grpc_conn *k = CONTAINER_OF(a, struct grpc_conn, ask);
        k->phase = GRPC_CONN_CONNECT;
        if (take_e || !r->n) {
                dial_failed(k, "", take_e ? error_str(take_e) : "no addresses");
                error_free(take_e);
                return;
        }
        k->addresses = *r;
        try_address(k);
}

static void connect_timer(struct loop_timer *t)
{
        struct grpc_conn *k = CONTAINER_OF(t, struct grpc_conn, timer);
        if (k->phase == GRPC_CONN_HANDSHAKE)
                connect_failed(k, "connection error: desc = \"transport: authentication handshake failed: context "
                                  "deadline exceeded\"");
        else
                dial_failed(k, k->peer, "i/o timeout");
}

static void conn_new(struct grpc_channel *ch)
{
        struct grpc_client *cl = ch->cl;
        struct grpc_conn *k = mem_new(struct grpc_conn);
        k->ch = ch;
        k->f.fd = -1;
        list_init(&k->link);
        list_init(&k->calls);
        list_init(&k->ask.link);
        buf_init(&k->out, BUF_NO_LIMIT); /* OUT_MARK_BYTES and a frame */
        k->ask.done = resolved;
        k->timer.fire = connect_timer;
        ch->current = k;
        set_state(ch, GRPC_CONNECTING);
        loop_timer_set(cl->l, &k->timer, ch->o.connect_timeout_ms);
        struct resolver_answer literal = {.n = 1};
        if (resolver_literal(ch->host, &literal.v[0])) {
                k->addresses = literal;
                try_address(k);
                return;
        }
        struct error *e = cl->resolver ? NULL : resolver_new(cl->l, &cl->resolver);
        if (e) {
                k->phase = GRPC_CONN_CONNECT;
                dial_failed(k, "", error_str(e));
                error_free(e);
                return;
        }
        k->phase = GRPC_CONN_RESOLVE;
        resolver_ask(cl->resolver, ch->host, &k->ask);
}

void grpc_channel_kick(struct grpc_channel *ch)
{
        if (list_is_empty(&ch->waiting))
                return;
        if (!ch->current) {
                if (atomic_load(&ch->state) == GRPC_FAILED && time_mono_ns() < ch->retry_at_ns)
                        end_waiting(ch);
                else
                        conn_new(ch); /* may fail at once, and then ended them */
                return;
        }
        struct grpc_conn *k = ch->current;
        if (k->phase != GRPC_CONN_OPEN)
                return;
        if (!nghttp2_session_check_request_allowed(k->session)) { /* GOAWAY, or its stream numbers are used up */
                k->goaway = true;
                retire(k);
                conn_new(ch);
                return;
        }
        LIST_EACH (it, &ch->waiting) {
                struct grpc_call *c = CONTAINER_OF(it, struct grpc_call, link);
                int rc = grpc_call_submit(c, k);
                if (rc)
                        grpc_call_end(c, false, GRPC_UNAVAILABLE, "%s", nghttp2_strerror(rc));
        }
        grpc_conn_watch(k);
        grpc_conn_flush(k);
}

void grpc_channel_close(struct grpc_channel *ch)
{
        ch->closing = true;
        LIST_EACH (it, &ch->waiting)
                grpc_call_end(CONTAINER_OF(it, struct grpc_call, link), true, GRPC_CANCELLED,
                              "grpc: the client connection is closing");
        LIST_EACH (it, &ch->draining)
                conn_close(CONTAINER_OF(it, struct grpc_conn, link), "grpc: the client connection is closing");
        if (ch->current)
                conn_close(ch->current, "grpc: the client connection is closing");
}
