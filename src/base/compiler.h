/* SPDX-License-Identifier: Apache-2.0 */
/* compiler.h — the attributes and small macros that every file may use. */
#ifndef BASE_COMPILER_H
#define BASE_COMPILER_H

#include <stddef.h>

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, first) __attribute__((format(printf, fmt, first)))
#define NO_RETURN __attribute__((noreturn))
#define UNUSED __attribute__((unused))
#define LIKELY(x) __builtin_expect(!!(x), 1)
#define UNLIKELY(x) __builtin_expect(!!(x), 0)
#define CACHE_LINE_BYTES 64

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr) - offsetof(type, member)))

#define MIN(a, b)                   \
        ({                          \
                __auto_type a_ = (a); \
                __auto_type b_ = (b); \
                a_ < b_ ? a_ : b_;  \
        })
#define MAX(a, b)                   \
        ({                          \
                __auto_type a_ = (a); \
                __auto_type b_ = (b); \
                a_ > b_ ? a_ : b_;  \
        })

/* Our own fault: prints "BUG: file:line: text" and aborts. A broken disk or peer is an error, never a bug. */
#define bug(...) bug_at(__FILE__, __LINE__, __VA_ARGS__)
NO_RETURN void bug_at(const char *file, int line, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
