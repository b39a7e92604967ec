/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/head/slab.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE_BYTES = 32 * 1024, REGION_BYTES = 1 << 20, TRIM_RESERVE_BYTES = 1 << 20 };
struct slab_page {        /* in the beginning of the page, which is aligned to its size */
        struct list link; /* in partial or empty; alone when it is full */
        void *free;
        uint32_t used, fresh; /* blocks given out; offset of what was never given out */
};

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
        list_init(&s->empty);
        for (size_t i = 0; i < SLAB_CLASSES; i++)
                list_init(&s->partial[i]);
}

void slab_done(struct slab *s)
{
        for (size_t i = 0; i < s->regions.n; i++)
                free(s->regions.p[i]);
        vec_done(&s->regions);
        mutex_done(&s->mu);
}

static struct slab_page *page_take(struct slab *s)
{
        struct slab_page *page;
        if (!list_is_empty(&s->empty)) {
                page = CONTAINER_OF(s->empty.next, struct slab_page, link);
                list_remove(&page->link);
                s->empty_bytes -= PAGE_BYTES;
        } else {
                if (s->at == s->end) {
                        s->at = aligned_alloc(PAGE_BYTES, REGION_BYTES);
                        if (!s->at)
                                bug("out of memory");
                        s->end = s->at + REGION_BYTES;
                        s->bytes += REGION_BYTES;
                        s->empty_bytes += REGION_BYTES;
                        vec_push(&s->regions, s->at);
                }
                page = (struct slab_page *)(void *)s->at;
                s->at += PAGE_BYTES;
                s->empty_bytes -= PAGE_BYTES;
        }
        *page = (struct slab_page){.fresh = sizeof *page};
        list_init(&page->link);
        return page;
}

static void *block_take_locked(struct slab *s, size_t c, size_t bytes)
{
        struct slab_page *page;
        if (list_is_empty(&s->partial[c])) {
                page = page_take(s);
                list_push_front(&s->partial[c], &page->link);
        } else {
                page = CONTAINER_OF(s->partial[c].next, struct slab_page, link);
        }
        void *p = page->free;
        if (p) {
                memcpy(&page->free, p, sizeof(void *));
        } else {
                p = (char *)page + page->fresh;
                page->fresh += (uint32_t)bytes;
        }
        page->used++;
        if (!page->free && page->fresh + bytes > PAGE_BYTES)
                list_remove(&page->link);
        return p;
}

static void block_give_locked(struct slab *s, void *p, size_t c, size_t bytes)
{
        struct slab_page *page = (struct slab_page *)(void *)((uintptr_t)p & ~(uintptr_t)(PAGE_BYTES - 1));
        bool was_full = !page->free && page->fresh + bytes > PAGE_BYTES;
        memcpy(p, &page->free, sizeof(void *));
        page->free = p;
        if (--page->used == 0) {
                list_remove(&page->link);
                list_push_front(&s->empty, &page->link);
                s->empty_bytes += PAGE_BYTES;
        } else if (was_full) {
                list_push_back(&s->partial[c], &page->link);
        }
}

void *slab_alloc(struct slab *s, size_t n)
{
        mutex_lock(&s->mu);
        if (n > SLAB_MAX) {
                s->bytes += n;
                mutex_unlock(&s->mu);
                return mem_alloc(n);
        }
        size_t bytes, c = class_of(n, &bytes);
        void *p = block_take_locked(s, c, bytes);
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
                block_give_locked(s, p, c, bytes);
        }
        mutex_unlock(&s->mu);
}

/* Some free pages that still have their memory, behind the reserve; they are nobody's until they are put back. */
static size_t take_to_trim(struct slab *s, struct slab_page **v, size_t most)
{
        uint64_t kept = 0;
        size_t n = 0;
        mutex_lock(&s->mu);
        for (struct list *l = s->empty.next, *next; n < most && l != &s->empty; l = next) {
                struct slab_page *page = CONTAINER_OF(l, struct slab_page, link);
                next = l->next;
                if (!page->fresh || (kept += PAGE_BYTES) <= TRIM_RESERVE_BYTES) /* 0: given back already */
                        continue;
                list_remove(l);
                s->empty_bytes -= PAGE_BYTES;
                v[n++] = page;
        }
        mutex_unlock(&s->mu);
        return n;
}

/* The head of a page is in it, and stays: the system takes back whole pages of its own behind it. */
uint64_t slab_trim(struct slab *s)
{
        struct slab_page *v[64]; /* at once: others want the lock */
        size_t own = (size_t)sysconf(_SC_PAGESIZE), bytes = own < PAGE_BYTES ? PAGE_BYTES - own : 0;
        uint64_t given = 0;
        for (size_t n; bytes && (n = take_to_trim(s, v, ARRAY_LEN(v))) > 0;) {
                for (size_t i = 0; i < n; i++) {
                        if (madvise((char *)v[i] + own, bytes, MADV_DONTNEED) == 0)
                                given += bytes;
                        v[i]->fresh = 0; /* tried; it is taken last from now on */
                }
                mutex_lock(&s->mu);
                for (size_t i = 0; i < n; i++)
                        list_push_back(&s->empty, &v[i]->link);
                s->empty_bytes += n * PAGE_BYTES;
                mutex_unlock(&s->mu);
        }
        return given;
}

uint64_t slab_bytes(struct slab *s)
{
        mutex_lock(&s->mu);
        uint64_t n = s->bytes - s->empty_bytes;
        mutex_unlock(&s->mu);
        return n;
}

/* ---- at hand ---- */

enum { AT_HAND_BYTES = 4096 }; /* of a class, taken at once; twice as much is held at most */

void slab_local_init(struct slab_local *l, struct slab *of)
{
        *l = (struct slab_local){.of = of};
}

/* Leaves keep blocks of the class. */
static void give_back(struct slab_local *l, size_t c, size_t bytes, uint32_t keep)
{
        mutex_lock(&l->of->mu);
        while (l->at_hand[c].n > keep) {
                void *p = l->at_hand[c].free;
                memcpy(&l->at_hand[c].free, p, sizeof(void *));
                l->at_hand[c].n--;
                block_give_locked(l->of, p, c, bytes);
        }
        mutex_unlock(&l->of->mu);
}

void slab_local_done(struct slab_local *l)
{
        for (size_t c = 0; c < SLAB_CLASSES; c++) {
                size_t bytes = c < SLAB_FINE_MAX / 8 ? (c + 1) * 8 : SLAB_FINE_MAX + (c - SLAB_FINE_MAX / 8 + 1) * 64;
                if (l->at_hand[c].n)
                        give_back(l, c, bytes, 0);
        }
}

void *slab_local_alloc(struct slab_local *l, size_t n)
{
        if (n > SLAB_MAX)
                return slab_alloc(l->of, n);
        size_t bytes, c = class_of(n, &bytes);
        if (!l->at_hand[c].n) {
                void *got[AT_HAND_BYTES / 8];
                uint32_t want = (uint32_t)MAX(AT_HAND_BYTES / bytes, (size_t)2);
                mutex_lock(&l->of->mu);
                for (uint32_t i = 0; i < want; i++)
                        got[i] = block_take_locked(l->of, c, bytes);
                mutex_unlock(&l->of->mu);
                for (uint32_t i = want; i-- > 0;) { /* they go out in the order of their addresses */
                        memcpy(got[i], &l->at_hand[c].free, sizeof(void *));
                        l->at_hand[c].free = got[i];
                }
                l->at_hand[c].n = want;
        }
        void *p = l->at_hand[c].free;
        memcpy(&l->at_hand[c].free, p, sizeof(void *));
        l->at_hand[c].n--;
        return p;
}

void slab_local_free(struct slab_local *l, void *p, size_t n)
{
        if (!p)
                return;
        if (n > SLAB_MAX) {
                slab_free(l->of, p, n);
                return;
        }
        size_t bytes, c = class_of(n, &bytes);
        memcpy(p, &l->at_hand[c].free, sizeof(void *));
        l->at_hand[c].free = p;
        uint32_t most = 2 * (uint32_t)MAX(AT_HAND_BYTES / bytes, (size_t)2);
        if (++l->at_hand[c].n > most)
                give_back(l, c, bytes, most / 2);
}
