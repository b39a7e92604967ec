/* SPDX-License-Identifier: Apache-2.0 */
/* Matchers to series of a block in a bucket.
 *
 * The table in the index-header says where each list is and, by the list behind it, how long: so the plan is made
 * before anything is read, and all lists are read at once. A matcher that "" does not satisfy names the lists that
 * series must be in; one that "" satisfies those that they must not be in. A matcher whose lists are larger than the
 * entries of the series that are left anyway is asked of the labels. Upstream: thanos pkg/store/bucket.go,
 * ExpandedPostings; lazy_postings.go. */
#include <inttypes.h>

#include "codec/crc32c.h"
#include "codec/regex.h"
#include "codec/varint.h"
#include "thanos/store/store_impl.h"

struct list_ref {
        uint64_t at, bytes;
};
struct group {
        const struct matcher *m;
        size_t first, n; /* in lists */
        uint64_t refs;   /* no more than these */
        bool is_exclude;
};
struct find {
        struct store_block *b;
        const struct index_header *h;
        const struct index_reader *ix;
        struct arena *arena;
        VEC(struct list_ref) lists;
        VEC(struct group) groups;
        VEC(const struct matcher *) rest;
        bool is_empty, has_must;
        uint64_t base, span; /* refs are base … base + span - 1 */
        uint64_t bound;      /* no more series than this can come out */
};

enum { VALUES_BY_LABELS_MAX = 1024, SERIES_ENTRY_BYTES = 512 };

static struct error *bad_table(void)
{
        return error_new(ERROR_CORRUPT, "postings offset table: damaged");
}

static struct error *add_list(struct find *f, struct group *g, uint64_t place, const struct index_values *it)
{
        struct list_ref l = {.at = place};
        if (!index_header_list_range(f->h, place, it, &l.bytes))
                return bad_table();
        vec_push(&f->lists, l);
        g->n++;
        g->refs += (l.bytes - 12) / 4;
        return NULL;
}

static struct error *add_value(struct find *f, struct group *g, size_t i_name, Str value)
{
        struct index_values it = index_values_from(f->ix, i_name, value);
        Str got;
        if (!index_values_next(&it, &got))
                return it.bad ? bad_table() : NULL;
        return str_eq(got, value) ? add_list(f, g, it.list, &it) : NULL;
}

static struct error *add_matching(struct find *f, struct group *g, size_t i_name, Str prefix, bool wants)
{
        struct index_values it = index_values_from(f->ix, i_name, prefix);
        Str v;
        while (index_values_next(&it, &v)) {
                if (prefix.n && !str_has_prefix(v, prefix))
                        break;
                if (matcher_matches(g->m, v) != wants)
                        continue;
                struct error *e = add_list(f, g, it.list, &it);
                if (e)
                        return e;
        }
        return it.bad ? bad_table() : NULL;
}

static struct error *plan_group(struct find *f, struct group *g, size_t i_name)
{
        const struct matcher *m = g->m;
        const Str *values;
        size_t n;
        struct error *e = NULL;
        if (!g->is_exclude) {
                if (m->type == MATCH_EQ)
                        return add_value(f, g, i_name, m->value);
                if (matcher_set_matches(m, &values, &n)) {
                        for (size_t i = 0; !e && i < n; i++)
                                e = add_value(f, g, i_name, values[i]);
                        return e;
                }
                return add_matching(f, g, i_name, matcher_prefix(m), /* wants= */ true);
        }
        if (m->type == MATCH_NE)
                return add_value(f, g, i_name, m->value);
        if (m->type == MATCH_NRE && regex_set_matches(m->re, &values, &n)) {
                for (size_t i = 0; !e && i < n; i++)
                        e = add_value(f, g, i_name, values[i]);
                return e;
        }
        return add_matching(f, g, i_name, m->type == MATCH_NRE ? regex_prefix(m->re) : (Str){0}, /* wants= */ false);
}

static bool is_cheap(const struct matcher *m)
{
        const Str *values;
        size_t n;
        return m->type == MATCH_EQ ? m->value.n > 0 : matcher_set_matches(m, &values, &n);
}

static struct error *plan_one(struct find *f, const struct matcher *m)
{
        bool takes_empty = matcher_matches_empty(m);
        ptrdiff_t i_name = index_find_name(f->ix, m->name);
        if (i_name < 0) {
                f->is_empty |= !takes_empty;
                return NULL;
        }
        if (m->type == MATCH_RE && takes_empty && str_eq(m->value, STR(".*")))
                return NULL;
        struct group g = {.m = m, .first = f->lists.n, .is_exclude = takes_empty};
        if (!is_cheap(m) && f->bound <= VALUES_BY_LABELS_MAX && f->bound <= index_value_count(f->ix, (size_t)i_name)) {
                vec_push(&f->rest, m);
                return NULL;
        }
        struct error *e = plan_group(f, &g, (size_t)i_name);
        if (e)
                return e;
        if (!g.is_exclude) {
                f->has_must = true;
                f->is_empty |= g.n == 0;
                f->bound = MIN(f->bound, g.refs);
        }
        if (g.n)
                vec_push(&f->groups, g);
        return NULL;
}

/* Groups that cost more than looking at the labels of what is left go to rest; the smallest that series must be in
 * always stays. */
static void drop_expensive(struct find *f)
{
        size_t to = 0;
        for (size_t i = 0; i < f->groups.n; i++) {
                struct group *g = &f->groups.p[i];
                bool is_least = !g->is_exclude && g->refs == f->bound;
                if (!is_least && f->bound < UINT64_MAX / SERIES_ENTRY_BYTES &&
                    g->refs * 4 > f->bound * SERIES_ENTRY_BYTES)
                        vec_push(&f->rest, g->m);
                else
                        f->groups.p[to++] = *g;
        }
        f->groups.n = to;
}

/* --- lists --- */

struct postings_list {
        const uint8_t *p;
        size_t n;
};

static struct error *list_read(struct find *f, struct index_pages *pages, struct list_ref ref,
                               struct postings_list *ret)
{
        Str head, s;
        struct error *e = index_pages_bytes(pages, ref.at, 8, PAGE_POSTINGS, f->arena, &head);
        if (e)
                return e;
        uint64_t n = get_be32(head.p), count = get_be32(head.p + 4);
        if (n + 8 > ref.bytes || n != 4 + 4 * count)
                return error_new(ERROR_CORRUPT,
                                 "postings: the list at %" PRIu64 " has %" PRIu64 " bytes and %" PRIu64 " references",
                                 ref.at, n, count);
        e = index_pages_bytes(pages, ref.at + 4, n + 4, PAGE_POSTINGS, f->arena, &s);
        if (e)
                return e;
        if (crc32c(0, s.p, n) != get_be32(s.p + n))
                return error_new(ERROR_CORRUPT, "postings: invalid checksum at %" PRIu64, ref.at);
        *ret = (struct postings_list){(const uint8_t *)s.p + 4, count};
        return NULL;
}

static struct error *bits_add(const struct find *f, uint64_t *w, struct postings_list l)
{
        for (size_t i = 0; i < l.n; i++) {
                uint64_t k = get_be32(l.p + 4 * i) - f->base;
                if (k >= f->span)
                        return error_new(ERROR_CORRUPT, "postings: reference %" PRIu32 " lies outside the series",
                                         get_be32(l.p + 4 * i));
                w[k / 64] |= UINT64_C(1) << (k % 64);
        }
        return NULL;
}

static struct error *group_bits(struct find *f, struct index_pages *pages, const struct group *g, uint64_t *w)
{
        struct error *e = NULL;
        for (size_t i = 0; !e && i < g->n; i++) {
                struct postings_list l;
                e = list_read(f, pages, f->lists.p[g->first + i], &l);
                if (!e)
                        e = bits_add(f, w, l);
        }
        return e;
}

static struct error *bits_new(struct find *f, uint64_t **ret)
{
        size_t bytes = (size_t)(f->span / 64 + 1) * 8;
        *ret = arena_try_alloc(f->arena, bytes);
        if (!*ret)
                return store_over_budget(f->arena);
        memset(*ret, 0, bytes);
        return NULL;
}

static struct error *first_refs(struct find *f, struct index_pages *pages, const struct group *g, uint32_t **ret,
                                size_t *ret_n)
{
        uint32_t *refs;
        size_t n = 0;
        struct error *e;
        if (g->n == 1) {
                struct postings_list l;
                if ((e = list_read(f, pages, f->lists.p[g->first], &l)))
                        return e;
                refs = arena_try_alloc(f->arena, arena_array_bytes(l.n + 1, sizeof *refs));
                if (!refs)
                        return store_over_budget(f->arena);
                for (; n < l.n; n++) {
                        refs[n] = get_be32(l.p + 4 * n);
                        if (refs[n] - f->base >= f->span || (n && refs[n] <= refs[n - 1]))
                                return error_new(ERROR_CORRUPT,
                                                 "postings: reference %" PRIu32
                                                 " is out of order or lies outside the series",
                                                 refs[n]);
                }
        } else {
                uint64_t *w;
                if ((e = bits_new(f, &w)) || (e = group_bits(f, pages, g, w)))
                        return e;
                size_t count = 0;
                for (uint64_t i = 0; i <= f->span / 64; i++)
                        count += (size_t)__builtin_popcountll(w[i]);
                refs = arena_try_alloc(f->arena, arena_array_bytes(count + 1, sizeof *refs));
                if (!refs)
                        return store_over_budget(f->arena);
                for (uint64_t i = 0; i <= f->span / 64; i++)
                        for (uint64_t left = w[i]; left; left &= left - 1)
                                refs[n++] = (uint32_t)(f->base + i * 64 + (unsigned)__builtin_ctzll(left));
        }
        *ret = refs;
        *ret_n = n;
        return NULL;
}

/* First place from `from` on whose ref is not less than ref. */
static size_t gallop(struct postings_list l, size_t from, uint32_t ref)
{
        size_t step = 1, lo = from;
        while (lo + step < l.n && get_be32(l.p + 4 * (lo + step)) < ref) {
                lo += step;
                step *= 2;
        }
        size_t hi = MIN(lo + step, l.n);
        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                if (get_be32(l.p + 4 * mid) < ref)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo;
}

static struct error *meet(struct find *f, struct index_pages *pages, const struct group *g, uint32_t *refs, size_t *n)
{
        size_t to = 0;
        struct error *e;
        if (g->n == 1 && !g->is_exclude) {
                struct postings_list l;
                if ((e = list_read(f, pages, f->lists.p[g->first], &l)))
                        return e;
                size_t at = 0;
                for (size_t i = 0; i < *n && at < l.n; i++) {
                        at = gallop(l, at, refs[i]);
                        if (at < l.n && get_be32(l.p + 4 * at) == refs[i])
                                refs[to++] = refs[i];
                }
        } else {
                uint64_t *w;
                if ((e = bits_new(f, &w)) || (e = group_bits(f, pages, g, w)))
                        return e;
                for (size_t i = 0; i < *n; i++) {
                        uint64_t k = refs[i] - f->base;
                        refs[to] = refs[i];
                        to += (w[k / 64] >> (k % 64) & 1) != g->is_exclude;
                }
        }
        *n = to;
        return NULL;
}

static struct error *fetch_lists(struct find *f, struct index_pages *pages, struct store_limits *limits)
{
        VEC(struct range) r = VEC_INIT;
        uint64_t bytes = 0;
        for (size_t i = 0; i < f->groups.n; i++) {
                for (size_t k = 0; k < f->groups.p[i].n; k++) {
                        struct list_ref l = f->lists.p[f->groups.p[i].first + k];
                        vec_push(&r, (struct range){l.at, l.at + l.bytes});
                        bytes += l.bytes;
                }
        }
        struct error *e = store_limit_bytes(limits, bytes, "fetching postings");
        if (!e && bytes > f->arena->limit_bytes)
                e = store_over_budget(f->arena);
        if (!e && r.n)
                e = index_pages_fetch(pages, r.p, r.n, PAGE_POSTINGS);
        vec_done(&r);
        return e;
}

static struct error *execute(struct find *f, struct index_pages *pages, struct store_limits *limits,
                             struct store_postings *ret)
{
        struct error *e;
        if (!f->has_must) {
                uint64_t place;
                struct group all = {.first = f->lists.n};
                if (!index_all_place(f->ix, &place))
                        return bad_table();
                if ((e = add_list(f, &all, place, NULL)))
                        return e;
                f->bound = all.refs;
                vec_push(&f->groups, all);
        }
        drop_expensive(f);
        if ((e = fetch_lists(f, pages, limits)))
                return e;
        size_t least = 0;
        for (size_t i = 0; i < f->groups.n; i++)
                if (!f->groups.p[i].is_exclude && f->groups.p[i].refs == f->bound)
                        least = i;
        uint32_t *refs = NULL;
        size_t n = 0;
        e = first_refs(f, pages, &f->groups.p[least], &refs, &n);
        for (size_t i = 0; !e && i < f->groups.n; i++)
                if (i != least)
                        e = meet(f, pages, &f->groups.p[i], refs, &n);
        if (e)
                return e;
        const struct matcher **rest = arena_try_alloc(f->arena, arena_array_bytes(f->rest.n + 1, sizeof *rest));
        if (!rest)
                return store_over_budget(f->arena);
        if (f->rest.n)
                memcpy(rest, f->rest.p, f->rest.n * sizeof *rest);
        *ret = (struct store_postings){refs, n, rest, f->rest.n};
        return NULL;
}

struct error *store_postings_find(struct store_block *b, const struct index_header *h, struct index_pages *pages,
                                  const struct matcher *const *m, size_t n_m, struct store_limits *limits,
                                  struct arena *arena, struct store_postings *ret)
{
        struct find f = {.b = b, .h = h, .ix = index_header_index(h), .arena = arena, .bound = UINT64_MAX};
        uint64_t align = index_version(f.ix) == INDEX_V1 ? 1 : INDEX_SERIES_ALIGN, end,
                 at = index_header_series_at(h, &end);
        f.base = at / align;
        f.span = end / align - f.base + 1;
        struct error *e = NULL;
        /* What is cheap first: it bounds what the others are worth. */
        for (int round = 0; round < 2; round++)
                for (size_t i = 0; !e && !f.is_empty && i < n_m; i++)
                        if (is_cheap(m[i]) == (round == 0))
                                e = plan_one(&f, m[i]);
        *ret = (struct store_postings){0};
        if (!e && !f.is_empty)
                e = execute(&f, pages, limits, ret);
        vec_done(&f.lists);
        vec_done(&f.groups);
        vec_done(&f.rest);
        return e;
}
