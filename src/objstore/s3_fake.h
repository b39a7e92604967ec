/* SPDX-License-Identifier: Apache-2.0 */
/* s3_fake.h — a small S3 on loopback over a memory bucket, with faults. It checks signatures with our own code: that what is signed is what arrives; that
 * the signature is right is for sigv4_test.c and a real server to say. Only tests include this. */
#ifndef OBJSTORE_S3_FAKE_H
#define OBJSTORE_S3_FAKE_H

#include "base/thread.h"
#include "io/http/server.h"
#include "objstore/bucket.h"
#include "objstore/s3.h"

enum s3_fault {
        FAULT_NONE,
        FAULT_500,              /* an error document */
        FAULT_503_SLOW_DOWN,
        FAULT_429_BARE,         /* without a body */
        FAULT_CUT,              /* the connection ends before an answer */
        FAULT_TORN,             /* the answer ends in its middle */
        FAULT_GARBAGE,          /* success with a body or headers that make no sense */
        FAULT_HANG,             /* until s3_fake_release or the client leaves */
        FAULT_DENIED,
        FAULT_LOST_ANSWER,      /* done, but the connection ends */
        FAULT_REDIRECT,         /* 307 to elsewhere */
        FAULT_COMPLETE_ERROR,   /* 200 with an error document */
        FAULT_WRONG_RANGE,
        FAULT_WANTS_MD5,        /* of bodies; served when it is there */
        FAULTS,
};
struct s3_fake {
        struct http_server *server;
        struct bucket *store;
        struct mutex mu;                /* guards what follows */
        enum s3_fault faults[64];       /* of the next requests, in turn */
        size_t n_faults, at_fault;
        bool repeats_faults;            /* from the first when they are over, else none */
        bool released;
        char region[64];                /* where the bucket lives */
        int requests, page_max, page_count;
        struct {
                char key[256];
                struct buf parts[32];
                bool is_open;
        } uploads[16];
        char last[256];                 /* method and target */
        struct error *e;                /* first thing that was wrong with a request */
};
void s3_fake_start(struct s3_fake *f);
void s3_fake_stop(struct s3_fake *f);   /* fails the test when a request was wrong */
void s3_fake_script(struct s3_fake *f, bool repeats, size_t n, const enum s3_fault *faults);
void s3_fake_release(struct s3_fake *f);
int s3_fake_requests(struct s3_fake *f);        /* since the last call */
int s3_fake_open_uploads(struct s3_fake *f);
/* A bucket over it with short waits; change o first if need be. */
struct s3_opts s3_fake_opts(struct s3_fake *f, char endpoint[64]);

#endif
