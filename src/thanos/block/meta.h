/* SPDX-License-Identifier: Apache-2.0 */
/* meta.h — meta.json of a block in a bucket: the database's part, and the section "thanos".
 *
 *   struct thanos_meta *m;
 *   e = thanos_meta_parse(json, &m);
 *   use(m->block.mint_ms, m->labels, m->resolution_ms);
 *   thanos_meta_unref(m);
 *
 *   struct thanos_meta *m = thanos_meta_new();              for a new one; strings go into m->arena
 *   thanos_meta_print(&buf, m);                             byte for byte as the original writes it
 *
 * Members that we do not know are kept with their bytes, in both parts. Constant once it is shared: any thread may read
 * and ref it. Format: docs/format/block.md.  Upstream: thanos pkg/block/metadata/meta.go */
#ifndef THANOS_BLOCK_META_H
#define THANOS_BLOCK_META_H

#include "base/arena.h"
#include "model/labels.h"
#include "tsdb/block/meta.h"

struct thanos_file {
        Str rel_path;
        int64_t size_bytes;        /* 0: not said */
        Str hash_func, hash_value; /* empty: none */
};
struct thanos_meta {
        int refs;                /* atomic */
        struct arena arena;      /* of all strings below */
        struct block_meta block; /* extra: members of the file other than "thanos" */
        int64_t version;         /* 0 is read as 1 and not written */
        Labels labels;           /* external ones */
        int64_t resolution_ms;   /* 0, 300000, 3600000 */
        Str source;              /* "sidecar", "compactor", … */
        const Str *segment_files;
        size_t n_segment_files;
        const struct thanos_file *files;
        size_t n_files;
        int64_t series_max_size, chunk_max_size; /* index_stats; 0: unknown */
        Str rewrites, extensions;                /* JSON as read; empty: none */
        Str others;                              /* further members of the section, as text "\"k\": v,\n\t\t…" */
};
#define THANOS_SOURCE_COMPACTOR "compactor"

struct thanos_meta *thanos_meta_new(void);
struct thanos_meta *thanos_meta_ref(struct thanos_meta *m);
void thanos_meta_unref(struct thanos_meta *m); /* NULL is fine */
/* ERROR_CORRUPT: no JSON, a member of the wrong type, another version. */
struct error *thanos_meta_parse(Str json, struct thanos_meta **ret) MUST_CHECK;
void thanos_meta_print(struct buf *b, const struct thanos_meta *m); /* with a line break at the end */
/* The same for files on disk; ERROR_NOT_FOUND without the file. */
struct error *thanos_meta_read(const char *dir, struct thanos_meta **ret) MUST_CHECK;
struct error *thanos_meta_write(const char *dir, const struct thanos_meta *m) MUST_CHECK;

#define THANOS_META_MAX_BYTES ((size_t)16 << 20)

/* --- marks: small files beside meta.json --- */

#define MARK_DELETION      "deletion-mark.json"
#define MARK_NO_COMPACT    "no-compact-mark.json"
#define MARK_NO_DOWNSAMPLE "no-downsample-mark.json"
struct deletion_mark {
        Ulid id;
        int64_t deletion_time_s;
        char *details; /* owned; NULL: none */
};
void deletion_mark_done(struct deletion_mark *m);
/* ERROR_CORRUPT: no JSON (perhaps half uploaded); ERROR_UNSUPPORTED: another version. */
struct error *deletion_mark_parse(Str json, struct deletion_mark *ret) MUST_CHECK;
void deletion_mark_print(struct buf *b, const struct deletion_mark *m); /* one line, as the original writes it */

#endif
