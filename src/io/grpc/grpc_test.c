/* SPDX-License-Identifier: Apache-2.0 */
/* grpc_test.c — our gRPC server and our client over loopback. */
#include <stdatomic.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/thread.h"
#include "codec/varint.h"
#include "io/grpc/client.h"
#include "io/grpc/server.h"
#include "io/http/test_client.h"
#include "io/test_certs.h"

enum { BIG_BYTES = 64 << 10, BIG_COUNT = 1000 };

/* --- the methods --- */

static void echo(struct grpc_stream *st, void *ctx)
{
        (void)ctx;
        Str m;
        struct error *e = grpc_recv_only(st, &m);
        if (!e)
                e = grpc_send(st, m);
        grpc_fail_error(st, e);
}

static atomic_int sent_big;
/* As many messages as the request says, each of 64 KiB, beginning with its number. */
static void big(struct grpc_stream *st, void *ctx)
{
        (void)ctx;
        Str m;
        uint64_t n;
        struct error *e = grpc_recv_only(st, &m);
        char *p = mem_alloc(BIG_BYTES);
        memset(p, 'x', BIG_BYTES);
        if (!e && str_to_u64(m, &n))
                for (uint32_t i = 0; !e && i < n; i++) {
                        put_be32((uint8_t *)p, i);
                        e = grpc_send(st, (Str){p, BIG_BYTES});
                        atomic_store(&sent_big, (int)i + 1);
                }
        free(p);
        grpc_fail_error(st, e);
}

static void abort_call(struct grpc_stream *st, void *ctx)
{
        (void)ctx;
        Str m;
        struct error *e = grpc_recv_only(st, &m);
        if (!e && m.n) /* after a message */
                e = grpc_send(st, m);
        error_free(e);
        grpc_fail(st, GRPC_ABORTED, "no: é 100%%\nnext");
        grpc_fail(st, GRPC_INTERNAL, "the second does not count");
}

static atomic_int gone;
static void hang(struct grpc_stream *st, void *ctx)
{
        (void)ctx;
        Str m;
        struct error *e = grpc_recv_only(st, &m);
        if (!e && m.n)
                e = grpc_send(st, m);
        while (!e && !grpc_is_gone(st))
                usleep(2000);
        while (!e) /* fails once the stream is lost */
                e = grpc_send(st, STR("late"));
        atomic_fetch_add(&gone, 1);
        grpc_fail_error(st, e);
}

static void metadata(struct grpc_stream *st, void *ctx)
{
        (void)ctx;
        Str m;
        struct error *e = grpc_recv_only(st, &m);
        if (!e)
                e = grpc_send(st, grpc_metadata(st, STR("thanos-tenant")));
        grpc_fail_error(st, e);
}

static struct grpc_server *serve(struct grpc_server_opts o, int *ret_port)
{
        struct grpc_server *s = NULL;
        o.loops = 1;
        CHECK_OK(grpc_server_new(&o, &s));
        grpc_server_handle(s, "/t.T/Echo", echo, NULL);
        grpc_server_handle(s, "/t.T/Big", big, NULL);
        grpc_server_handle(s, "/t.T/Fail", abort_call, NULL);
        grpc_server_handle(s, "/t.T/Hang", hang, NULL);
        grpc_server_handle(s, "/t.T/Metadata", metadata, NULL);
        CHECK_OK(grpc_server_listen(s, "127.0.0.1:0"));
        CHECK_OK(grpc_server_start(s));
        *ret_port = grpc_server_port(s);
        return s;
}

struct pair {
        struct grpc_server *s;
        struct grpc_client *cl;
        struct grpc_channel *ch;
        int port;
};

static void pair_open(struct pair *p, struct grpc_server_opts so, struct grpc_channel_opts co)
{
        char target[64];
        p->s = serve(so, &p->port);
        snprintf(target, sizeof target, "127.0.0.1:%d", p->port);
        CHECK_OK(grpc_client_new("grpc-test", &p->cl));
        CHECK_OK(grpc_channel_new(p->cl, target, &co, &p->ch));
}

static void pair_close(struct pair *p)
{
        grpc_channel_free(p->ch);
        grpc_client_free(p->cl);
        grpc_server_stop(p->s, 2000);
        grpc_server_free(p->s);
}

static void unary(struct grpc_channel *ch, const char *path, Str request, Str want)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        CHECK_OK(grpc_call_unary(ch, path, NULL, request, &b));
        CHECK_STRS(buf_str(&b), want);
        buf_done(&b);
}

static void unary_fails(struct grpc_channel *ch, const char *path, int64_t timeout_ms, const char *want)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        CHECK_ERROR(grpc_call_unary(ch, path, &(struct grpc_call_opts){.timeout_ms = timeout_ms}, STR(""), &b), want);
        buf_done(&b);
}

static Str filled(struct buf *b, size_t n)
{
        while (b->n < n)
                buf_putc(b, (char)("abcdefghij"[b->n % 10]));
        return buf_str(b);
}

/* --- tests --- */

TEST(grpc, unary_calls_give_back_the_message)
{
        struct pair p;
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        pair_open(&p, (struct grpc_server_opts){0}, (struct grpc_channel_opts){0});
        unary(p.ch, "/t.T/Echo", STR(""), STR(""));
        unary(p.ch, "/t.T/Echo", STR("hello"), STR("hello"));
        Str large = filled(&b, 3 << 20); /* several windows */
        unary(p.ch, "/t.T/Echo", large, large);
        for (int i = 0; i < 200; i++)
                unary(p.ch, "/t.T/Echo", STR("again"), STR("again"));
        CHECK_I64(grpc_channel_get_state(p.ch), GRPC_READY);
        buf_done(&b);
        pair_close(&p);
}

TEST(grpc, names_are_resolved)
{
        struct pair p;
        struct grpc_channel *ch = NULL;
        char target[64];
        pair_open(&p, (struct grpc_server_opts){0}, (struct grpc_channel_opts){0});
        snprintf(target, sizeof target, "localhost:%d", p.port);
        CHECK_OK(grpc_channel_new(p.cl, target, NULL, &ch));
        unary(ch, "/t.T/Echo", STR("by name"), STR("by name"));
        grpc_channel_free(ch);
        pair_close(&p);
}

static void compressed(enum grpc_encoding e)
{
        struct pair p;
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        pair_open(&p, (struct grpc_server_opts){0}, (struct grpc_channel_opts){.compression = e});
        unary(p.ch, "/t.T/Echo", STR(""), STR(""));
        Str large = filled(&b, 300000);
        unary(p.ch, "/t.T/Echo", large, large);
        buf_done(&b);
        pair_close(&p);
}

TEST(grpc, messages_go_compressed_both_ways)
{
        compressed(GRPC_SNAPPY);
        compressed(GRPC_GZIP);
}

static void stream(enum grpc_encoding encoding, int64_t pause_every)
{
        struct pair p;
        pair_open(&p, (struct grpc_server_opts){0}, (struct grpc_channel_opts){.compression = encoding});
        struct grpc_call *c = grpc_call_start(p.ch, "/t.T/Big", NULL, STR("1000"));
        Str m;
        uint32_t n = 0;
        while (grpc_call_recv(c, -1, &m) == GRPC_GOT_MESSAGE) {
                CHECK_U64(m.n, BIG_BYTES);
                CHECK_U64(get_be32(m.p), n);
                n++;
                if (pause_every && n % (uint32_t)pause_every == 0)
                        usleep(1000);
        }
        CHECK_U64(n, BIG_COUNT);
        CHECK_OK(grpc_status_error(grpc_call_get_status(c)));
        grpc_call_free(c);
        pair_close(&p);
}

TEST(grpc, a_stream_of_1000_messages_of_64_kib_comes_whole_and_in_order)
{
        stream(GRPC_IDENTITY, 0);
        stream(GRPC_SNAPPY, 0);
        stream(GRPC_IDENTITY, 20);
}

TEST(grpc, a_reader_that_stops_stops_the_sender_and_nobody_else)
{
        struct pair p;
        pair_open(&p, (struct grpc_server_opts){0}, (struct grpc_channel_opts){0});
        atomic_store(&sent_big, 0);
        struct grpc_call *c = grpc_call_start(p.ch, "/t.T/Big", NULL, STR("1000"));
        int before = -1; /* until the sender stands */
        for (int still = 0; still < 10; still++) {
                usleep(20000);
                int now = atomic_load(&sent_big);
                if (now != before || !now)
                        still = 0;
                before = now;
        }
        /* A window at the client, the marks at the server, what the kernel holds of loopback. */
        CHECK_MSG(before < 150, "%d messages of 64 KiB were taken from the handler", before);
        for (int i = 0; i < 20; i++)
                unary(p.ch, "/t.T/Echo", STR("others go on"), STR("others go on"));
        Str m;
        int n = 0;
        while (grpc_call_recv(c, -1, &m) == GRPC_GOT_MESSAGE)
                n++;
        CHECK_I64(n, BIG_COUNT);
        grpc_call_free(c);
        pair_close(&p);
}

TEST(grpc, a_status_comes_with_or_without_messages)
{
        struct pair p;
        pair_open(&p, (struct grpc_server_opts){0}, (struct grpc_channel_opts){0});
        unary_fails(p.ch, "/t.T/Fail", 0, "rpc error: code = Aborted desc = no: é 100%\nnext");
        struct grpc_call *c = grpc_call_start(p.ch, "/t.T/Fail", NULL, STR("first"));
        Str m;
        CHECK_I64(grpc_call_recv(c, -1, &m), GRPC_GOT_MESSAGE);
        CHECK_STR(m, "first");
        CHECK_I64(grpc_call_recv(c, -1, &m), GRPC_GOT_END);
        CHECK_I64(grpc_call_get_status(c)->code, GRPC_ABORTED);
        grpc_call_free(c);
        unary_fails(p.ch, "/t.T/Nothing", 0,
                    "rpc error: code = Unimplemented desc = unknown method Nothing for service t.T");
        unary_fails(p.ch, "/a.B/C", 0, "rpc error: code = Unimplemented desc = unknown service a.B");
        unary_fails(p.ch, "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", 0,
                    "rpc error: code = Unimplemented desc = unknown service grpc.reflection.v1.ServerReflection");
        unary_fails(p.ch, "/abc", 0, "rpc error: code = Unimplemented desc = malformed method name: \"/abc\"");
        pair_close(&p);
}

static void wait_gone(int n)
{
        for (int i = 0; atomic_load(&gone) < n; i++) {
                CHECK_MSG(i < 10000, "the handler does not end");
                usleep(1000);
        }
}

TEST(grpc, the_deadline_ends_the_call_on_both_sides)
{
        struct pair p;
        pair_open(&p, (struct grpc_server_opts){0}, (struct grpc_channel_opts){0});
        atomic_store(&gone, 0);
        int64_t ms = 50; /* more on a machine so busy that the handler did not begin */
        for (bool begun = false; !begun; ms *= 2) {
                struct grpc_call *c =
                        grpc_call_start(p.ch, "/t.T/Hang", &(struct grpc_call_opts){.timeout_ms = ms}, STR("begun"));
                Str m;
                while (grpc_call_recv(c, -1, &m) == GRPC_GOT_MESSAGE)
                        begun = true;
                CHECK_ERROR(grpc_status_error(grpc_call_get_status(c)),
                            "rpc error: code = DeadlineExceeded desc = context deadline exceeded");
                grpc_call_free(c);
        }
        wait_gone(1);
        unary(p.ch, "/t.T/Echo", STR("alive"), STR("alive"));
        pair_close(&p);
}

TEST(grpc, cancelling_reaches_the_handler)
{
        struct pair p;
        pair_open(&p, (struct grpc_server_opts){0}, (struct grpc_channel_opts){0});
        atomic_store(&gone, 0);
        for (int i = 0; i < 20; i++) {
                struct grpc_call *c = grpc_call_start(p.ch, "/t.T/Hang", NULL, STR("begun"));
                Str m;
                CHECK_I64(grpc_call_recv(c, -1, &m), GRPC_GOT_MESSAGE);
                CHECK_I64(grpc_call_recv(c, 0, &m), GRPC_GOT_NOTHING);
                CHECK_I64(grpc_call_recv(c, 1, &m), GRPC_GOT_NOTHING);
                if (i & 1) {
                        grpc_call_cancel(c);
                        CHECK_I64(grpc_call_recv(c, -1, &m), GRPC_GOT_END);
                        CHECK_I64(grpc_call_get_status(c)->code, GRPC_CANCELLED);
                }
                grpc_call_free(c);
        }
        wait_gone(20);
        pair_close(&p);
}

TEST(grpc, a_stopped_server_ends_hanging_calls)
{
        struct pair p;
        pair_open(&p, (struct grpc_server_opts){0}, (struct grpc_channel_opts){0});
        struct grpc_call *c = grpc_call_start(p.ch, "/t.T/Hang", NULL, STR("begun"));
        Str m;
        CHECK_I64(grpc_call_recv(c, -1, &m), GRPC_GOT_MESSAGE);
        grpc_server_stop(p.s, 10);
        enum grpc_got got;
        while ((got = grpc_call_recv(c, -1, &m)) == GRPC_GOT_MESSAGE) {}
        CHECK_I64(got, GRPC_GOT_END);
        CHECK(grpc_call_get_status(c)->code != GRPC_OK);
        grpc_call_free(c);
        pair_close(&p);
}

TEST(grpc, limits_of_messages_hold_on_both_sides)
{
        struct pair p;
        struct buf b = BUF_INIT(BUF_NO_LIMIT), out = BUF_INIT(BUF_NO_LIMIT);
        pair_open(&p, (struct grpc_server_opts){.recv_bytes_max = 1000},
                  (struct grpc_channel_opts){.recv_bytes_max = 500});
        Str m = filled(&b, 1001);
        CHECK_ERROR(
                grpc_call_unary(p.ch, "/t.T/Echo", NULL, m, &out),
                "rpc error: code = ResourceExhausted desc = grpc: received message larger than max (1001 vs. 1000)");
        m = str_sub(m, 0, 501);
        CHECK_ERROR(grpc_call_unary(p.ch, "/t.T/Echo", NULL, m, &out),
                    "rpc error: code = ResourceExhausted desc = grpc: received message larger than max (501 vs. 500)");
        m = str_sub(m, 0, 500);
        unary(p.ch, "/t.T/Echo", m, m);
        buf_done(&b);
        buf_done(&out);
        pair_close(&p);
}

TEST(grpc, metadata_arrives)
{
        struct pair p;
        struct buf out = BUF_INIT(100);
        pair_open(&p, (struct grpc_server_opts){0}, (struct grpc_channel_opts){0});
        struct grpc_pair md[] = {{STR("thanos-tenant"), STR("team-a")}};
        CHECK_OK(grpc_call_unary(p.ch, "/t.T/Metadata", &(struct grpc_call_opts){.metadata = md, .n_metadata = 1},
                                 STR(""), &out));
        CHECK_STR(buf_str(&out), "team-a");
        buf_done(&out);
        pair_close(&p);
}

TEST(grpc, health_says_what_was_set)
{
        struct pair p;
        pair_open(&p, (struct grpc_server_opts){0}, (struct grpc_channel_opts){0});
        unary(p.ch, "/grpc.health.v1.Health/Check", STR(""), STR("\x08\x02"));
        struct grpc_call *w = grpc_call_start(p.ch, "/grpc.health.v1.Health/Watch", NULL, STR(""));
        Str m;
        CHECK_I64(grpc_call_recv(w, -1, &m), GRPC_GOT_MESSAGE);
        CHECK_STR(m, "\x08\x02");
        grpc_server_set_serving(p.s, true);
        CHECK_I64(grpc_call_recv(w, -1, &m), GRPC_GOT_MESSAGE);
        CHECK_STR(m, "\x08\x01");
        grpc_call_free(w);
        unary(p.ch, "/grpc.health.v1.Health/Check", STR(""), STR("\x08\x01"));
        struct buf out = BUF_INIT(100);
        CHECK_ERROR(grpc_call_unary(p.ch, "/grpc.health.v1.Health/Check", NULL, STR("\x0a\x01x"), &out),
                    "rpc error: code = NotFound desc = unknown service");
        buf_done(&out);
        pair_close(&p);
}

/* 30 streams of 40 messages, one waiting thread. */
TEST(grpc, a_group_waits_for_many_calls)
{
        enum { CALLS = 30, EACH = 40 };
        struct pair p;
        pair_open(&p, (struct grpc_server_opts){0}, (struct grpc_channel_opts){0});
        struct grpc_group *g = grpc_group_new();
        struct grpc_call *calls[CALLS];
        int n[CALLS] = {0}, open = CALLS;
        bool ended[CALLS] = {false};
        for (int i = 0; i < CALLS; i++)
                calls[i] = grpc_call_start(p.ch, "/t.T/Big", &(struct grpc_call_opts){.group = g, .tag = &n[i]},
                                           STR("40"));
        while (open) {
                struct grpc_call *c = grpc_group_next(g, 20000);
                CHECK(c != NULL);
                Str m;
                enum grpc_got got;
                while ((got = grpc_call_recv(c, 0, &m)) == GRPC_GOT_MESSAGE)
                        ++*(int *)grpc_call_get_tag(c);
                if (got == GRPC_GOT_END && !ended[(int *)grpc_call_get_tag(c) - n]) {
                        ended[(int *)grpc_call_get_tag(c) - n] = true;
                        CHECK_OK(grpc_status_error(grpc_call_get_status(c)));
                        open--;
                }
        }
        for (int i = 0; i < CALLS; i++) {
                CHECK_I64(n[i], EACH);
                grpc_call_free(calls[i]);
        }
        grpc_group_free(g);
        pair_close(&p);
}

struct caller {
        struct grpc_channel *ch;
        struct thread t;
};
static void call_often(void *arg)
{
        struct caller *c = arg;
        for (int i = 0; i < 100; i++) {
                if (i % 10 == 9) {
                        struct grpc_call *x = grpc_call_start(c->ch, "/t.T/Big", NULL, STR("1000"));
                        Str m;
                        grpc_call_recv(x, 5, &m);
                        grpc_call_free(x);
                } else {
                        unary(c->ch, "/t.T/Echo", STR("threads"), STR("threads"));
                }
        }
}

TEST(grpc, many_threads_share_a_channel)
{
        struct pair p;
        struct caller c[6];
        pair_open(&p, (struct grpc_server_opts){0}, (struct grpc_channel_opts){0});
        for (size_t i = 0; i < ARRAY_LEN(c); i++) {
                c[i].ch = p.ch;
                CHECK_OK(thread_start(&c[i].t, "caller", call_often, &c[i]));
        }
        for (size_t i = 0; i < ARRAY_LEN(c); i++)
                thread_join(&c[i].t);
        pair_close(&p);
}

TEST(grpc, a_channel_that_cannot_connect_says_why_and_comes_back)
{
        struct grpc_client *cl = NULL;
        struct grpc_channel *ch = NULL;
        int port;
        struct grpc_server *s = serve((struct grpc_server_opts){0}, &port);
        char target[64], want[256];
        snprintf(target, sizeof target, "127.0.0.1:%d", port);
        CHECK_OK(grpc_client_new("grpc-test", &cl));
        CHECK_OK(grpc_channel_new(cl, target, &(struct grpc_channel_opts){.backoff_ms = 1, .backoff_max_ms = 1}, &ch));
        unary(ch, "/t.T/Echo", STR("1"), STR("1"));
        grpc_server_stop(s, 1000);
        grpc_server_free(s);
        snprintf(want, sizeof want,
                 "rpc error: code = Unavailable desc = connection error: desc = \"transport: Error while dialing: dial "
                 "tcp %s: "
                 "connect: connection refused\"",
                 target);
        unary_fails(ch, "/t.T/Echo", 0, want);
        CHECK_I64(grpc_channel_get_state(ch), GRPC_FAILED);
        unary_fails(ch, "/t.T/Echo", 0, want);
        CHECK_OK(grpc_server_new(&(struct grpc_server_opts){.loops = 1}, &s));
        grpc_server_handle(s, "/t.T/Echo", echo, NULL);
        CHECK_OK(grpc_server_listen(s, target));
        CHECK_OK(grpc_server_start(s));
        usleep(5000);
        unary(ch, "/t.T/Echo", STR("2"), STR("2"));
        grpc_channel_free(ch);
        grpc_client_free(cl);
        grpc_server_free(s);
        CHECK_OK(grpc_client_new("grpc-test", &cl));
        CHECK_ERROR(grpc_channel_new(cl, "nowhere", NULL, &ch), "address nowhere: missing port in address");
        grpc_client_free(cl);
}

/* Old connections are told to go; calls in flight end well, new ones go over another connection. */
TEST(grpc, a_connection_that_is_too_old_is_replaced_without_a_failed_call)
{
        struct pair p;
        pair_open(&p, (struct grpc_server_opts){.age_max_ms = 20}, (struct grpc_channel_opts){0});
        for (int i = 0; i < 100; i++) {
                unary(p.ch, "/t.T/Echo", STR("x"), STR("x"));
                usleep(1500);
        }
        pair_close(&p);
}

/* --- TLS --- */

static void tls_fails(int port, const struct tls_client_opts *tls, const char *why)
{
        struct grpc_client *cl = NULL;
        struct grpc_channel *ch = NULL;
        struct buf b = BUF_INIT(100);
        char target[64];
        snprintf(target, sizeof target, "127.0.0.1:%d", port);
        CHECK_OK(grpc_client_new("grpc-test", &cl));
        CHECK_OK(grpc_channel_new(cl, target, &(struct grpc_channel_opts){.tls = tls}, &ch));
        struct error *e = grpc_call_unary(ch, "/t.T/Echo", NULL, STR("x"), &b);
        CHECK(error_is(e, ERROR_UNAVAILABLE));
        CHECK_MSG(str_contains(str_from(error_str(e)), str_from(why)), "%s", error_str(e));
        error_free(e);
        buf_done(&b);
        grpc_channel_free(ch);
        grpc_client_free(cl);
}

TEST(grpc, tls_and_client_certificates)
{
        struct authority a, other;
        authority_init(&a, "IP:127.0.0.1", -60, 3600);
        authority_init(&other, "IP:127.0.0.1", -60, 3600);
        struct http_tls_opts server = {.cert_file = a.cert_file, .key_file = a.key_file};
        struct tls_client_opts client = {.ca_file = a.ca};
        struct pair p;
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        pair_open(&p, (struct grpc_server_opts){.tls = &server}, (struct grpc_channel_opts){.tls = &client});
        Str large = filled(&b, 3 << 20);
        unary(p.ch, "/t.T/Echo", large, large);
        tls_fails(p.port, &(struct tls_client_opts){.ca_file = other.ca},
                  "x509: certificate signed by unknown authority");
        tls_fails(p.port, &(struct tls_client_opts){.ca_file = a.ca, .server_name = "elsewhere"}, "ostname mismatch");
        tls_fails(p.port, NULL, "");
        pair_close(&p);

        server.client_ca_file = a.ca;
        server.client_required = true;
        client.cert_file = a.cert_file;
        client.key_file = a.key_file;
        pair_open(&p, (struct grpc_server_opts){.tls = &server},
                  (struct grpc_channel_opts){.tls = &client, .compression = GRPC_SNAPPY});
        unary(p.ch, "/t.T/Echo", large, large);
        tls_fails(p.port, &(struct tls_client_opts){.ca_file = a.ca}, "");
        tls_fails(p.port,
                  &(struct tls_client_opts){.ca_file = a.ca, .cert_file = other.cert_file, .key_file = other.key_file},
                  "");
        pair_close(&p);
        buf_done(&b);
        authority_done(&a);
        authority_done(&other);
}

/* --- peers that do not speak it --- */

static void raw_case(int port, Str bytes)
{
        struct test_client c;
        test_client_open(&c, port);
        test_client_send(&c, bytes);
        shutdown(c.fd, SHUT_WR);
        while (test_client_more(&c)) {}
        test_client_close(&c);
}
#define BYTES(s) ((Str){(s), sizeof(s) - 1})

TEST(grpc, garbage_does_no_harm_to_the_server)
{
        struct pair p;
        pair_open(&p, (struct grpc_server_opts){0}, (struct grpc_channel_opts){0});
        raw_case(p.port, STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
        raw_case(p.port, STR("POST /t.T/Echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/grpc\r\nContent-Length: "
                             "5\r\n\r\n\0\0\0\0\0"));
        raw_case(p.port, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnot frames at all, and more than nine bytes"));
        raw_case(
                p.port,
                BYTES("PRI * "
                      "HTTP/"
                      "2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00\xff\xff\xff\x00\x00\x00\x00\x00\x01"));
        unary(p.ch, "/t.T/Echo", STR("alive"), STR("alive"));
        pair_close(&p);
}

struct bad_server {
        int fd;
        Str say;
};
static void bad_server_run(void *arg)
{
        struct bad_server *b = arg;
        int c = accept(b->fd, NULL, NULL);
        if (c < 0)
                return;
        if (b->say.n)
                CHECK(send(c, b->say.p, b->say.n, MSG_NOSIGNAL) > 0);
        char sink[4096];
        if (b->say.n)
                shutdown(c, SHUT_WR);
        while (recv(c, sink, sizeof sink, 0) > 0) {}
        close(c);
}

static void bad_server_case(Str say, struct grpc_channel_opts o, const char *want)
{
        struct bad_server b = {.fd = socket(AF_INET, SOCK_STREAM, 0), .say = say};
        struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t n = sizeof sa;
        CHECK(bind(b.fd, (struct sockaddr *)&sa, n) == 0 && listen(b.fd, 1) == 0 &&
              getsockname(b.fd, (struct sockaddr *)&sa, &n) == 0);
        struct thread t;
        CHECK_OK(thread_start(&t, "bad", bad_server_run, &b));
        struct grpc_client *cl = NULL;
        struct grpc_channel *ch = NULL;
        char target[64];
        snprintf(target, sizeof target, "127.0.0.1:%d", ntohs(sa.sin_port));
        CHECK_OK(grpc_client_new("grpc-test", &cl));
        CHECK_OK(grpc_channel_new(cl, target, &o, &ch));
        unary_fails(ch, "/t.T/Echo", 5000, want);
        grpc_channel_free(ch);
        grpc_client_free(cl);
        thread_join(&t);
        close(b.fd);
}

TEST(grpc, servers_that_speak_nothing_or_something_else_cost_the_call_only)
{
        bad_server_case(STR("HTTP/1.1 400 Bad Request\r\n\r\n"), (struct grpc_channel_opts){0}, "");
        /* Says nothing: the ping finds out. */
        bad_server_case(STR(""), (struct grpc_channel_opts){.keepalive_ms = 20, .keepalive_timeout_ms = 20},
                        "rpc error: code = Unavailable desc = connection error: desc = \"error reading server preface: "
                        "keepalive ping "
                        "failed to receive ACK within timeout\"");
}
