/* SPDX-License-Identifier: Apache-2.0 */
/* tmpl.h — Go's text/template: the whole language, parsed once, executed as often as wanted.
 *
 *   struct tmpl_funcs funcs = {my_table, NULL};
 *   e = tmpl_parse("__alert_Down", text, &funcs, TMPL_MISSING_ZERO, &t);     "template: __alert_Down:1: unclosed action"
 *   e = tmpl_exec(t, data, &env, &out);              "template: __alert_Down:1:95: executing \"__alert_Down\" at <.x>: …"
 *   tmpl_free(t);
 *
 * Functions beyond the builtins come from tables; they find the caller's context in texec_env(). Bounded: text, nesting, steps of an execution,
 * output (by the buffer). Complex numbers are refused ("… are not supported"). Threads: a parsed template is constant; any thread may execute it.
 * Upstream: Go's text/template, text/template/parse (behaviour and texts of go1.26) */
#ifndef ALERT_TEMPLATE_TMPL_H
#define ALERT_TEMPLATE_TMPL_H

#include "alert/template/value.h"

struct tmpl;
enum tmpl_missing { TMPL_MISSING_DEFAULT, TMPL_MISSING_ZERO, TMPL_MISSING_ERROR };
struct tmpl_funcs {
        const struct tfunc *table;      /* ends with a NULL name */
        const struct tmpl_funcs *more;  /* NULL: no more tables */
};
/* funcs and its tables outlive the template. name and text are copied. */
struct error *tmpl_parse(Str name, Str text, const struct tmpl_funcs *funcs, enum tmpl_missing missing, struct tmpl **ret) MUST_CHECK;
/* More definitions into the same set, from another text: its top level is the template `name`. */
struct error *tmpl_parse_more(struct tmpl *t, Str name, Str text) MUST_CHECK;
void tmpl_free(struct tmpl *t);         /* NULL is fine */

struct tmpl_env {
        struct arena *arena;            /* what the execution makes lives there */
        void *ctx;                      /* of the functions */
};
struct error *tmpl_exec(const struct tmpl *t, TVal data, const struct tmpl_env *env, struct buf *out) MUST_CHECK;
struct error *tmpl_exec_named(const struct tmpl *t, Str name, TVal data, const struct tmpl_env *env, struct buf *out) MUST_CHECK;
/* For functions. */
const struct tmpl_env *texec_env(const struct texec *x);

#endif
