/* SPDX-License-Identifier: Apache-2.0 */
/* The recorded bucket, read through the store: each aggregate of each downsampled chunk, and the recorded results of
 * queries over raw blocks. */
#include <stdio.h>

#include "base/file.h"
#include "base/test.h"
#include "codec/float_text.h"
#include "codec/json.h"
#include "promql/engine.h"
#include "storage/chunk/xor.h"
#include "thanos/store/bucket_store.h"

struct open_store {
        struct bucket *bucket;
        struct meta_fetcher *fetcher;
        struct bucket_store *store;
};

static void store_open(struct open_store *s, const char *sub)
{
        char *path = conformance_path(sub);
        CHECK_OK(filesystem_bucket_new(path, &s->bucket));
        free(path);
        struct block_filter *filters[] = {block_filter_deletion_mark(0), block_filter_duplicates(), NULL};
        CHECK_OK(meta_fetcher_new(&(struct meta_fetcher_opts){.bucket = s->bucket, .take_filters = filters},
                                  &s->fetcher));
        CHECK_OK(bucket_store_new(&(struct bucket_store_opts){.bucket = s->bucket, .fetcher = s->fetcher}, &s->store));
        CHECK_OK(bucket_store_sync(s->store, NULL));
}

static void store_close(struct open_store *s)
{
        bucket_store_free(s->store);
        meta_fetcher_free(s->fetcher);
        bucket_free(s->bucket);
}

static const struct json *json_file(const char *sub, struct arena *a)
{
        char *path = conformance_path(sub), *text;
        size_t n;
        const struct json *root;
        CHECK_OK(file_read(path, 64 << 20, &text, &n));
        CHECK_OK(json_parse(arena_str(a, (Str){text, n}), a, &root));
        free(text);
        free(path);
        return root;
}

static double number(Str s)
{
        double v;
        bool range;
        CHECK_MSG(float_parse(s, &v, &range), "no number: " STR_FMT, STR_ARG(s));
        return v;
}

/* --- downsampled chunks --- */

static void check_aggregate(const struct json *want, Str data, const char *what)
{
        enum { MAX = 4096 };
        static TimeMs t[MAX];
        static double v[MAX];
        size_t n;
        CHECK(data.p && chunk_samples(CHUNK_XOR, data) <= MAX);
        CHECK_OK(xor_decode(data, TIME_MS_MAX, t, v, &n));
        CHECK_MSG(n == want->n, "%s: %zu samples, want %zu", what, n, want->n);
        for (size_t i = 0; i < n; i++) {
                const struct json *pair = json_at(want, i);
                CHECK_I64(t[i], json_i64(json_at(pair, 0)));
                CHECK_F64(v[i], number(json_str(json_at(pair, 1))));
        }
}

static void check_chunk(const struct json *want, const struct store_chunk *got)
{
        static const char *const names[AGGREGATE_N] = {"count", "sum", "min", "max", "counter"};
        CHECK_I64(got->mint_ms, json_i64(json_get(want, STR("mint"))));
        CHECK_I64(got->maxt_ms, json_i64(json_get(want, STR("maxt"))));
        CHECK_I64(got->encoding, CHUNK_NONE);
        for (int i = 0; i < AGGREGATE_N; i++)
                check_aggregate(json_get(want, str_from(names[i])), got->aggregates[i], names[i]);
}

static void check_block(struct bucket_store *s, const char *id)
{
        char sub[128];
        snprintf(sub, sizeof sub, "thanos/decoded/bucket-compacted/%s.jsonl", id);
        char *path = conformance_path(sub), *text;
        size_t n_text, lines = 0;
        CHECK_OK(file_read(path, 64 << 20, &text, &n_text));
        struct matcher *block, *any;
        CHECK_OK(matcher_new(MATCH_EQ, STR("__block_id"), str_from(id), &block));
        CHECK_OK(matcher_new(MATCH_RE, STR("__name__"), STR(".+"), &any));
        struct store_set *set = NULL;
        for (int level = 0; level < 2 && !set; level++) { /* 1h, else 5m */
                struct store_request r = {.mint_ms = 0,
                                          .maxt_ms = TIME_MS_MAX,
                                          .matchers = (const struct matcher *const *)&any,
                                          .n_matchers = 1,
                                          .max_resolution_ms = level ? 300000 : 3600000,
                                          .aggregates = (1u << AGGREGATE_N) - 1,
                                          .block_matchers = (const struct matcher *const *)&block,
                                          .n_block_matchers = 1};
                size_t n;
                CHECK_OK(bucket_store_select(s, &r, NULL, &set));
                store_set_blocks(set, &n);
                if (!n) {
                        store_set_free(set);
                        set = NULL;
                }
        }
        CHECK(set);
        Str rest = {text, n_text}, line;
        while (str_next(&rest, '\n', &line) && line.n) {
                struct arena a;
                arena_init(&a, 256 << 20);
                const struct json *want;
                CHECK_OK(json_parse(line, &a, &want));
                struct store_series got;
                bool more;
                CHECK_OK(store_set_next(set, &got, &more));
                CHECK(more);
                JSON_EACH(l, json_get(want, STR("labels")))
                CHECK_STRS(labels_get(got.labels, l->key), json_str(&l->value));
                const struct json *chunks = json_get(want, STR("chunks"));
                CHECK_U64(got.n_chunks, chunks->n);
                for (size_t i = 0; i < got.n_chunks; i++)
                        check_chunk(json_at(chunks, i), &got.chunks[i]);
                arena_done(&a);
                lines++;
        }
        CHECK(lines >= 4);
        store_set_free(set);
        matcher_free(block);
        matcher_free(any);
        free(text);
        free(path);
}

TEST(bucket_store, gives_every_aggregate_of_downsampled_blocks)
{
        struct open_store s;
        store_open(&s, "thanos/bucket-compacted");
        check_block(s.store, "01M81XDKX825AKP4JST5RQ3W17");
        check_block(s.store, "01M81XDKY0FA6QY87ADEVKHJD9");
        check_block(s.store, "01M81XEZ8G5Z4VK6MPJ2E0WC4V");
        check_block(s.store, "01M81XEZCEE829RJ36XFR8PT78");
        store_close(&s);
}

/* --- queries --- */

static void check_result(const struct query_result *got, const struct json *want, Str query)
{
        CHECK_MSG(got->n_series == want->n, STR_FMT ": %zu series, want %zu", STR_ARG(query), got->n_series, want->n);
        for (size_t i = 0; i < got->n_series; i++) {
                const struct json *w = json_at(want, i), *values = json_get(w, STR("values"));
                const struct result_series *g = &got->series[i];
                CHECK_U64(g->labels.n, json_get(w, STR("metric"))->n);
                JSON_EACH(l, json_get(w, STR("metric")))
                CHECK_STRS(labels_get(g->labels, l->key), json_str(&l->value));
                CHECK_MSG(g->n == values->n, STR_FMT ": %zu values, want %zu", STR_ARG(query), g->n, values->n);
                for (size_t k = 0; k < g->n; k++) {
                        CHECK_I64(g->t[k], (TimeMs)(json_f64(json_at(json_at(values, k), 0)) * 1000));
                        CHECK_F64(g->v[k], number(json_str(json_at(json_at(values, k), 1))));
                }
        }
}

static void check_queries(const char *bucket, const char *queries)
{
        struct open_store s;
        store_open(&s, bucket);
        struct arena a;
        arena_init(&a, 512 << 20);
        struct engine_opts eo = {.timeout_ms = 60000,
                                 .max_samples = 50000000,
                                 .max_concurrency = 4,
                                 .lookback_ms = 300000,
                                 .subquery_step_ms = 60000};
        struct engine *en = engine_new(&eo);
        const struct json *all = json_file(queries, &a);
        size_t done = 0;
        JSON_EACH(x, all)
        {
                const struct json *p = json_get(&x->value, STR("params"));
                if (!str_eq(json_str(json_get(p, STR("max_source_resolution"))), STR("0s")))
                        continue; /* the querier's business: which aggregate, and what it makes of it */
                if (str_find(json_str(json_get(p, STR("query"))), '[') >= 0)
                        continue; /* 0.36 evaluates with windows that are closed at both ends, as Prometheus 2 did */
                struct query_opts q = {.text = json_str(json_get(p, STR("query"))),
                                       .start_ms = json_i64(json_get(p, STR("start"))) * 1000,
                                       .end_ms = json_i64(json_get(p, STR("end"))) * 1000,
                                       .step_ms = json_i64(json_get(p, STR("step"))) * 1000};
                struct query_result r;
                CHECK_OK(engine_range(en, bucket_store_storage(s.store), &q, &r));
                check_result(&r, json_get(json_get(json_get(&x->value, STR("reply")), STR("data")), STR("result")),
                             q.text);
                query_result_done(&r);
                done++;
        }
        CHECK_U64(done, 6);
        engine_free(en);
        arena_done(&a);
        store_close(&s);
}

TEST(bucket_store, recorded_selectors_over_raw_blocks_give_the_recorded_results)
{
        check_queries("thanos/bucket-onetoone", "thanos/queries/bucket-onetoone.json");
        check_queries("thanos/bucket-penalty", "thanos/queries/bucket-penalty.json");
}
