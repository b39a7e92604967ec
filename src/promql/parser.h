/* SPDX-License-Identifier: Apache-2.0 */
/* parser.h — what the files of the parser share. Private to it.
 *
 * Upstream's parser is generated from a grammar (LALR). This one is written by hand: precedence climbing over one token
 * of lookahead. Users compare the first error's text, so three habits of the generated one are kept: (1) The lookahead
 * is read only where upstream's tables need it. What a rule checks when it is complete comes before or after a fault of
 * the next token accordingly, and last_closing, from which ends of positions are taken, depends on it. (2) "in CONTEXT,
 * expected WHAT" is that of the innermost rule under way that has an error production: p->context. (3) Only the first
 * error counts; after it every function returns NULL or false. Upstream: promql/parser/{parse.go,generated_parser.y} */
#ifndef PROMQL_PARSER_H
#define PROMQL_PARSER_H

#include "base/error.h"
#include "promql/lex.h"
#include "promql/parse.h"

struct parse_context {
        const char *in, *expected; /* NULL: not said */
};
struct parser {
        struct lexer lex;
        const struct promql_parse_opts *opts;
        struct arena *arena;
        MatcherVec *matchers; /* owns the matchers of the tree */
        struct token tok;     /* the last token read */
        bool is_peeked;       /* tok is not consumed yet */
        int last_closing;     /* end of the last token read that may close an expression */
        int depth;            /* of recursion */
        struct parse_context context;
        struct error *err; /* the first */
};

/* opts and matchers may be NULL where neither operators nor selectors are parsed. */
void parser_init(struct parser *p, const struct promql_parse_opts *opts, Str text, struct arena *a,
                 MatcherVec *matchers, enum lex_mode mode);
/* Sets the first error: "line:col: parse error: …". */
void parser_fail(struct parser *p, int pos, const char *fmt, ...) PRINTF_LIKE(3, 4);
void parser_fail_error(struct parser *p, int pos, struct error *take_e);
void *parser_alloc(struct parser *p, size_t n); /* zeroed; NULL: it failed */

enum token_type parser_peek(struct parser *p); /* TOK_ERROR: it failed */
static inline void parser_skip(struct parser *p)
{
        p->is_peeked = false;
}
struct token parser_take(struct parser *p); /* the peeked token */
/* The peeked token does not fit: in the context of p, or in one of its own. */
void parser_unexpected(struct parser *p);
void parser_unexpected_in(struct parser *p, const char *in, const char *expected);
/* Takes a token of this type, or complains in the context of p. */
bool parser_expect(struct parser *p, enum token_type t, struct token *ret);
bool parser_enter(struct parser *p); /* one level deeper; false: too deep. Pair with parser_leave. */
static inline void parser_leave(struct parser *p)
{
        p->depth--;
}

struct expr *parser_node(struct parser *p, enum expr_type type, enum value_type value, struct pos_range pos);
void parser_adopt(struct expr *x, const struct expr *child); /* counts its levels; child may be NULL */
void parser_fail_too_deep(struct parser *p);
double parser_number(struct parser *p, Str text, int pos);
bool parser_unquote(struct parser *p, Str quoted, Str *ret);
int64_t go_int64(double v); /* Go's conversion on amd64: what does not fit is the smallest */

struct expr *parser_expr(struct parser *p);
bool parser_is_metric_identifier(enum token_type t); /* words that are a metric's name where one may stand */
bool parser_starts_expr(enum token_type t);
bool parser_grouping_labels(struct parser *p, const Str **ret, size_t *ret_n);
struct expr *parser_selector(struct parser *p,
                             const struct token *name); /* name NULL: none; next is { or, with a name, maybe */
struct expr *parser_whole_selector(struct parser *p);
struct expr *parser_number_literal(struct parser *p); /* peeked is a number or duration */
/* After "[" was peeked; after "offset" was peeked. */
struct expr *parser_range_or_subquery(struct parser *p, struct expr *x);
struct expr *parser_offset(struct parser *p, struct expr *x);
void parser_check(struct parser *p, struct expr *x); /* types */

static inline bool token_is_number(enum token_type t)
{
        return t == TOK_NUMBER || t == TOK_DURATION;
}
struct time_modifiers *expr_time_modifiers(struct expr *x); /* NULL: has none */

#endif
