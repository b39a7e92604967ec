/* SPDX-License-Identifier: Apache-2.0 */
/* Matchers to series.
 *
 * A matcher that "" does not satisfy names the lists that series must be in: one list stays where it lies in the file,
 * several become a bitmap over the section of series. A matcher that "" satisfies names the lists that series must not
 * be in: one bitmap for all of those. Then the shortest list is walked, the other lists are galloped through, bitmaps
 * asked. A pattern over more values than there are candidates by then is left to the caller, who sees the labels
 * anyway.  Upstream: tsdb/querier.go, PostingsForMatchers. */
#include <inttypes.h>

#include "codec/regex.h"
#include "tsdb/index/reader.h"

struct bits {
        uint64_t *w; /* NULL: none yet */
        uint64_t n;  /* members added, doubles counted */
};
struct select {
        const struct index_reader *ix;
        struct arena *arena;
        uint64_t base, span; /* refs are base … base + span - 1 */
        VEC(struct postings) lists;
        VEC(struct bits) sets;
        struct bits out;
        VEC(const struct matcher *) rest;
        bool is_empty;
        uint64_t bound; /* no more series than this can come out */
};

static struct error *over_budget(const struct arena *a)
{
        return error_new(ERROR_LIMIT, "memory limit of %zu bytes reached while selecting series", a->limit_bytes);
}

static struct error *bits_add(struct select *s, struct bits *b, struct postings l)
{
        if (!b->w) {
                size_t bytes = (size_t)(s->span / 64 + 1) * 8;
                b->w = arena_try_alloc(s->arena, bytes);
                if (!b->w)
                        return over_budget(s->arena);
                memset(b->w, 0, bytes);
        }
        for (size_t i = 0; i < l.n; i++) {
                uint64_t k = postings_at(l, i) - s->base;
                if (k >= s->span)
                        return error_new(ERROR_CORRUPT, "postings: reference %" PRIu32 " lies outside the series",
                                         postings_at(l, i));
                b->w[k / 64] |= UINT64_C(1) << (k % 64);
        }
        b->n += l.n;
        return NULL;
}

static bool bits_has(const struct select *s, const struct bits *b, uint32_t ref)
{
        uint64_t k = ref - s->base;
        return k < s->span && (b->w[k / 64] >> (k % 64) & 1);
}

/* How a pattern is asked value by value: wants says whether the matcher's answer shall be yes. */
static struct error *add_values(struct select *s, const struct matcher *m, size_t i_name, Str prefix, bool wants,
                                struct bits *to)
{
        struct index_values it = index_values_from(s->ix, i_name, prefix);
        Str v;
        while (index_values_next(&it, &v)) {
                if (prefix.n && !str_has_prefix(v, prefix))
                        break;
                if (matcher_matches(m, v) != wants)
                        continue;
                struct postings l;
                struct error *e = index_postings_at(s->ix, it.list, &l);
                if (!e)
                        e = bits_add(s, to, l);
                if (e)
                        return e;
        }
        return it.bad ? error_new(ERROR_CORRUPT, "postings offset table: damaged") : NULL;
}

static struct error *add_set(struct select *s, Str name, const Str *values, size_t n, struct bits *to)
{
        for (size_t i = 0; i < n; i++) {
                struct postings l;
                struct error *e = index_postings(s->ix, name, values[i], &l);
                if (!e && l.n)
                        e = bits_add(s, to, l);
                if (e)
                        return e;
        }
        return NULL;
}

static void take_list(struct select *s, struct postings l)
{
        s->bound = MIN(s->bound, (uint64_t)l.n);
        if (l.n == 0)
                s->is_empty = true;
        else
                vec_push(&s->lists, l);
}

static void take_set(struct select *s, struct bits b)
{
        s->bound = MIN(s->bound, b.n);
        if (b.n == 0)
                s->is_empty = true;
        else
                vec_push(&s->sets, b);
}

/* Series that have to have the label. */
static struct error *require(struct select *s, const struct matcher *m, size_t i_name)
{
        const Str *values;
        size_t n;
        struct error *e;
        if (m->type == MATCH_EQ || (matcher_set_matches(m, &values, &n) && n == 1)) {
                struct postings l;
                e = index_postings(s->ix, m->name, m->type == MATCH_EQ ? m->value : values[0], &l);
                if (!e)
                        take_list(s, l);
                return e;
        }
        struct bits b = {0};
        if (matcher_set_matches(m, &values, &n)) {
                e = add_set(s, m->name, values, n, &b);
        } else {
                if (s->bound <= index_value_count(s->ix, i_name)) {
                        vec_push(&s->rest, m);
                        return NULL;
                }
                e = add_values(s, m, i_name, matcher_prefix(m), /* wants= */ true, &b);
        }
        if (!e)
                take_set(s, b);
        return e;
}

/* Series that may lack the label: those with a value that does not match go. */
static struct error *exclude(struct select *s, const struct matcher *m, size_t i_name)
{
        const Str *values;
        size_t n;
        if (m->type == MATCH_NE)
                return add_set(s, m->name, &m->value, 1, &s->out);
        if (m->type == MATCH_NRE && regex_set_matches(m->re, &values, &n))
                return add_set(s, m->name, values, n, &s->out);
        if (m->type == MATCH_RE && str_eq(m->value, STR(".*")))
                return NULL;
        if (s->bound <= index_value_count(s->ix, i_name)) {
                vec_push(&s->rest, m);
                return NULL;
        }
        return add_values(s, m, i_name, m->type == MATCH_NRE ? regex_prefix(m->re) : (Str){0}, /* wants= */ false,
                          &s->out);
}

static bool is_cheap(const struct matcher *m)
{
        const Str *values;
        size_t n;
        return m->type == MATCH_EQ ? m->value.n > 0 : matcher_set_matches(m, &values, &n);
}

static struct error *plan_one(struct select *s, const struct matcher *m)
{
        ptrdiff_t i = index_find_name(s->ix, m->name);
        bool takes_empty = matcher_matches_empty(m);
        if (i < 0) {
                s->is_empty |= !takes_empty;
                return NULL;
        }
        return takes_empty ? exclude(s, m, (size_t)i) : require(s, m, (size_t)i);
}

static struct error *plan(struct select *s, const struct matcher *const *m, size_t n_m)
{
        /* What is cheap first: it bounds what the others are worth. */
        for (int round = 0; round < 2; round++) {
                for (size_t i = 0; i < n_m && !s->is_empty; i++) {
                        if (is_cheap(m[i]) != (round == 0))
                                continue;
                        struct error *e = plan_one(s, m[i]);
                        if (e)
                                return e;
                }
        }
        return NULL;
}

/* First place from `from` on whose ref is not less than ref. */
static size_t gallop(struct postings l, size_t from, uint32_t ref)
{
        size_t step = 1, lo = from;
        while (lo + step < l.n && postings_at(l, lo + step) < ref) {
                lo += step;
                step *= 2;
        }
        size_t hi = MIN(lo + step, l.n);
        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                if (postings_at(l, mid) < ref)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return lo;
}

/* The members of refs that lie in l too. */
static size_t meet(uint32_t *refs, size_t n, struct postings l)
{
        size_t to = 0, at = 0;
        for (size_t i = 0; i < n && at < l.n; i++) {
                at = gallop(l, at, refs[i]);
                if (at < l.n && postings_at(l, at) == refs[i])
                        refs[to++] = refs[i];
        }
        return to;
}

static struct error *first_refs(struct select *s, uint32_t **ret, size_t *ret_n)
{
        struct postings l = {0};
        struct error *e = NULL;
        if (s->lists.n) {
                size_t least = 0;
                for (size_t i = 1; i < s->lists.n; i++)
                        if (s->lists.p[i].n < s->lists.p[least].n)
                                least = i;
                l = s->lists.p[least];
                s->lists.p[least] = s->lists.p[--s->lists.n];
        } else if (!s->sets.n) {
                e = index_all_postings(s->ix, &l);
                if (e)
                        return e;
        }
        struct bits b = {0};
        if (!l.n && s->sets.n) {
                b = s->sets.p[0];
                s->sets.p[0] = s->sets.p[--s->sets.n];
        }
        uint64_t in_set = MIN(b.n, s->span), room = l.n + in_set + 1; /* one of both is 0 */
        uint32_t *refs = arena_try_alloc(s->arena, arena_array_bytes(room, sizeof *refs));
        if (!refs)
                return over_budget(s->arena);
        size_t n = 0;
        for (; n < l.n; n++)
                refs[n] = postings_at(l, n);
        for (uint64_t w = 0; b.w && w <= s->span / 64; w++)
                for (uint64_t left = b.w[w]; left; left &= left - 1)
                        refs[n++] = (uint32_t)(s->base + w * 64 + (unsigned)__builtin_ctzll(left));
        *ret = refs;
        *ret_n = n;
        return NULL;
}

static struct error *execute(struct select *s, struct index_selection *ret)
{
        uint32_t *refs = NULL;
        size_t n = 0;
        if (!s->is_empty) {
                struct error *e = first_refs(s, &refs, &n);
                if (e)
                        return e;
        }
        for (size_t i = 0; i < s->lists.n; i++)
                n = meet(refs, n, s->lists.p[i]);
        for (size_t k = 0; k < s->sets.n + 1; k++) {
                bool is_out = k == s->sets.n;
                const struct bits *b = is_out ? &s->out : &s->sets.p[k];
                if (!b->w)
                        continue;
                size_t to = 0;
                for (size_t i = 0; i < n; i++) {
                        refs[to] = refs[i];
                        to += bits_has(s, b, refs[i]) != is_out;
                }
                n = to;
        }
        const struct matcher **rest = NULL;
        if (s->rest.n) {
                rest = arena_try_alloc(s->arena, s->rest.n * sizeof *rest);
                if (!rest)
                        return over_budget(s->arena);
                memcpy(rest, s->rest.p, s->rest.n * sizeof *rest);
        }
        *ret = (struct index_selection){.refs = refs, .n = n, .rest = rest, .n_rest = s->rest.n};
        return NULL;
}

struct error *index_select(const struct index_reader *ix, const struct matcher *const *m, size_t n_m,
                           struct arena *arena, struct index_selection *ret)
{
        uint64_t align = ix->version == INDEX_V1 ? 1 : INDEX_SERIES_ALIGN;
        struct select s = {.ix = ix, .arena = arena, .bound = UINT64_MAX};
        s.base = ix->toc.series / align;
        s.span = ix->series_end / align - s.base + 1;
        struct error *e = plan(&s, m, n_m);
        if (!e)
                e = execute(&s, ret);
        vec_done(&s.lists);
        vec_done(&s.sets);
        vec_done(&s.rest);
        return e;
}
