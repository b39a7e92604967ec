/* SPDX-License-Identifier: Apache-2.0 */
/* memory.c — a bucket in memory, for tests: one sorted array under one lock. */
#include "base/thread.h"
#include "base/vec.h"
#include "objstore/bucket_impl.h"

struct object {
        char *name, *body; /* NUL-terminated name */
        size_t name_n, n;
        TimeMs modified_ms;
};
struct memory_bucket {
        struct bucket b;
        struct mutex mu;            /* guards what follows; not held while callbacks run */
        VEC(struct object) objects; /* by name */
};

enum { MEMORY_STREAM_BYTES_MAX = 1 << 30 };

static Str name_of(const struct object *o)
{
        return (Str){o->name, o->name_n};
}

/* First object whose name is not below name. */
static size_t seek_locked(const struct memory_bucket *m, Str name)
{
        size_t from = 0, to = m->objects.n;
        while (from < to) {
                size_t mid = from + (to - from) / 2;
                if (str_cmp(name_of(&m->objects.p[mid]), name) < 0)
                        from = mid + 1;
                else
                        to = mid;
        }
        return from;
}

static struct object *find_locked(const struct memory_bucket *m, Str name)
{
        size_t i = seek_locked(m, name);
        return i < m->objects.n && str_eq(name_of(&m->objects.p[i]), name) ? &m->objects.p[i] : NULL;
}

static struct error *not_found(void)
{
        return error_new(ERROR_NOT_FOUND, "object not found");
}

static void memory_free(struct bucket *b)
{
        struct memory_bucket *m = CONTAINER_OF(b, struct memory_bucket, b);
        for (size_t i = 0; i < m->objects.n; i++) {
                free(m->objects.p[i].name);
                free(m->objects.p[i].body);
        }
        vec_done(&m->objects);
        mutex_done(&m->mu);
        free(m);
}

/* The entry at or after `from`, copied out (names into name_buf), because each may change the bucket. */
static bool next_entry(struct memory_bucket *m, Str dir, Str from, unsigned flags, char *name_buf,
                       struct bucket_entry *ret)
{
        mutex_lock(&m->mu);
        size_t i = seek_locked(m, from);
        bool found = i < m->objects.n && str_has_prefix(name_of(&m->objects.p[i]), dir);
        if (found) {
                const struct object *o = &m->objects.p[i];
                ptrdiff_t slash = flags & BUCKET_RECURSIVE ? -1 : str_find(str_skip(name_of(o), dir.n), '/');
                size_t n = slash < 0 ? o->name_n : dir.n + (size_t)slash + 1;
                memcpy(name_buf, o->name, n);
                *ret = slash < 0 ? (struct bucket_entry){.name = {name_buf, n},
                                                         .size_bytes = o->n,
                                                         .modified_ms = o->modified_ms}
                                 : (struct bucket_entry){.name = {name_buf, n}, .is_dir = true};
        }
        mutex_unlock(&m->mu);
        return found;
}

static struct error *memory_iter(struct bucket *b, const struct bucket_call *c, Str dir, unsigned flags,
                                 bucket_each *each, void *arg)
{
        struct memory_bucket *m = CONTAINER_OF(b, struct memory_bucket, b);
        char name[BUCKET_NAME_MAX + 1];
        struct bucket_entry entry;
        struct error *e = NULL;
        Str from = dir;
        while (!e && next_entry(m, dir, from, flags, name, &entry)) {
                e = bucket_call_check(c);
                if (!e)
                        e = each(arg, &entry);
                /* The least name above this one, or above all that begin with it: '/' + 1 is '0'. */
                if (entry.is_dir)
                        name[entry.name.n - 1]++;
                else
                        name[entry.name.n++] = 0;
                from = (Str){name, entry.name.n};
        }
        return e;
}

static struct error *memory_read(struct bucket *b, const struct bucket_call *c, Str name, uint64_t at, uint64_t n,
                                 struct bucket_sink *sink)
{
        struct memory_bucket *m = CONTAINER_OF(b, struct memory_bucket, b);
        mutex_lock(&m->mu);
        const struct object *o = find_locked(m, name);
        char *copy = NULL;
        if (o && at < o->n) {
                n = MIN(n, o->n - at);
                copy = mem_memdup(o->body + at, n);
        }
        mutex_unlock(&m->mu);
        struct error *e = !o ? not_found() : copy && n ? sink->write(sink, (Str){copy, n}) : NULL;
        free(copy);
        return e;
}

static struct error *memory_attributes(struct bucket *b, const struct bucket_call *c, Str name,
                                       struct bucket_attributes *ret)
{
        struct memory_bucket *m = CONTAINER_OF(b, struct memory_bucket, b);
        mutex_lock(&m->mu);
        const struct object *o = find_locked(m, name);
        if (o)
                *ret = (struct bucket_attributes){o->n, o->modified_ms};
        mutex_unlock(&m->mu);
        return o ? NULL : not_found();
}

static struct error *memory_upload(struct bucket *b, const struct bucket_call *c, Str name, struct bucket_body body)
{
        struct memory_bucket *m = CONTAINER_OF(b, struct memory_bucket, b);
        struct buf all = BUF_INIT(MEMORY_STREAM_BYTES_MAX);
        struct error *e = NULL;
        if (!body.stream)
                buf_put(&all, body.memory);
        for (size_t got = 1; body.stream && got && !e;) {
                char *p = buf_reserve(&all, 64 << 10);
                got = 0;
                e = p ? body.stream->read(body.stream, p, 64 << 10, &got) : NULL;
                if (!e)
                        all.n += got;
                if (!e)
                        e = bucket_call_check(c);
        }
        if (!e && buf_is_over(&all))
                e = error_new(ERROR_LIMIT, "object is larger than %d bytes", MEMORY_STREAM_BYTES_MAX);
        if (e) {
                buf_done(&all);
                return e;
        }
        struct object made = {.n = all.n, .name_n = name.n, .modified_ms = time_now_ms()};
        made.body = buf_take(&all);
        mutex_lock(&m->mu);
        size_t i = seek_locked(m, name);
        if (i < m->objects.n && str_eq(name_of(&m->objects.p[i]), name)) {
                made.name = m->objects.p[i].name;
                free(m->objects.p[i].body);
        } else {
                made.name = str_dup(name);
                vec_push(&m->objects, made);
                memmove(&m->objects.p[i + 1], &m->objects.p[i], (m->objects.n - 1 - i) * sizeof made);
        }
        m->objects.p[i] = made;
        mutex_unlock(&m->mu);
        return NULL;
}

static struct error *memory_delete(struct bucket *b, const struct bucket_call *c, Str name)
{
        struct memory_bucket *m = CONTAINER_OF(b, struct memory_bucket, b);
        mutex_lock(&m->mu);
        struct object *o = find_locked(m, name);
        if (o) {
                free(o->name);
                free(o->body);
                size_t i = (size_t)(o - m->objects.p);
                memmove(o, o + 1, (m->objects.n - i - 1) * sizeof *o);
                m->objects.n--;
        }
        mutex_unlock(&m->mu);
        return NULL;
}

static const struct bucket_ops memory_ops = {
        .provider = "MEMORY",
        .free = memory_free,
        .iter = memory_iter,
        .read = memory_read,
        .attributes = memory_attributes,
        .upload = memory_upload,
        .delete = memory_delete,
};

struct bucket *memory_bucket_new(void)
{
        struct memory_bucket *m = mem_new(struct memory_bucket);
        m->b = (struct bucket){&memory_ops, mem_strdup("inmem")};
        mutex_init(&m->mu);
        return &m->b;
}
