/* SPDX-License-Identifier: Apache-2.0 */
/* Executing a template: a walk over the tree. The first error stays in x->error and everything unwinds; functions return values that nobody looks at
 * then. x->node is the node that errors name: it is set in the same places as in the original, which makes their texts alike. */
#include "alert/template/exec.h"

#include "codec/quote.h"

enum { STEPS_MAX = 20 * 1000 * 1000, DEPTH_MAX = 200 };

/* ---- errors, variables ---- */

void texec_at(struct texec *x, const struct node *n)
{
        x->node = n;
}

static void fail_text(struct texec *x, enum error_kind kind, Str text)
{
        const struct node *n = x->node;
        Str src = n->tree->text;
        int line = 1;
        size_t from = 0;
        for (size_t i = 0; i < n->pos && i < src.n; i++) {
                if (src.p[i] == '\n') {
                        line++;
                        from = i + 1;
                }
        }
        struct buf b = BUF_INIT(1 << 20);
        buf_printf(&b, "template: " STR_FMT ":%d:%zu: executing ", STR_ARG(n->tree->parse_name), line, n->pos - from);
        buf_put_go_quoted(&b, x->tree->name);
        buf_puts(&b, " at <");
        node_print(&b, n);
        buf_puts(&b, ">: ");
        buf_put(&b, text);
        x->error = error_new(kind, "%s", buf_cstr(&b));
        buf_done(&b);
}

void texec_fail(struct texec *x, const char *fmt, ...)
{
        if (x->error)
                return;
        struct buf b = BUF_INIT(1 << 20);
        va_list ap;
        va_start(ap, fmt);
        buf_vprintf(&b, fmt, ap);
        va_end(ap);
        fail_text(x, ERROR_INVALID, buf_str(&b));
        buf_done(&b);
}

/* text with one %s for the printed node. */
static void fail_node(struct texec *x, const char *before, const struct node *n, const char *after)
{
        struct buf b = BUF_INIT(1 << 20);
        node_print(&b, n);
        texec_fail(x, "%s%s%s", before, buf_cstr(&b), after);
        buf_done(&b);
}

static Str quoted(struct texec *x, Str s)
{
        struct buf b = BUF_INIT(1 << 16);
        buf_put_go_quoted(&b, s);
        Str out = arena_str(x->env->arena, buf_str(&b));
        buf_done(&b);
        return out;
}

static bool step(struct texec *x)
{
        if (x->error)
                return false;
        if (++x->steps > STEPS_MAX || x->env->arena->used_bytes > ARENA_MAX_BYTES) {
                fail_text(x, ERROR_LIMIT, x->steps > STEPS_MAX ? STR("the template takes too many steps") : STR("the template needs too much memory"));
                return false;
        }
        if (buf_is_over(x->out)) {
                fail_text(x, ERROR_LIMIT, STR("the text of the template becomes too long"));
                return false;
        }
        return true;
}

static void push_var(struct texec *x, Str name, TVal v)
{
        vec_push(&x->vars, (struct texec_var){name, v});
}

static void set_var(struct texec *x, Str name, TVal v)
{
        for (size_t i = x->vars.n; i-- > x->vars_from;) {
                if (str_eq(x->vars.p[i].name, name)) {
                        x->vars.p[i].value = v;
                        return;
                }
        }
        texec_fail(x, "undefined variable: " STR_FMT, STR_ARG(name));
}

static TVal var_value(struct texec *x, Str name)
{
        for (size_t i = x->vars.n; i-- > x->vars_from;) {
                if (str_eq(x->vars.p[i].name, name))
                        return x->vars.p[i].value;
        }
        texec_fail(x, "undefined variable: " STR_FMT, STR_ARG(name));
        return tval_none();
}

/* ---- calls ---- */

static bool can_be_nil(const struct ttype *t)
{
        return !t || t->kind == TKIND_ANY || t->kind == TKIND_MAP || t->kind == TKIND_PTR || t->kind == TKIND_LIST;
}

static TVal nil_of(const struct ttype *t)
{
        static const struct tlist empty_list;
        static const struct tmap empty_map;
        if (!t || t->kind == TKIND_ANY)
                return tval_none();
        if (t->kind == TKIND_MAP)
                return (TVal){.type = t, .map = &empty_map};
        if (t->kind == TKIND_LIST)
                return (TVal){.type = t, .list = &empty_list};
        return (TVal){.type = t, .p = NULL};
}

/* Of interface {} it is a nil interface: a value of ttype_any itself, which lives until the end of a pipeline or an argument. */
TVal tval_zero_of(const struct ttype *t)
{
        if (t == &ttype_any)
                return (TVal){.type = &ttype_any};
        return can_be_nil(t) ? nil_of(t) : (TVal){.type = t, .s = STR("")};
}

static TVal validate(struct texec *x, TVal v, const struct ttype *t)
{
        if (!v.type) {
                if (can_be_nil(t))
                        return nil_of(t);
                texec_fail(x, "invalid value; expected %s", t->name);
                return v;
        }
        if (!t || v.type == t || t->kind == TKIND_ANY)
                return t && v.type == &ttype_any ? tval_none() : v;
        if (v.type->kind == TKIND_PTR && v.type->elem == t) {
                if (v.p)
                        return tval_deref(v);
                texec_fail(x, "dereference of nil pointer of type %s", t->name);
                return v;
        }
        texec_fail(x, "wrong type for value; expected %s; got %s", t->name, v.type->name);
        return v;
}

static TVal eval_arg(struct texec *x, TVal dot, const struct ttype *t, const struct node *n);
static TVal eval_pipeline(struct texec *x, TVal dot, const struct node *pipe);

/* args[0] is the function itself. final NULL: no value comes from the pipeline. receiver NULL: a function. */
static TVal eval_call(struct texec *x, TVal dot, const struct tfunc *f, bool builtin, const struct node *node, Str name, const struct nodes *args, const TVal *final,
                      const TVal *receiver)
{
        size_t n_args = args && args->n ? args->n - 1 : 0, n_in = n_args + (final != NULL), fixed = f->variadic ? (size_t)f->n_in - 1 : n_args;
        struct node **argv = n_args ? args->v + 1 : NULL;
        if (f->variadic && n_in < fixed) {
                texec_fail(x, "wrong number of args for " STR_FMT ": want at least %d got %zu", STR_ARG(name), f->n_in - 1, n_args);
                return tval_none();
        }
        if (!f->variadic && n_in != (size_t)f->n_in) {
                texec_fail(x, "wrong number of args for " STR_FMT ": want %d got %zu", STR_ARG(name), f->n_in, n_in);
                return tval_none();
        }
        bool is_and = builtin && str_eq(name, STR("and")), is_or = builtin && str_eq(name, STR("or"));
        if (is_and || is_or) {
                TVal v = tval_none();
                for (size_t i = 0; i < n_args && !x->error; i++) {
                        v = eval_arg(x, dot, &ttype_any, argv[i]);
                        if (tval_is_true(v) == is_or)
                                return v;
                }
                return final ? *final : v;
        }
        size_t extra = receiver != NULL;
        TVal *v = arena_array(x->env->arena, TVal, n_in + extra + 1);
        if (receiver)
                v[0] = *receiver;
        for (size_t i = 0; i < n_args && !x->error; i++)
                v[extra + i] = eval_arg(x, dot, f->in[MIN(i, (size_t)f->n_in - 1)], argv[i]);
        if (x->error)
                return tval_none();
        if (final)
                v[extra + n_args] = validate(x, *final, f->in[MIN(n_in, (size_t)f->n_in) - 1]);
        if (x->error)
                return tval_none();
        if (builtin && str_eq(name, STR("call"))) {
                struct buf b = BUF_INIT(1 << 16);
                if (n_args)
                        node_print(&b, argv[0]);
                else
                        tval_print(&b, *final);
                x->callee = arena_str(x->env->arena, buf_str(&b));
                buf_done(&b);
        }
        TVal out = tval_none();
        struct error *e = f->call(x, v, n_in + extra, &out);
        if (e) {
                texec_at(x, node);
                if (!x->error) {
                        struct buf b = BUF_INIT(1 << 20);
                        buf_printf(&b, "error calling " STR_FMT ": %s", STR_ARG(name), error_str(e));
                        fail_text(x, error_get_kind(e), buf_str(&b));
                        buf_done(&b);
                }
                error_free(e);
                return tval_none();
        }
        return out;
}

static TVal eval_function(struct texec *x, TVal dot, const struct node *n, const struct node *cmd, const struct nodes *args, const TVal *final)
{
        bool builtin;
        texec_at(x, n);
        const struct tfunc *f = tmpl_find_func(x->t, n->text, &builtin);
        if (!f) {
                texec_fail(x, STR_FMT " is not a defined function", STR_ARG(quoted(x, n->text)));
                return tval_none();
        }
        return eval_call(x, dot, f, builtin, cmd, n->text, args, final, NULL);
}

/* ---- fields ---- */

static const struct tfunc *method_find(const struct ttype *t, Str name)
{
        for (const struct tfunc *m = t->methods; m && m->name; m++) {
                if (str_eq(str_from(m->name), name))
                        return m;
        }
        return NULL;
}

static TVal map_field(struct texec *x, TVal map, Str name)
{
        const TVal *v = tval_map_get(map, name);
        if (v)
                return *v;
        if (x->t->missing == TMPL_MISSING_ERROR)
                texec_fail(x, "map has no entry for key " STR_FMT, STR_ARG(quoted(x, name)));
        return x->t->missing == TMPL_MISSING_ZERO ? tval_zero_of(map.type->elem) : tval_none();
}

/* Whether the field is declared as interface {}, by which errors about what it holds go. */
static bool field_is_any(TVal receiver, Str name)
{
        TVal r = tval_deref(receiver);
        if (tval_kind(r) == TKIND_MAP)
                return r.type->elem == &ttype_any;
        for (const struct tfield *f = tval_kind(r) == TKIND_STRUCT ? r.type->fields : NULL; f && f->name; f++) {
                if (str_eq(str_from(f->name), name))
                        return f->is_any;
        }
        return false;
}

static TVal eval_field(struct texec *x, TVal dot, Str name, const struct node *node, const struct nodes *args, const TVal *final, TVal receiver, bool as_any)
{
        if (x->error)
                return tval_none();
        if (!receiver.type) {
                if (x->t->missing == TMPL_MISSING_ERROR)
                        texec_fail(x, "nil data; no entry for key " STR_FMT, STR_ARG(quoted(x, name)));
                return tval_none();
        }
        const char *type = as_any ? ttype_any.name : receiver.type->name;
        if (receiver.type == &ttype_any) {
                texec_fail(x, "nil pointer evaluating %s." STR_FMT, type, STR_ARG(name));
                return tval_none();
        }
        bool nil = tval_is_nil_ptr(receiver), has_args = (args && args->n > 1) || final;
        const struct ttype *base = receiver.type->kind == TKIND_PTR ? receiver.type->elem : receiver.type;
        const struct tfunc *m = method_find(base, name);
        if (m && !nil) {
                TVal self = tval_deref(receiver);
                return eval_call(x, dot, m, false, node, name, args, final, &self);
        }
        TVal r = tval_deref(receiver);
        if (base->kind == TKIND_STRUCT) {
                for (const struct tfield *f = base->fields; f && f->name; f++) {
                        if (!str_eq(str_from(f->name), name))
                                continue;
                        if (nil) {
                                texec_fail(x, "nil pointer evaluating %s." STR_FMT, type, STR_ARG(name));
                                return tval_none();
                        }
                        if (has_args)
                                texec_fail(x, STR_FMT " has arguments but cannot be invoked as function", STR_ARG(name));
                        return f->get(r.p);
                }
        } else if (nil) {
                texec_fail(x, "nil pointer evaluating %s." STR_FMT, type, STR_ARG(name));
                return tval_none();
        } else if (tval_kind(r) == TKIND_MAP) {
                if (has_args) {
                        texec_fail(x, STR_FMT " is not a method but has arguments", STR_ARG(name));
                        return tval_none();
                }
                return map_field(x, r, name);
        }
        texec_fail(x, "can't evaluate field " STR_FMT " in type %s", STR_ARG(name), type);
        return tval_none();
}

static TVal eval_field_chain(struct texec *x, TVal dot, TVal receiver, const struct node *node, struct strs ident, size_t from, const struct nodes *args, const TVal *final)
{
        bool as_any = false;
        for (size_t i = from; i + 1 < ident.n; i++) {
                bool then_any = field_is_any(receiver, ident.v[i]);
                receiver = eval_field(x, dot, ident.v[i], node, NULL, NULL, receiver, as_any);
                as_any = then_any;
        }
        return eval_field(x, dot, ident.v[ident.n - 1], node, args, final, receiver, as_any);
}

/* ---- pipelines ---- */

static void not_a_function(struct texec *x, const struct nodes *args, const TVal *final)
{
        if ((args && args->n > 1) || final)
                fail_node(x, "can't give argument to non-function ", args->v[0], "");
}

static TVal eval_variable(struct texec *x, TVal dot, const struct node *n, const struct nodes *args, const TVal *final)
{
        texec_at(x, n);
        TVal v = var_value(x, n->ident.v[0]);
        if (n->ident.n > 1)
                return eval_field_chain(x, dot, v, n, n->ident, 1, args, final);
        not_a_function(x, args, final);
        return v;
}

static TVal eval_chain(struct texec *x, TVal dot, const struct node *n, const struct nodes *args, const TVal *final)
{
        texec_at(x, n);
        if (n->chain.node->type == NODE_NIL) {
                fail_node(x, "indirection through explicit nil in ", n, "");
                return tval_none();
        }
        TVal v = eval_arg(x, dot, NULL, n->chain.node);
        return eval_field_chain(x, dot, v, n, n->chain.fields, 0, args, final);
}

static TVal eval_number(struct texec *x, const struct node *n)
{
        Str s = n->number.text;
        bool hex = s.n > 2 && s.p[0] == '0' && (s.p[1] | 0x20) == 'x', has_p = false, has_point = false;
        for (size_t i = 0; i < s.n; i++) {
                has_p |= (s.p[i] | 0x20) == 'p';
                has_point |= s.p[i] == '.' || (s.p[i] | 0x20) == 'e' || (s.p[i] | 0x20) == 'p';
        }
        texec_at(x, n);
        if (n->number.is_float && !(hex && !has_p) && s.p[0] != '\'' && has_point)
                return tval_float(n->number.f);
        if (n->number.is_int)
                return tval_int(n->number.i);
        texec_fail(x, STR_FMT " overflows int", STR_ARG(s));
        return tval_none();
}

static TVal eval_command(struct texec *x, TVal dot, const struct node *cmd, const TVal *final)
{
        const struct node *first = cmd->list.v[0];
        if (!step(x))
                return tval_none();
        switch (first->type) {
        case NODE_FIELD:
                texec_at(x, first);
                return eval_field_chain(x, dot, dot, first, first->ident, 0, &cmd->list, final);
        case NODE_CHAIN:
                return eval_chain(x, dot, first, &cmd->list, final);
        case NODE_IDENTIFIER:
                return eval_function(x, dot, first, cmd, &cmd->list, final);
        case NODE_PIPE:
                not_a_function(x, &cmd->list, final);
                return eval_pipeline(x, dot, first);
        case NODE_VARIABLE:
                return eval_variable(x, dot, first, &cmd->list, final);
        default:
                break;
        }
        texec_at(x, first);
        not_a_function(x, &cmd->list, final);
        if (x->error)
                return tval_none();
        switch (first->type) {
        case NODE_BOOL:
                return tval_bool(first->truth);
        case NODE_DOT:
                return dot;
        case NODE_NIL:
                texec_fail(x, "nil is not a command");
                return tval_none();
        case NODE_NUMBER:
                return eval_number(x, first);
        case NODE_STRING:
                return tval_str(first->string.text);
        default:
                fail_node(x, "can't evaluate command \"", first, "\"");
                return tval_none();
        }
}

static TVal eval_pipeline(struct texec *x, TVal dot, const struct node *pipe)
{
        TVal v = tval_none();
        if (!pipe || x->error)
                return v;
        texec_at(x, pipe);
        for (size_t i = 0; i < pipe->pipe.cmds.n && !x->error; i++) {
                TVal before = v;
                v = eval_command(x, dot, pipe->pipe.cmds.v[i], i ? &before : NULL);
                if (v.type == &ttype_any)
                        v = tval_none();
        }
        for (size_t i = 0; i < pipe->pipe.decl.n && !x->error; i++) {
                Str name = pipe->pipe.decl.v[i]->ident.v[0];
                if (pipe->pipe.is_assign)
                        set_var(x, name, v);
                else
                        push_var(x, name, v);
        }
        return v;
}

/* A literal where the function wants that type. */
static TVal eval_typed(struct texec *x, const struct ttype *t, const struct node *n)
{
        static const char *const expected[] = {[TKIND_BOOL] = "bool", [TKIND_INT] = "integer", [TKIND_UINT] = "unsigned integer", [TKIND_FLOAT] = "float", [TKIND_STRING] = "string"};
        struct buf b = BUF_INIT(1 << 20);
        switch (t->kind) {
        case TKIND_BOOL:
                if (n->type == NODE_BOOL)
                        return (TVal){.type = t, .b = n->truth};
                break;
        case TKIND_INT:
                if (n->type == NODE_NUMBER && n->number.is_int)
                        return (TVal){.type = t, .i = n->number.i};
                break;
        case TKIND_UINT:
                if (n->type == NODE_NUMBER && n->number.is_uint)
                        return (TVal){.type = t, .u = n->number.u};
                break;
        case TKIND_FLOAT:
                if (n->type == NODE_NUMBER && n->number.is_float)
                        return (TVal){.type = t, .f = n->number.f};
                break;
        case TKIND_STRING:
                if (n->type == NODE_STRING)
                        return (TVal){.type = t, .s = n->string.text};
                break;
        default:
                node_print(&b, n);
                texec_fail(x, "can't handle %s for arg of type %s", buf_cstr(&b), t->name);
                buf_done(&b);
                return tval_none();
        }
        node_print(&b, n);
        texec_fail(x, "expected %s; found %s", expected[t->kind], buf_cstr(&b));
        buf_done(&b);
        return tval_none();
}

/* t NULL: any, of a chain's head. */
static TVal eval_arg(struct texec *x, TVal dot, const struct ttype *t, const struct node *n)
{
        if (!step(x))
                return tval_none();
        texec_at(x, n);
        TVal v;
        switch (n->type) {
        case NODE_DOT:
                return validate(x, dot, t);
        case NODE_NIL:
                if (can_be_nil(t))
                        return nil_of(t);
                texec_fail(x, "cannot assign nil to %s", t->name);
                return tval_none();
        case NODE_FIELD:
                v = eval_field_chain(x, dot, dot, n, n->ident, 0, NULL, NULL);
                break;
        case NODE_VARIABLE:
                v = eval_variable(x, dot, n, NULL, NULL);
                break;
        case NODE_PIPE:
                v = eval_pipeline(x, dot, n);
                break;
        case NODE_IDENTIFIER:
                v = eval_function(x, dot, n, n, NULL, NULL);
                break;
        case NODE_CHAIN:
                v = eval_chain(x, dot, n, NULL, NULL);
                break;
        default:
                if (t && t->kind != TKIND_ANY)
                        return eval_typed(x, t, n);
                if (n->type == NODE_BOOL)
                        return tval_bool(n->truth);
                if (n->type == NODE_NUMBER)
                        return eval_number(x, n);
                if (n->type == NODE_STRING)
                        return tval_str(n->string.text);
                fail_node(x, "can't handle assignment of ", n, " to empty interface argument");
                return tval_none();
        }
        return x->error ? tval_none() : validate(x, v, t);
}

/* ---- the walk ---- */

static enum walk walk(struct texec *x, TVal dot, const struct node *n);

static enum walk walk_if_or_with(struct texec *x, TVal dot, const struct node *n)
{
        size_t mark = x->vars.n;
        TVal v = eval_pipeline(x, dot, n->control.pipe);
        enum walk w = WALK_ON;
        if (!x->error) {
                if (tval_is_true(v))
                        w = walk(x, n->type == NODE_WITH ? v : dot, n->control.list);
                else if (n->control.else_list)
                        w = walk(x, dot, n->control.else_list);
        }
        x->vars.n = mark;
        return w;
}

/* False: the loop ends. */
static bool iterate(struct texec *x, const struct node *n, TVal index, TVal elem)
{
        const struct nodes *decl = &n->control.pipe->pipe.decl;
        size_t mark = x->vars.n;
        bool assign = n->control.pipe->pipe.is_assign;
        if (!step(x))
                return false;
        if (assign && decl->n > 0)
                set_var(x, decl->v[0]->ident.v[0], decl->n > 1 ? index : elem);
        if (assign && decl->n > 1)
                set_var(x, decl->v[1]->ident.v[0], elem);
        if (!assign && decl->n > 0)
                x->vars.p[mark - 1].value = elem;
        if (!assign && decl->n > 1)
                x->vars.p[mark - 2].value = index;
        enum walk w = walk(x, elem, n->control.list);
        x->vars.n = mark;
        return w != WALK_BREAK && !x->error;
}

static enum walk walk_range(struct texec *x, TVal dot, const struct node *n)
{
        texec_at(x, n);
        size_t mark = x->vars.n;
        TVal v = tval_deref(eval_pipeline(x, dot, n->control.pipe));
        bool ran = false;
        if (x->error)
                goto out;
        struct buf b = BUF_INIT(1 << 16);
        switch (tval_kind(v)) {
        case TKIND_INT:
        case TKIND_UINT:
                if (n->control.pipe->pipe.decl.n > 1) {
                        tval_print(&b, v);
                        texec_fail(x, "can't use %s to iterate over more than one variable", buf_cstr(&b));
                        buf_done(&b);
                        goto out;
                }
                for (uint64_t i = 0; (v.type->kind == TKIND_INT ? v.i > 0 : true) && i < v.u; i++) {
                        ran = true;
                        if (!iterate(x, n, tval_none(), v.type->kind == TKIND_INT ? (TVal){.type = v.type, .i = (int64_t)i} : (TVal){.type = v.type, .u = i}))
                                break;
                }
                break;
        case TKIND_LIST:
                for (size_t i = 0; i < v.list->n; i++) {
                        ran = true;
                        if (!iterate(x, n, tval_int((int64_t)i), v.list->v[i]))
                                break;
                }
                break;
        case TKIND_MAP:
                for (size_t i = 0; i < v.map->n; i++) {
                        ran = true;
                        if (!iterate(x, n, tval_str(v.map->v[i].key), v.map->v[i].value))
                                break;
                }
                break;
        case TKIND_INVALID:
                break;
        default:
                tval_print(&b, v);
                texec_fail(x, "range can't iterate over %s", buf_cstr(&b));
                buf_done(&b);
                goto out;
        }
        if (!ran && n->control.else_list && !x->error) {
                enum walk w = walk(x, dot, n->control.else_list);
                x->vars.n = mark;
                return w;
        }
out:
        x->vars.n = mark;
        return WALK_ON;
}

static void walk_template(struct texec *x, TVal dot, const struct node *n)
{
        texec_at(x, n);
        const struct tree *tree = map_get(&x->t->trees, n->control.name);
        if (!tree) {
                texec_fail(x, "template " STR_FMT " not defined", STR_ARG(quoted(x, n->control.name)));
                return;
        }
        if (x->depth >= DEPTH_MAX) {
                texec_fail(x, "exceeded maximum template depth (%d)", DEPTH_MAX);
                return;
        }
        dot = eval_pipeline(x, dot, n->control.pipe);
        if (x->error)
                return;
        const struct tree *outer = x->tree;
        size_t from = x->vars_from, mark = x->vars.n;
        x->depth++;
        x->tree = tree;
        x->vars_from = mark;
        push_var(x, STR("$"), dot);
        walk(x, dot, tree->root);
        x->vars.n = mark;
        x->vars_from = from;
        x->tree = outer;
        x->depth--;
}

static enum walk walk(struct texec *x, TVal dot, const struct node *n)
{
        if (!step(x))
                return WALK_ON;
        texec_at(x, n);
        switch (n->type) {
        case NODE_ACTION: {
                TVal v = eval_pipeline(x, dot, n->control.pipe);
                if (!x->error && n->control.pipe->pipe.decl.n == 0) {
                        texec_at(x, n);
                        tval_print(x->out, v.type ? tval_deref(v) : v);
                }
                return WALK_ON;
        }
        case NODE_BREAK:
                return WALK_BREAK;
        case NODE_CONTINUE:
                return WALK_CONTINUE;
        case NODE_IF:
        case NODE_WITH:
                return walk_if_or_with(x, dot, n);
        case NODE_RANGE:
                return walk_range(x, dot, n);
        case NODE_TEMPLATE:
                walk_template(x, dot, n);
                return WALK_ON;
        case NODE_TEXT:
                buf_put(x->out, n->text);
                return WALK_ON;
        case NODE_LIST:
                for (size_t i = 0; i < n->list.n && !x->error; i++) {
                        enum walk w = walk(x, dot, n->list.v[i]);
                        if (w != WALK_ON)
                                return w;
                }
                return WALK_ON;
        default:
                fail_node(x, "unknown node: ", n, "");
                return WALK_ON;
        }
}

struct error *tmpl_exec_named(const struct tmpl *t, Str name, TVal data, const struct tmpl_env *env, struct buf *out)
{
        const struct tree *tree = map_get(&t->trees, name);
        struct buf q = BUF_INIT(1 << 16);
        if (!tree || !tree->root) {
                buf_put_go_quoted(&q, name);
                struct error *e = error_new(ERROR_INVALID, "template: no template %s associated with template \"" STR_FMT "\"", buf_cstr(&q), STR_ARG(t->name));
                buf_done(&q);
                return e;
        }
        struct texec x = {.t = t, .tree = tree, .env = env, .out = out, .node = tree->root};
        push_var(&x, STR("$"), data);
        walk(&x, data, tree->root);
        if (!x.error && buf_is_over(out))
                x.error = error_new(ERROR_LIMIT, "template: " STR_FMT ": the text becomes too long", STR_ARG(t->name));
        vec_done(&x.vars);
        return x.error;
}

struct error *tmpl_exec(const struct tmpl *t, TVal data, const struct tmpl_env *env, struct buf *out)
{
        return tmpl_exec_named(t, t->name, data, env, out);
}

const struct tmpl_env *texec_env(const struct texec *x)
{
        return x->env;
}
