/* SPDX-License-Identifier: Apache-2.0 */
/* duration.h — Prometheus durations: 1h30m, 15s, 0; units y w d h m s ms in falling order, each at most once.  Any thread.
 * Upstream: prometheus/common model/time.go */
#ifndef MODEL_DURATION_H
#define MODEL_DURATION_H

#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

/* Errors as upstream: `not a valid duration string: "1x"`, `unknown unit …`, `duration out of range`, `empty duration string`. */
struct error *duration_parse(Str s, int64_t *ret_ms) MUST_CHECK;
void buf_put_duration(struct buf *b, int64_t ms);               /* 90000 → "1m30s"; 0 → "0s" */
void buf_put_go_duration(struct buf *b, int64_t ns);            /* Go's time.Duration: "1m30s", "1.5s", "15ms" */
/* Byte sizes of flags and limits, powers of two: 512MB, 1KiB, 10; units B KB MB … EB with or without i. */
struct error *size_parse(Str s, uint64_t *ret_bytes) MUST_CHECK;
void buf_put_size(struct buf *b, uint64_t bytes);               /* as units.Base2Bytes prints it: "512MiB" */

bool time_parse_rfc3339(Str s, int64_t *ret_ms);                /* parts of a millisecond are cut off */
/* Times of the API: RFC3339 or float seconds; false: neither. Rounding and overflow as upstream. */
bool time_parse(Str s, int64_t *ret_ms);
void buf_put_rfc3339(struct buf *b, int64_t ms);                /* 2026-11-24T21:12:57.12Z: no trailing zeros */

#endif
