/* SPDX-License-Identifier: Apache-2.0 */
/* ast.h — the tree that the parser makes of an expression. Nodes live in the arena of the parse and are constant after it.
 * Upstream: promql/parser/ast.go; node names of /api/v1/parse_query in brackets. */
#ifndef PROMQL_AST_H
#define PROMQL_AST_H

#include "base/arena.h"
#include "base/clock.h"
#include "model/matcher.h"

enum value_type { VALUE_NONE, VALUE_SCALAR, VALUE_VECTOR, VALUE_MATRIX, VALUE_STRING };
const char *value_type_name(enum value_type t);                 /* "scalar", "instant vector", "range vector", "string", "none" */
const char *value_type_text(enum value_type t);                 /* as the API calls it: "scalar", "vector", "matrix", "string", "none" */

enum expr_type {
        EXPR_NUMBER,            /* [numberLiteral] */
        EXPR_STRING,            /* [stringLiteral] */
        EXPR_SELECTOR,          /* [vectorSelector] */
        EXPR_MATRIX,            /* [matrixSelector]: child is an EXPR_SELECTOR */
        EXPR_SUBQUERY,          /* [subquery] */
        EXPR_CALL,              /* [call] */
        EXPR_BINARY,            /* [binaryExpr] */
        EXPR_UNARY,             /* [unaryExpr] */
        EXPR_PAREN,             /* [parenExpr] */
        EXPR_AGGREGATE,         /* [aggregation] */
        EXPR_DURATION,          /* [durationExpr]: only as offset, range, step; resolved before evaluation */
};
enum binary_op {
        OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_MOD, OP_POW, OP_ATAN2,
        OP_EQ, OP_NE, OP_LT, OP_LE, OP_GT, OP_GE,               /* comparison: OP_EQ … OP_GE */
        OP_AND, OP_OR, OP_UNLESS,                               /* set operators */
        OP_TRIM_UPPER, OP_TRIM_LOWER,                           /* </ and >/ */
        OP_STEP, OP_RANGE, OP_MIN_OF, OP_MAX_OF,                /* duration expressions only: step() range() min_of() max_of() */
};
static inline bool op_is_comparison(enum binary_op op) { return op >= OP_EQ && op <= OP_GE; }
static inline bool op_is_set(enum binary_op op) { return op >= OP_AND && op <= OP_UNLESS; }
const char *binary_op_text(enum binary_op op);                  /* "+", "==", "and" */

enum aggregate_op {
        AGG_SUM, AGG_AVG, AGG_MIN, AGG_MAX, AGG_COUNT, AGG_GROUP, AGG_STDDEV, AGG_STDVAR, AGG_TOPK, AGG_BOTTOMK, AGG_QUANTILE,
        AGG_COUNT_VALUES, AGG_LIMITK, AGG_LIMIT_RATIO,
};
const char *aggregate_op_text(enum aggregate_op op);            /* "sum" */

enum match_card { CARD_ONE_TO_ONE, CARD_MANY_TO_ONE, CARD_ONE_TO_MANY, CARD_MANY_TO_MANY };
const char *match_card_text(enum match_card c);                 /* "one-to-one" */
struct vector_matching {
        enum match_card card;
        bool on;                                                /* labels are the ones to match on; else the ones to ignore */
        const Str *labels;
        size_t n_labels;
        const Str *include;                                     /* of group_left / group_right */
        size_t n_include;
        const double *fill_left, *fill_right;                   /* NULL: none */
};
enum at_preprocessor { AT_NONE, AT_START, AT_END };
enum selector_modifier { SELECTOR_PLAIN, SELECTOR_ANCHORED, SELECTOR_SMOOTHED };

struct pos_range {
        int start, end;                                         /* bytes in the query */
};
struct expr;
/* What selectors and subqueries share. */
struct time_modifiers {
        int64_t original_offset_ms;                             /* as written */
        int offset_sign;                                        /* of what was written: an offset below a millisecond is one too */
        const struct expr *offset_expr;                         /* duration expression, or NULL */
        bool has_at;
        TimeMs at_ms;                                           /* if has_at */
        enum at_preprocessor at;                                /* start() or end() */
};
/* Bound on the levels of a tree, so that walking it by recursion is safe. Upstream has none. */
enum { PROMQL_DEPTH_MAX = 2000 };
struct expr {
        enum expr_type type;
        enum value_type value;                                  /* its type */
        int depth;                                              /* levels from here down, 1 for a leaf */
        struct pos_range pos;
        union {
                struct {
                        double v;
                        bool is_duration;                       /* written as a duration: prints so */
                } number;
                struct {
                        Str s;
                } string;
                struct {
                        Str name;                               /* written before the braces, or empty */
                        const struct matcher *const *matchers;  /* with __name__ if name is given */
                        size_t n_matchers;
                        struct time_modifiers time;
                        enum selector_modifier modifier;
                } selector;
                struct {
                        const struct expr *selector;
                        int64_t range_ms;
                        const struct expr *range_expr;          /* or NULL */
                } matrix;
                struct {
                        const struct expr *child;
                        int64_t range_ms, step_ms;              /* step 0: default */
                        const struct expr *range_expr, *step_expr;
                        struct time_modifiers time;
                } subquery;
                struct {
                        const struct promql_function *func;     /* function.h */
                        const struct expr *const *args;
                        size_t n_args;
                } call;
                struct {
                        enum binary_op op;
                        const struct expr *lhs, *rhs;           /* durations: lhs may be NULL (unary, functions) */
                        const struct vector_matching *matching; /* NULL unless both sides are vectors */
                        bool return_bool;
                        bool wrapped;                           /* EXPR_DURATION only: in parentheses */
                } binary;                                       /* EXPR_BINARY and EXPR_DURATION */
                struct {
                        bool negative;
                        const struct expr *child;
                } unary;
                struct {
                        const struct expr *child;
                } paren;
                struct {
                        enum aggregate_op op;
                        const struct expr *child, *param;       /* param NULL: none */
                        const Str *labels;
                        size_t n_labels;
                        bool without;
                } aggregate;
        };
};

#endif
