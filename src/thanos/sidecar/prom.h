/* SPDX-License-Identifier: Apache-2.0 */
/* prom.h — the HTTP API of one Prometheus: whole JSON answers, and bodies that are read as they come.
 *
 *   e = prom_new(url, &http_conf, &p);
 *   struct prom_answer x;  e = prom_get(p, "/api/v1/labels", query, &wait, &x, &code);  …  prom_answer_done(&x);
 *
 *   struct prom_stream *s;  e = prom_post(p, "/api/v1/read", body, headers, n, &wait, &s);
 *   e = prom_stream_peek(s, 5, &bytes);  …  prom_stream_skip(s, 5);  …  prom_stream_close(s);
 *
 * A call waits until it has its answer, its time is over, or the flag is set. Of a stream at most PROM_AHEAD_BYTES arrive before they are asked for:
 * then the peer is held up. Threads: any; a stream has one owner. Error texts as the original's client has them. Upstream: thanos pkg/promclient */
#ifndef THANOS_SIDECAR_PROM_H
#define THANOS_SIDECAR_PROM_H

#include "codec/json.h"
#include "io/http/client.h"

enum { PROM_AHEAD_BYTES = 512 << 10 };
#define PROM_ANSWER_MAX_BYTES ((size_t)512 << 20)

struct prom;
/* url: with the prefix of the API in its path; its query is dropped. conf is borrowed. ERROR_INVALID: no such URL. */
struct error *prom_new(const char *url, const struct http_client_conf *conf, struct prom **ret) MUST_CHECK;
void prom_free(struct prom *p);         /* when no call runs; NULL is fine */

struct prom_wait {
        const bool *cancel;             /* NULL: none */
        int64_t deadline_ms;            /* of time_mono_ms(); 0: none */
};
/* The body of any answer, within its limit. */
struct error *prom_fetch(struct prom *p, const char *path, Str query, const struct prom_wait *w, struct buf *ret, int *ret_status) MUST_CHECK;
struct prom_answer {
        struct buf body;
        struct arena arena;             /* of the tree, and for whatever lives as long */
        const struct json *data;        /* NULL: none */
};
/* The member "data" of an answer 2xx whose status is "success". To be done also after an error; then *ret_code is gRPC's. */
struct error *prom_get(struct prom *p, const char *path, Str query, const struct prom_wait *w, struct prom_answer *ret, int *ret_code) MUST_CHECK;
void prom_answer_done(struct prom_answer *x);

struct prom_stream;
/* Returns when the answer begins; what was refused is an error. */
struct error *prom_post(struct prom *p, const char *path, Str body, const struct http_header *headers, size_t n, const struct prom_wait *w,
                        struct prom_stream **ret) MUST_CHECK;
Str prom_stream_type(const struct prom_stream *s);      /* Content-Type */
/* At least n bytes, fewer only where the answer ends. Valid until the next call. */
struct error *prom_stream_peek(struct prom_stream *s, size_t n, Str *ret) MUST_CHECK;
void prom_stream_skip(struct prom_stream *s, size_t n); /* of what was peeked */
void prom_stream_close(struct prom_stream *s);          /* also in the middle; NULL is fine */

#endif
