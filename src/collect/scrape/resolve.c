/* SPDX-License-Identifier: Apache-2.0 */
/* resolve.c — from the text of a series to the labels it is stored under: target labels, metric_relabel_configs,
 * limits. */
#include "codec/quote.h"
#include "collect/scrape/cache_impl.h"
#include "model/expo/parse.h"

/* Empty values are the exposed wish not to have the target's label (honor_labels); builders know them as deletions. */
struct exposed {
        Labels all;    /* as exposed: may hold empty values and duplicates */
        Labels base;   /* without both */
        Str duplicate; /* a name that was there twice; p NULL: none */
};

static void exposed_split(struct exposed *x, struct arena *a)
{
        Label *v = arena_array(a, Label, x->all.n);
        size_t n = 0;
        for (size_t i = 0; i < x->all.n; i++) {
                if (i > 0 && str_eq(x->all.v[i].name, x->all.v[i - 1].name)) {
                        if (!x->duplicate.p)
                                x->duplicate = x->all.v[i].name;
                        continue;
                }
                if (!str_is_empty(x->all.v[i].value))
                        v[n++] = x->all.v[i];
        }
        x->base = (Labels){v, n};
}

static bool exposed_has(const struct exposed *x, Str name)
{
        for (size_t i = 0; i < x->all.n; i++)
                if (str_eq(x->all.v[i].name, name))
                        return true;
        return false;
}

/* Exposed labels that the target's displaced, shortest name first, get exported_ in front until the name is free. */
static void put_conflicts(struct labels_builder *b, Label *conflicts, size_t n, struct arena *a)
{
        for (size_t i = 1; i < n; i++)
                for (size_t k = i; k > 0 && conflicts[k - 1].name.n > conflicts[k].name.n; k--) {
                        Label t = conflicts[k];
                        conflicts[k] = conflicts[k - 1];
                        conflicts[k - 1] = t;
                }
        for (size_t i = 0; i < n; i++) {
                Str name = conflicts[i].name;
                do
                        name = arena_printf(a, "exported_" STR_FMT, STR_ARG(name));
                while (!str_is_empty(labels_builder_get(b, name)));
                labels_builder_set(b, name, conflicts[i].value);
        }
}

static void put_target_labels(const struct scrape_how *how, const struct exposed *x, struct labels_builder *b,
                              struct arena *a)
{
        if (how->conf->honor_labels) {
                for (size_t i = 0; i < how->target.n; i++)
                        if (!exposed_has(x, how->target.v[i].name))
                                labels_builder_set(b, how->target.v[i].name, how->target.v[i].value);
                return;
        }
        Label *conflicts = arena_array(a, Label, how->target.n);
        size_t n = 0;
        for (size_t i = 0; i < how->target.n; i++) {
                Label l = how->target.v[i];
                Str exposed = labels_get(x->base, l.name);
                if (!str_is_empty(exposed))
                        conflicts[n++] = (Label){l.name, exposed};
                labels_builder_set(b, l.name, l.value);
        }
        put_conflicts(b, conflicts, n, a);
}

/* Go's %.50s: at most fifty runes. */
static Str cut50(Str s)
{
        size_t at = 0;
        for (int i = 0; i < 50 && at < s.n; i++) {
                uint32_t rune;
                size_t n = utf8_decode(str_skip(s, at), &rune);
                at += n ? n : 1;
        }
        return str_sub(s, 0, at);
}

static struct error *check_limits(const struct scrape_conf *c, Labels ls)
{
        Str metric = cut50(labels_get(ls, STR(METRIC_NAME)));
        if (c->label_limit > 0 && ls.n > c->label_limit)
                return error_new(ERROR_LIMIT,
                                 "label_limit exceeded (metric: " STR_FMT ", number of labels: %zu, limit: %llu)",
                                 STR_ARG(metric), ls.n, (unsigned long long)c->label_limit);
        for (size_t i = 0; i < ls.n; i++) {
                Label l = ls.v[i];
                if (c->label_name_length_limit > 0 && l.name.n > c->label_name_length_limit)
                        return error_new(ERROR_LIMIT,
                                         "label_name_length_limit exceeded (metric: " STR_FMT ", label name: " STR_FMT
                                         ", length: %zu, limit: %llu)",
                                         STR_ARG(metric), STR_ARG(cut50(l.name)), l.name.n,
                                         (unsigned long long)c->label_name_length_limit);
                if (c->label_value_length_limit > 0 && l.value.n > c->label_value_length_limit) {
                        struct buf q = BUF_INIT(BUF_NO_LIMIT);
                        buf_put_go_quoted(&q, cut50(l.value));
                        struct error *e =
                                error_new(ERROR_LIMIT,
                                          "label_value_length_limit exceeded (metric: " STR_FMT ", label name: " STR_FMT
                                          ", value: " STR_FMT ", length: %zu, limit: %llu)",
                                          STR_ARG(metric), STR_ARG(cut50(l.name)), STR_ARG(buf_str(&q)), l.value.n,
                                          (unsigned long long)c->label_value_length_limit);
                        buf_done(&q);
                        return e;
                }
        }
        return NULL;
}

static bool names_are_valid(const struct scrape_conf *c, Labels ls)
{
        bool legacy = c->name_validation == NAME_VALIDATION_LEGACY;
        for (size_t i = 0; i < ls.n; i++) {
                Label l = ls.v[i];
                if (str_eq(l.name, STR(METRIC_NAME))) {
                        if (legacy ? !metric_name_is_legacy(l.value) : !label_name_is_valid_utf8(l.value))
                                return false;
                } else if (legacy ? !label_name_is_legacy(l.name) : !label_name_is_valid_utf8(l.name)) {
                        return false;
                }
                if (!utf8_is_valid(l.value))
                        return false;
        }
        return true;
}

struct error *scrape_resolve(const struct scrape_how *how, const struct expo_parser *p, const struct expo_entry *x,
                             Labels *ret, bool *ret_over_limit)
{
        struct arena *a = &how->scratch->arena;
        arena_clear(a);
        struct exposed ex = {0};
        struct error *e = expo_labels(p, x, a, &ex.all);
        if (e)
                return e;
        exposed_split(&ex, a);

        struct labels_builder *b = &how->scratch->builder;
        labels_builder_reset(b, ex.base);
        put_target_labels(how, &ex, b, a);
        *ret = (Labels){NULL, 0};
        if (!relabel_process(how->conf->metric_relabel, how->conf->n_metric_relabel, b, a))
                return NULL;
        Labels ls = labels_builder_labels(b, a);
        if (ls.n == 0)
                return NULL;

        if (str_is_empty(labels_get(ls, STR(METRIC_NAME))))
                return error_new(ERROR_INVALID, "missing metric name (__name__ label)");
        if (!names_are_valid(how->conf, ls)) {
                struct buf t = BUF_INIT(BUF_NO_LIMIT);
                labels_print(&t, ls);
                e = error_new(ERROR_INVALID, "invalid metric name or label names: " STR_FMT, STR_ARG(buf_str(&t)));
                buf_done(&t);
                return e;
        }
        e = check_limits(how->conf, ls);
        if (e) {
                *ret_over_limit = true;
                return e;
        }
        if (ex.duplicate.p && labels_has(ls, ex.duplicate))
                return error_new(ERROR_INVALID, "label name \"" STR_FMT "\" is not unique: invalid sample",
                                 STR_ARG(ex.duplicate));
        *ret = ls;
        return NULL;
}

static const char *const report_names[REPORT_COUNT] = {
        [REPORT_UP] = "up",
        [REPORT_DURATION] = "scrape_duration_seconds",
        [REPORT_SCRAPED] = "scrape_samples_scraped",
        [REPORT_POST_RELABEL] = "scrape_samples_post_metric_relabeling",
        [REPORT_SERIES_ADDED] = "scrape_series_added",
        [REPORT_TIMEOUT] = "scrape_timeout_seconds",
        [REPORT_SAMPLE_LIMIT] = "scrape_sample_limit",
        [REPORT_BODY_SIZE] = "scrape_body_size_bytes",
};

Labels scrape_report_labels(const struct scrape_how *how, enum scrape_report r)
{
        struct arena *a = &how->scratch->arena;
        arena_clear(a);
        struct labels_builder *b = &how->scratch->builder;
        labels_builder_reset(b, (Labels){NULL, 0});
        labels_builder_set(b, STR(METRIC_NAME), str_from(report_names[r]));
        /* As upstream does it, a target's label exported_x gives way to its label x. */
        for (size_t i = 0; i < how->target.n; i++) {
                labels_builder_del(b, arena_printf(a, "exported_" STR_FMT, STR_ARG(how->target.v[i].name)));
                labels_builder_set(b, how->target.v[i].name, how->target.v[i].value);
        }
        return labels_builder_labels(b, a);
}
