/* SPDX-License-Identifier: Apache-2.0 */
#include "app/thanos_query_flags.h"

#include "app/thanos_common.h"

const struct flag query_flag_rows[] = {
        THANOS_FLAGS_ALL,
        THANOS_FLAGS_HTTP,
        THANOS_FLAGS_GRPC_SERVER,
        THANOS_FLAGS_LIMITS,
        THANOS_FLAGS_REQUEST_LOG,
        {"grpc-client-tls-secure", "TLS to the endpoints.", FLAG_BOOL, "false"},
        {"grpc-client-tls-skip-verify", "Take any certificate of an endpoint.", FLAG_BOOL, "false"},
        {"grpc-client-tls-cert", "Certificate that is shown to endpoints.", FLAG_STRING, ""},
        {"grpc-client-tls-key", "Its key.", FLAG_STRING, ""},
        {"grpc-client-tls-ca", "Who signed the certificates of endpoints; empty: as the system says.", FLAG_STRING, ""},
        {"grpc-client-server-name", "Name that the certificates of endpoints must have.", FLAG_STRING, ""},
        {"grpc-compression", "Compression of requests to endpoints.", FLAG_ENUM, "none", .choices = "snappy,none"},
        {"grpc.proxy-strategy", "Accepted for compatibility: streams are merged as they come.", FLAG_ENUM, "eager",
         .choices = "eager,lazy", .bits = FLAG_HIDDEN},
        {"web.route-prefix", "Prefix of the API and the pages; empty: that of --web.external-prefix.", FLAG_STRING, ""},
        {"web.external-prefix", "Prefix of links in the pages.", FLAG_STRING, ""},
        {"web.prefix-header", "Header with a prefix of links.", FLAG_STRING, ""},
        {"web.disable-cors", "No CORS headers.", FLAG_BOOL, "false"},
        {"query.timeout", "Most time of a query.", FLAG_DURATION, "2m"},
        {"query.promql-engine", "Accepted for compatibility: there is one engine.", FLAG_ENUM, "prometheus",
         .choices = "prometheus,thanos"},
        {"query.enable-x-functions", "xrate, xincrease and xdelta are not supported.", FLAG_BOOL, "false"},
        {"query.mode", "Where queries are evaluated. Only local is supported.", FLAG_ENUM, "local",
         .choices = "local,distributed"},
        {"query.max-concurrent", "Most queries that run at a time; others wait.", FLAG_INT, "20"},
        {"query.max-memory", "Most memory of one query.", FLAG_BYTES, "4GB"},
        {"query.max-total-memory",
         "Most memory of all queries together; beyond it the largest fails. 0: half of what the process may have.", FLAG_BYTES, "0B"},
        {"query.closed-ranges",
         "A range [5m] and the lookback have their left end too, as in Thanos 0.36 and Prometheus 2. Without it the end "
         "is left out, as Prometheus 3 and newer Thanos do.",
         FLAG_BOOL, "true"},
        {"query.lookback-delta", "How far back the newest sample may be. 0: 5m.", FLAG_GO_DURATION, "0s"},
        {"query.dynamic-lookback-delta", "Further back where data are coarser.", FLAG_BOOL, "true",
         .bits = FLAG_HIDDEN},
        {"query.max-concurrent-select", "Accepted for compatibility: the selects of a query run one after the other, "
         "each asks all stores at once.", FLAG_INT, "4"},
        {"query.conn-metric.label", "Labels of thanos_store_nodes_grpc_connections.", FLAG_STRINGS, NULL},
        {"query.replica-label", "Label that tells replicas apart; they are made one. Repeated.", FLAG_STRINGS, NULL},
        {"query.instant.default.max_source_resolution", "Coarsest data of instant queries with resolution auto.",
         FLAG_DURATION, "0s", .bits = FLAG_HIDDEN},
        {"query.metadata.default-time-range", "Time range of labels and series that are asked for without one. 0: all.",
         FLAG_DURATION, "0s"},
        {"selector-label", "Label of all series here: name=\"value\". Repeated.", FLAG_STRINGS, NULL},
        {"endpoint", "Address of a gRPC server: host:port, dns+, dnssrv+, dnssrvnoa+. Repeated.", FLAG_STRINGS, NULL},
        {"endpoint-strict", "Static address that is asked even when it does not answer. Repeated.", FLAG_STRINGS, NULL},
        {"endpoint-group", "DNS name and port of servers that stand for each other: one of them is asked, another when it goes. Repeated.", FLAG_STRINGS, NULL},
        {"endpoint-group-strict", "The same, asked even when it does not answer. Repeated.", FLAG_STRINGS, NULL},
        {"store", "Deprecated: --endpoint.", FLAG_STRINGS, NULL},
        {"store-strict", "Deprecated: --endpoint-strict.", FLAG_STRINGS, NULL},
        {"rule", "Deprecated: --endpoint.", FLAG_STRINGS, NULL, .bits = FLAG_HIDDEN},
        {"metadata", "Deprecated: --endpoint.", FLAG_STRINGS, NULL, .bits = FLAG_HIDDEN},
        {"exemplar", "Deprecated: --endpoint.", FLAG_STRINGS, NULL, .bits = FLAG_HIDDEN},
        {"target", "Deprecated: --endpoint.", FLAG_STRINGS, NULL, .bits = FLAG_HIDDEN},
        {"store.sd-files", "Files with addresses of stores, patterns. Repeated.", FLAG_STRINGS, NULL},
        {"store.sd-interval", "How often the files are read at least.", FLAG_DURATION, "5m"},
        {"store.sd-dns-interval", "How often names are looked up.", FLAG_DURATION, "30s"},
        {"store.sd-dns-resolver", "Accepted for compatibility: there is one resolver.", FLAG_STRING, "miekgdns",
         .bits = FLAG_HIDDEN},
        {"store.unhealthy-timeout", "How long a server that does not answer stays in the list.", FLAG_DURATION, "5m"},
        {"endpoint.info-timeout", "Most time of an Info request.", FLAG_DURATION, "5s", .bits = FLAG_HIDDEN},
        {"store.response-timeout",
         "A store that sends nothing for so long is left out, with a warning. 0: most of the query's time.",
         FLAG_DURATION, "0ms"},
        {"selector.relabel-config-file", "File with relabelling rules that choose stores by their labels.", FLAG_STRING,
         ""},
        {"selector.relabel-config", "The rules themselves.", FLAG_STRING, ""},
        {"query.auto-downsampling", "Range queries take data of a fifth of the step.", FLAG_BOOL, "false"},
        {"query.partial-response", "Answer when stores fail, with warnings.", FLAG_BOOL, "true"},
        {"rule.partial-response", "The same for rules.", FLAG_BOOL, "true", .bits = FLAG_HIDDEN},
        {"target.partial-response", "The same for targets.", FLAG_BOOL, "true", .bits = FLAG_HIDDEN},
        {"metric-metadata.partial-response", "The same for metadata.", FLAG_BOOL, "true", .bits = FLAG_HIDDEN},
        {"exemplar.partial-response", "The same for exemplars.", FLAG_BOOL, "true", .bits = FLAG_HIDDEN},
        {"query.active-query-path", "Folder for the file of running queries.", FLAG_STRING, ""},
        {"enable-feature", "Accepted for compatibility: promql-negative-offset, promql-at-modifier, query-pushdown.",
         FLAG_STRINGS, NULL, .bits = FLAG_HIDDEN},
        {"query.default-evaluation-interval", "Step of subqueries without one.", FLAG_DURATION, "1m"},
        {"query.default-step", "Least step of range queries without one.", FLAG_DURATION, "1s"},
        {"alert.query-url", "Accepted for compatibility: for links of alerts.", FLAG_STRING, ""},
        {"query.telemetry.request-duration-seconds-quantiles", "Buckets of durations.", FLAG_STRINGS, NULL},
        {"query.telemetry.request-samples-quantiles", "Buckets of numbers of samples.", FLAG_STRINGS, NULL},
        {"query.telemetry.request-series-seconds-quantiles", "Buckets of numbers of series.", FLAG_STRINGS, NULL},
        {"query.tenant-header", "Header that names the tenant.", FLAG_STRING, "THANOS-TENANT"},
        {"query.default-tenant-id", "Tenant where there is no header.", FLAG_STRING, "default-tenant"},
        {"query.tenant-certificate-field", "Tenants by client certificates are not supported.", FLAG_STRING, ""},
        {"query.enforce-tenancy", "Show series of the tenant only.", FLAG_BOOL, "false"},
        {"query.tenant-label-name", "Label that names the tenant of a series.", FLAG_STRING, "tenant_id"},
};
const size_t query_flag_n = ARRAY_LEN(query_flag_rows);

struct error *query_flags_check(const struct flags *f)
{
        static const char *const refused[] = {"query.tenant-certificate-field"};
        struct error *e = NULL;
        for (size_t i = 0; !e && i < ARRAY_LEN(refused); i++)
                e = thanos_refuse(f, refused[i]);
        if (!e && flags_bool(f, "query.enable-x-functions"))
                e = error_new(ERROR_UNSUPPORTED, "--query.enable-x-functions is not supported yet");
        if (!e && strcmp(flags_str(f, "query.mode"), "local") != 0)
                e = error_new(ERROR_UNSUPPORTED, "--query.mode=distributed is not supported yet");
        return e;
}
