/* SPDX-License-Identifier: Apache-2.0 */
/* server_impl.h — what the files of the HTTP server share: the server, its loops, connections and exchanges.
 *
 * Who owns what
 *  (1) A connection belongs to one loop; only that loop's thread touches it. conn_close() takes it off the loop; its
 * memory goes with a message posted to the loop, so that callers up the stack may still look at conn->closed. (2) An
 * exchange is one request and its answer. Its handler's thread owns the part "handler"; the loop owns the part "loop";
 * what passes between them is under exchange.mu. It lives until the handler returned and the answer was sent or its
 * connection is gone. (3) Bytes of the answer wait in pending (at most OUT_MARK_BYTES and a piece) and in the
 * connection's out; the loop takes pending only when out is empty, so a slow client costs two buffers. A handler waits
 * while pending is above the mark. (4) For HTTP/1 pending holds wire bytes (head, chunk sizes and all), for HTTP/2
 * those of the body. */
#ifndef IO_HTTP_SERVER_IMPL_H
#define IO_HTTP_SERVER_IMPL_H

#include <openssl/ssl.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/map.h"
#include "base/thread.h"
#include "base/vec.h"
#include "codec/deflater.h"
#include "io/http/parse1.h"
#include "io/http/server.h"
#include "io/loop.h"
#include "io/tls.h"

enum {
        OUT_MARK_BYTES = 256 << 10,
        PIECE_BYTES = 64 << 10,    /* of an answer handed over at once */
        STAGE_BYTES = 32 << 10,    /* small writes are collected up to this */
        COMPRESS_FROM_BYTES = 512, /* shorter answers are not worth it */
        SCRATCH_BYTES = 64 << 10,
        LINGER_MS = 500,
        KEEP_BUFFER_BYTES = 64 << 10, /* buffers up to this stay with a connection for its next request */
        ARENA_BYTES_MAX = 256 << 20,
};

struct route {
        char *path;
        bool has_names; /* a segment is ":name" */
        unsigned methods, flags;
        http_handler *handler;
        void *ctx;
        struct route *next_same; /* same path, other methods */
};

struct server_loop {
        struct http_server *s;
        struct loop *l;
        struct list conns;
        char *scratch; /* SCRATCH_BYTES: reads go here first */
};

struct listener {
        struct loop_fd f;
        struct http_server *s;
        int port;
        bool on_loop; /* added to loops[0] */
};

struct http_server {
        struct http_server_opts o; /* with the defaults filled in */
        char name[11];
        struct tls_server *tls;     /* NULL: plain */
        VEC(struct route *) routes; /* set before start */
        struct map exact;           /* path -> first struct route */
        http_handler *fallback;
        void *fallback_ctx;
        VEC(struct listener *) listeners;
        struct server_loop *loops;
        int n_loops;
        bool started;

        _Atomic int n_conns;
        _Atomic bool stopping; /* answers close their connections */
        /* Of loops[0]. */
        bool accept_paused;
        int next_loop;
        struct loop_timer accept_again;

        struct mutex mu; /* guards all below */
        struct cond work, idle;
        struct list queue; /* exchanges that wait for a worker */
        VEC(struct thread) workers;
        int n_idle, n_queued;
        int n_busy; /* handlers that run */
        bool quit;
};

enum conn_proto { CONN_NEW, CONN_HTTP1, CONN_HTTP2 };
enum conn_state { CONN_HEAD, CONN_BODY, CONN_BUSY, CONN_LINGER }; /* of HTTP/1 */
struct h2;

struct conn {
        struct list link;
        struct server_loop *sl;
        struct loop_fd f;
        struct loop_timer timer;
        int64_t deadline_ns; /* the timer may fire earlier and is then set again */
        uint32_t events;     /* asked of epoll */
        SSL *ssl;
        bool handshaken;
        bool closed;
        bool eof; /* the client sent all it will send */
        bool write_blocked;
        bool in_input; /* input is being worked off further up the stack */
        enum conn_proto proto;
        char peer[64];

        struct buf in;  /* received and not understood yet */
        struct buf out; /* to send, from out_at */
        size_t out_at;

        /* HTTP/1 */
        enum conn_state state;
        size_t head_seen;
        bool close_after;
        bool begun; /* bytes of the request have come: its time runs */
        uint64_t body_left;
        struct parse1_chunked chunked;
        bool is_chunked;
        struct exchange *ex;
        struct exchange *spare; /* kept for the next request */

        struct h2 *h2;
};

enum answer_encoding { ENCODING_NONE, ENCODING_GZIP, ENCODING_DEFLATE };
struct exchange {
        struct http_request req; /* first: handlers see this */
        struct server_loop *sl;
        const struct route *route;
        int64_t start_ns;
        bool is_inline; /* runs on the loop: never waits */
        bool keep_alive;

        /* Loop. */
        struct conn *conn;             /* NULL: gone */
        bool dispatched, handler_done; /* between the two a handler has it or will */
        int32_t stream_id;
        bool h2_head_sent, h2_deferred;
        bool is_streaming; /* of an HTTP_STREAM route over HTTP/2: the body goes through inbox */
        bool request_ended;
        struct loop_timer deadline;
        bool deadline_passed;
        bool refused; /* answered without its handler: HTTP/2 bodies are read over */
        size_t head_bytes;
        size_t h2_at; /* of h2_taken */

        /* Handler. */
        int status; /* 0: no answer yet */
        Str content_type;
        bool begun, ended, head_made, is_chunked, no_body;
        enum answer_encoding encoding;
        struct deflater *deflater;
        uint64_t answer_bytes;

        /* Guarded by mu. */
        bool head_ready; /* HTTP/2: status and headers may be sent */
        bool complete;
        bool aborted;
        bool posted;    /* the loop will look */
        bool closed;    /* writes fail from now on */
        bool timed_out; /* and why */
        bool inbox_ended;
        size_t inbox_read_bytes; /* taken by the handler, not told to the client yet */
        bool has_length;         /* known at the head: for HTTP/2 */
        uint64_t length;
        int64_t deadline_ms; /* handler, before its message */
        /* By __atomic builtins: its address is given away as const bool *. */
        bool cancel;

        /* From here on: kept, emptied, for the connection's next request. exchange_clear zeroes what is above. */
        struct list link;   /* loop: in the streams of h2 */
        struct list queued; /* in the server's queue; guarded by server.mu */
        struct arena arena;
        struct buf body;                        /* of the request */
        VEC(struct http_header) answer_headers; /* handler */
        VEC(struct http_header) trailers;       /* handler, then loop */
        struct buf stage;                       /* handler */
        struct buf h2_taken;                    /* loop: of pending, on its way into DATA frames */
        struct mutex mu;
        struct cond room;   /* pending fell below the mark, or closed */
        struct buf pending; /* guarded by mu */
        struct cond came;   /* inbox got bytes or its end, or closed */
        struct buf inbox;   /* guarded by mu: of a streaming body; a window at most */
};

/* exchange.c: made and freed on the loop */
struct exchange *exchange_new(struct conn *c);
void exchange_free(struct exchange *x);
void exchange_cancel(struct exchange *x);
bool exchange_is_closed(struct exchange *x);
void exchange_lose_conn(struct exchange *x, bool timed_out); /* its connection or stream is gone */
/* Runs the handler to its end, including the last bytes handed over; on a worker or (is_inline) the loop. */
void exchange_run(struct exchange *x, http_handler *h, void *ctx);
void exchange_finish_answer(struct exchange *x); /* the last bytes of what a gate or the server itself answered */
void exchange_done_metrics(struct exchange *x);
Str exchange_date(char buf[32]);

/* server.c */
/* Finds the route, asks the gate: true when answered already (inline). */
bool server_begin(struct exchange *x);
/* The request is whole: runs it inline (true: the answer is complete) or queues it. */
bool server_dispatch(struct exchange *x);
void server_conn_gone(struct http_server *s);

/* conn.c: loop thread */
void conn_start(struct server_loop *sl, int fd, const char *peer);
void conn_close(struct conn *c, bool timed_out);
bool conn_flush(struct conn *c); /* true: out is empty */
void conn_deadline(struct conn *c, int64_t after_ms);
void conn_update(struct conn *c); /* epoll interest */
bool conn_wants_input(const struct conn *c);
void conn_resume(struct conn *c);       /* works off what came while it was busy */
void exchange_pump(struct exchange *x); /* sends what the handler handed over */
void exchange_pump_message(void *arg);
void exchange_done_message(void *arg);

/* conn_h1.c */
size_t h1_input(struct conn *c, Str in); /* bytes used */
void h1_pump(struct conn *c);
void h1_eof(struct conn *c);
void h1_linger(struct conn *c); /* closes, once the client could read what was sent */

/* conn_h2.c */
extern const Str h2_preface;
struct error *h2_start(struct conn *c) MUST_CHECK;
size_t h2_input(struct conn *c, Str in);
void h2_pump(struct exchange *x);
void h2_reset(struct exchange *x); /* the stream is over: cancelled */
void h2_flush(struct conn *c);
void h2_close(struct conn *c, bool timed_out);
void h2_cancel_all(struct conn *c);
void h2_goaway(struct conn *c);
bool h2_is_idle(const struct conn *c);

#endif
