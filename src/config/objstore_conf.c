/* SPDX-License-Identifier: Apache-2.0 */
#include "config/objstore_conf.h"

#include <stdlib.h>

#include "codec/quote.h"
#include "config/schema.h"
#include "objstore/s3.h"

enum { OBJSTORE_CONF_BYTES_MAX = 1 << 20, OBJSTORE_CONF_MEMORY_MAX = 64 << 20 };

struct file_s3_tls {
        const char *ca_file, *cert_file, *key_file, *server_name;
        bool insecure_skip_verify; /* the one outside of this block wins, as upstream has it */
};
struct file_s3_http {
        int64_t idle_conn_timeout_ms, response_header_timeout_ms, tls_handshake_timeout_ms, expect_continue_timeout_ms;
        bool insecure_skip_verify, disable_compression;
        int max_idle_conns, max_idle_conns_per_host, max_conns_per_host;
        struct file_s3_tls tls;
};
struct file_s3 {
        struct s3_opts o;
        int max_retries;
        const char *list_version;
        const char *lookup;
        struct file_s3_http http;
        bool trace;
};

/* --- the schemas --- */

#define AT(field)   offsetof(struct file_s3, field)
#define TLS(field)  offsetof(struct file_s3_tls, field)
#define HTTP(field) offsetof(struct file_s3_http, field)

static const struct conf_field tls_fields[] = {
        {"ca_file", CONF_CSTR, TLS(ca_file)},
        {"cert_file", CONF_CSTR, TLS(cert_file)},
        {"key_file", CONF_CSTR, TLS(key_file)},
        {"server_name", CONF_CSTR, TLS(server_name)},
        {"insecure_skip_verify", CONF_BOOL, TLS(insecure_skip_verify)},
};
static const struct conf_schema tls_schema = {"exthttp.TLSConfig", tls_fields, ARRAY_LEN(tls_fields),
                                              sizeof(struct file_s3_tls)};

static const struct conf_field http_fields[] = {
        {"idle_conn_timeout", CONF_DURATION, HTTP(idle_conn_timeout_ms)},
        {"response_header_timeout", CONF_DURATION, HTTP(response_header_timeout_ms)},
        {"insecure_skip_verify", CONF_BOOL, HTTP(insecure_skip_verify)},
        {"tls_handshake_timeout", CONF_DURATION, HTTP(tls_handshake_timeout_ms)},
        {"expect_continue_timeout", CONF_DURATION, HTTP(expect_continue_timeout_ms)},
        {"max_idle_conns", CONF_INT32, HTTP(max_idle_conns)},
        {"max_idle_conns_per_host", CONF_INT32, HTTP(max_idle_conns_per_host)},
        {"max_conns_per_host", CONF_INT32, HTTP(max_conns_per_host)},
        {"tls_config", CONF_STRUCT, HTTP(tls), .sub = &tls_schema},
        {"disable_compression", CONF_BOOL, HTTP(disable_compression)},
};
static const struct file_s3_http http_defaults = {.response_header_timeout_ms = 120000};
static const struct conf_schema http_schema = {"exthttp.HTTPConfig", http_fields, ARRAY_LEN(http_fields),
                                               sizeof(struct file_s3_http), .defaults = &http_defaults};

static const struct conf_field trace_fields[] = {{"enable", CONF_BOOL, 0}};
static const struct conf_schema trace_schema = {"s3.TraceConfig", trace_fields, ARRAY_LEN(trace_fields), sizeof(bool)};

/* Each key is refused by its name where it says something; the block alone is fine. */
static const struct conf_field sse_fields[] = {
        {"type", CONF_REFUSED, .note = ""},
        {"kms_key_id", CONF_REFUSED, .note = ""},
        {"kms_encryption_context", CONF_REFUSED},
        {"encryption_key", CONF_REFUSED, .note = ""},
};
static const struct conf_schema sse_schema = {"s3.SSEConfig", sse_fields, ARRAY_LEN(sse_fields), 0};

static struct error *sse_decode(struct conf_decoder *d, const struct yaml *y, void *at)
{
        char none;
        (void)at;
        struct error *e = conf_decode(d, &sse_schema, y, &none);
        return e ? error_wrap(e, "sse_config") : NULL;
}

/* Not given is not true: then it is sent where the store asks for it. */
static struct error *md5_decode(struct conf_decoder *d, const struct yaml *y, void *at)
{
        struct s3_opts *o = at;
        bool flag;
        if (yaml_is_null(y))
                return NULL;
        if (y->type != YAML_SCALAR || !yaml_to_bool(y, &flag))
                conf_type_error(d, y, "bool");
        else
                o->content_md5 = flag ? S3_MD5_ALWAYS : S3_MD5_NEVER;
        return NULL;
}

static struct error *metadata_decode(struct conf_decoder *d, const struct yaml *y, void *at)
{
        struct s3_opts *o = at;
        if (yaml_is_null(y))
                return NULL;
        if (y->type != YAML_MAP) {
                conf_type_error(d, y, "map[string]string");
                return NULL;
        }
        struct http_header *h = arena_array(d->arena, struct http_header, y->n + 1);
        size_t n = 0;
        for (size_t i = 0; i < y->n; i++) {
                if (conf_key_is_again(d, y, i))
                        continue;
                if (y->items[i]->type != YAML_SCALAR)
                        conf_type_error(d, y->items[i], "string");
                else
                        h[n++] = (struct http_header){y->keys[i]->text,
                                                      yaml_is_null(y->items[i]) ? STR("") : y->items[i]->text};
        }
        o->metadata = h;
        o->n_metadata = n;
        return NULL;
}

static struct error *s3_check(struct conf_decoder *d, const struct yaml *y, void *object)
{
        struct file_s3 *s = object;
        Str lookup = str_from(s->lookup), version = str_from(s->list_version);
        (void)d;
        (void)y;
        if (str_eq(lookup, STR("virtual-hosted")))
                s->o.lookup = S3_LOOKUP_VIRTUAL_HOST;
        else if (str_eq(lookup, STR("path")))
                s->o.lookup = S3_LOOKUP_PATH;
        else if (s->lookup && !str_eq(lookup, STR("auto")))
                return error_new(ERROR_INVALID, "unsupported bucket lookup type: %s", s->lookup);
        if (version.n && !str_eq(version, STR("v1")) && !str_eq(version, STR("v2")))
                return error_new(ERROR_INVALID,
                                 "Initialize s3 client list objects version: Unsupported version \"%s\" was provided. "
                                 "Supported values are v1, v2",
                                 s->list_version);
        s->o.list_v1 = str_eq(version, STR("v1"));
        s->o.trace = s->trace;
        s->o.max_tries = s->max_retries;
        s->o.tls = (struct tls_client_opts){.ca_file = s->http.tls.ca_file,
                                            .cert_file = s->http.tls.cert_file,
                                            .key_file = s->http.tls.key_file,
                                            .server_name = s->http.tls.server_name,
                                            .insecure_skip_verify = s->http.insecure_skip_verify};
        s->o.response_header_timeout_ms = s->http.response_header_timeout_ms;
        s->o.connections_max = s->http.max_conns_per_host;
        return NULL;
}

static const struct conf_field s3_fields[] = {
        {"bucket", CONF_CSTR, AT(o.bucket)},
        {"endpoint", CONF_CSTR, AT(o.endpoint)},
        {"region", CONF_CSTR, AT(o.region)},
        {"disable_dualstack", CONF_BOOL, AT(o.disable_dualstack)},
        {"aws_sdk_auth", CONF_REFUSED, .note = "false"},
        {"access_key", CONF_CSTR, AT(o.access_key)},
        {"insecure", CONF_BOOL, AT(o.insecure)},
        {"signature_version2", CONF_REFUSED, .note = "false"},
        {"secret_key", CONF_CSTR, AT(o.secret_key)},
        {"session_token", CONF_CSTR, AT(o.session_token)},
        {"put_user_metadata", CONF_CUSTOM, AT(o), .decode = metadata_decode},
        {"http_config", CONF_STRUCT, AT(http), .sub = &http_schema},
        {"trace", CONF_STRUCT, AT(trace), .sub = &trace_schema},
        {"list_objects_version", CONF_CSTR, AT(list_version)},
        {"bucket_lookup_type", CONF_CSTR, AT(lookup)},
        {"send_content_md5", CONF_CUSTOM, AT(o), .decode = md5_decode},
        {"disable_multipart", CONF_BOOL, AT(o.disable_multipart)},
        {"part_size", CONF_UINT, AT(o.part_size_bytes)},
        {"sse_config", CONF_CUSTOM, 0, .decode = sse_decode},
        {"sts_endpoint", CONF_REFUSED, .note = ""},
        {"max_retries", CONF_INT32, AT(max_retries)},
};
static const struct file_s3 s3_defaults = {.http = {.response_header_timeout_ms = 120000}};
static const struct conf_schema s3_schema = {
        "s3.Config",      s3_fields, ARRAY_LEN(s3_fields), sizeof(struct file_s3), .defaults = &s3_defaults,
        .check = s3_check};

struct file_filesystem {
        const char *directory;
};
static const struct conf_field filesystem_fields[] = {
        {"directory", CONF_CSTR, offsetof(struct file_filesystem, directory)}};
static const struct conf_schema filesystem_schema = {"filesystem.Config", filesystem_fields,
                                                     ARRAY_LEN(filesystem_fields), sizeof(struct file_filesystem)};

/* config: is decoded when the type is known. */
struct file_bucket {
        Str type, prefix;
        const struct yaml *config;
};

static struct error *config_decode(struct conf_decoder *d, const struct yaml *y, void *at)
{
        (void)d;
        *(const struct yaml **)at = y;
        return NULL;
}

static const struct conf_field bucket_fields[] = {
        {"type", CONF_STR, offsetof(struct file_bucket, type)},
        {"config", CONF_CUSTOM, offsetof(struct file_bucket, config), .decode = config_decode},
        {"prefix", CONF_STR, offsetof(struct file_bucket, prefix)},
};
static const struct conf_schema bucket_schema = {"client.BucketConfig", bucket_fields, ARRAY_LEN(bucket_fields),
                                                 sizeof(struct file_bucket)};

/* --- opening --- */

static bool is_env_char(char c)
{
        return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

struct error *objstore_conf_expand(Str text, struct buf *ret)
{
        while (text.n) {
                size_t n = 2;
                if (str_has_prefix(text, STR("$(")))
                        while (n < text.n && is_env_char(text.p[n]))
                                n++;
                if (n == 2 || n >= text.n || text.p[n] != ')') {
                        buf_putc(ret, text.p[0]);
                        text = str_skip(text, 1);
                        continue;
                }
                char *name = str_dup(str_sub(text, 2, n));
                const char *v = getenv(name);
                struct error *e =
                        v ? NULL
                          : error_new(ERROR_INVALID, "found reference to unset environment variable \"%s\"", name);
                free(name);
                if (e)
                        return e;
                buf_puts(ret, v);
                text = str_skip(text, n + 1);
        }
        return buf_is_over(ret) ? error_new(ERROR_LIMIT, "bucket configuration is larger than %zu bytes", ret->limit)
                                : NULL;
}

static struct error *decode(struct arena *a, const struct conf_schema *s, const struct yaml *y, void *object)
{
        struct conf_decoder d;
        conf_decoder_init(&d, a);
        struct error *e = conf_decode(&d, s, y, object);
        struct error *types = conf_decoder_finish(&d);
        if (!e)
                return types;
        error_free(types);
        return e;
}

static struct error *open_s3(struct arena *a, const struct yaml *y, struct bucket **ret)
{
        struct file_s3 s;
        struct error *e = decode(a, &s3_schema, y, &s);
        return e ? e : s3_bucket_new(&s.o, ret);
}

static struct error *open_filesystem(struct arena *a, const struct yaml *y, struct bucket **ret)
{
        struct file_filesystem f;
        struct error *e = decode(a, &filesystem_schema, y, &f);
        return e ? e : filesystem_bucket_new(f.directory, ret);
}

static struct error *open_type(struct arena *a, const struct file_bucket *f, struct bucket **ret)
{
        static const Str later[] = {STR_INIT("GCS"),       STR_INIT("AZURE"), STR_INIT("SWIFT"), STR_INIT("COS"),
                                    STR_INIT("ALIYUNOSS"), STR_INIT("BOS"),   STR_INIT("OCI"),   STR_INIT("OBS")};
        struct error *e;
        if (str_eq_nocase(f->type, STR("S3")))
                e = open_s3(a, f->config, ret);
        else if (str_eq_nocase(f->type, STR("FILESYSTEM")))
                e = open_filesystem(a, f->config, ret);
        else {
                for (size_t i = 0; i < ARRAY_LEN(later); i++)
                        if (str_eq_nocase(f->type, later[i]))
                                return error_new(ERROR_UNSUPPORTED, "bucket with type " STR_FMT " is not supported yet",
                                                 STR_ARG(f->type));
                return error_new(ERROR_INVALID, "bucket with type " STR_FMT " is not supported", STR_ARG(f->type));
        }
        return e ? error_wrap(e, "create " STR_FMT " client", STR_ARG(f->type)) : NULL;
}

struct error *objstore_conf_open(Str text, struct metric_registry *r, struct bucket **ret)
{
        struct arena a;
        struct buf expanded = BUF_INIT(OBJSTORE_CONF_BYTES_MAX);
        struct yaml *root = NULL;
        struct file_bucket f = {0};
        struct bucket *b = NULL;
        arena_init(&a, OBJSTORE_CONF_MEMORY_MAX);
        struct error *e = objstore_conf_expand(text, &expanded);
        if (!e) {
                e = yaml_parse_with_duplicates(buf_str(&expanded), &a, &root);
                if (!e)
                        e = decode(&a, &bucket_schema, root, &f);
                if (e)
                        e = error_wrap(e, "parsing config YAML file");
        }
        if (!e)
                e = open_type(&a, &f, &b);
        if (!e) {
                b = prefix_bucket_new(b, f.prefix);
                *ret = r ? metrics_bucket_new(b, r) : b;
        }
        buf_done(&expanded);
        arena_done(&a);
        return e;
}
