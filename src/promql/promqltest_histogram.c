/* SPDX-License-Identifier: Apache-2.0 */
/* Native histograms in test files: when two are equal, and load_with_nhcb. */
#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "codec/float_text.h"
#include "model/histogram.h"
#include "promql/promqltest.h"
#include "storage/storage.h"

bool test_almost_equal(double a, double b)
{
        const double epsilon = 1e-6;
        if (is_stale_nan(a) || is_stale_nan(b))
                return is_stale_nan(a) && is_stale_nan(b);
        if ((a != a && b != b) || a == b)
                return true;
        double sum = fabs(a) + fabs(b), diff = fabs(a - b);
        if (a == 0 || b == 0 || sum < DBL_MIN)
                return diff < epsilon * DBL_MIN;
        return diff / MIN(sum, DBL_MAX) < epsilon;
}

/* Both compacted. */
static bool buckets_equal(const struct buckets *a, const struct buckets *b)
{
        if (a->n != b->n || a->n_spans != b->n_spans)
                return false;
        for (uint32_t i = 0; i < a->n_spans; i++)
                if (a->spans[i].offset != b->spans[i].offset || a->spans[i].length != b->spans[i].length)
                        return false;
        for (uint32_t i = 0; i < a->n; i++)
                if (!test_almost_equal(a->counts[i], b->counts[i]))
                        return false;
        return true;
}

bool test_histograms_equal(const struct histogram *want, const struct histogram *got, bool with_hint)
{
        struct arena a;
        struct histogram *x = NULL, *y = NULL;
        arena_init(&a, 64 << 20);
        struct error *e = histogram_dup(&a, want, &x);
        if (!e)
                e = histogram_dup(&a, got, &y);
        if (!e)
                e = histogram_compact(&a, x, 0);
        if (!e)
                e = histogram_compact(&a, y, 0);
        bool equal = !e && x->schema == y->schema && test_almost_equal(x->count, y->count) &&
                     test_almost_equal(x->sum, y->sum) && x->zero_threshold == y->zero_threshold &&
                     test_almost_equal(x->zero_count, y->zero_count) &&
                     (!histogram_is_custom(x) || histogram_bounds_eq(x->bounds, x->n_bounds, y->bounds, y->n_bounds)) &&
                     buckets_equal(&x->pos, &y->pos) && buckets_equal(&x->neg, &y->neg) &&
                     (!with_hint || x->reset == y->reset);
        error_free(e);
        arena_done(&a);
        return equal;
}

struct part {
        const struct promql_series_line *line;
        enum { PART_BUCKET, PART_SUM, PART_COUNT } kind;
        double le;
};
struct family {
        Labels labels;
        VEC(struct part) parts; /* buckets ascending */
        size_t n;               /* the longest line's */
};

/* False: no part of a classic histogram. */
static bool part_of(const struct promql_series_line *line, struct arena *a, struct part *ret, Labels *ret_base)
{
        static const char *const suffixes[] = {[PART_BUCKET] = "_bucket", [PART_SUM] = "_sum", [PART_COUNT] = "_count"};
        Str name = labels_get(line->labels, STR(METRIC_NAME));
        for (int i = PART_BUCKET; i <= PART_COUNT; i++) {
                if (!str_has_suffix(name, str_from(suffixes[i])))
                        continue;
                bool out_of_range;
                *ret = (struct part){.line = line, .kind = i};
                if (i == PART_BUCKET &&
                    (!float_parse(labels_get(line->labels, STR("le")), &ret->le, &out_of_range) || isnan(ret->le)))
                        return false;
                struct labels_builder b;
                labels_builder_init(&b);
                labels_builder_reset(&b, line->labels);
                labels_builder_set(&b, STR(METRIC_NAME), str_trim_suffix(name, str_from(suffixes[i])));
                labels_builder_del(&b, STR("le"));
                *ret_base = labels_dup(a, labels_builder_labels(&b, a));
                labels_builder_done(&b);
                return true;
        }
        return false;
}

static int by_le(const void *a, const void *b)
{
        const struct part *x = a, *y = b;
        return x->kind != y->kind ? (int)x->kind - (int)y->kind : (x->le > y->le) - (x->le < y->le);
}

static struct error *convert_one(const struct family *f, size_t at, struct arena *a, struct promql_series_value *ret)
{
        size_t n = 0;
        struct histogram *h = arena_new(a, struct histogram);
        double *bounds = arena_array(a, double, f->parts.n + 1), *counts = arena_array(a, double, f->parts.n + 1);
        bool any = false, has_count = false, has_inf = false;
        double below = 0;
        *h = (struct histogram){.schema = HISTOGRAM_SCHEMA_CUSTOM};
        for (size_t i = 0; i < f->parts.n; i++) {
                const struct part *p = &f->parts.p[i];
                if (at >= p->line->n || p->line->values[at].omitted || p->line->values[at].h)
                        continue;
                double v = p->line->values[at].v;
                any = true;
                if (p->kind == PART_SUM) {
                        h->sum = v;
                } else if (p->kind == PART_COUNT) {
                        h->count = v;
                        has_count = true;
                } else if (n == 0 || bounds[n - 1] != p->le) {
                        if (v < below)
                                return error_new(ERROR_INVALID, "counts are not cumulative");
                        has_inf = isinf(p->le) && p->le > 0;
                        bounds[n] = p->le;
                        counts[n++] = v - below;
                        below = v;
                }
        }
        ret->omitted = !any;
        if (!any)
                return NULL;
        if (!has_count)
                h->count = below;
        if (!has_inf)
                counts[n++] = h->count - below;
        else if (h->count != below)
                return error_new(ERROR_INVALID, "count and highest bucket differ");
        struct span *s = arena_new(a, struct span);
        s->length = (uint32_t)n;
        h->pos = (struct buckets){.spans = s, .n_spans = 1, .counts = counts, .n = (uint32_t)n};
        h->bounds = bounds;
        h->n_bounds = (uint32_t)n - 1;
        ret->h = h;
        struct error *e = histogram_compact(a, h, 2);
        return e ? e : histogram_check(h);
}

struct error *test_convert_classic(const struct promql_series_line *const *lines, size_t n, struct arena *a,
                                   LineVec *ret)
{
        struct error *e = NULL;
        VEC(struct family) families = VEC_INIT;
        for (size_t i = 0; i < n; i++) {
                struct part p;
                Labels base;
                if (!part_of(lines[i], a, &p, &base))
                        continue;
                size_t k = 0;
                while (k < families.n && !labels_eq(families.p[k].labels, base))
                        k++;
                if (k == families.n)
                        vec_push(&families, (struct family){.labels = base});
                vec_push(&families.p[k].parts, p);
                families.p[k].n = MAX(families.p[k].n, lines[i]->n);
        }
        for (size_t k = 0; k < families.n; k++) {
                struct family *f = &families.p[k];
                struct promql_series_line line = {.labels = f->labels, .n = f->n};
                line.values = arena_array(a, struct promql_series_value, f->n + 1);
                memset(line.values, 0, (f->n + 1) * sizeof *line.values);
                qsort(f->parts.p, f->parts.n, sizeof *f->parts.p, by_le);
                for (size_t i = 0; i < f->n && !e; i++)
                        e = convert_one(f, i, a, &line.values[i]);
                vec_push(ret, line);
                vec_done(&f->parts);
        }
        vec_done(&families);
        return e;
}
