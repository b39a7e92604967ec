/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/snappy_frame.h"

#include "base/rand.h"
#include "base/test.h"

static void roundtrip(Str in, size_t packed_max)
{
        struct buf packed = BUF_INIT(BUF_NO_LIMIT), out = BUF_INIT(in.n);
        snappy_frame_compress(in, &packed);
        CHECK_MSG(packed.n <= packed_max, "%zu bytes became %zu", in.n, packed.n);
        CHECK_OK(snappy_frame_uncompress(buf_str(&packed), &out));
        CHECK_STRS(buf_str(&out), in);
        buf_done(&packed);
        buf_done(&out);
}

TEST(snappy_frame, gives_back_what_it_took)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        roundtrip(STR(""), 0);
        roundtrip(STR("a"), 30);
        for (int i = 0; i < 300000; i++)
                buf_putc(&b, (char)("abcd"[i & 3]));
        roundtrip(buf_str(&b), 20000);
        struct rand r = {7};
        for (size_t i = 0; i < b.n; i++)
                b.p[i] = (char)rand_u64(&r);
        roundtrip(buf_str(&b), b.n + 10 + 8 * 5);
        roundtrip((Str){b.p, 65536}, 65536 + 18);
        roundtrip((Str){b.p, 65537}, 65537 + 26);
        buf_done(&b);
}

/* Identifier; a plain chunk of 9 bytes: the masked checksum (crc32c 0x9a71bb4c, rotated and added to), then the text.
 */
TEST(snappy_frame, is_the_framing_format_byte_by_byte)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        snappy_frame_compress(STR("hello"), &b);
        static const char want[] = "\xff\x06\x00\x00sNaPpY\x01\x09\x00\x00\xbb\x1f\x1c\x19hello";
        CHECK_STRS(buf_str(&b), ((Str){want, sizeof want - 1}));
        buf_done(&b);
}

static void refused(Str in, const char *why)
{
        struct buf out = BUF_INIT(1 << 20);
        CHECK_ERROR(snappy_frame_uncompress(in, &out), why);
        buf_done(&out);
}
#define BYTES(s) ((Str){(s), sizeof(s) - 1})
#define START    "\xff\x06\x00\x00sNaPpY"

TEST(snappy_frame, refuses_garbage)
{
        refused(BYTES("\x00\x00\x00\x00"), "snappy: stream identifier is missing");
        refused(BYTES("\xff\x06\x00\x00sNaPpX"), "snappy: stream identifier is wrong");
        refused(BYTES(START "\x01"), "snappy: chunk head is cut short");
        refused(BYTES(START "\x01\x09\x00\x00"
                            "abcd"),
                "snappy: chunk is cut short");
        refused(BYTES(START "\x01\x03\x00\x00"
                            "abc"),
                "snappy: chunk is too short");
        refused(BYTES(START "\x01\x05\x00\x00"
                            "abcde"),
                "snappy: checksum mismatch");
        refused(BYTES(START "\x02\x00\x00\x00"), "snappy: chunk type 0x02 is unknown");
        refused(BYTES(START "\x00\x0b\x00\x00"
                            "crc!\xff\xff\xff\x0f"
                            "abc"),
                ""); /* claims 32 MiB */
}

TEST(snappy_frame, skips_padding_and_repeated_identifiers)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT), out = BUF_INIT(100);
        snappy_frame_compress(STR("one"), &b);
        buf_append(&b, "\xfe\x03\x00\x00xyz\x80\x00\x00\x00", 11);
        snappy_frame_compress(STR("two"), &b);
        CHECK_OK(snappy_frame_uncompress(buf_str(&b), &out));
        CHECK_STR(buf_str(&out), "onetwo");
        buf_done(&b);
        buf_done(&out);
}

TEST(snappy_frame, stops_at_the_limit_of_the_output)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT), packed = BUF_INIT(BUF_NO_LIMIT), out = BUF_INIT(100000);
        while (b.n < 200000)
                buf_puts(&b, "aaaaaaaaaa");
        snappy_frame_compress(buf_str(&b), &packed);
        struct error *e = snappy_frame_uncompress(buf_str(&packed), &out);
        CHECK(error_is(e, ERROR_LIMIT));
        error_free(e);
        buf_done(&b);
        buf_done(&packed);
        buf_done(&out);
}
