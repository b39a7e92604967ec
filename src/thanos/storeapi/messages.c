/* SPDX-License-Identifier: Apache-2.0 */
/* messages.c — the tables of messages.h: number, kind, place and name of each field. */
#include "thanos/storeapi/messages.h"

#define FIELDS(t) .size = sizeof(struct t), .fields = t##_fields, .n_fields = sizeof t##_fields / sizeof t##_fields[0]
#define AT(t, member) offsetof(struct t, member)

static const char *const matcher_type_names[] = {"EQ", "NEQ", "RE", "NRE", NULL};
static const char *const aggr_names[] = {"RAW", "COUNT", "SUM", "MIN", "MAX", "COUNTER", NULL};
static const char *const strategy_names[] = {"WARN", "ABORT", NULL};
static const char *const encoding_names[] = {"XOR", "HISTOGRAM", "FLOAT_HISTOGRAM", NULL};
static const char *const rules_type_names[] = {"ALL", "ALERT", "RECORD", NULL};
static const char *const alert_state_names[] = {"UNKNOWN", "INACTIVE", "PENDING", "FIRING", NULL};
static const char *const targets_state_names[] = {"ANY", "ACTIVE", "DROPPED", NULL};
static const char *const target_health_names[] = {"DOWN", "UP", "UNKNOWN", NULL};
static const char *const engine_names[] = {"default", "prometheus", "thanos", NULL};
static const char *const reset_hint_names[] = {"UNKNOWN", "YES", "NO", "GAUGE", NULL};

static const struct pb_field pb_any_fields[] = {
        {1, PB_STR, 0, AT(pb_any, type_url), "type_url", NULL, NULL},
        {2, PB_STR, PB_BYTES, AT(pb_any, value), "value", NULL, NULL},
};
const struct pb_message pb_any = {.name = "Any", FIELDS(pb_any)};

static const struct pb_field pb_timestamp_fields[] = {
        {1, PB_INT64, 0, AT(pb_timestamp, seconds), "seconds", NULL, NULL},
        {2, PB_INT32, 0, AT(pb_timestamp, nanos), "nanos", NULL, NULL},
};
const struct pb_message pb_timestamp = {.name = "Timestamp and Duration", FIELDS(pb_timestamp)};

static const struct pb_field pb_label_fields[] = {
        {1, PB_STR, 0, AT(pb_label, name), "name", NULL, NULL},
        {2, PB_STR, 0, AT(pb_label, value), "value", NULL, NULL},
};
const struct pb_message pb_label = {.name = "Label", FIELDS(pb_label)};

static const struct pb_field pb_label_set_fields[] = {
        {1, PB_MESSAGE, PB_REPEATED, AT(pb_label_set, labels), "labels", &pb_label, NULL},
};
const struct pb_message pb_label_set = {.name = "LabelSet", FIELDS(pb_label_set)};

static const struct pb_field pb_tsdb_info_fields[] = {
        {1, PB_INLINE, 0, AT(pb_tsdb_info, labels), "labels", &pb_label_set, NULL},
        {2, PB_INT64, 0, AT(pb_tsdb_info, min_time), "min_time", NULL, NULL},
        {3, PB_INT64, 0, AT(pb_tsdb_info, max_time), "max_time", NULL, NULL},
};
const struct pb_message pb_tsdb_info = {.name = "TSDBInfo", FIELDS(pb_tsdb_info)};

static const struct pb_field pb_store_info_fields[] = {
        {1, PB_INT64, 0, AT(pb_store_info, min_time), "min_time", NULL, NULL},
        {2, PB_INT64, 0, AT(pb_store_info, max_time), "max_time", NULL, NULL},
        {3, PB_BOOL, 0, AT(pb_store_info, supports_sharding), "supports_sharding", NULL, NULL},
        {5, PB_BOOL, 0, AT(pb_store_info, supports_without_replica_labels), "supports_without_replica_labels", NULL, NULL},
        {6, PB_MESSAGE, PB_REPEATED, AT(pb_store_info, tsdb_infos), "tsdb_infos", &pb_tsdb_info, NULL},
        {7, PB_BOOL, 0, AT(pb_store_info, supports_projections), "supports_projections", NULL, NULL},
};
const struct pb_message pb_store_info = {.name = "StoreInfo", FIELDS(pb_store_info)};

static const struct pb_field pb_exemplars_info_fields[] = {
        {1, PB_INT64, 0, AT(pb_exemplars_info, min_time), "min_time", NULL, NULL},
        {2, PB_INT64, 0, AT(pb_exemplars_info, max_time), "max_time", NULL, NULL},
};
const struct pb_message pb_exemplars_info = {.name = "ExemplarsInfo", FIELDS(pb_exemplars_info)};

const struct pb_message pb_nothing = {.name = "nothing", .size = sizeof(struct pb_nothing)};

static const struct pb_field pb_info_response_fields[] = {
        {1, PB_MESSAGE, PB_REPEATED, AT(pb_info_response, label_sets), "label_sets", &pb_label_set, NULL},
        {2, PB_STR, 0, AT(pb_info_response, component_type), "ComponentType", NULL, NULL},
        {3, PB_MESSAGE, 0, AT(pb_info_response, store), "store", &pb_store_info, NULL},
        {4, PB_MESSAGE, 0, AT(pb_info_response, rules), "rules", &pb_nothing, NULL},
        {5, PB_MESSAGE, 0, AT(pb_info_response, metric_metadata), "metric_metadata", &pb_nothing, NULL},
        {6, PB_MESSAGE, 0, AT(pb_info_response, targets), "targets", &pb_nothing, NULL},
        {7, PB_MESSAGE, 0, AT(pb_info_response, exemplars), "exemplars", &pb_exemplars_info, NULL},
        {8, PB_MESSAGE, 0, AT(pb_info_response, query), "query", &pb_nothing, NULL},
        {9, PB_MESSAGE, 0, AT(pb_info_response, status), "status", &pb_nothing, NULL},
};
const struct pb_message pb_info_response = {.name = "InfoResponse", FIELDS(pb_info_response)};

static const struct pb_field pb_label_matcher_fields[] = {
        {1, PB_INT32, 0, AT(pb_label_matcher, type), "type", NULL, matcher_type_names},
        {2, PB_STR, 0, AT(pb_label_matcher, name), "name", NULL, NULL},
        {3, PB_STR, 0, AT(pb_label_matcher, value), "value", NULL, NULL},
};
const struct pb_message pb_label_matcher = {.name = "LabelMatcher", FIELDS(pb_label_matcher)};

static const struct pb_field pb_func_fields[] = {
        {1, PB_STR, 0, AT(pb_func, name), "name", NULL, NULL},
};
const struct pb_message pb_func = {.name = "Func", FIELDS(pb_func)};

static const struct pb_field pb_grouping_fields[] = {
        {1, PB_BOOL, 0, AT(pb_grouping, by), "by", NULL, NULL},
        {3, PB_STR, PB_REPEATED, AT(pb_grouping, labels), "labels", NULL, NULL},
};
const struct pb_message pb_grouping = {.name = "Grouping", FIELDS(pb_grouping)};

static const struct pb_field pb_range_fields[] = {
        {1, PB_INT64, 0, AT(pb_range, millis), "millis", NULL, NULL},
};
const struct pb_message pb_range = {.name = "Range", FIELDS(pb_range)};

static const struct pb_field pb_query_hints_fields[] = {
        {1, PB_INT64, 0, AT(pb_query_hints, step_millis), "step_millis", NULL, NULL},
        {2, PB_MESSAGE, 0, AT(pb_query_hints, func), "func", &pb_func, NULL},
        {4, PB_MESSAGE, 0, AT(pb_query_hints, grouping), "grouping", &pb_grouping, NULL},
        {5, PB_MESSAGE, 0, AT(pb_query_hints, range), "range", &pb_range, NULL},
        {6, PB_STR, PB_REPEATED, AT(pb_query_hints, projection_labels), "projection_labels", NULL, NULL},
        {7, PB_BOOL, 0, AT(pb_query_hints, projection_include), "projection_include", NULL, NULL},
        {8, PB_STR, 0, AT(pb_query_hints, series_hash_label_name), "series_hash_label_name", NULL, NULL},
};
const struct pb_message pb_query_hints = {.name = "QueryHints", FIELDS(pb_query_hints)};

static const struct pb_field pb_shard_info_fields[] = {
        {1, PB_INT64, 0, AT(pb_shard_info, shard_index), "shard_index", NULL, NULL},
        {2, PB_INT64, 0, AT(pb_shard_info, total_shards), "total_shards", NULL, NULL},
        {3, PB_BOOL, 0, AT(pb_shard_info, by), "by", NULL, NULL},
        {4, PB_STR, PB_REPEATED, AT(pb_shard_info, labels), "labels", NULL, NULL},
};
const struct pb_message pb_shard_info = {.name = "ShardInfo", FIELDS(pb_shard_info)};

static const struct pb_field pb_series_request_fields[] = {
        {1, PB_INT64, 0, AT(pb_series_request, min_time), "min_time", NULL, NULL},
        {2, PB_INT64, 0, AT(pb_series_request, max_time), "max_time", NULL, NULL},
        {3, PB_MESSAGE, PB_REPEATED, AT(pb_series_request, matchers), "matchers", &pb_label_matcher, NULL},
        {4, PB_INT64, 0, AT(pb_series_request, max_resolution_window), "max_resolution_window", NULL, NULL},
        {5, PB_INT32, PB_REPEATED, AT(pb_series_request, aggregates), "aggregates", NULL, aggr_names},
        {6, PB_BOOL, 0, AT(pb_series_request, partial_response_disabled), "partial_response_disabled", NULL, NULL},
        {7, PB_INT32, 0, AT(pb_series_request, partial_response_strategy), "partial_response_strategy", NULL, strategy_names},
        {8, PB_BOOL, 0, AT(pb_series_request, skip_chunks), "skip_chunks", NULL, NULL},
        {9, PB_MESSAGE, 0, AT(pb_series_request, hints), "hints", &pb_any, NULL},
        {10, PB_INT64, 0, AT(pb_series_request, step), "step", NULL, NULL},
        {11, PB_INT64, 0, AT(pb_series_request, range), "range", NULL, NULL},
        {12, PB_MESSAGE, 0, AT(pb_series_request, query_hints), "query_hints", &pb_query_hints, NULL},
        {13, PB_MESSAGE, 0, AT(pb_series_request, shard_info), "shard_info", &pb_shard_info, NULL},
        {14, PB_STR, PB_REPEATED, AT(pb_series_request, without_replica_labels), "without_replica_labels", NULL, NULL},
        {15, PB_INT64, 0, AT(pb_series_request, limit), "limit", NULL, NULL},
        {16, PB_INT64, 0, AT(pb_series_request, response_batch_size), "response_batch_size", NULL, NULL},
};
const struct pb_message pb_series_request = {.name = "SeriesRequest", FIELDS(pb_series_request)};

static const struct pb_field pb_chunk_fields[] = {
        {1, PB_INT32, 0, AT(pb_chunk, type), "type", NULL, encoding_names},
        {2, PB_STR, PB_BYTES, AT(pb_chunk, data), "data", NULL, NULL},
        {3, PB_UINT64, 0, AT(pb_chunk, hash), "hash", NULL, NULL},
};
const struct pb_message pb_chunk = {.name = "Chunk", FIELDS(pb_chunk)};

static const struct pb_field pb_aggr_chunk_fields[] = {
        {1, PB_INT64, 0, AT(pb_aggr_chunk, min_time), "min_time", NULL, NULL},
        {2, PB_INT64, 0, AT(pb_aggr_chunk, max_time), "max_time", NULL, NULL},
        {3, PB_MESSAGE, 0, AT(pb_aggr_chunk, raw), "raw", &pb_chunk, NULL},
        {4, PB_MESSAGE, 0, AT(pb_aggr_chunk, count), "count", &pb_chunk, NULL},
        {5, PB_MESSAGE, 0, AT(pb_aggr_chunk, sum), "sum", &pb_chunk, NULL},
        {6, PB_MESSAGE, 0, AT(pb_aggr_chunk, min), "min", &pb_chunk, NULL},
        {7, PB_MESSAGE, 0, AT(pb_aggr_chunk, max), "max", &pb_chunk, NULL},
        {8, PB_MESSAGE, 0, AT(pb_aggr_chunk, counter), "counter", &pb_chunk, NULL},
};
const struct pb_message pb_aggr_chunk = {.name = "AggrChunk", FIELDS(pb_aggr_chunk)};

static const struct pb_field pb_series_fields[] = {
        {1, PB_MESSAGE, PB_REPEATED, AT(pb_series, labels), "labels", &pb_label, NULL},
        {2, PB_MESSAGE, PB_REPEATED, AT(pb_series, chunks), "chunks", &pb_aggr_chunk, NULL},
};
const struct pb_message pb_series = {.name = "Series", FIELDS(pb_series)};

static const struct pb_field pb_series_batch_fields[] = {
        {1, PB_MESSAGE, PB_REPEATED, AT(pb_series_batch, series), "series", &pb_series, NULL},
};
const struct pb_message pb_series_batch = {.name = "SeriesBatch", FIELDS(pb_series_batch)};

static const struct pb_field pb_series_response_fields[] = {
        {1, PB_MESSAGE, 0, AT(pb_series_response, series), "series", &pb_series, NULL},
        {2, PB_STR, PB_PRESENT, AT(pb_series_response, warning), "warning", NULL, NULL},
        {3, PB_MESSAGE, 0, AT(pb_series_response, hints), "hints", &pb_any, NULL},
        {4, PB_MESSAGE, 0, AT(pb_series_response, batch), "batch", &pb_series_batch, NULL},
};
const struct pb_message pb_series_response = {.name = "SeriesResponse", FIELDS(pb_series_response)};

static const struct pb_field pb_label_names_request_fields[] = {
        {1, PB_BOOL, 0, AT(pb_label_names_request, partial_response_disabled), "partial_response_disabled", NULL, NULL},
        {2, PB_INT32, 0, AT(pb_label_names_request, partial_response_strategy), "partial_response_strategy", NULL, strategy_names},
        {3, PB_INT64, 0, AT(pb_label_names_request, start), "start", NULL, NULL},
        {4, PB_INT64, 0, AT(pb_label_names_request, end), "end", NULL, NULL},
        {5, PB_MESSAGE, 0, AT(pb_label_names_request, hints), "hints", &pb_any, NULL},
        {6, PB_MESSAGE, PB_REPEATED, AT(pb_label_names_request, matchers), "matchers", &pb_label_matcher, NULL},
        {7, PB_STR, PB_REPEATED, AT(pb_label_names_request, without_replica_labels), "without_replica_labels", NULL, NULL},
        {8, PB_INT64, 0, AT(pb_label_names_request, limit), "limit", NULL, NULL},
};
const struct pb_message pb_label_names_request = {.name = "LabelNamesRequest", FIELDS(pb_label_names_request)};

static const struct pb_field pb_label_names_response_fields[] = {
        {1, PB_STR, PB_REPEATED, AT(pb_label_names_response, names), "names", NULL, NULL},
        {2, PB_STR, PB_REPEATED, AT(pb_label_names_response, warnings), "warnings", NULL, NULL},
        {3, PB_MESSAGE, 0, AT(pb_label_names_response, hints), "hints", &pb_any, NULL},
};
const struct pb_message pb_label_names_response = {.name = "LabelNamesResponse", FIELDS(pb_label_names_response)};

static const struct pb_field pb_label_values_request_fields[] = {
        {1, PB_STR, 0, AT(pb_label_values_request, label), "label", NULL, NULL},
        {2, PB_BOOL, 0, AT(pb_label_values_request, partial_response_disabled), "partial_response_disabled", NULL, NULL},
        {3, PB_INT32, 0, AT(pb_label_values_request, partial_response_strategy), "partial_response_strategy", NULL, strategy_names},
        {4, PB_INT64, 0, AT(pb_label_values_request, start), "start", NULL, NULL},
        {5, PB_INT64, 0, AT(pb_label_values_request, end), "end", NULL, NULL},
        {6, PB_MESSAGE, 0, AT(pb_label_values_request, hints), "hints", &pb_any, NULL},
        {7, PB_MESSAGE, PB_REPEATED, AT(pb_label_values_request, matchers), "matchers", &pb_label_matcher, NULL},
        {8, PB_STR, PB_REPEATED, AT(pb_label_values_request, without_replica_labels), "without_replica_labels", NULL, NULL},
        {9, PB_INT64, 0, AT(pb_label_values_request, limit), "limit", NULL, NULL},
};
const struct pb_message pb_label_values_request = {.name = "LabelValuesRequest", FIELDS(pb_label_values_request)};

static const struct pb_field pb_label_values_response_fields[] = {
        {1, PB_STR, PB_REPEATED, AT(pb_label_values_response, values), "values", NULL, NULL},
        {2, PB_STR, PB_REPEATED, AT(pb_label_values_response, warnings), "warnings", NULL, NULL},
        {3, PB_MESSAGE, 0, AT(pb_label_values_response, hints), "hints", &pb_any, NULL},
};
const struct pb_message pb_label_values_response = {.name = "LabelValuesResponse", FIELDS(pb_label_values_response)};

static const struct pb_field pb_request_hints_fields[] = {
        {1, PB_MESSAGE, PB_REPEATED, AT(pb_request_hints, block_matchers), "block_matchers", &pb_label_matcher, NULL},
        {2, PB_BOOL, 0, AT(pb_request_hints, enable_query_stats), "enable_query_stats", NULL, NULL},
};
const struct pb_message pb_request_hints = {.name = "SeriesRequestHints", FIELDS(pb_request_hints)};

static const struct pb_field pb_hint_block_fields[] = {
        {1, PB_STR, 0, AT(pb_hint_block, id), "id", NULL, NULL},
};
const struct pb_message pb_hint_block = {.name = "Block", FIELDS(pb_hint_block)};

static const struct pb_field pb_query_stats_fields[] = {
        {1, PB_INT64, 0, AT(pb_query_stats, blocks_queried), "blocks_queried", NULL, NULL},
        {2, PB_INT64, 0, AT(pb_query_stats, merged_series_count), "merged_series_count", NULL, NULL},
        {3, PB_INT64, 0, AT(pb_query_stats, merged_chunks_count), "merged_chunks_count", NULL, NULL},
        {4, PB_INT64, 0, AT(pb_query_stats, postings_touched), "postings_touched", NULL, NULL},
        {5, PB_INT64, 0, AT(pb_query_stats, postings_touched_size_sum), "postings_touched_size_sum", NULL, NULL},
        {6, PB_INT64, 0, AT(pb_query_stats, postings_to_fetch), "postings_to_fetch", NULL, NULL},
        {7, PB_INT64, 0, AT(pb_query_stats, postings_fetched), "postings_fetched", NULL, NULL},
        {8, PB_INT64, 0, AT(pb_query_stats, postings_fetched_size_sum), "postings_fetched_size_sum", NULL, NULL},
        {9, PB_INT64, 0, AT(pb_query_stats, postings_fetch_count), "postings_fetch_count", NULL, NULL},
        {10, PB_INT64, 0, AT(pb_query_stats, series_touched), "series_touched", NULL, NULL},
        {11, PB_INT64, 0, AT(pb_query_stats, series_touched_size_sum), "series_touched_size_sum", NULL, NULL},
        {12, PB_INT64, 0, AT(pb_query_stats, series_fetched), "series_fetched", NULL, NULL},
        {13, PB_INT64, 0, AT(pb_query_stats, series_fetched_size_sum), "series_fetched_size_sum", NULL, NULL},
        {14, PB_INT64, 0, AT(pb_query_stats, series_fetch_count), "series_fetch_count", NULL, NULL},
        {15, PB_INT64, 0, AT(pb_query_stats, chunks_touched), "chunks_touched", NULL, NULL},
        {16, PB_INT64, 0, AT(pb_query_stats, chunks_touched_size_sum), "chunks_touched_size_sum", NULL, NULL},
        {17, PB_INT64, 0, AT(pb_query_stats, chunks_fetched), "chunks_fetched", NULL, NULL},
        {18, PB_INT64, 0, AT(pb_query_stats, chunks_fetched_size_sum), "chunks_fetched_size_sum", NULL, NULL},
        {19, PB_INT64, 0, AT(pb_query_stats, chunks_fetch_count), "chunks_fetch_count", NULL, NULL},
        {20, PB_INT64, 0, AT(pb_query_stats, data_downloaded_size_sum), "data_downloaded_size_sum", NULL, NULL},
        {21, PB_INLINE, 0, AT(pb_query_stats, get_all_duration), "get_all_duration", &pb_timestamp, NULL},
        {22, PB_INLINE, 0, AT(pb_query_stats, merge_duration), "merge_duration", &pb_timestamp, NULL},
};
const struct pb_message pb_query_stats = {.name = "QueryStats", FIELDS(pb_query_stats)};

static const struct pb_field pb_response_hints_fields[] = {
        {1, PB_MESSAGE, PB_REPEATED, AT(pb_response_hints, queried_blocks), "queried_blocks", &pb_hint_block, NULL},
        {2, PB_MESSAGE, 0, AT(pb_response_hints, query_stats), "query_stats", &pb_query_stats, NULL},
};
const struct pb_message pb_response_hints = {.name = "SeriesResponseHints", FIELDS(pb_response_hints)};

static const struct pb_field pb_rules_request_fields[] = {
        {1, PB_INT32, 0, AT(pb_rules_request, type), "type", NULL, rules_type_names},
        {2, PB_INT32, 0, AT(pb_rules_request, partial_response_strategy), "partial_response_strategy", NULL, strategy_names},
        {3, PB_STR, PB_REPEATED, AT(pb_rules_request, matcher_string), "matcher_string", NULL, NULL},
        {4, PB_STR, PB_REPEATED, AT(pb_rules_request, rule_name), "rule_name", NULL, NULL},
        {5, PB_STR, PB_REPEATED, AT(pb_rules_request, rule_group), "rule_group", NULL, NULL},
        {6, PB_STR, PB_REPEATED, AT(pb_rules_request, file), "file", NULL, NULL},
};
const struct pb_message pb_rules_request = {.name = "RulesRequest", FIELDS(pb_rules_request)};

static const struct pb_field pb_alert_instance_fields[] = {
        {1, PB_INLINE, 0, AT(pb_alert_instance, labels), "labels", &pb_label_set, NULL},
        {2, PB_INLINE, 0, AT(pb_alert_instance, annotations), "annotations", &pb_label_set, NULL},
        {3, PB_INT32, 0, AT(pb_alert_instance, state), "state", NULL, alert_state_names},
        {4, PB_MESSAGE, 0, AT(pb_alert_instance, active_at), "active_at", &pb_timestamp, NULL},
        {5, PB_STR, 0, AT(pb_alert_instance, value), "value", NULL, NULL},
        {6, PB_INT32, 0, AT(pb_alert_instance, partial_response_strategy), "PartialResponseStrategy", NULL, strategy_names},
};
const struct pb_message pb_alert_instance = {.name = "AlertInstance", FIELDS(pb_alert_instance)};

static const struct pb_field pb_alert_fields[] = {
        {1, PB_INT32, 0, AT(pb_alert, state), "state", NULL, alert_state_names},
        {2, PB_STR, 0, AT(pb_alert, name), "name", NULL, NULL},
        {3, PB_STR, 0, AT(pb_alert, query), "query", NULL, NULL},
        {4, PB_DOUBLE, 0, AT(pb_alert, duration_seconds), "duration_seconds", NULL, NULL},
        {5, PB_INLINE, 0, AT(pb_alert, labels), "labels", &pb_label_set, NULL},
        {6, PB_INLINE, 0, AT(pb_alert, annotations), "annotations", &pb_label_set, NULL},
        {7, PB_MESSAGE, PB_REPEATED, AT(pb_alert, alerts), "alerts", &pb_alert_instance, NULL},
        {8, PB_STR, 0, AT(pb_alert, health), "health", NULL, NULL},
        {9, PB_STR, 0, AT(pb_alert, last_error), "last_error", NULL, NULL},
        {10, PB_DOUBLE, 0, AT(pb_alert, evaluation_duration_seconds), "evaluation_duration_seconds", NULL, NULL},
        {11, PB_INLINE, 0, AT(pb_alert, last_evaluation), "last_evaluation", &pb_timestamp, NULL},
        {12, PB_DOUBLE, 0, AT(pb_alert, keep_firing_for_seconds), "keep_firing_for_seconds", NULL, NULL},
};
const struct pb_message pb_alert = {.name = "Alert", FIELDS(pb_alert)};

static const struct pb_field pb_recording_rule_fields[] = {
        {1, PB_STR, 0, AT(pb_recording_rule, name), "name", NULL, NULL},
        {2, PB_STR, 0, AT(pb_recording_rule, query), "query", NULL, NULL},
        {3, PB_INLINE, 0, AT(pb_recording_rule, labels), "labels", &pb_label_set, NULL},
        {4, PB_STR, 0, AT(pb_recording_rule, health), "health", NULL, NULL},
        {5, PB_STR, 0, AT(pb_recording_rule, last_error), "last_error", NULL, NULL},
        {6, PB_DOUBLE, 0, AT(pb_recording_rule, evaluation_duration_seconds), "evaluation_duration_seconds", NULL, NULL},
        {7, PB_INLINE, 0, AT(pb_recording_rule, last_evaluation), "last_evaluation", &pb_timestamp, NULL},
};
const struct pb_message pb_recording_rule = {.name = "RecordingRule", FIELDS(pb_recording_rule)};

static const struct pb_field pb_rule_fields[] = {
        {1, PB_MESSAGE, 0, AT(pb_rule, recording), "recording", &pb_recording_rule, NULL},
        {2, PB_MESSAGE, 0, AT(pb_rule, alert), "alert", &pb_alert, NULL},
};
const struct pb_message pb_rule = {.name = "Rule", FIELDS(pb_rule)};

static const struct pb_field pb_rule_group_fields[] = {
        {1, PB_STR, 0, AT(pb_rule_group, name), "name", NULL, NULL},
        {2, PB_STR, 0, AT(pb_rule_group, file), "file", NULL, NULL},
        {3, PB_MESSAGE, PB_REPEATED, AT(pb_rule_group, rules), "rules", &pb_rule, NULL},
        {4, PB_DOUBLE, 0, AT(pb_rule_group, interval), "interval", NULL, NULL},
        {5, PB_DOUBLE, 0, AT(pb_rule_group, evaluation_duration_seconds), "evaluation_duration_seconds", NULL, NULL},
        {6, PB_INLINE, 0, AT(pb_rule_group, last_evaluation), "last_evaluation", &pb_timestamp, NULL},
        {8, PB_INT32, 0, AT(pb_rule_group, partial_response_strategy), "PartialResponseStrategy", NULL, strategy_names},
        {9, PB_INT64, 0, AT(pb_rule_group, limit), "limit", NULL, NULL},
};
const struct pb_message pb_rule_group = {.name = "RuleGroup", FIELDS(pb_rule_group)};

static const struct pb_field pb_rules_response_fields[] = {
        {1, PB_MESSAGE, 0, AT(pb_rules_response, group), "group", &pb_rule_group, NULL},
        {2, PB_STR, PB_PRESENT, AT(pb_rules_response, warning), "warning", NULL, NULL},
};
const struct pb_message pb_rules_response = {.name = "RulesResponse", FIELDS(pb_rules_response)};

static const struct pb_field pb_targets_request_fields[] = {
        {1, PB_INT32, 0, AT(pb_targets_request, state), "state", NULL, targets_state_names},
        {2, PB_INT32, 0, AT(pb_targets_request, partial_response_strategy), "partial_response_strategy", NULL, strategy_names},
};
const struct pb_message pb_targets_request = {.name = "TargetsRequest", FIELDS(pb_targets_request)};

static const struct pb_field pb_active_target_fields[] = {
        {1, PB_INLINE, 0, AT(pb_active_target, discovered_labels), "discoveredLabels", &pb_label_set, NULL},
        {2, PB_INLINE, 0, AT(pb_active_target, labels), "labels", &pb_label_set, NULL},
        {3, PB_STR, 0, AT(pb_active_target, scrape_pool), "scrapePool", NULL, NULL},
        {4, PB_STR, 0, AT(pb_active_target, scrape_url), "scrapeUrl", NULL, NULL},
        {5, PB_STR, 0, AT(pb_active_target, global_url), "globalUrl", NULL, NULL},
        {6, PB_STR, 0, AT(pb_active_target, last_error), "lastError", NULL, NULL},
        {7, PB_INLINE, 0, AT(pb_active_target, last_scrape), "lastScrape", &pb_timestamp, NULL},
        {8, PB_DOUBLE, 0, AT(pb_active_target, last_scrape_duration), "lastScrapeDuration", NULL, NULL},
        {9, PB_INT32, 0, AT(pb_active_target, health), "health", NULL, target_health_names},
};
const struct pb_message pb_active_target = {.name = "ActiveTarget", FIELDS(pb_active_target)};

static const struct pb_field pb_dropped_target_fields[] = {
        {1, PB_INLINE, 0, AT(pb_dropped_target, discovered_labels), "discoveredLabels", &pb_label_set, NULL},
};
const struct pb_message pb_dropped_target = {.name = "DroppedTarget", FIELDS(pb_dropped_target)};

static const struct pb_field pb_target_discovery_fields[] = {
        {1, PB_MESSAGE, PB_REPEATED, AT(pb_target_discovery, active_targets), "activeTargets", &pb_active_target, NULL},
        {2, PB_MESSAGE, PB_REPEATED, AT(pb_target_discovery, dropped_targets), "droppedTargets", &pb_dropped_target, NULL},
};
const struct pb_message pb_target_discovery = {.name = "TargetDiscovery", FIELDS(pb_target_discovery)};

static const struct pb_field pb_targets_response_fields[] = {
        {1, PB_MESSAGE, 0, AT(pb_targets_response, targets), "targets", &pb_target_discovery, NULL},
        {2, PB_STR, PB_PRESENT, AT(pb_targets_response, warning), "warning", NULL, NULL},
};
const struct pb_message pb_targets_response = {.name = "TargetsResponse", FIELDS(pb_targets_response)};

static const struct pb_field pb_metadata_request_fields[] = {
        {1, PB_STR, 0, AT(pb_metadata_request, metric), "metric", NULL, NULL},
        {2, PB_INT32, 0, AT(pb_metadata_request, limit), "limit", NULL, NULL},
        {3, PB_INT32, 0, AT(pb_metadata_request, partial_response_strategy), "partial_response_strategy", NULL, strategy_names},
};
const struct pb_message pb_metadata_request = {.name = "MetricMetadataRequest", FIELDS(pb_metadata_request)};

static const struct pb_field pb_metric_meta_fields[] = {
        {1, PB_STR, 0, AT(pb_metric_meta, type), "type", NULL, NULL},
        {2, PB_STR, 0, AT(pb_metric_meta, help), "help", NULL, NULL},
        {3, PB_STR, 0, AT(pb_metric_meta, unit), "unit", NULL, NULL},
};
const struct pb_message pb_metric_meta = {.name = "Meta", FIELDS(pb_metric_meta)};

static const struct pb_field pb_metadata_entry_fields[] = {
        {2, PB_MESSAGE, PB_REPEATED, AT(pb_metadata_entry, metas), "metas", &pb_metric_meta, NULL},
};
const struct pb_message pb_metadata_entry = {.name = "MetricMetadataEntry", FIELDS(pb_metadata_entry)};

static const struct pb_field pb_metadata_pair_fields[] = {
        {1, PB_STR, 0, AT(pb_metadata_pair, key), "key", NULL, NULL},
        {2, PB_MESSAGE, 0, AT(pb_metadata_pair, value), "value", &pb_metadata_entry, NULL},
};
const struct pb_message pb_metadata_pair = {.name = "MetricMetadata", FIELDS(pb_metadata_pair)};

static const struct pb_field pb_metric_metadata_fields[] = {
        {1, PB_MESSAGE, PB_REPEATED | PB_MAP, AT(pb_metric_metadata, metadata), "metadata", &pb_metadata_pair, NULL},
};
const struct pb_message pb_metric_metadata = {.name = "MetricMetadata", FIELDS(pb_metric_metadata)};

static const struct pb_field pb_metadata_response_fields[] = {
        {1, PB_MESSAGE, 0, AT(pb_metadata_response, metadata), "metadata", &pb_metric_metadata, NULL},
        {2, PB_STR, PB_PRESENT, AT(pb_metadata_response, warning), "warning", NULL, NULL},
};
const struct pb_message pb_metadata_response = {.name = "MetricMetadataResponse", FIELDS(pb_metadata_response)};

static const struct pb_field pb_exemplars_request_fields[] = {
        {1, PB_STR, 0, AT(pb_exemplars_request, query), "query", NULL, NULL},
        {2, PB_INT64, 0, AT(pb_exemplars_request, start), "start", NULL, NULL},
        {3, PB_INT64, 0, AT(pb_exemplars_request, end), "end", NULL, NULL},
        {4, PB_INT32, 0, AT(pb_exemplars_request, partial_response_strategy), "partial_response_strategy", NULL, strategy_names},
};
const struct pb_message pb_exemplars_request = {.name = "ExemplarsRequest", FIELDS(pb_exemplars_request)};

static const struct pb_field pb_exemplar_fields[] = {
        {1, PB_INLINE, 0, AT(pb_exemplar, labels), "labels", &pb_label_set, NULL},
        {2, PB_DOUBLE, 0, AT(pb_exemplar, value), "value", NULL, NULL},
        {3, PB_INT64, 0, AT(pb_exemplar, ts), "ts", NULL, NULL},
};
const struct pb_message pb_exemplar = {.name = "Exemplar", FIELDS(pb_exemplar)};

static const struct pb_field pb_exemplar_data_fields[] = {
        {1, PB_INLINE, 0, AT(pb_exemplar_data, series_labels), "seriesLabels", &pb_label_set, NULL},
        {2, PB_MESSAGE, PB_REPEATED, AT(pb_exemplar_data, exemplars), "exemplars", &pb_exemplar, NULL},
};
const struct pb_message pb_exemplar_data = {.name = "ExemplarData", FIELDS(pb_exemplar_data)};

static const struct pb_field pb_exemplars_response_fields[] = {
        {1, PB_MESSAGE, 0, AT(pb_exemplars_response, data), "data", &pb_exemplar_data, NULL},
        {2, PB_STR, PB_PRESENT, AT(pb_exemplars_response, warning), "warning", NULL, NULL},
};
const struct pb_message pb_exemplars_response = {.name = "ExemplarsResponse", FIELDS(pb_exemplars_response)};

static const struct pb_field pb_sample_fields[] = {
        {1, PB_DOUBLE, 0, AT(pb_sample, value), "value", NULL, NULL},
        {2, PB_INT64, 0, AT(pb_sample, timestamp), "timestamp", NULL, NULL},
};
const struct pb_message pb_sample = {.name = "Sample", FIELDS(pb_sample)};

static const struct pb_field pb_prom_exemplar_fields[] = {
        {1, PB_MESSAGE, PB_REPEATED, AT(pb_prom_exemplar, labels), "labels", &pb_label, NULL},
        {2, PB_DOUBLE, 0, AT(pb_prom_exemplar, value), "value", NULL, NULL},
        {3, PB_INT64, 0, AT(pb_prom_exemplar, timestamp), "timestamp", NULL, NULL},
};
const struct pb_message pb_prom_exemplar = {.name = "Exemplar", FIELDS(pb_prom_exemplar)};

static const struct pb_field pb_bucket_span_fields[] = {
        {1, PB_SINT32, 0, AT(pb_bucket_span, offset), "offset", NULL, NULL},
        {2, PB_UINT32, 0, AT(pb_bucket_span, length), "length", NULL, NULL},
};
const struct pb_message pb_bucket_span = {.name = "BucketSpan", FIELDS(pb_bucket_span)};

static const struct pb_field pb_prom_histogram_fields[] = {
        {1, PB_UINT64, PB_PRESENT, AT(pb_prom_histogram, count_int), "count_int", NULL, NULL},
        {2, PB_DOUBLE, PB_PRESENT, AT(pb_prom_histogram, count_float), "count_float", NULL, NULL},
        {3, PB_DOUBLE, 0, AT(pb_prom_histogram, sum), "sum", NULL, NULL},
        {4, PB_SINT32, 0, AT(pb_prom_histogram, schema), "schema", NULL, NULL},
        {5, PB_DOUBLE, 0, AT(pb_prom_histogram, zero_threshold), "zero_threshold", NULL, NULL},
        {6, PB_UINT64, PB_PRESENT, AT(pb_prom_histogram, zero_count_int), "zero_count_int", NULL, NULL},
        {7, PB_DOUBLE, PB_PRESENT, AT(pb_prom_histogram, zero_count_float), "zero_count_float", NULL, NULL},
        {8, PB_MESSAGE, PB_REPEATED, AT(pb_prom_histogram, negative_spans), "negative_spans", &pb_bucket_span, NULL},
        {9, PB_SINT64, PB_REPEATED, AT(pb_prom_histogram, negative_deltas), "negative_deltas", NULL, NULL},
        {10, PB_DOUBLE, PB_REPEATED, AT(pb_prom_histogram, negative_counts), "negative_counts", NULL, NULL},
        {11, PB_MESSAGE, PB_REPEATED, AT(pb_prom_histogram, positive_spans), "positive_spans", &pb_bucket_span, NULL},
        {12, PB_SINT64, PB_REPEATED, AT(pb_prom_histogram, positive_deltas), "positive_deltas", NULL, NULL},
        {13, PB_DOUBLE, PB_REPEATED, AT(pb_prom_histogram, positive_counts), "positive_counts", NULL, NULL},
        {14, PB_INT32, 0, AT(pb_prom_histogram, reset_hint), "reset_hint", NULL, reset_hint_names},
        {15, PB_INT64, 0, AT(pb_prom_histogram, timestamp), "timestamp", NULL, NULL},
        {16, PB_DOUBLE, PB_REPEATED, AT(pb_prom_histogram, custom_values), "custom_values", NULL, NULL},
};
const struct pb_message pb_prom_histogram = {.name = "Histogram", FIELDS(pb_prom_histogram)};

static const struct pb_field pb_time_series_fields[] = {
        {1, PB_MESSAGE, PB_REPEATED, AT(pb_time_series, labels), "labels", &pb_label, NULL},
        {2, PB_MESSAGE, PB_REPEATED, AT(pb_time_series, samples), "samples", &pb_sample, NULL},
        {3, PB_MESSAGE, PB_REPEATED, AT(pb_time_series, exemplars), "exemplars", &pb_prom_exemplar, NULL},
        {4, PB_MESSAGE, PB_REPEATED, AT(pb_time_series, histograms), "histograms", &pb_prom_histogram, NULL},
};
const struct pb_message pb_time_series = {.name = "TimeSeries", FIELDS(pb_time_series)};

static const struct pb_field pb_time_series_batch_fields[] = {
        {1, PB_MESSAGE, PB_REPEATED, AT(pb_time_series_batch, series), "series", &pb_time_series, NULL},
};
const struct pb_message pb_time_series_batch = {.name = "TimeSeriesBatch", FIELDS(pb_time_series_batch)};

static const struct pb_field pb_query_stats_short_fields[] = {
        {1, PB_INT64, 0, AT(pb_query_stats_short, samples_total), "samples_total", NULL, NULL},
        {2, PB_INT64, 0, AT(pb_query_stats_short, peak_samples), "peak_samples", NULL, NULL},
};
const struct pb_message pb_query_stats_short = {.name = "QueryStats", FIELDS(pb_query_stats_short)};

static const struct pb_field pb_store_matchers_fields[] = {
        {1, PB_MESSAGE, PB_REPEATED, AT(pb_store_matchers, label_matchers), "labelMatchers", &pb_label_matcher, NULL},
};
const struct pb_message pb_store_matchers = {.name = "StoreMatchers", FIELDS(pb_store_matchers)};

static const struct pb_field pb_query_plan_fields[] = {
        {1, PB_STR, PB_BYTES | PB_PRESENT, AT(pb_query_plan, json), "json", NULL, NULL},
};
const struct pb_message pb_query_plan = {.name = "queryPlan", FIELDS(pb_query_plan)};

static const struct pb_field pb_query_request_fields[] = {
        {1, PB_STR, 0, AT(pb_query_request, query), "query", NULL, NULL},
        {2, PB_INT64, 0, AT(pb_query_request, time_seconds), "time_seconds", NULL, NULL},
        {3, PB_INT64, 0, AT(pb_query_request, timeout_seconds), "timeout_seconds", NULL, NULL},
        {4, PB_INT64, 0, AT(pb_query_request, max_resolution_seconds), "max_resolution_seconds", NULL, NULL},
        {5, PB_STR, PB_REPEATED, AT(pb_query_request, replica_labels), "replica_labels", NULL, NULL},
        {6, PB_MESSAGE, PB_REPEATED, AT(pb_query_request, store_matchers), "storeMatchers", &pb_store_matchers, NULL},
        {7, PB_BOOL, 0, AT(pb_query_request, enable_dedup), "enableDedup", NULL, NULL},
        {8, PB_BOOL, 0, AT(pb_query_request, enable_partial_response), "enablePartialResponse", NULL, NULL},
        {10, PB_BOOL, 0, AT(pb_query_request, skip_chunks), "skipChunks", NULL, NULL},
        {11, PB_MESSAGE, 0, AT(pb_query_request, shard_info), "shard_info", &pb_shard_info, NULL},
        {12, PB_INT64, 0, AT(pb_query_request, lookback_delta_seconds), "lookback_delta_seconds", NULL, NULL},
        {13, PB_INT32, 0, AT(pb_query_request, engine), "engine", NULL, engine_names},
        {14, PB_MESSAGE, 0, AT(pb_query_request, query_plan), "queryPlan", &pb_query_plan, NULL},
        {15, PB_INT64, 0, AT(pb_query_request, response_batch_size), "response_batch_size", NULL, NULL},
};
const struct pb_message pb_query_request = {.name = "QueryRequest", FIELDS(pb_query_request)};

static const struct pb_field pb_query_range_request_fields[] = {
        {1, PB_STR, 0, AT(pb_query_range_request, query), "query", NULL, NULL},
        {2, PB_INT64, 0, AT(pb_query_range_request, start_time_seconds), "start_time_seconds", NULL, NULL},
        {3, PB_INT64, 0, AT(pb_query_range_request, end_time_seconds), "end_time_seconds", NULL, NULL},
        {4, PB_INT64, 0, AT(pb_query_range_request, interval_seconds), "interval_seconds", NULL, NULL},
        {5, PB_INT64, 0, AT(pb_query_range_request, timeout_seconds), "timeout_seconds", NULL, NULL},
        {6, PB_INT64, 0, AT(pb_query_range_request, max_resolution_seconds), "max_resolution_seconds", NULL, NULL},
        {7, PB_STR, PB_REPEATED, AT(pb_query_range_request, replica_labels), "replica_labels", NULL, NULL},
        {8, PB_MESSAGE, PB_REPEATED, AT(pb_query_range_request, store_matchers), "storeMatchers", &pb_store_matchers, NULL},
        {9, PB_BOOL, 0, AT(pb_query_range_request, enable_dedup), "enableDedup", NULL, NULL},
        {10, PB_BOOL, 0, AT(pb_query_range_request, enable_partial_response), "enablePartialResponse", NULL, NULL},
        {12, PB_BOOL, 0, AT(pb_query_range_request, skip_chunks), "skipChunks", NULL, NULL},
        {13, PB_MESSAGE, 0, AT(pb_query_range_request, shard_info), "shard_info", &pb_shard_info, NULL},
        {14, PB_INT64, 0, AT(pb_query_range_request, lookback_delta_seconds), "lookback_delta_seconds", NULL, NULL},
        {15, PB_INT32, 0, AT(pb_query_range_request, engine), "engine", NULL, engine_names},
        {16, PB_MESSAGE, 0, AT(pb_query_range_request, query_plan), "queryPlan", &pb_query_plan, NULL},
        {17, PB_INT64, 0, AT(pb_query_range_request, response_batch_size), "response_batch_size", NULL, NULL},
};
const struct pb_message pb_query_range_request = {.name = "QueryRangeRequest", FIELDS(pb_query_range_request)};

static const struct pb_field pb_query_response_fields[] = {
        {1, PB_STR, PB_PRESENT, AT(pb_query_response, warnings), "warnings", NULL, NULL},
        {2, PB_MESSAGE, 0, AT(pb_query_response, timeseries), "timeseries", &pb_time_series, NULL},
        {3, PB_MESSAGE, 0, AT(pb_query_response, stats), "stats", &pb_query_stats_short, NULL},
        {4, PB_MESSAGE, 0, AT(pb_query_response, timeseries_batch), "timeseries_batch", &pb_time_series_batch, NULL},
};
const struct pb_message pb_query_response = {.name = "QueryResponse", FIELDS(pb_query_response)};
