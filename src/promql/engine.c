/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/engine.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/thread.h"
#include "promql/eval.h"
#include "promql/query_log.h"

struct engine {
        struct engine_opts o;
        struct active_log *active; /* the queue */
        struct query_log *log;
        struct query_memory *memory;
        _Atomic int64_t subquery_step_ms;
        struct metric *queries, *concurrent_max, *log_enabled, *log_failures, *samples, *samples_read;
        struct metric *duration[4], *duration_histogram[4];
};
enum slice { SLICE_QUEUE, SLICE_PREPARE, SLICE_INNER, SLICE_SORT };
static const char *const slice_names[] = {"queue_time", "prepare_time", "inner_eval", "result_sort"};

static void make_metrics(struct engine *en)
{
        struct metric_registry *r = en->o.metrics;
        if (!r)
                return;
        en->queries = metric_gauge(r, "prometheus_engine_queries",
                                   "The current number of queries being executed or waiting.");
        en->concurrent_max =
                metric_gauge(r, "prometheus_engine_queries_concurrent_max", "The max number of concurrent queries.");
        en->log_enabled = metric_gauge(r, "prometheus_engine_query_log_enabled", "State of the query log.");
        en->log_failures =
                metric_counter(r, "prometheus_engine_query_log_failures_total", "The number of query log failures.");
        en->samples = metric_counter(
                r, "prometheus_engine_query_samples_total",
                "The total number of samples loaded by all queries (full window per step for range-vector).");
        en->samples_read = metric_counter(
                r, "prometheus_engine_query_samples_read_total",
                "The total number of samples read by all queries (only new points per step for range-vector).");
        static const char *const names[] = {"slice", NULL};
        struct metric_family *s = metric_family(r, METRIC_FAMILY_SUMMARY, "prometheus_engine_query_duration_seconds",
                                                "Query timings", names);
        static const double quantiles[] = {0.5, 0.9, 0.99};
        metric_family_set_quantiles(s, quantiles, ARRAY_LEN(quantiles));
        struct metric_family *h =
                metric_family(r, METRIC_FAMILY_HISTOGRAM, "prometheus_engine_query_duration_histogram_seconds",
                              "The duration of various parts of PromQL query execution.", names);
        static const double buckets[] = {.01, .1, 1, 10};
        metric_family_set_buckets(h, buckets, ARRAY_LEN(buckets));
        for (size_t i = 0; i < ARRAY_LEN(slice_names); i++) {
                Str v = str_from(slice_names[i]);
                en->duration[i] = metric_with(s, &v);
                en->duration_histogram[i] = metric_with(h, &v);
        }
        metric_set(en->concurrent_max, en->o.max_concurrency);
}

struct engine *engine_new(const struct engine_opts *o)
{
        struct engine *en = mem_new(struct engine);
        en->o = *o;
        if (en->o.timeout_ms <= 0)
                en->o.timeout_ms = 120000;
        if (en->o.max_samples == 0)
                en->o.max_samples = 50000000;
        if (en->o.max_concurrency <= 0)
                en->o.max_concurrency = 20;
        if (en->o.max_bytes == 0)
                en->o.max_bytes = (size_t)4 << 30;
        if (en->o.lookback_ms <= 0)
                en->o.lookback_ms = 300000;
        if (en->o.subquery_step_ms <= 0)
                en->o.subquery_step_ms = 60000;
        atomic_store(&en->subquery_step_ms, en->o.subquery_step_ms);
        en->active = active_log_new(en->o.active_log_dir, en->o.max_concurrency);
        en->log = query_log_new();
        en->memory = query_memory_new(en->o.max_total_bytes);
        make_metrics(en);
        return en;
}

void engine_free(struct engine *en)
{
        if (!en)
                return;
        active_log_free(en->active);
        query_log_free(en->log);
        query_memory_free(en->memory);
        free(en);
}

void engine_set_subquery_step(struct engine *en, int64_t step_ms)
{
        atomic_store(&en->subquery_step_ms, step_ms > 0 ? step_ms : 60000);
}

struct error *engine_set_query_log(struct engine *en, const char *path)
{
        struct error *e = query_log_open(en->log, path);
        if (en->log_enabled)
                metric_set(en->log_enabled, query_log_is_on(en->log));
        return e;
}

const struct promql_parse_opts *engine_parse_opts(const struct engine *en)
{
        return &en->o.parse;
}

struct pool *engine_pool(const struct engine *en)
{
        return en->o.pool;
}

static double seconds_since(int64_t from_ns)
{
        return (double)(time_mono_ns() - from_ns) / 1e9;
}

static void observe(struct engine *en, enum slice s, double v)
{
        if (!en->duration[s])
                return;
        metric_observe(en->duration[s], v);
        metric_observe(en->duration_histogram[s], v);
}

/* Floats and histograms apart. */
static struct error *copy_mixed(struct exec *q, const TimeMs *all, const struct row *row, size_t n_steps,
                                struct result_series *ret)
{
        struct error *e = NULL;
        struct result_series s = {.labels = labels_dup(q->arena, row->labels)};
        size_t n = 0, n_h = 0;
        for (size_t k = 0; k < n_steps; k++)
                if (!is_absent(row->v[k]))
                        n_h += row->h[k] != NULL, n += row->h[k] == NULL;
        TimeMs *t = exec_alloc(q, n, sizeof *t, &e), *h_t = e ? NULL : exec_alloc(q, n_h, sizeof *h_t, &e);
        double *v = e ? NULL : exec_alloc(q, n, sizeof *v, &e);
        const struct histogram **h = e ? NULL : exec_alloc(q, n_h, sizeof(Histogram), &e);
        for (size_t k = 0; k < n_steps && !e; k++) {
                if (is_absent(row->v[k]))
                        continue;
                if (row->h[k]) {
                        h_t[s.n_h] = all[k];
                        e = histogram_keep(q->arena, row->h[k], &h[s.n_h++]);
                } else {
                        t[s.n] = all[k];
                        v[s.n++] = row->v[k];
                }
        }
        s.t = t;
        s.v = v;
        s.h_t = h_t;
        s.h = h;
        *ret = s;
        return e;
}

/* Labels and points of the result in the result's arena, where the strings of the storage do not live. */
static struct error *copy_series(struct exec *q, const struct steps *st, const struct mat *m, bool instant,
                                 struct query_result *r)
{
        struct error *e = NULL;
        r->series = exec_alloc(q, m->n, sizeof *r->series, &e);
        TimeMs *all = e ? NULL : exec_alloc(q, st->n, sizeof *all, &e);
        if (e)
                return e;
        for (size_t i = 0; i < st->n; i++)
                all[i] = step_time(st, i);
        for (size_t i = 0; i < m->n; i++) {
                e = exec_poll_row(q, i);
                if (e)
                        return e;
                const struct row *row = &m->rows[i];
                size_t n = column_count(row->v, st->n);
                struct result_series *s = &r->series[r->n_series];
                if (n == 0)
                        continue;
                if (row->h) {
                        e = copy_mixed(q, all, row, st->n, s);
                        if (e)
                                return e;
                        r->n_series++;
                        continue;
                }
                double *v = exec_alloc(q, n, sizeof *v, &e);
                TimeMs *t = n == st->n || e ? all : exec_alloc(q, n, sizeof *t, &e);
                if (e)
                        return e;
                if (n == st->n) {
                        memcpy(v, row->v, n * sizeof *v);
                } else {
                        for (size_t k = 0, w = 0; k < st->n; k++) {
                                if (is_absent(row->v[k]))
                                        continue;
                                t[w] = all[k];
                                v[w++] = row->v[k];
                        }
                }
                *s = (struct result_series){.labels = labels_dup(q->arena, row->labels), .t = t, .v = v, .n = n};
                r->n_series++;
        }
        (void)instant;
        return NULL;
}

static int by_labels(const void *a, const void *b)
{
        return labels_cmp(((const struct result_series *)a)->labels, ((const struct result_series *)b)->labels);
}

static void sort_series(struct engine *en, struct query_result *r)
{
        int64_t begin = time_mono_ns();
        if (r->n_series)
                qsort(r->series, r->n_series, sizeof *r->series, by_labels);
        r->stats.result_sort_s = seconds_since(begin);
        observe(en, SLICE_SORT, r->stats.result_sort_s);
}

/* With delayed removal the names go here, and rows that become one are joined. */
static struct error *clean_names(struct exec *q, const struct steps *st, struct mat *m)
{
        if (!q->delayed_name_removal)
                return NULL;
        for (size_t i = 0; i < m->n; i++)
                if (m->rows[i].drop_name)
                        m->rows[i].labels = labels_drop_metadata(q, m->rows[i].labels);
        return mat_merge(q, m, st->n);
}

static struct error *scalar_series(struct exec *q, const struct steps *st, const double *v, struct query_result *r)
{
        struct error *e = NULL;
        struct result_series *s = arena_new(q->arena, struct result_series);
        TimeMs *t = exec_alloc(q, st->n, sizeof *t, &e);
        double *copy = e ? NULL : exec_alloc(q, st->n, sizeof *copy, &e);
        if (e)
                return e;
        for (size_t i = 0; i < st->n; i++) {
                t[i] = step_time(st, i);
                copy[i] = v[i];
        }
        *s = (struct result_series){.t = t, .v = copy, .n = st->n};
        r->series = s;
        r->n_series = st->n > 0;
        return NULL;
}

/* A range vector or subquery as the whole of an instant query. */
static struct error *eval_matrix_result(struct exec *q, const struct steps *st, struct node *n, struct query_result *r)
{
        r->type = VALUE_MATRIX;
        if (n->type == EXPR_MATRIX)
                return eval_matrix(q, st, n, &r->series, &r->n_series);
        struct steps sub;
        struct mat m;
        struct error *e = eval_subquery(q, st, n, &sub, &m);
        if (e)
                return e;
        st->stats->total += sub.stats->total;
        if (st->stats->total_per_step)
                st->stats->total_per_step[0] += sub.stats->total;
        e = clean_names(q, &sub, &m);
        if (!e)
                e = copy_series(q, &sub, &m, false, r);
        mat_done(q, &m);
        return e;
}

static struct error *evaluate(struct engine *en, struct exec *q, const struct steps *st, struct node *n, bool instant,
                              struct query_result *r)
{
        struct error *e;
        if (n->type == EXPR_MATRIX || n->type == EXPR_SUBQUERY) {
                e = eval_matrix_result(q, st, n, r);
                if (!e)
                        sort_series(en, r);
                return e;
        }
        struct value v = {0};
        e = eval(q, st, n, &v);
        if (e)
                return e;
        if (v.type == VALUE_STRING) {
                r->type = VALUE_STRING;
                r->string = arena_str(q->arena, v.string);
                r->scalar_t = st->start;
        } else if (v.type == VALUE_SCALAR && instant) {
                r->type = VALUE_SCALAR;
                r->scalar = v.scalar[0];
                r->scalar_t = st->start;
        } else if (v.type == VALUE_SCALAR) {
                r->type = VALUE_MATRIX;
                e = scalar_series(q, st, v.scalar, r);
        } else {
                r->type = instant ? VALUE_VECTOR : VALUE_MATRIX;
                e = clean_names(q, st, &v.mat);
                if (!e)
                        e = exec_poll(q, "expression evaluation");
                if (!e)
                        e = copy_series(q, st, &v.mat, instant, r);
                if (!e && !instant)
                        sort_series(en, r);
        }
        value_done(q, &v);
        return e;
}

static struct error *prepare(struct exec *q, const struct expr *x, struct node **ret)
{
        struct error *e = node_build(q, x, ret);
        if (e || !q->selections)
                return e;
        e = storage_querier(q->storage, q->mint, q->maxt, &q->storage_arena, &q->querier);
        if (error_is(e, ERROR_INVALID))
                e = error_join(error_new(ERROR_CORRUPT, "%s", error_str(e)), e);
        return e;
}

static void exec_init(struct exec *q, struct engine *en, struct storage *st, const struct query_opts *o,
                      struct arena *arena, bool instant, int64_t begin_ns)
{
        int64_t timeout = o->timeout_ms > 0 ? MIN(o->timeout_ms, en->o.timeout_ms) : en->o.timeout_ms;
        *q = (struct exec){
                .storage = st,
                .arena = arena,
                .pool = en->o.pool,
                .n_workers = pool_size(en->o.pool) + 1,
                .deadline_ns = begin_ns + (timeout > INT64_MAX / 4000000 ? INT64_MAX / 4 : timeout * 1000000),
                .cancel = o->cancel,
                .max_samples = en->o.max_samples,
                .max_bytes = en->o.max_bytes,
                .lookback_ms = (o->lookback_ms > 0 ? o->lookback_ms : en->o.lookback_ms) + en->o.closed_ranges,
                .closed_ms = en->o.closed_ranges,
                .subquery_step_ms = atomic_load(&en->subquery_step_ms),
                .delayed_name_removal = en->o.delayed_name_removal,
                .type_and_unit_labels = en->o.type_and_unit_labels,
                .use_start_times = en->o.use_start_times,
                .start = o->start_ms,
                .end = instant ? o->start_ms : o->end_ms,
                .step_ms = instant ? 0 : o->step_ms,
        };
        list_init(&q->blocks);
        arena_init(&q->storage_arena, q->max_bytes);
        q->workers = mem_zalloc((size_t)q->n_workers * sizeof *q->workers);
        for (int i = 0; i < q->n_workers; i++) {
                q->workers[i].q = q;
                arena_init(&q->workers[i].keep, q->max_bytes);
                arena_init(&q->workers[i].batch, q->max_bytes);
                arena_init(&q->workers[i].decoded, q->max_bytes);
        }
        q->memory = en->memory;
        q->hold = arena_new(arena, struct query_hold);
        query_memory_enter(q->memory, q->hold);
        annotations_init(&q->notes, arena);
}

static void exec_done(struct exec *q)
{
        LIST_EACH (l, &q->blocks) {
                column_free(q, blocks_column(l));
        }
        for (int i = 0; i < q->n_workers; i++) {
                samples_done(&q->workers[i].raw);
                samples_done(&q->workers[i].window);
                free(q->workers[i].scratch);
                arena_done(&q->workers[i].keep);
                arena_done(&q->workers[i].batch);
                arena_done(&q->workers[i].decoded);
                error_free(q->workers[i].error);
        }
        free(q->workers);
        for (struct selection *s = q->selections; s; s = s->next)
                free(s->series);
        querier_close(q->querier);
        arena_done(&q->storage_arena);
        annotations_done(&q->notes);
}

static struct error *run(struct engine *en, struct exec *q, const struct expr *x, bool instant, struct query_result *r)
{
        int64_t begin = time_mono_ns();
        struct sample_stats stats = {0};
        struct steps st = {.start = q->start, .end = q->end, .interval = instant ? 1 : q->step_ms, .stats = &stats};
        st.n = st.end < st.start ? 0 : (size_t)((st.end - st.start) / st.interval) + 1;
        struct error *e = NULL;
        if (en->o.per_step_stats) {
                stats.n_steps = st.n;
                stats.total_per_step = exec_alloc(q, 2 * st.n, sizeof(uint64_t), &e);
                if (e)
                        return e;
                memset(stats.total_per_step, 0, 2 * st.n * sizeof(uint64_t));
                stats.read_per_step = stats.total_per_step + st.n;
        }
        struct node *n;
        e = prepare(q, x, &n);
        r->stats.preparation_s = seconds_since(begin);
        observe(en, SLICE_PREPARE, r->stats.preparation_s);
        begin = time_mono_ns();
        if (!e)
                e = evaluate(en, q, &st, n, instant, r);
        r->stats.inner_eval_s = seconds_since(begin) - r->stats.result_sort_s;
        observe(en, SLICE_INNER, r->stats.inner_eval_s);
        r->stats.total_samples = stats.total;
        r->stats.samples_read = stats.read;
        r->stats.peak_samples = q->peak;
        r->stats.total_per_step = stats.total_per_step;
        r->stats.read_per_step = stats.read_per_step;
        r->stats.n_steps = stats.n_steps;
        if (en->samples) {
                metric_add(en->samples, (double)stats.total);
                metric_add(en->samples_read, (double)stats.read);
        }
        return e;
}

/* Storage warnings are strings of the querier: copied. */
static void finish_notes(struct exec *q, Str text, struct query_result *r)
{
        StrVec w = VEC_INIT;
        if (q->querier)
                querier_warnings(q->querier, &w);
        for (size_t i = 0; i < w.n; i++)
                annotations_add_plain(&q->notes, w.p[i]);
        vec_done(&w);
        annotations_finish(&q->notes, text, &r->warnings, &r->n_warnings, &r->infos, &r->n_infos);
}

static struct error *check_times(const struct query_opts *o, bool instant)
{
        const TimeMs bound = INT64_C(1) << 60;
        TimeMs end = instant ? o->start_ms : o->end_ms;
        if (o->start_ms > bound || o->start_ms < -bound || end > bound || end < -bound)
                return error_new(ERROR_INVALID, "time of the query is out of bounds");
        if (!instant && o->step_ms <= 0)
                return error_new(
                        ERROR_INVALID,
                        "zero or negative query resolution step widths are not accepted. Try a positive integer");
        return NULL;
}

static struct error *execute(struct engine *en, struct storage *st, const struct query_opts *o, bool instant,
                             struct query_result *ret)
{
        int64_t begin = time_mono_ns();
        struct query_result r = {.arena = mem_new(struct arena)};
        /* Small things are taken without asking, so that the arena itself must not end before the budget, which is
         * checked apart, does. */
        arena_init(r.arena, en->o.max_bytes + en->o.max_bytes / 4 + ((size_t)64 << 20));
        struct exec q;
        exec_init(&q, en, st, o, r.arena, instant, begin);
        struct promql_tree tree = PROMQL_TREE_INIT;
        int slot = -1;
        if (en->queries)
                metric_add(en->queries, 1);
        struct error *e = check_times(o, instant);
        if (!e)
                e = active_log_enter(en->active, o->text, q.deadline_ns, o->cancel, &slot);
        r.stats.queue_s = seconds_since(begin);
        observe(en, SLICE_QUEUE, r.stats.queue_s);
        int64_t eval_begin = time_mono_ns();
        if (!e)
                e = promql_parse(&en->o.parse, o->text, r.arena, &tree);
        if (!e && !instant && tree.root->value != VALUE_VECTOR && tree.root->value != VALUE_SCALAR) {
                const char *type =
                        tree.root->value == VALUE_MATRIX ? "range vector" : value_type_name(tree.root->value);
                e = error_new(ERROR_INVALID,
                              "invalid expression type \"%s\" for range query, must be Scalar or instant Vector", type);
        }
        if (!e)
                e = exec_poll(&q, "query execution");
        if (!e)
                e = run(en, &q, tree.root, instant, &r);
        r.stats.eval_total_s = seconds_since(eval_begin);
        active_log_leave(en->active, slot);
        if (!e)
                finish_notes(&q, o->text, &r);
        r.stats.exec_total_s = seconds_since(begin);
        if (!query_log_write(en->log, o, instant, &r.stats, e) && en->log_failures)
                metric_add(en->log_failures, 1);
        exec_done(&q);
        r.memory = q.memory;
        r.hold = q.hold;
        if (!e)
                e = query_memory_hold(r.memory, r.hold, r.arena->used_bytes);
        promql_tree_done(&tree);
        if (en->queries)
                metric_add(en->queries, -1);
        if (e)
                query_result_done(&r);
        else
                *ret = r;
        return e;
}

struct error *engine_instant(struct engine *en, struct storage *st, const struct query_opts *q,
                             struct query_result *ret)
{
        return execute(en, st, q, true, ret);
}

struct error *engine_range(struct engine *en, struct storage *st, const struct query_opts *q, struct query_result *ret)
{
        return execute(en, st, q, false, ret);
}

void query_result_done(struct query_result *r)
{
        if (!r || !r->arena)
                return;
        query_memory_leave(r->memory, r->hold);
        arena_done(r->arena);
        free(r->arena);
        *r = (struct query_result){0};
}
