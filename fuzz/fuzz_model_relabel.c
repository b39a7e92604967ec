/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_model_relabel.c — one rule over two labels: no crash, a valid name for every label that a replace made, sorted
 * results. Input: action byte, flags byte, then lines: regex, replacement, target, separator, value of a, value of b.
 */
#include <stdint.h>

#include "model/relabel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static Str line(Str *rest)
{
        Str l;
        return str_next(rest, '\n', &l) ? l : STR("");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size < 2 || size > 4096)
                return 0;
        Str rest = {(const char *)data + 2, size - 2};
        const Str sources[] = {STR("a"), STR("b")};
        struct relabel_rule r = {.source_labels = data[1] & 1 ? sources : NULL,
                                 .n_source = data[1] & 1 ? 1u + (data[1] >> 1 & 1) : 0};
        r.action = (enum relabel_action)(data[0] % (RELABEL_UPPERCASE + 1));
        r.has_regex = data[1] >> 2 & 1;
        r.has_replacement = data[1] >> 3 & 1;
        r.has_separator = data[1] >> 4 & 1;
        r.utf8_names = data[1] >> 5 & 1;
        r.regex = line(&rest);
        r.replacement = line(&rest);
        r.target_label = line(&rest);
        r.separator = line(&rest);
        r.modulus = r.action == RELABEL_HASHMOD ? data[0] : 0;
        Label base[] = {{STR("a"), line(&rest)}, {STR("b"), rest}};
        struct error *e = relabel_rule_check(&r);
        if (!e) {
                struct arena a;
                struct labels_builder b;
                arena_init(&a, 1 << 20);
                labels_builder_init(&b);
                labels_builder_reset(&b, (Labels){base, 2});
                if (relabel_process(&r, 1, &b, &a)) {
                        Labels ls = labels_builder_labels(&b, &a);
                        for (size_t i = 0; i < ls.n; i++) {
                                if (ls.v[i].value.n == 0)
                                        bug("an empty value stayed");
                                if (i > 0 && str_cmp(ls.v[i - 1].name, ls.v[i].name) >= 0)
                                        bug("not sorted, or twice there");
                                if (r.action == RELABEL_REPLACE && r.utf8_names &&
                                    !label_name_is_valid_utf8(ls.v[i].name))
                                        bug("invalid name");
                        }
                }
                labels_builder_done(&b);
                arena_done(&a);
        }
        error_ignore(e, "an error is an answer");
        relabel_rule_done(&r);
        return 0;
}
