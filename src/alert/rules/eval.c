/* SPDX-License-Identifier: Apache-2.0 */
/* One rule at one time: its query, what becomes of the result, and the life of its alerts.  Upstream: rules/recording.go, alerting.go */
#include "alert/rules/private.h"
#include "alert/template/template.h"
#include "base/log.h"
#include "io/http/form.h"

#define RESOLVED_RETENTION_NS (INT64_C(15) * 60 * 1000000000)
enum { EXPANDED_MAX_BYTES = 16 << 20 };

const char *rule_health_name(enum rule_health h)
{
        static const char *const names[] = {"unknown", "ok", "err"};
        return names[h];
}

const char *alert_state_name(enum alert_state s)
{
        static const char *const names[] = {"unknown", "inactive", "pending", "firing"};
        return names[s];
}

enum alert_state rule_state_locked(const struct rule *r)
{
        enum alert_state max = ALERT_INACTIVE;
        if (r->evaluated_ns == RULE_TIME_NONE)
                return ALERT_UNKNOWN;
        for (size_t i = 0; i < r->active.v.n; i++) {
                const struct alert *a = CONTAINER_OF(r->active.v.p[i], struct alert, key);
                max = MAX(max, a->state);
        }
        return max;
}

int64_t rule_group_offset_ms(const struct rule_group *g)
{
        return g->has_query_offset ? g->query_offset_ms : g->private->m->query_offset_ms;
}

/* ---- queries ---- */

static struct error *query_at(struct rule_group *g, Str text, TimeMs at_ms, struct query_result *ret)
{
        struct rules_manager *m = g->private->m;
        if (m->o.query)
                return m->o.query(m->o.query_ctx, text, at_ms, g->private->origin_json, &m->cancel, ret);
        struct query_opts q = {.text = text, .start_ms = at_ms, .end_ms = at_ms, .cancel = &m->cancel, .origin_json = g->private->origin_json};
        return engine_instant(m->o.engine, m->o.storage, &q, ret);
}

/* A scalar becomes a vector of one sample without labels. */
static struct error *vector_of(struct rule_group *g, Str text, TimeMs at_ms, struct arena *a, struct query_result *ret_result, RuleSamples *ret)
{
        struct error *e = query_at(g, text, at_ms, ret_result);
        if (e)
                return e;
        if (ret_result->type == VALUE_SCALAR) {
                vec_push(ret, (struct rule_sample){.v = ret_result->scalar});
                return NULL;
        }
        if (ret_result->type != VALUE_VECTOR)
                return error_new(ERROR_INVALID, "rule result is not a vector or scalar");
        vec_reserve(ret, ret_result->n_series);
        for (size_t i = 0; i < ret_result->n_series; i++) {
                const struct result_series *s = &ret_result->series[i];
                vec_push(ret, (struct rule_sample){s->labels, s->n ? s->v[0] : 0, s->n ? NULL : s->h[0]});
        }
        return NULL;
}

/* Open addressing over the samples' labels; true: two are the same. hashes are filled in. */
static bool has_same_labels(const struct rule_sample *v, size_t n, struct arena *a, uint64_t *hashes)
{
        size_t slots = 8;
        while (slots < n * 2)
                slots *= 2;
        uint32_t *slot = arena_zalloc(a, slots * sizeof *slot);
        for (size_t i = 0; i < n; i++) {
                hashes[i] = labels_hash(v[i].labels);
                size_t k = hashes[i] & (slots - 1);
                for (; slot[k]; k = (k + 1) & (slots - 1)) {
                        if (hashes[slot[k] - 1] == hashes[i] && labels_eq(v[slot[k] - 1].labels, v[i].labels))
                                return true;
                }
                slot[k] = (uint32_t)i + 1;
        }
        return false;
}

/* ---- recording ---- */

struct error *rule_eval_recording(struct rule_group *g, struct rule *r, int64_t ts_ns, int64_t offset_ms, struct arena *a, struct query_result *ret_result, RuleSamples *ret)
{
        struct error *e = vector_of(g, r->query, ns_to_ms(ns_sub(ts_ns, offset_ms * 1000000)), a, ret_result, ret);
        if (e)
                return e;
        struct labels_builder b;
        labels_builder_init(&b);
        for (size_t i = 0; i < ret->n; i++) {
                labels_builder_reset(&b, ret->p[i].labels);
                labels_builder_set(&b, STR(METRIC_NAME), r->name);
                for (size_t k = 0; k < r->labels.n; k++)
                        labels_builder_set(&b, r->labels.v[k].name, r->labels.v[k].value);
                ret->p[i].labels = labels_builder_labels(&b, a);
        }
        labels_builder_done(&b);
        uint64_t *hashes = arena_array(a, uint64_t, ret->n + 1);
        if (has_same_labels(ret->p, ret->n, a, hashes))
                return error_new(ERROR_INVALID, "vector contains metrics with the same labelset after applying rule labels");
        if (g->limit > 0 && ret->n > (uint64_t)g->limit)
                return error_new(ERROR_LIMIT, "exceeded limit of %lld with %zu series", (long long)g->limit, ret->n);
        return NULL;
}

/* ---- alerting ---- */

static struct error *template_query(void *ctx, Str text, TimeMs at_ms, struct query_result *ret)
{
        return query_at(ctx, text, at_ms, ret);
}

static Str expand(struct rule_group *g, struct rule *r, const struct alert_template *t, const struct alert_template_data *d, const struct prom_template_env *env, struct arena *a)
{
        struct buf b = BUF_INIT(EXPANDED_MAX_BYTES);
        struct rule_metrics *m = &g->private->m->metrics;
        struct error *e = alert_template_expand(t, d, env, &b);
        if (m->expansions)
                metric_add(m->expansions, 1);
        if (e) {
                if (m->expansion_failures)
                        metric_add(m->expansion_failures, 1);
                log_warn("rule manager", "Expanding alert template failed", KV_STR("alert", r->name), KV_E(e));
                buf_clear(&b);
                buf_printf(&b, "<error expanding template: %s>", error_str(e));
                error_free(e);
        }
        Str out = arena_str(a, buf_str(&b));
        buf_done(&b);
        return out;
}

struct candidate {
        Labels labels, annotations;
        uint64_t hash;
        double value;
};

/* What each sample of the result is as an alert. */
static struct error *candidates_make(struct rule_group *g, struct rule *r, int64_t ts_ns, struct arena *a, RuleSamples *result, struct candidate **ret)
{
        struct rules_manager *m = g->private->m;
        struct prom_template_env env = {.at_ms = ns_to_ms(ts_ns), .external_url = str_from(m->o.external_url ? m->o.external_url : ""), .query = template_query, .ctx = g};
        struct candidate *v = arena_array(a, struct candidate, result->n + 1);
        uint64_t *hashes = arena_array(a, uint64_t, result->n + 1);
        struct rule_sample *named = arena_array(a, struct rule_sample, result->n + 1);
        struct labels_builder b;
        labels_builder_init(&b);
        for (size_t i = 0; i < result->n; i++) {
                const struct rule_sample *s = &result->p[i];
                struct alert_template_data d = {
                        .labels = s->labels, .external_labels = g->private->external_labels, .external_url = g->private->external_url, .value = s->v, .h = s->h};
                labels_builder_reset(&b, s->labels);
                labels_builder_del(&b, STR(METRIC_NAME));
                for (size_t k = 0; k < r->labels.n; k++)
                        labels_builder_set(&b, r->labels.v[k].name, expand(g, r, r->label_templates[k], &d, &env, a));
                labels_builder_set(&b, STR("alertname"), r->name);
                Label *notes = arena_array(a, Label, r->annotations.n + 1);
                for (size_t k = 0; k < r->annotations.n; k++)
                        notes[k] = (Label){r->annotations.v[k].name, expand(g, r, r->annotation_templates[k], &d, &env, a)};
                v[i] = (struct candidate){.labels = labels_builder_labels(&b, a), .annotations = {notes, r->annotations.n}, .value = s->v};
                named[i].labels = v[i].labels;
        }
        labels_builder_done(&b);
        if (has_same_labels(named, result->n, a, hashes))
                return error_new(ERROR_INVALID, "vector contains metrics with the same labelset after applying alert labels");
        for (size_t i = 0; i < result->n; i++)
                v[i].hash = hashes[i];
        *ret = v;
        return NULL;
}

/* A new alert, or new values of one that is there. One that was resolved begins anew. */
static struct alert *alert_take(struct rule *r, const struct candidate *c, int64_t ts_ns)
{
        struct rule_entry *e = rule_table_find(&r->active, c->hash, c->labels);
        struct alert *a = e ? CONTAINER_OF(e, struct alert, key) : NULL;
        if (!a) {
                a = mem_new(struct alert);
                a->key = (struct rule_entry){c->hash, labels_keep(c->labels)};
                rule_table_add(&r->active, &a->key);
        } else {
                labels_release(a->annotations);
        }
        a->annotations = labels_keep(c->annotations);
        a->value = c->value;
        if (!e || a->state == ALERT_INACTIVE) {
                a->state = ALERT_PENDING;
                a->active_ns = ts_ns;
                a->fired_ns = a->resolved_ns = a->last_sent_ns = a->valid_until_ns = a->keep_firing_ns = RULE_TIME_NONE;
        }
        return a;
}

static Labels sample_labels(struct rule *r, const struct alert *al, const char *name, bool with_state, struct labels_builder *b, struct arena *a)
{
        labels_builder_reset(b, (Labels){NULL, 0});
        for (size_t i = 0; i < r->labels.n; i++)
                labels_builder_set(b, r->labels.v[i].name, r->labels.v[i].value);
        for (size_t i = 0; i < al->key.labels.n; i++)
                labels_builder_set(b, al->key.labels.v[i].name, al->key.labels.v[i].value);
        labels_builder_set(b, STR(METRIC_NAME), str_from(name));
        labels_builder_set(b, STR("alertname"), r->name);
        if (with_state)
                labels_builder_set(b, STR("alertstate"), str_from(alert_state_name(al->state)));
        return labels_builder_labels(b, a);
}

/* The alert is no more in the result. True: it keeps firing; *ret_forget: it leaves the table. */
static bool alert_absent(struct rule *r, struct alert *a, int64_t ts_ns, bool *ret_forget)
{
        bool keep = false;
        if (a->state == ALERT_FIRING && r->keep_firing_ms > 0) {
                if (a->keep_firing_ns == RULE_TIME_NONE)
                        a->keep_firing_ns = ts_ns;
                keep = ns_sub(ts_ns, a->keep_firing_ns) < r->keep_firing_ms * 1000000;
        }
        /* Resolved alerts stay for a while, so that they are sent again. */
        *ret_forget = a->state == ALERT_PENDING || (a->resolved_ns != RULE_TIME_NONE && ns_sub(ts_ns, a->resolved_ns) > RESOLVED_RETENTION_NS);
        if (a->state != ALERT_INACTIVE && !keep) {
                a->state = ALERT_INACTIVE;
                a->resolved_ns = ts_ns;
        }
        return keep;
}

static void alert_present(struct rule *r, struct alert *a, int64_t ts_ns)
{
        int64_t hold_ns = r->hold_ms * 1000000;
        if (a->state == ALERT_PENDING && ns_sub(ts_ns, a->active_ns) >= hold_ns) {
                a->state = ALERT_FIRING;
                a->fired_ns = ts_ns;
        }
        if (a->state == ALERT_FIRING && ns_sub(ts_ns, a->active_ns) < hold_ns) {       /* the rule's `for` became longer */
                a->state = ALERT_PENDING;
                a->fired_ns = a->last_sent_ns = a->keep_firing_ns = RULE_TIME_NONE;
        }
}

struct error *rule_eval_alerting(struct rule_group *g, struct rule *r, int64_t ts_ns, int64_t offset_ms, struct arena *a, struct query_result *ret_result, RuleSamples *ret)
{
        TimeMs at_ms = ns_to_ms(ns_sub(ts_ns, offset_ms * 1000000));
        struct candidate *c = NULL;
        struct error *e = vector_of(g, r->query, at_ms, a, ret_result, ret);
        if (!e)
                e = candidates_make(g, r, ts_ns, a, ret, &c);
        if (e)
                return e;
        size_t n = ret->n, pending = 0, kept = 0;
        struct labels_builder b;
        vec_clear(ret);
        labels_builder_init(&b);
        mutex_lock(&g->mu);
        struct rule_table present = {0};        /* alerts of the result; the table does not own them */
        for (size_t i = 0; i < n; i++)
                rule_table_add(&present, &alert_take(r, &c[i], ts_ns)->key);
        for (size_t i = 0; i < r->active.v.n; i++) {
                struct alert *al = CONTAINER_OF(r->active.v.p[i], struct alert, key);
                bool forget = false;
                if (!rule_table_find(&present, al->key.hash, al->key.labels)) {
                        if (!alert_absent(r, al, ts_ns, &forget)) {
                                if (forget)
                                        alert_free(&al->key);
                                else
                                        r->active.v.p[kept++] = &al->key;
                                continue;
                        }
                } else {
                        al->keep_firing_ns = RULE_TIME_NONE;
                }
                r->active.v.p[kept++] = &al->key;
                pending++;
                alert_present(r, al, ts_ns);
                if (r->restored) {
                        int64_t active_s = al->active_ns / 1000000000 - (al->active_ns % 1000000000 < 0);
                        vec_push(ret, (struct rule_sample){.labels = sample_labels(r, al, "ALERTS", true, &b, a), .v = 1});
                        vec_push(ret, (struct rule_sample){.labels = sample_labels(r, al, "ALERTS_FOR_STATE", false, &b, a), .v = (double)active_s});
                }
        }
        vec_clear(&present.v);
        rule_table_done(&present, alert_free);
        if (kept != r->active.v.n) {
                r->active.v.n = kept;
                rule_table_rebuild(&r->active);
        }
        /* Names of the samples borrow from alerts that the next evaluation may free: they are copied before the lock is given back. */
        for (size_t i = 0; i < ret->n; i++)
                ret->p[i].labels = labels_dup(a, ret->p[i].labels);
        if (g->limit > 0 && pending > (uint64_t)g->limit) {
                rule_table_done(&r->active, alert_free);
                e = error_new(ERROR_LIMIT, "exceeded limit of %lld with %zu alerts", (long long)g->limit, pending);
        }
        mutex_unlock(&g->mu);
        labels_builder_done(&b);
        return e;
}

static bool needs_sending(const struct alert *a, int64_t ts_ns, int64_t delay_ns)
{
        if (a->state == ALERT_PENDING)
                return false;
        if (a->last_sent_ns == RULE_TIME_NONE)
                return true;
        return a->resolved_ns > a->last_sent_ns || ns_add(a->last_sent_ns, delay_ns) < ts_ns;
}

void rule_send_alerts(struct rule_group *g, struct rule *r, int64_t ts_ns)
{
        struct rules_manager *m = g->private->m;
        int64_t delay_ns = m->o.resend_delay_ms * 1000000, valid_ns = ns_times(MAX(g->interval_ms * 1000000, delay_ns), 4);
        struct arena a;
        VEC(struct rule_notice) notices = VEC_INIT;
        struct buf url = BUF_INIT(16 << 20);
        arena_init(&a, BUF_NO_LIMIT);
        buf_puts(&url, m->o.external_url ? m->o.external_url : "");
        buf_puts(&url, "/graph?g0.expr=");
        url_escape(r->query, URL_QUERY, &url);
        buf_puts(&url, "&g0.tab=1");
        mutex_lock(&g->mu);
        for (size_t i = 0; i < r->active.v.n; i++) {
                struct alert *al = CONTAINER_OF(r->active.v.p[i], struct alert, key);
                if (!needs_sending(al, ts_ns, delay_ns))
                        continue;
                al->last_sent_ns = ts_ns;
                al->valid_until_ns = ns_add(ts_ns, valid_ns);
                vec_push(&notices, (struct rule_notice){.labels = labels_dup(&a, al->key.labels), .annotations = labels_dup(&a, al->annotations), .starts_ns = al->fired_ns,
                                                        .ends_ns = al->resolved_ns != RULE_TIME_NONE ? al->resolved_ns : al->valid_until_ns, .generator_url = buf_str(&url)});
        }
        mutex_unlock(&g->mu);
        if (notices.n && m->o.notify)
                m->o.notify(m->o.notify_ctx, notices.p, notices.n);
        vec_done(&notices);
        buf_done(&url);
        arena_done(&a);
}
