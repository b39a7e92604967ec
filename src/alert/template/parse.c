/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens into trees. Errors carry the line of the token that was read last, as the original's look-ahead has it, so that is kept alike: `token`
 * holds up to three tokens that were pushed back, token[0] the newest one read. */
#include "alert/template/node.h"
#include "codec/float_text.h"
#include "codec/quote.h"

enum { TEXT_MAX_BYTES = 16 << 20, MEMORY_MAX_BYTES = 1 << 30, DEPTH_MAX = 250 };

struct parser {
        struct tmpl *t;
        struct arena *a;
        TokenVec tokens;                /* of the whole text */
        size_t at;
        struct token token[3];
        int peeked;
        VEC(Str) vars;
        Str parse_name, text;
        struct tree *tree;              /* being filled */
        int range_depth, depth, action_line;
        struct error *error;            /* the first; everything unwinds */
};

/* ---- numbers and strings ---- */

static int digit_of(char c)
{
        if (c >= '0' && c <= '9')
                return c - '0';
        if (c >= 'a' && c <= 'f')
                return c - 'a' + 10;
        if (c >= 'A' && c <= 'F')
                return c - 'A' + 10;
        return 99;
}

bool go_parse_uint(Str s, uint64_t *ret)
{
        unsigned base = 10;
        bool prefixed = false;
        if (s.n == 0)
                return false;
        if (s.n > 1 && s.p[0] == '0') {
                char c = s.p[1] | 0x20;
                base = c == 'x' ? 16 : c == 'b' ? 2 : 8;
                s = str_skip(s, c == 'x' || c == 'b' || c == 'o' ? 2 : 1);
                prefixed = true;
        }
        if (s.n == 0)
                return false;
        uint64_t v = 0;
        bool last_digit = prefixed;     /* an underscore stands between digits, or behind the prefix */
        for (size_t i = 0; i < s.n; i++) {
                if (s.p[i] == '_') {
                        if (!last_digit)
                                return false;
                        last_digit = false;
                        continue;
                }
                unsigned d = (unsigned)digit_of(s.p[i]);
                if (d >= base || __builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, d, &v))
                        return false;
                last_digit = true;
        }
        if (!last_digit)
                return false;
        *ret = v;
        return true;
}

bool go_parse_int(Str s, int64_t *ret)
{
        bool negative = s.n && s.p[0] == '-';
        uint64_t u;
        if (s.n && (s.p[0] == '-' || s.p[0] == '+'))
                s = str_skip(s, 1);
        if (!go_parse_uint(s, &u) || u > (uint64_t)INT64_MAX + negative)
                return false;
        *ret = negative ? (int64_t)(0 - u) : (int64_t)u;
        return true;
}

/* One escape behind the backslash; its length, or 0. */
static size_t unescape(Str s, char quote, struct buf *b)
{
        static const char from[] = "abfnrtv\\", to[] = "\a\b\f\n\r\t\v\\";
        if (s.n == 0)
                return 0;
        char c = s.p[0];
        const char *simple = c ? strchr(from, c) : NULL;
        if (simple || c == quote) {
                buf_putc(b, simple ? to[simple - from] : c);
                return 1;
        }
        size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : c >= '0' && c <= '7' ? 3 : 0, skip = c >= '0' && c <= '7' ? 0 : 1;
        unsigned base = skip ? 16 : 8;
        if (digits == 0 || s.n < digits + skip)
                return 0;
        uint32_t v = 0;
        for (size_t i = 0; i < digits; i++) {
                unsigned d = (unsigned)digit_of(s.p[skip + i]);
                if (d >= base)
                        return 0;
                v = v * base + d;
        }
        if (c == 'u' || c == 'U') {
                char utf8[4];
                if (v > 0x10ffff || (v >= 0xd800 && v < 0xe000))
                        return 0;
                buf_append(b, utf8, utf8_encode(v, utf8));
        } else if (v > 255) {
                return 0;
        } else {
                buf_putc(b, (char)v);
        }
        return digits + skip;
}

bool go_unquote(Str s, struct buf *ret)
{
        if (s.n < 2 || s.p[0] != s.p[s.n - 1])
                return false;
        char quote = s.p[0];
        s = str_sub(s, 1, s.n - 1);
        for (size_t i = 0; i < s.n;) {
                if (quote == '`') {
                        if (s.p[i] != '\r')
                                buf_putc(ret, s.p[i]);
                        i++;
                        continue;
                }
                if (s.p[i] == quote || s.p[i] == '\n')
                        return false;
                if (s.p[i] != '\\') {
                        buf_putc(ret, s.p[i++]);
                        continue;
                }
                size_t n = unescape(str_skip(s, i + 1), quote, ret);
                if (n == 0)
                        return false;
                i += n + 1;
        }
        return true;
}

/* ---- reading tokens ---- */

static struct token lexed(struct parser *p)
{
        struct token t = p->tokens.p[p->at];
        if (p->at + 1 < p->tokens.n)
                p->at++;
        return t;
}

static struct token next(struct parser *p)
{
        if (p->peeked > 0)
                p->peeked--;
        else
                p->token[0] = lexed(p);
        return p->token[p->peeked];
}

static void backup(struct parser *p)
{
        p->peeked++;
}

/* The zeroth token is there already. */
static void backup2(struct parser *p, struct token t1)
{
        p->token[1] = t1;
        p->peeked = 2;
}

static void backup3(struct parser *p, struct token t2, struct token t1)
{
        p->token[1] = t1;
        p->token[2] = t2;
        p->peeked = 3;
}

static struct token peek(struct parser *p)
{
        if (p->peeked > 0)
                return p->token[p->peeked - 1];
        p->peeked = 1;
        p->token[0] = lexed(p);
        return p->token[0];
}

static struct token next_non_space(struct parser *p)
{
        struct token t;
        do
                t = next(p);
        while (t.type == TOKEN_SPACE);
        return t;
}

static struct token peek_non_space(struct parser *p)
{
        struct token t = next_non_space(p);
        backup(p);
        return t;
}

/* ---- errors ---- */

static void PRINTF_LIKE(2, 3) fail(struct parser *p, const char *fmt, ...)
{
        if (p->error)
                return;
        struct buf b = BUF_INIT(1 << 20);
        va_list ap;
        buf_printf(&b, "template: " STR_FMT ":%d: ", STR_ARG(p->parse_name), p->token[0].line);
        va_start(ap, fmt);
        buf_vprintf(&b, fmt, ap);
        va_end(ap);
        p->error = error_new(ERROR_INVALID, "%s", buf_cstr(&b));
        buf_done(&b);
}

static void put_token(struct buf *b, struct token t)
{
        if (t.type == TOKEN_EOF || t.type == TOKEN_ERROR) {
                buf_put(b, t.text);
        } else if (t.type > TOKEN_KEYWORD) {
                buf_printf(b, "<" STR_FMT ">", STR_ARG(t.text));
        } else {
                Str s = t.text;
                uint32_t r;
                size_t runes = 0, n = 0;
                while (n < s.n && runes < 10 && s.n > 10) {
                        size_t one = utf8_decode(str_skip(s, n), &r);
                        n += one ? one : 1;
                        runes++;
                }
                buf_put_go_quoted(b, s.n > 10 ? str_sub(s, 0, n) : s);
                if (s.n > 10)
                        buf_puts(b, "...");
        }
}

static void unexpected(struct parser *p, struct token t, const char *context)
{
        if (p->error)
                return;
        struct buf b = BUF_INIT(1 << 20);
        put_token(&b, t);
        if (t.type != TOKEN_ERROR) {
                fail(p, "unexpected %s in %s", buf_cstr(&b), context);
        } else if (p->action_line && p->action_line != t.line) {
                const char *in_action = str_has_suffix(t.text, STR(" action")) ? "" : " in action";
                fail(p, "%s%s started at " STR_FMT ":%d", buf_cstr(&b), in_action, STR_ARG(p->parse_name), p->action_line);
        } else {
                fail(p, "%s", buf_cstr(&b));
        }
        buf_done(&b);
}

static void fail_node(struct parser *p, const char *before, const struct node *n, const char *after)
{
        struct buf b = BUF_INIT(1 << 20);
        node_print(&b, n);
        fail(p, "%s%s%s", before, buf_cstr(&b), after);
        buf_done(&b);
}

static struct token expect(struct parser *p, enum token_type type, const char *context)
{
        struct token t = next_non_space(p);
        if (t.type != type)
                unexpected(p, t, context);
        return t;
}

/* ---- nodes ---- */

static struct node *node_new(struct parser *p, enum node_type type, size_t pos)
{
        struct node *n = arena_new(p->a, struct node);
        n->type = type;
        n->pos = pos;
        n->tree = p->tree;
        return n;
}

static struct nodes nodes_keep(struct parser *p, NodeVec *v)
{
        struct nodes out = {arena_array(p->a, struct node *, v->n + 1), v->n};
        if (v->n)
                memcpy(out.v, v->p, v->n * sizeof *v->p);
        vec_done(v);
        return out;
}

/* ".a" and "$x" as one name; a leading dot is not part of it. */
static struct strs ident_one(struct parser *p, Str s)
{
        struct strs out = {arena_array(p->a, Str, 1), 1};
        out.v[0] = str_has_prefix(s, STR(".")) ? str_skip(s, 1) : s;
        return out;
}

static struct strs idents_join(struct parser *p, struct strs a, struct strs b)
{
        struct strs out = {arena_array(p->a, Str, a.n + b.n + 1), a.n + b.n};
        if (a.n)
                memcpy(out.v, a.v, a.n * sizeof *a.v);
        if (b.n)
                memcpy(out.v + a.n, b.v, b.n * sizeof *b.v);
        return out;
}

static struct node *variable_new(struct parser *p, struct token t)
{
        struct node *n = node_new(p, NODE_VARIABLE, t.pos);
        n->ident = ident_one(p, t.text);
        return n;
}

static void fail_syntax(struct parser *p)
{
        fail(p, "invalid syntax");
}

static Str unquoted(struct parser *p, Str s)
{
        struct buf b = BUF_INIT(TEXT_MAX_BYTES);
        if (!go_unquote(s, &b))
                fail_syntax(p);
        Str out = arena_str(p->a, buf_str(&b));
        buf_done(&b);
        return out;
}

static struct node *pipeline(struct parser *p, const char *context, enum token_type end);

static void char_constant(struct parser *p, struct node *n, Str s)
{
        struct buf b = BUF_INIT(64);
        uint32_t r;
        bool octets = s.n > 2 && s.p[1] == '\\' && (s.p[2] == 'x' || (s.p[2] >= '0' && s.p[2] <= '7'));
        if (!go_unquote(s, &b) || b.n == 0) {
                if (s.n > 2 && s.p[1] != '\\')
                        fail(p, "malformed character constant: " STR_FMT, STR_ARG(s));
                else
                        fail_syntax(p);
        } else if (octets && b.n == 1) {
                n->number.i = (unsigned char)b.p[0];
        } else {
                size_t len = utf8_decode(buf_str(&b), &r);
                if (len != b.n && len)
                        fail(p, "malformed character constant: " STR_FMT, STR_ARG(s));
                n->number.i = len ? (int64_t)r : 0xfffd;
        }
        n->number.is_int = n->number.is_uint = n->number.is_float = true;
        n->number.u = (uint64_t)n->number.i;
        n->number.f = (double)n->number.i;
        buf_done(&b);
}

static bool has_any(Str s, const char *set)
{
        for (size_t i = 0; i < s.n; i++) {
                if (s.p[i] && strchr(set, s.p[i]))
                        return true;
        }
        return false;
}

static void fail_quoted(struct parser *p, const char *what, Str s)
{
        struct buf b = BUF_INIT(1 << 16);
        buf_put_go_quoted(&b, s);
        fail(p, "%s%s", what, buf_cstr(&b));
        buf_done(&b);
}

static struct node *number_new(struct parser *p, struct token t)
{
        struct node *n = node_new(p, NODE_NUMBER, t.pos);
        n->number.text = t.text;
        bool imaginary = t.type == TOKEN_COMPLEX || (t.text.n && t.text.p[t.text.n - 1] == 'i');
        if (t.type == TOKEN_CHAR_CONSTANT) {
                char_constant(p, n, t.text);
                return n;
        }
        if (imaginary) {
                fail(p, "complex numbers are not supported: " STR_FMT, STR_ARG(t.text));
                return n;
        }
        n->number.is_uint = go_parse_uint(t.text, &n->number.u);
        n->number.is_int = go_parse_int(t.text, &n->number.i);
        if (n->number.is_int && n->number.i == 0)
                n->number.is_uint = true;
        if (n->number.is_int || n->number.is_uint) {
                n->number.is_float = true;
                n->number.f = n->number.is_int ? (double)n->number.i : (double)n->number.u;
                return n;
        }
        double f;
        bool range = false;
        if (float_parse(t.text, &f, &range) && !range) {
                if (!has_any(t.text, ".eEpP")) {
                        fail_quoted(p, "integer overflow: ", t.text);
                        return n;
                }
                n->number.is_float = true;
                n->number.f = f;
                if (f >= -0x1p63 && f < 0x1p63 && (double)(int64_t)f == f) {
                        n->number.is_int = true;
                        n->number.i = (int64_t)f;
                }
                if (f >= 0 && f < 0x1p64 && (double)(uint64_t)f == f) {
                        n->number.is_uint = true;
                        n->number.u = (uint64_t)f;
                }
                return n;
        }
        fail_quoted(p, "illegal number syntax: ", t.text);
        return n;
}

static struct node *variable_use(struct parser *p, struct token t)
{
        for (size_t i = 0; i < p->vars.n; i++) {
                if (str_eq(p->vars.p[i], t.text))
                        return variable_new(p, t);
        }
        fail_quoted(p, "undefined variable ", t.text);
        return variable_new(p, t);
}

/* NULL: what comes is no term. */
static struct node *term(struct parser *p)
{
        struct token t = next_non_space(p);
        struct node *n;
        bool builtin;
        switch (t.type) {
        case TOKEN_IDENTIFIER:
                if (!tmpl_find_func(p->t, t.text, &builtin)) {
                        struct buf b = BUF_INIT(1 << 16);
                        buf_put_go_quoted(&b, t.text);
                        fail(p, "function %s not defined", buf_cstr(&b));
                        buf_done(&b);
                }
                n = node_new(p, NODE_IDENTIFIER, t.pos);
                n->text = t.text;
                return n;
        case TOKEN_DOT:
                return node_new(p, NODE_DOT, t.pos);
        case TOKEN_NIL:
                return node_new(p, NODE_NIL, t.pos);
        case TOKEN_VARIABLE:
                return variable_use(p, t);
        case TOKEN_FIELD:
                n = node_new(p, NODE_FIELD, t.pos);
                n->ident = ident_one(p, t.text);
                return n;
        case TOKEN_BOOL:
                n = node_new(p, NODE_BOOL, t.pos);
                n->truth = str_eq(t.text, STR("true"));
                return n;
        case TOKEN_CHAR_CONSTANT:
        case TOKEN_COMPLEX:
        case TOKEN_NUMBER:
                return number_new(p, t);
        case TOKEN_LEFT_PAREN:
                if (p->depth >= DEPTH_MAX) {
                        fail(p, "max expression depth exceeded");
                        return NULL;
                }
                p->depth++;
                n = pipeline(p, "parenthesized pipeline", TOKEN_RIGHT_PAREN);
                p->depth--;
                return n;
        case TOKEN_STRING:
        case TOKEN_RAW_STRING:
                n = node_new(p, NODE_STRING, t.pos);
                n->string.quoted = t.text;
                n->string.text = unquoted(p, t.text);
                return n;
        default:
                backup(p);
                return NULL;
        }
}

static struct node *operand(struct parser *p)
{
        struct node *n = term(p);
        if (!n || p->error || peek(p).type != TOKEN_FIELD)
                return n;
        size_t pos = peek(p).pos;
        struct strs fields = {NULL, 0};
        while (peek(p).type == TOKEN_FIELD)
                fields = idents_join(p, fields, ident_one(p, next(p).text));
        struct node *out;
        switch (n->type) {
        case NODE_FIELD:
        case NODE_VARIABLE:
                out = node_new(p, n->type, pos);
                out->ident = idents_join(p, n->ident, fields);
                return out;
        case NODE_BOOL:
        case NODE_STRING:
        case NODE_NUMBER:
        case NODE_NIL:
        case NODE_DOT: {
                struct buf b = BUF_INIT(1 << 20), q = BUF_INIT(1 << 20);
                node_print(&b, n);
                buf_put_go_quoted(&q, buf_str(&b));
                fail(p, "unexpected . after term %s", buf_cstr(&q));
                buf_done(&b);
                buf_done(&q);
                return n;
        }
        default:
                out = node_new(p, NODE_CHAIN, pos);
                out->chain.node = n;
                out->chain.fields = fields;
                return out;
        }
}

static struct node *command(struct parser *p)
{
        NodeVec args = VEC_INIT;
        struct node *cmd = node_new(p, NODE_COMMAND, peek_non_space(p).pos);
        for (;;) {
                peek_non_space(p);
                struct node *o = operand(p);
                if (p->error)
                        break;
                if (o)
                        vec_push(&args, o);
                struct token t = next(p);
                if (t.type == TOKEN_SPACE)
                        continue;
                if (t.type == TOKEN_RIGHT_DELIM || t.type == TOKEN_RIGHT_PAREN)
                        backup(p);
                else if (t.type != TOKEN_PIPE)
                        unexpected(p, t, "operand");
                break;
        }
        if (args.n == 0)
                fail(p, "empty command");
        cmd->list = nodes_keep(p, &args);
        return cmd;
}

static void pipeline_check(struct parser *p, const struct node *pipe, const char *context)
{
        if (pipe->pipe.cmds.n == 0)
                fail(p, "missing value for %s", context);
        for (size_t i = 1; i < pipe->pipe.cmds.n; i++) {
                switch (pipe->pipe.cmds.v[i]->list.v[0]->type) {
                case NODE_BOOL:
                case NODE_DOT:
                case NODE_NIL:
                case NODE_NUMBER:
                case NODE_STRING:
                        fail(p, "non executable command in pipeline stage %zu", i + 1);
                        return;
                default:
                        break;
                }
        }
}

/* $x := , $x = , and in a range $i, $x := */
static void declarations(struct parser *p, struct node *pipe, NodeVec *decl, const char *context)
{
        for (;;) {
                struct token v = peek_non_space(p);
                if (v.type != TOKEN_VARIABLE)
                        return;
                next(p);
                struct token after = peek(p), t = peek_non_space(p);
                bool comma = t.type == TOKEN_CHAR && str_eq(t.text, STR(","));
                if (t.type == TOKEN_ASSIGN || t.type == TOKEN_DECLARE || comma) {
                        if (!comma)
                                pipe->pipe.is_assign = t.type == TOKEN_ASSIGN;
                        next_non_space(p);
                        vec_push(decl, variable_new(p, v));
                        vec_push(&p->vars, v.text);
                        if (!comma)
                                return;
                        if (strcmp(context, "range") == 0 && decl->n < 2) {
                                enum token_type then = peek_non_space(p).type;
                                if (then == TOKEN_VARIABLE || then == TOKEN_RIGHT_DELIM || then == TOKEN_RIGHT_PAREN)
                                        continue;
                                fail(p, "range can only initialize variables");
                                return;
                        }
                        fail(p, "too many declarations in %s", context);
                } else if (after.type == TOKEN_SPACE) {
                        backup3(p, v, after);
                } else {
                        backup2(p, v);
                }
                return;
        }
}

static struct node *pipeline(struct parser *p, const char *context, enum token_type end)
{
        struct node *pipe = node_new(p, NODE_PIPE, peek_non_space(p).pos);
        NodeVec decl = VEC_INIT, cmds = VEC_INIT;
        declarations(p, pipe, &decl, context);
        while (!p->error) {
                struct token t = next_non_space(p);
                if (t.type == end)
                        break;
                switch (t.type) {
                case TOKEN_BOOL:
                case TOKEN_CHAR_CONSTANT:
                case TOKEN_COMPLEX:
                case TOKEN_DOT:
                case TOKEN_FIELD:
                case TOKEN_IDENTIFIER:
                case TOKEN_NUMBER:
                case TOKEN_NIL:
                case TOKEN_RAW_STRING:
                case TOKEN_STRING:
                case TOKEN_VARIABLE:
                case TOKEN_LEFT_PAREN: {
                        backup(p);
                        struct node *cmd = command(p);
                        vec_push(&cmds, cmd);
                        break;
                }
                default:
                        unexpected(p, t, context);
                }
        }
        pipe->pipe.decl = nodes_keep(p, &decl);
        pipe->pipe.cmds = nodes_keep(p, &cmds);
        if (!p->error)
                pipeline_check(p, pipe, context);
        return pipe;
}

static struct node *text_or_action(struct parser *p);

/* Up to {{end}} or {{else}}, which is *ret_next. */
static struct node *item_list(struct parser *p, struct node **ret_next)
{
        struct node *list = node_new(p, NODE_LIST, peek_non_space(p).pos);
        NodeVec items = VEC_INIT;
        *ret_next = NULL;
        while (!p->error && peek_non_space(p).type != TOKEN_EOF) {
                struct node *n = text_or_action(p);
                if (p->error)
                        break;
                if (n->type == NODE_END || n->type == NODE_ELSE) {
                        *ret_next = n;
                        break;
                }
                vec_push(&items, n);
        }
        if (!*ret_next)
                fail(p, "unexpected EOF");
        list->list = nodes_keep(p, &items);
        return list;
}

static struct node *control(struct parser *p, enum node_type type, const char *context)
{
        size_t vars = p->vars.n;
        struct node *n = node_new(p, type, 0), *then;
        if (p->depth >= DEPTH_MAX) {
                fail(p, "max expression depth exceeded");
                return n;
        }
        p->depth++;
        n->control.pipe = pipeline(p, context, TOKEN_RIGHT_DELIM);
        n->pos = n->control.pipe->pos;
        if (p->error)
                goto out;
        p->range_depth += type == NODE_RANGE;
        n->control.list = item_list(p, &then);
        p->range_depth -= type == NODE_RANGE;
        if (p->error)
                goto out;
        if (then->type == NODE_ELSE) {
                enum token_type t = peek(p).type;
                if ((type == NODE_IF && t == TOKEN_IF) || (type == NODE_WITH && t == TOKEN_WITH)) {
                        /* {{else if x}} is {{else}}{{if x}}, and its {{end}} ends both. */
                        next(p);
                        struct node *list = node_new(p, NODE_LIST, then->pos);
                        NodeVec one = VEC_INIT;
                        struct node *inner = control(p, type, context);
                        vec_push(&one, inner);
                        list->list = nodes_keep(p, &one);
                        n->control.else_list = list;
                } else {
                        n->control.else_list = item_list(p, &then);
                        if (!p->error && then->type != NODE_END)
                                fail_node(p, "expected end; found ", then, "");
                }
        }
out:
        p->depth--;
        p->vars.n = vars;
        return n;
}

static void tree_add(struct parser *p, struct tree *tree)
{
        struct tree *old = map_get(&p->t->trees, tree->name);
        if (!old || node_is_empty(old->root)) {
                if (old)
                        map_remove(&p->t->trees, tree->name);
                map_set(&p->t->trees, tree->name, tree);
                return;
        }
        if (!node_is_empty(tree->root)) {
                struct buf b = BUF_INIT(1 << 16);
                buf_put_go_quoted(&b, tree->name);
                fail(p, "template: multiple definition of template %s", buf_cstr(&b));
                buf_done(&b);
        }
}

/* The body of a define or block as a tree of its own. */
static void definition(struct parser *p, Str name, const char *context)
{
        struct tree *outer = p->tree, *tree = arena_new(p->a, struct tree);
        size_t vars = p->vars.n;
        int range_depth = p->range_depth;
        struct node *end;
        *tree = (struct tree){.name = name, .parse_name = p->parse_name, .text = p->text};
        VEC(Str) outer_vars = VEC_INIT;
        for (size_t i = 0; i < vars; i++)
                vec_push(&outer_vars, p->vars.p[i]);
        vec_clear(&p->vars);
        vec_push(&p->vars, STR("$"));
        p->range_depth = 0;
        p->tree = tree;
        if (p->depth >= DEPTH_MAX)
                fail(p, "max expression depth exceeded");
        p->depth++;
        tree->root = p->error ? NULL : item_list(p, &end);
        p->depth--;
        if (!p->error && end->type != NODE_END) {
                struct buf b = BUF_INIT(256);
                buf_printf(&b, " in %s", context);
                fail_node(p, "unexpected ", end, buf_cstr(&b));
                buf_done(&b);
        }
        if (!p->error)
                tree_add(p, tree);
        p->tree = outer;
        p->range_depth = range_depth;
        vec_clear(&p->vars);
        for (size_t i = 0; i < vars; i++)
                vec_push(&p->vars, outer_vars.p[i]);
        vec_done(&outer_vars);
}

static Str template_name(struct parser *p, struct token t, const char *context)
{
        if (t.type == TOKEN_STRING || t.type == TOKEN_RAW_STRING)
                return unquoted(p, t.text);
        unexpected(p, t, context);
        return STR("");
}

static struct node *template_control(struct parser *p, bool block)
{
        const char *context = block ? "block clause" : "template clause";
        struct token t = next_non_space(p);
        struct node *n = node_new(p, NODE_TEMPLATE, t.pos);
        n->control.name = template_name(p, t, context);
        if (p->error)
                return n;
        if (block || next_non_space(p).type != TOKEN_RIGHT_DELIM) {
                if (!block)
                        backup(p);
                n->control.pipe = pipeline(p, context, TOKEN_RIGHT_DELIM);
        }
        if (block && !p->error)
                definition(p, n->control.name, context);
        return n;
}

static struct node *jump(struct parser *p, enum node_type type, struct token at, const char *text)
{
        struct token t = next_non_space(p);
        struct node *n = node_new(p, type, at.pos);
        n->text = str_from(text);
        if (t.type != TOKEN_RIGHT_DELIM)
                unexpected(p, t, text);
        if (p->range_depth == 0)
                fail(p, "%s outside {{range}}", text);
        return n;
}

static struct node *action(struct parser *p)
{
        struct token t = next_non_space(p);
        struct node *n;
        switch (t.type) {
        case TOKEN_BLOCK:
                return template_control(p, true);
        case TOKEN_TEMPLATE:
                return template_control(p, false);
        case TOKEN_BREAK:
                return jump(p, NODE_BREAK, t, "{{break}}");
        case TOKEN_CONTINUE:
                return jump(p, NODE_CONTINUE, t, "{{continue}}");
        case TOKEN_ELSE:
                n = node_new(p, NODE_ELSE, peek_non_space(p).pos);
                if (peek(p).type != TOKEN_IF && peek(p).type != TOKEN_WITH)
                        expect(p, TOKEN_RIGHT_DELIM, "else");
                return n;
        case TOKEN_END:
                return node_new(p, NODE_END, expect(p, TOKEN_RIGHT_DELIM, "end").pos);
        case TOKEN_IF:
                return control(p, NODE_IF, "if");
        case TOKEN_RANGE:
                return control(p, NODE_RANGE, "range");
        case TOKEN_WITH:
                return control(p, NODE_WITH, "with");
        default:
                backup(p);
                n = node_new(p, NODE_ACTION, peek(p).pos);
                n->control.pipe = pipeline(p, "command", TOKEN_RIGHT_DELIM);
                return n;
        }
}

static struct node *text_or_action(struct parser *p)
{
        struct token t = next_non_space(p);
        struct node *n;
        switch (t.type) {
        case TOKEN_TEXT:
                n = node_new(p, NODE_TEXT, t.pos);
                n->text = t.text;
                return n;
        case TOKEN_LEFT_DELIM:
                p->action_line = t.line;
                n = action(p);
                p->action_line = 0;
                return n;
        default:
                unexpected(p, t, "input");
                return node_new(p, NODE_TEXT, t.pos);
        }
}

static void parse_top(struct parser *p)
{
        NodeVec items = VEC_INIT;
        p->tree->root = node_new(p, NODE_LIST, peek(p).pos);
        while (!p->error && peek(p).type != TOKEN_EOF) {
                if (peek(p).type == TOKEN_LEFT_DELIM) {
                        struct token delim = next(p);
                        if (next_non_space(p).type == TOKEN_DEFINE) {
                                struct token name = next_non_space(p);
                                if (name.type != TOKEN_STRING && name.type != TOKEN_RAW_STRING)
                                        unexpected(p, name, "define clause");
                                Str text = p->error ? STR("") : unquoted(p, name.text);
                                if (!p->error)
                                        expect(p, TOKEN_RIGHT_DELIM, "define clause");
                                if (!p->error)
                                        definition(p, text, "define clause");
                                continue;
                        }
                        backup2(p, delim);
                }
                struct node *n = text_or_action(p);
                if (p->error)
                        break;
                if (n->type == NODE_END || n->type == NODE_ELSE)
                        fail_node(p, "unexpected ", n, "");
                else
                        vec_push(&items, n);
        }
        p->tree->root->list = nodes_keep(p, &items);
        if (!p->error)
                tree_add(p, p->tree);
}

struct error *tmpl_parse_more(struct tmpl *t, Str name, Str text)
{
        if (text.n > TEXT_MAX_BYTES)
                return error_new(ERROR_LIMIT, "template: " STR_FMT ": text of %zu bytes, at most %d are allowed", STR_ARG(name), text.n, TEXT_MAX_BYTES);
        struct parser p = {.t = t, .a = &t->arena, .parse_name = arena_str(&t->arena, name), .text = arena_str(&t->arena, text)};
        p.tree = arena_new(p.a, struct tree);
        *p.tree = (struct tree){.name = p.parse_name, .parse_name = p.parse_name, .text = p.text};
        tmpl_lex(p.text, p.a, &p.tokens);
        vec_push(&p.vars, STR("$"));
        parse_top(&p);
        vec_done(&p.tokens);
        vec_done(&p.vars);
        return p.error;
}

struct error *tmpl_parse(Str name, Str text, const struct tmpl_funcs *funcs, enum tmpl_missing missing, struct tmpl **ret)
{
        struct tmpl *t = mem_new(struct tmpl);
        arena_init(&t->arena, MEMORY_MAX_BYTES * (size_t)4);
        t->name = arena_str(&t->arena, name);
        t->funcs = funcs;
        t->missing = missing;
        struct error *e = tmpl_parse_more(t, name, text);
        if (e) {
                tmpl_free(t);
                return e;
        }
        *ret = t;
        return NULL;
}

void tmpl_free(struct tmpl *t)
{
        if (!t)
                return;
        map_done(&t->trees);
        arena_done(&t->arena);
        free(t);
}
