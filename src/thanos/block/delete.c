/* SPDX-License-Identifier: Apache-2.0 */
#include "thanos/block/delete.h"

#include "thanos/block/meta.h"
#include "tsdb/block/meta.h"

typedef VEC(char *) NameVec;

static struct error *gather(void *arg, const struct bucket_entry *entry)
{
        NameVec *names = arg;
        vec_push(names, str_dup(entry->name));
        return NULL;
}

/* 0: before all others, 2: after them. */
static int turn_of(const char *name)
{
        Str s = str_from(name);
        return str_has_suffix(s, STR("/" BLOCK_META_FILE)) ? 0 : str_has_suffix(s, STR("/" MARK_DELETION)) ? 2 : 1;
}

struct error *thanos_block_delete(struct bucket *b, const struct bucket_call *c, Ulid id)
{
        char dir[ULID_TEXT_BYTES + 1];
        NameVec names = VEC_INIT;
        ulid_print(id, dir);
        struct error *e = bucket_iter(b, c, str_from(dir), BUCKET_RECURSIVE, gather, &names);
        for (int turn = 0; turn < 3; turn++)
                for (size_t i = 0; !e && i < names.n; i++)
                        if (turn_of(names.p[i]) == turn)
                                e = bucket_delete(b, c, str_from(names.p[i]));
        for (size_t i = 0; i < names.n; i++)
                free(names.p[i]);
        vec_done(&names);
        return e ? error_wrap(e, "delete block %s", dir) : NULL;
}
