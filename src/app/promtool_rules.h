/* SPDX-License-Identifier: Apache-2.0 */
/* promtool_rules.h — what check rules and check config share: lints, and the judging of rule files on standard output and error. */
#ifndef APP_PROMTOOL_RULES_H
#define APP_PROMTOOL_RULES_H

#include "alert/rules/file.h"
#include "app/flags.h"

struct rule_lint {
        bool duplicates, long_intervals, fatal;
        struct rule_file_opts file;
};
struct rule_verdict {
        bool failed, has_errors;        /* failed without errors: lints only */
};
/* Reads --lint, --lint-fatal, --ignore-unknown-fields. config: with the lints of check config. */
void rule_lint_init(struct rule_lint *l, const struct flags *f, bool config);
void rule_files_check(const char *const *files, size_t n, const struct rule_lint *l, struct rule_verdict *ret);
int rule_verdict_code(const struct rule_verdict *v, const struct rule_lint *l);

#endif
