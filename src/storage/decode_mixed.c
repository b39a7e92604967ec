/* SPDX-License-Identifier: Apache-2.0 */
/* Series with native histograms: decoded into the arena, merged where chunks overlap, written again. */
#include <stdlib.h>

#include "storage/chunk/xor.h"
#include "storage/chunk/xor2.h"
#include "storage/decode.h"

struct one { /* sample */
        TimeMs t, start;
        double v;
        struct histogram_sample h;
        uint32_t chunk;
};

static struct error *no_memory(const struct arena *a)
{
        return error_new(ERROR_LIMIT, "memory limit of %zu bytes reached while decoding histograms", a->limit_bytes);
}

static bool is_wanted(const struct series *s, const struct chunk *c, TimeMs mint_ms, TimeMs maxt_ms)
{
        if (c->maxt_ms < mint_ms || c->mint_ms > maxt_ms)
                return false;
        return s->n_deleted == 0 || !intervals_cover(s->deleted, s->n_deleted, c->mint_ms, c->maxt_ms);
}

bool series_has_histograms(const struct series *s, TimeMs mint_ms, TimeMs maxt_ms)
{
        for (size_t i = 0; i < s->n_chunks; i++)
                if (chunk_encoding_is_histogram(s->chunks[i].encoding) && is_wanted(s, &s->chunks[i], mint_ms, maxt_ms))
                        return true;
        return false;
}

/* What a chunk decodes into before it is merged. */
struct columns {
        TimeMs *t, *start;
        double *v;
        const struct histogram **h;
        struct histogram_sample *raw;
};

static struct error *decode_chunk(const struct chunk *c, TimeMs mint_ms, TimeMs maxt_ms, bool raw, struct arena *a,
                                  struct columns *k, struct one *out, uint32_t number, size_t *ret_n)
{
        size_t n = 0;
        struct error *e;
        bool is_float = !chunk_encoding_is_histogram(c->encoding);
        if (is_float) {
                memset(k->start, 0, chunk_samples(c->encoding, c->data) * sizeof *k->start);
                e = c->encoding == CHUNK_XOR2 ? xor2_decode_starts(c->data, maxt_ms, k->t, k->v, k->start, &n)
                                              : chunk_decode(c, maxt_ms, k->t, k->v, &n);
        } else if (raw)
                e = histogram_decode_raw(c, mint_ms, maxt_ms, a, k->t, k->start, k->raw, &n);
        else
                e = histogram_decode(c, mint_ms, maxt_ms, a, k->t, k->start, k->h, &n);
        if (e)
                return c->ref ? error_wrap(e, "chunk %016llx", (unsigned long long)c->ref) : e;
        size_t got = 0;
        for (size_t i = 0; i < n; i++) {
                if (i && k->t[i] <= k->t[i - 1])
                        return error_new(ERROR_CORRUPT, "chunk %016llx: timestamps do not ascend",
                                         (unsigned long long)c->ref);
                if (k->t[i] < mint_ms)
                        continue;
                struct one x = {.t = k->t[i], .start = k->start[i], .chunk = number};
                if (is_float) {
                        x.v = k->v[i];
                } else if (raw) {
                        x.h = k->raw[i];
                        x.v = x.h.i ? x.h.i->sum : x.h.f->sum;
                } else {
                        x.h.f = k->h[i];
                        x.v = x.h.f->sum;
                }
                out[got++] = x;
        }
        *ret_n = got;
        return NULL;
}

/* p[0 … a) and p[a … a+b) ascend; the first part wins. */
static size_t merge(struct one *p, size_t a, size_t b, struct one *scratch)
{
        size_t from = a;
        while (from > 0 && p[from - 1].t >= p[a].t)
                from--;
        size_t n_old = a - from, i = 0, j = n_old, end = n_old + b, n = from;
        memcpy(scratch, p + from, end * sizeof *p);
        while (i < n_old || j < end) {
                if (j >= end || (i < n_old && scratch[i].t <= scratch[j].t)) {
                        if (j < end && scratch[i].t == scratch[j].t)
                                j++;
                        p[n++] = scratch[i++];
                } else {
                        p[n++] = scratch[j++];
                }
        }
        return n;
}

static bool is_deleted(const struct series *s, TimeMs t)
{
        for (size_t i = 0; i < s->n_deleted && s->deleted[i].mint_ms <= t; i++)
                if (s->deleted[i].maxt_ms >= t)
                        return true;
        return false;
}

/* Upstream: storage/merge.go, chainSampleIterator. */
static void take_back_hints(struct one *p, size_t n)
{
        for (size_t i = 1; i < n; i++) {
                if (p[i].chunk == p[i - 1].chunk)
                        continue;
                /* decoded by us, for us: nobody else has seen them */
                if (p[i].h.f && p[i].h.f->reset != COUNTER_RESET_GAUGE)
                        ((struct histogram *)(uintptr_t)p[i].h.f)->reset = COUNTER_RESET_UNKNOWN;
                if (p[i].h.i && p[i].h.i->reset != COUNTER_RESET_GAUGE)
                        ((struct int_histogram *)(uintptr_t)p[i].h.i)->reset = COUNTER_RESET_UNKNOWN;
        }
}

static struct error *decode(const struct series *s, TimeMs mint_ms, TimeMs maxt_ms, bool raw, struct arena *a,
                            struct one **ret, size_t *ret_n)
{
        size_t most = 0, longest = 0, n = 0;
        for (size_t i = 0; i < s->n_chunks; i++)
                if (is_wanted(s, &s->chunks[i], mint_ms, maxt_ms)) {
                        size_t k = chunk_samples(s->chunks[i].encoding, s->chunks[i].data);
                        most += k;
                        longest = MAX(longest, k);
                }
        struct columns k = {.t = mem_alloc((longest + 1) * sizeof *k.t),
                            .start = mem_alloc((longest + 1) * sizeof *k.start),
                            .v = mem_alloc((longest + 1) * sizeof *k.v),
                            .h = mem_alloc((longest + 1) * sizeof *k.h),
                            .raw = mem_alloc((longest + 1) * sizeof *k.raw)};
        struct one *p = arena_try_alloc(a, arena_array_bytes(most + 1, sizeof *p)), *scratch = NULL;
        struct error *e = p ? NULL : no_memory(a);
        for (size_t i = 0; !e && i < s->n_chunks; i++) {
                const struct chunk *c = &s->chunks[i];
                size_t got = 0;
                if (!is_wanted(s, c, mint_ms, maxt_ms))
                        continue;
                e = decode_chunk(c, mint_ms, maxt_ms, raw, a, &k, p + n, (uint32_t)i, &got);
                if (e || got == 0)
                        continue;
                if (n && p[n].t <= p[n - 1].t) {
                        if (!scratch)
                                scratch = mem_alloc(most * sizeof *scratch);
                        n = merge(p, n, got, scratch);
                } else {
                        n += got;
                }
        }
        if (!e && s->n_deleted) {
                size_t w = 0;
                for (size_t i = 0; i < n; i++)
                        if (!is_deleted(s, p[i].t))
                                p[w++] = p[i];
                n = w;
        }
        if (!e)
                take_back_hints(p, n);
        free(k.t);
        free(k.start);
        free(k.v);
        free(k.h);
        free(k.raw);
        free(scratch);
        *ret = p;
        *ret_n = n;
        return e;
}

struct error *series_decode_mixed(const struct series *s, TimeMs mint_ms, TimeMs maxt_ms, struct arena *arena,
                                  struct mixed *ret)
{
        struct mixed m = {0};
        struct error *e;
        bool has = series_has_histograms(s, mint_ms, maxt_ms);
        struct one *p = NULL;
        if (has) {
                e = decode(s, mint_ms, maxt_ms, /* raw= */ false, arena, &p, &m.n);
                if (e)
                        return e;
        }
        size_t most = has ? m.n : series_samples_max(s, mint_ms, maxt_ms);
        m.t = arena_try_alloc(arena, arena_array_bytes(most + 1, sizeof *m.t));
        m.v = arena_try_alloc(arena, arena_array_bytes(most + 1, sizeof *m.v));
        if (!m.t || !m.v)
                return no_memory(arena);
        if (!has) {
                e = series_decode_into(s, mint_ms, maxt_ms, m.t, m.v, &m.n);
                if (!e)
                        *ret = m;
                return e;
        }
        m.h = arena_try_alloc(arena, arena_array_bytes(most + 1, sizeof *m.h));
        if (!m.h)
                return no_memory(arena);
        for (size_t i = 0; i < m.n; i++) {
                m.t[i] = p[i].t;
                m.v[i] = p[i].v;
                m.h[i] = p[i].h.f;
        }
        *ret = m;
        return NULL;
}

bool series_has_starts(const struct series *s, TimeMs mint_ms, TimeMs maxt_ms)
{
        for (size_t i = 0; i < s->n_chunks; i++) {
                const struct chunk *c = &s->chunks[i];
                bool may = chunk_encoding_has_start(c->encoding) || (c->encoding == CHUNK_XOR2 && xor2_has_starts(c->data));
                if (may && is_wanted(s, c, mint_ms, maxt_ms))
                        return true;
        }
        return false;
}

struct error *series_decode_starts(const struct series *s, TimeMs mint_ms, TimeMs maxt_ms, struct arena *arena, struct mixed *ret)
{
        struct mixed m = {0};
        struct one *p = NULL;
        struct error *e = decode(s, mint_ms, maxt_ms, /* raw= */ false, arena, &p, &m.n);
        if (e)
                return e;
        m.t = arena_try_alloc(arena, arena_array_bytes(m.n + 1, sizeof *m.t));
        m.v = arena_try_alloc(arena, arena_array_bytes(m.n + 1, sizeof *m.v));
        m.h = arena_try_alloc(arena, arena_array_bytes(m.n + 1, sizeof *m.h));
        m.start = arena_try_alloc(arena, arena_array_bytes(m.n + 1, sizeof *m.start));
        if (!m.t || !m.v || !m.h || !m.start)
                return no_memory(arena);
        for (size_t i = 0; i < m.n; i++) {
                m.t[i] = p[i].t;
                m.v[i] = p[i].v;
                m.h[i] = p[i].h.f;
                m.start[i] = p[i].start;
        }
        *ret = m;
        return NULL;
}

struct error *series_decode_raw(const struct series *s, TimeMs mint_ms, TimeMs maxt_ms, struct arena *arena,
                                struct raw_samples *ret)
{
        struct one *p;
        size_t n;
        if (s->fold) {
                struct raw_samples f = {0};
                size_t most = s->fold->samples_max;
                f.t = arena_try_alloc(arena, arena_array_bytes(most + 1, sizeof *f.t));
                f.v = arena_try_alloc(arena, arena_array_bytes(most + 1, sizeof *f.v));
                f.start = arena_try_alloc(arena, arena_array_bytes(most + 1, sizeof *f.start));
                f.h = arena_try_alloc(arena, arena_array_bytes(most + 1, sizeof *f.h));
                if (!f.t || !f.v || !f.start || !f.h)
                        return no_memory(arena);
                memset(f.start, 0, (most + 1) * sizeof *f.start);
                memset(f.h, 0, (most + 1) * sizeof *f.h);
                *ret = f;
                return series_decode_into(s, mint_ms, maxt_ms, f.t, f.v, &ret->n);
        }
        struct error *e = decode(s, mint_ms, maxt_ms, /* raw= */ true, arena, &p, &n);
        if (e)
                return e;
        struct raw_samples r = {.t = arena_try_alloc(arena, arena_array_bytes(n + 1, sizeof *r.t)),
                                .start = arena_try_alloc(arena, arena_array_bytes(n + 1, sizeof *r.start)),
                                .v = arena_try_alloc(arena, arena_array_bytes(n + 1, sizeof *r.v)),
                                .h = arena_try_alloc(arena, arena_array_bytes(n + 1, sizeof *r.h)),
                                .n = n};
        if (!r.t || !r.start || !r.v || !r.h)
                return no_memory(arena);
        for (size_t i = 0; i < n; i++) {
                r.t[i] = p[i].t;
                r.start[i] = p[i].start;
                r.v[i] = p[i].v;
                r.h[i] = p[i].h;
        }
        *ret = r;
        return NULL;
}

enum { SAMPLES_PER_CHUNK = 120 };

typedef VEC(struct chunk) ChunkVec;

static enum chunk_encoding kind_of(const struct raw_samples *s, size_t i)
{
        return s->h[i].i ? CHUNK_HISTOGRAM : s->h[i].f ? CHUNK_FLOAT_HISTOGRAM : CHUNK_XOR;
}

/* Of samples of one kind, some of which have start times or none. */
static enum chunk_encoding encoding_of(enum chunk_encoding kind, bool has_starts)
{
        if (!has_starts)
                return kind;
        return kind == CHUNK_XOR ? CHUNK_XOR2 : kind == CHUNK_HISTOGRAM ? CHUNK_HISTOGRAM_ST : CHUNK_FLOAT_HISTOGRAM_ST;
}

static struct error *put_data(ChunkVec *v, struct arena *a, enum chunk_encoding encoding, Str data, TimeMs mint_ms, TimeMs maxt_ms)
{
        char *p = arena_try_alloc(a, data.n);
        if (!p)
                return no_memory(a);
        memcpy(p, data.p, data.n);
        vec_push(v, (struct chunk){.mint_ms = mint_ms, .maxt_ms = maxt_ms, .encoding = encoding, .data = {p, data.n}});
        return NULL;
}

static struct error *put_chunk(ChunkVec *v, struct arena *a, const struct histogram_chunk *k, TimeMs mint_ms)
{
        return put_data(v, a, histogram_chunk_encoding(k), histogram_chunk_data(k), mint_ms, histogram_chunk_last_ms(k));
}

/* s[from … to) are floats, some with start times. */
static struct error *put_floats(ChunkVec *v, struct arena *a, const struct raw_samples *s, size_t from, size_t to)
{
        struct error *e = NULL;
        for (size_t i = from, end; !e && i < to; i = end) {
                struct xor2_chunk *c = xor2_chunk_new();
                end = MIN(to, i + SAMPLES_PER_CHUNK);
                for (size_t k = i; k < end; k++)
                        xor2_append(c, s->start[k], s->t[k], s->v[k]);
                e = put_data(v, a, CHUNK_XOR2, xor2_data(c), s->t[i], s->t[end - 1]);
                xor2_chunk_free(c);
        }
        return e;
}

/* s[from … to) are histograms of one encoding. */
static struct error *put_histograms(ChunkVec *v, struct arena *a, const struct raw_samples *s, size_t from, size_t to,
                                    enum chunk_encoding encoding)
{
        struct histogram_chunk *k = NULL, *prev = NULL;
        struct error *e = NULL;
        TimeMs mint_ms = 0;
        for (size_t i = from; !e && i < to; i++) {
                struct histogram_chunk *next = NULL;
                if (!k || histogram_chunk_samples(k) >= SAMPLES_PER_CHUNK) {
                        e = k ? put_chunk(v, a, k, mint_ms) : NULL;
                        histogram_chunk_free(prev);
                        prev = k;
                        k = histogram_chunk_new(encoding);
                        mint_ms = s->t[i];
                }
                enum histogram_fit fit =
                        histogram_chunk_append(k, prev, s->start ? s->start[i] : 0, s->t[i], s->h[i], &next);
                if (fit == HISTOGRAM_NEXT) {
                        if (!e)
                                e = put_chunk(v, a, k, mint_ms);
                        histogram_chunk_free(prev);
                        prev = k;
                        k = next;
                        mint_ms = s->t[i];
                }
        }
        if (!e && k)
                e = put_chunk(v, a, k, mint_ms);
        histogram_chunk_free(k);
        histogram_chunk_free(prev);
        return e;
}

struct error *raw_samples_encode(const struct raw_samples *s, struct arena *arena, struct chunk **ret, size_t *ret_n)
{
        ChunkVec v = VEC_INIT;
        struct error *e = NULL;
        for (size_t i = 0, j; !e && i < s->n; i = j) {
                enum chunk_encoding kind = kind_of(s, i), encoding;
                bool has_starts = false;
                for (j = i; j < s->n && kind_of(s, j) == kind; j++)
                        has_starts |= s->start && s->start[j] != 0;
                encoding = encoding_of(kind, has_starts);
                if (encoding == CHUNK_XOR2) {
                        e = put_floats(&v, arena, s, i, j);
                        continue;
                }
                if (encoding != CHUNK_XOR) {
                        e = put_histograms(&v, arena, s, i, j, encoding);
                        continue;
                }
                struct chunk *made;
                size_t n = 0;
                e = samples_encode(s->t + i, s->v + i, j - i, arena, &made, &n);
                for (size_t k = 0; k < n; k++)
                        vec_push(&v, made[k]);
        }
        struct chunk *out = e ? NULL : arena_try_alloc(arena, arena_array_bytes(v.n + 1, sizeof *out));
        if (!e && !out)
                e = no_memory(arena);
        if (!e) {
                if (v.n)
                        memcpy(out, v.p, v.n * sizeof *out);
                *ret = out;
                *ret_n = v.n;
        }
        vec_done(&v);
        return e;
}

struct error *series_encode_anew(const struct series *s, TimeMs mint_ms, TimeMs maxt_ms, struct samples *scratch,
                                 struct arena *arena, struct chunk **ret, size_t *ret_n)
{
        struct error *e;
        if (!series_has_histograms(s, mint_ms, maxt_ms) && !series_has_starts(s, mint_ms, maxt_ms)) {
                e = series_decode(s, mint_ms, maxt_ms, scratch);
                return e ? e : samples_encode(scratch->t, scratch->v, scratch->n, arena, ret, ret_n);
        }
        struct raw_samples raw;
        e = series_decode_raw(s, mint_ms, maxt_ms, arena, &raw);
        return e ? e : raw_samples_encode(&raw, arena, ret, ret_n);
}
