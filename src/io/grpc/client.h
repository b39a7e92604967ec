/* SPDX-License-Identifier: Apache-2.0 */
/* client.h — a gRPC client: one loop thread, any number of channels (one peer each), calls from any thread.
 *
 *   e = grpc_client_new("store", &cl);  e = grpc_channel_new(cl, "10.0.0.1:10901", &opts, &ch);
 *   struct grpc_call *c = grpc_call_start(ch, "/thanos.Store/Series", &(struct grpc_call_opts){.timeout_ms = 5000},
 * request); while ((got = grpc_call_recv(c, -1, &message)) == GRPC_GOT_MESSAGE) use(message); e =
 * grpc_status_error(grpc_call_get_status(c));  grpc_call_free(c);
 *
 * Many calls, one waiting thread: give them a group; grpc_group_next() returns a call that has something. Requests are
 * one message (unary and server-streaming methods). What is received and not taken yet is at most one window a call;
 * the peer waits. A channel connects when it is first used, again after a failure (not before the back-off passed:
 * until then calls fail at once with the reason), and sends no more calls to a connection that said GOAWAY; a call that
 * the peer did not look at is sent again once. Names are resolved when connecting. Ping after keepalive_ms of silence
 * while calls are open. Order of freeing: calls, their group, channel (calls that are left end as cancelled), client.
 */
#ifndef IO_GRPC_CLIENT_H
#define IO_GRPC_CLIENT_H

#include "base/buf.h"
#include "io/grpc/status.h"
#include "io/grpc/wire.h"
#include "io/tls.h"

struct grpc_client;
struct error *grpc_client_new(const char *name, struct grpc_client **ret) MUST_CHECK; /* name: of the thread */
/* For metrics: a call began, in the thread that began it; a call was freed, with its code (CANCELLED if nobody waited for its
 * end), in that thread. Before the first call. */
struct grpc_client_watch {
        void (*started)(void *ctx, const char *path);
        void (*done)(void *ctx, const char *path, int code, uint64_t received, int64_t ns);
        void *ctx;
};
void grpc_client_set_watch(struct grpc_client *cl, const struct grpc_client_watch *w);
void grpc_client_free(struct grpc_client *cl);                                        /* NULL is fine */

struct grpc_channel_opts {
        const struct tls_client_opts *tls;          /* NULL: plain */
        enum grpc_encoding compression;             /* of requests */
        size_t recv_bytes_max;                      /* of one message; 0: 2 GiB - 1, as Thanos dials */
        uint32_t window_bytes;                      /* of one call; 0: 1 MiB */
        int64_t keepalive_ms, keepalive_timeout_ms; /* 0: 10 s, 5 s, as Thanos dials; < 0: none */
        int64_t connect_timeout_ms;                 /* 0: 20 s */
        int64_t backoff_ms, backoff_max_ms;         /* 0: 1 s, 10 s; grows by 1.6 with a jitter of a fifth */
};
struct grpc_channel;
/* target: "host:port". o may be NULL. */
struct error *grpc_channel_new(struct grpc_client *cl, const char *target, const struct grpc_channel_opts *o,
                               struct grpc_channel **ret) MUST_CHECK;
void grpc_channel_free(struct grpc_channel *ch); /* NULL is fine */
enum grpc_channel_state { GRPC_IDLE, GRPC_CONNECTING, GRPC_READY, GRPC_FAILED };
enum grpc_channel_state grpc_channel_get_state(const struct grpc_channel *ch); /* any thread */

struct grpc_pair {
        Str name, value; /* name in small letters */
};
struct grpc_group;
struct grpc_call_opts {
        int64_t timeout_ms; /* of the whole call; 0: none */
        const struct grpc_pair *metadata;
        size_t n_metadata;
        struct grpc_group *group;
        void *tag; /* the caller's: grpc_call_get_tag */
};
struct grpc_call;
/* Does not block and does not fail: what goes wrong is the call's status. Copies what it is given. o may be NULL. */
struct grpc_call *grpc_call_start(struct grpc_channel *ch, const char *path, const struct grpc_call_opts *o,
                                  Str request);
enum grpc_got {
        GRPC_GOT_MESSAGE,
        GRPC_GOT_END,     /* the status is there */
        GRPC_GOT_NOTHING, /* in that time */
};
/* timeout_ms: of this waiting; < 0: as long as it takes; 0: do not wait. *ret is valid until the next call. One thread
 * at a time. */
enum grpc_got grpc_call_recv(struct grpc_call *c, int64_t timeout_ms, Str *ret);
const struct grpc_status *grpc_call_get_status(const struct grpc_call *c); /* after GRPC_GOT_END; borrowed */
void *grpc_call_get_tag(const struct grpc_call *c);
void grpc_call_cancel(struct grpc_call *c); /* any thread; then grpc_call_recv gives the end soon */
void grpc_call_free(struct grpc_call *c);   /* cancels what is still open; NULL is fine */

/* One message each way. The answer is appended. */
struct error *grpc_call_unary(struct grpc_channel *ch, const char *path, const struct grpc_call_opts *o, Str request,
                              struct buf *ret_answer) MUST_CHECK;

struct grpc_group *grpc_group_new(void);
void grpc_group_free(struct grpc_group *g); /* after its calls; NULL is fine */
/* A call for which bytes or the end came since it was last returned: take all of it with grpc_call_recv(c, 0, …), or keep
 * in mind that it may have more. A call may come once more when all of it was taken already, its end too. NULL: nothing in
 * that time (< 0: wait as long as it takes). */
struct grpc_call *grpc_group_next(struct grpc_group *g, int64_t timeout_ms);

#endif
