/* SPDX-License-Identifier: Apache-2.0 */
/* snapshot.c — what the API shows of targets. Copies into the caller's arena, by try_: the number of targets is not
 * ours to bound. */
#include "collect/scrape/scrape_impl.h"

const char *target_health_name(enum target_health h)
{
        switch (h) {
        case TARGET_UP:
                return "up";
        case TARGET_DOWN:
                return "down";
        case TARGET_UNKNOWN:
                break;
        }
        return "unknown";
}

static struct error *too_many(void)
{
        return error_new(ERROR_LIMIT, "the list of targets does not fit into the memory of the request");
}

/* Room for what a target's strings may take; then the plain arena calls below cannot fail. */
static bool has_room(const struct arena *a, size_t bytes)
{
        return a->limit_bytes - MIN(a->used_bytes, a->limit_bytes) > bytes + (1 << 16);
}

static size_t labels_bytes(Labels ls)
{
        size_t n = 64 + ls.n * sizeof(Label);
        for (size_t i = 0; i < ls.n; i++)
                n += ls.v[i].name.n + ls.v[i].value.n + 32;
        return n;
}

static bool pool_is_wanted(const struct scrape_pool *p, Str pool)
{
        return str_is_empty(pool) || str_eq(p->name, pool);
}

static int target_cmp(const void *a, const void *b)
{
        const struct scrape_target *x = *(struct scrape_target *const *)a, *y = *(struct scrape_target *const *)b;
        int c = str_cmp(x->url, y->url);
        return c ? c : labels_cmp(x->labels, y->labels);
}

/* The pool's targets in order; heap, owned by the caller. */
static struct scrape_target **sorted(const struct scrape_pool *p)
{
        struct scrape_target **v = mem_realloc_array(NULL, p->targets.n ? p->targets.n : 1, sizeof *v);
        if (p->targets.n) {
                memcpy(v, p->targets.p, p->targets.n * sizeof *v);
                qsort(v, p->targets.n, sizeof *v, target_cmp);
        }
        return v;
}

static Labels discovered(const struct pool_conf *c, const struct target_group *g, size_t i, struct arena *a)
{
        struct arena scratch;
        arena_init(&scratch, 64 << 20);
        Labels ls = target_discovered_labels(c->c, g, i, &scratch);
        ls = has_room(a, labels_bytes(ls)) ? labels_dup(a, ls) : (Labels){NULL, 0};
        arena_done(&scratch);
        return ls;
}

static bool fill(struct scrape_target *t, const struct scrape_pool *p, struct arena *a, struct scrape_target_info *ret)
{
        mutex_lock(&t->mu);
        size_t error_n = t->last_error ? strlen(t->last_error) : 0;
        bool fits = has_room(a, 2 * labels_bytes(t->all) + t->url.n + error_n + p->name.n);
        if (fits)
                *ret = (struct scrape_target_info){
                        .pool = arena_str(a, p->name),
                        .labels = labels_dup(a, t->labels),
                        .url = arena_str(a, t->url),
                        .last_error = arena_str(a, (Str){t->last_error, error_n}),
                        .last_scrape_ns = t->last_scrape_ns,
                        .last_duration_s = t->last_duration_s,
                        .health = t->health,
                        .interval_ms = t->interval_ms,
                        .timeout_ms = t->timeout_ms,
                };
        mutex_unlock(&t->mu);
        if (fits)
                ret->discovered = discovered(p->conf, t->group, t->group_index, a);
        return fits;
}

struct error *scrape_manager_targets(struct scrape_manager *m, Str pool, struct arena *a,
                                     const struct scrape_target_info **ret, size_t *ret_n)
{
        struct error *e = NULL;
        mutex_lock(&m->mu);
        size_t n = 0, at = 0;
        for (size_t i = 0; i < m->pools.n; i++)
                if (pool_is_wanted(m->pools.p[i], pool))
                        n += m->pools.p[i]->targets.n;
        struct scrape_target_info *v = arena_try_alloc(a, arena_array_bytes(n, sizeof *v));
        if (!v)
                e = too_many();
        for (size_t i = 0; i < m->pools.n && !e; i++) {
                struct scrape_pool *p = m->pools.p[i];
                if (!pool_is_wanted(p, pool))
                        continue;
                struct scrape_target **targets = sorted(p);
                for (size_t k = 0; k < p->targets.n && !e; k++)
                        if (!fill(targets[k], p, a, &v[at++]))
                                e = too_many();
                free(targets);
        }
        mutex_unlock(&m->mu);
        if (e)
                return e;
        *ret = v;
        *ret_n = n;
        return NULL;
}

struct error *scrape_manager_dropped(struct scrape_manager *m, Str pool, struct arena *a,
                                     const struct scrape_target_info **ret, size_t *ret_n)
{
        struct error *e = NULL;
        mutex_lock(&m->mu);
        size_t n = 0, at = 0;
        for (size_t i = 0; i < m->pools.n; i++)
                if (pool_is_wanted(m->pools.p[i], pool))
                        n += m->pools.p[i]->dropped.n;
        struct scrape_target_info *v = arena_try_alloc(a, arena_array_bytes(n, sizeof *v));
        if (!v)
                e = too_many();
        for (size_t i = 0; i < m->pools.n && !e; i++) {
                struct scrape_pool *p = m->pools.p[i];
                for (size_t k = 0; pool_is_wanted(p, pool) && k < p->dropped.n && !e; k++) {
                        if (!has_room(a, p->name.n)) {
                                e = too_many();
                                break;
                        }
                        v[at++] = (struct scrape_target_info){
                                .pool = arena_str(a, p->name),
                                .discovered = discovered(p->conf, p->dropped.p[k].group, p->dropped.p[k].index, a),
                        };
                }
        }
        mutex_unlock(&m->mu);
        if (e)
                return e;
        *ret = v;
        *ret_n = n;
        return NULL;
}

struct error *scrape_manager_pools(struct scrape_manager *m, struct arena *a, const struct scrape_pool_info **ret,
                                   size_t *ret_n)
{
        mutex_lock(&m->mu);
        size_t n = m->pools.n, at = 0;
        struct scrape_pool_info *v = arena_try_alloc(a, arena_array_bytes(n, sizeof *v));
        for (; v && at < n && has_room(a, m->pools.p[at]->name.n); at++)
                v[at] = (struct scrape_pool_info){
                        .name = arena_str(a, m->pools.p[at]->name),
                        .n_active = m->pools.p[at]->targets.n,
                        .n_dropped = m->pools.p[at]->n_dropped,
                };
        mutex_unlock(&m->mu);
        if (!v || at < n)
                return too_many();
        *ret = v;
        *ret_n = n;
        return NULL;
}

struct visit {
        struct scrape_metadata md;
        Str metric;
        bool (*fn)(void *ctx, const struct scrape_metadata *md);
        void *ctx;
};

static bool visit_family(void *ctx, Str family, const struct metric_metadata *md)
{
        struct visit *v = ctx;
        if (!str_is_empty(v->metric) && !str_eq(v->metric, family))
                return true;
        v->md.family = family;
        v->md.meta = *md;
        return v->fn(v->ctx, &v->md);
}

void scrape_manager_metadata(struct scrape_manager *m, Str metric,
                             bool (*fn)(void *ctx, const struct scrape_metadata *md), void *ctx)
{
        bool more = true;
        mutex_lock(&m->mu);
        for (size_t i = 0; i < m->pools.n && more; i++) {
                struct scrape_target **targets = sorted(m->pools.p[i]);
                for (size_t k = 0; k < m->pools.p[i]->targets.n && more; k++) {
                        struct scrape_target *t = targets[k];
                        struct visit v = {{.pool = m->pools.p[i]->name, .target = t->labels}, metric, fn, ctx};
                        mutex_lock(&t->mu);
                        if (t->cache)
                                more = metadata_each(scrape_cache_metadata(t->cache), visit_family, &v);
                        mutex_unlock(&t->mu);
                }
                free(targets);
        }
        mutex_unlock(&m->mu);
}
