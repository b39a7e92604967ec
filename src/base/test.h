/* SPDX-License-Identifier: Apache-2.0 */
/* test.h — unit tests on cmocka: a TEST registers itself, a folder's test program runs them all.
 *
 *   TEST(str_cut, splits_at_the_first_separator)
 *   {
 *           CHECK_STR(head, "a");
 *   }
 *
 * Both values are printed on failure. test_skip("why") ends a test as skipped; the run prints "SKIP name: why".
 * Only *_test.c files include this. */
#ifndef BASE_TEST_H
#define BASE_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/str.h"

void test_register(const char *name, void (*fn)(void **state));

#define TEST(subject, behaviour)                                                        \
        static void test_##subject##_##behaviour(void **state);                         \
        __attribute__((constructor)) static void reg_##subject##_##behaviour(void)      \
        {                                                                               \
                test_register(#subject ": " #behaviour, test_##subject##_##behaviour);  \
        }                                                                               \
        static void test_##subject##_##behaviour(UNUSED void **state)

void check_str_at(Str got, Str want, const char *file, int line);
void check_i64_at(int64_t got, int64_t want, const char *file, int line);
void check_u64_at(uint64_t got, uint64_t want, const char *file, int line);
void check_f64_at(double got, double want, const char *file, int line);
void check_ok_at(struct error *take_e, const char *file, int line);
void check_error_at(struct error *take_e, const char *text, const char *file, int line);
NO_RETURN void check_fail_at(const char *file, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);

#define CHECK(cond) ((cond) ? (void)0 : check_fail_at(__FILE__, __LINE__, "failed: %s", #cond))
#define CHECK_MSG(cond, ...) ((cond) ? (void)0 : check_fail_at(__FILE__, __LINE__, __VA_ARGS__))
#define CHECK_STR(got, want) check_str_at((got), str_from(want), __FILE__, __LINE__)    /* Str against a C string */
#define CHECK_STRS(got, want) check_str_at((got), (want), __FILE__, __LINE__)           /* Str against Str */
#define CHECK_I64(got, want) check_i64_at((got), (want), __FILE__, __LINE__)
#define CHECK_U64(got, want) check_u64_at((got), (want), __FILE__, __LINE__)
#define CHECK_F64(got, want) check_f64_at((got), (want), __FILE__, __LINE__)            /* bits equal, or both NaN */
#define CHECK_OK(e) check_ok_at((e), __FILE__, __LINE__)
#define CHECK_ERROR(e, text) check_error_at((e), (text), __FILE__, __LINE__)            /* exact text; "" accepts any error */

/* Ends the running test as skipped. */
NO_RETURN void test_skip(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* A fresh empty directory below TMPDIR, removed when the test program ends. Borrowed. */
const char *test_dir(void);
/* ../shared/conformance/SUB if it is there (or below $COEUS_SHARED), else the test is skipped. Heap, owned by the caller. */
char *conformance_path(const char *sub);
/* Skips the test if that is not there: for the first line of a test that makes things before it comes to its data, which a skip would leak. */
void conformance_need(const char *sub);
/* ../shared/conformance, or NULL. Borrowed. */
const char *conformance_dir(void);

#endif
