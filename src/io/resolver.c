/* SPDX-License-Identifier: Apache-2.0 */
#include "io/resolver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/map.h"
#include "base/vec.h"
#include "io/ares_impl.h"
#include "io/net.h"

enum { KEEP_MS_MAX = 30000, KEEP_MS_MIN = 1000, ENTRIES_MAX = 8192 };

static void library_init(void)
{
        if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
                bug("ares_library_init failed");
}

/* c-ares drops the port of "nameserver 127.0.0.1:5353", which only our own variable's file may have. */
static int use_ports(ares_channel ch, const char *path)
{
        char *text = NULL;
        size_t n = 0;
        struct error *e = file_read(path, 1 << 16, &text, &n);
        if (e) {
                error_ignore(e, "as without the file: c-ares took its defaults");
                return ARES_SUCCESS;
        }
        struct buf csv = BUF_INIT(1 << 16);
        bool ports = false;
        Str rest = {text, n}, line;
        while (str_next(&rest, '\n', &line)) {
                line = str_trim(line);
                if (!str_has_prefix(line, STR("nameserver")))
                        continue;
                Str server = str_trim(str_trim_prefix(line, STR("nameserver")));
                ports = ports || str_rfind(server, ':') == str_find(server, ':') || str_find(server, ']') >= 0;
                if (csv.n)
                        buf_putc(&csv, ',');
                buf_put(&csv, server);
        }
        int rc = ports && csv.n ? ares_set_servers_ports_csv(ch, buf_cstr(&csv)) : ARES_SUCCESS;
        buf_done(&csv);
        free(text);
        return rc;
}

struct error *ares_channel_new(struct ares_options *options, int mask, ares_channel *ret)
{
        static pthread_once_t once = PTHREAD_ONCE_INIT;
        pthread_once(&once, library_init);
        char *conf = getenv("COEUS_RESOLV_CONF");
        if (conf && *conf) {
                options->resolvconf_path = conf;
                mask |= ARES_OPT_RESOLVCONF;
        }
        int rc = ares_init_options(ret, options, mask);
        if (rc == ARES_SUCCESS && conf && *conf)
                rc = use_ports(*ret, conf);
        if (rc != ARES_SUCCESS)
                return error_new(ERROR_IO, "dns: %s", ares_strerror(rc));
        return NULL;
}

struct error *ares_error(ares_channel ch, int status, Str name)
{
        char on[80] = "";
        struct ares_addr_port_node *servers = NULL;
        bool ending = status == ARES_ECANCELLED || status == ARES_EDESTRUCTION;
        if (!ending && ares_get_servers_ports(ch, &servers) == ARES_SUCCESS && servers) {
                char host[INET6_ADDRSTRLEN] = "";
                int port = servers->udp_port ? servers->udp_port : 53;
                inet_ntop(servers->family, &servers->addr, host, sizeof host);
                snprintf(on, sizeof on, servers->family == AF_INET6 ? " on [%s]:%d" : " on %s:%d", host, port);
                ares_free_data(servers);
        }
        switch (status) {
        case ARES_ENOTFOUND:
        case ARES_ENODATA:
        case ARES_EBADNAME:
        case ARES_ENONAME:
                return error_new(ERROR_NOT_FOUND, "lookup " STR_FMT "%s: no such host", STR_ARG(name), on);
        case ARES_ETIMEOUT:
                return error_new(ERROR_TIMEOUT, "lookup " STR_FMT "%s: i/o timeout", STR_ARG(name), on);
        case ARES_ECANCELLED:
        case ARES_EDESTRUCTION:
                return error_new(ERROR_CANCELLED, "lookup " STR_FMT "%s: operation was canceled", STR_ARG(name), on);
        default: /* c-ares says connection refused for SERVFAIL too */
                return error_new(ERROR_IO, "lookup " STR_FMT "%s: server misbehaving", STR_ARG(name), on);
        }
}

bool resolver_literal(Str host, struct sockaddr_storage *ret)
{
        char text[INET6_ADDRSTRLEN];
        if (host.n >= sizeof text || !host.n)
                return false;
        memcpy(text, host.p, host.n);
        text[host.n] = 0;
        struct sockaddr_in v4 = {.sin_family = AF_INET};
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
        *ret = (struct sockaddr_storage){0};
        if (inet_pton(AF_INET, text, &v4.sin_addr) == 1)
                memcpy(ret, &v4, sizeof v4);
        else if (inet_pton(AF_INET6, text, &v6.sin6_addr) == 1)
                memcpy(ret, &v6, sizeof v6);
        else
                return false;
        return true;
}

struct entry {
        struct resolver *r;
        char *host;
        struct resolver_answer answer;
        int64_t until_ms; /* the answer is good; 0: there is none */
        bool asking;
        struct list waiting; /* resolver_ask.link */
};
struct sock {
        struct loop_fd f;
        struct resolver *r;
};
struct resolver {
        struct loop *l;
        ares_channel ch;
        struct map entries; /* host -> struct entry */
        VEC(struct sock *) socks;
        struct loop_timer timer;
};

static void set_timer(struct resolver *r)
{
        struct timeval tv;
        if (ares_timeout(r->ch, NULL, &tv))
                loop_timer_set(r->l, &r->timer, (int64_t)tv.tv_sec * 1000 + tv.tv_usec / 1000 + 1);
        else
                loop_timer_clear(r->l, &r->timer);
}

static void timed_out(struct loop_timer *t)
{
        struct resolver *r = CONTAINER_OF(t, struct resolver, timer);
        ares_process_fd(r->ch, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
        set_timer(r);
}

static void sock_ready(struct loop_fd *f, uint32_t events)
{
        struct resolver *r = CONTAINER_OF(f, struct sock, f)->r;
        int fd = f->fd; /* the sock may go during the call */
        ares_process_fd(r->ch, events & (EPOLLIN | EPOLLERR | EPOLLHUP) ? fd : ARES_SOCKET_BAD,
                        events & EPOLLOUT ? fd : ARES_SOCKET_BAD);
        set_timer(r);
}

static void sock_state(void *arg, ares_socket_t fd, int readable, int writable)
{
        struct resolver *r = arg;
        uint32_t events = (readable ? EPOLLIN : 0) | (writable ? EPOLLOUT : 0);
        for (size_t i = 0; i < r->socks.n; i++) {
                struct sock *s = r->socks.p[i];
                if (s->f.fd != fd)
                        continue;
                if (events) {
                        loop_fd_change(r->l, &s->f, events);
                } else {
                        loop_fd_remove(r->l, &s->f);
                        r->socks.p[i] = vec_pop(&r->socks);
                        free(s);
                }
                return;
        }
        if (!events)
                return;
        struct sock *s = mem_new(struct sock);
        s->f = (struct loop_fd){.fd = fd, .ready = sock_ready};
        s->r = r;
        struct error *e = loop_fd_add(r->l, &s->f, events);
        if (e) {
                error_ignore(e, "the query ends by its time-out");
                free(s);
                return;
        }
        vec_push(&r->socks, s);
}

struct error *resolver_new(struct loop *l, struct resolver **ret)
{
        struct resolver *r = mem_new(struct resolver);
        r->l = l;
        r->timer.fire = timed_out;
        struct ares_options o = {.sock_state_cb = sock_state, .sock_state_cb_data = r};
        struct error *e = ares_channel_new(&o, ARES_OPT_SOCK_STATE_CB, &r->ch);
        if (e)
                free(r);
        else
                *ret = r;
        return e;
}

static void answered(void *arg, int status, int timeouts, struct ares_addrinfo *found)
{
        struct entry *en = arg;
        struct resolver *r = en->r;
        (void)timeouts;
        en->asking = false;
        struct error *e = NULL;
        en->answer.n = 0;
        int64_t keep_ms = KEEP_MS_MAX;
        if (status == ARES_SUCCESS) {
                for (const struct ares_addrinfo_node *a = found->nodes; a && en->answer.n < RESOLVER_ADDRESSES_MAX;
                     a = a->ai_next) {
                        struct sockaddr_storage *to = &en->answer.v[en->answer.n++];
                        *to = (struct sockaddr_storage){0};
                        memcpy(to, a->ai_addr, MIN((size_t)a->ai_addrlen, sizeof *to));
                        keep_ms = MIN(keep_ms, (int64_t)a->ai_ttl * 1000);
                }
                ares_freeaddrinfo(found);
        }
        if (en->answer.n)
                en->until_ms = time_mono_ms() + MAX(keep_ms, (int64_t)KEEP_MS_MIN);
        else
                e = ares_error(r->ch, status == ARES_SUCCESS ? ARES_ENODATA : status, str_from(en->host));
        while (!list_is_empty(&en->waiting)) {
                struct resolver_ask *a = CONTAINER_OF(en->waiting.next, struct resolver_ask, link);
                list_remove(&a->link);
                a->done(a, error_dup(e), &en->answer);
        }
        error_free(e);
}

static void entry_free(struct entry *en)
{
        free(en->host);
        free(en);
}

/* Makes room when many names were asked once: throws away all answers that nobody waits for. */
static void forget(struct resolver *r)
{
        struct map kept = MAP_INIT;
        MAP_EACH (it, &r->entries) {
                struct entry *en = it->value;
                if (en->asking)
                        map_set(&kept, str_from(en->host), en);
                else
                        entry_free(en);
        }
        map_done(&r->entries);
        r->entries = kept;
}

void resolver_ask(struct resolver *r, Str host, struct resolver_ask *a)
{
        struct entry *en = map_get(&r->entries, host);
        if (en && en->until_ms > time_mono_ms()) {
                a->done(a, NULL, &en->answer);
                return;
        }
        if (!en) {
                if (r->entries.n >= ENTRIES_MAX)
                        forget(r);
                en = mem_new(struct entry);
                en->r = r;
                en->host = str_dup(host);
                list_init(&en->waiting);
                map_set(&r->entries, str_from(en->host), en);
        }
        en->until_ms = 0;
        list_push_back(&en->waiting, &a->link);
        if (en->asking)
                return;
        en->asking = true;
        struct ares_addrinfo_hints hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
        ares_getaddrinfo(r->ch, en->host, NULL, &hints, answered, en);
        set_timer(r);
}

void resolver_cancel(struct resolver_ask *a)
{
        list_remove(&a->link);
}

void resolver_free(struct resolver *r)
{
        if (!r)
                return;
        ares_destroy(r->ch); /* calls answered for what is open, and sock_state */
        loop_timer_clear(r->l, &r->timer);
        MAP_EACH (it, &r->entries)
                entry_free(it->value);
        map_done(&r->entries);
        for (size_t i = 0; i < r->socks.n; i++) {
                loop_fd_remove(r->l, &r->socks.p[i]->f);
                free(r->socks.p[i]);
        }
        vec_done(&r->socks);
        free(r);
}
