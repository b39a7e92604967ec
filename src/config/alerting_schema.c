/* SPDX-License-Identifier: Apache-2.0 */
/* alerting_schema.c — the alerting block: Alertmanagers and relabelling of alerts.  Upstream: config/config.go (AlertingConfig) */
#include "config/file_conf.h"

typedef struct file_alertmanager A;

static struct error *version_decode(struct conf_decoder *d, const struct yaml *y, void *at)
{
        static const struct conf_field field = {"api_version", CONF_STR};
        *(Str *)at = STR("");
        struct error *e = conf_decode_value(d, &field, y, at);
        if (!e && !str_eq(*(Str *)at, STR("v2")))
                e = error_new(ERROR_INVALID, "expected Alertmanager api version to be one of [v2] but got " STR_FMT, STR_ARG(*(Str *)at));
        return e;
}

static void version_print(struct buf *b, const char *key, const void *at, int indent)
{
        conf_put_indent(b, indent);
        buf_printf(b, "%s: " STR_FMT "\n", key, STR_ARG(*(const Str *)at));
}

#define REFUSED_SD(name) {name "_sd_configs", CONF_REFUSED}
static const struct conf_field alertmanager_fields[] = {
        {NULL, CONF_INLINE, offsetof(A, http), .sub = &file_http_schema},
        {"sigv4", CONF_REFUSED},
        {"scheme", CONF_STR, offsetof(A, scheme), CONF_OMIT_EMPTY},
        {"path_prefix", CONF_STR, offsetof(A, path_prefix), CONF_OMIT_EMPTY},
        {"timeout", CONF_DURATION, offsetof(A, timeout_ms), CONF_OMIT_EMPTY},
        {"api_version", CONF_CUSTOM, offsetof(A, api_version), .decode = version_decode, .print = version_print},
        {"relabel_configs", CONF_LIST, offsetof(A, relabel), CONF_OMIT_EMPTY, &file_alertmanager_relabel_schema},
        {"alert_relabel_configs", CONF_LIST, offsetof(A, alert_relabel), CONF_OMIT_EMPTY, &file_alertmanager_alert_relabel_schema},
        {"dns_sd_configs", CONF_LIST, offsetof(A, sd.dns_sd), CONF_OMIT_EMPTY, &file_dns_sd_schema},
        {"file_sd_configs", CONF_LIST, offsetof(A, sd.file_sd), CONF_OMIT_EMPTY, &file_file_sd_schema},
        {"static_configs", CONF_LIST, offsetof(A, sd.statics), CONF_OMIT_EMPTY, &file_static_schema},
        REFUSED_SD("aws"), REFUSED_SD("azure"), REFUSED_SD("consul"), REFUSED_SD("digitalocean"), REFUSED_SD("docker"), REFUSED_SD("dockerswarm"),
        REFUSED_SD("ec2"), REFUSED_SD("ecs"), REFUSED_SD("elasticache"), REFUSED_SD("eureka"), REFUSED_SD("gce"), REFUSED_SD("hetzner"), REFUSED_SD("http"),
        REFUSED_SD("ionos"), REFUSED_SD("kubernetes"), REFUSED_SD("kuma"), REFUSED_SD("lightsail"), REFUSED_SD("linode"), REFUSED_SD("marathon"),
        REFUSED_SD("msk"), REFUSED_SD("nerve"), REFUSED_SD("nomad"), REFUSED_SD("oci"), REFUSED_SD("openstack"), REFUSED_SD("outscale"),
        REFUSED_SD("ovhcloud"), REFUSED_SD("puppetdb"), REFUSED_SD("rds"), REFUSED_SD("scaleway"), REFUSED_SD("serverset"), REFUSED_SD("stackit"),
        REFUSED_SD("triton"), REFUSED_SD("uyuni"), REFUSED_SD("vultr"), REFUSED_SD("xds"),
};
static const A alertmanager_fallback = {
        .http = {.follow_redirects = true, .enable_http2 = true}, .scheme = STR_INIT("http"), .timeout_ms = 10 * 1000, .api_version = STR_INIT("v2")};

static struct error *alertmanager_check(struct conf_decoder *d, const struct yaml *y, void *object)
{
        const A *a = object;
        return a->relabel.n ? NULL : file_statics_check(&a->sd.statics);
}
const struct conf_schema file_alertmanager_schema = {"config.plain", alertmanager_fields, ARRAY_LEN(alertmanager_fields), sizeof(A), &alertmanager_fallback, alertmanager_check};

typedef struct file_alerting L;
static const struct conf_field alerting_fields[] = {
        {"alert_relabel_configs", CONF_LIST, offsetof(L, alert_relabel), CONF_OMIT_EMPTY, &file_alert_relabel_schema},
        {"alertmanagers", CONF_LIST, offsetof(L, alertmanagers), CONF_OMIT_EMPTY, &file_alertmanager_schema},
};
const struct conf_schema file_alerting_schema = {"config.plain", alerting_fields, ARRAY_LEN(alerting_fields), sizeof(L)};
