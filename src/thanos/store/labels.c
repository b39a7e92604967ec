/* SPDX-License-Identifier: Apache-2.0 */
/* Names and values of labels over all blocks that meet the time. Without matchers the index-header knows; else the
 * series are looked at. Matchers of external labels are asked as matchers; 0.36 compares their text only, which its
 * successors call a fault. */
#include "base/map.h"
#include "thanos/store/store_impl.h"

struct gather {
        struct map seen; /* values are the table itself: only keys count */
        StrVec out;
        struct arena *arena;
};

static struct error *gather_add(struct gather *g, Str s)
{
        if (map_get(&g->seen, s))
                return NULL;
        char *copy = arena_try_alloc(g->arena, s.n + 1);
        if (!copy)
                return store_over_budget(g->arena);
        memcpy(copy, s.p, s.n);
        copy[s.n] = '\0';
        Str kept = {copy, s.n};
        map_set(&g->seen, kept, g);
        vec_push(&g->out, kept);
        return NULL;
}

struct ask {
        struct bucket_store *s;
        const struct store_request *r;
        const struct bucket_call *c;
        bool wants_names;
        Str name; /* whose values are asked for */
        struct store_limits limits;
        struct gather g;
};

static bool is_without(const struct store_request *r, Str name)
{
        for (size_t i = 0; i < r->n_without; i++)
                if (str_eq(r->without[i], name))
                        return true;
        return false;
}

static struct error *ask_header(struct ask *a, struct store_block *b)
{
        const struct index_header *h;
        struct error *e = store_block_header(b, a->c, &h);
        if (e)
                return e;
        const struct index_reader *ix = index_header_index(h);
        Labels ext = store_block_external(b);
        if (a->wants_names) {
                for (size_t i = 0; !e && i < index_name_count(ix); i++)
                        e = gather_add(&a->g, index_name_at(ix, i));
                for (size_t i = 0; !e && i < ext.n; i++)
                        if (!is_without(a->r, ext.v[i].name))
                                e = gather_add(&a->g, ext.v[i].name);
        } else {
                uint64_t place;
                if (a->name.n == 0 && index_all_place(ix, &place))
                        e = gather_add(&a->g, STR("")); /* the list of all series has this name and this value */
                ptrdiff_t k = index_find_name(ix, a->name);
                if (k >= 0) {
                        struct index_values it = index_values_from(ix, (size_t)k, (Str){0});
                        Str v;
                        while (!e && index_values_next(&it, &v))
                                if (v.n)
                                        e = gather_add(&a->g, v);
                        if (!e && it.bad)
                                e = error_new(ERROR_CORRUPT, "postings offset table: damaged");
                }
                Str v = labels_get(ext, a->name);
                if (!e && v.n)
                        e = gather_add(&a->g, v);
        }
        store_block_header_put(b);
        return e;
}

static struct error *ask_series(struct ask *a, struct store_block *b, const struct matcher *const *m, size_t n)
{
        struct store_request r = *a->r;
        r.skip_chunks = true;
        if (!a->wants_names)
                r.n_without = 0;
        struct block_stream *st;
        struct error *e = block_stream_new(b, &r, m, n, a->c, &a->limits, 0, 1, &st);
        if (e)
                return e;
        Str last = {0};
        for (;;) {
                struct store_series x;
                bool more;
                if ((e = block_stream_next(st, &x, &more)) || !more)
                        break;
                if (!a->wants_names) {
                        Str v = labels_get(x.labels, a->name);
                        if (v.n && (v.p != last.p || v.n != last.n))
                                e = gather_add(&a->g, v);
                        last = v;
                } else {
                        for (size_t i = 0; !e && i < x.labels.n; i++)
                                e = gather_add(&a->g, x.labels.v[i].name);
                }
                if (e)
                        break;
        }
        block_stream_free(st);
        return e;
}

static bool is_wanted(const struct store_block *b, const struct store_request *r)
{
        const struct block_meta *m = &b->meta->block;
        if (r->mint_ms >= m->maxt_ms || m->mint_ms > r->maxt_ms)
                return false;
        for (size_t i = 0; i < r->n_block_matchers; i++) {
                char id[ULID_TEXT_BYTES + 1];
                ulid_print(m->ulid, id);
                const struct matcher *x = r->block_matchers[i];
                if (!matcher_matches(x, str_eq(x->name, STR("__block_id")) ? str_from(id)
                                                                           : labels_get(b->meta->labels, x->name)))
                        return false;
        }
        return true;
}

static struct error *ask_block(struct ask *a, struct store_block *b, UlidVec *blocks, struct matcher *has_label)
{
        const struct matcher **left = mem_alloc((a->r->n_matchers + 2) * sizeof *left);
        size_t n = 0;
        struct error *e = NULL;
        if (is_wanted(b, a->r) && store_matchers_without(store_block_external(b), a->r->matchers, a->r->n_matchers, left, &n)) {
                if (blocks)
                        vec_push(blocks, b->meta->block.ulid);
                if (n && !a->wants_names && !labels_has(store_block_external(b), a->name))
                        left[n++] = has_label;
                e = n ? ask_series(a, b, left, n) : ask_header(a, b);
                if (e) {
                        char id[ULID_TEXT_BYTES + 1];
                        ulid_print(b->meta->block.ulid, id);
                        e = error_wrap(e, "block %s", id);
                }
        }
        free(left);
        return e;
}

static struct error *ask_all(struct ask *a, StrVec *ret, UlidVec *blocks)
{
        StoreBlockVec all = VEC_INIT;
        struct matcher *has_label = NULL;
        struct error *e = !a->wants_names ? matcher_new(MATCH_NE, a->name, (Str){0}, &has_label) : NULL;
        rwlock_read(&a->s->lock);
        for (size_t i = 0; i < a->s->blocks.n; i++)
                vec_push(&all, store_block_ref(a->s->blocks.p[i]));
        rwlock_unlock(&a->s->lock);
        for (size_t i = 0; i < all.n; i++) {
                if (!e)
                        e = store_call_check(a->c);
                if (!e)
                        e = ask_block(a, all.p[i], blocks, has_label);
                store_block_unref(all.p[i]);
        }
        vec_done(&all);
        matcher_free(has_label);
        if (!e) {
                if (a->g.out.n)
                        qsort(a->g.out.p, a->g.out.n, sizeof *a->g.out.p, str_cmp_qsort);
                if (a->r->limit && a->g.out.n > a->r->limit)
                        a->g.out.n = a->r->limit;
                for (size_t i = 0; i < a->g.out.n; i++)
                        vec_push(ret, a->g.out.p[i]);
        }
        vec_done(&a->g.out);
        map_done(&a->g.seen);
        return e;
}

struct error *bucket_store_label_names(struct bucket_store *s, const struct store_request *r,
                                       const struct bucket_call *c, struct arena *arena, StrVec *ret, UlidVec *blocks)
{
        struct ask a = {.s = s,
                        .r = r,
                        .c = c,
                        .wants_names = true,
                        .limits = {.store = s},
                        .g = {.seen = MAP_INIT, .out = VEC_INIT, .arena = arena}};
        return ask_all(&a, ret, blocks);
}

struct error *bucket_store_label_values(struct bucket_store *s, Str name, const struct store_request *r,
                                        const struct bucket_call *c, struct arena *arena, StrVec *ret, UlidVec *blocks)
{
        if (is_without(r, name))
                return NULL;
        struct ask a = {.s = s,
                        .r = r,
                        .c = c,
                        .name = name,
                        .limits = {.store = s},
                        .g = {.seen = MAP_INIT, .out = VEC_INIT, .arena = arena}};
        return ask_all(&a, ret, blocks);
}
