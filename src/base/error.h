/* SPDX-License-Identifier: Apache-2.0 */
/* error.h — what a function returns when it can fail: NULL, or an error that carries a kind and a text.
 *
 *   e = segment_read(s);
 *   if (e)
 *           return error_wrap(e, "open wal: segment %08u", index);      "open wal: segment 00000012: no such file"
 *
 * The text reads outside in, as Go's wrapped errors do, because users compare the two. An error is owned by whoever holds the pointer.
 * Sentinels are static errors compared by address; freeing or wrapping them is fine (a wrapped sentinel is a new error of its kind). */
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdbool.h>

#include "base/compiler.h"

enum error_kind {
        ERROR_IO,               /* the operating system said no: disk, socket */
        ERROR_CORRUPT,          /* bytes that break their own format or checksum */
        ERROR_INVALID,          /* input that is refused: configuration, query, request */
        ERROR_NOT_FOUND,
        ERROR_EXISTS,
        ERROR_CANCELLED,        /* the caller went away */
        ERROR_TIMEOUT,
        ERROR_LIMIT,            /* a limit or budget was reached */
        ERROR_UNAVAILABLE,      /* not ready, or shutting down */
        ERROR_UNSUPPORTED,      /* known, and not implemented here; the text names it */
        ERROR_INTERNAL,
        ERROR_DENIED,           /* the other side knows us, or does not, and refuses */
};

struct error;

/* Defines a sentinel: ERROR_SENTINEL(error_out_of_order, ERROR_INVALID, "out of order sample"); declare it by extern struct error. */
struct error {
        enum error_kind kind;
        bool is_static;
        const char *text;
};
#define ERROR_SENTINEL(name, k, txt) struct error name = {.kind = (k), .is_static = true, .text = (txt)}

struct error *error_new(enum error_kind k, const char *fmt, ...) MUST_CHECK PRINTF_LIKE(2, 3);
/* "text: strerror(errno_value)", its first letter small as in Go's texts; the kind is ERROR_NOT_FOUND for ENOENT, ERROR_EXISTS for EEXIST, else ERROR_IO. */
struct error *error_errno(int errno_value, const char *fmt, ...) MUST_CHECK PRINTF_LIKE(2, 3);
/* Puts "text: " before the cause, keeps its kind, and consumes it. */
struct error *error_wrap(struct error *take_cause, const char *fmt, ...) MUST_CHECK PRINTF_LIKE(2, 3);
/* Joins two errors as "a; b"; either may be NULL; both are consumed; the kind is the first's. */
struct error *error_join(struct error *take_a, struct error *take_b) MUST_CHECK;
bool error_is(const struct error *e, enum error_kind k); /* false for NULL */
enum error_kind error_get_kind(const struct error *e);
const char *error_str(const struct error *e);           /* borrowed; "" for NULL */
struct error *error_dup(const struct error *e) MUST_CHECK;
void error_free(struct error *e);                       /* NULL and sentinels are fine */
void error_ignore(struct error *take_e, const char *why); /* frees; says in the code why failing does not matter here */

#endif
