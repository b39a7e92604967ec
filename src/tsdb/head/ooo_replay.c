/* SPDX-License-Identifier: Apache-2.0 */
/* Reading the out-of-order log back, after the chunk files and the log, which know the series.  Upstream:
 * tsdb/head_wal.go, loadWBL. */
#include "base/file.h"
#include "base/log.h"
#include "tsdb/head/private.h"
#include "tsdb/wal/reader.h"
#include "tsdb/wal/record_histogram.h"

enum { HISTOGRAMS_BYTES = 1 << 30 }; /* of one record */
struct ooo_replay {
        struct head *h;
        struct head_open_info *info;
        uint32_t (*slot_of)(void *ctx, uint64_t ref);
        void *ctx;
        RecordSampleVec samples;
        RecordHistogramVec histograms;
        RecordMarkerVec markers;
        struct arena arena;
};

static void insert(struct ooo_replay *r, uint64_t ref, TimeMs t, double v, struct histogram_sample x)
{
        uint32_t slot = r->slot_of(r->ctx, ref);
        if (slot == UINT32_MAX)
                r->info->unknown_ooo_refs++;
        else
                ooo_insert_locked(r->h, slot, t, v, x);
}

static struct error *on_samples(struct ooo_replay *r, Str rec)
{
        vec_clear(&r->samples);
        struct error *e = record_samples(rec, &r->samples);
        for (size_t i = 0; !e && i < r->samples.n; i++)
                insert(r, r->samples.p[i].ref, r->samples.p[i].t, r->samples.p[i].v, (struct histogram_sample){NULL, NULL});
        return e;
}

static struct error *on_histograms(struct ooo_replay *r, Str rec)
{
        vec_clear(&r->histograms);
        arena_clear(&r->arena);
        struct error *e = record_histograms(rec, &r->arena, &r->histograms);
        for (size_t i = 0; !e && i < r->histograms.n; i++) {
                const struct record_histogram *x = &r->histograms.p[i];
                if (histogram_sample_is_sound(x->h))
                        insert(r, x->ref, x->t, histogram_sample_sum(x->h), x->h);
        }
        return e;
}

/* What the log had of the series so far is in a chunk, if the files have that. */
static struct error *on_markers(struct ooo_replay *r, Str rec)
{
        vec_clear(&r->markers);
        struct error *e = record_markers_decode(rec, &r->markers);
        for (size_t i = 0; !e && i < r->markers.n; i++) {
                uint32_t slot = r->slot_of(r->ctx, r->markers.p[i].ref);
                if (slot == UINT32_MAX)
                        r->info->unknown_ooo_refs++;
                else
                        ooo_mark(r->h, slot, r->markers.p[i].chunk_ref);
        }
        return e;
}

static struct error *on_record(struct ooo_replay *r, Str rec)
{
        enum record_type type = record_type(rec);
        struct error *e = NULL;
        if (type == RECORD_SAMPLES || type == RECORD_SAMPLES_V2)
                e = on_samples(r, rec);
        else if (type == RECORD_MMAP_MARKERS)
                e = on_markers(r, rec);
        else if (record_is_histogram(type))
                e = on_histograms(r, rec);
        ooo_forget_items_locked(r->h);
        if (!e && r->h->memory_chunks.n > 4096)
                e = head_flush_chunks_locked(r->h);
        return e;
}

static struct error *read_log(struct ooo_replay *r, int last, int *ret_segment, uint64_t *ret_offset)
{
        struct wal_reader *reader;
        struct error *e = wal_reader_open(r->h->ooo.dir, 0, last, &reader);
        if (e)
                return e;
        for (;;) {
                Str rec;
                bool more;
                e = wal_reader_next(reader, &rec, &more);
                if (wal_reader_segment(reader) != *ret_segment) {
                        *ret_segment = wal_reader_segment(reader);
                        *ret_offset = 0;
                }
                if (e || !more)
                        break;
                if (r->h->opts.cancel && __atomic_load_n(r->h->opts.cancel, __ATOMIC_RELAXED))
                        e = error_new(ERROR_CANCELLED, "cancelled");
                else
                        e = on_record(r, rec);
                if (e)
                        break;
                *ret_offset = wal_reader_offset(reader);
        }
        wal_reader_close(reader);
        return e;
}

struct error *head_replay_ooo(struct head *h, struct head_open_info *info, uint32_t (*slot_of)(void *ctx, uint64_t ref),
                              void *ctx)
{
        struct ooo_replay r = {.h = h, .info = info, .slot_of = slot_of, .ctx = ctx};
        SegmentVec segments = VEC_INIT;
        int segment = -1;
        uint64_t offset = 0;
        arena_init(&r.arena, HISTOGRAMS_BYTES);
        struct error *e = file_exists(h->ooo.dir) ? wal_segments(h->ooo.dir, &segments) : NULL;
        if (!e && segments.n)
                e = read_log(&r, segments.p[segments.n - 1], &segment, &offset);
        if (error_is(e, ERROR_CORRUPT) && segment >= 0) {
                log_warn("tsdb", "Encountered WBL read error, attempting repair", KV_E(e));
                log_warn("tsdb", "Starting corruption repair", KV_I("segment", segment), KV_I("offset", offset));
                error_free(e);
                info->wbl_corruptions++;
                e = wal_repair(h->disk, h->ooo.dir, segment, offset);
        }
        if (info->unknown_ooo_refs)
                log_warn("tsdb", "Unknown series references for ooo WAL replay", KV_I("samples", info->unknown_ooo_refs));
        vec_done(&segments);
        vec_done(&r.samples);
        vec_done(&r.histograms);
        vec_done(&r.markers);
        arena_done(&r.arena);
        return e;
}
