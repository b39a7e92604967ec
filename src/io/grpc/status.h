/* SPDX-License-Identifier: Apache-2.0 */
/* status.h — how a gRPC call ended: a code and a message.  Any thread. */
#ifndef IO_GRPC_STATUS_H
#define IO_GRPC_STATUS_H

#include "base/error.h"
#include "base/str.h"

enum grpc_code {
        GRPC_OK = 0,
        GRPC_CANCELLED,
        GRPC_UNKNOWN,
        GRPC_INVALID_ARGUMENT,
        GRPC_DEADLINE_EXCEEDED,
        GRPC_NOT_FOUND,
        GRPC_ALREADY_EXISTS,
        GRPC_PERMISSION_DENIED,
        GRPC_RESOURCE_EXHAUSTED,
        GRPC_FAILED_PRECONDITION,
        GRPC_ABORTED,
        GRPC_OUT_OF_RANGE,
        GRPC_UNIMPLEMENTED,
        GRPC_INTERNAL,
        GRPC_UNAVAILABLE,
        GRPC_DATA_LOSS,
        GRPC_UNAUTHENTICATED,
        GRPC_N_CODES,
};
struct grpc_status {
        int code;      /* as received: may be beyond GRPC_N_CODES */
        char *message; /* heap, NULL: none */
};
void grpc_status_done(struct grpc_status *s);
void grpc_status_set(struct grpc_status *s, int code, const char *fmt, ...) PRINTF_LIKE(3, 4);
const char *
grpc_code_text(int code); /* "DeadlineExceeded", as Go's codes.Code prints it; "Code(99)" is not told apart: "Code" */
/* NULL for OK; else "rpc error: code = Unavailable desc = …", of a kind that fits the code. */
struct error *grpc_status_error(const struct grpc_status *s) MUST_CHECK;
int grpc_code_of_error(
        const struct error *e); /* for handlers that got an error: ERROR_INVALID is INVALID_ARGUMENT, … */

#endif
