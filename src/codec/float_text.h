/* SPDX-License-Identifier: Apache-2.0 */
/* float_text.h — floats to and from text exactly as Go's strconv does.  Any thread. */
#ifndef CODEC_FLOAT_TEXT_H
#define CODEC_FLOAT_TEXT_H

#include "base/buf.h"
#include "base/str.h"

enum { FLOAT_TEXT_MAX_BYTES = 352 }; /* longest: -1.797…e308 in 'f' form and then some */

/* Shortest text that reads back to v. fmt 'f', 'e', 'g' as strconv.FormatFloat(v, fmt, -1, 64): NaN, +Inf, -Inf. Not
 * NUL-terminated. */
size_t float_print(double v, char fmt, char ret[FLOAT_TEXT_MAX_BYTES]);
void buf_put_float(struct buf *b, double v, char fmt);
/* Sample values of the HTTP API: 'f', but 'e' when |v| < 1e-6 or >= 1e21 (0 and NaN, Inf excepted). */
void buf_put_sample_value(struct buf *b, double v);
size_t float_print_sample(double v, char ret[FLOAT_TEXT_MAX_BYTES]);
/* Columns of points: n <= FLOAT_RUN_MAX values as float_print_sample(), each behind its prefix and in front of `"]`, with commas between. All
 * numbers go through each step together, which is quicker than one after the other. Of a prefix FLOAT_PREFIX_BYTES are read and len count. p has
 * room for FLOAT_RUN_BYTES; the end is returned. */
enum { FLOAT_RUN_MAX = 8, FLOAT_PREFIX_BYTES = 32, FLOAT_RUN_BYTES = FLOAT_RUN_MAX * (FLOAT_PREFIX_BYTES + FLOAT_TEXT_MAX_BYTES + 3) };
char *float_print_points(char *p, const double *v, size_t n, const char (*prefix)[FLOAT_PREFIX_BYTES], const uint8_t *len);
/* All of s as Go's ParseFloat(s, 64) takes it: decimal, hex floats, inf, infinity, nan in any case, underscores between
 * digits. Out of range is true with ±Inf and *ret_range, where Go answers ErrRange; ret_range may be NULL. */
bool float_parse(Str s, double *ret, bool *ret_range);
/* The exposition formats' value, as ParseFloat without hex and underscores; out of range is false. Fast for short
 * decimals. */
bool float_parse_fast(Str s, double *ret);

#endif
