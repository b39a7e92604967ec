/* SPDX-License-Identifier: Apache-2.0 */
/* build.h — a decoded job as the option struct of collect/scrape. Private to config/. */
#ifndef CONFIG_BUILD_H
#define CONFIG_BUILD_H

#include "config/file_conf.h"

/* Resolves paths below dir, also in s (the original shows them so). ERROR_UNSUPPORTED names what is not there yet. On an error ret may be
 * half filled: scrape_conf_release() takes it. */
struct error *scrape_conf_build(struct arena *a, const char *dir, struct file_scrape *s, struct scrape_conf *ret) MUST_CHECK;
void scrape_conf_release(struct scrape_conf *c);

#endif
