/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/chunk/xor.h"
#include "thanos/query/dedup.h"
#include "thanos/query/proxy_impl.h"

enum want want_of(Str func)
{
        if (str_has_prefix(func, STR("min")))
                return WANT_MIN;
        if (str_has_prefix(func, STR("max")))
                return WANT_MAX;
        if (str_has_prefix(func, STR("count")))
                return WANT_COUNT;
        if (str_has_prefix(func, STR("sum_")))
                return WANT_SUM;
        return dedup_kind_of(func) == DEDUP_COUNTER ? WANT_COUNTER : WANT_AVERAGE;
}

static struct error *take_chunk(const struct pb_chunk *c, const struct part *p, struct arena *a, struct chunk *ret)
{
        if (!c)
                return NULL;
        if (c->type < PB_ENCODING_XOR || c->type > PB_ENCODING_FLOAT_HISTOGRAM)
                return error_new(ERROR_INVALID, "chunk of unknown type %d", c->type);
        if (c->data.n < 2)
                return error_new(ERROR_INVALID, "chunk of %zu bytes", c->data.n);
        const char *bytes = c->data.p;
        if (a) {
                char *copy = arena_try_alloc(a, c->data.n);
                if (!copy)
                        return proxy_over_budget(a);
                bytes = memcpy(copy, c->data.p, c->data.n);
        }
        *ret = (struct chunk){.mint_ms = p->mint_ms,
                              .maxt_ms = p->maxt_ms,
                              .encoding = (enum chunk_encoding)(c->type + 1),
                              .data = {bytes, c->data.n},
                              .ref = c->hash};
        return NULL;
}

struct error *part_take(const struct pb_aggr_chunk *c, const struct endpoint *ep, struct arena *a, struct part *ret)
{
        struct part p = {.mint_ms = c->min_time, .maxt_ms = c->max_time, .ep = ep};
        if (p.mint_ms > p.maxt_ms)
                return error_new(ERROR_INVALID, "chunk that ends before it begins");
        struct error *e = take_chunk(c->raw, &p, a, &p.raw);
        if (!e)
                e = take_chunk(c->count, &p, a, &p.count);
        if (!e)
                e = take_chunk(c->sum, &p, a, &p.sum);
        if (!e)
                e = take_chunk(c->min, &p, a, &p.min);
        if (!e)
                e = take_chunk(c->max, &p, a, &p.max);
        if (!e)
                e = take_chunk(c->counter, &p, a, &p.counter);
        if (!e)
                *ret = p;
        return e;
}

uint64_t part_samples(const struct part *p)
{
        const struct chunk *all[] = {&p->raw, &p->count, &p->sum, &p->min, &p->max, &p->counter};
        uint64_t n = 0;
        for (size_t i = 0; i < ARRAY_LEN(all); i++)
                if (all[i]->encoding != CHUNK_NONE)
                        n += chunk_samples(all[i]->encoding, all[i]->data);
        return n;
}

/* --- order --- */

static int chunk_cmp(const struct chunk *x, const struct chunk *y)
{
        if (x->encoding != y->encoding)
                return x->encoding < y->encoding ? -1 : 1;
        return str_cmp(x->data, y->data);
}

static int part_cmp(const void *a, const void *b)
{
        const struct part *x = a, *y = b;
        if (x->mint_ms != y->mint_ms)
                return x->mint_ms < y->mint_ms ? -1 : 1;
        if (x->maxt_ms != y->maxt_ms)
                return x->maxt_ms < y->maxt_ms ? -1 : 1;
        int c = chunk_cmp(&x->raw, &y->raw);
        c = c ? c : chunk_cmp(&x->count, &y->count);
        c = c ? c : chunk_cmp(&x->sum, &y->sum);
        c = c ? c : chunk_cmp(&x->min, &y->min);
        c = c ? c : chunk_cmp(&x->max, &y->max);
        return c ? c : chunk_cmp(&x->counter, &y->counter);
}

void parts_sort_and_thin(PartVec *v)
{
        if (v->n < 2)
                return;
        qsort(v->p, v->n, sizeof *v->p, part_cmp);
        size_t n = 1;
        for (size_t i = 1; i < v->n; i++)
                if (part_cmp(&v->p[n - 1], &v->p[i]) != 0)
                        v->p[n++] = v->p[i];
        v->n = n;
}

bool part_is_raw(const struct part *p)
{
        return p->raw.encoding != CHUNK_NONE && p->count.encoding == CHUNK_NONE && p->sum.encoding == CHUNK_NONE &&
               p->min.encoding == CHUNK_NONE && p->max.encoding == CHUNK_NONE && p->counter.encoding == CHUNK_NONE;
}

size_t parts_split(const PartVec *v, size_t *chain)
{
        TimeMs *ends = mem_alloc((v->n + 1) * sizeof *ends);
        size_t n = 0;
        for (size_t i = 0; i < v->n; i++) {
                size_t k = 0;
                while (k < n && ends[k] >= v->p[i].mint_ms)
                        k++;
                if (k == DEDUP_REPLICAS_MAX) {
                        chain[i] = SIZE_MAX;
                        continue;
                }
                chain[i] = k;
                ends[k] = v->p[i].maxt_ms;
                n += k == n;
        }
        free(ends);
        return n;
}
