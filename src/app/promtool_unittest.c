/* SPDX-License-Identifier: Apache-2.0 */
/* promtool test rules: series into a storage in memory, groups evaluated step by step, alerts and expressions compared. Texts are the original's.
 * Upstream: cmd/promtool/unittest.go, promql/promqltest (LazyLoader) */
#include <math.h>
#include <stdio.h>

#include "alert/rules/rules.h"
#include "app/promtool.h"
#include "base/file.h"
#include "base/log.h"
#include "codec/float_text.h"
#include "codec/quote.h"
#include "codec/regex.h"
#include "config/config.h"
#include "config/schema.h"
#include "model/duration.h"
#include "model/histogram.h"
#include "storage/memory.h"

enum { FILE_MAX_BYTES = 64 << 20, MEMORY_MAX_BYTES = 1 << 30, TEXT_MAX_BYTES = 256 << 20 };

/* ---- the file ---- */

struct unit_series {
        Str series, values;
};
struct unit_alert {
        Labels labels, annotations;
};
struct unit_alert_test {
        int64_t eval_ms;
        Str alertname;
        struct conf_list alerts;        /* struct unit_alert */
};
struct unit_sample {
        Str labels, histogram;
        double value;
};
struct unit_expr_test {
        Str expr;
        int64_t eval_ms;
        struct conf_list samples;       /* struct unit_sample */
};
struct unit_group {
        int64_t interval_ms;
        struct conf_list series, alerts, exprs;
        Labels external_labels;
        Str external_url, name;
        int64_t start_ms;
};
struct unit_file {
        struct conf_strs rule_files, order;
        int64_t interval_ms;
        struct conf_list groups;
        bool fuzzy;
};

static struct error *start_decode(struct conf_decoder *d, const struct yaml *y, void *at)
{
        if (y->type != YAML_SCALAR) {
                conf_type_error(d, y, "string");
                return NULL;
        }
        int64_t *ms = at;
        if (time_parse(y->text, ms) && *ms > -INT64_C(9000000000000) && *ms < INT64_C(9000000000000))   /* in nanoseconds it fits int64 */
                return NULL;
        struct buf b = BUF_INIT(1 << 16);
        buf_put_go_quoted(&b, y->text);
        struct error *e = error_new(ERROR_INVALID, "cannot parse %s to a valid timestamp", buf_cstr(&b));
        buf_done(&b);
        return e;
}

#define SCHEMA(go, fields, type) {go, fields, ARRAY_LEN(fields), sizeof(type)}
static const struct conf_field series_fields[] = {{"series", CONF_STR, offsetof(struct unit_series, series)}, {"values", CONF_STR, offsetof(struct unit_series, values)}};
static const struct conf_schema series_schema = SCHEMA("main.series", series_fields, struct unit_series);
static const struct conf_field alert_fields[] = {
        {"exp_labels", CONF_LABELS, offsetof(struct unit_alert, labels)}, {"exp_annotations", CONF_LABELS, offsetof(struct unit_alert, annotations)}};
static const struct conf_schema alert_schema = SCHEMA("main.alert", alert_fields, struct unit_alert);
static const struct conf_field alert_test_fields[] = {{"eval_time", CONF_DURATION, offsetof(struct unit_alert_test, eval_ms)},
                                                      {"alertname", CONF_STR, offsetof(struct unit_alert_test, alertname)},
                                                      {"exp_alerts", CONF_LIST, offsetof(struct unit_alert_test, alerts), .sub = &alert_schema}};
static const struct conf_schema alert_test_schema = SCHEMA("main.alertTestCase", alert_test_fields, struct unit_alert_test);
static const struct conf_field sample_fields[] = {{"labels", CONF_STR, offsetof(struct unit_sample, labels)},
                                                  {"value", CONF_FLOAT, offsetof(struct unit_sample, value)},
                                                  {"histogram", CONF_STR, offsetof(struct unit_sample, histogram)}};
static const struct conf_schema sample_schema = SCHEMA("main.sample", sample_fields, struct unit_sample);
static const struct conf_field expr_test_fields[] = {{"expr", CONF_STR, offsetof(struct unit_expr_test, expr)},
                                                     {"eval_time", CONF_DURATION, offsetof(struct unit_expr_test, eval_ms)},
                                                     {"exp_samples", CONF_LIST, offsetof(struct unit_expr_test, samples), .sub = &sample_schema}};
static const struct conf_schema expr_test_schema = SCHEMA("main.promqlTestCase", expr_test_fields, struct unit_expr_test);
static const struct conf_field group_fields[] = {
        {"interval", CONF_DURATION, offsetof(struct unit_group, interval_ms)},
        {"input_series", CONF_LIST, offsetof(struct unit_group, series), .sub = &series_schema},
        {"alert_rule_test", CONF_LIST, offsetof(struct unit_group, alerts), .sub = &alert_test_schema},
        {"promql_expr_test", CONF_LIST, offsetof(struct unit_group, exprs), .sub = &expr_test_schema},
        {"external_labels", CONF_LABELS, offsetof(struct unit_group, external_labels)},
        {"external_url", CONF_STR, offsetof(struct unit_group, external_url)},
        {"name", CONF_STR, offsetof(struct unit_group, name)},
        {"start_timestamp", CONF_CUSTOM, offsetof(struct unit_group, start_ms), .decode = start_decode},
};
static const struct conf_schema group_schema = SCHEMA("main.testGroup", group_fields, struct unit_group);
static const struct conf_field file_fields[] = {
        {"rule_files", CONF_STRS, offsetof(struct unit_file, rule_files)},
        {"evaluation_interval", CONF_DURATION, offsetof(struct unit_file, interval_ms)},
        {"group_eval_order", CONF_STRS, offsetof(struct unit_file, order)},
        {"tests", CONF_LIST, offsetof(struct unit_file, groups), .sub = &group_schema},
        {"fuzzy_compare", CONF_BOOL, offsetof(struct unit_file, fuzzy)},
};
static const struct conf_schema file_schema = SCHEMA("main.unitTestFile", file_fields, struct unit_file);

static struct error *file_decode(const char *path, struct arena *a, struct unit_file *ret)
{
        char *text;
        size_t n;
        struct yaml *root;
        struct error *e = file_read(path, FILE_MAX_BYTES, &text, &n);
        if (e)
                return e;
        e = yaml_parse_with_duplicates(arena_str(a, (Str){text, n}), a, &root);
        free(text);
        if (e || !root)
                return e;
        struct conf_decoder d;
        conf_decoder_init(&d, a);
        e = conf_decode(&d, &file_schema, root, ret);
        struct error *types = conf_decoder_finish(&d);
        if (!e)
                return types;
        error_free(types);
        return e;
}

/* ---- one test group at work ---- */

struct run {
        const struct unit_file *file;
        const PathVec *rule_files;
        struct promtool_features features;
        bool ignore_unknown, debug;

        const struct unit_group *g;
        struct arena arena;             /* of the group */
        struct storage *storage;
        struct engine *engine;
        struct rules_manager *rules;
        VEC(struct rule_group *) groups;        /* in the order of evaluation */
        struct promql_series_line *lines;
        size_t *next;                   /* of each line: value that is appended next */
        ErrorVec *errors;
};

static void PRINTF_LIKE(2, 3) fail(struct run *r, const char *fmt, ...)
{
        struct buf b = BUF_INIT(TEXT_MAX_BYTES);
        va_list ap;
        va_start(ap, fmt);
        buf_vprintf(&b, fmt, ap);
        va_end(ap);
        vec_push(r->errors, error_new(ERROR_INVALID, "%s", buf_cstr(&b)));
        buf_done(&b);
}

static Str duration_text(struct run *r, int64_t ms)
{
        struct buf b = BUF_INIT(64);
        buf_put_duration(&b, ms);
        Str out = arena_str(&r->arena, buf_str(&b));
        buf_done(&b);
        return out;
}

/* The original puts the series into a text, behind a line "load …": positions count in it. */
static bool series_parse(struct run *r)
{
        const struct unit_series *s = r->g->series.v;
        r->lines = arena_zalloc(&r->arena, arena_array_bytes(r->g->series.n + 1, sizeof *r->lines));
        r->next = arena_zalloc(&r->arena, arena_array_bytes(r->g->series.n + 1, sizeof *r->next));
        for (size_t i = 0; i < r->g->series.n; i++) {
                Str line = str_trim(arena_printf(&r->arena, STR_FMT " " STR_FMT, STR_ARG(s[i].series), STR_ARG(s[i].values)));
                struct error *e = promql_parse_series_line(line, &r->arena, &r->lines[i]);
                if (!e)
                        continue;
                Str text = str_from(error_str(e));
                if (str_has_prefix(text, STR("1:")))
                        fail(r, "%zu" STR_FMT, i + 2, STR_ARG(str_skip(text, 1)));
                else
                        fail(r, STR_FMT, STR_ARG(text));
                error_free(e);
                return false;
        }
        return true;
}

static struct error *samples_append(struct run *r, int64_t till_ms)
{
        struct appender *app;
        struct error *e = storage_appender(r->storage, &app);
        if (e)
                return e;
        for (size_t i = 0; !e && i < r->g->series.n; i++) {
                struct promql_series_line *l = &r->lines[i];
                for (; !e && r->next[i] < l->n; r->next[i]++) {
                        const struct promql_series_value *v = &l->values[r->next[i]];
                        int64_t t;
                        SeriesRef ref;
                        if (__builtin_mul_overflow((int64_t)r->next[i], r->g->interval_ms, &t) || __builtin_add_overflow(t, r->g->start_ms, &t) || t > till_ms)
                                break;
                        if (v->omitted)
                                continue;
                        e = v->h ? appender_append_histogram(app, 0, l->labels, t, (struct histogram_sample){.f = v->h}, &ref) : appender_append(app, 0, l->labels, t, v->v, &ref);
                }
        }
        if (e) {
                appender_rollback(app);
                return e;
        }
        return appender_commit(app);
}

static size_t order_of(const struct run *r, Str name)
{
        for (size_t i = 0; i < r->file->order.n; i++) {
                if (str_eq(r->file->order.v[i], name))
                        return i;
        }
        return 0;
}

/* A stable sort: groups that the file does not order stay by file and name. */
static void groups_order(struct run *r)
{
        size_t n;
        struct rule_group *const *all = rules_manager_groups(r->rules, &n);
        for (size_t i = 0; i < n; i++) {
                size_t at = r->groups.n;
                vec_push(&r->groups, all[i]);
                for (; at > 0 && order_of(r, r->groups.p[at - 1]->name) > order_of(r, all[i]->name); at--)
                        r->groups.p[at] = r->groups.p[at - 1];
                r->groups.p[at] = all[i];
        }
        for (size_t i = 0; i < n; i++) {
                for (size_t k = 0; k < all[i]->n_rules; k++)
                        all[i]->rules[k].restored = true;
        }
}

static bool rules_load(struct run *r)
{
        Str *paths = arena_array(&r->arena, Str, r->rule_files->n + 1);
        for (size_t i = 0; i < r->rule_files->n; i++)
                paths[i] = str_from(r->rule_files->p[i]);
        struct rules_conf c = {.interval_ms = r->g->interval_ms, .files = paths, .n_files = r->rule_files->n, .external_labels = r->g->external_labels,
                               .external_url = r->g->external_url, .ignore_unknown_fields = r->ignore_unknown};
        struct error *e = rules_manager_apply(r->rules, &c, r->errors);
        bool ok = !e;
        error_free(e);
        if (ok)
                groups_order(r);
        return ok;
}

/* ---- alerts ---- */

typedef VEC(struct unit_alert) AlertVec;

static int unit_alert_cmp(const void *a, const void *b)
{
        const struct unit_alert *x = a, *y = b;
        int c = labels_cmp(x->labels, y->labels);
        return c ? c : labels_cmp(x->annotations, y->annotations);
}

static void put_indented(struct buf *b, Str text, const char *indent)
{
        for (size_t i = 0; i < text.n; i++) {
                buf_putc(b, text.p[i]);
                if (text.p[i] == '\n')
                        buf_puts(b, indent);
        }
}

static void put_alerts(struct buf *ret, const AlertVec *v)
{
        struct buf b = BUF_INIT(TEXT_MAX_BYTES);
        if (v->n == 0) {
                buf_puts(ret, "[]");
                return;
        }
        buf_putc(&b, '[');
        for (size_t i = 0; i < v->n; i++) {
                buf_printf(&b, "%s\n%zu:\n  Labels:", i ? "," : "", i);
                labels_print(&b, v->p[i].labels);
                buf_puts(&b, "\n  Annotations:");
                labels_print(&b, v->p[i].annotations);
        }
        buf_puts(&b, "\n]");
        put_indented(ret, buf_str(&b), "            ");
        buf_done(&b);
}

static bool alerts_eq(const AlertVec *a, const AlertVec *b)
{
        bool same = a->n == b->n;
        for (size_t i = 0; same && i < a->n; i++)
                same = unit_alert_cmp(&a->p[i], &b->p[i]) == 0;
        return same;
}

static void alert_test_run(struct run *r, const struct unit_alert_test *t)
{
        AlertVec want = VEC_INIT, got = VEC_INIT;
        const struct unit_alert *expected = t->alerts.v;
        struct labels_builder b;
        labels_builder_init(&b);
        for (size_t i = 0; i < t->alerts.n; i++) {
                labels_builder_reset(&b, expected[i].labels);
                labels_builder_set(&b, STR("alertname"), t->alertname);
                vec_push(&want, (struct unit_alert){labels_builder_labels(&b, &r->arena), expected[i].annotations});
        }
        labels_builder_done(&b);
        for (size_t i = 0; i < r->groups.n; i++) {
                for (size_t k = 0; k < r->groups.p[i]->n_rules; k++) {
                        const struct rule *rule = &r->groups.p[i]->rules[k];
                        for (size_t j = 0; rule->is_alert && str_eq(rule->name, t->alertname) && j < rule->active.v.n; j++) {
                                const struct alert *a = CONTAINER_OF(rule->active.v.p[j], struct alert, key);
                                if (a->state == ALERT_FIRING && a->resolved_ns == RULE_TIME_NONE)
                                        vec_push(&got, (struct unit_alert){a->key.labels, a->annotations});
                        }
                }
        }
        if (want.n)
                qsort(want.p, want.n, sizeof *want.p, unit_alert_cmp);
        if (got.n)
                qsort(got.p, got.n, sizeof *got.p, unit_alert_cmp);
        if (!alerts_eq(&want, &got)) {
                struct buf text = BUF_INIT(TEXT_MAX_BYTES);
                if (r->g->name.n)
                        buf_printf(&text, "    name: " STR_FMT ",\n", STR_ARG(r->g->name));
                buf_printf(&text, "    alertname: " STR_FMT ", time: " STR_FMT ", \n        exp:", STR_ARG(t->alertname), STR_ARG(duration_text(r, t->eval_ms)));
                put_alerts(&text, &want);
                buf_puts(&text, ", \n        got:");
                put_alerts(&text, &got);
                fail(r, "%s", buf_cstr(&text));
                buf_done(&text);
        }
        vec_done(&want);
        vec_done(&got);
}

static int time_cmp(const void *a, const void *b)
{
        int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
        return (x > y) - (x < y);
}

/* False: a test of alerts has no name, or a rule failed: the group ends. */
static bool evaluate(struct run *r)
{
        const struct unit_alert_test *tests = r->g->alerts.v;
        const struct unit_expr_test *exprs = r->g->exprs.v;
        int64_t *times = arena_array(&r->arena, int64_t, r->g->alerts.n + 1), last_ms = 0;
        size_t n = r->g->alerts.n, at = 0;
        for (size_t i = 0; i < n; i++) {
                if (tests[i].alertname.n == 0) {
                        Str in = r->g->name.n ? arena_printf(&r->arena, " (in TestGroup " STR_FMT ")", STR_ARG(r->g->name)) : STR("");
                        fail(r, "an item under alert_rule_test misses required attribute alertname at eval_time " STR_FMT STR_FMT, STR_ARG(duration_text(r, tests[i].eval_ms)), STR_ARG(in));
                        return false;
                }
                times[i] = tests[i].eval_ms;
                last_ms = MAX(last_ms, tests[i].eval_ms);
        }
        qsort(times, n, sizeof *times, time_cmp);
        for (size_t i = 0; i < r->g->exprs.n; i++)
                last_ms = MAX(last_ms, exprs[i].eval_ms);
        for (int64_t since_ms = 0; since_ms <= last_ms; since_ms += r->file->interval_ms) {
                int64_t ts_ms = r->g->start_ms + since_ms, ts_ns;
                if (__builtin_mul_overflow(ts_ms, 1000000, &ts_ns)) {
                        fail(r, "eval_time or start_timestamp is out of range");
                        return false;
                }
                size_t before = r->errors->n;
                struct error *e = samples_append(r, ts_ms);
                if (e) {
                        vec_push(r->errors, e);
                } else {
                        for (size_t i = 0; i < r->groups.n; i++) {
                                struct rule_group *g = r->groups.p[i];
                                rule_group_eval(g, ts_ns);
                                for (size_t k = 0; k < g->n_rules; k++) {
                                        if (!g->rules[k].last_error)
                                                continue;
                                        struct buf t = BUF_INIT(64);
                                        buf_put_go_duration(&t, ts_ns);
                                        fail(r, "    rule: " STR_FMT ", time: %s, err: %s", STR_ARG(g->rules[k].name), buf_cstr(&t), g->rules[k].last_error);
                                        buf_done(&t);
                                }
                        }
                        if (r->errors->n != before)
                                return false;
                }
                for (; at < n && since_ms <= times[at] && times[at] < since_ms + r->file->interval_ms; at++) {
                        if (at > 0 && times[at - 1] == times[at])
                                continue;
                        for (size_t i = 0; i < n; i++) {
                                if (tests[i].eval_ms == times[at])
                                        alert_test_run(r, &tests[i]);
                        }
                }
        }
        return true;
}

/* ---- expressions ---- */

struct shown_sample {
        Labels labels;
        double value;
        Str histogram;                  /* as its test notation; empty: value */
};
typedef VEC(struct shown_sample) ShownVec;

static int shown_cmp(const void *a, const void *b)
{
        return labels_cmp(((const struct shown_sample *)a)->labels, ((const struct shown_sample *)b)->labels);
}

static void put_shown(struct buf *b, const ShownVec *v)
{
        if (v->n == 0)
                buf_puts(b, "nil");
        for (size_t i = 0; i < v->n; i++) {
                buf_puts(b, i ? ", " : "");
                labels_print(b, v->p[i].labels);
                buf_putc(b, ' ');
                if (v->p[i].histogram.n) {
                        buf_put(b, v->p[i].histogram);
                        continue;
                }
                size_t from = b->n;
                buf_put_float(b, v->p[i].value, 'e');
                for (size_t k = from; k < b->n; k++)
                        b->p[k] = b->p[k] == 'e' ? 'E' : b->p[k];
        }
}

static bool floats_eq(double x, double y, bool fuzzy)
{
        return x == y || (fuzzy && (nextafter(x, -INFINITY) == y || nextafter(x, INFINITY) == y));
}

static struct error *histogram_text(struct run *r, const struct histogram *h, Str *ret)
{
        struct buf b = BUF_INIT(TEXT_MAX_BYTES);
        struct error *e = buf_put_histogram_test(&b, h, &r->arena);
        *ret = arena_str(&r->arena, buf_str(&b));
        buf_done(&b);
        return e;
}

static struct error *expected_parse(struct run *r, const struct unit_sample *s, struct shown_sample *ret)
{
        struct promql_series_line line;
        struct error *e = promql_parse_metric(s->labels, &r->arena, &ret->labels);
        ret->value = s->value;
        ret->histogram = STR("");
        if (e || s->histogram.n == 0)
                return e;
        e = promql_parse_series_line(arena_printf(&r->arena, "{} " STR_FMT, STR_ARG(s->histogram)), &r->arena, &line);
        if (e)
                return e;
        if (line.n != 1)
                return error_new(ERROR_INVALID, "expected 1 value, got %zu", line.n);
        if (!line.values[0].h)
                return error_new(ERROR_INVALID, "expected histogram, got a float");
        return histogram_text(r, line.values[0].h, &ret->histogram);
}

static struct error *actual_get(struct run *r, const struct unit_expr_test *t, struct query_result *res, ShownVec *got)
{
        struct query_opts q = {.text = t->expr, .start_ms = r->g->start_ms + t->eval_ms};
        q.end_ms = q.start_ms;
        struct error *e = engine_instant(r->engine, r->storage, &q, res);
        if (e)
                return e;
        if (res->type == VALUE_SCALAR) {
                vec_push(got, (struct shown_sample){.value = res->scalar, .histogram = STR("")});
                return NULL;
        }
        if (res->type != VALUE_VECTOR)
                return error_new(ERROR_INVALID, "rule result is not a vector or scalar");
        for (size_t i = 0; !e && i < res->n_series; i++) {
                const struct result_series *s = &res->series[i];
                struct shown_sample one = {.labels = s->labels, .value = s->n ? s->v[0] : 0, .histogram = STR("")};
                if (!s->n)
                        e = histogram_text(r, s->h[0], &one.histogram);
                vec_push(got, one);
        }
        return e;
}

static void expr_test_run(struct run *r, const struct unit_expr_test *t)
{
        struct query_result res = {0};
        ShownVec want = VEC_INIT, got = VEC_INIT;
        struct buf quoted = BUF_INIT(TEXT_MAX_BYTES), b = BUF_INIT(TEXT_MAX_BYTES);
        const struct unit_sample *samples = t->samples.v;
        Str when = duration_text(r, t->eval_ms);
        buf_put_go_quoted(&quoted, t->expr);
        struct error *e = actual_get(r, t, &res, &got);
        if (e)
                fail(r, "    expr: %s, time: " STR_FMT ", err: %s", buf_cstr(&quoted), STR_ARG(when), error_str(e));
        for (size_t i = 0; !e && i < t->samples.n; i++) {
                struct shown_sample s;
                e = expected_parse(r, &samples[i], &s);
                if (e) {
                        buf_put_go_quoted(&b, samples[i].labels);
                        fail(r, "    expr: %s, time: " STR_FMT ", err: labels %s: %s", buf_cstr(&quoted), STR_ARG(when), buf_cstr(&b), error_str(e));
                } else {
                        vec_push(&want, s);
                }
        }
        if (!e) {
                if (want.n)
                        qsort(want.p, want.n, sizeof *want.p, shown_cmp);
                if (got.n)
                        qsort(got.p, got.n, sizeof *got.p, shown_cmp);
                bool same = want.n == got.n;
                for (size_t i = 0; same && i < want.n; i++)
                        same = labels_eq(want.p[i].labels, got.p[i].labels) && str_eq(want.p[i].histogram, got.p[i].histogram) &&
                               (want.p[i].histogram.n || floats_eq(want.p[i].value, got.p[i].value, r->file->fuzzy));
                if (!same) {
                        put_shown(&b, &want);
                        buf_puts(&b, "\n        got: ");
                        put_shown(&b, &got);
                        fail(r, "    expr: %s, time: " STR_FMT ",\n        exp: %s", buf_cstr(&quoted), STR_ARG(when), buf_cstr(&b));
                }
        }
        error_free(e);
        query_result_done(&res);
        vec_done(&want);
        vec_done(&got);
        buf_done(&quoted);
        buf_done(&b);
}

/* --debug: everything that is stored, at the end. */
static void dump(struct run *r)
{
        int64_t last_ms = 0;
        const struct unit_alert_test *tests = r->g->alerts.v;
        const struct unit_expr_test *exprs = r->g->exprs.v;
        for (size_t i = 0; i < r->g->alerts.n; i++)
                last_ms = MAX(last_ms, tests[i].eval_ms);
        for (size_t i = 0; i < r->g->exprs.n; i++)
                last_ms = MAX(last_ms, exprs[i].eval_ms);
        last_ms = (last_ms + 1000) / 1000 * 1000;
        struct buf when = BUF_INIT(64), b = BUF_INIT(TEXT_MAX_BYTES);
        struct query_result res = {0};
        buf_put_go_duration(&when, last_ms * 1000000);
        struct query_opts q = {.text = arena_printf(&r->arena, "{__name__=~\".+\"}[%s]", buf_cstr(&when)), .start_ms = r->g->start_ms + last_ms};
        struct error *e = engine_instant(r->engine, r->storage, &q, &res);
        if (e) {
                fprintf(stderr, "DEBUG: Failed query exec, expr: " STR_FMT ", err: %s\n", STR_ARG(q.text), error_str(e));
        } else {
                for (size_t i = 0; i < res.n_series; i++) {
                        buf_puts(&b, i ? "\n" : "");
                        labels_print(&b, res.series[i].labels);
                        buf_puts(&b, " =>");
                        for (size_t k = 0; k < res.series[i].n; k++) {
                                buf_putc(&b, '\n');
                                buf_put_float(&b, res.series[i].v[k], 'f');
                                buf_printf(&b, " @[%lld]", (long long)res.series[i].t[k]);
                        }
                        for (size_t k = 0; k < res.series[i].n_h; k++) {
                                buf_putc(&b, '\n');
                                buf_put_histogram(&b, res.series[i].h[k]);
                                buf_printf(&b, " @[%lld]", (long long)res.series[i].h_t[k]);
                        }
                }
                fprintf(stderr, "DEBUG: Dump of all data (input_series and rules) at %s:\n%s\n", buf_cstr(&when), buf_cstr(&b));
        }
        error_free(e);
        query_result_done(&res);
        buf_done(&when);
        buf_done(&b);
}

static void group_run(struct run *r)
{
        struct engine_opts eo = {.parse = r->features.parse, .timeout_ms = 100 * 1000, .max_samples = 10000, .max_concurrency = 20, .lookback_ms = 5 * 60 * 1000,
                                 .subquery_step_ms = r->file->interval_ms, .delayed_name_removal = r->features.delayed_name_removal};
        arena_init(&r->arena, BUF_NO_LIMIT);
        r->storage = memory_storage_new();
        r->engine = engine_new(&eo);
        struct rules_opts o = {.engine = r->engine, .storage = r->storage, .parse = r->features.parse};
        struct error *e = rules_manager_new(&o, &r->rules);
        if (e) {
                vec_push(r->errors, e);
        } else if (series_parse(r) && rules_load(r) && evaluate(r)) {
                const struct unit_expr_test *exprs = r->g->exprs.v;
                for (size_t i = 0; i < r->g->exprs.n; i++)
                        expr_test_run(r, &exprs[i]);
                if (r->debug)
                        dump(r);
        }
        vec_done(&r->groups);
        rules_manager_free(r->rules);
        engine_free(r->engine);
        memory_storage_free(r->storage);
        arena_done(&r->arena);
        r->rules = NULL;
}

/* ---- the command ---- */

static struct error *rule_files_find(const char *path, const struct unit_file *u, PathVec *ret)
{
        Str dir = path_dir(str_from(path));
        for (size_t i = 0; i < u->rule_files.n; i++) {
                struct buf b = BUF_INIT(1 << 20);
                Str one = u->rule_files.v[i];
                if (one.n && one.p[0] != '/' && !str_eq(dir, STR(".")))
                        buf_printf(&b, STR_FMT "/", STR_ARG(dir));
                buf_put(&b, one);
                size_t before = ret->n;
                struct error *e = path_glob(buf_cstr(&b), ret);
                if (!e && ret->n == before)
                        fprintf(stderr, "  WARNING: no file match pattern %s\n", buf_cstr(&b));
                buf_done(&b);
                if (e)
                        return e;
        }
        return NULL;
}

static struct error *order_check(const struct unit_file *u)
{
        for (size_t i = 0; i < u->order.n; i++) {
                for (size_t k = 0; k < i; k++) {
                        if (str_eq(u->order.v[i], u->order.v[k]))
                                return error_new(ERROR_INVALID, "group name repeated in evaluation order: " STR_FMT, STR_ARG(u->order.v[i]));
                }
        }
        return NULL;
}

static void file_run(const char *path, struct run *r, const struct regex_search *only)
{
        struct arena a;
        struct unit_file u = {0};
        PathVec rule_files = VEC_INIT;
        arena_init(&a, MEMORY_MAX_BYTES);
        struct error *e = file_decode(path, &a, &u);
        if (!e)
                e = rule_files_find(path, &u, &rule_files);
        if (!e)
                e = order_check(&u);
        if (e)
                vec_push(r->errors, e);
        if (u.interval_ms == 0)
                u.interval_ms = 60 * 1000;
        r->file = &u;
        r->rule_files = &rule_files;
        struct unit_group *g = u.groups.v;
        for (size_t i = 0; !e && i < u.groups.n; i++) {
                char unnamed[32];
                if (only && !regex_search_matches(only, g[i].name))
                        continue;
                snprintf(unnamed, sizeof unnamed, "unnamed#%zu", i);
                Str name = g[i].name.n ? g[i].name : str_from(unnamed);
                int64_t begin = time_mono_ns();
                if (g[i].interval_ms == 0)
                        g[i].interval_ms = u.interval_ms;
                r->g = &g[i];
                if (r->debug)
                        fprintf(stderr, "DEBUG: Starting test " STR_FMT "\n", STR_ARG(name));
                group_run(r);
                if (r->debug) {
                        struct buf t = BUF_INIT(64);
                        buf_put_go_duration(&t, time_mono_ns() - begin);
                        fprintf(stderr, "DEBUG: Test " STR_FMT " finished, took %s\n", STR_ARG(name), buf_cstr(&t));
                        buf_done(&t);
                }
        }
        path_vec_done(&rule_files);
        arena_done(&a);
}

static struct error *only_compile(const struct flags *f, struct regex_search **ret)
{
        size_t n;
        const char *const *patterns = flags_list(f, "run", &n);
        struct buf b = BUF_INIT(1 << 20);
        struct error *e = NULL;
        *ret = NULL;
        for (size_t i = 0; i < n; i++)
                buf_printf(&b, "%s%s", i ? "|" : "", patterns[i]);
        if (n)
                e = regex_search_new(buf_str(&b), ret);
        buf_done(&b);
        return e;
}

int promtool_test_rules(const struct flags *f)
{
        size_t n;
        const char *const *files = flags_list(f, "test-rule-file", &n);
        struct regex_search *only;
        bool failed = false;
        if (*flags_str(f, "junit"))
                return promtool_exit(error_new(ERROR_UNSUPPORTED, "--junit is not supported yet"));
        struct error *e = only_compile(f, &only);
        if (e)
                return promtool_exit(e);
        log_set_level(STR("error"));
        struct run r = {.features = promtool_features(f), .ignore_unknown = flags_bool(f, "ignore-unknown-fields"), .debug = flags_bool(f, "debug")};
        for (size_t i = 0; i < n; i++) {
                ErrorVec errors = VEC_INIT;
                r.errors = &errors;
                file_run(files[i], &r, only);
                if (errors.n) {
                        fputs("  FAILED:\n", stderr);
                        for (size_t k = 0; k < errors.n; k++) {
                                fprintf(stderr, "%s\n", error_str(errors.p[k]));
                                putchar('\n');
                        }
                        failed = true;
                } else {
                        puts("  SUCCESS");
                }
                putchar('\n');
                error_vec_done(&errors);
        }
        regex_search_free(only);
        return failed ? PROMTOOL_FAILURE : PROMTOOL_OK;
}
