/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_model_expo.c — both text formats: the fast scanner and the grammars tell the same, a line that was read is
 * known, labels are bounded. Protobuf and converted histograms: every entry is sound. */
#include <stdint.h>
#include <stdlib.h>

#include "model/expo/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool same_bits(double a, double b)
{
        return memcmp(&a, &b, sizeof a) == 0;
}

static void check_labels(const struct expo_parser *p, const struct expo_entry *x)
{
        struct arena a;
        Labels ls;
        arena_init(&a, 16 << 20);
        struct error *e = expo_labels(p, x, &a, &ls);
        if (!e)
                for (size_t i = 1; i < ls.n; i++)
                        if (str_cmp(ls.v[i - 1].name, ls.v[i].name) > 0)
                                bug("labels of " STR_FMT " are not sorted", STR_ARG(x->series));
        error_ignore(e, "a limit is an answer");
        bool named = false;
        for (size_t i = 0; !e && i < ls.n; i++)
                named |= str_eq(ls.v[i].name, STR(METRIC_NAME));
        if (!e && !named)
                bug("no name in " STR_FMT, STR_ARG(x->series));
        if (x->has_exemplar)
                error_ignore(expo_exemplar_labels(x, &a, &ls), "a limit is an answer");
        arena_done(&a);
}

static void check_same(const struct expo_entry *x, const struct expo_entry *y)
{
        if (x->type != y->type)
                bug("entry %d, by the grammar %d", (int)x->type, (int)y->type);
        bool same = true;
        if (x->type == EXPO_SERIES)
                same = str_eq(x->series, y->series) && same_bits(x->value, y->value) && x->has_t == y->has_t &&
                       (!x->has_t || x->t == y->t) && x->has_exemplar == y->has_exemplar;
        else if (x->type == EXPO_HELP)
                same = str_eq(x->family, y->family) && str_eq(x->text, y->text);
        else if (x->type == EXPO_TYPE)
                same = str_eq(x->family, y->family) && x->metric_type == y->metric_type;
        if (!same)
                bug("the scanner and the grammar differ at " STR_FMT, STR_ARG(x->series));
}

static void run(enum expo_format f, Str body)
{
        struct expo_parser fast, exact, known;
        error_ignore(expo_parser_init(&fast, f, body), "cannot fail");
        error_ignore(expo_parser_init(&exact, f, body), "cannot fail");
        error_ignore(expo_parser_init(&known, f, body), "cannot fail");
        exact.exact_only = true;
        for (;;) {
                struct expo_entry x, y, z;
                struct error *e1 = expo_next(&fast, &x), *e2 = expo_next(&exact, &y);
                if ((e1 != NULL) != (e2 != NULL) || strcmp(error_str(e1), error_str(e2)) != 0)
                        bug("\"%s\", by the grammar \"%s\"", error_str(e1), error_str(e2));
                error_ignore(e2, "compared");
                if (e1 || x.type == EXPO_END) {
                        error_ignore(e1, "an error is an answer");
                        break;
                }
                check_same(&x, &y);
                if (fast.at != exact.at && x.type != EXPO_END)
                        bug("positions %zu and %zu", fast.at, exact.at);
                if (x.type == EXPO_SERIES) {
                        check_labels(&fast, &x);
                        size_t from = known.at;
                        if (expo_next_known(&known, x.series, &z)) {
                                check_same(&x, &z);
                                if (known.at != fast.at)
                                        bug("known line ends at %zu, not %zu", known.at, fast.at);
                        } else if (known.at != from) {
                                bug("a line that is not known was consumed");
                        }
                }
                known.at = fast.at;
                known.state = fast.state;
                known.metric_type = fast.metric_type;
        }
        expo_parser_done(&fast);
        expo_parser_done(&exact);
        expo_parser_done(&known);
}

/* All entries to the end or the first error. */
static void run_histograms(enum expo_format f, Str body, struct expo_histograms how)
{
        struct expo_parser p;
        error_ignore(expo_parser_init(&p, f, body), "cannot fail");
        expo_parser_histograms(&p, how);
        for (;;) {
                struct expo_entry x;
                struct error *e = expo_next(&p, &x);
                if (e || x.type == EXPO_END) {
                        error_ignore(e, "an error is an answer");
                        break;
                }
                if (x.type == EXPO_SERIES || x.type == EXPO_HISTOGRAM)
                        check_labels(&p, &x);
                if (x.type == EXPO_HISTOGRAM)
                        error_ignore(histogram_sample_check(x.histogram), "garbage is garbage");
        }
        expo_parser_done(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        /* A copy of just that size, so that reading past the end is seen. */
        char *copy = malloc(size ? size : 1);
        if (!copy)
                return 0;
        if (size)
                memcpy(copy, data, size);
        run(EXPO_TEXT, (Str){copy, size});
        run(EXPO_OPENMETRICS, (Str){copy, size});
        for (int i = 0; i < 8; i++) {
                struct expo_histograms how = {.no_native = i & 1, .keep_classic = i & 2, .to_custom = i & 4};
                run_histograms(EXPO_PROTOBUF, (Str){copy, size}, how);
                if (how.to_custom) {
                        run_histograms(EXPO_TEXT, (Str){copy, size}, how);
                        run_histograms(EXPO_OPENMETRICS, (Str){copy, size}, how);
                }
        }
        free(copy);
        return 0;
}
