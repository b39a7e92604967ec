/* SPDX-License-Identifier: Apache-2.0 */
/* matcher.h — one condition on one label: =, !=, =~, !~. A label that is not there has the value "".
 *
 * A matcher is immutable and may be used by several threads. Regexes are anchored ^(?s:RE)$ in RE2's language; literal values, prefixes and
 * alternations of literals are recognised when it is made, so that most never reach RE2. */
#ifndef MODEL_MATCHER_H
#define MODEL_MATCHER_H

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "base/vec.h"
#include "model/labels.h"

enum matcher_type { MATCH_EQ, MATCH_NE, MATCH_RE, MATCH_NRE };

struct regex;
struct matcher {
        enum matcher_type type;
        Str name, value;                /* owned: one allocation with the matcher */
        struct regex *re;               /* MATCH_RE, MATCH_NRE; see codec/regex.h */
};

/* A bad regex is ERROR_INVALID with Go's text ("error parsing regexp: …"). */
struct error *matcher_new(enum matcher_type type, Str name, Str value, struct matcher **ret) MUST_CHECK;
struct matcher *matcher_dup(const struct matcher *m);
void matcher_free(struct matcher *m);
bool matcher_matches(const struct matcher *m, Str value);
bool matcher_matches_empty(const struct matcher *m);
/* If only values of a finite list can match (=, or an alternation of literals), the list, sorted; borrowed from the matcher. */
bool matcher_set_matches(const struct matcher *m, const Str **ret, size_t *ret_n);
/* Bytes that every matching value begins with (may be empty). */
Str matcher_prefix(const struct matcher *m);
bool matchers_match(const struct matcher *const *m, size_t n, Labels ls);
void matcher_print(struct buf *b, const struct matcher *m);     /* name="value", Go-quoted */

typedef VEC(struct matcher *) MatcherVec;
void matcher_vec_done(MatcherVec *v);

#endif
