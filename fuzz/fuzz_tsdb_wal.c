/* SPDX-License-Identifier: Apache-2.0 */
/* A segment of the log in memory: framing, decompression, every record decoder. */
#include "tsdb/wal/reader.h"
#include "tsdb/wal/record_histogram.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(Str rec)
{
        RecordSampleVec samples = VEC_INIT;
        RecordTombstoneVec tombstones = VEC_INIT;
        RecordExemplarVec exemplars = VEC_INIT;
        RecordMetadataVec metadata = VEC_INIT;
        struct record_series_iter it;
        bool more = true;
        record_series_iter_init(&it);
        struct error *e = record_series_open(&it, rec);
        while (!e && more)
                e = record_series_next(&it, &more);
        error_free(e);
        error_free(record_samples(rec, &samples));
        error_free(record_tombstones(rec, &tombstones));
        error_free(record_exemplars_decode(rec, &exemplars));
        error_free(record_metadata(rec, &metadata));
        struct arena arena;
        RecordHistogramVec histograms = VEC_INIT;
        arena_init(&arena, 64 << 20);
        error_free(record_histograms(rec, &arena, &histograms));
        for (size_t i = 0; i < histograms.n; i++)
                error_free(histogram_sample_check(histograms.p[i].h));
        vec_done(&histograms);
        arena_done(&arena);
        record_series_iter_done(&it);
        vec_done(&samples);
        vec_done(&tombstones);
        vec_done(&exemplars);
        vec_done(&metadata);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        decode((Str){(const char *)data, size});
        struct wal_reader *r = wal_reader_new_bytes((Str){(const char *)data, size});
        for (;;) {
                Str rec;
                bool more;
                struct error *e = wal_reader_next(r, &rec, &more);
                error_free(e);
                if (e || !more)
                        break;
                decode(rec);
        }
        wal_reader_close(r);
        return 0;
}
