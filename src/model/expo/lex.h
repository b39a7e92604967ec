/* SPDX-License-Identifier: Apache-2.0 */
/* lex.h — the tokens of the two text formats, one a call, in the very steps of upstream's generated scanners: where
 * they stop decides the texts of errors.  Upstream: model/textparse/{promlex,openmetricslex}.l */
#ifndef MODEL_EXPO_LEX_H
#define MODEL_EXPO_LEX_H

#include "base/error.h"
#include "base/str.h"

enum lex_token {
        TOKEN_INVALID,
        TOKEN_EOF,
        TOKEN_LINEBREAK,
        TOKEN_WHITESPACE,
        TOKEN_HELP,
        TOKEN_TYPE,
        TOKEN_UNIT,
        TOKEN_EOF_WORD,
        TOKEN_TEXT,
        TOKEN_COMMENT,
        TOKEN_METRIC_NAME,
        TOKEN_QUOTED,
        TOKEN_BRACE_OPEN,
        TOKEN_BRACE_CLOSE,
        TOKEN_LABEL_NAME,
        TOKEN_LABEL_VALUE,
        TOKEN_COMMA,
        TOKEN_EQUAL,
        TOKEN_TIMESTAMP,
        TOKEN_VALUE,
};
const char *lex_token_name(enum lex_token t);

enum lex_state {
        LEX_INIT,
        LEX_COMMENT,
        LEX_META1,
        LEX_META2,
        LEX_LABELS,
        LEX_LABEL_VALUE,
        LEX_VALUE,
        LEX_TIMESTAMP,
        LEX_EXEMPLAR,
        LEX_EXEMPLAR_VALUE,
        LEX_EXEMPLAR_TIMESTAMP,
};
struct lexer {
        const char *p;
        size_t n; /* with the line break that the text format has behind its last byte, there or not */
        size_t real_n;
        size_t start, i; /* of the token; what is read next */
        enum lex_state state;
        size_t line; /* where the entry began, for errors */
};
enum lex_token lex_text(struct lexer *l); /* white space is a token here */
enum lex_token lex_openmetrics(struct lexer *l);

static inline Str lex_bytes(const struct lexer *l)
{
        return (Str){l->p + l->start, (l->i < l->real_n ? l->i : l->real_n) - l->start};
}
/* `expected, got "…" ("TOKEN") while parsing: "…"` */
struct error *lex_error(const struct lexer *l, const char *expected, enum lex_token got) MUST_CHECK;
/* `what while parsing: "…"`, with the line up to where it is read. */
struct error *lex_error_here(const struct lexer *l, struct error *take_what) MUST_CHECK;
/* format with one %s for the quoted text. */
struct error *lex_error_quoted(const char *before, Str s, const char *after) MUST_CHECK;
/* A sample's value or an OpenMetrics timestamp, as Go's ParseFloat without p and _; errors are Go's. */
struct error *lex_parse_float(Str s, double *ret) MUST_CHECK;
int64_t lex_float_to_ms(double seconds); /* as Go's int64(seconds * 1000) on amd64 */

#endif
