/* SPDX-License-Identifier: Apache-2.0 */
/* conf.c — defaults, names, and comparing two configurations of a job. */
#include "collect/scrape/conf.h"

#include "base/compiler.h"

const struct scrape_conf scrape_conf_defaults = {
        .interval_ms = 60000,
        .timeout_ms = 10000,
        .metrics_path = STR_INIT("/metrics"),
        .scheme = STR_INIT("http"),
        .honor_timestamps = true,
        .protocols = {SCRAPE_OPENMETRICS_1_0_0, SCRAPE_OPENMETRICS_0_0_1, SCRAPE_TEXT_1_0_0, SCRAPE_TEXT_0_0_4},
        .n_protocols = 4,
        .enable_compression = true,
};

static const char *const protocol_names[] = {
        [SCRAPE_PROTOCOL_NONE] = "",
        [SCRAPE_OPENMETRICS_1_0_0] = "OpenMetricsText1.0.0",
        [SCRAPE_OPENMETRICS_0_0_1] = "OpenMetricsText0.0.1",
        [SCRAPE_TEXT_1_0_0] = "PrometheusText1.0.0",
        [SCRAPE_TEXT_0_0_4] = "PrometheusText0.0.4",
        [SCRAPE_PROTOBUF] = "PrometheusProto",
};
static const char *const escaping_names[] = {
        [NAME_ESCAPING_ALLOW_UTF8] = "allow-utf-8",
        [NAME_ESCAPING_UNDERSCORES] = "underscores",
        [NAME_ESCAPING_DOTS] = "dots",
        [NAME_ESCAPING_VALUES] = "values",
};

bool scrape_protocol_parse(Str s, enum scrape_protocol *ret)
{
        for (size_t i = SCRAPE_OPENMETRICS_1_0_0; i < ARRAY_LEN(protocol_names); i++)
                if (str_eq(s, str_from(protocol_names[i]))) {
                        *ret = (enum scrape_protocol)i;
                        return true;
                }
        return false;
}

const char *scrape_protocol_name(enum scrape_protocol p)
{
        return protocol_names[p];
}

bool name_escaping_parse(Str s, enum name_escaping *ret)
{
        for (size_t i = 0; i < ARRAY_LEN(escaping_names); i++)
                if (str_eq(s, str_from(escaping_names[i]))) {
                        *ret = (enum name_escaping)i;
                        return true;
                }
        return false;
}

const char *name_escaping_name(enum name_escaping e)
{
        return escaping_names[e];
}

static bool strs_eq(const Str *a, size_t n_a, const Str *b, size_t n_b)
{
        if (n_a != n_b)
                return false;
        for (size_t i = 0; i < n_a; i++)
                if (!str_eq(a[i], b[i]))
                        return false;
        return true;
}

static bool cstr_eq(const char *a, const char *b)
{
        return a == b || (a && b && strcmp(a, b) == 0);
}

static bool tls_eq(const struct tls_client_opts *a, const struct tls_client_opts *b)
{
        return cstr_eq(a->ca, b->ca) && cstr_eq(a->ca_file, b->ca_file) && cstr_eq(a->cert, b->cert) &&
               cstr_eq(a->cert_file, b->cert_file) && cstr_eq(a->key, b->key) && cstr_eq(a->key_file, b->key_file) &&
               cstr_eq(a->server_name, b->server_name) && a->insecure_skip_verify == b->insecure_skip_verify &&
               a->min_version == b->min_version && a->max_version == b->max_version;
}

static bool http_eq(const struct http_client_conf *a, const struct http_client_conf *b)
{
        if (!cstr_eq(a->basic_username, b->basic_username) ||
            !cstr_eq(a->basic_username_file, b->basic_username_file) ||
            !cstr_eq(a->basic_password, b->basic_password) ||
            !cstr_eq(a->basic_password_file, b->basic_password_file) || !cstr_eq(a->auth_type, b->auth_type) ||
            !cstr_eq(a->auth_credentials, b->auth_credentials) ||
            !cstr_eq(a->auth_credentials_file, b->auth_credentials_file) || !tls_eq(&a->tls, &b->tls) ||
            a->no_follow_redirects != b->no_follow_redirects || a->no_http2 != b->no_http2 ||
            !cstr_eq(a->proxy_url, b->proxy_url) || !cstr_eq(a->no_proxy, b->no_proxy) ||
            a->proxy_from_environment != b->proxy_from_environment || a->n_headers != b->n_headers)
                return false;
        for (size_t i = 0; i < a->n_headers; i++)
                if (!cstr_eq(a->headers[i].name, b->headers[i].name) ||
                    !cstr_eq(a->headers[i].value, b->headers[i].value) ||
                    !cstr_eq(a->headers[i].file, b->headers[i].file))
                        return false;
        return true;
}

static bool rules_eq(const struct relabel_rule *a, size_t n_a, const struct relabel_rule *b, size_t n_b)
{
        if (n_a != n_b)
                return false;
        for (size_t i = 0; i < n_a; i++)
                if (!strs_eq(a[i].source_labels, a[i].n_source, b[i].source_labels, b[i].n_source) ||
                    !str_eq(a[i].separator, b[i].separator) || !str_eq(a[i].regex, b[i].regex) ||
                    a[i].modulus != b[i].modulus || !str_eq(a[i].target_label, b[i].target_label) ||
                    !str_eq(a[i].replacement, b[i].replacement) || a[i].action != b[i].action ||
                    a[i].utf8_names != b[i].utf8_names)
                        return false;
        return true;
}

static bool params_eq(const struct scrape_conf *a, const struct scrape_conf *b)
{
        if (a->n_params != b->n_params)
                return false;
        for (size_t i = 0; i < a->n_params; i++)
                if (!str_eq(a->params[i].key, b->params[i].key) ||
                    !strs_eq(a->params[i].values, a->params[i].n_values, b->params[i].values, b->params[i].n_values))
                        return false;
        return true;
}

bool scrape_conf_cache_eq(const struct scrape_conf *a, const struct scrape_conf *b)
{
        return str_eq(a->job_name, b->job_name) && str_eq(a->metrics_path, b->metrics_path) &&
               str_eq(a->scheme, b->scheme) && params_eq(a, b) && a->honor_labels == b->honor_labels &&
               a->honor_timestamps == b->honor_timestamps &&
               a->track_timestamps_staleness == b->track_timestamps_staleness && a->n_protocols == b->n_protocols &&
               memcmp(a->protocols, b->protocols, a->n_protocols * sizeof a->protocols[0]) == 0 &&
               a->fallback_protocol == b->fallback_protocol && a->enable_compression == b->enable_compression &&
               a->extra_scrape_metrics == b->extra_scrape_metrics &&
               a->body_size_limit_bytes == b->body_size_limit_bytes && a->target_limit == b->target_limit &&
               a->label_limit == b->label_limit && a->label_name_length_limit == b->label_name_length_limit &&
               a->label_value_length_limit == b->label_value_length_limit &&
               a->keep_dropped_targets == b->keep_dropped_targets && a->name_validation == b->name_validation &&
               a->name_escaping == b->name_escaping && cstr_eq(a->failure_log_file, b->failure_log_file) &&
               rules_eq(a->relabel, a->n_relabel, b->relabel, b->n_relabel) &&
               rules_eq(a->metric_relabel, a->n_metric_relabel, b->metric_relabel, b->n_metric_relabel) &&
               a->scrape_native_histograms == b->scrape_native_histograms &&
               a->always_scrape_classic_histograms == b->always_scrape_classic_histograms &&
               a->convert_classic_histograms_to_nhcb == b->convert_classic_histograms_to_nhcb &&
               a->native_histogram_bucket_limit == b->native_histogram_bucket_limit &&
               a->native_histogram_min_bucket_factor == b->native_histogram_min_bucket_factor;
}

bool scrape_conf_eq(const struct scrape_conf *a, const struct scrape_conf *b)
{
        return scrape_conf_cache_eq(a, b) && a->interval_ms == b->interval_ms && a->timeout_ms == b->timeout_ms &&
               a->sample_limit == b->sample_limit && http_eq(&a->http, &b->http);
}
