/* SPDX-License-Identifier: Apache-2.0 */
/* file_parse.c — the text of a file_sd file: a JSON or YAML list of {targets, labels}. */
#include "codec/json.h"
#include "codec/quote.h"
#include "codec/yaml.h"
#include "collect/discovery/discovery_impl.h"

enum { PARSE_BYTES_MAX = 512 << 20 };

#define GO_GROUP_TYPE                                                                                                  \
        "struct { Targets []string \"yaml:\\\"targets\\\"\"; Labels model.LabelSet \"yaml:\\\"labels\\\"\" }"

typedef VEC(Label) Pairs;
typedef VEC(Str) TargetVec;

static struct error *invalid_label_name(Str name)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        buf_put_go_quoted(&b, name);
        buf_puts(&b, " is not a valid label name");
        struct error *e = error_new(ERROR_INVALID, STR_FMT, STR_ARG(buf_str(&b)));
        buf_done(&b);
        return e;
}

/* Fills in a group; __meta_filepath wins over a label of that name, the last of equal names over the others. Empty
 * values are no labels. */
static void group_fill(struct target_group *g, Str path, const Str *targets, size_t n, const Pairs *labels)
{
        struct arena *a = &g->arena;
        struct labels_builder b;
        labels_builder_init(&b);
        for (size_t i = 0; i < labels->n; i++)
                labels_builder_set(&b, labels->p[i].name, labels->p[i].value);
        labels_builder_set(&b, STR("__meta_filepath"), path);
        struct arena scratch;
        arena_init(&scratch, PARSE_BYTES_MAX);
        g->labels = labels_dup(a, labels_builder_labels(&b, &scratch));
        arena_done(&scratch);
        labels_builder_done(&b);

        Labels *v = arena_array(a, Labels, n);
        for (size_t i = 0; i < n; i++) {
                Label *l = arena_new(a, Label);
                *l = (Label){STR("__address__"), arena_str(a, targets[i])};
                v[i] = (Labels){l, str_is_empty(targets[i]) ? 0 : 1};
        }
        g->targets = v;
        g->n_targets = n;
}

static struct target_group *group_at(Str path, size_t i)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        buf_put(&b, path);
        buf_putc(&b, ':');
        buf_put_u64(&b, i);
        struct target_group *g = target_group_new(buf_str(&b));
        buf_done(&b);
        return g;
}

/* ---- YAML ---- */

static struct error *yaml_type_error(const struct yaml *y, const char *into)
{
        if (y->type == YAML_SEQ)
                return error_new(ERROR_INVALID, "yaml: unmarshal errors:\n  line %d: cannot unmarshal !!seq into %s",
                                 y->line, into);
        if (y->type == YAML_MAP)
                return error_new(ERROR_INVALID, "yaml: unmarshal errors:\n  line %d: cannot unmarshal !!map into %s",
                                 y->line, into);
        Str text = y->text;
        return error_new(ERROR_INVALID,
                         "yaml: unmarshal errors:\n  line %d: cannot unmarshal !!str `" STR_FMT "%s` into %s", y->line,
                         STR_ARG(str_sub(text, 0, MIN(text.n, (size_t)(text.n > 10 ? 7 : 10)))),
                         text.n > 10 ? "..." : "", into);
}

static struct error *yaml_labels(const struct yaml *y, Pairs *ret)
{
        if (yaml_is_null(y))
                return NULL;
        if (y->type != YAML_MAP)
                return yaml_type_error(y, "model.LabelSet");
        for (size_t i = 0; i < y->n; i++) {
                const struct yaml *k = y->keys[i], *v = y->items[i];
                if (k->type != YAML_SCALAR)
                        return yaml_type_error(k, "string");
                if (!label_name_is_valid_utf8(k->text))
                        return invalid_label_name(k->text);
                if (v->type != YAML_SCALAR)
                        return yaml_type_error(v, "model.LabelValue");
                vec_push(ret, ((Label){k->text, yaml_is_null(v) ? (Str){NULL, 0} : v->text}));
        }
        return NULL;
}

static struct error *yaml_targets(const struct yaml *y, TargetVec *ret)
{
        if (yaml_is_null(y))
                return NULL;
        if (y->type != YAML_SEQ)
                return yaml_type_error(y, "[]string");
        for (size_t i = 0; i < y->n; i++) {
                if (y->items[i]->type != YAML_SCALAR)
                        return yaml_type_error(y->items[i], "string");
                vec_push(ret, yaml_is_null(y->items[i]) ? (Str){NULL, 0} : y->items[i]->text);
        }
        return NULL;
}

static struct error *yaml_group(const struct yaml *y, TargetVec *targets, Pairs *labels)
{
        if (yaml_is_null(y))
                return error_new(ERROR_INVALID, "nil target group item found");
        if (y->type != YAML_MAP)
                return yaml_type_error(y, GO_GROUP_TYPE);
        for (size_t i = 0; i < y->n; i++) {
                struct error *e;
                if (str_eq(y->keys[i]->text, STR("targets")))
                        e = yaml_targets(y->items[i], targets);
                else if (str_eq(y->keys[i]->text, STR("labels")))
                        e = yaml_labels(y->items[i], labels);
                else
                        e = error_new(ERROR_INVALID,
                                      "yaml: unmarshal errors:\n  line %d: field " STR_FMT
                                      " not found in type " GO_GROUP_TYPE,
                                      y->keys[i]->line, STR_ARG(y->keys[i]->text));
                if (e)
                        return e;
        }
        return NULL;
}

static struct error *parse_yaml(Str path, Str text, struct arena *a, GroupVec *ret)
{
        struct yaml *root = NULL;
        struct error *e = yaml_parse(text, a, &root);
        if (e || !root || yaml_is_null(root))
                return e;
        if (root->type != YAML_SEQ)
                return yaml_type_error(root, "[]*targetgroup.Group");
        for (size_t i = 0; i < root->n; i++) {
                TargetVec targets = VEC_INIT;
                Pairs labels = VEC_INIT;
                e = yaml_group(root->items[i], &targets, &labels);
                if (!e) {
                        struct target_group *g = group_at(path, i);
                        group_fill(g, path, targets.p, targets.n, &labels);
                        vec_push(ret, g);
                }
                vec_done(&targets);
                vec_done(&labels);
                if (e)
                        return e;
        }
        return NULL;
}

/* ---- JSON ---- */

static const char *json_type_word(const struct json *j)
{
        switch (j->type) {
        case JSON_NULL:
                return "null";
        case JSON_BOOL:
                return "bool";
        case JSON_NUMBER:
                return "number";
        case JSON_STRING:
                return "string";
        case JSON_ARRAY:
                return "array";
        case JSON_OBJECT:
                return "object";
        }
        return "value";
}

static struct error *json_type_error(const struct json *j, const char *field, const char *into)
{
        return error_new(ERROR_INVALID, "json: cannot unmarshal %s into Go %s%s of type %s", json_type_word(j),
                         field ? "struct field ." : "value", field ? field : "", into);
}

static struct error *json_targets(const struct json *j, TargetVec *ret)
{
        if (j->type == JSON_NULL)
                return NULL;
        if (j->type != JSON_ARRAY)
                return json_type_error(j, "targets", "[]string");
        JSON_EACH(m, j)
        {
                if (m->value.type != JSON_STRING && m->value.type != JSON_NULL)
                        return json_type_error(&m->value, "targets", "string");
                vec_push(ret, m->value.text);
        }
        return NULL;
}

static struct error *json_labels(const struct json *j, Pairs *ret)
{
        if (j->type == JSON_NULL)
                return NULL;
        if (j->type != JSON_OBJECT)
                return json_type_error(j, "labels", "map[model.LabelName]model.LabelValue");
        JSON_EACH(m, j)
        {
                if (!label_name_is_valid_utf8(m->key))
                        return invalid_label_name(m->key);
                if (m->value.type != JSON_STRING && m->value.type != JSON_NULL)
                        return json_type_error(&m->value, "labels", "model.LabelValue");
                vec_push(ret, ((Label){m->key, m->value.text}));
        }
        return NULL;
}

static struct error *json_group(const struct json *j, TargetVec *targets, Pairs *labels)
{
        if (j->type == JSON_NULL)
                return error_new(ERROR_INVALID, "nil target group item found");
        if (j->type != JSON_OBJECT)
                return error_new(ERROR_INVALID,
                                 "json: cannot unmarshal %s into Go value of type struct { Targets []string "
                                 "\"json:\\\"targets\\\"\"; Labels model.LabelSet \"json:\\\"labels\\\"\" }",
                                 json_type_word(j));
        JSON_EACH(m, j)
        {
                struct error *e;
                if (str_eq_nocase(m->key, STR("targets")))
                        e = json_targets(&m->value, targets);
                else if (str_eq_nocase(m->key, STR("labels")))
                        e = json_labels(&m->value, labels);
                else
                        e = error_new(ERROR_INVALID, "json: unknown field \"" STR_FMT "\"", STR_ARG(m->key));
                if (e)
                        return e;
        }
        return NULL;
}

static struct error *parse_json(Str path, Str text, struct arena *a, GroupVec *ret)
{
        const struct json *root = NULL;
        struct error *e = json_parse(text, a, &root);
        if (e || root->type == JSON_NULL)
                return e;
        if (root->type != JSON_ARRAY)
                return error_new(ERROR_INVALID, "json: cannot unmarshal %s into Go value of type []*targetgroup.Group",
                                 json_type_word(root));
        size_t i = 0;
        JSON_EACH(m, root)
        {
                TargetVec targets = VEC_INIT;
                Pairs labels = VEC_INIT;
                e = json_group(&m->value, &targets, &labels);
                if (!e) {
                        struct target_group *g = group_at(path, i++);
                        group_fill(g, path, targets.p, targets.n, &labels);
                        vec_push(ret, g);
                }
                vec_done(&targets);
                vec_done(&labels);
                if (e)
                        return e;
        }
        return NULL;
}

struct error *file_sd_parse(Str path, Str text, GroupVec *ret)
{
        struct arena a;
        arena_init(&a, PARSE_BYTES_MAX);
        size_t before = ret->n;
        bool json = str_has_suffix(path, STR(".json")) || str_has_suffix(path, STR(".JSON"));
        struct error *e = json ? parse_json(path, text, &a, ret) : parse_yaml(path, text, &a, ret);
        if (e)
                while (ret->n > before)
                        target_group_unref(vec_pop(ret));
        arena_done(&a);
        return e;
}
