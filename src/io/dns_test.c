/* SPDX-License-Identifier: Apache-2.0 */
/* dns_test.c — against a small name server in a thread: UDP and TCP on one loopback port. */
#include "io/dns.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/file.h"
#include "base/test.h"
#include "base/thread.h"
#include "io/http/client.h"
#include "io/loop.h"
#include "io/resolver.h"

struct name_server {
        int udp, tcp, stop[2], port;
        struct thread t;
        char conf[300];
        _Atomic int n_udp, n_tcp;
};

static void put16(struct buf *b, unsigned v)
{
        buf_putc(b, (char)(v >> 8));
        buf_putc(b, (char)v);
}
static void put_name(struct buf *b, const char *dotted)
{
        Str rest = str_from(dotted), label;
        while (str_next(&rest, '.', &label)) {
                buf_putc(b, (char)label.n);
                buf_put(b, label);
        }
        buf_putc(b, 0);
}
/* One record about the name of the question. */
static void put_record(struct buf *b, unsigned type, unsigned ttl, Str data)
{
        put16(b, 0xc00c);
        put16(b, type);
        put16(b, 1);
        put16(b, ttl >> 16);
        put16(b, ttl & 0xffff);
        put16(b, (unsigned)data.n);
        buf_put(b, data);
}
static void put_srv(struct buf *b, int i)
{
        struct buf d = BUF_INIT(300);
        char host[40];
        put16(&d, (unsigned)i);
        put16(&d, (unsigned)i * 2);
        put16(&d, (unsigned)(9000 + i));
        snprintf(host, sizeof host, "host-%03d.svc.test", i);
        put_name(&d, host);
        put_record(b, 33, 60, buf_str(&d));
        buf_done(&d);
}
static void answer(struct name_server *s, Str q, bool tcp, struct buf *b)
{
        buf_clear(b);
        if (q.n < 12)
                return;
        char name[300] = "";
        size_t at = 12, n = 0;
        while (at < q.n && q.p[at] && n + (size_t)q.p[at] + 2 < sizeof name) {
                size_t len = (size_t)q.p[at++];
                if (n)
                        name[n++] = '.';
                memcpy(name + n, q.p + at, len);
                n += len;
                at += len;
        }
        name[n] = 0;
        unsigned type = (unsigned char)q.p[at + 2];
        Str question = str_sub(q, 12, at + 5);
        unsigned flags = 0x8180, count = 0;
        struct buf records = BUF_INIT(1 << 16);
        if (!strcmp(name, "a.test") && type == 1) {
                count = 2;
                put_record(&records, 1, 33, STR("\x7f\0\0\1"));
                put_record(&records, 1, 33, STR("\x7f\0\0\2"));
        } else if (!strcmp(name, "a.test") && type == 28) {
                count = 1;
                put_record(&records, 28, 44, STR("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"));
        } else if (!strcmp(name, "loop.test") && type == 1) {
                count = 1;
                put_record(&records, 1, 33, STR("\x7f\0\0\1"));
        } else if (!strcmp(name, "_http._tcp.many.test") && type == 33 && tcp) {
                count = 200;
                for (int i = 0; i < 200; i++)
                        put_srv(&records, i);
        } else if (!strcmp(name, "_http._tcp.many.test") && type == 33) {
                flags |= 0x0200; /* truncated */
        } else if (!strcmp(name, "_few._tcp.test") && type == 33) {
                count = 1;
                put_srv(&records, 7);
        } else if (!strcmp(name, "mail.test") && type == 15) {
                count = 1;
                struct buf d = BUF_INIT(300);
                put16(&d, 10);
                put_name(&d, "mx1.test");
                put_record(&records, 15, 5, buf_str(&d));
                buf_done(&d);
        } else if (!strcmp(name, "zone.test") && type == 2) {
                count = 1;
                struct buf d = BUF_INIT(300);
                put_name(&d, "ns1.zone.test");
                put_record(&records, 2, 5, buf_str(&d));
                buf_done(&d);
        } else if (!strcmp(name, "broken.test")) {
                flags |= 2; /* SERVFAIL */
        } else if (!strcmp(name, "garbage.test")) {
                count = 3;
                put_record(&records, 33, 5, STR("\0\1"));
        } else if (!strcmp(name, "silent.test")) {
                buf_done(&records);
                return;
        } else if (strcmp(name, "loop.test") != 0 && strcmp(name, "a.test") != 0) {
                flags |= 3; /* no such name */
        }
        buf_append(b, q.p, 2);
        put16(b, flags);
        put16(b, 1);
        put16(b, count);
        put16(b, 0);
        put16(b, 0);
        buf_put(b, question);
        buf_put(b, buf_str(&records));
        buf_done(&records);
        (tcp ? &s->n_tcp : &s->n_udp)[0]++;
}

static void serve_tcp(struct name_server *s, struct buf *b)
{
        char q[1024];
        int c = accept(s->tcp, NULL, NULL);
        struct timeval tv = {.tv_sec = 2};
        setsockopt(c, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof tv);
        size_t n = 0, want = 2;
        while (n < want) {
                ssize_t got = recv(c, q + n, sizeof q - n, 0);
                if (got <= 0)
                        break;
                n += (size_t)got;
                if (n >= 2)
                        want = 2 + ((size_t)(unsigned char)q[0] << 8 | (unsigned char)q[1]);
                if (want > sizeof q)
                        break;
        }
        if (n >= want && want > 2) {
                answer(s, (Str){q + 2, want - 2}, true, b);
                char head[2] = {(char)(b->n >> 8), (char)b->n};
                if (send(c, head, 2, MSG_NOSIGNAL | MSG_MORE) == 2)
                        send(c, b->p, b->n, MSG_NOSIGNAL);
                recv(c, q, 1, 0); /* until the client closes */
        }
        close(c);
}
static void name_server_main(void *arg)
{
        struct name_server *s = arg;
        struct buf b = BUF_INIT(1 << 16);
        for (;;) {
                struct pollfd p[] = {{.fd = s->udp, .events = POLLIN},
                                     {.fd = s->tcp, .events = POLLIN},
                                     {.fd = s->stop[0], .events = POLLIN}};
                poll(p, 3, -1);
                if (p[2].revents)
                        break;
                if (p[0].revents) {
                        char q[1500];
                        struct sockaddr_in from;
                        socklen_t n_from = sizeof from;
                        ssize_t n = recvfrom(s->udp, q, sizeof q, 0, (struct sockaddr *)&from, &n_from);
                        if (n > 0) {
                                answer(s, (Str){q, (size_t)n}, false, &b);
                                if (b.n)
                                        sendto(s->udp, b.p, b.n, 0, (struct sockaddr *)&from, n_from);
                        }
                }
                if (p[1].revents)
                        serve_tcp(s, &b);
        }
        buf_done(&b);
}
static void name_server_start(struct name_server *s)
{
        memset(s, 0, sizeof *s);
        bool bound = false;
        for (int tries = 0; tries < 100 && !bound; tries++) { /* a port that is free for UDP can be someone's for TCP */
                struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
                socklen_t n = sizeof sa;
                if (tries) {
                        close(s->udp);
                        close(s->tcp);
                }
                s->udp = socket(AF_INET, SOCK_DGRAM, 0);
                s->tcp = socket(AF_INET, SOCK_STREAM, 0);
                CHECK(!bind(s->udp, (struct sockaddr *)&sa, n) && !getsockname(s->udp, (struct sockaddr *)&sa, &n));
                s->port = ntohs(sa.sin_port);
                bound = !bind(s->tcp, (struct sockaddr *)&sa, n);
        }
        CHECK(bound && !listen(s->tcp, 10) && !pipe(s->stop));
        char text[100];
        snprintf(s->conf, sizeof s->conf, "%s/resolv.conf", test_dir());
        int len = snprintf(text, sizeof text, "nameserver 127.0.0.1:%d\nsearch test\n", s->port);
        CHECK_OK(file_replace(s->conf, (Str){text, (size_t)len}));
        setenv("COEUS_RESOLV_CONF", s->conf, 1);
        CHECK_OK(thread_start(&s->t, "dns", name_server_main, s));
}
static void name_server_stop(struct name_server *s)
{
        CHECK(write(s->stop[1], "x", 1) == 1);
        thread_join(&s->t);
        close(s->udp);
        close(s->tcp);
        close(s->stop[0]);
        close(s->stop[1]);
        unsetenv("COEUS_RESOLV_CONF");
}

static void lookup_case(const char *name, enum dns_type type, const char *want)
{
        struct arena a;
        arena_init(&a, 1 << 20);
        struct dns_record *v = NULL;
        size_t n = 0;
        CHECK_OK(dns_lookup(str_from(name), type, 5000, &a, &v, &n));
        struct buf b = BUF_INIT(1 << 16);
        for (size_t i = 0; i < n && i < 3; i++)
                buf_printf(&b, "%.*s %d %d %d %d;", STR_ARG(v[i].name), v[i].port, v[i].priority, v[i].weight,
                           (int)v[i].ttl_s);
        if (n > 3)
                buf_printf(&b, "%d records", (int)n);
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
        arena_done(&a);
}
TEST(dns_lookup, reads_the_five_types)
{
        struct name_server s;
        name_server_start(&s);
        lookup_case("a.test", DNS_A, "127.0.0.1 0 0 0 33;127.0.0.2 0 0 0 33;");
        lookup_case("a", DNS_A, "127.0.0.1 0 0 0 33;127.0.0.2 0 0 0 33;"); /* the search domain */
        lookup_case("a.test", DNS_AAAA, "::1 0 0 0 44;");
        lookup_case("_few._tcp.test", DNS_SRV, "host-007.svc.test 9007 7 14 0;");
        lookup_case("mail.test", DNS_MX, "mx1.test 0 10 0 0;");
        lookup_case("zone.test", DNS_NS, "ns1.zone.test 0 0 0 0;");
        CHECK_I64(s.n_tcp, 0);
        name_server_stop(&s);
}
TEST(dns_lookup, asks_again_over_TCP_when_the_answer_is_cut)
{
        struct name_server s;
        name_server_start(&s);
        lookup_case(
                "_http._tcp.many.test", DNS_SRV,
                "host-000.svc.test 9000 0 0 0;host-001.svc.test 9001 1 2 0;host-002.svc.test 9002 2 4 0;200 records");
        CHECK_I64(s.n_tcp, 1);
        name_server_stop(&s);
}
static void failing_case(const struct name_server *s, const char *name, int64_t timeout_ms, enum error_kind kind,
                         const char *why)
{
        struct arena a;
        arena_init(&a, 1 << 20);
        struct dns_record *v;
        size_t n;
        char want[200];
        snprintf(want, sizeof want, "lookup %s on 127.0.0.1:%d: %s", name, s->port, why);
        struct error *e = dns_lookup(str_from(name), DNS_SRV, timeout_ms, &a, &v, &n);
        CHECK(error_is(e, kind));
        CHECK_ERROR(e, want);
        arena_done(&a);
}
TEST(dns_lookup, words_failures_as_Go_does)
{
        struct name_server s;
        name_server_start(&s);
        failing_case(&s, "none.test", 5000, ERROR_NOT_FOUND, "no such host");
        failing_case(&s, "silent.test", 50, ERROR_TIMEOUT, "i/o timeout");
        failing_case(&s, "broken.test", 5000, ERROR_IO, "server misbehaving");
        failing_case(&s, "garbage.test", 5000, ERROR_IO, "server misbehaving");
        name_server_stop(&s);
}

static void say_hello(struct http_request *r, void *ctx)
{
        (void)ctx;
        http_replyf(r, 200, NULL, "hello %.*s", STR_ARG(r->host));
}
struct by_name {
        struct loop *l;
        struct http_client *c;
        struct http_call call;
        char url[100];
        struct error *e;
        struct mutex mu;
        struct cond changed;
        bool done;
};
static void by_name_done(struct http_call *c, struct error *take_e, struct http_response *r)
{
        struct by_name *b = CONTAINER_OF(c, struct by_name, call);
        (void)r;
        mutex_lock(&b->mu);
        b->e = take_e;
        b->done = true;
        cond_signal(&b->changed);
        mutex_unlock(&b->mu);
}
static void by_name_send(void *arg)
{
        static const struct http_client_conf conf;
        struct by_name *b = arg;
        if (!b->c)
                CHECK_OK(http_client_new(b->l, &b->c));
        http_client_send(b->c, &conf, &(struct http_client_request){.url = b->url, .timeout_ms = 5000}, &b->call);
}
static void by_name_free(void *arg)
{
        http_client_free(((struct by_name *)arg)->c);
}
static struct error *by_name_get(struct by_name *b, const char *host, int port)
{
        snprintf(b->url, sizeof b->url, "http://%s:%d/hello", host, port);
        b->done = false;
        loop_call(b->l, by_name_send, b);
        mutex_lock(&b->mu);
        while (!b->done)
                cond_wait(&b->changed, &b->mu);
        mutex_unlock(&b->mu);
        return b->e;
}
TEST(http_client, finds_hosts_by_DNS_and_remembers_them)
{
        struct name_server s;
        name_server_start(&s);
        struct http_server *server = NULL;
        CHECK_OK(http_server_new(&(struct http_server_opts){.name = "dns", .loops = 1}, &server));
        http_server_handle(server, "/hello", HTTP_GET, HTTP_INLINE, say_hello, NULL);
        CHECK_OK(http_server_listen(server, "127.0.0.1:0"));
        CHECK_OK(http_server_start(server));
        int port = http_server_port(server, 0);
        struct by_name b = {.call.done = by_name_done};
        char want[200];
        mutex_init(&b.mu);
        cond_init(&b.changed);
        CHECK_OK(loop_new("dns", &b.l));
        for (int i = 0; i < 3; i++) {
                CHECK_OK(by_name_get(&b, "loop.test", port));
                snprintf(want, sizeof want, "hello loop.test:%d", port);
                CHECK_STR(buf_str(&b.call.response.body), want);
        }
        CHECK_I64(s.n_udp, 2); /* A and AAAA, once */
        struct error *e = by_name_get(&b, "none.test", port);
        snprintf(want, sizeof want,
                 "Get \"http://none.test:%d/hello\": dial tcp: lookup none.test on 127.0.0.1:%d: no such host", port,
                 s.port);
        CHECK_ERROR(e, want);
        loop_call(b.l, by_name_free, &b);
        loop_free(b.l);
        http_response_done(&b.call.response);
        http_server_stop(server, 0);
        http_server_free(server);
        name_server_stop(&s);
        cond_done(&b.changed);
        mutex_done(&b.mu);
}
