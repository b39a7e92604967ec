/* SPDX-License-Identifier: Apache-2.0 */
/* grammar.h — the inside of expo/: the two grammars over lex.h, the fast scanner, and what they share. */
#ifndef MODEL_EXPO_GRAMMAR_H
#define MODEL_EXPO_GRAMMAR_H

#include "codec/float_text.h"
#include "model/expo/lex.h"
#include "model/expo/parse.h"

/* One entry by the tokens. *ret_end: there is no more. */
struct error *grammar_text(struct expo_parser *p, struct expo_entry *x) MUST_CHECK;
struct error *grammar_openmetrics(struct expo_parser *p, struct expo_entry *x) MUST_CHECK;
/* The value and what follows it to the end of the line, when `series` was read by other means. False: leave it to the
 * grammar. */
bool grammar_openmetrics_end(struct expo_parser *p, size_t after_series, struct expo_entry *x);

/* expo_next of the two texts, before any conversion. */
struct error *expo_next_line(struct expo_parser *p, struct expo_entry *x) MUST_CHECK;

/* One entry if it has the usual shape; false and nothing consumed otherwise. */
bool fast_next(struct expo_parser *p, struct expo_entry *x);

struct lexer grammar_lexer(const struct expo_parser *p);
void grammar_take_position(struct expo_parser *p, const struct lexer *l);
bool metric_type_parse(Str s, enum expo_format f, enum metric_type *ret);
/* Unescapes a help text into p->help where it holds a backslash. */
Str grammar_help_text(struct expo_parser *p, Str raw);
size_t grammar_unescape(Str s, bool quotes, char *ret); /* \\ \n and with quotes \" ; returns the length, at most s.n */

bool grammar_is_created(const struct expo_parser *p, Str series); /* a _created line of a family that may have them */

/* As OpenMetrics writes the numbers of le and quantile: with a point or an exponent. Returns the length. */
enum { EXPO_NUMBER_MAX_BYTES = FLOAT_TEXT_MAX_BYTES + 2 };
size_t expo_number(double v, char ret[EXPO_NUMBER_MAX_BYTES]);

/* What a byte may be. */
enum { LABEL_START = 1, LABEL_REST = 2, METRIC_START = 4, METRIC_REST = 8, DIGIT = 16 };
extern const unsigned char expo_classes[256];

static inline bool expo_is(char c, int class)
{
        return expo_classes[(unsigned char)c] & class;
}

/* Walks over name and labels of series bytes that a grammar has accepted. */
struct series_walk {
        Str s;
        size_t at;
};
enum series_part { SERIES_END, SERIES_NAME, SERIES_LABEL };
enum series_part series_walk_next(struct series_walk *w, Str *ret_name, Str *ret_value);

#endif
