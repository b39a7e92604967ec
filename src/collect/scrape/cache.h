/* SPDX-License-Identifier: Apache-2.0 */
/* cache.h — from a body to samples: what a target's last scrape looked like makes the next one cheap.
 *
 *   struct scrape_cache *c = scrape_cache_new(pool);
 *   e = scrape_cache_append(c, &how, app, body, content_type, t, now, &result);
 *   if (e) { appender_rollback(app); app = new one; scrape_cache_append_stale(c, app, t); }
 *   scrape_cache_report(c, &how, app, t, values, n);  then commit
 *
 * This is also the seam of the tests: it knows nothing of HTTP, loops or time.
 *
 * Threads: one owner (the target's loop); the metadata may be read from any thread.
 * Upstream: scrapeCache and scrapeLoopAppender.append in scrape/scrape.go */
#ifndef COLLECT_SCRAPE_CACHE_H
#define COLLECT_SCRAPE_CACHE_H

#include "collect/scrape/conf.h"
#include "collect/scrape/metadata.h"
#include "model/expo/parse.h"
#include "storage/storage.h"

/* Working memory for labels, shared by all targets of a loop. */
struct scrape_scratch {
        struct arena arena;
        struct labels_builder builder;
};
void scrape_scratch_init(struct scrape_scratch *s);
void scrape_scratch_done(struct scrape_scratch *s);

/* How samples of a target become series. */
struct scrape_how {
        const struct scrape_conf *conf;
        Labels target; /* public labels */
        struct scrape_scratch *scratch;
        struct expo_histograms histograms; /* what becomes of them */
};

struct scrape_result {
        uint64_t scraped;      /* samples in the body */
        uint64_t added;        /* of them left after relabelling */
        uint64_t series_added; /* not in the scrape before */
        uint64_t out_of_order, duplicates, out_of_bounds, exemplars_out_of_order;
        bool over_sample_limit, over_label_limit, over_bucket_limit;
        bool bad_content_type; /* the error is about the Content-Type */
};

struct scrape_cache;
struct scrape_cache *scrape_cache_new(struct metadata_pool *p);
void scrape_cache_free(struct scrape_cache *c); /* NULL is fine */
struct metadata *scrape_cache_metadata(struct scrape_cache *c);

/* A body's samples and the staleness markers of the series that it no longer has. t: scrape time, for samples without
 * their own; now_ms: what the future is measured from. On error the appender must be rolled back and
 * scrape_cache_append_stale called with a new one. *ret is always filled in. An empty body is an empty scrape: markers
 * only. */
struct error *scrape_cache_append(struct scrape_cache *c, const struct scrape_how *how, struct appender *app, Str body,
                                  Str content_type, TimeMs t, TimeMs now_ms, struct scrape_result *ret) MUST_CHECK;
/* A scrape that gave nothing: staleness markers for all series of the last good one. True in *ret_flushed: memory of
 * failed scrapes was dropped. */
struct error *scrape_cache_append_stale(struct scrape_cache *c, struct appender *app, TimeMs t,
                                        bool *ret_flushed) MUST_CHECK;

/* The series about the scrape itself, in this order; the last three only with extra_scrape_metrics. */
enum scrape_report {
        REPORT_UP,
        REPORT_DURATION,
        REPORT_SCRAPED,
        REPORT_POST_RELABEL,
        REPORT_SERIES_ADDED,
        REPORT_TIMEOUT,
        REPORT_SAMPLE_LIMIT,
        REPORT_BODY_SIZE,
        REPORT_COUNT,
        REPORT_COUNT_PLAIN = REPORT_TIMEOUT,
};
struct error *scrape_cache_report(struct scrape_cache *c, const struct scrape_how *how, struct appender *app, TimeMs t,
                                  const double values[REPORT_COUNT], size_t n) MUST_CHECK;

#endif
