/* SPDX-License-Identifier: Apache-2.0 */
/* The series of one block, in the order of their full labels.
 *
 * Series come from the index in batches: entries by pages, labels from the symbols of the index-header, chunks by
 * windows when they are asked for.
 *
 * Order. A block is sorted by the labels of its index; what is given out has the external labels added. That changes
 * the order in one case only: a series whose labels are the beginning of another's, which goes on with a name before
 * the last external one: {a="1"} {a="1",b="2"}        with c="x":        {a="1",b="2",c="x"} {a="1",c="x"} So such a
 * series waits until those it is the beginning of have passed: a stack no deeper than labels are long. Where labels are
 * taken away or replaced any order may come out: then all series of the block are read first, and sorted. */
#include <inttypes.h>

#include "base/hash.h"
#include "codec/crc32c.h"
#include "codec/varint.h"
#include "thanos/store/store_impl.h"

enum { ENTRY_GUESS_BYTES = 1024, NEXT_CHUNK_MAX_BYTES = 64 << 10, CHUNK_STEP_MAX_BYTES = 1 << 20 };
#define STREAM_ARENA_BYTES ((size_t)1 << 30)

struct held {
        struct stream_series s;
        Labels inner; /* as in the index */
};
typedef VEC(struct stream_series) SeriesVec;
struct block_stream {
        struct store_block *b;
        const struct index_header *h; /* NULL: not got */
        const struct store_request *r;
        const struct bucket_call *c;
        struct store_limits *limits;
        uint64_t window_bytes;
        size_t batch_series;
        Labels external;   /* replica labels taken out */
        Str last_external; /* greatest name of it */
        bool sorts_all;

        struct arena life; /* postings, external labels */
        struct store_postings postings;
        size_t at; /* next of postings */
        struct index_pages pages;

        struct arena batch[2]; /* of this batch and the one before: what is held crosses over */
        unsigned turn;
        SeriesVec series; /* ready, in order */
        size_t next;
        VEC(struct held) stack;
        struct index_near *near;
        uint64_t last_ref_at; /* chunk whose size the next series tells: index in open */
        struct stream_chunk *open;

        struct arena window; /* chunks of series[window_first … window_end) */
        struct chunk_window *bytes;
        struct store_chunk *chunks;
        size_t window_first, window_end, chunk_at;
};

struct error *store_over_budget(const struct arena *a)
{
        return error_new(ERROR_LIMIT, "memory limit of %zu bytes reached while selecting series", a->limit_bytes);
}

struct error *store_call_check(const struct bucket_call *c)
{
        if (c && c->cancel && __atomic_load_n(c->cancel, __ATOMIC_SEQ_CST))
                return error_new(ERROR_CANCELLED, "context canceled");
        if (c && c->deadline_ms && time_mono_ms() >= c->deadline_ms)
                return error_new(ERROR_TIMEOUT, "context deadline exceeded");
        return NULL;
}

static bool is_without(const struct store_request *r, Str name)
{
        for (size_t i = 0; i < r->n_without; i++)
                if (str_eq(r->without[i], name))
                        return true;
        return false;
}

static void set_external(struct block_stream *s)
{
        Labels all = store_block_external(s->b);
        Label *l = arena_array(&s->life, Label, all.n + 1);
        size_t n = 0;
        for (size_t i = 0; i < all.n; i++)
                if (!is_without(s->r, all.v[i].name))
                        l[n++] = all.v[i];
        s->external = (Labels){l, n};
        s->last_external = n ? l[n - 1].name : (Str){0};
        const struct index_reader *ix = index_header_index(s->h);
        for (size_t i = 0; i < all.n; i++)
                s->sorts_all |= index_find_name(ix, all.v[i].name) >= 0;
        for (size_t i = 0; i < s->r->n_without; i++)
                s->sorts_all |= index_find_name(ix, s->r->without[i]) >= 0;
}

struct error *block_stream_new(struct store_block *b, const struct store_request *r, const struct matcher *const *m,
                               size_t n_m, const struct bucket_call *c, struct store_limits *limits,
                               uint64_t window_bytes, size_t n_streams, struct block_stream **ret)
{
        struct block_stream *s = mem_new(struct block_stream);
        s->b = store_block_ref(b);
        s->r = r;
        s->c = c;
        s->limits = limits;
        /* With many blocks open at once each holds fewer series. */
        size_t share = MAX(b->store->o.series_all / MAX(n_streams, (size_t)1), b->store->o.series_least);
        s->batch_series = MIN(b->store->o.series_batch, share);
        s->window_bytes = window_bytes;
        arena_init(&s->life, STREAM_ARENA_BYTES);
        arena_init(&s->batch[0], STREAM_ARENA_BYTES);
        arena_init(&s->batch[1], STREAM_ARENA_BYTES);
        arena_init(&s->window, STREAM_ARENA_BYTES);
        s->pages = (struct index_pages){.block = b, .call = c};
        struct arena scratch;
        arena_init(&scratch, STREAM_ARENA_BYTES);
        struct error *e = store_block_header(b, c, &s->h);
        if (!e) {
                set_external(s);
                struct store_postings found;
                e = store_postings_find(b, s->h, &s->pages, m, n_m, limits, &scratch, &found);
                if (!e) {
                        /* Only the references are kept: lists and bitmaps go. */
                        uint32_t *refs = arena_try_alloc(&s->life, (found.n + 1) * sizeof *refs);
                        const struct matcher **rest = arena_try_alloc(&s->life, (found.n_rest + 1) * sizeof *rest);
                        if (!refs || !rest) {
                                e = store_over_budget(&s->life);
                        } else {
                                if (found.n)
                                        memcpy(refs, found.refs, found.n * sizeof *refs);
                                if (found.n_rest)
                                        memcpy(rest, found.rest, found.n_rest * sizeof *rest);
                                s->postings = (struct store_postings){refs, found.n, rest, found.n_rest};
                                if (!found.n_rest)
                                        e = store_limit_series(limits, found.n);
                        }
                        if (b->store->m.touched[DATA_POSTINGS]) {
                                metric_observe(b->store->m.touched[DATA_POSTINGS], (double)found.n);
                                metric_observe(b->store->m.fetched_bytes[DATA_POSTINGS],
                                               (double)s->pages.fetched_bytes);
                        }
                }
        }
        arena_done(&scratch);
        index_pages_clear(&s->pages);
        if (e) {
                block_stream_free(s);
                return e;
        }
        *ret = s;
        return NULL;
}

void block_stream_free(struct block_stream *s)
{
        if (!s)
                return;
        chunk_window_free(s->bytes);
        index_pages_done(&s->pages);
        vec_done(&s->series);
        vec_done(&s->stack);
        free(s->near);
        arena_done(&s->life);
        arena_done(&s->batch[0]);
        arena_done(&s->batch[1]);
        arena_done(&s->window);
        if (s->h)
                store_block_header_put(s->b);
        store_block_unref(s->b);
        free(s);
}

/* --- labels --- */

/* inner with the external labels, which win; without replica labels. */
static struct error *full_labels(const struct block_stream *s, Labels inner, struct arena *a, Labels *ret)
{
        if (!s->external.n && !s->sorts_all) {
                *ret = inner;
                return NULL;
        }
        Label *l = arena_try_alloc(a, (inner.n + s->external.n + 1) * sizeof *l);
        if (!l)
                return store_over_budget(a);
        size_t n = 0, i = 0, k = 0;
        while (i < inner.n || k < s->external.n) {
                int c = i == inner.n ? 1 : k == s->external.n ? -1 : str_cmp(inner.v[i].name, s->external.v[k].name);
                if (c < 0) {
                        if (!s->sorts_all || !is_without(s->r, inner.v[i].name))
                                l[n++] = inner.v[i];
                        i++;
                } else {
                        l[n++] = s->external.v[k++];
                        i += c == 0;
                }
        }
        *ret = (Labels){l, n};
        return NULL;
}

static bool is_beginning(Labels a, Labels b)
{
        if (a.n >= b.n)
                return false;
        for (size_t i = 0; i < a.n; i++)
                if (!str_eq(a.v[i].name, b.v[i].name) || !str_eq(a.v[i].value, b.v[i].value))
                        return false;
        return true;
}

static void release_top(struct block_stream *s)
{
        struct held top = vec_pop(&s->stack);
        vec_push(&s->series, top.s);
}

static void put_in_order(struct block_stream *s, Labels inner, const struct stream_series *x)
{
        if (s->sorts_all || !s->external.n) {
                vec_push(&s->series, *x);
                return;
        }
        while (s->stack.n) {
                Labels top = s->stack.p[s->stack.n - 1].inner;
                if (is_beginning(top, inner) && str_cmp(inner.v[top.n].name, s->last_external) < 0)
                        break;
                release_top(s);
        }
        if (inner.n == 0 || str_cmp(inner.v[inner.n - 1].name, s->last_external) < 0)
                vec_push(&s->stack, (struct held){*x, inner});
        else
                vec_push(&s->series, *x);
}

/* --- reading entries --- */

static struct error *entry_bytes(struct block_stream *s, uint64_t at, struct arena *scratch, Str *ret)
{
        Str view;
        struct error *e = index_pages_view(&s->pages, at, PAGE_SERIES, &view);
        if (!e && view.n < VARINT_MAX_BYTES)
                e = index_pages_bytes(&s->pages, at, VARINT_MAX_BYTES, PAGE_SERIES, scratch, &view);
        if (e)
                return e;
        struct cursor c = cursor_of(view);
        uint64_t n = take_uvarint(&c), head = (uint64_t)((const char *)c.p - view.p), end;
        uint64_t first = index_header_series_at(s->h, &end);
        if (c.bad || at < first || n > end - at)
                return error_new(ERROR_CORRUPT, "series: the one at %" PRIu64 " reaches past the section", at);
        Str all = view;
        if (head + n + 4 > view.n && (e = index_pages_bytes(&s->pages, at, head + n + 4, PAGE_SERIES, scratch, &all)))
                return e;
        const char *p = all.p + head;
        if (crc32c(0, p, n) != get_be32(p + n))
                return error_new(ERROR_CORRUPT, "series: invalid checksum at %" PRIu64, at);
        *ret = (Str){p, n};
        return NULL;
}

/* Chunks within the time of the request; the size of each by where the next one begins. */
static struct error *take_chunks(struct block_stream *s, const struct index_chunk *k, size_t n, struct arena *a,
                                 struct stream_series *x)
{
        if (s->open && n && k[0].ref >> 32 == s->open->ref >> 32 && k[0].ref > s->open->ref &&
            k[0].ref - s->open->ref <= NEXT_CHUNK_MAX_BYTES)
                s->open->bytes = (uint32_t)(k[0].ref - s->open->ref);
        s->open = NULL;
        size_t from = 0, to = n;
        while (from < n && k[from].maxt_ms < s->r->mint_ms)
                from++;
        while (to > from && k[to - 1].mint_ms > s->r->maxt_ms)
                to--;
        x->n_chunks = 0;
        struct stream_chunk *c = arena_try_alloc(a, (to - from + 1) * sizeof *c);
        if (!c)
                return store_over_budget(a);
        for (size_t i = from; i < to; i++) {
                if (k[i].maxt_ms < s->r->mint_ms || k[i].mint_ms > s->r->maxt_ms)
                        continue;
                struct stream_chunk *y = &c[x->n_chunks++];
                *y = (struct stream_chunk){k[i].mint_ms, k[i].maxt_ms, k[i].ref, 0};
                if (i + 1 < n) {
                        uint64_t step = k[i + 1].ref - k[i].ref;
                        if (k[i + 1].ref > k[i].ref && k[i + 1].ref >> 32 == k[i].ref >> 32 && step <= CHUNK_STEP_MAX_BYTES)
                                y->bytes = (uint32_t)step;
                } else {
                        s->open = y;
                }
        }
        x->chunks = c;
        return NULL;
}

static struct error *read_one(struct block_stream *s, uint64_t at, struct arena *a, struct arena *scratch,
                              uint64_t *matched, uint64_t *bytes)
{
        Str entry;
        Labels inner;
        struct index_chunk *k = NULL;
        size_t n = 0;
        struct stream_series x = {.chunks = NULL};
        struct error *e = entry_bytes(s, at, scratch, &entry);
        if (!e)
                e = index_series_of_bytes(index_header_index(s->h), entry, a, s->near, &inner, &k, &n);
        if (!e)
                e = take_chunks(s, k, n, a, &x);
        if (e)
                return e;
        *bytes += entry.n + 4;
        if (x.n_chunks == 0 || !matchers_match(s->postings.rest, s->postings.n_rest, inner))
                return NULL;
        e = full_labels(s, inner, a, &x.labels);
        if (e)
                return e;
        if (s->r->shard.total > 1) {
                struct buf hashed = BUF_INIT(16 << 20);
                bool has = store_shard_has(&s->r->shard, x.labels, &hashed);
                buf_done(&hashed);
                if (!has)
                        return NULL;
        }
        ++*matched;
        if (s->r->skip_chunks)
                x.n_chunks = 0;
        else if ((e = store_limit_chunks(s->limits, x.n_chunks)))
                return e;
        put_in_order(s, inner, &x);
        return NULL;
}

static struct error *fetch_entries(struct block_stream *s, size_t first, size_t end, uint64_t align)
{
        uint64_t section_end;
        index_header_series_at(s->h, &section_end);
        struct range *r = mem_alloc((end - first + 1) * sizeof *r);
        size_t n = 0;
        for (size_t i = first; i < end; i++) {
                uint64_t at = s->postings.refs[i] * align;
                uint64_t to = MIN(at + ENTRY_GUESS_BYTES, at < section_end ? section_end : at + 1);
                if (n && at <= r[n - 1].end)
                        r[n - 1].end = to;
                else
                        r[n++] = (struct range){at, to};
        }
        struct error *e = index_pages_fetch(&s->pages, r, n, PAGE_SERIES);
        free(r);
        return e;
}

static int series_cmp(const void *a, const void *b)
{
        return labels_cmp(((const struct stream_series *)a)->labels, ((const struct stream_series *)b)->labels);
}

/* What is held lies in the arena of the batch before: taken along. */
static struct error *carry_over(struct block_stream *s, struct arena *a)
{
        for (size_t i = 0; i < s->stack.n; i++) {
                struct held *h = &s->stack.p[i];
                Label *inner = arena_try_alloc(a, (h->inner.n + 1) * sizeof *inner),
                      *full = arena_try_alloc(a, (h->s.labels.n + 1) * sizeof *full);
                struct stream_chunk *c = arena_try_alloc(a, (h->s.n_chunks + 1) * sizeof *c);
                if (!inner || !full || !c)
                        return store_over_budget(a);
                if (h->inner.n)
                        memcpy(inner, h->inner.v, h->inner.n * sizeof *inner);
                if (h->s.labels.n)
                        memcpy(full, h->s.labels.v, h->s.labels.n * sizeof *full);
                if (h->s.n_chunks)
                        memcpy(c, h->s.chunks, h->s.n_chunks * sizeof *c);
                h->inner.v = inner;
                h->s.labels.v = full;
                h->s.chunks = c;
        }
        return NULL;
}

static struct error *next_batch(struct block_stream *s)
{
        struct bucket_store *store = s->b->store;
        uint64_t align = index_version(index_header_index(s->h)) == INDEX_V1 ? 1 : INDEX_SERIES_ALIGN;
        struct arena *a = &s->batch[++s->turn & 1], scratch;
        arena_clear(a);
        vec_clear(&s->series);
        s->next = s->window_first = s->window_end = 0;
        s->open = NULL;
        struct error *e = carry_over(s, a);
        arena_clear(&s->batch[(s->turn + 1) & 1]);
        if (!s->near)
                s->near = mem_alloc(sizeof *s->near);
        s->near->n = 0;
        s->near->turn = 0;
        arena_init(&scratch, STREAM_ARENA_BYTES);
        uint64_t matched = 0, bytes = 0;
        do {
                size_t first = s->at, end = MIN(s->postings.n, first + s->batch_series);
                if (!e)
                        e = store_call_check(s->c);
                if (!e && first < end)
                        e = fetch_entries(s, first, end, align);
                for (size_t i = first; !e && i < end; i++)
                        e = read_one(s, s->postings.refs[i] * align, a, &scratch, &matched, &bytes);
                s->at = end;
                index_pages_clear(&s->pages);
                arena_clear(&scratch);
        } while (!e && s->sorts_all && s->at < s->postings.n);
        arena_done(&scratch);
        if (!e && s->at == s->postings.n)
                while (s->stack.n)
                        release_top(s);
        if (!e && s->postings.n_rest)
                e = store_limit_series(s->limits, matched);
        if (!e)
                e = store_limit_bytes(s->limits, bytes, "fetching series");
        if (!e && s->sorts_all && s->series.n)
                qsort(s->series.p, s->series.n, sizeof *s->series.p, series_cmp);
        if (!e && store->m.touched[DATA_SERIES]) {
                metric_observe(store->m.touched[DATA_SERIES], (double)matched);
                metric_observe(store->m.fetched_bytes[DATA_SERIES], (double)bytes);
        }
        return e;
}

/* --- chunks --- */

static struct error *next_window(struct block_stream *s)
{
        chunk_window_free(s->bytes);
        s->bytes = NULL;
        arena_clear(&s->window);
        uint64_t bytes = 0;
        size_t end = s->next;
        do {
                for (size_t i = 0; i < s->series.p[end].n_chunks; i++) {
                        uint32_t n = s->series.p[end].chunks[i].bytes;
                        bytes += n ? n : s->b->chunk_guess;
                }
                end++;
        } while (end < s->series.n && bytes < s->window_bytes);
        struct error *e = chunk_window_read(s->b, s->series.p + s->next, end - s->next, s->r->aggregates, s->c,
                                            s->limits, &s->window, &s->chunks, &s->bytes);
        if (e)
                return e;
        s->window_first = s->next;
        s->window_end = end;
        s->chunk_at = 0;
        return NULL;
}

struct error *block_stream_next(struct block_stream *s, struct store_series *ret, bool *ret_more)
{
        while (s->next == s->series.n) {
                if (s->at == s->postings.n && !s->stack.n) {
                        *ret_more = false;
                        return NULL;
                }
                struct error *e = next_batch(s);
                if (e)
                        return e;
        }
        const struct stream_series *x = &s->series.p[s->next];
        *ret = (struct store_series){.labels = x->labels};
        if (!s->r->skip_chunks) {
                if (s->next >= s->window_end) {
                        struct error *e = next_window(s);
                        if (e)
                                return e;
                }
                ret->chunks = s->chunks + s->chunk_at;
                ret->n_chunks = x->n_chunks;
                s->chunk_at += x->n_chunks;
        }
        s->next++;
        *ret_more = true;
        return NULL;
}
