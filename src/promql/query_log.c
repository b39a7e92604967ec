/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/query_log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/thread.h"
#include "codec/float_text.h"
#include "codec/json.h"

enum { PLACE_BYTES = 1000 };

struct active_log {
        int n;
        struct mutex mu; /* guards all below */
        struct cond free_place;
        bool *taken;
        char *file; /* map, or NULL */
        size_t file_bytes;
};

/* What the last run left: logged, as it may be what ended it. */
static void log_unfinished(const char *path, size_t bytes)
{
        char *text;
        size_t n;
        struct error *e = file_read(path, MAX(bytes, (size_t)64 << 20), &text, &n);
        if (e) {
                if (!error_is(e, ERROR_NOT_FOUND))
                        log_error("activeQueryTracker", "Failed to read query log file", KV_E(e));
                error_free(e);
                return;
        }
        size_t w = 0;
        for (size_t i = 0; i < n; i++)
                if (text[i])
                        text[w++] = text[i];
        if (w > 1) {
                text[w - 1] = ']';
                log_info("activeQueryTracker",
                         "These queries didn't finish in prometheus' last run:", KV_STR("queries", ((Str){text, w})));
        }
        free(text);
}

static void open_file(struct active_log *a, const char *dir)
{
        char *path = path_join(dir, "queries.active");
        size_t bytes = 1 + (size_t)a->n * PLACE_BYTES;
        struct error *e = dir_make_all(dir);
        if (!e) {
                log_unfinished(path, bytes);
                int fd = open(path, O_CREAT | O_RDWR | O_TRUNC | O_CLOEXEC, 0666);
                void *p = MAP_FAILED;
                if (fd >= 0 && posix_fallocate(fd, 0, (off_t)bytes) == 0)
                        p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
                if (p == MAP_FAILED)
                        e = error_errno(errno, "open %s", path);
                if (fd >= 0)
                        close(fd);
                if (!e) {
                        a->file = p;
                        a->file_bytes = bytes;
                        a->file[0] = '[';
                }
        }
        if (e) {
                log_error("activeQueryTracker", "Error opening query log file", KV_S("file", path), KV_E(e));
                error_free(e);
        }
        free(path);
}

struct active_log *active_log_new(const char *dir, int n)
{
        struct active_log *a = mem_new(struct active_log);
        a->n = n;
        a->taken = mem_zalloc((size_t)n * sizeof *a->taken);
        mutex_init(&a->mu);
        cond_init(&a->free_place);
        if (dir)
                open_file(a, dir);
        return a;
}

void active_log_free(struct active_log *a)
{
        if (!a)
                return;
        if (a->file)
                munmap(a->file, a->file_bytes);
        cond_done(&a->free_place);
        mutex_done(&a->mu);
        free(a->taken);
        free(a);
}

static void write_place_locked(struct active_log *a, int slot, Str query)
{
        if (!a->file)
                return;
        char *place = a->file + 1 + (size_t)slot * PLACE_BYTES;
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        /* Cut at a character until it fits with its escapes. */
        size_t keep = MIN(query.n, (size_t)PLACE_BYTES - 60);
        for (;;) {
                while (keep > 0 && keep < query.n && ((unsigned char)query.p[keep] & 0xc0) == 0x80)
                        keep--;
                buf_clear(&b);
                buf_puts(&b, "{\"query\":");
                json_put_str(&b, (Str){query.p, keep});
                buf_printf(&b, ",\"timestamp_sec\":%lld}", (long long)(time_now_ms() / 1000));
                if (b.n < PLACE_BYTES || keep == 0)
                        break;
                size_t over = (b.n - PLACE_BYTES + 6) / 6; /* an escape takes six bytes at most */
                keep -= MIN(keep, over);
        }
        memset(place, 0, PLACE_BYTES);
        memcpy(place, b.p, MIN(b.n, (size_t)PLACE_BYTES - 1));
        place[PLACE_BYTES - 1] = ',';
        buf_done(&b);
}

struct error *active_log_enter(struct active_log *a, Str query, int64_t deadline_ns, const bool *cancel, int *ret_slot)
{
        struct error *e = NULL;
        mutex_lock(&a->mu);
        for (;;) {
                int slot = 0;
                while (slot < a->n && a->taken[slot])
                        slot++;
                if (slot < a->n) {
                        a->taken[slot] = true;
                        write_place_locked(a, slot, query);
                        *ret_slot = slot;
                        break;
                }
                int64_t left_ms = (deadline_ns - time_mono_ns()) / 1000000;
                if (cancel && __atomic_load_n(cancel, __ATOMIC_RELAXED)) /* a hint: no data hangs on it */
                        e = error_new(ERROR_CANCELLED, "query was canceled in query queue");
                else if (left_ms <= 0)
                        e = error_new(ERROR_TIMEOUT, "query timed out in query queue");
                if (e)
                        break;
                cond_wait_ms(&a->free_place, &a->mu, MIN(left_ms, 100)); /* cancel is not signalled */
        }
        mutex_unlock(&a->mu);
        return e;
}

void active_log_leave(struct active_log *a, int slot)
{
        if (slot < 0)
                return;
        mutex_lock(&a->mu);
        a->taken[slot] = false;
        if (a->file)
                memset(a->file + 1 + (size_t)slot * PLACE_BYTES, 0, PLACE_BYTES);
        cond_signal(&a->free_place);
        mutex_unlock(&a->mu);
}

struct query_log {
        struct mutex mu;
        int fd; /* -1: off */
};

struct query_log *query_log_new(void)
{
        struct query_log *l = mem_new(struct query_log);
        mutex_init(&l->mu);
        l->fd = -1;
        return l;
}

void query_log_free(struct query_log *l)
{
        if (!l)
                return;
        if (l->fd >= 0)
                close(l->fd);
        mutex_done(&l->mu);
        free(l);
}

struct error *query_log_open(struct query_log *l, const char *path)
{
        int fd = -1;
        if (path && *path) {
                fd = open(path, O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0666);
                if (fd < 0)
                        return error_errno(errno, "can't create json log file: open %s", path);
        }
        mutex_lock(&l->mu);
        if (l->fd >= 0)
                close(l->fd);
        l->fd = fd;
        mutex_unlock(&l->mu);
        return NULL;
}

bool query_log_is_on(struct query_log *l)
{
        mutex_lock(&l->mu);
        bool on = l->fd >= 0;
        mutex_unlock(&l->mu);
        return on;
}

/* UTC with milliseconds, three digits always. */
static void put_time(struct buf *b, TimeMs t)
{
        int64_t s = t / 1000, ms = t % 1000;
        if (ms < 0) {
                ms += 1000;
                s--;
        }
        struct tm tm;
        time_t when = (time_t)s;
        char text[64] = "";
        if (gmtime_r(&when, &tm))
                strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
        buf_printf(b, "\"%s.%03dZ\"", text, (int)ms);
}

static void put_timing(struct buf *b, const char *name, double v, bool last)
{
        buf_printf(b, "\"%s\":", name);
        buf_put_sample_value(b, v);
        if (!last)
                buf_putc(b, ',');
}

static void put_line(struct buf *b, const struct query_opts *q, bool instant, const struct query_stats *s,
                     const struct error *e)
{
        buf_puts(b, "{\"time\":");
        put_time(b, time_now_ms());
        buf_puts(b, ",\"level\":\"INFO\",\"source\":\"engine.c\",\"msg\":\"promql query logged\",\"params\":{\"end\":");
        put_time(b, instant ? q->start_ms : q->end_ms);
        buf_puts(b, ",\"query\":");
        json_put_str(b, q->text);
        buf_puts(b, ",\"start\":");
        put_time(b, q->start_ms);
        buf_printf(b, ",\"step\":%lld}", (long long)(instant ? 0 : q->step_ms / 1000));
        if (e) {
                buf_puts(b, ",\"error\":");
                json_put_str(b, str_from(error_str(e)));
        }
        buf_puts(b, ",\"stats\":{\"timings\":{");
        put_timing(b, "evalTotalTime", s->eval_total_s, false);
        put_timing(b, "resultSortTime", s->result_sort_s, false);
        put_timing(b, "queryPreparationTime", s->preparation_s, false);
        put_timing(b, "innerEvalTime", s->inner_eval_s, false);
        put_timing(b, "execQueueTime", s->queue_s, false);
        put_timing(b, "execTotalTime", s->exec_total_s, true);
        buf_printf(b, "},\"samples\":{\"totalQueryableSamples\":%llu,\"samplesRead\":%llu,\"peakSamples\":%llu}}",
                   (unsigned long long)s->total_samples, (unsigned long long)s->samples_read,
                   (unsigned long long)s->peak_samples);
        buf_puts(b, ",\"spanID\":\"0000000000000000\",\"traceID\":\"00000000000000000000000000000000\"");
        if (q->origin_json.n) {
                buf_putc(b, ',');
                buf_put(b, q->origin_json);
        }
        buf_puts(b, "}\n");
}

bool query_log_write(struct query_log *l, const struct query_opts *q, bool instant, const struct query_stats *s,
                     const struct error *e)
{
        mutex_lock(&l->mu);
        struct error *failed = NULL;
        if (l->fd >= 0) {
                struct buf b = BUF_INIT(BUF_NO_LIMIT);
                put_line(&b, q, instant, s, e);
                failed = file_write_all(l->fd, b.p, b.n);
                buf_done(&b);
        }
        mutex_unlock(&l->mu);
        bool ok = !failed;
        error_free(failed);
        return ok;
}
