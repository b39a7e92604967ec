/* SPDX-License-Identifier: Apache-2.0 */
#include "thanos/storeapi/series.h"

#include "base/hash.h"
#include "codec/proto.h"

enum { FRAME_BYTES_MAX = 512 << 20, BATCH_BYTES = 1 << 20 };

static size_t varint_bytes(uint64_t v)
{
        return v ? (size_t)(63 - __builtin_clzll(v)) / 7 + 1 : 1;
}

static size_t field_bytes(size_t n)
{
        return 1 + varint_bytes(n) + n;
}

static size_t uint_bytes(uint64_t v)
{
        return v ? 1 + varint_bytes(v) : 0;
}

/* Sizes are counted first, so that each byte is written once. */
static size_t chunk_bytes(enum chunk_encoding encoding, Str data, uint64_t hash)
{
        return uint_bytes((uint64_t)encoding - 1) + (data.n ? field_bytes(data.n) : 0) + uint_bytes(hash);
}

static void put_chunk(struct buf *b, uint32_t field, enum chunk_encoding encoding, Str data, uint64_t hash)
{
        buf_putc(b, (char)(field << 3 | 2));
        buf_put_uvarint(b, chunk_bytes(encoding, data, hash));
        proto_put_uint(b, 1, (uint64_t)encoding - 1);
        proto_put_bytes(b, 2, data);
        proto_put_uint(b, 3, hash);
}

static size_t aggr_chunk_bytes(const struct store_chunk *c, const uint64_t *hashes)
{
        size_t n = uint_bytes((uint64_t)c->mint_ms) + uint_bytes((uint64_t)c->maxt_ms);
        if (c->encoding != CHUNK_NONE)
                return n + field_bytes(chunk_bytes(c->encoding, c->raw, hashes[0]));
        for (int i = 0; i < AGGREGATE_N; i++)
                if (c->aggregates[i].p)
                        n += field_bytes(chunk_bytes(CHUNK_XOR, c->aggregates[i], hashes[i]));
        return n;
}

void series_put_chunk(struct buf *b, const struct store_chunk *c)
{
        uint64_t hashes[AGGREGATE_N] = {0};
        if (c->encoding != CHUNK_NONE)
                hashes[0] = hash_str(c->raw);
        for (int i = 0; i < AGGREGATE_N && c->encoding == CHUNK_NONE; i++)
                if (c->aggregates[i].p)
                        hashes[i] = hash_str(c->aggregates[i]);
        buf_putc(b, 2 << 3 | 2);
        buf_put_uvarint(b, aggr_chunk_bytes(c, hashes));
        proto_put_uint(b, 1, (uint64_t)c->mint_ms);
        proto_put_uint(b, 2, (uint64_t)c->maxt_ms);
        if (c->encoding != CHUNK_NONE)
                put_chunk(b, 3, c->encoding, c->raw, hashes[0]);
        for (int i = 0; i < AGGREGATE_N && c->encoding == CHUNK_NONE; i++)
                if (c->aggregates[i].p)
                        put_chunk(b, (uint32_t)i + 4, CHUNK_XOR, c->aggregates[i], hashes[i]);
}

/* --- frames --- */

void series_frames_init(struct series_frames *f, struct store_sink *sink, int64_t batch)
{
        *f = (struct series_frames){.sink = sink, .frame = BUF_INIT(FRAME_BYTES_MAX), .batch = batch};
}

void series_frames_done(struct series_frames *f)
{
        buf_done(&f->frame);
}

struct error *series_frames_flush(struct series_frames *f)
{
        if (!f->n)
                return NULL;
        struct error *e = NULL;
        if (buf_is_over(&f->frame))
                e = error_new(ERROR_LIMIT, "a series of more than %d bytes", FRAME_BYTES_MAX);
        if (!e && f->batch > 1) {
                struct buf whole = BUF_INIT(FRAME_BYTES_MAX + 16);
                buf_putc(&whole, 4 << 3 | 2);
                buf_put_uvarint(&whole, f->frame.n);
                buf_put(&whole, buf_str(&f->frame));
                e = f->sink->send(f->sink, buf_str(&whole));
                buf_done(&whole);
        } else if (!e) {
                e = f->sink->send(f->sink, buf_str(&f->frame));
        }
        buf_clear(&f->frame);
        f->n = 0;
        return e;
}

static size_t label_bytes(Label l)
{
        return (l.name.n ? field_bytes(l.name.n) : 0) + (l.value.n ? field_bytes(l.value.n) : 0);
}

struct error *series_frames_add(struct series_frames *f, Labels labels, Str chunks)
{
        size_t n = chunks.n;
        for (size_t i = 0; i < labels.n; i++)
                n += field_bytes(label_bytes(labels.v[i]));
        buf_putc(&f->frame, 1 << 3 | 2); /* series, of the response as of the batch */
        buf_put_uvarint(&f->frame, n);
        for (size_t i = 0; i < labels.n; i++) {
                buf_putc(&f->frame, 1 << 3 | 2);
                buf_put_uvarint(&f->frame, label_bytes(labels.v[i]));
                proto_put_bytes(&f->frame, 1, labels.v[i].name);
                proto_put_bytes(&f->frame, 2, labels.v[i].value);
        }
        buf_put(&f->frame, chunks);
        f->n++;
        return f->n >= f->batch || f->frame.n >= BATCH_BYTES ? series_frames_flush(f) : NULL;
}

/* --- shards --- */

bool store_shard_has(const struct store_shard *sh, Labels l, struct buf *scratch)
{
        if (sh->total < 2)
                return true;
        buf_clear(scratch);
        for (size_t i = 0; i < l.n; i++) {
                bool is_named = false;
                for (size_t k = 0; k < sh->n_labels; k++)
                        is_named |= str_eq(sh->labels[k], l.v[i].name);
                if (is_named != sh->by)
                        continue;
                buf_put(scratch, l.v[i].name);
                buf_putc(scratch, (char)0xff);
                buf_put(scratch, l.v[i].value);
                buf_putc(scratch, (char)0xff);
        }
        return hash_bytes(scratch->p, scratch->n) % (uint64_t)sh->total == (uint64_t)sh->index;
}
