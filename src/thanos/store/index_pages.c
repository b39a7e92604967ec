/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>

#include "thanos/store/store_impl.h"

static int range_cmp(const void *a, const void *b)
{
        const struct range *x = a, *y = b;
        return x->at < y->at ? -1 : x->at > y->at;
}

size_t ranges_join(struct range *r, size_t n, uint64_t gap, uint64_t max)
{
        if (n == 0)
                return 0;
        bool is_sorted = true;
        for (size_t i = 1; i < n && is_sorted; i++)
                is_sorted = r[i - 1].at <= r[i].at;
        if (!is_sorted)
                qsort(r, n, sizeof *r, range_cmp);
        size_t to = 0;
        for (size_t i = 1; i < n; i++) {
                uint64_t end = MAX(r[to].end, r[i].end);
                bool is_near = r[i].at <= r[to].end || (r[i].at - r[to].end <= gap && end - r[to].at <= max);
                if (is_near)
                        r[to].end = end;
                else
                        r[++to] = r[i];
        }
        return to + 1;
}

void index_pages_clear(struct index_pages *p)
{
        for (size_t i = 0; i < p->slots.n; i++)
                page_unref(p->slots.p[i].page);
        vec_clear(&p->slots);
        p->last = 0;
}

void index_pages_done(struct index_pages *p)
{
        index_pages_clear(p);
        vec_done(&p->slots);
}

static size_t slot_find(const struct index_pages *p, uint64_t number)
{
        size_t lo = 0, hi = p->slots.n;
        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                if (p->slots.p[mid].number < number)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo;
}

static int slot_cmp(const void *a, const void *b)
{
        const struct page_slot *x = a, *y = b;
        return x->number < y->number ? -1 : x->number > y->number;
}

/* --- reading parts --- */

struct part_job {
        struct index_pages *p;
        const struct range *parts; /* in pages */
        struct buf *bufs;
        struct error **errors;
};

static void part_step(void *ctx, size_t i, UNUSED int worker)
{
        struct part_job *j = ctx;
        const struct range *r = &j->parts[i];
        uint64_t n = (r->end - r->at) * PAGE_BYTES;
        buf_init(&j->bufs[i], n);
        (void)buf_reserve(&j->bufs[i], n); /* at once, not by growing */
        j->errors[i] = bucket_get_range(j->p->block->store->o.bucket, j->p->call, str_from(j->p->block->index_name),
                                        r->at * PAGE_BYTES, n, &j->bufs[i]);
}

enum { PART_PAGES_MAX = 256 }; /* 4 MiB: what one read brings at most, so that others can run beside it */

static struct error *pages_read(struct index_pages *p, const struct range *parts, size_t n, enum page_kind what)
{
        struct part_job j = {.p = p, .parts = parts};
        j.bufs = mem_zalloc(n * sizeof *j.bufs);
        j.errors = mem_zalloc(n * sizeof *j.errors);
        pool_each(n > 1 ? p->block->store->io : NULL, n, part_step, &j);
        struct error *e = NULL;
        for (size_t i = 0; i < n; i++) {
                e = error_join(e, j.errors[i]);
                for (uint64_t at = 0; !e && at < j.bufs[i].n; at += PAGE_BYTES) {
                        size_t bytes = MIN((size_t)PAGE_BYTES, j.bufs[i].n - at);
                        uint64_t number = parts[i].at + at / PAGE_BYTES;
                        struct page *page = page_cache_put(p->block->store->pages, p->block->cache_id, number,
                                                           j.bufs[i].p + at, bytes, what);
                        vec_push(&p->slots, (struct page_slot){number, page});
                        p->fetched_bytes += bytes;
                }
                buf_done(&j.bufs[i]);
        }
        free(j.bufs);
        free(j.errors);
        return e;
}

struct error *index_pages_fetch(struct index_pages *p, struct range *r, size_t n, enum page_kind what)
{
        for (size_t i = 0; i < n; i++) {
                r[i].at /= PAGE_BYTES;
                r[i].end = (r[i].end + PAGE_BYTES - 1) / PAGE_BYTES;
        }
        n = ranges_join(r, n, 0, UINT64_MAX);
        VEC(struct range) missing = VEC_INIT;
        size_t n_before = p->slots.n;
        for (size_t i = 0; i < n; i++) {
                for (uint64_t k = r[i].at; k < r[i].end; k++) {
                        size_t s = 0;
                        if (n_before) {
                                struct index_pages view = *p;
                                view.slots.n = n_before;
                                s = slot_find(&view, k);
                                if (s < n_before && p->slots.p[s].number == k)
                                        continue;
                        }
                        struct page *page = page_cache_get(p->block->store->pages, p->block->cache_id, k, what);
                        if (page) {
                                vec_push(&p->slots, (struct page_slot){k, page});
                        } else if (missing.n && missing.p[missing.n - 1].end == k &&
                                   k + 1 - missing.p[missing.n - 1].at <= PART_PAGES_MAX) {
                                missing.p[missing.n - 1].end = k + 1;
                        } else {
                                vec_push(&missing, (struct range){k, k + 1});
                        }
                }
        }
        struct error *e = NULL;
        if (missing.n) {
                /* Reading over a gap costs less than another request; pages of the gap that are there already come
                 * twice, which does no harm. */
                size_t parts =
                        ranges_join(missing.p, missing.n, p->block->store->o.gap_bytes / PAGE_BYTES, PART_PAGES_MAX);
                e = pages_read(p, missing.p, parts, what);
        }
        vec_done(&missing);
        if (p->slots.n)
                qsort(p->slots.p, p->slots.n, sizeof *p->slots.p, slot_cmp);
        size_t to = 0;
        for (size_t i = 0; i < p->slots.n; i++) {
                if (to && p->slots.p[to - 1].number == p->slots.p[i].number)
                        page_unref(p->slots.p[i].page);
                else
                        p->slots.p[to++] = p->slots.p[i];
        }
        p->slots.n = to;
        p->last = 0;
        return e;
}

static struct error *page_at(struct index_pages *p, uint64_t number, enum page_kind what, const struct page **ret)
{
        size_t i = p->last;
        if (i >= p->slots.n || p->slots.p[i].number != number)
                i = slot_find(p, number);
        if (i >= p->slots.n || p->slots.p[i].number != number) {
                struct range r = {number * PAGE_BYTES, number * PAGE_BYTES + 1};
                struct error *e = index_pages_fetch(p, &r, 1, what);
                if (e)
                        return e;
                i = slot_find(p, number);
                if (i >= p->slots.n || p->slots.p[i].number != number)
                        return error_new(ERROR_CORRUPT, "%s ends before byte %" PRIu64, p->block->index_name,
                                         number * PAGE_BYTES);
        }
        p->last = i;
        *ret = p->slots.p[i].page;
        return NULL;
}

struct error *index_pages_view(struct index_pages *p, uint64_t at, enum page_kind what, Str *ret)
{
        const struct page *page;
        struct error *e = page_at(p, at / PAGE_BYTES, what, &page);
        if (e)
                return e;
        if (at % PAGE_BYTES >= page->n)
                return error_new(ERROR_CORRUPT, "%s ends before byte %" PRIu64, p->block->index_name, at);
        *ret = str_skip((Str){(const char *)page->bytes, page->n}, at % PAGE_BYTES);
        return NULL;
}

struct error *index_pages_bytes(struct index_pages *p, uint64_t at, uint64_t n, enum page_kind what,
                                struct arena *arena, Str *ret)
{
        Str view;
        struct error *e = index_pages_view(p, at, what, &view);
        if (e)
                return e;
        if (n <= view.n) {
                *ret = str_sub(view, 0, n);
                return NULL;
        }
        char *to = arena_try_alloc(arena, n);
        if (!to)
                return store_over_budget(arena);
        for (uint64_t k = 0; k < n;) {
                e = index_pages_view(p, at + k, what, &view);
                if (e)
                        return e;
                size_t piece = MIN(view.n, (size_t)(n - k));
                memcpy(to + k, view.p, piece);
                k += piece;
        }
        *ret = (Str){to, n};
        return NULL;
}
