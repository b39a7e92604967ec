/* SPDX-License-Identifier: Apache-2.0 */
/* query_memory.h — what all queries of an engine hold together, and who has to end when that is too much.
 *
 *   struct query_memory *m = query_memory_new(2 << 30);     the ceiling; 0: none
 *   struct query_hold h = {0};  query_memory_enter(m, &h);
 *   e = query_memory_hold(m, &h, bytes);                    the query's whole use from now on; ERROR_LIMIT: it is the one that ends
 *   query_memory_leave(m, &h);
 *
 * Past the ceiling the query that holds most ends, at its next call, and the others go on; until it has gone it is not counted. So many small
 * queries do not fail because of a large one. Calls that change little cost a comparison. Threads: any; one owner a hold. */
#ifndef PROMQL_QUERY_MEMORY_H
#define PROMQL_QUERY_MEMORY_H

#include "base/error.h"
#include "base/list.h"

struct query_memory;
struct query_hold {
        struct list link;
        size_t held;            /* rounded up */
        bool evicted;           /* by __atomic builtins */
        bool entered;
};
struct query_memory *query_memory_new(size_t max_bytes);
void query_memory_free(struct query_memory *m);
void query_memory_enter(struct query_memory *m, struct query_hold *h);
void query_memory_leave(struct query_memory *m, struct query_hold *h);          /* NULL, or one that never entered: nothing */
struct error *query_memory_hold(struct query_memory *m, struct query_hold *h, size_t bytes) MUST_CHECK;
size_t query_memory_held(struct query_memory *m);       /* by all, for metrics */

#endif
