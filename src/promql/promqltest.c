/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/promqltest.h"

#include "model/duration.h"
#include "promql/engine.h"
#include "storage/memory.h"

enum { ARENA_BYTES = 256 << 20, MINUTE_MS = 60000 };

struct promqltest {
        struct test_lines lines;
        struct storage *storage;
        struct engine *engine;
        struct arena arena; /* of the file */
        bool is_unsupported; /* the engine said so in this eval */
        struct promqltest_report *report;
};

static void fail(struct promqltest *t, int line, Str query, const char *fmt, ...) PRINTF_LIKE(4, 5);
static void fail(struct promqltest *t, int line, Str query, const char *fmt, ...)
{
        struct buf b = BUF_INIT(1 << 20);
        buf_printf(&b, "line %d: ", line);
        va_list ap;
        va_start(ap, fmt);
        buf_vprintf(&b, fmt, ap);
        va_end(ap);
        if (query.n > 0)
                buf_printf(&b, ": " STR_FMT, STR_ARG(query));
        vec_push(&t->report->failures, buf_take(&b));
}

static void clear(struct promqltest *t)
{
        memory_storage_free(t->storage);
        t->storage = memory_storage_new();
}

typedef VEC(struct start_times) StartVec;

/* One start_times for each line; a line of start times is of the next one. */
static struct error *read_load_line(struct promqltest *t, Str line, struct start_times *pending, LineVec *ret, StartVec *ret_starts)
{
        Labels ls = {NULL, 0};
        bool is_start_times = false;
        struct error *e = test_metric_of(line, &t->arena, &ls, &is_start_times);
        if (e)
                return e;
        if (is_start_times)
                return test_start_times_read(line, &t->arena, pending);
        struct promql_series_line s = {0};
        e = promql_parse_series_line(line, &t->arena, &s);
        if (!e && pending->offsets_ms && (!labels_eq(pending->labels, s.labels) || pending->n != s.n))
                e = error_new(ERROR_INVALID, "start times of another series, or %zu of them for %zu values", pending->n, s.n);
        if (e)
                return e;
        vec_push(ret, s);
        vec_push(ret_starts, *pending);
        *pending = (struct start_times){0};
        return NULL;
}

static struct error *append(struct promqltest *t, const struct promql_series_line *s, const struct start_times *starts, int64_t gap_ms)
{
        struct appender *a;
        SeriesRef ref = 0;
        struct error *e = storage_appender(t->storage, &a);
        if (e)
                return e;
        for (size_t i = 0; !e && i < s->n; i++) {
                const struct promql_series_value *v = &s->values[i];
                TimeMs at = (TimeMs)i * gap_ms;
                bool has_start = starts && starts->offsets_ms && starts->offsets_ms[i] != START_OMITTED;
                appender_set_start(a, has_start ? at + starts->offsets_ms[i] : 0);
                if (v->h)
                        e = appender_append_histogram(a, ref, s->labels, at, (struct histogram_sample){.f = v->h},
                                                      &ref);
                else if (!v->omitted)
                        e = appender_append(a, ref, s->labels, at, v->v, &ref);
        }
        if (!e)
                return appender_commit(a);
        appender_rollback(a);
        return e;
}

static struct error *load(struct promqltest *t, Str head)
{
        Str word, gap, line;
        if (!str_cut(head, ' ', &word, &gap))
                return error_new(ERROR_INVALID, "load without a duration");
        int64_t gap_ms;
        struct error *e = duration_parse(str_trim(gap), &gap_ms);
        LineVec lines = VEC_INIT;
        StartVec starts = VEC_INIT;
        struct start_times pending = {0};
        while (!e && test_lines_next(&t->lines, &line)) {
                if (line.n == 0)
                        break;
                e = read_load_line(t, line, &pending, &lines, &starts);
        }
        VEC(const struct promql_series_line *) loaded = VEC_INIT;
        for (size_t i = 0; !e && i < lines.n; i++) {
                bool is_last = true; /* of that label set: earlier ones do not count */
                for (size_t j = i + 1; j < lines.n; j++)
                        is_last = is_last && !labels_eq(lines.p[i].labels, lines.p[j].labels);
                if (!is_last)
                        continue;
                e = append(t, &lines.p[i], &starts.p[i], gap_ms);
                vec_push(&loaded, &lines.p[i]);
        }
        LineVec converted = VEC_INIT;
        if (!e && str_eq(word, STR("load_with_nhcb")))
                e = test_convert_classic(loaded.p, loaded.n, &t->arena, &converted);
        for (size_t i = 0; !e && i < converted.n; i++)
                e = append(t, &converted.p[i], NULL, gap_ms);
        vec_done(&converted);
        vec_done(&loaded);
        vec_done(&lines);
        vec_done(&starts);
        return e;
}

static bool has_expectation(const struct test_eval *ev, enum expect_kind kind)
{
        for (size_t i = 0; i < ev->expectations.n; i++)
                if (ev->expectations.p[i].kind == kind)
                        return true;
        return false;
}

static const struct expected_series *find_expected(const struct test_eval *ev, Labels ls, size_t *ret_pos)
{
        for (size_t i = ev->series.n; i-- > 0;) {
                if (labels_eq(ev->series.p[i].labels, ls)) {
                        *ret_pos = i;
                        return &ev->series.p[i];
                }
        }
        return NULL;
}

/* Comparisons write what is wrong into b. */
static void wrong_series(struct buf *b, const char *what, Labels ls)
{
        buf_printf(b, "%s ", what);
        labels_print(b, ls);
}

static void wrong_histogram(struct buf *b, const struct histogram *want, const struct histogram *got)
{
        buf_puts(b, "is ");
        buf_put_histogram(b, got);
        buf_printf(b, " (schema %d, reset %d), want ", (int)got->schema, (int)got->reset);
        buf_put_histogram(b, want);
        buf_printf(b, " (schema %d, reset %d)", (int)want->schema, (int)want->reset);
}

static void compare_points(const struct test_eval *ev, const struct expected_series *want,
                           const struct result_series *got, struct buf *b)
{
        size_t k = 0, k_h = 0;
        for (size_t i = 0; i < want->n; i++) {
                TimeMs at = ev->start_ms + (TimeMs)i * ev->step_ms;
                if (at > ev->end_ms) {
                        wrong_series(b, "more values than steps for", want->labels);
                        return;
                }
                if (want->values[i].omitted)
                        continue;
                if (want->values[i].h) {
                        if (k_h >= got->n_h || got->h_t[k_h] != at) {
                                wrong_series(b, "histogram missing of", want->labels);
                                buf_printf(b, " at %lld", (long long)at);
                                return;
                        }
                        if (!test_histograms_equal(want->values[i].h, got->h[k_h], want->values[i].has_reset_hint)) {
                                wrong_series(b, "histogram of", want->labels);
                                buf_printf(b, " at %lld ", (long long)at);
                                wrong_histogram(b, want->values[i].h, got->h[k_h]);
                                return;
                        }
                        k_h++;
                        continue;
                }
                if (k >= got->n || got->t[k] != at) {
                        wrong_series(b, "point missing of", want->labels);
                        buf_printf(b, " at %lld", (long long)at);
                        return;
                }
                if (!test_almost_equal(want->values[i].v, got->v[k])) {
                        wrong_series(b, "value of", want->labels);
                        buf_printf(b, " at %lld is %.17g, want %.17g", (long long)at, got->v[k], want->values[i].v);
                        return;
                }
                k++;
        }
        if (k < got->n || k_h < got->n_h) {
                wrong_series(b, "points too many of", want->labels);
                buf_printf(b, ": %zu, want %zu", got->n + got->n_h, k + k_h);
        }
}

static void compare_matrix(const struct test_eval *ev, const struct query_result *r, struct buf *b)
{
        size_t seen = 0, pos;
        if (has_expectation(ev, EXPECT_ORDERED))
                buf_puts(b, "an order is expected, and the result is a matrix");
        for (size_t i = 0; b->n == 0 && i < r->n_series; i++) {
                const struct result_series *s = &r->series[i];
                const struct expected_series *want = find_expected(ev, s->labels, &pos);
                if (i > 0 && labels_cmp(r->series[i - 1].labels, s->labels) >= 0)
                        wrong_series(b, "not sorted at", s->labels);
                else if (!want)
                        wrong_series(b, "unexpected series", s->labels);
                else
                        compare_points(ev, want, s, b);
                seen++;
        }
        if (b->n == 0 && seen < ev->series.n)
                buf_printf(b, "%zu series, want %zu", seen, ev->series.n);
}

struct sample {
        Labels labels;
        double v;
        const struct histogram *h;
};
static bool sample_is(const struct expected_series *want, const struct sample *got)
{
        if (want->n == 0 || want->values[0].omitted || !want->values[0].h != !got->h)
                return false;
        return got->h ? test_histograms_equal(want->values[0].h, got->h, want->values[0].has_reset_hint)
                      : test_almost_equal(want->values[0].v, got->v);
}

static void compare_vector(const struct test_eval *ev, const struct sample *got, size_t n, bool ordered, struct buf *b)
{
        for (size_t i = 0; i < n; i++) {
                size_t pos;
                const struct expected_series *want = find_expected(ev, got[i].labels, &pos);
                if (!want)
                        wrong_series(b, "unexpected series", got[i].labels);
                else if (ordered && pos != i)
                        wrong_series(b, "not in the expected place:", got[i].labels);
                else if (!sample_is(want, &got[i]))
                        wrong_series(b, "value of", got[i].labels);
                else
                        continue;
                if (got[i].h && want && want->n > 0 && want->values[0].h) {
                        buf_putc(b, ' ');
                        wrong_histogram(b, want->values[0].h, got[i].h);
                        return;
                }
                if (got[i].h)
                        buf_puts(b, " is a histogram");
                else
                        buf_printf(b, " is %.17g", got[i].v);
                if (want && want->n > 0)
                        buf_printf(b, ", want %.17g", want->values[0].v);
                return;
        }
        for (size_t j = 0; j < ev->series.n; j++) {
                bool found = false;
                for (size_t i = 0; i < n; i++)
                        found = found || labels_eq(ev->series.p[j].labels, got[i].labels);
                if (!found) {
                        wrong_series(b, "missing:", ev->series.p[j].labels);
                        return;
                }
        }
}

static void compare_scalar(const struct test_eval *ev, double got, struct buf *b)
{
        if (!ev->has_scalar)
                buf_printf(b, "got scalar %.17g", got);
        else if (!test_almost_equal(ev->scalar, got))
                buf_printf(b, "got %.17g, want %.17g", got, ev->scalar);
}

static void compare_instant(const struct test_eval *ev, const struct query_result *r, struct buf *b)
{
        switch (r->type) {
        case VALUE_SCALAR:
                compare_scalar(ev, r->scalar, b);
                return;
        case VALUE_STRING:
                if (!str_eq(r->string, ev->string))
                        buf_printf(b, "got string \"" STR_FMT "\"", STR_ARG(r->string));
                return;
        case VALUE_MATRIX:
                if (ev->has_scalar)
                        buf_puts(b, "got a matrix");
                else
                        compare_matrix(ev, r, b);
                return;
        case VALUE_VECTOR:
                break;
        case VALUE_NONE:
                buf_puts(b, "got nothing");
                return;
        }
        if (ev->has_scalar) {
                buf_puts(b, "got a vector");
                return;
        }
        struct sample *s = mem_realloc_array(NULL, r->n_series + 1, sizeof *s);
        for (size_t i = 0; i < r->n_series; i++)
                s[i] = (struct sample){r->series[i].labels, r->series[i].n ? r->series[i].v[0] : 0,
                                       r->series[i].n ? NULL : r->series[i].h[0]};
        compare_vector(ev, s, r->n_series, has_expectation(ev, EXPECT_ORDERED), b);
        free(s);
}

static void compare_annotations_of(const struct test_eval *ev, enum expect_kind kind, enum expect_kind none,
                                   const Str *texts, size_t n, struct buf *b)
{
        if (has_expectation(ev, none) && n > 0)
                buf_printf(b, "unexpected annotation: " STR_FMT, STR_ARG(texts[0]));
        if (!has_expectation(ev, kind))
                return;
        for (size_t j = 0; j < ev->expectations.n; j++) {
                const struct expectation *x = &ev->expectations.p[j];
                bool found = x->kind != kind;
                for (size_t i = 0; i < n; i++)
                        found = found || expectation_matches(x, texts[i]);
                if (!found)
                        buf_printf(b, "annotation missing (got %zu, first " STR_FMT "); ", n,
                                   STR_ARG(n ? texts[0] : STR("")));
        }
        for (size_t i = 0; i < n; i++) {
                bool found = false;
                for (size_t j = 0; j < ev->expectations.n; j++)
                        found = found || (ev->expectations.p[j].kind == kind &&
                                          expectation_matches(&ev->expectations.p[j], texts[i]));
                if (!found)
                        buf_printf(b, "annotation not expected: " STR_FMT "; ", STR_ARG(texts[i]));
        }
}

static void compare_annotations(const struct test_eval *ev, const struct query_result *r, struct buf *b)
{
        if ((ev->any_warn && r->n_warnings == 0) || (ev->any_info && r->n_infos == 0))
                buf_puts(b, "no annotation");
        compare_annotations_of(ev, EXPECT_WARN, EXPECT_NO_WARN, r->warnings, r->n_warnings, b);
        compare_annotations_of(ev, EXPECT_INFO, EXPECT_NO_INFO, r->infos, r->n_infos, b);
}

/* True: the query failed or had to fail; why it is wrong is in b. */
static bool compare_failure(struct promqltest *t, const struct test_eval *ev, struct error *take_e, struct buf *b)
{
        t->is_unsupported = t->is_unsupported || error_is(take_e, ERROR_UNSUPPORTED);
        bool must_fail = has_expectation(ev, EXPECT_FAIL), failed = take_e != NULL;
        if (!failed && must_fail)
                buf_puts(b, "an error is expected");
        else if (failed && !must_fail)
                buf_printf(b, "%s", error_str(take_e));
        for (size_t i = 0; failed && i < ev->expectations.n; i++)
                if (ev->expectations.p[i].kind == EXPECT_FAIL &&
                    !expectation_matches(&ev->expectations.p[i], str_from(error_str(take_e))))
                        buf_printf(b, "error is: %s", error_str(take_e));
        error_free(take_e);
        return failed || must_fail;
}

static bool asks_for_the_query(Str text)
{
        return str_contains(text, STR("start()")) || str_contains(text, STR("end()")) ||
               str_contains(text, STR("range()")) || str_contains(text, STR("step()"));
}

/* The point in the middle of a range query around the time must be the same. */
static void run_around(struct promqltest *t, const struct test_eval *ev, Str text, TimeMs at, bool is_scalar,
                       struct buf *b)
{
        struct query_result r = {0};
        struct query_opts q = {
                .text = text, .start_ms = at - MINUTE_MS, .end_ms = at + MINUTE_MS, .step_ms = MINUTE_MS};
        struct error *e = engine_range(t->engine, t->storage, &q, &r);
        if (e) {
                buf_printf(b, "as a range query: %s", error_str(e));
                error_free(e);
                return;
        }
        struct sample *s = mem_realloc_array(NULL, r.n_series + 1, sizeof *s);
        size_t n = 0;
        for (size_t i = 0; i < r.n_series; i++) {
                if (i > 0 && labels_cmp(r.series[i - 1].labels, r.series[i].labels) > 0)
                        wrong_series(b, "as a range query: not sorted at", r.series[i].labels);
                for (size_t k = 0; k < r.series[i].n; k++)
                        if (r.series[i].t[k] == at)
                                s[n++] = (struct sample){r.series[i].labels, r.series[i].v[k], NULL};
                for (size_t k = 0; k < r.series[i].n_h; k++)
                        if (r.series[i].h_t[k] == at)
                                s[n++] = (struct sample){r.series[i].labels, 0, r.series[i].h[k]};
        }
        if (b->n == 0 && !has_expectation(ev, EXPECT_ORDERED)) {
                if (is_scalar && n == 1)
                        compare_scalar(ev, s[0].v, b);
                else
                        compare_vector(ev, s, n, /* ordered= */ false, b);
                if (b->n > 0)
                        buf_puts(b, " (as a range query)");
        }
        free(s);
        query_result_done(&r);
}

static void run_instant(struct promqltest *t, const struct test_eval *ev, Str text, TimeMs at, struct buf *b)
{
        struct query_result r = {0};
        struct query_opts q = {.text = text, .start_ms = at, .end_ms = at};
        struct error *e = engine_instant(t->engine, t->storage, &q, &r);
        bool ok = !e;
        if (compare_failure(t, ev, e, b)) {
                if (ok)
                        query_result_done(&r);
                return;
        }
        compare_annotations(ev, &r, b);
        compare_instant(ev, &r, b);
        bool is_scalar = r.type == VALUE_SCALAR;
        query_result_done(&r);
        if (b->n == 0 && !ev->has_string && !ev->has_range_vector && !asks_for_the_query(text))
                run_around(t, ev, text, at, is_scalar, b);
}

static void run_range(struct promqltest *t, const struct test_eval *ev, struct buf *b)
{
        struct query_result r = {0};
        struct query_opts q = {
                .text = ev->text, .start_ms = ev->start_ms, .end_ms = ev->end_ms, .step_ms = ev->step_ms};
        struct error *e = engine_range(t->engine, t->storage, &q, &r);
        bool ok = !e;
        if (!compare_failure(t, ev, e, b)) {
                compare_annotations(ev, &r, b);
                compare_matrix(ev, &r, b);
        }
        if (ok)
                query_result_done(&r);
}

/* What walking a query finds. */
struct walk {
        struct promqltest *t;
        TimeMs pin_ms;
        enum promqltest_skip skip;
        bool is_unsafe; /* its result depends on the time in spite of pinned selectors */
};

static bool is_unsafe_function(enum function_id id)
{
        switch (id) {
        case FUNC_DAYS_IN_MONTH:
        case FUNC_DAY_OF_MONTH:
        case FUNC_DAY_OF_WEEK:
        case FUNC_DAY_OF_YEAR:
        case FUNC_END:
        case FUNC_HOUR:
        case FUNC_MINUTE:
        case FUNC_MONTH:
        case FUNC_PREDICT_LINEAR:
        case FUNC_RANGE:
        case FUNC_START:
        case FUNC_STEP:
        case FUNC_TIME:
        case FUNC_TIMESTAMP:
        case FUNC_YEAR:
                return true;
        default:
                return false;
        }
}

static void pin(struct time_modifiers *m, const struct walk *w, bool is_pinned)
{
        if (is_pinned || m->has_at)
                return;
        m->has_at = true;
        m->at_ms = w->pin_ms;
}

/* Trees are constant for all but their owner, which this is: the tree is printed and dropped. */
static void walk(struct walk *w, const struct expr *x, bool is_pinned)
{
        struct expr *m = (struct expr *)x;
        switch (x->type) {
        case EXPR_SELECTOR:
                pin(&m->selector.time, w, is_pinned);
                break;
        case EXPR_MATRIX:
                walk(w, x->matrix.selector, is_pinned);
                break;
        case EXPR_SUBQUERY:
                pin(&m->subquery.time, w, is_pinned);
                walk(w, x->subquery.child, true);
                break;
        case EXPR_CALL:
                w->is_unsafe = w->is_unsafe || is_unsafe_function(x->call.func->id);
                for (size_t i = 0; i < x->call.n_args; i++)
                        walk(w, x->call.args[i], is_pinned);
                break;
        case EXPR_BINARY:
                walk(w, x->binary.lhs, is_pinned);
                walk(w, x->binary.rhs, is_pinned);
                break;
        case EXPR_UNARY:
                walk(w, x->unary.child, is_pinned);
                break;
        case EXPR_PAREN:
                walk(w, x->paren.child, is_pinned);
                break;
        case EXPR_AGGREGATE:
                walk(w, x->aggregate.child, is_pinned);
                if (x->aggregate.param)
                        walk(w, x->aggregate.param, is_pinned);
                break;
        case EXPR_NUMBER:
        case EXPR_STRING:
        case EXPR_DURATION:
                break;
        }
}

static void run_forms(struct promqltest *t, const struct test_eval *ev, Str pinned, struct buf *b)
{
        TimeMs at = ev->has_range_vector ? ev->end_ms : ev->start_ms;
        run_instant(t, ev, ev->text, at, b);
        if (!pinned.p)
                return;
        const TimeMs times[] = {-10 * at, 0, at / 5, at, 10 * at}, around_zero[] = {-1000, 0, 1000};
        size_t n = at ? ARRAY_LEN(times) : ARRAY_LEN(around_zero);
        for (size_t i = 0; b->n == 0 && i < n; i++) {
                TimeMs when = at ? times[i] : around_zero[i];
                run_instant(t, ev, pinned, when, b);
                if (b->n > 0)
                        buf_printf(b, " (pinned, at %lld: " STR_FMT ")", (long long)when, STR_ARG(pinned));
        }
}

static void run_eval(struct promqltest *t, struct test_eval *ev, struct arena *a)
{
        struct promql_tree tree = PROMQL_TREE_INIT;
        struct error *e = promql_parse(engine_parse_opts(t->engine), ev->text, a, &tree);
        if (e) {
                fail(t, ev->line, ev->text, "%s", error_str(e));
                error_free(e);
                return;
        }
        struct walk w = {.t = t, .pin_ms = ev->has_range_vector ? ev->end_ms : ev->start_ms, .skip = ev->skip};
        walk(&w, tree.root, false);
        struct buf pinned = BUF_INIT(1 << 20), b = BUF_INIT(1 << 16);
        promql_print(&pinned, tree.root);
        promql_tree_done(&tree);
        if (w.skip == SKIP_NONE) {
                t->is_unsupported = false;
                if (ev->is_range)
                        run_range(t, ev, &b);
                else
                        run_forms(t, ev, w.is_unsafe ? (Str){NULL, 0} : buf_str(&pinned), &b);
                if (t->is_unsupported)
                        w.skip = SKIP_UNSUPPORTED;
                else if (b.n > 0)
                        fail(t, ev->line, ev->text, "%s", buf_cstr(&b));
        }
        if (w.skip == SKIP_NONE)
                t->report->n_evals++;
        else
                t->report->n_skipped[w.skip]++;
        buf_done(&b);
        buf_done(&pinned);
}

static struct error *command(struct promqltest *t, Str line)
{
        struct error *e;
        if (str_eq(line, STR("clear"))) {
                clear(t);
                return NULL;
        }
        if (str_has_prefix(line, STR("load")))
                return load(t, line);
        if (!str_has_prefix(line, STR("eval")))
                return error_new(ERROR_INVALID, "unknown command");
        struct arena a;
        struct test_eval ev;
        arena_init(&a, ARENA_BYTES);
        e = test_eval_read(&t->lines, line, &a, &ev);
        if (!e)
                run_eval(t, &ev, &a);
        test_eval_done(&ev);
        arena_done(&a);
        return e;
}

void promqltest_run(Str text, struct promqltest_report *r)
{
        struct promqltest t = {.lines = {.rest = text}, .report = r, .storage = memory_storage_new()};
        arena_init(&t.arena, ARENA_BYTES);
        t.engine = engine_new(&(struct engine_opts){
                .parse = {.experimental_functions = true, .extended_range_selectors = true, .fill_modifiers = true},
                .timeout_ms = 100000,
                .max_samples = 10000,
                .max_concurrency = 20,
                .lookback_ms = 5 * MINUTE_MS,
                .subquery_step_ms = MINUTE_MS,
                .delayed_name_removal = true,
                .use_start_times = true,
        });
        Str line;
        while (test_lines_next(&t.lines, &line)) {
                if (line.n == 0)
                        continue;
                int at = t.lines.line;
                struct error *e = command(&t, line);
                if (e) { /* the file makes no sense from here on */
                        fail(&t, at, line, "%s", error_str(e));
                        error_free(e);
                        break;
                }
        }
        engine_free(t.engine);
        memory_storage_free(t.storage);
        arena_done(&t.arena);
}

void promqltest_report_done(struct promqltest_report *r)
{
        for (size_t i = 0; i < r->failures.n; i++)
                free(r->failures.p[i]);
        vec_done(&r->failures);
}
