/* SPDX-License-Identifier: Apache-2.0 */
/* Histograms as text and JSON. */
#include <inttypes.h>
#include <math.h>

#include "base/alloc.h"
#include "codec/float_text.h"
#include "model/histogram_layout.h"

static void put_bucket(struct buf *b, const struct histogram_bucket *k, bool integer)
{
        buf_puts(b, k->lower_inclusive ? ", [" : ", (");
        buf_put_float(b, k->lower, 'g');
        buf_putc(b, ',');
        buf_put_float(b, k->upper, 'g');
        buf_puts(b, k->upper_inclusive ? "]:" : "):");
        if (integer) {
                uint64_t n;
                memcpy(&n, &k->count, sizeof n);
                buf_put_u64(b, n);
        } else {
                buf_put_float(b, k->count, 'g');
        }
}

static void put_side(struct buf *b, const struct histogram *h, enum bucket_order order, bool integer)
{
        struct bucket_iter it;
        struct histogram_bucket k;
        bucket_iter_init(&it, h, order);
        while (bucket_iter_next(&it, &k))
                if (integer ? memcmp(&k.count, &(uint64_t){0}, 8) != 0 : k.count != 0)
                        put_bucket(b, &k, integer);
}

static void put_all(struct buf *b, const struct histogram *h, bool integer, bool has_zero)
{
        buf_puts(b, ", sum:");
        buf_put_float(b, h->sum, 'g');
        put_side(b, h, BUCKETS_NEGATIVE_UP, integer);
        if (has_zero) {
                struct histogram_bucket z = histogram_zero_bucket(h);
                put_bucket(b, &z, integer);
        }
        put_side(b, h, BUCKETS_POSITIVE, integer);
        buf_putc(b, '}');
}

void buf_put_histogram(struct buf *b, const struct histogram *h)
{
        buf_puts(b, "{count:");
        buf_put_float(b, h->count, 'g');
        put_all(b, h, /* integer= */ false, h->zero_count != 0 && !histogram_is_custom(h));
}

/* The same walk over counts whose bits are the integers: they need not fit a double. */
static void carry(const struct int_buckets *from, struct buckets *to)
{
        *to = (struct buckets){.spans = from->spans, .n_spans = from->n_spans, .n = from->n};
        if (!from->n)
                return;
        to->counts = mem_alloc(from->n * sizeof *to->counts);
        uint64_t c = 0;
        for (uint32_t i = 0; i < from->n; i++) {
                c += (uint64_t)from->deltas[i];
                memcpy(&to->counts[i], &c, sizeof c);
        }
}

void buf_put_int_histogram(struct buf *b, const struct int_histogram *h)
{
        struct histogram f = {.schema = h->schema,
                              .zero_threshold = h->zero_threshold,
                              .sum = h->sum,
                              .bounds = h->bounds,
                              .n_bounds = h->n_bounds};
        memcpy(&f.zero_count, &h->zero_count, sizeof f.zero_count);
        carry(&h->pos, &f.pos);
        if (h->schema != HISTOGRAM_SCHEMA_CUSTOM)
                carry(&h->neg, &f.neg);
        buf_puts(b, "{count:");
        buf_put_u64(b, h->count);
        put_all(b, &f, /* integer= */ true, h->zero_count != 0 && !histogram_is_custom(&f));
        free(f.pos.counts);
        free(f.neg.counts);
}

static void put_quoted(struct buf *b, double v)
{
        buf_putc(b, '"');
        buf_put_sample_value(b, v);
        buf_putc(b, '"');
}

void buf_put_histogram_json(struct buf *b, const struct histogram *h)
{
        buf_puts(b, "{\"count\":");
        put_quoted(b, h->count);
        buf_puts(b, ",\"sum\":");
        put_quoted(b, h->sum);
        struct bucket_iter it;
        struct histogram_bucket k;
        bool any = false;
        bucket_iter_init(&it, h, BUCKETS_ALL);
        while (bucket_iter_next(&it, &k)) {
                if (k.count == 0)
                        continue;
                buf_puts(b, any ? ",[" : ",\"buckets\":[[");
                any = true;
                buf_putc(b, k.lower_inclusive ? (k.upper_inclusive ? '3' : '1') : (k.upper_inclusive ? '0' : '2'));
                buf_putc(b, ',');
                put_quoted(b, k.lower);
                buf_putc(b, ',');
                put_quoted(b, k.upper);
                buf_putc(b, ',');
                put_quoted(b, k.count);
                buf_putc(b, ']');
        }
        buf_puts(b, any ? "]}" : "}");
}

static void put_list(struct buf *b, const double *v, uint32_t n)
{
        buf_putc(b, '[');
        for (uint32_t i = 0; i < n; i++) {
                if (i)
                        buf_putc(b, ' ');
                buf_put_float(b, v[i], 'g');
        }
        buf_putc(b, ']');
}

static void put_field(struct buf *b, const char *name, double v)
{
        if (v == 0)
                return;
        buf_puts(b, name);
        buf_put_float(b, v, 'g');
        buf_putc(b, ' ');
}

static void put_test_side(struct buf *b, const struct buckets *s, const char *name, const char *offset)
{
        if (s->n_spans && s->spans[0].offset != 0)
                buf_printf(b, "%s:%" PRId32 " ", offset, s->spans[0].offset);
        if (s->n) {
                buf_printf(b, "%s:", name);
                put_list(b, s->counts, s->n);
                buf_putc(b, ' ');
        }
}

struct error *buf_put_histogram_test(struct buf *b, const struct histogram *h, struct arena *scratch)
{
        static const char *const resets[] = {"", "counter_reset_hint:reset ", "counter_reset_hint:not_reset ",
                                             "counter_reset_hint:gauge "};
        struct histogram *m;
        struct error *e = histogram_dup(scratch, h, &m);
        if (!e)
                e = histogram_compact(scratch, m, SIZE_MAX - 1);
        if (e)
                return e;
        buf_puts(b, "{{");
        size_t start = b->n;
        if (m->schema != 0)
                buf_printf(b, "schema:%" PRId32 " ", m->schema);
        put_field(b, "count:", m->count);
        put_field(b, "sum:", m->sum);
        put_field(b, "z_bucket:", m->zero_count);
        put_field(b, "z_bucket_w:", m->zero_threshold);
        if (histogram_is_custom(m)) {
                buf_puts(b, "custom_values:");
                put_list(b, m->bounds, m->n_bounds);
                buf_putc(b, ' ');
        }
        buf_puts(b, resets[m->reset & 3]);
        put_test_side(b, &m->pos, "buckets", "offset");
        put_test_side(b, &m->neg, "n_buckets", "n_offset");
        if (b->n > start)
                b->n--; /* the last blank */
        buf_puts(b, "}}");
        return NULL;
}
