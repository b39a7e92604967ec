/* SPDX-License-Identifier: Apache-2.0 */
/* fault_disk.h — for tests: a disk that fails now and then, dies, and forgets what was not synced.
 *
 *   struct fault_disk d;  fault_disk_init(&d, seed);  opts.disk = &d.d;
 *   d.rate = 200;                   one call in so many fails: EIO, ENOSPC, a short write
 *   fault_disk_die_after(&d, 50);   the 50th call from now is cut in the middle, and nothing works any more
 *   fault_disk_power_cut(&d);       the files are closed: what was not synced goes, wholly or in part, renames too
 *   fault_disk_revive(&d);
 */
#ifndef TSDB_DB_FAULT_DISK_H
#define TSDB_DB_FAULT_DISK_H

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rand.h"
#include "base/str.h"
#include "base/test.h"
#include "base/vec.h"
#include "tsdb/wal/disk.h"

struct fault_file {
        char *path;
        uint64_t synced; /* bytes that a power cut leaves */
};
struct fault_rename {
        char *from, *to;
};
enum { FAULT_FDS = 4096 };
struct fault_disk {
        struct disk d;
        struct rand rand;
        uint64_t rate;  /* 0: no faults */
        int64_t left;   /* calls until it dies; negative: never */
        bool is_dead;
        VEC(struct fault_file) files;
        VEC(struct fault_rename) renames; /* whose directory was not synced since */
        int of_fd[FAULT_FDS];             /* index into files + 1 */
        uint64_t calls, faults, deaths, cuts, bytes_lost, renames_lost;
};

/* errno, or 0: the call goes on. */
static inline int fault_next(const struct disk *d, bool *ret_torn)
{
        struct fault_disk *x = CONTAINER_OF(d, struct fault_disk, d);
        x->calls++;
        *ret_torn = false;
        if (x->is_dead)
                return EIO;
        if (x->left > 0 && --x->left == 0) {
                x->is_dead = true;
                x->deaths++;
                *ret_torn = true;
                return EIO;
        }
        if (x->rate && rand_below(&x->rand, x->rate) == 0) {
                x->faults++;
                *ret_torn = rand_below(&x->rand, 2) == 0;
                return rand_below(&x->rand, 2) ? EIO : ENOSPC;
        }
        return 0;
}

static inline int fault_open(const struct disk *d, const char *path, int flags)
{
        struct fault_disk *x = CONTAINER_OF(d, struct fault_disk, d);
        bool torn;
        errno = fault_next(d, &torn);
        if (errno)
                return -1;
        int fd = disk_system.open(&disk_system, path, flags);
        struct stat st;
        if (fd < 0 || (flags & O_ACCMODE) == O_RDONLY || fstat(fd, &st) < 0)
                return fd;
        if (fd >= FAULT_FDS)
                bug("file descriptor %d", fd);
        size_t i = 0;
        while (i < x->files.n && strcmp(x->files.p[i].path, path) != 0)
                i++;
        if (i == x->files.n)
                vec_push(&x->files, (struct fault_file){mem_strdup(path), (uint64_t)st.st_size});
        else if (flags & O_CREAT)
                x->files.p[i].synced = (uint64_t)st.st_size;
        x->of_fd[fd] = (int)i + 1;
        return fd;
}

static inline ssize_t fault_pwrite(const struct disk *d, int fd, const void *p, size_t n, uint64_t at)
{
        bool torn;
        int why = fault_next(d, &torn);
        if (!why)
                return disk_system.pwrite(&disk_system, fd, p, n, at);
        if (torn && n > 1) {
                struct fault_disk *x = CONTAINER_OF(d, struct fault_disk, d);
                ssize_t w = disk_system.pwrite(&disk_system, fd, p, 1 + rand_below(&x->rand, n - 1), at);
                if (!x->is_dead && w > 0)
                        return w; /* a short write, as the kernel may do at any time */
        }
        errno = why;
        return -1;
}

static inline int fault_fsync(const struct disk *d, int fd)
{
        struct fault_disk *x = CONTAINER_OF(d, struct fault_disk, d);
        bool torn;
        struct stat st;
        errno = fault_next(d, &torn);
        if (errno)
                return -1;
        if (fd < FAULT_FDS && x->of_fd[fd] && fstat(fd, &st) == 0)
                x->files.p[x->of_fd[fd] - 1].synced = (uint64_t)st.st_size;
        return 0;
}

static inline int fault_ftruncate(const struct disk *d, int fd, uint64_t size)
{
        struct fault_disk *x = CONTAINER_OF(d, struct fault_disk, d);
        bool torn;
        errno = fault_next(d, &torn);
        if (errno)
                return -1;
        if (fd < FAULT_FDS && x->of_fd[fd])
                x->files.p[x->of_fd[fd] - 1].synced = MIN(x->files.p[x->of_fd[fd] - 1].synced, size);
        return disk_system.ftruncate(&disk_system, fd, size);
}

/* Files below a directory that has another name now. */
static inline void fault_moved(struct fault_disk *x, const char *from, const char *to)
{
        size_t n = strlen(from);
        for (size_t i = 0; i < x->files.n; i++) {
                char *path = x->files.p[i].path;
                if (strncmp(path, from, n) != 0 || (path[n] && path[n] != '/'))
                        continue;
                struct buf b = BUF_INIT(4096);
                buf_printf(&b, "%s%s", to, path + n);
                free(path);
                x->files.p[i].path = buf_take(&b);
        }
}

static inline int fault_rename(const struct disk *d, const char *from, const char *to)
{
        struct fault_disk *x = CONTAINER_OF(d, struct fault_disk, d);
        bool torn;
        errno = fault_next(d, &torn);
        if (errno)
                return -1;
        int r = disk_system.rename(&disk_system, from, to);
        if (r == 0) {
                fault_moved(x, from, to);
                vec_push(&x->renames, (struct fault_rename){mem_strdup(from), mem_strdup(to)});
        }
        return r;
}

static inline int fault_unlink(const struct disk *d, const char *path)
{
        bool torn;
        errno = fault_next(d, &torn);
        return errno ? -1 : disk_system.unlink(&disk_system, path);
}

static inline void fault_renames_clear(struct fault_disk *x)
{
        for (size_t i = 0; i < x->renames.n; i++) {
                free(x->renames.p[i].from);
                free(x->renames.p[i].to);
        }
        vec_clear(&x->renames);
}

static inline int fault_sync_dir(const struct disk *d, const char *path)
{
        struct fault_disk *x = CONTAINER_OF(d, struct fault_disk, d);
        bool torn;
        errno = fault_next(d, &torn);
        if (errno)
                return -1;
        size_t n = strlen(path), k = 0;
        for (size_t i = 0; i < x->renames.n; i++) {
                struct fault_rename r = x->renames.p[i];
                bool here = strncmp(r.to, path, n) == 0 && r.to[n] == '/' && !strchr(r.to + n + 1, '/');
                if (!here) {
                        x->renames.p[k++] = r;
                        continue;
                }
                free(r.from);
                free(r.to);
        }
        x->renames.n = k;
        return 0;
}

static inline void fault_disk_init(struct fault_disk *x, uint64_t seed)
{
        *x = (struct fault_disk){.d = {.open = fault_open,
                                       .pwrite = fault_pwrite,
                                       .fsync = fault_fsync,
                                       .ftruncate = fault_ftruncate,
                                       .rename = fault_rename,
                                       .unlink = fault_unlink,
                                       .sync_dir = fault_sync_dir},
                                 .rand = {seed},
                                 .left = -1};
}

static inline void fault_disk_done(struct fault_disk *x)
{
        for (size_t i = 0; i < x->files.n; i++)
                free(x->files.p[i].path);
        vec_done(&x->files);
        fault_renames_clear(x);
        vec_done(&x->renames);
}

static inline void fault_disk_die_after(struct fault_disk *x, int64_t calls)
{
        x->left = calls;
}

static inline void fault_disk_revive(struct fault_disk *x)
{
        x->is_dead = false;
        x->left = -1;
}

static inline void fault_disk_power_cut(struct fault_disk *x)
{
        x->cuts++;
        for (size_t i = 0; i < x->files.n; i++) {
                struct fault_file *f = &x->files.p[i];
                struct stat st;
                if (stat(f->path, &st) < 0 || (uint64_t)st.st_size <= f->synced)
                        continue;
                uint64_t behind = (uint64_t)st.st_size - f->synced, keep = rand_below(&x->rand, behind + 1);
                if (truncate(f->path, (off_t)(f->synced + keep)) < 0)
                        bug("cut %s", f->path);
                /* The size came to the disk, some sectors did not. */
                uint64_t zero = keep ? (f->synced + rand_below(&x->rand, keep)) / 512 * 512 : 0;
                zero = zero > f->synced ? zero - f->synced : 0;
                if (rand_below(&x->rand, 3) == 0 && keep) {
                        if (truncate(f->path, (off_t)(f->synced + zero)) < 0 || truncate(f->path, (off_t)(f->synced + keep)) < 0)
                                bug("cut %s", f->path);
                        keep = zero;
                }
                x->bytes_lost += behind - keep;
        }
        for (size_t i = x->renames.n; i-- > 0;) {
                if (rand_below(&x->rand, 2) && !file_exists(x->renames.p[i].from) && rename(x->renames.p[i].to, x->renames.p[i].from) == 0) {
                        fault_moved(x, x->renames.p[i].to, x->renames.p[i].from);
                        x->renames_lost++;
                }
        }
        fault_renames_clear(x);
        for (size_t i = 0; i < x->files.n; i++)
                free(x->files.p[i].path);
        vec_clear(&x->files);
        memset(x->of_fd, 0, sizeof x->of_fd);
}

#endif
