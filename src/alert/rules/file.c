/* SPDX-License-Identifier: Apache-2.0 */
/* The original decodes each file twice: once strictly into plain values, once into nodes, for positions. A value of a wrong type is reported by
 * both, so this does the same walk twice; what is only looked at by one of them (unknown keys; types of record, alert and expr) is told once. */
#include "alert/rules/file.h"

#include "alert/template/template.h"
#include "base/file.h"
#include "codec/quote.h"
#include "codec/yaml.h"
#include "model/duration.h"

enum { FILE_MAX_BYTES = 64 << 20, FILE_MEMORY_MAX_BYTES = 1 << 30 };

struct place {
        int line, column;               /* 0: the key is not there */
};
struct rule_places {
        struct place record, alert, expr;
};
struct reader {
        struct arena *a;
        const struct rule_file_opts *o;
        bool nodes;                     /* the second walk */
        VEC(Str) complaints;
        struct error *fatal;            /* what a duration refuses ends the walk */
        ErrorVec *errors;
        struct rule_places **places;    /* of each group, of each rule: filled by the second walk */
};

void error_vec_done(ErrorVec *v)
{
        for (size_t i = 0; i < v->n; i++)
                error_free(v->p[i]);
        vec_done(v);
}

/* ---- decoding ---- */

static void wrong_type(struct reader *r, const struct yaml *y, const char *go_type)
{
        if (y->type != YAML_SCALAR) {
                vec_push(&r->complaints, arena_printf(r->a, "line %d: cannot unmarshal %s into %s", y->line, y->type == YAML_SEQ ? "!!seq" : "!!map", go_type));
                return;
        }
        int64_t i;
        const char *tag = y->plain && str_to_i64(y->text, &i) ? "!!int" : y->plain && (str_eq(y->text, STR("true")) || str_eq(y->text, STR("false"))) ? "!!bool" : "!!str";
        Str shown = y->text.n > 10 ? arena_printf(r->a, STR_FMT "...", 7, y->text.p) : y->text;
        vec_push(&r->complaints, arena_printf(r->a, "line %d: cannot unmarshal %s `" STR_FMT "` into %s", y->line, tag, STR_ARG(shown), go_type));
}

/* False: told, and the struct stays as it is. */
static bool keys_are_unique(struct reader *r, const struct yaml *y)
{
        bool ok = true;
        for (size_t i = 0; i < y->n; i++) {
                for (size_t k = i + 1; k < y->n; k++) {
                        if (!str_eq(y->keys[i]->text, y->keys[k]->text))
                                continue;
                        struct buf b = BUF_INIT(1 << 16);
                        buf_put_go_quoted(&b, y->keys[k]->text);
                        vec_push(&r->complaints, arena_printf(r->a, "line %d: mapping key " STR_FMT " already defined at line %d", y->keys[k]->line, STR_ARG(buf_str(&b)), y->keys[i]->line));
                        buf_done(&b);
                        ok = false;
                }
        }
        return ok;
}

static bool map_begins(struct reader *r, const struct yaml *y, const char *go_type)
{
        if (yaml_is_null(y))
                return false;
        if (y->type != YAML_MAP) {
                wrong_type(r, y, go_type);
                return false;
        }
        return keys_are_unique(r, y);
}

static void unknown_key(struct reader *r, const struct yaml *key, const char *go_type)
{
        if (!r->nodes && !r->o->ignore_unknown_fields)
                vec_push(&r->complaints, arena_printf(r->a, "line %d: field " STR_FMT " not found in type %s", key->line, STR_ARG(key->text), go_type));
}

static void read_str(struct reader *r, const struct yaml *y, Str *ret)
{
        if (yaml_is_null(y))
                return;
        if (y->type != YAML_SCALAR)
                wrong_type(r, y, "string");
        else
                *ret = y->text;
}

/* A key that is kept as a node in the second walk, where any type will do. */
static void read_placed(struct reader *r, const struct yaml *y, Str *ret, struct place *ret_place)
{
        *ret_place = (struct place){y->line, y->column};
        if (!r->nodes)
                read_str(r, y, ret);
}

static void read_duration(struct reader *r, const struct yaml *y, int64_t *ret)
{
        if (yaml_is_null(y) || r->fatal)
                return;
        if (y->type != YAML_SCALAR)
                wrong_type(r, y, "string");
        else
                r->fatal = duration_parse(y->text, ret);
}

static void read_int(struct reader *r, const struct yaml *y, int64_t *ret)
{
        if (!yaml_is_null(y) && (y->type != YAML_SCALAR || !y->plain || !str_to_i64(y->text, ret)))
                wrong_type(r, y, "int");
}

static void read_labels(struct reader *r, const struct yaml *y, Labels *ret)
{
        if (!map_begins(r, y, "map[string]string"))
                return;
        Label *v = arena_array(r->a, Label, y->n + 1);
        size_t n = 0;
        for (size_t i = 0; i < y->n; i++) {
                v[n] = (Label){y->keys[i]->text, STR("")};
                size_t before = r->complaints.n;
                if (y->keys[i]->type != YAML_SCALAR)
                        wrong_type(r, y->keys[i], "string");
                read_str(r, y->items[i], &v[n].value);
                n += r->complaints.n == before;
        }
        labels_sort(v, n);
        *ret = (Labels){v, n};
}

static void read_rule(struct reader *r, const struct yaml *y, struct rule_def *ret, struct rule_places *p)
{
        const char *type = r->nodes ? "rulefmt.RuleNode" : "rulefmt.Rule";
        if (!map_begins(r, y, type))
                return;
        for (size_t i = 0; i < y->n; i++) {
                Str key = y->keys[i]->text;
                const struct yaml *v = y->items[i];
                if (str_eq(key, STR("record")))
                        read_placed(r, v, &ret->record, &p->record);
                else if (str_eq(key, STR("alert")))
                        read_placed(r, v, &ret->alert, &p->alert);
                else if (str_eq(key, STR("expr")))
                        read_placed(r, v, &ret->expr, &p->expr);
                else if (str_eq(key, STR("for")))
                        read_duration(r, v, &ret->for_ms);
                else if (str_eq(key, STR("keep_firing_for")))
                        read_duration(r, v, &ret->keep_firing_ms);
                else if (str_eq(key, STR("labels")))
                        read_labels(r, v, &ret->labels);
                else if (str_eq(key, STR("annotations")))
                        read_labels(r, v, &ret->annotations);
                else
                        unknown_key(r, y->keys[i], type);
        }
}

/* A list; its length and items, or nothing. */
static size_t list_begins(struct reader *r, const struct yaml *y, const char *go_type)
{
        if (yaml_is_null(y))
                return 0;
        if (y->type != YAML_SEQ) {
                wrong_type(r, y, go_type);
                return 0;
        }
        return y->n;
}

static void read_group(struct reader *r, const struct yaml *y, struct rule_group_def *ret, struct rule_places **places)
{
        const char *type = r->nodes ? "rulefmt.RuleGroupNode" : "rulefmt.RuleGroup";
        if (!map_begins(r, y, type))
                return;
        for (size_t i = 0; i < y->n; i++) {
                Str key = y->keys[i]->text;
                const struct yaml *v = y->items[i];
                if (str_eq(key, STR("name")))
                        read_str(r, v, &ret->name);
                else if (str_eq(key, STR("interval")))
                        read_duration(r, v, &ret->interval_ms);
                else if (str_eq(key, STR("query_offset"))) {
                        ret->has_query_offset = !yaml_is_null(v);
                        read_duration(r, v, &ret->query_offset_ms);
                } else if (str_eq(key, STR("limit")))
                        read_int(r, v, &ret->limit);
                else if (str_eq(key, STR("labels")))
                        read_labels(r, v, &ret->labels);
                else if (str_eq(key, STR("rules"))) {
                        size_t n = list_begins(r, v, r->nodes ? "[]rulefmt.RuleNode" : "[]rulefmt.Rule");
                        struct rule_def *rules = arena_zalloc(r->a, arena_array_bytes(n + 1, sizeof *rules));
                        *places = arena_zalloc(r->a, arena_array_bytes(n + 1, sizeof **places));
                        for (size_t k = 0; k < n; k++)
                                read_rule(r, v->items[k], &rules[k], &(*places)[k]);
                        ret->rules = rules;
                        ret->n_rules = n;
                } else
                        unknown_key(r, y->keys[i], type);
        }
}

static void read_root(struct reader *r, const struct yaml *y, struct rule_file *ret)
{
        const char *type = r->nodes ? "rulefmt.ruleGroups" : "rulefmt.RuleGroups";
        if (!y || !map_begins(r, y, type))
                return;
        for (size_t i = 0; i < y->n; i++) {
                if (!str_eq(y->keys[i]->text, STR("groups"))) {
                        unknown_key(r, y->keys[i], type);
                        continue;
                }
                const struct yaml *v = y->items[i];
                size_t n = list_begins(r, v, r->nodes ? "[]rulefmt.RuleGroupNode" : "[]rulefmt.RuleGroup");
                struct rule_group_def *groups = arena_zalloc(r->a, arena_array_bytes(n + 1, sizeof *groups));
                r->places = arena_zalloc(r->a, arena_array_bytes(n + 1, sizeof *r->places));
                for (size_t k = 0; k < n; k++)
                        read_group(r, v->items[k], &groups[k], &r->places[k]);
                ret->groups = groups;
                ret->n = n;
        }
}

/* One walk; false: its error was appended. */
static bool decode(struct reader *r, const struct yaml *root, bool nodes, struct rule_file *ret)
{
        r->nodes = nodes;
        vec_clear(&r->complaints);
        read_root(r, root, ret);
        struct error *e = r->fatal;
        r->fatal = NULL;
        if (!e && r->complaints.n) {
                struct buf b = BUF_INIT(1 << 20);
                for (size_t i = 0; i < r->complaints.n; i++)
                        buf_printf(&b, "\n  " STR_FMT, STR_ARG(r->complaints.p[i]));
                e = error_new(ERROR_INVALID, "yaml: unmarshal errors:%s", buf_cstr(&b));
                buf_done(&b);
        }
        if (e)
                vec_push(r->errors, e);
        return !e;
}

/* A line "---" behind something that is no comment. */
static bool has_second_document(Str text)
{
        bool content = false;
        Str line;
        while (str_next(&text, '\n', &line)) {
                bool is_mark = str_has_prefix(line, STR("---")) && (line.n == 3 || line.p[3] == ' ' || line.p[3] == '\r' || line.p[3] == '\t');
                if (is_mark && content)
                        return true;
                Str s = str_trim(line);
                if ((s.n && s.p[0] != '#') || is_mark)
                        content = content || !is_mark || s.n > 3;
        }
        return false;
}

/* ---- judging ---- */

struct judge {
        const struct rule_file_opts *o;
        ErrorVec *errors;
        Str group, rule;
        size_t index;                   /* of the rule, from 1 */
};

static void PRINTF_LIKE(4, 5) refuse(struct judge *j, const struct place *at, const struct place *also, const char *fmt, ...)
{
        struct buf b = BUF_INIT(4 << 20);
        va_list ap;
        if (at)
                buf_printf(&b, "%d:%d: ", at->line, at->column);
        if (also)
                buf_printf(&b, "%d:%d: ", also->line, also->column);
        buf_puts(&b, "group ");
        buf_put_go_quoted(&b, j->group);
        buf_printf(&b, ", rule %zu, ", j->index);
        buf_put_go_quoted(&b, j->rule);
        buf_puts(&b, ": ");
        va_start(ap, fmt);
        buf_vprintf(&b, fmt, ap);
        va_end(ap);
        vec_push(j->errors, error_new(ERROR_INVALID, "%s", buf_cstr(&b)));
        buf_done(&b);
}

static bool label_name_is_good(const struct judge *j, Str name)
{
        return j->o->legacy_names ? label_name_is_legacy(name) : label_name_is_valid_utf8(name);
}

static bool label_name_is_allowed(const struct judge *j, Str name)
{
        return label_name_is_good(j, name) && !str_eq(name, STR(METRIC_NAME));
}

static void judge_expr(struct judge *j, const struct rule_def *d, const struct rule_places *p)
{
        enum { PARSE_MAX_BYTES = 256 << 20 };
        if (d->expr.n == 0) {
                refuse(j, &p->expr, NULL, "field 'expr' must be set in rule");
                return;
        }
        struct arena scratch;
        struct promql_tree tree = PROMQL_TREE_INIT;
        arena_init(&scratch, PARSE_MAX_BYTES);
        struct error *e = promql_parse(&j->o->parse, d->expr, &scratch, &tree);
        if (e)
                refuse(j, &p->expr, NULL, "could not parse expression: %s", error_str(e));
        else
                promql_tree_done(&tree);
        error_free(e);
        arena_done(&scratch);
}

static void judge_recording(struct judge *j, const struct rule_def *d, const struct rule_places *p)
{
        if (d->annotations.n)
                refuse(j, &p->record, NULL, "invalid field 'annotations' in recording rule");
        if (d->for_ms)
                refuse(j, &p->record, NULL, "invalid field 'for' in recording rule");
        if (d->keep_firing_ms)
                refuse(j, &p->record, NULL, "invalid field 'keep_firing_for' in recording rule");
        if (j->o->legacy_names ? !metric_name_is_legacy(d->record) : !label_name_is_valid_utf8(d->record))
                refuse(j, &p->record, NULL, "invalid recording rule name: " STR_FMT, STR_ARG(d->record));
        if (str_find(d->record, '{') >= 0 || str_find(d->record, '}') >= 0)
                refuse(j, &p->record, NULL, "braces present in the recording rule name; should it be in expr?: " STR_FMT, STR_ARG(d->record));
}

static void judge_templates(struct judge *j, Str alert, Labels ls, const char *what)
{
        for (size_t i = 0; i < ls.n; i++) {
                struct error *e = alert_template_check(alert, ls.v[i].value);
                if (!e)
                        continue;
                struct buf b = BUF_INIT(1 << 16);
                buf_put_go_quoted(&b, ls.v[i].name);
                refuse(j, NULL, NULL, "%s %s: %s", what, buf_cstr(&b), error_str(e));
                buf_done(&b);
                error_free(e);
        }
}

static void judge_rule(struct judge *j, const struct rule_def *d, const struct rule_places *p)
{
        if (d->record.n && d->alert.n)
                refuse(j, &p->record, &p->alert, "only one of 'record' and 'alert' must be set");
        if (!d->record.n && !d->alert.n)
                refuse(j, &p->record, &p->alert, "one of 'record' or 'alert' must be set");
        judge_expr(j, d, p);
        if (d->record.n)
                judge_recording(j, d, p);
        for (size_t i = 0; i < d->labels.n; i++) {
                if (!label_name_is_allowed(j, d->labels.v[i].name))
                        refuse(j, NULL, NULL, "invalid label name: " STR_FMT, STR_ARG(d->labels.v[i].name));
                if (!utf8_is_valid(d->labels.v[i].value))
                        refuse(j, NULL, NULL, "invalid label value: " STR_FMT, STR_ARG(d->labels.v[i].value));
        }
        for (size_t i = 0; i < d->annotations.n; i++) {
                if (!label_name_is_good(j, d->annotations.v[i].name))
                        refuse(j, NULL, NULL, "invalid annotation name: " STR_FMT, STR_ARG(d->annotations.v[i].name));
        }
        if (d->alert.n) {
                judge_templates(j, d->alert, d->labels, "label");
                judge_templates(j, d->alert, d->annotations, "annotation");
        }
}

static void judge_file(struct judge *j, const struct rule_file *f, struct rule_places *const *places)
{
        for (size_t i = 0; i < f->n; i++) {
                const struct rule_group_def *g = &f->groups[i];
                /* Positions of groups are not kept by the original. */
                if (g->name.n == 0)
                        vec_push(j->errors, error_new(ERROR_INVALID, "0:0: Groupname must not be empty"));
                for (size_t k = 0; k < i; k++) {
                        if (str_eq(f->groups[k].name, g->name)) {
                                vec_push(j->errors, error_new(ERROR_INVALID, "0:0: groupname: \"" STR_FMT "\" is repeated in the same file", STR_ARG(g->name)));
                                break;
                        }
                }
                for (size_t k = 0; k < g->labels.n; k++) {
                        if (!label_name_is_allowed(j, g->labels.v[k].name))
                                vec_push(j->errors, error_new(ERROR_INVALID, "invalid label name: " STR_FMT, STR_ARG(g->labels.v[k].name)));
                        if (!utf8_is_valid(g->labels.v[k].value))
                                vec_push(j->errors, error_new(ERROR_INVALID, "invalid label value: " STR_FMT, STR_ARG(g->labels.v[k].value)));
                }
                j->group = g->name;
                for (size_t k = 0; k < g->n_rules; k++) {
                        j->index = k + 1;
                        j->rule = g->rules[k].alert.n ? g->rules[k].alert : g->rules[k].record;
                        judge_rule(j, &g->rules[k], &places[i][k]);
                }
        }
}

/* ---- */

bool rule_file_parse(Str text, const struct rule_file_opts *o, struct rule_file *ret, ErrorVec *errors)
{
        struct rule_file f = {.has_more_documents = has_second_document(text)}, second = {0};
        struct yaml *root = NULL;
        size_t before = errors->n;
        arena_init(&f.arena, FILE_MEMORY_MAX_BYTES);
        struct error *e = yaml_parse_with_duplicates(arena_str(&f.arena, text), &f.arena, &root);
        if (e) {
                vec_push(errors, error_dup(e));
                vec_push(errors, e);
                arena_done(&f.arena);
                return false;
        }
        struct reader r = {.a = &f.arena, .o = o, .errors = errors};
        bool ok = decode(&r, root, /* nodes= */ false, &f);
        ok &= decode(&r, root, /* nodes= */ true, &second);
        vec_done(&r.complaints);
        if (ok) {
                struct judge j = {.o = o, .errors = errors};
                judge_file(&j, &f, r.places);
        }
        if (errors->n != before) {
                arena_done(&f.arena);
                return false;
        }
        *ret = f;
        return true;
}

bool rule_file_load(const char *path, const struct rule_file_opts *o, struct rule_file *ret, ErrorVec *errors)
{
        char *text;
        size_t n, before = errors->n;
        struct error *e = file_read(path, FILE_MAX_BYTES, &text, &n);
        if (e) {
                vec_push(errors, error_wrap(e, "%s", path));
                return false;
        }
        bool ok = rule_file_parse((Str){text, n}, o, ret, errors);
        free(text);
        for (size_t i = before; i < errors->n; i++)
                errors->p[i] = error_wrap(errors->p[i], "%s", path);
        return ok;
}

void rule_file_done(struct rule_file *f)
{
        arena_done(&f->arena);
        f->groups = NULL;
        f->n = 0;
}

Labels rule_labels_join(struct arena *a, Labels group, Labels own)
{
        Label *v = arena_array(a, Label, group.n + own.n + 1);
        size_t n = 0, g = 0, o = 0;
        while (g < group.n || o < own.n) {
                int c = g == group.n ? 1 : o == own.n ? -1 : str_cmp(group.v[g].name, own.v[o].name);
                v[n++] = c < 0 ? group.v[g] : own.v[o];
                g += c <= 0;
                o += c >= 0;
        }
        return (Labels){v, n};
}
