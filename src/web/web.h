/* SPDX-License-Identifier: Apache-2.0 */
/* web.h — all that a Prometheus serves over HTTP: API v1, federation, remote read, probes, lifecycle, metrics, pages.
 *
 *   struct web *w;
 *   e = web_new(&opts, &w);  e = web_start(w);              listens and serves: 503 until web_set_ready(w, true)
 *   web_stop(w);  web_free(w);
 *
 * Everything in the options outlives the web. Threads: handlers run on the server's workers; web_set_… from any thread.
 * Upstream: web/web.go, web/api/v1/api.go, web/federate.go */
#ifndef WEB_WEB_H
#define WEB_WEB_H

#include "base/metric.h"
#include "codec/regex.h"
#include "collect/scrape/scrape.h"
#include "io/http/server.h"
#include "promql/engine.h"
#include "tsdb/db/db.h"

struct web;
struct rules_manager;
struct notify_manager;
/* A row of /api/v1/status/flags. */
struct web_flag {
        const char *name;
        char *value;
};
struct web_opts {
        const char *const *listen_addresses;
        size_t n_listen;
        int connections_max;
        int64_t read_timeout_ms;
        const char *external_url;               /* normalised: scheme://host[:port][/path], no final slash */
        const char *route_prefix;               /* "/" or "/x" without final slash */
        const char *page_title;
        const char *user_assets;                /* folder of /user/…; NULL: none */
        const struct regex *cors_origin;
        bool enable_lifecycle, enable_admin;
        bool write_v1, write_v2;                /* messages of remote write that are taken; none: there is no receiver */
        bool keeps_exemplars;                   /* the db does */
        bool type_and_unit_labels;              /* of samples written by messages that tell type and unit */
        const char *version, *revision, *branch, *build_user, *build_date;
        const struct web_flag *flags;
        size_t n_flags;

        struct db *db;
        struct storage *storage;                /* what is read by queries; NULL: the db's */
        struct storage *whole_storage;          /* NULL, or: the same that fails where the other warns; for partial_response=false, and for
                                                 * answers that cannot carry a warning */
        struct engine *engine;
        struct metric_registry *metrics;
        int64_t lookback_ms;                    /* of federation */
        uint64_t read_sample_limit;             /* remote read, sampled; 0: none */
        int read_concurrency;                   /* remote read; 0: no limit */
        size_t read_frame_bytes;
        struct rules_manager *rules;            /* NULL: no rules */
        struct notify_manager *notify;          /* NULL: no Alertmanagers */
        bool host_metrics;                      /* serve /host/metrics: collect/host's text */
        bool has_blocks;                        /* for the pages: the application serves /api/v1/blocks, by web_server() */

        /* What the application answers. All may be called from any thread. Texts are heap, owned by the caller. */
        void *app;
        char *(*config_yaml)(void *app);                /* as /status/config shows it */
        /* The YAML of one pool as /scrape_pools/config shows it; NULL: no such pool */
        char *(*pool_yaml)(void *app, Str pool);
        /* External labels of the configuration in force, into the arena. */
        Labels (*external_labels)(void *app, struct arena *a);
        struct error *(*reload)(void *app);             /* waits for the end of the reload */
        void (*quit)(void *app);
        /* Of runtimeinfo: when the configuration was last loaded, and whether that went well */
        bool (*reload_state)(void *app, TimeMs *ret_last_ms);
        char *(*retention_text)(void *app);             /* "15d", "1GiB", "15d or 1GiB" */
};
struct error *web_new(const struct web_opts *o, struct web **ret) MUST_CHECK;
struct error *web_start(struct web *w) MUST_CHECK;
struct http_server *web_server(struct web *w);         /* for further routes, before web_start */
void web_set_scrape(struct web *w, struct scrape_manager *m);   /* once, before web_set_ready; outlives web_stop */
void web_set_ready(struct web *w, bool ready);
void web_set_stopping(struct web *w);                   /* from now on the API answers 503 and says that it stops */
int web_port(const struct web *w, size_t listener);
void web_stop(struct web *w);
void web_free(struct web *w);                           /* NULL is fine */

#endif
