/* SPDX-License-Identifier: Apache-2.0 */
/* order.c — series that come sorted by their own labels go out sorted by all labels, mostly without being kept.
 *
 * Own labels are those of a series without the external ones, which Prometheus puts into its answer too. E is the last name of an external label that
 * goes out. Putting the same external labels into two sets changes which is smaller in one case only: when A is the beginning of B (a prefix: "up{a="1"}"
 * of "up{a="1",b="2"}") and the first label that B has beyond A sorts before E, then B comes first. All sets that begin with A follow A at once. So A
 * waits until a set comes that does not begin with it, or goes on behind E. Sets that wait begin with one another: a stack, the longest on top, no higher
 * than a series has labels.
 *
 * Not so when a series has a label of its own whose name is external or to be left out: then its place is anywhere. The caller knows from the names of
 * labels whether there may be such (`gathers`): then all is kept, and sorted at the end. One that comes by surprise is sent where it fits; where it does
 * not, the call fails, and is told to (order_is_broken): calls after it gather. */
#include <inttypes.h>

#include "thanos/sidecar/sidecar_impl.h"

enum { SAMPLES_OF_A_CHUNK = 120, WAITING_MAX_BYTES = 64 << 20 };

struct waiting {
        struct arena arena;
        Labels own, full;
        struct buf chunks;
        size_t n_chunks;
};
struct gathered {
        Labels full;
        Str chunks;
        size_t n_chunks, at;
};
struct order {
        struct order_opts o;
        Str last_external;              /* of those that go out; empty: none */
        struct series_frames frames;
        struct buf hashed;              /* scratch of shards */
        struct arena scratch;           /* of one series */
        struct arena sent_arena;
        Labels sent;                    /* the last series that went out */
        bool has_sent, is_broken;
        uint64_t n_series, n_chunks;
        VEC(struct waiting *) stack;    /* n_stack are in use */
        size_t n_stack;
        struct arena kept;              /* of gathered */
        VEC(struct gathered) all;
};

static bool goes_out(const struct order_opts *o, Str name)
{
        return !is_named(o->without, o->n_without, name);
}

struct order *order_new(const struct order_opts *o)
{
        struct order *x = mem_new(struct order);
        x->o = *o;
        for (size_t i = 0; i < o->external.n; i++)
                if (goes_out(o, o->external.v[i].name))
                        x->last_external = o->external.v[i].name;
        series_frames_init(&x->frames, o->sink, o->batch);
        buf_init(&x->hashed, 16 << 20);
        arena_init(&x->scratch, WAITING_MAX_BYTES);
        arena_init(&x->sent_arena, WAITING_MAX_BYTES);
        arena_init(&x->kept, SIDECAR_SORT_MAX_BYTES);
        return x;
}

void order_free(struct order *x)
{
        if (!x)
                return;
        for (size_t i = 0; i < x->stack.n; i++) {
                arena_done(&x->stack.p[i]->arena);
                buf_done(&x->stack.p[i]->chunks);
                free(x->stack.p[i]);
        }
        vec_done(&x->stack);
        vec_done(&x->all);
        series_frames_done(&x->frames);
        buf_done(&x->hashed);
        arena_done(&x->scratch);
        arena_done(&x->sent_arena);
        arena_done(&x->kept);
        free(x);
}

void order_counts(const struct order *x, uint64_t *ret_series, uint64_t *ret_chunks)
{
        *ret_series = x->n_series;
        *ret_chunks = x->n_chunks;
}

bool order_is_broken(const struct order *x)
{
        return x->is_broken;
}

/* --- out --- */

static struct error *over(struct metric *dropped, const char *what, uint64_t limit, uint64_t got)
{
        metric_add(dropped, 1);
        return error_new(ERROR_LIMIT, "failed to send %s: limit %" PRIu64 " violated (got %" PRIu64 ")", what, limit, got);
}

static bool is_full(const struct order *x)
{
        return x->o.limit && x->n_series >= x->o.limit;
}

static struct error *out(struct order *x, Labels full, Str chunks, size_t n_chunks)
{
        int c = x->has_sent ? labels_cmp(x->sent, full) : -1;
        x->is_broken |= c > 0;
        if (c > 0)
                return error_new(ERROR_UNAVAILABLE, "Prometheus gave series in another order than their external labels allow: ask again");
        if (c < 0 && is_full(x))
                return NULL;
        x->n_series += c < 0;
        x->n_chunks += n_chunks;
        if (x->o.series_max && x->n_series > x->o.series_max)
                return over(x->o.dropped_series, "series", x->o.series_max, x->n_series);
        if (x->o.samples_max && x->n_chunks * SAMPLES_OF_A_CHUNK > x->o.samples_max)
                return over(x->o.dropped_chunks, "samples", x->o.samples_max, x->n_chunks * SAMPLES_OF_A_CHUNK);
        if (c < 0) {
                arena_clear(&x->sent_arena);
                x->sent = labels_dup(&x->sent_arena, full);
                x->has_sent = true;
        }
        return series_frames_add(&x->frames, full, chunks);
}

/* --- on the way --- */

static bool begins_with(Labels l, Labels prefix)
{
        if (prefix.n > l.n)
                return false;
        for (size_t i = prefix.n; i-- > 0;) /* the last labels differ soonest */
                if (!str_eq(l.v[i].value, prefix.v[i].value) || !str_eq(l.v[i].name, prefix.v[i].name))
                        return false;
        return true;
}

/* Series that come later may have to go before it. */
static bool has_to_wait(const struct order *x, const struct waiting *w, Labels next)
{
        return begins_with(next, w->own) && next.n > w->own.n && str_cmp(next.v[w->own.n].name, x->last_external) < 0;
}

static struct error *pop(struct order *x)
{
        struct waiting *w = x->stack.p[--x->n_stack];
        return out(x, w->full, buf_str(&w->chunks), w->n_chunks);
}

static struct error *push(struct order *x, Labels own, Labels full, Str chunks, size_t n_chunks)
{
        if (x->n_stack == x->stack.n) {
                struct waiting *w = mem_new(struct waiting);
                arena_init(&w->arena, WAITING_MAX_BYTES);
                buf_init(&w->chunks, PROM_ANSWER_MAX_BYTES);
                vec_push(&x->stack, w);
        }
        struct waiting *w = x->stack.p[x->n_stack++];
        arena_clear(&w->arena);
        buf_clear(&w->chunks);
        w->own = labels_dup(&w->arena, own);
        w->full = labels_dup(&w->arena, full);
        buf_put(&w->chunks, chunks);
        w->n_chunks = n_chunks;
        return NULL;
}

static struct error *pass(struct order *x, Labels own, Labels full, Str chunks, size_t n_chunks)
{
        if (x->n_stack) { /* a long series comes in several frames */
                struct waiting *top = x->stack.p[x->n_stack - 1];
                if (top->own.n == own.n && begins_with(own, top->own)) {
                        buf_put(&top->chunks, chunks);
                        top->n_chunks += n_chunks;
                        return buf_is_over(&top->chunks) ? error_new(ERROR_LIMIT, "a series of more than %zu bytes", top->chunks.limit) : NULL;
                }
        }
        struct error *e = NULL;
        while (!e && x->n_stack && !has_to_wait(x, x->stack.p[x->n_stack - 1], own))
                e = pop(x);
        if (e)
                return e;
        if (own.n == 0 || str_cmp(own.v[own.n - 1].name, x->last_external) < 0)
                return push(x, own, full, chunks, n_chunks);
        return out(x, full, chunks, n_chunks);
}

/* --- gathering --- */

static struct error *too_much(const struct order *x)
{
        return error_new(ERROR_LIMIT, "the series have labels with names of external or replica labels; to be sorted they would take more than %zu bytes",
                         x->kept.limit_bytes);
}

static struct error *keep(struct order *x, Labels full, Str chunks, size_t n_chunks)
{
        size_t n = full.n * sizeof(Label) + chunks.n;
        for (size_t i = 0; i < full.n; i++)
                n += full.v[i].name.n + full.v[i].value.n;
        char *p = arena_try_alloc(&x->kept, n + 1);
        if (!p)
                return too_much(x);
        Label *l = (Label *)p;
        p += full.n * sizeof *l;
        for (size_t i = 0; i < full.n; i++) {
                l[i] = (Label){{p, full.v[i].name.n}, {p + full.v[i].name.n, full.v[i].value.n}};
                memcpy(p, full.v[i].name.p, full.v[i].name.n);
                memcpy(p + full.v[i].name.n, full.v[i].value.p, full.v[i].value.n);
                p += full.v[i].name.n + full.v[i].value.n;
        }
        if (chunks.n)
                memcpy(p, chunks.p, chunks.n);
        vec_push(&x->all, (struct gathered){{l, full.n}, {p, chunks.n}, n_chunks, x->all.n});
        return NULL;
}

static int gathered_cmp(const void *a, const void *b)
{
        const struct gathered *x = a, *y = b;
        int c = labels_cmp(x->full, y->full);
        return c ? c : (x->at > y->at) - (x->at < y->at);
}

/* --- in --- */

/* labels without external ones that have their value: Prometheus puts those in. */
static Labels own_of(struct order *x, Labels labels)
{
        Label *v = arena_array(&x->scratch, Label, labels.n + 1);
        size_t n = 0, k = 0;
        for (size_t i = 0; i < labels.n; i++) {
                while (k < x->o.external.n && str_cmp(x->o.external.v[k].name, labels.v[i].name) < 0)
                        k++;
                if (k == x->o.external.n || !str_eq(x->o.external.v[k].name, labels.v[i].name) || !str_eq(x->o.external.v[k].value, labels.v[i].value))
                        v[n++] = labels.v[i];
        }
        return (Labels){v, n};
}

struct error *order_add(struct order *x, Labels labels, Str chunks, size_t n_chunks, bool *ret_full)
{
        *ret_full = false;
        arena_clear(&x->scratch);
        Labels full = labels_extend(&x->scratch, labels, x->o.external, x->o.without, x->o.n_without);
        if (!store_shard_has(&x->o.shard, full, &x->hashed))
                return NULL;
        if (x->o.gathers)
                return keep(x, full, chunks, n_chunks);
        struct error *e = pass(x, own_of(x, labels), full, chunks, n_chunks);
        *ret_full = !e && is_full(x) && !x->n_stack;
        return e;
}

struct error *order_end(struct order *x)
{
        struct error *e = NULL;
        while (!e && x->n_stack)
                e = pop(x);
        if (x->all.n)
                qsort(x->all.p, x->all.n, sizeof *x->all.p, gathered_cmp);
        for (size_t i = 0; !e && i < x->all.n; i++)
                e = out(x, x->all.p[i].full, x->all.p[i].chunks, x->all.p[i].n_chunks);
        return e ? e : series_frames_flush(&x->frames);
}
