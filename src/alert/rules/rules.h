/* SPDX-License-Identifier: Apache-2.0 */
/* rules.h — groups of recording and alerting rules: loaded, evaluated on fixed slots of time, their results stored, their alerts handed on.
 *
 *   e = rules_manager_new(&opts, &m);
 *   e = rules_manager_apply(m, &conf);              at start and on each reload; what did not change goes on as it is
 *   rules_manager_start(m);                         from now on groups are evaluated
 *   rules_manager_read(m); …rules_manager_groups(m, &n)… rules_manager_read_end(m);
 *   rules_manager_stop(m);  rules_manager_free(m);
 *
 * A group is evaluated every interval, at a fixed offset that its name and file give; its rules one after the other (with concurrent_evals: those
 * that do not need each other at once), all at one time. The state of a group is guarded by its mutex while evaluations change it.
 * Threads: apply, stop and free from any one thread, reading from any. A scheduler thread and a pool of workers evaluate.
 * Upstream: rules/manager.go, group.go, alerting.go, recording.go */
#ifndef ALERT_RULES_RULES_H
#define ALERT_RULES_RULES_H

#include "alert/rules/file.h"
#include "base/clock.h"
#include "base/metric.h"
#include "base/thread.h"
#include "promql/engine.h"

/* Times are nanoseconds since 1970. */
#define RULE_TIME_NONE INT64_MIN

enum rule_health { RULE_UNKNOWN, RULE_OK, RULE_ERR };
const char *rule_health_name(enum rule_health h);       /* "unknown", "ok", "err" */
enum alert_state { ALERT_UNKNOWN, ALERT_INACTIVE, ALERT_PENDING, ALERT_FIRING };
const char *alert_state_name(enum alert_state s);

/* First of what is found by its labels. */
struct rule_entry {
        uint64_t hash;
        Labels labels;                  /* one heap block */
};
struct alert {
        struct rule_entry key;
        enum alert_state state;
        Labels annotations;             /* one heap block */
        double value;
        int64_t active_ns, fired_ns, resolved_ns, last_sent_ns, valid_until_ns, keep_firing_ns;
};
/* Entries in order of arrival, found by labels. */
struct rule_table {
        VEC(struct rule_entry *) v;
        uint32_t *slots;                /* index + 1; 0: free */
        size_t n_slots;                 /* power of two, or 0 */
};

struct alert_template;
struct rule {
        bool is_alert;
        Str name, query;                /* query: as the parser prints it */
        int64_t hold_ms, keep_firing_ms;
        Labels labels, annotations;     /* as written: templates; with the labels of the group */
        bool no_dependents, no_dependencies;    /* known to be so */

        /* Guarded by the group's mutex. */
        enum rule_health health;
        char *last_error;               /* NULL: none */
        int64_t eval_duration_ns, evaluated_ns;         /* evaluated: wall clock, RULE_TIME_NONE before the first */
        struct rule_table active;       /* struct alert; also resolved ones, for 15 minutes */
        bool restored;                  /* series of its alerts are written */

        /* Of whoever evaluates the rule. */
        struct alert_template **label_templates, **annotation_templates;
        struct rule_table written;      /* struct rule_series: what the last evaluation wrote */
        uint64_t generation;
};
struct rules_manager;
struct rule_group {
        Str name, file, key;            /* key: "file;name" */
        int64_t interval_ms;
        bool has_query_offset;
        int64_t query_offset_ms, limit;
        struct rule *rules;
        size_t n_rules;

        struct mutex mu;                /* guards what follows, and the rules' own; a leaf */
        int64_t eval_duration_ns, last_eval_ns;         /* last_eval: wall clock, RULE_TIME_NONE before the first */

        struct rule_group_private *private;
};
/* Highest state of its alerts. The group's mutex is held. */
enum alert_state rule_state_locked(const struct rule *r);

/* An alert on its way to Alertmanagers; all borrowed for the call. */
struct rule_notice {
        Labels labels, annotations;
        int64_t starts_ns, ends_ns;
        Str generator_url;
};
struct rules_opts {
        struct engine *engine;
        struct storage *storage;                        /* queries and restored state come from it */
        struct storage *results;                        /* results go there; NULL: storage */
        /* Instead of the engine, or NULL. origin_json: members for a query log. */
        struct error *(*query)(void *ctx, Str text, TimeMs at_ms, Str origin_json, const bool *cancel, struct query_result *ret);
        void *query_ctx;
        /* Called after each evaluation with alerts to be sent (n > 0). NULL: nobody. */
        void (*notify)(void *ctx, const struct rule_notice *v, size_t n);
        void *notify_ctx;
        const char *external_url;                       /* without a final slash */
        struct promql_parse_opts parse;
        struct metric_registry *metrics;                /* NULL: none */
        const struct clock *clock;                      /* NULL: the system's */
        int64_t outage_tolerance_ms, grace_period_ms, resend_delay_ms;
        int concurrent_evals;                           /* rules of all groups at once beyond one a group; 0: off */
        bool restore_new_groups;                        /* not only at start */
        bool legacy_names;
};
struct rules_conf {
        int64_t interval_ms, query_offset_ms;           /* of groups that say nothing */
        const Str *files;                               /* paths */
        size_t n_files;
        Labels external_labels;
        bool ignore_unknown_fields;
        Str external_url;                               /* $externalURL of templates; empty: that of the options */
};
struct error *rules_manager_new(const struct rules_opts *o, struct rules_manager **ret) MUST_CHECK;
/* ERROR_INVALID "error loading rules, previous rule set restored": details are in the log. errors: NULL, or they are appended there and not logged. */
struct error *rules_manager_apply(struct rules_manager *m, const struct rules_conf *c, ErrorVec *errors) MUST_CHECK;
bool rules_manager_is_concurrent(const struct rules_manager *m);
void rules_manager_start(struct rules_manager *m);
void rules_manager_stop(struct rules_manager *m);       /* cancels queries, waits; apply does nothing any more */
void rules_manager_free(struct rules_manager *m);       /* NULL is fine */

/* Groups sorted by file, then name; they stay until the end of reading. */
void rules_manager_read(struct rules_manager *m);
struct rule_group *const *rules_manager_groups(const struct rules_manager *m, size_t *ret_n);
void rules_manager_read_end(struct rules_manager *m);

/* For unit tests of rules: one evaluation at a time of the caller's choice, in its thread. The manager is not started. */
void rule_group_eval(struct rule_group *g, int64_t ts_ns);
void rule_group_restore(struct rule_group *g, int64_t ts_ns);
/* The last slot at or before a time. */
int64_t rule_group_slot_ns(const struct rule_group *g, int64_t ns);

#endif
