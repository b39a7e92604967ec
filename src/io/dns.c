/* SPDX-License-Identifier: Apache-2.0 */
#include "io/dns.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/vec.h"
#include "io/ares_impl.h"

enum { RECORDS_MAX = 65536 };

struct question {
        enum dns_type type;
        struct arena *a;
        VEC(struct dns_record) found;
        int status;
        bool done;
};

static Str target_name(struct arena *a, const char *host)
{
        return arena_str(a, str_trim_suffix(str_from(host), STR(".")));
}

static void add_addresses(struct question *q, unsigned char *p, int n)
{
        char text[INET6_ADDRSTRLEN];
        int max = 2000;
        if (q->type == DNS_A) {
                struct ares_addrttl *v = mem_zalloc((size_t)max * sizeof *v);
                q->status = ares_parse_a_reply(p, n, NULL, v, &max);
                for (int i = 0; q->status == ARES_SUCCESS && i < max; i++) {
                        inet_ntop(AF_INET, &v[i].ipaddr, text, sizeof text);
                        vec_push(&q->found, (struct dns_record){.name = arena_str(q->a, str_from(text)),
                                                                .ttl_s = (uint32_t)v[i].ttl});
                }
                free(v);
                return;
        }
        struct ares_addr6ttl *v = mem_zalloc((size_t)max * sizeof *v);
        q->status = ares_parse_aaaa_reply(p, n, NULL, v, &max);
        for (int i = 0; q->status == ARES_SUCCESS && i < max; i++) {
                inet_ntop(AF_INET6, &v[i].ip6addr, text, sizeof text);
                vec_push(&q->found,
                         (struct dns_record){.name = arena_str(q->a, str_from(text)), .ttl_s = (uint32_t)v[i].ttl});
        }
        free(v);
}

static void add_srv(struct question *q, unsigned char *p, int n)
{
        struct ares_srv_reply *all = NULL;
        q->status = ares_parse_srv_reply(p, n, &all);
        if (q->status != ARES_SUCCESS)
                return;
        for (const struct ares_srv_reply *r = all; r && q->found.n < RECORDS_MAX; r = r->next)
                vec_push(&q->found, (struct dns_record){.name = target_name(q->a, r->host),
                                                        .port = r->port,
                                                        .priority = r->priority,
                                                        .weight = r->weight});
        ares_free_data(all);
}

static void add_mx(struct question *q, unsigned char *p, int n)
{
        struct ares_mx_reply *all = NULL;
        q->status = ares_parse_mx_reply(p, n, &all);
        if (q->status != ARES_SUCCESS)
                return;
        for (const struct ares_mx_reply *r = all; r && q->found.n < RECORDS_MAX; r = r->next)
                vec_push(&q->found, (struct dns_record){.name = target_name(q->a, r->host), .priority = r->priority});
        ares_free_data(all);
}

static void add_ns(struct question *q, unsigned char *p, int n)
{
        struct hostent *all = NULL;
        q->status = ares_parse_ns_reply(p, n, &all);
        if (q->status != ARES_SUCCESS)
                return;
        for (char **at = all->h_aliases; *at; at++)
                vec_push(&q->found, (struct dns_record){.name = target_name(q->a, *at)});
        ares_free_hostent(all);
}

static void answered(void *arg, int status, int timeouts, unsigned char *p, int n)
{
        struct question *q = arg;
        (void)timeouts;
        q->done = true;
        q->status = status;
        if (status != ARES_SUCCESS)
                return;
        switch (q->type) {
        case DNS_A:
        case DNS_AAAA:
                add_addresses(q, p, n);
                break;
        case DNS_SRV:
                add_srv(q, p, n);
                break;
        case DNS_MX:
                add_mx(q, p, n);
                break;
        case DNS_NS:
                add_ns(q, p, n);
                break;
        }
}

/* Milliseconds until c-ares has something to do, at most until the deadline. */
static int wait_ms(ares_channel ch, int64_t deadline_ms)
{
        struct timeval tv, max = {.tv_sec = 1};
        const struct timeval *t = ares_timeout(ch, &max, &tv);
        int64_t ms = (int64_t)t->tv_sec * 1000 + t->tv_usec / 1000 + 1;
        return (int)MAX((int64_t)0, MIN(ms, deadline_ms - time_mono_ms()));
}

static void run(ares_channel ch, const struct question *q, int64_t deadline_ms)
{
        while (!q->done && time_mono_ms() < deadline_ms) {
                ares_socket_t socks[ARES_GETSOCK_MAXNUM];
                struct pollfd fds[ARES_GETSOCK_MAXNUM];
                unsigned mask = (unsigned)ares_getsock(ch, socks, ARES_GETSOCK_MAXNUM);
                int n = 0;
                for (int i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
                        bool in = mask >> i & 1, out = mask >> (i + ARES_GETSOCK_MAXNUM) & 1;
                        short events = (short)((in ? POLLIN : 0) | (out ? POLLOUT : 0));
                        if (events)
                                fds[n++] = (struct pollfd){.fd = socks[i], .events = events};
                }
                int ready = poll(fds, (nfds_t)n, wait_ms(ch, deadline_ms));
                if (ready <= 0)
                        ares_process_fd(ch, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
                for (int i = 0; i < n && ready > 0; i++)
                        if (fds[i].revents)
                                ares_process_fd(ch, fds[i].revents & ~POLLOUT ? fds[i].fd : ARES_SOCKET_BAD,
                                                fds[i].revents & POLLOUT ? fds[i].fd : ARES_SOCKET_BAD);
        }
}

struct error *dns_lookup(Str name, enum dns_type type, int64_t timeout_ms, struct arena *a, struct dns_record **ret,
                         size_t *ret_n)
{
        static const int types[] = {
                [DNS_A] = ns_t_a, [DNS_AAAA] = ns_t_aaaa, [DNS_SRV] = ns_t_srv, [DNS_MX] = ns_t_mx, [DNS_NS] = ns_t_ns};
        ares_channel ch;
        struct ares_options o = {.ednspsz = 1232}; /* as resolvers agreed in 2020; larger answers come by TCP */
        int mask = ARES_OPT_EDNSPSZ | ARES_OPT_FLAGS;
        o.flags = ARES_FLAG_EDNS;
        struct error *e = ares_channel_new(&o, mask, &ch);
        if (e)
                return e;
        struct question q = {.type = type, .a = a};
        char *text = str_dup(name);
        ares_search(ch, text, ns_c_in, types[type], answered, &q);
        run(ch, &q, time_mono_ms() + timeout_ms);
        if (!q.done)
                e = ares_error(ch, ARES_ETIMEOUT, name);
        else if (q.status != ARES_SUCCESS)
                e = ares_error(ch, q.status, name);
        ares_destroy(ch); /* tells answered, when it was still waiting */
        if (!e) {
                *ret = arena_array(a, struct dns_record, q.found.n ? q.found.n : 1);
                if (q.found.n)
                        memcpy(*ret, q.found.p, q.found.n * sizeof q.found.p[0]);
                *ret_n = q.found.n;
        }
        vec_done(&q.found);
        free(text);
        return e;
}
