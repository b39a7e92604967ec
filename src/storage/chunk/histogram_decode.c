/* SPDX-License-Identifier: Apache-2.0 */
/* Reading histogram chunks. */
#include <math.h>

#include "storage/chunk/histogram_private.h"

static struct error *no_memory(const struct arena *a)
{
        return error_new(ERROR_LIMIT, "memory limit of %zu bytes reached while decoding histograms", a->limit_bytes);
}

static struct error *damaged(const struct histogram_decoder *d)
{
        return error_new(ERROR_CORRUPT, "damaged %s chunk", d->is_int ? "histogram" : "floathistogram");
}

struct error *histogram_decoder_init(struct histogram_decoder *d, enum chunk_encoding encoding, Str data,
                                     struct arena *a)
{
        *d = (struct histogram_decoder){.encoding = encoding, .is_int = chunk_encoding_is_int(encoding)};
        if (data.n < HISTOGRAM_HEADER_BYTES)
                return damaged(d);
        const uint8_t *p = (const uint8_t *)data.p;
        d->n = (unsigned)p[0] << 8 | p[1];
        if (chunk_encoding_has_start(encoding)) {
                d->reset = p[0] & RESET_MASK;
                d->n &= HISTOGRAM_ST_SAMPLES_MAX;
                d->start.known = p[2] >> 7;
                d->start.change_on = p[2] & START_CHANGE_MAX;
        } else {
                d->reset = p[2] & RESET_MASK;
        }
        d->in = bits_in_of(data, HISTOGRAM_HEADER_BYTES);
        return NULL;
}

static struct error *read_spans(struct histogram_decoder *d, struct arena *a, const struct span **ret, uint32_t *ret_n,
                                uint32_t *ret_buckets)
{
        uint64_t n = bits_read_uint(&d->in), total = 0, most = d->in.end - d->in.pos;
        if (d->in.bad || n > most / 2) /* a span takes two bits at least */
                return damaged(d);
        struct span *s = arena_try_alloc(a, (n + 1) * sizeof *s);
        if (!s)
                return no_memory(a);
        for (uint64_t i = 0; i < n; i++) {
                s[i].length = (uint32_t)bits_read_uint(&d->in);
                s[i].offset = (int32_t)bits_read_int(&d->in);
                total += s[i].length;
        }
        if (d->in.bad || total > most) /* and so does a bucket, one */
                return damaged(d);
        *ret = s;
        *ret_n = (uint32_t)n;
        *ret_buckets = (uint32_t)total;
        return NULL;
}

static double read_zero_threshold(struct bits_in *in)
{
        unsigned b = (unsigned)bits_read(in, 8);
        if (b == 0)
                return 0;
        return b == 255 ? float_of_bits(bits_read(in, 64)) : ldexp(0.5, (int)b - 243);
}

static struct error *read_bounds(struct histogram_decoder *d, struct arena *a)
{
        uint64_t n = bits_read_uint(&d->in);
        if (d->in.bad || n > d->in.end - d->in.pos)
                return damaged(d);
        double *v = arena_try_alloc(a, (n + 1) * sizeof *v);
        if (!v)
                return no_memory(a);
        for (uint64_t i = 0; i < n; i++) {
                uint64_t x = bits_read_uint(&d->in);
                v[i] = x ? (double)(x - 1) / 1000 : float_of_bits(bits_read(&d->in, 64));
        }
        d->bounds = v;
        d->n_bounds = (uint32_t)n;
        return NULL;
}

static struct error *read_first(struct histogram_decoder *d, struct arena *a)
{
        struct bits_in *in = &d->in;
        d->zero_threshold = read_zero_threshold(in);
        d->schema = (int32_t)bits_read_int(in);
        struct error *e = read_spans(d, a, &d->pos_spans, &d->n_pos_spans, &d->n_pos);
        if (!e)
                e = read_spans(d, a, &d->neg_spans, &d->n_neg_spans, &d->n_neg);
        if (!e && d->schema == HISTOGRAM_SCHEMA_CUSTOM)
                e = read_bounds(d, a);
        if (e)
                return e;
        if (!schema_is_known(d->schema))
                return schema_unknown_error(d->schema);
        size_t n = (size_t)d->n_pos + d->n_neg;
        d->fields = arena_try_alloc(a, (n + 1) * sizeof *d->fields);
        if (!d->fields)
                return no_memory(a);
        memset(d->fields, 0, n * sizeof *d->fields);
        d->t = (uint64_t)bits_read_int(in);
        d->count.v = d->is_int ? bits_read_uint(in) : bits_read(in, 64);
        d->zero.v = d->is_int ? bits_read_uint(in) : bits_read(in, 64);
        d->sum.v = bits_read(in, 64);
        for (size_t i = 0; i < n; i++)
                d->fields[i].v = d->is_int ? (uint64_t)bits_read_int(in) : bits_read(in, 64);
        return NULL;
}

static inline void read_field(struct histogram_decoder *d, struct field *f)
{
        if (d->is_int) {
                f->delta += (uint64_t)bits_read_int(&d->in);
                f->v += f->delta;
        } else {
                bits_read_xor(&d->in, &f->v, &f->leading, &f->trailing);
        }
}

static void read_next(struct histogram_decoder *d)
{
        d->t_delta += (uint64_t)bits_read_int(&d->in);
        d->t += d->t_delta;
        read_field(d, &d->count);
        read_field(d, &d->zero);
        bits_read_xor(&d->in, &d->sum.v, &d->sum.leading, &d->sum.trailing);
        if (d->sum.v == STALE_NAN_BITS)
                return;
        size_t n = (size_t)d->n_pos + d->n_neg;
        for (size_t i = 0; i < n; i++)
                read_field(d, &d->fields[i]);
}

static int64_t read_varint(struct bits_in *in)
{
        uint64_t x = 0;
        for (unsigned sh = 0; sh < 64; sh += 7) {
                uint64_t b = bits_read(in, 8);
                if (sh == 63 && b > 1)
                        break;
                x |= (b & 0x7f) << sh;
                if (b < 0x80)
                        return (int64_t)(x >> 1) ^ -(int64_t)(x & 1);
        }
        in->bad = true;
        return 0;
}

static void read_start(struct histogram_decoder *d, uint64_t t_before)
{
        struct start_state *s = &d->start;
        if (d->at == 1) {
                if (s->known) {
                        s->diff = (uint64_t)read_varint(&d->in);
                        s->start = (TimeMs)(d->t - s->diff);
                }
        } else if (s->change_on && d->at - 1 >= s->change_on) {
                uint64_t x = (uint64_t)bits_read_int(&d->in);
                s->diff = d->at - 1 == s->change_on ? x : s->diff + x;
                s->start = (TimeMs)(t_before - s->diff);
        }
}

struct error *histogram_decoder_next(struct histogram_decoder *d, struct arena *a, bool *ret_more)
{
        *ret_more = false;
        if (d->at == d->n)
                return NULL;
        uint64_t before = d->t;
        if (d->at == 0) {
                struct error *e = read_first(d, a);
                if (e)
                        return e;
        } else {
                read_next(d);
        }
        d->at++;
        if (chunk_encoding_has_start(d->encoding))
                read_start(d, before);
        if (d->in.bad)
                return damaged(d);
        *ret_more = true;
        return NULL;
}

/* --- out of the state
 * ------------------------------------------------------------------------------------------------------------- */

static enum counter_reset hint_of(const struct histogram_decoder *d)
{
        if (d->reset == RESET_GAUGE)
                return COUNTER_RESET_GAUGE;
        /* Inside a chunk there are no resets; whether its first sample follows what came before, nobody knows. */
        return d->at > 1 ? COUNTER_RESET_NO : COUNTER_RESET_UNKNOWN;
}

static void floats_of(const struct histogram_decoder *d, const struct field *f, uint32_t n, double *out)
{
        uint64_t c = 0;
        for (uint32_t i = 0; i < n; i++) {
                c += f[i].v;
                out[i] = d->is_int ? (double)(int64_t)c : float_of_bits(f[i].v);
        }
}

static struct error *reduced(struct arena *a, struct histogram *h)
{
        if (h->schema <= HISTOGRAM_SCHEMA_MAX)
                return NULL;
        struct error *e = histogram_reduce(a, h, HISTOGRAM_SCHEMA_MAX);
        return error_is(e, ERROR_INVALID) ? error_wrap(e, "damaged chunk") : e;
}

static struct error *take_float(const struct histogram_decoder *d, struct arena *a, const struct histogram **ret)
{
        struct histogram *h = arena_try_alloc(a, sizeof *h + ((size_t)d->n_pos + d->n_neg) * sizeof(double));
        if (!h)
                return no_memory(a);
        *ret = h;
        *h = (struct histogram){.sum = float_of_bits(d->sum.v)};
        if (d->sum.v == STALE_NAN_BITS)
                return NULL;
        h->reset = hint_of(d);
        h->schema = d->schema;
        h->zero_threshold = d->zero_threshold;
        h->zero_count = d->is_int ? (double)d->zero.v : float_of_bits(d->zero.v);
        h->count = d->is_int ? (double)d->count.v : float_of_bits(d->count.v);
        double *v = (double *)(void *)(h + 1);
        h->pos = (struct buckets){.spans = d->pos_spans, .counts = v, .n_spans = d->n_pos_spans, .n = d->n_pos};
        h->neg = (struct buckets){
                .spans = d->neg_spans, .counts = v + d->n_pos, .n_spans = d->n_neg_spans, .n = d->n_neg};
        h->bounds = d->bounds;
        h->n_bounds = d->n_bounds;
        floats_of(d, d->fields, d->n_pos, v);
        floats_of(d, d->fields + d->n_pos, d->n_neg, v + d->n_pos);
        return reduced(a, h);
}

static struct error *take_int(const struct histogram_decoder *d, struct arena *a, const struct int_histogram **ret)
{
        size_t n = (size_t)d->n_pos + d->n_neg;
        struct int_histogram *h = arena_try_alloc(a, sizeof *h + n * sizeof(int64_t));
        if (!h)
                return no_memory(a);
        *ret = h;
        *h = (struct int_histogram){.sum = float_of_bits(d->sum.v)};
        if (d->sum.v == STALE_NAN_BITS)
                return NULL;
        int64_t *v = (int64_t *)(void *)(h + 1);
        for (size_t i = 0; i < n; i++)
                v[i] = (int64_t)d->fields[i].v;
        *h = (struct int_histogram){
                .reset = hint_of(d),
                .schema = d->schema,
                .zero_threshold = d->zero_threshold,
                .zero_count = d->zero.v,
                .count = d->count.v,
                .sum = float_of_bits(d->sum.v),
                .pos = {.spans = d->pos_spans, .deltas = v, .n_spans = d->n_pos_spans, .n = d->n_pos},
                .neg = {.spans = d->neg_spans, .deltas = v + d->n_pos, .n_spans = d->n_neg_spans, .n = d->n_neg},
                .bounds = d->bounds,
                .n_bounds = d->n_bounds};
        if (h->schema <= HISTOGRAM_SCHEMA_MAX)
                return NULL;
        struct error *e = int_histogram_reduce(a, h, HISTOGRAM_SCHEMA_MAX);
        return error_is(e, ERROR_INVALID) ? error_wrap(e, "damaged chunk") : e;
}

struct error *histogram_decode(const struct chunk *c, TimeMs mint_ms, TimeMs maxt_ms, struct arena *a, TimeMs *t,
                               TimeMs *starts, const struct histogram **h, size_t *ret_n)
{
        struct histogram_decoder d;
        *ret_n = 0;
        struct error *e = histogram_decoder_init(&d, c->encoding, c->data, a);
        for (bool more; !e;) {
                e = histogram_decoder_next(&d, a, &more);
                if (e || !more || (TimeMs)d.t > maxt_ms)
                        break;
                if ((TimeMs)d.t < mint_ms)
                        continue;
                e = take_float(&d, a, &h[*ret_n]);
                if (e)
                        break;
                if (starts)
                        starts[*ret_n] = d.start.start;
                t[(*ret_n)++] = (TimeMs)d.t;
        }
        return e;
}

struct error *histogram_decode_raw(const struct chunk *c, TimeMs mint_ms, TimeMs maxt_ms, struct arena *a, TimeMs *t,
                                   TimeMs *starts, struct histogram_sample *s, size_t *ret_n)
{
        struct histogram_decoder d;
        *ret_n = 0;
        struct error *e = histogram_decoder_init(&d, c->encoding, c->data, a);
        for (bool more; !e;) {
                e = histogram_decoder_next(&d, a, &more);
                if (e || !more || (TimeMs)d.t > maxt_ms)
                        break;
                if ((TimeMs)d.t < mint_ms)
                        continue;
                struct histogram_sample *out = &s[*ret_n];
                *out = (struct histogram_sample){0};
                e = d.is_int ? take_int(&d, a, &out->i) : take_float(&d, a, &out->f);
                if (e)
                        break;
                if (starts)
                        starts[*ret_n] = d.start.start;
                t[(*ret_n)++] = (TimeMs)d.t;
        }
        return e;
}
