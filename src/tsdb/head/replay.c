/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the head back: chunk files, then the checkpoint, then the segments.  Upstream: tsdb/head.go Init,
 * tsdb/head_wal.go. */
#include <limits.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "tsdb/head/apply.h"
#include "tsdb/head/refs.h"
#include "tsdb/head/snapshot.h"
#include "tsdb/wal/ahead.h"
#include "tsdb/wal/checkpoint.h"
#include "tsdb/wal/record_histogram.h"

enum { HISTOGRAMS_BYTES = 1 << 30 }; /* of one record */
struct mapped {
        uint64_t series_ref;
        struct chunk chunk;
};
struct mapped_link {
        uint32_t seq, at; /* the chunk's ref */
        uint32_t next;
};
struct replay {
        struct head *h;
        struct head_open_info *info;
        /* Chunks of the files: of a series each names the next, the newest names the oldest; the newest is in mapped_last. */
        VEC(struct mapped_link) mapped;
        struct refs mapped_last;
        VEC(struct mapped) mapped_ooo; /* ascending by series, then by place */
        struct refs refs;
        struct apply apply;
        struct slab_local slab;
        struct series_writer writer; /* for new series; what is in old ones is changed by the lanes */
        bool has_ooo; /* deletions may be of samples that came out of order, whatever their time */
        uint64_t max_ref;
        TimeMs min_ms, max_ms;
        struct record_series_iter series;
        LabelVec labels[2]; /* of the series, and of the one before it in the record */
        VEC(uint32_t) pairs[2];
        SnapshotTombstoneVec stones;
        bool has_stones; /* the record behind all series of a snapshot */
        struct snapshot snapshot; /* dir NULL: none was loaded */
        unsigned turn; /* of labels and pairs: this series' */
        Labels like;
        RecordSampleVec samples;
        RecordTombstoneVec tombstones;
        RecordHistogramVec histograms;
        struct arena arena; /* of one record's histograms */
};

/* What the log says of a series whose record was lost (with the power, say) must never become another's: its reference is not
 * given out again. */
static uint32_t known_slot(struct replay *r, uint64_t ref)
{
        uint32_t slot = refs_get(&r->refs, ref);
        if (UNLIKELY(slot == UINT32_MAX && ref < UINT64_MAX / 2))
                r->max_ref = MAX(r->max_ref, ref);
        return slot;
}

/* ---- chunk files ---- */

static void link_mapped(struct replay *r, const struct mapper_chunk *c)
{
        uint32_t i = (uint32_t)r->mapped.n, last = refs_get(&r->mapped_last, c->series_ref);
        struct mapped_link x = {.seq = (uint32_t)(c->chunk.ref >> 32), .at = (uint32_t)c->chunk.ref, .next = i};
        if (last != UINT32_MAX) {
                x.next = r->mapped.p[last].next;
                r->mapped.p[last].next = i;
        }
        vec_push(&r->mapped, x);
        refs_set(&r->mapped_last, c->series_ref, i);
}

static struct error *on_chunk(void *ctx, const struct mapper_chunk *c)
{
        struct replay *r = ctx;
        r->max_ref = MAX(r->max_ref, c->series_ref);
        if (c->chunk.maxt_ms < c->chunk.mint_ms ||
            (!c->is_out_of_order && (uint64_t)c->chunk.maxt_ms - (uint64_t)c->chunk.mint_ms > UINT32_MAX) ||
            c->chunk.data.n >= 1 << 27)
                return error_new(ERROR_CORRUPT, "chunk of series %llu has impossible times or length",
                                 (unsigned long long)c->series_ref);
        if (c->is_out_of_order)
                vec_push(&r->mapped_ooo, (struct mapped){c->series_ref, c->chunk});
        else if (c->chunk.maxt_ms >= r->h->opts.min_valid_ms)
                link_mapped(r, c);
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
                refs_done(&r->mapped_last);
                vec_clear(&r->mapped_ooo);
                /* What is lost here is in the log. */
                e = mapper_drop_from(m, tries ? 0 : mapper_bad_seq(m));
                if (!e)
                        e = mapper_each(m, on_chunk, r);
        }
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
        return known_slot(ctx, ref);
}

/* Chunks that the file has under ref become those of the slot. */
static void attach_mapped(struct replay *r, uint64_t ref, uint32_t slot)
{
        struct head *h = r->h;
        struct series_slot *s = series_at(h, slot);
        for (size_t i = first_of(r->mapped_ooo.p, r->mapped_ooo.n, ref);
             i < r->mapped_ooo.n && r->mapped_ooo.p[i].series_ref == ref; i++)
                ooo_attach(h, slot, &r->mapped_ooo.p[i].chunk);
        uint32_t last = refs_get(&r->mapped_last, ref);
        for (uint32_t i = last == UINT32_MAX ? UINT32_MAX : r->mapped.p[last].next; i != UINT32_MAX;
             i = i == last ? UINT32_MAX : r->mapped.p[i].next) {
                struct mapper_chunk x;
                mapper_get(h->mapper, (uint64_t)r->mapped.p[i].seq << 32 | r->mapped.p[i].at, &x);
                const struct chunk *c = &x.chunk;
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
static Labels clean_labels(const LabelVec *from, LabelVec *to)
{
        vec_clear(to);
        bool sorted = true;
        for (size_t i = 0; i < from->n; i++) {
                Label l = from->p[i];
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

/* *ret is UINT32_MAX when there is no series to make. Series of a target follow each other and share most labels: r->like
 * are those of the one before, while their bytes are there. */
static struct error *one_series(struct replay *r, uint64_t ref, const LabelVec *labels, uint32_t *ret)
{
        struct head *h = r->h;
        unsigned turn = r->turn;
        *ret = UINT32_MAX;
        r->max_ref = MAX(r->max_ref, ref);
        Labels ls = clean_labels(labels, &r->labels[turn]);
        if (!ref || !ls.n || ls.n > UINT16_MAX || refs_get(&r->refs, ref) != UINT32_MAX)
                return NULL;
        vec_clear(&r->pairs[turn]);
        vec_reserve(&r->pairs[turn], ls.n);
        bool made;
        uint32_t slot = series_get_or_make_locked(h, &r->writer, ls, r->like, r->pairs[!turn].p, r->pairs[turn].p, ref,
                                                  &made);
        r->like = ls;
        r->turn = !turn;
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
        *ret = slot; /* the caller says apply_series when it has all that is there before the first sample */
        return NULL;
}

static struct error *on_series(struct replay *r, Str rec)
{
        struct error *e = record_series_open(&r->series, rec);
        r->like = (Labels){NULL, 0};
        rwlock_write(&r->h->index_lock);
        while (!e) {
                bool more;
                uint32_t slot;
                e = record_series_next(&r->series, &more);
                if (e || !more)
                        break;
                e = one_series(r, r->series.ref, &r->series.labels, &slot);
                if (!e && slot != UINT32_MAX)
                        apply_series(&r->apply, slot);
        }
        rwlock_unlock(&r->h->index_lock);
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
                uint32_t slot = known_slot(r, x->ref);
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
                uint32_t slot = known_slot(r, x->ref);
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
                uint32_t slot = known_slot(r, t->ref);
                if (slot == UINT32_MAX)
                        r->info->unknown_refs++;
                else
                        tombstones_add(&r->h->tombstones, slot, (struct interval){t->mint_ms, t->maxt_ms});
        }
        return e;
}

static struct error *on_exemplars_locked(struct replay *r, Str body, uint64_t *unknown)
{
        struct head *h = r->h;
        RecordExemplarVec v = VEC_INIT;
        struct error *e = record_exemplars_body(body, &v);
        for (size_t i = 0; !e && i < v.n; i++) {
                uint32_t slot = known_slot(r, v.p[i].ref);
                if (slot == UINT32_MAX) {
                        ++*unknown;
                        continue;
                }
                if (v.p[i].t < h->opts.min_valid_ms)
                        continue;
                arena_clear(&r->arena);
                struct exemplar x = {.labels = record_exemplar_labels(v.p[i].labels, &r->arena), .value = v.p[i].v, .t = v.p[i].t};
                error_ignore(exemplars_add(h->exemplars, series_labels(h, series_at(h, slot), &r->arena), &x),
                             "what was refused then is refused now");
        }
        vec_done(&v);
        return e;
}

static struct error *on_exemplars(struct replay *r, Str rec)
{
        if (!exemplars_is_on(r->h->exemplars))
                return NULL;
        rwlock_read(&r->h->index_lock);
        struct error *e = on_exemplars_locked(r, str_skip(rec, 1), &r->info->unknown_refs);
        rwlock_unlock(&r->h->index_lock);
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
                return on_exemplars(r, rec);
        default:
                return record_is_histogram(type) ? on_histograms(r, rec) : NULL;
        }
}

/* On damage *ret_segment and *ret_offset say where the last good record ends. */
static struct error *read_log(struct replay *r, const char *dir, int first, int last, int *ret_segment,
                              uint64_t *ret_offset)
{
        struct wal_ahead *log;
        const struct snapshot *s = &r->snapshot;
        uint64_t from = s->dir && s->segment == first && dir == r->h->wal_dir ? s->offset : 0;
        struct error *e = wal_ahead_open(dir, first, last, from, &log);
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

/* *ret_dir NULL: there is none, and its number is -1. */
static struct error *last_checkpoint(struct head *h, char **ret_dir, int *ret_index)
{
        struct error *e = checkpoint_delete_temp(h->wal_dir);
        if (e)
                return e;
        e = checkpoint_last(h->wal_dir, ret_dir, ret_index);
        if (!error_is(e, ERROR_NOT_FOUND))
                return e;
        error_ignore(e, "there is none");
        return NULL;
}

static struct error *read_wal(struct replay *r)
{
        struct head *h = r->h;
        char *checkpoint = NULL;
        int first = -1, segment;
        uint64_t offset;
        SegmentVec segments = VEC_INIT;
        struct error *e = last_checkpoint(h, &checkpoint, &first);
        if (e)
                goto out;
        if (r->snapshot.dir) {
                first = r->snapshot.segment - 1; /* what a checkpoint says is in it */
        } else if (checkpoint) {
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

/* ---- the snapshot ---- */

/* Chunk files have the first part of a chunk: someone who did not look at the snapshot cut it elsewhere. */
static struct error *append_rest(struct replay *r, uint32_t slot, struct series_slot *s, const struct chunk *c)
{
        struct head *h = r->h;
        size_t n = chunk_samples(c->encoding, c->data);
        arena_clear(&r->arena);
        TimeMs *t = arena_try_alloc(&r->arena, n * sizeof *t + 1);
        bool is_float = chunk_encoding_is_float(c->encoding);
        double *v = arena_try_alloc(&r->arena, n * sizeof *v + 1);
        struct histogram_sample *x = is_float ? NULL : arena_try_alloc(&r->arena, n * sizeof *x + 1);
        if (!t || !v || (!is_float && !x))
                return error_new(ERROR_LIMIT, "chunk of %zu samples is too large", n);
        struct error *e = is_float ? chunk_decode(c, TIME_MS_MAX, t, v, &n)
                                   : histogram_decode_raw(c, TIME_MS_MIN, TIME_MS_MAX, &r->arena, t, NULL, x, &n);
        for (size_t i = 0; !e && i < n; i++) {
                if (is_float)
                        series_append_by(&r->writer, h, slot, s, t[i], v[i], 0);
                else if (histogram_sample_is_sound(x[i]))
                        series_append_histogram_by(&r->writer, h, slot, s, t[i], x[i], 0);
        }
        return e;
}

/* The open chunk goes on where it can; of the other kinds it is a full one. */
static struct error *put_chunk(struct replay *r, uint32_t slot, const struct snapshot_series *x)
{
        struct head *h = r->h;
        struct series_slot *s = series_at(h, slot);
        const struct chunk *c = &x->chunk;
        if (c->maxt_ms < h->opts.min_valid_ms || s->open)
                return NULL;
        r->min_ms = MIN(r->min_ms, c->mint_ms);
        r->max_ms = MAX(r->max_ms, c->maxt_ms);
        if (s->n_full && s->last_t >= c->mint_ms)
                return s->last_t >= c->maxt_ms ? NULL : append_rest(r, slot, s, c);
        if (c->encoding == CHUNK_XOR && c->data.n <= UINT16_MAX - 32) {
                series_chunk_restore(&r->writer, h, s, c, x->last_v);
        } else {
                uint8_t *p = writer_alloc(&r->writer, h, c->data.n);
                memcpy(p, c->data.p, c->data.n);
                series_full_push(&r->writer, h, s,
                                 (struct full_chunk){.p = p,
                                                     .mint_ms = c->mint_ms,
                                                     .span_ms = (uint32_t)(c->maxt_ms - c->mint_ms),
                                                     .n_bytes = (uint32_t)c->data.n & 0x7ffffff,
                                                     .is_memory = 1,
                                                     .encoding = (unsigned)c->encoding & 15});
                vec_push(&h->memory_chunks, (struct memory_chunk){slot, s->gen, p, /* is_out_of_order= */ false});
                h->stats.chunks_created++;
                series_note_locked(s, c->maxt_ms, LAST_UNKNOWN_BITS, 0);
        }
        return NULL;
}

static struct error *on_snapshot_series(struct replay *r, Str rec)
{
        struct snapshot_series x;
        uint32_t slot;
        vec_clear(&r->series.labels);
        struct error *e = snapshot_parse_series(rec, &r->series.labels, &x);
        if (!e)
                e = one_series(r, x.ref, &r->series.labels, &slot);
        if (e || slot == UINT32_MAX)
                return e;
        const struct chunk *c = &x.chunk;
        if (x.has_chunk) {
                if (c->maxt_ms < c->mint_ms || (uint64_t)c->maxt_ms - (uint64_t)c->mint_ms > UINT32_MAX ||
                    c->data.n < XOR_HEADER_BYTES || c->data.n >= 1 << 27)
                        return error_new(ERROR_CORRUPT, "chunk of series %llu has impossible times or length",
                                         (unsigned long long)x.ref);
                e = put_chunk(r, slot, &x);
        }
        apply_series(&r->apply, slot);
        r->info->snapshot_series++;
        return e;
}

/* The index lock is held for writing. */
static struct error *on_snapshot_record(struct replay *r, const struct wal_record *rec)
{
        struct error *e;
        if (!rec->has_last)
                r->like = (Labels){NULL, 0};
        switch (rec->bytes.n ? rec->bytes.p[0] : 0) {
        case SNAPSHOT_SERIES:
                return on_snapshot_series(r, rec->bytes);
        case SNAPSHOT_TOMBSTONES:
                vec_clear(&r->stones);
                r->has_stones = true;
                e = snapshot_parse_tombstones(rec->bytes, &r->stones);
                for (size_t i = 0; !e && i < r->stones.n; i++) {
                        uint32_t slot = refs_get(&r->refs, r->stones.p[i].ref);
                        if (slot != UINT32_MAX && r->stones.p[i].range.mint_ms <= r->stones.p[i].range.maxt_ms)
                                tombstones_add(&r->h->tombstones, slot, r->stones.p[i].range);
                }
                return e;
        case SNAPSHOT_EXEMPLARS:
                return exemplars_is_on(r->h->exemplars)
                               ? on_exemplars_locked(r, str_skip(rec->bytes, 1), &(uint64_t){0})
                               : NULL;
        default:
                return error_new(ERROR_CORRUPT, "unsupported snapshot record type %d",
                                 rec->bytes.n ? rec->bytes.p[0] : 0);
        }
}

/* Chunks are looked into by all processors: pages of slots are dealt out. */
struct continuer {
        struct head *h;
        uint32_t first, step;
        struct error *error;
        struct thread thread;
};

static void continue_chunks(void *arg)
{
        struct continuer *c = arg;
        struct head *h = c->h;
        for (uint32_t page = c->first; page * HEAD_PAGE_SLOTS < h->n_slots; page += c->step)
                for (uint32_t i = 0; i < HEAD_PAGE_SLOTS && page * HEAD_PAGE_SLOTS + i < h->n_slots; i++) {
                        struct series_slot *s = series_at(h, page * HEAD_PAGE_SLOTS + i);
                        if (!s->open || s->open_flags & OPEN_HISTOGRAM || s->app.n) /* not from the snapshot as it stands */
                                continue;
                        c->error = series_chunk_continue(h, s);
                        if (c->error)
                                return;
                }
}

static struct error *continue_all(struct replay *r)
{
        struct continuer all[APPLY_LANES_MAX];
        uint32_t n = r->h->n_slots > 4 * HEAD_PAGE_SLOTS ? (uint32_t)r->apply.n_lanes : 1;
        struct error *e = NULL;
        for (uint32_t i = 0; i < n; i++)
                all[i] = (struct continuer){.h = r->h, .first = i, .step = n};
        for (uint32_t i = 1; i < n; i++)
                error_ignore(thread_start(&all[i].thread, "snapshot", continue_chunks, &all[i]), "done here then");
        for (uint32_t i = 0; i < n; i++)
                if (!all[i].thread.started)
                        continue_chunks(&all[i]);
        for (uint32_t i = 0; i < n; i++) {
                thread_join(&all[i].thread);
                e = error_join(e, all[i].error);
        }
        return e;
}

static struct error *load_snapshot(struct replay *r)
{
        struct wal_ahead *log;
        struct error *e = wal_ahead_open(r->snapshot.dir, 0, WAL_ALL_SEGMENTS, 0, &log);
        if (e)
                return e;
        rwlock_write(&r->h->index_lock);
        while (!e) {
                struct wal_record rec;
                e = wal_ahead_next(log, &rec);
                if (e || !rec.is_there)
                        break;
                if (r->h->opts.cancel && __atomic_load_n(r->h->opts.cancel, __ATOMIC_RELAXED))
                        e = error_new(ERROR_CANCELLED, "cancelled");
                else
                        e = on_snapshot_record(r, &rec);
        }
        rwlock_unlock(&r->h->index_lock);
        wal_ahead_close(log);
        if (!e && !r->has_stones)
                e = error_new(ERROR_CORRUPT, "%s: it ends too early", r->snapshot.dir);
        return e ? e : continue_all(r);
}

/* What was removed or written since does not fit it any more. */
static const char *why_outdated(struct replay *r, int checkpoint, const SegmentVec *segments)
{
        const struct snapshot *s = &r->snapshot;
        int seq;
        uint64_t bytes;
        mapper_newest(r->h->mapper, &seq, &bytes);
        if (r->info->mmap_corruptions)
                return "chunk files were damaged";
        if (s->is_ours && (seq < s->chunk_file || (seq == s->chunk_file && bytes < s->chunk_file_bytes)))
                return "chunk files are missing";
        if (checkpoint >= s->segment)
                return "a checkpoint of the log is newer";
        if (!segments->n || segments->p[0] > s->segment || segments->p[segments->n - 1] < s->segment)
                return "last WAL file is behind snapshot";
        char *path = wal_segment_path(r->h->wal_dir, s->segment);
        struct error *e = file_size(path, &bytes);
        bool is_short = e || bytes < s->offset;
        error_free(e);
        free(path);
        return is_short ? "last WAL file is behind snapshot" : NULL;
}

/* The snapshot is gone, and nothing of it is in the head: it was not asked for yet. */
static struct error *pass_over_snapshot(struct replay *r, const char *why)
{
        log_warn("tsdb", "Chunk snapshot is outdated, removing it", KV_S("dir", r->snapshot.dir), KV_S("why", why));
        snapshot_done(&r->snapshot);
        return snapshot_delete(r->h->dir, INT_MAX);
}

static struct error *bad_snapshot(struct replay *r, struct error *take_why, bool *ret_again)
{
        log_error("tsdb", "Failed to load chunk snapshot", KV_E(take_why));
        struct error *late = snapshot_delete(r->h->dir, INT_MAX);
        *ret_again = !late;
        return error_join(take_why, late);
}

static struct error *read_snapshot(struct replay *r, bool *ret_again)
{
        struct head *h = r->h;
        SegmentVec segments = VEC_INIT;
        char *checkpoint = NULL;
        int index = -1;
        struct error *e = snapshot_find(h->dir, &r->snapshot);
        if (e)
                goto bad;
        if (!r->snapshot.dir)
                return NULL;
        e = last_checkpoint(h, &checkpoint, &index);
        free(checkpoint);
        if (!e)
                e = wal_segments(h->wal_dir, &segments);
        const char *why = e ? NULL : why_outdated(r, index, &segments);
        vec_done(&segments);
        if (e)
                return e;
        if (why)
                return pass_over_snapshot(r, why);
        e = load_snapshot(r);
        if (error_is(e, ERROR_CANCELLED))
                return e;
        if (e)
                goto bad;
        for (size_t i = 0; i < r->snapshot.keep.n; i++)
                vec_push(&h->expiries, (struct wal_expiry){r->snapshot.keep.p[i].ref, r->snapshot.keep.p[i].until_ms});
        if (!r->snapshot.is_ours) /* references of series that went before it are not used again, it is hoped */
                r->snapshot.next_ref = r->max_ref + (1 << 20);
        log_info("tsdb", "chunk snapshot loaded", KV_S("dir", r->snapshot.dir),
                 KV_I("num_series", r->info->snapshot_series));
        return NULL;
bad:
        return bad_snapshot(r, e, ret_again);
}

struct error *head_replay(struct head *h, struct head_open_info *info, bool *ret_again)
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
        e = read_snapshot(&r, ret_again);
        info->snapshot_seconds = (double)(time_mono_ns() - from_ns) / 1e9;
        if (e)
                goto out;
        from_ns = time_mono_ns();
        e = read_wal(&r);
        if (!e)
                e = head_replay_ooo(h, info, slot_of, &r);
        uint64_t unknown = info->unknown_refs + info->unknown_ooo_refs;
        if (!e && r.snapshot.dir && unknown) /* the logs know a series by two references, the snapshot by one */
                e = bad_snapshot(&r,
                                 error_new(ERROR_CORRUPT, "%llu samples are of series that are not in it",
                                           (unsigned long long)unknown),
                                 ret_again);
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
        h->next_wal_ref = MAX(r.max_ref + 1, r.snapshot.next_ref);
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
        slab_trim(&h->slab);
        refs_done(&r.refs);
        vec_done(&r.mapped);
        refs_done(&r.mapped_last);
        vec_done(&r.mapped_ooo);
        record_series_iter_done(&r.series);
        for (size_t i = 0; i < ARRAY_LEN(r.labels); i++) {
                vec_done(&r.labels[i]);
                vec_done(&r.pairs[i]);
        }
        vec_done(&r.samples);
        vec_done(&r.tombstones);
        vec_done(&r.stones);
        snapshot_done(&r.snapshot);
        vec_done(&r.histograms);
        arena_done(&r.arena);
        return e;
}
