/* SPDX-License-Identifier: Apache-2.0 */
#include "io/grpc/status.h"

#include "base/alloc.h"
#include "base/buf.h"

static const struct {
        const char *text;
        enum error_kind kind;
} codes[GRPC_N_CODES] = {
        [GRPC_OK] = {"OK", ERROR_INTERNAL},
        [GRPC_CANCELLED] = {"Canceled", ERROR_CANCELLED},
        [GRPC_UNKNOWN] = {"Unknown", ERROR_IO},
        [GRPC_INVALID_ARGUMENT] = {"InvalidArgument", ERROR_INVALID},
        [GRPC_DEADLINE_EXCEEDED] = {"DeadlineExceeded", ERROR_TIMEOUT},
        [GRPC_NOT_FOUND] = {"NotFound", ERROR_NOT_FOUND},
        [GRPC_ALREADY_EXISTS] = {"AlreadyExists", ERROR_EXISTS},
        [GRPC_PERMISSION_DENIED] = {"PermissionDenied", ERROR_DENIED},
        [GRPC_RESOURCE_EXHAUSTED] = {"ResourceExhausted", ERROR_LIMIT},
        [GRPC_FAILED_PRECONDITION] = {"FailedPrecondition", ERROR_INVALID},
        [GRPC_ABORTED] = {"Aborted", ERROR_IO},
        [GRPC_OUT_OF_RANGE] = {"OutOfRange", ERROR_INVALID},
        [GRPC_UNIMPLEMENTED] = {"Unimplemented", ERROR_UNSUPPORTED},
        [GRPC_INTERNAL] = {"Internal", ERROR_INTERNAL},
        [GRPC_UNAVAILABLE] = {"Unavailable", ERROR_UNAVAILABLE},
        [GRPC_DATA_LOSS] = {"DataLoss", ERROR_CORRUPT},
        [GRPC_UNAUTHENTICATED] = {"Unauthenticated", ERROR_DENIED},
};

void grpc_status_done(struct grpc_status *s)
{
        free(s->message);
        *s = (struct grpc_status){0};
}

void grpc_status_set(struct grpc_status *s, int code, const char *fmt, ...)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        va_list ap;
        va_start(ap, fmt);
        buf_vprintf(&b, fmt, ap);
        va_end(ap);
        free(s->message);
        *s = (struct grpc_status){code, buf_take(&b)};
}

const char *grpc_code_text(int code)
{
        return code >= 0 && code < GRPC_N_CODES ? codes[code].text : "Code";
}

struct error *grpc_status_error(const struct grpc_status *s)
{
        if (s->code == GRPC_OK)
                return NULL;
        const char *message = s->message ? s->message : "";
        if (s->code < 0 || s->code >= GRPC_N_CODES)
                return error_new(ERROR_IO, "rpc error: code = Code(%d) desc = %s", s->code, message);
        return error_new(codes[s->code].kind, "rpc error: code = %s desc = %s", codes[s->code].text, message);
}

int grpc_code_of_error(const struct error *e)
{
        if (!e)
                return GRPC_OK;
        switch (error_get_kind(e)) {
        case ERROR_INVALID:
                return GRPC_INVALID_ARGUMENT;
        case ERROR_NOT_FOUND:
                return GRPC_NOT_FOUND;
        case ERROR_EXISTS:
                return GRPC_ALREADY_EXISTS;
        case ERROR_CANCELLED:
                return GRPC_CANCELLED;
        case ERROR_TIMEOUT:
                return GRPC_DEADLINE_EXCEEDED;
        case ERROR_LIMIT:
                return GRPC_RESOURCE_EXHAUSTED;
        case ERROR_UNAVAILABLE:
                return GRPC_UNAVAILABLE;
        case ERROR_DENIED:
                return GRPC_PERMISSION_DENIED;
        case ERROR_UNSUPPORTED:
                return GRPC_UNIMPLEMENTED;
        case ERROR_IO:
        case ERROR_CORRUPT:
        case ERROR_INTERNAL:
                return GRPC_INTERNAL;
        }
        return GRPC_UNKNOWN;
}
