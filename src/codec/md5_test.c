/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/md5.h"

#include <stdio.h>

#include "base/test.h"

static void md5_case(Str in, const char *want)
{
        uint8_t sum[16];
        char hex[33];
        md5(in, sum);
        for (int i = 0; i < 16; i++)
                snprintf(hex + 2 * i, 3, "%02x", sum[i]);
        CHECK_STR(str_from(hex), want);
}

TEST(md5, gives_the_sums_of_rfc_1321)
{
        md5_case(STR(""), "d41d8cd98f00b204e9800998ecf8427e");
        md5_case(STR("a"), "0cc175b9c0f1b6a831c399e269772661");
        md5_case(STR("abc"), "900150983cd24fb0d6963f7d28e17f72");
        md5_case(STR("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
        md5_case(STR("abcdefghijklmnopqrstuvwxyz"), "c3fcd3d76192e4007dfb496cca67e13b");
        md5_case(STR("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"),
                 "d174ab98d277d9f5a5611c2c9f419d9f");
        md5_case(STR("12345678901234567890123456789012345678901234567890123456789012345678901234567890"),
                 "57edf4a22be3c955ac49da2e2107b67a");
}
