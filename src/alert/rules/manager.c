/* SPDX-License-Identifier: Apache-2.0 */
/* Loading, reloading and the clock. One thread looks which group is due and gives it to the workers; a group is with one worker at most. Ticks are
 * monotonic, as a ticker's: at most one waits while an evaluation takes long; the slot that is evaluated comes from the wall clock.
 * Upstream: rules/manager.go, group.go (run) */
#include "alert/rules/private.h"
#include "base/log.h"

enum { WORKERS_MIN = 4, RECHECK_MS = 1000 };

/* ---- metrics ---- */

void rule_metrics_init(struct rule_metrics *m, struct metric_registry *r)
{
        static const char *const by_group[] = {"rule_group", NULL};
        static const double buckets[] = {.01, .1, 1, 10}, quantiles[] = {0.5, 0.9, 0.99}, group_quantiles[] = {0.01, 0.05, 0.5, 0.9, 0.99};
        struct metric_family *f;
        if (!r)
                return;
        f = metric_family(r, METRIC_FAMILY_SUMMARY, "prometheus_rule_evaluation_duration_seconds", "The duration for a rule to execute.", NULL);
        metric_family_set_quantiles(f, quantiles, ARRAY_LEN(quantiles));
        m->eval_duration = metric_with(f, NULL);
        m->eval_histogram = metric_histogram(r, "prometheus_rule_evaluation_duration_histogram_seconds", "The duration for a rule to execute.", buckets, ARRAY_LEN(buckets));
        f = metric_family(r, METRIC_FAMILY_SUMMARY, "prometheus_rule_group_duration_seconds", "The duration of rule group evaluations.", NULL);
        metric_family_set_quantiles(f, group_quantiles, ARRAY_LEN(group_quantiles));
        m->iteration_duration = metric_with(f, NULL);
        m->iteration_histogram =
                metric_histogram(r, "prometheus_rule_group_duration_histogram_seconds", "The duration of rule group evaluations.", buckets, ARRAY_LEN(buckets));
        m->missed = metric_family(r, METRIC_FAMILY_COUNTER, "prometheus_rule_group_iterations_missed_total",
                                  "The total number of rule group evaluations missed due to slow rule group evaluation.", by_group);
        m->scheduled = metric_family(r, METRIC_FAMILY_COUNTER, "prometheus_rule_group_iterations_total",
                                     "The total number of scheduled rule group evaluations, whether executed or missed.", by_group);
        m->evals = metric_family(r, METRIC_FAMILY_COUNTER, "prometheus_rule_evaluations_total", "The total number of rule evaluations.", by_group);
        m->failures = metric_family(r, METRIC_FAMILY_COUNTER, "prometheus_rule_evaluation_failures_total", "The total number of rule evaluation failures.", by_group);
        m->interval = metric_family(r, METRIC_FAMILY_GAUGE, "prometheus_rule_group_interval_seconds", "The interval of a rule group.", by_group);
        m->last_eval = metric_family(r, METRIC_FAMILY_GAUGE, "prometheus_rule_group_last_evaluation_timestamp_seconds",
                                     "The timestamp of the last rule group evaluation in seconds.", by_group);
        m->last_duration =
                metric_family(r, METRIC_FAMILY_GAUGE, "prometheus_rule_group_last_duration_seconds", "The duration of the last rule group evaluation.", by_group);
        m->last_rule_sum = metric_family(r, METRIC_FAMILY_GAUGE, "prometheus_rule_group_last_rule_duration_sum_seconds",
                                         "The sum of time in seconds it took to evaluate each rule in the group regardless of concurrency. This should be higher than "
                                         "the group duration if rules are evaluated concurrently.",
                                         by_group);
        m->last_restore = metric_family(r, METRIC_FAMILY_GAUGE, "prometheus_rule_group_last_restore_duration_seconds",
                                        "The duration of the last alert rules alerts restoration using the `ALERTS_FOR_STATE` series.", by_group);
        m->rules = metric_family(r, METRIC_FAMILY_GAUGE, "prometheus_rule_group_rules", "The number of rules.", by_group);
        m->samples = metric_family(r, METRIC_FAMILY_GAUGE, "prometheus_rule_group_last_evaluation_samples",
                                   "The number of samples returned during the last rule group evaluation.", by_group);
        m->expansions = metric_counter(r, "prometheus_template_text_expansions_total", "The total number of template text expansions.");
        m->expansion_failures = metric_counter(r, "prometheus_template_text_expansion_failures_total", "The total number of template text expansion failures.");
}

void rule_metrics_group(struct rule_group *g)
{
        struct rule_metrics *m = &g->private->m->metrics;
        const Str key[] = {g->key};
        if (!m->missed)
                return;
        g->private->metrics.missed = metric_with(m->missed, key);
        g->private->metrics.scheduled = metric_with(m->scheduled, key);
        g->private->metrics.evals = metric_with(m->evals, key);
        g->private->metrics.failures = metric_with(m->failures, key);
        g->private->metrics.interval = metric_with(m->interval, key);
        g->private->metrics.last_eval = metric_with(m->last_eval, key);
        g->private->metrics.last_duration = metric_with(m->last_duration, key);
        g->private->metrics.last_rule_sum = metric_with(m->last_rule_sum, key);
        g->private->metrics.rules = metric_with(m->rules, key);
        g->private->metrics.samples = metric_with(m->samples, key);
        metric_set(g->private->metrics.rules, (double)g->n_rules);
        metric_set(g->private->metrics.interval, (double)g->interval_ms / 1e3);
}

void rule_metrics_group_remove(struct rules_manager *m, Str key)
{
        struct metric_family *all[] = {m->metrics.missed, m->metrics.scheduled, m->metrics.evals, m->metrics.failures, m->metrics.interval, m->metrics.last_eval,
                                       m->metrics.last_duration, m->metrics.last_rule_sum, m->metrics.last_restore, m->metrics.rules, m->metrics.samples};
        for (size_t i = 0; i < ARRAY_LEN(all) && all[i]; i++)
                metric_remove(all[i], (Str[]){key});
}

/* ---- life ---- */

struct error *rules_manager_new(const struct rules_opts *o, struct rules_manager **ret)
{
        struct rules_manager *m = mem_new(struct rules_manager);
        struct error *e = NULL;
        m->o = *o;
        m->o.external_url = o->external_url ? o->external_url : "";
        m->o.results = o->results ? o->results : o->storage;
        m->clock = o->clock ? o->clock : &clock_system;
        rwlock_init(&m->list);
        mutex_init(&m->mu);
        cond_init(&m->changed);
        if (o->concurrent_evals > 0)
                e = pool_new("rule-eval", o->concurrent_evals, &m->eval_pool);
        if (e) {
                rules_manager_free(m);
                return e;
        }
        rule_metrics_init(&m->metrics, o->metrics);
        *ret = m;
        return NULL;
}

void rules_manager_free(struct rules_manager *m)
{
        if (!m)
                return;
        rules_manager_stop(m);
        pool_free(m->eval_pool);
        for (size_t i = 0; i < m->groups.n; i++)
                rule_group_free(m->groups.p[i]);
        for (size_t i = 0; i < m->departed.n; i++)
                rule_group_free(m->departed.p[i].group);
        vec_done(&m->groups);
        vec_done(&m->scheduled);
        vec_done(&m->departed);
        rwlock_done(&m->list);
        mutex_done(&m->mu);
        cond_done(&m->changed);
        free(m);
}

/* ---- the schedule ---- */

static int64_t wall_ns(const struct rules_manager *m)
{
        return clock_now_ms(m->clock) * 1000000;
}

static void group_job(void *arg)
{
        struct rule_group *g = arg;
        struct rule_group_private *p = g->private;
        struct rules_manager *m = p->m;
        int64_t interval = g->interval_ms * 1000000;
        if (p->iterations > 0) {
                int64_t steps = ns_sub(wall_ns(m), p->eval_ts_ns) / interval;
                if (steps > 1 && p->metrics.missed) {
                        metric_add(p->metrics.missed, (double)(steps - 1));
                        metric_add(p->metrics.scheduled, (double)(steps - 1));
                }
                p->eval_ts_ns = ns_add(p->eval_ts_ns, ns_times(interval, steps == 0 ? 1 : steps));
        }
        rule_group_iterate(g, p->eval_ts_ns);
        p->iterations++;
        /* The first evaluation may be too early for what has not been scraped yet: state is restored behind the second. */
        if (p->should_restore && p->iterations == 2 && !p->stopping)
                rule_group_restore(g, wall_ns(m));
        mutex_lock(&m->mu);
        int64_t now = time_mono_ns();
        p->tick_ns = ns_add(p->tick_ns, interval);
        if (now - p->tick_ns > interval)
                p->tick_ns += (now - p->tick_ns) / interval * interval;
        p->busy = false;
        cond_broadcast(&m->changed);
        mutex_unlock(&m->mu);
}

static void departed_job(void *arg)
{
        struct departed *d = arg;
        rule_group_mark_stale(d->group, d->at_ns);
        rule_group_free(d->group);
        free(d);
}

static void schedule_run(void *arg)
{
        struct rules_manager *m = arg;
        mutex_lock(&m->mu);
        while (!m->stopped) {
                int64_t now = time_mono_ns(), next = now + RECHECK_MS * INT64_C(1000000);
                for (size_t i = 0; i < m->scheduled.n; i++) {
                        struct rule_group_private *p = m->scheduled.p[i]->private;
                        if (p->busy)
                                continue;
                        if (p->tick_ns <= now) {
                                p->busy = true;
                                pool_submit(m->pool, group_job, m->scheduled.p[i]);
                        } else {
                                next = MIN(next, p->tick_ns);
                        }
                }
                for (size_t i = 0; i < m->departed.n; i++) {
                        if (m->departed.p[i].due_ns > now)
                                continue;
                        struct departed *d = mem_memdup(&m->departed.p[i], sizeof *d);
                        m->departed.p[i--] = vec_pop(&m->departed);
                        pool_submit(m->pool, departed_job, d);
                }
                cond_wait_ms(&m->changed, &m->mu, (next - now + 999999) / 1000000);
        }
        mutex_unlock(&m->mu);
}

static void group_schedule_locked(struct rules_manager *m, struct rule_group *g)
{
        int64_t now = wall_ns(m);
        g->private->eval_ts_ns = ns_add(rule_group_slot_ns(g, now), g->interval_ms * 1000000);
        g->private->tick_ns = ns_add(time_mono_ns(), ns_sub(g->private->eval_ts_ns, now));
        g->private->scheduled = true;
        vec_push(&m->scheduled, g);
        cond_broadcast(&m->changed);
}

/* After it no worker touches the group. */
static void group_stop_locked(struct rules_manager *m, struct rule_group *g)
{
        g->private->stopping = true;
        while (g->private->busy)
                cond_wait(&m->changed, &m->mu);
        for (size_t i = 0; i < m->scheduled.n; i++) {
                if (m->scheduled.p[i] == g) {
                        m->scheduled.p[i] = vec_pop(&m->scheduled);
                        break;
                }
        }
        g->private->scheduled = false;
}

void rules_manager_start(struct rules_manager *m)
{
        log_info("rule manager", "Starting rule manager...");
        mutex_lock(&m->mu);
        struct error *e = m->started || m->stopped ? NULL : pool_new("rules", MAX(WORKERS_MIN, cpu_count()), &m->pool);
        if (!e && m->pool && !m->started) {
                m->started = true;
                for (size_t i = 0; i < m->groups.n; i++)
                        group_schedule_locked(m, m->groups.p[i]);
                e = thread_start(&m->scheduler, "rules", schedule_run, m);
        }
        mutex_unlock(&m->mu);
        if (e)
                log_error("rule manager", "Starting rule manager failed", KV_E(e));
        error_free(e);
}

void rules_manager_stop(struct rules_manager *m)
{
        mutex_lock(&m->mu);
        bool was = m->stopped;
        m->stopped = true;
        cond_broadcast(&m->changed);
        mutex_unlock(&m->mu);
        if (was)
                return;
        log_info("rule manager", "Stopping rule manager...");
        __atomic_store_n(&m->cancel, true, __ATOMIC_SEQ_CST);
        for (size_t i = 0; i < m->groups.n; i++)
                m->groups.p[i]->private->stopping = true;
        thread_join(&m->scheduler);
        pool_free(m->pool);             /* waits for what runs */
        m->pool = NULL;
        log_info("rule manager", "Rule manager stopped");
}

/* ---- reload ---- */

typedef VEC(struct rule_group *) GroupVec;

static bool files_load(struct rules_manager *m, const struct rules_conf *c, bool restore, GroupVec *ret, ErrorVec *errors)
{
        struct rule_file_opts o = {.ignore_unknown_fields = c->ignore_unknown_fields, .legacy_names = m->o.legacy_names, .parse = m->o.parse};
        size_t before = errors->n;
        for (size_t i = 0; i < c->n_files; i++) {
                struct rule_file f;
                char *path = str_dup(c->files[i]);
                bool ok = rule_file_load(path, &o, &f, errors);
                if (ok && f.has_more_documents)
                        log_warn("rule manager", "Multiple document yaml rules files are not supported, only the first document is processed", KV_S("file", path));
                for (size_t k = 0; ok && k < f.n; k++) {
                        struct rule_group *g;
                        struct error *e = rule_group_new(m, c, c->files[i], &f.groups[k], restore, &g);
                        if (e) {
                                vec_push(errors, error_wrap(e, "%s", path));
                                rule_file_done(&f);
                                ok = false;
                        } else {
                                vec_push(ret, g);
                        }
                }
                free(path);
                if (errors->n == before)
                        rule_file_done(&f);
                else
                        return false;
        }
        return true;
}

static int by_file_and_name(const void *a, const void *b)
{
        const struct rule_group *x = *(struct rule_group *const *)a, *y = *(struct rule_group *const *)b;
        int c = str_cmp(x->file, y->file);
        return c ? c : str_cmp(x->name, y->name);
}

/* The same file may be named twice: the later group counts. */
static void drop_repeated(GroupVec *v)
{
        size_t kept = 0;
        for (size_t i = 0; i < v->n; i++) {
                if (i + 1 < v->n && str_eq(v->p[i]->key, v->p[i + 1]->key))
                        rule_group_free(v->p[i]);
                else
                        v->p[kept++] = v->p[i];
        }
        v->n = kept;
}

static struct rule_group *group_find(const GroupVec *v, Str key)
{
        for (size_t i = 0; i < v->n; i++) {
                if (v->p[i] && str_eq(v->p[i]->key, key))
                        return v->p[i];
        }
        return NULL;
}

static void take_out(GroupVec *v, const struct rule_group *g)
{
        for (size_t i = 0; i < v->n; i++) {
                if (v->p[i] == g)
                        v->p[i] = NULL;
        }
}

/* fresh becomes the list in force: groups that are unchanged stay the old ones. */
static void groups_swap(struct rules_manager *m, GroupVec *fresh)
{
        GroupVec old = VEC_INIT, dead = VEC_INIT;
        for (size_t i = 0; i < m->groups.n; i++)
                vec_push(&old, m->groups.p[i]);
        for (size_t i = 0; i < fresh->n; i++) {
                struct rule_group *g = fresh->p[i], *was = group_find(&old, g->key);
                if (was && rule_group_eq(was, g)) {
                        take_out(&old, was);
                        rule_group_free(g);
                        fresh->p[i] = was;
                        continue;
                }
                if (was) {
                        mutex_lock(&m->mu);
                        group_stop_locked(m, was);
                        mutex_unlock(&m->mu);
                        rwlock_write(&m->list);         /* who reads sees one or the other, not the half */
                        rule_group_copy_state(g, was);
                        for (size_t k = 0; k < m->groups.n; k++) {
                                if (m->groups.p[k] == was)
                                        m->groups.p[k] = g;
                        }
                        rwlock_unlock(&m->list);
                        take_out(&old, was);
                        vec_push(&dead, was);
                }
                rule_metrics_group(g);
        }
        for (size_t i = 0; i < old.n; i++) {
                if (!old.p[i])
                        continue;
                mutex_lock(&m->mu);
                group_stop_locked(m, old.p[i]);
                mutex_unlock(&m->mu);
                rule_metrics_group_remove(m, old.p[i]->key);
        }
        rwlock_write(&m->list);
        vec_clear(&m->groups);
        for (size_t i = 0; i < fresh->n; i++)
                vec_push(&m->groups, fresh->p[i]);
        rwlock_unlock(&m->list);
        mutex_lock(&m->mu);
        for (size_t i = 0; m->started && i < m->groups.n; i++) {
                if (!m->groups.p[i]->private->scheduled)
                        group_schedule_locked(m, m->groups.p[i]);
        }
        for (size_t i = 0; i < old.n; i++) {
                if (!old.p[i])
                        continue;
                /* Renamed rules have two intervals to write their series anew. */
                rule_group_retire(old.p[i]);
                memset(&old.p[i]->private->metrics, 0, sizeof old.p[i]->private->metrics);
                vec_push(&m->departed, (struct departed){old.p[i], ns_add(time_mono_ns(), ns_times(old.p[i]->interval_ms * 1000000, 2)), wall_ns(m)});
        }
        cond_broadcast(&m->changed);
        mutex_unlock(&m->mu);
        for (size_t i = 0; i < dead.n; i++)
                rule_group_free(dead.p[i]);
        vec_done(&old);
        vec_done(&dead);
}

struct error *rules_manager_apply(struct rules_manager *m, const struct rules_conf *c, ErrorVec *errors)
{
        GroupVec fresh = VEC_INIT;
        ErrorVec own = VEC_INIT, *to = errors ? errors : &own;
        mutex_lock(&m->mu);
        bool stopped = m->stopped;
        mutex_unlock(&m->mu);
        if (stopped)
                return NULL;
        bool ok = files_load(m, c, !m->restored || m->o.restore_new_groups, &fresh, to);
        if (!ok) {
                for (size_t i = 0; !errors && i < own.n; i++)
                        log_error("rule manager", "loading groups failed", KV_E(own.p[i]));
                for (size_t i = 0; i < fresh.n; i++)
                        rule_group_free(fresh.p[i]);
        } else {
                m->restored = true;
                m->query_offset_ms = c->query_offset_ms;
                if (fresh.n)
                        qsort(fresh.p, fresh.n, sizeof *fresh.p, by_file_and_name);
                drop_repeated(&fresh);
                groups_swap(m, &fresh);
        }
        vec_done(&fresh);
        error_vec_done(&own);
        return ok ? NULL : error_new(ERROR_INVALID, "error loading rules, previous rule set restored");
}

/* ---- reading ---- */

bool rules_manager_is_concurrent(const struct rules_manager *m)
{
        return m->eval_pool != NULL;
}

void rules_manager_read(struct rules_manager *m)
{
        rwlock_read(&m->list);
}

struct rule_group *const *rules_manager_groups(const struct rules_manager *m, size_t *ret_n)
{
        *ret_n = m->groups.n;
        return m->groups.p;
}

void rules_manager_read_end(struct rules_manager *m)
{
        rwlock_unlock(&m->list);
}
