/* SPDX-License-Identifier: Apache-2.0 */
/* fixture.h — for tests: a target without network. Bodies go straight through a cache into a storage in memory, as
 * loop_run.c does it. */
#ifndef COLLECT_SCRAPE_FIXTURE_H
#define COLLECT_SCRAPE_FIXTURE_H

#include <stdio.h>

#include "codec/float_text.h"
#include "collect/scrape/cache_impl.h"
#include "collect/scrape/target.h"
#include "storage/decode.h"
#include "storage/memory.h"

struct fixture {
        struct storage *storage;
        struct metadata_pool *pool;
        struct scrape_scratch scratch;
        struct scrape_conf conf;
        struct scrape_cache *cache;
        Label target[2];
        struct scrape_result r;
        struct buf error; /* text of the last scrape's error */
};

static inline void fixture_init(struct fixture *f)
{
        *f = (struct fixture){
                .storage = memory_storage_new(),
                .pool = metadata_pool_new(),
                .conf = scrape_conf_defaults,
                .target = {{STR("instance"), STR("t")}, {STR("job"), STR("j")}},
                .error = BUF_INIT(BUF_NO_LIMIT),
        };
        f->conf.job_name = STR("j");
        scrape_scratch_init(&f->scratch);
        f->cache = scrape_cache_new(f->pool);
}

static inline void fixture_done(struct fixture *f)
{
        scrape_cache_free(f->cache);
        scrape_scratch_done(&f->scratch);
        metadata_pool_free(f->pool);
        memory_storage_free(f->storage);
        buf_done(&f->error);
}

static inline struct scrape_how fixture_how(struct fixture *f)
{
        return (struct scrape_how){&f->conf, {f->target, 2}, &f->scratch, scrape_target_histograms(&f->conf, (Labels){NULL, 0})};
}

/* True: the target would be up. */
static inline bool fixture_scrape(struct fixture *f, Str body, Str content_type, TimeMs t, TimeMs now_ms)
{
        struct scrape_how how = fixture_how(f);
        struct appender *app;
        error_ignore(storage_appender(f->storage, &app), "memory");
        buf_clear(&f->error);
        struct error *e = scrape_cache_append(f->cache, &how, app, body, content_type, t, now_ms, &f->r);
        bool up = !e;
        if (e) {
                buf_puts(&f->error, error_str(e));
                error_free(e);
                appender_rollback(app);
                error_ignore(storage_appender(f->storage, &app), "memory");
                bool flushed;
                e = scrape_cache_append_stale(f->cache, app, t, &flushed);
                if (e)
                        bug("markers: %s", error_str(e));
        }
        double values[REPORT_COUNT] = {up, 0, (double)f->r.scraped, (double)f->r.added, (double)f->r.series_added};
        e = scrape_cache_report(f->cache, &how, app, t, values, REPORT_COUNT_PLAIN);
        if (!e)
                e = appender_commit(app);
        if (e)
                bug("report: %s", error_str(e));
        return up;
}

/* Every sample but the report's, one a line, in the order of series: {…} t value. Caller's buffer. */
static inline void fixture_dump(struct fixture *f, struct buf *out)
{
        struct arena a;
        arena_init(&a, 256 << 20);
        struct querier *q;
        struct matcher *any;
        struct series_set *set;
        struct error *e = storage_querier(f->storage, TIME_MS_MIN, TIME_MS_MAX, &a, &q);
        if (!e)
                e = matcher_new(MATCH_NRE, STR(METRIC_NAME), STR("up|scrape_.*"), &any);
        if (!e)
                e = querier_select(
                        q, &(struct select_hints){.start_ms = TIME_MS_MIN, .end_ms = TIME_MS_MAX, .sorted = true},
                        (const struct matcher *const[]){any}, 1, &set);
        struct mixed s;
        for (bool more = true; !e && more;) {
                struct series series;
                e = series_set_next(set, &series, &more);
                if (e || !more)
                        break;
                e = series_decode_mixed(&series, TIME_MS_MIN, TIME_MS_MAX, &a, &s);
                for (size_t i = 0; !e && i < s.n; i++) {
                        labels_print(out, series.labels);
                        buf_printf(out, " %lld ", (long long)s.t[i]);
                        if (is_stale_nan(s.v[i]))
                                buf_puts(out, "stale");
                        else if (s.h && s.h[i])
                                buf_put_histogram_json(out, s.h[i]);
                        else
                                buf_put_sample_value(out, s.v[i]);
                        buf_putc(out, '\n');
                }
        }
        if (e)
                bug("dump: %s", error_str(e));
        matcher_free(any);
        querier_close(q);
        arena_done(&a);
}

#endif
