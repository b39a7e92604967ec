/* SPDX-License-Identifier: Apache-2.0 */
/* server.h — a gRPC server: methods are handlers on the worker threads of an HTTP/2 server.
 *
 *   e = grpc_server_new(&opts, &s);
 *   grpc_server_handle(s, "/thanos.Store/Series", series, ctx);
 *   e = grpc_server_listen(s, "0.0.0.0:10901");  e = grpc_server_start(s);  …  grpc_server_stop(s, grace_ms);
 * grpc_server_free(s);
 *
 *   static void series(struct grpc_stream *st, void *ctx)
 *   {
 *           Str request;
 *           struct error *e = grpc_recv_only(st, &request);          unary and server-streaming methods
 *           while (!e && …)
 *                   e = grpc_send(st, frame);                        blocks while the client is slow
 *           if (e)
 *                   grpc_fail_error(st, e);                          else the status is OK
 *   }
 *
 * A method ends when its handler returns. Deadline and a client that left: grpc_send and grpc_recv fail, the cancel
 * flag is set; what the handler then says to a client that left is dropped. Answers are compressed as the request was
 * (snappy, gzip), as grpc-go does. Unknown methods: UNIMPLEMENTED; so is reflection. grpc.health.v1.Health is built in.
 * The same port answers no web requests: 415. Threads: handlers run on any worker, several at once; the rest as
 * io/http/server.h. */
#ifndef IO_GRPC_SERVER_H
#define IO_GRPC_SERVER_H

#include "base/arena.h"
#include "io/grpc/status.h"
#include "io/tls.h"

struct grpc_stream;
typedef void grpc_handler(struct grpc_stream *st, void *ctx);

/* The next message, valid until the next call; ret->p is NULL at the end of the request. After an error the status is
 * set already. */
struct error *grpc_recv(struct grpc_stream *st, Str *ret) MUST_CHECK;
struct error *grpc_recv_only(struct grpc_stream *st, Str *ret) MUST_CHECK; /* exactly one, else INTERNAL */
struct error *grpc_send(struct grpc_stream *st, Str message) MUST_CHECK;
/* How the call ends, unless OK. The first one counts. Messages that were sent stay sent. */
void grpc_fail(struct grpc_stream *st, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
void grpc_fail_error(struct grpc_stream *st, struct error *take_e); /* the code by the error's kind; NULL: nothing */
bool grpc_is_gone(const struct grpc_stream *st);            /* the client left, the deadline passed, the server stops */
const bool *grpc_cancel_flag(const struct grpc_stream *st); /* the same, for APIs that take one */
int64_t grpc_time_left_ms(const struct grpc_stream *st);    /* INT64_MAX: no deadline */
Str grpc_metadata(const struct grpc_stream *st, Str name);  /* of the request; small letters; empty: not there */
Str grpc_peer(const struct grpc_stream *st);                /* "127.0.0.1:5544" */
struct arena *grpc_arena(struct grpc_stream *st);           /* of the call */

struct grpc_server_opts {
        const char *name;                /* of threads: at most 10 bytes */
        int loops, workers_max;          /* 0: number of CPUs; 64: calls that run at once, the others wait */
        int connections_max;             /* 0: 512 */
        int streams_max;                 /* of a connection; 0: 1000 */
        size_t recv_bytes_max;           /* of one message; 0: 4 MiB, as grpc-go */
        int64_t age_max_ms;              /* --grpc-server-max-connection-age; 0: none */
        int64_t write_timeout_ms;        /* a client that takes nothing for so long is cut; 0: 5 min */
        const struct http_tls_opts *tls; /* NULL: plain. client_ca_file and client_required: mTLS */
        /* For metrics; NULL: none. path is that of grpc_server_handle, or "" for unknown methods */
        void (*started)(void *ctx, const char *path);
        void (*done)(void *ctx, const char *path, int code, uint64_t received, uint64_t sent, int64_t ns);
        void *ctx;
};
struct grpc_server;
struct error *grpc_server_new(const struct grpc_server_opts *o, struct grpc_server **ret) MUST_CHECK;
void grpc_server_handle(struct grpc_server *s, const char *path, grpc_handler *h, void *ctx); /* before start */
struct error *grpc_server_listen(struct grpc_server *s, const char *address) MUST_CHECK;
int grpc_server_port(const struct grpc_server *s);
struct error *grpc_server_start(struct grpc_server *s) MUST_CHECK;
void grpc_server_stop(struct grpc_server *s, int64_t grace_ms); /* GOAWAY, then as http_server_stop */
void grpc_server_free(struct grpc_server *s);                   /* NULL is fine */
/* What Health answers for the service "" (all of the server); NOT_SERVING until said. Any thread. */
void grpc_server_set_serving(struct grpc_server *s, bool serving);

#endif
