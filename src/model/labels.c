/* SPDX-License-Identifier: Apache-2.0 */
#include "model/labels.h"

#include <stdlib.h>

#include "base/hash.h"
#include "codec/quote.h"

static const Label *find(Labels ls, Str name)
{
        for (size_t i = 0; i < ls.n; i++)
                if (str_eq(ls.v[i].name, name))
                        return &ls.v[i];
        return NULL;
}

Str labels_get(Labels ls, Str name)
{
        const Label *l = find(ls, name);
        return l ? l->value : (Str){NULL, 0};
}

bool labels_has(Labels ls, Str name)
{
        return find(ls, name) != NULL;
}

bool labels_eq(Labels a, Labels b)
{
        if (a.n != b.n)
                return false;
        for (size_t i = 0; i < a.n; i++)
                if (!str_eq(a.v[i].name, b.v[i].name) || !str_eq(a.v[i].value, b.v[i].value))
                        return false;
        return true;
}

int labels_cmp(Labels a, Labels b)
{
        for (size_t i = 0; i < a.n && i < b.n; i++) {
                int c = str_cmp(a.v[i].name, b.v[i].name);
                if (c == 0)
                        c = str_cmp(a.v[i].value, b.v[i].value);
                if (c)
                        return c;
        }
        return (a.n > b.n) - (a.n < b.n);
}

uint64_t labels_hash(Labels ls)
{
        char stack[1024];
        stack[0] = 0; /* gcc does not see that need == 0 reads nothing */
        size_t need = 0;
        for (size_t i = 0; i < ls.n; i++)
                need += ls.v[i].name.n + ls.v[i].value.n + 2;
        char *bytes = need <= sizeof stack ? stack : mem_alloc(need);
        char *p = bytes;
        for (size_t i = 0; i < ls.n; i++) {
                const Str two[] = {ls.v[i].name, ls.v[i].value};
                for (size_t k = 0; k < 2; k++) {
                        if (two[k].n)
                                memcpy(p, two[k].p, two[k].n);
                        p += two[k].n;
                        *p++ = (char)0xff;
                }
        }
        uint64_t h = hash_bytes(bytes, need);
        if (bytes != stack)
                free(bytes);
        return h;
}

Labels labels_dup(struct arena *a, Labels ls)
{
        if (ls.n == 0)
                return (Labels){NULL, 0};
        size_t bytes = 0;
        for (size_t i = 0; i < ls.n; i++)
                bytes += ls.v[i].name.n + ls.v[i].value.n;
        Label *v = arena_alloc(a, ls.n * sizeof(Label) + bytes);
        char *p = (char *)(v + ls.n);
        for (size_t i = 0; i < ls.n; i++) {
                Str name = ls.v[i].name, value = ls.v[i].value;
                v[i] = (Label){{p, name.n}, {p + name.n, value.n}};
                if (name.n)
                        memcpy(p, name.p, name.n);
                p += name.n;
                if (value.n)
                        memcpy(p, value.p, value.n);
                p += value.n;
        }
        return (Labels){v, ls.n};
}

void labels_print(struct buf *b, Labels ls)
{
        buf_putc(b, '{');
        for (size_t i = 0; i < ls.n; i++) {
                if (i > 0)
                        buf_put(b, STR(", "));
                if (label_name_is_legacy(ls.v[i].name))
                        buf_put(b, ls.v[i].name);
                else
                        buf_put_go_quoted(b, ls.v[i].name);
                buf_putc(b, '=');
                buf_put_go_quoted(b, ls.v[i].value);
        }
        buf_putc(b, '}');
}

static int label_cmp_qsort(const void *a, const void *b)
{
        return str_cmp(((const Label *)a)->name, ((const Label *)b)->name);
}

void labels_sort(Label *v, size_t n)
{
        if (n > 32) {
                qsort(v, n, sizeof *v, label_cmp_qsort);
                return;
        }
        for (size_t i = 1; i < n; i++) {
                if (str_cmp(v[i - 1].name, v[i].name) <= 0)
                        continue;
                Label l = v[i];
                size_t k = i;
                for (; k > 0 && str_cmp(v[k - 1].name, l.name) > 0; k--)
                        v[k] = v[k - 1];
                v[k] = l;
        }
}

void labels_builder_init(struct labels_builder *b)
{
        *b = (struct labels_builder){.base = {NULL, 0}, .set = VEC_INIT};
}

void labels_builder_done(struct labels_builder *b)
{
        vec_done(&b->set);
        b->base = (Labels){NULL, 0};
}

void labels_builder_reset(struct labels_builder *b, Labels base)
{
        b->base = base;
        vec_clear(&b->set);
}

static Label *find_set(const struct labels_builder *b, Str name)
{
        for (size_t i = 0; i < b->set.n; i++)
                if (str_eq(b->set.p[i].name, name))
                        return &b->set.p[i];
        return NULL;
}

void labels_builder_set(struct labels_builder *b, Str name, Str value)
{
        Label *l = find_set(b, name);
        if (l && (l->value.n > 0 || value.n == 0)) {
                l->value = value;
                return;
        }
        if (l) { /* deleted, and now there again: comes last, which labelmap's order depends on as upstream's does */
                size_t at = (size_t)(l - b->set.p);
                memmove(l, l + 1, (b->set.n - at - 1) * sizeof *l);
                b->set.n--;
        }
        vec_push(&b->set, (Label){name, value});
}

void labels_builder_del(struct labels_builder *b, Str name)
{
        labels_builder_set(b, name, (Str){NULL, 0});
}

Str labels_builder_get(const struct labels_builder *b, Str name)
{
        const Label *l = find_set(b, name);
        return l ? l->value : labels_get(b->base, name);
}

Labels labels_builder_labels(const struct labels_builder *b, struct arena *a)
{
        if (b->base.n + b->set.n == 0)
                return (Labels){NULL, 0};
        Label *v = arena_array(a, Label, b->base.n + b->set.n);
        size_t n = 0;
        for (size_t i = 0; i < b->base.n; i++)
                if (b->base.v[i].value.n > 0 && !(b->set.n && find_set(b, b->base.v[i].name)))
                        v[n++] = b->base.v[i];
        for (size_t i = 0; i < b->set.n; i++)
                if (b->set.p[i].value.n > 0)
                        v[n++] = b->set.p[i];
        if (b->set.n)
                labels_sort(v, n);
        return (Labels){v, n};
}

/* 1: letter or _; 2: digit; 4: colon. */
static int name_class(char c)
{
        unsigned char u = (unsigned char)c;
        if ((unsigned)(u | 0x20) - 'a' < 26 || u == '_')
                return 1;
        if ((unsigned)u - '0' < 10)
                return 2;
        return u == ':' ? 4 : 0;
}

static bool name_is_of(Str name, int first, int rest)
{
        if (name.n == 0 || !(name_class(name.p[0]) & first))
                return false;
        for (size_t i = 1; i < name.n; i++)
                if (!(name_class(name.p[i]) & rest))
                        return false;
        return true;
}

bool label_name_is_legacy(Str name)
{
        return name_is_of(name, 1, 1 | 2);
}

bool metric_name_is_legacy(Str name)
{
        return name_is_of(name, 1 | 4, 1 | 2 | 4);
}

bool label_name_is_valid_utf8(Str name)
{
        return name.n > 0 && utf8_is_valid(name);
}
