/* SPDX-License-Identifier: Apache-2.0 */
#include "io/http/client.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/thread.h"
#include "codec/compress.h"
#include "io/http/client_url.h"
#include "io/http/test_client.h"

/* The other side: our server, with handlers that tell what came. */
struct side {
        struct http_server *s;
        int port, other_port;
};
static void tell(struct http_request *r, void *ctx)
{
        (void)ctx;
        struct buf b = BUF_INIT(1 << 20);
        buf_printf(&b, "%.*s %.*s\n", STR_ARG(r->method_text), STR_ARG(r->target));
        for (size_t i = 0; i < r->n_headers; i++)
                buf_printf(&b, "%.*s: %.*s\n", STR_ARG(r->headers[i].name), STR_ARG(r->headers[i].value));
        buf_printf(&b, "\n%.*s", STR_ARG(r->body));
        http_set_header(r, "X-Answer", STR("yes"));
        http_reply(r, 200, "text/plain; version=0.0.4", buf_str(&b));
        buf_done(&b);
}
static void peer(struct http_request *r, void *ctx)
{
        (void)ctx;
        http_reply(r, 200, NULL, r->peer);
}
static void big(struct http_request *r, void *ctx)
{
        (void)ctx;
        char line[1001];
        memset(line, 'x', 1000);
        line[999] = '\n';
        http_begin(r, 200, "text/plain");
        for (int i = 0; i < 1000; i++)
                error_ignore(http_write(r, (Str){line, 1000}), "test");
}
static void redirect_to(struct http_request *r, void *ctx)
{
        struct side *s = ctx;
        struct http_form f;
        CHECK_OK(http_request_form(r, &f));
        Str to = http_form_get(&f, STR("to"));
        uint64_t status = 302;
        str_to_u64(http_form_get(&f, STR("status")), &status);
        if (str_eq(to, STR("other"))) {
                char url[80];
                snprintf(url, sizeof url, "http://127.0.0.2:%d/tell", s->port);
                http_set_header(r, "Location", str_from(url));
        } else {
                http_set_header(r, "Location", to);
        }
        http_reply(r, (int)status, "text/plain", STR("this body is not for the caller"));
}
static void again(struct http_request *r, void *ctx)
{
        (void)ctx;
        http_set_header(r, "Location", STR("/again"));
        http_reply(r, 302, NULL, STR(""));
}
static void never(struct http_request *r, void *ctx)
{
        (void)ctx;
        while (!http_request_gone(r))
                usleep(1000);
}
static void half(struct http_request *r, void *ctx)
{
        (void)ctx;
        http_begin(r, 200, "text/plain");
        error_ignore(http_write(r, STR("half")), "test");
        error_ignore(http_flush(r), "test");
        never(r, ctx);
}
static void cut(struct http_request *r, void *ctx)
{
        (void)ctx;
        http_begin(r, 200, "text/plain");
        error_ignore(http_write(r, STR("half")), "test");
        error_ignore(http_flush(r), "test");
        http_abort(r);
}
static void side_init_with(struct side *s, struct http_server_opts o)
{
        o.name = "side";
        o.loops = 1;
        CHECK_OK(http_server_new(&o, &s->s));
        unsigned any = HTTP_GET | HTTP_HEAD | HTTP_POST | HTTP_PUT | HTTP_DELETE;
        http_server_handle(s->s, "/tell", any, HTTP_INLINE, tell, NULL);
        http_server_handle(s->s, "/peer", any, HTTP_INLINE, peer, NULL);
        http_server_handle(s->s, "/big", any, 0, big, NULL);
        http_server_handle(s->s, "/redirect", any, HTTP_INLINE, redirect_to, s);
        http_server_handle(s->s, "/again", any, HTTP_INLINE, again, NULL);
        http_server_handle(s->s, "/never", any, 0, never, NULL);
        http_server_handle(s->s, "/half", any, 0, half, NULL);
        http_server_handle(s->s, "/cut", any, 0, cut, NULL);
        CHECK_OK(http_server_listen(s->s, "0.0.0.0:0"));
        CHECK_OK(http_server_start(s->s));
        s->port = http_server_port(s->s, 0);
}
static void side_init(struct side *s)
{
        side_init_with(s, (struct http_server_opts){0});
}
static void side_done(struct side *s)
{
        http_server_stop(s->s, 0);
        http_server_free(s->s);
}

static const struct http_client_conf plain_conf;
static char *url_of(const struct side *s, const char *path)
{
        static char url[4][200];
        static int turn;
        char *u = url[turn++ % 4];
        snprintf(u, 200, "http://127.0.0.1:%d%s", s->port, path);
        return u;
}
static void get_case(const struct http_client_conf *conf, const struct http_client_request *r, int status,
                     struct http_response *ret)
{
        *ret = (struct http_response){0};
        CHECK_OK(http_fetch(conf, r, ret));
        CHECK_I64(ret->status, status);
}
static void has_line(const struct http_response *r, const char *line)
{
        CHECK_MSG(str_contains(buf_str(&r->body), str_from(line)), "no \"%s\" in\n%.*s", line,
                  STR_ARG(buf_str(&r->body)));
}

TEST(http_fetch, sends_what_was_asked_and_nothing_more)
{
        struct side s;
        struct http_response r;
        side_init(&s);
        struct http_header h[] = {{STR("Accept"), STR("text/plain;version=0.0.4")},
                                  {STR("User-Agent"), STR("coeus")},
                                  {STR("X-Empty"), STR("")}};
        get_case(&plain_conf,
                 &(struct http_client_request){.url = url_of(&s, "/tell?a=%20b#frag"), .headers = h, .n_headers = 3},
                 200, &r);
        char want[300];
        snprintf(want, sizeof want,
                 "GET /tell?a=%%20b\nHost: 127.0.0.1:%d\nAccept: text/plain;version=0.0.4\nUser-Agent: coeus\nX-Empty: "
                 "\n\n",
                 s.port);
        CHECK_STR(buf_str(&r.body), want);
        CHECK_STR(r.content_type, "text/plain; version=0.0.4");
        bool seen = false;
        for (size_t i = 0; i < r.n_headers; i++)
                seen = seen || (str_eq(r.headers[i].name, STR("X-Answer")) && str_eq(r.headers[i].value, STR("yes")));
        CHECK(seen);
        http_response_done(&r);
        get_case(&plain_conf,
                 &(struct http_client_request){.url = url_of(&s, "/tell"), .method = "POST", .body = STR("a=1")}, 200,
                 &r);
        snprintf(want, sizeof want, "POST /tell\nHost: 127.0.0.1:%d\nContent-Length: 3\n\na=1", s.port);
        CHECK_STR(buf_str(&r.body), want);
        http_response_done(&r);
        get_case(&plain_conf, &(struct http_client_request){.url = url_of(&s, "/tell"), .method = "DELETE"}, 200, &r);
        has_line(&r, "DELETE /tell\n");
        http_response_done(&r);
        get_case(&plain_conf, &(struct http_client_request){.url = url_of(&s, "/tell"), .method = "HEAD"}, 200, &r);
        CHECK_U64(r.body.n, 0);
        http_response_done(&r);
        side_done(&s);
}

TEST(http_fetch, inflates_and_counts_the_wire)
{
        struct side s;
        struct http_response r;
        side_init(&s);
        get_case(&plain_conf, &(struct http_client_request){.url = url_of(&s, "/big"), .inflate = true}, 200, &r);
        CHECK_U64(r.body.n, 1000000);
        CHECK(r.wire_bytes > 0 && r.wire_bytes < 100000);
        http_response_done(&r);
        get_case(&plain_conf, &(struct http_client_request){.url = url_of(&s, "/big")}, 200, &r);
        CHECK_U64(r.body.n, 1000000);
        CHECK_U64(r.wire_bytes, 1000000);
        http_response_done(&r);
        struct http_client_request limited = {.url = url_of(&s, "/big"), .inflate = true, .body_bytes_max = 999999};
        CHECK_ERROR(http_fetch(&plain_conf, &limited, &r), "body size limit exceeded");
        limited.inflate = false;
        CHECK_ERROR(http_fetch(&plain_conf, &limited, &r), "body size limit exceeded");
        limited.body_bytes_max = 1000000;
        get_case(&plain_conf, &limited, 200, &r);
        http_response_done(&r);
        side_done(&s);
}

TEST(http_fetch, sends_credentials_and_configured_headers)
{
        struct side s;
        struct http_response r;
        side_init(&s);
        char path[300], want[600];
        snprintf(path, sizeof path, "%s/word", test_dir());
        CHECK_OK(file_replace(path, STR(" secret\n")));
        struct http_client_conf c = {.basic_username = "me", .basic_password_file = path};
        struct http_client_request q = {.url = url_of(&s, "/tell")};
        get_case(&c, &q, 200, &r);
        has_line(&r, "Authorization: Basic bWU6c2VjcmV0\n");
        http_response_done(&r);
        c = (struct http_client_conf){.auth_credentials_file = path};
        get_case(&c, &q, 200, &r);
        has_line(&r, "Authorization: Bearer secret\n");
        http_response_done(&r);
        struct http_client_header extra[] = {{.name = "X-One", .value = "1"}, {.name = "X-File", .file = path}};
        c = (struct http_client_conf){
                .auth_type = "Token", .auth_credentials = "abc", .headers = extra, .n_headers = 2};
        get_case(&c, &q, 200, &r);
        has_line(&r, "Authorization: Token abc\n");
        has_line(&r, "X-One: 1\n");
        has_line(&r, "X-File: secret\n");
        http_response_done(&r);
        c = (struct http_client_conf){.basic_username = "me", .basic_password_file = "/nope"};
        snprintf(want, sizeof want,
                 "Get \"%s\": unable to read basic auth password: unable to read file /nope: open /nope: no such file "
                 "or directory",
                 q.url);
        CHECK_ERROR(http_fetch(&c, &q, &r), want);
        char url[200];
        snprintf(url, sizeof url, "http://u%%20x:p@127.0.0.1:%d/tell", s.port);
        get_case(&plain_conf, &(struct http_client_request){.url = url}, 200, &r);
        has_line(&r, "Authorization: Basic dSB4OnA=\n");
        http_response_done(&r);
        side_done(&s);
}

TEST(http_fetch, follows_redirects_and_keeps_credentials_at_home)
{
        struct side s;
        struct http_response r;
        side_init(&s);
        struct http_client_conf c = {.auth_credentials = "abc"};
        get_case(&c, &(struct http_client_request){.url = url_of(&s, "/redirect?to=/tell%3Fx=1")}, 200, &r);
        CHECK(str_has_prefix(buf_str(&r.body), STR("GET /tell?x=1\n")));
        has_line(&r, "Authorization: Bearer abc\n");
        http_response_done(&r);
        get_case(&c, &(struct http_client_request){.url = url_of(&s, "/redirect?to=other")}, 200, &r);
        CHECK(!str_contains(buf_str(&r.body), STR("Authorization")));
        http_response_done(&r);
        get_case(&c,
                 &(struct http_client_request){
                         .url = url_of(&s, "/redirect?to=tell&status=307"), .method = "POST", .body = STR("b")},
                 200, &r);
        CHECK(str_has_prefix(buf_str(&r.body), STR("POST /tell\n")));
        http_response_done(&r);
        get_case(&c,
                 &(struct http_client_request){
                         .url = url_of(&s, "/redirect?to=tell&status=303"), .method = "POST", .body = STR("b")},
                 200, &r);
        CHECK(str_has_prefix(buf_str(&r.body), STR("GET /tell\n")));
        http_response_done(&r);
        c.no_follow_redirects = true;
        get_case(&c, &(struct http_client_request){.url = url_of(&s, "/redirect?to=/tell")}, 302, &r);
        CHECK_STR(buf_str(&r.body), "this body is not for the caller");
        http_response_done(&r);
        char want[200];
        snprintf(want, sizeof want, "Get \"%s\": stopped after 10 redirects", url_of(&s, "/again"));
        c.no_follow_redirects = false;
        CHECK_ERROR(http_fetch(&c, &(struct http_client_request){.url = url_of(&s, "/again")}, &r), want);
        side_done(&s);
}

static void error_case(const char *url, int64_t timeout_ms, enum error_kind kind, const char *fmt)
{
        struct http_response r;
        struct error *e =
                http_fetch(&plain_conf, &(struct http_client_request){.url = url, .timeout_ms = timeout_ms}, &r);
        CHECK(e != NULL);
        CHECK_MSG(error_get_kind(e) == kind, "%s: kind %d", error_str(e), error_get_kind(e));
        CHECK_ERROR(e, fmt);
}
/* A listener that answers each connection with a text and closes. */
struct rude {
        int fd, port;
        const char *says;
        struct thread t;
};
static void rude_main(void *arg)
{
        struct rude *x = arg;
        for (;;) {
                int c = accept(x->fd, NULL, NULL);
                if (c < 0)
                        return;
                char b[4096];
                ssize_t got = recv(c, b, sizeof b, 0);
                if (got > 0 && *x->says)
                        send(c, x->says, strlen(x->says), MSG_NOSIGNAL);
                close(c);
        }
}
static void rude_start(struct rude *x, const char *says)
{
        x->fd = socket(AF_INET, SOCK_STREAM, 0);
        x->says = says;
        struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t n = sizeof sa;
        CHECK(!bind(x->fd, (struct sockaddr *)&sa, n) && !listen(x->fd, 10) &&
              !getsockname(x->fd, (struct sockaddr *)&sa, &n));
        x->port = ntohs(sa.sin_port);
        CHECK_OK(thread_start(&x->t, "rude", rude_main, x));
}
static void rude_stop(struct rude *x)
{
        shutdown(x->fd, SHUT_RDWR);
        thread_join(&x->t);
        close(x->fd);
}
static void rude_case(const char *says, const char *want)
{
        struct rude x;
        rude_start(&x, says);
        char url[100], text[300];
        snprintf(url, sizeof url, "http://127.0.0.1:%d/", x.port);
        if (strstr(want, "%s"))
                snprintf(text, sizeof text, "Get \"%s\": %s", url, strchr(want, ' ') + 1);
        else
                snprintf(text, sizeof text, "%s", want);
        error_case(url, 0, ERROR_IO, text);
        rude_stop(&x);
}
TEST(http_fetch, words_failures_as_Go_does)
{
        struct side s;
        side_init(&s);
        error_case("http://127.0.0.1:1/metrics", 0, ERROR_IO,
                   "Get \"http://127.0.0.1:1/metrics\": dial tcp 127.0.0.1:1: connect: connection refused");
        error_case("http://[::1]:1/metrics", 0, ERROR_IO,
                   "Get \"http://[::1]:1/metrics\": dial tcp [::1]:1: connect: connection refused");
        error_case("http://me:secret@127.0.0.1:1/", 0, ERROR_IO,
                   "Get \"http://me:xxxxx@127.0.0.1:1/\": dial tcp 127.0.0.1:1: connect: connection refused");
        error_case("ftp://a/", 0, ERROR_INVALID, "Get \"ftp://a/\": unsupported protocol scheme \"ftp\"");
        error_case("http:///x", 0, ERROR_INVALID, "Get \"http:///x\": http: no Host in request URL");
        char want[200];
        snprintf(want, sizeof want, "Get \"%s\": context deadline exceeded", url_of(&s, "/never"));
        error_case(url_of(&s, "/never"), 30, ERROR_TIMEOUT, want);
        error_case(url_of(&s, "/half"), 60, ERROR_TIMEOUT, "context deadline exceeded");
        error_case(url_of(&s, "/cut"), 0, ERROR_IO, "unexpected EOF");
        rude_case("", "%s EOF");
        rude_case("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc", "unexpected EOF");
        rude_case("garbage\r\n\r\n", "%s net/http: HTTP/1.x transport connection broken: malformed HTTP response");
        side_done(&s);
}

/* A client on a loop of the test. */
struct driver {
        struct side s;
        struct loop *l;
        struct http_client *c;
        struct one {
                struct http_call call;
                struct driver *d;
                struct error *e;
                struct buf pieces;
                int done, stop_after;
        } v[50];
        int left;
        struct mutex mu;
        struct cond changed;
        const char *path;
        bool in_send;
};
static void one_done(struct http_call *c, struct error *take_e, struct http_response *r)
{
        struct one *o = CONTAINER_OF(c, struct one, call);
        CHECK(!o->d->in_send);
        o->e = take_e;
        o->done++;
        if (!take_e && !c->piece)
                buf_put(&o->pieces, buf_str(&r->body));
        mutex_lock(&o->d->mu);
        o->d->left--;
        cond_signal(&o->d->changed);
        mutex_unlock(&o->d->mu);
}
static bool one_piece(struct http_call *c, Str piece)
{
        struct one *o = CONTAINER_OF(c, struct one, call);
        buf_put(&o->pieces, piece);
        return !o->stop_after || o->pieces.n < (size_t)o->stop_after;
}
static void make_client(void *arg)
{
        struct driver *d = arg;
        CHECK_OK(http_client_new(d->l, &d->c));
}
static void free_client(void *arg)
{
        struct driver *d = arg;
        http_client_free(d->c);
        for (size_t i = 0; i < ARRAY_LEN(d->v); i++) {
                http_response_done(&d->v[i].call.response);
                buf_done(&d->v[i].pieces);
                error_free(d->v[i].e);
        }
}
static void send_all(void *arg)
{
        struct driver *d = arg;
        d->in_send = true;
        for (size_t i = 0; i < ARRAY_LEN(d->v); i++) {
                d->v[i].d = d;
                d->v[i].call.done = one_done;
                buf_done(&d->v[i].pieces);
                buf_init(&d->v[i].pieces, 1 << 24);
                http_client_send(d->c, &plain_conf,
                                 &(struct http_client_request){
                                         .url = d->path[0] == '/' ? url_of(&d->s, d->path) : d->path,
                                         .inflate = !d->v[i].call.pause},
                                 &d->v[i].call);
        }
        d->in_send = false;
}
static void driver_init(struct driver *d, const char *path)
{
        memset(d, 0, sizeof *d);
        side_init(&d->s);
        d->path = path;
        d->left = ARRAY_LEN(d->v);
        mutex_init(&d->mu);
        cond_init(&d->changed);
        CHECK_OK(loop_new("driver", &d->l));
        loop_call(d->l, make_client, d);
}
static void driver_wait(struct driver *d)
{
        mutex_lock(&d->mu);
        while (d->left)
                cond_wait(&d->changed, &d->mu);
        mutex_unlock(&d->mu);
}
static void driver_done(struct driver *d)
{
        loop_call(d->l, free_client, d);
        loop_free(d->l);
        side_done(&d->s);
        cond_done(&d->changed);
        mutex_done(&d->mu);
}
TEST(http_client, keeps_connections_between_requests)
{
        struct driver d;
        driver_init(&d, "/peer");
        loop_call(d.l, send_all, &d);
        driver_wait(&d);
        int before = http_server_connections(d.s.s);
        for (size_t i = 0; i < ARRAY_LEN(d.v); i++) {
                CHECK_OK(d.v[i].e);
                CHECK_I64(d.v[i].done, 1);
        }
        d.left = ARRAY_LEN(d.v);
        loop_call(d.l, send_all, &d);
        driver_wait(&d);
        CHECK_I64(http_server_connections(d.s.s), before);
        driver_done(&d);
}
static void set_pieces(void *arg)
{
        struct driver *d = arg;
        for (size_t i = 0; i < ARRAY_LEN(d->v); i++) {
                d->v[i].call.piece = one_piece;
                d->v[i].stop_after = i % 2 ? 100000 : 0;
        }
        send_all(d);
}
TEST(http_client, hands_pieces_over_and_stops_when_told)
{
        struct driver d;
        driver_init(&d, "/big");
        loop_call(d.l, set_pieces, &d);
        driver_wait(&d);
        for (size_t i = 0; i < ARRAY_LEN(d.v); i++) {
                struct error *e = d.v[i].e;
                d.v[i].e = NULL;
                if (i % 2) {
                        CHECK(error_is(e, ERROR_CANCELLED));
                        error_free(e);
                } else {
                        CHECK_OK(e);
                        CHECK_U64(d.v[i].pieces.n, 1000000);
                }
        }
        driver_done(&d);
}
/* --- pausing --- */

enum { PAUSE_EVERY_BYTES = 50000 };
static bool pausing_piece(struct http_call *c, Str piece)
{
        struct one *o = CONTAINER_OF(c, struct one, call);
        CHECK(!c->pause);
        buf_put(&o->pieces, piece);
        c->pause = o->pieces.n / PAUSE_EVERY_BYTES > (size_t)o->stop_after;
        mutex_lock(&o->d->mu);
        cond_signal(&o->d->changed);
        mutex_unlock(&o->d->mu);
        return o->d->left > 0;
}
static void set_pausing(void *arg)
{
        struct driver *d = arg;
        for (size_t i = 0; i < ARRAY_LEN(d->v); i++)
                d->v[i].call = (struct http_call){.piece = pausing_piece, .pause = true};
        send_all(d);
}
static void resume_all(void *arg)
{
        struct driver *d = arg;
        for (size_t i = 0; i < ARRAY_LEN(d->v); i++) {
                if (!d->v[i].call.pause)
                        continue;
                size_t n = d->v[i].pieces.n;
                CHECK(n >= (size_t)(d->v[i].stop_after + 1) * PAUSE_EVERY_BYTES);
                d->v[i].stop_after = (int)(n / PAUSE_EVERY_BYTES);
                http_client_resume(d->c, &d->v[i].call);
        }
}
TEST(http_client, pauses_and_goes_on)
{
        struct driver d;
        driver_init(&d, "/big");
        loop_call(d.l, set_pausing, &d);
        for (int left = 1; left;) {
                loop_call(d.l, resume_all, &d);
                mutex_lock(&d.mu);
                left = d.left;
                if (left)
                        cond_wait_ms(&d.changed, &d.mu, 10);
                mutex_unlock(&d.mu);
        }
        loop_call(d.l, resume_all, &d); /* of calls that are done: nothing */
        for (size_t i = 0; i < ARRAY_LEN(d.v); i++) {
                CHECK_OK(d.v[i].e);
                d.v[i].e = NULL;
                CHECK_U64(d.v[i].pieces.n, 1000000);
                CHECK(d.v[i].stop_after > 0);
        }
        driver_done(&d);
}
static void cancel_paused(void *arg)
{
        struct driver *d = arg;
        for (size_t i = 0; i < ARRAY_LEN(d->v); i++)
                http_client_cancel(d->c, &d->v[i].call);
}
TEST(http_client, a_paused_call_can_be_cancelled)
{
        struct driver d;
        driver_init(&d, "/big");
        loop_call(d.l, set_pausing, &d);
        mutex_lock(&d.mu);
        cond_wait_ms(&d.changed, &d.mu, 1000);
        mutex_unlock(&d.mu);
        loop_call(d.l, cancel_paused, &d);
        loop_call(d.l, resume_all, &d);
        for (size_t i = 0; i < ARRAY_LEN(d.v); i++)
                CHECK_I64(d.v[i].done, 0);
        driver_done(&d);
}
static void cancel_some(void *arg)
{
        struct driver *d = arg;
        for (size_t i = 0; i < ARRAY_LEN(d->v); i += 2) {
                http_client_cancel(d->c, &d->v[i].call);
                http_client_cancel(d->c, &d->v[i].call);
        }
}
static void send_and_cancel(void *arg)
{
        send_all(arg);
        cancel_some(arg);
}
TEST(http_client_cancel, ends_calls_without_a_word)
{
        const char *paths[] = {"/tell", "http://127.0.0.1:1/", "nonsense", "http://localhost:1/"};
        for (size_t k = 0; k < ARRAY_LEN(paths); k++) {
                struct driver d;
                driver_init(&d, paths[k]);
                d.left = ARRAY_LEN(d.v) / 2;
                loop_call(d.l, send_and_cancel, &d);
                driver_wait(&d);
                for (size_t i = 0; i < ARRAY_LEN(d.v); i++)
                        CHECK_I64(d.v[i].done, i % 2);
                driver_done(&d);
        }
}
TEST(http_client_free, cancels_what_is_open)
{
        struct driver d;
        driver_init(&d, "/never");
        loop_call(d.l, send_all, &d);
        driver_done(&d);
        for (size_t i = 0; i < ARRAY_LEN(d.v); i++)
                CHECK_I64(d.v[i].done, 0);
}

static void url_case(const char *url, bool https, const char *host, int port, const char *rest)
{
        struct client_url u;
        CHECK_OK(client_url_parse(str_from(url), &u));
        CHECK_I64(u.https, https);
        CHECK_STR(u.host, host);
        CHECK_I64(u.port, port);
        CHECK_STR(u.rest, rest);
}
TEST(client_url, splits)
{
        url_case("http://a", false, "a", 80, "");
        url_case("HTTPS://a.b:8443/x?y#z", true, "a.b", 8443, "/x?y");
        url_case("http://u:p@[::1]:9/m", false, "::1", 9, "/m");
        url_case("http://a?b", false, "a", 80, "?b");
        struct client_url u;
        CHECK_ERROR(client_url_parse(STR("http://a:b/"), &u), "invalid port \":b\" after host");
        CHECK_ERROR(client_url_parse(STR("a/b"), &u), "unsupported protocol scheme \"\"");
}
static void proxy_case(const char *no_proxy, const char *url, bool proxied)
{
        struct http_client_conf c = {.proxy_url = "http://p:3128", .no_proxy = no_proxy};
        struct client_url u;
        CHECK_OK(client_url_parse(str_from(url), &u));
        CHECK_MSG((*client_proxy_for(&c, &u) != 0) == proxied, "%s for %s", no_proxy, url);
}
TEST(client_proxy, is_passed_by_for_listed_hosts)
{
        proxy_case("", "http://a.example", true);
        proxy_case("a.example", "http://a.example", false);
        proxy_case("example", "http://a.example", false);
        proxy_case(".example", "http://example", true);
        proxy_case("b.example, 10.0.0.0/8", "http://10.1.2.3", false);
        proxy_case("10.0.0.0/8", "http://11.1.2.3", true);
        proxy_case("10.1.2.3", "http://10.1.2.3:90", false);
        proxy_case("a.example:90", "http://a.example", true);
        proxy_case("a.example:90", "http://a.example:90", false);
        proxy_case("*", "http://a.example:90", false);
}
TEST(http_fetch, asks_the_proxy)
{
        struct side s;
        struct http_response r;
        side_init(&s);
        char proxy[60];
        snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", s.port);
        struct http_client_conf c = {.proxy_url = proxy};
        get_case(&c, &(struct http_client_request){.url = "http://not.resolved.example/tell?x"}, 200, &r);
        CHECK(str_has_prefix(buf_str(&r.body),
                             STR("GET http://not.resolved.example/tell?x\nHost: not.resolved.example\n")));
        http_response_done(&r);
        side_done(&s);
}
