/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"

struct error *file_read(const char *path, size_t limit, char **ret, size_t *ret_n)
{
        struct error *e = NULL;
        struct buf b = BUF_INIT(limit);
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return error_errno(errno, "open %s", path);
        for (;;) {
                char chunk[16384];
                ssize_t got = read(fd, chunk, sizeof chunk);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0) {
                        e = error_errno(errno, "read %s", path);
                        goto out;
                }
                if (got == 0)
                        break;
                buf_append(&b, chunk, (size_t)got);
                if (buf_is_over(&b)) {
                        e = error_new(ERROR_LIMIT, "read %s: larger than %zu bytes", path, limit);
                        goto out;
                }
        }
        *ret_n = b.n;
        *ret = buf_take(&b);
out:
        close(fd);
        buf_done(&b);
        return e;
}

struct error *file_write_all(int fd, const void *p, size_t n)
{
        const char *at = p;
        while (n) {
                ssize_t put = write(fd, at, n);
                if (put < 0 && errno == EINTR)
                        continue;
                if (put < 0)
                        return error_errno(errno, "write");
                at += put;
                n -= (size_t)put;
        }
        return NULL;
}

struct error *file_pwrite_all(int fd, const void *p, size_t n, uint64_t at)
{
        const char *from = p;
        while (n) {
                ssize_t put = pwrite(fd, from, n, (off_t)at);
                if (put < 0 && errno == EINTR)
                        continue;
                if (put < 0)
                        return error_errno(errno, "write");
                from += put;
                at += (uint64_t)put;
                n -= (size_t)put;
        }
        return NULL;
}

struct error *file_sync_dir(const char *path)
{
        int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return error_errno(errno, "open %s", path);
        int rc = fsync(fd);
        int err = errno;
        close(fd);
        return rc ? error_errno(err, "sync %s", path) : NULL;
}

struct error *file_replace(const char *path, Str content)
{
        size_t n = strlen(path) + sizeof ".tmp";
        char *tmp = mem_alloc(n);
        snprintf(tmp, n, "%s.tmp", path);
        struct error *e = NULL;
        int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        if (fd < 0) {
                e = error_errno(errno, "create %s", tmp);
                goto out;
        }
        e = file_write_all(fd, content.p, content.n);
        if (e)
                e = error_wrap(e, "%s", tmp);
        else if (fsync(fd))
                e = error_errno(errno, "sync %s", tmp);
        close(fd);
        if (!e && rename(tmp, path))
                e = error_errno(errno, "rename %s to %s", tmp, path);
        if (e) {
                unlink(tmp);
                goto out;
        }
        Str dir = path_dir(str_from(path));
        char *d = str_dup(dir);
        e = file_sync_dir(d);
        free(d);
out:
        free(tmp);
        return e;
}

bool file_exists(const char *path)
{
        return access(path, F_OK) == 0;
}

struct error *file_size(const char *path, uint64_t *ret)
{
        struct stat st;
        if (stat(path, &st))
                return error_errno(errno, "stat %s", path);
        *ret = (uint64_t)st.st_size;
        return NULL;
}

struct error *dir_make_all(const char *path)
{
        char *p = mem_strdup(path);
        struct error *e = NULL;
        for (char *at = p + 1; *p; at++) {
                if (*at && *at != '/')
                        continue;
                char c = *at;
                *at = '\0';
                if (mkdir(p, 0777) && errno != EEXIST) {
                        e = error_errno(errno, "mkdir %s", p);
                        break;
                }
                *at = c;
                if (!c)
                        break;
        }
        struct stat st;
        if (!e && (stat(path, &st) || !S_ISDIR(st.st_mode)))
                e = error_new(ERROR_IO, "mkdir %s: not a directory", path);
        free(p);
        return e;
}

static struct error *remove_at(int dirfd, const char *name, const char *shown)
{
        if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
                return NULL;
        if (errno != EISDIR && errno != EPERM)
                return error_errno(errno, "remove %s", shown);
        int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return error_errno(errno, "open %s", shown);
        DIR *d = fdopendir(fd);
        if (!d) {
                int err = errno;
                close(fd);
                return error_errno(err, "open %s", shown);
        }
        struct error *e = NULL;
        for (struct dirent *de; !e && (de = readdir(d));) {
                if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
                        continue;
                char *child = path_join(shown, de->d_name);
                e = remove_at(fd, de->d_name, child);
                free(child);
        }
        closedir(d);
        if (!e && unlinkat(dirfd, name, AT_REMOVEDIR) && errno != ENOENT)
                e = error_errno(errno, "remove %s", shown);
        return e;
}

struct error *dir_remove_all(const char *path)
{
        return remove_at(AT_FDCWD, path, path);
}

uint64_t dir_size_bytes(const char *path)
{
        uint64_t sum = 0;
        DIR *d = opendir(path);
        if (!d)
                return 0;
        for (struct dirent *de; (de = readdir(d));) {
                struct stat st;
                if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
                        continue;
                if (fstatat(dirfd(d), de->d_name, &st, AT_SYMLINK_NOFOLLOW))
                        continue;
                if (S_ISREG(st.st_mode)) {
                        sum += (uint64_t)st.st_size;
                } else if (S_ISDIR(st.st_mode)) {
                        char *child = path_join(path, de->d_name);
                        sum += dir_size_bytes(child);
                        free(child);
                }
        }
        closedir(d);
        return sum;
}

static int cmp_names(const void *a, const void *b)
{
        return strcmp(*(char *const *)a, *(char *const *)b);
}

struct error *dir_list(const char *path, PathVec *ret)
{
        DIR *d = opendir(path);
        if (!d)
                return error_errno(errno, "open %s", path);
        size_t from = ret->n;
        for (struct dirent *de; (de = readdir(d));)
                if (strcmp(de->d_name, ".") != 0 && strcmp(de->d_name, "..") != 0)
                        vec_push(ret, mem_strdup(de->d_name));
        closedir(d);
        if (ret->n > from)
                qsort(ret->p + from, ret->n - from, sizeof *ret->p, cmp_names);
        return NULL;
}

void path_vec_done(PathVec *v)
{
        for (size_t i = 0; i < v->n; i++)
                free(v->p[i]);
        vec_done(v);
}

char *path_join(const char *dir, const char *name)
{
        size_t nd = strlen(dir), nn = strlen(name);
        char *p = mem_alloc(nd + nn + 2);
        memcpy(p, dir, nd);
        if (nd && dir[nd - 1] != '/')
                p[nd++] = '/';
        memcpy(p + nd, name, nn + 1);
        return p;
}

Str path_dir(Str path)
{
        ptrdiff_t at = str_rfind(path, '/');
        if (at < 0)
                return STR(".");
        return at == 0 ? STR("/") : str_sub(path, 0, (size_t)at);
}

Str path_base(Str path)
{
        ptrdiff_t at = str_rfind(path, '/');
        return at < 0 ? path : str_skip(path, (size_t)at + 1);
}

struct error *file_map_open(const char *path, struct file_map *ret)
{
        struct stat st;
        int fd = open(path, O_RDONLY | O_CLOEXEC);
        if (fd < 0)
                return error_errno(errno, "open %s", path);
        struct error *e = NULL;
        struct file_map m = {NULL, 0};
        if (fstat(fd, &st)) {
                e = error_errno(errno, "stat %s", path);
        } else if (st.st_size > 0) {
                void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
                if (p == MAP_FAILED)
                        e = error_errno(errno, "mmap %s", path);
                else
                        m = (struct file_map){p, (size_t)st.st_size};
        }
        close(fd);
        if (!e)
                *ret = m;
        return e;
}

void file_map_release(const void *p, size_t n)
{
        uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = ((uintptr_t)p + page - 1) & ~(page - 1), to = ((uintptr_t)p + n) & ~(page - 1);
        if (from < to)
                madvise((void *)from, to - from, MADV_DONTNEED); /* that it fails costs memory only */
}

void file_map_close(struct file_map *m)
{
        if (m->n)
                munmap((void *)m->p, m->n);
        *m = (struct file_map){NULL, 0};
}
