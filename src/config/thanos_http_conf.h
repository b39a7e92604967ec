/* SPDX-License-Identifier: Apache-2.0 */
/* thanos_http_conf.h — the client block of Thanos' roles (--prometheus.http-client and its like) into an http_client_conf.
 *
 *   tls_config: {ca_file: …, cert_file: …, key_file: …, server_name: …, insecure_skip_verify: true}
 *   basic_auth: {username: …, password: …, password_file: …}        or bearer_token, bearer_token_file
 *   proxy_url: …
 *
 * JSON is YAML. Not strict, as the original reads it: keys it does not know are passed over, and transport_config tunes Go's pool of connections only.
 * Threads: any.  Upstream: thanos pkg/clientconfig/http.go */
#ifndef CONFIG_THANOS_HTTP_CONF_H
#define CONFIG_THANOS_HTTP_CONF_H

#include "base/arena.h"
#include "io/http/client.h"

/* Strings live in a. ERROR_INVALID: no YAML, a wrong type, two ways of authentication. Empty text: the defaults. */
struct error *thanos_http_conf_parse(Str yaml, struct arena *a, struct http_client_conf *ret) MUST_CHECK;

#endif
