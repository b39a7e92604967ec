/* SPDX-License-Identifier: Apache-2.0 */
/* manager.c — which providers run, and when the consumer hears of them. */
#include "collect/discovery/discovery_impl.h"

#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"

enum {
        CONF_BYTES_MAX = 256 << 20,
        BACKOFF_START_MS = 100,
        UPDATE_INTERVAL_MS = 5000,
};

struct subscription {
        Str name; /* in the manager's arena of sets */
        VEC(struct provider *) providers;
};

struct discovery_manager {
        struct discovery_opts opts;
        char *name;
        struct thread thread;

        struct mutex apply_mu; /* one apply at a time; before mu */

        struct mutex mu; /* guards all below */
        struct cond changed;
        VEC(struct provider *) providers;
        VEC(struct subscription) subscriptions;
        struct arena names; /* of subscriptions */
        bool dirty, at_once, stop;

        struct metric_family *m_targets, *m_last, *m_refresh_failures, *m_refresh_duration, *m_refresh_histogram;
        struct metric *m_received, *m_delayed, *m_sent, *m_failed;
};

struct metric_registry *discovery_metrics(struct discovery_manager *m)
{
        return m->opts.metrics;
}

/* ---- providers ---- */

static void group_vec_done(GroupVec *v)
{
        for (size_t i = 0; i < v->n; i++)
                target_group_unref(v->p[i]);
        vec_done(v);
}

static void put_group_locked(struct provider *p, struct target_group *take_g)
{
        size_t i = 0;
        while (i < p->groups.n && !str_eq(p->groups.p[i]->source, take_g->source))
                i++;
        if (take_g->n_targets == 0) {
                target_group_unref(take_g);
                if (i == p->groups.n)
                        return;
                target_group_unref(p->groups.p[i]);
                memmove(&p->groups.p[i], &p->groups.p[i + 1], (p->groups.n - i - 1) * sizeof p->groups.p[0]);
                p->groups.n--;
        } else if (i < p->groups.n) {
                target_group_unref(p->groups.p[i]);
                p->groups.p[i] = take_g;
        } else {
                vec_push(&p->groups, take_g);
        }
}

static void tell_locked(struct discovery_manager *m)
{
        if (m->m_received)
                metric_add(m->m_received, 1);
        m->dirty = true;
        cond_signal(&m->changed);
}

void provider_update(struct provider *p, struct target_group *const *take_groups, size_t n)
{
        struct discovery_manager *m = p->manager;
        mutex_lock(&m->mu);
        for (size_t i = 0; i < n; i++)
                put_group_locked(p, take_groups[i]);
        tell_locked(m);
        mutex_unlock(&m->mu);
}

void provider_replace(struct provider *p, struct target_group *const *take_groups, size_t n)
{
        struct discovery_manager *m = p->manager;
        mutex_lock(&m->mu);
        GroupVec old = p->groups;
        p->groups = (GroupVec)VEC_INIT;
        for (size_t i = 0; i < n; i++)
                put_group_locked(p, take_groups[i]);
        group_vec_done(&old);
        tell_locked(m);
        mutex_unlock(&m->mu);
}

static const Str *strs_dup(struct arena *a, const Str *v, size_t n)
{
        Str *copy = arena_array(a, Str, n);
        for (size_t i = 0; i < n; i++)
                copy[i] = arena_str(a, v[i]);
        return copy;
}

static struct provider *provider_new(struct discovery_manager *m, enum provider_type t, Str set)
{
        struct provider *p = mem_new(struct provider);
        p->type = t;
        p->manager = m;
        arena_init(&p->arena, CONF_BYTES_MAX);
        p->first_set = arena_str(&p->arena, set);
        return p;
}

static void static_groups(struct provider *p)
{
        for (size_t i = 0; i < p->statics.n; i++) {
                const struct static_sd_conf *c = &p->statics.v[i];
                char source[24];
                int n = snprintf(source, sizeof source, "%zu", i);
                struct target_group *g = target_group_new((Str){source, (size_t)n});
                g->labels = labels_dup(&g->arena, c->labels);
                Labels *targets = arena_array(&g->arena, Labels, c->n_targets);
                for (size_t k = 0; k < c->n_targets; k++) {
                        Label *l = arena_new(&g->arena, Label);
                        *l = (Label){STR("__address__"), arena_str(&g->arena, c->targets[k])};
                        targets[k] = (Labels){l, str_is_empty(l->value) ? 0 : 1};
                }
                g->targets = targets;
                g->n_targets = c->n_targets;
                put_group_locked(p, g);
        }
}

static struct provider *static_provider_new(struct discovery_manager *m, const struct static_sd_conf *v, size_t n,
                                            Str set)
{
        struct provider *p = provider_new(m, PROVIDER_STATIC, set);
        struct static_sd_conf *copy = arena_array(&p->arena, struct static_sd_conf, n);
        for (size_t i = 0; i < n; i++)
                copy[i] = (struct static_sd_conf){
                        .targets = strs_dup(&p->arena, v[i].targets, v[i].n_targets),
                        .n_targets = v[i].n_targets,
                        .labels = labels_dup(&p->arena, v[i].labels),
                };
        p->statics.v = copy;
        p->statics.n = n;
        static_groups(p);
        return p;
}

static void provider_start(struct provider *p)
{
        struct error *e = NULL;
        if (p->type == PROVIDER_FILE)
                e = file_provider_start(p);
        else if (p->type == PROVIDER_DNS)
                e = dns_provider_start(p);
        if (!e)
                return;
        log_error("discovery manager", "Cannot create service discovery", KV_S("discovery", p->manager->name), KV_E(e),
                  KV_S("type", p->type == PROVIDER_FILE ? "file" : "dns"), KV_STR("config", p->first_set));
        error_free(e);
        if (p->manager->m_failed)
                metric_add(p->manager->m_failed, 1);
}

static void forget_refresh_metrics(struct provider *p, const char *mechanism)
{
        struct discovery_manager *m = p->manager;
        if (!m->m_refresh_failures)
                return;
        Str values[] = {str_from(mechanism), p->first_set};
        metric_remove(m->m_refresh_failures, values);
        metric_remove(m->m_refresh_duration, values);
        metric_remove(m->m_refresh_histogram, values);
}

static void provider_free(struct provider *p)
{
        if (p->type == PROVIDER_FILE)
                file_provider_stop(p);
        else if (p->type == PROVIDER_DNS) {
                dns_provider_stop(p);
                forget_refresh_metrics(p, "dns");
        }
        group_vec_done(&p->groups);
        arena_done(&p->arena);
        free(p);
}

/* ---- apply ---- */

typedef VEC(struct provider *) ProviderVec;

static struct provider *find_static(const ProviderVec *v, const struct static_sd_conf *c, size_t n)
{
        for (size_t i = 0; i < v->n; i++)
                if (v->p[i]->type == PROVIDER_STATIC &&
                    static_sd_confs_eq(v->p[i]->statics.v, v->p[i]->statics.n, c, n))
                        return v->p[i];
        return NULL;
}

static struct provider *find_file(const ProviderVec *v, const struct file_sd_conf *c)
{
        for (size_t i = 0; i < v->n; i++)
                if (v->p[i]->type == PROVIDER_FILE && file_sd_conf_eq(&v->p[i]->file, c))
                        return v->p[i];
        return NULL;
}

static struct provider *find_dns(const ProviderVec *v, const struct dns_sd_conf *c)
{
        for (size_t i = 0; i < v->n; i++)
                if (v->p[i]->type == PROVIDER_DNS && dns_sd_conf_eq(&v->p[i]->dns, c))
                        return v->p[i];
        return NULL;
}

/* all: the providers that run and those of this apply so far; the new ones are appended to started, too. */
static void subscribe(struct discovery_manager *m, struct subscription *s, const struct discovery_conf *c,
                      ProviderVec *all, ProviderVec *started)
{
        if (c->n_statics > 0) {
                struct provider *p = find_static(all, c->statics, c->n_statics);
                if (!p) {
                        p = static_provider_new(m, c->statics, c->n_statics, s->name);
                        vec_push(all, p);
                }
                p->used = true;
                vec_push(&s->providers, p);
        }
        for (size_t i = 0; i < c->n_files; i++) {
                struct provider *p = find_file(all, &c->files[i]);
                if (!p) {
                        p = provider_new(m, PROVIDER_FILE, s->name);
                        p->file = c->files[i];
                        p->file.files = strs_dup(&p->arena, c->files[i].files, c->files[i].n_files);
                        vec_push(all, p);
                        vec_push(started, p);
                }
                p->used = true;
                vec_push(&s->providers, p);
        }
        for (size_t i = 0; i < c->n_dns; i++) {
                struct provider *p = find_dns(all, &c->dns[i]);
                if (!p) {
                        p = provider_new(m, PROVIDER_DNS, s->name);
                        p->dns = c->dns[i];
                        p->dns.names = strs_dup(&p->arena, c->dns[i].names, c->dns[i].n_names);
                        vec_push(all, p);
                        vec_push(started, p);
                }
                p->used = true;
                vec_push(&s->providers, p);
        }
}

static void subscriptions_done_locked(struct discovery_manager *m)
{
        for (size_t i = 0; i < m->subscriptions.n; i++)
                vec_done(&m->subscriptions.p[i].providers);
        vec_clear(&m->subscriptions);
        arena_clear(&m->names);
}

static void forget_metrics(struct discovery_manager *m, Str set)
{
        if (!m->m_targets)
                return;
        Str values[] = {str_from(m->name), set};
        metric_remove(m->m_targets, values);
        metric_remove(m->m_last, values);
}

void discovery_manager_apply(struct discovery_manager *m, const struct discovery_set *sets, size_t n)
{
        ProviderVec started = VEC_INIT, gone = VEC_INIT, all = VEC_INIT;
        mutex_lock(&m->apply_mu);
        mutex_lock(&m->mu);
        if (m->m_failed)
                metric_set(m->m_failed, 0);
        for (size_t i = 0; i < m->providers.n; i++) {
                m->providers.p[i]->used = false;
                vec_push(&all, m->providers.p[i]);
        }
        for (size_t i = 0; i < m->subscriptions.n; i++) {
                bool stays = false;
                for (size_t k = 0; k < n && !stays; k++)
                        stays = str_eq(m->subscriptions.p[i].name, sets[k].name);
                if (!stays)
                        forget_metrics(m, m->subscriptions.p[i].name);
        }
        subscriptions_done_locked(m);
        for (size_t i = 0; i < n; i++) {
                struct subscription s = {.name = arena_str(&m->names, sets[i].name)};
                subscribe(m, &s, sets[i].conf, &all, &started);
                vec_push(&m->subscriptions, s);
        }
        vec_clear(&m->providers);
        for (size_t i = 0; i < all.n; i++)
                if (all.p[i]->used)
                        vec_push(&m->providers, all.p[i]);
                else
                        vec_push(&gone, all.p[i]);
        mutex_unlock(&m->mu);

        for (size_t i = 0; i < gone.n; i++)
                provider_free(gone.p[i]);
        for (size_t i = 0; i < started.n; i++)
                provider_start(started.p[i]);

        /* Consumers expect everything after a reload, changed or not. */
        mutex_lock(&m->mu);
        m->dirty = m->at_once = true;
        cond_signal(&m->changed);
        mutex_unlock(&m->mu);
        mutex_unlock(&m->apply_mu);
        vec_done(&all);
        vec_done(&gone);
        vec_done(&started);
}

/* ---- telling the consumer ---- */

struct snapshot {
        VEC(struct target_set) sets;
        VEC(const struct target_group **) arrays;
};

static void snapshot_take_locked(struct discovery_manager *m, struct snapshot *s, struct arena *names)
{
        for (size_t i = 0; i < m->subscriptions.n; i++) {
                struct subscription *sub = &m->subscriptions.p[i];
                VEC(const struct target_group *) groups = VEC_INIT;
                size_t targets = 0;
                for (size_t k = 0; k < sub->providers.n; k++)
                        for (size_t g = 0; g < sub->providers.p[k]->groups.n; g++) {
                                struct target_group *tg = sub->providers.p[k]->groups.p[g];
                                vec_push(&groups, target_group_ref(tg));
                                targets += tg->n_targets;
                        }
                vec_push(&s->arrays, groups.p);
                vec_push(&s->sets, ((struct target_set){arena_str(names, sub->name), groups.p, groups.n}));
                if (m->m_targets) {
                        Str values[] = {str_from(m->name), sub->name};
                        metric_set(metric_with(m->m_targets, values), (double)targets);
                        metric_set(metric_with(m->m_last, values), (double)time_now_ms() / 1000);
                }
        }
}

static void snapshot_done(struct snapshot *s)
{
        for (size_t i = 0; i < s->sets.n; i++)
                for (size_t k = 0; k < s->sets.p[i].n; k++)
                        target_group_unref(s->sets.p[i].groups[k]);
        for (size_t i = 0; i < s->arrays.n; i++)
                free(s->arrays.p[i]);
        vec_done(&s->arrays);
        vec_done(&s->sets);
}

static void send_run(void *arg)
{
        struct discovery_manager *m = arg;
        int64_t wait_ms = BACKOFF_START_MS, sent_ms = INT64_MIN / 2;
        mutex_lock(&m->mu);
        while (!m->stop) {
                if (!m->dirty) {
                        cond_wait(&m->changed, &m->mu);
                        continue;
                }
                int64_t now = time_mono_ms();
                if (now - sent_ms > m->opts.update_interval_ms)
                        wait_ms = BACKOFF_START_MS;
                if (!m->at_once && now - sent_ms < wait_ms) {
                        (void)cond_wait_ms(&m->changed, &m->mu, wait_ms - (now - sent_ms));
                        continue;
                }
                m->dirty = m->at_once = false;
                wait_ms = MIN(wait_ms * 3 / 2, m->opts.update_interval_ms);
                struct snapshot s = {0};
                struct arena names;
                arena_init(&names, CONF_BYTES_MAX);
                snapshot_take_locked(m, &s, &names);
                mutex_unlock(&m->mu);

                if (m->m_sent)
                        metric_add(m->m_sent, 1);
                m->opts.update(m->opts.ctx, s.sets.p, s.sets.n);
                snapshot_done(&s);
                arena_done(&names);
                sent_ms = time_mono_ms();
                mutex_lock(&m->mu);
        }
        mutex_unlock(&m->mu);
}

void discovery_refresh_done(struct provider *p, const char *mechanism, double seconds, bool failed)
{
        struct discovery_manager *m = p->manager;
        if (!m->m_refresh_failures)
                return;
        Str values[] = {str_from(mechanism), p->first_set};
        metric_add(metric_with(m->m_refresh_failures, values), failed ? 1 : 0);
        metric_observe(metric_with(m->m_refresh_duration, values), seconds);
        metric_observe(metric_with(m->m_refresh_histogram, values), seconds);
}

static void metrics_make(struct discovery_manager *m)
{
        struct metric_registry *r = m->opts.metrics;
        static const char *const by_name[] = {"name", NULL}, *const by_config[] = {"name", "config", NULL};
        static const char *const by_mechanism[] = {"mechanism", "config", NULL};
        Str name[] = {str_from(m->name)};
        m->m_failed = metric_with(
                metric_family(r, METRIC_FAMILY_GAUGE, "prometheus_sd_failed_configs",
                              "Current number of service discovery configurations that failed to load.", by_name),
                name);
        m->m_targets = metric_family(r, METRIC_FAMILY_GAUGE, "prometheus_sd_discovered_targets",
                                     "Current number of discovered targets.", by_config);
        m->m_received =
                metric_with(metric_family(r, METRIC_FAMILY_COUNTER, "prometheus_sd_received_updates_total",
                                          "Total number of update events received from the SD providers.", by_name),
                            name);
        m->m_delayed =
                metric_with(metric_family(r, METRIC_FAMILY_COUNTER, "prometheus_sd_updates_delayed_total",
                                          "Total number of update events that couldn't be sent immediately.", by_name),
                            name);
        m->m_sent = metric_with(metric_family(r, METRIC_FAMILY_COUNTER, "prometheus_sd_updates_total",
                                              "Total number of update events sent to the SD consumers.", by_name),
                                name);
        m->m_last = metric_family(r, METRIC_FAMILY_GAUGE, "prometheus_sd_last_update_timestamp_seconds",
                                  "Timestamp of the last update sent to the SD consumers.", by_config);
        m->m_refresh_failures = metric_family(r, METRIC_FAMILY_COUNTER, "prometheus_sd_refresh_failures_total",
                                              "Number of refresh failures for the given SD mechanism.", by_mechanism);
        m->m_refresh_duration =
                metric_family(r, METRIC_FAMILY_SUMMARY, "prometheus_sd_refresh_duration_seconds",
                              "The duration of a refresh in seconds for the given SD mechanism.", by_mechanism);
        metric_family_set_quantiles(m->m_refresh_duration, (const double[]){0.5, 0.9, 0.99}, 3);
        m->m_refresh_histogram =
                metric_family(r, METRIC_FAMILY_HISTOGRAM, "prometheus_sd_refresh_duration_histogram_seconds",
                              "The duration of a refresh for the given SD mechanism.", by_mechanism);
        metric_family_set_buckets(m->m_refresh_histogram, (const double[]){.01, .1, 1, 10}, 4);
}

struct error *discovery_manager_new(const struct discovery_opts *o, struct discovery_manager **ret)
{
        struct discovery_manager *m = mem_new(struct discovery_manager);
        m->opts = *o;
        m->name = mem_strdup(o->name ? o->name : "");
        if (m->opts.update_interval_ms <= 0)
                m->opts.update_interval_ms = UPDATE_INTERVAL_MS;
        mutex_init(&m->apply_mu);
        mutex_init(&m->mu);
        cond_init(&m->changed);
        arena_init(&m->names, CONF_BYTES_MAX);
        if (o->metrics)
                metrics_make(m);
        struct error *e = thread_start(&m->thread, "discovery", send_run, m);
        if (e) {
                discovery_manager_free(m);
                return e;
        }
        *ret = m;
        return NULL;
}

void discovery_manager_free(struct discovery_manager *m)
{
        if (!m)
                return;
        mutex_lock(&m->mu);
        m->stop = true;
        cond_broadcast(&m->changed);
        mutex_unlock(&m->mu);
        thread_join(&m->thread);
        for (size_t i = 0; i < m->providers.n; i++)
                provider_free(m->providers.p[i]);
        vec_done(&m->providers);
        for (size_t i = 0; i < m->subscriptions.n; i++)
                vec_done(&m->subscriptions.p[i].providers);
        vec_done(&m->subscriptions);
        arena_done(&m->names);
        cond_done(&m->changed);
        mutex_done(&m->mu);
        mutex_done(&m->apply_mu);
        free(m->name);
        free(m);
}
