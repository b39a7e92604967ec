/* SPDX-License-Identifier: Apache-2.0 */
/* assets.h — the web pages that are part of the executable, gzip-compressed at build time.
 *
 *   const struct web_asset *a = web_asset_find(STR("/index.html"));
 *
 * The table is made by tools/gen_embed from the folder of the meson option webui, or from src/web/fallback/ without one.
 * Threads: any; everything is constant. */
#ifndef WEB_ASSETS_H
#define WEB_ASSETS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

struct web_asset {
        const char *path;               /* "/index.html", "/assets/app-1a2b3c.js" */
        const char *content_type;
        const char *etag;               /* quoted, of the bytes before compression */
        const unsigned char *gz;        /* one gzip member */
        size_t gz_len;
        size_t raw_len;                 /* bytes after inflating */
        bool immutable;                 /* the name carries a hash of the content: may be cached for ever */
};

/* The file of that path, or NULL. The path starts with a slash and has no query string; "/" is not "/index.html". */
const struct web_asset *web_asset_find(Str path);

/* All files, ordered by path; *ret_n of them. */
const struct web_asset *web_assets(size_t *ret_n);

#endif
