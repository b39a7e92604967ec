/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t hash_bytes(const void *p, size_t n)
{
        return XXH64(n ? p : "", n, 0);
}

uint64_t hash_seeded(const void *p, size_t n, uint64_t seed)
{
        return XXH3_64bits_withSeed(n ? p : "", n, seed);
}

uint64_t hash_fnv64a(const void *p, size_t n)
{
        const unsigned char *c = p;
        uint64_t h = 14695981039346656037u;
        for (size_t i = 0; i < n; i++)
                h = (h ^ c[i]) * 1099511628211u;
        return h;
}
