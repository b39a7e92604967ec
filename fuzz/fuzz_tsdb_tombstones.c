/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_tsdb_tombstones.c — any bytes as stones behind a right header and checksum; intervals come out ascending and
 * apart. */
#include <stdlib.h>

#include "base/alloc.h"
#include "codec/crc32c.h"
#include "codec/varint.h"
#include "tsdb/block/tombstones.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct tombstones t;
        struct error *e = tombstones_parse((Str){(const char *)data, size}, &t);
        if (!e)
                tombstones_done(&t);
        error_free(e);
        if (size > 1 << 16)
                return 0;
        uint8_t *p = mem_alloc(size + 9);
        memcpy(p, "\x01\x30\xba\x30\x01", 5);
        if (size)
                memcpy(p + 5, data, size);
        put_be32(p + 5 + size, crc32c(0, p + 5, size));
        e = tombstones_parse((Str){(const char *)p, size + 9}, &t);
        if (!e) {
                for (size_t i = 0; i < t.series.n; i++) {
                        const struct tombstone *s = &t.series.p[i];
                        if (i && s->ref <= t.series.p[i - 1].ref)
                                abort();
                        for (size_t k = 0; k < s->intervals.n; k++)
                                if (s->intervals.p[k].mint_ms > s->intervals.p[k].maxt_ms ||
                                    (k && s->intervals.p[k].mint_ms - 1 <= s->intervals.p[k - 1].maxt_ms))
                                        abort();
                }
                tombstones_done(&t);
        }
        error_free(e);
        free(p);
        return 0;
}
