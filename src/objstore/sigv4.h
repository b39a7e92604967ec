/* SPDX-License-Identifier: Apache-2.0 */
/* sigv4.h — AWS Signature Version 4 for S3, in the Authorization header.
 *
 *   sigv4_escape(&path, key, true);
 *   sigv4_sign(&key, &request, &authorization);             "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…"
 *
 * The caller sends x-amz-date, x-amz-content-sha256 and x-amz-security-token as headers and has them among those that are signed.
 * Pure; any thread.  Format: docs.aws.amazon.com, "Authenticating Requests (AWS Signature Version 4)", single chunk */
#ifndef OBJSTORE_SIGV4_H
#define OBJSTORE_SIGV4_H

#include "base/buf.h"
#include "base/clock.h"
#include "io/http/server.h"

#define SIGV4_UNSIGNED "UNSIGNED-PAYLOAD"
struct sigv4_key {
        Str access_key, secret_key, region;
};
struct sigv4_request {
        const char *method;
        Str path, query;                        /* escaped; the query's parameters sorted by name */
        const struct http_header *headers;      /* to sign, with Host; in any order, each name once; at most 32 */
        size_t n_headers;
        Str payload_hash;                       /* hex SHA-256 of the body, or SIGV4_UNSIGNED */
        TimeMs at_ms;
};
void sigv4_sign(const struct sigv4_key *k, const struct sigv4_request *r, struct buf *ret_authorization);
void sigv4_canonical(const struct sigv4_request *r, struct buf *ret);  /* the canonical request: for tests */
/* All but A-Z a-z 0-9 - . _ ~ as %XX; "/" stays if keep_slash. */
void sigv4_escape(struct buf *b, Str s, bool keep_slash);
/* "20130524T000000Z" */
void sigv4_date(TimeMs at_ms, char ret[17]);
void sha256_hex(Str s, char ret[65]);
void sha256_hex_of_map(Str s, char ret[65]);    /* s is in a map of a file, whose pages are released behind */

#endif
