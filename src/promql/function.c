/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/function.h"

#define N_ARGS(...) ((int)(sizeof((enum value_type[]){VALUE_NONE, ##__VA_ARGS__}) / sizeof(enum value_type)) - 1)
static const struct promql_function functions[FUNC_N] = {
#define F(ID, NAME, VARIADIC, EXPERIMENTAL, RETURNS, ...)                                                              \
        [FUNC_##ID] = {                                                                                                \
                .id = FUNC_##ID,                                                                                       \
                .name = (NAME),                                                                                        \
                .args = {__VA_ARGS__},                                                                                 \
                .n_args = N_ARGS(__VA_ARGS__),                                                                         \
                .variadic = (VARIADIC),                                                                                \
                .experimental = (EXPERIMENTAL),                                                                        \
                .returns = (RETURNS),                                                                                  \
        },
#include "promql/function_table.h"
#undef F
};

/* The rows are sorted by name, which function_test.c checks. */
const struct promql_function *function_find(Str name)
{
        size_t lo = 0, hi = FUNC_N;
        while (lo < hi) {
                size_t mid = (lo + hi) / 2;
                int c = str_cmp(name, str_from(functions[mid].name));
                if (c == 0)
                        return &functions[mid];
                if (c < 0)
                        hi = mid;
                else
                        lo = mid + 1;
        }
        return NULL;
}

const struct promql_function *function_get(enum function_id id)
{
        return &functions[id];
}
