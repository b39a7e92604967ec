/* SPDX-License-Identifier: Apache-2.0 */
/* lex.h — PromQL text to tokens. Private to the parser.
 *
 *   struct lexer l;
 *   lexer_init(&l, text, &arena, LEX_EXPRESSION);
 *   for (;;) { struct token t; lexer_next(&l, &t); if (t.type == TOK_EOF || t.type == TOK_ERROR) break; ... }
 *
 * The lexer knows more than words: it counts parentheses and reads brackets and braces by rules of their own, because
 * upstream's does so and its error texts show it. After TOK_ERROR nothing more may be asked for.  Upstream:
 * promql/parser/lex.go */
#ifndef PROMQL_LEX_H
#define PROMQL_LEX_H

#include "base/arena.h"
#include "promql/ast.h"

enum token_type {
        TOK_EOF,
        TOK_ERROR, /* text is the message */
        TOK_COMMENT,
        TOK_IDENTIFIER,
        TOK_METRIC_IDENTIFIER, /* with a colon */
        TOK_STRING,            /* text with its quotes */
        TOK_NUMBER,
        TOK_DURATION,
        TOK_LEFT_PAREN,
        TOK_RIGHT_PAREN,
        TOK_LEFT_BRACE,
        TOK_RIGHT_BRACE,
        TOK_LEFT_BRACKET,
        TOK_RIGHT_BRACKET,
        TOK_COMMA,
        TOK_EQL,
        TOK_COLON,
        TOK_BLANK, /* series lines only, as the next three */
        TOK_HISTOGRAM, /* {{…}}, with its braces */
        TOK_TIMES,
        TOK_SPACE,
        /* Operators. */
        TOK_ADD,
        TOK_SUB,
        TOK_MUL,
        TOK_DIV,
        TOK_MOD,
        TOK_POW,
        TOK_ATAN2,
        TOK_EQLC,
        TOK_NEQ,
        TOK_LSS,
        TOK_LTE,
        TOK_GTR,
        TOK_GTE,
        TOK_AND,
        TOK_OR,
        TOK_UNLESS,
        TOK_TRIM_UPPER,
        TOK_TRIM_LOWER,
        TOK_EQL_REGEX,
        TOK_NEQ_REGEX,
        TOK_AT,
        /* Aggregations, in the order of enum aggregate_op. */
        TOK_SUM,
        TOK_AVG,
        TOK_MIN,
        TOK_MAX,
        TOK_COUNT,
        TOK_GROUP,
        TOK_STDDEV,
        TOK_STDVAR,
        TOK_TOPK,
        TOK_BOTTOMK,
        TOK_QUANTILE,
        TOK_COUNT_VALUES,
        TOK_LIMITK,
        TOK_LIMIT_RATIO,
        /* Keywords. */
        TOK_BOOL,
        TOK_BY,
        TOK_WITHOUT,
        TOK_ON,
        TOK_IGNORING,
        TOK_GROUP_LEFT,
        TOK_GROUP_RIGHT,
        TOK_FILL,
        TOK_FILL_LEFT,
        TOK_FILL_RIGHT,
        TOK_OFFSET,
        TOK_ANCHORED,
        TOK_SMOOTHED,
        /* Words that are a function, a modifier's argument or part of a duration. */
        TOK_START,
        TOK_END,
        TOK_STEP,
        TOK_RANGE,
        TOK_MIN_OF,
        TOK_MAX_OF,
        TOK_N,
};
static inline bool token_is_operator(enum token_type t)
{
        return t >= TOK_ADD && t <= TOK_AT;
}
static inline bool token_is_aggregate(enum token_type t)
{
        return t >= TOK_SUM && t <= TOK_LIMIT_RATIO;
}
static inline bool token_is_keyword(enum token_type t)
{
        return t >= TOK_BOOL && t <= TOK_SMOOTHED;
}

struct token {
        enum token_type type;
        int pos; /* of its first byte */
        Str text;
};
static inline struct pos_range token_range(const struct token *t)
{
        return (struct pos_range){t->pos, t->pos + (int)t->text.n};
}

enum lex_mode { LEX_EXPRESSION, LEX_SERIES_LINE };
enum lex_state { LEX_STATEMENTS, LEX_DURATION_EXPR, LEX_BRACES, LEX_VALUES, LEX_END };
struct lexer {
        Str in;
        struct arena *arena; /* for long error texts */
        enum lex_state state;
        int pos, start, width; /* width of the rune read last */
        int last_pos;          /* of the token returned last */
        int paren_depth;
        bool brace_open, bracket_open, got_colon, got_duration;
        bool series; /* a series line, not an expression */
        struct token *out;
        bool scanned;
        char message[160]; /* of TOK_ERROR */
};

void lexer_init(struct lexer *l, Str text, struct arena *a, enum lex_mode mode); /* text: at most INT_MAX bytes */
void lexer_next(struct lexer *l, struct token *ret);
/* What error texts call a token: identifier "x", "(", <op:+>, <aggr:sum>, <by>, end of input. */
void token_describe(struct buf *b, const struct token *t);
/* If the token at last_pos is a right parenthesis, the end of the one before it when only blanks are between them; else
 * fallback. */
int lexer_prev_right_paren(const struct lexer *l, int fallback);

#endif
