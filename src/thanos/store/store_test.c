/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/file.h"
#include "base/test.h"
#include "codec/json.h"
#include "codec/proto.h"
#include "objstore/bucket_impl.h"
#include "storage/decode.h"
#include "storage/merge.h"
#include "thanos/store/page_cache.h"
#include "thanos/store/service.h"
#include "thanos/storeapi/messages.h"
#include "tsdb/block/block.h"

/* --- a store over a bucket --- */

struct fixture {
        struct bucket *bucket;
        struct meta_fetcher *fetcher;
        struct bucket_store *store;
};

static void fixture_open_on(struct fixture *f, struct bucket *take_bucket, const struct bucket_store_opts *o)
{
        f->bucket = take_bucket;
        struct block_filter *filters[] = {block_filter_deletion_mark(0), block_filter_duplicates(), NULL};
        struct meta_fetcher_opts fo = {.bucket = f->bucket, .take_filters = filters, .concurrency = 4};
        CHECK_OK(meta_fetcher_new(&fo, &f->fetcher));
        struct bucket_store_opts so = o ? *o : (struct bucket_store_opts){0};
        so.bucket = f->bucket;
        so.fetcher = f->fetcher;
        CHECK_OK(bucket_store_new(&so, &f->store));
        CHECK_OK(bucket_store_sync(f->store, NULL));
}

static struct bucket *files_at(const char *path)
{
        struct bucket *b;
        CHECK_OK(filesystem_bucket_new(path, &b));
        return b;
}

static void fixture_open(struct fixture *f, const char *conformance, const struct bucket_store_opts *o)
{
        char *path = conformance_path(conformance);
        fixture_open_on(f, files_at(path), o);
        free(path);
}

static void fixture_close(struct fixture *f)
{
        bucket_store_free(f->store);
        meta_fetcher_free(f->fetcher);
        bucket_free(f->bucket);
}

/* --- the recorded requests --- */

struct collect {
        struct store_sink base;
        VEC(Str) series; /* the bytes of each, owned */
        size_t frames;
};

static void take_frame(struct collect *k, Str message)
{
        struct cursor c = cursor_of(message);
        struct proto_field f;
        while (proto_next(&c, &f)) {
                if (f.number == 1)
                        vec_push(&k->series, (Str){mem_memdup(f.bytes.p, f.bytes.n), f.bytes.n});
                else if (f.number == 4)
                        take_frame(k, f.bytes);
        }
        CHECK(!c.bad);
}

static struct error *collect_send(struct store_sink *s, Str message)
{
        struct collect *k = CONTAINER_OF(s, struct collect, base);
        k->frames++;
        take_frame(k, message);
        return NULL;
}

static void collect_done(struct collect *k)
{
        for (size_t i = 0; i < k->series.n; i++)
                free((char *)(uintptr_t)k->series.p[i].p);
        vec_done(&k->series);
}

static char *recorded(Str file, size_t *n)
{
        char *rel = mem_alloc(file.n + 6), *text;
        snprintf(rel, file.n + 6, "grpc/" STR_FMT, STR_ARG(file));
        char *path = conformance_path(rel);
        CHECK_OK(file_read(path, 16 << 20, &text, n));
        free(path);
        free(rel);
        return text;
}

static void check_series(struct fixture *f, const struct json *x, Str name, Str request, struct arena *a)
{
        struct collect got = {.base = {collect_send}}, want = {.base = {collect_send}};
        int code = 0;
        struct error *e = store_service_series(f->store, request, NULL, a, &got.base, &code);
        Str status = json_str(json_get(x, STR("status")));
        if (str_eq(status, STR("OK")))
                CHECK_MSG(!e, STR_FMT ": %s", STR_ARG(name), error_str(e));
        else
                CHECK_MSG(e && str_eq(status, STR("INVALID_ARGUMENT")) && code == GRPC_INVALID_ARGUMENT,
                          STR_FMT ": code %d: %s", STR_ARG(name), code, error_str(e));
        error_free(e);
        JSON_EACH(r, json_get(x, STR("responses")))
        {
                size_t n;
                char *bytes = recorded(json_str(json_get(&r->value, STR("file"))), &n);
                take_frame(&want, (Str){bytes, n});
                free(bytes);
        }
        CHECK_MSG(got.series.n == want.series.n, STR_FMT ": %zu series, want %zu", STR_ARG(name), got.series.n,
                  want.series.n);
        for (size_t i = 0; i < got.series.n; i++)
                CHECK_MSG(str_eq(got.series.p[i], want.series.p[i]), STR_FMT ": series %zu differs", STR_ARG(name), i);
        collect_done(&got);
        collect_done(&want);
}

static int id_cmp(const void *a, const void *b)
{
        return str_cmp(((const struct pb_hint_block *)a)->id, ((const struct pb_hint_block *)b)->id);
}

static void check_hints(const struct pb_any *got, const struct pb_any *want, struct arena *a, Str name)
{
        CHECK_MSG(!got == !want, STR_FMT ": hints", STR_ARG(name));
        if (!got)
                return;
        CHECK_STRS(got->type_url, want->type_url);
        struct pb_response_hints g = {0}, w = {0};
        CHECK_OK(pb_decode(&pb_response_hints, got->value, a, &g));
        CHECK_OK(pb_decode(&pb_response_hints, want->value, a, &w));
        CHECK_MSG(g.queried_blocks.n == w.queried_blocks.n, STR_FMT ": %zu blocks asked, want %zu", STR_ARG(name),
                  g.queried_blocks.n, w.queried_blocks.n);
        if (!g.queried_blocks.n)
                return;
        qsort(g.queried_blocks.v, g.queried_blocks.n, sizeof *g.queried_blocks.v, id_cmp);
        qsort(w.queried_blocks.v, w.queried_blocks.n, sizeof *w.queried_blocks.v, id_cmp);
        for (size_t i = 0; i < g.queried_blocks.n; i++)
                CHECK_STRS(g.queried_blocks.v[i].id, w.queried_blocks.v[i].id);
}

/* Names and values answer with the same message. */
static void check_labels(struct fixture *f, const struct json *x, Str name, Str request, struct arena *a, bool values)
{
        struct buf b = BUF_INIT(1 << 20);
        int code = 0;
        struct error *e = values ? store_service_label_values(f->store, request, NULL, a, &b, &code)
                                 : store_service_label_names(f->store, request, NULL, a, &b, &code);
        CHECK_MSG(!e, STR_FMT ": %s", STR_ARG(name), error_str(e));
        size_t n;
        char *bytes = recorded(json_str(json_get(json_at(json_get(x, STR("responses")), 0), STR("file"))), &n);
        struct pb_label_names_response got = {0}, want = {0};
        CHECK_OK(pb_decode(&pb_label_names_response, buf_str(&b), a, &got));
        CHECK_OK(pb_decode(&pb_label_names_response, (Str){bytes, n}, a, &want));
        CHECK_MSG(got.names.n == want.names.n, STR_FMT ": %zu names, want %zu", STR_ARG(name), got.names.n,
                  want.names.n);
        for (size_t i = 0; i < got.names.n; i++)
                CHECK_STRS(got.names.v[i], want.names.v[i]);
        check_hints(got.hints, want.hints, a, name);
        free(bytes);
        buf_done(&b);
}

static void check_recordings(struct fixture *f, const char *server, const char *methods, size_t least)
{
        size_t n, done = 0;
        char *text = recorded(STR("index.json"), &n);
        struct arena a;
        arena_init(&a, 256 << 20);
        const struct json *root;
        CHECK_OK(json_parse((Str){text, n}, &a, &root));
        JSON_EACH(x, root)
        {
                Str method = json_str(json_get(&x->value, STR("method"))),
                    name = json_str(json_get(&x->value, STR("name")));
                if (!str_eq(json_str(json_get(&x->value, STR("server"))), str_from(server)))
                        continue;
                char want_method[64];
                snprintf(want_method, sizeof want_method, STR_FMT, STR_ARG(method));
                if (!strstr(methods, want_method))
                        continue;
                size_t n_request;
                char *request = recorded(json_str(json_get(&x->value, STR("request_file"))), &n_request);
                if (str_has_suffix(method, STR("/Series")))
                        check_series(f, &x->value, name, (Str){request, n_request}, &a);
                else if (str_has_suffix(method, STR("/LabelNames")))
                        check_labels(f, &x->value, name, (Str){request, n_request}, &a, false);
                else
                        check_labels(f, &x->value, name, (Str){request, n_request}, &a, true);
                free(request);
                done++;
        }
        CHECK_MSG(done >= least, "%zu recordings of %s", done, server);
        arena_done(&a);
        free(text);
}

TEST(bucket_store, answers_the_recorded_requests_byte_for_byte)
{
        struct fixture f;
        fixture_open(&f, "thanos/bucket-compacted", NULL);
        check_recordings(&f, "store-0.36", "/thanos.Store/Series /thanos.Store/LabelNames /thanos.Store/LabelValues",
                         20);
        fixture_close(&f);
}

TEST(bucket_store, answers_the_requests_of_newer_queriers_too)
{
        struct fixture f;
        fixture_open(&f, "thanos/bucket-compacted", NULL);
        check_recordings(&f, "store-head", "/thanos.Store/Series /thanos.Store/LabelNames /thanos.Store/LabelValues",
                         25);
        fixture_close(&f);
}

TEST(bucket_store, answers_them_in_small_batches_and_windows_too)
{
        conformance_need("thanos/bucket-compacted");
        struct bucket_store_opts o = {.series_batch = 1,
                                      .chunk_window_bytes = 1,
                                      .gap_bytes = 1,
                                      .index_cache_bytes = 1,
                                      .is_lazy_header = true,
                                      .is_lazy_download = true};
        struct fixture f;
        char *dir = path_join(test_dir(), "data");
        o.data_dir = dir;
        fixture_open(&f, "thanos/bucket-compacted", &o);
        for (int turn = 0; turn < 2; turn++) {
                check_recordings(&f, "store-0.36",
                                 "/thanos.Store/Series /thanos.Store/LabelNames /thanos.Store/LabelValues", 20);
                bucket_store_close_idle(f.store);
        }
        fixture_close(&f);
        free(dir);
}

/* 0.36 leaves the last block of a label set out of tsdb_infos when it does not touch the one before: we do not. */
static void check_tsdb_infos(const struct pb_store_info *got, const struct pb_store_info *want)
{
        size_t k = 0, more = 0;
        for (size_t i = 0; i < got->tsdb_infos.n; i++) {
                const struct pb_tsdb_info *g = &got->tsdb_infos.v[i],
                                          *w = &want->tsdb_infos.v[MIN(k, want->tsdb_infos.n - 1)];
                if (k < want->tsdb_infos.n && g->min_time == w->min_time && g->max_time == w->max_time) {
                        CHECK_U64(g->labels.labels.n, w->labels.labels.n);
                        for (size_t m = 0; m < g->labels.labels.n; m++)
                                CHECK_STRS(g->labels.labels.v[m].value, w->labels.labels.v[m].value);
                        k++;
                } else {
                        more++;
                }
        }
        CHECK_U64(k, want->tsdb_infos.n);
        CHECK_U64(more, 2);
}

TEST(bucket_store, info_is_the_recorded_one)
{
        struct bucket_store_opts o = {.adds_compatibility_label = true};
        struct fixture f;
        fixture_open(&f, "thanos/bucket-compacted", &o);
        struct arena a;
        arena_init(&a, 1 << 20);
        struct buf b = BUF_INIT(1 << 20);
        store_service_info(f.store, &a, &b);
        size_t n;
        char *bytes = recorded(STR("store-0.36/info.response.000.bin"), &n);
        struct pb_info_response got = {0}, want = {0};
        CHECK_OK(pb_decode(&pb_info_response, buf_str(&b), &a, &got));
        CHECK_OK(pb_decode(&pb_info_response, (Str){bytes, n}, &a, &want));
        check_tsdb_infos(got.store, want.store);
        got.store->tsdb_infos.n = want.store->tsdb_infos.n = 0;
        struct buf x = BUF_INIT(1 << 20), y = BUF_INIT(1 << 20);
        pb_encode(&pb_info_response, &got, &x);
        pb_encode(&pb_info_response, &want, &y);
        CHECK(str_eq(buf_str(&x), buf_str(&y)));
        buf_done(&x);
        buf_done(&y);
        free(bytes);
        buf_done(&b);
        arena_done(&a);
        fixture_close(&f);
}

TEST(bucket_store, an_empty_one_says_so)
{
        struct fixture f;
        fixture_open_on(&f, memory_bucket_new(), NULL);
        struct arena a;
        arena_init(&a, 1 << 20);
        struct store_info info;
        bucket_store_info(f.store, &a, &info);
        CHECK_I64(info.mint_ms, TIME_MS_MAX);
        CHECK_I64(info.maxt_ms, TIME_MS_MIN);
        CHECK_U64(info.n_label_sets, 0);
        arena_done(&a);
        fixture_close(&f);
}

/* --- blocks of our own --- */

struct made {
        char *dir; /* of the bucket */
        int n;
};

static Labels labels_of(struct arena *a, const char *text)
{
        Label *l = arena_array(a, Label, 16);
        size_t n = 0;
        Str rest = arena_str(a, str_from(text)), one;
        while (str_next(&rest, ',', &one))
                CHECK(str_cut(one, '=', &l[n].name, &l[n].value) && n++ < 15);
        labels_sort(l, n);
        return (Labels){l, n};
}

static int by_labels(const void *x, const void *y)
{
        return labels_cmp(((const struct series *)x)->labels, ((const struct series *)y)->labels);
}

static void chunks_of(struct arena *a, struct series *s, TimeMs from, size_t n, double v)
{
        TimeMs *t = arena_array(a, TimeMs, n);
        double *values = arena_array(a, double, n);
        for (size_t i = 0; i < n; i++) {
                t[i] = from + (TimeMs)i * 1000;
                values[i] = v + (double)i;
        }
        struct chunk *c;
        CHECK_OK(samples_encode(t, values, n, a, &c, &s->n_chunks));
        s->chunks = c;
}

static void add_block(struct made *m, struct arena *a, const char *external, struct series *s, size_t n, TimeMs mint,
                      TimeMs maxt)
{
        qsort(s, n, sizeof *s, by_labels);
        struct block_meta meta = BLOCK_META_INIT;
        meta.ulid = ulid_new(1700000000000 + m->n++);
        meta.mint_ms = mint;
        meta.maxt_ms = maxt;
        meta.level = 1;
        vec_push(&meta.sources, meta.ulid);
        CHECK_OK(block_write(m->dir, &meta, &(struct block_write_opts){.segment_bytes = 0}, series_set_of(a, s, n)));
        char id[ULID_TEXT_BYTES + 1];
        ulid_print(meta.ulid, id);
        char *dir = path_join(m->dir, id);
        struct thanos_meta *t;
        CHECK_OK(thanos_meta_read(dir, &t));
        t->labels = labels_of(&t->arena, external);
        t->source = STR("test");
        CHECK_OK(thanos_meta_write(dir, t));
        thanos_meta_unref(t);
        free(dir);
        block_meta_done(&meta);
}

static void made_open(struct made *m, const char *name)
{
        m->dir = path_join(test_dir(), name);
        m->n = 0;
        CHECK_OK(dir_make_all(m->dir));
}

/* Labels of all series that a request gives, a line each. */
static void check_order(struct bucket_store *s, const struct store_request *r, const char *want)
{
        struct store_set *set;
        struct buf b = BUF_INIT(1 << 20);
        CHECK_OK(bucket_store_select(s, r, NULL, &set));
        for (;;) {
                struct store_series x;
                bool more;
                CHECK_OK(store_set_next(set, &x, &more));
                if (!more)
                        break;
                labels_print(&b, x.labels);
                buf_putc(&b, '\n');
        }
        store_set_free(set);
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
}

static void make_series(struct arena *a, const char *const *texts, size_t n, struct series *s)
{
        for (size_t i = 0; i < n; i++) {
                s[i] = (struct series){.labels = labels_of(a, texts[i])};
                chunks_of(a, &s[i], 1000, 10, (double)i);
        }
}

TEST(bucket_store, series_are_sorted_by_full_labels)
{
        struct arena a;
        arena_init(&a, 64 << 20);
        struct made m;
        made_open(&m, "order");
        static const char *const texts[] = {"a=1", "a=1,b=2", "a=1,b=2,d=1", "a=1,e=1", "a=2,b=1", "b=1", "a=1,b=3"};
        struct series s[ARRAY_LEN(texts)];
        make_series(&a, texts, ARRAY_LEN(texts), s);
        add_block(&m, &a, "c=x", s, ARRAY_LEN(texts), 0, 100000);
        static const char want[] = "{a=\"1\", b=\"2\", c=\"x\"}\n{a=\"1\", b=\"2\", c=\"x\", d=\"1\"}\n{a=\"1\", "
                                   "b=\"3\", c=\"x\"}\n{a=\"1\", c=\"x\"}\n{a=\"1\", c=\"x\", e=\"1\"}\n"
                                   "{a=\"2\", b=\"1\", c=\"x\"}\n{b=\"1\", c=\"x\"}\n";
        for (size_t batch = 1; batch < 9; batch++) {
                struct bucket_store_opts o = {.series_batch = batch};
                struct fixture f;
                fixture_open_on(&f, files_at(m.dir), &o);
                struct store_request r = {.mint_ms = 0, .maxt_ms = 100000, .all_without_matchers = true};
                check_order(f.store, &r, want);
                r.without = (const Str[]){STR("a")};
                r.n_without = 1;
                check_order(f.store, &r,
                            "{b=\"1\", c=\"x\"}\n{b=\"1\", c=\"x\"}\n{b=\"2\", c=\"x\"}\n{b=\"2\", c=\"x\", "
                            "d=\"1\"}\n{b=\"3\", c=\"x\"}\n{c=\"x\"}\n{c=\"x\", e=\"1\"}\n");
                r.without = (const Str[]){STR("c")};
                check_order(f.store, &r,
                            "{a=\"1\"}\n{a=\"1\", b=\"2\"}\n{a=\"1\", b=\"2\", d=\"1\"}\n{a=\"1\", b=\"3\"}\n{a=\"1\", "
                            "e=\"1\"}\n{a=\"2\", b=\"1\"}\n{b=\"1\"}\n");
                fixture_close(&f);
        }
        free(m.dir);
        arena_done(&a);
}

TEST(bucket_store, external_labels_win_and_blocks_are_joined)
{
        struct arena a;
        arena_init(&a, 64 << 20);
        struct made m;
        made_open(&m, "join");
        static const char *const first[] = {"job=x,c=own", "job=y"}, *const second[] = {"job=x", "job=z"};
        struct series s[2];
        make_series(&a, first, 2, s);
        add_block(&m, &a, "c=e", s, 2, 0, 100000);
        make_series(&a, second, 2, s); /* job=x has the same chunk */
        add_block(&m, &a, "c=e", s, 2, 0, 100000);
        struct fixture f;
        fixture_open_on(&f, files_at(m.dir), NULL);
        struct store_request r = {.mint_ms = 0, .maxt_ms = 100000, .all_without_matchers = true};
        check_order(f.store, &r, "{c=\"e\", job=\"x\"}\n{c=\"e\", job=\"y\"}\n{c=\"e\", job=\"z\"}\n");
        struct store_set *set;
        struct store_series x;
        bool more;
        CHECK_OK(bucket_store_select(f.store, &r, NULL, &set));
        size_t n;
        store_set_blocks(set, &n);
        CHECK_U64(n, 2);
        CHECK_OK(store_set_next(set, &x, &more));
        CHECK_U64(x.n_chunks, 1); /* identical chunks once */
        store_set_free(set);
        fixture_close(&f);
        free(m.dir);
        arena_done(&a);
}

TEST(bucket_store, bare_series_are_as_they_lie_in_the_blocks)
{
        struct arena a;
        arena_init(&a, 64 << 20);
        struct made m;
        made_open(&m, "bare");
        static const char *const texts[] = {"job=x,c=own", "job=y"};
        struct series s[2];
        struct matcher *own;
        StrVec names = VEC_INIT;
        make_series(&a, texts, 2, s);
        add_block(&m, &a, "c=e,d=f", s, 2, 0, 100000);
        struct fixture f;
        fixture_open_on(&f, files_at(m.dir), &(struct bucket_store_opts){.is_bare = true});
        struct store_request r = {.mint_ms = 0, .maxt_ms = 100000, .all_without_matchers = true};
        check_order(f.store, &r, "{c=\"own\", job=\"x\"}\n{job=\"y\"}\n");
        CHECK_OK(matcher_new(MATCH_EQ, STR("c"), STR("own"), &own));
        r.matchers = (const struct matcher *const *)&own;
        r.n_matchers = 1;
        check_order(f.store, &r, "{c=\"own\", job=\"x\"}\n");
        matcher_free(own);
        CHECK_OK(matcher_new(MATCH_EQ, STR("d"), STR("f"), &own));
        check_order(f.store, &r, "");
        r.n_matchers = 0;
        CHECK_OK(bucket_store_label_names(f.store, &r, NULL, &a, &names, NULL));
        CHECK_U64(names.n, 2);
        vec_clear(&names);
        CHECK_OK(bucket_store_label_values(f.store, STR("c"), &r, NULL, &a, &names, NULL));
        CHECK_U64(names.n, 1);
        CHECK_STR(names.p[0], "own");
        vec_done(&names);
        matcher_free(own);
        fixture_close(&f);
        free(m.dir);
        arena_done(&a);
}

/* --- against the block itself --- */

static void random_block(struct made *m, struct arena *a, size_t n, struct series **ret)
{
        struct series *s = arena_array(a, struct series, n);
        for (size_t i = 0; i < n; i++) {
                char text[128];
                snprintf(text, sizeof text, "__name__=m%zu,i=%zu,k=%zu%s", i % 7, i, i % 50, i % 3 ? ",z=1" : "");
                s[i] = (struct series){.labels = labels_of(a, text)};
                chunks_of(a, &s[i], (TimeMs)(i % 11) * 1000, 1 + i % 500, (double)i * 0.37);
        }
        add_block(m, a, "cluster=c1,replica=r0", s, n, 0, 1000000);
        for (size_t i = 0; i < n; i++) { /* as they shall come out */
                Label *l = arena_array(a, Label, s[i].labels.n + 2);
                memcpy(l, s[i].labels.v, s[i].labels.n * sizeof *l);
                l[s[i].labels.n] = (Label){STR("cluster"), STR("c1")};
                l[s[i].labels.n + 1] = (Label){STR("replica"), STR("r0")};
                labels_sort(l, s[i].labels.n + 2);
                s[i].labels = (Labels){l, s[i].labels.n + 2};
        }
        qsort(s, n, sizeof *s, by_labels);
        *ret = s;
}

static size_t check_query(struct bucket_store *store, const struct series *s, size_t n, TimeMs mint, TimeMs maxt,
                          const struct matcher *const *ms, size_t n_ms)
{
        struct arena a;
        arena_init(&a, 256 << 20);
        struct querier *q;
        struct series_set *set;
        CHECK_OK(storage_querier(bucket_store_storage(store), mint, maxt, &a, &q));
        CHECK_OK(querier_select(q, &(struct select_hints){.start_ms = mint, .end_ms = maxt, .sorted = true}, ms, n_ms,
                                &set));
        size_t found = 0;
        struct samples got = SAMPLES_INIT, want = SAMPLES_INIT;
        for (size_t i = 0; i < n; i++) {
                if (!matchers_match(ms, n_ms, s[i].labels))
                        continue;
                CHECK_OK(series_decode(&s[i], mint, maxt, &want));
                bool in_chunks = false;
                for (size_t k = 0; k < s[i].n_chunks; k++)
                        in_chunks |= s[i].chunks[k].mint_ms <= maxt && s[i].chunks[k].maxt_ms >= mint;
                if (!in_chunks)
                        continue;
                struct series x;
                bool more;
                CHECK_OK(series_set_next(set, &x, &more));
                CHECK(more);
                CHECK_STR(labels_get(x.labels, STR("cluster")), "c1");
                CHECK_STRS(labels_get(x.labels, STR("i")), labels_get(s[i].labels, STR("i")));
                CHECK_OK(series_decode(&x, mint, maxt, &got));
                CHECK_U64(got.n, want.n);
                CHECK(got.n == 0 || (memcmp(got.t, want.t, got.n * sizeof *got.t) == 0 &&
                                     memcmp(got.v, want.v, got.n * sizeof *got.v) == 0));
                found++;
        }
        struct series x;
        bool more;
        CHECK_OK(series_set_next(set, &x, &more));
        CHECK(!more);
        samples_done(&got);
        samples_done(&want);
        querier_close(q);
        arena_done(&a);
        return found;
}

static void check_matchers(struct bucket_store *store, const struct series *s, size_t n, TimeMs mint, TimeMs maxt,
                           enum matcher_type t1, const char *n1, const char *v1, enum matcher_type t2, const char *n2,
                           const char *v2, size_t least)
{
        struct matcher *m[2];
        CHECK_OK(matcher_new(t1, str_from(n1), str_from(v1), &m[0]));
        CHECK_OK(matcher_new(t2, str_from(n2), str_from(v2), &m[1]));
        size_t found = check_query(store, s, n, mint, maxt, (const struct matcher *const *)m, 2);
        CHECK_MSG(found >= least, "%s %s: %zu series, want at least %zu", v1, v2, found, least);
        matcher_free(m[0]);
        matcher_free(m[1]);
}

TEST(bucket_store, gives_what_the_block_has_for_all_kinds_of_matchers)
{
        struct arena a;
        arena_init(&a, 256 << 20);
        struct made m;
        made_open(&m, "random");
        struct series *s;
        enum { N = 3000 };
        random_block(&m, &a, N, &s);
        static const struct bucket_store_opts all[] = {
                {.series_batch = 0},
                {.series_batch = 7, .chunk_window_bytes = 100, .gap_bytes = 1, .index_cache_bytes = 1, .io_threads = 1},
                {.series_batch = 100, .chunk_window_bytes = 50000, .gap_bytes = 1 << 20, .index_cache_bytes = 100000},
        };
        for (size_t i = 0; i < ARRAY_LEN(all); i++) {
                struct fixture f;
                fixture_open_on(&f, files_at(m.dir), &all[i]);
                check_matchers(f.store, s, N, 0, 1000000, MATCH_EQ, "__name__", "m3", MATCH_EQ, "k", "3", 1);
                check_matchers(f.store, s, N, 0, 1000000, MATCH_RE, "__name__", "m.*", MATCH_NE, "z", "1", N / 3);
                check_matchers(f.store, s, N, 0, 1000000, MATCH_RE, "i", "1.*", MATCH_NRE, "k", "[1-3]|44", 500);
                check_matchers(f.store, s, N, 0, 1000000, MATCH_EQ, "z", "", MATCH_RE, "k", "4|5|6", 10);
                check_matchers(f.store, s, N, 0, 1000000, MATCH_EQ, "i", "17", MATCH_RE, "i", ".*7", 1);
                check_matchers(f.store, s, N, 300000, 310000, MATCH_EQ, "__name__", "m1", MATCH_NE, "absent", "x", 1);
                check_matchers(f.store, s, N, 0, 1000000, MATCH_EQ, "__name__", "nope", MATCH_EQ, "k", "3", 0);
                check_matchers(f.store, s, N, 0, 1000000, MATCH_EQ, "replica", "r0", MATCH_EQ, "__name__", "m2", 100);
                check_matchers(f.store, s, N, 0, 1000000, MATCH_NE, "z", "1", MATCH_NRE, "k", "x", N / 3);
                fixture_close(&f);
        }
        free(m.dir);
        arena_done(&a);
}

/* --- limits --- */

static void check_limit(const struct bucket_store_opts *o, const char *want)
{
        struct fixture f;
        fixture_open(&f, "thanos/bucket-compacted", o);
        struct matcher *m;
        CHECK_OK(matcher_new(MATCH_RE, STR("__name__"), STR(".+"), &m));
        struct store_request r = {.mint_ms = 1699488000000,
                                  .maxt_ms = 1700784000000,
                                  .matchers = (const struct matcher *const *)&m,
                                  .n_matchers = 1};
        struct store_set *set = NULL;
        struct error *e = bucket_store_select(f.store, &r, NULL, &set);
        for (bool more = true; !e && more;) {
                struct store_series x;
                e = store_set_next(set, &x, &more);
        }
        CHECK_MSG(error_is(e, ERROR_LIMIT), "%s", error_str(e));
        CHECK_MSG(strstr(error_str(e), want), "\"%s\" says nothing of \"%s\"", error_str(e), want);
        error_free(e);
        store_set_free(set);
        matcher_free(m);
        fixture_close(&f);
}

TEST(bucket_store, limits_end_a_request_with_the_originals_texts)
{
        check_limit(&(struct bucket_store_opts){.series_max = 1}, "exceeded series limit: limit 1 violated (got ");
        check_limit(&(struct bucket_store_opts){.chunks_max = 3}, "exceeded chunks limit: limit 3 violated (got ");
        check_limit(&(struct bucket_store_opts){.bytes_max = 10},
                    "exceeded bytes limit while fetching postings: limit 10 violated (got ");
        check_limit(&(struct bucket_store_opts){.chunk_pool_bytes = 100}, "allocate chunk bytes: pool exhausted");
}

/* --- a bucket with faults --- */

struct faulty {
        struct bucket base;
        struct bucket *inner;
        int calls;   /* atomic */
        int fail_at; /* of range reads; 0: none */
        enum { FAULT_ERROR, FAULT_SHORT, FAULT_FLIP, FAULT_HANG } how;
        bool *cancel;
};

static struct error *faulty_read(struct bucket *b, const struct bucket_call *c, Str name, uint64_t at, uint64_t n,
                                 struct bucket_sink *sink)
{
        struct faulty *f = CONTAINER_OF(b, struct faulty, base);
        int call = __atomic_add_fetch(&f->calls, 1, __ATOMIC_SEQ_CST);
        if (!f->fail_at || call != f->fail_at)
                return bucket_read(f->inner, c, name, at, n, sink);
        struct buf x = BUF_INIT(64 << 20);
        struct error *e = NULL;
        switch (f->how) {
        case FAULT_ERROR:
                e = error_new(ERROR_IO, "503 Service Unavailable");
                break;
        case FAULT_HANG:
                __atomic_store_n(f->cancel, true, __ATOMIC_SEQ_CST); /* the client leaves while we wait */
                e = bucket_call_check(c);
                break;
        case FAULT_SHORT:
                e = bucket_get_range(f->inner, c, name, at, n, &x);
                if (!e && x.n > 1)
                        e = sink->write(sink, (Str){x.p, x.n / 2});
                break;
        case FAULT_FLIP:
                e = bucket_get_range(f->inner, c, name, at, n, &x);
                if (!e && x.n) {
                        for (size_t i = 0; i < x.n; i++)
                                x.p[i] = (char)~x.p[i];
                        e = sink->write(sink, buf_str(&x));
                }
                break;
        }
        buf_done(&x);
        return e;
}

static struct error *faulty_iter(struct bucket *b, const struct bucket_call *c, Str dir, unsigned flags,
                                 bucket_each *each, void *arg)
{
        return bucket_iter(CONTAINER_OF(b, struct faulty, base)->inner, c, dir, flags, each, arg);
}
static struct error *faulty_attributes(struct bucket *b, const struct bucket_call *c, Str name,
                                       struct bucket_attributes *ret)
{
        return bucket_get_attributes(CONTAINER_OF(b, struct faulty, base)->inner, c, name, ret);
}
static void faulty_free(struct bucket *b)
{
        struct faulty *f = CONTAINER_OF(b, struct faulty, base);
        bucket_free(f->inner);
        free(f);
}
static const struct bucket_ops faulty_ops = {.provider = "FAULTY",
                                             .free = faulty_free,
                                             .iter = faulty_iter,
                                             .read = faulty_read,
                                             .attributes = faulty_attributes};

static struct error *read_everything(struct bucket_store *s, const struct bucket_call *c, size_t *ret_n)
{
        struct matcher *m;
        CHECK_OK(matcher_new(MATCH_RE, STR("__name__"), STR(".+"), &m));
        struct store_request r = {.mint_ms = 1699488000000,
                                  .maxt_ms = 1700784000000,
                                  .matchers = (const struct matcher *const *)&m,
                                  .n_matchers = 1,
                                  .max_resolution_ms = 300000,
                                  .aggregates = 31};
        struct store_set *set = NULL;
        struct error *e = bucket_store_select(s, &r, c, &set);
        *ret_n = 0;
        for (bool more = true; !e && more;) {
                struct store_series x;
                e = store_set_next(set, &x, &more);
                *ret_n += !e && more;
        }
        store_set_free(set);
        matcher_free(m);
        return e;
}

TEST(bucket_store, each_failing_read_fails_the_request_and_the_next_one_is_whole)
{
        char *path = conformance_path("thanos/bucket-compacted");
        struct faulty *faulty = mem_new(struct faulty);
        bool cancel = false;
        *faulty = (struct faulty){
                .base = {.ops = &faulty_ops, .name = mem_strdup("faulty")}, .inner = files_at(path), .cancel = &cancel};
        free(path);
        struct fixture f;
        fixture_open_on(&f, &faulty->base,
                        &(struct bucket_store_opts){.index_cache_bytes = 1, .chunk_window_bytes = 1});
        size_t n_good, n;
        faulty->calls = 0;
        CHECK_OK(read_everything(f.store, NULL, &n_good));
        int reads = faulty->calls;
        CHECK(n_good > 6 && reads > 10);
        for (int how = FAULT_ERROR; how <= FAULT_HANG; how++) {
                for (int at = 1; at <= reads; at++) {
                        struct bucket_call c = {.cancel = &cancel};
                        cancel = false;
                        faulty->calls = 0;
                        faulty->how = how;
                        faulty->fail_at = at;
                        struct error *e = read_everything(f.store, &c, &n);
                        /* A short read of what was only a guess may be made good by another one. */
                        if (how == FAULT_SHORT && !e)
                                CHECK_U64(n, n_good);
                        else
                                CHECK_MSG(e, "read %d of %d, fault %d: nobody noticed", at, reads, how);
                        if (how == FAULT_ERROR)
                                CHECK_MSG(strstr(error_str(e), "503 Service Unavailable") &&
                                                  strstr(error_str(e), "fetch series for block 01M81X"),
                                          "%s", error_str(e));
                        if (how == FAULT_HANG)
                                CHECK_MSG(error_is(e, ERROR_CANCELLED), "%s", error_str(e));
                        error_free(e);
                }
        }
        faulty->fail_at = 0;
        CHECK_OK(read_everything(f.store, NULL, &n));
        CHECK_U64(n, n_good);
        fixture_close(&f);
}

/* --- blocks come and go --- */

static struct error *copy_object(void *arg, const struct bucket_entry *en)
{
        struct bucket **two = arg;
        struct buf b = BUF_INIT(64 << 20);
        struct error *e = bucket_get(two[0], NULL, en->name, &b);
        if (!e)
                e = bucket_upload(two[1], NULL, en->name, buf_str(&b));
        buf_done(&b);
        return e;
}

TEST(bucket_store, sync_takes_new_blocks_and_drops_gone_ones_under_open_sets)
{
        char *path = conformance_path("thanos/bucket-compacted"), *data = path_join(test_dir(), "sync");
        struct bucket *files = files_at(path), *memory = memory_bucket_new();
        free(path);
        CHECK_OK(bucket_iter(files, NULL, STR(""), BUCKET_RECURSIVE, copy_object, (struct bucket *[]){files, memory}));
        bucket_free(files);
        char *stale = path_join(data, "01M81XB3HQRSMBM0YHJHM8RYKZ");
        CHECK_OK(dir_make_all(stale));
        struct fixture f;
        fixture_open_on(&f, memory, &(struct bucket_store_opts){.data_dir = data});
        CHECK(!file_exists(stale));
        ThanosMetaVec metas = VEC_INIT;
        bucket_store_metas(f.store, &metas);
        CHECK_U64(metas.n, 10);
        struct matcher *m;
        CHECK_OK(matcher_new(MATCH_EQ, STR("__name__"), STR("http_requests_total"), &m));
        struct store_request r = {.mint_ms = 1699488000000,
                                  .maxt_ms = 1700784000000,
                                  .matchers = (const struct matcher *const *)&m,
                                  .n_matchers = 1};
        struct store_set *set;
        CHECK_OK(bucket_store_select(f.store, &r, NULL, &set));
        for (size_t i = 0; i < metas.n; i++) {
                char id[ULID_TEXT_BYTES + 16];
                ulid_print(metas.p[i]->block.ulid, id);
                strcat(id, "/meta.json");
                CHECK_OK(bucket_delete(memory, NULL, str_from(id)));
                thanos_meta_unref(metas.p[i]);
        }
        vec_clear(&metas);
        CHECK_OK(bucket_store_sync(f.store, NULL));
        bucket_store_metas(f.store, &metas);
        CHECK_U64(metas.n, 0);
        vec_done(&metas);
        size_t n = 0;
        for (;; n++) { /* what was open goes on: the objects themselves are still there */
                struct store_series x;
                bool more;
                CHECK_OK(store_set_next(set, &x, &more));
                if (!more)
                        break;
        }
        CHECK_U64(n, 4);
        store_set_free(set);
        matcher_free(m);
        fixture_close(&f);
        free(stale);
        free(data);
}

TEST(bucket_store, a_damaged_header_on_disk_is_built_again)
{
        conformance_need("thanos/bucket-compacted");
        char *data = path_join(test_dir(), "headers");
        struct fixture f;
        for (int turn = 0; turn < 2; turn++) {
                fixture_open(&f, "thanos/bucket-compacted", &(struct bucket_store_opts){.data_dir = data});
                size_t n;
                CHECK_OK(read_everything(f.store, NULL, &n));
                CHECK(n > 6);
                fixture_close(&f);
                char *one = path_join(data, "01M81XDKX825AKP4JST5RQ3W17/index-header");
                CHECK(file_exists(one));
                CHECK_OK(file_replace(one, STR("rubbish")));
                free(one);
        }
        free(data);
}

TEST(bucket_store, a_block_with_a_torn_index_costs_only_itself)
{
        conformance_need("thanos/bucket-compacted");
        struct bucket *memory = memory_bucket_new();
        char *path = conformance_path("thanos/bucket-compacted");
        struct bucket *files = files_at(path);
        free(path);
        CHECK_OK(bucket_iter(files, NULL, STR(""), BUCKET_RECURSIVE, copy_object, (struct bucket *[]){files, memory}));
        bucket_free(files);
        CHECK_OK(bucket_upload(memory, NULL, STR("01M81XDKX825AKP4JST5RQ3W17/index"), STR("half of an index")));
        struct fixture f;
        fixture_open_on(&f, memory, NULL);
        ThanosMetaVec metas = VEC_INIT;
        bucket_store_metas(f.store, &metas);
        CHECK_U64(metas.n, 9);
        for (size_t i = 0; i < metas.n; i++)
                thanos_meta_unref(metas.p[i]);
        vec_done(&metas);
        fixture_close(&f);
}

/* --- pages --- */

TEST(page_cache, keeps_what_was_used_last_within_its_budget)
{
        char bytes[1000] = {0};
        size_t one = sizeof(struct page) + sizeof bytes;
        struct page_cache *c = page_cache_new(3 * one, NULL);
        for (uint64_t i = 0; i < 3; i++)
                page_unref(page_cache_put(c, 1, i, bytes, sizeof bytes, PAGE_SERIES));
        page_unref(page_cache_get(c, 1, 0, PAGE_SERIES));
        struct page *held = page_cache_get(c, 1, 1, PAGE_SERIES);
        page_unref(page_cache_get(c, 1, 2, PAGE_SERIES));
        page_unref(page_cache_get(c, 1, 0, PAGE_SERIES));
        page_unref(page_cache_put(c, 2, 0, bytes, sizeof bytes, PAGE_SERIES));
        CHECK(!page_cache_get(c, 1, 1, PAGE_SERIES));
        CHECK_U64(held->n, sizeof bytes); /* out of the cache, not out of our hand */
        page_unref(held);
        CHECK_U64(page_cache_bytes(c), 3 * one);
        page_cache_drop(c, 1);
        CHECK_U64(page_cache_bytes(c), one);
        struct page *large = page_cache_put(c, 3, 0, bytes, 0, PAGE_SERIES);
        page_unref(large);
        page_cache_free(c);
        c = page_cache_new(10, NULL); /* nothing fits */
        page_unref(page_cache_put(c, 1, 1, bytes, sizeof bytes, PAGE_SERIES));
        CHECK_U64(page_cache_bytes(c), 0);
        page_cache_free(c);
}
