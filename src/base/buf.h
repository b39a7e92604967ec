/* SPDX-License-Identifier: Apache-2.0 */
/* buf.h — a growing byte buffer that is born with its limit.
 *
 *   struct buf b = BUF_INIT(64 << 20);
 *   buf_puts(&b, "up 1\n");
 *   if (buf_is_over(&b)) return error_new(ERROR_LIMIT, ...);
 *   use(buf_str(&b));  buf_done(&b);
 *
 * Past its limit a buffer takes nothing more and remembers that (buf_is_over): builders need not check each step, only the end.
 * One owner, no locking. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>

#include "base/str.h"

struct buf {
        char *p;
        size_t n;               /* bytes in use */
        size_t cap;
        size_t limit;           /* n never exceeds it */
        bool over;
};
#define BUF_INIT(max) {.p = NULL, .n = 0, .cap = 0, .limit = (max), .over = false}
#define BUF_NO_LIMIT ((size_t)PTRDIFF_MAX)              /* for output whose size our own code bounds */

void buf_init(struct buf *b, size_t limit);
void buf_done(struct buf *b);                           /* frees; leaves it empty and usable */
void buf_clear(struct buf *b);                          /* empties, keeps memory, forgets buf_is_over */
/* Room for n more bytes at b->p + b->n, or NULL past the limit (then buf_is_over). Advance b->n yourself. */
char *buf_reserve(struct buf *b, size_t n);
void buf_append(struct buf *b, const void *p, size_t n);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_vprintf(struct buf *b, const char *fmt, va_list ap);
void buf_put_u64(struct buf *b, uint64_t v);            /* decimal */
void buf_put_i64(struct buf *b, int64_t v);
char *buf_take(struct buf *b);                          /* heap, NUL-terminated; the buffer is empty after */
const char *buf_cstr(struct buf *b);                    /* NUL-terminated view; the NUL is not counted */
void buf_drop_front(struct buf *b, size_t n);           /* moves the rest to the front */

static inline bool buf_is_over(const struct buf *b)
{
        return b->over;
}

static inline Str buf_str(const struct buf *b)
{
        return (Str){b->p, b->n};
}

static inline void buf_putc(struct buf *b, char c)
{
        if (LIKELY(b->n < b->cap && b->n < b->limit && !b->over)) {
                b->p[b->n++] = c;
                return;
        }
        buf_append(b, &c, 1);
}

static inline void buf_put(struct buf *b, Str s)
{
        buf_append(b, s.p, s.n);
}

static inline void buf_puts(struct buf *b, const char *cstr)
{
        buf_append(b, cstr, strlen(cstr));
}

#endif
