/* SPDX-License-Identifier: Apache-2.0 */
/* suite.h — what every bucket must do, as checks. Only tests include this: bucket_test.c and tests/conformance/objstore. */
#ifndef OBJSTORE_SUITE_H
#define OBJSTORE_SUITE_H

#include "objstore/bucket.h"

/* The bucket is empty at the begin and at the end. */
void bucket_suite_run(struct bucket *b);
/* Several threads upload, read, list and delete at once. */
void bucket_suite_threads(struct bucket *b);
/* An object of n bytes as memory, file and stream, read whole and in ranges around `seam` (the size of parts or slices). */
void bucket_suite_large(struct bucket *b, size_t n, size_t seam);

#endif
