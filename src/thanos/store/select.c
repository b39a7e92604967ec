/* SPDX-License-Identifier: Apache-2.0 */
/* A select over the blocks that were chosen: their streams merged by labels, smallest first, in a heap. */
#include <stdlib.h>

#include "thanos/store/store_impl.h"

struct source {
        struct block_stream *stream;
        struct store_series now;
        size_t order; /* among equals: as the blocks were chosen */
};
struct store_set {
        struct bucket_store *store;
        struct store_request r;
        struct bucket_call call;
        struct store_limits limits;
        StoreBlockVec blocks;
        UlidVec ids;
        const struct matcher **matchers; /* of all blocks, one after the other */
        size_t *n_matchers;
        struct source *sources;
        struct error **errors;
        struct source **heap; /* smallest on top */
        size_t n_heap;
        VEC(struct source *) given;     /* gave the last series: to be moved on */
        VEC(struct store_chunk) chunks; /* of the last series, when it came from several */
        size_t n_series;
        bool has_gate;
};

/* --- the gate --- */

static struct error *gate_enter(struct store_set *set)
{
        struct bucket_store *s = set->store;
        int64_t begin = time_mono_ns();
        struct error *e = NULL;
        mutex_lock(&s->gate_mu);
        while (!(e = store_call_check(&set->call)) && s->gate_used >= s->o.selects_max)
                cond_wait_ms(&s->gate_cond, &s->gate_mu, 50);
        if (!e) {
                s->gate_used++;
                set->has_gate = true;
        }
        if (s->m.gate_now)
                metric_set(s->m.gate_now, s->gate_used);
        mutex_unlock(&s->gate_mu);
        if (s->m.gate_seconds)
                metric_observe(s->m.gate_seconds, (double)(time_mono_ns() - begin) / 1e9);
        return e ? error_wrap(e, "failed to wait for turn") : NULL;
}

static void gate_leave(struct store_set *set)
{
        struct bucket_store *s = set->store;
        if (!set->has_gate)
                return;
        mutex_lock(&s->gate_mu);
        s->gate_used--;
        if (s->m.gate_now)
                metric_set(s->m.gate_now, s->gate_used);
        cond_signal(&s->gate_cond);
        mutex_unlock(&s->gate_mu);
}

void store_set_free(struct store_set *set)
{
        if (!set)
                return;
        if (set->store->m.result_series)
                metric_observe(set->store->m.result_series, (double)set->n_series);
        for (size_t i = 0; i < set->blocks.n; i++) {
                if (set->sources)
                        block_stream_free(set->sources[i].stream);
                if (set->errors)
                        error_free(set->errors[i]);
                store_block_unref(set->blocks.p[i]);
        }
        vec_done(&set->blocks);
        vec_done(&set->ids);
        vec_done(&set->given);
        vec_done(&set->chunks);
        free(set->matchers);
        free(set->n_matchers);
        free(set->sources);
        free(set->errors);
        free(set->heap);
        gate_leave(set);
        free(set);
}

const Ulid *store_set_blocks(const struct store_set *set, size_t *ret_n)
{
        *ret_n = set->ids.n;
        return set->ids.p;
}

/* --- the heap --- */

static int source_cmp(const struct source *a, const struct source *b)
{
        int c = labels_cmp(a->now.labels, b->now.labels);
        return c ? c : (a->order > b->order) - (a->order < b->order);
}

static void sift_down(struct store_set *s, size_t i)
{
        for (;;) {
                size_t least = i, l = 2 * i + 1, r = l + 1;
                if (l < s->n_heap && source_cmp(s->heap[l], s->heap[least]) < 0)
                        least = l;
                if (r < s->n_heap && source_cmp(s->heap[r], s->heap[least]) < 0)
                        least = r;
                if (least == i)
                        return;
                struct source *x = s->heap[i];
                s->heap[i] = s->heap[least];
                s->heap[least] = x;
                i = least;
        }
}

static void heap_push(struct store_set *s, struct source *x)
{
        size_t i = s->n_heap++;
        s->heap[i] = x;
        for (; i && source_cmp(s->heap[i], s->heap[(i - 1) / 2]) < 0; i = (i - 1) / 2) {
                struct source *up = s->heap[(i - 1) / 2];
                s->heap[(i - 1) / 2] = s->heap[i];
                s->heap[i] = up;
        }
}

static struct source *heap_pop(struct store_set *s)
{
        struct source *x = s->heap[0];
        s->heap[0] = s->heap[--s->n_heap];
        sift_down(s, 0);
        return x;
}

/* --- opening --- */

static struct error *in_block(struct error *take_e, const struct store_block *b) MUST_CHECK;
static struct error *in_block(struct error *take_e, const struct store_block *b)
{
        char id[ULID_TEXT_BYTES + 1];
        ulid_print(b->meta->block.ulid, id);
        return error_wrap(take_e, "fetch series for block %s", id);
}

static struct error *advance(struct store_set *s, struct source *x, bool *ret_more)
{
        struct error *e = block_stream_next(x->stream, &x->now, ret_more);
        return e ? in_block(e, s->blocks.p[x->order]) : NULL;
}

static void open_step(void *ctx, size_t i, UNUSED int worker)
{
        struct store_set *s = ctx;
        struct store_block *b = s->blocks.p[i];
        uint64_t window = s->store->o.chunk_window_bytes / s->blocks.n;
        size_t first = i * s->r.n_matchers;
        if (s->n_matchers[i] == 0 && !s->r.all_without_matchers)
                return;
        struct error *e = block_stream_new(b, &s->r, s->matchers + first, s->n_matchers[i], &s->call, &s->limits,
                                           MAX(window, UINT64_C(64) << 10), s->blocks.n, &s->sources[i].stream);
        bool more = false;
        if (!e)
                e = block_stream_next(s->sources[i].stream, &s->sources[i].now, &more);
        s->errors[i] = e ? in_block(e, b) : NULL;
        if (!e && !more) {
                block_stream_free(s->sources[i].stream);
                s->sources[i].stream = NULL;
        }
}

static struct error *open_all(struct store_set *s)
{
        size_t n = s->blocks.n;
        int64_t begin = time_mono_ns();
        s->matchers = mem_zalloc((n * s->r.n_matchers + 1) * sizeof *s->matchers);
        s->n_matchers = mem_zalloc((n + 1) * sizeof *s->n_matchers);
        s->sources = mem_zalloc((n + 1) * sizeof *s->sources);
        s->errors = mem_zalloc((n + 1) * sizeof *s->errors);
        s->heap = mem_zalloc((n + 1) * sizeof *s->heap);
        for (size_t i = 0; i < n; i++) {
                s->sources[i].order = i;
                if (!store_matchers_without(store_block_external(s->blocks.p[i]), s->r.matchers, s->r.n_matchers,
                                            s->matchers + i * s->r.n_matchers, &s->n_matchers[i]))
                        bug("a block was chosen whose labels do not match");
                vec_push(&s->ids, s->blocks.p[i]->meta->block.ulid);
        }
        pool_each(n > 1 ? s->store->io : NULL, n, open_step, s);
        if (s->store->m.blocks_queried) {
                metric_observe(s->store->m.blocks_queried, (double)n);
                metric_observe(s->store->m.all_seconds, (double)(time_mono_ns() - begin) / 1e9);
        }
        for (size_t i = 0; i < n; i++) {
                if (s->errors[i]) {
                        struct error *e = s->errors[i];
                        s->errors[i] = NULL;
                        return e;
                }
                if (s->sources[i].stream)
                        heap_push(s, &s->sources[i]);
        }
        return NULL;
}

struct error *bucket_store_select(struct bucket_store *store, const struct store_request *r,
                                  const struct bucket_call *c, struct store_set **ret)
{
        return store_select(store, r, c, /* waits= */ true, ret);
}

struct error *store_select(struct bucket_store *store, const struct store_request *r, const struct bucket_call *c,
                           bool waits, struct store_set **ret)
{
        struct store_set *s = mem_new(struct store_set);
        s->store = store;
        s->r = *r;
        TimeMs now = time_now_ms();
        s->r.mint_ms = MAX(r->mint_ms, time_bound_at(store->o.min, now));
        s->r.maxt_ms = MIN(r->maxt_ms, time_bound_at(store->o.max, now));
        if (c)
                s->call = *c;
        s->limits.store = store;
        struct error *e = waits ? gate_enter(s) : NULL;
        if (!e) {
                bucket_store_choose(store, &s->r, &s->blocks);
                e = open_all(s);
        }
        if (e) {
                store_set_free(s);
                return e;
        }
        *ret = s;
        return NULL;
}

/* --- merging --- */

static int bytes_cmp(Str a, Str b)
{
        return str_cmp(b, a); /* upstream's order of chunks with equal times: greater bytes first */
}

static int chunk_cmp(const void *a, const void *b)
{
        const struct store_chunk *x = a, *y = b;
        if (x->mint_ms != y->mint_ms)
                return x->mint_ms < y->mint_ms ? -1 : 1;
        if (x->maxt_ms != y->maxt_ms)
                return x->maxt_ms < y->maxt_ms ? -1 : 1;
        if (x->encoding != y->encoding)
                return x->encoding > y->encoding ? -1 : 1;
        int c = bytes_cmp(x->raw, y->raw);
        for (int i = 0; !c && i < AGGREGATE_N; i++)
                c = bytes_cmp(x->aggregates[i], y->aggregates[i]);
        return c;
}

static void take_chunks(struct store_set *s, const struct store_series *x)
{
        for (size_t i = 0; i < x->n_chunks; i++)
                vec_push(&s->chunks, x->chunks[i]);
}

/* The same chunk may lie in several blocks. */
static void sort_chunks(struct store_set *s)
{
        if (!s->chunks.n)
                return;
        qsort(s->chunks.p, s->chunks.n, sizeof *s->chunks.p, chunk_cmp);
        size_t to = 1;
        for (size_t i = 1; i < s->chunks.n; i++)
                if (chunk_cmp(&s->chunks.p[to - 1], &s->chunks.p[i]) != 0)
                        s->chunks.p[to++] = s->chunks.p[i];
        s->chunks.n = to;
}

static bool labels_are_kept(struct store_set *s, struct source *x)
{
        return s->n_heap && labels_eq(s->heap[0]->now.labels, x->now.labels);
}

struct error *store_set_next(struct store_set *s, struct store_series *ret, bool *ret_more)
{
        struct error *e = store_call_check(&s->call);
        for (size_t i = 0; !e && i < s->given.n; i++) {
                bool more = false;
                e = advance(s, s->given.p[i], &more);
                if (!e && more)
                        heap_push(s, s->given.p[i]);
        }
        vec_clear(&s->given);
        if (e)
                return e;
        if (s->n_heap == 0 || (s->r.limit && s->n_series >= s->r.limit)) {
                *ret_more = false;
                return NULL;
        }
        struct source *x = heap_pop(s);
        vec_push(&s->given, x);
        *ret = x->now;
        if (labels_are_kept(s, x)) {
                vec_clear(&s->chunks);
                take_chunks(s, &x->now);
                while (labels_are_kept(s, x)) {
                        struct source *same = heap_pop(s);
                        take_chunks(s, &same->now);
                        vec_push(&s->given, same);
                }
                sort_chunks(s);
                ret->chunks = s->chunks.p;
                ret->n_chunks = s->chunks.n;
        }
        s->n_series++;
        *ret_more = true;
        return NULL;
}
