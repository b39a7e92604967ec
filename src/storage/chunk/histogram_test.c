/* SPDX-License-Identifier: Apache-2.0 */
/* Layouts that change, resets, markers, start times. Bytes are held against the original's chunks in
 * src/tsdb/block/conformance_test.c. */
#include "storage/chunk/histogram.h"

#include <math.h>

#include "base/alloc.h"
#include "base/test.h"
#include "storage/chunk/xor.h"

static struct int_histogram ints(uint64_t count, const struct span *spans, uint32_t n_spans, int64_t *deltas,
                                 uint32_t n)
{
        return (struct int_histogram){
                .schema = 1, .count = count, .sum = (double)count / 2, .pos = {spans, deltas, n_spans, n}};
}

static double stale(void)
{
        uint64_t bits = STALE_NAN_BITS;
        double v;
        memcpy(&v, &bits, sizeof v);
        return v;
}

/* What is in a chunk, as text, each sample on a line. */
static void describe(const struct histogram_chunk *k, struct buf *b)
{
        struct arena a;
        arena_init(&a, 64 << 20);
        struct chunk c = {.encoding = histogram_chunk_encoding(k), .data = histogram_chunk_data(k)};
        size_t n = chunk_samples(c.encoding, c.data), got;
        CHECK_U64(n, histogram_chunk_samples(k));
        TimeMs *t = arena_array(&a, TimeMs, n + 1), *start = arena_array(&a, TimeMs, n + 1);
        struct histogram_sample *s = arena_array(&a, struct histogram_sample, n + 1);
        const struct histogram **h = arena_array(&a, const struct histogram *, n + 1);
        CHECK_OK(histogram_decode_raw(&c, TIME_MS_MIN, TIME_MS_MAX, &a, t, start, s, &got));
        CHECK_U64(got, n);
        CHECK_OK(histogram_decode(&c, TIME_MS_MIN, TIME_MS_MAX, &a, t, NULL, h, &got));
        CHECK_U64(got, n);
        buf_clear(b);
        for (size_t i = 0; i < n; i++) {
                buf_printf(b, "%lld", (long long)t[i]);
                if (start[i])
                        buf_printf(b, " from %lld", (long long)start[i]);
                buf_printf(b, " hint %d ", h[i]->reset);
                if (s[i].i)
                        buf_put_int_histogram(b, s[i].i);
                else
                        buf_put_histogram(b, s[i].f);
                buf_putc(b, '\n');
                if (s[i].i) { /* both ways of decoding agree */
                        struct histogram *f;
                        CHECK_OK(int_histogram_to_float(&a, s[i].i, &f));
                        CHECK(histogram_eq(f, h[i]));
                } else {
                        CHECK(histogram_eq(s[i].f, h[i]));
                }
        }
        arena_done(&a);
}

static void check_holds(const struct histogram_chunk *k, uint8_t header, const char *want)
{
        struct buf b = BUF_INIT(1 << 20);
        describe(k, &b);
        CHECK_STR(buf_str(&b), want);
        CHECK_U64((uint8_t)histogram_chunk_data(k).p[2] & 0xc0u, header);
        buf_done(&b);
}

static enum histogram_fit put(struct histogram_chunk *k, TimeMs t, const struct int_histogram *h,
                              struct histogram_chunk **next)
{
        return histogram_chunk_append(k, NULL, 0, t, (struct histogram_sample){.i = h}, next);
}

TEST(histogram_chunk, grows_when_a_sample_has_new_buckets)
{
        static const struct span one[] = {{0, 2}}, two[] = {{0, 2}, {1, 2}};
        struct int_histogram a = ints(3, one, 1, (int64_t[]){1, 1}, 2),
                             b = ints(10, two, 2, (int64_t[]){1, 1, 1, 1}, 4);
        struct histogram_chunk *k = histogram_chunk_new(CHUNK_HISTOGRAM), *next = NULL;
        CHECK(put(k, 1000, &a, &next) == HISTOGRAM_APPENDED);
        CHECK(put(k, 2000, &a, &next) == HISTOGRAM_APPENDED);
        CHECK(put(k, 3000, &b, &next) == HISTOGRAM_RECODED);
        CHECK(histogram_chunk_ends_with(k, (struct histogram_sample){.i = &b}));
        CHECK(!histogram_chunk_ends_with(k, (struct histogram_sample){.i = &a}));
        check_holds(k, 0,
                    "1000 hint 0 {count:3, sum:1.5, (0.7071067811865475,1]:1, (1,1.414213562373095]:2}\n"
                    "2000 hint 2 {count:3, sum:1.5, (0.7071067811865475,1]:1, (1,1.414213562373095]:2}\n"
                    "3000 hint 2 {count:10, sum:5, (0.7071067811865475,1]:1, (1,1.414213562373095]:2, "
                    "(2,2.82842712474619]:3, (2.82842712474619,4]:4}\n");
        histogram_chunk_free(k);
}

TEST(histogram_chunk, gives_a_sample_the_empty_buckets_that_it_lacks)
{
        static const struct span three[] = {{0, 3}}, outer[] = {{0, 1}, {1, 1}}, more[] = {{0, 1}, {1, 2}};
        struct int_histogram a = ints(3, three, 1, (int64_t[]){1, -1, 2}, 3),
                             b = ints(5, outer, 2, (int64_t[]){2, 1}, 2), c = ints(9, more, 2, (int64_t[]){2, 1, 1}, 3);
        struct histogram_chunk *k = histogram_chunk_new(CHUNK_HISTOGRAM), *next = NULL;
        CHECK(put(k, 1000, &a, &next) == HISTOGRAM_APPENDED);
        CHECK(put(k, 2000, &b, &next) == HISTOGRAM_APPENDED);
        CHECK(put(k, 3000, &c, &next) == HISTOGRAM_RECODED);
        check_holds(k, 0,
                    "1000 hint 0 {count:3, sum:1.5, (0.7071067811865475,1]:1, (1.414213562373095,2]:2}\n"
                    "2000 hint 2 {count:5, sum:2.5, (0.7071067811865475,1]:2, (1.414213562373095,2]:3}\n"
                    "3000 hint 2 {count:9, sum:4.5, (0.7071067811865475,1]:2, (1.414213562373095,2]:3, "
                    "(2,2.82842712474619]:4}\n");
        histogram_chunk_free(k);
}

static void check_next(struct int_histogram first, struct int_histogram second, uint8_t header)
{
        struct histogram_chunk *k = histogram_chunk_new(CHUNK_HISTOGRAM), *next = NULL,
                               *other = histogram_chunk_new(CHUNK_HISTOGRAM);
        CHECK(put(k, 1000, &first, &next) == HISTOGRAM_APPENDED);
        CHECK(put(k, 2000, &second, &next) == HISTOGRAM_NEXT);
        CHECK_U64(histogram_chunk_samples(k), 1);
        CHECK_U64(histogram_chunk_samples(next), 1);
        CHECK_U64((uint8_t)histogram_chunk_data(next).p[2], header);
        histogram_chunk_free(next);
        /* the same said by a chunk that was cut for its length */
        CHECK(histogram_chunk_append(other, k, 0, 2000, (struct histogram_sample){.i = &second}, &next) ==
              HISTOGRAM_APPENDED);
        CHECK_U64((uint8_t)histogram_chunk_data(other).p[2], header);
        histogram_chunk_free(other);
        histogram_chunk_free(k);
}

TEST(histogram_chunk, ends_at_resets_and_says_why)
{
        static const struct span s[] = {{0, 2}}, first_only[] = {{0, 1}};
        struct int_histogram a = ints(3, s, 1, (int64_t[]){1, 1}, 2), fewer = ints(2, s, 1, (int64_t[]){1, 0}, 2),
                             bucket = ints(4, s, 1, (int64_t[]){3, -2}, 2),
                             gone = ints(4, first_only, 1, (int64_t[]){4}, 1), schema = a, zero = a, told = a,
                             gauge = a, marker = {.sum = stale()};
        check_next(a, fewer, 0x80);
        check_next(a, bucket, 0x80);
        check_next(a, gone, 0x80);
        schema.schema = 2;
        check_next(a, schema, 0);
        zero.zero_threshold = 0.5;
        check_next(a, zero, 0);
        told.reset = COUNTER_RESET_YES;
        check_next(a, told, 0x80);
        gauge.reset = COUNTER_RESET_GAUGE;
        check_next(a, gauge, 0xc0);
        check_next(gauge, a, 0x40);
        check_next(marker, a, 0);
}

TEST(histogram_chunk, a_gauge_may_lose_buckets)
{
        static const struct span s[] = {{0, 2}}, t[] = {{1, 2}};
        struct int_histogram a = ints(3, s, 1, (int64_t[]){1, 1}, 2), b = ints(3, t, 1, (int64_t[]){1, 1}, 2);
        a.reset = b.reset = COUNTER_RESET_GAUGE;
        struct histogram_chunk *k = histogram_chunk_new(CHUNK_HISTOGRAM), *next = NULL;
        CHECK(put(k, 1000, &a, &next) == HISTOGRAM_APPENDED);
        CHECK(put(k, 2000, &b, &next) == HISTOGRAM_RECODED);
        check_holds(k, 0xc0,
                    "1000 hint 3 {count:3, sum:1.5, (0.7071067811865475,1]:1, (1,1.414213562373095]:2}\n"
                    "2000 hint 3 {count:3, sum:1.5, (1,1.414213562373095]:1, (1.414213562373095,2]:2}\n");
        histogram_chunk_free(k);
}

TEST(histogram_chunk, only_markers_follow_a_marker)
{
        static const struct span s[] = {{0, 2}};
        struct int_histogram a = ints(3, s, 1, (int64_t[]){1, 1}, 2), marker = {.sum = stale()};
        struct histogram_chunk *k = histogram_chunk_new(CHUNK_HISTOGRAM), *next = NULL;
        CHECK(put(k, 1000, &a, &next) == HISTOGRAM_APPENDED);
        CHECK(put(k, 2000, &marker, &next) == HISTOGRAM_APPENDED);
        CHECK(histogram_chunk_is_stale(k));
        CHECK(put(k, 3000, &marker, &next) == HISTOGRAM_APPENDED);
        CHECK(put(k, 4000, &a, &next) == HISTOGRAM_NEXT);
        check_holds(k, 0,
                    "1000 hint 0 {count:3, sum:1.5, (0.7071067811865475,1]:1, (1,1.414213562373095]:2}\n"
                    "2000 hint 0 {count:0, sum:NaN}\n"
                    "3000 hint 0 {count:0, sum:NaN}\n");
        histogram_chunk_free(k);
        histogram_chunk_free(next);
}

/* Random histograms of one series, in every encoding: what goes in comes out. */
static void check_random(enum chunk_encoding encoding, uint64_t seed)
{
        struct arena a;
        arena_init(&a, 256 << 20);
        bool is_int = chunk_encoding_is_int(encoding);
        struct histogram_chunk *k = histogram_chunk_new(encoding), *next = NULL;
        double *counts = arena_array(&a, double, 6), bounds[] = {0.001, 0.5, 1, 2.25, 1e9, 1e10};
        int64_t *deltas = arena_array(&a, int64_t, 6);
        uint64_t c[6] = {0}, total = 0;
        static const struct span six[] = {{0, 6}};
        enum { N = 300 };
        struct histogram want[N];
        TimeMs starts[N], t = -5000, start = 0;
        for (int i = 0; i < N; i++) {
                seed = seed * UINT64_C(6364136223846793005) + 1;
                t += 1000 + (TimeMs)(seed >> 60);
                if (seed >> 40 & 1)
                        start = t - 500;
                for (int b = 0; b < 6; b++) {
                        uint64_t more = seed >> (8 * b) & (b == 5 && i % 50 == 0 ? 0xffffffff : 7);
                        c[b] += more;
                        total += more;
                        deltas[b] = (int64_t)(c[b] - (b ? c[b - 1] : 0));
                }
                double *copy = arena_array(&a, double, 6);
                for (int b = 0; b < 6; b++)
                        copy[b] = counts[b] = is_int ? (double)c[b] : (double)c[b] / 3;
                want[i] = (struct histogram){.schema = HISTOGRAM_SCHEMA_CUSTOM,
                                             .count = is_int ? (double)total : (double)total / 3,
                                             .sum = sqrt((double)total),
                                             .pos = {six, copy, 1, 6},
                                             .bounds = bounds,
                                             .n_bounds = 6};
                if (encoding != CHUNK_HISTOGRAM) {
                        want[i].schema = 3;
                        want[i].n_bounds = 0;
                        want[i].zero_threshold = ldexp(1, -128);
                        want[i].zero_count = (double)i;
                        want[i].neg = want[i].pos;
                }
                struct int_histogram h = {.schema = want[i].schema,
                                          .zero_threshold = want[i].zero_threshold,
                                          .zero_count = (uint64_t)want[i].zero_count,
                                          .count = total,
                                          .sum = want[i].sum,
                                          .pos = {want[i].pos.spans, deltas, 1, 6},
                                          .neg = {want[i].neg.spans, deltas, want[i].neg.n_spans, want[i].neg.n},
                                          .bounds = bounds,
                                          .n_bounds = want[i].n_bounds};
                struct histogram_sample s = {.i = is_int ? &h : NULL, .f = is_int ? NULL : &want[i]};
                starts[i] = chunk_encoding_has_start(encoding) ? start : 0;
                CHECK(histogram_chunk_append(k, NULL, start, t, s, &next) == HISTOGRAM_APPENDED);
                CHECK(histogram_chunk_ends_with(k, s));
        }
        struct chunk ch = {.encoding = encoding, .data = histogram_chunk_data(k)};
        TimeMs *ts = arena_array(&a, TimeMs, N), *got_starts = arena_array(&a, TimeMs, N);
        const struct histogram **h = arena_array(&a, const struct histogram *, N);
        struct histogram_sample *raw = arena_array(&a, struct histogram_sample, N);
        size_t n;
        CHECK_OK(histogram_decode(&ch, TIME_MS_MIN, TIME_MS_MAX, &a, ts, NULL, h, &n));
        CHECK_U64(n, N);
        for (size_t i = 0; i < n; i++)
                CHECK(histogram_eq(h[i], &want[i]));
        CHECK_I64(ts[N - 1], t);
        CHECK_OK(histogram_decode_raw(&ch, TIME_MS_MIN, TIME_MS_MAX, &a, ts, got_starts, raw, &n));
        for (size_t i = 0; i < n; i++)
                CHECK_I64(got_starts[i], starts[i]);
        CHECK_OK(histogram_decode(&ch, ts[10], ts[19], &a, ts, NULL, h, &n));
        CHECK_U64(n, 10);
        CHECK(histogram_eq(h[0], &want[10]));
        /* cut anywhere: an error or fewer samples, never more */
        for (size_t cut = 0; cut < ch.data.n; cut += 7) {
                struct chunk part = ch;
                char *bytes = mem_memdup(ch.data.p, cut + 1);
                part.data = (Str){bytes, cut};
                CHECK_ERROR(histogram_decode(&part, TIME_MS_MIN, TIME_MS_MAX, &a, ts, NULL, h, &n), "");
                free(bytes);
        }
        histogram_chunk_free(k);
        arena_done(&a);
}

TEST(histogram_chunk, what_goes_in_comes_out)
{
        for (uint64_t seed = 1; seed < 6; seed++) {
                check_random(CHUNK_HISTOGRAM, seed);
                check_random(CHUNK_FLOAT_HISTOGRAM, seed);
                check_random(CHUNK_HISTOGRAM_ST, seed);
                check_random(CHUNK_FLOAT_HISTOGRAM_ST, seed);
        }
}
