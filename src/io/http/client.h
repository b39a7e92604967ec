/* SPDX-License-Identifier: Apache-2.0 */
/* client.h — an HTTP client on loops (libcurl multi, sharded): keep-alive, TLS, HTTP/2, proxies, redirects, limits, time-outs.
 *
 *   e = http_client_new(loop, &c);                          belongs to that loop
 *   http_client_send(c, &conf, &req, &call);                call.done is called once, on the loop, never from inside send
 *   http_client_cancel(&call);                              done is not called any more
 *
 *   e = http_fetch(&conf, &req, &resp);                     from any other thread: waits for the answer (own thread-local loop not needed)
 *
 * Credentials in files are read at each request: a missing one fails the request with Go-like text (unable to read basic auth password file …).
 * Error texts as Go's where users compare: Get "http://h:1/metrics": dial tcp 127.0.0.1:1: connect: connection refused;
 * context deadline exceeded; server returned HTTP status 500 Internal Server Error is the caller's. */
#ifndef IO_HTTP_CLIENT_H
#define IO_HTTP_CLIENT_H

#include "base/buf.h"
#include "base/error.h"
#include "io/http/server.h"
#include "io/loop.h"
#include "io/tls.h"

/* The HTTP client block of configurations; constant while used. NULL or zero: not given. */
struct http_client_conf {
        const char *basic_username, *basic_username_file, *basic_password, *basic_password_file;
        const char *auth_type;                  /* authorization: default "Bearer" */
        const char *auth_credentials, *auth_credentials_file;
        struct tls_client_opts tls;
        bool no_follow_redirects, no_http2;
        const char *proxy_url, *no_proxy;
        bool proxy_from_environment;
        struct http_client_header {
                const char *name, *value;       /* value NULL: read file */
                const char *file;
        } *headers;
        size_t n_headers;
};
struct http_client_request {
        const char *url;
        const char *method;                     /* NULL: GET */
        const struct http_header *headers;      /* beyond the configured ones */
        size_t n_headers;
        Str body;                               /* borrowed until done */
        bool body_is_map;                       /* it is in a map of a file: pages that were sent are released (base/file.h) */
        int64_t timeout_ms;                     /* whole exchange; 0: none */
        int64_t stall_ms;                       /* whole seconds: ends it with ERROR_TIMEOUT when hardly a byte went either way for so long; 0: never */
        size_t body_bytes_max;                  /* 0: 64 MiB; more ends the exchange: ERROR_LIMIT "body size limit exceeded" */
        bool inflate;                           /* send Accept-Encoding: gzip and inflate the answer */
};
struct http_response {
        int status;
        Str content_type;
        struct buf body;                        /* inflated if asked for */
        uint64_t wire_bytes;                    /* of the body as it came */
        struct http_header *headers;
        size_t n_headers;
        struct arena *arena;                    /* private: of headers */
};
void http_response_done(struct http_response *r);

struct http_call {
        /* Owner sets these. resp is borrowed during the call (take the buffer by buf_take/swap); e is owned by done, NULL: an answer came. */
        void (*done)(struct http_call *c, struct error *take_e, struct http_response *resp);
        /* NULL, or: body pieces as they arrive (inflated), instead of resp->body; false ends the exchange with ERROR_CANCELLED. Must not
         * cancel or free: it runs inside libcurl. */
        bool (*piece)(struct http_call *c, Str piece);
        /* piece may set it: no further piece comes, and the peer is held up, until http_client_resume. Over HTTP/1 only (no_http2). */
        bool pause;
        void *private;
        struct http_response response;          /* reused by the next send of this call; the owner ends it by http_response_done() */
};
struct http_client;
struct error *http_client_new(struct loop *l, struct http_client **ret) MUST_CHECK;
void http_client_free(struct http_client *c);                   /* on its loop or after it; cancels what is open */
void http_client_send(struct http_client *c, const struct http_client_conf *conf, const struct http_client_request *r, struct http_call *call);
/* Fine for a call that is done or was never sent (private zero). conf, the request's body and the call stay until done or cancel. */
void http_client_cancel(struct http_client *c, struct http_call *call);
/* Takes call->pause back; on the loop, not from inside piece. Fine for a call that is done or does not pause. */
void http_client_resume(struct http_client *c, struct http_call *call);
struct error *http_fetch(const struct http_client_conf *conf, const struct http_client_request *r, struct http_response *ret) MUST_CHECK;

#endif
