/* SPDX-License-Identifier: Apache-2.0 */
/* relabel.h — relabelling: rules that rewrite, keep or drop a label set. All eleven actions.
 *
 *   e = relabel_rule_check(&rule);                          fills in re, target and separators; once, at load
 *   if (!relabel_process(rules, n, &builder, &scratch)) drop;
 *
 * Threads: rules are constant after the check; any thread.  Upstream: model/relabel/relabel.go */
#ifndef MODEL_RELABEL_H
#define MODEL_RELABEL_H

#include "base/vec.h"
#include "codec/regex.h"
#include "model/labels.h"

enum relabel_action {
        RELABEL_REPLACE, RELABEL_KEEP, RELABEL_DROP, RELABEL_KEEPEQUAL, RELABEL_DROPEQUAL, RELABEL_HASHMOD,
        RELABEL_LABELMAP, RELABEL_LABELDROP, RELABEL_LABELKEEP, RELABEL_LOWERCASE, RELABEL_UPPERCASE,
};
struct relabel_rule {
        const Str *source_labels;
        size_t n_source;
        Str separator;                  /* default ";" */
        Str regex;                      /* as written; default "(.*)" */
        uint64_t modulus;
        Str target_label, replacement;  /* replacement default "$1" */
        enum relabel_action action;
        bool has_separator, has_regex, has_replacement, has_action;     /* written in the file: for printing and upstream's checks */
        bool utf8_names;                /* name validation scheme utf8 (default) or legacy */
        struct regex *re;               /* owned; made by relabel_rule_check */
};
bool relabel_action_parse(Str s, enum relabel_action *ret);     /* any case */
const char *relabel_action_name(enum relabel_action a);         /* "replace" */
/* Errors with upstream's texts: "relabel configuration for hashmod requires non-zero modulus", … */
struct error *relabel_rule_check(struct relabel_rule *r) MUST_CHECK;
void relabel_rule_done(struct relabel_rule *r);
/* Applies the rules in order; false: dropped. New strings are put in the arena; a result that its budget cannot hold is dropped too. */
bool relabel_process(const struct relabel_rule *rules, size_t n, struct labels_builder *b, struct arena *a);
/* strings.ToUpper and ToLower: rune by rune, bytes that are no UTF-8 become U+FFFD. */
void buf_put_case(struct buf *b, Str s, bool upper);

#endif
