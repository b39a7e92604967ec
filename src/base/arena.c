/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/alloc.h"

enum { FIRST_BLOCK_BYTES = 4096, MAX_BLOCK_BYTES = 1 << 20 };

struct arena_block {
        struct arena_block *next;
        size_t size;                    /* with this header */
};

void arena_init(struct arena *a, size_t limit_bytes)
{
        *a = (struct arena){.limit_bytes = limit_bytes};
}

static void free_blocks(struct arena_block *b)
{
        while (b) {
                struct arena_block *next = b->next;
                free(b);
                b = next;
        }
}

void arena_done(struct arena *a)
{
        free_blocks(a->blocks);
        arena_init(a, a->limit_bytes);
}

void arena_clear(struct arena *a)
{
        struct arena_block *keep = a->blocks;
        if (!keep || keep->size > MAX_BLOCK_BYTES) {
                arena_done(a);
                return;
        }
        free_blocks(keep->next);
        keep->next = NULL;
        a->at = (char *)(keep + 1);
        a->end = (char *)keep + keep->size;
        a->used_bytes = keep->size;
}

void *arena_try_alloc(struct arena *a, size_t n)
{
        if (UNLIKELY(n > PTRDIFF_MAX - 64))
                return NULL;
        n = (n + 7) & ~(size_t)7;
        if (LIKELY((size_t)(a->end - a->at) >= n && a->at)) {
                void *p = a->at;
                a->at += n;
                return p;
        }
        /* Blocks double up to a bound, so that a small request costs little and a large one few calls. A large piece gets a block of its
         * own size behind the current one, whose free part stays in use. */
        size_t want = a->used_bytes < FIRST_BLOCK_BYTES ? FIRST_BLOCK_BYTES : a->used_bytes;
        if (want > MAX_BLOCK_BYTES)
                want = MAX_BLOCK_BYTES;
        size_t need = n + sizeof(struct arena_block);
        bool own = need > want / 2 && a->blocks;
        size_t size = own || need > want ? need : want;
        if (a->used_bytes > a->limit_bytes || size > a->limit_bytes - a->used_bytes) {
                size = need;            /* near the limit: just what is asked for */
                if (a->used_bytes > a->limit_bytes || size > a->limit_bytes - a->used_bytes)
                        return NULL;
        }
        struct arena_block *b = mem_try_alloc(size);
        if (!b)
                return NULL;
        b->size = size;
        a->used_bytes += size;
        if (own) {
                b->next = a->blocks->next;
                a->blocks->next = b;
                return b + 1;
        }
        b->next = a->blocks;
        a->blocks = b;
        a->at = (char *)(b + 1) + n;
        a->end = (char *)b + size;
        return b + 1;
}

void *arena_alloc(struct arena *a, size_t n)
{
        void *p = arena_try_alloc(a, n);
        if (!p)
                bug("arena: %zu bytes asked for, %zu of %zu in use", n, a->used_bytes, a->limit_bytes);
        return p;
}

void *arena_zalloc(struct arena *a, size_t n)
{
        return memset(arena_alloc(a, n), 0, n);
}

Str arena_str(struct arena *a, Str s)
{
        char *p = arena_alloc(a, s.n + 1);
        if (s.n)
                memcpy(p, s.p, s.n);
        p[s.n] = '\0';
        return (Str){p, s.n};
}

char *arena_strdup(struct arena *a, const char *s)
{
        return (char *)arena_str(a, str_from(s)).p;
}

Str arena_printf(struct arena *a, const char *fmt, ...)
{
        va_list ap, again;
        va_start(ap, fmt);
        va_copy(again, ap);
        int n = vsnprintf(NULL, 0, fmt, ap);
        va_end(ap);
        if (n < 0)
                n = 0;
        char *p = arena_alloc(a, (size_t)n + 1);
        vsnprintf(p, (size_t)n + 1, fmt, again);
        va_end(again);
        return (Str){p, (size_t)n};
}
