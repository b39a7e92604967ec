/* SPDX-License-Identifier: Apache-2.0 */
/* histogram_limit.h — how fine a scraped native histogram may be: native_histogram_min_bucket_factor, then
 * native_histogram_bucket_limit.  Upstream: maxSchemaAppender, bucketLimitAppender in scrape/target.go */
#ifndef COLLECT_SCRAPE_HISTOGRAM_LIMIT_H
#define COLLECT_SCRAPE_HISTOGRAM_LIMIT_H

#include "collect/scrape/conf.h"
#include "model/histogram.h"

extern struct error bucket_limit_error; /* still too many buckets at the coarsest schema, or custom ones: compare by address */

/* Makes *s coarser until it fits. Its counts may be changed in place; what is new is in the arena. */
struct error *histogram_limit(const struct scrape_conf *c, struct arena *a, struct histogram_sample *s) MUST_CHECK;

#endif
