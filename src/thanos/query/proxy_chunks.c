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
        char *bytes = arena_try_alloc(a, c->data.n);
        if (!bytes)
                return proxy_over_budget(a);
        memcpy(bytes, c->data.p, c->data.n);
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

static bool is_raw(const struct part *p)
{
        return p->raw.encoding != CHUNK_NONE && p->count.encoding == CHUNK_NONE && p->sum.encoding == CHUNK_NONE &&
               p->min.encoding == CHUNK_NONE && p->max.encoding == CHUNK_NONE && p->counter.encoding == CHUNK_NONE;
}

/* Chunks into as few replicas as there are without overlap in one; chain[i] is the replica of part i. Greedy, as
 * upstream: where one replica has a gap of a chunk, the other's next chunk may go on in its place. */
static size_t split(const PartVec *v, size_t *chain)
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

/* --- columns --- */

static struct error *columns(const struct chunk *c, struct samples *out)
{
        samples_clear(out);
        size_t n = chunk_samples(c->encoding, c->data);
        samples_reserve(out, n + 1);
        return chunk_decode(c, TIME_MS_MAX, out->t, out->v, &out->n);
}

static struct error *average(struct assembler *x, const struct part *p, struct samples *ret)
{
        struct error *e = columns(&p->count, &x->b);
        if (!e)
                e = columns(&p->sum, ret);
        if (!e && x->b.n != ret->n)
                return error_new(ERROR_CORRUPT, "%zu counts for %zu sums", x->b.n, ret->n);
        for (size_t i = 0; !e && i < ret->n; i++) {
                if (ret->t[i] != x->b.t[i])
                        return error_new(ERROR_CORRUPT, "count and sum of different times");
                ret->v[i] /= x->b.v[i];
        }
        return e;
}

static struct error *part_columns(struct assembler *x, const struct part *p, enum want want, struct samples *ret)
{
        const struct chunk *c = NULL;
        switch (want) {
        case WANT_COUNT:
                c = &p->count;
                break;
        case WANT_SUM:
                c = &p->sum;
                break;
        case WANT_MIN:
                c = &p->min;
                break;
        case WANT_MAX:
                c = &p->max;
                break;
        case WANT_COUNTER:
                c = &p->counter;
                break;
        case WANT_AVERAGE:
                if (p->raw.encoding == CHUNK_NONE && p->count.encoding != CHUNK_NONE && p->sum.encoding != CHUNK_NONE)
                        return average(x, p, ret);
                c = &p->raw;
                break;
        }
        if (c->encoding == CHUNK_NONE)
                c = &p->raw;
        if (c->encoding == CHUNK_NONE)
                return error_new(ERROR_INVALID, "no valid chunk found");
        return columns(c, ret);
}

/* Counters go on over resets and chunk borders, as upstream's do, raw ones too: resets() finds none. The last sample of a downsampled counter chunk comes twice: the second
 * is the true value there, against which the next chunk is compared. */
struct counter {
        bool begun;
        TimeMs last_t;
        double last_v, total;
};

static void counter_push(struct counter *c, const struct samples *s, struct samples *out)
{
        for (size_t i = 0; i < s->n; i++) {
                TimeMs t = s->t[i];
                double v = s->v[i];
                if (out->n && t <= out->t[out->n - 1]) {
                        if (c->begun && t == c->last_t && !is_stale_nan(v))
                                c->last_v = v;
                        continue;
                }
                if (is_stale_nan(v)) {
                        samples_push(out, t, v);
                        continue;
                }
                if (!c->begun)
                        c->total = v;
                else
                        c->total += v >= c->last_v ? v - c->last_v : v;
                c->begun = true;
                c->last_t = t;
                c->last_v = v;
                samples_push(out, t, c->total);
        }
}

static void plain_push(const struct samples *s, struct samples *out)
{
        for (size_t i = 0; i < s->n; i++)
                if (out->n == 0 || s->t[i] > out->t[out->n - 1])
                        samples_push(out, s->t[i], s->v[i]);
}

static void cut(struct samples *s, TimeMs mint_ms, TimeMs maxt_ms)
{
        size_t from = 0;
        while (from < s->n && s->t[from] < mint_ms)
                from++;
        while (s->n > from && s->t[s->n - 1] > maxt_ms)
                s->n--;
        s->n -= from;
        if (from && s->n) {
                memmove(s->t, s->t + from, s->n * sizeof *s->t);
                memmove(s->v, s->v + from, s->n * sizeof *s->v);
        }
}

static struct error *chain_decode(struct assembler *x, struct proxy_querier *q, const PartVec *parts,
                                  const size_t *chain, size_t which, enum want want, struct samples *out)
{
        struct counter c = {0};
        samples_clear(out);
        for (size_t i = 0; i < parts->n; i++) {
                if (chain && chain[i] != which)
                        continue;
                struct error *e = part_columns(x, &parts->p[i], want, &x->a);
                if (e) {
                        Str name = proxy_name_of(q, parts->p[i].ep);
                        e = proxy_lose(q, error_wrap(e, "chunk from " STR_FMT, STR_ARG(name)));
                        if (e)
                                return e;
                        continue;
                }
                if (want == WANT_COUNTER)
                        counter_push(&c, &x->a, out);
                else
                        plain_push(&x->a, out);
        }
        cut(out, q->mint_ms, q->maxt_ms);
        return NULL;
}

/* --- a series --- */

static struct error *pass_on(struct proxy_querier *q, const PartVec *parts, const size_t *chain,
                             const struct chunk **ret, size_t *ret_n)
{
        struct chunk *v = arena_try_alloc(q->arena, (parts->n + 1) * sizeof *v);
        if (!v)
                return proxy_over_budget(q->arena);
        size_t n = 0;
        for (size_t i = 0; i < parts->n; i++) {
                if (chain && chain[i] != 0)
                        continue;
                Str data = parts->p[i].raw.data;
                char *p = arena_try_alloc(q->arena, data.n);
                if (!p)
                        return proxy_over_budget(q->arena);
                memcpy(p, data.p, data.n);
                v[n] = parts->p[i].raw;
                v[n++].data = (Str){p, data.n};
        }
        *ret = v;
        *ret_n = n;
        return NULL;
}

static struct samples *replicas(struct assembler *x, size_t n)
{
        if (x->n_replicas < n) {
                x->replicas = mem_realloc_array(x->replicas, n, sizeof *x->replicas);
                memset(x->replicas + x->n_replicas, 0, (n - x->n_replicas) * sizeof *x->replicas);
                x->n_replicas = n;
        }
        return x->replicas;
}

struct error *assemble(struct assembler *x, struct proxy_querier *q, PartVec *parts, enum want want, Str func,
                       const struct chunk **ret, size_t *ret_n)
{
        *ret = NULL;
        *ret_n = 0;
        parts_sort_and_thin(parts);
        bool raw = true, histograms = false, dedup = q->o->n_replica_labels > 0;
        for (size_t i = 0; i < parts->n; i++) {
                raw = raw && is_raw(&parts->p[i]);
                histograms = histograms || (is_raw(&parts->p[i]) && !chunk_encoding_is_float(parts->p[i].raw.encoding));
        }
        if (raw && !dedup && want != WANT_COUNTER)
                return pass_on(q, parts, NULL, ret, ret_n);
        size_t *chain = mem_alloc((parts->n + 1) * sizeof *chain), n = 1;
        struct error *e = NULL;
        const struct samples *out = &x->out;
        if (dedup)
                n = split(parts, chain);
        struct samples *v = replicas(x, n);
        bool falls = false;
        if (raw && n <= 1 && !histograms && want == WANT_COUNTER) {
                e = chain_decode(x, q, parts, dedup ? chain : NULL, 0, WANT_AVERAGE, &v[0]);
                for (size_t i = 1; !e && i < v[0].n && !falls; i++)
                        falls = v[0].v[i] < v[0].v[i - 1];
                if (e)
                        goto out;
        }
        if (raw && (n <= 1 || histograms) && !falls) {
                e = pass_on(q, parts, dedup ? chain : NULL, ret, ret_n);
                goto out;
        }
        for (size_t i = 0; i < n && !e; i++)
                e = chain_decode(x, q, parts, dedup ? chain : NULL, i, want, &v[i]);
        if (e)
                goto out;
        if (n == 1)
                out = &v[0];
        else
                e = dedup_samples(v, n, dedup_kind_of(func), &x->out);
        struct chunk *c = NULL;
        if (!e)
                e = samples_encode(out->t, out->v, out->n, q->arena, &c, ret_n);
        *ret = c;
out:
        free(chain);
        return e;
}

void assembler_done(struct assembler *x)
{
        for (size_t i = 0; i < x->n_replicas; i++)
                samples_done(&x->replicas[i]);
        free(x->replicas);
        samples_done(&x->a);
        samples_done(&x->b);
        samples_done(&x->out);
}
