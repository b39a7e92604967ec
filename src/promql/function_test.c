/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "promql/function.h"

TEST(function_table, is_sorted_and_every_row_is_found_by_its_name)
{
        CHECK_I64(FUNC_N, 90);
        for (int i = 0; i < FUNC_N; i++) {
                const struct promql_function *f = function_get((enum function_id)i);
                CHECK_I64(f->id, i);
                CHECK(function_find(str_from(f->name)) == f);
                if (i > 0)
                        CHECK(str_cmp(str_from(function_get((enum function_id)(i - 1))->name), str_from(f->name)) < 0);
        }
        CHECK(!function_find(STR("")));
        CHECK(!function_find(STR("rat")));
        CHECK(!function_find(STR("zzz")));
}

TEST(function_table, counts_arguments)
{
        CHECK_I64(function_get(FUNC_TIME)->n_args, 0);
        CHECK_I64(function_get(FUNC_LABEL_REPLACE)->n_args, 5);
        CHECK_I64(function_get(FUNC_LABEL_REPLACE)->args[4], VALUE_STRING);
        CHECK_I64(function_get(FUNC_HISTOGRAM_QUANTILES)->variadic, 9);
        CHECK_I64(function_get(FUNC_ROUND)->returns, VALUE_VECTOR);
}
