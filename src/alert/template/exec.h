/* SPDX-License-Identifier: Apache-2.0 */
/* exec.h — an execution at work. Private to template/. */
#ifndef ALERT_TEMPLATE_EXEC_H
#define ALERT_TEMPLATE_EXEC_H

#include "alert/template/node.h"

enum { ARENA_MAX_BYTES = 256 << 20 };
enum walk { WALK_ON, WALK_BREAK, WALK_CONTINUE };
struct texec_var {
        Str name;
        TVal value;
};
struct texec {
        const struct tmpl *t;
        const struct tree *tree;        /* being walked */
        const struct node *node;        /* what errors name */
        const struct tmpl_env *env;
        struct buf *out;
        VEC(struct texec_var) vars;
        size_t vars_from;               /* those before it belong to the templates that called this one */
        int depth;
        uint64_t steps;
        Str callee;                     /* of `call` */
        struct error *error;
};
void texec_at(struct texec *x, const struct node *n);
void texec_fail(struct texec *x, const char *fmt, ...) PRINTF_LIKE(2, 3);
TVal tval_zero_of(const struct ttype *t);

#endif
