/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the head back: chunk files, then the checkpoint, then the segments.  Upstream: tsdb/head.go Init,
 * tsdb/head_wal.go. */
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "tsdb/head/apply.h"
#include "tsdb/head/refs.h"
#include "tsdb/wal/ahead.h"
#include "tsdb/wal/checkpoint.h"
#include "tsdb/wal/record_histogram.h"

enum { HISTOGRAMS_BYTES = 1 << 30 }; /* of one record */
struct mapped {
        uint64_t series_ref;
        struct chunk chunk;
};
struct replay {
        struct head *h;
        struct head_open_info *info;
        VEC(struct mapped) mapped, mapped_ooo; /* ascending by series, then by place */
        struct refs refs;
        struct apply apply;
        struct slab_local slab;
        struct series_writer writer; /* for new series; what is in old ones is changed by the lanes */
        uint64_t last_chunk_ref;
        bool has_ooo; /* deletions may be of samples that came out of order, whatever their time */
        uint64_t max_ref;
        TimeMs min_ms, max_ms;
        struct record_series_iter series;
        LabelVec labels[2]; /* of the series, and of the one before it in the record */
        VEC(uint32_t) pairs[2];
        RecordSampleVec samples;
        RecordTombstoneVec tombstones;
        RecordHistogramVec histograms;
        struct arena arena; /* of one record's histograms */
};

/* ---- chunk files ---- */

static struct error *on_chunk(void *ctx, const struct mapper_chunk *c)
{
        struct replay *r = ctx;
        r->max_ref = MAX(r->max_ref, c->series_ref);
        r->last_chunk_ref = c->chunk.ref;
        if (c->chunk.maxt_ms < c->chunk.mint_ms ||
            (!c->is_out_of_order && (uint64_t)c->chunk.maxt_ms - (uint64_t)c->chunk.mint_ms > UINT32_MAX) ||
            c->chunk.data.n >= 1 << 27)
                return error_new(ERROR_CORRUPT, "chunk of series %llu has impossible times or length",
                                 (unsigned long long)c->series_ref);
        if (c->is_out_of_order)
                vec_push(&r->mapped_ooo, (struct mapped){c->series_ref, c->chunk});
        else if (c->chunk.maxt_ms >= r->h->opts.min_valid_ms)
                vec_push(&r->mapped, (struct mapped){c->series_ref, c->chunk});
        return NULL;
}

static int by_series(const void *a, const void *b)
{
        const struct mapped *x = a, *y = b;
        if (x->series_ref != y->series_ref)
                return x->series_ref < y->series_ref ? -1 : 1;
        return (x->chunk.ref > y->chunk.ref) - (x->chunk.ref < y->chunk.ref);
}

static struct error *read_chunk_files(struct replay *r)
{
        struct mapper *m = r->h->mapper;
        struct error *e = mapper_each(m, on_chunk, r);
        for (int tries = 0; error_is(e, ERROR_CORRUPT); tries++) {
                log_error("tsdb", "Loading on-disk chunks failed", KV_E(e));
                error_free(e);
                r->info->mmap_corruptions++;
                log_info("tsdb", "Deleting mmapped chunk files", KV_I("from", tries ? 0 : mapper_bad_seq(m)));
                vec_clear(&r->mapped);
                vec_clear(&r->mapped_ooo);
                r->last_chunk_ref = 0;
                /* What is lost here is in the log. */
                e = mapper_drop_from(m, tries ? 0 : mapper_bad_seq(m));
                if (!e)
                        e = mapper_each(m, on_chunk, r);
        }
        if (r->mapped.n > 1)
                qsort(r->mapped.p, r->mapped.n, sizeof *r->mapped.p, by_series);
        if (r->mapped_ooo.n)
                qsort(r->mapped_ooo.p, r->mapped_ooo.n, sizeof *r->mapped_ooo.p, by_series);
        return e;
}

static size_t first_of(const struct mapped *v, size_t n, uint64_t ref)
{
        size_t lo = 0, hi = n;
        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                if (v[mid].series_ref < ref)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo;
}

static uint32_t slot_of(void *ctx, uint64_t ref)
{
        struct replay *r = ctx;
        return refs_get(&r->refs, ref);
}

/* Chunks that the file has under ref become those of the slot. */
static void attach_mapped(struct replay *r, uint64_t ref, uint32_t slot)
{
        struct head *h = r->h;
        struct series_slot *s = series_at(h, slot);
        for (size_t i = first_of(r->mapped_ooo.p, r->mapped_ooo.n, ref);
             i < r->mapped_ooo.n && r->mapped_ooo.p[i].series_ref == ref; i++)
                ooo_attach(h, slot, &r->mapped_ooo.p[i].chunk);
        for (size_t lo = first_of(r->mapped.p, r->mapped.n, ref); lo < r->mapped.n && r->mapped.p[lo].series_ref == ref; lo++) {
                const struct chunk *c = &r->mapped.p[lo].chunk;
                if (s->n_full && s->full[s->n_full - 1].mint_ms + s->full[s->n_full - 1].span_ms >= c->mint_ms)
                        continue;
                /* A chunk that was filled by the log so far is in a block by now, or is this very chunk. */
                if (s->open)
                        series_drop_open(&r->writer, h, s);
                series_full_push(&r->writer, h, s,
                                        (struct full_chunk){.p = (const uint8_t *)c->data.p,
                                                            .mint_ms = c->mint_ms,
                                                            .span_ms = (uint32_t)(c->maxt_ms - c->mint_ms),
                                                            .n_bytes = (uint32_t)c->data.n & 0x7ffffff,
                                                            .encoding = (unsigned)c->encoding & 15});
                s->last_t = c->maxt_ms;
                s->last_v = LAST_UNKNOWN_BITS;
                h->stats.chunks_created++;
                r->min_ms = MIN(r->min_ms, c->mint_ms);
                r->max_ms = MAX(r->max_ms, c->maxt_ms);
        }
}

/* ---- records ---- */

/* The invariants of Labels, for records of whatever writer. */
static Labels clean_labels(struct replay *r, LabelVec *to)
{
        vec_clear(to);
        bool sorted = true;
        for (size_t i = 0; i < r->series.labels.n; i++) {
                Label l = r->series.labels.p[i];
                if (!l.value.n)
                        continue;
                if (to->n && sorted && str_cmp(to->p[to->n - 1].name, l.name) >= 0)
                        sorted = false;
                vec_push(to, l);
        }
        if (!sorted) {
                labels_sort(to->p, to->n);
                size_t n = 1;
                for (size_t i = 1; i < to->n; i++)
                        if (!str_eq(to->p[i].name, to->p[n - 1].name))
                                to->p[n++] = to->p[i];
                to->n = n;
        }
        return (Labels){to->p, to->n};
}

static struct error *one_series(struct replay *r, uint64_t ref, Labels ls, Labels like, const uint32_t *like_pairs,
                                uint32_t *pairs)
{
        struct head *h = r->h;
        bool made;
        uint32_t slot =
                series_get_or_make_locked(h, &r->writer, ls, like, like_pairs, pairs, ref, &made);
        if (made) {
                h->series_created++;
        } else { /* the log knows the series by both */
                vec_push(&h->expiries, (struct wal_expiry){ref, TIME_MS_MAX});
                struct error *e = apply_wait(&r->apply);
                if (e)
                        return e;
        }
        refs_set(&r->refs, ref, slot);
        attach_mapped(r, ref, slot);
        if (made)
                apply_series(&r->apply, slot);
        return NULL;
}

/* Series of a target follow each other and share most labels. */
static struct error *on_series(struct replay *r, Str rec)
{
        struct head *h = r->h;
        struct error *e = record_series_open(&r->series, rec);
        Labels like = {NULL, 0};
        rwlock_write(&h->index_lock);
        for (unsigned turn = 0; !e;) {
                bool more;
                e = record_series_next(&r->series, &more);
                if (e || !more)
                        break;
                uint64_t ref = r->series.ref;
                r->max_ref = MAX(r->max_ref, ref);
                Labels ls = clean_labels(r, &r->labels[turn]);
                if (!ref || !ls.n || ls.n > UINT16_MAX || refs_get(&r->refs, ref) != UINT32_MAX)
                        continue;
                vec_clear(&r->pairs[turn]);
                vec_reserve(&r->pairs[turn], ls.n);
                e = one_series(r, ref, ls, like, r->pairs[!turn].p, r->pairs[turn].p);
                like = ls;
                turn = !turn;
        }
        rwlock_unlock(&h->index_lock);
        return e;
}

static struct error *on_samples(struct replay *r, Str rec)
{
        vec_clear(&r->samples);
        struct error *e = record_samples(rec, &r->samples);
        if (e)
                return e;
        TimeMs floor_ms = r->h->opts.min_valid_ms;
        for (size_t i = 0; i < r->samples.n; i++) {
                const struct record_sample *x = &r->samples.p[i];
                if (x->t < floor_ms)
                        continue;
                uint32_t slot = refs_get(&r->refs, x->ref);
                if (LIKELY(slot != UINT32_MAX))
                        apply_float(&r->apply, slot, x->t, x->v);
                else
                        r->info->unknown_refs++;
        }
        return apply_tidy(&r->apply, r->samples.n);
}

static struct error *on_histograms(struct replay *r, Str rec)
{
        vec_clear(&r->histograms);
        arena_clear(&r->arena);
        struct error *e = record_histograms(rec, &r->arena, &r->histograms);
        if (e)
                return e;
        for (size_t i = 0; !e && i < r->histograms.n; i++) {
                const struct record_histogram *x = &r->histograms.p[i];
                if (x->t < r->h->opts.min_valid_ms || !histogram_sample_is_sound(x->h))
                        continue;
                uint32_t slot = refs_get(&r->refs, x->ref);
                if (slot != UINT32_MAX)
                        e = apply_histogram(&r->apply, slot, x->t, x->h);
                else
                        r->info->unknown_refs++;
        }
        return e ? e : apply_tidy(&r->apply, r->histograms.n * 8);
}

static struct error *on_tombstones(struct replay *r, Str rec)
{
        vec_clear(&r->tombstones);
        struct error *e = record_tombstones(rec, &r->tombstones);
        for (size_t i = 0; !e && i < r->tombstones.n; i++) {
                const struct record_tombstone *t = &r->tombstones.p[i];
                if (t->maxt_ms < t->mint_ms || (t->maxt_ms < r->h->opts.min_valid_ms && !r->has_ooo))
                        continue;
                uint32_t slot = refs_get(&r->refs, t->ref);
                if (slot == UINT32_MAX)
                        r->info->unknown_refs++;
                else
                        tombstones_add(&r->h->tombstones, slot, (struct interval){t->mint_ms, t->maxt_ms});
        }
        return e;
}

static struct error *on_exemplars(struct replay *r, Str rec)
{
        struct head *h = r->h;
        RecordExemplarVec v = VEC_INIT;
        struct error *e = record_exemplars_decode(rec, &v);
        for (size_t i = 0; !e && i < v.n; i++) {
                uint32_t slot = refs_get(&r->refs, v.p[i].ref);
                if (slot == UINT32_MAX) {
                        r->info->unknown_refs++;
                        continue;
                }
                if (v.p[i].t < h->opts.min_valid_ms)
                        continue;
                arena_clear(&r->arena);
                struct exemplar x = {.labels = record_exemplar_labels(v.p[i].labels, &r->arena), .value = v.p[i].v, .t = v.p[i].t};
                rwlock_read(&h->index_lock);
                error_ignore(exemplars_add(h->exemplars, series_labels(h, series_at(h, slot), &r->arena), &x),
                             "what was refused then is refused now");
                rwlock_unlock(&h->index_lock);
        }
        vec_done(&v);
        return e;
}

static struct error *on_record(struct replay *r, Str rec)
{
        enum record_type type = record_type(rec);
        switch (type) {
        case RECORD_SERIES:
                return on_series(r, rec);
        case RECORD_SAMPLES:
        case RECORD_SAMPLES_V2:
                return on_samples(r, rec);
        case RECORD_TOMBSTONES:
                return on_tombstones(r, rec);
        case RECORD_EXEMPLARS:
                return exemplars_is_on(r->h->exemplars) ? on_exemplars(r, rec) : NULL;
        default:
                return record_is_histogram(type) ? on_histograms(r, rec) : NULL;
        }
}

/* On damage *ret_segment and *ret_offset say where the last good record ends. */
static struct error *read_log(struct replay *r, const char *dir, int first, int last, int *ret_segment,
                              uint64_t *ret_offset)
{
        struct wal_ahead *log;
        struct error *e = wal_ahead_open(dir, first, last, 0, &log);
        if (e)
                return e;
        int segment = -1;
        uint64_t good = 0;
        while (!e) {
                struct wal_record rec;
                e = wal_ahead_next(log, &rec);
                if (rec.segment != segment) {
                        segment = rec.segment;
                        good = 0;
                        if (r->h->opts.progress && segment >= 0)
                                r->h->opts.progress(r->h->opts.progress_ctx, first, last, segment);
                }
                if (e || !rec.is_there)
                        break;
                if (r->h->opts.cancel && __atomic_load_n(r->h->opts.cancel, __ATOMIC_RELAXED)) {
                        e = error_new(ERROR_CANCELLED, "cancelled");
                        break;
                }
                e = on_record(r, rec.bytes);
                if (!e)
                        good = rec.offset;
                else if (error_is(e, ERROR_CORRUPT))
                        e = error_wrap(e, "corruption in segment %s/%08d at %llu", dir, segment,
                                       (unsigned long long)good);
        }
        *ret_segment = segment;
        *ret_offset = good;
        wal_ahead_close(log);
        struct error *late = apply_wait(&r->apply);
        e = e ? error_wrap(e, "read records") : NULL;
        if (e && late && error_is(e, ERROR_CORRUPT)) { /* a full disk is not healed by cutting the log */
                error_ignore(e, "the other one is worse");
                return late;
        }
        return error_join(e, late);
}

static struct error *read_wal(struct replay *r)
{
        struct head *h = r->h;
        char *checkpoint = NULL;
        int first = -1, segment;
        uint64_t offset;
        SegmentVec segments = VEC_INIT;
        struct error *e = checkpoint_delete_temp(h->wal_dir);
        if (e)
                goto out;
        e = checkpoint_last(h->wal_dir, &checkpoint, &first);
        if (error_is(e, ERROR_NOT_FOUND)) {
                error_ignore(e, "there is none");
                e = NULL;
        }
        if (checkpoint) {
                e = read_log(r, checkpoint, 0, WAL_ALL_SEGMENTS, &segment, &offset);
                if (e) /* little could be saved; as upstream, someone has to look */
                        e = error_wrap(e, "backfill checkpoint");
                else
                        log_info("tsdb", "WAL checkpoint loaded");
        }
        if (!e)
                e = wal_segments(h->wal_dir, &segments);
        if (e || !segments.n)
                goto out;
        e = read_log(r, h->wal_dir, first + 1, segments.p[segments.n - 1], &segment, &offset);
        if (error_is(e, ERROR_CORRUPT)) {
                log_warn("tsdb", "Encountered WAL read error, attempting repair", KV_E(e));
                log_warn("tsdb", "Starting corruption repair", KV_I("segment", segment), KV_I("offset", offset));
                error_free(e);
                r->info->wal_corruptions++;
                e = wal_repair(h->disk, h->wal_dir, segment, offset);
        }
out:
        vec_done(&segments);
        free(checkpoint);
        return e;
}

struct error *head_replay(struct head *h, struct head_open_info *info)
{
        struct replay r = {.h = h, .info = info, .min_ms = TIME_MS_MAX, .max_ms = TIME_MS_MIN};
        record_series_iter_init(&r.series);
        arena_init(&r.arena, HISTOGRAMS_BYTES);
        slab_local_init(&r.slab, &h->slab);
        r.writer = (struct series_writer){
                .slab = &r.slab, .full = &h->memory_chunks, .chunks_created = &h->stats.chunks_created};
        apply_init(&r.apply, h, h->opts.replay_threads ? h->opts.replay_threads : cpu_count());
        int64_t from_ns = time_mono_ns();
        struct error *e = read_chunk_files(&r);
        info->chunks_seconds = (double)(time_mono_ns() - from_ns) / 1e9;
        if (e)
                goto out;
        r.has_ooo = r.mapped_ooo.n || dir_size_bytes(h->ooo.dir);
        from_ns = time_mono_ns();
        e = read_wal(&r);
        if (!e)
                e = head_replay_ooo(h, info, slot_of, &r, r.last_chunk_ref);
        if (!e)
                e = head_flush_chunks_locked(h);
        info->wal_seconds = (double)(time_mono_ns() - from_ns) / 1e9;
        if (e)
                goto out;
        TimeMs min_ms, max_ms;
        apply_times(&r.apply, &min_ms, &max_ms);
        r.min_ms = MIN(r.min_ms, min_ms);
        r.max_ms = MAX(r.max_ms, max_ms);
        for (size_t i = 0; i < h->expiries.n; i++)
                h->expiries.p[i].keep_until_ms = MIN(h->expiries.p[i].keep_until_ms, r.max_ms);
        h->next_wal_ref = r.max_ref + 1;
        h->stats.wal_corruptions = info->wal_corruptions;
        h->stats.wbl_corruptions = info->wbl_corruptions;
        h->stats.mmap_corruptions = info->mmap_corruptions;
        if (r.max_ms != TIME_MS_MIN)
                head_widen(h, r.min_ms, r.max_ms);
        head_gc_locked(h, h->opts.min_valid_ms);
        if (info->unknown_refs)
                log_warn("tsdb", "Unknown series references", KV_I("samples", info->unknown_refs));
out:
        apply_done(&r.apply);
        slab_local_done(&r.slab);
        refs_done(&r.refs);
        vec_done(&r.mapped);
        vec_done(&r.mapped_ooo);
        record_series_iter_done(&r.series);
        for (size_t i = 0; i < ARRAY_LEN(r.labels); i++) {
                vec_done(&r.labels[i]);
                vec_done(&r.pairs[i]);
        }
        vec_done(&r.samples);
        vec_done(&r.tombstones);
        vec_done(&r.histograms);
        arena_done(&r.arena);
        return e;
}
