/* SPDX-License-Identifier: Apache-2.0 */
/* metadata.h — what targets say of their families: a record is stored once however many targets say the same.
 *
 *   metadata_set_type(md, iter, family, METRIC_COUNTER);  …  metadata_flush(md, iter);
 *
 * Writers: the target's loop. Readers: any thread, through metadata_each. */
#ifndef COLLECT_SCRAPE_METADATA_H
#define COLLECT_SCRAPE_METADATA_H

#include "base/str.h"
#include "base/thread.h"
#include "base/vec.h"
#include "model/metric_type.h"

struct metadata_pool; /* of a manager: the records */
struct metadata_pool *metadata_pool_new(void);
void metadata_pool_free(struct metadata_pool *p);

struct metadata_record { /* constant while someone refers to it */
        Str family;
        struct metric_metadata meta;
        uint64_t hash; /* private */
        uint32_t refs;
};
struct metadata_entry {
        struct metadata_record *record;
        uint32_t family_hash;
        uint32_t seen; /* iteration of the last scrape that spoke of it */
};
struct metadata {
        struct metadata_pool *pool;
        struct mutex mu;              /* guards v against readers; the loop alone writes */
        VEC(struct metadata_entry) v; /* in order of first appearance */
        uint32_t *slots, cap;         /* index by family: position in v + 1 */
        size_t at;                    /* v[at] is expected next */
};
void metadata_init(struct metadata *m, struct metadata_pool *p);
void metadata_done(struct metadata *m);
void metadata_set_type(struct metadata *m, uint32_t iter, Str family, enum metric_type t);
void metadata_set_help(struct metadata *m, uint32_t iter, Str family, Str help);
void metadata_set_unit(struct metadata *m, uint32_t iter, Str family, Str unit);
void metadata_restart(struct metadata *m);              /* a body begins */
void metadata_flush(struct metadata *m, uint32_t iter); /* forgets what was not seen for ten iterations */
/* Families in order of appearance; fn under the lock; false stops (and is returned). */
bool metadata_each(struct metadata *m, bool (*fn)(void *ctx, Str family, const struct metric_metadata *md), void *ctx);
void metadata_size(struct metadata *m, uint64_t *ret_entries, uint64_t *ret_bytes);

#endif
