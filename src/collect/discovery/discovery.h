/* SPDX-License-Identifier: Apache-2.0 */
/* discovery.h — finding targets: providers (static lists, files, DNS) give target groups, a manager hands on all of
 * them.
 *
 *   e = discovery_manager_new(&opts, &m);           starts its thread
 *   discovery_manager_apply(m, sets, n);            at start and on every reload; the confs are copied
 *   … opts.update(ctx, target_sets, n) is called on the manager's thread whenever something changed …
 *   discovery_manager_free(m);
 *
 * Identical provider confs are one provider, whoever uses them; an unchanged provider keeps running over a reload; a
 * provider that fails keeps its last good groups. Updates are coalesced: the first goes out at once, later ones wait
 * 100 ms, then longer, up to update_interval_ms while they keep coming.
 *
 * Threads: new, apply and free from any one thread; update is not called concurrently with itself, nor after free.
 * Upstream: discovery/manager.go, discovery/file/file.go, discovery/dns/dns.go */
#ifndef COLLECT_DISCOVERY_DISCOVERY_H
#define COLLECT_DISCOVERY_DISCOVERY_H

#include "base/metric.h"
#include "io/dns.h"
#include "model/labels.h"

/* What configuration says. All data is borrowed and constant; zero means what the _defaults constant says where there
 * is one. */
struct static_sd_conf {
        const Str *targets; /* addresses */
        size_t n_targets;
        Labels labels;
};
struct file_sd_conf {
        const Str *files; /* paths, already resolved against the configuration's folder; one * pattern in the last
                             element */
        size_t n_files;
        int64_t refresh_ms;
};
struct dns_sd_conf {
        const Str *names;
        size_t n_names;
        enum dns_type type;
        int port; /* ignored for SRV */
        int64_t refresh_ms;
};
extern const struct file_sd_conf file_sd_conf_defaults; /* refresh 5m */
extern const struct dns_sd_conf dns_sd_conf_defaults;   /* SRV, refresh 30s */

struct discovery_conf {
        const struct static_sd_conf *statics;
        size_t n_statics;
        const struct file_sd_conf *files;
        size_t n_files;
        const struct dns_sd_conf *dns;
        size_t n_dns;
};
bool discovery_conf_eq(const struct discovery_conf *a, const struct discovery_conf *b);
/* A path that file_sd takes: *.json, *.yml, *.yaml, with at most one * and that in the last element. */
bool file_sd_path_is_valid(Str path);
/* The text of a file_sd file, by its extension: for config checks. Errors are upstream's. */
struct error *file_sd_check(const char *path) MUST_CHECK;
/* Calls fn for each group of a file until it fails. */
struct target_group;
struct error *file_sd_each(const char *path, struct error *(*fn)(void *ctx, const struct target_group *g), void *ctx) MUST_CHECK;

/* A group of targets: immutable, shared by reference. */
struct target_group {
        Str source;            /* unique within a provider: "0", "/etc/x.json:0", a DNS name */
        Labels labels;         /* of all its targets; a target's own win */
        const Labels *targets; /* each with __address__ */
        size_t n_targets;
        int refs;           /* private */
        struct arena arena; /* private */
};
struct target_group *target_group_new(Str source); /* one reference; fill it in with its arena, then leave it alone */
struct target_group *target_group_ref(const struct target_group *g);
void target_group_unref(const struct target_group *g); /* NULL is fine */

typedef VEC(struct target_group *) GroupVec;
/* The groups in the text of a file_sd file; appended to ret. Sources are path:index. Upstream's error texts. */
struct error *file_sd_parse(Str path, Str text, GroupVec *ret) MUST_CHECK;

/* All groups of one consumer's set (a scrape job). */
struct target_set {
        Str name;
        const struct target_group *const *groups;
        size_t n;
};

struct discovery_manager;
struct discovery_set {
        Str name;
        const struct discovery_conf *conf;
};
struct discovery_opts {
        const char *name;                /* "scrape", "notify": the label of its metrics */
        struct metric_registry *metrics; /* NULL: none */
        int64_t update_interval_ms;      /* most that updates wait; 0: 5000 */
        /* Everything as it stands; borrowed for the call: take references to what is kept. */
        void (*update)(void *ctx, const struct target_set *sets, size_t n);
        void *ctx;
};
struct error *discovery_manager_new(const struct discovery_opts *o, struct discovery_manager **ret) MUST_CHECK;
void discovery_manager_apply(struct discovery_manager *m, const struct discovery_set *sets, size_t n);
void discovery_manager_free(struct discovery_manager *m); /* stops providers and waits for them; NULL is fine */

#endif
