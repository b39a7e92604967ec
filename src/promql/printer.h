/* SPDX-License-Identifier: Apache-2.0 */
/* printer.h — pieces of printed expressions that the pretty printer needs too. */
#ifndef PROMQL_PRINTER_H
#define PROMQL_PRINTER_H

#include "promql/ast.h"

void print_aggregate_head(struct buf *b, const struct expr *x);  /* sum by (a) */
void print_binary_op(struct buf *b, const struct expr *x);       /* + on (a) group_left () */
void print_subquery_suffix(struct buf *b, const struct expr *x); /* [5m:1m] @ end() offset 1m */

#endif
