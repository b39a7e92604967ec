/* SPDX-License-Identifier: Apache-2.0 */
#include "base/test.h"
#include "storage/decode.h"
#include "storage/memory.h"

static struct histogram at(double count)
{
        static const struct span one[] = {{0, 1}};
        static double counts[64];
        counts[(int)count & 63] = count;
        return (struct histogram){
                .schema = 1, .count = count, .sum = count * 2, .pos = {one, &counts[(int)count & 63], 1, 1}};
}

/* Floats until 5000, then histograms. */
static void fill(struct storage *st, Labels ls)
{
        struct appender *a;
        SeriesRef ref = 0;
        CHECK_OK(storage_appender(st, &a));
        for (int i = 1; i < 5; i++)
                CHECK_OK(appender_append(a, ref, ls, i * 1000, i, &ref));
        for (int i = 5; i < 20; i++) {
                struct histogram h = at(i);
                CHECK_OK(appender_append_histogram(a, ref, ls, i * 1000, (struct histogram_sample){.f = &h}, &ref));
        }
        struct histogram bad = at(21);
        bad.pos.n_spans = 0;
        CHECK_ERROR(appender_append_histogram(a, ref, ls, 30000, (struct histogram_sample){.f = &bad}, &ref),
                    "positive side: spans need 0 buckets, have 1 buckets: histogram spans specify different number of "
                    "buckets than provided");
        CHECK_OK(appender_commit(a));
}

static void select_one(struct storage *st, struct arena *arena, struct querier **q, struct series *ret)
{
        struct select_hints hints = {.start_ms = 0, .end_ms = 100000};
        struct series_set *set;
        bool more;
        CHECK_OK(storage_querier(st, 0, 100000, arena, q));
        CHECK_OK(querier_select(*q, &hints, NULL, 0, &set));
        CHECK_OK(series_set_next(set, ret, &more));
        CHECK(more);
}

TEST(decode_mixed, gives_floats_and_histograms_in_order)
{
        struct arena arena;
        arena_init(&arena, 64 << 20);
        struct storage *st = memory_storage_new();
        fill(st, (Labels){(Label[]){{STR("__name__"), STR("x")}}, 1});
        struct querier *q;
        struct series s;
        select_one(st, &arena, &q, &s);
        CHECK(series_has_histograms(&s, 0, 100000));
        CHECK(!series_has_histograms(&s, 0, 4000));
        struct mixed m;
        CHECK_OK(series_decode_mixed(&s, 2000, 12000, &arena, &m));
        CHECK_U64(m.n, 11);
        for (size_t i = 0; i < m.n; i++) {
                CHECK_I64(m.t[i], ((TimeMs)i + 2) * 1000);
                CHECK((m.h[i] != NULL) == (i >= 3));
                CHECK_F64(m.v[i], i >= 3 ? 2 * ((double)i + 2) : (double)i + 2);
                if (m.h[i])
                        CHECK_F64(m.h[i]->pos.counts[0], (double)i + 2);
        }
        CHECK_OK(series_decode_mixed(&s, 0, 3000, &arena, &m));
        CHECK(m.h == NULL);
        CHECK_U64(m.n, 3);
        querier_close(q);
        memory_storage_free(st);
        arena_done(&arena);
}

TEST(decode_mixed, overlapping_chunks_lose_their_hints_and_deletions_their_samples)
{
        struct arena arena;
        arena_init(&arena, 64 << 20);
        struct chunk c[2];
        TimeMs t[2][3] = {{1000, 3000, 5000}, {2000, 3000, 6000}};
        for (int k = 0; k < 2; k++) {
                struct raw_samples raw = {
                        .t = t[k], .v = (double[3]){0}, .h = arena_array(&arena, struct histogram_sample, 3), .n = 3};
                for (int i = 0; i < 3; i++) {
                        struct histogram h = at((double)(t[k][i] / 1000));
                        CHECK_OK(histogram_sample_dup(&arena, (struct histogram_sample){.f = &h}, &raw.h[i]));
                }
                struct chunk *made;
                size_t n;
                CHECK_OK(raw_samples_encode(&raw, &arena, &made, &n));
                CHECK_U64(n, 1);
                c[k] = made[0];
        }
        struct interval deleted[] = {{5000, 5500}};
        struct series s = {.chunks = c, .n_chunks = 2, .deleted = deleted, .n_deleted = 1};
        struct mixed m;
        CHECK_OK(series_decode_mixed(&s, 0, 10000, &arena, &m));
        static const TimeMs want[] = {1000, 2000, 3000, 6000};
        CHECK_U64(m.n, ARRAY_LEN(want));
        for (size_t i = 0; i < m.n; i++) {
                CHECK_I64(m.t[i], want[i]);
                CHECK_I64(m.h[i]->reset, COUNTER_RESET_UNKNOWN);
        }
        s.n_chunks = 1;
        CHECK_OK(series_decode_mixed(&s, 0, 10000, &arena, &m));
        CHECK_I64(m.h[1]->reset, COUNTER_RESET_NO);
        struct samples scratch = SAMPLES_INIT;
        struct chunk *made;
        size_t n;
        CHECK_OK(series_encode_anew(&s, 0, 10000, &scratch, &arena, &made, &n));
        CHECK_U64(n, 1);
        CHECK_I64(made[0].maxt_ms, 3000);
        samples_done(&scratch);
        arena_done(&arena);
}
