/* SPDX-License-Identifier: Apache-2.0 */
/* join.h — a recent storage and an older one behind it, as one: local data and the bucket that it goes to.
 *
 *   struct join j;
 *   struct storage *st = join_init(&j, &(struct join_opts){.recent = db_storage(db), .recent_start = start, .ctx = db,
 *                                                          .older = bucket_store_storage(s)});
 *
 * The recent one is complete from recent_start() on; only what lies before is asked of the older one, so that queries of recent data cost
 * nothing more. Where both have a series it is one series, and samples that both have count once. The recent one must let go of nothing that
 * the older one does not have. What the older one fails to give costs a warning that says so, or the query where it wants all.
 * Read only. Threads: as the two storages; the join must outlive its queriers. */
#ifndef STORAGE_JOIN_H
#define STORAGE_JOIN_H

#include "storage/storage.h"

struct join_opts {
        struct storage *recent, *older;         /* borrowed */
        TimeMs (*recent_start)(void *ctx);      /* TIME_MS_MAX: it has nothing. Any thread */
        void *ctx;
        bool wants_all;                         /* a failure of the older one fails the query */
};
struct join {
        struct storage base;
        struct join_opts o;
};
struct storage *join_init(struct join *j, const struct join_opts *o);

#endif
