/* SPDX-License-Identifier: Apache-2.0 */
/* client_url.h — what the client needs of a URL: where to connect, and which proxy stands between. Pure; any thread. */
#ifndef IO_HTTP_CLIENT_URL_H
#define IO_HTTP_CLIENT_URL_H

#include "io/http/client.h"

struct client_url {
        bool https;
        Str user;               /* "user:password", as written, or empty */
        Str authority;          /* "host:port" as written, without user */
        Str host;               /* without brackets */
        uint16_t port;
        Str rest;               /* path and query, may be empty; a fragment is cut off */
};
/* Strs point into text. Error texts as Go's: unsupported protocol scheme "ftp". */
struct error *client_url_parse(Str text, struct client_url *ret) MUST_CHECK;
/* The absolute form of location seen from base; heap. */
struct error *client_url_join(const char *base, Str location, char **ret) MUST_CHECK;
/* The proxy for u, "" for none. Points into conf or the environment. */
const char *client_proxy_for(const struct http_client_conf *conf, const struct client_url *u);

#endif
