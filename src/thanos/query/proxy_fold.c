/* SPDX-License-Identifier: Apache-2.0 */
/* proxy_fold.c — a series out of its chunks. Purpose: replicas are made one, and downsampled chunks what the function needs, when the engine
 * decodes the series: on its workers, side by side, without encoding anything again. Until then a series is the bytes that the stores sent.
 * Invariants: (1) what decode() reads is constant and in the query's arena; (2) of a damaged chunk only its own samples are lost, with a
 * warning; (3) a chunk cannot claim more samples than its bytes can hold, so samples_max is bounded by what was received. */
#include "storage/chunk/xor.h"
#include "thanos/query/dedup.h"
#include "thanos/query/proxy_impl.h"

struct fold {
        struct series_fold base;
        struct proxy_querier *q;
        enum dedup_kind kind;
        bool is_counter;
        bool is_plain;                     /* the chunks are raw, and none overlaps the one before */
        const struct chunk *v;             /* chain after chain, ascending in each */
        const Str *counts;                 /* of averages, one for each of v; p NULL: v is what is wanted. NULL: all are so */
        const struct endpoint *const *eps; /* that each came from */
        const size_t *ends;                /* of chain i in v */
        const size_t *samples;             /* of chain i, at most */
        size_t n_chains;
};

static size_t samples_of(Str data)
{
        return chunk_samples(CHUNK_XOR, data);
}

static bool is_possible(Str data)
{
        return samples_of(data) <= data.n * 4; /* a sample has two bits at least */
}

static struct error *decode_one(Str data, TimeMs *t, double *v, size_t *ret_n)
{
        struct chunk c = {.encoding = CHUNK_XOR, .data = data};
        return chunk_decode(&c, TIME_MS_MAX, t, v, ret_n);
}

/* Sums become averages. t2, v2: room for the counts. */
static struct error *decode_kept(Str data, Str counts_data, TimeMs *t, double *v, TimeMs *t2, double *v2, size_t *ret_n)
{
        size_t n, counts;
        struct error *e = decode_one(data, t, v, &n);
        if (!e && counts_data.p) {
                e = decode_one(counts_data, t2, v2, &counts);
                if (!e && counts != n)
                        e = error_new(ERROR_CORRUPT, "%zu counts for %zu sums", counts, n);
                for (size_t i = 0; !e && i < n; i++) {
                        if (t[i] != t2[i])
                                e = error_new(ERROR_CORRUPT, "count and sum of different times");
                        v[i] /= v2[i];
                }
        }
        for (size_t i = 1; !e && i < n; i++)
                if (t[i] <= t[i - 1] && !(t[i] == t[i - 1] && i == n - 1)) /* the last of a downsampled counter comes twice */
                        e = error_new(ERROR_CORRUPT, "timestamps do not ascend");
        if (!e)
                *ret_n = n;
        return e;
}

/* Counters go on over resets and chunk borders, as upstream's do, raw ones too: resets() finds none. The last sample of a downsampled counter
 * chunk comes twice: the second is the true value there, against which the next chunk is compared. */
struct counter {
        bool begun;
        TimeMs last_t;
        double last_v, total;
};

struct chain {
        TimeMs *t;
        double *v;
        size_t n;
        struct counter c;
};

/* The n samples at the end of the chain's room are taken in. */
static void push(struct chain *x, const TimeMs *t, const double *v, size_t n, bool is_counter)
{
        struct counter *c = &x->c;
        for (size_t i = 0; i < n; i++) {
                TimeMs at = t[i];
                double value = v[i];
                if (x->n && at <= x->t[x->n - 1]) {
                        if (is_counter && c->begun && at == c->last_t && !is_stale_nan(value))
                                c->last_v = value;
                        continue;
                }
                if (is_counter && !is_stale_nan(value)) {
                        if (!c->begun)
                                c->total = value;
                        else
                                c->total += value >= c->last_v ? value - c->last_v : value;
                        c->begun = true;
                        c->last_t = at;
                        c->last_v = value;
                        value = c->total;
                }
                x->t[x->n] = at;
                x->v[x->n++] = value;
        }
}

static bool ascends_behind(const struct chain *x, const TimeMs *t, size_t n)
{
        bool ok = !x->n || t[0] > x->t[x->n - 1];
        for (size_t i = 1; i < n; i++)
                ok &= t[i] > t[i - 1];
        return ok;
}

/* The usual chain: as any series is decoded, which is the fastest way. False: it has to be looked at chunk by chunk. */
static bool chain_decode_plain(const struct fold *f, size_t which, TimeMs *t, double *v, struct chain *ret)
{
        size_t begin = which ? f->ends[which - 1] : 0, n = 0;
        struct series s = {.chunks = f->v + begin, .n_chunks = f->ends[which] - begin};
        struct error *e = series_decode_into(&s, f->q->mint_ms, f->q->maxt_ms, t, v, &n);
        if (e) {
                error_ignore(e, "the other way tells which chunk it is");
                return false;
        }
        bool falls = false;
        for (size_t i = 1; f->is_counter && i < n; i++)
                falls |= !(v[i] >= v[i - 1]);
        *ret = (struct chain){.t = t, .v = v, .n = falls ? 0 : n};
        if (falls)
                push(ret, t, v, n, true);
        return true;
}

/* t, v have room for samples[which], and as much again behind for one chunk and its counts. */
static struct error *chain_decode(const struct fold *f, size_t which, TimeMs *t, double *v, struct chain *ret)
{
        struct chain x = {.t = t, .v = v};
        struct proxy_querier *q = f->q;
        if (f->is_plain && chain_decode_plain(f, which, t, v, ret))
                return NULL;
        for (size_t i = which ? f->ends[which - 1] : 0; i < f->ends[which]; i++) {
                /* In place where nothing has to be changed: behind what is there already. */
                size_t n = 0, room = f->samples[which];
                struct error *e = decode_kept(f->v[i].data, f->counts ? f->counts[i] : (Str){0}, t + x.n, v + x.n, t + room, v + room, &n);
                if (e) {
                        Str name = f->eps[i]->address;
                        e = proxy_lose_late(q, error_wrap(e, "chunk from " STR_FMT, STR_ARG(name)));
                        if (e)
                                return e;
                        continue;
                }
                if (!n)
                        continue;
                if (!f->is_counter && ascends_behind(&x, t + x.n, n))
                        x.n += n;
                else
                        push(&x, t + x.n, v + x.n, n, f->is_counter);
        }
        /* Replicas are folded from the begin of the query's time on, and so do not depend on what the engine takes of it. */
        size_t from = 0;
        while (from < x.n && x.t[from] < q->mint_ms)
                from++;
        while (x.n > from && x.t[x.n - 1] > q->maxt_ms)
                x.n--;
        x.t += from;
        x.v += from;
        x.n -= from;
        *ret = x;
        return NULL;
}

static void take_range(const TimeMs *t, const double *v, size_t n, TimeMs mint_ms, TimeMs maxt_ms, TimeMs *to_t, double *to_v, size_t *ret_n)
{
        size_t from = 0;
        while (from < n && t[from] < mint_ms)
                from++;
        while (n > from && t[n - 1] > maxt_ms)
                n--;
        if (n > from && to_t != t + from) {
                memmove(to_t, t + from, (n - from) * sizeof *t);
                memmove(to_v, v + from, (n - from) * sizeof *v);
        }
        *ret_n = n - from;
}

static struct error *fold_decode(const struct series_fold *base, TimeMs mint_ms, TimeMs maxt_ms, TimeMs *t, double *v, size_t *ret_n)
{
        const struct fold *f = CONTAINER_OF(base, const struct fold, base);
        size_t most = 0, all = 0;
        if (f->n_chains == 1 && !f->counts) {
                struct chain x = {0};
                struct error *e = chain_decode(f, 0, t, v, &x);
                if (!e)
                        take_range(x.t, x.v, x.n, mint_ms, maxt_ms, t, v, ret_n);
                return e;
        }
        for (size_t i = 0; i < f->n_chains; i++) {
                most = MAX(most, f->samples[i]);
                all += f->samples[i];
        }
        /* Of one chain the counts only need room of our own; chains keep their columns until all are there. */
        size_t room = f->n_chains == 1 ? 2 * most : all + most;
        TimeMs *own_t = mem_alloc((room + 1) * (sizeof *own_t + sizeof(double)));
        double *own_v = (double *)(own_t + room + 1);
        struct samples *columns = mem_zalloc((f->n_chains + 1) * sizeof *columns);
        struct error *e = NULL;
        size_t at = 0;
        for (size_t i = 0; i < f->n_chains && !e; i++) {
                struct chain x = {0};
                e = chain_decode(f, i, own_t + at, own_v + at, &x);
                columns[i] = (struct samples){.t = x.t, .v = x.v, .n = x.n};
                at += f->samples[i];
        }
        if (!e && f->n_chains == 1) {
                take_range(columns[0].t, columns[0].v, columns[0].n, mint_ms, maxt_ms, t, v, ret_n);
        } else if (!e) {
                struct samples out = {.t = t, .v = v, .cap = f->base.samples_max};
                e = dedup_samples(columns, f->n_chains, f->kind, &out); /* never more than came: out does not grow */
                if (!e)
                        take_range(t, v, out.n, mint_ms, maxt_ms, t, v, ret_n);
        }
        free(columns);
        free(own_t);
        return e;
}

/* --- building --- */

static Str choose(const struct part *p, enum want want, Str *ret_counts)
{
        const struct chunk *c = &p->raw;
        *ret_counts = (Str){0};
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
                if (p->raw.encoding == CHUNK_NONE && p->count.encoding != CHUNK_NONE && p->sum.encoding != CHUNK_NONE) {
                        *ret_counts = p->count.data;
                        c = &p->sum;
                }
                break;
        }
        if (c->encoding == CHUNK_NONE)
                c = &p->raw;
        return c->encoding == CHUNK_XOR ? c->data : (Str){0};
}

static struct error *keep_bytes(struct proxy_querier *q, Str *s)
{
        if (!s->p)
                return NULL;
        char *p = arena_try_alloc(q->arena, s->n);
        if (!p)
                return proxy_over_budget(q->arena);
        *s = (Str){memcpy(p, s->p, s->n), s->n};
        return NULL;
}

static bool is_plain(const struct fold *f, const PartVec *parts)
{
        for (size_t i = 0; i < parts->n; i++)
                if (!part_is_raw(&parts->p[i]))
                        return false;
        for (size_t c = 0, i = 0; c < f->n_chains; c++)
                for (size_t begin = i; i < f->ends[c]; i++)
                        if (i > begin && f->v[i].mint_ms <= f->v[i - 1].maxt_ms)
                                return false;
        return true;
}

static struct error *fold_new(struct proxy_querier *q, const PartVec *parts, const size_t *chain, size_t n_chains, enum want want, Str func,
                              const struct series_fold **ret)
{
        struct fold *f = arena_try_alloc(q->arena, sizeof *f);
        bool averages = false;
        for (size_t i = 0; i < parts->n && want == WANT_AVERAGE; i++)
                averages |= !part_is_raw(&parts->p[i]);
        struct chunk *v = arena_try_alloc(q->arena, arena_array_bytes(parts->n + 1, sizeof *v));
        Str *counts = averages ? arena_try_alloc(q->arena, arena_array_bytes(parts->n + 1, sizeof *counts)) : NULL;
        const struct endpoint **eps = arena_try_alloc(q->arena, arena_array_bytes(parts->n + 1, sizeof *eps));
        size_t *ends = arena_try_alloc(q->arena, arena_array_bytes(2 * n_chains + 1, sizeof *ends)), n = 0;
        if (!f || !v || !eps || !ends || (averages && !counts))
                return proxy_over_budget(q->arena);
        *f = (struct fold){.base.decode = fold_decode,
                           .q = q,
                           .kind = dedup_kind_of(func),
                           .is_counter = want == WANT_COUNTER,
                           .v = v,
                           .counts = counts,
                           .eps = eps,
                           .ends = ends,
                           .samples = ends + n_chains,
                           .n_chains = n_chains};
        for (size_t c = 0; c < n_chains; c++) {
                size_t samples = 0;
                for (size_t i = 0; i < parts->n; i++) {
                        const struct part *p = &parts->p[i];
                        if (chain && chain[i] != c)
                                continue;
                        Str count, data = choose(p, want, &count);
                        struct error *e = NULL;
                        if (!data.p || !is_possible(data) || (count.p && !is_possible(count))) {
                                e = proxy_lose(q, error_new(ERROR_INVALID, "chunk from " STR_FMT ": no valid chunk found", STR_ARG(p->ep->address)));
                                if (e)
                                        return e;
                                continue;
                        }
                        samples += MAX(samples_of(data), count.p ? samples_of(count) : 0);
                        e = keep_bytes(q, &data);
                        if (!e)
                                e = keep_bytes(q, &count);
                        if (e)
                                return e;
                        if (counts)
                                counts[n] = count;
                        eps[n] = p->ep;
                        v[n++] = (struct chunk){.mint_ms = p->mint_ms, .maxt_ms = p->maxt_ms, .encoding = CHUNK_XOR, .data = data};
                }
                ends[c] = n;
                ends[n_chains + c] = samples;
                f->base.samples_max += samples;
        }
        *ret = &f->base;
        f->is_plain = is_plain(f, parts);
        return NULL;
}

/* --- native histograms --- */

static struct error *chunks_of(struct proxy_querier *q, const PartVec *parts, const size_t *chain, size_t which, struct chunk **ret,
                               size_t *ret_n)
{
        struct chunk *v = arena_try_alloc(q->arena, arena_array_bytes(parts->n + 1, sizeof *v));
        size_t n = 0;
        if (!v)
                return proxy_over_budget(q->arena);
        for (size_t i = 0; i < parts->n; i++) {
                if ((chain && chain[i] != which) || parts->p[i].raw.encoding == CHUNK_NONE)
                        continue;
                v[n] = parts->p[i].raw;
                struct error *e = keep_bytes(q, &v[n++].data);
                if (e)
                        return e;
        }
        *ret = v;
        *ret_n = n;
        return NULL;
}

/* Which sample of which replica is given depends on times only; so times are folded, with the sample's number for a value. */
static struct error *fold_histograms(struct proxy_querier *q, const PartVec *parts, const size_t *chain, size_t n_chains, struct series *ret)
{
        struct arena a;
        struct raw_samples *raw = mem_zalloc((n_chains + 1) * sizeof *raw);
        struct samples *columns = mem_zalloc((n_chains + 1) * sizeof *columns), out = SAMPLES_INIT;
        struct raw_samples all = {0};
        struct chunk *made;
        size_t total = 0, at = 0;
        struct error *e = NULL;
        arena_init(&a, q->arena->limit_bytes);
        for (size_t c = 0; c < n_chains && !e; c++) {
                struct series one = {0};
                struct chunk *v;
                e = chunks_of(q, parts, chain, c, &v, &one.n_chunks);
                one.chunks = v;
                if (!e)
                        e = series_decode_raw(&one, q->mint_ms, q->maxt_ms, &a, &raw[c]);
                if (e && !error_is(e, ERROR_LIMIT)) {
                        e = proxy_lose(q, error_wrap(e, "native histograms of a replica"));
                        raw[c].n = 0;
                }
                total += e ? 0 : raw[c].n;
        }
        for (size_t c = 0; c < n_chains && !e; c++) {
                columns[c].t = raw[c].t;
                columns[c].n = raw[c].n;
                columns[c].v = arena_try_alloc(&a, arena_array_bytes(raw[c].n + 1, sizeof(double)));
                if (!columns[c].v)
                        e = proxy_over_budget(&a);
                for (size_t i = 0; !e && i < raw[c].n; i++)
                        columns[c].v[i] = (double)at++;
        }
        if (!e)
                e = dedup_samples(columns, n_chains, DEDUP_PLAIN, &out);
        all.t = e ? NULL : arena_try_alloc(&a, arena_array_bytes(out.n + 1, sizeof *all.t));
        all.v = e ? NULL : arena_try_alloc(&a, arena_array_bytes(out.n + 1, sizeof *all.v));
        all.start = e ? NULL : arena_try_alloc(&a, arena_array_bytes(out.n + 1, sizeof *all.start));
        all.h = e ? NULL : arena_try_alloc(&a, arena_array_bytes(out.n + 1, sizeof *all.h));
        if (!e && (!all.t || !all.v || !all.start || !all.h))
                e = proxy_over_budget(&a);
        size_t before = SIZE_MAX;
        for (size_t i = 0; i < out.n && !e; i++) {
                size_t x = (size_t)out.v[i], c = 0;
                while (x >= raw[c].n)
                        x -= raw[c++].n;
                all.t[i] = raw[c].t[x];
                all.v[i] = raw[c].v[x];
                all.start[i] = raw[c].start[x];
                all.h[i] = raw[c].h[x];
                /* Behind another replica's sample what it says of resets is not true any more. */
                if (c != before && i && (all.h[i].i || all.h[i].f)) {
                        e = histogram_sample_dup(&a, raw[c].h[x], &all.h[i]);
                        if (!e && all.h[i].i)
                                ((struct int_histogram *)(uintptr_t)all.h[i].i)->reset = COUNTER_RESET_UNKNOWN;
                        else if (!e)
                                ((struct histogram *)(uintptr_t)all.h[i].f)->reset = COUNTER_RESET_UNKNOWN;
                }
                before = c;
        }
        all.n = out.n;
        if (!e)
                e = raw_samples_encode(&all, q->arena, &made, &ret->n_chunks);
        if (!e)
                ret->chunks = made;
        samples_done(&out);
        free(columns);
        free(raw);
        arena_done(&a);
        return e;
}

/* --- a series --- */

struct error *proxy_assemble(struct proxy_querier *q, PartVec *parts, enum want want, Str func, struct series *ret)
{
        bool histograms = false, dedup = q->o->n_replica_labels > 0;
        parts_sort_and_thin(parts);
        if (!parts->n)
                return NULL;
        for (size_t i = 0; i < parts->n; i++)
                histograms = histograms || (parts->p[i].raw.encoding != CHUNK_NONE && !chunk_encoding_is_float(parts->p[i].raw.encoding));
        size_t *chain = dedup ? mem_alloc((parts->n + 1) * sizeof *chain) : NULL, n = 1;
        struct error *e = NULL;
        if (dedup)
                n = parts_split(parts, chain);
        if (!histograms) {
                e = fold_new(q, parts, chain, n, want, func, &ret->fold);
        } else if (n > 1) {
                e = fold_histograms(q, parts, chain, n, ret);
        } else {
                struct chunk *v;
                e = chunks_of(q, parts, chain, 0, &v, &ret->n_chunks);
                if (!e)
                        ret->chunks = v;
        }
        free(chain);
        return e;
}
