/* SPDX-License-Identifier: Apache-2.0 */
/* bucket.c — what all buckets share: names looked at, errors that say bucket and object, reading into buffers and
 * files. */
#include "objstore/bucket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/file.h"
#include "codec/quote.h"
#include "objstore/bucket_impl.h"

static const struct bucket_call no_limits;

void bucket_free(struct bucket *b)
{
        if (!b)
                return;
        char *name = b->name;
        b->ops->free(b);
        free(name);
}

const char *bucket_name(const struct bucket *b)
{
        return b->name;
}

const char *bucket_provider(const struct bucket *b)
{
        return b->ops->provider;
}

struct error *bucket_call_check(const struct bucket_call *c)
{
        if (c->cancel && __atomic_load_n(c->cancel, __ATOMIC_SEQ_CST))
                return error_new(ERROR_CANCELLED, "context canceled");
        if (c->deadline_ms && time_mono_ms() >= c->deadline_ms)
                return error_new(ERROR_TIMEOUT, "context deadline exceeded");
        return NULL;
}

/* bucket "x": get "a/b": cause */
static struct error *name_it(const struct bucket *b, const char *op, Str name, struct error *take_e)
{
        struct buf where = BUF_INIT(16 << 10);
        buf_puts(&where, "bucket ");
        buf_put_go_quoted(&where, str_from(b->name));
        buf_printf(&where, ": %s ", op);
        buf_put_go_quoted(&where, name.n > BUCKET_NAME_MAX ? str_sub(name, 0, BUCKET_NAME_MAX) : name);
        struct error *e = error_wrap(take_e, "%s", buf_cstr(&where));
        buf_done(&where);
        return e;
}

static struct error *tell(const struct bucket *b, const char *op, Str name, struct error *take_e)
{
        return take_e && !b->ops->is_wrapper ? name_it(b, op, name, take_e) : take_e;
}

/* Names the bucket also where b is a wrapper: the inner one is not asked. */
static struct error *begin(const struct bucket *b, const char *op, const struct bucket_call **c, Str name)
{
        if (!*c)
                *c = &no_limits;
        struct error *e;
        if (name.n == 0)
                e = error_new(ERROR_INVALID, "object name is empty");
        else if (name.n > BUCKET_NAME_MAX)
                e = error_new(ERROR_INVALID, "object name is longer than %d bytes", BUCKET_NAME_MAX);
        else if (str_find(name, 0) >= 0)
                e = error_new(ERROR_INVALID, "object name has a NUL");
        else if (name.p[0] == '/')
                e = error_new(ERROR_INVALID, "object name begins with a slash");
        else
                e = bucket_call_check(*c);
        return e ? name_it(b, op, name, e) : NULL;
}

/* --- listing --- */

/* The caller's own errors must not look like the bucket's. */
struct iter {
        bucket_each *each;
        void *arg;
        bool is_callers;
};

static struct error *iter_each(void *arg, const struct bucket_entry *entry)
{
        struct iter *it = arg;
        struct error *e = it->each(it->arg, entry);
        it->is_callers = e != NULL;
        return e;
}

struct error *bucket_iter(struct bucket *b, const struct bucket_call *c, Str dir, unsigned flags, bucket_each *each,
                          void *arg)
{
        char slashed[BUCKET_NAME_MAX + 2];
        Str bare = str_trim_suffix(dir, STR("/")), given = dir;
        struct error *e = begin(b, "list", &c, bare.n ? bare : STR("."));
        if (e)
                return e;
        if (bare.n) {
                memcpy(slashed, bare.p, bare.n);
                slashed[bare.n] = '/';
                dir = (Str){slashed, bare.n + 1};
        } else {
                dir = STR("");
        }
        struct iter it = {.each = each, .arg = arg};
        e = b->ops->iter(b, c, dir, flags, iter_each, &it);
        return it.is_callers ? e : tell(b, "list", given, e);
}

/* --- reading --- */

/* As above, for sinks. */
struct read {
        struct bucket_sink sink, *to;
        bool is_callers;
};

static struct error *read_write(struct bucket_sink *s, Str piece)
{
        struct read *r = CONTAINER_OF(s, struct read, sink);
        struct error *e = r->to->write(r->to, piece);
        r->is_callers = e != NULL;
        return e;
}

struct error *bucket_read(struct bucket *b, const struct bucket_call *c, Str name, uint64_t at, uint64_t n,
                          struct bucket_sink *sink)
{
        const char *op = at == 0 && n == BUCKET_TO_END ? "get" : "get_range";
        struct error *e = begin(b, op, &c, name);
        if (e)
                return e;
        struct read r = {.sink.write = read_write, .to = sink};
        e = b->ops->read(b, c, name, at, n, &r.sink);
        return r.is_callers ? e : tell(b, op, name, e);
}

struct to_buf {
        struct bucket_sink sink;
        struct buf *b;
};

static struct error *to_buf_write(struct bucket_sink *s, Str piece)
{
        struct to_buf *t = CONTAINER_OF(s, struct to_buf, sink);
        buf_put(t->b, piece);
        return buf_is_over(t->b) ? error_new(ERROR_LIMIT, "object is larger than %zu bytes", t->b->limit) : NULL;
}

struct error *bucket_get_range(struct bucket *b, const struct bucket_call *c, Str name, uint64_t at, uint64_t n,
                               struct buf *ret)
{
        struct to_buf t = {.sink.write = to_buf_write, .b = ret};
        size_t before = ret->n;
        struct error *e = bucket_read(b, c, name, at, n, &t.sink);
        if (e) {
                if (buf_is_over(ret)) {
                        e = name_it(b, "get", name, e);
                        ret->over = false;
                }
                ret->n = before;
        }
        return e;
}

struct error *bucket_get(struct bucket *b, const struct bucket_call *c, Str name, struct buf *ret)
{
        return bucket_get_range(b, c, name, 0, BUCKET_TO_END, ret);
}

struct to_file {
        struct bucket_sink sink;
        int fd;
        const char *path;
};

static struct error *to_file_write(struct bucket_sink *s, Str piece)
{
        struct to_file *t = CONTAINER_OF(s, struct to_file, sink);
        struct error *e = file_write_all(t->fd, piece.p, piece.n);
        return e ? error_wrap(e, "write %s", t->path) : NULL;
}

struct error *bucket_download(struct bucket *b, const struct bucket_call *c, Str name, const char *path)
{
        struct buf tmp = BUF_INIT(64 << 10);
        buf_printf(&tmp, "%s.tmp", path);
        const char *tmp_path = buf_cstr(&tmp);
        struct to_file t = {.sink.write = to_file_write, .path = path};
        t.fd = open(tmp_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
        struct error *e =
                t.fd < 0 ? error_errno(errno, "open %s", tmp_path) : bucket_read(b, c, name, 0, BUCKET_TO_END, &t.sink);
        if (t.fd >= 0 && close(t.fd) && !e)
                e = error_errno(errno, "close %s", tmp_path);
        if (!e && rename(tmp_path, path))
                e = error_errno(errno, "rename %s", path);
        if (e && t.fd >= 0)
                unlink(tmp_path);
        buf_done(&tmp);
        return e;
}

struct error *bucket_get_attributes(struct bucket *b, const struct bucket_call *c, Str name,
                                    struct bucket_attributes *ret)
{
        struct error *e = begin(b, "attributes", &c, name);
        return e ? e : tell(b, "attributes", name, b->ops->attributes(b, c, name, ret));
}

struct error *bucket_exists(struct bucket *b, const struct bucket_call *c, Str name, bool *ret)
{
        struct error *e = begin(b, "exists", &c, name);
        if (e)
                return e;
        if (b->ops->exists)
                return tell(b, "exists", name, b->ops->exists(b, c, name, ret));
        struct bucket_attributes a;
        e = b->ops->attributes(b, c, name, &a);
        if (e && !error_is(e, ERROR_NOT_FOUND))
                return tell(b, "exists", name, e);
        *ret = !e;
        error_free(e);
        return NULL;
}

/* --- writing --- */

struct error *bucket_upload_body(struct bucket *b, const struct bucket_call *c, Str name, struct bucket_body body)
{
        struct error *e = begin(b, "upload", &c, name);
        if (!e && name.p[name.n - 1] == '/')
                e = name_it(b, "upload", name, error_new(ERROR_INVALID, "object name ends with a slash"));
        return e ? e : tell(b, "upload", name, b->ops->upload(b, c, name, body));
}

struct error *bucket_upload(struct bucket *b, const struct bucket_call *c, Str name, Str body)
{
        return bucket_upload_body(b, c, name, (struct bucket_body){.memory = body});
}

struct error *bucket_upload_stream(struct bucket *b, const struct bucket_call *c, Str name, struct bucket_source *s)
{
        return bucket_upload_body(b, c, name, (struct bucket_body){.stream = s});
}

static struct error *upload_file(struct bucket *b, const struct bucket_call *c, Str name, const char *path, bool is_final)
{
        struct file_map m;
        struct error *e = file_map_open(path, &m);
        if (e) {
                /* Whose file is missing must not be taken for a missing object. */
                struct error *told = error_new(ERROR_IO, "%s", error_str(e));
                error_free(e);
                return name_it(b, "upload", name, told);
        }
        e = bucket_upload_body(b, c, name, (struct bucket_body){.memory = {(const char *)m.p, m.n}, .path = path, .is_final = is_final});
        file_map_close(&m);
        return e;
}

struct error *bucket_upload_file(struct bucket *b, const struct bucket_call *c, Str name, const char *path)
{
        return upload_file(b, c, name, path, /* is_final= */ false);
}

struct error *bucket_upload_final_file(struct bucket *b, const struct bucket_call *c, Str name, const char *path)
{
        return upload_file(b, c, name, path, /* is_final= */ true);
}

struct error *bucket_delete(struct bucket *b, const struct bucket_call *c, Str name)
{
        struct error *e = begin(b, "delete", &c, name);
        return e ? e : tell(b, "delete", name, b->ops->delete(b, c, name));
}
