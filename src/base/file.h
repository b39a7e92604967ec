/* SPDX-License-Identifier: Apache-2.0 */
/* file.h — files and directories: whole reads, durable writes, maps. Every error names the path.
 *
 * A file appears under its name only when it is complete: file_replace writes name.tmp, syncs, renames, syncs the directory. Any thread. */
#ifndef BASE_FILE_H
#define BASE_FILE_H

#include "base/buf.h"
#include "base/error.h"
#include "base/vec.h"

/* Reads at most limit bytes; a larger file is ERROR_LIMIT. The text is owned by the caller (*ret_n excludes a NUL put behind it). */
struct error *file_read(const char *path, size_t limit, char **ret, size_t *ret_n) MUST_CHECK;
struct error *file_replace(const char *path, Str content) MUST_CHECK;
struct error *file_write_all(int fd, const void *p, size_t n) MUST_CHECK;      /* until all is written; text without a path */
struct error *file_pwrite_all(int fd, const void *p, size_t n, uint64_t at) MUST_CHECK;
struct error *file_sync_dir(const char *path) MUST_CHECK;
bool file_exists(const char *path);
struct error *file_size(const char *path, uint64_t *ret) MUST_CHECK;

struct error *dir_make_all(const char *path) MUST_CHECK;                        /* as mkdir -p, mode 0777 & ~umask */
struct error *dir_remove_all(const char *path) MUST_CHECK;                      /* as rm -rf; a missing one is fine; does not follow links */
uint64_t dir_size_bytes(const char *path);                                      /* sum of regular files below; 0 if unreadable */
typedef VEC(char *) PathVec;
struct error *dir_list(const char *path, PathVec *ret) MUST_CHECK;              /* names without . and .., sorted; append to ret */
void path_vec_done(PathVec *v);                                                 /* frees names and array */
char *path_join(const char *dir, const char *name);                             /* heap */
Str path_dir(Str path);                                                         /* "." when there is none */
Str path_base(Str path);

/* A read-only map of a whole file. An empty file maps to n = 0. */
struct file_map {
        const uint8_t *p;
        size_t n;
};
struct error *file_map_open(const char *path, struct file_map *ret) MUST_CHECK;
/* Part of a map of a file (and of nothing else) is not needed for now: its pages stop counting as ours, and come again when they are read. */
void file_map_release(const void *p, size_t n);
void file_map_close(struct file_map *m);                                        /* zeroed is fine */

#endif
