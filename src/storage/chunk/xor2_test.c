/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/chunk/xor2.h"

#include "base/file.h"
#include "base/rand.h"
#include "base/test.h"
#include "storage/chunk/xor.h"

enum { N = 400 };

/* Each kind takes other branches of the encoder. */
static void make(unsigned kind, TimeMs *t, double *v, TimeMs *start)
{
        struct rand r = {.s = kind};
        TimeMs at = kind % 3 ? 1700000000000 : -5000, st = 0;
        double x = 1;
        for (size_t i = 0; i < N; i++) {
                at += 15000;
                if (kind & 1)
                        at += (TimeMs)rand_below(&r, 9) - 4;
                if (kind & 2 && rand_below(&r, 10) == 0)
                        at += (TimeMs)(UINT64_C(1) << rand_below(&r, 40));
                switch (kind / 4 % 4) {
                case 0: x = rand_below(&r, 3) ? x : (double)rand_below(&r, 1000); break;
                case 1: x = float_of_bits(rand_u64(&r)); break;
                case 2: x = rand_below(&r, 5) ? x + 1 : float_of_bits(STALE_NAN_BITS); break;
                default: x += 0.25; break;
                }
                if (is_stale_nan(x) && kind / 4 % 4 == 2 && i % 2)
                        x = 3;
                switch (kind / 16 % 5) {
                case 0: st = 0; break;
                case 1: st = i < 200 ? 0 : 1699999990000; break;
                case 2: st = 1699999990000; break;
                case 3: st = at - (TimeMs)rand_below(&r, 100000); break;
                default: st = i ? t[i - 1] : 7; break;
                }
                t[i] = at;
                v[i] = x;
                start[i] = st;
        }
}

TEST(xor2, gives_back_what_was_appended)
{
        TimeMs t[N], start[N], t2[N], start2[N], t3[N];
        double v[N], v2[N], v3[N];
        for (unsigned kind = 0; kind < 80; kind++) {
                make(kind, t, v, start);
                struct xor2_chunk *c = xor2_chunk_new();
                bool any = false;
                for (size_t i = 0; i < N; i++) {
                        xor2_append(c, start[i], t[i], v[i]);
                        any |= start[i] != 0;
                        if (i != 0 && i != 1 && i != 127 && i != 128 && i != N - 1)
                                continue;
                        size_t n, n3;
                        CHECK_U64(chunk_samples(CHUNK_XOR2, xor2_data(c)), i + 1);
                        CHECK_OK(xor2_decode_starts(xor2_data(c), TIME_MS_MAX, t2, v2, start2, &n));
                        CHECK_U64(n, i + 1);
                        CHECK_MSG(memcmp(t, t2, n * sizeof *t) == 0, "times of kind %u, %zu samples", kind, n);
                        CHECK_MSG(memcmp(v, v2, n * sizeof *v) == 0, "values of kind %u, %zu samples", kind, n);
                        CHECK_MSG(memcmp(start, start2, n * sizeof *start) == 0, "start times of kind %u, %zu samples", kind, n);
                        CHECK_OK(xor2_decode(xor2_data(c), TIME_MS_MAX, t3, v3, &n3));
                        CHECK_U64(n3, n);
                        CHECK(memcmp(t, t3, n * sizeof *t) == 0 && memcmp(v, v3, n * sizeof *v) == 0);
                        if (i < 127)
                                CHECK(xor2_has_starts(xor2_data(c)) == any);
                }
                CHECK_I64(xor2_last_ms(c), t[N - 1]);
                CHECK_U64(xor2_samples(c), N);
                xor2_chunk_free(c);
        }
}

/* Worked out by hand from the format. */
TEST(xor2, writes_the_format_of_the_original)
{
        struct xor2_chunk *c = xor2_chunk_new();
        xor2_append(c, 900, 1000, 1.0);
        xor2_append(c, 900, 16000, 1.0);
        xor2_append(c, 16000, 31000, 1.0);      /* 0; the start time changes: 16000 − 16000 = 0: 0 */
        xor2_append(c, 16000, 46001, 1.0);      /* 110 and 13 bits of 1; 0; 31000 − 16000 − 0: 111110 and 18 bits */
        Str d = xor2_data(c);
        static const uint8_t want[] = {0, 4, 0x82, 0xd0, 0x0f, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xc8, 0x01, 0x98, 0x75,
                                       /* 0 | 0 | 0 | 110 00 */ 0x18, /* 00000000 */ 0x00, /* 001 | 0 | 1111 */ 0x2f,
                                       /* 10 | 000011 */ 0x83, /* 10101001 1000 */ 0xa9, 0x80};
        CHECK_U64(d.n, sizeof want);
        for (size_t i = 0; i < sizeof want; i++)
                CHECK_MSG((uint8_t)d.p[i] == want[i], "byte %zu is %02x, want %02x", i, (uint8_t)d.p[i], want[i]);
        xor2_chunk_free(c);
}

static void check_head_chunks(const char *file, size_t *chunks)
{
        char *path = conformance_path(file), *text = NULL;
        size_t n, at = 8;
        CHECK_OK(file_read(path, 64 << 20, &text, &n));
        free(path);
        while (at + 25 < n && text[at + 24]) {
                uint8_t encoding = (uint8_t)text[at + 24] & 0x7f;  /* above: out of order */
                uint64_t len = 0;
                for (unsigned shift = 0, more = 1; more; shift += 7, at++) {
                        more = (uint8_t)text[at + 25] >> 7;
                        len |= (uint64_t)((uint8_t)text[at + 25] & 0x7f) << shift;
                }
                at += 25;
                CHECK(at + len + 4 <= n);
                Str data = {text + at, len};
                at += len + 4;
                if (encoding != CHUNK_XOR2)
                        continue;
                TimeMs t[N], start[N];
                double v[N];
                size_t got;
                CHECK(chunk_samples(CHUNK_XOR2, data) <= N);
                CHECK_OK(xor2_decode_starts(data, TIME_MS_MAX, t, v, start, &got));
                struct xor2_chunk *c = xor2_chunk_new();
                for (size_t i = 0; i < got; i++)
                        xor2_append(c, start[i], t[i], v[i]);
                CHECK_STRS(xor2_data(c), data);
                xor2_chunk_free(c);
                ++*chunks;
        }
        free(text);
}

/* Every float chunk of the original's head chunk files: decoded and written again it is the same. */
TEST(xor2, writes_the_chunks_of_the_original_again)
{
        size_t chunks = 0;
        check_head_chunks("tsdb/st_clean/data/chunks_head/000001", &chunks);
        check_head_chunks("tsdb/st_clean/data/chunks_head/000002", &chunks);
        CHECK_U64(chunks, 20);
}
