/* SPDX-License-Identifier: Apache-2.0 */
/* rand.h — random numbers: a seeded generator for jitter and tests, and the kernel's for identifiers. */
#ifndef BASE_RAND_H
#define BASE_RAND_H

#include <stddef.h>
#include <stdint.h>

struct rand {
        uint64_t s;             /* splitmix64 state: any value is a fine seed */
};
uint64_t rand_u64(struct rand *r);
double rand_unit(struct rand *r);                       /* [0, 1) */
uint64_t rand_below(struct rand *r, uint64_t n);        /* 0 … n-1; n > 0 */
void rand_system(void *p, size_t n);                    /* from the kernel; aborts if it has none */

#endif
