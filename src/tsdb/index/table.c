/* SPDX-License-Identifier: Apache-2.0 */
/* The postings offset table: which values a label has and where their lists are.
 *
 * Version 2 sorts it by name, then value; so each 32nd place is kept, and in between one walks. Version 1 does not:
 * there every place is kept, sorted. */
#include <inttypes.h>

#include "codec/crc32c.h"
#include "codec/varint.h"
#include "tsdb/index/reader.h"

struct entry {
        Str name, value;
        uint64_t list;
        const uint8_t *end;
};

static bool entry_read(const struct index_reader *ix, const uint8_t *p, struct entry *ret)
{
        struct cursor c = {p, ix->table_end, false};
        uint64_t keys = take_uvarint(&c);
        ret->name = take_uvarint_str(&c);
        ret->value = take_uvarint_str(&c);
        ret->list = take_uvarint(&c);
        ret->end = c.p;
        return !c.bad && keys == 2;
}

static uint32_t step_of(const struct index_reader *ix)
{
        return ix->version == INDEX_V1 ? 1 : VALUE_STEP;
}

static int place_cmp(const void *a, const void *b, void *ctx)
{
        const struct index_reader *ix = ctx;
        struct entry x, y;
        bool ok = entry_read(ix, ix->table + *(const uint32_t *)a, &x) &&
                  entry_read(ix, ix->table + *(const uint32_t *)b, &y);
        if (!ok)
                bug("an entry that was read before cannot be read");
        int c = str_cmp(x.name, y.name);
        return c ? c : str_cmp(x.value, y.value);
}

/* All places, in the order of the table. */
static struct error *read_places(struct index_reader *ix, uint32_t n)
{
        vec_reserve(&ix->places, n);
        const uint8_t *p = ix->table;
        for (uint32_t i = 0; i < n; i++) {
                struct entry x;
                if (!entry_read(ix, p, &x))
                        return error_new(ERROR_CORRUPT,
                                         "postings offset table: entry %" PRIu32 " of %" PRIu32 " is damaged", i, n);
                ix->places.p[ix->places.n++] = (uint32_t)(p - ix->table);
                p = x.end;
        }
        return NULL;
}

/* Names, number of values, sampled places from the sorted entries. */
struct gather {
        size_t to; /* places kept */
        Str last_value;
};

static struct error *take_entry(struct index_reader *ix, struct gather *g, uint32_t place, const struct entry *x)
{
        if (x->name.n == 0 && x->value.n == 0) {
                ix->all_place = x->list;
                ix->has_all = true;
                return NULL;
        }
        struct index_label *l = ix->labels.n ? &ix->labels.p[ix->labels.n - 1] : NULL;
        if (l && str_eq(l->name, x->name)) {
                if (str_cmp(g->last_value, x->value) >= 0)
                        return error_new(ERROR_CORRUPT,
                                         "postings offset table: values of label " STR_FMT " are not sorted",
                                         STR_ARG(x->name));
        } else {
                if (l && str_cmp(l->name, x->name) >= 0)
                        return error_new(ERROR_CORRUPT, "postings offset table: label names are not sorted");
                vec_push(&ix->labels, (struct index_label){.name = x->name, .first = g->to});
                l = &ix->labels.p[ix->labels.n - 1];
        }
        if (l->n % step_of(ix) == 0) {
                vec_reserve(&ix->places, g->to >= ix->places.n ? 1 : 0);
                ix->places.p[g->to++] = place;
                ix->places.n = MAX(ix->places.n, g->to);
        }
        l->n++;
        g->last_value = x->value;
        return NULL;
}

struct error *index_load_table(struct index_reader *ix)
{
        Str s;
        struct error *e = index_section(ix, "postings offset table", ix->toc.postings_table, &s);
        return e ? e : index_set_table(ix, s);
}

struct error *index_set_table(struct index_reader *ix, Str s)
{
        struct error *e = NULL;
        if (s.n < 4)
                return error_new(ERROR_CORRUPT, "postings offset table: %zu bytes", s.n);
        uint32_t n = get_be32(s.p);
        ix->table = (const uint8_t *)s.p + 4;
        ix->table_end = (const uint8_t *)s.p + s.n;
        if (n > (s.n - 4) / 4)
                return error_new(ERROR_CORRUPT, "postings offset table: %" PRIu32 " entries do not fit %zu bytes", n,
                                 s.n);
        struct gather g = {0};
        struct entry x;
        if (ix->version == INDEX_V1) {
                e = read_places(ix, n);
                if (!e && n)
                        qsort_r(ix->places.p, n, sizeof *ix->places.p, place_cmp, ix);
                for (uint32_t i = 0; !e && i < n; i++) {
                        uint32_t place = ix->places.p[i]; /* take_entry writes at or before i */
                        if (entry_read(ix, ix->table + place, &x))
                                e = take_entry(ix, &g, place, &x);
                }
                ix->places.n = g.to;
                return e;
        }
        const uint8_t *p = ix->table;
        for (uint32_t i = 0; !e && i < n; i++) {
                if (!entry_read(ix, p, &x))
                        return error_new(ERROR_CORRUPT,
                                         "postings offset table: entry %" PRIu32 " of %" PRIu32 " is damaged", i, n);
                e = take_entry(ix, &g, (uint32_t)(p - ix->table), &x);
                p = x.end;
        }
        return e;
}

size_t index_name_count(const struct index_reader *ix)
{
        return ix->labels.n;
}

Str index_name_at(const struct index_reader *ix, size_t i)
{
        return ix->labels.p[i].name;
}

ptrdiff_t index_find_name(const struct index_reader *ix, Str name)
{
        size_t lo = 0, hi = ix->labels.n;
        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                int c = str_cmp(ix->labels.p[mid].name, name);
                if (c == 0)
                        return (ptrdiff_t)mid;
                if (c < 0)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return -1;
}

size_t index_value_count(const struct index_reader *ix, size_t i_name)
{
        return ix->labels.p[i_name].n;
}

static Str value_at(const struct index_reader *ix, uint32_t place)
{
        struct entry x;
        if (!entry_read(ix, ix->table + place, &x))
                return (Str){0};
        return x.value;
}

struct index_values index_values_from(const struct index_reader *ix, size_t i_name, Str from)
{
        const struct index_label *l = &ix->labels.p[i_name];
        uint32_t step = step_of(ix);
        size_t lo = 0, hi = (l->n + step - 1) / step;
        const uint32_t *places = ix->places.p + l->first;
        /* The last kept value that is not above from: the first one not less than from is there or behind it. */
        while (hi - lo > 1) {
                size_t mid = lo + (hi - lo) / 2;
                if (str_cmp(value_at(ix, places[mid]), from) <= 0)
                        lo = mid;
                else
                        hi = mid;
        }
        struct index_values it = {
                .ix = ix, .name = i_name, .at = lo * step, .end = l->n, .next = ix->table + places[lo]};
        while (it.at < it.end) {
                struct entry x;
                if (!entry_read(ix, it.next, &x)) {
                        it.bad = true;
                        it.at = it.end;
                        break;
                }
                if (str_cmp(x.value, from) >= 0)
                        break;
                it.at++;
                it.next = step == 1 ? (it.at < it.end ? ix->table + places[it.at] : NULL) : x.end;
        }
        return it;
}

bool index_values_next(struct index_values *it, Str *ret)
{
        if (it->at >= it->end)
                return false;
        struct entry x;
        if (!entry_read(it->ix, it->next, &x)) {
                it->bad = true;
                it->at = it->end;
                return false;
        }
        it->at++;
        it->next = x.end;
        if (it->ix->version == INDEX_V1 && it->at < it->end)
                it->next = it->ix->table + it->ix->places.p[it->ix->labels.p[it->name].first + it->at];
        it->list = x.list;
        *ret = x.value;
        return true;
}

struct error *index_postings_at(const struct index_reader *ix, uint64_t place, struct postings *ret)
{
        Str s;
        struct error *e = index_section(ix, "postings", place, &s);
        if (e)
                return e;
        if (s.n < 4 || get_be32(s.p) != (s.n - 4) / 4 || s.n % 4)
                return error_new(ERROR_CORRUPT,
                                 "postings: the list at %" PRIu64 " has %zu bytes and another number of references",
                                 place, s.n);
        *ret = (struct postings){(const uint8_t *)s.p + 4, (s.n - 4) / 4};
        return NULL;
}

struct error *index_postings(const struct index_reader *ix, Str name, Str value, struct postings *ret)
{
        ptrdiff_t i = index_find_name(ix, name);
        *ret = (struct postings){0};
        if (i < 0)
                return NULL;
        struct index_values it = index_values_from(ix, (size_t)i, value);
        Str got;
        if (!index_values_next(&it, &got) || !str_eq(got, value))
                return NULL;
        return index_postings_at(ix, it.list, ret);
}

struct error *index_all_postings(const struct index_reader *ix, struct postings *ret)
{
        *ret = (struct postings){0};
        return ix->has_all ? index_postings_at(ix, ix->all_place, ret) : NULL;
}

bool index_all_place(const struct index_reader *ix, uint64_t *ret)
{
        *ret = ix->all_place;
        return ix->has_all;
}

uint64_t index_list_after(const struct index_reader *ix, uint64_t place, const struct index_values *it)
{
        struct entry x;
        if (it && it->next && it->next < ix->table_end && ix->version != INDEX_V1 && entry_read(ix, it->next, &x) && x.list > place)
                return x.list;
        uint64_t least = UINT64_MAX;
        for (const uint8_t *p = ix->table; p < ix->table_end && entry_read(ix, p, &x); p = x.end)
                if (x.list > place && x.list < least)
                        least = x.list;
        return least;
}
