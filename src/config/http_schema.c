/* SPDX-License-Identifier: Apache-2.0 */
/* http_schema.c — the HTTP client block: keys, checks, printing.  Upstream: prometheus/common config/http_config.go */
#include <strings.h>

#include "config/file_conf.h"

typedef struct file_http H;

const struct file_http file_http_defaults = {.follow_redirects = true, .enable_http2 = true};

static const struct conf_field basic_fields[] = {
        {"username", CONF_CSTR, offsetof(H, basic.username) - offsetof(H, basic), CONF_OMIT_EMPTY},
        {"username_file", CONF_CSTR, offsetof(H, basic.username_file) - offsetof(H, basic), CONF_OMIT_EMPTY},
        {"username_ref", CONF_REFUSED},
        {"password", CONF_CSTR, offsetof(H, basic.password) - offsetof(H, basic), CONF_OMIT_EMPTY | CONF_SECRET},
        {"password_file", CONF_CSTR, offsetof(H, basic.password_file) - offsetof(H, basic), CONF_OMIT_EMPTY},
        {"password_ref", CONF_REFUSED},
};
static const struct conf_schema basic_schema = {"config.BasicAuth", basic_fields, ARRAY_LEN(basic_fields), sizeof(((H *)0)->basic)};

static const struct conf_field authorization_fields[] = {
        {"type", CONF_CSTR, offsetof(H, authorization.type) - offsetof(H, authorization), CONF_OMIT_EMPTY},
        {"credentials", CONF_CSTR, offsetof(H, authorization.credentials) - offsetof(H, authorization), CONF_OMIT_EMPTY | CONF_SECRET},
        {"credentials_file", CONF_CSTR, offsetof(H, authorization.credentials_file) - offsetof(H, authorization), CONF_OMIT_EMPTY},
        {"credentials_ref", CONF_REFUSED},
};
static const struct conf_schema authorization_schema = {"config.Authorization", authorization_fields, ARRAY_LEN(authorization_fields),
                                                        sizeof(((H *)0)->authorization)};

/* Pointers of the original: given or not, also when empty. */
static struct error *basic_decode(struct conf_decoder *d, const struct yaml *y, void *at)
{
        H *h = CONTAINER_OF(at, H, has_basic_auth);
        h->has_basic_auth = !yaml_is_null(y);
        return conf_decode(d, &basic_schema, y, &h->basic);
}

static struct error *authorization_decode(struct conf_decoder *d, const struct yaml *y, void *at)
{
        H *h = CONTAINER_OF(at, H, has_authorization);
        h->has_authorization = !yaml_is_null(y);
        return conf_decode(d, &authorization_schema, y, &h->authorization);
}

static void print_given(struct buf *b, const char *key, const struct conf_schema *s, const void *object, int indent)
{
        conf_put_indent(b, indent);
        size_t at = b->n;
        buf_printf(b, "%s:\n", key);
        size_t body = b->n;
        conf_print(b, s, object, indent + 2);
        if (b->n == body && !buf_is_over(b)) {
                b->n = at;
                buf_printf(b, "%s: {}\n", key);
        }
}

static void basic_print(struct buf *b, const char *key, const void *at, int indent)
{
        const H *h = CONTAINER_OF(at, H, has_basic_auth);
        if (h->has_basic_auth)
                print_given(b, key, &basic_schema, &h->basic, indent);
}

static void authorization_print(struct buf *b, const char *key, const void *at, int indent)
{
        const H *h = CONTAINER_OF(at, H, has_authorization);
        if (h->has_authorization)
                print_given(b, key, &authorization_schema, &h->authorization, indent);
}

typedef struct file_tls T;
static const struct conf_field tls_fields[] = {
        {"ca", CONF_CSTR, offsetof(T, ca), CONF_OMIT_EMPTY},
        {"cert", CONF_CSTR, offsetof(T, cert), CONF_OMIT_EMPTY},
        {"key", CONF_CSTR, offsetof(T, key), CONF_OMIT_EMPTY | CONF_SECRET},
        {"ca_file", CONF_CSTR, offsetof(T, ca_file), CONF_OMIT_EMPTY},
        {"cert_file", CONF_CSTR, offsetof(T, cert_file), CONF_OMIT_EMPTY},
        {"key_file", CONF_CSTR, offsetof(T, key_file), CONF_OMIT_EMPTY},
        {"ca_ref", CONF_REFUSED},
        {"cert_ref", CONF_REFUSED},
        {"key_ref", CONF_REFUSED},
        {"server_name", CONF_CSTR, offsetof(T, server_name), CONF_OMIT_EMPTY},
        {"insecure_skip_verify", CONF_BOOL, offsetof(T, insecure_skip_verify)},
        {"min_version", CONF_CSTR, offsetof(T, min_version), CONF_OMIT_EMPTY},
        {"max_version", CONF_CSTR, offsetof(T, max_version), CONF_OMIT_EMPTY},
};

static bool is_given(const char *s)
{
        return s && *s;
}

static struct error *tls_check(struct conf_decoder *d, const struct yaml *y, void *object)
{
        const T *t = object;
        if (is_given(t->ca) && is_given(t->ca_file))
                return error_new(ERROR_INVALID, "at most one of ca, ca_file & ca_ref must be configured");
        if (is_given(t->cert) && is_given(t->cert_file))
                return error_new(ERROR_INVALID, "at most one of cert, cert_file & cert_ref must be configured");
        if (is_given(t->key) && is_given(t->key_file))
                return error_new(ERROR_INVALID, "at most one of key and key_file must be configured");
        bool cert = is_given(t->cert) || is_given(t->cert_file), key = is_given(t->key) || is_given(t->key_file);
        if (cert && !key)
                return error_new(ERROR_INVALID, "exactly one of key or key_file must be configured when a client certificate is configured");
        if (key && !cert)
                return error_new(ERROR_INVALID, "exactly one of cert or cert_file must be configured when a client key is configured");
        for (int i = 0; i < 2; i++) {
                const char *v = i ? t->max_version : t->min_version;
                static const char *const known[] = {"TLS10", "TLS11", "TLS12", "TLS13"};
                bool ok = !is_given(v);
                for (size_t k = 0; !ok && k < ARRAY_LEN(known); k++)
                        ok = strcmp(v, known[k]) == 0;
                if (!ok)
                        return error_new(ERROR_INVALID, "unknown TLS version: %s", v);
        }
        return NULL;
}
static const struct conf_schema tls_schema = {"config.plain", tls_fields, ARRAY_LEN(tls_fields), sizeof(T), .check = tls_check};

static struct error *tls_decode(struct conf_decoder *d, const struct yaml *y, void *at)
{
        return conf_decode(d, &tls_schema, y, at);
}

/* The original leaves the block out when all of it is zero. */
static void tls_print(struct buf *b, const char *key, const void *at, int indent)
{
        static const T zero;
        if (memcmp(at, &zero, sizeof zero) != 0)
                print_given(b, key, &tls_schema, at, indent);
}

static const struct conf_field header_fields[] = {
        {"values", CONF_STRS, offsetof(struct file_header, values), CONF_OMIT_EMPTY},
        {"secrets", CONF_STRS, offsetof(struct file_header, secrets), CONF_OMIT_EMPTY},
        {"files", CONF_STRS, offsetof(struct file_header, files), CONF_OMIT_EMPTY},
};
static const struct conf_schema header_schema = {"config.Header", header_fields, ARRAY_LEN(header_fields), sizeof(struct file_header)};

static struct error *headers_decode(struct conf_decoder *d, const struct yaml *y, void *at)
{
        static const char *const reserved[] = {"Authorization", "Host", "Content-Encoding", "Content-Length", "Content-Type", "User-Agent",
                                               "Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization", "Www-Authenticate",
                                               "Accept-Encoding", "X-Prometheus-Remote-Write-Version", "X-Prometheus-Remote-Read-Version",
                                               "X-Prometheus-Scrape-Timeout-Seconds", "X-Amz-Date", "X-Amz-Security-Token", "X-Amz-Content-Sha256"};
        H *h = CONTAINER_OF(at, H, headers);
        if (yaml_is_null(y))
                return NULL;
        if (y->type != YAML_MAP) {
                conf_type_error(d, y, "map[string]config.Header");
                return NULL;
        }
        h->headers = arena_zalloc(d->arena, arena_array_bytes(y->n + 1, sizeof *h->headers));
        for (size_t i = 0; i < y->n; i++) {
                if (conf_key_is_again(d, y, i))
                        continue;
                struct file_header *one = &h->headers[h->n_headers++];
                Str name = y->keys[i]->text;
                for (size_t k = 0; k < ARRAY_LEN(reserved); k++) {
                        if (str_eq_nocase(name, str_from(reserved[k])))
                                return error_new(ERROR_INVALID, "setting header \"%s\" is not allowed", reserved[k]);
                }
                struct error *e = conf_decode(d, &header_schema, y->items[i], one);
                if (e)
                        return e;
                one->name = name;
        }
        return NULL;
}

static int header_cmp(const void *a, const void *b)
{
        return str_cmp(((const struct file_header *)a)->name, ((const struct file_header *)b)->name);
}

static void headers_print(struct buf *b, const char *key, const void *at, int indent)
{
        const H *h = CONTAINER_OF(at, H, headers);
        if (h->n_headers == 0)
                return;
        conf_put_indent(b, indent);
        buf_printf(b, "%s:\n", key);
        for (size_t i = 0; i < h->n_headers; i++) {
                struct file_header one = h->headers[i];
                Str hidden[64];
                for (size_t k = 0; k < ARRAY_LEN(hidden); k++)
                        hidden[k] = STR("<secret>");
                one.secrets = (struct conf_strs){hidden, MIN(one.secrets.n, ARRAY_LEN(hidden))};
                conf_put_indent(b, indent + 2);
                yaml_put_scalar(b, one.name);
                buf_puts(b, ":\n");
                conf_print(b, &header_schema, &one, indent + 4);
        }
}

static const struct conf_field http_fields[] = {
        {"basic_auth", CONF_CUSTOM, offsetof(H, has_basic_auth), .decode = basic_decode, .print = basic_print},
        {"authorization", CONF_CUSTOM, offsetof(H, has_authorization), .decode = authorization_decode, .print = authorization_print},
        {"oauth2", CONF_REFUSED},
        {"bearer_token", CONF_CSTR, offsetof(H, bearer_token), CONF_OMIT_EMPTY | CONF_SECRET},
        {"bearer_token_file", CONF_CSTR, offsetof(H, bearer_token_file), CONF_OMIT_EMPTY},
        {"tls_config", CONF_CUSTOM, offsetof(H, tls), .decode = tls_decode, .print = tls_print},
        {"follow_redirects", CONF_BOOL, offsetof(H, follow_redirects)},
        {"enable_http2", CONF_BOOL, offsetof(H, enable_http2)},
        {"proxy_url", CONF_CSTR, offsetof(H, proxy_url), CONF_OMIT_EMPTY},
        {"no_proxy", CONF_CSTR, offsetof(H, no_proxy), CONF_OMIT_EMPTY},
        {"proxy_from_environment", CONF_BOOL, offsetof(H, proxy_from_environment), CONF_OMIT_EMPTY},
        {"proxy_connect_header", CONF_REFUSED},
        {"http_headers", CONF_CUSTOM, offsetof(H, headers), .decode = headers_decode, .print = headers_print},
};

static struct error *http_check(struct conf_decoder *d, const struct yaml *y, void *object)
{
        H *h = object;
        bool token = is_given(h->bearer_token), token_file = is_given(h->bearer_token_file);
        const char *text = NULL;
        if (token && token_file)
                text = "at most one of bearer_token & bearer_token_file must be configured";
        else if (h->has_basic_auth && (token || token_file))
                text = "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured";
        else if (is_given(h->basic.username) && is_given(h->basic.username_file))
                text = "at most one of basic_auth username, username_file & username_ref must be configured";
        else if (is_given(h->basic.password) && is_given(h->basic.password_file))
                text = "at most one of basic_auth password, password_file & password_ref must be configured";
        else if (h->has_authorization && (token || token_file))
                text = "authorization is not compatible with bearer_token & bearer_token_file";
        else if (is_given(h->authorization.credentials) && is_given(h->authorization.credentials_file))
                text = "at most one of authorization credentials & credentials_file must be configured";
        else if (h->has_authorization && h->authorization.type && strcasecmp(h->authorization.type, "basic") == 0)
                text = "authorization type cannot be set to \"basic\", use \"basic_auth\" instead";
        else if (h->has_authorization && h->has_basic_auth)
                text = "at most one of basic_auth, oauth2 & authorization must be configured";
        else if (h->proxy_from_environment && is_given(h->proxy_url))
                text = "if proxy_from_environment is configured, proxy_url must not be configured";
        else if (h->proxy_from_environment && is_given(h->no_proxy))
                text = "if proxy_from_environment is configured, no_proxy must not be configured";
        else if (is_given(h->no_proxy) && !is_given(h->proxy_url))
                text = "if no_proxy is configured, proxy_url must also be configured";
        if (text)
                return error_new(ERROR_INVALID, "%s", text);
        if (token || token_file) {
                h->has_authorization = true;
                h->authorization.credentials = h->bearer_token;
                h->authorization.credentials_file = h->bearer_token_file;
                h->bearer_token = h->bearer_token_file = NULL;
        }
        if (h->has_authorization) {
                Str type = str_trim(str_from(h->authorization.type));
                h->authorization.type = type.n ? arena_str(d->arena, type).p : "Bearer";
        }
        if (h->n_headers)
                qsort(h->headers, h->n_headers, sizeof *h->headers, header_cmp);
        return NULL;
}

const struct conf_schema file_http_schema = {"config.plain", http_fields, ARRAY_LEN(http_fields), sizeof(H), .defaults = &file_http_defaults, .check = http_check};
