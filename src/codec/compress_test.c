/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/compress.h"

#include <zlib.h>

#include "base/alloc.h"
#include "base/rand.h"
#include "base/test.h"

/* Text of exposition's kind, n bytes: repetitive, not too much. */
static struct buf sample_text(size_t n)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        struct rand r = {.s = n};
        while (b.n < n)
                buf_printf(&b, "http_requests_total{code=\"%d\",job=\"api\"} %d\n", (int)rand_below(&r, 600),
                           (int)rand_below(&r, 100000));
        b.n = n;
        return b;
}

static struct buf zlib_gzip(Str in, int level)
{
        struct buf out = BUF_INIT(BUF_NO_LIMIT);
        z_stream z = {0};
        CHECK(deflateInit2(&z, level, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
        size_t cap = deflateBound(&z, in.n);
        z.next_in = (Bytef *)in.p;
        z.avail_in = (uInt)in.n;
        z.next_out = (Bytef *)buf_reserve(&out, cap);
        z.avail_out = (uInt)cap;
        CHECK(deflate(&z, Z_FINISH) == Z_STREAM_END);
        out.n = z.total_out;
        deflateEnd(&z);
        return out;
}

static void zlib_reads(Str in, int window_bits, Str want)
{
        char *to = mem_alloc(want.n + 1);
        z_stream z = {.next_in = (Bytef *)in.p,
                      .avail_in = (uInt)in.n,
                      .next_out = (Bytef *)to,
                      .avail_out = (uInt)want.n + 1};
        CHECK(inflateInit2(&z, window_bits) == Z_OK);
        CHECK(inflate(&z, Z_FINISH) == Z_STREAM_END);
        CHECK(str_eq((Str){to, z.total_out}, want) && z.avail_in == 0);
        inflateEnd(&z);
        free(to);
}

static const size_t sizes[] = {0, 1, 2, 100, 4095, 70000, 1000000};

TEST(compress, every_format_gives_back_what_went_in)
{
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
                struct buf text = sample_text(sizes[i]), packed = BUF_INIT(BUF_NO_LIMIT), out = BUF_INIT(1000003);
                buf_puts(&out, "at");
                Str in = buf_str(&text);
                for (int kind = 0; kind < 3; kind++) {
                        buf_clear(&packed);
                        out.n = 2;
                        if (kind == 0) {
                                snappy_compress_block(in, &packed);
                                CHECK_OK(snappy_uncompress_block(buf_str(&packed), &out));
                        } else if (kind == 1) {
                                CHECK_OK(zstd_compress(in, 1, &packed));
                                CHECK_OK(zstd_uncompress(buf_str(&packed), &out));
                        } else {
                                gzip_compress(in, &packed);
                                CHECK_OK(gzip_uncompress(buf_str(&packed), &out));
                        }
                        CHECK_MSG(str_eq(str_skip(buf_str(&out), 2), in), "kind %d size %zu", kind, sizes[i]);
                }
                buf_done(&text);
                buf_done(&packed);
                buf_done(&out);
        }
}

TEST(compress, zlib_reads_our_gzip_and_deflate)
{
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
                struct buf text = sample_text(sizes[i]), packed = BUF_INIT(BUF_NO_LIMIT);
                gzip_compress(buf_str(&text), &packed);
                zlib_reads(buf_str(&packed), 15 + 16, buf_str(&text));
                buf_clear(&packed);
                deflate_compress(buf_str(&text), &packed);
                zlib_reads(buf_str(&packed), 15, buf_str(&text));
                buf_done(&text);
                buf_done(&packed);
        }
}

TEST(inflater, takes_members_of_zlib_in_pieces_of_any_size)
{
        struct rand r = {.s = 5};
        for (int level = 0; level <= 9; level += 3)
                for (size_t size = 0; size < 3; size++) {
                        struct buf a = sample_text((size_t[]){0, 300, 90000}[size]), all = BUF_INIT(BUF_NO_LIMIT),
                                   want = BUF_INIT(BUF_NO_LIMIT);
                        for (int member = 0; member < 3; member++) {
                                struct buf z = zlib_gzip(buf_str(&a), level);
                                buf_put(&all, buf_str(&z));
                                buf_put(&want, buf_str(&a));
                                buf_done(&z);
                        }
                        struct inflater *i = inflater_new();
                        for (size_t step = 1; step < 100000; step = step * 3 + rand_below(&r, 5)) {
                                struct buf out = BUF_INIT(BUF_NO_LIMIT);
                                inflater_reset(i);
                                for (Str rest = buf_str(&all); rest.n > 0; rest = str_skip(rest, MIN(step, rest.n)))
                                        CHECK_OK(inflater_add(i, (Str){rest.p, MIN(step, rest.n)}, &out));
                                CHECK_OK(inflater_end(i));
                                CHECK_MSG(str_eq(buf_str(&out), buf_str(&want)), "level %d, %zu bytes, pieces of %zu",
                                          level, a.n, step);
                                buf_done(&out);
                        }
                        inflater_free(i);
                        buf_done(&a);
                        buf_done(&all);
                        buf_done(&want);
                }
}

TEST(gzip_uncompress, names_what_is_wrong)
{
        struct buf text = sample_text(5000), z = zlib_gzip(buf_str(&text), 6), out = BUF_INIT(1 << 20);
        for (size_t n = 0; n < z.n; n++, buf_clear(&out))
                CHECK_ERROR(gzip_uncompress((Str){z.p, n}, &out), n ? "unexpected EOF" : "EOF");
        CHECK_ERROR(gzip_uncompress(STR("plain text, no gzip at all"), &out), "gzip: invalid header");
        z.p[z.n - 6] ^= 1;
        CHECK_ERROR(gzip_uncompress(buf_str(&z), &out), "gzip: invalid checksum");
        z.p[z.n - 6] ^= 1;
        buf_puts(&z, "trailing garbage");
        CHECK_ERROR(gzip_uncompress(buf_str(&z), &out), "gzip: invalid header");
        buf_done(&text);
        buf_done(&z);
        buf_done(&out);
}

TEST(compress, bombs_stop_at_the_limit)
{
        struct buf text = BUF_INIT(BUF_NO_LIMIT), z = BUF_INIT(BUF_NO_LIMIT);
        memset(buf_reserve(&text, 8 << 20), 'a', 8 << 20);
        text.n = 8 << 20;
        for (int kind = 0; kind < 3; kind++)
                for (size_t spare = 0; spare < 2; spare++) {
                        struct buf out = BUF_INIT((8 << 20) - 1 + spare);
                        buf_clear(&z);
                        struct error *e;
                        if (kind == 0) {
                                snappy_compress_block(buf_str(&text), &z);
                                e = snappy_uncompress_block(buf_str(&z), &out);
                        } else if (kind == 1) {
                                CHECK_OK(zstd_compress(buf_str(&text), 1, &z));
                                e = zstd_uncompress(buf_str(&z), &out);
                        } else {
                                gzip_compress(buf_str(&text), &z);
                                e = gzip_uncompress(buf_str(&z), &out);
                        }
                        CHECK_MSG(spare ? e == NULL : error_is(e, ERROR_LIMIT), "kind %d: %s", kind, error_str(e));
                        error_free(e);
                        buf_done(&out);
                }
        buf_done(&text);
        buf_done(&z);
}

TEST(compress, garbage_is_refused)
{
        struct buf out = BUF_INIT(1 << 30);
        CHECK_ERROR(snappy_uncompress_block(STR(""), &out), "snappy: corrupt input");
        CHECK_ERROR(snappy_uncompress_block(STR("\xff\xff\xff\xff\x03"), &out),
                    "snappy: corrupt input"); /* one GiB in five bytes */
        CHECK_ERROR(snappy_uncompress_block(STR("\x05\x10"
                                                "ab"),
                                            &out),
                    "snappy: corrupt input");
        CHECK(out.cap < 1 << 20);
        CHECK_OK(snappy_uncompress_block(STR("\0"), &out));
        CHECK_ERROR(zstd_uncompress(STR(""), &out), "unexpected EOF");
        CHECK_ERROR(zstd_uncompress(STR("no zstd"), &out), "");
        struct buf z = BUF_INIT(1000);
        CHECK_OK(zstd_compress(STR("hello hello hello"), 1, &z));
        for (size_t n = 1; n < z.n; n++)
                CHECK_ERROR(zstd_uncompress((Str){z.p, n}, &out), "");
        buf_done(&z);
        buf_done(&out);
        struct buf tiny = BUF_INIT(10);
        gzip_compress(STR("does not fit there"), &tiny);
        CHECK(buf_is_over(&tiny));
        buf_done(&tiny);
}
