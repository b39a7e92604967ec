/* SPDX-License-Identifier: Apache-2.0 */
/* query_fan.c — rules, alerts, targets, metadata, exemplars of all servers. */
#include "codec/float_text.h"
#include "codec/json.h"
#include "thanos/query/fan.h"
#include "web/thanos/query_api_impl.h"

struct asking {
        struct fan f;
        struct grpc_pair tenant;
};

static void asking_init(struct asking *x, struct api *a, bool partial_response)
{
        const struct query_core *c = query_api_of(a)->o.core;
        Str tenant = http_request_header(a->r, str_from(query_api_of(a)->o.tenant_header));
        fan_init(&x->f, c->endpoints);
        x->tenant = (struct grpc_pair){STR("thanos-tenant"), tenant.n ? tenant : str_from(query_api_of(a)->o.default_tenant)};
        x->f.partial_response = partial_response;
        x->f.timeout_ms = c->timeout_ms;
        x->f.response_timeout_ms = c->response_timeout_ms;
        x->f.cancel = http_request_cancel_flag(a->r);
        x->f.metadata = &x->tenant;
        x->f.n_metadata = 1;
}

static int32_t strategy(bool partial_response)
{
        return partial_response ? PB_STRATEGY_WARN : PB_STRATEGY_ABORT;
}

static void begin(struct api *a, struct asking *x)
{
        query_api_no_store(a, x->f.warnings.p, x->f.warnings.n);
        api_begin(a);
}

static void end(struct api *a, struct asking *x)
{
        query_api_end(a, x->f.warnings.p, x->f.warnings.n);
}

/* The number of a word in any case, as protobuf's name tables have them in capitals. */
static bool enum_param(Str s, const char *const *words, size_t n, int32_t *ret)
{
        for (size_t i = 0; i < n; i++)
                if (str_eq_nocase(s, str_from(words[i]))) {
                        *ret = (int32_t)i;
                        return true;
                }
        return s.n == 0;
}

/* --- pieces --- */

static void put_set(struct buf *b, const char *key, const struct pb_label_set *l)
{
        buf_printf(b, "\"%s\":{", key);
        for (size_t i = 0; i < l->labels.n; i++) {
                if (i)
                        buf_putc(b, ',');
                json_put_api_str(b, l->labels.v[i].name);
                buf_putc(b, ':');
                json_put_api_str(b, l->labels.v[i].value);
        }
        buf_putc(b, '}');
}

static void put_time(struct buf *b, const char *key, const struct pb_timestamp *t)
{
        int64_t ns;
        buf_printf(b, "\"%s\":", key);
        bool fits = !__builtin_mul_overflow(t->seconds, INT64_C(1000000000), &ns) && !__builtin_add_overflow(ns, (int64_t)t->nanos, &ns);
        json_put_time_ns(b, fits ? ns : 0);
}

static void put_number(struct buf *b, const char *key, double v)
{
        buf_printf(b, "\"%s\":", key);
        json_put_f64(b, v);
}

/* As up to 0.40 they are numbered; from 0.41 on firing is 3. */
static const char *state_name(int32_t state)
{
        static const char *const names[] = {"inactive", "pending", "firing", "firing"};
        return state >= 0 && (size_t)state < ARRAY_LEN(names) ? names[state] : "inactive";
}

static void put_strategy(struct buf *b, int32_t s)
{
        buf_printf(b, "\"partialResponseStrategy\":\"%s\"", s == PB_STRATEGY_ABORT ? "ABORT" : "WARN");
}

/* --- rules --- */

static void put_instance(struct buf *b, const struct pb_alert_instance *x)
{
        buf_putc(b, '{');
        put_set(b, "labels", &x->labels);
        buf_putc(b, ',');
        put_set(b, "annotations", &x->annotations);
        buf_printf(b, ",\"state\":\"%s\",", state_name(x->state));
        if (x->active_at) {
                put_time(b, "activeAt", x->active_at);
                buf_putc(b, ',');
        }
        json_put_member(b, "value", x->value);
        buf_putc(b, ',');
        put_strategy(b, x->partial_response_strategy);
        buf_putc(b, '}');
}

static void put_health(struct buf *b, Str health, Str last_error, double seconds, const struct pb_timestamp *last)
{
        json_put_member(b, "health", health);
        buf_putc(b, ',');
        if (last_error.n) {
                json_put_member(b, "lastError", last_error);
                buf_putc(b, ',');
        }
        put_number(b, "evaluationTime", seconds);
        buf_putc(b, ',');
        put_time(b, "lastEvaluation", last);
}

static void put_alert(struct api *a, const struct pb_alert *x)
{
        struct buf *b = &a->out;
        buf_printf(b, "{\"state\":\"%s\",", state_name(x->state));
        json_put_member(b, "name", x->name);
        buf_putc(b, ',');
        json_put_member(b, "query", x->query);
        buf_putc(b, ',');
        put_number(b, "duration", x->duration_seconds);
        buf_putc(b, ',');
        put_set(b, "labels", &x->labels);
        buf_putc(b, ',');
        put_set(b, "annotations", &x->annotations);
        buf_puts(b, ",\"alerts\":[");
        for (size_t i = 0; i < x->alerts.n; i++) {
                if (i)
                        buf_putc(b, ',');
                put_instance(b, &x->alerts.v[i]);
                api_flush(a);
        }
        buf_puts(b, "],");
        put_health(b, x->health, x->last_error, x->evaluation_duration_seconds, &x->last_evaluation);
        buf_putc(b, ',');
        put_number(b, "keepFiringFor", x->keep_firing_for_seconds);
        buf_puts(b, ",\"type\":\"alerting\"}");
}

static void put_recording(struct buf *b, const struct pb_recording_rule *x)
{
        buf_putc(b, '{');
        json_put_member(b, "name", x->name);
        buf_putc(b, ',');
        json_put_member(b, "query", x->query);
        buf_putc(b, ',');
        put_set(b, "labels", &x->labels);
        buf_putc(b, ',');
        put_health(b, x->health, x->last_error, x->evaluation_duration_seconds, &x->last_evaluation);
        buf_puts(b, ",\"type\":\"recording\"}");
}

static void put_group(struct api *a, const struct pb_rule_group *g)
{
        struct buf *b = &a->out;
        buf_putc(b, '{');
        json_put_member(b, "name", g->name);
        buf_putc(b, ',');
        json_put_member(b, "file", g->file);
        buf_puts(b, ",\"rules\":[");
        for (size_t i = 0; i < g->rules.n; i++) {
                if (i)
                        buf_putc(b, ',');
                if (g->rules.v[i].alert)
                        put_alert(a, g->rules.v[i].alert);
                else
                        put_recording(b, g->rules.v[i].recording);
                api_flush(a);
        }
        buf_puts(b, "],");
        put_number(b, "interval", g->interval);
        buf_putc(b, ',');
        put_number(b, "evaluationTime", g->evaluation_duration_seconds);
        buf_putc(b, ',');
        put_time(b, "lastEvaluation", &g->last_evaluation);
        buf_printf(b, ",\"limit\":%lld,", (long long)g->limit);
        put_strategy(b, g->partial_response_strategy);
        buf_putc(b, '}');
}

static struct error *ask_rules(struct api *a, struct asking *x, int32_t type, struct pb_rule_group **ret, size_t *ret_n)
{
        const struct query_api *q = query_api_of(a);
        asking_init(x, a, q->o.rules_partial_response);
        struct pb_rules_request r = {.type = type, .partial_response_strategy = strategy(q->o.rules_partial_response)};
        const Str *matchers;
        query_api_strs(a, "match[]", &matchers, &r.matcher_string.n);
        r.matcher_string.v = (Str *)(uintptr_t)matchers;
        struct error *e = fan_rules(&x->f, &r, q->o.core->replica_labels, q->o.core->n_replica_labels, ret, ret_n);
        return e ? error_wrap(e, "error retrieving rules") : NULL;
}

static void rules(struct api *a)
{
        static const char *const types[] = {"ALL", "ALERT", "RECORD"};
        int32_t type = PB_RULES_TYPE_ALL;
        struct asking x;
        struct pb_rule_group *v = NULL;
        size_t n = 0;
        Str s = api_param(a, "type");
        if (!enum_param(s, types, ARRAY_LEN(types), &type)) {
                api_fail(a, API_BAD_DATA, "invalid rules parameter type='" STR_FMT "'", STR_ARG(s));
                return;
        }
        struct error *e = ask_rules(a, &x, type, &v, &n);
        if (e) {
                api_fail_error(a, API_INTERNAL, e, NULL);
        } else {
                begin(a, &x);
                buf_puts(&a->out, "{\"groups\":[");
                for (size_t i = 0; i < n; i++) {
                        if (i)
                                buf_putc(&a->out, ',');
                        put_group(a, &v[i]);
                }
                buf_puts(&a->out, "]}");
                end(a, &x);
        }
        fan_done(&x.f);
}

static void alerts(struct api *a)
{
        struct asking x;
        struct pb_rule_group *v = NULL;
        size_t n = 0, put = 0;
        struct error *e = ask_rules(a, &x, PB_RULES_TYPE_ALERT, &v, &n);
        if (e) {
                api_fail_error(a, API_INTERNAL, e, NULL);
                fan_done(&x.f);
                return;
        }
        begin(a, &x);
        buf_puts(&a->out, "{\"alerts\":");
        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < v[i].rules.n; k++)
                        for (size_t j = 0; v[i].rules.v[k].alert && j < v[i].rules.v[k].alert->alerts.n; j++) {
                                buf_putc(&a->out, put++ ? ',' : '[');
                                put_instance(&a->out, &v[i].rules.v[k].alert->alerts.v[j]);
                                api_flush(a);
                        }
        buf_puts(&a->out, put ? "]}" : "null}");
        end(a, &x);
        fan_done(&x.f);
}

/* --- targets --- */

static void put_active(struct buf *b, const struct pb_active_target *t)
{
        static const char *const health[] = {"down", "up", "unknown"};
        buf_putc(b, '{');
        put_set(b, "discoveredLabels", &t->discovered_labels);
        buf_putc(b, ',');
        put_set(b, "labels", &t->labels);
        buf_putc(b, ',');
        json_put_member(b, "scrapePool", t->scrape_pool);
        buf_putc(b, ',');
        json_put_member(b, "scrapeUrl", t->scrape_url);
        buf_putc(b, ',');
        json_put_member(b, "globalUrl", t->global_url);
        buf_putc(b, ',');
        json_put_member(b, "lastError", t->last_error);
        buf_putc(b, ',');
        put_time(b, "lastScrape", &t->last_scrape);
        buf_putc(b, ',');
        put_number(b, "lastScrapeDuration", t->last_scrape_duration);
        size_t h = t->health >= 0 && (size_t)t->health < ARRAY_LEN(health) ? (size_t)t->health : 2;
        buf_printf(b, ",\"health\":\"%s\"}", health[h]);
}

static void targets(struct api *a)
{
        static const char *const states[] = {"ANY", "ACTIVE", "DROPPED"};
        const struct query_api *q = query_api_of(a);
        struct pb_targets_request r = {.state = PB_TARGETS_STATE_ANY,
                                       .partial_response_strategy = strategy(q->o.targets_partial_response)};
        struct pb_target_discovery d = {0};
        struct asking x;
        Str s = api_param(a, "state");
        if (!enum_param(s, states, ARRAY_LEN(states), &r.state)) {
                api_fail(a, API_BAD_DATA, "invalid targets parameter state='" STR_FMT "'", STR_ARG(s));
                return;
        }
        asking_init(&x, a, q->o.targets_partial_response);
        struct error *e = fan_targets(&x.f, &r, q->o.core->replica_labels, q->o.core->n_replica_labels, &d);
        if (e) {
                api_fail_error(a, API_INTERNAL, e, "retrieving targets: ");
                fan_done(&x.f);
                return;
        }
        begin(a, &x);
        buf_puts(&a->out, "{\"activeTargets\":[");
        for (size_t i = 0; i < d.active_targets.n; i++) {
                if (i)
                        buf_putc(&a->out, ',');
                put_active(&a->out, &d.active_targets.v[i]);
                api_flush(a);
        }
        buf_puts(&a->out, "],\"droppedTargets\":[");
        for (size_t i = 0; i < d.dropped_targets.n; i++) {
                buf_puts(&a->out, i ? ",{" : "{");
                put_set(&a->out, "discoveredLabels", &d.dropped_targets.v[i].discovered_labels);
                buf_putc(&a->out, '}');
                api_flush(a);
        }
        buf_puts(&a->out, "]}");
        end(a, &x);
        fan_done(&x.f);
}

/* --- metadata --- */

static void metadata(struct api *a)
{
        const struct query_api *q = query_api_of(a);
        struct pb_metadata_request r = {.metric = api_param(a, "metric"),
                                        .limit = -1,
                                        .partial_response_strategy = strategy(q->o.metadata_partial_response)};
        struct pb_metadata_pair *v = NULL;
        size_t n = 0;
        struct asking x;
        Str limit = api_param(a, "limit");
        int64_t number = -1;
        if (limit.n && (!str_to_i64(limit, &number) || number < INT32_MIN || number > INT32_MAX)) {
                api_fail(a, API_BAD_DATA, "invalid metric metadata limit='%lld'", (long long)0);
                return;
        }
        r.limit = (int32_t)number;
        asking_init(&x, a, q->o.metadata_partial_response);
        struct error *e = fan_metadata(&x.f, &r, &v, &n);
        if (e) {
                api_fail_error(a, API_INTERNAL, e, "retrieving metadata: ");
                fan_done(&x.f);
                return;
        }
        begin(a, &x);
        buf_putc(&a->out, '{');
        for (size_t i = 0; i < n; i++) {
                buf_puts(&a->out, i ? "," : "");
                json_put_api_str(&a->out, v[i].key);
                buf_puts(&a->out, ":[");
                for (size_t k = 0; k < v[i].value->metas.n; k++) {
                        const struct pb_metric_meta *m = &v[i].value->metas.v[k];
                        buf_puts(&a->out, k ? ",{" : "{");
                        json_put_member(&a->out, "type", m->type);
                        buf_putc(&a->out, ',');
                        json_put_member(&a->out, "help", m->help);
                        buf_putc(&a->out, ',');
                        json_put_member(&a->out, "unit", m->unit);
                        buf_putc(&a->out, '}');
                }
                buf_putc(&a->out, ']');
                api_flush(a);
        }
        buf_putc(&a->out, '}');
        end(a, &x);
        fan_done(&x.f);
}

/* --- exemplars --- */

static bool time_param(struct api *a, const char *name, TimeMs *ret)
{
        Str s = api_param(a, name);
        struct error *e = s.n ? time_param_parse(s, ret) : NULL;
        if (!e)
                return true;
        api_fail_error(a, API_BAD_DATA, error_wrap(e, "Invalid time value for '%s'", name), NULL);
        return false;
}

static void put_exemplar(struct buf *b, const struct pb_exemplar *x)
{
        buf_putc(b, '{');
        put_set(b, "labels", &x->labels);
        buf_puts(b, ",\"timestamp\":");
        json_put_ms(b, x->ts);
        buf_puts(b, ",\"value\":\"");
        buf_put_sample_value(b, x->value);
        buf_puts(b, "\"}");
}

static void exemplars(struct api *a)
{
        const struct query_api *q = query_api_of(a);
        struct pb_exemplars_request r = {.query = api_param(a, "query"),
                                         .start = QUERY_API_TIME_MIN,
                                         .end = QUERY_API_TIME_MAX,
                                         .partial_response_strategy = strategy(q->o.exemplars_partial_response)};
        struct pb_exemplar_data *v = NULL;
        size_t n = 0;
        struct asking x;
        if (!time_param(a, "start", &r.start) || !time_param(a, "end", &r.end))
                return;
        asking_init(&x, a, q->o.exemplars_partial_response);
        struct error *e = fan_exemplars(&x.f, engine_parse_opts(q->o.core->engine), &r, q->o.selector_labels,
                                        q->o.core->replica_labels, q->o.core->n_replica_labels, &v, &n);
        if (e) {
                api_fail_error(a, API_INTERNAL, e, "retrieving exemplars: ");
                fan_done(&x.f);
                return;
        }
        begin(a, &x);
        buf_putc(&a->out, '[');
        for (size_t i = 0; i < n; i++) {
                buf_puts(&a->out, i ? ",{" : "{");
                put_set(&a->out, "seriesLabels", &v[i].series_labels);
                buf_puts(&a->out, ",\"exemplars\":[");
                for (size_t k = 0; k < v[i].exemplars.n; k++) {
                        if (k)
                                buf_putc(&a->out, ',');
                        put_exemplar(&a->out, &v[i].exemplars.v[k]);
                        api_flush(a);
                }
                buf_puts(&a->out, "]}");
        }
        buf_putc(&a->out, ']');
        end(a, &x);
        fan_done(&x.f);
}

void query_api_fan_register(struct query_api *q)
{
        query_api_handle(q, "rules", HTTP_GET, rules);
        query_api_handle(q, "alerts", HTTP_GET, alerts);
        query_api_handle(q, "targets", HTTP_GET, targets);
        query_api_handle(q, "metadata", HTTP_GET, metadata);
        query_api_handle(q, "query_exemplars", HTTP_GET | HTTP_POST, exemplars);
}
