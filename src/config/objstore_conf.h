/* SPDX-License-Identifier: Apache-2.0 */
/* objstore_conf.h — the bucket configuration of Thanos' --objstore.config into a bucket.
 *
 *   type: S3                        also FILESYSTEM; in any case of letters
 *   config: {bucket: thanos, endpoint: "minio:9000", …}
 *   prefix: tenant-a
 *
 *   e = objstore_conf_open(text, registry, &b);             registry NULL: without metrics
 *
 * Strict: unknown keys are errors with go-yaml's texts; types and keys that the original knows and we do not are ERROR_UNSUPPORTED and named. $(NAME)
 * stands for an environment variable, which must be set. Keys of http_config that tune Go's pool of connections (idle_conn_timeout, max_idle_conns,
 * max_idle_conns_per_host, tls_handshake_timeout, expect_continue_timeout, disable_compression) are checked and change nothing.
 * send_content_md5 that is not given means: where the store asks for it (uploads are signed by SHA-256 anyway).
 * Threads: any.  Upstream: objstore/client/factory.go, providers/s3, exthttp */
#ifndef CONFIG_OBJSTORE_CONF_H
#define CONFIG_OBJSTORE_CONF_H

#include "objstore/bucket.h"

struct error *objstore_conf_open(Str yaml, struct metric_registry *r, struct bucket **ret) MUST_CHECK;
/* $(NAME) replaced; appended to ret. */
struct error *objstore_conf_expand(Str text, struct buf *ret) MUST_CHECK;

#endif
