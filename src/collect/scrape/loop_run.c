/* SPDX-License-Identifier: Apache-2.0 */
/* loop_run.c — a target's life on its loop: wait, ask, store, report, end.
 *
 *   NEW → WAITING ⇄ SCRAPING
 *            ↓ scrape_target_end, scrape_target_hand_over
 *         ENDING_1 → ENDING_2 → ENDING_3 → freed          (straight to freed when there is nothing to mark) */
#include <stdio.h>
#include <time.h>

#include "base/log.h"
#include "codec/float_text.h"
#include "collect/scrape/scrape_impl.h"
#include "model/duration.h"

enum {
        BODY_BYTES_MAX = 1 << 30, /* when configuration sets no limit */
        SPARE_BUFFERS_MAX = 8,
        SPARE_BYTES_MAX = 4 << 20,
};
#define NS_PER_MS INT64_C(1000000)

static int64_t wall_ns(void)
{
        struct timespec ts;
        clock_gettime(CLOCK_REALTIME, &ts);
        return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* ---- targets ---- */

struct scrape_target *scrape_target_new(struct scrape_manager *m, struct pool_conf *conf, Labels all, Str url,
                                        uint64_t hash)
{
        struct scrape_target *t = mem_new(struct scrape_target);
        struct arena *a = &t->arena;
        arena_init(a, 16 << 20);
        mutex_init(&t->mu);
        list_init(&t->link);
        t->m = m;
        t->conf = pool_conf_ref(conf);
        t->all = labels_dup(a, all);
        t->labels = target_public_labels(t->all, a);
        t->url = arena_str(a, url);
        t->hash = hash;
        t->seed = m->seed;
        t->loop = &m->loops[hash % (uint64_t)m->n_loops];
        t->interval_ms = conf->c->interval_ms;
        t->timeout_ms = conf->c->timeout_ms;
        error_ignore(duration_parse(labels_get(t->all, STR(LABEL_SCRAPE_INTERVAL)), &t->interval_ms), "checked before");
        error_ignore(duration_parse(labels_get(t->all, STR(LABEL_SCRAPE_TIMEOUT)), &t->timeout_ms), "checked before");
        buf_init(&t->body, BODY_BYTES_MAX);

        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        buf_put_go_duration(&b, t->interval_ms * NS_PER_MS);
        t->interval_text = arena_str(a, buf_str(&b));
        buf_clear(&b);
        buf_put_float(&b, (double)t->timeout_ms / 1000, 'f');
        Str timeout = arena_str(a, buf_str(&b));
        buf_done(&b);
        t->headers[t->n_headers++] = (struct http_header){STR("Accept"), conf->accept};
        t->headers[t->n_headers++] = (struct http_header){STR("User-Agent"), conf->user_agent};
        t->headers[t->n_headers++] = (struct http_header){STR("X-Prometheus-Scrape-Timeout-Seconds"), timeout};
        if (!conf->c->enable_compression)
                t->headers[t->n_headers++] = (struct http_header){STR("Accept-Encoding"), STR("identity")};
        t->m_interval = metric_of(m->metrics.interval_length, t->interval_text);
        t->m_interval_histogram = metric_of(m->metrics.interval_histogram, t->interval_text);
        if (labels_has(t->all, STR("__unix_socket__")))
                t->forced_error = mem_strdup("scraping through a unix socket (__unix_socket__) is not supported");
        return t;
}

void scrape_target_free(struct scrape_target *t)
{
        if (!t)
                return;
        scrape_cache_free(t->cache);
        http_response_done(&t->call.response);
        buf_done(&t->body);
        target_group_unref(t->group);
        pool_conf_unref(t->conf);
        arena_done(&t->arena);
        mutex_done(&t->mu);
        free(t->last_error);
        free(t->forced_error);
        free(t);
}

void scrape_target_force_error(struct scrape_target *t, const char *text)
{
        if (labels_has(t->all, STR("__unix_socket__")))
                return;
        mutex_lock(&t->mu);
        free(t->forced_error);
        t->forced_error = text ? mem_strdup(text) : NULL;
        mutex_unlock(&t->mu);
}

static struct scrape_how how_of(const struct scrape_target *t)
{
        return (struct scrape_how){.conf = t->conf->c,
                                   .target = t->labels,
                                   .scratch = &t->loop->scratch,
                                   .histograms = scrape_target_histograms(t->conf->c, t->all)};
}

static void set_cache(struct scrape_target *t, struct scrape_cache *c)
{
        mutex_lock(&t->mu);
        t->cache = c;
        mutex_unlock(&t->mu);
}

/* ---- storing ---- */

static void log_refused(const struct scrape_target *t, const struct scrape_result *r)
{
        Str pool = t->conf->c->job_name;
        if (r->out_of_order)
                log_warn("scrape manager", "Error on ingesting out-of-order samples", KV_STR("scrape_pool", pool),
                         KV_STR("target", t->url), KV_I("num_dropped", r->out_of_order));
        if (r->duplicates)
                log_warn("scrape manager", "Error on ingesting samples with different value but same timestamp",
                         KV_STR("scrape_pool", pool), KV_STR("target", t->url), KV_I("num_dropped", r->duplicates));
        if (r->out_of_bounds)
                log_warn("scrape manager", "Error on ingesting samples that are too old or are too far into the future",
                         KV_STR("scrape_pool", pool), KV_STR("target", t->url), KV_I("num_dropped", r->out_of_bounds));
        if (r->exemplars_out_of_order)
                log_warn("scrape manager", "Error on ingesting out-of-order exemplars", KV_STR("scrape_pool", pool),
                         KV_STR("target", t->url), KV_I("num_dropped", r->exemplars_out_of_order));
}

static void count_result(struct scrape_metrics *s, const struct scrape_result *r)
{
        count(s->out_of_order, (double)r->out_of_order);
        count(s->duplicates, (double)r->duplicates);
        count(s->out_of_bounds, (double)r->out_of_bounds);
        count(s->exemplars_out_of_order, (double)r->exemplars_out_of_order);
        count(s->over_sample_limit, r->over_sample_limit);
        count(s->over_bucket_limit, r->over_bucket_limit);
        count(s->over_label_limit, r->over_label_limit);
}

static void log_step(const struct scrape_target *t, const char *msg, const struct error *e)
{
        log_warn("scrape manager", msg, KV_STR("scrape_pool", t->conf->c->job_name), KV_STR("target", t->url), KV_E(e));
}

/* Markers for all that the target had, into a fresh appender when that fails: the report is to be written in any case.
 */
static struct error *append_stale(struct scrape_target *t, struct appender **app, TimeMs at)
{
        bool flushed = false;
        struct error *e = scrape_cache_append_stale(t->cache, *app, at, &flushed);
        count(t->m->metrics.flush_forced, flushed);
        if (!e)
                return NULL;
        log_step(t, "Append failed", e);
        error_free(e);
        appender_rollback(*app);
        *app = NULL;
        return storage_appender(t->m->opts.storage, app);
}

static void note_failure(struct scrape_target *t, const struct scrape_result *r, const struct error *e, bool answered,
                         Str content_type)
{
        Str pool = t->conf->c->job_name;
        if (!answered) {
                log_debug("scrape manager", "Scrape failed", KV_STR("scrape_pool", pool), KV_STR("target", t->url),
                          KV_E(e));
                if (t->conf->failure_log)
                        failure_log_write(t->conf->failure_log, pool, t->url, error_str(e));
        } else if (r->bad_content_type) {
                log_error("scrape manager", "Failed to determine correct type of scrape target.",
                          KV_STR("scrape_pool", pool), KV_STR("target", t->url), KV_STR("content_type", content_type),
                          KV_STR("fallback_media_type", scrape_fallback_media_type(t->conf->c->fallback_protocol)),
                          KV_E(e));
        } else {
                log_debug("scrape manager", "Append failed", KV_STR("scrape_pool", pool), KV_STR("target", t->url),
                          KV_E(e));
        }
}

static struct error *report(struct scrape_target *t, struct appender *app, TimeMs at, const struct scrape_result *r,
                            double body_size, const struct error *scrape_error)
{
        double took = (double)(time_mono_ns() - t->start_mono_ns) / 1e9;
        mutex_lock(&t->mu);
        free(t->last_error);
        t->last_error = scrape_error ? mem_strdup(error_str(scrape_error)) : NULL;
        t->last_scrape_ns = t->scrape_time_ns;
        t->last_duration_s = took;
        t->health = scrape_error ? TARGET_DOWN : TARGET_UP;
        mutex_unlock(&t->mu);

        double values[REPORT_COUNT] = {
                [REPORT_UP] = scrape_error ? 0 : 1,
                [REPORT_DURATION] = took,
                [REPORT_SCRAPED] = (double)r->scraped,
                [REPORT_POST_RELABEL] = (double)r->added,
                [REPORT_SERIES_ADDED] = (double)r->series_added,
                [REPORT_TIMEOUT] = (double)t->timeout_ms / 1000,
                [REPORT_SAMPLE_LIMIT] = (double)t->conf->c->sample_limit,
                [REPORT_BODY_SIZE] = body_size,
        };
        struct scrape_how how = how_of(t);
        return scrape_cache_report(t->cache, &how, app, at, values,
                                   t->conf->c->extra_scrape_metrics ? REPORT_COUNT : REPORT_COUNT_PLAIN);
}

/* scrape_error: the target gave no body. In the usual case one appender takes everything, and its commit is one batch
 * of the log. */
static void store(struct scrape_target *t, Str body, Str content_type, struct error *scrape_error, bool forced)
{
        TimeMs at = t->scrape_time_ns / NS_PER_MS;
        struct scrape_result r = {0};
        struct scrape_how how = how_of(t);
        bool answered = !scrape_error;
        double body_size = answered ? (double)body.n : t->body_over ? -1 : 0;
        struct appender *app = NULL;

        struct error *e = storage_appender(t->m->opts.storage, &app);
        if (!e && answered) {
                scrape_error =
                        scrape_cache_append(t->cache, &how, app, body, content_type, at, wall_ns() / NS_PER_MS, &r);
                count_result(&t->m->metrics, &r);
                log_refused(t, &r);
                if (scrape_error) {
                        appender_rollback(app);
                        app = NULL;
                        e = storage_appender(t->m->opts.storage, &app);
                }
        }
        if (scrape_error && !forced)
                note_failure(t, &r, scrape_error, answered, content_type);
        if (!e && scrape_error)
                e = append_stale(t, &app, at);
        if (!e) {
                e = report(t, app, at, &r, body_size, scrape_error);
                if (e)
                        log_step(t, "Appending scrape report failed", e);
        }
        if (!e) {
                e = appender_commit(app);
                app = NULL;
                if (e)
                        log_step(t, "Scrape commit failed", e);
                if (t->conf->c->extra_scrape_metrics)
                        observe(t->m->metrics.scrape_duration, (double)(time_mono_ns() - t->start_mono_ns) / 1e9);
        }
        if (app)
                appender_rollback(app);
        error_free(e);
        error_free(scrape_error);
}

/* ---- asking ---- */

static void buffer_take(struct scrape_loop *l, struct buf *b)
{
        if (l->spare.n > 0)
                *b = vec_pop(&l->spare);
        b->limit = BODY_BYTES_MAX;
}

static void buffer_give(struct scrape_loop *l, struct buf *b)
{
        if (b->cap > 0 && b->cap <= SPARE_BYTES_MAX && l->spare.n < SPARE_BUFFERS_MAX) {
                buf_clear(b);
                vec_push(&l->spare, *b);
                buf_init(b, BODY_BYTES_MAX);
        } else {
                buf_done(b);
        }
}

static bool body_piece(struct http_call *call, Str piece)
{
        struct scrape_target *t = CONTAINER_OF(call, struct scrape_target, call);
        uint64_t limit = t->conf->c->body_size_limit_bytes;
        if (t->body.cap == 0)
                buffer_take(t->loop, &t->body);
        buf_put(&t->body, piece);
        t->body_over = buf_is_over(&t->body) || (limit > 0 && t->body.n >= limit);
        return !t->body_over;
}

static void next_tick(struct scrape_target *t);
static void ended(struct scrape_target *t);

static void scrape_done(struct http_call *call, struct error *take_e, struct http_response *resp)
{
        struct scrape_target *t = CONTAINER_OF(call, struct scrape_target, call);
        struct error *e = take_e;
        if (!e && resp->status != 200)
                e = error_new(ERROR_IO, "server returned HTTP status %d %s", resp->status,
                              http_status_text(resp->status));
        else if (t->body_over && (!e || error_is(e, ERROR_CANCELLED) || error_is(e, ERROR_LIMIT))) {
                error_free(e);
                e = error_new(ERROR_LIMIT, "body size limit exceeded");
                count(t->m->metrics.over_body_limit, 1);
        } else {
                t->body_over = false;
        }
        store(t, buf_str(&t->body), e || !resp ? (Str){NULL, 0} : resp->content_type, e, /* forced= */ false);
        buffer_give(t->loop, &t->body);
        buf_done(&call->response.body); /* what it inflated into: a thousand targets would keep one each */
        t->phase = TARGET_WAITING;
        if (t->stop)
                ended(t);
        else if (t->tick_missed)
                next_tick(t);
}

static void scrape(struct scrape_target *t)
{
        t->start_mono_ns = time_mono_ns();
        if (t->last_start_mono_ns) {
                double since = (double)(t->start_mono_ns - t->last_start_mono_ns) / 1e9;
                observe(t->m_interval, since);
                observe(t->m_interval_histogram, since);
        }
        t->last_start_mono_ns = t->start_mono_ns;
        t->body_over = false;

        mutex_lock(&t->mu);
        struct error *forced = t->forced_error ? error_new(ERROR_LIMIT, "%s", t->forced_error) : NULL;
        mutex_unlock(&t->mu);
        if (forced) {
                store(t, (Str){NULL, 0}, (Str){NULL, 0}, forced, /* forced= */ true);
                return;
        }
        t->phase = TARGET_SCRAPING;
        t->call.done = scrape_done;
        t->call.piece = body_piece;
        struct http_client_request r = {
                .url = t->url.p, /* arena_str ends it with a NUL */
                .headers = t->headers,
                .n_headers = t->n_headers,
                .timeout_ms = t->timeout_ms,
                .body_bytes_max = BODY_BYTES_MAX,
                .inflate = t->conf->c->enable_compression,
        };
        http_client_send(t->loop->client, &t->conf->c->http, &r, &t->call);
}

/* ---- time ---- */

static void timer_fired(struct loop_timer *timer);

static void arm(struct scrape_target *t, int64_t at_mono_ns)
{
        t->next_mono_ns = at_mono_ns;
        t->timer.fire = timer_fired;
        loop_timer_set_ns(t->loop->loop, &t->timer, at_mono_ns);
}

/* The next multiple of the interval that is not past: a late timer skips, it does not hurry. */
static int64_t following(const struct scrape_target *t)
{
        int64_t interval = t->interval_ms * NS_PER_MS, next = t->next_mono_ns + interval, now = time_mono_ns();
        if (next < now)
                next += (now - next) / interval * interval + interval;
        return next;
}

static int64_t scrape_time(struct scrape_target *t, int64_t now)
{
        int64_t interval = t->interval_ms * NS_PER_MS;
        if (t->aligned_ns == 0)
                t->aligned_ns = now;
        if (!t->m->opts.adjust_timestamps)
                return now;
        int64_t tolerance = MIN(interval / 100, t->m->opts.timestamp_tolerance_ms * NS_PER_MS);
        if (now - t->aligned_ns >= interval)
                t->aligned_ns += (now - t->aligned_ns) / interval * interval;
        return now - t->aligned_ns <= tolerance ? t->aligned_ns : now;
}

static void next_tick(struct scrape_target *t)
{
        t->tick_missed = false;
        t->start_wall_ns = wall_ns();
        t->scrape_time_ns = scrape_time(t, t->start_wall_ns);
        scrape(t);
}

static void write_end_markers(struct scrape_target *t)
{
        struct appender *app = NULL;
        struct error *e = storage_appender(t->m->opts.storage, &app);
        if (!e)
                e = append_stale(t, &app, t->stale_ms);
        if (!e) {
                double values[REPORT_COUNT];
                uint64_t bits = STALE_NAN_BITS;
                for (size_t i = 0; i < REPORT_COUNT; i++)
                        memcpy(&values[i], &bits, sizeof bits);
                struct scrape_how how = how_of(t);
                e = scrape_cache_report(t->cache, &how, app, t->stale_ms, values,
                                        t->conf->c->extra_scrape_metrics ? REPORT_COUNT : REPORT_COUNT_PLAIN);
        }
        if (!e) {
                e = appender_commit(app);
                app = NULL;
        }
        if (e)
                log_step(t, "Stale commit failed", e);
        if (app)
                appender_rollback(app);
        error_free(e);
}

static void timer_fired(struct loop_timer *timer)
{
        struct scrape_target *t = CONTAINER_OF(timer, struct scrape_target, timer);
        switch (t->phase) {
        case TARGET_SCRAPING:
                t->tick_missed = true;
                arm(t, following(t));
                return;
        case TARGET_WAITING:
                arm(t, following(t));
                next_tick(t);
                return;
        case TARGET_ENDING_1:
                t->stale_ms = wall_ns() / NS_PER_MS;
                t->phase = TARGET_ENDING_2;
                arm(t, following(t));
                return;
        case TARGET_ENDING_2:
                t->phase = TARGET_ENDING_3;
                arm(t, t->next_mono_ns + t->interval_ms * NS_PER_MS / 10);
                return;
        case TARGET_ENDING_3:
                write_end_markers(t);
                list_remove(&t->link);
                scrape_target_free(t);
                return;
        case TARGET_NEW:
                break;
        }
        bug("a timer of a target that is not running");
}

/* ---- what pools ask for ---- */

static void begin(struct scrape_target *t)
{
        t->phase = TARGET_WAITING;
        int64_t offset = target_offset_ns(t->hash, t->seed, t->interval_ms * NS_PER_MS, wall_ns());
        arm(t, time_mono_ns() + offset);
}

/* The target is idle and has been removed. */
static void ended(struct scrape_target *t)
{
        struct scrape_target *s = t->successor;
        if (s) {
                struct scrape_cache *c = t->cache;
                set_cache(t, NULL);
                set_cache(s, c);
                s->last_start_mono_ns = t->last_start_mono_ns;
                if (s->stop) { /* removed before it began */
                        t->successor = NULL;
                        ended(s);
                } else {
                        begin(s);
                }
        }
        if (s || t->no_markers || t->last_start_mono_ns == 0) {
                loop_timer_clear(t->loop->loop, &t->timer);
                list_remove(&t->link);
                scrape_target_free(t);
                return;
        }
        t->phase = TARGET_ENDING_1; /* the timer stands at the next tick */
        if (t->next_mono_ns == 0)
                arm(t, time_mono_ns() + t->interval_ms * NS_PER_MS);
}

static void start_on_loop(void *arg)
{
        struct scrape_target *t = arg;
        list_push_back(&t->loop->targets, &t->link);
        if (t->cache)
                begin(t);
}

void scrape_target_start(struct scrape_target *t, bool with_cache)
{
        if (with_cache)
                t->cache = scrape_cache_new(t->m->metadata);
        loop_post(t->loop->loop, start_on_loop, t);
}

static void stop_on_loop(struct scrape_target *t)
{
        t->stop = true;
        if (t->phase == TARGET_WAITING)
                ended(t);
        /* SCRAPING: when the answer is there. NEW: when its predecessor hands over. */
}

static void end_with_markers(void *arg)
{
        stop_on_loop(arg);
}

static void end_without_markers(void *arg)
{
        struct scrape_target *t = arg;
        t->no_markers = true;
        stop_on_loop(t);
}

void scrape_target_end(struct scrape_target *t, bool markers)
{
        loop_post(t->loop->loop, markers ? end_with_markers : end_without_markers, t);
}

struct hand_over {
        struct scrape_target *old, *successor;
};

static void hand_over_on_loop(void *arg)
{
        struct hand_over *h = arg;
        h->old->successor = h->successor;
        stop_on_loop(h->old);
        free(h);
}

void scrape_target_hand_over(struct scrape_target *old, struct scrape_target *successor)
{
        struct hand_over *h = mem_new(struct hand_over);
        *h = (struct hand_over){old, successor};
        loop_post(old->loop->loop, hand_over_on_loop, h);
}

/* ---- the loop ---- */

struct error *scrape_loop_init(struct scrape_loop *l, struct scrape_manager *m, int number)
{
        char name[16];
        snprintf(name, sizeof name, "scrape-%d", number);
        l->m = m;
        list_init(&l->targets);
        scrape_scratch_init(&l->scratch);
        struct error *e = loop_new(name, &l->loop);
        if (!e)
                e = http_client_new(l->loop, &l->client);
        return e;
}

static void loop_end(void *arg)
{
        struct scrape_loop *l = arg;
        LIST_EACH (it, &l->targets) {
                struct scrape_target *t = CONTAINER_OF(it, struct scrape_target, link);
                if (t->phase == TARGET_SCRAPING)
                        http_client_cancel(l->client, &t->call);
                loop_timer_clear(l->loop, &t->timer);
                list_remove(&t->link);
                scrape_target_free(t);
        }
        http_client_free(l->client);
        l->client = NULL;
}

void scrape_loop_done(struct scrape_loop *l)
{
        if (l->loop)
                loop_call(l->loop, loop_end, l);
        loop_free(l->loop);
        l->loop = NULL;
        scrape_scratch_done(&l->scratch);
        for (size_t i = 0; i < l->spare.n; i++)
                buf_done(&l->spare.p[i]);
        vec_done(&l->spare);
}
