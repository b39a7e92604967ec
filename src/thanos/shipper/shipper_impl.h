/* SPDX-License-Identifier: Apache-2.0 */
/* shipper_impl.h — what the files of the shipper share. */
#ifndef THANOS_SHIPPER_IMPL_H
#define THANOS_SHIPPER_IMPL_H

#include "thanos/block/meta.h"
#include "thanos/shipper/shipper.h"

typedef VEC(Ulid) UlidVec;

/* --- the list of what was uploaded --- */

/* ERROR_NOT_FOUND without the file. */
struct error *shipper_list_read(const char *path, UlidVec *ret) MUST_CHECK;
struct error *shipper_list_write(const char *path, const UlidVec *v) MUST_CHECK;
void shipper_list_print(struct buf *b, const UlidVec *v);

/* --- one block --- */

struct shipper_block {
        const char *dir;                /* of the TSDB */
        const struct thanos_meta *meta; /* as the database wrote it */
        Labels labels;
        const char *source;
        bool with_hashes;
};
struct error *shipper_upload(struct bucket *b, const struct bucket_call *c, const struct shipper_block *block) MUST_CHECK;
/* What a killed process left in <dir>/thanos/upload: its links keep deleted blocks on disk. */
struct error *shipper_clean(const char *dir) MUST_CHECK;

/* --- overlaps --- */

/* The blocks of the bucket that have our labels, read when first asked for. */
struct shipper_remote {
        struct bucket *bucket;
        Labels labels;
        bool is_read;
        VEC(struct block_desc) blocks;
};
void shipper_remote_done(struct shipper_remote *r);
struct error *shipper_remote_check(struct shipper_remote *r, const struct bucket_call *c, const struct block_meta *m) MUST_CHECK;
void shipper_remote_add(struct shipper_remote *r, const struct block_meta *m);

#endif
