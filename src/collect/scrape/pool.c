/* SPDX-License-Identifier: Apache-2.0 */
/* pool.c — from target groups to targets: which are new, which stay, which end. All of it under apply_mu and the
 * manager's lock. */
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "collect/scrape/scrape_impl.h"
#include "model/duration.h"

enum { SYNC_BYTES_MAX = 64 << 20 }; /* of one target's labels while they are worked out */

struct pool_conf *pool_conf_ref(struct pool_conf *p)
{
        __atomic_add_fetch(&p->refs, 1, __ATOMIC_SEQ_CST);
        return p;
}

static void conf_owner_unref(struct conf_owner *o)
{
        if (__atomic_sub_fetch(&o->refs, 1, __ATOMIC_SEQ_CST) > 0)
                return;
        if (o->release)
                o->release(o->owner);
        free(o);
}

void pool_conf_unref(struct pool_conf *p)
{
        if (!p || __atomic_sub_fetch(&p->refs, 1, __ATOMIC_SEQ_CST) > 0)
                return;
        conf_owner_unref(p->owner);
        failure_log_unref(p->failure_log);
        arena_done(&p->arena);
        free(p);
}

static Str hash_key(const struct scrape_target *t)
{
        return (Str){(const char *)&t->hash, sizeof t->hash};
}

static void dropped_clear(struct scrape_pool *p)
{
        for (size_t i = 0; i < p->dropped.n; i++)
                target_group_unref(p->dropped.p[i].group);
        vec_clear(&p->dropped);
        p->n_dropped = 0;
}

static void found_at(struct scrape_target *t, const struct target_group *g, size_t i, uint64_t sync)
{
        target_group_unref(t->group);
        t->group = target_group_ref(g);
        t->group_index = i;
        t->seen_in_sync = sync;
}

static bool has_public(Labels ls)
{
        for (size_t i = 0; i < ls.n; i++)
                if (!str_has_prefix(ls.v[i].name, STR("__")))
                        return true;
        return false;
}

/* One entry of a group. True: its target could not be made. */
static bool sync_one(struct scrape_manager *m, struct scrape_pool *p, const struct target_group *g, size_t i,
                     struct arena *a)
{
        const struct scrape_conf *c = p->conf->c;
        Labels all = {NULL, 0};
        arena_clear(a);
        struct error *e = target_labels(c, g, i, a, &all);
        if (e) {
                e = error_wrap(e, "instance %zu in group " STR_FMT, i, STR_ARG(g->source));
                log_error("scrape manager", "Creating target failed", KV_STR("scrape_pool", p->name), KV_E(e));
                error_free(e);
                return true;
        }
        if (!has_public(all)) {
                if (c->keep_dropped_targets == 0 || p->dropped.n < c->keep_dropped_targets)
                        vec_push(&p->dropped, ((struct dropped_target){target_group_ref(g), i}));
                p->n_dropped++;
                return false;
        }
        Str url = target_url(c, all, a);
        uint64_t hash = target_hash(all, url);
        struct scrape_target *t = map_get(&p->by_hash, (Str){(const char *)&hash, sizeof hash});
        if (t) {
                found_at(t, g, i, p->syncs);
                return false;
        }
        t = scrape_target_new(m, p->conf, all, url, hash);
        found_at(t, g, i, p->syncs);
        map_set(&p->by_hash, hash_key(t), t);
        vec_push(&p->targets, t);
        scrape_target_start(t, /* with_cache= */ true);
        return false;
}

static void end_unseen(struct scrape_pool *p)
{
        size_t n = 0;
        for (size_t i = 0; i < p->targets.n; i++) {
                struct scrape_target *t = p->targets.p[i];
                if (t->seen_in_sync == p->syncs) {
                        p->targets.p[n++] = t;
                        continue;
                }
                map_remove(&p->by_hash, hash_key(t));
                scrape_target_end(t, /* markers= */ true);
        }
        p->targets.n = n;
}

void scrape_pool_check_limit(struct scrape_manager *m, struct scrape_pool *p)
{
        uint64_t limit = p->conf->c->target_limit;
        char text[128], *forced = NULL;
        if (limit > 0 && p->targets.n > limit) {
                snprintf(text, sizeof text, "target_limit exceeded (number of targets: %zu, limit: %llu)", p->targets.n,
                         (unsigned long long)limit);
                forced = text;
                count(m->metrics.over_target_limit, 1);
        }
        for (size_t i = 0; i < p->targets.n; i++)
                scrape_target_force_error(p->targets.p[i], forced);
}

void scrape_pool_sync(struct scrape_manager *m, struct scrape_pool *p, const struct target_set *set)
{
        int64_t start = time_mono_ns();
        struct arena a;
        arena_init(&a, SYNC_BYTES_MAX);
        p->syncs++;
        dropped_clear(p);
        uint64_t failed = 0;
        for (size_t g = 0; g < set->n; g++)
                for (size_t i = 0; i < set->groups[g]->n_targets; i++)
                        failed += sync_one(m, p, set->groups[g], i, &a);
        arena_done(&a);
        end_unseen(p);
        scrape_pool_check_limit(m, p);

        struct scrape_metrics *s = &m->metrics;
        if (!s->syncs)
                return;
        double took = (double)(time_mono_ns() - start) / 1e9;
        metric_add(metric_of(s->sync_failed, p->name), (double)failed);
        metric_set(metric_of(s->targets, p->name), (double)p->targets.n);
        metric_set(metric_of(s->symbols, p->name), 0);
        observe(metric_of(s->sync_length, p->name), took);
        observe(metric_of(s->sync_histogram, p->name), took);
        metric_add(metric_of(s->syncs, p->name), 1);
}

void scrape_pool_reload(struct scrape_manager *m, struct scrape_pool *p, struct pool_conf *take_conf)
{
        int64_t start = time_mono_ns();
        struct pool_conf *old = p->conf;
        bool reuse = scrape_conf_cache_eq(old->c, take_conf->c);
        p->conf = take_conf;
        p->name = take_conf->c->job_name;
        count(m->metrics.reloads, 1);

        struct map by_hash = MAP_INIT;
        for (size_t i = 0; i < p->targets.n; i++) {
                struct scrape_target *t = p->targets.p[i];
                struct scrape_target *n = scrape_target_new(m, take_conf, t->all, t->url, t->hash);
                found_at(n, t->group, t->group_index, t->seen_in_sync);
                mutex_lock(&t->mu);
                n->last_error = t->last_error ? mem_strdup(t->last_error) : NULL;
                n->last_scrape_ns = t->last_scrape_ns;
                n->last_duration_s = t->last_duration_s;
                n->health = t->health;
                mutex_unlock(&t->mu);
                p->targets.p[i] = n;
                map_set(&by_hash, hash_key(n), n);
                scrape_target_start(n, /* with_cache= */ !reuse);
                if (reuse)
                        scrape_target_hand_over(t, n);
                else
                        scrape_target_end(t, /* markers= */ true);
        }
        map_done(&p->by_hash);
        p->by_hash = by_hash;
        scrape_pool_check_limit(m, p);
        pool_conf_unref(old);
        if (m->metrics.target_limit)
                metric_set(metric_of(m->metrics.target_limit, p->name), (double)take_conf->c->target_limit);
        if (m->metrics.reload_length) {
                struct buf interval = BUF_INIT(64);
                buf_put_go_duration(&interval, take_conf->c->interval_ms * 1000000);
                observe(metric_of(m->metrics.reload_length, buf_str(&interval)),
                        (double)(time_mono_ns() - start) / 1e9);
                buf_done(&interval);
        }
}

void scrape_pool_stop(struct scrape_manager *m, struct scrape_pool *p)
{
        for (size_t i = 0; i < p->targets.n; i++)
                scrape_target_end(p->targets.p[i], /* markers= */ false);
        scrape_metrics_forget_pool(&m->metrics, p->name);
        dropped_clear(p);
        vec_done(&p->dropped);
        vec_done(&p->targets);
        map_done(&p->by_hash);
        pool_conf_unref(p->conf);
        free(p);
}
