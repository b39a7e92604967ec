/* SPDX-License-Identifier: Apache-2.0 */
#include "alert/rules/private.h"

Labels labels_keep(Labels ls)
{
        size_t bytes = ls.n * sizeof(Label);
        for (size_t i = 0; i < ls.n; i++)
                bytes += ls.v[i].name.n + ls.v[i].value.n;
        Label *v = mem_alloc(bytes + 1);
        char *p = (char *)(v + ls.n);
        for (size_t i = 0; i < ls.n; i++) {
                const Str both[] = {ls.v[i].name, ls.v[i].value};
                Str *to[] = {&v[i].name, &v[i].value};
                for (int k = 0; k < 2; k++) {
                        if (both[k].n)
                                memcpy(p, both[k].p, both[k].n);
                        *to[k] = (Str){p, both[k].n};
                        p += both[k].n;
                }
        }
        return (Labels){v, ls.n};
}

void labels_release(Labels ls)
{
        free((void *)ls.v);
}

struct rule_entry *rule_table_find(const struct rule_table *t, uint64_t hash, Labels ls)
{
        if (t->n_slots == 0)
                return NULL;
        for (size_t i = hash & (t->n_slots - 1); t->slots[i]; i = (i + 1) & (t->n_slots - 1)) {
                struct rule_entry *e = t->v.p[t->slots[i] - 1];
                if (e->hash == hash && labels_eq(e->labels, ls))
                        return e;
        }
        return NULL;
}

static void put_slot(struct rule_table *t, size_t index)
{
        size_t i = t->v.p[index]->hash & (t->n_slots - 1);
        while (t->slots[i])
                i = (i + 1) & (t->n_slots - 1);
        t->slots[i] = (uint32_t)index + 1;
}

void rule_table_rebuild(struct rule_table *t)
{
        size_t want = 8;
        while (want < t->v.n * 2 + 2)
                want *= 2;
        if (want != t->n_slots) {
                free(t->slots);
                t->slots = mem_alloc(want * sizeof *t->slots);
                t->n_slots = want;
        }
        memset(t->slots, 0, t->n_slots * sizeof *t->slots);
        for (size_t i = 0; i < t->v.n; i++)
                put_slot(t, i);
}

void rule_table_add(struct rule_table *t, struct rule_entry *take_e)
{
        vec_push(&t->v, take_e);
        if (t->v.n * 2 > t->n_slots)
                rule_table_rebuild(t);
        else
                put_slot(t, t->v.n - 1);
}

void rule_table_done(struct rule_table *t, void (*free_entry)(struct rule_entry *e))
{
        for (size_t i = 0; i < t->v.n; i++)
                free_entry(t->v.p[i]);
        vec_done(&t->v);
        free(t->slots);
        *t = (struct rule_table){0};
}

void alert_free(struct rule_entry *e)
{
        struct alert *a = CONTAINER_OF(e, struct alert, key);
        labels_release(a->key.labels);
        labels_release(a->annotations);
        free(a);
}

void rule_series_free(struct rule_entry *e)
{
        struct rule_series *s = CONTAINER_OF(e, struct rule_series, key);
        labels_release(s->key.labels);
        free(s);
}
