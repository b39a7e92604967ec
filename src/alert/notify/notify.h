/* SPDX-License-Identifier: Apache-2.0 */
/* notify.h — alerts to Alertmanagers: relabelled, queued for each of them, sent in batches to their API v2.
 *
 *   e = notify_manager_new(&opts, &n);
 *   notify_manager_apply(n, &conf);                 at start and on each reload: sets that did not change keep their Alertmanagers and queues
 *   notify_manager_update(n, i, groups, n_groups);  what discovery found for set i
 *   notify_manager_send(n, alerts, n);              any thread; never blocks on the network
 *   notify_manager_stop(n);  notify_manager_free(n);
 *
 * Each Alertmanager has a queue and a thread. A queue that is full drops its oldest alerts; a batch that cannot be sent is dropped, not tried again
 * (alerts that still fire come again): as the original. Threads: apply, stop, free from one thread; the others from any.
 * Upstream: notifier; format: Alertmanager's api/v2/openapi.yaml */
#ifndef ALERT_NOTIFY_NOTIFY_H
#define ALERT_NOTIFY_NOTIFY_H

#include "alert/rules/rules.h"
#include "base/metric.h"
#include "io/http/client.h"
#include "model/relabel.h"

struct notify_manager;
struct notify_opts {
        size_t queue_capacity, batch_size;
        bool drain_on_shutdown;
        const char *user_agent;
        struct metric_registry *metrics;        /* NULL: none */
};
/* One entry of `alertmanagers`; how they are found is the caller's. */
struct notify_set_conf {
        Str scheme, path_prefix;
        int64_t timeout_ms;
        struct http_client_conf http;
        const struct relabel_rule *relabel, *alert_relabel;
        size_t n_relabel, n_alert_relabel;
        uint64_t hash;                          /* of all that the entry says, its discovery too */
};
struct notify_conf {
        Labels external_labels;
        const struct relabel_rule *alert_relabel;
        size_t n_alert_relabel;
        const struct notify_set_conf *sets;
        size_t n_sets;
        void (*release)(void *owner);           /* called once nothing of the conf is used any more; NULL: it outlives the manager */
        void *owner;
};
struct notify_group {
        Labels labels;
        const Labels *targets;                  /* each with __address__ */
        size_t n_targets;
};
struct error *notify_manager_new(const struct notify_opts *o, struct notify_manager **ret) MUST_CHECK;
void notify_manager_apply(struct notify_manager *n, const struct notify_conf *c);
void notify_manager_update(struct notify_manager *n, size_t set, const struct notify_group *groups, size_t n_groups);
void notify_manager_send(struct notify_manager *n, const struct rule_notice *v, size_t n_v);
/* Takes no more; sends what is queued if it shall be drained. */
void notify_manager_stop(struct notify_manager *n);
void notify_manager_free(struct notify_manager *n);     /* NULL is fine */

/* Whether a group's addresses are such. */
struct error *notify_group_check(const struct notify_set_conf *c, const struct notify_group *g) MUST_CHECK;

/* URLs, in the arena. */
struct notify_urls {
        Str *active, *dropped;
        size_t n_active, n_dropped;
};
void notify_manager_urls(struct notify_manager *n, struct arena *a, struct notify_urls *ret);

#endif
