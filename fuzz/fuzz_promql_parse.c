/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_promql_parse.c — what is printed parses again to the same print, on one line and pretty; nothing crashes. */
#include "base/buf.h"
#include "promql/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ARENA_BYTES = 64 << 20, PRINT_BYTES = 16 << 20 };
static const struct promql_parse_opts all_on = {
        .experimental_functions = true, .extended_range_selectors = true, .fill_modifiers = true};

/* Durations below a millisecond, or above what a duration holds, are printed as something that is refused: so upstream.
 */
static bool is_known(const char *error)
{
        return strstr(error, "duration must be greater than 0") || strstr(error, "duration out of range") ||
               strstr(error, "by zero") || strstr(error, " in offset, expected ");
}

/* An offset such as - -5m + 3 is one duration, and prints as 5m + 3, which is not one: so upstream. */
static bool has_open_offset(const struct expr *x)
{
        const struct time_modifiers *m = NULL;
        switch (x->type) {
        case EXPR_SELECTOR:
                m = &x->selector.time;
                break;
        case EXPR_MATRIX:
                return has_open_offset(x->matrix.selector);
        case EXPR_SUBQUERY:
                if (has_open_offset(x->subquery.child))
                        return true;
                m = &x->subquery.time;
                break;
        case EXPR_CALL:
                for (size_t i = 0; i < x->call.n_args; i++)
                        if (has_open_offset(x->call.args[i]))
                                return true;
                return false;
        case EXPR_BINARY:
                return has_open_offset(x->binary.lhs) || has_open_offset(x->binary.rhs);
        case EXPR_UNARY:
                return has_open_offset(x->unary.child);
        case EXPR_PAREN:
                return has_open_offset(x->paren.child);
        case EXPR_AGGREGATE:
                return has_open_offset(x->aggregate.child) ||
                       (x->aggregate.param && has_open_offset(x->aggregate.param));
        case EXPR_NUMBER:
        case EXPR_STRING:
        case EXPR_DURATION:
                return false;
        }
        const struct expr *o = m->offset_expr;
        return o && o->binary.lhs && !o->binary.wrapped && o->binary.op != OP_MIN_OF && o->binary.op != OP_MAX_OF;
}

static void reparses(Str printed, Str want)
{
        struct arena a;
        arena_init(&a, ARENA_BYTES);
        struct promql_tree t = PROMQL_TREE_INIT;
        struct error *e = promql_parse(&all_on, printed, &a, &t);
        if (e && error_get_kind(e) != ERROR_LIMIT && !is_known(error_str(e)))
                bug("printed " STR_FMT ": %s", STR_ARG(printed), error_str(e));
        if (!e) {
                struct buf b = BUF_INIT(PRINT_BYTES);
                promql_print(&b, t.root);
                if (!buf_is_over(&b) && !str_eq(buf_str(&b), want))
                        bug("printed " STR_FMT "\nthen " STR_FMT, STR_ARG(want), STR_ARG(buf_str(&b)));
                buf_done(&b);
        }
        error_free(e);
        promql_tree_done(&t);
        arena_done(&a);
}

static void expression(Str text)
{
        struct arena a;
        arena_init(&a, ARENA_BYTES);
        struct promql_tree t = PROMQL_TREE_INIT;
        struct error *e = promql_parse(&all_on, text, &a, &t);
        if (!e) {
                struct buf line = BUF_INIT(PRINT_BYTES), pretty = BUF_INIT(PRINT_BYTES), json = BUF_INIT(PRINT_BYTES);
                promql_print(&line, t.root);
                promql_print_pretty(&pretty, t.root);
                promql_print_ast_json(&json, t.root);
                if (!buf_is_over(&line) && !buf_is_over(&pretty) && !has_open_offset(t.root)) {
                        reparses(buf_str(&line), buf_str(&line));
                        reparses(buf_str(&pretty), buf_str(&line));
                }
                buf_done(&json);
                buf_done(&pretty);
                buf_done(&line);
        }
        error_free(e);
        promql_tree_done(&t);
        arena_done(&a);
}

static void others(Str text)
{
        struct arena a;
        arena_init(&a, ARENA_BYTES * 4);
        struct promql_series_line line;
        error_free(promql_parse_series_line(text, &a, &line));
        Labels ls;
        error_free(promql_parse_metric(text, &a, &ls));
        MatcherVec m = VEC_INIT;
        error_free(promql_parse_match(text, &a, &m));
        matcher_vec_done(&m);
        arena_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Str text = {(const char *)data, size};
        expression(text);
        others(text);
        return 0;
}
