/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_tsdb_meta.c — a meta.json that is read and printed reads as the same. */
#include <stdlib.h>

#include "tsdb/block/meta.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct block_meta m, again;
        struct error *e = block_meta_parse((Str){(const char *)data, size}, &m);
        if (e) {
                error_free(e);
                return 0;
        }
        struct buf b = BUF_INIT(BUF_NO_LIMIT), c = BUF_INIT(BUF_NO_LIMIT);
        block_meta_print(&b, &m);
        e = block_meta_parse(buf_str(&b), &again);
        if (e)
                abort();
        block_meta_print(&c, &again);
        if (!str_eq(buf_str(&b), buf_str(&c)))
                abort();
        buf_done(&b);
        buf_done(&c);
        block_meta_done(&m);
        block_meta_done(&again);
        return 0;
}
