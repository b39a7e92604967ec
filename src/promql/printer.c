/* SPDX-License-Identifier: Apache-2.0 */
/* The canonical text of an expression, on one line. Stops early when the buffer is full, so that a small limit makes a
 * cheap test of length. Upstream: promql/parser/printer.go */
#include "promql/printer.h"

#include "base/alloc.h"
#include "codec/float_text.h"
#include "codec/quote.h"
#include "model/duration.h"
#include "promql/parser.h"

static void put_labels(struct buf *b, const Str *labels, size_t n)
{
        buf_putc(b, '(');
        for (size_t i = 0; i < n; i++) {
                if (i > 0)
                        buf_puts(b, ", ");
                if (label_name_is_legacy(labels[i]))
                        buf_put(b, labels[i]);
                else
                        buf_put_go_quoted(b, labels[i]);
        }
        buf_putc(b, ')');
}

void print_aggregate_head(struct buf *b, const struct expr *x)
{
        buf_puts(b, aggregate_op_text(x->aggregate.op));
        if (!x->aggregate.without && x->aggregate.n_labels == 0)
                return;
        buf_puts(b, x->aggregate.without ? " without " : " by ");
        put_labels(b, x->aggregate.labels, x->aggregate.n_labels);
        buf_putc(b, ' ');
}

static void put_fill(struct buf *b, const char *name, double v)
{
        buf_puts(b, name);
        buf_puts(b, " (");
        buf_put_float(b, v, 'g');
        buf_putc(b, ')');
}

static void put_matching(struct buf *b, const struct vector_matching *m)
{
        bool is_grouped = m->card == CARD_MANY_TO_ONE || m->card == CARD_ONE_TO_MANY;
        if (m->n_labels > 0 || m->on || is_grouped) {
                buf_puts(b, m->on ? " on " : " ignoring ");
                put_labels(b, m->labels, m->n_labels);
        }
        if (is_grouped) {
                buf_puts(b, m->card == CARD_MANY_TO_ONE ? " group_left " : " group_right ");
                put_labels(b, m->include, m->n_include);
        }
        if (m->fill_left && m->fill_right && *m->fill_left == *m->fill_right) {
                put_fill(b, " fill", *m->fill_left);
                return;
        }
        if (m->fill_left)
                put_fill(b, " fill_left", *m->fill_left);
        if (m->fill_right)
                put_fill(b, " fill_right", *m->fill_right);
}

void print_binary_op(struct buf *b, const struct expr *x)
{
        buf_puts(b, binary_op_text(x->binary.op));
        if (x->binary.return_bool)
                buf_puts(b, " bool");
        if (x->binary.matching)
                put_matching(b, x->binary.matching);
}

static void put_duration_ms(struct buf *b, int64_t ms)
{
        if (ms < 0)
                buf_putc(b, '-');
        buf_put_duration(b, ms < 0 ? -ms : ms);
}

static void put_number(struct buf *b, const struct expr *x)
{
        if (!x->number.is_duration) {
                buf_put_float(b, x->number.v, 'f');
                return;
        }
        double v = x->number.v;
        if (v < 0)
                buf_putc(b, '-');
        buf_put_duration(b, go_int64((v < 0 ? -v : v) * 1e9) / 1000000);
}

static void put_duration_expr(struct buf *b, const struct expr *x)
{
        if (x->binary.wrapped)
                buf_putc(b, '(');
        switch (x->binary.op) {
        case OP_STEP:
        case OP_RANGE:
                buf_puts(b, binary_op_text(x->binary.op));
                buf_puts(b, "()");
                break;
        case OP_MIN_OF:
        case OP_MAX_OF:
                buf_puts(b, binary_op_text(x->binary.op));
                buf_putc(b, '(');
                promql_print(b, x->binary.lhs);
                buf_puts(b, ", ");
                promql_print(b, x->binary.rhs);
                buf_putc(b, ')');
                break;
        default:
                if (x->binary.lhs) {
                        promql_print(b, x->binary.lhs);
                        buf_printf(b, " %s ", binary_op_text(x->binary.op));
                } else if (x->binary.op == OP_SUB) {
                        buf_putc(b, '-');
                }
                promql_print(b, x->binary.rhs);
                break;
        }
        if (x->binary.wrapped)
                buf_putc(b, ')');
}

static void put_at(struct buf *b, const struct time_modifiers *m)
{
        if (m->has_at)
                buf_printf(b, " @ %.3f", (double)m->at_ms / 1000.0);
        else if (m->at != AT_NONE)
                buf_puts(b, m->at == AT_START ? " @ start()" : " @ end()");
}

static void put_offset(struct buf *b, const struct time_modifiers *m)
{
        if (!m->offset_expr && m->offset_sign == 0)
                return;
        buf_puts(b, " offset ");
        if (m->offset_expr) {
                promql_print(b, m->offset_expr);
                return;
        }
        if (m->offset_sign < 0)
                buf_putc(b, '-');
        buf_put_duration(b, m->original_offset_ms < 0 ? -m->original_offset_ms : m->original_offset_ms);
}

static void put_extended(struct buf *b, enum selector_modifier m)
{
        if (m != SELECTOR_PLAIN)
                buf_puts(b, m == SELECTOR_ANCHORED ? " anchored" : " smoothed");
}

static void put_range(struct buf *b, int64_t ms, const struct expr *x)
{
        if (x)
                promql_print(b, x);
        else
                put_duration_ms(b, ms);
}

/* Name and matchers. The matchers are written in the order of their texts. */
static void put_matchers(struct buf *b, const struct expr *x)
{
        Str name = x->selector.name;
        buf_put(b, name);
        size_t n = 0;
        struct buf all = BUF_INIT(BUF_NO_LIMIT); /* bounded by the query */
        Str *texts = mem_realloc_array(NULL, x->selector.n_matchers + 1, sizeof *texts);
        size_t *ends = mem_realloc_array(NULL, x->selector.n_matchers + 1, sizeof *ends);
        for (size_t i = 0; i < x->selector.n_matchers; i++) {
                const struct matcher *m = x->selector.matchers[i];
                if (m->type == MATCH_EQ && m->value.n > 0 && str_eq(m->name, STR(METRIC_NAME)) &&
                    str_eq(m->value, name))
                        continue;
                matcher_print(&all, m);
                ends[n++] = all.n;
        }
        for (size_t i = 0; i < n; i++)
                texts[i] = str_sub(buf_str(&all), i ? ends[i - 1] : 0, ends[i]);
        if (n > 0) {
                qsort(texts, n, sizeof *texts, str_cmp_qsort);
                for (size_t i = 0; i < n; i++) {
                        buf_putc(b, i ? ',' : '{');
                        buf_put(b, texts[i]);
                }
                buf_putc(b, '}');
        }
        free(ends);
        free(texts);
        buf_done(&all);
}

void print_subquery_suffix(struct buf *b, const struct expr *x)
{
        buf_putc(b, '[');
        put_range(b, x->subquery.range_ms, x->subquery.range_expr);
        buf_putc(b, ':');
        if (x->subquery.step_ms || x->subquery.step_expr)
                put_range(b, x->subquery.step_ms, x->subquery.step_expr);
        buf_putc(b, ']');
        put_at(b, &x->subquery.time);
        put_offset(b, &x->subquery.time);
}

static void put_matrix(struct buf *b, const struct expr *x)
{
        const struct expr *s = x->matrix.selector;
        put_matchers(b, s);
        buf_putc(b, '[');
        put_range(b, x->matrix.range_ms, x->matrix.range_expr);
        buf_putc(b, ']');
        put_extended(b, s->selector.modifier);
        put_at(b, &s->selector.time);
        put_offset(b, &s->selector.time);
}

void promql_print(struct buf *b, const struct expr *x)
{
        if (buf_is_over(b))
                return;
        switch (x->type) {
        case EXPR_NUMBER:
                put_number(b, x);
                break;
        case EXPR_STRING:
                buf_put_go_quoted(b, x->string.s);
                break;
        case EXPR_SELECTOR:
                put_matchers(b, x);
                put_at(b, &x->selector.time);
                put_extended(b, x->selector.modifier);
                put_offset(b, &x->selector.time);
                break;
        case EXPR_MATRIX:
                put_matrix(b, x);
                break;
        case EXPR_SUBQUERY:
                promql_print(b, x->subquery.child);
                print_subquery_suffix(b, x);
                break;
        case EXPR_CALL:
                buf_puts(b, x->call.func->name);
                buf_putc(b, '(');
                for (size_t i = 0; i < x->call.n_args; i++) {
                        if (i > 0)
                                buf_puts(b, ", ");
                        promql_print(b, x->call.args[i]);
                }
                buf_putc(b, ')');
                break;
        case EXPR_BINARY:
                promql_print(b, x->binary.lhs);
                buf_putc(b, ' ');
                print_binary_op(b, x);
                buf_putc(b, ' ');
                promql_print(b, x->binary.rhs);
                break;
        case EXPR_UNARY:
                buf_putc(b, x->unary.negative ? '-' : '+');
                promql_print(b, x->unary.child);
                break;
        case EXPR_PAREN:
                buf_putc(b, '(');
                promql_print(b, x->paren.child);
                buf_putc(b, ')');
                break;
        case EXPR_AGGREGATE:
                print_aggregate_head(b, x);
                buf_putc(b, '(');
                if (x->aggregate.param) {
                        promql_print(b, x->aggregate.param);
                        buf_puts(b, ", ");
                }
                promql_print(b, x->aggregate.child);
                buf_putc(b, ')');
                break;
        case EXPR_DURATION:
                put_duration_expr(b, x);
                break;
        }
}
