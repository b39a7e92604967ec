/* SPDX-License-Identifier: Apache-2.0 */
/* metadata.c — a set of shared records, and each target's list of them.
 *
 * A target repeats its families in the same order at every scrape, so the next one is predicted; a miss goes through
 * the index. As long as nothing changes a scrape takes no lock here. */
#include "collect/scrape/metadata.h"

#include "base/alloc.h"
#include "base/hash.h"

/* ---- the pool ---- */

struct metadata_pool {
        struct mutex mu;                /* guards all below */
        struct metadata_record **slots; /* open addressing; NULL: free */
        size_t cap, n;
};

struct metadata_pool *metadata_pool_new(void)
{
        struct metadata_pool *p = mem_new(struct metadata_pool);
        mutex_init(&p->mu);
        return p;
}

void metadata_pool_free(struct metadata_pool *p)
{
        if (!p)
                return;
        if (p->n > 0)
                bug("%zu metadata records are still referred to", p->n);
        mutex_done(&p->mu);
        free(p->slots);
        free(p);
}

static uint64_t record_hash(Str family, const struct metric_metadata *md)
{
        return hash_str(family) ^ hash_str(md->help) * 31 ^ hash_str(md->unit) * 131 ^ (uint64_t)md->type * 1313131;
}

static bool record_is(const struct metadata_record *r, uint64_t hash, Str family, const struct metric_metadata *md)
{
        return r->hash == hash && str_eq(r->family, family) && r->meta.type == md->type &&
               str_eq(r->meta.help, md->help) && str_eq(r->meta.unit, md->unit);
}

static void pool_place(struct metadata_record **slots, size_t cap, struct metadata_record *r)
{
        size_t i = r->hash & (cap - 1);
        while (slots[i])
                i = (i + 1) & (cap - 1);
        slots[i] = r;
}

static struct metadata_record *pool_get(struct metadata_pool *p, Str family, const struct metric_metadata *md)
{
        uint64_t hash = record_hash(family, md);
        mutex_lock(&p->mu);
        if (p->n * 2 >= p->cap) {
                size_t cap = p->cap ? p->cap * 2 : 256;
                struct metadata_record **slots = mem_zalloc(cap * sizeof(struct metadata_record *));
                for (size_t i = 0; i < p->cap; i++)
                        if (p->slots[i])
                                pool_place(slots, cap, p->slots[i]);
                free(p->slots);
                p->slots = slots;
                p->cap = cap;
        }
        struct metadata_record *r = NULL;
        for (size_t i = hash & (p->cap - 1); p->slots[i]; i = (i + 1) & (p->cap - 1))
                if (record_is(p->slots[i], hash, family, md)) {
                        r = p->slots[i];
                        break;
                }
        if (!r) {
                r = mem_zalloc(sizeof(struct metadata_record) + family.n + md->help.n + md->unit.n);
                char *text = (char *)(r + 1);
                r->family = (Str){text, family.n};
                r->meta = (struct metric_metadata){
                        .type = md->type,
                        .help = {text + family.n, md->help.n},
                        .unit = {text + family.n + md->help.n, md->unit.n},
                };
                if (family.n)
                        memcpy(text, family.p, family.n);
                if (md->help.n)
                        memcpy(text + family.n, md->help.p, md->help.n);
                if (md->unit.n)
                        memcpy(text + family.n + md->help.n, md->unit.p, md->unit.n);
                r->hash = hash;
                pool_place(p->slots, p->cap, r);
                p->n++;
        }
        r->refs++;
        mutex_unlock(&p->mu);
        return r;
}

static void pool_put(struct metadata_pool *p, struct metadata_record *r)
{
        mutex_lock(&p->mu);
        if (--r->refs == 0) {
                size_t mask = p->cap - 1, i = r->hash & mask;
                while (p->slots[i] != r)
                        i = (i + 1) & mask;
                /* Close the gap: move up what probed past it. */
                for (size_t j = (i + 1) & mask; p->slots[j]; j = (j + 1) & mask) {
                        size_t home = p->slots[j]->hash & mask;
                        if (((j - home) & mask) >= ((j - i) & mask)) {
                                p->slots[i] = p->slots[j];
                                i = j;
                        }
                }
                p->slots[i] = NULL;
                p->n--;
                free(r);
        }
        mutex_unlock(&p->mu);
}

/* ---- one target's ---- */

void metadata_init(struct metadata *m, struct metadata_pool *p)
{
        *m = (struct metadata){.pool = p};
        mutex_init(&m->mu);
}

void metadata_done(struct metadata *m)
{
        for (size_t i = 0; i < m->v.n; i++)
                pool_put(m->pool, m->v.p[i].record);
        vec_done(&m->v);
        free(m->slots);
        mutex_done(&m->mu);
}

static void index_place(uint32_t *slots, uint32_t cap, uint32_t hash, uint32_t value)
{
        uint32_t i = hash & (cap - 1);
        while (slots[i])
                i = (i + 1) & (cap - 1);
        slots[i] = value;
}

static void index_rebuild(struct metadata *m)
{
        uint32_t cap = 16;
        while (cap < m->v.n * 2 + 2)
                cap *= 2;
        free(m->slots);
        m->slots = mem_zalloc(cap * sizeof(uint32_t));
        m->cap = cap;
        for (size_t i = 0; i < m->v.n; i++)
                index_place(m->slots, cap, m->v.p[i].family_hash, (uint32_t)i + 1);
}

static struct metadata_entry *entry_find(struct metadata *m, Str family)
{
        if (m->at < m->v.n && str_eq(m->v.p[m->at].record->family, family))
                return &m->v.p[m->at];
        if (m->at + 1 < m->v.n && str_eq(m->v.p[m->at + 1].record->family, family))
                return &m->v.p[++m->at];
        uint32_t hash = (uint32_t)hash_str(family);
        for (uint32_t i = m->cap ? hash & (m->cap - 1) : 0; m->cap && m->slots[i]; i = (i + 1) & (m->cap - 1)) {
                struct metadata_entry *e = &m->v.p[m->slots[i] - 1];
                if (e->family_hash == hash && str_eq(e->record->family, family)) {
                        m->at = m->slots[i] - 1;
                        return e;
                }
        }
        return NULL;
}

static void entry_set(struct metadata *m, uint32_t iter, Str family, struct metadata_entry *e,
                      const struct metric_metadata *md)
{
        struct metadata_record *r = pool_get(m->pool, family, md), *old = NULL;
        mutex_lock(&m->mu);
        if (e) {
                old = e->record;
                e->record = r;
                e->seen = iter;
        } else {
                uint32_t hash = (uint32_t)hash_str(family);
                vec_push(&m->v, ((struct metadata_entry){r, hash, iter}));
                m->at = m->v.n - 1;
                if (m->v.n * 2 > m->cap)
                        index_rebuild(m);
                else
                        index_place(m->slots, m->cap, hash, (uint32_t)m->v.n);
        }
        mutex_unlock(&m->mu);
        if (old)
                pool_put(m->pool, old);
}

void metadata_set_type(struct metadata *m, uint32_t iter, Str family, enum metric_type t)
{
        struct metadata_entry *e = entry_find(m, family);
        if (e && e->record->meta.type == t) {
                e->seen = iter;
                return;
        }
        struct metric_metadata md = e ? e->record->meta : (struct metric_metadata){.type = METRIC_UNKNOWN};
        md.type = t;
        entry_set(m, iter, family, e, &md);
}

void metadata_set_help(struct metadata *m, uint32_t iter, Str family, Str help)
{
        struct metadata_entry *e = entry_find(m, family);
        if (e && str_eq(e->record->meta.help, help)) {
                e->seen = iter;
                return;
        }
        struct metric_metadata md = e ? e->record->meta : (struct metric_metadata){.type = METRIC_UNKNOWN};
        md.help = help;
        entry_set(m, iter, family, e, &md);
}

void metadata_set_unit(struct metadata *m, uint32_t iter, Str family, Str unit)
{
        struct metadata_entry *e = entry_find(m, family);
        if (e && str_eq(e->record->meta.unit, unit)) {
                e->seen = iter;
                return;
        }
        struct metric_metadata md = e ? e->record->meta : (struct metric_metadata){.type = METRIC_UNKNOWN};
        md.unit = unit;
        entry_set(m, iter, family, e, &md);
}

void metadata_restart(struct metadata *m)
{
        m->at = 0;
}

void metadata_flush(struct metadata *m, uint32_t iter)
{
        size_t old = 0;
        for (size_t i = 0; i < m->v.n; i++)
                old += iter - m->v.p[i].seen > 10;
        if (old == 0)
                return;
        mutex_lock(&m->mu);
        size_t n = 0;
        for (size_t i = 0; i < m->v.n; i++) {
                if (iter - m->v.p[i].seen > 10)
                        pool_put(m->pool, m->v.p[i].record);
                else
                        m->v.p[n++] = m->v.p[i];
        }
        m->v.n = n;
        index_rebuild(m);
        m->at = 0;
        mutex_unlock(&m->mu);
}

bool metadata_each(struct metadata *m, bool (*fn)(void *ctx, Str family, const struct metric_metadata *md), void *ctx)
{
        bool more = true;
        mutex_lock(&m->mu);
        for (size_t i = 0; i < m->v.n && more; i++)
                more = fn(ctx, m->v.p[i].record->family, &m->v.p[i].record->meta);
        mutex_unlock(&m->mu);
        return more;
}

void metadata_size(struct metadata *m, uint64_t *ret_entries, uint64_t *ret_bytes)
{
        mutex_lock(&m->mu);
        uint64_t bytes = 0;
        for (size_t i = 0; i < m->v.n; i++) {
                const struct metric_metadata *md = &m->v.p[i].record->meta;
                bytes += md->help.n + md->unit.n + strlen(metric_type_name(md->type));
        }
        *ret_entries = m->v.n;
        *ret_bytes = bytes;
        mutex_unlock(&m->mu);
}
