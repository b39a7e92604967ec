/* SPDX-License-Identifier: Apache-2.0 */
/* api_targets.c — targets, their metadata, scrape pools. */
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "base/map.h"

#include "codec/json.h"
#include "codec/quote.h"
#include "model/duration.h"
#include "web/serve.h"

/* Nanoseconds since the epoch as Go's RFC3339Nano, in UTC; 0 is Go's zero time. */
void json_put_time_ns(struct buf *b, int64_t ns)
{
        if (ns == 0) {
                buf_puts(b, "\"0001-01-01T00:00:00Z\"");
                return;
        }
        time_t s = (time_t)(ns / 1000000000);
        struct tm tm;
        gmtime_r(&s, &tm);
        buf_printf(b, "\"%04d-%02d-%02dT%02d:%02d:%02d", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec);
        unsigned frac = (unsigned)(ns % 1000000000);
        if (frac) {
                char digits[16];
                int n = snprintf(digits, sizeof digits, "%09u", frac);
                while (n > 1 && digits[n - 1] == '0')
                        n--;
                buf_printf(b, ".%.*s", n, digits);
        }
        buf_puts(b, "Z\"");
}

/* Targets that say localhost are shown under the host of our external URL.  Upstream: getGlobalURL */
static void put_global_url(struct buf *b, const struct web *w, Str url)
{
        static const Str local[] = {STR_INIT("localhost"), STR_INIT("127.0.0.1"), STR_INIT("0.0.0.0"), STR_INIT("[::1]"), STR_INIT("::1")};
        ptrdiff_t scheme = str_find_str(url, STR("://"));
        if (scheme < 0) {
                json_put_api_str(b, url);
                return;
        }
        Str rest = str_skip(url, (size_t)scheme + 3), host = rest, path = STR("");
        ptrdiff_t slash = str_find(rest, '/');
        if (slash >= 0) {
                host = str_sub(rest, 0, (size_t)slash);
                path = str_skip(rest, (size_t)slash);
        }
        ptrdiff_t colon = str_rfind(host, ':');
        Str name = colon < 0 ? host : str_sub(host, 0, (size_t)colon), port = colon < 0 ? STR("") : str_skip(host, (size_t)colon);
        bool is_local = false;
        for (size_t i = 0; i < ARRAY_LEN(local); i++)
                is_local = is_local || str_eq(name, local[i]);
        if (!is_local) {
                json_put_api_str(b, url);
                return;
        }
        Str ext = str_from(w->o.external_url), ext_host = ext, ext_scheme = STR("http");
        ptrdiff_t ext_colon = str_find_str(ext, STR("://"));
        if (ext_colon >= 0) {
                ext_scheme = str_sub(ext, 0, (size_t)ext_colon);
                ext_host = str_skip(ext, (size_t)ext_colon + 3);
        }
        ptrdiff_t ext_slash = str_find(ext_host, '/');
        if (ext_slash >= 0)
                ext_host.n = (size_t)ext_slash;
        /* Our own port: then the external URL's host and port stand for it; any other port stays with the external host name. */
        Str listen = str_from(w->o.listen_addresses[0]);
        ptrdiff_t listen_colon = str_rfind(listen, ':');
        bool own = listen_colon >= 0 && str_eq(port, str_skip(listen, (size_t)listen_colon));
        struct buf out = BUF_INIT(1 << 16);
        Str url_scheme = str_sub(url, 0, (size_t)scheme);
        if (own) {
                buf_printf(&out, STR_FMT "://" STR_FMT, STR_ARG(ext_scheme), STR_ARG(ext_host));
        } else {
                ptrdiff_t c = str_rfind(ext_host, ':');
                Str bare = c < 0 ? ext_host : str_sub(ext_host, 0, (size_t)c);
                buf_printf(&out, STR_FMT "://" STR_FMT STR_FMT, STR_ARG(url_scheme), STR_ARG(bare), STR_ARG(port));
        }
        buf_put(&out, path);
        json_put_api_str(b, buf_str(&out));
        buf_done(&out);
}

static void put_duration_member(struct buf *b, const char *key, int64_t ms)
{
        struct buf d = BUF_INIT(128);
        buf_put_duration(&d, ms);
        json_put_member(b, key, buf_str(&d));
        buf_done(&d);
}

static void put_target(struct api *a, const struct scrape_target_info *t)
{
        struct buf *b = &a->out;
        buf_puts(b, "{\"discoveredLabels\":");
        json_put_labels(b, t->discovered);
        buf_puts(b, ",\"labels\":");
        json_put_labels(b, t->labels);
        buf_putc(b, ',');
        json_put_member(b, "scrapePool", t->pool);
        buf_putc(b, ',');
        json_put_member(b, "scrapeUrl", t->url);
        buf_puts(b, ",\"globalUrl\":");
        put_global_url(b, a->w, t->url);
        buf_putc(b, ',');
        json_put_member(b, "lastError", t->last_error);
        buf_puts(b, ",\"lastScrape\":");
        json_put_time_ns(b, t->last_scrape_ns);
        buf_puts(b, ",\"lastScrapeDuration\":");
        json_put_f64(b, t->last_duration_s);
        buf_putc(b, ',');
        json_put_member(b, "health", str_from(target_health_name(t->health)));
        buf_putc(b, ',');
        put_duration_member(b, "scrapeInterval", t->interval_ms);
        buf_putc(b, ',');
        put_duration_member(b, "scrapeTimeout", t->timeout_ms);
        buf_putc(b, '}');
}

/* NULL: answered. */
static struct scrape_manager *manager(struct api *a)
{
        struct scrape_manager *m = atomic_load(&a->w->scrape);
        if (!m)
                api_fail(a, API_INTERNAL, "scraping has not begun");
        return m;
}

static void targets(struct api *a)
{
        struct scrape_manager *m = manager(a);
        if (!m)
                return;
        Str pool = api_param(a, "scrapePool"), state = api_param(a, "state");
        bool any = state.n == 0 || str_eq_nocase(state, STR("any"));
        bool show_active = any || str_eq_nocase(state, STR("active")), show_dropped = any || str_eq_nocase(state, STR("dropped"));
        struct arena arena;
        arena_init(&arena, WEB_REQUEST_ARENA_BYTES);
        const struct scrape_target_info *active = NULL, *dropped = NULL;
        const struct scrape_pool_info *pools = NULL;
        size_t n_active = 0, n_dropped = 0, n_pools = 0;
        struct error *e = show_active ? scrape_manager_targets(m, pool, &arena, &active, &n_active) : NULL;
        if (!e && show_dropped)
                e = scrape_manager_dropped(m, pool, &arena, &dropped, &n_dropped);
        if (!e && show_dropped)
                e = scrape_manager_pools(m, &arena, &pools, &n_pools);
        if (e) {
                api_fail_error(a, API_INTERNAL, e, NULL);
                arena_done(&arena);
                return;
        }
        struct buf *b = &a->out;
        api_begin(a);
        buf_puts(b, "{\"activeTargets\":[");
        for (size_t i = 0; i < n_active; i++) {
                if (i)
                        buf_putc(b, ',');
                put_target(a, &active[i]);
                api_flush(a);
        }
        buf_puts(b, "],\"droppedTargets\":[");
        for (size_t i = 0; i < n_dropped; i++) {
                buf_puts(b, i ? ",{\"discoveredLabels\":" : "{\"discoveredLabels\":");
                json_put_labels(b, dropped[i].discovered);
                buf_putc(b, ',');
                json_put_member(b, "scrapePool", dropped[i].pool);
                buf_putc(b, '}');
                api_flush(a);
        }
        buf_puts(b, "],\"droppedTargetCounts\":");
        if (show_dropped) {
                buf_putc(b, '{');
                for (size_t i = 0; i < n_pools; i++) {
                        if (i)
                                buf_putc(b, ',');
                        json_put_api_str(b, pools[i].name);
                        buf_putc(b, ':');
                        buf_put_u64(b, pools[i].n_dropped);
                }
                buf_putc(b, '}');
        } else {
                buf_puts(b, "null");
        }
        buf_putc(b, '}');
        api_end(a, NULL, 0, NULL, 0);
        arena_done(&arena);
}

/* A limit as Go's Atoi reads it; absent: -1. False: answered. */
static bool number_param(struct api *a, const char *name, int64_t *ret)
{
        Str s = api_param(a, name);
        *ret = -1;
        if (s.n == 0 || str_to_i64(s, ret))
                return true;
        api_fail(a, API_BAD_DATA, "%s must be a number", name);
        return false;
}

struct target_metadata {
        struct api *a;
        const MatcherVec *match;
        bool with_family;
        int64_t limit;
        size_t n;
};

static void put_metadata(struct buf *b, const struct metric_metadata *m, bool unit_first)
{
        json_put_member(b, "type", str_from(metric_type_name(m->type)));
        buf_putc(b, ',');
        if (unit_first) {
                json_put_member(b, "unit", m->unit);
                buf_putc(b, ',');
                json_put_member(b, "help", m->help);
        } else {
                json_put_member(b, "help", m->help);
                buf_putc(b, ',');
                json_put_member(b, "unit", m->unit);
        }
}

static bool put_target_metadata(void *ctx, const struct scrape_metadata *md)
{
        struct target_metadata *t = ctx;
        struct buf *b = &t->a->out;
        if (t->limit >= 0 && (int64_t)t->n >= t->limit)
                return false;
        if (t->match->n && !matchers_match((const struct matcher *const *)t->match->p, t->match->n, md->target))
                return true;
        buf_puts(b, t->n++ ? ",{\"target\":" : "{\"target\":");
        json_put_labels(b, md->target);
        buf_putc(b, ',');
        if (t->with_family) {
                json_put_member(b, "metric", md->family);
                buf_putc(b, ',');
        }
        put_metadata(b, &md->meta, false);
        buf_putc(b, '}');
        return !buf_is_over(b);
}

static void targets_metadata(struct api *a)
{
        struct scrape_manager *m = manager(a);
        MatcherVec match = VEC_INIT;
        struct target_metadata t = {.a = a, .match = &match};
        if (!m || !number_param(a, "limit", &t.limit))
                return;
        Str which = api_param(a, "match_target"), metric = api_param(a, "metric");
        struct error *e = which.n ? promql_parse_selector(which, a->r->arena, &match) : NULL;
        if (e) {
                api_fail_param(a, "match_target", e);
        } else {
                t.with_family = metric.n == 0;
                api_begin(a);
                buf_putc(&a->out, '[');
                scrape_manager_metadata(m, metric, put_target_metadata, &t);
                buf_putc(&a->out, ']');
                api_end(a, NULL, 0, NULL, 0);
        }
        matcher_vec_done(&match);
}

/* /metadata: distinct entries of each family over all targets. */
struct family_entry {
        struct metric_metadata meta;
        struct family_entry *next;
};
struct family {
        Str name;
        struct family_entry *first, *last;
        int64_t n;
};
struct all_metadata {
        struct arena arena;
        struct map by_name;                     /* Str → struct family */
        VEC(struct family *) order;
        int64_t limit_per_metric;
        bool is_over;
};

static bool collect_metadata(void *ctx, const struct scrape_metadata *md)
{
        struct all_metadata *all = ctx;
        struct family *f = map_get(&all->by_name, md->family);
        if (!f) {
                f = arena_try_alloc(&all->arena, sizeof *f + md->family.n);
                if (!f) {
                        all->is_over = true;
                        return false;
                }
                *f = (struct family){.name = {(char *)(f + 1), md->family.n}};
                memcpy(f + 1, md->family.p, md->family.n);
                map_set(&all->by_name, f->name, f);
                vec_push(&all->order, f);
        }
        if (all->limit_per_metric > 0 && f->n >= all->limit_per_metric)
                return true;
        for (const struct family_entry *x = f->first; x; x = x->next) {
                if (x->meta.type == md->meta.type && str_eq(x->meta.help, md->meta.help) && str_eq(x->meta.unit, md->meta.unit))
                        return true;
        }
        struct family_entry *x = arena_try_alloc(&all->arena, sizeof *x + md->meta.help.n + md->meta.unit.n);
        if (!x) {
                all->is_over = true;
                return false;
        }
        char *text = (char *)(x + 1);
        *x = (struct family_entry){.meta = {md->meta.type, {text, md->meta.help.n}, {text + md->meta.help.n, md->meta.unit.n}}};
        if (md->meta.help.n)
                memcpy(text, md->meta.help.p, md->meta.help.n);
        if (md->meta.unit.n)
                memcpy(text + md->meta.help.n, md->meta.unit.p, md->meta.unit.n);
        if (f->last)
                f->last->next = x;
        else
                f->first = x;
        f->last = x;
        f->n++;
        return true;
}

static int family_cmp(const void *a, const void *b)
{
        return str_cmp((*(struct family *const *)a)->name, (*(struct family *const *)b)->name);
}

static void metadata(struct api *a)
{
        struct scrape_manager *m = manager(a);
        int64_t limit;
        struct all_metadata all = {.by_name = MAP_INIT, .order = VEC_INIT};
        if (!m || !number_param(a, "limit", &limit) || !number_param(a, "limit_per_metric", &all.limit_per_metric))
                return;
        arena_init(&all.arena, WEB_REQUEST_ARENA_BYTES);
        scrape_manager_metadata(m, api_param(a, "metric"), collect_metadata, &all);
        if (all.is_over) {
                api_fail(a, API_INTERNAL, "the metadata needs more than %d bytes of memory", WEB_REQUEST_ARENA_BYTES);
        } else {
                struct buf *b = &a->out;
                if (all.order.n)
                        qsort(all.order.p, all.order.n, sizeof *all.order.p, family_cmp);
                api_begin(a);
                buf_putc(b, '{');
                for (size_t i = 0; i < all.order.n && (limit < 0 || (int64_t)i < limit); i++) {
                        if (i)
                                buf_putc(b, ',');
                        json_put_api_str(b, all.order.p[i]->name);
                        buf_puts(b, ":[");
                        for (const struct family_entry *x = all.order.p[i]->first; x; x = x->next) {
                                buf_puts(b, x == all.order.p[i]->first ? "{" : ",{");
                                put_metadata(b, &x->meta, true);
                                buf_putc(b, '}');
                        }
                        buf_putc(b, ']');
                        api_flush(a);
                }
                buf_putc(b, '}');
                api_end(a, NULL, 0, NULL, 0);
        }
        vec_done(&all.order);
        map_done(&all.by_name);
        arena_done(&all.arena);
}

static void scrape_pools(struct api *a)
{
        struct scrape_manager *m = manager(a);
        const struct scrape_pool_info *pools;
        size_t n;
        if (!m)
                return;
        struct error *e = scrape_manager_pools(m, a->r->arena, &pools, &n);
        if (e) {
                api_fail_error(a, API_INTERNAL, e, NULL);
                return;
        }
        api_begin(a);
        buf_puts(&a->out, "{\"scrapePools\":[");
        for (size_t i = 0; i < n; i++) {
                if (i)
                        buf_putc(&a->out, ',');
                json_put_api_str(&a->out, pools[i].name);
        }
        buf_puts(&a->out, "]}");
        api_end(a, NULL, 0, NULL, 0);
}

static void scrape_pool_config(struct api *a)
{
        Str pool = api_param(a, "scrapePool");
        if (pool.n == 0) {
                api_fail(a, API_BAD_DATA, "no scrapePool parameter provided");
                return;
        }
        char *yaml = a->w->o.pool_yaml(a->w->o.app, pool);
        if (!yaml) {
                struct buf name = BUF_INIT(1 << 16);
                buf_put_go_quoted(&name, pool);
                api_fail(a, API_BAD_DATA, "error retrieving scrape config: scrape pool %s not found", buf_cstr(&name));
                buf_done(&name);
                return;
        }
        api_begin(a);
        buf_putc(&a->out, '{');
        json_put_member(&a->out, "yaml", str_from(yaml));
        buf_putc(&a->out, '}');
        api_end(a, NULL, 0, NULL, 0);
        free(yaml);
}

void api_targets_register(struct web *w)
{
        api_handle(w, "targets", HTTP_GET, 0, targets);
        api_handle(w, "targets/metadata", HTTP_GET, 0, targets_metadata);
        api_handle(w, "metadata", HTTP_GET, 0, metadata);
        api_handle(w, "scrape_pools", HTTP_GET, 0, scrape_pools);
        api_handle(w, "scrape_pools/config", HTTP_GET, 0, scrape_pool_config);
}
