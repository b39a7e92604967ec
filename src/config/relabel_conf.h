/* SPDX-License-Identifier: Apache-2.0 */
/* relabel_conf.h — a YAML list of relabelling rules: Thanos' --selector.relabel-config and its like.
 *
 *   struct relabel_conf r;
 *   e = relabel_conf_parse(text, RELABEL_CONF_SELECTOR, &r);       an empty text has no rules
 *   relabel_conf_done(&r);
 *
 * Threads: pure.  Upstream: thanos pkg/block/fetcher.go, ParseRelabelConfig */
#ifndef CONFIG_RELABEL_CONF_H
#define CONFIG_RELABEL_CONF_H

#include "base/arena.h"
#include "model/relabel.h"

struct relabel_conf {
        struct arena arena;
        const struct relabel_rule *rules;
        size_t n;
};
enum relabel_conf_use { RELABEL_CONF_ANY, RELABEL_CONF_SELECTOR /* keep, drop, hashmod only */ };
struct error *relabel_conf_parse(Str yaml, enum relabel_conf_use use, struct relabel_conf *ret) MUST_CHECK;
void relabel_conf_done(struct relabel_conf *r); /* zeroed is fine */

#endif
