/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/wal/record.h"

#include <endian.h>

#include "base/float_bits.h"
#include "codec/varint.h"

static struct error *cut_short(const char *what)
{
        return error_new(ERROR_CORRUPT, "decode %s: invalid size", what);
}

/* ---- types ---- */

enum record_type record_type(Str rec)
{
        if (rec.n == 0)
                return RECORD_UNKNOWN;
        uint8_t t = (uint8_t)rec.p[0];
        return t >= RECORD_SERIES && t <= RECORD_FLOAT_HISTOGRAMS_V2 ? (enum record_type)t : RECORD_UNKNOWN;
}

const char *record_type_name(enum record_type t)
{
        static const char *const names[] = {
                [RECORD_SERIES] = "series",
                [RECORD_SAMPLES] = "samples",
                [RECORD_TOMBSTONES] = "tombstones",
                [RECORD_EXEMPLARS] = "exemplars",
                [RECORD_MMAP_MARKERS] = "mmapmarkers",
                [RECORD_METADATA] = "metadata",
                [RECORD_HISTOGRAMS] = "histogram_samples",
                [RECORD_FLOAT_HISTOGRAMS] = "float_histogram_samples",
                [RECORD_CUSTOM_HISTOGRAMS] = "custom_buckets_histogram_samples",
                [RECORD_CUSTOM_FLOAT_HISTOGRAMS] = "custom_buckets_float_histogram_samples",
                [RECORD_SAMPLES_V2] = "samples_v2",
                [RECORD_HISTOGRAMS_V2] = "histogram_samples_v2",
                [RECORD_FLOAT_HISTOGRAMS_V2] = "float_histogram_samples_v2",
        };
        return t < ARRAY_LEN(names) && names[t] ? names[t] : "unknown";
}

/* ---- encoding ---- */

void record_series_begin(struct buf *b)
{
        buf_putc(b, RECORD_SERIES);
}

static uint8_t *put_str(uint8_t *p, Str s)
{
        p = put_uvarint(p, s.n);
        if (s.n)
                memcpy(p, s.p, s.n);
        return p + s.n;
}

void record_series_add(struct buf *b, uint64_t ref, Labels ls)
{
        size_t room = 8 + 10;
        for (size_t i = 0; i < ls.n; i++)
                room += 20 + ls.v[i].name.n + ls.v[i].value.n;
        uint8_t *from = (uint8_t *)buf_reserve(b, room);
        if (!from)
                return;
        uint8_t *p = from;
        put_be64(p, ref);
        p = put_uvarint(p + 8, ls.n);
        for (size_t i = 0; i < ls.n; i++) {
                p = put_str(p, ls.v[i].name);
                p = put_str(p, ls.v[i].value);
        }
        b->n += (size_t)(p - from);
}

void record_tombstones_begin(struct buf *b)
{
        buf_putc(b, RECORD_TOMBSTONES);
}

void record_tombstones_add(struct buf *b, struct record_tombstone t)
{
        uint8_t *from = (uint8_t *)buf_reserve(b, 28);
        if (!from)
                return;
        put_be64(from, t.ref);
        uint8_t *p = put_varint(from + 8, t.mint_ms);
        p = put_varint(p, t.maxt_ms);
        b->n += (size_t)(p - from);
}

struct samples_encoder record_samples_begin(struct buf *b, uint64_t first_ref, TimeMs first_t)
{
        uint8_t *p = (uint8_t *)buf_reserve(b, 17);
        if (p) {
                p[0] = RECORD_SAMPLES;
                put_be64(p + 1, first_ref);
                put_be64(p + 9, (uint64_t)first_t);
                b->n += 17;
        }
        return (struct samples_encoder){.ref = first_ref, .t = first_t};
}

uint8_t *record_sample_put(const struct samples_encoder *e, uint8_t *p, uint64_t ref, TimeMs t, double v)
{
        p = put_varint(p, (int64_t)(ref - e->ref));
        p = put_varint(p, (int64_t)((uint64_t)t - (uint64_t)e->t));
        put_be64(p, float_bits(v));
        return p + 8;
}

void record_exemplars(struct buf *b, const struct record_exemplar *e, size_t n)
{
        buf_putc(b, RECORD_EXEMPLARS);
        for (size_t i = 0; i < n; i++) {
                uint8_t *p = (uint8_t *)buf_reserve(b, 16 + RECORD_SAMPLE_MAX_BYTES + e[i].labels.n);
                if (!p)
                        return;
                uint8_t *from = p;
                if (i == 0) {
                        put_be64(p, e[0].ref);
                        put_be64(p + 8, (uint64_t)e[0].t);
                        p += 16;
                }
                struct samples_encoder base = {.ref = e[0].ref, .t = e[0].t};
                p = record_sample_put(&base, p, e[i].ref, e[i].t, e[i].v);
                memcpy(p, e[i].labels.p, e[i].labels.n);
                b->n += (size_t)(p + e[i].labels.n - from);
        }
}

/* ---- decoding ---- */

void record_series_iter_init(struct record_series_iter *it)
{
        *it = (struct record_series_iter){.ref = 0};
}

void record_series_iter_done(struct record_series_iter *it)
{
        vec_done(&it->labels);
}

struct error *record_series_open(struct record_series_iter *it, Str rec)
{
        if (record_type(rec) != RECORD_SERIES)
                return error_new(ERROR_CORRUPT, "invalid record type");
        it->rest = str_skip(rec, 1);
        return NULL;
}

struct error *record_series_next(struct record_series_iter *it, bool *ret_more)
{
        *ret_more = false;
        if (it->rest.n == 0)
                return NULL;
        it->from = it->rest.n;
        struct cursor c = cursor_of(it->rest);
        it->ref = take_be64(&c);
        uint64_t n = take_uvarint(&c);
        vec_clear(&it->labels);
        for (uint64_t i = 0; i < n && !c.bad; i++) {
                Str name = take_uvarint_str(&c);
                Str value = take_uvarint_str(&c);
                if (!c.bad)
                        vec_push(&it->labels, (Label){.name = name, .value = value});
        }
        if (c.bad)
                return cut_short("series");
        it->rest = (Str){(const char *)c.p, (size_t)(c.end - c.p)};
        *ret_more = true;
        return NULL;
}

/* A varint of up to four bytes, 28 bits; 10 are there. False: it is longer. */
static inline bool varint_short(const uint8_t **p, uint64_t *ret)
{
        uint32_t w;
        memcpy(&w, *p, 4);
        w = le32toh(w);
        uint32_t ends = ~w & 0x80808080;
        if (UNLIKELY(!ends))
                return false;
        unsigned n = (unsigned)__builtin_ctz(ends) / 8 + 1;
        w &= UINT32_MAX >> (32 - 8 * n);
        uint32_t u = (w & 0x7f) | (w >> 1 & 0x3f80) | (w >> 2 & 0x1fc000) | (w >> 3 & 0xfe00000);
        *ret = (uint64_t)(u >> 1) ^ -(uint64_t)(u & 1);
        *p += n;
        return true;
}

static void samples_v1(struct cursor *c, RecordSampleVec *ret)
{
        uint64_t ref = take_be64(c);
        int64_t t = (int64_t)take_be64(c);
        vec_reserve(ret, (size_t)(c->end - c->p) / 10 + 1);
        while (cursor_left(c) >= RECORD_SAMPLE_MAX_BYTES) { /* no look at the end for each byte */
                struct record_sample s;
                const uint8_t *p = c->p;
                if (!varint_short(&p, &s.ref) || !varint_short(&p, (uint64_t *)&s.t))
                        break;
                s.ref += ref;
                s.t = (int64_t)((uint64_t)t + (uint64_t)s.t);
                uint64_t bits = get_be64(p);
                memcpy(&s.v, &bits, 8);
                c->p = p + 8;
                vec_push(ret, s);
        }
        while (c->p < c->end) {
                struct record_sample s;
                s.ref = ref + (uint64_t)take_varint(c);
                s.t = (int64_t)((uint64_t)t + (uint64_t)take_varint(c));
                uint64_t bits = take_be64(c);
                memcpy(&s.v, &bits, 8);
                if (c->bad)
                        return;
                vec_push(ret, s);
        }
}

static void samples_v2(struct cursor *c, RecordSampleVec *ret)
{
        uint64_t ref = 0, first_t = 0;
        for (bool is_first = true; c->p < c->end; is_first = false) {
                struct record_sample s;
                if (is_first) {
                        ref = (uint64_t)take_varint(c);
                        first_t = (uint64_t)take_varint(c);
                        s.t = (int64_t)first_t;
                        take_varint(c); /* start time */
                } else {
                        ref += (uint64_t)take_varint(c);
                        s.t = (int64_t)(first_t + (uint64_t)take_varint(c));
                        if (take_u8(c) > 1) /* 0 none, 1 as the one before, else explicit */
                                take_varint(c);
                }
                s.ref = ref;
                uint64_t bits = take_be64(c);
                memcpy(&s.v, &bits, 8);
                if (c->bad)
                        return;
                vec_push(ret, s);
        }
}

struct error *record_samples(Str rec, RecordSampleVec *ret)
{
        enum record_type type = record_type(rec);
        if (type != RECORD_SAMPLES && type != RECORD_SAMPLES_V2)
                return error_new(ERROR_CORRUPT, "invalid record type");
        if (rec.n == 1)
                return NULL;
        struct cursor c = cursor_of(str_skip(rec, 1));
        if (type == RECORD_SAMPLES)
                samples_v1(&c, ret);
        else
                samples_v2(&c, ret);
        return c.bad ? cut_short("samples") : NULL;
}

struct error *record_tombstones(Str rec, RecordTombstoneVec *ret)
{
        if (record_type(rec) != RECORD_TOMBSTONES)
                return error_new(ERROR_CORRUPT, "invalid record type");
        struct cursor c = cursor_of(str_skip(rec, 1));
        while (c.p < c.end) {
                struct record_tombstone t;
                t.ref = take_be64(&c);
                t.mint_ms = take_varint(&c);
                t.maxt_ms = take_varint(&c);
                if (c.bad)
                        return cut_short("tombstones");
                vec_push(ret, t);
        }
        return NULL;
}

struct error *record_exemplars_decode(Str rec, RecordExemplarVec *ret)
{
        if (record_type(rec) != RECORD_EXEMPLARS)
                return error_new(ERROR_CORRUPT, "invalid record type");
        return record_exemplars_body(str_skip(rec, 1), ret);
}

struct error *record_exemplars_body(Str body, RecordExemplarVec *ret)
{
        if (body.n == 0)
                return NULL;
        struct cursor c = cursor_of(body);
        uint64_t ref = take_be64(&c);
        uint64_t t = take_be64(&c);
        while (c.p < c.end) {
                struct record_exemplar x;
                x.ref = ref + (uint64_t)take_varint(&c);
                x.t = (int64_t)(t + (uint64_t)take_varint(&c));
                uint64_t bits = take_be64(&c);
                memcpy(&x.v, &bits, 8);
                const char *from = (const char *)c.p;
                uint64_t n = take_uvarint(&c);
                for (uint64_t i = 0; i < n && !c.bad; i++) {
                        take_uvarint_str(&c);
                        take_uvarint_str(&c);
                }
                if (c.bad)
                        return cut_short("exemplars");
                x.labels = (Str){from, (size_t)((const char *)c.p - from)};
                vec_push(ret, x);
        }
        return c.bad ? cut_short("exemplars") : NULL;
}

struct error *record_metadata(Str rec, RecordMetadataVec *ret)
{
        if (record_type(rec) != RECORD_METADATA)
                return error_new(ERROR_CORRUPT, "invalid record type");
        struct cursor c = cursor_of(str_skip(rec, 1));
        while (c.p < c.end) {
                struct record_metadata m = {.ref = 0};
                const char *from = (const char *)c.p;
                m.ref = take_uvarint(&c);
                m.type = take_u8(&c);
                uint64_t n = take_uvarint(&c);
                for (uint64_t i = 0; i < n && !c.bad; i++) {
                        Str name = take_uvarint_str(&c);
                        Str value = take_uvarint_str(&c);
                        if (str_eq(name, STR("UNIT")))
                                m.unit = value;
                        else if (str_eq(name, STR("HELP")))
                                m.help = value;
                }
                if (c.bad)
                        return cut_short("metadata");
                m.raw = (Str){from, (size_t)((const char *)c.p - from)};
                vec_push(ret, m);
        }
        return NULL;
}

void record_markers(struct buf *b, const struct record_marker *m, size_t n)
{
        uint8_t *p = (uint8_t *)buf_reserve(b, 1 + n * 16), *from = p;
        if (!p)
                return;
        *p++ = RECORD_MMAP_MARKERS;
        for (size_t i = 0; i < n; i++) {
                p = put_be64(p, m[i].ref);
                p = put_be64(p, m[i].chunk_ref);
        }
        b->n += (size_t)(p - from);
}

struct error *record_markers_decode(Str rec, RecordMarkerVec *ret)
{
        if (record_type(rec) != RECORD_MMAP_MARKERS)
                return error_new(ERROR_CORRUPT, "invalid record type");
        struct cursor c = cursor_of(str_skip(rec, 1));
        while (c.p < c.end) {
                struct record_marker m;
                m.ref = take_be64(&c);
                m.chunk_ref = take_be64(&c);
                if (c.bad)
                        return cut_short("mmap markers");
                vec_push(ret, m);
        }
        return NULL;
}

void record_labels_put(struct buf *b, Labels ls)
{
        size_t room = 10;
        for (size_t i = 0; i < ls.n; i++)
                room += 20 + ls.v[i].name.n + ls.v[i].value.n;
        uint8_t *from = (uint8_t *)buf_reserve(b, room);
        if (!from)
                return;
        uint8_t *p = put_uvarint(from, ls.n);
        for (size_t i = 0; i < ls.n; i++) {
                p = put_str(p, ls.v[i].name);
                p = put_str(p, ls.v[i].value);
        }
        b->n += (size_t)(p - from);
}

Labels record_exemplar_labels(Str labels, struct arena *a)
{
        struct cursor c = cursor_of(labels);
        size_t n = (size_t)take_uvarint(&c), got = 0;
        if (n > labels.n / 2) /* each takes two bytes at least */
                return (Labels){NULL, 0};
        Label *v = arena_try_alloc(a, arena_array_bytes(n + 1, sizeof *v));
        for (size_t i = 0; v && i < n && !c.bad; i++) {
                v[got].name = take_uvarint_str(&c);
                v[got++].value = take_uvarint_str(&c);
        }
        return (Labels){v, v ? got : 0};
}
