/* SPDX-License-Identifier: Apache-2.0 */
/* remote_write.h — messages of remote write, taken apart series by series. Private to web/.
 *
 *   e = write_series_init(&s, body, is_v2);                         2.0: reads the table of symbols
 *   e = write_each_series(body, is_v2, fn, ctx, &is_garbage);       fn calls write_series_decode_v1 or _v2
 *
 * Strings are borrowed from the body; histograms are the arena's, which is emptied for each series.
 * Format: prompb/remote.proto, prompb/io/prometheus/write/v2/types.proto */
#ifndef WEB_REMOTE_WRITE_H
#define WEB_REMOTE_WRITE_H

#include "storage/storage.h"
#include "web/serve.h"

struct write_sample {
        TimeMs t, start;                /* start 0: not given */
        double v;
        struct histogram_sample h;      /* both NULL: v */
};
struct write_exemplar {
        struct exemplar x;              /* labels: the arena's */
        struct error *fault;            /* owned: what is wrong with it alone; NULL: nothing */
};
struct write_series {
        StrVec symbols;                 /* 2.0 */
        LabelVec list;
        Labels labels;                  /* sorted, without empty values; may have a name twice */
        VEC(struct write_sample) samples;       /* floats, then histograms */
        VEC(struct write_exemplar) exemplars;
};
struct error *write_series_init(struct write_series *s, Str body, bool is_v2) MUST_CHECK;
void write_series_done(struct write_series *s);
/* Stops at the first error of fn; *ret_garbage: it was the message's. */
struct error *write_each_series(Str body, bool is_v2, struct error *(*fn)(void *ctx, Str series), void *ctx, bool *ret_garbage) MUST_CHECK;
struct error *write_series_decode_v1(struct write_series *s, struct arena *a, Str bytes) MUST_CHECK;
/* *ret_fault: what is wrong with this series alone. */
struct error *write_series_decode_v2(struct write_series *s, struct arena *a, Str bytes, bool type_and_unit_labels, struct error **ret_fault) MUST_CHECK;

/* A prometheus.Histogram. */
void remote_put_histogram(struct buf *b, uint32_t field, TimeMs t, struct histogram_sample s);

#endif
