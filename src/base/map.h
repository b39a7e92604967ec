/* SPDX-License-Identifier: Apache-2.0 */
/* map.h — hash table from Str to pointer (open addressing, linear probing).
 *
 *   struct map m = MAP_INIT;
 *   map_set(&m, STR("job"), job);           keys are borrowed: they must outlive the entry
 *   job = map_get(&m, name);                NULL: not there
 *   MAP_EACH(e, &m) use(e->key, e->value);
 *   map_done(&m);
 *
 * Values must not be NULL. Not ordered; one owner, no locking. */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/str.h"

struct map_entry {
        Str key;
        void *value;            /* NULL: free slot */
        uint64_t hash;
};
struct map {
        struct map_entry *slots;
        size_t n, cap;          /* cap is a power of two or 0 */
};
#define MAP_INIT {NULL, 0, 0}
#define MAP_EACH(e, m) \
        for (struct map_entry *e = (m)->slots; e && e < (m)->slots + (m)->cap; e++) \
                if (e->value)

void *map_get(const struct map *m, Str key);
void *map_set(struct map *m, Str key, void *value);     /* returns the value it replaced (whose key stays), or NULL */
void *map_remove(struct map *m, Str key);               /* returns the value, or NULL; not inside MAP_EACH */
void map_clear(struct map *m);
void map_done(struct map *m);

#endif
