/* SPDX-License-Identifier: Apache-2.0 */
/* Writing histogram chunks.
 *
 * Integer and float chunks differ only in how a number is told from the one before, so one writer serves both, over raw
 * 64 bit numbers: integers (buckets as deltas between neighbours, as they are stored) or the bits of doubles. */
#include <math.h>

#include "model/histogram_layout.h"
#include "storage/chunk/histogram_private.h"

struct side {
        const struct span *spans;
        const void *raw; /* int64_t or double, n of them */
        uint32_t n_spans, n;
};

/* A sample of either kind. */
struct view {
        enum counter_reset reset;
        int32_t schema;
        double zero_threshold, sum;
        uint64_t count, zero;
        struct side side[2]; /* positive, negative */
        const double *bounds;
        uint32_t n_bounds;
};

struct histogram_chunk {
        enum chunk_encoding encoding;
        bool is_int;
        unsigned n;
        struct bits_out out;
        int32_t schema;
        double zero_threshold;
        struct span *spans[2];
        uint32_t n_spans[2], n_buckets[2];
        struct field *fields[2];
        double *bounds;
        uint32_t n_bounds;
        uint64_t t, t_delta;
        struct field count, zero, sum;
        struct start_state start;
};

static inline uint64_t raw_at(const void *raw, size_t i)
{
        uint64_t x;
        memcpy(&x, (const char *)raw + i * sizeof x, sizeof x);
        return x;
}

static bool side_is_sound(const struct span *spans, uint32_t n_spans, uint32_t n)
{
        uint64_t total = 0;
        for (uint32_t i = 0; i < n_spans; i++)
                total += spans[i].length;
        return total == n;
}

static struct view view_of(struct histogram_sample s)
{
        struct view v;
        double sum = s.i ? s.i->sum : s.f->sum;
        if (is_stale_nan(sum))
                return (struct view){.reset = s.i ? s.i->reset : s.f->reset, .sum = sum};
        if (s.i) {
                const struct int_histogram *h = s.i;
                v = (struct view){.reset = h->reset,
                                  .schema = h->schema,
                                  .zero_threshold = h->zero_threshold,
                                  .sum = h->sum,
                                  .count = h->count,
                                  .zero = h->zero_count,
                                  .side = {{h->pos.spans, h->pos.deltas, h->pos.n_spans, h->pos.n},
                                           {h->neg.spans, h->neg.deltas, h->neg.n_spans, h->neg.n}},
                                  .bounds = h->bounds,
                                  .n_bounds = h->n_bounds};
        } else {
                const struct histogram *h = s.f;
                v = (struct view){.reset = h->reset,
                                  .schema = h->schema,
                                  .zero_threshold = h->zero_threshold,
                                  .sum = h->sum,
                                  .count = float_bits(h->count),
                                  .zero = float_bits(h->zero_count),
                                  .side = {{h->pos.spans, h->pos.counts, h->pos.n_spans, h->pos.n},
                                           {h->neg.spans, h->neg.counts, h->neg.n_spans, h->neg.n}},
                                  .bounds = h->bounds,
                                  .n_bounds = h->n_bounds};
        }
        for (int k = 0; k < 2; k++)
                if (!side_is_sound(v.side[k].spans, v.side[k].n_spans, v.side[k].n))
                        bug("a histogram whose spans and buckets disagree was not refused");
        return v;
}

bool histogram_sample_is_sound(struct histogram_sample s)
{
        if (s.i)
                return side_is_sound(s.i->pos.spans, s.i->pos.n_spans, s.i->pos.n) &&
                       side_is_sound(s.i->neg.spans, s.i->neg.n_spans, s.i->neg.n);
        return side_is_sound(s.f->pos.spans, s.f->pos.n_spans, s.f->pos.n) &&
               side_is_sound(s.f->neg.spans, s.f->neg.n_spans, s.f->neg.n);
}

/* --- making, asking
 * --------------------------------------------------------------------------------------------------------------- */

struct histogram_chunk *histogram_chunk_new(enum chunk_encoding encoding)
{
        if (!chunk_encoding_is_histogram(encoding))
                bug("no encoding of histograms: %d", encoding);
        struct histogram_chunk *c = mem_new(struct histogram_chunk);
        c->encoding = encoding;
        c->is_int = chunk_encoding_is_int(encoding);
        bits_write(&c->out, 0, HISTOGRAM_HEADER_BYTES * 8);
        c->sum.leading = 0xff;
        if (!c->is_int)
                c->count.leading = c->zero.leading = 0xff;
        return c;
}

static void contents_free(struct histogram_chunk *c)
{
        free(c->out.p);
        for (int k = 0; k < 2; k++) {
                free(c->spans[k]);
                free(c->fields[k]);
        }
        free(c->bounds);
}

void histogram_chunk_free(struct histogram_chunk *c)
{
        if (!c)
                return;
        contents_free(c);
        free(c);
}

enum chunk_encoding histogram_chunk_encoding(const struct histogram_chunk *c)
{
        return c->encoding;
}

unsigned histogram_chunk_samples(const struct histogram_chunk *c)
{
        return c->n;
}

TimeMs histogram_chunk_last_ms(const struct histogram_chunk *c)
{
        return (TimeMs)c->t;
}

Str histogram_chunk_data(const struct histogram_chunk *c)
{
        return (Str){(const char *)c->out.p, (c->out.n_bits + 7) / 8};
}

size_t histogram_chunk_memory(const struct histogram_chunk *c)
{
        size_t n = sizeof *c + c->out.cap + c->n_bounds * sizeof *c->bounds;
        for (int k = 0; k < 2; k++)
                n += c->n_spans[k] * sizeof *c->spans[k] + c->n_buckets[k] * sizeof *c->fields[k];
        return n;
}

bool histogram_chunk_is_stale(const struct histogram_chunk *c)
{
        return c->n && c->sum.v == STALE_NAN_BITS;
}

bool histogram_chunk_ends_with(const struct histogram_chunk *c, struct histogram_sample s)
{
        if (c->n == 0 || c->is_int != (s.i != NULL))
                return false;
        struct view v = view_of(s);
        if (float_bits(v.sum) != c->sum.v || v.count != c->count.v)
                return false;
        if (is_stale_nan(v.sum))
                return true;
        if (v.schema != c->schema || v.zero_threshold != c->zero_threshold || v.zero != c->zero.v ||
            !histogram_bounds_eq(v.bounds, v.n_bounds, c->bounds, c->n_bounds))
                return false;
        for (int k = 0; k < 2; k++) {
                struct layout_pos a = layout_of(c->spans[k], c->n_spans[k], c->n_buckets[k]),
                                  b = layout_of(v.side[k].spans, v.side[k].n_spans, v.side[k].n);
                if (c->n_buckets[k] != v.side[k].n)
                        return false;
                while (layout_next(&a) && layout_next(&b))
                        if (a.index != b.index || c->fields[k][a.at - 1].v != raw_at(v.side[k].raw, b.at - 1))
                                return false;
        }
        return true;
}

/* --- header
 * -----------------------------------------------------------------------------------------------------------------------
 */

static uint8_t header_reset(const struct histogram_chunk *c)
{
        return c->out.p[chunk_encoding_has_start(c->encoding) ? 0 : 2] & RESET_MASK;
}

static void header_set_reset(struct histogram_chunk *c, uint8_t reset)
{
        uint8_t *p = &c->out.p[chunk_encoding_has_start(c->encoding) ? 0 : 2];
        *p = (uint8_t)((*p & ~RESET_MASK) | reset);
}

static void header_set_samples(struct histogram_chunk *c)
{
        uint8_t keep = chunk_encoding_has_start(c->encoding) ? header_reset(c) : 0;
        c->out.p[0] = (uint8_t)(c->n >> 8) | keep;
        c->out.p[1] = (uint8_t)c->n;
}

/* --- writing one sample
 * ----------------------------------------------------------------------------------------------------------- */

static void write_zero_threshold(struct bits_out *o, double x)
{
        int exponent;
        double frac = frexp(x, &exponent);
        if (x == 0) {
                bits_write(o, 0, 8);
        } else if (frac != 0.5 || exponent < -242 || exponent > 11) {
                bits_write(o, 255, 8);
                bits_write(o, float_bits(x), 64);
        } else {
                bits_write(o, (uint64_t)(exponent + 243), 8);
        }
}

/* Thousandths up to 33554.430 are short. */
static void write_bound(struct bits_out *o, double x)
{
        double milli = x * 1000;
        if (milli >= 0 && milli <= 33554430 && (double)(uint64_t)round(milli) / 1000 == x) {
                bits_write_uint(o, (uint64_t)round(milli) + 1);
                return;
        }
        bits_write(o, 0, 1);
        bits_write(o, float_bits(x), 64);
}

static void write_layout(struct histogram_chunk *c, const struct view *v)
{
        write_zero_threshold(&c->out, v->zero_threshold);
        bits_write_int(&c->out, v->schema);
        c->schema = v->schema;
        c->zero_threshold = v->zero_threshold;
        for (int k = 0; k < 2; k++) {
                const struct side *s = &v->side[k];
                bits_write_uint(&c->out, s->n_spans);
                for (uint32_t i = 0; i < s->n_spans; i++) {
                        bits_write_uint(&c->out, s->spans[i].length);
                        bits_write_int(&c->out, s->spans[i].offset);
                }
                if (s->n_spans)
                        c->spans[k] = mem_memdup(s->spans, s->n_spans * sizeof *s->spans);
                c->n_spans[k] = s->n_spans;
                c->n_buckets[k] = s->n;
                if (s->n)
                        c->fields[k] = mem_zalloc(s->n * sizeof *c->fields[k]);
        }
        if (v->schema == HISTOGRAM_SCHEMA_CUSTOM) {
                bits_write_uint(&c->out, v->n_bounds);
                for (uint32_t i = 0; i < v->n_bounds; i++)
                        write_bound(&c->out, v->bounds[i]);
                if (v->n_bounds)
                        c->bounds = mem_memdup(v->bounds, v->n_bounds * sizeof *v->bounds);
                c->n_bounds = v->n_bounds;
        }
}

static inline void write_field(struct histogram_chunk *c, struct field *f, uint64_t v)
{
        if (c->is_int) {
                uint64_t delta = v - f->v;
                bits_write_int(&c->out, (int64_t)(delta - f->delta));
                f->delta = delta;
        } else {
                bits_write_xor(&c->out, v, f->v, &f->leading, &f->trailing);
        }
        f->v = v;
}

/* Of a staleness marker an integer chunk writes no change of the counts, though there is one: nobody reads them. */
static void write_total(struct histogram_chunk *c, struct field *f, uint64_t v, bool is_stale)
{
        if (!c->is_int || !is_stale) {
                write_field(c, f, v);
                return;
        }
        bits_write_int(&c->out, 0);
        f->delta = v - f->v;
        f->v = v;
}

static void write_start(struct histogram_chunk *c, uint64_t t_before, TimeMs start)
{
        struct start_state *s = &c->start;
        if (c->n == 1) {
                if (start != 0) {
                        int64_t d = (int64_t)(c->t - (uint64_t)start);
                        uint64_t x = ((uint64_t)d << 1) ^ (uint64_t)(d >> 63);
                        for (; x >= 0x80; x >>= 7)
                                bits_write(&c->out, (x & 0x7f) | 0x80, 8);
                        bits_write(&c->out, x, 8);
                        s->known = true;
                        c->out.p[2] = 0x80;
                }
        } else {
                uint64_t diff = t_before - (uint64_t)start;
                if (s->change_on) {
                        bits_write_int(&c->out, (int64_t)(diff - s->diff));
                        s->diff = diff;
                } else if (start != s->start || c->n - 1 == START_CHANGE_MAX) {
                        s->change_on = (uint8_t)(c->n - 1);
                        c->out.p[2] |= s->change_on;
                        bits_write_int(&c->out, (int64_t)diff);
                        s->diff = diff;
                }
        }
        s->start = start;
}

/* The sample has the chunk's layout, or begins it. */
static void write_sample(struct histogram_chunk *c, TimeMs start, TimeMs t, const struct view *v)
{
        uint64_t before = c->t, t_delta = 0;
        bool is_stale = is_stale_nan(v->sum);
        if (c->n == 0) {
                write_layout(c, v);
                bits_write_int(&c->out, t);
                if (c->is_int) {
                        bits_write_uint(&c->out, v->count);
                        bits_write_uint(&c->out, v->zero);
                } else {
                        bits_write(&c->out, v->count, 64);
                        bits_write(&c->out, v->zero, 64);
                }
                c->count.v = v->count;
                c->zero.v = v->zero;
                bits_write(&c->out, float_bits(v->sum), 64);
                for (int k = 0; k < 2; k++)
                        for (uint32_t i = 0; i < v->side[k].n; i++) {
                                struct field *f = &c->fields[k][i];
                                f->v = raw_at(v->side[k].raw, i);
                                if (c->is_int) {
                                        bits_write_int(&c->out, (int64_t)f->v);
                                } else {
                                        bits_write(&c->out, f->v, 64);
                                        f->leading = 0xff;
                                }
                        }
        } else {
                t_delta = (uint64_t)t - c->t;
                bits_write_int(&c->out, (int64_t)(t_delta - c->t_delta));
                write_total(c, &c->count, v->count, is_stale);
                write_total(c, &c->zero, v->zero, is_stale);
                bits_write_xor(&c->out, float_bits(v->sum), c->sum.v, &c->sum.leading, &c->sum.trailing);
                for (int k = 0; k < 2; k++)
                        for (uint32_t i = 0; i < v->side[k].n; i++)
                                write_field(c, &c->fields[k][i], raw_at(v->side[k].raw, i));
        }
        c->sum.v = float_bits(v->sum);
        c->t = (uint64_t)t;
        c->t_delta = t_delta;
        c->n++;
        header_set_samples(c);
        if (chunk_encoding_has_start(c->encoding))
                write_start(c, before, start);
}

/* --- does it fit?
 * ----------------------------------------------------------------------------------------------------------------- */

struct fit {
        bool ok;
        uint8_t reset;        /* what a header would say */
        uint32_t forward[2];  /* buckets that the chunk lacks */
        uint32_t backward[2]; /* buckets that the sample lacks */
};

/* Absolute counts of the bucket that a position is at. */
struct walk {
        struct layout_pos at;
        const struct field *fields; /* or */
        const void *raw;
        uint64_t sum;
};

static bool walk_next(struct walk *w, bool is_int)
{
        if (!layout_next(&w->at))
                return false;
        uint64_t x = w->fields ? w->fields[w->at.at - 1].v : raw_at(w->raw, w->at.at - 1);
        w->sum = is_int ? w->sum + x : x;
        return true;
}

/* False: a counter reset, which gauges do not have. */
static bool fit_side(const struct histogram_chunk *c, int k, const struct side *s, bool is_gauge, struct fit *ret)
{
        struct walk a = {.at = layout_of(c->spans[k], c->n_spans[k], c->n_buckets[k]), .fields = c->fields[k]},
                    b = {.at = layout_of(s->spans, s->n_spans, s->n), .raw = s->raw};
        walk_next(&a, c->is_int);
        walk_next(&b, c->is_int);
        while (a.at.ok || b.at.ok) {
                bool from_a = a.at.ok && (!b.at.ok || a.at.index <= b.at.index),
                     from_b = b.at.ok && (!a.at.ok || b.at.index <= a.at.index);
                if (from_a && from_b) {
                        if (!is_gauge && (c->is_int ? (int64_t)a.sum > (int64_t)b.sum : float_of_bits(a.sum) > float_of_bits(b.sum)))
                                return false;
                } else if (from_a) {
                        if (!is_gauge && (c->is_int ? a.sum != 0 : float_of_bits(a.sum) != 0))
                                return false;
                        ret->backward[k]++;
                } else {
                        ret->forward[k]++;
                }
                if (from_a)
                        walk_next(&a, c->is_int);
                if (from_b)
                        walk_next(&b, c->is_int);
        }
        return true;
}

static bool is_less(const struct histogram_chunk *c, uint64_t a, uint64_t b)
{
        return c->is_int ? a < b : float_of_bits(a) < float_of_bits(b);
}

static struct fit fit_counter(const struct histogram_chunk *c, const struct view *v)
{
        struct fit f = {.reset = RESET_NO};
        if (c->n && header_reset(c) == RESET_GAUGE)
                return f;
        if (v->reset == COUNTER_RESET_YES) {
                f.reset = RESET_YES;
                return f;
        }
        if (is_stale_nan(v->sum)) {
                f.ok = true;
                return f;
        }
        if (c->sum.v == STALE_NAN_BITS) { /* only markers follow a marker */
                f.reset = c->is_int ? RESET_UNKNOWN : RESET_NO;
                return f;
        }
        if (is_less(c, v->count, c->count.v)) {
                f.reset = RESET_YES;
                return f;
        }
        if (v->schema != c->schema || v->zero_threshold != c->zero_threshold) {
                f.reset = c->is_int ? RESET_UNKNOWN : RESET_NO;
                return f;
        }
        if ((v->schema == HISTOGRAM_SCHEMA_CUSTOM &&
             !histogram_bounds_eq(v->bounds, v->n_bounds, c->bounds, c->n_bounds)) ||
            is_less(c, v->zero, c->zero.v) || !fit_side(c, 0, &v->side[0], false, &f) ||
            !fit_side(c, 1, &v->side[1], false, &f)) {
                f.reset = RESET_YES;
                return f;
        }
        f.ok = true;
        return f;
}

static struct fit fit_gauge(const struct histogram_chunk *c, const struct view *v)
{
        struct fit f = {.reset = RESET_GAUGE};
        if (c->n && header_reset(c) != RESET_GAUGE)
                return f;
        if (is_stale_nan(v->sum)) {
                f.ok = true;
                return f;
        }
        if (c->sum.v == STALE_NAN_BITS || v->schema != c->schema || v->zero_threshold != c->zero_threshold ||
            (v->schema == HISTOGRAM_SCHEMA_CUSTOM &&
             !histogram_bounds_eq(v->bounds, v->n_bounds, c->bounds, c->n_bounds)))
                return f;
        for (int k = 0; k < 2; k++)
                fit_side(c, k, &v->side[k], true, &f);
        f.ok = true;
        return f;
}

/* --- other layouts
 * ---------------------------------------------------------------------------------------------------------------- */

/* All buckets of both, in as few spans as there can be. */
static struct span *spans_union(const struct histogram_chunk *c, int k, const struct side *s, uint32_t *ret_n)
{
        struct span *out = mem_alloc(((size_t)c->n_buckets[k] + s->n + 1) * sizeof *out);
        struct span_builder b = {.spans = out};
        struct layout_pos x = layout_of(c->spans[k], c->n_spans[k], c->n_buckets[k]),
                          y = layout_of(s->spans, s->n_spans, s->n);
        layout_next(&x);
        layout_next(&y);
        while (x.ok || y.ok) {
                bool from_x = x.ok && (!y.ok || x.index <= y.index), from_y = y.ok && (!x.ok || y.index <= x.index);
                span_builder_put(&b, from_x ? x.index : y.index);
                if (from_x)
                        layout_next(&x);
                if (from_y)
                        layout_next(&y);
        }
        *ret_n = b.n;
        return out;
}

/* The side in a layout that has all its buckets: empty ones where it has none. raw has room for all. */
static void side_widen(bool is_int, const struct side *s, const struct span *spans, uint32_t n_spans, uint64_t *raw,
                       struct side *ret)
{
        struct walk from = {.at = layout_of(s->spans, s->n_spans, s->n), .raw = s->raw};
        struct layout_pos to = layout_of(spans, n_spans, UINT32_MAX);
        uint64_t before = 0;
        walk_next(&from, is_int);
        while (layout_next(&to)) {
                uint64_t x = 0;
                if (from.at.ok && from.at.index == to.index) {
                        x = from.sum;
                        walk_next(&from, is_int);
                }
                raw[to.at - 1] = is_int ? x - before : x;
                before = x;
        }
        *ret = (struct side){.spans = spans, .raw = raw, .n_spans = n_spans, .n = to.at};
}

static uint64_t *raw_for(const struct span *spans, uint32_t n_spans)
{
        size_t n = 0;
        for (uint32_t i = 0; i < n_spans; i++)
                n += spans[i].length;
        return mem_alloc((n + 1) * sizeof(uint64_t));
}

/* The chunk with all its samples in wider layouts. */
static void recode(struct histogram_chunk *c, const struct side *layout)
{
        struct histogram_chunk *n = histogram_chunk_new(c->encoding);
        struct arena a;
        arena_init(&a, BUF_NO_LIMIT);
        struct histogram_decoder d;
        uint64_t *raw[2], *old[2];
        for (int k = 0; k < 2; k++) {
                raw[k] = raw_for(layout[k].spans, layout[k].n_spans);
                old[k] = mem_alloc((c->n_buckets[k] + (size_t)1) * sizeof(uint64_t));
        }
        struct error *e = histogram_decoder_init(&d, c->encoding, histogram_chunk_data(c), &a);
        for (bool more; !e;) {
                e = histogram_decoder_next(&d, &a, &more);
                if (e || !more)
                        break;
                struct view v = {.schema = d.schema,
                                 .zero_threshold = d.zero_threshold,
                                 .sum = float_of_bits(d.sum.v),
                                 .count = d.count.v,
                                 .zero = d.zero.v,
                                 .bounds = d.bounds,
                                 .n_bounds = d.n_bounds};
                if (d.sum.v == STALE_NAN_BITS)
                        v = (struct view){.sum = float_of_bits(d.sum.v)};
                for (int k = 0; k < 2 && d.sum.v != STALE_NAN_BITS; k++) {
                        for (uint32_t i = 0; i < c->n_buckets[k]; i++)
                                old[k][i] = d.fields[k ? d.n_pos + i : i].v;
                        struct side s = {
                                .spans = c->spans[k], .raw = old[k], .n_spans = c->n_spans[k], .n = c->n_buckets[k]};
                        side_widen(c->is_int, &s, layout[k].spans, layout[k].n_spans, raw[k], &v.side[k]);
                }
                write_sample(n, d.start.start, (TimeMs)d.t, &v);
        }
        if (e)
                bug("a chunk of our own does not decode: %s", error_str(e));
        header_set_reset(n, header_reset(c));
        for (int k = 0; k < 2; k++) {
                free(raw[k]);
                free(old[k]);
        }
        arena_done(&a);
        contents_free(c);
        *c = *n;
        free(n);
}

/* The sample fits, but for buckets that one of the two lacks. */
static enum histogram_fit append_fitting(struct histogram_chunk *c, TimeMs start, TimeMs t, struct view *v,
                                         const struct fit *f, bool is_gauge)
{
        bool forward = f->forward[0] || f->forward[1], backward = f->backward[0] || f->backward[1];
        struct span *owned_spans[2] = {NULL};
        uint64_t *owned_raw[2] = {NULL};
        if (backward)
                for (int k = 0; k < 2; k++) {
                        const struct span *spans = c->spans[k];
                        uint32_t n = c->n_spans[k];
                        if (is_gauge || (forward && f->backward[k]))
                                spans = owned_spans[k] = spans_union(c, k, &v->side[k], &n);
                        else if (forward)
                                continue;
                        uint64_t *raw = owned_raw[k] = raw_for(spans, n);
                        side_widen(c->is_int, &v->side[k], spans, n, raw, &v->side[k]);
                }
        if (forward)
                recode(c, v->side);
        write_sample(c, start, t, v);
        for (int k = 0; k < 2; k++) {
                free(owned_spans[k]);
                free(owned_raw[k]);
        }
        return forward ? HISTOGRAM_RECODED : HISTOGRAM_APPENDED;
}

enum histogram_fit histogram_chunk_append(struct histogram_chunk *c, const struct histogram_chunk *prev,
                                          TimeMs start_ms, TimeMs t, struct histogram_sample s,
                                          struct histogram_chunk **ret_next)
{
        if (c->is_int != (s.i != NULL))
                bug("a histogram of the other kind is appended");
        struct view v = view_of(s);
        bool is_gauge = v.reset == COUNTER_RESET_GAUGE;
        if (c->n == 0) {
                write_sample(c, start_ms, t, &v);
                if (is_gauge)
                        header_set_reset(c, RESET_GAUGE);
                else if (v.reset == COUNTER_RESET_YES)
                        header_set_reset(c, RESET_YES);
                else if (prev && prev->is_int == c->is_int)
                        header_set_reset(c, fit_counter(prev, &v).reset);
                return HISTOGRAM_APPENDED;
        }
        struct fit f = is_gauge ? fit_gauge(c, &v) : fit_counter(c, &v);
        unsigned most = chunk_encoding_has_start(c->encoding) ? HISTOGRAM_ST_SAMPLES_MAX : HISTOGRAM_SAMPLES_MAX;
        if (f.ok && c->n < most)
                return append_fitting(c, start_ms, t, &v, &f, is_gauge);
        struct histogram_chunk *next = histogram_chunk_new(c->encoding);
        write_sample(next, start_ms, t, &v);
        header_set_reset(next, c->is_int || is_gauge || f.reset == RESET_YES ? f.reset : RESET_UNKNOWN);
        *ret_next = next;
        return HISTOGRAM_NEXT;
}
