/* SPDX-License-Identifier: Apache-2.0 */
/* api_rules.c — rules, alerts, alertmanagers, notifications. A role without rules answers as one that has none.  Upstream: web/api/v1/api.go */


#include "alert/notify/notify.h"
#include "alert/rules/rules.h"
#include "codec/float_text.h"
#include "codec/json.h"
#include "codec/quote.h"
#include "model/relabel.h"
#include "objstore/sigv4.h"
#include "web/serve.h"

static void empty(struct api *a, const char *data)
{
        api_begin(a);
        buf_puts(&a->out, data);
        api_end(a, NULL, 0, NULL, 0);
}

/* In small letters, as the original reads it. */
static bool is_go_true(Str s)
{
        return str_eq(s, STR("1")) || str_eq_nocase(s, STR("t")) || str_eq_nocase(s, STR("true"));
}

static bool is_go_bool(Str s)
{
        return is_go_true(s) || str_eq(s, STR("0")) || str_eq_nocase(s, STR("f")) || str_eq_nocase(s, STR("false"));
}

static Str lower(struct api *a, Str s)
{
        struct buf b = BUF_INIT(1 << 16);
        buf_put_case(&b, s, /* upper= */ false);
        Str out = arena_str(a->r->arena, buf_str(&b));
        buf_done(&b);
        return out;
}

static struct error *quoted(const char *before, Str s, const char *after)
{
        struct buf b = BUF_INIT(1 << 16);
        buf_put_go_quoted(&b, s);
        struct error *e = error_new(ERROR_INVALID, "%s%s%s", before, buf_cstr(&b), after);
        buf_done(&b);
        return e;
}

/* ---- groups ---- */

struct rules_query {
        const struct http_form *form;
        MatcherSets sets;
        bool alerts, recording, exclude_alerts;
        bool by_name, by_group, by_file;        /* some are asked for */
        int64_t group_limit;                    /* 0: none */
        Str token;
};

static bool is_asked(const struct http_form *f, const char *name, Str value)
{
        for (size_t i = 0; i < f->n; i++) {
                if (str_eq(f->v[i].name, str_from(name)) && str_eq(f->v[i].value, value))
                        return true;
        }
        return false;
}

static bool labels_are_asked(const struct rules_query *q, Labels ls)
{
        for (size_t i = 0; i < q->sets.n; i++) {
                if (matchers_match((const struct matcher *const *)q->sets.p[i].p, q->sets.p[i].n, ls))
                        return true;
        }
        return q->sets.n == 0;
}

static bool rule_is_asked(const struct rules_query *q, const struct rule *r)
{
        if (!(r->is_alert ? q->alerts : q->recording))
                return false;
        return (!q->by_name || is_asked(q->form, "rule_name[]", r->name)) && labels_are_asked(q, r->labels);
}

static bool group_has_asked(const struct rules_query *q, const struct rule_group *g)
{
        if ((q->by_group && !is_asked(q->form, "rule_group[]", g->name)) || (q->by_file && !is_asked(q->form, "file[]", g->file)))
                return false;
        for (size_t i = 0; i < g->n_rules; i++) {
                if (rule_is_asked(q, &g->rules[i]))
                        return true;
        }
        return false;
}

static void put_seconds(struct buf *b, const char *key, double v)
{
        json_put_key(b, key);
        json_put_f64(b, v);
        buf_putc(b, ',');
}

static void put_time(struct buf *b, const char *key, int64_t ns)
{
        json_put_key(b, key);
        json_put_time_ns(b, ns == RULE_TIME_NONE ? 0 : ns);
}

static void put_alert(struct buf *b, const struct alert *a)
{
        buf_puts(b, "{\"labels\":");
        json_put_labels(b, a->key.labels);
        buf_puts(b, ",\"annotations\":");
        json_put_labels(b, a->annotations);
        buf_printf(b, ",\"state\":\"%s\",", alert_state_name(a->state));
        put_time(b, "activeAt", a->active_ns);
        if (a->keep_firing_ns != RULE_TIME_NONE) {
                buf_putc(b, ',');
                put_time(b, "keepFiringSince", a->keep_firing_ns);
        }
        buf_puts(b, ",\"value\":\"");
        buf_put_float(b, a->value, 'e');
        buf_puts(b, "\"}");
}

/* Those that are not resolved; *ret_n counts on. */
static void put_alerts(struct api *a, const struct rule *r, size_t *ret_n)
{
        for (size_t i = 0; i < r->active.v.n; i++) {
                const struct alert *al = CONTAINER_OF(r->active.v.p[i], struct alert, key);
                if (al->resolved_ns != RULE_TIME_NONE)
                        continue;
                buf_puts(&a->out, (*ret_n)++ ? "," : "");
                put_alert(&a->out, al);
        }
}

static void put_rule(struct api *a, const struct rules_query *q, const struct rule *r)
{
        struct buf *b = &a->out;
        size_t n = 0;
        buf_putc(b, '{');
        if (r->is_alert)
                buf_printf(b, "\"state\":\"%s\",", alert_state_name(rule_state_locked(r)));
        json_put_member(b, "name", r->name);
        buf_putc(b, ',');
        json_put_member(b, "query", r->query);
        buf_putc(b, ',');
        if (r->is_alert) {
                put_seconds(b, "duration", (double)r->hold_ms / 1e3);
                put_seconds(b, "keepFiringFor", (double)r->keep_firing_ms / 1e3);
        }
        json_put_key(b, "labels");
        json_put_labels(b, r->labels);
        if (r->is_alert) {
                buf_puts(b, ",\"annotations\":");
                json_put_labels(b, r->annotations);
                buf_puts(b, ",\"alerts\":");
                buf_puts(b, q->exclude_alerts ? "null" : "[");
                if (!q->exclude_alerts) {
                        put_alerts(a, r, &n);
                        buf_putc(b, ']');
                }
        }
        buf_printf(b, ",\"health\":\"%s\",", rule_health_name(r->health));
        if (r->last_error) {
                json_put_member(b, "lastError", str_from(r->last_error));
                buf_putc(b, ',');
        }
        put_seconds(b, "evaluationTime", (double)r->eval_duration_ns / 1e9);
        put_time(b, "lastEvaluation", r->evaluated_ns);
        buf_printf(b, ",\"type\":\"%s\"}", r->is_alert ? "alerting" : "recording");
}

static void put_group(struct api *a, const struct rules_query *q, struct rule_group *g)
{
        struct buf *b = &a->out;
        size_t n = 0;
        buf_putc(b, '{');
        json_put_member(b, "name", g->name);
        buf_putc(b, ',');
        json_put_member(b, "file", g->file);
        buf_puts(b, ",\"rules\":[");
        mutex_lock(&g->mu);
        for (size_t i = 0; i < g->n_rules; i++) {
                if (!rule_is_asked(q, &g->rules[i]))
                        continue;
                buf_puts(b, n++ ? "," : "");
                put_rule(a, q, &g->rules[i]);
        }
        buf_puts(b, "],");
        put_seconds(b, "interval", (double)g->interval_ms / 1e3);
        buf_printf(b, "\"limit\":%lld,", (long long)g->limit);
        put_seconds(b, "evaluationTime", (double)g->eval_duration_ns / 1e9);
        put_time(b, "lastEvaluation", g->last_eval_ns);
        mutex_unlock(&g->mu);
        buf_putc(b, '}');
}

static void group_token(const struct rule_group *g, char ret[65])
{
        sha256_hex(g->key, ret);
}

/* False: no group has the token. */
static bool put_groups(struct api *a, const struct rules_query *q, struct rule_group *const *v, size_t n)
{
        size_t i = 0, shown = 0;
        char token[65];
        bool more = false;
        if (q->token.n) {
                for (; i < n; i++) {
                        group_token(v[i], token);
                        if (str_eq(q->token, str_from(token)))
                                break;
                }
                if (i == n)
                        return false;
        }
        api_begin(a);
        buf_puts(&a->out, "{\"groups\":[");
        for (; i < n && !more; i++) {
                if (!group_has_asked(q, v[i]))
                        continue;
                if (q->group_limit && shown == (uint64_t)q->group_limit) {
                        group_token(v[i], token);
                        more = true;
                        break;
                }
                buf_puts(&a->out, shown++ ? "," : "");
                put_group(a, q, v[i]);
        }
        buf_putc(&a->out, ']');
        if (more)
                buf_printf(&a->out, ",\"groupNextToken\":\"%s\"", token);
        buf_putc(&a->out, '}');
        api_end(a, NULL, 0, NULL, 0);
        return true;
}

/* False: the answer was given. */
static bool parameters_read(struct api *a, struct rules_query *q)
{
        Str type = api_param(a, "type"), exclude = api_param(a, "exclude_alerts"), limit = api_param(a, "group_limit");
        int64_t n = 0;
        q->form = &a->form;
        q->token = api_param(a, "group_next_token");
        bool is_alert = str_eq_nocase(type, STR("alert")), is_record = str_eq_nocase(type, STR("record"));
        q->alerts = !type.n || is_alert;
        q->recording = !type.n || is_record;
        q->exclude_alerts = is_go_true(exclude);
        for (size_t i = 0; i < a->form.n; i++) {
                q->by_name |= str_eq(a->form.v[i].name, STR("rule_name[]"));
                q->by_group |= str_eq(a->form.v[i].name, STR("rule_group[]"));
                q->by_file |= str_eq(a->form.v[i].name, STR("file[]"));
        }
        if (type.n && !is_alert && !is_record)
                api_fail_param(a, "type", quoted("not supported value ", lower(a, type), ""));
        else if (exclude.n && !is_go_bool(exclude))
                api_fail_param(a, "exclude_alerts", quoted("error converting exclude_alerts: strconv.ParseBool: parsing ", lower(a, exclude), ": invalid syntax"));
        else if (q->token.n && !limit.n)
                api_fail_param(a, "group_next_token", error_new(ERROR_INVALID, "group_limit needs to be present in order to paginate over the groups"));
        else if (limit.n && !str_to_i64(limit, &n))
                api_fail_param(a, "group_limit", quoted("group_limit needs to be a valid number: strconv.ParseInt: parsing ", limit, ": invalid syntax"));
        else if (limit.n && (n > INT32_MAX || n < INT32_MIN))
                api_fail_param(a, "group_limit", quoted("group_limit needs to be a valid number: strconv.ParseInt: parsing ", limit, ": value out of range"));
        else if (limit.n && n <= 0)
                api_fail_param(a, "group_limit", error_new(ERROR_INVALID, "group_limit needs to be greater than 0"));
        else {
                q->group_limit = n;
                return true;
        }
        return false;
}

static void rules(struct api *a)
{
        struct rules_query q = {.sets = VEC_INIT};
        struct rules_manager *m = a->w->o.rules;
        size_t n = 0;
        struct error *e = matcher_sets_parse(&a->form, true, a->r->arena, &q.sets);
        if (e) {
                api_fail_error(a, API_BAD_DATA, e, NULL);
        } else if (parameters_read(a, &q)) {
                struct rule_group *const *v = NULL;
                if (m) {
                        rules_manager_read(m);
                        v = rules_manager_groups(m, &n);
                }
                if (!put_groups(a, &q, v, n))
                        api_fail_param(a, "group_next_token",
                                       error_new(ERROR_INVALID, "invalid group_next_token '" STR_FMT "'. were rule groups changed?", STR_ARG(q.token)));
                if (m)
                        rules_manager_read_end(m);
        }
        matcher_sets_done(&q.sets);
}

static void alerts(struct api *a)
{
        struct rules_manager *m = a->w->o.rules;
        size_t n_groups = 0, n = 0;
        api_begin(a);
        buf_puts(&a->out, "{\"alerts\":[");
        if (m) {
                rules_manager_read(m);
                struct rule_group *const *v = rules_manager_groups(m, &n_groups);
                for (size_t i = 0; i < n_groups; i++) {
                        mutex_lock(&v[i]->mu);
                        for (size_t k = 0; k < v[i]->n_rules; k++)
                                put_alerts(a, &v[i]->rules[k], &n);
                        mutex_unlock(&v[i]->mu);
                }
                rules_manager_read_end(m);
        }
        buf_puts(&a->out, "]}");
        api_end(a, NULL, 0, NULL, 0);
}

static void put_urls(struct buf *b, const char *key, const Str *v, size_t n)
{
        json_put_key(b, key);
        buf_putc(b, '[');
        for (size_t i = 0; i < n; i++) {
                buf_puts(b, i ? ",{" : "{");
                json_put_member(b, "url", v[i]);
                buf_putc(b, '}');
        }
        buf_putc(b, ']');
}

static void alertmanagers(struct api *a)
{
        struct notify_urls urls = {0};
        if (a->w->o.notify)
                notify_manager_urls(a->w->o.notify, a->r->arena, &urls);
        api_begin(a);
        buf_putc(&a->out, '{');
        put_urls(&a->out, "activeAlertmanagers", urls.active, urls.n_active);
        buf_putc(&a->out, ',');
        put_urls(&a->out, "droppedAlertmanagers", urls.dropped, urls.n_dropped);
        buf_putc(&a->out, '}');
        api_end(a, NULL, 0, NULL, 0);
}

static void notifications(struct api *a)
{
        empty(a, "[]");
}

void api_rules_register(struct web *w)
{
        api_handle(w, "rules", HTTP_GET, 0, rules);
        api_handle(w, "alerts", HTTP_GET, 0, alerts);
        api_handle(w, "alertmanagers", HTTP_GET, 0, alertmanagers);
        api_handle(w, "notifications", HTTP_GET, 0, notifications);
}
