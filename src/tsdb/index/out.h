/* SPDX-License-Identifier: Apache-2.0 */
/* out.h — a file being written front to back, with a running checksum and few patches behind: index and chunk files.
 *
 *   e = out_open(&o, disk, path);
 *   out_section_begin(&o);  out_put_uvarint(&o, n); …  out_section_end(&o);        length u32, content, CRC-32C of the content
 *   e = out_close(&o);                              the first error of all of them; synced
 *
 * Writes fail silently until out_close or out_error: the pages of a builder need no check each. Threads: one owner. */
#ifndef TSDB_INDEX_OUT_H
#define TSDB_INDEX_OUT_H

#include "base/buf.h"
#include "tsdb/wal/disk.h"

struct out {
        const struct disk *disk;
        int fd;                         /* -1: not open */
        char *path;
        uint64_t pos;                   /* bytes given */
        uint64_t flushed;               /* bytes written */
        struct buf buf;
        uint32_t crc;                   /* since out_crc_begin or out_section_begin */
        uint64_t section;               /* where the length of the section stands */
        struct error *error;            /* the first one */
};

/* A zeroed struct out may be passed to out_abort. The path is made anew. */
struct error *out_open(struct out *o, const struct disk *disk, const char *path) MUST_CHECK;
struct error *out_close(struct out *o) MUST_CHECK;      /* flushes, syncs, closes */
struct error *out_flush(struct out *o) MUST_CHECK;      /* what was given can be read from the file */
void out_abort(struct out *o);                          /* closes without looking; the file stays */

void out_write(struct out *o, const void *p, size_t n);
void out_pad(struct out *o, unsigned align);            /* zero bytes up to the next multiple */
void out_put_be32(struct out *o, uint32_t v);
void out_put_be64(struct out *o, uint64_t v);
void out_put_uvarint(struct out *o, uint64_t v);
void out_put_uvarint_str(struct out *o, Str s);         /* length, then the bytes */
static inline void out_crc_begin(struct out *o)
{
        o->crc = 0;
}
void out_put_crc(struct out *o);
void out_section_begin(struct out *o);
void out_section_end(struct out *o);                    /* content above 4 GiB is ERROR_LIMIT */

#endif
