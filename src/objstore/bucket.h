/* SPDX-License-Identifier: Apache-2.0 */
/* bucket.h — an object store: named bytes that are written once and read whole or in ranges. One interface, several implementations.
 *
 *   struct bucket *b;  e = s3_bucket_new(&opts, &b);        or filesystem_bucket_new, memory_bucket_new, prefix_bucket_new, metrics_bucket_new
 *   struct bucket_call c = {.deadline_ms = time_mono_ms() + 30000, .cancel = &cancel};
 *   e = bucket_upload_file(b, &c, "01H…/index", path);
 *   e = bucket_get_range(b, &c, "01H…/index", 0, 4096, &buf);
 *   if (error_is(e, ERROR_NOT_FOUND)) …
 *
 * Object names are paths with "/" between, without one in front. There are no directories: a listing shows them where names have a "/".
 * Errors: bucket "x": get "01H…/index": reason. Kinds: ERROR_NOT_FOUND the object is not there, ERROR_DENIED the store refuses us,
 * ERROR_CANCELLED, ERROR_TIMEOUT, ERROR_INVALID a name or setting, else what the store or the way to it had. What can be tried again was
 * tried again inside, within the deadline.
 * Threads: any, several calls at once; bucket_free when none runs. What was uploaded is seen by every call that begins after.
 * Upstream: thanos-io/objstore, whose Delete and Exists differ between its providers; here all implementations pass one suite (suite.h). */
#ifndef OBJSTORE_BUCKET_H
#define OBJSTORE_BUCKET_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/metric.h"

struct bucket;

/* What a call may take; NULL is allowed everywhere: no limit. */
struct bucket_call {
        const bool *cancel;             /* polled while waiting; NULL: none */
        int64_t deadline_ms;            /* of time_mono_ms(); 0: none */
        bool not_found_is_expected;     /* metrics: not a failure */
};

void bucket_free(struct bucket *b);                     /* NULL is fine; a wrapper frees what it wraps */
/* As the original's metrics and logs name it: the S3 bucket's name, "fs: /dir", "inmem". Borrowed. */
const char *bucket_name(const struct bucket *b);
const char *bucket_provider(const struct bucket *b);    /* "S3", "FILESYSTEM", "MEMORY" */

/* --- listing --- */

struct bucket_entry {
        Str name;                       /* whole name; of a directory with "/" at its end. Valid during the callback */
        bool is_dir;
        uint64_t size_bytes;            /* objects only */
        TimeMs modified_ms;             /* objects only */
};
typedef struct error *bucket_each(void *arg, const struct bucket_entry *entry);
enum bucket_iter_flags { BUCKET_RECURSIVE = 1 /* objects at any depth, no directories */ };
/* What is in dir ("" is the top; a "/" at its end makes no difference), in bytewise order of the names. A dir that is not there is empty.
 * An error of each ends the listing and is returned as it is. each may use the bucket. */
struct error *bucket_iter(struct bucket *b, const struct bucket_call *c, Str dir, unsigned flags, bucket_each *each, void *arg) MUST_CHECK;

/* --- reading --- */

#define BUCKET_TO_END UINT64_MAX
struct bucket_sink {
        struct error *(*write)(struct bucket_sink *s, Str piece);       /* on the caller's thread, in order; an error ends the call */
};
/* From `at`, at most n bytes. A range that goes past the object's end is cut there; one that begins behind it gives nothing: compare the length. */
struct error *bucket_read(struct bucket *b, const struct bucket_call *c, Str name, uint64_t at, uint64_t n, struct bucket_sink *sink) MUST_CHECK;
/* Append to ret within its limit: ERROR_LIMIT "object is larger than N bytes" past it. On an error ret is as it was. */
struct error *bucket_get(struct bucket *b, const struct bucket_call *c, Str name, struct buf *ret) MUST_CHECK;
struct error *bucket_get_range(struct bucket *b, const struct bucket_call *c, Str name, uint64_t at, uint64_t n, struct buf *ret) MUST_CHECK;
/* Whole object into a file that appears under its name when it is complete. */
struct error *bucket_download(struct bucket *b, const struct bucket_call *c, Str name, const char *path) MUST_CHECK;
struct error *bucket_exists(struct bucket *b, const struct bucket_call *c, Str name, bool *ret) MUST_CHECK;
struct bucket_attributes {
        uint64_t size_bytes;
        TimeMs modified_ms;
};
struct error *bucket_get_attributes(struct bucket *b, const struct bucket_call *c, Str name, struct bucket_attributes *ret) MUST_CHECK;

/* --- writing: an object appears whole or not at all, and replaces one of its name --- */

struct bucket_source {
        /* Up to n bytes, at least one unless at the end (0). On the caller's thread. */
        struct error *(*read)(struct bucket_source *s, char *p, size_t n, size_t *ret_n);
};
struct error *bucket_upload(struct bucket *b, const struct bucket_call *c, Str name, Str body) MUST_CHECK;
/* The file is mapped and must not shrink meanwhile. */
struct error *bucket_upload_file(struct bucket *b, const struct bucket_call *c, Str name, const char *path) MUST_CHECK;
/* The same of a file that nobody changes in place any more and that is on disk (fsync): a directory on the same file system takes a link to it. */
struct error *bucket_upload_final_file(struct bucket *b, const struct bucket_call *c, Str name, const char *path) MUST_CHECK;
struct error *bucket_upload_stream(struct bucket *b, const struct bucket_call *c, Str name, struct bucket_source *s) MUST_CHECK;
/* One that is not there is fine, and so is a name that only a directory has: nothing happens. */
struct error *bucket_delete(struct bucket *b, const struct bucket_call *c, Str name) MUST_CHECK;

/* --- implementations and wrappers --- */

struct bucket *memory_bucket_new(void);                                 /* for tests */
struct error *filesystem_bucket_new(const char *dir, struct bucket **ret) MUST_CHECK;   /* dir is made at the first upload */
/* Every name gets "prefix/" in front; "/" around prefix are dropped; an empty one gives the inner bucket back. */
struct bucket *prefix_bucket_new(struct bucket *take_inner, Str prefix);
/* Counts into thanos_objstore_bucket_*{bucket=name}. Two buckets of one name share the metrics. */
struct bucket *metrics_bucket_new(struct bucket *take_inner, struct metric_registry *r);

#endif
