/* SPDX-License-Identifier: Apache-2.0 */
/* prefix.c — a bucket inside a bucket: all names get one prefix. */
#include "objstore/bucket_impl.h"

struct prefix_bucket {
        struct bucket b;
        struct bucket *inner;
        char *prefix; /* with "/" at its end */
        size_t n;
        struct bucket_ops ops; /* provider is the inner one's */
};
struct prefixed {
        char p[2 * BUCKET_NAME_MAX + 2];
        Str s;
};

/* A prefix is within BUCKET_NAME_MAX and so is a name; that both together may be too long is told by the inner bucket.
 */
static struct prefix_bucket *get(struct bucket *b, Str name, struct prefixed *ret)
{
        struct prefix_bucket *p = CONTAINER_OF(b, struct prefix_bucket, b);
        memcpy(ret->p, p->prefix, p->n);
        if (name.n)
                memcpy(ret->p + p->n, name.p, name.n);
        ret->s = (Str){ret->p, p->n + name.n};
        return p;
}

static void prefix_free(struct bucket *b)
{
        struct prefix_bucket *p = CONTAINER_OF(b, struct prefix_bucket, b);
        bucket_free(p->inner);
        free(p->prefix);
        free(p);
}

struct prefix_iter {
        bucket_each *each;
        void *arg;
        size_t n;
};

static struct error *prefix_each(void *arg, const struct bucket_entry *entry)
{
        struct prefix_iter *it = arg;
        struct bucket_entry cut = *entry;
        cut.name = str_skip(cut.name, it->n);
        return it->each(it->arg, &cut);
}

static struct error *prefix_iter(struct bucket *b, const struct bucket_call *c, Str dir, unsigned flags,
                                 bucket_each *each, void *arg)
{
        struct prefixed full;
        struct prefix_bucket *p = get(b, dir, &full);
        return bucket_iter(p->inner, c, full.s, flags, prefix_each, &(struct prefix_iter){each, arg, p->n});
}

static struct error *prefix_read(struct bucket *b, const struct bucket_call *c, Str name, uint64_t at, uint64_t n,
                                 struct bucket_sink *sink)
{
        struct prefixed full;
        struct prefix_bucket *p = get(b, name, &full);
        return bucket_read(p->inner, c, full.s, at, n, sink);
}

static struct error *prefix_attributes(struct bucket *b, const struct bucket_call *c, Str name,
                                       struct bucket_attributes *ret)
{
        struct prefixed full;
        struct prefix_bucket *p = get(b, name, &full);
        return bucket_get_attributes(p->inner, c, full.s, ret);
}

static struct error *prefix_exists(struct bucket *b, const struct bucket_call *c, Str name, bool *ret)
{
        struct prefixed full;
        struct prefix_bucket *p = get(b, name, &full);
        return bucket_exists(p->inner, c, full.s, ret);
}

static struct error *prefix_upload(struct bucket *b, const struct bucket_call *c, Str name, struct bucket_body body)
{
        struct prefixed full;
        struct prefix_bucket *p = get(b, name, &full);
        return bucket_upload_body(p->inner, c, full.s, body);
}

static struct error *prefix_delete(struct bucket *b, const struct bucket_call *c, Str name)
{
        struct prefixed full;
        struct prefix_bucket *p = get(b, name, &full);
        return bucket_delete(p->inner, c, full.s);
}

static const struct bucket_ops prefix_ops = {
        .is_wrapper = true,
        .free = prefix_free,
        .iter = prefix_iter,
        .read = prefix_read,
        .attributes = prefix_attributes,
        .exists = prefix_exists,
        .upload = prefix_upload,
        .delete = prefix_delete,
};

struct bucket *prefix_bucket_new(struct bucket *take_inner, Str prefix)
{
        while (prefix.n && prefix.p[0] == '/')
                prefix = str_skip(prefix, 1);
        while (prefix.n && prefix.p[prefix.n - 1] == '/')
                prefix.n--;
        if (prefix.n == 0)
                return take_inner;
        if (prefix.n >= BUCKET_NAME_MAX)
                prefix.n = BUCKET_NAME_MAX; /* every name is then too long, which the inner bucket says */
        struct prefix_bucket *p = mem_new(struct prefix_bucket);
        p->inner = take_inner;
        p->n = prefix.n + 1;
        p->prefix = mem_alloc(p->n);
        memcpy(p->prefix, prefix.p, prefix.n);
        p->prefix[prefix.n] = '/';
        p->ops = prefix_ops;
        p->ops.provider = bucket_provider(take_inner);
        p->b = (struct bucket){&p->ops, mem_strdup(bucket_name(take_inner))};
        return &p->b;
}
