/* SPDX-License-Identifier: Apache-2.0 */
/* fan_rules.c — merging rules, as upstream's pkg/rules. */
#include "thanos/query/fan.h"

struct rules_ask {
        struct fan *f;
        const struct pb_rules_request *r;
        VEC(struct pb_rule_group) groups;
};

static bool rules_request(void *ctx, UNUSED const struct endpoint *ep, struct arena *a, Str *ret)
{
        struct rules_ask *x = ctx;
        *ret = fan_encode(a, &pb_rules_request, x->r);
        return true;
}

static struct error *rules_take(void *ctx, Str message)
{
        struct rules_ask *x = ctx;
        struct pb_rules_response m = {0};
        struct error *e = pb_decode(&pb_rules_response, message, &x->f->answers, &m);
        if (e)
                return e;
        if (m.warning.p)
                return fan_warn(x->f, m.warning);
        if (m.group)
                vec_push(&x->groups, *m.group);
        return NULL;
}

/* --- rules --- */

static struct pb_label_set *labels_of(const struct pb_rule *r)
{
        return r->recording ? &r->recording->labels : &r->alert->labels;
}

static int rule_cmp(const void *a, const void *b)
{
        const struct pb_rule *x = a, *y = b;
        if (!x->alert != !y->alert)
                return x->alert ? -1 : 1;
        int c = str_cmp(x->alert ? x->alert->name : x->recording->name, y->alert ? y->alert->name : y->recording->name);
        c = c ? c : pb_label_set_cmp(labels_of(x), labels_of(y));
        c = c ? c : str_cmp(x->alert ? x->alert->query : x->recording->query, y->alert ? y->alert->query : y->recording->query);
        if (c || !x->alert)
                return c;
        double dx = x->alert->duration_seconds, dy = y->alert->duration_seconds;
        return (dx > dy) - (dx < dy);
}

/* Of two that are one: below 0 the first is the better one. Firing before pending before inactive, then the newer. */
static int better(const struct pb_rule *x, const struct pb_rule *y)
{
        if (x->recording)
                return -pb_timestamp_cmp(&x->recording->last_evaluation, &y->recording->last_evaluation);
        if (x->alert->state != y->alert->state)
                return x->alert->state > y->alert->state ? -1 : 1;
        return -pb_timestamp_cmp(&x->alert->last_evaluation, &y->alert->last_evaluation);
}

/* qsort is not stable: what is equal by rule_cmp is ordered by who is better, so that the result does not hang on it. */
static int rule_order(const void *a, const void *b)
{
        int c = rule_cmp(a, b);
        return c ? c : better(a, b);
}

static void rules_dedup(struct pb_rule_group *g, struct arena *a, const Str *names, size_t n_names)
{
        size_t n = 0, kept = 0;
        for (size_t i = 0; i < g->rules.n; i++) /* what is neither is left out */
                if (g->rules.v[i].recording || g->rules.v[i].alert)
                        g->rules.v[n++] = g->rules.v[i];
        for (size_t i = 0; i < n; i++)
                *labels_of(&g->rules.v[i]) = fan_without(a, labels_of(&g->rules.v[i]), names, n_names);
        if (n > 1)
                qsort(g->rules.v, n, sizeof *g->rules.v, rule_order);
        for (size_t i = 0; i < n; i++)
                if (!kept || rule_cmp(&g->rules.v[kept - 1], &g->rules.v[i]) != 0)
                        g->rules.v[kept++] = g->rules.v[i];
        g->rules.n = kept;
}

/* --- groups --- */

static int group_cmp(const struct pb_rule_group *x, const struct pb_rule_group *y)
{
        int c = str_cmp(x->file, y->file);
        return c ? c : str_cmp(x->name, y->name);
}

/* Where they are equal, as they came: the first one's times are shown. */
static int group_order(const void *a, const void *b)
{
        const struct pb_rule_group *x = *(struct pb_rule_group *const *)a, *y = *(struct pb_rule_group *const *)b;
        int c = group_cmp(x, y);
        return c ? c : x < y ? -1 : x > y;
}

static struct pb_rule_group groups_unite(struct pb_rule_group *const *v, size_t n, struct arena *a)
{
        struct pb_rule_group g = *v[0];
        size_t rules = 0;
        for (size_t i = 0; i < n; i++)
                rules += v[i]->rules.n;
        g.rules.v = arena_array(a, struct pb_rule, rules + 1);
        g.rules.n = 0;
        for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < v[i]->rules.n; k++)
                        g.rules.v[g.rules.n++] = v[i]->rules.v[k];
        return g;
}

static void groups_merge(struct pb_rule_group *from, size_t n, struct arena *a, struct pb_rule_group **ret, size_t *ret_n)
{
        struct pb_rule_group **v = arena_array(a, struct pb_rule_group *, n + 1),
                             *out = arena_array(a, struct pb_rule_group, n + 1);
        size_t kept = 0;
        for (size_t i = 0; i < n; i++)
                v[i] = &from[i];
        if (n > 1)
                qsort(v, n, sizeof *v, group_order);
        for (size_t i = 0, k; i < n; i = k) {
                for (k = i + 1; k < n && group_cmp(v[i], v[k]) == 0;)
                        k++;
                out[kept++] = groups_unite(v + i, k - i, a);
        }
        *ret = out;
        *ret_n = kept;
}

/* --- match[] --- */

static Str plain_value(const struct pb_label_set *l, Str name)
{
        for (size_t i = 0; i < l->labels.n; i++)
                if (str_eq(l->labels.v[i].name, name))
                        /* What is a template has no value yet. */
                        return str_contains(l->labels.v[i].value, STR("{{")) ? STR("") : l->labels.v[i].value;
        return STR("");
}

static bool rule_matches(const struct pb_rule *r, const MatcherVec *m)
{
        if (!r->recording && !r->alert)
                return false;
        for (size_t i = 0; i < m->n; i++)
                if (!matcher_matches(m->p[i], plain_value(labels_of(r), m->p[i]->name)))
                        return false;
        return true;
}

/* All sets must match, as upstream has it. */
static struct error *filter(struct rules_ask *x)
{
        MatcherVec all = VEC_INIT;
        struct error *e = NULL;
        for (size_t i = 0; i < x->r->matcher_string.n && !e; i++)
                e = promql_parse_selector(x->r->matcher_string.v[i], &x->f->merged, &all);
        if (e)
                e = error_wrap(e, "parser ParseMetricSelector");
        size_t groups = 0;
        for (size_t i = 0; i < x->groups.n && !e; i++) {
                struct pb_rule_group g = x->groups.p[i];
                size_t n = 0;
                for (size_t k = 0; k < g.rules.n; k++)
                        if (rule_matches(&g.rules.v[k], &all))
                                g.rules.v[n++] = g.rules.v[k];
                g.rules.n = n;
                if (n)
                        x->groups.p[groups++] = g;
        }
        if (!e)
                x->groups.n = groups;
        matcher_vec_done(&all);
        return e;
}

struct error *fan_rules(struct fan *f, const struct pb_rules_request *r, const Str *replica_labels, size_t n_replica_labels,
                        struct pb_rule_group **ret, size_t *ret_n)
{
        struct rules_ask x = {.f = f, .r = r};
        struct error *e = fan_out(f, &(struct fan_ask){FAN_RULES, rules_request, rules_take, &x});
        if (e)
                e = error_wrap(e, "proxy Rules");
        if (!e && r->matcher_string.n)
                e = filter(&x);
        if (!e) {
                groups_merge(x.groups.p, x.groups.n, &f->merged, ret, ret_n);
                for (size_t i = 0; i < *ret_n; i++)
                        rules_dedup(&(*ret)[i], &f->merged, replica_labels, n_replica_labels);
        }
        vec_done(&x.groups);
        return e;
}
