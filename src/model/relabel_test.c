/* SPDX-License-Identifier: Apache-2.0 */
#include "model/relabel.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/test.h"
#include "codec/json.h"

static Labels labels_of(const struct json *object, struct arena *a)
{
        Label *v = arena_array(a, Label, object ? object->n : 0);
        size_t n = 0;
        JSON_EACH(m, object)
        v[n++] = (Label){m->key, json_str(&m->value)};
        labels_sort(v, n);
        return (Labels){v, n};
}

/* A rule of the tables, where an empty field was not written (as their runner fills it in; validation cases: fill_in is
 * false). */
static struct relabel_rule rule_of(const struct json *j, bool fill_in, struct arena *a)
{
        struct relabel_rule r = {.action = RELABEL_REPLACE};
        const struct json *sources = json_get(j, STR("SourceLabels"));
        Str *names = sources && sources->type == JSON_ARRAY ? arena_array(a, Str, sources->n) : NULL;
        for (size_t i = 0; names && i < sources->n; i++)
                names[r.n_source++] = json_str(json_at(sources, i));
        r.source_labels = names;
        r.separator = json_str(json_get(j, STR("Separator")));
        r.regex = json_str(json_get(j, STR("Regex")));
        r.replacement = json_str(json_get(j, STR("Replacement")));
        r.target_label = json_str(json_get(j, STR("TargetLabel")));
        r.modulus = (uint64_t)json_i64(json_get(j, STR("Modulus")));
        r.utf8_names = !str_eq(json_str(json_get(j, STR("NameValidationScheme"))), STR("legacy"));
        r.has_separator = r.separator.n > 0 || !fill_in;
        r.has_replacement = r.replacement.n > 0 || !fill_in;
        r.has_regex = r.regex.n > 0;
        CHECK(relabel_action_parse(json_str(json_get(j, STR("Action"))), &r.action));
        return r;
}

static const struct json *tables_load(struct arena *a, char **ret_text)
{
        char *path = conformance_path("relabel/relabel.json");
        const struct json *tables;
        size_t n;
        CHECK_OK(file_read(path, 16 << 20, ret_text, &n));
        CHECK_OK(json_parse((Str){*ret_text, n}, a, &tables));
        free(path);
        return tables;
}

static void relabel_case(const struct json *c, struct arena *a)
{
        const struct json *rules_json = json_get(c, STR("relabel"));
        size_t n = rules_json->n;
        struct relabel_rule *rules = arena_array(a, struct relabel_rule, n);
        for (size_t i = 0; i < n; i++) {
                rules[i] = rule_of(json_at(rules_json, i), /* fill_in= */ true, a);
                CHECK_OK(relabel_rule_check(&rules[i]));
        }
        struct labels_builder b;
        labels_builder_init(&b);
        labels_builder_reset(&b, labels_of(json_get(c, STR("input")), a));
        bool keep = relabel_process(rules, n, &b, a);
        CHECK(keep == !json_bool(json_get(c, STR("drop"))));
        if (keep) {
                struct buf got = BUF_INIT(1 << 20), want = BUF_INIT(1 << 20);
                labels_print(&got, labels_builder_labels(&b, a));
                labels_print(&want, labels_of(json_get(c, STR("output")), a));
                CHECK_STRS(buf_str(&got), buf_str(&want));
                buf_done(&got);
                buf_done(&want);
        }
        labels_builder_done(&b);
        for (size_t i = 0; i < n; i++)
                relabel_rule_done(&rules[i]);
}

TEST(relabel, gives_what_upstreams_table_wants)
{
        struct arena a;
        char *text;
        arena_init(&a, 64 << 20);
        const struct json *table = json_get(tables_load(&a, &text), STR("TestRelabel"));
        size_t n = 0;
        JSON_EACH(c, table)
        {
                relabel_case(&c->value, &a);
                n++;
        }
        CHECK_U64(n, 34);
        free(text);
        arena_done(&a);
}

TEST(relabel, refuses_what_upstreams_table_refuses)
{
        struct arena a;
        char *text;
        arena_init(&a, 64 << 20);
        const struct json *tables = tables_load(&a, &text);
        size_t n = 0;
        JSON_EACH(c, json_get(tables, STR("TestRelabelValidate")))
        {
                n++;
                const struct json *config = json_get(&c->value, STR("config"));
                Str want = json_str(json_get(&c->value, STR("expected")));
                enum relabel_action action;
                if (!relabel_action_parse(json_str(json_get(config, STR("Action"))), &action)) {
                        CHECK_STR(want, "relabel action cannot be empty"); /* our rules always have one */
                        continue;
                }
                struct relabel_rule r = rule_of(config, /* fill_in= */ false, &a);
                struct error *e = relabel_rule_check(&r);
                CHECK_MSG(want.n ? e && str_contains(str_from(error_str(e)), want) : !e, "got %s, want " STR_FMT,
                          error_str(e), STR_ARG(want));
                error_free(e);
                relabel_rule_done(&r);
        }
        CHECK_U64(n, 10);
        JSON_EACH(c, json_get(tables, STR("TestTargetLabelLegacyValidity")))
        {
                struct relabel_rule r = {.action = RELABEL_LABELMAP,
                                         .has_replacement = true,
                                         .replacement = json_str(json_get(&c->value, STR("str")))};
                struct error *e = relabel_rule_check(&r);
                CHECK_MSG(!e == json_bool(json_get(&c->value, STR("valid"))), STR_FMT ": %s", STR_ARG(r.replacement),
                          error_str(e));
                error_free(e);
                relabel_rule_done(&r);
                n++;
        }
        CHECK_U64(n, 26);
        free(text);
        arena_done(&a);
}

static void refuse_case(struct relabel_rule r, const char *want)
{
        CHECK_ERROR(relabel_rule_check(&r), want);
        relabel_rule_done(&r);
}

TEST(relabel_rule_check, tells_upstreams_texts)
{
        refuse_case((struct relabel_rule){.action = RELABEL_HASHMOD, .target_label = STR("a")},
                    "relabel configuration for hashmod requires non-zero modulus");
        refuse_case((struct relabel_rule){.action = RELABEL_KEEPEQUAL},
                    "relabel configuration for keepequal action requires 'target_label' value");
        refuse_case((struct relabel_rule){.action = RELABEL_REPLACE, .target_label = STR("a.b")},
                    "\"a.b\" is invalid 'target_label' for replace action");
        refuse_case((struct relabel_rule){.action = RELABEL_LOWERCASE,
                                          .target_label = STR("a"),
                                          .has_replacement = true,
                                          .replacement = STR("x")},
                    "'replacement' can not be set for lowercase action");
        refuse_case(
                (struct relabel_rule){.action = RELABEL_LABELMAP, .has_replacement = true, .replacement = STR("a-b")},
                "\"a-b\" is invalid 'replacement' for labelmap action");
        refuse_case(
                (struct relabel_rule){
                        .action = RELABEL_DROPEQUAL, .target_label = STR("a"), .has_regex = true, .regex = STR("(.*)")},
                "dropequal action requires only 'source_labels' and `target_label`, and no other fields");
        refuse_case((struct relabel_rule){.action = RELABEL_LABELDROP, .target_label = STR("a")},
                    "labeldrop action requires only 'regex', and no other fields");
}

static void one_rule_case(struct relabel_rule r, Str a_value, const char *want)
{
        struct arena a;
        arena_init(&a, 1 << 20);
        CHECK_OK(relabel_rule_check(&r));
        struct labels_builder b;
        labels_builder_init(&b);
        labels_builder_reset(&b, (Labels){&(Label){STR("a"), a_value}, 1});
        CHECK(relabel_process(&r, 1, &b, &a));
        struct buf got = BUF_INIT(1 << 20);
        labels_print(&got, labels_builder_labels(&b, &a));
        CHECK_STR(buf_str(&got), want);
        buf_done(&got);
        labels_builder_done(&b);
        relabel_rule_done(&r);
        arena_done(&a);
}

TEST(relabel, changes_case_as_unicode_does)
{
        struct relabel_rule lower = {.source_labels = &STR("a"),
                                     .n_source = 1,
                                     .action = RELABEL_LOWERCASE,
                                     .target_label = STR("b"),
                                     .utf8_names = true};
        struct relabel_rule upper = lower;
        upper.action = RELABEL_UPPERCASE;
        one_rule_case(lower, STR("AbC É Ж 9"), "{a=\"AbC É Ж 9\", b=\"abc é ж 9\"}");
        one_rule_case(upper, STR("AbC é ж ß"), "{a=\"AbC é ж ß\", b=\"ABC É Ж ß\"}");
        one_rule_case(lower,
                      STR("\xff"
                          "A"),
                      "{a=\"\\xffA\", b=\"\xef\xbf\xbd"
                      "a\"}");
}

TEST(relabel, writes_no_label_of_an_invalid_name)
{
        struct relabel_rule r = {
                .source_labels = &STR("a"), .n_source = 1, .target_label = STR("$1"), .utf8_names = false};
        one_rule_case(r, STR("x.y"), "{a=\"x.y\"}");
        r.utf8_names = true;
        one_rule_case(r, STR("x.y"), "{a=\"x.y\", \"x.y\"=\"x.y\"}");
}

TEST(relabel, drops_what_outgrows_the_arena)
{
        struct arena a;
        arena_init(&a, 4096);
        struct relabel_rule r = {.source_labels = &STR("a"),
                                 .n_source = 1,
                                 .target_label = STR("a"),
                                 .has_replacement = true,
                                 .replacement = STR("$1$1$1$1$1$1$1$1"),
                                 .utf8_names = true};
        CHECK_OK(relabel_rule_check(&r));
        struct relabel_rule many[5] = {r, r, r, r, r};
        struct labels_builder b;
        labels_builder_init(&b);
        labels_builder_reset(&b, (Labels){&(Label){STR("a"), STR("12345678")}, 1});
        CHECK(relabel_process(many, 2, &b, &a));
        CHECK(!relabel_process(many, 5, &b, &a));
        labels_builder_done(&b);
        relabel_rule_done(&r);
        arena_done(&a);
}
