/* SPDX-License-Identifier: Apache-2.0 */
/* metric.h — the process' own metrics: a registry of families, updated from any thread, written as text.
 *
 *   struct metric_registry *r = metric_registry_new();
 *   struct metric *m = metric_counter(r, "prometheus_tsdb_compactions_total", "Total number of …");
 *   metric_add(m, 1);
 *   struct metric_family *f = metric_family(r, METRIC_FAMILY_HISTOGRAM, "x_seconds", "…", (const char *[]){"handler", NULL});
 *   metric_observe(metric_with(f, (Str[]){STR("/metrics")}), 0.2);
 *   metric_collect(r, fill, ctx);                           called at each write: for values that are kept elsewhere
 *   metric_write_text(r, &b);
 *
 * Families are written sorted by name, their metrics by label values. A name registered twice gives the first one (kind and labels must
 * agree). Handles live as long as the registry. Updates are atomic and take no lock. Threads: any.
 * Format: exposition_formats.md of Prometheus, text 0.0.4. */
#ifndef BASE_METRIC_H
#define BASE_METRIC_H

#include "base/buf.h"
#include "base/clock.h"
#include "base/str.h"

struct metric_registry;
struct metric_family;
struct metric;
enum metric_family_type { METRIC_FAMILY_COUNTER, METRIC_FAMILY_GAUGE, METRIC_FAMILY_HISTOGRAM, METRIC_FAMILY_SUMMARY, METRIC_FAMILY_UNTYPED };

struct metric_registry *metric_registry_new(void);
void metric_registry_free(struct metric_registry *r);           /* NULL is fine */
void metric_registry_set_clock(struct metric_registry *r, const struct clock *c);       /* for tests: moves the window of summaries */

/* label_names: NULL-terminated, or NULL for none. Texts are copied. */
struct metric_family *metric_family(struct metric_registry *r, enum metric_family_type t, const char *name, const char *help, const char *const *label_names);
void metric_family_set_buckets(struct metric_family *f, const double *upper, size_t n);         /* histograms; before the first metric; default: client_golang's */
void metric_family_set_quantiles(struct metric_family *f, const double *q, size_t n);           /* summaries: of the last 1024 values of the last 10 minutes; none: only sum and count */
struct metric *metric_with(struct metric_family *f, const Str *values);                         /* made at first use */
void metric_family_clear(struct metric_family *f);                                              /* forgets all its metrics; their handles are dead */
void metric_remove(struct metric_family *f, const Str *values);

/* A family without labels and its one metric. */
struct metric *metric_counter(struct metric_registry *r, const char *name, const char *help);
struct metric *metric_gauge(struct metric_registry *r, const char *name, const char *help);
struct metric *metric_histogram(struct metric_registry *r, const char *name, const char *help, const double *upper, size_t n);
struct metric *metric_summary(struct metric_registry *r, const char *name, const char *help);

void metric_add(struct metric *m, double v);                    /* counters, gauges */
void metric_set(struct metric *m, double v);                    /* gauges, and counters whose value is kept elsewhere */
void metric_observe(struct metric *m, double v);                /* histograms, summaries */
void metric_set_summary(struct metric *m, double sum, uint64_t count);  /* summaries without quantiles whose totals are kept elsewhere */
double metric_get(const struct metric *m);                      /* value; count of histograms and summaries */

/* fn is called before each write, in order of registration, no two at once. It may register and fill families, not write. After
 * metric_collect_remove returns fn does not run: call that without the locks that fn takes. */
void metric_collect(struct metric_registry *r, void (*fn)(void *ctx), void *ctx);
void metric_collect_remove(struct metric_registry *r, void (*fn)(void *ctx), void *ctx);
void metric_write_text(struct metric_registry *r, struct buf *b);

#endif
