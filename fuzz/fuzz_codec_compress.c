/* SPDX-License-Identifier: Apache-2.0 */
/* fuzz_codec_compress.c — garbage is refused within the limit; packing and unpacking gives the input back; pieces give
 * what the whole gives. */
#include "codec/base64.h"
#include "codec/compress.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LIMIT_BYTES = 1 << 20 };

static void same(Str a, Str b, const char *what)
{
        if (!str_eq(a, b))
                bug("%s: %zu bytes, want %zu", what, a.n, b.n);
}

static void must(struct error *e, const char *what)
{
        if (e)
                bug("%s: %s", what, error_str(e));
}

static void in_pieces(Str in, Str whole, bool ok)
{
        struct inflater *z = inflater_new();
        struct buf out = BUF_INIT(LIMIT_BYTES);
        struct error *e = NULL;
        for (size_t step = 1; !e && in.n > 0; step = step % 13 + 1) {
                size_t n = MIN(step, in.n);
                e = inflater_add(z, (Str){in.p, n}, &out);
                in = str_skip(in, n);
        }
        if (!e)
                e = inflater_end(z);
        if (!e != ok)
                bug("in pieces: %s, whole: %d", error_str(e), ok);
        if (ok)
                same(buf_str(&out), whole, "in pieces");
        error_free(e);
        buf_done(&out);
        inflater_free(z);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
        Str in = {(const char *)data, size};
        struct buf out = BUF_INIT(LIMIT_BYTES), packed = BUF_INIT(BUF_NO_LIMIT);
        error_free(snappy_uncompress_block(in, &out));
        buf_clear(&out);
        error_free(zstd_uncompress(in, &out));
        buf_clear(&out);
        struct error *e = gzip_uncompress(in, &out);
        in_pieces(in, buf_str(&out), !e);
        error_free(e);
        if (size <= LIMIT_BYTES) {
                buf_clear(&out);
                snappy_compress_block(in, &packed);
                must(snappy_uncompress_block(buf_str(&packed), &out), "snappy");
                same(buf_str(&out), in, "snappy");
                buf_clear(&out);
                buf_clear(&packed);
                gzip_compress(in, &packed);
                must(gzip_uncompress(buf_str(&packed), &out), "gzip");
                same(buf_str(&out), in, "gzip");
                buf_clear(&packed);
                buf_clear(&out);
                buf_put_base64(&packed, in);
                if (!base64_decode(buf_str(&packed), &out))
                        bug("own base64 is refused");
                same(buf_str(&out), in, "base64");
        }
        buf_clear(&out);
        base64_decode(in, &out);
        buf_done(&out);
        buf_done(&packed);
        return 0;
}
