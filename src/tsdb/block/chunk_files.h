/* SPDX-License-Identifier: Apache-2.0 */
/* chunk_files.h — the folder chunks/ of a block: numbered files of at most 512 MiB.
 *
 *   e = chunk_writer_new(NULL, "dir/chunks", 0, &w);  e = chunk_writer_add(w, &chunk, &ref);  …  e = chunk_writer_finish(w);
 *   e = chunk_files_open("dir/chunks", &f);  e = chunk_files_get(f, ref, &chunk);             encoding and data, in the map
 *
 * A chunk's checksum is looked at when it is first got; a bitmap remembers (a chunk takes at least 8 bytes, so each has a bit of its own).
 * Threads: readers any; writer one owner. Format: docs/format/chunk.md.  Upstream: tsdb/chunks/chunks.go. */
#ifndef TSDB_BLOCK_CHUNK_FILES_H
#define TSDB_BLOCK_CHUNK_FILES_H

#include "storage/storage.h"
#include "tsdb/wal/disk.h"

enum { CHUNK_FILE_HEADER_BYTES = 8 };
#define CHUNK_FILE_BYTES (UINT64_C(512) << 20)

struct chunk_writer;
/* Makes the folder. file_bytes 0: CHUNK_FILE_BYTES. */
struct error *chunk_writer_new(const struct disk *disk, const char *dir, uint64_t file_bytes, struct chunk_writer **ret) MUST_CHECK;
struct error *chunk_writer_add(struct chunk_writer *w, const struct chunk *c, uint64_t *ret_ref) MUST_CHECK;
struct error *chunk_writer_finish(struct chunk_writer *w) MUST_CHECK;   /* synced */
void chunk_writer_free(struct chunk_writer *w);         /* NULL is fine */

struct chunk_files;
/* ERROR_CORRUPT names the file: bad magic or version, a gap in the numbers. */
struct error *chunk_files_open(const char *dir, struct chunk_files **ret) MUST_CHECK;
void chunk_files_close(struct chunk_files *f);          /* NULL is fine */
uint64_t chunk_files_bytes(const struct chunk_files *f);
/* Sets encoding, data and ref of *ret. */
struct error *chunk_files_get(struct chunk_files *f, uint64_t ref, struct chunk *ret) MUST_CHECK;
/* A first look at the memory of a chunk that will be got soon. */
void chunk_files_prefetch(const struct chunk_files *f, uint64_t ref);
/* Over bytes of one file in memory, borrowed: for tests and fuzzing. */
struct error *chunk_files_of_bytes(Str file, struct chunk_files **ret) MUST_CHECK;

#endif
