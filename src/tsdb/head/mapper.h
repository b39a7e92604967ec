/* SPDX-License-Identifier: Apache-2.0 */
/* mapper.h — the head's chunk files: full chunks leave memory here and are read through maps.
 *
 *   e = mapper_open(dir, disk, &m);
 *   e = mapper_each(m, on_chunk, ctx);                      ERROR_CORRUPT: then mapper_drop_from(m, mapper_bad_seq(m))
 * and read again e = mapper_put(m, &c, &p, &ref);  e = mapper_flush(m);   p may be read from then on
 *
 * Files are only appended to while they are mapped, never cut. Threads: one owner at a time; what was flushed, any may
 * read. Format: docs/format/head_chunks.md.  Upstream: tsdb/chunks/head_chunks.go. */
#ifndef TSDB_HEAD_MAPPER_H
#define TSDB_HEAD_MAPPER_H

#include "storage/storage.h"
#include "tsdb/wal/disk.h"

struct mapper;
struct error *mapper_open(const char *dir, const struct disk *disk, struct mapper **ret) MUST_CHECK;
struct error *mapper_close(struct mapper *take_m) MUST_CHECK; /* NULL is fine */

struct mapper_chunk {
        uint64_t series_ref;
        struct chunk chunk; /* ref: file number << 32 | offset */
        bool is_out_of_order;
};
typedef struct error *(*mapper_fn)(void *ctx, const struct mapper_chunk *c);
struct error *mapper_each(struct mapper *m, mapper_fn fn, void *ctx) MUST_CHECK;
/* The chunks of one file in memory, for fuzzing. */
struct error *mapper_each_bytes(Str file, uint32_t seq, mapper_fn fn, void *ctx) MUST_CHECK;
/* A chunk that mapper_each gave, by its ref. */
void mapper_get(const struct mapper *m, uint64_t ref, struct mapper_chunk *ret);
int mapper_bad_seq(const struct mapper *m);
/* Removes the files from seq on. */
struct error *mapper_drop_from(struct mapper *m, int seq) MUST_CHECK;

/* Nothing is written before a flush (a put that needs a new file flushes too); when that fails, all chunks that are not
 * durable are forgotten. */
struct error *mapper_put(struct mapper *m, const struct mapper_chunk *c, const uint8_t **ret, uint64_t *ret_ref) MUST_CHECK;
struct error *mapper_flush(struct mapper *m) MUST_CHECK;
/* What was flushed is on disk when this returns. */
struct error *mapper_sync(struct mapper *m) MUST_CHECK;
uint64_t mapper_durable(const struct mapper *m); /* chunks flushed since it was opened */
/* Number of the file that holds p; INT_MAX: none of them. */
int mapper_seq_of(const struct mapper *m, const uint8_t *p);
/* Removes files below seq, but not the newest; the maps go to unmap(). */
struct error *mapper_truncate(struct mapper *m, int seq, void (*unmap)(void *ctx, void *p, size_t n),
                              void *ctx) MUST_CHECK;
uint64_t mapper_bytes(const struct mapper *m); /* on disk */
/* Number and length of the newest file; 0: there is none. */
void mapper_newest(const struct mapper *m, int *ret_seq, uint64_t *ret_bytes);

#endif
