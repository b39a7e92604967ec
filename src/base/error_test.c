/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/test.h"

static ERROR_SENTINEL(error_sample, ERROR_INVALID, "a sentinel");

TEST(error, wraps_outside_in_and_keeps_its_kind)
{
        struct error *e = error_new(ERROR_CORRUPT, "record %d", 3);
        e = error_wrap(e, "segment %08u", 12u);
        e = error_wrap(e, "open wal");
        CHECK(error_is(e, ERROR_CORRUPT));
        CHECK_ERROR(e, "open wal: segment 00000012: record 3");
}

TEST(error, of_errno_has_the_kind_that_callers_ask_for)
{
        struct error *e = error_errno(ENOENT, "open %s", "/x");
        CHECK(error_is(e, ERROR_NOT_FOUND));
        CHECK_ERROR(e, "open /x: no such file or directory");
        e = error_errno(EEXIST, "x");
        CHECK(error_is(e, ERROR_EXISTS));
        error_free(e);
        e = error_errno(ENOSPC, "x");
        CHECK(error_is(e, ERROR_IO));
        CHECK_ERROR(e, "x: no space left on device");
}

TEST(error, sentinel_is_freed_and_wrapped_without_harm)
{
        error_free(&error_sample);
        struct error *e = error_wrap(&error_sample, "series %d", 1);
        CHECK(e != &error_sample && error_is(e, ERROR_INVALID));
        CHECK_ERROR(e, "series 1: a sentinel");
        CHECK_STR(str_from(error_str(&error_sample)), "a sentinel");
}

TEST(error, join_takes_either_or_both)
{
        CHECK(!error_join(NULL, NULL));
        CHECK_ERROR(error_join(error_new(ERROR_IO, "a"), NULL), "a");
        CHECK_ERROR(error_join(NULL, error_new(ERROR_IO, "b")), "b");
        struct error *e = error_join(error_new(ERROR_LIMIT, "a"), error_new(ERROR_IO, "b"));
        CHECK(error_is(e, ERROR_LIMIT));
        struct error *copy = error_dup(e);
        error_free(e);
        CHECK_ERROR(copy, "a; b");
        CHECK(!error_is(NULL, ERROR_IO));
        CHECK_STR(str_from(error_str(NULL)), "");
}
