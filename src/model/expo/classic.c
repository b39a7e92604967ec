/* SPDX-License-Identifier: Apache-2.0 */
#include "model/expo/classic.h"

#include <math.h>

#include "codec/float_text.h"

typedef char NumberText[FLOAT_TEXT_MAX_BYTES + 1];

static const char *number(double v, NumberText t)
{
        t[float_print(v, 'g', t)] = 0;
        return t;
}

void classic_histogram_bucket(struct classic_histogram *c, double le, double count)
{
        NumberText t, u;
        if (c->e)
                return;
        if (isnan(le)) {
                c->e = error_new(ERROR_INVALID, "bucket boundary must not be NaN");
                return;
        }
        if (count < 0) {
                c->e = error_new(ERROR_INVALID, "bucket count must be non-negative: le=%s, count=%s", number(le, t), number(count, u));
                return;
        }
        size_t at = c->buckets.n;
        while (at > 0 && c->buckets.p[at - 1].le >= le)
                at--;
        if (at < c->buckets.n && c->buckets.p[at].le == le)
                return;
        if (at > 0 && count < c->buckets.p[at - 1].count) {
                c->e = error_new(ERROR_INVALID, "count is not cumulative: %s < %s", number(count, t),
                                 number(c->buckets.p[at - 1].count, u));
                return;
        }
        if (at < c->buckets.n && count > c->buckets.p[at].count) {
                c->e = error_new(ERROR_INVALID, "count is not cumulative: %s > %s", number(count, t),
                                 number(c->buckets.p[at].count, u));
                return;
        }
        struct classic_bucket b = {le, count};
        vec_push(&c->buckets, b);
        memmove(c->buckets.p + at + 1, c->buckets.p + at, (c->buckets.n - 1 - at) * sizeof b);
        c->buckets.p[at] = b;
}

void classic_histogram_count(struct classic_histogram *c, double count)
{
        NumberText t;
        if (c->e)
                return;
        if (count < 0) {
                c->e = error_new(ERROR_INVALID, "count must be non-negative: count=%s", number(count, t));
                return;
        }
        c->count = count;
        c->has_count = true;
}

void classic_histogram_sum(struct classic_histogram *c, double sum)
{
        if (!c->e)
                c->sum = sum;
}

/* As Go converts: what does not fit is no whole number. */
static bool is_whole(double v)
{
        return v >= 0 && v < 0x1p63 && v == round(v);
}

static struct error *no_memory(void)
{
        return error_new(ERROR_LIMIT, "a histogram does not fit the scrape's memory");
}

static struct error *convert(const struct classic_histogram *c, struct arena *a, struct histogram_sample *ret)
{
        uint32_t n = (uint32_t)c->buckets.n;
        const struct classic_bucket *b = c->buckets.p;
        bool whole = is_whole(c->count);
        for (uint32_t i = 0; i < n; i++)
                whole = whole && is_whole(b[i].count);

        double *bounds = arena_try_alloc(a, arena_array_bytes(n, sizeof *bounds));
        void *counts = arena_try_alloc(a, arena_array_bytes(n, sizeof(double)));
        struct span *span = arena_try_alloc(a, sizeof *span);
        struct histogram *f = arena_try_alloc(a, sizeof *f);
        struct int_histogram *h = arena_try_alloc(a, sizeof *h);
        if (!bounds || !counts || !span || !f || !h)
                return no_memory();
        *span = (struct span){.offset = 0, .length = n};
        for (uint32_t i = 0; i + 1 < n; i++)
                bounds[i] = b[i].le;
        if (c->count != b[n - 1].count) {
                NumberText t, u, v;
                return error_new(ERROR_INVALID, "count mismatch: count=%s != le=%s count=%s", number(c->count, t),
                                 number(b[n - 1].le, u), number(b[n - 1].count, v));
        }
        if (!whole) {
                double *v = counts;
                for (uint32_t i = 0; i < n; i++)
                        v[i] = b[i].count - (i ? b[i - 1].count : 0);
                *f = (struct histogram){.schema = HISTOGRAM_SCHEMA_CUSTOM, .count = c->count, .sum = c->sum, .bounds = bounds,
                                        .n_bounds = n - 1, .pos = {.spans = span, .counts = v, .n_spans = 1, .n = n}};
                ret->f = f;
                return histogram_compact(a, f, 0);
        }
        int64_t *d = counts, previous = 0;
        for (uint32_t i = 0; i < n; i++) {
                int64_t own = (int64_t)b[i].count - (i ? (int64_t)b[i - 1].count : 0);
                d[i] = own - previous;
                previous = own;
        }
        *h = (struct int_histogram){.schema = HISTOGRAM_SCHEMA_CUSTOM, .count = (uint64_t)c->count, .sum = c->sum, .bounds = bounds,
                                    .n_bounds = n - 1, .pos = {.spans = span, .deltas = d, .n_spans = 1, .n = n}};
        ret->i = h;
        return int_histogram_compact(a, h, 2);
}

struct error *classic_histogram_convert(struct classic_histogram *c, struct arena *a, struct histogram_sample *ret)
{
        *ret = (struct histogram_sample){NULL, NULL};
        if (c->e)
                return error_dup(c->e);
        size_t n = c->buckets.n;
        if (!c->has_count && n > 0)
                c->count = c->buckets.p[n - 1].count;
        if (n == 0 || c->buckets.p[n - 1].le != INFINITY) {
                struct classic_bucket b = {INFINITY, c->count};
                vec_push(&c->buckets, b);
        }
        return convert(c, a, ret);
}

void classic_histogram_clear(struct classic_histogram *c)
{
        error_free(c->e);
        vec_clear(&c->buckets);
        c->count = c->sum = 0;
        c->has_count = false;
        c->e = NULL;
}

void classic_histogram_done(struct classic_histogram *c)
{
        error_free(c->e);
        vec_done(&c->buckets);
}
