/* SPDX-License-Identifier: Apache-2.0 */
#include "storage/join.h"

#include "model/duration.h"
#include "storage/merge.h"

/* A querier of the older storage that may fail: then it has no more, and a warning. */
struct older {
        struct querier base;
        struct querier *inner;          /* NULL: it could not be opened */
        struct arena *arena;
        TimeMs end_ms;                  /* of what it is asked for */
        bool wants_all;
        Str warning;                    /* empty: none; the first stands for all */
};
struct older_set {
        struct series_set base;
        struct older *q;
        struct series_set *inner;       /* NULL: at its end */
};

/* NULL: it became a warning. */
static struct error *lose(struct older *q, struct error *take_e)
{
        if (q->wants_all || error_is(take_e, ERROR_CANCELLED) || error_is(take_e, ERROR_LIMIT) || error_is(take_e, ERROR_INVALID))
                return take_e;
        struct buf when = BUF_INIT(64);
        buf_put_rfc3339(&when, q->end_ms + 1);
        if (!q->warning.n)
                q->warning = arena_printf(q->arena, "samples before " STR_FMT " are missing: %s", STR_ARG(buf_str(&when)), error_str(take_e));
        buf_done(&when);
        error_free(take_e);
        return NULL;
}

static struct error *set_next(struct series_set *base, struct series *ret, bool *ret_more)
{
        struct older_set *s = CONTAINER_OF(base, struct older_set, base);
        *ret_more = false;
        if (!s->inner)
                return NULL;
        struct error *e = series_set_next(s->inner, ret, ret_more);
        if (!e)
                return NULL;
        *ret_more = false;
        s->inner = NULL;
        return lose(s->q, e);
}

static struct error *q_select(struct querier *base, const struct select_hints *h, const struct matcher *const *m, size_t n_m, struct series_set **ret)
{
        static const struct series_set_ops ops = {.next = set_next};
        struct older *q = CONTAINER_OF(base, struct older, base);
        struct older_set *s = arena_new(q->arena, struct older_set);
        *s = (struct older_set){.base.ops = &ops, .q = q};
        struct error *e = q->inner ? querier_select(q->inner, h, m, n_m, &s->inner) : NULL;
        if (e) {
                s->inner = NULL;
                e = lose(q, e);
        }
        *ret = &s->base;
        return e;
}

static struct error *q_names(struct querier *base, const struct matcher *const *m, size_t n_m, size_t limit, StrVec *ret)
{
        struct older *q = CONTAINER_OF(base, struct older, base);
        size_t from = ret->n;
        struct error *e = q->inner ? querier_label_names(q->inner, m, n_m, limit, ret) : NULL;
        if (!e)
                return NULL;
        ret->n = from;
        return lose(q, e);
}

static struct error *q_values(struct querier *base, Str name, const struct matcher *const *m, size_t n_m, size_t limit, StrVec *ret)
{
        struct older *q = CONTAINER_OF(base, struct older, base);
        size_t from = ret->n;
        struct error *e = q->inner ? querier_label_values(q->inner, name, m, n_m, limit, ret) : NULL;
        if (!e)
                return NULL;
        ret->n = from;
        return lose(q, e);
}

static void q_warnings(struct querier *base, StrVec *ret)
{
        struct older *q = CONTAINER_OF(base, struct older, base);
        if (q->inner)
                querier_warnings(q->inner, ret);
        if (q->warning.n)
                vec_push(ret, q->warning);
}

static void q_close(struct querier *base)
{
        querier_close(CONTAINER_OF(base, struct older, base)->inner);
}

static struct error *open_older(struct join *j, TimeMs mint_ms, TimeMs maxt_ms, struct arena *arena, struct querier **ret)
{
        static const struct querier_ops ops = {.select = q_select, .label_names = q_names, .label_values = q_values, .warnings = q_warnings, .close = q_close};
        struct older *q = arena_try_alloc(arena, sizeof *q);
        if (!q)
                return error_new(ERROR_LIMIT, "memory limit of %zu bytes reached while selecting series", arena->limit_bytes);
        *q = (struct older){.base.ops = &ops, .arena = arena, .end_ms = maxt_ms, .wants_all = j->o.wants_all};
        struct error *e = storage_querier(j->o.older, mint_ms, maxt_ms, arena, &q->inner);
        if (e) {
                q->inner = NULL;
                e = lose(q, e);
        }
        *ret = &q->base;
        return e;
}

/* The recent one is opened first: what it drops from then on it still gives to this querier, and recent_start() can only be too late, which
 * asks the older one for more than is needed. */
static struct error *join_querier(struct storage *base, TimeMs mint_ms, TimeMs maxt_ms, struct arena *arena, struct querier **ret)
{
        struct join *j = CONTAINER_OF(base, struct join, base);
        struct querier *parts[2];
        struct error *e = storage_querier(j->o.recent, mint_ms, maxt_ms, arena, &parts[0]);
        if (e)
                return e;
        TimeMs start = j->o.recent_start(j->o.ctx);
        if (mint_ms >= start) {
                *ret = parts[0];
                return NULL;
        }
        e = open_older(j, mint_ms, maxt_ms < start ? maxt_ms : start - 1, arena, &parts[1]);
        if (e) {
                querier_close(parts[0]);
                return e;
        }
        return merge_querier_new(arena, parts, 2, ret);
}

struct storage *join_init(struct join *j, const struct join_opts *o)
{
        static const struct storage_ops ops = {.querier = join_querier};
        *j = (struct join){.base.ops = &ops, .o = *o};
        return &j->base;
}
