/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_tsdb_chunks.c — a chunk file of any bytes: each place is asked for a chunk, whose checksum is made right if it
 * fits, and decoded. */
#include <stdlib.h>

#include "base/alloc.h"
#include "codec/crc32c.h"
#include "codec/varint.h"
#include "storage/decode.h"
#include "tsdb/block/chunk_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A series of the same chunk several times, which are decoded side by side, is the series of the one. */
static void check_copies(const struct chunk *k, const struct samples *want)
{
        struct chunk copies[5] = {*k, *k, *k, *k, *k};
        struct series s = {.chunks = copies, .n_chunks = ARRAY_LEN(copies)};
        struct samples got = SAMPLES_INIT;
        struct error *e = series_decode(&s, TIME_MS_MIN, TIME_MS_MAX, &got);
        if (e || got.n != want->n || (got.n && (memcmp(got.t, want->t, got.n * sizeof *got.t) || memcmp(got.v, want->v, got.n * sizeof *got.v))))
                abort();
        samples_done(&got);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        if (size > 1 << 14)
                return 0;
        uint8_t *p = mem_alloc(size + CHUNK_FILE_HEADER_BYTES);
        memcpy(p, "\x85\xbd\x40\xdd\x01\0\0\0", CHUNK_FILE_HEADER_BYTES);
        if (size)
                memcpy(p + CHUNK_FILE_HEADER_BYTES, data, size);
        size += CHUNK_FILE_HEADER_BYTES;
        struct chunk_files *f;
        struct samples out = SAMPLES_INIT;
        struct error *e = chunk_files_of_bytes((Str){(const char *)p, size}, &f);
        if (e)
                abort();
        for (size_t at = 0; at < size; at += at < 64 ? 1 : 37) {
                struct cursor c = {p + at, p + size, false};
                uint64_t n = take_uvarint(&c);
                if (!c.bad && cursor_left(&c) >= 5 && n <= cursor_left(&c) - 5)
                        put_be32(p + (c.p - p) + 1 + n, crc32c(0, c.p, n + 1));
                struct chunk k = {.mint_ms = TIME_MS_MIN, .maxt_ms = TIME_MS_MAX};
                e = chunk_files_get(f, at, &k);
                if (!e) {
                        struct series s = {.chunks = &k, .n_chunks = 1};
                        e = series_decode(&s, TIME_MS_MIN, TIME_MS_MAX, &out);
                }
                if (!e)
                        check_copies(&k, &out);
                error_free(e);
        }
        samples_done(&out);
        chunk_files_close(f);
        free(p);
        return 0;
}
