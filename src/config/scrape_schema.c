/* SPDX-License-Identifier: Apache-2.0 */
/* scrape_schema.c — scrape_configs: keys, checks, what they take from global.  Upstream: config/config.go, discovery/{file,dns}, model/relabel */
#include "codec/quote.h"
#include "config/file_conf.h"

typedef struct file_scrape S;

/* ---- small pieces ---- */

struct error *tristate_decode(struct conf_decoder *d, const struct yaml *y, void *at)
{
        bool flag;
        if (yaml_is_null(y))
                return NULL;
        if (y->type != YAML_SCALAR || !yaml_to_bool(y, &flag))
                conf_type_error(d, y, "bool");
        else
                *(enum tristate *)at = flag ? TRI_TRUE : TRI_FALSE;
        return NULL;
}

void tristate_print(struct buf *b, const char *key, const void *at, int indent)
{
        enum tristate t = *(const enum tristate *)at;
        if (t == TRI_UNSET)
                return;
        conf_put_indent(b, indent);
        buf_printf(b, "%s: %s\n", key, t == TRI_TRUE ? "true" : "false");
}

static int param_cmp(const void *a, const void *b)
{
        return str_cmp(((const struct scrape_param *)a)->key, ((const struct scrape_param *)b)->key);
}

static struct error *params_decode(struct conf_decoder *d, const struct yaml *y, void *at)
{
        S *s = CONTAINER_OF(at, S, params);
        if (yaml_is_null(y))
                return NULL;
        if (y->type != YAML_MAP) {
                conf_type_error(d, y, "url.Values");
                return NULL;
        }
        s->params = arena_zalloc(d->arena, arena_array_bytes(y->n + 1, sizeof *s->params));
        static const struct conf_field strs = {.key = "params", .kind = CONF_STRS};
        for (size_t i = 0; i < y->n; i++) {
                struct conf_strs values = {NULL, 0};
                if (conf_key_is_again(d, y, i))
                        continue;
                struct error *e = conf_decode_value(d, &strs, y->items[i], &values);
                if (e)
                        return e;
                s->params[s->n_params++] = (struct scrape_param){y->keys[i]->text, values.v, values.n};
        }
        qsort(s->params, s->n_params, sizeof *s->params, param_cmp);
        return NULL;
}

static void params_print(struct buf *b, const char *key, const void *at, int indent)
{
        const S *s = CONTAINER_OF(at, S, params);
        if (s->n_params == 0)
                return;
        conf_put_indent(b, indent);
        buf_printf(b, "%s:\n", key);
        for (size_t i = 0; i < s->n_params; i++) {
                conf_put_indent(b, indent + 2);
                yaml_put_scalar(b, s->params[i].key);
                buf_puts(b, s->params[i].n_values ? ":\n" : ": []\n");
                for (size_t k = 0; k < s->params[i].n_values; k++) {
                        conf_put_indent(b, indent + 2);
                        buf_puts(b, "- ");
                        yaml_put_scalar(b, s->params[i].values[k]);
                        buf_putc(b, '\n');
                }
        }
}

/* ---- service discovery ---- */

static const struct conf_field static_fields[] = {
        {"targets", CONF_STRS, offsetof(struct file_static, targets)},
        {"labels", CONF_LABELS, offsetof(struct file_static, labels), CONF_OMIT_EMPTY},
};
const struct conf_schema file_static_schema = {"struct { Targets []string \"yaml:\\\"targets\\\"\"; Labels model.LabelSet \"yaml:\\\"labels\\\"\" }",
                                               static_fields, ARRAY_LEN(static_fields), sizeof(struct file_static), .null_entry = "empty or null section in static_configs"};

static struct error *file_sd_validate(struct conf_decoder *d, const struct yaml *y, void *object)
{
        struct file_file_sd *f = object;
        if (f->files.n == 0)
                return error_new(ERROR_INVALID, "file service discovery config must contain at least one path name");
        for (size_t i = 0; i < f->files.n; i++) {
                if (!file_sd_path_is_valid(f->files.v[i])) {
                        struct buf b = BUF_INIT(1 << 16);
                        buf_put_go_quoted(&b, f->files.v[i]);
                        struct error *e = error_new(ERROR_INVALID, "path name %s is not valid for file discovery", buf_cstr(&b));
                        buf_done(&b);
                        return e;
                }
        }
        return NULL;
}
static const struct conf_field file_sd_fields[] = {
        {"files", CONF_STRS, offsetof(struct file_file_sd, files)},
        {"refresh_interval", CONF_DURATION, offsetof(struct file_file_sd, refresh_ms), CONF_OMIT_EMPTY},
};
static const struct file_file_sd file_sd_fallback = {.refresh_ms = 5 * 60 * 1000};
const struct conf_schema file_file_sd_schema = {"file.plain", file_sd_fields, ARRAY_LEN(file_sd_fields), sizeof(struct file_file_sd), &file_sd_fallback,
                                                file_sd_validate, "empty or null section in file_sd_configs"};

static struct error *dns_sd_validate(struct conf_decoder *d, const struct yaml *y, void *object)
{
        struct file_dns_sd *f = object;
        if (f->names.n == 0)
                return error_new(ERROR_INVALID, "DNS-SD config must contain at least one SRV record name");
        char upper[8] = "";
        for (size_t i = 0; i < f->type.n && f->type.n < sizeof upper; i++)
                upper[i] = (char)(f->type.p[i] >= 'a' && f->type.p[i] <= 'z' ? f->type.p[i] - 32 : f->type.p[i]);
        Str type = str_from(upper);
        if (str_eq(type, STR("SRV")))
                return NULL;
        if (str_eq(type, STR("A")) || str_eq(type, STR("AAAA")) || str_eq(type, STR("MX")) || str_eq(type, STR("NS"))) {
                if (f->port == 0)
                        return error_new(ERROR_INVALID, "a port is required in DNS-SD configs for all record types except SRV");
                return NULL;
        }
        return error_new(ERROR_INVALID, "invalid DNS-SD records type " STR_FMT, STR_ARG(f->type));
}
static const struct conf_field dns_sd_fields[] = {
        {"names", CONF_STRS, offsetof(struct file_dns_sd, names)},
        {"refresh_interval", CONF_DURATION, offsetof(struct file_dns_sd, refresh_ms), CONF_OMIT_EMPTY},
        {"type", CONF_STR, offsetof(struct file_dns_sd, type)},
        {"port", CONF_INT32, offsetof(struct file_dns_sd, port)},
};
static const struct file_dns_sd dns_sd_fallback = {.refresh_ms = 30 * 1000, .type = STR_INIT("SRV")};
const struct conf_schema file_dns_sd_schema = {"dns.plain", dns_sd_fields, ARRAY_LEN(dns_sd_fields), sizeof(struct file_dns_sd), &dns_sd_fallback, dns_sd_validate,
                                               "empty or null section in dns_sd_configs"};

/* ---- relabelling ---- */

static void regex_print(struct buf *b, const char *key, const void *at, int indent)
{
        Str regex = *(const Str *)at;
        if (!regex.p || str_eq(regex, STR("(.*)")))
                return;
        conf_put_indent(b, indent);
        buf_printf(b, "%s: ", key);
        yaml_put_scalar(b, regex);
        buf_putc(b, '\n');
}

static struct error *regex_decode(struct conf_decoder *d, const struct yaml *y, void *at)
{
        if (y->type != YAML_SCALAR) {
                conf_type_error(d, y, "string");
                return NULL;
        }
        Str s = yaml_is_null(y) || y->text.n == 0 ? STR("") : y->text;
        struct regex *re;
        struct error *e = regex_new(s, &re);
        if (e)
                return e;
        regex_free(re);
        *(Str *)at = s;
        return NULL;
}

static struct error *action_decode(struct conf_decoder *d, const struct yaml *y, void *at)
{
        enum relabel_action a;
        if (y->type != YAML_SCALAR) {
                conf_type_error(d, y, "string");
                return NULL;
        }
        if (yaml_is_null(y) || y->text.n == 0)
                return error_new(ERROR_INVALID, "relabel action cannot be empty");
        if (!relabel_action_parse(y->text, &a)) {
                struct buf b = BUF_INIT(1 << 16);
                buf_put_go_quoted(&b, y->text);
                struct error *e = error_new(ERROR_INVALID, "unknown relabel action %s", buf_cstr(&b));
                buf_done(&b);
                return e;
        }
        *(Str *)at = str_from(relabel_action_name(a));
        return NULL;
}

static void action_print(struct buf *b, const char *key, const void *at, int indent)
{
        conf_put_indent(b, indent);
        buf_printf(b, "%s: " STR_FMT "\n", key, STR_ARG(*(const Str *)at));
}

typedef struct file_relabel R;
static const struct conf_field relabel_fields[] = {
        {"source_labels", CONF_STRS, offsetof(R, source_labels), CONF_OMIT_EMPTY | CONF_FLOW},
        {"separator", CONF_STR, offsetof(R, separator)},
        {"regex", CONF_CUSTOM, offsetof(R, regex), .decode = regex_decode, .print = regex_print},
        {"modulus", CONF_UINT, offsetof(R, modulus), CONF_OMIT_EMPTY},
        {"target_label", CONF_STR, offsetof(R, target_label), CONF_OMIT_EMPTY},
        {"replacement", CONF_STR, offsetof(R, replacement)},
        {"action", CONF_CUSTOM, offsetof(R, action), .decode = action_decode, .print = action_print},
};
static const R relabel_fallback = {
        .separator = STR_INIT(";"), .replacement = STR_INIT("$1"), .action = STR_INIT("replace")};
#define RELABEL_SCHEMA(null_entry) {"relabel.plain", relabel_fields, ARRAY_LEN(relabel_fields), sizeof(R), &relabel_fallback, NULL, null_entry}
const struct conf_schema file_relabel_schema = RELABEL_SCHEMA("empty or null target relabeling rule in scrape config");
const struct conf_schema file_metric_relabel_schema = RELABEL_SCHEMA("empty or null metric relabeling rule in scrape config");
const struct conf_schema file_alert_relabel_schema = RELABEL_SCHEMA("empty or null alert relabeling rule");
const struct conf_schema file_alertmanager_relabel_schema = RELABEL_SCHEMA("empty or null Alertmanager target relabeling rule");
const struct conf_schema file_alertmanager_alert_relabel_schema = RELABEL_SCHEMA("empty or null Alertmanager alert relabeling rule");

/* ---- the job ---- */

struct error *file_statics_check(const struct conf_list *statics)
{
        for (size_t i = 0; i < statics->n; i++) {
                const struct file_static *st = (const struct file_static *)statics->v + i;
                for (size_t k = 0; k < st->targets.n; k++) {
                        if (str_find(st->targets.v[k], '/') >= 0)
                                return error_new(ERROR_INVALID, "\"" STR_FMT "\" is not a valid hostname", STR_ARG(st->targets.v[k]));
                }
        }
        return NULL;
}

static struct error *scrape_check(struct conf_decoder *d, const struct yaml *y, void *object)
{
        const S *s = object;
        if (s->job_name.n == 0)
                return error_new(ERROR_INVALID, "job_name is empty");
        return s->relabel.n ? NULL : file_statics_check(&s->sd.statics);
}

#define REFUSED_SD(name) {name "_sd_configs", CONF_REFUSED}
static const struct conf_field scrape_fields[] = {
        {"job_name", CONF_STR, offsetof(S, job_name)},
        {"honor_labels", CONF_BOOL, offsetof(S, honor_labels), CONF_OMIT_EMPTY},
        {"honor_timestamps", CONF_BOOL, offsetof(S, honor_timestamps)},
        {"track_timestamps_staleness", CONF_BOOL, offsetof(S, track_timestamps_staleness)},
        {"params", CONF_CUSTOM, offsetof(S, params), .decode = params_decode, .print = params_print},
        {"scrape_interval", CONF_DURATION, offsetof(S, interval_ms), CONF_OMIT_EMPTY},
        {"scrape_timeout", CONF_DURATION, offsetof(S, timeout_ms), CONF_OMIT_EMPTY},
        {"scrape_protocols", CONF_STRS, offsetof(S, protocols), CONF_OMIT_EMPTY},
        {"fallback_scrape_protocol", CONF_STR, offsetof(S, fallback_protocol), CONF_OMIT_EMPTY},
        {"scrape_native_histograms", CONF_CUSTOM, offsetof(S, native), .decode = tristate_decode, .print = tristate_print},
        {"always_scrape_classic_histograms", CONF_CUSTOM, offsetof(S, classic), .decode = tristate_decode, .print = tristate_print},
        {"convert_classic_histograms_to_nhcb", CONF_CUSTOM, offsetof(S, nhcb), .decode = tristate_decode, .print = tristate_print},
        {"scrape_failure_log_file", CONF_CSTR, offsetof(S, failure_log_file), CONF_OMIT_EMPTY},
        {"metrics_path", CONF_STR, offsetof(S, metrics_path), CONF_OMIT_EMPTY},
        {"scheme", CONF_STR, offsetof(S, scheme), CONF_OMIT_EMPTY},
        {"enable_compression", CONF_BOOL, offsetof(S, enable_compression)},
        {"body_size_limit", CONF_BYTES, offsetof(S, body_size_limit_bytes), CONF_OMIT_EMPTY},
        {"sample_limit", CONF_UINT, offsetof(S, sample_limit), CONF_OMIT_EMPTY},
        {"target_limit", CONF_UINT, offsetof(S, target_limit), CONF_OMIT_EMPTY},
        {"label_limit", CONF_UINT, offsetof(S, label_limit), CONF_OMIT_EMPTY},
        {"label_name_length_limit", CONF_UINT, offsetof(S, label_name_length_limit), CONF_OMIT_EMPTY},
        {"label_value_length_limit", CONF_UINT, offsetof(S, label_value_length_limit), CONF_OMIT_EMPTY},
        {"native_histogram_bucket_limit", CONF_UINT, offsetof(S, bucket_limit), CONF_OMIT_EMPTY},
        {"native_histogram_min_bucket_factor", CONF_FLOAT, offsetof(S, min_bucket_factor), CONF_OMIT_EMPTY},
        {"keep_dropped_targets", CONF_UINT, offsetof(S, keep_dropped_targets), CONF_OMIT_EMPTY},
        {"metric_name_validation_scheme", CONF_STR, offsetof(S, validation_scheme), CONF_OMIT_EMPTY},
        {"metric_name_escaping_scheme", CONF_STR, offsetof(S, escaping_scheme), CONF_OMIT_EMPTY},
        {"extra_scrape_metrics", CONF_CUSTOM, offsetof(S, extra_metrics), .decode = tristate_decode, .print = tristate_print},
        {NULL, CONF_INLINE, offsetof(S, http), .sub = &file_http_schema},
        {"relabel_configs", CONF_LIST, offsetof(S, relabel), CONF_OMIT_EMPTY, &file_relabel_schema},
        {"metric_relabel_configs", CONF_LIST, offsetof(S, metric_relabel), CONF_OMIT_EMPTY, &file_metric_relabel_schema},
        {"dns_sd_configs", CONF_LIST, offsetof(S, sd.dns_sd), CONF_OMIT_EMPTY, &file_dns_sd_schema},
        {"file_sd_configs", CONF_LIST, offsetof(S, sd.file_sd), CONF_OMIT_EMPTY, &file_file_sd_schema},
        {"static_configs", CONF_LIST, offsetof(S, sd.statics), CONF_OMIT_EMPTY, &file_static_schema},
        REFUSED_SD("aws"), REFUSED_SD("azure"), REFUSED_SD("consul"), REFUSED_SD("digitalocean"), REFUSED_SD("docker"), REFUSED_SD("dockerswarm"),
        REFUSED_SD("ec2"), REFUSED_SD("ecs"), REFUSED_SD("elasticache"), REFUSED_SD("eureka"), REFUSED_SD("gce"), REFUSED_SD("hetzner"), REFUSED_SD("http"),
        REFUSED_SD("ionos"), REFUSED_SD("kubernetes"), REFUSED_SD("kuma"), REFUSED_SD("lightsail"), REFUSED_SD("linode"), REFUSED_SD("marathon"),
        REFUSED_SD("msk"), REFUSED_SD("nerve"), REFUSED_SD("nomad"), REFUSED_SD("oci"), REFUSED_SD("openstack"), REFUSED_SD("outscale"),
        REFUSED_SD("ovhcloud"), REFUSED_SD("puppetdb"), REFUSED_SD("rds"), REFUSED_SD("scaleway"), REFUSED_SD("serverset"), REFUSED_SD("stackit"),
        REFUSED_SD("triton"), REFUSED_SD("uyuni"), REFUSED_SD("vultr"), REFUSED_SD("xds"),
};
static const S scrape_fallback = {
        .honor_timestamps = true, .metrics_path = STR_INIT("/metrics"), .scheme = STR_INIT("http"), .enable_compression = true,
        .http = {.follow_redirects = true, .enable_http2 = true}};
const struct conf_schema file_scrape_schema = {"config.ScrapeConfig", scrape_fields, ARRAY_LEN(scrape_fields), sizeof(S), &scrape_fallback, scrape_check,
                                               "empty or null scrape config section"};

bool is_protocol_list_valid(const struct conf_strs *protocols, struct error **ret)
{
        enum scrape_protocol p;
        unsigned seen = 0;
        *ret = NULL;
        if (protocols->n == 0) {
                *ret = error_new(ERROR_INVALID, "scrape_protocols cannot be empty");
                return false;
        }
        for (size_t i = 0; i < protocols->n; i++) {
                if (!scrape_protocol_parse(protocols->v[i], &p)) {
                        *ret = error_new(ERROR_INVALID,
                                         "unknown scrape protocol " STR_FMT ", supported: [OpenMetricsText0.0.1 OpenMetricsText1.0.0 PrometheusProto "
                                         "PrometheusText0.0.4 PrometheusText1.0.0]",
                                         STR_ARG(protocols->v[i]));
                        return false;
                }
                if (seen & 1u << p) {
                        *ret = error_new(ERROR_INVALID, "duplicated protocol in scrape_protocols, got [%s ...]", scrape_protocol_name(p));
                        return false;
                }
                seen |= 1u << p;
        }
        return true;
}

static void inherit(uint64_t *own, uint64_t global)
{
        if (*own == 0)
                *own = global;
}

static struct error *names_validate(S *s, const struct file_global *g)
{
        static const char choices[] = "must be one of 'allow-utf-8', 'underscores', 'dots', or 'values', got";
        enum name_escaping esc;
        bool unset = s->validation_scheme.n == 0;
        Str global_escaping = g->escaping_scheme;
        if (unset)
                s->validation_scheme = g->validation_scheme;
        else if (!str_eq(s->validation_scheme, STR("utf8")) && !str_eq(s->validation_scheme, STR("legacy")))
                return error_new(ERROR_INVALID, "unknown scrape config name validation method specified, must be either '', 'legacy' or 'utf8', got " STR_FMT,
                                 STR_ARG(s->validation_scheme));
        if (global_escaping.n == 0)
                global_escaping = str_eq(g->validation_scheme, STR("legacy")) ? STR("underscores") : STR("allow-utf-8");
        else if (!name_escaping_parse(global_escaping, &esc))
                return error_new(ERROR_INVALID, "unknown global name escaping method specified, %s \"" STR_FMT "\"", choices, STR_ARG(global_escaping));
        bool legacy = str_eq(s->validation_scheme, STR("legacy"));
        if (s->escaping_scheme.n == 0)
                s->escaping_scheme = unset ? global_escaping : legacy ? STR("underscores") : STR("allow-utf-8");
        if (!name_escaping_parse(s->escaping_scheme, &esc))
                return error_new(ERROR_INVALID, "unknown scrape config name escaping method specified, %s \"" STR_FMT "\"", choices, STR_ARG(s->escaping_scheme));
        if (esc == NAME_ESCAPING_ALLOW_UTF8 && legacy)
                return error_new(ERROR_INVALID, "utf8 metric names requested but validation scheme is not set to UTF8");
        return NULL;
}

struct error *file_scrape_validate(struct conf_decoder *d, S *s, const struct file_global *g)
{
        static const Str fallback[] = {STR_INIT("OpenMetricsText1.0.0"), STR_INIT("OpenMetricsText0.0.1"), STR_INIT("PrometheusText1.0.0"), STR_INIT("PrometheusText0.0.4")};
        static const Str proto_first[] = {STR_INIT("PrometheusProto"), STR_INIT("OpenMetricsText1.0.0"), STR_INIT("OpenMetricsText0.0.1"),
                                          STR_INIT("PrometheusText1.0.0"), STR_INIT("PrometheusText0.0.4")};
        if (s->interval_ms == 0)
                s->interval_ms = g->interval_ms;
        if (s->timeout_ms > s->interval_ms)
                return error_new(ERROR_INVALID, "scrape timeout greater than scrape interval for scrape config with job name \"" STR_FMT "\"", STR_ARG(s->job_name));
        if (s->timeout_ms == 0)
                s->timeout_ms = MIN(g->timeout_ms, s->interval_ms);
        inherit(&s->body_size_limit_bytes, g->body_size_limit_bytes);
        inherit(&s->sample_limit, g->sample_limit);
        inherit(&s->target_limit, g->target_limit);
        inherit(&s->label_limit, g->label_limit);
        inherit(&s->label_name_length_limit, g->label_name_length_limit);
        inherit(&s->label_value_length_limit, g->label_value_length_limit);
        inherit(&s->keep_dropped_targets, g->keep_dropped_targets);
        if (!s->failure_log_file || !*s->failure_log_file)
                s->failure_log_file = g->failure_log_file;
        if (s->native == TRI_UNSET)
                s->native = g->native;
        if (s->extra_metrics == TRI_UNSET)
                s->extra_metrics = g->extra_metrics;
        if (!s->protocols.v) {
                if (g->protocols.v)
                        s->protocols = g->protocols;
                else if (s->native == TRI_TRUE)
                        s->protocols = (struct conf_strs){proto_first, ARRAY_LEN(proto_first)};
                else
                        s->protocols = (struct conf_strs){fallback, ARRAY_LEN(fallback)};
        }
        struct error *e;
        if (!is_protocol_list_valid(&s->protocols, &e)) {
                struct error *with_job = error_new(ERROR_INVALID, "%s for scrape config with job name \"" STR_FMT "\"", error_str(e), STR_ARG(s->job_name));
                error_free(e);
                return with_job;
        }
        enum scrape_protocol p;
        if (s->fallback_protocol.n && !scrape_protocol_parse(s->fallback_protocol, &p))
                return error_new(ERROR_INVALID,
                                 "invalid fallback_scrape_protocol for scrape config with job name \"" STR_FMT "\": unknown scrape protocol " STR_FMT
                                 ", supported: [OpenMetricsText0.0.1 OpenMetricsText1.0.0 PrometheusProto PrometheusText0.0.4 PrometheusText1.0.0]",
                                 STR_ARG(s->job_name), STR_ARG(s->fallback_protocol));
        e = names_validate(s, g);
        if (e)
                return e;
        if (s->nhcb == TRI_UNSET)
                s->nhcb = g->nhcb ? TRI_TRUE : TRI_FALSE;
        if (s->classic == TRI_UNSET)
                s->classic = g->classic ? TRI_TRUE : TRI_FALSE;
        return NULL;
}
