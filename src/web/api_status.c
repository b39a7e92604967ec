/* SPDX-License-Identifier: Apache-2.0 */
/* api_status.c — below status/: what the server is, does and holds. */
#include <unistd.h>

#include "base/file.h"
#include "base/thread.h"
#include "codec/json.h"
#include "model/duration.h"
#include "web/serve.h"

static void put_ms_member(struct buf *b, const char *key, TimeMs t)
{
        buf_printf(b, "\"%s\":", key);
        json_put_time_ns(b, t * 1000000);
}

static void status_config(struct api *a)
{
        char *yaml = a->w->o.config_yaml(a->w->o.app);
        api_begin(a);
        buf_putc(&a->out, '{');
        json_put_member(&a->out, "yaml", str_from(yaml));
        buf_putc(&a->out, '}');
        api_end(a, NULL, 0, NULL, 0);
        free(yaml);
}

static int flag_cmp(const void *a, const void *b)
{
        return strcmp(((const struct web_flag *)a)->name, ((const struct web_flag *)b)->name);
}

static void status_flags(struct api *a)
{
        size_t n = a->w->o.n_flags;
        struct web_flag *sorted = arena_alloc(a->r->arena, (n + 1) * sizeof *sorted);
        if (n) {
                memcpy(sorted, a->w->o.flags, n * sizeof *sorted);
                qsort(sorted, n, sizeof *sorted, flag_cmp);
        }
        api_begin(a);
        buf_putc(&a->out, '{');
        for (size_t i = 0; i < n; i++) {
                if (i)
                        buf_putc(&a->out, ',');
                json_put_member(&a->out, sorted[i].name, str_from(sorted[i].value));
        }
        buf_putc(&a->out, '}');
        api_end(a, NULL, 0, NULL, 0);
}

static int thread_count(void)
{
        PathVec tasks = VEC_INIT;
        struct error *e = dir_list("/proc/self/task", &tasks);
        int n = e ? 1 : (int)tasks.n;
        error_free(e);
        path_vec_done(&tasks);
        return n;
}

static void runtimeinfo(struct api *a)
{
        struct web *w = a->w;
        struct buf *b = &a->out;
        char cwd[4096], host[256] = "";
        TimeMs reloaded_ms;
        bool ok = w->o.reload_state(w->o.app, &reloaded_ms);
        char *retention = w->o.retention_text(w->o.app);
        struct db_stats s;
        db_get_stats(w->o.db, &s);
        gethostname(host, sizeof host - 1);
        api_begin(a);
        buf_putc(b, '{');
        put_ms_member(b, "startTime", w->start_ms);
        buf_putc(b, ',');
        json_put_member(b, "CWD", str_from(getcwd(cwd, sizeof cwd) ? cwd : "<error retrieving current working directory>"));
        buf_putc(b, ',');
        json_put_member(b, "hostname", str_from(host));
        buf_putc(b, ',');
        put_ms_member(b, "serverTime", time_now_ms());
        buf_printf(b, ",\"reloadConfigSuccess\":%s,", ok ? "true" : "false");
        put_ms_member(b, "lastConfigTime", reloaded_ms);
        /* No goroutines and no collector: threads stand for the first, the rest says "no limit". */
        buf_printf(b, ",\"corruptionCount\":%llu,\"goroutineCount\":%d,\"GOMAXPROCS\":%d,\"GOMEMLIMIT\":9223372036854775807,",
                   (unsigned long long)s.head.wal_corruptions, thread_count(), cpu_count());
        const char *gogc = getenv("GOGC"), *godebug = getenv("GODEBUG");
        json_put_member(b, "GOGC", str_from(gogc ? gogc : ""));
        buf_putc(b, ',');
        json_put_member(b, "GODEBUG", str_from(godebug ? godebug : ""));
        buf_putc(b, ',');
        json_put_member(b, "storageRetention", str_from(retention));
        buf_putc(b, '}');
        api_end(a, NULL, 0, NULL, 0);
        free(retention);
}

void json_put_buildinfo(struct buf *b, const char *version, const char *revision, const char *branch, const char *user, const char *date)
{
        buf_putc(b, '{');
        json_put_member(b, "version", str_from(version));
        buf_putc(b, ',');
        json_put_member(b, "revision", str_from(revision));
        buf_putc(b, ',');
        json_put_member(b, "branch", str_from(branch));
        buf_putc(b, ',');
        json_put_member(b, "buildUser", str_from(user));
        buf_putc(b, ',');
        json_put_member(b, "buildDate", str_from(date));
        buf_putc(b, ',');
        json_put_member(b, "goVersion", STR(""));
        buf_putc(b, '}');
}

void web_put_buildinfo(struct web *w, struct buf *b)
{
        const struct web_opts *o = &w->o;
        json_put_buildinfo(b, o->version, o->revision, o->branch, o->build_user, o->build_date);
}

static void buildinfo(struct api *a)
{
        api_begin(a);
        web_put_buildinfo(a->w, &a->out);
        api_end(a, NULL, 0, NULL, 0);
}

static void put_top(struct buf *b, const char *key, const HeadTopVec *v)
{
        buf_printf(b, ",\"%s\":[", key);
        for (size_t i = 0; i < v->n; i++) {
                buf_puts(b, i ? ",{" : "{");
                json_put_member(b, "name", v->p[i].name);
                buf_puts(b, ",\"value\":");
                buf_put_u64(b, v->p[i].value);
                buf_putc(b, '}');
        }
        buf_putc(b, ']');
}

static void status_tsdb(struct api *a)
{
        enum { LIMIT_MAX = 10000 };
        int64_t limit = 10;
        Str s = api_param(a, "limit");
        if (s.n && (!str_to_i64(s, &limit) || limit < 1)) {
                api_fail(a, API_BAD_DATA, "limit must be a positive number");
                return;
        }
        if (limit > LIMIT_MAX) {
                api_fail(a, API_BAD_DATA, "limit must not exceed %d", LIMIT_MAX);
                return;
        }
        struct head *head = db_head(a->w->o.db);
        struct head_stats hs;
        struct head_cardinality c;
        struct arena arena;
        arena_init(&arena, WEB_REQUEST_ARENA_BYTES);
        head_get_stats(head, &hs);
        head_cardinality(head, (size_t)limit, &arena, &c);
        struct buf *b = &a->out;
        api_begin(a);
        buf_printf(b, "{\"headStats\":{\"numSeries\":%llu,\"numLabelPairs\":%llu,\"chunkCount\":%llu,\"minTime\":%lld,\"maxTime\":%lld}", (unsigned long long)hs.series,
                   (unsigned long long)head_label_pairs(head), (unsigned long long)hs.chunks, (long long)hs.min_ms, (long long)hs.max_ms);
        put_top(b, "seriesCountByMetricName", &c.series_by_metric);
        put_top(b, "labelValueCountByLabelName", &c.values_by_label);
        put_top(b, "memoryInBytesByLabelName", &c.bytes_by_label);
        put_top(b, "seriesCountByLabelValuePair", &c.series_by_pair);
        buf_putc(b, '}');
        api_end(a, NULL, 0, NULL, 0);
        head_cardinality_done(&c);
        arena_done(&arena);
}

static void status_blocks(struct api *a)
{
        BlockVec blocks = VEC_INIT;
        db_blocks(a->w->o.db, &blocks);
        api_begin(a);
        buf_puts(&a->out, "{\"blocks\":[");
        for (size_t i = 0; i < blocks.n; i++) {
                if (i)
                        buf_putc(&a->out, ',');
                block_meta_print(&a->out, block_get_meta(blocks.p[i]));
                api_flush(a);
        }
        buf_puts(&a->out, "]}");
        api_end(a, NULL, 0, NULL, 0);
        db_blocks_done(&blocks);
}

static void walreplay(struct api *a)
{
        struct db_replay_status s;
        db_replay_status(a->w->o.db, &s);
        api_begin(a);
        buf_printf(&a->out, "{\"min\":%d,\"max\":%d,\"current\":%d}", s.min, s.max, s.current);
        api_end(a, NULL, 0, NULL, 0);
}

void api_status_register(struct web *w)
{
        api_handle(w, "status/config", HTTP_GET, 0, status_config);
        api_handle(w, "status/flags", HTTP_GET, 0, status_flags);
        api_handle(w, "status/runtimeinfo", HTTP_GET, 0, runtimeinfo);
        api_handle(w, "status/buildinfo", HTTP_GET, 0, buildinfo);
        api_handle(w, "status/tsdb", HTTP_GET, 0, status_tsdb);
        api_handle(w, "status/tsdb/blocks", HTTP_GET, 0, status_blocks);
        api_handle(w, "status/walreplay", HTTP_GET, 0, walreplay);
}
