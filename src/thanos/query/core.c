/* SPDX-License-Identifier: Apache-2.0 */
#include "thanos/query/core.h"

/* A store may use all of the query's time but this, so that a query that waits for it in vain still answers with the
 * data of the others. */
static int64_t stores_timeout_ms(int64_t timeout_ms)
{
        return timeout_ms - MIN(timeout_ms / 5, (int64_t)10000);
}

struct storage *query_view_init(struct query_view *v, const struct query_core *c, const struct query_wish *w,
                                const bool *cancel)
{
        int64_t timeout_ms = w->timeout_ms > 0 ? MIN(w->timeout_ms, c->timeout_ms) : c->timeout_ms;
        struct proxy_opts o = {.endpoints = c->endpoints,
                               .max_resolution_ms = w->max_resolution_ms,
                               .partial_response = w->partial_response,
                               .response_timeout_ms = c->response_timeout_ms,
                               .timeout_ms = stores_timeout_ms(timeout_ms),
                               .cancel = cancel,
                               .store_match = w->store_match,
                               .n_store_match = w->n_store_match,
                               .metadata = w->metadata,
                               .n_metadata = w->n_metadata,
                               .shard = w->shard,
                               .selector = c->selector,
                               .n_selector = c->n_selector,
                               .metrics = c->metrics,
                               .sums = &v->sums};
        v->sums = (struct query_sums){0};
        if (w->dedup) {
                o.replica_labels = w->n_replica_labels ? w->replica_labels : c->replica_labels;
                o.n_replica_labels = w->n_replica_labels ? w->n_replica_labels : c->n_replica_labels;
        }
        return proxy_init(&v->proxy, &o);
}

/* Of the steps raw, 5 min, 1 h the first that reaches over the gaps of data of that resolution. */
int64_t query_lookback_ms(const struct query_core *c, const struct query_wish *w)
{
        enum { FIVE_MIN_MS = 300000, HOUR_MS = 3600000 };
        int64_t own = c->lookback_ms > 0 ? c->lookback_ms : 0;
        if (w->lookback_ms > 0)
                return w->lookback_ms;
        if (c->has_dynamic_lookback && w->max_resolution_ms > MAX((int64_t)FIVE_MIN_MS, own))
                return MAX(own, (int64_t)HOUR_MS);
        if (c->has_dynamic_lookback && w->max_resolution_ms > own)
                return MAX(own, (int64_t)FIVE_MIN_MS);
        return own > 0 ? own : FIVE_MIN_MS;
}

struct error *query_run(const struct query_core *c, struct query_view *v, const struct query_wish *w, struct query_opts *q,
                        bool instant, struct query_result *ret)
{
        int64_t begin_ns = time_mono_ns();
        struct storage *st = query_view_init(v, c, w, q->cancel);
        q->lookback_ms = query_lookback_ms(c, w);
        q->timeout_ms = w->timeout_ms;
        query_metrics_begin(c->metrics);
        struct error *e = instant ? engine_instant(c->engine, st, q, ret) : engine_range(c->engine, st, q, ret);
        double queue_s = ret->stats.queue_s, all_s = (double)(time_mono_ns() - begin_ns) / 1e9;
        query_metrics_end(c->metrics, queue_s, &v->sums, all_s - queue_s,
                          w->n_metadata ? w->metadata[0].value : STR("default-tenant"));
        return e;
}
