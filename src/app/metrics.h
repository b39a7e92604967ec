/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.h — what the process tells of itself and of its storage, under the original's names.
 *
 *   m = process_metrics_new(registry, db);          filled in at each write of the registry
 *   process_metrics_reload(m, ok, last_ms);
 *   process_metrics_free(m);                        before the database goes
 */
#ifndef APP_METRICS_H
#define APP_METRICS_H

#include "base/metric.h"
#include "tsdb/db/db.h"

struct process_metrics;
struct process_metrics *process_metrics_new(struct metric_registry *r, struct db *db);
void process_metrics_free(struct process_metrics *m);           /* NULL is fine */
void process_metrics_reload(struct process_metrics *m, bool ok, TimeMs last_success_ms);

#endif
