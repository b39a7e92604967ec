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
                if (!buf_is_over(&line) && !buf_is_over(&pretty)) {
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
