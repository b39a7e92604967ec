/* SPDX-License-Identifier: Apache-2.0 */
/* hash.h — xxHash64, the hash of Prometheus' label sets and of our tables. Any thread. */
#ifndef BASE_HASH_H
#define BASE_HASH_H

#include "base/str.h"

uint64_t hash_bytes(const void *p, size_t n);           /* XXH64, seed 0: fixed for ever, may be stored */
uint64_t hash_seeded(const void *p, size_t n, uint64_t seed);   /* XXH3; with a secret seed nobody can aim at collisions */
uint64_t hash_fnv64a(const void *p, size_t n);

static inline uint64_t hash_str(Str s)
{
        return hash_bytes(s.p, s.n);
}

#endif
