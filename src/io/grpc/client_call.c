/* SPDX-License-Identifier: Apache-2.0 */
/* client_call.c — calls on the loop: their streams, heads, bytes, deadlines, and how they end. */
#include <stdio.h>

#include "base/clock.h"
#include "io/grpc/client_impl.h"
#include "io/http/server.h"

/* --- ends --- */

void grpc_call_end(struct grpc_call *c, bool hard, int code, const char *fmt, ...)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        va_list ap;
        va_start(ap, fmt);
        buf_vprintf(&b, fmt, ap);
        va_end(ap);
        if (c->conn && c->stream_id)
                nghttp2_session_set_stream_user_data(c->conn->session, c->stream_id, NULL);
        list_remove(&c->link);
        loop_timer_clear(c->l, &c->deadline);
        c->conn = NULL;
        c->ch = NULL;
        mutex_lock(&c->mu);
        c->status = (struct grpc_status){code, buf_take(&b)};
        c->ended = true;
        c->ended_hard = hard;
        grpc_call_tell_locked(c);
        mutex_unlock(&c->mu);
        grpc_call_unref(c);
}

/* From our side, while the peer may still work on it. */
static void abandon(struct grpc_call *c, int code, const char *text)
{
        struct grpc_conn *k = c->conn;
        int32_t id = c->stream_id;
        grpc_call_end(c, /* hard= */ true, code, "%s", text);
        if (!k)
                return;
        nghttp2_submit_rst_stream(k->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
        if (!k->in_session)
                grpc_conn_flush(k);
}

static int code_of_reset(uint32_t h2)
{
        switch (h2) {
        case NGHTTP2_REFUSED_STREAM:
                return GRPC_UNAVAILABLE;
        case NGHTTP2_CANCEL:
                return GRPC_CANCELLED;
        case NGHTTP2_ENHANCE_YOUR_CALM:
                return GRPC_RESOURCE_EXHAUSTED;
        case NGHTTP2_INADEQUATE_SECURITY:
                return GRPC_PERMISSION_DENIED;
        }
        return GRPC_INTERNAL;
}

static const char *type_of(const struct grpc_call *c)
{
        return c->content_type ? c->content_type : "";
}

static int on_stream_close(nghttp2_session *s, int32_t id, uint32_t h2_code, void *arg)
{
        (void)arg;
        struct grpc_call *c = nghttp2_session_get_stream_user_data(s, id);
        if (!c)
                return 0;
        if (c->has_status) {
                const char *message = c->trailer.message ? c->trailer.message : "";
                grpc_call_end(c, false, c->trailer.code, "%s", message);
        } else if ((h2_code == NGHTTP2_REFUSED_STREAM || c->not_sent) && !c->answered && !c->retried &&
                   !c->ch->closing) {
                struct grpc_channel *ch = c->ch;
                nghttp2_session_set_stream_user_data(s, id, NULL);
                list_remove(&c->link);
                c->retried = !c->not_sent; /* what was not sent may be sent again as often as it takes */
                c->not_sent = false;
                c->conn = NULL;
                c->stream_id = 0;
                c->request_at = 0;
                list_push_back(&ch->waiting, &c->link); /* the connection kicks when nghttp2 is done */
        } else if (c->answered && c->http_status != 200) {
                grpc_call_end(c, false, grpc_code_of_http(c->http_status),
                              "unexpected HTTP status code received from server: %d (%s); transport: received "
                              "unexpected content-type \"%s\"",
                              c->http_status, http_status_text(c->http_status), type_of(c));
        } else if (c->answered && !c->is_grpc) {
                grpc_call_end(c, false, GRPC_UNKNOWN, "transport: received unexpected content-type \"%s\"", type_of(c));
        } else if (h2_code != NGHTTP2_NO_ERROR) {
                grpc_call_end(c, false, code_of_reset(h2_code), "stream terminated by RST_STREAM with error code: %s",
                              nghttp2_http2_strerror(h2_code));
        } else {
                grpc_call_end(c, false, GRPC_INTERNAL, "server closed the stream without sending trailers");
        }
        return 0;
}

/* --- what comes --- */

static bool is_grpc_type(Str type)
{
        Str rest = str_trim_prefix(type, STR("application/grpc"));
        return rest.n < type.n && (!rest.n || rest.p[0] == '+' || rest.p[0] == ';');
}

static void take_message(struct grpc_call *c, Str v)
{
        struct buf b = BUF_INIT(CLIENT_HEADER_BYTES_MAX);
        grpc_message_unescape(&b, v);
        free(c->trailer.message);
        c->trailer.message = buf_take(&b);
}

static int on_header(nghttp2_session *s, const nghttp2_frame *f, const uint8_t *name, size_t n_name,
                     const uint8_t *value, size_t n_value, uint8_t flags, void *arg)
{
        (void)flags;
        (void)arg;
        struct grpc_call *c = nghttp2_session_get_stream_user_data(s, f->hd.stream_id);
        if (!c)
                return 0;
        c->header_bytes += n_name + n_value + 32;
        if (c->header_bytes > CLIENT_HEADER_BYTES_MAX)
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE; /* resets the stream */
        Str k = {(const char *)name, n_name}, v = {(const char *)value, n_value};
        uint64_t n;
        if (str_eq(k, STR(":status"))) {
                c->http_status = str_to_u64(v, &n) && n < 1000 ? (int)n : 0;
                c->answered = true;
        } else if (str_eq(k, STR("content-type"))) {
                free(c->content_type);
                c->content_type = str_dup(v);
                c->is_grpc = is_grpc_type(v);
        } else if (str_eq(k, STR("grpc-status"))) {
                c->trailer.code = str_to_u64(v, &n) && n < INT32_MAX ? (int)n : GRPC_UNKNOWN;
                c->has_status = true;
        } else if (str_eq(k, STR("grpc-message"))) {
                take_message(c, v);
        } else if (str_eq(k, STR("grpc-encoding"))) {
                enum grpc_encoding e;
                c->bad_encoding = !grpc_encoding_parse(v, &e);
                mutex_lock(&c->mu);
                if (!c->bad_encoding)
                        c->encoding = e;
                mutex_unlock(&c->mu);
        }
        return 0;
}

static int on_data(nghttp2_session *s, uint8_t flags, int32_t id, const uint8_t *p, size_t n, void *arg)
{
        (void)flags;
        (void)arg;
        nghttp2_session_consume_connection(s, n); /* one call that nobody reads stops no other */
        struct grpc_call *c = nghttp2_session_get_stream_user_data(s, id);
        if (!c)
                return 0;
        if (c->bad_encoding) {
                abandon(c, GRPC_INTERNAL, "grpc: Decompressor is not installed for the grpc-encoding of the answer");
                return 0;
        }
        if (c->http_status != 200 || !c->is_grpc) { /* a page of some proxy: read over; its window ends it */
                nghttp2_submit_rst_stream(s, NGHTTP2_FLAG_NONE, id, NGHTTP2_CANCEL);
                return 0;
        }
        mutex_lock(&c->mu);
        buf_append(&c->inbox, p, n);
        grpc_call_tell_locked(c);
        mutex_unlock(&c->mu);
        return 0;
}

/* Its head cannot go: the connection said GOAWAY. nghttp2 closes the stream next. */
static int on_frame_not_send(nghttp2_session *s, const nghttp2_frame *f, int why, void *arg)
{
        (void)arg;
        struct grpc_call *c =
                f->hd.type == NGHTTP2_HEADERS ? nghttp2_session_get_stream_user_data(s, f->hd.stream_id) : NULL;
        if (c && why == NGHTTP2_ERR_START_STREAM_NOT_ALLOWED)
                c->not_sent = true;
        return 0;
}

static int on_frame_recv(nghttp2_session *s, const nghttp2_frame *f, void *arg)
{
        (void)s;
        struct grpc_conn *k = arg;
        if (f->hd.type == NGHTTP2_SETTINGS && !(f->hd.flags & NGHTTP2_FLAG_ACK))
                k->greeted = true;
        else if (f->hd.type == NGHTTP2_GOAWAY)
                k->goaway = true;
        return 0;
}

nghttp2_session_callbacks *grpc_call_callbacks(void)
{
        nghttp2_session_callbacks *cb;
        if (nghttp2_session_callbacks_new(&cb))
                bug("nghttp2: out of memory");
        nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
        nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame_recv);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
        nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
        nghttp2_session_callbacks_set_on_frame_not_send_callback(cb, on_frame_not_send);
        return cb;
}

/* --- what goes --- */

static ssize_t read_request(nghttp2_session *s, int32_t id, uint8_t *to, size_t n, uint32_t *flags,
                            nghttp2_data_source *source, void *arg)
{
        (void)source; /* the call may be over, and its memory gone: only the stream knows */
        (void)arg;
        struct grpc_call *c = nghttp2_session_get_stream_user_data(s, id);
        if (!c)
                return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
        size_t left = c->request.n - c->request_at, k = MIN(n, left);
        memcpy(to, c->request.p + c->request_at, k);
        c->request_at += k;
        if (k == left)
                *flags |= NGHTTP2_DATA_FLAG_EOF;
        return (ssize_t)k;
}

static nghttp2_nv pair(Str name, Str value)
{
        return (nghttp2_nv){(uint8_t *)name.p, (uint8_t *)(value.n ? value.p : ""), name.n, value.n, 0};
}

int grpc_call_submit(struct grpc_call *c, struct grpc_conn *k)
{
        char timeout[16];
        nghttp2_nv *v = mem_realloc_array(NULL, 10 + c->n_metadata, sizeof *v);
        size_t n = 0;
        v[n++] = pair(STR(":method"), STR("POST"));
        v[n++] = pair(STR(":scheme"), k->ssl ? STR("https") : STR("http"));
        v[n++] = pair(STR(":path"), str_from(c->path));
        v[n++] = pair(STR(":authority"), str_from(c->ch->target));
        v[n++] = pair(STR("content-type"), STR("application/grpc"));
        v[n++] = pair(STR("user-agent"), STR("coeus/" COEUS_VERSION));
        v[n++] = pair(STR("te"), STR("trailers"));
        v[n++] = pair(STR("grpc-accept-encoding"), STR(GRPC_ACCEPT_ENCODING));
        if (c->ch->o.compression != GRPC_IDENTITY)
                v[n++] = pair(STR("grpc-encoding"), grpc_encoding_name(c->ch->o.compression));
        if (c->deadline_ns) {
                grpc_timeout_put((c->deadline_ns - time_mono_ns()) / 1000000, timeout);
                v[n++] = pair(STR("grpc-timeout"), str_from(timeout));
        }
        for (size_t i = 0; i < c->n_metadata; i++)
                v[n++] = pair(c->metadata[i].name, c->metadata[i].value);
        nghttp2_data_provider body = {.read_callback = read_request};
        int32_t id = nghttp2_submit_request(k->session, NULL, v, n, &body, c);
        free(v);
        if (id < 0)
                return id;
        c->stream_id = id;
        c->conn = k;
        list_remove(&c->link);
        list_push_back(&k->calls, &c->link);
        return 0;
}

/* --- from the users' threads; each message holds a reference --- */

static void deadline_fire(struct loop_timer *t)
{
        abandon(CONTAINER_OF(t, struct grpc_call, deadline), GRPC_DEADLINE_EXCEEDED, "context deadline exceeded");
}

void grpc_call_start_message(void *arg)
{
        struct grpc_call *c = arg; /* the message's reference becomes the loop's */
        c->deadline.fire = deadline_fire;
        struct grpc_channel *ch = c->ch;
        if (c->request_at == SIZE_MAX) {
                grpc_call_end(c, true, GRPC_RESOURCE_EXHAUSTED, "grpc: request message too large");
                return;
        }
        if (c->deadline_ns)
                loop_timer_set_ns(c->l, &c->deadline, c->deadline_ns);
        list_push_back(&ch->waiting, &c->link);
        grpc_channel_kick(ch);
}

void grpc_call_cancel_message(void *arg)
{
        struct grpc_call *c = arg;
        if (c->ch)
                abandon(c, GRPC_CANCELLED, "context canceled");
        grpc_call_unref(c);
}

void grpc_call_credit_message(void *arg)
{
        struct grpc_call *c = arg;
        mutex_lock(&c->mu);
        size_t n = c->taken_bytes;
        c->taken_bytes = 0;
        c->credit_posted = false;
        mutex_unlock(&c->mu);
        if (c->conn && c->stream_id) {
                nghttp2_session_consume_stream(c->conn->session, c->stream_id, n);
                grpc_conn_flush(c->conn);
        }
        grpc_call_unref(c);
}
