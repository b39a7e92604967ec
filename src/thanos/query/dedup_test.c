/* SPDX-License-Identifier: Apache-2.0 */
#include "thanos/query/dedup.h"

#include <math.h>
#include <stdio.h>

#include "base/file.h"
#include "base/test.h"
#include "codec/json.h"

static void fill(struct samples *s, const char *text)
{
        int at = 0, used;
        long long t;
        double v;
        samples_clear(s);
        while (sscanf(text + at, " %lld:%lf%n", &t, &v, &used) == 2) {
                samples_push(s, t, v);
                at += used;
        }
}

static void put(struct buf *b, const struct samples *s)
{
        for (size_t i = 0; i < s->n; i++)
                buf_printf(b, "%s%lld:%g", i ? " " : "", (long long)s->t[i], s->v[i]);
}

static void dedup_case(enum dedup_kind kind, const char *const *replicas, const char *want)
{
        struct samples in[4] = {SAMPLES_INIT, SAMPLES_INIT, SAMPLES_INIT, SAMPLES_INIT}, out = SAMPLES_INIT;
        size_t n = 0;
        for (; replicas[n]; n++)
                fill(&in[n], replicas[n]);
        CHECK_OK(dedup_samples(in, n, kind, &out));
        struct buf got = BUF_INIT(1 << 16);
        put(&got, &out);
        CHECK_STR(buf_str(&got), want);
        buf_done(&got);
        for (size_t i = 0; i < 4; i++)
                samples_done(&in[i]);
        samples_done(&out);
}
#define IN(...) ((const char *const[]){__VA_ARGS__, NULL})

TEST(dedup_samples, keeps_one_replica_and_fills_its_gaps_from_the_other)
{
        dedup_case(DEDUP_PLAIN, IN("10000:1 20000:2"), "10000:1 20000:2");
        dedup_case(DEDUP_PLAIN, IN("", "10000:1"), "10000:1");
        dedup_case(DEDUP_PLAIN, IN("10000:1 20000:2 30000:3", "10000:7 20000:8 30000:9"), "10000:1 20000:2 30000:3");
        dedup_case(DEDUP_PLAIN, IN("10000:1 20000:2 100000:5 110000:6", "12000:1 22000:2 32000:3 42000:4 52000:5 62000:6 72000:7"),
                   "10000:1 20000:2 42000:4 52000:5 62000:6 72000:7 100000:5 110000:6");
}

TEST(dedup_samples, lifts_counters_on_a_switch_and_nothing_else)
{
        dedup_case(DEDUP_COUNTER, IN("10000:100 20000:110", "12000:50 22000:60 42000:80 52000:90"), "10000:100 20000:110 42000:110 52000:120");
        /* To begin with the second is a switch too: it is lifted to where the first begins. */
        dedup_case(DEDUP_COUNTER, IN("20000:52", "7000:47 22000:60"), "7000:52 20000:52");
        dedup_case(DEDUP_COUNTER, IN("20000:52", "7000:47 22000:60", "90000:1"), "7000:52 20000:52 90000:52");
        dedup_case(DEDUP_PLAIN, IN("10000:100 20000:110", "12000:50 22000:60 42000:80 52000:90"), "10000:100 20000:110 42000:80 52000:90");
}

TEST(dedup_samples, bounds_the_number_of_replicas)
{
        struct samples out = SAMPLES_INIT;
        CHECK_ERROR(dedup_samples(NULL, DEDUP_REPLICAS_MAX + 1, DEDUP_PLAIN, &out), "a series has more than 1000 replicas");
}

TEST(dedup_kind_of, knows_the_functions_of_counters)
{
        CHECK_I64(dedup_kind_of(STR("rate")), DEDUP_COUNTER);
        CHECK_I64(dedup_kind_of(STR("delta")), DEDUP_PLAIN);
        CHECK_I64(dedup_kind_of(STR("")), DEDUP_PLAIN);
}

static void from_json(struct samples *s, const struct json *list)
{
        samples_clear(s);
        JSON_EACH(m, list)
        samples_push(s, json_i64(json_get(&m->value, STR("t"))), json_f64(json_get(&m->value, STR("f"))));
}

static void same(const struct samples *got, const struct json *list, size_t at)
{
        struct samples want = SAMPLES_INIT;
        from_json(&want, list);
        CHECK_MSG(got->n == want.n, "case %zu: %zu samples, want %zu", at, got->n, want.n);
        for (size_t i = 0; i < want.n; i++)
                CHECK_MSG(got->t[i] == want.t[i] && got->v[i] == want.v[i], "case %zu: sample %zu is %lld:%g, want %lld:%g", at, i, (long long)got->t[i], got->v[i],
                          (long long)want.t[i], want.v[i]);
        samples_done(&want);
}

TEST(dedup_samples, agrees_with_the_tables_of_the_original)
{
        char *path = conformance_path("thanos/tables/dedup.json"), *text;
        size_t n, at = 0;
        CHECK_OK(file_read(path, 16 << 20, &text, &n));
        struct arena a;
        arena_init(&a, 64 << 20);
        const struct json *root;
        CHECK_OK(json_parse((Str){text, n}, &a, &root));
        struct samples in[2] = {SAMPLES_INIT, SAMPLES_INIT}, out = SAMPLES_INIT;
        JSON_EACH(c, json_get(root, STR("TestDedupSeriesIterator")))
        {
                from_json(&in[0], json_get(&c->value, STR("a")));
                from_json(&in[1], json_get(&c->value, STR("b")));
                CHECK_OK(dedup_samples(in, 2, DEDUP_PLAIN, &out));
                same(&out, json_get(&c->value, STR("exp")), at++);
        }
        CHECK(at >= 5);
        /* Sets: neighbours with one label set are its replicas. */
        JSON_EACH(c, json_get(root, STR("TestDedupSeriesSet")))
        {
                bool is_counter = json_bool(json_get(&c->value, STR("isCounter")));
                const struct json *input = json_get(&c->value, STR("input"));
                size_t next = 0;
                JSON_EACH(want, json_get(&c->value, STR("exp")))
                {
                        struct samples replicas[16];
                        size_t k = 0;
                        Str labels = json_get(&want->value, STR("lset"))->raw;
                        for (; next < input->n && str_eq(json_get(json_at(input, next), STR("lset"))->raw, labels); next++) {
                                CHECK(k < ARRAY_LEN(replicas));
                                replicas[k] = (struct samples)SAMPLES_INIT;
                                from_json(&replicas[k++], json_get(json_at(input, next), STR("samples")));
                        }
                        CHECK_OK(dedup_samples(replicas, k, is_counter ? DEDUP_COUNTER : DEDUP_PLAIN, &out));
                        same(&out, json_get(&want->value, STR("samples")), at++);
                        while (k)
                                samples_done(&replicas[--k]);
                }
        }
        for (size_t i = 0; i < 2; i++)
                samples_done(&in[i]);
        samples_done(&out);
        arena_done(&a);
        free(text);
        free(path);
}
