/* SPDX-License-Identifier: Apache-2.0 */
/* remote_read.c — POST /api/v1/read: samples in one protobuf, or XOR chunks in frames.
 *
 * A frame: its length as uvarint, CRC-32C (big-endian), a ChunkedReadResponse with chunks of one series.
 * Format: prompb/remote.proto, types.proto.  Upstream: storage/remote/{read_handler,codec,chunked}.go */
#include <stdio.h>

#include "codec/compress.h"
#include "codec/crc32c.h"
#include "codec/proto.h"
#include "storage/decode.h"
#include "web/remote_write.h"

enum { READ_REQUEST_MAX_BYTES = 32 << 20, READ_ANSWER_MAX_BYTES = 1 << 30, READ_QUERIES_MAX = 1024 };
enum { RESPONSE_SAMPLES = 0, RESPONSE_CHUNKS = 1 };

struct read_query {
        TimeMs start_ms, end_ms;
        MatcherVec matchers;
        struct select_hints hints;
};
struct read_request {
        VEC(struct read_query) queries;
        int response;                           /* of what the client accepts, the first that we speak; -1: none */
        bool accepts_any;                       /* it said what it accepts */
};

static void read_request_done(struct read_request *q)
{
        for (size_t i = 0; i < q->queries.n; i++)
                matcher_vec_done(&q->queries.p[i].matchers);
        vec_done(&q->queries);
}

static struct error *matcher_decode(Str bytes, MatcherVec *out)
{
        struct cursor c = cursor_of(bytes);
        struct proto_field f;
        uint64_t type = 0;
        Str name = STR(""), value = STR("");
        while (proto_next(&c, &f)) {
                if (f.number == 1 && f.wire == 0)
                        type = f.u;
                else if (f.number == 2 && f.wire == 2)
                        name = f.bytes;
                else if (f.number == 3 && f.wire == 2)
                        value = f.bytes;
        }
        if (c.bad)
                return error_new(ERROR_INVALID, "unexpected EOF");
        static const enum matcher_type types[] = {MATCH_EQ, MATCH_NE, MATCH_RE, MATCH_NRE};
        if (type >= ARRAY_LEN(types))
                return error_new(ERROR_INVALID, "invalid matcher type");
        struct matcher *m;
        struct error *e = matcher_new(types[type], name, value, &m);
        if (!e)
                vec_push(out, m);
        return e;
}

static void hints_decode(Str bytes, struct select_hints *h)
{
        struct cursor c = cursor_of(bytes);
        struct proto_field f;
        while (proto_next(&c, &f)) {
                if (f.number == 1 && f.wire == 0)
                        h->step_ms = (int64_t)f.u;
                else if (f.number == 2 && f.wire == 2)
                        h->func = f.bytes;
                else if (f.number == 3 && f.wire == 0)
                        h->start_ms = (int64_t)f.u;
                else if (f.number == 4 && f.wire == 0)
                        h->end_ms = (int64_t)f.u;
                else if (f.number == 7 && f.wire == 0)
                        h->range_ms = (int64_t)f.u;
        }
}

static struct error *query_decode(Str bytes, struct read_query *q)
{
        struct cursor c = cursor_of(bytes);
        struct proto_field f;
        Str hints = STR("");
        while (proto_next(&c, &f)) {
                struct error *e = NULL;
                if (f.number == 1 && f.wire == 0)
                        q->start_ms = (TimeMs)f.u;
                else if (f.number == 2 && f.wire == 0)
                        q->end_ms = (TimeMs)f.u;
                else if (f.number == 3 && f.wire == 2)
                        e = matcher_decode(f.bytes, &q->matchers);
                else if (f.number == 4 && f.wire == 2)
                        hints = f.bytes;
                if (e)
                        return e;
        }
        if (c.bad)
                return error_new(ERROR_INVALID, "unexpected EOF");
        q->hints = (struct select_hints){.start_ms = q->start_ms, .end_ms = q->end_ms};
        hints_decode(hints, &q->hints);
        return NULL;
}

static void accept(struct read_request *q, uint64_t type)
{
        q->accepts_any = true;
        if (q->response < 0 && (type == RESPONSE_SAMPLES || type == RESPONSE_CHUNKS))
                q->response = (int)type;
}

static struct error *request_decode(Str body, struct read_request *q)
{
        struct cursor c = cursor_of(body);
        struct proto_field f;
        q->response = -1;
        while (proto_next(&c, &f)) {
                if (f.number == 1 && f.wire == 2) {
                        if (q->queries.n == READ_QUERIES_MAX)
                                return error_new(ERROR_LIMIT, "more than %d queries in one request", READ_QUERIES_MAX);
                        vec_push(&q->queries, (struct read_query){.matchers = VEC_INIT});
                        struct error *e = query_decode(f.bytes, &q->queries.p[q->queries.n - 1]);
                        if (e)
                                return e;
                } else if (f.number == 2 && f.wire == 0) {
                        accept(q, f.u);
                } else if (f.number == 2 && f.wire == 2) {              /* packed */
                        struct cursor types = cursor_of(f.bytes);
                        while (cursor_left(&types) && !types.bad)
                                accept(q, take_uvarint(&types));
                }
        }
        if (c.bad)
                return error_new(ERROR_INVALID, "unexpected EOF");
        if (!q->accepts_any)
                q->response = RESPONSE_SAMPLES;
        if (q->response < 0)
                return error_new(ERROR_INVALID, "server does not support any of the requested response types");
        return NULL;
}

/* Matchers that ask for our external labels are met by them: they are not in the storage.  Upstream: filterExtLabelsFromMatchers */
static void external_matchers_drop(MatcherVec *m, Labels external)
{
        size_t n = 0;
        for (size_t i = 0; i < m->n; i++) {
                struct matcher *one = m->p[i];
                Str value = labels_get(external, one->name);
                if (one->type == MATCH_EQ && value.n && str_eq(value, one->value))
                        matcher_free(one);
                else
                        m->p[n++] = one;
        }
        m->n = n;
}

static void put_label(struct buf *b, Label l)
{
        size_t at = proto_begin(b, 1);
        proto_put_bytes(b, 1, l.name);
        proto_put_bytes(b, 2, l.value);
        proto_end(b, at);
}

/* Both lists are sorted; a name in both keeps the series' value. */
static void put_labels(struct buf *b, Labels own, Labels external)
{
        size_t i = 0, k = 0;
        while (i < own.n || k < external.n) {
                int c = i == own.n ? 1 : k == external.n ? -1 : str_cmp(own.v[i].name, external.v[k].name);
                put_label(b, c <= 0 ? own.v[i] : external.v[k]);
                i += c <= 0;
                k += c >= 0;
        }
}

struct reading {
        struct web *w;
        struct http_request *r;
        Labels external;
        bool begun;
};

static struct error *count(struct reading *rd, size_t n, uint64_t *total)
{
        *total += n;
        if (rd->w->o.read_sample_limit && *total > rd->w->o.read_sample_limit)
                return error_new(ERROR_LIMIT, "exceeded sample limit (%llu)", (unsigned long long)rd->w->o.read_sample_limit);
        return NULL;
}

static void put_sample(struct buf *out, TimeMs t, double v)
{
        size_t at = proto_begin(out, 2);
        proto_put_f64(out, 1, v);
        proto_put_uint(out, 2, (uint64_t)t);
        proto_end(out, at);
}

static struct error *histograms_write(struct reading *rd, const struct series *s, const struct read_query *q, struct buf *out, uint64_t *total)
{
        struct arena a;
        struct raw_samples raw = {0};
        arena_init(&a, WEB_REQUEST_ARENA_BYTES);
        struct error *e = series_decode_raw(s, q->start_ms, q->end_ms, &a, &raw);
        if (!e)
                e = count(rd, raw.n, total);
        if (!e && raw.n) {
                size_t at = proto_begin(out, 1);
                put_labels(out, s->labels, rd->external);
                for (int pass = 0; pass < 2; pass++) {
                        for (size_t i = 0; i < raw.n; i++) {
                                bool is_float = !raw.h[i].i && !raw.h[i].f;
                                if (is_float && pass == 0)
                                        put_sample(out, raw.t[i], raw.v[i]);
                                else if (!is_float && pass == 1)
                                        remote_put_histogram(out, 4, raw.t[i], raw.h[i]);
                        }
                }
                proto_end(out, at);
        }
        arena_done(&a);
        return e;
}

static struct error *samples_write(struct reading *rd, const struct series *s, const struct read_query *q, struct samples *scratch, struct buf *out, uint64_t *total)
{
        if (series_has_histograms(s, q->start_ms, q->end_ms))
                return histograms_write(rd, s, q, out, total);
        struct error *e = series_decode(s, q->start_ms, q->end_ms, scratch);
        if (e || scratch->n == 0)
                return e;
        e = count(rd, scratch->n, total);
        if (e)
                return e;
        size_t series_at = proto_begin(out, 1);
        put_labels(out, s->labels, rd->external);
        for (size_t i = 0; i < scratch->n; i++)
                put_sample(out, scratch->t[i], scratch->v[i]);
        proto_end(out, series_at);
        return NULL;
}

static struct error *query_samples(struct reading *rd, const struct read_query *q, struct querier *querier, struct buf *out)
{
        struct series_set *set;
        struct samples scratch = SAMPLES_INIT;
        uint64_t total = 0;
        size_t result_at = proto_begin(out, 1);
        struct error *e = querier_select(querier, &q->hints, (const struct matcher *const *)q->matchers.p, q->matchers.n, &set);
        for (bool more = true; !e && more;) {
                struct series s;
                e = series_set_next(set, &s, &more);
                if (!e && more)
                        e = samples_write(rd, &s, q, &scratch, out, &total);
                if (!e && buf_is_over(out))
                        e = error_new(ERROR_LIMIT, "the answer is larger than %d bytes: ask for streamed chunks", READ_ANSWER_MAX_BYTES);
                if (!e && http_request_gone(rd->r))
                        e = error_new(ERROR_CANCELLED, "context canceled");
        }
        samples_done(&scratch);
        if (!e)
                proto_end(out, result_at);
        return e;
}

static void put_chunk(struct buf *b, const struct chunk *c)
{
        size_t at = proto_begin(b, 2);
        proto_put_uint(b, 1, (uint64_t)c->mint_ms);
        proto_put_uint(b, 2, (uint64_t)c->maxt_ms);
        proto_put_uint(b, 3, c->encoding);
        proto_put_bytes(b, 4, c->data);
        proto_end(b, at);
}

static struct error *frame_send(struct reading *rd, Str message)
{
        struct buf head = BUF_INIT(64);
        buf_put_uvarint(&head, message.n);
        buf_put_be32(&head, crc32c(0, message.p, message.n));
        if (!rd->begun)
                http_begin(rd->r, 200, "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse");
        rd->begun = true;
        struct error *e = http_write(rd->r, buf_str(&head));
        if (!e)
                e = http_write(rd->r, message);
        buf_done(&head);
        return e;
}

static bool is_plain(const struct series *s, const struct read_query *q)
{
        if (s->n_deleted)
                return false;
        for (size_t i = 0; i < s->n_chunks; i++) {
                if (s->chunks[i].mint_ms < q->start_ms || s->chunks[i].maxt_ms > q->end_ms || (i && s->chunks[i].mint_ms <= s->chunks[i - 1].maxt_ms))
                        return false;
        }
        return true;
}

/* Chunks that reach beyond the range, overlap or have deletions are made anew, so that the client gets what it asked for and no more. */
static struct error *series_chunks(struct reading *rd, const struct series *s, const struct read_query *q, uint64_t query_index, struct samples *scratch, struct arena *a)
{
        const struct chunk *chunks = s->chunks;
        size_t n = s->n_chunks;
        if (!is_plain(s, q)) {
                struct chunk *made;
                struct error *e = series_encode_anew(s, q->start_ms, q->end_ms, scratch, a, &made, &n);
                if (e)
                        return e;
                chunks = made;
        }
        struct buf labels = BUF_INIT(64 << 20), body = BUF_INIT(READ_ANSWER_MAX_BYTES), frame = BUF_INIT(READ_ANSWER_MAX_BYTES);
        put_labels(&labels, s->labels, rd->external);
        size_t limit = rd->w->o.read_frame_bytes > labels.n ? rd->w->o.read_frame_bytes - labels.n : 0;
        struct error *e = NULL;
        for (size_t i = 0; !e && i < n; i++) {
                put_chunk(&body, &chunks[i]);
                if (body.n < limit && i + 1 < n)
                        continue;
                buf_clear(&frame);
                size_t at = proto_begin(&frame, 1);
                buf_put(&frame, buf_str(&labels));
                buf_put(&frame, buf_str(&body));
                proto_end(&frame, at);
                proto_put_uint(&frame, 2, query_index);
                e = buf_is_over(&frame) || buf_is_over(&body) ? error_new(ERROR_LIMIT, "a series' chunks are larger than %d bytes", READ_ANSWER_MAX_BYTES)
                                                              : frame_send(rd, buf_str(&frame));
                buf_clear(&body);
        }
        buf_done(&labels);
        buf_done(&body);
        buf_done(&frame);
        return e;
}

static struct error *query_chunks(struct reading *rd, const struct read_query *q, uint64_t index, struct querier *querier)
{
        struct series_set *set;
        struct samples scratch = SAMPLES_INIT;
        struct select_hints h = q->hints;
        struct arena chunks;
        arena_init(&chunks, WEB_REQUEST_ARENA_BYTES);
        h.sorted = true;
        struct error *e = querier_select(querier, &h, (const struct matcher *const *)q->matchers.p, q->matchers.n, &set);
        for (bool more = true; !e && more;) {
                struct series s;
                e = series_set_next(set, &s, &more);
                if (!e && more)
                        e = series_chunks(rd, &s, q, index, &scratch, &chunks);
                arena_clear(&chunks);
        }
        samples_done(&scratch);
        arena_done(&chunks);
        return e;
}

static struct error *query_run(struct reading *rd, struct read_query *q, uint64_t index, int response, struct buf *out)
{
        struct querier *querier = NULL;
        struct arena arena;
        arena_init(&arena, WEB_REQUEST_ARENA_BYTES);
        external_matchers_drop(&q->matchers, rd->external);
        struct error *e = storage_querier(web_whole_storage(rd->w), q->start_ms, q->end_ms, &arena, &querier);
        if (!e)
                e = response == RESPONSE_CHUNKS ? query_chunks(rd, q, index, querier) : query_samples(rd, q, querier, out);
        querier_close(querier);
        arena_done(&arena);
        return e;
}

/* A place among the concurrent reads; false: the client left while it waited. */
static bool place_take(struct web *w, struct http_request *r)
{
        enum { LOOK_AGAIN_MS = 100 };
        bool ok = true;
        mutex_lock(&w->read_mu);
        while (ok && w->o.read_concurrency > 0 && w->reads >= w->o.read_concurrency) {
                cond_wait_ms(&w->read_cond, &w->read_mu, LOOK_AGAIN_MS);
                ok = !http_request_gone(r);
        }
        if (ok)
                w->reads++;
        mutex_unlock(&w->read_mu);
        return ok;
}

static void place_give(struct web *w)
{
        mutex_lock(&w->read_mu);
        w->reads--;
        cond_signal(&w->read_cond);
        mutex_unlock(&w->read_mu);
}

static void fail(struct reading *rd, int status, struct error *take_e)
{
        if (rd->begun) {
                http_abort(rd->r);
        } else {
                http_set_header(rd->r, "X-Content-Type-Options", STR("nosniff"));
                http_replyf(rd->r, status, "text/plain; charset=utf-8", "%s\n", error_str(take_e));
        }
        error_free(take_e);
}

static void answer(struct reading *rd, struct read_request *q)
{
        struct buf out = BUF_INIT(READ_ANSWER_MAX_BYTES);
        struct error *e = NULL;
        for (size_t i = 0; !e && i < q->queries.n; i++)
                e = query_run(rd, &q->queries.p[i], i, q->response, &out);
        if (e) {
                fail(rd, error_is(e, ERROR_LIMIT) && str_has_prefix(str_from(error_str(e)), STR("exceeded sample limit")) ? 400 : 500, e);
        } else if (q->response == RESPONSE_CHUNKS) {
                if (!rd->begun)
                        http_begin(rd->r, 200, "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse");
                http_end(rd->r);
        } else {
                struct buf packed = BUF_INIT(BUF_NO_LIMIT);
                snappy_compress_block(buf_str(&out), &packed);
                http_set_header(rd->r, "Content-Encoding", STR("snappy"));
                http_reply(rd->r, 200, "application/x-protobuf", buf_str(&packed));
                buf_done(&packed);
        }
        buf_done(&out);
}

static void remote_read(struct http_request *r, void *ctx)
{
        struct web *w = ctx;
        struct reading rd = {.w = w, .r = r};
        struct read_request q = {.queries = VEC_INIT};
        struct buf body = BUF_INIT(READ_REQUEST_MAX_BYTES);
        if (!place_take(w, r)) {
                http_reply(r, 500, "text/plain; charset=utf-8", STR("context canceled\n"));
                return;
        }
        metric_add(w->read_queries, 1);
        rd.external = w->o.external_labels(w->o.app, r->arena);
        struct error *e = snappy_uncompress_block(r->body, &body);
        if (!e)
                e = request_decode(buf_str(&body), &q);
        if (e)
                fail(&rd, 400, e);
        else
                answer(&rd, &q);
        metric_add(w->read_queries, -1);
        place_give(w);
        read_request_done(&q);
        buf_done(&body);
}

void remote_read_register(struct web *w)
{
        api_handle_raw(w, "read", HTTP_POST, remote_read);
}
