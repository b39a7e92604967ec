/* SPDX-License-Identifier: Apache-2.0 */
/* disk.h — the few calls by which the log and the head's chunk files reach the disk: a seam for tests that fill it,
 * tear writes or stop dead.
 *
 *   disk_system.pwrite(&disk_system, fd, p, n, at)          as the system call: -1 and errno, or bytes written
 *
 * Threads: any. */
#ifndef TSDB_WAL_DISK_H
#define TSDB_WAL_DISK_H

#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct disk {
        int (*open)(const struct disk *d, const char *path, int flags); /* mode 0666 & ~umask, O_CLOEXEC */
        ssize_t (*pwrite)(const struct disk *d, int fd, const void *p, size_t n, uint64_t at);
        int (*fsync)(const struct disk *d, int fd);
        int (*ftruncate)(const struct disk *d, int fd, uint64_t size);
        int (*rename)(const struct disk *d, const char *from, const char *to);
        int (*unlink)(const struct disk *d, const char *path);
        int (*sync_dir)(const struct disk *d, const char *path); /* NULL: as disk_system */
};
extern const struct disk disk_system;

/* So that renames in it outlive a power cut. */
struct error *disk_sync_dir(const struct disk *d, const char *path) MUST_CHECK;
/* Writes all of it, or says why not; then some of it may be in the file. */
struct error *disk_write_all(const struct disk *d, int fd, const void *p, size_t n, uint64_t at) MUST_CHECK;

#endif
