/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/wal/record_histogram.h"

#include "base/float_bits.h"
#include "codec/varint.h"

/* ---- encoding ---- */

enum record_type record_histogram_type(struct histogram_sample h)
{
        if (h.i)
                return h.i->schema == HISTOGRAM_SCHEMA_CUSTOM ? RECORD_CUSTOM_HISTOGRAMS : RECORD_HISTOGRAMS;
        return h.f->schema == HISTOGRAM_SCHEMA_CUSTOM ? RECORD_CUSTOM_FLOAT_HISTOGRAMS : RECORD_FLOAT_HISTOGRAMS;
}

static void put_f64(struct buf *b, double v)
{
        buf_put_be64(b, float_bits(v));
}

static void put_spans(struct buf *b, const struct span *s, uint32_t n)
{
        buf_put_uvarint(b, n);
        for (uint32_t i = 0; i < n; i++) {
                buf_put_varint(b, s[i].offset);
                buf_put_uvarint(b, s[i].length);
        }
}

static void put_deltas(struct buf *b, const int64_t *v, uint32_t n)
{
        buf_put_uvarint(b, n);
        for (uint32_t i = 0; i < n; i++)
                buf_put_varint(b, v[i]);
}

static void put_floats(struct buf *b, const double *v, uint32_t n)
{
        buf_put_uvarint(b, n);
        for (uint32_t i = 0; i < n; i++)
                put_f64(b, v[i]);
}

static void put_int(struct buf *b, const struct int_histogram *h)
{
        buf_putc(b, (char)h->reset);
        buf_put_varint(b, h->schema);
        put_f64(b, h->zero_threshold);
        buf_put_uvarint(b, h->zero_count);
        buf_put_uvarint(b, h->count);
        put_f64(b, h->sum);
        put_spans(b, h->pos.spans, h->pos.n_spans);
        put_spans(b, h->neg.spans, h->neg.n_spans);
        put_deltas(b, h->pos.deltas, h->pos.n);
        put_deltas(b, h->neg.deltas, h->neg.n);
        if (h->schema == HISTOGRAM_SCHEMA_CUSTOM)
                put_floats(b, h->bounds, h->n_bounds);
}

static void put_float(struct buf *b, const struct histogram *h)
{
        buf_putc(b, (char)h->reset);
        buf_put_varint(b, h->schema);
        put_f64(b, h->zero_threshold);
        put_f64(b, h->zero_count);
        put_f64(b, h->count);
        put_f64(b, h->sum);
        put_spans(b, h->pos.spans, h->pos.n_spans);
        put_spans(b, h->neg.spans, h->neg.n_spans);
        put_floats(b, h->pos.counts, h->pos.n);
        put_floats(b, h->neg.counts, h->neg.n);
        if (h->schema == HISTOGRAM_SCHEMA_CUSTOM)
                put_floats(b, h->bounds, h->n_bounds);
}

void record_histogram_body_put(struct buf *b, struct histogram_sample h)
{
        if (h.i)
                put_int(b, h.i);
        else
                put_float(b, h.f);
}

bool record_histograms_put(struct buf *b, enum record_type type, const struct record_histogram *v, size_t n)
{
        const struct record_histogram *first = NULL;
        for (size_t i = 0; i < n; i++) {
                if (record_histogram_type(v[i].h) != type)
                        continue;
                if (!first) {
                        first = &v[i];
                        buf_putc(b, (char)type);
                        buf_put_be64(b, first->ref);
                        buf_put_be64(b, (uint64_t)first->t);
                }
                buf_put_varint(b, (int64_t)(v[i].ref - first->ref));
                buf_put_varint(b, (int64_t)((uint64_t)v[i].t - (uint64_t)first->t));
                record_histogram_body_put(b, v[i].h);
        }
        return first != NULL;
}

/* ---- decoding ---- */

struct in {
        struct cursor c;
        struct arena *a;
        bool no_memory;
};

static double take_f64(struct cursor *c)
{
        return float_of_bits(take_be64(c));
}

/* A count of things that take at least `each` bytes, and the memory for them. */
static void *take_array(struct in *in, size_t each, size_t size, uint32_t *ret_n)
{
        uint64_t n = take_uvarint(&in->c);
        *ret_n = 0;
        if (in->c.bad || n > (size_t)(in->c.end - in->c.p) / each) {
                in->c.bad = true;
                return NULL;
        }
        if (n == 0)
                return NULL;
        void *p = arena_try_alloc(in->a, arena_array_bytes(n, size));
        if (!p) {
                in->no_memory = in->c.bad = true;
                return NULL;
        }
        *ret_n = (uint32_t)n;
        return p;
}

static const struct span *take_spans(struct in *in, uint32_t *ret_n)
{
        struct span *s = take_array(in, 2, sizeof *s, ret_n);
        for (uint32_t i = 0; i < *ret_n; i++) {
                s[i].offset = (int32_t)take_varint(&in->c);
                s[i].length = (uint32_t)take_uvarint(&in->c);
        }
        return s;
}

static double *take_floats(struct in *in, uint32_t *ret_n)
{
        double *v = take_array(in, 8, sizeof *v, ret_n);
        for (uint32_t i = 0; i < *ret_n; i++)
                v[i] = take_f64(&in->c);
        return v;
}

static int64_t *take_deltas(struct in *in, uint32_t *ret_n)
{
        int64_t *v = take_array(in, 1, sizeof *v, ret_n);
        for (uint32_t i = 0; i < *ret_n; i++)
                v[i] = take_varint(&in->c);
        return v;
}

static void take_int(struct in *in, struct histogram_sample *ret)
{
        struct int_histogram *h = arena_try_alloc(in->a, sizeof *h);
        if (!h) {
                in->no_memory = in->c.bad = true;
                return;
        }
        struct cursor *c = &in->c;
        *h = (struct int_histogram){.reset = (enum counter_reset)(take_u8(c) & 3)};
        h->schema = (int32_t)take_varint(c);
        h->zero_threshold = take_f64(c);
        h->zero_count = take_uvarint(c);
        h->count = take_uvarint(c);
        h->sum = take_f64(c);
        h->pos.spans = take_spans(in, &h->pos.n_spans);
        h->neg.spans = take_spans(in, &h->neg.n_spans);
        h->pos.deltas = take_deltas(in, &h->pos.n);
        h->neg.deltas = take_deltas(in, &h->neg.n);
        if (h->schema == HISTOGRAM_SCHEMA_CUSTOM)
                h->bounds = take_floats(in, &h->n_bounds);
        ret->i = h;
}

static void take_float(struct in *in, struct histogram_sample *ret)
{
        struct histogram *h = arena_try_alloc(in->a, sizeof *h);
        if (!h) {
                in->no_memory = in->c.bad = true;
                return;
        }
        struct cursor *c = &in->c;
        *h = (struct histogram){.reset = (enum counter_reset)(take_u8(c) & 3)};
        h->schema = (int32_t)take_varint(c);
        h->zero_threshold = take_f64(c);
        h->zero_count = take_f64(c);
        h->count = take_f64(c);
        h->sum = take_f64(c);
        h->pos.spans = take_spans(in, &h->pos.n_spans);
        h->neg.spans = take_spans(in, &h->neg.n_spans);
        h->pos.counts = take_floats(in, &h->pos.n);
        h->neg.counts = take_floats(in, &h->neg.n);
        if (h->schema == HISTOGRAM_SCHEMA_CUSTOM)
                h->bounds = take_floats(in, &h->n_bounds);
        ret->f = h;
}

struct error *record_histograms(Str rec, struct arena *a, RecordHistogramVec *ret)
{
        enum record_type type = record_type(rec);
        if (!record_is_histogram(type))
                return error_new(ERROR_CORRUPT, "invalid record type");
        if (rec.n == 1)
                return NULL;
        bool is_v2 = type == RECORD_HISTOGRAMS_V2 || type == RECORD_FLOAT_HISTOGRAMS_V2,
             is_int = type == RECORD_HISTOGRAMS || type == RECORD_CUSTOM_HISTOGRAMS || type == RECORD_HISTOGRAMS_V2;
        struct in in = {.c = cursor_of(str_skip(rec, 1)), .a = a};
        struct cursor *c = &in.c;
        uint64_t ref = is_v2 ? (uint64_t)take_varint(c) : take_be64(c);
        uint64_t first_t = is_v2 ? (uint64_t)take_varint(c) : take_be64(c);
        TimeMs first_start = is_v2 ? take_varint(c) : 0, start = first_start;
        for (bool is_first = true; c->p < c->end && !c->bad; is_first = false) {
                struct record_histogram x = {.ref = ref, .t = (TimeMs)first_t, .start = start};
                if (!is_v2) {
                        x.ref = ref + (uint64_t)take_varint(c);
                        x.t = (TimeMs)(first_t + (uint64_t)take_varint(c));
                } else if (!is_first) {
                        x.ref = ref += (uint64_t)take_varint(c);
                        x.t = (TimeMs)(first_t + (uint64_t)take_varint(c));
                        switch (take_u8(c)) { /* 0 none, 1 as the one before, else explicit */
                        case 0:
                                start = 0;
                                break;
                        case 1:
                                break;
                        default:
                                start = (TimeMs)((uint64_t)first_start + (uint64_t)take_varint(c));
                        }
                        x.start = start;
                }
                if (is_int)
                        take_int(&in, &x.h);
                else
                        take_float(&in, &x.h);
                if (c->bad || !schema_is_known(x.h.i ? x.h.i->schema : x.h.f->schema))
                        continue;
                struct error *e = histogram_sample_reduce_reserved(a, &x.h);
                if (e)
                        return error_is(e, ERROR_LIMIT)
                                       ? e
                                       : error_wrap(e, "error reducing resolution of histogram #%zu", ret->n + 1);
                vec_push(ret, x);
        }
        if (in.no_memory)
                return error_new(ERROR_LIMIT, "memory limit of %zu bytes reached while decoding histograms",
                                 a->limit_bytes);
        return c->bad ? error_new(ERROR_CORRUPT, "decode error after %zu histograms: invalid size", ret->n) : NULL;
}
