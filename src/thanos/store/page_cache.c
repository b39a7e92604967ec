/* SPDX-License-Identifier: Apache-2.0 */
#include "thanos/store/page_cache.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/thread.h"

struct page_cache {
        uint64_t max_bytes;
        struct metric *requests[PAGE_N_KINDS], *hits[PAGE_N_KINDS], *added[PAGE_N_KINDS];
        struct metric *evicted, *items, *size;
        struct mutex mu; /* guards: */
        struct page **slots;
        size_t n_slots, n; /* n_slots is a power of two */
        uint64_t bytes;
        struct list lru; /* least recently used first */
};

static void metrics_init(struct page_cache *c, struct metric_registry *r)
{
        static const char *const kinds[PAGE_N_KINDS] = {"Postings", "Series"};
        static const char *const labels[] = {"item_type", NULL};
        struct metric_family *q = metric_family(r, METRIC_FAMILY_COUNTER, "thanos_store_index_cache_requests_total",
                                                "Total number of items requests to the cache.", labels);
        struct metric_family *h = metric_family(r, METRIC_FAMILY_COUNTER, "thanos_store_index_cache_hits_total",
                                                "Total number of items requests to the cache that were a hit.", labels);
        struct metric_family *a = metric_family(r, METRIC_FAMILY_COUNTER, "thanos_store_index_cache_items_added_total",
                                                "Total number of items that were added to the index cache.", labels);
        for (int i = 0; i < PAGE_N_KINDS; i++) {
                c->requests[i] = metric_with(q, (Str[]){str_from(kinds[i])});
                c->hits[i] = metric_with(h, (Str[]){str_from(kinds[i])});
                c->added[i] = metric_with(a, (Str[]){str_from(kinds[i])});
        }
        c->evicted = metric_counter(r, "thanos_store_index_cache_items_evicted_total",
                                    "Total number of items that were evicted from the index cache.");
        c->items = metric_gauge(r, "thanos_store_index_cache_items", "Current number of items in the index cache.");
        c->size = metric_gauge(r, "thanos_store_index_cache_items_size_bytes",
                               "Current byte size of items in the index cache.");
        metric_set(metric_gauge(r, "thanos_store_index_cache_max_size_bytes",
                                "Maximum number of bytes to be held in the index cache."),
                   (double)c->max_bytes);
}

struct page_cache *page_cache_new(uint64_t max_bytes, struct metric_registry *r)
{
        struct page_cache *c = mem_new(struct page_cache);
        c->max_bytes = max_bytes;
        c->n_slots = 1024;
        c->slots = mem_zalloc(c->n_slots * sizeof *c->slots);
        mutex_init(&c->mu);
        list_init(&c->lru);
        if (r)
                metrics_init(c, r);
        return c;
}

void page_unref(struct page *p)
{
        if (p && __atomic_sub_fetch(&p->refs, 1, __ATOMIC_SEQ_CST) == 0)
                free(p);
}

static struct page *page_ref(struct page *p)
{
        __atomic_add_fetch(&p->refs, 1, __ATOMIC_SEQ_CST);
        return p;
}

static size_t page_cost(const struct page *p)
{
        return sizeof *p + p->n;
}

static uint64_t slot_of(const struct page_cache *c, uint64_t block, uint64_t number)
{
        uint64_t h = (block * UINT64_C(0x9e3779b97f4a7c15)) ^ (number * UINT64_C(0xff51afd7ed558ccd));
        return (h ^ h >> 32) & (c->n_slots - 1);
}

static struct page **find_locked(struct page_cache *c, uint64_t block, uint64_t number)
{
        struct page **at = &c->slots[slot_of(c, block, number)];
        while (*at && ((*at)->block != block || (*at)->number != number))
                at = &(*at)->next;
        return at;
}

static void remove_locked(struct page_cache *c, struct page **at)
{
        struct page *p = *at;
        *at = p->next;
        list_remove(&p->lru);
        c->n--;
        c->bytes -= page_cost(p);
        page_unref(p);
}

static void grow_locked(struct page_cache *c)
{
        struct page **old = c->slots;
        size_t n_old = c->n_slots;
        c->n_slots *= 2;
        c->slots = mem_zalloc(c->n_slots * sizeof *c->slots);
        for (size_t i = 0; i < n_old; i++) {
                for (struct page *p = old[i], *next; p; p = next) {
                        next = p->next;
                        struct page **at = &c->slots[slot_of(c, p->block, p->number)];
                        p->next = *at;
                        *at = p;
                }
        }
        free(old);
}

static void tell_locked(struct page_cache *c)
{
        if (c->items) {
                metric_set(c->items, (double)c->n);
                metric_set(c->size, (double)c->bytes);
        }
}

void page_cache_free(struct page_cache *c)
{
        if (!c)
                return;
        LIST_EACH (l, &c->lru)
                page_unref(CONTAINER_OF(l, struct page, lru));
        free(c->slots);
        mutex_done(&c->mu);
        free(c);
}

struct page *page_cache_get(struct page_cache *c, uint64_t block, uint64_t number, enum page_kind what)
{
        mutex_lock(&c->mu);
        struct page *p = *find_locked(c, block, number);
        if (p) {
                page_ref(p);
                list_remove(&p->lru);
                list_push_back(&c->lru, &p->lru);
        }
        mutex_unlock(&c->mu);
        if (c->items) {
                metric_add(c->requests[what], 1);
                if (p)
                        metric_add(c->hits[what], 1);
        }
        return p;
}

struct page *page_cache_put(struct page_cache *c, uint64_t block, uint64_t number, const void *bytes, size_t n,
                            enum page_kind what)
{
        struct page *p = mem_alloc(sizeof *p + n);
        *p = (struct page){.block = block, .number = number, .refs = 1, .n = (uint32_t)n};
        memcpy(p->bytes, bytes, n);
        list_init(&p->lru);
        if (page_cost(p) > c->max_bytes)
                return p;
        mutex_lock(&c->mu);
        struct page **at = find_locked(c, block, number);
        if (*at) {
                struct page *there = page_ref(*at);
                mutex_unlock(&c->mu);
                page_unref(p);
                return there;
        }
        page_ref(p);
        *at = p;
        list_push_back(&c->lru, &p->lru);
        c->n++;
        c->bytes += page_cost(p);
        if (c->n > c->n_slots)
                grow_locked(c);
        size_t evicted = 0;
        for (; c->bytes > c->max_bytes; evicted++) {
                struct page *old = CONTAINER_OF(c->lru.next, struct page, lru);
                remove_locked(c, find_locked(c, old->block, old->number));
        }
        tell_locked(c);
        mutex_unlock(&c->mu);
        if (c->items) {
                metric_add(c->added[what], 1);
                metric_add(c->evicted, (double)evicted);
        }
        return p;
}

void page_cache_drop(struct page_cache *c, uint64_t block)
{
        mutex_lock(&c->mu);
        LIST_EACH (l, &c->lru) {
                struct page *p = CONTAINER_OF(l, struct page, lru);
                if (p->block == block)
                        remove_locked(c, find_locked(c, p->block, p->number));
        }
        tell_locked(c);
        mutex_unlock(&c->mu);
}

uint64_t page_cache_bytes(struct page_cache *c)
{
        mutex_lock(&c->mu);
        uint64_t n = c->bytes;
        mutex_unlock(&c->mu);
        return n;
}
