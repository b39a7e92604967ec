/* SPDX-License-Identifier: Apache-2.0 */
/* up.c — the role up: the whole of it in one process, without configuration: it watches itself and the host that it runs on. */
#include <stdio.h>

#include "app/roles.h"
#include "app/server.h"
#include "app/thanos_common.h"
#include "base/log.h"
#include "codec/json.h"

#define FOLDER_RETENTION_MS (INT64_C(365) * 86400000)

static const struct flag rows[] = {
        {"data", "Folder of the data; made if it is not there.", FLAG_STRING, "data"},
        {"web.listen-address", "Address to listen on for pages, API, and telemetry.", FLAG_STRING, "127.0.0.1:9090"},
        {"scrape-interval", "How often it looks at itself and the host.", FLAG_DURATION, "15s"},
        {"retention.time", "How long to keep samples here. Queries see what the bucket has of before, too.", FLAG_DURATION, "15d"},
        {"retention.size", "Most bytes that blocks may take here; 0: no limit.", FLAG_BYTES, "0B"},
        {"bucket", "Bring each block into a bucket, and read from there what is not here any more. Nothing goes from here for its age before it is in the bucket.", FLAG_BOOL,
         "true"},
        {"objstore.config-file", "File with the configuration of the bucket, as Thanos' components take it; without one it is the folder bucket below the data.", FLAG_STRING, ""},
        {"objstore.config", "The configuration itself, in YAML.", FLAG_STRING, ""},
        {"bucket.retention.time", "How long blocks stay in the bucket; 0: for ever. 1y for the folder below the data, 0 for a bucket of --objstore.config, unless given.",
         FLAG_DURATION, NULL, "<duration>"},
        {"label", "External label, as NAME=VALUE; can be given several times. Names what we write in the bucket: needed, and to be ours alone, where others write there too.",
         FLAG_STRINGS, NULL, "<name>=<value>"},
        {"bucket.sync-interval", "How often to look for blocks to upload.", FLAG_DURATION, "30s", .bits = FLAG_HIDDEN},
        {"bucket.view-interval", "How often to read the list of blocks of the bucket.", FLAG_DURATION, "5m", .bits = FLAG_HIDDEN},
        {"storage.tsdb.min-block-duration", "Time range of the smallest block. For tests.", FLAG_DURATION, "2h", .bits = FLAG_HIDDEN},
        {"storage.tsdb.max-block-duration", "Longest time range of a block. For tests.", FLAG_DURATION, NULL, "<duration>", .bits = FLAG_HIDDEN},
        {"storage.tsdb.block-reload-interval", "How often retention is looked at. For tests.", FLAG_DURATION, "1m", .bits = FLAG_HIDDEN},
        {"log.level", "Only log messages with the given severity or above. One of: [debug, info, warn, error]", FLAG_ENUM, "warn", .choices = "debug,info,warn,error"},
        {"log.format", "Output format of log messages. One of: [logfmt, json]", FLAG_ENUM, "logfmt", .choices = "logfmt,json"},
};

struct up {
        const struct flags *f;
        struct arena arena;             /* of the labels */
        Labels labels;
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
        const struct up *u = ctx;
        const struct flags *f = u->f;
        printf("coeus is up: open http://" STR_FMT ":%d in a browser\n  data in %s, Prometheus API at /api/v1, own metrics at /metrics, the host's at /host/metrics\n",
               STR_ARG(own_host(f)), port, flags_str(f, "data"));
        fflush(stdout);
}

/* The targets are pages of this process: with port 0 they are known once it listens. */
static void config_make(void *ctx, int port, struct buf *b)
{
        const struct up *u = ctx;
        const struct flags *f = u->f;
        Str host = own_host(f);
        buf_printf(b, "global:\n  scrape_interval: %s\n  evaluation_interval: %s\n", flags_str(f, "scrape-interval"), flags_str(f, "scrape-interval"));
        for (size_t i = 0; i < u->labels.n; i++) {
                buf_puts(b, i ? "    " : "  external_labels:\n    ");
                json_put_str(b, u->labels.v[i].name);
                buf_puts(b, ": ");
                json_put_str(b, u->labels.v[i].value);
                buf_putc(b, '\n');
        }
        buf_printf(b,
                   "scrape_configs:\n"
                   "- job_name: coeus\n"
                   "  static_configs: [{targets: ['" STR_FMT ":%d']}]\n"
                   "- job_name: node\n"
                   "  metrics_path: /host/metrics\n"
                   "  static_configs: [{targets: ['" STR_FMT ":%d']}]\n",
                   STR_ARG(host), port, STR_ARG(host), port);
}

/* a=b, a="b" */
static struct error *labels_take(struct up *u)
{
        size_t n, used = 0;
        const char *const *given = flags_list(u->f, "label", &n);
        Label *v = arena_array(&u->arena, Label, n + 1);
        for (size_t i = 0; i < n; i++) {
                Str name, value;
                if (!str_cut(str_from(given[i]), '=', &name, &value) || !label_name_is_legacy(name))
                        return error_new(ERROR_INVALID, "--label=%s: NAME=VALUE is wanted", given[i]);
                if (value.n >= 2 && value.p[0] == '"' && value.p[value.n - 1] == '"')
                        value = str_sub(value, 1, value.n - 1);
                if (value.n == 0 || str_contains(value, STR("\"")) || str_contains(value, STR("\\")) || str_contains(value, STR("$")))
                        return error_new(ERROR_INVALID, "--label=%s: a value without \", \\ and $ is wanted", given[i]);
                for (size_t k = 0; k < used; k++)
                        if (str_eq(v[k].name, name))
                                return error_new(ERROR_INVALID, "--label=%s: the name was given before", given[i]);
                v[used++] = (Label){name, value};
        }
        if (used == 0)
                v[used++] = (Label){STR("coeus"), STR("up")};
        labels_sort(v, used);
        u->labels = (Labels){v, used};
        return NULL;
}

static struct error *bucket_conf(struct up *u, struct buf *text, struct up_bucket_opts *ret)
{
        bool has_conf = *flags_str(u->f, "objstore.config") || *flags_str(u->f, "objstore.config-file");
        if (has_conf && !flags_is_set(u->f, "label"))
                return error_new(ERROR_INVALID, "a bucket that others may write to needs --label=NAME=VALUE, with a value that no other writer has");
        struct error *e = thanos_content(u->f, "objstore.config", false, text);
        int64_t keep_ms = flags_is_set(u->f, "bucket.retention.time") ? flags_int(u->f, "bucket.retention.time") : has_conf ? 0 : FOLDER_RETENTION_MS;
        *ret = (struct up_bucket_opts){.objstore_config = buf_str(text), .labels = u->labels, .retention_ms = keep_ms, .ship_every_ms = flags_int(u->f, "bucket.sync-interval"),
                                       .view_every_ms = flags_int(u->f, "bucket.view-interval")};
        return e;
}

static int up_serve(struct up *u)
{
        const struct flags *f = u->f;
        struct up_bucket_opts bucket;
        struct buf text = BUF_INIT(16 << 20);
        bool has_bucket = flags_bool(f, "bucket");
        struct error *e = labels_take(u);
        if (!e && has_bucket)
                e = bucket_conf(u, &text, &bucket);
        if (!e && flags_int(f, "scrape-interval") <= 0)
                e = error_new(ERROR_INVALID, "--scrape-interval must be greater than zero");
        if (!e && (flags_int(f, "bucket.sync-interval") <= 0 || flags_int(f, "bucket.view-interval") <= 0))
                e = error_new(ERROR_INVALID, "intervals of the bucket must be greater than zero");
        if (e) {
                fprintf(stderr, "coeus up: %s\n", error_str(e));
                error_free(e);
                buf_done(&text);
                return 1;
        }
        log_set_level(str_from(flags_str(f, "log.level")));
        log_set_format(str_from(flags_str(f, "log.format")));
        const char *address = flags_str(f, "web.listen-address");
        struct server_opts o = {
                .config_text = config_make, .flags = f, .listen_addresses = &address, .n_listen = 1, .connections_max = 512, .read_timeout_ms = 5 * 60 * 1000,
                .external_url = "", .route_prefix = "", .page_title = "coeus", .cors_origin = ".*", .db = DB_OPTS_INIT,
                .lookback_ms = 5 * 60 * 1000, .query_timeout_ms = 2 * 60 * 1000, .query_concurrency = 20, .query_max_samples = 50000000,
                .query_max_bytes = (size_t)4 << 30, .read_sample_limit = 50000000, .read_concurrency = 10, .read_frame_bytes = 1 << 20,
                .adjust_timestamps = true, .timestamp_tolerance_ms = 2, .discovery_reload_ms = 5000, .alerting = alerting_flags_defaults, .host_metrics = true, .ready = tell, .ctx = u};
        o.db.dir = flags_str(f, "data");
        o.db.snapshot_on_close = true;
        o.db.retention_ms = flags_int(f, "retention.time");
        o.db.retention_bytes = (uint64_t)flags_int(f, "retention.size");
        o.db.min_block_ms = flags_int(f, "storage.tsdb.min-block-duration");
        o.db.max_block_ms = flags_int(f, "storage.tsdb.max-block-duration");
        o.db.reload_ms = flags_int(f, "storage.tsdb.block-reload-interval");
        o.bucket = has_bucket ? &bucket : NULL;
        int code = server_run(&o);
        buf_done(&text);
        return code;
}

int up_run(int argc, char **argv)
{
        const struct flag_spec spec = {.name = "coeus up", .what = "All of coeus in one process, with the host itself as target.", .version = "coeus " COEUS_VERSION,
                                       .table = rows, .n = ARRAY_LEN(rows)};
        struct flags f;
        int code;
        flags_init(&f, &spec);
        if (flags_parse(&f, argc, argv, &code)) {
                struct up u = {.f = &f};
                arena_init(&u.arena, 1 << 20);
                code = up_serve(&u);
                arena_done(&u.arena);
        }
        flags_done(&f);
        return code;
}
