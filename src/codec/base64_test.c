/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/base64.h"

#include "base/rand.h"
#include "base/test.h"

static void encodes(const char *plain, const char *coded)
{
        struct buf b = BUF_INIT(100);
        buf_put_base64(&b, str_from(plain));
        CHECK_STR(buf_str(&b), coded);
        buf_clear(&b);
        CHECK(base64_decode(str_from(coded), &b));
        CHECK_STR(buf_str(&b), plain);
        buf_done(&b);
}

TEST(base64, vectors_of_rfc_4648)
{
        encodes("", "");
        encodes("f", "Zg==");
        encodes("fo", "Zm8=");
        encodes("foo", "Zm9v");
        encodes("foob", "Zm9vYg==");
        encodes("fooba", "Zm9vYmE=");
        encodes("foobar", "Zm9vYmFy");
        encodes("user:p\xff\xfe?", "dXNlcjpw//4/");
}

TEST(base64, decoding_skips_line_breaks_and_refuses_the_rest)
{
        struct buf b = BUF_INIT(100);
        CHECK(base64_decode(STR("Zm9v\r\nYmFy\n"), &b));
        CHECK_STR(buf_str(&b), "foobar");
        static const char *const bad[] = {
                "Z", "Zg", "Zg=", "Zg===", "=", "====", "Z===", "Zm9v=", "Zg==Zg==", "Zm 9v", "Zm9-", "Zm9vY"};
        for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
                CHECK_MSG(!base64_decode(str_from(bad[i]), &b), "accepted %s", bad[i]);
                CHECK_STR(buf_str(&b), "foobar");
        }
        buf_done(&b);
}
