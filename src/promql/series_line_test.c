/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"
#include "base/test.h"
#include "codec/json.h"
#include "model/histogram.h"
#include "promql/parse.h"
#include "storage/storage.h"

enum { ARENA_BYTES = 64 << 20 };

/* Values as text, so that failures print both: "1 _ stale 2.5". */
static void put_values(struct buf *b, const struct promql_series_line *line)
{
        for (size_t i = 0; i < line->n; i++) {
                const struct promql_series_value *v = &line->values[i];
                if (i > 0)
                        buf_putc(b, ' ');
                if (v->omitted)
                        buf_putc(b, '_');
                else if (is_stale_nan(v->v))
                        buf_puts(b, "stale");
                else
                        buf_printf(b, "%.17g", v->v);
        }
}

static void line_case(const char *input, const char *labels, const char *values)
{
        struct arena a;
        arena_init(&a, ARENA_BYTES);
        struct promql_series_line line = {0};
        CHECK_OK(promql_parse_series_line(str_from(input), &a, &line));
        struct buf b = BUF_INIT(1 << 20);
        labels_print(&b, line.labels);
        CHECK_STR(buf_str(&b), labels);
        buf_clear(&b);
        put_values(&b, &line);
        CHECK_STR(buf_str(&b), values);
        buf_done(&b);
        arena_done(&a);
}

static void error_case(const char *input, const char *text)
{
        struct arena a;
        arena_init(&a, ARENA_BYTES);
        struct promql_series_line line = {0};
        CHECK_ERROR(promql_parse_series_line(str_from(input), &a, &line), text);
        arena_done(&a);
}

TEST(series_line, expands_repetitions)
{
        line_case("a 1 2x2 _ _x2 stale", "{__name__=\"a\"}", "1 2 2 2 _ _ _ stale");
        line_case("a{b=\"c\"} 1+2x3 -1-1x2", "{__name__=\"a\", b=\"c\"}", "1 3 5 7 -1 -2 -3");
        line_case("{\"a.b\", \"c d\"='e'} 0x2 1e3", "{__name__=\"a.b\", \"c d\"=\"e\"}", "0 0 0 1000");
        line_case("", "{}", "");
        line_case("{}   ", "{}", "");
}

TEST(series_line, refuses)
{
        error_case("a 1+1", "1:6: parse error: unexpected end of input in series values");
        error_case("a 1x3x4", "1:6: parse error: unexpected \"x\"");
        error_case("a foo",
                   "1:3: parse error: unexpected identifier \"foo\" in series values, expected number or \"stale\"");
        error_case("a{b=c} 1", "1:5: parse error: unexpected identifier \"c\" in label set, expected string");
        error_case("a 1x1.5", "1:5: parse error: invalid repetition in series values: strconv.ParseUint: parsing "
                              "\"1.5\": invalid syntax");
        error_case("a _x99999999999", "1:5: parse error: more than 10000000 values in a series");
        error_case("a {{sum:x}}", "1:9: parse error: bad histogram descriptor found: \"x\"");
        error_case("a {{sum:1}", "1:3: parse error: unexpected end of input inside a histogram");
        error_case("a {{}}+{{}}", "1:12: parse error: unexpected end of input in series values");
        error_case("a {{schema:1}}+{{}}x2",
                   "1:21: parse error: error combining histograms: cannot merge from schema 0 to 1");
}

static bool buckets_are(const struct json *want, const struct json *spans, const struct buckets *got)
{
        size_t n = want->type == JSON_ARRAY ? want->n : 0, n_spans = spans->type == JSON_ARRAY ? spans->n : 0;
        if (n != got->n || n_spans != got->n_spans)
                return false;
        for (size_t i = 0; i < n; i++)
                if (json_f64(json_at(want, i)) != got->counts[i])
                        return false;
        for (size_t i = 0; i < n_spans; i++) {
                const struct json *s = json_at(spans, i);
                if (json_f64(json_get(s, STR("Offset"))) != got->spans[i].offset ||
                    json_f64(json_get(s, STR("Length"))) != got->spans[i].length)
                        return false;
        }
        return true;
}

static bool is_histogram(const struct histogram *h, const struct json *w)
{
        return h && json_f64(json_get(w, STR("Count"))) == h->count && json_f64(json_get(w, STR("Sum"))) == h->sum &&
               json_f64(json_get(w, STR("CounterResetHint"))) == (double)h->reset &&
               json_f64(json_get(w, STR("Schema"))) == h->schema &&
               json_f64(json_get(w, STR("ZeroCount"))) == h->zero_count &&
               json_f64(json_get(w, STR("ZeroThreshold"))) == h->zero_threshold &&
               buckets_are(json_get(w, STR("PositiveBuckets")), json_get(w, STR("PositiveSpans")), &h->pos) &&
               buckets_are(json_get(w, STR("NegativeBuckets")), json_get(w, STR("NegativeSpans")), &h->neg);
}

static size_t run_histograms(const struct json *table, size_t *failed)
{
        size_t n = 0;
        JSON_EACH(c, table)
        {
                struct arena a;
                struct promql_series_line line = {0};
                arena_init(&a, ARENA_BYTES);
                Str input = json_str(json_get(&c->value, STR("input")));
                Str error = json_str(json_get(&c->value, STR("expectedError")));
                const struct json *want = json_get(&c->value, STR("expected"));
                struct error *e = promql_parse_series_line(input, &a, &line);
                bool ok = error.n ? e && str_eq(str_from(error_str(e)), error) : !e && line.n == want->n;
                for (size_t i = 0; ok && !e && i < line.n; i++)
                        ok = is_histogram(line.values[i].h, json_at(want, i));
                if (!ok) {
                        print_message(STR_FMT ": got %s\n", STR_ARG(input), e ? error_str(e) : "other histograms");
                        ++*failed;
                }
                error_free(e);
                arena_done(&a);
                n++;
        }
        return n;
}

static bool is_value(const struct promql_series_value *got, const struct json *want)
{
        bool omitted = json_bool(json_get(want, STR("Omitted")));
        const struct json *v = json_get(want, STR("Value"));
        if (omitted || got->omitted)
                return omitted == got->omitted;
        if (v->type == JSON_STRING) /* "StaleNaN", "NaN", "+Inf" */
                return str_eq(v->text, STR("StaleNaN")) ? is_stale_nan(got->v) : got->v - got->v != 0;
        return got->v == json_f64(v);
}

/* What is wrong with the line, or "". */
static void compare(Str input, const char *error, const struct json *labels, const struct json *values, struct buf *ret)
{
        struct arena a;
        arena_init(&a, ARENA_BYTES);
        struct promql_series_line line = {0};
        struct error *e = promql_parse_series_line(input, &a, &line);
        if (error || e) {
                if (!error || !e || !strstr(error_str(e), error))
                        buf_printf(ret, "got error %s, want %s", error_str(e), error ? error : "none");
                error_free(e);
                arena_done(&a);
                return;
        }
        if (line.labels.n != labels->n || line.n != values->n)
                buf_printf(ret, "%zu labels, %zu values; ", line.labels.n, line.n);
        for (size_t i = 0; i < line.labels.n; i++)
                if (!str_eq(json_str(json_get(labels, line.labels.v[i].name)), line.labels.v[i].value))
                        buf_printf(ret, "label " STR_FMT "; ", STR_ARG(line.labels.v[i].name));
        for (size_t i = 0; i < MIN(line.n, values->n); i++)
                if (!is_value(&line.values[i], json_at(values, i)))
                        buf_printf(ret, "value %zu is %g; ", i, line.values[i].v);
        arena_done(&a);
}

/* names: of the members that hold labels, values and the error. */
static size_t run_table(const struct json *root, const char *table, const char *labels, const char *values,
                        size_t *failed)
{
        size_t n = 0;
        JSON_EACH(c, json_get(root, str_from(table)))
        {
                Str input = json_str(json_get(&c->value, STR("input")));
                Str text = json_str(json_get(&c->value, STR("expectError")));
                bool fail = json_bool(json_get(&c->value, STR("fail"))) || text.n > 0;
                char *error = fail ? str_dup(text) : NULL;
                struct buf fault = BUF_INIT(1 << 20);
                compare(input, error, json_get(&c->value, str_from(labels)), json_get(&c->value, str_from(values)),
                        &fault);
                if (fault.n > 0) {
                        print_message("%s: " STR_FMT ": %s\n", table, STR_ARG(input), buf_cstr(&fault));
                        ++*failed;
                }
                buf_done(&fault);
                free(error);
                n++;
        }
        return n;
}

TEST(series_line, agrees_with_the_original_on_its_tables)
{
        char *path = conformance_path("parser/series_and_histograms.json");
        char *text = NULL;
        size_t n = 0, failed = 0;
        CHECK_OK(file_read(path, 16 << 20, &text, &n));
        struct arena doc;
        arena_init(&doc, ARENA_BYTES);
        const struct json *root = NULL;
        CHECK_OK(json_parse((Str){text, n}, &doc, &root));
        size_t cases = run_table(root, "TestParseSeriesDesc", "expectedLabels", "expectedValues", &failed);
        cases += run_table(root, "TestParseSeries", "expectedMetric", "expectedValues", &failed);
        cases += run_histograms(json_get(root, STR("TestParseHistogramSeries")), &failed);
        JSON_EACH(table, root)
        {
                if (str_eq(table->key, STR("TestHistogramTestExpression")))
                        print_message("SKIP " STR_FMT ": %zu cases: native histograms\n", STR_ARG(table->key),
                                      table->value.n);
        }
        arena_done(&doc);
        free(text);
        free(path);
        CHECK_U64(cases, 54);
        CHECK_U64(failed, 0);
}
