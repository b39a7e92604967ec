/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_alert_rules.c — any bytes as a rule file: no crash; what loads has names and expressions, and what does not has an error. */
#include <stdint.h>

#include "alert/rules/file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct rule_file f;
        ErrorVec errors = VEC_INIT;
        struct rule_file_opts o = {0};
        if (size > 1 << 16)
                return 0;
        bool ok = rule_file_parse((Str){(const char *)data, size}, &o, &f, &errors);
        if (ok != (errors.n == 0))
                bug("loaded with errors, or refused without");
        for (size_t i = 0; ok && i < f.n; i++) {
                for (size_t k = 0; k < f.groups[i].n_rules; k++) {
                        const struct rule_def *d = &f.groups[i].rules[k];
                        if (d->expr.n == 0 || (d->alert.n == 0) == (d->record.n == 0))
                                bug("a rule without name or expression");
                }
        }
        if (ok)
                rule_file_done(&f);
        error_vec_done(&errors);
        return 0;
}
