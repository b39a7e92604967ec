/* SPDX-License-Identifier: Apache-2.0 */
#include "thanos/query/endpoints_dns.h"

#include "base/log.h"
#include "io/dns.h"
#include "io/resolver.h"

enum { FOUND_MAX = 4096, LOOKUP_BYTES_MAX = 16 << 20 };

typedef VEC(char *) TextVec;

static struct error *parse(struct endpoint_name *x)
{
        static const struct {
                Str prefix;
                enum endpoint_name_kind kind;
        } kinds[] = {
                {STR_INIT("dns+"), ENDPOINT_DNS},
                {STR_INIT("dnssrv+"), ENDPOINT_SRV},
                {STR_INIT("dnssrvnoa+"), ENDPOINT_SRV_NO_A},
        };
        Str s = str_from(x->address), type, rest;
        if (str_is_empty(s))
                return error_new(ERROR_INVALID, "static address cannot be empty");
        x->kind = ENDPOINT_STATIC;
        if (str_cut(s, '+', &type, &rest)) {
                size_t i = 0;
                while (i < ARRAY_LEN(kinds) && !str_has_prefix(s, kinds[i].prefix))
                        i++;
                if (i == ARRAY_LEN(kinds))
                        return error_new(ERROR_INVALID, "%s: unknown scheme \"" STR_FMT "\"", x->address,
                                         STR_ARG(type));
                x->kind = kinds[i].kind;
                s = rest;
        }
        if (x->kind != ENDPOINT_STATIC && x->strict)
                return error_new(ERROR_INVALID,
                                 "%s is a dynamically specified endpoint i.e. it uses SD and that is not permitted "
                                 "under strict mode. Use --endpoint for this",
                                 x->address);
        ptrdiff_t colon = str_rfind(s, ':');
        bool has_port = colon >= 0 && (s.p[0] != '[' || (colon > 0 && s.p[colon - 1] == ']'));
        x->host = has_port ? str_sub(s, 0, (size_t)colon) : s;
        x->port = has_port ? str_skip(s, (size_t)colon + 1) : (Str){0};
        uint64_t port;
        bool port_is_fine = has_port && str_to_u64(x->port, &port) && port > 0 && port <= 65535;
        if (has_port ? !port_is_fine : x->kind == ENDPOINT_STATIC || x->kind == ENDPOINT_DNS)
                return error_new(ERROR_INVALID, "address %s: missing port in address", x->address);
        if (str_is_empty(x->host))
                return error_new(ERROR_INVALID, "address %s: missing host in address", x->address);
        if (x->host.p[0] == '[' && x->host.p[x->host.n - 1] == ']')
                x->host = str_sub(x->host, 1, x->host.n - 1);
        return NULL;
}

struct error *endpoint_names_init(struct endpoint_names *s, const struct endpoint_address *v, size_t n)
{
        *s = (struct endpoint_names){0};
        s->v = mem_zalloc((n + 1) * sizeof *s->v);
        struct error *e = NULL;
        for (size_t i = 0; i < n && !e; i++) {
                struct endpoint_name *x = &s->v[s->n++];
                x->address = str_dup(v[i].address);
                x->strict = v[i].strict;
                for (size_t k = 0; k < i && !e; k++)
                        if (str_eq(v[k].address, v[i].address))
                                e = error_new(ERROR_INVALID, "Address %s is duplicated for --endpoint flag.",
                                              x->address);
                if (!e)
                        e = parse(x);
                if (!e && x->kind == ENDPOINT_STATIC)
                        vec_push(&x->found, str_dup(v[i].address));
        }
        if (e)
                endpoint_names_done(s);
        return e;
}

static void texts_done(char **p, size_t n)
{
        for (size_t i = 0; i < n; i++)
                free(p[i]);
}

void endpoint_names_done(struct endpoint_names *s)
{
        for (size_t i = 0; i < s->n; i++) {
                texts_done(s->v[i].found.p, s->v[i].found.n);
                vec_done(&s->v[i].found);
                free(s->v[i].address);
        }
        free(s->v);
        s->v = NULL;
        s->n = 0;
}

void endpoint_names_replace(struct endpoint_names *s, char *const *v, size_t n)
{
        struct endpoint_name *to = mem_zalloc((n + 1) * sizeof *to);
        size_t kept = 0;
        for (size_t i = 0; i < n; i++) {
                struct endpoint_names one;
                struct error *e = endpoint_names_init(&one, &(struct endpoint_address){str_from(v[i]), false}, 1);
                if (e) {
                        log_warn("", "address in a file", KV_E(e));
                        error_free(e);
                        continue;
                }
                to[kept] = one.v[0];
                for (size_t k = 0; k < s->n; k++)
                        if (one.v[0].kind != ENDPOINT_STATIC && strcmp(s->v[k].address, v[i]) == 0) {
                                to[kept].found.p = s->v[k].found.p;
                                to[kept].found.n = s->v[k].found.n;
                                to[kept].found.cap = s->v[k].found.cap;
                                s->v[k].found.p = NULL;
                                s->v[k].found.n = s->v[k].found.cap = 0;
                        }
                kept++;
                free(one.v);
        }
        endpoint_names_done(s);
        s->v = to;
        s->n = kept;
        s->resolved = false;
}

static void add(TextVec *to, Str host, Str port)
{
        if (to->n >= FOUND_MAX)
                return;
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        bool v6 = str_find(host, ':') >= 0;
        buf_printf(&b, v6 ? "[" STR_FMT "]:" STR_FMT : STR_FMT ":" STR_FMT, STR_ARG(host), STR_ARG(port));
        vec_push(to, buf_take(&b));
}

static struct error *look(struct endpoint_names *s, Str name, enum dns_type type, int64_t timeout_ms, struct arena *a,
                          struct dns_record **ret, size_t *ret_n)
{
        *ret_n = 0;
        atomic_fetch_add(&s->lookups, 1);
        struct error *e = dns_lookup(name, type, timeout_ms, a, ret, ret_n);
        if (error_is(e, ERROR_NOT_FOUND)) {
                error_ignore(e, "no such name: no endpoints");
                return NULL;
        }
        return e;
}

/* AAAA, and A where there is none, as upstream's resolver. */
static struct error *addresses(struct endpoint_names *s, Str host, Str port, int64_t timeout_ms, struct arena *a,
                               TextVec *to)
{
        struct sockaddr_storage literal;
        if (resolver_literal(host, &literal)) {
                add(to, host, port);
                return NULL;
        }
        struct dns_record *v = NULL;
        size_t n = 0;
        struct error *e = look(s, host, DNS_AAAA, timeout_ms, a, &v, &n);
        if (e || n == 0) {
                error_ignore(e, "A is asked next");
                e = look(s, host, DNS_A, timeout_ms, a, &v, &n);
        }
        for (size_t i = 0; !e && i < n; i++)
                add(to, v[i].name, port);
        return e;
}

static struct error *resolve(struct endpoint_names *s, const struct endpoint_name *x, int64_t timeout_ms,
                             struct arena *a, TextVec *to)
{
        if (x->kind == ENDPOINT_DNS)
                return addresses(s, x->host, x->port, timeout_ms, a, to);
        struct dns_record *v = NULL;
        size_t n = 0;
        struct error *e = look(s, x->host, DNS_SRV, timeout_ms, a, &v, &n);
        for (size_t i = 0; !e && i < n && to->n < FOUND_MAX; i++) {
                Str port = x->port.n ? x->port : arena_printf(a, "%u", v[i].port);
                if (x->kind == ENDPOINT_SRV)
                        e = addresses(s, v[i].name, port, timeout_ms, a, to);
                else
                        add(to, v[i].name, port);
        }
        return e;
}

void endpoint_names_resolve(struct endpoint_names *s, int64_t interval_ms, int64_t timeout_ms)
{
        int64_t now = time_mono_ms();
        if (s->resolved && now - s->resolved_at_ms < interval_ms)
                return;
        s->resolved = true;
        s->resolved_at_ms = now;
        for (size_t i = 0; i < s->n; i++) {
                struct endpoint_name *x = &s->v[i];
                if (x->kind == ENDPOINT_STATIC)
                        continue;
                struct arena a;
                arena_init(&a, LOOKUP_BYTES_MAX);
                TextVec got = VEC_INIT;
                struct error *e = resolve(s, x, timeout_ms, &a, &got);
                if (e) {
                        atomic_fetch_add(&s->failures, 1);
                        error_ignore(e, "what was known stays");
                        texts_done(got.p, got.n);
                        vec_done(&got);
                } else {
                        texts_done(x->found.p, x->found.n);
                        vec_done(&x->found);
                        x->found.p = got.p;
                        x->found.n = got.n;
                        x->found.cap = got.cap;
                }
                arena_done(&a);
        }
}
