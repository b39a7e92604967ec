/* SPDX-License-Identifier: Apache-2.0 */
/* delete.h — takes a block out of a bucket.
 *
 *   e = thanos_block_delete(bucket, &call, id);
 *
 * meta.json goes first: whoever reads the bucket meanwhile sees no block, or a whole one; a deletion mark goes last. What was interrupted is a
 * block without meta.json, and may be deleted again. Threads: any.  Upstream: thanos pkg/block/block.go */
#ifndef THANOS_BLOCK_DELETE_H
#define THANOS_BLOCK_DELETE_H

#include "base/ulid.h"
#include "objstore/bucket.h"

struct error *thanos_block_delete(struct bucket *b, const struct bucket_call *c, Ulid id) MUST_CHECK;

#endif
