/* SPDX-License-Identifier: Apache-2.0 */
/* target.h — from a target group's entry to what is scraped: labels, URL, request headers, place in the interval.
 *
 *   e = target_labels(conf, group, i, &arena, &labels, &discovered);
 *   if (!e && labels.n == 0) …                              dropped by relabelling
 *
 * Threads: pure functions.  Upstream: scrape/target.go */
#ifndef COLLECT_SCRAPE_TARGET_H
#define COLLECT_SCRAPE_TARGET_H

#include "collect/scrape/conf.h"
#include "model/expo/parse.h"

#define LABEL_ADDRESS         "__address__"
#define LABEL_SCHEME          "__scheme__"
#define LABEL_METRICS_PATH    "__metrics_path__"
#define LABEL_PARAM_PREFIX    "__param_"
#define LABEL_SCRAPE_INTERVAL "__scrape_interval__"
#define LABEL_SCRAPE_TIMEOUT  "__scrape_timeout__"

/* Labels before relabelling: target over group over job. Strings are borrowed from conf and group, or in the arena. */
Labels target_discovered_labels(const struct scrape_conf *c, const struct target_group *g, size_t i, struct arena *a);
/* After relabelling and checks, __-labels but __meta_ included; no labels: dropped. Errors are upstream's texts ("no
 * address", …). Strings as above. */
struct error *target_labels(const struct scrape_conf *c, const struct target_group *g, size_t i, struct arena *a,
                            Labels *ret) MUST_CHECK;
/* The ones that series get: without those that begin with __. Shares strings. */
Labels target_public_labels(Labels all, struct arena *a);
Str target_url(const struct scrape_conf *c, Labels all, struct arena *a);
/* Identity of a target within its pool. */
uint64_t target_hash(Labels all, Str url);
/* Nanoseconds from now_ns (wall clock) until its next place in the interval. */
int64_t target_offset_ns(uint64_t hash, uint64_t seed, int64_t interval_ns, int64_t now_ns);
/* The seed: host name and external labels. */
uint64_t target_offset_seed(Str hostname, Labels external);

/* What becomes of its histograms: what its labels say, else the conf. all: with __-labels. */
struct expo_histograms scrape_target_histograms(const struct scrape_conf *c, Labels all);

void scrape_accept_header(const struct scrape_conf *c, struct buf *b);
/* The media type that a body without a usable Content-Type is taken for; empty: none. */
Str scrape_fallback_media_type(enum scrape_protocol p);

#endif
