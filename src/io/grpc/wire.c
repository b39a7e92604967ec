/* SPDX-License-Identifier: Apache-2.0 */
#include "io/grpc/wire.h"

#include <stdio.h>

#include "codec/compress.h"
#include "codec/snappy_frame.h"
#include "codec/varint.h"

static const Str names[GRPC_N_ENCODINGS] = {STR_INIT("identity"), STR_INIT("snappy"), STR_INIT("gzip")};

Str grpc_encoding_name(enum grpc_encoding e)
{
        return names[e];
}

bool grpc_encoding_parse(Str name, enum grpc_encoding *ret)
{
        if (!name.n) {
                *ret = GRPC_IDENTITY;
                return true;
        }
        for (int i = 0; i < GRPC_N_ENCODINGS; i++)
                if (str_eq(name, names[i])) {
                        *ret = (enum grpc_encoding)i;
                        return true;
                }
        return false;
}

bool grpc_frame(struct buf *out, enum grpc_encoding e, Str message)
{
        size_t at = out->n;
        char head[GRPC_FRAME_HEAD_BYTES] = {0};
        buf_append(out, head, sizeof head);
        if (!message.n)
                e = GRPC_IDENTITY;
        if (e == GRPC_SNAPPY)
                snappy_frame_compress(message, out);
        else if (e == GRPC_GZIP)
                gzip_compress(message, out);
        else
                buf_put(out, message);
        size_t n = out->n - at - sizeof head;
        if (n > UINT32_MAX) {
                out->n = at;
                return false;
        }
        out->p[at] = e != GRPC_IDENTITY;
        put_be32((uint8_t *)out->p + at + 1, (uint32_t)n);
        return true;
}

void grpc_reader_init(struct grpc_reader *r, size_t message_bytes_max)
{
        *r = (struct grpc_reader){.message_bytes_max = message_bytes_max};
        buf_init(&r->in, BUF_NO_LIMIT); /* a message and a window */
        buf_init(&r->plain, message_bytes_max);
}

void grpc_reader_done(struct grpc_reader *r)
{
        buf_done(&r->in);
        buf_done(&r->plain);
}

void grpc_reader_compact(struct grpc_reader *r)
{
        if (r->at == r->in.n)
                buf_clear(&r->in);
        else if (r->at)
                buf_drop_front(&r->in, r->at);
        r->at = 0;
}

static int inflate_message(struct grpc_reader *r, Str *ret, struct grpc_status *ret_status)
{
        if (r->encoding == GRPC_IDENTITY) {
                grpc_status_set(ret_status, GRPC_INTERNAL, "grpc: compressed flag set with identity or empty encoding");
                return -1;
        }
        buf_clear(&r->plain);
        struct error *e = r->encoding == GRPC_SNAPPY ? snappy_frame_uncompress(*ret, &r->plain)
                                                     : gzip_uncompress(*ret, &r->plain);
        if (e && error_is(e, ERROR_LIMIT))
                grpc_status_set(ret_status, GRPC_RESOURCE_EXHAUSTED,
                                "grpc: received message after decompression larger than max %zu", r->message_bytes_max);
        else if (e)
                grpc_status_set(ret_status, GRPC_INTERNAL, "grpc: failed to decompress the received message: %s",
                                error_str(e));
        *ret = buf_str(&r->plain);
        if (!e)
                return 1;
        error_free(e);
        return -1;
}

int grpc_reader_next(struct grpc_reader *r, Str *ret, struct grpc_status *ret_status)
{
        if (r->in.n - r->at < GRPC_FRAME_HEAD_BYTES)
                return 0;
        Str left = str_skip(buf_str(&r->in), r->at);
        uint8_t flag = (uint8_t)left.p[0];
        uint32_t n = get_be32(left.p + 1);
        if (flag > 1) {
                grpc_status_set(ret_status, GRPC_INTERNAL, "grpc: received unexpected payload format %d", flag);
                return -1;
        }
        if (n > r->message_bytes_max) {
                grpc_status_set(ret_status, GRPC_RESOURCE_EXHAUSTED,
                                "grpc: received message larger than max (%u vs. %zu)", n, r->message_bytes_max);
                return -1;
        }
        if (left.n - GRPC_FRAME_HEAD_BYTES < n)
                return 0;
        r->at += GRPC_FRAME_HEAD_BYTES + n;
        *ret = str_sub(left, GRPC_FRAME_HEAD_BYTES, GRPC_FRAME_HEAD_BYTES + n);
        return flag ? inflate_message(r, ret, ret_status) : 1;
}

static const struct {
        char unit;
        int64_t ns;
} units[] = {{'n', 1}, {'u', 1000}, {'m', 1000000}, {'S', 1000000000}, {'M', 60000000000}, {'H', 3600000000000}};

bool grpc_timeout_parse(Str s, int64_t *ret_ms)
{
        uint64_t v;
        if (s.n < 2 || s.n > 9 || !str_to_u64(str_sub(s, 0, s.n - 1), &v))
                return false;
        for (size_t i = 0; i < ARRAY_LEN(units); i++)
                if (units[i].unit == s.p[s.n - 1]) {
                        int64_t ns;
                        bool over = __builtin_mul_overflow((int64_t)v, units[i].ns, &ns);
                        *ret_ms = over ? INT64_MAX / 1000000 : ns / 1000000 + (ns % 1000000 != 0);
                        return true;
                }
        return false;
}

void grpc_timeout_put(int64_t ms, char ret[16])
{
        if (ms < 100000000)
                snprintf(ret, 16, "%dm", (int)MAX(ms, (int64_t)1));
        else
                snprintf(ret, 16, "%dS", (int)MIN(ms / 1000, (int64_t)99999999));
}

void grpc_message_escape(struct buf *out, Str s)
{
        static const char hex[] = "0123456789ABCDEF";
        for (size_t i = 0; i < s.n; i++) {
                uint8_t c = (uint8_t)s.p[i];
                if (c >= ' ' && c <= '~' && c != '%') {
                        buf_putc(out, (char)c);
                        continue;
                }
                buf_append(out, (char[]){'%', hex[c >> 4], hex[c & 15]}, 3);
        }
}

static int hex_value(char c)
{
        return c >= '0' && c <= '9'   ? c - '0'
               : c >= 'A' && c <= 'F' ? c - 'A' + 10
               : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                      : -1;
}

void grpc_message_unescape(struct buf *out, Str s)
{
        for (size_t i = 0; i < s.n; i++) {
                int hi = -1, lo = -1;
                if (s.p[i] == '%' && s.n - i > 2) {
                        hi = hex_value(s.p[i + 1]);
                        lo = hex_value(s.p[i + 2]);
                }
                if (hi < 0 || lo < 0) {
                        buf_putc(out, s.p[i]);
                        continue;
                }
                buf_putc(out, (char)(hi << 4 | lo));
                i += 2;
        }
}

int grpc_code_of_http(int status)
{
        switch (status) {
        case 400:
                return GRPC_INTERNAL;
        case 401:
                return GRPC_UNAUTHENTICATED;
        case 403:
                return GRPC_PERMISSION_DENIED;
        case 404:
                return GRPC_UNIMPLEMENTED;
        case 429:
        case 502:
        case 503:
        case 504:
                return GRPC_UNAVAILABLE;
        }
        return GRPC_UNKNOWN;
}
