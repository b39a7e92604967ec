/* SPDX-License-Identifier: Apache-2.0 */
/* thanos_blocks.h — GET /api/v1/blocks: the metas of loaded blocks, as the block viewer asks for them.  Upstream:
 * pkg/api/blocks/v1.go */
#ifndef APP_THANOS_BLOCKS_H
#define APP_THANOS_BLOCKS_H

#include "io/http/server.h"
#include "thanos/store/bucket_store.h"

struct blocks_api;
/* label: --bucket-web-label. All borrowed; freed after the server. */
struct blocks_api *blocks_api_new(struct http_server *server, struct bucket_store *s, const char *label,
                                  bool sends_cors);
void blocks_api_free(struct blocks_api *a); /* NULL is fine */
/* After each sync; e NULL: it went well. Any thread. */
void blocks_api_refreshed(struct blocks_api *a, const struct error *e);

#endif
