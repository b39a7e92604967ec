/* SPDX-License-Identifier: Apache-2.0 */
/* Upstream's evaluation cases, the files of conformance/promqltest; the README there defines the language. Sections (up
 * to the next clear) that load native histograms or start timestamps are left out as long as the engine does not know
 * them, and so are evals that expect histograms. */
#include <math.h>
#include <stdio.h>

#include "base/file.h"
#include "base/test.h"
#include "codec/regex.h"
#include "model/duration.h"
#include "promql/engine.h"
#include "storage/memory.h"

struct expectation {
        bool fail, ordered, matrix, is_string, is_scalar, no_warn, no_info, warn, info;
        Str fail_msg, fail_re, string;
        double scalar;
        StrVec warn_msg, warn_re, info_msg, info_re;
        VEC(struct promql_series_line) series;
        TimeMs from, to, step; /* of the result */
        bool histograms;
};
struct runner {
        struct arena arena;
        struct engine *en;
        struct storage *st;
        VEC(Labels) unknown; /* native histograms, and series with start timestamps */
        const char *file;
        size_t line, n_run, n_skipped, n_failed;
        Str *lines;
        size_t n_lines, at;
};

static int64_t duration(Str s)
{
        int64_t ms;
        CHECK_OK(duration_parse(s, &ms));
        return ms;
}

static Str next_word(Str *rest)
{
        *rest = str_trim(*rest);
        size_t n = 0;
        while (n < rest->n && rest->p[n] != ' ' && rest->p[n] != '\t')
                n++;
        Str w = str_sub(*rest, 0, n);
        *rest = str_trim(str_skip(*rest, n));
        return w;
}

static Str current_line(struct runner *r)
{
        if (r->at >= r->n_lines)
                return (Str){0};
        Str s = str_trim(r->lines[r->at]);
        return s.n && s.p[0] == '#' ? (Str){0} : s;
}

static void clear(struct runner *r)
{
        memory_storage_free(r->st);
        r->st = memory_storage_new();
        vec_clear(&r->unknown);
}

/* The metric at the front of a line. */
static Str metric_part(Str line)
{
        bool braces = false;
        char quote = 0;
        for (size_t i = 0; i < line.n; i++) {
                char c = line.p[i];
                if (quote) {
                        i += c == '\\' && quote != '`';
                        if (c == quote)
                                quote = 0;
                } else if (c == '"' || c == '\'' || c == '`') {
                        quote = c;
                } else if (c == '{') {
                        braces = true;
                } else if (c == '}') {
                        return str_sub(line, 0, i + 1);
                } else if (!braces && (c == ' ' || c == '\t' || c == '@')) {
                        return str_sub(line, 0, i);
                }
        }
        return line;
}

/* Queries that select this label set cannot be judged. */
static void add_unknown(struct runner *r, Str line, bool base_name)
{
        Labels ls;
        CHECK_OK(promql_parse_metric(metric_part(line), &r->arena, &ls));
        if (base_name) {
                struct labels_builder b;
                labels_builder_init(&b);
                labels_builder_reset(&b, ls);
                labels_builder_del(&b, STR("le"));
                Str name = labels_get(ls, STR(METRIC_NAME));
                name = str_trim_suffix(str_trim_suffix(str_trim_suffix(name, STR("_bucket")), STR("_sum")),
                                       STR("_count"));
                labels_builder_set(&b, STR(METRIC_NAME), name);
                ls = labels_builder_labels(&b, &r->arena);
                labels_builder_done(&b);
        }
        vec_push(&r->unknown, ls);
}

static void load(struct runner *r, Str rest, bool nhcb)
{
        int64_t step = duration(next_word(&rest));
        VEC(struct promql_series_line) lines = VEC_INIT;
        for (r->at++; current_line(r).n; r->at++) {
                Str s = current_line(r);
                if (nhcb)
                        add_unknown(r, s, true);
                if (str_contains(s, STR("{{")) || str_contains(s, STR("@st"))) {
                        add_unknown(r, s, false);
                        continue;
                }
                struct promql_series_line l;
                CHECK_OK(promql_parse_series_line(s, &r->arena, &l));
                for (size_t i = 0; i < lines.n; i++) /* the last line of a label set counts */
                        if (labels_eq(lines.p[i].labels, l.labels))
                                lines.p[i].n = 0;
                vec_push(&lines, l);
        }
        for (size_t k = 0; k < lines.n; k++)
                for (size_t i = 0; i < lines.p[k].n; i++)
                        if (!lines.p[k].values[i].omitted)
                                CHECK_OK(memory_storage_add(r->st, lines.p[k].labels, (TimeMs)i * step,
                                                            lines.p[k].values[i].v));
        vec_done(&lines);
}

static bool selects_unknown(const struct runner *r, const struct expr *x)
{
        if (!x)
                return false;
        switch (x->type) {
        case EXPR_SELECTOR:
                for (size_t i = 0; i < r->unknown.n; i++)
                        if (matchers_match(x->selector.matchers, x->selector.n_matchers, r->unknown.p[i]))
                                return true;
                return false;
        case EXPR_MATRIX:
                return selects_unknown(r, x->matrix.selector);
        case EXPR_SUBQUERY:
                return selects_unknown(r, x->subquery.child);
        case EXPR_CALL:
                for (size_t i = 0; i < x->call.n_args; i++)
                        if (selects_unknown(r, x->call.args[i]))
                                return true;
                return false;
        case EXPR_BINARY:
                return selects_unknown(r, x->binary.lhs) || selects_unknown(r, x->binary.rhs);
        case EXPR_UNARY:
                return selects_unknown(r, x->unary.child);
        case EXPR_PAREN:
                return selects_unknown(r, x->paren.child);
        case EXPR_AGGREGATE:
                return selects_unknown(r, x->aggregate.child) || selects_unknown(r, x->aggregate.param);
        default:
                return false;
        }
}

static bool is_judged(struct runner *r, Str query)
{
        struct promql_tree tree = PROMQL_TREE_INIT;
        CHECK_OK(promql_parse(engine_parse_opts(r->en), query, &r->arena, &tree));
        bool yes = !selects_unknown(r, tree.root);
        promql_tree_done(&tree);
        return yes;
}

static bool almost(double a, double b)
{
        if (is_stale_nan(a) || is_stale_nan(b))
                return is_stale_nan(a) && is_stale_nan(b);
        if ((isnan(a) && isnan(b)) || a == b)
                return true;
        double sum = fabs(a) + fabs(b), diff = fabs(a - b);
        if (a == 0 || b == 0 || sum < 0x1p-1022)
                return diff < 1e-6 * 0x1p-1022;
        return diff / fmin(sum, 0x1.fffffffffffffp1023) < 1e-6;
}

/* Unanchored search. */
static bool search(Str re, Str text)
{
        struct buf b = BUF_INIT(1 << 20);
        buf_puts(&b, ".*(?:");
        buf_put(&b, re);
        buf_puts(&b, ").*");
        struct regex *x = NULL;
        CHECK_OK(regex_new(buf_str(&b), &x));
        bool found = regex_matches(x, text);
        regex_free(x);
        buf_done(&b);
        return found;
}

static bool one_matches(const StrVec *msgs, const StrVec *res, Str text)
{
        for (size_t i = 0; i < msgs->n; i++)
                if (str_eq(msgs->p[i], text))
                        return true;
        for (size_t i = 0; i < res->n; i++)
                if (search(res->p[i], text))
                        return true;
        return false;
}

static bool check_notes(struct buf *why, const char *kind, bool want, bool want_none, const StrVec *msgs,
                        const StrVec *res, const Str *got, size_t n)
{
        if ((want || msgs->n || res->n) && n == 0)
                buf_printf(why, "no %s\n", kind);
        if (want_none)
                for (size_t i = 0; i < n; i++)
                        buf_printf(why, "unexpected %s: " STR_FMT "\n", kind, STR_ARG(got[i]));
        if (msgs->n + res->n == 0)
                return why->n == 0;
        for (size_t i = 0; i < n; i++)
                if (!one_matches(msgs, res, got[i]))
                        buf_printf(why, "unexpected %s: " STR_FMT "\n", kind, STR_ARG(got[i]));
        for (size_t i = 0; i < msgs->n + res->n; i++) {
                bool found = false;
                for (size_t k = 0; k < n; k++)
                        found |= i < msgs->n ? str_eq(msgs->p[i], got[k]) : search(res->p[i - msgs->n], got[k]);
                if (!found)
                        buf_printf(why, "missing %s: " STR_FMT "\n", kind,
                                   STR_ARG(i < msgs->n ? msgs->p[i] : res->p[i - msgs->n]));
        }
        return why->n == 0;
}

static void describe(struct buf *b, const struct result_series *s)
{
        labels_print(b, s->labels);
        for (size_t k = 0; k < s->n && k < 30; k++)
                buf_printf(b, " %.17g@%lld", s->v[k], (long long)s->t[k]);
        buf_putc(b, '\n');
}

static const struct result_series *find(const struct query_result *q, Labels ls)
{
        for (size_t i = 0; i < q->n_series; i++)
                if (labels_eq(q->series[i].labels, ls))
                        return &q->series[i];
        return NULL;
}

/* Values of a line as points, from x->from on; an instant vector has one value. */
static bool same_points(const struct expectation *x, const struct promql_series_line *want,
                        const struct result_series *got, bool instant)
{
        if (instant)
                return got->n == 1 && want->n == 1 && almost(got->v[0], want->values[0].v);
        size_t k = 0;
        for (size_t i = 0; i < want->n; i++) {
                if (want->values[i].omitted)
                        continue;
                if (k >= got->n || got->t[k] != x->from + (TimeMs)i * x->step || !almost(got->v[k], want->values[i].v))
                        return false;
                k++;
        }
        return k == got->n;
}

static void check_series(struct buf *why, const struct expectation *x, const struct query_result *q)
{
        bool instant = q->type == VALUE_VECTOR;
        size_t n_want = 0;
        for (size_t i = 0; i < x->series.n; i++) {
                const struct promql_series_line *w = &x->series.p[i];
                n_want++;
                const struct result_series *s =
                        x->ordered && i < q->n_series && labels_eq(q->series[i].labels, w->labels) ? &q->series[i]
                                                                                                   : NULL;
                if (!x->ordered)
                        s = find(q, w->labels);
                if (!s || !same_points(x, w, s, instant)) {
                        buf_puts(why, s ? "wrong values of " : "missing ");
                        labels_print(why, w->labels);
                        for (size_t k = 0; k < w->n && k < 30; k++)
                                buf_printf(why, " %.17g%s", w->values[k].v, w->values[k].omitted ? "_" : "");
                        buf_putc(why, '\n');
                }
        }
        if (q->n_series != n_want)
                buf_printf(why, "%zu series, want %zu\n", q->n_series, n_want);
        for (size_t i = 1; !instant && i < q->n_series; i++)
                if (labels_cmp(q->series[i - 1].labels, q->series[i].labels) >= 0)
                        buf_puts(why, "not sorted\n");
}

static void check_result(struct buf *why, const struct expectation *x, const struct query_result *q)
{
        if (x->is_scalar) {
                if (q->type != VALUE_SCALAR || !almost(q->scalar, x->scalar))
                        buf_printf(why, "scalar %g, want %g\n", q->scalar, x->scalar);
        } else if (x->is_string) {
                if (q->type != VALUE_STRING || !str_eq(q->string, x->string))
                        buf_printf(why, "string " STR_FMT ", want " STR_FMT "\n", STR_ARG(q->string),
                                   STR_ARG(x->string));
        } else {
                check_series(why, x, q);
        }
}

/* The middle of a range query has to be what the instant query gave. */
static void check_middle(struct buf *why, const struct expectation *x, const struct query_result *q, TimeMs t)
{
        struct query_result m = {.type = VALUE_VECTOR};
        VEC(struct result_series) s = VEC_INIT;
        for (size_t i = 0; i < q->n_series; i++)
                for (size_t k = 0; k < q->series[i].n; k++)
                        if (q->series[i].t[k] == t)
                                vec_push(&s, (struct result_series){q->series[i].labels, &q->series[i].t[k],
                                                                    &q->series[i].v[k], 1});
        m.series = s.p;
        m.n_series = s.n;
        if (x->is_scalar) {
                if (s.n != 1 || !almost(s.p[0].v[0], x->scalar))
                        buf_puts(why, "scalar differs in the middle of a range query\n");
        } else if (!x->ordered) {
                check_series(why, x, &m);
        }
        vec_done(&s);
}

static void report(struct runner *r, size_t line, Str query, const char *form, const struct buf *why,
                   const struct query_result *q)
{
        struct buf b = BUF_INIT(1 << 20);
        buf_printf(&b, "%s:%zu: %s: " STR_FMT "\n" STR_FMT, r->file, line + 1, form, STR_ARG(query),
                   STR_ARG(buf_str(why)));
        for (size_t i = 0; q && i < q->n_series && i < 40; i++) {
                buf_puts(&b, "  got ");
                describe(&b, &q->series[i]);
        }
        print_message("%s", buf_cstr(&b));
        buf_done(&b);
        r->n_failed++;
}

/* One query in one form; false: it did not meet the expectation (and that is told). middle: a range query whose middle
 * counts. */
static bool run_form(struct runner *r, size_t line, const struct expectation *x, const char *form,
                     const struct query_opts *o, bool range, bool middle)
{
        struct query_result q = {0};
        struct error *e = range ? engine_range(r->en, r->st, o, &q) : engine_instant(r->en, r->st, o, &q);
        struct buf why = BUF_INIT(1 << 20);
        if (error_is(e, ERROR_UNSUPPORTED)) {
                r->n_skipped++;
        } else if (e && !x->fail) {
                buf_printf(&why, "failed: %s\n", error_str(e));
        } else if (e) {
                if (x->fail_msg.n && !str_eq(x->fail_msg, str_from(error_str(e))))
                        buf_printf(&why, "error: %s\n want: " STR_FMT "\n", error_str(e), STR_ARG(x->fail_msg));
                if (x->fail_re.n && !search(x->fail_re, str_from(error_str(e))))
                        buf_printf(&why, "error: %s\n want: " STR_FMT "\n", error_str(e), STR_ARG(x->fail_re));
        } else if (x->fail) {
                buf_puts(&why, "did not fail\n");
        } else if (middle) {
                check_middle(&why, x, &q, (o->start_ms + o->end_ms) / 2);
        } else {
                check_result(&why, x, &q);
                check_notes(&why, "warning", x->warn, x->no_warn, &x->warn_msg, &x->warn_re, q.warnings, q.n_warnings);
                check_notes(&why, "info", x->info, x->no_info, &x->info_msg, &x->info_re, q.infos, q.n_infos);
        }
        bool ok = why.n == 0;
        if (!ok)
                report(r, line, o->text, form, &why, e ? NULL : &q);
        buf_done(&why);
        error_free(e);
        query_result_done(&q);
        return ok;
}

static bool is_unsafe(enum function_id f)
{
        switch (f) {
        case FUNC_DAYS_IN_MONTH:
        case FUNC_DAY_OF_MONTH:
        case FUNC_DAY_OF_WEEK:
        case FUNC_DAY_OF_YEAR:
        case FUNC_END:
        case FUNC_HOUR:
        case FUNC_MINUTE:
        case FUNC_MONTH:
        case FUNC_YEAR:
        case FUNC_PREDICT_LINEAR:
        case FUNC_RANGE:
        case FUNC_START:
        case FUNC_STEP:
        case FUNC_TIME:
        case FUNC_TIMESTAMP:
                return true;
        default:
                return false;
        }
}

/* No call below x forbids pinning. */
static bool pin_calls(const struct expr *x)
{
        if (!x)
                return true;
        bool ok = true;
        switch (x->type) {
        case EXPR_SUBQUERY:
                return pin_calls(x->subquery.child);
        case EXPR_CALL:
                for (size_t i = 0; i < x->call.n_args; i++)
                        ok &= pin_calls(x->call.args[i]);
                return ok && !is_unsafe(x->call.func->id);
        case EXPR_BINARY:
                return pin_calls(x->binary.lhs) & pin_calls(x->binary.rhs);
        case EXPR_UNARY:
                return pin_calls(x->unary.child);
        case EXPR_PAREN:
                return pin_calls(x->paren.child);
        case EXPR_AGGREGATE:
                return pin_calls(x->aggregate.child) & pin_calls(x->aggregate.param);
        default:
                return true;
        }
}

/* Puts @ t on every selector, or on the outermost subqueries; false: the query must not be pinned. */
static bool pin(const struct expr *cx, TimeMs t)
{
        struct expr *x = (struct expr *)cx; /* the tree is ours */
        bool ok = true;
        if (!x)
                return true;
        switch (x->type) {
        case EXPR_SELECTOR:
                if (!x->selector.time.has_at && x->selector.time.at == AT_NONE) {
                        x->selector.time.has_at = true;
                        x->selector.time.at_ms = t;
                }
                return true;
        case EXPR_MATRIX:
                return pin(x->matrix.selector, t);
        case EXPR_SUBQUERY:
                if (!x->subquery.time.has_at && x->subquery.time.at == AT_NONE) {
                        x->subquery.time.has_at = true;
                        x->subquery.time.at_ms = t;
                }
                return pin_calls(x->subquery.child);
        case EXPR_CALL:
                for (size_t i = 0; i < x->call.n_args; i++)
                        ok &= pin(x->call.args[i], t);
                return ok && pin_calls(x);
        case EXPR_BINARY:
                return pin(x->binary.lhs, t) & pin(x->binary.rhs, t);
        case EXPR_UNARY:
                return pin(x->unary.child, t);
        case EXPR_PAREN:
                return pin(x->paren.child, t);
        case EXPR_AGGREGATE:
                return pin(x->aggregate.child, t) & pin(x->aggregate.param, t);
        default:
                return true;
        }
}

static bool pinned_text(struct runner *r, Str query, TimeMs t, Str *ret)
{
        struct promql_tree tree = PROMQL_TREE_INIT;
        CHECK_OK(promql_parse(engine_parse_opts(r->en), query, &r->arena, &tree));
        bool ok = pin(tree.root, t);
        struct buf b = BUF_INIT(1 << 20);
        promql_print(&b, tree.root);
        *ret = arena_str(&r->arena, buf_str(&b));
        buf_done(&b);
        promql_tree_done(&tree);
        return ok;
}

static void run_instant_forms(struct runner *r, size_t line, const struct expectation *x, Str query, TimeMs t)
{
        bool whole_only = x->is_string || x->matrix || x->fail || str_contains(query, STR("start()")) ||
                          str_contains(query, STR("end()")) || str_contains(query, STR("range()")) ||
                          str_contains(query, STR("step()"));
        TimeMs at[6] = {t, -10 * t, 0, t / 5, t, 10 * t};
        size_t n = 6;
        if (t == 0) {
                at[1] = -1000;
                at[2] = 0;
                at[3] = 1000;
                n = 4;
        }
        Str pinned;
        if (!pinned_text(r, query, t, &pinned))
                n = 1;
        for (size_t i = 0; i < n; i++) {
                struct query_opts o = {.text = i ? pinned : query, .start_ms = at[i]};
                if (!run_form(r, line, x, i ? "pinned" : "instant", &o, false, false))
                        return;
                o.start_ms = at[i] - 60000;
                o.end_ms = at[i] + 60000;
                o.step_ms = 60000;
                if (!whole_only && !run_form(r, line, x, i ? "pinned, range" : "range", &o, true, true))
                        return;
        }
}

static Str unquote(struct runner *r, Str s)
{
        struct promql_tree tree = PROMQL_TREE_INIT;
        CHECK_OK(promql_parse(engine_parse_opts(r->en), s, &r->arena, &tree));
        Str text = arena_str(&r->arena, tree.root->string.s);
        promql_tree_done(&tree);
        return text;
}

static void expect_line(struct runner *r, struct expectation *x, Str rest)
{
        Str what = next_word(&rest), how = {0}, text = rest;
        if (str_has_prefix(rest, STR("msg:")) || str_has_prefix(rest, STR("regex:"))) {
                size_t n = (size_t)str_find(rest, ':') + 1;
                how = str_sub(rest, 0, n);
                text = str_trim(str_skip(rest, n));
        }
        bool re = str_eq(how, STR("regex:"));
        if (str_eq(what, STR("fail"))) {
                x->fail = true;
                *(re ? &x->fail_re : &x->fail_msg) = text;
        } else if (str_eq(what, STR("warn")) || str_eq(what, STR("info"))) {
                bool warn = str_eq(what, STR("warn"));
                *(warn ? &x->warn : &x->info) = true;
                if (how.n && warn)
                        vec_push(re ? &x->warn_re : &x->warn_msg, text);
                else if (how.n)
                        vec_push(re ? &x->info_re : &x->info_msg, text);
        } else if (str_eq(what, STR("no_warn"))) {
                x->no_warn = true;
        } else if (str_eq(what, STR("no_info"))) {
                x->no_info = true;
        } else if (str_eq(what, STR("ordered"))) {
                x->ordered = true;
        } else if (str_eq(what, STR("string"))) {
                x->is_string = true;
                x->string = unquote(r, text);
        } else if (str_eq(what, STR("range"))) {
                x->matrix = true;
                next_word(&rest); /* vector */
                next_word(&rest);
                x->from = duration(next_word(&rest));
                next_word(&rest);
                x->to = duration(next_word(&rest));
                next_word(&rest);
                x->step = duration(next_word(&rest));
        } else {
                check_fail_at(r->file, (int)r->at + 1, "expect " STR_FMT, STR_ARG(what));
        }
}

static void block_line(struct runner *r, struct expectation *x, Str s)
{
        Str rest = s, first = next_word(&rest);
        if (str_eq(first, STR("expect"))) {
                expect_line(r, x, rest);
                return;
        }
        if (str_eq(first, STR("expected_fail_message"))) {
                x->fail_msg = rest;
                return;
        }
        if (str_eq(first, STR("expected_fail_regexp"))) {
                x->fail_re = rest;
                return;
        }
        if (str_contains(s, STR("{{"))) {
                x->histograms = true;
                return;
        }
        struct promql_tree tree = PROMQL_TREE_INIT;
        struct error *e = promql_parse(engine_parse_opts(r->en), s, &r->arena, &tree);
        if (!e && tree.root->value == VALUE_SCALAR &&
            (tree.root->type == EXPR_NUMBER || tree.root->type == EXPR_UNARY)) {
                struct query_result q;
                CHECK_OK(engine_instant(r->en, r->st, &(struct query_opts){.text = s}, &q));
                x->is_scalar = true;
                x->scalar = q.scalar;
                query_result_done(&q);
        } else {
                struct promql_series_line l;
                CHECK_OK(promql_parse_series_line(s, &r->arena, &l));
                vec_push(&x->series, l);
        }
        error_free(e);
        promql_tree_done(&tree);
}

static void eval(struct runner *r, Str command, Str rest)
{
        struct expectation x = {.ordered = str_eq(command, STR("eval_ordered")),
                                .fail = str_eq(command, STR("eval_fail")),
                                .warn = str_eq(command, STR("eval_warn")),
                                .info = str_eq(command, STR("eval_info"))};
        size_t line = r->at;
        bool instant = str_eq(next_word(&rest), STR("instant"));
        next_word(&rest); /* at, from */
        TimeMs from = duration(next_word(&rest)), to = from, step = 0;
        if (!instant) {
                next_word(&rest);
                to = duration(next_word(&rest));
                next_word(&rest);
                step = duration(next_word(&rest));
        }
        x.from = from;
        x.to = to;
        x.step = step;
        for (r->at++; current_line(r).n && !x.is_scalar; r->at++)
                block_line(r, &x, current_line(r));
        if (x.histograms || !is_judged(r, rest)) {
                r->n_skipped++;
        } else {
                r->n_run++;
                if (instant)
                        run_instant_forms(r, line, &x, rest, from);
                else
                        run_form(r, line, &x, "range",
                                 &(struct query_opts){.text = rest, .start_ms = from, .end_ms = to, .step_ms = step},
                                 true, false);
        }
        vec_done(&x.warn_msg);
        vec_done(&x.warn_re);
        vec_done(&x.info_msg);
        vec_done(&x.info_re);
        vec_done(&x.series);
}

static void run_file(const char *name)
{
        char *dir = conformance_path("promqltest"), *path = path_join(dir, name), *text;
        size_t n;
        CHECK_OK(file_read(path, 16 << 20, &text, &n));
        struct engine_opts o = {
                .parse = {true, true, true}, .max_samples = 10000, .timeout_ms = 100000, .delayed_name_removal = true};
        struct runner r = {.en = engine_new(&o), .st = memory_storage_new(), .file = name};
        arena_init(&r.arena, (size_t)1 << 30);
        StrVec lines = VEC_INIT;
        Str rest = {text, n}, line;
        while (str_next(&rest, '\n', &line))
                vec_push(&lines, line);
        r.lines = lines.p;
        r.n_lines = lines.n;
        while (r.at < r.n_lines) {
                Str s = current_line(&r), command = next_word(&s);
                if (str_eq(command, STR("clear"))) {
                        clear(&r);
                        r.at++;
                } else if (str_eq(command, STR("load"))) {
                        load(&r, s, /* nhcb= */ false);
                } else if (str_has_prefix(command, STR("load"))) {
                        load(&r, s, /* nhcb= */ true);
                } else if (str_has_prefix(command, STR("eval"))) {
                        eval(&r, command, s);
                } else {
                        CHECK_MSG(command.n == 0, "%s:%zu: " STR_FMT, name, r.at + 1, STR_ARG(command));
                        r.at++;
                }
        }
        size_t n_failed = r.n_failed, n_run = r.n_run;
        print_message("%s: %zu evals, %zu not met, %zu left out\n", name, n_run, n_failed, r.n_skipped);
        vec_done(&lines);
        vec_done(&r.unknown);
        memory_storage_free(r.st);
        engine_free(r.en);
        arena_done(&r.arena);
        free(text);
        free(path);
        free(dir);
        CHECK_MSG(n_failed == 0, "%s: %zu of %zu evals are not met", name, n_failed, n_run);
        if (n_run == 0)
                test_skip("%s: nothing but histograms", name);
}

TEST(promqltest, aggregators)
{
        run_file("aggregators.test");
}
TEST(promqltest, at_modifier)
{
        run_file("at_modifier.test");
}
TEST(promqltest, duration_expression)
{
        run_file("duration_expression.test");
}
TEST(promqltest, extended_vectors)
{
        run_file("extended_vectors.test");
}
TEST(promqltest, functions)
{
        run_file("functions.test");
}
TEST(promqltest, histograms)
{
        run_file("histograms.test");
}
TEST(promqltest, info)
{
        run_file("info.test");
}
TEST(promqltest, literals)
{
        run_file("literals.test");
}
TEST(promqltest, native_histograms)
{
        run_file("native_histograms.test");
}
TEST(promqltest, operators)
{
        run_file("operators.test");
}
TEST(promqltest, staleness)
{
        run_file("staleness.test");
}
TEST(promqltest, start_timestamps)
{
        run_file("start_timestamps.test");
}
TEST(promqltest, type_and_unit)
{
        run_file("type_and_unit.test");
}
