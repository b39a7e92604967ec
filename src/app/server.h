/* SPDX-License-Identifier: Apache-2.0 */
/* server.h — the Prometheus server as one object: storage, engine, discovery, scraping and web, wired together, run until a signal.
 *
 *   struct server_opts o = SERVER_OPTS_INIT;
 *   return server_run(&o);                          the exit code
 *
 * The roles `prometheus` and `up` are two ways to fill in the options.  Upstream: cmd/prometheus/main.go */
#ifndef APP_SERVER_H
#define APP_SERVER_H

#include "app/flags.h"
#include "app/server_alerting.h"
#include "app/up_bucket.h"
#include "tsdb/db/db.h"
#include "web/web.h"

struct server_opts {
        const char *config_file;        /* NULL: config_text */
        void (*config_text)(void *ctx, int port, struct buf *b);        /* a configuration that is part of the program; port: where the
                                                                         * first listener is, 0 while there is none yet */
        const struct flags *flags;      /* shown by status/flags; borrowed */
        const char *const *listen_addresses;
        size_t n_listen;
        int connections_max;
        int64_t read_timeout_ms;
        const char *external_url, *route_prefix;        /* "": derived */
        const char *page_title, *user_assets, *cors_origin;
        bool enable_lifecycle, enable_admin, write_v1, write_v2;

        struct db_opts db;              /* retention as flags say it: the file wins */
        struct up_bucket_opts *bucket;  /* `up`: where blocks go and the past comes from; NULL: none. metrics and data_dir are filled in here */
        int64_t lookback_ms, query_timeout_ms;
        int query_concurrency;
        size_t query_max_samples, query_max_bytes;
        size_t query_max_total_bytes;   /* 0: half of the memory */
        struct promql_parse_opts parse;
        bool per_step_stats, delayed_name_removal, use_start_times;
        bool exemplars;                 /* are kept, as many as the configuration says */
        int64_t read_sample_limit, read_frame_bytes;
        int read_concurrency;

        bool adjust_timestamps, extra_scrape_metrics;
        int64_t timestamp_tolerance_ms, discovery_reload_ms;
        struct alerting_flags alerting;
        bool host_metrics;              /* `up`: a page /host/metrics with the host's own metrics */
        void (*ready)(void *ctx, int port);             /* told once it serves; NULL: none */
        void *ctx;
};
/* Builds everything, runs until SIGTERM, returns the exit code: 0, 1 (could not start), 2 (wrong configuration). */
int server_run(const struct server_opts *o);

#endif
