/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/exemplars.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/thread.h"
#include "codec/varint.h"

#define NONE UINT32_MAX

/* Labels in one block: count, then name and value as uvarint length and bytes. */
struct packed {
        char *p;
        uint32_t n;
};
struct ring_series {
        struct packed labels;
        uint32_t oldest, newest; /* places in the ring */
};
struct place {
        struct ring_series *series; /* NULL: free */
        struct packed labels;
        double value;
        TimeMs t;
        uint32_t prev, next; /* of the series, by time */
        bool has_t;
};
struct exemplars {
        struct rwlock lock; /* guards all below */
        struct place *ring;
        uint32_t n, next;
        int64_t window_ms;
        struct map series; /* by their packed labels */
        uint64_t appended, out_of_order;
};

ERROR_SENTINEL(error_duplicate_exemplar, ERROR_INVALID, "duplicate exemplar");
ERROR_SENTINEL(error_out_of_order_exemplar, ERROR_INVALID, "out of order exemplar");
ERROR_SENTINEL(error_exemplar_labels, ERROR_INVALID, "label length for exemplar exceeds maximum of 128 UTF-8 characters");
ERROR_SENTINEL(error_exemplars_disabled, ERROR_INVALID, "exemplar storage is disabled or max exemplars is less than or equal to 0");

/* ---- labels ---- */

static struct packed pack(Labels ls)
{
        size_t room = 10;
        for (size_t i = 0; i < ls.n; i++)
                room += 20 + ls.v[i].name.n + ls.v[i].value.n;
        uint8_t *p = mem_alloc(room), *at = put_uvarint(p, ls.n);
        for (size_t i = 0; i < ls.n; i++) {
                Str two[] = {ls.v[i].name, ls.v[i].value};
                for (size_t k = 0; k < 2; k++) {
                        at = put_uvarint(at, two[k].n);
                        if (two[k].n)
                                memcpy(at, two[k].p, two[k].n);
                        at += two[k].n;
                }
        }
        size_t n = (size_t)(at - p);
        if (n > UINT32_MAX)
                bug("labels of %zu bytes", n);
        return (struct packed){mem_realloc(p, n), (uint32_t)n};
}

static Str packed_str(struct packed p)
{
        return (Str){p.p, p.n};
}

/* Strings are borrowed from what was packed. v NULL: past the arena's budget. */
static Labels unpack(struct packed p, struct arena *a)
{
        struct cursor c = cursor_of(packed_str(p));
        size_t n = (size_t)take_uvarint(&c);
        Label *v = arena_try_alloc(a, arena_array_bytes(n + 1, sizeof *v));
        for (size_t i = 0; v && i < n; i++) {
                v[i].name = take_uvarint_str(&c);
                v[i].value = take_uvarint_str(&c);
        }
        return (Labels){v, n};
}

static size_t runes(Str s)
{
        size_t n = 0;
        for (size_t i = 0; i < s.n; i++)
                n += ((unsigned char)s.p[i] & 0xc0) != 0x80;
        return n;
}

/* ---- the ring ---- */

struct exemplars *exemplars_new(int64_t max, int64_t window_ms)
{
        struct exemplars *x = mem_new(struct exemplars);
        rwlock_init(&x->lock);
        x->window_ms = MAX(window_ms, 0);
        exemplars_resize(x, max);
        return x;
}

static void series_drop(struct exemplars *x, struct ring_series *s)
{
        map_remove(&x->series, packed_str(s->labels));
        free(s->labels.p);
        free(s);
}

/* True: its series has no other. */
static bool place_take(struct exemplars *x, struct place *p)
{
        struct ring_series *s = p->series;
        if (p->prev != NONE)
                x->ring[p->prev].next = p->next;
        else
                s->oldest = p->next;
        if (p->next != NONE)
                x->ring[p->next].prev = p->prev;
        else
                s->newest = p->prev;
        free(p->labels.p);
        p->labels.p = NULL;
        p->series = NULL;
        return s->oldest == NONE;
}

void exemplars_free(struct exemplars *x)
{
        if (!x)
                return;
        exemplars_resize(x, 0);
        map_done(&x->series);
        rwlock_done(&x->lock);
        free(x);
}

bool exemplars_is_on(struct exemplars *x)
{
        rwlock_read(&x->lock);
        bool on = x->n > 0;
        rwlock_unlock(&x->lock);
        return on;
}

void exemplars_set_window(struct exemplars *x, int64_t window_ms)
{
        rwlock_write(&x->lock);
        x->window_ms = MAX(window_ms, 0);
        rwlock_unlock(&x->lock);
}

void exemplars_resize(struct exemplars *x, int64_t max)
{
        uint32_t n = (uint32_t)MIN(MAX(max, 0), (int64_t)EXEMPLARS_MAX);
        rwlock_write(&x->lock);
        if (n == x->n)
                goto out;
        /* The oldest go first; the others move to the front, and their neighbours are told. */
        uint32_t used = 0, *to = mem_alloc((x->n + 1) * sizeof *to);
        for (uint32_t i = 0; i < x->n; i++)
                used += x->ring[i].series != NULL;
        for (uint32_t i = 0; i < x->n && used > n; i++) {
                struct place *p = &x->ring[(x->next + i) % x->n];
                if (!p->series)
                        continue;
                struct ring_series *s = p->series;
                if (place_take(x, p))
                        series_drop(x, s);
                used--;
        }
        struct place *ring = n ? mem_zalloc(n * sizeof *ring) : NULL;
        uint32_t k = 0;
        for (uint32_t i = 0; i < x->n; i++) {
                uint32_t from = (x->next + i) % x->n;
                if (!x->ring[from].series)
                        continue;
                to[from] = k;
                ring[k++] = x->ring[from];
        }
        for (uint32_t i = 0; i < k; i++) {
                struct place *p = &ring[i];
                if (p->prev == NONE)
                        p->series->oldest = i;
                else
                        p->prev = to[p->prev];
                if (p->next == NONE)
                        p->series->newest = i;
                else
                        p->next = to[p->next];
        }
        free(to);
        free(x->ring);
        x->ring = ring;
        x->n = n;
        x->next = n ? k % n : 0;
out:
        rwlock_unlock(&x->lock);
}

/* ---- adding ---- */

static bool labels_same(struct packed p, Labels ls)
{
        struct cursor c = cursor_of(packed_str(p));
        if (take_uvarint(&c) != ls.n)
                return false;
        for (size_t i = 0; i < ls.n; i++) {
                Str name = take_uvarint_str(&c), value = take_uvarint_str(&c);
                if (!str_eq(name, ls.v[i].name) || !str_eq(value, ls.v[i].value))
                        return false;
        }
        return true;
}

static uint64_t packed_hash(struct packed p)
{
        struct arena a;
        arena_init(&a, SIZE_MAX);
        uint64_t h = labels_hash(unpack(p, &a));
        arena_done(&a);
        return h;
}

static struct error *check_locked(const struct exemplars *x, const struct ring_series *s, const struct exemplar *e)
{
        size_t n = 0;
        if (!x->n)
                return &error_exemplars_disabled;
        for (size_t i = 0; i < e->labels.n; i++) {
                n += runes(e->labels.v[i].name) + runes(e->labels.v[i].value);
                if (n > EXEMPLAR_RUNES_MAX)
                        return &error_exemplar_labels;
        }
        if (!s)
                return NULL;
        const struct place *p = &x->ring[s->newest];
        bool same_t = p->t == e->t, same_labels = labels_same(p->labels, e->labels);
        if (same_labels && p->value == e->value && (same_t || (!p->has_t && !e->has_t)))
                return &error_duplicate_exemplar;
        /* Equal times are ordered by value, then by the hash of the labels: so duplicates of several buckets are found. */
        bool late = e->t < p->t && e->t <= (p->t < TIME_MS_MIN + x->window_ms ? TIME_MS_MIN : p->t - x->window_ms);
        late |= same_t && e->value < p->value;
        late |= same_t && e->value == p->value && !same_labels && labels_hash(e->labels) < packed_hash(p->labels);
        return late ? &error_out_of_order_exemplar : NULL;
}

struct error *exemplars_check(struct exemplars *x, Labels series, const struct exemplar *e)
{
        struct packed key = pack(series);
        rwlock_read(&x->lock);
        struct error *why = check_locked(x, map_get(&x->series, packed_str(key)), e);
        rwlock_unlock(&x->lock);
        free(key.p);
        return why;
}

/* The newest one that is not after t. */
static uint32_t find_before(const struct exemplars *x, const struct ring_series *s, TimeMs t)
{
        for (uint32_t i = s->newest; i != NONE; i = x->ring[i].prev)
                if (x->ring[i].t <= t)
                        return i;
        return s->oldest;
}

/* Between whichever neighbours its time says. */
static void place_link(struct exemplars *x, uint32_t at, struct ring_series *s)
{
        struct place *p = &x->ring[at];
        p->prev = p->next = NONE;
        if (s->oldest == NONE) {
                s->oldest = s->newest = at;
                return;
        }
        uint32_t before = p->t < x->ring[s->oldest].t ? NONE : find_before(x, s, p->t);
        p->prev = before;
        p->next = before == NONE ? s->oldest : x->ring[before].next;
        if (p->next != NONE)
                x->ring[p->next].prev = at;
        else
                s->newest = at;
        if (before != NONE)
                x->ring[before].next = at;
        else
                s->oldest = at;
}

struct error *exemplars_add(struct exemplars *x, Labels series, const struct exemplar *e)
{
        struct packed key = pack(series);
        rwlock_write(&x->lock);
        struct ring_series *s = map_get(&x->series, packed_str(key));
        struct error *why = check_locked(x, s, e);
        x->out_of_order += why == &error_out_of_order_exemplar;
        if (why)
                goto out;
        /* Within the window: the time alone says that it is there already. */
        if (s && e->t < x->ring[s->newest].t && e->t >= x->ring[s->oldest].t && x->ring[find_before(x, s, e->t)].t == e->t)
                goto out;
        if (!s) {
                s = mem_new(struct ring_series);
                s->labels = key;
                s->oldest = s->newest = NONE;
                key.p = NULL;
                map_set(&x->series, packed_str(s->labels), s);
        }
        struct place *p = &x->ring[x->next];
        struct ring_series *old = p->series;
        if (old && place_take(x, p) && old != s)
                series_drop(x, old);
        *p = (struct place){.series = s, .labels = pack(e->labels), .value = e->value, .t = e->t, .has_t = e->has_t};
        place_link(x, x->next, s);
        x->next = (x->next + 1) % x->n;
        x->appended++;
out:
        rwlock_unlock(&x->lock);
        free(key.p);
        return why == &error_duplicate_exemplar ? NULL : why;
}

/* ---- reading ---- */

static struct error *over_budget(const struct arena *a)
{
        return error_new(ERROR_LIMIT, "memory limit of %zu bytes reached while selecting exemplars", a->limit_bytes);
}

static bool matches(Labels ls, const struct exemplar_selector *s, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (matchers_match(s[i].m, s[i].n, ls))
                        return true;
        return false;
}

/* A copy whose strings are the arena's: the ring goes on. */
static bool copy_labels(struct packed p, struct arena *a, Labels *ret)
{
        char *own = arena_try_alloc(a, p.n ? p.n : 1);
        if (!own)
                return false;
        memcpy(own, p.p, p.n);
        *ret = unpack((struct packed){own, p.n}, a);
        return ret->v != NULL;
}

static struct error *select_one(const struct exemplars *x, const struct ring_series *s, TimeMs mint_ms, TimeMs maxt_ms, struct arena *arena,
                                struct exemplar_series *ret)
{
        size_t n = 0;
        for (uint32_t i = s->oldest; i != NONE && x->ring[i].t <= maxt_ms; i = x->ring[i].next)
                n += x->ring[i].t >= mint_ms;
        struct exemplar *v = arena_try_alloc(arena, arena_array_bytes(n + 1, sizeof *v));
        if (!v || !copy_labels(s->labels, arena, &ret->labels))
                return over_budget(arena);
        size_t k = 0;
        for (uint32_t i = s->oldest; i != NONE && x->ring[i].t <= maxt_ms; i = x->ring[i].next) {
                const struct place *p = &x->ring[i];
                if (p->t < mint_ms)
                        continue;
                v[k] = (struct exemplar){.value = p->value, .t = p->t, .has_t = p->has_t};
                if (!copy_labels(p->labels, arena, &v[k++].labels))
                        return over_budget(arena);
        }
        ret->v = v;
        ret->n = n;
        return NULL;
}

static int by_labels(const void *a, const void *b)
{
        return labels_cmp(((const struct exemplar_series *)a)->labels, ((const struct exemplar_series *)b)->labels);
}

struct error *exemplars_select(struct exemplars *x, TimeMs mint_ms, TimeMs maxt_ms, const struct exemplar_selector *s, size_t n_s,
                               struct arena *arena, ExemplarSeriesVec *ret)
{
        struct error *e = NULL;
        size_t from = ret->n;
        struct arena scratch;
        arena_init(&scratch, SIZE_MAX);
        rwlock_read(&x->lock);
        MAP_EACH(m, &x->series)
        {
                const struct ring_series *r = m->value;
                if (e || x->ring[r->oldest].t > maxt_ms || x->ring[r->newest].t < mint_ms)
                        continue;
                arena_clear(&scratch);
                if (!matches(unpack(r->labels, &scratch), s, n_s))
                        continue;
                struct exemplar_series one;
                e = select_one(x, r, mint_ms, maxt_ms, arena, &one);
                if (!e && one.n)
                        vec_push(ret, one);
        }
        rwlock_unlock(&x->lock);
        arena_done(&scratch);
        if (!e && ret->n - from > 1)
                qsort(ret->p + from, ret->n - from, sizeof *ret->p, by_labels);
        return e;
}

struct error *exemplars_each(struct exemplars *x, struct error *(*fn)(void *ctx, Labels series, const struct exemplar *e), void *ctx)
{
        struct error *e = NULL;
        struct arena scratch;
        arena_init(&scratch, SIZE_MAX);
        rwlock_read(&x->lock);
        for (uint32_t i = 0; !e && i < x->n; i++) {
                const struct place *p = &x->ring[(x->next + i) % x->n];
                if (!p->series)
                        continue;
                arena_clear(&scratch);
                struct exemplar one = {.labels = unpack(p->labels, &scratch), .value = p->value, .t = p->t, .has_t = p->has_t};
                e = fn(ctx, unpack(p->series->labels, &scratch), &one);
        }
        rwlock_unlock(&x->lock);
        arena_done(&scratch);
        return e;
}

void exemplars_get_stats(struct exemplars *x, struct exemplar_stats *ret)
{
        rwlock_read(&x->lock);
        *ret = (struct exemplar_stats){.max = x->n, .series = x->series.n, .appended = x->appended, .out_of_order = x->out_of_order};
        if (x->n) {
                bool full = x->ring[x->next].series != NULL;
                ret->stored = full ? x->n : x->next;
                const struct place *oldest = &x->ring[full ? x->next : 0];
                ret->oldest_ms = oldest->series ? oldest->t : 0;
        }
        rwlock_unlock(&x->lock);
}
