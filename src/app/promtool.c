/* SPDX-License-Identifier: Apache-2.0 */
/* promtool.c — the role promtool: the table of its sub-commands, with flags and arguments as the original has them. */
#include "app/promtool.h"

#include <stdio.h>

#include "app/roles.h"

#define HTTP_CONFIG                                                                                                                                    \
        {"http.config.file", "HTTP client configuration file, see details at https://prometheus.io/docs/prometheus/latest/configuration/promtool",    \
         FLAG_STRING, NULL, "<filename>", .bits = FLAG_FILE}
#define SERVER_ARG {"server", "Prometheus server to query.", FLAG_STRING, .bits = FLAG_REQUIRED | FLAG_URL}
#define HEADERS(help) {"header", help, FLAG_STRINGS, .bits = FLAG_MAP}
#define IGNORE_UNKNOWN(help) {"ignore-unknown-fields", help, FLAG_BOOL, "false"}
#define FILES(name, help, more) {name, help, FLAG_STRINGS, .bits = FLAG_FILE | (more)}
#define DB_PATH {"db path", "Database path (default is data/).", FLAG_STRING, "data/"}
#define DUMP_FLAGS                                                                                                                                     \
        {"sandbox-dir-root", "Directory in which a copy of the head is made while it is read (default: the database path).", FLAG_STRING},             \
        {"min-time", "Oldest timestamp to dump, in milliseconds since the Unix epoch.", FLAG_INT, "-9223372036854775808"},                             \
        {"max-time", "Newest timestamp to dump, in milliseconds since the Unix epoch.", FLAG_INT, "9223372036854775807"},                              \
        {"match", "Series selector. May be repeated.", FLAG_STRINGS, "{__name__=~'(?s:.*)'}"}

static const struct flag global_flags[] = {
        {"experimental", "Enable experimental commands.", FLAG_BOOL},
        {"enable-feature",
         "Comma separated feature names to enable. Valid options: promql-experimental-functions, promql-delayed-name-removal, "
         "promql-extended-range-selectors. See https://prometheus.io/docs/prometheus/latest/feature_flags/ for more details",
         FLAG_STRINGS, ""},
};

static const struct flag check_flags[] = {{"query.lookback-delta", "How far the server looks back for a sample.", FLAG_GO_DURATION, "5m"}};
static const struct flag check_sd_flags[] = {{"timeout", "How long to wait for what discovery finds.", FLAG_GO_DURATION, "30s"}};
static const struct flag check_sd_args[] = {
        {"config-file", "The configuration file.", FLAG_STRING, .bits = FLAG_REQUIRED | FLAG_FILE},
        {"job", "The job whose discovery is run.", FLAG_STRING, .bits = FLAG_REQUIRED},
};
static const struct flag check_config_flags[] = {
        {"syntax-only", "Check the syntax only, not the files that the configuration names.", FLAG_BOOL},
        {"lint", "Lint checks for rules and scrape configurations: all, duplicate-rules, none, too-long-scrape-interval.", FLAG_STRING, "duplicate-rules"},
        {"lint-fatal", "Make lint errors exit with exit code 3.", FLAG_BOOL, "false"},
        IGNORE_UNKNOWN("Ignore unknown fields in the rule groups of the configuration's rule files."),
        {"agent", "Check config file for Prometheus in Agent mode.", FLAG_BOOL},
};
static const struct flag check_config_args[] = {FILES("config-files", "The config files to check.", FLAG_REQUIRED)};
static const struct flag check_web_args[] = {FILES("web-config-files", "The config files to check.", FLAG_REQUIRED)};
static const struct flag check_server_flags[] = {
        HTTP_CONFIG,
        {"url", "The URL for the Prometheus server.", FLAG_STRING, "http://localhost:9090", .bits = FLAG_URL},
};
static const struct flag check_rules_flags[] = {
        {"lint", "Lint checks for rules: all, duplicate-rules, none.", FLAG_STRING, "duplicate-rules"},
        {"lint-fatal", "Make lint errors exit with exit code 3.", FLAG_BOOL, "false"},
        IGNORE_UNKNOWN("Ignore unknown fields in the rule files."),
};
static const struct flag check_rules_args[] = {FILES("rule-files", "The rule files to check, default is read from standard input.", 0)};
static const struct flag check_metrics_flags[] = {
        {"extended", "Print the cardinality of each metric.", FLAG_BOOL},
        {"lint", "Lint checks for metrics: all, none.", FLAG_STRING, "all"},
};

static const struct flag query_flags[] = {
        {"format", "Output format of the query.", FLAG_ENUM, "promql", .choices = "promql,json", .letter = 'o'},
        HTTP_CONFIG,
};
static const struct flag query_instant_flags[] = {
        {"time", "Query evaluation time (RFC3339 or Unix timestamp).", FLAG_STRING},
        HEADERS("Extra headers to send to server."),
};
static const struct flag query_expr_args[] = {SERVER_ARG, {"expr", "PromQL query expression.", FLAG_STRING, .bits = FLAG_REQUIRED}};
static const struct flag query_range_flags[] = {
        HEADERS("Extra headers to send to server."),
        {"start", "Query range start time (RFC3339 or Unix timestamp).", FLAG_STRING},
        {"end", "Query range end time (RFC3339 or Unix timestamp).", FLAG_STRING},
        {"step", "Query step size (duration).", FLAG_GO_DURATION},
};
static const struct flag query_series_flags[] = {
        {"match", "Series selector. Can be specified multiple times.", FLAG_STRINGS, .bits = FLAG_REQUIRED},
        {"start", "Start time (RFC3339 or Unix timestamp).", FLAG_STRING},
        {"end", "End time (RFC3339 or Unix timestamp).", FLAG_STRING},
};
static const struct flag query_server_args[] = {SERVER_ARG};
static const struct flag query_labels_flags[] = {
        {"start", "Start time (RFC3339 or Unix timestamp).", FLAG_STRING},
        {"end", "End time (RFC3339 or Unix timestamp).", FLAG_STRING},
        {"match", "Series selector. Can be specified multiple times.", FLAG_STRINGS},
};
static const struct flag query_labels_args[] = {SERVER_ARG, {"name", "Label name to provide label values for.", FLAG_STRING, .bits = FLAG_REQUIRED}};
static const struct flag query_analyze_flags[] = {
        {"server", "Prometheus server to query.", FLAG_STRING, .bits = FLAG_REQUIRED | FLAG_URL},
        {"type", "Type of metric: histogram.", FLAG_STRING, .bits = FLAG_REQUIRED},
        {"duration", "Time frame to analyze.", FLAG_GO_DURATION, "1h"},
        {"time", "Query time (RFC3339 or Unix timestamp), defaults to now.", FLAG_STRING},
        {"match", "Series selector. Can be specified multiple times.", FLAG_STRINGS, .bits = FLAG_REQUIRED},
};

static const struct flag debug_args[] = {{"server", "Prometheus server to ask.", FLAG_STRING, .bits = FLAG_REQUIRED}};

static const struct flag push_flags[] = {HTTP_CONFIG};
static const struct flag push_metrics_flags[] = {
        {"label", "Label to attach to metrics. Can be specified multiple times.", FLAG_STRINGS, "job=promtool", .bits = FLAG_MAP},
        {"timeout", "The time to wait for pushing metrics.", FLAG_GO_DURATION, "30s"},
        HEADERS("Prometheus remote write header."),
        {"protobuf_message", "Message to write: prometheus.WriteRequest or io.prometheus.write.v2.Request.", FLAG_STRING, "prometheus.WriteRequest"},
        {"remote-write.path", "Path of the remote write API.", FLAG_STRING, "/api/v1/write"},
};
static const struct flag push_metrics_args[] = {
        {"remote-write-url", "Prometheus remote write url to push metrics.", FLAG_STRING, .bits = FLAG_REQUIRED | FLAG_URL},
        FILES("metric-files", "The metric files to push, default is read from standard input.", 0),
};

static const struct flag test_flags[] = {{"junit", "File path to store JUnit XML test results.", FLAG_STRING}};
static const struct flag test_rules_flags[] = {
        {"run", "Run only test groups whose names match the regular expression. Can be specified multiple times.", FLAG_STRINGS},
        {"debug", "Print what the test groups do.", FLAG_BOOL, "false"},
        {"diff", "Taken for the original's sake: expected and received alerts are printed as without it.", FLAG_BOOL, "false"},
        IGNORE_UNKNOWN("Ignore unknown fields in the test files."),
};
static const struct flag test_rules_args[] = {FILES("test-rule-file", "The unit test file.", FLAG_REQUIRED)};

static const struct flag tsdb_bench_write_flags[] = {
        {"out", "Set the output path.", FLAG_STRING, "benchout"},
        {"metrics", "Number of metrics to read.", FLAG_INT, "10000"},
        {"scrapes", "Number of scrapes to simulate.", FLAG_INT, "3000"},
};
static const struct flag tsdb_bench_write_args[] = {{"file", "Input file with samples data.", FLAG_STRING, "../../tsdb/testdata/20kseries.json"}};
static const struct flag tsdb_analyze_flags[] = {
        {"limit", "How many items to show in each list.", FLAG_INT, "20"},
        {"extended", "Run extended analysis.", FLAG_BOOL},
        {"match", "Series selector to analyze.", FLAG_STRING},
};
static const struct flag tsdb_analyze_args[] = {DB_PATH, {"block id", "Block to analyze (default is the last block).", FLAG_STRING}};
static const struct flag tsdb_list_flags[] = {{"human-readable", "Print human readable values.", FLAG_BOOL, .letter = 'r'}};
static const struct flag tsdb_path_args[] = {DB_PATH};
static const struct flag tsdb_dump_flags[] = {
        DUMP_FLAGS,
        {"format", "Output format of the dump (prom (default) or seriesjson).", FLAG_ENUM, "prom", .choices = "prom,seriesjson"},
};
static const struct flag tsdb_dump_openmetrics_flags[] = {DUMP_FLAGS};
static const struct flag tsdb_create_flags[] = {
        {"human-readable", "Print human readable values.", FLAG_BOOL, .letter = 'r'},
        {"quiet", "Do not print created blocks.", FLAG_BOOL, .letter = 'q'},
        {"max-block-duration", "How long created blocks may be; below 2h is ignored.", FLAG_GO_DURATION, NULL, "<duration>", .bits = FLAG_HIDDEN},
};
static const struct flag tsdb_create_openmetrics_flags[] = {
        {"label", "Label to attach to metrics. Can be specified multiple times. Example --label=label_name=label_value", FLAG_STRINGS, .bits = FLAG_MAP},
};
static const struct flag tsdb_create_openmetrics_args[] = {
        {"input file", "OpenMetrics file to read samples from.", FLAG_STRING, .bits = FLAG_REQUIRED},
        {"output directory", "Output directory for generated blocks.", FLAG_STRING, "data/"},
};
static const struct flag tsdb_create_rules_flags[] = {
        HTTP_CONFIG,
        {"url", "The server whose data the rules are evaluated over.", FLAG_STRING, "http://localhost:9090", .bits = FLAG_URL},
        {"start", "Where to start (RFC3339 or Unix timestamp). Required.", FLAG_STRING, .bits = FLAG_REQUIRED},
        {"end", "Where to end (RFC3339 or Unix timestamp). Default: 3 hours ago.", FLAG_STRING},
        {"output-dir", "Output directory for generated blocks.", FLAG_STRING, "data/"},
        {"eval-interval", "Evaluation interval of groups that have none.", FLAG_GO_DURATION, "60s"},
};
static const struct flag tsdb_create_rules_args[] = {FILES("rule-files", "Files with recording rules; alerting rules are left out.", FLAG_REQUIRED)};

static const struct flag promql_format_args[] = {{"query", "PromQL query.", FLAG_STRING, .bits = FLAG_REQUIRED}};
static const struct flag matchers_set_flags[] = {
        {"type", "Type of the label matcher to set.", FLAG_ENUM, "=", .choices = "=,!=,=~,!~", .letter = 't'},
};
static const struct flag matchers_set_args[] = {
        {"query", "PromQL query.", FLAG_STRING, .bits = FLAG_REQUIRED},
        {"name", "Name of the label matcher to set.", FLAG_STRING, .bits = FLAG_REQUIRED},
        {"value", "Value of the label matcher to set.", FLAG_STRING, .bits = FLAG_REQUIRED},
};
static const struct flag matchers_delete_args[] = {
        {"query", "PromQL query.", FLAG_STRING, .bits = FLAG_REQUIRED},
        {"name", "Name of the label to delete.", FLAG_STRING, .bits = FLAG_REQUIRED},
};

#define NONE {NULL, 0}
#define ROWS(table) COMMAND_ROWS(table)
static const struct command commands[] = {
        {"check", "Check the resources for validity.", ROWS(check_flags), NONE, NULL},
        {"check service-discovery", "Perform service discovery for the given job name and report the results, including relabeling.", ROWS(check_sd_flags),
         ROWS(check_sd_args), NULL},
        {"check config", "Check if the config files are valid or not.", ROWS(check_config_flags), ROWS(check_config_args), promtool_check_config},
        {"check web-config", "Check if the web config files are valid or not.", NONE, ROWS(check_web_args), NULL},
        {"check healthy", "Check if the Prometheus server is healthy.", ROWS(check_server_flags), NONE, NULL},
        {"check ready", "Check if the Prometheus server is ready.", ROWS(check_server_flags), NONE, NULL},
        {"check rules", "Check if the rule files are valid or not.", ROWS(check_rules_flags), ROWS(check_rules_args), promtool_check_rules},
        {"check metrics", "Read metrics from standard input, lint them, and tell their cardinality if asked to.", ROWS(check_metrics_flags), NONE, NULL},
        {"query", "Run query against a Prometheus server.", ROWS(query_flags), NONE, NULL},
        {"query instant", "Run instant query.", ROWS(query_instant_flags), ROWS(query_expr_args), promtool_query_instant},
        {"query range", "Run range query.", ROWS(query_range_flags), ROWS(query_expr_args), promtool_query_range},
        {"query series", "Run series query.", ROWS(query_series_flags), ROWS(query_server_args), promtool_query_series},
        {"query labels", "Run labels query.", ROWS(query_labels_flags), ROWS(query_labels_args), promtool_query_labels},
        {"query analyze", "Run queries against your Prometheus to analyze the usage pattern of certain metrics.", ROWS(query_analyze_flags), NONE, NULL},
        {"debug", "Fetch debug information.", NONE, NONE, NULL},
        {"debug pprof", "Fetch profiling debug information.", NONE, ROWS(debug_args), NULL},
        {"debug metrics", "Fetch metrics debug information.", NONE, ROWS(debug_args), NULL},
        {"debug all", "Fetch all debug information.", NONE, ROWS(debug_args), NULL},
        {"push", "Push to a Prometheus server.", ROWS(push_flags), NONE, NULL},
        {"push metrics", "Push metrics to a prometheus remote write (for testing purpose only).", ROWS(push_metrics_flags), ROWS(push_metrics_args), NULL},
        {"test", "Unit testing.", ROWS(test_flags), NONE, NULL},
        {"test rules", "Unit tests for rules.", ROWS(test_rules_flags), ROWS(test_rules_args), promtool_test_rules},
        {"tsdb", "Run tsdb commands.", NONE, NONE, NULL},
        {"tsdb bench", "Run benchmarks.", NONE, NONE, NULL},
        {"tsdb bench write", "Run a write performance benchmark.", ROWS(tsdb_bench_write_flags), ROWS(tsdb_bench_write_args), NULL},
        {"tsdb analyze", "Analyze churn, label pair cardinality and compaction efficiency.", ROWS(tsdb_analyze_flags), ROWS(tsdb_analyze_args),
         promtool_tsdb_analyze},
        {"tsdb list", "List tsdb blocks.", ROWS(tsdb_list_flags), ROWS(tsdb_path_args), promtool_tsdb_list},
        {"tsdb dump", "Dump data (series+samples or optionally just series) from a TSDB.", ROWS(tsdb_dump_flags), ROWS(tsdb_path_args),
         promtool_tsdb_dump},
        {"tsdb dump-openmetrics", "[Experimental] Dump samples from a TSDB as OpenMetrics text, without native histograms and staleness markers.",
         ROWS(tsdb_dump_openmetrics_flags), ROWS(tsdb_path_args), promtool_tsdb_dump_openmetrics},
        {"tsdb create-blocks-from", "[Experimental] Import samples from input and produce TSDB blocks.", ROWS(tsdb_create_flags), NONE, NULL},
        {"tsdb create-blocks-from openmetrics", "Import samples from OpenMetrics input and produce TSDB blocks.", ROWS(tsdb_create_openmetrics_flags),
         ROWS(tsdb_create_openmetrics_args), NULL},
        {"tsdb create-blocks-from rules", "Create blocks of data for new recording rules.", ROWS(tsdb_create_rules_flags), ROWS(tsdb_create_rules_args), NULL},
        {"promql", "PromQL formatting and editing. Requires the --experimental flag.", NONE, NONE, NULL},
        {"promql format", "Format PromQL query to pretty printed form.", NONE, ROWS(promql_format_args), promtool_promql_format},
        {"promql label-matchers", "Edit label matchers contained within an existing PromQL query.", NONE, NONE, NULL},
        {"promql label-matchers set", "Set a label matcher in the query.", ROWS(matchers_set_flags), ROWS(matchers_set_args), promtool_label_matchers_set},
        {"promql label-matchers delete", "Delete a label from the query.", NONE, ROWS(matchers_delete_args), promtool_label_matchers_delete},
};

struct promtool_features promtool_features(const struct flags *f)
{
        struct promtool_features o = {0};
        size_t n;
        const char *const *list = flags_list(f, "enable-feature", &n);
        for (size_t i = 0; i < n; i++) {
                Str rest = str_from(list[i]), one;
                while (str_next(&rest, ',', &one)) {
                        if (str_eq(one, STR("promql-experimental-functions")))
                                o.parse.experimental_functions = true;
                        else if (str_eq(one, STR("promql-delayed-name-removal")))
                                o.delayed_name_removal = true;
                        else if (str_eq(one, STR("promql-extended-range-selectors")))
                                o.parse.extended_range_selectors = true;
                        else if (str_eq(one, STR("promql-binop-fill-modifiers")))
                                o.parse.fill_modifiers = true;
                        else if (one.n && !str_eq(one, STR("promql-duration-expr")))
                                printf("  WARNING: Unknown feature passed to --enable-feature: " STR_FMT, STR_ARG(one));
                }
        }
        return o;
}

int promtool_exit(struct error *take_e)
{
        if (!take_e)
                return PROMTOOL_OK;
        fprintf(stderr, "%s\n", error_str(take_e));
        error_free(take_e);
        return PROMTOOL_FAILURE;
}

int promtool_run(int argc, char **argv)
{
        static const struct command_app app = {
                .name = "promtool",
                .what = "Tooling for the Prometheus monitoring system.",
                .version = "promtool, coeus " COEUS_VERSION "\n",
                .flags = COMMAND_ROWS(global_flags),
                .commands = commands,
                .n = ARRAY_LEN(commands),
        };
        return command_main(&app, argc, argv);
}
