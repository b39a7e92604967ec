/* SPDX-License-Identifier: Apache-2.0 */
/* regex_shape.h — what a pattern says without an automaton: the alternatives it lists, each a run of literals and gaps.
 *
 * `(api|web)-.*` is {"api-" STAR, "web-" STAR}. What is not understood is one OPAQUE part, so that literals around it
 * still are facts. The shape never decides whether a pattern is valid, except that a shape without OPAQUE parts only
 * comes from valid patterns. */
#ifndef CODEC_REGEX_SHAPE_H
#define CODEC_REGEX_SHAPE_H

#include "base/arena.h"
#include "base/str.h"

enum regex_part_kind { PART_LITERAL, PART_STAR, PART_PLUS, PART_OPAQUE }; /* STAR: .*  PLUS: .+  over any characters */
struct regex_part {
        enum regex_part_kind kind;
        Str text;
};
struct regex_seq {
        struct regex_part *part;
        size_t n;
};
struct regex_shape {
        struct regex_seq *seq;
        size_t n; /* alternatives, at least one */
        bool has_opaque, has_groups;
};

/* False: not understood at all (the arena holds garbage then, and may be over its limit). */
bool regex_shape_of(Str pattern, struct arena *a, struct regex_shape *ret);
/* Does s match one run of literals and gaps? There must be no OPAQUE part. */
bool regex_seq_matches(const struct regex_seq *q, Str s);

#endif
