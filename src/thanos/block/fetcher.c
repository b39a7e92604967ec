/* SPDX-License-Identifier: Apache-2.0 */
#include "thanos/block/fetcher.h"

#include "base/file.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/thread.h"

struct known {
        Ulid id;
        bool has_meta; /* the listing saw it */
};
typedef VEC(struct known) KnownVec;

struct fetcher_metrics {
        struct metric *base_syncs, *syncs, *failures, *duration;
        struct metric *state[BLOCK_N_STATES];
};
struct meta_fetcher {
        struct meta_fetcher_opts o;
        char *cache_dir; /* …/meta-syncer; NULL: none */
        VEC(struct block_filter *) filters;
        ThanosMetaVec cached; /* of the last complete view, before filters; ascending by ULID */
        struct fetcher_metrics m;
};

static void metrics_init(struct fetcher_metrics *m, struct metric_registry *r)
{
        static const char *const names[BLOCK_N_STATES] = {
                "corrupted-meta-json", "no-meta-json",  "loaded",    "too-fresh",           "failed",
                "label-excluded",      "time-excluded", "duplicate", "marked-for-deletion", "marked-for-no-compact"};
        m->base_syncs = metric_counter(r, "thanos_blocks_meta_base_syncs_total",
                                       "Total blocks metadata synchronization attempts by base Fetcher");
        m->syncs =
                metric_counter(r, "thanos_blocks_meta_syncs_total", "Total blocks metadata synchronization attempts");
        m->failures = metric_counter(r, "thanos_blocks_meta_sync_failures_total",
                                     "Total blocks metadata synchronization failures");
        m->duration = metric_histogram(r, "thanos_blocks_meta_sync_duration_seconds",
                                       "Duration of the blocks metadata synchronization in seconds",
                                       (const double[]){0.01, 1, 10, 100, 300, 600, 1000}, 7);
        struct metric_family *f = metric_family(r, METRIC_FAMILY_GAUGE, "thanos_blocks_meta_synced",
                                                "Number of block metadata synced", (const char *[]){"state", NULL});
        for (int i = 0; i < BLOCK_N_STATES; i++)
                m->state[i] = metric_with(f, (Str[]){str_from(names[i])});
        f = metric_family(r, METRIC_FAMILY_GAUGE, "thanos_blocks_meta_modified",
                          "Number of blocks whose metadata changed", (const char *[]){"modified", NULL});
        metric_set(metric_with(f, (Str[]){STR("replica-label-removed")}), 0);
}

struct error *meta_fetcher_new(const struct meta_fetcher_opts *o, struct meta_fetcher **ret)
{
        struct meta_fetcher *f = mem_new(struct meta_fetcher);
        f->o = *o;
        f->o.take_filters = NULL;
        if (!f->o.clock)
                f->o.clock = &clock_system;
        if (f->o.concurrency <= 0)
                f->o.concurrency = 32;
        for (struct block_filter **x = o->take_filters; x && *x; x++)
                vec_push(&f->filters, *x);
        if (o->metrics)
                metrics_init(&f->m, o->metrics);
        struct error *e = NULL;
        if (o->cache_dir) {
                f->cache_dir = path_join(o->cache_dir, "meta-syncer");
                e = dir_make_all(f->cache_dir);
        }
        if (e) {
                meta_fetcher_free(f);
                return e;
        }
        *ret = f;
        return NULL;
}

static void metas_clear(ThanosMetaVec *v)
{
        for (size_t i = 0; i < v->n; i++)
                thanos_meta_unref(v->p[i]);
        vec_clear(v);
}

void meta_fetcher_free(struct meta_fetcher *f)
{
        if (!f)
                return;
        for (size_t i = 0; i < f->filters.n; i++)
                f->filters.p[i]->free(f->filters.p[i]);
        vec_done(&f->filters);
        metas_clear(&f->cached);
        vec_done(&f->cached);
        free(f->cache_dir);
        free(f);
}

void block_view_done(struct block_view *v)
{
        metas_clear(&v->metas);
        vec_done(&v->metas);
        for (size_t i = 0; i < v->partial.n; i++)
                free(v->partial.p[i].why);
        vec_done(&v->partial);
        error_free(v->incomplete);
        v->incomplete = NULL;
}

/* --- listing --- */

/* Block directories are ULIDs in capital letters; whatever else is at the top is not ours. */
static bool block_id_parse(Str s, Ulid *ret)
{
        char text[ULID_TEXT_BYTES + 1];
        if (s.n != ULID_TEXT_BYTES || !ulid_parse(s, ret))
                return false;
        ulid_print(*ret, text);
        return str_eq(s, str_from(text));
}

static struct error *seen_dir(void *arg, const struct bucket_entry *en)
{
        KnownVec *v = arg;
        Ulid id;
        if (en->is_dir && block_id_parse(str_trim_suffix(en->name, STR("/")), &id))
                vec_push(v, (struct known){id, true});
        return NULL;
}

static struct error *seen_object(void *arg, const struct bucket_entry *en)
{
        KnownVec *v = arg;
        Ulid id;
        Str dir, rest;
        if (!str_cut(en->name, '/', &dir, &rest) || !block_id_parse(dir, &id))
                return NULL;
        if (!v->n || ulid_cmp(v->p[v->n - 1].id, id) != 0)
                vec_push(v, (struct known){id, false});
        if (str_eq(rest, STR(BLOCK_META_FILE)))
                v->p[v->n - 1].has_meta = true;
        return NULL;
}

static int known_cmp(const void *a, const void *b)
{
        return ulid_cmp(((const struct known *)a)->id, ((const struct known *)b)->id);
}

/* --- loading --- */

struct load {
        struct meta_fetcher *f;
        const struct bucket_call *call;
        const struct known *known;
        struct thanos_meta **metas; /* one for each known; NULL: partial or failed */
        struct error **errors;
};

static struct thanos_meta *cached_find(const struct meta_fetcher *f, Ulid id)
{
        size_t lo = 0, hi = f->cached.n;
        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                int c = ulid_cmp(f->cached.p[mid]->block.ulid, id);
                if (c == 0)
                        return f->cached.p[mid];
                if (c < 0)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return NULL;
}

static struct error *read_from_bucket(const struct load *l, Ulid id, const char *cache, struct thanos_meta **ret)
{
        char name[ULID_TEXT_BYTES + 1 + sizeof BLOCK_META_FILE];
        ulid_print(id, name);
        strcat(name, "/" BLOCK_META_FILE);
        struct bucket_call call = l->call ? *l->call : (struct bucket_call){0};
        call.not_found_is_expected = true;
        struct buf b = BUF_INIT(THANOS_META_MAX_BYTES);
        struct error *e = bucket_get(l->f->o.bucket, &call, str_from(name), &b);
        if (!e) {
                e = thanos_meta_parse(buf_str(&b), ret);
                if (e)
                        e = error_wrap(e, "meta.json %s", name);
        }
        buf_done(&b);
        if (!e && cache) {
                struct error *w = dir_make_all(cache);
                if (!w)
                        w = thanos_meta_write(cache, *ret);
                error_ignore(w, "the copy on disk only saves a request at the next start");
        }
        return e;
}

static struct error *load_one(const struct load *l, const struct known *k, struct thanos_meta **ret)
{
        struct meta_fetcher *f = l->f;
        char id[ULID_TEXT_BYTES + 1];
        ulid_print(k->id, id);
        if (!k->has_meta)
                return error_new(ERROR_NOT_FOUND, "block %s has no meta file", id);
        char *cache = f->cache_dir ? path_join(f->cache_dir, id) : NULL;
        struct thanos_meta *m = cached_find(f, k->id);
        if (m) {
                thanos_meta_ref(m);
        } else if (cache) {
                struct error *e = thanos_meta_read(cache, &m);
                if (e && !error_is(e, ERROR_NOT_FOUND))
                        error_ignore(dir_remove_all(cache), "a damaged copy; the next write of it will tell");
                error_ignore(e, "not on disk: the bucket has it");
                if (m && ulid_cmp(m->block.ulid, k->id) != 0) {
                        thanos_meta_unref(m);
                        m = NULL;
                }
        }
        struct error *e = NULL;
        if (!m) {
                e = read_from_bucket(l, k->id, cache, &m);
        } else if (!f->o.is_recursive) {
                /* What we remember may be gone from the bucket: meta.json is what deletions begin with. */
                char *name = path_join(id, BLOCK_META_FILE);
                bool is_there = false;
                e = bucket_exists(f->o.bucket, l->call, str_from(name), &is_there);
                if (!e && !is_there)
                        e = error_new(ERROR_NOT_FOUND, "block %s has no meta file", id);
                free(name);
        }
        free(cache);
        if (e) {
                thanos_meta_unref(m);
                return e;
        }
        *ret = m;
        return NULL;
}

static void load_step(void *ctx, size_t i, UNUSED int worker)
{
        struct load *l = ctx;
        l->errors[i] = load_one(l, &l->known[i], &l->metas[i]);
}

/* Copies on disk of blocks that are gone. */
static void clean_cache(const struct meta_fetcher *f)
{
        PathVec names = VEC_INIT;
        error_ignore(dir_list(f->cache_dir, &names), "nothing to clean then");
        for (size_t i = 0; i < names.n; i++) {
                Ulid id;
                if (!block_id_parse(str_from(names.p[i]), &id) || cached_find(f, id))
                        continue;
                char *dir = path_join(f->cache_dir, names.p[i]);
                error_ignore(dir_remove_all(dir), "tried again after the next sync");
                free(dir);
        }
        path_vec_done(&names);
}

static struct error *load_all(struct meta_fetcher *f, const struct bucket_call *c, struct block_view *v,
                              size_t count[BLOCK_N_STATES])
{
        KnownVec known = VEC_INIT;
        struct error *e = bucket_iter(f->o.bucket, c, STR(""), f->o.is_recursive ? BUCKET_RECURSIVE : 0,
                                      f->o.is_recursive ? seen_object : seen_dir, &known);
        struct pool *pool = NULL;
        if (!e && known.n > 1 && f->o.concurrency > 1)
                e = pool_new("metas", (int)MIN((size_t)f->o.concurrency, known.n), &pool);
        if (e) {
                vec_done(&known);
                return error_wrap(e, "BaseFetcher: iter bucket");
        }
        if (known.n)
                qsort(known.p, known.n, sizeof *known.p, known_cmp);
        struct load l = {.f = f, .call = c, .known = known.p};
        l.metas = mem_zalloc((known.n + 1) * sizeof *l.metas);
        l.errors = mem_zalloc((known.n + 1) * sizeof *l.errors);
        pool_each(pool, known.n, load_step, &l);
        pool_free(pool);
        struct error *failures = NULL;
        for (size_t i = 0; i < known.n; i++) {
                struct error *x = l.errors[i];
                if (!x) {
                        vec_push(&v->metas, l.metas[i]);
                } else if (error_is(x, ERROR_NOT_FOUND) || error_is(x, ERROR_CORRUPT)) {
                        count[error_is(x, ERROR_NOT_FOUND) ? BLOCK_NO_META : BLOCK_CORRUPTED_META]++;
                        vec_push(&v->partial, (struct block_partial){known.p[i].id, mem_strdup(error_str(x))});
                        error_free(x);
                } else {
                        count[BLOCK_FAILED]++;
                        failures = count[BLOCK_FAILED] <= 8 ? error_join(failures, x) : (error_free(x), failures);
                }
        }
        free(l.metas);
        free(l.errors);
        vec_done(&known);
        if (failures) {
                v->incomplete = error_wrap(failures, "incomplete view");
                return NULL;
        }
        metas_clear(&f->cached);
        for (size_t i = 0; i < v->metas.n; i++)
                vec_push(&f->cached, thanos_meta_ref(v->metas.p[i]));
        if (f->cache_dir)
                clean_cache(f);
        return NULL;
}

struct error *meta_fetcher_fetch(struct meta_fetcher *f, const struct bucket_call *c, struct block_view *ret)
{
        int64_t begin = clock_mono_ns(f->o.clock);
        struct block_view v = BLOCK_VIEW_INIT;
        struct block_filter_run run = {
                .bucket = f->o.bucket, .call = c, .now_ms = clock_now_ms(f->o.clock), .concurrency = f->o.concurrency};
        struct error *e = load_all(f, c, &v, run.count);
        for (size_t i = 0; !e && i < f->filters.n; i++) {
                e = f->filters.p[i]->run(f->filters.p[i], &run, &v.metas);
                if (e)
                        e = error_wrap(e, "filter metas");
        }
        run.count[BLOCK_LOADED] = v.metas.n;
        if (f->o.metrics) {
                metric_add(f->m.base_syncs, 1);
                metric_add(f->m.syncs, 1);
                metric_observe(f->m.duration, (double)(clock_mono_ns(f->o.clock) - begin) / 1e9);
                if (e || v.incomplete)
                        metric_add(f->m.failures, 1);
                for (int i = 0; i < BLOCK_N_STATES; i++)
                        metric_set(f->m.state[i], (double)run.count[i]);
        }
        if (e) {
                block_view_done(&v);
                return e;
        }
        *ret = v;
        return NULL;
}
