/* SPDX-License-Identifier: Apache-2.0 */
/* manager_test.c — the whole scraper against targets of our own HTTP server on the loopback. Waits for what must come,
 * never measures. */
#include "base/file.h"
#include "base/test.h"
#include "collect/scrape/fixture.h"
#include "collect/scrape/scrape.h"
#include "io/http/server.h"

struct world {
        struct storage *storage;
        struct metric_registry *metrics;
        struct scrape_manager *m;
        struct http_server *server;
        char address[64];
        struct mutex mu;
        struct cond changed;
        int requests; /* of the target */
        int released; /* configurations given back */
        int status;
        char body[512];
        char accept[512], agent[64], timeout[32], encoding[32];
};

static void keep(char *to, size_t size, Str s)
{
        size_t n = MIN(s.n, size - 1);
        if (n)
                memcpy(to, s.p, n);
        to[n] = '\0';
}

static void serve(struct http_request *r, void *ctx)
{
        struct world *w = ctx;
        mutex_lock(&w->mu);
        keep(w->accept, sizeof w->accept, http_request_header(r, STR("Accept")));
        keep(w->agent, sizeof w->agent, http_request_header(r, STR("User-Agent")));
        keep(w->timeout, sizeof w->timeout, http_request_header(r, STR("X-Prometheus-Scrape-Timeout-Seconds")));
        keep(w->encoding, sizeof w->encoding, http_request_header(r, STR("Accept-Encoding")));
        int status = w->status;
        char body[sizeof w->body];
        memcpy(body, w->body, sizeof body);
        w->requests++;
        cond_broadcast(&w->changed);
        mutex_unlock(&w->mu);
        http_reply(r, status, "text/plain; version=0.0.4", str_from(body));
}

static void world_init(struct world *w)
{
        *w = (struct world){.status = 200, .storage = memory_storage_new(), .metrics = metric_registry_new()};
        mutex_init(&w->mu);
        cond_init(&w->changed);
        snprintf(w->body, sizeof w->body, "# HELP a An a.\n# TYPE a gauge\na 1\nb 2\n");
        CHECK_OK(http_server_new(&(struct http_server_opts){.name = "target", .loops = 1}, &w->server));
        http_server_handle(w->server, "/metrics", HTTP_GET, 0, serve, w);
        CHECK_OK(http_server_listen(w->server, "127.0.0.1:0"));
        CHECK_OK(http_server_start(w->server));
        snprintf(w->address, sizeof w->address, "127.0.0.1:%d", http_server_port(w->server, 0));
        struct scrape_opts o = scrape_opts_defaults;
        o.storage = w->storage;
        o.metrics = w->metrics;
        o.version = "1.2.3";
        o.discovery_reload_interval_ms = 1;
        CHECK_OK(scrape_manager_new(&o, &w->m));
}

static void world_done(struct world *w)
{
        scrape_manager_free(w->m);
        http_server_stop(w->server, 0);
        http_server_free(w->server);
        memory_storage_free(w->storage);
        metric_registry_free(w->metrics);
        cond_done(&w->changed);
        mutex_done(&w->mu);
}

static void released(void *owner)
{
        struct world *w = owner;
        mutex_lock(&w->mu);
        w->released++;
        mutex_unlock(&w->mu);
}

static struct scrape_conf fast_job(void)
{
        struct scrape_conf c = scrape_conf_defaults;
        c.job_name = STR("j");
        c.interval_ms = 100;
        c.timeout_ms = 100;
        return c;
}

static void apply(struct world *w, const struct scrape_conf *c, size_t n)
{
        CHECK_OK(scrape_manager_apply(
                w->m, &(struct scrape_manager_conf){.scrapes = c, .n_scrapes = n, .release = released, .owner = w}));
}

/* One group of job j with the given addresses. */
static void update(struct world *w, const char *const *addresses, size_t n)
{
        struct target_group *g = target_group_new(STR("0"));
        Labels *targets = arena_array(&g->arena, Labels, n);
        for (size_t i = 0; i < n; i++) {
                Label *l = arena_new(&g->arena, Label);
                *l = (Label){STR("__address__"), arena_str(&g->arena, str_from(addresses[i]))};
                targets[i] = (Labels){l, 1};
        }
        g->targets = targets;
        g->n_targets = n;
        const struct target_group *groups[] = {g};
        scrape_manager_update(w->m, &(struct target_set){STR("j"), groups, 1}, 1);
        target_group_unref(g);
}

static void wait_requests(struct world *w, int more)
{
        mutex_lock(&w->mu);
        int want = w->requests + more;
        for (int i = 0; i < 200 && w->requests < want; i++)
                (void)cond_wait_ms(&w->changed, &w->mu, 100);
        CHECK_MSG(w->requests >= want, "the target was asked %d times", w->requests);
        mutex_unlock(&w->mu);
}

/* Polls the API until the only target has this health and error. */
static void wait_health(struct world *w, enum target_health health, const char *error)
{
        char last[512] = "";
        for (int i = 0; i < 200; i++) {
                struct arena a;
                arena_init(&a, 1 << 20);
                const struct scrape_target_info *v;
                size_t n;
                CHECK_OK(scrape_manager_targets(w->m, STR("j"), &a, &v, &n));
                bool ok = n == 1 && v[0].health == health && str_eq(v[0].last_error, str_from(error));
                if (n)
                        keep(last, sizeof last, v[0].last_error);
                arena_done(&a);
                if (ok)
                        return;
                mutex_lock(&w->mu);
                (void)cond_wait_ms(&w->changed, &w->mu, 50);
                mutex_unlock(&w->mu);
        }
        check_fail_at(__FILE__, __LINE__, "health never became %s with error `%s`; last error `%s`",
                      target_health_name(health), error, last);
}

TEST(scrape_manager, scrapes_what_discovery_finds)
{
        struct world w;
        world_init(&w);
        struct scrape_conf c = fast_job();
        apply(&w, &c, 1);
        update(&w, (const char *const[]){w.address}, 1);
        wait_requests(&w, 3);
        wait_health(&w, TARGET_UP, "");
        CHECK_STR(str_from(w.agent), "Prometheus/1.2.3");
        CHECK_STR(str_from(w.timeout), "0.1");
        CHECK(str_contains(str_from(w.encoding), STR("gzip")));
        CHECK(str_has_suffix(str_from(w.accept), STR("*/*;q=0.2")));

        struct arena a;
        arena_init(&a, 1 << 20);
        const struct scrape_target_info *v;
        size_t n;
        CHECK_OK(scrape_manager_targets(w.m, (Str){NULL, 0}, &a, &v, &n));
        CHECK_U64(n, 1);
        CHECK_STR(v[0].pool, "j");
        CHECK_STRS(labels_get(v[0].labels, STR("instance")), str_from(w.address));
        CHECK_STRS(labels_get(v[0].discovered, STR("__address__")), str_from(w.address));
        CHECK_STR(labels_get(v[0].discovered, STR("__scrape_interval__")), "100ms");
        CHECK(str_has_suffix(v[0].url, STR("/metrics")));
        CHECK(v[0].last_scrape_ns > 0);
        const struct scrape_pool_info *pools;
        CHECK_OK(scrape_manager_pools(w.m, &a, &pools, &n));
        CHECK_U64(n, 1);
        CHECK_U64(pools[0].n_active, 1);
        arena_done(&a);
        scrape_manager_stop(w.m);
        CHECK_U64(memory_storage_series(w.storage), 2 + 5);
        world_done(&w);
        CHECK_I64(w.released, 1);
}

static bool first_family(void *ctx, const struct scrape_metadata *md)
{
        buf_printf(ctx, STR_FMT " " STR_FMT " " STR_FMT, STR_ARG(md->pool), STR_ARG(md->family),
                   STR_ARG(md->meta.help));
        return false;
}

TEST(scrape_manager, knows_the_metadata_of_targets)
{
        struct world w;
        world_init(&w);
        struct scrape_conf c = fast_job();
        apply(&w, &c, 1);
        update(&w, (const char *const[]){w.address}, 1);
        wait_health(&w, TARGET_UP, "");
        struct buf b = BUF_INIT(1 << 16);
        scrape_manager_metadata(w.m, STR("nothing"), first_family, &b);
        CHECK_U64(b.n, 0);
        scrape_manager_metadata(w.m, (Str){NULL, 0}, first_family, &b);
        CHECK_STR(buf_str(&b), "j a An a.");
        buf_done(&b);
        world_done(&w);
}

TEST(scrape_manager, tells_of_bad_answers_in_upstreams_words)
{
        struct world w;
        world_init(&w);
        struct scrape_conf c = fast_job();
        apply(&w, &c, 1);
        update(&w, (const char *const[]){w.address}, 1);
        wait_health(&w, TARGET_UP, "");
        mutex_lock(&w.mu);
        w.status = 500;
        mutex_unlock(&w.mu);
        wait_health(&w, TARGET_DOWN, "server returned HTTP status 500 Internal Server Error");
        mutex_lock(&w.mu);
        w.status = 200;
        snprintf(w.body, sizeof w.body, "bad line\n");
        mutex_unlock(&w.mu);
        wait_health(&w, TARGET_DOWN,
                    "strconv.ParseFloat: parsing \"line\": invalid syntax while parsing: \"bad line\"");
        world_done(&w);
}

TEST(scrape_manager, a_body_of_the_limit_is_over_it)
{
        struct world w;
        world_init(&w);
        struct scrape_conf c = fast_job();
        c.body_size_limit_bytes = strlen(w.body);
        apply(&w, &c, 1);
        update(&w, (const char *const[]){w.address}, 1);
        wait_health(&w, TARGET_DOWN, "body size limit exceeded");
        c.body_size_limit_bytes++;
        apply(&w, &c, 1);
        wait_health(&w, TARGET_UP, "");
        world_done(&w);
}

TEST(scrape_manager, too_many_targets_fail_and_stay_listed)
{
        struct world w;
        world_init(&w);
        struct scrape_conf c = fast_job();
        c.target_limit = 1;
        apply(&w, &c, 1);
        update(&w, (const char *const[]){w.address, "127.0.0.1:1"}, 2);
        struct arena a;
        const struct scrape_target_info *v;
        size_t n, down = 0;
        for (int i = 0; i < 200 && down < 2; i++) {
                arena_init(&a, 1 << 20);
                CHECK_OK(scrape_manager_targets(w.m, STR("j"), &a, &v, &n));
                down = 0;
                for (size_t k = 0; k < n; k++)
                        down += str_eq(v[k].last_error, STR("target_limit exceeded (number of targets: 2, limit: 1)"));
                arena_done(&a);
                mutex_lock(&w.mu);
                (void)cond_wait_ms(&w.changed, &w.mu, 50);
                mutex_unlock(&w.mu);
        }
        CHECK_U64(down, 2);
        update(&w, (const char *const[]){w.address}, 1);
        wait_health(&w, TARGET_UP, "");
        world_done(&w);
}

TEST(scrape_manager, a_reload_keeps_what_the_cache_knows)
{
        struct world w;
        world_init(&w);
        struct scrape_conf c = fast_job(), same = c, other = c;
        apply(&w, &c, 1);
        update(&w, (const char *const[]){w.address}, 1);
        wait_requests(&w, 2);
        apply(&w, &same, 1); /* nothing changed: the first conf is still in use */
        wait_requests(&w, 2);
        other.sample_limit = 1000; /* the cache is good under it */
        apply(&w, &other, 1);
        wait_requests(&w, 3);
        wait_health(&w, TARGET_UP, "");
        apply(&w, NULL, 0);
        struct arena a;
        arena_init(&a, 1 << 20);
        const struct scrape_pool_info *pools;
        size_t n;
        CHECK_OK(scrape_manager_pools(w.m, &a, &pools, &n));
        CHECK_U64(n, 0);
        arena_done(&a);
        struct buf text = BUF_INIT(1 << 20);
        metric_write_text(w.metrics, &text);
        CHECK(str_contains(buf_str(&text), STR("prometheus_target_scrape_pool_reloads_total 1\n")));
        buf_done(&text);
        world_done(&w);
        CHECK_I64(w.released, 4);
}

static size_t stale_count(struct world *w)
{
        struct fixture f = {.storage = w->storage};
        struct buf b = BUF_INIT(16 << 20);
        fixture_dump(&f, &b);
        size_t n = 0;
        Str rest = buf_str(&b), line;
        while (str_next(&rest, '\n', &line))
                n += str_has_suffix(line, STR(" stale"));
        buf_done(&b);
        return n;
}

TEST(scrape_manager, a_target_that_went_is_marked_after_two_intervals)
{
        struct world w;
        world_init(&w);
        struct scrape_conf c = fast_job();
        apply(&w, &c, 1);
        update(&w, (const char *const[]){w.address}, 1);
        wait_requests(&w, 2);
        wait_health(&w, TARGET_UP, "");
        update(&w, NULL, 0);
        for (int i = 0; i < 200 && stale_count(&w) < 2; i++) {
                mutex_lock(&w.mu);
                (void)cond_wait_ms(&w.changed, &w.mu, 50);
                mutex_unlock(&w.mu);
        }
        CHECK_U64(stale_count(&w), 2);
        world_done(&w);
}

TEST(scrape_manager, stopping_leaves_no_markers)
{
        struct world w;
        world_init(&w);
        struct scrape_conf c = fast_job();
        apply(&w, &c, 1);
        update(&w, (const char *const[]){w.address}, 1);
        wait_requests(&w, 2);
        scrape_manager_stop(w.m);
        CHECK_U64(stale_count(&w), 0);
        world_done(&w);
}

TEST(scrape_manager, dropped_targets_are_listed_up_to_their_limit)
{
        struct world w;
        world_init(&w);
        struct scrape_conf c = fast_job();
        Str source = STR("__address__");
        struct relabel_rule r = {.source_labels = &source,
                                 .n_source = 1,
                                 .separator = STR(";"),
                                 .regex = STR("drop.*"),
                                 .replacement = STR("$1"),
                                 .action = RELABEL_DROP,
                                 .has_regex = true,
                                 .has_action = true,
                                 .utf8_names = true};
        CHECK_OK(relabel_rule_check(&r));
        c.relabel = &r;
        c.n_relabel = 1;
        c.keep_dropped_targets = 2;
        apply(&w, &c, 1);
        update(&w, (const char *const[]){"drop1", "drop2", "drop3", w.address}, 4);
        wait_health(&w, TARGET_UP, "");
        struct arena a;
        arena_init(&a, 1 << 20);
        const struct scrape_target_info *v;
        const struct scrape_pool_info *pools;
        size_t n;
        CHECK_OK(scrape_manager_dropped(w.m, (Str){NULL, 0}, &a, &v, &n));
        CHECK_U64(n, 2);
        CHECK_STR(labels_get(v[0].discovered, STR("__address__")), "drop1");
        CHECK_OK(scrape_manager_pools(w.m, &a, &pools, &n));
        CHECK_U64(pools[0].n_dropped, 3);
        arena_done(&a);
        world_done(&w);
        relabel_rule_done(&r);
}

TEST(scrape_manager, failures_are_logged_to_their_file)
{
        struct world w;
        world_init(&w);
        struct scrape_conf c = fast_job();
        char *path = path_join(test_dir(), "failures.log");
        c.failure_log_file = path;
        w.status = 503;
        apply(&w, &c, 1);
        update(&w, (const char *const[]){w.address}, 1);
        wait_health(&w, TARGET_DOWN, "server returned HTTP status 503 Service Unavailable");
        char *text;
        size_t n;
        CHECK_OK(file_read(path, 1 << 20, &text, &n));
        Str rest = {text, n}, line;
        CHECK(str_next(&rest, '\n', &line));
        CHECK(str_has_prefix(line, STR("{\"time\":\"")));
        CHECK(str_contains(line,
                           STR("\"level\":\"ERROR\",\"msg\":\"server returned HTTP status 503 Service Unavailable\","
                               "\"job_name\":\"j\",\"target\":\"http://127.0.0.1:")));
        free(text);
        free(path);
        world_done(&w);
}
