/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/chunk/xor.h"

#include "base/rand.h"
#include "base/test.h"

static double from_bits(uint64_t b)
{
        double v;
        memcpy(&v, &b, sizeof v);
        return v;
}

/* Bytes that the original's encoder writes for these samples (its format, worked out by hand): breaks when blocks would stop being readable. */
TEST(xor_append, writes_the_format_of_the_original)
{
        uint8_t buf[64];
        struct xor_appender a;
        xor_appender_init(&a, buf);
        CHECK(xor_append(&a, buf, sizeof buf, 1000, 1.0));
        CHECK_U64(xor_bytes(&a), 2 + 2 + 8);
        CHECK(xor_append(&a, buf, sizeof buf, 16000, 1.0));             /* delta 15000 = 0x98 0x75, value bit 0 */
        CHECK(xor_append(&a, buf, sizeof buf, 31000, 1.0));             /* 0 0 */
        CHECK(xor_append(&a, buf, sizeof buf, 46001, 2.0));             /* 10, 14 bits of 1; 11, then the new window */
        static const uint8_t want[] = {0x00, 0x04, 0xd0, 0x0f, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0x98, 0x75};
        CHECK_U64(buf[0], want[0]);
        CHECK_U64(buf[1], want[1]);
        CHECK(memcmp(buf + 2, want + 2, 12) == 0);
        CHECK_U64(buf[14] >> 5, 0);                                     /* 0 0 0 */
        CHECK_U64(buf[14] & 0x1f, 0x10);                                /* 10 000 */
        CHECK_U64(buf[15], 0);
        CHECK_U64(buf[16] >> 5, 1);                                     /* … 001 */
        /* 1.0 ^ 2.0 = 0x7ff0…: leading 1, trailing 52, 11 bits of ones */
        CHECK_U64(buf[16] & 0x1f, 0x18);                                /* 11 000 */
        CHECK_U64(buf[17], 0x4b);                                       /* 01 001011 */
        CHECK_U64(buf[18], 0xff);
        CHECK_U64(buf[19], 0xe0);
        CHECK_U64(xor_bytes(&a), 20);
}

enum { N = 500 };

static void make(unsigned kind, TimeMs *t, double *v)
{
        struct rand r = {.s = kind};
        TimeMs at = 1700000000000;
        double x = 0;
        for (size_t i = 0; i < N; i++) {
                at += 15000;
                switch (kind % 8) {
                case 0: x = 1; break;
                case 1: x = (double)i; break;
                case 2: x += (double)rand_below(&r, 1000) / 10; at += (TimeMs)rand_below(&r, 9) - 4; break;
                case 3: x = from_bits(rand_u64(&r)); at += (TimeMs)rand_below(&r, 100000); break;
                case 4: x = i % 7 ? 0.1 : from_bits(STALE_NAN_BITS); at += i % 50 == 0 ? INT64_C(1) << 40 : 0; break;
                case 5: x = i % 100 < 90 ? 3 : (double)i; at += (TimeMs)rand_below(&r, 300000) - 14999 > 0 ? 7 : 0; break;
                case 6: x = i & 1 ? -1e308 : 1e-308; at += (i % 3) * 8192; break;
                default: x = i < 250 ? 5 : 6; break;
                }
                t[i] = at;
                v[i] = x;
        }
}

static size_t encode(struct xor_appender *a, uint8_t *buf, size_t cap, const TimeMs *t, const double *v, size_t n)
{
        xor_appender_init(a, buf);
        size_t i = 0;
        while (i < n && xor_append(a, buf, cap, t[i], v[i]))
                i++;
        return i;
}

TEST(xor_decode, gives_back_what_was_appended)
{
        static TimeMs t[N], rt[N];
        static double v[N], rv[N];
        static uint8_t buf[N * XOR_SAMPLE_MAX_BYTES];
        for (unsigned kind = 0; kind < 40; kind++) {
                make(kind, t, v);
                for (size_t n = 0; n <= N; n += n < 20 ? 1 : 37) {
                        struct xor_appender a;
                        CHECK_U64(encode(&a, buf, sizeof buf, t, v, n), n);
                        /* exactly as long as needed, on the heap: the sanitizer sees reads behind it */
                        uint8_t *exact = mem_memdup(buf, xor_bytes(&a));
                        Str data = {(char *)exact, xor_bytes(&a)};
                        size_t got;
                        CHECK_OK(xor_decode(data, TIME_MS_MAX, rt, rv, &got));
                        CHECK_U64(got, n);
                        CHECK(n == 0 || (memcmp(t, rt, n * sizeof *t) == 0 && memcmp(v, rv, n * sizeof *v) == 0));
                        if (n > 3) {
                                CHECK_OK(xor_decode(data, t[n / 2], rt, rv, &got));
                                CHECK_U64(got, n / 2 + 1);
                                CHECK_OK(xor_decode(data, t[0] - 1, rt, rv, &got));
                                CHECK_U64(got, 0);
                        }
                        free(exact);
                }
        }
}

TEST(xor_append, refuses_what_does_not_fit_and_changes_nothing)
{
        static TimeMs t[N];
        static double v[N];
        static uint8_t big[N * XOR_SAMPLE_MAX_BYTES], small[N * XOR_SAMPLE_MAX_BYTES];
        make(2, t, v);
        struct xor_appender whole, part;
        encode(&whole, big, sizeof big, t, v, 100);
        size_t cap = 32, i = 0;
        xor_appender_init(&part, small);
        while (i < 100) {
                struct xor_appender before = part;
                uint8_t copy[sizeof small];
                memcpy(copy, small, cap);
                if (xor_append(&part, small, cap, t[i], v[i])) {
                        i++;
                        continue;
                }
                CHECK(memcmp(&before, &part, sizeof part) == 0);
                CHECK(memcmp(copy, small, cap) == 0);
                cap *= 2;
        }
        CHECK_U64(xor_bytes(&part), xor_bytes(&whole));
        CHECK(memcmp(big, small, xor_bytes(&whole)) == 0);
}

TEST(xor_appender_open, continues_where_the_writer_stopped)
{
        static TimeMs t[N];
        static double v[N];
        static uint8_t whole[N * XOR_SAMPLE_MAX_BYTES], part[N * XOR_SAMPLE_MAX_BYTES];
        for (unsigned kind = 0; kind < 8; kind++)
                for (size_t n = 0; n < 60; n++) {
                        make(kind, t, v);
                        struct xor_appender a, b;
                        encode(&a, whole, sizeof whole, t, v, 120);
                        encode(&b, part, sizeof part, t, v, n);
                        struct xor_appender again;
                        CHECK_OK(xor_appender_open(&again, (Str){(char *)part, xor_bytes(&b)}));
                        for (size_t i = n; i < 120; i++)
                                CHECK(xor_append(&again, part, sizeof part, t[i], v[i]));
                        CHECK_U64(xor_bytes(&again), xor_bytes(&a));
                        CHECK_MSG(memcmp(whole, part, xor_bytes(&a)) == 0, "kind %u reopened at %zu", kind, n);
                }
}

TEST(chunk_decode, survives_garbage)
{
        struct rand r = {.s = 7};
        static TimeMs t[65536], gt[N];
        static double v[65536], gv[N];
        static uint8_t buf[N * XOR_SAMPLE_MAX_BYTES];
        for (unsigned round = 0; round < 4000; round++) {
                struct xor_appender a;
                make(round, gt, gv);
                encode(&a, buf, sizeof buf, gt, gv, 1 + rand_below(&r, 200));
                size_t n = xor_bytes(&a);
                if (round % 2)
                        n = rand_below(&r, n + 1);
                else
                        for (int k = 0; k < 3; k++)
                                buf[rand_below(&r, n)] ^= (uint8_t)(1u << rand_below(&r, 8));
                uint8_t *exact = mem_memdup(buf, n);
                size_t got;
                error_free(xor_decode((Str){(char *)exact, n}, TIME_MS_MAX, t, v, &got));
                CHECK(got <= 65535);
                error_free(xor2_decode((Str){(char *)exact, n}, TIME_MS_MAX, t, v, &got));
                CHECK(got <= 65535);
                free(exact);
        }
}

TEST(chunk_decode, names_what_it_cannot_read)
{
        TimeMs t[4];
        double v[4];
        size_t n;
        struct chunk c = {.encoding = CHUNK_HISTOGRAM, .data = STR("\0\1x")};
        CHECK_ERROR(chunk_decode(&c, TIME_MS_MAX, t, v, &n), "native histograms are not supported yet: chunk of encoding histogram");
        c.encoding = 77;
        CHECK_ERROR(chunk_decode(&c, TIME_MS_MAX, t, v, &n), "unknown chunk encoding 77");
        c.encoding = CHUNK_XOR;
        c.data = STR("\0\3\1");
        CHECK_ERROR(chunk_decode(&c, TIME_MS_MAX, t, v, &n), "damaged XOR chunk");
        c.data = STR("\0");
        CHECK_ERROR(chunk_decode(&c, TIME_MS_MAX, t, v, &n), "damaged XOR chunk");
}
