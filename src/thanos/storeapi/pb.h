/* SPDX-License-Identifier: Apache-2.0 */
/* pb.h — protobuf messages as C structs, by tables: what a field is, and where it lies.
 *
 *   struct series_request r;
 *   e = pb_decode(&pb_series_request, bytes, &arena, &r);      strings stay in bytes, arrays and sub-messages go to the arena
 *   pb_encode(&pb_series_request, &r, &buf);
 *
 * Structs start as zeros, which is every field's default. Messages: thanos/storeapi/messages.h.
 * What is bounded: depth by PB_DEPTH_MAX, memory by the arena (an empty element costs two bytes of input and a struct of memory:
 * ERROR_LIMIT), bytes by the caller. Unknown fields are read over; a known field of another wire type is an error.
 * Threads: pure.  Format: protobuf.dev/programming-guides/encoding; fields are written in the order of their numbers, as gogoproto does. */
#ifndef THANOS_STOREAPI_PB_H
#define THANOS_STOREAPI_PB_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

enum { PB_DEPTH_MAX = 16, PB_FIELDS_MAX = 32 };
enum pb_kind {
        PB_INT64,   /* int64_t */
        PB_UINT64,  /* uint64_t */
        PB_INT32,   /* int32_t: int32 and enums */
        PB_UINT32,  /* uint32_t */
        PB_SINT32,  /* int32_t, zigzag */
        PB_SINT64,  /* int64_t, zigzag */
        PB_BOOL,    /* bool */
        PB_DOUBLE,  /* double */
        PB_STR,     /* Str: string and bytes */
        PB_MESSAGE, /* a pointer to the struct: NULL is absent. Repeated: the structs themselves */
        PB_INLINE,  /* the struct itself, written always */
};
enum pb_flags {
        PB_REPEATED = 1, /* struct { T *v; size_t n; }; scalars are written packed, and read both ways */
        PB_PRESENT = 2,  /* of a oneof: strings are there when p is not NULL; scalars are behind a pointer */
        PB_BYTES = 4,    /* PB_STR that is no text */
        PB_MAP = 8,      /* elements are key and value: for people who print */
};
struct pb_field {
        uint32_t number;
        enum pb_kind kind;
        unsigned flags;
        size_t offset;
        const char *name;                /* in the .proto file */
        const struct pb_message *sub;    /* PB_MESSAGE, PB_INLINE */
        const char *const *enum_names;   /* PB_INT32; ends with NULL */
};
struct pb_message {
        const char *name;
        size_t size;
        const struct pb_field *fields; /* ascending by number */
        size_t n_fields;
};

/* ERROR_INVALID: not such a message; ERROR_LIMIT: the arena is full. */
struct error *pb_decode(const struct pb_message *m, Str bytes, struct arena *a, void *ret) MUST_CHECK;
void pb_encode(const struct pb_message *m, const void *v, struct buf *out);

/* Any array of a struct that a PB_REPEATED field describes. */
struct pb_array {
        void *v;
        size_t n;
};
size_t pb_size_of(const struct pb_field *f); /* of one value */

#endif
