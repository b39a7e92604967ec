/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/decode.h"

#include "storage/chunk/xor_private.h"

void samples_done(struct samples *s)
{
        samples_clear(s);
        free(s->t);
        free(s->v);
        *s = (struct samples)SAMPLES_INIT;
}

void samples_reserve(struct samples *s, size_t more)
{
        if (s->cap - s->n >= more)
                return;
        if (s->skip) {
                struct samples base = *s;
                samples_clear(&base);
                memmove(base.t, s->t, s->n * sizeof *s->t);
                memmove(base.v, s->v, s->n * sizeof *s->v);
                base.n = s->n;
                base.every_ms = s->every_ms;
                *s = base;
        }
        size_t cap = s->cap < 64 ? 128 : s->cap + s->cap / 2;
        if (cap - s->n < more)
                cap = s->n + more;
        s->t = mem_realloc_array(s->t, cap, sizeof *s->t);
        s->v = mem_realloc_array(s->v, cap, sizeof *s->v);
        s->cap = cap;
}

bool intervals_cover(const struct interval *d, size_t n, TimeMs mint_ms, TimeMs maxt_ms)
{
        for (size_t i = 0; i < n; i++)
                if (d[i].mint_ms <= mint_ms && d[i].maxt_ms >= maxt_ms)
                        return true;
        return false;
}

bool intervals_touch(const struct interval *d, size_t n, TimeMs mint_ms, TimeMs maxt_ms)
{
        for (size_t i = 0; i < n; i++)
                if (d[i].mint_ms <= maxt_ms && d[i].maxt_ms >= mint_ms)
                        return true;
        return false;
}

static bool is_wanted(const struct series *s, const struct chunk *c, TimeMs mint_ms, TimeMs maxt_ms)
{
        if (c->maxt_ms < mint_ms || c->mint_ms > maxt_ms)
                return false;
        return s->n_deleted == 0 || !intervals_cover(s->deleted, s->n_deleted, c->mint_ms, c->maxt_ms);
}

size_t series_samples_max(const struct series *s, TimeMs mint_ms, TimeMs maxt_ms)
{
        if (s->fold)
                return s->fold->samples_max;
        size_t n = 0;
        for (size_t i = 0; i < s->n_chunks; i++)
                if (is_wanted(s, &s->chunks[i], mint_ms, maxt_ms))
                        n += chunk_samples(s->chunks[i].encoding, s->chunks[i].data);
        return n;
}

/* First index in [from, n) with t >= x. */
static size_t lower_bound(const TimeMs *t, size_t from, size_t n, TimeMs x)
{
        while (from < n) {
                size_t mid = from + (n - from) / 2;
                if (t[mid] < x)
                        from = mid + 1;
                else
                        n = mid;
        }
        return from;
}

/* t[0 … a) and t[a … a+b) are each ascending; makes them one, the first part winning. Returns the new length. */
static size_t merge_tail(TimeMs *t, double *v, size_t a, size_t b)
{
        size_t from = lower_bound(t, 0, a, t[a]);
        size_t n_old = a - from;
        TimeMs *ot = mem_alloc(n_old * sizeof *ot + b * sizeof *ot);
        double *ov = mem_alloc(n_old * sizeof *ov + b * sizeof *ov);
        memcpy(ot, t + from, (n_old + b) * sizeof *ot);
        memcpy(ov, v + from, (n_old + b) * sizeof *ov);
        size_t i = 0, j = n_old, end = n_old + b, n = from;
        while (i < n_old || j < end) {
                size_t pick;
                if (j >= end || (i < n_old && ot[i] <= ot[j])) {
                        if (j < end && ot[i] == ot[j])
                                j++;
                        pick = i++;
                } else {
                        pick = j++;
                }
                t[n] = ot[pick];
                v[n++] = ov[pick];
        }
        free(ot);
        free(ov);
        return n;
}

static size_t drop_deleted(TimeMs *t, double *v, size_t n, const struct interval *d, size_t n_d)
{
        for (size_t k = 0; k < n_d; k++) {
                if (n == 0)
                        break;
                size_t from = lower_bound(t, 0, n, d[k].mint_ms);
                size_t to = d[k].maxt_ms == TIME_MS_MAX ? n : lower_bound(t, from, n, d[k].maxt_ms + 1);
                if (to == from)
                        continue;
                memmove(t + from, t + to, (n - to) * sizeof *t);
                memmove(v + from, v + to, (n - to) * sizeof *v);
                n -= to - from;
        }
        return n;
}

/* Timestamps inside a chunk ascend strictly; if they don't, the chunk is damaged in a way that the decoder cannot see. */
static bool ascends(const TimeMs *t, size_t n)
{
        bool ok = true;
        for (size_t i = 1; i < n; i++)
                ok &= t[i] > t[i - 1];
        return ok;
}

/* Are all samples the same time apart? Counted on as chunks come; a passed check also says that they ascend. */
struct evenness {
        bool is_even;
        uint64_t every; /* 0: one sample so far */
};

/* The same, of a chunk whose samples are known to be `every` apart, in ascending order. */
static bool even_add_known(struct evenness *ev, const TimeMs *t, size_t n, uint64_t every)
{
        if (!ev->every)
                ev->every = every;
        ev->is_even = ev->is_even && ev->every == every && (n == 0 || (uint64_t)t[n] - (uint64_t)t[n - 1] == every);
        return true;
}

/* got more samples came at t + n. */
static bool even_add(struct evenness *ev, const TimeMs *t, size_t n, size_t got)
{
        if (!ev->is_even || got == 0)
                return false;
        if (!ev->every && n + got > 1)
                ev->every = (uint64_t)t[1] - (uint64_t)t[0];
        uint64_t differ = 0;
        for (size_t i = n ? n : 1; i < n + got; i++)
                differ |= ((uint64_t)t[i] - (uint64_t)t[i - 1]) ^ ev->every;
        /* A chunk has at most 65535: they did not pass the end of time if the last is behind the first. */
        bool ascends = n + got == 1 || (ev->every && ev->every < UINT64_C(1) << 40 && t[n + got - 1] >= t[n]);
        ev->is_even = differ == 0 && ascends;
        return ev->is_even;
}

/* Chunks decoded ahead, side by side, into the columns where they belong if the ones before them come whole. */
struct ahead {
        struct xor_job jobs[XOR_LANES_MAX];
        size_t of[XOR_LANES_MAX]; /* the chunk of each */
        size_t n, next;
        bool is_off;
};

/* From chunk i on, at sample n. */
static struct error *look_ahead(struct ahead *a, const struct series *s, size_t i, TimeMs mint_ms, TimeMs maxt_ms, TimeMs *t, double *v, size_t n)
{
        a->n = a->next = 0;
        for (; i < s->n_chunks && a->n < XOR_LANES_MAX; i++) {
                const struct chunk *c = &s->chunks[i];
                if (!is_wanted(s, c, mint_ms, maxt_ms))
                        continue;
                if (c->encoding != CHUNK_XOR)
                        break;
                a->of[a->n] = i;
                a->jobs[a->n++] = (struct xor_job){.data = c->data, .t = t + n, .v = v + n};
                n += chunk_samples(c->encoding, c->data);
        }
        if (a->n < 3) {
                a->n = 0;
                return NULL;
        }
        size_t failed;
        struct error *e = xor_decode_many(a->jobs, a->n, &failed);
        if (!e)
                return NULL;
        a->n = 0;
        a->is_off = true;
        error_ignore(e, "one after the other tells the first that is damaged");
        return NULL;
}

static struct error *fold_into(const struct series_fold *f, TimeMs mint_ms, TimeMs maxt_ms, TimeMs *t, double *v, size_t *ret_n, int64_t *ret_every)
{
        struct evenness ev = {.is_even = true};
        struct error *e = f->decode(f, mint_ms, maxt_ms, t, v, ret_n);
        if (e)
                return e;
        *ret_every = even_add(&ev, t, 0, *ret_n) && *ret_n > 1 ? (int64_t)ev.every : 0;
        return NULL;
}

static struct error *decode_into(const struct series *s, TimeMs mint_ms, TimeMs maxt_ms, TimeMs *t, double *v, size_t *ret_n, int64_t *ret_every,
                                 size_t *ret_skip)
{
        if (s->fold) {
                *ret_skip = 0;
                return fold_into(s->fold, mint_ms, maxt_ms, t, v, ret_n, ret_every);
        }
        size_t n = 0, skip = 0;
        struct evenness ev = {.is_even = true};
        struct ahead ahead;
        ahead.n = ahead.next = 0;
        ahead.is_off = s->n_chunks < 3 || !xor_has_lanes();
        for (size_t i = 0; i < s->n_chunks; i++) {
                const struct chunk *c = &s->chunks[i];
                if (!is_wanted(s, c, mint_ms, maxt_ms))
                        continue;
                size_t got = 0;
                uint64_t every = 0; /* known of the chunk */
                struct error *e = NULL;
                if (!ahead.is_off && ahead.next == ahead.n && c->encoding == CHUNK_XOR)
                        e = look_ahead(&ahead, s, i, mint_ms, maxt_ms, t, v, n);
                if (!e && ahead.next < ahead.n && ahead.of[ahead.next] == i) {
                        const struct xor_job *j = &ahead.jobs[ahead.next++];
                        got = j->s.i;
                        if (got && j->t[got - 1] > maxt_ms)
                                got = lower_bound(j->t, 0, got, maxt_ms + 1);
                        every = j->s.is_even && got > 1 ? j->s.dt : 0;
                        if (j->t != t + n) { /* some before it did not come */
                                memmove(t + n, j->t, got * sizeof *t);
                                memmove(v + n, j->v, got * sizeof *v);
                        }
                } else if (!e) {
                        e = chunk_decode(c, maxt_ms, t + n, v + n, &got);
                }
                if (e)
                        return c->ref ? error_wrap(e, "chunk %016llx", (unsigned long long)c->ref) : e;
                if (!(every ? even_add_known(&ev, t, n, every) : even_add(&ev, t, n, got)) && !ascends(t + n, got))
                        return error_new(ERROR_CORRUPT, "chunk %016llx: timestamps do not ascend", (unsigned long long)c->ref);
                if (got && t[n] < mint_ms) {
                        size_t cut = lower_bound(t, n, n + got, mint_ms);
                        if (n == 0) { /* stays where it is */
                                t += cut;
                                v += cut;
                                skip += cut;
                                n = got - cut;
                                continue;
                        }
                        memmove(t + n, t + cut, (n + got - cut) * sizeof *t);
                        memmove(v + n, v + cut, (n + got - cut) * sizeof *v);
                        got = n + got - cut;
                        ev.is_even = false;
                }
                if (got == 0)
                        continue;
                if (n && t[n] <= t[n - 1]) {
                        n = merge_tail(t, v, n, got);
                        ev.is_even = false;
                } else {
                        n += got;
                }
        }
        if (s->n_deleted) {
                n = drop_deleted(t, v, n, s->deleted, s->n_deleted);
                ev.is_even = false;
        }
        *ret_n = n;
        *ret_skip = skip;
        *ret_every = ev.is_even && n > 1 ? (int64_t)ev.every : 0;
        return NULL;
}

struct error *series_decode_into(const struct series *s, TimeMs mint_ms, TimeMs maxt_ms, TimeMs *t, double *v, size_t *ret_n)
{
        int64_t every;
        size_t n = 0, skip = 0;
        struct error *e = decode_into(s, mint_ms, maxt_ms, t, v, &n, &every, &skip);
        if (e)
                return e;
        if (skip) {
                memmove(t, t + skip, n * sizeof *t);
                memmove(v, v + skip, n * sizeof *v);
        }
        *ret_n = n;
        return NULL;
}

struct error *series_decode(const struct series *s, TimeMs mint_ms, TimeMs maxt_ms, struct samples *out)
{
        samples_clear(out);
        samples_reserve(out, MAX(series_samples_max(s, mint_ms, maxt_ms), (size_t)1)); /* columns that can be pointed into */
        size_t n = 0, skip = 0;
        int64_t every = 0;
        struct error *e = decode_into(s, mint_ms, maxt_ms, out->t, out->v, &n, &every, &skip);
        if (e)
                return e;
        out->t += skip;
        out->v += skip;
        out->cap -= skip;
        out->skip = skip;
        out->n = n;
        out->every_ms = every;
        return NULL;
}

enum { SAMPLES_PER_CHUNK = 120 };

struct error *samples_encode(const TimeMs *t, const double *v, size_t n, struct arena *arena, struct chunk **ret, size_t *ret_n)
{
        size_t n_chunks = (n + SAMPLES_PER_CHUNK - 1) / SAMPLES_PER_CHUNK;
        struct chunk *chunks = arena_try_alloc(arena, arena_array_bytes(n_chunks ? n_chunks : 1, sizeof *chunks));
        if (!chunks)
                return error_new(ERROR_LIMIT, "memory limit of %zu bytes reached while encoding chunks", arena->limit_bytes);
        for (size_t i = 0; i < n_chunks; i++) {
                size_t from = i * SAMPLES_PER_CHUNK, to = MIN(from + SAMPLES_PER_CHUNK, n);
                uint8_t buf[XOR_HEADER_BYTES + SAMPLES_PER_CHUNK * XOR_SAMPLE_MAX_BYTES];
                struct xor_appender a;
                xor_appender_init(&a, buf);
                for (size_t k = from; k < to; k++)
                        if (!xor_append(&a, buf, sizeof buf, t[k], v[k]))
                                bug("a chunk of %d samples did not fit", SAMPLES_PER_CHUNK);
                uint8_t *p = arena_try_alloc(arena, xor_bytes(&a));
                if (!p)
                        return error_new(ERROR_LIMIT, "memory limit of %zu bytes reached while encoding chunks", arena->limit_bytes);
                memcpy(p, buf, xor_bytes(&a));
                chunks[i] = (struct chunk){
                        .mint_ms = t[from], .maxt_ms = t[to - 1], .encoding = CHUNK_XOR, .data = {(const char *)p, xor_bytes(&a)}};
        }
        *ret = chunks;
        *ret_n = n_chunks;
        return NULL;
}
