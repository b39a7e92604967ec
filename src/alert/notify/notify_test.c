/* SPDX-License-Identifier: Apache-2.0 */
#include "alert/notify/notify.h"

#include <stdio.h>
#include <unistd.h>

#include "base/test.h"

/* An Alertmanager on the loopback that keeps what it is sent. */
struct receiver {
        struct http_server *server;
        struct mutex mu;                /* guards all below */
        struct buf got;                 /* paths and bodies, one a line */
        size_t requests;
        int status;
        char address[32];
};

static void receive(struct http_request *r, void *ctx)
{
        struct receiver *am = ctx;
        mutex_lock(&am->mu);
        am->requests++;
        buf_put(&am->got, r->path);
        buf_putc(&am->got, ' ');
        buf_put(&am->got, r->body);
        buf_putc(&am->got, '\n');
        int status = am->status;
        mutex_unlock(&am->mu);
        http_reply(r, status, "text/plain", STR(""));
}

static void receiver_init(struct receiver *am)
{
        struct http_server_opts o = {.name = "am", .loops = 1};
        *am = (struct receiver){.got = BUF_INIT(1 << 20), .status = 200};
        mutex_init(&am->mu);
        CHECK_OK(http_server_new(&o, &am->server));
        http_server_handle(am->server, "/api/v2/alerts", HTTP_POST, 0, receive, am);
        http_server_handle(am->server, "/am/api/v2/alerts", HTTP_POST, 0, receive, am);
        CHECK_OK(http_server_listen(am->server, "127.0.0.1:0"));
        CHECK_OK(http_server_start(am->server));
        snprintf(am->address, sizeof am->address, "127.0.0.1:%d", http_server_port(am->server, 0));
}

static void receiver_done(struct receiver *am)
{
        http_server_stop(am->server, 1000);
        http_server_free(am->server);
        buf_done(&am->got);
        mutex_done(&am->mu);
}

static void wait_requests(struct receiver *am, size_t n)
{
        for (int i = 0; i < 6000; i++) {
                mutex_lock(&am->mu);
                bool there = am->requests >= n;
                mutex_unlock(&am->mu);
                if (there)
                        return;
                usleep(10000);
        }
        check_fail_at(__FILE__, __LINE__, "waited for request %zu", n);
}

static const struct rule_notice *notice(const char *name)
{
        static Label labels[2];
        static const Label notes[] = {{STR_INIT("s"), STR_INIT("<a & b>")}};
        static struct rule_notice n;
        labels[0] = (Label){STR("alertname"), str_from(name)};
        labels[1] = (Label){STR("team"), STR("x")};
        n = (struct rule_notice){.labels = {labels, 2}, .annotations = {notes, 1}, .starts_ns = 1500000000, .ends_ns = INT64_C(61000000000), .generator_url = STR("http://p/graph?a=1&b=2")};
        return &n;
}

static void update(struct notify_manager *n, size_t set, const char *const *addresses, size_t count)
{
        Label v[8];
        Labels targets[8];
        for (size_t i = 0; i < count; i++) {
                v[i] = (Label){STR("__address__"), str_from(addresses[i])};
                targets[i] = (Labels){&v[i], 1};
        }
        struct notify_group g = {.targets = targets, .n_targets = count};
        notify_manager_update(n, set, &g, 1);
}

TEST(notify, sends_what_relabelling_leaves_to_each_alertmanager)
{
        static const Label external[] = {{STR_INIT("dc"), STR_INIT("eu")}, {STR_INIT("team"), STR_INIT("other")}};
        static const Str dropped_by[] = {STR_INIT("alertname")}, hidden[] = {STR_INIT("__address__")};
        struct receiver am;
        receiver_init(&am);
        struct relabel_rule global = {.source_labels = dropped_by, .n_source = 1, .regex = STR("Quiet"), .has_regex = true, .action = RELABEL_DROP, .has_action = true, .utf8_names = true};
        struct relabel_rule own = {.regex = STR("dc"), .has_regex = true, .action = RELABEL_LABELDROP, .has_action = true, .utf8_names = true};
        struct relabel_rule targets = {.source_labels = hidden, .n_source = 1, .regex = STR("hidden.*"), .has_regex = true, .action = RELABEL_DROP, .has_action = true, .utf8_names = true};
        CHECK_OK(relabel_rule_check(&global));
        CHECK_OK(relabel_rule_check(&own));
        CHECK_OK(relabel_rule_check(&targets));
        struct notify_set_conf sets[] = {
                {.scheme = STR("http"), .path_prefix = STR("am//"), .timeout_ms = 60000, .relabel = &targets, .n_relabel = 1, .alert_relabel = &own, .n_alert_relabel = 1, .hash = 1},
                {.scheme = STR("http"), .timeout_ms = 60000, .hash = 2}};
        struct notify_conf c = {.external_labels = {external, 2}, .alert_relabel = &global, .n_alert_relabel = 1, .sets = sets, .n_sets = 2};
        struct notify_opts o = {.queue_capacity = 100, .drain_on_shutdown = true};
        struct notify_manager *n;
        CHECK_OK(notify_manager_new(&o, &n));
        notify_manager_apply(n, &c);
        update(n, 0, (const char *const[]){am.address, "hidden:1", am.address}, 3);
        update(n, 5, (const char *const[]){am.address}, 1);     /* no such set: nothing */
        struct arena a;
        struct notify_urls urls;
        struct buf want = BUF_INIT(4096);
        arena_init(&a, 1 << 20);
        notify_manager_urls(n, &a, &urls);
        CHECK_U64(urls.n_active, 1);
        buf_printf(&want, "http://%s/am/api/v2/alerts", am.address);
        CHECK_STRS(urls.active[0], buf_str(&want));
        CHECK_U64(urls.n_dropped, 1);
        CHECK_STR(urls.dropped[0], "http://hidden:1/am/api/v2/alerts");
        notify_manager_send(n, notice("Quiet"), 1);
        notify_manager_send(n, notice("Loud"), 1);
        notify_manager_stop(n);         /* drains */
        CHECK_STR(buf_str(&am.got), "/am/api/v2/alerts [{\"annotations\":{\"s\":\"\\u003ca \\u0026 b\\u003e\"},\"endsAt\":\"1970-01-01T00:01:01.000Z\","
                                    "\"startsAt\":\"1970-01-01T00:00:01.500Z\",\"generatorURL\":\"http://p/graph?a=1\\u0026b=2\","
                                    "\"labels\":{\"alertname\":\"Loud\",\"team\":\"x\"}}]\n");
        notify_manager_free(n);
        relabel_rule_done(&global);
        relabel_rule_done(&own);
        relabel_rule_done(&targets);
        buf_done(&want);
        arena_done(&a);
        receiver_done(&am);
}

TEST(notify, sends_in_batches_and_drops_what_fails)
{
        struct receiver am;
        receiver_init(&am);
        am.status = 500;
        struct metric_registry *r = metric_registry_new();
        struct notify_set_conf set = {.scheme = STR("http"), .timeout_ms = 60000, .hash = 1};
        struct notify_conf c = {.sets = &set, .n_sets = 1};
        struct notify_opts o = {.queue_capacity = 5, .batch_size = 2, .drain_on_shutdown = true, .metrics = r};
        struct notify_manager *n;
        CHECK_OK(notify_manager_new(&o, &n));
        notify_manager_apply(n, &c);
        update(n, 0, (const char *const[]){am.address}, 1);
        struct rule_notice many[9];
        for (size_t i = 0; i < 9; i++)
                many[i] = *notice("A");
        notify_manager_send(n, many, 9);        /* four more than there is room for */
        wait_requests(&am, 3);
        notify_manager_apply(n, &c);            /* nothing changed: the queue stays */
        struct buf b = BUF_INIT(1 << 20);
        for (int i = 0; i < 6000; i++) {
                buf_clear(&b);
                metric_write_text(r, &b);
                if (str_contains(buf_str(&b), STR("/alerts\"} 9\n")))
                        break;
                usleep(10000);
        }
        CHECK(str_contains(buf_str(&b), STR("prometheus_notifications_dropped_total{alertmanager=\"http://")) && str_contains(buf_str(&b), STR("/alerts\"} 9\n")));
        CHECK(str_contains(buf_str(&b), STR("prometheus_notifications_alertmanagers_discovered 1\n")));
        CHECK_U64(am.requests, 3);
        update(n, 0, NULL, 0);
        buf_clear(&b);
        metric_write_text(r, &b);
        CHECK(!str_contains(buf_str(&b), STR("/api/v2/alerts\"}")));
        notify_manager_free(n);
        metric_registry_free(r);
        buf_done(&b);
        receiver_done(&am);
}

TEST(notify_group_check, wants_addresses)
{
        Label l = {STR("__address__"), STR("http://bad")};
        Labels t = {&l, 1};
        struct notify_group g = {.targets = &t, .n_targets = 1};
        struct notify_set_conf c = {.scheme = STR("http")};
        CHECK_ERROR(notify_group_check(&c, &g), "\"http://bad\" is not a valid hostname");
}
