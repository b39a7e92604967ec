/* SPDX-License-Identifier: Apache-2.0 */
/* query_series.c — series, labels, label values over all stores. */
#include "codec/json.h"
#include "codec/quote.h"
#include "storage/merge.h"
#include "web/thanos/query_api_impl.h"

struct lookup {
        struct query_params params;
        struct query_view view;
        TimeMs start_ms, end_ms;
        MatcherSets sets;
        struct arena arena;
        struct querier *q;
};

static void lookup_done(struct lookup *l)
{
        querier_close(l->q);
        matcher_sets_done(&l->sets);
        query_params_done(&l->params);
        arena_done(&l->arena);
}

static bool time_param(struct api *a, const char *name, TimeMs *ret)
{
        Str s = api_param(a, name);
        struct error *e = s.n ? time_param_parse(s, ret) : NULL;
        if (!e)
                return true;
        api_fail_error(a, API_BAD_DATA, error_wrap(e, "Invalid time value for '%s'", name), NULL);
        return false;
}

static bool time_range(struct api *a, struct lookup *l)
{
        int64_t range_ms = query_api_of(a)->o.metadata_range_ms;
        l->start_ms = QUERY_API_TIME_MIN;
        l->end_ms = QUERY_API_TIME_MAX;
        if (range_ms > 0) {
                l->end_ms = time_now_ms();
                l->start_ms = l->end_ms - range_ms;
        }
        if (!time_param(a, "start", &l->start_ms) || !time_param(a, "end", &l->end_ms))
                return false;
        if (l->end_ms >= l->start_ms)
                return true;
        api_fail(a, API_BAD_DATA, "bad_data: end timestamp must not be before start time");
        return false;
}

static struct error *sets_of(struct api *a, struct lookup *l)
{
        for (size_t i = 0; i < a->form.n; i++) {
                if (!str_eq(a->form.v[i].name, STR("match[]")))
                        continue;
                MatcherVec m = VEC_INIT;
                struct error *e = promql_parse_selector(a->form.v[i].value, &l->arena, &m);
                vec_push(&l->sets, m);
                if (e)
                        return e;
        }
        return query_api_enforce_sets(a, &l->sets);
}

/* False: answered. Series are looked for in downsampled blocks too: the raw ones may be gone. */
static bool lookup_open(struct api *a, struct lookup *l, bool keeps_replica_labels)
{
        *l = (struct lookup){0};
        arena_init(&l->arena, WEB_REQUEST_ARENA_BYTES);
        if (!time_range(a, l))
                return false;
        struct error *e = sets_of(a, l);
        if (e) {
                api_fail_error(a, API_BAD_DATA, e, NULL);
                return false;
        }
        if (!query_api_params(a, &l->params))
                return false;
        if (keeps_replica_labels)
                l->params.wish.dedup = false;
        else
                l->params.wish.max_resolution_ms = INT64_MAX;
        struct storage *st = query_view_init(&l->view, query_api_of(a)->o.core, &l->params.wish,
                                             http_request_cancel_flag(a->r));
        e = storage_querier(st, l->start_ms, l->end_ms, &l->arena, &l->q);
        if (e)
                query_api_fail(a, e);
        return !e;
}

static void fail(struct api *a, struct error *take_e)
{
        api_fail_error(a, API_EXECUTION, take_e, NULL);
}

static void end(struct api *a, struct lookup *l)
{
        StrVec warnings = VEC_INIT;
        querier_warnings(l->q, &warnings);
        query_api_end(a, warnings.p, warnings.n);
        vec_done(&warnings);
}

/* Once the head is out it cannot say any more that something was missing. */
static void flush(struct api *a)
{
        if (!a->begun && a->out.n >= 128 << 10)
                http_set_header(a->r, "Cache-Control", STR("no-store"));
        api_flush(a);
}

static struct error *put_series(struct api *a, struct series_set *set)
{
        size_t n = 0;
        for (;;) {
                struct series s;
                bool more;
                struct error *e = series_set_next(set, &s, &more);
                if (e || !more)
                        return e;
                if (http_request_gone(a->r))
                        return error_new(ERROR_CANCELLED, "context canceled");
                if (n++)
                        buf_putc(&a->out, ',');
                json_put_labels(&a->out, s.labels);
                flush(a);
        }
}

static void series(struct api *a)
{
        struct lookup l;
        if (!api_has(a, "match[]")) {
                api_fail(a, API_BAD_DATA, "no match[] parameter provided");
                return;
        }
        if (!lookup_open(a, &l, false)) {
                lookup_done(&l);
                return;
        }
        struct select_hints h = {.start_ms = l.start_ms,
                                 .end_ms = l.end_ms,
                                 .func = STR("series"),
                                 .labels_only = true,
                                 .sorted = l.sets.n > 1};
        struct series_set **sets = arena_array(&l.arena, struct series_set *, l.sets.n + 1), *set = NULL;
        struct error *e = NULL;
        for (size_t i = 0; !e && i < l.sets.n; i++)
                e = querier_select(l.q, &h, (const struct matcher *const *)l.sets.p[i].p, l.sets.p[i].n, &sets[i]);
        if (!e)
                e = merge_series_sets(&l.arena, NULL, sets, l.sets.n, &set);
        if (!e) {
                api_begin(a);
                buf_putc(&a->out, '[');
                e = put_series(a, set);
        }
        if (e) {
                fail(a, e);
        } else {
                buf_putc(&a->out, ']');
                end(a, &l);
        }
        lookup_done(&l);
}

/* name NULL: label names. Replica labels are told, as upstream does. */
static void names_or_values(struct api *a, const Str *name)
{
        struct lookup l;
        StrVec all = VEC_INIT;
        if (!lookup_open(a, &l, true)) {
                lookup_done(&l);
                return;
        }
        struct error *e = NULL;
        size_t n_sets = MAX(l.sets.n, (size_t)1);
        for (size_t i = 0; !e && i < n_sets; i++) {
                const struct matcher *const *m = i < l.sets.n ? (const struct matcher *const *)l.sets.p[i].p : NULL;
                size_t n_m = i < l.sets.n ? l.sets.p[i].n : 0;
                e = name ? querier_label_values(l.q, *name, m, n_m, 0, &all)
                         : querier_label_names(l.q, m, n_m, 0, &all);
        }
        if (e) {
                fail(a, e);
        } else {
                if (n_sets > 1)
                        strs_sort_unique(&all, 0);
                StrVec warnings = VEC_INIT;
                querier_warnings(l.q, &warnings);
                query_api_no_store(a, warnings.p, warnings.n);
                vec_done(&warnings);
                api_begin(a);
                buf_putc(&a->out, '[');
                for (size_t i = 0; i < all.n; i++) {
                        if (i)
                                buf_putc(&a->out, ',');
                        json_put_api_str(&a->out, all.p[i]);
                        api_flush(a);
                }
                buf_putc(&a->out, ']');
                end(a, &l);
        }
        vec_done(&all);
        lookup_done(&l);
}

static void label_names(struct api *a)
{
        names_or_values(a, NULL);
}

static bool label_name_is_classic(Str s)
{
        for (size_t i = 0; i < s.n; i++) {
                char c = s.p[i];
                if (!(c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (i && c >= '0' && c <= '9')))
                        return false;
        }
        return s.n > 0;
}

static void label_values(struct api *a)
{
        Str path = a->r->path, mark = STR("/label/");
        ptrdiff_t at = str_find_str(path, mark);
        Str name = str_trim_suffix(str_skip(path, at < 0 ? 0 : (size_t)at + mark.n), STR("/values"));
        if (!label_name_is_classic(name)) {
                struct buf b = BUF_INIT(1 << 16);
                buf_put_go_quoted(&b, name);
                api_fail(a, API_BAD_DATA, "invalid label name: %s", buf_cstr(&b));
                buf_done(&b);
                return;
        }
        names_or_values(a, &name);
}

void query_api_series_register(struct query_api *q)
{
        query_api_handle(q, "series", HTTP_GET | HTTP_POST, series);
        query_api_handle(q, "labels", HTTP_GET | HTTP_POST, label_names);
        query_api_handle(q, "label/:name/values", HTTP_GET, label_values);
}
