/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/snappy_frame.h"

#include "codec/compress.h"
#include "codec/crc32c.h"

enum {
        CHUNK_COMPRESSED = 0x00,
        CHUNK_PLAIN = 0x01,
        CHUNK_SKIPPABLE_FROM = 0x80, /* up to 0xfe, which is padding */
        CHUNK_STREAM = 0xff,
        CHUNK_PLAIN_BYTES_MAX = 65536,
        HEAD_BYTES = 4,
        CRC_BYTES = 4,
};
static const char stream_start[10] = "\xff\x06\x00\x00sNaPpY";

static uint32_t masked_crc(const void *p, size_t n)
{
        uint32_t c = crc32c(0, p, n);
        return (c >> 15 | c << 17) + 0xa282ead8u;
}

static void put_le(char *to, uint32_t v, int bytes)
{
        for (int i = 0; i < bytes; i++)
                to[i] = (char)(v >> (8 * i));
}

static uint32_t get_le(const char *p, int bytes)
{
        uint32_t v = 0;
        for (int i = 0; i < bytes; i++)
                v |= (uint32_t)(uint8_t)p[i] << (8 * i);
        return v;
}

void snappy_frame_compress(Str in, struct buf *out)
{
        if (!in.n)
                return;
        buf_append(out, stream_start, sizeof stream_start);
        while (in.n) {
                Str piece = str_sub(in, 0, MIN(in.n, (size_t)CHUNK_PLAIN_BYTES_MAX));
                size_t at = out->n;
                char head[HEAD_BYTES + CRC_BYTES] = {0};
                buf_append(out, head, sizeof head);
                snappy_compress_block(piece, out);
                uint8_t type = CHUNK_COMPRESSED;
                if (out->n - at - sizeof head >= piece.n - piece.n / 8) { /* not worth the reader's time */
                        out->n = at + sizeof head;
                        buf_put(out, piece);
                        type = CHUNK_PLAIN;
                }
                if (buf_is_over(out))
                        return;
                out->p[at] = (char)type;
                put_le(out->p + at + 1, (uint32_t)(out->n - at - HEAD_BYTES), 3);
                put_le(out->p + at + HEAD_BYTES, masked_crc(piece.p, piece.n), 4);
                in = str_skip(in, piece.n);
        }
}

static struct error *corrupt(const char *what)
{
        return error_new(ERROR_CORRUPT, "snappy: %s", what);
}

/* body: crc, then the block or the bytes. */
static struct error *take_chunk(uint8_t type, Str body, struct buf *out)
{
        if (body.n < CRC_BYTES)
                return corrupt("chunk is too short");
        uint32_t crc = get_le(body.p, 4);
        body = str_skip(body, CRC_BYTES);
        size_t at = out->n;
        if (type == CHUNK_PLAIN) {
                if (body.n > CHUNK_PLAIN_BYTES_MAX)
                        return corrupt("chunk is too long");
                buf_put(out, body);
        } else {
                /* The block says how long it becomes: its own limit is that of the format, the rest is out's. */
                size_t limit = out->limit;
                bool narrowed = limit - out->n > CHUNK_PLAIN_BYTES_MAX;
                if (narrowed)
                        out->limit = out->n + CHUNK_PLAIN_BYTES_MAX;
                struct error *e = snappy_uncompress_block(body, out);
                out->limit = limit;
                if (e && narrowed && error_is(e, ERROR_LIMIT)) {
                        error_free(e);
                        return corrupt("chunk is too long");
                }
                if (e)
                        return e;
        }
        if (buf_is_over(out))
                return error_new(ERROR_LIMIT, "snappy: more than %zu bytes", out->limit);
        if (masked_crc(out->p ? out->p + at : "", out->n - at) != crc)
                return corrupt("checksum mismatch");
        return NULL;
}

struct error *snappy_frame_uncompress(Str in, struct buf *out)
{
        bool started = false;
        while (in.n) {
                if (in.n < HEAD_BYTES)
                        return corrupt("chunk head is cut short");
                uint8_t type = (uint8_t)in.p[0];
                size_t n = get_le(in.p + 1, 3);
                if (in.n - HEAD_BYTES < n)
                        return corrupt("chunk is cut short");
                Str body = str_sub(in, HEAD_BYTES, HEAD_BYTES + n);
                if (type == CHUNK_STREAM) {
                        if (!str_eq(body, (Str){stream_start + HEAD_BYTES, sizeof stream_start - HEAD_BYTES}))
                                return corrupt("stream identifier is wrong");
                        started = true;
                } else if (!started) {
                        return corrupt("stream identifier is missing");
                } else if (type == CHUNK_COMPRESSED || type == CHUNK_PLAIN) {
                        struct error *e = take_chunk(type, body, out);
                        if (e)
                                return e;
                } else if (type < CHUNK_SKIPPABLE_FROM) {
                        return error_new(ERROR_CORRUPT, "snappy: chunk type 0x%02x is unknown", type);
                }
                in = str_skip(in, HEAD_BYTES + n);
        }
        return NULL;
}
