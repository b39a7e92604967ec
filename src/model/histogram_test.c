/* SPDX-License-Identifier: Apache-2.0 */
/* Arithmetic against upstream's tables, and what those don't hold. */
#include "model/histogram.h"

#include <math.h>
#include <stdio.h>

#include "base/file.h"
#include "base/test.h"
#include "codec/float_text.h"
#include "codec/json.h"

static double number(const struct json *j)
{
        if (!j)
                return 0;
        if (j->type == JSON_STRING) {
                double v = 0;
                CHECK(float_parse(json_str(j), &v, NULL));
                return v;
        }
        return json_f64(j);
}

static const struct span *spans_of(struct arena *a, const struct json *j, uint32_t *n)
{
        *n = j ? (uint32_t)j->n : 0;
        struct span *s = arena_array(a, struct span, *n + 1);
        for (uint32_t i = 0; i < *n; i++)
                s[i] = (struct span){(int32_t)json_i64(json_get(json_at(j, i), STR("Offset"))),
                                     (uint32_t)json_i64(json_get(json_at(j, i), STR("Length")))};
        return s;
}

static double *numbers_of(struct arena *a, const struct json *j, uint32_t *n)
{
        *n = j ? (uint32_t)j->n : 0;
        double *v = arena_array(a, double, *n + 1);
        for (uint32_t i = 0; i < *n; i++)
                v[i] = number(json_at(j, i));
        return v;
}

static struct histogram *read_float(struct arena *a, const struct json *j)
{
        if (!j || j->type != JSON_OBJECT)
                return NULL;
        struct histogram *h = arena_new(a, struct histogram);
        h->reset = (enum counter_reset)json_i64(json_get(j, STR("CounterResetHint")));
        h->schema = (int32_t)json_i64(json_get(j, STR("Schema")));
        h->zero_threshold = number(json_get(j, STR("ZeroThreshold")));
        h->zero_count = number(json_get(j, STR("ZeroCount")));
        h->count = number(json_get(j, STR("Count")));
        h->sum = number(json_get(j, STR("Sum")));
        h->pos.spans = spans_of(a, json_get(j, STR("PositiveSpans")), &h->pos.n_spans);
        h->neg.spans = spans_of(a, json_get(j, STR("NegativeSpans")), &h->neg.n_spans);
        h->pos.counts = numbers_of(a, json_get(j, STR("PositiveBuckets")), &h->pos.n);
        h->neg.counts = numbers_of(a, json_get(j, STR("NegativeBuckets")), &h->neg.n);
        h->bounds = numbers_of(a, json_get(j, STR("CustomValues")), &h->n_bounds);
        return h;
}

static int64_t *ints_of(struct arena *a, const struct json *j, uint32_t *n)
{
        *n = j ? (uint32_t)j->n : 0;
        int64_t *v = arena_array(a, int64_t, *n + 1);
        for (uint32_t i = 0; i < *n; i++)
                v[i] = json_i64(json_at(j, i));
        return v;
}

static struct int_histogram *read_int(struct arena *a, const struct json *j)
{
        struct int_histogram *h = arena_new(a, struct int_histogram);
        h->reset = (enum counter_reset)json_i64(json_get(j, STR("CounterResetHint")));
        h->schema = (int32_t)json_i64(json_get(j, STR("Schema")));
        h->zero_threshold = number(json_get(j, STR("ZeroThreshold")));
        h->zero_count = (uint64_t)json_i64(json_get(j, STR("ZeroCount")));
        h->count = (uint64_t)json_i64(json_get(j, STR("Count")));
        h->sum = number(json_get(j, STR("Sum")));
        h->pos.spans = spans_of(a, json_get(j, STR("PositiveSpans")), &h->pos.n_spans);
        h->neg.spans = spans_of(a, json_get(j, STR("NegativeSpans")), &h->neg.n_spans);
        h->pos.deltas = ints_of(a, json_get(j, STR("PositiveBuckets")), &h->pos.n);
        h->neg.deltas = ints_of(a, json_get(j, STR("NegativeBuckets")), &h->neg.n);
        h->bounds = numbers_of(a, json_get(j, STR("CustomValues")), &h->n_bounds);
        return h;
}

static void describe_side(struct buf *b, const struct buckets *s)
{
        for (uint32_t i = 0; i < s->n_spans; i++)
                buf_printf(b, " {%d %u}", s->spans[i].offset, s->spans[i].length);
        for (uint32_t i = 0; i < s->n; i++) {
                buf_putc(b, ' ');
                buf_put_float(b, s->counts[i] == 0 ? 0 : s->counts[i], 'g');
        }
}

/* Everything that upstream's comparison of structs sees. */
static void describe(struct buf *b, const struct histogram *h)
{
        buf_clear(b);
        buf_printf(b, "hint %d schema %d", h->reset, h->schema);
        const double v[] = {h->zero_threshold, h->zero_count, h->count, h->sum};
        for (size_t i = 0; i < ARRAY_LEN(v); i++) {
                buf_putc(b, ' ');
                buf_put_float(b, v[i], 'g');
        }
        buf_puts(b, " pos");
        describe_side(b, &h->pos);
        buf_puts(b, " neg");
        describe_side(b, &h->neg);
        buf_puts(b, " bounds");
        for (uint32_t i = 0; i < h->n_bounds; i++) {
                buf_putc(b, ' ');
                buf_put_float(b, h->bounds[i], 'g');
        }
}

static void check_same(const struct histogram *got, const struct histogram *want, const char *table, Str name)
{
        struct buf a = BUF_INIT(1 << 20), b = BUF_INIT(1 << 20);
        describe(&a, got);
        describe(&b, want);
        CHECK_MSG(str_eq(buf_str(&a), buf_str(&b)), "%s, %.*s:\n got  %.*s\n want %.*s", table, STR_ARG(name),
                  STR_ARG(buf_str(&a)), STR_ARG(buf_str(&b)));
        buf_done(&a);
        buf_done(&b);
}

struct tables {
        struct arena a;
        char *path;
        struct buf text;
        const struct json *root;
};

static void tables_open(struct tables *t)
{
        t->path = conformance_path("histogram/histogram.json");
        t->text = (struct buf)BUF_INIT(64 << 20);
        arena_init(&t->a, 256 << 20);
        FILE *f = fopen(t->path, "r");
        CHECK(f != NULL);
        char chunk[65536];
        for (size_t n; (n = fread(chunk, 1, sizeof chunk, f)) > 0;)
                buf_append(&t->text, chunk, n);
        fclose(f);
        CHECK_OK(json_parse(buf_str(&t->text), &t->a, &t->root));
}

static void tables_close(struct tables *t)
{
        arena_done(&t->a);
        buf_done(&t->text);
        free(t->path);
}

static const struct json *table(const struct tables *t, const char *name)
{
        const struct json *j = json_get(t->root, str_from(name));
        CHECK_MSG(j && j->n > 0, "no table %s", name);
        return j;
}

static Str name_of(const struct json *c)
{
        return json_get(c, STR("name")) ? json_str(json_get(c, STR("name"))) : json_str(json_get(c, STR("key")));
}

#define EACH_CASE(c, t, table_name)                                                                                    \
        const char *const name_##c = table_name;                                                                       \
        JSON_EACH(m_##c, table(&(t), table_name))                                                                      \
        for (const struct json *c = &m_##c->value; c; c = NULL)

TEST(histogram, mul_and_div_as_the_tables)
{
        struct tables t;
        tables_open(&t);
        {
                EACH_CASE(c, t, "TestFloatHistogramMul")
                {
                        struct histogram *h = read_float(&t.a, json_get(c, STR("in")));
                        histogram_mul(h, number(json_get(c, STR("scale"))));
                        check_same(h, read_float(&t.a, json_get(c, STR("expected"))), name_c, name_of(c));
                }
        }
        {
                EACH_CASE(c, t, "TestFloatHistogramDiv")
                {
                        struct histogram *h = read_float(&t.a, json_get(c, STR("fh")));
                        histogram_div(h, number(json_get(c, STR("s"))));
                        check_same(h, read_float(&t.a, json_get(c, STR("expected"))), name_c, name_of(c));
                }
        }
        tables_close(&t);
}

TEST(histogram, resets_as_the_table)
{
        struct tables t;
        tables_open(&t);
        EACH_CASE(c, t, "TestFloatHistogramDetectReset")
        {
                bool got = histogram_is_reset(read_float(&t.a, json_get(c, STR("current"))),
                                              read_float(&t.a, json_get(c, STR("previous"))));
                CHECK_MSG(got == json_bool(json_get(c, STR("resetExpected"))), "%s, %.*s: got %d", name_c,
                          STR_ARG(name_of(c)), got);
        }
        tables_close(&t);
}

TEST(histogram, compaction_as_the_tables)
{
        struct tables t;
        tables_open(&t);
        {
                EACH_CASE(c, t, "TestFloatHistogramCompact")
                {
                        struct histogram *h = read_float(&t.a, json_get(c, STR("in")));
                        CHECK_OK(histogram_compact(&t.a, h, (size_t)json_i64(json_get(c, STR("maxEmptyBuckets")))));
                        check_same(h, read_float(&t.a, json_get(c, STR("expected"))), name_c, name_of(c));
                }
        }
        {
                EACH_CASE(c, t, "TestHistogramCompact")
                {
                        struct int_histogram *h = read_int(&t.a, json_get(c, STR("in")));
                        struct int_histogram *want = read_int(&t.a, json_get(c, STR("expected")));
                        CHECK_OK(int_histogram_compact(&t.a, h, (size_t)json_i64(json_get(c, STR("maxEmptyBuckets")))));
                        CHECK_MSG(h->pos.n == want->pos.n, "%s, %.*s: %u buckets, want %u", name_c, STR_ARG(name_of(c)),
                                  h->pos.n, want->pos.n);
                        CHECK(memcmp(h->pos.deltas, want->pos.deltas, h->pos.n * sizeof *h->pos.deltas) == 0);
                        CHECK(memcmp(h->neg.deltas, want->neg.deltas, h->neg.n * sizeof *h->neg.deltas) == 0);
                        struct histogram *f, *fw;
                        CHECK_OK(int_histogram_to_float(&t.a, h, &f));
                        CHECK_OK(int_histogram_to_float(&t.a, want, &fw));
                        check_same(f, fw, name_c, name_of(c));
                }
        }
        tables_close(&t);
}

enum how { ADD, SUB, KAHAN };

static void check_sum(struct tables *t, const char *name, const struct json *c, enum how how, bool swapped)
{
        struct histogram *x = read_float(&t->a, json_get(c, swapped ? STR("in2") : STR("in1"))),
                         *y = read_float(&t->a, json_get(c, swapped ? STR("in1") : STR("in2"))),
                         *comp = read_float(&t->a, json_get(c, STR("comp"))),
                         *want = read_float(&t->a, json_get(c, how == KAHAN && json_get(c, STR("expectedSum"))
                                                                       ? STR("expectedSum")
                                                                       : STR("expected"))),
                         *before;
        if (!comp) {
                CHECK_OK(histogram_check(x));
                CHECK_OK(histogram_check(y));
        }
        CHECK_OK(histogram_dup(&t->a, y, &before));
        struct histogram_notes notes = {0}, more;
        struct error *e = how == KAHAN ? histogram_kahan_add(&t->a, x, &comp, y, &notes)
                          : how == SUB ? histogram_sub(&t->a, x, y, &notes)
                                       : histogram_add(&t->a, x, y, &notes);
        if (json_str(json_get(c, STR("expErrMsg"))).n) {
                CHECK_STRS(str_from(error_str(e)), json_str(json_get(c, STR("expErrMsg"))));
                error_free(e);
                return;
        }
        CHECK_OK(e);
        if (how == KAHAN) {
                CHECK_U64(comp->pos.n, x->pos.n);
                CHECK_U64(comp->neg.n, x->neg.n);
                CHECK_OK(histogram_add(&t->a, x, comp, &more));
        }
        CHECK(notes.reset_collision == json_bool(json_get(c, STR("expCounterResetCollision"))));
        CHECK(notes.bounds_reconciled == json_bool(json_get(c, STR("expNHCBBoundsReconciled"))));
        if (!want)
                return; /* upstream looks at the notes only */
        CHECK_OK(histogram_compact(&t->a, x, 0));
        CHECK_OK(histogram_compact(&t->a, want, 0));
        check_same(x, want, name, name_of(c));
        check_same(y, before, name, name_of(c));
}

TEST(histogram, sums_as_the_tables)
{
        struct tables t;
        tables_open(&t);
        {
                EACH_CASE(c, t, "TestFloatHistogramAdd")
                {
                        for (int swapped = 0; swapped < 2; swapped++) {
                                if (json_str(json_get(c, STR("expErrMsg"))).n)
                                        continue;
                                check_sum(&t, name_c, c, ADD, swapped);
                                check_sum(&t, name_c, c, KAHAN, swapped);
                        }
                }
        }
        {
                EACH_CASE(c, t, "TestKahanAddWithCompHistogram") check_sum(&t, name_c, c, KAHAN, false);
        }
        {
                EACH_CASE(c, t, "TestFloatHistogramSub") check_sum(&t, name_c, c, SUB, false);
        }
        tables_close(&t);
}

TEST(histogram, mixed_kinds_are_refused)
{
        struct histogram x = {.schema = 1}, y = {.schema = HISTOGRAM_SCHEMA_CUSTOM}, *c = NULL;
        struct histogram_notes n;
        struct arena a;
        arena_init(&a, 1 << 20);
        CHECK(histogram_add(&a, &x, &y, &n) == &error_histograms_incompatible);
        CHECK(histogram_sub(&a, &y, &x, &n) == &error_histograms_incompatible);
        CHECK(histogram_kahan_add(&a, &y, &c, &x, &n) == &error_histograms_incompatible);
        arena_done(&a);
}

TEST(histogram, reductions_as_the_tables)
{
        struct tables t;
        tables_open(&t);
        {
                EACH_CASE(c, t, "TestFloatHistogramCopyToSchema")
                {
                        struct histogram *h = read_float(&t.a, json_get(c, STR("in")));
                        int32_t to = (int32_t)json_i64(json_get(c, STR("targetSchema")));
                        if (to != h->schema)
                                CHECK_OK(histogram_reduce(&t.a, h, to));
                        check_same(h, read_float(&t.a, json_get(c, STR("expected"))), name_c, name_of(c));
                }
        }
        {
                EACH_CASE(c, t, "TestFloatHistogramReduceResolution")
                {
                        struct histogram *h = read_float(&t.a, json_get(c, STR("origin")));
                        struct error *e =
                                histogram_reduce(&t.a, h, (int32_t)json_i64(json_get(c, STR("targetSchema"))));
                        Str text = json_str(json_get(c, STR("errorMsg")));
                        CHECK_STRS(str_from(error_str(e)), text);
                        if (!e)
                                check_same(h, read_float(&t.a, json_get(c, STR("target"))), name_c, name_of(c));
                        error_free(e);
                }
        }
        {
                EACH_CASE(c, t, "TestHistogramReduceResolution")
                {
                        struct int_histogram *h = read_int(&t.a, json_get(c, STR("origin")));
                        struct error *e =
                                int_histogram_reduce(&t.a, h, (int32_t)json_i64(json_get(c, STR("targetSchema"))));
                        Str text = json_str(json_get(c, STR("errorMsg")));
                        CHECK_STRS(str_from(error_str(e)), text);
                        if (!e) {
                                struct histogram *f, *fw;
                                CHECK_OK(int_histogram_to_float(&t.a, h, &f));
                                CHECK_OK(int_histogram_to_float(&t.a, read_int(&t.a, json_get(c, STR("target"))), &fw));
                                check_same(f, fw, name_c, name_of(c));
                        }
                        error_free(e);
                }
        }
        tables_close(&t);
}

static void check_bucket(const struct histogram_bucket *got, const struct json *want, const char *name, size_t i)
{
        CHECK_MSG(got->lower == number(json_get(want, STR("Lower"))) &&
                          got->upper == number(json_get(want, STR("Upper"))) &&
                          got->count == number(json_get(want, STR("Count"))) &&
                          got->index == json_i64(json_get(want, STR("Index"))) &&
                          got->lower_inclusive == json_bool(json_get(want, STR("LowerInclusive"))) &&
                          got->upper_inclusive == json_bool(json_get(want, STR("UpperInclusive"))),
                  "%s: bucket %zu is %g … %g: %g at %d", name, i, got->lower, got->upper, got->count, got->index);
}

static void check_order(const struct histogram *h, enum bucket_order order, const struct json *want, bool backwards,
                        const char *name)
{
        struct bucket_iter it;
        struct histogram_bucket b;
        bucket_iter_init(&it, h, order);
        size_t n = want ? want->n : 0;
        for (size_t i = 0; i < n; i++) {
                CHECK(bucket_iter_next(&it, &b));
                check_bucket(&b, json_at(want, backwards ? n - 1 - i : i), name, i);
        }
        CHECK(!bucket_iter_next(&it, &b));
        CHECK(!bucket_iter_next(&it, &b));
}

TEST(histogram, buckets_in_order_as_the_tables)
{
        struct tables t;
        tables_open(&t);
        {
                EACH_CASE(c, t, "TestFloatCustomBucketsIterators")
                {
                        struct histogram *h = read_float(&t.a, json_get(c, STR("h")));
                        const struct json *want = json_get(c, STR("expPositiveBuckets"));
                        check_order(h, BUCKETS_POSITIVE, want, false, name_c);
                        check_order(h, BUCKETS_POSITIVE_DOWN, want, true, name_c);
                        check_order(h, BUCKETS_ALL, want, false, name_c);
                        check_order(h, BUCKETS_ALL_DOWN, want, true, name_c);
                        check_order(h, BUCKETS_NEGATIVE, NULL, false, name_c);
                        check_order(h, BUCKETS_NEGATIVE_UP, NULL, false, name_c);
                }
        }
        {
                EACH_CASE(c, t, "TestFloatBucketIteratorTargetSchema")
                {
                        struct histogram *h = read_float(&t.a, json_get(c, STR("h")));
                        uint32_t n_pos = 0, n_neg = 0;
                        for (uint32_t i = 0; i < h->pos.n_spans; i++)
                                n_pos += h->pos.spans[i].length;
                        for (uint32_t i = 0; i < h->neg.n_spans; i++)
                                n_neg += h->neg.spans[i].length;
                        /* a reduction asks for sound histograms, upstream's iterator does not: what is too much is cut
                         * first */
                        h->pos.n = MIN(h->pos.n, n_pos);
                        h->neg.n = MIN(h->neg.n, n_neg);
                        if (h->pos.n < n_pos || h->neg.n < n_neg)
                                continue;
                        if (h->schema != -1)
                                CHECK_OK(histogram_reduce(&t.a, h, -1));
                        check_order(h, BUCKETS_POSITIVE, json_get(c, STR("expPositiveBuckets")), false, name_c);
                        check_order(h, BUCKETS_NEGATIVE, json_get(c, STR("expNegativeBuckets")), false, name_c);
                }
        }
        {
                EACH_CASE(c, t, "TestRegularBucketIterator")
                {
                        struct histogram *h;
                        CHECK_OK(int_histogram_to_float(&t.a, read_int(&t.a, json_get(c, STR("histogram"))), &h));
                        check_order(h, BUCKETS_POSITIVE, json_get(c, STR("expectedPositiveBuckets")), false, name_c);
                        check_order(h, BUCKETS_NEGATIVE, json_get(c, STR("expectedNegativeBuckets")), false, name_c);
                }
        }
        {
                EACH_CASE(c, t, "TestCumulativeBucketIterator")
                {
                        struct histogram *h;
                        CHECK_OK(int_histogram_to_float(&t.a, read_int(&t.a, json_get(c, STR("histogram"))), &h));
                        const struct json *want = json_get(c, STR("expectedBuckets"));
                        struct cumulative_iter it;
                        struct histogram_bucket b;
                        cumulative_iter_init(&it, h);
                        for (size_t i = 0; i < want->n; i++) {
                                CHECK(cumulative_iter_next(&it, &b));
                                check_bucket(&b, json_at(want, i), name_c, i);
                        }
                        CHECK(!cumulative_iter_next(&it, &b));
                }
        }
        tables_close(&t);
}

/* As upstream's test: the three parts one after the other, each cut at the zero bucket if that is there. */
static size_t parts_of(const struct histogram *h, enum bucket_order first, enum bucket_order last, bool has_zero,
                       struct histogram_bucket *out)
{
        size_t n = 0;
        for (int part = 0; part < 3; part++) {
                if (part == 1) {
                        if (has_zero)
                                out[n++] = histogram_zero_bucket(h);
                        continue;
                }
                struct bucket_iter it;
                bucket_iter_init(&it, h, part ? last : first);
                while (bucket_iter_next(&it, &out[n])) {
                        if (has_zero && out[n].upper <= 0 && out[n].upper > -h->zero_threshold)
                                out[n].upper = -h->zero_threshold;
                        if (has_zero && out[n].lower >= 0 && out[n].lower < h->zero_threshold)
                                out[n].lower = h->zero_threshold;
                        n++;
                }
        }
        return n;
}

TEST(histogram, all_buckets_as_the_tables)
{
        struct tables t;
        tables_open(&t);
        for (int down = 0; down < 2; down++) {
                JSON_EACH(m, table(&t, down ? "TestAllReverseFloatBucketIterator" : "TestAllFloatBucketIterator"))
                {
                        const struct json *c = &m->value;
                        struct histogram *h = read_float(&t.a, json_get(c, STR("h")));
                        bool has_zero = json_bool(json_get(c, STR("includeZero")));
                        if (!json_bool(json_get(c, STR("includePos"))))
                                CHECK_U64(h->pos.n, 0);
                        if (!json_bool(json_get(c, STR("includeNeg"))))
                                CHECK_U64(h->neg.n, 0);
                        struct histogram_bucket want[64], got;
                        size_t n = parts_of(h, down ? BUCKETS_POSITIVE_DOWN : BUCKETS_NEGATIVE_UP,
                                            down ? BUCKETS_NEGATIVE : BUCKETS_POSITIVE, has_zero, want);
                        struct bucket_iter it;
                        bucket_iter_init(&it, h, down ? BUCKETS_ALL_DOWN : BUCKETS_ALL);
                        for (size_t i = 0; i < n; i++) {
                                CHECK(bucket_iter_next(&it, &got));
                                CHECK_F64(got.lower, want[i].lower);
                                CHECK_F64(got.upper, want[i].upper);
                                CHECK_F64(got.count, want[i].count);
                                CHECK(got.lower_inclusive == want[i].lower_inclusive &&
                                      got.upper_inclusive == want[i].upper_inclusive);
                        }
                        CHECK(!bucket_iter_next(&it, &got));
                }
        }
        tables_close(&t);
}

TEST(histogram, texts_as_the_tables)
{
        struct tables t;
        tables_open(&t);
        struct buf b = BUF_INIT(1 << 20);
        {
                EACH_CASE(c, t, "TestFloatHistogramString")
                {
                        buf_clear(&b);
                        buf_put_histogram(&b, read_float(&t.a, json_get(c, STR("fh"))));
                        CHECK_STRS(buf_str(&b), json_str(json_get(c, STR("expected"))));
                        CHECK(name_c != NULL);
                }
        }
        {
                EACH_CASE(c, t, "TestHistogramString")
                {
                        buf_clear(&b);
                        buf_put_int_histogram(&b, read_int(&t.a, json_get(c, STR("histogram"))));
                        CHECK_STRS(buf_str(&b), json_str(json_get(c, STR("expectedString"))));
                        CHECK(name_c != NULL);
                }
        }
        buf_done(&b);
        tables_close(&t);
}

TEST(histogram, checks_as_the_tables)
{
        struct tables t;
        tables_open(&t);
        {
                EACH_CASE(c, t, "TestHistogramValidation")
                {
                        struct int_histogram *h = read_int(&t.a, json_get(c, STR("h")));
                        Str text = json_str(json_get(c, STR("errMsg")));
                        struct error *e = int_histogram_check(h);
                        CHECK_STRS(str_from(error_str(e)), text);
                        error_free(e);
                        if (json_bool(json_get(c, STR("skipFloat"))))
                                continue;
                        struct histogram *f;
                        CHECK_OK(int_histogram_to_float(&t.a, h, &f));
                        e = histogram_check(f);
                        CHECK_STRS(str_from(error_str(e)), text);
                        error_free(e);
                        CHECK(name_c != NULL);
                }
        }
        {
                EACH_CASE(c, t, "TestFloatHistogramValidateNegativeHistogram")
                {
                        struct error *e = histogram_check(read_float(&t.a, json_get(c, STR("fh"))));
                        CHECK_MSG(e && str_contains(str_from(error_str(e)), STR("negative")), "%s, %.*s: %s", name_c,
                                  STR_ARG(name_of(c)), error_str(e));
                        error_free(e);
                }
        }
        tables_close(&t);
}

TEST(histogram, floats_of_integers_print_alike)
{
        const struct span pos[] = {{0, 4}, {0, 0}, {0, 3}}, neg[] = {{0, 5}, {1, 0}, {0, 1}};
        struct int_histogram h = {.schema = 3, .count = 61, .sum = 2.7, .zero_threshold = 0.1, .zero_count = 42};
        h.pos = (struct int_buckets){pos, (int64_t[]){1, 2, -2, 1, -1, 0, 0}, 3, 7};
        h.neg = (struct int_buckets){neg, (int64_t[]){1, 2, -2, 1, -1, 0}, 3, 6};
        struct arena a;
        arena_init(&a, 1 << 20);
        struct histogram *f;
        CHECK_OK(int_histogram_to_float(&a, &h, &f));
        struct buf x = BUF_INIT(4096), y = BUF_INIT(4096);
        buf_put_int_histogram(&x, &h);
        buf_put_histogram(&y, f);
        CHECK_STRS(buf_str(&x), buf_str(&y));
        buf_clear(&x);
        buf_put_histogram_json(&x, f);
        CHECK(str_has_prefix(buf_str(&x), STR("{\"count\":\"61\",\"sum\":\"2.7\",\"buckets\":[[1,\"-1."
                                              "6817928305074288\",\"-1.5422108254079407\",\"1\"],")));
        CHECK(str_contains(buf_str(&x), STR("[3,\"-0.1\",\"0.1\",\"42\"],[0,\"0.9170040432046711\",\"1\",\"1\"],")));
        buf_clear(&x);
        CHECK_OK(buf_put_histogram_test(&x, f, &a));
        CHECK_STR(buf_str(&x), "{{schema:3 count:61 sum:2.7 z_bucket:42 z_bucket_w:0.1 buckets:[1 3 1 2 1 1 1] "
                               "n_buckets:[1 3 1 2 1 0 1]}}");
        buf_done(&x);
        buf_done(&y);
        arena_done(&a);
}

static void check_trim(double x, bool is_upper, const char *want)
{
        struct arena a;
        arena_init(&a, 1 << 20);
        const struct span s[] = {{0, 4}};
        double c[] = {5, 10, 10, 5};
        struct histogram h = {.schema = 0, .count = 30, .sum = 100, .pos = {s, c, 1, 4}};
        CHECK_OK(histogram_trim(&a, &h, x, is_upper));
        struct buf b = BUF_INIT(4096);
        buf_put_histogram(&b, &h);
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
        arena_done(&a);
}

TEST(histogram, trim_keeps_one_side)
{
        check_trim(4, true, "{count:25, sum:45.96194077712559, (0.5,1]:5, (1,2]:10, (2,4]:10}");
        check_trim(4, false, "{count:5, sum:28.284271247461902, (4,8]:5}");
        check_trim(100, true, "{count:30, sum:100, (0.5,1]:5, (1,2]:10, (2,4]:10, (4,8]:5}");
}
