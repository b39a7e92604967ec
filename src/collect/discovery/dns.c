/* SPDX-License-Identifier: Apache-2.0 */
/* dns.c — targets from DNS records, asked for again every refresh_ms by a thread of its own. */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "collect/discovery/discovery_impl.h"

enum {
        LOOKUP_TIMEOUT_MS = 5000,
        LOOKUP_BYTES_MAX = 64 << 20,
        DNS_REFRESH_MIN_MS = 1,
};

struct dns_run {
        struct thread thread;
        struct metric *m_lookups, *m_failures;
        struct mutex mu; /* guards stop */
        struct cond wake;
        bool stop;
};

static Str host_port(struct arena *a, Str host, int port)
{
        return str_find(host, ':') >= 0 ? arena_printf(a, "[" STR_FMT "]:%d", STR_ARG(host), port)
                                        : arena_printf(a, STR_FMT ":%d", STR_ARG(host), port);
}

static Labels record_labels(const struct dns_sd_conf *c, Str name, const struct dns_record *r, struct arena *a)
{
        Label *v = arena_array(a, Label, 4);
        size_t n = 0;
        int port = c->type == DNS_SRV ? r->port : c->port;
        Str rooted = arena_printf(a, STR_FMT ".", STR_ARG(r->name));
        v[n++] = (Label){STR("__address__"), host_port(a, arena_str(a, r->name), port)};
        v[n++] = (Label){STR("__meta_dns_name"), name};
        if (c->type == DNS_SRV) {
                v[n++] = (Label){STR("__meta_dns_srv_record_port"), arena_printf(a, "%d", port)};
                v[n++] = (Label){STR("__meta_dns_srv_record_target"), rooted};
        } else if (c->type == DNS_MX) {
                v[n++] = (Label){STR("__meta_dns_mx_record_target"), rooted};
        } else if (c->type == DNS_NS) {
                v[n++] = (Label){STR("__meta_dns_ns_record_target"), rooted};
        }
        labels_sort(v, n);
        return (Labels){v, n};
}

struct target_group *dns_group_new(const struct dns_sd_conf *c, Str name, const struct dns_record *records, size_t n)
{
        struct target_group *g = target_group_new(name);
        Labels *targets = arena_array(&g->arena, Labels, n);
        for (size_t i = 0; i < n; i++)
                targets[i] = record_labels(c, g->source, &records[i], &g->arena);
        g->targets = targets;
        g->n_targets = n;
        return g;
}

static struct error *lookup(const struct dns_sd_conf *c, Str name, struct target_group **ret)
{
        struct arena a;
        arena_init(&a, LOOKUP_BYTES_MAX);
        struct dns_record *records = NULL;
        size_t n = 0;
        struct error *e = dns_lookup(name, c->type, LOOKUP_TIMEOUT_MS, &a, &records, &n);
        if (e && error_is(e, ERROR_NOT_FOUND)) {
                error_ignore(e, "a name that is not there has no targets");
                e = NULL;
                n = 0;
        }
        if (!e)
                *ret = dns_group_new(c, name, records, n);
        arena_done(&a);
        return e;
}

static bool is_stopped(struct dns_run *r)
{
        mutex_lock(&r->mu);
        bool stop = r->stop;
        mutex_unlock(&r->mu);
        return stop;
}

static void refresh(struct provider *p, struct dns_run *r)
{
        int64_t start = time_mono_ns();
        for (size_t i = 0; i < p->dns.n_names && !is_stopped(r); i++) {
                struct target_group *g = NULL;
                struct error *e = lookup(&p->dns, p->dns.names[i], &g);
                if (r->m_lookups)
                        metric_add(r->m_lookups, 1);
                if (e) {
                        if (r->m_failures)
                                metric_add(r->m_failures, 1);
                        log_error("discovery manager", "Error refreshing DNS targets", KV_S("discovery", "dns"),
                                  KV_STR("config", p->first_set), KV_E(e));
                        error_free(e);
                        continue;
                }
                provider_update(p, &g, 1);
        }
        discovery_refresh_done(p, "dns", (double)(time_mono_ns() - start) / 1e9, /* failed= */ false);
}

static void dns_run(void *arg)
{
        struct provider *p = arg;
        struct dns_run *r = p->run;
        int64_t every_ms = MAX(p->dns.refresh_ms, DNS_REFRESH_MIN_MS);
        while (!is_stopped(r)) {
                int64_t next_ms = time_mono_ms() + every_ms;
                refresh(p, r);
                mutex_lock(&r->mu);
                for (int64_t now; !r->stop && (now = time_mono_ms()) < next_ms;)
                        (void)cond_wait_ms(&r->wake, &r->mu, next_ms - now);
                mutex_unlock(&r->mu);
        }
}

struct error *dns_provider_start(struct provider *p)
{
        struct dns_run *r = mem_new(struct dns_run);
        mutex_init(&r->mu);
        cond_init(&r->wake);
        struct metric_registry *reg = discovery_metrics(p->manager);
        if (reg) {
                r->m_lookups = metric_counter(reg, "prometheus_sd_dns_lookups_total", "The number of DNS-SD lookups.");
                r->m_failures = metric_counter(reg, "prometheus_sd_dns_lookup_failures_total",
                                               "The number of DNS-SD lookup failures.");
        }
        p->run = r;
        return thread_start(&r->thread, "sd-dns", dns_run, p);
}

void dns_provider_stop(struct provider *p)
{
        struct dns_run *r = p->run;
        if (!r)
                return;
        mutex_lock(&r->mu);
        r->stop = true;
        cond_broadcast(&r->wake);
        mutex_unlock(&r->mu);
        thread_join(&r->thread);
        cond_done(&r->wake);
        mutex_done(&r->mu);
        free(r);
        p->run = NULL;
}
