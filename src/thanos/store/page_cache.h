/* SPDX-License-Identifier: Apache-2.0 */
/* page_cache.h — pages of indexes that lie in a bucket, in memory within a budget; the one not used for longest goes
 * first.
 *
 *   struct page_cache *c = page_cache_new(250 << 20, registry);
 *   struct page *p = page_cache_get(c, block, number);      NULL: not there
 *   p = page_cache_put(c, block, number, bytes, n);         a copy is kept; the reference is the caller's
 *   page_unref(p);
 *
 * Postings and series entries are small and lie together: pages cost one allocation and one look-up for many of them. A
 * page that was pushed out lives as long as its references. Threads: any. */
#ifndef THANOS_STORE_PAGE_CACHE_H
#define THANOS_STORE_PAGE_CACHE_H

#include "base/list.h"
#include "base/metric.h"

enum { PAGE_BYTES = 16 << 10 };
struct page {
        struct list lru;
        struct page *next; /* of its hash chain */
        uint64_t block, number;
        int refs;   /* atomic; the cache has one */
        uint32_t n; /* less than PAGE_BYTES at the end of the object */
        uint8_t bytes[];
};
struct page_cache;
enum page_kind { PAGE_POSTINGS, PAGE_SERIES, PAGE_N_KINDS };

struct page_cache *page_cache_new(uint64_t max_bytes, struct metric_registry *r); /* r may be NULL */
void page_cache_free(struct page_cache *c);                                       /* NULL is fine */
struct page *page_cache_get(struct page_cache *c, uint64_t block, uint64_t number, enum page_kind what);
struct page *page_cache_put(struct page_cache *c, uint64_t block, uint64_t number, const void *bytes, size_t n,
                            enum page_kind what);
void page_unref(struct page *p);
void page_cache_drop(struct page_cache *c, uint64_t block); /* all pages of a block that is gone */
uint64_t page_cache_bytes(struct page_cache *c);

#endif
