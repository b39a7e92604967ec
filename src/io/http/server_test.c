/* SPDX-License-Identifier: Apache-2.0 */
#include "io/http/server.h"

#include <stdatomic.h>
#include <stdio.h>
#include <sys/time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/thread.h"
#include "codec/compress.h"
#include "io/http/test_client.h"
#include "io/loop.h"

struct fixture {
        struct http_server *s;
        int port;
        _Atomic int runs, done_calls, writes_failed, cancelled;
        _Atomic int last_kind; /* of the error a handler's write gave */
        struct mutex mu;
        struct cond changed;
        bool open;   /* guarded by mu: handlers of /wait go on */
        int waiting; /* guarded by mu */
};

static void say_hello(struct http_request *r, void *ctx)
{
        struct fixture *f = ctx;
        atomic_fetch_add(&f->runs, 1);
        http_replyf(r, 200, "text/plain; charset=utf-8", "hello %.*s", STR_ARG(r->path));
}
static void echo(struct http_request *r, void *ctx)
{
        (void)ctx;
        http_reply(r, 200, "application/octet-stream", r->body);
}
static void stream(struct http_request *r, void *ctx)
{
        struct fixture *f = ctx;
        struct http_form form;
        uint64_t pieces = 0, bytes = 0;
        CHECK_OK(http_request_form(r, &form));
        CHECK(str_to_u64(http_form_get(&form, STR("pieces")), &pieces));
        CHECK(str_to_u64(http_form_get(&form, STR("bytes")), &bytes));
        char *p = mem_alloc(bytes);
        http_begin(r, 200, "text/plain");
        for (uint64_t i = 0; i < pieces; i++) {
                memset(p, 'a' + (int)(i % 26), bytes);
                struct error *e = http_write(r, (Str){p, bytes});
                if (e) {
                        f->last_kind = (int)error_get_kind(e);
                        atomic_fetch_add(&f->writes_failed, 1);
                        error_free(e);
                        break;
                }
        }
        free(p);
        http_end(r);
}
static void wait_open(struct http_request *r, void *ctx)
{
        struct fixture *f = ctx;
        mutex_lock(&f->mu);
        f->waiting++;
        cond_broadcast(&f->changed);
        while (!f->open)
                cond_wait(&f->changed, &f->mu);
        f->waiting--;
        mutex_unlock(&f->mu);
        http_reply(r, 200, NULL, STR("opened"));
}
static void wait_cancel(struct http_request *r, void *ctx)
{
        struct fixture *f = ctx;
        mutex_lock(&f->mu);
        f->waiting++;
        cond_broadcast(&f->changed);
        while (!http_request_gone(r))
                cond_wait_ms(&f->changed, &f->mu, 5);
        f->waiting--;
        mutex_unlock(&f->mu);
        CHECK(*http_request_cancel_flag(r));
        atomic_fetch_add(&f->cancelled, 1);
        http_reply(r, 503, NULL, STR("cancelled"));
}
static void answer_nothing(struct http_request *r, void *ctx)
{
        (void)r;
        (void)ctx;
}
static void abort_it(struct http_request *r, void *ctx)
{
        (void)ctx;
        http_begin(r, 200, "text/plain");
        error_ignore(http_write(r, STR("half of ")), "test");
        error_ignore(http_flush(r), "test");
        http_abort(r);
}
static void set_headers(struct http_request *r, void *ctx)
{
        (void)ctx;
        http_set_header(r, "X-A", STR("1"));
        http_set_header(r, "x-a", STR("2\r\nX-Evil: yes"));
        http_reply(r, 201, "text/plain", STR(""));
}
static void count_done(void *ctx, const char *route, const struct http_request *r, int status, uint64_t body_bytes,
                       int64_t ns)
{
        struct fixture *f = ctx;
        (void)route;
        (void)r;
        CHECK(status >= 200 && ns >= 0 && body_bytes < 1 << 30);
        atomic_fetch_add(&f->done_calls, 1);
}

static void fixture_init_with(struct fixture *f, struct http_server_opts o)
{
        memset(f, 0, sizeof *f);
        mutex_init(&f->mu);
        cond_init(&f->changed);
        o.name = "test";
        o.loops = o.loops ? o.loops : 2;
        o.done = count_done;
        o.ctx = f;
        CHECK_OK(http_server_new(&o, &f->s));
        http_server_handle(f->s, "/hello", HTTP_GET | HTTP_HEAD, 0, say_hello, f);
        http_server_handle(f->s, "/inline", HTTP_GET, HTTP_INLINE, say_hello, f);
        http_server_handle(f->s, "/label/:name/values", HTTP_GET, HTTP_INLINE, say_hello, f);
        http_server_handle(f->s, "/static/", HTTP_GET, HTTP_INLINE | HTTP_PREFIX, say_hello, f);
        http_server_handle(f->s, "/static/js/", HTTP_GET | HTTP_POST, HTTP_INLINE | HTTP_PREFIX, set_headers, f);
        http_server_handle(f->s, "/echo", HTTP_POST | HTTP_PUT, 0, echo, f);
        http_server_handle(f->s, "/echo-inline", HTTP_POST, HTTP_INLINE, echo, f);
        http_server_handle(f->s, "/stream", HTTP_GET | HTTP_HEAD, 0, stream, f);
        http_server_handle(f->s, "/wait", HTTP_GET, 0, wait_open, f);
        http_server_handle(f->s, "/cancel", HTTP_GET, 0, wait_cancel, f);
        http_server_handle(f->s, "/nothing", HTTP_GET, 0, answer_nothing, f);
        http_server_handle(f->s, "/abort", HTTP_GET, 0, abort_it, f);
        http_server_handle(f->s, "/headers", HTTP_GET, 0, set_headers, f);
        CHECK_OK(http_server_listen(f->s, "127.0.0.1:0"));
        CHECK_OK(http_server_start(f->s));
        f->port = http_server_port(f->s, 0);
}
static void fixture_init(struct fixture *f)
{
        fixture_init_with(f, (struct http_server_opts){0});
}
static void fixture_done(struct fixture *f)
{
        http_server_stop(f->s, 0);
        http_server_free(f->s);
        cond_done(&f->changed);
        mutex_done(&f->mu);
}
static void fixture_open(struct fixture *f)
{
        mutex_lock(&f->mu);
        f->open = true;
        cond_broadcast(&f->changed);
        mutex_unlock(&f->mu);
}
static void until_waiting(struct fixture *f, int n)
{
        mutex_lock(&f->mu);
        while (f->waiting < n)
                cond_wait(&f->changed, &f->mu);
        mutex_unlock(&f->mu);
}
static void until_no_connection(struct fixture *f)
{
        while (http_server_connections(f->s))
                usleep(1000);
}

static void ask_case(struct fixture *f, const char *request, int status, const char *body)
{
        struct test_client c;
        test_client_open(&c, f->port);
        test_client_send(&c, str_from(request));
        CHECK_MSG(test_client_answer(&c), "no answer to %s", request);
        CHECK_MSG(c.status == status, "%s: got %d, want %d", request, c.status, status);
        CHECK_STR(c.body, body);
        test_client_close(&c);
}

TEST(http_server, routes_by_path_method_prefix_and_name)
{
        struct fixture f;
        fixture_init(&f);
        ask_case(&f, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", 200, "hello /hello");
        ask_case(&f, "GET /hello?x=1 HTTP/1.0\r\n\r\n", 200, "hello /hello");
        ask_case(&f, "GET http://a.example/inline HTTP/1.1\r\nHost: a\r\n\r\n", 200, "hello /inline");
        ask_case(&f, "GET /label/a%2Fb%20c/values HTTP/1.1\r\nHost: a\r\n\r\n", 404, "404 page not found\n");
        ask_case(&f, "GET /label/a%20c/values HTTP/1.1\r\nHost: a\r\n\r\n", 200, "hello /label/a c/values");
        ask_case(&f, "GET /static/a/b HTTP/1.1\r\nHost: a\r\n\r\n", 200, "hello /static/a/b");
        ask_case(&f, "POST /static/js/x HTTP/1.1\r\nHost: a\r\n\r\n", 201, "");
        ask_case(&f, "POST /hello HTTP/1.1\r\nHost: a\r\n\r\n", 405, "Method Not Allowed\n");
        ask_case(&f, "GET /nope HTTP/1.1\r\nHost: a\r\n\r\n", 404, "404 page not found\n");
        ask_case(&f, "GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 500, "Internal Server Error\n");
        fixture_done(&f);
}

TEST(http_server, refuses_what_two_readers_could_understand_differently)
{
        struct fixture f;
        fixture_init(&f);
        ask_case(&f, "GET /hello HTTP/1.1\r\n\r\n", 400, "400 Bad Request: missing required Host header");
        ask_case(&f,
                 "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                 400, "400 Bad Request: ambiguous length of the body");
        ask_case(&f, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501,
                 "501 Not Implemented: unsupported transfer encoding");
        ask_case(&f, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n+1\r\nx\r\n0\r\n\r\n", 400,
                 "400 Bad Request: malformed chunked encoding");
        ask_case(&f, "\x16\x03\x01\x02\n\n", 400, "400 Bad Request: malformed HTTP request line");
        ask_case(&f, "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400, "400 Bad Request");
        ask_case(&f, "GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505,
                 "505 HTTP Version Not Supported: unsupported protocol version");
        CHECK_I64(f.runs, 0);
        fixture_done(&f);
}

TEST(http_server, keeps_connections_and_answers_pipelined_requests_in_order)
{
        struct fixture f;
        fixture_init(&f);
        struct test_client c;
        test_client_open(&c, f.port);
        struct buf all = BUF_INIT(1 << 20);
        for (int i = 0; i < 40; i++)
                buf_printf(&all, "POST /echo%s HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n%04d",
                           i % 3 ? "" : "-inline", i);
        test_client_send(&c, buf_str(&all));
        for (int i = 0; i < 40; i++) {
                CHECK(test_client_answer(&c));
                CHECK_I64(c.status, 200);
                CHECK_I64(atoi((char[]){c.body.p[0], c.body.p[1], c.body.p[2], c.body.p[3], 0}), i);
        }
        CHECK_I64(http_server_connections(f.s), 1);
        test_client_send(&c, STR("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
        CHECK(test_client_answer(&c));
        CHECK_STR(test_client_header(&c, "Connection"), "close");
        CHECK(test_client_at_end(&c));
        test_client_close(&c);
        buf_done(&all);
        fixture_done(&f);
}

TEST(http_server, takes_a_request_byte_by_byte_and_chunked)
{
        struct fixture f;
        fixture_init(&f);
        Str request = STR("\r\nPOST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                          "5;ext=1\r\nhello\r\n1 \r\n \r\n0005\r\nworld\r\n0\r\nTrailer: x\r\n\r\n");
        struct test_client c;
        test_client_open(&c, f.port);
        for (int round = 0; round < 2; round++) {
                for (size_t i = 0; i < request.n; i++)
                        test_client_send(&c, str_sub(request, i, i + 1));
                CHECK(test_client_answer(&c));
                CHECK_STR(c.body, "hello world");
        }
        test_client_close(&c);
        fixture_done(&f);
}

TEST(http_server, sends_continue_before_the_body_when_asked)
{
        struct fixture f;
        fixture_init(&f);
        struct test_client c;
        test_client_open(&c, f.port);
        test_client_send(&c, STR("PUT /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"));
        CHECK(test_client_answer(&c));
        CHECK_I64(c.status, 100);
        test_client_send(&c, STR("ok"));
        CHECK(test_client_answer(&c));
        CHECK_I64(c.status, 200);
        CHECK_STR(c.body, "ok");
        test_client_close(&c);
        fixture_done(&f);
}

TEST(http_server, bounds_heads_and_bodies)
{
        struct fixture f;
        fixture_init_with(&f, (struct http_server_opts){.header_bytes_max = 2000, .body_bytes_max = 100000});
        struct buf b = BUF_INIT(1 << 20);
        buf_puts(&b, "GET /hello HTTP/1.1\r\nHost: a\r\nX: ");
        for (int i = 0; i < 3000; i++)
                buf_putc(&b, 'x');
        ask_case(&f, buf_cstr(&b), 431, "431 Request Header Fields Too Large");
        ask_case(&f, "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\n", 413,
                 "413 Request Entity Too Large");
        buf_clear(&b);
        buf_puts(&b, "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1ffff\r\n");
        for (int i = 0; i < 0x1ffff; i++)
                buf_putc(&b, 'x');
        ask_case(&f, buf_cstr(&b), 413, "413 Request Entity Too Large");
        ask_case(&f, "POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 90000\r\n\r\n", 405, "Method Not Allowed\n");
        buf_done(&b);
        fixture_done(&f);
}

TEST(http_server, answers_HEAD_without_a_body)
{
        struct fixture f;
        fixture_init(&f);
        struct test_client c;
        test_client_open(&c, f.port);
        test_client_send(&c, STR("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\nHEAD /stream?pieces=3&bytes=50000 "
                                 "HTTP/1.1\r\nHost: a\r\n\r\n"
                                 "HEAD /inline HTTP/1.1\r\nHost: a\r\n\r\n"
                                 "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
        CHECK(test_client_answer_to(&c, true));
        CHECK_STR(test_client_header(&c, "Content-Length"), "12");
        CHECK(test_client_answer_to(&c, true));
        CHECK_STR(test_client_header(&c, "Transfer-Encoding"), "chunked");
        CHECK(test_client_answer_to(&c, true)); /* not a method of that route */
        CHECK_I64(c.status, 405);
        CHECK(test_client_answer(&c));
        CHECK_STR(c.body, "hello /hello");
        test_client_close(&c);
        fixture_done(&f);
}

static void stream_case(struct fixture *f, const char *version, const char *accept, uint64_t pieces, uint64_t bytes)
{
        struct test_client c;
        test_client_open(&c, f->port);
        char request[300];
        snprintf(request, sizeof request,
                 "GET /stream?pieces=%d&bytes=%d HTTP/%s\r\nHost: a\r\nAccept-Encoding: %s\r\n\r\n", (int)pieces,
                 (int)bytes, version, accept);
        test_client_send(&c, str_from(request));
        CHECK(test_client_answer(&c));
        CHECK_I64(c.status, 200);
        struct buf plain = BUF_INIT(pieces * bytes + 1);
        Str got = c.body;
        if (*accept) {
                CHECK_STR(test_client_header(&c, "Content-Encoding"), accept);
                CHECK_OK(gzip_uncompress(c.body, &plain));
                got = buf_str(&plain);
        }
        CHECK_STR(test_client_header(&c, "Vary"), "Accept-Encoding");
        CHECK_U64(got.n, pieces * bytes);
        for (uint64_t i = 0; i < got.n; i++)
                if (got.p[i] != 'a' + (int)(i / bytes % 26))
                        CHECK_MSG(false, "byte %d is '%c'", (int)i, got.p[i]);
        buf_done(&plain);
        test_client_close(&c);
}
TEST(http_write, streams_more_than_the_mark_in_every_form)
{
        struct fixture f;
        fixture_init(&f);
        stream_case(&f, "1.1", "", 10, 100);
        stream_case(&f, "1.1", "", 3000, 1000);
        stream_case(&f, "1.1", "", 3, 5000000);
        stream_case(&f, "1.0", "", 30, 100000);
        stream_case(&f, "1.1", "gzip", 30, 100000);
        stream_case(&f, "1.1", "gzip", 2, 600);
        fixture_done(&f);
}

TEST(http_write, waits_for_a_slow_client_and_fails_when_it_leaves)
{
        struct fixture f;
        fixture_init(&f);
        struct test_client c;
        test_client_open(&c, f.port);
        test_client_send(&c, STR("GET /stream?pieces=1000&bytes=1000000 HTTP/1.1\r\nHost: a\r\n\r\n"));
        CHECK(test_client_more(&c));
        close(c.fd);
        buf_done(&c.in);
        until_no_connection(&f);
        while (!f.writes_failed)
                usleep(1000);
        CHECK_I64(f.last_kind, ERROR_CANCELLED);
        fixture_done(&f);
}

TEST(http_write, fails_when_the_client_does_not_read)
{
        struct fixture f;
        fixture_init_with(&f, (struct http_server_opts){.write_timeout_ms = 50});
        struct test_client c;
        test_client_open(&c, f.port);
        test_client_send(&c, STR("GET /stream?pieces=1000&bytes=1000000 HTTP/1.1\r\nHost: a\r\n\r\n"));
        while (!f.writes_failed)
                usleep(1000);
        CHECK_I64(f.last_kind, ERROR_TIMEOUT);
        test_client_close(&c);
        fixture_done(&f);
}

TEST(http_server, closes_connections_that_take_too_long_to_ask)
{
        struct fixture f;
        fixture_init_with(&f, (struct http_server_opts){.read_timeout_ms = 50});
        struct test_client idle, head, body;
        test_client_open(&idle, f.port);
        test_client_open(&head, f.port);
        test_client_open(&body, f.port);
        test_client_send(&head, STR("GET /hello HTTP/1.1\r\nHos"));
        test_client_send(&body, STR("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc"));
        CHECK(test_client_at_end(&idle));
        CHECK(test_client_at_end(&head));
        CHECK(test_client_at_end(&body));
        test_client_close(&idle);
        test_client_close(&head);
        test_client_close(&body);
        fixture_done(&f);
}

TEST(http_request_gone, is_told_when_the_client_leaves_or_shuts_its_side)
{
        struct fixture f;
        fixture_init(&f);
        struct test_client a, b;
        test_client_open(&a, f.port);
        test_client_open(&b, f.port);
        test_client_send(&a, STR("GET /cancel HTTP/1.1\r\nHost: a\r\n\r\n"));
        test_client_send(&b, STR("GET /cancel HTTP/1.1\r\nHost: a\r\n\r\n"));
        until_waiting(&f, 2);
        close(a.fd);
        shutdown(b.fd, SHUT_WR);
        CHECK(test_client_answer(&b)); /* half closed: it still gets its answer */
        CHECK_I64(b.status, 503);
        CHECK(test_client_at_end(&b));
        buf_done(&a.in);
        test_client_close(&b);
        until_no_connection(&f);
        CHECK_I64(f.cancelled, 2);
        fixture_done(&f);
}

TEST(http_abort, cuts_the_answer)
{
        struct fixture f;
        fixture_init(&f);
        struct test_client c;
        test_client_open(&c, f.port);
        test_client_send(&c, STR("GET /abort HTTP/1.1\r\nHost: a\r\n\r\n"));
        CHECK(!test_client_answer(&c));
        CHECK(str_contains(buf_str(&c.in), STR("half of ")));
        test_client_close(&c);
        fixture_done(&f);
}

TEST(http_set_header, replaces_and_lets_no_line_break_through)
{
        struct fixture f;
        fixture_init(&f);
        struct test_client c;
        test_client_open(&c, f.port);
        test_client_send(&c, STR("GET /headers HTTP/1.1\r\nHost: a\r\n\r\n"));
        CHECK(test_client_answer(&c));
        CHECK_I64(c.status, 201);
        CHECK_STR(test_client_header(&c, "X-A"), "2  X-Evil: yes");
        CHECK_STR(test_client_header(&c, "X-Evil"), "");
        test_client_close(&c);
        fixture_done(&f);
}

TEST(http_server, leaves_further_connections_in_the_backlog)
{
        struct fixture f;
        fixture_init_with(&f, (struct http_server_opts){.connections_max = 2});
        struct test_client c[3];
        for (int i = 0; i < 3; i++) {
                test_client_open(&c[i], f.port);
                test_client_send(&c[i], STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
        }
        CHECK(test_client_answer(&c[0]));
        CHECK(test_client_answer(&c[1]));
        CHECK_I64(recv(c[2].fd, (char[1]){0}, 1, MSG_DONTWAIT), -1);
        CHECK_I64(http_server_connections(f.s), 2);
        test_client_close(&c[0]);
        CHECK(test_client_answer(&c[2]));
        test_client_close(&c[1]);
        test_client_close(&c[2]);
        until_no_connection(&f);
        CHECK_I64(f.done_calls, 3);
        fixture_done(&f);
}

struct stopper {
        struct fixture *f;
        int64_t grace_ms;
};
static void stop_it(void *arg)
{
        struct stopper *s = arg;
        http_server_stop(s->f->s, s->grace_ms);
}
TEST(http_server_stop, lets_open_requests_end_and_closes_idle_connections)
{
        struct fixture f;
        fixture_init(&f);
        struct test_client idle, busy;
        test_client_open(&idle, f.port);
        test_client_send(&idle, STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
        CHECK(test_client_answer(&idle));
        test_client_open(&busy, f.port);
        test_client_send(&busy, STR("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n"));
        until_waiting(&f, 1);
        struct stopper s = {&f, 60000};
        struct thread t;
        CHECK_OK(thread_start(&t, "stopper", stop_it, &s));
        CHECK(test_client_at_end(&idle));
        fixture_open(&f);
        CHECK(test_client_answer(&busy));
        CHECK_STR(busy.body, "opened");
        CHECK_STR(test_client_header(&busy, "Connection"), "close");
        CHECK(test_client_at_end(&busy));
        thread_join(&t);
        test_client_close(&idle);
        test_client_close(&busy);
        fixture_done(&f);
}
TEST(http_server_stop, cancels_what_does_not_end_within_the_grace)
{
        struct fixture f;
        fixture_init(&f);
        struct test_client c;
        test_client_open(&c, f.port);
        test_client_send(&c, STR("GET /cancel HTTP/1.1\r\nHost: a\r\n\r\n"));
        until_waiting(&f, 1);
        http_server_stop(f.s, 1);
        CHECK_I64(f.cancelled, 1);
        test_client_close(&c);
        fixture_done(&f);
}

TEST(http_server_listen, words_its_errors_as_Go_does)
{
        struct fixture f;
        fixture_init(&f);
        struct http_server *s = NULL;
        CHECK_OK(http_server_new(&(struct http_server_opts){.loops = 1}, &s));
        char address[40], want[120];
        snprintf(address, sizeof address, "127.0.0.1:%d", f.port);
        snprintf(want, sizeof want, "listen tcp %s: bind: address already in use", address);
        CHECK_ERROR(http_server_listen(s, address), want);
        CHECK_ERROR(http_server_listen(s, "127.0.0.1"), "listen tcp: address 127.0.0.1: missing port in address");
        CHECK_ERROR(http_server_listen(s, "::1:9"), "listen tcp: address ::1:9: too many colons in address");
        CHECK_ERROR(http_server_listen(s, "127.0.0.1:99999"), "listen tcp: address 99999: invalid port");
        CHECK_OK(http_server_listen(s, "localhost:0"));
        CHECK_OK(http_server_listen(s, ":0"));
        CHECK(http_server_port(s, 0) > 0 && http_server_port(s, 1) > 0);
        http_server_free(s); /* never started */
        fixture_done(&f);
}

static bool refuse_secret(struct http_request *r, void *ctx)
{
        (void)ctx;
        if (!str_has_prefix(r->path, STR("/hello")))
                return true;
        http_reply(r, 401, "text/plain", STR("Unauthorized\n"));
        return false;
}
TEST(http_server, asks_the_gate_before_routes)
{
        struct fixture f;
        fixture_init_with(&f, (struct http_server_opts){.gate = refuse_secret});
        ask_case(&f, "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n", 401, "Unauthorized\n");
        ask_case(&f, "GET /inline HTTP/1.1\r\nHost: a\r\n\r\n", 200, "hello /inline");
        CHECK_I64(f.runs, 1);
        fixture_done(&f);
}

struct hammer {
        struct fixture *f;
        int rounds;
};
static void hammer(void *arg)
{
        struct hammer *h = arg;
        for (int i = 0; i < h->rounds; i++) {
                struct test_client c;
                test_client_open(&c, h->f->port);
                for (int k = 0; k < 5; k++) {
                        test_client_send(&c, k % 2 ? STR("GET /inline HTTP/1.1\r\nHost: a\r\n\r\n")
                                                   : STR("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"));
                        CHECK(test_client_answer(&c));
                }
                test_client_send(&c, STR("GET /stream?pieces=40&bytes=20000 HTTP/1.1\r\nHost: a\r\n\r\n"));
                if (i % 2)
                        CHECK(test_client_answer(&c));
                test_client_close(&c);
        }
}
TEST(http_server, serves_many_clients_that_come_and_go)
{
        struct fixture f;
        fixture_init(&f);
        struct hammer h = {&f, 40};
        struct thread t[6];
        for (int i = 0; i < 6; i++)
                CHECK_OK(thread_start(&t[i], "client", hammer, &h));
        for (int i = 0; i < 6; i++)
                thread_join(&t[i]);
        until_no_connection(&f);
        CHECK_I64(f.runs, 6 * 40 * 5);
        fixture_done(&f);
}
