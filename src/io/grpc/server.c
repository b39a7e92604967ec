/* SPDX-License-Identifier: Apache-2.0 */
/* server.c — gRPC over the routes of the HTTP server: a method is a POST route with HTTP_STREAM, a message goes out by
 * http_send, the status in trailers, or in the only HEADERS frame when no message was sent. */
#include "io/grpc/server.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/thread.h"
#include "base/vec.h"
#include "codec/proto.h"
#include "io/grpc/wire.h"
#include "io/http/server.h"

enum { RECV_BYTES_MAX = 4 << 20, WATCHERS_MAX = 8, WATCH_POLL_MS = 250, COPY_BYTES_MAX = 16 << 10 };

struct method {
        struct grpc_server *s;
        char *path;
        grpc_handler *handler;
        void *ctx;
};

struct grpc_server {
        struct grpc_server_opts o; /* with the defaults filled in */
        struct http_tls_opts tls;
        struct http_server *http;
        VEC(struct method *) methods; /* set before start */

        struct mutex mu; /* guards all below */
        struct cond changed;
        bool serving;
        int n_watchers;
};

struct grpc_stream {
        struct http_request *r;
        struct grpc_server *s;
        struct grpc_reader reader;
        bool ended; /* the request */
        enum grpc_encoding answer_encoding;
        struct buf frame;
        bool begun;
        struct grpc_status status;
        int64_t deadline_ns; /* 0: none */
        uint64_t received, sent;
};

/* --- for handlers --- */

bool grpc_is_gone(const struct grpc_stream *st)
{
        return http_request_gone(st->r);
}

const bool *grpc_cancel_flag(const struct grpc_stream *st)
{
        return http_request_cancel_flag(st->r);
}

int64_t grpc_time_left_ms(const struct grpc_stream *st)
{
        if (!st->deadline_ns)
                return INT64_MAX;
        return MAX((st->deadline_ns - time_mono_ns()) / 1000000, (int64_t)0);
}

Str grpc_metadata(const struct grpc_stream *st, Str name)
{
        return http_request_header(st->r, name);
}

Str grpc_peer(const struct grpc_stream *st)
{
        return st->r->peer;
}

struct arena *grpc_arena(struct grpc_stream *st)
{
        return st->r->arena;
}

void grpc_fail(struct grpc_stream *st, int code, const char *fmt, ...)
{
        if (st->status.code != GRPC_OK)
                return;
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        va_list ap;
        va_start(ap, fmt);
        buf_vprintf(&b, fmt, ap);
        va_end(ap);
        st->status = (struct grpc_status){code, buf_take(&b)};
}

void grpc_fail_error(struct grpc_stream *st, struct error *take_e)
{
        if (take_e)
                grpc_fail(st, grpc_code_of_error(take_e), "%s", error_str(take_e));
        error_free(take_e);
}

/* Of the connection: the status says what the caller cannot know better. */
static struct error *transport_error(struct grpc_stream *st, struct error *take_e)
{
        if (error_is(take_e, ERROR_TIMEOUT) && grpc_time_left_ms(st) == 0)
                grpc_fail(st, GRPC_DEADLINE_EXCEEDED, "context deadline exceeded");
        else if (error_is(take_e, ERROR_CANCELLED))
                grpc_fail(st, GRPC_CANCELLED, "context canceled");
        else
                grpc_fail(st, GRPC_UNAVAILABLE, "%s", error_str(take_e));
        return take_e;
}

struct error *grpc_recv(struct grpc_stream *st, Str *ret)
{
        for (;;) {
                Str message;
                struct grpc_status bad = {0};
                int got = grpc_reader_next(&st->reader, &message, &bad);
                if (got == 1) {
                        st->received++;
                        *ret = message.p ? message : STR("");
                        return NULL;
                }
                if (got < 0) {
                        grpc_fail(st, bad.code, "%s", bad.message);
                        struct error *e = error_new(ERROR_INVALID, "%s", bad.message);
                        grpc_status_done(&bad);
                        return e;
                }
                if (st->ended) {
                        if (grpc_reader_has_rest(&st->reader)) {
                                grpc_fail(st, GRPC_INTERNAL, "unexpected EOF");
                                return error_new(ERROR_INVALID, "unexpected EOF");
                        }
                        *ret = (Str){NULL, 0};
                        return NULL;
                }
                grpc_reader_compact(&st->reader);
                size_t before = st->reader.in.n;
                struct error *e = http_read(st->r, &st->reader.in);
                if (e)
                        return transport_error(st, e);
                st->ended = st->reader.in.n == before;
        }
}

struct error *grpc_recv_only(struct grpc_stream *st, Str *ret)
{
        Str message, second;
        struct error *e = grpc_recv(st, &message);
        if (e)
                return e;
        if (!message.p) {
                grpc_fail(st, GRPC_INTERNAL, "cardinality violation: received no request message from client");
                return error_new(ERROR_INVALID, "no request message");
        }
        /* The message lies in the reader, which the look behind it may move. */
        if (!st->ended || grpc_reader_has_rest(&st->reader)) {
                message = arena_str(st->r->arena, message);
                e = grpc_recv(st, &second);
                if (e)
                        return e;
                if (second.p) {
                        grpc_fail(st, GRPC_INTERNAL, "cardinality violation: received multiple request messages");
                        return error_new(ERROR_INVALID, "more than one request message");
                }
        }
        *ret = message;
        return NULL;
}

static void begin(struct grpc_stream *st)
{
        st->begun = true;
        if (st->answer_encoding != GRPC_IDENTITY)
                http_set_header(st->r, "grpc-encoding", grpc_encoding_name(st->answer_encoding));
        http_begin(st->r, 200, "application/grpc");
}

struct error *grpc_send(struct grpc_stream *st, Str message)
{
        if (!st->begun)
                begin(st);
        struct error *e;
        buf_clear(&st->frame);
        if (st->answer_encoding == GRPC_IDENTITY && message.n > COPY_BYTES_MAX && message.n <= UINT32_MAX) {
                uint8_t head[GRPC_FRAME_HEAD_BYTES] = {0};
                put_be32(head + 1, (uint32_t)message.n);
                e = http_send(st->r, (Str){(const char *)head, sizeof head});
                if (!e)
                        e = http_send(st->r, message);
        } else if (grpc_frame(&st->frame, st->answer_encoding, message)) {
                e = http_send(st->r, buf_str(&st->frame));
        } else {
                grpc_fail(st, GRPC_RESOURCE_EXHAUSTED, "grpc: message too large (%zu bytes)", message.n);
                return error_new(ERROR_LIMIT, "grpc: message too large (%zu bytes)", message.n);
        }
        if (e)
                return transport_error(st, e);
        st->sent++;
        return NULL;
}

/* --- a call --- */

static void set_status(struct grpc_stream *st, void (*set)(struct http_request *r, const char *name, Str value))
{
        char code[16];
        snprintf(code, sizeof code, "%d", st->status.code);
        set(st->r, "grpc-status", str_from(code));
        if (!st->status.message || !st->status.message[0])
                return;
        struct buf b = BUF_INIT(8 << 10); /* peers bound their header lists */
        grpc_message_escape(&b, str_from(st->status.message));
        set(st->r, "grpc-message", buf_str(&b));
        buf_done(&b);
}

static void finish(struct grpc_stream *st)
{
        if (st->begun) {
                set_status(st, http_set_trailer);
                http_end(st->r);
                return;
        }
        set_status(st, http_set_header);
        http_reply(st->r, 200, "application/grpc", STR(""));
}

static bool is_grpc(const struct http_request *r)
{
        Str type = http_request_header(r, STR("content-type"));
        Str rest = str_trim_prefix(type, STR("application/grpc"));
        return rest.n < type.n && (!rest.n || rest.p[0] == '+' || rest.p[0] == ';');
}

/* False: the status is set. */
static bool read_head(struct grpc_stream *st)
{
        Str timeout = http_request_header(st->r, STR("grpc-timeout"));
        int64_t ms;
        if (timeout.n) {
                if (!grpc_timeout_parse(timeout, &ms)) {
                        grpc_fail(st, GRPC_INTERNAL, "malformed grpc-timeout: %.*s", STR_ARG(timeout));
                        return false;
                }
                if (ms < INT64_MAX / 2000000) {
                        st->deadline_ns = time_mono_ns() + ms * 1000000;
                        http_set_deadline(st->r, ms);
                }
        }
        Str encoding = http_request_header(st->r, STR("grpc-encoding"));
        if (!grpc_encoding_parse(encoding, &st->reader.encoding)) {
                http_set_header(st->r, "grpc-accept-encoding", STR(GRPC_ACCEPT_ENCODING));
                grpc_fail(st, GRPC_UNIMPLEMENTED, "grpc: Decompressor is not installed for grpc-encoding \"%.*s\"",
                          STR_ARG(encoding));
                return false;
        }
        st->answer_encoding = st->reader.encoding;
        return true;
}

static void run(struct grpc_server *s, struct http_request *r, const struct method *m,
                void (*fail)(struct grpc_stream *st))
{
        if (!is_grpc(r) || r->version < 20) {
                http_replyf(r, 415, "text/plain; charset=utf-8", "invalid gRPC request content-type\n");
                return;
        }
        int64_t start_ns = time_mono_ns();
        const char *path = m ? m->path : "";
        struct grpc_stream st = {.r = r, .s = s};
        grpc_reader_init(&st.reader, s->o.recv_bytes_max);
        buf_init(&st.frame, BUF_NO_LIMIT);
        if (s->o.started)
                s->o.started(s->o.ctx, path);
        if (fail)
                fail(&st);
        else if (read_head(&st))
                m->handler(&st, m->ctx);
        finish(&st);
        if (s->o.done)
                s->o.done(s->o.ctx, path, st.status.code, st.received, st.sent, time_mono_ns() - start_ns);
        grpc_status_done(&st.status);
        grpc_reader_done(&st.reader);
        buf_done(&st.frame);
}

static void method_handler(struct http_request *r, void *ctx)
{
        const struct method *m = ctx;
        run(m->s, r, m, NULL);
}

static void fail_unknown(struct grpc_stream *st)
{
        Str path = st->r->path, service = str_trim_prefix(path, STR("/")), method;
        ptrdiff_t slash = str_rfind(service, '/');
        if (slash < 0) {
                grpc_fail(st, GRPC_UNIMPLEMENTED, "malformed method name: \"%.*s\"", STR_ARG(path));
                return;
        }
        method = str_skip(service, (size_t)slash + 1);
        service = str_sub(service, 0, (size_t)slash);
        Str prefix = str_sub(path, 0, path.n - method.n);
        for (size_t i = 0; i < st->s->methods.n; i++)
                if (str_has_prefix(str_from(st->s->methods.p[i]->path), prefix)) {
                        grpc_fail(st, GRPC_UNIMPLEMENTED, "unknown method %.*s for service %.*s", STR_ARG(method),
                                  STR_ARG(service));
                        return;
                }
        grpc_fail(st, GRPC_UNIMPLEMENTED, "unknown service %.*s", STR_ARG(service));
}

static void unknown_handler(struct http_request *r, void *ctx)
{
        run(ctx, r, NULL, fail_unknown);
}

/* --- grpc.health.v1.Health: HealthCheckRequest{1 service}, HealthCheckResponse{1 status} --- */

enum { SERVING = 1, NOT_SERVING = 2, SERVICE_UNKNOWN = 3 };

static struct error *read_service(struct grpc_stream *st, bool *ret_known)
{
        Str request, service = STR("");
        struct error *e = grpc_recv_only(st, &request);
        if (e)
                return e;
        struct cursor c = cursor_of(request);
        struct proto_field f;
        while (proto_next(&c, &f))
                if (f.number == 1 && f.wire == 2)
                        service = f.bytes;
        if (c.bad)
                return error_new(ERROR_INVALID, "grpc: error unmarshalling request");
        *ret_known = !service.n;
        return NULL;
}

static struct error *send_health(struct grpc_stream *st, uint64_t status)
{
        struct buf b = BUF_INIT(16);
        proto_put_uint(&b, 1, status);
        struct error *e = grpc_send(st, buf_str(&b));
        buf_done(&b);
        return e;
}

static bool is_serving(struct grpc_server *s)
{
        mutex_lock(&s->mu);
        bool is = s->serving;
        mutex_unlock(&s->mu);
        return is;
}

static void health_check(struct grpc_stream *st, void *ctx)
{
        bool known = false;
        struct error *e = read_service(st, &known);
        if (!e && !known)
                grpc_fail(st, GRPC_NOT_FOUND, "unknown service");
        else if (!e)
                e = send_health(st, is_serving(ctx) ? SERVING : NOT_SERVING);
        grpc_fail_error(st, e);
}

/* Each watcher holds a worker: they are few, or others would wait. */
static void health_watch(struct grpc_stream *st, void *ctx)
{
        struct grpc_server *s = ctx;
        bool known = false;
        struct error *e = read_service(st, &known);
        mutex_lock(&s->mu);
        bool full = s->n_watchers >= WATCHERS_MAX;
        s->n_watchers += !full;
        mutex_unlock(&s->mu);
        if (full) {
                error_free(e);
                grpc_fail(st, GRPC_RESOURCE_EXHAUSTED, "more than %d health watchers", WATCHERS_MAX);
                return;
        }
        uint64_t told = 0;
        while (!e && !grpc_is_gone(st)) {
                uint64_t now = !known ? SERVICE_UNKNOWN : is_serving(s) ? SERVING : NOT_SERVING;
                if (now != told)
                        e = send_health(st, now);
                told = now;
                mutex_lock(&s->mu);
                if (known ? (s->serving ? SERVING : NOT_SERVING) == now : true)
                        cond_wait_ms(&s->changed, &s->mu, WATCH_POLL_MS);
                mutex_unlock(&s->mu);
        }
        mutex_lock(&s->mu);
        s->n_watchers--;
        mutex_unlock(&s->mu);
        grpc_fail_error(st, e);
        if (grpc_is_gone(st))
                grpc_fail(st, GRPC_UNAVAILABLE, "the server stops");
}

void grpc_server_set_serving(struct grpc_server *s, bool serving)
{
        mutex_lock(&s->mu);
        s->serving = serving;
        cond_broadcast(&s->changed);
        mutex_unlock(&s->mu);
}

/* --- the server --- */

void grpc_server_handle(struct grpc_server *s, const char *path, grpc_handler *h, void *ctx)
{
        struct method *m = mem_new(struct method);
        *m = (struct method){s, mem_strdup(path), h, ctx};
        vec_push(&s->methods, m);
        http_server_handle(s->http, path, HTTP_POST, HTTP_STREAM | HTTP_NO_COMPRESSION, method_handler, m);
}

struct error *grpc_server_new(const struct grpc_server_opts *o, struct grpc_server **ret)
{
        struct grpc_server *s = mem_new(struct grpc_server);
        s->o = *o;
        if (!s->o.recv_bytes_max)
                s->o.recv_bytes_max = RECV_BYTES_MAX;
        mutex_init(&s->mu);
        cond_init(&s->changed);
        if (o->tls)
                s->tls = *o->tls;
        struct http_server_opts h = {.name = o->name ? o->name : "grpc",
                                     .loops = o->loops,
                                     .workers_max = o->workers_max,
                                     .connections_max = o->connections_max,
                                     .h2_streams_max = o->streams_max ? o->streams_max : 1000,
                                     .h2_age_max_ms = o->age_max_ms,
                                     .read_timeout_ms = 30 * 60 * 1000, /* connections may stand idle */
                                     .write_timeout_ms = o->write_timeout_ms ? o->write_timeout_ms : 5 * 60 * 1000,
                                     .tls = o->tls ? &s->tls : NULL};
        struct error *e = http_server_new(&h, &s->http);
        if (e) {
                grpc_server_free(s);
                return e;
        }
        http_server_handle(s->http, "/", HTTP_POST, HTTP_PREFIX | HTTP_STREAM | HTTP_NO_COMPRESSION, unknown_handler,
                           s);
        grpc_server_handle(s, "/grpc.health.v1.Health/Check", health_check, s);
        grpc_server_handle(s, "/grpc.health.v1.Health/Watch", health_watch, s);
        *ret = s;
        return NULL;
}

struct error *grpc_server_listen(struct grpc_server *s, const char *address)
{
        return http_server_listen(s->http, address);
}

int grpc_server_port(const struct grpc_server *s)
{
        return http_server_port(s->http, 0);
}

struct error *grpc_server_start(struct grpc_server *s)
{
        return http_server_start(s->http);
}

void grpc_server_stop(struct grpc_server *s, int64_t grace_ms)
{
        http_server_stop(s->http, grace_ms);
}

void grpc_server_free(struct grpc_server *s)
{
        if (!s)
                return;
        http_server_free(s->http);
        for (size_t i = 0; i < s->methods.n; i++) {
                free(s->methods.p[i]->path);
                free(s->methods.p[i]);
        }
        vec_done(&s->methods);
        cond_done(&s->changed);
        mutex_done(&s->mu);
        free(s);
}
