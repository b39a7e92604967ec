/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/wal/checkpoint.h"

#include <errno.h>
#include <stdio.h>

#include "base/file.h"
#include "tsdb/wal/reader.h"
#include "tsdb/wal/record_histogram.h"

#define PREFIX "checkpoint."
enum { BATCH_BYTES = 1 << 20, HISTOGRAMS_BYTES = 1 << 30 };

static bool parse_name(const char *name, int *ret)
{
        uint64_t n;
        Str s = str_from(name);
        if (!str_has_prefix(s, STR(PREFIX)) || !str_to_u64(str_skip(s, sizeof PREFIX - 1), &n) || n > INT32_MAX)
                return false;
        *ret = (int)n;
        return true;
}

struct error *checkpoint_last(const char *wal_dir, char **ret_dir, int *ret_index)
{
        PathVec names = VEC_INIT;
        struct error *e = dir_list(wal_dir, &names);
        int best = -1, index;
        const char *best_name = NULL;
        for (size_t i = 0; !e && i < names.n; i++)
                if (parse_name(names.p[i], &index) && index > best) {
                        best = index;
                        best_name = names.p[i];
                }
        if (!e && !best_name)
                e = error_new(ERROR_NOT_FOUND, "no checkpoint");
        if (!e) {
                *ret_dir = path_join(wal_dir, best_name);
                *ret_index = best;
        }
        path_vec_done(&names);
        return e;
}

static struct error *remove_where(const char *wal_dir, bool temp, int below)
{
        PathVec names = VEC_INIT;
        struct error *e = dir_list(wal_dir, &names);
        for (size_t i = 0; !e && i < names.n; i++) {
                int index;
                Str name = str_from(names.p[i]);
                bool is_temp = str_has_prefix(name, STR(PREFIX)) && str_has_suffix(name, STR(".tmp"));
                if (temp ? !is_temp : !(parse_name(names.p[i], &index) && index < below))
                        continue;
                char *path = path_join(wal_dir, names.p[i]);
                e = dir_remove_all(path);
                free(path);
        }
        path_vec_done(&names);
        return e;
}

struct error *checkpoint_delete_below(const char *wal_dir, int index)
{
        return remove_where(wal_dir, /* temp= */ false, index);
}

struct error *checkpoint_delete_temp(const char *wal_dir)
{
        return remove_where(wal_dir, /* temp= */ true, 0);
}

struct sieve {
        const struct checkpoint_opts *o;
        struct buf rec;
        struct record_series_iter series;
        RecordSampleVec samples;
        RecordTombstoneVec tombstones;
        RecordExemplarVec exemplars;
        RecordMetadataVec metadata;
        RecordHistogramVec histograms;
        struct arena arena; /* of one record's histograms */
};

static struct error *sift_series(struct sieve *s, Str rec)
{
        bool more, any = false;
        struct error *e = record_series_open(&s->series, rec);
        while (!e) {
                e = record_series_next(&s->series, &more);
                if (e || !more)
                        break;
                if (!s->o->keep(s->o->ctx, s->series.ref))
                        continue;
                if (!any)
                        record_series_begin(&s->rec);
                any = true;
                record_series_add(&s->rec, s->series.ref, (Labels){s->series.labels.p, s->series.labels.n});
        }
        return e;
}

static struct error *sift_samples(struct sieve *s, Str rec)
{
        vec_clear(&s->samples);
        struct error *e = record_samples(rec, &s->samples);
        struct samples_encoder enc;
        bool any = false;
        for (size_t i = 0; !e && i < s->samples.n; i++) {
                const struct record_sample *x = &s->samples.p[i];
                if (x->t < s->o->mint_ms)
                        continue;
                if (!any)
                        enc = record_samples_begin(&s->rec, x->ref, x->t);
                any = true;
                record_samples_add(&enc, &s->rec, x->ref, x->t, x->v);
        }
        return e;
}

static struct error *sift_histograms(struct sieve *s, Str rec)
{
        vec_clear(&s->histograms);
        arena_clear(&s->arena);
        struct error *e = record_histograms(rec, &s->arena, &s->histograms);
        size_t n = 0;
        for (size_t i = 0; !e && i < s->histograms.n; i++)
                if (s->histograms.p[i].t >= s->o->mint_ms)
                        s->histograms.p[n++] = s->histograms.p[i];
        if (n)
                record_histograms_put(&s->rec, record_type(rec), s->histograms.p, n);
        return e;
}

static struct error *sift_tombstones(struct sieve *s, Str rec)
{
        vec_clear(&s->tombstones);
        struct error *e = record_tombstones(rec, &s->tombstones);
        bool any = false;
        for (size_t i = 0; !e && i < s->tombstones.n; i++) {
                const struct record_tombstone *t = &s->tombstones.p[i];
                if (t->maxt_ms < s->o->mint_ms || !s->o->keep(s->o->ctx, t->ref))
                        continue;
                if (!any)
                        record_tombstones_begin(&s->rec);
                any = true;
                record_tombstones_add(&s->rec, *t);
        }
        return e;
}

static struct error *sift_exemplars(struct sieve *s, Str rec)
{
        vec_clear(&s->exemplars);
        struct error *e = record_exemplars_decode(rec, &s->exemplars);
        size_t n = 0;
        for (size_t i = 0; !e && i < s->exemplars.n; i++)
                if (s->exemplars.p[i].t >= s->o->mint_ms)
                        s->exemplars.p[n++] = s->exemplars.p[i];
        if (n)
                record_exemplars(&s->rec, s->exemplars.p, n);
        return e;
}

static struct error *sift_metadata(struct sieve *s, Str rec)
{
        vec_clear(&s->metadata);
        struct error *e = record_metadata(rec, &s->metadata);
        for (size_t i = 0; !e && i < s->metadata.n; i++) {
                if (!s->o->keep(s->o->ctx, s->metadata.p[i].ref))
                        continue;
                if (s->rec.n == 0)
                        buf_putc(&s->rec, RECORD_METADATA);
                buf_put(&s->rec, s->metadata.p[i].raw);
        }
        return e;
}

/* What of the record is to be kept, into s->rec (empty: nothing). */
static struct error *sift(struct sieve *s, Str rec)
{
        buf_clear(&s->rec);
        switch (record_type(rec)) {
        case RECORD_SERIES:
                return sift_series(s, rec);
        case RECORD_SAMPLES:
                return sift_samples(s, rec);
        case RECORD_TOMBSTONES:
                return sift_tombstones(s, rec);
        case RECORD_EXEMPLARS:
                return sift_exemplars(s, rec);
        case RECORD_METADATA:
                return sift_metadata(s, rec);
        case RECORD_HISTOGRAMS:
        case RECORD_FLOAT_HISTOGRAMS:
        case RECORD_CUSTOM_HISTOGRAMS:
        case RECORD_CUSTOM_FLOAT_HISTOGRAMS:
                return sift_histograms(s, rec);
        case RECORD_SAMPLES_V2: /* byte for byte as well, as the other records with start times: those would be lost */
        default:
                buf_put(&s->rec, rec);
                return NULL;
        }
}

static struct error *copy(struct wal_reader *r, struct sieve *s, struct wal *to, struct wal_batch *batch)
{
        struct error *e = NULL;
        while (!e) {
                Str rec;
                bool more;
                e = wal_reader_next(r, &rec, &more);
                if (e || !more)
                        break;
                e = sift(s, rec);
                if (!e && s->rec.n)
                        e = wal_batch_add(batch, buf_str(&s->rec));
                if (!e && batch->bytes.n > BATCH_BYTES) {
                        e = wal_log(to, batch);
                        wal_batch_clear(batch);
                }
        }
        if (!e)
                e = wal_log(to, batch);
        wal_batch_clear(batch);
        return e;
}

struct error *checkpoint_create(const char *wal_dir, int to, const struct checkpoint_opts *opts)
{
        const struct disk *disk = opts->disk ? opts->disk : &disk_system;
        char name[32], tmp[40];
        snprintf(name, sizeof name, PREFIX "%08d", to);
        snprintf(tmp, sizeof tmp, "%s.tmp", name);
        char *path = path_join(wal_dir, name), *tmp_path = path_join(wal_dir, tmp), *last_dir = NULL;
        int last = -1;
        struct wal *out = NULL;
        struct wal_reader *r = NULL;
        struct wal_batch batch;
        struct sieve s = {.o = opts};
        buf_init(&s.rec, BUF_NO_LIMIT);
        arena_init(&s.arena, HISTOGRAMS_BYTES);
        record_series_iter_init(&s.series);
        wal_batch_init(&batch, opts->compression);

        struct error *e = checkpoint_delete_temp(wal_dir);
        if (e)
                goto out;
        e = checkpoint_last(wal_dir, &last_dir, &last);
        if (error_is(e, ERROR_NOT_FOUND)) {
                error_ignore(e, "the first checkpoint");
                e = NULL;
        }
        if (e || last >= to)
                goto out;
        struct wal_opts wo = {.segment_bytes = opts->segment_bytes, .disk = disk};
        e = wal_open(tmp_path, &wo, &out);
        if (e)
                goto out;
        if (last_dir) {
                e = wal_reader_open(last_dir, 0, WAL_ALL_SEGMENTS, &r);
                if (!e)
                        e = copy(r, &s, out, &batch);
                wal_reader_close(r);
                r = NULL;
                if (e)
                        goto out;
        }
        e = wal_reader_open(wal_dir, last + 1, to, &r);
        if (!e)
                e = copy(r, &s, out, &batch);
        if (e)
                goto out;
        e = wal_close(out);
        out = NULL;
        if (!e)
                e = disk_sync_dir(disk, tmp_path);
        if (!e && disk->rename(disk, tmp_path, path) < 0)
                e = error_errno(errno, "rename %s", tmp_path);
        if (!e)
                e = disk_sync_dir(disk, wal_dir);
out:
        if (out)
                error_ignore(wal_close(out), "the checkpoint is given up");
        if (e)
                error_ignore(dir_remove_all(tmp_path), "removed at the next start otherwise");
        wal_reader_close(r);
        wal_batch_done(&batch);
        record_series_iter_done(&s.series);
        vec_done(&s.samples);
        vec_done(&s.tombstones);
        vec_done(&s.exemplars);
        vec_done(&s.metadata);
        vec_done(&s.histograms);
        arena_done(&s.arena);
        buf_done(&s.rec);
        free(path);
        free(tmp_path);
        free(last_dir);
        return e ? error_wrap(e, "create checkpoint") : NULL;
}
