/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/head/slab.h"

#include <string.h>

enum { PAGE_BYTES = 256 * 1024 };

static size_t class_of(size_t n, size_t *ret_bytes)
{
        if (n <= SLAB_FINE_MAX) {
                size_t c = n ? (n + 7) / 8 : 1;
                *ret_bytes = c * 8;
                return c - 1;
        }
        size_t c = (n - SLAB_FINE_MAX + 63) / 64;
        *ret_bytes = SLAB_FINE_MAX + c * 64;
        return SLAB_FINE_MAX / 8 + c - 1;
}

void slab_init(struct slab *s)
{
        *s = (struct slab){.at = NULL};
        mutex_init(&s->mu);
}

void slab_done(struct slab *s)
{
        for (size_t i = 0; i < s->pages.n; i++)
                free(s->pages.p[i]);
        vec_done(&s->pages);
        mutex_done(&s->mu);
}

void *slab_alloc(struct slab *s, size_t n)
{
        void *p;
        mutex_lock(&s->mu);
        if (n > SLAB_MAX) {
                s->bytes += n;
                p = mem_alloc(n);
                goto out;
        }
        size_t bytes, c = class_of(n, &bytes);
        p = s->free[c];
        if (p) {
                memcpy(&s->free[c], p, sizeof(void *));
                goto out;
        }
        if ((size_t)(s->end - s->at) < bytes) {
                s->at = mem_alloc(PAGE_BYTES);
                s->end = s->at + PAGE_BYTES;
                s->bytes += PAGE_BYTES;
                vec_push(&s->pages, s->at);
        }
        p = s->at;
        s->at += bytes;
out:
        mutex_unlock(&s->mu);
        return p;
}

void slab_free(struct slab *s, void *p, size_t n)
{
        if (!p)
                return;
        mutex_lock(&s->mu);
        if (n > SLAB_MAX) {
                s->bytes -= n;
                free(p);
        } else {
                size_t bytes, c = class_of(n, &bytes);
                memcpy(p, &s->free[c], sizeof(void *));
                s->free[c] = p;
        }
        mutex_unlock(&s->mu);
}

uint64_t slab_bytes(struct slab *s)
{
        mutex_lock(&s->mu);
        uint64_t n = s->bytes;
        mutex_unlock(&s->mu);
        return n;
}
