/* SPDX-License-Identifier: Apache-2.0 */
#include "thanos/query/metrics.h"
#include "thanos/query/proxy_impl.h"

enum { POLL_MS = 100 };

static bool is_cancelled(const struct proxy_querier *q)
{
        return q->o->cancel && __atomic_load_n(q->o->cancel, __ATOMIC_SEQ_CST);
}

struct error *proxy_recv(struct proxy_querier *q, const struct endpoint *ep, struct grpc_call *c, int64_t wait_ms,
                         Str *ret, bool *ret_more)
{
        int64_t end_ms = wait_ms < 0 ? INT64_MAX : time_mono_ms() + wait_ms;
        *ret_more = false;
        for (;;) {
                if (is_cancelled(q))
                        return error_new(ERROR_CANCELLED, "context canceled");
                int64_t left = end_ms == INT64_MAX ? POLL_MS : end_ms - time_mono_ms();
                switch (grpc_call_recv(c, MAX(MIN(left, POLL_MS), 0), ret)) {
                case GRPC_GOT_MESSAGE:
                        *ret_more = true;
                        return NULL;
                case GRPC_GOT_END:
                        return grpc_status_error(grpc_call_get_status(c));
                case GRPC_GOT_NOTHING:
                        break;
                }
                if (left <= 0) {
                        Str name = proxy_name_of(q, ep);
                        return error_new(ERROR_TIMEOUT, "failed to receive any data in %gs from " STR_FMT,
                                         (double)q->o->response_timeout_ms / 1000, STR_ARG(name));
                }
        }
}

static int label_cmp(const void *a, const void *b)
{
        return str_cmp(((const Label *)a)->name, ((const Label *)b)->name);
}

/* Sorted, without replica labels and empty values. Strings stay where they are. */
static struct error *take_labels(struct stream *s, const struct pb_series *x, Labels *ret)
{
        Label *v = arena_try_alloc(&s->frame, (x->labels.n + 1) * sizeof *v);
        if (!v)
                return proxy_over_budget(&s->frame);
        size_t n = 0;
        bool sorted = true;
        for (size_t i = 0; i < x->labels.n; i++) {
                Label l = {x->labels.v[i].name, x->labels.v[i].value};
                if (l.value.n == 0 || proxy_is_replica_label(s->q->o, l.name))
                        continue;
                if (n && str_cmp(v[n - 1].name, l.name) >= 0)
                        sorted = false;
                v[n++] = l;
        }
        if (!sorted)
                qsort(v, n, sizeof *v, label_cmp);
        for (size_t i = 1; i < n && !sorted; i++)
                if (str_eq(v[i].name, v[i - 1].name))
                        return error_new(ERROR_INVALID, "series with label " STR_FMT " twice", STR_ARG(v[i].name));
        *ret = (Labels){v, n};
        return NULL;
}

/* The next frame that has series. */
static struct error *read_frame(struct stream *s, bool *ret_more)
{
        struct proxy_querier *q = s->q;
        for (;;) {
                /* Counted from when the stream was last read, not from now: while one store stalls, so do the others
                 * that stall, and their times do not add up. What came meanwhile is there to be taken. */
                int64_t wait_ms = -1;
                if (q->o->response_timeout_ms > 0)
                        wait_ms = MAX(s->idle_since_ms + q->o->response_timeout_ms - time_mono_ms(), 0);
                Str m;
                struct error *e = proxy_recv(q, s->ep, s->call, wait_ms, &m, ret_more);
                if (e || !*ret_more)
                        return e;
                s->idle_since_ms = time_mono_ms();
                if (s->sorts) { /* all frames stay */
                        char *p = arena_try_alloc(&s->frame, m.n + 1);
                        if (!p)
                                return proxy_over_budget(&s->frame);
                        memcpy(p, m.p, m.n);
                        m.p = p;
                } else {
                        arena_clear(&s->frame);
                }
                struct pb_series_response r = {0};
                e = pb_decode(&pb_series_response, m, &s->frame, &r);
                if (e)
                        return error_wrap(e, "decode series");
                if (r.warning.p) {
                        e = proxy_lose(q, error_new(ERROR_UNAVAILABLE, STR_FMT, STR_ARG(r.warning)));
                        if (e)
                                return e;
                }
                s->at = 0;
                s->series = r.batch ? r.batch->series.v : r.series;
                s->n_series = r.batch ? r.batch->series.n : r.series ? 1 : 0;
                if (s->n_series)
                        return NULL;
                if (!r.warning.p && !r.hints)
                        query_metrics_empty_frame(q->o->metrics);
        }
}

static struct error *next_piece(struct stream *s, struct piece *ret, bool *ret_more)
{
        *ret_more = true;
        if (s->at == s->n_series) {
                struct error *e = read_frame(s, ret_more);
                if (e || !*ret_more)
                        return e;
        }
        const struct pb_series *x = &s->series[s->at++];
        *ret = (struct piece){.chunks = x->chunks.v, .n_chunks = x->chunks.n};
        return take_labels(s, x, &ret->labels);
}

static int piece_cmp(const void *a, const void *b)
{
        const struct piece *x = a, *y = b;
        return labels_cmp(x->labels, y->labels);
}

static struct error *stream_error(struct stream *s, struct error *take_e)
{
        /* A time-out names the store already; our own end is not the store's. */
        if (error_is(take_e, ERROR_CANCELLED) && is_cancelled(s->q))
                return take_e;
        Str name = proxy_name_of(s->q, s->ep);
        if (str_contains(str_from(error_str(take_e)), name))
                return take_e;
        return error_wrap(take_e, "receive series from " STR_FMT, STR_ARG(name));
}

struct error *stream_next(struct stream *s, bool *ret_more)
{
        struct error *e = NULL;
        *ret_more = false;
        if (!s->call)
                return NULL;
        if (!s->sorts) {
                e = next_piece(s, &s->head, ret_more);
        } else {
                /* What came before a failure is given. */
                if (!s->has_gathered) {
                        s->has_gathered = true;
                        struct piece p;
                        bool more;
                        while (!(e = next_piece(s, &p, &more)) && more)
                                vec_push(&s->gathered, p);
                        if (s->gathered.n)
                                qsort(s->gathered.p, s->gathered.n, sizeof *s->gathered.p, piece_cmp);
                        if (e) {
                                e = proxy_lose(s->q, stream_error(s, e));
                        }
                        if (e)
                                return e;
                }
                if (s->at_gathered < s->gathered.n) {
                        s->head = s->gathered.p[s->at_gathered++];
                        *ret_more = true;
                }
        }
        if (e) {
                *ret_more = false;
                e = stream_error(s, e);
        }
        if (!*ret_more) {
                grpc_call_free(s->call);
                s->call = NULL;
        }
        return e;
}

void stream_done(struct stream *s)
{
        grpc_call_free(s->call);
        s->call = NULL;
        vec_done(&s->gathered);
        arena_done(&s->frame);
}
