/* SPDX-License-Identifier: Apache-2.0 */
/* server.h — an HTTP/1.1 and HTTP/2 server: connections on loops, handlers on worker threads.
 *
 *   e = http_server_new(&opts, &s);  http_server_handle(s, "/api/v1/query", HTTP_GET | HTTP_POST, 0, query_handler, ctx);
 *   e = http_server_listen(s, "127.0.0.1:9090");            several are fine
 *   e = http_server_start(s);  …  http_server_stop(s, 5000);  http_server_free(s);
 *
 * A handler gets the whole request (body within its limit) and answers by http_reply(), or by http_begin(), http_write() …, http_end(): writes
 * block when the client is slow, above a mark, and fail when it went away or the write time-out passed. A handler that answers nothing
 * gives 500. Unknown path: 404 "404 page not found\n"; known path, other method: 405 "Method Not Allowed\n".
 * Threads: handlers run on any worker, several at once; HTTP_INLINE handlers run on a loop and must not block.
 * Bodies are compressed by Accept-Encoding (gzip, deflate) unless the handler set Content-Encoding. */
#ifndef IO_HTTP_SERVER_H
#define IO_HTTP_SERVER_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum http_method { HTTP_GET = 1, HTTP_HEAD = 2, HTTP_POST = 4, HTTP_PUT = 8, HTTP_DELETE = 16, HTTP_OPTIONS = 32, HTTP_PATCH = 64, HTTP_OTHER = 128 };
struct http_header {
        Str name, value;                /* names as the client wrote them; HTTP/2: small letters */
};
struct http_request {
        enum http_method method;
        Str method_text, target;        /* "/a?b=c" as sent */
        Str path;                       /* decoded, without query */
        Str raw_query;
        Str body;
        const struct http_header *headers;
        size_t n_headers;
        int version;                    /* 10, 11, 20 */
        Str host;                       /* Host header or :authority; may be empty */
        Str peer;                       /* "127.0.0.1:5544" */
        bool tls;
        struct arena *arena;            /* of the request; handlers may use it */
        void *exchange;                 /* private */
};
/* First header of that name, any case; empty: not there. */
Str http_request_header(const struct http_request *r, Str name);
/* Query parameters and (for POST with application/x-www-form-urlencoded) body parameters, the body's first, as Go's ParseForm gives them. */
struct http_form {
        struct http_param {
                Str name, value;
        } *v;
        size_t n;
};
/* ERROR_INVALID with Go's text for bad escapes (invalid URL escape "%zz"). In the request's arena. */
struct error *http_request_form(const struct http_request *r, struct http_form *ret) MUST_CHECK;
Str http_form_get(const struct http_form *f, Str name);                 /* first value or empty */
bool http_form_has(const struct http_form *f, Str name);
bool http_request_gone(const struct http_request *r);                   /* the client left or the server stops: poll it in long work */
/* Became true for the same reasons; valid during the handler: for APIs that take a cancel flag. */
const bool *http_request_cancel_flag(const struct http_request *r);

void http_set_header(struct http_request *r, const char *name, Str value);      /* of the answer; before http_begin; replaces */
void http_reply(struct http_request *r, int status, const char *content_type, Str body);       /* copies body */
void http_replyf(struct http_request *r, int status, const char *content_type, const char *fmt, ...) PRINTF_LIKE(4, 5);
void http_begin(struct http_request *r, int status, const char *content_type);
struct error *http_write(struct http_request *r, Str piece) MUST_CHECK;        /* ERROR_CANCELLED: the client left; ERROR_TIMEOUT */
struct error *http_flush(struct http_request *r) MUST_CHECK;             /* what was written so far goes out now: event streams */
void http_end(struct http_request *r);                                  /* implied when the handler returns; the last bytes may wait until then */
void http_abort(struct http_request *r);                                /* the answer cannot be finished: cuts the connection */
const char *http_status_text(int status);

typedef void http_handler(struct http_request *r, void *ctx);
enum http_route_flags { HTTP_INLINE = 1, HTTP_PREFIX = 2 /* path is a prefix */, HTTP_NO_METRICS = 4, HTTP_NO_COMPRESSION = 8, HTTP_STREAM = 16,
                        HTTP_COMPRESS_SMALL = 32 /* answers below 512 bytes too, as the originals' API does */ };

/* For routes with HTTP_STREAM. Over HTTP/2 their handler starts as soon as the head is there (r->body is empty), reads the body while it
 * comes, and may end the answer with trailers; the answer has no content-length. Over HTTP/1 they are as other routes: the body is read
 * whole before, http_read gives it, and trailers are not sent. */
/* Appends what came of the body to *to, after waiting for at least one byte; nothing appended: the body is at its end. What is not read
 * stays with the client: one window (1 MiB) waits here. ERROR_CANCELLED: the client left; ERROR_TIMEOUT: deadline or read time-out. */
struct error *http_read(struct http_request *r, struct buf *to) MUST_CHECK;
struct error *http_send(struct http_request *r, Str piece) MUST_CHECK;  /* as http_write, but it goes out now and is not compressed */
void http_set_trailer(struct http_request *r, const char *name, Str value); /* small letters; sent after a body that is not empty */
/* Then http_read and http_write fail with ERROR_TIMEOUT and the cancel flag is set; what was written and not sent is dropped, the trailers
 * of the handler are still sent, if the handler ends soon. Once a request. */
void http_set_deadline(struct http_request *r, int64_t after_ms);

struct http_tls_opts;                   /* io/tls.h */
struct http_server_opts {
        const char *name;               /* of threads: at most 10 bytes */
        int loops;                      /* 0: number of CPUs */
        int workers_max;                /* handler threads, made when needed; 0: 64 */
        int connections_max;            /* over all listeners; further ones wait in the backlog; 0: 512 */
        int64_t read_timeout_ms;        /* a request's head and body, and idle keep-alive; 0: 5 min */
        int64_t write_timeout_ms;       /* one blocked write; 0: 1 min */
        size_t header_bytes_max;        /* 0: 64 KiB; more: 431 */
        size_t body_bytes_max;          /* 0: 32 MiB; more: 413 */
        int h2_streams_max;             /* HTTP/2: requests of a connection at once; more resets a second than that end it; 0: 100 */
        int64_t h2_age_max_ms;          /* HTTP/2: GOAWAY to connections that are older; 0: never */
        const struct http_tls_opts *tls;        /* NULL: plain; h2 by ALPN. Plain sockets take HTTP/2 with prior knowledge too */
        /* Called on the loop when a request's head is there (no body yet), before 404 and 405: false when it answered itself (auth, not ready,
         * CORS preflight). NULL: none */
        bool (*gate)(struct http_request *r, void *ctx);
        /* After each answer: for metrics. route is the path of http_server_handle, "" for unknown. NULL: none */
        void (*done)(void *ctx, const char *route, const struct http_request *r, int status, uint64_t body_bytes, int64_t ns);
        void *ctx;
};
struct http_server;
struct error *http_server_new(const struct http_server_opts *o, struct http_server **ret) MUST_CHECK;
/* path: exact; a segment ":name" matches one segment (read it from r->path). methods: bits of http_method; HEAD only where it is named, as the originals' routers have it. */
void http_server_handle(struct http_server *s, const char *path, unsigned methods, unsigned flags, http_handler *h, void *ctx);
void http_server_fallback(struct http_server *s, http_handler *h, void *ctx);   /* for unknown paths */
/* "host:port", ":port", "[::1]:port"; port 0: any. Binds and listens. Error as Go's: listen tcp 127.0.0.1:9090: bind: address already in use */
struct error *http_server_listen(struct http_server *s, const char *address) MUST_CHECK;
int http_server_port(const struct http_server *s, size_t listener);
struct error *http_server_start(struct http_server *s) MUST_CHECK;
/* No new connections; open requests get grace_ms, then their cancel flag and, soon after, the axe. */
void http_server_stop(struct http_server *s, int64_t grace_ms);
void http_server_free(struct http_server *s);                   /* NULL is fine */
int http_server_connections(const struct http_server *s);

#endif
