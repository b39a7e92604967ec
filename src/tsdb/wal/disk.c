/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/wal/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"

static int sys_open(UNUSED const struct disk *d, const char *path, int flags)
{
        return open(path, flags | O_CLOEXEC, 0666);
}

static ssize_t sys_pwrite(UNUSED const struct disk *d, int fd, const void *p, size_t n, uint64_t at)
{
        return pwrite(fd, p, n, (off_t)at);
}

static int sys_fsync(UNUSED const struct disk *d, int fd)
{
        return fdatasync(fd);
}

static int sys_ftruncate(UNUSED const struct disk *d, int fd, uint64_t size)
{
        return ftruncate(fd, (off_t)size);
}

static int sys_rename(UNUSED const struct disk *d, const char *from, const char *to)
{
        return rename(from, to);
}

static int sys_unlink(UNUSED const struct disk *d, const char *path)
{
        return unlink(path);
}

const struct disk disk_system = {
        .open = sys_open,
        .pwrite = sys_pwrite,
        .fsync = sys_fsync,
        .ftruncate = sys_ftruncate,
        .rename = sys_rename,
        .unlink = sys_unlink,
};

struct error *disk_sync_dir(const struct disk *d, const char *path)
{
        if (!d->sync_dir)
                return file_sync_dir(path);
        return d->sync_dir(d, path) < 0 ? error_errno(errno, "sync directory %s", path) : NULL;
}

struct error *disk_write_all(const struct disk *d, int fd, const void *p, size_t n, uint64_t at)
{
        const char *from = p;
        while (n > 0) {
                ssize_t w = d->pwrite(d, fd, from, n, at);
                if (w < 0 && errno == EINTR)
                        continue;
                if (w < 0)
                        return error_errno(errno, "write");
                if (w == 0)
                        return error_errno(ENOSPC, "write");
                from += w;
                at += (uint64_t)w;
                n -= (size_t)w;
        }
        return NULL;
}
