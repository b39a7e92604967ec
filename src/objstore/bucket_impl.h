/* SPDX-License-Identifier: Apache-2.0 */
/* bucket_impl.h — what an implementation fills in. Private to objstore/. */
#ifndef OBJSTORE_BUCKET_IMPL_H
#define OBJSTORE_BUCKET_IMPL_H

#include "base/alloc.h"
#include "objstore/bucket.h"

/* What is uploaded: bytes in memory, or a stream. */
struct bucket_body {
        Str memory;
        struct bucket_source *stream;   /* NULL: memory */
        const char *path;               /* of the file that memory is a map of; NULL: none */
        bool is_final;                  /* the file never changes any more: its bytes may be shared */
};

/* Names came through bucket.c: they are not empty (except the dir of iter, which ends with "/" or is empty), without NUL, within BUCKET_NAME_MAX.
 * c is never NULL. Implementations return errors without bucket and object; bucket.c puts them in front. */
struct bucket_ops {
        const char *provider;
        bool is_wrapper;                /* the inner bucket names bucket and object */
        void (*free)(struct bucket *b);
        struct error *(*iter)(struct bucket *b, const struct bucket_call *c, Str dir, unsigned flags, bucket_each *each, void *arg);
        struct error *(*read)(struct bucket *b, const struct bucket_call *c, Str name, uint64_t at, uint64_t n, struct bucket_sink *sink);
        struct error *(*attributes)(struct bucket *b, const struct bucket_call *c, Str name, struct bucket_attributes *ret);
        struct error *(*exists)(struct bucket *b, const struct bucket_call *c, Str name, bool *ret);    /* NULL: by attributes */
        struct error *(*upload)(struct bucket *b, const struct bucket_call *c, Str name, struct bucket_body body);
        struct error *(*delete)(struct bucket *b, const struct bucket_call *c, Str name);
};
struct bucket {
        const struct bucket_ops *ops;
        char *name;                     /* owned, freed by bucket_free */
};

enum { BUCKET_NAME_MAX = 1024 };        /* as S3 has it */

/* NULL while the call may go on, else ERROR_CANCELLED or ERROR_TIMEOUT with Go's texts. */
struct error *bucket_call_check(const struct bucket_call *c) MUST_CHECK;
struct error *bucket_upload_body(struct bucket *b, const struct bucket_call *c, Str name, struct bucket_body body) MUST_CHECK;

#endif
