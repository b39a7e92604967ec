/* SPDX-License-Identifier: Apache-2.0 */
/* filesystem.c — objects as files below a directory.
 *
 * An upload is written (a file: copied by the kernel; a final one on the same file system: linked) beside its target
 * under a name that begins with TMP_PREFIX, synced and renamed, so that an object appears whole; listings leave such
 * names out. Directories are made when needed; a delete removes those it empties, up to the top. Directories without anything in them are not listed. Names whose segments are empty, "." or
 * ".." are refused: nothing outside the directory is touched. Differs from upstream: listings are in the order of
 * object names ("a-b" before "a/c"); a directory is neither an object nor deleted as one. Upstream:
 * objstore/providers/filesystem */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rand.h"
#include "objstore/bucket_impl.h"

#define TMP_PREFIX ".coeus-upload-"
enum { PIECE_BYTES = 256 << 10, COPY_BYTES = 16 << 20, DEPTH_MAX = 64, MKDIR_TRIES = 20 };

struct filesystem_bucket {
        struct bucket b;
        char *root;
};

static struct filesystem_bucket *self(struct bucket *b)
{
        return CONTAINER_OF(b, struct filesystem_bucket, b);
}

/* The path of a name; heap. */
static struct error *path_of(struct bucket *b, Str name, char **ret)
{
        Str rest = str_trim_suffix(name, STR("/")), segment;
        while (rest.p && rest.n) {
                if (!str_cut(rest, '/', &segment, &rest)) {
                        segment = rest;
                        rest = STR("");
                } else if (rest.n == 0) {
                        segment = STR("");
                }
                if (segment.n == 0 || str_eq(segment, STR(".")) || str_eq(segment, STR("..")))
                        return error_new(ERROR_INVALID, "a segment of the name is empty, \".\" or \"..\"");
                if (str_has_prefix(segment, STR(TMP_PREFIX)))
                        return error_new(ERROR_INVALID,
                                         "names that begin with " TMP_PREFIX " are those of unfinished uploads");
        }
        struct buf p = BUF_INIT(BUF_NO_LIMIT);
        buf_puts(&p, self(b)->root);
        if (name.n) {
                buf_putc(&p, '/');
                buf_put(&p, str_trim_suffix(name, STR("/")));
        }
        *ret = buf_take(&p);
        return NULL;
}

static struct error *os_error(int err, const char *what, const char *path)
{
        if (err == ENOENT || err == ENOTDIR)
                return error_new(ERROR_NOT_FOUND, "%s %s: no such file or directory", what, path);
        if (err == EACCES || err == EPERM)
                return error_new(ERROR_DENIED, "%s %s: permission denied", what, path);
        return error_errno(err, "%s %s", what, path);
}

static TimeMs mtime_ms(const struct stat *st)
{
        return (TimeMs)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
}

static void filesystem_free(struct bucket *b)
{
        struct filesystem_bucket *f = self(b);
        free(f->root);
        free(f);
}

/* --- listing --- */

struct walk {
        const struct bucket_call *c;
        unsigned flags;
        bucket_each *each;
        void *arg;
        struct buf path; /* of the directory that is read */
        struct buf name; /* the same as object names have it: "" or "a/b/" */
};
struct found {
        char *name; /* borrowed from the list; a directory's has "/" at its end */
        size_t n;
        struct stat st;
        bool is_dir;
};

static int found_cmp(const void *a, const void *b)
{
        const struct found *x = a, *y = b;
        return str_cmp((Str){x->name, x->n}, (Str){y->name, y->n});
}

static bool is_tmp(const char *name)
{
        return strncmp(name, TMP_PREFIX, sizeof TMP_PREFIX - 1) == 0;
}

/* Nothing but unfinished uploads in it; also when it is gone or unreadable. */
static bool is_dir_empty(const char *path)
{
        PathVec names = VEC_INIT;
        struct error *e = dir_list(path, &names);
        bool empty = true;
        for (size_t i = 0; i < names.n && empty; i++)
                empty = is_tmp(names.p[i]);
        error_ignore(e, "gone meanwhile: the same as empty");
        path_vec_done(&names);
        return empty;
}

static struct error *walk_dir(struct walk *w, int depth);

static struct error *walk_found(struct walk *w, const struct found *f, int depth)
{
        size_t path_n = w->path.n, name_n = w->name.n;
        struct error *e = bucket_call_check(w->c);
        buf_append(&w->name, f->name, f->n);
        if (!e && f->is_dir && (w->flags & BUCKET_RECURSIVE)) {
                buf_putc(&w->path, '/');
                buf_append(&w->path, f->name, f->n - 1);
                e = walk_dir(w, depth + 1);
        } else if (!e) {
                struct bucket_entry entry = {.name = buf_str(&w->name), .is_dir = f->is_dir};
                if (!f->is_dir) {
                        entry.size_bytes = (uint64_t)f->st.st_size;
                        entry.modified_ms = mtime_ms(&f->st);
                }
                e = w->each(w->arg, &entry);
        }
        w->path.n = path_n;
        w->name.n = name_n;
        return e;
}

static struct error *walk_dir(struct walk *w, int depth)
{
        if (depth > DEPTH_MAX)
                return error_new(ERROR_LIMIT, "directories are nested deeper than %d", DEPTH_MAX);
        PathVec names = VEC_INIT;
        VEC(struct found) all = VEC_INIT;
        struct error *e = dir_list(buf_cstr(&w->path), &names);
        if (error_is(e, ERROR_NOT_FOUND)) { /* removed meanwhile, or never there */
                error_free(e);
                e = NULL;
        }
        for (size_t i = 0; i < names.n && !e; i++) {
                struct found f = {0};
                size_t path_n = w->path.n;
                if (is_tmp(names.p[i]))
                        continue;
                buf_printf(&w->path, "/%s", names.p[i]);
                const char *path = buf_cstr(&w->path);
                if (stat(path, &f.st)) {
                        if (errno != ENOENT)
                                e = os_error(errno, "stat", path);
                } else if (S_ISDIR(f.st.st_mode) ? (w->flags & BUCKET_RECURSIVE) || !is_dir_empty(path)
                                                 : S_ISREG(f.st.st_mode)) {
                        f.is_dir = S_ISDIR(f.st.st_mode);
                        f.n = strlen(names.p[i]);
                        if (f.is_dir) {
                                names.p[i] = mem_realloc(names.p[i], f.n + 2);
                                memcpy(names.p[i] + f.n++, "/", 2);
                        }
                        f.name = names.p[i];
                        vec_push(&all, f);
                }
                w->path.n = path_n;
        }
        if (all.n)
                qsort(all.p, all.n, sizeof *all.p, found_cmp);
        for (size_t i = 0; i < all.n && !e; i++)
                e = walk_found(w, &all.p[i], depth);
        vec_done(&all);
        path_vec_done(&names);
        return e;
}

static struct error *filesystem_iter(struct bucket *b, const struct bucket_call *c, Str dir, unsigned flags,
                                     bucket_each *each, void *arg)
{
        char *path;
        struct error *e = path_of(b, dir, &path);
        if (e)
                return e;
        struct stat st;
        if (stat(path, &st)) {
                if (errno != ENOENT && errno != ENOTDIR)
                        e = os_error(errno, "stat", path);
        } else if (S_ISDIR(st.st_mode)) {
                struct walk w = {.c = c,
                                 .flags = flags,
                                 .each = each,
                                 .arg = arg,
                                 .path = BUF_INIT(1 << 20),
                                 .name = BUF_INIT(1 << 20)};
                buf_puts(&w.path, path);
                buf_put(&w.name, dir);
                e = walk_dir(&w, 0);
                buf_done(&w.path);
                buf_done(&w.name);
        }
        free(path);
        return e;
}

/* --- reading --- */

static struct error *object_stat(const char *path, struct stat *ret)
{
        if (stat(path, ret))
                return os_error(errno, "stat", path);
        if (!S_ISREG(ret->st_mode))
                return error_new(ERROR_NOT_FOUND, "stat %s: not a regular file", path);
        return NULL;
}

static struct error *read_pieces(int fd, const char *path, const struct bucket_call *c, uint64_t at, uint64_t n,
                                 struct bucket_sink *sink)
{
        char *piece = mem_alloc(PIECE_BYTES);
        struct error *e = NULL;
        while (n && !e && !(e = bucket_call_check(c))) {
                ssize_t got = pread(fd, piece, MIN(n, (uint64_t)PIECE_BYTES), (off_t)at);
                if (got < 0 && errno == EINTR)
                        continue;
                if (got < 0)
                        e = os_error(errno, "read", path);
                if (got <= 0)
                        break;
                e = sink->write(sink, (Str){piece, (size_t)got});
                at += (uint64_t)got;
                n -= (uint64_t)got;
        }
        free(piece);
        return e;
}

static struct error *filesystem_read(struct bucket *b, const struct bucket_call *c, Str name, uint64_t at, uint64_t n,
                                     struct bucket_sink *sink)
{
        char *path;
        struct error *e = path_of(b, name, &path);
        if (e)
                return e;
        struct stat st;
        e = object_stat(path, &st);
        int fd = e ? -1 : open(path, O_RDONLY | O_CLOEXEC);
        if (!e && fd < 0)
                e = os_error(errno, "open", path);
        if (!e && at < (uint64_t)INT64_MAX)
                e = read_pieces(fd, path, c, at, n, sink);
        if (fd >= 0)
                close(fd);
        free(path);
        return e;
}

static struct error *filesystem_attributes(struct bucket *b, const struct bucket_call *c, Str name,
                                           struct bucket_attributes *ret)
{
        char *path;
        struct error *e = path_of(b, name, &path);
        if (e)
                return e;
        struct stat st;
        e = object_stat(path, &st);
        if (!e)
                *ret = (struct bucket_attributes){(uint64_t)st.st_size, mtime_ms(&st)};
        free(path);
        return e;
}

/* --- writing --- */

/* How much of the file the kernel copied; what it leaves, or all where it cannot, is written. */
static struct error *copy_file(int to, const struct bucket_call *c, struct bucket_body body, size_t *ret_n)
{
        struct error *e = NULL;
        int from = open(body.path, O_RDONLY | O_CLOEXEC);
        *ret_n = 0;
        while (from >= 0 && *ret_n < body.memory.n && !(e = bucket_call_check(c))) {
                ssize_t n = copy_file_range(from, NULL, to, NULL, MIN(body.memory.n - *ret_n, (size_t)COPY_BYTES), 0);
                if (n <= 0)
                        break;
                *ret_n += (size_t)n;
        }
        if (from >= 0)
                close(from);
        return e;
}

static struct error *write_body(int fd, const struct bucket_call *c, struct bucket_body body)
{
        struct error *e = NULL;
        if (body.path) {
                size_t done;
                e = copy_file(fd, c, body, &done);
                body.memory = str_skip(body.memory, done);
        }
        if (!body.stream) {
                for (Str rest = body.memory; rest.n && !e && !(e = bucket_call_check(c));) {
                        size_t n = MIN(rest.n, (size_t)(4 << 20));
                        e = file_write_all(fd, rest.p, n);
                        rest = str_skip(rest, n);
                }
                return e;
        }
        char *piece = mem_alloc(PIECE_BYTES);
        for (size_t got = 1; got && !e && !(e = bucket_call_check(c));) {
                e = body.stream->read(body.stream, piece, PIECE_BYTES, &got);
                if (!e)
                        e = file_write_all(fd, piece, got);
                else
                        got = 0;
        }
        free(piece);
        return e;
}

/* A new file in dir, which is made; again when a delete took the empty directory away in between. With `link_to` it is
 * a further name of that file, and *ret_fd -1; where that cannot be it is a new one. */
static struct error *tmp_open(const char *dir, const char *link_to, char **ret_path, int *ret_fd)
{
        struct error *e = NULL;
        for (int i = 0; i < MKDIR_TRIES; i++) {
                uint64_t id;
                struct buf p = BUF_INIT(BUF_NO_LIMIT);
                rand_system(&id, sizeof id);
                buf_printf(&p, "%s/" TMP_PREFIX "%016llx", dir, (unsigned long long)id);
                char *path = buf_take(&p);
                error_free(e);
                e = dir_make_all(dir);
                if (!e && link_to && link(link_to, path) == 0) {
                        *ret_path = path;
                        *ret_fd = -1;
                        return NULL;
                }
                if (!e && link_to && errno != ENOENT && errno != EEXIST)
                        link_to = NULL; /* another file system, or one without links */
                int fd = e ? -1 : open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
                if (fd >= 0) {
                        *ret_path = path;
                        *ret_fd = fd;
                        return NULL;
                }
                int err = errno;
                bool again = e || err == ENOENT || err == EEXIST;
                if (!e)
                        e = os_error(err, "create", path);
                free(path);
                if (!again)
                        break;
        }
        return e;
}

static struct error *filesystem_upload(struct bucket *b, const struct bucket_call *c, Str name, struct bucket_body body)
{
        char *path, *tmp = NULL;
        struct error *e = path_of(b, name, &path);
        if (e)
                return e;
        int fd = -1;
        char *dir = str_dup(path_dir(str_from(path)));
        e = tmp_open(dir, body.is_final ? body.path : NULL, &tmp, &fd);
        if (!e && fd >= 0)
                e = write_body(fd, c, body);
        if (!e && fd >= 0 && fsync(fd))
                e = os_error(errno, "sync", tmp);
        if (fd >= 0 && close(fd) && !e)
                e = os_error(errno, "close", tmp);
        if (!e && rename(tmp, path))
                e = os_error(errno, "rename", path);
        if (!e)
                e = file_sync_dir(dir);
        if (tmp && (e || fd < 0)) /* renaming a link to another one of the same file does nothing */
                unlink(tmp);
        if (error_is(e, ERROR_NOT_FOUND)) { /* of a file of ours, not of the object */
                struct error *told = error_new(ERROR_IO, "%s", error_str(e));
                error_free(e);
                e = told;
        }
        free(tmp);
        free(dir);
        free(path);
        return e;
}

static struct error *filesystem_delete(struct bucket *b, const struct bucket_call *c, Str name)
{
        char *path;
        struct error *e = path_of(b, name, &path);
        if (e)
                return e;
        struct stat st;
        if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && unlink(path) && errno != ENOENT)
                e = os_error(errno, "remove", path);
        size_t root = strlen(self(b)->root);
        while (!e) { /* rmdir refuses what is not empty, and that ends it */
                Str up = path_dir(str_from(path));
                if (up.n <= root)
                        break;
                path[up.n] = 0;
                if (rmdir(path) && errno != ENOENT)
                        break;
        }
        free(path);
        return e;
}

static const struct bucket_ops filesystem_ops = {
        .provider = "FILESYSTEM",
        .free = filesystem_free,
        .iter = filesystem_iter,
        .read = filesystem_read,
        .attributes = filesystem_attributes,
        .upload = filesystem_upload,
        .delete = filesystem_delete,
};

/* Absolute, without "." segments and slashes at the end; ".." stays, as it may go through a link. */
static struct error *absolute(const char *dir, char **ret)
{
        struct buf p = BUF_INIT(64 << 10);
        if (dir[0] != '/') {
                char cwd[PATH_MAX];
                if (!getcwd(cwd, sizeof cwd))
                        return error_errno(errno, "current directory");
                buf_puts(&p, cwd);
        }
        Str rest = str_from(dir), segment;
        while (str_next(&rest, '/', &segment)) {
                if (segment.n == 0 || str_eq(segment, STR(".")))
                        continue;
                buf_putc(&p, '/');
                buf_put(&p, segment);
        }
        if (p.n == 0)
                buf_putc(&p, '/');
        *ret = buf_take(&p);
        return NULL;
}

struct error *filesystem_bucket_new(const char *dir, struct bucket **ret)
{
        if (!dir || !*dir)
                return error_new(ERROR_INVALID, "missing directory for filesystem bucket");
        char *root;
        struct error *e = absolute(dir, &root);
        if (e)
                return e;
        struct filesystem_bucket *f = mem_new(struct filesystem_bucket);
        struct buf name = BUF_INIT(BUF_NO_LIMIT);
        buf_printf(&name, "fs: %s", root);
        f->b = (struct bucket){&filesystem_ops, buf_take(&name)};
        f->root = root;
        *ret = &f->b;
        return NULL;
}
