/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "base/file.h"
#include "base/test.h"
#include "codec/json.h"
#include "thanos/block/delete.h"
#include "thanos/block/fetcher.h"
#include "thanos/block/index_header.h"

/* --- meta.json --- */

static void each_block(const char *bucket, void (*use)(const char *dir, void *ctx), void *ctx)
{
        char *path = conformance_path(bucket);
        PathVec names = VEC_INIT;
        CHECK_OK(dir_list(path, &names));
        CHECK(names.n > 0);
        for (size_t i = 0; i < names.n; i++) {
                char *dir = path_join(path, names.p[i]);
                use(dir, ctx);
                free(dir);
        }
        path_vec_done(&names);
        free(path);
}

static void meta_is_the_same_after_reading(const char *dir, UNUSED void *ctx)
{
        char *path = path_join(dir, BLOCK_META_FILE), *text;
        size_t n;
        CHECK_OK(file_read(path, 1 << 20, &text, &n));
        struct thanos_meta *m;
        CHECK_OK(thanos_meta_parse((Str){text, n}, &m));
        struct buf b = BUF_INIT(1 << 20);
        thanos_meta_print(&b, m);
        CHECK_STRS(buf_str(&b), ((Str){text, n}));
        buf_done(&b);
        thanos_meta_unref(m);
        free(text);
        free(path);
}

TEST(thanos_meta, original_files_are_written_byte_for_byte)
{
        each_block("thanos/bucket-compacted", meta_is_the_same_after_reading, NULL);
        each_block("thanos/bucket-raw", meta_is_the_same_after_reading, NULL);
        each_block("thanos/bucket-penalty", meta_is_the_same_after_reading, NULL);
}

#define META_HEAD                                                                                                      \
        "{\n\t\"ulid\": \"01M81XB3HQRSMBM0YHJHM8RYKR\",\n\t\"minTime\": 1,\n\t\"maxTime\": 2,\n\t\"stats\": "          \
        "{},\n\t\"compaction\": {\n\t\t\"level\": 1\n\t},\n\t\"version\": 1"

TEST(thanos_meta, unknown_members_hashes_rewrites_and_extensions_are_kept)
{
        static const char text[] =
                META_HEAD ",\n\t\"thanos\": {\n\t\t\"labels\": {\n\t\t\t\"a\": \"1\",\n\t\t\t\"b\": "
                          "\"\\u003c2\"\n\t\t},\n\t\t\"downsample\": {\n\t\t\t\"resolution\": 300000\n\t\t},\n"
                          "\t\t\"source\": \"compactor\",\n\t\t\"segment_files\": "
                          "[\n\t\t\t\"000001\",\n\t\t\t\"000002\"\n\t\t],\n\t\t\"files\": "
                          "[\n\t\t\t{\n\t\t\t\t\"rel_path\": \"index\",\n"
                          "\t\t\t\t\"size_bytes\": 7,\n\t\t\t\t\"hash\": {\n\t\t\t\t\t\"hashFunc\": "
                          "\"SHA256\",\n\t\t\t\t\t\"value\": \"ab\"\n\t\t\t\t}\n\t\t\t}\n\t\t],\n\t\t\"rewrites\": "
                          "[\n\t\t\t{\n\t\t\t\t\"sources\": []\n\t\t\t}\n\t\t],\n"
                          "\t\t\"index_stats\": {\n\t\t\t\"series_max_size\": 5,\n\t\t\t\"chunk_max_size\": "
                          "6\n\t\t},\n\t\t\"extensions\": {\n\t\t\t\"x\": 1\n\t\t},\n\t\t\"upload_time\": "
                          "\"0001-01-01T00:00:00Z\"\n\t},\n\t\"other\": [1, 2]\n}\n";
        struct thanos_meta *m;
        CHECK_OK(thanos_meta_parse(str_from(text), &m));
        CHECK_I64(m->resolution_ms, 300000);
        CHECK_U64(m->n_segment_files, 2);
        CHECK_STR(m->files[0].hash_value, "ab");
        CHECK_STR(labels_get(m->labels, STR("b")), "<2");
        CHECK_I64(m->chunk_max_size, 6);
        struct buf b = BUF_INIT(1 << 16);
        thanos_meta_print(&b, m);
        CHECK_STR(buf_str(&b), text);
        buf_done(&b);
        thanos_meta_unref(m);
}

static void meta_fails(const char *section, const char *why)
{
        char text[1024];
        snprintf(text, sizeof text, META_HEAD ",\n\t\"thanos\": %s}", section);
        struct thanos_meta *m;
        struct error *e = thanos_meta_parse(str_from(text), &m);
        CHECK(error_is(e, ERROR_CORRUPT));
        CHECK_ERROR(e, why);
}

TEST(thanos_meta, wrong_types_and_versions_are_corrupt)
{
        meta_fails("[]", "thanos: section has the wrong type");
        meta_fails("{\"labels\": {\"a\": 1}}", "thanos: labels has the wrong type");
        meta_fails("{\"version\": 2}", "unexpected meta file Thanos section version 2");
        meta_fails("{\"files\": [{\"size_bytes\": 1.5}]}", "thanos: size_bytes: 1.5 is no integer of 64 bits");
}

TEST(deletion_mark, reads_and_writes_the_originals_line)
{
        static const char text[] = "{\"id\":\"01M81XDJA144XA2YD43Q06W2HC\",\"version\":1,\"details\":\"source of "
                                   "compacted block\",\"deletion_time\":1795360738}";
        struct deletion_mark m;
        CHECK_OK(deletion_mark_parse(str_from(text), &m));
        struct buf b = BUF_INIT(1024);
        deletion_mark_print(&b, &m);
        CHECK_STR(buf_str(&b), text);
        buf_done(&b);
        deletion_mark_done(&m);
        struct error *e = deletion_mark_parse(
                STR("{\"id\":\"01M81XDJA144XA2YD43Q06W2HC\",\"version\":2,\"deletion_time\":1}"), &m);
        CHECK(error_is(e, ERROR_UNSUPPORTED));
        CHECK_ERROR(e, "unexpected deletion-mark file version 2, expected 1");
        e = deletion_mark_parse(STR("{\"id\":\"01M8"), &m);
        CHECK(error_is(e, ERROR_CORRUPT));
        error_free(e);
}

/* --- filters --- */

static struct thanos_meta *meta_of(const char *id)
{
        struct thanos_meta *m = thanos_meta_new();
        CHECK(ulid_parse(str_from(id), &m->block.ulid));
        return m;
}

static void metas_done(ThanosMetaVec *v)
{
        for (size_t i = 0; i < v->n; i++)
                thanos_meta_unref(v->p[i]);
        vec_done(v);
}

TEST(block_filter, duplicates_as_the_originals_table)
{
        char *path = conformance_path("thanos/tables/block_filters.json"), *text;
        size_t n;
        CHECK_OK(file_read(path, 16 << 20, &text, &n));
        struct arena a;
        arena_init(&a, 64 << 20);
        const struct json *root;
        CHECK_OK(json_parse((Str){text, n}, &a, &root));
        const struct json *cases = json_get(root, STR("TestDeduplicateFilter_Filter"));
        CHECK(cases && cases->n >= 10);
        JSON_EACH(c, cases)
        {
                ThanosMetaVec metas = VEC_INIT;
                JSON_EACH(in, json_get(&c->value, STR("input")))
                {
                        char *id = str_dup(in->key);
                        struct thanos_meta *m = meta_of(id);
                        free(id);
                        m->resolution_ms = json_i64(json_get(&in->value, STR("resolution")));
                        JSON_EACH(s, json_get(&in->value, STR("sources")))
                        {
                                Ulid u;
                                CHECK(ulid_parse(json_str(&s->value), &u));
                                vec_push(&m->block.sources, u);
                        }
                        vec_push(&metas, m);
                }
                struct block_filter *f = block_filter_duplicates();
                struct block_filter_run run = {0};
                CHECK_OK(f->run(f, &run, &metas));
                f->free(f);
                const struct json *want = json_get(&c->value, STR("expected"));
                CHECK_MSG(metas.n == want->n, STR_FMT ": %zu blocks stay, want %zu",
                          STR_ARG(json_str(json_get(&c->value, STR("name")))), metas.n, want->n);
                JSON_EACH(w, want)
                {
                        Ulid u;
                        CHECK(ulid_parse(json_str(&w->value), &u));
                        bool found = false;
                        for (size_t i = 0; i < metas.n; i++)
                                found |= ulid_cmp(metas.p[i]->block.ulid, u) == 0;
                        CHECK_MSG(found, STR_FMT ": " STR_FMT " is missing",
                                  STR_ARG(json_str(json_get(&c->value, STR("name")))), STR_ARG(json_str(&w->value)));
                }
                metas_done(&metas);
        }
        arena_done(&a);
        free(text);
        free(path);
}

static void filter_keeps(struct block_filter *f, struct thanos_meta *m, TimeMs now_ms, bool want, enum block_state why)
{
        ThanosMetaVec v = VEC_INIT;
        vec_push(&v, m);
        struct block_filter_run run = {.now_ms = now_ms};
        CHECK_OK(f->run(f, &run, &v));
        CHECK_U64(v.n, want);
        CHECK_U64(run.count[why], !want);
        f->free(f);
        metas_done(&v);
}

static struct thanos_meta *meta_between(TimeMs mint, TimeMs maxt)
{
        struct thanos_meta *m = meta_of("01M81XDJA144XA2YD43Q06W2HC");
        m->block.mint_ms = mint;
        m->block.maxt_ms = maxt;
        return m;
}

TEST(block_filter, time_window_touches_at_both_ends)
{
        filter_keeps(block_filter_time((struct time_bound){20, false}, (struct time_bound){30, false}), meta_between(10, 20), 0, true, BLOCK_TIME_EXCLUDED);
        filter_keeps(block_filter_time((struct time_bound){21, false}, (struct time_bound){30, false}), meta_between(10, 20), 0, false, BLOCK_TIME_EXCLUDED);
        filter_keeps(block_filter_time((struct time_bound){0, false}, (struct time_bound){10, false}), meta_between(10, 20), 0, true, BLOCK_TIME_EXCLUDED);
        filter_keeps(block_filter_time((struct time_bound){0, false}, (struct time_bound){9, false}), meta_between(10, 20), 0, false, BLOCK_TIME_EXCLUDED);
}

TEST(block_filter, relative_times_move_with_the_clock)
{
        struct time_bound hour = {-3600000, true}, end = {TIME_MS_MAX, false};
        filter_keeps(block_filter_time(hour, end), meta_between(0, 1000), 3601000, true, BLOCK_TIME_EXCLUDED);
        filter_keeps(block_filter_time(hour, end), meta_between(0, 1000), 3601001, false, BLOCK_TIME_EXCLUDED);
}

TEST(block_filter, fresh_blocks_wait_but_not_those_that_replace_others)
{
        struct thanos_meta *m = meta_of("01M81XDJA144XA2YD43Q06W2HC");
        TimeMs born = ulid_time_ms(m->block.ulid);
        thanos_meta_unref(m);
        filter_keeps(block_filter_consistency(1000), meta_between(0, 1), born + 999, false, BLOCK_TOO_FRESH);
        filter_keeps(block_filter_consistency(1000), meta_between(0, 1), born + 1000, true, BLOCK_TOO_FRESH);
        m = meta_between(0, 1);
        m->source = STR("compactor");
        filter_keeps(block_filter_consistency(1000), m, born, true, BLOCK_TOO_FRESH);
}

TEST(block_filter, relabelling_sees_external_labels_and_the_block_id)
{
        static const Label one = {STR_INIT("cluster"), STR_INIT("c1")};
        struct relabel_rule keep = {.source_labels = (const Str[]){STR("cluster")},
                                    .n_source = 1,
                                    .regex = STR("c1"),
                                    .has_regex = true,
                                    .action = RELABEL_KEEP,
                                    .has_action = true,
                                    .utf8_names = true};
        CHECK_OK(relabel_rule_check(&keep));
        struct thanos_meta *m = meta_between(0, 1);
        m->labels = (Labels){&one, 1};
        filter_keeps(block_filter_relabel(&keep, 1), m, 0, true, BLOCK_LABEL_EXCLUDED);
        filter_keeps(block_filter_relabel(&keep, 1), meta_between(0, 1), 0, false, BLOCK_LABEL_EXCLUDED);
        relabel_rule_done(&keep);
        struct relabel_rule drop = {.source_labels = (const Str[]){STR("__block_id")},
                                    .n_source = 1,
                                    .regex = STR("01M81XDJA144XA2YD43Q06W2HC"),
                                    .has_regex = true,
                                    .action = RELABEL_DROP,
                                    .has_action = true,
                                    .utf8_names = true};
        CHECK_OK(relabel_rule_check(&drop));
        filter_keeps(block_filter_relabel(&drop, 1), meta_between(0, 1), 0, false, BLOCK_LABEL_EXCLUDED);
        relabel_rule_done(&drop);
}

/* --- fetching --- */

static struct bucket *conformance_bucket(const char *sub)
{
        char *path = conformance_path(sub);
        struct bucket *b;
        CHECK_OK(filesystem_bucket_new(path, &b));
        free(path);
        return b;
}

static void fetch_counts(bool is_recursive, int64_t mark_delay_ms, size_t want)
{
        struct bucket *b = conformance_bucket("thanos/bucket-compacted");
        struct clock_fake now;
        clock_fake_init(&now, (1795360738 + 3600) * INT64_C(1000));
        struct block_filter *filters[] = {block_filter_deletion_mark(mark_delay_ms), block_filter_duplicates(), NULL};
        struct meta_fetcher_opts o = {.bucket = b,
                                      .is_recursive = is_recursive,
                                      .clock = &now.clock,
                                      .take_filters = filters,
                                      .concurrency = 4};
        struct meta_fetcher *f;
        CHECK_OK(meta_fetcher_new(&o, &f));
        for (int turn = 0; turn < 2; turn++) {
                struct block_view v = BLOCK_VIEW_INIT;
                CHECK_OK(meta_fetcher_fetch(f, NULL, &v));
                CHECK(!v.incomplete);
                CHECK_U64(v.metas.n, want);
                CHECK_U64(v.partial.n, 0);
                block_view_done(&v);
        }
        meta_fetcher_free(f);
        bucket_free(b);
}

TEST(meta_fetcher, marked_blocks_stay_for_the_delay)
{
        fetch_counts(false, 3599 * 1000, 10);
        fetch_counts(true, 3599 * 1000, 10);
        fetch_counts(false, 3600 * 1000, 10); /* a duplicate then: their sources are in the compacted blocks */
}

static void put(struct bucket *b, const char *name, const char *text)
{
        CHECK_OK(bucket_upload(b, NULL, str_from(name), str_from(text)));
}

TEST(meta_fetcher, partial_blocks_are_told_and_gone_ones_forgotten)
{
        struct bucket *b = memory_bucket_new();
        put(b, "01M81XB3HQRSMBM0YHJHM8RYKR/meta.json", META_HEAD "}");
        put(b, "01M81XB3M9CYYCHTE23ABBXQ5M/index", "x");
        put(b, "01M81XB79CNY5ZM0YHX82Z0JVY/meta.json", "{\"ulid\":");
        put(b, "debug/metas/01M81XB79CNY5ZM0YHX82Z0JVY.json", "{}");
        char *cache = path_join(test_dir(), "cache");
        struct metric_registry *r = metric_registry_new();
        struct meta_fetcher_opts o = {.bucket = b, .cache_dir = cache, .metrics = r};
        struct meta_fetcher *f;
        CHECK_OK(meta_fetcher_new(&o, &f));
        struct block_view v = BLOCK_VIEW_INIT;
        CHECK_OK(meta_fetcher_fetch(f, NULL, &v));
        CHECK_U64(v.metas.n, 1);
        CHECK_U64(v.partial.n, 2);
        CHECK_STR(str_from(v.partial.p[0].why),
                  "bucket \"inmem\": get \"01M81XB3M9CYYCHTE23ABBXQ5M/meta.json\": object not found");
        block_view_done(&v);
        char *kept = path_join(cache, "meta-syncer/01M81XB3HQRSMBM0YHJHM8RYKR/meta.json");
        CHECK(file_exists(kept));
        struct buf text = BUF_INIT(1 << 16);
        metric_write_text(r, &text);
        CHECK(str_contains(buf_str(&text), STR("thanos_blocks_meta_synced{state=\"loaded\"} 1\n")));
        CHECK(str_contains(buf_str(&text), STR("thanos_blocks_meta_synced{state=\"no-meta-json\"} 1\n")));
        CHECK(str_contains(buf_str(&text), STR("thanos_blocks_meta_synced{state=\"corrupted-meta-json\"} 1\n")));
        buf_done(&text);
        CHECK_OK(bucket_delete(b, NULL, STR("01M81XB3HQRSMBM0YHJHM8RYKR/meta.json")));
        CHECK_OK(meta_fetcher_fetch(f, NULL, &v));
        CHECK_U64(v.metas.n, 0);
        block_view_done(&v);
        CHECK(!file_exists(kept));
        free(kept);
        free(cache);
        meta_fetcher_free(f);
        metric_registry_free(r);
        bucket_free(b);
}

/* --- index-header --- */

static void header_is_the_originals(const char *dir, void *ctx)
{
        struct bucket *b = ctx;
        Ulid id;
        CHECK(ulid_parse(path_base(str_from(dir)), &id));
        char *theirs = path_join(dir, INDEX_HEADER_FILE), *ours = path_join(test_dir(), "x/index-header"), *want, *got;
        size_t n_want, n_got;
        CHECK_OK(index_header_build(b, NULL, id, ours, NULL));
        CHECK_OK(file_read(theirs, 1 << 20, &want, &n_want));
        CHECK_OK(file_read(ours, 1 << 20, &got, &n_got));
        CHECK_U64(n_got, n_want);
        CHECK(memcmp(got, want, n_got) == 0);
        struct buf memory = BUF_INIT(1 << 20);
        CHECK_OK(index_header_build(b, NULL, id, NULL, &memory));
        CHECK(str_eq(buf_str(&memory), ((Str){want, n_want})));
        buf_done(&memory);
        struct index_header *h;
        CHECK_OK(index_header_open(ours, &h));
        CHECK(index_name_count(index_header_index(h)) >= 3);
        index_header_close(h);
        free(want);
        free(got);
        free(theirs);
        free(ours);
}

TEST(index_header, is_the_originals_byte_for_byte)
{
        struct bucket *b = conformance_bucket("thanos/bucket-compacted");
        each_block("thanos/index-headers", header_is_the_originals, b);
        bucket_free(b);
}

TEST(index_header, places_lead_to_the_lists_of_the_index)
{
        char *path = conformance_path("thanos/bucket-compacted/01M81XDKX825AKP4JST5RQ3W17/index"), *text;
        size_t n;
        CHECK_OK(file_read(path, 1 << 20, &text, &n));
        struct index_reader *whole;
        CHECK_OK(index_of_bytes((Str){text, n}, &whole));
        struct bucket *b = conformance_bucket("thanos/bucket-compacted");
        Ulid id;
        CHECK(ulid_parse(STR("01M81XDKX825AKP4JST5RQ3W17"), &id));
        struct buf bytes = BUF_INIT(1 << 20);
        CHECK_OK(index_header_build(b, NULL, id, NULL, &bytes));
        struct index_header *h;
        CHECK_OK(index_header_of_bytes(buf_str(&bytes), &h));
        const struct index_reader *ix = index_header_index(h);
        CHECK_U64(index_name_count(ix), index_name_count(whole));
        CHECK_U64(index_symbol_count(ix), index_symbol_count(whole));
        for (uint32_t i = 0; i < index_symbol_count(ix); i++) {
                Str x, y;
                CHECK_OK(index_symbol(ix, i, &x));
                CHECK_OK(index_symbol(whole, i, &y));
                CHECK_STRS(x, y);
        }
        size_t lists = 0;
        for (size_t i = 0; i < index_name_count(ix); i++) {
                struct index_values it = index_values_from(ix, i, (Str){0});
                Str v;
                for (; index_values_next(&it, &v); lists++) {
                        struct postings want;
                        uint64_t size, slow;
                        CHECK_OK(index_postings(whole, index_name_at(ix, i), v, &want));
                        CHECK(index_header_list_range(h, it.list, &it, &size));
                        CHECK_U64(size, 4 * want.n + 12);
                        CHECK(index_header_list_range(h, it.list, NULL, &slow));
                        CHECK_U64(slow, size);
                }
        }
        CHECK(lists > 5);
        uint64_t end, at = index_header_series_at(h, &end);
        CHECK_U64(at, index_get_toc(whole)->series);
        CHECK(end > at);
        index_header_close(h);
        buf_done(&bytes);
        index_close(whole);
        bucket_free(b);
        free(text);
        free(path);
}

TEST(index_header, a_torn_or_changed_one_is_corrupt_at_every_place)
{
        struct bucket *b = conformance_bucket("thanos/bucket-compacted");
        Ulid id;
        CHECK(ulid_parse(STR("01M81XB3HQRSMBM0YHJHM8RYKR"), &id));
        struct buf bytes = BUF_INIT(1 << 20);
        CHECK_OK(index_header_build(b, NULL, id, NULL, &bytes));
        for (size_t n = 0; n < bytes.n; n++) {
                struct index_header *h;
                char *cut = mem_memdup(bytes.p, n + 1);
                struct error *e = index_header_of_bytes((Str){cut, n}, &h);
                CHECK_MSG(error_is(e, ERROR_CORRUPT), "the first %zu bytes are taken for an index-header", n);
                error_free(e);
                free(cut);
                bytes.p[n] ^= 0x40;
                e = index_header_of_bytes(buf_str(&bytes), &h);
                if (!e)
                        index_header_close(
                                h); /* a place that no checksum covers: the end of the last list, old sections */
                error_free(e);
                bytes.p[n] ^= 0x40;
        }
        buf_done(&bytes);
        bucket_free(b);
}

TEST(index_header, a_torn_index_in_the_bucket_is_corrupt)
{
        char *path = conformance_path("thanos/bucket-compacted/01M81XB3HQRSMBM0YHJHM8RYKR/index"), *text;
        size_t n;
        CHECK_OK(file_read(path, 1 << 20, &text, &n));
        Ulid id;
        CHECK(ulid_parse(STR("01M81XB3HQRSMBM0YHJHM8RYKR"), &id));
        struct bucket *b = memory_bucket_new();
        for (size_t k = 0; k < n; k += 7) {
                CHECK_OK(bucket_upload(b, NULL, STR("01M81XB3HQRSMBM0YHJHM8RYKR/index"), (Str){text, k}));
                char *ours = path_join(test_dir(), "torn/index-header");
                struct error *e = index_header_build(b, NULL, id, ours, NULL);
                CHECK_MSG(error_is(e, ERROR_CORRUPT), "an index of %zu bytes gave: %s", k, error_str(e));
                error_free(e);
                CHECK(!file_exists(ours));
                free(ours);
        }
        bucket_free(b);
        free(text);
        free(path);
}

/* --- deletion --- */

static struct error *count_objects(void *arg, UNUSED const struct bucket_entry *entry)
{
        ++*(size_t *)arg;
        return NULL;
}

TEST(thanos_block_delete, takes_all_of_one_block_and_nothing_else)
{
        static const char *const names[] = {"01M81XB3HQRSMBM0YHJHM8RYKR/chunks/000001", "01M81XB3HQRSMBM0YHJHM8RYKR/deletion-mark.json",
                                            "01M81XB3HQRSMBM0YHJHM8RYKR/index", "01M81XB3HQRSMBM0YHJHM8RYKR/meta.json",
                                            "01M81XB3HQRSMBM0YHJHM8RYKS/meta.json"};
        struct bucket *b = memory_bucket_new();
        Ulid id;
        size_t n = 0;
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
                CHECK_OK(bucket_upload(b, NULL, str_from(names[i]), STR("x")));
        CHECK(ulid_parse(STR("01M81XB3HQRSMBM0YHJHM8RYKR"), &id));
        CHECK_OK(thanos_block_delete(b, NULL, id));
        CHECK_OK(thanos_block_delete(b, NULL, id)); /* once more is fine */
        CHECK_OK(bucket_iter(b, NULL, STR(""), BUCKET_RECURSIVE, count_objects, &n));
        CHECK_U64(n, 1);
        bool cancel = true;
        struct bucket_call c = {.cancel = &cancel};
        CHECK(ulid_parse(STR("01M81XB3HQRSMBM0YHJHM8RYKS"), &id));
        CHECK_ERROR(thanos_block_delete(b, &c, id), "");
        bucket_free(b);
}
