/* SPDX-License-Identifier: Apache-2.0 */
/* The notation of series in tests: a metric, then values, some of them repeated: 1 2x3 4+1x5 _ stale. */
#include "codec/quote.h"
#include "promql/parser.h"
#include "promql/series_histogram.h"
#include "storage/storage.h"

static bool label_item(struct parser *p, LabelVec *ret)
{
        enum token_type t = parser_peek(p);
        if (t != TOK_IDENTIFIER && t != TOK_STRING) {
                parser_unexpected_in(p, "label set", "identifier or \"}\"");
                return false;
        }
        struct token name = parser_take(p);
        Label l = {name.text, {NULL, 0}};
        if (t == TOK_STRING && !parser_unquote(p, name.text, &l.name))
                return false;
        if (parser_peek(p) != TOK_EQL) {
                if (t != TOK_STRING || p->err) {
                        parser_unexpected_in(p, "label set", "\"=\"");
                        return false;
                }
                vec_push(ret, (Label){STR(METRIC_NAME), l.name});
                return true;
        }
        parser_skip(p);
        if (parser_peek(p) != TOK_STRING) {
                parser_unexpected_in(p, "label set", "string");
                return false;
        }
        if (!parser_unquote(p, parser_take(p).text, &l.value))
                return false;
        vec_push(ret, l);
        return true;
}

/* After the left brace. */
static bool label_items(struct parser *p, LabelVec *ret)
{
        while (parser_peek(p) != TOK_RIGHT_BRACE) {
                if (!label_item(p, ret))
                        return false;
                enum token_type t = parser_peek(p);
                if (t == TOK_RIGHT_BRACE)
                        break;
                if (t != TOK_COMMA) {
                        parser_unexpected_in(p, "label set", "\",\" or \"}\"");
                        return false;
                }
                parser_skip(p);
        }
        parser_skip(p);
        return true;
}

/* A name before the braces wins over one inside; of equal names the last one counts. */
static bool metric(struct parser *p, Labels *ret)
{
        LabelVec items = VEC_INIT;
        Str name = {NULL, 0};
        if (parser_is_metric_identifier(parser_peek(p)))
                name = parser_take(p).text;
        bool ok = true;
        if (parser_peek(p) == TOK_LEFT_BRACE) {
                parser_skip(p);
                ok = label_items(p, &items);
        }
        if (ok && !p->err) {
                struct labels_builder b;
                labels_builder_init(&b);
                for (size_t i = 0; i < items.n; i++)
                        labels_builder_set(&b, items.p[i].name, items.p[i].value);
                if (name.n > 0)
                        labels_builder_set(&b, STR(METRIC_NAME), name);
                Labels borrowed = labels_builder_labels(&b, p->arena);
                *ret = labels_dup(p->arena, borrowed);
                labels_builder_done(&b);
        }
        vec_done(&items);
        return !p->err;
}

struct error *promql_parse_metric(Str text, struct arena *a, Labels *ret)
{
        struct parser p;
        parser_init(&p, NULL, text, a, NULL, LEX_EXPRESSION);
        Labels ls = {NULL, 0};
        if (metric(&p, &ls) && parser_peek(&p) != TOK_EOF)
                parser_unexpected(&p);
        if (!p.err)
                *ret = ls;
        return p.err;
}

typedef VEC(struct promql_series_value) ValueVec;

/* "x5": how often. Peeked is the x. */
static bool repetition(struct parser *p, uint64_t *ret)
{
        parser_skip(p);
        if (parser_peek(p) != TOK_NUMBER) {
                parser_unexpected(p);
                return false;
        }
        struct token t = parser_take(p);
        if (str_to_u64(t.text, ret))
                return true;
        bool is_digits = true;
        for (size_t i = 0; i < t.text.n; i++)
                is_digits = is_digits && t.text.p[i] >= '0' && t.text.p[i] <= '9';
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        buf_put_go_quoted(&b, t.text);
        parser_fail(p, t.pos, "invalid repetition in series values: strconv.ParseUint: parsing %s: %s", buf_cstr(&b),
                    is_digits ? "value out of range" : "invalid syntax");
        buf_done(&b);
        return false;
}

/* step NULL: none; adding even 0 would change the bits of the staleness marker. */
static bool push_values(struct parser *p, ValueVec *ret, struct promql_series_value v, const double *step, uint64_t n)
{
        if (n > PROMQL_SERIES_VALUES_MAX - ret->n) {
                parser_fail(p, p->tok.pos, "more than %d values in a series", PROMQL_SERIES_VALUES_MAX);
                return false;
        }
        for (uint64_t i = 0; i < n; i++) {
                vec_push(ret, v);
                if (step)
                        v.v += *step;
        }
        return true;
}

static bool value(struct parser *p, double *ret)
{
        enum token_type t = parser_peek(p);
        if (t == TOK_IDENTIFIER) {
                if (!str_eq(p->tok.text, STR("stale"))) {
                        parser_unexpected_in(p, "series values", "number or \"stale\"");
                        return false;
                }
                parser_skip(p);
                uint64_t bits = STALE_NAN_BITS;
                memcpy(ret, &bits, sizeof *ret);
                return true;
        }
        bool negative = t == TOK_SUB;
        if (t == TOK_ADD || t == TOK_SUB) {
                parser_skip(p);
                t = parser_peek(p);
        }
        if (t != TOK_NUMBER) {
                parser_unexpected(p);
                return false;
        }
        struct token number = parser_take(p);
        double v = parser_number(p, number.text, number.pos);
        *ret = negative ? -v : v;
        return !p->err;
}

static bool histogram_value(struct parser *p, struct promql_series_histogram **ret)
{
        if (parser_peek(p) != TOK_HISTOGRAM) {
                parser_unexpected(p);
                return false;
        }
        struct token t = parser_take(p);
        *ret = parser_alloc(p, sizeof **ret);
        struct promql_series_histogram_fault f;
        if (*ret && !promql_series_histogram_read(t.text, p->arena, *ret, &f))
                parser_fail(p, f.at ? t.pos + (int)f.at : 0, "%s", f.text);
        return !p->err;
}

/* {{…}}, {{…}}x5, {{…}}+{{…}}x5 */
static bool histogram_item(struct parser *p, ValueVec *ret)
{
        struct promql_series_histogram *base, *step = NULL;
        if (!histogram_value(p, &base))
                return false;
        uint64_t n = 0;
        enum token_type t = parser_peek(p);
        if (t == TOK_ADD || t == TOK_SUB) {
                parser_skip(p);
                if (!histogram_value(p, &step))
                        return false;
                if (parser_peek(p) != TOK_TIMES) {
                        parser_unexpected(p);
                        return false;
                }
        }
        if (parser_peek(p) == TOK_TIMES && !repetition(p, &n))
                return false;
        if (p->err)
                return false;
        if (n >= PROMQL_SERIES_VALUES_MAX - ret->n) {
                parser_fail(p, p->tok.pos, "more than %d values in a series", PROMQL_SERIES_VALUES_MAX);
                return false;
        }
        const struct histogram *cur = &base->h;
        bool hint = step ? step->has_hint : base->has_hint;
        for (uint64_t i = 0;; i++) {
                vec_push(ret, (struct promql_series_value){.h = cur, .has_reset_hint = hint});
                if (i == n)
                        return true;
                if (!step)
                        continue;
                if (cur->schema > step->h.schema) {
                        parser_fail(p, p->tok.pos, "error combining histograms: cannot merge from schema %d to %d",
                                    (int)step->h.schema, (int)cur->schema);
                        return false;
                }
                struct histogram *sum;
                struct histogram_notes notes;
                struct error *e = histogram_dup(p->arena, cur, &sum);
                if (!e)
                        e = t == TOK_SUB ? histogram_sub(p->arena, sum, &step->h, &notes)
                                         : histogram_add(p->arena, sum, &step->h, &notes);
                if (e) {
                        parser_fail_error(p, p->tok.pos, e);
                        return false;
                }
                cur = sum;
        }
}

static bool series_item(struct parser *p, ValueVec *ret)
{
        uint64_t n;
        if (parser_peek(p) == TOK_HISTOGRAM)
                return histogram_item(p, ret);
        if (parser_peek(p) == TOK_BLANK) {
                parser_skip(p);
                n = 1;
                if (parser_peek(p) == TOK_TIMES && !repetition(p, &n))
                        return false;
                return push_values(p, ret, (struct promql_series_value){.omitted = true}, NULL, n);
        }
        struct promql_series_value v = {0};
        if (!value(p, &v.v))
                return false;
        double step = 0;
        enum token_type t = parser_peek(p);
        if (t == TOK_ADD || t == TOK_SUB) {
                if (!value(p, &step))
                        return false;
                if (parser_peek(p) != TOK_TIMES) {
                        parser_unexpected(p);
                        return false;
                }
        } else if (t != TOK_TIMES) {
                return push_values(p, ret, v, NULL, 1);
        }
        if (!repetition(p, &n))
                return false;
        if (n < UINT64_MAX) /* one more, for time 0 */
                n++;
        return push_values(p, ret, v, t == TOK_TIMES ? NULL : &step, n);
}

static bool series_values(struct parser *p, ValueVec *ret)
{
        static const struct parse_context in_values = {.in = "series values"};
        p->context = in_values;
        enum token_type t = parser_peek(p);
        if (t != TOK_SPACE && t != TOK_EOF) {
                parser_unexpected(p);
                return false;
        }
        while (parser_peek(p) == TOK_SPACE) {
                parser_skip(p);
                t = parser_peek(p);
                if (t != TOK_BLANK && t != TOK_NUMBER && t != TOK_ADD && t != TOK_SUB && t != TOK_IDENTIFIER &&
                    t != TOK_HISTOGRAM)
                        continue;
                if (!series_item(p, ret))
                        return false;
        }
        p->context = (struct parse_context){0};
        if (parser_peek(p) != TOK_EOF)
                parser_unexpected(p);
        return !p->err;
}

struct error *promql_parse_series_line(Str text, struct arena *a, struct promql_series_line *ret)
{
        struct parser p;
        parser_init(&p, NULL, text, a, NULL, LEX_SERIES_LINE);
        struct promql_series_line line = {0};
        ValueVec values = VEC_INIT;
        if (metric(&p, &line.labels) && series_values(&p, &values)) {
                line.values = parser_alloc(&p, values.n * sizeof *line.values);
                line.n = values.n;
                if (values.n > 0 && line.values)
                        memcpy(line.values, values.p, values.n * sizeof *line.values);
        }
        vec_done(&values);
        if (!p.err)
                *ret = line;
        return p.err;
}
