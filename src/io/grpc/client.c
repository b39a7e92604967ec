/* SPDX-License-Identifier: Apache-2.0 */
/* client.c — what users of the gRPC client call: starting, waiting, receiving. The loop's side: client_call.c,
 * client_conn.c. */
#include "io/grpc/client.h"

#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "io/grpc/client_impl.h"
#include "io/net.h"
#include "io/tls_impl.h"

struct error *grpc_client_new(const char *name, struct grpc_client **ret)
{
        net_ignore_sigpipe();
        struct grpc_client *cl = mem_new(struct grpc_client);
        cl->scratch = mem_alloc(CLIENT_SCRATCH_BYTES);
        rand_system(&cl->rand.s, sizeof cl->rand.s);
        struct error *e = loop_new(name, &cl->l);
        if (e) {
                grpc_client_free(cl);
                return e;
        }
        *ret = cl;
        return NULL;
}

void grpc_client_set_watch(struct grpc_client *cl, const struct grpc_client_watch *w)
{
        cl->watch = *w;
}

static void free_resolver(void *arg)
{
        struct grpc_client *cl = arg;
        resolver_free(cl->resolver);
}

void grpc_client_free(struct grpc_client *cl)
{
        if (!cl)
                return;
        if (cl->l)
                loop_call(cl->l, free_resolver, cl);
        loop_free(cl->l);
        free(cl->scratch);
        free(cl);
}

/* --- channels --- */

struct error *grpc_channel_new(struct grpc_client *cl, const char *target, const struct grpc_channel_opts *o,
                               struct grpc_channel **ret)
{
        Str host, port;
        struct error *e = net_split_host_port(str_from(target), &host, &port);
        if (e)
                return e;
        uint64_t n;
        if (!str_to_u64(port, &n) || n == 0 || n > 65535 || !host.n)
                return error_new(ERROR_INVALID, "address %s: invalid host or port", target);
        struct grpc_channel *ch = mem_new(struct grpc_channel);
        if (o)
                ch->o = *o;
        if (ch->o.tls)
                e = tls_client_new(ch->o.tls, &ch->tls);
        if (e) {
                free(ch);
                return e;
        }
        ch->o.tls = NULL;
        ch->cl = cl;
        ch->target = mem_strdup(target);
        ch->host = (Str){ch->target + (host.p - target), host.n};
        ch->port = (uint16_t)n;
        list_init(&ch->waiting);
        list_init(&ch->draining);
        struct grpc_channel_opts *d = &ch->o;
        d->recv_bytes_max = d->recv_bytes_max ? d->recv_bytes_max : INT32_MAX;
        d->window_bytes = d->window_bytes ? MAX(MIN(d->window_bytes, (uint32_t)INT32_MAX), 65535u) : 1 << 20;
        d->keepalive_ms = d->keepalive_ms ? d->keepalive_ms : 10000;
        d->keepalive_timeout_ms = d->keepalive_timeout_ms > 0 ? d->keepalive_timeout_ms : 5000;
        d->connect_timeout_ms = d->connect_timeout_ms > 0 ? d->connect_timeout_ms : 20000;
        d->backoff_ms = d->backoff_ms > 0 ? d->backoff_ms : 1000;
        d->backoff_max_ms = d->backoff_max_ms > 0 ? d->backoff_max_ms : 10000;
        *ret = ch;
        return NULL;
}

static void close_message(void *arg)
{
        grpc_channel_close(arg);
}

void grpc_channel_free(struct grpc_channel *ch)
{
        if (!ch)
                return;
        loop_call(ch->cl->l, close_message, ch);
        tls_client_free(ch->tls);
        free(ch->last_error);
        free(ch->target);
        free(ch);
}

enum grpc_channel_state grpc_channel_get_state(const struct grpc_channel *ch)
{
        return (enum grpc_channel_state)atomic_load(&ch->state);
}

/* --- calls --- */

void grpc_call_unref(struct grpc_call *c)
{
        if (atomic_fetch_sub(&c->refs, 1) != 1)
                return;
        for (size_t i = 0; i < c->n_metadata; i++) {
                free((char *)c->metadata[i].name.p);
                free((char *)c->metadata[i].value.p);
        }
        free(c->metadata);
        free(c->path);
        free(c->content_type);
        buf_done(&c->request);
        buf_done(&c->inbox);
        grpc_reader_done(&c->reader);
        grpc_status_done(&c->trailer);
        grpc_status_done(&c->status);
        grpc_status_done(&c->result);
        cond_done(&c->changed);
        mutex_done(&c->mu);
        free(c);
}

static void post_locked(struct grpc_call *c, void (*fn)(void *arg))
{
        atomic_fetch_add(&c->refs, 1);
        loop_post(c->l, fn, c);
}

struct grpc_call *grpc_call_start(struct grpc_channel *ch, const char *path, const struct grpc_call_opts *o,
                                  Str request)
{
        static const struct grpc_call_opts none;
        o = o ? o : &none;
        struct grpc_call *c = mem_new(struct grpc_call);
        atomic_init(&c->refs, 2); /* ours and that of the message */
        c->ch = ch;
        c->l = ch->cl->l;
        c->cl = ch->cl;
        c->begin_ns = time_mono_ns();
        if (c->cl->watch.started)
                c->cl->watch.started(c->cl->watch.ctx, path);
        c->path = mem_strdup(path);
        c->tag = o->tag;
        c->window_bytes = ch->o.window_bytes;
        c->deadline_ns = o->timeout_ms > 0 ? time_mono_ns() + MIN(o->timeout_ms, INT64_MAX / 4000000) * 1000000 : 0;
        c->n_metadata = o->n_metadata;
        if (o->n_metadata)
                c->metadata = mem_alloc(o->n_metadata * sizeof *c->metadata);
        for (size_t i = 0; i < o->n_metadata; i++) {
                Str k = o->metadata[i].name, v = o->metadata[i].value;
                c->metadata[i] = (struct grpc_pair){{str_dup(k), k.n}, {str_dup(v), v.n}};
        }
        buf_init(&c->request, BUF_NO_LIMIT);
        buf_init(&c->inbox, BUF_NO_LIMIT);
        grpc_reader_init(&c->reader, ch->o.recv_bytes_max);
        mutex_init(&c->mu);
        cond_init(&c->changed);
        list_init(&c->link);
        list_init(&c->ready);
        c->group = o->group;
        bool fits = grpc_frame(&c->request, ch->o.compression, request);
        if (!fits) /* told by the loop, as all that goes wrong */
                c->request_at = SIZE_MAX;
        loop_post(c->l, grpc_call_start_message, c);
        return c;
}

void grpc_call_tell_locked(struct grpc_call *c)
{
        cond_broadcast(&c->changed);
        struct grpc_group *g = c->group;
        if (!g)
                return;
        mutex_lock(&g->mu);
        if (list_is_empty(&c->ready))
                list_push_back(&g->ready, &c->ready);
        cond_signal(&g->changed);
        mutex_unlock(&g->mu);
}

static enum grpc_got finish(struct grpc_call *c, struct grpc_status take_status)
{
        grpc_status_done(&c->result);
        c->result = take_status;
        c->finished = true;
        return GRPC_GOT_END;
}

/* Bytes for the reader (1), the end (0), or neither in time (-1). */
static int wait_for_bytes(struct grpc_call *c, int64_t until_ms, bool forever)
{
        int what = -1;
        mutex_lock(&c->mu);
        while (!c->ended && !c->inbox.n) {
                int64_t left = forever ? INT64_MAX : until_ms - time_mono_ms();
                if (left <= 0)
                        break;
                if (forever)
                        cond_wait(&c->changed, &c->mu);
                else
                        cond_wait_ms(&c->changed, &c->mu, left);
        }
        if (c->inbox.n && !c->ended_hard) {
                what = 1;
                c->taken_bytes += c->inbox.n;
                c->reader.encoding = c->encoding;
                if (!c->reader.in.n) {
                        struct buf taken = c->inbox;
                        c->inbox = c->reader.in;
                        c->reader.in = taken;
                } else {
                        buf_put(&c->reader.in, buf_str(&c->inbox));
                        buf_clear(&c->inbox);
                }
                if (c->taken_bytes >= c->window_bytes / 4 && !c->ended && !c->credit_posted) {
                        c->credit_posted = true;
                        post_locked(c, grpc_call_credit_message);
                }
        } else if (c->ended) {
                what = 0;
        }
        mutex_unlock(&c->mu);
        return what;
}

enum grpc_got grpc_call_recv(struct grpc_call *c, int64_t timeout_ms, Str *ret)
{
        int64_t until_ms = timeout_ms > 0 ? time_mono_ms() + timeout_ms : 0;
        while (!c->finished) {
                struct grpc_status bad = {0};
                int got = grpc_reader_next(&c->reader, ret, &bad);
                if (got == 1) {
                        if (!ret->p)
                                *ret = STR("");
                        c->received++;
                        return GRPC_GOT_MESSAGE;
                }
                if (got < 0) {
                        grpc_call_cancel(c);
                        return finish(c, bad);
                }
                grpc_reader_compact(&c->reader);
                int what = wait_for_bytes(c, until_ms, timeout_ms < 0);
                if (what < 0)
                        return GRPC_GOT_NOTHING;
                if (what > 0)
                        continue;
                /* Ended: the loop does not touch the status any more. */
                struct grpc_status end = c->status;
                c->status = (struct grpc_status){0};
                if (end.code == GRPC_OK && grpc_reader_has_rest(&c->reader))
                        grpc_status_set(&end, GRPC_INTERNAL, "unexpected EOF");
                return finish(c, end);
        }
        return GRPC_GOT_END;
}

const struct grpc_status *grpc_call_get_status(const struct grpc_call *c)
{
        return &c->result;
}

void *grpc_call_get_tag(const struct grpc_call *c)
{
        return c->tag;
}

void grpc_call_cancel(struct grpc_call *c)
{
        mutex_lock(&c->mu);
        if (!c->ended && !c->cancel_posted) {
                c->cancel_posted = true;
                post_locked(c, grpc_call_cancel_message);
        }
        mutex_unlock(&c->mu);
}

void grpc_call_free(struct grpc_call *c)
{
        if (!c)
                return;
        if (c->cl->watch.done)
                c->cl->watch.done(c->cl->watch.ctx, c->path, c->finished ? c->result.code : GRPC_CANCELLED, c->received,
                                  time_mono_ns() - c->begin_ns);
        grpc_call_cancel(c);
        mutex_lock(&c->mu);
        struct grpc_group *g = c->group;
        c->group = NULL;
        if (g) {
                mutex_lock(&g->mu);
                list_remove(&c->ready);
                mutex_unlock(&g->mu);
        }
        mutex_unlock(&c->mu);
        grpc_call_unref(c);
}

struct error *grpc_call_unary(struct grpc_channel *ch, const char *path, const struct grpc_call_opts *o, Str request,
                              struct buf *ret_answer)
{
        struct grpc_call *c = grpc_call_start(ch, path, o, request);
        struct error *e = NULL;
        Str message;
        int n = 0;
        while (grpc_call_recv(c, -1, &message) == GRPC_GOT_MESSAGE)
                if (n++ == 0)
                        buf_put(ret_answer, message);
        e = grpc_status_error(grpc_call_get_status(c));
        if (!e && n != 1)
                e = error_new(ERROR_INTERNAL, "rpc error: code = Internal desc = cardinality violation: %d messages",
                              n);
        if (!e && buf_is_over(ret_answer))
                e = error_new(ERROR_LIMIT, "rpc error: code = ResourceExhausted desc = answer larger than %zu bytes",
                              ret_answer->limit);
        grpc_call_free(c);
        return e;
}

/* --- groups --- */

struct grpc_group *grpc_group_new(void)
{
        struct grpc_group *g = mem_new(struct grpc_group);
        mutex_init(&g->mu);
        cond_init(&g->changed);
        list_init(&g->ready);
        return g;
}

void grpc_group_free(struct grpc_group *g)
{
        if (!g)
                return;
        cond_done(&g->changed);
        mutex_done(&g->mu);
        free(g);
}

struct grpc_call *grpc_group_next(struct grpc_group *g, int64_t timeout_ms)
{
        struct grpc_call *c = NULL;
        int64_t until_ms = timeout_ms > 0 ? time_mono_ms() + timeout_ms : 0;
        mutex_lock(&g->mu);
        while (list_is_empty(&g->ready)) {
                int64_t left = timeout_ms < 0 ? 1 : until_ms - time_mono_ms();
                if (left <= 0)
                        break;
                if (timeout_ms < 0)
                        cond_wait(&g->changed, &g->mu);
                else
                        cond_wait_ms(&g->changed, &g->mu, left);
        }
        if (!list_is_empty(&g->ready)) {
                c = CONTAINER_OF(g->ready.next, struct grpc_call, ready);
                list_remove(&c->ready);
        }
        mutex_unlock(&g->mu);
        return c;
}
