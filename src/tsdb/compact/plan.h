/* SPDX-License-Identifier: Apache-2.0 */
/* plan.h — the steps of planning, for compact_test.c. See compact.h. */
#ifndef TSDB_COMPACT_PLAN_H
#define TSDB_COMPACT_PLAN_H

#include "tsdb/compact/compact.h"

struct compact_part {
        size_t from, to;                /* of the order */
};
typedef VEC(struct compact_part) CompactPartVec;
/* Groups of blocks (ascending by mint in order) that lie in the same aligned range of length tr; such that lie across are in none. */
void compact_split(const struct block_meta *const *metas, const size_t *order, size_t n, int64_t tr, CompactPartVec *ret);

#endif
