/* SPDX-License-Identifier: Apache-2.0 */
/* target.c — a cheap fleet of scrape targets for bench/ingest.py:  bench_target COUNT SERIES
 *
 * Listens on COUNT loopback ports, prints "port N" for each and "ready". GET gives SERIES samples, about 110 bytes a line; between
 * scrapes only digits are patched in place, so that serving costs next to nothing beside the system that scrapes. "GET /stats" on
 * any port gives the scrapes served and the bytes sent so far. Of ten series four are counters, two gauges with decimals, one is
 * constant, three are buckets. One thread; ends with its parent's stdin. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DIGITS = 10, HEAD_ROOM = 256 };

struct field {
        uint32_t at;            /* of the first digit in the body */
        uint32_t step;          /* what a scrape adds */
        uint64_t value;
        uint64_t modulus;       /* keeps the width: value stays in [10^(DIGITS-1), 10^DIGITS) or, for gauges, below 10^6 */
        uint8_t width;
};

struct target {
        char *buf;              /* HEAD_ROOM for the header, then the body */
        size_t body_len;
        struct field *fields;
        size_t n_fields;
};

struct conn {
        int fd;
        bool listens;
        struct target *target;
        char in[4096];
        size_t in_len;
        const char *out;
        size_t out_len, out_at;
        char *owned;            /* a copy when another scrape of the same target is under way */
};

static uint64_t scrapes, bytes_sent;

static void *must_alloc(size_t n)
{
        void *p = calloc(1, n);
        if (!p)
                abort();
        return p;
}

static void digits_put(char *p, unsigned width, uint64_t v)
{
        for (unsigned i = width; i-- > 0; v /= 10)
                p[i] = (char)('0' + v % 10);
}

static void target_fill(struct target *t, int number, int series)
{
        static const char *const kinds[] = {"http_requests_total", "cpu_seconds_total", "rpc_bytes_total", "queue_ops_total"};
        size_t cap = (size_t)series * 180 + 4096;
        t->buf = must_alloc(cap + HEAD_ROOM);
        t->fields = must_alloc((size_t)series * sizeof *t->fields);
        char *p = t->buf + HEAD_ROOM, *start = p;
        for (int i = 0; i < series; i++) {
                int group = i / 10, kind = i % 10;
                if (i % 1000 < 10 && kind == 0)
                        p += sprintf(p, "# HELP bench_g%d_%s A metric of the benchmark.\n# TYPE bench_g%d_%s counter\n", i / 1000, kinds[0], i / 1000, kinds[0]);
                struct field *f = &t->fields[t->n_fields];
                if (kind < 4) {
                        p += sprintf(p, "bench_g%d_%s{cluster=\"eu-west-1\",namespace=\"team-%02d\",pod=\"app-%d-%05d\",method=\"GET\",code=\"200\"} ",
                                     i / 1000, kinds[kind], group % 37, number, group);
                        *f = (struct field){.step = (uint32_t)(1 + (i * 7919) % 997), .value = 1000000000ull + (uint64_t)i * 104729 % 800000000, .width = DIGITS};
                } else if (kind < 6) {
                        p += sprintf(p, "bench_g%d_load_ratio{cluster=\"eu-west-1\",namespace=\"team-%02d\",pod=\"app-%d-%05d\",core=\"%d\",mode=\"busy\"} 0.",
                                     i / 1000, group % 37, number, group, kind);
                        *f = (struct field){.step = (uint32_t)(1 + (i * 104729) % 99991), .value = (uint64_t)i * 7919 % 1000000, .modulus = 1000000, .width = 6};
                } else if (kind < 7) {
                        p += sprintf(p, "bench_g%d_limit_bytes{cluster=\"eu-west-1\",namespace=\"team-%02d\",pod=\"app-%d-%05d\",resource=\"memory\"} 268435456\n",
                                     i / 1000, group % 37, number, group);
                        continue;
                } else {
                        static const char *const les[] = {"0.1", "1", "+Inf"};
                        p += sprintf(p, "bench_g%d_latency_seconds_bucket{cluster=\"eu-west-1\",namespace=\"team-%02d\",pod=\"app-%d-%05d\",le=\"%s\"} ",
                                     i / 1000, group % 37, number, group, les[kind - 7]);
                        *f = (struct field){.step = (uint32_t)((group * 31) % 53 * (kind - 6)), .value = 1000000000ull + (uint64_t)group * 1000 * (uint64_t)(kind - 6), .width = DIGITS};
                }
                f->at = (uint32_t)(p - start);
                digits_put(p, f->width, f->value);
                p += f->width;
                *p++ = '\n';
                t->n_fields++;
        }
        t->body_len = (size_t)(p - start);
}

static void target_tick(struct target *t)
{
        char *body = t->buf + HEAD_ROOM;
        for (size_t i = 0; i < t->n_fields; i++) {
                struct field *f = &t->fields[i];
                f->value += f->step;
                if (f->modulus)
                        f->value %= f->modulus;
                else if (f->value >= 10000000000ull)
                        f->value -= 9000000000ull;
                digits_put(body + f->at, f->width, f->value);
        }
}

static int listen_any(uint16_t *ret_port)
{
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
        struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t n = sizeof a;
        if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) || listen(fd, 128) || getsockname(fd, (struct sockaddr *)&a, &n)) {
                perror("listen");
                exit(1);
        }
        *ret_port = ntohs(a.sin_port);
        return fd;
}

static void conn_close(struct conn *c)
{
        close(c->fd);
        free(c->owned);
        free(c);
}

/* Answers one request that is complete in c->in. */
static void conn_answer(struct conn *c)
{
        if (strncmp(c->in, "GET /stats", 10) == 0) {
                char body[128];
                int n = snprintf(body, sizeof body, "{\"scrapes\":%llu,\"bytes\":%llu}\n", (unsigned long long)scrapes, (unsigned long long)bytes_sent);
                c->owned = must_alloc(512);
                c->out_len = (size_t)snprintf(c->owned, 512, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", n, body);
                c->out = c->owned;
                return;
        }
        struct target *t = c->target;
        target_tick(t);
        char head[HEAD_ROOM];
        int n = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: %zu\r\n\r\n", t->body_len);
        char *start = t->buf + HEAD_ROOM - n;
        memcpy(start, head, (size_t)n);
        c->out = start;         /* one scraper a target: the next tick comes after this answer has been read */
        c->out_len = (size_t)n + t->body_len;
        scrapes++;
        bytes_sent += t->body_len;
}

/* Reads and writes what is possible; false when the connection is over. */
static bool conn_go(struct conn *c)
{
        for (;;) {
                while (c->out) {
                        ssize_t n = write(c->fd, c->out + c->out_at, c->out_len - c->out_at);
                        if (n < 0)
                                return errno == EAGAIN;
                        c->out_at += (size_t)n;
                        if (c->out_at == c->out_len) {
                                free(c->owned);
                                c->owned = NULL;
                                c->out = NULL;
                                c->out_at = 0;
                        }
                }
                ssize_t n = read(c->fd, c->in + c->in_len, sizeof c->in - 1 - c->in_len);
                if (n < 0)
                        return errno == EAGAIN;
                if (n == 0)
                        return false;
                c->in_len += (size_t)n;
                c->in[c->in_len] = 0;
                if (strstr(c->in, "\r\n\r\n")) {
                        conn_answer(c);
                        c->in_len = 0;
                } else if (c->in_len == sizeof c->in - 1) {
                        return false;
                }
        }
}

int main(int argc, char **argv)
{
        int count = argc > 1 ? atoi(argv[1]) : 10, series = argc > 2 ? atoi(argv[2]) : 10000;
        signal(SIGPIPE, SIG_IGN);
        int ep = epoll_create1(EPOLL_CLOEXEC);
        struct conn in = {.fd = 0};
        struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &in};
        if (ep < 0 || epoll_ctl(ep, EPOLL_CTL_ADD, 0, &ev)) {
                perror("epoll (stdin must be a pipe)");
                return 1;
        }
        for (int i = 0; i < count; i++) {
                struct conn *c = must_alloc(sizeof *c);
                uint16_t port;
                *c = (struct conn){.fd = listen_any(&port), .listens = true, .target = must_alloc(sizeof(struct target))};
                target_fill(c->target, i, series);
                ev = (struct epoll_event){.events = EPOLLIN, .data.ptr = c};
                epoll_ctl(ep, EPOLL_CTL_ADD, c->fd, &ev);
                printf("port %d\n", port);
        }
        printf("ready\n");
        fflush(stdout);
        for (;;) {
                struct epoll_event evs[64];
                int n = epoll_wait(ep, evs, 64, -1);
                for (int i = 0; i < n; i++) {
                        struct conn *c = evs[i].data.ptr;
                        if (c == &in) {
                                char junk[64];
                                if (read(0, junk, sizeof junk) <= 0)
                                        return 0;
                        } else if (c->listens) {
                                int fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                                if (fd < 0)
                                        continue;
                                int one = 1;
                                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                                struct conn *new = must_alloc(sizeof *new);
                                new->fd = fd;
                                new->target = c->target;
                                ev = (struct epoll_event){.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = new};
                                epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);
                        } else if (!conn_go(c)) {
                                conn_close(c);
                        }
                }
        }
}
