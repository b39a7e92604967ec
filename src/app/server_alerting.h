/* SPDX-License-Identifier: Apache-2.0 */
/* server_alerting.h — the alerting side of a server: rules, the Alertmanagers that discovery finds, and what is sent to them.
 *
 *   e = server_alerting_new(&opts, &a);
 *   e = server_alerting_apply(a, config);           at start and on each reload
 *   server_alerting_start(a);                       rules are evaluated from now on
 *   server_alerting_stop(a);  …storage is closed…  server_alerting_drain(a);  server_alerting_free(a);
 *
 * Threads: one at a time, but for the managers themselves. */
#ifndef APP_SERVER_ALERTING_H
#define APP_SERVER_ALERTING_H

#include "alert/notify/notify.h"
#include "alert/rules/rules.h"
#include "config/config.h"

struct alerting_flags {                 /* as the command line says */
        int64_t outage_tolerance_ms, grace_period_ms, resend_delay_ms;
        size_t queue_capacity, batch_size;
        bool no_drain;
        int concurrent_evals;           /* 0: off */
};
extern const struct alerting_flags alerting_flags_defaults;

struct server_alerting;
struct server_alerting_opts {
        struct rules_opts rules;        /* notify, restoring and concurrency are filled in here */
        struct alerting_flags flags;
};
struct error *server_alerting_new(const struct server_alerting_opts *o, struct server_alerting **ret) MUST_CHECK;
/* Whether all rule files of a configuration load, as a start demands: parse rules from file "…" (pattern: "…"): … */
struct error *server_alerting_check(const struct config *c, const struct promql_parse_opts *parse) MUST_CHECK;
/* Both parts take the configuration; what goes wrong is the rules'. */
struct error *server_alerting_apply(struct server_alerting *a, struct config *c) MUST_CHECK;
void server_alerting_start(struct server_alerting *a);
void server_alerting_stop(struct server_alerting *a);   /* discovery and rules */
void server_alerting_drain(struct server_alerting *a);  /* what is queued goes out */
void server_alerting_free(struct server_alerting *a);   /* NULL is fine */
struct rules_manager *server_alerting_rules(struct server_alerting *a);
struct notify_manager *server_alerting_notify(struct server_alerting *a);

#endif
