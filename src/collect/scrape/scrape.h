/* SPDX-License-Identifier: Apache-2.0 */
/* scrape.h — scraping: pools of targets (one a job), scraped on a few loops, appended to a storage.
 *
 *   e = scrape_manager_new(&opts, &m);
 *   e = scrape_manager_apply(m, &conf);             at start and on every reload; unchanged targets go on
 *   scrape_manager_update(m, sets, n);              from discovery's update
 *   scrape_manager_stop(m);  scrape_manager_free(m);
 *
 * The first update after an apply is taken at once, later ones at most each discovery_reload_interval_ms. Stopping
 * writes no staleness markers: the server may come back.
 *
 * Threads: update, apply and stop from any thread; the snapshots for the API from any thread.
 * Upstream: scrape/manager.go, scrape/scrape.go, scrape/target.go */
#ifndef COLLECT_SCRAPE_SCRAPE_H
#define COLLECT_SCRAPE_SCRAPE_H

#include "base/metric.h"
#include "collect/scrape/conf.h"
#include "model/metric_type.h"
#include "storage/storage.h"

struct scrape_manager;
struct scrape_opts {
        struct storage *storage;
        struct metric_registry *metrics;      /* NULL: none */
        const char *version;                  /* of User-Agent: Prometheus/<version> */
        int n_loops;                          /* 0: as many as the machine has use for */
        int64_t discovery_reload_interval_ms; /* hidden flag; 0: 5000 */
        int64_t timestamp_tolerance_ms;       /* --scrape.timestamp-tolerance, upstream's default 2 */
        bool adjust_timestamps;               /* --scrape.adjust-timestamps, upstream's default true */
        bool type_and_unit_labels;            /* feature flag: accepted only as false */
};
extern const struct scrape_opts scrape_opts_defaults;

struct error *scrape_manager_new(const struct scrape_opts *o, struct scrape_manager **ret) MUST_CHECK;
/* Takes over the conf (its release is called even when this fails). "failed to apply the new configuration" when a pool
 * did not take it. */
struct error *scrape_manager_apply(struct scrape_manager *m, const struct scrape_manager_conf *take_conf) MUST_CHECK;
void scrape_manager_update(struct scrape_manager *m, const struct target_set *sets, size_t n);
void scrape_manager_stop(struct scrape_manager *m); /* ends scrapes and waits for those that are writing */
void scrape_manager_free(struct scrape_manager *m); /* stops first; NULL is fine */

/* ---- snapshots for the API: strings and arrays are in the given arena; past its budget ERROR_LIMIT ---- */

enum target_health { TARGET_UNKNOWN, TARGET_UP, TARGET_DOWN };
const char *target_health_name(enum target_health h); /* "unknown", "up", "down" */

struct scrape_target_info {
        Str pool;
        Labels discovered, labels; /* before relabelling; public ones after */
        Str url;                   /* scrapeUrl; globalUrl is the web's, who knows its own address */
        Str last_error;
        int64_t last_scrape_ns; /* since the epoch, start of the last scrape; 0: none yet */
        double last_duration_s;
        enum target_health health;
        int64_t interval_ms, timeout_ms;
};
/* Active targets, by pool name, then URL, then labels; pool empty: of all pools. */
struct error *scrape_manager_targets(struct scrape_manager *m, Str pool, struct arena *a,
                                     const struct scrape_target_info **ret, size_t *ret_n) MUST_CHECK;
/* Dropped targets (at most keep_dropped_targets a pool): only pool and discovered are filled in. */
struct error *scrape_manager_dropped(struct scrape_manager *m, Str pool, struct arena *a,
                                     const struct scrape_target_info **ret, size_t *ret_n) MUST_CHECK;

struct scrape_pool_info {
        Str name;
        uint64_t n_active, n_dropped; /* dropped: all of them, kept or not */
};
/* Pools by name. */
struct error *scrape_manager_pools(struct scrape_manager *m, struct arena *a, const struct scrape_pool_info **ret,
                                   size_t *ret_n) MUST_CHECK;

/* Metadata, target by target (order as scrape_manager_targets), families ascending; metric empty: all. Everything is
 * borrowed for the call, a lock is held during it: fn must not call into the manager. fn returns false to stop. */
struct scrape_metadata {
        Str pool;
        Labels target; /* public labels */
        Str family;
        struct metric_metadata meta;
};
void scrape_manager_metadata(struct scrape_manager *m, Str metric,
                             bool (*fn)(void *ctx, const struct scrape_metadata *md), void *ctx);

#endif
