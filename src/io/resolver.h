/* SPDX-License-Identifier: Apache-2.0 */
/* resolver.h — addresses of names for the clients of a loop (c-ares): /etc/hosts and DNS, without blocking; answers are kept for their TTL, at most
 * half a minute.
 *
 *   e = resolver_new(loop, &r);  …  resolver_ask(r, STR("db.example"), &ask);       ask.done comes once, perhaps at once
 *   resolver_cancel(&ask);  resolver_free(r);
 *
 * Loop thread only. For records and for other threads: io/dns.h. */
#ifndef IO_RESOLVER_H
#define IO_RESOLVER_H

#include <sys/socket.h>

#include "base/list.h"
#include "base/str.h"
#include "io/loop.h"

enum { RESOLVER_ADDRESSES_MAX = 8 };
struct resolver_answer {
        struct sockaddr_storage v[RESOLVER_ADDRESSES_MAX];      /* port 0; best first */
        size_t n;
};
struct resolver_ask {
        void (*done)(struct resolver_ask *a, struct error *take_e, const struct resolver_answer *r);    /* r borrowed for the call */
        struct list link;               /* private; list_init it before */
};
struct resolver;
struct error *resolver_new(struct loop *l, struct resolver **ret) MUST_CHECK;
void resolver_free(struct resolver *r);         /* no asks may be open; NULL is fine */
void resolver_ask(struct resolver *r, Str host, struct resolver_ask *a);
void resolver_cancel(struct resolver_ask *a);
/* An address written in numbers ("10.0.0.1", "::1"): true and the address. */
bool resolver_literal(Str host, struct sockaddr_storage *ret);

#endif
