/* SPDX-License-Identifier: Apache-2.0 */
/* s3_list.h — the answers to ListObjects and ListObjectsV2, and dates. Pure; any thread. */
#ifndef OBJSTORE_S3_LIST_H
#define OBJSTORE_S3_LIST_H

#include "objstore/bucket.h"
#include "base/arena.h"

struct s3_list {
        struct bucket_entry *v;         /* objects and common prefixes, sorted by name */
        size_t n;
        bool is_truncated;
        Str next;                       /* v2: NextContinuationToken; v1: NextMarker, or the last name */
};
/* In the arena. ERROR_CORRUPT for what is no such answer: also names that do not begin with prefix. */
struct error *s3_list_parse(Str xml, bool v1, Str prefix, struct arena *a, struct s3_list *ret) MUST_CHECK;
bool s3_parse_iso_date(Str s, TimeMs *ret);     /* 2013-09-17T18:07:53.000Z */
bool s3_parse_http_date(Str s, TimeMs *ret);    /* Tue, 17 Sep 2013 18:07:53 GMT */

#endif
