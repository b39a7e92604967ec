/* SPDX-License-Identifier: Apache-2.0 */
/* Which rules of a group read what earlier ones write, and from that the batches that may run at once: those that read nothing of the group, then one by
 * one those that read and are read, then those that nobody reads. A selector without a name makes it unknowable: one after the other then.
 * Upstream: rules/group.go (buildDependencyMap), manager.go (SplitGroupIntoBatches) */
#include "alert/rules/private.h"

struct selectors {
        VEC(const struct expr *) v;
};

static void gather(const struct expr *x, struct selectors *s)
{
        if (!x)
                return;
        switch (x->type) {
        case EXPR_SELECTOR:
                vec_push(&s->v, x);
                break;
        case EXPR_MATRIX:
                gather(x->matrix.selector, s);
                break;
        case EXPR_SUBQUERY:
                gather(x->subquery.child, s);
                break;
        case EXPR_CALL:
                for (size_t i = 0; i < x->call.n_args; i++)
                        gather(x->call.args[i], s);
                break;
        case EXPR_BINARY:
                gather(x->binary.lhs, s);
                gather(x->binary.rhs, s);
                break;
        case EXPR_UNARY:
                gather(x->unary.child, s);
                break;
        case EXPR_PAREN:
                gather(x->paren.child, s);
                break;
        case EXPR_AGGREGATE:
                gather(x->aggregate.child, s);
                gather(x->aggregate.param, s);
                break;
        case EXPR_NUMBER:
        case EXPR_STRING:
        case EXPR_DURATION:
                break;
        }
}

static const struct matcher *matcher_of(const struct expr *selector, Str name)
{
        for (size_t i = 0; i < selector->selector.n_matchers; i++) {
                if (str_eq(selector->selector.matchers[i]->name, name))
                        return selector->selector.matchers[i];
        }
        return NULL;
}

static bool reads(const struct expr *selector, const struct matcher *name, const struct rule *other)
{
        if (matcher_matches(name, other->name))
                return true;
        if (!other->is_alert || !(matcher_matches(name, STR("ALERTS")) || matcher_matches(name, STR("ALERTS_FOR_STATE"))))
                return false;
        const struct matcher *alert = matcher_of(selector, STR("alertname"));
        return !alert || matcher_matches(alert, other->name);
}

/* False: unknowable. */
static bool dependencies_find(struct rule_group *g, const struct promql_tree *trees, bool *is_read, bool *does_read)
{
        bool known = true;
        for (size_t i = 0; known && i < g->n_rules; i++) {
                struct selectors s = {VEC_INIT};
                gather(trees[i].root, &s);
                for (size_t k = 0; known && k < s.v.n; k++) {
                        const struct matcher *name = matcher_of(s.v.p[k], STR(METRIC_NAME));
                        known = name != NULL;
                        for (size_t other = 0; known && other < i; other++) {
                                if (reads(s.v.p[k], name, &g->rules[other]))
                                        is_read[other] = does_read[i] = true;
                        }
                }
                vec_done(&s.v);
        }
        return known;
}

void rule_batches_make(struct rule_group *g, const struct promql_tree *trees)
{
        struct rule_group_private *p = g->private;
        bool *is_read = mem_zalloc(g->n_rules + 1), *does_read = mem_zalloc(g->n_rules + 1);
        bool known = dependencies_find(g, trees, is_read, does_read);
        for (size_t i = 0; known && i < g->n_rules; i++) {
                g->rules[i].no_dependents = !is_read[i];
                g->rules[i].no_dependencies = !does_read[i];
        }
        if (p->m->o.concurrent_evals > 0 && known && g->n_rules > 1) {
                struct rule_batches *b = &p->batches;
                size_t n = 0;
                b->rules = arena_array(&p->arena, size_t, g->n_rules);
                b->ends = arena_array(&p->arena, size_t, g->n_rules + 2);
                for (size_t i = 0; i < g->n_rules; i++) {
                        if (!does_read[i])
                                b->rules[n++] = i;
                }
                if (n)
                        b->ends[b->n++] = n;
                for (size_t i = 0; i < g->n_rules; i++) {
                        if (does_read[i] && is_read[i]) {
                                b->rules[n++] = i;
                                b->ends[b->n++] = n;
                        }
                }
                size_t before = n;
                for (size_t i = 0; i < g->n_rules; i++) {
                        if (does_read[i] && !is_read[i])
                                b->rules[n++] = i;
                }
                if (n > before)
                        b->ends[b->n++] = n;
        }
        free(is_read);
        free(does_read);
}
