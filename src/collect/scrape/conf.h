/* SPDX-License-Identifier: Apache-2.0 */
/* conf.h — what configuration says of a scrape job: plain data, filled by config/, constant while it is used.
 *
 *   struct scrape_conf c = scrape_conf_defaults;
 *   c.job_name = STR("node"); …                     globals are already merged in: no field means "look at global"
 *
 * Strings and arrays live in the arena of the configuration. Sizes and limits: 0 is no limit.
 * Upstream: config/config.go (ScrapeConfig) */
#ifndef COLLECT_SCRAPE_CONF_H
#define COLLECT_SCRAPE_CONF_H

#include "collect/discovery/discovery.h"
#include "io/http/client.h"
#include "model/relabel.h"

/* In the order of upstream's default preference, protobuf last. */
enum scrape_protocol {
        SCRAPE_PROTOCOL_NONE, /* fallback_scrape_protocol: not given */
        SCRAPE_OPENMETRICS_1_0_0,
        SCRAPE_OPENMETRICS_0_0_1,
        SCRAPE_TEXT_1_0_0,
        SCRAPE_TEXT_0_0_4,
        SCRAPE_PROTOBUF,
};
enum { SCRAPE_PROTOCOLS_MAX = 5 };
/* "OpenMetricsText1.0.0", …; false: no such name. */
bool scrape_protocol_parse(Str s, enum scrape_protocol *ret);
const char *scrape_protocol_name(enum scrape_protocol p); /* "" for none */

enum name_validation { NAME_VALIDATION_UTF8, NAME_VALIDATION_LEGACY };
enum name_escaping { NAME_ESCAPING_ALLOW_UTF8, NAME_ESCAPING_UNDERSCORES, NAME_ESCAPING_DOTS, NAME_ESCAPING_VALUES };
bool name_escaping_parse(Str s, enum name_escaping *ret); /* "allow-utf-8", "underscores", "dots", "values" */
const char *name_escaping_name(enum name_escaping e);

struct scrape_param { /* a key of params; keys ascending */
        Str key;
        const Str *values;
        size_t n_values;
};

struct scrape_conf {
        Str job_name;
        int64_t interval_ms, timeout_ms;
        Str metrics_path, scheme;
        const struct scrape_param *params;
        size_t n_params;
        bool honor_labels, honor_timestamps, track_timestamps_staleness;
        enum scrape_protocol protocols[SCRAPE_PROTOCOLS_MAX]; /* in order of preference */
        size_t n_protocols;
        enum scrape_protocol fallback_protocol;
        bool enable_compression, extra_scrape_metrics;
        uint64_t body_size_limit_bytes;
        uint64_t sample_limit, target_limit, label_limit, label_name_length_limit, label_value_length_limit,
                keep_dropped_targets;
        enum name_validation name_validation;
        enum name_escaping name_escaping;
        const char *failure_log_file; /* scrape_failure_log_file, resolved; NULL: none */
        struct http_client_conf http;
        const struct relabel_rule *relabel, *metric_relabel; /* checked (relabel_rule_check) */
        size_t n_relabel, n_metric_relabel;
        struct discovery_conf discovery;

        /* Histograms: defaults of what a target's labels (__scrape_native_histograms__ …) may say otherwise. */
        bool scrape_native_histograms, always_scrape_classic_histograms, convert_classic_histograms_to_nhcb;
        uint64_t native_histogram_bucket_limit;    /* of one histogram: made coarser, then the scrape fails; 0: none */
        double native_histogram_min_bucket_factor; /* finer ones are made coarser; 0: none */
};
/* 1m, 10s, /metrics, http, honor_timestamps, compression, the four text protocols, utf8. No job name. */
extern const struct scrape_conf scrape_conf_defaults;
/* True if a pool with conf a can go on with conf b: all is equal but discovery. */
bool scrape_conf_eq(const struct scrape_conf *a, const struct scrape_conf *b);
/* True if what a scrape remembers of its series under conf a is right under b: times, sample limit and client may
 * differ. */
bool scrape_conf_cache_eq(const struct scrape_conf *a, const struct scrape_conf *b);

/* All of it, as applied at once. */
struct scrape_manager_conf {
        Labels external_labels; /* seed the offsets of targets */
        const struct scrape_conf *scrapes;
        size_t n_scrapes;
        /* Called once, from any thread, when nothing of this conf is used any more (pools that a later conf leaves
         * unchanged keep theirs); NULL: the caller keeps it until the manager is freed. */
        void (*release)(void *owner);
        void *owner;
};

#endif
