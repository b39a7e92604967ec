/* SPDX-License-Identifier: Apache-2.0 */
/* api_admin.c — delete_series, clean_tombstones, snapshot; and endpoints that are known but not supported yet. */
#include "web/serve.h"

static bool is_allowed(struct api *a)
{
        if (!a->w->o.enable_admin)
                api_fail(a, API_UNAVAILABLE, "admin APIs disabled");
        return a->w->o.enable_admin;
}

static void delete_series(struct api *a)
{
        TimeMs start, end;
        bool any = false;
        if (!is_allowed(a))
                return;
        if (!api_has(a, "match[]")) {
                api_fail(a, API_BAD_DATA, "no match[] parameter provided");
                return;
        }
        if (!api_time(a, "start", TIME_MS_MIN, &start) || !api_time(a, "end", TIME_MS_MAX, &end))
                return;
        for (size_t i = 0; i < a->form.n; i++) {
                if (!str_eq(a->form.v[i].name, STR("match[]")))
                        continue;
                MatcherVec m = VEC_INIT;
                struct error *e = promql_parse_selector(a->form.v[i].value, a->r->arena, &m);
                bool parsed = !e;
                if (!e)
                        e = db_delete(a->w->o.db, start, end, (const struct matcher *const *)m.p, m.n);
                matcher_vec_done(&m);
                if (e && parsed) {
                        api_fail_error(a, API_INTERNAL, e, NULL);
                        return;
                }
                if (e) {
                        api_fail_param(a, "match[]", e);
                        return;
                }
                any = true;
        }
        if (any)
                api_no_content(a);
}

static void clean_tombstones(struct api *a)
{
        if (!is_allowed(a))
                return;
        struct error *e = db_clean_tombstones(a->w->o.db);
        if (e)
                api_fail_error(a, API_INTERNAL, e, NULL);
        else
                api_no_content(a);
}

static void snapshot(struct api *a)
{
        if (!is_allowed(a))
                return;
        Str skip = api_param(a, "skip_head");
        bool skip_head = str_eq(skip, STR("1")) || str_eq_nocase(skip, STR("t")) || str_eq_nocase(skip, STR("true"));
        if (skip.n && !skip_head && !str_eq(skip, STR("0")) && !str_eq_nocase(skip, STR("f")) && !str_eq_nocase(skip, STR("false"))) {
                api_fail_param(a, "skip_head",
                               error_new(ERROR_INVALID, "unable to parse boolean: strconv.ParseBool: parsing \"" STR_FMT "\": invalid syntax", STR_ARG(skip)));
                return;
        }
        char *name;
        struct error *e = db_snapshot(a->w->o.db, !skip_head, &name);
        if (e) {
                api_fail_error(a, API_INTERNAL, e, "create snapshot: ");
                return;
        }
        api_begin(a);
        buf_putc(&a->out, '{');
        json_put_member(&a->out, "name", str_from(name));
        buf_putc(&a->out, '}');
        api_end(a, NULL, 0, NULL, 0);
        free(name);
}

static void otlp(struct api *a)
{
        http_reply(a->r, 404, "text/plain; charset=utf-8", STR("otlp write receiver needs to be enabled with --web.enable-otlp-receiver, which is not supported yet\n"));
}

static void search(struct api *a)
{
        api_fail(a, API_UNAVAILABLE, "search API disabled");
}

static void not_supported(struct api *a)
{
        api_fail(a, API_NOT_FOUND, STR_FMT " is not supported yet", STR_ARG(a->r->path));
}

void api_admin_register(struct web *w)
{
        api_handle(w, "admin/tsdb/delete_series", HTTP_POST | HTTP_PUT, 0, delete_series);
        api_handle(w, "admin/tsdb/clean_tombstones", HTTP_POST | HTTP_PUT, 0, clean_tombstones);
        api_handle(w, "admin/tsdb/snapshot", HTTP_POST | HTTP_PUT, 0, snapshot);
        api_handle(w, "otlp/v1/metrics", HTTP_POST, 0, otlp);
        api_handle(w, "search/metric_names", HTTP_GET | HTTP_POST, 0, search);
        api_handle(w, "search/label_names", HTTP_GET | HTTP_POST, 0, search);
        api_handle(w, "search/label_values", HTTP_GET | HTTP_POST, 0, search);
        api_handle(w, "status/self_metrics", HTTP_GET, 0, not_supported);
        api_handle(w, "targets/relabel_steps", HTTP_GET, 0, not_supported);
        api_handle(w, "notifications/live", HTTP_GET, 0, not_supported);
        api_handle(w, "openapi.yaml", HTTP_GET, 0, not_supported);
}
