/* SPDX-License-Identifier: Apache-2.0 */
/* config.h — prometheus.yml into the options of the modules.
 *
 *   struct config *c;
 *   e = config_load("prometheus.yml", NULL, &c);          "parsing YAML file prometheus.yml: yaml: unmarshal errors:\n  line 2: …"
 *   config_scrape_conf(c, &conf);                   each user of the configuration holds a reference until it is done with it
 *   config_unref(c);
 *
 * A loaded configuration is constant. Relative paths are resolved against the file's folder. Keys of the original that are not supported yet are
 * ERROR_UNSUPPORTED and named. Threads: any.  Upstream: config/config.go, config/reload.go */
#ifndef CONFIG_CONFIG_H
#define CONFIG_CONFIG_H

#include "alert/notify/notify.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/file.h"
#include "collect/scrape/conf.h"

struct config;
struct config_opts {                    /* what feature flags make the default */
        bool extra_scrape_metrics;
};
/* opts NULL: none. */
struct error *config_load(const char *path, const struct config_opts *opts, struct config **ret) MUST_CHECK;
/* The same from text; dir: what relative paths are resolved against. Errors have no "parsing YAML file" in front; files of scrape_config_files are
 * named but not read. */
struct error *config_parse(Str text, const char *dir, const struct config_opts *opts, struct config **ret) MUST_CHECK;
struct config *config_ref(struct config *c);
void config_unref(struct config *c);                    /* NULL is fine */

/* The file as /api/v1/status/config shows it: all defaults filled in, secrets hidden. */
void config_print(struct buf *b, const struct config *c);
/* One job as /api/v1/scrape_pools/config shows it; false: no such job. */
bool config_print_job(struct buf *b, const struct config *c, Str job);

/* Scrape jobs; owns a reference to c, which its release gives back. */
void config_scrape_conf(struct config *c, struct scrape_manager_conf *ret);
const struct scrape_conf *config_scrapes(const struct config *c, size_t *ret_n);
Labels config_external_labels(const struct config *c);  /* environment variables expanded */
int64_t config_evaluation_interval_ms(const struct config *c);
const char *config_query_log_file(const struct config *c);      /* NULL: none */
struct config_retention {
        int64_t time_ms;                                /* each 0: not given */
        uint64_t size_bytes;
        double percentage;
};
struct config_retention config_retention(const struct config *c);
/* What is in force although the file does not say it (flags): shown by config_print. Before c is shared. */
/* storage.exemplars.max_exemplars; -1: the block is not there. Setting it is for a default. */
int64_t config_max_exemplars(const struct config *c);
void config_set_max_exemplars(struct config *c, int64_t max);
int64_t config_out_of_order_window_ms(const struct config *c);
void config_set_retention(struct config *c, struct config_retention r);
bool config_has_legacy_names(const struct config *c);   /* global metric_name_validation_scheme */

int64_t config_rule_query_offset_ms(const struct config *c);
const Str *config_rule_patterns(const struct config *c, size_t *ret_n);         /* rule_files, resolved; each NUL-terminated */
struct error *config_rule_files(const struct config *c, PathVec *ret) MUST_CHECK;       /* what they match now; appended */
/* Paths that match, sorted, as Go's filepath.Glob; appended. */
struct error *path_glob(const char *pattern, PathVec *ret) MUST_CHECK;
/* Owns a reference to c, which its release gives back. */
void config_notify_conf(struct config *c, struct notify_conf *ret);
const struct discovery_conf *config_alertmanagers(const struct config *c, size_t *ret_n);       /* of each set, in order */
/* Checksum over the file and what it includes, for auto-reload. */
uint64_t config_checksum(const struct config *c);

#endif
