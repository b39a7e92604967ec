/* SPDX-License-Identifier: Apache-2.0 */
/* api_query.c — query, query_range, query_exemplars, format_query, parse_query. */
#include "codec/float_text.h"
#include "codec/json.h"
#include "codec/quote.h"
#include "web/serve.h"

/* Scalars and strings: the time as a Go float of seconds, the value always in 'f' form. */
static void put_scalar_point(struct buf *b, TimeMs t)
{
        buf_putc(b, '[');
        buf_put_float(b, (double)t / 1000, 'f');
        buf_putc(b, ',');
}

static void put_stat(struct buf *b, const char *key, double v)
{
        buf_printf(b, "\"%s\":", key);
        json_put_f64(b, v);
}

static void put_steps(struct buf *b, const char *key, const uint64_t *v, size_t n, TimeMs start_ms, int64_t step_ms)
{
        buf_printf(b, "\"%s\":[", key);
        for (size_t i = 0; i < n; i++) {
                buf_puts(b, i ? ",[" : "[");
                json_put_ms(b, start_ms + (int64_t)i * step_ms);
                buf_putc(b, ',');
                buf_put_u64(b, v[i]);
                buf_putc(b, ']');
        }
        buf_puts(b, "],");
}

static void put_stats(struct buf *b, const struct query_result *res, TimeMs start_ms, int64_t step_ms, bool is_thanos, bool per_step)
{
        const struct query_stats *s = &res->stats;
        buf_puts(b, ",\"stats\":{\"timings\":{");
        put_stat(b, "evalTotalTime", s->eval_total_s);
        buf_putc(b, ',');
        put_stat(b, "resultSortTime", s->result_sort_s);
        buf_putc(b, ',');
        put_stat(b, "queryPreparationTime", s->preparation_s);
        buf_putc(b, ',');
        put_stat(b, "innerEvalTime", s->inner_eval_s);
        buf_putc(b, ',');
        put_stat(b, "execQueueTime", s->queue_s);
        buf_putc(b, ',');
        put_stat(b, "execTotalTime", s->exec_total_s);
        buf_puts(b, "},\"samples\":{");
        per_step = per_step && s->total_per_step;
        if (per_step)
                put_steps(b, "totalQueryableSamplesPerStep", s->total_per_step, s->n_steps, start_ms, step_ms);
        buf_puts(b, "\"totalQueryableSamples\":");
        buf_put_u64(b, s->total_samples);
        if (!is_thanos) {
                buf_putc(b, ',');
                if (per_step)
                        put_steps(b, "samplesReadPerStep", s->read_per_step, s->n_steps, start_ms, step_ms);
                buf_puts(b, "\"samplesRead\":");
                buf_put_u64(b, s->samples_read);
        }
        buf_puts(b, ",\"peakSamples\":");
        buf_put_u64(b, s->peak_samples);
        buf_puts(b, "}}");
}

void api_put_result(struct api *a, const struct query_opts *q, const struct query_result *res, bool with_stats)
{
        struct buf *b = &a->out;
        static const char *const types[] = {[VALUE_SCALAR] = "scalar", [VALUE_VECTOR] = "vector", [VALUE_MATRIX] = "matrix", [VALUE_STRING] = "string"};
        buf_printf(b, "{\"resultType\":\"%s\",\"result\":", types[res->type]);
        if (res->type == VALUE_SCALAR) {
                put_scalar_point(b, res->scalar_t);
                buf_putc(b, '"');
                buf_put_float(b, res->scalar, 'f');
                buf_puts(b, "\"]");
        } else if (res->type == VALUE_STRING) {
                put_scalar_point(b, res->scalar_t);
                json_put_api_str(b, res->string);
                buf_putc(b, ']');
        } else {
                api_put_series(a, res, q->start_ms, q->step_ms);
        }
        if (with_stats)
                put_stats(b, res, q->start_ms, q->step_ms ? q->step_ms : 1, a->is_thanos, str_eq(api_param(a, "stats"), STR("all")));
}

static void answer(struct api *a, const struct query_opts *q, struct query_result *res, size_t limit)
{
        StrVec warnings = VEC_INIT;
        for (size_t i = 0; i < res->n_warnings; i++)
                vec_push(&warnings, res->warnings[i]);
        if (limit && res->n_series > limit) {
                res->n_series = limit;
                vec_push(&warnings, STR("results truncated due to limit"));
        }
        Str stats = api_param(a, "stats");
        if (stats.n && !str_eq(stats, STR("all")) && !str_eq(stats, STR("true"))) {
                struct buf w = BUF_INIT(1 << 16);
                buf_puts(&w, "value ");
                buf_put_go_quoted(&w, stats);
                buf_puts(&w, " for parameter \"stats\" is deprecated and will be rejected in the next major release, use \"true\" or \"all\"");
                vec_push(&warnings, arena_str(a->r->arena, buf_str(&w)));
                buf_done(&w);
        }
        api_begin(a);
        api_put_result(a, q, res, stats.n > 0);
        buf_putc(&a->out, '}');
        api_end(a, warnings.p, warnings.n, res->infos, res->n_infos);
        vec_done(&warnings);
}

/* For the query log: who asked. */
static Str origin_of(struct api *a)
{
        struct buf b = BUF_INIT(1 << 16);
        Str ip = a->r->peer, path = a->r->path;
        ptrdiff_t colon = str_rfind(ip, ':');
        if (colon >= 0)
                ip.n = (size_t)colon;
        buf_puts(&b, "\"httpRequest\":{\"clientIP\":");
        json_put_str(&b, ip);
        buf_puts(&b, ",\"method\":");
        json_put_str(&b, a->r->method_text);
        buf_puts(&b, ",\"path\":");
        json_put_str(&b, path);
        buf_putc(&b, '}');
        Str out = arena_str(a->r->arena, buf_str(&b));
        buf_done(&b);
        return out;
}

/* The parameters that both kinds share. False: answered. */
static bool common_params(struct api *a, struct query_opts *q)
{
        Str timeout = api_param(a, "timeout"), lookback = api_param(a, "lookback_delta");
        int64_t timeout_ns = 0;
        struct error *e = timeout.n ? seconds_parse_ns(timeout, &timeout_ns) : NULL;
        if (e) {
                api_fail_param(a, "timeout", e);
                return false;
        }
        q->timeout_ms = timeout_ns / 1000000 + (timeout_ns % 1000000 > 0);
        if (timeout.n && timeout_ns <= 0) {         /* over before it begins */
                api_fail_param(a, "query", error_new(ERROR_TIMEOUT, "context deadline exceeded"));
                return false;
        }
        e = lookback.n ? seconds_parse(lookback, &q->lookback_ms) : NULL;
        if (e) {
                api_fail_error(a, API_BAD_DATA, e, "error parsing lookback delta duration: ");
                return false;
        }
        q->text = api_param(a, "query");
        q->cancel = http_request_cancel_flag(a->r);
        q->origin_json = origin_of(a);
        return true;
}

static void finish(struct api *a, const struct query_opts *q, struct error *take_e, struct query_result *res, size_t limit)
{
        if (!take_e)
                answer(a, q, res, limit);
        else if (error_is(take_e, ERROR_INVALID))
                api_fail_param(a, "query", take_e);
        else
                api_fail_error(a, api_kind_of(take_e), take_e, NULL);
        query_result_done(res);
}

static void query(struct api *a)
{
        struct query_opts q = {.text = STR("")};
        size_t limit;
        struct query_result res = {.type = VALUE_NONE};
        if (!api_limit(a, &limit) || !api_time(a, "time", time_now_ms(), &q.start_ms) || !common_params(a, &q))
                return;
        q.end_ms = q.start_ms;
        struct storage *st = api_storage(a);
        if (st)
                finish(a, &q, engine_instant(a->w->o.engine, st, &q, &res), &res, limit);
}

static bool range_time(struct api *a, const char *name, TimeMs *ret)
{
        struct error *e = time_param_parse(api_param(a, name), ret);
        if (e)
                api_fail_param(a, name, e);
        return !e;
}

static void query_range(struct api *a)
{
        struct query_opts q = {.text = STR("")};
        size_t limit;
        struct query_result res = {.type = VALUE_NONE};
        if (!api_limit(a, &limit) || !range_time(a, "start", &q.start_ms) || !range_time(a, "end", &q.end_ms))
                return;
        if (q.end_ms < q.start_ms) {
                api_fail_param(a, "end", error_new(ERROR_INVALID, "end timestamp must not be before start time"));
                return;
        }
        int64_t step_ns = 0;
        struct error *e = seconds_parse_ns(api_param(a, "step"), &step_ns);
        if (!e && step_ns <= 0)
                e = error_new(ERROR_INVALID, "zero or negative query resolution step widths are not accepted. Try a positive integer");
        if (e) {
                api_fail_param(a, "step", e);
                return;
        }
        q.step_ms = MAX(step_ns / 1000000, (int64_t)1);
        if ((double)(q.end_ms - q.start_ms) * 1e6 / (double)step_ns >= 11001) {
                api_fail(a, API_BAD_DATA, "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)");
                return;
        }
        if (!common_params(a, &q))
                return;
        struct storage *st = api_storage(a);
        if (st)
                finish(a, &q, engine_range(a->w->o.engine, st, &q, &res), &res, limit);
}

/* The tree of the query parameter, or an answer: NULL. */
static const struct expr *parse(struct api *a, struct promql_tree *tree)
{
        struct error *e = promql_parse(engine_parse_opts(a->w->o.engine), api_param(a, "query"), a->r->arena, tree);
        if (!e)
                return tree->root;
        api_fail_param(a, "query", e);
        return NULL;
}

static void format_query(struct api *a)
{
        struct promql_tree tree = PROMQL_TREE_INIT;
        const struct expr *x = parse(a, &tree);
        if (x) {
                struct buf text = BUF_INIT(64 << 20);
                promql_print_pretty(&text, x);
                api_begin(a);
                json_put_api_str(&a->out, buf_str(&text));
                api_end(a, NULL, 0, NULL, 0);
                buf_done(&text);
        }
        promql_tree_done(&tree);
}

static void parse_query(struct api *a)
{
        struct promql_tree tree = PROMQL_TREE_INIT;
        const struct expr *x = parse(a, &tree);
        if (x) {
                api_begin(a);
                promql_print_ast_json(&a->out, x);
                api_end(a, NULL, 0, NULL, 0);
        }
        promql_tree_done(&tree);
}

typedef VEC(const struct expr *) SelectorVec;
/* Its vector selectors, in the order of the text. */
static void selectors_add(const struct expr *x, SelectorVec *v)
{
        switch (x->type) {
        case EXPR_SELECTOR:
                vec_push(v, x);
                break;
        case EXPR_MATRIX:
                vec_push(v, x->matrix.selector);
                break;
        case EXPR_SUBQUERY:
                selectors_add(x->subquery.child, v);
                break;
        case EXPR_CALL:
                for (size_t i = 0; i < x->call.n_args; i++)
                        selectors_add(x->call.args[i], v);
                break;
        case EXPR_BINARY:
                selectors_add(x->binary.lhs, v);
                selectors_add(x->binary.rhs, v);
                break;
        case EXPR_UNARY:
                selectors_add(x->unary.child, v);
                break;
        case EXPR_PAREN:
                selectors_add(x->paren.child, v);
                break;
        case EXPR_AGGREGATE:
                selectors_add(x->aggregate.child, v);
                if (x->aggregate.param)
                        selectors_add(x->aggregate.param, v);
                break;
        default:
                break;
        }
}

static void put_exemplar_series(struct buf *b, const struct exemplar_series *s)
{
        buf_puts(b, "{\"seriesLabels\":");
        json_put_labels(b, s->labels);
        buf_puts(b, ",\"exemplars\":[");
        for (size_t i = 0; i < s->n; i++) {
                buf_puts(b, i ? ",{\"labels\":" : "{\"labels\":");
                json_put_labels(b, s->v[i].labels);
                buf_puts(b, ",\"value\":\"");
                buf_put_sample_value(b, s->v[i].value);
                buf_puts(b, "\",\"timestamp\":");
                json_put_ms(b, s->v[i].t);
                buf_putc(b, '}');
        }
        buf_puts(b, "]}");
}

/* Without --enable-feature=exemplar-storage none are kept, and the answer is an empty list. */
static void query_exemplars(struct api *a)
{
        TimeMs start, end;
        struct promql_tree tree = PROMQL_TREE_INIT;
        SelectorVec selectors = VEC_INIT;
        ExemplarSeriesVec found = VEC_INIT;
        if (!api_time(a, "start", TIME_MS_MIN, &start) || !api_time(a, "end", TIME_MS_MAX, &end))
                return;
        if (end < start) {
                api_fail(a, API_BAD_DATA, "end timestamp must not be before start timestamp");
                return;
        }
        struct error *e = promql_parse(engine_parse_opts(a->w->o.engine), api_param(a, "query"), a->r->arena, &tree);
        if (e) {
                api_fail_error(a, API_BAD_DATA, e, NULL);
                goto out;
        }
        selectors_add(tree.root, &selectors);
        if (!selectors.n) {
                api_no_content(a);
                goto out;
        }
        struct exemplar_selector *sel = arena_array(a->r->arena, struct exemplar_selector, selectors.n);
        for (size_t i = 0; i < selectors.n; i++)
                sel[i] = (struct exemplar_selector){selectors.p[i]->selector.matchers, selectors.p[i]->selector.n_matchers};
        struct head *head = a->w->o.db ? db_head(a->w->o.db) : NULL;
        e = head ? exemplars_select(head_exemplars(head), start, end, sel, selectors.n, a->r->arena, &found) : NULL;
        if (e) {
                api_fail_error(a, API_EXECUTION, e, NULL);
                goto out;
        }
        api_begin(a);
        buf_putc(&a->out, '[');
        for (size_t i = 0; i < found.n; i++) {
                if (i)
                        buf_putc(&a->out, ',');
                put_exemplar_series(&a->out, &found.p[i]);
        }
        buf_putc(&a->out, ']');
        api_end(a, NULL, 0, NULL, 0);
out:
        vec_done(&found);
        vec_done(&selectors);
        promql_tree_done(&tree);
}

void api_query_register(struct web *w)
{
        api_handle(w, "query", HTTP_GET | HTTP_POST, API_LENIENT_FORM, query);
        api_handle(w, "query_range", HTTP_GET | HTTP_POST, API_LENIENT_FORM, query_range);
        api_handle(w, "query_exemplars", HTTP_GET | HTTP_POST, API_LENIENT_FORM, query_exemplars);
        api_handle(w, "format_query", HTTP_GET | HTTP_POST, API_LENIENT_FORM, format_query);
        api_handle(w, "parse_query", HTTP_GET | HTTP_POST, API_LENIENT_FORM, parse_query);
}
