/* SPDX-License-Identifier: Apache-2.0 */
/* s3_impl.h — what the files of the S3 bucket share. */
#ifndef OBJSTORE_S3_IMPL_H
#define OBJSTORE_S3_IMPL_H

#include "base/arena.h"
#include "base/rand.h"
#include "base/thread.h"
#include "objstore/bucket_impl.h"
#include "objstore/s3.h"
#include "objstore/sigv4.h"

struct s3_key {
        const char *access_key, *secret_key, *session_token;    /* token may be NULL */
};
struct s3 {
        struct bucket b;
        struct arena arena;             /* of the options' texts; constant after new */
        struct s3_opts o;               /* defaults filled in */
        struct http_client_conf http;
        struct s3_key key;
        Str host;                       /* endpoint without a default port */
        bool is_amazon;
        bool is_virtual_host;
        bool asks_md5;                  /* atomic: it refused a body without Content-MD5 */
        struct loop *loop;
        struct http_client *client;     /* of the loop */

        struct mutex mu;                /* guards what follows */
        struct cond changed;
        struct rand jitter;
        int active;                     /* requests, for connections_max */
        char region[64];                /* "": not known yet */
};

enum { S3_PARAMS_MAX = 8, S3_HEADERS_MAX = 20 };
struct s3_request {
        const char *method;
        bool body_is_map;               /* of a file: its pages need not stay */
        Str key;                        /* "": the bucket itself */
        struct http_header params[S3_PARAMS_MAX];       /* in order of their names */
        size_t n_params;
        struct http_header headers[S3_HEADERS_MAX];     /* of the operation; all are signed */
        size_t n_headers;
        Str body;
        size_t answer_bytes_max;
        bool takes_416;                 /* "behind the end" is an answer */
        /* Looks at a good answer; what it says to be ERROR_CORRUPT or ERROR_IO is tried again. NULL: none */
        struct error *(*check)(const struct s3_request *r, const struct http_response *resp);
        const void *arg;                /* of check */
        int tries;                      /* out: how many it took */
};
static inline void s3_param(struct s3_request *r, Str name, Str value)
{
        r->params[r->n_params++] = (struct http_header){name, value};
}
static inline void s3_header(struct s3_request *r, Str name, Str value)
{
        r->headers[r->n_headers++] = (struct http_header){name, value};
}
Str s3_answer_header(const struct http_response *r, Str name);

/* s3_request.c: signs, sends, tries again. ret is the caller's only without an error. */
struct error *s3_send(struct s3 *s, const struct bucket_call *c, struct s3_request *r, struct http_response *ret) MUST_CHECK;

/* s3_error.c */
struct s3_error {
        char code[64], message[512], region[64];
};
void s3_error_parse(Str body, struct s3_error *ret);    /* empty texts for what is no error document */
/* The error of an answer that is no success. */
struct error *s3_error_of(const struct s3_request *r, const struct http_response *resp, const struct s3_error *x) MUST_CHECK;
bool s3_status_is_transient(int status, const char *code);

/* s3_endpoint.c */
struct error *s3_find_key(const struct s3_opts *o, struct arena *a, struct s3_key *ret) MUST_CHECK;
/* Fills in host, is_amazon, is_virtual_host and, if the names tell it, region. */
struct error *s3_find_endpoint(struct s3 *s) MUST_CHECK;
/* Host and path (escaped) of a request; region as it is known now. */
void s3_put_target(const struct s3 *s, const char *region, Str key, struct buf *ret_host, struct buf *ret_path);

/* s3_upload.c */
struct error *s3_upload(struct bucket *b, const struct bucket_call *c, Str name, struct bucket_body body) MUST_CHECK;
/* s3_object.c */
struct error *s3_attributes(struct bucket *b, const struct bucket_call *c, Str name, struct bucket_attributes *ret) MUST_CHECK;

#endif
