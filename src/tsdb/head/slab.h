/* SPDX-License-Identifier: Apache-2.0 */
/* slab.h — small blocks in size classes, cut from pages: what belongs to a series lies here, not on the general heap.
 *
 *   void *p = slab_alloc(&s, n);  slab_free(&s, p, n);         the caller remembers n
 *
 * A page holds blocks of one class; when all of them are free any class may have it. Chunks of many series grow in
 * step, so what one class gives up the next one takes. Free pages keep their memory until slab_trim. Threads: any. */
#ifndef TSDB_HEAD_SLAB_H
#define TSDB_HEAD_SLAB_H

#include "base/list.h"
#include "base/thread.h"
#include "base/vec.h"

enum { SLAB_FINE_MAX = 256, SLAB_MAX = 2048, SLAB_CLASSES = SLAB_FINE_MAX / 8 + (SLAB_MAX - SLAB_FINE_MAX) / 64 + 1 };
struct slab_page;
struct slab {
        struct mutex mu;                   /* guards all below */
        struct list partial[SLAB_CLASSES]; /* pages with a free block */
        struct list empty;                 /* pages of no class */
        VEC(char *) regions;
        char *at, *end;       /* pages never used, of the newest region */
        uint64_t bytes;       /* regions, and blocks above SLAB_MAX */
        uint64_t empty_bytes; /* of these, pages of no class */
};
void slab_init(struct slab *s);
void slab_done(struct slab *s); /* blocks above SLAB_MAX must have been freed */
void *slab_alloc(struct slab *s, size_t n);
void slab_free(struct slab *s, void *p, size_t n); /* NULL is fine */
/* Gives the memory of free pages back to the system, but for a reserve. Returns bytes. */
uint64_t slab_trim(struct slab *s);
uint64_t slab_bytes(struct slab *s);               /* in use, pages by whole */

/* Some blocks of each class at hand of one thread, so that many threads rarely meet at the lock.
 *   struct slab_local l;  slab_local_init(&l, &s);  …  slab_local_done(&l);      gives back what is at hand
 * Blocks may be freed elsewhere than where they were made. Threads: one owner. */
struct slab_local {
        struct slab *of;
        struct {
                void *free;
                uint32_t n;
        } at_hand[SLAB_CLASSES];
};
void slab_local_init(struct slab_local *l, struct slab *of);
void slab_local_done(struct slab_local *l);
void *slab_local_alloc(struct slab_local *l, size_t n);
void slab_local_free(struct slab_local *l, void *p, size_t n); /* NULL is fine */

#endif
