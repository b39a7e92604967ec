/* SPDX-License-Identifier: Apache-2.0 */
#include "model/expo/protobuf.h"

#include <math.h>
#include <stdio.h>

#include "codec/proto.h"
#include "codec/quote.h"
#include "model/expo/classic.h"
#include "model/expo/grammar.h"

enum { METRIC_BYTES_MAX = 64 << 20 }; /* of one metric, decoded */

enum proto_type { TYPE_COUNTER, TYPE_GAUGE, TYPE_SUMMARY, TYPE_UNTYPED, TYPE_HISTOGRAM, TYPE_GAUGE_HISTOGRAM };
enum stage { STAGE_FAMILY, STAGE_UNIT, STAGE_TYPE, STAGE_METRIC, STAGE_NATIVE, STAGE_CLASSIC, STAGE_CUSTOM };
/* Position in a classic histogram or summary: 0 and more are buckets or quantiles. */
enum { POS_COUNT = -2, POS_SUM = -1 };

struct bucket {
        double upper, count; /* of a summary: quantile, value */
        Str exemplar;
};

/* One metric: what its type's message holds. */
struct metric {
        TimeMs t, start_t;
        double value; /* of counter, gauge, untyped */
        Str exemplar; /* of a counter */
        uint64_t count, zero_count;
        double count_float, sum, zero_threshold, zero_count_float;
        int32_t schema;
};

struct sign { /* buckets of one sign */
        VEC(struct span) spans;
        VEC(int64_t) deltas;
        VEC(double) counts;
};

struct expo_proto {
        struct expo_histograms how;
        struct cursor rest; /* families to come */
        Str name, help, unit;
        uint64_t type;
        VEC(Str) metrics; /* of this family */
        size_t next;      /* of them */
        enum stage stage;

        struct metric m;
        VEC(Label) labels; /* as exposed */
        VEC(struct bucket) buckets;
        VEC(Str) exemplars;
        struct sign pos, neg;
        struct classic_histogram classic;
        bool is_native;
        int at;

        struct arena arena; /* of one entry */
        VEC(Label) series_labels;
        struct buf key;
        VEC(struct expo_exemplar) given;
};

struct expo_proto *expo_proto_new(Str body)
{
        struct expo_proto *p = mem_zalloc(sizeof *p);
        p->how.no_native = true;
        p->rest = cursor_of(body);
        arena_init(&p->arena, METRIC_BYTES_MAX);
        buf_init(&p->key, BUF_NO_LIMIT); /* no longer than the body and a few bytes */
        return p;
}

void expo_proto_histograms(struct expo_proto *p, struct expo_histograms h)
{
        p->how = h;
}

static void sign_done(struct sign *s)
{
        vec_done(&s->spans);
        vec_done(&s->deltas);
        vec_done(&s->counts);
}

void expo_proto_free(struct expo_proto *p)
{
        if (!p)
                return;
        vec_done(&p->metrics);
        vec_done(&p->labels);
        vec_done(&p->buckets);
        vec_done(&p->exemplars);
        sign_done(&p->pos);
        sign_done(&p->neg);
        classic_histogram_done(&p->classic);
        arena_done(&p->arena);
        vec_done(&p->series_labels);
        buf_done(&p->key);
        vec_done(&p->given);
        free(p);
}

/* ---- decoding ---- */

static struct error *unexpected_end(void)
{
        return error_new(ERROR_INVALID, "unexpected EOF");
}

static struct error *read_time(Str message, TimeMs *ret)
{
        struct cursor c = cursor_of(message);
        struct proto_field f;
        int64_t s = 0, ns = 0;
        while (proto_next(&c, &f))
                switch (f.number) {
                case 1:
                        s = (int64_t)f.u;
                        break;
                case 2:
                        ns = (int32_t)f.u;
                        break;
                }
        if (__builtin_mul_overflow(s, 1000, ret) || __builtin_add_overflow(*ret, ns / 1000000, ret))
                c.bad = true;
        return c.bad ? unexpected_end() : NULL;
}

static struct error *read_label(Str message, Label *ret)
{
        struct cursor c = cursor_of(message);
        struct proto_field f;
        *ret = (Label){{"", 0}, {"", 0}};
        while (proto_next(&c, &f))
                if (f.wire == 2 && f.number == 1)
                        ret->name = f.bytes;
                else if (f.wire == 2 && f.number == 2)
                        ret->value = f.bytes;
        return c.bad ? unexpected_end() : NULL;
}

/* A number alone, or many in one field. */
static struct error *read_numbers(const struct proto_field *f, struct sign *s, bool is_float)
{
        struct cursor c = cursor_of(f->bytes);
        if (f->wire != 2) {
                if (is_float)
                        vec_push(&s->counts, proto_f64(f->u));
                else
                        vec_push(&s->deltas, proto_sint(f->u));
                return NULL;
        }
        while (!c.bad && cursor_left(&c) > 0) {
                if (!is_float) {
                        vec_push(&s->deltas, proto_sint(take_uvarint(&c)));
                        continue;
                }
                Str eight = take_str(&c, 8);
                uint64_t bits = 0;
                if (eight.n == 8)
                        memcpy(&bits, eight.p, 8);
                vec_push(&s->counts, proto_f64(bits));
        }
        return c.bad ? unexpected_end() : NULL;
}

static struct error *read_span(Str message, struct sign *s)
{
        struct cursor c = cursor_of(message);
        struct proto_field f;
        struct span span = {0};
        while (proto_next(&c, &f))
                if (f.number == 1)
                        span.offset = (int32_t)proto_sint(f.u);
                else if (f.number == 2)
                        span.length = (uint32_t)f.u;
        vec_push(&s->spans, span);
        return c.bad ? unexpected_end() : NULL;
}

/* A bucket of a classic histogram or a quantile of a summary. */
static struct error *read_bucket(struct expo_proto *p, Str message, bool is_quantile)
{
        struct cursor c = cursor_of(message);
        struct proto_field f;
        struct bucket b = {0};
        double count_float = 0;
        while (proto_next(&c, &f))
                switch (f.number) {
                case 1:
                        if (is_quantile)
                                b.upper = proto_f64(f.u);
                        else
                                b.count = (double)f.u;
                        break;
                case 2:
                        if (is_quantile)
                                b.count = proto_f64(f.u);
                        else
                                b.upper = proto_f64(f.u);
                        break;
                case 3:
                        b.exemplar = f.bytes;
                        break;
                case 4:
                        count_float = proto_f64(f.u);
                        break;
                }
        if (count_float != 0)
                b.count = count_float;
        vec_push(&p->buckets, b);
        return c.bad ? unexpected_end() : NULL;
}

static struct error *read_histogram_field(struct expo_proto *p, const struct proto_field *f)
{
        struct metric *m = &p->m;
        switch (f->number) {
        case 1:
                m->count = f->u;
                return NULL;
        case 2:
                m->sum = proto_f64(f->u);
                return NULL;
        case 3:
                return read_bucket(p, f->bytes, /* is_quantile= */ false);
        case 4:
                m->count_float = proto_f64(f->u);
                return NULL;
        case 5:
                m->schema = (int32_t)proto_sint(f->u);
                return NULL;
        case 6:
                m->zero_threshold = proto_f64(f->u);
                return NULL;
        case 7:
                m->zero_count = f->u;
                return NULL;
        case 8:
                m->zero_count_float = proto_f64(f->u);
                return NULL;
        case 9:
                return read_span(f->bytes, &p->neg);
        case 10:
                return read_numbers(f, &p->neg, /* is_float= */ false);
        case 11:
                return read_numbers(f, &p->neg, /* is_float= */ true);
        case 12:
                return read_span(f->bytes, &p->pos);
        case 13:
                return read_numbers(f, &p->pos, /* is_float= */ false);
        case 14:
                return read_numbers(f, &p->pos, /* is_float= */ true);
        case 15:
                return read_time(f->bytes, &m->start_t);
        case 16:
                vec_push(&p->exemplars, f->bytes);
                return NULL;
        }
        return NULL;
}

static struct error *read_summary_field(struct expo_proto *p, const struct proto_field *f)
{
        switch (f->number) {
        case 1:
                p->m.count = f->u;
                return NULL;
        case 2:
                p->m.sum = proto_f64(f->u);
                return NULL;
        case 3:
                return read_bucket(p, f->bytes, /* is_quantile= */ true);
        case 4:
                return read_time(f->bytes, &p->m.start_t);
        }
        return NULL;
}

static struct error *read_simple_field(struct expo_proto *p, const struct proto_field *f)
{
        if (f->number == 1)
                p->m.value = proto_f64(f->u);
        if (p->type != TYPE_COUNTER)
                return NULL;
        if (f->number == 2)
                p->m.exemplar = f->bytes;
        return f->number == 3 ? read_time(f->bytes, &p->m.start_t) : NULL;
}

/* The message of the family's type. */
static struct error *read_value(struct expo_proto *p, Str message)
{
        struct cursor c = cursor_of(message);
        struct proto_field f;
        while (proto_next(&c, &f)) {
                struct error *e = p->type >= TYPE_HISTOGRAM    ? read_histogram_field(p, &f)
                                  : p->type == TYPE_SUMMARY ? read_summary_field(p, &f)
                                                            : read_simple_field(p, &f);
                if (e)
                        return e;
        }
        return c.bad ? unexpected_end() : NULL;
}

static void metric_clear(struct expo_proto *p)
{
        p->m = (struct metric){0};
        vec_clear(&p->labels);
        vec_clear(&p->buckets);
        vec_clear(&p->exemplars);
        for (int i = 0; i < 2; i++) {
                struct sign *s = i ? &p->neg : &p->pos;
                vec_clear(&s->spans);
                vec_clear(&s->deltas);
                vec_clear(&s->counts);
        }
}

static struct error *read_metric(struct expo_proto *p, Str message)
{
        static const uint32_t field_of[] = {[TYPE_COUNTER] = 3, [TYPE_GAUGE] = 2,     [TYPE_SUMMARY] = 4,
                                            [TYPE_UNTYPED] = 5, [TYPE_HISTOGRAM] = 7, [TYPE_GAUGE_HISTOGRAM] = 7};
        metric_clear(p);
        struct cursor c = cursor_of(message);
        struct proto_field f;
        while (proto_next(&c, &f)) {
                struct error *e = NULL;
                Label l;
                if (f.number == 1 && !(e = read_label(f.bytes, &l)))
                        vec_push(&p->labels, l);
                else if (f.number == 6)
                        p->m.t = (TimeMs)f.u;
                else if (f.number == field_of[p->type])
                        e = read_value(p, f.bytes);
                if (e)
                        return e;
        }
        if (c.bad)
                return unexpected_end();
        /* Without any of these it may be a native one too, that has seen nothing yet; who exposes it says so with an
         * empty span. */
        p->is_native = !p->how.no_native && p->type >= TYPE_HISTOGRAM &&
                       (p->pos.spans.n || p->neg.spans.n || p->m.zero_threshold > 0 || p->m.zero_count > 0);
        return NULL;
}

/* BEFORE"name": TEXT */
static struct error *about(const char *before, Str name, Str text)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        buf_puts(&b, before);
        buf_put_go_quoted(&b, name);
        buf_puts(&b, ": ");
        buf_put(&b, text);
        struct error *e = error_new(ERROR_INVALID, STR_FMT, STR_ARG(buf_str(&b)));
        buf_done(&b);
        return e;
}

/* *ret_any: there was one. */
static struct error *read_family(struct expo_proto *p, bool *ret_any)
{
        *ret_any = cursor_left(&p->rest) > 0;
        if (!*ret_any)
                return NULL;
        size_t before = cursor_left(&p->rest);
        uint64_t n = take_uvarint(&p->rest);
        size_t n_bytes = before - cursor_left(&p->rest);
        if (p->rest.bad || n_bytes > 5)
                return error_new(ERROR_INVALID, "clientpb: invalid varint encountered");
        if (n > cursor_left(&p->rest))
                return error_new(ERROR_INVALID, "clientpb: insufficient length of buffer, expected at least %llu bytes, got %zu bytes",
                                 (unsigned long long)n + n_bytes, before);
        struct cursor c = cursor_of(take_str(&p->rest, (size_t)n));
        struct proto_field f;
        p->name = p->help = p->unit = (Str){"", 0};
        p->type = 0;
        p->next = 0;
        vec_clear(&p->metrics);
        while (proto_next(&c, &f))
                switch (f.number) {
                case 1:
                        p->name = f.bytes;
                        break;
                case 2:
                        p->help = f.bytes;
                        break;
                case 3:
                        p->type = f.u;
                        break;
                case 4:
                        vec_push(&p->metrics, f.bytes);
                        break;
                case 5:
                        p->unit = f.bytes;
                        break;
                }
        return c.bad ? unexpected_end() : NULL;
}

static struct error *check_family(const struct expo_proto *p)
{
        if (!label_name_is_valid_utf8(p->name))
                return error_new(ERROR_INVALID, "invalid metric name: " STR_FMT, STR_ARG(p->name));
        char number[24];
        snprintf(number, sizeof number, "%llu", (unsigned long long)p->type);
        if (!utf8_is_valid(p->help))
                return about("invalid help for metric ", p->name, p->help);
        return p->type > TYPE_GAUGE_HISTOGRAM ? about("unknown metric type for metric ", p->name, str_from(number)) : NULL;
}

/* ---- entries ---- */

static struct error *read_exemplar(struct expo_proto *p, Str message, struct expo_exemplar *ret)
{
        *ret = (struct expo_exemplar){0};
        struct cursor c = cursor_of(message);
        struct proto_field f;
        size_t n = 0, max = message.n / 2 + 1; /* a label takes two bytes at least */
        Label *v = arena_try_alloc(&p->arena, arena_array_bytes(max, sizeof *v));
        if (!v)
                return error_new(ERROR_LIMIT, "an exemplar does not fit the scrape's memory");
        while (proto_next(&c, &f)) {
                struct error *e = NULL;
                if (f.number == 1 && f.wire == 2 && n < max)
                        e = read_label(f.bytes, &v[n++]);
                else if (f.number == 2)
                        ret->value = proto_f64(f.u);
                else if (f.number == 3) {
                        e = read_time(f.bytes, &ret->t);
                        ret->has_t = true;
                }
                if (e)
                        return e;
        }
        labels_sort(v, n);
        ret->labels = (Labels){v, n};
        return c.bad ? unexpected_end() : NULL;
}

/* need_time: without a timestamp it is not given. */
static struct error *give_exemplar(struct expo_proto *p, Str message, bool need_time)
{
        struct expo_exemplar x;
        if (message.n == 0)
                return NULL;
        struct error *e = read_exemplar(p, message, &x);
        if (e)
                return e;
        if (x.has_t || !need_time)
                vec_push(&p->given, x);
        return NULL;
}

/* Of a native histogram: its own, or those of its classic buckets. */
static struct error *give_histogram_exemplars(struct expo_proto *p)
{
        struct error *e = NULL;
        for (size_t i = 0; i < p->exemplars.n && !e; i++)
                e = give_exemplar(p, p->exemplars.p[i], /* need_time= */ true);
        for (size_t i = 0; i < p->buckets.n && p->exemplars.n == 0 && !e; i++)
                e = give_exemplar(p, p->buckets.p[i].exemplar, /* need_time= */ true);
        return e;
}

/* The labels of a series of this metric, and bytes that are its own. magic: le or quantile; empty name: none. */
static struct error *give_labels(struct expo_proto *p, struct expo_entry *x, const char *suffix, Label magic)
{
        char *name = arena_try_alloc(&p->arena, p->name.n + strlen(suffix));
        if (!name)
                return error_new(ERROR_LIMIT, "labels of a scraped series do not fit the scrape's memory");
        memcpy(name, p->name.p, p->name.n);
        memcpy(name + p->name.n, suffix, strlen(suffix));
        vec_clear(&p->series_labels);
        vec_push(&p->series_labels, (Label){STR(METRIC_NAME), {name, p->name.n + strlen(suffix)}});
        for (size_t i = 0; i < p->labels.n; i++)
                vec_push(&p->series_labels, p->labels.p[i]);
        if (magic.name.n)
                vec_push(&p->series_labels, magic);
        labels_sort(p->series_labels.p, p->series_labels.n);

        buf_clear(&p->key);
        for (size_t i = 0; i < p->series_labels.n; i++) {
                Label l = p->series_labels.p[i];
                buf_putc(&p->key, '\xff');
                buf_put(&p->key, l.name);
                buf_putc(&p->key, '\xff');
                buf_put(&p->key, l.value);
        }
        x->labels = (Labels){p->series_labels.p, p->series_labels.n};
        x->has_labels = true;
        x->series = buf_str(&p->key);
        x->has_t = p->m.t != 0;
        x->t = p->m.t;
        x->start_t = p->m.start_t;
        x->has_exemplar = false;
        x->exemplars = p->given.p;
        x->n_exemplars = p->given.n;
        return NULL;
}

static double whole_count(const struct expo_proto *p)
{
        return p->m.count_float != 0 ? p->m.count_float : (double)p->m.count;
}

static struct error *give_simple(struct expo_proto *p, struct expo_entry *x)
{
        struct error *e = p->type == TYPE_COUNTER ? give_exemplar(p, p->m.exemplar, /* need_time= */ false) : NULL;
        if (e)
                return e;
        x->type = EXPO_SERIES;
        x->value = p->m.value;
        return give_labels(p, x, "", (Label){0});
}

/* The series at p->at of a classic histogram or a summary. *ret_last: nothing comes after it. */
static struct error *give_classic(struct expo_proto *p, struct expo_entry *x, bool *ret_last)
{
        bool is_summary = p->type == TYPE_SUMMARY;
        size_t n = p->buckets.n;
        int at = p->at++;
        *ret_last = false;
        x->type = EXPO_SERIES;
        if (at == POS_COUNT) {
                x->value = is_summary ? (double)p->m.count : whole_count(p);
                return give_labels(p, x, "_count", (Label){0});
        }
        if (at == POS_SUM) {
                *ret_last = is_summary && n == 0;
                x->value = p->m.sum;
                return give_labels(p, x, "_sum", (Label){0});
        }
        char text[EXPO_NUMBER_MAX_BYTES];
        struct bucket end = {.upper = INFINITY, .count = whole_count(p)};
        const struct bucket *b = (size_t)at < n ? &p->buckets.p[at] : &end;
        *ret_last = is_summary ? (size_t)at + 1 >= n : b->upper == INFINITY;
        struct error *e = is_summary ? NULL : give_exemplar(p, b->exemplar, /* need_time= */ false);
        if (e)
                return e;
        x->value = b->count;
        Str number = {text, expo_number(b->upper, text)};
        return give_labels(p, x, is_summary ? "" : "_bucket",
                           (Label){is_summary ? STR("quantile") : STR("le"), arena_str(&p->arena, number)});
}

static struct error *check_sign(const struct expo_proto *p, const struct sign *s, const char *side, bool is_float)
{
        uint64_t want = 0;
        size_t have = is_float ? s->counts.n : s->deltas.n;
        for (size_t i = 0; i < s->spans.n; i++)
                want += s->spans.p[i].length;
        if (want == have)
                return NULL;
        char text[120];
        snprintf(text, sizeof text, "%s side: spans require %llu buckets, have %zu", side, (unsigned long long)want, have);
        return about("histogram ", p->name, str_from(text));
}

static struct int_buckets int_side(struct sign *s)
{
        return (struct int_buckets){s->spans.p, s->deltas.p, (uint32_t)s->spans.n, (uint32_t)s->deltas.n};
}

static struct buckets float_side(struct sign *s)
{
        return (struct buckets){s->spans.p, s->counts.p, (uint32_t)s->spans.n, (uint32_t)s->counts.n};
}

static struct error *give_native(struct expo_proto *p, struct expo_entry *x)
{
        const struct metric *m = &p->m;
        bool is_float = m->count_float > 0 || m->zero_count_float > 0;
        struct error *e = check_sign(p, &p->pos, "positive", is_float);
        if (!e)
                e = check_sign(p, &p->neg, "negative", is_float);
        if (!e)
                e = give_histogram_exemplars(p);
        if (e)
                return e;
        enum counter_reset reset = p->type == TYPE_GAUGE_HISTOGRAM ? COUNTER_RESET_GAUGE : COUNTER_RESET_UNKNOWN;
        struct histogram_sample s = {NULL, NULL};
        struct histogram *f = arena_try_alloc(&p->arena, sizeof *f);
        struct int_histogram *h = arena_try_alloc(&p->arena, sizeof *h);
        if (!f || !h)
                return error_new(ERROR_LIMIT, "a histogram does not fit the scrape's memory");
        if (is_float) {
                *f = (struct histogram){.reset = reset, .schema = m->schema, .zero_threshold = m->zero_threshold, .zero_count = m->zero_count_float,
                                        .count = m->count_float, .sum = m->sum, .pos = float_side(&p->pos), .neg = float_side(&p->neg)};
                s.f = f;
                e = histogram_compact(&p->arena, f, 0);
        } else {
                *h = (struct int_histogram){.reset = reset, .schema = m->schema, .zero_threshold = m->zero_threshold, .zero_count = m->zero_count,
                                            .count = m->count, .sum = m->sum, .pos = int_side(&p->pos), .neg = int_side(&p->neg)};
                s.i = h;
                e = int_histogram_compact(&p->arena, h, 0);
        }
        if (e)
                return e;
        x->type = EXPO_HISTOGRAM;
        x->histogram = s;
        return give_labels(p, x, "", (Label){0});
}

/* A classic histogram as a native one. */
static struct error *give_custom(struct expo_proto *p, struct expo_entry *x)
{
        struct classic_histogram *c = &p->classic;
        classic_histogram_clear(c);
        classic_histogram_count(c, whole_count(p));
        classic_histogram_sum(c, p->m.sum);
        for (size_t i = 0; i < p->buckets.n; i++)
                classic_histogram_bucket(c, p->buckets.p[i].upper, p->buckets.p[i].count);
        struct histogram_sample s;
        struct error *e = classic_histogram_convert(c, &p->arena, &s);
        if (!e)
                e = give_histogram_exemplars(p);
        if (e)
                return e;
        if (p->type == TYPE_GAUGE_HISTOGRAM) {
                /* They were made for us just now. */
                if (s.i)
                        ((struct int_histogram *)s.i)->reset = COUNTER_RESET_GAUGE;
                else
                        ((struct histogram *)s.f)->reset = COUNTER_RESET_GAUGE;
        }
        x->type = EXPO_HISTOGRAM;
        x->histogram = s;
        return give_labels(p, x, "", (Label){0});
}

static enum metric_type family_type(const struct expo_proto *p)
{
        static const enum metric_type types[] = {METRIC_COUNTER, METRIC_GAUGE, METRIC_SUMMARY, METRIC_UNKNOWN, METRIC_HISTOGRAM, METRIC_GAUGE_HISTOGRAM};
        return types[p->type];
}

/* Opens the next family that holds a metric: its help text is the entry, even when it is empty. */
static struct error *next_family(struct expo_proto *p, struct expo_entry *x)
{
        bool any;
        do {
                struct error *e = read_family(p, &any);
                if (e)
                        return e;
        } while (any && p->metrics.n == 0);
        if (!any) {
                x->type = EXPO_END;
                return NULL;
        }
        struct error *e = check_family(p);
        if (e)
                return e;
        x->type = EXPO_HELP;
        x->text = p->help;
        p->stage = p->unit.n ? STAGE_UNIT : STAGE_TYPE;
        return NULL;
}

/* Decodes the next metric of the family; STAGE_FAMILY when there is none. */
static struct error *next_metric(struct expo_proto *p)
{
        p->stage = STAGE_FAMILY;
        if (p->next == p->metrics.n)
                return NULL;
        struct error *e = read_metric(p, p->metrics.p[p->next++]);
        if (e)
                return e;
        p->at = POS_COUNT;
        if (p->is_native)
                p->stage = STAGE_NATIVE;
        else if (p->type >= TYPE_HISTOGRAM && p->how.to_custom && !p->how.keep_classic)
                p->stage = STAGE_CUSTOM;
        else
                p->stage = STAGE_CLASSIC;
        return NULL;
}

struct error *expo_proto_next(struct expo_proto *p, struct expo_entry *x)
{
        struct error *e = NULL;
        bool last = true;
        arena_clear(&p->arena);
        vec_clear(&p->given);
        if (p->stage == STAGE_METRIC && (e = next_metric(p)))
                return e;
        x->family = p->name;
        switch (p->stage) {
        case STAGE_FAMILY:
                e = next_family(p, x);
                x->family = p->name;
                return e;
        case STAGE_UNIT:
                x->type = EXPO_UNIT;
                x->text = p->unit;
                p->stage = STAGE_TYPE;
                return NULL;
        case STAGE_TYPE:
                x->type = EXPO_TYPE;
                x->metric_type = family_type(p);
                p->stage = STAGE_METRIC;
                return NULL;
        case STAGE_NATIVE:
                p->stage = p->how.keep_classic && p->buckets.n ? STAGE_CLASSIC : STAGE_METRIC;
                return give_native(p, x);
        case STAGE_CUSTOM:
                p->stage = STAGE_METRIC;
                return give_custom(p, x);
        case STAGE_CLASSIC:
        case STAGE_METRIC:
                break;
        }
        e = p->type >= TYPE_HISTOGRAM || p->type == TYPE_SUMMARY ? give_classic(p, x, &last) : give_simple(p, x);
        if (last)
                p->stage = p->type >= TYPE_HISTOGRAM && !p->is_native && p->how.to_custom ? STAGE_CUSTOM : STAGE_METRIC;
        return e;
}
