/* SPDX-License-Identifier: Apache-2.0 */
/* parse1.h — the grammar of HTTP/1.x requests, strict and without state of connections: heads and chunked bodies.
 *
 *   n = parse1_head_bytes(in, &seen);                       0: the head is not whole yet
 *   e = parse1_head(str_sub(in, 0, n), &arena, &head);      Strs point into the bytes given
 *   at = parse1_chunked_add(&c, piece, &body);              …  until c.state is PARSE1_BODY_END or c.status says what
 * was wrong
 *
 * Refused, because two readers could understand it differently (request smuggling): bare LF or CR, folded lines, space
 * before a colon, length and chunked together, lengths that repeat, encodings other than one "chunked", chunked in
 * HTTP/1.0, signs or spaces in numbers. Pure; any thread.  Format: RFC 9112. */
#ifndef IO_HTTP_PARSE1_H
#define IO_HTTP_PARSE1_H

#include "io/http/server.h"

enum { PARSE1_HEADERS_MAX = 1000 };

struct parse1_head {
        enum http_method method;
        Str method_text;
        Str target; /* as sent */
        Str raw_path, raw_query;
        int version; /* 10 or 11 */
        struct http_header *headers;
        size_t n_headers;
        Str host;
        bool keep_alive; /* as version and Connection say */
        bool expect_continue;
        bool chunked;
        bool has_length;
        uint64_t length;
};
/* What to answer: status and a text for the body ("400 Bad Request: " is before it, as Go's server does); status 0: all
 * well. */
struct parse1_fault {
        int status;
        const char *why; /* NULL: nothing beyond the status */
};

enum http_method http_method_of(Str name);
/* Bytes of the head up to and with its empty line, 0: not there yet. *seen (0 at first) remembers how far it looked. */
size_t parse1_head_bytes(Str in, size_t *seen);
struct parse1_fault parse1_head(Str bytes, struct arena *a, struct parse1_head *ret);

enum parse1_body_state {
        PARSE1_SIZE,
        PARSE1_EXTENSION,
        PARSE1_SIZE_LF,
        PARSE1_DATA,
        PARSE1_DATA_CR,
        PARSE1_DATA_LF,
        PARSE1_TRAILER,
        PARSE1_TRAILER_LINE,
        PARSE1_TRAILER_LF,
        PARSE1_END_LF,
        PARSE1_BODY_END
};
struct parse1_chunked { /* zeroed: at the start */
        enum parse1_body_state state;
        uint64_t left;   /* of the chunk */
        unsigned digits; /* of the size line */
        size_t overhead; /* bytes of extensions and trailers, which are bounded */
        int status;      /* 0; 400: not chunked coding; 413: the body's limit was reached */
};
/* Appends data to body and says how many bytes of the piece were used: all, unless the body ended or a fault was found.
 */
size_t parse1_chunked_add(struct parse1_chunked *c, Str piece, struct buf *body);

#endif
