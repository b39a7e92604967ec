/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "config/thanos_http_conf.h"

static struct error *parse(const char *text, struct arena *a, struct http_client_conf *ret)
{
        arena_init(a, 1 << 20);
        return thanos_http_conf_parse(str_from(text), a, ret);
}

TEST(thanos_http_conf, takes_what_the_operator_writes)
{
        struct arena a;
        struct http_client_conf c;
        CHECK_OK(parse("{\"tls_config\": {\"insecure_skip_verify\":true}}", &a, &c));
        CHECK(c.tls.insecure_skip_verify && !c.tls.ca_file && !c.basic_username && !c.auth_credentials);
        arena_done(&a);
        CHECK_OK(parse("basic_auth: {username: u, password_file: /p}\ntls_config: {ca_file: /ca, server_name: s}\nproxy_url: http://x\n"
                       "transport_config: {max_idle_conns: 5}\nunknown: 1\n",
                       &a, &c));
        CHECK_STR(str_from(c.basic_username), "u");
        CHECK_STR(str_from(c.basic_password_file), "/p");
        CHECK_STR(str_from(c.tls.ca_file), "/ca");
        CHECK_STR(str_from(c.tls.server_name), "s");
        CHECK_STR(str_from(c.proxy_url), "http://x");
        arena_done(&a);
        CHECK_OK(parse("bearer_token_file: /t", &a, &c));
        CHECK_STR(str_from(c.auth_credentials_file), "/t");
        arena_done(&a);
        CHECK_OK(parse("", &a, &c));
        arena_done(&a);
        CHECK_OK(parse("# nothing\n", &a, &c));
        arena_done(&a);
}

static void refused(const char *text, const char *want)
{
        struct arena a;
        struct http_client_conf c;
        CHECK_ERROR(parse(text, &a, &c), want);
        arena_done(&a);
}

TEST(thanos_http_conf, refuses_contradictions_and_wrong_types)
{
        refused("{bearer_token: a, bearer_token_file: b}", "at most one of bearer_token & bearer_token_file must be configured");
        refused("{bearer_token: a, basic_auth: {username: b}}", "at most one of basic_auth, oauth2, bearer_token & bearer_token_file must be configured");
        refused("basic_auth: {password: a, password_file: b}", "at most one of basic_auth password & password_file must be configured");
        refused("tls_config: [a]", "");
        refused("tls_config: {ca_file: {a: b}}", "");
        refused("tls_config: {insecure_skip_verify: perhaps}", "");
        refused("[a]", "");
        refused("{", "");
}
