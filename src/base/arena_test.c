/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include "base/test.h"

TEST(arena, gives_aligned_memory_that_does_not_overlap)
{
        struct arena a;
        arena_init(&a, 64 << 20);
        char *p[1000];
        for (size_t i = 0; i < ARRAY_LEN(p); i++) {
                p[i] = arena_alloc(&a, i * 37 % 5000 + 1);
                CHECK_U64((uintptr_t)p[i] % 8, 0);
                memset(p[i], (int)(i % 251), i * 37 % 5000 + 1);
        }
        for (size_t i = 0; i < ARRAY_LEN(p); i++) {
                for (size_t k = 0; k < i * 37 % 5000 + 1; k++)
                        CHECK_U64((unsigned char)p[i][k], i % 251);
        }
        arena_done(&a);
}

TEST(arena, try_alloc_says_no_past_the_limit)
{
        struct arena a;
        arena_init(&a, 1 << 20);
        CHECK(!arena_try_alloc(&a, 2 << 20));
        CHECK(!arena_try_alloc(&a, SIZE_MAX));
        CHECK(!arena_try_alloc(&a, arena_array_bytes(SIZE_MAX / 4, 8)));
        size_t got = 0;
        while (arena_try_alloc(&a, 1000))
                got += 1000;
        CHECK_MSG(got > (1 << 19) && got <= (1 << 20), "%zu bytes of a limit of 1 MiB", got);
        arena_clear(&a);
        CHECK(arena_try_alloc(&a, 1000));
        arena_done(&a);
}

TEST(arena, copies_strings_with_a_nul_behind)
{
        struct arena a;
        arena_init(&a, 1 << 20);
        Str s = arena_str(&a, STR("a\0b"));
        CHECK_U64(s.n, 3);
        CHECK_U64((unsigned char)s.p[3], 0);
        CHECK_STR(arena_printf(&a, "%d-%s", 5, "x"), "5-x");
        CHECK_STR(str_from(arena_strdup(&a, "dup")), "dup");
        char *z = arena_zalloc(&a, 100);
        for (int i = 0; i < 100; i++)
                CHECK_U64((unsigned char)z[i], 0);
        arena_done(&a);
}
