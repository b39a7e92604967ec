/* SPDX-License-Identifier: Apache-2.0 */
#include "alert/template/value.h"

#include <math.h>

const struct ttype ttype_bool = {.name = "bool", .kind = TKIND_BOOL};
const struct ttype ttype_int = {.name = "int", .kind = TKIND_INT};
const struct ttype ttype_int64 = {.name = "int64", .kind = TKIND_INT};
const struct ttype ttype_uint64 = {.name = "uint64", .kind = TKIND_UINT};
const struct ttype ttype_uint8 = {.name = "uint8", .kind = TKIND_UINT};
const struct ttype ttype_float = {.name = "float64", .kind = TKIND_FLOAT};
const struct ttype ttype_string = {.name = "string", .kind = TKIND_STRING};
const struct ttype ttype_html = {.name = "template.HTML", .kind = TKIND_STRING};
const struct ttype ttype_any = {.name = "interface {}", .kind = TKIND_ANY};
const struct ttype ttype_map_string = {.name = "map[string]string", .kind = TKIND_MAP, .elem = &ttype_string};
const struct ttype ttype_map_any = {.name = "map[string]interface {}", .kind = TKIND_MAP, .elem = &ttype_any};
const struct ttype ttype_list_any = {.name = "[]interface {}", .kind = TKIND_LIST, .elem = &ttype_any};
const struct ttype ttype_list_string = {.name = "[]string", .kind = TKIND_LIST, .elem = &ttype_string};

TVal tval_map(struct arena *a, const struct ttype *type, const struct tval_map_entry *v, size_t n)
{
        struct tmap *m = arena_new(a, struct tmap);
        *m = (struct tmap){v, n};
        return (TVal){.type = type, .map = m};
}

TVal tval_list(struct arena *a, const struct ttype *type, const TVal *v, size_t n)
{
        struct tlist *l = arena_new(a, struct tlist);
        *l = (struct tlist){v, n};
        return (TVal){.type = type, .list = l};
}

const TVal *tval_map_get(TVal map, Str key)
{
        size_t lo = 0, hi = map.map->n;
        while (lo < hi) {
                size_t mid = lo + (hi - lo) / 2;
                int c = str_cmp(map.map->v[mid].key, key);
                if (c == 0)
                        return &map.map->v[mid].value;
                if (c < 0)
                        lo = mid + 1;
                else
                        hi = mid;
        }
        return NULL;
}

enum tkind tval_kind(TVal v)
{
        return v.type ? v.type->kind : TKIND_INVALID;
}

bool tval_is_nil_ptr(TVal v)
{
        return tval_kind(v) == TKIND_PTR && !v.p;
}

TVal tval_deref(TVal v)
{
        while (tval_kind(v) == TKIND_PTR && v.p) {
                const void *p = v.p;
                v.type = v.type->elem;
                if (v.type->kind == TKIND_INT)
                        v.i = *(const int64_t *)p;
        }
        return v;
}

bool tval_is_true(TVal v)
{
        switch (tval_kind(v)) {
        case TKIND_INVALID:
        case TKIND_ANY:
                return false;
        case TKIND_BOOL:
                return v.b;
        case TKIND_INT:
                return v.i != 0;
        case TKIND_UINT:
                return v.u != 0;
        case TKIND_FLOAT:
                return v.f != 0;
        case TKIND_STRING:
                return v.s.n > 0;
        case TKIND_LIST:
                return v.list->n > 0;
        case TKIND_MAP:
                return v.map->n > 0;
        case TKIND_PTR:
                return v.p != NULL;
        case TKIND_STRUCT:
                return true;
        }
        return false;
}

const char *tval_type_name(TVal v)
{
        return v.type ? v.type->name : "<nil>";
}
