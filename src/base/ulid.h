/* SPDX-License-Identifier: Apache-2.0 */
/* ulid.h — 128-bit identifiers that sort by time, printed as 26 characters of Crockford's base 32 (names of blocks, silences).
 * Format: github.com/ulid/spec. */
#ifndef BASE_ULID_H
#define BASE_ULID_H

#include "base/clock.h"
#include "base/str.h"

enum { ULID_TEXT_BYTES = 26 };
typedef struct {
        uint8_t b[16];          /* 48 bits of milliseconds, big-endian, then 80 random bits */
} Ulid;

Ulid ulid_new(TimeMs now_ms);
TimeMs ulid_time_ms(Ulid u);
void ulid_print(Ulid u, char ret[ULID_TEXT_BYTES + 1]);
bool ulid_parse(Str s, Ulid *ret);      /* upper or lower case; false: not a ULID */
int ulid_cmp(Ulid a, Ulid b);

#endif
