/* SPDX-License-Identifier: Apache-2.0 */
/* shipper.h — brings the blocks of a TSDB directory into a bucket, each exactly once.
 *
 *   struct shipper *s;  e = shipper_new(&opts, &s);
 *   every 30 seconds:  e = shipper_sync(s, &cancel, &n_uploaded);
 *   shipper_free(s);
 *
 * A round goes through the blocks from the oldest on. One that has samples, is of level 1 (or any, if upload_compacted) and is neither in the list
 * of what was uploaded nor has a meta.json in the bucket is linked to <dir>/thanos/upload/<ULID>, where the database does not touch it, and
 * uploaded: chunk files, index, and last meta.json with the section "thanos". A block without meta.json in the bucket is therefore not there yet,
 * whatever happens on the way: the next round uploads all of it again. The list is <dir>/thanos.shipper.json; losing it costs one question to the
 * bucket for each block. A failure ends the round, so that blocks arrive in order, unless allow_out_of_order.
 * Threads: one caller of shipper_sync at a time; shipper_is_due, shipper_has_uploaded and shipper_oldest_ms any.
 * Format and rules: docs/format/block.md; upstream: thanos pkg/shipper, pkg/block (Upload) */
#ifndef THANOS_SHIPPER_SHIPPER_H
#define THANOS_SHIPPER_SHIPPER_H

#include "base/metric.h"
#include "base/ulid.h"
#include "model/labels.h"
#include "objstore/bucket.h"

#define SHIPPER_META_FILE "thanos.shipper.json"
enum { SHIPPER_EVERY_MS = 30000 };

struct shipper_opts {
        const char *dir;                                        /* of the TSDB; read and, below thanos/, written */
        struct bucket *bucket;                                  /* borrowed */
        Labels (*labels)(void *ctx, struct arena *a);           /* external labels of now, living in a; a block needs at least one */
        void *ctx;
        const char *source;                                     /* "sidecar", "ruler", … */
        const char *hash_func;                                  /* NULL or "": no hashes of files in meta.json; "SHA256" */
        const char *meta_file_name;                             /* NULL or "": SHIPPER_META_FILE */
        bool (*is_held)(void *ctx, Ulid id);                    /* NULL: the list is believed; else the bucket is asked about blocks of the list that are
                                                                 * not held, and those that are not there go again */
        bool upload_compacted;                                  /* blocks of level 2 and above too, unless they overlap one that is there */
        bool allow_out_of_order;                                /* go on after a failure, and without the check for overlaps */
        bool skip_corrupted;                                    /* go on past blocks whose meta.json cannot be read */
        struct metric_registry *metrics;                        /* thanos_shipper_* */
};
struct shipper;
/* ERROR_INVALID: another hash function. Nothing is read before the first round. */
struct error *shipper_new(const struct shipper_opts *o, struct shipper **ret) MUST_CHECK;
void shipper_free(struct shipper *s);                           /* NULL is fine */
/* One round. *ret_n_uploaded (may be NULL) also on failure. cancel is polled: ERROR_CANCELLED. */
struct error *shipper_sync(struct shipper *s, const bool *cancel, size_t *ret_n_uploaded) MUST_CHECK;
/* The directory got or lost an entry since the last round began: a round is worth while before its time. Cheap: ask each second. */
bool shipper_is_due(struct shipper *s);
/* The block is in the list as of the last round, or of the file before the first one. */
bool shipper_has_uploaded(struct shipper *s, Ulid id);
/* Begin of the oldest local block; 0: there is none. */
struct error *shipper_oldest_ms(struct shipper *s, TimeMs *ret) MUST_CHECK;

#endif
