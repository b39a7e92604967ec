/* SPDX-License-Identifier: Apache-2.0 */
/* s3.h — a bucket in a store that speaks S3.
 *
 *   struct s3_opts o = {.bucket = "thanos", .endpoint = "minio:9000", .access_key = …};
 *   e = s3_bucket_new(&o, &b);                              texts are copied; nothing is asked of the store yet
 *
 * Requests are signed by SigV4, and the signature covers the body by its SHA-256, which guards it better than Content-MD5 and costs half. That is sent
 * only once the store asked for it (object lock), or as content_md5 says: with S3_MD5_ALWAYS and S3_MD5_NEVER bodies over TLS are UNSIGNED-PAYLOAD. Reads go in slices of at most slice_bytes, the later ones only if the object is still the same; large uploads in parts,
 * several at a time. Network errors, torn answers, 429 and 5xx are tried again with jitter until max_tries or the deadline. Connections are kept.
 * Credentials: the options, else AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY (and the older AWS_ACCESS_KEY, AWS_SECRET_KEY), AWS_SESSION_TOKEN, else the
 * shared credentials file; read once. Roles of instances and web identity are not supported yet.
 * Upstream: objstore/providers/s3 over minio-go */
#ifndef OBJSTORE_S3_H
#define OBJSTORE_S3_H

#include "io/http/client.h"
#include "objstore/bucket.h"

enum s3_md5 { S3_MD5_WHEN_ASKED, S3_MD5_ALWAYS, S3_MD5_NEVER };
enum s3_lookup { S3_LOOKUP_AUTO, S3_LOOKUP_VIRTUAL_HOST, S3_LOOKUP_PATH };
struct s3_opts {
        const char *bucket, *endpoint;          /* host[:port], without scheme */
        const char *region;                     /* NULL or "": from the endpoint's name, else asked for */
        const char *access_key, *secret_key, *session_token;
        bool insecure;                          /* plain HTTP */
        bool disable_dualstack;                 /* of Amazon's endpoints */
        bool list_v1;
        enum s3_md5 content_md5;
        bool disable_multipart;
        bool trace;                             /* each request to the log, at debug */
        enum s3_lookup lookup;                  /* auto: virtual host for Amazon, Google and Aliyun, else path */
        uint64_t part_size_bytes;               /* 0: 64 MiB; at least 5 MiB, as S3 wants */
        int max_tries;                          /* 0: 10 */
        const struct http_header *metadata;     /* of uploads: X-Amz-Storage-Class as it is, others as x-amz-meta-… */
        size_t n_metadata;
        struct tls_client_opts tls;
        int64_t response_header_timeout_ms;     /* without a sign of life for so long a try has failed; 0: 2 min */
        int connections_max;                    /* requests at once; 0: no limit */
        /* For tests. */
        int64_t retry_ms;                       /* longest wait before the second try, doubling up to five times that; 0: 200 */
        uint64_t slice_bytes;                   /* 0: 16 MiB */
        uint64_t part_bytes_min;                /* 0: 5 MiB */
};
/* Errors of options have upstream's texts. */
struct error *s3_bucket_new(const struct s3_opts *o, struct bucket **ret) MUST_CHECK;

#endif
