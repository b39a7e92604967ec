/* SPDX-License-Identifier: Apache-2.0 */
/* histogram_count(rate(h[5m])) and the like look at no bucket: the buckets are dropped as soon as counter resets were
 * found by them. Users see that it is done: the hints differ, and with them warnings about conflicting resets.
 * Upstream: promql/histogram_stats_iterator.go, detectHistogramStatsDecoding in promql/engine.go */
#include "promql/eval.h"

struct error *mixed_stats_only(struct arena *a, struct mixed *s)
{
        Histogram last = NULL;
        for (size_t i = 0; s->h && i < s->n; i++) {
                Histogram full = s->h[i];
                if (!full)
                        continue;
                struct histogram *h = arena_try_alloc(a, sizeof *h), *seen = arena_try_alloc(a, sizeof *seen);
                if (!h || !seen)
                        return error_new(ERROR_LIMIT,
                                         "query needs more than the %zu bytes of memory that one query may use",
                                         a->limit_bytes);
                *h = (struct histogram){
                        .reset = full->reset, .schema = full->schema, .count = full->count, .sum = full->sum};
                s->h[i] = h;
                if (is_stale_nan(full->sum))
                        continue;
                if (h->reset == COUNTER_RESET_UNKNOWN && last)
                        h->reset = histogram_is_reset(full, last) ? COUNTER_RESET_YES : COUNTER_RESET_NO;
                *seen = *full;
                seen->reset = h->reset;
                last = seen;
        }
        return NULL;
}

static void mark(struct node *n, bool wanted, bool needs_buckets)
{
        if (!n)
                return;
        switch (n->type) {
        case EXPR_SELECTOR:
                n->stats_only = wanted && !needs_buckets;
                return;
        case EXPR_SUBQUERY:
                needs_buckets = true;
                break;
        case EXPR_BINARY:
                needs_buckets |= n->x->binary.op == OP_TRIM_UPPER || n->x->binary.op == OP_TRIM_LOWER;
                break;
        case EXPR_CALL:
                switch (n->x->call.func->id) {
                case FUNC_HISTOGRAM_COUNT:
                case FUNC_HISTOGRAM_SUM:
                case FUNC_HISTOGRAM_AVG:
                        wanted = true;
                        break;
                case FUNC_HISTOGRAM_QUANTILE:
                case FUNC_HISTOGRAM_QUANTILES:
                case FUNC_HISTOGRAM_FRACTION:
                        needs_buckets = true;
                        break;
                default:
                        break;
                }
                break;
        default:
                break;
        }
        mark(n->a, wanted, needs_buckets);
        mark(n->b, wanted, needs_buckets);
        for (size_t i = 0; i < n->n_args; i++)
                mark(n->args[i], wanted, needs_buckets);
}

void mark_stats_only(struct node *n)
{
        mark(n, false, false);
}
