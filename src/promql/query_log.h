/* SPDX-License-Identifier: Apache-2.0 */
/* query_log.h — the queue of queries with the file queries.active, and the query log.
 *
 *   e = active_log_enter(a, text, deadline_ns, cancel, &slot);     waits for a place
 *   …
 *   active_log_leave(a, slot);
 *
 * queries.active: 1 + 1000 bytes a place, mapped: "[", then {"query":"…","timestamp_sec":…}, in each place that is taken; what is found there at
 * start did not finish and is logged. Threads: any.  Upstream: promql/query_logger.go, util/logging */
#ifndef PROMQL_QUERY_LOG_H
#define PROMQL_QUERY_LOG_H

#include "promql/engine.h"

struct active_log;
struct active_log *active_log_new(const char *dir, int n);      /* dir NULL: the queue alone. A file that cannot be made is logged. */
void active_log_free(struct active_log *a);
/* ERROR_TIMEOUT, ERROR_CANCELLED. */
struct error *active_log_enter(struct active_log *a, Str query, int64_t deadline_ns, const bool *cancel, int *ret_slot) MUST_CHECK;
void active_log_leave(struct active_log *a, int slot);          /* -1 is fine */

struct query_log;
struct query_log *query_log_new(void);
void query_log_free(struct query_log *l);
struct error *query_log_open(struct query_log *l, const char *path) MUST_CHECK; /* closes what was open; NULL or "": off */
bool query_log_is_on(struct query_log *l);
/* One JSON line; false: it could not be written. */
bool query_log_write(struct query_log *l, const struct query_opts *q, bool instant, const struct query_stats *s, const struct error *e);

#endif
