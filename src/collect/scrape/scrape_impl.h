/* SPDX-License-Identifier: Apache-2.0 */
/* scrape_impl.h — private to the scrape manager: who owns what, and on which thread.
 *
 *   manager ─ pools (one a job) ─ targets          lists: under manager.mu, changed only by who holds apply_mu
 *           └ loops ─ the same targets             what a scrape does: loop thread only
 *
 * A target is made by its pool, posted to its loop, and freed by its loop after the pool has let go of it. A target
 * never changes its labels, conf or cache owner: a reload makes a new target that may take over the cache of the old
 * one.
 *
 * Lock order: apply_mu, manager.mu, target.mu, metadata's. */
#ifndef COLLECT_SCRAPE_SCRAPE_IMPL_H
#define COLLECT_SCRAPE_SCRAPE_IMPL_H

#include "base/list.h"
#include "base/map.h"
#include "base/thread.h"
#include "collect/scrape/cache.h"
#include "collect/scrape/scrape.h"
#include "collect/scrape/target.h"
#include "io/loop.h"

/* A configuration as it was applied; counted by the pool confs that point into it. */
struct conf_owner {
        int refs;
        void (*release)(void *owner);
        void *owner;
};

/* A job's conf and what follows from it; counted by the manager, the pool, targets, and dropped targets. Constant. */
struct pool_conf {
        int refs;
        const struct scrape_conf *c;
        struct conf_owner *owner;
        struct arena arena;
        Str accept, user_agent;
        struct failure_log *failure_log; /* NULL: none */
};
struct pool_conf *pool_conf_ref(struct pool_conf *p);
void pool_conf_unref(struct pool_conf *p); /* NULL is fine */

struct failure_log;                                     /* scrape_failure_log_file: counted, shared by path */
struct failure_log *failure_log_open(const char *path); /* NULL when it cannot be opened; says so in the log */
struct failure_log *failure_log_ref(struct failure_log *f);
void failure_log_unref(struct failure_log *f);
const char *failure_log_path(const struct failure_log *f);
void failure_log_write(struct failure_log *f, Str job, Str target, const char *msg);

struct scrape_metrics {
        struct metric *pools, *pools_failed, *reloads, *reloads_failed, *over_target_limit, *over_label_limit;
        struct metric *over_body_limit, *over_sample_limit, *over_bucket_limit, *flush_forced, *duplicates, *out_of_order, *out_of_bounds;
        struct metric *exemplars_out_of_order, *scrape_duration;
        struct metric_family *reload_length, *target_limit, *targets, *syncs, *sync_length, *sync_histogram,
                *sync_failed;
        struct metric_family *interval_length, *interval_histogram;
        struct metric_family *metadata_entries, *metadata_bytes, *symbols;
};
/* All handles stay NULL without a registry; the functions below take NULL. */
void scrape_metrics_make(struct scrape_metrics *s, struct metric_registry *r);
void scrape_metrics_forget_pool(struct scrape_metrics *s, Str pool);
static inline void count(struct metric *m, double v)
{
        if (m && v > 0)
                metric_add(m, v);
}
static inline struct metric *metric_of(struct metric_family *f, Str label)
{
        return f ? metric_with(f, &label) : NULL;
}
static inline void observe(struct metric *m, double v)
{
        if (m)
                metric_observe(m, v);
}

/* ---- loops ---- */

struct http_client;
struct scrape_loop {
        struct scrape_manager *m;
        struct loop *loop;
        struct http_client *client;
        struct scrape_scratch scratch;
        struct list targets;   /* all that it has, ending ones too */
        VEC(struct buf) spare; /* body buffers not in use */
};

enum target_phase {
        TARGET_NEW,     /* not on its loop yet */
        TARGET_WAITING, /* for its time */
        TARGET_SCRAPING,
        TARGET_ENDING_1, /* removed: waits for when the next scrape would have been, */
        TARGET_ENDING_2, /* for the one after it, */
        TARGET_ENDING_3, /* and a tenth of an interval more: then staleness markers */
};

struct scrape_target {
        /* Constant. */
        struct pool_conf *conf;
        struct scrape_loop *loop;
        struct scrape_manager *m;
        struct arena arena; /* of what follows */
        Labels all, labels; /* after relabelling; of them the public ones */
        Str url, interval_text;
        uint64_t hash, seed;
        int64_t interval_ms, timeout_ms;
        struct metric *m_interval, *m_interval_histogram;
        struct http_header headers[4];
        size_t n_headers;

        /* Under the manager's lock. */
        const struct target_group *group; /* where it was found last */
        size_t group_index;
        uint64_t seen_in_sync;

        struct mutex mu;  /* guards what the API shows and what the pool tells: */
        char *last_error; /* heap; NULL: none */
        int64_t last_scrape_ns;
        double last_duration_s;
        enum target_health health;
        char *forced_error;         /* heap; NULL: none. Fails each scrape without a request */
        struct scrape_cache *cache; /* set by its loop; read for metadata. NULL until it took over one */

        /* Loop thread. */
        struct list link;
        enum target_phase phase;
        bool stop, no_markers;           /* removed by its pool */
        bool tick_missed;                /* its time came while the last scrape was still running */
        struct scrape_target *successor; /* takes over the cache when this one ends */
        struct loop_timer timer;
        int64_t next_mono_ns, aligned_ns; /* the timer's; the schedule's wall clock */
        int64_t start_mono_ns, last_start_mono_ns, scrape_time_ns, start_wall_ns;
        int64_t stale_ms;
        struct http_call call;
        struct buf body;
        bool body_over;
};
/* Makes a target; the loop and the rest are the caller's to choose. Labels are copied. */
struct scrape_target *scrape_target_new(struct scrape_manager *m, struct pool_conf *conf, Labels all, Str url,
                                        uint64_t hash);
void scrape_target_free(struct scrape_target *t);
void scrape_target_force_error(struct scrape_target *t, const char *text); /* NULL: no longer */

/* Any thread; they act on the target's loop, in order. */
void scrape_target_start(struct scrape_target *t, bool with_cache); /* with_cache false: it waits for a predecessor's */
void scrape_target_end(struct scrape_target *t, bool markers);
void scrape_target_hand_over(struct scrape_target *old, struct scrape_target *successor);

struct error *scrape_loop_init(struct scrape_loop *l, struct scrape_manager *m, int number) MUST_CHECK;
void scrape_loop_done(struct scrape_loop *l); /* ends and frees its targets */

/* ---- pools ---- */

struct dropped_target {
        const struct target_group *group;
        size_t index;
};
struct scrape_pool {
        Str name; /* of conf */
        struct pool_conf *conf;
        VEC(struct scrape_target *) targets;
        struct map by_hash; /* the eight bytes of a target's hash */
        VEC(struct dropped_target) dropped;
        uint64_t n_dropped;
        uint64_t syncs;
};
struct scrape_manager {
        struct scrape_opts opts;
        struct scrape_metrics metrics;
        struct metadata_pool *metadata;
        Str user_agent;
        char *hostname;
        struct scrape_loop *loops;
        int n_loops;
        struct thread sync_thread;

        struct mutex apply_mu;         /* one apply or sync at a time; before mu */
        VEC(struct pool_conf *) confs; /* of the last apply; under apply_mu */
        VEC(struct failure_log *) failure_logs;
        uint64_t seed;

        struct mutex mu; /* guards all below */
        struct cond changed;
        VEC(struct scrape_pool *) pools; /* by name */
        VEC(struct target_set) sets;     /* latest from discovery; owned copies */
        bool pending, at_once, stop;
        bool stopped;
};
void scrape_pool_sync(struct scrape_manager *m, struct scrape_pool *p, const struct target_set *set);
void scrape_pool_reload(struct scrape_manager *m, struct scrape_pool *p, struct pool_conf *take_conf);
/* Its targets end without markers; frees the pool. */
void scrape_pool_stop(struct scrape_manager *m, struct scrape_pool *p);
/* Fails all targets while there are more than target_limit. */
void scrape_pool_check_limit(struct scrape_manager *m, struct scrape_pool *p);

#endif
