/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/head/head.h"

#include "base/file.h"
#include "tsdb/head/private.h"
#include "tsdb/head/snapshot.h"

static const struct storage_ops head_ops = {.querier = head_querier_new, .appender = head_appender_new};

static void retire_slab(void *ctx, void *p, size_t n)
{
        head_retire(ctx, p, n, /* is_map= */ false);
}

static struct head *head_new(const struct head_opts *opts)
{
        struct head *h = mem_new(struct head);
        h->base.ops = &head_ops;
        h->opts = *opts;
        h->dir = mem_strdup(opts->dir);
        h->wal_dir = path_join(opts->dir, "wal");
        h->opts.dir = h->dir;
        h->disk = opts->disk ? opts->disk : &disk_system;
        h->samples_per_chunk = opts->samples_per_chunk ? opts->samples_per_chunk : 120;
        h->min_ms = TIME_MS_MAX;
        h->max_ms = TIME_MS_MIN;
        h->min_valid_ms = opts->min_valid_ms;
        h->next_wal_ref = 1;
        h->wal_truncated_ms = TIME_MS_MIN;
        slab_init(&h->slab);
        h->writer = (struct series_writer){.full = &h->memory_chunks, .chunks_created = &h->stats.chunks_created};
        pairs_init(&h->index, &h->slab);
        h->index.retire = retire_slab;
        h->index.retire_ctx = h;
        for (size_t i = 0; i < HEAD_STRIPES; i++)
                mutex_init(&h->stripes[i]);
        mutex_init(&h->mu);
        mutex_init(&h->truncate_mu);
        mutex_init(&h->retired_mu);
        mutex_init(&h->spare_mu);
        rwlock_init(&h->index_lock);
        list_init(&h->queriers);
        buf_init(&h->series_rec, BUF_NO_LIMIT);
        wal_batch_init(&h->series_batch, opts->wal_compression);
        ooo_init(&h->ooo, opts->dir, opts->wal_compression);
        h->ooo.window_ms = MAX(opts->out_of_order_window_ms, 0);
        h->exemplars = exemplars_new(opts->max_exemplars, opts->out_of_order_window_ms);
        return h;
}

static void slots_done(struct head *h)
{
        for (uint32_t slot = 0; slot < h->n_slots; slot++) {
                struct series_slot *s = series_at(h, slot);
                if (s->pending & SERIES_DEAD)
                        continue;
                series_drop_open_locked(h, s);
                for (size_t i = 0; i < s->n_full; i++)
                        if (s->full[i].is_memory)
                                slab_free(&h->slab, (void *)s->full[i].p, s->full[i].n_bytes);
                slab_free(&h->slab, s->full, s->cap_full * sizeof *s->full);
                slab_free(&h->slab, s->pairs, s->n_pairs * sizeof *s->pairs);
        }
        for (size_t i = 0; i < HEAD_PAGES_MAX && h->pages[i]; i++)
                free(h->pages[i]);
}

struct error *head_close(struct head *take_h)
{
        struct head *h = take_h;
        if (!h)
                return NULL;
        struct error *e = h->wal && h->opts.snapshot_on_close ? snapshot_write(h) : NULL;
        e = error_join(e, wal_close(h->wal));
        e = error_join(e, wal_close(h->ooo.wal));
        e = error_join(e, mapper_close(h->mapper));
        head_free_retired(h);
        slots_done(h);
        ooo_done(h);
        exemplars_free(h->exemplars);
        pairs_done(&h->index);
        slab_done(&h->slab);
        for (size_t i = 0; i < h->spare.n; i++)
                head_appender_free(h->spare.p[i]);
        vec_done(&h->spare);
        vec_done(&h->retired);
        vec_done(&h->free_slots);
        vec_done(&h->memory_chunks);
        vec_done(&h->expiries);
        tombstones_done(&h->tombstones);
        buf_done(&h->series_rec);
        wal_batch_done(&h->series_batch);
        free(h->table);
        for (size_t i = 0; i < HEAD_STRIPES; i++)
                mutex_done(&h->stripes[i]);
        mutex_done(&h->mu);
        mutex_done(&h->truncate_mu);
        mutex_done(&h->retired_mu);
        mutex_done(&h->spare_mu);
        rwlock_done(&h->index_lock);
        free(h->dir);
        free(h->wal_dir);
        free(h);
        return e;
}

/* mu held, or nobody else knows h yet. */
static struct error *open_ooo_log_locked(struct head *h)
{
        if (h->ooo.wal)
                return NULL;
        struct error *e = dir_make_all(h->ooo.dir);
        struct wal_opts wo = {.segment_bytes = h->opts.wal_segment_bytes, .disk = h->disk};
        return e ? e : wal_open(h->ooo.dir, &wo, &h->ooo.wal);
}

struct error *head_set_out_of_order_window(struct head *h, int64_t window_ms)
{
        mutex_lock(&h->mu);
        struct error *e = window_ms > 0 ? open_ooo_log_locked(h) : NULL;
        if (!e)
                store_relaxed(&h->ooo.window_ms, MAX(window_ms, 0));
        mutex_unlock(&h->mu);
        if (!e)
                exemplars_set_window(h->exemplars, window_ms);
        return e;
}

struct exemplars *head_exemplars(struct head *h)
{
        return h->exemplars;
}

void head_set_max_exemplars(struct head *h, int64_t max)
{
        exemplars_resize(h->exemplars, max);
}

static struct error *open_once(const struct head_opts *opts, struct head **ret, struct head_open_info *info, bool *ret_again)
{
        struct head *h = head_new(opts);
        char *chunks_dir = path_join(opts->dir, "chunks_head");
        struct error *e = dir_make_all(h->wal_dir);
        if (!e)
                e = mapper_open(chunks_dir, h->disk, &h->mapper);
        if (!e)
                e = head_replay(h, info, ret_again);
        if (!e) {
                struct wal_opts wo = {.segment_bytes = opts->wal_segment_bytes, .disk = h->disk};
                e = wal_open(h->wal_dir, &wo, &h->wal);
        }
        if (!e && (h->ooo.window_ms || dir_size_bytes(h->ooo.dir)))
                e = open_ooo_log_locked(h);
        free(chunks_dir);
        if (e) {
                h->opts.snapshot_on_close = false;
                error_ignore(head_close(h), "the error before it is the one to tell");
                return e;
        }
        *ret = h;
        return NULL;
}

struct error *head_open(const struct head_opts *opts, struct head **ret, struct head_open_info *ret_info)
{
        struct head_open_info info = {0};
        if (opts->chunk_range_ms <= 0)
                return error_new(ERROR_INVALID, "invalid chunk range %lld", (long long)opts->chunk_range_ms);
        struct head *h;
        bool again = false;
        struct error *e = open_once(opts, &h, &info, &again);
        if (e && again) { /* without the snapshot, which is gone now */
                error_ignore(e, "told already");
                info = (struct head_open_info){.snapshot_errors = 1};
                e = open_once(opts, &h, &info, &again);
        }
        if (e)
                return e;
        *ret = h;
        if (ret_info)
                *ret_info = info;
        return NULL;
}

struct storage *head_storage(struct head *h)
{
        return &h->base;
}

bool head_is_empty(const struct head *h)
{
        return load_relaxed(&h->min_ms) == TIME_MS_MAX;
}

TimeMs head_min_ms(const struct head *h)
{
        return load_relaxed(&h->min_ms);
}

TimeMs head_max_ms(const struct head *h)
{
        return head_is_empty(h) ? TIME_MS_MIN : load_relaxed(&h->max_ms);
}

TimeMs head_ooo_min_ms(const struct head *h)
{
        return load_relaxed(&h->ooo.min_ms);
}

TimeMs head_ooo_max_ms(const struct head *h)
{
        return load_relaxed(&h->ooo.max_ms);
}

int64_t head_chunk_range_ms(const struct head *h)
{
        return h->opts.chunk_range_ms;
}

bool head_is_compactable(const struct head *h)
{
        if (head_is_empty(h))
                return false;
        return head_max_ms(h) - head_min_ms(h) > h->opts.chunk_range_ms / 2 * 3;
}

/* ---- what it says about itself ---- */

void head_get_stats(struct head *h, struct head_stats *ret)
{
        /* Without the lock: they ask the disk. */
        uint64_t wal_bytes = dir_size_bytes(h->wal_dir), wbl_bytes = dir_size_bytes(h->ooo.dir);
        mutex_lock(&h->mu);
        *ret = h->stats;
        ret->series_created = __atomic_load_n(&h->series_created, __ATOMIC_RELAXED);
        ret->series = load_relaxed(&h->n_series);
        ret->chunks = h->stats.chunks_created - h->stats.chunks_removed;
        ret->out_of_order = load_relaxed(&h->out_of_order);
        ret->out_of_bounds = load_relaxed(&h->out_of_bounds);
        ret->duplicates = load_relaxed(&h->duplicates);
        ret->too_old = load_relaxed(&h->too_old);
        ret->ooo_min_ms = head_ooo_min_ms(h);
        ret->ooo_max_ms = head_ooo_max_ms(h);
        ret->wbl_bytes = wbl_bytes;
        exemplars_get_stats(h->exemplars, &ret->exemplars);
        ret->active_appenders = load_relaxed(&h->appenders);
        ret->min_ms = head_min_ms(h);
        ret->max_ms = head_max_ms(h);
        ret->low_watermark = ret->high_watermark = load_relaxed(&h->applied);
        ret->wal_bytes = wal_bytes;
        ret->chunks_head_bytes = mapper_bytes(h->mapper);
        ret->wal_segment = wal_segment_index(h->wal);
        wal_get_stats(h->wal, &ret->wal);
        rwlock_read(&h->index_lock);
        ret->label_pairs = h->index.n_pairs;
        ret->symbol_bytes = h->index.symbol_bytes;
        rwlock_unlock(&h->index_lock);
        mutex_unlock(&h->mu);
}

uint64_t head_label_pairs(struct head *h)
{
        rwlock_read(&h->index_lock);
        uint64_t n = h->index.n_pairs;
        rwlock_unlock(&h->index_lock);
        return n;
}

/* Descending by value, then by name; the strings are borrowed. */
static void top_add(HeadTopVec *v, size_t limit, Str name, uint64_t value)
{
        if (limit == 0 || (v->n == limit && v->p[limit - 1].value >= value &&
                           !(v->p[limit - 1].value == value && str_cmp(name, v->p[limit - 1].name) < 0)))
                return;
        if (v->n < limit)
                vec_push(v, (struct head_top){name, value});
        size_t i = v->n - 1;
        for (; i > 0 &&
               (v->p[i - 1].value < value || (v->p[i - 1].value == value && str_cmp(name, v->p[i - 1].name) < 0));
             i--)
                v->p[i] = v->p[i - 1];
        v->p[i] = (struct head_top){name, value};
}

/* What upstream counts for a name or a value: its length goes before it, one byte up to 254. */
static uint64_t label_part_bytes(size_t n)
{
        return n + (n < 255 ? 1 : 4);
}

void head_cardinality(struct head *h, size_t limit, struct arena *arena, struct head_cardinality *ret)
{
        *ret = (struct head_cardinality){.series_by_metric = VEC_INIT};
        rwlock_read(&h->index_lock);
        struct index *ix = &h->index;
        for (size_t i = 0; i < ix->names.n; i++) {
                const struct name *n = &ix->names.p[i];
                Str name = {n->p, n->n};
                if (!n->pairs.n)
                        continue;
                uint64_t bytes = 0;
                for (size_t k = 0; k < n->pairs.n; k++) {
                        const struct pair *p = &ix->pairs.p[n->pairs.p[k]];
                        bytes += (label_part_bytes(name.n) + label_part_bytes(p->n_value)) * p->n;
                        if (str_eq(name, STR(METRIC_NAME)))
                                top_add(&ret->series_by_metric, limit, (Str){p->value, p->n_value}, p->n);
                        HeadTopVec *v = &ret->series_by_pair;
                        if (v->n < limit || p->n >= v->p[v->n - 1].value)
                                top_add(v, limit,
                                        arena_printf(arena, STR_FMT "=" STR_FMT, STR_ARG(name), (int)p->n_value,
                                                     p->value),
                                        p->n);
                }
                top_add(&ret->values_by_label, limit, name, n->pairs.n);
                top_add(&ret->bytes_by_label, limit, name, bytes);
        }
        HeadTopVec *all[] = {&ret->series_by_metric, &ret->values_by_label, &ret->bytes_by_label};
        for (size_t i = 0; i < ARRAY_LEN(all); i++)
                for (size_t k = 0; k < all[i]->n; k++)
                        all[i]->p[k].name = arena_str(arena, all[i]->p[k].name);
        rwlock_unlock(&h->index_lock);
}

void head_cardinality_done(struct head_cardinality *c)
{
        vec_done(&c->series_by_metric);
        vec_done(&c->values_by_label);
        vec_done(&c->bytes_by_label);
        vec_done(&c->series_by_pair);
}

uint64_t head_memory_bytes(struct head *h)
{
        rwlock_read(&h->index_lock);
        uint64_t n = slab_bytes(&h->slab) + pairs_heap_bytes(&h->index) + (uint64_t)h->table_cap * sizeof *h->table;
        n += ((uint64_t)h->n_slots + HEAD_PAGE_SLOTS - 1) / HEAD_PAGE_SLOTS * HEAD_PAGE_SLOTS *
             sizeof(struct series_slot);
        n += h->free_slots.cap * sizeof *h->free_slots.p;
        rwlock_unlock(&h->index_lock);
        mutex_lock(&h->mu);
        n += ooo_bytes(h);
        mutex_unlock(&h->mu);
        return n;
}
