/* SPDX-License-Identifier: Apache-2.0 */
#include "config/thanos_http_conf.h"

#include "codec/yaml.h"

static struct error *take_text(const struct yaml *map, const char *key, struct arena *a, const char **ret)
{
        const struct yaml *y = yaml_get(map, str_from(key));
        *ret = NULL;
        if (yaml_is_null(y))
                return NULL;
        if (y->type != YAML_SCALAR)
                return error_new(ERROR_INVALID, "yaml: unmarshal errors:\n  line %d: cannot unmarshal %s into string", y->line,
                                 y->type == YAML_MAP ? "!!map" : "!!seq");
        if (y->text.n)
                *ret = arena_str(a, y->text).p;
        return NULL;
}

static struct error *take_map(const struct yaml *map, const char *key, const struct yaml **ret)
{
        const struct yaml *y = yaml_get(map, str_from(key));
        *ret = yaml_is_null(y) ? NULL : y;
        if (*ret && y->type != YAML_MAP)
                return error_new(ERROR_INVALID, "yaml: unmarshal errors:\n  line %d: cannot unmarshal %s into struct", y->line,
                                 y->type == YAML_SEQ ? "!!seq" : "!!str");
        return NULL;
}

static struct error *take_tls(const struct yaml *root, struct arena *a, struct tls_client_opts *t)
{
        const struct yaml *m, *skip;
        struct error *e = take_map(root, "tls_config", &m);
        if (e || (e = take_text(m, "ca_file", a, &t->ca_file)) || (e = take_text(m, "cert_file", a, &t->cert_file)) ||
            (e = take_text(m, "key_file", a, &t->key_file)) || (e = take_text(m, "server_name", a, &t->server_name)))
                return e;
        skip = yaml_get(m, STR("insecure_skip_verify"));
        if (!yaml_is_null(skip) && !yaml_to_bool(skip, &t->insecure_skip_verify))
                return error_new(ERROR_INVALID, "yaml: unmarshal errors:\n  line %d: cannot unmarshal into bool", skip->line);
        return NULL;
}

static struct error *take_auth(const struct yaml *root, struct arena *a, struct http_client_conf *c)
{
        const struct yaml *basic;
        struct error *e = take_map(root, "basic_auth", &basic);
        if (e || (e = take_text(basic, "username", a, &c->basic_username)) || (e = take_text(basic, "password", a, &c->basic_password)) ||
            (e = take_text(basic, "password_file", a, &c->basic_password_file)) || (e = take_text(root, "bearer_token", a, &c->auth_credentials)) ||
            (e = take_text(root, "bearer_token_file", a, &c->auth_credentials_file)))
                return e;
        bool has_basic = c->basic_username || c->basic_password || c->basic_password_file;
        if (c->auth_credentials && c->auth_credentials_file)
                return error_new(ERROR_INVALID, "at most one of bearer_token & bearer_token_file must be configured");
        if (has_basic && (c->auth_credentials || c->auth_credentials_file))
                return error_new(ERROR_INVALID, "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured");
        if (c->basic_password && c->basic_password_file)
                return error_new(ERROR_INVALID, "at most one of basic_auth password & password_file must be configured");
        if (has_basic && !c->basic_username)
                c->basic_username = "";
        return NULL;
}

struct error *thanos_http_conf_parse(Str yaml, struct arena *a, struct http_client_conf *ret)
{
        struct yaml *root = NULL;
        *ret = (struct http_client_conf){0};
        struct error *e = yaml_parse(yaml, a, &root);
        if (!e && root && !yaml_is_null(root) && root->type != YAML_MAP)
                e = error_new(ERROR_INVALID, "yaml: unmarshal errors:\n  line %d: cannot unmarshal into clientconfig.HTTPClientConfig", root->line);
        if (!e)
                e = take_auth(root, a, ret);
        if (!e)
                e = take_tls(root, a, &ret->tls);
        if (!e)
                e = take_text(root, "proxy_url", a, &ret->proxy_url);
        return e;
}
