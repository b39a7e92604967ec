/* SPDX-License-Identifier: Apache-2.0 */
/* client_impl.h — what the files of the gRPC client share.
 *
 * Who owns what: channels and connections belong to the loop. A call is held by its user and, from its start to its
 * end, by the loop (refs); what passes between them is under call.mu. Locks: call.mu, then group.mu. */
#ifndef IO_GRPC_CLIENT_IMPL_H
#define IO_GRPC_CLIENT_IMPL_H

#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/rand.h"
#include "base/thread.h"
#include "base/vec.h"
#include "io/grpc/client.h"
#include "io/loop.h"
#include "io/resolver.h"

enum { CLIENT_SCRATCH_BYTES = 64 << 10, CLIENT_HEADER_BYTES_MAX = 64 << 10 };

struct grpc_client {
        struct loop *l;
        struct resolver *resolver;
        char *scratch; /* reads go here first */
        struct rand rand;
        struct grpc_client_watch watch;
};

struct grpc_channel {
        struct grpc_client *cl;
        char *target;
        Str host;
        uint16_t port;
        struct grpc_channel_opts o; /* with the defaults filled in; tls is not used */
        struct tls_client *tls;     /* NULL: plain */
        _Atomic int state;
        /* Loop. */
        struct list waiting;       /* calls without a stream: grpc_call.link */
        struct grpc_conn *current; /* connecting or taking calls */
        struct list draining;      /* connections that said GOAWAY: grpc_conn.link */
        int failures;              /* in a row */
        int64_t retry_at_ns;
        char *last_error; /* of GRPC_FAILED */
        bool closing;
};

enum grpc_conn_phase { GRPC_CONN_RESOLVE, GRPC_CONN_CONNECT, GRPC_CONN_HANDSHAKE, GRPC_CONN_OPEN };
struct grpc_conn {
        struct list link;
        struct grpc_channel *ch;
        enum grpc_conn_phase phase;
        struct resolver_ask ask;
        struct resolver_answer addresses;
        size_t at_address;
        struct loop_fd f;
        bool on_loop, closed;
        uint32_t events;
        SSL *ssl;
        nghttp2_session *session;
        bool in_session, write_blocked;
        struct buf out;
        size_t out_at;
        struct list calls;       /* with a stream: grpc_call.link */
        struct loop_timer timer; /* of connecting, then of keepalive */
        bool heard, pinging;     /* since the timer was set */
        bool greeted;            /* its SETTINGS came */
        bool goaway;
        char peer[64];
};

struct grpc_call {
        atomic_int refs;
        struct grpc_channel *ch; /* loop; NULL: over */
        char *path;
        struct grpc_pair *metadata;
        size_t n_metadata;
        struct buf request; /* framed */
        void *tag;
        int64_t deadline_ns; /* 0: none */
        size_t window_bytes;
        struct loop *l;

        /* Loop. */
        struct list link;
        struct grpc_conn *conn;
        int32_t stream_id;
        size_t request_at;
        struct loop_timer deadline;
        bool retried, not_sent, answered; /* answered: a head came */
        int http_status;
        bool is_grpc, has_status, bad_encoding;
        char *content_type;
        struct grpc_status trailer;
        size_t header_bytes;

        /* User. */
        struct grpc_reader reader;
        bool finished;
        struct grpc_status result;
        struct grpc_client *cl;
        uint64_t received; /* messages */
        int64_t begin_ns;

        struct mutex mu; /* guards all below */
        struct cond changed;
        struct buf inbox; /* a window at most */
        enum grpc_encoding encoding;
        bool ended, ended_hard; /* hard: what is left in inbox does not count */
        struct grpc_status status;
        size_t taken_bytes; /* by the user, not told to the peer yet */
        bool credit_posted, cancel_posted;
        struct grpc_group *group;
        struct list ready; /* in group.ready; guarded by group.mu */
};

struct grpc_group {
        struct mutex mu; /* guards ready */
        struct cond changed;
        struct list ready;
};

/* client.c */
void grpc_call_unref(struct grpc_call *c);
void grpc_call_tell_locked(struct grpc_call *c); /* wakes who waits */

/* client_call.c: loop */
void grpc_call_end(struct grpc_call *c, bool hard, int code, const char *fmt, ...) PRINTF_LIKE(4, 5);
int grpc_call_submit(struct grpc_call *c, struct grpc_conn *k); /* opens its stream */
void grpc_call_start_message(void *arg);
void grpc_call_cancel_message(void *arg);
void grpc_call_credit_message(void *arg);
nghttp2_session_callbacks *grpc_call_callbacks(void);

/* client_conn.c: loop */
void grpc_channel_kick(struct grpc_channel *ch); /* gives waiting calls a connection, or the reason why not */
void grpc_conn_flush(struct grpc_conn *k);       /* may close it */
void grpc_conn_watch(struct grpc_conn *k);       /* a call was opened: keepalive runs */
void grpc_channel_close(struct grpc_channel *ch);

#endif
