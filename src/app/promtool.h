/* SPDX-License-Identifier: Apache-2.0 */
/* promtool.h — what the sub-commands of the role promtool share. Each is one function that reads its flags and arguments by name (the rows are in
 * promtool.c) and returns the exit code: 0 fine, 1 failure, 3 lint problems that are fatal.
 *
 * Upstream: cmd/promtool */
#ifndef APP_PROMTOOL_H
#define APP_PROMTOOL_H

#include "app/command.h"
#include "promql/parse.h"

enum { PROMTOOL_OK = 0, PROMTOOL_FAILURE = 1, PROMTOOL_LINT = 3 };

/* What --enable-feature says; unknown names are warned about on standard output. */
struct promtool_features {
        struct promql_parse_opts parse;
        bool delayed_name_removal;
};
struct promtool_features promtool_features(const struct flags *f);
/* NULL: code 0; else the error on standard error and code 1. */
int promtool_exit(struct error *take_e);

int promtool_query_instant(const struct flags *f);
int promtool_query_range(const struct flags *f);
int promtool_query_series(const struct flags *f);
int promtool_query_labels(const struct flags *f);
int promtool_check_rules(const struct flags *f);
int promtool_check_config(const struct flags *f);
int promtool_test_rules(const struct flags *f);
int promtool_tsdb_list(const struct flags *f);
int promtool_tsdb_analyze(const struct flags *f);
int promtool_tsdb_dump(const struct flags *f);
int promtool_tsdb_dump_openmetrics(const struct flags *f);
int promtool_promql_format(const struct flags *f);
int promtool_label_matchers_set(const struct flags *f);
int promtool_label_matchers_delete(const struct flags *f);

#endif
