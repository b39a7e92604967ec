/* SPDX-License-Identifier: Apache-2.0 */
/* Native histograms as messages of remote read. */
#include "codec/proto.h"
#include "web/remote_write.h"

static void put_spans(struct buf *b, uint32_t field, const struct span *s, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                size_t at = proto_begin(b, field);
                proto_put_sint(b, 1, s[i].offset);
                proto_put_uint(b, 2, s[i].length);
                proto_end(b, at);
        }
}

static void put_doubles(struct buf *b, uint32_t field, const double *v, size_t n)
{
        if (n)
                proto_put_bytes(b, field, (Str){(const char *)v, n * sizeof *v}); /* little-endian, as this machine is */
}

static void put_deltas(struct buf *b, uint32_t field, const int64_t *v, size_t n)
{
        if (!n)
                return;
        size_t at = proto_begin(b, field);
        for (size_t i = 0; i < n; i++)
                buf_put_varint(b, v[i]);
        proto_end(b, at);
}

/* One of a oneof: written even if it is zero. */
static void put_choice_uint(struct buf *b, uint32_t field, uint64_t v)
{
        buf_put_uvarint(b, (uint64_t)field << 3);
        buf_put_uvarint(b, v);
}

static void put_choice_f64(struct buf *b, uint32_t field, double v)
{
        buf_put_uvarint(b, (uint64_t)field << 3 | 1);
        buf_append(b, &v, sizeof v);
}

void remote_put_histogram(struct buf *b, uint32_t field, TimeMs t, struct histogram_sample s)
{
        size_t at = proto_begin(b, field);
        const struct int_histogram *i = s.i;
        const struct histogram *f = s.f;
        if (i)
                put_choice_uint(b, 1, i->count);
        else
                put_choice_f64(b, 2, f->count);
        proto_put_f64(b, 3, i ? i->sum : f->sum);
        proto_put_sint(b, 4, i ? i->schema : f->schema);
        proto_put_f64(b, 5, i ? i->zero_threshold : f->zero_threshold);
        if (i)
                put_choice_uint(b, 6, i->zero_count);
        else
                put_choice_f64(b, 7, f->zero_count);
        if (i) {
                put_spans(b, 8, i->neg.spans, i->neg.n_spans);
                put_deltas(b, 9, i->neg.deltas, i->neg.n);
                put_spans(b, 11, i->pos.spans, i->pos.n_spans);
                put_deltas(b, 12, i->pos.deltas, i->pos.n);
        } else {
                put_spans(b, 8, f->neg.spans, f->neg.n_spans);
                put_doubles(b, 10, f->neg.counts, f->neg.n);
                put_spans(b, 11, f->pos.spans, f->pos.n_spans);
                put_doubles(b, 13, f->pos.counts, f->pos.n);
        }
        proto_put_uint(b, 14, (uint64_t)(i ? i->reset : f->reset));
        proto_put_uint(b, 15, (uint64_t)t);
        put_doubles(b, 16, i ? i->bounds : f->bounds, i ? i->n_bounds : f->n_bounds);
        proto_end(b, at);
}
