/* SPDX-License-Identifier: Apache-2.0 */
/* Native histograms in the notation of series: {{schema:1 sum:3 count:4 buckets:[1 2 1]}}.  Upstream: histogram_desc_item
 * in promql/parser/generated_parser.y */
#include "base/vec.h"
#include "codec/float_text.h"
#include "model/histogram.h"
#include "promql/series_histogram.h"

typedef VEC(double) DoubleVec;
struct reading {
        Str rest;
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

static bool item(struct reading *r, Str key, Str value)
{
        struct histogram *h = &r->out->h;
        if (str_eq(key, STR("schema")))
                return integer(value, &h->schema);
        if (str_eq(key, STR("sum")))
                return number(value, &h->sum);
        if (str_eq(key, STR("count")))
                return number(value, &h->count);
        if (str_eq(key, STR("z_bucket")))
                return number(value, &h->zero_count);
        if (str_eq(key, STR("z_bucket_w")))
                return number(value, &h->zero_threshold);
        if (str_eq(key, STR("offset")))
                return integer(value, &r->offset);
        if (str_eq(key, STR("n_offset")))
                return integer(value, &r->n_offset);
        if (str_eq(key, STR("buckets")))
                return list(value, r->arena, &h->pos.counts, &h->pos.n);
        if (str_eq(key, STR("n_buckets")))
                return list(value, r->arena, &h->neg.counts, &h->neg.n);
        if (str_eq(key, STR("custom_values"))) {
                double *bounds = NULL;
                bool ok = list(value, r->arena, &bounds, &h->n_bounds);
                h->bounds = bounds;
                return ok;
        }
        if (!str_eq(key, STR("counter_reset_hint")))
                return false;
        r->out->has_hint = true;
        return hint(value, &h->reset);
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

bool promql_series_histogram_read(Str text, struct arena *a, struct promql_series_histogram *ret)
{
        struct promql_series_histogram h = {0};
        struct reading r = {.arena = a, .out = &h};
        if (!str_has_prefix(text, STR("{{")) || !str_has_suffix(text, STR("}}")) || text.n < 4)
                return false;
        r.rest = str_trim(str_sub(text, 2, text.n - 2));
        while (r.rest.n > 0) {
                Str key, value;
                if (!str_cut(r.rest, ':', &key, &r.rest))
                        return false;
                size_t n = 0;
                char end = str_has_prefix(r.rest, STR("[")) ? ']' : ' ';
                while (n < r.rest.n && r.rest.p[n] != end)
                        n++;
                if (end == ']')
                        n = MIN(n + 1, r.rest.n);
                value = str_sub(r.rest, 0, n);
                r.rest = str_trim(str_skip(r.rest, n));
                char lower[24];
                if (key.n == 0 || key.n > sizeof lower)
                        return false;
                for (size_t i = 0; i < key.n; i++)
                        lower[i] = (char)(key.p[i] >= 'A' && key.p[i] <= 'Z' ? key.p[i] + 32 : key.p[i]);
                if (!item(&r, (Str){lower, key.n}, value))
                        return false;
        }
        if (!one_span(a, &h.h.pos, r.offset) || !one_span(a, &h.h.neg, r.n_offset))
                return false;
        *ret = h;
        return true;
}
