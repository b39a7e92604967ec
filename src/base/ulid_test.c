/* SPDX-License-Identifier: Apache-2.0 */
#include "base/ulid.h"

#include "base/hash.h"
#include "base/rand.h"
#include "base/test.h"

/* Example of the specification: the time 1469918176385 is 01ARYZ6S41. */
TEST(ulid, prints_its_time_as_the_specification_does)
{
        char text[ULID_TEXT_BYTES + 1];
        Ulid u = ulid_new(1469918176385);
        ulid_print(u, text);
        CHECK_STR(str_sub(str_from(text), 0, 10), "01ARYZ6S41");
        CHECK_I64(ulid_time_ms(u), 1469918176385);
}

TEST(ulid, parses_what_it_prints_and_refuses_the_rest)
{
        char text[ULID_TEXT_BYTES + 1];
        Ulid u, v;
        CHECK(ulid_parse(STR("01ARZ3NDEKTSV4RRFFQ69G5FAV"), &u));
        ulid_print(u, text);
        CHECK_STR(str_from(text), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
        CHECK(ulid_parse(STR("01arz3ndektsv4rrffq69g5fav"), &v));
        CHECK_I64(ulid_cmp(u, v), 0);
        CHECK(!ulid_parse(STR("01ARZ3NDEKTSV4RRFFQ69G5FA"), &v));
        CHECK(!ulid_parse(STR("01ARZ3NDEKTSV4RRFFQ69G5FAVX"), &v));
        CHECK(!ulid_parse(STR("01ARZ3NDEKTSV4RRFFQ69G5FAU"), &v));      /* U is not in the alphabet */
        CHECK(!ulid_parse(STR("81ARZ3NDEKTSV4RRFFQ69G5FAV"), &v));      /* more than 128 bits */
        CHECK(!ulid_parse(STR("chunks_head"), &v));
        CHECK(ulid_cmp(ulid_new(1), ulid_new(2)) < 0);
}

/* The test vectors of the reference implementation, seed 0. */
TEST(hash_bytes, is_xxh64)
{
        CHECK_U64(hash_bytes("", 0), 0xef46db3751d8e999);
        CHECK_U64(hash_bytes("a", 1), 0xd24ec4f1a98c6e5b);
        CHECK_U64(hash_bytes("abc", 3), 0x44bc2cf5ad770999);
        CHECK_U64(hash_fnv64a("", 0), 0xcbf29ce484222325);
        CHECK_U64(hash_fnv64a("a", 1), 0xaf63dc4c8601ec8c);
}

TEST(rand, is_the_same_for_the_same_seed)
{
        struct rand a = {.s = 1}, b = {.s = 1};
        for (int i = 0; i < 1000; i++) {
                CHECK_U64(rand_u64(&a), rand_u64(&b));
                double u = rand_unit(&a);
                CHECK(u >= 0 && u < 1);
                CHECK(rand_below(&a, 7) < 7);
                (void)rand_unit(&b);
                (void)rand_below(&b, 7);
        }
}
