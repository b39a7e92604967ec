/* SPDX-License-Identifier: Apache-2.0 */
/* private.h — what the files of rules/ share. */
#ifndef ALERT_RULES_PRIVATE_H
#define ALERT_RULES_PRIVATE_H

#include "alert/rules/rules.h"
#include "base/pool.h"

struct rule_metrics {
        struct metric *eval_duration, *eval_histogram, *iteration_duration, *iteration_histogram;
        struct metric_family *missed, *scheduled, *evals, *failures, *interval, *last_eval, *last_duration, *last_rule_sum, *last_restore, *rules, *samples;
        struct metric *expansions, *expansion_failures;
};
struct rule_series {
        struct rule_entry key;
        SeriesRef ref;
        uint64_t seen, born;            /* generations of its rule */
};
/* Batches of rules that may run at once, in order. */
struct rule_batches {
        size_t *rules, *ends;           /* ends[i]: behind the last rule of batch i */
        size_t n;
};
struct rule_group_private {
        struct rules_manager *m;
        struct arena arena;
        Labels external_labels;
        Str external_url, origin_json;
        bool should_restore;
        VEC(Labels) stale;              /* heap blocks: series of rules that are gone */
        struct rule_batches batches;    /* with concurrent evaluation */
        struct {
                struct metric *missed, *scheduled, *evals, *failures, *interval, *last_eval, *last_duration, *last_rule_sum, *rules, *samples;
        } metrics;

        /* Guarded by the manager's schedule mutex. */
        bool scheduled, busy;
        _Atomic bool stopping;
        int64_t tick_ns;                /* monotonic: when it is due */
        int64_t eval_ts_ns;             /* slot of the next evaluation, or of the last one */
        int iterations;
};
struct departed {
        struct rule_group *group;       /* its stale series are to be marked */
        int64_t due_ns, at_ns;          /* monotonic; wall clock */
};
struct rules_manager {
        struct rules_opts o;
        const struct clock *clock;
        struct rule_metrics metrics;
        struct pool *pool, *eval_pool;
        bool cancel;                    /* of queries */
        _Atomic int64_t query_offset_ms;
        bool restored;                  /* the first rules were loaded */

        struct rwlock list;             /* guards groups; taken before a group's mutex */
        VEC(struct rule_group *) groups;

        struct mutex mu;                /* guards all below; a leaf */
        struct cond changed;
        bool started, stopped;
        VEC(struct rule_group *) scheduled;
        VEC(struct departed) departed;
        struct thread scheduler;
};

void rule_metrics_init(struct rule_metrics *m, struct metric_registry *r);
void rule_metrics_group(struct rule_group *g);          /* makes the group's metrics */
void rule_metrics_group_remove(struct rules_manager *m, Str key);

/* table.c */
Labels labels_keep(Labels ls);          /* one heap block: free((void *)ls.v) */
void labels_release(Labels ls);
struct rule_entry *rule_table_find(const struct rule_table *t, uint64_t hash, Labels ls);
void rule_table_add(struct rule_table *t, struct rule_entry *take_e);
void rule_table_rebuild(struct rule_table *t);          /* after entries were taken out of v */
void rule_table_done(struct rule_table *t, void (*free_entry)(struct rule_entry *e));
void alert_free(struct rule_entry *e);
void rule_series_free(struct rule_entry *e);

/* eval.c: one rule */
struct rule_sample {
        Labels labels;
        double v;
        const struct histogram *h;      /* NULL: v */
};
typedef VEC(struct rule_sample) RuleSamples;
/* Samples are of the arena, or of *ret_result, which the caller ends. */
struct error *rule_eval_recording(struct rule_group *g, struct rule *r, int64_t ts_ns, int64_t offset_ms, struct arena *a, struct query_result *ret_result, RuleSamples *ret) MUST_CHECK;
struct error *rule_eval_alerting(struct rule_group *g, struct rule *r, int64_t ts_ns, int64_t offset_ms, struct arena *a, struct query_result *ret_result, RuleSamples *ret) MUST_CHECK;
void rule_send_alerts(struct rule_group *g, struct rule *r, int64_t ts_ns);
int64_t rule_group_offset_ms(const struct rule_group *g);
/* Intervals and holds may be centuries: times stop at the ends of int64. */
static inline int64_t ns_add(int64_t a, int64_t b)
{
        int64_t r;
        return __builtin_add_overflow(a, b, &r) ? (b < 0 ? INT64_MIN + 1 : INT64_MAX) : r;
}
static inline int64_t ns_sub(int64_t a, int64_t b)
{
        int64_t r;
        return __builtin_sub_overflow(a, b, &r) ? (b > 0 ? INT64_MIN + 1 : INT64_MAX) : r;
}
static inline int64_t ns_times(int64_t ns, int64_t n)
{
        int64_t r;
        return __builtin_mul_overflow(ns, n, &r) ? INT64_MAX : r;
}
static inline int64_t ns_to_ms(int64_t ns)              /* as timestamp.FromTime */
{
        int64_t q = ns / 1000000;
        return q - (ns % 1000000 < 0);
}

/* group.c */
struct error *rule_group_new(struct rules_manager *m, const struct rules_conf *c, Str file, const struct rule_group_def *d, bool restore, struct rule_group **ret) MUST_CHECK;
void rule_group_free(struct rule_group *g);
bool rule_group_eq(const struct rule_group *a, const struct rule_group *b);
void rule_group_copy_state(struct rule_group *g, struct rule_group *from);
void rule_group_retire(struct rule_group *g);           /* all that it wrote is stale */
void rule_group_mark_stale(struct rule_group *g, int64_t ts_ns);
void rule_group_iterate(struct rule_group *g, int64_t ts_ns);   /* eval, and what is measured of it */

/* depend.c */
void rule_batches_make(struct rule_group *g, const struct promql_tree *trees);

#endif
