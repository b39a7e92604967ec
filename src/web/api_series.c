/* SPDX-License-Identifier: Apache-2.0 */
/* api_series.c — series, labels, label values. */
#include "codec/json.h"
#include "codec/quote.h"
#include "storage/merge.h"
#include "web/serve.h"

/* What the three have in common: limit, time range, matchers, an open querier with an arena of its own. */
struct lookup {
        size_t limit;
        TimeMs start_ms, end_ms;
        MatcherSets sets;
        struct arena arena;
        struct querier *q;
};

static void lookup_done(struct lookup *l)
{
        querier_close(l->q);
        matcher_sets_done(&l->sets);
        arena_done(&l->arena);
}

/* False: answered. matchers_are_param: their errors name the parameter, as /series does. */
static bool lookup_open(struct api *a, struct lookup *l, bool matchers_are_param)
{
        *l = (struct lookup){.sets = VEC_INIT};
        arena_init(&l->arena, WEB_REQUEST_ARENA_BYTES);
        if (!api_limit(a, &l->limit) || !api_time(a, "start", TIME_MS_MIN, &l->start_ms) || !api_time(a, "end", TIME_MS_MAX, &l->end_ms))
                return false;
        struct error *e = matcher_sets_parse(&a->form, true, &l->arena, &l->sets);
        if (e) {
                if (matchers_are_param)
                        api_fail_param(a, "match[]", e);
                else
                        api_fail_error(a, API_BAD_DATA, e, NULL);
                return false;
        }
        struct storage *st = api_storage(a);
        if (!st)
                return false;
        e = storage_querier(st, l->start_ms, l->end_ms, &l->arena, &l->q);
        if (e)
                api_fail_error(a, api_kind_of(e), e, NULL);
        return !e;
}

static void put_warnings_end(struct api *a, struct lookup *l, bool cut)
{
        StrVec w = VEC_INIT;
        querier_warnings(l->q, &w);
        if (cut)
                vec_push(&w, STR("results truncated due to limit"));
        api_end(a, w.p, w.n, NULL, 0);
        vec_done(&w);
}

static struct error *series_put(struct api *a, struct lookup *l, struct series_set *set, bool *ret_cut)
{
        size_t n = 0;
        for (;;) {
                struct series s;
                bool more;
                struct error *e = series_set_next(set, &s, &more);
                if (e || !more)
                        return e;
                if (l->limit && n == l->limit) {
                        *ret_cut = true;
                        return NULL;
                }
                if (http_request_gone(a->r))
                        return error_new(ERROR_CANCELLED, "context canceled");
                if (n++)
                        buf_putc(&a->out, ',');
                json_put_labels(&a->out, s.labels);
                api_flush(a);
        }
}

static void series(struct api *a)
{
        struct lookup l;
        bool cut = false;
        if (!api_has(a, "match[]")) {
                api_fail(a, API_BAD_DATA, "no match[] parameter provided");
                return;
        }
        if (!lookup_open(a, &l, true)) {
                lookup_done(&l);
                return;
        }
        struct select_hints h = {.start_ms = l.start_ms, .end_ms = l.end_ms, .func = STR("series"), .labels_only = true, .sorted = l.sets.n > 1,
                                 .limit = l.limit ? l.limit + 1 : 0};
        struct series_set **sets = arena_alloc(&l.arena, l.sets.n * sizeof *sets), *set = NULL;
        struct error *e = NULL;
        for (size_t i = 0; !e && i < l.sets.n; i++)
                e = querier_select(l.q, &h, (const struct matcher *const *)l.sets.p[i].p, l.sets.p[i].n, &sets[i]);
        if (!e)
                e = merge_series_sets(&l.arena, NULL, sets, l.sets.n, &set);
        if (!e) {
                api_begin(a);
                buf_putc(&a->out, '[');
                e = series_put(a, &l, set, &cut);
        }
        if (e) {
                api_fail_error(a, api_kind_of(e), e, NULL);
        } else {
                buf_putc(&a->out, ']');
                put_warnings_end(a, &l, cut);
        }
        lookup_done(&l);
}

/* name NULL: label names. */
static void names_or_values(struct api *a, const Str *name)
{
        struct lookup l;
        StrVec all = VEC_INIT;
        if (!lookup_open(a, &l, false)) {
                lookup_done(&l);
                return;
        }
        struct error *e = NULL;
        size_t n_sets = MAX(l.sets.n, (size_t)1), hint = l.limit ? l.limit + 1 : 0;
        for (size_t i = 0; !e && i < n_sets; i++) {
                const struct matcher *const *m = i < l.sets.n ? (const struct matcher *const *)l.sets.p[i].p : NULL;
                size_t n_m = i < l.sets.n ? l.sets.p[i].n : 0;
                e = name ? querier_label_values(l.q, *name, m, n_m, hint, &all) : querier_label_names(l.q, m, n_m, hint, &all);
        }
        if (e) {
                enum api_error kind = api_kind_of(e);
                api_fail_error(a, kind == API_INTERNAL ? API_EXECUTION : kind, e, NULL);
        } else {
                if (n_sets > 1)
                        strs_sort_unique(&all, 0);
                bool cut = l.limit && all.n > l.limit;
                api_begin(a);
                buf_putc(&a->out, '[');
                for (size_t i = 0; i < (cut ? l.limit : all.n); i++) {
                        if (i)
                                buf_putc(&a->out, ',');
                        json_put_api_str(&a->out, all.p[i]);
                        api_flush(a);
                }
                buf_putc(&a->out, ']');
                put_warnings_end(a, &l, cut);
        }
        vec_done(&all);
        lookup_done(&l);
}

static void label_names(struct api *a)
{
        names_or_values(a, NULL);
}

static int hex_value(char c)
{
        return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* U__my_2e_name: my.name. What is not well formed stays as it is.  Upstream: common model.UnescapeName, value encoding. */
static Str name_unescape(Str s, struct arena *a)
{
        if (!str_has_prefix(s, STR("U__")))
                return s;
        struct buf b = BUF_INIT(s.n * 4 + 8);
        Str rest = str_skip(s, 3);
        for (size_t i = 0; i < rest.n;) {
                if (rest.p[i] != '_') {
                        buf_putc(&b, rest.p[i++]);
                        continue;
                }
                if (++i < rest.n && rest.p[i] == '_') {
                        buf_putc(&b, '_');
                        i++;
                        continue;
                }
                uint32_t r = 0;
                size_t digits = 0;
                while (i < rest.n && rest.p[i] != '_' && digits < 7) {
                        int v = hex_value(rest.p[i++]);
                        digits = v < 0 ? 99 : digits + 1;
                        r = r << 4 | (uint32_t)(v < 0 ? 0 : v);
                }
                if (i == rest.n || rest.p[i] != '_' || digits == 0 || digits > 6 || r > 0x10ffff || (r >= 0xd800 && r < 0xe000)) {
                        buf_done(&b);
                        return s;
                }
                i++;
                char bytes[4];
                buf_append(&b, bytes, utf8_encode(r, bytes));
        }
        Str out = arena_str(a, buf_str(&b));
        buf_done(&b);
        return out;
}

static void label_values(struct api *a)
{
        Str path = a->r->path, mark = STR("/label/");
        ptrdiff_t at = str_find_str(path, mark);
        Str name = str_trim_suffix(str_skip(path, at < 0 ? 0 : (size_t)at + mark.n), STR("/values"));
        name = name_unescape(name, a->r->arena);
        if (!label_name_is_valid_utf8(name)) {
                struct buf b = BUF_INIT(1 << 16);
                buf_put_go_quoted(&b, name);
                api_fail(a, API_BAD_DATA, "invalid label name: %s", buf_cstr(&b));
                buf_done(&b);
                return;
        }
        names_or_values(a, &name);
}

void api_series_register(struct web *w)
{
        api_handle(w, "series", HTTP_GET | HTTP_POST, 0, series);
        api_handle(w, "labels", HTTP_GET | HTTP_POST, 0, label_names);
        api_handle(w, "label/:name/values", HTTP_GET, 0, label_values);
}
