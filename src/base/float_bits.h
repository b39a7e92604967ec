/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_FLOAT_BITS_H
#define BASE_FLOAT_BITS_H

/* The 64 bits of an IEEE 754 double, and back: what files and the wire hold, and how one NaN is told from another. */

#include <stdint.h>
#include <string.h>

static inline uint64_t float_bits(double v)
{
        uint64_t bits;
        memcpy(&bits, &v, sizeof bits);
        return bits;
}

static inline double float_of_bits(uint64_t bits)
{
        double v;
        memcpy(&v, &bits, sizeof v);
        return v;
}

#endif
