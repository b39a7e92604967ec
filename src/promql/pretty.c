/* SPDX-License-Identifier: Apache-2.0 */
/* The text that /api/v1/format_query gives: what is longer than a line is split where it can be, two blanks a level.
 * Upstream: promql/parser/prettier.go */
#include "promql/parse.h"
#include "promql/printer.h"

enum { LINE_MAX_BYTES = 100 };

static void pretty(struct buf *b, const struct expr *x, int level);

static void indent(struct buf *b, int level)
{
        for (int i = 0; i < level; i++)
                buf_puts(b, "  ");
}

static bool needs_split(const struct expr *x)
{
        struct buf line = BUF_INIT(LINE_MAX_BYTES);
        promql_print(&line, x);
        bool is_over = buf_is_over(&line);
        buf_done(&line);
        return is_over;
}

static void close_paren(struct buf *b, int level)
{
        buf_putc(b, '\n');
        indent(b, level);
        buf_putc(b, ')');
}

static void pretty_split(struct buf *b, const struct expr *x, int level)
{
        switch (x->type) {
        case EXPR_AGGREGATE:
                indent(b, level);
                print_aggregate_head(b, x);
                buf_puts(b, "(\n");
                if (x->aggregate.param) {
                        pretty(b, x->aggregate.param, level + 1);
                        buf_puts(b, ",\n");
                }
                pretty(b, x->aggregate.child, level + 1);
                close_paren(b, level);
                break;
        case EXPR_BINARY:
                pretty(b, x->binary.lhs, level + 1);
                buf_putc(b, '\n');
                indent(b, level);
                print_binary_op(b, x);
                buf_putc(b, '\n');
                pretty(b, x->binary.rhs, level + 1);
                break;
        case EXPR_CALL:
                indent(b, level);
                buf_puts(b, x->call.func->name);
                buf_puts(b, "(\n");
                for (size_t i = 0; i < x->call.n_args; i++) {
                        if (i > 0)
                                buf_puts(b, ",\n");
                        pretty(b, x->call.args[i], level + 1);
                }
                close_paren(b, level);
                break;
        case EXPR_PAREN:
                indent(b, level);
                buf_puts(b, "(\n");
                pretty(b, x->paren.child, level + 1);
                close_paren(b, level);
                break;
        default:
                bug("expression of type %d has nothing to split", x->type);
        }
}

/* The sign comes after the indentation, which the child writes. */
static void pretty_unary(struct buf *b, const struct expr *x, int level)
{
        indent(b, level);
        buf_putc(b, x->unary.negative ? '-' : '+');
        size_t at = b->n, skip = at;
        pretty(b, x->unary.child, level);
        while (skip < b->n && (b->p[skip] == ' ' || b->p[skip] == '\n'))
                skip++;
        if (skip > at) {
                memmove(b->p + at, b->p + skip, b->n - skip);
                b->n -= skip - at;
        }
}

static void pretty(struct buf *b, const struct expr *x, int level)
{
        if (buf_is_over(b))
                return;
        switch (x->type) {
        case EXPR_AGGREGATE:
        case EXPR_BINARY:
        case EXPR_CALL:
        case EXPR_PAREN:
                if (needs_split(x)) {
                        pretty_split(b, x, level);
                        return;
                }
                break;
        case EXPR_SUBQUERY: /* not indented when it fits: so upstream */
                if (!needs_split(x)) {
                        promql_print(b, x);
                        return;
                }
                pretty(b, x->subquery.child, level);
                print_subquery_suffix(b, x);
                return;
        case EXPR_UNARY:
                pretty_unary(b, x, level);
                return;
        case EXPR_NUMBER:
        case EXPR_STRING:
        case EXPR_SELECTOR:
        case EXPR_MATRIX:
        case EXPR_DURATION:
                break;
        }
        indent(b, level);
        promql_print(b, x);
}

void promql_print_pretty(struct buf *b, const struct expr *x)
{
        pretty(b, x, 0);
}
