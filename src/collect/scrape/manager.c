/* SPDX-License-Identifier: Apache-2.0 */
/* manager.c — the scrape manager: its threads, applying configurations, taking updates from discovery. */
#include <netdb.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "collect/scrape/scrape_impl.h"

enum {
        RELOAD_INTERVAL_MS = 5000,
        LOOPS_MAX = 4,
        CONF_BYTES_MAX = 1 << 20,
};

const struct scrape_opts scrape_opts_defaults = {.timestamp_tolerance_ms = 2, .adjust_timestamps = true};

/* ---- target sets ---- */

static void sets_done(struct target_set *v, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                for (size_t k = 0; k < v[i].n; k++)
                        target_group_unref(v[i].groups[k]);
                free((void *)(uintptr_t)v[i].groups);
                free((void *)(uintptr_t)v[i].name.p);
        }
        free(v);
}

static struct target_set set_dup(const struct target_set *s)
{
        const struct target_group **groups = mem_realloc_array(NULL, s->n ? s->n : 1, sizeof *groups);
        for (size_t k = 0; k < s->n; k++)
                groups[k] = target_group_ref(s->groups[k]);
        return (struct target_set){{str_dup(s->name), s->name.n}, groups, s->n};
}

void scrape_manager_update(struct scrape_manager *m, const struct target_set *sets, size_t n)
{
        mutex_lock(&m->mu);
        sets_done(m->sets.p, m->sets.n);
        memset(&m->sets, 0, sizeof m->sets);
        for (size_t i = 0; i < n; i++)
                vec_push(&m->sets, set_dup(&sets[i]));
        m->pending = true;
        cond_signal(&m->changed);
        mutex_unlock(&m->mu);
}

/* ---- pools ---- */

static struct scrape_pool *find_pool(const struct scrape_manager *m, Str name)
{
        for (size_t i = 0; i < m->pools.n; i++)
                if (str_eq(m->pools.p[i]->name, name))
                        return m->pools.p[i];
        return NULL;
}

static struct pool_conf *find_conf(const struct scrape_manager *m, Str name)
{
        for (size_t i = 0; i < m->confs.n; i++)
                if (str_eq(m->confs.p[i]->c->job_name, name))
                        return m->confs.p[i];
        return NULL;
}

static struct scrape_pool *pool_make(struct scrape_manager *m, struct pool_conf *conf)
{
        struct scrape_pool *p = mem_new(struct scrape_pool);
        p->conf = pool_conf_ref(conf);
        p->name = conf->c->job_name;
        size_t at = m->pools.n;
        vec_push(&m->pools, p);
        for (; at > 0 && str_cmp(m->pools.p[at - 1]->name, p->name) > 0; at--)
                m->pools.p[at] = m->pools.p[at - 1];
        m->pools.p[at] = p;
        count(m->metrics.pools, 1);
        if (m->metrics.target_limit)
                metric_set(metric_of(m->metrics.target_limit, p->name), (double)conf->c->target_limit);
        return p;
}

/* Under apply_mu; takes the manager's lock for each pool, so that the API is not kept waiting for long. */
static void sync_all(struct scrape_manager *m, struct target_set *sets, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                mutex_lock(&m->mu);
                struct scrape_pool *p = find_pool(m, sets[i].name);
                struct pool_conf *c = p ? NULL : find_conf(m, sets[i].name);
                if (c)
                        p = pool_make(m, c);
                if (p)
                        scrape_pool_sync(m, p, &sets[i]);
                mutex_unlock(&m->mu);
                if (!p) {
                        struct error *e = error_new(ERROR_INVALID, "invalid config id:" STR_FMT, STR_ARG(sets[i].name));
                        log_error("scrape manager", "error reloading target set", KV_E(e));
                        error_free(e);
                }
        }
}

static void sync_run(void *arg)
{
        struct scrape_manager *m = arg;
        int64_t last_ms = INT64_MIN / 2;
        mutex_lock(&m->mu);
        while (!m->stop) {
                if (!m->pending) {
                        cond_wait(&m->changed, &m->mu);
                        continue;
                }
                int64_t wait_ms = last_ms + m->opts.discovery_reload_interval_ms - time_mono_ms();
                if (!m->at_once && wait_ms > 0) {
                        (void)cond_wait_ms(&m->changed, &m->mu, wait_ms);
                        continue;
                }
                m->pending = m->at_once = false;
                struct target_set *sets = mem_realloc_array(NULL, m->sets.n ? m->sets.n : 1, sizeof *sets);
                size_t n = m->sets.n;
                for (size_t i = 0; i < n; i++)
                        sets[i] = set_dup(&m->sets.p[i]);
                mutex_unlock(&m->mu);

                mutex_lock(&m->apply_mu);
                sync_all(m, sets, n);
                mutex_unlock(&m->apply_mu);
                sets_done(sets, n);
                last_ms = time_mono_ms();
                mutex_lock(&m->mu);
        }
        mutex_unlock(&m->mu);
}

/* ---- apply ---- */

static struct failure_log *failure_log_of(struct scrape_manager *m, const char *path)
{
        if (!path)
                return NULL;
        for (size_t i = 0; i < m->failure_logs.n; i++)
                if (strcmp(failure_log_path(m->failure_logs.p[i]), path) == 0)
                        return failure_log_ref(m->failure_logs.p[i]);
        struct failure_log *f = failure_log_open(path);
        if (f)
                vec_push(&m->failure_logs, failure_log_ref(f));
        return f;
}

static struct pool_conf *pool_conf_new(struct scrape_manager *m, const struct scrape_conf *c, struct conf_owner *o)
{
        struct pool_conf *p = mem_new(struct pool_conf);
        p->refs = 1;
        p->c = c;
        p->owner = o;
        __atomic_add_fetch(&o->refs, 1, __ATOMIC_SEQ_CST);
        arena_init(&p->arena, CONF_BYTES_MAX);
        struct buf b = BUF_INIT(4096);
        scrape_accept_header(c, &b);
        p->accept = arena_str(&p->arena, buf_str(&b));
        buf_done(&b);
        p->user_agent = arena_printf(&p->arena, "Prometheus/%s", m->opts.version ? m->opts.version : "");
        p->failure_log = failure_log_of(m, c->failure_log_file);
        return p;
}

static void apply_locked(struct scrape_manager *m)
{
        size_t n = 0;
        for (size_t i = 0; i < m->pools.n; i++) {
                struct scrape_pool *p = m->pools.p[i];
                struct pool_conf *c = find_conf(m, p->name);
                if (!c) {
                        scrape_pool_stop(m, p);
                        continue;
                }
                m->pools.p[n++] = p;
                if (!scrape_conf_eq(p->conf->c, c->c))
                        scrape_pool_reload(m, p, pool_conf_ref(c));
        }
        m->pools.n = n;
}

static void conf_vec_clear(struct scrape_manager *m)
{
        for (size_t i = 0; i < m->confs.n; i++)
                pool_conf_unref(m->confs.p[i]);
        vec_clear(&m->confs);
        for (size_t i = 0; i < m->failure_logs.n; i++)
                failure_log_unref(m->failure_logs.p[i]);
        vec_clear(&m->failure_logs);
}

struct error *scrape_manager_apply(struct scrape_manager *m, const struct scrape_manager_conf *take_conf)
{
        struct conf_owner *o = mem_new(struct conf_owner);
        *o = (struct conf_owner){.refs = 1, .release = take_conf->release, .owner = take_conf->owner};

        mutex_lock(&m->apply_mu);
        conf_vec_clear(m);
        m->seed = target_offset_seed(str_from(m->hostname), take_conf->external_labels);
        for (size_t i = 0; i < take_conf->n_scrapes; i++)
                vec_push(&m->confs, pool_conf_new(m, &take_conf->scrapes[i], o));
        mutex_lock(&m->mu);
        apply_locked(m);
        m->at_once = true;
        mutex_unlock(&m->mu);
        mutex_unlock(&m->apply_mu);

        /* Our own reference; the confs keep theirs. */
        if (__atomic_sub_fetch(&o->refs, 1, __ATOMIC_SEQ_CST) == 0) {
                if (o->release)
                        o->release(o->owner);
                free(o);
        }
        return NULL;
}

/* ---- start and stop ---- */

static void collect_metadata_sizes(void *ctx)
{
        struct scrape_manager *m = ctx;
        mutex_lock(&m->mu);
        for (size_t i = 0; i < m->pools.n; i++) {
                struct scrape_pool *p = m->pools.p[i];
                uint64_t entries = 0, bytes = 0;
                for (size_t k = 0; k < p->targets.n; k++) {
                        struct scrape_target *t = p->targets.p[k];
                        uint64_t n = 0, size = 0;
                        mutex_lock(&t->mu);
                        if (t->cache)
                                metadata_size(scrape_cache_metadata(t->cache), &n, &size);
                        mutex_unlock(&t->mu);
                        entries += n;
                        bytes += size;
                }
                metric_set(metric_of(m->metrics.metadata_entries, p->name), (double)entries);
                metric_set(metric_of(m->metrics.metadata_bytes, p->name), (double)bytes);
        }
        mutex_unlock(&m->mu);
}

/* The full name if the resolver knows it at once; it only has to differ between servers. */
static char *host_name(void)
{
        char name[256] = "localhost";
        if (gethostname(name, sizeof name) != 0)
                return mem_strdup("localhost");
        name[sizeof name - 1] = '\0';
        return mem_strdup(name);
}

struct error *scrape_manager_new(const struct scrape_opts *o, struct scrape_manager **ret)
{
        if (o->type_and_unit_labels)
                return error_new(ERROR_UNSUPPORTED, "type-and-unit-labels is not supported");
        struct scrape_manager *m = mem_new(struct scrape_manager);
        m->opts = *o;
        if (m->opts.discovery_reload_interval_ms <= 0)
                m->opts.discovery_reload_interval_ms = RELOAD_INTERVAL_MS;
        mutex_init(&m->apply_mu);
        mutex_init(&m->mu);
        cond_init(&m->changed);
        scrape_metrics_make(&m->metrics, o->metrics);
        m->metadata = metadata_pool_new();
        m->hostname = host_name();
        m->n_loops = o->n_loops > 0 ? o->n_loops : MIN(cpu_count(), LOOPS_MAX);
        m->loops = mem_zalloc((size_t)m->n_loops * sizeof *m->loops);
        struct error *e = NULL;
        int started = 0;
        while (started < m->n_loops && !e)
                e = scrape_loop_init(&m->loops[started], m, started), started++;
        m->n_loops = started;
        if (!e)
                e = thread_start(&m->sync_thread, "scrape-sync", sync_run, m);
        if (e) {
                scrape_manager_free(m);
                return e;
        }
        if (o->metrics)
                metric_collect(o->metrics, collect_metadata_sizes, m);
        *ret = m;
        return NULL;
}

void scrape_manager_stop(struct scrape_manager *m)
{
        mutex_lock(&m->mu);
        bool stopped = m->stopped;
        m->stopped = m->stop = true;
        cond_broadcast(&m->changed);
        mutex_unlock(&m->mu);
        if (stopped)
                return;
        thread_join(&m->sync_thread);
        if (m->opts.metrics)
                metric_collect_remove(m->opts.metrics, collect_metadata_sizes, m);

        /* The API may still ask: let go of the pools before the loops free their targets. */
        mutex_lock(&m->apply_mu);
        mutex_lock(&m->mu);
        for (size_t i = 0; i < m->pools.n; i++)
                scrape_pool_stop(m, m->pools.p[i]);
        vec_clear(&m->pools);
        mutex_unlock(&m->mu);
        mutex_unlock(&m->apply_mu);
        for (int i = 0; i < m->n_loops; i++)
                scrape_loop_done(&m->loops[i]);
}

void scrape_manager_free(struct scrape_manager *m)
{
        if (!m)
                return;
        scrape_manager_stop(m);
        free(m->loops);
        vec_done(&m->pools);
        conf_vec_clear(m);
        vec_done(&m->confs);
        vec_done(&m->failure_logs);
        sets_done(m->sets.p, m->sets.n);
        metadata_pool_free(m->metadata);
        free(m->hostname);
        cond_done(&m->changed);
        mutex_done(&m->mu);
        mutex_done(&m->apply_mu);
        free(m);
}
