/* SPDX-License-Identifier: Apache-2.0 */
/* Which rows an aggregation puts together: by(…), without(…). */
#include <stdlib.h>

#include "base/map.h"
#include "promql/eval.h"

static bool is_listed(const Str *names, size_t n, Str name)
{
        for (size_t i = 0; i < n; i++)
                if (str_eq(names[i], name))
                        return true;
        return false;
}

static void put_key(struct buf *b, const struct expr *agg, Labels ls)
{
        const Str *names = agg->aggregate.labels;
        size_t n = agg->aggregate.n_labels;
        if (!agg->aggregate.without) {
                for (size_t i = 0; i < n; i++) {
                        buf_put(b, labels_get(ls, names[i]));
                        buf_putc(b, '\xff');
                }
                return;
        }
        for (size_t i = 0; i < ls.n; i++) {
                if (str_eq(ls.v[i].name, STR(METRIC_NAME)) || is_listed(names, n, ls.v[i].name))
                        continue;
                buf_put(b, ls.v[i].name);
                buf_putc(b, '\xff');
                buf_put(b, ls.v[i].value);
                buf_putc(b, '\xff');
        }
}

static Labels group_labels(struct exec *q, const struct expr *agg, Labels ls)
{
        bool without = agg->aggregate.without;
        Label *v = arena_array(q->arena, Label, ls.n);
        size_t n = 0;
        for (size_t i = 0; i < ls.n; i++) {
                bool listed = is_listed(agg->aggregate.labels, agg->aggregate.n_labels, ls.v[i].name);
                if (without ? !listed && !str_eq(ls.v[i].name, STR(METRIC_NAME)) : listed)
                        v[n++] = ls.v[i];
        }
        return (Labels){v, n};
}

struct error *grouping_make(struct exec *q, const struct expr *agg, Labels (*labels_of)(void *ctx, size_t i), void *ctx,
                            size_t n_rows, bool want_labels, struct grouping *ret)
{
        struct error *e = NULL;
        struct grouping g = {0};
        g.group_of = exec_alloc(q, n_rows, sizeof *g.group_of, &e);
        if (e)
                return e;
        VEC(Labels) labels = VEC_INIT;
        struct map seen = MAP_INIT; /* key -> index + 1 */
        struct buf key = BUF_INIT(BUF_NO_LIMIT);
        bool single = !agg->aggregate.without && agg->aggregate.n_labels == 0;
        bool is_one = !agg->aggregate.without && agg->aggregate.n_labels == 1; /* whose value is often the string of the row before */
        Str last = {0};
        for (size_t i = 0; i < n_rows && !e; i++) {
                size_t at = 0;
                e = exec_poll_row(q, i);
                if (is_one) {
                        Str value = labels_get(labels_of(ctx, i), agg->aggregate.labels[0]);
                        if (i && value.n == last.n && value.p == last.p) {
                                g.group_of[i] = g.group_of[i - 1];
                                continue;
                        }
                        last = value;
                }
                if (!single) {
                        buf_clear(&key);
                        put_key(&key, agg, labels_of(ctx, i));
                        at = (size_t)(uintptr_t)map_get(&seen, buf_str(&key));
                } else if (g.n) {
                        at = 1;
                }
                if (!at) {
                        if (!single)
                                map_set(&seen, arena_str(q->arena, buf_str(&key)), (void *)(uintptr_t)(g.n + 1));
                        vec_push(&labels, want_labels ? group_labels(q, agg, labels_of(ctx, i)) : (Labels){0});
                        at = ++g.n;
                }
                g.group_of[i] = at - 1;
        }
        if (!e)
                g.labels = exec_alloc(q, g.n, sizeof *g.labels, &e);
        if (!e && g.n)
                memcpy(g.labels, labels.p, g.n * sizeof *g.labels);
        vec_done(&labels);
        map_done(&seen);
        buf_done(&key);
        *ret = g;
        return e;
}
