/* SPDX-License-Identifier: Apache-2.0 */
/* Series: finding, making, removing them; their chunks growing and being cut.  Upstream: tsdb/head_append.go,
 * computeChunkEndTime. */
#include <math.h>
#include <sys/mman.h>

#include "base/float_bits.h"
#include "tsdb/head/private.h"

/* ---- the table ---- */

/* An entry is slot + 1 and four bits of the hash: most series that are not meant are not even looked at. Two series have
 * the same labels when their pairs have the same numbers, and that is what is hashed. */
enum { TABLE_SLOT_BITS = 28 };
_Static_assert((uint64_t)HEAD_PAGES_MAX * HEAD_PAGE_SLOTS < UINT32_C(1) << TABLE_SLOT_BITS, "a slot + 1 fits an entry");
#define TABLE_SLOT_MASK ((UINT32_C(1) << TABLE_SLOT_BITS) - 1)

static uint32_t pairs_hash(const uint32_t *pairs, size_t n)
{
        uint64_t h = n;
        for (size_t i = 0; i < n; i++) {
                h = (h ^ pairs[i]) * UINT64_C(0x9e3779b97f4a7c15);
                h ^= h >> 32;
        }
        return (uint32_t)h;
}

static inline uint32_t table_entry(uint32_t slot, uint32_t hash)
{
        return (slot + 1) | (hash & ~TABLE_SLOT_MASK);
}

static inline uint32_t entry_slot(uint32_t entry)
{
        return (entry & TABLE_SLOT_MASK) - 1;
}

static uint32_t table_find(const struct head *h, const uint32_t *pairs, size_t n, uint32_t hash)
{
        if (!h->table_cap)
                return UINT32_MAX;
        uint32_t mask = h->table_cap - 1;
        for (uint32_t i = hash & mask; h->table[i]; i = (i + 1) & mask) {
                if ((h->table[i] ^ hash) & ~TABLE_SLOT_MASK)
                        continue;
                const struct series_slot *s = series_at(h, entry_slot(h->table[i]));
                if (s->hash == hash && s->n_pairs == n && memcmp(s->pairs, pairs, n * sizeof *pairs) == 0)
                        return entry_slot(h->table[i]);
        }
        return UINT32_MAX;
}

enum { PAIRS_ON_STACK = 64 };
uint32_t series_find(const struct head *h, Labels ls)
{
        uint32_t stack[PAIRS_ON_STACK], *pairs = ls.n <= ARRAY_LEN(stack) ? stack : mem_alloc(ls.n * sizeof *pairs);
        uint32_t slot = UINT32_MAX;
        if (pairs_find(&h->index, ls, pairs))
                slot = table_find(h, pairs, ls.n, pairs_hash(pairs, ls.n));
        if (pairs != stack)
                free(pairs);
        return slot;
}

static void table_put(struct head *h, uint32_t slot, uint32_t hash)
{
        uint32_t mask = h->table_cap - 1, i = hash & mask;
        while (h->table[i])
                i = (i + 1) & mask;
        h->table[i] = table_entry(slot, hash);
}

static void table_grow(struct head *h)
{
        free(h->table);
        h->table_cap = h->table_cap ? h->table_cap * 2 : 1024;
        h->table = mem_zalloc((size_t)h->table_cap * sizeof *h->table);
        for (uint32_t slot = 0; slot < h->n_slots; slot++) {
                const struct series_slot *s = series_at(h, slot);
                if (s->pairs)
                        table_put(h, slot, s->hash);
        }
}

static void table_remove(struct head *h, uint32_t slot)
{
        uint32_t mask = h->table_cap - 1, hole = series_at(h, slot)->hash & mask;
        while (entry_slot(h->table[hole]) != slot)
                hole = (hole + 1) & mask;
        for (uint32_t i = (hole + 1) & mask; h->table[i]; i = (i + 1) & mask) {
                uint32_t home = series_at(h, entry_slot(h->table[i]))->hash & mask;
                if (((i - home) & mask) >= ((i - hole) & mask)) {
                        h->table[hole] = h->table[i];
                        hole = i;
                }
        }
        h->table[hole] = 0;
}

/* ---- making and removing ---- */

static uint32_t slot_take(struct head *h)
{
        if (h->free_slots.n)
                return vec_pop(&h->free_slots);
        uint32_t slot = h->n_slots++, page = slot / HEAD_PAGE_SLOTS;
        if (page >= HEAD_PAGES_MAX)
                bug("more than %d series slots", HEAD_PAGES_MAX * HEAD_PAGE_SLOTS);
        if (slot % HEAD_PAGE_SLOTS == 0) {
                struct series_slot *p = mem_zalloc(HEAD_PAGE_SLOTS * sizeof *p);
                for (size_t i = 0; i < HEAD_PAGE_SLOTS; i++)
                        p[i].pending = SERIES_DEAD;
                __atomic_store_n(&h->pages[page], p, __ATOMIC_RELEASE);
        }
        return slot;
}

static uint32_t series_make(struct head *h, struct series_writer *w, const uint32_t *pairs, size_t n, uint32_t hash,
                            uint64_t wal_ref)
{
        if ((load_relaxed(&h->n_series) + 1) * 4 > (uint64_t)h->table_cap * 3)
                table_grow(h);
        uint32_t slot = slot_take(h);
        struct series_slot *s = series_at(h, slot);
        struct mutex *stripe = stripe_of(h, slot);
        mutex_lock(stripe);
        s->wal_ref = wal_ref ? wal_ref : __atomic_fetch_add(&h->next_wal_ref, 1, __ATOMIC_RELAXED);
        store_relaxed(&s->last_t, TIME_MS_MIN);
        store_relaxed(&s->last_v, 0);
        s->open = NULL;
        s->full = NULL;
        s->n_full = s->cap_full = s->cap_open = 0;
        s->flags = wal_ref ? SERIES_LOGGED : 0;
        s->open_flags = 0;
        s->newest = 0;
        uint32_t applied = load_relaxed(&h->applied);
        for (size_t i = 0; i < HEAD_ISOLATED; i++)
                s->commits[i] = applied;
        s->n_pairs = (uint16_t)n;
        s->hash = hash;
        s->pairs = writer_alloc(w, h, n * sizeof *s->pairs);
        memcpy(s->pairs, pairs, n * sizeof *s->pairs);
        __atomic_store_n(&s->gen, s->gen + 1, __ATOMIC_SEQ_CST);
        __atomic_fetch_sub(&s->pending, SERIES_DEAD, __ATOMIC_SEQ_CST);
        mutex_unlock(stripe);
        pairs_add(&h->index, slot, pairs, n);
        table_put(h, slot, hash);
        h->n_made++;
        __atomic_fetch_add(&h->n_series, 1, __ATOMIC_RELAXED);
        return slot;
}

uint32_t series_get_or_make_locked(struct head *h, struct series_writer *w, Labels ls, Labels like,
                                   const uint32_t *like_pairs, uint32_t *pairs, uint64_t wal_ref, bool *ret_made)
{
        bool is_new = pairs_make(&h->index, ls, like, like_pairs, pairs);
        uint32_t hash = pairs_hash(pairs, ls.n);
        /* gc marks and removes under the write lock, so what is found now is alive. */
        uint32_t slot = is_new ? UINT32_MAX : table_find(h, pairs, ls.n, hash);
        *ret_made = slot == UINT32_MAX;
        return slot == UINT32_MAX ? series_make(h, w, pairs, ls.n, hash, wal_ref) : slot;
}

uint32_t series_get_or_make(struct head *h, Labels ls, uint64_t wal_ref, bool pin, bool *ret_made)
{
        *ret_made = false;
        rwlock_read(&h->index_lock);
        uint32_t slot = series_find(h, ls);
        bool ok = slot != UINT32_MAX && (!pin || series_pin(h, slot, load_relaxed(&series_at(h, slot)->gen)));
        rwlock_unlock(&h->index_lock);
        if (ok)
                return slot;
        uint32_t stack[PAIRS_ON_STACK], *pairs = ls.n <= ARRAY_LEN(stack) ? stack : mem_alloc(ls.n * sizeof *pairs);
        struct series_writer w = {.slab = NULL};
        rwlock_write(&h->index_lock);
        slot = series_get_or_make_locked(h, &w, ls, (Labels){NULL, 0}, NULL, pairs, wal_ref, ret_made);
        if (pin)
                __atomic_fetch_add(&series_at(h, slot)->pending, 1, __ATOMIC_SEQ_CST);
        rwlock_unlock(&h->index_lock);
        if (pairs != stack)
                free(pairs);
        return slot;
}

bool series_pin(struct head *h, uint32_t slot, uint32_t gen)
{
        struct series_slot *s = series_at(h, slot);
        /* Counted first, looked at then: gc looks at the count first, so one of the two sees the other. */
        uint32_t before = __atomic_fetch_add(&s->pending, 1, __ATOMIC_SEQ_CST);
        if (!(before & SERIES_DEAD) && __atomic_load_n(&s->gen, __ATOMIC_SEQ_CST) == gen)
                return true;
        series_unpin(h, slot);
        return false;
}

void series_unpin(struct head *h, uint32_t slot)
{
        __atomic_fetch_sub(&series_at(h, slot)->pending, 1, __ATOMIC_SEQ_CST);
}

void series_drop_open(struct series_writer *w, struct head *h, struct series_slot *s)
{
        if (s->open_flags & OPEN_HISTOGRAM)
                histogram_chunk_free(series_histogram(s));
        else
                writer_free(w, h, s->open, s->cap_open);
        s->open_flags &= (uint8_t)~OPEN_HISTOGRAM;
        s->open = NULL;
        s->cap_open = 0;
}

void series_remove_locked(struct head *h, uint32_t slot)
{
        struct series_slot *s = series_at(h, slot);
        table_remove(h, slot);
        pairs_remove(&h->index, slot, s->pairs, s->n_pairs);
        slab_free(&h->slab, s->pairs, s->n_pairs * sizeof *s->pairs);
        s->pairs = NULL;
        s->n_pairs = 0;
        struct mutex *stripe = stripe_of(h, slot);
        mutex_lock(stripe);
        series_drop_open_locked(h, s);
        slab_free(&h->slab, s->full, s->cap_full * sizeof *s->full);
        s->full = NULL;
        s->n_full = s->cap_full = 0;
        __atomic_store_n(&s->gen, s->gen + 1, __ATOMIC_SEQ_CST);
        mutex_unlock(stripe);
        vec_push(&h->free_slots, slot);
        __atomic_fetch_sub(&h->n_series, 1, __ATOMIC_RELAXED);
}

Labels series_labels(const struct head *h, const struct series_slot *s, struct arena *a)
{
        Label *v = arena_try_alloc(a, arena_array_bytes(s->n_pairs ? s->n_pairs : 1, sizeof *v));
        for (size_t i = 0; v && i < s->n_pairs; i++)
                v[i] = (Label){pair_name(&h->index, s->pairs[i]), pair_value(&h->index, s->pairs[i])};
        return (Labels){v, s->n_pairs};
}

/* ---- chunks ---- */

void series_full_push(struct series_writer *w, struct head *h, struct series_slot *s, struct full_chunk c)
{
        if (s->n_full == UINT16_MAX)
                bug("too many chunks in a series of the head");
        if (s->n_full == s->cap_full) {
                uint16_t cap = (uint16_t)MIN(s->cap_full ? s->cap_full + s->cap_full / 2 + 1 : 2, UINT16_MAX);
                struct full_chunk *v = writer_alloc(w, h, cap * sizeof *v);
                if (s->n_full)
                        memcpy(v, s->full, s->n_full * sizeof *v);
                writer_free(w, h, s->full, s->cap_full * sizeof *v);
                s->full = v;
                s->cap_full = cap;
        }
        s->full[s->n_full++] = c;
}

/* The open chunk's bytes become a full one in memory; the next flush takes it to the file. */
void series_chunk_keep(struct series_writer *w, struct head *h, uint32_t slot, struct series_slot *s)
{
        Str data = series_open_data(s);
        size_t n = data.n;
        uint8_t *p = writer_alloc(w, h, n);
        memcpy(p, data.p, n);
        series_full_push(w, h, s,
                         (struct full_chunk){.p = p,
                                             .mint_ms = s->open_mint_ms,
                                             .span_ms = (uint32_t)(s->app.t - s->open_mint_ms),
                                             .n_bytes = (uint32_t)n & 0x7ffffff,
                                             .is_memory = 1,
                                             .encoding = (unsigned)series_open_encoding(s) & 15});
        vec_push(w->full, (struct memory_chunk){slot, s->gen, p, /* is_out_of_order= */ false});
}

void series_chunk_finish(struct series_writer *w, struct head *h, uint32_t slot, struct series_slot *s)
{
        series_chunk_keep(w, h, slot, s);
        series_drop_open(w, h, s);
}

TimeMs series_range_end(TimeMs t, int64_t width)
{
        int64_t r = t % width;
        if (r < 0)
                r += width;
        return t - r > TIME_MS_MAX - width ? TIME_MS_MAX : t - r + width;
}

TimeMs series_chunk_end_time(TimeMs start, TimeMs cur, TimeMs max, double ratio_to_full)
{
        double n = (double)(max - start) / ((double)(cur - start + 1) * ratio_to_full);
        if (n <= 1)
                return max;
        return (TimeMs)((double)start + (double)(max - start) / floor(n));
}

static void chunk_start(struct series_writer *w, struct head *h, struct series_slot *s, TimeMs t)
{
        s->cap_open = 32;
        s->open = writer_alloc(w, h, s->cap_open);
        xor_appender_init(&s->app, s->open);
        s->open_mint_ms = t;
        s->next_at_ms = series_range_end(t, h->opts.chunk_range_ms);
        ++*w->chunks_created;
}

void series_chunk_restore(struct series_writer *w, struct head *h, struct series_slot *s, const struct chunk *c,
                      uint64_t last_v)
{
        s->cap_open = (uint16_t)MAX((c->data.n + 31) / 32 * 32, (size_t)32);
        s->open = writer_alloc(w, h, s->cap_open);
        memcpy(s->open, c->data.p, c->data.n);
        s->open_mint_ms = c->mint_ms;
        s->app = (struct xor_appender){.t = c->maxt_ms, .v_bits = last_v, .n_bits = (uint32_t)c->data.n * 8};
        ++*w->chunks_created;
        series_note_locked(s, c->maxt_ms, last_v, 0);
}

struct error *series_chunk_continue(struct head *h, struct series_slot *s)
{
        struct xor_appender app;
        struct error *e = xor_appender_open(&app, (Str){(const char *)s->open, s->app.n_bits / 8});
        if (e)
                return e;
        if (app.n == 0 || app.t != s->app.t)
                return error_new(ERROR_CORRUPT, "chunk does not end with its last sample");
        s->app = app;
        s->next_at_ms = series_range_end(s->open_mint_ms, h->opts.chunk_range_ms);
        int quarter = h->samples_per_chunk / 4;
        if (app.n > quarter && quarter > 0) { /* samples come evenly: when had it a quarter of them? */
                TimeMs then = s->open_mint_ms +
                              (TimeMs)((double)(app.t - s->open_mint_ms) * (double)(quarter - 1) / (double)(app.n - 1));
                s->next_at_ms = series_chunk_end_time(s->open_mint_ms, then, s->next_at_ms, 4);
        }
        return NULL;
}

bool series_append_by(struct series_writer *w, struct head *h, uint32_t slot, struct series_slot *s, TimeMs t,
                      double v, uint32_t commit)
{
        if (load_relaxed(&s->last_t) >= t && (s->open || s->n_full))
                return false;
        if (UNLIKELY(s->open_flags & OPEN_HISTOGRAM))
                series_chunk_finish(w, h, slot, s);
        if (s->open) {
                int n = s->app.n;
                if (n == h->samples_per_chunk / 4)
                        s->next_at_ms = series_chunk_end_time(s->open_mint_ms, s->app.t, s->next_at_ms, 4);
                if (xor_bytes(&s->app) > CHUNK_BYTES_MAX || t >= s->next_at_ms || n >= h->samples_per_chunk * 2 ||
                    (uint64_t)t - (uint64_t)s->open_mint_ms > UINT32_MAX)
                        series_chunk_finish(w, h, slot, s);
        }
        if (!s->open)
                chunk_start(w, h, s, t);
        while (!xor_append(&s->app, s->open, s->cap_open, t, v)) {
                uint16_t cap = (uint16_t)(s->cap_open < 128 ? s->cap_open * 2
                                                            : s->cap_open + (s->cap_open / 4 + 31) / 32 * 32);
                uint8_t *p = writer_alloc(w, h, cap);
                memcpy(p, s->open, xor_bytes(&s->app));
                writer_free(w, h, s->open, s->cap_open);
                s->open = p;
                s->cap_open = cap;
        }
        series_note_locked(s, t, float_bits(v), commit);
        return true;
}

/* Finds the chunk whose bytes are at p; NULL: it went with its series or a truncation. */
static struct full_chunk *memory_chunk_find(struct head *h, const struct memory_chunk *m)
{
        struct series_slot *s = series_at(h, m->slot);
        if (s->gen != m->gen)
                return NULL;
        for (size_t i = s->n_full; i-- > 0;)
                if (s->full[i].p == m->p)
                        return &s->full[i];
        return NULL;
}

static struct ooo_chunk *ooo_chunk_find(struct head *h, const struct memory_chunk *m)
{
        struct ooo_series *s = series_at(h, m->slot)->gen == m->gen ? ooo_get(h, m->slot) : NULL;
        for (size_t i = s ? s->chunks.n : 0; i-- > 0;)
                if (s->chunks.p[i].p == m->p)
                        return &s->chunks.p[i];
        return NULL;
}

struct moved_chunk {
        const uint8_t *p; /* NULL: it is gone */
        uint64_t ref;
};

/* Only writers change series' chunks, and that is us. */
static struct error *memory_chunk_put(struct head *h, const struct memory_chunk *m, struct moved_chunk *ret)
{
        struct mapper_chunk c = {.series_ref = series_at(h, m->slot)->wal_ref, .is_out_of_order = m->is_out_of_order};
        if (m->is_out_of_order) {
                const struct ooo_chunk *o = ooo_chunk_find(h, m);
                if (!o)
                        return NULL;
                c.chunk = (struct chunk){.mint_ms = o->mint_ms,
                                         .maxt_ms = o->maxt_ms,
                                         .encoding = (enum chunk_encoding)o->encoding,
                                         .data = {(const char *)o->p, o->n_bytes}};
        } else {
                const struct full_chunk *f = memory_chunk_find(h, m);
                if (!f)
                        return NULL;
                c.chunk = (struct chunk){.mint_ms = f->mint_ms,
                                         .maxt_ms = f->mint_ms + f->span_ms,
                                         .encoding = (enum chunk_encoding)f->encoding,
                                         .data = {(const char *)f->p, f->n_bytes}};
        }
        return mapper_put(h->mapper, &c, &ret->p, &ret->ref);
}

static void memory_chunk_moved(struct head *h, const struct memory_chunk *m, struct moved_chunk to)
{
        struct mutex *stripe = stripe_of(h, m->slot);
        size_t n = 0;
        mutex_lock(stripe);
        if (m->is_out_of_order) {
                struct ooo_chunk *o = ooo_chunk_find(h, m);
                if (o) {
                        n = o->n_bytes;
                        o->p = to.p;
                        o->ref = to.ref;
                        o->is_memory = 0;
                }
        } else {
                struct full_chunk *f = memory_chunk_find(h, m);
                if (f) {
                        n = f->n_bytes;
                        f->p = to.p;
                        f->is_memory = 0;
                }
        }
        mutex_unlock(stripe);
        if (n)
                slab_free(&h->slab, (void *)m->p, n);
}

struct error *head_flush_chunks_locked(struct head *h)
{
        if (!h->memory_chunks.n || !h->mapper)
                return NULL;
        VEC(struct moved_chunk) to = VEC_INIT;
        struct error *e = NULL;
        uint64_t durable = mapper_durable(h->mapper);
        for (size_t i = 0; !e && i < h->memory_chunks.n; i++) {
                struct moved_chunk moved = {.p = NULL};
                e = memory_chunk_put(h, &h->memory_chunks.p[i], &moved);
                vec_push(&to, moved);
        }
        if (!e)
                e = mapper_flush(h->mapper);
        durable = mapper_durable(h->mapper) - durable;
        size_t i = 0;
        for (; i < to.n; i++) {
                if (!to.p[i].p && e)
                        break;
                if (to.p[i].p && durable-- == 0)
                        break;
                memory_chunk_moved(h, &h->memory_chunks.p[i], to.p[i]);
        }
        h->memory_chunks.n -= i;
        if (i)
                memmove(h->memory_chunks.p, h->memory_chunks.p + i, h->memory_chunks.n * sizeof *h->memory_chunks.p);
        vec_done(&to);
        return e;
}

/* ---- shared small things ---- */

void head_widen(struct head *h, TimeMs mint_ms, TimeMs maxt_ms)
{
        TimeMs old = load_relaxed(&h->min_ms);
        while (mint_ms < old &&
               !__atomic_compare_exchange_n(&h->min_ms, &old, mint_ms, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
                ;
        old = load_relaxed(&h->max_ms);
        while (maxt_ms > old &&
               !__atomic_compare_exchange_n(&h->max_ms, &old, maxt_ms, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
                ;
}

void head_retire(struct head *h, void *p, size_t n, bool is_map)
{
        mutex_lock(&h->retired_mu);
        vec_push(&h->retired, (struct retired){p, n, is_map, h->next_querier});
        mutex_unlock(&h->retired_mu);
}

void head_free_retired(struct head *h)
{
        mutex_lock(&h->retired_mu);
        uint64_t oldest = UINT64_MAX;
        if (!list_is_empty(&h->queriers))
                oldest = CONTAINER_OF(h->queriers.next, struct head_querier, link)->number;
        size_t n = 0;
        for (; n < h->retired.n && h->retired.p[n].querier <= oldest; n++) {
                struct retired r = h->retired.p[n];
                if (r.is_map)
                        munmap(r.p, r.n);
                else
                        slab_free(&h->slab, r.p, r.n);
        }
        h->retired.n -= n;
        if (n)
                memmove(h->retired.p, h->retired.p + n, h->retired.n * sizeof *h->retired.p);
        mutex_unlock(&h->retired_mu);
}
