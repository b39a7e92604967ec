/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/test.h"
#include "thanos/shipper/shipper_impl.h"

enum { HOUR_MS = 3600000 };
#define ID1 "01M81XB3HQRSMBM0YHJHM8RYK1"
#define ID2 "01M81XB3HQRSMBM0YHJHM8RYK2"
#define ID3 "01M81XB3HQRSMBM0YHJHM8RYK3"

/* A TSDB directory and a bucket that is a directory, so that files in the way make uploads fail. */
struct fixture {
        char *tsdb, *store;
        struct bucket *bucket;
        struct metric_registry *metrics;
        struct shipper *s;
        struct shipper_opts o;
        size_t n_labels;
};

static const Label two[] = {{STR_INIT("cluster"), STR_INIT("c1")}, {STR_INIT("replica"), STR_INIT("r0")}};

static Labels labels_now(void *ctx, UNUSED struct arena *a)
{
        const struct fixture *f = ctx;
        return (Labels){two, f->n_labels};
}

static struct fixture setup(void)
{
        struct fixture f = {.n_labels = 2};
        f.tsdb = path_join(test_dir(), "tsdb");
        f.store = path_join(test_dir(), "store");
        CHECK_OK(dir_remove_all(f.tsdb));
        CHECK_OK(dir_remove_all(f.store));
        CHECK_OK(dir_make_all(f.tsdb));
        CHECK_OK(filesystem_bucket_new(f.store, &f.bucket));
        f.metrics = metric_registry_new();
        f.o = (struct shipper_opts){.dir = f.tsdb, .bucket = f.bucket, .labels = labels_now, .source = "sidecar"};
        f.o.metrics = f.metrics;
        return f;
}

static void begin(struct fixture *f)
{
        shipper_free(f->s);
        f->s = NULL;
        f->o.ctx = f;
        CHECK_OK(shipper_new(&f->o, &f->s));
}

static void done(struct fixture *f)
{
        shipper_free(f->s);
        bucket_free(f->bucket);
        metric_registry_free(f->metrics);
        free(f->tsdb);
        free(f->store);
}

static void put(const char *dir, const char *name, const char *text)
{
        char *path = path_join(dir, name), *parent = str_dup(path_dir(str_from(path)));
        CHECK_OK(dir_make_all(parent));
        CHECK_OK(file_replace(path, str_from(text)));
        free(parent);
        free(path);
}

static void block(struct fixture *f, const char *id, int64_t hour, int64_t hours, int level, uint64_t samples)
{
        char *dir = path_join(f->tsdb, id);
        struct block_meta m = BLOCK_META_INIT;
        CHECK(ulid_parse(str_from(id), &m.ulid));
        m.mint_ms = hour * HOUR_MS;
        m.maxt_ms = (hour + hours) * HOUR_MS;
        m.level = level;
        m.stats.samples = samples;
        vec_push(&m.sources, m.ulid);
        put(dir, "chunks/000001", "first");
        put(dir, "chunks/000002", "second!");
        put(dir, "index", "abc");
        put(dir, "tombstones", "not for the bucket");
        CHECK_OK(block_meta_write(dir, &m));
        block_meta_done(&m);
        free(dir);
}

static struct error *list_each(void *arg, const struct bucket_entry *entry)
{
        buf_printf(arg, STR_FMT " ", STR_ARG(entry->name));
        return NULL;
}

static void check_objects(struct fixture *f, const char *want)
{
        struct buf b = BUF_INIT(1 << 20);
        CHECK_OK(bucket_iter(f->bucket, NULL, STR(""), BUCKET_RECURSIVE, list_each, &b));
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
}
#define WHOLE(id) id "/chunks/000001 " id "/chunks/000002 " id "/index " id "/meta.json "

static void check_file(const char *dir, const char *name, const char *want)
{
        char *path = path_join(dir, name), *text = NULL;
        size_t n;
        CHECK_OK(file_read(path, 1 << 20, &text, &n));
        CHECK_STR(((Str){text, n}), want);
        free(text);
        free(path);
}

static bool has(const char *dir, const char *name)
{
        char *path = path_join(dir, name);
        bool is = file_exists(path);
        free(path);
        return is;
}

static void check_sync(struct fixture *f, size_t uploaded)
{
        size_t n = 99;
        CHECK_OK(shipper_sync(f->s, NULL, &n));
        CHECK_U64(n, uploaded);
}

static double value(struct fixture *f, const char *name)
{
        struct buf b = BUF_INIT(1 << 20);
        metric_write_text(f->metrics, &b);
        Str rest = buf_str(&b), line;
        double v = -1;
        while (str_next(&rest, '\n', &line))
                if (str_has_prefix(line, str_from(name)) && line.p[strlen(name)] == ' ')
                        v = strtod(line.p + strlen(name), NULL);
        buf_done(&b);
        return v;
}

static bool has_uploaded(struct fixture *f, const char *text)
{
        Ulid id;
        CHECK(ulid_parse(str_from(text), &id));
        return shipper_has_uploaded(f->s, id);
}

TEST(shipper, uploads_a_block_once_with_its_meta)
{
        struct fixture f = setup();
        block(&f, ID1, 0, 2, 1, 10);
        begin(&f);
        CHECK(!has_uploaded(&f, ID1));
        check_sync(&f, 1);
        check_sync(&f, 0);
        CHECK(has_uploaded(&f, ID1));
        check_objects(&f, WHOLE(ID1));
        check_file(f.store, ID1 "/chunks/000002", "second!");
        check_file(f.tsdb, SHIPPER_META_FILE, "{\n\t\"version\": 1,\n\t\"uploaded\": [\n\t\t\"" ID1 "\"\n\t]\n}\n");
        check_file(f.store, ID1 "/meta.json",
                   "{\n\t\"ulid\": \"" ID1 "\",\n\t\"minTime\": 0,\n\t\"maxTime\": 7200000,\n\t\"stats\": {\n\t\t"
                   "\"numSamples\": 10\n\t},\n\t\"compaction\": {\n\t\t\"level\": 1,\n\t\t\"sources\": [\n\t\t\t\"" ID1
                   "\"\n\t\t]\n\t},\n\t\"version\": 1,\n\t\"thanos\": {\n\t\t\"labels\": {\n\t\t\t\"cluster\": \"c1\","
                   "\n\t\t\t\"replica\": \"r0\"\n\t\t},\n\t\t\"downsample\": {\n\t\t\t\"resolution\": 0\n\t\t},\n\t\t"
                   "\"source\": \"sidecar\",\n\t\t\"segment_files\": [\n\t\t\t\"000001\",\n\t\t\t\"000002\"\n\t\t],"
                   "\n\t\t\"files\": [\n\t\t\t{\n\t\t\t\t\"rel_path\": \"chunks/000001\",\n\t\t\t\t\"size_bytes\": 5"
                   "\n\t\t\t},\n\t\t\t{\n\t\t\t\t\"rel_path\": \"chunks/000002\",\n\t\t\t\t\"size_bytes\": 7\n\t\t\t},"
                   "\n\t\t\t{\n\t\t\t\t\"rel_path\": \"index\",\n\t\t\t\t\"size_bytes\": 3\n\t\t\t},\n\t\t\t{\n\t\t\t\t"
                   "\"rel_path\": \"meta.json\"\n\t\t\t}\n\t\t],\n\t\t\"index_stats\": {}\n\t}\n}\n");
        CHECK(!has(f.tsdb, "thanos/upload/" ID1));
        CHECK_F64(value(&f, "thanos_shipper_uploads_total"), 1);
        CHECK_F64(value(&f, "thanos_shipper_dir_syncs_total"), 2);
        CHECK_F64(value(&f, "thanos_shipper_dir_sync_failures_total"), 0);
        CHECK_F64(value(&f, "thanos_shipper_upload_compacted_done"), 0);
        done(&f);
}

TEST(shipper, a_block_that_went_is_not_uploaded_again_after_it_left_the_bucket)
{
        struct fixture f = setup();
        block(&f, ID1, 0, 2, 1, 10);
        begin(&f);
        check_sync(&f, 1);
        CHECK_OK(dir_remove_all(f.store)); /* a compactor made it part of a larger one */
        begin(&f);
        CHECK(has_uploaded(&f, ID1));
        check_sync(&f, 0);
        check_objects(&f, "");
        char *dir = path_join(f.tsdb, ID1);
        CHECK_OK(dir_remove_all(dir)); /* retention */
        free(dir);
        check_sync(&f, 0);
        check_file(f.tsdb, SHIPPER_META_FILE, "{\n\t\"version\": 1,\n\t\"uploaded\": null\n}\n");
        done(&f);
}

static void list_is_lost(const char *content)
{
        struct fixture f = setup();
        block(&f, ID1, 0, 2, 1, 10);
        begin(&f);
        check_sync(&f, 1);
        char *list = path_join(f.tsdb, SHIPPER_META_FILE);
        CHECK(unlink(list) == 0);
        free(list);
        if (content)
                put(f.tsdb, SHIPPER_META_FILE, content);
        begin(&f);
        check_sync(&f, 0);
        CHECK(has_uploaded(&f, ID1));
        check_file(f.tsdb, SHIPPER_META_FILE, "{\n\t\"version\": 1,\n\t\"uploaded\": [\n\t\t\"" ID1 "\"\n\t]\n}\n");
        done(&f);
}

static bool holds_first(UNUSED void *ctx, Ulid id)
{
        Ulid first;
        CHECK(ulid_parse(STR(ID1), &first));
        return ulid_cmp(id, first) == 0;
}

TEST(shipper, what_is_held_by_nobody_goes_again_though_it_is_in_the_list)
{
        struct fixture f = setup();
        block(&f, ID1, 0, 2, 1, 10);
        block(&f, ID2, 2, 2, 1, 10);
        block(&f, ID3, 4, 2, 1, 10);
        begin(&f);
        check_sync(&f, 3);
        CHECK_OK(dir_remove_all(f.store)); /* another bucket with the same list */
        put(f.store, ID2 "/meta.json", "{}");
        check_sync(&f, 0);
        f.o.is_held = holds_first;
        begin(&f);
        check_sync(&f, 1);
        check_objects(&f, ID2 "/meta.json " WHOLE(ID3));
        CHECK(has_uploaded(&f, ID1) && has_uploaded(&f, ID2) && has_uploaded(&f, ID3));
        done(&f);
}

TEST(shipper, without_its_list_it_asks_the_bucket)
{
        log_set_level(STR("error"));
        list_is_lost(NULL);
        list_is_lost("");
        list_is_lost("{\"version\": 2, \"uploaded\": []}");
        list_is_lost("{\"version\": 1, \"uploaded\": [\"" ID2 "\", \"x\"]}");
        list_is_lost("{\"version\": 1, \"uploaded\": {}");
}

TEST(shipper, empty_and_compacted_blocks_stay)
{
        struct fixture f = setup();
        block(&f, ID1, 0, 2, 1, 0);
        block(&f, ID2, 2, 6, 2, 10);
        put(f.tsdb, "wal/00000000", "no block");
        put(f.tsdb, ID3, "a file with the name of one");
        put(f.tsdb, ID3 ".tmp-for-creation/meta.json", "not yet one");
        begin(&f);
        check_sync(&f, 0);
        check_objects(&f, "");
        f.o.upload_compacted = true;
        begin(&f);
        check_sync(&f, 1);
        check_objects(&f, WHOLE(ID2));
        CHECK_F64(value(&f, "thanos_shipper_upload_compacted_done"), 1);
        done(&f);
}

TEST(shipper, a_compacted_block_does_not_go_over_its_parts)
{
        struct fixture f = setup();
        block(&f, ID1, 0, 2, 1, 10);
        f.o.upload_compacted = true;
        begin(&f);
        check_sync(&f, 1);
        block(&f, ID2, 0, 6, 2, 30);
        CHECK_ERROR(shipper_sync(f.s, NULL, NULL),
                    "Found overlap or error during sync, cannot upload compacted block, details: shipping compacted "
                    "block " ID2 " is blocked; overlap spotted: [mint: 0, maxt: 7200000, range: 2h0m0s, blocks: 2]: "
                    "<ulid: " ID1 ", mint: 0, maxt: 7200000, range: 2h0m0s>, "
                    "<ulid: " ID2 ", mint: 0, maxt: 21600000, range: 6h0m0s>");
        check_objects(&f, WHOLE(ID1));
        f.n_labels = 1; /* another producer's blocks are no overlap */
        check_sync(&f, 1);
        check_objects(&f, WHOLE(ID1) WHOLE(ID2));
        done(&f);
}

TEST(shipper, compacted_blocks_of_one_round_are_checked_against_each_other)
{
        struct fixture f = setup();
        block(&f, ID1, 0, 6, 2, 10);
        block(&f, ID2, 4, 6, 2, 10);
        f.o.upload_compacted = true;
        begin(&f);
        size_t n;
        struct error *e = shipper_sync(f.s, NULL, &n);
        CHECK(error_is(e, ERROR_INVALID));
        error_free(e);
        CHECK_U64(n, 1);
        check_objects(&f, WHOLE(ID1));
        CHECK(has_uploaded(&f, ID1)); /* also after a round that failed */
        done(&f);
}

TEST(shipper, what_a_failed_upload_left_is_removed_and_the_order_kept)
{
        struct fixture f = setup();
        block(&f, ID1, 0, 2, 1, 10);
        block(&f, ID2, 2, 2, 1, 10);
        block(&f, ID3, 4, 2, 1, 10);
        put(f.store, ID2 "/index/in-the-way", "");
        begin(&f);
        size_t n;
        struct error *e = shipper_sync(f.s, NULL, &n);
        CHECK(e && str_has_prefix(str_from(error_str(e)), STR("upload " ID2 ": upload index: ")));
        error_free(e);
        CHECK_U64(n, 1);
        check_objects(&f, WHOLE(ID1));
        CHECK_F64(value(&f, "thanos_shipper_upload_failures_total"), 1);
        CHECK_F64(value(&f, "thanos_shipper_dir_sync_failures_total"), 1);
        CHECK(!has(f.tsdb, "thanos/upload/" ID2));
        check_sync(&f, 2); /* what was in the way went with the rest */
        check_objects(&f, WHOLE(ID1) WHOLE(ID2) WHOLE(ID3));
        done(&f);
}

TEST(shipper, meta_json_comes_last_and_its_failure_removes_nothing)
{
        struct fixture f = setup();
        block(&f, ID1, 0, 2, 1, 10);
        put(f.store, ID1 "/meta.json/in-the-way", "");
        begin(&f);
        struct error *e = shipper_sync(f.s, NULL, NULL);
        CHECK(e && str_has_prefix(str_from(error_str(e)), STR("upload " ID1 ": upload meta file: ")));
        error_free(e);
        check_objects(&f, ID1 "/chunks/000001 " ID1 "/chunks/000002 " ID1 "/index " ID1 "/meta.json/in-the-way ");
        CHECK(!has_uploaded(&f, ID1));
        char *dir = path_join(f.store, ID1 "/meta.json");
        CHECK_OK(dir_remove_all(dir));
        free(dir);
        check_sync(&f, 1);
        check_objects(&f, WHOLE(ID1));
        done(&f);
}

TEST(shipper, out_of_order_goes_on_after_a_failure)
{
        log_set_level(STR("error"));
        log_set_fd(-1);
        struct fixture f = setup();
        block(&f, ID1, 0, 2, 1, 10);
        block(&f, ID2, 2, 2, 1, 10);
        put(f.store, ID1 "/meta.json/in-the-way", "");
        f.o.allow_out_of_order = true;
        begin(&f);
        size_t n;
        CHECK_ERROR(shipper_sync(f.s, NULL, &n), "failed to sync 1/0 blocks");
        CHECK_U64(n, 1);
        CHECK(has_uploaded(&f, ID2) && !has_uploaded(&f, ID1));
        log_set_fd(2);
        done(&f);
}

TEST(shipper, a_block_that_cannot_be_read_stops_the_round_or_is_passed_over)
{
        struct fixture f = setup();
        block(&f, ID1, 0, 2, 1, 10);
        block(&f, ID2, 2, 2, 1, 10);
        put(f.tsdb, ID1 "/meta.json", "{");
        begin(&f);
        struct error *e = shipper_sync(f.s, NULL, NULL);
        CHECK(e && str_has_prefix(str_from(error_str(e)), STR("read metadata for block ")));
        error_free(e);
        check_objects(&f, "");
        f.o.skip_corrupted = true;
        begin(&f);
        log_set_fd(-1);
        CHECK_ERROR(shipper_sync(f.s, NULL, NULL), "failed to sync 0/1 blocks");
        log_set_fd(2);
        check_objects(&f, WHOLE(ID2));
        CHECK_F64(value(&f, "thanos_shipper_corrupted_blocks_total"), 1);
        done(&f);
}

TEST(shipper, external_labels_are_needed)
{
        struct fixture f = setup();
        block(&f, ID1, 0, 2, 1, 10);
        f.n_labels = 0;
        begin(&f);
        CHECK_ERROR(shipper_sync(f.s, NULL, NULL),
                    "upload " ID1 ": empty external labels are not allowed for Thanos block.");
        check_objects(&f, "");
        done(&f);
}

TEST(shipper, files_have_hashes_if_asked_for)
{
        struct fixture f = setup();
        block(&f, ID1, 0, 2, 1, 10);
        f.o.hash_func = "MD5";
        struct shipper *none;
        CHECK_ERROR(shipper_new(&f.o, &none), "hash function MD5 is not supported");
        f.o.hash_func = "SHA256";
        begin(&f);
        check_sync(&f, 1);
        struct thanos_meta *m;
        char *dir = path_join(f.store, ID1);
        CHECK_OK(thanos_meta_read(dir, &m));
        CHECK_U64(m->n_files, 4);
        CHECK_STR(m->files[2].rel_path, "index");
        CHECK_STR(m->files[2].hash_func, "SHA256");
        CHECK_STR(m->files[2].hash_value, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        CHECK_STR(m->files[3].hash_func, "");
        thanos_meta_unref(m);
        free(dir);
        done(&f);
}

TEST(shipper, what_a_killed_process_left_is_removed)
{
        struct fixture f = setup();
        put(f.tsdb, "thanos/upload/" ID3 "/index", "its block is gone");
        begin(&f);
        check_sync(&f, 0);
        CHECK(!has(f.tsdb, "thanos/upload/" ID3));
        done(&f);
}

TEST(shipper, a_cancelled_round_says_so)
{
        struct fixture f = setup();
        block(&f, ID1, 0, 2, 1, 10);
        begin(&f);
        bool cancel = true;
        struct error *e = shipper_sync(f.s, &cancel, NULL);
        CHECK(error_is(e, ERROR_CANCELLED));
        error_free(e);
        check_objects(&f, "");
        done(&f);
}

TEST(shipper, is_due_when_a_block_came)
{
        struct fixture f = setup();
        begin(&f);
        CHECK(shipper_is_due(f.s));
        check_sync(&f, 0);
        check_sync(&f, 0); /* the first one wrote its list */
        CHECK(!shipper_is_due(f.s));
        block(&f, ID1, 0, 2, 1, 10);
        CHECK(shipper_is_due(f.s));
        check_sync(&f, 1);
        check_sync(&f, 0);
        CHECK(!shipper_is_due(f.s));
        done(&f);
}

TEST(shipper, knows_the_oldest_local_block)
{
        struct fixture f = setup();
        begin(&f);
        TimeMs t = -1;
        CHECK_OK(shipper_oldest_ms(f.s, &t));
        CHECK_I64(t, 0);
        block(&f, ID3, 3, 2, 1, 10);
        block(&f, ID1, 9, 2, 1, 10);
        CHECK_OK(shipper_oldest_ms(f.s, &t));
        CHECK_I64(t, 3 * HOUR_MS);
        done(&f);
}
