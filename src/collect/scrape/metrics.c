/* SPDX-License-Identifier: Apache-2.0 */
/* metrics.c — what the scraper says of itself, under upstream's names. */
#include "collect/scrape/scrape_impl.h"

static struct metric_family *by(struct metric_registry *r, enum metric_family_type t, const char *name,
                                const char *help, const char *label)
{
        return metric_family(r, t, name, help, (const char *[]){label, NULL});
}

static struct metric_family *summary_by(struct metric_registry *r, const char *name, const char *help,
                                        const char *label)
{
        struct metric_family *f = by(r, METRIC_FAMILY_SUMMARY, name, help, label);
        metric_family_set_quantiles(f, (const double[]){0.01, 0.05, 0.5, 0.90, 0.99}, 5);
        return f;
}

static struct metric_family *histogram_by(struct metric_registry *r, const char *name, const char *help,
                                          const char *label)
{
        struct metric_family *f = by(r, METRIC_FAMILY_HISTOGRAM, name, help, label);
        metric_family_set_buckets(f, (const double[]){.01, .1, 1, 10}, 4);
        return f;
}

static void make_pool_metrics(struct scrape_metrics *s, struct metric_registry *r)
{
        s->pools = metric_counter(r, "prometheus_target_scrape_pools_total",
                                  "Total number of scrape pool creation attempts.");
        s->pools_failed = metric_counter(r, "prometheus_target_scrape_pools_failed_total",
                                         "Total number of scrape pool creations that failed.");
        s->reloads = metric_counter(r, "prometheus_target_scrape_pool_reloads_total",
                                    "Total number of scrape pool reloads.");
        s->reloads_failed = metric_counter(r, "prometheus_target_scrape_pool_reloads_failed_total",
                                           "Total number of failed scrape pool reloads.");
        s->reload_length =
                summary_by(r, "prometheus_target_reload_length_seconds",
                           "Actual interval to reload the scrape pool with a given configuration.", "interval");
        s->over_target_limit = metric_counter(
                r, "prometheus_target_scrape_pool_exceeded_target_limit_total",
                "Total number of times scrape pools hit the target limit, during sync or config reload.");
        s->target_limit = by(r, METRIC_FAMILY_GAUGE, "prometheus_target_scrape_pool_target_limit",
                             "Maximum number of targets allowed in this scrape pool.", "scrape_job");
        s->targets = by(r, METRIC_FAMILY_GAUGE, "prometheus_target_scrape_pool_targets",
                        "Current number of targets in this scrape pool.", "scrape_job");
        s->symbols = by(r, METRIC_FAMILY_GAUGE, "prometheus_target_scrape_pool_symboltable_items",
                        "Current number of symbols in table for this scrape pool.", "scrape_job");
        s->syncs = by(r, METRIC_FAMILY_COUNTER, "prometheus_target_scrape_pool_sync_total",
                      "Total number of syncs that were executed on a scrape pool.", "scrape_job");
        s->sync_length = summary_by(r, "prometheus_target_sync_length_seconds",
                                    "Actual interval to sync the scrape pool.", "scrape_job");
        s->sync_histogram = histogram_by(r, "prometheus_target_sync_length_histogram_seconds",
                                         "Actual interval to sync the scrape pool.", "scrape_job");
        s->sync_failed = by(r, METRIC_FAMILY_COUNTER, "prometheus_target_sync_failed_total",
                            "Total number of target sync failures.", "scrape_job");
}

void scrape_metrics_make(struct scrape_metrics *s, struct metric_registry *r)
{
        *s = (struct scrape_metrics){0};
        if (!r)
                return;
        make_pool_metrics(s, r);
        s->over_body_limit = metric_counter(r, "prometheus_target_scrapes_exceeded_body_size_limit_total",
                                            "Total number of scrapes that hit the body size limit");
        s->flush_forced = metric_counter(
                r, "prometheus_target_scrapes_cache_flush_forced_total",
                "How many times a scrape cache was flushed due to getting big while scrapes are failing.");
        s->interval_length = summary_by(r, "prometheus_target_interval_length_seconds",
                                        "Actual intervals between scrapes.", "interval");
        s->interval_histogram = histogram_by(r, "prometheus_target_interval_length_histogram_seconds",
                                             "Actual intervals between scrapes.", "interval");
        s->over_sample_limit = metric_counter(r, "prometheus_target_scrapes_exceeded_sample_limit_total",
                                              "Total number of scrapes that hit the sample limit and were rejected.");
        s->duplicates =
                metric_counter(r, "prometheus_target_scrapes_sample_duplicate_timestamp_total",
                               "Total number of samples rejected due to duplicate timestamps but different values.");
        s->out_of_order =
                metric_counter(r, "prometheus_target_scrapes_sample_out_of_order_total",
                               "Total number of samples rejected due to not being out of the expected order.");
        s->out_of_bounds =
                metric_counter(r, "prometheus_target_scrapes_sample_out_of_bounds_total",
                               "Total number of samples rejected due to timestamp falling outside of the time bounds.");
        s->over_label_limit = metric_counter(
                r, "prometheus_target_scrape_pool_exceeded_label_limits_total",
                "Total number of times scrape pools hit the label limits, during sync or config reload.");
        s->over_bucket_limit =
                metric_counter(r, "prometheus_target_scrapes_exceeded_native_histogram_bucket_limit_total",
                               "Total number of scrapes that hit the native histogram bucket limit and were rejected.");
        s->exemplars_out_of_order =
                metric_counter(r, "prometheus_target_scrapes_exemplar_out_of_order_total",
                               "Total number of exemplar rejected due to not being out of the expected order.");
        s->scrape_duration =
                metric_histogram(r, "prometheus_target_scrape_duration_seconds",
                                 "Total duration of the scrape from start to commit completion in seconds.", NULL, 0);
        s->metadata_entries = by(r, METRIC_FAMILY_GAUGE, "prometheus_target_metadata_cache_entries",
                                 "Total number of metric metadata entries in the cache", "scrape_job");
        s->metadata_bytes = by(r, METRIC_FAMILY_GAUGE, "prometheus_target_metadata_cache_bytes",
                               "The number of bytes that are currently used for storing metric metadata in the cache",
                               "scrape_job");
}

void scrape_metrics_forget_pool(struct scrape_metrics *s, Str pool)
{
        if (!s->syncs)
                return;
        struct metric_family *const of_pool[] = {s->syncs,       s->target_limit,     s->targets,
                                                 s->symbols,     s->sync_length,      s->sync_histogram,
                                                 s->sync_failed, s->metadata_entries, s->metadata_bytes};
        for (size_t i = 0; i < ARRAY_LEN(of_pool); i++)
                metric_remove(of_pool[i], &pool);
}
