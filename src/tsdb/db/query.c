/* SPDX-License-Identifier: Apache-2.0 */
/* Queriers over blocks and head.
 *
 * When the head is written to a block, the block is loaded first and the head cut after. A querier that was opened
 * between sees both and merges them; one that was opened before the block was loaded would lose the samples: so the cut
 * waits for those (db_wait_queriers). */
#include "storage/merge.h"
#include "tsdb/db/state.h"

struct db_querier {
        struct querier base;
        struct list link;
        struct db *db;
        struct querier *inner;
        TimeMs mint_ms;
        uint64_t seq;
};

static struct error *q_select(struct querier *q, const struct select_hints *h, const struct matcher *const *m,
                              size_t n_m, struct series_set **ret)
{
        return querier_select(CONTAINER_OF(q, struct db_querier, base)->inner, h, m, n_m, ret);
}

static struct error *q_names(struct querier *q, const struct matcher *const *m, size_t n_m, size_t limit, StrVec *ret)
{
        return querier_label_names(CONTAINER_OF(q, struct db_querier, base)->inner, m, n_m, limit, ret);
}

static struct error *q_values(struct querier *q, Str name, const struct matcher *const *m, size_t n_m, size_t limit,
                              StrVec *ret)
{
        return querier_label_values(CONTAINER_OF(q, struct db_querier, base)->inner, name, m, n_m, limit, ret);
}

static void q_warnings(struct querier *q, StrVec *ret)
{
        querier_warnings(CONTAINER_OF(q, struct db_querier, base)->inner, ret);
}

static void forget(struct db_querier *q)
{
        mutex_lock(&q->db->mu);
        list_remove(&q->link);
        cond_broadcast(&q->db->changed);
        mutex_unlock(&q->db->mu);
}

static void q_close(struct querier *base)
{
        struct db_querier *q = CONTAINER_OF(base, struct db_querier, base);
        querier_close(q->inner);
        forget(q);
}

static struct error *open_parts(struct db *db, const BlockVec *blocks, TimeMs mint_ms, TimeMs maxt_ms,
                                struct arena *arena, struct querier **ret)
{
        VEC(struct querier *) parts = VEC_INIT;
        struct error *e = NULL;
        struct querier *q;
        for (size_t i = 0; !e && i < blocks->n; i++) {
                if (!block_overlaps(blocks->p[i], mint_ms, maxt_ms))
                        continue;
                e = block_querier(blocks->p[i], mint_ms, maxt_ms, arena, &q);
                if (!e)
                        vec_push(&parts, q);
        }
        struct head *head = db_head(db);
        if (!e && head &&
            (maxt_ms >= head_min_ms(head) || (maxt_ms >= head_ooo_min_ms(head) && mint_ms <= head_ooo_max_ms(head)))) {
                e = storage_querier(head_storage(head), mint_ms, maxt_ms, arena, &q);
                if (!e)
                        vec_push(&parts, q);
        }
        if (e) {
                for (size_t i = 0; i < parts.n; i++)
                        querier_close(parts.p[i]);
        } else {
                e = merge_querier_new(arena, parts.p, parts.n, ret);
        }
        vec_done(&parts);
        return e;
}

static struct error *open_querier(struct storage *s, TimeMs mint_ms, TimeMs maxt_ms, struct arena *arena,
                                  struct querier **ret)
{
        static const struct querier_ops ops = {.select = q_select,
                                               .label_names = q_names,
                                               .label_values = q_values,
                                               .warnings = q_warnings,
                                               .close = q_close};
        struct db *db = CONTAINER_OF(s, struct db, storage);
        struct db_querier *q = arena_try_alloc(arena, sizeof *q);
        if (!q)
                return error_new(ERROR_LIMIT, "memory limit of %zu bytes reached while selecting series",
                                 arena->limit_bytes);
        *q = (struct db_querier){.base.ops = &ops, .db = db, .mint_ms = mint_ms};
        BlockVec blocks = VEC_INIT;
        mutex_lock(&db->mu);
        q->seq = ++db->querier_seq;
        list_push_back(&db->queriers, &q->link);
        for (size_t i = 0; i < db->blocks.n; i++)
                vec_push(&blocks, block_ref(db->blocks.p[i]));
        mutex_unlock(&db->mu);
        struct error *e = open_parts(db, &blocks, mint_ms, maxt_ms, arena, &q->inner);
        db_blocks_done(&blocks);
        if (e) {
                forget(q);
                return e;
        }
        *ret = &q->base;
        return NULL;
}

static struct error *open_appender(struct storage *s, struct appender **ret)
{
        struct db *db = CONTAINER_OF(s, struct db, storage);
        struct head *head = db_head(db);
        if (!head)
                return error_new(ERROR_UNAVAILABLE, "TSDB not ready");
        db_wake_if_compactable(db, head);
        return storage_appender(head_storage(head), ret);
}

const struct storage_ops db_storage_ops = {.querier = open_querier, .appender = open_appender};

bool db_wait_queriers(struct db *db, TimeMs t)
{
        mutex_lock(&db->mu);
        uint64_t last = db->querier_seq;
        for (;;) {
                bool busy = false;
                LIST_EACH (l, &db->queriers) {
                        const struct db_querier *q = CONTAINER_OF(l, struct db_querier, link);
                        busy |= q->seq <= last && q->mint_ms < t;
                }
                if (!busy || db->stop)
                        break;
                cond_wait(&db->changed, &db->mu);
        }
        bool go_on = !db->stop;
        mutex_unlock(&db->mu);
        return go_on;
}
