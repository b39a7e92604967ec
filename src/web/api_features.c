/* SPDX-License-Identifier: Apache-2.0 */
/* api_features.c — /features: what this server can do, in the original's categories. Functions and operators come from the parser's own tables. */
#include "alert/rules/rules.h"
#include "alert/template/template.h"
#include "web/serve.h"

struct feature {
        const char *name;
        bool on;
};

static void put_category(struct buf *b, const char *name, const struct feature *f, size_t n)
{
        buf_printf(b, "%s\"%s\":{", b->p[b->n - 1] == '{' ? "" : ",", name);
        for (size_t i = 0; i < n; i++)
                buf_printf(b, "%s\"%s\":%s", i ? "," : "", f[i].name, f[i].on ? "true" : "false");
        buf_putc(b, '}');
}
#define PUT(name, ...)                                                                \
        do {                                                                          \
                const struct feature list_[] = {__VA_ARGS__};                         \
                put_category(b, name, list_, ARRAY_LEN(list_));                       \
        } while (0)

static int name_cmp(const void *a, const void *b)
{
        return strcmp(((const struct feature *)a)->name, ((const struct feature *)b)->name);
}

static void put_functions(struct buf *b, const struct promql_parse_opts *p)
{
        struct feature list[FUNC_N];
        for (int i = 0; i < FUNC_N; i++) {
                const struct promql_function *f = function_get((enum function_id)i);
                list[i] = (struct feature){f->name, !f->experimental || p->experimental_functions};
        }
        qsort(list, FUNC_N, sizeof *list, name_cmp);
        put_category(b, "promql_functions", list, FUNC_N);
}

static void put_templating(struct buf *b)
{
        struct feature list[64];
        size_t n = 0;
        for (const struct tfunc *f = prom_template_functions; f->name && n < ARRAY_LEN(list); f++)
                list[n++] = (struct feature){f->name, true};
        put_category(b, "templating_functions", list, n);
}

static void features(struct api *a)
{
        struct buf *b = &a->out;
        const struct promql_parse_opts *p = engine_parse_opts(a->w->o.engine);
        bool x = p->experimental_functions;
        api_begin(a);
        buf_putc(b, '{');
        PUT("api", {"admin", a->w->o.enable_admin}, {"exclude_alerts", true}, {"label_values_match", true}, {"lifecycle", a->w->o.enable_lifecycle},
            {"openapi_3.1", false}, {"openapi_3.2", false}, {"otlp_write_receiver", false}, {"query_stats", true}, {"query_warnings", true},
            {"remote_write_receiver", false}, {"search", false}, {"search_fuzz_alg_jarowinkler", false}, {"search_fuzz_alg_subsequence", false},
            {"time_range_labels", true}, {"time_range_series", true});
        PUT("otlp_receiver", {"delta_conversion", false}, {"native_delta_ingestion", false});
        PUT("prometheus", {"agent_mode", false}, {"auto_reload_config", false}, {"server_mode", true}, {"stringlabels", true});
        PUT("promql", {"anchored", p->extended_range_selectors}, {"at_modifier", true}, {"bool", true}, {"by", true}, {"delayed_name_removal", false}, {"duration_expr", true},
            {"fill", p->fill_modifiers}, {"fill_left", p->fill_modifiers}, {"fill_right", p->fill_modifiers}, {"group_left", true}, {"group_right", true},
            {"ignoring", true}, {"negative_offset", true}, {"offset", true}, {"on", true}, {"per_query_lookback_delta", true}, {"per_step_stats", false},
            {"smoothed", p->extended_range_selectors}, {"subqueries", true}, {"type_and_unit_labels", false}, {"without", true});
        put_functions(b, p);
        PUT("promql_operators", {"!=", true}, {"!~", true}, {"%", true}, {"*", true}, {"+", true}, {"-", true}, {"/", true}, {"<", true}, {"<=", true}, {"=", true},
            {"==", true}, {"=~", true}, {">", true}, {">=", true}, {"@", true}, {"^", true}, {"and", true}, {"atan2", true}, {"avg", true}, {"bottomk", true},
            {"count", true}, {"count_values", true}, {"group", true}, {"limit_ratio", x}, {"limitk", x}, {"max", true}, {"min", true}, {"or", true},
            {"quantile", true}, {"stddev", true}, {"stdvar", true}, {"sum", true}, {"topk", true}, {"unless", true});
        if (a->w->o.rules)
                PUT("rules", {"concurrent_rule_eval", rules_manager_is_concurrent(a->w->o.rules)}, {"keep_firing_for", true}, {"query_offset", true});
        PUT("service_discovery_providers", {"dns", true}, {"file", true}, {"static", true});
        if (a->w->o.rules)
                put_templating(b);
        buf_putc(b, '}');
        api_end(a, NULL, 0, NULL, 0);
}

void api_features_register(struct web *w)
{
        api_handle(w, "features", HTTP_GET, 0, features);
}
