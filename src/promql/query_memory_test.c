/* SPDX-License-Identifier: Apache-2.0 */
#include "promql/query_memory.h"

#include "base/test.h"

#define MB ((size_t)1 << 20)

TEST(query_memory, ends_the_largest_query_and_lets_the_others_go_on)
{
        struct query_memory *m = query_memory_new(10 * MB);
        struct query_hold small, large, late;
        query_memory_enter(m, &small);
        query_memory_enter(m, &large);
        CHECK_OK(query_memory_hold(m, &small, 3 * MB));
        CHECK_OK(query_memory_hold(m, &large, 6 * MB));
        CHECK_OK(query_memory_hold(m, &small, 4 * MB));         /* ten are allowed */
        CHECK_OK(query_memory_hold(m, &small, 5 * MB));         /* eleven: the other one ends */
        CHECK_ERROR(query_memory_hold(m, &large, 6 * MB),
                    "all queries together need more than the 10485760 bytes of memory that they may use: this one, which needs 6291456, was the "
                    "largest of them");
        CHECK_I64((int64_t)query_memory_held(m), (int64_t)(5 * MB));
        query_memory_enter(m, &late);
        CHECK_OK(query_memory_hold(m, &late, 4 * MB));
        query_memory_leave(m, &large);
        CHECK_OK(query_memory_hold(m, &late, 0));
        query_memory_leave(m, &late);
        CHECK_I64((int64_t)query_memory_held(m), (int64_t)(5 * MB));
        query_memory_leave(m, &small);
        query_memory_leave(m, &small);
        CHECK_I64((int64_t)query_memory_held(m), 0);
        query_memory_free(m);
}

TEST(query_memory, ends_a_query_that_alone_is_too_large)
{
        struct query_memory *m = query_memory_new(MB);
        struct query_hold h;
        query_memory_enter(m, &h);
        CHECK_OK(query_memory_hold(m, &h, 1));
        struct error *e = query_memory_hold(m, &h, SIZE_MAX);
        CHECK(error_is(e, ERROR_LIMIT));
        error_free(e);
        query_memory_leave(m, &h);
        CHECK_I64((int64_t)query_memory_held(m), 0);
        query_memory_free(m);
}

TEST(query_memory, without_a_ceiling_only_counts)
{
        struct query_memory *m = query_memory_new(0);
        struct query_hold h;
        query_memory_enter(m, &h);
        CHECK_OK(query_memory_hold(m, &h, (size_t)1 << 60));
        CHECK_I64((int64_t)query_memory_held(m), INT64_C(1) << 60);
        query_memory_leave(m, &h);
        query_memory_free(m);
}
