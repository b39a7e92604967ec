/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/block/tombstones.h"

#include <inttypes.h>

#include "base/test.h"

static void check_add(const struct interval *in, size_t n, const char *want)
{
        struct tombstones t = TOMBSTONES_INIT, again;
        for (size_t i = 0; i < n; i++)
                tombstones_add(&t, 7, in[i]);
        struct buf b = BUF_INIT(1 << 20), file = BUF_INIT(1 << 20);
        tombstones_print(&file, &t);
        CHECK_OK(tombstones_parse(buf_str(&file), &again));
        size_t got;
        const struct interval *d = tombstones_get(&again, 7, &got);
        for (size_t i = 0; i < got; i++)
                buf_printf(&b, "%" PRId64 "-%" PRId64 " ", d[i].mint_ms, d[i].maxt_ms);
        CHECK_STR(buf_str(&b), want);
        buf_done(&b);
        buf_done(&file);
        tombstones_done(&t);
        tombstones_done(&again);
}
#define ADD(want, ...)                                                                                                 \
        check_add((const struct interval[]){__VA_ARGS__}, ARRAY_LEN(((const struct interval[]){__VA_ARGS__})), want)

TEST(tombstones, joins_what_touches)
{
        ADD("1-2 ", {1, 2});
        ADD("1-2 5-6 ", {5, 6}, {1, 2});
        ADD("1-4 ", {1, 2}, {3, 4});
        ADD("1-9 ", {1, 2}, {5, 6}, {2, 9});
        ADD("1-2 4-9 20-30 ", {1, 2}, {20, 30}, {8, 9}, {4, 8});
        ADD("-5-40 ", {1, 2}, {20, 30}, {-5, 40});
        ADD("1-2 ", {1, 2}, {9, 8});
        ADD("-9223372036854775808-9223372036854775807 ", {INT64_MIN, -1}, {0, INT64_MAX});
}

TEST(tombstones, bytes_as_the_original)
{
        struct tombstones t = TOMBSTONES_INIT;
        struct buf b = BUF_INIT(100);
        tombstones_print(&b, &t);
        CHECK_STRS(buf_str(&b), STR("\x01\x30\xba\x30\x01\0\0\0\0"));
        buf_done(&b);
}

TEST(tombstones, finds_by_reference)
{
        struct tombstones t = TOMBSTONES_INIT;
        for (uint64_t i = 0; i < 100; i++)
                tombstones_add(&t, i * 37 % 100 * 2, (struct interval){(TimeMs)i, (TimeMs)i});
        size_t n;
        for (uint64_t i = 0; i < 200; i++)
                CHECK((tombstones_get(&t, i, &n) != NULL) == (i % 2 == 0));
        CHECK_U64(tombstones_count(&t), 100);
        tombstones_done(&t);
}
