/* SPDX-License-Identifier: Apache-2.0 */
#include "config/schema.h"

#include "codec/float_text.h"
#include "codec/quote.h"
#include "model/duration.h"
#include "model/labels.h"

void conf_decoder_init(struct conf_decoder *d, struct arena *a)
{
        *d = (struct conf_decoder){.arena = a, .type_errors = VEC_INIT};
}

struct error *conf_decoder_finish(struct conf_decoder *d)
{
        struct error *e = NULL;
        if (d->type_errors.n) {
                struct buf b = BUF_INIT(1 << 20);
                for (size_t i = 0; i < d->type_errors.n; i++)
                        buf_printf(&b, "\n  " STR_FMT, STR_ARG(d->type_errors.p[i]));
                e = error_new(ERROR_INVALID, "yaml: unmarshal errors:%s", buf_cstr(&b));
                buf_done(&b);
        }
        vec_done(&d->type_errors);
        return e;
}

void conf_type_error(struct conf_decoder *d, const struct yaml *y, const char *go_type)
{
        static const char *const short_names[] = {[YAML_SEQ] = "!!seq", [YAML_MAP] = "!!map"};
        if (y->type != YAML_SCALAR) {
                vec_push(&d->type_errors, arena_printf(d->arena, "line %d: cannot unmarshal %s into %s", y->line, short_names[y->type], go_type));
                return;
        }
        uint64_t u;
        bool flag, is_int = str_to_u64(y->text, &u) && y->plain, is_bool = y->plain && yaml_to_bool(y, &flag);
        const char *tag = is_int ? "!!int" : is_bool ? "!!bool" : "!!str";
        Str shown = y->text.n > 10 ? arena_printf(d->arena, STR_FMT "...", 7, y->text.p) : y->text;
        vec_push(&d->type_errors, arena_printf(d->arena, "line %d: cannot unmarshal %s `" STR_FMT "` into %s", y->line, tag, STR_ARG(shown), go_type));
}

static struct error *strs_decode(struct conf_decoder *d, const struct yaml *y, struct conf_strs *ret)
{
        if (y->type != YAML_SEQ) {
                conf_type_error(d, y, "[]string");
                return NULL;
        }
        Str *v = arena_array(d->arena, Str, y->n + 1);
        size_t n = 0;
        for (size_t i = 0; i < y->n; i++) {
                if (y->items[i]->type != YAML_SCALAR)
                        conf_type_error(d, y->items[i], "string");
                else
                        v[n++] = y->items[i]->text;
        }
        *ret = (struct conf_strs){v, n};
        return NULL;
}

static struct error *labels_decode(struct conf_decoder *d, const struct yaml *y, Labels *ret)
{
        if (y->type != YAML_MAP) {
                conf_type_error(d, y, "map[string]string");
                return NULL;
        }
        Label *v = arena_array(d->arena, Label, y->n + 1);
        size_t n = 0;
        for (size_t i = 0; i < y->n; i++) {
                if (y->items[i]->type != YAML_SCALAR) {
                        conf_type_error(d, y->items[i], "string");
                        continue;
                }
                if (conf_key_is_again(d, y, i))
                        continue;
                v[n].name = y->keys[i]->text;
                v[n++].value = yaml_is_null(y->items[i]) ? STR("") : y->items[i]->text;
        }
        labels_sort(v, n);
        *ret = (Labels){v, n};
        return NULL;
}

static struct error *list_decode(struct conf_decoder *d, const struct conf_field *f, const struct yaml *y, struct conf_list *ret)
{
        if (y->type != YAML_SEQ) {
                struct buf type = BUF_INIT(256);
                buf_printf(&type, "[]*%s", f->sub->type);
                conf_type_error(d, y, buf_cstr(&type));
                buf_done(&type);
                return NULL;
        }
        char *v = arena_zalloc(d->arena, arena_array_bytes(y->n + 1, f->sub->size));
        for (size_t i = 0; i < y->n; i++) {
                if (yaml_is_null(y->items[i]) && f->sub->null_entry)
                        return error_new(ERROR_INVALID, "%s", f->sub->null_entry);
                struct error *e = conf_decode(d, f->sub, y->items[i], v + i * f->sub->size);
                if (e)
                        return e;
        }
        *ret = (struct conf_list){v, y->n};
        return NULL;
}

static bool is_refused_harmless(const struct conf_field *f, const struct yaml *y)
{
        if (yaml_is_null(y) || (y->type != YAML_SCALAR && y->n == 0))
                return true;
        return f->note && y->type == YAML_SCALAR && str_eq(y->text, str_from(f->note));
}

static struct error *scalar_decode(struct conf_decoder *d, const struct conf_field *f, const struct yaml *y, void *at)
{
        static const char *const go_types[] = {
                [CONF_CSTR] = "string", [CONF_STR] = "string", [CONF_BOOL] = "bool", [CONF_INT] = "int", [CONF_UINT] = "uint", [CONF_INT32] = "int",
                [CONF_FLOAT] = "float64", [CONF_DURATION] = "string", [CONF_BYTES] = "string",
        };
        if (y->type != YAML_SCALAR) {
                conf_type_error(d, y, go_types[f->kind]);
                return NULL;
        }
        bool flag, range;
        int64_t i;
        struct error *e = NULL;
        switch (f->kind) {
        case CONF_CSTR:
                *(const char **)at = arena_str(d->arena, y->text).p;
                break;
        case CONF_STR:
                *(Str *)at = y->text;
                break;
        case CONF_BOOL:
                if (yaml_to_bool(y, &flag))
                        *(bool *)at = f->bits & CONF_NEGATED ? !flag : flag;
                else
                        conf_type_error(d, y, "bool");
                break;
        case CONF_INT:
        case CONF_INT32:
        case CONF_UINT:
                if (!str_to_i64(y->text, &i) || (f->kind == CONF_UINT && i < 0) || (f->kind == CONF_INT32 && i != (int)i))
                        conf_type_error(d, y, go_types[f->kind]);
                else if (f->kind == CONF_INT32)
                        *(int *)at = (int)i;
                else
                        *(int64_t *)at = i;
                break;
        case CONF_FLOAT:
                if (!float_parse(y->text, (double *)at, &range))
                        conf_type_error(d, y, "float64");
                break;
        case CONF_DURATION:
                e = duration_parse(y->text, (int64_t *)at);
                break;
        case CONF_BYTES:
                e = size_parse(y->text, (uint64_t *)at);
                break;
        default:
                bug("not a scalar kind: %d", f->kind);
        }
        return e;
}

struct error *conf_decode_value(struct conf_decoder *d, const struct conf_field *f, const struct yaml *y, void *at)
{
        if (f->kind == CONF_REFUSED)
                return is_refused_harmless(f, y) ? NULL : error_new(ERROR_UNSUPPORTED, "line %d: %s is not supported yet", y->line, f->key);
        if (f->kind == CONF_CUSTOM)
                return f->decode(d, y, at);
        if (f->kind == CONF_STRUCT)
                return conf_decode(d, f->sub, y, at);
        if (yaml_is_null(y))
                return NULL;
        switch (f->kind) {
        case CONF_STRS:
                return strs_decode(d, y, at);
        case CONF_LABELS:
                return labels_decode(d, y, at);
        case CONF_LIST:
                return list_decode(d, f, y, at);
        default:
                return scalar_decode(d, f, y, at);
        }
}

/* The row of a key, looking into inlined schemas; *ret_object is the struct that the row's offset counts from. */
static const struct conf_field *field_find(const struct conf_schema *s, Str key, char *object, char **ret_object)
{
        for (size_t i = 0; i < s->n; i++) {
                const struct conf_field *f = &s->fields[i];
                if (f->kind == CONF_INLINE) {
                        const struct conf_field *in = field_find(f->sub, key, object + f->offset, ret_object);
                        if (in)
                                return in;
                } else if (str_eq(str_from(f->key), key)) {
                        *ret_object = object;
                        return f;
                }
        }
        return NULL;
}

static void defaults_fill(const struct conf_schema *s, char *object)
{
        if (s->defaults)
                memcpy(object, s->defaults, s->size);
        else
                memset(object, 0, s->size);
}

static struct error *inline_checks(struct conf_decoder *d, const struct conf_schema *s, const struct yaml *y, char *object)
{
        for (size_t i = 0; i < s->n; i++) {
                const struct conf_field *f = &s->fields[i];
                if (f->kind != CONF_INLINE)
                        continue;
                struct error *e = inline_checks(d, f->sub, y, object + f->offset);
                if (!e && f->sub->check)
                        e = f->sub->check(d, y, object + f->offset);
                if (e)
                        return e;
        }
        return NULL;
}

static bool key_is_again(const struct yaml *y, size_t i)
{
        for (size_t k = 0; k < i; k++) {
                if (str_eq(y->keys[k]->text, y->keys[i]->text))
                        return true;
        }
        return false;
}

bool conf_key_is_again(struct conf_decoder *d, const struct yaml *y, size_t i)
{
        if (!key_is_again(y, i))
                return false;
        struct buf b = BUF_INIT(1 << 16);
        buf_put_go_quoted(&b, y->keys[i]->text);
        vec_push(&d->type_errors, arena_printf(d->arena, "line %d: key %s already set in map", y->items[i]->line, buf_cstr(&b)));
        buf_done(&b);
        return true;
}

struct error *conf_decode(struct conf_decoder *d, const struct conf_schema *s, const struct yaml *y, void *object)
{
        size_t errors = d->type_errors.n;
        defaults_fill(s, object);
        if (yaml_is_null(y))
                return NULL;
        if (y->type != YAML_MAP) {
                conf_type_error(d, y, s->type);
                return NULL;
        }
        for (size_t i = 0; i < y->n; i++) {
                char *owner;
                const struct conf_field *f = field_find(s, y->keys[i]->text, object, &owner);
                if (f && key_is_again(y, i)) {
                        vec_push(&d->type_errors, arena_printf(d->arena, "line %d: field " STR_FMT " already set in type %s", y->keys[i]->line,
                                                               STR_ARG(y->keys[i]->text), s->type));
                        continue;
                }
                if (!f) {
                        vec_push(&d->type_errors, arena_printf(d->arena, "line %d: field " STR_FMT " not found in type %s", y->keys[i]->line,
                                                               STR_ARG(y->keys[i]->text), s->type));
                        continue;
                }
                struct error *e = conf_decode_value(d, f, y->items[i], owner + f->offset);
                if (e)
                        return e;
        }
        if (d->type_errors.n != errors)
                return NULL;
        struct error *e = inline_checks(d, s, y, object);
        return e || !s->check ? e : s->check(d, y, object);
}

void conf_put_indent(struct buf *b, int indent)
{
        buf_printf(b, "%*s", indent, "");
}

void conf_put_labels(struct buf *b, const char *key, const void *at, int indent)
{
        const Labels *ls = at;
        if (ls->n == 0)
                return;
        conf_put_indent(b, indent);
        buf_printf(b, "%s:\n", key);
        for (size_t i = 0; i < ls->n; i++) {
                conf_put_indent(b, indent + 2);
                yaml_put_scalar(b, ls->v[i].name);
                buf_puts(b, ": ");
                yaml_put_scalar(b, ls->v[i].value);
                buf_putc(b, '\n');
        }
}

static void put_strs(struct buf *b, const struct conf_field *f, const struct conf_strs *s, int indent)
{
        conf_put_indent(b, indent);
        buf_printf(b, "%s:", f->key);
        if (s->n == 0) {
                buf_puts(b, " []\n");
                return;
        }
        if (f->bits & CONF_FLOW) {
                buf_puts(b, " [");
                for (size_t i = 0; i < s->n; i++) {
                        buf_puts(b, i ? ", " : "");
                        yaml_put_scalar(b, s->v[i]);
                }
                buf_puts(b, "]\n");
                return;
        }
        buf_putc(b, '\n');
        for (size_t i = 0; i < s->n; i++) {
                conf_put_indent(b, indent);
                buf_puts(b, "- ");
                yaml_put_scalar(b, s->v[i]);
                buf_putc(b, '\n');
        }
}

static void put_list(struct buf *b, const struct conf_field *f, const struct conf_list *l, int indent)
{
        conf_put_indent(b, indent);
        buf_printf(b, "%s:\n", f->key);
        for (size_t i = 0; i < l->n; i++) {
                size_t at = b->n;
                conf_print(b, f->sub, (char *)l->v + i * f->sub->size, indent + 2);
                if (b->n == at) {
                        conf_put_indent(b, indent);
                        buf_puts(b, "- {}\n");
                } else if (!buf_is_over(b)) {
                        b->p[at + (size_t)indent] = '-';
                }
        }
}

static bool is_empty_value(const struct conf_field *f, const void *at)
{
        switch (f->kind) {
        case CONF_CSTR:
                return !*(const char *const *)at || !**(const char *const *)at;
        case CONF_STR:
        case CONF_STRS:
        case CONF_LABELS:
        case CONF_LIST:
                return ((const struct conf_strs *)at)->n == 0;
        case CONF_BOOL:
                return !*(const bool *)at != !!(f->bits & CONF_NEGATED);
        case CONF_INT32:
                return *(const int *)at == 0;
        case CONF_FLOAT:
                return *(const double *)at == 0;
        default:
                return *(const int64_t *)at == 0;
        }
}

static void put_scalar(struct buf *b, const struct conf_field *f, const void *at, int indent)
{
        conf_put_indent(b, indent);
        buf_printf(b, "%s: ", f->key);
        if (f->bits & CONF_SECRET) {
                buf_puts(b, "<secret>\n");
                return;
        }
        switch (f->kind) {
        case CONF_CSTR:
                yaml_put_scalar(b, str_from(*(const char *const *)at));
                break;
        case CONF_STR:
                yaml_put_scalar(b, *(const Str *)at);
                break;
        case CONF_BOOL:
                buf_puts(b, *(const bool *)at != !!(f->bits & CONF_NEGATED) ? "true" : "false");
                break;
        case CONF_INT:
                buf_put_i64(b, *(const int64_t *)at);
                break;
        case CONF_UINT:
                buf_put_u64(b, *(const uint64_t *)at);
                break;
        case CONF_INT32:
                buf_put_i64(b, *(const int *)at);
                break;
        case CONF_FLOAT:
                buf_put_float(b, *(const double *)at, 'g');
                break;
        case CONF_DURATION:
                buf_put_duration(b, *(const int64_t *)at);
                break;
        case CONF_BYTES:
                buf_put_size(b, *(const uint64_t *)at);
                break;
        default:
                bug("not a scalar kind: %d", f->kind);
        }
        buf_putc(b, '\n');
}

static void print_struct(struct buf *b, const struct conf_field *f, const void *at, int indent)
{
        size_t line = b->n;
        conf_put_indent(b, indent);
        buf_printf(b, "%s:\n", f->key);
        size_t body = b->n;
        conf_print(b, f->sub, at, indent + 2);
        if (b->n != body || buf_is_over(b))
                return;
        b->n = line;
        if (f->bits & CONF_OMIT_EMPTY)
                return;
        conf_put_indent(b, indent);
        buf_printf(b, "%s: {}\n", f->key);
}

void conf_print(struct buf *b, const struct conf_schema *s, const void *object, int indent)
{
        for (size_t i = 0; i < s->n; i++) {
                const struct conf_field *f = &s->fields[i];
                const void *at = (const char *)object + f->offset;
                if (f->kind == CONF_REFUSED || f->bits & CONF_HIDDEN)
                        continue;
                if (f->kind == CONF_INLINE) {
                        conf_print(b, f->sub, at, indent);
                } else if (f->kind == CONF_CUSTOM) {
                        if (f->print)
                                f->print(b, f->key, at, indent);
                } else if (f->kind == CONF_STRUCT) {
                        print_struct(b, f, at, indent);
                } else if (f->bits & CONF_OMIT_EMPTY && is_empty_value(f, at)) {
                        continue;
                } else if (f->kind == CONF_STRS) {
                        put_strs(b, f, at, indent);
                } else if (f->kind == CONF_LABELS) {
                        conf_put_labels(b, f->key, at, indent);
                } else if (f->kind == CONF_LIST) {
                        put_list(b, f, at, indent);
                } else {
                        put_scalar(b, f, at, indent);
                }
        }
}
