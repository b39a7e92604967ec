/* SPDX-License-Identifier: Apache-2.0 */
#include "app/server_alerting.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "codec/quote.h"

struct server_alerting {
        struct rules_manager *rules;
        struct notify_manager *notify;
        struct discovery_manager *discovery;
};
const struct alerting_flags alerting_flags_defaults = {
        .outage_tolerance_ms = 3600 * 1000, .grace_period_ms = 600 * 1000, .resend_delay_ms = 60 * 1000, .queue_capacity = 10000, .batch_size = 256};

static void send_alerts(void *ctx, const struct rule_notice *v, size_t n)
{
        struct server_alerting *a = ctx;
        notify_manager_send(a->notify, v, n);
}

/* Sets are named config-0, config-1, … in the order of the file. */
static void update_alertmanagers(void *ctx, const struct target_set *sets, size_t n)
{
        struct server_alerting *a = ctx;
        for (size_t i = 0; i < n; i++) {
                uint64_t index;
                struct notify_group *groups = mem_alloc((sets[i].n + 1) * sizeof *groups);
                for (size_t k = 0; k < sets[i].n; k++)
                        groups[k] = (struct notify_group){sets[i].groups[k]->labels, sets[i].groups[k]->targets, sets[i].groups[k]->n_targets};
                if (str_to_u64(str_trim_prefix(sets[i].name, STR("config-")), &index))
                        notify_manager_update(a->notify, index, groups, sets[i].n);
                free(groups);
        }
}

struct error *server_alerting_new(const struct server_alerting_opts *o, struct server_alerting **ret)
{
        struct server_alerting *a = mem_new(struct server_alerting);
        struct notify_opts n = {.queue_capacity = o->flags.queue_capacity, .batch_size = o->flags.batch_size, .drain_on_shutdown = !o->flags.no_drain,
                                .user_agent = "Prometheus/" COEUS_VERSION, .metrics = o->rules.metrics};
        struct rules_opts r = o->rules;
        struct discovery_opts d = {.name = "notify", .metrics = o->rules.metrics, .update = update_alertmanagers, .ctx = a};
        r.notify = send_alerts;
        r.notify_ctx = a;
        r.outage_tolerance_ms = o->flags.outage_tolerance_ms;
        r.grace_period_ms = o->flags.grace_period_ms;
        r.resend_delay_ms = o->flags.resend_delay_ms;
        r.concurrent_evals = o->flags.concurrent_evals;
        struct error *e = notify_manager_new(&n, &a->notify);
        if (!e)
                e = rules_manager_new(&r, &a->rules);
        if (!e)
                e = discovery_manager_new(&d, &a->discovery);
        if (e) {
                server_alerting_free(a);
                return e;
        }
        *ret = a;
        return NULL;
}

static struct error *pattern_check(const char *pattern, const struct rule_file_opts *o)
{
        PathVec files = VEC_INIT;
        struct error *e = path_glob(pattern, &files);
        if (e)
                e = error_wrap(e, "failed retrieving rule files for \"%s\"", pattern);
        for (size_t i = 0; !e && i < files.n; i++) {
                struct rule_file f;
                ErrorVec errors = VEC_INIT;
                char *real = realpath(files.p[i], NULL);
                if (rule_file_load(real ? real : files.p[i], o, &f, &errors)) {
                        if (f.has_more_documents)
                                log_warn("", "Multiple document yaml rules files are not supported, only the first document is processed");
                        rule_file_done(&f);
                } else {
                        struct buf all = BUF_INIT(16 << 20);
                        for (size_t k = 0; k < errors.n; k++)
                                buf_printf(&all, "%s%s", k ? "\n" : "", error_str(errors.p[k]));
                        e = error_new(ERROR_INVALID, "parse rules from file \"%s\" (pattern: \"%s\"): %s", real ? real : files.p[i], pattern, buf_cstr(&all));
                        buf_done(&all);
                }
                error_vec_done(&errors);
                free(real);
        }
        path_vec_done(&files);
        return e;
}

struct error *server_alerting_check(const struct config *c, const struct promql_parse_opts *parse)
{
        struct rule_file_opts o = {.legacy_names = config_has_legacy_names(c), .parse = *parse};
        size_t n;
        const Str *patterns = config_rule_patterns(c, &n);
        for (size_t i = 0; i < n; i++) {
                struct error *e = pattern_check(patterns[i].p, &o);
                if (e)
                        return e;
        }
        return NULL;
}

struct error *server_alerting_apply(struct server_alerting *a, struct config *c)
{
        struct notify_conf notify;
        size_t n;
        const struct discovery_conf *found_by = config_alertmanagers(c, &n);
        struct discovery_set *sets = mem_alloc((n + 1) * sizeof *sets);
        char (*names)[32] = mem_alloc((n + 1) * sizeof *names);
        config_notify_conf(c, &notify);
        notify_manager_apply(a->notify, &notify);
        for (size_t i = 0; i < n; i++) {
                snprintf(names[i], sizeof names[i], "config-%zu", i);
                sets[i] = (struct discovery_set){str_from(names[i]), &found_by[i]};
        }
        discovery_manager_apply(a->discovery, sets, n);
        free(sets);
        free(names);

        PathVec files = VEC_INIT;
        struct error *e = config_rule_files(c, &files);
        if (!e) {
                Str *paths = mem_alloc((files.n + 1) * sizeof *paths);
                for (size_t i = 0; i < files.n; i++)
                        paths[i] = str_from(files.p[i]);
                struct rules_conf conf = {.interval_ms = config_evaluation_interval_ms(c), .query_offset_ms = config_rule_query_offset_ms(c), .files = paths, .n_files = files.n,
                                          .external_labels = config_external_labels(c)};
                e = rules_manager_apply(a->rules, &conf, NULL);
                free(paths);
        }
        path_vec_done(&files);
        return e;
}

void server_alerting_start(struct server_alerting *a)
{
        rules_manager_start(a->rules);
}

void server_alerting_stop(struct server_alerting *a)
{
        log_info("", "Stopping notify discovery manager...");
        discovery_manager_free(a->discovery);
        a->discovery = NULL;
        rules_manager_stop(a->rules);
}

void server_alerting_drain(struct server_alerting *a)
{
        notify_manager_stop(a->notify);
}

void server_alerting_free(struct server_alerting *a)
{
        if (!a)
                return;
        discovery_manager_free(a->discovery);
        rules_manager_free(a->rules);
        notify_manager_free(a->notify);
        free(a);
}

struct rules_manager *server_alerting_rules(struct server_alerting *a)
{
        return a->rules;
}

struct notify_manager *server_alerting_notify(struct server_alerting *a)
{
        return a->notify;
}
