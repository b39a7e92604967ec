/* SPDX-License-Identifier: Apache-2.0 */
/* discovery_impl.h — private to discovery/: providers, and what they tell the manager. */
#ifndef COLLECT_DISCOVERY_DISCOVERY_IMPL_H
#define COLLECT_DISCOVERY_DISCOVERY_IMPL_H

#include "base/thread.h"
#include "collect/discovery/discovery.h"

enum provider_type { PROVIDER_STATIC, PROVIDER_FILE, PROVIDER_DNS };

/* Its conf is constant; its groups belong to the manager's lock; the rest is private to its type. */
struct provider {
        enum provider_type type;
        struct arena arena; /* of the copied conf */
        union {
                struct {
                        const struct static_sd_conf *v;
                        size_t n;
                } statics;
                struct file_sd_conf file;
                struct dns_sd_conf dns;
        };
        struct discovery_manager *manager;
        GroupVec groups; /* by source; none is empty */
        bool used;       /* of apply: the new configuration has it */
        Str first_set;   /* name of the set that brought it, for metrics and logs; in the arena */
        void *run;       /* running state of its type; NULL: none */
};

/* Puts groups in place by source; those without targets leave. Takes the references. Any thread, without the lock. */
void provider_update(struct provider *p, struct target_group *const *take_groups, size_t n);
/* Takes the groups whose source is not among the given ones out, too: a whole new state. */
void provider_replace(struct provider *p, struct target_group *const *take_groups, size_t n);

struct metric_registry *discovery_metrics(struct discovery_manager *m);

struct error *file_provider_start(struct provider *p) MUST_CHECK; /* reads all files before it returns */
void file_provider_stop(struct provider *p);
struct error *dns_provider_start(struct provider *p) MUST_CHECK;
void dns_provider_stop(struct provider *p);
/* The targets that records of a name stand for; none for n == 0. */
struct target_group *dns_group_new(const struct dns_sd_conf *c, Str name, const struct dns_record *records, size_t n);

bool static_sd_confs_eq(const struct static_sd_conf *a, size_t n_a, const struct static_sd_conf *b, size_t n_b);
bool file_sd_conf_eq(const struct file_sd_conf *a, const struct file_sd_conf *b);
bool dns_sd_conf_eq(const struct dns_sd_conf *a, const struct dns_sd_conf *b);

/* A provider's refresh as metrics: prometheus_sd_refresh_…{mechanism,config}. */
void discovery_refresh_done(struct provider *p, const char *mechanism, double seconds, bool failed);

#endif
