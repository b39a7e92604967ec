/* SPDX-License-Identifier: Apache-2.0 */
/* query_api.c — routes, the parameters that requests share, tenancy. */
#include "web/thanos/query_api.h"

#include <stdio.h>

#include "codec/quote.h"
#include "web/thanos/query_api_impl.h"

enum { ANSWER_PIECE_MAX_BYTES = 256 << 20, ROUTES_MAX_BYTES = 1 << 20, QUERY_MAX_BYTES = 64 << 20 };

struct route {
        struct query_api *q;
        api_handler *fn;
};

/* --- routes --- */

static void cors(const struct query_api *q, struct http_request *r)
{
        if (!q->o.sends_cors)
                return;
        http_set_header(r, "Access-Control-Allow-Headers",
                        STR("Accept, Accept-Encoding, Authorization, Content-Type, Origin"));
        http_set_header(r, "Access-Control-Allow-Methods", STR("GET, OPTIONS"));
        http_set_header(r, "Access-Control-Allow-Origin", STR("*"));
        http_set_header(r, "Access-Control-Expose-Headers", STR("Date"));
}

static void dispatch(struct http_request *r, void *ctx)
{
        const struct route *route = ctx;
        struct api a = {.r = r,
                        .out = BUF_INIT(ANSWER_PIECE_MAX_BYTES),
                        .engine = route->q->o.core->engine,
                        .owner = route->q,
                        .is_thanos = true};
        cors(route->q, r);
        error_ignore(http_request_form(r, &a.form), "what could be read of the form is used, as Go's FormValue does");
        route->fn(&a);
        buf_done(&a.out);
        error_free(a.write_error);
}

static void preflight(struct http_request *r, void *ctx)
{
        cors(ctx, r);
        http_reply(r, 204, NULL, STR(""));
}

static void unknown(struct http_request *r, void *ctx)
{
        if (r->method == HTTP_OPTIONS)
                preflight(r, ctx);
        else
                http_reply(r, 404, "text/plain; charset=utf-8", STR("404 page not found\n"));
}

void query_api_handle(struct query_api *q, const char *path, unsigned methods, api_handler *h)
{
        char full[512];
        snprintf(full, sizeof full, "%s/api/v1/%s", q->o.route_prefix, path);
        struct route *route = arena_new(&q->arena, struct route);
        *route = (struct route){q, h};
        http_server_handle(q->o.server, full, methods, 0, dispatch, route);
        http_server_handle(q->o.server, full, HTTP_OPTIONS, HTTP_INLINE, preflight, q);
}

Str query_api_handler_name(const char *route)
{
        static const struct {
                const char *end, *name;
        } names[] = {
                {"/query", "query"},
                {"/query_explain", "query"},
                {"/query_range_explain", "query"},
                {"/query_range", "query_range"},
                {"/label/:name/values", "label_values"},
                {"/labels", "label_names"},
                {"/series", "series"},
                {"/stores", "stores"},
                {"/rules", "rules"},
                {"/alerts", "alerts"},
                {"/targets", "targets"},
                {"/metadata", "metadata"},
                {"/query_exemplars", "exemplars"},
                {"/status/flags", "status_flags"},
                {"/status/runtimeinfo", "status_runtime"},
                {"/status/buildinfo", "status_build"},
        };
        Str s = str_from(route);
        ptrdiff_t at = str_find_str(s, STR("/api/v1/"));
        if (at < 0)
                return STR("");
        s = str_skip(s, (size_t)at + 7);
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                if (str_eq(s, str_from(names[i].end)))
                        return str_from(names[i].name);
        return str_has_suffix(str_from(route), STR("/api/v1/")) ? STR("options") : STR("");
}

/* --- errors and ends --- */

void query_api_fail(struct api *a, struct error *take_e)
{
        enum api_error kind = API_EXECUTION;
        if (error_is(take_e, ERROR_CANCELLED))
                kind = API_CANCELED;
        else if (error_is(take_e, ERROR_TIMEOUT))
                kind = API_TIMEOUT;
        else if (error_is(take_e, ERROR_INVALID))
                kind = API_BAD_DATA;
        api_fail_error(a, kind, take_e, NULL);
}

void query_api_no_store(struct api *a, const Str *warnings, size_t n)
{
        for (size_t i = 0; i < n; i++)
                if (!str_has_prefix(warnings[i], STR("PromQL ")))
                        http_set_header(a->r, "Cache-Control", STR("no-store"));
}

void query_api_end(struct api *a, const Str *warnings, size_t n)
{
        if (!a->begun)
                query_api_no_store(a, warnings, n);
        api_end(a, warnings, n, NULL, 0);
}

/* --- parameters --- */

static void fail_param(struct api *a, const char *name, struct error *take_e)
{
        api_fail(a, API_BAD_DATA, "'%s' parameter: %s", name, error_str(take_e));
        error_free(take_e);
}

bool query_api_bool(struct api *a, const char *name, bool *ret)
{
        static const char *const words[2][6] = {{"0", "f", "F", "false", "FALSE", "False"},
                                                {"1", "t", "T", "true", "TRUE", "True"}};
        Str s = api_param(a, name);
        if (s.n == 0)
                return true;
        for (int v = 0; v < 2; v++)
                for (size_t i = 0; i < ARRAY_LEN(words[v]); i++)
                        if (str_eq(s, str_from(words[v][i]))) {
                                *ret = v;
                                return true;
                        }
        struct buf b = BUF_INIT(1 << 20);
        buf_put_go_quoted(&b, s);
        fail_param(a, name, error_new(ERROR_INVALID, "strconv.ParseBool: parsing %s: invalid syntax", buf_cstr(&b)));
        buf_done(&b);
        return false;
}

bool query_api_duration(struct api *a, const char *name, int64_t *ret_ms)
{
        Str s = api_param(a, name);
        struct error *e = s.n ? seconds_parse(s, ret_ms) : NULL;
        if (!e)
                return true;
        fail_param(a, name, e);
        return false;
}

bool query_api_strs(struct api *a, const char *name, const Str **ret, size_t *ret_n)
{
        Str *v = arena_array(a->r->arena, Str, a->form.n + 1);
        size_t n = 0;
        for (size_t i = 0; i < a->form.n; i++)
                if (str_eq(a->form.v[i].name, str_from(name)))
                        v[n++] = a->form.v[i].value;
        *ret = v;
        *ret_n = n;
        return true;
}

static bool store_matches(struct api *a, struct query_params *p)
{
        struct store_matches *m = &p->matches;
        for (size_t i = 0; i < a->form.n; i++) {
                if (!str_eq(a->form.v[i].name, STR("storeMatch[]")))
                        continue;
                MatcherVec one = VEC_INIT;
                struct error *e = promql_parse_selector(a->form.v[i].value, a->r->arena, &one);
                if (e) {
                        matcher_vec_done(&one);
                        api_fail_error(a, API_BAD_DATA, e, NULL);
                        return false;
                }
                vec_push(&m->sets, one);
        }
        m->v = arena_array(a->r->arena, struct proxy_match, m->sets.n + 1);
        for (size_t i = 0; i < m->sets.n; i++)
                m->v[i] =
                        (struct proxy_match){(const struct matcher *const *)m->sets.p[i].p, m->sets.p[i].n};
        p->wish.store_match = m->v;
        p->wish.n_store_match = m->sets.n;
        return true;
}

static struct error *tenant_of(struct api *a, Str *ret)
{
        const struct query_api *q = query_api_of(a);
        Str t = http_request_header(a->r, str_from(q->o.tenant_header));
        if (t.n == 0)
                t = str_from(q->o.default_tenant);
        /* What would be a path elsewhere. */
        if (str_eq(t, STR(".")) || str_eq(t, STR("..")))
                return error_new(ERROR_INVALID, "Tenant name not valid");
        for (size_t i = 0; i < t.n; i++)
                if (t.p[i] == '/' || t.p[i] == '\\')
                        return error_new(ERROR_INVALID, "Tenant name not valid");
        *ret = t;
        return NULL;
}

bool query_api_params(struct api *a, struct query_params *p)
{
        const struct query_api *q = query_api_of(a);
        Str tenant;
        p->wish.dedup = true;
        p->wish.partial_response = q->o.partial_response;
        if (!query_api_bool(a, "dedup", &p->wish.dedup) ||
            !query_api_strs(a, "replicaLabels[]", &p->wish.replica_labels, &p->wish.n_replica_labels) ||
            !store_matches(a, p) || !query_api_bool(a, "partial_response", &p->wish.partial_response))
                return false;
        struct error *e = tenant_of(a, &tenant);
        if (e) {
                api_fail_error(a, API_BAD_DATA, e, NULL);
                return false;
        }
        p->tenant = (struct grpc_pair){STR("thanos-tenant"), tenant};
        p->wish.metadata = &p->tenant;
        p->wish.n_metadata = 1;
        return true;
}

void query_params_done(struct query_params *p)
{
        matcher_sets_done(&p->matches.sets);
}

/* --- tenancy --- */

/* The text of the query where each selector has the matcher too. Selectors keep their places: the tree is printed, as upstream does. */
static struct error *enforce_node(const struct expr *x, const struct matcher *tenant, struct arena *a);

static struct error *enforce_all(const struct expr *const *v, size_t n, const struct matcher *tenant, struct arena *a)
{
        struct error *e = NULL;
        for (size_t i = 0; i < n && !e; i++)
                e = v[i] ? enforce_node(v[i], tenant, a) : NULL;
        return e;
}

static size_t with_tenant(const struct matcher *const *v, size_t n, const struct matcher *tenant,
                          const struct matcher **to)
{
        size_t kept = 0;
        for (size_t i = 0; i < n; i++)
                if (!str_eq(v[i]->name, tenant->name))
                        to[kept++] = v[i];
        to[kept++] = tenant;
        return kept;
}

static struct error *enforce_node(const struct expr *x, const struct matcher *tenant, struct arena *a)
{
        switch (x->type) {
        case EXPR_SELECTOR: {
                /* The tree is this function's own: it was parsed for it and is not used for anything else. */
                struct expr *own = (struct expr *)(uintptr_t)x;
                const struct matcher **v = arena_array(a, const struct matcher *, x->selector.n_matchers + 1);
                own->selector.n_matchers = with_tenant(x->selector.matchers, x->selector.n_matchers, tenant, v);
                own->selector.matchers = v;
                return NULL;
        }
        case EXPR_MATRIX:
                return enforce_node(x->matrix.selector, tenant, a);
        case EXPR_SUBQUERY:
                return enforce_node(x->subquery.child, tenant, a);
        case EXPR_CALL:
                return enforce_all(x->call.args, x->call.n_args, tenant, a);
        case EXPR_BINARY:
                return enforce_all((const struct expr *const[]){x->binary.lhs, x->binary.rhs}, 2, tenant, a);
        case EXPR_UNARY:
                return enforce_node(x->unary.child, tenant, a);
        case EXPR_PAREN:
                return enforce_node(x->paren.child, tenant, a);
        case EXPR_AGGREGATE:
                return enforce_all((const struct expr *const[]){x->aggregate.child, x->aggregate.param}, 2, tenant, a);
        case EXPR_NUMBER:
        case EXPR_STRING:
        case EXPR_DURATION:
                return NULL;
        }
        return NULL;
}

static struct error *tenant_matcher(struct api *a, struct matcher **ret)
{
        Str tenant;
        struct error *e = tenant_of(a, &tenant);
        return e ? e : matcher_new(MATCH_EQ, str_from(query_api_of(a)->o.tenant_label), tenant, ret);
}

struct error *query_api_enforce(struct api *a, Str *query)
{
        const struct query_api *q = query_api_of(a);
        if (!q->o.enforces_tenancy)
                return NULL;
        struct matcher *tenant = NULL;
        struct error *e = tenant_matcher(a, &tenant);
        if (e)
                return e;
        struct promql_tree tree = PROMQL_TREE_INIT;
        e = promql_parse(engine_parse_opts(q->o.core->engine), *query, a->r->arena, &tree);
        if (e)
                e = error_wrap(e, "error parsing query string, when enforcing tenenacy");
        else
                e = enforce_node(tree.root, tenant, a->r->arena);
        if (!e) {
                struct buf b = BUF_INIT(QUERY_MAX_BYTES);
                promql_print(&b, tree.root);
                if (buf_is_over(&b))
                        e = error_new(ERROR_LIMIT, "query of more than %d bytes", QUERY_MAX_BYTES);
                else
                        *query = arena_str(a->r->arena, buf_str(&b));
                buf_done(&b);
        }
        promql_tree_done(&tree);
        matcher_free(tenant);
        return e;
}

struct error *query_api_enforce_sets(struct api *a, MatcherSets *sets)
{
        if (!query_api_of(a)->o.enforces_tenancy)
                return NULL;
        if (sets->n == 0)
                vec_push(sets, (MatcherVec)VEC_INIT);
        for (size_t i = 0; i < sets->n; i++) {
                MatcherVec *m = &sets->p[i];
                struct matcher *tenant = NULL;
                struct error *e = tenant_matcher(a, &tenant);
                if (e)
                        return e;
                size_t kept = 0;
                for (size_t k = 0; k < m->n; k++) {
                        if (str_eq(m->p[k]->name, tenant->name))
                                matcher_free(m->p[k]);
                        else
                                m->p[kept++] = m->p[k];
                }
                m->n = kept;
                vec_push(m, tenant);
        }
        return NULL;
}

/* --- life --- */

struct error *query_api_new(const struct query_api_opts *o, struct query_api **ret)
{
        struct query_api *q = mem_new(struct query_api);
        char options[512];
        q->o = *o;
        q->start_ms = time_now_ms();
        arena_init(&q->arena, ROUTES_MAX_BYTES);
        double buckets[12];
        for (size_t i = 0; i < ARRAY_LEN(buckets); i++)
                buckets[i] = i ? buckets[i - 1] * 2 : 15 * 60;
        q->range_seconds = metric_histogram(o->metrics, "thanos_query_range_requested_timespan_duration_seconds",
                                            "A histogram of the query range window in seconds", buckets,
                                            ARRAY_LEN(buckets));
        query_api_eval_register(q);
        query_api_series_register(q);
        query_api_info_register(q);
        query_api_fan_register(q);
        snprintf(options, sizeof options, "%s/api/v1/", o->route_prefix);
        http_server_handle(o->server, options, ~0u, HTTP_PREFIX | HTTP_INLINE, unknown, q);
        *ret = q;
        return NULL;
}

void query_api_free(struct query_api *q)
{
        if (!q)
                return;
        arena_done(&q->arena);
        free(q);
}
