/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_codec_snappy_frame.c — garbage is refused within its limit; what is compressed comes back. */
#include "codec/snappy_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Str in = {(const char *)data, size};
        struct buf out = BUF_INIT(1 << 20), packed = BUF_INIT(BUF_NO_LIMIT), again = BUF_INIT(size);
        error_ignore(snappy_frame_uncompress(in, &out), "garbage");
        if (out.n > out.limit)
                bug("more than the limit came out");
        snappy_frame_compress(in, &packed);
        struct error *e = snappy_frame_uncompress(buf_str(&packed), &again);
        if (e || !str_eq(buf_str(&again), in))
                bug("own frame: %s", error_str(e));
        buf_done(&out);
        buf_done(&packed);
        buf_done(&again);
        return 0;
}
