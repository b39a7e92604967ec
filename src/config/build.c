/* SPDX-License-Identifier: Apache-2.0 */
#include "config/build.h"

#include "base/hash.h"

const char *path_resolve(struct arena *a, const char *dir, const char *path)
{
        if (!path || !*path || *path == '/' || strcmp(dir, ".") == 0)
                return path;
        return arena_printf(a, "%s/%s", dir, path).p;
}

static Str str_resolve(struct arena *a, const char *dir, Str path)
{
        return str_from(path_resolve(a, dir, arena_str(a, path).p));
}

static int tls_version(const char *name)
{
        return !name || !*name ? 0 : 0x0301 + (name[4] - '0');          /* TLS10 … TLS13, checked before */
}

static struct error *http_build(struct arena *a, const char *dir, struct file_http *h, struct http_client_conf *ret)
{
        h->basic.username_file = path_resolve(a, dir, h->basic.username_file);
        h->basic.password_file = path_resolve(a, dir, h->basic.password_file);
        h->authorization.credentials_file = path_resolve(a, dir, h->authorization.credentials_file);
        h->tls.ca_file = path_resolve(a, dir, h->tls.ca_file);
        h->tls.cert_file = path_resolve(a, dir, h->tls.cert_file);
        h->tls.key_file = path_resolve(a, dir, h->tls.key_file);
        *ret = (struct http_client_conf){
                .tls = {.ca = h->tls.ca, .ca_file = h->tls.ca_file, .cert = h->tls.cert, .cert_file = h->tls.cert_file, .key = h->tls.key, .key_file = h->tls.key_file,
                        .server_name = h->tls.server_name, .insecure_skip_verify = h->tls.insecure_skip_verify, .min_version = tls_version(h->tls.min_version),
                        .max_version = tls_version(h->tls.max_version)},
                .no_follow_redirects = !h->follow_redirects,
                .no_http2 = !h->enable_http2,
                .proxy_url = h->proxy_url,
                .no_proxy = h->no_proxy,
                .proxy_from_environment = h->proxy_from_environment,
        };
        if (h->has_basic_auth) {
                ret->basic_username = h->basic.username ? h->basic.username : "";
                ret->basic_username_file = h->basic.username_file;
                ret->basic_password = h->basic.password;
                ret->basic_password_file = h->basic.password_file;
        }
        if (h->has_authorization) {
                ret->auth_type = h->authorization.type;
                ret->auth_credentials = h->authorization.credentials;
                ret->auth_credentials_file = h->authorization.credentials_file;
        }
        size_t n = 0;
        for (size_t i = 0; i < h->n_headers; i++)
                n += h->headers[i].values.n + h->headers[i].secrets.n + h->headers[i].files.n;
        ret->headers = arena_zalloc(a, arena_array_bytes(n + 1, sizeof *ret->headers));
        for (size_t i = 0; i < h->n_headers; i++) {
                struct file_header *in = &h->headers[i];
                const char *name = arena_str(a, in->name).p;
                for (size_t k = 0; k < in->values.n; k++)
                        ret->headers[ret->n_headers++] = (struct http_client_header){.name = name, .value = arena_str(a, in->values.v[k]).p};
                for (size_t k = 0; k < in->secrets.n; k++)
                        ret->headers[ret->n_headers++] = (struct http_client_header){.name = name, .value = arena_str(a, in->secrets.v[k]).p};
                for (size_t k = 0; k < in->files.n; k++) {
                        Str path = str_resolve(a, dir, in->files.v[k]);
                        ((Str *)in->files.v)[k] = path;
                        ret->headers[ret->n_headers++] = (struct http_client_header){.name = name, .file = path.p};
                }
        }
        return NULL;
}

struct error *relabel_build(struct arena *a, const struct conf_list *in, bool utf8, const struct relabel_rule **ret, size_t *ret_n)
{
        struct relabel_rule *v = arena_zalloc(a, arena_array_bytes(in->n + 1, sizeof *v));
        *ret = v;
        for (size_t i = 0; i < in->n; i++) {
                const struct file_relabel *r = (const struct file_relabel *)in->v + i;
                v[i] = (struct relabel_rule){
                        .source_labels = r->source_labels.v, .n_source = r->source_labels.n, .separator = r->separator, .regex = r->regex, .modulus = r->modulus,
                        .target_label = r->target_label, .replacement = r->replacement, .utf8_names = utf8,
                        .has_separator = true, .has_regex = r->regex.p != NULL, .has_replacement = true, .has_action = true,
                };
                if (!relabel_action_parse(r->action, &v[i].action))
                        bug("relabel action " STR_FMT " was checked before", STR_ARG(r->action));
                struct error *e = relabel_rule_check(&v[i]);
                if (e)
                        return e;
                *ret_n = i + 1;
        }
        return NULL;
}

static enum dns_type dns_type_of(Str s)
{
        static const struct {
                const char *name;
                enum dns_type type;
        } types[] = {{"A", DNS_A}, {"AAAA", DNS_AAAA}, {"SRV", DNS_SRV}, {"MX", DNS_MX}, {"NS", DNS_NS}};
        for (size_t i = 0; i < ARRAY_LEN(types); i++) {
                if (str_eq_nocase(s, str_from(types[i].name)))
                        return types[i].type;
        }
        bug("record type " STR_FMT " was checked before", STR_ARG(s));
}

static void discovery_build(struct arena *a, const char *dir, struct file_sd *s, struct discovery_conf *ret)
{
        struct static_sd_conf *statics = arena_zalloc(a, arena_array_bytes(s->statics.n + 1, sizeof *statics));
        struct file_sd_conf *files = arena_zalloc(a, arena_array_bytes(s->file_sd.n + 1, sizeof *files));
        struct dns_sd_conf *dns = arena_zalloc(a, arena_array_bytes(s->dns_sd.n + 1, sizeof *dns));
        for (size_t i = 0; i < s->statics.n; i++) {
                const struct file_static *f = (const struct file_static *)s->statics.v + i;
                statics[i] = (struct static_sd_conf){f->targets.v, f->targets.n, f->labels};
        }
        for (size_t i = 0; i < s->file_sd.n; i++) {
                struct file_file_sd *f = (struct file_file_sd *)s->file_sd.v + i;
                Str *paths = arena_array(a, Str, f->files.n + 1);
                for (size_t k = 0; k < f->files.n; k++)
                        paths[k] = str_resolve(a, dir, f->files.v[k]);
                f->files.v = paths;
                files[i] = (struct file_sd_conf){paths, f->files.n, f->refresh_ms};
        }
        for (size_t i = 0; i < s->dns_sd.n; i++) {
                const struct file_dns_sd *f = (const struct file_dns_sd *)s->dns_sd.v + i;
                dns[i] = (struct dns_sd_conf){f->names.v, f->names.n, dns_type_of(f->type), f->port, f->refresh_ms};
        }
        *ret = (struct discovery_conf){statics, s->statics.n, files, s->file_sd.n, dns, s->dns_sd.n};
}

struct error *scrape_conf_build(struct arena *a, const char *dir, struct file_scrape *s, struct scrape_conf *ret)
{
        s->failure_log_file = path_resolve(a, dir, s->failure_log_file);
        *ret = scrape_conf_defaults;
        ret->job_name = s->job_name;
        ret->interval_ms = s->interval_ms;
        ret->timeout_ms = s->timeout_ms;
        ret->metrics_path = s->metrics_path;
        ret->scheme = s->scheme;
        ret->params = s->params;
        ret->n_params = s->n_params;
        ret->honor_labels = s->honor_labels;
        ret->honor_timestamps = s->honor_timestamps;
        ret->track_timestamps_staleness = s->track_timestamps_staleness;
        ret->n_protocols = 0;
        for (size_t i = 0; i < s->protocols.n; i++) {
                if (!scrape_protocol_parse(s->protocols.v[i], &ret->protocols[ret->n_protocols++]))
                        bug("protocol " STR_FMT " was checked before", STR_ARG(s->protocols.v[i]));
        }
        ret->fallback_protocol = SCRAPE_PROTOCOL_NONE;
        if (s->fallback_protocol.n && !scrape_protocol_parse(s->fallback_protocol, &ret->fallback_protocol))
                bug("protocol " STR_FMT " was checked before", STR_ARG(s->fallback_protocol));
        ret->enable_compression = s->enable_compression;
        ret->extra_scrape_metrics = s->extra_metrics == TRI_TRUE;
        ret->body_size_limit_bytes = s->body_size_limit_bytes;
        ret->sample_limit = s->sample_limit;
        ret->target_limit = s->target_limit;
        ret->label_limit = s->label_limit;
        ret->label_name_length_limit = s->label_name_length_limit;
        ret->label_value_length_limit = s->label_value_length_limit;
        ret->keep_dropped_targets = s->keep_dropped_targets;
        bool utf8 = str_eq(s->validation_scheme, STR("utf8"));
        ret->name_validation = utf8 ? NAME_VALIDATION_UTF8 : NAME_VALIDATION_LEGACY;
        if (!name_escaping_parse(s->escaping_scheme, &ret->name_escaping))
                bug("escaping " STR_FMT " was checked before", STR_ARG(s->escaping_scheme));
        ret->failure_log_file = s->failure_log_file && *s->failure_log_file ? s->failure_log_file : NULL;
        ret->scrape_native_histograms = s->native == TRI_TRUE;
        ret->convert_classic_histograms_to_nhcb = s->nhcb == TRI_TRUE;
        ret->always_scrape_classic_histograms = s->classic == TRI_TRUE;
        ret->native_histogram_bucket_limit = s->bucket_limit;
        ret->native_histogram_min_bucket_factor = s->min_bucket_factor;
        discovery_build(a, dir, &s->sd, &ret->discovery);
        struct error *e = http_build(a, dir, &s->http, &ret->http);
        if (!e)
                e = relabel_build(a, &s->relabel, utf8, &ret->relabel, &ret->n_relabel);
        if (!e)
                e = relabel_build(a, &s->metric_relabel, utf8, &ret->metric_relabel, &ret->n_metric_relabel);
        return e;
}

void scrape_conf_release(struct scrape_conf *c)
{
        for (size_t i = 0; i < c->n_relabel; i++)
                relabel_rule_done((struct relabel_rule *)&c->relabel[i]);
        for (size_t i = 0; i < c->n_metric_relabel; i++)
                relabel_rule_done((struct relabel_rule *)&c->metric_relabel[i]);
}

/* ---- alerting ---- */

static void rules_release(const struct relabel_rule *v, size_t n)
{
        for (size_t i = 0; i < n; i++)
                relabel_rule_done((struct relabel_rule *)&v[i]);
}

/* What is printed of it, and the secrets that are not: a new password is a new client. */
static uint64_t alertmanager_hash(const struct file_alertmanager *f)
{
        struct buf b = BUF_INIT(64 << 20);
        const char *const secrets[] = {f->http.basic.password, f->http.authorization.credentials, f->http.tls.key};
        conf_print(&b, &file_alertmanager_schema, f, 0);
        for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
                buf_puts(&b, secrets[i] ? secrets[i] : "");
                buf_putc(&b, '\0');
        }
        for (size_t i = 0; i < f->http.n_headers; i++) {
                for (size_t k = 0; k < f->http.headers[i].secrets.n; k++)
                        buf_put(&b, f->http.headers[i].secrets.v[k]);
        }
        uint64_t hash = hash_str(buf_str(&b));
        buf_done(&b);
        return hash;
}

struct error *notify_conf_build(struct arena *a, const char *dir, struct file_alerting *f, bool utf8, struct built_alerting *ret)
{
        struct notify_set_conf *sets = arena_zalloc(a, arena_array_bytes(f->alertmanagers.n + 1, sizeof *sets));
        struct discovery_conf *discovery = arena_zalloc(a, arena_array_bytes(f->alertmanagers.n + 1, sizeof *discovery));
        *ret = (struct built_alerting){.sets = sets, .discovery = discovery};
        struct error *e = relabel_build(a, &f->alert_relabel, utf8, &ret->alert_relabel, &ret->n_alert_relabel);
        for (size_t i = 0; !e && i < f->alertmanagers.n; i++) {
                struct file_alertmanager *m = (struct file_alertmanager *)f->alertmanagers.v + i;
                ret->n_sets = i + 1;
                sets[i] = (struct notify_set_conf){.scheme = m->scheme, .path_prefix = m->path_prefix, .timeout_ms = m->timeout_ms};
                discovery_build(a, dir, &m->sd, &discovery[i]);
                e = http_build(a, dir, &m->http, &sets[i].http);
                if (!e)
                        e = relabel_build(a, &m->relabel, utf8, &sets[i].relabel, &sets[i].n_relabel);
                if (!e)
                        e = relabel_build(a, &m->alert_relabel, utf8, &sets[i].alert_relabel, &sets[i].n_alert_relabel);
                sets[i].hash = alertmanager_hash(m);
        }
        return e;
}

void notify_conf_release(struct built_alerting *b)
{
        rules_release(b->alert_relabel, b->n_alert_relabel);
        for (size_t i = 0; i < b->n_sets; i++) {
                rules_release(b->sets[i].relabel, b->sets[i].n_relabel);
                rules_release(b->sets[i].alert_relabel, b->sets[i].n_alert_relabel);
        }
}
