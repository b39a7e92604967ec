/* SPDX-License-Identifier: Apache-2.0 */
/* template.h — templates of alert labels and annotations: Go's text/template with Prometheus' functions.
 *
 *   e = alert_template_new(STR("Down"), STR("{{ $labels.job }} is down"), &t);         parsed once
 *   e = alert_template_expand(t, &data, &env, &out);       for each sample; e's text is what upstream puts in place of the expansion
 *   alert_template_free(t);
 *
 * In front of each text stands what upstream puts there ($labels, $externalLabels, $externalURL, $value), so that positions in errors agree.
 * A text without {{ costs nothing. The set of functions and the data types are open to other programs: see prom_template_funcs, prom_template_expand.
 * safeHtml marks a text; nothing is escaped (html/template is not supported). Threads: templates are constant. Upstream: template/template.go */
#ifndef ALERT_TEMPLATE_TEMPLATE_H
#define ALERT_TEMPLATE_TEMPLATE_H

#include "alert/template/tmpl.h"
#include "model/labels.h"
#include "promql/engine.h"

struct prom_template_env {
        TimeMs at_ms;                   /* `now`, and the time of queries */
        Str external_url;               /* without a final slash */
        struct error *(*query)(void *ctx, Str text, TimeMs at_ms, struct query_result *ret);   /* NULL: no queries */
        void *ctx;
};
extern const struct tfunc prom_template_functions[];    /* for tmpl_parse, whose env.ctx is a struct prom_template_env then */
extern const struct tmpl_funcs prom_template_funcs;

/* Parses and executes; errors begin with "error parsing template NAME: " or "error executing template NAME: ". */
struct error *prom_template_expand(Str name, Str text, TVal data, enum tmpl_missing missing, const struct prom_template_env *env, struct buf *out) MUST_CHECK;
TVal prom_template_labels(struct arena *a, Labels ls);  /* map[string]string; borrows ls */
TVal prom_template_histogram(const struct histogram *h);

struct alert_template;
struct alert_template_data {
        Labels labels, external_labels;
        Str external_url;
        double value;
        const struct histogram *h;      /* NULL: value */
};
/* The error as rule files show it: "template: __alert_Down:1: …". */
struct error *alert_template_check(Str alert, Str text) MUST_CHECK;
struct error *alert_template_new(Str alert, Str text, struct alert_template **ret) MUST_CHECK;
void alert_template_free(struct alert_template *t);     /* NULL is fine */
struct error *alert_template_expand(const struct alert_template *t, const struct alert_template_data *d, const struct prom_template_env *env, struct buf *out) MUST_CHECK;

#endif
