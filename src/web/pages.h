/* SPDX-License-Identifier: Apache-2.0 */
/* pages.h — the web pages on any HTTP server: one application behind all page paths, its assets, old addresses, /user.
 *
 *   struct web_pages *p = web_pages_new(server, &(struct web_pages_opts){.role = "thanos-query", .title = "coeus", …});
 *   …  http_server_free(server);  web_pages_free(p);
 *
 * The role says which pages there are and what the query page offers; it stands in the page itself. Options are copied, but not
 * their texts. Threads: as the server's handlers. */
#ifndef WEB_PAGES_H
#define WEB_PAGES_H

#include "io/http/server.h"

struct web_pages_opts {
        const char *role;               /* "prometheus", "thanos-query", "thanos-store" */
        const char *route_prefix;       /* "/" or "/x" without final slash; NULL: "/" */
        const char *title, *version;
        const char *user_assets;        /* folder of /user/…; NULL: none */
        int64_t lookback_ms;
        bool has_host;                  /* the page of the host; prometheus only */
        bool has_blocks;                /* /api/v1/blocks is served */
        bool has_partial_response;      /* queries take partial_response; thanos-query always does */
        bool refuses_partial_response;  /* what they do without that parameter */
        /* Is it ready? The pages show a bar until it is. NULL: always. */
        bool (*is_ready)(void *ctx);
        void *ctx;
};
struct web_pages;
struct web_pages *web_pages_new(struct http_server *s, const struct web_pages_opts *o);
void web_pages_free(struct web_pages *p);       /* after the server; NULL is fine */

#endif
