/* SPDX-License-Identifier: Apache-2.0 */
/* Records of a head's snapshot: one by itself, or those of a segment. */
#include "tsdb/head/snapshot.h"
#include "tsdb/wal/reader.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void parse(Str rec)
{
        LabelVec labels = VEC_INIT;
        SnapshotTombstoneVec stones = VEC_INIT;
        struct snapshot_series s;
        struct error *e = snapshot_parse_series(rec, &labels, &s);
        if (!e && s.has_chunk && (size_t)(s.chunk.data.p - rec.p) + s.chunk.data.n > rec.n)
                __builtin_trap();
        error_free(e);
        error_free(snapshot_parse_tombstones(rec, &stones));
        vec_done(&labels);
        vec_done(&stones);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size == 0)
                return 0;
        parse((Str){(const char *)data, size});
        struct wal_reader *r = wal_reader_new_bytes((Str){(const char *)data, size});
        for (bool more = true; more;) {
                Str rec;
                struct error *e = wal_reader_next(r, &rec, &more);
                if (!e && more)
                        parse(rec);
                more = more && !e;
                error_free(e);
        }
        wal_reader_close(r);
        return 0;
}
