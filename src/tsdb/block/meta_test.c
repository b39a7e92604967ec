/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/block/meta.h"

#include "base/file.h"
#include "base/test.h"

#define A "01BZJ9WJQPWHGNC2W4J9TA62KC"

static void check_round_trip(const char *text)
{
        struct block_meta m, copy;
        CHECK_OK(block_meta_parse(str_from(text), &m));
        block_meta_copy(&copy, &m);
        block_meta_done(&m);
        struct buf b = BUF_INIT(1 << 20);
        block_meta_print(&b, &copy);
        CHECK_STR(buf_str(&b), text);
        block_meta_done(&copy);
        buf_done(&b);
}

TEST(block_meta, prints_as_go_does)
{
        check_round_trip("{\n\t\"ulid\": \"" A "\",\n\t\"minTime\": -5,\n\t\"maxTime\": 10,\n\t\"stats\": "
                                               "{},\n\t\"compaction\": {\n\t\t\"level\": 1\n\t},\n"
                         "\t\"version\": 1\n}");
        check_round_trip(
                "{\n\t\"ulid\": \"" A
                "\",\n\t\"minTime\": 0,\n\t\"maxTime\": 10,\n\t\"stats\": {\n\t\t\"numSamples\": 3,\n"
                "\t\t\"numFloatSamples\": 2,\n\t\t\"numHistogramSamples\": 1,\n\t\t\"numSeries\": "
                "4,\n\t\t\"numChunks\": 5,\n"
                "\t\t\"numTombstones\": 6\n\t},\n\t\"compaction\": {\n\t\t\"level\": 2,\n\t\t\"sources\": [\n\t\t\t\"" A
                "\"\n\t\t],\n"
                "\t\t\"deletable\": true,\n\t\t\"parents\": [\n\t\t\t{\n\t\t\t\t\"ulid\": \"" A
                "\",\n\t\t\t\t\"minTime\": 1,\n"
                "\t\t\t\t\"maxTime\": 2\n\t\t\t}\n\t\t],\n\t\t\"failed\": true,\n\t\t\"hints\": "
                "[\n\t\t\t\"a-new-one\",\n"
                "\t\t\t\"from-out-of-order\"\n\t\t]\n\t},\n\t\"version\": 1,\n\t\"thanos\": {\n\t\t\"labels\": "
                "{\n\t\t\t\"a\": \"b\"\n\t\t}\n\t},\n"
                "\t\"more\": [1,  2]\n}");
}

static void check_refused(const char *text, const char *want)
{
        struct block_meta m;
        CHECK_ERROR(block_meta_parse(str_from(text), &m), want);
}

TEST(block_meta, refuses_what_is_no_meta)
{
        check_refused("", "");
        check_refused("[]", "not a JSON object");
        check_refused("{\"ulid\":\"" A "\",\"version\":2}", "unexpected meta file version 2");
        check_refused("{\"version\":1}", "ulid: not a ULID");
        check_refused("{\"ulid\":\"" A "\",\"version\":1,\"minTime\":\"x\"}", "minTime: string where a number belongs");
        check_refused("{\"ulid\":\"" A "\",\"version\":1,\"minTime\":1.5}", "minTime: 1.5 is no integer of 64 bits");
        check_refused("{\"ulid\":\"" A "\",\"version\":1,\"compaction\":{\"sources\":[\"x\"]}}", "sources: not a ULID");
        check_refused("{\"ulid\":\"" A "\",\"version\":1,\"compaction\":{\"parents\":[3]}}", "parents: not a ULID");
}

TEST(block_meta, merging_unites_sources)
{
        struct block_meta a = {.mint_ms = 0, .maxt_ms = 10, .level = 1, .hints = BLOCK_HINT_OUT_OF_ORDER};
        struct block_meta b = {.mint_ms = 5, .maxt_ms = 30, .level = 3};
        a.ulid.b[15] = 1;
        b.ulid.b[15] = 2;
        vec_push(&b.sources, b.ulid);
        vec_push(&b.sources, a.ulid);
        vec_push(&a.sources, a.ulid);
        struct block_meta m;
        block_meta_merge(a.ulid, (const struct block_meta *[]){&a, &b}, 2, &m);
        CHECK_I64(m.mint_ms, 0);
        CHECK_I64(m.maxt_ms, 30);
        CHECK_I64(m.level, 4);
        CHECK_U64(m.sources.n, 2);
        CHECK_U64(m.sources.p[0].b[15], 1);
        CHECK_U64(m.parents.n, 2);
        CHECK_U64(m.hints, 0);
        block_meta_done(&m);
        block_meta_merge(a.ulid, (const struct block_meta *[]){&a}, 1, &m);
        CHECK_U64(m.hints, BLOCK_HINT_OUT_OF_ORDER);
        block_meta_done(&m);
        block_meta_done(&a);
        block_meta_done(&b);
}

TEST(block_meta, keeps_the_bytes_of_upstreams_files)
{
        char *dir = conformance_path("tsdb/clean/data");
        PathVec names = VEC_INIT;
        int seen = 0;
        CHECK_OK(dir_list(dir, &names));
        for (size_t i = 0; i < names.n; i++) {
                char *block = path_join(dir, names.p[i]), *path = path_join(block, BLOCK_META_FILE), *text;
                size_t n;
                if (file_exists(path)) {
                        CHECK_OK(file_read(path, 1 << 20, &text, &n));
                        check_round_trip(text);
                        seen++;
                        free(text);
                }
                free(block);
                free(path);
        }
        CHECK_I64(seen, 4);
        path_vec_done(&names);
        free(dir);
}
