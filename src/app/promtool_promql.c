/* SPDX-License-Identifier: Apache-2.0 */
/* promtool promql format | label-matchers set | label-matchers delete. */
#include <stdio.h>

#include "app/promtool.h"

enum { EXPRESSION_BYTES_MAX = 256 << 20 };

struct promql_text {
        struct arena arena;
        struct promql_tree tree;
};

static struct error *text_parse(const struct flags *f, struct promql_text *t)
{
        struct promtool_features features = promtool_features(f);
        arena_init(&t->arena, EXPRESSION_BYTES_MAX);
        t->tree = (struct promql_tree)PROMQL_TREE_INIT;
        return promql_parse(&features.parse, str_from(flags_str(f, "query")), &t->arena, &t->tree);
}

/* Prints the tree if there is no error; frees it. */
static int text_print(struct promql_text *t, struct error *take_e)
{
        struct buf b = BUF_INIT(EXPRESSION_BYTES_MAX);
        if (!take_e) {
                promql_print_pretty(&b, t->tree.root);
                buf_putc(&b, '\n');
                if (buf_is_over(&b))
                        take_e = error_new(ERROR_LIMIT, "the printed expression is too long");
                else
                        fwrite(b.p, 1, b.n, stdout);
        }
        buf_done(&b);
        promql_tree_done(&t->tree);
        arena_done(&t->arena);
        return promtool_exit(take_e);
}

static bool is_experimental(const struct flags *f)
{
        if (!flags_bool(f, "experimental"))
                fputs("This command is experimental and requires the --experimental flag to be set.\n", stderr);
        return flags_bool(f, "experimental");
}

int promtool_promql_format(const struct flags *f)
{
        struct promql_text t;
        if (!is_experimental(f))
                return PROMTOOL_FAILURE;
        struct error *e = text_parse(f, &t);
        return text_print(&t, e);
}

static enum matcher_type matcher_type_of(const char *text)
{
        if (strcmp(text, "!=") == 0)
                return MATCH_NE;
        if (strcmp(text, "=~") == 0)
                return MATCH_RE;
        return strcmp(text, "!~") == 0 ? MATCH_NRE : MATCH_EQ;
}

int promtool_label_matchers_set(const struct flags *f)
{
        struct promql_text t;
        if (!is_experimental(f))
                return PROMTOOL_FAILURE;
        struct error *e = text_parse(f, &t);
        if (!e)
                e = promql_tree_set_matcher(&t.tree, &t.arena, matcher_type_of(flags_str(f, "type")), str_from(flags_str(f, "name")),
                                            str_from(flags_str(f, "value")));
        return text_print(&t, e);
}

int promtool_label_matchers_delete(const struct flags *f)
{
        struct promql_text t;
        if (!is_experimental(f))
                return PROMTOOL_FAILURE;
        struct error *e = text_parse(f, &t);
        if (!e)
                e = promql_tree_delete_matchers(&t.tree, &t.arena, str_from(flags_str(f, "name")));
        return text_print(&t, e);
}
