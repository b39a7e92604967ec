/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "thanos/query/metrics.h"
#include "thanos/query/proxy_impl.h"

enum { REQUEST_BYTES_MAX = 16 << 20, RESPONSE_BATCH = 64 };

/* k-way merge: heap holds the streams that have a head, the least labels on top, the earlier endpoint where they are
 * equal. */
struct proxy_set {
        struct series_set base;
        struct proxy_querier *q;
        struct stream *streams;
        size_t n_streams;
        uint32_t *heap;
        size_t n_heap;
        bool begun, labels_only;
        bool forgets_labels, turn;
        struct arena own[2]; /* forgets_labels: of the last two series */
        Labels last; /* given before */
        Str func;
        enum want want;
        struct arena scratch; /* of one series */
        PartVec parts;
};

static bool less(const struct proxy_set *s, uint32_t a, uint32_t b)
{
        int c = labels_cmp(s->streams[a].head.labels, s->streams[b].head.labels);
        return c < 0 || (c == 0 && a < b);
}

static void heap_push(struct proxy_set *s, uint32_t x)
{
        size_t i = s->n_heap++;
        for (; i > 0 && less(s, x, s->heap[(i - 1) / 2]); i = (i - 1) / 2)
                s->heap[i] = s->heap[(i - 1) / 2];
        s->heap[i] = x;
}

static uint32_t heap_pop(struct proxy_set *s)
{
        uint32_t top = s->heap[0], x = s->heap[--s->n_heap];
        size_t i = 0;
        for (size_t kid; (kid = 2 * i + 1) < s->n_heap; i = kid) {
                if (kid + 1 < s->n_heap && less(s, s->heap[kid + 1], s->heap[kid]))
                        kid++;
                if (!less(s, s->heap[kid], x))
                        break;
                s->heap[i] = s->heap[kid];
        }
        s->heap[i] = x;
        return top;
}

static struct error *advance(struct proxy_set *s, uint32_t i)
{
        struct stream *st = &s->streams[i];
        bool more;
        struct error *e = stream_next(st, &more);
        if (!e && more && s->last.v && labels_cmp(st->head.labels, s->last) < 0) {
                Str name = proxy_name_of(s->q, st->ep);
                e = error_new(ERROR_INVALID, "receive series from " STR_FMT ": series are not sorted", STR_ARG(name));
        }
        if (e) {
                grpc_call_free(st->call);
                st->call = NULL;
                return proxy_lose(s->q, e);
        }
        if (more)
                heap_push(s, i);
        return NULL;
}

static struct error *copy_labels(struct arena *a, Labels l, Labels *ret)
{
        size_t bytes = 0;
        for (size_t i = 0; i < l.n; i++)
                bytes += l.v[i].name.n + l.v[i].value.n;
        Label *to = arena_try_alloc(a, (l.n + 1) * sizeof *to + bytes);
        if (!to)
                return proxy_over_budget(a);
        char *p = (char *)(to + l.n + 1);
        for (size_t i = 0; i < l.n; i++) {
                to[i].name = (Str){memcpy(p, l.v[i].name.p, l.v[i].name.n), l.v[i].name.n};
                p += l.v[i].name.n;
                to[i].value = (Str){memcpy(p, l.v[i].value.p, l.v[i].value.n), l.v[i].value.n};
                p += l.v[i].value.n;
        }
        *ret = (Labels){to, l.n};
        return NULL;
}

/* The bytes stay in the stream's frame until it is read on; behind its last series that is before this one is done. */
static struct error *take_parts(struct proxy_set *s, const struct stream *st)
{
        bool stays = st->sorts || st->at < st->n_series;
        for (size_t i = 0; i < st->head.n_chunks && !s->labels_only; i++) {
                struct part p;
                struct error *e = part_take(&st->head.chunks[i], st->ep, stays ? NULL : &s->scratch, &p);
                if (e) {
                        Str name = proxy_name_of(s->q, st->ep);
                        e = proxy_lose(s->q, error_wrap(e, "chunk from " STR_FMT, STR_ARG(name)));
                        if (e)
                                return e;
                        continue;
                }
                vec_push(&s->parts, p);
        }
        return NULL;
}

/* Of a series set they live as long as its querier; else until the series after the next: one is compared with the other. */
static struct arena *label_arena(struct proxy_set *s)
{
        if (!s->forgets_labels)
                return s->q->arena;
        s->turn = !s->turn;
        arena_clear(&s->own[s->turn]);
        return &s->own[s->turn];
}

struct error *proxy_set_next(struct proxy_set *s, Labels *ret, PartVec **ret_parts, bool *ret_more)
{
        struct error *e = NULL;
        *ret_more = false;
        for (uint32_t i = 0; !s->begun && i < s->n_streams; i++)
                if ((e = advance(s, i)))
                        return e;
        s->begun = true;
        if (!s->n_heap)
                return NULL;
        arena_clear(&s->scratch);
        vec_clear(&s->parts);
        e = copy_labels(label_arena(s), s->streams[s->heap[0]].head.labels, ret);
        if (e)
                return e;
        s->last = *ret;
        while (s->n_heap && labels_eq(s->streams[s->heap[0]].head.labels, *ret)) {
                uint32_t i = heap_pop(s);
                e = take_parts(s, &s->streams[i]);
                if (!e)
                        e = advance(s, i);
                if (e)
                        return e;
        }
        *ret_parts = &s->parts;
        *ret_more = true;
        if (s->q->o->sums) {
                s->q->o->sums->series++;
                for (size_t i = 0; i < s->parts.n; i++)
                        s->q->o->sums->samples += part_samples(&s->parts.p[i]);
        }
        return NULL;
}

static struct error *set_next(struct series_set *base, struct series *ret, bool *ret_more)
{
        struct proxy_set *s = CONTAINER_OF(base, struct proxy_set, base);
        PartVec *parts;
        *ret = (struct series){0};
        struct error *e = proxy_set_next(s, &ret->labels, &parts, ret_more);
        if (!e && *ret_more && !s->labels_only)
                e = proxy_assemble(s->q, parts, s->want, s->func, ret);
        if (e)
                *ret_more = false;
        return e;
}

static const struct series_set_ops set_ops = {set_next};

void proxy_set_done(struct proxy_set *s)
{
        for (size_t i = 0; i < s->n_streams; i++)
                stream_done(&s->streams[i]);
        free(s->streams);
        free(s->heap);
        arena_done(&s->scratch);
        arena_done(&s->own[0]);
        arena_done(&s->own[1]);
        vec_done(&s->parts);
        free(s);
}

static int32_t *aggregates_of(struct arena *a, enum want want, size_t *ret_n)
{
        static const int32_t aggregates[][2] = {
                [WANT_COUNT] = {PB_AGGR_COUNT},     [WANT_SUM] = {PB_AGGR_SUM},
                [WANT_MIN] = {PB_AGGR_MIN},         [WANT_MAX] = {PB_AGGR_MAX},
                [WANT_COUNTER] = {PB_AGGR_COUNTER}, [WANT_AVERAGE] = {PB_AGGR_COUNT, PB_AGGR_SUM},
        };
        int32_t *v = arena_array(a, int32_t, 2);
        memcpy(v, aggregates[want], 2 * sizeof *v);
        *ret_n = want == WANT_AVERAGE ? 2 : 1;
        return v;
}

struct error *proxy_open(struct proxy_querier *q, struct pb_series_request *r, const struct matcher *const *m,
                         size_t n_m, struct proxy_set **ret)
{
        struct buf plain = BUF_INIT(REQUEST_BYTES_MAX), without = BUF_INIT(REQUEST_BYTES_MAX);
        r->matchers.v = proxy_matchers(q, r->min_time, r->max_time, m, n_m, &r->matchers.n);
        r->partial_response_disabled = !q->o->partial_response;
        r->partial_response_strategy = q->o->partial_response ? PB_STRATEGY_WARN : PB_STRATEGY_ABORT;
        r->response_batch_size = RESPONSE_BATCH;
        r->without_replica_labels.v = NULL;
        r->without_replica_labels.n = 0;
        pb_encode(&pb_series_request, r, &plain);
        r->without_replica_labels.v = (Str *)(uintptr_t)q->o->replica_labels;
        r->without_replica_labels.n = q->o->n_replica_labels;
        pb_encode(&pb_series_request, r, &without);
        if (buf_is_over(&plain) || buf_is_over(&without)) {
                buf_done(&plain);
                buf_done(&without);
                return error_new(ERROR_LIMIT, "matchers of more than %d bytes", REQUEST_BYTES_MAX);
        }
        struct error *e = proxy_tell_unusable(q, r->min_time, r->max_time, m, n_m);
        if (e) {
                buf_done(&plain);
                buf_done(&without);
                return e;
        }
        struct proxy_set *s = mem_new(struct proxy_set);
        s->base.ops = &set_ops;
        s->q = q;
        s->labels_only = r->skip_chunks;
        s->streams = mem_zalloc((q->list->n + 1) * sizeof *s->streams);
        s->heap = mem_zalloc((q->list->n + 1) * sizeof *s->heap);
        arena_init(&s->scratch, q->arena->limit_bytes);
        arena_init(&s->own[0], q->arena->limit_bytes);
        arena_init(&s->own[1], q->arena->limit_bytes);
        struct grpc_call_opts o = proxy_call_opts(q);
        for (size_t i = 0; i < q->list->n; i++) {
                const struct endpoint *ep = &q->list->v[i];
                if (!proxy_wants(q, ep, r->min_time, r->max_time, m, n_m))
                        continue;
                bool dedup = q->o->n_replica_labels > 0, able = ep->supports_without_replica_labels;
                struct stream *st = &s->streams[s->n_streams++];
                st->q = q;
                st->ep = ep;
                st->sorts = dedup && !able;
                st->idle_since_ms = time_mono_ms();
                arena_init(&st->frame, q->arena->limit_bytes);
                st->call = grpc_call_start(ep->channel, "/thanos.Store/Series", &o,
                                           buf_str(dedup && able ? &without : &plain));
        }
        buf_done(&plain);
        buf_done(&without);
        vec_push(&q->sets, s);
        *ret = s;
        return NULL;
}

void proxy_set_forget_labels(struct proxy_set *s)
{
        s->forgets_labels = true;
}

struct error *proxy_select(struct proxy_querier *q, const struct select_hints *hints, const struct matcher *const *m,
                           size_t n_m, struct series_set **ret)
{
        struct select_hints h = hints ? *hints : (struct select_hints){.start_ms = q->mint_ms, .end_ms = q->maxt_ms};
        struct pb_func func = {h.func};
        struct pb_range range = {h.range_ms};
        struct pb_query_hints qh = {
                .step_millis = h.step_ms, .func = h.func.n ? &func : NULL, .range = h.range_ms ? &range : NULL};
        struct pb_series_request r = {.min_time = h.start_ms,
                                      .max_time = h.end_ms,
                                      .max_resolution_window = q->o->max_resolution_ms,
                                      .skip_chunks = h.labels_only,
                                      .step = h.step_ms,
                                      .range = h.range_ms,
                                      .query_hints = &qh,
                                      .limit = (int64_t)MIN(h.limit, (size_t)INT64_MAX)};
        struct pb_shard_info shard;
        r.aggregates.v = aggregates_of(q->arena, want_of(h.func), &r.aggregates.n);
        if (q->o->shard) {
                shard = (struct pb_shard_info){
                        .shard_index = q->o->shard->index,
                        .total_shards = q->o->shard->total,
                        .by = q->o->shard->by,
                        .labels = {(Str *)(uintptr_t)q->o->shard->labels, q->o->shard->n_labels}};
                r.shard_info = &shard;
        }
        struct proxy_set *s;
        struct error *e = proxy_open(q, &r, m, n_m, &s);
        if (e)
                return e;
        s->func = arena_str(q->arena, h.func);
        s->want = want_of(h.func);
        *ret = &s->base;
        return NULL;
}
