/* SPDX-License-Identifier: Apache-2.0 */
/* series.c — Series over remote read: XOR chunks in frames, or samples where Prometheus is too old for them.
 *
 * A frame: its length as uvarint, CRC-32C (big-endian), a ChunkedReadResponse.  Format: prompb/remote.proto, types.proto; upstream:
 * storage/remote/chunked.go, thanos pkg/store/prometheus.go */
#include <stdio.h>

#include "base/hash.h"
#include "base/log.h"
#include "codec/compress.h"
#include "codec/crc32c.h"
#include "codec/proto.h"
#include "storage/chunk/xor.h"
#include "thanos/sidecar/sidecar_impl.h"

enum { FRAME_MAX_BYTES = 50000000, FRAME_HEAD_MAX_BYTES = 9, SAMPLES_OF_A_CHUNK = 120 };
#define SAMPLES_MAX_BYTES ((size_t)1 << 30)

/* --- one series of an answer --- */

struct reader {
        struct order *order;
        LabelVec labels;
        size_t label_bytes;
        bool unsorted;
        struct buf chunks; /* as they go out */
        size_t n_chunks;
        VEC(struct pb_sample) samples;
        uint64_t n_frames, n_empty;
};

static void reader_done(struct reader *r)
{
        vec_done(&r->labels);
        buf_done(&r->chunks);
        vec_done(&r->samples);
}

static void reader_next(struct reader *r)
{
        vec_clear(&r->labels);
        vec_clear(&r->samples);
        buf_clear(&r->chunks);
        r->n_chunks = r->label_bytes = 0;
        r->unsorted = false;
}

static struct error *malformed(const char *what)
{
        return error_new(ERROR_CORRUPT, "malformed %s", what);
}

static struct error *take_label(struct reader *r, Str bytes)
{
        struct cursor c = cursor_of(bytes);
        struct proto_field f;
        Label l = {0};
        while (proto_next(&c, &f)) {
                if (f.number == 1 && f.wire == 2)
                        l.name = f.bytes;
                else if (f.number == 2 && f.wire == 2)
                        l.value = f.bytes;
        }
        if (c.bad)
                return malformed("label");
        if (!l.name.n || !l.value.n)
                return NULL; /* no label */
        r->label_bytes += l.name.n + l.value.n;
        if (r->labels.n == SIDECAR_LABELS_MAX || r->label_bytes > SIDECAR_LABELS_MAX_BYTES)
                return error_new(ERROR_LIMIT, "a series with more than %d labels, or than %d bytes of them", SIDECAR_LABELS_MAX, SIDECAR_LABELS_MAX_BYTES);
        r->unsorted |= r->labels.n && str_cmp(r->labels.p[r->labels.n - 1].name, l.name) >= 0;
        vec_push(&r->labels, l);
        return NULL;
}

static struct error *labels_finish(struct reader *r, Labels *ret)
{
        if (r->unsorted)
                labels_sort(r->labels.p, r->labels.n);
        for (size_t i = 1; r->unsorted && i < r->labels.n; i++)
                if (str_eq(r->labels.p[i].name, r->labels.p[i - 1].name))
                        return error_new(ERROR_CORRUPT, "series with label " STR_FMT " twice", STR_ARG(r->labels.p[i].name));
        *ret = (Labels){r->labels.p, r->labels.n};
        return NULL;
}

static struct error *take_chunk(struct reader *r, Str bytes)
{
        struct cursor c = cursor_of(bytes);
        struct proto_field f;
        struct store_chunk k = {0};
        uint64_t type = 0;
        while (proto_next(&c, &f)) {
                if (f.number == 1 && f.wire == 0)
                        k.mint_ms = (TimeMs)f.u;
                else if (f.number == 2 && f.wire == 0)
                        k.maxt_ms = (TimeMs)f.u;
                else if (f.number == 3 && f.wire == 0)
                        type = f.u;
                else if (f.number == 4 && f.wire == 2)
                        k.raw = f.bytes;
        }
        if (c.bad)
                return malformed("chunk");
        if (type < CHUNK_XOR || type > CHUNK_FLOAT_HISTOGRAM_ST)
                return error_new(ERROR_CORRUPT, "chunk with unknown encoding %llu", (unsigned long long)type);
        k.encoding = (enum chunk_encoding)type;
        series_put_chunk(&r->chunks, &k);
        r->n_chunks++;
        return NULL;
}

static struct error *series_finish(struct reader *r, bool *ret_full)
{
        Labels l;
        struct error *e = labels_finish(r, &l);
        if (!e && buf_is_over(&r->chunks))
                e = error_new(ERROR_LIMIT, "a series of more than %zu bytes", r->chunks.limit);
        if (!e && r->n_chunks)
                e = order_add(r->order, l, buf_str(&r->chunks), r->n_chunks, ret_full);
        else if (!e)
                r->n_empty++;
        return e;
}

/* --- streamed --- */

static struct error *take_chunked_series(struct reader *r, Str bytes, bool *ret_full)
{
        struct cursor c = cursor_of(bytes);
        struct proto_field f;
        struct error *e = NULL;
        reader_next(r);
        while (!e && proto_next(&c, &f)) {
                if (f.number == 1 && f.wire == 2)
                        e = take_label(r, f.bytes);
                else if (f.number == 2 && f.wire == 2)
                        e = take_chunk(r, f.bytes);
        }
        if (!e && c.bad)
                e = malformed("series");
        return e ? e : series_finish(r, ret_full);
}

static struct error *take_frame(struct reader *r, Str bytes, bool *ret_full)
{
        struct cursor c = cursor_of(bytes);
        struct proto_field f;
        struct error *e = NULL;
        while (!e && !*ret_full && proto_next(&c, &f))
                if (f.number == 1 && f.wire == 2)
                        e = take_chunked_series(r, f.bytes, ret_full);
        return e || !c.bad ? e : malformed("frame");
}

/* The next frame's message; *ret_more is false where the stream ends. */
static struct error *next_frame(struct prom_stream *s, Str *ret, bool *ret_more)
{
        Str head;
        struct error *e = prom_stream_peek(s, FRAME_HEAD_MAX_BYTES, &head);
        *ret_more = !e && head.n > 0;
        if (!*ret_more)
                return e;
        struct cursor c = cursor_of(head);
        uint64_t n = take_uvarint(&c);
        size_t head_n = head.n - cursor_left(&c) + 4;
        if (c.bad && head.n >= FRAME_HEAD_MAX_BYTES)
                return error_new(ERROR_CORRUPT, "chunkedReader: the length of a frame is no number");
        if (c.bad || head.n < head_n)
                return error_new(ERROR_IO, "unexpected EOF");
        if (n > FRAME_MAX_BYTES)
                return error_new(ERROR_LIMIT, "chunkedReader: message size exceeded the limit %d bytes; got: %llu bytes", FRAME_MAX_BYTES, (unsigned long long)n);
        e = prom_stream_peek(s, head_n + (size_t)n, &head);
        if (e)
                return e;
        if (head.n < head_n + n)
                return error_new(ERROR_IO, "unexpected EOF");
        *ret = str_sub(head, head_n, head_n + (size_t)n);
        if (get_be32(head.p + head_n - 4) != crc32c(0, ret->p, ret->n))
                return error_new(ERROR_CORRUPT, "chunkedReader: corrupted frame; checksum mismatch");
        prom_stream_skip(s, head_n + (size_t)n);
        return NULL;
}

static struct error *read_frames(struct reader *r, struct prom_stream *s)
{
        for (bool full = false; !full;) {
                Str message;
                bool more;
                struct error *e = next_frame(s, &message, &more);
                if (e)
                        return error_wrap(e, "next proto");
                if (!more)
                        break;
                r->n_frames++;
                e = take_frame(r, message, &full);
                if (e)
                        return e;
        }
        return order_end(r->order);
}

/* --- samples --- */

static struct error *take_sample(struct reader *r, Str bytes)
{
        struct cursor c = cursor_of(bytes);
        struct proto_field f;
        struct pb_sample s = {0};
        while (proto_next(&c, &f)) {
                if (f.number == 1 && f.wire == 1)
                        s.value = proto_f64(f.u);
                else if (f.number == 2 && f.wire == 0)
                        s.timestamp = (int64_t)f.u;
        }
        if (c.bad)
                return malformed("sample");
        vec_push(&r->samples, s);
        return NULL;
}

static void encode_samples(struct reader *r)
{
        uint8_t room[SAMPLES_OF_A_CHUNK * XOR_SAMPLE_MAX_BYTES + 64];
        for (size_t at = 0; at < r->samples.n;) {
                struct xor_appender x;
                size_t end = MIN(at + SAMPLES_OF_A_CHUNK, r->samples.n);
                struct store_chunk k = {.mint_ms = r->samples.p[at].timestamp, .maxt_ms = r->samples.p[end - 1].timestamp, .encoding = CHUNK_XOR};
                xor_appender_init(&x, room);
                for (; at < end; at++)
                        if (!xor_append(&x, room, sizeof room, r->samples.p[at].timestamp, r->samples.p[at].value))
                                bug("a chunk of %d samples does not fit", SAMPLES_OF_A_CHUNK);
                k.raw = (Str){(char *)room, xor_bytes(&x)};
                series_put_chunk(&r->chunks, &k);
                r->n_chunks++;
        }
}

static struct error *take_time_series(struct reader *r, Str bytes)
{
        struct cursor c = cursor_of(bytes);
        struct proto_field f;
        struct error *e = NULL;
        bool full;
        reader_next(r);
        while (!e && proto_next(&c, &f)) {
                if (f.number == 1 && f.wire == 2)
                        e = take_label(r, f.bytes);
                else if (f.number == 2 && f.wire == 2)
                        e = take_sample(r, f.bytes);
        }
        if (!e && c.bad)
                e = malformed("series");
        if (e)
                return e;
        encode_samples(r);
        return series_finish(r, &full); /* everything is gathered */
}

static struct error *take_result(struct reader *r, Str bytes)
{
        struct cursor c = cursor_of(bytes);
        struct proto_field f;
        struct error *e = NULL;
        while (!e && proto_next(&c, &f))
                if (f.number == 1 && f.wire == 2)
                        e = take_time_series(r, f.bytes);
        return e || !c.bad ? e : malformed("result");
}

static struct error *take_results(struct reader *r, Str bytes)
{
        struct cursor c = cursor_of(bytes);
        struct proto_field f;
        Str result = {0};
        size_t n = 0;
        while (proto_next(&c, &f))
                if (f.number == 1 && f.wire == 2) {
                        result = f.bytes;
                        n++;
                }
        if (c.bad)
                return error_new(ERROR_CORRUPT, "unmarshal response");
        return n == 1 ? take_result(r, result) : error_new(ERROR_CORRUPT, "unexpected result size %zu", n);
}

static struct error *read_samples(struct reader *r, struct prom_stream *s)
{
        struct buf packed = BUF_INIT(SAMPLES_MAX_BYTES), bytes = BUF_INIT(SAMPLES_MAX_BYTES);
        struct error *e = NULL;
        for (Str piece = {"", 1}; !e && piece.n;) {
                e = prom_stream_peek(s, 1, &piece);
                if (e)
                        break;
                buf_put(&packed, piece);
                prom_stream_skip(s, piece.n);
        }
        if (!e && buf_is_over(&packed))
                e = error_new(ERROR_LIMIT, "an answer of more than %zu bytes", packed.limit);
        if (e)
                e = error_wrap(e, "copy response");
        else if ((e = snappy_uncompress_block(buf_str(&packed), &bytes)))
                e = error_wrap(e, "decompress response");
        buf_done(&packed);
        if (!e)
                e = take_results(r, buf_str(&bytes));
        buf_done(&bytes);
        return e ? e : order_end(r->order);
}

struct error *sidecar_take_message(struct order *o, Str message, bool is_samples)
{
        struct reader r = {.order = o, .chunks = BUF_INIT(PROM_ANSWER_MAX_BYTES)};
        bool full = false;
        struct error *e = is_samples ? take_results(&r, message) : take_frame(&r, message, &full);
        reader_done(&r);
        return e;
}

/* --- the request --- */

static void put_request(struct buf *b, const struct pb_series_request *q, const MatcherVec *m)
{
        static const int32_t types[] = {[MATCH_EQ] = PB_MATCHER_TYPE_EQ, [MATCH_NE] = PB_MATCHER_TYPE_NEQ, [MATCH_RE] = PB_MATCHER_TYPE_RE, [MATCH_NRE] = PB_MATCHER_TYPE_NRE};
        size_t query = proto_begin(b, 1);
        proto_put_uint(b, 1, (uint64_t)q->min_time);
        proto_put_uint(b, 2, (uint64_t)q->max_time);
        for (size_t i = 0; i < m->n; i++) {
                size_t at = proto_begin(b, 3);
                proto_put_uint(b, 1, (uint64_t)types[m->p[i]->type]);
                proto_put_bytes(b, 2, m->p[i]->name);
                proto_put_bytes(b, 3, m->p[i]->value);
                proto_end(b, at);
        }
        proto_end(b, query);
        proto_put_bytes(b, 2, (Str){"\1\0", 2}); /* STREAMED_XOR_CHUNKS, else SAMPLES */
}

static struct error *remote_read(struct call *c, const struct pb_series_request *q, const MatcherVec *m, struct prom_stream **ret)
{
        static const struct http_header headers[] = {{STR_INIT("Content-Encoding"), STR_INIT("snappy")},
                                                     {STR_INIT("Content-Type"), STR_INIT("application/x-stream-protobuf")},
                                                     {STR_INIT("X-Prometheus-Remote-Read-Version"), STR_INIT("0.1.0")}};
        struct buf b = BUF_INIT(64 << 20), packed = BUF_INIT(80 << 20);
        put_request(&b, q, m);
        snappy_compress_block(buf_str(&b), &packed);
        struct error *e = prom_post(c->s->prom, "/api/v1/read", buf_str(&packed), headers, ARRAY_LEN(headers), &c->wait, ret);
        buf_done(&b);
        buf_done(&packed);
        return e ? error_wrap(e, "query Prometheus") : NULL;
}

struct grpc_sink {
        struct store_sink base;
        struct grpc_stream *st;
};

static struct error *sink_send(struct store_sink *s, Str message)
{
        return grpc_send(CONTAINER_OF(s, struct grpc_sink, base)->st, message);
}

static struct error *read_series(struct call *c, const struct pb_series_request *q, const MatcherVec *m, struct order_opts *o)
{
        struct prom_stream *s;
        struct error *e = remote_read(c, q, m, &s);
        if (e)
                return e;
        Str type = prom_stream_type(s);
        struct reader r = {.chunks = BUF_INIT(PROM_ANSWER_MAX_BYTES)};
        if (str_has_prefix(type, STR("application/x-protobuf"))) {
                o->gathers = true; /* samples come in no order */
                r.order = order_new(o);
                e = read_samples(&r, s);
        } else if (str_has_prefix(type, STR("application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"))) {
                r.order = order_new(o);
                e = read_frames(&r, s);
                metric_observe(c->s->frames, (double)r.n_frames);
        } else {
                e = error_new(ERROR_UNSUPPORTED, "not supported remote read content type: " STR_FMT, STR_ARG(type));
        }
        if (r.order && order_is_broken(r.order))
                __atomic_store_n(&c->s->always_gathers, true, __ATOMIC_SEQ_CST);
        if (r.n_empty)
                log_debug("", "found timeseries without any chunk", KV_I("series", r.n_empty));
        if (!e && r.order) {
                uint64_t n_series, n_chunks;
                order_counts(r.order, &n_series, &n_chunks);
                metric_observe(c->s->series_requested, (double)n_series);
                metric_observe(c->s->chunks_requested, (double)n_chunks);
        }
        order_free(r.order);
        reader_done(&r);
        prom_stream_close(s);
        return e;
}

static struct error *select_series(struct call *c, struct pb_series_request *q, const MatcherVec *m)
{
        struct grpc_sink sink = {{sink_send}, c->st};
        struct order_opts o = {.sink = &sink.base,
                               .batch = q->response_batch_size,
                               .series_max = c->s->series_max,
                               .samples_max = c->s->samples_max,
                               .limit = q->limit > 0 ? (uint64_t)q->limit : 0,
                               .external = c->external,
                               .without = q->without_replica_labels.v,
                               .n_without = q->without_replica_labels.n,
                               .dropped_series = c->s->dropped_series,
                               .dropped_chunks = c->s->dropped_chunks};
        q->min_time = MAX(q->min_time, sidecar_min_ms(c->s));
        if (q->min_time > q->max_time)
                return NULL;
        if (q->skip_chunks) { /* all shards get all labels, as the original has it */
                o.gathers = true;
                struct order *order = order_new(&o);
                struct error *e = serve_series_labels(c, q, m, order);
                order_free(order);
                return e;
        }
        if (q->shard_info)
                o.shard = (struct store_shard){q->shard_info->shard_index, q->shard_info->total_shards, q->shard_info->by, q->shard_info->labels.v,
                                               q->shard_info->labels.n};
        o.gathers = __atomic_load_n(&c->s->always_gathers, __ATOMIC_SEQ_CST) ||
                    sidecar_may_have(c->s, c->external, o.without, o.n_without);
        return read_series(c, q, m, &o);
}

struct error *serve_series(struct call *c, Str request)
{
        struct pb_series_request q = {0};
        MatcherVec m = VEC_INIT;
        bool fits = false;
        struct error *e = call_decode(c, &pb_series_request, request, &q);
        if (e)
                return e;
        e = call_matchers(c, q.matchers.v, q.matchers.n, &m, &fits);
        if (!e && fits && !m.n)
                e = error_new(ERROR_INVALID, "no matchers specified (excluding external labels)");
        if (e)
                c->code = GRPC_INVALID_ARGUMENT;
        else if (fits)
                e = select_series(c, &q, &m);
        matcher_vec_done(&m);
        return e;
}
