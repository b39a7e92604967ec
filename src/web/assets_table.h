/* SPDX-License-Identifier: Apache-2.0 */
/* assets_table.h — what tools/gen_embed writes: read it through assets.h. */
#ifndef WEB_ASSETS_TABLE_H
#define WEB_ASSETS_TABLE_H

#include "web/assets.h"

extern const struct web_asset web_assets_table[];       /* ordered by path */
extern const size_t web_assets_table_len;

#endif
