/* SPDX-License-Identifier: Apache-2.0 */
#include "app/metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "base/thread.h"

/* Where a value is in struct db_stats, and what it is. */
enum source { FROM_U64, FROM_I64, FROM_INT, FROM_DOUBLE, FROM_TIME_MS, FROM_TIME_S, FROM_MS_AS_S };
struct row {
        const char *name, *help;
        bool counter;
        enum source source;
        size_t offset;
};
#define AT(field) offsetof(struct db_stats, field)
static const struct row rows[] = {
        {"prometheus_tsdb_blocks_loaded", "Number of currently loaded data blocks", false, FROM_U64, AT(blocks_loaded)},
        {"prometheus_tsdb_checkpoint_creations_failed_total", "Total number of checkpoint creations that failed.", true, FROM_U64, AT(head.checkpoint_creations_failed)},
        {"prometheus_tsdb_checkpoint_creations_total", "Total number of checkpoint creations attempted.", true, FROM_U64, AT(head.checkpoint_creations)},
        {"prometheus_tsdb_checkpoint_deletions_failed_total", "Total number of checkpoint deletions that failed.", true, FROM_U64, AT(head.checkpoint_deletions_failed)},
        {"prometheus_tsdb_checkpoint_deletions_total", "Total number of checkpoint deletions attempted.", true, FROM_U64, AT(head.checkpoint_deletions)},
        {"prometheus_tsdb_clean_start", "-1: lockfile is disabled. 0: a lockfile from a previous execution was replaced. 1: lockfile creation was clean", false, FROM_INT,
         AT(clean_start)},
        {"prometheus_tsdb_compactions_failed_total", "Total number of compactions that failed for the partition.", true, FROM_U64, AT(compactions_failed)},
        {"prometheus_tsdb_compactions_skipped_total", "Total number of skipped compactions due to disabled auto compaction.", true, FROM_U64, AT(compactions_skipped)},
        {"prometheus_tsdb_compactions_total", "Total number of compactions that were executed for the partition.", true, FROM_U64, AT(compactions)},
        {"prometheus_tsdb_compactions_triggered_total", "Total number of triggered compactions for the partition.", true, FROM_U64, AT(compactions_triggered)},
        {"prometheus_tsdb_data_replay_duration_seconds", "Time taken to replay the data on disk.", false, FROM_DOUBLE, AT(replay_seconds)},
        {"prometheus_tsdb_head_active_appenders", "Number of currently active appender transactions", false, FROM_U64, AT(head.active_appenders)},
        {"prometheus_tsdb_head_chunks", "Total number of chunks in the head block.", false, FROM_U64, AT(head.chunks)},
        {"prometheus_tsdb_head_chunks_created_total", "Total number of chunks created in the head", true, FROM_U64, AT(head.chunks_created)},
        {"prometheus_tsdb_head_chunks_removed_total", "Total number of chunks removed in the head", true, FROM_U64, AT(head.chunks_removed)},
        {"prometheus_tsdb_head_chunks_storage_size_bytes", "Size of the chunks_head directory.", false, FROM_U64, AT(head.chunks_head_bytes)},
        {"prometheus_tsdb_head_max_time", "Maximum timestamp of the head block. The unit is decided by the library consumer.", false, FROM_TIME_MS, AT(head.max_ms)},
        {"prometheus_tsdb_head_max_time_seconds", "Maximum timestamp of the head block.", false, FROM_TIME_S, AT(head.max_ms)},
        {"prometheus_tsdb_head_min_time", "Minimum time bound of the head block. The unit is decided by the library consumer.", false, FROM_TIME_MS, AT(head.min_ms)},
        {"prometheus_tsdb_head_min_time_seconds", "Minimum time bound of the head block.", false, FROM_TIME_S, AT(head.min_ms)},
        {"prometheus_tsdb_head_series", "Total number of series in the head block.", false, FROM_U64, AT(head.series)},
        {"prometheus_tsdb_head_series_created_total", "Total number of series created in the head", true, FROM_U64, AT(head.series_created)},
        {"prometheus_tsdb_head_series_removed_total", "Total number of series removed in the head", true, FROM_U64, AT(head.series_removed)},
        {"prometheus_tsdb_head_truncations_failed_total", "Total number of head truncations that failed.", true, FROM_U64, AT(head.truncations_failed)},
        {"prometheus_tsdb_head_truncations_total", "Total number of head truncations attempted.", true, FROM_U64, AT(head.truncations)},
        {"prometheus_tsdb_isolation_high_watermark", "The highest TSDB append ID that has been given out.", false, FROM_U64, AT(head.high_watermark)},
        {"prometheus_tsdb_isolation_low_watermark", "The lowest TSDB append ID that is still referenced.", false, FROM_U64, AT(head.low_watermark)},
        {"prometheus_tsdb_lowest_timestamp", "Lowest timestamp value stored in the database. The unit is decided by the library consumer.", false, FROM_TIME_MS, AT(lowest_ms)},
        {"prometheus_tsdb_lowest_timestamp_seconds", "Lowest timestamp value stored in the database.", false, FROM_TIME_S, AT(lowest_ms)},
        {"prometheus_tsdb_mmap_chunk_corruptions_total", "Total number of memory-mapped chunk corruptions.", true, FROM_U64, AT(head.mmap_corruptions)},
        {"prometheus_tsdb_reloads_failures_total", "Number of times the database failed to reloadBlocks block data from disk.", true, FROM_U64, AT(reloads_failed)},
        {"prometheus_tsdb_reloads_total", "Number of times the database reloaded block data from disk.", true, FROM_U64, AT(reloads)},
        {"prometheus_tsdb_retention_limit_bytes", "Max number of bytes to be retained in the tsdb blocks, configured 0 means disabled", false, FROM_U64, AT(retention_bytes)},
        {"prometheus_tsdb_retention_limit_seconds", "How long to retain samples in storage.", false, FROM_MS_AS_S, AT(retention_ms)},
        {"prometheus_tsdb_size_retentions_total", "The number of times that blocks were deleted because the maximum number of bytes was exceeded.", true, FROM_U64,
         AT(size_retentions)},
        {"prometheus_tsdb_snapshot_replay_error_total", "Total number snapshot replays that failed.", true, FROM_U64, AT(open.snapshot_errors)},
        {"prometheus_tsdb_storage_blocks_bytes", "The number of bytes that are currently used for local storage by all blocks.", false, FROM_U64, AT(block_bytes)},
        {"prometheus_tsdb_symbol_table_size_bytes", "Size of symbol table in memory for loaded blocks", false, FROM_U64, AT(symbol_bytes)},
        {"prometheus_tsdb_time_retentions_total", "The number of times that blocks were deleted because the maximum time limit was exceeded.", true, FROM_U64, AT(time_retentions)},
        {"prometheus_tsdb_exemplar_exemplars_appended_total", "Total number of appended exemplars.", true, FROM_U64, AT(head.exemplars.appended)},
        {"prometheus_tsdb_exemplar_exemplars_in_storage", "Number of exemplars currently in circular storage.", false, FROM_U64, AT(head.exemplars.stored)},
        {"prometheus_tsdb_exemplar_last_exemplars_timestamp_seconds",
         "The timestamp of the oldest exemplar stored in circular storage. Useful to check for what timerange the current exemplar buffer limit allows. This usually means the last "
         "timestampfor all exemplars for a typical setup. This is not true though if one of the series timestamp is in future compared to rest series.",
         false, FROM_MS_AS_S, AT(head.exemplars.oldest_ms)},
        {"prometheus_tsdb_exemplar_max_exemplars", "Total number of exemplars the exemplar storage can store, resizeable.", false, FROM_U64, AT(head.exemplars.max)},
        {"prometheus_tsdb_exemplar_out_of_order_exemplars_total", "Total number of out of order exemplar ingestion failed attempts.", true, FROM_U64, AT(head.exemplars.out_of_order)},
        {"prometheus_tsdb_exemplar_series_with_exemplars_in_storage", "Number of series with exemplars currently in circular storage.", false, FROM_U64, AT(head.exemplars.series)},
        {"prometheus_tsdb_wal_completed_pages_total", "Total number of completed pages.", true, FROM_U64, AT(head.wal.completed_pages)},
        {"prometheus_tsdb_wal_corruptions_total", "Total number of WAL corruptions.", true, FROM_U64, AT(head.wal_corruptions)},
        {"prometheus_tsdb_wal_page_flushes_total", "Total number of page flushes.", true, FROM_U64, AT(head.wal.page_flushes)},
        {"prometheus_tsdb_wal_segment_current", "Write log segment index that TSDB is currently writing to.", false, FROM_INT, AT(head.wal_segment)},
        {"prometheus_tsdb_wal_storage_size_bytes", "Size of the write log directory.", false, FROM_U64, AT(head.wal_bytes)},
        {"prometheus_tsdb_wal_truncations_failed_total", "Total number of write log truncations that failed.", true, FROM_U64, AT(head.wal.truncations_failed)},
        {"prometheus_tsdb_wal_truncations_total", "Total number of write log truncations attempted.", true, FROM_U64, AT(head.wal.truncations)},
        {"prometheus_tsdb_wal_writes_failed_total", "Total number of write log writes that failed.", true, FROM_U64, AT(head.wal.writes_failed)},
};

struct process_metrics {
        struct metric_registry *registry;
        struct db *db;
        struct metric *of_row[ARRAY_LEN(rows)];
        struct metric *appended, *out_of_order, *out_of_bounds, *too_old, *ooo_appended, *gc, *wal_fsync, *wal_truncate;
        struct metric *cpu, *max_fds, *open_fds, *resident, *virtual, *virtual_max;
        struct metric *reload_ok, *reload_time;
};

static double row_value(const struct row *r, const struct db_stats *s)
{
        const char *at = (const char *)s + r->offset;
        int64_t i;
        switch (r->source) {
        case FROM_U64:
                return (double)*(const uint64_t *)at;
        case FROM_I64:
                return (double)*(const int64_t *)at;
        case FROM_INT:
                return (double)*(const int *)at;
        case FROM_DOUBLE:
                return *(const double *)at;
        case FROM_MS_AS_S:
                return (double)*(const int64_t *)at / 1000;
        case FROM_TIME_MS:
                return (double)*(const int64_t *)at;
        case FROM_TIME_S:
                i = *(const int64_t *)at;       /* whole seconds, as the original divides */
                return (double)(i / 1000);
        }
        bug("source %d", r->source);
}

static void storage_fill(struct process_metrics *m)
{
        struct db_stats s;
        db_get_stats(m->db, &s);
        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
                metric_set(m->of_row[i], row_value(&rows[i], &s));
        metric_set(m->appended, (double)s.head.samples_appended);
        metric_set(m->out_of_order, (double)s.head.out_of_order);
        metric_set(m->out_of_bounds, (double)s.head.out_of_bounds);
        metric_set(m->too_old, (double)s.head.too_old);
        metric_set(m->ooo_appended, (double)s.head.ooo_appended);
        metric_set_summary(m->gc, s.head.gc_seconds, s.head.gcs);
        metric_set_summary(m->wal_fsync, s.head.wal.sync_seconds, s.head.wal.syncs);
        metric_set_summary(m->wal_truncate, s.head.wal_truncate_seconds, s.head.wal_truncations);
}

static double open_fds(void)
{
        DIR *d = opendir("/proc/self/fd");
        double n = -3;                                  /* . and .. and the directory itself */
        if (!d)
                return 0;
        while (readdir(d))
                n++;
        closedir(d);
        return n;
}

static void process_fill(struct process_metrics *m)
{
        struct rusage u;
        struct rlimit l;
        if (getrusage(RUSAGE_SELF, &u) == 0)
                metric_set(m->cpu, (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6);
        if (getrlimit(RLIMIT_NOFILE, &l) == 0)
                metric_set(m->max_fds, (double)l.rlim_cur);
        if (getrlimit(RLIMIT_AS, &l) == 0)
                metric_set(m->virtual_max, (double)l.rlim_cur);
        metric_set(m->open_fds, open_fds());
        char *text;
        size_t n;
        unsigned long long size = 0, resident = 0;
        struct error *e = file_read("/proc/self/statm", 4096, &text, &n);
        if (e) {
                error_ignore(e, "the values of before stay");
                return;
        }
        if (sscanf(text, "%llu %llu", &size, &resident) == 2) {
                double page = (double)sysconf(_SC_PAGESIZE);
                metric_set(m->virtual, (double)size * page);
                metric_set(m->resident, (double)resident * page);
        }
        free(text);
}

static void fill(void *ctx)
{
        process_fill(ctx);
        storage_fill(ctx);
}

static double process_start_seconds(void)
{
        char *stat, *total;
        size_t n;
        double up = 0;
        unsigned long long ticks = 0;
        struct error *e = file_read("/proc/self/stat", 1 << 16, &stat, &n);
        if (e) {
                error_ignore(e, "now is near enough");
                return (double)time_now_ms() / 1000;
        }
        const char *p = strrchr(stat, ')');             /* field 22, counted behind the name, which may hold blanks */
        if (p)
                sscanf(p + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu", &ticks);
        free(stat);
        e = file_read("/proc/uptime", 4096, &total, &n);
        if (e) {
                error_ignore(e, "now is near enough");
                return (double)time_now_ms() / 1000;
        }
        sscanf(total, "%lf", &up);
        free(total);
        return (double)time_now_ms() / 1000 - up + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

struct process_metrics *process_metrics_new(struct metric_registry *r, struct db *db)
{
        struct process_metrics *m = mem_new(struct process_metrics);
        m->registry = r;
        m->db = db;
        for (size_t i = 0; i < ARRAY_LEN(rows); i++)
                m->of_row[i] = rows[i].counter ? metric_counter(r, rows[i].name, rows[i].help) : metric_gauge(r, rows[i].name, rows[i].help);
        static const char *const type[] = {"type", NULL};
        static const Str as_float[] = {STR_INIT("float")};
        m->appended = metric_with(metric_family(r, METRIC_FAMILY_COUNTER, "prometheus_tsdb_head_samples_appended_total", "Total number of appended samples.", type), as_float);
        m->out_of_order = metric_with(
                metric_family(r, METRIC_FAMILY_COUNTER, "prometheus_tsdb_out_of_order_samples_total", "Total number of out of order samples ingestion failed attempts due to out of order being disabled.", type),
                as_float);
        m->out_of_bounds = metric_with(
                metric_family(r, METRIC_FAMILY_COUNTER, "prometheus_tsdb_out_of_bound_samples_total", "Total number of out of bound samples ingestion failed attempts with out of order support disabled.", type),
                as_float);
        m->too_old = metric_with(
                metric_family(r, METRIC_FAMILY_COUNTER, "prometheus_tsdb_too_old_samples_total", "Total number of out of order samples ingestion failed attempts with out of support enabled, but sample outside of time window.", type),
                as_float);
        m->ooo_appended = metric_with(
                metric_family(r, METRIC_FAMILY_COUNTER, "prometheus_tsdb_head_out_of_order_samples_appended_total", "Total number of appended out of order samples.", type),
                as_float);
        m->gc = metric_summary(r, "prometheus_tsdb_head_gc_duration_seconds", "Runtime of garbage collection in the head block.");
        m->wal_fsync = metric_summary(r, "prometheus_tsdb_wal_fsync_duration_seconds", "Duration of write log fsync.");
        m->wal_truncate = metric_summary(r, "prometheus_tsdb_wal_truncate_duration_seconds", "Duration of WAL truncation.");
        m->cpu = metric_counter(r, "process_cpu_seconds_total", "Total user and system CPU time spent in seconds.");
        m->max_fds = metric_gauge(r, "process_max_fds", "Maximum number of open file descriptors.");
        m->open_fds = metric_gauge(r, "process_open_fds", "Number of open file descriptors.");
        m->resident = metric_gauge(r, "process_resident_memory_bytes", "Resident memory size in bytes.");
        m->virtual = metric_gauge(r, "process_virtual_memory_bytes", "Virtual memory size in bytes.");
        m->virtual_max = metric_gauge(r, "process_virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes.");
        metric_set(metric_gauge(r, "process_start_time_seconds", "Start time of the process since unix epoch in seconds."), process_start_seconds());
        static const char *const build[] = {"branch", "goarch", "goos", "goversion", "revision", "tags", "version", NULL};
        metric_set(metric_with(metric_family(r, METRIC_FAMILY_GAUGE, "prometheus_build_info",
                                             "A metric with a constant '1' value labeled by version, revision, branch, goversion from which prometheus was built, and the goos and "
                                             "goarch for the build.",
                                             build),
                               (Str[]){STR(""), STR("amd64"), STR("linux"), STR(""), STR("coeus"), STR(""), STR(COEUS_VERSION)}),
                   1);
        m->reload_ok = metric_gauge(r, "prometheus_config_last_reload_successful", "Whether the last configuration reload attempt was successful.");
        m->reload_time = metric_gauge(r, "prometheus_config_last_reload_success_timestamp_seconds", "Timestamp of the last successful configuration reload.");
        metric_collect(r, fill, m);
        return m;
}

void process_metrics_free(struct process_metrics *m)
{
        if (!m)
                return;
        metric_collect_remove(m->registry, fill, m);
        free(m);
}

void process_metrics_reload(struct process_metrics *m, bool ok, TimeMs last_success_ms)
{
        metric_set(m->reload_ok, ok);
        if (ok)
                metric_set(m->reload_time, (double)last_success_ms / 1000);
}
