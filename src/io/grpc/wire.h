/* SPDX-License-Identifier: Apache-2.0 */
/* wire.h — what gRPC puts into HTTP/2: message frames of 5 bytes and a payload, grpc-timeout, grpc-message. For server
 * and client.
 *
 *   grpc_frame(&out, GRPC_SNAPPY, message);
 *   buf_put(&r.in, bytes);  while (grpc_reader_next(&r, &message, &status) == 1) …
 *
 * Threads: pure; a reader has one owner.  Format: grpc/doc/PROTOCOL-HTTP2.md. */
#ifndef IO_GRPC_WIRE_H
#define IO_GRPC_WIRE_H

#include "base/buf.h"
#include "io/grpc/status.h"

enum grpc_encoding { GRPC_IDENTITY, GRPC_SNAPPY /* the framing format */, GRPC_GZIP, GRPC_N_ENCODINGS };
enum { GRPC_FRAME_HEAD_BYTES = 5 };
#define GRPC_ACCEPT_ENCODING "gzip,snappy"

Str grpc_encoding_name(enum grpc_encoding e);                /* "identity", "snappy", "gzip" */
bool grpc_encoding_parse(Str name, enum grpc_encoding *ret); /* "" and "identity" are none; false: unknown */

/* Appends head and payload. Empty messages are never compressed. False: longer than 4 GiB - 1, nothing appended. */
bool grpc_frame(struct buf *out, enum grpc_encoding e, Str message);

struct grpc_reader {
        struct buf in; /* received; whoever reads from the wire appends here */
        size_t at;
        size_t message_bytes_max; /* of the payload, and again of what it inflates to */
        enum grpc_encoding encoding;
        struct buf plain;
};
void grpc_reader_init(struct grpc_reader *r, size_t message_bytes_max);
void grpc_reader_done(struct grpc_reader *r);
/* 1: *ret is a message, valid until the next call or append; 0: more bytes are needed; -1: status says what is wrong.
 */
int grpc_reader_next(struct grpc_reader *r, Str *ret, struct grpc_status *ret_status);
void grpc_reader_compact(struct grpc_reader *r); /* before an append: drops what was read */
static inline bool grpc_reader_has_rest(const struct grpc_reader *r)
{
        return r->at < r->in.n;
}

bool grpc_timeout_parse(Str s, int64_t *ret_ms); /* "100m", "5S": at most 8 digits; rounds up */
void grpc_timeout_put(int64_t ms, char ret[16]);
void grpc_message_escape(struct buf *out, Str s);   /* percent-encoding of what is not printable ASCII, and of % */
void grpc_message_unescape(struct buf *out, Str s); /* broken escapes stay as they are */
int grpc_code_of_http(int status);                  /* of an answer without grpc-status */

#endif
