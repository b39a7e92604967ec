/* SPDX-License-Identifier: Apache-2.0 */
#include "alert/rules/rules.h"

#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "base/test.h"
#include "codec/float_text.h"
#include "storage/decode.h"
#include "storage/memory.h"

#define SECOND INT64_C(1000000000)

/* A manager over memory, its rules in a file, what it would send as lines of text. */
struct fixture {
        struct storage *storage;
        struct engine *engine;
        struct rules_manager *m;
        char *path;
        struct buf sent;
        struct clock_fake clock;
        struct metric_registry *metrics;
};

static void note(void *ctx, const struct rule_notice *v, size_t n)
{
        struct fixture *f = ctx;
        for (size_t i = 0; i < n; i++) {
                labels_print(&f->sent, v[i].labels);
                buf_putc(&f->sent, ' ');
                labels_print(&f->sent, v[i].annotations);
                buf_printf(&f->sent, " %lld-%lld " STR_FMT "\n", (long long)(v[i].starts_ns / SECOND), (long long)(v[i].ends_ns / SECOND), STR_ARG(v[i].generator_url));
        }
}

static void fixture_init(struct fixture *f, int concurrent)
{
        static int n;
        struct engine_opts eo = {.timeout_ms = 60000, .max_samples = 1000000, .max_concurrency = 20, .lookback_ms = 300000, .subquery_step_ms = 60000};
        char name[32];
        *f = (struct fixture){.sent = BUF_INIT(1 << 20)};
        snprintf(name, sizeof name, "rules-%d.yml", n++);
        f->path = path_join(test_dir(), name);
        f->storage = memory_storage_new();
        f->engine = engine_new(&eo);
        f->metrics = metric_registry_new();
        clock_fake_init(&f->clock, 0);
        struct rules_opts o = {.engine = f->engine, .storage = f->storage, .notify = note, .notify_ctx = f, .external_url = "http://p", .clock = &f->clock.clock,
                               .outage_tolerance_ms = 3600000, .grace_period_ms = 600000, .resend_delay_ms = 60000, .metrics = f->metrics, .concurrent_evals = concurrent};
        CHECK_OK(rules_manager_new(&o, &f->m));
}

static void fixture_done(struct fixture *f)
{
        rules_manager_free(f->m);
        engine_free(f->engine);
        memory_storage_free(f->storage);
        metric_registry_free(f->metrics);
        buf_done(&f->sent);
        free(f->path);
}

static struct error *load(struct fixture *f, const char *yaml)
{
        Str files[] = {str_from(f->path)};
        struct rules_conf c = {.interval_ms = 60000, .files = files, .n_files = 1};
        CHECK_OK(file_replace(f->path, str_from(yaml)));
        return rules_manager_apply(f->m, &c, NULL);
}

static struct rule_group *group(struct fixture *f, size_t i)
{
        size_t n;
        struct rule_group *const *g = rules_manager_groups(f->m, &n);
        CHECK(i < n);
        return g[i];
}

static void add(struct fixture *f, const char *series, int64_t t_s, double v)
{
        struct arena a;
        Labels ls;
        arena_init(&a, 1 << 16);
        CHECK_OK(promql_parse_metric(str_from(series), &a, &ls));
        CHECK_OK(memory_storage_add(f->storage, ls, t_s * 1000, v));
        arena_done(&a);
}

/* An instant query's result, sorted, as lines. */
static void query_case(struct fixture *f, const char *expr, int64_t t_s, const char *want)
{
        struct query_opts q = {.text = str_from(expr), .start_ms = t_s * 1000, .end_ms = t_s * 1000};
        struct query_result r = {0};
        struct buf b = BUF_INIT(1 << 16);
        CHECK_OK(engine_instant(f->engine, f->storage, &q, &r));
        for (size_t i = 0; i < r.n_series; i++) {
                labels_print(&b, r.series[i].labels);
                buf_putc(&b, ' ');
                buf_put_sample_value(&b, r.series[i].v[0]);
                buf_putc(&b, '\n');
        }
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
        query_result_done(&r);
}

static void sent_case(struct fixture *f, const char *want)
{
        CHECK_STR(buf_str(&f->sent), want);
        buf_clear(&f->sent);
}

TEST(recording_rule, writes_its_result_and_ends_series_that_vanish)
{
        struct fixture f;
        fixture_init(&f, 0);
        CHECK_OK(load(&f, "groups:\n- name: g\n  labels: {team: x}\n  rules:\n  - record: r\n    expr: sum by (job) (a)\n    labels: {b: c, job: ''}\n"));
        add(&f, "a{job=\"1\"}", 0, 3);
        rule_group_eval(group(&f, 0), 0);
        query_case(&f, "r", 0, "{__name__=\"r\", b=\"c\", team=\"x\"} 3\n");
        CHECK(group(&f, 0)->rules[0].health == RULE_OK);
        add(&f, "a{job=\"1\"}", 60, float_of_bits(STALE_NAN_BITS));
        rule_group_eval(group(&f, 0), 60 * SECOND);
        query_case(&f, "r", 59, "{__name__=\"r\", b=\"c\", team=\"x\"} 3\n");
        query_case(&f, "r", 60, "");
        fixture_done(&f);
}

TEST(recording_rule, fails_when_labels_collide_or_too_many_come)
{
        struct fixture f;
        fixture_init(&f, 0);
        CHECK_OK(load(&f, "groups:\n- name: g\n  limit: 1\n  rules:\n  - record: r\n    expr: a\n    labels: {job: same}\n  - record: s\n    expr: a\n  - record: t\n    expr: 1\n"));
        add(&f, "a{job=\"1\"}", 0, 3);
        add(&f, "a{job=\"2\"}", 0, 4);
        rule_group_eval(group(&f, 0), 0);
        const struct rule *r = group(&f, 0)->rules;
        CHECK_STR(str_from(r[0].last_error), "vector contains metrics with the same labelset after applying rule labels");
        CHECK_STR(str_from(r[1].last_error), "exceeded limit of 1 with 2 series");
        CHECK(!r[2].last_error && r[2].health == RULE_OK);
        query_case(&f, "{__name__=~\"[rst]\"}", 0, "{__name__=\"t\"} 1\n");
        fixture_done(&f);
}

static const char down_yaml[] = "groups:\n- name: g\n  rules:\n  - alert: Down\n    expr: a == 0\n    for: 2m\n    keep_firing_for: 90s\n    labels: {severity: page}\n"
                                "    annotations: {s: 'value {{ $value }} of {{ $labels.job }}'}\n";

TEST(alerting_rule, goes_from_pending_to_firing_keeps_firing_and_resolves)
{
        struct fixture f;
        fixture_init(&f, 0);
        CHECK_OK(load(&f, down_yaml));
        struct rule_group *g = group(&f, 0);
        g->rules[0].restored = true;
        CHECK(rule_state_locked(&g->rules[0]) == ALERT_UNKNOWN);
        add(&f, "a{job=\"1\"}", 0, 0);
        rule_group_eval(g, 0);
        CHECK(rule_state_locked(&g->rules[0]) == ALERT_PENDING);
        query_case(&f, "ALERTS", 0, "{__name__=\"ALERTS\", alertname=\"Down\", alertstate=\"pending\", job=\"1\", severity=\"page\"} 1\n");
        sent_case(&f, "");
        rule_group_eval(g, 60 * SECOND);
        rule_group_eval(g, 120 * SECOND);
        CHECK(rule_state_locked(&g->rules[0]) == ALERT_FIRING);
        query_case(&f, "{__name__=~\"ALERTS.*\"}", 120,
                   "{__name__=\"ALERTS\", alertname=\"Down\", alertstate=\"firing\", job=\"1\", severity=\"page\"} 1\n"
                   "{__name__=\"ALERTS_FOR_STATE\", alertname=\"Down\", job=\"1\", severity=\"page\"} 0\n");
        sent_case(&f, "{alertname=\"Down\", job=\"1\", severity=\"page\"} {s=\"value 0 of 1\"} 120-360 http://p/graph?g0.expr=a+%3D%3D+0&g0.tab=1\n");
        rule_group_eval(g, 150 * SECOND);
        sent_case(&f, "");              /* sent less than a minute ago */
        add(&f, "a{job=\"1\"}", 200, 1);
        rule_group_eval(g, 210 * SECOND);
        CHECK(rule_state_locked(&g->rules[0]) == ALERT_FIRING);         /* keep_firing_for */
        sent_case(&f, "{alertname=\"Down\", job=\"1\", severity=\"page\"} {s=\"value 0 of 1\"} 120-450 http://p/graph?g0.expr=a+%3D%3D+0&g0.tab=1\n");
        rule_group_eval(g, 300 * SECOND);
        CHECK(rule_state_locked(&g->rules[0]) == ALERT_INACTIVE);
        sent_case(&f, "{alertname=\"Down\", job=\"1\", severity=\"page\"} {s=\"value 0 of 1\"} 120-300 http://p/graph?g0.expr=a+%3D%3D+0&g0.tab=1\n");
        query_case(&f, "ALERTS", 300, "");
        rule_group_eval(g, 400 * SECOND);       /* resolved ones are sent again for a quarter of an hour */
        sent_case(&f, "{alertname=\"Down\", job=\"1\", severity=\"page\"} {s=\"value 0 of 1\"} 120-300 http://p/graph?g0.expr=a+%3D%3D+0&g0.tab=1\n");
        CHECK_U64(g->rules[0].active.v.n, 1);
        add(&f, "a{job=\"1\"}", 1201, 1);
        rule_group_eval(g, 1201 * SECOND);
        CHECK_U64(g->rules[0].active.v.n, 0);
        fixture_done(&f);
}

TEST(alerting_rule, forgets_pending_alerts_and_clears_all_beyond_its_limit)
{
        struct fixture f;
        fixture_init(&f, 0);
        CHECK_OK(load(&f, "groups:\n- name: g\n  limit: 1\n  rules:\n  - {alert: A, expr: a > 0, for: 1h}\n"));
        struct rule_group *g = group(&f, 0);
        add(&f, "a{x=\"1\"}", 0, 1);
        rule_group_eval(g, 0);
        CHECK_U64(g->rules[0].active.v.n, 1);
        add(&f, "a{x=\"2\"}", 60, 1);
        rule_group_eval(g, 60 * SECOND);
        CHECK_U64(g->rules[0].active.v.n, 0);
        CHECK_STR(str_from(g->rules[0].last_error), "exceeded limit of 1 with 2 alerts");
        add(&f, "a{x=\"2\"}", 120, 0);
        rule_group_eval(g, 120 * SECOND);
        CHECK_U64(g->rules[0].active.v.n, 1);
        add(&f, "a{x=\"1\"}", 180, 0);
        rule_group_eval(g, 180 * SECOND);
        CHECK_U64(g->rules[0].active.v.n, 0);
        fixture_done(&f);
}

TEST(alerting_rule, shows_a_failing_template_and_asks_queries_at_its_time)
{
        struct fixture f;
        fixture_init(&f, 0);
        CHECK_OK(load(&f, "groups:\n- name: g\n  rules:\n  - alert: A\n    expr: a\n    labels: {n: '{{ with query \"a\" }}{{ . | first | value }}{{ end }}'}\n"
                          "    annotations: {bad: '{{ query \"b\" | first | value }}'}\n"));
        add(&f, "a{x=\"1\"}", 0, 7);
        rule_group_eval(group(&f, 0), 30 * SECOND);
        const struct alert *a = CONTAINER_OF(group(&f, 0)->rules[0].active.v.p[0], struct alert, key);
        CHECK_STR(labels_get(a->key.labels, STR("n")), "7");
        CHECK_STR(labels_get(a->annotations, STR("bad")),
                  "<error expanding template: error executing template __alert_A: template: __alert_A:1:127: executing \"__alert_A\" at <first>: error calling first: first() "
                  "called on vector with no elements>");
        fixture_done(&f);
}

/* `for` was 1h; the server went down at 1000 s, when the alert had been active since active_s. It comes back at 2000 s. */
static void restore_case(int64_t active_s, int64_t want_active_s)
{
        struct fixture f;
        fixture_init(&f, 0);
        CHECK_OK(load(&f, "groups:\n- name: g\n  rules:\n  - {alert: A, expr: a, for: 1h, labels: {s: x, t: '{{ $value }}'}}\n"));
        struct rule_group *g = group(&f, 0);
        add(&f, "ALERTS_FOR_STATE{alertname=\"A\", s=\"x\", t=\"7\", job=\"1\"}", 1000, (double)active_s);
        add(&f, "a{job=\"1\"}", 1900, 7);
        rule_group_eval(g, 1990 * SECOND);
        query_case(&f, "ALERTS", 1990, "");     /* nothing is written before it is restored */
        rule_group_restore(g, 2000 * SECOND);
        const struct alert *a = CONTAINER_OF(g->rules[0].active.v.p[0], struct alert, key);
        CHECK_I64(a->active_ns / SECOND, want_active_s);
        rule_group_eval(g, 2060 * SECOND);
        query_case(&f, "count(ALERTS)", 2060, "{} 1\n");
        fixture_done(&f);
}

TEST(alerting_rule, restores_how_long_alerts_were_pending)
{
        restore_case(400, 1400);        /* 10 min of 1 h had passed; 50 min are left: the time it was down is added */
        restore_case(-2500, -1000);     /* 100 s are left, less than the grace period: 10 min from now on */
        restore_case(-3000, -3000);     /* it was firing */
}

TEST(rules_manager, keeps_what_did_not_change_and_carries_state_over)
{
        struct fixture f;
        fixture_init(&f, 0);
        CHECK_OK(load(&f, "groups:\n- name: a\n  rules:\n  - {record: r, expr: x}\n- name: b\n  rules:\n  - {alert: A, expr: x, for: 1h}\n- name: c\n  rules:\n  - {record: old, expr: x}\n"));
        add(&f, "x", 0, 1);
        struct rule_group *a = group(&f, 0), *b = group(&f, 1);
        for (size_t i = 0; i < 3; i++)
                rule_group_eval(group(&f, i), 0);
        CHECK_OK(load(&f, "groups:\n- name: a\n  rules:\n  - {record: r, expr: x}\n- name: b\n  rules:\n  - {alert: A, expr: x, for: 2h}\n  - {record: n, expr: x}\n"));
        CHECK(group(&f, 0) == a);
        CHECK(group(&f, 1) != b);
        CHECK_U64(group(&f, 1)->rules[0].active.v.n, 1);
        CHECK(group(&f, 1)->rules[0].restored);         /* restoring is for starts */
        /* A rule that is gone from a group ends its series with the next evaluation. */
        CHECK_OK(load(&f, "groups:\n- name: a\n  rules:\n  - {record: other, expr: x}\n"));
        query_case(&f, "r", 60, "{__name__=\"r\"} 1\n");
        rule_group_eval(group(&f, 0), 60 * SECOND);
        query_case(&f, "{__name__=~\"r|other\"}", 60, "{__name__=\"other\"} 1\n");
        CHECK_ERROR(load(&f, "groups: [{name: ''}]\n"), "error loading rules, previous rule set restored");
        CHECK_STR(group(&f, 0)->name, "a");
        struct buf b2 = BUF_INIT(1 << 20);
        metric_write_text(f.metrics, &b2);
        CHECK(str_contains(buf_str(&b2), STR(";a\"} 1")) && !str_contains(buf_str(&b2), STR(";c\"}")));
        buf_done(&b2);
        fixture_done(&f);
}

/* Over nothing: what is checked is that every expression is evaluated and every template parsed. */
TEST(rules_manager, evaluates_the_stock_rules)
{
        char *dir = conformance_path("stack/rules");
        PathVec names = VEC_INIT;
        VEC(Str) files = VEC_INIT;
        struct fixture f;
        size_t n, rules = 0;
        fixture_init(&f, 0);
        CHECK_OK(dir_list(dir, &names));
        for (size_t i = 0; i < names.n; i++) {
                if (str_has_suffix(str_from(names.p[i]), STR(".yaml")))
                        vec_push(&files, str_from(path_join(dir, names.p[i])));
        }
        struct rules_conf c = {.interval_ms = 30000, .files = files.p, .n_files = files.n};
        CHECK_OK(rules_manager_apply(f.m, &c, NULL));
        struct rule_group *const *groups = rules_manager_groups(f.m, &n);
        for (size_t i = 0; i < n; i++) {
                rule_group_eval(groups[i], 0);
                for (size_t k = 0; k < groups[i]->n_rules; k++, rules++)
                        CHECK_MSG(!groups[i]->rules[k].last_error, STR_FMT ": %s", STR_ARG(groups[i]->rules[k].name), groups[i]->rules[k].last_error);
        }
        CHECK(n >= 18 && rules >= 128);
        fixture_done(&f);
        for (size_t i = 0; i < files.n; i++)
                free((void *)files.p[i].p);
        vec_done(&files);
        path_vec_done(&names);
        free(dir);
}

TEST(rule_group, has_slots_that_its_name_gives)
{
        struct fixture f;
        fixture_init(&f, 0);
        CHECK_OK(load(&f, "groups:\n- name: g\n  interval: 10s\n"));
        struct rule_group *g = group(&f, 0);
        int64_t now = INT64_C(1700000000) * SECOND + 123456789, slot = rule_group_slot_ns(g, now);
        CHECK(slot <= now && now - slot < 10 * SECOND);
        CHECK_I64(rule_group_slot_ns(g, slot), slot);
        CHECK_I64(rule_group_slot_ns(g, slot - 1), slot - 10 * SECOND);
        fixture_done(&f);
}

TEST(rule_group, shifts_queries_and_results_by_its_offset)
{
        struct fixture f;
        fixture_init(&f, 0);
        CHECK_OK(load(&f, "groups:\n- name: g\n  query_offset: 1m\n  rules:\n  - {record: r, expr: a}\n"));
        add(&f, "a", 0, 5);
        add(&f, "a", 100, 6);
        rule_group_eval(group(&f, 0), 120 * SECOND);
        query_case(&f, "timestamp(r)", 120, "{} 60\n");
        query_case(&f, "r", 60, "{__name__=\"r\"} 5\n");
        fixture_done(&f);
}

TEST(rule_group, finds_out_which_rules_may_run_at_once)
{
        struct fixture f;
        fixture_init(&f, 4);
        CHECK_OK(load(&f, "groups:\n- name: g\n  rules:\n  - {record: a, expr: x}\n  - {record: b, expr: a}\n  - {record: c, expr: b}\n  - {record: d, expr: y}\n"
                          "  - {alert: E, expr: x}\n  - {record: f, expr: 'ALERTS{alertname=\"E\"}'}\n"));
        struct rule_group *g = group(&f, 0);
        const bool dependents[] = {true, true, false, false, true, false}, dependencies[] = {false, true, true, false, false, true};
        for (size_t i = 0; i < 6; i++) {
                CHECK(g->rules[i].no_dependents == !dependents[i]);
                CHECK(g->rules[i].no_dependencies == !dependencies[i]);
        }
        add(&f, "x", 0, 1);
        add(&f, "y", 0, 2);
        g->rules[4].restored = true;
        rule_group_eval(g, 0);
        query_case(&f, "count({__name__=~\"[abcdf]\"})", 0, "{} 5\n");
        fixture_done(&f);
}

static bool has_series_soon(struct fixture *f, const char *expr)
{
        size_t n = 0;
        for (int i = 0; i < 6000 && n == 0; i++) {
                struct query_result r = {0};
                struct query_opts q = {.text = str_from(expr), .start_ms = time_now_ms()};
                CHECK_OK(engine_instant(f->engine, f->storage, &q, &r));
                n = r.n_series;
                query_result_done(&r);
                if (n == 0)
                        usleep(10000);
        }
        return n > 0;
}

/* Ticks in real time: what counts is that they come, not when. */
TEST(rules_manager, evaluates_groups_by_itself_until_it_is_stopped)
{
        struct fixture f;
        fixture_init(&f, 2);
        f.clock.clock = clock_system;
        CHECK_OK(load(&f, "groups:\n- name: g\n  interval: 20ms\n  rules:\n  - {record: r, expr: vector(1)}\n  - {alert: A, expr: vector(1), for: 20m}\n- name: h\n  interval: 1h\n  rules:\n  - {record: s, expr: 1}\n"));
        rules_manager_start(f.m);
        struct rule_group *g = group(&f, 0);
        for (int i = 0; i < 6000; i++) {
                mutex_lock(&g->mu);
                bool done = g->rules[1].restored && g->rules[0].health == RULE_OK;
                mutex_unlock(&g->mu);
                if (done)
                        break;
                usleep(10000);
        }
        CHECK(g->rules[1].restored);
        CHECK_OK(load(&f, "groups:\n- name: g\n  interval: 20ms\n  rules:\n  - {record: r2, expr: vector(1)}\n"));
        CHECK(has_series_soon(&f, "r2"));
        rules_manager_stop(f.m);
        fixture_done(&f);
}
