/* SPDX-License-Identifier: Apache-2.0 */
#include "alert/template/template.h"

#include "base/file.h"
#include "base/test.h"
#include "codec/json.h"
#include "model/histogram.h"
#include "codec/float_text.h"

/* ---- the language: each row was run through Go's text/template ---- */

struct language_case {
        const char *text, *out, *error;
};
static const struct language_case language_cases[] = {
#include "alert/template/template_cases.h"
};

/* .s "text" .i 7 .f 1.5 .b true .l [1 "two" 3.5] .m map[a:1 b:2] .nested map[x:map[y:deep]] .e "" */
static TVal language_data(struct arena *a)
{
        static const Str keys[] = {STR_INIT("b"), STR_INIT("e"), STR_INIT("f"), STR_INIT("i"), STR_INIT("l"), STR_INIT("m"), STR_INIT("nested"), STR_INIT("s")};
        TVal *l = arena_array(a, TVal, 3);
        l[0] = tval_int(1);
        l[1] = tval_str(STR("two"));
        l[2] = tval_float(3.5);
        struct tval_map_entry *m = arena_array(a, struct tval_map_entry, 2), *y = arena_array(a, struct tval_map_entry, 1), *x = arena_array(a, struct tval_map_entry, 1),
                              *top = arena_array(a, struct tval_map_entry, ARRAY_LEN(keys));
        m[0] = (struct tval_map_entry){STR("a"), tval_str(STR("1"))};
        m[1] = (struct tval_map_entry){STR("b"), tval_str(STR("2"))};
        y[0] = (struct tval_map_entry){STR("y"), tval_str(STR("deep"))};
        x[0] = (struct tval_map_entry){STR("x"), tval_map(a, &ttype_map_any, y, 1)};
        TVal values[] = {tval_bool(true), tval_str(STR("")), tval_float(1.5), tval_int(7), tval_list(a, &ttype_list_any, l, 3), tval_map(a, &ttype_map_string, m, 2),
                         tval_map(a, &ttype_map_any, x, 1), tval_str(STR("text"))};
        for (size_t i = 0; i < ARRAY_LEN(keys); i++)
                top[i] = (struct tval_map_entry){keys[i], values[i]};
        return tval_map(a, &ttype_map_any, top, ARRAY_LEN(keys));
}

static bool language_case(const struct language_case *c)
{
        static const struct tmpl_funcs none = {NULL, NULL};
        struct arena a;
        struct tmpl *t;
        struct buf out = BUF_INIT(1 << 20);
        arena_init(&a, 64 << 20);
        struct error *e = tmpl_parse(STR("t"), str_from(c->text), &none, TMPL_MISSING_ZERO, &t);
        if (!e) {
                struct tmpl_env env = {.arena = &a};
                e = tmpl_exec(t, language_data(&a), &env, &out);
                tmpl_free(t);
        }
        Str got = e ? str_from(error_str(e)) : buf_str(&out);
        bool same = c->error ? e && strcmp(error_str(e), c->error) == 0 : !e && str_eq(got, str_from(c->out));
        if (!same)
                print_message("%s\n  gives %s " STR_FMT "\n  not        %s\n", c->text, e ? "error" : "text", STR_ARG(got), c->error ? c->error : c->out);
        error_free(e);
        buf_done(&out);
        arena_done(&a);
        return same;
}

TEST(tmpl, does_and_says_what_go_does)
{
        size_t wrong = 0;
        for (size_t i = 0; i < ARRAY_LEN(language_cases); i++)
                wrong += !language_case(&language_cases[i]);
        CHECK_U64(wrong, 0);
}

/* ---- Prometheus' functions: the recorded table ---- */

static TVal value_of_json(struct arena *a, const struct json *j)
{
        if (!j || j->type == JSON_NULL)
                return tval_none();
        if (j->type == JSON_STRING)
                return tval_str(j->text);
        if (j->type == JSON_NUMBER) {
                int64_t i;
                uint64_t u;
                if (str_to_i64(j->text, &i))
                        return tval_int(i);
                if (str_to_u64(j->text, &u))
                        return (TVal){.type = &ttype_uint64, .u = u};
                return tval_float(json_f64(j));
        }
        if (j->type == JSON_ARRAY) {
                TVal *v = arena_array(a, TVal, j->n + 1);
                for (size_t i = 0; i < j->n; i++)
                        v[i] = value_of_json(a, json_at(j, i));
                return tval_list(a, &ttype_list_any, v, j->n);
        }
        return tval_none();
}

struct recorded {
        const struct json *result;      /* NULL: none */
};

static struct error *recorded_query(void *ctx, Str text, TimeMs at, struct query_result *ret)
{
        struct recorded *rec = ctx;
        struct arena *a = mem_new(struct arena);
        arena_init(a, 1 << 20);
        size_t n = rec->result ? rec->result->n : 0;
        struct result_series *s = arena_zalloc(a, (n + 1) * sizeof *s);
        for (size_t i = 0; i < n; i++) {
                const struct json *one = json_at(rec->result, i), *metric = json_get(one, STR("metric")), *h = json_get(one, STR("histogram"));
                Label *v = arena_array(a, Label, metric->n + 1);
                size_t k = 0;
                JSON_EACH(m, metric)
                        v[k++] = (Label){m->key, m->value.text};
                labels_sort(v, k);
                s[i].labels = (Labels){v, k};
                if (h) {
                        struct histogram *made = arena_zalloc(a, sizeof *made);
                        float_parse(json_str(json_get(json_at(h, 1), STR("count"))), &made->count, NULL);
                        float_parse(json_str(json_get(json_at(h, 1), STR("sum"))), &made->sum, NULL);
                        const struct histogram **list = arena_array(a, const struct histogram *, 1);
                        list[0] = made;
                        s[i].h = list;
                        s[i].n_h = 1;
                } else {
                        double *value = arena_array(a, double, 1);
                        float_parse(json_str(json_at(json_get(one, STR("value")), 1)), value, NULL);
                        s[i].v = value;
                        s[i].n = 1;
                }
        }
        *ret = (struct query_result){.type = VALUE_VECTOR, .series = s, .n_series = n, .arena = a};
        return NULL;
}

TEST(prom_template, gives_what_the_original_recorded)
{
        char *path = conformance_path("rules/templates.json"), *text;
        size_t n, ran = 0;
        struct arena a;
        const struct json *root;
        CHECK_OK(file_read(path, 16 << 20, &text, &n));
        arena_init(&a, 64 << 20);
        CHECK_OK(json_parse((Str){text, n}, &a, &root));
        JSON_EACH(m, json_get(root, STR("expand"))) {
                const struct json *c = &m->value, *input = json_get(c, STR("input")), *options = json_get(c, STR("options"));
                if (json_bool(json_get(c, STR("html"))) || input->type == JSON_OBJECT)
                        continue;       /* html/template is not there; the one object is a histogram, which the queries have too */
                Str option = options ? json_str(json_at(options, 0)) : STR("");
                enum tmpl_missing missing = str_eq(option, STR("missingkey=error")) ? TMPL_MISSING_ERROR : options && options->type == JSON_ARRAY ? TMPL_MISSING_DEFAULT : TMPL_MISSING_ZERO;
                struct recorded rec = {.result = json_get(c, STR("queryResult"))};
                struct prom_template_env env = {
                        .at_ms = INT64_C(1353755652000), .external_url = STR("http://testhost:9090/path/prefix"), .query = recorded_query, .ctx = &rec};
                struct buf out = BUF_INIT(1 << 20);
                struct error *e = prom_template_expand(STR("test"), json_str(json_get(c, STR("text"))), value_of_json(&a, input), missing, &env, &out);
                Str want = json_str(json_get(c, e ? STR("errorMsg") : STR("output"))), got = e ? str_from(error_str(e)) : buf_str(&out);
                CHECK_MSG(!!e == json_bool(json_get(c, STR("shouldFail"))) && str_eq(want, got), STR_FMT "\n  gives " STR_FMT "\n  not   " STR_FMT,
                          STR_ARG(json_str(json_get(c, STR("text")))), STR_ARG(got), STR_ARG(want));
                error_free(e);
                buf_done(&out);
                ran++;
        }
        CHECK(ran > 60);
        arena_done(&a);
        free(text);
        free(path);
}

/* ---- alerts ---- */

static Str expand(Str text, struct buf *out)
{
        static const Label labels[] = {{STR_INIT("instance"), STR_INIT("a:1")}, {STR_INIT("job"), STR_INIT("node")}}, external[] = {{STR_INIT("dc"), STR_INIT("eu")}};
        struct alert_template_data d = {.labels = {labels, 2}, .external_labels = {external, 1}, .external_url = STR("http://p"), .value = 0.5};
        struct prom_template_env env = {.external_url = STR("http://p")};
        struct alert_template *t;
        CHECK_OK(alert_template_new(STR("Down"), text, &t));
        struct error *e = alert_template_expand(t, &d, &env, out);
        if (e) {
                buf_clear(out);
                buf_puts(out, error_str(e));
        }
        error_free(e);
        alert_template_free(t);
        return buf_str(out);
}

TEST(alert_template, has_labels_value_and_external_labels_as_variables)
{
        struct buf b = BUF_INIT(1 << 16);
        CHECK_STR(expand(STR("{{ $labels.job }}/{{ .Labels.instance }}@{{ $externalLabels.dc }} {{ $value | humanizePercentage }} {{ $labels.none }}|{{ $externalURL }}"), &b),
                  "node/a:1@eu 50% |http://p");
        buf_clear(&b);
        CHECK_STR(expand(STR("no actions } here"), &b), "no actions } here");
        buf_done(&b);
}

TEST(alert_template, errors_count_the_original_prelude)
{
        struct buf b = BUF_INIT(1 << 16);
        CHECK_STR(expand(STR("{{ query \"up\" }}"), &b),
                  "error executing template __alert_Down: template: __alert_Down:1:115: executing \"__alert_Down\" at <query \"up\">: error calling query: queries are not possible here");
        buf_done(&b);
        CHECK_ERROR(alert_template_check(STR("InstanceDown"), STR("{{ $label.instance }}")), "template: __alert_InstanceDown:1: undefined variable \"$label\"");
}

TEST(tmpl, ends_what_would_run_for_ever)
{
        static const struct tmpl_funcs none = {NULL, NULL};
        struct tmpl *t;
        struct arena a;
        struct buf out = BUF_INIT(1 << 16);
        struct tmpl_env env = {.arena = &a};
        arena_init(&a, 64 << 20);
        CHECK_OK(tmpl_parse(STR("t"), STR("{{range 1000000000}}{{range 1000000000}}{{end}}{{end}}"), &none, TMPL_MISSING_ZERO, &t));
        struct error *e = tmpl_exec(t, tval_none(), &env, &out);
        CHECK(error_is(e, ERROR_LIMIT));
        error_free(e);
        tmpl_free(t);
        CHECK_OK(tmpl_parse(STR("t"), STR("{{define \"r\"}}{{template \"r\"}}{{end}}{{template \"r\"}}"), &none, TMPL_MISSING_ZERO, &t));
        e = tmpl_exec(t, tval_none(), &env, &out);
        CHECK(e && str_contains(str_from(error_str(e)), STR("exceeded maximum template depth")));
        error_free(e);
        tmpl_free(t);
        CHECK_OK(tmpl_parse(STR("t"), STR("{{range 100000000}}too long{{end}}"), &none, TMPL_MISSING_ZERO, &t));
        e = tmpl_exec(t, tval_none(), &env, &out);
        CHECK(error_is(e, ERROR_LIMIT));
        error_free(e);
        tmpl_free(t);
        buf_done(&out);
        arena_done(&a);
}
