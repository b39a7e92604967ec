/* SPDX-License-Identifier: Apache-2.0 */
/* promtool check rules, and the part of check config that looks into rule files. */
#include "app/promtool_rules.h"

#include <stdio.h>
#include <unistd.h>

#include "app/promtool.h"
#include "base/log.h"

enum { STDIN_MAX_BYTES = 64 << 20 };

void rule_lint_init(struct rule_lint *l, const struct flags *f, bool config)
{
        Str rest = str_from(flags_str(f, "lint")), one;
        struct promtool_features features = promtool_features(f);
        *l = (struct rule_lint){.fatal = flags_bool(f, "lint-fatal"),
                                .file = {.ignore_unknown_fields = flags_bool(f, "ignore-unknown-fields"), .parse = features.parse}};
        while (str_next(&rest, ',', &one)) {
                if (str_eq(one, STR("all")))
                        l->duplicates = l->long_intervals = true;
                else if (str_eq(one, STR("duplicate-rules")))
                        l->duplicates = true;
                else if (config && str_eq(one, STR("too-long-scrape-interval")))
                        l->long_intervals = true;
                else if (!str_eq(one, STR("none")))
                        fprintf(stderr, "WARNING: unknown lint option: \"" STR_FMT "\"\n", STR_ARG(one));
        }
}

struct named {
        Str name;
        Labels labels;
};

static int named_cmp(const void *a, const void *b)
{
        const struct named *x = a, *y = b;
        int c = str_cmp(x->name, y->name);
        return c ? c : labels_cmp(x->labels, y->labels);
}

/* Rules of the same name and labels, told on standard error; how many sets there are. */
static size_t duplicates_tell(const struct rule_file *file)
{
        struct arena a;
        VEC(struct named) v = VEC_INIT;
        struct buf b = BUF_INIT(64 << 20);
        size_t found = 0;
        arena_init(&a, BUF_NO_LIMIT);
        for (size_t i = 0; i < file->n; i++) {
                for (size_t k = 0; k < file->groups[i].n_rules; k++) {
                        const struct rule_def *r = &file->groups[i].rules[k];
                        vec_push(&v, (struct named){r->alert.n ? r->alert : r->record, rule_labels_join(&a, file->groups[i].labels, r->labels)});
                }
        }
        if (v.n)
                qsort(v.p, v.n, sizeof *v.p, named_cmp);
        for (size_t i = 1; i < v.n; i++) {
                if (named_cmp(&v.p[i - 1], &v.p[i]) != 0 || (i > 1 && named_cmp(&v.p[i - 2], &v.p[i]) == 0))
                        continue;
                found++;
                buf_printf(&b, "Metric: " STR_FMT "\nLabel(s):\n", STR_ARG(v.p[i].name));
                for (size_t k = 0; k < v.p[i].labels.n; k++)
                        buf_printf(&b, "\t" STR_FMT ": " STR_FMT "\n", STR_ARG(v.p[i].labels.v[k].name), STR_ARG(v.p[i].labels.v[k].value));
        }
        if (found)
                fprintf(stderr, "  FAILED:\nlint error %zu duplicate rule(s) found.\n%sMight cause inconsistency while recording expressions\n", found, buf_cstr(&b));
        buf_done(&b);
        vec_done(&v);
        arena_done(&a);
        return found;
}

/* Ends the errors. */
static void errors_tell(ErrorVec *errors)
{
        fputs("  FAILED:\n", stderr);
        for (size_t i = 0; i < errors->n; i++)
                fprintf(stderr, "%s\n", error_str(errors->p[i]));
}

static void judged(struct rule_file *file, const struct rule_lint *l, struct rule_verdict *v)
{
        size_t rules = 0;
        if (file->has_more_documents)
                log_warn("", "Multiple document yaml rules files are not supported, only the first document is processed");
        for (size_t i = 0; i < file->n; i++)
                rules += file->groups[i].n_rules;
        if (l->duplicates && duplicates_tell(file))
                v->failed = true;
        else
                printf("  SUCCESS: %zu rules found\n", rules);
        putchar('\n');
        rule_file_done(file);
}

void rule_files_check(const char *const *files, size_t n, const struct rule_lint *l, struct rule_verdict *ret)
{
        for (size_t i = 0; i < n; i++) {
                struct rule_file file;
                ErrorVec errors = VEC_INIT;
                printf("Checking %s\n", files[i]);
                fflush(stdout);
                if (rule_file_load(files[i], &l->file, &file, &errors)) {
                        judged(&file, l, ret);
                } else {
                        errors_tell(&errors);
                        ret->failed = ret->has_errors = true;
                }
                error_vec_done(&errors);
        }
}

static void stdin_check(const struct rule_lint *l, struct rule_verdict *ret)
{
        struct rule_file file;
        ErrorVec errors = VEC_INIT;
        struct buf b = BUF_INIT(STDIN_MAX_BYTES);
        ssize_t got = 1;
        puts("Checking standard input");
        while (got > 0 && buf_reserve(&b, 1 << 16)) {
                got = read(STDIN_FILENO, b.p + b.n, 1 << 16);
                b.n += got > 0 ? (size_t)got : 0;
        }
        if (rule_file_parse(buf_str(&b), &l->file, &file, &errors)) {
                judged(&file, l, ret);
        } else {
                errors_tell(&errors);
                ret->failed = ret->has_errors = true;
        }
        buf_done(&b);
        error_vec_done(&errors);
}

int rule_verdict_code(const struct rule_verdict *v, const struct rule_lint *l)
{
        if (v->failed && v->has_errors)
                return PROMTOOL_FAILURE;
        return v->failed && l->fatal ? PROMTOOL_LINT : PROMTOOL_OK;
}

int promtool_check_rules(const struct flags *f)
{
        struct rule_lint l;
        struct rule_verdict v = {0};
        size_t n;
        const char *const *files = flags_list(f, "rule-files", &n);
        rule_lint_init(&l, f, /* config= */ false);
        if (n)
                rule_files_check(files, n, &l, &v);
        else
                stdin_check(&l, &v);
        return rule_verdict_code(&v, &l);
}
