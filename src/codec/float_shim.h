/* SPDX-License-Identifier: Apache-2.0 */
/* float_shim.h — the C++ libraries behind float_text.c: dragonbox (shortest digits) and fast_float (correctly rounded reading). */
#ifndef CODEC_FLOAT_SHIM_H
#define CODEC_FLOAT_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* |v| = *ret_digits * 10^*ret_exponent with the fewest digits that read back to v; v is finite and not zero. No trailing zeros. */
void float_shim_shortest(double v, uint64_t *ret_digits, int *ret_exponent);
/* All of p[0..n): digits, point, exponent; no leading plus. False when it is not that. Overflow gives ±Inf. */
bool float_shim_parse(const char *p, size_t n, double *ret);

#ifdef __cplusplus
}
#endif

#endif
