/* SPDX-License-Identifier: Apache-2.0 */
/* arena.h — memory of one request, query, scrape or configuration: many small allocations, one release.
 *
 *   struct arena a;
 *   arena_init(&a, 256 << 20);
 *   Label *l = arena_array(&a, Label, n);
 *   arena_done(&a);
 *
 * The limit is the budget of the work. arena_alloc aborts past it (use it for sizes that our code bounds); arena_try_alloc returns NULL
 * (use it for sizes that come from input or data, and answer ERROR_LIMIT). One owner, no locking: parallel workers get an arena each. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/str.h"

struct arena_block;
struct arena {
        struct arena_block *blocks;     /* newest first */
        char *at, *end;                 /* free part of the newest block */
        size_t used_bytes;              /* sum of all blocks */
        size_t limit_bytes;
};

void arena_init(struct arena *a, size_t limit_bytes);
void arena_done(struct arena *a);
void arena_clear(struct arena *a);                              /* frees all but one block */
void *arena_alloc(struct arena *a, size_t n);                   /* 8-byte aligned, uninitialised */
void *arena_zalloc(struct arena *a, size_t n);
void *arena_try_alloc(struct arena *a, size_t n) MUST_CHECK;    /* NULL past the limit */
Str arena_str(struct arena *a, Str s);                          /* copies; the copy is NUL-terminated too */
char *arena_strdup(struct arena *a, const char *s);
Str arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

#define arena_new(a, type) ((type *)arena_zalloc((a), sizeof(type)))
#define arena_array(a, type, n) ((type *)arena_alloc((a), arena_array_bytes((n), sizeof(type))))
static inline size_t arena_array_bytes(size_t n, size_t size)
{
        size_t bytes;
        return __builtin_mul_overflow(n, size, &bytes) ? SIZE_MAX : bytes;
}

#endif
