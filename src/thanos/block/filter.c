/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pool.h"
#include "base/thread.h"
#include "thanos/block/fetcher.h"

void block_filter_drop(struct block_filter_run *r, ThanosMetaVec *metas, const bool *drop, enum block_state why)
{
        size_t to = 0;
        for (size_t i = 0; i < metas->n; i++) {
                if (drop[i]) {
                        thanos_meta_unref(metas->p[i]);
                        r->count[why]++;
                } else {
                        metas->p[to++] = metas->p[i];
                }
        }
        metas->n = to;
}

static void simple_free(struct block_filter *f)
{
        free(f);
}

static bool *marks_new(const ThanosMetaVec *metas)
{
        return mem_zalloc(metas->n + 1);
}

/* --- time --- */

struct time_filter {
        struct block_filter base;
        struct time_bound min, max;
};

static struct error *time_run(struct block_filter *f, struct block_filter_run *r, ThanosMetaVec *metas)
{
        const struct time_filter *t = CONTAINER_OF(f, struct time_filter, base);
        TimeMs mint = time_bound_at(t->min, r->now_ms), maxt = time_bound_at(t->max, r->now_ms);
        bool *drop = marks_new(metas);
        for (size_t i = 0; i < metas->n; i++)
                drop[i] = metas->p[i]->block.maxt_ms < mint || metas->p[i]->block.mint_ms > maxt;
        block_filter_drop(r, metas, drop, BLOCK_TIME_EXCLUDED);
        free(drop);
        return NULL;
}

struct block_filter *block_filter_time(struct time_bound min, struct time_bound max)
{
        struct time_filter *t = mem_new(struct time_filter);
        *t = (struct time_filter){{time_run, simple_free}, min, max};
        return &t->base;
}

/* --- relabelling --- */

struct relabel_filter {
        struct block_filter base;
        const struct relabel_rule *rules;
        size_t n;
};

static bool relabel_keeps(const struct relabel_filter *f, const struct thanos_meta *m)
{
        struct arena a;
        arena_init(&a, 1 << 20);
        struct labels_builder b;
        labels_builder_init(&b);
        char id[ULID_TEXT_BYTES + 1];
        ulid_print(m->block.ulid, id);
        labels_builder_reset(&b, m->labels);
        labels_builder_set(&b, STR("__block_id"), str_from(id));
        bool keep = relabel_process(f->rules, f->n, &b, &a) && labels_builder_labels(&b, &a).n > 0;
        labels_builder_done(&b);
        arena_done(&a);
        return keep;
}

static struct error *relabel_run(struct block_filter *f, struct block_filter_run *r, ThanosMetaVec *metas)
{
        const struct relabel_filter *x = CONTAINER_OF(f, struct relabel_filter, base);
        bool *drop = marks_new(metas);
        for (size_t i = 0; i < metas->n; i++)
                drop[i] = !relabel_keeps(x, metas->p[i]);
        block_filter_drop(r, metas, drop, BLOCK_LABEL_EXCLUDED);
        free(drop);
        return NULL;
}

struct block_filter *block_filter_relabel(const struct relabel_rule *rules, size_t n)
{
        struct relabel_filter *x = mem_new(struct relabel_filter);
        *x = (struct relabel_filter){{relabel_run, simple_free}, rules, n};
        return &x->base;
}

/* --- age, by the time in the ULID --- */

struct delay_filter {
        struct block_filter base;
        int64_t delay_ms;
};

static struct error *consistency_run(struct block_filter *f, struct block_filter_run *r, ThanosMetaVec *metas)
{
        const struct delay_filter *x = CONTAINER_OF(f, struct delay_filter, base);
        bool *drop = marks_new(metas);
        for (size_t i = 0; i < metas->n; i++) {
                const struct thanos_meta *m = metas->p[i];
                /* What replaces blocks that were there before is not waited for. A ULID of the future is old:
                 * upstream's difference is unsigned. */
                bool replaces = str_eq(m->source, STR("compactor")) || str_eq(m->source, STR("compactor.repair")) ||
                                str_eq(m->source, STR("bucket.repair"));
                uint64_t age = (uint64_t)r->now_ms - (uint64_t)ulid_time_ms(m->block.ulid);
                drop[i] = !replaces && age < (uint64_t)x->delay_ms;
        }
        block_filter_drop(r, metas, drop, BLOCK_TOO_FRESH);
        free(drop);
        return NULL;
}

struct block_filter *block_filter_consistency(int64_t delay_ms)
{
        struct delay_filter *x = mem_new(struct delay_filter);
        *x = (struct delay_filter){{consistency_run, simple_free}, delay_ms};
        return &x->base;
}

/* --- deletion marks --- */

struct mark_job {
        struct block_filter_run *r;
        const ThanosMetaVec *metas;
        int64_t delay_ms;
        bool *drop;
        struct mutex mu; /* guards: */
        struct error *e;
};

static void mark_step(void *ctx, size_t i, UNUSED int worker)
{
        struct mark_job *j = ctx;
        char name[ULID_TEXT_BYTES + 1 + sizeof MARK_DELETION];
        ulid_print(j->metas->p[i]->block.ulid, name);
        strcat(name, "/" MARK_DELETION);
        struct bucket_call call = j->r->call ? *j->r->call : (struct bucket_call){0};
        call.not_found_is_expected = true;
        struct buf b = BUF_INIT(1 << 20);
        struct deletion_mark mark;
        struct error *e = bucket_get(j->r->bucket, &call, str_from(name), &b);
        if (!e)
                e = deletion_mark_parse(buf_str(&b), &mark);
        buf_done(&b);
        if (!e) {
                j->drop[i] = j->r->now_ms - mark.deletion_time_s * 1000 > j->delay_ms;
                deletion_mark_done(&mark);
        } else if (error_is(e, ERROR_NOT_FOUND) || error_is(e, ERROR_CORRUPT)) {
                error_ignore(e, "no mark, or half of one: the block is there");
        } else {
                mutex_lock(&j->mu);
                error_free(j->e);
                j->e = e;
                mutex_unlock(&j->mu);
        }
}

static struct error *mark_run(struct block_filter *f, struct block_filter_run *r, ThanosMetaVec *metas)
{
        const struct delay_filter *x = CONTAINER_OF(f, struct delay_filter, base);
        struct mark_job j = {
                .r = r, .metas = metas, .delay_ms = x->delay_ms, .drop = marks_new(metas), .mu = MUTEX_INIT};
        struct pool *pool = NULL;
        struct error *e = NULL;
        if (metas->n > 1 && r->concurrency > 1)
                e = pool_new("marks", (int)MIN((size_t)r->concurrency, metas->n), &pool);
        if (!e) {
                pool_each(pool, metas->n, mark_step, &j);
                e = j.e ? error_wrap(j.e, "filter blocks marked for deletion") : NULL;
        }
        pool_free(pool);
        if (!e)
                block_filter_drop(r, metas, j.drop, BLOCK_MARKED_FOR_DELETION);
        free(j.drop);
        return e;
}

struct block_filter *block_filter_deletion_mark(int64_t delay_ms)
{
        struct delay_filter *x = mem_new(struct delay_filter);
        *x = (struct delay_filter){{mark_run, simple_free}, delay_ms};
        return &x->base;
}

/* --- blocks whose sources are all in another one --- */

struct candidate {
        const struct thanos_meta *m;
        uint64_t group; /* hash of labels */
        size_t i;
};

/* Groups together; in each the one with most sources first, then the older one. */
static int candidate_cmp(const void *a, const void *b)
{
        const struct candidate *x = a, *y = b;
        if (x->m->resolution_ms != y->m->resolution_ms)
                return x->m->resolution_ms < y->m->resolution_ms ? -1 : 1;
        if (x->group != y->group)
                return x->group < y->group ? -1 : 1;
        size_t nx = x->m->block.sources.n, ny = y->m->block.sources.n;
        if (nx != ny)
                return nx > ny ? -1 : 1;
        return ulid_cmp(x->m->block.ulid, y->m->block.ulid);
}

static bool has_source(const struct thanos_meta *m, Ulid u)
{
        for (size_t i = 0; i < m->block.sources.n; i++)
                if (ulid_cmp(m->block.sources.p[i], u) == 0)
                        return true;
        return false;
}

static bool covers(const struct thanos_meta *parent, const struct thanos_meta *child)
{
        for (size_t i = 0; i < child->block.sources.n; i++)
                if (!has_source(parent, child->block.sources.p[i]))
                        return false;
        return true;
}

static struct error *duplicates_run(UNUSED struct block_filter *f, struct block_filter_run *r, ThanosMetaVec *metas)
{
        bool *drop = marks_new(metas);
        VEC(struct candidate) all = VEC_INIT;
        VEC(const struct thanos_meta *) kept = VEC_INIT; /* of the group */
        for (size_t i = 0; i < metas->n; i++)
                vec_push(&all, (struct candidate){metas->p[i], labels_hash(metas->p[i]->labels), i});
        if (all.n)
                qsort(all.p, all.n, sizeof *all.p, candidate_cmp);
        for (size_t i = 0; i < all.n; i++) {
                const struct candidate *c = &all.p[i];
                if (i && (all.p[i - 1].group != c->group || all.p[i - 1].m->resolution_ms != c->m->resolution_ms))
                        vec_clear(&kept);
                bool is_covered = false;
                for (size_t k = 0; k < kept.n && !is_covered; k++)
                        is_covered = covers(kept.p[k], c->m);
                if (is_covered)
                        drop[c->i] = true;
                else
                        vec_push(&kept, c->m);
        }
        block_filter_drop(r, metas, drop, BLOCK_DUPLICATE);
        vec_done(&kept);
        vec_done(&all);
        free(drop);
        return NULL;
}

struct block_filter *block_filter_duplicates(void)
{
        struct block_filter *f = mem_new(struct block_filter);
        *f = (struct block_filter){duplicates_run, simple_free};
        return f;
}
