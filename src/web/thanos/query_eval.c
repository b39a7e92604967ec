/* SPDX-License-Identifier: Apache-2.0 */
/* query_eval.c — query, query_range. */
#include "codec/json.h"
#include "web/thanos/query_api_impl.h"

struct eval {
        struct query_params params;
        struct query_opts q;
        struct query_view view;
};

static bool time_param(struct api *a, const char *name, bool is_range, TimeMs *ret)
{
        Str s = api_param(a, name);
        if (s.n == 0 && !is_range)
                return true;
        struct error *e = time_param_parse(s, ret);
        if (!e)
                return true;
        if (!is_range)
                e = error_wrap(e, "Invalid time value for '%s'", name);
        api_fail_error(a, API_BAD_DATA, e, NULL);
        return false;
}

/* max_source_resolution: a duration, or auto. */
static bool resolution(struct api *a, int64_t automatic_ms, int64_t *ret_ms)
{
        Str s = api_param(a, "max_source_resolution");
        bool automatic = str_eq(s, STR("auto"));
        *ret_ms = query_api_of(a)->o.auto_downsampling || automatic ? automatic_ms : 0;
        if (!automatic && !query_api_duration(a, "max_source_resolution", ret_ms))
                return false;
        if (*ret_ms >= 0)
                return true;
        api_fail(a, API_BAD_DATA, "negative 'max_source_resolution' is not accepted. Try a positive integer");
        return false;
}

static bool shard_member(const struct json *v, const char *name, int64_t *ret)
{
        const struct json *x = json_get(v, str_from(name));
        return !x || x->type == JSON_NULL || (x->type == JSON_NUMBER && str_to_i64(x->text, ret));
}

/* {"shard_index":0,"total_shards":2,"by":true,"labels":["a"]} */
static bool shard(struct api *a, struct query_wish *w)
{
        Str text = api_param(a, "shard_info");
        if (text.n == 0)
                return true;
        const struct json *v = NULL;
        struct error *e = json_parse(text, a->r->arena, &v);
        if (!e && v->type != JSON_OBJECT && v->type != JSON_NULL)
                e = error_new(ERROR_INVALID, "not an object");
        struct proxy_shard *s = arena_new(a->r->arena, struct proxy_shard);
        if (!e && (!shard_member(v, "shard_index", &s->index) || !shard_member(v, "total_shards", &s->total)))
                e = error_new(ERROR_INVALID, "shard_index and total_shards must be integers");
        if (e) {
                api_fail_error(a, API_BAD_DATA, e, "could not unmarshal parameter shard_info: ");
                return false;
        }
        const struct json *labels = json_get(v, STR("labels"));
        Str *names = arena_array(a->r->arena, Str, (labels ? labels->n : 0) + 1);
        JSON_EACH (m, labels)
                names[s->n_labels++] = json_str(&m->value);
        s->labels = names;
        s->by = json_bool(json_get(v, STR("by")));
        w->shard = s->total > 1 ? s : NULL;
        return true;
}

/* Both engines' names are taken; there is one. */
static bool engine_param(struct api *a, bool *ret_thanos)
{
        Str s = api_param(a, "engine");
        *ret_thanos = query_api_of(a)->o.default_engine_is_thanos;
        if (str_eq(s, STR("thanos")))
                *ret_thanos = true;
        else if (str_eq(s, STR("prometheus")))
                *ret_thanos = false;
        else if (s.n) {
                api_fail(a, API_BAD_DATA, "'" STR_FMT "' bad engine", STR_ARG(s));
                return false;
        }
        return true;
}

static bool is_analysed(struct api *a)
{
        Str s = api_param(a, "analyze");
        return str_eq(s, STR("true")) || str_eq(s, STR("1"));
}

/* What both kinds share, in upstream's order. False: answered. */
static bool common(struct api *a, struct eval *x, int64_t automatic_resolution_ms, bool *ret_thanos)
{
        Str timeout = api_param(a, "timeout");
        struct query_wish *w = &x->params.wish;
        struct error *e = timeout.n ? seconds_parse(timeout, &x->q.timeout_ms) : NULL;
        if (e) {
                api_fail_error(a, API_BAD_DATA, e, NULL);
                return false;
        }
        if (timeout.n && x->q.timeout_ms <= 0) { /* over before it begins */
                api_fail(a, API_EXECUTION, "context deadline exceeded");
                return false;
        }
        if (!query_api_params(a, &x->params) || !resolution(a, automatic_resolution_ms, &w->max_resolution_ms) ||
            !shard(a, w) || !engine_param(a, ret_thanos) ||
            !query_api_duration(a, "lookback_delta", &w->lookback_ms))
                return false;
        x->q.text = api_param(a, "query");
        e = query_api_enforce(a, &x->q.text);
        if (e) {
                api_fail_error(a, API_BAD_DATA, e, NULL);
                return false;
        }
        w->timeout_ms = x->q.timeout_ms;
        x->q.cancel = http_request_cancel_flag(a->r);
        return true;
}

/* "PromQL warning: … (1:24)" without the place: 0.36 does not say it. */
static Str without_place(Str s)
{
        size_t n = s.n;
        if (!str_has_prefix(s, STR("PromQL ")) || n < 2 || s.p[n - 1] != ')')
                return s;
        for (n--; n && ((s.p[n - 1] >= '0' && s.p[n - 1] <= '9') || s.p[n - 1] == ':');)
                n--;
        return n >= 2 && s.p[n - 1] == '(' && s.p[n - 2] == ' ' ? str_sub(s, 0, n - 2) : s;
}

static void answer(struct api *a, const struct eval *x, const struct query_result *res)
{
        StrVec warnings = VEC_INIT;
        for (size_t i = 0; i < res->n_warnings; i++)
                vec_push(&warnings, without_place(res->warnings[i]));
        for (size_t i = 0; i < res->n_infos; i++)
                vec_push(&warnings, without_place(res->infos[i]));
        query_api_no_store(a, warnings.p, warnings.n);
        api_begin(a);
        api_put_result(a, &x->q, res, api_param(a, "stats").n > 0);
        buf_puts(&a->out, ",\"analysis\":{}}");
        query_api_end(a, warnings.p, warnings.n);
        vec_done(&warnings);
}

static void run(struct api *a, struct eval *x, bool instant)
{
        const struct query_core *c = query_api_of(a)->o.core;
        struct query_result res = {.type = VALUE_NONE};
        struct error *e = query_run(c, &x->view, &x->params.wish, &x->q, instant, &res);
        if (e)
                query_api_fail(a, e);
        else
                answer(a, x, &res);
        query_result_done(&res);
}

/* As 0.36 answers a wish to analyse what its Prometheus engine runs. */
static bool analysis_answered(struct api *a, bool is_thanos)
{
        if (!is_analysed(a) || is_thanos)
                return false;
        api_no_content(a);
        return true;
}

static void query(struct api *a)
{
        struct eval x = {.q.start_ms = time_now_ms()};
        bool is_thanos = false;
        if (time_param(a, "time", false, &x.q.start_ms) &&
            common(a, &x, query_api_of(a)->o.core->instant_resolution_ms, &is_thanos) &&
            !analysis_answered(a, is_thanos)) {
                x.q.end_ms = x.q.start_ms;
                run(a, &x, true);
        }
        query_params_done(&x.params);
}

static bool range_params(struct api *a, struct query_opts *q)
{
        if (!time_param(a, "start", true, &q->start_ms) || !time_param(a, "end", true, &q->end_ms))
                return false;
        if (q->end_ms < q->start_ms) {
                api_fail(a, API_BAD_DATA, "end timestamp must not be before start time");
                return false;
        }
        Str step = api_param(a, "step");
        int64_t step_ns = 0;
        if (step.n) {
                struct error *e = seconds_parse_ns(step, &step_ns);
                if (e) {
                        api_fail_error(a, API_BAD_DATA, e, "'step' parameter: ");
                        return false;
                }
        } else {
                int64_t s = (q->end_ms - q->start_ms) / 1000 / 250;
                step_ns = MIN(MAX(s, query_api_of(a)->o.default_step_ms / 1000), (int64_t)9000000000) * 1000000000;
        }
        if (step_ns <= 0) {
                api_fail(a, API_BAD_DATA, "zero or negative query resolution step widths are not accepted. Try a positive integer");
                return false;
        }
        q->step_ms = MAX(step_ns / 1000000, (int64_t)1);
        if ((double)(q->end_ms - q->start_ms) * 1e6 / (double)step_ns >= 11001) {
                api_fail(a, API_BAD_DATA, "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)");
                return false;
        }
        return true;
}

static void query_range(struct api *a)
{
        struct eval x = {0};
        bool is_thanos = false;
        if (range_params(a, &x.q) && common(a, &x, x.q.step_ms / 5, &is_thanos)) {
                metric_observe(query_api_of(a)->range_seconds, (double)(x.q.end_ms - x.q.start_ms) / 1000);
                if (!analysis_answered(a, is_thanos))
                        run(a, &x, false);
        }
        query_params_done(&x.params);
}

/* The tree of operators is that of upstream's own engine, which there is not here. */
static void explain(struct api *a)
{
        bool is_thanos;
        if (!engine_param(a, &is_thanos))
                return;
        if (is_thanos)
                api_fail(a, API_BAD_DATA, "explaining queries is not supported yet");
        else
                api_fail(a, API_BAD_DATA, "engine type must be 'thanos'");
}

void query_api_eval_register(struct query_api *q)
{
        query_api_handle(q, "query", HTTP_GET | HTTP_POST, query);
        query_api_handle(q, "query_range", HTTP_GET | HTTP_POST, query_range);
        query_api_handle(q, "query_explain", HTTP_GET | HTTP_POST, explain);
        query_api_handle(q, "query_range_explain", HTTP_GET | HTTP_POST, explain);
}
