/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/ast.h"

const char *value_type_name(enum value_type t)
{
        switch (t) {
        case VALUE_SCALAR:
                return "scalar";
        case VALUE_VECTOR:
                return "instant vector";
        case VALUE_MATRIX:
                return "range vector";
        case VALUE_STRING:
                return "string";
        case VALUE_NONE:
                break;
        }
        return "none";
}

const char *value_type_text(enum value_type t)
{
        switch (t) {
        case VALUE_VECTOR:
                return "vector";
        case VALUE_MATRIX:
                return "matrix";
        case VALUE_NONE:
        case VALUE_SCALAR:
        case VALUE_STRING:
                break;
        }
        return value_type_name(t);
}

const char *binary_op_text(enum binary_op op)
{
        static const char *const texts[] = {
                [OP_ADD] = "+",         [OP_SUB] = "-",         [OP_MUL] = "*",       [OP_DIV] = "/",
                [OP_MOD] = "%",         [OP_POW] = "^",         [OP_ATAN2] = "atan2", [OP_EQ] = "==",
                [OP_NE] = "!=",         [OP_LT] = "<",          [OP_LE] = "<=",       [OP_GT] = ">",
                [OP_GE] = ">=",         [OP_AND] = "and",       [OP_OR] = "or",       [OP_UNLESS] = "unless",
                [OP_TRIM_UPPER] = "</", [OP_TRIM_LOWER] = ">/", [OP_STEP] = "step",   [OP_RANGE] = "range",
                [OP_MIN_OF] = "min_of", [OP_MAX_OF] = "max_of",
        };
        return texts[op];
}

const char *aggregate_op_text(enum aggregate_op op)
{
        static const char *const texts[] = {
                [AGG_SUM] = "sum",           [AGG_AVG] = "avg",
                [AGG_MIN] = "min",           [AGG_MAX] = "max",
                [AGG_COUNT] = "count",       [AGG_GROUP] = "group",
                [AGG_STDDEV] = "stddev",     [AGG_STDVAR] = "stdvar",
                [AGG_TOPK] = "topk",         [AGG_BOTTOMK] = "bottomk",
                [AGG_QUANTILE] = "quantile", [AGG_COUNT_VALUES] = "count_values",
                [AGG_LIMITK] = "limitk",     [AGG_LIMIT_RATIO] = "limit_ratio",
        };
        return texts[op];
}

const char *match_card_text(enum match_card c)
{
        static const char *const texts[] = {
                [CARD_ONE_TO_ONE] = "one-to-one",
                [CARD_MANY_TO_ONE] = "many-to-one",
                [CARD_ONE_TO_MANY] = "one-to-many",
                [CARD_MANY_TO_MANY] = "many-to-many",
        };
        return texts[c];
}
