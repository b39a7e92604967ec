/* SPDX-License-Identifier: Apache-2.0 */
/* up.c — the role up: the whole of it in one process, without configuration: it watches itself and the host that it runs on. */
#include <stdio.h>

#include "app/roles.h"
#include "app/server.h"
#include "base/log.h"

static const struct flag rows[] = {
        {"data", "Folder of the data; made if it is not there.", FLAG_STRING, "data"},
        {"web.listen-address", "Address to listen on for pages, API, and telemetry.", FLAG_STRING, "127.0.0.1:9090"},
        {"scrape-interval", "How often it looks at itself and the host.", FLAG_DURATION, "15s"},
        {"retention.time", "How long to keep samples.", FLAG_DURATION, "15d"},
        {"retention.size", "Most bytes that blocks may take; 0: no limit.", FLAG_BYTES, "0B"},
        {"log.level", "Only log messages with the given severity or above. One of: [debug, info, warn, error]", FLAG_ENUM, "warn", .choices = "debug,info,warn,error"},
        {"log.format", "Output format of log messages. One of: [logfmt, json]", FLAG_ENUM, "logfmt", .choices = "logfmt,json"},
};

static void tell(void *ctx, int port)
{
        const struct flags *f = ctx;
        Str host = str_from(flags_str(f, "web.listen-address"));
        ptrdiff_t colon = str_rfind(host, ':');
        if (colon >= 0)
                host.n = (size_t)colon;
        if (host.n == 0 || str_eq(host, STR("0.0.0.0")) || str_eq(host, STR("[::]")))
                host = STR("127.0.0.1");
        printf("coeus is up: open http://" STR_FMT ":%d in a browser\n  data in %s, Prometheus API at /api/v1, own metrics at /metrics, the host's at /host/metrics\n",
               STR_ARG(host), port, flags_str(f, "data"));
        fflush(stdout);
}

/* The first scrape should come soon, so the interval may be short; targets are this process' own pages. */
static void config_make(const struct flags *f, struct buf *b)
{
        Str address = str_from(flags_str(f, "web.listen-address")), host, port;
        ptrdiff_t colon = str_rfind(address, ':');
        host = colon < 0 ? address : str_sub(address, 0, (size_t)colon);
        port = colon < 0 ? STR("9090") : str_skip(address, (size_t)colon + 1);
        if (host.n == 0 || str_eq(host, STR("0.0.0.0")) || str_eq(host, STR("[::]")))
                host = STR("127.0.0.1");
        buf_printf(b,
                   "global: {scrape_interval: %s, evaluation_interval: %s}\n"
                   "scrape_configs:\n"
                   "- job_name: coeus\n"
                   "  static_configs: [{targets: ['" STR_FMT ":" STR_FMT "']}]\n"
                   "- job_name: node\n"
                   "  metrics_path: /host/metrics\n"
                   "  static_configs: [{targets: ['" STR_FMT ":" STR_FMT "']}]\n",
                   flags_str(f, "scrape-interval"), flags_str(f, "scrape-interval"), STR_ARG(host), STR_ARG(port), STR_ARG(host), STR_ARG(port));
}

int up_run(int argc, char **argv)
{
        const struct flag_spec spec = {.name = "up", .what = "All of coeus in one process, with the host itself as target.", .version = "coeus " COEUS_VERSION,
                                       .table = rows, .n = ARRAY_LEN(rows)};
        struct flags f;
        int code;
        flags_init(&f, &spec);
        if (!flags_parse(&f, argc, argv, &code)) {
                flags_done(&f);
                return code;
        }
        log_set_level(str_from(flags_str(&f, "log.level")));
        log_set_format(str_from(flags_str(&f, "log.format")));
        struct buf config = BUF_INIT(1 << 16);
        config_make(&f, &config);
        const char *address = flags_str(&f, "web.listen-address");
        struct server_opts o = {
                .config_text = buf_cstr(&config), .flags = &f, .listen_addresses = &address, .n_listen = 1, .connections_max = 512, .read_timeout_ms = 5 * 60 * 1000,
                .external_url = "", .route_prefix = "", .page_title = "coeus", .cors_origin = ".*", .db = DB_OPTS_INIT,
                .lookback_ms = 5 * 60 * 1000, .query_timeout_ms = 2 * 60 * 1000, .query_concurrency = 20, .query_max_samples = 50000000,
                .query_max_bytes = (size_t)4 << 30, .read_sample_limit = 50000000, .read_concurrency = 10, .read_frame_bytes = 1 << 20,
                .adjust_timestamps = true, .timestamp_tolerance_ms = 2, .discovery_reload_ms = 5000, .host_metrics = true, .ready = tell, .ctx = &f};
        o.db.dir = flags_str(&f, "data");
        o.db.retention_ms = flags_int(&f, "retention.time");
        o.db.retention_bytes = (uint64_t)flags_int(&f, "retention.size");
        code = server_run(&o);
        buf_done(&config);
        flags_done(&f);
        return code;
}
