/* SPDX-License-Identifier: Apache-2.0 */
/* build.h — a decoded job as the option struct of collect/scrape. Private to config/. */
#ifndef CONFIG_BUILD_H
#define CONFIG_BUILD_H

#include "alert/notify/notify.h"
#include "config/file_conf.h"

/* Resolves paths below dir, also in s (the original shows them so). ERROR_UNSUPPORTED names what is not there yet. On an error ret may be
 * half filled: scrape_conf_release() takes it. */
struct error *scrape_conf_build(struct arena *a, const char *dir, struct file_scrape *s, struct scrape_conf *ret) MUST_CHECK;
/* in: struct file_relabel. *ret_n rules are to be released, also after an error. */
struct error *relabel_build(struct arena *a, const struct conf_list *in, bool utf8, const struct relabel_rule **ret, size_t *ret_n) MUST_CHECK;
void scrape_conf_release(struct scrape_conf *c);

struct built_alerting {
        const struct notify_set_conf *sets;
        const struct discovery_conf *discovery;         /* of each set */
        size_t n_sets;
        const struct relabel_rule *alert_relabel;
        size_t n_alert_relabel;
};
/* As scrape_conf_build; notify_conf_release() takes what is half filled, or zeroed. */
struct error *notify_conf_build(struct arena *a, const char *dir, struct file_alerting *f, bool utf8, struct built_alerting *ret) MUST_CHECK;
void notify_conf_release(struct built_alerting *b);

#endif
