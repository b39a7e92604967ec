/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdlib.h>

#include "base/test.h"

TEST(buf, grows_and_prints)
{
        struct buf b = BUF_INIT(1 << 20);
        buf_puts(&b, "a");
        buf_putc(&b, '=');
        buf_put_u64(&b, UINT64_MAX);
        buf_putc(&b, ' ');
        buf_put_i64(&b, INT64_MIN);
        buf_printf(&b, " %s %d", "x", 7);
        CHECK_STR(buf_str(&b), "a=18446744073709551615 -9223372036854775808 x 7");
        CHECK_STR(str_from(buf_cstr(&b)), "a=18446744073709551615 -9223372036854775808 x 7");
        buf_drop_front(&b, 2);
        CHECK_STR(str_sub(buf_str(&b), 0, 4), "1844");
        buf_done(&b);
}

TEST(buf, takes_nothing_past_its_limit_and_remembers)
{
        struct buf b = BUF_INIT(10);
        buf_puts(&b, "0123456789");
        CHECK(!buf_is_over(&b));
        buf_putc(&b, 'x');
        CHECK(buf_is_over(&b));
        CHECK_U64(b.n, 10);
        buf_puts(&b, "more");
        buf_printf(&b, "%d", 1);
        CHECK_U64(b.n, 10);
        CHECK(!buf_reserve(&b, 1));
        buf_clear(&b);
        CHECK(!buf_is_over(&b));
        buf_puts(&b, "again");
        CHECK_STR(buf_str(&b), "again");
        buf_done(&b);
}

TEST(buf, reserve_gives_room_without_counting_it)
{
        struct buf b = BUF_INIT(BUF_NO_LIMIT);
        char *p = buf_reserve(&b, 100000);
        CHECK(p);
        memset(p, 'z', 100000);
        CHECK_U64(b.n, 0);
        b.n += 100000;
        CHECK(!buf_reserve(&b, SIZE_MAX - 10));         /* would wrap */
        CHECK(buf_is_over(&b));
        buf_done(&b);
}

TEST(buf, take_hands_the_bytes_over)
{
        struct buf b = BUF_INIT(100);
        buf_puts(&b, "text");
        char *s = buf_take(&b);
        CHECK_STR(str_from(s), "text");
        CHECK_U64(b.n, 0);
        free(s);
        s = buf_take(&b);               /* of an empty one: an empty string, not NULL */
        CHECK_STR(str_from(s), "");
        free(s);
        buf_done(&b);
}
