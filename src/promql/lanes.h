/* SPDX-License-Identifier: Apache-2.0 */
/* lanes.h — four doubles side by side, for loops whose functions are marked WITH_LANES and called only if has_lanes(). Element by element as
 * scalars: the same operations in the same order give the same bits. Any thread. */
#ifndef PROMQL_LANES_H
#define PROMQL_LANES_H

#include <stdbool.h>
#include <stdint.h>

enum { LANES = 4 };
#ifdef __x86_64__
#define WITH_LANES __attribute__((target("avx2")))
static inline bool has_lanes(void)
{
        return __builtin_cpu_supports("avx2");
}
#else
#define WITH_LANES
static inline bool has_lanes(void)
{
        return false;
}
#endif
typedef double Lanes __attribute__((vector_size(LANES * sizeof(double))));
typedef int64_t Mask __attribute__((vector_size(LANES * sizeof(int64_t))));

WITH_LANES static inline Lanes lanes_abs(Lanes x)
{
        return (Lanes)((Mask)x & INT64_MAX);
}

/* Lane by lane: a where the mask is set, else b. */
WITH_LANES static inline Lanes lanes_pick(Mask m, Lanes a, Lanes b)
{
        return (Lanes)(((Mask)a & m) | ((Mask)b & ~m));
}

#endif
