/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <stdio.h>

#include "base/alloc.h"

void buf_init(struct buf *b, size_t limit)
{
        *b = (struct buf)BUF_INIT(limit);
}

void buf_done(struct buf *b)
{
        free(b->p);
        *b = (struct buf)BUF_INIT(b->limit);
}

void buf_clear(struct buf *b)
{
        b->n = 0;
        b->over = false;
}

char *buf_reserve(struct buf *b, size_t n)
{
        if (b->over || UNLIKELY(n > b->limit - b->n)) {
                b->over = true;
                return NULL;
        }
        if (b->cap - b->n < n) {
                size_t cap = b->cap < 32 ? 64 : b->cap * 2;
                if (cap < b->n + n)
                        cap = b->n + n;
                if (cap > b->limit)
                        cap = b->limit;
                b->p = mem_realloc(b->p, cap);
                b->cap = cap;
        }
        return b->p + b->n;
}

void buf_append(struct buf *b, const void *p, size_t n)
{
        if (n == 0)
                return;
        char *to = buf_reserve(b, n);
        if (!to)
                return;
        memcpy(to, p, n);
        b->n += n;
}

void buf_vprintf(struct buf *b, const char *fmt, va_list ap)
{
        char small[256];
        va_list again;
        va_copy(again, ap);
        int n = vsnprintf(small, sizeof small, fmt, ap);
        if (n >= 0 && (size_t)n < sizeof small) {
                buf_append(b, small, (size_t)n);
        } else if (n >= 0) {
                char *big = mem_alloc((size_t)n + 1);
                vsnprintf(big, (size_t)n + 1, fmt, again);
                buf_append(b, big, (size_t)n);
                free(big);
        }
        va_end(again);
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
        va_list ap;
        va_start(ap, fmt);
        buf_vprintf(b, fmt, ap);
        va_end(ap);
}

void buf_put_u64(struct buf *b, uint64_t v)
{
        char digits[20];
        size_t at = sizeof digits;
        do {
                digits[--at] = (char)('0' + v % 10);
                v /= 10;
        } while (v);
        buf_append(b, digits + at, sizeof digits - at);
}

void buf_put_i64(struct buf *b, int64_t v)
{
        if (v < 0)
                buf_putc(b, '-');
        buf_put_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

const char *buf_cstr(struct buf *b)
{
        if (b->n == b->cap) {
                b->cap = b->n + 1;
                b->p = mem_realloc(b->p, b->cap);
        }
        b->p[b->n] = '\0';
        return b->p;
}

char *buf_take(struct buf *b)
{
        buf_cstr(b);
        char *p = b->p;
        b->p = NULL;
        b->n = b->cap = 0;
        b->over = false;
        return p;
}

void buf_drop_front(struct buf *b, size_t n)
{
        memmove(b->p, b->p + n, b->n - n);
        b->n -= n;
}
