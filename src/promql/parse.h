/* SPDX-License-Identifier: Apache-2.0 */
/* parse.h — PromQL text to tree, with upstream's error texts, and back.
 *
 *   const struct expr *x;
 *   e = promql_parse(&opts, STR("sum(rate(a[5m]))"), &arena, &x);           "1:5: parse error: unexpected …"
 *   promql_print(&buf, x);                          canonical one-line text (String())
 *   promql_print_pretty(&buf, x);                   /api/v1/format_query
 *   promql_print_ast_json(&buf, x);                 /api/v1/parse_query
 *
 * Trees have at most PROMQL_DEPTH_MAX levels, so they may be walked by recursion; upstream has no such limit.
 * Matchers (regexes) of the tree are owned by the arena's lifetime through promql_tree_done(). Threads: pure.
 * Upstream: promql/parser/{lex.go,parse.go,generated_parser.y,printer.go,prettier.go}, web/api/v1/translate_ast.go */
#ifndef PROMQL_PARSE_H
#define PROMQL_PARSE_H

#include "base/error.h"
#include "promql/ast.h"
#include "promql/function.h"

struct histogram;

struct promql_parse_opts {              /* what --enable-feature switches on */
        bool experimental_functions;    /* promql-experimental-functions */
        bool extended_range_selectors;  /* anchored, smoothed */
        bool fill_modifiers;            /* fill, fill_left, fill_right */
};
/* Regexes cannot live in an arena: they are listed here and freed by promql_tree_done. */
struct promql_tree {
        const struct expr *root;
        MatcherVec matchers;
};
#define PROMQL_TREE_INIT {.root = NULL, .matchers = VEC_INIT}
struct error *promql_parse(const struct promql_parse_opts *o, Str text, struct arena *a, struct promql_tree *ret) MUST_CHECK;
void promql_tree_done(struct promql_tree *t);
/* In every selector: the matchers of that label become the given one, which is added where there is none; or they go. a: the arena of the parse. */
struct error *promql_tree_set_matcher(struct promql_tree *t, struct arena *a, enum matcher_type type, Str name, Str value) MUST_CHECK;
struct error *promql_tree_delete_matchers(struct promql_tree *t, struct arena *a, Str name) MUST_CHECK;
/* A selector alone: name{…}; nothing else may follow. Freed by matcher_vec_done. promql_parse_match is what match[] of the API takes: it refuses
 * selectors all of whose matchers match the empty string. /federate takes any. */
struct error *promql_parse_match(Str text, struct arena *a, MatcherVec *ret) MUST_CHECK;
struct error *promql_parse_selector(Str text, struct arena *a, MatcherVec *ret) MUST_CHECK;
/* Printers stop early, with buf_is_over, when the buffer is full. */
void promql_print(struct buf *b, const struct expr *x);
void promql_print_pretty(struct buf *b, const struct expr *x);
void promql_print_ast_json(struct buf *b, const struct expr *x);
/* A metric as the series notation writes it: name{label="value"}. */
struct error *promql_parse_metric(Str text, struct arena *a, Labels *ret) MUST_CHECK;
/* One line of a test file's load or of a rule test's input_series: metric and values, expanded. */
struct promql_series_line {
        Labels labels;
        struct promql_series_value {
                bool omitted, has_reset_hint;   /* the hint was written */
                double v;
                const struct histogram *h;      /* NULL: v */
        } *values;
        size_t n;
};
enum { PROMQL_SERIES_VALUES_MAX = 10 * 1000 * 1000 }; /* of one line */
struct error *promql_parse_series_line(Str text, struct arena *a, struct promql_series_line *ret) MUST_CHECK;

#endif
