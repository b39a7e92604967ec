/* SPDX-License-Identifier: Apache-2.0 */
/* Native histograms in the notation of series: {{schema:1 sum:3 count:4 buckets:[1 2 1]}}.  Upstream:
 * histogram_desc_item in promql/parser/generated_parser.y */
#include <stdio.h>
#include <strings.h>

#include "base/vec.h"
#include "codec/float_text.h"
#include "model/histogram.h"
#include "promql/series_histogram.h"

typedef VEC(double) DoubleVec;
struct reading {
        struct arena *arena;
        int32_t offset, n_offset;
        struct promql_series_histogram *out;
};

static bool number(Str text, double *ret)
{
        bool out_of_range;
        return text.n > 0 && float_parse(text, ret, &out_of_range);
}

static bool integer(Str text, int32_t *ret)
{
        double v;
        if (!number(text, &v) || !(v >= INT32_MIN && v <= INT32_MAX) || v != (double)(int32_t)v)
                return false;
        *ret = (int32_t)v;
        return true;
}

/* "[1 2 3]" */
static bool list(Str text, struct arena *a, double **ret, uint32_t *ret_n)
{
        if (!str_has_prefix(text, STR("[")) || !str_has_suffix(text, STR("]")))
                return false;
        text = str_sub(text, 1, text.n - 1);
        DoubleVec values = VEC_INIT;
        Str word;
        bool ok = true;
        while (ok && str_next(&text, ' ', &word)) {
                double v = 0;
                if (word.n == 0)
                        continue;
                ok = number(word, &v);
                vec_push(&values, v);
        }
        if (ok) {
                *ret = arena_try_alloc(a, arena_array_bytes(values.n + 1, sizeof **ret));
                ok = *ret != NULL && values.n < UINT32_MAX;
        }
        if (ok && values.n > 0)
                memcpy(*ret, values.p, values.n * sizeof **ret);
        *ret_n = (uint32_t)values.n;
        vec_done(&values);
        return ok;
}

static bool hint(Str text, enum counter_reset *ret)
{
        static const struct {
                const char *word;
                enum counter_reset reset;
        } words[] = {{"unknown", COUNTER_RESET_UNKNOWN},
                     {"reset", COUNTER_RESET_YES},
                     {"not_reset", COUNTER_RESET_NO},
                     {"gauge", COUNTER_RESET_GAUGE}};
        for (size_t i = 0; i < ARRAY_LEN(words); i++) {
                if (str_eq(text, str_from(words[i].word))) {
                        *ret = words[i].reset;
                        return true;
                }
        }
        return false;
}

enum key {
        KEY_SCHEMA,
        KEY_SUM,
        KEY_COUNT,
        KEY_Z_BUCKET,
        KEY_Z_BUCKET_W,
        KEY_OFFSET,
        KEY_N_OFFSET,
        KEY_BUCKETS,
        KEY_N_BUCKETS,
        KEY_CUSTOM_VALUES,
        KEY_HINT,
        KEY_N
};

static bool item(struct reading *r, enum key key, Str value)
{
        struct histogram *h = &r->out->h;
        double *bounds = NULL;
        switch (key) {
        case KEY_SCHEMA:
                return integer(value, &h->schema);
        case KEY_SUM:
                return number(value, &h->sum);
        case KEY_COUNT:
                return number(value, &h->count);
        case KEY_Z_BUCKET:
                return number(value, &h->zero_count);
        case KEY_Z_BUCKET_W:
                return number(value, &h->zero_threshold);
        case KEY_OFFSET:
                return integer(value, &r->offset);
        case KEY_N_OFFSET:
                return integer(value, &r->n_offset);
        case KEY_BUCKETS:
                return list(value, r->arena, &h->pos.counts, &h->pos.n);
        case KEY_N_BUCKETS:
                return list(value, r->arena, &h->neg.counts, &h->neg.n);
        case KEY_CUSTOM_VALUES: {
                bool ok = list(value, r->arena, &bounds, &h->n_bounds);
                h->bounds = bounds;
                return ok;
        }
        case KEY_HINT:
                r->out->has_hint = true;
                return hint(value, &h->reset);
        case KEY_N:
                break;
        }
        return false;
}

/* Any case; KEY_N: no such. */
static enum key key_of(Str name)
{
        static const char *const names[KEY_N] = {[KEY_SCHEMA] = "schema",
                                                 [KEY_SUM] = "sum",
                                                 [KEY_COUNT] = "count",
                                                 [KEY_Z_BUCKET] = "z_bucket",
                                                 [KEY_Z_BUCKET_W] = "z_bucket_w",
                                                 [KEY_OFFSET] = "offset",
                                                 [KEY_N_OFFSET] = "n_offset",
                                                 [KEY_BUCKETS] = "buckets",
                                                 [KEY_N_BUCKETS] = "n_buckets",
                                                 [KEY_CUSTOM_VALUES] = "custom_values",
                                                 [KEY_HINT] = "counter_reset_hint"};
        for (enum key k = 0; k < KEY_N; k++)
                if (strlen(names[k]) == name.n && strncasecmp(names[k], name.p, name.n) == 0)
                        return k;
        return KEY_N;
}

static bool one_span(struct arena *a, struct buckets *b, int32_t offset)
{
        if (b->n == 0)
                return true;
        struct span *s = arena_try_alloc(a, sizeof *s);
        if (!s)
                return false;
        *s = (struct span){offset, b->n};
        b->spans = s;
        b->n_spans = 1;
        return true;
}

static bool is_word(char c)
{
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool fault(struct promql_series_histogram_fault *f, size_t at, const char *fmt, ...) PRINTF_LIKE(3, 4);
static bool fault(struct promql_series_histogram_fault *f, size_t at, const char *fmt, ...)
{
        va_list ap;
        f->at = at;
        va_start(ap, fmt);
        vsnprintf(f->text, sizeof f->text, fmt, ap);
        va_end(ap);
        return false;
}

/* key:value at *at. */
static bool read_item(struct reading *r, Str text, size_t *at, bool seen[KEY_N],
                      struct promql_series_histogram_fault *f)
{
        size_t from = *at, n = from;
        while (n < text.n && is_word(text.p[n]))
                n++;
        Str name = str_sub(text, from, n);
        enum key key = key_of(name);
        if (key == KEY_N)
                return fault(f, from, "bad histogram descriptor found: \"%.*s\"", (int)MIN(name.n, (size_t)64), name.p);
        if (n >= text.n || text.p[n] != ':')
                return fault(f, from, "missing `:` for histogram descriptor");
        size_t value = n + 1, to = value;
        bool is_list = value < text.n && text.p[value] == '[';
        size_t first = value + is_list;
        if (first < text.n && text.p[first] == ' ')
                return fault(f, first, "unexpected \" \" in series values");
        while (to < text.n && text.p[to] != (is_list ? ']' : ' '))
                to++;
        to = MIN(to + is_list, text.n);
        if (seen[key])
                return fault(f, 0, "duplicate key \"" STR_FMT "\" in histogram", STR_ARG(name));
        seen[key] = true;
        *at = to;
        Str word = str_sub(text, value, to);
        if (!item(r, key, word))
                return fault(f, value, "bad histogram descriptor found: \"%.*s\"", (int)MIN(word.n, (size_t)64),
                             word.p);
        return true;
}

bool promql_series_histogram_read(Str text, struct arena *a, struct promql_series_histogram *ret,
                                  struct promql_series_histogram_fault *ret_fault)
{
        struct promql_series_histogram h = {0};
        struct reading r = {.arena = a, .out = &h};
        bool seen[KEY_N] = {false};
        text = str_trim_suffix(text, STR("}}"));
        size_t at = 2;
        if (at < text.n && text.p[at] == ' ' && at + 1 < text.n)
                return fault(ret_fault, at + 1, "unexpected \"<Item 57372>\" \"%.*s\" in series values",
                             (int)MIN(text.n - at - 1, strcspn(text.p + at + 1, ":} ")), text.p + at + 1);
        while (at < text.n && text.p[at] != ' ') {
                if (!read_item(&r, text, &at, seen, ret_fault))
                        return false;
                while (at < text.n && text.p[at] == ' ')
                        at++;
        }
        if (!one_span(a, &h.h.pos, r.offset) || !one_span(a, &h.h.neg, r.n_offset))
                return fault(ret_fault, 0, "out of memory");
        *ret = h;
        return true;
}
