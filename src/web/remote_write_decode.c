/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/proto.h"
#include "model/metric_type.h"
#include "web/remote_write.h"

static struct error *garbage(void)
{
        return error_new(ERROR_CORRUPT, "unexpected EOF");
}

static struct error *no_memory(void)
{
        return error_new(ERROR_LIMIT, "a series of the request is too large");
}

static void exemplars_clear(struct write_series *s)
{
        for (size_t i = 0; i < s->exemplars.n; i++)
                error_free(s->exemplars.p[i].fault);
        vec_clear(&s->exemplars);
}

void write_series_done(struct write_series *s)
{
        vec_done(&s->symbols);
        vec_done(&s->list);
        vec_done(&s->samples);
        exemplars_clear(s);
        vec_done(&s->exemplars);
}

struct error *write_series_init(struct write_series *s, Str body, bool is_v2)
{
        *s = (struct write_series){.symbols = VEC_INIT};
        struct cursor c = cursor_of(body);
        struct proto_field f;
        while (is_v2 && proto_next(&c, &f)) {
                if (f.number == 4 && f.wire == 2)
                        vec_push(&s->symbols, f.bytes);
        }
        return c.bad ? garbage() : NULL;
}

struct error *write_each_series(Str body, bool is_v2, struct error *(*fn)(void *ctx, Str series), void *ctx, bool *ret_garbage)
{
        struct cursor c = cursor_of(body);
        struct proto_field f;
        uint32_t number = is_v2 ? 5 : 1;
        *ret_garbage = false;
        while (proto_next(&c, &f)) {
                if (f.number != number || f.wire != 2)
                        continue;
                struct error *e = fn(ctx, f.bytes);
                if (e) {
                        *ret_garbage = error_is(e, ERROR_CORRUPT);
                        return e;
                }
        }
        *ret_garbage = c.bad;
        return c.bad ? garbage() : NULL;
}

/* ---- histograms ---- */

/* Numbers of one field: packed or one by one. */
struct numbers {
        uint64_t *v;
        uint32_t n, cap;
};

static bool numbers_push(struct numbers *l, struct arena *a, uint64_t x)
{
        if (l->n == l->cap) {
                uint32_t cap = l->cap ? l->cap * 2 : 16;
                uint64_t *v = arena_try_alloc(a, (size_t)cap * sizeof *v);
                if (!v)
                        return false;
                if (l->n)
                        memcpy(v, l->v, l->n * sizeof *v);
                l->v = v;
                l->cap = cap;
        }
        l->v[l->n++] = x;
        return true;
}

static struct error *numbers_take(struct numbers *l, struct arena *a, const struct proto_field *f, bool fixed)
{
        if (f->wire != 2)
                return numbers_push(l, a, f->u) ? NULL : no_memory();
        struct cursor c = cursor_of(f->bytes);
        while (cursor_left(&c) && !c.bad) {
                uint64_t x = fixed ? __builtin_bswap64(take_be64(&c)) : take_uvarint(&c);
                if (!c.bad && !numbers_push(l, a, x))
                        return no_memory();
        }
        return c.bad ? garbage() : NULL;
}

struct spans {
        struct span *v;
        uint32_t n, cap;
};

static struct error *span_take(struct spans *l, struct arena *a, Str bytes)
{
        struct cursor c = cursor_of(bytes);
        struct proto_field f;
        struct span s = {0};
        while (proto_next(&c, &f)) {
                if (f.number == 1 && f.wire == 0)
                        s.offset = (int32_t)proto_sint(f.u);
                else if (f.number == 2 && f.wire == 0)
                        s.length = (uint32_t)f.u;
        }
        if (c.bad)
                return garbage();
        if (l->n == l->cap) {
                uint32_t cap = l->cap ? l->cap * 2 : 8;
                struct span *v = arena_try_alloc(a, (size_t)cap * sizeof *v);
                if (!v)
                        return no_memory();
                if (l->n)
                        memcpy(v, l->v, l->n * sizeof *v);
                l->v = v;
                l->cap = cap;
        }
        l->v[l->n++] = s;
        return NULL;
}

struct histogram_fields {
        bool is_float;
        uint64_t count, zero_count, reset;
        double count_float, zero_float, sum, zero_threshold;
        int32_t schema;
        struct spans neg_spans, pos_spans;
        struct numbers neg_deltas, neg_counts, pos_deltas, pos_counts, bounds;
        TimeMs t, start;
};

static struct error *field_take(struct histogram_fields *h, struct arena *a, const struct proto_field *f)
{
        switch (f->number) {
        case 1:
                h->count = f->u;
                h->is_float = false;
                return NULL;
        case 2:
                h->count_float = proto_f64(f->u);
                h->is_float = true;
                return NULL;
        case 3:
                h->sum = proto_f64(f->u);
                return NULL;
        case 4:
                h->schema = (int32_t)proto_sint(f->u);
                return NULL;
        case 5:
                h->zero_threshold = proto_f64(f->u);
                return NULL;
        case 6:
                h->zero_count = f->u;
                return NULL;
        case 7:
                h->zero_float = proto_f64(f->u);
                return NULL;
        case 8:
                return span_take(&h->neg_spans, a, f->bytes);
        case 9:
                return numbers_take(&h->neg_deltas, a, f, false);
        case 10:
                return numbers_take(&h->neg_counts, a, f, true);
        case 11:
                return span_take(&h->pos_spans, a, f->bytes);
        case 12:
                return numbers_take(&h->pos_deltas, a, f, false);
        case 13:
                return numbers_take(&h->pos_counts, a, f, true);
        case 14:
                h->reset = f->u;
                return NULL;
        case 15:
                h->t = (TimeMs)f->u;
                return NULL;
        case 16:
                return numbers_take(&h->bounds, a, f, true);
        case 17:
                h->start = (TimeMs)f->u;
                return NULL;
        default:
                return NULL;
        }
}

/* A double of a list is its 64 bits already: the list becomes the array. */
static double *doubles_of(const struct numbers *l)
{
        return (double *)(void *)l->v;
}

static int64_t *deltas_of(struct numbers *l)
{
        for (uint32_t i = 0; i < l->n; i++)
                l->v[i] = (uint64_t)proto_sint(l->v[i]);
        return (int64_t *)(void *)l->v;
}

static struct error *histogram_take(struct write_series *s, struct arena *a, Str bytes)
{
        struct cursor c = cursor_of(bytes);
        struct proto_field f;
        struct histogram_fields h = {0};
        struct error *e = NULL;
        while (!e && proto_next(&c, &f))
                e = field_take(&h, a, &f);
        if (e || c.bad)
                return e ? e : garbage();
        struct write_sample out = {.t = h.t, .start = h.start};
        enum counter_reset reset = h.reset <= COUNTER_RESET_GAUGE ? (enum counter_reset)h.reset : COUNTER_RESET_UNKNOWN;
        if (h.is_float) {
                struct histogram *m = arena_try_alloc(a, sizeof *m);
                if (!m)
                        return no_memory();
                *m = (struct histogram){.reset = reset, .schema = h.schema, .zero_threshold = h.zero_threshold, .zero_count = h.zero_float,
                                        .count = h.count_float, .sum = h.sum, .bounds = doubles_of(&h.bounds), .n_bounds = h.bounds.n};
                m->pos = (struct buckets){h.pos_spans.v, doubles_of(&h.pos_counts), h.pos_spans.n, h.pos_counts.n};
                m->neg = (struct buckets){h.neg_spans.v, doubles_of(&h.neg_counts), h.neg_spans.n, h.neg_counts.n};
                out.h.f = m;
        } else {
                struct int_histogram *m = arena_try_alloc(a, sizeof *m);
                if (!m)
                        return no_memory();
                *m = (struct int_histogram){.reset = reset, .schema = h.schema, .zero_threshold = h.zero_threshold, .zero_count = h.zero_count,
                                            .count = h.count, .sum = h.sum, .bounds = doubles_of(&h.bounds), .n_bounds = h.bounds.n};
                m->pos = (struct int_buckets){h.pos_spans.v, deltas_of(&h.pos_deltas), h.pos_spans.n, h.pos_deltas.n};
                m->neg = (struct int_buckets){h.neg_spans.v, deltas_of(&h.neg_deltas), h.neg_spans.n, h.neg_deltas.n};
                out.h.i = m;
        }
        vec_push(&s->samples, out);
        return NULL;
}

/* ---- series ---- */

static struct error *sample_take(struct write_series *s, Str bytes)
{
        struct cursor c = cursor_of(bytes);
        struct proto_field f;
        struct write_sample out = {0};
        while (proto_next(&c, &f)) {
                if (f.number == 1 && f.wire == 1)
                        out.v = proto_f64(f.u);
                else if (f.number == 2 && f.wire == 0)
                        out.t = (TimeMs)f.u;
                else if (f.number == 3 && f.wire == 0)
                        out.start = (TimeMs)f.u;
        }
        if (c.bad)
                return garbage();
        vec_push(&s->samples, out);
        return NULL;
}

static void labels_finish(struct write_series *s)
{
        size_t n = 0;
        for (size_t i = 0; i < s->list.n; i++) {
                if (s->list.p[i].value.n)
                        s->list.p[n++] = s->list.p[i];
        }
        s->list.n = n;
        labels_sort(s->list.p, n);
        s->labels = (Labels){s->list.p, n};
}

/* Samples in front of histograms, whatever their order in the message. */
static struct error *points_take(struct write_series *s, struct arena *a, Str bytes, uint32_t samples, uint32_t histograms)
{
        for (int pass = 0; pass < 2; pass++) {
                struct cursor c = cursor_of(bytes);
                struct proto_field f;
                while (proto_next(&c, &f)) {
                        struct error *e = NULL;
                        if (f.wire == 2 && pass == 0 && f.number == samples)
                                e = sample_take(s, f.bytes);
                        else if (f.wire == 2 && pass == 1 && f.number == histograms)
                                e = histogram_take(s, a, f.bytes);
                        if (e)
                                return e;
                }
                if (c.bad)
                        return garbage();
        }
        return NULL;
}

static void series_clear(struct write_series *s, struct arena *a)
{
        arena_clear(a);
        vec_clear(&s->list);
        vec_clear(&s->samples);
        exemplars_clear(s);
}

/* One label: name and value. */
static bool label_take(Str bytes, Label *ret)
{
        struct cursor c = cursor_of(bytes);
        struct proto_field f;
        while (proto_next(&c, &f)) {
                if (f.number == 1 && f.wire == 2)
                        ret->name = f.bytes;
                else if (f.number == 2 && f.wire == 2)
                        ret->value = f.bytes;
        }
        return !c.bad;
}

/* Labels are written out (1.0) or references (2.0: refs, which stay the caller's to judge). */
static struct error *exemplar_take(struct write_series *s, struct arena *a, Str bytes, struct numbers *refs)
{
        struct cursor c = cursor_of(bytes);
        struct proto_field f;
        struct write_exemplar out = {.x = {.has_t = true}};
        Label *v = arena_try_alloc(a, (bytes.n / 2 + 1) * sizeof *v);
        size_t n = 0;
        if (!v)
                return no_memory();
        while (proto_next(&c, &f)) {
                if (f.number == 1 && refs) {
                        struct error *e = numbers_take(refs, a, &f, false);
                        if (e)
                                return e;
                } else if (f.number == 1 && f.wire == 2) {
                        v[n] = (Label){0};
                        if (!label_take(f.bytes, &v[n++]))
                                return garbage();
                } else if (f.number == 2 && f.wire == 1) {
                        out.x.value = proto_f64(f.u);
                } else if (f.number == 3 && f.wire == 0) {
                        out.x.t = (TimeMs)f.u;
                }
        }
        if (c.bad)
                return garbage();
        for (uint32_t i = 0; refs && i + 1 < refs->n && !out.fault; i += 2) {
                if (refs->v[i] >= s->symbols.n || refs->v[i + 1] >= s->symbols.n)
                        out.fault = error_new(ERROR_INVALID, "labelRefs %llu (name) = %llu (value) outside of symbols table (size %zu)",
                                              (unsigned long long)refs->v[i], (unsigned long long)refs->v[i + 1], s->symbols.n);
                else if (n < bytes.n / 2 + 1)
                        v[n++] = (Label){s->symbols.p[refs->v[i]], s->symbols.p[refs->v[i + 1]]};
        }
        if (refs && refs->n % 2 && !out.fault)
                out.fault = error_new(ERROR_INVALID, "invalid labelRefs length %u", refs->n);
        labels_sort(v, n);
        out.x.labels = (Labels){v, n};
        vec_push(&s->exemplars, out);
        return NULL;
}

static struct error *exemplars_take(struct write_series *s, struct arena *a, Str bytes, uint32_t number, bool by_refs)
{
        struct cursor c = cursor_of(bytes);
        struct proto_field f;
        struct error *e = NULL;
        while (!e && proto_next(&c, &f)) {
                struct numbers refs = {0};
                if (f.number == number && f.wire == 2)
                        e = exemplar_take(s, a, f.bytes, by_refs ? &refs : NULL);
        }
        return e;
}

struct error *write_series_decode_v1(struct write_series *s, struct arena *a, Str bytes)
{
        struct cursor c = cursor_of(bytes);
        struct proto_field f;
        series_clear(s, a);
        while (proto_next(&c, &f)) {
                if (f.number != 1 || f.wire != 2)
                        continue;
                Label one = {0};
                if (!label_take(f.bytes, &one))
                        return garbage();
                vec_push(&s->list, one);
        }
        if (c.bad)
                return garbage();
        labels_finish(s);
        struct error *e = points_take(s, a, bytes, 2, 4);
        return e ? e : exemplars_take(s, a, bytes, 3, false);
}

/* The label references as Go prints them: [1 99]. */
static struct error *labels_error(const struct numbers *refs, const char *fmt, ...) PRINTF_LIKE(2, 3);
static struct error *labels_error(const struct numbers *refs, const char *fmt, ...)
{
        struct buf b = BUF_INIT(1 << 20);
        buf_puts(&b, "parsing labels for series [");
        for (uint32_t i = 0; i < refs->n; i++)
                buf_printf(&b, "%s%llu", i ? " " : "", (unsigned long long)refs->v[i]);
        buf_puts(&b, "]: ");
        va_list ap;
        va_start(ap, fmt);
        buf_vprintf(&b, fmt, ap);
        va_end(ap);
        struct error *e = error_new(ERROR_INVALID, "%s", buf_cstr(&b));
        buf_done(&b);
        return e;
}

static struct error *labels_by_refs(struct write_series *s, const struct numbers *refs)
{
        if (refs->n % 2)
                return labels_error(refs, "invalid labelRefs length %u", refs->n);
        for (uint32_t i = 0; i < refs->n; i += 2) {
                uint64_t name = refs->v[i], value = refs->v[i + 1];
                if (name >= s->symbols.n || value >= s->symbols.n)
                        return labels_error(refs, "labelRefs %llu (name) = %llu (value) outside of symbols table (size %zu)", (unsigned long long)name,
                                            (unsigned long long)value, s->symbols.n);
                vec_push(&s->list, (Label){s->symbols.p[name], s->symbols.p[value]});
        }
        return NULL;
}

/* __type__ and __unit__ from the metadata instead of what the labels say. */
static void metadata_labels(struct write_series *s, Str metadata)
{
        static const char *const types[] = {"", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset"};
        struct cursor c = cursor_of(metadata);
        struct proto_field f;
        uint64_t type = 0, unit = 0;
        while (proto_next(&c, &f)) {
                if (f.number == 1 && f.wire == 0)
                        type = f.u;
                else if (f.number == 4 && f.wire == 0)
                        unit = f.u;
        }
        Str type_text = type < ARRAY_LEN(types) ? str_from(types[type]) : STR(""), unit_text = unit < s->symbols.n ? s->symbols.p[unit] : STR("");
        if (!type_text.n && !unit_text.n)
                return;
        size_t n = 0;
        for (size_t i = 0; i < s->list.n; i++) {
                if (!str_eq(s->list.p[i].name, STR("__type__")) && !str_eq(s->list.p[i].name, STR("__unit__")))
                        s->list.p[n++] = s->list.p[i];
        }
        s->list.n = n;
        vec_push(&s->list, (Label){STR("__type__"), type_text});
        vec_push(&s->list, (Label){STR("__unit__"), unit_text});
}

struct error *write_series_decode_v2(struct write_series *s, struct arena *a, Str bytes, bool type_and_unit_labels, struct error **ret_fault)
{
        struct cursor c = cursor_of(bytes);
        struct proto_field f;
        struct numbers refs = {0};
        Str metadata = STR("");
        series_clear(s, a);
        while (proto_next(&c, &f)) {
                struct error *e = NULL;
                if (f.number == 1)
                        e = numbers_take(&refs, a, &f, false);
                else if (f.number == 5 && f.wire == 2)
                        metadata = f.bytes;
                if (e)
                        return e;
        }
        if (c.bad)
                return garbage();
        struct error *e = points_take(s, a, bytes, 2, 3);
        if (!e)
                e = exemplars_take(s, a, bytes, 4, true);
        if (e)
                return e;
        *ret_fault = labels_by_refs(s, &refs);
        if (!*ret_fault && type_and_unit_labels)
                metadata_labels(s, metadata);
        labels_finish(s);
        return NULL;
}
