/* SPDX-License-Identifier: Apache-2.0 */
/* sender.h — the queue of one Alertmanager and the thread that empties it. Private to notify/. */
#ifndef ALERT_NOTIFY_SENDER_H
#define ALERT_NOTIFY_SENDER_H

#include "alert/notify/notify.h"
#include "base/map.h"

struct sender_metrics {
        struct metric_family *latency, *latency_histogram, *errors, *sent, *dropped, *queue_length;
        struct metric *queue_capacity, *discovered;
        struct mutex mu;                        /* guards by_url; a leaf */
        struct map by_url;                      /* struct url_metrics: two sets may have the same Alertmanager */
};
void sender_metrics_init(struct sender_metrics *m, struct metric_registry *r);
void sender_metrics_done(struct sender_metrics *m);

/* One alert as JSON, shared by queues. */
struct sendable;
struct sendable *sendable_new(Labels labels, const struct rule_notice *n);
void sendable_unref(struct sendable *s);

struct sender;
struct sender_opts {
        const char *url;                        /* copied */
        const struct http_client_conf *http;    /* outlives the sender */
        int64_t timeout_ms;
        size_t capacity, batch;
        bool drain;
        const char *user_agent;
        struct sender_metrics *metrics;
};
struct error *sender_new(const struct sender_opts *o, struct sender **ret) MUST_CHECK;
const char *sender_url(const struct sender *s);
void sender_add(struct sender *s, struct sendable *const *v, size_t n);        /* takes references of its own */
void sender_begin_stop(struct sender *s);       /* nothing is taken any more; it drains or drops */
void sender_free(struct sender *s);             /* waits for that */

#endif
