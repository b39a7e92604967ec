/* SPDX-License-Identifier: Apache-2.0 */
/* slab.h — small blocks in size classes, cut from large pages: what belongs to a series lies here, not on the general
 * heap.
 *
 *   void *p = slab_alloc(&s, n);  slab_free(&s, p, n);         the caller remembers n
 *
 * Pages are given back only by slab_done. Threads: any. */
#ifndef TSDB_HEAD_SLAB_H
#define TSDB_HEAD_SLAB_H

#include "base/thread.h"
#include "base/vec.h"

enum { SLAB_FINE_MAX = 256, SLAB_MAX = 2048, SLAB_CLASSES = SLAB_FINE_MAX / 8 + (SLAB_MAX - SLAB_FINE_MAX) / 64 + 1 };
struct slab {
        struct mutex mu; /* guards all below */
        void *free[SLAB_CLASSES];
        VEC(char *) pages;
        char *at, *end;
        uint64_t bytes; /* pages, and blocks above SLAB_MAX */
};
void slab_init(struct slab *s);
void slab_done(struct slab *s); /* blocks above SLAB_MAX must have been freed */
void *slab_alloc(struct slab *s, size_t n);
void slab_free(struct slab *s, void *p, size_t n); /* NULL is fine */
uint64_t slab_bytes(struct slab *s);

#endif
