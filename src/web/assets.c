/* SPDX-License-Identifier: Apache-2.0 */
#include "web/assets.h"

#include "web/assets_table.h"

const struct web_asset *web_asset_find(Str path)
{
        size_t lo = 0, hi = web_assets_table_len;
        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                int c = str_cmp(path, str_from(web_assets_table[mid].path));
                if (c == 0)
                        return &web_assets_table[mid];
                if (c < 0)
                        hi = mid;
                else
                        lo = mid + 1;
        }
        return NULL;
}

const struct web_asset *web_assets(size_t *ret_n)
{
        *ret_n = web_assets_table_len;
        return web_assets_table;
}
