/* SPDX-License-Identifier: Apache-2.0 */
/* file_conf.h — prometheus.yml as it is written: what the schemas decode into and print from, before it becomes the modules' option structs.
 * Private to config/. All data lives in the arena of the load. */
#ifndef CONFIG_FILE_CONF_H
#define CONFIG_FILE_CONF_H

#include "collect/scrape/conf.h"
#include "config/schema.h"

enum tristate { TRI_UNSET, TRI_FALSE, TRI_TRUE };       /* a *bool of the original */

struct file_header {
        Str name;
        struct conf_strs values, secrets, files;
};
struct file_http {
        bool has_basic_auth, has_authorization;
        struct {
                const char *username, *username_file, *password, *password_file;
        } basic;
        struct {
                const char *type, *credentials, *credentials_file;
        } authorization;
        const char *bearer_token, *bearer_token_file;   /* moved into authorization by the check */
        struct file_tls {
                const char *ca, *cert, *key, *ca_file, *cert_file, *key_file, *server_name, *min_version, *max_version;
                bool insecure_skip_verify;
        } tls;
        bool follow_redirects, enable_http2;
        const char *proxy_url, *no_proxy;
        bool proxy_from_environment;
        struct file_header *headers;
        size_t n_headers;
};
extern const struct conf_schema file_http_schema;
extern const struct file_http file_http_defaults;

struct file_static {
        struct conf_strs targets;
        Labels labels;
};
struct file_file_sd {
        struct conf_strs files;
        int64_t refresh_ms;
};
struct file_dns_sd {
        struct conf_strs names;
        int64_t refresh_ms;
        Str type;
        int port;
};
struct file_relabel {
        struct conf_strs source_labels;
        Str separator, regex, target_label, replacement, action;        /* regex.p is NULL where the file has none */
        uint64_t modulus;
};
extern const struct conf_schema file_static_schema, file_file_sd_schema, file_dns_sd_schema, file_relabel_schema, file_metric_relabel_schema;
extern const struct conf_schema file_alert_relabel_schema, file_alertmanager_relabel_schema, file_alertmanager_alert_relabel_schema;
/* Nobody puts URLs where host:port belongs. */
struct error *file_statics_check(const struct conf_list *statics) MUST_CHECK;
/* How targets are found, of a job or of Alertmanagers. */
struct file_sd {
        struct conf_list dns_sd, file_sd, statics;
};

struct file_scrape {
        Str job_name;
        bool honor_labels, honor_timestamps, track_timestamps_staleness;
        struct scrape_param *params;
        size_t n_params;
        int64_t interval_ms, timeout_ms;
        struct conf_strs protocols;
        Str fallback_protocol;
        enum tristate native, classic, nhcb, extra_metrics;
        const char *failure_log_file;
        Str metrics_path, scheme;
        bool enable_compression;
        uint64_t body_size_limit_bytes;
        uint64_t sample_limit, target_limit, label_limit, label_name_length_limit, label_value_length_limit, bucket_limit, keep_dropped_targets;
        double min_bucket_factor;
        Str validation_scheme, escaping_scheme;
        struct file_http http;
        struct conf_list relabel, metric_relabel;       /* struct file_relabel */
        struct file_sd sd;
};
extern const struct conf_schema file_scrape_schema;

struct file_alertmanager {
        struct file_http http;
        Str scheme, path_prefix;
        int64_t timeout_ms;
        Str api_version;
        struct conf_list relabel, alert_relabel;        /* struct file_relabel */
        struct file_sd sd;
};
extern const struct conf_schema file_alertmanager_schema;
struct file_alerting {
        struct conf_list alert_relabel;                 /* struct file_relabel */
        struct conf_list alertmanagers;                 /* struct file_alertmanager */
};
extern const struct conf_schema file_alerting_schema;

struct file_global {
        int64_t interval_ms, timeout_ms, evaluation_interval_ms, rule_query_offset_ms;
        struct conf_strs protocols;
        const char *query_log_file, *failure_log_file;
        Labels external_labels;
        uint64_t body_size_limit_bytes;
        uint64_t sample_limit, target_limit, label_limit, label_name_length_limit, label_value_length_limit, keep_dropped_targets;
        Str validation_scheme, escaping_scheme;
        enum tristate native, extra_metrics;
        bool nhcb, classic;
};
extern const struct conf_schema file_global_schema;
extern const struct file_global file_global_defaults;

struct file_conf {
        struct file_global global;
        struct {
                int64_t gogc;
        } runtime;
        struct file_alerting alerting;
        struct conf_strs rule_files, scrape_config_files;
        struct conf_list scrapes;                       /* struct file_scrape */
        bool otlp_is_empty;                             /* the block is there and says nothing */
        struct file_tsdb {
                int64_t window_ms;                      /* printed first, under the original's own name */
                int64_t out_of_order_ms;
                double stale_series_threshold;
                Str float_encoding;
                struct {
                        bool is_there;
                        int64_t max;
                } exemplars;
                struct {
                        int64_t time_ms;
                        uint64_t size_bytes;
                        double percentage;
                } retention;
        } tsdb;
};
extern const struct conf_schema file_conf_schema;

struct error *file_scrape_validate(struct conf_decoder *d, struct file_scrape *s, const struct file_global *g) MUST_CHECK;
void tristate_print(struct buf *b, const char *key, const void *at, int indent);
struct error *tristate_decode(struct conf_decoder *d, const struct yaml *y, void *at) MUST_CHECK;
bool is_protocol_list_valid(const struct conf_strs *protocols, struct error **ret);
/* path below dir unless it is absolute or empty; in the arena. */
const char *path_resolve(struct arena *a, const char *dir, const char *path);

#endif
