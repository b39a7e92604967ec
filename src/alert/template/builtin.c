/* SPDX-License-Identifier: Apache-2.0 */
/* The functions that every template has. `and` and `or` do not evaluate what they need not, so they live in exec.c. */
#include "alert/template/exec.h"
#include "codec/printable.h"
#include "codec/quote.h"
#include "io/http/form.h"

const struct tfunc *tmpl_find_func(const struct tmpl *t, Str name, bool *ret_builtin)
{
        *ret_builtin = false;
        for (const struct tmpl_funcs *f = t->funcs; f; f = f->more) {
                for (const struct tfunc *fn = f->table; fn && fn->name; fn++) {
                        if (str_eq(str_from(fn->name), name))
                                return fn;
                }
        }
        *ret_builtin = true;
        for (const struct tfunc *fn = tmpl_builtins; fn->name; fn++) {
                if (str_eq(str_from(fn->name), name))
                        return fn;
        }
        return NULL;
}

static TVal kept(struct texec *x, struct buf *b)
{
        TVal v = tval_str(arena_str(x->env->arena, buf_str(b)));
        buf_done(b);
        return v;
}

static struct error *call_and_or(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        bug("and and or are evaluated elsewhere");
}

/* No value of a template is a function. */
static struct error *call_call(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        if (!args[0].type)
                return error_new(ERROR_INVALID, "call of nil");
        return error_new(ERROR_INVALID, "non-function " STR_FMT " of type %s", STR_ARG(x->callee), args[0].type->name);
}

static struct error *call_not(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        *ret = tval_bool(!tval_is_true(args[0]));
        return NULL;
}

/* ---- index, slice, len ---- */

static struct error *index_arg(TVal index, size_t cap, size_t *ret)
{
        int64_t i;
        if (tval_kind(index) == TKIND_INT)
                i = index.i;
        else if (tval_kind(index) == TKIND_UINT)
                i = (int64_t)index.u;
        else if (!index.type)
                return error_new(ERROR_INVALID, "cannot index slice/array with nil");
        else
                return error_new(ERROR_INVALID, "cannot index slice/array with type %s", index.type->name);
        if (i < 0 || (uint64_t)i > cap)
                return error_new(ERROR_INVALID, "index out of range: %lld", (long long)i);
        *ret = (size_t)i;
        return NULL;
}

static struct error *out_of_range(size_t i, size_t n)
{
        return error_new(ERROR_INVALID, "reflect: slice index out of range");
}

static struct error *call_index(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        TVal item = args[0];
        if (!item.type)
                return error_new(ERROR_INVALID, "index of untyped nil");
        for (size_t k = 1; k < n; k++) {
                size_t i = 0;
                struct error *e = NULL;
                if (tval_is_nil_ptr(item) || !item.type)
                        return error_new(ERROR_INVALID, "index of nil pointer");
                item = tval_deref(item);
                switch (item.type->kind) {
                case TKIND_STRING:
                        e = index_arg(args[k], item.s.n, &i);
                        if (!e && i == item.s.n)
                                e = error_new(ERROR_INVALID, "reflect: string index out of range");
                        if (e)
                                return e;
                        item = (TVal){.type = &ttype_uint8, .u = (unsigned char)item.s.p[i]};
                        break;
                case TKIND_LIST:
                        e = index_arg(args[k], item.list->n, &i);
                        if (!e && i == item.list->n)
                                e = out_of_range(i, item.list->n);
                        if (e)
                                return e;
                        item = item.list->v[i];
                        break;
                case TKIND_MAP: {
                        if (!args[k].type)
                                return error_new(ERROR_INVALID, "value is nil; should be of type string");
                        if (args[k].type != &ttype_string)
                                return error_new(ERROR_INVALID, "value has type %s; should be string", args[k].type->name);
                        const TVal *v = tval_map_get(item, args[k].s);
                        item = v ? *v : tval_zero_of(item.type->elem);
                        break;
                }
                default:
                        return error_new(ERROR_INVALID, "can't index item of type %s", item.type->name);
                }
        }
        *ret = item;
        return NULL;
}

static struct error *call_slice(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        TVal item = args[0];
        size_t cap = 0, at[3] = {0};
        if (!item.type)
                return error_new(ERROR_INVALID, "slice of untyped nil");
        if (tval_is_nil_ptr(item))
                return error_new(ERROR_INVALID, "slice of nil pointer");
        item = tval_deref(item);
        if (n - 1 > 3)
                return error_new(ERROR_INVALID, "too many slice indexes: %zu", n - 1);
        if (item.type->kind == TKIND_STRING) {
                if (n - 1 == 3)
                        return error_new(ERROR_INVALID, "cannot 3-index slice a string");
                cap = item.s.n;
        } else if (item.type->kind == TKIND_LIST) {
                cap = item.list->n;
        } else {
                return error_new(ERROR_INVALID, "can't slice item of type %s", item.type->name);
        }
        at[1] = at[2] = cap;
        for (size_t i = 1; i < n; i++) {
                struct error *e = index_arg(args[i], cap, &at[i - 1]);
                if (e)
                        return e;
        }
        if (at[0] > at[1])
                return error_new(ERROR_INVALID, "invalid slice index: %zu > %zu", at[0], at[1]);
        if (at[1] > at[2])
                return error_new(ERROR_INVALID, "invalid slice index: %zu > %zu", at[1], at[2]);
        if (item.type->kind == TKIND_STRING)
                item.s = str_sub(item.s, at[0], at[1]);
        else
                item = tval_list(x->env->arena, item.type, item.list->v + at[0], at[1] - at[0]);
        *ret = item;
        return NULL;
}

static struct error *call_len(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        TVal item = args[0];
        if (tval_is_nil_ptr(item))
                return error_new(ERROR_INVALID, "len of nil pointer");
        item = tval_deref(item);
        switch (tval_kind(item)) {
        case TKIND_STRING:
                *ret = tval_int((int64_t)item.s.n);
                return NULL;
        case TKIND_LIST:
                *ret = tval_int((int64_t)item.list->n);
                return NULL;
        case TKIND_MAP:
                *ret = tval_int((int64_t)item.map->n);
                return NULL;
        case TKIND_INVALID:             /* what Go's reflect says of it */
                return error_new(ERROR_INVALID, "reflect: call of reflect.Value.Type on zero Value");
        default:
                return error_new(ERROR_INVALID, "len of type %s", item.type->name);
        }
}

/* ---- comparing ---- */

static bool kind_is_basic(enum tkind k)
{
        return k >= TKIND_BOOL && k <= TKIND_STRING;
}

static struct error *incompatible(TVal a, TVal b)
{
        return error_new(ERROR_INVALID, "incompatible types for comparison: %s and %s", a.type->name, b.type->name);
}

static struct error *equal(TVal a, TVal b, bool *ret)
{
        enum tkind ka = kind_is_basic(tval_kind(a)) ? tval_kind(a) : TKIND_INVALID, kb = kind_is_basic(tval_kind(b)) ? tval_kind(b) : TKIND_INVALID;
        *ret = false;
        if (ka != kb) {
                if (ka == TKIND_INT && kb == TKIND_UINT)
                        *ret = a.i >= 0 && (uint64_t)a.i == b.u;
                else if (ka == TKIND_UINT && kb == TKIND_INT)
                        *ret = b.i >= 0 && a.u == (uint64_t)b.i;
                else if (a.type && b.type)
                        return incompatible(a, b);
                return NULL;
        }
        switch (ka) {
        case TKIND_BOOL:
                *ret = a.b == b.b;
                return NULL;
        case TKIND_FLOAT:
                *ret = a.f == b.f;
                return NULL;
        case TKIND_INT:
        case TKIND_UINT:
                *ret = a.u == b.u;
                return NULL;
        case TKIND_STRING:
                *ret = str_eq(a.s, b.s);
                return NULL;
        default:
                break;
        }
        if (!a.type || !b.type) {
                *ret = (!a.type || tval_is_nil_ptr(a)) && (!b.type || tval_is_nil_ptr(b));
                return NULL;
        }
        struct buf t = BUF_INIT(1 << 16);
        struct error *e = NULL;
        if (a.type->kind != b.type->kind) {
                tval_print(&t, b);
                e = error_new(ERROR_INVALID, "non-comparable types %s: %s, %s: %s", "<value>", a.type->name, b.type->name, buf_cstr(&t));
        } else if (b.type->kind == TKIND_LIST || b.type->kind == TKIND_MAP) {
                tval_print(&t, a);
                e = error_new(ERROR_INVALID, "non-comparable type %s: %s", buf_cstr(&t), b.type->name);
        } else {
                *ret = a.type == b.type && a.p == b.p;
        }
        buf_done(&t);
        return e;
}

static struct error *call_eq(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        bool truth = false;
        if (n < 2)
                return error_new(ERROR_INVALID, "missing argument for comparison");
        for (size_t i = 1; i < n && !truth; i++) {
                struct error *e = equal(args[0], args[i], &truth);
                if (e)
                        return e;
        }
        *ret = tval_bool(truth);
        return NULL;
}

static struct error *call_ne(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        bool truth;
        struct error *e = equal(args[0], args[1], &truth);
        *ret = tval_bool(!truth);
        return e;
}

static struct error *less(TVal a, TVal b, bool *ret)
{
        enum tkind ka = tval_kind(a), kb = tval_kind(b);
        if (!kind_is_basic(ka) || !kind_is_basic(kb))
                return error_new(ERROR_INVALID, "invalid type for comparison");
        if (ka != kb) {
                if (ka == TKIND_INT && kb == TKIND_UINT)
                        *ret = a.i < 0 || (uint64_t)a.i < b.u;
                else if (ka == TKIND_UINT && kb == TKIND_INT)
                        *ret = b.i >= 0 && a.u < (uint64_t)b.i;
                else
                        return incompatible(a, b);
                return NULL;
        }
        switch (ka) {
        case TKIND_FLOAT:
                *ret = a.f < b.f;
                return NULL;
        case TKIND_INT:
                *ret = a.i < b.i;
                return NULL;
        case TKIND_UINT:
                *ret = a.u < b.u;
                return NULL;
        case TKIND_STRING:
                *ret = str_cmp(a.s, b.s) < 0;
                return NULL;
        default:
                return error_new(ERROR_INVALID, "invalid type for comparison");
        }
}

static struct error *less_or_equal(TVal a, TVal b, bool *ret)
{
        struct error *e = less(a, b, ret);
        return e || *ret ? e : equal(a, b, ret);
}

static struct error *call_lt(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        bool truth = false;
        struct error *e = less(args[0], args[1], &truth);
        *ret = tval_bool(truth);
        return e;
}

static struct error *call_le(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        bool truth = false;
        struct error *e = less_or_equal(args[0], args[1], &truth);
        *ret = tval_bool(truth);
        return e;
}

static struct error *call_gt(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        bool truth = false;
        struct error *e = less_or_equal(args[0], args[1], &truth);
        *ret = tval_bool(!truth);
        return e;
}

static struct error *call_ge(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        bool truth = false;
        struct error *e = less(args[0], args[1], &truth);
        *ret = tval_bool(!truth);
        return e;
}

/* ---- printing and escaping ---- */

enum { PRINTED_MAX_BYTES = 16 << 20 };

static struct error *call_print(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        struct buf b = BUF_INIT(PRINTED_MAX_BYTES);
        tval_sprint(&b, args, n);
        *ret = kept(x, &b);
        return NULL;
}

static struct error *call_println(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        struct buf b = BUF_INIT(PRINTED_MAX_BYTES);
        tval_sprintln(&b, args, n);
        *ret = kept(x, &b);
        return NULL;
}

static struct error *call_printf(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        struct buf b = BUF_INIT(PRINTED_MAX_BYTES);
        tval_sprintf(&b, args[0].s, args + 1, n - 1);
        bool over = buf_is_over(&b);
        *ret = kept(x, &b);
        return over ? error_new(ERROR_LIMIT, "the text becomes too long") : NULL;
}

/* All arguments as one text: pointers are followed. */
static void texts(struct texec *x, const TVal *args, size_t n, struct buf *b)
{
        TVal *v = arena_array(x->env->arena, TVal, n + 1);
        for (size_t i = 0; i < n; i++)
                v[i] = args[i].type ? tval_deref(args[i]) : tval_str(STR("<no value>"));
        tval_sprint(b, v, n);
}

static struct error *call_html(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        struct buf in = BUF_INIT(PRINTED_MAX_BYTES), b = BUF_INIT(PRINTED_MAX_BYTES);
        texts(x, args, n, &in);
        for (size_t i = 0; i < in.n; i++) {
                switch (in.p[i]) {
                case '\0':
                        buf_puts(&b, "\xef\xbf\xbd");
                        break;
                case '"':
                        buf_puts(&b, "&#34;");
                        break;
                case '\'':
                        buf_puts(&b, "&#39;");
                        break;
                case '&':
                        buf_puts(&b, "&amp;");
                        break;
                case '<':
                        buf_puts(&b, "&lt;");
                        break;
                case '>':
                        buf_puts(&b, "&gt;");
                        break;
                default:
                        buf_putc(&b, in.p[i]);
                }
        }
        buf_done(&in);
        *ret = kept(x, &b);
        return NULL;
}

static struct error *call_js(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        struct buf in = BUF_INIT(PRINTED_MAX_BYTES), b = BUF_INIT(PRINTED_MAX_BYTES);
        texts(x, args, n, &in);
        for (size_t i = 0; i < in.n;) {
                unsigned char c = (unsigned char)in.p[i];
                uint32_t r;
                size_t len = utf8_decode(str_skip(buf_str(&in), i), &r);
                if (c >= 0x80) {
                        if (len && rune_is_printable(r))
                                buf_append(&b, in.p + i, len);
                        else
                                buf_printf(&b, "\\u%04X", len ? (unsigned)r : 0xfffdu);
                        i += len ? len : 1;
                        continue;
                }
                if (c == '\\' || c == '\'' || c == '"')
                        buf_printf(&b, "\\%c", c);
                else if (c == '<' || c == '>' || c == '&' || c == '=' || c < ' ')
                        buf_printf(&b, "\\u%04X", c);
                else
                        buf_putc(&b, (char)c);
                i++;
        }
        buf_done(&in);
        *ret = kept(x, &b);
        return NULL;
}

static struct error *call_urlquery(struct texec *x, const TVal *args, size_t n, TVal *ret)
{
        struct buf in = BUF_INIT(PRINTED_MAX_BYTES), b = BUF_INIT(PRINTED_MAX_BYTES);
        texts(x, args, n, &in);
        url_escape(buf_str(&in), URL_QUERY, &b);
        buf_done(&in);
        *ret = kept(x, &b);
        return NULL;
}

#define ANY &ttype_any
const struct tfunc tmpl_builtins[] = {
        {"and", call_and_or, 2, true, {ANY, ANY}},
        {"call", call_call, 2, true, {ANY, ANY}},
        {"eq", call_eq, 2, true, {ANY, ANY}},
        {"ge", call_ge, 2, false, {ANY, ANY}},
        {"gt", call_gt, 2, false, {ANY, ANY}},
        {"html", call_html, 1, true, {ANY}},
        {"index", call_index, 2, true, {ANY, ANY}},
        {"js", call_js, 1, true, {ANY}},
        {"le", call_le, 2, false, {ANY, ANY}},
        {"len", call_len, 1, false, {ANY}},
        {"lt", call_lt, 2, false, {ANY, ANY}},
        {"ne", call_ne, 2, false, {ANY, ANY}},
        {"not", call_not, 1, false, {ANY}},
        {"or", call_and_or, 2, true, {ANY, ANY}},
        {"print", call_print, 1, true, {ANY}},
        {"printf", call_printf, 2, true, {&ttype_string, ANY}},
        {"println", call_println, 1, true, {ANY}},
        {"slice", call_slice, 2, true, {ANY, ANY}},
        {"urlquery", call_urlquery, 1, true, {ANY}},
        {NULL, NULL, 0, false, {NULL}},
};
