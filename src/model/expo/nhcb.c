/* SPDX-License-Identifier: Apache-2.0 */
#include "model/expo/nhcb.h"

#include <math.h>

#include "base/hash.h"
#include "model/expo/classic.h"
#include "model/expo/grammar.h"

enum { ENTRY_BYTES_MAX = 16 << 20, GROUP_BYTES_MAX = 64 << 20 };

struct expo_nhcb {
        bool keep_classic;
        Str family; /* of the last TYPE */
        enum metric_type type;

        bool has_pending; /* an entry that an inserted histogram goes before */
        struct expo_entry pending;
        struct arena entry; /* labels of the series that came last */
        bool has_t;         /* its timestamp: upstream gives it to a histogram before it */
        TimeMs t;

        /* what is collected of one histogram */
        bool is_collecting;
        struct classic_histogram classic;
        struct arena group;
        Labels labels; /* of the histogram; in group, as what follows */
        VEC(struct expo_exemplar) exemplars;
        struct buf key;
};

struct expo_nhcb *expo_nhcb_new(bool keep_classic)
{
        struct expo_nhcb *n = mem_zalloc(sizeof *n);
        n->keep_classic = keep_classic;
        arena_init(&n->entry, ENTRY_BYTES_MAX);
        arena_init(&n->group, GROUP_BYTES_MAX);
        buf_init(&n->key, BUF_NO_LIMIT); /* no longer than the labels */
        return n;
}

void expo_nhcb_free(struct expo_nhcb *n)
{
        if (!n)
                return;
        arena_done(&n->entry);
        arena_done(&n->group);
        classic_histogram_done(&n->classic);
        vec_done(&n->exemplars);
        buf_done(&n->key);
        free(n);
}

enum part { PART_NONE, PART_BUCKET, PART_SUM, PART_COUNT };

/* Which part of the histogram `*ret_base` a series of this name is. */
static enum part part_of(Str name, Str *ret_base)
{
        static const struct {
                Str suffix;
                enum part part;
        } parts[] = {{STR_INIT("_bucket"), PART_BUCKET}, {STR_INIT("_sum"), PART_SUM}, {STR_INIT("_count"), PART_COUNT}};
        *ret_base = name;
        for (size_t i = 0; i < ARRAY_LEN(parts); i++)
                if (str_has_suffix(name, parts[i].suffix)) {
                        *ret_base = str_sub(name, 0, name.n - parts[i].suffix.n);
                        return parts[i].part;
                }
        return PART_NONE;
}

/* Is this series of the histogram that is being collected? */
static bool is_of_group(const struct expo_nhcb *n, Labels ls)
{
        Str base;
        (void)part_of(labels_get(ls, STR(METRIC_NAME)), &base);
        if (n->type != METRIC_HISTOGRAM || !str_eq(labels_get(n->labels, STR(METRIC_NAME)), base))
                return false;
        size_t k = 0;
        for (size_t i = 0; i < ls.n; i++) {
                if (str_eq(ls.v[i].name, STR("le")))
                        continue;
                if (k == n->labels.n || !str_eq(n->labels.v[k].name, ls.v[i].name))
                        return false;
                if (!str_eq(ls.v[i].name, STR(METRIC_NAME)) && !str_eq(n->labels.v[k].value, ls.v[i].value))
                        return false;
                k++;
        }
        return k == n->labels.n;
}

static struct error *over(void)
{
        return error_new(ERROR_LIMIT, "labels of a scraped series do not fit the scrape's memory");
}

static struct error *begin_group(struct expo_nhcb *n, Labels ls, Str base)
{
        arena_clear(&n->group);
        classic_histogram_clear(&n->classic);
        vec_clear(&n->exemplars);
        size_t bytes = arena_array_bytes(ls.n, sizeof(Label));
        for (size_t i = 0; i < ls.n; i++)
                bytes += ls.v[i].name.n + ls.v[i].value.n;
        char *p = bytes ? arena_try_alloc(&n->group, bytes) : NULL;
        if (!p)
                return over();
        Label *v = (Label *)(void *)p;
        char *text = p + ls.n * sizeof *v;
        size_t k = 0;
        for (size_t i = 0; i < ls.n; i++) {
                if (str_eq(ls.v[i].name, STR("le")))
                        continue;
                Str value = str_eq(ls.v[i].name, STR(METRIC_NAME)) ? base : ls.v[i].value;
                v[k].name = (Str){memcpy(text, ls.v[i].name.p, ls.v[i].name.n), ls.v[i].name.n};
                text += ls.v[i].name.n;
                v[k].value = (Str){value.n ? memcpy(text, value.p, value.n) : text, value.n};
                text += value.n;
                k++;
        }
        n->labels = (Labels){v, k};
        n->is_collecting = true;
        return NULL;
}

static struct error *take_exemplar(struct expo_nhcb *n, struct expo_entry *x)
{
        if (!x->has_exemplar)
                return NULL;
        struct expo_exemplar one = {.value = x->exemplar_value, .t = x->exemplar_t, .has_t = x->exemplar_has_t};
        struct error *e = expo_exemplar_labels(x, &n->group, &one.labels);
        if (e)
                return e;
        if (one.has_t) /* those without are dropped, as of every native histogram */
                vec_push(&n->exemplars, one);
        x->has_exemplar = false;
        return NULL;
}

/* *ret_taken: the series is a part of a histogram and was collected. */
static struct error *collect(struct expo_nhcb *n, struct expo_entry *x, bool *ret_taken)
{
        *ret_taken = false;
        if (n->type != METRIC_HISTOGRAM)
                return NULL;
        Str base;
        enum part part = part_of(labels_get(x->labels, STR(METRIC_NAME)), &base);
        double le = 0;
        bool range;
        if (part == PART_NONE || !str_eq(base, n->family))
                return NULL;
        if (part == PART_BUCKET && (!labels_has(x->labels, STR("le")) || !float_parse(labels_get(x->labels, STR("le")), &le, &range) || range || isnan(le)))
                return NULL;
        struct error *e = n->is_collecting ? NULL : begin_group(n, x->labels, base);
        if (!e)
                e = take_exemplar(n, x);
        if (e)
                return e;
        if (part == PART_BUCKET)
                classic_histogram_bucket(&n->classic, le, x->value);
        else if (part == PART_SUM)
                classic_histogram_sum(&n->classic, x->value);
        else
                classic_histogram_count(&n->classic, x->value);
        *ret_taken = true;
        return NULL;
}

/* Puts the collected histogram before *x, which becomes pending. *ret_put: there was one, and it is sound. */
static struct error *put_before(struct expo_nhcb *n, struct expo_entry *x, bool *ret_put)
{
        *ret_put = false;
        if (!n->is_collecting)
                return NULL;
        n->is_collecting = false;
        struct histogram_sample s;
        struct error *e = classic_histogram_convert(&n->classic, &n->group, &s);
        if (!e)
                e = histogram_sample_check(s);
        if (e && error_is(e, ERROR_LIMIT))
                return e;
        if (e) {
                error_ignore(e, "a contradiction in the target's histogram: upstream drops it without a word");
                return NULL;
        }
        n->pending = *x;
        n->has_pending = true;
        buf_clear(&n->key);
        for (size_t i = 0; i < n->labels.n; i++) {
                buf_putc(&n->key, '\xff');
                buf_put(&n->key, n->labels.v[i].name);
                buf_putc(&n->key, '\xff');
                buf_put(&n->key, n->labels.v[i].value);
        }
        *x = (struct expo_entry){.type = EXPO_HISTOGRAM, .has_t = n->has_t, .t = n->t, .has_labels = true, .labels = n->labels, .histogram = s,
                                 .series = buf_str(&n->key), .exemplars = n->exemplars.p, .n_exemplars = n->exemplars.n};
        *ret_put = true;
        return NULL;
}

/* The next entry of the text, with labels if it is a series. */
static struct error *read_entry(struct expo_nhcb *n, struct expo_parser *p, struct expo_entry *x)
{
        *x = (struct expo_entry){0};
        struct error *e = expo_next_line(p, x);
        if (e)
                return e;
        if (x->type == EXPO_TYPE) {
                n->family = x->family;
                n->type = x->metric_type;
        }
        if (x->type != EXPO_SERIES)
                return NULL;
        n->has_t = x->has_t;
        n->t = x->t;
        arena_clear(&n->entry);
        e = expo_labels(p, x, &n->entry, &x->labels);
        x->has_labels = true;
        return e;
}

struct error *expo_nhcb_next(struct expo_nhcb *n, struct expo_parser *p, struct expo_entry *x)
{
        for (;;) {
                bool put = false, taken = false;
                struct error *e = NULL;
                if (n->has_pending) {
                        *x = n->pending;
                        n->has_pending = false;
                } else {
                        e = read_entry(n, p, x);
                        if (!e && (x->type != EXPO_SERIES || (n->is_collecting && !is_of_group(n, x->labels))))
                                e = put_before(n, x, &put);
                        if (e || put)
                                return e;
                }
                if (x->type == EXPO_SERIES)
                        e = collect(n, x, &taken);
                if (e || !taken || n->keep_classic)
                        return e;
        }
}
