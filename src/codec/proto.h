/* SPDX-License-Identifier: Apache-2.0 */
/* proto.h — the protobuf wire format: a bounded reader of fields, and writing.
 *
 *   struct proto_field f;
 *   while (proto_next(&c, &f)) switch (f.number) { case 1: use(f.bytes); … }
 *   if (c.bad) return error_new(ERROR_INVALID, …);
 *
 *   size_t at = proto_begin(&b, 3);  …fields of the message…  proto_end(&b, at);     length is filled in
 *
 * Threads: pure.  Format: protobuf.dev/programming-guides/encoding. */
#ifndef CODEC_PROTO_H
#define CODEC_PROTO_H

#include "codec/varint.h"

struct proto_field {
        uint32_t number;
        uint8_t wire;           /* 0 varint, 1 fixed64, 2 bytes, 5 fixed32 */
        uint64_t u;             /* wire 0, 1, 5 */
        Str bytes;              /* wire 2, borrowed */
};
bool proto_next(struct cursor *c, struct proto_field *ret);     /* false at the end or when the cursor became bad */
static inline int64_t proto_sint(uint64_t u)
{
        return (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
}
double proto_f64(uint64_t u);

void proto_put_uint(struct buf *b, uint32_t field, uint64_t v);         /* also int64 and bool; left out when 0, as proto3 */
void proto_put_sint(struct buf *b, uint32_t field, int64_t v);
void proto_put_f64(struct buf *b, uint32_t field, double v);            /* left out when +0 */
void proto_put_bytes(struct buf *b, uint32_t field, Str s);             /* left out when empty */
void proto_put_bytes_always(struct buf *b, uint32_t field, Str s);
size_t proto_begin(struct buf *b, uint32_t field);
void proto_end(struct buf *b, size_t at);

#endif
