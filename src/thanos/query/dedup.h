/* SPDX-License-Identifier: Apache-2.0 */
/* dedup.h — one series out of its replicas: the penalty algorithm.
 *
 *   struct samples out = SAMPLES_INIT;
 *   e = dedup_samples(replicas, n, DEDUP_COUNTER, &out);
 *
 * Replicas are folded pairwise from left to right. Of a pair the one with the earlier sample goes on; the other must skip twice the last distance
 * (5 s while there is none), so that samples that both took do not double the rate and a gap of one replica is filled by the other. With
 * DEDUP_COUNTER a switch to a replica with a lower value lifts it by a constant, so that rate() sees no reset.
 * Threads: pure.  Upstream: pkg/dedup/iter.go */
#ifndef THANOS_QUERY_DEDUP_H
#define THANOS_QUERY_DEDUP_H

#include "storage/decode.h"

enum dedup_kind { DEDUP_PLAIN, DEDUP_COUNTER };
/* By the function around the selector: increase, rate, irate, resets (and their x forms) want DEDUP_COUNTER. */
enum dedup_kind dedup_kind_of(Str func);
/* Columns ascending by time. out is replaced, keeps its memory. ERROR_LIMIT: more replicas than DEDUP_REPLICAS_MAX. */
enum { DEDUP_REPLICAS_MAX = 1000 };
struct error *dedup_samples(const struct samples *replicas, size_t n, enum dedup_kind kind, struct samples *out) MUST_CHECK;

#endif
