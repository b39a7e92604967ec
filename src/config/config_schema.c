/* SPDX-License-Identifier: Apache-2.0 */
/* config_schema.c — prometheus.yml's top level, global and storage: keys, defaults, checks.  Upstream: config/config.go */
#include "codec/quote.h"
#include "config/file_conf.h"
#include "model/duration.h"

typedef struct file_global G;

const G file_global_defaults = {
        .interval_ms = 60 * 1000, .timeout_ms = 10 * 1000, .evaluation_interval_ms = 60 * 1000,
        .validation_scheme = STR_INIT("utf8"), .escaping_scheme = STR_INIT("allow-utf-8"), .native = TRI_FALSE, .extra_metrics = TRI_FALSE};

static const struct conf_field global_fields[] = {
        {"scrape_interval", CONF_DURATION, offsetof(G, interval_ms), CONF_OMIT_EMPTY},
        {"scrape_timeout", CONF_DURATION, offsetof(G, timeout_ms), CONF_OMIT_EMPTY},
        {"scrape_protocols", CONF_STRS, offsetof(G, protocols), CONF_OMIT_EMPTY},
        {"evaluation_interval", CONF_DURATION, offsetof(G, evaluation_interval_ms), CONF_OMIT_EMPTY},
        {"rule_query_offset", CONF_DURATION, offsetof(G, rule_query_offset_ms), CONF_OMIT_EMPTY},
        {"query_log_file", CONF_CSTR, offsetof(G, query_log_file), CONF_OMIT_EMPTY},
        {"scrape_failure_log_file", CONF_CSTR, offsetof(G, failure_log_file), CONF_OMIT_EMPTY},
        {"external_labels", CONF_LABELS, offsetof(G, external_labels), CONF_OMIT_EMPTY},
        {"body_size_limit", CONF_BYTES, offsetof(G, body_size_limit_bytes), CONF_OMIT_EMPTY},
        {"sample_limit", CONF_UINT, offsetof(G, sample_limit), CONF_OMIT_EMPTY},
        {"target_limit", CONF_UINT, offsetof(G, target_limit), CONF_OMIT_EMPTY},
        {"label_limit", CONF_UINT, offsetof(G, label_limit), CONF_OMIT_EMPTY},
        {"label_name_length_limit", CONF_UINT, offsetof(G, label_name_length_limit), CONF_OMIT_EMPTY},
        {"label_value_length_limit", CONF_UINT, offsetof(G, label_value_length_limit), CONF_OMIT_EMPTY},
        {"keep_dropped_targets", CONF_UINT, offsetof(G, keep_dropped_targets), CONF_OMIT_EMPTY},
        {"metric_name_validation_scheme", CONF_STR, offsetof(G, validation_scheme), CONF_OMIT_EMPTY},
        {"metric_name_escaping_scheme", CONF_STR, offsetof(G, escaping_scheme), CONF_OMIT_EMPTY},
        {"scrape_native_histograms", CONF_CUSTOM, offsetof(G, native), .decode = tristate_decode, .print = tristate_print},
        {"convert_classic_histograms_to_nhcb", CONF_BOOL, offsetof(G, nhcb), CONF_OMIT_EMPTY},
        {"always_scrape_classic_histograms", CONF_BOOL, offsetof(G, classic), CONF_OMIT_EMPTY},
        {"extra_scrape_metrics", CONF_CUSTOM, offsetof(G, extra_metrics), .decode = tristate_decode, .print = tristate_print},
};

static bool size_is_wrong(Str s, uint64_t *ret)
{
        struct error *e = size_parse(s, ret);
        error_free(e);
        return e != NULL;
}

static struct error *not_valid(Str s, const char *what)
{
        struct buf b = BUF_INIT(1 << 16);
        buf_put_go_quoted(&b, s);
        struct error *e = error_new(ERROR_INVALID, "%s is not a valid label %s", buf_cstr(&b), what);
        buf_done(&b);
        return e;
}

static struct error *external_labels_check(const G *g)
{
        bool legacy = str_eq(g->validation_scheme, STR("legacy"));
        for (size_t i = 0; i < g->external_labels.n; i++) {
                Label l = g->external_labels.v[i];
                if (legacy ? !label_name_is_legacy(l.name) : !label_name_is_valid_utf8(l.name))
                        return not_valid(l.name, "name");
                if (!utf8_is_valid(l.value))
                        return not_valid(l.value, "value");
        }
        return NULL;
}

static struct error *global_check(struct conf_decoder *d, const struct yaml *y, void *object)
{
        G *g = object;
        if (y->n == 0) {                /* an empty block is as none */
                *g = file_global_defaults;
                g->extra_metrics = d->extra_scrape_metrics ? TRI_TRUE : TRI_FALSE;
                return NULL;
        }
        if (!str_eq(g->validation_scheme, STR("utf8")) && !str_eq(g->validation_scheme, STR("legacy")))
                g->validation_scheme = file_global_defaults.validation_scheme;
        struct error *e = external_labels_check(g);
        if (e)
                return e;
        if (g->interval_ms == 0)
                g->interval_ms = file_global_defaults.interval_ms;
        if (g->timeout_ms > g->interval_ms)
                return error_new(ERROR_INVALID, "global scrape timeout greater than scrape interval");
        if (g->timeout_ms == 0)
                g->timeout_ms = MIN(file_global_defaults.timeout_ms, g->interval_ms);
        if (g->evaluation_interval_ms == 0)
                g->evaluation_interval_ms = file_global_defaults.evaluation_interval_ms;
        if (g->native == TRI_UNSET)
                g->native = file_global_defaults.native;
        if (g->extra_metrics == TRI_UNSET)
                g->extra_metrics = d->extra_scrape_metrics ? TRI_TRUE : TRI_FALSE;
        if (g->protocols.v && !is_protocol_list_valid(&g->protocols, &e)) {
                struct error *global = error_new(ERROR_INVALID, "%s for global config", error_str(e));
                error_free(e);
                return global;
        }
        return NULL;
}
const struct conf_schema file_global_schema = {"config.plain", global_fields, ARRAY_LEN(global_fields), sizeof(G), .check = global_check};

static struct error *global_decode(struct conf_decoder *d, const struct yaml *y, void *at)
{
        if (yaml_is_null(y)) {
                *(G *)at = file_global_defaults;
                ((G *)at)->extra_metrics = d->extra_scrape_metrics ? TRI_TRUE : TRI_FALSE;
                return NULL;
        }
        return conf_decode(d, &file_global_schema, y, at);
}

static void global_print(struct buf *b, const char *key, const void *at, int indent)
{
        buf_printf(b, "%s:\n", key);
        conf_print(b, &file_global_schema, at, indent + 2);
}

typedef struct file_tsdb D;
static const struct conf_field size_field = {"size", CONF_BYTES, 0, CONF_OMIT_EMPTY};
static const struct conf_schema size_schema = {"config.TSDBRetentionConfig", &size_field, 1, sizeof(uint64_t)};

static struct error *retention_size_decode(struct conf_decoder *d, const struct yaml *y, void *at)
{
        uint64_t size;
        if (y->type == YAML_SCALAR && str_has_prefix(y->text, STR("-")) && !size_is_wrong(str_skip(y->text, 1), &size) && size) {
                struct buf b = BUF_INIT(256);
                buf_put_size(&b, size);
                struct error *e = error_new(ERROR_INVALID, "'storage.tsdb.retention.size' must be greater than or equal to 0, got -%s", buf_cstr(&b));
                buf_done(&b);
                return e;
        }
        return conf_decode_value(d, &size_field, y, at);
}

static void retention_size_print(struct buf *b, const char *key, const void *at, int indent)
{
        conf_print(b, &size_schema, at, indent);
}
static const struct conf_field retention_fields[] = {
        {"time", CONF_DURATION, offsetof(D, retention.time_ms) - offsetof(D, retention), CONF_OMIT_EMPTY},
        {"size", CONF_CUSTOM, offsetof(D, retention.size_bytes) - offsetof(D, retention), .decode = retention_size_decode, .print = retention_size_print},
        {"percentage", CONF_FLOAT, offsetof(D, retention.percentage) - offsetof(D, retention), CONF_OMIT_EMPTY},
};
static struct error *retention_check(struct conf_decoder *d, const struct yaml *y, void *object)
{
        const D *t = CONTAINER_OF(object, D, retention);
        if (t->retention.percentage < 0 || t->retention.percentage > 100)
                return error_new(ERROR_INVALID, "'storage.tsdb.retention.percentage' must be in the range [0, 100], got %g", t->retention.percentage);
        return NULL;
}
static const struct conf_schema retention_schema = {"config.TSDBRetentionConfig", retention_fields, ARRAY_LEN(retention_fields), sizeof(((D *)0)->retention),
                                                    .check = retention_check};

static struct error *encoding_decode(struct conf_decoder *d, const struct yaml *y, void *at)
{
        static const struct conf_field fields[] = {{"floats", CONF_STR, 0, CONF_OMIT_EMPTY}};
        static const struct conf_schema schema = {"config.ChunkEncodingConfig", fields, ARRAY_LEN(fields), sizeof(Str)};
        struct error *e = conf_decode(d, &schema, y, at);
        Str v = *(Str *)at;
        if (!e && v.n && !str_eq(v, STR("xor")) && !str_eq(v, STR("xor2")))
                e = error_new(ERROR_INVALID, "'storage.tsdb.chunk_encoding.floats' must be 'xor' or 'xor2', or the field must be omitted entirely, got \"" STR_FMT "\"", STR_ARG(v));
        if (!e && str_eq(v, STR("xor2")))
                e = error_new(ERROR_UNSUPPORTED, "line %d: storage.tsdb.chunk_encoding.floats: xor2 is not supported yet", y->line);
        return e;
}
static void encoding_print(struct buf *b, const char *key, const void *at, int indent)
{
        Str v = *(const Str *)at;
        if (v.n == 0)
                return;
        conf_put_indent(b, indent);
        buf_printf(b, "%s:\n%*sfloats: " STR_FMT "\n", key, indent + 2, "", STR_ARG(v));
}

static const struct conf_field tsdb_fields[] = {
        {"outofordertimewindow", CONF_INT, offsetof(D, window_ms)},
        {"out_of_order_time_window", CONF_DURATION, offsetof(D, out_of_order_ms), CONF_OMIT_EMPTY},
        {"stale_series_compaction_threshold", CONF_FLOAT, offsetof(D, stale_series_threshold), CONF_OMIT_EMPTY},
        {"chunk_encoding", CONF_CUSTOM, offsetof(D, float_encoding), .decode = encoding_decode, .print = encoding_print},
        {"retention", CONF_STRUCT, offsetof(D, retention), .sub = &retention_schema},
};
static struct error *tsdb_check(struct conf_decoder *d, const struct yaml *y, void *object)
{
        D *t = object;
        t->window_ms = t->out_of_order_ms;
        if (t->stale_series_threshold != 0)
                return error_new(ERROR_UNSUPPORTED, "storage.tsdb.stale_series_compaction_threshold is not supported yet");
        return NULL;
}
static const struct conf_schema tsdb_schema = {"config.TSDBConfig", tsdb_fields, ARRAY_LEN(tsdb_fields), sizeof(D), .check = tsdb_check};

typedef struct {
        bool is_there;
        int64_t max;
} ExemplarConf;
static const struct conf_field exemplar_fields[] = {{"max_exemplars", CONF_INT, offsetof(ExemplarConf, max), CONF_OMIT_EMPTY}};
static const struct conf_schema exemplar_schema = {"config.ExemplarsConfig", exemplar_fields, ARRAY_LEN(exemplar_fields), sizeof(ExemplarConf)};
static struct error *exemplars_decode(struct conf_decoder *d, const struct yaml *y, void *at)
{
        ExemplarConf *c = at;
        struct error *e = conf_decode(d, &exemplar_schema, y, c);
        c->is_there = !yaml_is_null(y);
        return e;
}
static void exemplars_print(struct buf *b, const char *key, const void *at, int indent)
{
        const ExemplarConf *c = at;
        if (!c->is_there)
                return;
        conf_put_indent(b, indent);
        buf_printf(b, "%s:", key);
        if (!c->max) {
                buf_puts(b, " {}\n");
                return;
        }
        buf_putc(b, '\n');
        conf_print(b, &exemplar_schema, c, indent + 2);
}
static const struct conf_field storage_fields[] = {
        {"tsdb", CONF_STRUCT, 0, .sub = &tsdb_schema},
        {"exemplars", CONF_CUSTOM, offsetof(D, exemplars), .decode = exemplars_decode, .print = exemplars_print},
};
static const struct conf_schema storage_schema = {"config.StorageConfig", storage_fields, ARRAY_LEN(storage_fields), sizeof(D)};

static const struct conf_field runtime_fields[] = {{"gogc", CONF_INT, 0, CONF_OMIT_EMPTY}};
static const struct { int64_t gogc; } runtime_fallback = {75};
static const struct conf_schema runtime_schema = {"config.RuntimeConfig", runtime_fields, ARRAY_LEN(runtime_fields), sizeof runtime_fallback, &runtime_fallback};

/* Its defaults are printed as the original does; any other value would be for a receiver that is not there. */
static void otlp_print(struct buf *b, const char *key, const void *at, int indent)
{
        if (*(const bool *)at)
                return;
        buf_printf(b,
                   "%s:\n  translation_strategy: UnderscoreEscapingWithSuffixes\n  label_name_underscore_sanitization: true\n"
                   "  label_name_preserve_multiple_underscores: true\n",
                   key);
}
static struct error *otlp_decode(struct conf_decoder *d, const struct yaml *y, void *at)
{
        static const struct conf_field refused = {"otlp", CONF_REFUSED};
        *(bool *)at = true;
        return conf_decode_value(d, &refused, y, at);
}

typedef struct file_conf C;
static const struct conf_field top_fields[] = {
        {"global", CONF_CUSTOM, offsetof(C, global), .decode = global_decode, .print = global_print},
        {"runtime", CONF_STRUCT, offsetof(C, runtime), .sub = &runtime_schema},
        {"alerting", CONF_STRUCT, offsetof(C, alerting), CONF_OMIT_EMPTY, &file_alerting_schema},
        {"rule_files", CONF_STRS, offsetof(C, rule_files), CONF_OMIT_EMPTY},
        {"scrape_config_files", CONF_STRS, offsetof(C, scrape_config_files), CONF_OMIT_EMPTY},
        {"scrape_configs", CONF_LIST, offsetof(C, scrapes), CONF_OMIT_EMPTY, &file_scrape_schema},
        {"storage", CONF_STRUCT, offsetof(C, tsdb), .sub = &storage_schema},
        {"tracing", CONF_REFUSED},
        {"remote_write", CONF_REFUSED},
        {"remote_read", CONF_REFUSED},
        {"otlp", CONF_CUSTOM, offsetof(C, otlp_is_empty), .decode = otlp_decode, .print = otlp_print},
};

/* The path of a glob has at most one pattern, in its last element.  Upstream: patRulePath. */
static bool is_glob_valid(Str s)
{
        ptrdiff_t slash = str_rfind(s, '/');
        return slash < 0 || str_find(str_sub(s, 0, (size_t)slash), '*') < 0;
}

static struct error *top_check(struct conf_decoder *d, const struct yaml *y, void *object)
{
        C *c = object;
        if (!yaml_get(y, STR("global")))
                c->global.extra_metrics = d->extra_scrape_metrics ? TRI_TRUE : TRI_FALSE;
        if (c->runtime.gogc == 0)
                c->runtime.gogc = runtime_fallback.gogc;
        for (size_t i = 0; i < c->rule_files.n; i++) {
                if (!is_glob_valid(c->rule_files.v[i]))
                        return error_new(ERROR_INVALID, "invalid rule file path \"" STR_FMT "\"", STR_ARG(c->rule_files.v[i]));
        }
        for (size_t i = 0; i < c->scrape_config_files.n; i++) {
                if (!is_glob_valid(c->scrape_config_files.v[i]))
                        return error_new(ERROR_INVALID, "invalid scrape config file path \"" STR_FMT "\"", STR_ARG(c->scrape_config_files.v[i]));
        }
        struct file_scrape *s = c->scrapes.v;
        for (size_t i = 0; i < c->scrapes.n; i++) {
                struct error *e = file_scrape_validate(d, &s[i], &c->global);
                if (e)
                        return e;
                for (size_t k = 0; k < i; k++) {
                        if (str_eq(s[k].job_name, s[i].job_name))
                                return error_new(ERROR_INVALID, "found multiple scrape configs with job name \"" STR_FMT "\"", STR_ARG(s[i].job_name));
                }
        }
        return NULL;
}
static const C top_fallback = {
        .global = {.interval_ms = 60 * 1000, .timeout_ms = 10 * 1000, .evaluation_interval_ms = 60 * 1000, .validation_scheme = STR_INIT("utf8"),
                   .escaping_scheme = STR_INIT("allow-utf-8"), .native = TRI_FALSE, .extra_metrics = TRI_FALSE},
        .runtime = {75}};
const struct conf_schema file_conf_schema = {"config.plain", top_fields, ARRAY_LEN(top_fields), sizeof(C), &top_fallback, top_check};
