/* SPDX-License-Identifier: Apache-2.0 */
/* messages.h — the messages of Thanos' gRPC services as C structs; reading and writing them: thanos/storeapi/pb.h.
 *
 *   struct pb_series_request r;  e = pb_decode(&pb_series_request, bytes, &arena, &r);
 *
 * A pointer is NULL when the field is absent, a Str of a oneof has p == NULL. Arrays have v and n. Times are as the comment of the
 * message says, else milliseconds. Field numbers up to Thanos 0.43-dev.  Upstream: the .proto files of thanos-io/thanos, pkg/. */
#ifndef THANOS_STOREAPI_MESSAGES_H
#define THANOS_STOREAPI_MESSAGES_H

#include "thanos/storeapi/pb.h"

enum pb_matcher_type { PB_MATCHER_TYPE_EQ, PB_MATCHER_TYPE_NEQ, PB_MATCHER_TYPE_RE, PB_MATCHER_TYPE_NRE };
enum pb_aggr { PB_AGGR_RAW, PB_AGGR_COUNT, PB_AGGR_SUM, PB_AGGR_MIN, PB_AGGR_MAX, PB_AGGR_COUNTER };
enum pb_strategy { PB_STRATEGY_WARN, PB_STRATEGY_ABORT };
enum pb_encoding { PB_ENCODING_XOR, PB_ENCODING_HISTOGRAM, PB_ENCODING_FLOAT_HISTOGRAM };
enum pb_rules_type { PB_RULES_TYPE_ALL, PB_RULES_TYPE_ALERT, PB_RULES_TYPE_RECORD };
enum pb_alert_state { PB_ALERT_STATE_UNKNOWN, PB_ALERT_STATE_INACTIVE, PB_ALERT_STATE_PENDING, PB_ALERT_STATE_FIRING };
enum pb_targets_state { PB_TARGETS_STATE_ANY, PB_TARGETS_STATE_ACTIVE, PB_TARGETS_STATE_DROPPED };
enum pb_target_health { PB_TARGET_HEALTH_DOWN, PB_TARGET_HEALTH_UP, PB_TARGET_HEALTH_UNKNOWN };
enum pb_engine { PB_ENGINE_DEFAULT, PB_ENGINE_PROMETHEUS, PB_ENGINE_THANOS };
enum pb_reset_hint { PB_RESET_HINT_UNKNOWN, PB_RESET_HINT_YES, PB_RESET_HINT_NO, PB_RESET_HINT_GAUGE };
/* Thanos up to 0.40 has no UNKNOWN: INACTIVE 0, PENDING 1, FIRING 2 on the wire. */

/* google.protobuf.Any */
struct pb_any {
        Str type_url;
        Str value;
};
extern const struct pb_message pb_any;

/* google.protobuf.Timestamp and Duration */
struct pb_timestamp {
        int64_t seconds;
        int32_t nanos;
};
extern const struct pb_message pb_timestamp;

/* labelpb.Label */
struct pb_label {
        Str name;
        Str value;
};
extern const struct pb_message pb_label;

/* labelpb.LabelSet, ZLabelSet */
struct pb_label_set {
        struct {
                struct pb_label *v;
                size_t n;
        } labels;
};
extern const struct pb_message pb_label_set;

/* infopb.TSDBInfo */
struct pb_tsdb_info {
        struct pb_label_set labels;
        int64_t min_time;
        int64_t max_time;
};
extern const struct pb_message pb_tsdb_info;

/* infopb.StoreInfo */
struct pb_store_info {
        int64_t min_time;
        int64_t max_time;
        bool supports_sharding;
        bool supports_without_replica_labels;
        struct {
                struct pb_tsdb_info *v;
                size_t n;
        } tsdb_infos;
        bool supports_projections;
};
extern const struct pb_message pb_store_info;

/* infopb.ExemplarsInfo */
struct pb_exemplars_info {
        int64_t min_time;
        int64_t max_time;
};
extern const struct pb_message pb_exemplars_info;

/* a message without fields: its presence says that an API is there */
struct pb_nothing {
        char none;
};
extern const struct pb_message pb_nothing;

/* infopb.InfoResponse */
struct pb_info_response {
        struct {
                struct pb_label_set *v;
                size_t n;
        } label_sets;
        Str component_type;
        struct pb_store_info *store;
        struct pb_nothing *rules;
        struct pb_nothing *metric_metadata;
        struct pb_nothing *targets;
        struct pb_exemplars_info *exemplars;
        struct pb_nothing *query;
        struct pb_nothing *status;
};
extern const struct pb_message pb_info_response;

/* storepb.LabelMatcher */
struct pb_label_matcher {
        int32_t type; /* enum pb_matcher_type */
        Str name;
        Str value;
};
extern const struct pb_message pb_label_matcher;

/* storepb.Func */
struct pb_func {
        Str name;
};
extern const struct pb_message pb_func;

/* storepb.Grouping */
struct pb_grouping {
        bool by;
        struct {
                Str *v;
                size_t n;
        } labels;
};
extern const struct pb_message pb_grouping;

/* storepb.Range */
struct pb_range {
        int64_t millis;
};
extern const struct pb_message pb_range;

/* storepb.QueryHints */
struct pb_query_hints {
        int64_t step_millis;
        struct pb_func *func;
        struct pb_grouping *grouping;
        struct pb_range *range;
        struct {
                Str *v;
                size_t n;
        } projection_labels;
        bool projection_include;
        Str series_hash_label_name;
};
extern const struct pb_message pb_query_hints;

/* storepb.ShardInfo */
struct pb_shard_info {
        int64_t shard_index;
        int64_t total_shards;
        bool by;
        struct {
                Str *v;
                size_t n;
        } labels;
};
extern const struct pb_message pb_shard_info;

/* storepb.SeriesRequest: times in ms, both inclusive */
struct pb_series_request {
        int64_t min_time;
        int64_t max_time;
        struct {
                struct pb_label_matcher *v;
                size_t n;
        } matchers;
        int64_t max_resolution_window;
        struct {
                int32_t *v; /* enum pb_aggr */
                size_t n;
        } aggregates;
        bool partial_response_disabled;
        int32_t partial_response_strategy; /* enum pb_strategy */
        bool skip_chunks;
        struct pb_any *hints;
        int64_t step;
        int64_t range;
        struct pb_query_hints *query_hints;
        struct pb_shard_info *shard_info;
        struct {
                Str *v;
                size_t n;
        } without_replica_labels;
        int64_t limit;
        int64_t response_batch_size;
};
extern const struct pb_message pb_series_request;

/* storepb.Chunk: hash is xxhash64 of data, or 0 */
struct pb_chunk {
        int32_t type; /* enum pb_encoding */
        Str data;
        uint64_t hash;
};
extern const struct pb_message pb_chunk;

/* storepb.AggrChunk */
struct pb_aggr_chunk {
        int64_t min_time;
        int64_t max_time;
        struct pb_chunk *raw;
        struct pb_chunk *count;
        struct pb_chunk *sum;
        struct pb_chunk *min;
        struct pb_chunk *max;
        struct pb_chunk *counter;
};
extern const struct pb_message pb_aggr_chunk;

/* storepb.Series */
struct pb_series {
        struct {
                struct pb_label *v;
                size_t n;
        } labels;
        struct {
                struct pb_aggr_chunk *v;
                size_t n;
        } chunks;
};
extern const struct pb_message pb_series;

/* storepb.SeriesBatch */
struct pb_series_batch {
        struct {
                struct pb_series *v;
                size_t n;
        } series;
};
extern const struct pb_message pb_series_batch;

/* storepb.SeriesResponse: one of */
struct pb_series_response {
        struct pb_series *series;
        Str warning;
        struct pb_any *hints;
        struct pb_series_batch *batch;
};
extern const struct pb_message pb_series_response;

/* storepb.LabelNamesRequest */
struct pb_label_names_request {
        bool partial_response_disabled;
        int32_t partial_response_strategy; /* enum pb_strategy */
        int64_t start;
        int64_t end;
        struct pb_any *hints;
        struct {
                struct pb_label_matcher *v;
                size_t n;
        } matchers;
        struct {
                Str *v;
                size_t n;
        } without_replica_labels;
        int64_t limit;
};
extern const struct pb_message pb_label_names_request;

/* storepb.LabelNamesResponse */
struct pb_label_names_response {
        struct {
                Str *v;
                size_t n;
        } names;
        struct {
                Str *v;
                size_t n;
        } warnings;
        struct pb_any *hints;
};
extern const struct pb_message pb_label_names_response;

/* storepb.LabelValuesRequest */
struct pb_label_values_request {
        Str label;
        bool partial_response_disabled;
        int32_t partial_response_strategy; /* enum pb_strategy */
        int64_t start;
        int64_t end;
        struct pb_any *hints;
        struct {
                struct pb_label_matcher *v;
                size_t n;
        } matchers;
        struct {
                Str *v;
                size_t n;
        } without_replica_labels;
        int64_t limit;
};
extern const struct pb_message pb_label_values_request;

/* storepb.LabelValuesResponse */
struct pb_label_values_response {
        struct {
                Str *v;
                size_t n;
        } values;
        struct {
                Str *v;
                size_t n;
        } warnings;
        struct pb_any *hints;
};
extern const struct pb_message pb_label_values_response;

/* hintspb.SeriesRequestHints, LabelNamesRequestHints, LabelValuesRequestHints */
struct pb_request_hints {
        struct {
                struct pb_label_matcher *v;
                size_t n;
        } block_matchers;
        bool enable_query_stats;
};
extern const struct pb_message pb_request_hints;

/* hintspb.Block */
struct pb_hint_block {
        Str id;
};
extern const struct pb_message pb_hint_block;

/* hintspb.QueryStats */
struct pb_query_stats {
        int64_t blocks_queried;
        int64_t merged_series_count;
        int64_t merged_chunks_count;
        int64_t postings_touched;
        int64_t postings_touched_size_sum;
        int64_t postings_to_fetch;
        int64_t postings_fetched;
        int64_t postings_fetched_size_sum;
        int64_t postings_fetch_count;
        int64_t series_touched;
        int64_t series_touched_size_sum;
        int64_t series_fetched;
        int64_t series_fetched_size_sum;
        int64_t series_fetch_count;
        int64_t chunks_touched;
        int64_t chunks_touched_size_sum;
        int64_t chunks_fetched;
        int64_t chunks_fetched_size_sum;
        int64_t chunks_fetch_count;
        int64_t data_downloaded_size_sum;
        struct pb_timestamp get_all_duration;
        struct pb_timestamp merge_duration;
};
extern const struct pb_message pb_query_stats;

/* hintspb.SeriesResponseHints, LabelNamesResponseHints, LabelValuesResponseHints */
struct pb_response_hints {
        struct {
                struct pb_hint_block *v;
                size_t n;
        } queried_blocks;
        struct pb_query_stats *query_stats;
};
extern const struct pb_message pb_response_hints;

/* rulespb.RulesRequest */
struct pb_rules_request {
        int32_t type; /* enum pb_rules_type */
        int32_t partial_response_strategy; /* enum pb_strategy */
        struct {
                Str *v;
                size_t n;
        } matcher_string;
        struct {
                Str *v;
                size_t n;
        } rule_name;
        struct {
                Str *v;
                size_t n;
        } rule_group;
        struct {
                Str *v;
                size_t n;
        } file;
};
extern const struct pb_message pb_rules_request;

/* rulespb.AlertInstance */
struct pb_alert_instance {
        struct pb_label_set labels;
        struct pb_label_set annotations;
        int32_t state; /* enum pb_alert_state */
        struct pb_timestamp *active_at;
        Str value;
        int32_t partial_response_strategy; /* enum pb_strategy */
};
extern const struct pb_message pb_alert_instance;

/* rulespb.Alert */
struct pb_alert {
        int32_t state; /* enum pb_alert_state */
        Str name;
        Str query;
        double duration_seconds;
        struct pb_label_set labels;
        struct pb_label_set annotations;
        struct {
                struct pb_alert_instance *v;
                size_t n;
        } alerts;
        Str health;
        Str last_error;
        double evaluation_duration_seconds;
        struct pb_timestamp last_evaluation;
        double keep_firing_for_seconds;
};
extern const struct pb_message pb_alert;

/* rulespb.RecordingRule */
struct pb_recording_rule {
        Str name;
        Str query;
        struct pb_label_set labels;
        Str health;
        Str last_error;
        double evaluation_duration_seconds;
        struct pb_timestamp last_evaluation;
};
extern const struct pb_message pb_recording_rule;

/* rulespb.Rule: one of */
struct pb_rule {
        struct pb_recording_rule *recording;
        struct pb_alert *alert;
};
extern const struct pb_message pb_rule;

/* rulespb.RuleGroup */
struct pb_rule_group {
        Str name;
        Str file;
        struct {
                struct pb_rule *v;
                size_t n;
        } rules;
        double interval;
        double evaluation_duration_seconds;
        struct pb_timestamp last_evaluation;
        int32_t partial_response_strategy; /* enum pb_strategy */
        int64_t limit;
};
extern const struct pb_message pb_rule_group;

/* rulespb.RulesResponse: one of */
struct pb_rules_response {
        struct pb_rule_group *group;
        Str warning;
};
extern const struct pb_message pb_rules_response;

/* targetspb.TargetsRequest */
struct pb_targets_request {
        int32_t state; /* enum pb_targets_state */
        int32_t partial_response_strategy; /* enum pb_strategy */
};
extern const struct pb_message pb_targets_request;

/* targetspb.ActiveTarget */
struct pb_active_target {
        struct pb_label_set discovered_labels;
        struct pb_label_set labels;
        Str scrape_pool;
        Str scrape_url;
        Str global_url;
        Str last_error;
        struct pb_timestamp last_scrape;
        double last_scrape_duration;
        int32_t health; /* enum pb_target_health */
};
extern const struct pb_message pb_active_target;

/* targetspb.DroppedTarget */
struct pb_dropped_target {
        struct pb_label_set discovered_labels;
};
extern const struct pb_message pb_dropped_target;

/* targetspb.TargetDiscovery */
struct pb_target_discovery {
        struct {
                struct pb_active_target *v;
                size_t n;
        } active_targets;
        struct {
                struct pb_dropped_target *v;
                size_t n;
        } dropped_targets;
};
extern const struct pb_message pb_target_discovery;

/* targetspb.TargetsResponse: one of */
struct pb_targets_response {
        struct pb_target_discovery *targets;
        Str warning;
};
extern const struct pb_message pb_targets_response;

/* metadatapb.MetricMetadataRequest: limit < 0 is none */
struct pb_metadata_request {
        Str metric;
        int32_t limit;
        int32_t partial_response_strategy; /* enum pb_strategy */
};
extern const struct pb_message pb_metadata_request;

/* metadatapb.Meta */
struct pb_metric_meta {
        Str type;
        Str help;
        Str unit;
};
extern const struct pb_message pb_metric_meta;

/* metadatapb.MetricMetadataEntry */
struct pb_metadata_entry {
        struct {
                struct pb_metric_meta *v;
                size_t n;
        } metas;
};
extern const struct pb_message pb_metadata_entry;

/* an entry of the map of metadatapb.MetricMetadata */
struct pb_metadata_pair {
        Str key;
        struct pb_metadata_entry *value;
};
extern const struct pb_message pb_metadata_pair;

/* metadatapb.MetricMetadata */
struct pb_metric_metadata {
        struct {
                struct pb_metadata_pair *v;
                size_t n;
        } metadata;
};
extern const struct pb_message pb_metric_metadata;

/* metadatapb.MetricMetadataResponse: one of */
struct pb_metadata_response {
        struct pb_metric_metadata *metadata;
        Str warning;
};
extern const struct pb_message pb_metadata_response;

/* exemplarspb.ExemplarsRequest */
struct pb_exemplars_request {
        Str query;
        int64_t start;
        int64_t end;
        int32_t partial_response_strategy; /* enum pb_strategy */
};
extern const struct pb_message pb_exemplars_request;

/* exemplarspb.Exemplar */
struct pb_exemplar {
        struct pb_label_set labels;
        double value;
        int64_t ts;
};
extern const struct pb_message pb_exemplar;

/* exemplarspb.ExemplarData */
struct pb_exemplar_data {
        struct pb_label_set series_labels;
        struct {
                struct pb_exemplar *v;
                size_t n;
        } exemplars;
};
extern const struct pb_message pb_exemplar_data;

/* exemplarspb.ExemplarsResponse: one of */
struct pb_exemplars_response {
        struct pb_exemplar_data *data;
        Str warning;
};
extern const struct pb_message pb_exemplars_response;

/* prompb.Sample */
struct pb_sample {
        double value;
        int64_t timestamp;
};
extern const struct pb_message pb_sample;

/* prompb.Exemplar */
struct pb_prom_exemplar {
        struct {
                struct pb_label *v;
                size_t n;
        } labels;
        double value;
        int64_t timestamp;
};
extern const struct pb_message pb_prom_exemplar;

/* prompb.BucketSpan */
struct pb_bucket_span {
        int32_t offset;
        uint32_t length;
};
extern const struct pb_message pb_bucket_span;

/* prompb.Histogram */
struct pb_prom_histogram {
        uint64_t *count_int;
        double *count_float;
        double sum;
        int32_t schema;
        double zero_threshold;
        uint64_t *zero_count_int;
        double *zero_count_float;
        struct {
                struct pb_bucket_span *v;
                size_t n;
        } negative_spans;
        struct {
                int64_t *v;
                size_t n;
        } negative_deltas;
        struct {
                double *v;
                size_t n;
        } negative_counts;
        struct {
                struct pb_bucket_span *v;
                size_t n;
        } positive_spans;
        struct {
                int64_t *v;
                size_t n;
        } positive_deltas;
        struct {
                double *v;
                size_t n;
        } positive_counts;
        int32_t reset_hint; /* enum pb_reset_hint */
        int64_t timestamp;
        struct {
                double *v;
                size_t n;
        } custom_values;
};
extern const struct pb_message pb_prom_histogram;

/* prompb.TimeSeries */
struct pb_time_series {
        struct {
                struct pb_label *v;
                size_t n;
        } labels;
        struct {
                struct pb_sample *v;
                size_t n;
        } samples;
        struct {
                struct pb_prom_exemplar *v;
                size_t n;
        } exemplars;
        struct {
                struct pb_prom_histogram *v;
                size_t n;
        } histograms;
};
extern const struct pb_message pb_time_series;

/* querypb.TimeSeriesBatch */
struct pb_time_series_batch {
        struct {
                struct pb_time_series *v;
                size_t n;
        } series;
};
extern const struct pb_message pb_time_series_batch;

/* querypb.QueryStats */
struct pb_query_stats_short {
        int64_t samples_total;
        int64_t peak_samples;
};
extern const struct pb_message pb_query_stats_short;

/* querypb.StoreMatchers */
struct pb_store_matchers {
        struct {
                struct pb_label_matcher *v;
                size_t n;
        } label_matchers;
};
extern const struct pb_message pb_store_matchers;

/* querypb.queryPlan */
struct pb_query_plan {
        Str json;
};
extern const struct pb_message pb_query_plan;

/* querypb.QueryRequest */
struct pb_query_request {
        Str query;
        int64_t time_seconds;
        int64_t timeout_seconds;
        int64_t max_resolution_seconds;
        struct {
                Str *v;
                size_t n;
        } replica_labels;
        struct {
                struct pb_store_matchers *v;
                size_t n;
        } store_matchers;
        bool enable_dedup;
        bool enable_partial_response;
        bool skip_chunks;
        struct pb_shard_info *shard_info;
        int64_t lookback_delta_seconds;
        int32_t engine; /* enum pb_engine */
        struct pb_query_plan *query_plan;
        int64_t response_batch_size;
};
extern const struct pb_message pb_query_request;

/* querypb.QueryRangeRequest */
struct pb_query_range_request {
        Str query;
        int64_t start_time_seconds;
        int64_t end_time_seconds;
        int64_t interval_seconds;
        int64_t timeout_seconds;
        int64_t max_resolution_seconds;
        struct {
                Str *v;
                size_t n;
        } replica_labels;
        struct {
                struct pb_store_matchers *v;
                size_t n;
        } store_matchers;
        bool enable_dedup;
        bool enable_partial_response;
        bool skip_chunks;
        struct pb_shard_info *shard_info;
        int64_t lookback_delta_seconds;
        int32_t engine; /* enum pb_engine */
        struct pb_query_plan *query_plan;
        int64_t response_batch_size;
};
extern const struct pb_message pb_query_range_request;

/* querypb.QueryResponse, QueryRangeResponse: one of */
struct pb_query_response {
        Str warnings;
        struct pb_time_series *timeseries;
        struct pb_query_stats_short *stats;
        struct pb_time_series_batch *timeseries_batch;
};
extern const struct pb_message pb_query_response;

#endif
