/* SPDX-License-Identifier: Apache-2.0 */
/* Forgetting: truncation after a block was cut, gc of series, the log's checkpoint, deletions.  Upstream: tsdb/head.go,
 * truncateMemory, truncateWAL. */
#include <limits.h>
#include <stdlib.h>

#include "base/log.h"
#include "tsdb/head/private.h"
#include "tsdb/head/snapshot.h"
#include "tsdb/wal/checkpoint.h"
#include "tsdb/wal/record.h"

/* Drops what ends before mint. False: no chunk is left. */
static bool chunks_truncate_locked(struct head *h, uint32_t slot, struct series_slot *s, TimeMs mint_ms)
{
        size_t n = 0;
        while (n < s->n_full && s->full[n].mint_ms + s->full[n].span_ms < mint_ms) {
                if (s->full[n].is_memory)
                        slab_free(&h->slab, (void *)s->full[n].p, s->full[n].n_bytes);
                n++;
        }
        if (n) {
                s->n_full = (uint16_t)(s->n_full - n);
                memmove(s->full, s->full + n, s->n_full * sizeof *s->full);
                h->stats.chunks_removed += n;
        }
        if (s->open && s->app.t < mint_ms) {
                series_drop_open_locked(h, s);
                h->stats.chunks_removed++;
        }
        bool any = s->n_full || s->open;
        if (!any) /* what a series without samples in order gets next is in order */
                store_relaxed(&s->last_t, TIME_MS_MIN);
        return (s->open_flags & OPEN_HAS_OOO && ooo_truncate_locked(h, slot)) || any;
}

/* What is left of a series, for the head's bounds and its chunk files. */
struct left {
        TimeMs oldest, ooo_min, ooo_max;
        int min_seq;
};
static void see_left_locked(struct head *h, uint32_t slot, const struct series_slot *s, struct left *l)
{
        if (s->n_full || s->open)
                l->oldest = MIN(l->oldest, s->n_full ? s->full[0].mint_ms : s->open_mint_ms);
        for (size_t k = 0; h->mapper && k < s->n_full; k++) {
                if (s->full[k].is_memory)
                        continue;
                l->min_seq = MIN(l->min_seq, mapper_seq_of(h->mapper, s->full[k].p));
                break;
        }
        if (!(s->open_flags & OPEN_HAS_OOO))
                return;
        const struct ooo_series *o = ooo_get(h, slot);
        ooo_range(o, &l->ooo_min, &l->ooo_max);
        for (size_t k = 0; k < o->chunks.n; k++)
                if (o->chunks.p[k].ref)
                        l->min_seq = MIN(l->min_seq, (int)(o->chunks.p[k].ref >> 32));
}

static void tombstones_gc(struct head *h, TimeMs mint_ms)
{
        size_t n = 0;
        for (size_t i = 0; i < h->tombstones.series.n; i++) {
                struct tombstone *t = &h->tombstones.series.p[i];
                size_t keep = 0;
                if (!(load_relaxed(&series_at(h, (uint32_t)t->ref)->pending) & SERIES_DEAD))
                        for (size_t k = 0; k < t->intervals.n; k++)
                                if (t->intervals.p[k].maxt_ms >= mint_ms)
                                        t->intervals.p[keep++] = t->intervals.p[k];
                t->intervals.n = keep;
                if (keep)
                        h->tombstones.series.p[n++] = *t;
                else
                        vec_done(&t->intervals);
        }
        h->tombstones.series.n = n;
}

/* Returns the number of the oldest chunk file in use. */
static int gc_locked(struct head *h, TimeMs mint_ms)
{
        SlotVec bare = VEC_INIT;
        struct left left = {.oldest = TIME_MS_MAX, .ooo_min = TIME_MS_MAX, .ooo_max = TIME_MS_MIN, .min_seq = INT_MAX};
        rwlock_read(&h->index_lock);
        uint32_t n_slots = h->n_slots;
        rwlock_unlock(&h->index_lock);
        for (uint32_t slot = 0; slot < n_slots; slot++) {
                struct series_slot *s = series_at(h, slot);
                if (__atomic_load_n(&s->pending, __ATOMIC_SEQ_CST) & SERIES_DEAD)
                        continue;
                struct mutex *stripe = stripe_of(h, slot);
                mutex_lock(stripe);
                if (!chunks_truncate_locked(h, slot, s, mint_ms))
                        vec_push(&bare, slot);
                else
                        see_left_locked(h, slot, s, &left);
                mutex_unlock(stripe);
        }
        TimeMs oldest = left.oldest;
        /* A commit cannot come in between: mu is held. Appenders can, and pin. */
        for (size_t from = 0; from < bare.n; from += 256) {
                rwlock_write(&h->index_lock);
                for (size_t i = from; i < MIN(from + 256, bare.n); i++) {
                        struct series_slot *s = series_at(h, bare.p[i]);
                        uint32_t none = 0;
                        if (!__atomic_compare_exchange_n(&s->pending, &none, SERIES_DEAD, false, __ATOMIC_SEQ_CST,
                                                         __ATOMIC_SEQ_CST))
                                continue;
                        if (s->flags & SERIES_LOGGED)
                                vec_push(&h->expiries,
                                         (struct wal_expiry){s->wal_ref, oldest == TIME_MS_MAX ? mint_ms : oldest});
                        series_remove_locked(h, bare.p[i]);
                        h->stats.series_removed++;
                }
                rwlock_unlock(&h->index_lock);
        }
        vec_done(&bare);
        rwlock_write(&h->index_lock);
        tombstones_gc(h, MIN(mint_ms, left.ooo_min));
        rwlock_unlock(&h->index_lock);
        store_relaxed(&h->min_ms, oldest == TIME_MS_MAX ? oldest : MAX(oldest, mint_ms));
        store_relaxed(&h->ooo.min_ms, left.ooo_min);
        store_relaxed(&h->ooo.max_ms, left.ooo_max);
        return left.min_seq;
}

void head_gc_locked(struct head *h, TimeMs mint_ms)
{
        gc_locked(h, mint_ms);
}

static void retire_map(void *ctx, void *p, size_t n)
{
        head_retire(ctx, p, n, /* is_map= */ true);
}

static struct error *truncate_memory(struct head *h, TimeMs mint_ms)
{
        struct error *e = NULL;
        mutex_lock(&h->mu);
        if (load_relaxed(&h->min_ms) >= mint_ms && load_relaxed(&h->min_ms) != TIME_MS_MAX)
                goto out;
        head_fence(h, mint_ms);
        TimeMs max = load_relaxed(&h->max_ms);
        while (max != TIME_MS_MIN && max < mint_ms &&
               !__atomic_compare_exchange_n(&h->max_ms, &max, mint_ms, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
                ;
        int64_t from_ns = time_mono_ns();
        int seq = gc_locked(h, mint_ms);
        h->stats.truncations++;
        h->stats.gcs++;
        h->stats.gc_seconds += (double)(time_mono_ns() - from_ns) / 1e9;
        e = mapper_truncate(h->mapper, seq, retire_map, h);
        h->stats.truncations_failed += e != NULL;
out:
        mutex_unlock(&h->mu);
        head_free_retired(h);
        slab_trim(&h->slab);
        return e;
}

struct error *head_ooo_begin(struct head *h, struct head_ooo_part *ret)
{
        struct head_ooo_part part = {.mint_ms = TIME_MS_MAX, .maxt_ms = TIME_MS_MIN};
        mutex_lock(&h->mu);
        struct error *e = h->ooo.wal ? wal_next_segment(h->ooo.wal, &part.wal_segment) : NULL;
        /* Only mu's holder changes the table and what is in it. */
        for (size_t i = 0; !e && i < h->ooo.cap; i++) {
                struct ooo_series *o = h->ooo.table[i];
                if (!o)
                        continue;
                ooo_cut_locked(h, o->slot, o);
                ooo_range(o, &part.mint_ms, &part.maxt_ms);
        }
        part.upto = h->ooo.number;
        if (!e) {
                struct error *why = head_flush_chunks_locked(h);
                if (why) /* they are written from memory as well */
                        log_error("tsdb", "Writing full head chunks failed", KV_E(why));
                error_free(why);
        }
        mutex_unlock(&h->mu);
        if (!e)
                *ret = part;
        return e;
}

struct error *head_ooo_truncate(struct head *h, const struct head_ooo_part *part)
{
        mutex_lock(&h->truncate_mu);
        mutex_lock(&h->mu);
        int64_t from_ns = time_mono_ns();
        h->ooo.gone = MAX(h->ooo.gone, part->upto);
        TimeMs min_ms = load_relaxed(&h->min_ms);
        int seq = gc_locked(h, min_ms == TIME_MS_MAX ? load_relaxed(&h->min_valid_ms) : min_ms);
        h->stats.gcs++;
        h->stats.gc_seconds += (double)(time_mono_ns() - from_ns) / 1e9;
        struct error *e = mapper_truncate(h->mapper, seq, retire_map, h);
        struct wal *wal = h->ooo.wal;
        mutex_unlock(&h->mu);
        head_free_retired(h);
        if (!e && wal)
                e = wal_truncate(wal, part->wal_segment);
        mutex_unlock(&h->truncate_mu);
        return e;
}

/* ---- the log ---- */

struct keeper {
        VEC(uint64_t) refs; /* ascending */
};

static int by_u64(const void *a, const void *b)
{
        uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
        return (x > y) - (x < y);
}

static bool keep_ref(void *ctx, uint64_t ref)
{
        const struct keeper *k = ctx;
        return k->refs.n && bsearch(&ref, k->refs.p, k->refs.n, sizeof ref, by_u64);
}

static void keeper_fill_locked(struct head *h, struct keeper *k, TimeMs mint_ms)
{
        rwlock_read(&h->index_lock);
        for (uint32_t slot = 0; slot < h->n_slots; slot++) {
                const struct series_slot *s = series_at(h, slot);
                if (!(load_relaxed(&s->pending) & SERIES_DEAD))
                        vec_push(&k->refs, s->wal_ref);
        }
        rwlock_unlock(&h->index_lock);
        for (size_t i = 0; i < h->expiries.n; i++)
                if (h->expiries.p[i].keep_until_ms >= mint_ms)
                        vec_push(&k->refs, h->expiries.p[i].ref);
        if (k->refs.n)
                qsort(k->refs.p, k->refs.n, sizeof *k->refs.p, by_u64);
}

/* mu is held in the beginning and the end only: reading old segments takes long. One at a time: h->truncate_mu. */
static struct error *truncate_wal(struct head *h, TimeMs mint_ms)
{
        SegmentVec segments = VEC_INIT;
        struct keeper keeper = {VEC_INIT};
        struct error *e = NULL;
        mutex_lock(&h->mu);
        bool again = mint_ms <= h->wal_truncated_ms;
        h->wal_truncated_ms = MAX(h->wal_truncated_ms, mint_ms);
        int64_t from_ns = time_mono_ns();
        if (!again)
                e = wal_segments(h->wal_dir, &segments);
        int ignored;
        if (!again && !e)
                e = wal_next_segment(h->wal, &ignored);
        /* The lower two thirds hold little that is still needed; fewer than two segments are not worth it. As upstream.
         */
        int first = segments.n ? segments.p[0] : 0, last = segments.n ? segments.p[segments.n - 1] - 1 : -1;
        int to = first + (last - first) * 2 / 3;
        if (again || e || last < 0 || to <= first) {
                mutex_unlock(&h->mu);
                goto out;
        }
        keeper_fill_locked(h, &keeper, mint_ms);
        h->stats.checkpoint_creations++;
        mutex_unlock(&h->mu);

        struct checkpoint_opts o = {.keep = keep_ref,
                                    .ctx = &keeper,
                                    .mint_ms = mint_ms,
                                    .compression = h->opts.wal_compression,
                                    .segment_bytes = h->opts.wal_segment_bytes,
                                    .disk = h->disk};
        e = checkpoint_create(h->wal_dir, to, &o);
        struct error *late = e ? NULL : wal_truncate(h->wal, to + 1);
        if (late) /* the checkpoint stands for them; the next truncation tries again */
                log_error("tsdb", "truncating segments failed", KV_E(late));
        error_free(late);
        late = e ? NULL : checkpoint_delete_below(h->wal_dir, to);
        if (late)
                log_error("tsdb", "delete old checkpoints", KV_E(late));
        struct error *stale = e ? NULL : snapshot_delete(h->dir, to);
        if (stale)
                log_error("tsdb", "delete old chunk snapshots", KV_E(stale));
        error_free(stale);
        mutex_lock(&h->mu);
        h->stats.checkpoint_creations_failed += e != NULL;
        h->stats.checkpoint_deletions += e == NULL;
        h->stats.checkpoint_deletions_failed += late != NULL;
        size_t n = 0;
        for (size_t i = 0; !e && i < h->expiries.n; i++)
                if (h->expiries.p[i].keep_until_ms >= mint_ms)
                        h->expiries.p[n++] = h->expiries.p[i];
        if (!e) {
                h->expiries.n = n;
                h->stats.wal_truncations++;
                h->stats.wal_truncate_seconds += (double)(time_mono_ns() - from_ns) / 1e9;
        }
        mutex_unlock(&h->mu);
        error_free(late);
        if (!e)
                log_info("tsdb", "WAL checkpoint complete", KV_I("first", first), KV_I("last", to),
                         KV_MS("duration", (time_mono_ns() - from_ns) / 1000000));
out:
        vec_done(&segments);
        vec_done(&keeper.refs);
        return e;
}

struct error *head_truncate(struct head *h, TimeMs mint_ms)
{
        mutex_lock(&h->truncate_mu);
        struct error *e = truncate_memory(h, mint_ms);
        if (!e)
                e = truncate_wal(h, mint_ms);
        mutex_unlock(&h->truncate_mu);
        return e;
}

void head_fence(struct head *h, TimeMs mint_ms)
{
        TimeMs old = load_relaxed(&h->min_valid_ms);
        while (old < mint_ms &&
               !__atomic_compare_exchange_n(&h->min_valid_ms, &old, mint_ms, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
                ;
}

/* ---- deletions ---- */

static bool series_range(struct head *h, uint32_t slot, struct interval *ret)
{
        const struct series_slot *s = series_at(h, slot);
        struct mutex *stripe = stripe_of(h, slot);
        mutex_lock(stripe);
        *ret = (struct interval){TIME_MS_MAX, TIME_MS_MIN};
        if (s->n_full || s->open)
                *ret = (struct interval){s->n_full ? s->full[0].mint_ms : s->open_mint_ms, s->last_t};
        if (s->open_flags & OPEN_HAS_OOO)
                ooo_range(ooo_get(h, slot), &ret->mint_ms, &ret->maxt_ms);
        mutex_unlock(stripe);
        return ret->mint_ms <= ret->maxt_ms;
}

struct error *head_delete(struct head *h, TimeMs mint_ms, TimeMs maxt_ms, const struct matcher *const *m, size_t n_m)
{
        VEC(struct record_tombstone) stones = VEC_INIT;
        struct buf rec = BUF_INIT(BUF_NO_LIMIT);
        struct wal_batch batch;
        struct error *e = NULL;
        wal_batch_init(&batch, h->opts.wal_compression);
        mutex_lock(&h->mu);
        rwlock_read(&h->index_lock);
        roaring_bitmap_t *match = head_match(h, m, n_m);
        size_t n = roaring_bitmap_get_cardinality(match);
        uint32_t *slots = mem_alloc(n * sizeof *slots + 1);
        roaring_bitmap_to_uint32_array(match, slots);
        roaring_bitmap_free(match);
        rwlock_unlock(&h->index_lock);
        record_tombstones_begin(&rec);
        for (size_t i = 0; i < n; i++) {
                struct interval r;
                if (!series_range(h, slots[i], &r) || r.maxt_ms < mint_ms || r.mint_ms > maxt_ms)
                        continue;
                /* Not beyond what is there now: samples to come are not deleted. */
                struct record_tombstone t = {slots[i], MAX(r.mint_ms, mint_ms), MIN(r.maxt_ms, maxt_ms)};
                vec_push(&stones, t);
                t.ref = series_at(h, slots[i])->wal_ref;
                record_tombstones_add(&rec, t);
        }
        if (stones.n) {
                e = wal_batch_add(&batch, buf_str(&rec));
                if (!e)
                        e = wal_log(h->wal, &batch);
        }
        if (!e) {
                rwlock_write(&h->index_lock);
                for (size_t i = 0; i < stones.n; i++)
                        tombstones_add(&h->tombstones, stones.p[i].ref,
                                       (struct interval){stones.p[i].mint_ms, stones.p[i].maxt_ms});
                rwlock_unlock(&h->index_lock);
        }
        mutex_unlock(&h->mu);
        free(slots);
        vec_done(&stones);
        buf_done(&rec);
        wal_batch_done(&batch);
        return e;
}
