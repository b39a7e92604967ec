/* SPDX-License-Identifier: Apache-2.0 */
/* client_impl.h — what the files of the HTTP client share. Everything belongs to the client's loop. */
#ifndef IO_HTTP_CLIENT_IMPL_H
#define IO_HTTP_CLIENT_IMPL_H

#include <curl/curl.h>

#include "base/arena.h"
#include "base/list.h"
#include "codec/compress.h"
#include "io/http/client.h"
#include "io/http/client_url.h"
#include "io/resolver.h"

/* One exchange, from send to done, through redirects and several addresses. */
struct op {
        struct list link;               /* in client.ops, or client.failed once it has a verdict that was not told yet */
        struct http_client *c;
        struct http_call *call;
        const struct http_client_conf *conf;
        char *url, *first_url;          /* now; as asked */
        struct client_url parts;        /* of url */
        char *method;
        Str body;
        bool body_is_map;
        size_t sent, released;          /* of a body that is a map */
        struct curl_slist *user_headers;        /* of the request and the configuration */
        struct curl_slist *headers;             /* of this transfer: those, and credentials */
        bool inflate, has_accept, has_authorization, has_host;
        size_t body_bytes_max;
        int64_t timeout_ms, stall_ms;
        struct loop_timer timer;
        int redirects;
        bool cross_host;                /* redirected to another host: no credentials any more */

        struct resolver_ask ask;
        struct sockaddr_storage addresses[RESOLVER_ADDRESSES_MAX];
        size_t n_addresses, at_address;
        bool is_proxied;                /* the addresses are those of the proxy */
        uint16_t connect_port;
        struct curl_slist *connect_to;
        struct error *first_connect_error;

        struct shard *shard;
        CURL *easy;                     /* NULL: no transfer */
        bool head_seen;                 /* the final status line came */
        bool is_redirect;               /* this answer leads on: its body is thrown away */
        bool gzip;                      /* the body is being inflated */
        struct inflater *inflater;
        struct error *verdict;          /* found in a callback of libcurl, or before the transfer */
        char why[CURL_ERROR_SIZE];
};

/* client_auth.c */
/* Headers of request and configuration; reads files. */
struct error *client_collect_headers(struct op *o, const struct http_client_request *r) MUST_CHECK;
/* o->headers for one transfer. */
struct error *client_transfer_headers(struct op *o) MUST_CHECK;

/* client_error.c: what Go's client would say */
struct error *client_transfer_error(const struct op *o, CURLcode code) MUST_CHECK;
/* Get "url": cause */
struct error *client_wrap(const struct op *o, struct error *take_e) MUST_CHECK;
struct error *client_deadline_error(const struct op *o) MUST_CHECK;

#endif
