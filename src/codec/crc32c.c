/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/crc32c.h"

#include <stdbool.h>
#include <string.h>

#include "base/compiler.h"
#include "codec/crc32c_impl.h"

/* Slicing by 8; the tables are made before main, so that any thread may read them. */
static uint32_t table[8][256];

__attribute__((constructor)) static void make_table(void)
{
        for (uint32_t i = 0; i < 256; i++) {
                uint32_t c = i;
                for (int k = 0; k < 8; k++)
                        c = (c >> 1) ^ (c & 1 ? 0x82f63b78u : 0);
                table[0][i] = c;
        }
        for (uint32_t i = 0; i < 256; i++)
                for (int k = 1; k < 8; k++)
                        table[k][i] = (table[k - 1][i] >> 8) ^ table[0][table[k - 1][i] & 0xff];
}

uint32_t crc32c_portable(uint32_t crc, const void *p, size_t n)
{
        const uint8_t *b = p;
        uint32_t c = ~crc;
        for (; n >= 8; n -= 8, b += 8) {
                uint64_t v;
                memcpy(&v, b, 8);
                v ^= c;
                c = table[7][v & 0xff] ^ table[6][v >> 8 & 0xff] ^ table[5][v >> 16 & 0xff] ^ table[4][v >> 24 & 0xff] ^
                    table[3][v >> 32 & 0xff] ^ table[2][v >> 40 & 0xff] ^ table[1][v >> 48 & 0xff] ^ table[0][v >> 56];
        }
        for (; n > 0; n--, b++)
                c = (c >> 8) ^ table[0][(c ^ *b) & 0xff];
        return ~c;
}

#if defined(__x86_64__)

#include <immintrin.h>

#define TARGET __attribute__((target("sse4.2,pclmul")))

static inline uint64_t load64(const uint8_t *p)
{
        uint64_t v;
        memcpy(&v, p, 8);
        return v;
}

TARGET static inline uint64_t multiply(uint32_t crc, uint32_t k)
{
        return (uint64_t)_mm_cvtsi128_si64(
                _mm_clmulepi64_si128(_mm_cvtsi32_si128((int)crc), _mm_cvtsi32_si128((int)k), 0));
}

/* The instruction takes 3 cycles and one can start in each: three lanes of `lane` bytes at once. The first two are then
 * moved behind the third: times x^(8 * distance - 33), where the crc of the last 8 bytes brings the missing x^32 and
 * reflection the 1. */
TARGET static inline uint32_t three_lanes(uint32_t c0, const uint8_t *b, size_t lane, uint32_t k_two, uint32_t k_one)
{
        uint64_t c1 = 0, c2 = 0, c = c0;
        size_t i = 0;
        for (; i < lane - 8; i += 8) {
                c = _mm_crc32_u64(c, load64(b + i));
                c1 = _mm_crc32_u64(c1, load64(b + lane + i));
                c2 = _mm_crc32_u64(c2, load64(b + 2 * lane + i));
        }
        c = _mm_crc32_u64(c, load64(b + i));
        c1 = _mm_crc32_u64(c1, load64(b + lane + i));
        uint64_t moved = multiply((uint32_t)c, k_two) ^ multiply((uint32_t)c1, k_one);
        return (uint32_t)_mm_crc32_u64(c2, load64(b + 2 * lane + i) ^ moved);
}

TARGET static uint32_t crc32c_sse42(uint32_t crc, const void *p, size_t n)
{
        const uint8_t *b = p;
        uint32_t c = ~crc;
        for (; n >= 3 * 1024; n -= 3 * 1024, b += 3 * 1024)
                c = three_lanes(c, b, 1024, 0xa51b6135, 0x170076fa);
        for (; n >= 3 * 128; n -= 3 * 128, b += 3 * 128)
                c = three_lanes(c, b, 128, 0xb9e02b86, 0x0d3b6092);
        uint64_t w = c;
        for (; n >= 8; n -= 8, b += 8)
                w = _mm_crc32_u64(w, load64(b));
        c = (uint32_t)w;
        for (; n > 0; n--, b++)
                c = _mm_crc32_u8(c, *b);
        return ~c;
}

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
        if (LIKELY(__builtin_cpu_supports("sse4.2") && __builtin_cpu_supports("pclmul")))
                return crc32c_sse42(crc, p, n);
        return crc32c_portable(crc, p, n);
}

#else

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
        return crc32c_portable(crc, p, n);
}

#endif
