/* SPDX-License-Identifier: Apache-2.0 */
/* Nanoseconds a sample of appending and decoding XOR chunks of 120, by kind of values. Build: ninja xor_bench; prints a table. */
#include <stdio.h>

#include "base/clock.h"
#include "base/rand.h"
#include "storage/chunk/xor.h"

enum { CHUNKS = 2000, PER = 120, ROUNDS = 20 };

int main(void)
{
        static const char *const kinds[] = {"constant", "counter, integers", "counter, fractions", "gauge 0.1 steps", "random bits"};
        static TimeMs t[PER];
        static double v[PER];
        for (unsigned kind = 0; kind < ARRAY_LEN(kinds); kind++) {
                struct rand r = {.s = 1};
                size_t cap = (size_t)CHUNKS * (2 + PER * XOR_SAMPLE_MAX_BYTES), n = 0;
                uint8_t *mem = mem_alloc(cap);
                Str *chunk = mem_alloc(CHUNKS * sizeof *chunk);
                double x = 0;
                TimeMs at = 1700000000000;
                int64_t start = time_mono_ns();
                for (size_t c = 0; c < CHUNKS; c++) {
                        struct xor_appender a;
                        xor_appender_init(&a, mem + n);
                        for (size_t i = 0; i < PER; i++) {
                                at += 15000 + (rand_below(&r, 10) == 0 ? (TimeMs)rand_below(&r, 3) - 1 : 0);
                                if (kind == 1)
                                        x += (double)rand_below(&r, 100);
                                else if (kind == 2)
                                        x += rand_unit(&r);
                                else if (kind == 3)
                                        x = (double)rand_below(&r, 1000) / 10;
                                else if (kind == 4)
                                        x = (double)rand_u64(&r) * 1e-3;
                                if (!xor_append(&a, mem + n, cap - n, at, x))
                                        return 1;
                        }
                        chunk[c] = (Str){(char *)mem + n, xor_bytes(&a)};
                        n += xor_bytes(&a);
                }
                double append_ns = (double)(time_mono_ns() - start) / (CHUNKS * PER);
                int64_t best = INT64_MAX;
                double sum = 0;
                for (int k = 0; k < ROUNDS; k++) {
                        start = time_mono_ns();
                        for (size_t c = 0; c < CHUNKS; c++) {
                                size_t got = 0;
                                struct error *e = xor_decode(chunk[c], TIME_MS_MAX, t, v, &got);
                                if (e || got != PER)
                                        return 1;
                                sum += v[PER - 1];
                        }
                        int64_t ns = time_mono_ns() - start;
                        best = ns < best ? ns : best;
                }
                printf("%-20s append %5.1f ns  decode %5.2f ns  %5.2f bytes a sample  (%g)\n", kinds[kind], append_ns,
                       (double)best / (CHUNKS * PER), (double)n / (CHUNKS * PER), sum);
                free(mem);
                free(chunk);
        }
        return 0;
}
