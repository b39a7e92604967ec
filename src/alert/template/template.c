/* SPDX-License-Identifier: Apache-2.0 */
#include "alert/template/template.h"

enum { EXPANDED_MAX_BYTES = 16 << 20, EXECUTION_ARENA_BYTES = 1 << 30 };
#define PRELUDE "{{$labels := .Labels}}{{$externalLabels := .ExternalLabels}}{{$externalURL := .ExternalURL}}{{$value := .Value}}"

const struct tmpl_funcs prom_template_funcs = {.table = prom_template_functions};

static struct error *execute(const struct tmpl *t, Str name, TVal data, const struct prom_template_env *env, struct arena *a, struct buf *out)
{
        struct tmpl_env e = {.arena = a, .ctx = (void *)env};
        struct buf text = BUF_INIT(EXPANDED_MAX_BYTES);
        struct error *err = tmpl_exec(t, data, &e, &text);
        if (!err)
                buf_put(out, buf_str(&text));
        buf_done(&text);
        return err ? error_wrap(err, "error executing template " STR_FMT, STR_ARG(name)) : NULL;
}

struct error *prom_template_expand(Str name, Str text, TVal data, enum tmpl_missing missing, const struct prom_template_env *env, struct buf *out)
{
        struct tmpl *t;
        struct arena a;
        struct error *e = tmpl_parse(name, text, &prom_template_funcs, missing, &t);
        if (e)
                return error_wrap(e, "error parsing template " STR_FMT, STR_ARG(name));
        arena_init(&a, EXECUTION_ARENA_BYTES);
        e = execute(t, name, data, env, &a, out);
        arena_done(&a);
        tmpl_free(t);
        return e;
}

/* ---- alerts ---- */

struct alert_template {
        Str name;                       /* __alert_… */
        Str literal;                    /* of a text without actions */
        struct tmpl *tmpl;              /* NULL: literal */
        struct arena arena;
};

static TVal data_labels(const void *p)
{
        return ((const TVal *)p)[0];
}
static TVal data_external_labels(const void *p)
{
        return ((const TVal *)p)[1];
}
static TVal data_external_url(const void *p)
{
        return ((const TVal *)p)[2];
}
static TVal data_value(const void *p)
{
        return ((const TVal *)p)[3];
}
static const struct tfield data_fields[] = {
        {"Labels", data_labels}, {"ExternalLabels", data_external_labels}, {"ExternalURL", data_external_url}, {"Value", data_value, true}, {NULL, NULL}};
static const struct ttype type_data = {
        .name = "struct { Labels map[string]string; ExternalLabels map[string]string; ExternalURL string; Value interface {} }", .kind = TKIND_STRUCT, .fields = data_fields};

static struct error *parse(Str alert, Str text, struct arena *a, Str *ret_name, struct tmpl **ret)
{
        struct buf whole = BUF_INIT(text.n + sizeof PRELUDE);
        *ret_name = arena_printf(a, "__alert_" STR_FMT, STR_ARG(alert));
        buf_puts(&whole, PRELUDE);
        buf_put(&whole, text);
        struct error *e = tmpl_parse(*ret_name, buf_str(&whole), &prom_template_funcs, TMPL_MISSING_ZERO, ret);
        buf_done(&whole);
        return e;
}

struct error *alert_template_new(Str alert, Str text, struct alert_template **ret)
{
        struct alert_template *t = mem_new(struct alert_template);
        arena_init(&t->arena, BUF_NO_LIMIT);
        if (str_find_str(text, STR("{{")) < 0) {
                t->literal = arena_str(&t->arena, text);
        } else {
                struct error *e = parse(alert, text, &t->arena, &t->name, &t->tmpl);
                if (e) {
                        alert_template_free(t);
                        return e;
                }
        }
        *ret = t;
        return NULL;
}

struct error *alert_template_check(Str alert, Str text)
{
        struct alert_template *t;
        struct error *e = alert_template_new(alert, text, &t);
        if (!e)
                alert_template_free(t);
        return e;
}

void alert_template_free(struct alert_template *t)
{
        if (!t)
                return;
        tmpl_free(t->tmpl);
        arena_done(&t->arena);
        free(t);
}

struct error *alert_template_expand(const struct alert_template *t, const struct alert_template_data *d, const struct prom_template_env *env, struct buf *out)
{
        if (!t->tmpl) {
                buf_put(out, t->literal);
                return NULL;
        }
        struct arena a;
        arena_init(&a, EXECUTION_ARENA_BYTES);
        TVal v[4] = {prom_template_labels(&a, d->labels), prom_template_labels(&a, d->external_labels), tval_str(d->external_url),
                     d->h ? prom_template_histogram(d->h) : tval_float(d->value)};
        struct error *e = execute(t->tmpl, t->name, (TVal){.type = &type_data, .p = v}, env, &a, out);
        arena_done(&a);
        return e;
}
