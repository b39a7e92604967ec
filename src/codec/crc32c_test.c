/* SPDX-License-Identifier: Apache-2.0 */
#include "codec/crc32c.h"

#include "base/alloc.h"
#include "base/rand.h"
#include "base/test.h"
#include "codec/crc32c_impl.h"

TEST(crc32c, check_values_of_rfc_3720)
{
        uint8_t bytes[32];
        CHECK_U64(crc32c(0, "123456789", 9), 0xe3069283);
        CHECK_U64(crc32c(0, "", 0), 0);
        memset(bytes, 0, 32);
        CHECK_U64(crc32c(0, bytes, 32), 0x8a9136aa);
        memset(bytes, 0xff, 32);
        CHECK_U64(crc32c(0, bytes, 32), 0x62a8ab43);
        for (int i = 0; i < 32; i++)
                bytes[i] = (uint8_t)i;
        CHECK_U64(crc32c(0, bytes, 32), 0x46dd794e);
        CHECK_U64(crc32c_portable(0, bytes, 32), 0x46dd794e);
}

TEST(crc32c, hardware_and_table_agree_at_every_length_and_alignment)
{
        enum { N = 10000 };
        uint8_t *bytes = mem_alloc(N);
        struct rand r = {.s = 3};
        for (size_t i = 0; i < N; i++)
                bytes[i] = (uint8_t)rand_u64(&r);
        for (size_t n = 0; n <= 1300; n++) {
                size_t at = n % 9;
                CHECK_U64(crc32c((uint32_t)n, bytes + at, n), crc32c_portable((uint32_t)n, bytes + at, n));
        }
        for (size_t n = 3000; n <= N; n += 61)
                CHECK_U64(crc32c(7, bytes, n), crc32c_portable(7, bytes, n));
        free(bytes);
}

TEST(crc32c, goes_on_from_what_came_before)
{
        char text[5000];
        memset(text, 'x', sizeof text);
        for (size_t cut = 0; cut <= sizeof text; cut += 487)
                CHECK_U64(crc32c(crc32c(0, text, cut), text + cut, sizeof text - cut), crc32c(0, text, sizeof text));
}
