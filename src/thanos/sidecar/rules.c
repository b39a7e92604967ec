/* SPDX-License-Identifier: Apache-2.0 */
/* rules.c — Rules and Targets: /api/v1/rules and /api/v1/targets as messages, the external labels put in.
 * States of alerts have the numbers of Thanos up to 0.40.  Upstream: pkg/rules/rulespb/custom.go, pkg/targets/prometheus.go */
#include <stdlib.h>

#include "model/duration.h"
#include "thanos/sidecar/sidecar_impl.h"

enum { OLD_INACTIVE, OLD_PENDING, OLD_FIRING };

/* --- values --- */

static Str text_of(const struct json *o, const char *key)
{
        return json_str(json_get(o, str_from(key)));
}

static double number_of(const struct json *o, const char *key)
{
        return json_f64(json_get(o, str_from(key)));
}

/* Seconds and nanoseconds of RFC 3339, as Go's time.Time decodes it. */
static struct error *time_of(Str text, struct pb_timestamp *ret)
{
        int64_t ms;
        *ret = (struct pb_timestamp){-62135596800, 0}; /* Go's zero time */
        if (!text.n)
                return NULL;
        if (!time_parse_rfc3339(text, &ms))
                return error_new(ERROR_CORRUPT, "parsing time \"" STR_FMT "\"", STR_ARG(text));
        ret->seconds = ms / 1000 - (ms % 1000 < 0);
        ptrdiff_t dot = str_find(text, '.');
        int32_t scale = 100000000;
        for (size_t i = dot < 0 ? text.n : (size_t)dot + 1; i < text.n && text.p[i] >= '0' && text.p[i] <= '9' && scale; i++, scale /= 10)
                ret->nanos += (text.p[i] - '0') * scale;
        return NULL;
}

static struct error *set_of(struct arena *a, const struct json *object, Labels external, struct pb_label_set *ret)
{
        Labels l;
        struct error *e = labels_of_json(a, object, &l);
        if (e)
                return e;
        l = labels_extend(a, l, external, NULL, 0);
        *ret = label_set_of(a, l);
        return NULL;
}

/* --- rules --- */

static int32_t state_of(Str s)
{
        if (str_eq(s, STR("firing")))
                return OLD_FIRING;
        return str_eq(s, STR("pending")) ? OLD_PENDING : OLD_INACTIVE;
}

static struct error *instance_of(struct arena *a, const struct json *o, struct pb_alert_instance *ret)
{
        Str active = text_of(o, "activeAt");
        struct error *e = set_of(a, json_get(o, STR("labels")), (Labels){0}, &ret->labels);
        if (!e)
                e = set_of(a, json_get(o, STR("annotations")), (Labels){0}, &ret->annotations);
        if (!e && active.n) {
                ret->active_at = arena_new(a, struct pb_timestamp);
                e = time_of(active, ret->active_at);
        }
        ret->state = state_of(text_of(o, "state"));
        ret->value = text_of(o, "value");
        return e;
}

static struct error *alert_of(struct arena *a, const struct json *o, Labels external, struct pb_alert *ret)
{
        const struct json *alerts = json_get(o, STR("alerts"));
        *ret = (struct pb_alert){.state = state_of(text_of(o, "state")),
                                 .name = text_of(o, "name"),
                                 .query = text_of(o, "query"),
                                 .duration_seconds = number_of(o, "duration"),
                                 .health = text_of(o, "health"),
                                 .last_error = text_of(o, "lastError"),
                                 .evaluation_duration_seconds = number_of(o, "evaluationTime"),
                                 .keep_firing_for_seconds = number_of(o, "keepFiringFor")};
        struct error *e = set_of(a, json_get(o, STR("labels")), external, &ret->labels);
        if (!e)
                e = set_of(a, json_get(o, STR("annotations")), (Labels){0}, &ret->annotations);
        if (!e)
                e = time_of(text_of(o, "lastEvaluation"), &ret->last_evaluation);
        size_t n = alerts && alerts->type == JSON_ARRAY ? alerts->n : 0;
        if (!e && !(ret->alerts.v = array_of(a, n, sizeof *ret->alerts.v)))
                e = no_room(a);
        for (; !e && ret->alerts.n < n; ret->alerts.n++)
                e = instance_of(a, json_at(alerts, ret->alerts.n), &ret->alerts.v[ret->alerts.n]);
        return e;
}

static struct error *recording_of(struct arena *a, const struct json *o, Labels external, struct pb_recording_rule *ret)
{
        *ret = (struct pb_recording_rule){.name = text_of(o, "name"),
                                          .query = text_of(o, "query"),
                                          .health = text_of(o, "health"),
                                          .last_error = text_of(o, "lastError"),
                                          .evaluation_duration_seconds = number_of(o, "evaluationTime")};
        struct error *e = set_of(a, json_get(o, STR("labels")), external, &ret->labels);
        return e ? e : time_of(text_of(o, "lastEvaluation"), &ret->last_evaluation);
}

static struct error *rule_of(struct arena *a, const struct json *o, Labels external, struct pb_rule *ret)
{
        Str type = text_of(o, "type");
        if (str_eq(type, STR("alerting"))) {
                ret->alert = array_of(a, 1, sizeof *ret->alert);
                return ret->alert ? alert_of(a, o, external, ret->alert) : no_room(a);
        }
        if (!str_eq(type, STR("recording")))
                return error_new(ERROR_CORRUPT, "rule: no type field provided: \"" STR_FMT "\"", STR_ARG(type));
        ret->recording = array_of(a, 1, sizeof *ret->recording);
        return ret->recording ? recording_of(a, o, external, ret->recording) : no_room(a);
}

static struct error *group_of(struct arena *a, const struct json *o, Labels external, struct pb_rule_group *ret)
{
        const struct json *rules = json_get(o, STR("rules"));
        size_t n = rules && rules->type == JSON_ARRAY ? rules->n : 0;
        *ret = (struct pb_rule_group){.name = text_of(o, "name"),
                                      .file = text_of(o, "file"),
                                      .interval = number_of(o, "interval"),
                                      .evaluation_duration_seconds = number_of(o, "evaluationTime"),
                                      .partial_response_strategy = PB_STRATEGY_ABORT,
                                      .limit = json_i64(json_get(o, STR("limit")))};
        struct error *e = time_of(text_of(o, "lastEvaluation"), &ret->last_evaluation);
        if (!e && !(ret->rules.v = array_of(a, n, sizeof *ret->rules.v)))
                e = no_room(a);
        for (; !e && ret->rules.n < n; ret->rules.n++)
                e = rule_of(a, json_at(rules, ret->rules.n), external, &ret->rules.v[ret->rules.n]);
        return e;
}

struct error *serve_rules(struct call *c, Str request)
{
        static const char *const queries[] = {[PB_RULES_TYPE_ALL] = "", [PB_RULES_TYPE_ALERT] = "type=alert", [PB_RULES_TYPE_RECORD] = "type=record"};
        struct pb_rules_request q = {0};
        struct prom_answer x;
        struct error *e = call_decode(c, &pb_rules_request, request, &q);
        if (e)
                return e;
        size_t type = q.type > 0 && (size_t)q.type < ARRAY_LEN(queries) ? (size_t)q.type : 0;
        e = prom_get(c->s->prom, "/api/v1/rules", str_from(queries[type]), &c->wait, &x, &c->code);
        JSON_EACH(m, e ? NULL : json_get(x.data, STR("groups")))
        {
                struct pb_rule_group g;
                struct pb_rules_response r = {.group = &g};
                if (!e)
                        e = group_of(&x.arena, &m->value, c->external, &g);
                if (!e)
                        e = call_send(c, &pb_rules_response, &r);
        }
        prom_answer_done(&x);
        return e;
}

/* --- targets --- */

static int32_t health_of(Str s)
{
        if (str_eq(s, STR("up")))
                return PB_TARGET_HEALTH_UP;
        return str_eq(s, STR("down")) ? PB_TARGET_HEALTH_DOWN : PB_TARGET_HEALTH_UNKNOWN;
}

static struct error *active_of(struct arena *a, const struct json *o, Labels external, struct pb_active_target *ret)
{
        *ret = (struct pb_active_target){.scrape_pool = text_of(o, "scrapePool"),
                                         .scrape_url = text_of(o, "scrapeUrl"),
                                         .global_url = text_of(o, "globalUrl"),
                                         .last_error = text_of(o, "lastError"),
                                         .last_scrape_duration = number_of(o, "lastScrapeDuration"),
                                         .health = health_of(text_of(o, "health"))};
        struct error *e = set_of(a, json_get(o, STR("discoveredLabels")), external, &ret->discovered_labels);
        if (!e)
                e = set_of(a, json_get(o, STR("labels")), external, &ret->labels);
        return e ? e : time_of(text_of(o, "lastScrape"), &ret->last_scrape);
}

static struct error *discovery_of(struct arena *a, const struct json *data, Labels external, struct pb_target_discovery *ret)
{
        const struct json *active = json_get(data, STR("activeTargets")), *dropped = json_get(data, STR("droppedTargets"));
        size_t n_active = active && active->type == JSON_ARRAY ? active->n : 0, n_dropped = dropped && dropped->type == JSON_ARRAY ? dropped->n : 0;
        ret->active_targets.v = array_of(a, n_active, sizeof *ret->active_targets.v);
        ret->dropped_targets.v = array_of(a, n_dropped, sizeof *ret->dropped_targets.v);
        if (!ret->active_targets.v || !ret->dropped_targets.v)
                return no_room(a);
        struct error *e = NULL;
        for (; !e && ret->active_targets.n < n_active; ret->active_targets.n++)
                e = active_of(a, json_at(active, ret->active_targets.n), external, &ret->active_targets.v[ret->active_targets.n]);
        for (; !e && ret->dropped_targets.n < n_dropped; ret->dropped_targets.n++)
                e = set_of(a, json_get(json_at(dropped, ret->dropped_targets.n), STR("discoveredLabels")), external,
                           &ret->dropped_targets.v[ret->dropped_targets.n].discovered_labels);
        return e;
}

struct error *serve_targets(struct call *c, Str request)
{
        static const char *const queries[] = {[PB_TARGETS_STATE_ANY] = "", [PB_TARGETS_STATE_ACTIVE] = "state=active", [PB_TARGETS_STATE_DROPPED] = "state=dropped"};
        struct pb_targets_request q = {0};
        struct prom_answer x;
        struct error *e = call_decode(c, &pb_targets_request, request, &q);
        if (e)
                return e;
        size_t state = q.state > 0 && (size_t)q.state < ARRAY_LEN(queries) ? (size_t)q.state : 0;
        struct pb_target_discovery d = {0};
        struct pb_targets_response r = {.targets = &d};
        e = prom_get(c->s->prom, "/api/v1/targets", str_from(queries[state]), &c->wait, &x, &c->code);
        if (!e)
                e = discovery_of(&x.arena, x.data, c->external, &d);
        if (!e)
                e = call_send(c, &pb_targets_response, &r);
        prom_answer_done(&x);
        return e;
}
