/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/head/ooo.h"

#include "base/file.h"
#include "storage/decode.h"
#include "tsdb/head/private.h"

/* ---- the table ---- */

void ooo_init(struct ooo *o, const char *dir, enum wal_compression compression)
{
        mutex_init(&o->mu);
        o->dir = path_join(dir, "wbl");
        o->min_ms = TIME_MS_MAX;
        o->max_ms = TIME_MS_MIN;
        o->group = 1;
        buf_init(&o->rec, BUF_NO_LIMIT);
        wal_batch_init(&o->batch, compression);
}

static void batch_clear(struct ooo_series *o)
{
        o->n = 0;
        o->is_begun = false;
        free(o->h);
        o->h = NULL;
        if (o->arena) {
                arena_done(o->arena);
                free(o->arena);
                o->arena = NULL;
        }
}

static void series_free(struct head *h, struct ooo_series *o)
{
        for (size_t i = 0; i < o->chunks.n; i++)
                if (o->chunks.p[i].is_memory)
                        slab_free(&h->slab, (void *)o->chunks.p[i].p, o->chunks.p[i].n_bytes);
        vec_done(&o->chunks);
        batch_clear(o);
        free(o->t);
        free(o->v);
        free(o);
}

void ooo_done(struct head *h)
{
        struct ooo *o = &h->ooo;
        for (size_t i = 0; i < o->cap; i++)
                if (o->table[i])
                        series_free(h, o->table[i]);
        free(o->table);
        vec_done(&o->items);
        vec_done(&o->histograms);
        wal_batch_done(&o->batch);
        buf_done(&o->rec);
        mutex_done(&o->mu);
        free(o->dir);
}

static size_t home(const struct ooo *o, uint32_t slot)
{
        return (size_t)(slot * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (o->cap - 1);
}

static size_t place(const struct ooo *o, uint32_t slot)
{
        size_t i = home(o, slot);
        while (o->table[i] && o->table[i]->slot != slot)
                i = (i + 1) & (o->cap - 1);
        return i;
}

struct ooo_series *ooo_get(struct head *h, uint32_t slot)
{
        struct ooo *o = &h->ooo;
        mutex_lock(&o->mu);
        struct ooo_series *s = o->cap ? o->table[place(o, slot)] : NULL;
        mutex_unlock(&o->mu);
        return s;
}

/* Only mu's holder adds. The bit is set under the stripe. */
static struct ooo_series *get_or_make_locked(struct head *h, uint32_t slot)
{
        struct ooo *o = &h->ooo;
        struct ooo_series *s = ooo_get(h, slot);
        if (s)
                return s;
        s = mem_new(struct ooo_series);
        s->slot = slot;
        mutex_lock(&o->mu);
        if ((o->n + 1) * 2 > o->cap) {
                struct ooo_series **old = o->table;
                size_t old_cap = o->cap;
                o->cap = old_cap ? old_cap * 2 : 64;
                o->table = mem_zalloc(o->cap * sizeof(struct ooo_series *));
                for (size_t i = 0; i < old_cap; i++)
                        if (old[i])
                                o->table[place(o, old[i]->slot)] = old[i];
                free(old);
        }
        o->table[place(o, slot)] = s;
        o->n++;
        mutex_unlock(&o->mu);
        return s;
}

static void table_remove(struct ooo *o, uint32_t slot)
{
        mutex_lock(&o->mu);
        size_t mask = o->cap - 1, hole = place(o, slot);
        for (size_t i = (hole + 1) & mask; o->table[i]; i = (i + 1) & mask) {
                if (((i - home(o, o->table[i]->slot)) & mask) >= ((i - hole) & mask)) {
                        o->table[hole] = o->table[i];
                        hole = i;
                }
        }
        o->table[hole] = NULL;
        o->n--;
        mutex_unlock(&o->mu);
}

static void widen(struct ooo *o, TimeMs mint_ms, TimeMs maxt_ms) /* mu held, so nobody else writes */
{
        if (mint_ms < load_relaxed(&o->min_ms))
                store_relaxed(&o->min_ms, mint_ms);
        if (maxt_ms > load_relaxed(&o->max_ms))
                store_relaxed(&o->max_ms, maxt_ms);
}

/* ---- batches ---- */

static struct error *encode(const struct ooo_series *o, struct arena *arena, struct chunk **ret, size_t *ret_n)
{
        if (!o->h)
                return samples_encode(o->t, o->v, o->n, arena, ret, ret_n);
        struct raw_samples raw = {.t = o->t, .v = o->v, .h = o->h, .n = o->n};
        return raw_samples_encode(&raw, arena, ret, ret_n);
}

void ooo_cut_locked(struct head *h, uint32_t slot, struct ooo_series *o)
{
        struct arena scratch;
        struct chunk *made;
        size_t n = 0;
        arena_init(&scratch, SIZE_MAX);
        if (o->n) {
                struct error *e = encode(o, &scratch, &made, &n);
                if (e)
                        bug("encoding out-of-order samples: %s", error_str(e));
        }
        struct series_slot *s = series_at(h, slot);
        struct mutex *stripe = stripe_of(h, slot);
        mutex_lock(stripe);
        for (size_t i = 0; i < n; i++) {
                uint8_t *p = slab_alloc(&h->slab, made[i].data.n);
                memcpy(p, made[i].data.p, made[i].data.n);
                vec_push(&o->chunks, (struct ooo_chunk){.p = p,
                                                        .mint_ms = made[i].mint_ms,
                                                        .maxt_ms = made[i].maxt_ms,
                                                        .number = ++h->ooo.number,
                                                        .n_bytes = (uint32_t)made[i].data.n & 0x7ffffff,
                                                        .is_memory = 1,
                                                        .encoding = (unsigned)made[i].encoding & 15});
                vec_push(&h->memory_chunks, (struct memory_chunk){slot, s->gen, p, /* is_out_of_order= */ true});
        }
        batch_clear(o);
        mutex_unlock(stripe);
        arena_done(&scratch);
}

static void batch_grow(struct ooo_series *o)
{
        if (o->n < o->cap)
                return;
        o->cap = (uint16_t)(o->cap ? MIN(o->cap * 2, OOO_CAP_MAX) : 4);
        o->t = mem_realloc_array(o->t, o->cap, sizeof *o->t);
        o->v = mem_realloc_array(o->v, o->cap, sizeof *o->v);
        if (o->h)
                o->h = mem_realloc_array(o->h, o->cap, sizeof *o->h);
}

/* Stripe held. */
static void batch_put(struct ooo_series *o, size_t at, TimeMs t, double v, struct histogram_sample x)
{
        batch_grow(o);
        if ((x.i || x.f) && !o->h) {
                o->h = mem_zalloc(o->cap * sizeof *o->h);
                o->arena = mem_new(struct arena);
                arena_init(o->arena, SIZE_MAX); /* OOO_CAP_MAX of what records and requests may hold */
        }
        memmove(o->t + at + 1, o->t + at, (o->n - at) * sizeof *o->t);
        memmove(o->v + at + 1, o->v + at, (o->n - at) * sizeof *o->v);
        o->t[at] = t;
        o->v[at] = v;
        if (o->h) {
                memmove(o->h + at + 1, o->h + at, (o->n - at) * sizeof *o->h);
                o->h[at] = (struct histogram_sample){NULL, NULL};
                if (x.i || x.f)
                        error_ignore(histogram_sample_dup(o->arena, x, &o->h[at]), "this arena has no limit");
        }
        o->n++;
}

bool ooo_insert_locked(struct head *h, uint32_t slot, TimeMs t, double v, struct histogram_sample x)
{
        struct ooo *all = &h->ooo;
        struct ooo_series *o = get_or_make_locked(h, slot);
        struct series_slot *s = series_at(h, slot);
        if (!o->is_begun || o->n == OOO_CAP_MAX) {
                uint64_t from = all->number;
                ooo_cut_locked(h, slot, o);
                /* What the log says of this series before the mark is not to be mixed with what comes after. */
                if (all->group == o->group)
                        all->group++;
                vec_push(&all->items, (struct ooo_item){.slot = slot,
                                                        .group = all->group,
                                                        .is_mark = true,
                                                        .number_from = from,
                                                        .number_to = all->number});
                h->stats.chunks_created++;
        }
        struct mutex *stripe = stripe_of(h, slot);
        mutex_lock(stripe);
        o->is_begun = true;
        s->open_flags |= OPEN_HAS_OOO;
        size_t at = o->n;
        while (at > 0 && o->t[at - 1] >= t)
                at--;
        bool is_new = at == o->n || o->t[at] != t;
        if (is_new)
                batch_put(o, at, t, v, x);
        mutex_unlock(stripe);
        if (!is_new)
                return false;
        o->group = all->group;
        vec_push(&all->items, (struct ooo_item){.slot = slot, .group = all->group, .t = t, .v = v, .h = x});
        widen(all, t, t);
        return true;
}

void ooo_forget_items_locked(struct head *h)
{
        vec_clear(&h->ooo.items);
        h->ooo.group++;
}

static void batch_remove(struct ooo_series *o, size_t at)
{
        size_t behind = o->n - at - 1;
        memmove(o->t + at, o->t + at + 1, behind * sizeof *o->t);
        memmove(o->v + at, o->v + at + 1, behind * sizeof *o->v);
        if (o->h)
                memmove(o->h + at, o->h + at + 1, behind * sizeof *o->h);
        o->n--;
}

static void batch_remove_all_of(struct ooo_series *o, const struct ooo_chunk *c)
{
        struct chunk one = {.mint_ms = c->mint_ms,
                            .maxt_ms = c->maxt_ms,
                            .encoding = (enum chunk_encoding)c->encoding,
                            .data = {(const char *)c->p, c->n_bytes}};
        struct series s = {.chunks = &one, .n_chunks = 1};
        struct mixed in = {.n = 0};
        struct arena arena;
        arena_init(&arena, SIZE_MAX);
        error_ignore(series_decode_mixed(&s, TIME_MS_MIN, TIME_MS_MAX, &arena, &in), "then the log's samples are kept");
        size_t at = 0;
        for (size_t i = 0; i < in.n && at < o->n;) {
                if (in.t[i] < o->t[at])
                        i++;
                else if (in.t[i] > o->t[at])
                        at++;
                else
                        batch_remove(o, at);
        }
        arena_done(&arena);
}

/* Only samples that a chunk really has are dropped: files that were removed as damaged leave their numbers to others, and a mark
 * may be older than the chunk that has its reference now, or name one that was made again under another. */
void ooo_mark(struct head *h, uint32_t slot, uint64_t chunk_ref)
{
        struct ooo_series *o = ooo_get(h, slot);
        if (!o || !o->is_begun)
                return;
        size_t k = o->chunks.n;
        while (chunk_ref && k > 0 && o->chunks.p[k - 1].ref != chunk_ref)
                k--;
        if (chunk_ref && k)
                batch_remove_all_of(o, &o->chunks.p[k - 1]);
        for (size_t i = 0; chunk_ref && !k && o->n && i < o->chunks.n; i++)
                if (o->chunks.p[i].mint_ms <= o->t[o->n - 1] && o->chunks.p[i].maxt_ms >= o->t[0])
                        batch_remove_all_of(o, &o->chunks.p[i]);
        if (chunk_ref && o->n)
                return;
        h->stats.chunks_created--; /* counted when its chunk was attached */
        batch_clear(o);
}

void ooo_attach(struct head *h, uint32_t slot, const struct chunk *c)
{
        struct ooo_series *o = get_or_make_locked(h, slot);
        vec_push(&o->chunks, (struct ooo_chunk){.p = (const uint8_t *)c->data.p,
                                                .mint_ms = c->mint_ms,
                                                .maxt_ms = c->maxt_ms,
                                                .number = ++h->ooo.number,
                                                .ref = c->ref,
                                                .n_bytes = (uint32_t)c->data.n & 0x7ffffff,
                                                .encoding = (unsigned)c->encoding & 15});
        series_at(h, slot)->open_flags |= OPEN_HAS_OOO;
        h->stats.chunks_created++;
        widen(&h->ooo, c->mint_ms, c->maxt_ms);
}

void ooo_range(const struct ooo_series *o, TimeMs *min_ms, TimeMs *max_ms)
{
        for (size_t i = 0; i < o->chunks.n; i++) {
                *min_ms = MIN(*min_ms, o->chunks.p[i].mint_ms);
                *max_ms = MAX(*max_ms, o->chunks.p[i].maxt_ms);
        }
        if (o->n) {
                *min_ms = MIN(*min_ms, o->t[0]);
                *max_ms = MAX(*max_ms, o->t[o->n - 1]);
        }
}

bool ooo_truncate_locked(struct head *h, uint32_t slot)
{
        struct ooo_series *o = ooo_get(h, slot);
        size_t n = 0;
        while (n < o->chunks.n && o->chunks.p[n].number <= h->ooo.gone) {
                if (o->chunks.p[n].is_memory)
                        slab_free(&h->slab, (void *)o->chunks.p[n].p, o->chunks.p[n].n_bytes);
                n++;
        }
        o->chunks.n -= n;
        if (n)
                memmove(o->chunks.p, o->chunks.p + n, o->chunks.n * sizeof *o->chunks.p);
        h->stats.chunks_removed += n;
        if (o->chunks.n || o->n)
                return true;
        h->stats.chunks_removed += o->is_begun;
        series_at(h, slot)->open_flags &= (uint8_t)~OPEN_HAS_OOO;
        table_remove(&h->ooo, slot);
        series_free(h, o);
        return false;
}

/* ---- the log ---- */

static struct error *put_histograms(struct head *h)
{
        static const enum record_type types[] = {RECORD_HISTOGRAMS, RECORD_CUSTOM_HISTOGRAMS, RECORD_FLOAT_HISTOGRAMS,
                                                 RECORD_CUSTOM_FLOAT_HISTOGRAMS};
        struct ooo *o = &h->ooo;
        struct error *e = NULL;
        for (size_t k = 0; !e && o->histograms.n && k < ARRAY_LEN(types); k++) {
                buf_clear(&o->rec);
                if (record_histograms_put(&o->rec, types[k], o->histograms.p, o->histograms.n))
                        e = wal_batch_add(&o->batch, buf_str(&o->rec));
        }
        return e;
}

static void put_mark(struct head *h, uint32_t slot, uint64_t chunk_ref, bool *any)
{
        struct record_marker m = {.ref = series_at(h, slot)->wal_ref, .chunk_ref = chunk_ref};
        struct buf one = BUF_INIT(64);
        record_markers(&one, &m, 1);
        buf_put(&h->ooo.rec, *any ? str_skip(buf_str(&one), 1) : buf_str(&one));
        *any = true;
        buf_done(&one);
}

/* What the log has of a series so far is in these chunks. Nothing is said while one of them has not reached the files: then a
 * replay takes what the log has, and some of it is there twice. A batch that begins behind chunks which a compaction had made
 * names the last of these, so that here too the log counts when the files are lost. */
static void put_marks(struct head *h, const struct ooo_item *x, bool *any)
{
        const struct ooo_series *s = ooo_get(h, x->slot);
        size_t from = 0, to = 0;
        for (size_t i = 0; i < s->chunks.n; i++) {
                if (s->chunks.p[i].number > x->number_to)
                        break;
                if (!s->chunks.p[i].ref)
                        return;
                from += s->chunks.p[i].number <= x->number_from;
                to = i + 1;
        }
        if (x->number_from == x->number_to)
                put_mark(h, x->slot, to ? s->chunks.p[to - 1].ref : 0, any);
        for (size_t i = from; i < to; i++)
                put_mark(h, x->slot, s->chunks.p[i].ref, any);
}

/* Marks, then floats, then histograms of one group. */
static struct error *put_group(struct head *h, size_t from, size_t to)
{
        struct ooo *o = &h->ooo;
        struct error *e = NULL;
        bool any = false;
        buf_clear(&o->rec);
        for (size_t i = from; i < to; i++)
                if (o->items.p[i].is_mark)
                        put_marks(h, &o->items.p[i], &any);
        if (any)
                e = wal_batch_add(&o->batch, buf_str(&o->rec));
        struct samples_encoder enc;
        any = false;
        buf_clear(&o->rec);
        vec_clear(&o->histograms);
        for (size_t i = from; i < to; i++) {
                const struct ooo_item *x = &o->items.p[i];
                if (x->is_mark)
                        continue;
                uint64_t ref = series_at(h, x->slot)->wal_ref;
                if (x->h.i || x->h.f) {
                        vec_push(&o->histograms, (struct record_histogram){.ref = ref, .t = x->t, .h = x->h});
                        continue;
                }
                if (!any)
                        enc = record_samples_begin(&o->rec, ref, x->t);
                any = true;
                record_samples_add(&enc, &o->rec, ref, x->t, x->v);
        }
        if (!e && any)
                e = wal_batch_add(&o->batch, buf_str(&o->rec));
        return e ? e : put_histograms(h);
}

/* The log refused. What is in no chunk yet goes again: a writer that tries once more would else be told that it is there, and a
 * crash would take it. */
static void take_back(struct head *h)
{
        for (size_t i = 0; i < h->ooo.items.n; i++) {
                const struct ooo_item *x = &h->ooo.items.p[i];
                struct ooo_series *o = x->is_mark ? NULL : ooo_get(h, x->slot);
                if (!o)
                        continue;
                struct mutex *stripe = stripe_of(h, x->slot);
                mutex_lock(stripe);
                size_t at = 0;
                while (at < o->n && o->t[at] != x->t)
                        at++;
                if (at < o->n)
                        batch_remove(o, at);
                mutex_unlock(stripe);
        }
}

struct error *ooo_log_locked(struct head *h)
{
        struct ooo *o = &h->ooo;
        struct error *e = NULL;
        wal_batch_clear(&o->batch);
        for (size_t i = 0, to; !e && i < o->items.n; i = to) {
                for (to = i + 1; to < o->items.n && o->items.p[to].group == o->items.p[i].group; to++)
                        ;
                e = put_group(h, i, to);
        }
        if (!e && o->wal && o->items.n)
                e = wal_log(o->wal, &o->batch);
        if (e)
                take_back(h);
        ooo_forget_items_locked(h);
        return e ? error_wrap(e, "log out of order samples") : NULL;
}

/* ---- reading ---- */

size_t ooo_chunks_max(const struct ooo_series *o)
{
        return o->chunks.n + o->n;
}

static struct error *no_memory(const struct arena *a)
{
        return error_new(ERROR_LIMIT, "memory limit of %zu bytes reached while selecting series", a->limit_bytes);
}

struct error *ooo_chunks_copy(const struct ooo_series *o, TimeMs mint_ms, TimeMs maxt_ms, uint64_t upto, uint64_t ref,
                              struct arena *arena, struct chunk *out, size_t *ret_n)
{
        size_t n = 0;
        for (size_t i = 0; i < o->chunks.n; i++) {
                const struct ooo_chunk *c = &o->chunks.p[i];
                if (c->mint_ms > maxt_ms || c->maxt_ms < mint_ms || (upto && c->number > upto))
                        continue;
                const char *p = (const char *)c->p;
                if (c->is_memory) {
                        char *copy = arena_try_alloc(arena, c->n_bytes);
                        if (!copy)
                                return no_memory(arena);
                        memcpy(copy, p, c->n_bytes);
                        p = copy;
                }
                out[n++] = (struct chunk){.mint_ms = c->mint_ms,
                                          .maxt_ms = c->maxt_ms,
                                          .encoding = (enum chunk_encoding)c->encoding,
                                          .data = {p, c->n_bytes},
                                          .ref = ref | i};
        }
        if (!upto && o->n && o->t[0] <= maxt_ms && o->t[o->n - 1] >= mint_ms) {
                struct chunk *made;
                size_t n_made;
                struct error *e = encode(o, arena, &made, &n_made);
                if (e)
                        return e;
                for (size_t i = 0; i < n_made; i++) {
                        made[i].ref = ref | (o->chunks.n + i);
                        out[n++] = made[i];
                }
        }
        for (size_t i = 1; i < n; i++) { /* nearly in order */
                struct chunk c = out[i];
                size_t k = i;
                for (; k > 0 && out[k - 1].mint_ms > c.mint_ms; k--)
                        out[k] = out[k - 1];
                out[k] = c;
        }
        *ret_n = n;
        return NULL;
}

uint64_t ooo_bytes(struct head *h)
{
        struct ooo *o = &h->ooo;
        uint64_t n = o->cap * sizeof(struct ooo_series *);
        for (size_t i = 0; i < o->cap; i++) {
                const struct ooo_series *s = o->table[i];
                if (s)
                        n += sizeof *s + s->chunks.cap * sizeof *s->chunks.p +
                             s->cap * (sizeof *s->t + sizeof *s->v + (s->h ? sizeof *s->h : 0)) +
                             (s->arena ? s->arena->used_bytes : 0);
        }
        return n;
}
