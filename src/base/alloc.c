/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

void bug_at(const char *file, int line, const char *fmt, ...)
{
        va_list ap;
        fprintf(stderr, "BUG: %s:%d: ", file, line);
        va_start(ap, fmt);
        vfprintf(stderr, fmt, ap);
        va_end(ap);
        fputc('\n', stderr);
        abort();
}

static void *must(void *p, size_t n)
{
        if (p || n == 0)
                return p;
        fprintf(stderr, "FATAL: out of memory (allocation of %zu bytes)\n", n);
        abort();
}

void *mem_alloc(size_t n)
{
        return must(malloc(n), n);
}

void *mem_zalloc(size_t n)
{
        return must(calloc(1, n), n);
}

void *mem_realloc(void *take_p, size_t n)
{
        if (n == 0)
                n = 1;          /* realloc(p, 0) would free */
        return must(realloc(take_p, n), n);
}

void *mem_realloc_array(void *take_p, size_t n, size_t size)
{
        size_t bytes;
        if (__builtin_mul_overflow(n, size, &bytes))
                bug("allocation of %zu * %zu bytes overflows", n, size);
        return mem_realloc(take_p, bytes);
}

void *mem_try_alloc(size_t n)
{
        return n > PTRDIFF_MAX ? NULL : malloc(n);
}

char *mem_strdup(const char *s)
{
        return mem_memdup(s, strlen(s) + 1);
}

void *mem_memdup(const void *p, size_t n)
{
        void *d = mem_alloc(n);
        if (n)
                memcpy(d, p, n);
        return d;
}
