/* SPDX-License-Identifier: Apache-2.0 */
/* file.h — rule files: YAML into groups of rules, strictly, with upstream's error texts and positions.
 *
 *   struct rule_file f;
 *   ErrorVec errors = VEC_INIT;
 *   if (!rule_file_load(path, &opts, &f, &errors)) …every error is one line of `promtool check rules`…
 *   rule_file_done(&f);  error_vec_done(&errors);
 *
 * Only the first document of a file is read. Threads: pure.
 * Format: docs/configuration/recording_rules.md of Prometheus.  Upstream: model/rulefmt/rulefmt.go */
#ifndef ALERT_RULES_FILE_H
#define ALERT_RULES_FILE_H

#include "model/labels.h"
#include "promql/parse.h"

/* Labels of files may have empty values: such a label takes one away from the result. */
struct rule_def {
        Str record, alert;              /* one of them is not empty */
        Str expr;                       /* as written */
        int64_t for_ms, keep_firing_ms;
        Labels labels, annotations;     /* its own, without those of the group */
};
struct rule_group_def {
        Str name;
        int64_t interval_ms;            /* 0: the global one */
        bool has_query_offset;
        int64_t query_offset_ms;
        int64_t limit;                  /* 0: none */
        Labels labels;
        const struct rule_def *rules;
        size_t n_rules;
};
struct rule_file {
        struct arena arena;
        const struct rule_group_def *groups;
        size_t n;
        bool has_more_documents;        /* that were not looked at */
};
struct rule_file_opts {
        bool ignore_unknown_fields, legacy_names;
        struct promql_parse_opts parse;
};
typedef VEC(struct error *) ErrorVec;
void error_vec_done(ErrorVec *v);

/* False: errors were appended, ret is untouched. */
bool rule_file_parse(Str text, const struct rule_file_opts *o, struct rule_file *ret, ErrorVec *errors);
/* The same; errors begin with "path: ". */
bool rule_file_load(const char *path, const struct rule_file_opts *o, struct rule_file *ret, ErrorVec *errors);
void rule_file_done(struct rule_file *f);
/* The labels that a rule has: those of the group, then its own on top. In the arena. */
Labels rule_labels_join(struct arena *a, Labels group, Labels own);

#endif
