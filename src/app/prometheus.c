/* SPDX-License-Identifier: Apache-2.0 */
/* prometheus.c — the role prometheus: the original's flags as options of the server. */
#include <stdio.h>

#include "app/prometheus_flags.h"
#include "app/roles.h"
#include "app/server.h"
#include "base/arena.h"
#include "base/file.h"
#include "base/log.h"
#include "codec/yaml.h"

/* --web.config.file: operators always give one, mostly an empty one, which asks for nothing. */
static struct error *web_config_check(const char *path)
{
        enum { FILE_MAX_BYTES = 1 << 20 };
        char *text;
        size_t n;
        struct arena a;
        struct yaml *root;
        if (!*path)
                return NULL;
        struct error *e = file_read(path, FILE_MAX_BYTES, &text, &n);
        if (e)
                return e;
        arena_init(&a, FILE_MAX_BYTES * 64);
        e = yaml_parse((Str){text, n}, &a, &root);
        if (e)
                e = error_wrap(e, "%s", path);
        else if (root && !(root->type == YAML_MAP && root->n == 0))
                e = error_new(ERROR_UNSUPPORTED, "%s: TLS and authentication of the server (--web.config.file) are not supported yet", path);
        arena_done(&a);
        free(text);
        return e;
}

/* False: told already, the caller ends with *ret_code. */
static bool flags_are_supported(const struct flags *f, int *ret_code)
{
        static const char *const refused_bools[] = {"agent", "config.auto-reload", "web.enable-otlp-receiver", "write-documentation"};
        static const char *const refused_texts[] = {"storage.tsdb.delay-compact-file.path"};
        *ret_code = 1;
        for (size_t i = 0; i < ARRAY_LEN(refused_bools); i++) {
                if (flags_bool(f, refused_bools[i])) {
                        fprintf(stderr, "--%s is not supported yet\n", refused_bools[i]);
                        return false;
                }
        }
        for (size_t i = 0; i < ARRAY_LEN(refused_texts); i++) {
                if (*flags_str(f, refused_texts[i])) {
                        fprintf(stderr, "--%s is not supported yet\n", refused_texts[i]);
                        return false;
                }
        }
        struct error *e = web_config_check(flags_str(f, "web.config.file"));
        if (e) {
                log_error("", "Unable to validate web configuration file", KV_E(e));
                error_free(e);
                return false;
        }
        if (flags_float(f, "auto-gomemlimit.ratio") <= 0 || flags_float(f, "auto-gomemlimit.ratio") > 1) {
                fputs("--auto-gomemlimit.ratio must be greater than 0 and less than or equal to 1.\n", stderr);
                return false;
        }
        if (flags_int(f, "web.search.max-limit") < 0) {
                fprintf(stderr, "--web.search.max-limit must be non-negative; got %lld (use 0 to disable the cap)\n", (long long)flags_int(f, "web.search.max-limit"));
                return false;
        }
        struct buf wrong = BUF_INIT(1 << 16);
        for (size_t i = 0; i < f->spec->n; i++) {
                if (f->v[i].set && f->spec->table[i].bits & FLAG_AGENT_ONLY)
                        buf_printf(&wrong, "%s\"--%s\"", wrong.n ? " " : "", f->spec->table[i].name);
        }
        bool ok = wrong.n == 0;
        if (!ok) {
                fprintf(stderr, "The following flag(s) can only be used in agent mode: [%s]\n", buf_cstr(&wrong));
                *ret_code = 3;
        }
        buf_done(&wrong);
        return ok;
}

static bool feature_is_noop(Str s)
{
        static const char *const names[] = {"memory-snapshot-on-shutdown", "native-histograms", "ooo-native-histograms", "promql-duration-expr", "old-ui"};
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                if (str_eq(s, str_from(names[i])))
                        return true;
        }
        return false;
}

static bool feature_is_unsupported(Str s)
{
        static const char *const names[] = {
                "auto-reload-config", "created-timestamp-zero-ingestion", "delayed-compaction", "fast-startup",
                "histograms-st-encoding", "metadata-wal-records", "otlp-deltatocumulative", "otlp-native-delta-ingestion",
                "search-api", "st-storage", "st-synthesis", "type-and-unit-labels", "use-uncached-io", "xor2-encoding"};
        for (size_t i = 0; i < ARRAY_LEN(names); i++) {
                if (str_eq(s, str_from(names[i])))
                        return true;
        }
        return false;
}

static bool features_set(const struct flags *f, struct server_opts *o)
{
        size_t n;
        const char *const *lists = flags_list(f, "enable-feature", &n);
        for (size_t i = 0; i < n; i++) {
                Str rest = str_from(lists[i]), one;
                while (str_next(&rest, ',', &one)) {
                        if (str_eq(one, STR("promql-experimental-functions")))
                                o->parse.experimental_functions = true;
                        else if (str_eq(one, STR("promql-extended-range-selectors")))
                                o->parse.extended_range_selectors = true;
                        else if (str_eq(one, STR("promql-binop-fill-modifiers")))
                                o->parse.fill_modifiers = true;
                        else if (str_eq(one, STR("promql-per-step-stats")))
                                o->per_step_stats = true;
                        else if (str_eq(one, STR("promql-delayed-name-removal")))
                                o->delayed_name_removal = true;
                        else if (str_eq(one, STR("use-start-timestamps")))
                                o->use_start_times = true;
                        else if (str_eq(one, STR("concurrent-rule-eval")))
                                o->alerting.concurrent_evals = (int)flags_int(f, "rules.max-concurrent-evals");
                        else if (str_eq(one, STR("extra-scrape-metrics")))
                                o->extra_scrape_metrics = true;
                        else if (str_eq(one, STR("exemplar-storage")))
                                o->exemplars = true;
                        else if (feature_is_unsupported(one)) {
                                fprintf(stderr, "--enable-feature=" STR_FMT " is not supported yet\n", STR_ARG(one));
                                return false;
                        } else if (one.n && !feature_is_noop(one))
                                log_warn("", "Unknown option for --enable-feature", KV_STR("option", one));
                }
        }
        return true;
}

/* Which messages the remote write receiver takes. */
static bool messages_set(const struct flags *f, struct server_opts *o)
{
        size_t n;
        const char *const *lists = flags_list(f, "web.remote-write-receiver.accepted-protobuf-messages", &n);
        for (size_t i = 0; i < n; i++) {
                Str rest = str_from(lists[i]), one;
                while (str_next(&rest, ',', &one)) {
                        bool v2 = str_eq(one, STR("io.prometheus.write.v2.Request"));
                        if (!v2 && !str_eq(one, STR("prometheus.WriteRequest"))) {
                                fprintf(stderr, "unknown remote write protobuf message " STR_FMT
                                                ", supported: prometheus.WriteRequest, io.prometheus.write.v2.Request\n", STR_ARG(one));
                                return false;
                        }
                        *(v2 ? &o->write_v2 : &o->write_v1) = flags_bool(f, "web.enable-remote-write-receiver");
                }
        }
        return true;
}

static void options_fill(const struct flags *f, struct server_opts *o)
{
        *o = (struct server_opts){
                .config_file = flags_str(f, "config.file"),
                .flags = f,
                .connections_max = (int)flags_int(f, "web.max-connections"),
                .read_timeout_ms = flags_int(f, "web.read-timeout"),
                .external_url = flags_str(f, "web.external-url"),
                .route_prefix = flags_str(f, "web.route-prefix"),
                .page_title = flags_str(f, "web.page-title"),
                .user_assets = *flags_str(f, "web.user-assets") ? flags_str(f, "web.user-assets") : NULL,
                .cors_origin = flags_str(f, "web.cors.origin"),
                .enable_lifecycle = flags_bool(f, "web.enable-lifecycle"),
                .enable_admin = flags_bool(f, "web.enable-admin-api"),
                .db = DB_OPTS_INIT,
                .lookback_ms = flags_int(f, "query.lookback-delta"),
                .query_timeout_ms = flags_int(f, "query.timeout"),
                .query_concurrency = (int)flags_int(f, "query.max-concurrency"),
                .query_max_samples = (size_t)flags_int(f, "query.max-samples"),
                .query_max_bytes = (size_t)flags_int(f, "query.max-memory"),
                .query_max_total_bytes = (size_t)flags_int(f, "query.max-total-memory"),
                .read_sample_limit = flags_int(f, "storage.remote.read-sample-limit"),
                .read_concurrency = (int)flags_int(f, "storage.remote.read-concurrent-limit"),
                .read_frame_bytes = flags_int(f, "storage.remote.read-max-bytes-in-frame"),
                .adjust_timestamps = flags_bool(f, "scrape.adjust-timestamps"),
                .timestamp_tolerance_ms = flags_int(f, "scrape.timestamp-tolerance") / 1000000,
                .discovery_reload_ms = flags_int(f, "scrape.discovery-reload-interval"),
                .alerting = {.outage_tolerance_ms = flags_int(f, "rules.alert.for-outage-tolerance"),
                             .grace_period_ms = flags_int(f, "rules.alert.for-grace-period"),
                             .resend_delay_ms = flags_int(f, "rules.alert.resend-delay"),
                             .queue_capacity = (size_t)MAX(flags_int(f, "alertmanager.notification-queue-capacity"), 1),
                             .batch_size = (size_t)MAX(flags_int(f, "alertmanager.notification-batch-size"), 1),
                             .no_drain = !flags_bool(f, "alertmanager.drain-notification-queue-on-shutdown")},
        };
        o->listen_addresses = flags_list(f, "web.listen-address", &o->n_listen);
        o->db.dir = flags_str(f, "storage.tsdb.path");
        o->db.min_block_ms = flags_int(f, "storage.tsdb.min-block-duration");
        o->db.max_block_ms = flags_int(f, "storage.tsdb.max-block-duration");
        o->db.retention_ms = flags_int(f, "storage.tsdb.retention.time");
        o->db.retention_bytes = (uint64_t)flags_int(f, "storage.tsdb.retention.size");
        if (o->db.retention_ms == 0 && o->db.retention_bytes == 0)
                o->db.retention_ms = INT64_C(15) * 24 * 3600 * 1000;
        o->db.samples_per_chunk = (int)flags_int(f, "storage.tsdb.samples-per-chunk");
        bool zstd = strcmp(flags_str(f, "storage.tsdb.wal-compression-type"), "zstd") == 0;
        o->db.wal_compression = !flags_bool(f, "storage.tsdb.wal-compression") ? WAL_NONE : zstd ? WAL_ZSTD : WAL_SNAPPY;
        o->db.wal_segment_bytes = (uint32_t)flags_int(f, "storage.tsdb.wal-segment-size");
        o->db.chunk_segment_bytes = (uint64_t)flags_int(f, "storage.tsdb.max-block-chunk-segment-size");
        o->db.reload_ms = MAX(flags_int(f, "storage.tsdb.block-reload-interval"), 1000);
        o->db.snapshot_on_close = true; /* what the original does by a feature */
        o->db.no_lockfile = flags_bool(f, "storage.tsdb.no-lockfile");
        o->db.allow_overlapping_compaction = flags_bool(f, "storage.tsdb.allow-overlapping-compaction");
}

static bool sizes_are_sane(const struct server_opts *o)
{
        if (o->db.wal_segment_bytes && (o->db.wal_segment_bytes < 10 << 20 || o->db.wal_segment_bytes > 256 << 20)) {
                fputs("flag 'storage.tsdb.wal-segment-size' must be set between 10MB and 256MB\n", stderr);
                return false;
        }
        if (o->db.chunk_segment_bytes && o->db.chunk_segment_bytes < 1 << 20) {
                fputs("flag 'storage.tsdb.max-block-chunk-segment-size' must be set over 1MB\n", stderr);
                return false;
        }
        return true;
}

int prometheus_run(int argc, char **argv)
{
        struct flag_spec spec = {.name = "prometheus", .what = "The Prometheus monitoring server, by coeus", .version = "prometheus, version " COEUS_VERSION " (coeus)"};
        spec.table = prometheus_flags(&spec.n);
        struct flags f;
        struct server_opts o;
        int code;
        flags_init(&f, &spec);
        if (flags_parse(&f, argc, argv, &code)) {
                log_set_level(str_from(flags_str(&f, "log.level")));
                log_set_format(str_from(flags_str(&f, "log.format")));
                if (flags_are_supported(&f, &code)) {
                        options_fill(&f, &o);
                        code = features_set(&f, &o) && messages_set(&f, &o) && sizes_are_sane(&o) ? server_run(&o) : 1;
                }
        }
        flags_done(&f);
        return code;
}
