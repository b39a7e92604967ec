/* SPDX-License-Identifier: Apache-2.0 */
/* A file of head chunks in memory, and the samples of its chunks. */
#include "storage/decode.h"
#include "tsdb/head/mapper.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct error *on_chunk(void *ctx, const struct mapper_chunk *c)
{
        struct series s = {.chunks = &c->chunk, .n_chunks = 1};
        error_free(series_decode(&s, TIME_MS_MIN, TIME_MS_MAX, ctx));
        return NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        struct samples s = SAMPLES_INIT;
        error_free(mapper_each_bytes((Str){(const char *)data, size}, 1, on_chunk, &s));
        samples_done(&s);
        return 0;
}
