/* SPDX-License-Identifier: Apache-2.0 */
/* Changes to the matchers of every selector of a tree, for promtool promql label-matchers. */
#include <stdlib.h>

#include "promql/parse.h"

struct edit {
        struct promql_tree *tree;
        struct arena *arena;
        bool is_delete;
        enum matcher_type type;
        Str name, value;
        struct error *error;
};

/* The arena that the caller parsed into is his: he may change what is in it. */
static void selector_edit(struct edit *d, struct expr *x)
{
        size_t n = x->selector.n_matchers, kept = 0;
        bool found = false;
        const struct matcher **list = arena_try_alloc(d->arena, (n + 1) * sizeof *list);
        if (!list) {
                d->error = error_new(ERROR_LIMIT, "expression is too large");
                return;
        }
        for (size_t i = 0; i <= n; i++) {
                bool is_it = i < n && str_eq(x->selector.matchers[i]->name, d->name);
                if (i < n && !is_it)
                        list[kept++] = x->selector.matchers[i];
                found = found || is_it;
                if (d->is_delete || !(is_it || (i == n && !found)))
                        continue;
                struct matcher *m;
                d->error = matcher_new(d->type, d->name, d->value, &m);
                if (d->error)
                        return;
                vec_push(&d->tree->matchers, m);
                list[kept++] = m;
        }
        x->selector.matchers = list;
        x->selector.n_matchers = kept;
}

static void walk(struct edit *d, const struct expr *x)
{
        if (!x || d->error)
                return;
        switch (x->type) {
        case EXPR_SELECTOR:
                selector_edit(d, (struct expr *)(uintptr_t)x);
                break;
        case EXPR_MATRIX:
                walk(d, x->matrix.selector);
                break;
        case EXPR_SUBQUERY:
                walk(d, x->subquery.child);
                break;
        case EXPR_CALL:
                for (size_t i = 0; i < x->call.n_args; i++)
                        walk(d, x->call.args[i]);
                break;
        case EXPR_BINARY:
                walk(d, x->binary.lhs);
                walk(d, x->binary.rhs);
                break;
        case EXPR_UNARY:
                walk(d, x->unary.child);
                break;
        case EXPR_PAREN:
                walk(d, x->paren.child);
                break;
        case EXPR_AGGREGATE:
                walk(d, x->aggregate.param);
                walk(d, x->aggregate.child);
                break;
        case EXPR_NUMBER:
        case EXPR_STRING:
        case EXPR_DURATION:
                break;
        }
}

struct error *promql_tree_set_matcher(struct promql_tree *t, struct arena *a, enum matcher_type type, Str name, Str value)
{
        struct edit d = {.tree = t, .arena = a, .type = type, .name = name, .value = value};
        walk(&d, t->root);
        return d.error;
}

struct error *promql_tree_delete_matchers(struct promql_tree *t, struct arena *a, Str name)
{
        struct edit d = {.tree = t, .arena = a, .is_delete = true, .name = name};
        walk(&d, t->root);
        return d.error;
}
