/* SPDX-License-Identifier: Apache-2.0 */
/* Nodes as text, for error messages: as the original prints them, not as they were written. */
#include "alert/template/node.h"
#include "codec/quote.h"

static void print_control(struct buf *b, const char *word, const struct node *n)
{
        buf_printf(b, "{{%s ", word);
        node_print(b, n->control.pipe);
        buf_puts(b, "}}");
        node_print(b, n->control.list);
        if (n->control.else_list) {
                buf_puts(b, "{{else}}");
                node_print(b, n->control.else_list);
        }
        buf_puts(b, "{{end}}");
}

static void print_argument(struct buf *b, const struct node *n)
{
        bool paren = n->type == NODE_PIPE;
        buf_puts(b, paren ? "(" : "");
        node_print(b, n);
        buf_puts(b, paren ? ")" : "");
}

static void print_pipe(struct buf *b, const struct node *n)
{
        for (size_t i = 0; i < n->pipe.decl.n; i++) {
                buf_puts(b, i ? ", " : "");
                node_print(b, n->pipe.decl.v[i]);
        }
        if (n->pipe.decl.n)
                buf_puts(b, n->pipe.is_assign ? " = " : " := ");
        for (size_t i = 0; i < n->pipe.cmds.n; i++) {
                buf_puts(b, i ? " | " : "");
                node_print(b, n->pipe.cmds.v[i]);
        }
}

void node_print(struct buf *b, const struct node *n)
{
        if (!n || buf_is_over(b))
                return;
        switch (n->type) {
        case NODE_TEXT:
        case NODE_IDENTIFIER:
        case NODE_BREAK:
        case NODE_CONTINUE:
                buf_put(b, n->text);
                break;
        case NODE_ACTION:
                buf_puts(b, "{{");
                node_print(b, n->control.pipe);
                buf_puts(b, "}}");
                break;
        case NODE_BOOL:
                buf_puts(b, n->truth ? "true" : "false");
                break;
        case NODE_CHAIN:
                print_argument(b, n->chain.node);
                for (size_t i = 0; i < n->chain.fields.n; i++)
                        buf_printf(b, "." STR_FMT, STR_ARG(n->chain.fields.v[i]));
                break;
        case NODE_COMMAND:
                for (size_t i = 0; i < n->list.n; i++) {
                        buf_puts(b, i ? " " : "");
                        print_argument(b, n->list.v[i]);
                }
                break;
        case NODE_DOT:
                buf_puts(b, ".");
                break;
        case NODE_ELSE:
                buf_puts(b, "{{else}}");
                break;
        case NODE_END:
                buf_puts(b, "{{end}}");
                break;
        case NODE_FIELD:
                for (size_t i = 0; i < n->ident.n; i++)
                        buf_printf(b, "." STR_FMT, STR_ARG(n->ident.v[i]));
                break;
        case NODE_VARIABLE:
                for (size_t i = 0; i < n->ident.n; i++)
                        buf_printf(b, "%s" STR_FMT, i ? "." : "", STR_ARG(n->ident.v[i]));
                break;
        case NODE_IF:
                print_control(b, "if", n);
                break;
        case NODE_RANGE:
                print_control(b, "range", n);
                break;
        case NODE_WITH:
                print_control(b, "with", n);
                break;
        case NODE_LIST:
                for (size_t i = 0; i < n->list.n; i++)
                        node_print(b, n->list.v[i]);
                break;
        case NODE_NIL:
                buf_puts(b, "nil");
                break;
        case NODE_NUMBER:
                buf_put(b, n->number.text);
                break;
        case NODE_PIPE:
                print_pipe(b, n);
                break;
        case NODE_STRING:
                buf_put(b, n->string.quoted);
                break;
        case NODE_TEMPLATE:
                buf_puts(b, "{{template ");
                buf_put_go_quoted(b, n->control.name);
                if (n->control.pipe) {
                        buf_putc(b, ' ');
                        node_print(b, n->control.pipe);
                }
                buf_puts(b, "}}");
                break;
        }
}

bool node_is_empty(const struct node *n)
{
        if (!n)
                return true;
        if (n->type == NODE_TEXT)
                return str_trim(n->text).n == 0;
        if (n->type != NODE_LIST)
                return false;
        for (size_t i = 0; i < n->list.n; i++) {
                if (!node_is_empty(n->list.v[i]))
                        return false;
        }
        return true;
}
