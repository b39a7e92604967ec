/* SPDX-License-Identifier: Apache-2.0 */
/* regex.h — Go's regular expressions (RE2), whole-match as Prometheus anchors them: ^(?s:RE)$.
 *
 * Immutable after it is made; any thread may match. Where Go and RE2 differ ((?<n>…), \\C, invalid UTF-8) this follows
 * Go. */
#ifndef CODEC_REGEX_H
#define CODEC_REGEX_H

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

struct regex;

/* ERROR_INVALID with Go's text: error parsing regexp: missing closing ): `(`. Patterns above a size are ERROR_LIMIT. */
struct error *regex_new(Str pattern, struct regex **ret) MUST_CHECK;
/* The same, for who compiles "^(?s:RE)$" as text (relabelling): where an error shows the whole expression, it is that
 * one. */
struct error *regex_new_anchored(Str pattern, struct regex **ret) MUST_CHECK;
void regex_free(struct regex *re); /* NULL is fine */
Str regex_pattern(const struct regex *re);
bool regex_matches(const struct regex *re, Str s);
/* If only finitely many strings match (alternation of literals): sorted and unique, borrowed. False when it is unknown
 * or over a bound. */
bool regex_set_matches(const struct regex *re, const Str **ret, size_t *ret_n);
Str regex_prefix(const struct regex *re);                /* every match begins with it; may be empty */
int regex_groups(const struct regex *re);                /* capturing groups */
int regex_group_index(const struct regex *re, Str name); /* -1: no such group */
/* Whole match with groups: group[0] is all of s; a group that took no part has p == NULL. */
bool regex_match_groups(const struct regex *re, Str s, Str *ret_group, int n_group);
/* Go's Regexp.Expand over a whole match: $1 ${1} $name $$; false and nothing written when s does not match. */
bool regex_expand(const struct regex *re, Str s, Str template, struct buf *ret);

/* Go's regexp as it is: matches anywhere, '.' is no newline. For functions of templates. */
struct regex_search;
struct error *regex_search_new(Str pattern, struct regex_search **ret) MUST_CHECK; /* errors as regex_new */
void regex_search_free(struct regex_search *re);                                   /* NULL is fine */
bool regex_search_matches(const struct regex_search *re, Str s);
void regex_search_replace_all(const struct regex_search *re, Str s, Str template, struct buf *ret); /* ReplaceAllString */

#endif
