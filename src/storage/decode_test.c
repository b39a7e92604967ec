/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/decode.h"

#include "base/test.h"
#include "storage/memory.h"
#include "storage/merge.h"

/* One chunk of the samples from, from+step, … (n of them), all with value v. */
static struct chunk chunk_of(struct arena *a, TimeMs from, TimeMs step, size_t n, double v)
{
        TimeMs t[120];
        double values[120];
        struct chunk *c;
        size_t n_c;
        for (size_t i = 0; i < n; i++) {
                t[i] = from + (TimeMs)i * step;
                values[i] = v;
        }
        CHECK_OK(samples_encode(t, values, n, a, &c, &n_c));
        CHECK_U64(n_c, 1);
        return c[0];
}

static void check_decoded(const struct series *s, TimeMs mint, TimeMs maxt, const char *want)
{
        struct samples out = SAMPLES_INIT;
        struct buf b = BUF_INIT(10000);
        CHECK_OK(series_decode(s, mint, maxt, &out));
        CHECK(out.n <= series_samples_max(s, mint, maxt));
        for (size_t i = 0; i < out.n; i++)
                buf_printf(&b, "%s%lld:%g", i ? " " : "", (long long)out.t[i], out.v[i]);
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
        samples_done(&out);
}

TEST(decode, cuts_merges_and_deletes)
{
        struct arena a;
        arena_init(&a, 1 << 20);
        struct chunk c[] = {chunk_of(&a, 10, 10, 4, 1), chunk_of(&a, 30, 5, 4, 2), chunk_of(&a, 100, 1, 2, 3)};
        struct series s = {.chunks = c, .n_chunks = 1};
        check_decoded(&s, TIME_MS_MIN, TIME_MS_MAX, "10:1 20:1 30:1 40:1");
        check_decoded(&s, 20, 30, "20:1 30:1");
        check_decoded(&s, 21, 29, "");
        s.n_chunks = 3; /* where times are equal the earlier chunk wins */
        check_decoded(&s, TIME_MS_MIN, TIME_MS_MAX, "10:1 20:1 30:1 35:2 40:1 45:2 100:3 101:3");
        check_decoded(&s, 35, 100, "35:2 40:1 45:2 100:3");
        struct interval d[] = {{TIME_MS_MIN, 20}, {40, 44}, {101, TIME_MS_MAX}};
        s.deleted = d;
        s.n_deleted = 3;
        check_decoded(&s, TIME_MS_MIN, TIME_MS_MAX, "30:1 35:2 45:2 100:3");
        arena_done(&a);
}

TEST(decode, damage_and_histograms_are_errors)
{
        struct arena a;
        arena_init(&a, 1 << 20);
        struct chunk c = chunk_of(&a, 10, 10, 100, 1.5);
        struct series s = {.chunks = &c, .n_chunks = 1};
        struct samples out = SAMPLES_INIT;
        c.data.n -= 3;
        struct error *e = series_decode(&s, 0, 5000, &out);
        CHECK(error_is(e, ERROR_CORRUPT));
        error_free(e);
        CHECK_U64(out.n, 0);
        c.encoding = CHUNK_HISTOGRAM;
        e = series_decode(&s, 0, 5000, &out);
        CHECK(error_is(e, ERROR_UNSUPPORTED));
        error_free(e);
        samples_done(&out);
        arena_done(&a);
}

TEST(decode, intervals)
{
        struct interval d[] = {{10, 20}, {30, 30}};
        CHECK(intervals_cover(d, 2, 10, 20) && intervals_cover(d, 2, 30, 30) && !intervals_cover(d, 2, 10, 21) &&
              !intervals_cover(d, 2, 10, 30));
        CHECK(intervals_touch(d, 2, 20, 25) && !intervals_touch(d, 2, 21, 29) && intervals_touch(d, 2, 0, 100) &&
              !intervals_touch(d, 0, 0, 100));
}

TEST(merge, joins_two_storages_by_labels)
{
        struct storage *one = memory_storage_new(), *two = memory_storage_new(), *parts[] = {one, two};
        Label la[] = {{STR("n"), STR("a")}}, lb[] = {{STR("n"), STR("b")}};
        Labels a = {la, 1}, b = {lb, 1};
        CHECK_OK(memory_storage_add(one, a, 10, 1));
        CHECK_OK(memory_storage_add(one, a, 20, 1));
        CHECK_OK(memory_storage_add(two, a, 15, 2));
        CHECK_OK(memory_storage_add(two, a, 20, 2));
        CHECK_OK(memory_storage_add(two, b, 5, 3));
        struct storage *st = merge_storage_new(parts, 2);
        struct arena arena;
        struct querier *q;
        struct series_set *set;
        struct series s;
        struct matcher *m;
        struct select_hints hints = {.sorted = true};
        StrVec values = VEC_INIT;
        bool more;
        arena_init(&arena, 1 << 20);
        CHECK_OK(matcher_new(MATCH_NE, STR("n"), STR(""), &m));
        CHECK_OK(storage_querier(st, 0, 100, &arena, &q));
        CHECK_OK(querier_select(q, &hints, (const struct matcher *const *)&m, 1, &set));
        CHECK_OK(series_set_next(set, &s, &more));
        CHECK(more);
        check_decoded(&s, 0, 100, "10:1 15:2 20:1");
        CHECK_OK(series_set_next(set, &s, &more));
        CHECK(more);
        check_decoded(&s, 0, 100, "5:3");
        CHECK_OK(series_set_next(set, &s, &more));
        CHECK(!more);
        CHECK_OK(querier_label_values(q, STR("n"), NULL, 0, 0, &values));
        CHECK(values.n == 2 && str_eq(values.p[1], STR("b")));
        vec_done(&values);
        querier_close(q);
        matcher_free(m);
        arena_done(&arena);
        merge_storage_free(st);
        memory_storage_free(one);
        memory_storage_free(two);
}
