/* SPDX-License-Identifier: Apache-2.0 */
/* engine.h — evaluates expressions over a storage, in columns over steps.
 *
 *   struct engine *en = engine_new(&opts);
 *   struct query_result r;
 *   e = engine_range(en, storage, &q, &r);          or engine_instant: e's text is the API's error, its kind its type
 *   …r.series[i].labels, r.series[i].t/v/n…
 *   query_result_done(&r);
 *
 * Error kinds: ERROR_INVALID bad_data (parse), ERROR_TIMEOUT timeout, ERROR_CANCELLED canceled, ERROR_INTERNAL storage; others execution.
 * Each query has an arena with a byte budget, a sample limit and a place in the queue. Results do not depend on the number of workers.
 * Threads: any.  Upstream: promql/engine.go */
#ifndef PROMQL_ENGINE_H
#define PROMQL_ENGINE_H

#include "base/metric.h"
#include "base/pool.h"
#include "promql/parse.h"
#include "storage/storage.h"

struct engine;
struct engine_opts {
        struct promql_parse_opts parse;
        struct pool *pool;                      /* for evaluation on several cores; NULL: the caller's thread only */
        int64_t timeout_ms;                     /* 2 min */
        size_t max_samples;                     /* 50,000,000 */
        int max_concurrency;                    /* 20 */
        size_t max_bytes;                       /* memory of one query; 0: 4 GiB */
        size_t max_total_bytes;                 /* of all queries together, with results that are not done; past it the largest ends; 0: no limit */
        int64_t lookback_ms;                    /* 5 min */
        int64_t subquery_step_ms;               /* default step of subqueries: the global evaluation interval; see engine_set_subquery_step */
        bool per_step_stats, delayed_name_removal;
        bool type_and_unit_labels;              /* rate() judges counters by __type__ */
        bool use_start_times;                   /* rate(), irate(), increase(), resets() look at them, start_timestamp() gives them */
        bool closed_ranges;                     /* a range [t - r, t] and the lookback have their left end too, as Prometheus 2 and Thanos 0.36;
                                                 * else it is left out */
        const char *active_log_dir;             /* keeps queries.active there; NULL: none */
        struct metric_registry *metrics;        /* prometheus_engine_*; NULL: none */
};
struct engine *engine_new(const struct engine_opts *o);
void engine_free(struct engine *en);                            /* no query may run, all results are done; NULL is fine */
void engine_set_subquery_step(struct engine *en, int64_t step_ms);
struct error *engine_set_query_log(struct engine *en, const char *path) MUST_CHECK;    /* NULL or "": off; reopened */
const struct promql_parse_opts *engine_parse_opts(const struct engine *en);
struct pool *engine_pool(const struct engine *en);              /* of its options: for work around a query; NULL: none */

struct query_opts {
        Str text;
        TimeMs start_ms, end_ms;                /* instant: start is the time */
        int64_t step_ms;                        /* range: > 0 */
        int64_t lookback_ms;                    /* 0: the engine's */
        int64_t timeout_ms;                     /* 0: the engine's; never longer than that */
        const bool *cancel;                     /* polled; NULL: none */
        Str origin_json;                        /* for the query log: members of the origin, e.g. "httpRequest":{…}; empty: none */
};
struct query_stats {
        double eval_total_s, result_sort_s, preparation_s, inner_eval_s, queue_s, exec_total_s;
        uint64_t total_samples, samples_read, peak_samples;
        const uint64_t *total_per_step, *read_per_step; /* n_steps, if the engine keeps them; else NULL */
        size_t n_steps;
};
struct result_series {
        Labels labels;
        const TimeMs *t;
        const double *v;
        size_t n;                               /* floats; 0 in a vector: the sample is a histogram */
        const TimeMs *h_t;
        const struct histogram *const *h;
        size_t n_h;
};
struct query_result {
        enum value_type type;                   /* VALUE_SCALAR (v), VALUE_STRING (string), VALUE_VECTOR (n + n_h = 1 each), VALUE_MATRIX */
        double scalar;
        TimeMs scalar_t;
        Str string;
        struct result_series *series;
        size_t n_series;
        const Str *warnings, *infos;            /* full texts with positions, sorted as upstream gives them */
        size_t n_warnings, n_infos;
        struct query_stats stats;
        struct arena *arena;                    /* owns all of it */
        struct query_memory *memory;            /* private: holds the arena's bytes in hold, which is in the arena */
        struct query_hold *hold;
};
struct error *engine_instant(struct engine *en, struct storage *st, const struct query_opts *q, struct query_result *ret) MUST_CHECK;
struct error *engine_range(struct engine *en, struct storage *st, const struct query_opts *q, struct query_result *ret) MUST_CHECK;
void query_result_done(struct query_result *r);                 /* zeroed is fine */

#endif
