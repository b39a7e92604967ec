/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include "base/alloc.h"
#include "base/hash.h"

static struct map_entry *find(const struct map *m, Str key, uint64_t h)
{
        size_t i = h & (m->cap - 1);
        while (m->slots[i].value && (m->slots[i].hash != h || !str_eq(m->slots[i].key, key)))
                i = (i + 1) & (m->cap - 1);
        return &m->slots[i];
}

void *map_get(const struct map *m, Str key)
{
        return m->cap ? find(m, key, hash_str(key))->value : NULL;
}

static void grow(struct map *m)
{
        struct map old = *m;
        m->cap = old.cap ? old.cap * 2 : 16;
        m->slots = mem_zalloc(m->cap * sizeof *m->slots);
        MAP_EACH(e, &old)
                *find(m, e->key, e->hash) = *e;
        free(old.slots);
}

void *map_set(struct map *m, Str key, void *value)
{
        if (!value)
                bug("map_set: NULL value");
        if ((m->n + 1) * 4 > m->cap * 3)
                grow(m);
        uint64_t h = hash_str(key);
        struct map_entry *e = find(m, key, h);
        void *old = e->value;
        if (!old) {
                *e = (struct map_entry){.key = key, .hash = h};
                m->n++;
        }
        e->value = value;
        return old;
}

void *map_remove(struct map *m, Str key)
{
        if (!m->cap)
                return NULL;
        struct map_entry *e = find(m, key, hash_str(key));
        void *old = e->value;
        if (!old)
                return NULL;
        m->n--;
        /* Backward shift: entries after the hole move up unless they sit at their own place already; no tombstones needed. */
        size_t hole = (size_t)(e - m->slots), mask = m->cap - 1;
        for (size_t i = (hole + 1) & mask; m->slots[i].value; i = (i + 1) & mask) {
                size_t home = m->slots[i].hash & mask;
                if (((i - home) & mask) >= ((i - hole) & mask)) {
                        m->slots[hole] = m->slots[i];
                        hole = i;
                }
        }
        m->slots[hole] = (struct map_entry){0};
        return old;
}

void map_clear(struct map *m)
{
        if (m->cap)
                memset(m->slots, 0, m->cap * sizeof *m->slots);
        m->n = 0;
}

void map_done(struct map *m)
{
        free(m->slots);
        *m = (struct map)MAP_INIT;
}
