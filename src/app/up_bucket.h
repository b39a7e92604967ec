/* SPDX-License-Identifier: Apache-2.0 */
/* up_bucket.h — the bucket of `coeus up`: its blocks go there, and what the local data does not reach back to is read from there.
 *
 *   e = up_bucket_new(&opts, &b);                          db_opts.may_go = up_bucket_has; db_opts.may_go_ctx = b
 *   up_bucket_attach(b, db, web_server);                   before both are started
 *   st = up_bucket_storage(b, false);                      for queries: joins local data and bucket
 *   e = up_bucket_start(b);                                the db is open; returns when the bucket was looked at, or after some seconds
 *   up_bucket_stop(b);  …  up_bucket_free(b);              before the db is closed; after the web is gone
 *
 * A thread uploads what is new and keeps the view of the bucket. Only blocks with our external labels are read, and without them: series
 * of both sides are the same. A local block goes, by merging or for its age, only when the view has it: queries never see a hole.
 * Lock order: the lock of this file is a leaf; up_bucket_has is called under the db's. */
#ifndef APP_UP_BUCKET_H
#define APP_UP_BUCKET_H

#include "base/metric.h"
#include "io/http/server.h"
#include "model/labels.h"
#include "tsdb/db/db.h"

struct up_bucket_opts {
        const char *data_dir;           /* of the db; headers of blocks go to bucket-cache in it */
        Str objstore_config;            /* YAML; empty: the folder bucket in data_dir */
        Labels labels;                  /* at least one; borrowed */
        int64_t ship_every_ms, view_every_ms;
        int64_t retention_ms;           /* blocks that end before it, and before all local data, are deleted; 0: none */
        struct metric_registry *metrics;
};
struct up_bucket;
struct error *up_bucket_new(const struct up_bucket_opts *o, struct up_bucket **ret) MUST_CHECK;
void up_bucket_free(struct up_bucket *b);       /* NULL is fine */
void up_bucket_attach(struct up_bucket *b, struct db *db, struct http_server *server);
struct storage *up_bucket_storage(struct up_bucket *b, bool wants_all);         /* borrowed */
bool up_bucket_has(void *up_bucket, const struct block_meta *m);
struct error *up_bucket_start(struct up_bucket *b) MUST_CHECK;
void up_bucket_stop(struct up_bucket *b);

#endif
