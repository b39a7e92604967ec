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

/* Where this machine reaches us: the address of the flag without its port. */
static Str own_host(const struct flags *f)
{
        Str host = str_from(flags_str(f, "web.listen-address"));
        ptrdiff_t colon = str_rfind(host, ':');
        if (colon >= 0)
                host.n = (size_t)colon;
        return host.n == 0 || str_eq(host, STR("0.0.0.0")) ? STR("127.0.0.1") : str_eq(host, STR("[::]")) ? STR("[::1]") : host;
}

static void tell(void *ctx, int port)
{
        const struct flags *f = ctx;
        printf("coeus is up: open http://" STR_FMT ":%d in a browser\n  data in %s, Prometheus API at /api/v1, own metrics at /metrics, the host's at /host/metrics\n",
               STR_ARG(own_host(f)), port, flags_str(f, "data"));
        fflush(stdout);
}

/* The targets are pages of this process: with port 0 they are known once it listens. */
static void config_make(void *ctx, int port, struct buf *b)
{
        const struct flags *f = ctx;
        Str host = own_host(f);
        buf_printf(b,
                   "global: {scrape_interval: %s, evaluation_interval: %s}\n"
                   "scrape_configs:\n"
                   "- job_name: coeus\n"
                   "  static_configs: [{targets: ['" STR_FMT ":%d']}]\n"
                   "- job_name: node\n"
                   "  metrics_path: /host/metrics\n"
                   "  static_configs: [{targets: ['" STR_FMT ":%d']}]\n",
                   flags_str(f, "scrape-interval"), flags_str(f, "scrape-interval"), STR_ARG(host), port, STR_ARG(host), port);
}

int up_run(int argc, char **argv)
{
        const struct flag_spec spec = {.name = "coeus up", .what = "All of coeus in one process, with the host itself as target.", .version = "coeus " COEUS_VERSION,
                                       .table = rows, .n = ARRAY_LEN(rows)};
        struct flags f;
        int code;
        flags_init(&f, &spec);
        if (!flags_parse(&f, argc, argv, &code)) {
                flags_done(&f);
                return code;
        }
        if (flags_int(&f, "scrape-interval") <= 0) {
                fputs("--scrape-interval must be greater than zero\n", stderr);
                flags_done(&f);
                return 1;
        }
        log_set_level(str_from(flags_str(&f, "log.level")));
        log_set_format(str_from(flags_str(&f, "log.format")));
        const char *address = flags_str(&f, "web.listen-address");
        struct server_opts o = {
                .config_text = config_make, .flags = &f, .listen_addresses = &address, .n_listen = 1, .connections_max = 512, .read_timeout_ms = 5 * 60 * 1000,
                .external_url = "", .route_prefix = "", .page_title = "coeus", .cors_origin = ".*", .db = DB_OPTS_INIT,
                .lookback_ms = 5 * 60 * 1000, .query_timeout_ms = 2 * 60 * 1000, .query_concurrency = 20, .query_max_samples = 50000000,
                .query_max_bytes = (size_t)4 << 30, .read_sample_limit = 50000000, .read_concurrency = 10, .read_frame_bytes = 1 << 20,
                .adjust_timestamps = true, .timestamp_tolerance_ms = 2, .discovery_reload_ms = 5000, .host_metrics = true, .ready = tell, .ctx = &f};
        o.db.dir = flags_str(&f, "data");
        o.db.retention_ms = flags_int(&f, "retention.time");
        o.db.retention_bytes = (uint64_t)flags_int(&f, "retention.size");
        code = server_run(&o);
        flags_done(&f);
        return code;
}
