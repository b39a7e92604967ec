/* SPDX-License-Identifier: Apache-2.0 */
/* function.h — the table of functions: name and signature for the parser, an id for the evaluation. One table, one row a function.
 * Upstream: promql/parser/functions.go */
#ifndef PROMQL_FUNCTION_H
#define PROMQL_FUNCTION_H

#include "promql/ast.h"

enum function_id {
#define F(id, name, variadic, experimental, ret, ...) FUNC_##id,
#include "promql/function_table.h"
#undef F
        FUNC_N,
};
enum { FUNCTION_ARGS_MAX = 5 };
struct promql_function {
        enum function_id id;
        const char *name;
        enum value_type args[FUNCTION_ARGS_MAX];
        int n_args;
        int variadic;                   /* 0: exactly n_args; else at least n_args - 1, and at most n_args - 1 + variadic (-1: any number) */
        bool experimental;
        enum value_type returns;
};
const struct promql_function *function_find(Str name);          /* NULL: unknown */
const struct promql_function *function_get(enum function_id id);

#endif
