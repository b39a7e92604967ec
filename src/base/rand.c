/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rand.h"

#include <sys/random.h>

#include "base/compiler.h"

/* Source: S. Vigna, splitmix64 (public domain constants). */
uint64_t rand_u64(struct rand *r)
{
        uint64_t z = r->s += 0x9e3779b97f4a7c15u;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        return z ^ (z >> 31);
}

double rand_unit(struct rand *r)
{
        return (double)(rand_u64(r) >> 11) * 0x1p-53;
}

uint64_t rand_below(struct rand *r, uint64_t n)
{
        return (uint64_t)(((unsigned __int128)rand_u64(r) * n) >> 64);
}

void rand_system(void *p, size_t n)
{
        while (n) {
                ssize_t got = getrandom(p, n, 0);
                if (got <= 0)
                        bug("getrandom failed");
                p = (char *)p + got;
                n -= (size_t)got;
        }
}
