/* SPDX-License-Identifier: Apache-2.0 */
#include "collect/scrape/histogram_limit.h"

#include <math.h>

ERROR_SENTINEL(bucket_limit_error, ERROR_LIMIT, "histogram bucket limit exceeded");

/* The finest schema whose buckets grow by at least this factor. */
static int32_t finest_schema(double bucket_factor)
{
        double schema = floor(-log2(log2(bucket_factor <= 1 ? 1.00271 : bucket_factor)));
        if (schema >= HISTOGRAM_SCHEMA_MAX)
                return HISTOGRAM_SCHEMA_MAX;
        return schema <= HISTOGRAM_SCHEMA_MIN ? HISTOGRAM_SCHEMA_MIN : (int32_t)schema;
}

static int32_t schema_of(struct histogram_sample s)
{
        return s.i ? s.i->schema : s.f->schema;
}

static size_t n_buckets(struct histogram_sample s)
{
        return s.i ? (size_t)s.i->pos.n + s.i->neg.n : (size_t)s.f->pos.n + s.f->neg.n;
}

static struct error *reduce(struct arena *a, struct histogram_sample *s, int32_t schema)
{
        struct error *e;
        if (s->i) {
                struct int_histogram *h = arena_try_alloc(a, sizeof *h);
                if (!h)
                        return error_new(ERROR_LIMIT, "a histogram does not fit the scrape's memory");
                *h = *s->i;
                e = int_histogram_reduce(a, h, schema);
                s->i = h;
        } else {
                struct histogram *h = arena_try_alloc(a, sizeof *h);
                if (!h)
                        return error_new(ERROR_LIMIT, "a histogram does not fit the scrape's memory");
                *h = *s->f;
                e = histogram_reduce(a, h, schema);
                s->f = h;
        }
        return e;
}

struct error *histogram_limit(const struct scrape_conf *c, struct arena *a, struct histogram_sample *s)
{
        int32_t schema = schema_of(*s);
        int32_t finest = finest_schema(c->native_histogram_min_bucket_factor);
        bool is_exponential = schema >= HISTOGRAM_SCHEMA_MIN_RESERVED && schema <= HISTOGRAM_SCHEMA_MAX_RESERVED;
        arena_clear(a);
        if (finest < HISTOGRAM_SCHEMA_MAX && is_exponential && schema > finest) {
                struct error *e = reduce(a, s, finest);
                if (e)
                        return e;
        }
        if (c->native_histogram_bucket_limit == 0 || n_buckets(*s) <= c->native_histogram_bucket_limit)
                return NULL;
        if (!schema_is_exponential(schema_of(*s)))
                return &bucket_limit_error;
        while (n_buckets(*s) > c->native_histogram_bucket_limit) {
                if (schema_of(*s) <= HISTOGRAM_SCHEMA_MIN)
                        return &bucket_limit_error;
                struct error *e = reduce(a, s, schema_of(*s) - 1);
                if (e)
                        return e;
        }
        return NULL;
}
