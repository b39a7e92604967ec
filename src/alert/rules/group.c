/* SPDX-License-Identifier: Apache-2.0 */
/* A group: made of its definition, evaluated, its state carried over a reload, the `for` state of alerts restored.  Upstream: rules/group.go */
#include "alert/rules/private.h"
#include "alert/template/template.h"
#include "base/hash.h"
#include "base/log.h"
#include "codec/json.h"
#include "storage/decode.h"

enum { GROUP_MEMORY_MAX_BYTES = 1 << 30, PARSE_MAX_BYTES = 256 << 20, EVAL_MEMORY_MAX_BYTES = 2047 << 20 };

/* ---- life ---- */

static struct error *templates_make(struct rule *r, Labels ls, struct alert_template **v)
{
        for (size_t i = 0; i < ls.n; i++) {
                struct error *e = alert_template_new(r->name, ls.v[i].value, &v[i]);
                if (e)
                        return e;
        }
        return NULL;
}

static Labels labels_borrowed_dup(struct arena *a, Labels ls)
{
        Label *v = arena_array(a, Label, ls.n + 1);
        for (size_t i = 0; i < ls.n; i++)
                v[i] = (Label){arena_str(a, ls.v[i].name), arena_str(a, ls.v[i].value)};
        return (Labels){v, ls.n};
}

static struct error *rule_init(struct rule_group *g, struct rule *r, const struct rule_group_def *gd, const struct rule_def *d, bool restored, struct arena *scratch,
                               struct promql_tree *ret_tree)
{
        struct arena *a = &g->private->arena;
        struct error *e = promql_parse(&g->private->m->o.parse, d->expr, scratch, ret_tree);
        if (e)
                return e;
        struct buf b = BUF_INIT(64 << 20);
        promql_print(&b, ret_tree->root);
        r->query = arena_str(a, buf_str(&b));
        buf_done(&b);
        r->is_alert = d->alert.n > 0;
        r->name = arena_str(a, r->is_alert ? d->alert : d->record);
        r->hold_ms = d->for_ms;
        r->keep_firing_ms = d->keep_firing_ms;
        r->labels = labels_borrowed_dup(a, rule_labels_join(scratch, gd->labels, d->labels));
        r->annotations = labels_borrowed_dup(a, d->annotations);
        r->evaluated_ns = RULE_TIME_NONE;
        r->restored = restored;
        if (!r->is_alert)
                return NULL;
        r->label_templates = arena_zalloc(a, (r->labels.n + 1) * sizeof *r->label_templates);
        r->annotation_templates = arena_zalloc(a, (r->annotations.n + 1) * sizeof *r->annotation_templates);
        e = templates_make(r, r->labels, r->label_templates);
        return e ? e : templates_make(r, r->annotations, r->annotation_templates);
}

struct error *rule_group_new(struct rules_manager *m, const struct rules_conf *c, Str file, const struct rule_group_def *d, bool restore, struct rule_group **ret)
{
        struct rule_group *g = mem_new(struct rule_group);
        struct rule_group_private *p = g->private = mem_new(struct rule_group_private);
        struct arena scratch;
        struct error *e = NULL;
        mutex_init(&g->mu);
        arena_init(&p->arena, GROUP_MEMORY_MAX_BYTES);
        arena_init(&scratch, PARSE_MAX_BYTES);
        p->m = m;
        g->name = arena_str(&p->arena, d->name);
        g->file = arena_str(&p->arena, file);
        g->key = arena_printf(&p->arena, STR_FMT ";" STR_FMT, STR_ARG(file), STR_ARG(d->name));
        g->interval_ms = d->interval_ms ? d->interval_ms : c->interval_ms;
        g->has_query_offset = d->has_query_offset;
        g->query_offset_ms = d->query_offset_ms;
        g->limit = d->limit;
        g->last_eval_ns = RULE_TIME_NONE;
        p->should_restore = restore;
        p->external_labels = labels_dup(&p->arena, c->external_labels);
        p->external_url = arena_str(&p->arena, c->external_url.n ? c->external_url : str_from(m->o.external_url));
        struct buf origin = BUF_INIT(1 << 20);
        buf_puts(&origin, "\"ruleGroup\":{\"file\":");
        json_put_str(&origin, file);
        buf_puts(&origin, ",\"name\":");
        json_put_str(&origin, d->name);
        buf_putc(&origin, '}');
        p->origin_json = arena_str(&p->arena, buf_str(&origin));
        buf_done(&origin);
        g->n_rules = d->n_rules;
        g->rules = arena_zalloc(&p->arena, arena_array_bytes(d->n_rules + 1, sizeof *g->rules));
        struct promql_tree *trees = mem_zalloc((d->n_rules + 1) * sizeof *trees);
        for (size_t i = 0; !e && i < d->n_rules; i++)
                e = rule_init(g, &g->rules[i], d, &d->rules[i], !restore, &scratch, &trees[i]);
        if (!e)
                rule_batches_make(g, trees);
        for (size_t i = 0; i < d->n_rules; i++)
                promql_tree_done(&trees[i]);
        free(trees);
        arena_done(&scratch);
        if (e) {
                rule_group_free(g);
                return e;
        }
        *ret = g;
        return NULL;
}

void rule_group_free(struct rule_group *g)
{
        if (!g)
                return;
        struct rule_group_private *p = g->private;
        for (size_t i = 0; i < g->n_rules; i++) {
                struct rule *r = &g->rules[i];
                for (size_t k = 0; r->label_templates && k < r->labels.n; k++)
                        alert_template_free(r->label_templates[k]);
                for (size_t k = 0; r->annotation_templates && k < r->annotations.n; k++)
                        alert_template_free(r->annotation_templates[k]);
                rule_table_done(&r->active, alert_free);
                rule_table_done(&r->written, rule_series_free);
                free(r->last_error);
        }
        for (size_t i = 0; i < p->stale.n; i++)
                labels_release(p->stale.p[i]);
        vec_done(&p->stale);
        mutex_done(&g->mu);
        arena_done(&p->arena);
        free(p);
        free(g);
}

static bool rule_eq(const struct rule *a, const struct rule *b)
{
        return a->is_alert == b->is_alert && str_eq(a->name, b->name) && str_eq(a->query, b->query) && a->hold_ms == b->hold_ms && a->keep_firing_ms == b->keep_firing_ms &&
               labels_eq(a->labels, b->labels) && labels_eq(a->annotations, b->annotations);
}

bool rule_group_eq(const struct rule_group *a, const struct rule_group *b)
{
        bool same = str_eq(a->key, b->key) && a->interval_ms == b->interval_ms && a->limit == b->limit && a->has_query_offset == b->has_query_offset &&
                    a->query_offset_ms == b->query_offset_ms && a->n_rules == b->n_rules;
        for (size_t i = 0; same && i < a->n_rules; i++)
                same = rule_eq(&a->rules[i], &b->rules[i]);
        return same;
}

/* Rules of the same name and labels go on where they were: the first of them with the first, and so on. */
void rule_group_copy_state(struct rule_group *g, struct rule_group *from)
{
        bool *taken = mem_zalloc(from->n_rules + 1);
        g->eval_duration_ns = from->eval_duration_ns;
        g->last_eval_ns = from->last_eval_ns;
        for (size_t i = 0; i < g->n_rules; i++) {
                struct rule *r = &g->rules[i];
                for (size_t k = 0; k < from->n_rules; k++) {
                        struct rule *f = &from->rules[k];
                        if (taken[k] || !str_eq(r->name, f->name) || !labels_eq(r->labels, f->labels))
                                continue;
                        taken[k] = true;
                        r->written = f->written;
                        r->generation = f->generation;
                        f->written = (struct rule_table){0};
                        if (r->is_alert && f->is_alert) {
                                r->active = f->active;
                                f->active = (struct rule_table){0};
                        }
                        break;
                }
        }
        free(taken);
        rule_group_retire(from);
        for (size_t i = 0; i < from->private->stale.n; i++)
                vec_push(&g->private->stale, from->private->stale.p[i]);
        vec_clear(&from->private->stale);
}

void rule_group_retire(struct rule_group *g)
{
        for (size_t i = 0; i < g->n_rules; i++) {
                struct rule_table *t = &g->rules[i].written;
                for (size_t k = 0; k < t->v.n; k++)
                        vec_push(&g->private->stale, labels_keep(t->v.p[k]->labels));
                rule_table_done(t, rule_series_free);
        }
}

/* ---- storing results ---- */

static bool is_expected_refusal(const struct error *e)
{
        return e == &error_out_of_order_sample || e == &error_too_old_sample || e == &error_duplicate_sample;
}

/* Not kept as an error of the rule: the series may come from another rule by now. */
static void append_stale(struct rule_group *g, struct appender *app, SeriesRef ref, Labels ls, TimeMs t)
{
        SeriesRef ignored;
        struct error *e = appender_append(app, ref, ls, t, float_of_bits(STALE_NAN_BITS), &ignored);
        if (e && !is_expected_refusal(e))
                log_warn("rule manager", "Adding stale sample failed", KV_STR("file", g->file), KV_STR("group", g->name), KV_E(e));
        error_free(e);
}

void rule_group_mark_stale(struct rule_group *g, int64_t ts_ns)
{
        struct rule_group_private *p = g->private;
        struct appender *app;
        if (p->stale.n == 0)
                return;
        struct error *e = storage_appender(p->m->o.results, &app);
        if (!e) {
                for (size_t i = 0; i < p->stale.n; i++)
                        append_stale(g, app, 0, p->stale.p[i], ns_to_ms(ns_sub(ts_ns, rule_group_offset_ms(g) * 1000000)));
                e = appender_commit(app);
        }
        if (e) {
                log_warn("rule manager", "Stale sample appending for previous configuration failed", KV_STR("file", g->file), KV_STR("group", g->name), KV_E(e));
                error_free(e);
                return;
        }
        for (size_t i = 0; i < p->stale.n; i++)
                labels_release(p->stale.p[i]);
        vec_clear(&p->stale);
}

static void rule_set_error(struct rule_group *g, struct rule *r, const struct error *e)
{
        mutex_lock(&g->mu);
        free(r->last_error);
        r->last_error = e ? mem_strdup(error_str(e)) : NULL;
        r->health = e ? RULE_ERR : RULE_OK;
        mutex_unlock(&g->mu);
}

struct refused {
        size_t out_of_order, too_old, duplicates;
};

static void refusals_log(const struct rule_group *g, const struct rule *r, const struct refused *n)
{
        if (n->out_of_order)
                log_warn("rule manager", "Error on ingesting out-of-order result from rule evaluation", KV_STR("file", g->file), KV_STR("group", g->name),
                         KV_STR("name", r->name), KV_I("num_dropped", n->out_of_order));
        if (n->too_old)
                log_warn("rule manager", "Error on ingesting too old result from rule evaluation", KV_STR("file", g->file), KV_STR("group", g->name),
                         KV_STR("name", r->name), KV_I("num_dropped", n->too_old));
        if (n->duplicates)
                log_warn("rule manager", "Error on ingesting results from rule evaluation with different value but same timestamp", KV_STR("file", g->file),
                         KV_STR("group", g->name), KV_STR("name", r->name), KV_I("num_dropped", n->duplicates));
}

/* Of the rule's series, those that were not seen in this generation are let go, or, when nothing was stored, those that were born in it. */
static void series_settle(struct rule *r, bool stored)
{
        size_t kept = 0;
        for (size_t i = 0; i < r->written.v.n; i++) {
                struct rule_series *s = CONTAINER_OF(r->written.v.p[i], struct rule_series, key);
                if (stored ? s->seen == r->generation : s->born != r->generation)
                        r->written.v.p[kept++] = &s->key;
                else
                        rule_series_free(&s->key);
        }
        if (kept != r->written.v.n) {
                r->written.v.n = kept;
                rule_table_rebuild(&r->written);
        }
}

static struct error *append_one(struct appender *app, const struct rule_sample *s, TimeMs t, SeriesRef ref, SeriesRef *ret_ref)
{
        if (s->h)
                return appender_append_histogram(app, ref, s->labels, t, (struct histogram_sample){.f = s->h}, ret_ref);
        return appender_append(app, ref, s->labels, t, s->v, ret_ref);
}

static struct error *results_store(struct rule_group *g, struct rule *r, const RuleSamples *samples, TimeMs t)
{
        struct appender *app;
        struct refused refused = {0};
        struct error *first = NULL, *e = storage_appender(g->private->m->o.results, &app);
        if (e)
                return e;
        r->generation++;
        for (size_t i = 0; i < samples->n; i++) {
                const struct rule_sample *s = &samples->p[i];
                uint64_t hash = labels_hash(s->labels);
                struct rule_entry *found = rule_table_find(&r->written, hash, s->labels);
                struct rule_series *series = found ? CONTAINER_OF(found, struct rule_series, key) : NULL;
                SeriesRef ref = 0;
                e = append_one(app, s, t, series ? series->ref : 0, &ref);
                if (e) {
                        refused.out_of_order += e == &error_out_of_order_sample;
                        refused.too_old += e == &error_too_old_sample;
                        refused.duplicates += e == &error_duplicate_sample;
                        if (!is_expected_refusal(e))
                                log_warn("rule manager", "Rule evaluation result discarded", KV_STR("file", g->file), KV_STR("group", g->name), KV_STR("name", r->name), KV_E(e));
                        error_free(first);
                        first = e;
                        continue;
                }
                if (!series) {
                        series = mem_new(struct rule_series);
                        series->key = (struct rule_entry){hash, labels_keep(s->labels)};
                        series->born = r->generation;
                        rule_table_add(&r->written, &series->key);
                }
                series->ref = ref;
                series->seen = r->generation;
        }
        refusals_log(g, r, &refused);
        for (size_t i = 0; i < r->written.v.n; i++) {
                struct rule_series *s = CONTAINER_OF(r->written.v.p[i], struct rule_series, key);
                if (s->seen != r->generation)
                        append_stale(g, app, s->ref, s->key.labels, t);
        }
        e = appender_commit(app);
        series_settle(r, /* stored= */ !e);
        if (e) {
                log_warn("rule manager", "Rule sample appending failed", KV_STR("file", g->file), KV_STR("group", g->name), KV_STR("name", r->name), KV_E(e));
                if (g->private->metrics.failures)
                        metric_add(g->private->metrics.failures, 1);
                error_free(first);
                first = e;
        }
        return first;
}

/* ---- evaluation ---- */

struct group_run {
        struct rule_group *g;
        int64_t ts_ns;
        const size_t *batch;            /* NULL: all in order */
        _Atomic uint64_t samples;
};

static void rule_run(struct group_run *run, struct rule *r)
{
        struct rule_group *g = run->g;
        struct rules_manager *m = g->private->m;
        struct arena a;
        struct query_result result = {0};
        RuleSamples samples = VEC_INIT;
        int64_t begin = time_mono_ns(), wall_ns = clock_now_ms(m->clock) * 1000000, offset_ms = rule_group_offset_ms(g);
        arena_init(&a, EVAL_MEMORY_MAX_BYTES);
        if (g->private->metrics.evals)
                metric_add(g->private->metrics.evals, 1);
        struct error *e = (r->is_alert ? rule_eval_alerting : rule_eval_recording)(g, r, run->ts_ns, offset_ms, &a, &result, &samples);
        if (e) {
                rule_set_error(g, r, e);
                if (g->private->metrics.failures)
                        metric_add(g->private->metrics.failures, 1);
                if (!error_is(e, ERROR_CANCELLED))
                        log_warn("rule manager", "Evaluating rule failed", KV_STR("file", g->file), KV_STR("group", g->name), KV_STR("name", r->name), KV_STR("query", r->query), KV_E(e));
        } else {
                run->samples += samples.n;
                if (r->is_alert)
                        rule_send_alerts(g, r, run->ts_ns);
                e = results_store(g, r, &samples, ns_to_ms(ns_sub(run->ts_ns, offset_ms * 1000000)));
                rule_set_error(g, r, e);
        }
        error_free(e);
        vec_done(&samples);
        query_result_done(&result);
        arena_done(&a);
        int64_t took = time_mono_ns() - begin;
        mutex_lock(&g->mu);
        r->eval_duration_ns = took;
        r->evaluated_ns = wall_ns;
        mutex_unlock(&g->mu);
        if (m->metrics.eval_duration) {
                metric_observe(m->metrics.eval_duration, (double)took / 1e9);
                metric_observe(m->metrics.eval_histogram, (double)took / 1e9);
        }
}

static void batch_step(void *ctx, size_t i, int worker)
{
        struct group_run *run = ctx;
        if (!run->g->private->stopping)
                rule_run(run, &run->g->rules[run->batch[i]]);
}

void rule_group_eval(struct rule_group *g, int64_t ts_ns)
{
        struct rule_group_private *p = g->private;
        struct group_run run = {.g = g, .ts_ns = ts_ns};
        if (p->batches.n == 0) {
                for (size_t i = 0; i < g->n_rules; i++) {
                        if (p->stopping)
                                return;
                        rule_run(&run, &g->rules[i]);
                }
        } else {
                size_t from = 0;
                for (size_t i = 0; i < p->batches.n; i++) {
                        if (p->stopping)
                                return;
                        run.batch = p->batches.rules + from;
                        pool_each(p->batches.ends[i] - from > 1 ? p->m->eval_pool : NULL, p->batches.ends[i] - from, batch_step, &run);
                        from = p->batches.ends[i];
                }
        }
        if (p->metrics.samples)
                metric_set(p->metrics.samples, (double)run.samples);
        rule_group_mark_stale(g, ts_ns);
}

void rule_group_iterate(struct rule_group *g, int64_t ts_ns)
{
        struct rules_manager *m = g->private->m;
        int64_t begin = time_mono_ns(), wall_ns = clock_now_ms(m->clock) * 1000000, sum = 0;
        if (g->private->metrics.scheduled)
                metric_add(g->private->metrics.scheduled, 1);
        rule_group_eval(g, ts_ns);
        int64_t took = time_mono_ns() - begin;
        mutex_lock(&g->mu);
        g->eval_duration_ns = took;
        g->last_eval_ns = wall_ns;
        for (size_t i = 0; i < g->n_rules; i++)
                sum += g->rules[i].eval_duration_ns;
        mutex_unlock(&g->mu);
        if (!m->metrics.iteration_duration)
                return;
        metric_observe(m->metrics.iteration_duration, (double)took / 1e9);
        metric_observe(m->metrics.iteration_histogram, (double)took / 1e9);
        metric_set(g->private->metrics.last_rule_sum, (double)sum / 1e9);
        metric_set(g->private->metrics.last_duration, (double)took / 1e9);
        metric_set(g->private->metrics.last_eval, (double)wall_ns / 1e9);
}

/* The hash of {file="…", name="…"} as the original keeps label sets in memory: each string behind its length. */
static uint64_t group_hash(const struct rule_group *g)
{
        const Str parts[] = {STR("file"), g->file, STR("name"), g->name};
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
                size_t n = parts[i].n;
                if (n < 255) {
                        buf_putc(&b, (char)n);
                } else {
                        const char size[] = {(char)255, (char)n, (char)(n >> 8), (char)(n >> 16)};
                        buf_append(&b, size, sizeof size);
                }
                buf_put(&b, parts[i]);
        }
        uint64_t hash = hash_str(buf_str(&b));
        buf_done(&b);
        return hash;
}

int64_t rule_group_slot_ns(const struct rule_group *g, int64_t ns)
{
        int64_t interval = g->interval_ms * 1000000, offset = (int64_t)(group_hash(g) % (uint64_t)interval), moved = ns_sub(ns, offset);
        return ns_add(moved - moved % interval, offset);
}

/* ---- restoring ---- */

/* Labels of an alert as its ALERTS_FOR_STATE series has them, without the name. */
static struct alert *alert_of_series(struct rule *r, Labels ls, struct arena *a)
{
        struct labels_builder b;
        labels_builder_init(&b);
        labels_builder_reset(&b, ls);
        labels_builder_del(&b, STR(METRIC_NAME));
        Labels without = labels_builder_labels(&b, a);
        labels_builder_done(&b);
        struct rule_entry *e = rule_table_find(&r->active, labels_hash(without), without);
        return e ? CONTAINER_OF(e, struct alert, key) : NULL;
}

static void alert_restore(struct rules_manager *m, const struct rule *r, struct alert *a, TimeMs t_ms, double v, int64_t ts_ns)
{
        int64_t down_ns = t_ms / 1000 * 1000000000, hold_ns = r->hold_ms * 1000000, grace_ns = m->o.grace_period_ms * 1000000;
        if (!(v >= -1e9 && v <= 9e9))
                return;
        int64_t active_ns = (int64_t)v * 1000000000, remaining = ns_sub(hold_ns, ns_sub(down_ns, active_ns));
        /* It was firing: the next evaluation makes it fire again. Else what is left of `for` counts, but at least the grace period. */
        if (remaining > 0 && remaining < grace_ns)
                active_ns = ns_sub(ns_add(ts_ns, grace_ns), hold_ns);
        else if (remaining > 0)
                active_ns = ns_add(active_ns, ns_sub(ts_ns, down_ns));
        a->active_ns = active_ns;
}

static struct error *rule_restore(struct rule_group *g, struct rule *r, struct querier *q, struct arena *a, TimeMs mint_ms, TimeMs maxt_ms, int64_t ts_ns)
{
        MatcherVec matchers = VEC_INIT;
        struct matcher *one;
        struct error *e = matcher_new(MATCH_EQ, STR(METRIC_NAME), STR("ALERTS_FOR_STATE"), &one);
        if (!e)
                vec_push(&matchers, one);
        if (!e)
                e = matcher_new(MATCH_EQ, STR("alertname"), r->name, &one);
        if (!e)
                vec_push(&matchers, one);
        for (size_t i = 0; !e && i < r->labels.n; i++) {
                /* Labels that are templates differ from alert to alert. */
                Label l = r->labels.v[i];
                if (str_find_str(l.value, STR("{{")) >= 0 || str_eq(l.name, STR("alertname")) || l.value.n == 0)
                        continue;
                e = matcher_new(MATCH_EQ, l.name, l.value, &one);
                if (!e)
                        vec_push(&matchers, one);
        }
        struct series_set *set = NULL;
        struct select_hints hints = {.start_ms = mint_ms, .end_ms = maxt_ms};
        if (!e)
                e = querier_select(q, &hints, (const struct matcher *const *)matchers.p, matchers.n, &set);
        struct samples samples = SAMPLES_INIT;
        for (bool more = true; !e && more;) {
                struct series s;
                e = series_set_next(set, &s, &more);
                if (e || !more)
                        break;
                e = series_decode(&s, mint_ms, maxt_ms, &samples);
                if (e || samples.n == 0)
                        continue;
                size_t last = samples.n - 1;
                mutex_lock(&g->mu);
                struct alert *al = alert_of_series(r, s.labels, a);
                if (al && !is_stale_nan(samples.v[last]))
                        alert_restore(g->private->m, r, al, samples.t[last], samples.v[last], ts_ns);
                mutex_unlock(&g->mu);
        }
        samples_done(&samples);
        matcher_vec_done(&matchers);
        return e;
}

void rule_group_restore(struct rule_group *g, int64_t ts_ns)
{
        struct rules_manager *m = g->private->m;
        int64_t begin = time_mono_ns();
        TimeMs maxt = ns_to_ms(ts_ns), mint = maxt - m->o.outage_tolerance_ms;
        struct arena a;
        struct querier *q;
        arena_init(&a, EVAL_MEMORY_MAX_BYTES);
        struct error *e = storage_querier(m->o.storage, mint, maxt, &a, &q);
        if (e) {
                log_error("rule manager", "Failed to get Querier", KV_STR("file", g->file), KV_STR("group", g->name), KV_E(e));
                error_free(e);
        } else {
                for (size_t i = 0; i < g->n_rules; i++) {
                        struct rule *r = &g->rules[i];
                        if (!r->is_alert)
                                continue;
                        /* A shorter `for` would have to wait longer than without restoring. */
                        if (r->hold_ms >= m->o.grace_period_ms) {
                                e = rule_restore(g, r, q, &a, mint, maxt, ts_ns);
                                if (e)
                                        log_error("rule manager", "Failed to restore 'for' state", KV_STR("alertname", r->name), KV_E(e));
                                error_free(e);
                        }
                        mutex_lock(&g->mu);
                        r->restored = true;
                        mutex_unlock(&g->mu);
                }
                querier_close(q);
        }
        arena_done(&a);
        g->private->should_restore = false;
        if (m->metrics.last_restore)
                metric_set(metric_with(m->metrics.last_restore, (Str[]){g->key}), (double)(time_mono_ns() - begin) / 1e9);
}
