/* SPDX-License-Identifier: Apache-2.0 */
/* endpoints_dns_test.c — against a name server of a few names in a thread. */
#include "thanos/query/endpoints_dns.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"
#include "base/thread.h"

struct name_server {
        struct thread t;
        int fd;
        _Atomic bool broken, moved; /* SERVFAIL to all; other answers */
        _Atomic int asked;
};

enum { TYPE_A = 1, TYPE_AAAA = 28, TYPE_SRV = 33 };

static void put16(struct buf *b, unsigned v)
{
        buf_putc(b, (char)(v >> 8));
        buf_putc(b, (char)v);
}

static void put_name(struct buf *b, const char *name)
{
        Str rest = str_from(name), label;
        while (str_next(&rest, '.', &label)) {
                buf_putc(b, (char)label.n);
                buf_put(b, label);
        }
        buf_putc(b, '\0');
}

static void put_record(struct buf *b, unsigned type, Str data)
{
        put16(b, 0xc00c); /* the name of the question */
        put16(b, type);
        put16(b, 1);
        put16(b, 0);
        put16(b, 1);
        put16(b, (unsigned)data.n);
        buf_put(b, data);
}

static void put_srv(struct buf *b, const char *host, unsigned port)
{
        struct buf d = BUF_INIT(300);
        put16(&d, 0);
        put16(&d, 0);
        put16(&d, port);
        put_name(&d, host);
        put_record(b, TYPE_SRV, buf_str(&d));
        buf_done(&d);
}

/* Answers and the code: 0 NOERROR, 2 SERVFAIL, 3 NXDOMAIN. */
static unsigned answer(struct name_server *s, Str name, unsigned type, struct buf *b, unsigned *n)
{
        static const char v6[16] = {[15] = 1};
        if (atomic_load(&s->broken))
                return 2;
        if (str_eq(name, STR("_grpc._tcp.stores.test"))) {
                if (type != TYPE_SRV)
                        return 0;
                put_srv(b, "a.test", 10901);
                if (!atomic_load(&s->moved))
                        put_srv(b, "six.test", 10902);
                *n = atomic_load(&s->moved) ? 1 : 2;
                return 0;
        }
        if (str_eq(name, STR("a.test"))) {
                if (type == TYPE_A) {
                        put_record(b, TYPE_A, STR("\x7f\0\0\1"));
                        put_record(b, TYPE_A, STR("\x7f\0\0\2"));
                        *n = 2;
                }
                return 0;
        }
        if (str_eq(name, STR("six.test"))) { /* has both */
                if (type == TYPE_AAAA)
                        put_record(b, TYPE_AAAA, (Str){v6, 16});
                else
                        put_record(b, TYPE_A, STR("\x7f\0\0\3"));
                *n = 1;
                return 0;
        }
        return 3;
}

static void serve(void *arg)
{
        struct name_server *s = arg;
        for (;;) {
                char q[512], name[300];
                struct sockaddr_in from;
                socklen_t from_n = sizeof from;
                ssize_t got = recvfrom(s->fd, q, sizeof q, 0, (struct sockaddr *)&from, &from_n);
                if (got <= 12) /* one byte says stop */
                        return;
                atomic_fetch_add(&s->asked, 1);
                size_t at = 12, n = 0, end = (size_t)got;
                while (at < end && q[at] > 0 && at + (size_t)q[at] + 1 < end && n + (size_t)q[at] + 1 < sizeof name) {
                        size_t len = (size_t)q[at++];
                        if (n)
                                name[n++] = '.';
                        memcpy(name + n, q + at, len);
                        n += len;
                        at += len;
                }
                if (at + 5 > end)
                        continue;
                unsigned type = (unsigned)(uint8_t)q[at + 1] << 8 | (uint8_t)q[at + 2], n_records = 0;
                struct buf records = BUF_INIT(1000), b = BUF_INIT(2000);
                unsigned code = answer(s, (Str){name, n}, type, &records, &n_records);
                buf_append(&b, q, 2);
                put16(&b, 0x8180 | code);
                put16(&b, 1);
                put16(&b, n_records);
                put16(&b, 0);
                put16(&b, 0);
                buf_append(&b, q + 12, at + 5 - 12);
                buf_put(&b, buf_str(&records));
                if (sendto(s->fd, b.p, b.n, 0, (struct sockaddr *)&from, from_n) < 0)
                        perror("sendto");
                buf_done(&b);
                buf_done(&records);
        }
}

static struct sockaddr_in name_server_start(struct name_server *s)
{
        struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t n = sizeof sa;
        s->fd = socket(AF_INET, SOCK_DGRAM, 0);
        CHECK(s->fd >= 0 && !bind(s->fd, (struct sockaddr *)&sa, n) && !getsockname(s->fd, (struct sockaddr *)&sa, &n));
        char path[300], text[64];
        snprintf(path, sizeof path, "%s/endpoints.resolv.conf", test_dir());
        int len = snprintf(text, sizeof text, "nameserver 127.0.0.1:%d\n", ntohs(sa.sin_port));
        CHECK_OK(file_replace(path, (Str){text, (size_t)len}));
        setenv("COEUS_RESOLV_CONF", path, 1);
        CHECK_OK(thread_start(&s->t, "dns", serve, s));
        return sa;
}

static void name_server_stop(struct name_server *s, struct sockaddr_in sa)
{
        int fd = socket(AF_INET, SOCK_DGRAM, 0);
        CHECK(sendto(fd, "x", 1, 0, (struct sockaddr *)&sa, sizeof sa) == 1);
        close(fd);
        thread_join(&s->t);
        close(s->fd);
        unsetenv("COEUS_RESOLV_CONF");
}

static void found_case(struct endpoint_names *s, const char *const *want)
{
        endpoint_names_resolve(s, 0, 5000);
        for (size_t i = 0; i < s->n; i++) {
                struct buf b = BUF_INIT(1000);
                for (size_t k = 0; k < s->v[i].found.n; k++)
                        buf_printf(&b, k ? " %s" : "%s", s->v[i].found.p[k]);
                CHECK_STR(buf_str(&b), want[i]);
                buf_done(&b);
        }
}

TEST(endpoint_names, are_looked_up_and_kept_while_the_server_fails)
{
        struct name_server server = {0};
        struct sockaddr_in sa = name_server_start(&server);
        static const struct endpoint_address v[] = {
                {STR_INIT("plain.test:1"), true},
                {STR_INIT("dns+a.test:10901"), false},
                {STR_INIT("dns+six.test:7"), false}, /* AAAA is enough */
                {STR_INIT("dnssrv+_grpc._tcp.stores.test"), false},
                {STR_INIT("dnssrv+_grpc._tcp.stores.test:9"), false}, /* the port that is said wins */
                {STR_INIT("dnssrvnoa+_grpc._tcp.stores.test"), false},
                {STR_INIT("dns+gone.test:1"), false},
                {STR_INIT("dns+[::2]:5"), false},
        };
        struct endpoint_names s;
        CHECK_OK(endpoint_names_init(&s, v, ARRAY_LEN(v)));
        const char *before[] = {"plain.test:1",
                                "127.0.0.1:10901 127.0.0.2:10901",
                                "[::1]:7",
                                "127.0.0.1:10901 127.0.0.2:10901 [::1]:10902",
                                "127.0.0.1:9 127.0.0.2:9 [::1]:9",
                                "a.test:10901 six.test:10902",
                                "",
                                "[::2]:5"};
        found_case(&s, before);
        CHECK_U64(atomic_load(&s.failures), 0);
        CHECK(atomic_load(&s.lookups) > 0);

        /* Not again before the interval is over. */
        int asked = atomic_load(&server.asked);
        endpoint_names_resolve(&s, INT64_MAX, 5000);
        CHECK_I64(atomic_load(&server.asked), asked);

        server.broken = true;
        found_case(&s, before);
        CHECK_U64(atomic_load(&s.failures), 6); /* each that asks */

        server.broken = false;
        server.moved = true;
        const char *after[] = {"plain.test:1",
                               "127.0.0.1:10901 127.0.0.2:10901",
                               "[::1]:7",
                               "127.0.0.1:10901 127.0.0.2:10901",
                               "127.0.0.1:9 127.0.0.2:9",
                               "a.test:10901",
                               "",
                               "[::2]:5"};
        found_case(&s, after);
        endpoint_names_done(&s);
        name_server_stop(&server, sa);
}
