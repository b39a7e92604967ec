/* SPDX-License-Identifier: Apache-2.0 */
#include "alert/notify/sender.h"

#include "base/log.h"
#include "codec/json.h"
#include "model/duration.h"

enum { REQUEST_MAX_BYTES = 1 << 30, ANSWER_MAX_BYTES = 1 << 20 };

/* ---- metrics ---- */

void sender_metrics_init(struct sender_metrics *m, struct metric_registry *r)
{
        static const char *const by_url[] = {"alertmanager", NULL};
        mutex_init(&m->mu);
        if (!r)
                return;
        m->latency = metric_family(r, METRIC_FAMILY_SUMMARY, "prometheus_notifications_latency_seconds", "Latency quantiles for sending alert notifications.", by_url);
        metric_family_set_quantiles(m->latency, (const double[]){0.5, 0.9, 0.99}, 3);
        m->latency_histogram =
                metric_family(r, METRIC_FAMILY_HISTOGRAM, "prometheus_notifications_latency_histogram_seconds", "Latency histogram for sending alert notifications.", by_url);
        metric_family_set_buckets(m->latency_histogram, (const double[]){.01, .1, 1, 10}, 4);
        m->errors = metric_family(r, METRIC_FAMILY_COUNTER, "prometheus_notifications_errors_total", "Total number of sent alerts affected by errors.", by_url);
        m->sent = metric_family(r, METRIC_FAMILY_COUNTER, "prometheus_notifications_sent_total", "Total number of alerts sent.", by_url);
        m->dropped = metric_family(r, METRIC_FAMILY_COUNTER, "prometheus_notifications_dropped_total",
                                   "Total number of alerts dropped due to errors when sending to Alertmanager.", by_url);
        m->queue_length = metric_family(r, METRIC_FAMILY_GAUGE, "prometheus_notifications_queue_length", "The number of alert notifications in the queue.", by_url);
        m->queue_capacity = metric_gauge(r, "prometheus_notifications_queue_capacity", "The capacity of the alert notifications queue.");
        m->discovered = metric_gauge(r, "prometheus_notifications_alertmanagers_discovered", "The number of alertmanagers discovered and active.");
}

void sender_metrics_done(struct sender_metrics *m)
{
        map_done(&m->by_url);
        mutex_done(&m->mu);
}

struct url_metrics {
        int refs;
        char *url;
        struct metric *errors, *sent, *dropped, *length, *latency, *latency_histogram;
};

static struct url_metrics *url_metrics_get(struct sender_metrics *m, const char *url)
{
        mutex_lock(&m->mu);
        struct url_metrics *u = map_get(&m->by_url, str_from(url));
        if (!u) {
                u = mem_new(struct url_metrics);
                u->url = mem_strdup(url);
                const Str labels[] = {str_from(u->url)};
                if (m->errors) {
                        u->errors = metric_with(m->errors, labels);
                        u->sent = metric_with(m->sent, labels);
                        u->dropped = metric_with(m->dropped, labels);
                        u->length = metric_with(m->queue_length, labels);
                }
                map_set(&m->by_url, str_from(u->url), u);
        }
        u->refs++;
        mutex_unlock(&m->mu);
        return u;
}

static void url_metrics_put(struct sender_metrics *m, struct url_metrics *u)
{
        mutex_lock(&m->mu);
        if (--u->refs == 0) {
                struct metric_family *all[] = {m->latency, m->latency_histogram, m->errors, m->sent, m->dropped, m->queue_length};
                map_remove(&m->by_url, str_from(u->url));
                for (size_t i = 0; i < ARRAY_LEN(all) && all[i]; i++)
                        metric_remove(all[i], (Str[]){str_from(u->url)});
                free(u->url);
                free(u);
        }
        mutex_unlock(&m->mu);
}

/* ---- alerts as JSON ---- */

struct sendable {
        _Atomic int refs;
        size_t n;
        char text[];
};

static void put_labels(struct buf *b, Labels ls)
{
        buf_putc(b, '{');
        for (size_t i = 0; i < ls.n; i++) {
                buf_puts(b, i ? "," : "");
                json_put_str(b, ls.v[i].name);
                buf_putc(b, ':');
                json_put_str(b, ls.v[i].value);
        }
        buf_putc(b, '}');
}

/* 2006-01-02T15:04:05.000Z: always three digits. */
static void put_time(struct buf *b, int64_t ns)
{
        int64_t ms = ns / 1000000 - (ns % 1000000 < 0), rest = ms % 1000;
        if (rest < 0)
                rest += 1000;
        buf_putc(b, '"');
        buf_put_rfc3339(b, ms - rest);
        b->n--;                                 /* the Z */
        buf_printf(b, ".%03dZ\"", (int)rest);
}

struct sendable *sendable_new(Labels labels, const struct rule_notice *n)
{
        struct buf b = BUF_INIT(REQUEST_MAX_BYTES);
        buf_putc(&b, '{');
        if (n->annotations.n) {
                buf_puts(&b, "\"annotations\":");
                put_labels(&b, n->annotations);
                buf_putc(&b, ',');
        }
        buf_puts(&b, "\"endsAt\":");
        put_time(&b, n->ends_ns);
        buf_puts(&b, ",\"startsAt\":");
        put_time(&b, n->starts_ns);
        if (n->generator_url.n) {
                buf_puts(&b, ",\"generatorURL\":");
                json_put_str(&b, n->generator_url);
        }
        buf_puts(&b, ",\"labels\":");
        put_labels(&b, labels);
        buf_putc(&b, '}');
        struct sendable *s = mem_alloc(sizeof *s + b.n);
        s->refs = 1;
        s->n = b.n;
        memcpy(s->text, b.p, b.n);
        buf_done(&b);
        return s;
}

void sendable_unref(struct sendable *s)
{
        if (--s->refs == 0)
                free(s);
}

/* ---- the queue ---- */

struct sender {
        struct sender_opts o;
        char *url;
        struct url_metrics *metrics;
        struct thread thread;
        struct mutex mu;                /* guards all below */
        struct cond changed;
        VEC(struct sendable *) queue;   /* oldest first */
        bool stopping;
};

static void add_to(struct metric *m, double v)
{
        if (m)
                metric_add(m, v);
}

static void length_tell_locked(struct sender *s)
{
        if (s->metrics->length)
                metric_set(s->metrics->length, (double)s->queue.n);
}

static void drop_front_locked(struct sender *s, size_t n)
{
        for (size_t i = 0; i < n; i++)
                sendable_unref(s->queue.p[i]);
        memmove(s->queue.p, s->queue.p + n, (s->queue.n - n) * sizeof *s->queue.p);
        s->queue.n -= n;
}

void sender_add(struct sender *s, struct sendable *const *v, size_t n)
{
        size_t lost = 0;
        mutex_lock(&s->mu);
        if (!s->stopping) {
                if (n > s->o.capacity) {
                        lost = n - s->o.capacity;
                        log_warn("notifier", "Alert batch larger than queue capacity, dropping alerts", KV_S("alertmanager", s->url), KV_I("count", lost));
                        v += lost;
                        n -= lost;
                }
                if (s->queue.n + n > s->o.capacity) {
                        size_t d = s->queue.n + n - s->o.capacity;
                        log_warn("notifier", "Alert notification queue full, dropping alerts", KV_S("alertmanager", s->url), KV_I("count", d));
                        drop_front_locked(s, d);
                        lost += d;
                }
                for (size_t i = 0; i < n; i++) {
                        v[i]->refs++;
                        vec_push(&s->queue, v[i]);
                }
                length_tell_locked(s);
                cond_signal(&s->changed);
        }
        mutex_unlock(&s->mu);
        if (lost)
                add_to(s->metrics->dropped, (double)lost);
}

static struct error *post(struct sender *s, Str body)
{
        const struct http_header headers[] = {{STR("Content-Type"), STR("application/json")}, {STR("User-Agent"), str_from(s->o.user_agent ? s->o.user_agent : "Prometheus")}};
        struct http_client_request r = {
                .url = s->url, .method = "POST", .headers = headers, .n_headers = ARRAY_LEN(headers), .body = body, .timeout_ms = s->o.timeout_ms, .body_bytes_max = ANSWER_MAX_BYTES};
        struct http_response resp = {0};
        struct error *e = http_fetch(s->o.http, &r, &resp);
        if (!e && resp.status / 100 != 2)
                e = error_new(ERROR_IO, "bad response status %d %s", resp.status, http_status_text(resp.status));
        http_response_done(&resp);
        return e;
}

/* Takes a batch off the queue, without the lock while it is on its way. */
static void send_batch(struct sender *s)
{
        struct buf body = BUF_INIT(REQUEST_MAX_BYTES);
        buf_putc(&body, '[');
        mutex_lock(&s->mu);
        size_t n = MIN(s->queue.n, s->o.batch);
        for (size_t i = 0; i < n; i++) {
                buf_puts(&body, i ? "," : "");
                buf_append(&body, s->queue.p[i]->text, s->queue.p[i]->n);
        }
        drop_front_locked(s, n);
        length_tell_locked(s);
        mutex_unlock(&s->mu);
        buf_putc(&body, ']');
        int64_t begin = time_mono_ns();
        struct error *e = buf_is_over(&body) ? error_new(ERROR_LIMIT, "alerts of more than %d bytes", REQUEST_MAX_BYTES) : post(s, buf_str(&body));
        if (e) {
                log_error("notifier", "Error sending alerts", KV_S("alertmanager", s->url), KV_I("count", n), KV_E(e));
                add_to(s->metrics->errors, (double)n);
                add_to(s->metrics->dropped, (double)n);
                error_free(e);
        } else {
                double took = (double)(time_mono_ns() - begin) / 1e9;
                add_to(s->metrics->sent, (double)n);
                if (s->o.metrics->latency) {
                        metric_observe(metric_with(s->o.metrics->latency, (Str[]){str_from(s->url)}), took);
                        metric_observe(metric_with(s->o.metrics->latency_histogram, (Str[]){str_from(s->url)}), took);
                }
        }
        buf_done(&body);
}

static void run(void *arg)
{
        struct sender *s = arg;
        mutex_lock(&s->mu);
        for (;;) {
                while (s->queue.n == 0 && !s->stopping)
                        cond_wait(&s->changed, &s->mu);
                if (s->queue.n == 0 || (s->stopping && !s->o.drain))
                        break;
                mutex_unlock(&s->mu);
                send_batch(s);
                mutex_lock(&s->mu);
        }
        if (s->queue.n) {
                log_warn("notifier", "Alert notification queue not drained on shutdown, dropping alerts", KV_S("alertmanager", s->url), KV_I("count", s->queue.n));
                add_to(s->metrics->dropped, (double)s->queue.n);
                drop_front_locked(s, s->queue.n);
        }
        mutex_unlock(&s->mu);
}

struct error *sender_new(const struct sender_opts *o, struct sender **ret)
{
        struct sender *s = mem_new(struct sender);
        s->o = *o;
        s->url = mem_strdup(o->url);
        mutex_init(&s->mu);
        cond_init(&s->changed);
        s->metrics = url_metrics_get(o->metrics, o->url);
        struct error *e = thread_start(&s->thread, "notify", run, s);
        if (e) {
                sender_free(s);
                return e;
        }
        *ret = s;
        return NULL;
}

const char *sender_url(const struct sender *s)
{
        return s->url;
}

void sender_begin_stop(struct sender *s)
{
        mutex_lock(&s->mu);
        s->stopping = true;
        cond_broadcast(&s->changed);
        mutex_unlock(&s->mu);
}

void sender_free(struct sender *s)
{
        sender_begin_stop(s);
        thread_join(&s->thread);
        url_metrics_put(s->o.metrics, s->metrics);
        vec_done(&s->queue);
        mutex_done(&s->mu);
        cond_done(&s->changed);
        free(s->url);
        free(s);
}
