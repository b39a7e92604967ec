/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the head back: chunk files, then the checkpoint, then the segments.  Upstream: tsdb/head.go Init,
 * tsdb/head_wal.go. */
#include <stdlib.h>

#include "base/file.h"
#include "base/log.h"
#include "tsdb/head/private.h"
#include "tsdb/wal/checkpoint.h"
#include "tsdb/wal/reader.h"
#include "tsdb/wal/record_histogram.h"

enum { HISTOGRAMS_BYTES = 1 << 30 }; /* of one record */
struct mapped {
        uint64_t series_ref;
        struct chunk chunk;
};
struct replay {
        struct head *h;
        struct head_open_info *info;
        VEC(struct mapped) mapped; /* ascending by series, then by place */
        uint64_t *refs;            /* open addressing: the log's reference, 0: free */
        uint32_t *slots;
        size_t cap, n;
        uint64_t max_ref;
        TimeMs min_ms, max_ms;
        struct record_series_iter series;
        LabelVec labels;
        RecordSampleVec samples;
        RecordTombstoneVec tombstones;
        RecordHistogramVec histograms;
        struct arena arena; /* of one record's histograms */
};

/* ---- references of the log ---- */

static size_t ref_place(const struct replay *r, uint64_t ref)
{
        size_t i = (size_t)(ref * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (r->cap - 1);
        while (r->refs[i] && r->refs[i] != ref)
                i = (i + 1) & (r->cap - 1);
        return i;
}

static uint32_t ref_slot(const struct replay *r, uint64_t ref)
{
        if (!r->cap || !ref)
                return UINT32_MAX;
        size_t i = ref_place(r, ref);
        return r->refs[i] ? r->slots[i] : UINT32_MAX;
}

static void ref_set(struct replay *r, uint64_t ref, uint32_t slot)
{
        if ((r->n + 1) * 2 > r->cap) {
                struct replay old = *r;
                r->cap = old.cap ? old.cap * 2 : 4096;
                r->refs = mem_zalloc(r->cap * sizeof *r->refs);
                r->slots = mem_zalloc(r->cap * sizeof *r->slots);
                for (size_t i = 0; i < old.cap; i++)
                        if (old.refs[i]) {
                                size_t k = ref_place(r, old.refs[i]);
                                r->refs[k] = old.refs[i];
                                r->slots[k] = old.slots[i];
                        }
                free(old.refs);
                free(old.slots);
        }
        size_t i = ref_place(r, ref);
        r->n += !r->refs[i];
        r->refs[i] = ref;
        r->slots[i] = slot;
}

/* ---- chunk files ---- */

static struct error *on_chunk(void *ctx, const struct mapper_chunk *c)
{
        struct replay *r = ctx;
        r->max_ref = MAX(r->max_ref, c->series_ref);
        if (c->is_out_of_order) {
                r->info->skipped_ooo_chunks++;
                return NULL;
        }
        if (c->chunk.maxt_ms < c->chunk.mint_ms ||
            (uint64_t)c->chunk.maxt_ms - (uint64_t)c->chunk.mint_ms > UINT32_MAX || c->chunk.data.n >= 1 << 27)
                return error_new(ERROR_CORRUPT, "chunk of series %llu has impossible times or length",
                                 (unsigned long long)c->series_ref);
        if (c->chunk.maxt_ms >= r->h->opts.min_valid_ms)
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
                r->info->skipped_ooo_chunks = 0;
                /* What is lost here is in the log. */
                e = mapper_drop_from(m, tries ? 0 : mapper_bad_seq(m));
                if (!e)
                        e = mapper_each(m, on_chunk, r);
        }
        if (r->mapped.n)
                qsort(r->mapped.p, r->mapped.n, sizeof *r->mapped.p, by_series);
        return e;
}

/* Chunks that the file has under ref become those of the slot. */
static void attach_mapped(struct replay *r, uint64_t ref, uint32_t slot)
{
        struct head *h = r->h;
        struct series_slot *s = series_at(h, slot);
        size_t lo = 0, hi = r->mapped.n;
        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                if (r->mapped.p[mid].series_ref < ref)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        for (; lo < r->mapped.n && r->mapped.p[lo].series_ref == ref; lo++) {
                const struct chunk *c = &r->mapped.p[lo].chunk;
                if (s->n_full && s->full[s->n_full - 1].mint_ms + s->full[s->n_full - 1].span_ms >= c->mint_ms)
                        continue;
                /* A chunk that was filled by the log so far is in a block by now, or is this very chunk. */
                if (s->open)
                        series_drop_open_locked(h, s);
                series_full_push_locked(h, s,
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
static Labels clean_labels(struct replay *r)
{
        vec_clear(&r->labels);
        bool sorted = true;
        for (size_t i = 0; i < r->series.labels.n; i++) {
                Label l = r->series.labels.p[i];
                if (!l.value.n)
                        continue;
                if (r->labels.n && str_cmp(r->labels.p[r->labels.n - 1].name, l.name) >= 0)
                        sorted = false;
                vec_push(&r->labels, l);
        }
        if (!sorted) {
                labels_sort(r->labels.p, r->labels.n);
                size_t n = 1;
                for (size_t i = 1; i < r->labels.n; i++)
                        if (!str_eq(r->labels.p[i].name, r->labels.p[n - 1].name))
                                r->labels.p[n++] = r->labels.p[i];
                r->labels.n = n;
        }
        return (Labels){r->labels.p, r->labels.n};
}

static struct error *on_series(struct replay *r, Str rec)
{
        struct head *h = r->h;
        struct error *e = record_series_open(&r->series, rec);
        for (bool more; !e;) {
                e = record_series_next(&r->series, &more);
                if (e || !more)
                        break;
                uint64_t ref = r->series.ref;
                r->max_ref = MAX(r->max_ref, ref);
                Labels ls = clean_labels(r);
                if (!ref || !ls.n || ls.n > UINT16_MAX || ref_slot(r, ref) != UINT32_MAX)
                        continue;
                bool made;
                uint32_t slot = series_get_or_make(h, ls, ref, /* pin= */ false, &made);
                ref_set(r, ref, slot);
                if (made)
                        h->series_created++;
                else /* the log knows the series by both */
                        vec_push(&h->expiries, (struct wal_expiry){ref, TIME_MS_MAX});
                attach_mapped(r, ref, slot);
        }
        return e;
}

/* Series of a scrape have neighbouring slots and their samples neighbouring places: asking the series behind the last one
 * spares a look into the table, which is far larger than the caches. */
static inline uint32_t sample_slot(const struct replay *r, uint32_t last, uint64_t ref)
{
        uint32_t next = last + 1;
        if (LIKELY(next < r->h->n_slots)) {
                const struct series_slot *s = series_at(r->h, next);
                __builtin_prefetch((const char *)(s + 12), 1);
                __builtin_prefetch((const char *)(s + 12) + 64, 1);
                const struct series_slot *coming = next + 5 < r->h->n_slots ? series_at(r->h, next + 5) : s;
                if (coming->open && !(coming->open_flags & OPEN_HISTOGRAM)) {
                        __builtin_prefetch(coming->open, 1);
                        __builtin_prefetch(coming->open + xor_bytes(&coming->app), 1);
                }
                if (s->wal_ref == ref)
                        return next;
        }
        return ref_slot(r, ref);
}

static struct error *on_samples(struct replay *r, Str rec)
{
        uint32_t last = UINT32_MAX - 1;
        struct head *h = r->h;
        vec_clear(&r->samples);
        struct error *e = record_samples(rec, &r->samples);
        if (e)
                return e;
        TimeMs floor_ms = h->opts.min_valid_ms;
        for (size_t i = 0; i < r->samples.n; i++) {
                const struct record_sample *x = &r->samples.p[i];
                if (x->t < floor_ms)
                        continue;
                uint32_t slot = sample_slot(r, last, x->ref);
                if (slot == UINT32_MAX) {
                        r->info->unknown_refs++;
                        continue;
                }
                last = slot;
                if (!series_append_locked(h, slot, series_at(h, slot), x->t, x->v, 0))
                        continue;
                r->min_ms = MIN(r->min_ms, x->t);
                r->max_ms = MAX(r->max_ms, x->t);
        }
        if (h->memory_chunks.n > 4096)
                return head_flush_chunks_locked(h);
        return NULL;
}

static struct error *on_histograms(struct replay *r, Str rec)
{
        struct head *h = r->h;
        vec_clear(&r->histograms);
        arena_clear(&r->arena);
        struct error *e = record_histograms(rec, &r->arena, &r->histograms);
        if (e)
                return e;
        for (size_t i = 0; i < r->histograms.n; i++) {
                const struct record_histogram *x = &r->histograms.p[i];
                if (x->t < h->opts.min_valid_ms || !histogram_sample_is_sound(x->h))
                        continue;
                uint32_t slot = ref_slot(r, x->ref);
                if (slot == UINT32_MAX) {
                        r->info->unknown_refs++;
                        continue;
                }
                if (!series_append_histogram_locked(h, slot, series_at(h, slot), x->t, x->h, 0))
                        continue;
                r->min_ms = MIN(r->min_ms, x->t);
                r->max_ms = MAX(r->max_ms, x->t);
        }
        return h->memory_chunks.n > 4096 ? head_flush_chunks_locked(h) : NULL;
}

static struct error *on_tombstones(struct replay *r, Str rec)
{
        vec_clear(&r->tombstones);
        struct error *e = record_tombstones(rec, &r->tombstones);
        for (size_t i = 0; !e && i < r->tombstones.n; i++) {
                const struct record_tombstone *t = &r->tombstones.p[i];
                uint32_t slot = ref_slot(r, t->ref);
                if (t->maxt_ms < r->h->opts.min_valid_ms || t->maxt_ms < t->mint_ms)
                        continue;
                if (slot == UINT32_MAX)
                        r->info->unknown_refs++;
                else
                        tombstones_add(&r->h->tombstones, slot, (struct interval){t->mint_ms, t->maxt_ms});
        }
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
        default:
                return record_is_histogram(type) ? on_histograms(r, rec) : NULL;
        }
}

/* On damage *ret_segment and *ret_offset say where the last good record ends. */
static struct error *read_log(struct replay *r, const char *dir, int first, int last, int *ret_segment,
                              uint64_t *ret_offset)
{
        struct wal_reader *reader;
        struct error *e = wal_reader_open(dir, first, last, &reader);
        if (e)
                return e;
        int segment = -1;
        uint64_t good = 0;
        for (;;) {
                Str rec;
                bool more;
                e = wal_reader_next(reader, &rec, &more);
                if (wal_reader_segment(reader) != segment) {
                        segment = wal_reader_segment(reader);
                        good = 0;
                        if (r->h->opts.progress && segment >= 0)
                                r->h->opts.progress(r->h->opts.progress_ctx, first, last, segment);
                }
                if (e || !more)
                        break;
                if (r->h->opts.cancel && __atomic_load_n(r->h->opts.cancel, __ATOMIC_RELAXED)) {
                        e = error_new(ERROR_CANCELLED, "cancelled");
                        break;
                }
                e = on_record(r, rec);
                if (e) {
                        if (error_is(e, ERROR_CORRUPT))
                                e = error_wrap(e, "corruption in segment %s/%08d at %llu", dir, segment,
                                               (unsigned long long)good);
                        break;
                }
                good = wal_reader_offset(reader);
        }
        *ret_segment = segment;
        *ret_offset = good;
        wal_reader_close(reader);
        return e ? error_wrap(e, "read records") : NULL;
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
        int64_t from_ns = time_mono_ns();
        struct error *e = read_chunk_files(&r);
        info->chunks_seconds = (double)(time_mono_ns() - from_ns) / 1e9;
        if (e)
                goto out;
        from_ns = time_mono_ns();
        e = read_wal(&r);
        if (!e)
                e = head_flush_chunks_locked(h);
        info->wal_seconds = (double)(time_mono_ns() - from_ns) / 1e9;
        if (e)
                goto out;
        for (size_t i = 0; i < h->expiries.n; i++)
                h->expiries.p[i].keep_until_ms = MIN(h->expiries.p[i].keep_until_ms, r.max_ms);
        h->next_wal_ref = r.max_ref + 1;
        h->stats.wal_corruptions = info->wal_corruptions;
        h->stats.mmap_corruptions = info->mmap_corruptions;
        if (r.max_ms != TIME_MS_MIN)
                head_widen(h, r.min_ms, r.max_ms);
        head_gc_locked(h, h->opts.min_valid_ms);
        if (info->unknown_refs)
                log_warn("tsdb", "Unknown series references", KV_I("samples", info->unknown_refs));
out:
        free(r.refs);
        free(r.slots);
        vec_done(&r.mapped);
        record_series_iter_done(&r.series);
        vec_done(&r.labels);
        vec_done(&r.samples);
        vec_done(&r.tombstones);
        vec_done(&r.histograms);
        arena_done(&r.arena);
        return e;
}
