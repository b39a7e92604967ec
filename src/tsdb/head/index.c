/* SPDX-License-Identifier: Apache-2.0 */
#include "tsdb/head/index.h"

#include "base/hash.h"

void pairs_init(struct index *ix, struct slab *slab)
{
        *ix = (struct index){.slab = slab, .all = roaring_bitmap_create()};
}

void pairs_done(struct index *ix)
{
        for (size_t i = 0; i < ix->pairs.n; i++) {
                struct pair *p = &ix->pairs.p[i];
                if (p->n && !p->cap)
                        roaring_bitmap_free(p->many);
                else if (p->n && p->cap * sizeof *p->few > SLAB_MAX)
                        slab_free(ix->slab, p->few, p->cap * sizeof *p->few);
                if (p->n && p->n_value > SLAB_MAX)
                        slab_free(ix->slab, (void *)p->value, p->n_value);
        }
        for (size_t i = 0; i < ix->names.n; i++) {
                free(ix->names.p[i].p);
                vec_done(&ix->names.p[i].pairs);
        }
        vec_done(&ix->names);
        free(ix->name_table);
        vec_done(&ix->pairs);
        free(ix->table);
        roaring_bitmap_free(ix->all);
}

/* ---- pairs ---- */

static uint32_t pair_hash(uint32_t name, Str value)
{
        uint64_t h = hash_str(value) ^ (name * UINT64_C(0x9e3779b97f4a7c15));
        return (uint32_t)(h ^ h >> 32);
}

static uint32_t name_place(const struct index *ix, Str name)
{
        uint32_t mask = ix->name_table_cap - 1, i = (uint32_t)hash_str(name) & mask;
        for (;; i = (i + 1) & mask) {
                if (!ix->name_table[i])
                        return i;
                const struct name *n = &ix->names.p[ix->name_table[i] - 1];
                if (n->n == name.n && memcmp(n->p, name.p, name.n) == 0)
                        return i;
        }
}

static uint32_t name_number(const struct index *ix, Str name)
{
        if (!ix->name_table_cap)
                return UINT32_MAX;
        uint32_t at = ix->name_table[name_place(ix, name)];
        return at ? at - 1 : UINT32_MAX;
}

static uint32_t name_make(struct index *ix, Str name)
{
        uint32_t n = name_number(ix, name);
        if (n != UINT32_MAX)
                return n;
        if ((ix->names.n + 1) * 2 > ix->name_table_cap) {
                ix->name_table_cap = ix->name_table_cap ? ix->name_table_cap * 2 : 64;
                free(ix->name_table);
                ix->name_table = mem_zalloc(ix->name_table_cap * sizeof *ix->name_table);
                for (size_t i = 0; i < ix->names.n; i++)
                        ix->name_table[name_place(ix, (Str){ix->names.p[i].p, ix->names.p[i].n})] = (uint32_t)i + 1;
        }
        n = (uint32_t)ix->names.n;
        vec_push(&ix->names, (struct name){.p = str_dup(name), .n = (uint32_t)name.n});
        ix->name_table[name_place(ix, name)] = n + 1;
        ix->symbol_bytes += name.n;
        return n;
}

const struct name *pairs_name(const struct index *ix, Str name)
{
        uint32_t n = name_number(ix, name);
        return n == UINT32_MAX ? NULL : &ix->names.p[n];
}

/* Place in the table of the pair, or of the hole where it belongs. */
static uint32_t table_place(const struct index *ix, uint32_t name, Str value, uint32_t hash)
{
        uint32_t mask = ix->table_cap - 1, i = hash & mask;
        for (;; i = (i + 1) & mask) {
                if (!ix->table[i])
                        return i;
                const struct pair *p = &ix->pairs.p[ix->table[i] - 1];
                if (p->hash == hash && p->name == name && p->n_value == value.n &&
                    memcmp(p->value, value.p, value.n) == 0)
                        return i;
        }
}

static void table_grow(struct index *ix)
{
        uint32_t cap = ix->table_cap ? ix->table_cap * 2 : 256;
        free(ix->table);
        ix->table = mem_zalloc((size_t)cap * sizeof *ix->table);
        ix->table_cap = cap;
        for (size_t k = 0; k < ix->pairs.n; k++) {
                if (!ix->pairs.p[k].value) /* free; one that was just made has no series yet */
                        continue;
                uint32_t i = ix->pairs.p[k].hash & (cap - 1);
                while (ix->table[i])
                        i = (i + 1) & (cap - 1);
                ix->table[i] = (uint32_t)k + 1;
        }
}

static uint32_t pair_find(const struct index *ix, Str name, Str value)
{
        uint32_t n = name_number(ix, name);
        if (n == UINT32_MAX || !ix->table_cap)
                return UINT32_MAX;
        uint32_t at = ix->table[table_place(ix, n, value, pair_hash(n, value))];
        return at ? at - 1 : UINT32_MAX;
}

static uint32_t pair_make(struct index *ix, uint32_t name, Label l, bool *made)
{
        if ((ix->n_pairs + 1) * 4 > ix->table_cap * 3)
                table_grow(ix);
        uint32_t hash = pair_hash(name, l.value), place = table_place(ix, name, l.value, hash);
        if (ix->table[place])
                return ix->table[place] - 1;
        *made = true;
        uint32_t k;
        if (ix->free_pair) {
                k = ix->free_pair - 1;
                ix->free_pair = ix->pairs.p[k].name;
        } else {
                k = (uint32_t)ix->pairs.n;
                vec_push(&ix->pairs, (struct pair){.n = 0});
        }
        char *value = slab_alloc(ix->slab, l.value.n);
        memcpy(value, l.value.p, l.value.n);
        struct name *of = &ix->names.p[name];
        ix->pairs.p[k] = (struct pair){.value = value,
                                       .n_value = (uint32_t)l.value.n,
                                       .name = name,
                                       .hash = hash,
                                       .at = (uint32_t)of->pairs.n,
                                       .cap = 2,
                                       .few = slab_alloc(ix->slab, 2 * sizeof(uint32_t))};
        vec_push(&of->pairs, k);
        ix->table[place] = k + 1;
        ix->n_pairs++;
        ix->symbol_bytes += l.value.n;
        return k;
}

static void pair_add_slot(struct index *ix, uint32_t k, uint32_t slot)
{
        struct pair *p = &ix->pairs.p[k];
        if (p->cap && p->n == POSTINGS_FEW_MAX) {
                roaring_bitmap_t *many = roaring_bitmap_of_ptr(p->n, p->few);
                slab_free(ix->slab, p->few, p->cap * sizeof *p->few);
                p->cap = 0;
                p->many = many;
        }
        if (!p->cap) {
                roaring_bitmap_add(p->many, slot);
                p->n++;
                return;
        }
        if (p->n == p->cap) {
                uint32_t cap = p->cap * 2;
                uint32_t *few = slab_alloc(ix->slab, cap * sizeof *few);
                memcpy(few, p->few, p->n * sizeof *few);
                slab_free(ix->slab, p->few, p->cap * sizeof *few);
                p->few = few;
                p->cap = cap;
        }
        uint32_t i = p->n++;
        for (; i > 0 && p->few[i - 1] > slot; i--)
                p->few[i] = p->few[i - 1];
        p->few[i] = slot;
}

bool pairs_find(const struct index *ix, Labels ls, uint32_t *out)
{
        for (size_t i = 0; i < ls.n; i++) {
                out[i] = pair_find(ix, ls.v[i].name, ls.v[i].value);
                if (out[i] == UINT32_MAX)
                        return false;
        }
        return true;
}

bool pairs_make(struct index *ix, Labels ls, Labels like, const uint32_t *like_pairs, uint32_t *out)
{
        bool made = false;
        for (size_t i = 0; i < ls.n; i++) {
                Label l = ls.v[i];
                uint32_t name;
                if (i < like.n && str_eq(like.v[i].name, l.name)) {
                        if (str_eq(like.v[i].value, l.value)) {
                                out[i] = like_pairs[i];
                                continue;
                        }
                        name = ix->pairs.p[like_pairs[i]].name;
                } else {
                        name = name_make(ix, l.name);
                }
                out[i] = pair_make(ix, name, l, &made);
        }
        return made;
}

void pairs_add(struct index *ix, uint32_t slot, const uint32_t *pairs, size_t n)
{
        for (size_t i = 0; i < n; i++)
                pair_add_slot(ix, pairs[i], slot);
        roaring_bitmap_add(ix->all, slot);
}

static void retire(struct index *ix, void *p, size_t n)
{
        if (ix->retire)
                ix->retire(ix->retire_ctx, p, n);
        else
                slab_free(ix->slab, p, n);
}

/* Linear probing without tombstones: entries behind the hole move up. */
static void table_remove(struct index *ix, uint32_t k)
{
        uint32_t mask = ix->table_cap - 1, hole = ix->pairs.p[k].hash & mask;
        while (ix->table[hole] != k + 1)
                hole = (hole + 1) & mask;
        for (uint32_t i = (hole + 1) & mask; ix->table[i]; i = (i + 1) & mask) {
                uint32_t home = ix->pairs.p[ix->table[i] - 1].hash & mask;
                if (((i - home) & mask) >= ((i - hole) & mask)) {
                        ix->table[hole] = ix->table[i];
                        hole = i;
                }
        }
        ix->table[hole] = 0;
}

static void pair_free(struct index *ix, uint32_t k)
{
        struct pair *p = &ix->pairs.p[k];
        struct name *of = &ix->names.p[p->name];
        table_remove(ix, k);
        uint32_t last = vec_pop(&of->pairs);
        if (last != k) {
                of->pairs.p[p->at] = last;
                ix->pairs.p[last].at = p->at;
        }
        ix->n_pairs--;
        ix->symbol_bytes -= p->n_value;
        retire(ix, (void *)p->value, p->n_value);
        if (p->cap)
                slab_free(ix->slab, p->few, p->cap * sizeof *p->few);
        else
                roaring_bitmap_free(p->many);
        *p = (struct pair){.name = ix->free_pair};
        ix->free_pair = k + 1;
}

void pairs_remove(struct index *ix, uint32_t slot, const uint32_t *pairs, size_t n)
{
        for (size_t i = 0; i < n; i++) {
                struct pair *p = &ix->pairs.p[pairs[i]];
                if (p->cap) {
                        uint32_t j = 0;
                        while (p->few[j] != slot)
                                j++;
                        memmove(p->few + j, p->few + j + 1, (p->n - j - 1) * sizeof *p->few);
                } else {
                        roaring_bitmap_remove(p->many, slot);
                }
                if (--p->n == 0)
                        pair_free(ix, pairs[i]);
        }
        roaring_bitmap_remove(ix->all, slot);
}

uint64_t pairs_heap_bytes(const struct index *ix)
{
        uint64_t n = ix->pairs.cap * sizeof *ix->pairs.p + (uint64_t)ix->table_cap * sizeof *ix->table +
                     ix->names.cap * sizeof *ix->names.p;
        for (size_t i = 0; i < ix->names.n; i++)
                n += ix->names.p[i].n + 1 + ix->names.p[i].pairs.cap * sizeof(uint32_t);
        for (size_t i = 0; i < ix->pairs.n; i++)
                if (ix->pairs.p[i].n && !ix->pairs.p[i].cap)
                        n += roaring_bitmap_portable_size_in_bytes(ix->pairs.p[i].many) + 128;
        return n + roaring_bitmap_portable_size_in_bytes(ix->all);
}

/* ---- matchers ---- */

static void pair_union(const struct index *ix, uint32_t k, roaring_bitmap_t *out)
{
        const struct pair *p = &ix->pairs.p[k];
        if (p->cap)
                roaring_bitmap_add_many(out, p->n, p->few);
        else
                roaring_bitmap_or_inplace(out, p->many);
}

static void pair_intersect(const struct index *ix, uint32_t k, roaring_bitmap_t *io)
{
        const struct pair *p = &ix->pairs.p[k];
        if (!p->cap) {
                roaring_bitmap_and_inplace(io, p->many);
                return;
        }
        roaring_bitmap_t *few = roaring_bitmap_of_ptr(p->n, p->few);
        roaring_bitmap_and_inplace(io, few);
        roaring_bitmap_free(few);
}

/* Series with a value of the name for which matcher_matches is `want`. */
static roaring_bitmap_t *values_union(const struct index *ix, const struct matcher *m, bool want)
{
        roaring_bitmap_t *out = roaring_bitmap_create();
        const Str *set;
        size_t n_set;
        const struct name *name = pairs_name(ix, m->name);
        if (!name)
                return out;
        /* Asked for the values that the pattern names: whether it is negated is in `want`. */
        bool named = (m->type == MATCH_EQ || m->type == MATCH_RE) == want;
        if (named && (m->type == MATCH_EQ || m->type == MATCH_NE)) {
                uint32_t k = pair_find(ix, m->name, m->value);
                if (k != UINT32_MAX)
                        pair_union(ix, k, out);
                return out;
        }
        if (named && m->type == MATCH_RE && matcher_set_matches(m, &set, &n_set)) {
                for (size_t i = 0; i < n_set; i++) {
                        uint32_t k = pair_find(ix, m->name, set[i]);
                        if (k != UINT32_MAX)
                                pair_union(ix, k, out);
                }
                return out;
        }
        Str prefix = matcher_prefix(m);
        for (size_t i = 0; i < name->pairs.n; i++) {
                Str value = pair_value(ix, name->pairs.p[i]);
                bool is = (m->type != MATCH_RE || str_has_prefix(value, prefix)) && matcher_matches(m, value);
                if (is == want)
                        pair_union(ix, name->pairs.p[i], out);
        }
        return out;
}

static void filter_each(const struct index *ix, const struct index_series_pairs *sp, const struct matcher *m,
                        roaring_bitmap_t *io)
{
        uint64_t n = roaring_bitmap_get_cardinality(io);
        uint32_t *slots = mem_alloc(n * sizeof *slots + 1), keep = 0;
        roaring_bitmap_to_uint32_array(io, slots);
        uint32_t name = name_number(ix, m->name);
        for (uint64_t i = 0; i < n; i++) {
                size_t n_pairs;
                const uint32_t *pairs = sp->get(sp->ctx, slots[i], &n_pairs);
                Str value = {"", 0};
                for (size_t k = 0; k < n_pairs; k++)
                        if (ix->pairs.p[pairs[k]].name == name)
                                value = pair_value(ix, pairs[k]);
                if (matcher_matches(m, value))
                        slots[keep++] = slots[i];
        }
        roaring_bitmap_clear(io);
        roaring_bitmap_add_many(io, keep, slots);
        free(slots);
}

static bool is_plain(const struct matcher *m)
{
        return m->type == MATCH_EQ && m->value.n > 0;
}

roaring_bitmap_t *pairs_match(const struct index *ix, const struct index_series_pairs *sp,
                              const struct matcher *const *m, size_t n)
{
        roaring_bitmap_t *out = NULL;
        /* Equalities first, from the shortest list. */
        uint32_t shortest = UINT32_MAX;
        for (size_t i = 0; i < n; i++) {
                if (!is_plain(m[i]))
                        continue;
                uint32_t k = pair_find(ix, m[i]->name, m[i]->value);
                if (k == UINT32_MAX)
                        return roaring_bitmap_create();
                if (shortest == UINT32_MAX || ix->pairs.p[k].n < ix->pairs.p[shortest].n)
                        shortest = k;
        }
        if (shortest != UINT32_MAX) {
                out = roaring_bitmap_create();
                pair_union(ix, shortest, out);
                for (size_t i = 0; i < n; i++) {
                        uint32_t k = is_plain(m[i]) ? pair_find(ix, m[i]->name, m[i]->value) : shortest;
                        if (k != shortest)
                                pair_intersect(ix, k, out);
                }
        }
        /* Then what narrows, then what takes away. */
        for (int pass = 0; pass < 2; pass++) {
                for (size_t i = 0; i < n; i++) {
                        bool takes_away = matcher_matches_empty(m[i]);
                        if (is_plain(m[i]) || takes_away != (pass == 1))
                                continue;
                        if (!out && takes_away)
                                out = roaring_bitmap_copy(ix->all);
                        const struct name *name = pairs_name(ix, m[i]->name);
                        if (out && name && roaring_bitmap_get_cardinality(out) < name->pairs.n / 2) {
                                filter_each(ix, sp, m[i], out);
                                continue;
                        }
                        roaring_bitmap_t *values = values_union(ix, m[i], /* want= */ !takes_away);
                        if (!out) {
                                out = values;
                                continue;
                        }
                        if (takes_away)
                                roaring_bitmap_andnot_inplace(out, values);
                        else
                                roaring_bitmap_and_inplace(out, values);
                        roaring_bitmap_free(values);
                }
        }
        return out ? out : roaring_bitmap_copy(ix->all);
}
