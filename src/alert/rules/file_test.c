/* SPDX-License-Identifier: Apache-2.0 */
#include "alert/rules/file.h"

#include "base/file.h"
#include "base/test.h"
#include "codec/json.h"

static void put_errors(struct buf *b, ErrorVec *errors)
{
        for (size_t i = 0; i < errors->n; i++)
                buf_printf(b, "%s\n", error_str(errors->p[i]));
}

/* What a text is refused with, or "" and the number of groups. */
static void text_case(const char *text, const char *want)
{
        struct rule_file f;
        ErrorVec errors = VEC_INIT;
        struct buf b = BUF_INIT(1 << 20);
        struct rule_file_opts o = {0};
        if (rule_file_parse(str_from(text), &o, &f, &errors))
                rule_file_done(&f);
        put_errors(&b, &errors);
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
        error_vec_done(&errors);
}

/* Every file of a folder with verdicts of `promtool check rules`: errors and numbers of rules agree. */
static void verdicts(const char *sub)
{
        char *dir = conformance_path(sub), *path = path_join(dir, "verdicts.json"), *text;
        size_t n, ran = 0;
        struct arena a;
        const struct json *root;
        CHECK_OK(file_read(path, 16 << 20, &text, &n));
        arena_init(&a, 64 << 20);
        CHECK_OK(json_parse((Str){text, n}, &a, &root));
        JSON_EACH(m, root) {
                const struct json *v = json_get(&m->value, STR("check_rules"));
                Str want_err = json_str(json_get(v, STR("stderr"))), want_out = json_str(json_get(v, STR("stdout")));
                char *name = str_dup(m->key), *file = path_join(dir, name);
                struct rule_file f;
                ErrorVec errors = VEC_INIT;
                struct rule_file_opts o = {0};
                struct buf b = BUF_INIT(1 << 20), prefix = BUF_INIT(4096);
                bool ok = rule_file_load(file, &o, &f, &errors);
                /* Recorded in that folder: paths are names. */
                buf_puts(&b, errors.n ? "  FAILED:\n" : "");
                buf_printf(&prefix, "%s/", dir);
                for (size_t i = 0; i < errors.n; i++)
                        buf_printf(&b, STR_FMT "\n", STR_ARG(str_trim_prefix(str_from(error_str(errors.p[i])), buf_str(&prefix))));
                if (json_i64(json_get(v, STR("exit"))) != 0) {
                        CHECK(!ok);
                        CHECK_STRS(buf_str(&b), want_err);
                } else {
                        size_t rules = 0;
                        CHECK_MSG(ok, "%s: %s", name, buf_cstr(&b));
                        for (size_t i = 0; i < f.n; i++)
                                rules += f.groups[i].n_rules;
                        buf_clear(&b);
                        buf_printf(&b, "SUCCESS: %zu rules found", rules);
                        if (str_contains(want_out, STR("SUCCESS")))     /* lints hide the number */
                                CHECK_MSG(str_contains(want_out, buf_str(&b)), "%s: %s, not " STR_FMT, name, buf_cstr(&b), STR_ARG(want_out));
                        CHECK(f.has_more_documents == str_contains(want_err, STR("Multiple document")));
                        rule_file_done(&f);
                }
                ran++;
                buf_done(&b);
                buf_done(&prefix);
                error_vec_done(&errors);
                free(file);
                free(name);
        }
        CHECK(ran > 10);
        arena_done(&a);
        free(text);
        free(path);
        free(dir);
}

TEST(rule_file, agrees_with_the_verdicts_over_rulefmt)
{
        verdicts("rules/rulefmt");
}

TEST(rule_file, agrees_with_the_verdicts_over_rules)
{
        verdicts("rules/rules");
}

TEST(rule_file, loads_the_stock_rules_of_kube_prometheus_stack)
{
        char *dir = conformance_path("stack/rules");
        PathVec names = VEC_INIT;
        size_t rules = 0, files = 0;
        CHECK_OK(dir_list(dir, &names));
        for (size_t i = 0; i < names.n; i++) {
                char *path = path_join(dir, names.p[i]);
                struct rule_file f;
                ErrorVec errors = VEC_INIT;
                struct rule_file_opts o = {0};
                if (str_has_suffix(str_from(path), STR(".yml")) || str_has_suffix(str_from(path), STR(".yaml"))) {
                        bool ok = rule_file_load(path, &o, &f, &errors);
                        CHECK_MSG(ok, "%s", errors.n ? error_str(errors.p[0]) : "");
                        for (size_t k = 0; k < f.n; k++)
                                rules += f.groups[k].n_rules;
                        rule_file_done(&f);
                        files++;
                }
                error_vec_done(&errors);
                free(path);
        }
        CHECK(files >= 18 && rules > 100);
        path_vec_done(&names);
        free(dir);
}

TEST(rule_file, refuses_with_the_words_of_the_original)
{
        text_case("", "");
        text_case("groups:\n- name: a\n  interval: 5x\n", "unknown unit \"x\" in duration \"5x\"\nunknown unit \"x\" in duration \"5x\"\n");
        text_case("groups:\n- name: a\n  name: b\n",
                  "yaml: unmarshal errors:\n  line 3: mapping key \"name\" already defined at line 2\nyaml: unmarshal errors:\n  line 3: mapping key \"name\" already defined at line 2\n");
        text_case("groups: 5\n", "yaml: unmarshal errors:\n  line 1: cannot unmarshal !!int `5` into []rulefmt.RuleGroup\n"
                                 "yaml: unmarshal errors:\n  line 1: cannot unmarshal !!int `5` into []rulefmt.RuleGroupNode\n");
        text_case("groups:\n- rules: []\n", "0:0: Groupname must not be empty\n");
        text_case("groups:\n- name: g\n  labels: {__name__: x}\n", "invalid label name: __name__\n");
        text_case("groups:\n- name: g\n  rules:\n  - alert: A\n    expr: up\n    annotations: {s: \"{{ nope }}\"}\n",
                  "group \"g\", rule 1, \"A\": annotation \"s\": template: __alert_A:1: function \"nope\" not defined\n");
}

TEST(rule_labels, join_with_the_rule_on_top)
{
        static const Label group[] = {{STR_INIT("a"), STR_INIT("1")}, {STR_INIT("b"), STR_INIT("2")}}, own[] = {{STR_INIT("b"), STR_INIT("3")}, {STR_INIT("c"), STR_INIT("4")}};
        struct arena a;
        struct buf b = BUF_INIT(256);
        arena_init(&a, 1 << 16);
        labels_print(&b, rule_labels_join(&a, (Labels){group, 2}, (Labels){own, 2}));
        CHECK_STR(buf_str(&b), "{a=\"1\", b=\"3\", c=\"4\"}");
        buf_done(&b);
        arena_done(&a);
}
