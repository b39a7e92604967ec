/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/deflater.h"

#include <zlib.h>

#include "base/alloc.h"
#include "base/rand.h"
#include "base/test.h"
#include "codec/compress.h"

static void fill(struct buf *b, size_t n, unsigned letters)
{
        struct rand r = {n};
        for (size_t i = 0; i < n; i++)
                buf_putc(b, (char)('a' + rand_below(&r, letters)));
}

static void pieces_case(size_t total, size_t piece, unsigned letters)
{
        struct buf in = BUF_INIT(BUF_NO_LIMIT), gz = BUF_INIT(BUF_NO_LIMIT), zl = BUF_INIT(BUF_NO_LIMIT),
                   back = BUF_INIT(total + 1);
        fill(&in, total, letters);
        struct deflater *a = deflater_new(DEFLATER_GZIP), *b = deflater_new(DEFLATER_ZLIB);
        for (size_t at = 0; at < total; at += piece) {
                Str s = str_sub(buf_str(&in), at, MIN(at + piece, total));
                deflater_add(a, s, &gz);
                deflater_add(b, s, &zl);
        }
        deflater_end(a, &gz);
        deflater_end(b, &zl);
        CHECK_OK(gzip_uncompress(buf_str(&gz), &back));
        CHECK_STRS(buf_str(&back), buf_str(&in));
        uLongf n = total + 1;
        CHECK_I64(uncompress((Bytef *)back.p, &n, (Bytef *)zl.p, zl.n), Z_OK);
        CHECK_U64(n, total);
        CHECK(total == 0 || memcmp(back.p, in.p, total) == 0);
        deflater_free(a);
        deflater_free(b);
        buf_done(&in);
        buf_done(&gz);
        buf_done(&zl);
        buf_done(&back);
}
TEST(deflater, gives_a_stream_that_others_inflate)
{
        pieces_case(0, 1, 2);
        pieces_case(1, 1, 2);
        pieces_case(5000, 7, 3);
        pieces_case(300000, 65536, 4);
        pieces_case(3000000, 1000000, 26);
}

TEST(deflater_flush, makes_everything_so_far_readable)
{
        struct buf gz = BUF_INIT(BUF_NO_LIMIT), back = BUF_INIT(1000);
        struct deflater *d = deflater_new(DEFLATER_GZIP);
        struct inflater *i = inflater_new();
        size_t at = 0;
        for (int k = 0; k < 3; k++) {
                deflater_add(d, STR("event: state\n\n"), &gz);
                deflater_flush(d, &gz);
                CHECK_OK(inflater_add(i, str_skip(buf_str(&gz), at), &back));
                at = gz.n;
                CHECK_U64(back.n, 14 * (k + 1));
        }
        deflater_end(d, &gz);
        CHECK_OK(inflater_add(i, str_skip(buf_str(&gz), at), &back));
        CHECK_OK(inflater_end(i));
        CHECK_U64(back.n, 42);
        inflater_free(i);
        deflater_free(d);
        buf_done(&gz);
        buf_done(&back);
}
